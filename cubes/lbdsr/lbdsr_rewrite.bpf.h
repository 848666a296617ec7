/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * L3DSR: the packet's destination becomes the backend's address, its DSCP says which VIP it was. At TC the kernel's helper
 * mends the transport checksum: it knows whether it is still to be filled in.
 */
#pragma once
#include "lbdsr_tables.bpf.h"
#include <pcn/csum.bpf.h>
#include <pcn/parse.bpf.h>

/* Offset in the transport header of a checksum that covers addresses; 0: there is none. */
PCN_INLINE __u32 lbdsr_check_offset(const struct pcn_packet *packet)
{
    if (packet->l4_protocol == IPPROTO_TCP)
        return 16;
    if (packet->l4_protocol == IPPROTO_UDP)
        return 6;
    return packet->l4_protocol == IPPROTO_ICMPV6 ? 2 : 0;
}

/* difference: what the sum of the addresses has become more. */
PCN_INLINE bool lbdsr_check_mend(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 difference)
{
    __u32 at = lbdsr_check_offset(packet);

    if (!packet->l4_offset || !at)
        return true;
#ifdef PCN_XDP
    __u16 *check = (__u16 *)pcn_parse_at(ctx, packet->l4_offset + at, 2), sum;

    if (!check)
        return false;
    sum = ~pcn_csum_fold((__u64)(__u16) ~*check + difference);
    *check = packet->l4_protocol == IPPROTO_UDP ? pcn_csum_udp(*check, sum) : sum;
    return true;
#else
    return !bpf_l4_csum_replace(ctx, packet->l4_offset + at, 0, difference,
                                BPF_F_PSEUDO_HDR | (packet->l4_protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0));
#endif
}

PCN_INLINE __u32 lbdsr_sum_difference(const __u32 *from, const __u32 *to, int words)
{
    __u64 sum = 0;

    for (int i = 0; i < words; i++)
        sum += (__u64)(__u32)~from[i] + to[i];
    return pcn_csum_fold(sum);
}

PCN_INLINE bool lbdsr_rewrite4(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct lbdsr_target *backend)
{
    struct iphdr *ip = (struct iphdr *)pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));
    __u32 difference;
    __u16 first;

    if (!ip)
        return false;
    difference = lbdsr_sum_difference(&ip->daddr, &backend->address.v4, 1);
    ip->check = pcn_csum_replace32(ip->check, ip->daddr, backend->address.v4);
    ip->daddr = backend->address.v4;
    first = *(const __u16 *)ip;
    ip->tos = (ip->tos & backend->tos_mask) | backend->tos;
    ip->check = pcn_csum_replace16(ip->check, first, *(const __u16 *)ip);
    return lbdsr_check_mend(ctx, packet, difference);
}

PCN_INLINE bool lbdsr_rewrite6(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct lbdsr_target *backend)
{
    struct ipv6hdr *ip = (struct ipv6hdr *)pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));
    __u32 difference, tos;
    __u16 *first = (__u16 *)ip;

    if (!ip)
        return false;
    difference = lbdsr_sum_difference(packet->destination.v6, backend->address.v6, 4);
    __builtin_memcpy(&ip->daddr, &backend->address, sizeof(ip->daddr));
    tos = bpf_ntohs(*first) >> 4 & 0xff;
    tos = (tos & backend->tos_mask) | backend->tos;
    *first = (*first & bpf_htons(0xf00f)) | bpf_htons(tos << 4);
    return lbdsr_check_mend(ctx, packet, difference);
}

/* 0: its headers cannot be reached. */
static __noinline __u32 lbdsr_rewrite(struct pcn_ctx *ctx, __u32 number)
{
    struct pcn_packet *packet = pcn_packet_get();
    const struct lbdsr_target *backend = lbdsr_backend_at(number);
    bool done;

    if (!backend)
        return 0;
    done = packet->ip_version == 4 ? lbdsr_rewrite4(ctx, packet, backend) : lbdsr_rewrite6(ctx, packet, backend);
    pcn_packet_invalidate(packet);
    return done;
}
