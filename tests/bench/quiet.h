/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine is shared: another's thread on the same core slows ours by up to 1.7, for milliseconds at a time. What
 * is measured is therefore measured in slices, with a loop of known work before and after each, and slices count
 * beside which that loop ran as fast as it can.
 */
#pragma once
#include "bench.h"

struct bpf_test_run_opts;

/*
 * BPF_PROG_TEST_RUN of n packets, `slice` at a time: the thread's CPU time in ns a packet, of the slices that were
 * not disturbed, or of all, if all were.
 */
int bench_quiet_run(int program, struct bpf_test_run_opts *options, unsigned int n, unsigned int slice, double *ret_ns);
