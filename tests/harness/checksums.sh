#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# checksums.sh DIRECTORY TEST: of the frames that the test has recorded there, those that came with right checksums have to
# leave with right ones, none with a wrong one that came without. tshark judges: of IP, TCP, UDP, ICMP and ICMPv6, and of
# what is inside of outer headers. Frames that are as they should be are deleted: the next run has to record its own.
set -euo pipefail
cd "$1"
test=$2
if [ "$(id -u)" != 0 ]; then
    echo "skipped: only root has recorded frames"
    exit 77
fi

# judge FILE: "good" or "bad", also for a wrong length, and the frame's number; nothing of those without a checksum that
# can be judged.
judge() {
    local protocol arguments=()
    for protocol in ip tcp udp; do arguments+=(-o "$protocol.check_checksum:TRUE"); done
    for protocol in ip tcp udp icmp icmpv6; do arguments+=(-e "$protocol.checksum.status"); done
    arguments+=(-e ip.bogus_ip_length -e ip.bogus_header_length -e tcp.bogus_header_length -e udp.length.bad)
    # 0 is wrong, 1 is right. Others: there is none, as of UDP behind outer headers, or not all of the packet.
    tshark -n -r "$1" -d udp.port==6080,ip -T fields -e frame.number "${arguments[@]}" 2>/dev/null |
        awk -F '\t' '{ status = $2 $3 $4 $5 $6 } status ~ /0/ || $7 $8 $9 $10 { print "bad", $1; next } status ~ /1/ { print "good", $1 }'
}

for way in in out; do judge "$test.$way.pcap" >"$test.$way.judged"; done
good=$(grep -c good "$test.in.judged" || true)
spoiled=$(awk '
    NR == FNR { came[$2] = $1; next }
    { left[$2] = $1 }
    $1 == "bad" && came[$2] != "bad" { print $2 }
    END { for (n in came) if (came[n] == "good" && !(n in left)) print n }' "$test.in.judged" "$test.out.judged" | sort -n)
echo "$good frames came with right checksums, and left; $(grep -c . <<<"$spoiled" || true) of all are wrong now"
if [ -n "$spoiled" ]; then
    echo "numbers in $PWD/$test.out.pcap: $(head -20 <<<"$spoiled" | tr '\n' ' ')"
    exit 1
fi
[ "$good" -gt 0 ]
rm "$test".{in,out}.{pcap,judged}
