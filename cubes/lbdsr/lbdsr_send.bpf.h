/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* On to the backend: another MAC, or its outer header in front: see struct lbdsr_target. */
#pragma once
#include "lbdsr_rewrite.bpf.h"
#include "lbdsr_tables.bpf.h"
#include <pcn/csum.bpf.h>
#include <pcn/parse.bpf.h>

/* What of a packet its outer header depends on. */
struct lbdsr_inner {
    __u32 offset; /* of its IP header */
    __u32 length; /* from there on */
    __u32 id_df;  /* IPv4: id, and DF of the fragment word, as they stand in the packet; IPv6: DF */
    __u16 tci;    /* host order, of its tag; valid if offset says that there is one */
    __u8 tos;
    bool fits; /* the backends' side with its outer header */
};

#define LBDSR_DF ((__u32)bpf_htons(0x4000) << 16)

/* Two stores: the compiler, which knows nothing of how the frame lies, makes six of it. */
PCN_INLINE void lbdsr_put_mac(__u8 *to, const __u8 *from)
{
    *(__u32 *)to = *(const __u32 *)from;
    *(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

/* Bytes in front of the packet, without the type in the Ethernet header. */
PCN_INLINE __u32 lbdsr_overhead(const struct lbdsr_target *backend)
{
    return backend->size - 2;
}

/* ---- the outer header ---- */

/* As it is for all of the backend's packets: in steps of 8 bytes, the last one back from the end. */
PCN_INLINE void *lbdsr_outer_copy(struct pcn_ctx *ctx, const struct lbdsr_target *backend, __u32 offset)
{
    void *to = pcn_data(ctx) + offset, *end = pcn_data_end(ctx), *last;
    __u64 rest = backend->size;

    if (rest < LBDSR_OUTER_IPV4 || rest > LBDSR_OUTER_MAX)
        return NULL;
    rest -= 8;
    PCN_OPAQUE(rest);
    if (rest > LBDSR_OUTER_MAX - 8)
        return NULL;
    if (to + 22 > end)
        return NULL;
    *(__u64 *)to = *(const __u64 *)backend->outer;
    *(__u64 *)(to + 8) = *(const __u64 *)(backend->outer + 8);
    if (rest > 14) {
#pragma unroll
        for (__u32 i = 2; i < LBDSR_OUTER_MAX / 8; i++) {
            if (rest <= 8 * i || to + 8 * i + 8 > end)
                break;
            *(__u64 *)(to + 8 * i) = *(const __u64 *)(backend->outer + 8 * i);
        }
    }
    last = to + rest;
    if (last + 8 > end)
        return NULL;
    *(__u64 *)last = *(const __u64 *)(backend->outer + rest);
    return to;
}

/* What an outer IPv4 header has of its packet, as it stands there. */
struct lbdsr_outer_ip {
    __u32 tos;
    __u32 length;
    __u32 id_df;
    __u32 hosts; /* of the source address */
    __u32 sum;
};

PCN_INLINE struct lbdsr_outer_ip lbdsr_outer_ip(const struct lbdsr_target *backend, __u32 overhead,
                                                const struct lbdsr_inner *inner, __u32 hash)
{
    __u32 length = inner->length + overhead;
    struct lbdsr_outer_ip ip = {.tos = (inner->tos & backend->tos_mask) | backend->tos,
                                /* A GSO packet over 64 KB says 0. */
                                .length = length > 0xffff ? 0 : bpf_htons(length),
                                .id_df = inner->id_df,
                                .hosts = hash & backend->hosts};
    __u64 sum = (__u64)backend->sum + (ip.tos << 8) + ip.length + ip.id_df + ip.hosts;

    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    ip.sum = (__u16)~sum;
    return ip;
}

/* to: the type in the Ethernet header. */
PCN_INLINE bool lbdsr_outer_ipv4(void *to, void *end, const struct lbdsr_target *backend, __u32 overhead,
                                 const struct lbdsr_inner *inner, __u32 hash)
{
    struct lbdsr_outer_ip ip = lbdsr_outer_ip(backend, overhead, inner, hash);

    if (to + 22 > end)
        return false;
    *(__u32 *)(to + 2) = 0x45 | ip.tos << 8 | ip.length << 16;
    *(__u32 *)(to + 6) = ip.id_df;
    *(__u32 *)(to + 14) = *(const __u32 *)(backend->outer + 14) | ip.hosts;
    *(__u16 *)(to + 12) = ip.sum;
    return true;
}

PCN_INLINE bool lbdsr_outer_ipv6(void *to, void *end, const struct lbdsr_target *backend,
                                 const struct lbdsr_inner *inner, __u32 hash)
{
    __u32 length = inner->length + lbdsr_overhead(backend) - sizeof(struct ipv6hdr);
    __u32 tos = (inner->tos & backend->tos_mask) | backend->tos;

    if (to + 42 > end)
        return false;
    /* RFC 6438: the label tells flows apart, too. */
    *(__u32 *)(to + 2) = bpf_htonl(6u << 28 | tos << 20 | (hash & 0xfffff));
    *(__u16 *)(to + 6) = length > 0xffff ? 0 : bpf_htons(length);
    *(__u32 *)(to + 22) = *(const __u32 *)(backend->outer + 22) | (hash & backend->hosts);
    return true;
}

/* udp: its header. */
PCN_INLINE bool lbdsr_outer_udp(__u16 *udp, void *end, __u32 length, __u32 hash)
{
    if ((void *)(udp + 4) > end)
        return false;
    /* RFC 7348: of the ports that are nobody's. */
    udp[0] = bpf_htons(0xc000 | (hash & 0x3fff));
    udp[2] = length > 0xffff ? 0 : bpf_htons(length);
    return true;
}

PCN_INLINE bool lbdsr_outer_write(struct pcn_ctx *ctx, const struct lbdsr_target *backend,
                                  const struct lbdsr_inner *inner, __u32 offset, __u64 hash)
{
    void *to = lbdsr_outer_copy(ctx, backend, offset), *end = pcn_data_end(ctx);
    __u32 spread = hash >> 16, size = backend->size - 2, flags = backend->flags;

    if (!to)
        return false;
    if (pcn_likely(!(flags & LBDSR_OUTER_V6))) {
        if (!lbdsr_outer_ipv4(to, end, backend, size, inner, spread))
            return false;
        return !(flags & LBDSR_OUTER_UDP) ||
               lbdsr_outer_udp(to + 22, end, inner->length + size - sizeof(struct iphdr), spread);
    }
    if (!lbdsr_outer_ipv6(to, end, backend, inner, spread))
        return false;
    return !(flags & LBDSR_OUTER_UDP) ||
           lbdsr_outer_udp(to + 42, end, inner->length + size - sizeof(struct ipv6hdr), spread);
}

/*
 * Room behind the Ethernet header. At TC the kernel is told what it is for, so that it can cut a GSO packet; of TCP,
 * segments that would be too large become smaller.
 */
PCN_INLINE long lbdsr_make_room(struct pcn_ctx *ctx, __u64 room, __u32 more, bool fits)
{
#ifdef PCN_XDP
    return bpf_xdp_adjust_head(ctx, -(int)more);
#else
    return bpf_skb_adjust_room(ctx, more, BPF_ADJ_ROOM_MAC, room | (fits ? BPF_F_ADJ_ROOM_FIXED_GSO : 0));
#endif
}

PCN_INLINE void lbdsr_put_macs(__u8 *to, const struct lbdsr_target *backend)
{
    *(__u64 *)to = *(const __u64 *)backend->mac;
    *(__u32 *)(to + 8) = *(const __u32 *)(backend->mac + 8);
}

/*
 * IPv4 alone. Its size is a constant, guessed by the branch that leads here: where the frame begins need not wait for
 * the backend's line of the cache, and so nothing behind it does.
 */
PCN_INLINE bool lbdsr_encapsulate_ipv4(struct pcn_ctx *ctx, const struct lbdsr_target *backend,
                                       const struct lbdsr_inner *inner, __u64 hash)
{
    const __u8 *from = backend->mac;
    struct lbdsr_outer_ip ip;
    __u8 *data;

    if (lbdsr_make_room(ctx, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, sizeof(struct iphdr), inner->fits))
        return false;
    data = pcn_data(ctx);
    if (data + 12 + LBDSR_OUTER_IPV4 > (__u8 *)pcn_data_end(ctx))
        return false;
    ip = lbdsr_outer_ip(backend, sizeof(struct iphdr), inner, hash >> 16);
    /* What is the packet's own is 0 in the backend's: both are in a word when it is stored. */
    *(__u64 *)data = *(const __u64 *)from;
    *(__u64 *)(data + 8) = *(const __u64 *)(from + 8) | (__u64)ip.tos << 56;
    *(__u64 *)(data + 16) = *(const __u64 *)(from + 16) | (__u64)ip.id_df << 16 | ip.length;
    *(__u64 *)(data + 24) = *(const __u64 *)(from + 24) | (__u64)ip.hosts << 16 | ip.sum;
    *(__u16 *)(data + 32) = *(const __u16 *)(from + 32);
    return true;
}

/* The frame had no tag in it, and gets none. */
PCN_INLINE bool lbdsr_encapsulate(struct pcn_ctx *ctx, const struct lbdsr_target *backend,
                                  const struct lbdsr_inner *inner, __u64 hash)
{
    __u8 *data;

    if (pcn_likely(PCN_READ_ONCE(backend->size) == LBDSR_OUTER_IPV4))
        return lbdsr_encapsulate_ipv4(ctx, backend, inner, hash);
    if (lbdsr_make_room(ctx, backend->room, lbdsr_overhead(backend), inner->fits))
        return false;
    data = pcn_data(ctx);
    if (data + 12 > (__u8 *)pcn_data_end(ctx))
        return false;
    lbdsr_put_macs(data, backend);
    return lbdsr_outer_write(ctx, backend, inner, 12, hash);
}

#ifdef PCN_XDP
/* The frame has a tag in it, or gets one: see lbdsr_encapsulate(). */
PCN_INLINE bool lbdsr_encapsulate_tagged(struct pcn_ctx *ctx, const struct lbdsr_target *backend,
                                         const struct lbdsr_inner *inner, __u64 hash)
{
    bool tagged = inner->offset != sizeof(struct ethhdr);
    __u16 tci = tagged ? inner->tci : 0, *tag;
    struct ethhdr *ethernet;

    if (inner->offset > sizeof(struct ethhdr) + 4 ||
        lbdsr_make_room(ctx, backend->room, lbdsr_overhead(backend) + (tagged ? 0 : 4), inner->fits))
        return false;
    ethernet = pcn_header(ctx, sizeof(*ethernet) + 4);
    if (!ethernet)
        return false;
    if (backend->flags & LBDSR_VLAN)
        tci = (tci & 0xf000) | backend->vlan;
    lbdsr_put_macs(ethernet->h_dest, backend);
    tag = &ethernet->h_proto;
    tag[0] = bpf_htons(ETH_P_8021Q);
    tag[1] = bpf_htons(tci);
    return lbdsr_outer_write(ctx, backend, inner, 16, hash);
}
#endif

/* ---- VLAN ---- */

/* The frame's outer tag gets another id, or it gets a tag. */
PCN_INLINE bool lbdsr_retag(struct pcn_ctx *ctx, __u16 vlan)
{
#ifdef PCN_XDP
    struct ethhdr *ethernet = pcn_header(ctx, sizeof(*ethernet) + 4);
    __u8 macs[12];
    __u16 *tag;

    if (!ethernet)
        return false;
    tag = &ethernet->h_proto;
    if (pcn_is_tag(tag[0])) {
        tag[1] = bpf_htons((bpf_ntohs(tag[1]) & 0xf000) | vlan);
        return true;
    }
    __builtin_memcpy(macs, ethernet, sizeof(macs));
    if (bpf_xdp_adjust_head(ctx, -4))
        return false;
    ethernet = pcn_header(ctx, sizeof(*ethernet) + 4);
    if (!ethernet)
        return false;
    __builtin_memcpy(ethernet, macs, sizeof(macs));
    tag = &ethernet->h_proto;
    tag[0] = bpf_htons(ETH_P_8021Q);
    tag[1] = bpf_htons(vlan);
    return true;
#else
    __u16 priority = 0;

    if (ctx->vlan_present) {
        priority = ctx->vlan_tci & 0xe000;
        if (bpf_skb_vlan_pop(ctx))
            return false;
    }
    return !bpf_skb_vlan_push(ctx, bpf_htons(ETH_P_8021Q), priority | vlan);
#endif
}

/* ---- all that may be asked of it ---- */

/* Bytes of the largest IP packet that it will be on the wire: of a GSO packet a segment's. */
PCN_INLINE __u32 lbdsr_largest(const struct pcn_packet *packet, __u32 length)
{
    if (!packet->segment_size)
        return length;
    return packet->segment_size + packet->payload_offset - packet->l3_offset;
}

PCN_INLINE bool lbdsr_inner_get(struct pcn_ctx *ctx, const struct pcn_packet *packet, struct lbdsr_inner *inner)
{
    const struct iphdr *ip = pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));

    if (!ip)
        return false;
    *inner = (struct lbdsr_inner){.offset = packet->l3_offset, .tci = packet->vlan_tci};
    if (packet->ip_version == 4) {
        inner->tos = ip->tos;
        inner->length = bpf_ntohs(ip->tot_len);
        inner->id_df = *(const __u32 *)&ip->id & (0xffff | LBDSR_DF);
    } else {
        inner->tos = bpf_ntohs(*(const __u16 *)ip) >> 4;
        inner->length = bpf_ntohs(*((const __u16 *)ip + 2)) + sizeof(struct ipv6hdr);
        inner->id_df = LBDSR_DF;
    }
    if (packet->segment_size)
        inner->length = pcn_length(ctx) - packet->l3_offset;
    return true;
}

static __noinline __u32 lbdsr_encapsulate_any(struct pcn_ctx *ctx, struct lbdsr_inner *inner, __u32 number, __u64 hash)
{
    const struct lbdsr_target *backend = lbdsr_backend_at(number);

    if (!backend)
        return 0;
#ifdef PCN_XDP
    if (inner->offset != sizeof(struct ethhdr) || backend->flags & LBDSR_VLAN)
        return lbdsr_encapsulate_tagged(ctx, backend, inner, hash);
#endif
    return inner->offset == sizeof(struct ethhdr) && lbdsr_encapsulate(ctx, backend, inner, hash);
}

PCN_INLINE enum pcn_verdict lbdsr_send_outer(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                             const struct lbdsr_target *backend, __u32 number, __u64 hash, __u16 port)
{
    __u32 mtu = PCN_READ_ONCE(lbdsr_data.mtu), flags = backend->flags;
    __u16 vlan = backend->vlan;
    struct lbdsr_inner inner;

    if (!lbdsr_inner_get(ctx, packet, &inner))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    inner.fits = !mtu || lbdsr_largest(packet, inner.length) + lbdsr_overhead(backend) <= mtu;
    if (pcn_unlikely(!inner.fits && (!packet->segment_size || packet->l4_protocol != IPPROTO_TCP))) {
        /* Who sent it in a segment is not reached by an answer outside of it. */
        if (inner.id_df & LBDSR_DF && !*lbdsr_segment_now())
            return pcn_slow_path(packet, LBDSR_SLOW_TOO_BIG, mtu - lbdsr_overhead(backend), packet->ip_version, 0);
        return pcn_drop(packet, LBDSR_DROP_TOO_BIG);
    }
    if (!lbdsr_encapsulate_any(ctx, &inner, number, hash))
        return pcn_drop(packet, LBDSR_DROP_ENCAPSULATION);
    pcn_packet_invalidate(packet);
    if (!PCN_IS_XDP && flags & LBDSR_VLAN && !lbdsr_retag(ctx, vlan))
        return pcn_drop(packet, LBDSR_DROP_ENCAPSULATION);
    return pcn_redirect(packet, port);
}

PCN_INLINE enum pcn_verdict lbdsr_send_l2(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                          const struct lbdsr_target *backend, __u16 port)
{
    struct ethhdr *ethernet = pcn_header(ctx, sizeof(*ethernet));

    if (!ethernet)
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    lbdsr_put_mac(ethernet->h_dest, backend->mac);
    if (pcn_unlikely(backend->flags & LBDSR_VLAN)) {
        if (!lbdsr_retag(ctx, backend->vlan))
            return pcn_drop(packet, LBDSR_DROP_ENCAPSULATION);
        pcn_packet_invalidate(packet);
    }
    return pcn_redirect(packet, port);
}

PCN_INLINE enum pcn_verdict lbdsr_send(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 cpu, __u32 number,
                                       __u64 hash, __u16 port)
{
    const struct lbdsr_target *backend = lbdsr_backend_at(number);

    if (pcn_unlikely(!backend || PCN_READ_ONCE(backend->size) == LBDSR_UNFINISHED))
        return pcn_drop(packet, LBDSR_DROP_NO_BACKEND);
    lbdsr_count(ctx, cpu, number);
    if (backend->flags & LBDSR_OUTER)
        return lbdsr_send_outer(ctx, packet, backend, number, hash, port);
    if (pcn_unlikely(backend->flags & LBDSR_REWRITE) && !lbdsr_rewrite(ctx, number))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    return lbdsr_send_l2(ctx, packet, backend, port);
}
