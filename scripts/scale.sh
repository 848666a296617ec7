#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As many cubes and ports as the limits allow, and 1,000 created, wired and deleted without a leak.
#
#   scale.sh [-c CUBES] [-l LOOPS]     PRESET=debug: with the sanitizers; BUILD=DIR takes a build that exists
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_root
if [ -z "${BUILD:-}" ]; then
    preset=${PRESET:-release}
    "$top/scripts/setup.sh" run build test
    configure_and_build "$preset"
    BUILD=$top/build/$preset
fi
exec "$BUILD/bin/scale" "$@"
