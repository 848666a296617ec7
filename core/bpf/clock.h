/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lets the kernel say what its jiffies are, so that pcn_clock_jiffies() is what pcn_now() is in the fast path. */
int pcn_bpf_set_clock(void);
