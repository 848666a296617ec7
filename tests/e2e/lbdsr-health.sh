#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An lbdsr whose backends are checked: servers that are killed leave its tables, and come back.
. "$(dirname "$0")/balancer.sh"

check() { service health-check "$@"; }
places() { service backend 10.0.0.1"$1" places show; }
events() { lb health-events show -json | tr -d '\n '; }
has_now() { [ "$(places "$1")" = "$2" ]; }
now_ms() { date +%s%3N; }
process() { cat "$lab_dir/polycubed.pid"; }
rss() { awk '/VmRSS/ { print $2 }' "/proc/$(process)/status"; }
threads() { cat "/proc/$(process)/task/"*/comm; }
# request METHOD PATH BODY: fails if it is refused.
request() {
    local answer
    answer=$(rest "$1" "lbdsr/lb1/service/$2/" -d "$3")
    printf '%s\n' "$answer"
    [ "$(tail -n 1 <<<"$answer")" -lt 300 ]
}
# within MS WHAT COMMAND...: it happens, and no later. Two checks of 200 ms and a timeout are 500; looking takes time, too.
within() {
    local limit=$1 what=$2 begin
    shift 2
    begin=$(now_ms)
    expect "$what" eventually "$@"
    expect "$what in $limit ms" test $(($(now_ms) - begin)) -le "$limit"
}
# answers PORT: who answers the client's UDP port, ten times.
answers() { udp_ask c 10.0.0.100 53 "$1" 1 10 | sort | uniq -c; }

lab_up
lab_host c 10.0.0.2/24
for n in 1 2; do
    lab_host b$n 10.0.0.1$n/24
    in_host b$n sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
    in_host b$n ip address add 10.0.0.100/32 dev lo
    serve b$n 10.0.0.100 udp/53
    serve b$n :: tcp/80
done
checks_up
balancer lbdsr b1 b2 checks
served
for n in 1 2; do expect "the daemon reaches b$n" eventually in_host daemon ping -q -c 1 -W 1 10.0.0.1$n; done
expect "a service" lb service add 10.0.0.100 80 TCP
for n in 1 2; do expect "a backend" service backend add 10.0.0.1$n mac="$(mac_of b$n)"; done

# ---- a server dies ----
expect_output "not checked, there is no health" '^\{?\}?$' health 1
expect_output "nobody checks" '^0$' bash -c "cat /proc/$(process)/task/*/comm | grep -c health || true"
expect "TCP" check set type=TCP interval=200 timeout=100 rise=2 fall=2
expect_output "a thread does" '^health$' threads
expect "b1 is up" is_now 1 UP
expect "b2 is up" is_now 2 UP
expect_output "and why" '"reason":"connected"' health 2
expect_output "since when" '"last-change":"20[0-9-]+T[0-9:.]+Z","checks":[1-9]' health 2
expect "both serve" eventually prints ' b2' fetch_all 10.0.0.100 20
downloads_start
silence b2
within 1000 "b2 is out" has_now 2 0
expect "and down" is_now 2 DOWN
expect_output "and why" '"reason":"Connectionrefused"' health 2
expect_output "b1 has all" '^65537$' places 1
expect_output "and serves all" ' 20 b1' fetch_all 10.0.0.100 20
downloads_end b1
serve b2 :: tcp/80
served
within 1000 "b2 is back" has_now 2 32768
expect "and serves" eventually prints ' b2' fetch_all 10.0.0.100 20
expect_output "events tell of it" '"service":"10.0.0.10080TCP","backend":"10.0.0.12","state":"DOWN","reason":"Connectionrefused"' \
    events
expect_output "the last one too" '"state": *"UP"' lb health-events show 4 -json
expect_output "the log too" '\[lb1\].*backend 10.0.0.12 of service 10.0.0.100 80 TCP is DOWN: Connection refused' cat "$lab_dir/stdout"

# ---- flows of a backend that is down ----
lb service add 10.0.0.100 53 UDP
expect "UDP balanced, a TCP port checked" lb service 10.0.0.100 53 UDP health-check set type=TCP port=80 interval=200 timeout=100 fall=2
for n in 1 2; do lb service 10.0.0.100 53 UDP backend add 10.0.0.1$n mac="$(mac_of b$n)"; done
for port in $(seq 4001 4020); do
    answers "$port" >"$lab_dir/who" && grep -q '10 b2' "$lab_dir/who" && break
done
expect_output "a flow goes to b2" ' 10 b2' answers "$port"
silence b2
expect "which is out" eventually prints '^0$' lb service 10.0.0.100 53 UDP backend 10.0.0.12 places show
expect_output "so that its flow goes to b1" ' 10 b1' answers "$port"

# ---- all are down ----
silence b1
expect "b1 is down" is_now 1 DOWN
expect "all are, so all serve" eventually has_now 2 32768
expect "or none does" check set when-all-down=drop
expect "b2 has none" eventually has_now 2 0
expect "b1 has none" eventually has_now 1 0
refused "so nobody serves" '' fetch 10.0.0.100 2
expect_output "which is counted" '"packets": *[1-9]' lb counters dropped no-backend show -json
serve b1 :: tcp/80
served
within 1000 "one is back" has_now 1 65537
expect_output "and serves" ' 5 b1' fetch_all 10.0.0.100 5
serve b2 :: tcp/80
served

# ---- HTTP ----
expect_output "libcurl is not there yet" '^0$' bash -c "grep -c libcurl /proc/$(process)/maps || true"
before=$(rss)
expect "HTTP" check set type=HTTP
expect "b2 is up" eventually prints '"state":"UP","reason":"status200"' health 2
expect_output "now it is" '^[1-9]' grep -c libcurl "/proc/$(process)/maps"
printf '     RSS %d kB before the first HTTP check, %d after\n' "$before" "$(rss)"
expect "what is sick" check http set path=/sick
expect "is down" is_now 2 DOWN
expect_output "and why" 'status503,expectedis200-399' health 2
expect "unless 503 is well" check http set status=200,503
expect "it is up" is_now 2 UP

# ---- ICMP ----
expect "ICMP" check set type=ICMP
expect "is answered" eventually prints '"reason":"answered"' health 2
in_host b2 ip link set eth0 down
expect "until it is not" is_now 2 DOWN
expect "and it is out" eventually has_now 2 0
in_host b2 ip link set eth0 up
expect "it is back" is_now 2 UP

# ---- a script ----
printf '#!/bin/sh\ntest -e %s/well.$1\n' "$lab_dir" >"$lab_dir/script"
chmod 755 "$lab_dir/script"
touch "$lab_dir/well.10.0.0.11"
expect "a script" check script set path="$lab_dir/script"
expect "b1 is up" is_now 1 UP
expect "is run" check set type=SCRIPT
expect "b2 is down" is_now 2 DOWN
expect_output "and why" 'exitstatus1' health 2
touch "$lab_dir/well.10.0.0.12"
expect "b2 is up" is_now 2 UP

# ---- another tenant's ----
expect "it becomes a tenant's" lb service 10.0.0.100 80 TCP set vlan=7
expect_output "backends are what they were" '"state":"UP"' health 2
rm "$lab_dir/well.10.0.0.12"
expect "and go on being checked" is_now 2 DOWN
touch "$lab_dir/well.10.0.0.12"
expect "b2 is up" is_now 2 UP
expect "it becomes another one's" lb service 10.0.0.100 80 TCP set vlan=8
expect_output "backends are what they were" '"state":"UP"' health 2

# ---- bad input ----
before=$(rest GET lbdsr/lb1/service/10.0.0.100/80/TCP/health-check/)
refused "a timeout beyond the interval" 'timeout 500 is longer than interval 200' check set timeout=500
refused "an interval that is none" 'interval' check set interval=5
refused "a type that is none" 'type' check set type=PING
refused "nobody to rise for" 'rise' check set rise=0
refused "a range the wrong way round" 'wrong way round' request PATCH 10.0.0.100/80/TCP/health-check '{"type":"HTTP","http":{"status":"400-300"}}'
refused "a status that is none" 'status' check http set status=600
refused "a path that is none" 'path' check http set path=healthz
refused "bytes that are none" 'payload' check udp set payload='\x4'
refused "a script that is not there" 'does not exist' check script set path=/nowhere/script
chmod 777 "$lab_dir/script"
refused "a script that others can write" 'can be written by others' check set interval=300
chmod 755 "$lab_dir/script"
refused "a service of all ports, without one" 'port is missing' request POST 10.0.0.101/0/ALL '{"health-check":{"type":"TCP"}}'
expect "nothing of it was taken over" test "$before" = "$(rest GET lbdsr/lb1/service/10.0.0.100/80/TCP/health-check/)"

# ---- the end ----
expect "not checked any more" check set type=NONE
expect_output "there is no health" '^\{?\}?$' health 1
expect "the other service goes" lb service del 10.0.0.100 53 UDP
expect "so does the thread" eventually prints_not '^health$' threads
expect "checked again" check set type=TCP
expect "by another thread" eventually prints '^health$' threads
expect "and the cube goes" pctl lbdsr del lb1
expect "and the thread" eventually prints_not '^health$' threads

finish
