#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An lbrp whose backends are checked: a server that is killed gets no new sessions, and does again when it is back.
. "$(dirname "$0")/expect.sh"

lb() { pctl lb1 "$@"; }
service() { lb service 10.0.0.100 80 TCP "$@"; }
fetch_all() {
    for _ in $(seq "$1"); do in_host c curl -sf --max-time 2 http://10.0.0.100/ || echo nobody; done | sort | uniq -c
}
health() { service backend 10.0.0.1"$1" health show -json | tr -d '\n '; }
is_now() { eventually prints "\"state\":\"$2\"" health "$1"; }
mac_of() { ip -n "$lab_id-$1" -br link show eth0 | awk '{ print $3 }'; }
declare -A server
serve() {
    nsenter --net="/run/netns/$lab_id-b$1" -- python3 -c "
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'b$1\n')
    def log_message(self, *arguments): pass
http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()" 2>/dev/null &
    server[$1]=$!
    expect "b$1 listens" eventually prints ':8080 ' in_host b"$1" ss -Hltn
}
silence() {
    kill "${server[$1]}"
    wait "${server[$1]}" 2>/dev/null || true
}

lab_up
lab_host c 10.0.0.2/24
for n in 1 2; do lab_host b$n 10.0.0.1$n/24; done
in_host daemon ip link add checks type veth peer name to.checks
in_host daemon ip address add 10.0.0.200/24 dev checks
in_host daemon ip link set checks up
in_host daemon ip link set to.checks up
[ "$type" = TC ] || in_host daemon ethtool -K checks tx off tso off gro on >/dev/null
pctl lbrp add lb1 type="$type"
pctl simplebridge add br1 type="$type"
for port in b1 b2 checks; do pctl br1 ports add $port peer=to.$port; done
pctl br1 ports add lb
pctl lb1 ports add front type=FRONTEND peer=to.c
pctl lb1 ports add back type=BACKEND
pctl connect br1:lb lb1:back
for n in 1 2; do serve $n; done
for n in 1 2; do expect "the daemon reaches b$n" eventually in_host daemon ping -q -c 1 -W 1 10.0.0.1$n; done
for algorithm in maglev round-robin least-connections; do
    expect "a service, $algorithm" lb service add 10.0.0.100 80 TCP algorithm=$algorithm
    for n in 1 2; do expect "a backend" service backend add 10.0.0.1$n port=8080 mac="$(mac_of b$n)"; done
    expect "HTTP, on the backends' port" service health-check set type=HTTP interval=200 timeout=100 rise=2 fall=2
    for n in 1 2; do expect "b$n is up" is_now $n UP; done
    expect_output "both serve" ' b2' fetch_all 30
    silence 2
    expect "b2 is down" is_now 2 DOWN
    expect "and has no places" eventually prints '^0$' service backend 10.0.0.12 places show
    expect_output "and b1 all sessions" ' 20 b1' fetch_all 20
    serve 2
    expect "b2 is up" is_now 2 UP
    expect "and has places" eventually prints_not '^0$' service backend 10.0.0.12 places show
    expect_output "and sessions" ' b2' fetch_all 30
    expect "the service goes" lb service del 10.0.0.100 80 TCP
done
expect_output "events" '"service":"10.0.0.10080TCP","backend":"10.0.0.12","state":"DOWN"' \
    tr -d '\n ' <<<"$(lb health-events show -json)"
expect "the cube goes" pctl lbrp del lb1

kill "${server[@]}"
finish
