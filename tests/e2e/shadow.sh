#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A router's shadow namespace: packets both ways, addresses and routes mirrored both ways, span.
. "$(dirname "$0")/expect.sh"

r=sh$$
shadow() { ip netns exec "pcn-$r" "$@"; }

lab_up
lab_host a 10.0.1.2/24 10.0.1.1 fd00:1::2/64 fd00:1::1
lab_host b 10.0.2.2/24 10.0.2.1 fd00:2::2/64 fd00:2::1
pctl router add $r type="$type" shadow=true
pctl $r ports add p1 peer=to.a ip=10.0.1.1/24
pctl $r ports p1 secondaryip add fd00:1::1/64
pctl $r ports add p2 peer=to.b ip=10.0.2.1/24
pctl $r ports p2 secondaryip add fd00:2::1/64
pctl $r route add 192.0.2.0/24 10.0.2.2

expect "an address of the configuration is in the namespace" eventually prints 'inet 10\.0\.1\.1/24' shadow ip address show p1
expect "an IPv6 one too" eventually prints 'inet6 fd00:2::1/64' shadow ip address show p2
expect "so is a route" eventually prints '192\.0\.2\.0/24 via 10\.0\.2\.2' shadow ip route
expect "a host reaches the namespace by the router's address" in_host a ping -q -c 2 -i 0.2 -W 2 10.0.1.1
expect "over IPv6" in_host a ping -q -c 2 -i 0.2 -W 2 fd00:1::1
expect "the router forwards all the same" in_host a ping -q -c 2 -i 0.2 -W 2 10.0.2.2
expect "the namespace reaches a host" shadow ping -q -c 2 -i 0.2 -W 3 10.0.1.2
expect "over IPv6" shadow ping -q -c 2 -i 0.2 -W 3 fd00:2::2
shadow nc -l 10.0.1.1 7000 >"$lab_dir/received" &
expect "a server of the namespace listens" eventually prints 7000 shadow ss -Hltn
echo hello | in_host a timeout 5 nc -N 10.0.1.1 7000 || true
expect "and is spoken to by TCP" eventually grep -q hello "$lab_dir/received"

shadow ip address add 10.0.77.1/24 dev p1
expect "an address of the namespace comes to the router" eventually prints 10.0.77.1 pctl $r ports p1 secondaryip show
shadow ip route add 198.51.100.0/24 via 10.0.1.2
expect "a route of the namespace too" eventually prints 198.51.100.0 pctl $r route show
expect "what is shown can be sent back: the route stays the namespace's" comes_back router/$r
shadow ip route del 198.51.100.0/24
expect "and goes with it" eventually prints_not 198.51.100.0 pctl $r route show
shadow ip link set p1 address 02:00:00:00:00:77
expect "a MAC address as well" eventually prints 02:00:00:00:00:77 pctl $r ports p1 mac show
pctl $r ports p2 mac set 02:00:00:00:00:78 2>/dev/null || pctl $r ports p2 set mac=02:00:00:00:00:78
expect "and the other way round" eventually prints 02:00:00:00:00:78 shadow ip link show p2

if [ "$type" = TC ]; then
    pctl $r set span=true
    shadow timeout 10 tcpdump -l -n -i p1 -c 4 icmp >"$lab_dir/span" 2>"$lab_dir/span.log" &
    expect "tcpdump listens" eventually grep -q listening "$lab_dir/span.log"
    in_host a ping -q -c 2 -i 0.2 10.0.2.2 >/dev/null || true
    expect "span shows what is forwarded" eventually grep -q '10.0.1.2 > 10.0.2.2: ICMP echo request' "$lab_dir/span"
    expect "both ways" eventually grep -q '10.0.2.2 > 10.0.1.2: ICMP echo reply' "$lab_dir/span"
    pctl $r set span=false
else
    refused "span is of TC alone" 'type TC' pctl $r set span=true
fi
refused "a bridge has none" 'cannot have a shadow' pctl simplebridge add b1 shadow=true

pctl $r del ports p2
expect "a port takes its device along" prints_not p2@ shadow ip link
pctl router del $r
expect "the namespace goes with the cube" test ! -e /run/netns/pcn-$r
finish
