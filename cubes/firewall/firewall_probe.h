/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What test_firewall_compile tells its program. */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

#define PROBE_DATA ".data.probe"
#define PROBE_PACKETS 1024 /* a power of two */

struct probe_data {
    __u32 from; /* first rule that counts */
    __u32 next; /* benchmark: number of the packet */
    __u64 sum;  /* benchmark: of the rules found */
};
