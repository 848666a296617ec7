/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is not a packet of a flow with ports: who has the VIP, echoes, ICMP errors, fragments. */
#pragma once
#include "lbdsr_send.bpf.h"

/* Instead of the number of a backend. */
#define LBDSR_NOT_OURS 0x10000u /* to the other side as it is */
#define LBDSR_AS_FLOW 0x10001u  /* a packet of a flow without ports */
#define LBDSR_ANSWERED 0x10002u
#define LBDSR_BAD 0x10003u
#define LBDSR_SOLICITED 0x10004u /* user space answers */

struct lbdsr_arp {
    __u16 hardware, protocol;
    __u8 hardware_length, protocol_length;
    __u16 operation;
    __u8 sender_mac[ETH_ALEN];
    __u8 sender[4];
    __u8 target_mac[ETH_ALEN];
    __u8 target[4];
} __attribute__((packed));

/* Whether a message is a request for a VIP. */
PCN_INLINE bool lbdsr_arp_asks(const struct lbdsr_arp *arp, union pcn_address *ret_target)
{
    if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) || arp->hardware_length != 6 ||
        arp->protocol_length != 4 || arp->operation != bpf_htons(1))
        return false;
    *ret_target = (union pcn_address){.v6 = {}};
    __builtin_memcpy(&ret_target->v4, arp->target, 4);
    return lbdsr_is_vip(ret_target, 4);
}

/* We have it. */
__noinline __u32 lbdsr_arp(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();
    struct ethhdr *ethernet = pcn_header(ctx, sizeof(*ethernet) + sizeof(struct lbdsr_arp));
    struct lbdsr_arp *arp = (struct lbdsr_arp *)pcn_parse_at(ctx, packet->l3_offset, sizeof(*arp));
    union pcn_address target;

    if (!ethernet || !arp || !lbdsr_arp_asks(arp, &target))
        return LBDSR_NOT_OURS;
    __builtin_memcpy(ethernet->h_dest, arp->sender_mac, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, lbdsr_data.mac, ETH_ALEN);
    arp->operation = bpf_htons(2);
    __builtin_memcpy(arp->target_mac, arp->sender_mac, ETH_ALEN);
    __builtin_memcpy(arp->target, arp->sender, 4);
    __builtin_memcpy(arp->sender_mac, lbdsr_data.mac, ETH_ALEN);
    __builtin_memcpy(arp->sender, &target.v4, 4);
    return LBDSR_ANSWERED;
}

/* An echo of a VIP that has no service for it: there is somebody. The addresses change places, which no sum minds. */
PCN_INLINE __u32 lbdsr_echo(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    bool v4 = packet->ip_version == 4;
    __u8 *ip;
    struct ethhdr *ethernet;
    __u16 *icmp, type;
    __u8 mac[ETH_ALEN];

    ethernet = pcn_header(ctx, sizeof(*ethernet));
    ip = (__u8 *)pcn_parse_at(ctx, packet->l3_offset, sizeof(struct ipv6hdr));
    icmp = (__u16 *)pcn_parse_at(ctx, packet->l4_offset, 8);
    if (!ethernet || !ip || !icmp || packet->fragment != PCN_FRAGMENT_NONE)
        return LBDSR_BAD;
    __builtin_memcpy(mac, ethernet->h_dest, ETH_ALEN);
    __builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
    if (v4) {
        *(__u32 *)(ip + 12) = packet->destination.v4;
        *(__u32 *)(ip + 16) = packet->source.v4;
    } else {
        __builtin_memcpy(ip + 8, &packet->destination, 16);
        __builtin_memcpy(ip + 24, &packet->source, 16);
    }
    type = (icmp[0] & bpf_htons(0xff)) | (v4 ? 0 : bpf_htons(129 << 8));
    icmp[1] = pcn_csum_replace16(icmp[1], icmp[0], type);
    icmp[0] = type;
    return LBDSR_ANSWERED;
}

/* Of a flow that an ICMP error quotes, which the backend sent: its ends as the client's packets have them. */
PCN_INLINE __u32 lbdsr_quoted(const union pcn_address *client, const union pcn_address *vip, __u32 ports, __u8 protocol,
                              __u8 version)
{
    __u32 tenant = lbdsr_tenant(pcn_packet_get()), backend;
    __u32 number = lbdsr_vip_closest(vip, ports, protocol, version, tenant);
    __u64 seed = lbdsr_seed(tenant), hash;
    const struct lbdsr_vip *service;

    service = lbdsr_vip_at(number);
    if (!service)
        return LBDSR_NOT_OURS;
    hash = lbdsr_flow_hash(lbdsr_address_hash(client, version, seed), lbdsr_address_hash(vip, version, seed), ports,
                           protocol, seed);
    backend = lbdsr_flow_anywhere(hash);
    return backend ? backend : lbdsr_choose(service, lbdsr_table_of(service), client, hash);
}

PCN_INLINE __u32 lbdsr_error4(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    __u32 offset = packet->l4_offset + 8, ports = 0;
    const struct iphdr *ip = pcn_parse_at(ctx, offset, sizeof(*ip));
    union pcn_address client = {.v6 = {}}, vip = {.v6 = {}};
    const __u16 *l4;
    __u8 protocol;

    if (!ip || ip->version != 4 || ip->ihl < 5 || ip->frag_off & bpf_htons(0x1fff))
        return LBDSR_NOT_OURS;
    client.v4 = ip->daddr;
    vip.v4 = ip->saddr;
    protocol = ip->protocol;
    if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP) {
        l4 = pcn_parse_at(ctx, offset + ip->ihl * 4, 4);
        if (!l4)
            return LBDSR_NOT_OURS;
        ports = (__u32)l4[0] << 16 | l4[1];
    }
    return vip.v4 == packet->destination.v4 ? lbdsr_quoted(&client, &vip, ports, protocol, 4) : LBDSR_NOT_OURS;
}

PCN_INLINE __u32 lbdsr_error6(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    __u32 offset = packet->l4_offset + 8, ports = 0;
    const struct ipv6hdr *ip = pcn_parse_at(ctx, offset, sizeof(*ip) + 4);
    union pcn_address client, vip;
    const __u16 *l4;
    __u8 protocol;

    if (!ip || ip->version != 6)
        return LBDSR_NOT_OURS;
    __builtin_memcpy(&client, &ip->daddr, sizeof(client));
    __builtin_memcpy(&vip, &ip->saddr, sizeof(vip));
    protocol = ip->nexthdr;
    l4 = (const __u16 *)(ip + 1);
    if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP)
        ports = (__u32)l4[0] << 16 | l4[1];
    return lbdsr_quoted(&client, &vip, ports, protocol, 6);
}

PCN_INLINE __u32 lbdsr_solicited(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    const __u8 *icmp = pcn_parse_at(ctx, packet->l4_offset, 24);
    union pcn_address target;

    if (!icmp)
        return LBDSR_NOT_OURS;
    __builtin_memcpy(&target, icmp + 8, sizeof(target));
    return lbdsr_is_vip(&target, 6) ? LBDSR_SOLICITED : LBDSR_NOT_OURS;
}

PCN_INLINE bool lbdsr_is_error(__u8 version, __u8 type)
{
    return version == 4 ? type == 3 || type == 4 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

/* ICMP of either version: a backend's number, or what else to do. */
__noinline __u32 lbdsr_icmp(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();
    __u8 type = packet->icmp_type;
    bool v4 = packet->ip_version == 4;

    if (packet->fragment == PCN_FRAGMENT_LATER)
        return LBDSR_AS_FLOW;
    if (!v4 && type == 135)
        return lbdsr_solicited(ctx, packet);
    if (!lbdsr_is_vip(&packet->destination, packet->ip_version))
        return LBDSR_NOT_OURS;
    if (lbdsr_is_error(packet->ip_version, type))
        return v4 ? lbdsr_error4(ctx, packet) : lbdsr_error6(ctx, packet);
    if (lbdsr_vip_closest(&packet->destination, 0, packet->l4_protocol, packet->ip_version, lbdsr_tenant(packet)))
        return LBDSR_AS_FLOW;
    return type == (v4 ? 8 : 128) ? lbdsr_echo(ctx, packet) : LBDSR_NOT_OURS;
}

/* ---- fragments ---- */

/* IPv6: the fragment header is behind at most PCN_EXTENSIONS_MAX others, which the parser has gone through. */
PCN_INLINE __u64 lbdsr_fragment_hash6(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    const struct ipv6hdr *ip = pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));
    __u64 offset = packet->l3_offset + sizeof(*ip), seed = lbdsr_seed(lbdsr_tenant(packet));
    __u8 next = ip ? ip->nexthdr : IPPROTO_NONE;

#pragma clang loop unroll(disable)
    for (int i = 0; i < PCN_EXTENSIONS_MAX; i++) {
        const __u8 *header = pcn_parse_at(ctx, offset, 8);

        if (!header)
            return 0;
        if (next == IPPROTO_FRAGMENT)
            return lbdsr_flow_hash(lbdsr_address_hash(&packet->source, 6, seed),
                                   lbdsr_address_hash(&packet->destination, 6, seed), *(const __u32 *)(header + 4),
                                   0x100, seed);
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
            return 0;
        next = header[0];
        offset += (header[1] + 1) * 8;
        PCN_FORGET(offset, packet->source.v6[0]);
    }
    return 0;
}

/* What they have in common; 0: it is not known. */
PCN_INLINE __u64 lbdsr_fragment_hash(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    const struct iphdr *ip = pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));

    if (packet->ip_version == 6)
        return lbdsr_fragment_hash6(ctx, packet);
    if (!ip)
        return 0;
    return lbdsr_flow_hash(ip->saddr, ip->daddr, ip->id, 0x100 | ip->protocol, lbdsr_seed(lbdsr_tenant(packet)));
}

/* The first one, which has ports: the others are to follow it. */
__noinline __u32 lbdsr_fragment_first(struct pcn_ctx *ctx, __u32 number)
{
    __u64 hash = lbdsr_fragment_hash(ctx, pcn_packet_get());
    const struct lbdsr_target *backend = lbdsr_backend_at(number);
    __u32 cpu = bpf_get_smp_processor_id(), word;
    struct lbdsr_flow *flow;

    if (!hash || !backend)
        return 0;
    word = lbdsr_flow_word(number, backend->epoch, LBDSR_NEW);
    flow = lbdsr_flow_find(cpu, hash);
    if (!flow)
        return lbdsr_flow_new(cpu, hash, word);
    flow->word = word;
    flow->seen = pcn_now();
    return 1;
}

__noinline __u32 lbdsr_fragment_later(struct pcn_ctx *ctx)
{
    struct pcn_packet *packet = pcn_packet_get();
    __u64 hash = lbdsr_fragment_hash(ctx, packet);
    struct lbdsr_flow *flow;
    __u32 backend;

    if (!lbdsr_is_vip(&packet->destination, packet->ip_version))
        return LBDSR_NOT_OURS;
    flow = hash ? lbdsr_flow_find(bpf_get_smp_processor_id(), hash) : NULL;
    backend =
        flow && (__u32)pcn_now() - flow->seen <= PCN_READ_ONCE(lbdsr_data.timeout) ? lbdsr_flow_backend(flow->word) : 0;
    if (backend)
        return backend;
    /* An outer packet that was cut up is nobody's: its later pieces go where the first one did. */
    return lbdsr_is_tunnel(&packet->destination, packet->ip_version) && !*lbdsr_segment_now() ? LBDSR_NOT_OURS
                                                                                              : LBDSR_BAD;
}
