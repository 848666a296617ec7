# SPDX-License-Identifier: Apache-2.0
# Sourced by the end-to-end scripts: `set -euo pipefail`, a lab, and checks that count. BUILD is the build directory.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$top/scripts/lib.sh"
need_root
build=$(realpath "${BUILD:?BUILD: the build directory}")
type=${1:-TC}
lab=pcne
. "$top/scripts/lab.sh"
trap lab_down EXIT

checks=0 failed=0

# expect WHAT COMMAND...: it has to succeed. TELL=1: what it prints is shown.
expect() {
    local what=$1 output
    shift
    checks=$((checks + 1))
    if output=$("$@" 2>&1); then
        printf 'ok   %s\n' "$what"
        [ -z "${TELL-}" ] || printf '%s\n' "$output"
    else
        printf 'FAIL %s: %s\n%s\n' "$what" "$*" "$output"
        failed=$((failed + 1))
    fi
}

# expect_output WHAT PATTERN COMMAND...: what it prints has to match, whatever its exit code.
expect_output() {
    local what=$1 pattern=$2 output
    shift 2
    checks=$((checks + 1))
    output=$("$@" 2>&1) || true
    if grep -qE -- "$pattern" <<<"$output"; then
        printf 'ok   %s\n' "$what"
    else
        printf 'FAIL %s: %s: no %s in\n%s\n' "$what" "$*" "$pattern" "$output"
        failed=$((failed + 1))
    fi
}

# refused WHAT PATTERN COMMAND...: it has to fail, and to say why.
refused() {
    local what=$1 pattern=$2 output
    shift 2
    checks=$((checks + 1))
    if output=$("$@" 2>&1); then
        printf 'FAIL %s: %s was not refused\n' "$what" "$*"
        failed=$((failed + 1))
    elif ! grep -qE -- "$pattern" <<<"$output"; then
        printf 'FAIL %s: %s: no %s in\n%s\n' "$what" "$*" "$pattern" "$output"
        failed=$((failed + 1))
    else
        printf 'ok   %s\n' "$what"
    fi
}

# eventually COMMAND...: within five seconds.
eventually() {
    for _ in $(seq 100); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    "$@"
}

prints() {
    local pattern=$1
    shift
    "$@" | grep -qE -- "$pattern"
}

prints_not() { ! prints "$@"; }

finish() {
    printf '%d checks, %d failed\n' "$checks" "$failed"
    [ "$failed" = 0 ]
}

# comes_back KIND/CUBE: what is shown of it can be sent back, as it is, and changes nothing that it has learned or counted.
comes_back() {
    local shown=$lab_dir/shown.json again=$lab_dir/again.json
    rest GET "$1/" | sed '$d' >"$shown"
    rest PUT "$1/" -d "@$shown" >"$again"
    grep -q '^20[014]$' "$again" || { cat "$again"; return 1; }
    rest GET "$1/" | sed '$d' >"$again"
    # Time passes meanwhile, and packets that nobody asked for are counted: no counter falls.
    diff <(jq -S 'del(.. | .eta?, .age?, .["last-hit"]?)' "$shown") <(jq -S --slurpfile shown "$shown" '
        reduce (paths(numbers) | select(last == ("packets", "bytes"))) as $counter (.;
            ($shown[0] | getpath($counter)) as $before |
            if getpath($counter) > $before then setpath($counter; $before) else . end) |
        del(.. | .eta?, .age?, .["last-hit"]?)' "$again")
}
