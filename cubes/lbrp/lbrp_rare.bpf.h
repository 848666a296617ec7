/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is no packet of a session: who has an address of ours, ICMP errors, the other side's port. */
#pragma once
#include "lbrp_session.bpf.h"
#include <pcn/rewrite_error.bpf.h>

struct lbrp_arp {
    struct ethhdr ethernet;
    __u16 hardware, protocol;
    __u8 hardware_length, protocol_length;
    __u16 operation;
    __u8 sender_mac[ETH_ALEN];
    __u8 sender[4];
    __u8 target_mac[ETH_ALEN];
    __u8 target[4];
} __attribute__((packed));

/* What becomes of a packet; or the id of a port + LBRP_TO_PORT. */
enum lbrp_said {
    LBRP_NOT_OURS,  /* to the other side */
    LBRP_ANSWERED,  /* back */
    LBRP_SOLICITED, /* user space answers */
    LBRP_TO_PORT = 0x10000,
};

PCN_INLINE bool lbrp_is_ours(const union pcn_address *address, __u8 version, bool from_back)
{
    return lbrp_find_address(address, from_back ? LBRP_POOL : LBRP_ADDRESS, version) == LBRP_IS_OURS;
}

/* A request for an address of ours is answered; of others, MULTI: to whom they are for. */
__noinline __u32 lbrp_arp(struct pcn_ctx *ctx, bool from_back)
{
    struct pcn_packet *packet = pcn_packet_get();
    union pcn_address target = {.v6 = {}};
    struct lbrp_arp *arp;
    __u32 port;

    if (packet->l3_offset != sizeof(struct ethhdr))
        return LBRP_NOT_OURS;
    arp = pcn_header(ctx, sizeof(*arp));
    if (!arp || arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) || arp->hardware_length != 6 ||
        arp->protocol_length != 4)
        return LBRP_NOT_OURS;
    __builtin_memcpy(&target.v4, arp->target, 4);
    if (arp->operation != bpf_htons(1) || !lbrp_is_ours(&target, 4, from_back)) {
        port = from_back ? lbrp_find_address(&target, LBRP_PORT, 4) : 0;
        return port ? LBRP_TO_PORT + port - 1 : LBRP_NOT_OURS;
    }
    __builtin_memcpy(arp->ethernet.h_dest, arp->sender_mac, ETH_ALEN);
    __builtin_memcpy(arp->ethernet.h_source, lbrp_data.mac, ETH_ALEN);
    arp->operation = bpf_htons(2);
    __builtin_memcpy(arp->target_mac, arp->sender_mac, ETH_ALEN);
    __builtin_memcpy(arp->target, arp->sender, 4);
    __builtin_memcpy(arp->sender_mac, lbrp_data.mac, ETH_ALEN);
    __builtin_memcpy(arp->sender, &target.v4, 4);
    return LBRP_ANSWERED;
}

PCN_INLINE bool lbrp_to_us(struct pcn_ctx *ctx)
{
    const struct ethhdr *ethernet = pcn_header(ctx, sizeof(*ethernet));

    return ethernet && *(const __u32 *)ethernet->h_dest == *(const __u32 *)lbrp_data.mac &&
           *(const __u16 *)(ethernet->h_dest + 4) == *(const __u16 *)(lbrp_data.mac + 4);
}

/* An echo that is sent to our MAC, and for an address that has no service for it: there is somebody. */
PCN_INLINE __u32 lbrp_echo(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    struct ethhdr *ethernet;
    struct iphdr *ip;
    __u16 *icmp;

    if (packet->fragment != PCN_FRAGMENT_NONE || !lbrp_to_us(ctx) ||
        !lbrp_find_address(&packet->destination, LBRP_ADDRESS, 4))
        return LBRP_NOT_OURS;
    ethernet = pcn_header(ctx, sizeof(*ethernet));
    ip = (struct iphdr *)pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));
    icmp = (__u16 *)pcn_parse_at(ctx, packet->l4_offset, 8);
    if (!ethernet || !ip || !icmp)
        return LBRP_NOT_OURS;
    __builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, lbrp_data.mac, ETH_ALEN);
    ip->saddr = packet->destination.v4;
    ip->daddr = packet->source.v4;
    icmp[1] = pcn_csum_replace16(icmp[1], icmp[0], icmp[0] & ~bpf_htons(0xff00));
    icmp[0] &= ~bpf_htons(0xff00);
    return LBRP_ANSWERED;
}

/* IP that no session has, and that opens none. */
__noinline __u32 lbrp_other(struct pcn_ctx *ctx, bool from_back)
{
    struct pcn_packet *packet = pcn_packet_get();
    const __u8 *icmp;
    union pcn_address target;
    __u32 port;

    if (packet->l4_protocol == IPPROTO_ICMPV6 && packet->icmp_type == 135) {
        icmp = pcn_header_at(ctx, packet->l4_offset, 24);
        if (!icmp)
            return LBRP_NOT_OURS;
        __builtin_memcpy(&target, icmp + 8, sizeof(target));
        if (lbrp_is_ours(&target, 6, from_back))
            return LBRP_SOLICITED;
    }
    if (!from_back && packet->l4_protocol == IPPROTO_ICMP && packet->icmp_type == 8)
        return lbrp_echo(ctx, packet);
    port = from_back ? lbrp_find_address(&packet->destination, LBRP_PORT, packet->ip_version) : 0;
    return port ? LBRP_TO_PORT + port - 1 : LBRP_NOT_OURS;
}

/* ---- ICMP errors ---- */

/*
 * An error about the session of a slot: 0, or the reason to drop it. It quotes what went the other way: from the VIP to
 * the client, or from the client to the backend; and comes from whom it is about, as far as the other side is to know.
 */
__noinline __u32 lbrp_error(struct pcn_ctx *ctx, __u32 slot, bool reply)
{
    struct pcn_packet *packet = pcn_packet_get();
    struct pcn_error_change change = {};

    pcn_ct_side_at(pcn_ct_other_of(slot), !reply, &change.source);
    pcn_ct_side_at(pcn_ct_other_of(slot), reply, &change.destination);
    change.outer_destination = change.source;
    /* Who is on the clients' side may be known to backends, unless clients are not. */
    pcn_ct_address_at(slot, false, &change.outer_source.to);
    if (!reply && pcn_ct_same_address(&change.outer_source.to, &change.destination.to))
        change.outer_source.to = packet->source;
    else
        change.outer_source = change.destination;
    if (packet->ip_version == 6)
        return pcn_rewrite_error(ctx, packet, &change, 6) ? 0 : PCN_DROP_MALFORMED;
    return pcn_rewrite_error(ctx, packet, &change, 4) ? 0 : PCN_DROP_MALFORMED;
}
