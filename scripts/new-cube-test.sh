#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does what docs/writing-a-cube.md says, in a copy of the source tree, on an island: namespaces of its own for network,
# mounts and processes, so that nothing of it is seen outside and nothing is left.
#
# The document's code blocks say by their second word what they are:
#   ```sh run              commands
#   ```yang file=PATH      a file, written as it is
#   ```diff apply          changes to files
#
#   new-cube-test.sh [--keep]     --keep: leave the copy, and say where it is
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# The document as a script.
extract() {
    awk '
        /^```/ && kind {
            if (kind != "run")
                print "END_OF_BLOCK"
            if (kind == "file")
                printf "say \"wrote %s\"\n", path
            kind = ""
            blocks++
            next
        }
        kind == "run" && /^! / { sub(/^! /, "must_fail ") }
        kind { print; next }
        /^```[a-z]+ run$/ { kind = "run"; printf "say \"line %d\"\n", NR }
        /^```[a-z]+ file=/ {
            kind = "file"
            path = $2
            sub(/^file=/, "", path)
            printf "cat >\"%s\" <<\"END_OF_BLOCK\"\n", path
        }
        /^```[a-z]+ apply$/ { kind = "apply"; printf "say \"changes of line %d\"\ngit apply <<\"END_OF_BLOCK\"\n", NR }
        END {
            if (kind || !blocks)
                print "die \"the document ends within a block, or has none\""
        }' "$1"
}

# sh forgives a "! command" that succeeds.
must_fail() {
    if "$@"; then
        die "it should have failed: $*"
    fi
}

# In the namespaces: what the commands expect to find, and no more of the machine than that.
island() {
    mount --make-rprivate /
    for directory in /run /var/log; do
        mount -t tmpfs tmpfs "$directory"
    done
    mount -t sysfs sysfs /sys
    mount -t bpf bpf /sys/fs/bpf
    ip link set lo up
    cd "$1/tree"
    export HOME=$1 CFLAGS=-Werror
    unset POLYCUBECTL_URL
    trap 'cat /var/log/polycube/polycubed.log >&2 2>/dev/null || true' EXIT
    . "$1/steps.sh"
    trap - EXIT
}

if [ "${1-}" = --island ]; then
    island "$2"
    say "the document is true"
    exit
fi

need_root
keep=
[ "${1-}" != --keep ] || keep=1
directory=$(mktemp -d)
clean_up() {
    if [ -n "$keep" ]; then
        say "kept: $directory"
    else
        rm -rf "$directory"
    fi
}
trap clean_up EXIT

mkdir "$directory/tree"
tar -c -C "$top" --exclude=./build --exclude=./.git . | tar -x -C "$directory/tree"
extract "$top/docs/writing-a-cube.md" >"$directory/steps.sh"
unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --island "$directory"
