/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The end of every path in a TEST_RUN: a packet that gets here has left by a port, which the context tells. */
#include <pcn/common.bpf.h>

#define PCN_SINK 200

PCN_SEC int pcn_sink(struct pcn_ctx *ctx)
{
    return PCN_SINK;
}

char pcn_license[] SEC("license") = "GPL";
