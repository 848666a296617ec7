/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the test tells the probe, and how often its handlers ran. */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

#define VERDICT_PROBE_DATA ".data.probe"
#define VERDICT_PROBE_REASON 300 /* of the kind's own */

struct verdict_probe {
    __u32 verdicts[PCN_DIRECTION_MAX];
    __u32 runs[PCN_DIRECTION_MAX];
    __u16 out_port;
    __u16 reason;
    __u32 pad;
};
_Static_assert(sizeof(struct verdict_probe) == 24, "the same on both sides");
