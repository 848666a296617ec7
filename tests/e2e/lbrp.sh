#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Client c, an lbrp, and a bridge with backends b1 and b2, which know nothing of VIPs.
. "$(dirname "$0")/balancer.sh"

lab_up
lab_host c 10.0.0.2/24 "" fd00::2/64
for n in 1 2; do
    lab_host b$n 10.0.0.1$n/24 "" fd00::1$n/64
    serve b$n :: tcp/8080
    serve b$n 0.0.0.0 udp/5353
done
head -c 2000000 /dev/zero >"$lab_dir/body"
balancer lbrp b1 b2
served
expect "what is for no service passes" eventually in_host c ping -q -c 1 -W 1 10.0.0.11
expect "both ways" in_host b2 ping -q -c 1 -W 2 10.0.0.2

# ---- TCP ----
expect "a service" lb service add 10.0.0.100 80 tcp name=web algorithm=round-robin
expect "its next hop" lb set gateway-mac="$(mac_of b1)"
refused "has nobody yet, which the client is told at once" 'after [0-9]{1,2} ms' fetch 10.0.0.100
expect_output "and which is counted" '"packets": *[1-9]' lb counters dropped no-backend show -json
expect "a backend" lb service 10.0.0.100 80 TCP backend add 10.0.0.11 port=8080 mac="$(mac_of b1)"
expect_output "serves, and sees the client" '^b1 ::ffff:10\.0\.0\.2 ' fetch 10.0.0.100
expect "another one" lb service 10.0.0.100 80 TCP backend add 10.0.0.12 port=8080 mac="$(mac_of b2)" weight=3
expect_output "by their weight" '^ *5 b1' fetch_all 10.0.0.100 20
expect_output "a large body comes" '^3000000$' fetched http://10.0.0.100/3000000
expect_output "and goes" '2000000' in_host c curl -s --max-time 5 --data-binary @"$lab_dir/body" http://10.0.0.100/
expect_output "counters" '"reply-packets": *[1-9]' lb service show 10.0.0.100 80 TCP -json
expect_output "sessions" '"sport":[0-9]+,"dport":80,"state":"[A-Z_]+","eta":[0-9]+,"backend":"10\.0\.0\.1[12]","backend-port":8080,"source":"10\.0\.0\.2"' rest GET lbrp/lb1/session-table/
expect_output "page by page" '^\[\{[^}]*\}\]$' rest GET 'lbrp/lb1/session-table/?limit=1'

# ---- drain, add, remove ----
downloads_start
fetches_start
expect "new ones, too" fetches_pass
in_host b1 ip address add 10.0.0.13/24 dev eth0
expect "a backend is added" lb service 10.0.0.100 80 TCP backend add 10.0.0.13 port=8080 mac="$(mac_of b1)"
expect "and gets some" eventually prints '"packets": *[1-9]' lb service 10.0.0.100 80 TCP backend show 10.0.0.13 -json
expect "and drained" lb service 10.0.0.100 80 TCP backend 10.0.0.13 set weight=0
expect "so that what it has ends" fetches_pass
expect "and removed" lb service 10.0.0.100 80 TCP backend del 10.0.0.13
expect "new ones do" fetches_pass
expect "one is drained" lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=0
expect_output "new sessions go to the other" '^ *10 b1' fetch_all 10.0.0.100 10
expect_output "which the drained one's do not" '"active-sessions": *[1-9]' lb service 10.0.0.100 80 TCP backend show 10.0.0.12 -json
fetches_end
expect "the other is drained" lb service 10.0.0.100 80 TCP backend 10.0.0.11 set weight=0
refused "then nobody takes them" 'after [0-9]{1,2} ms' fetch 10.0.0.100
expect "one more is added" lb service 10.0.0.100 80 TCP backend add 10.0.0.13 port=8080
expect "and removed" lb service 10.0.0.100 80 TCP backend del 10.0.0.13
expect "another algorithm" lb service 10.0.0.100 80 TCP set algorithm=maglev
expect "the first is back" lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=2
expect_output "they still run" '^ *16$' established
downloads_end
expect "drained, it can go" lb service 10.0.0.100 80 TCP backend del 10.0.0.11
expect_output "one serves all" '^ *10 b2' fetch_all 10.0.0.100 10
expect "the other again" lb service 10.0.0.100 80 TCP backend add 10.0.0.11 port=8080 mac="$(mac_of b1)"
expect_output "both do, by Maglev" ' b1' fetch_all 10.0.0.100 20

# ---- a backend that goes, with a session ----
in_host c python3 -c "
import socket
s = socket.create_connection(('10.0.0.100', 80)); print('open', flush=True); input()
try: s.send(b'x'); s.settimeout(3); s.recv(1)
except ConnectionResetError: print('reset', flush=True)" >"$lab_dir/pipe.out" 2>&1 < <(eventually test -e "$lab_dir/go" >/dev/null; echo) &
client=$!
expect "a client" eventually grep -q open "$lab_dir/pipe.out"
for n in 1 2; do expect "its backend goes" lb service 10.0.0.100 80 TCP backend del 10.0.0.1$n; done
touch "$lab_dir/go"
wait $client || true
expect_output "which it is told" '^reset' cat "$lab_dir/pipe.out"
for n in 1 2; do lb service 10.0.0.100 80 TCP backend add 10.0.0.1$n port=8080 mac="$(mac_of b$n)"; done

# ---- affinity, least connections ----
expect "affinity" lb service 10.0.0.100 80 TCP set affinity-timeout=60 algorithm=round-robin
expect_output "a client has one backend" '^ *10 b[12]$' fetch_all 10.0.0.100 10
expect "until it has none" lb service 10.0.0.100 80 TCP set affinity-timeout=0 algorithm=least-connections
# More than the sessions that one may have beyond the other.
expect_output "then the one with the fewest sessions" '^ *[1-9][0-9]* b1' fetch_all 10.0.0.100 40

# ---- UDP, ICMP ----
expect "a service of UDP" lb service add 10.0.0.100 53 UDP
expect "a backend" lb service 10.0.0.100 53 UDP backend add 10.0.0.11 port=5353
expect_output "answers" '^b1 10\.0\.0\.2 4000 1$' udp_ask c 10.0.0.100 53 4000
expect_output "fragments" '^b1 10\.0\.0\.2 4001 4000$' udp_ask c 10.0.0.100 53 4001 4000
expect "another one, where nobody listens" lb service add 10.0.0.100 54 UDP
expect "a backend" lb service 10.0.0.100 54 UDP backend add 10.0.0.12 port=5454 mac="$(mac_of b2)"
expect_output "an ICMP error comes back" 'Connection refused' udp_ask c 10.0.0.100 54 4002
expect "without it" lb service 10.0.0.100 54 UDP backend del 10.0.0.12
expect_output "one is made" 'Connection refused' udp_ask c 10.0.0.100 54 4003
expect_output "an echo of the VIP is answered" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 10.0.0.100
expect "a service of ICMP" lb service add 10.0.0.100 0 ICMP
expect "a backend" lb service 10.0.0.100 0 ICMP backend add 10.0.0.12 port=0 mac="$(mac_of b2)"
expect_output "answers" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 10.0.0.100
expect_output "itself" '"packets": *[2-9]' lb service show 10.0.0.100 0 ICMP -json
expect_output "the sessions of UDP go" 'flushed: [1-9]' lb flush l4proto=UDP

# ---- all protocols, IPv6 ----
expect "a service of ALL" lb service add fd00::100 0 all
expect "a backend" lb service fd00::100 0 ALL backend add fd00::11 port=0 mac="$(mac_of b1)"
expect_output "TCP" '^b1 fd00::2 ' fetch '[fd00::100]:8080'
expect_output "echo" ' 0% packet loss' in_host c ping -q -c 2 -i 0.2 -W 2 fd00::100
expect_output "a large body" '^3000000$' fetched 'http://[fd00::100]:8080/3000000'
expect_output "a port that is closed is refused by it" 'after [0-9]{1,2} ms' fetch '[fd00::100]:81'
expect "no backend" lb service fd00::100 0 ALL backend del fd00::11
refused "is refused by us" 'after [0-9]{1,2} ms' fetch '[fd00::100]:8080'

# ---- sources ----
refused "a source without a pool" 'snat-pool' lb service add 10.0.0.101 80 TCP snat=true
expect "a pool" lb snat-pool address add 10.0.0.200
expect "a service that uses it" lb service add 10.0.0.101 80 TCP snat=true algorithm=round-robin
for n in 1 2; do expect "a backend" lb service 10.0.0.101 80 TCP backend add 10.0.0.1$n port=8080 mac="$(mac_of b$n)"; done
expect_output "sees the pool" '^b[12] ::ffff:10\.0\.0\.200 ' fetch 10.0.0.101
expect_output "and so does the other" '^ *5 b1' fetch_all 10.0.0.101 10
expect_output "a large body" '^3000000$' fetched http://10.0.0.101/3000000
expect_output "which is in the session" '"source":"10\.0\.0\.200"' rest GET 'lbrp/lb1/session-table/?filter=dst=10.0.0.101'
refused "the pool is in use" 'snat needs' lb snat-pool address del 10.0.0.200
expect "a network for a network" lb src-ip-rewrite set ip-range=10.0.0.2/32 new_ip_range=10.0.0.201/32
for n in 1 2; do in_host b$n ip neigh replace 10.0.0.201 lladdr "$(mac_of c)" dev eth0; done
expect_output "is what backends see" '^b[12] ::ffff:10\.0\.0\.201 ' fetch 10.0.0.100

# ---- checksums ----
# At TC the client leaves its checksums to a device: the last one, behind the balancer, fills them in.
in_host daemon ethtool -K to.b1 tx off >/dev/null
in_host b1 ethtool -K eth0 tx off >/dev/null
capture b1 wire.pcap -c 12 'tcp port 8080 or udp port 5353'
udp_ask c 10.0.0.100 53 4004 >/dev/null
for _ in 1 2 3 4; do fetch 10.0.0.101 >/dev/null || true; done
wait "$capture" || true
checksums() { decode wire.pcap -T fields -e ip.checksum.status -e tcp.checksum.status -e udp.checksum.status | LC_ALL=C sort -u; }
expect "every checksum is right, of UDP and TCP" test "$(checksums)" = $'1\t\t1\n1\t1\t'

expect "what is shown can be sent back" comes_back lbrp/lb1

# ---- bad input ----
services() { rest GET lbrp/lb1/service/ | sed -E 's/"[a-z-]*(packets|bytes|sessions)":[0-9]+//g'; }
before=$(services)
refused "a service twice" 'exist' lb service add 10.0.0.100 80 TCP
refused "a backend of a service that is none" 'service/10.0.0.109/80/TCP does not exist' lb service 10.0.0.109 80 TCP backend add 10.0.0.13 port=80
refused "a protocol that is none" 'proto' lb service add 10.0.0.100 80 SCTP
refused "a port of ICMP" 'vport 0' lb service add 10.0.0.102 8 ICMP
refused "a group's address" 'not the address of a host' lb service add 224.0.0.1 80 TCP
refused "a weight of 70000" '70000|weight' lb service 10.0.0.100 80 TCP backend 10.0.0.12 set weight=70000
refused "a backend without a port" 'port' lb service 10.0.0.100 80 TCP backend add 10.0.0.13
refused "a backend of the other family" 'IPv4' lb service 10.0.0.100 80 TCP backend add fd00::13 port=80
refused "the VIP as its own backend" 'vip itself' lb service 10.0.0.100 80 TCP backend add 10.0.0.100 port=80
refused "the MAC of a group" 'first byte' lb service 10.0.0.100 80 TCP backend add 10.0.0.13 port=80 mac=01:00:00:00:00:01
refused "an algorithm that is none" 'algorithm' lb service 10.0.0.100 80 TCP set algorithm=random
refused "fewer addresses than clients" 'fewer addresses' lb src-ip-rewrite set ip-range=10.0.0.0/24 new_ip_range=10.9.0.0/25
refused "ports that end before they begin" 'below port-first' lb snat-pool set port-first=2000 port-last=1999
refused "windows" 'does not check windows' lb set window-check=true
refused "a session without room, passed on" 'when-full is drop' lb set when-full=pass
refused "a second front" 'SINGLE' lb ports add third type=FRONTEND
refused "a second back" 'BACKEND already' lb ports add third type=BACKEND
refused "clients without address" 'has no ip' lb set port_mode=MULTI
refused "a size that is no prime" 'prime' pctl lbrp add lb2 type="$type" maglev-size=4096
refused "more memory than there may be" 'maglev-size' pctl lbrp add lb2 type="$type" max-services=16384 maglev-size=65537
expect "nothing of it was taken over" test "$before" = "$(services)"
expect_output "and all still works" '^b[12]' fetch 10.0.0.100
expect "a service goes" lb service del 10.0.0.100 80 TCP
refused "and is gone" '' fetch 10.0.0.100

# ---- many clients' ports ----
lab_host d 10.1.0.3/24
lab_host e 10.1.0.4/24
lab_host b3 10.1.0.11/24
serve b3 :: tcp/8080
expect "room for four backends" pctl lbrp add lb4 type="$type" max-backends=4
# ends N...: these backends, in place of all others.
ends() { rest PUT lbrp/lb4/service/10.0.0.100/80/TCP/ -d "{\"backend\":[$(printf ',{"ip":"10.1.0.%s","port":80}' "$@" | cut -c 2-)]}"; }
expect_output "two of them" '^20[014]$' ends 1 2
expect_output "are replaced by two others" '^20[014]$' ends 3 4
expect_output "one more" '^20[014]$' ends 3 4 5
expect_output "not by three, which would be six for a moment" 'room for 4 backends' ends 6 7 8
expect_output "it has those that it had" '"ip":"10.1.0.5"' rest GET lbrp/lb4/service/10.0.0.100/80/TCP/backend/
expect "a balancer of many ports" pctl lbrp add lb3 type="$type" port_mode=MULTI
expect "a client" pctl lb3 ports add d type=FRONTEND ip=10.1.0.3 peer=to.d
refused "an address twice" 'same ip' pctl lb3 ports add e type=FRONTEND ip=10.1.0.3 peer=to.e
expect "another one" pctl lb3 ports add e type=FRONTEND ip=10.1.0.4 peer=to.e
expect "backends" pctl lb3 ports add back type=BACKEND peer=to.b3
expect "a service" pctl lb3 service add 10.1.0.100 80 TCP
expect "a backend" pctl lb3 service 10.1.0.100 80 TCP backend add 10.1.0.11 port=8080 mac="$(mac_of b3)"
refused "another one, without a next hop" 'no mac' pctl lb3 service 10.1.0.100 80 TCP backend add 10.1.0.12 port=8080
served
expect_output "serves one" '^b3 ::ffff:10\.1\.0\.3 ' in_host d curl -sSf --max-time 3 http://10.1.0.100/
expect_output "and the other" '^b3 ::ffff:10\.1\.0\.4 ' in_host e curl -sSf --max-time 3 http://10.1.0.100/
expect "what is for no service finds its port" in_host b3 ping -q -c 1 -W 2 10.1.0.4
# hear HOST: until somebody asks for 10.1.0.99.
hear() {
    in_host "$1" timeout 5 python3 -c "
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)); print('hears', flush=True)
while s.recv(99)[38:42] != bytes((10, 1, 0, 99)): pass
print('heard', flush=True)" >"$lab_dir/heard.$1" &
}
for host in d e; do hear $host; expect "a host listens" eventually grep -q hears "$lab_dir/heard.$host"; done
in_host b3 ping -q -c 1 -W 1 10.1.0.99 >/dev/null || true
for host in d e; do expect "what is for nobody that is known goes to all" eventually grep -q heard "$lab_dir/heard.$host"; done

finish
