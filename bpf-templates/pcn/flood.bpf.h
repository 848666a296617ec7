/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * One copy out of every connected port but the one it came in by, in the
 * kernel. A clone made here cannot tail call, so a copy for a port behind a
 * program goes round the re-injection device and enters that port's egress.
 *
 * TC: a clone per netdev port, the original into the last port behind a
 * program, further ones by re-injection with the target in skb->cb.
 * XDP: the kernel broadcasts to a devmap of the plain netdev ports. One more
 * entry leads to re-injection: its program puts the header, which stands here
 * in the metadata, in front of the frame, and re-injection makes the copies.
 */
#pragma once
#include <pcn/hop.bpf.h>

#ifdef PCN_XDP

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, PCN_PORTS_MAX + 1); /* by port; the last one is re-injection */
    __type(key, __u32);
    __type(value, struct bpf_devmap_val);
} pcn_flood_devices SEC(".maps");

static __noinline int pcn_flood_all(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();
    struct pcn_reinject *header;

    if (!packet)
        return pcn_drop_count(PCN_DROP_NO_CONTEXT);
    if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*header)))
        return pcn_drop_count(PCN_DROP_FLOOD);
    header = (void *)(long)ctx->data_meta;
    if ((void *)(header + 1) > pcn_data(ctx))
        return pcn_drop_count(PCN_DROP_FLOOD);
    *header = (struct pcn_reinject){
        .cookie = pcn_shared.cookie,
        .cube = pcn_identity.cube,
        .port = packet->port,
        .direction = PCN_EGRESS,
        .hops = packet->hops + 1,
        .flags = PCN_REINJECT_XDP | PCN_REINJECT_FLOOD,
        .mark = packet->mark,
    };
    if (pcn_likely(!(packet->flags & PCN_PACKET_REINJECTED)))
        return bpf_redirect_map(&pcn_flood_devices, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
    /* The kernel cannot exclude a device that the frame did not come by: re-injection makes all copies. */
    header->flags |= PCN_REINJECT_FLOOD_ALL;
    return bpf_redirect_map(&pcn_flood_devices, PCN_PORTS_MAX, XDP_ABORTED);
}

#else

struct pcn_flood {
    struct __sk_buff *ctx;
    __u32 in_port;
    __u32 hops;
    __u32 pending; /* port behind a program that has had no copy yet, + 1 */
    __u32 failed;
};

static __noinline int pcn_flood_reinject(struct __sk_buff *ctx, __u32 port, __u32 hops)
{
    ctx->cb[PCN_CB_COOKIE] = pcn_shared.cookie;
    ctx->cb[PCN_CB_TARGET] = (__u32)pcn_identity.cube << 16 | port;
    ctx->cb[PCN_CB_PATH] = hops << 8 | PCN_EGRESS;
    return bpf_clone_redirect(ctx, pcn_identity.reinject_ifindex, BPF_F_INGRESS);
}

static long pcn_flood_port(__u32 port, struct pcn_flood *flood)
{
    __u64 word = pcn_hop_word(port);
    __u16 kind = word >> 16;
    long r = 0;

    if (port == flood->in_port)
        return 0;
    if (kind == PCN_HOP_NETDEV && !pcn_identity.has_egress) {
        flood->ctx->cb[PCN_CB_COOKIE] = pcn_shared.cookie;
        r = bpf_clone_redirect(flood->ctx, word >> 32, 0);
    } else if (kind == PCN_HOP_PROGRAM || kind == PCN_HOP_NETDEV) {
        if (flood->pending)
            r = pcn_flood_reinject(flood->ctx, flood->pending - 1, flood->hops);
        flood->pending = port + 1;
    }
    if (r)
        flood->failed++;
    return 0;
}

/*
 * Makes the copies. Returns the port + 1 that the original is to take, or 0: all is done.
 * A copy to a netdev runs that device's egress program within this one, and may overwrite the
 * context: what the caller still needs is put back.
 */
static __noinline int pcn_flood_all(struct __sk_buff *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();
    struct pcn_flood flood = {.ctx = ctx};
    __u32 flags, mark;

    if (!packet)
        return 0;
    flood.in_port = packet->port;
    flood.hops = packet->hops + 1;
    flags = packet->flags;
    mark = packet->mark;
    if (ctx->mark != mark)
        ctx->mark = mark;
    bpf_loop(PCN_READ_ONCE(pcn_cube.n_ports), pcn_flood_port, &flood, 0);
    packet->hops = flood.hops - 1;
    packet->flags = flags;
    packet->mark = mark;
    if (flood.failed)
        pcn_drop_count(PCN_DROP_FLOOD);
    return flood.pending;
}

#endif
