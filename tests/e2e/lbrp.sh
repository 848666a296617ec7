#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Client c, an lbrp, and a bridge with backends b1 and b2, which know nothing of VIPs.
. "$(dirname "$0")/expect.sh"

lb() { pctl lb1 "$@"; }
fetch() { in_host c curl -sSf --max-time 3 "http://$1/"; }
# fetch_all ADDRESS N: who answered, and how often.
fetch_all() {
    for _ in $(seq "$2"); do fetch "$1" || echo nobody; done | sed 's/ .*//' | sort | uniq -c
}
mac_of() { ip -n "$lab_id-$1" -br link show eth0 | awk '{ print $3 }'; }
# http_serve HOST PORT: says who it is, and who asks. /slow takes its time: a dot each 50 ms, 40 of them.
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
        self.wfile.write(('$1 %s %d\n' % self.client_address[:2]).encode())
        if self.path == '/big': self.wfile.write(b'x' * 3000000)
    def do_POST(self):
        got = len(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(200); self.end_headers(); self.wfile.write(('%d\n' % got).encode())
    def log_message(self, *arguments): pass
Server(('::', $2), Handler).serve_forever()" 2>/dev/null &
    servers+=($!)
}
# udp_serve HOST PORT: answers each datagram with its name, and where that came from.
udp_serve() {
    in_host "$1" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', $2))
while True:
    data, peer = s.recvfrom(9999)
    s.sendto(('$1 %s %d %d' % (peer[0], peer[1], len(data))).encode(), peer)" &
    servers+=($!)
}
# udp_ask TO PORT SOURCE_PORT [SIZE]
udp_ask() {
    in_host c timeout 3 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2); s.bind(('', $3)); s.connect(('$1', $2)); s.send(b'q' * ${4:-1}); print(s.recv(99).decode())"
}
servers=()

lab_up
lab_host c 10.0.0.2/24 "" fd00::2/64
for n in 1 2; do
    lab_host b$n 10.0.0.1$n/24 "" fd00::1$n/64
    http_serve b$n 8080
    udp_serve b$n 5353
done
head -c 2000000 /dev/zero >"$lab_dir/body"
pctl lbrp add lb1 type="$type"
pctl simplebridge add br1 type="$type"
for n in 1 2; do pctl br1 ports add b$n peer=to.b$n; done
pctl br1 ports add lb
expect "the side of the clients" lb ports add front type=FRONTEND peer=to.c
expect "and of the backends" lb ports add back type=BACKEND
pctl connect br1:lb lb1:back
for n in 1 2; do
    expect "a server listens" eventually prints ':8080 ' in_host b$n ss -Hltn
    expect "on UDP too" eventually prints ':5353 ' in_host b$n ss -Hlun
done
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
expect_output "a large body comes" '3000[0-9]{3}' in_host c curl -s --max-time 5 -o /dev/null -w '%{size_download}' http://10.0.0.100/big
expect_output "and goes" '2000000' in_host c curl -s --max-time 5 --data-binary @"$lab_dir/body" http://10.0.0.100/
expect_output "counters" '"reply-packets": *[1-9]' lb service show 10.0.0.100 80 TCP -json
expect_output "sessions" '"sport":[0-9]+,"dport":80,"state":"[A-Z_]+","eta":[0-9]+,"backend":"10\.0\.0\.1[12]","backend-port":8080,"source":"10\.0\.0\.2"' rest GET lbrp/lb1/session-table/
expect_output "page by page" '^\[\{[^}]*\}\]$' rest GET 'lbrp/lb1/session-table/?limit=1'
kill "${servers[@]}"
finish
