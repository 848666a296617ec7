#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures what polycube-c has to reach beside bare programs and the kernel's own, prints a table and writes JSON.
#
#   bench.sh [-o FILE] [forward] [chain] [router] [kernel] [firewall] [conntrack] [nat] [lbdsr] [lbrp] [rules] [control] [routes] [rest]
#   GROUP: default all
#   FILE: the JSON; default bench.json in the build directory
#
# Everything runs in network namespaces of its own. BUILD=DIR takes a build that exists.
# Exit code: 0 every target is met, 1 one is not, 2 a group did not run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

output=
while getopts o: option; do
    case $option in
    o) output=$OPTARG ;;
    *) die "usage: bench.sh [-o FILE] [GROUP...]" ;;
    esac
done
shift $((OPTIND - 1))

need_root
if [ -z "${BUILD:-}" ]; then
    "$top/scripts/setup.sh" run build test bench
    configure_and_build release
    BUILD=$top/build/release
fi

output=${output:-$BUILD/bench.json}
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT

load=$(cut -d' ' -f1 /proc/loadavg)
# What is in ns counts the CPU time of one thread and holds on a busy machine; milliseconds and requests a second do not.
say "measuring on $(uname -r), load $load, $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
status=0
"$BUILD/bin/bench" "$@" | tee "$rows" | jq -r --unbuffered '.what' | sed -u 's/^/   measured: /' || status=2

jq -s --arg kernel "$(uname -r)" --arg load "$load" --arg commit "$(git -C "$top" rev-parse --short HEAD 2>/dev/null || true)" \
    --arg date "$(date -u +%FT%TZ)" '{date: $date, commit: $commit, kernel: $kernel, load_before: ($load | tonumber), rows: .}' "$rows" >"$output"

# Median and quartiles, three significant digits.
jq -r '
    def number: if . == null then "" elif . == 0 then "0"
        elif (. | fabs) >= 100 then (. | round | tostring)
        elif (. | fabs) >= 10 then ((. * 10 | round) / 10 | tostring)
        else ((. * 100 | round) / 100 | tostring) end;
    def figure: if . == null then "-"
        elif .low == .high then (.median | number)
        else "\(.median | number) (\(.low | number)..\(.high | number))" end;
    ["", "ours", "bare or kernel peer", "result", "target", ""],
    (.rows[] | if .skipped then [.what, "-", "-", "skipped: \(.skipped)", "", "SKIP"] else [
        .what,
        (.ours | figure) + (if .ours then " \(.unit)" else "" end),
        (if .peer_name then "\(.peer | figure) \(.unit), \(.peer_name)" else "-" end),
        "\(.value | figure) \(.measure)",
        (if .target then "\(.target.is) \(.target.limit | number)" else "" end),
        (if .target then (if .pass then "PASS" else "FAIL" end) else "" end)
    ] end) | @tsv' "$output" | column -t -s $'\t'
say "medians, quartiles in brackets; written to $output"

[ "$status" = 0 ] || exit "$status"
jq -e '[.rows[] | select(.pass == false)] | length == 0' "$output" >/dev/null
