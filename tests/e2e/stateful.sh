#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A firewall that tracks connections between two hosts on a bridge: a may open them, b may not. Then the same with a conntrack
# cube in front of it; LOG, rates, explain.
. "$(dirname "$0")/expect.sh"

fw() { pctl fw "$@"; }
a_pings() { in_host a ping -q -c 1 -W 1 "${1:-10.0.0.2}"; }
b_pings() { in_host b ping -q -c 1 -W 1 "${1:-10.0.0.1}"; }
pkts() { fw chain INGRESS stats show -json | jq ".[$1].pkts"; }
blocked() { ! "$@"; }
fetch() { in_host "$1" curl -sf -o /dev/null --max-time 2 "http://$2:8080/"; }
# states PROTOCOL DPORT: of these flows, of the cube that tracks.
tracker=fw
states() { pctl "$tracker" session-table show -json | jq -c "[.[] | select(.l4proto == \"$1\" and .dport == $2) | .state] | unique"; }
state_is() { [[ $(states "$1" "$2") == "$3" ]]; }
udp_ask() {
    in_host "$1" timeout 3 python3 -c "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2); s.connect(('$2', 5353)); s.send(b'q'); sys.exit(s.recv(9) != b'a')"
}
udp_serve() {
    in_host "$1" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 5353))
while True:
    s.sendto(b'a', s.recvfrom(9)[1])" &
}
# SCTP by raw sockets: the kernel need not have it. Who serves turns the ports round.
sctp_ask() {
    in_host "$1" timeout 3 python3 -c "
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
s.settimeout(2); s.sendto(struct.pack('!HHIIBBH', 1000, 2000, 0, 0, 1, 0, 4), ('$2', 0))
while struct.unpack('!HH', s.recv(99)[20:24]) != (2000, 1000): pass"
}
sctp_serve() {
    in_host "$1" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
while True:
    packet, peer = s.recvfrom(99)
    if packet[22:24] == (2000).to_bytes(2, 'big'): s.sendto(packet[22:24] + packet[20:22] + packet[24:], peer)" &
}

lab_up
lab_host a 10.0.0.1/24
lab_host b 10.0.0.2/24
in_host a ip addr add fd00::1/64 dev eth0 nodad
in_host b ip addr add fd00::2/64 dev eth0 nodad
pctl simplebridge add br1 type="$type"
pctl br1 ports add a peer=to.a
pctl br1 ports add b peer=to.b
in_host a python3 -m http.server --bind 10.0.0.1 8080 >/dev/null 2>&1 &
servers=($!)
in_host b python3 -m http.server --bind 10.0.0.2 8080 >/dev/null 2>&1 &
servers+=($!)
udp_serve a
servers+=($!)
udp_serve b
servers+=($!)
sctp_serve a
servers+=($!)
sctp_serve b
servers+=($!)
expect "b serves" eventually fetch a 10.0.0.2
expect "so does a" eventually fetch b 10.0.0.1
expect "and both by UDP" eventually udp_ask a 10.0.0.2
expect "and both by UDP" eventually udp_ask b 10.0.0.1
expect "and by SCTP" eventually sctp_ask a 10.0.0.2
expect "and by SCTP" eventually sctp_ask b 10.0.0.1

# one_way: what a opens goes through with its answers, what b opens does not.
one_way() {
    expect "$1: TCP" fetch a 10.0.0.2
    expect "$1: TCP is not opened by b" blocked fetch b 10.0.0.1
    expect "$1: UDP" udp_ask a 10.0.0.2
    expect "$1: UDP is not opened by b" blocked udp_ask b 10.0.0.1
    expect "$1: SCTP" sctp_ask a 10.0.0.2
    expect "$1: SCTP is not opened by b" blocked sctp_ask b 10.0.0.1
    expect "$1: ICMP" a_pings
    expect "$1: ICMP is not opened by b" blocked b_pings
    expect "$1: ICMPv6" a_pings fd00::2
    expect "$1: ICMPv6 is not opened by b" blocked b_pings fd00::1
}

# ---- the firewall tracks ----
expect "a firewall in front of a" pctl firewall add fw type="$type"
expect "on its port" pctl attach fw br1:a
expect_output "nothing is tracked yet" '^\[\]' fw session-table show -json
expect "ICMPv6 that is not echo goes through" fw chain EGRESS append l4proto=ICMPV6 icmpv6-type=133,134,135,136 action=ACCEPT
expect "b may open nothing" fw chain EGRESS set default=DROP
one_way "accept-established"
expect "a closed connection is seen" eventually state_is TCP 8080 '["TIME_WAIT"]'
expect_output "a datagram and its answer" 'REPLIED' states UDP 5353
expect_output "a chunk of SCTP and its answer" '^\["REPLIED"\]' states SCTP 2000
expect_output "a part of the flows" '^\[\{"src":"10.0.0.1","dst":"10.0.0.2","l4proto":"UDP",[^}]*\}\]$' \
    rest GET 'firewall/fw/session-table/?filter=l4proto=UDP,dport=5353&limit=1'
expect_output "by a leaf that is none" 'give leaf=value, with a leaf of session-table' rest GET 'firewall/fw/session-table/?filter=color=red'
expect "the same by rules" fw set accept-established=OFF
expect "a state in a rule" fw chain EGRESS insert id=0 conntrack=ESTABLISHED,RELATED action=ACCEPT
one_way "conntrack=ESTABLISHED"
refused "a port that nobody listens to" 'refused|Failed to connect' in_host a curl -sSf --max-time 2 http://10.0.0.2:8081/
expect_output "is reset" 'CLOSED' states TCP 8081
refused "of UDP, too" 'refused' in_host a timeout 3 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('10.0.0.2', 9)); s.send(b'x'); s.recv(1)"

# ---- timeouts ----
in_host b ip link set eth0 down
expect "a shorter timeout" fw timeouts set tcp-syn-sent=1
in_host a timeout 1 curl -s --max-time 1 http://10.0.0.2:8082/ || true
in_host b ip link set eth0 up
in_host b ip addr add fd00::2/64 dev eth0 nodad 2>/dev/null || true
expect "a half-open connection goes" eventually state_is TCP 8082 '[]'
expect "events" fw set events=true
expect "of a flow" udp_ask a 10.0.0.2
expect "that is new" eventually prints '"event":"NEW","src":"10.0.0.1","dst":"10.0.0.2","l4proto":"UDP"' rest GET 'firewall/fw/flow-events/?filter=event=NEW,dport=5353'
flow_of() { rest GET 'firewall/fw/session-table/?filter=l4proto=UDP,dport=5353&limit=1' | sed '$d' | jq -r '.[0] | "\(.src)/\(.dst)/UDP/\(.sport)/5353"'; }
flow=$(flow_of)
expect_output "one is forgotten" '^204$' rest DELETE "firewall/fw/session-table/$flow/"
expect_output "and is not there any more" '^40[49]$' rest DELETE "firewall/fw/session-table/$flow/"
expect_output "none can be made" '^405$' rest POST "firewall/fw/session-table/$flow/"
expect "another one" udp_ask a 10.0.0.2
expect_output "no flow to another network is forgotten" 'flushed: 0' fw flush dst=10.0.0.4/30 l4proto=UDP
refused "a prefix that is too long" 'dst: .10\.0\.0\.4/33. is not accepted' fw flush dst=10.0.0.4/33
expect "a flow of IPv6" a_pings fd00::2
expect_output "is not of another network, either" 'flushed: 0' fw flush src=fd00:0:0:1::/64
expect_output "but of one that has its own" 'flushed: [1-9]' fw flush src=fd00::/63
expect_output "those of IPv4 are still there" 'REPLIED' states UDP 5353
expect_output "and go by their own network" 'flushed: [1-9]' fw flush dst=10.0.0.0/30 l4proto=UDP
expect "another one" udp_ask a 10.0.0.2
expect "UDP flows are forgotten" fw flush l4proto=UDP
expect_output "all of them" '^\[\]$' states UDP 5353
expect "which is an event, too" eventually prints '"event":"ENDED"[^}]*"dport":5353' rest GET 'firewall/fw/flow-events/'
expect_output "each by its number" '"number":1,' rest GET firewall/fw/flow-events/1/
expect_output "but not one that never was" '404$' rest GET firewall/fw/flow-events/99999/
expect_output "and only these" 'TCP' pctl fw session-table show -json

# ---- windows ----
# Of a connection that is open, a segment of b's that is far from what a has acknowledged.
stray() {
    local port
    coproc in_host a python3 -u -c "
import socket, sys
s = socket.create_connection(('10.0.0.2', 8080))
print(s.getsockname()[1])
sys.stdin.read()"
    read -r port <&"${COPROC[0]}"
    in_host b python3 -c "
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
s.sendto(struct.pack('!HHIIBBHHH', 8080, $port, 0x12345678, 0, 0x50, 0x10, 0, 0, 0), ('10.0.0.1', 0))"
    eval "exec ${COPROC[1]}>&-"
    wait "$COPROC_PID"
}
invalid() { pctl fw statistics show -json | jq .invalid; }
invalid_before=$(invalid)
expect "a stray segment" stray
expect_output "belongs to its connection" "^$invalid_before\$" invalid
expect "windows are checked" fw set window-check=true
expect "of connections" fetch a 10.0.0.2
expect "another one" stray
expect_output "is INVALID" "^$((invalid_before + 1))\$" invalid
expect "no longer" fw set window-check=false

# ---- LOG, rate, explain ----
expect "LOG" fw chain INGRESS append l4proto=ICMP icmp-type=8 action=LOG description=pings
expect "it goes through" a_pings
expect "and is noted" eventually prints '"packet": "ICMP 10.0.0.1 -> 10.0.0.2, 98 bytes"' fw log show -json
expect "in the daemon's log, too" grep -qF 'INGRESS rule 0: ICMP 10.0.0.1 -> 10.0.0.2, 98 bytes' "$lab_dir/polycubed.log"
expect_output "the rule counts" '^1$' pkts 0
expect "a rate" fw chain INGRESS append l4proto=ICMP rate=1 burst=3 action=ACCEPT
expect "what is above is for the next rule" fw chain INGRESS append l4proto=ICMP action=DROP
expect_output "3 at once, then 1 a second" '10 packets transmitted, [34] received' in_host a ping -q -f -c 10 -W 1 10.0.0.2
expect_output "the rest is the next rule's" '^[67]$' pkts 2
expect_output "explain" 'rule: 2' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=ICMP
expect_output "says why not the others" '0 +LOG' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=ICMP
expect_output "of what is not ICMP" '"differs": "l4proto"' fw explain src=10.0.0.1 dst=10.0.0.2 dport=80 -json
expect_output "counts nothing" '^[67]$' pkts 2
expect_output "and tracks nothing" '\[\]' states TCP 80
refused "two families" 'not of one family' fw explain src=10.0.0.1 dst=fd00::1
refused "a rate that is none" 'rate' fw chain INGRESS append rate=0 action=ACCEPT

# ---- a conntrack cube in front ----
expect "a firewall that does not track" fw set conntrack=OFF
expect "and lets b open connections" fw chain EGRESS set default=ACCEPT
expect_output "other rules" '^20[014]$' rest PUT firewall/fw/chain/INGRESS/rule/ -d '[{"id": 0, "conntrack": "NEW", "l4proto": "ICMP"}]'
expect "sees no state" a_pings
expect "another cube tracks" pctl conntrack add ct type="$type"
expect "on the side of a" pctl attach ct br1:a after=fw
expect "its states are seen" blocked a_pings
expect "and others are not concerned" fetch a 10.0.0.2

kill "${servers[@]}"
finish
