#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A SYN flood through a cube whose table of flows it fills: connections that are open must not notice.
#
#   flood.sh [-n PACKETS=10000000] [-c CONNECTIONS=100] [-t TABLE_SIZE=65536] [conntrack|lbdsr|lbrp] [TC|XDP_SKB|XDP_DRV]
#
# conntrack: between two network namespaces of its own, with the cube on the device between them: half of the connections
# are opened from either side. lbdsr, lbrp: from a client through the balancer and a bridge to three servers (of lbdsr,
# they own the VIP on a loopback device), of which one is drained once the connections are open, so that the
# table of flows alone knows of those that it has. Half of the connections are silent meanwhile.
# Half of the SYNs go to the port where the connections are, and are answered, the others are reset. Afterwards each
# connection has to be answered by the server that it had, none may have been reset or (but behind a balancer at XDP_DRV)
# have waited for a retransmission timer, and the cube has to know each.
# BUILD=DIR takes a build that exists. Exit code: 0 all of it is so.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() { die "usage: flood.sh [-n PACKETS] [-c CONNECTIONS] [-t TABLE_SIZE] [conntrack|lbdsr|lbrp] [TC|XDP_SKB|XDP_DRV]"; }

packets=10000000 connections=100 table=65536 kind=conntrack type=TC
while getopts n:c:t: option; do
    case $option in
    n) packets=$OPTARG ;;
    c) connections=$OPTARG ;;
    t) table=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
for word in "$@"; do
    case $word in
    conntrack | lbdsr | lbrp) kind=$word ;;
    TC | XDP_SKB | XDP_DRV) type=$word ;;
    *) usage ;;
    esac
done
for number in "$packets" "$connections" "$table"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || usage
done

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

statistic() { rest GET "$kind/cube/statistics/" | head -n 1 | jq ".[\"$1\"]"; }
# Connections that the session table has as ESTABLISHED. lbdsr shows no states: those that were remembered, some of
# them by two CPUs.
known() {
    if [ $kind = lbdsr ]; then
        rest GET lbdsr/cube/statistics/ | head -n 1 | jq "[.created, $connections] | min"
        return
    fi
    rest GET "$kind/cube/session-table/" | head -n 1 |
        jq "[.[] | select(.dport == $port and .state == \"ESTABLISHED\" and (.src | startswith(\"10.0.0.\")))] | length"
}
softnet_dropped() {
    local n=0 dropped
    while read -r _ dropped _; do n=$((n + 16#$dropped)); done </proc/net/softnet_stat
    echo $n
}
# By devices of the lab: rings that were full.
devices_dropped() {
    local host
    for host in a daemon; do ip -n "$lab_id-$host" -j -s link show; done |
        jq -s '[.[][].stats64 | .rx.dropped + .tx.dropped] | add'
}

# ---- the labs: servers, ways to them, and the address that is flooded ----
lab_conntrack() {
    ip -n "$lab_id-daemon" address add 10.0.0.1/24 dev to.a
    # Answers to the flood go back the way it came.
    ip -n "$lab_id-daemon" route add default via 10.0.0.2
    [ "$type" = TC ] || in_host daemon ethtool -K to.a tx off tso off >/dev/null
    pctl conntrack add cube type="$type" table-size="$table"
    pctl attach cube to.a
    servers=a,daemon ways=(a=10.0.0.1 daemon=10.0.0.2) flooded=10.0.0.1
}

lab_balancer() {
    local n mac size=table-size=$table
    [ $kind = lbrp ] || size=connections=$table
    servers=b1,b2,b3 ways=(a=10.0.0.100) flooded=10.0.0.100
    pctl $kind add cube type="$type" "$size"
    pctl simplebridge add br type="$type"
    pctl br ports add lb
    pctl cube ports add front type=FRONTEND peer=to.a
    pctl cube ports add back type=BACKEND
    pctl connect br:lb cube:back
    # All ports: the whole flood is balanced.
    pctl cube service add $flooded 0 TCP
    for n in 1 2 3; do
        lab_host b$n 10.0.0.1$n/24 10.0.0.2
        pctl br ports add b$n peer=to.b$n
        if [ $kind = lbdsr ]; then
            in_host b$n sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
            ip -n "$lab_id-b$n" address add $flooded/32 dev lo
        fi
        mac=$(ip -n "$lab_id-b$n" -br link show eth0 | awk '{ print $3 }')
        pctl cube service $flooded 0 TCP backend add 10.0.0.1$n mac="$mac" $([ $kind = lbdsr ] || echo port=0)
    done
}

lab_up
lab_host a 10.0.0.2/24
# With XDP_DRV there are rings of 256 packets, in front of the cube one that the flood fills, behind it one that answers
# to the flood may fill. Behind a queue others wait for room there (since Linux 6.16), and are not lost.
in_host a tc qdisc replace dev eth0 root pfifo limit 1000
in_host daemon tc qdisc replace dev to.a root pfifo limit 10000
if [ $kind = conntrack ]; then lab_conntrack; else lab_balancer; fi
coproc flows { exec python3 "$top/tests/flood/flows.py" "$connections" $port "$lab_id" $servers "${ways[@]}"; }
read -r -t 30 ready <&"${flows[0]}" && [ "$ready" = ready ] || die "the connections cannot be opened"
before=$(known)
say "$kind, $type, table of $table: $connections connections, the cube knows $before"
[ $kind = conntrack ] || pctl cube service $flooded 0 TCP backend 10.0.0.11 set weight=0

# ---- the flood ----
mac=$(ip -n "$lab_id-a" neigh show $flooded | awk '{ print $5 }')
softnet=$(softnet_dropped) devices=$(devices_dropped)
sent=$(in_host a "$build/bin/syn_flood" eth0 "$mac" $flooded $port "$packets")
say "flood: $sent; $(awk -v n="$packets" '{ printf "%.0f packets a second", n / $4 * 1000 }' <<<"$sent"), dropped by the kernel's backlog: $(($(softnet_dropped) - softnet)), by devices: $(($(devices_dropped) - devices))"
rest GET "$kind/cube/statistics/" | head -n 1 | jq -r 'del(._links) | to_entries[] | "    \(.key) \(.value)"'

# ---- what became of the connections ----
echo >&"${flows[1]}"
read -r -t 60 result <&"${flows[0]}" || die "the connections do not answer"
after=$before
[ $kind = lbdsr ] || after=$(known)
echo "    $result"
faults=()
[ "$before" = "$connections" ] && [ "$after" = "$connections" ] || faults+=("the cube knew $before of $connections connections before, $after after the flood")
jq -e '.answered == .flows and .errors == []' <<<"$result" >/dev/null || faults+=("connections broke")
jq -e "(.servers | length) == $(tr , '\n' <<<$servers | wc -l)" <<<"$result" >/dev/null || faults+=("a server had no connection")
# Where nothing was sent again, a slow answer only says that the machine is busy. What a balancer sends on at XDP_DRV may
# be lost behind it: rings of 256 packets are in front of servers and the client, and there is no queue.
[ "$kind $type" = "lbdsr XDP_DRV" ] || [ "$kind $type" = "lbrp XDP_DRV" ] ||
    jq -e ".longest < $patience_ms or .retransmitted == 0" <<<"$result" >/dev/null || faults+=("a connection waited for a retransmission timer")
filled=early-dropped
[ $kind != lbdsr ] || filled=replaced
[ "$packets" -le $((4 * table)) ] || [ "$(statistic $filled)" -gt 0 ] || faults+=("the table was never full")
for fault in "${faults[@]}"; do
    say "FAIL: $fault"
done
[ ${#faults[@]} = 0 ] || die "the flood was noticed"
say "no connection noticed the flood"
