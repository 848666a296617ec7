#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzzer: fuzz.sh [SECONDS=60 each]. Non-zero if one crashes; what crashed it is left in build/fuzz/crashes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "seconds: '$seconds' is not a number above 0"

mapfile -t fuzzers < <(sed -n 's/^ *pcn_add_fuzzer(\([a-z_]*\).*/\1/p' "$top/tests/fuzz/CMakeLists.txt")
configure_and_build fuzz "${fuzzers[@]/#/fuzz_}"

build=$top/build/fuzz
mkdir -p "$build/crashes"
failed=()
for name in "${fuzzers[@]}"; do
    # What is found goes to a folder of the build; the corpus in the sources is only read.
    found=$build/corpus/$name log=$build/fuzz_$name.log options=()
    mkdir -p "$found"
    if [ -f "$top/tests/fuzz/$name.dict" ]; then
        options=("-dict=$top/tests/fuzz/$name.dict")
    fi
    say "$name, $seconds s"
    # UBSan's findings end the run as crashes do.
    if UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$build/bin/fuzz_$name" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$build/crashes/$name-" "${options[@]}" \
        "$found" "$top/tests/fuzz/corpus/$name" >"$log" 2>&1; then
        grep -E 'stat::(number_of_executed_units|average_exec_per_sec)' "$log"
        grep -E 'cov: ' "$log" | tail -1
    else
        tail -40 "$log"
        failed+=("$name")
    fi
done
[ ${#failed[@]} -eq 0 ] || die "crashed: ${failed[*]}"
say "no crashes in ${#fuzzers[@]} fuzzers"
