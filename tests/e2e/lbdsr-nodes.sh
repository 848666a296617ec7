#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two daemons with an lbdsr each, as equal nodes behind a router: the same backends, in another order, are the same table,
# and each flow gets the same backend from both. Nodes: default and other, with client c0 or c1 and backends' side s0 or s1.
. "$(dirname "$0")/expect.sh"

nodes=(default other)
# node N COMMAND...: polycubectl there.
node() {
    local instance=${nodes[$1]}
    shift
    pctl "$@"
}
service() { node "$1" lb service "$vip" 53 UDP "${@:2}"; }
hash_of() { service "$1" table-hash show; }
# add N BACKEND...: of each, its weight is what its address ends with.
add() {
    local n=$1 backend
    for backend in "${@:2}"; do
        service "$n" backend add "$net$backend" mac=02:00:00:00:00:"$backend" weight="$backend" || return
    done
}
same_table() { [ "$(hash_of 0)" = "$(hash_of 1)" ] && [[ $(hash_of 0) =~ [1-9a-f] ]]; }
# spread N NETWORK: 2,000 flows from port 1024 on, of that last but one byte, sent until each has been seen: a busy machine
# loses some. Of each its port and the MAC that it went to.
n_flows=2000
spread() {
    local got=$lab_dir/got.$1.$2 sender
    local addresses="
import os, socket, struct
family = socket.AF_INET6 if ':' in '$vip' else socket.AF_INET
source = socket.inet_pton(family, 'fd00:0:0:$2::2' if ':' in '$vip' else '10.9.$2.2') + socket.inet_pton(family, '$vip')"
    : >"$got"
    in_host c"$1" timeout 20 python3 -c "$addresses
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
i = 0
while not os.path.getsize('$got'):
    udp = struct.pack('!4H', 1024 + i, 53, 12, 0) + b'flow'
    ip = struct.pack('!IHBB', 0x60000000, len(udp), 17, 64)
    if family == socket.AF_INET:
        ip = struct.pack('!2B3H2BH', 69, 0, 20 + len(udp), i, 0, 64, 17, 0)
        total = sum(struct.unpack('!10H', ip + source)); total = (total >> 16) + (total & 65535)
        ip = ip[:10] + struct.pack('!H', 65535 - (total + (total >> 16)) % 65536)
    s.send(b'\2\0\0\0\0\x99\2\0\0\0\0\1' + (b'\x86\xdd' if ':' in '$vip' else b'\x08\0') + ip + source + udp)
    i = (i + 1) % $n_flows" &
    sender=$!
    in_host s"$1" timeout 20 python3 -c "$addresses
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(('eth0', 3))
flows = {}
while len(flows) < $n_flows:
    frame = s.recv(2048)
    end = 34 if family == socket.AF_INET else 54
    if frame[end - len(source):end] == source and frame[end + 2:end + 4] == b'\0\x35':
        flows[int.from_bytes(frame[end:end + 2], 'big')] = frame[:6].hex(':')
for flow in sorted(flows.items()): print(*flow)" >"$got"
    wait $sender
}
same_flows() {
    spread 0 "$1" && spread 1 "$1" && [ "$(wc -l <"$lab_dir/got.0.$1")" = $n_flows ] &&
        diff "$lab_dir/got.0.$1" "$lab_dir/got.1.$1"
}
backends_of() { cut -d ' ' -f 2 "$lab_dir/got.$1.$2" | sort -u | wc -l; }

lab_up
ip netns add "$lab_id-other"
ip -n "$lab_id-other" link set lo up
in_host other "$build/bin/polycubed" --instance other --port 0 --bpffs "$lab_dir/bpf" --rundir "$lab_dir/run" \
    --cubesdir "$build/cubes" --logfile "$lab_dir/other.log" --configfile /dev/null >/dev/null 2>&1 </dev/null &
other=$!
expect "another daemon" eventually node 1 version
for n in 0 1; do
    for host in c$n s$n; do
        lab_host $host
        in_host $host tc qdisc replace dev eth0 root pfifo limit 1000
        [ $n = 0 ] || ip -n "$lab_id-daemon" link set to.$host netns "$lab_id-other"
        ip -n "$lab_id-$([ $n = 0 ] && echo daemon || echo other)" link set to.$host up
    done
    expect "a balancer" node $n lbdsr add lb type="$type"
    expect "its clients" node $n lb ports add front type=FRONTEND peer=to.c$n
    expect "its backends' side" node $n lb ports add back type=BACKEND peer=to.s$n
done

network=0
for vip in 10.0.0.100 fd00::100; do
    net=10.0.0.
    [[ $vip != *:* ]] || net=fd00::
    for n in 0 1; do expect "a service at $vip" node $n lb service add $vip 53 UDP; done
    expect_output "of nobody" '^0{16}$' hash_of 0

    # ---- the same backends, in another order ----
    expect "backends" add 0 11 12 13 14 15 16 17 18
    expect "in another order, one less" add 1 14 18 12 16 11 17 13
    refused "are another table" '' same_table
    expect "with the last one" add 1 15
    expect "they are the same one" same_table
    expect "each of $n_flows flows gets the same backend" same_flows $((network += 1))
    expect_output "of eight" '^8$' backends_of 0 $network

    # ---- changes, by other ways ----
    expect "another weight" service 0 backend ${net}13 set weight=40
    refused "is another table" '' same_table
    expect "one goes" service 1 backend del ${net}13
    expect "and is back with that weight" service 1 backend add ${net}13 mac=02:00:00:00:00:13 weight=40
    expect "it is the same one again" same_table
    expect "one is drained" service 0 backend ${net}16 set weight=0
    expect "there it goes" service 1 backend del ${net}16
    expect "new flows see no difference" same_table
    expect "none of them" same_flows $((network += 1))
    expect_output "of seven" '^7$' backends_of 1 $network

    # ---- another seed ----
    expect "another seed" node 1 lb set hash-seed=7
    expect "is the same table" same_table
    refused "but other flows" '^>' same_flows $((network += 1))
    expect "the seed again" node 1 lb set hash-seed=0
    expect "the same flows" same_flows $((network += 1))
done

# ---- by one request ----
vip=10.0.0.101 net=10.0.0.
request() {
    local instance=${nodes[$1]} backends
    backends=$(printf '{"ip":"10.0.0.%d","mac":"02:00:00:00:00:11","weight":%d},' $(for i in $2; do echo "$i" $((i % 5 + 1)); done))
    [ "$(rest POST lbdsr/lb/service/$vip/53/UDP/ -d "{\"backend\":[${backends%,}]}" | tail -n 1)" -lt 300 ]
}
expect "200 backends in one request" request 0 "$(seq 1 200 | sed '/^101$/d')"
expect "the same, the other way round" request 1 "$(seq 200 -1 1 | sed '/^101$/d')"
expect "are the same table" same_table

kill $other
wait $other || true
finish
