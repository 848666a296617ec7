#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A nat on the uplink port of a router: IPv6, NPTv6, hosts inside by their addresses outside, who may send from outside.
# Hosts a and b are inside; server s outside has no route back to them.
. "$(dirname "$0")/hosts.sh"

nat() { pctl n1 "$@"; }
fetch() { in_host "$1" curl -gsf --max-time 10 "http://$2/100000"; }
table() { rest GET "nat/n1/natting-table/?filter=$1"; }
# udp_hear HOST PORT ADDRESS: asks ADDRESS from PORT, and tells in a file of the next datagram, from wherever it comes.
udp_hear() {
    in_host "$1" timeout 4 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3); s.bind(('', $2)); s.sendto(b'q', ('$3', 5353)); s.recv(99); print('open', flush=True)
print('heard %s %d' % s.recvfrom(99)[1])" >"$lab_dir/heard" 2>/dev/null &
}
udp_tell() {
    in_host "$1" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$2', 7777)); s.sendto(b'hello', ('$3', $4))"
}
# Wrong checksums in FILE; frames that were put together on receipt keep that of their first one.
bad_checksums() {
    decode "$1" -Y 'frame.len <= 1514 && (ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmpv6.checksum.status == 0 || icmp.checksum.status == 0)'
}

lab_up
lab_host a 10.0.1.2/24 10.0.1.1 fd00:1:0:1::2/64 fd00:1:0:1::1
lab_host b 10.0.1.3/24 10.0.1.1 fd00:1:0:1::3/64 fd00:1:0:1::1
lab_host s 198.51.100.2/24 198.51.100.1 2001:db8:f::2/64 2001:db8:f::1
in_host s ip address add 198.51.100.3/24 dev eth0
pctl simplebridge add br1 type="$type"
pctl br1 ports add a peer=to.a
pctl br1 ports add b peer=to.b
pctl router add r1 type="$type"
pctl br1 ports add r
pctl r1 ports add in ip=10.0.1.1/24
pctl connect br1:r r1:in
pctl r1 ports add up peer=to.s ip=198.51.100.1/24
pctl r1 ports in secondaryip add fd00:1:0:1::1/64
pctl r1 ports up secondaryip add 2001:db8:f::1/64
pctl r1 route add 203.0.113.0/24 198.51.100.2
pctl r1 route add 2001:db8:1::/48 2001:db8:f::2
in_host s ip route replace 203.0.113.0/24 via 198.51.100.1
for where in "a 10.0.1.2" "b 10.0.1.3" "s 198.51.100.2" "a fd00:1:0:1::2" "b fd00:1:0:1::3" "s 2001:db8:f::2"; do
    serve "${where% *}" "${where#* }" tcp/80 udp/5353
done
served
pctl nat add n1 type="$type"
pctl attach n1 r1:up position=first
expect "s is there" eventually in_host s ping -q -c 1 -W 1 2001:db8:f::1

# ---- NAT66 ----
expect "a source outside" nat rule snat append internal-net=fd00:1:0:1::/64 external-ip=2001:db8:1::1
expect "ping" eventually pings a 2001:db8:f::2
expect "of another host" pings b 2001:db8:f::2
expect_output "TCP" '^s 2001:db8:1::1 ' fetch a '[2001:db8:f::2]'
expect_output "UDP keeps its port" '^s 2001:db8:1::1 4000 1$' udp_ask a 2001:db8:f::2 5353 4000
expect_output "which is taken then" '^s 2001:db8:1::1 [0-9]+ 1$' udp_ask b 2001:db8:f::2 5353 4000
expect_output "and shown" '"internal-src":"fd00:1:0:1::2","internal-dst":"2001:db8:f::2","internal-sport":4000,"internal-dport":5353,"proto":"UDP","originating-rule":"snat","rule-id":1,"external-ip":"2001:db8:1::1","external-port":4000' \
    table internal-src=fd00:1:0:1::2,proto=UDP
expect_output "fragments" '^s 2001:db8:1::1 4002 4000$' udp_ask a 2001:db8:f::2 5353 4002 4000
expect "large echoes" in_host a ping -q -c 2 -i 0.2 -W 2 -s 4000 2001:db8:f::2
expect_output "an ICMPv6 error comes back" 'Connection refused' udp_refused a 2001:db8:f::2
expect "a port is forwarded" nat rule port-forwarding append external-ip=2001:db8:1::2 external-port=8000 proto=TCP internal-ip=fd00:1:0:1::2 internal-port=80
expect_output "to it" '^a 2001:db8:f::2 ' fetch s '[2001:db8:1::2]:8000'
expect "a whole address" nat rule dnat append external-ip=2001:db8:1::3 internal-ip=fd00:1:0:1::3
expect "is reached" pings s 2001:db8:1::3
expect_output "by TCP" '^b ' fetch s '[2001:db8:1::3]'
expect_output "an ICMPv6 error of a host inside" 'Connection refused' udp_refused s 2001:db8:1::3
expect_output "from inside too, with an address outside" '^b 2001:db8:1::1 ' fetch a '[2001:db8:1::3]'
expect_output "and its errors" 'Connection refused' udp_refused a 2001:db8:1::3
expect_output "IPv4 is nobody's yet" '^s 10\.0\.1\.2 4000 1$' udp_ask a 198.51.100.2 5353 4000
expect_output "a session is forgotten by its key" '^20[04]' rest DELETE nat/n1/natting-table/fd00:1:0:1::2/2001:db8:f::2/4000/5353/UDP/
expect_output "of what no rule makes, nothing is left" 'flushed: 0' nat flush-stale
expect "rules go" nat rule snat entry del
expect_output "then all of their sessions do" 'flushed: [1-9]' nat flush-stale
expect "and the other rules" nat rule dnat entry del
expect "with them" nat rule port-forwarding entry del
expect "a network for a network" nat rule netmap append internal-net=fd00:1:0:1::/64 external-net=2001:db8:1:7::/64
expect_output "out" '^s 2001:db8:1:7::2 ' fetch a '[2001:db8:f::2]'
expect_output "and in" '^b ' fetch s '[2001:db8:1:7::3]'
expect "it goes" nat rule netmap entry del

# ---- NPTv6 ----
expect "a prefix for a prefix" nat rule nptv6 append internal-net=fd00:1::/48 external-net=2001:db8:1::/48
expect_output "out" '^s 2001:db8:1:cf48::2 ' fetch a '[2001:db8:f::2]'
expect_output "and in" '^b 2001:db8:f::2 ' fetch s '[2001:db8:1:cf48::3]'
expect "ping" pings s 2001:db8:1:cf48::2
expect_output "fragments" '^s 2001:db8:1:cf48::2 4002 4000$' udp_ask a 2001:db8:f::2 5353 4002 4000
expect_output "an error comes back" 'Connection refused' udp_refused a 2001:db8:f::2
expect_output "and goes out" 'Connection refused' udp_refused s 2001:db8:1:cf48::2
expect_output "from inside too" '^b 2001:db8:1:cf48::2 ' fetch a '[2001:db8:1:cf48::3]'
expect_output "without sessions" '^\[\]' table proto=UDP,internal-sport=4002,internal-src=fd00:1:0:1::2,external-ip=2001:db8:1:cf48::2
refused "of another length" 'same size' nat rule nptv6 append internal-net=fd00:2::/48 external-net=2001:db8:1::/56
refused "too long" '/16 to /64' nat rule nptv6 append internal-net=fd00:2::/72 external-net=2001:db8:1::/72
refused "IPv4" 'internal-net' nat rule nptv6 append internal-net=10.0.0.0/8 external-net=11.0.0.0/8
refused "the same again" 'a network in common' nat rule nptv6 append internal-net=fd00:1::/48 external-net=2001:db8:2::/48
refused "two families in a rule" 'of one family' nat rule snat append internal-net=fd00:1::/64 external-ip=203.0.113.1
refused "the same of dnat" 'of one family' nat rule dnat append external-ip=2001:db8::1 internal-ip=10.0.1.2
refused "an address of a link" 'not the address of a host' nat rule dnat append external-ip=fe80::1 internal-ip=fd00::1
expect "it goes" nat rule nptv6 entry del

# ---- hairpin ----
expect "sources outside" nat rule snat append internal-net=10.0.1.0/24 external-ip=203.0.113.9
expect "a host outside" nat rule dnat append external-ip=203.0.113.2 internal-ip=10.0.1.2
expect "a port outside" nat rule port-forwarding append external-ip=203.0.113.2 external-port=8000 proto=TCP internal-ip=10.0.1.3 internal-port=80
expect_output "from outside" '^a 198\.51\.100\.2 ' fetch s 203.0.113.2
expect_output "and from inside, with an address outside" '^a 203\.0\.113\.9 ' fetch b 203.0.113.2
expect_output "a port" '^b 203\.0\.113\.9 ' fetch a 203.0.113.2:8000
expect_output "of the host itself" '^b 203\.0\.113\.9 ' fetch b 203.0.113.2:8000
expect "ping" pings b 203.0.113.2
expect_output "UDP keeps its port" '^a 203\.0\.113\.9 4000 1$' udp_ask b 203.0.113.2 5353 4000
expect_output "fragments" '^a 203\.0\.113\.9 4001 4000$' udp_ask b 203.0.113.2 5353 4001 4000
expect_output "an ICMP error" 'Connection refused' udp_refused b 203.0.113.2
expect_output "is in the table once" '^\[\{[^}]*"internal-src":"10.0.1.3","internal-dst":"203.0.113.2","internal-sport":4000[^}]*"external-ip":"203.0.113.9","external-port":4000\}\]$' \
    table internal-sport=4000,internal-dst=203.0.113.2
sessions() { nat session-table show -filter "$1" -json | jq -c 'map(.dst)'; }
expect_output "and in that of all cubes that track" '^\["203.0.113.2"\]$' sessions sport=4000,src=10.0.1.3,dst=203.0.113.2
expect_output "by one key" '^\[\]$' sessions src=203.0.113.9
expect "without it" nat set hairpin=false
expect "nobody inside gets there" blocked in_host b ping -q -c 1 -W 1 203.0.113.2
expect "with it" nat set hairpin=true
expect_output "all do" '^a 203\.0\.113\.9 4006 1$' udp_ask b 203.0.113.2 5353 4006

# ---- who may send from outside ----
expect "endpoint-independent mapping" nat set mapping=endpoint-independent filtering=address-dependent
udp_hear a 6000 198.51.100.2
expect "a port is opened" eventually grep open "$lab_dir/heard"
udp_tell s 198.51.100.3 203.0.113.9 6000
udp_tell s 198.51.100.2 203.0.113.9 6000
expect "to any port of who was asked, and to nobody else" eventually prints 'heard 198\.51\.100\.2 7777' cat "$lab_dir/heard"
expect "endpoint-independent filtering" nat set filtering=endpoint-independent
udp_hear a 6001 198.51.100.2
expect "a port is opened" eventually grep open "$lab_dir/heard"
udp_tell s 198.51.100.3 203.0.113.9 6001
expect "to everybody" eventually prints 'heard 198\.51\.100\.3 7777' cat "$lab_dir/heard"
refused "filtering that is none" 'filtering' nat set filtering=symmetric

# ---- checksums, where no device has them computed later ----
for host in a b s; do
    in_host $host ethtool -K eth0 tx off >/dev/null
done
for host in a s; do capture $host $host.pcap; done
expect "a source outside" nat rule snat append internal-net=fd00:1:0:1::/64 external-ip=2001:db8:1::1
expect_output "IPv6" '^s 2001:db8:1::1 ' fetch a '[2001:db8:f::2]'
expect_output "UDP" '^s 2001:db8:1::1 4007 100$' udp_ask a 2001:db8:f::2 5353 4007 100
expect_output "an error" 'Connection refused' udp_refused a 2001:db8:f::2
expect "ping" pings a 2001:db8:f::2
expect_output "hairpin" '^a 203\.0\.113\.9 ' fetch b 203.0.113.2
expect_output "its errors" 'Connection refused' udp_refused a 203.0.113.2
expect "the last frame is seen" eventually prints 'unreachable' tcpdump -nr "$lab_dir/a.pcap"
expect_output "all are right that s has seen" '^$' bad_checksums s.pcap
expect_output "and those that a has" '^$' bad_checksums a.pcap

# ---- masquerade, with an address of the port that is not its first ----
expect "no source outside" rest PUT nat/n1/rule/snat/entry/ -d '[]'
expect "masquerade for IPv6" nat rule masquerade set enabled=true ipv6=true
expect_output "has the port's address" '2001:db8:f::1' nat show masquerade-ipv6
expect_output "is what the server sees" '^s 2001:db8:f::1 ' fetch a '[2001:db8:f::2]'
expect "another one" pctl r1 ports up secondaryip add 2001:db8:f::99/64
expect "in the place of the first" pctl r1 ports up secondaryip del 2001:db8:f::1/64
expect "is followed" eventually prints '2001:db8:f::99' nat show masquerade-ipv6
expect_output "and seen" '^s 2001:db8:f::99 ' fetch a '[2001:db8:f::2]'

# ---- masquerade, on a device, where inside is the host ----
expect "off the port" pctl detach n1 r1:up
lab_host t 172.16.0.2/24 "" 2001:db8:e::2/64
serve t 2001:db8:e::2 tcp/80
in_host daemon ip addr add 2001:db8:e::1/64 dev to.t nodad
in_host daemon ip addr add fd00:9::9/128 dev lo
expect "a device" pctl nat add n2 type="$type"
expect "has a nat" pctl attach n2 to.t
expect "that masquerades" pctl n2 rule masquerade set enabled=true ipv6=true
expect_output "with its address" '2001:db8:e::1' pctl n2 show masquerade-ipv6
served
expect "ping" eventually in_host daemon ping -q -c 1 -W 1 -I fd00:9::9 2001:db8:e::2
expect_output "TCP" '^t 2001:db8:e::1 ' in_host daemon curl -gsf --max-time 10 --interface fd00:9::9 'http://[2001:db8:e::2]/100000'
expect "a nat goes" pctl nat del n2

finish
