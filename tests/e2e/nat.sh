#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A nat on the uplink port of a router: client a inside, server s outside, which has no route back to a.
. "$(dirname "$0")/hosts.sh"

nat() { pctl n1 "$@"; }
fetch() { in_host "$1" curl -gsf --max-time 10 "http://$2/100000"; }
table() { rest GET "nat/n1/natting-table/?filter=$1"; }

lab_up
lab_host a 10.0.1.2/24 10.0.1.1 fd00:1::2/64 fd00:1::1
lab_host b 10.0.1.3/24 10.0.1.1
lab_host s 198.51.100.2/24 "" fd00:2::2/64 fd00:2::1
pctl simplebridge add br1 type="$type"
pctl br1 ports add a peer=to.a
pctl br1 ports add b peer=to.b
pctl router add r1 type="$type"
pctl br1 ports add r
pctl r1 ports add in ip=10.0.1.1/24
pctl connect br1:r r1:in
pctl r1 ports add up peer=to.s ip=198.51.100.1/24
pctl r1 ports in secondaryip add fd00:1::1/64
pctl r1 ports up secondaryip add fd00:2::1/64
serve s 198.51.100.2 tcp/8080 udp/{5353,5354,5355}
serve a 10.0.1.2 tcp/80 udp/53
served

# ---- masquerade ----
expect "without nat, the server has no way back" blocked in_host a ping -q -c 1 -W 1 198.51.100.2
expect "a nat" pctl nat add n1 type="$type"
expect "on the uplink" pctl attach n1 r1:up position=first
expect "without rules, nothing changes" blocked in_host a ping -q -c 1 -W 1 198.51.100.2
expect_output "masquerade" 'true' nat rule masquerade enable
expect_output "it has the port's address" '198\.51\.100\.1' nat show masquerade-ip
expect "ping" pings a 198.51.100.2
expect "of another host" pings b 198.51.100.2
expect "the router itself" in_host s ping -q -c 1 -W 2 198.51.100.1
expect_output "TCP" '^s 198\.51\.100\.1 ' fetch a 198.51.100.2:8080
expect_output "UDP keeps its port" '^s 198\.51\.100\.1 4000 1$' udp_ask a 198.51.100.2 5353 4000
expect_output "which is taken then" '^s 198\.51\.100\.1 [0-9]+ 1$' udp_ask b 198.51.100.2 5353 4000
expect_output "and another one is found, of its parity" '"internal-src":"10.0.1.3","internal-dst":"198.51.100.2","internal-sport":4000,"internal-dport":5353,"proto":"UDP","originating-rule":"masquerade","rule-id":0,"external-ip":"198.51.100.1","external-port":[0-9]*[02468]}' \
    table internal-src=10.0.1.3,proto=UDP
expect_output "fragments" '^s 198\.51\.100\.1 4002 4000$' udp_ask a 198.51.100.2 5353 4002 4000
expect "large echoes" in_host a ping -q -c 2 -i 0.2 -W 2 -s 4000 198.51.100.2
expect_output "an ICMP error comes back" 'Connection refused' udp_refused a 198.51.100.2
expect_output "traceroute" '^ *2 +198\.51\.100\.2 ' in_host a traceroute -n -q 1 -w 2 198.51.100.2
expect "IPv6 passes as it is" in_host a ping -q -c 1 -W 2 fd00:2::2
expect_output "echoes are in the table" '"proto":"ICMP","originating-rule":"masquerade"' table proto=ICMP
expect_output "page by page" '^\[\{[^}]*\}\]$' rest GET 'nat/n1/natting-table/?limit=1'
expect_output "a filter that is none" 'give leaf=value' table colour=red
expect_output "statistics" '"created": *[1-9]' nat statistics show -json
expect "the port's address changes" pctl r1 ports up set ip=198.51.100.7/24
expect "nat follows" eventually prints '198\.51\.100\.7' nat show masquerade-ip
expect_output "and so do sessions" '^s 198\.51\.100\.7 ' fetch a 198.51.100.2:8080
expect "back again" pctl r1 ports up set ip=198.51.100.1/24
expect "nat follows" eventually prints '198\.51\.100\.1' nat show masquerade-ip

# ---- what comes from outside ----
expect "nobody outside reaches a host inside" blocked fetch s 198.51.100.1:8000
expect_output "a port is forwarded" 'id.*1' nat rule port-forwarding append external-ip=198.51.100.1 external-port=8000 proto=TCP internal-ip=10.0.1.2 internal-port=80
expect_output "to it, and the client is seen" '^a 198\.51\.100\.2 ' fetch s 198.51.100.1:8000
expect_output "which is in the table" '"internal-src":"10.0.1.2","internal-dst":"198.51.100.2","internal-sport":80,.*"originating-rule":"portforwarding","rule-id":1,"external-ip":"198.51.100.1","external-port":8000' table originating-rule=portforwarding
expect "a range, of UDP" nat rule port-forwarding append external-ip=198.51.100.1 external-port=5000 external-port-last=5009 proto=UDP internal-ip=10.0.1.2 internal-port=50
expect_output "and its fourth port" '^a 198\.51\.100\.2 4000 1$' udp_ask s 198.51.100.1 5003 4000
in_host s ip route add 203.0.113.0/24 via 198.51.100.1
expect "a whole address" nat rule dnat append external-ip=203.0.113.2 internal-ip=10.0.1.2
expect "is reached" in_host s ping -q -c 1 -W 2 203.0.113.2
expect_output "by TCP" '^a ' fetch s 203.0.113.2:80
expect_output "an ICMP error of a host inside" 'Connection refused' udp_refused s 203.0.113.2

# ---- snat, and rules that change ----
expect "a source of its own" nat rule snat append internal-net=10.0.1.3/32 external-ip=203.0.113.9 port-first=20000 port-last=20009
expect_output "for one host" '^s 203\.0\.113\.9 200[0-9]+ 1$' udp_ask b 198.51.100.2 5353 4001
expect_output "others have what they had" '^s 198\.51\.100\.1 4001 1$' udp_ask a 198.51.100.2 5353 4001
expect_output "the rule is changed" '^20[01]' rest PATCH nat/n1/rule/snat/entry/1/ -d '{"external-ip": "203.0.113.10"}'
expect_output "sessions stay" '^s 203\.0\.113\.9 ' udp_ask b 198.51.100.2 5353 4001
expect_output "until they are told to go" 'flushed: 1' nat flush-stale
expect_output "then they are of the rule" '^s 203\.0\.113\.10 ' udp_ask b 198.51.100.2 5353 4001
expect "a rule goes" nat rule snat entry del 1
expect_output "its sessions stay" '^s 203\.0\.113\.10 ' udp_ask b 198.51.100.2 5353 4001
expect_output "a session is forgotten by its key" '^20[04]' rest DELETE nat/n1/natting-table/10.0.1.3/198.51.100.2/4001/5353/UDP/
expect_output "and the host is masqueraded" '^s 198\.51\.100\.1 ' udp_ask b 198.51.100.2 5353 4001
expect_output "flush by a filter" 'flushed: [1-9]' nat flush l4proto=UDP
expect_output "UDP is gone" '^\[\]' table proto=UDP
expect "events" nat set events=true
expect "of a session" udp_ask a 198.51.100.2 5353 4006
expect_output "that is new" '"event":"NEW","src":"10.0.1.2","dst":"198.51.100.2","l4proto":"UDP","sport":4006' rest GET 'nat/n1/flow-events/?filter=event=NEW'
expect "all of it" nat natting-table del
expect_output "has ended, which is told once" '^\[\{[^}]*"event":"ENDED","src":"10.0.1.2","dst":"198.51.100.2","l4proto":"UDP","sport":4006[^}]*\}\]$' \
    rest GET 'nat/n1/flow-events/?filter=event=ENDED,dport=5353'
expect_output "goes" '^\[\]' rest GET nat/n1/natting-table/
expect_output "in both places" '"flows": *0' nat statistics show -json

# ---- bad input ----
refused "a network that is none" 'internal-net: "10.0.0.0/33" is not accepted: give an IPv4 or IPv6 prefix, for example' nat rule snat append internal-net=10.0.0.0/33 external-ip=203.0.113.9
refused "a group's address" 'not the address of a host' nat rule snat append internal-net=10.0.0.0/8 external-ip=224.0.0.1
refused "one port of two" 'given together' nat rule snat append internal-net=10.0.0.0/8 external-ip=203.0.113.9 port-first=1
refused "a pool that ends before it begins" 'external-ip-last' nat rule snat append internal-net=10.0.0.0/8 external-ip=203.0.113.9 external-ip-last=203.0.113.8
refused "port 70000" '70000|external-port' nat rule port-forwarding append external-ip=198.51.100.1 external-port=70000 internal-ip=10.0.1.2 internal-port=80
refused "a port that is forwarded already" 'a port in common' nat rule port-forwarding append external-ip=198.51.100.1 external-port=7000 external-port-last=8000 internal-ip=10.0.1.2 internal-port=80
refused "ports that end above 65535" '65535' nat rule port-forwarding append external-ip=198.51.100.1 external-port=1 external-port-last=100 internal-ip=10.0.1.2 internal-port=65500
refused "a protocol without ports" 'proto' nat rule port-forwarding append external-ip=198.51.100.1 external-port=1 proto=ICMP internal-ip=10.0.1.2 internal-port=1
refused "an address twice" 'the same external-ip' nat rule dnat append external-ip=203.0.113.2 internal-ip=10.0.1.3
refused "windows" 'does not check windows' nat set window-check=true
refused "a session" 'it takes GET, DELETE, OPTIONS' nat natting-table add 10.0.1.2 198.51.100.2 1 2 TCP
refused "a rule that is not there" 'does not exist|[Nn]ot found|no ' nat rule snat entry del 99
expect_output "nothing of it was taken over" '^\[\]' nat rule snat entry show -json
refused "a rule that becomes nonsense" 'not the address of a host' nat rule port-forwarding entry 1 set internal-ip=224.0.0.1
expect "another change" nat rule exempt append external-net=192.0.2.99/32
expect "goes again" nat rule exempt entry del
expect_output "and all still works" '^a ' fetch s 198.51.100.1:8000

# ---- endpoint-independent ----
expect "endpoint-independent mapping" nat set mapping=endpoint-independent
expect_output "a port" '^s 198\.51\.100\.1 6000 1$' udp_ask a 198.51.100.2 5353 6000
expect_output "of two hosts" '^s 198\.51\.100\.1 [0-9]+ 1$' udp_ask b 198.51.100.2 5354 6000
mapped=$(udp_ask b 198.51.100.2 5354 6000)
expect_output "is another one, for all remotes" "^$mapped\$" udp_ask b 198.51.100.2 5355 6000
expect_output "and shown" '"internal-src":"10.0.1.3","internal-dst":"0.0.0.0","internal-sport":6000,"internal-dport":0' table internal-dst=0.0.0.0
refused "a mapping that is none" 'mapping' nat set mapping=cone
expect "as before" nat set mapping=address-and-port-dependent

# ---- networks ----
in_host s ip route add 192.0.2.0/24 via 198.51.100.1
expect "a network for a network" nat rule netmap append internal-net=10.0.1.0/28 external-net=192.0.2.0/28
expect_output "out" '^s 192\.0\.2\.3 ' fetch b 198.51.100.2:8080
expect_output "and in" '^a ' fetch s 192.0.2.2:80
refused "of another size" 'same size' nat rule netmap append internal-net=10.0.4.0/24 external-net=203.0.113.0/28
in_host s ip route add 10.0.1.0/24 via 198.51.100.1
expect "an exempt destination" nat rule exempt append external-net=198.51.100.2/32
expect_output "sees who it is" '^s 10\.0\.1\.3 ' fetch b 198.51.100.2:8080
in_host s ip route del 10.0.1.0/24

expect "what is shown can be sent back" comes_back nat/n1

# ---- detached, and on a device, where inside is the host ----
expect "off the port" pctl detach n1 r1:up
expect "nothing is translated" blocked in_host a ping -q -c 1 -W 1 198.51.100.2
lab_host t 172.16.0.2/24
serve t 172.16.0.2 tcp/8080
in_host daemon ip addr add 172.16.0.1/24 dev to.t
in_host daemon ip addr add 10.9.9.9/32 dev lo
expect "a device" pctl nat add n2 type="$type"
expect "has a nat" pctl attach n2 to.t
expect "that masquerades" pctl n2 rule masquerade enable
expect_output "with its address" '172\.16\.0\.1' pctl n2 show masquerade-ip
served
expect "ping" eventually in_host daemon ping -q -c 1 -W 2 -I 10.9.9.9 172.16.0.2
expect_output "TCP" '^t 172\.16\.0\.1 ' in_host daemon curl -sf --max-time 10 --interface 10.9.9.9 http://172.16.0.2:8080/100000
in_host daemon ip addr del 172.16.0.1/24 dev to.t
in_host daemon ip addr add 172.16.0.9/24 dev to.t
expect "another address of it" eventually prints '172\.16\.0\.9' pctl n2 show masquerade-ip
expect_output "is taken" '^t 172\.16\.0\.9 ' in_host daemon curl -sf --max-time 10 --interface 10.9.9.9 http://172.16.0.2:8080/100000
expect "a nat goes" pctl nat del n2

finish
