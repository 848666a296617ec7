#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An lbrp whose backends are checked: a server that is killed gets no new sessions, and does again when it is back.
. "$(dirname "$0")/balancer.sh"

lab_up
lab_host c 10.0.0.2/24
for n in 1 2; do
    lab_host b$n 10.0.0.1$n/24
    serve b$n :: tcp/8080
done
checks_up
balancer lbrp b1 b2 checks
served
for n in 1 2; do expect "the daemon reaches b$n" eventually in_host daemon ping -q -c 1 -W 1 10.0.0.1$n; done
for algorithm in maglev round-robin least-connections; do
    expect "a service, $algorithm" lb service add 10.0.0.100 80 TCP algorithm=$algorithm
    for n in 1 2; do expect "a backend" service backend add 10.0.0.1$n port=8080 mac="$(mac_of b$n)"; done
    expect "HTTP, on the backends' port" service health-check set type=HTTP interval=200 timeout=100 rise=2 fall=2
    for n in 1 2; do expect "b$n is up" is_now $n UP; done
    expect "both serve" eventually prints ' b2' fetch_all 10.0.0.100 30
    downloads_start
    silence b2
    expect "b2 is down" is_now 2 DOWN
    expect "and has no places" eventually prints '^0$' service backend 10.0.0.12 places show
    expect_output "and b1 all sessions" ' 20 b1' fetch_all 10.0.0.100 20
    downloads_end b1
    serve b2 :: tcp/8080
    served
    expect "b2 is up" is_now 2 UP
    expect "and has places" eventually prints_not '^0$' service backend 10.0.0.12 places show
    expect "and sessions" eventually prints ' b2' fetch_all 10.0.0.100 30
    [ $algorithm != least-connections ] || continue
    expect "the service goes" lb service del 10.0.0.100 80 TCP
done

# ---- all are down, by what the check says ----
downloads_start
fetches_start
expect "what is sick" service health-check http set path=/sick
for n in 1 2; do expect "b$n is down" is_now $n DOWN; done
for n in 1 2; do expect "all are, so b$n serves" eventually prints_not '^0$' service backend 10.0.0.1$n places show; done
expect_output "nobody is rejected" ' b[12]$' fetch_all 10.0.0.100 20
refused "nobody at all" '' prints nobody fetch_all 10.0.0.100 20
fetches_end
expect "or none does" service health-check set when-all-down=drop
for n in 1 2; do expect "b$n has none" eventually prints '^0$' service backend 10.0.0.1$n places show; done
refused "clients are rejected" '[Cc]onnection refused|Could.?n.t connect|Failed to connect' in_host c curl -sS --max-time 3 http://10.0.0.100/
expect_output "with a reset, at once" '^7 0\.[0-4]' in_host c curl -s --max-time 3 -o /dev/null -w '%{exitcode} %{time_total}' http://10.0.0.100/
expect_output "which is counted" '"packets": *[1-9]' lb counters dropped no-backend show -json
expect "all may again" service health-check set when-all-down=use-all
expect_output "and are served" ' b[12]$' fetch_all 10.0.0.100 5
expect "what is well" service health-check http set path=/
for n in 1 2; do expect "b$n is up" is_now $n UP; done
downloads_end b1 b2
expect_output "events" '"service":"10.0.0.10080TCP","backend":"10.0.0.12","state":"DOWN"' \
    tr -d '\n ' <<<"$(lb health-events show -json)"

# ---- UDP: a host that is not there, a port that is not ----
by_udp() { lb service 10.0.0.100 53 UDP "$@"; }
later() { eventually "$@" || eventually "$@"; }
udp_is() { prints "\"state\": *\"$2\"" by_udp backend "$1" health show -json; }
expect "a service of UDP" lb service add 10.0.0.100 53 UDP
serve b1 :: udp/53
served
expect "a server" by_udp backend add 10.0.0.11 port=53 mac="$(mac_of b1)"
expect "a port that nobody has" by_udp backend add 10.0.0.12 port=53 mac="$(mac_of b2)"
expect "a host that is not there" by_udp backend add 10.0.0.99 port=53 mac="$(mac_of b2)"
expect "checked by UDP" by_udp health-check set type=UDP interval=300 timeout=200 rise=2 fall=2
expect "the port is down" eventually udp_is 10.0.0.12 DOWN
# That nobody has the address is known after three seconds.
expect "the host is down" later udp_is 10.0.0.99 DOWN
expect "the server is up" udp_is 10.0.0.11 UP
expect_output "and is asked" '^b1' udp_ask c 10.0.0.100 53
# A client that goes on from one port is asked by another server once its own is gone.
serve b2 :: udp/53
served
expect "the other one, too" later udp_is 10.0.0.12 UP
in_host c python3 -c "
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.1); s.connect(('10.0.0.100', 53))
while True:
    try: s.send(b'ask'); print(s.recv(100).decode().split()[0], flush=True)
    except OSError: print('silence', flush=True)
    time.sleep(0.05)" >"$lab_dir/asked" &
expect "a client asks" eventually grep -q '^b[12]' "$lab_dir/asked"
server=$(grep -m 1 -o '^b[12]' "$lab_dir/asked")
silence "$server"
expect "its server is down" later udp_is "10.0.0.1${server#b}" DOWN
expect "the other one answers it" eventually grep -qv "^silence\|^$server" "$lab_dir/asked"
expect "the cube goes" pctl lbrp del lb1

finish
