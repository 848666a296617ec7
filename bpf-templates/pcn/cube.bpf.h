/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The wrapper around a cube's handlers: loads the context, counts, runs the
 * handler, acts on its verdict, takes the next hop.
 *
 *     PCN_INLINE enum pcn_verdict hub_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
 *     {
 *         return pcn_flood(packet);
 *     }
 *     PCN_STANDARD_CUBE(hub_ingress, pcn_pass)
 *
 * Handlers are inlined; the compiler removes the verdicts that a handler never
 * returns, and the verifier the settings that are off in .rodata.
 */
#pragma once
#include <pcn/common.bpf.h>
#include <pcn/hop.bpf.h>

/* ---- what a handler returns ---- */
PCN_INLINE enum pcn_verdict pcn_pass(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return PCN_PASS;
}

PCN_INLINE enum pcn_verdict pcn_drop(struct pcn_packet *packet, __u16 reason)
{
    packet->reason = reason;
    return PCN_DROP;
}

PCN_INLINE enum pcn_verdict pcn_redirect(struct pcn_packet *packet, __u16 port)
{
    packet->out_port = port;
    return PCN_REDIRECT;
}

PCN_INLINE enum pcn_verdict pcn_slow_path(struct pcn_packet *packet, __u16 reason, __u32 a, __u32 b, __u32 c)
{
    packet->reason = reason;
    packet->words[0] = a;
    packet->words[1] = b;
    packet->words[2] = c;
    return PCN_SLOW_PATH;
}
