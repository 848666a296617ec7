/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Leaving a program: to the next one, out of a device, to the stack, or
 * nowhere. Entry programs, cubes and re-injection all leave by pcn_hop_take().
 *
 * Maps of an instance: pcn_hops, .data.line.pcn, .data.line.counters, .rodata, pcn_drops.
 * Maps of the daemon, the same in every instance: .data.packets, pcn_netdevs
 * (XDP), pcn_ring, pcn_logs. The daemon puts its own in place of the latter.
 */
#pragma once
#include <pcn/context.bpf.h>

#define PCN_MAP_ARRAY(name_, type_, entries_, value_)                                                                  \
    struct {                                                                                                           \
        __uint(type, type_);                                                                                           \
        __uint(max_entries, entries_);                                                                                 \
        __type(key, __u32);                                                                                            \
        __type(value, value_);                                                                                         \
    } name_ SEC(".maps")

PCN_MAP_ARRAY(pcn_hops, BPF_MAP_TYPE_PROG_ARRAY, PCN_SLOTS_MAX, __u32);
PCN_MAP_ARRAY(pcn_drops, BPF_MAP_TYPE_PERCPU_ARRAY, PCN_DROP_REASONS_MAX, __u64);
#ifdef PCN_XDP
PCN_MAP_ARRAY(pcn_netdevs, BPF_MAP_TYPE_DEVMAP, PCN_NETDEVS_MAX, __u32);
#endif

const volatile struct pcn_cube_identity pcn_identity = {};
struct pcn_cube_data pcn_cube SEC(PCN_CUBE_DATA) = {};

/*
 * The index decides the next program's port, and that the next index: through a
 * chain each load waits for the one before it. Branches are guessed and loads are
 * not, so the usual ports become constants, and the hops run into each other
 * (measured: 6 ns a hop for 9, 12 for 20 in a chain of 30).
 */
PCN_INLINE __u64 pcn_hop_word(__u64 index)
{
    if (pcn_likely(index == 1)) {
        asm volatile("%0 = 1" : "=r"(index));
    } else if (pcn_likely(index == 0)) {
        asm volatile("%0 = 0" : "=r"(index));
    } else {
        index &= PCN_PORTS_MAX - 1;
        PCN_OPAQUE(index);
    }
    return *(const volatile __u64 *)&pcn_cube.hops[index];
}

/* Counts a drop and says drop: once in a program, so that what packets run is close together. reason: enum pcn_drop_reason, or the kind's. */
static __noinline int pcn_drop_count(__u32 reason)
{
    __u64 *count = bpf_map_lookup_elem(&pcn_drops, &reason);

    if (count)
        (*count)++;
    return PCN_ACT_DROP;
}

/*
 * A tail call by a constant slot is a direct jump (1.5 ns), by a computed one a
 * retpoline (12-16 ns). Low slots are given out first, so most cubes stay in the switch.
 * Returns if the kernel's limit of tail calls is reached: slots in use are never empty.
 */
#define PCN_STATIC_CALL(slot)                                                                                          \
    case slot:                                                                                                         \
        bpf_tail_call_static(ctx, &pcn_hops, slot);                                                                    \
        break;

PCN_INLINE void pcn_tail_call(struct pcn_ctx *ctx, __u32 slot)
{
    switch (slot) {
        PCN_STATIC_CALL(2)
        PCN_STATIC_CALL(3)
        PCN_STATIC_CALL(4)
        PCN_STATIC_CALL(5)
        PCN_STATIC_CALL(6)
        PCN_STATIC_CALL(7)
        PCN_STATIC_CALL(8)
        PCN_STATIC_CALL(9)
        PCN_STATIC_CALL(10)
        PCN_STATIC_CALL(11)
        PCN_STATIC_CALL(12)
        PCN_STATIC_CALL(13)
        PCN_STATIC_CALL(14)
        PCN_STATIC_CALL(15)
    default:
        bpf_tail_call(ctx, &pcn_hops, slot);
    }
}

/* To the stack of the host. A re-injected frame is first put back on the device it came by. */
PCN_INLINE int pcn_to_stack(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 ifindex)
{
#ifdef PCN_XDP
    struct pcn_reinject *header;

    if (pcn_likely(!(packet->flags & PCN_PACKET_REINJECTED)))
        return XDP_PASS;
    if (!ifindex || bpf_xdp_adjust_meta(ctx, -(int)sizeof(*header)))
        return pcn_drop_count(PCN_DROP_NO_HOST);
    header = (void *)(long)ctx->data_meta;
    if ((void *)(header + 1) > pcn_data(ctx))
        return pcn_drop_count(PCN_DROP_NO_HOST);
    *header = (struct pcn_reinject){.cookie = pcn_shared.cookie, .flags = PCN_REINJECT_STACK, .mark = ifindex};
    return XDP_PASS;
#else
    if (ctx->mark != packet->mark)
        ctx->mark = packet->mark;
    if (pcn_likely(!(packet->flags & PCN_PACKET_REINJECTED)))
        return TC_ACT_UNSPEC;
    if (!ifindex)
        return pcn_drop_count(PCN_DROP_NO_HOST);
    ctx->cb[PCN_CB_COOKIE] = ~pcn_shared.cookie;
    return bpf_redirect(ifindex, BPF_F_INGRESS);
#endif
}

PCN_INLINE int pcn_to_netdev(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 index, __u16 how)
{
#ifdef PCN_XDP
    /* The low bits of flags are what it returns when the entry is empty. */
    return bpf_redirect_map(&pcn_netdevs, index, XDP_ABORTED);
#else
    if (ctx->mark != packet->mark)
        ctx->mark = packet->mark;
    if (packet->flags & PCN_PACKET_HOST_EGRESS)
        return TC_ACT_UNSPEC;
    if (how & PCN_NETDEV_PEER)
        return bpf_redirect_peer(index, 0);
    ctx->cb[PCN_CB_COOKIE] = pcn_shared.cookie;
    return bpf_redirect(index, 0);
#endif
}

/* A hop's word without the port: its kind, and its index above that. */
#define PCN_TARGET(kind_, index_) ((kind_) | (__u64)(index_) << 16)

/* Leaves by hop `index` of this program: returns what the program is to return. */
PCN_INLINE int pcn_hop_take(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 index)
{
    __u64 word = pcn_hop_word(index), target = word >> 16;
    __u16 kind = target, port = word;

    /* Most cubes have few neighbours: one compare tells that it is a program, and which. */
    if (pcn_likely(target == PCN_TARGET(PCN_HOP_PROGRAM, 0))) {
        packet->port = port;
        bpf_tail_call_static(ctx, &pcn_hops, 0);
    } else if (pcn_likely(target == PCN_TARGET(PCN_HOP_PROGRAM, 1))) {
        packet->port = port;
        bpf_tail_call_static(ctx, &pcn_hops, 1);
    } else if (pcn_likely(kind == PCN_HOP_NETDEV)) {
        return pcn_to_netdev(ctx, packet, target >> 16, port);
    } else if (kind == PCN_HOP_PROGRAM) {
        packet->port = port;
        pcn_tail_call(ctx, target >> 16);
    } else if (kind == PCN_HOP_STACK) {
        return pcn_to_stack(ctx, packet, target >> 16);
    } else {
        return pcn_drop_count(PCN_DROP_NO_PEER);
    }
    return pcn_drop_count(PCN_DROP_HOP_LIMIT);
}
