#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A router between hosts, with the tools that people use.
. "$(dirname "$0")/expect.sh"

lab_up
lab_host a 10.0.1.2/24 10.0.1.1 fd00:1::2/64 fd00:1::1
lab_host b 10.0.2.2/24 10.0.2.1 fd00:2::2/64 fd00:2::1
lab_host c 10.0.3.2/24 10.0.3.1 fd00:3::2/64 fd00:3::1
ip -n "$lab_id-daemon" link set to.c mtu 1400
ip -n "$lab_id-c" link set eth0 mtu 1400
pctl router add r1 type="$type"
for n in 1 2 3; do
    host=$(printf '%s' " abc" | cut -c$((n + 1)))
    pctl r1 ports add p$n peer=to.$host ip=10.0.$n.1/24
    pctl r1 ports p$n secondaryip add fd00:$n::1/64
done

expect "the router answers" in_host a ping -q -c 2 -i 0.2 -W 2 10.0.1.1
expect "by its other addresses too" in_host a ping -q -c 1 -W 2 10.0.2.1
expect "over IPv6" in_host a ping -q -c 2 -i 0.2 -W 2 fd00:1::1
expect "a large echo" in_host a ping -q -c 1 -W 2 -s 1400 10.0.1.1
expect "hosts reach each other" in_host a ping -q -c 2 -i 0.2 -W 2 10.0.2.2
expect "over IPv6" in_host a ping -q -c 2 -i 0.2 -W 2 fd00:2::2
expect_output "traceroute shows the router" '^ *1 +10\.0\.1\.1 ' in_host a traceroute -n -q 1 -w 2 10.0.2.2
expect_output "and over IPv6" '^ *1 +fd00:1::1 ' in_host a traceroute -6 -n -q 1 -w 2 fd00:2::2
expect_output "no route" 'Net Unreachable' in_host a ping -c 1 -W 2 192.0.2.1
expect_output "no route over IPv6" 'No route' in_host a ping -c 1 -W 2 2001:db8::1
expect_output "no such host" 'Host Unreachable' in_host a ping -c 1 -W 5 10.0.2.99
expect_output "too big to pass" '(mtu ?= ?1400|Message too long)' in_host a ping -c 1 -W 2 -M do -s 1400 10.0.3.2
expect_output "too big over IPv6" '(mtu ?[=:] ?1400|Message too long)' in_host a ping -c 1 -W 2 -M do -s 1400 fd00:3::2
in_host a ip route flush cache
expect "what may be fragmented arrives" in_host a ping -q -c 3 -i 0.2 -W 2 -M dont -s 1400 10.0.3.2

in_host b python3 -m http.server --bind 10.0.2.2 8080 >/dev/null 2>&1 &
expect "a server listens" eventually prints 8080 in_host b ss -Hltn
pctl r1 arp-table del >/dev/null 2>&1 || rest DELETE router/r1/arp-table/ >/dev/null
expect "the first packet of a connection waits for its neighbour" in_host a curl -sS --max-time 3 -o /dev/null http://10.0.2.2:8080/
expect "a port nobody listens on" prints 'connect to server' sh -c "nsenter --net=/run/netns/$lab_id-a curl -sS --max-time 3 http://10.0.2.2:81/ 2>&1 || true"

pctl r1 route add 192.0.2.0/24 10.0.2.2
in_host b ip address add 192.0.2.1/32 dev lo
expect "a static route" in_host a ping -q -c 1 -W 2 192.0.2.1
pctl r1 route add 192.0.2.1/32 blackhole
expect "a longer prefix wins, and a blackhole swallows" sh -c "! nsenter --net=/run/netns/$lab_id-a ping -q -c 1 -W 1 192.0.2.1"
expect "its drops are counted" prints blackhole pctl r1 counters dropped show
pctl r1 del route 192.0.2.1/32 blackhole
expect "and it can be taken away" in_host a ping -q -c 1 -W 2 192.0.2.1
pctl r1 route add 0.0.0.0/0 10.0.2.2
expect "a default route" in_host a ping -q -c 1 -W 2 192.0.2.1

expect "neighbours are learned" prints '10\.0\.2\.2 .*REACHABLE' pctl r1 arp-table show
mac=$(ip -n "$lab_id-b" -br link show eth0 | awk '{print $3}')
pctl r1 arp-table add 10.0.2.50 mac="$mac" interface=p2
in_host b ip address add 10.0.2.50/24 dev eth0
expect "a static neighbour is used" in_host a ping -q -c 1 -W 2 10.0.2.50
expect "what is shown can be sent back" comes_back router/r1
refused "two routers of one address" 'already' pctl r1 ports add p4 ip=10.0.1.1/24
refused "a gateway that nobody is at" 'in no network' pctl r1 route add 203.0.113.0/24 172.16.0.1
refused "a prefix that is none" 'prefix|network' pctl r1 route add 10.0.0.0/33 10.0.2.2
refused "a MAC of a group" 'mac' pctl r1 ports p1 set mac=ff:ff:ff:ff:ff:ff
expect "nothing of it was taken over" prints_not '203\.0\.113|/33|p4' pctl r1 show -json
expect "and packets still pass" in_host a ping -q -c 1 -W 2 10.0.2.2

rest GET router/r1/ | sed '$d' >"$lab_dir/r1.json"
pctl router del r1
expect "what was shown of a router makes it anew" prints '^201$' rest PUT router/r1/ -d "@$lab_dir/r1.json"
expect "and packets pass again" eventually in_host a ping -q -c 1 -W 1 10.0.2.2
pctl r1 del route 10.0.2.0/24 local
expect "the network of a port's address stays where its route was configured, too" in_host a ping -q -c 1 -W 2 10.0.2.2
pctl r1 ports del p2
expect "and goes with the port" prints_not '10\.0\.2\.0/24' pctl r1 route show
finish
