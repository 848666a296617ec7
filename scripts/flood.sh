#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A SYN flood through a conntrack cube whose table it fills: connections that are open must not notice.
#
#   flood.sh [-n PACKETS=10000000] [-c CONNECTIONS=100] [-t TABLE_SIZE=65536] [TC|XDP_SKB|XDP_DRV]
#
# Between two network namespaces of its own, with the cube on the device between them: half of the connections are opened
# from either side, half of them are silent meanwhile. Half of the SYNs go to the port where the connections are, and
# are answered, the others are reset. Afterwards each connection has to answer, none may have been reset or
# have waited for a retransmission timer, and each has to be ESTABLISHED in the session table.
# BUILD=DIR takes a build that exists. Exit code: 0 all of it is so.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() { die "usage: flood.sh [-n PACKETS] [-c CONNECTIONS] [-t TABLE_SIZE] [TC|XDP_SKB|XDP_DRV]"; }

packets=10000000 connections=100 table=65536
while getopts n:c:t: option; do
    case $option in
    n) packets=$OPTARG ;;
    c) connections=$OPTARG ;;
    t) table=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
type=${1:-TC}
for number in "$packets" "$connections" "$table"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || usage
done
[[ $type =~ ^(TC|XDP_SKB|XDP_DRV)$ ]] || usage

need_root
if [ -z "${BUILD:-}" ]; then
    "$top/scripts/setup.sh" run build test
    configure_and_build release
    BUILD=$top/build/release
fi
build=$(realpath "$BUILD")
lab=pcnf
. "$top/scripts/lab.sh"
port=5000 patience_ms=200 # the least that Linux waits for an answer before it sends again
flows_PID=
clean() {
    [ -z "$flows_PID" ] || kill "$flows_PID" 2>/dev/null || true
    lab_down
}
trap clean EXIT

statistic() { rest GET conntrack/ct/statistics/ | head -n 1 | jq ".[\"$1\"]"; }
established() {
    rest GET conntrack/ct/session-table/ | head -n 1 |
        jq "[.[] | select(.dport == $port and .state == \"ESTABLISHED\" and (.src | startswith(\"10.0.0.\")))] | length"
}
softnet_dropped() {
    local n=0 dropped
    while read -r _ dropped _; do n=$((n + 16#$dropped)); done </proc/net/softnet_stat
    echo $n
}

# ---- the lab ----
lab_up
lab_host a 10.0.0.2/24
ip -n "$lab_id-daemon" address add 10.0.0.1/24 dev to.a
# Answers to the flood go back the way it came.
ip -n "$lab_id-daemon" route add default via 10.0.0.2
[ "$type" = TC ] || in_host daemon ethtool -K to.a tx off tso off >/dev/null
# With XDP_DRV there is a ring of 256 packets in front of the cube, which the flood fills. Behind a queue others wait
# for room there (since Linux 6.16), and are not lost before the cube has seen them.
in_host a tc qdisc replace dev eth0 root pfifo limit 1000
pctl conntrack add ct type="$type" table-size="$table"
pctl attach ct to.a
coproc flows { exec python3 "$top/tests/flood/flows.py" "$connections" $port "$lab_id-a" 10.0.0.2 "$lab_id-daemon" 10.0.0.1; }
read -r -t 30 ready <&"${flows[0]}" && [ "$ready" = ready ] || die "the connections cannot be opened"
before=$(established)
say "$type, table-size $table: $connections connections, $before ESTABLISHED in the session table"

# ---- the flood ----
mac=$(ip -n "$lab_id-daemon" -br link show to.a | awk '{ print $3 }')
dropped=$(softnet_dropped)
sent=$(in_host a "$build/bin/syn_flood" eth0 "$mac" 10.0.0.1 $port "$packets")
say "flood: $sent; $(awk -v n="$packets" '{ printf "%.0f packets a second", n / $4 * 1000 }' <<<"$sent"), dropped by the kernel's backlog: $(($(softnet_dropped) - dropped))"
for name in flows places created reused early-dropped table-full invalid; do
    printf '    %-14s %s\n' "$name" "$(statistic $name)"
done

# ---- what became of the connections ----
echo >&"${flows[1]}"
read -r -t 60 result <&"${flows[0]}" || die "the connections do not answer"
after=$(established)
echo "    $result"
say "$after of $connections are ESTABLISHED in the session table"
faults=()
[ "$before" = "$connections" ] && [ "$after" = "$connections" ] || faults+=("connections are missing in the session table")
jq -e '.answered == .flows and .errors == []' <<<"$result" >/dev/null || faults+=("connections broke")
# Where nothing was sent again, a slow answer only says that the machine is busy.
jq -e ".longest < $patience_ms or .retransmitted == 0" <<<"$result" >/dev/null || faults+=("a connection waited for a retransmission timer")
[ "$packets" -le $((4 * table)) ] || [ "$(statistic early-dropped)" -gt 0 ] || faults+=("the table was never full")
for fault in "${faults[@]}"; do
    say "FAIL: $fault"
done
[ ${#faults[@]} = 0 ] || die "the flood was noticed"
say "no connection noticed the flood"
