# SPDX-License-Identifier: Apache-2.0
# Sourced by the end-to-end scripts whose hosts serve, ask and are listened to: expect.sh and that.
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"

hosts_py=$top/tests/e2e/hosts.py
declare -A server=()
serving=()

# start HOST COMMAND...: in the background; $! is its process. It ends with the lab at the latest.
start() { nsenter --net="/run/netns/$lab_id-$1" -- "${@:2}" & }

# serve HOST ADDRESS tcp/PORT|udp/PORT...: TCP is HTTP, which says HOST and who asks; /N: in N bytes; /sick: with status
# 503; /slow: and then dots, until $lab_dir/enough is there, and that this was the whole. UDP answers each datagram with HOST, its source and size.
serve() {
    local host=$1 address=$2 port
    start "$host" python3 "$hosts_py" serve "$lab_dir/enough" "$@" 2>/dev/null
    server[$host]=$!
    for port in "${@:3}"; do serving+=("$host $([[ $address != *:* ]] && echo 4 || echo 6) ${port/\// }"); done
}

# served: waits until all that serve has begun does.
served() {
    local host family protocol port
    while read -r host family protocol port; do
        expect "$host serves $protocol $port" eventually prints . in_host "$host" ss -Hln "-$family" "--$protocol" "sport = :$port"
    done < <(printf '%s\n' "${serving[@]}")
    serving=()
}

# silence HOST: ends the last server that began there.
silence() {
    kill "${server[$1]}"
    wait "${server[$1]}" 2>/dev/null || true
}

# udp_ask HOST TO PORT [SOURCE_PORT [SIZE [TIMES]]]: prints what is answered.
udp_ask() { in_host "$1" timeout 9 python3 "$hosts_py" ask "${@:2}"; }
# udp_refused HOST TO: nobody listens there, and an ICMP error says so.
udp_refused() { udp_ask "$1" "$2" 9; }

pings() { in_host "$1" ping -q -c 2 -i 0.2 -W 2 "$2"; }
blocked() { ! "$@"; }
mac_of() { ip -n "$lab_id-$1" -br link show "${2:-eth0}" | awk '{ print $3 }'; }

# capture HOST FILE [ARGUMENT...]: tcpdump's, of what eth0 sees; $capture is its process.
capture() {
    start "$1" timeout 60 tcpdump -U --immediate-mode -i eth0 -w "$lab_dir/$2" "${@:3}" 2>"$lab_dir/$2.log"
    capture=$!
    expect "$1 is watched" eventually grep -q listening "$lab_dir/$2.log"
}
# decode FILE ARGUMENT...: tshark's, which looks at checksums.
decode() {
    tshark -n -r "$lab_dir/$1" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE "${@:2}" 2>/dev/null
}
