#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tenants of an lbdsr that are segments: client c has devices in VXLAN, and makes frames of Geneve; backends b1 and b2 see
# what was inside alone, and answer it directly.
. "$(dirname "$0")/balancer.sh"

services() { rest GET lbdsr/lb1/service/ | sed -E 's/"(packets|bytes)":[0-9]+//g'; }

# segment DEVICE VNI LOCAL REMOTE ADDRESS...: of the client.
segment() {
    local address nodad
    in_host c ip link add "$1" type vxlan id "$2" dstport 4789 local "$3" remote "$4"
    in_host c ip link set "$1" mtu 1400 up
    for address in "${@:5}"; do
        [[ $address == *:* ]] && nodad=1 || nodad=
        in_host c ip address add "$address" dev "$1" ${nodad:+nodad}
    done
    in_host c sysctl -qw "net.ipv4.conf.$1.rp_filter=0"
    [ "$type" = TC ] || in_host c ethtool -K "$1" tx off tso off gso off >/dev/null
}
# Python that makes packets of UDP.
packets="
import socket, struct
def ip(source, destination, payload):
    header = struct.pack('!2B3H2BH', 69, 0, 20 + len(payload), 1, 0, 64, 17, 0) + socket.inet_aton(source) + socket.inet_aton(destination)
    total = sum(struct.unpack('!10H', header)); total = (total >> 16) + (total & 65535)
    return header[:10] + struct.pack('!H', 65535 - total) + header[12:] + payload"
# geneve_who VNI VIP: asks in Geneve, with eight bytes of options; prints who answers, as ARP says and in which segment.
geneve_who() {
    in_host c timeout 5 python3 -c "$packets
arp = struct.pack('!3H', 1, 0x0800, 0x0604) + b'\0\1' + b'\2\0\0\0\0\1' + socket.inet_aton('172.16.0.2') + bytes(6) + socket.inet_aton('$2')
geneve = struct.pack('!2BHI', 2, 0, 0x6558, $1 << 8) + bytes([1, 2, 3, 1, 0, 0, 0, 0]) + b'\xff' * 6 + b'\2\0\0\0\0\1\x08\6' + arp
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800)); raw.bind(('eth0', 0x800)); raw.settimeout(1)
raw.send(b'\2\0\0\0\0\x99\2\0\0\0\0\1\x08\0' + ip('10.0.0.2', '10.0.0.200', struct.pack('!4H', 50000, 6081, 8 + len(geneve), 0) + geneve))
while True:
    answer = raw.recv(2048)
    if answer[26:34] == socket.inet_aton('10.0.0.200') + socket.inet_aton('10.0.0.2') and answer[36:38] == b'\x17\xc1':
        break
segment, inner, arp = answer[42:50], answer[50:64], answer[64:92]
print(segment.hex(), inner[:6] == b'\2\0\0\0\0\1', inner[6:12] == arp[8:14], arp[6:8].hex(), socket.inet_ntoa(arp[14:18]), socket.inet_ntoa(arp[24:28]), arp[8:14].hex(':'))"
}
# geneve VNI VIP [VLAN]: a question to its UDP port 53 in a frame in Geneve, with eight bytes of options, the outer frame
# in this VLAN; prints what is answered.
geneve() {
    in_host c timeout 5 python3 -c "$packets
def udp(source, destination, payload): return struct.pack('!4H', source, destination, 8 + len(payload), 0) + payload
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); asks.bind(('172.16.0.2', 0)); asks.settimeout(1)
frame = b'\2\0\0\0\0\x77\2\0\0\0\0\1\x08\0' + ip('172.16.0.2', '$2', udp(asks.getsockname()[1], 53, b'ask\n'))
geneve = struct.pack('!2BHI', 2, 0, 0x6558, $1 << 8) + bytes([1, 2, 3, 1, 0, 0, 0, 0]) + frame
tag = struct.pack('!2H', 0x8100, ${3-0}) if ${3-0} else b''
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); raw.bind(('eth0', 0))
raw.send(b'\2\0\0\0\0\x99\2\0\0\0\0\1' + tag + b'\x08\0' + ip('10.0.0.2', '10.0.0.200', udp(50000, 6081, geneve)))
print(asks.recv(2048).decode())"
}

lab_up
lab_host c 10.0.0.2/24 "" fd00::2/64
in_host c sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
segment vx100 100 10.0.0.2 10.0.0.200 172.16.0.2/24 fd16::2/64
segment vx101 101 fd00::2 fd00::200 172.17.0.2/24 fd17::2/64
for n in 1 2; do
    lab_host b$n 10.0.0.1$n/24 10.0.0.2 fd00::1$n/64 fd00::2
    in_host b$n sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    for vip in {172.16,172.17}.0.100/32 {fd16,fd17}::100/128; do in_host b$n ip address add $vip dev lo; done
    serve b$n :: tcp/80
done
serve b1 172.16.0.100 udp/53
serve b2 172.16.0.100 udp/53
serve b2 172.17.0.100 udp/53
head -c 500000 /dev/zero >"$lab_dir/body"
balancer lbdsr b1 b2
served

# ---- bad input ----
refused "segments without an address" 'tunnel-address' lb service add 172.16.0.100 80 TCP segment-type=VXLAN segment-id=100
refused "an address that is none" 'tunnel-address' lb frontend set tunnel-address=224.0.0.1
refused "one of the other version" 'tunnel-address6' lb frontend set tunnel-address6=10.0.0.200
mac=02:00:00:00:77:01
expect "where segments arrive" lb frontend set tunnel-address=10.0.0.200 tunnel-address6=fd00::200 mac=$mac
before=$(services)
refused "an id without a type" 'segment-type: VXLAN or GENEVE' lb service add 172.16.0.100 80 TCP segment-id=100
refused "a type without an id" 'segment-id.*16777215' lb service add 172.16.0.100 80 TCP segment-type=VXLAN
refused "a type that is none" 'segment-type' lb service add 172.16.0.100 80 TCP segment-type=NVGRE segment-id=100
refused "an id that is none" 'segment-id' lb service add 172.16.0.100 80 TCP segment-type=GENEVE segment-id=16777216
refused "a segment and a VLAN" 'exclude each other' lb service add 172.16.0.100 80 TCP segment-type=VXLAN segment-id=100 vlan=7
expect "nothing of it was taken over" test "$before" = "$(services)"

# ---- L2DSR ----
# Devices of VXLAN have asked for it before it was there: to be told that nobody has it may take them some time.
expect "the address answers" eventually in_host c ping -q -c 1 -W 1 10.0.0.200
expect "that of IPv6, too" eventually in_host c ping -q -c 1 -W 1 fd00::200
# tenant VIP PORT PROTOCOL HOST ID: a service, with this backend.
tenant() {
    expect "VXLAN $5: $1 $3" lb service add "$1" "$2" "$3" segment-type=VXLAN segment-id="$5"
    expect "its backend" lb service "$1" "$2" "$3" backend add 10.0.0.1"${4#b}" mac="$(mac_of "$4")"
}
capture b1 wire.pcap -Q in 'udp port 4789 or udp port 6081'
tenant 172.16.0.100 80 TCP b1 100
tenant 172.16.0.100 53 UDP b1 100
tenant 172.17.0.100 80 TCP b2 101
tenant fd16::100 80 TCP b2 100
tenant fd17::100 80 TCP b1 101
expect_output "IPv4 in VXLAN over IPv4" ' 5 b1' fetch_all 172.16.0.100 5
expect_output "over IPv6" ' 5 b2' fetch_all 172.17.0.100 5
expect_output "IPv6 in VXLAN over IPv4" ' 5 b2' fetch_all '[fd16::100]' 5
expect_output "over IPv6" ' 5 b1' fetch_all '[fd17::100]' 5
expect_output "UDP" '^b1' udp_ask c 172.16.0.100 53
# Nobody has told the client whose MACs these are.
for vip in 172.16.0.100 fd16::100; do expect_output "$vip is found in its segment" "$mac" in_host c ip neighbour show $vip dev vx100; done
for vip in 172.17.0.100 fd17::100; do expect_output "$vip, too" "$mac" in_host c ip neighbour show $vip dev vx101; done
expect_output "it answers echoes there" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 -s 1001 172.16.0.100
expect_output "of any segment" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 172.17.0.100
expect_output "IPv6 in IPv4" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 -s 1001 fd16::100
expect_output "IPv6 in IPv6" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 -s 1 fd17::100
refused "nobody has another one" '' in_host c ping -q -c 1 -W 0.3 172.16.0.99
expect "counters" prints '"packets": *[1-9]' lb service show 172.16.0.100 80 TCP -json
[ "$type" != TC ] || in_host c ethtool -K eth0 tso off gso off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off >/dev/null
for device in vx100 vx101; do in_host c ethtool -K $device tso off gso off >/dev/null; done
expect_output "a large body comes" '^500000$' fetched http://172.16.0.100/500000
expect_output "and goes" '500000' in_host c curl -sS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" http://172.16.0.100/
expect_output "over IPv6, too" '500000' in_host c curl -gsS --max-time 5 -H Expect: --data-binary @"$lab_dir/body" 'http://[fd17::100]/'
kill "$capture"
wait "$capture" 2>/dev/null || true
expect "backends see no outer header of it" prints_not '\.80: |\.53: ' tcpdump -nr "$lab_dir/wire.pcap"

# ---- what no service takes ----
capture b2 others.pcap -Q in 'udp port 4789 or udp port 6081'
expect "a service goes" lb service del 172.16.0.100 80 TCP
refused "and takes nothing any more" '' fetch 172.16.0.100 0.5
expect "the same one without a segment" lb service add 172.16.0.100 80 TCP
expect "its backend" lb service 172.16.0.100 80 TCP backend add 10.0.0.11 mac="$(mac_of b1)"
refused "takes nothing out of it" '' fetch 172.16.0.100 0.5
expect_output "nor counts it" '"packets": *0' lb service show 172.16.0.100 80 TCP -json
expect "it goes" lb service del 172.16.0.100 80 TCP
kill "$capture"
wait "$capture" 2>/dev/null || true
expect_output "it passes as it came" '10.0.0.200.4789: VXLAN.*vni 100' tcpdump -nr "$lab_dir/others.pcap"

# ---- Geneve ----
refused "another type with this id" '' geneve 100 172.16.0.100
expect "in this one" lb service 172.16.0.100 53 UDP set segment-type=GENEVE
expect_output "who has it is answered" "^0000655800006400 True True 0002 172.16.0.100 172.16.0.2 $mac" geneve_who 100 172.16.0.100
refused "not in another segment" 'timed out' geneve_who 101 172.16.0.100
expect_output "is served" '^b1' geneve 100 172.16.0.100
expect_output "and in a tagged frame, whose tag goes with the outer header" '^b1' geneve 100 172.16.0.100 5
refused "VXLAN is not, then" '' udp_ask c 172.16.0.100 53
refused "nor another id" '' geneve 101 172.16.0.100
expect "a tenant with the same VIP" lb service add 172.16.0.100%blue 53 UDP segment-type=GENEVE segment-id=101
expect "its backend" lb service 172.16.0.100%blue 53 UDP backend add 10.0.0.12 mac="$(mac_of b2)"
expect_output "has its own segment" '^b2' geneve 101 172.16.0.100
expect_output "the first one its own" '^b1' geneve 100 172.16.0.100
refused "there are no two of one" 'segment-id' lb service 172.16.0.100%blue 53 UDP set segment-id=100
expect "it goes" lb service del 172.16.0.100%blue 53 UDP
expect_output "without it, the first one is served" '^b1' geneve 100 172.16.0.100

# ---- on with an outer header ----
in_host b2 ip link add vx type vxlan id 77 dstport 4789 local 10.0.0.12
in_host b2 ip link set vx up
in_host b2 sysctl -qw net.ipv4.conf.vx.rp_filter=0
expect "sources" lb set outer-source=10.200.0.0/16
expect "from segment to segment" lb service add 172.17.0.100 53 UDP segment-type=GENEVE segment-id=102 mode=VXLAN vni=77
expect "its backend" lb service 172.17.0.100 53 UDP backend add 10.0.0.12 mac="$(mac_of b2)" inner-mac="$(mac_of b2 vx)"
expect_output "is served" '^b2' geneve 102 172.17.0.100
expect "of TCP, too" lb service add 172.16.0.100 80 TCP segment-type=VXLAN segment-id=100 mode=VXLAN vni=77
expect "its backend" lb service 172.16.0.100 80 TCP backend add 10.0.0.12 mac="$(mac_of b2)" inner-mac="$(mac_of b2 vx)"
if [ "$type" = TC ]; then
    # The client's device is of this kernel, which knows that it is encapsulated: see Limits of the cube.
    refused "is not, where the kernel knows the first outer header" '' fetch 172.16.0.100 0.3
    expect_output "which is counted" '"packets": *[1-9]' lb counters dropped encapsulation show -json
else
    expect_output "is served" ' 5 b2' fetch_all 172.16.0.100 5
fi
refused "the address cannot go" 'tunnel-address' lb frontend set tunnel-address= tunnel-address6=

finish
