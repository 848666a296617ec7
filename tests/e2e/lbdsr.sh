#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Client c, an lbdsr, and a bridge with backends b1 and b2, which own the VIPs on a loopback device.
. "$(dirname "$0")/expect.sh"

lb() { pctl lb1 "$@"; }
fetch() { in_host c curl -sf --max-time 3 "http://$1/"; }
# fetch_all ADDRESS N: who answered, and how often.
fetch_all() {
    for _ in $(seq "$2"); do fetch "$1" || echo nobody; done | sort | uniq -c
}
# What is configured, without counters.
services() { rest GET lbdsr/lb1/service/ | sed -E 's/"(packets|bytes)":[0-9]+//g'; }
mac_of() { ip -n "$lab_id-$1" -br link show eth0 | awk '{ print $3 }'; }
# http_serve HOST PORT: says who it is. /slow takes its time: a dot each 50 ms, 40 of them.
http_serve() {
    in_host "$1" python3 -c "
import http.server, socket, time
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 64
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        for _ in range(40 if self.path == '/slow' else 0):
            self.wfile.write(b'.'); time.sleep(0.05)
        self.wfile.write(b'$1\n')
        if self.path == '/big': self.wfile.write(b'x' * 3000000)
    def do_POST(self):
        got = len(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(200); self.end_headers(); self.wfile.write(('%d\n' % got).encode())
    def log_message(self, *arguments): pass
Server(('::', $2), Handler).serve_forever()" 2>/dev/null &
    servers+=($!)
}
# ipip_take HOST: takes the outer header off, as a device of type ipip does, which not every kernel has.
ipip_take() {
    in_host "$1" python3 -c "
import fcntl, os, socket, struct, subprocess
def whole(packet):
    # What its sender, or receipt (GRO), left to a device: there is the sum of the pseudo header alone.
    start = (packet[0] & 15) * 4
    if packet[9] != 6: return packet
    tcp = packet[start:start + 16] + bytes(2) + packet[start + 18:]
    pseudo = packet[12:20] + struct.pack('!HH', 6, len(tcp))
    if int.from_bytes(packet[start + 16:start + 18], 'big') != int.from_bytes(pseudo, 'big') % 65535: return packet
    check = 65535 - int.from_bytes(pseudo + tcp + bytes(len(tcp) % 2), 'big') % 65535
    return packet[:start] + tcp[:16] + struct.pack('!H', check) + tcp[18:]
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH', b'tun', 0x1001))
subprocess.check_call(['ip', 'link', 'set', 'tun', 'up'])
outer = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
while True:
    packet = outer.recv(65536)
    os.write(tun, whole(packet[(packet[0] & 15) * 4:]))" &
    servers+=($!)
}
servers=()

lab_up
lab_host c 10.0.0.2/24 "" fd00::2/64
for n in 1 2; do
    lab_host b$n 10.0.0.1$n/24 "" fd00::1$n/64
    in_host b$n ip address add fd00::100/128 dev lo nodad
    in_host b$n sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    for vip in 10.0.0.100 10.0.0.101 10.0.0.102; do in_host b$n ip address add $vip/32 dev lo; done
    http_serve b$n 80
done
head -c 2000000 /dev/zero >"$lab_dir/body"
pctl lbdsr add lb1 type="$type"
pctl simplebridge add br1 type="$type"
for n in 1 2; do pctl br1 ports add b$n peer=to.b$n; done
pctl br1 ports add lb
expect "the side of the clients" lb ports add front type=FRONTEND peer=to.c
expect "and of the backends" lb ports add back type=BACKEND
pctl connect br1:lb lb1:back
for n in 1 2; do expect "a server listens" eventually prints ':80 ' in_host b$n ss -Hltn; done
expect "what is not balanced passes" eventually in_host c ping -q -c 1 -W 1 10.0.0.11
expect "both ways" in_host b2 ping -q -c 1 -W 2 10.0.0.2

# ---- L2DSR ----
expect "a service" lb service add 10.0.0.100 80 TCP
refused "has nobody yet" '' fetch 10.0.0.100
expect_output "which is counted" '"packets": *[1-9]' lb counters dropped no-backend show -json
expect "a backend" lb service 10.0.0.100 80 TCP backend add 10.0.0.11 mac="$(mac_of b1)"
expect_output "serves" '^b1' fetch 10.0.0.100
expect "another one" lb service 10.0.0.100 80 TCP backend add 10.0.0.12 mac="$(mac_of b2)" weight=3
expect_output "both do" ' b1' fetch_all 10.0.0.100 40
expect_output "by their weight" ' (2[0-9]|3[0-9]) b2' fetch_all 10.0.0.100 40
expect_output "places by weight" '"places": *16384' lb service 10.0.0.100 80 TCP backend show 10.0.0.11 -json
expect_output "the VIP answers" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 10.0.0.100
expect_output "a large body comes" '3000003' in_host c curl -s --max-time 5 -o /dev/null -w '%{size_download}' http://10.0.0.100/big
expect_output "and goes" '2000000' in_host c curl -s --max-time 5 --data-binary @"$lab_dir/body" http://10.0.0.100/
expect_output "counters" '"packets": *[1-9]' lb service show 10.0.0.100 80 TCP -json
expect_output "hits" '"hits": *[1-9]' lb statistics show -json

# ---- drain, add, remove ----
mkdir "$lab_dir/slow"
in_host c bash -c 'for i in $(seq 16); do curl -sS --max-time 9 http://10.0.0.100/slow >'"$lab_dir"'/slow/$i & done; wait' &
slow=$!
expect "downloads run" eventually prints '^ *(1[0-9])$' in_host c bash -c "ss -Htn state established | wc -l"
expect "one is drained" lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=0
expect_output "new flows go to the other" ' 20 b1' fetch_all 10.0.0.100 20
expect "the other is drained" lb service 10.0.0.100 80 TCP backend 10.0.0.11 set weight=0
expect "the first is back" lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=2
wait $slow || true
expect_output "nobody was reset" '^16$' bash -c "cat $lab_dir/slow/* | grep -cE '^\.{40}b[12]$'"
expect "drained, it can go" lb service 10.0.0.100 80 TCP backend del 10.0.0.11
expect_output "one serves all" ' 10 b2' fetch_all 10.0.0.100 10

# ---- IPIP ----
for n in 1 2; do
    ipip_take b$n
    expect "a tunnel's end" eventually prints UP in_host b$n ip link show tun
done
refused "IPIP without a source" 'outer-source' lb service add 10.0.0.101 80 TCP mode=IPIP
expect "sources" lb set outer-source=10.200.0.0/16
expect "a service" lb service add 10.0.0.101 80 TCP mode=IPIP
refused "a backend without a way to it" 'no mac' lb service 10.0.0.101 80 TCP backend add 10.0.0.11
for n in 1 2; do
    expect "a backend" lb service 10.0.0.101 80 TCP backend add 10.0.0.1$n mac="$(mac_of b$n)"
done
expect_output "serves" ' b1' fetch_all 10.0.0.101 30
expect_output "and the other" ' b2' fetch_all 10.0.0.101 30
expect_output "a large body comes" '3000003' in_host c curl -s --max-time 5 -o /dev/null -w '%{size_download}' http://10.0.0.101/big
if [ "$type" = TC ]; then
    expect_output "and goes, as GSO packets" '2000000' in_host c curl -sS --max-time 5 --data-binary @"$lab_dir/body" http://10.0.0.101/
    in_host c ethtool -K eth0 tx off tso off gso off >/dev/null
fi
expect_output "and goes, in packets that fit" '2000000' in_host c curl -sS --max-time 5 --data-binary @"$lab_dir/body" http://10.0.0.101/
expect_output "which the client was told" 'mtu 1480' in_host c ip route get 10.0.0.101
refused "the source cannot go" 'outer-source' lb set outer-source=
if command -v tshark >/dev/null; then
    in_host b1 timeout 20 tshark -q -i eth0 -a packets:4 -w "$lab_dir/wire.pcap" 'ip proto 4' 2>"$lab_dir/tshark" &
    tshark=$!
    expect "it listens" eventually grep -q 'Capturing' "$lab_dir/tshark"
    for _ in 1 2 3 4 5 6; do fetch 10.0.0.101 >/dev/null || true; done
    wait $tshark || true
    expect_output "tshark sees both headers, right" '^10\.200\.[0-9.]+,10\.0\.0\.2	10\.0\.0\.11,10\.0\.0\.101	1,1$' \
        tshark -r "$lab_dir/wire.pcap" -o ip.check_checksum:TRUE -T fields -e ip.src -e ip.dst -e ip.checksum.status
fi

# ---- IPv6 ----
expect "a service of IPv6" lb service add fd00::100 80 TCP
for n in 1 2; do expect "a backend" lb service fd00::100 80 TCP backend add fd00::1$n mac="$(mac_of b$n)"; done
expect_output "serves" ' b1' fetch_all '[fd00::100]' 20
expect_output "and the other" ' b2' fetch_all '[fd00::100]' 20
refused "which IPIP cannot" 'IPv4' lb service fd00::100 80 TCP set mode=IPIP

# ---- as Polycube has it ----
expect "the one VIP" lb frontend set vip=10.0.0.102
expect "its backends" lb backend pool add 1 mac="$(mac_of b1)"
expect "are a pool" lb backend pool add 2 mac="$(mac_of b2)"
expect_output "all its ports" ' b1' fetch_all 10.0.0.102 20
expect_output "are balanced" ' b2' fetch_all 10.0.0.102 20
expect_output "echoes too" ' 0% packet loss' in_host c ping -q -c 1 -W 2 10.0.0.102
expect "one is enough" lb backend pool del 1
expect_output "the other" ' 10 b2' fetch_all 10.0.0.102 10

# ---- bad input ----
before=$(services)
refused "a VIP twice" 'exist' lb service add 10.0.0.100 80 TCP
refused "the one VIP twice" 'one of them has to go' lb service add 10.0.0.102 0 ALL
refused "a weight that is none" '70000|weight' lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=70000
refused "a backend without address" '' lb service 10.0.0.100 80 TCP backend add mac=02:00:00:00:00:01
refused "a backend without mac" 'no mac' lb service 10.0.0.100 80 TCP backend add 10.0.0.13
refused "the MAC of a group" 'first byte' lb service 10.0.0.100 80 TCP backend add 10.0.0.13 mac=01:00:00:00:00:01
refused "a group's address" 'not the address of a host' lb service add 224.0.0.1 80 TCP
refused "a port of all protocols" 'port 0' lb service add 10.0.0.103 80 ALL
refused "a mode that is none" 'mode' lb service add 10.0.0.103 80 TCP mode=VXLAN
refused "a third port" 'already' lb ports add third type=FRONTEND
refused "a port of no type" 'type' lb ports add fourth
refused "a table that is no prime" 'prime' pctl lbdsr add lb2 type="$type" table-size=65536
refused "more memory than there may be" 'table-size' pctl lbdsr add lb2 type="$type" max-services=4096
expect "nothing of it was taken over" test "$before" = "$(services)"
expect_output "and all still works" '^b2' fetch 10.0.0.100
expect "many services" pctl lbdsr add lb3 type="$type" max-services=512 table-size=1021 max-backends=8192
expect "a service goes" lb service del 10.0.0.100 80 TCP
refused "and is gone" '' fetch 10.0.0.100

kill "${servers[@]}"
finish
