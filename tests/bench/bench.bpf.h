/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What bench.bpf.c shares with user space. */
#pragma once
#include <linux/types.h>

#define BENCH_PACKETS_MAX 1024 /* a power of two */
#define BENCH_LINES_MAX 64
#define BENCH_NO_LINE 0xffffffffu /* generate, and drop */
#define BENCH_FRAME 78            /* bytes of a frame that are written: room for IPv6 and TCP */
#define BENCH_FRAME_SHORT 62      /* of one that is shorter */
#define BENCH_WORDS 10

/* The frame's bytes 0-7, 6-13, and from there on 8 at a time. */
struct bench_packet {
    __u64 words[BENCH_WORDS];
};

/*
 * Many flows of few packets: the number of a flow, (next >> shift) & mask, times the factors, is XORed to the
 * words with the numbers BENCH_FLOW_WORD_A and _B. mask 0: none.
 */
#define BENCH_FLOW_WORD_A 4
#define BENCH_FLOW_WORD_B 6
struct bench_flows {
    __u64 factor_a;
    __u64 factor_b;
    __u64 scatter; /* times this, an odd number, packets are sent in another order; 0: as they stand */
    __u32 mask;
    __u32 shift;
};

struct bench_state {
    __u64 next;
    __u32 mask; /* packets in the list - 1 */
    __u32 line; /* index in bench_devices */
    __u32 out;  /* bare TC program: ifindex */
    __u32 trim; /* test runs: what the program put in front is taken off first, of a frame that is as it was too */
    struct bench_flows flows;
};
