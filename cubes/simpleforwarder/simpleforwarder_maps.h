/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The table of a simpleforwarder: a word for each port. A word is replaced by
 * one store, so that a packet sees the old action or the new one, never a mixture.
 */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

#define SIMPLEFORWARDER_DATA PCN_LINE_DATA "actions"

#define SIMPLEFORWARDER_WORDS (PCN_PORTS_MAX + PCN_LINE_SLACK / sizeof(__u32))

enum simpleforwarder_action {
    SIMPLEFORWARDER_NONE,     /* no entry for this port */
    SIMPLEFORWARDER_DROP,     /* by configuration */
    SIMPLEFORWARDER_DANGLING, /* FORWARD to a port that is gone */
    SIMPLEFORWARDER_SLOWPATH,
    SIMPLEFORWARDER_FORWARD,
};

/* action: enum simpleforwarder_action; port: id, in the low half. */
#define SIMPLEFORWARDER_WORD(action, port) ((__u32)(action) << 16 | (__u32)(port))
#define SIMPLEFORWARDER_ACTION(word) ((word) >> 16)
#define SIMPLEFORWARDER_PORT(word) ((word) & (PCN_PORTS_MAX - 1))
_Static_assert(PCN_PORTS_MAX <= 1 << 16, "a port's id fits the low half of a word");

enum simpleforwarder_reason {
    SIMPLEFORWARDER_NO_ACTION = PCN_DROP_KIND_FIRST,
    SIMPLEFORWARDER_NO_OUT_PORT,
};
