/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Re-injection: the way into a cube for packets that do not come by a netdev.
 * The daemon owns a veth pair. Its two ends are two doors:
 *
 *  inner (reinject_frame, reinject_skb): frames that begin with struct
 *      pcn_reinject: user space's, and the copies of a flood at XDP.
 *  outer (reinject_clone): clones of a flood at TC, put on this end's ingress
 *      with the target in skb->cb, so that GSO and checksum state survive.
 *
 * The XDP program runs in generic mode: it must take frames of any length, and
 * redirect to devices that have no native XDP. A frame without the cookie of
 * this boot is dropped and counted.
 */
#include <pcn/context.bpf.h>

#define REINJECT_ENTRIES ((PCN_CUBES_MAX + 1) * PCN_DIRECTION_MAX)

#define REINJECT_MAP(name_, type_, entries_, value_)                                                                   \
    struct {                                                                                                           \
        __uint(type, type_);                                                                                           \
        __uint(max_entries, entries_);                                                                                 \
        __type(key, __u32);                                                                                            \
        __type(value, value_);                                                                                         \
    } name_ SEC(".maps")

REINJECT_MAP(pcn_reinject_tc, BPF_MAP_TYPE_PROG_ARRAY, REINJECT_ENTRIES, __u32);
REINJECT_MAP(pcn_reinject_xdp, BPF_MAP_TYPE_PROG_ARRAY, REINJECT_ENTRIES, __u32);
REINJECT_MAP(pcn_floods, BPF_MAP_TYPE_ARRAY, PCN_CUBES_MAX + 1, struct pcn_flood_ports);
REINJECT_MAP(pcn_reinject_drops, BPF_MAP_TYPE_PERCPU_ARRAY, PCN_DROP_REASONS_MAX, __u64);

PCN_INLINE void reinject_drop(__u32 reason)
{
    __u64 *count = bpf_map_lookup_elem(&pcn_reinject_drops, &reason);

    if (count)
        (*count)++;
}

/* Puts the context as it was when the packet left its path; false: to be dropped. */
PCN_INLINE bool reinject_context(const struct pcn_reinject *header, __u32 *ret_entry)
{
    struct pcn_packet *packet = pcn_packet_get();

    if (header->hops >= PCN_REINJECT_MAX) {
        reinject_drop(PCN_DROP_HOP_LIMIT);
        return false;
    }
    packet->port = header->port;
    packet->hops = header->hops;
    packet->flags = PCN_PACKET_REINJECTED;
    if (header->flags & PCN_REINJECT_FORWARD)
        packet->flags |= PCN_PACKET_FORWARD;
    packet->mark = header->mark;
    *ret_entry = (__u32)header->cube * PCN_DIRECTION_MAX + (header->direction & 1);
    return true;
}

SEC("xdp")
int reinject_frame(struct xdp_md *ctx)
{
    struct pcn_reinject *header = (void *)(long)ctx->data, copy;
    __u32 entry;

    if ((void *)(header + 1) > (void *)(long)ctx->data_end || header->cookie != pcn_shared.cookie) {
        reinject_drop(PCN_DROP_REINJECT);
        return XDP_DROP;
    }
    if (header->flags & PCN_REINJECT_FLOOD)
        return XDP_PASS; /* copies are made at TC */
    copy = *header;
    if (bpf_xdp_adjust_head(ctx, sizeof(copy)))
        return XDP_DROP;
    if (copy.flags & PCN_REINJECT_XDP) {
        if (!reinject_context(&copy, &entry))
            return XDP_DROP;
        bpf_tail_call(ctx, &pcn_reinject_xdp, entry);
        reinject_drop(PCN_DROP_NO_CUBE);
        return XDP_DROP;
    }
    /* On as metadata: generic XDP looks at the Ethernet header again, as it has moved. */
    if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(copy)))
        return XDP_DROP;
    header = (void *)(long)ctx->data_meta;
    if ((void *)(header + 1) > (void *)(long)ctx->data)
        return XDP_DROP;
    *header = copy;
    return XDP_PASS;
}

struct flood {
    struct __sk_buff *ctx;
    struct pcn_reinject header;
    __u32 failed; /* of any */
};

/* Into this device's ingress: what is sent out of the other end would come marked as redirected, and not see XDP. */
static long flood_copy(__u32 port, struct flood *flood)
{
    __u32 cube = flood->header.cube;
    struct pcn_flood_ports *ports = bpf_map_lookup_elem(&pcn_floods, &cube);
    __u64 word;

    if (!ports)
        return 1;
    word =
        flood->header.flags & PCN_REINJECT_FLOOD_ALL ? ports->all[(port / 64) & 15] : ports->program[(port / 64) & 15];
    if (!(word >> (port % 64) & 1) || port == flood->header.port)
        return 0;
    {
        struct pcn_reinject header = flood->header;

        header.port = port;
        header.flags = PCN_REINJECT_XDP;
        if (bpf_skb_store_bytes(flood->ctx, 0, &header, sizeof(header), 0) ||
            bpf_clone_redirect(flood->ctx, flood->ctx->ifindex, BPF_F_INGRESS))
            flood->failed = 1;
    }
    return 0;
}

/* Frames at the inner end that XDP let through: with metadata for a TC cube or the stack, or to be flooded. */
SEC("tc")
int reinject_skb(struct __sk_buff *ctx)
{
    struct pcn_reinject *header = (void *)(long)ctx->data_meta, copy;
    struct flood flood = {.ctx = ctx};
    __u32 entry;

    if ((void *)(header + 1) <= (void *)(long)ctx->data && header->cookie == pcn_shared.cookie) {
        copy = *header;
        if (copy.flags & PCN_REINJECT_STACK) {
            ctx->cb[PCN_CB_COOKIE] = ~pcn_shared.cookie;
            return bpf_redirect(copy.mark, BPF_F_INGRESS);
        }
        if (!reinject_context(&copy, &entry))
            return TC_ACT_SHOT;
        ctx->mark = copy.mark;
        bpf_tail_call(ctx, &pcn_reinject_tc, entry);
        reinject_drop(PCN_DROP_NO_CUBE);
        return TC_ACT_SHOT;
    }
    if (bpf_skb_load_bytes(ctx, 0, &flood.header, sizeof(flood.header)) || flood.header.cookie != pcn_shared.cookie ||
        !(flood.header.flags & PCN_REINJECT_FLOOD)) {
        reinject_drop(PCN_DROP_REINJECT);
        return TC_ACT_SHOT;
    }
    bpf_loop(PCN_PORTS_MAX, flood_copy, &flood, 0);
    if (flood.failed)
        reinject_drop(PCN_DROP_FLOOD);
    return TC_ACT_SHOT;
}

SEC("tc")
int reinject_clone(struct __sk_buff *ctx)
{
    __u32 target = ctx->cb[PCN_CB_TARGET], path = ctx->cb[PCN_CB_PATH], entry;
    struct pcn_reinject header = {
        .cube = target >> 16, .port = target, .direction = path, .hops = path >> 8, .mark = ctx->mark};

    if (ctx->cb[PCN_CB_COOKIE] != pcn_shared.cookie) {
        reinject_drop(PCN_DROP_REINJECT);
        return TC_ACT_SHOT;
    }
    ctx->cb[PCN_CB_COOKIE] = 0;
    if (!reinject_context(&header, &entry))
        return TC_ACT_SHOT;
    bpf_tail_call(ctx, &pcn_reinject_tc, entry);
    reinject_drop(PCN_DROP_NO_CUBE);
    return TC_ACT_SHOT;
}

/*
 * The re-injection entry of a flood's devmap: brings the metadata in front of
 * the frame. Where the kernel has forgotten that there are metadata (generic mode), the bytes are there all the same.
 */
SEC("xdp/devmap")
int reinject_prepend(struct xdp_md *ctx)
{
    struct pcn_reinject *header;

    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*header)))
        return XDP_DROP;
    header = (void *)(long)ctx->data;
    if ((void *)(header + 1) > (void *)(long)ctx->data_end || header->cookie != pcn_shared.cookie) {
        reinject_drop(PCN_DROP_REINJECT);
        return XDP_DROP;
    }
    return XDP_PASS;
}

char pcn_license[] SEC("license") = "GPL";
