#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian 12 packages that the project needs; says nothing if they are there.
#
#   setup.sh [run] [build] [test] [bench] [check]    default: all of them
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# To run polycubed and polycubectl.
run="libbpf1 libyang2 libmicrohttpd12 libjansson4 libnl-3-200 libnl-route-3-200 libcap2 libcurl4 libyaml-0-2 libedit2
    libuuid1 libgnutls30 libpcap0.8 iproute2"
# To compile everything.
build="gcc libc6-dev linux-libc-dev cmake ninja-build pkg-config git clang llvm libbpf-dev libelf-dev zlib1g-dev
    libyang2-dev libmicrohttpd-dev libgnutls28-dev libjansson-dev libpcap-dev libnl-3-dev libnl-route-3-dev libcap-dev
    libcurl4-openssl-dev libyaml-dev libedit-dev libcunit1-dev uthash-dev uuid-dev"
# What the tests and the quickstart send packets and requests with.
test="procps iputils-ping iperf3 curl traceroute ethtool netcat-openbsd tcpdump python3 openssl jq util-linux nftables tshark"
bench="wrk bpftool bsdextrautils iptables"
check="clang-format clang-tidy libclang-rt-14-dev"

sets=("$@")
[ ${#sets[@]} -gt 0 ] || sets=(run build test bench check)
wanted=()
for set in "${sets[@]}"; do
    case $set in
    run | build | test | bench | check) read -r -d '' -a names <<<"${!set}" || true ;;
    *) die "unknown set of packages: $set" ;;
    esac
    wanted+=("${names[@]}")
done

missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

need_root
say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1
}
# The package lists may be old or absent: only then are they fetched.
if ! install; then
    apt-get update -q </dev/null >"$log" 2>&1 || { cat "$log" >&2; die "apt-get update failed"; }
    install || { cat "$log" >&2; die "the packages cannot be installed"; }
fi
