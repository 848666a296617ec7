/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the fast path of a helloworld is told: section .data.helloworld. */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

#define HELLOWORLD_DATA ".data.helloworld"
#define HELLOWORLD_NO_PORT 0xffff

/* The values are those of the model's leaf action. */
enum helloworld_action {
    HELLOWORLD_DROP,
    HELLOWORLD_SLOWPATH,
    HELLOWORLD_FORWARD,
};

struct helloworld_data {
    __u16 action;   /* enum helloworld_action */
    __u16 ports[2]; /* ids of the two ports; HELLOWORLD_NO_PORT both, if there are not exactly two */
    __u16 pad;
};
_Static_assert(sizeof(struct helloworld_data) == 8, "the same on both sides");

enum helloworld_reason {
    HELLOWORLD_NO_OTHER_PORT = PCN_DROP_KIND_FIRST,
};
