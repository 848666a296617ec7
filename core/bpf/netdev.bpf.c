/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The entry programs of a netdev: attached once, they stay while the wiring
 * behind them moves. A packet gets its context here.
 */
#include <pcn/hop.bpf.h>

PCN_INLINE void entry_start(struct pcn_packet *packet, __u32 flags)
{
    packet->port = 0;
    packet->hops = 0;
    packet->flags = flags;
}

PCN_SEC int pcn_ingress(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();

    if (!packet)
        return PCN_ACT_DROP;
#ifndef PCN_XDP
    /* Comes from the slow path, and is for the stack: cb is not cleared on the way here. */
    if (pcn_unlikely(ctx->cb[PCN_CB_COOKIE] == ~pcn_shared.cookie)) {
        ctx->cb[PCN_CB_COOKIE] = 0;
        return TC_ACT_UNSPEC;
    }
    ctx->cb[PCN_CB_COOKIE] = 0;
    packet->mark = ctx->mark;
#else
    packet->mark = 0;
#endif
    entry_start(packet, 0);
    return pcn_hop_take(ctx, packet, PCN_NEXT_INGRESS);
}

#ifndef PCN_XDP
/* Frames of the host's stack alone: what our programs send has been through its egress chain. */
PCN_SEC int pcn_egress(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet;

    if (ctx->cb[PCN_CB_COOKIE] == pcn_shared.cookie) {
        ctx->cb[PCN_CB_COOKIE] = 0;
        return TC_ACT_UNSPEC;
    }
    packet = pcn_packet_get();
    if (!packet)
        return TC_ACT_SHOT;
    packet->mark = ctx->mark;
    entry_start(packet, PCN_PACKET_HOST_EGRESS);
    return pcn_hop_take(ctx, packet, PCN_NEXT_EGRESS);
}
#endif

char pcn_license[] SEC("license") = "GPL";
