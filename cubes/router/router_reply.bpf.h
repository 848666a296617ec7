/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the router answers itself, by turning the packet round: ARP requests,
 * neighbour solicitations, echo requests. What it cannot answer so, or has to learn
 * from, goes to user space.
 */
#pragma once
#include "router_tables.bpf.h"
#include <pcn/csum.bpf.h>
#include <pcn/parse.bpf.h>

#define ROUTER_ANSWER_TTL 64

/* Of either version: <linux/icmp.h> needs the C library. */
struct router_icmp {
    __u8 type;
    __u8 code;
    __u16 checksum;
    __u32 rest;
};

enum router_icmp_type {
    ROUTER_ECHO4_REPLY = 0,
    ROUTER_ECHO4_REQUEST = 8,
    ROUTER_ECHO6_REQUEST = 128,
    ROUTER_ECHO6_REPLY = 129,
};

/* MAC addresses as they stand in an Ethernet header. Eight bytes, of which two are the next field's. */
PCN_INLINE __u64 router_mac_read(const void *mac)
{
    return *(const __u64 *)mac & ROUTER_MAC;
}

/* The same by loads that stay within the field: where nothing follows, or the next field was just written. */
PCN_INLINE __u64 router_mac_read_last(const void *mac)
{
    return *(const __u32 *)mac | (__u64) * (const __u16 *)(mac + 4) << 32;
}

PCN_INLINE void router_macs_write(struct ethhdr *eth, __u64 destination, __u64 source)
{
    *(__u64 *)eth = destination | source << 48;
    *(__u32 *)((void *)eth + 8) = source >> 16;
}

PCN_INLINE void router_mac_copy(void *to, __u64 mac)
{
    *(__u32 *)to = mac;
    *(__u16 *)(to + 4) = mac >> 32;
}

PCN_INLINE enum pcn_verdict router_host_or_drop(struct pcn_packet *packet, __u16 reason)
{
    return pcn_identity.shadow ? PCN_HOST : pcn_drop(packet, reason);
}

/* What a global function said, so that the compiler knows which verdicts there are. */
PCN_INLINE enum pcn_verdict router_verdict(int verdict)
{
    if (verdict == PCN_REPLY || verdict == PCN_HOST || verdict == PCN_DROP)
        return verdict;
    return PCN_SLOW_PATH;
}

/* Of someone the router did not ask for: the shadow namespace did. */
PCN_INLINE bool router_is_hosts(__u32 neighbour)
{
    return pcn_identity.shadow && !neighbour;
}

/* ---- ARP ---- */

struct router_arp {
    __u16 hardware;
    __u16 protocol;
    __u8 hardware_length;
    __u8 protocol_length;
    __u16 operation;
    __u8 sender_mac[6];
    __u32 sender;
    __u8 target_mac[6];
    __u32 target;
} __attribute__((packed));

#define ROUTER_ARP_REQUEST 1
#define ROUTER_ARP_REPLY 2

PCN_INLINE bool router_arp_is_valid(const struct router_arp *arp)
{
    return arp->hardware == bpf_htons(1) && arp->protocol == bpf_htons(ETH_P_IP) && arp->hardware_length == 6 &&
           arp->protocol_length == 4 && !(arp->sender_mac[0] & 1);
}

PCN_INLINE enum pcn_verdict router_arp_answer(struct ethhdr *eth, struct router_arp *arp,
                                              const struct router_port *port)
{
    __u64 mac = PCN_READ_ONCE(port->mac), sender = router_mac_read(arp->sender_mac);
    __u32 target = arp->target;

    arp->operation = bpf_htons(ROUTER_ARP_REPLY);
    router_mac_copy(arp->target_mac, sender);
    arp->target = arp->sender;
    router_mac_copy(arp->sender_mac, mac);
    arp->sender = target;
    router_macs_write(eth, router_mac_read(eth->h_source), mac);
    return PCN_REPLY;
}

/*
 * A request for an address of the port is answered if there is nothing to learn from it; a request of
 * someone who is known by another MAC, whatever it asks for, is looked at by user space.
 */
__noinline int router_arp(struct pcn_ctx *ctx)
{
    struct ethhdr *eth = pcn_header(ctx, sizeof(*eth) + sizeof(struct router_arp));
    struct router_arp *arp = (void *)(eth + 1);
    struct pcn_packet *packet = pcn_packet_get();
    union pcn_address sender = {};
    struct router_hop hop;
    __u32 neighbour;
    bool known;

    if (!packet)
        return PCN_DROP;
    if (!eth || !router_arp_is_valid(arp))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    sender.v4 = arp->sender;
    neighbour = sender.v4 ? router_neighbour_find(&sender, packet->port, 4) : 0;
    known = router_is_known(neighbour, router_mac_read(arp->sender_mac));
    if (arp->operation == bpf_htons(ROUTER_ARP_REPLY)) {
        if (known || router_is_hosts(neighbour))
            return router_host_or_drop(packet, ROUTER_DROP_NOT_ASKED);
        return pcn_slow_path(packet, ROUTER_SLOW_ARP, neighbour, 0, 0);
    }
    if (arp->operation != bpf_htons(ROUTER_ARP_REQUEST))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    hop = router_hop_at(router_find4(arp->target));
    if (hop.kind == ROUTER_HOP_LOCAL && hop.port == packet->port) {
        if (known || !sender.v4)
            return router_arp_answer(eth, arp, router_port_at(packet->port));
        return pcn_slow_path(packet, ROUTER_SLOW_ARP, neighbour, 1, 0);
    }
    if (neighbour && !known)
        return pcn_slow_path(packet, ROUTER_SLOW_ARP, neighbour, 0, 0);
    return pcn_drop(packet, ROUTER_DROP_NOT_ASKED);
}

/* ---- neighbour discovery ---- */

/* The form that hosts use: one option, with the link-layer address. Others are left to user space. */
struct router_nd {
    struct ethhdr eth;
    struct ipv6hdr ip;
    __u8 type;
    __u8 code;
    __u16 checksum;
    __u32 flags;
    __u32 target[4];
    __u8 option;
    __u8 option_length;
    __u8 mac[6];
} __attribute__((packed));

#define ROUTER_ND_SOLICITATION 135
#define ROUTER_ND_ADVERTISEMENT 136
#define ROUTER_ND_SIZE 24          /* without options */
#define ROUTER_ND_FLAGS 0xe0000000 /* router, solicited, override */
#define ROUTER_ND_SOURCE_MAC 1
#define ROUTER_ND_TARGET_MAC 2

/* The sum that a right checksum makes 0xffff: addresses, length, protocol, message. */
PCN_INLINE __u16 router_nd_sum(const struct router_nd *nd)
{
    const __u32 *words = (const void *)&nd->ip.saddr;
    __u64 sum = bpf_htons(sizeof(*nd) - offsetof(struct router_nd, type)) + bpf_htons(IPPROTO_ICMPV6);

#pragma unroll
    for (unsigned int i = 0; i < (sizeof(*nd) - offsetof(struct router_nd, ip.saddr)) / 4; i++)
        sum += words[i];
    return pcn_csum_fold(sum);
}

PCN_INLINE bool router_same_address(const union pcn_address *a, const __u32 b[4])
{
    return a->v6[0] == b[0] && a->v6[1] == b[1] && a->v6[2] == b[2] && a->v6[3] == b[3];
}

/* Whether it is an address of the port: link-local ones stand in the port, others in the FIB. */
PCN_INLINE bool router_is_own6(const struct pcn_packet *packet, const union pcn_address *address,
                               const struct router_port *port)
{
    struct router_hop hop;

    if (router_same_address(address, port->link_local))
        return true;
    hop = router_hop_at(router_find6(address));
    return hop.kind == ROUTER_HOP_LOCAL && hop.port == packet->port;
}

PCN_INLINE enum pcn_verdict router_nd_answer(struct pcn_packet *packet, struct router_nd *nd,
                                             const struct router_port *port)
{
    __u64 mac = PCN_READ_ONCE(port->mac);

    nd->type = ROUTER_ND_ADVERTISEMENT;
    nd->flags = bpf_htonl(ROUTER_ND_FLAGS);
    nd->option = ROUTER_ND_TARGET_MAC;
    router_mac_copy(nd->mac, mac);
    __builtin_memcpy(&nd->ip.daddr, &nd->ip.saddr, 16);
    __builtin_memcpy(&nd->ip.saddr, nd->target, 16);
    nd->checksum = 0;
    nd->checksum = ~router_nd_sum(nd);
    router_macs_write(&nd->eth, router_mac_read(nd->eth.h_source), mac);
    pcn_packet_invalidate(packet);
    return PCN_REPLY;
}

PCN_INLINE enum pcn_verdict router_solicitation(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                                const struct router_port *port)
{
    struct router_nd *nd = pcn_header(ctx, offsetof(struct router_nd, option));
    union pcn_address target, source;
    __u32 neighbour;

    if (!nd)
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    __builtin_memcpy(&target, nd->target, 16);
    if (!router_is_own6(packet, &target, port))
        return pcn_drop(packet, ROUTER_DROP_NOT_ASKED);
    /* From someone who has no address yet, or in another form. */
    nd = pcn_header(ctx, sizeof(*nd));
    if (!nd || nd->ip.payload_len != bpf_htons(sizeof(*nd) - offsetof(struct router_nd, type)) ||
        nd->option != ROUTER_ND_SOURCE_MAC || nd->option_length != 1)
        return pcn_slow_path(packet, ROUTER_SLOW_ND, 0, 0, 0);
    __builtin_memcpy(&source, &nd->ip.saddr, 16);
    neighbour = router_neighbour_find(&source, packet->port, 6);
    if (!router_is_known(neighbour, router_mac_read_last(nd->mac)))
        return pcn_slow_path(packet, ROUTER_SLOW_ND, neighbour, 0, 0);
    if (router_nd_sum(nd) != 0xffff)
        return pcn_drop(packet, ROUTER_DROP_BAD_CHECKSUM);
    return router_nd_answer(packet, nd, port);
}

PCN_INLINE enum pcn_verdict router_advertisement(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    struct router_nd *nd = pcn_header(ctx, sizeof(*nd));
    union pcn_address target;
    __u32 neighbour;

    if (!nd || nd->option != ROUTER_ND_TARGET_MAC || nd->option_length != 1)
        return pcn_slow_path(packet, ROUTER_SLOW_ND, 0, 0, 0);
    __builtin_memcpy(&target, nd->target, 16);
    neighbour = router_neighbour_find(&target, packet->port, 6);
    if (router_is_known(neighbour, router_mac_read_last(nd->mac)) || router_is_hosts(neighbour))
        return router_host_or_drop(packet, ROUTER_DROP_NOT_ASKED);
    return pcn_slow_path(packet, ROUTER_SLOW_ND, neighbour, 0, 0);
}

/* ---- echo ---- */

PCN_INLINE enum pcn_verdict router_echo4(struct pcn_packet *packet, struct ethhdr *eth, struct router_icmp *icmp,
                                         const struct router_port *port)
{
    struct iphdr *ip = (void *)(eth + 1);
    __u16 *ttl = (__u16 *)&ip->ttl, before = *ttl;
    __u32 source = ip->saddr;

    /* The sum does not change when two of its words change places. */
    ip->saddr = ip->daddr;
    ip->daddr = source;
    ip->ttl = ROUTER_ANSWER_TTL;
    ip->check = pcn_csum_replace16(ip->check, before, *ttl);
    icmp->type = ROUTER_ECHO4_REPLY;
    icmp->checksum =
        pcn_csum_replace16(icmp->checksum, bpf_htons(ROUTER_ECHO4_REQUEST << 8), bpf_htons(ROUTER_ECHO4_REPLY << 8));
    router_macs_write(eth, router_mac_read(eth->h_source), PCN_READ_ONCE(port->mac));
    pcn_packet_invalidate(packet);
    return PCN_REPLY;
}

PCN_INLINE enum pcn_verdict router_echo6(struct pcn_packet *packet, struct ethhdr *eth, struct router_icmp *icmp,
                                         const struct router_port *port)
{
    struct ipv6hdr *ip = (void *)(eth + 1);
    struct in6_addr source = ip->saddr;

    ip->saddr = ip->daddr;
    ip->daddr = source;
    ip->hop_limit = ROUTER_ANSWER_TTL;
    icmp->type = ROUTER_ECHO6_REPLY;
    icmp->checksum =
        pcn_csum_replace16(icmp->checksum, bpf_htons(ROUTER_ECHO6_REQUEST << 8), bpf_htons(ROUTER_ECHO6_REPLY << 8));
    router_macs_write(eth, router_mac_read(eth->h_source), PCN_READ_ONCE(port->mac));
    pcn_packet_invalidate(packet);
    return PCN_REPLY;
}
