#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The patch panel: floods, moves, stacks of transparent cubes, links that cannot be, devices that go.
. "$(dirname "$0")/expect.sh"

frames() { python3 "$(dirname "$0")/frames.py" "$@"; }
forwarder() {
    pctl simpleforwarder add "$1" type="$type"
    pctl "$1" ports add in
    pctl "$1" ports add out ${2:+peer=$2}
    pctl "$1" actions add in action=FORWARD outport=out
    pctl "$1" actions add out action=FORWARD outport=in
}

lab_up
for host in a b c d e; do
    lab_host $host
done

# ---- a flood: two devices, two cubes, a device behind a transparent cube ----
pctl simplebridge add br1 type="$type"
pctl br1 ports add a peer=to.a
pctl br1 ports add b peer=to.b
pctl br1 ports add e peer=to.e
forwarder f1 to.c
forwarder f2 to.d
for n in 1 2; do
    pctl br1 ports add f$n
    pctl connect br1:f$n f$n:in
done
pctl transparenthelloworld add t1 type="$type"
pctl attach t1 br1:e
expect "one copy each, the daemon stopped" frames flood - "$(cat "$lab_dir/polycubed.pid")" \
    "$lab_id-a" "$lab_id-b" "$lab_id-c" "$lab_id-d" "$lab_id-e"
expect "also for what comes from another cube" frames flood - "$(cat "$lab_dir/polycubed.pid")" \
    "$lab_id-c" "$lab_id-a" "$lab_id-b" "$lab_id-d" "$lab_id-e"
expect "and by way of the transparent cube" frames flood - "$(cat "$lab_dir/polycubed.pid")" \
    "$lab_id-e" "$lab_id-a" "$lab_id-b" "$lab_id-c" "$lab_id-d"
expect "which counted them" sh -c "[ \$('$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock t1 counters received show -json | jq 'map(.packets) | add') -ge 60 ]"
pctl br1 del ports b

# ---- moves under traffic: f1:in from g1 to g2 and back ----
pctl disconnect br1:f1 f1:in
pctl disconnect br1:f2 f2:in
pctl br1 del ports a
forwarder g
pctl g ports in set peer=to.a
pctl f1 ports in set peer=g:out
pctl f2 ports in set peer=g:out
pctl g ports out set peer=f1:in
TELL=1 expect "no frame is lost over ${MOVES:-1000} moves" frames moves "$lab_dir/run/default/api.sock" "${MOVES:-1000}" \
    /polycube/v1/simpleforwarder/g/ports/out/peer/ f1:in f2:in "$lab_id-a" "$lab_id-c" "$lab_id-d"

# ---- stacks ----
pctl detach t1 br1:e
for n in 2 3 4; do
    pctl transparenthelloworld add t$n type="$type"
done
tcubes() { pctl br1 ports e show -json | jq -c '.tcubes // []'; }
expect "attached to a port" pctl attach t1 br1:e
expect "the second is last" pctl attach t2 br1:e
expect "first goes in front" pctl attach t3 br1:e position=first
expect "before another" pctl attach t4 br1:e before=t2
expect_output "in this order, the nearest to the cube first" '^\["t3","t1","t4","t2"\]$' tcubes
refused "one stands in one place" 'already attached' pctl attach t1 to.b
refused "only one position" '' pctl attach t1 br1:e before=t2 after=t3
pctl transparenthelloworld add t5 type="$type"
refused "not to a port that is none" 'does not exist' pctl attach t5 br1:none
for n in 1 2 3 4; do
    pctl detach t$n br1:e
done
expect_output "and all detached" '^\[\]$' tcubes
expect "a cube on a device" pctl attach t1 to.b
expect "shows its parent" prints to.b pctl t1 parent show
pctl t1 set ingress-action=DROP
ip -n "$lab_id-b" address add 10.9.0.2/24 dev eth0
ip -n "$lab_id-daemon" address add 10.9.0.1/24 dev to.b
expect "what it drops does not reach the host" sh -c "! nsenter --net=/run/netns/$lab_id-b ping -q -c 1 -W 1 10.9.0.1"
pctl t1 set ingress-action=PASS
expect "what it passes does" in_host b ping -q -c 1 -W 2 10.9.0.1
pctl t1 set egress-action=DROP
expect "packets of the host's stack leave by it" sh -c "! nsenter --net=/run/netns/$lab_id-b ping -q -c 1 -W 1 10.9.0.1"
pctl t1 set egress-action=PASS
expect "both ways" in_host b ping -q -c 1 -W 2 10.9.0.1
pctl detach t1 to.b

# ---- what cannot be connected ----
other=$([ "$type" = TC ] && echo XDP_SKB || echo TC)
pctl simpleforwarder add x1 type=$other
pctl x1 ports add p1
pctl g ports add spare
refused "TC and XDP do not meet" 'incompatible types' pctl connect g:spare x1:p1
refused "nor on one device" 'cannot share' pctl x1 ports p1 set peer=to.a
refused "a device has one port" 'in use' pctl g ports spare set peer=to.c
refused "a device that is none" 'does not exist' pctl g ports spare set peer=nowhere
refused "a cube that is none" 'does not exist' pctl g ports spare set peer=none:p1
refused "a port is not its own peer" 'own peer' pctl g ports spare set peer=g:spare
expect "the port is as it was" prints '"DOWN"' pctl g ports spare show -json

# ---- devices come and go ----
pctl g ports spare set peer=to.b
expect "connected" prints '"UP"' pctl g ports spare show -json
ip -n "$lab_id-daemon" link set to.b down
ip -n "$lab_id-daemon" link set to.b name renamed
ip -n "$lab_id-daemon" link set renamed up
expect "a renamed device keeps its port" eventually prints renamed pctl g ports spare peer show
ip -n "$lab_id-daemon" link del renamed
expect "one that is gone leaves it without" eventually prints '"DOWN"' pctl g ports spare show -json
pctl simpleforwarder del g
expect "a cube that is deleted leaves its peer's port down" prints '"DOWN"' pctl f1 ports in show -json
finish
