# SPDX-License-Identifier: Apache-2.0
# Completion of polycubectl in bash: polycubectl itself asks the daemon.
_polycubectl()
{
    local line="${COMP_LINE:0:COMP_POINT}" words candidates lead

    # bash splits words at ':' and '=' too; polycubectl does not.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    lead="${words[-1]}"
    mapfile -t candidates < <(polycubectl --complete "${words[@]:1}" 2>/dev/null </dev/null)

    # readline replaces what is behind the last word break only.
    if [[ $COMP_WORDBREAKS == *:* || $COMP_WORDBREAKS == *=* ]]; then
        lead="${lead%"${lead##*[:=]}"}"
        candidates=("${candidates[@]#"$lead"}")
    fi
    COMPREPLY=("${candidates[@]}")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -F _polycubectl polycubectl
