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
base=/run/polycube-quickstart
hosts="a1 a2 b1 b2 up"

# ---- up and down ----

pid_of() { cat "$1/polycubed.pid" 2>/dev/null || true; }

# remove ID: the daemon, the namespaces, what it wrote.
remove() {
    local id=$1 dir=$base/$1 pid
    pid=$(pid_of "$dir")
    if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
    fi
    for namespace in $hosts daemon; do
        # Servers that were interrupted with us: nobody else is in there.
        ip netns pids "pcnq$id-$namespace" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "pcnq$id-$namespace" 2>/dev/null || true
    done
    mountpoint -q "$dir/bpf" && umount "$dir/bpf"
    rm -rf "$dir"
    rmdir "$base" 2>/dev/null || true
}

in_host() {
    local host=$1
    shift
    nsenter --net="/run/netns/pcnq$id-$host" -- "$@"
}

pctl() { "$polycubectl" --url "unix://$dir/run/default/api.sock" "$@"; }

# A command as the reader would type it, and what it prints.
show() {
    printf '\n$ polycubectl %s\n' "$*"
    pctl "$@"
}

start_daemon() {
    mkdir -p "$dir/bpf" "$dir/run"
    mount -t bpf bpf "$dir/bpf"
    ip netns add "pcnq$id-daemon"
    ip -n "pcnq$id-daemon" link set lo up
    in_host daemon "$build/bin/polycubed" --port 0 --bpffs "$dir/bpf" --rundir "$dir/run" \
        --cubesdir "$build/cubes" --logfile "$dir/polycubed.log" --pidfile "$dir/polycubed.pid" \
        --configfile /dev/null >"$dir/stdout" 2>&1 </dev/null &
    for _ in $(seq 200); do
        pctl version >/dev/null 2>&1 && return
        kill -0 $! 2>/dev/null || { cat "$dir/stdout" >&2; die "polycubed did not start"; }
        sleep 0.02
    done
    cat "$dir/stdout" >&2
    die "polycubed does not answer"
}

# add_host NAME IPV4 IPV6 GATEWAY4 GATEWAY6: a namespace; its veth's other end, to.NAME, is where the daemon is.
add_host() {
    local name=$1 namespace="pcnq$id-$1"
    ip netns add "$namespace"
    ip -n "pcnq$id-daemon" link add "to.$name" type veth peer name eth0 netns "$namespace"
    ip -n "pcnq$id-daemon" link set "to.$name" up
    ip -n "$namespace" link set lo up
    ip -n "$namespace" link set eth0 up
    ip -n "$namespace" address add "$2/24" dev eth0
    ip -n "$namespace" address add "$3/64" dev eth0 nodad
    ip -n "$namespace" route add default via "$4"
    ip -n "$namespace" -6 route add default via "$5"
    # XDP over veth: nobody fills in checksums on the way, and frames are redirected to ends that poll (GRO).
    [ "$type" = TC ] || in_host "$name" ethtool -K eth0 tx off tso off gro on >/dev/null
}

build_network() {
    add_host a1 10.0.1.11 fd00:0:0:1::11 10.0.1.1 fd00:0:0:1::1
    add_host a2 10.0.1.12 fd00:0:0:1::12 10.0.1.1 fd00:0:0:1::1
    add_host b1 10.0.2.11 fd00:0:0:2::11 10.0.2.1 fd00:0:0:2::1
    add_host b2 10.0.2.12 fd00:0:0:2::12 10.0.2.1 fd00:0:0:2::1
    add_host up 10.0.3.2 fd00:0:0:3::2 10.0.3.1 fd00:0:0:3::1

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
    in_host b1 iperf3 -s -1 -D -I "$dir/iperf.pid" >/dev/null
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
    mkdir "$dir/www"
    head -c 32M /dev/urandom >"$dir/www/file"
    nsenter --net="/run/netns/pcnq$id-b2" -- python3 -m http.server --directory "$dir/www" --bind "${v4[b2]}" 8080 >/dev/null 2>&1 &
    local server=$! sum
    sum=$(in_host a2 curl -sS --fail --retry 20 --retry-delay 0 --retry-connrefused --max-time 20 \
        "http://${v4[b2]}:8080/file" | sha256sum) || { kill $server; die "the download failed"; }
    kill $server
    wait $server 2>/dev/null || true
    [ "$sum" = "$(sha256sum <"$dir/www/file")" ] || die "the download differs from the file"
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

keep=
case ${1-} in
"") ;;
--keep) keep=1 ;;
--down)
    need_root
    for kept in "$base"/*/; do
        [ ! -d "$kept" ] || remove "$(basename "$kept")"
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

id=$$ dir=$base/$$ polycubectl=$build/bin/polycubectl
trap 'remove $id' EXIT
started=$(date +%s%N)
start_daemon
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
        "  export POLYCUBECTL_URL=unix://$dir/run/default/api.sock" \
        "  $polycubectl r1 show" \
        "  ip netns exec pcnq$id-a1 ping ${v4[b1]}" \
        "and remove it with: scripts/quickstart.sh --down"
fi
