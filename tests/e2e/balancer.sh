# SPDX-License-Identifier: Apache-2.0
# Sourced by the end-to-end scripts of load balancers: hosts.sh, and a balancer lb1 between client c and a bridge br1.
. "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"

lb() { pctl lb1 "$@"; }
# fetch ADDRESS[/PATH] [SECONDS]: by a port that was never used, nor is by others: a flow that is new to every CPU.
fetch() {
    local port
    port=$(($(cat "$lab_dir/port" 2>/dev/null || echo 20000) + 1))
    echo "$port" >"$lab_dir/port"
    in_host c curl -gsSf --local-port "$port" --max-time "${2:-3}" "http://$1"
}
# fetch_all ADDRESS N: who answered, and how often.
fetch_all() {
    for _ in $(seq "$2"); do fetch "$1" || echo nobody; done | sed 's/ .*//' | sort | uniq -c
}
# fetched [OPTION...] URL: how many bytes came.
fetched() { in_host c curl -gsS --max-time 5 -o /dev/null -w '%{size_download}\n' "$@"; }

# balancer KIND HOST...: those are the bridge's.
balancer() {
    local kind=$1 host
    shift
    pctl "$kind" add lb1 type="$type"
    pctl simplebridge add br1 type="$type"
    for host in "$@"; do pctl br1 ports add "$host" peer="to.$host"; done
    pctl br1 ports add lb
    expect "the side of the clients" lb ports add front type=FRONTEND peer=to.c
    expect "and of the backends" lb ports add back type=BACKEND
    pctl connect br1:lb lb1:back
}

# established: how many connections the client has.
established() { in_host c ss -Htn state established | wc -l; }
# downloads_start: sixteen of 10.0.0.100 at a time, which run until they are told to end.
downloads_start() {
    rm -rf "$lab_dir/enough" "$lab_dir/slow"
    mkdir "$lab_dir/slow"
    in_host c bash -c "for i in {1..16}; do curl -sSN --max-time 30 http://10.0.0.100/slow >$lab_dir/slow/\$i 2>&1 & done; wait" &
    downloads=$!
    expect "downloads run" eventually bash -c "[ \$(grep -lE '^b[12] ' $lab_dir/slow/* | wc -l) = 16 ]"
}
# downloads_end [HOST...]: all of them are whole, or those of each HOST, which has some.
downloads_end() {
    local host
    touch "$lab_dir/enough"
    wait "$downloads" || true
    [ $# != 0 ] || expect_output "nobody was reset" '^16$' bash -c "cat $lab_dir/slow/* | grep -cxE '\.+whole'"
    for host in "$@"; do
        expect "$host has some" grep -q "^$host " "$lab_dir"/slow/*
        refused "none of $host's was reset" '' bash -c "grep -l '^$host ' $lab_dir/slow/* | xargs grep -LxE '\.+whole' | grep ."
    done
}

# fetches_start: short ones of 10.0.0.100, one after the other, until fetches_end; none of them may fail.
fetches_start() {
    touch "$lab_dir/more"
    in_host c bash -c "while [ -e $lab_dir/more ]; do curl -sS --max-time 3 http://10.0.0.100/ || echo failed; done" >"$lab_dir/short" 2>&1 &
    fetches=$!
}
# fetches_pass: all that began before have ended.
fetches_pass() {
    local n
    n=$(wc -l <"$lab_dir/short")
    eventually bash -c "[ \$(wc -l <$lab_dir/short) -ge $((n + 2)) ]"
}
fetches_end() {
    rm "$lab_dir/more"
    wait "$fetches" || true
    expect "new ones were served" test -s "$lab_dir/short"
    refused "no new one failed" '' grep -nvE '^b[12] ' "$lab_dir/short"
}

# ---- backends that are checked: of service 10.0.0.100 80 TCP, backend N is 10.0.0.1N ----
service() { lb service 10.0.0.100 80 TCP "$@"; }
# health N: as JSON, on a line.
health() { service backend 10.0.0.1"$1" health show -json | tr -d '\n ' | sed -E 's/"_links":\[[^]]*\],?//'; }
is_now() { eventually prints "\"state\":\"$2\"" health "$1"; }
# checks_up: device to.checks, the daemon's own way to the backends.
checks_up() {
    in_host daemon ip link add checks type veth peer name to.checks
    in_host daemon ip address add 10.0.0.200/24 dev checks
    in_host daemon ip link set checks up
    in_host daemon ip link set to.checks up
    [ "$type" = TC ] || in_host daemon ethtool -K checks tx off tso off gro on >/dev/null
}
