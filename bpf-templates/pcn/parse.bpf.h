/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * From bytes to struct pcn_packet, once on a packet's way.
 *
 *     __u16 bad = pcn_packet_parse(ctx, packet);
 *
 *     if (bad)
 *         return pcn_drop(packet, bad);
 *     if (packet->ip_version == 4 && packet->l4_protocol == IPPROTO_TCP) ...
 *
 * What is understood: up to two VLAN tags (at TC the hardware-accelerated one
 * counts as the first); IPv4 with options; IPv6 with up to six extension headers;
 * fragments; TCP, UDP, SCTP, ICMP. What is not (a third tag, a seventh header,
 * another protocol) is no error: .ip_version or .l4_offset is 0.
 * What contradicts itself or is cut short is: MALFORMED. So is a first fragment
 * without its whole transport header (RFC 1858).
 *
 * Who changes what a field describes changes the field too, or calls
 * pcn_packet_invalidate().
 */
#pragma once
#include <pcn/address.bpf.h>

#define PCN_EXTENSIONS_MAX 6 /* IPv6 extension headers in front of the transport header */
/* At TC the part that holds the headers is made linear: up to here, when they do not lie there already. */
#define PCN_HEADERS_MAX 512
#define PCN_SHORT 0xffff /* the linear part ends before the headers do */

/*
 * The first `size` bytes of the frame, or NULL. At TC they may lie in fragments, and
 * are then moved: pointers into the packet are lost.
 */
PCN_INLINE void *pcn_header(struct pcn_ctx *ctx, __u32 size)
{
    void *data = pcn_data(ctx);

    if (pcn_likely(data + size <= pcn_data_end(ctx)))
        return data;
#ifndef PCN_XDP
    if (size > ctx->len || bpf_skb_pull_data(ctx, size))
        return NULL;
    data = pcn_data(ctx);
    if (data + size <= pcn_data_end(ctx))
        return data;
#endif
    return NULL;
}

/* Bytes of payload of one segment of a GSO packet; 0: it is not one. */
PCN_INLINE __u32 pcn_segment_size(struct pcn_ctx *ctx)
{
#ifdef PCN_XDP
    return 0;
#else
    return ctx->gso_size;
#endif
}

PCN_INLINE void pcn_packet_invalidate(struct pcn_packet *packet)
{
    packet->flags &= ~PCN_PACKET_PARSED;
}

PCN_INLINE bool pcn_is_tag(__u16 ethertype)
{
    return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

/* Headers begin before this: of six extension headers of 2,048 bytes, the last one does. */
#define PCN_OFFSET_MAX 0x3fff

/* `size` bytes at `offset`, in the linear part; NULL: they are not. offset is at most PCN_OFFSET_MAX. */
PCN_INLINE const void *pcn_parse_at(struct pcn_ctx *ctx, __u32 offset, __u32 size)
{
    const void *at;

    offset &= PCN_OFFSET_MAX;
    PCN_OPAQUE(offset);
    at = pcn_data(ctx) + (offset & PCN_OFFSET_MAX);
    return at + size <= pcn_data_end(ctx) ? at : NULL;
}

/* The same at any offset; at TC they are made linear if they are not: pointers into the packet are lost then. */
PCN_INLINE void *pcn_header_at(struct pcn_ctx *ctx, __u32 offset, __u32 size)
{
    void *at;

    if (offset > PCN_OFFSET_MAX)
        return NULL;
    at = (void *)pcn_parse_at(ctx, offset, size);
#ifndef PCN_XDP
    if (pcn_unlikely(!at)) {
        if (offset + size > ctx->len || bpf_skb_pull_data(ctx, offset + size))
            return NULL;
        at = (void *)pcn_parse_at(ctx, offset, size);
    }
#endif
    return at;
}

PCN_INLINE __u16 pcn_parse_tcp(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 offset, __u32 end)
{
    const __u8 *header = pcn_parse_at(ctx, offset, 20);
    __u32 size;

    if (!header)
        return offset + 20 > end ? PCN_DROP_MALFORMED : PCN_SHORT;
    size = header[12] >> 4 << 2;
    if (size < 20 || offset + size > end)
        return PCN_DROP_MALFORMED;
    packet->l4_offset = offset;
    packet->payload_offset = offset + size;
    packet->source_port = *(const __u16 *)header;
    packet->destination_port = *(const __u16 *)(header + 2);
    packet->tcp_flags = header[13];
    return 0;
}

/* Those whose header begins with 8 bytes that matter. */
PCN_INLINE __u16 pcn_parse_other(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 offset, __u32 end)
{
    const __u8 *header = pcn_parse_at(ctx, offset, 8);
    __u32 length;

    if (!header)
        return offset + 8 > end ? PCN_DROP_MALFORMED : PCN_SHORT;
    if (offset + 8 > end)
        return PCN_DROP_MALFORMED;
    packet->l4_offset = offset;
    packet->payload_offset = offset + 8;
    if (packet->l4_protocol == IPPROTO_ICMP || packet->l4_protocol == IPPROTO_ICMPV6) {
        bool v4 = packet->l4_protocol == IPPROTO_ICMP;

        packet->icmp_type = header[0];
        packet->icmp_code = header[1];
        if (header[0] == (v4 ? 8 : 128) || header[0] == (v4 ? 0 : 129))
            packet->icmp_id = *(const __u16 *)(header + 4);
        return 0;
    }
    packet->source_port = *(const __u16 *)header;
    packet->destination_port = *(const __u16 *)(header + 2);
    length = bpf_ntohs(*(const __u16 *)(header + 4));
    if (packet->l4_protocol != IPPROTO_UDP)
        packet->payload_offset = 0;
    else if (length < 8 || (packet->fragment == PCN_FRAGMENT_NONE && offset + length > end))
        return PCN_DROP_MALFORMED;
    return 0;
}

/* The transport header; end is the offset behind the IP packet. A later fragment has none. */
PCN_INLINE __u16 pcn_parse_l4(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 offset, __u32 end)
{
    packet->l4_offset = 0;
    packet->payload_offset = 0;
    packet->tcp_flags = 0;
    packet->source_port = 0;
    packet->destination_port = 0;
    if (packet->fragment == PCN_FRAGMENT_LATER)
        return 0;
    switch (packet->l4_protocol) {
    case IPPROTO_TCP:
        return pcn_parse_tcp(ctx, packet, offset, end);
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return pcn_parse_other(ctx, packet, offset, end);
    default:
        return 0;
    }
}

PCN_INLINE __u16 pcn_parse_ipv4(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 offset)
{
    const struct iphdr *ip = pcn_parse_at(ctx, offset, sizeof(*ip));
    __u32 header, length;
    __u16 fragment;

    if (!ip)
        return PCN_SHORT;
    header = ip->ihl * 4;
    length = bpf_ntohs(ip->tot_len);
    /* A GSO packet over 64 KB says 0. */
    if (!length && pcn_segment_size(ctx))
        length = pcn_length(ctx) - offset;
    PCN_FORGET(length, packet->ct_slot);
    if (ip->version != 4 || header < sizeof(*ip) || length < header || offset + length > pcn_length(ctx))
        return PCN_DROP_MALFORMED;
    fragment = ip->frag_off;
    packet->fragment = PCN_FRAGMENT_NONE;
    if (pcn_unlikely(fragment & bpf_htons(0x3fff)))
        packet->fragment = fragment & bpf_htons(0x1fff) ? PCN_FRAGMENT_LATER : PCN_FRAGMENT_FIRST;
    packet->ip_version = 4;
    packet->l4_protocol = ip->protocol;
    packet->ttl = ip->ttl;
    packet->dscp = ip->tos >> 2;
    pcn_address_put(&packet->source, ip->saddr, 0);
    pcn_address_put(&packet->destination, ip->daddr, 0);
    return pcn_parse_l4(ctx, packet, offset + header, offset + length);
}

/* IPv6 extension headers that are 8 bytes, or say in their second one how long they are; a bit each. */
#define PCN_EXTENSIONS                                                                                                 \
    (1ull << IPPROTO_HOPOPTS | 1ull << IPPROTO_ROUTING | 1ull << IPPROTO_FRAGMENT | 1ull << IPPROTO_AH |               \
     1ull << IPPROTO_DSTOPTS)

PCN_INLINE bool pcn_is_extension(__u8 protocol)
{
    return protocol < 64 && PCN_EXTENSIONS >> protocol & 1;
}

#define PCN_BAD_SHIFT 16

/*
 * Behind the IPv6 header: the offset of the transport header, or of the first one that is not known; or what is bad
 * << PCN_BAD_SHIFT. Global, so that the verifier looks at it once.
 */
__noinline __u32 pcn_parse_extensions(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 first, __u32 end)
{
    __u64 offset = first;

    if (!packet)
        return PCN_DROP_MALFORMED << PCN_BAD_SHIFT;
#pragma clang loop unroll(disable)
    for (int i = 0; i < PCN_EXTENSIONS_MAX && pcn_is_extension(packet->l4_protocol); i++) {
        const __u8 *header = pcn_parse_at(ctx, offset, 8);
        __u32 size = 8;

        if (!header)
            return (__u32)(offset + 8 > end ? PCN_DROP_MALFORMED : PCN_SHORT) << PCN_BAD_SHIFT;
        if (packet->l4_protocol == IPPROTO_FRAGMENT) {
            __u16 word = *(const __u16 *)(header + 2);

            if (word & bpf_htons(0xfff8))
                packet->fragment = PCN_FRAGMENT_LATER;
            else if (word & bpf_htons(1))
                packet->fragment = PCN_FRAGMENT_FIRST;
        } else {
            size = packet->l4_protocol == IPPROTO_AH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
        }
        packet->l4_protocol = header[0];
        offset += size;
        if (offset > end)
            return PCN_DROP_MALFORMED << PCN_BAD_SHIFT;
        PCN_FORGET(offset, packet->source.v6[0]);
        /* What follows is a piece of something. */
        if (packet->fragment == PCN_FRAGMENT_LATER)
            break;
    }
    return offset & PCN_OFFSET_MAX;
}

PCN_INLINE void pcn_parse_address(union pcn_address *ret, const __u8 *from)
{
    pcn_address_put(ret, *(const __u64 *)from, *(const __u64 *)(from + 8));
}

PCN_INLINE __u16 pcn_parse_ipv6(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 offset)
{
    const struct ipv6hdr *ip = pcn_parse_at(ctx, offset, sizeof(*ip));
    __u32 length, end;

    if (!ip)
        return PCN_SHORT;
    length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
    /* A GSO packet over 64 KB says 0. */
    if (length == sizeof(*ip) && pcn_segment_size(ctx))
        length = pcn_length(ctx) - offset;
    PCN_FORGET(length, packet->ct_slot);
    if (ip->version != 6 || offset + length > pcn_length(ctx))
        return PCN_DROP_MALFORMED;
    packet->ip_version = 6;
    packet->fragment = PCN_FRAGMENT_NONE;
    packet->l4_protocol = ip->nexthdr;
    packet->ttl = ip->hop_limit;
    packet->dscp = bpf_ntohs(*(const __u16 *)ip) >> 6 & 63;
    pcn_parse_address(&packet->source, (const __u8 *)&ip->saddr);
    pcn_parse_address(&packet->destination, (const __u8 *)&ip->daddr);
    end = offset + length;
    offset += sizeof(*ip);
    if (pcn_unlikely(pcn_is_extension(packet->l4_protocol))) {
        offset = pcn_parse_extensions(ctx, packet, offset, end);
        if (offset >> PCN_BAD_SHIFT)
            return offset >> PCN_BAD_SHIFT;
    }
    return pcn_parse_l4(ctx, packet, offset, end);
}

/* Takes one tag at offset, if the ethertype in front of it says so. */
PCN_INLINE __u16 pcn_parse_tag(struct pcn_ctx *ctx, struct pcn_packet *packet, __u64 *offset)
{
    const __u16 *tag;

    if (pcn_likely(!pcn_is_tag(packet->ethertype)) || packet->n_vlans > 1)
        return 0;
    tag = pcn_parse_at(ctx, *offset, 4);
    if (!tag)
        return PCN_SHORT;
    if (packet->n_vlans++)
        packet->inner_vlan_tci = bpf_ntohs(tag[0]);
    else
        packet->vlan_tci = bpf_ntohs(tag[0]);
    packet->ethertype = tag[1];
    *offset += 4;
    return 0;
}

PCN_INLINE __u16 pcn_parse_frame(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    const struct ethhdr *eth = pcn_parse_at(ctx, 0, sizeof(*eth));
    __u64 offset = sizeof(*eth);
    __u16 bad;

    if (!eth)
        return PCN_SHORT;
    packet->ethertype = eth->h_proto;
    packet->n_vlans = 0;
#ifndef PCN_XDP
    if (ctx->vlan_present) {
        packet->vlan_tci = ctx->vlan_tci;
        packet->n_vlans = 1;
    }
#endif
    bad = pcn_parse_tag(ctx, packet, &offset);
    if (!bad)
        bad = pcn_parse_tag(ctx, packet, &offset);
    if (bad)
        return bad;
    PCN_FORGET(offset, packet->ethertype);
    packet->l3_offset = offset;
    packet->hash = 0;
    packet->segment_size = pcn_segment_size(ctx);
    if (packet->ethertype == bpf_htons(ETH_P_IP))
        return pcn_parse_ipv4(ctx, packet, offset);
    if (packet->ethertype == bpf_htons(ETH_P_IPV6))
        return pcn_parse_ipv6(ctx, packet, offset);
    packet->ip_version = 0;
    packet->l4_protocol = 0;
    packet->l4_offset = 0;
    packet->payload_offset = 0;
    packet->fragment = PCN_FRAGMENT_NONE;
    return 0;
}

#ifndef PCN_XDP
/* Once more, when the headers are in the linear part. Global, so that the verifier does not walk all this twice. */
__noinline __u32 pcn_parse_pulled(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    __u32 size = ctx->len < PCN_HEADERS_MAX ? ctx->len : PCN_HEADERS_MAX;

    return !packet || bpf_skb_pull_data(ctx, size) ? PCN_SHORT : pcn_parse_frame(ctx, packet);
}
#endif

/* 0, or the reason to drop the packet. Does nothing for one that is parsed already. */
PCN_INLINE __u16 pcn_packet_parse(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    __u16 bad;

    if (packet->flags & PCN_PACKET_PARSED)
        return 0;
    packet->ct_state = 0;
    bad = pcn_parse_frame(ctx, packet);
#ifndef PCN_XDP
    if (pcn_unlikely(bad == PCN_SHORT))
        bad = pcn_parse_pulled(ctx, packet);
#endif
    if (pcn_unlikely(bad))
        return PCN_DROP_MALFORMED;
    packet->flags |= PCN_PACKET_PARSED;
    return 0;
}
