/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* On to the backend: another MAC, or another header in front. */
#pragma once
#include "lbdsr_tables.bpf.h"
#include <pcn/csum.bpf.h>
#include <pcn/parse.bpf.h>

#define LBDSR_TTL 64 /* of the outer header */

/* The outer header, without its checksum. */
struct lbdsr_outer {
    struct iphdr ip;
    __u16 vlan_tci; /* host order */
    bool tagged;
};

/* Two stores: the compiler, which knows nothing of how the frame lies, makes six of it. */
PCN_INLINE void lbdsr_put_mac(__u8 *to, const __u8 *from)
{
    *(__u32 *)to = *(const __u32 *)from;
    *(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

PCN_INLINE enum pcn_verdict lbdsr_send_l2(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                          const struct lbdsr_target *backend, __u16 port)
{
    struct ethhdr *ethernet = pcn_header(ctx, sizeof(*ethernet));

    if (!ethernet)
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    lbdsr_put_mac(ethernet->h_dest, backend->mac);
    return pcn_redirect(packet, port);
}

/* Bytes of the largest IP packet that it will be on the wire: of a GSO packet a segment's. */
PCN_INLINE __u32 lbdsr_largest(const struct pcn_packet *packet, __u32 length)
{
    if (!packet->segment_size)
        return length;
    return packet->segment_size + packet->payload_offset - packet->l3_offset;
}

/*
 * Room for the outer header behind the Ethernet header. At TC the kernel is told what it is, so that it can cut a GSO
 * packet; of TCP, segments that would be too large become smaller.
 */
PCN_INLINE long lbdsr_make_room(struct pcn_ctx *ctx, const struct pcn_packet *packet, bool fits)
{
#ifdef PCN_XDP
    return bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr));
#else
    return bpf_skb_adjust_room(ctx, sizeof(struct iphdr), BPF_ADJ_ROOM_MAC,
                               BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | (fits ? BPF_F_ADJ_ROOM_FIXED_GSO : 0));
#endif
}

PCN_INLINE void lbdsr_checksum(struct iphdr *ip)
{
    const __u32 *words = (const __u32 *)ip;
    __u64 sum = 0;

#pragma unroll
    for (int i = 0; i < 5; i++)
        sum += words[i];
    ip->check = ~pcn_csum_fold(sum);
}

PCN_INLINE bool lbdsr_write_outer(struct pcn_ctx *ctx, const struct lbdsr_target *backend, struct lbdsr_outer *outer)
{
    __u32 offset = sizeof(struct ethhdr) + (outer->tagged ? 4 : 0);
    struct ethhdr *ethernet = pcn_header(ctx, sizeof(struct ethhdr) + 4 + sizeof(struct iphdr));

    if (!ethernet)
        return false;
    lbdsr_put_mac(ethernet->h_dest, backend->mac);
    lbdsr_put_mac(ethernet->h_source, lbdsr_data.mac);
    ethernet->h_proto = bpf_htons(ETH_P_IP);
    lbdsr_checksum(&outer->ip);
    if (outer->tagged) {
        __u16 *tag = (__u16 *)(ethernet + 1);

        ethernet->h_proto = bpf_htons(ETH_P_8021Q);
        tag[0] = bpf_htons(outer->vlan_tci);
        tag[1] = bpf_htons(ETH_P_IP);
    }
    *(struct iphdr *)((void *)ethernet + offset) = outer->ip;
    return true;
}

PCN_INLINE enum pcn_verdict lbdsr_send_ipip(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                            const struct lbdsr_target *backend, __u64 hash, __u16 port)
{
    const struct iphdr *ip = pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));
    __u32 mtu = PCN_READ_ONCE(lbdsr_data.mtu), length;
    struct lbdsr_outer outer;
    bool fits;

    if (!ip)
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    length = packet->segment_size ? pcn_length(ctx) - packet->l3_offset : bpf_ntohs(ip->tot_len);
    fits = !mtu || lbdsr_largest(packet, length) + sizeof(outer.ip) <= mtu;
    if (pcn_unlikely(!fits && (!packet->segment_size || packet->l4_protocol != IPPROTO_TCP))) {
        if (ip->frag_off & bpf_htons(0x4000))
            return pcn_slow_path(packet, LBDSR_SLOW_TOO_BIG, mtu - sizeof(outer.ip), 0, 0);
        return pcn_drop(packet, LBDSR_DROP_TOO_BIG);
    }
    length += sizeof(outer.ip);
    outer = (struct lbdsr_outer){
        .ip = {.version = 4,
               .ihl = 5,
               .tos = ip->tos,
               .tot_len = length > 0xffff ? 0 : bpf_htons(length),
               .id = ip->id,
               .frag_off = ip->frag_off & bpf_htons(0x4000),
               .ttl = LBDSR_TTL,
               .protocol = IPPROTO_IPIP,
               .saddr = lbdsr_data.outer_source | ((__u32)(hash >> 16) & lbdsr_data.outer_hosts),
               .daddr = backend->address.v4},
        .vlan_tci = packet->vlan_tci,
        .tagged = packet->l3_offset == sizeof(struct ethhdr) + 4,
    };
    if (packet->l3_offset > sizeof(struct ethhdr) + 4 || lbdsr_make_room(ctx, packet, fits) ||
        !lbdsr_write_outer(ctx, backend, &outer))
        return pcn_drop(packet, LBDSR_DROP_ENCAPSULATION);
    pcn_packet_invalidate(packet);
    return pcn_redirect(packet, port);
}

PCN_INLINE enum pcn_verdict lbdsr_send(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 cpu, __u32 number,
                                       __u64 hash, __u16 port)
{
    const struct lbdsr_target *backend = lbdsr_backend_at(number);

    if (pcn_unlikely(!backend))
        return pcn_drop(packet, LBDSR_DROP_NO_BACKEND);
    lbdsr_count(ctx, cpu, number);
    if (backend->mode == LBDSR_IPIP)
        return lbdsr_send_ipip(ctx, packet, backend, hash, port);
    return lbdsr_send_l2(ctx, packet, backend, port);
}
