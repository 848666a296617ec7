# SPDX-License-Identifier: Apache-2.0
# What the scripts share. Sourced by them, with `set -euo pipefail`.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '== %s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || die "needs root: sudo ${0}"
}

# configure_and_build PRESET [TARGET...]: quiet unless it fails.
configure_and_build() {
    local preset=$1 log
    shift
    log=$(mktemp)
    say "build, preset $preset"
    if ! (cd "$top" && cmake --preset "$preset" && cmake --build --preset "$preset" ${@:+--target "$@"}) >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "the build failed"
    fi
    # Warnings are worth reading where they are not errors.
    grep -E 'warning:' "$log" | sort -u || true
    rm -f "$log"
}
