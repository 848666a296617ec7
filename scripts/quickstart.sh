#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two LANs behind a router and an uplink, built with polycubectl out of five cubes, and proved on real packets:
#
#   a1 ─┐                                                                       ┌─ b1
#       br1 ── transparenthelloworld ─ lan1:[ r1 ]:lan2 ─────────────────── br2
#   a2 ─┘                                uplink                                 └─ b2
#                                          └── fw1 ── up
#
# a1, a2, b1, b2 and up are hosts: network namespaces with real TCP/IP stacks. Packages, build and clean-up included.
#
#   quickstart.sh            build it, prove it, remove it
#   quickstart.sh --keep     leave it up, and say how to play with it
#   quickstart.sh --down     remove what --keep left
#   TYPE=XDP_DRV quickstart.sh    at another hook (TC, XDP_SKB, XDP_DRV)
#   BUILD=build/ci quickstart.sh  with what is built there already
set -euo pipefail
. "$(dirname "$0")/lib.sh"

type=${TYPE:-TC}
hosts="a1 a2 b1 b2 up"

show() {
    # A command as the reader would type it, and what it prints.
    printf '\n$ polycubectl %s\n' "$*"
    pctl "$@"
}

build_network() {
    lab_host a1 10.0.1.11/24 10.0.1.1 fd00:0:0:1::11/64 fd00:0:0:1::1
    lab_host a2 10.0.1.12/24 10.0.1.1 fd00:0:0:1::12/64 fd00:0:0:1::1
    lab_host b1 10.0.2.11/24 10.0.2.1 fd00:0:0:2::11/64 fd00:0:0:2::1
    lab_host b2 10.0.2.12/24 10.0.2.1 fd00:0:0:2::12/64 fd00:0:0:2::1
    lab_host up 10.0.3.2/24 10.0.3.1 fd00:0:0:3::2/64 fd00:0:0:3::1

    pctl simplebridge add br1 type="$type"
    pctl br1 ports add a1 peer=to.a1
    pctl br1 ports add a2 peer=to.a2
    pctl br1 ports add r1
    pctl simplebridge add br2 type="$type"
    pctl br2 ports add b1 peer=to.b1
    pctl br2 ports add b2 peer=to.b2
    pctl br2 ports add r1

    pctl router add r1 type="$type"
    pctl r1 ports add lan1 ip=10.0.1.1/24
    pctl r1 ports lan1 secondaryip add fd00:0:0:1::1/64
    pctl r1 ports add lan2 ip=10.0.2.1/24
    pctl r1 ports lan2 secondaryip add fd00:0:0:2::1/64
    pctl r1 ports add uplink ip=10.0.3.1/24
    pctl r1 ports uplink secondaryip add fd00:0:0:3::1/64
    pctl r1 route add 0.0.0.0/0 10.0.3.2
    pctl connect br1:r1 r1:lan1
    pctl connect br2:r1 r1:lan2

    pctl transparenthelloworld add watch type="$type"
    pctl attach watch r1:lan1

    pctl simpleforwarder add fw1 type="$type"
    pctl fw1 ports add inside
    pctl fw1 ports add outside peer=to.up
    pctl fw1 actions add inside action=FORWARD outport=outside
    pctl fw1 actions add outside action=FORWARD outport=inside
    pctl connect r1:uplink fw1:inside
}

# ---- the proof ----

declare -A v4=([a1]=10.0.1.11 [a2]=10.0.1.12 [b1]=10.0.2.11 [b2]=10.0.2.12 [up]=10.0.3.2)
declare -A v6=([a1]=fd00:0:0:1::11 [a2]=fd00:0:0:1::12 [b1]=fd00:0:0:2::11 [b2]=fd00:0:0:2::12 [up]=fd00:0:0:3::2)

prove_ping() {
    local from to pairs=0
    for from in $hosts; do
        for to in $hosts; do
            [ "$from" != "$to" ] || continue
            in_host "$from" ping -q -c 1 -W 2 "${v4[$to]}" >/dev/null || die "no answer to ping from $from to $to"
            in_host "$from" ping -6 -q -c 1 -W 2 "${v6[$to]}" >/dev/null || die "no answer to ping6 from $from to $to"
            pairs=$((pairs + 1))
        done
    done
    say "ping and ping6: all $pairs pairs of hosts answer"
    latency=$(in_host a1 ping -q -c 200 -i 0.002 "${v4[b1]}" | sed -n 's|^rtt.*= [0-9.]*/\([0-9.]*\)/.*|\1|p')
    [ -n "$latency" ] || die "no latency was measured"
    say "latency a1 - b1: $latency ms (200 pings)"
}

prove_tcp() {
    local answer
    in_host b1 iperf3 -s -1 -D -I "$lab_dir/iperf.pid" >/dev/null
    for _ in $(seq 100); do
        [ -z "$(in_host b1 ss -Hltn 'sport = :5201')" ] || break
        sleep 0.02
    done
    answer=$(in_host a1 iperf3 -c "${v4[b1]}" -t 2 -J) || die "iperf3 failed: $answer"
    throughput=$(jq -r '.end.sum_received.bits_per_second / 1e9 * 100 | round / 100' <<<"$answer")
    jq -e '.end.sum_received.bits_per_second > 1e6' <<<"$answer" >/dev/null || die "iperf3: only $throughput Gbit/s"
    say "iperf3 a1 - b1: $throughput Gbit/s"
}

prove_http() {
    mkdir "$lab_dir/www"
    head -c 32M /dev/urandom >"$lab_dir/www/file"
    nsenter --net="/run/netns/$lab_id-b2" -- python3 -m http.server --directory "$lab_dir/www" --bind "${v4[b2]}" 8080 >/dev/null 2>&1 &
    local server=$! sum
    sum=$(in_host a2 curl -sS --fail --retry 20 --retry-delay 0 --retry-connrefused --max-time 20 \
        "http://${v4[b2]}:8080/file" | sha256sum) || { kill $server; die "the download failed"; }
    kill $server
    wait $server 2>/dev/null || true
    [ "$sum" = "$(sha256sum <"$lab_dir/www/file")" ] || die "the download differs from the file"
    say "curl a2 - b2: 32 MB, SHA-256 as on the server"
}

prove_traceroute() {
    local route
    route=$(in_host a1 traceroute -n -q 1 -w 2 "${v4[up]}")
    printf '\n$ traceroute %s\n%s\n' "${v4[up]}" "$route"
    grep -q '^ 1  10\.0\.1\.1 ' <<<"$route" || die "traceroute does not show the router"
    hops=$(grep -c '^ *[0-9]' <<<"$route")
    [ "$hops" = 2 ] || die "traceroute shows $hops hops, not 2"
}

prove_tables() {
    local packets
    show topology show -brief
    show br1 fdb show
    show r1 route show
    show r1 arp-table show
    show r1 counters show
    show watch counters show
    packets=$(pctl watch counters received show -json | jq '[.[].packets] | add')
    [ "$packets" -gt 0 ] || die "the transparent cube saw no packet"
    packets=$(pctl fw1 counters received show -json | jq '[.[].packets] | add')
    [ "$packets" -gt 0 ] || die "the forwarder saw no packet"
    pctl br1 fdb entry show -json | jq -e 'length >= 2' >/dev/null || die "br1 did not learn its hosts"
}

# ---- the run ----

lab=pcnq lab_base=/run/polycube-quickstart
. "$(dirname "$0")/lab.sh"
keep=
case ${1-} in
"") ;;
--keep) keep=1 ;;
--down)
    need_root
    for kept in "$lab_base"/*/; do
        [ ! -d "$kept" ] || (lab_id=$(basename "$kept") && lab_dir=$lab_base/$lab_id && lab_down)
    done
    exit 0
    ;;
*) die "unknown option $1: --keep or --down" ;;
esac
case $type in TC | XDP_SKB | XDP_DRV) ;; *) die "TYPE=$type: TC, XDP_SKB or XDP_DRV" ;; esac

need_root
if [ -n "${BUILD-}" ]; then
    build=$(realpath "$BUILD")
else
    "$top/scripts/setup.sh" run build test
    configure_and_build release polycubed polycubectl cubes
    build=$top/build/release
fi

trap lab_down EXIT
started=$(date +%s%N)
lab_up
build_network
say "6 cubes of 5 kinds at $type, 5 hosts: up in $((($(date +%s%N) - started) / 1000000)) ms"
prove_ping
prove_tcp
prove_http
prove_traceroute
prove_tables

printf '\n'
say "all of it works: $throughput Gbit/s and $latency ms across bridge, router and bridge; $hops hops to the uplink"
if [ -n "$keep" ]; then
    trap - EXIT
    printf '%s\n' "It is still up. Play with it:" \
        "  export POLYCUBECTL_URL=unix://$lab_dir/run/default/api.sock" \
        "  $build/bin/polycubectl r1 show" \
        "  ip netns exec $lab_id-a1 ping ${v4[b1]}" \
        "and remove it with: scripts/quickstart.sh --down"
fi
