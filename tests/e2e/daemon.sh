#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon: start and end, instances side by side, services, handing over, a crash, bad input at the shell and at REST.
. "$(dirname "$0")/expect.sh"

lab_up
lab_host a 10.0.0.1/24
lab_host b 10.0.0.2/24

# ---- services ----
expect "a service can be unloaded" pctl services del helloworld
refused "its cubes cannot be made then" 'helloworld' pctl helloworld add h1
expect "and loaded again" pctl services add type=lib uri=libpcn-helloworld.so name=helloworld
expect "then they can" pctl helloworld add h1
refused "not while it has cubes" 'has 1 cubes' pctl services del helloworld
refused "not what is no kind" 'cannot load' pctl services add type=lib uri=libpcn-none.so name=none
expect_output "the model is shown" 'module helloworld' rest GET services/helloworld
pctl del h1

# ---- shapes of REST ----
pctl simplebridge add br1
expect_output "the short form is redirected" '^308$' rest POST br1/ports/p1/ -d '{}'
expect_output "a port is created" '^201$' rest POST simplebridge/br1/ports/p1/ -d '{"peer":"to.a"}'
expect_output "twice is a conflict" 'data-exists' rest POST simplebridge/br1/ports/p1/ -d '{}'
expect_output "a leaf is a bare scalar" '^"INFO"$' rest GET simplebridge/br1/loglevel/
expect_output "a leaf is patched" '^200$' rest PATCH simplebridge/br1/loglevel/ -d '"debug"'
expect_output "values of an enumeration come in any case" '^"DEBUG"$' rest GET simplebridge/br1/loglevel/
expect_output "an entry is patched" '^201$' rest PATCH simplebridge/br1/fdb/ -d '{"aging-time": 200}'
expect_output "a body of no JSON" '^400$' rest PATCH simplebridge/br1/fdb/ -d '{"aging-time": '
expect_output "an unknown member is named" 'fdb has no member colour' rest PATCH simplebridge/br1/fdb/ -d '{"colour": 1}'
expect_output "a number out of range" 'from 256 to 65536' rest POST simplebridge/b9/ -d '{"fdb":{"size":1}}'
expect_output "text for a number" 'an integer' rest PATCH simplebridge/br1/fdb/aging-time/ -d '"soon"'
expect_output "what is set for good" 'cannot be changed' rest PATCH simplebridge/br1/type/ -d '"XDP_DRV"'
expect_output "what is state" '^405$' rest PATCH simplebridge/br1/uuid/ -d '"x"'
expect_output "a path that is none" '^404$' rest GET simplebridge/br1/nothing/
expect_output "a cube that is none" '^404$' rest GET simplebridge/none/
expect_output "a wrong ETag" '^412$' rest PATCH simplebridge/br1/loglevel/ -d '"info"' -H 'If-Match: "1-1"'
etag=$(curl -sS -i --unix-socket "$lab_dir/run/default/api.sock" http://localhost/polycube/v1/simplebridge/br1/ |
    sed -n 's/^[Ee][Tt]ag: \(.*\)\r$/\1/p')
expect_output "the right one" '^200$' rest PATCH simplebridge/br1/loglevel/ -d '"info"' -H "If-Match: $etag"
expect_output "help" '"commands"' rest OPTIONS 'simplebridge/br1/?help=NONE'
expect_output "completion" '"ports"' rest OPTIONS 'simplebridge/br1/?help=NONE&completion'
expect_output "a verb that is not taken" '^405$' rest DELETE simplebridge/br1/loglevel/

# ---- several cubes at once ----
two='[{"service-name":"simplebridge","name":"x1","ports":[{"name":"a","peer":"x2:b"}]},
      {"service-name":"simplebridge","name":"x2","ports":[{"name":"b","peer":"x1:a"}]}]'
expect_output "several cubes and their link" '^20[01]$' rest POST cubes/ -d "$two"
expect "the link is up" prints UP pctl x1 ports a status show
bad='[{"service-name":"simplebridge","name":"y1"},
      {"service-name":"simplebridge","name":"y2","ports":[{"name":"b","peer":"nowhere"}]}]'
expect_output "one of them bad" 'nowhere does not exist' rest POST cubes/ -d "$bad"
refused "then none is made" 'y1' pctl y1 show

# ---- the shell ----
refused "an unknown cube" 'No cube found' pctl nobody show
refused "two verbs" '' pctl br1 add show
expect "exit code 2 is the daemon's refusal" sh -c "'$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock nobody show >/dev/null 2>&1; [ \$? = 2 ]"
expect "exit code 1: nobody answers" sh -c "'$build/bin/polycubectl' --url unix://$lab_dir/none.sock cubes show >/dev/null 2>&1; [ \$? = 1 ]"
expect "the shell over a pipe" prints x1 sh -c "echo 'cubes show' | '$build/bin/polycubectl' --url unix://$lab_dir/run/default/api.sock shell"

# ---- instances ----
refused "an instance runs once" 'runs already' nsenter --net="/run/netns/$lab_id-daemon" -- "$build/bin/polycubed" --port 0 \
    --bpffs "$lab_dir/bpf" --rundir "$lab_dir/run" --pidfile "$lab_dir/polycubed.pid" --cubesdir "$build/cubes" \
    --logfile "$lab_dir/second.log" --configfile /dev/null
ip netns add "$lab_id-other"
nsenter --net="/run/netns/$lab_id-other" -- "$build/bin/polycubed" --instance other --port 0 --bpffs "$lab_dir/bpf" \
    --rundir "$lab_dir/run" --cubesdir "$build/cubes" --logfile "$lab_dir/other.log" --configfile /dev/null \
    >/dev/null 2>&1 </dev/null &
other=$!
expect "another one beside it" eventually test -S "$lab_dir/run/other/api.sock"
instance=other
expect "has cubes of its own" pctl simplebridge add br1
expect_output "and knows nothing of the first one's" '^404$' rest GET simplebridge/x1/
instance=default
kill $other
expect "and ends by itself" eventually test ! -e "$lab_dir/bpf/polycube/other"
expect "the first is still there" pctl x1 show

# ---- handing over, and a crash ----
pctl br1 ports add p2 peer=to.b
expect "two hosts on a bridge" in_host a ping -q -c 1 -W 2 10.0.0.2
expect "handed over" "$build/bin/polycubed" --handover --rundir "$lab_dir/run" --pidfile "$lab_dir/polycubed.pid" --configfile /dev/null
ip -n "$lab_id-a" neighbour flush all
expect "the bridge floods and forwards without its daemon" in_host a ping -q -c 2 -i 0.2 -W 2 10.0.0.2
lab_up
expect "a new daemon starts clean" prints_not pcn_ingress nsenter --net="/run/netns/$lab_id-daemon" tc filter show dev to.a ingress
pctl simplebridge add br1
pctl br1 ports add p1 peer=to.a
pctl br1 ports add p2 peer=to.b
lab_stop KILL
expect "killed, it forwards on" in_host a ping -q -c 1 -W 2 10.0.0.2
lab_up
expect "and what is left is removed at the next start" prints_not pcn_ingress nsenter --net="/run/netns/$lab_id-daemon" tc filter show dev to.a ingress
lab_stop
expect "ended, it leaves no pin" test ! -e "$lab_dir/bpf/polycube/default"
expect "and no device" prints_not pcn- ip -n "$lab_id-daemon" link
finish
