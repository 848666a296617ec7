/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What fast path and user space share, besides the table of flows: see pcn/conntrack.h. */
#pragma once
#include <pcn/conntrack.h>

/* Drop reasons. */
enum conntrack_reason {
    CONNTRACK_TABLE_FULL = PCN_DROP_KIND_FIRST,
};
