/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A packet to user space: a record in the daemon's ring with all that is known
 * of it, so that no order between records has to be assumed. What does not fit
 * the ring is dropped and counted.
 */
#pragma once
#include <pcn/hop.bpf.h>

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 256 * 1024);
} pcn_ring SEC(".maps");

PCN_INLINE void pcn_record_fill(struct pcn_ctx *ctx, const struct pcn_packet *packet, struct pcn_record *record,
                                __u32 length, __u32 captured)
{
    *record = (struct pcn_record){
        .cube = pcn_identity.cube,
        .port = packet->port,
        .direction = packet->direction,
        .hops = packet->hops,
        .reason = packet->reason,
        .words = {packet->words[0], packet->words[1], packet->words[2]},
        .mark = packet->mark,
        .length = length,
        .captured = captured,
    };
#ifdef PCN_XDP
    record->flags = PCN_RECORD_XDP;
#else
    record->segment_size = ctx->gso_size;
    if (ctx->vlan_present) {
        record->vlan_tci = ctx->vlan_tci;
        record->vlan_proto = ctx->vlan_proto;
    }
#endif
    if (packet->flags & PCN_PACKET_HOST_EGRESS)
        record->flags |= PCN_RECORD_HOST_EGRESS;
}

PCN_INLINE long pcn_load_bytes(struct pcn_ctx *ctx, void *to, __u32 length)
{
#ifdef PCN_XDP
    return bpf_xdp_load_bytes(ctx, 0, to, length);
#else
    return bpf_skb_load_bytes(ctx, 0, to, length);
#endif
}

/* The ring wants constant sizes: the smallest class that holds the frame is taken. */
#define PCN_RECORD_CLASS(size_)                                                                                        \
    if (captured <= (size_)) {                                                                                         \
        record = bpf_ringbuf_reserve(&pcn_ring, sizeof(*record) + (size_), 0);                                         \
        if (!record)                                                                                                   \
            return PCN_DROP_SLOW_PATH_FULL;                                                                            \
        pcn_record_fill(ctx, packet, record, length, captured);                                                        \
        if (captured < 1 || captured > (size_) || pcn_load_bytes(ctx, record + 1, captured)) {                         \
            bpf_ringbuf_discard(record, 0);                                                                            \
            return PCN_DROP_MALFORMED;                                                                                 \
        }                                                                                                              \
        bpf_ringbuf_submit(record, 0);                                                                                 \
        return 0;                                                                                                      \
    }

/* A copy: the packet goes on. 0, or the reason why there is none. */
static __noinline int pcn_copy_to_user(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();
    __u32 length = pcn_length(ctx), captured = length;
    struct pcn_record *record;

    if (!packet)
        return PCN_DROP_NO_CONTEXT;
    if (captured > PCN_CAPTURE_MAX)
        captured = PCN_CAPTURE_MAX;
    PCN_OPAQUE(captured);
    PCN_RECORD_CLASS(256)
    PCN_RECORD_CLASS(2048)
    PCN_RECORD_CLASS(PCN_CAPTURE_MAX)
    return PCN_DROP_MALFORMED;
}

PCN_INLINE int pcn_to_user(struct pcn_ctx *ctx)
{
    int failed = pcn_copy_to_user(ctx);

    return failed ? pcn_drop_count(failed) : PCN_ACT_DROP;
}
