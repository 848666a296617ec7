/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * New addresses and ports in a packet. At TC the kernel's helper mends the transport checksum: it knows whether it
 * is still to be filled in (CHECKSUM_PARTIAL), and keeps what the device has summed up (CHECKSUM_COMPLETE).
 */
#pragma once
#include "nat_maps.h"
#include <pcn/csum.bpf.h>
#include <pcn/cube.bpf.h>
#include <pcn/parse.bpf.h>

/* What one side of a packet is to be; from and to in network order. */
struct nat_change {
    __u32 from;
    __u32 to;
    __u16 from_port;
    __u16 to_port;
};

/* Offset of the checksum in the transport header, and whether addresses are part of it; 0: it has none that we know. */
PCN_INLINE __u32 nat_checksum_offset(__u8 protocol)
{
    if (pcn_likely(protocol == IPPROTO_TCP))
        return 16;
    if (protocol == IPPROTO_UDP)
        return 6;
    return protocol == IPPROTO_ICMP ? 2 : 0;
}

#ifdef PCN_XDP
PCN_INLINE void nat_mend(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u16 *check,
                         const struct nat_change *change)
{
    __u64 sum = (__u16) ~*check;

    if (packet->l4_protocol != IPPROTO_ICMP)
        sum += (__u64)(__u32)~change->from + change->to;
    sum += (__u64)(__u16)~change->from_port + change->to_port;
    sum = (__u16)~pcn_csum_fold(sum);
    *check = packet->l4_protocol == IPPROTO_UDP ? pcn_csum_udp(*check, sum) : sum;
}
#else
PCN_INLINE void nat_mend(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u16 *check,
                         const struct nat_change *change)
{
    __u32 offset = packet->l4_offset + nat_checksum_offset(packet->l4_protocol);
    __u64 flags = packet->l4_protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

    if (packet->l4_protocol != IPPROTO_ICMP)
        bpf_l4_csum_replace(ctx, offset, change->from, change->to, flags | BPF_F_PSEUDO_HDR | sizeof(change->to));
    if (pcn_unlikely(change->from_port != change->to_port))
        bpf_l4_csum_replace(ctx, offset, change->from_port, change->to_port, flags | sizeof(change->to_port));
}
#endif

/* source: of the packet's two sides. False: the headers cannot be reached. Pointers into the packet are lost. */
PCN_INLINE bool nat_rewrite_l4(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct nat_change *change,
                               bool source)
{
    __u32 check = nat_checksum_offset(packet->l4_protocol);
    __u8 *header;

    if (!check || !packet->l4_offset)
        return true;
    header = (__u8 *)pcn_parse_at(ctx, packet->l4_offset, 8);
    if (!header)
        return false;
    if (change->from_port != change->to_port) {
        if (packet->l4_protocol == IPPROTO_ICMP)
            *(__u16 *)(header + 4) = change->to_port;
        else if (source)
            *(__u16 *)header = change->to_port;
        else
            *(__u16 *)(header + 2) = change->to_port;
    }
    header = (__u8 *)pcn_parse_at(ctx, packet->l4_offset + check, 2);
    if (!header)
        return false;
    nat_mend(ctx, packet, (__u16 *)header, change);
    return true;
}

PCN_INLINE bool nat_rewrite_ip(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct nat_change *change,
                               bool source)
{
    struct iphdr *ip = (void *)pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));

    if (!ip)
        return false;
    if (source)
        ip->saddr = change->to;
    else
        ip->daddr = change->to;
    ip->check = pcn_csum_replace32(ip->check, change->from, change->to);
    return true;
}

/* The context follows the packet. */
PCN_INLINE void nat_renew(struct pcn_packet *packet, const struct nat_change *change, bool source)
{
    packet->hash = 0;
    if (source)
        packet->source.v4 = change->to;
    else
        packet->destination.v4 = change->to;
    if (change->from_port == change->to_port)
        return;
    if (packet->l4_protocol == IPPROTO_ICMP)
        packet->icmp_id = change->to_port;
    else if (source)
        packet->source_port = change->to_port;
    else
        packet->destination_port = change->to_port;
}

/* Headers were parsed, so they are linear. */
PCN_INLINE bool nat_rewrite(struct pcn_ctx *ctx, struct pcn_packet *packet, const struct nat_change *change,
                            bool source)
{
    if (!nat_rewrite_ip(ctx, packet, change, source) || !nat_rewrite_l4(ctx, packet, change, source))
        return false;
    nat_renew(packet, change, source);
    return true;
}
