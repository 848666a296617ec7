#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A firewall between two hosts on a bridge: rules, their order, counters, what is refused, rules that change under traffic.
. "$(dirname "$0")/expect.sh"

fw() { pctl fw "$@"; }
from_a() { in_host a ping -q -c 1 -W 1 "${1:-10.0.0.2}"; }
pkts() { fw chain INGRESS stats show -json | jq ".[$1].pkts"; }
ids() { fw chain INGRESS rule show -json | jq -c "map([.id, .${1:-description}])"; }
blocked() { ! "$@"; }

lab_up
lab_host a 10.0.0.1/24
lab_host b 10.0.0.2/24
in_host a ip addr add fd00::1/64 dev eth0 nodad
in_host b ip addr add fd00::2/64 dev eth0 nodad
pctl simplebridge add br1 type="$type"
pctl br1 ports add a peer=to.a
pctl br1 ports add b peer=to.b
expect "a firewall" pctl firewall add fw type="$type"
expect "on the port of a" pctl attach fw br1:a
expect_output "both chains are there" '\["INGRESS","EGRESS"\]' sh -c "'$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock fw chain show -json | jq -c 'map(.name)'"
expect "what no rule forbids goes through" from_a
expect "and IPv6" from_a fd00::2

# ---- rules ----
expect "a rule against ICMP" fw chain INGRESS append l4proto=ICMP action=DROP description=icmp
expect "ICMP is dropped" blocked from_a
expect "ICMPv6 is not" from_a fd00::2
expect_output "and counted" '^1$' pkts 0
expect "one in front of it" fw chain INGRESS insert id=0 src=10.0.0.1 l4proto=ICMP icmp-type=8 action=ACCEPT description=ping
expect "decides" from_a
expect_output "the other one keeps its counters" '^1$' pkts 1
expect_output "ids follow" '\[\[0,"ping"\],\[1,"icmp"\]\]' ids
expect "the first is deleted" fw chain INGRESS delete id=0
expect_output "ids follow" '\[\[0,"icmp"\]\]' ids
expect_output "with its counters" '^1$' pkts 0
expect "ICMP is dropped again" blocked from_a
expect "described in another way" fw chain INGRESS rule 0 set description=ping
expect_output "it goes on counting" '^2$' pkts 0
expect "with another action" fw chain INGRESS rule 0 set action=REJECT
expect_output "it begins anew" '^0$' pkts 0
expect "a rule" fw chain INGRESS append src=10.9.0.0/16,10.8.1.1 l4proto=TCP dport=80,443-445 tcpflags=SYN action=DROP
refused "almost its fields" 'no rule has exactly these fields' fw chain INGRESS delete src=10.9.0.0/16,10.8.1.1 l4proto=tcp dport=80,443-444 tcpflags=SYN action=DROP
expect "its fields, written in another way" fw chain INGRESS delete src=10.8.1.1/32,10.9.7.7/16 l4proto=6 "dport=443:445, 80" tcpflags=SYN
expect_output "it has gone" '\[\[0,"ping"\]\]' ids
counts() { fw chain INGRESS stats show -json | jq -c 'map(.pkts)[:-1]'; }
# log NAME...: rules that log, with these descriptions, and one that drops.
log() {
    rest PUT firewall/fw/chain/INGRESS/rule/ -d "$(jq -nc '[$ARGS.positional[] | {l4proto: "ICMP", action: "LOG", description: .}] +
        [{l4proto: "ICMP", action: "DROP"}] | to_entries | map(.value + {id: .key})' --args "$@")"
}
expect_output "a rule that logs" '^20[014]$' log A
expect "ICMP is dropped" blocked from_a
expect_output "one that says the same to packets" '^20[014]$' log A B
expect_output "counts for itself" '^\[1,0,1\]$' counts
expect_output "in front of it" '^20[014]$' log B A
expect_output "as well" '^\[0,1,1\]$' counts
refused "nothing to delete" 'give the id of the rule' fw chain INGRESS delete
expect_output "nothing has gone" '^\[0,1,1\]$' counts
expect_output "the last one alone" '^20[014]$' log
expect "what is shown can be sent back" comes_back firewall/fw
expect "several changes at once" sh -c "printf '%s' '{\"rules\": [
    {\"operation\": \"DELETE\", \"id\": 0},
    {\"operation\": \"APPEND\", \"dst\": \"10.0.0.0/24\", \"l4proto\": \"ICMP\", \"action\": \"ACCEPT\", \"description\": \"lan\"},
    {\"operation\": \"INSERT\", \"id\": 0, \"src\": \"fd00::/16\", \"action\": \"DROP\", \"description\": \"six\"}]}' |
    '$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock fw chain INGRESS batch"
expect_output "are all there" '\[\[0,"six"\],\[1,"lan"\]\]' ids
expect "IPv6 is dropped" blocked from_a fd00::2
expect "IPv4 is not" from_a
expect "the default becomes DROP" fw chain INGRESS set default=DROP
expect "a rule still lets through" from_a
expect_output "the chain is replaced" "^20[014]$" rest PUT firewall/fw/chain/INGRESS/rule/ -d '[{"id": 0, "l4proto": "TCP", "dport": "5000-5010,80", "tcpflags": "SYN,!ACK"}]'
expect_output "as it was given" '"5000-5010,80"' fw chain INGRESS rule show -json
expect "what it does not have is dropped" blocked from_a
expect_output "the counters tell the rule" '"l4proto":"TCP","dport":"5000-5010,80","tcpflags":"SYN,!ACK","action":"DROP"' rest GET firewall/fw/chain/INGRESS/stats/0/
expect "an old value of the default" fw chain INGRESS set default=LOG
expect "lets through" from_a
expect "the default is ACCEPT again" fw chain INGRESS set default=ACCEPT
expect "and all goes through" from_a

# ---- TCP by port ----
in_host b python3 -m http.server --bind 10.0.0.2 80 >/dev/null 2>&1 &
server=$!
in_host b python3 -m http.server --bind 10.0.0.2 8080 >/dev/null 2>&1 &
server2=$!
expect 'servers' eventually in_host a curl -sf -o /dev/null --max-time 1 http://10.0.0.2:8080/
expect "a port that no rule names" in_host a curl -sf -o /dev/null --max-time 1 http://10.0.0.2:8080/
refused "a port that one drops" 'timed out|Connection' in_host a curl -sSf -o /dev/null --max-time 1 http://10.0.0.2:80/

expect_output "rejected" "^20[014]$" rest PUT firewall/fw/chain/INGRESS/rule/ -d '[
    {"id": 0, "l4proto": "TCP", "dport": 80, "action": "REJECT"}, {"id": 1, "l4proto": "UDP", "action": "REJECT"},
    {"id": 2, "l4proto": "ICMPV6", "icmpv6-type": 128, "action": "REJECT"}]'
refused "its peer is told at once" 'after [0-9]{1,2} ms' in_host a curl -sSf -o /dev/null --max-time 2 http://10.0.0.2:80/
refused "of UDP, too" 'refused' in_host a timeout 3 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('10.0.0.2', 9)); s.send(b'x'); s.recv(1)"
expect_output "and of IPv6" 'Destination unreachable: Port unreachable' in_host a ping -c 1 -W 1 fd00::2
expect "what is not rejected" in_host a curl -sf -o /dev/null --max-time 1 http://10.0.0.2:8080/
expect "one in the middle goes" fw chain INGRESS rule del 1
expect_output "those behind it move up" 'ICMPV6' fw chain INGRESS rule 1 show
refused "none is at its end" 'rule/2 does not exist' fw chain INGRESS rule del 2
expect "and the last one" fw chain INGRESS delete id=1

# ---- bad rules ----
refused "a port that is none" 'dport: "70000" is not accepted: give a port' fw chain INGRESS append l4proto=TCP dport=70000
refused "a range that is none" 'sport: "9-8" is not accepted' fw chain INGRESS append sport=9-8
refused "a prefix that is none" 'src: "10.0.0.0/33" is not accepted: give an address or prefix' fw chain INGRESS append src=10.0.0.0/33
refused "a protocol that is none" 'l4proto: "TPC" is not accepted: give TCP' fw chain INGRESS append l4proto=TPC
refused "a flag that is none" 'tcpflags: "SIN" is not accepted: give FIN' fw chain INGRESS append tcpflags=SIN
refused "a state that is none" 'conntrack: "OLD" is not accepted: give NEW' fw chain INGRESS append conntrack=OLD
for rule in 'src=10.0.0.1 10.0.0.2' 'dport=80 - 90' 'dport=80 443' 'tcpflags=SYN !ACK' 'l4proto=TCP UDP' 'conntrack=NEW RELATED' 'icmp-type=8 3/4' 'dscp=1 2'; do
    refused "a list without commas: $rule" '; of several, a comma between them' fw chain INGRESS append "$rule"
done
refused "a rule of nothing" 'give what it is to match, or its action' fw chain INGRESS append
refused "nor in front" 'give what it is to match, or its action' fw chain INGRESS insert id=0
refused "in front, by a set that there is not" 'set nobodys, which does not exist' fw chain INGRESS insert id=0 src=@nobodys
refused "a burst without a rate" 'burst: .*give rate' fw chain INGRESS append src=10.0.0.9 burst=10
refused "a batch of nothing" 'rules is missing' fw chain INGRESS batch
refused "a batch that fails says where" 'change 1 of the batch: id 77 is not accepted' sh -c "echo '{\"rules\": [{\"operation\": \"APPEND\", \"src\": \"10.0.0.9\"}, {\"operation\": \"INSERT\", \"id\": 77, \"src\": \"10.0.0.9\"}]}' | '$build/bin/polycubectl' --url 'unix://$lab_dir/run/default/api.sock' fw chain INGRESS batch"
refused "what is to go, in two ways" 'id and fields exclude each other' fw chain INGRESS delete id=0 src=8.8.8.8
refused "a field that is none" 'color' fw chain INGRESS append color=red
refused "a gap" 'no gaps: chain INGRESS would have rule 5 and no rule 1' fw chain INGRESS rule add 5 action=DROP
refused "a place behind the end" 'id 7 is not accepted: give 0 to 1' fw chain INGRESS insert id=7 action=DROP
refused "a rule that is not there" 'there is no rule 3' fw chain INGRESS delete id=3
refused "fields that no rule has" 'no rule has exactly these fields' fw chain INGRESS delete src=1.2.3.4
refused "a chain cannot go" 'cannot be deleted' pctl fw del chain INGRESS
refused "nor another come" 'INGRESS|EGRESS' pctl fw chain add FORWARD
refused "the 10,001st rule" '9999' fw chain INGRESS rule add 10000 action=DROP
expect_output "nothing has changed" '\[\[0,null\]\]' ids

# ---- sets ----
expect_output "no rule" "^20[014]$" rest PUT firewall/fw/chain/INGRESS/rule/ -d '[]'
expect "a set" fw sets add bad
refused "a set that does not exist" 'rule [0-9]+: src: the rule refers to set none, which does not exist' fw chain INGRESS append src=@none
refused "one of another kind" 'dport: the set bad holds prefixes' fw chain INGRESS append dport=@bad
expect "a rule by it" fw chain INGRESS append src=@bad action=DROP
expect "which is empty" from_a
expect "an entry" fw sets bad entry add 10.0.0.0/31
expect "is dropped" blocked from_a
refused "a set in use stays" 'the rule refers to set bad, which does not exist, or would not any more' fw sets del bad
refused "two in one" 'a comma between them|give an address or prefix' fw sets bad entry add '10.9.0.1 - 10.9.0.9'
refused "an entry that is none" 'is not accepted: give an address or prefix' fw sets bad entry add foo
expect "the entry goes" fw sets bad entry del 10.0.0.0/31
expect "and nothing is dropped" from_a
python3 -c "
import json
print(json.dumps([{'value': f'10.{i // 65536}.{i // 256 % 256}.{i % 256}'} for i in range(100000)]))" >"$lab_dir/set.json"
expect_output "100,000 entries" '^20[014]$' rest PUT firewall/fw/sets/bad/entry/ -d "@$lab_dir/set.json"
refused "one more" 'would hold 100001 entries' fw sets bad entry add 11.0.0.0/8
expect "are dropped" blocked from_a
expect "all others" fw chain INGRESS rule 0 set src=!@bad
expect "are not" from_a
expect "tuples" fw sets add services kind=tuples
expect "of TCP" fw sets services entry add 10.0.0.0/24,TCP,80
expect "of UDP, two ports" fw sets services entry add 10.0.0.0/24,UDP,53-54
refused "half a tuple" 'give prefix,protocol,port' fw sets services entry add 10.0.0.0/24
refused "more than one" 'give prefix,protocol,port' fw sets services entry add 10.0.0.0/24,UDP,1,2
refused "all others" 'give prefix,protocol,port' fw sets services entry add 10.0.0.0/24,!UDP
refused "a port of what has none" 'TCP, UDP and SCTP have ports, ICMP has none' fw sets services entry add 10.0.0.0/24,ICMP,8
refused "a port that is none" '"70000" is not accepted' fw sets services entry add 10.0.0.0/24,UDP,70000
expect "a rule by them" fw chain INGRESS append dst-tuple=@services action=REJECT
expect_output "has UDP" 'REJECT' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=UDP dport=54
expect_output "and TCP" 'REJECT' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=TCP dport=80
expect_output "not another port" 'ACCEPT' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=UDP dport=55
expect "without a port" fw sets services entry add 10.0.0.2,ICMP
expect_output "all of the protocol" 'REJECT' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=ICMP
expect_output "to that address" 'ACCEPT' fw explain src=10.0.0.1 dst=10.0.0.3 l4proto=ICMP
expect "it goes" fw sets services entry del 10.0.0.2,ICMP
expect "a rule for fragments" fw chain INGRESS insert id=0 fragment=LATER action=DROP
expect "and one by a port" fw chain INGRESS insert id=1 l4proto=UDP dport=99 action=REJECT
for pair in '10.0.0.1 10.0.0.2' 'fd00::1 fd00::2'; do
    for fragment in NONE=REJECT FIRST=REJECT LATER=DROP; do
        expect_output "explain knows fragments: ${fragment%=*} of ${pair% *}" "verdict: ${fragment#*=}" \
            fw explain src="${pair% *}" dst="${pair#* }" l4proto=UDP dport=99 fragment="${fragment%=*}"
    done
done
expect_output "why not" '0 +fragment +LATER' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=UDP dport=99
expect "a rule by their state" fw chain INGRESS insert id=0 conntrack=INVALID action=DROP
expect_output "of later ones it is that of the first" 'state: NEW' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=ICMP fragment=LATER
expect_output "unless that does not pass" 'state: INVALID' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=UDP dport=99 fragment=LATER
expect "the rule goes" fw chain INGRESS rule del 0
refused "half a fragment" 'fragment' fw explain src=10.0.0.1 dst=10.0.0.2 fragment=HALF
for _ in 1 2; do fw chain INGRESS rule del 0; done
expect_output "as explain says" '1 +dst-tuple +@services' fw explain src=10.0.0.1 dst=10.0.0.2 l4proto=UDP dport=55
refused "two destinations" 'instead of dst' fw chain INGRESS append dst-tuple=@services dport=80

# ---- devices ----
fwi() { pctl fwi "$@"; }
rename() { in_host daemon ip link set "$1" name "$2"; }
from_c() { in_host c ping -q -c 1 -W 1 10.0.0.2; }
in_rules() { fwi chain EGRESS rule show -json | jq -c 'map([.["in-interface"], .["out-interface"]])'; }
asks() { fwi explain src=10.0.0.1 dst=10.0.0.2 l4proto=ICMP "$@"; }
expect_output "no rule" "^20[014]$" rest PUT firewall/fw/chain/INGRESS/rule/ -d '[]'
lab_host c 10.0.0.3/24
expect "a third host" pctl br1 ports add c peer=to.c
expect "another firewall" pctl firewall add fwi type="$type"
expect "on the port of b" pctl attach fwi br1:b
expect "a reaches b" from_a
expect "so does c" eventually from_c
expect "a rule by the device of a" fwi chain EGRESS append in-interface=to.a l4proto=ICMP action=DROP
expect "a is dropped" blocked from_a
expect "c is not" from_c
expect_output "and counted" '^1$' sh -c "'$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock fwi chain EGRESS stats show -json | jq '.[0].pkts'"
expect_output "stats have the device" '"in-interface":"to.a"' rest GET firewall/fwi/chain/EGRESS/stats/0/
expect_output "so has the plan" 'interface' fwi chain EGRESS plan show
expect "its negation" fwi chain EGRESS rule 0 set in-interface=!to.a
expect "drops c" blocked from_c
expect "and not a" from_a
expect "a list" fwi chain EGRESS rule 0 set in-interface=to.c,to.a
expect "drops both" blocked from_c
expect "drops both" blocked from_a
expect "what comes in by b's device" fwi chain INGRESS append in-interface=to.b l4proto=ICMP action=DROP
fwi chain EGRESS delete id=0
expect "is dropped, too" blocked in_host b ping -q -c 1 -W 1 10.0.0.1
fwi chain INGRESS delete id=0
expect "all goes through" from_a

expect "a rule in front" fwi chain EGRESS insert id=0 in-interface=dev.a l4proto=ICMP action=DROP
expect "by a device that is not there matches nothing" from_a
refused "a rule of nonsense" 'is not accepted' fwi chain EGRESS append src=nonsense
refused "nor of an interface that cannot be" 'in-interface' fwi chain EGRESS append in-interface=a/b
rename to.a dev.a
expect "once it is, a is dropped" eventually blocked from_a
expect "c is not" from_c
rename dev.a to.a
expect "and when it is not any more, nothing is" eventually from_a
expect "the negation of none" fwi chain EGRESS rule 0 set in-interface=!dev.a
expect "is all" blocked from_a
expect "rules by their batch" sh -c "printf '%s' '{\"rules\": [{\"operation\": \"DELETE\", \"id\": 0},
    {\"operation\": \"APPEND\", \"in-interface\": \"new\", \"action\": \"REJECT\"},
    {\"operation\": \"APPEND\", \"out-interface\": \"to.b\", \"action\": \"DROP\"}]}' |
    '$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock fwi chain EGRESS batch"
expect_output "are as given" '^\[\["new",null\],\[null,"to.b"\]\]$' in_rules

expect "what leaves by b's device is dropped" blocked from_a
expect "its negation" fwi chain EGRESS rule 1 set out-interface=!to.b
expect "drops nothing" from_a
expect "another device" fwi chain EGRESS rule 1 set out-interface=to.a,dev.b
expect "neither" from_a
rename to.b dev.b
expect "until b's has this name" eventually blocked from_a
rename dev.b to.b
expect "and when it has not" eventually from_a
expect "detached" pctl detach fwi br1:b
expect "attached to the device of a" pctl attach fwi to.a
expect "b reaches no a by it" eventually blocked in_host b ping -q -c 1 -W 1 10.0.0.1
expect "detached" pctl detach fwi to.a
expect "on the port of b again" pctl attach fwi br1:b
expect "nothing is dropped" eventually from_a

expect_output "explain knows the devices" 'ACCEPT' asks chain=EGRESS in-interface=to.a
expect_output "tells where a rule differs" '0 +in-interface +new' asks chain=EGRESS in-interface=to.a
expect_output "by where it leaves, too" '1 +out-interface +to.a,dev.b' asks chain=EGRESS
refused "a device that is not there" 'in-interface: there is no device new' asks chain=EGRESS in-interface=new
in_host daemon ip link add new type veth peer name new2
expect "once it is, the rule decides" eventually prints 'REJECT' asks chain=EGRESS in-interface=new
expect_output "and not by another" 'ACCEPT' asks chain=EGRESS in-interface=new2
in_host daemon ip link del new

expect "a bridge behind a port" pctl simplebridge add br2 type="$type"
expect "a port to it" pctl br1 ports add x
expect "its own" pctl br2 ports add y peer=br1:x
expect "they are peers" pctl br1 ports x set peer=br2:y
expect "a firewall there" pctl detach fwi br1:b
expect "leaves by no device" pctl attach fwi br1:x
expect "a rule by one" fwi chain EGRESS rule 1 set out-interface=to.b
expect_output "does not match" '1 +out-interface +to.b' asks chain=EGRESS
expect "its negation" fwi chain EGRESS rule 1 set out-interface=!to.b
expect_output "does" 'DROP' asks chain=EGRESS
pctl br1 ports del x
expect "back on the port of b" pctl attach fwi br1:b

refused "where it leaves is not known on its way in" 'out-interface: chain INGRESS cannot know' fwi chain INGRESS append out-interface=to.b
refused "a name that is too long" 'in-interface: "abcdefghijklmnop" is not accepted: give the name of a device' fwi chain EGRESS append in-interface=abcdefghijklmnop
refused "one that is none" 'in-interface: "a/b" is not accepted' fwi chain EGRESS append in-interface=a/b
refused "none" 'in-interface: "" is not accepted' fwi chain EGRESS append in-interface=to.a,
refused "a set" 'out-interface: "@bad" is not accepted' fwi chain EGRESS append out-interface=@bad
refused "the 65th name" 'in-interface: the rules of a chain name at most 64 devices' fwi chain EGRESS append in-interface="$(seq -s, -f 'd%g' 64)"
refused "whether the rule is in force or not" 'at most 64 devices' fwi chain EGRESS append out-interface=none in-interface="$(seq -s, -f 'd%g' 64)"
expect_output "nothing has changed" '^\[\["new",null\],\[null,"!to.b"\]\]$' in_rules
expect "64" fwi chain EGRESS append in-interface="$(seq -s, -f 'd%g' 63)"
pctl firewall del fwi

# ---- a rule that comes and goes ----
come_and_go() {
    python3 - "$lab_dir/run/default/api.sock" <<'END'
import http.client, socket, sys

connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
for request in [("POST", "append/", '{"action": "ACCEPT"}'), ("DELETE", "rule/20/", None)] * 300:
    method, path, body = request
    connection.request(method, "/polycube/v1/firewall/fw/chain/INGRESS/" + path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    if answer.status >= 300:
        sys.exit(f"{request}: {answer.status}")
END
}
maps() { grep -hE '^(value_size|max_entries)' "/proc/$(cat "$lab_dir/polycubed.pid")/fdinfo/"* 2>/dev/null | sort | uniq -c; }
expect_output "20 rules" '^20[014]$' rest PUT firewall/fw/chain/INGRESS/rule/ \
    -d "$(jq -nc '[range(20) | {id: ., dport: (. + 1), l4proto: "TCP", action: "DROP"}]')"
before=$(maps)
expect "one more, 300 times" come_and_go
expect "needs no more counters" test "$before" = "$(maps)"

# ---- many rules, and changes of one ----
python3 -c "
import json
print(json.dumps([{'id': i, 'src': f'10.{1 + i // 250}.{i % 250}.0/24', 'dport': 1 + i % 1000, 'l4proto': 'TCP', 'action': 'DROP'} for i in range(10000)]))" >"$lab_dir/rules.json"
expect_output "10,000 rules" '^20[014]$' rest PUT firewall/fw/chain/INGRESS/rule/ -d "@$lab_dir/rules.json"
expect_output "are there" '^10000$' sh -c "'$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock fw chain INGRESS rule show -json | jq length"
expect "and all goes through" from_a
refused "one more" 'full|9999|10000' fw chain INGRESS append action=DROP
expect_output "none again" "^20[014]$" rest PUT firewall/fw/chain/INGRESS/rule/ -d '[]'
expect_output "the counters of a chain" 'true' fw chain INGRESS reset-counters
expect_output "are 0" '^0$' pkts 0

kill $server $server2
finish
