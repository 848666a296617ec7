/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the fast path of a transparenthelloworld is told: section .data.actions. */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

#define TRANSPARENTHELLOWORLD_DATA ".data.actions"

/* The values are those of the model's two leaves. */
enum transparenthelloworld_action {
    TRANSPARENTHELLOWORLD_DROP,
    TRANSPARENTHELLOWORLD_PASS,
    TRANSPARENTHELLOWORLD_SLOWPATH,
};

struct transparenthelloworld_data {
    __u32 actions[PCN_DIRECTION_MAX]; /* enum transparenthelloworld_action, by enum pcn_direction */
};
_Static_assert(sizeof(struct transparenthelloworld_data) == 8, "the same on both sides");
