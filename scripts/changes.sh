#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rules of a firewall that change under traffic: no packet is judged by a half-written ruleset, and none waits.
#
#   changes.sh [-n CHANGES=1000] [TC|XDP_SKB|XDP_DRV]
#
# Two hosts on a bridge, iperf3 between them, and two datagrams every half millisecond, of which every version of the rules lets one
# through and not the other: tests/changes/probe.py. Every datagram of the one has to arrive, within 10 ms
# (PATIENCE_MS=N: another figure, where the machine is shared), and none of the other; the TCP connection may not stand still.
# BUILD=DIR takes a build that exists. Exit code: 0 all of it is so.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() { die "usage: changes.sh [-n CHANGES] [TC|XDP_SKB|XDP_DRV]"; }

changes=1000 patience_ms=${PATIENCE_MS:-10}
while getopts n: option; do
    case $option in
    n) changes=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
type=${1:-TC}
[[ $changes =~ ^[1-9][0-9]*$ && $type =~ ^(TC|XDP_SKB|XDP_DRV)$ ]] || usage

need_root
if [ -z "${BUILD:-}" ]; then
    "$top/scripts/setup.sh" run build test
    configure_and_build release
    BUILD=$top/build/release
fi
build=$(realpath "$BUILD")
lab=pcnc
. "$top/scripts/lab.sh"
trap lab_down EXIT

# Like in_host, but $! is the command itself.
start_in() {
    local host=$1
    shift
    exec nsenter --net="/run/netns/$lab_id-$host" -- "$@"
}
probe() { python3 "$top/tests/changes/probe.py" "$@"; }

lab_up
lab_host a 10.0.0.1/24
lab_host b 10.0.0.2/24
pctl simplebridge add br1 type="$type"
pctl br1 ports add a peer=to.a
pctl br1 ports add b peer=to.b
pctl firewall add fw type="$type" accept-established=OFF
pctl attach fw br1:a
socket=$lab_dir/run/default/api.sock
probe change "$socket" 6 >/dev/null # the programs have all fields from here on
pctl fw chain INGRESS set default=DROP

# ---- traffic ----
in_host b iperf3 -s -1 >/dev/null 2>&1 &
start_in b python3 "$top/tests/changes/probe.py" receive 10.0.0.2 >"$lab_dir/received" &
receiver=$!
for _ in $(seq 100); do
    [ -s "$lab_dir/received" ] && in_host b ss -Hltn 'sport = :5201' | grep -q . && break
    sleep 0.05
done
start_in a iperf3 -c 10.0.0.2 -b 500M -t 600 -i 0.1 --json >"$lab_dir/iperf3.json" 2>/dev/null &
iperf3=$!
start_in a python3 "$top/tests/changes/probe.py" send 10.0.0.2 0.5 >"$lab_dir/sent" &
sender=$!
flows() { in_host b ss -Htin state established 'sport = :5201' | grep -qE 'bytes_received:[0-9]{6}'; }
for _ in $(seq 100); do
    flows && break
    sleep 0.05
done
flows || die "iperf3 sends nothing"

# ---- changes ----
changed=$(probe change "$socket" "$changes")
kill $sender && wait $sender || die "the sender does not end"
kill $receiver && wait $receiver || die "the receiver does not end"
sent=$(cat "$lab_dir/sent") received=$(tail -n 1 "$lab_dir/received")
kill -INT $iperf3 2>/dev/null || true
wait $iperf3 2>/dev/null || true
still=$(jq '[.intervals[].sum | select(.seconds > 0.05 and .bytes == 0)] | length' "$lab_dir/iperf3.json")
gigabits=$(jq '[.intervals[].sum.bits_per_second] | add / length / 1e9 * 100 | round / 100' "$lab_dir/iperf3.json")

say "$type: $changed"
say "datagrams: $sent, $received"
say "iperf3: $gigabits Gbit/s of 0.5, tenths of a second without a byte: $still"
faults=()
jq -en --argjson s "$sent" --argjson r "$received" '$s.sent == $r.received' >/dev/null || faults+=("datagrams were dropped that every version lets through")
jq -e '.wrong == 0' <<<"$received" >/dev/null || faults+=("datagrams were let through that no version does")
jq -e ".longest_us <= $patience_ms * 1000" <<<"$received" >/dev/null || faults+=("a datagram waited for more than $patience_ms ms")
[ "$still" = 0 ] || faults+=("the TCP connection stood still")
for fault in "${faults[@]}"; do
    say "FAIL: $fault"
done
[ ${#faults[@]} = 0 ] || die "the changes were noticed"
say "no packet noticed the changes"
