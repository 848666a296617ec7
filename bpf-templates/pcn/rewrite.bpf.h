/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * New addresses and ports in a packet, with its checksums:
 *
 *     struct pcn_change change = {.from = packet->source, .to = {...}, .from_port = ..., .to_port = ...};
 *
 *     if (!pcn_rewrite(ctx, packet, &change, NULL, 4))
 *         return pcn_drop(packet, PCN_DROP_MALFORMED);
 *
 * Of the two changes, of the source and of the destination, NULL is one that stays. The version is that of the packet,
 * and best a constant: what it does not need is not there then, as with a NULL.
 *
 * At TC a transport checksum may still have to be filled in (CHECKSUM_PARTIAL, GSO): then it is the sum of the pseudo
 * header alone, and the kernel's helper mends it; else it is mended here, and the kernel is told what that adds to what the
 * device has summed up (CHECKSUM_COMPLETE): see pcn/summed.bpf.h. A checksum of UDP that is 0, for there is none, stays 0.
 */
#pragma once
#include <pcn/context.bpf.h>
#include <pcn/csum.bpf.h>
#include <pcn/parse.bpf.h>
#include <pcn/summed.bpf.h>

/* What one side of a packet is to be. Network order; of IPv4 the first word alone is looked at. */
struct pcn_change {
    union pcn_address from;
    union pcn_address to;
    __u16 from_port; /* of an ICMP echo: its id, in the change of the side that has it; 0 to 0: none */
    __u16 to_port;
};

/* Linux 6.16: the sum of a whole IPv6 packet stays, since its addresses are made up for by the transport's alone. */
#define PCN_F_IPV6 (1ull << 7)

/* Offset of the checksum in the transport header; 0: it has none that we know. */
PCN_INLINE __u32 pcn_checksum_offset(__u8 protocol)
{
    if (pcn_likely(protocol == IPPROTO_TCP))
        return 16;
    if (protocol == IPPROTO_UDP)
        return 6;
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ? 2 : 0;
}

/* What a change of address adds to a sum. */
PCN_INLINE __u64 pcn_change_address(const struct pcn_change *change, __u32 version)
{
    __u64 sum;

    if (!change)
        return 0;
    sum = (__u64)(__u32)~change->from.v6[0] + change->to.v6[0];
    if (version == 6) {
#pragma unroll
        for (int i = 1; i < 4; i++)
            sum += (__u64)(__u32)~change->from.v6[i] + change->to.v6[i];
    }
    return sum;
}

PCN_INLINE bool pcn_changes_port(const struct pcn_change *change)
{
    return change && change->from_port != change->to_port;
}

PCN_INLINE __u64 pcn_change_port(const struct pcn_change *change)
{
    return change ? (__u64)(__u16)~change->from_port + change->to_port : 0;
}

/* What the changes add, to a checksum that is whole. */
PCN_INLINE void pcn_mend_whole(const struct pcn_packet *packet, __u16 *check, const struct pcn_change *source,
                               const struct pcn_change *destination, __u64 addresses)
{
    __u64 sum = (__u16) ~*check;

    if (packet->l4_protocol != IPPROTO_ICMP)
        sum += addresses;
    sum += pcn_change_port(source) + pcn_change_port(destination);
    sum = (__u16)~pcn_csum_fold(sum);
    *check = packet->l4_protocol == IPPROTO_UDP ? pcn_csum_udp(*check, sum) : sum;
}

#ifdef PCN_XDP
PCN_INLINE void pcn_mend_none(struct pcn_ctx *ctx, const struct pcn_change *source,
                              const struct pcn_change *destination, __u32 version)
{
}

PCN_INLINE void pcn_mend(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u16 *check,
                         const struct pcn_change *source, const struct pcn_change *destination, __u32 version,
                         __u32 length)
{
    pcn_mend_whole(packet, check, source, destination,
                   pcn_change_address(source, version) + pcn_change_address(destination, version));
}
#else
/* To 32 bits: the sum that the helpers take. */
PCN_INLINE __u32 pcn_change_fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    return sum + (sum >> 32);
}

/* What the device has summed up changes by addresses of IPv6, which no checksum makes up for: of IPv4 the header's does. */
PCN_INLINE void pcn_mend_none(struct pcn_ctx *ctx, const struct pcn_change *source,
                              const struct pcn_change *destination, __u32 version)
{
    if (version == 6)
        pcn_summed_update(ctx, pcn_change_fold(pcn_change_address(source, 6) + pcn_change_address(destination, 6)));
}

/* By the kernel, which knows what there is to be mended. A call for the addresses, and one for the ports. */
__noinline __u32 pcn_mend_partial(struct pcn_ctx *ctx, __u32 addresses, __u32 ports, __u32 version)
{
    const struct pcn_packet *packet = pcn_packet_get();
    __u32 offset = packet->l4_offset + pcn_checksum_offset(packet->l4_protocol);
    __u64 flags = packet->l4_protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

    /* Kernels before 6.16 do not know the flag. */
    if (version != 6 || bpf_l4_csum_replace(ctx, offset, 0, addresses, flags | BPF_F_PSEUDO_HDR | PCN_F_IPV6))
        bpf_l4_csum_replace(ctx, offset, 0, addresses, flags | BPF_F_PSEUDO_HDR);
    bpf_l4_csum_replace(ctx, offset, 0, ports, flags);
    return 0;
}

/* Before any change: the sum of the pseudo header. length: of the transport header and what follows. */
PCN_INLINE __u16 pcn_pseudo_sum(const struct pcn_packet *packet, __u32 version, __u32 length)
{
    __u64 sum = (__u64)packet->source.v6[0] + packet->destination.v6[0];

    if (version == 6) {
#pragma unroll
        for (int i = 1; i < 4; i++)
            sum += (__u64)packet->source.v6[i] + packet->destination.v6[i];
    }
    return pcn_csum_fold(sum + bpf_htonl(length) + bpf_htonl(packet->l4_protocol));
}

PCN_INLINE void pcn_mend(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u16 *check,
                         const struct pcn_change *source, const struct pcn_change *destination, __u32 version,
                         __u32 length)
{
    __u64 addresses = pcn_change_address(source, version) + pcn_change_address(destination, version);

    if (pcn_unlikely(!*check && packet->l4_protocol == IPPROTO_UDP)) {
        pcn_mend_none(ctx, source, destination, version);
        pcn_summed_update(ctx, pcn_change_fold(pcn_change_port(source) + pcn_change_port(destination)));
        return;
    }
    if (packet->l4_protocol != IPPROTO_ICMP &&
        pcn_unlikely(pcn_may_be_partial(ctx) &&
                     (packet->segment_size || *check == pcn_pseudo_sum(packet, version, length)))) {
        pcn_mend_partial(ctx, pcn_change_fold(addresses),
                         pcn_change_fold(pcn_change_port(source) + pcn_change_port(destination)), version);
        return;
    }
    pcn_mend_whole(packet, check, source, destination, addresses);
    /* In all, the addresses were taken off once: the checksum of the IPv4 header has made up for them. */
    if (version == 4 && packet->l4_protocol != IPPROTO_ICMP)
        pcn_summed_update(ctx, ~pcn_change_fold(addresses));
}
#endif

PCN_INLINE void pcn_rewrite_port(const struct pcn_packet *packet, __u8 *header, const struct pcn_change *change,
                                 bool source)
{
    if (!pcn_changes_port(change))
        return;
    if (packet->l4_protocol == IPPROTO_ICMP || packet->l4_protocol == IPPROTO_ICMPV6)
        *(__u16 *)(header + 4) = change->to_port;
    else if (source)
        *(__u16 *)header = change->to_port;
    else
        *(__u16 *)(header + 2) = change->to_port;
}

/* Ports and checksum. False: the headers cannot be reached. Pointers into the packet are lost. */
PCN_INLINE bool pcn_rewrite_l4(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct pcn_change *source,
                               const struct pcn_change *destination, __u32 version, __u32 length)
{
    __u32 check = pcn_checksum_offset(packet->l4_protocol);
    __u8 *header;

    if (!check || !packet->l4_offset) {
        pcn_mend_none(ctx, source, destination, version);
        return true;
    }
    /* The checksum of TCP alone lies behind the first 8 bytes. */
    header = (__u8 *)(check == 16 ? pcn_parse_at(ctx, packet->l4_offset, 18) : pcn_parse_at(ctx, packet->l4_offset, 8));
    if (!header)
        return false;
    pcn_rewrite_port(packet, header, source, true);
    pcn_rewrite_port(packet, header, destination, false);
    pcn_mend(ctx, packet, (__u16 *)(header + check), source, destination, version, length);
    return true;
}

PCN_INLINE bool pcn_rewrite_ipv4(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct pcn_change *source,
                                 const struct pcn_change *destination)
{
    struct iphdr *ip = (void *)pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));
    __u64 sum;

    if (!ip)
        return false;
    if (source)
        ip->saddr = source->to.v4;
    if (destination)
        ip->daddr = destination->to.v4;
    sum = (__u64)(__u16)~ip->check + pcn_change_address(source, 4) + pcn_change_address(destination, 4);
    ip->check = ~pcn_csum_fold(sum);
    return true;
}

PCN_INLINE bool pcn_rewrite_ipv6(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct pcn_change *source,
                                 const struct pcn_change *destination)
{
    struct ipv6hdr *ip = (void *)pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));

    if (!ip)
        return false;
    if (source)
        __builtin_memcpy(&ip->saddr, &source->to, sizeof(ip->saddr));
    if (destination)
        __builtin_memcpy(&ip->daddr, &destination->to, sizeof(ip->daddr));
    return true;
}

/* Addresses, and the checksum of the header that has them. */
PCN_INLINE bool pcn_rewrite_ip(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct pcn_change *source,
                               const struct pcn_change *destination, __u32 version)
{
    if (version == 6)
        return pcn_rewrite_ipv6(ctx, packet, source, destination);
    return pcn_rewrite_ipv4(ctx, packet, source, destination);
}

/* The context follows the packet. */
PCN_INLINE void pcn_rewrite_renew(struct pcn_packet *packet, const struct pcn_change *source,
                                  const struct pcn_change *destination, __u32 version)
{
    bool icmp = packet->l4_protocol == IPPROTO_ICMP || packet->l4_protocol == IPPROTO_ICMPV6;

    packet->hash = 0;
    if (source && version == 6)
        packet->source = source->to;
    else if (source)
        packet->source.v4 = source->to.v4;
    if (destination && version == 6)
        packet->destination = destination->to;
    else if (destination)
        packet->destination.v4 = destination->to.v4;
    if (pcn_changes_port(source)) {
        if (icmp)
            packet->icmp_id = source->to_port;
        else
            packet->source_port = source->to_port;
    }
    if (pcn_changes_port(destination)) {
        if (icmp)
            packet->icmp_id = destination->to_port;
        else
            packet->destination_port = destination->to_port;
    }
}

/* Offset behind the IP packet; 0: its header cannot be reached. */
PCN_INLINE __u32 pcn_ip_end(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 version)
{
    const struct ipv6hdr *ip6;
    const struct iphdr *ip4;

    if (version == 6) {
        ip6 = pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip6));
        return ip6 ? packet->l3_offset + sizeof(*ip6) + bpf_ntohs(ip6->payload_len) : 0;
    }
    ip4 = pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip4));
    return ip4 ? packet->l3_offset + bpf_ntohs(ip4->tot_len) : 0;
}

/* Headers were parsed, so they are linear. A later fragment has no ports, and keeps what is behind its header. */
PCN_INLINE bool pcn_rewrite(struct pcn_ctx *ctx, struct pcn_packet *packet, const struct pcn_change *source,
                            const struct pcn_change *destination, __u32 version)
{
    /* At XDP nobody asks. */
    __u32 end = PCN_IS_XDP ? 0 : pcn_ip_end(ctx, packet, version);

    if (!pcn_rewrite_ip(ctx, packet, source, destination, version) ||
        !pcn_rewrite_l4(ctx, packet, source, destination, version, end - packet->l4_offset))
        return false;
    pcn_rewrite_renew(packet, source, destination, version);
    return true;
}
