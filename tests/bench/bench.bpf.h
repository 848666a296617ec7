/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What bench.bpf.c shares with user space. */
#pragma once
#include <linux/types.h>

#define BENCH_PACKETS_MAX 1024 /* a power of two */
#define BENCH_LINES_MAX 64
#define BENCH_NO_LINE 0xffffffffu /* generate, and drop */
#define BENCH_FRAME 62            /* bytes of a frame that are written */

/* The frame's bytes 0-7, 6-13, and from there on 8 at a time. */
struct bench_packet {
    __u64 words[8];
};

struct bench_state {
    __u64 next;
    __u32 mask; /* packets in the list - 1 */
    __u32 line; /* index in bench_devices */
    __u32 out;  /* bare TC program: ifindex */
    __u32 pad;
};
