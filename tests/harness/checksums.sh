#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# checksums.sh DIRECTORY TEST: of the frames that the test has recorded there, none that came with right checksums may
# leave with a wrong one. tshark judges: of IP, TCP, UDP, ICMP and ICMPv6, and of what is inside of outer headers.
set -euo pipefail
cd "$1"
test=$2

# judge FILE: prints "bad" and the number of each frame with a wrong checksum, "good" and how many frames have right ones.
judge() {
    local protocol arguments=()
    for protocol in ip tcp udp; do arguments+=(-o "$protocol.check_checksum:TRUE"); done
    for protocol in ip tcp udp icmp icmpv6; do arguments+=(-e "$protocol.checksum.status"); done
    # 0 is wrong, 1 is right; others could not be judged.
    tshark -n -r "$1" -d udp.port==6080,ip -T fields -e frame.number "${arguments[@]}" 2>/dev/null |
        awk '{ frame = $1; $1 = "" } /0/ { print "bad", frame } !/0/ && /1/ { good++ } END { print "good", good + 0 }'
}

for way in in out; do judge "$test.$way.pcap" >"$test.$way.judged"; done
good=$(sed -n 's/^good //p' "$test.out.judged")
spoiled=$(awk '$1 == "bad" && NR == FNR { came[$2] } $1 == "bad" && !($2 in came) { print $2 }' "$test.in.judged" "$test.out.judged")
printf '%s frames left with right checksums; of those that had come so, %s did not\n' "$good" "$(grep -c . <<<"$spoiled" || true)"
[ -z "$spoiled" ] || printf 'their numbers in %s/%s.out.pcap: %s\n' "$PWD" "$test" "$(head -20 <<<"$spoiled" | tr '\n' ' ')"
[ "$good" -gt 0 ] && [ -z "$spoiled" ]
