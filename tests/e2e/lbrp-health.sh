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
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if self.path == '/sick' else 200); self.end_headers(); self.wfile.write(b'b$1\n')
        while self.path == '/slow' and not os.path.exists('$lab_dir/enough'):
            self.wfile.write(b'.'); time.sleep(0.05)
        if self.path == '/slow': self.wfile.write(b'whole\n')
    def log_message(self, *arguments): pass
http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()" 2>/dev/null &
    server[$1]=$!
    expect "b$1 listens" eventually prints ':8080 ' in_host b"$1" ss -Hltn
}
# downloads: 16 of them, which run until they are over.
downloads() {
    rm -rf "$lab_dir/enough" "$lab_dir/slow"
    mkdir "$lab_dir/slow"
    in_host c bash -c 'for i in $(seq 16); do curl -sSN --max-time 30 http://10.0.0.100/slow >'"$lab_dir"'/slow/$i 2>&1 & done; wait' &
    slow=$!
    expect "downloads run" eventually bash -c "[ \$(grep -l '^b' $lab_dir/slow/* | wc -l) = 16 ]"
}
# over BACKEND: those of a backend are whole.
over() {
    touch "$lab_dir/enough"
    wait $slow || true
    expect "b$1 has some" grep -q "^b$1" "$lab_dir"/slow/*
    refused "none of b$1's was reset" '' bash -c "grep -l '^b$1' $lab_dir/slow/* | xargs grep -L whole | grep ."
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
    downloads
    silence 2
    expect "b2 is down" is_now 2 DOWN
    expect "and has no places" eventually prints '^0$' service backend 10.0.0.12 places show
    expect_output "and b1 all sessions" ' 20 b1' fetch_all 20
    over 1
    serve 2
    expect "b2 is up" is_now 2 UP
    expect "and has places" eventually prints_not '^0$' service backend 10.0.0.12 places show
    expect_output "and sessions" ' b2' fetch_all 30
    [ $algorithm != least-connections ] || continue
    expect "the service goes" lb service del 10.0.0.100 80 TCP
done

# ---- all are down, by what the check says ----
downloads
expect "what is sick" service health-check http set path=/sick
for n in 1 2; do expect "b$n is down" is_now $n DOWN; done
for n in 1 2; do expect "all are, so b$n serves" eventually prints_not '^0$' service backend 10.0.0.1$n places show; done
expect_output "nobody is rejected" ' b[12]$' fetch_all 20
refused "nobody at all" '' prints nobody fetch_all 20
expect "or none does" service health-check set when-all-down=drop
for n in 1 2; do expect "b$n has none" eventually prints '^0$' service backend 10.0.0.1$n places show; done
refused "clients are rejected" '[Cc]onnection refused|Could.?n.t connect|Failed to connect' in_host c curl -sS --max-time 3 http://10.0.0.100/
expect_output "with a reset, at once" '^7 0\.[0-4]' in_host c curl -s --max-time 3 -o /dev/null -w '%{exitcode} %{time_total}' http://10.0.0.100/
expect_output "which is counted" '"packets": *[1-9]' lb counters dropped no-backend show -json
expect "all may again" service health-check set when-all-down=use-all
expect_output "and are served" ' b[12]$' fetch_all 5
expect "what is well" service health-check http set path=/
for n in 1 2; do expect "b$n is up" is_now $n UP; done
for n in 1 2; do over $n; done
expect_output "events" '"service":"10.0.0.10080TCP","backend":"10.0.0.12","state":"DOWN"' \
    tr -d '\n ' <<<"$(lb health-events show -json)"
expect "the cube goes" pctl lbrp del lb1

kill "${server[@]}"
finish
