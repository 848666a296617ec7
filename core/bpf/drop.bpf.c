/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What stands in a slot that nobody uses any more, so that the program that
 * stood there can be freed: deleting an entry would wait for a grace period.
 */
#include <pcn/common.bpf.h>

PCN_SEC int pcn_dropper(struct pcn_ctx *ctx)
{
    return PCN_ACT_DROP;
}

char pcn_license[] SEC("license") = "GPL";
