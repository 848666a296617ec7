/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Tenants that are segments. A packet to the tunnel address, in VXLAN or Geneve, is taken out of its outer header if a
 * service of its segment takes what is inside; from then on it is a packet as any other, of that tenant. All that is not
 * sure to be taken passes as it came: outer fragments, what is cut short, tagged frames in segments. Who asks in a segment
 * for a VIP of it, by ARP, ND or an echo, is answered by user space.
 */
#pragma once
#include "lbdsr_rare.bpf.h"

/* Of Linux 6.3 on; not in older headers. */
#define LBDSR_DECAP_L3_IPV4 (1ull << 7)
#define LBDSR_DECAP_L3_IPV6 (1ull << 8)

/* The IP packet at an offset, into the context. Not inlined: its frame would be one of too many on the stack. */
static __noinline __u32 lbdsr_segment_parse(struct pcn_ctx *ctx, __u32 ethertype, __u32 offset)
{
    struct pcn_packet *packet = pcn_packet_get();

    offset &= PCN_OFFSET_MAX;
    packet->l3_offset = offset;
    if (ethertype == bpf_htons(ETH_P_IP))
        return !pcn_parse_ipv4(ctx, packet, offset);
    return ethertype == bpf_htons(ETH_P_IPV6) && !pcn_parse_ipv6(ctx, packet, offset);
}

/* A frame in a segment. */
struct lbdsr_segment {
    __u32 tenant;
    __u32 offset; /* where it begins */
    __u32 end;    /* of what the outer header says to be its */
};

/* Whether the frame may have one in it. At TC a tag is not in the frame; of two, one is. */
PCN_INLINE bool lbdsr_segment_is_outer(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    const __u16 *ethertype = pcn_parse_at(ctx, 12, 8);
    bool tagged = PCN_IS_XDP && ethertype && pcn_is_tag(ethertype[0]);

    if (!ethertype || !lbdsr_segment_parse(ctx, ethertype[tagged ? 2 : 0], sizeof(struct ethhdr) + (tagged ? 4 : 0)))
        return false;
    if (packet->l4_protocol != IPPROTO_UDP || packet->fragment != PCN_FRAGMENT_NONE)
        return false;
    if (packet->destination_port != bpf_htons(LBDSR_VXLAN_PORT) &&
        packet->destination_port != bpf_htons(LBDSR_GENEVE_PORT))
        return false;
    return lbdsr_is_tunnel(&packet->destination, packet->ip_version);
}

/* What stands behind UDP, whose checksum is not looked at: RFC 7348 leaves that open, and what is inside has its own. */
PCN_INLINE bool lbdsr_segment_find(struct pcn_ctx *ctx, const struct pcn_packet *packet, struct lbdsr_segment *segment)
{
    const __u16 *udp = pcn_parse_at(ctx, packet->l4_offset, 8);
    const __u8 *header = pcn_parse_at(ctx, packet->payload_offset, 8);
    __u32 vni;

    if (!udp || !header)
        return false;
    vni = (__u32)header[4] << 16 | header[5] << 8 | header[6];
    segment->end = pcn_segment_size(ctx) ? pcn_length(ctx) : packet->l4_offset + bpf_ntohs(udp[2]);
    segment->offset = packet->payload_offset + 8;
    if (packet->destination_port == bpf_htons(LBDSR_VXLAN_PORT)) {
        segment->tenant = lbdsr_segment_tenant(LBDSR_VXLAN, vni);
        return header[0] & 8;
    }
    segment->tenant = lbdsr_segment_tenant(LBDSR_GENEVE, vni);
    segment->offset += (header[0] & 0x3f) * 4;
    /* Version 0; no control packet; no option that has to be understood; Ethernet inside. */
    return !(header[0] & 0xc0) && !(header[1] & 0xc0) && *(const __u16 *)(header + 2) == bpf_htons(ETH_P_TEB);
}

/* What is in it; offsets in the context are those in the outer frame. */
PCN_INLINE bool lbdsr_segment_look(struct pcn_ctx *ctx, const struct lbdsr_segment *segment)
{
    __u32 offset = segment->offset + sizeof(struct ethhdr);
    const __u16 *ethertype = pcn_parse_at(ctx, segment->offset + 12, 2);
    const __u16 *ip = pcn_parse_at(ctx, offset, 8);
    __u32 length;

    if (segment->offset > PCN_HEADERS_MAX || !ethertype || !ip)
        return false;
    length = *ethertype == bpf_htons(ETH_P_IP) ? bpf_ntohs(ip[1]) : sizeof(struct ipv6hdr) + bpf_ntohs(ip[2]);
    return offset + length <= segment->end && lbdsr_segment_parse(ctx, *ethertype, offset);
}

/* Whether a service of its segment takes it: what lbdsr_from_client() will find. */
PCN_INLINE bool lbdsr_segment_is_taken(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 tenant)
{
    __u32 ports = (__u32)packet->destination_port << 16 | packet->source_port;

    if (packet->fragment == PCN_FRAGMENT_LATER)
        return lbdsr_is_vip(&packet->destination, packet->ip_version);
    if (packet->l4_protocol == IPPROTO_ICMP || packet->l4_protocol == IPPROTO_ICMPV6) {
        if (lbdsr_is_error(packet->ip_version, packet->icmp_type))
            return lbdsr_icmp(ctx) < LBDSR_NOT_OURS;
        if (packet->ip_version == 6 && packet->icmp_type >= 133 && packet->icmp_type <= 137)
            return false;
        ports = 0;
    }
    return lbdsr_vip_of_tenant(&packet->destination, ports, packet->l4_protocol,
                               lbdsr_domain(packet->ip_version, tenant));
}

/* Whether it asks, by ARP, who has a VIP. */
PCN_INLINE bool lbdsr_segment_asks_arp(struct pcn_ctx *ctx, const struct lbdsr_segment *segment)
{
    __u32 offset = segment->offset + sizeof(struct ethhdr);
    const __u16 *ethertype = pcn_parse_at(ctx, segment->offset + 12, 2);
    union pcn_address target;
    const struct lbdsr_arp *arp;

    if (!ethertype || *ethertype != bpf_htons(ETH_P_ARP) || offset + sizeof(*arp) > segment->end)
        return false;
    arp = pcn_parse_at(ctx, offset, sizeof(*arp));
    return arp && lbdsr_arp_asks(arp, &target);
}

/* Of IP, which lbdsr_segment_look() has seen: whether a VIP is there, or by ND who has it. */
PCN_INLINE bool lbdsr_segment_asks_ip(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    bool v4 = packet->ip_version == 4;

    if (packet->fragment != PCN_FRAGMENT_NONE || packet->l4_protocol != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
        return false;
    if (packet->icmp_type == (v4 ? 8 : 128))
        return lbdsr_is_vip(&packet->destination, packet->ip_version);
    return !v4 && packet->icmp_type == 135 && lbdsr_solicited(ctx, packet) == LBDSR_SOLICITED;
}

/* The frame in it becomes the frame. version: of the IP inside, and outside. */
PCN_INLINE bool lbdsr_segment_open(struct pcn_ctx *ctx, __u32 offset, __u32 version, __u32 outer_version)
{
#ifdef PCN_XDP
    return !bpf_xdp_adjust_head(ctx, offset);
#else
    const __u64 *from = pcn_parse_at(ctx, offset, sizeof(struct ethhdr));
    __u64 flags = 0, first, last, *to;

    if (!from)
        return false;
    first = from[0];
    last = *(const __u64 *)((const __u8 *)from + 6);
    if (version != outer_version)
        flags = version == 6 ? LBDSR_DECAP_L3_IPV6 : LBDSR_DECAP_L3_IPV4;
    if (ctx->vlan_present && bpf_skb_vlan_pop(ctx))
        return false;
    if (bpf_skb_adjust_room(ctx, -(int)offset, BPF_ADJ_ROOM_MAC, flags))
        return false;
    to = pcn_header(ctx, sizeof(struct ethhdr));
    if (!to)
        return false;
    *to = first;
    *(__u64 *)((__u8 *)to + 6) = last;
    return true;
#endif
}

/* The headers outside and inside lie together. */
PCN_INLINE void lbdsr_segment_pull(struct pcn_ctx *ctx)
{
#ifndef PCN_XDP
    __u64 linear = pcn_data_end(ctx) - pcn_data(ctx);

    if (linear < PCN_HEADERS_MAX && linear < ctx->len)
        (void)bpf_skb_pull_data(ctx, ctx->len < PCN_HEADERS_MAX ? ctx->len : PCN_HEADERS_MAX);
#endif
}

PCN_INLINE __u32 lbdsr_segment_try(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 *now)
{
    struct lbdsr_segment segment = {};
    __u32 version;

    lbdsr_segment_pull(ctx);
    if (!lbdsr_segment_is_outer(ctx, packet) || !lbdsr_segment_find(ctx, packet, &segment))
        return LBDSR_NOT_OURS;
    version = packet->ip_version;
    *now = segment.tenant;
    if (!lbdsr_segment_look(ctx, &segment))
        return lbdsr_segment_asks_arp(ctx, &segment) ? LBDSR_SOLICITED : LBDSR_NOT_OURS;
    if (!lbdsr_segment_is_taken(ctx, packet, segment.tenant))
        return lbdsr_segment_asks_ip(ctx, packet) ? LBDSR_SOLICITED : LBDSR_NOT_OURS;
    /* Of several datagrams in one, each has an outer header. */
    if (pcn_segment_size(ctx) || !lbdsr_segment_open(ctx, segment.offset, packet->ip_version, version))
        return LBDSR_BAD;
    return LBDSR_AS_FLOW;
}

/*
 * LBDSR_NOT_OURS: it is as it was; LBDSR_SOLICITED: so it is, and to be answered; LBDSR_AS_FLOW: it was taken out; LBDSR_BAD:
 * that did not go. It is to be parsed then, not before: the way of all others does not wait for what is done here.
 */
__noinline __u32 lbdsr_segment(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();
    __u32 *now = lbdsr_segment_now(), said;

    *now = 0;
    said = lbdsr_segment_try(ctx, packet, now);
    pcn_packet_invalidate(packet);
    if (said == LBDSR_NOT_OURS)
        *now = 0;
    return said;
}
