#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packages, build with warnings as errors, the whole suite. Arguments go to ctest: test.sh -R router.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_root
"$top/scripts/setup.sh" run build test check
configure_and_build ci

cd "$top"
started=$SECONDS
status=0
ctest --preset ci --parallel 2 "$@" </dev/null || status=$?

# CUnit's closing summaries, added up.
awk -v seconds=$((SECONDS - started)) '
    / tests +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+/ { total += $2; passed += $4; failed += $5; skipped += $6 }
    / asserts +[0-9]+/ { asserts += $2 }
    END {
        printf "CUnit: %d tests, %d passed, %d failed, %d skipped; %d asserts; %d s\n",
               total, passed, failed, skipped, asserts, seconds
    }' build/ci/Testing/Temporary/LastTest.log
exit $status
