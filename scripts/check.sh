#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is checked without running anything: layout, includes, licenses; and with --tidy, clang-tidy (minutes).
#
#   check.sh [--tidy] [BUILD_DIRECTORY]     default: build/ci; clang-tidy needs its compile_commands.json
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$top"

tidy=
if [ "${1-}" = --tidy ]; then
    tidy=1
    shift
fi
build=${1:-build/ci}
failed=0

fault() {
    printf '%s\n' "$*" >&2
    failed=1
}

sources() { git ls-files --cached --others --exclude-standard -- '*.c' '*.h'; }

# ---- layout ----
while read -r file; do
    fault "$file: run clang-format -i on it"
done < <(sources | xargs -P "$(nproc)" -n 20 clang-format --dry-run -Werror 2>&1 | sed -n 's/:[0-9:]* error:.*//p' | sort -u)

# ---- licenses ----
while read -r file; do
    case $file in
    *.bpf.c | *.bpf.h | core/include/pcn/abi.h | core/include/pcn/conntrack.h | cubes/*_maps.h | */verdict_probe.h | */firewall_probe.h) wanted='GPL-2.0-only OR Apache-2.0' ;;
    *) wanted='Apache-2.0' ;;
    esac
    head -n 3 "$file" | grep -qF "SPDX-License-Identifier: $wanted" || fault "$file: no line SPDX-License-Identifier: $wanted"
done < <(sources)

# ---- layers: a layer of core/ includes only layers before it ----
layers=(base bpf net chain slowpath shadow model flows health balance daemon)
after=()
for ((i = ${#layers[@]} - 1; i >= 0; i--)); do
    layer=${layers[i]}
    for other in "${after[@]-}"; do
        [ -n "$other" ] || continue
        while read -r line; do
            fault "$line: layer $layer comes before $other"
        done < <(grep -rnE "#include [<\"]$other/" "core/$layer" | cut -d: -f1,2,3)
    done
    after+=("$layer")
done

# ---- cubes: include/pcn, their own folder, what is generated for them, the templates, the C library and the kernel ----
# <net/...> is the C library's.
inner=$(printf '%s|' base bpf chain slowpath shadow model flows health balance daemon http api polycubectl codegen cubes)
while read -r line; do
    fault "$line: a cube includes <pcn/...>, its own folder and system headers"
done < <(grep -nE "#include [<\"](${inner%|})/|#include [<\"]net/net.h|#include \"(\.\./)|#include <(libyang|microhttpd|jansson|bpf/libbpf|bpf/bpf\.h)" \
    cubes/*/*.[ch] | grep -v '/test_' || true)
while read -r line; do
    fault "$line: libyang, libbpf and libmicrohttpd stay out of core/include"
done < <(grep -rnE '#include <(libyang|bpf/|microhttpd)' core/include || true)

# ---- fuzzers: a build of their own, which is made seldom ----
clang -fsyntax-only -std=gnu17 -D_GNU_SOURCE -Wall -Werror -Itests/fuzz/native -Itests -Icore/include -Icore -Iapi -Ibpf-templates \
    tests/fuzz/*.c || fault "tests/fuzz: it does not compile"

# ---- clang-tidy ----
if [ -n "$tidy" ]; then
    [ -f "$build/compile_commands.json" ] || die "no $build/compile_commands.json: configure a build first"
    jq -r '.[].file' "$build/compile_commands.json" | grep -E "^$top/(core|api|codegen|cubes|tests)/.*\.c$" | sort -u |
        xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$build" 2>/dev/null || failed=1
fi

[ "$failed" = 0 ] || die "there are faults"
say "no faults"
