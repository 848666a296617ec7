# SPDX-License-Identifier: Apache-2.0
# A lab: polycubed in a network namespace of its own, with a bpf file system of its own, and hosts, which are namespaces
# too. Sourced, after lib.sh, by the quickstart and the end-to-end tests. Everything is named by $lab and the process,
# so that labs side by side do not meet.
#
#   lab=NAME build=BUILD_DIRECTORY type=TC|XDP_SKB|XDP_DRV; . lab.sh; trap lab_down EXIT
#   lab_up; lab_host a 10.0.0.2/24 10.0.0.1; pctl simplebridge add br1 type=$type; in_host a ping 10.0.0.3

lab_base=${lab_base:-/run/polycube-lab}
lab_id=${lab_id:-$lab$$}
lab_dir=$lab_base/$lab_id

# Where the daemon is: like a host, but called daemon.
in_host() {
    local host=$1
    shift
    nsenter --net="/run/netns/$lab_id-$host" -- "$@"
}

pctl() { "$build/bin/polycubectl" --url "unix://$lab_dir/run/${instance:-default}/api.sock" "$@"; }

# REST METHOD PATH [CURL ARGUMENT...]: the body, and the status as the last line.
rest() {
    local method=$1 path=$2
    shift 2
    curl -sS --unix-socket "$lab_dir/run/${instance:-default}/api.sock" -X "$method" -w '\n%{http_code}\n' "$@" \
        "http://localhost/polycube/v1/$path"
}

# lab_up [FLAG...]: flags of polycubed.
lab_up() {
    mkdir -p "$lab_dir/bpf" "$lab_dir/run"
    mountpoint -q "$lab_dir/bpf" || mount -t bpf bpf "$lab_dir/bpf"
    if [ ! -e "/run/netns/$lab_id-daemon" ]; then
        ip netns add "$lab_id-daemon"
        ip -n "$lab_id-daemon" link set lo up
    fi
    nsenter --net="/run/netns/$lab_id-daemon" -- "$build/bin/polycubed" --port 0 --bpffs "$lab_dir/bpf" \
        --rundir "$lab_dir/run" --cubesdir "$build/cubes" --logfile "$lab_dir/polycubed.log" \
        --pidfile "$lab_dir/polycubed.pid" --configfile /dev/null "$@" >>"$lab_dir/stdout" 2>&1 </dev/null &
    lab_daemon=$!
    for _ in $(seq 500); do
        pctl version >/dev/null 2>&1 && return
        kill -0 $lab_daemon 2>/dev/null || break
        sleep 0.02
    done
    cat "$lab_dir/stdout" >&2
    die "polycubed did not start"
}

# lab_stop [SIGNAL]: and waits until it is gone.
lab_stop() {
    local pid
    pid=$(cat "$lab_dir/polycubed.pid" 2>/dev/null) || return 0
    kill "-${1:-TERM}" "$pid" 2>/dev/null || return 0
    # It is gone when it has let go of its lock.
    for _ in $(seq 500); do
        [ -e "$lab_dir/polycubed.pid" ] && ! flock -n "$lab_dir/polycubed.pid" true || return 0
        sleep 0.02
    done
    die "polycubed does not end"
}

lab_down() {
    local namespace name
    lab_stop
    for namespace in /run/netns/"$lab_id"-*; do
        [ -e "$namespace" ] || continue
        name=$(basename "$namespace")
        # Servers that were interrupted with us: nobody else is in there.
        ip netns pids "$name" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    done
    ! mountpoint -q "$lab_dir/bpf" || umount "$lab_dir/bpf"
    rm -rf "$lab_dir"
    rmdir "$lab_base" 2>/dev/null || true
}

# lab_host NAME [ADDRESS/LENGTH [GATEWAY [ADDRESS6/LENGTH [GATEWAY6]]]]: its device is eth0, the other end to.NAME.
lab_host() {
    local name=$1 namespace="$lab_id-$1"
    ip netns add "$namespace"
    ip -n "$lab_id-daemon" link add "to.$name" type veth peer name eth0 netns "$namespace"
    ip -n "$lab_id-daemon" link set "to.$name" up
    ip -n "$namespace" link set lo up
    ip -n "$namespace" link set eth0 up
    [ -z "${2-}" ] || ip -n "$namespace" address add "$2" dev eth0
    [ -z "${3-}" ] || ip -n "$namespace" route add default via "$3"
    [ -z "${4-}" ] || ip -n "$namespace" address add "$4" dev eth0 nodad
    [ -z "${5-}" ] || ip -n "$namespace" -6 route add default via "$5"
    # XDP over veth: nobody fills in checksums on the way, and frames are redirected to ends that poll (GRO).
    [ "$type" = TC ] || in_host "$name" ethtool -K eth0 tx off tso off gro on >/dev/null
}
