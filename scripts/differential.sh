#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Random rulesets and packets: which rule decides has to be the same for all.
#
#   differential.sh [-n RULESETS=10000] [-s FIRST_SEED=1] [--nft[=RULESETS=200] | --no-nft]
#
# 1. The classifier as it is loaded, at XDP and at TC, against a plain scan of the rules in C: RULESETS of up to
#    2,500 rules, 100 packets each, by as many processes as there are CPUs.
# 2. The firewall, configured over REST, at TC and XDP_SKB, against nftables (a netdev chain): rulesets of up to 30 rules,
#    50 packets each; the same frames go through both, and the counters of all rules are compared.
#    tests/differential/nft.py says what is not compared, and why.
#
# A difference is printed with its seed, packet and both answers; -n 1 -s SEED shows it again (2.: --nft=1 -s SEED -n 0).
# BUILD=DIR takes a build that exists. Exit code: 0 no difference.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() { die "usage: differential.sh [-n RULESETS] [-s FIRST_SEED] [--nft[=RULESETS] | --no-nft]"; }

rulesets=10000 seed=1 nft_rulesets=200
while [ $# -gt 0 ]; do
    case $1 in
    -n) rulesets=${2-} && shift ;;
    -s) seed=${2-} && shift ;;
    --nft) ;;
    --nft=*) nft_rulesets=${1#--nft=} ;;
    --no-nft) nft_rulesets=0 ;;
    *) usage ;;
    esac
    shift || usage
done
for number in "$rulesets" "$seed" "$nft_rulesets"; do
    [[ $number =~ ^(0|[1-9][0-9]*)$ ]] || usage
done

need_root
if [ -z "${BUILD:-}" ]; then
    "$top/scripts/setup.sh" run build test
    configure_and_build release
    BUILD=$top/build/release
fi
build=$(realpath "$BUILD")
[ -x "$build/bin/test_firewall_compile" ] || die "BUILD: $BUILD has no tests: leave it out, or build all of it"
if [ "$nft_rulesets" != 0 ]; then
    command -v nft >/dev/null || die "nft is not installed: scripts/setup.sh bench, or --no-nft"
fi
status=0 lab=pcnd type=TC
. "$top/scripts/lab.sh"
logs=$(mktemp -d)
children=()
clean() {
    [ ${#children[@]} = 0 ] || kill "${children[@]}" 2>/dev/null || true
    lab_down
    rm -rf "$logs"
}
trap clean EXIT

# ---- against a plain scan ----
scan() {
    local processes i first=$seed n packets differences started=$SECONDS
    processes=$(nproc)
    [ "$processes" -le "$rulesets" ] || processes=1
    say "$rulesets rulesets from seed $seed, 100 packets each, XDP and TC, against a plain scan: $processes processes"
    for ((i = 0; i < processes; i++)); do
        n=$(((rulesets + i) / processes))
        PCN_RULESETS=$n PCN_SEED=$first "$build/bin/test_firewall_compile" "random rulesets" >"$logs/$i" 2>&1 &
        children+=($!)
        tail -n +1 -s 0.2 -f --pid=$! "$logs/$i" | sed -u -n 's/^  Test: .*\.\.\.    /    /; /^    [^ ]/p' &
        first=$((first + n))
    done
    for i in "${children[@]}"; do
        wait "$i" || status=1
    done
    children=()
    wait
    # The last line of each process and hook has its sums.
    read -r n packets differences < <(for i in "$logs"/*; do
        for hook in XDP TC; do
            grep -oE "$hook: [0-9]+ rulesets.*" "$i" | tail -n 1 || true
        done
    done | awk '{ n += $2; packets += $4; bad += $(NF - 1) } END { print n / 2, packets + 0, bad + 0 }')
    say "plain scan: $n rulesets, each at XDP and at TC, $packets packets, $differences differences in $((SECONDS - started)) s"
    [ "$n" = "$rulesets" ] && [ "$differences" = 0 ] || status=1
}

# ---- against nftables ----
# Neighbour discovery would be counted, too.
quiet() { in_host "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; }

nftables() {
    lab_up
    quiet daemon
    for type in TC XDP_SKB; do
        say "$nft_rulesets rulesets from seed $seed, 50 packets each, $type, against nftables"
        lab_host "$type"
        lab_host "nft-$type"
        quiet "$type"
        # Each packet by the rules, however many of its connection have passed before.
        pctl firewall add "fw-$type" type="$type" accept-established=OFF
        pctl attach "fw-$type" "to.$type"
        python3 "$top/tests/differential/nft.py" --api "$lab_dir/run/default/api.sock" --cube "fw-$type" \
            --daemon "$lab_id-daemon" --ours "$lab_id-$type" --our-port "to.$type" \
            --theirs "$lab_id-nft-$type" --their-port "to.nft-$type" --rulesets "$nft_rulesets" --seed "$seed" || status=1
    done
}

[ "$rulesets" = 0 ] || scan
[ "$nft_rulesets" = 0 ] || nftables
[ "$status" = 0 ] || die "there are differences"
say "no differences"
