#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Client c, an lbdsr, and a bridge with backends b1 and b2, which own the VIPs on a loopback device.
. "$(dirname "$0")/balancer.sh"

# What is configured, without counters.
services() { rest GET lbdsr/lb1/service/ | sed -E 's/"(packets|bytes)":[0-9]+//g'; }
# outer_take HOST: takes outer headers off, as devices of types that not every kernel has do: IP, GUE, Geneve.
outer_take() {
    start "$1" python3 -c "
import fcntl, os, select, socket, struct, subprocess
def whole(packet):
    # What its sender, or receipt (GRO), left to a device: there is the sum of the pseudo header alone.
    if packet[0] >> 4 == 6:
        start, protocol, addresses = 40, packet[6], packet[8:40]
    else:
        start, protocol, addresses = (packet[0] & 15) * 4, packet[9], packet[12:20]
    if protocol != 6: return packet
    tcp = packet[start:start + 16] + bytes(2) + packet[start + 18:]
    pseudo = addresses + struct.pack('!HH', 6, len(tcp))
    if int.from_bytes(packet[start + 16:start + 18], 'big') != int.from_bytes(pseudo, 'big') % 65535: return packet
    check = 65535 - int.from_bytes(pseudo + tcp + bytes(len(tcp) % 2), 'big') % 65535
    return packet[:start] + tcp[:16] + struct.pack('!H', check) + tcp[18:]
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH', b'tun', 0x1001))
strip = {}
for family in socket.AF_INET, socket.AF_INET6:
    for protocol in 4, 41:
        raw = socket.socket(family, socket.SOCK_RAW, protocol)
        strip[raw] = 20 if family == socket.AF_INET else 0
for port, headers in (6080, 0), (6081, 22):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_UDP, 102, 1) # UDP_NO_CHECK6_RX
    udp.bind(('::', port))
    strip[udp] = headers
subprocess.check_call(['ip', 'link', 'set', 'tun', 'up'])
while True:
    for ready in select.select(list(strip), [], [])[0]:
        os.write(tun, whole(ready.recv(65536)[strip[ready]:]))"
}

lab_up
lab_host c 10.0.0.2/24 "" fd00::2/64
for n in 1 2; do
    lab_host b$n 10.0.0.1$n/24 "" fd00::1$n/64
    in_host b$n ip address add fd00::100/128 dev lo
    in_host b$n sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    for vip in 10.0.0.{100..109}/32 fd00::{101..104}/128; do in_host b$n ip address add $vip dev lo; done
    serve b$n :: tcp/80
done
head -c 2000000 /dev/zero >"$lab_dir/body"
balancer lbdsr b1 b2
served
expect "what is not balanced passes" eventually in_host c ping -q -c 1 -W 1 10.0.0.11
expect "both ways" in_host b2 ping -q -c 1 -W 2 10.0.0.2

# ---- L2DSR ----
expect "a service" lb service add 10.0.0.100 80 TCP
refused "has nobody yet" '' fetch 10.0.0.100 0.3
expect_output "which is counted" '"packets": *[1-9]' lb counters dropped no-backend show -json
expect "a backend" lb service 10.0.0.100 80 TCP backend add 10.0.0.11 mac="$(mac_of b1)"
expect_output "serves" '^b1' fetch 10.0.0.100
expect "another one" lb service 10.0.0.100 80 TCP backend add 10.0.0.12 mac="$(mac_of b2)" weight=3
expect_output "both do" ' b1' fetch_all 10.0.0.100 40
expect_output "by their weight" ' (2[0-9]|3[0-9]) b2' fetch_all 10.0.0.100 40
expect_output "places by weight" '"places": *16384' lb service 10.0.0.100 80 TCP backend show 10.0.0.11 -json
expect_output "the VIP answers" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 10.0.0.100
expect_output "a large body comes" '^3000000$' fetched http://10.0.0.100/3000000
expect_output "and goes" '2000000' in_host c curl -s --max-time 5 -H Expect: --data-binary @"$lab_dir/body" http://10.0.0.100/
expect_output "counters" '"packets": *[1-9]' lb service show 10.0.0.100 80 TCP -json
expect_output "hits" '"hits": *[1-9]' lb statistics show -json

# ---- drain, add, remove ----
downloads_start
fetches_start
expect "new ones, too" fetches_pass
expect "a backend is added" lb service 10.0.0.100 80 TCP backend add 10.0.0.13 mac="$(mac_of b1)"
expect "and gets some" eventually prints '"packets": *[1-9]' lb service 10.0.0.100 80 TCP backend show 10.0.0.13 -json
expect "and drained" lb service 10.0.0.100 80 TCP backend 10.0.0.13 set weight=0
expect "so that what it has ends" fetches_pass
expect "and removed" lb service 10.0.0.100 80 TCP backend del 10.0.0.13
expect "new ones do" fetches_pass
expect "one is drained" lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=0
expect_output "new flows go to the other" ' 20 b1' fetch_all 10.0.0.100 20
fetches_end
expect "the other is drained" lb service 10.0.0.100 80 TCP backend 10.0.0.11 set weight=0
expect "the first is back" lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=2
expect_output "they still run" '^ *16$' established
downloads_end
expect "drained, it can go" lb service 10.0.0.100 80 TCP backend del 10.0.0.11
expect_output "one serves all" ' 10 b2' fetch_all 10.0.0.100 10

# ---- IPIP ----
for n in 1 2; do
    outer_take b$n
    expect "a tunnel's end" eventually prints UP in_host b$n ip link show tun
done
refused "IPIP without a source" 'outer-source' lb service add 10.0.0.101 80 TCP mode=IPIP
expect "sources" lb set outer-source=10.200.0.0/16
expect "a service" lb service add 10.0.0.101 80 TCP mode=IPIP
refused "a backend that is the VIP" 'backend 10.0.0.101 is the vip itself' lb service 10.0.0.101 80 TCP backend add 10.0.0.101 mac=02:00:00:00:00:11
refused "a backend without a way to it" 'no mac' lb service 10.0.0.101 80 TCP backend add 10.0.0.11
for n in 1 2; do
    expect "a backend" lb service 10.0.0.101 80 TCP backend add 10.0.0.1$n mac="$(mac_of b$n)"
done
expect_output "serves" ' b1' fetch_all 10.0.0.101 30
expect_output "and the other" ' b2' fetch_all 10.0.0.101 30
expect_output "a large body comes" '^3000000$' fetched http://10.0.0.101/3000000
if [ "$type" = TC ]; then
    expect_output "and goes, as GSO packets" '2000000' in_host c curl -sS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" http://10.0.0.101/
    in_host c ethtool -K eth0 tx off tso off gso off >/dev/null
fi
expect_output "and goes, in packets that fit" '2000000' in_host c curl -sS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" http://10.0.0.101/
expect_output "which the client was told" 'mtu 1480' in_host c ip route get 10.0.0.101
refused "the source cannot go" 'outer-source' lb set outer-source=

# ---- other outer headers ----
expect "sources of IPv6" lb set outer-source6=2001:db8:200::/64
in_host b1 ip link add vx type vxlan id 77 dstport 4789 local 10.0.0.11
in_host b1 ip link add vx6 type vxlan id 78 dstport 4790 local fd00::11 udp6zerocsumrx
for device in vx vx6; do
    in_host b1 ip link set $device up
    in_host b1 sysctl -qw net.ipv4.conf.$device.rp_filter=0
done
# encapsulated VIP BACKEND MODE...: a service of one backend, which answers.
encapsulated() {
    local vip=$1 backend=$2 inner=
    shift 2
    [[ $* != *VXLAN* ]] || inner=inner-mac=$(mac_of b1 "$(case $backend in *:*) echo vx6 ;; *) echo vx ;; esac)")
    expect "$* to $backend" lb service add "$vip" 80 TCP mode="$@"
    # shellcheck disable=SC2086
    expect "its backend" lb service "$vip" 80 TCP backend add "$backend" mac="$(mac_of b1)" $inner
    [[ $vip != *:* ]] || vip="[$vip]"
    expect_output "serves" ' 3 b1' fetch_all "$vip" 3
}
capture b1 wire.pcap -Q in 'ip proto 4 or ip proto 41 or ip6 proto 4 or ip6 proto 41 or udp'
encapsulated 10.0.0.109 10.0.0.11 IPIP
encapsulated 10.0.0.103 fd00::11 IPIP
encapsulated fd00::101 10.0.0.11 IPIP
encapsulated fd00::102 fd00::11 IPIP
encapsulated 10.0.0.104 10.0.0.11 GUE
encapsulated 10.0.0.105 fd00::11 GUE
encapsulated 10.0.0.106 10.0.0.11 VXLAN vni=77 outer-dscp=10
encapsulated fd00::103 fd00::11 VXLAN vni=78 udp-port=4790
encapsulated 10.0.0.107 10.0.0.11 GENEVE vni=79
encapsulated fd00::104 fd00::11 GENEVE vni=80
kill "$capture"
wait "$capture" 2>/dev/null || true
expect_output "a large body in VXLAN" '2000000' in_host c curl -sS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" http://10.0.0.106/
expect_output "in GUE, of IPv6" '2000000' in_host c curl -sS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" http://10.0.0.105/
expect_output "of IPv6 in IPv4" '2000000' in_host c curl -sS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" 'http://[fd00::101]/'
expect_output "which the client was told" 'mtu 1480' in_host c ip -6 route get fd00::101
if [ "$type" = TC ]; then
    in_host c ethtool -K eth0 tx on tso on gso on >/dev/null
    for vip in 10.0.0.103 10.0.0.104 10.0.0.105 10.0.0.106 10.0.0.107; do
        expect_output "and as GSO packets" '2000000' in_host c curl -sS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" http://$vip/
    done
    in_host c ethtool -K eth0 tx off tso off gso off >/dev/null
fi
# decoded PATTERN: tshark sees this: protocols|IPv4 from|to|IPv6 from|to|DSCP|port|VNI|VNI|checksums of IP|UDP|TCP.
decoded() { grep -E "$1" "$lab_dir/decoded"; }
decode wire.pcap -d udp.port==6080,ip -d udp.port==4790,vxlan -T fields -E separator='|' -e frame.protocols -e ip.src \
    -e ip.dst -e ipv6.src -e ipv6.dst -e ip.dsfield.dscp -e udp.dstport -e vxlan.vni -e geneve.vni -e ip.checksum.status \
    -e udp.checksum.status -e tcp.checksum.status >"$lab_dir/decoded" || true
expect "no checksum is wrong" awk -F'|' '$10 $11 $12 ~ /0/ { wrong++ } END { exit NR == 0 || wrong > 0 }' "$lab_dir/decoded"
expect "tshark sees IPv4 in IPv4" decoded '^[a-z:]*:ip:ip:tcp.*\|10\.200\.[0-9.]+,10\.0\.0\.2\|10\.0\.0\.11,10\.0\.0\.109\|.*\|1,1\|\|1$'
expect "IPv4 in IPv6" decoded ':ipv6:ip:tcp.*\|10\.0\.0\.2\|10\.0\.0\.103\|2001:db8:200::[0-9a-f:]+\|fd00::11\|.*\|1\|\|1$'
expect "IPv6 in IPv4" decoded ':ip:ipv6:tcp.*\|10\.200\.[0-9.]+\|10\.0\.0\.11\|fd00::2\|fd00::101\|.*\|1\|\|1$'
expect "IPv6 in IPv6" decoded ':ipv6:ipv6:tcp.*\|2001:db8:200::[0-9a-f:]+,fd00::2\|fd00::11,fd00::102\|.*\|1$'
expect "GUE" decoded ':ip:udp:ip:tcp.*\|10\.200\.0\.1,10\.0\.0\.2\|10\.0\.0\.11,10\.0\.0\.104\|.*\|6080\|\|\|1,1\|3\|1$'
expect "GUE over IPv6" decoded ':ipv6:udp:ip:tcp.*\|10\.0\.0\.105\|2001:db8:200::1\|fd00::11\|.*\|6080\|\|\|1\|4\|1$'
expect "VXLAN, with its DSCP" decoded ':ip:udp:vxlan:eth:ethertype:ip:tcp.*\|10\.0\.0\.11,10\.0\.0\.106\|.*\|10,0\|4789\|77\|\|1,1\|3\|1$'
expect "VXLAN over IPv6" decoded ':ipv6:udp:vxlan:eth:ethertype:ipv6:tcp.*\|fd00::11,fd00::103\|.*\|4790\|78\|\|\|4\|1$'
expect "Geneve" decoded ':ip:udp:geneve:eth:ethertype:ip:tcp.*\|10\.0\.0\.11,10\.0\.0\.107\|.*\|6081\|\|0x00004f\|1,1\|3\|1$'
expect "Geneve over IPv6" decoded ':ipv6:udp:geneve:eth:ethertype:ipv6:tcp.*\|fd00::11,fd00::104\|.*\|6081\|\|0x000050\|\|4\|1$'

# ---- VLAN ----
expect "a service" lb service add 10.0.0.108 53 UDP
expect "whose backend is in a VLAN" lb service 10.0.0.108 53 UDP backend add 10.0.0.11 mac="$(mac_of b1)" vlan=20
in_host b1 timeout 9 tcpdump -l -n --immediate-mode -c 1 -i eth0 'vlan 20 and udp port 53' >"$lab_dir/vlan" 2>"$lab_dir/tcpdump" &
expect "it listens" eventually grep -q 'listening' "$lab_dir/tcpdump"
in_host c bash -c 'echo >/dev/udp/10.0.0.108/53'
expect "gets its packets there" eventually grep -q '10.0.0.108.53' "$lab_dir/vlan"
expect "it goes" lb service del 10.0.0.108 53 UDP

# ---- tenants ----
# tagged VLAN: the client sends one packet to port 53 in it.
tagged() {
    in_host c python3 -c "
import socket, struct
udp = struct.pack('!4H', 1000, 53, 12, 0) + b'tag\n'
ip = struct.pack('!2B3H2BH', 69, 0, 32, 1, 0, 64, 17, 0) + bytes([10, 0, 0, 2, 10, 0, 0, 108])
total = sum(struct.unpack('!10H', ip)); total = (total >> 16) + (total & 65535)
frame = b'\2\0\0\0\0\x99\2\0\0\0\0\1' + struct.pack('!3H', 0x8100, $1, 0x800) + ip[:10] + struct.pack('!H', 65535 - total) + ip[12:] + udp
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); raw.bind(('eth0', 0)); raw.send(frame)"
}
expect "a tenant's service" lb service add 10.0.0.108 53 UDP vlan=30
expect "its backend" lb service 10.0.0.108 53 UDP backend add 10.0.0.11 mac="$(mac_of b1)"
expect "another one's, with the same VIP" lb service add 10.0.0.108%green 53 UDP vlan=31
expect "its backend" lb service 10.0.0.108%green 53 UDP backend add 10.0.0.12 mac="$(mac_of b2)"
tagged 32
tagged 31
tagged 30
expect "takes what is of its VLAN" eventually prints '"packets": *1\b' lb service show 10.0.0.108 53 UDP -json
expect "so does the other one" eventually prints '"packets": *1\b' lb service show 10.0.0.108%green 53 UDP -json
expect_output "it is listed by that name" '10.0.0.108%green' lb service show
expect_output "and so in REST" '"vip":"10.0.0.108%green"' rest GET lbdsr/lb1/service/10.0.0.108%25green/53/UDP/
refused "a VIP that is none" 'give an IPv4 or IPv6 address, with or without % and the name of a zone, for example 203.0.113.1' lb service add 10.0.0.256 80 TCP
refused "two of one VLAN" 'service/10.0.0.108%green/53/UDP: service/10.0.0.108/53/UDP takes' lb service 10.0.0.108%green 53 UDP set vlan=30
expect_output "they change places" '^20[014]$' rest PATCH lbdsr/lb1/ -d '{"service":[{"vip":"10.0.0.108","port":53,"proto":"UDP","vlan":31},{"vip":"10.0.0.108%green","port":53,"proto":"UDP","vlan":30}]}'
tagged 30
expect "packets follow" eventually prints '"packets": *2\b' lb service show 10.0.0.108%green 53 UDP -json
expect "it goes" lb service del 10.0.0.108 53 UDP
tagged 30
expect "the other one stays" eventually prints '"packets": *3\b' lb service show 10.0.0.108%green 53 UDP -json
expect "it goes, too" lb service del 10.0.0.108%green 53 UDP

# ---- who may, and connection ids ----
expect "a network that may" lb service 10.0.0.109 80 TCP allow add 198.51.100.0/24
refused "the client may not" '' fetch 10.0.0.109 0.3
expect_output "which is counted" '"packets": *[1-9]' lb counters dropped not-allowed show -json
expect "its network may" lb service 10.0.0.109 80 TCP allow add 10.0.0.0/24
expect_output "it is served" ' 3 b1' fetch_all 10.0.0.109 3
expect "it may not any more" lb service 10.0.0.109 80 TCP allow del 10.0.0.0/24
refused "and is not" '' fetch 10.0.0.109 0.3
expect "all may" lb service 10.0.0.109 80 TCP allow del 198.51.100.0/24
expect_output "and are served" ' 3 b1' fetch_all 10.0.0.109 3
refused "a network of the other version" 'not IPv4' lb service 10.0.0.109 80 TCP allow add 2001:db8::/32
refused "QUIC over TCP" 'UDP' lb service 10.0.0.109 80 TCP set quic-config=1
expect "QUIC" lb service add 10.0.0.108 443 UDP quic-config=1
for n in 1 2; do
    expect "a server" lb service 10.0.0.108 443 UDP backend add 10.0.0.1$n mac="$(mac_of b$n)" server-id=$((n + 256))
done
refused "a server's id twice" 'server-id 257' lb service 10.0.0.108 443 UDP backend 10.0.0.12 set server-id=257
for id in 1 2 1; do
    in_host c bash -c "printf '\\x40\\x20\\x01\\x0${id}rest' >/dev/udp/10.0.0.108/443"
done
expect_output "its packets go where their ids say" '"packets": *2' lb service 10.0.0.108 443 UDP backend show 10.0.0.11 -json
expect_output "and there" '"packets": *1' lb service 10.0.0.108 443 UDP backend show 10.0.0.12 -json
expect "it goes" lb service del 10.0.0.108 443 UDP

# ---- L3DSR ----
in_host b1 nft 'table ip marks { chain in { type filter hook prerouting priority raw; ip dscp 12 ip daddr set 10.0.0.108; }; }'
expect "a mark" lb service add 10.0.0.108 80 TCP mode=L3DSR outer-dscp=12
refused "a backend of the other version" 'not IPv4' lb service 10.0.0.108 80 TCP backend add fd00::11 mac="$(mac_of b1)"
expect "a backend that knows it" lb service 10.0.0.108 80 TCP backend add 10.0.0.11 mac="$(mac_of b1)"
expect_output "serves" ' 3 b1' fetch_all 10.0.0.108 3
expect "it goes" lb service del 10.0.0.108 80 TCP

# ---- IPv6 ----
expect "a service of IPv6" lb service add fd00::100 80 TCP
for n in 1 2; do expect "a backend" lb service fd00::100 80 TCP backend add fd00::1$n mac="$(mac_of b$n)"; done
expect_output "serves" ' b1' fetch_all '[fd00::100]' 20
expect_output "and the other" ' b2' fetch_all '[fd00::100]' 20

expect_output "its VIP answers" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 fd00::100

# ---- as Polycube has it ----
expect "the one VIP" lb frontend set vip=10.0.0.102
expect "its backends" lb backend pool add 1 mac="$(mac_of b1)"
expect "are a pool" lb backend pool add 2 mac="$(mac_of b2)"
expect_output "all its ports" ' b1' fetch_all 10.0.0.102 20
expect_output "are balanced" ' b2' fetch_all 10.0.0.102 20
expect_output "echoes too" ' 0% packet loss' in_host c ping -q -c 1 -W 2 10.0.0.102
expect "one is enough" lb backend pool del 1
expect_output "the other" ' 10 b2' fetch_all 10.0.0.102 10

expect "what is shown can be sent back" comes_back lbdsr/lb1

# ---- bad input ----
before=$(services)
refused "a VIP twice" 'exist' lb service add 10.0.0.100 80 TCP
refused "the one VIP twice" 'one of them has to go' lb service add 10.0.0.102 0 ALL
refused "under another name" 'one of them has to go' lb service add 10.0.0.102%blue 0 ALL
refused "a VIP twice, by another name" 'service/10.0.0.100%blue/80/TCP: service/10.0.0.100/80/TCP takes' lb service add 10.0.0.100%blue 80 TCP
refused "a name that is too long" '31 letters' lb service add 10.0.0.108%12345678901234567890123456789012 80 TCP
refused "a name of other characters" 'vip' lb service add 10.0.0.108%a-b 80 TCP
refused "a weight that is none" '70000|weight' lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=70000
refused "a backend without address" '' lb service 10.0.0.100 80 TCP backend add mac=02:00:00:00:00:01
refused "a backend without mac" 'no mac' lb service 10.0.0.100 80 TCP backend add 10.0.0.13
refused "the MAC of a group" 'first byte' lb service 10.0.0.100 80 TCP backend add 10.0.0.13 mac=01:00:00:00:00:01
refused "a group's address" 'not the address of a host' lb service add 224.0.0.1 80 TCP
refused "a port of all protocols" 'port 0' lb service add 10.0.0.108 80 ALL
refused "a mode that is none" 'mode' lb service add 10.0.0.108 80 TCP mode=MPLS
refused "a segment without its id" 'vni' lb service add 10.0.0.108 80 TCP mode=VXLAN
refused "an id that is none" 'vni' lb service add 10.0.0.108 80 TCP mode=VXLAN vni=16777216
refused "a mark that is none" 'outer-dscp' lb service add 10.0.0.108 80 TCP mode=L3DSR
refused "sources of a network that is too large" '64 to 128' lb set outer-source6=2001:db8::/48
refused "a third port" 'already' lb ports add third type=FRONTEND
refused "a port of no type" 'type' lb ports add fourth
refused "a table that is no prime" 'prime' pctl lbdsr add lb2 type="$type" table-size=65536
refused "more memory than there may be" 'table-size' pctl lbdsr add lb2 type="$type" max-services=4096
refused "nor one of a service" 'service/10.0.0.108/80/TCP: table-size 4096 is not a prime' lb service add 10.0.0.108 80 TCP table-size=4096
refused "nor another one later" 'cannot be changed' lb service 10.0.0.100 80 TCP set table-size=4099
expect "nothing of it was taken over" test "$before" = "$(services)"
expect_output "and all still works" '^b2' fetch 10.0.0.100
expect "room for four backends" pctl lbdsr add lb2 type="$type" max-services=2 table-size=1021 max-backends=4
# ends N...: these backends, in place of all others.
ends() { rest PUT lbdsr/lb2/service/10.0.0.100/80/TCP/ -d "{\"backend\":[$(printf ',{"ip":"10.1.0.%s","mac":"02:00:00:00:01:01"}' "$@" | cut -c 2-)]}"; }
expect_output "two of them" '^20[014]$' ends 1 2
expect_output "are replaced by two others" '^20[014]$' ends 3 4
expect_output "one more" '^20[014]$' ends 3 4 5
expect_output "not by three, which would be six for a moment" 'room for 4 backends' ends 6 7 8
expect_output "it has those that it had" '"ip":"10.1.0.5"' rest GET lbdsr/lb2/service/10.0.0.100/80/TCP/backend/
expect "room for two tables, or for more that are smaller" pctl lbdsr add lb4 type="$type" max-services=6 table-size=251
expect_output "a large one" '^20[014]$' rest POST lbdsr/lb4/service/10.0.0.1/80/TCP/ -d '{"table-size": 1009}'
expect_output "a small one" '^20[014]$' rest POST lbdsr/lb4/service/10.0.0.2/80/TCP/ -d '{}'
expect_output "a second large one has no room" 'no room for the tables of all services, of which one has 1009 places' rest POST lbdsr/lb4/service/10.0.0.3/80/TCP/ -d '{"table-size": 1009}'
expect_output "but in the place of the first" '^20[014]$' rest PUT lbdsr/lb4/service/ -d '[
    {"vip": "10.0.0.2", "port": 80, "proto": "TCP"}, {"vip": "10.0.0.3", "port": 80, "proto": "TCP", "table-size": 1009}]'
expect_output "which is gone" '^\["10.0.0.2","10.0.0.3"\]$' sh -c "curl -s --unix-socket '$lab_dir/run/default/api.sock' http://x/polycube/v1/lbdsr/lb4/service/ | jq -c 'map(.vip)'"
expect "many services" pctl lbdsr add lb3 type="$type" max-services=512 table-size=1021 max-backends=8192
expect "a service goes" lb service del 10.0.0.100 80 TCP
refused "and is gone" '' fetch 10.0.0.100 0.3

finish
