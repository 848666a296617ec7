/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A router for IPv4 and IPv6.
 *
 * What it holds to where a router has a choice:
 *  - Ports are untagged: a frame with a VLAN tag is dropped.
 *  - The checksum of every IPv4 header is verified; those of the transport are not.
 *  - IPv4 options are carried along and not acted on: source routes are not followed.
 *  - IPv4 sources and destinations in 0/8, 127/8 and from 224.0.0.0 on are dropped; IPv6: sources that are
 *    groups, unspecified, loopback; destinations likewise. IPv6 link-local packets are not forwarded.
 *  - Groups and broadcasts are dropped; with a shadow namespace they go there.
 *  - A packet may leave by the port it came in by; nobody is told of the shorter way (no redirects).
 *  - ICMP errors are made by user space.
 */
#include "router_reply.bpf.h"

/* A packet on its way out. */
struct router_way {
    __u32 neighbour; /* number; 0: unknown */
    __u32 number;    /* of the hop */
    __u32 length;    /* bytes of the IP packet */
    __u16 port;
    __u8 version;
};

/* Bytes of a segment, its headers included; header: bytes of the IP header. */
PCN_INLINE __u32 router_segment_length(struct pcn_ctx *ctx, __u32 header, __u8 protocol)
{
    __u32 segment = pcn_segment_size(ctx);
    const __u8 *tcp;

    if (protocol != IPPROTO_TCP)
        return header + 8 + segment;
    tcp = pcn_parse_at(ctx, sizeof(struct ethhdr) + header, 20);
    return header + (tcp ? tcp[12] >> 4 << 2 : 20) + segment;
}

/* ECMP: one of a group's hops, the same for all packets of a flow; fragments go by their addresses. */
PCN_INLINE struct router_hop router_choose(struct router_hop group, __u64 hash, __u32 *ret_number)
{
    hash = (hash ^ router_data.seed) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93ull;
    *ret_number = group.index + (__u32)((hash >> 32) * group.count >> 32);
    return router_hop_at(*ret_number);
}

PCN_INLINE bool router_has_ports(__u8 protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* With the port's MTU and the neighbour's MAC: 0 and out of `way->port`, or says what else is to become of it. */
PCN_INLINE bool router_macs(struct pcn_packet *packet, struct ethhdr *eth, const struct router_port *out,
                            const struct router_way *way)
{
    struct router_neighbour *neighbour = router_neighbour_at(way->neighbour);
    __u64 link, now = pcn_now();

    if (pcn_unlikely(!neighbour))
        return false;
    link = PCN_READ_ONCE(neighbour->link);
    if (pcn_unlikely(router_link_state(link) < ROUTER_NEIGHBOUR_REACHABLE))
        return false;
    router_macs_write(eth, link & ROUTER_MAC, PCN_READ_ONCE(out->mac));
    if (pcn_unlikely(now - PCN_READ_ONCE(neighbour->used) >= PCN_READ_ONCE(router_data.refresh)) &&
        !pcn_identity.dry_run)
        PCN_WRITE_ONCE(neighbour->used, now);
    return true;
}

PCN_INLINE enum pcn_verdict router_unresolved(struct pcn_packet *packet, const struct router_way *way)
{
    return pcn_slow_path(packet, ROUTER_SLOW_NEIGHBOUR, way->port, way->neighbour, way->number);
}

/* What becomes of a packet that is not forwarded, nor local. */
PCN_INLINE enum pcn_verdict router_not_forwarded(struct pcn_packet *packet, __u8 kind)
{
    if (kind == ROUTER_HOP_BLACKHOLE)
        return pcn_drop(packet, ROUTER_DROP_BLACKHOLE);
    if (kind == ROUTER_HOP_BROADCAST)
        return router_host_or_drop(packet, ROUTER_DROP_MULTICAST);
    return pcn_slow_path(packet, ROUTER_SLOW_NO_ROUTE, kind, 0, 0);
}

/* ---- IPv4 ---- */

PCN_INLINE bool router_is_martian4(__u32 address)
{
    __u8 first = address;

    return !first || first >= 224 || first == 127;
}

/* The checksum of a header with options. */
PCN_INLINE bool router_options_ok(struct pcn_ctx *ctx, __u32 words)
{
    __u64 sum = 0;

    for (__u32 i = 0; i < 15 && i < words; i++) {
        const __u32 *word = pcn_parse_at(ctx, sizeof(struct ethhdr) + 4 * i, 4);

        if (!word)
            return false;
        sum += *word;
    }
    return pcn_csum_fold(sum) == 0xffff;
}

PCN_INLINE enum pcn_verdict router_local4(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 header,
                                          const struct router_port *port)
{
    struct router_icmp *icmp;
    struct ethhdr *eth;
    struct iphdr *ip;

    if (pcn_identity.shadow)
        return PCN_HOST;
    /* Moves the ICMP header to where it can be read, and with it all before. */
    if (!pcn_header_at(ctx, sizeof(*eth) + header, sizeof(*icmp)))
        return pcn_slow_path(packet, ROUTER_SLOW_LOCAL, 0, 0, 0);
    eth = pcn_header(ctx, sizeof(*eth) + sizeof(*ip));
    icmp = (void *)pcn_parse_at(ctx, sizeof(*eth) + header, sizeof(*icmp));
    if (!eth || !icmp)
        return pcn_slow_path(packet, ROUTER_SLOW_LOCAL, 0, 0, 0);
    ip = (void *)(eth + 1);
    if (ip->protocol == IPPROTO_ICMP && icmp->type == ROUTER_ECHO4_REQUEST && !icmp->code &&
        !(ip->frag_off & bpf_htons(0x3fff)) && bpf_ntohs(ip->tot_len) >= header + sizeof(*icmp))
        return router_echo4(packet, eth, icmp, port);
    return pcn_slow_path(packet, ROUTER_SLOW_LOCAL, 0, 0, 0);
}

/* Resolves CONNECTED, GATEWAY and ECMP; *hop is what was chosen. */
PCN_INLINE void router_way4(struct pcn_ctx *ctx, const struct iphdr *ip, struct router_hop *hop, struct router_way *way)
{
    union pcn_address destination = {.v6 = {ip->daddr}};

    if (pcn_unlikely(hop->kind == ROUTER_HOP_ECMP)) {
        __u64 hash = (__u64)ip->saddr << 32 | ip->daddr;

        if (router_has_ports(ip->protocol) && !(ip->frag_off & bpf_htons(0x3fff))) {
            const __u32 *ports = pcn_parse_at(ctx, sizeof(struct ethhdr) + ip->ihl * 4, 4);

            if (ports)
                hash = (hash ^ *ports) * 0x9e3779b97f4a7c15ull + ip->protocol;
        }
        *hop = router_choose(*hop, hash, &way->number);
    }
    way->port = hop->port;
    if (hop->kind == ROUTER_HOP_GATEWAY)
        way->neighbour = hop->index;
    else if (hop->kind == ROUTER_HOP_CONNECTED)
        way->neighbour = router_neighbour_find(&destination, hop->port, 4);
}

PCN_INLINE enum pcn_verdict router_forward4(struct pcn_ctx *ctx, struct pcn_packet *packet, struct ethhdr *eth,
                                            struct router_way *way)
{
    struct iphdr *ip = (void *)(eth + 1);
    const struct router_port *out = router_port_at(way->port);

    if (pcn_unlikely(ip->ttl <= 1))
        return pcn_slow_path(packet, ROUTER_SLOW_TTL, 0, 0, 0);
    if (pcn_unlikely(way->length > PCN_READ_ONCE(out->mtu)) &&
        (!pcn_segment_size(ctx) || router_segment_length(ctx, ip->ihl * 4, ip->protocol) > PCN_READ_ONCE(out->mtu))) {
        if (ip->frag_off & bpf_htons(0x4000))
            return pcn_slow_path(packet, ROUTER_SLOW_TOO_BIG, PCN_READ_ONCE(out->mtu), way->port, 0);
        return pcn_slow_path(packet, ROUTER_SLOW_FRAGMENT, PCN_READ_ONCE(out->mtu), way->port, way->neighbour);
    }
    if (pcn_unlikely(!router_macs(packet, eth, out, way)))
        return router_unresolved(packet, way);
    pcn_ipv4_decrement_ttl(ip);
    packet->ttl = ip->ttl;
    return pcn_redirect(packet, way->port);
}

PCN_INLINE enum pcn_verdict router_ipv4(struct pcn_ctx *ctx, struct pcn_packet *packet, struct ethhdr *eth,
                                        const struct router_port *port)
{
    struct iphdr *ip = (void *)(eth + 1);
    struct router_way way = {.version = 4};
    __u32 frame = pcn_length(ctx) - sizeof(*eth), header = ip->ihl * 4;
    struct router_hop hop;

    way.length = bpf_ntohs(ip->tot_len);
    /* A GSO packet over 64 KB says 0. */
    if (pcn_unlikely(!way.length) && pcn_segment_size(ctx))
        way.length = frame;
    if (pcn_unlikely(ip->version != 4 || header < sizeof(*ip) || way.length < header || way.length > frame))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    if (pcn_unlikely(header > sizeof(*ip))) {
        if (!pcn_header_at(ctx, sizeof(*eth), header))
            return pcn_drop(packet, PCN_DROP_MALFORMED);
        eth = pcn_header(ctx, sizeof(*eth) + sizeof(*ip));
        if (!eth)
            return pcn_drop(packet, PCN_DROP_MALFORMED);
        ip = (void *)(eth + 1);
        if (!router_options_ok(ctx, header / 4))
            return pcn_drop(packet, ROUTER_DROP_BAD_CHECKSUM);
    } else if (pcn_unlikely(!pcn_csum_ipv4_ok(ip))) {
        return pcn_drop(packet, ROUTER_DROP_BAD_CHECKSUM);
    }
    if (pcn_unlikely(router_is_martian4(ip->saddr)))
        return router_host_or_drop(packet, ROUTER_DROP_BAD_SOURCE);
    if (pcn_unlikely(router_is_martian4(ip->daddr)))
        return pcn_drop(packet, ROUTER_DROP_BAD_DESTINATION);
    way.number = router_find4(ip->daddr);
    hop = router_hop_at(way.number);
    router_way4(ctx, ip, &hop, &way);
    if (pcn_likely(hop.kind == ROUTER_HOP_GATEWAY || hop.kind == ROUTER_HOP_CONNECTED))
        return router_forward4(ctx, packet, eth, &way);
    if (hop.kind == ROUTER_HOP_LOCAL)
        return router_local4(ctx, packet, header, port);
    return router_not_forwarded(packet, hop.kind);
}

/* ---- IPv6 ---- */

/* Both have the upper 10 bits of fe80::. */
PCN_INLINE bool router_is_link_local(const union pcn_address *address)
{
    return (address->v6[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* :: and ::1, and groups */
PCN_INLINE bool router_is_martian6(const union pcn_address *address)
{
    if ((__u8)address->v6[0] == 0xff)
        return true;
    return !address->v6[0] && !address->v6[1] && !address->v6[2] && !(address->v6[3] & ~bpf_htonl(1));
}

/* Neighbour discovery, unicast or to a group. */
PCN_INLINE bool router_is_nd(const struct ipv6hdr *ip, const __u8 *icmp)
{
    return ip->nexthdr == IPPROTO_ICMPV6 && (icmp[0] == ROUTER_ND_SOLICITATION || icmp[0] == ROUTER_ND_ADVERTISEMENT);
}

PCN_INLINE enum pcn_verdict router_nd(struct pcn_ctx *ctx, struct pcn_packet *packet, const struct ipv6hdr *ip,
                                      const __u8 *icmp, const struct router_port *port)
{
    if (ip->hop_limit != 255 || icmp[1] || bpf_ntohs(ip->payload_len) < ROUTER_ND_SIZE)
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    if (icmp[0] == ROUTER_ND_SOLICITATION)
        return router_solicitation(ctx, packet, port);
    return router_advertisement(ctx, packet);
}

/* To an address of ours, or to a group. Global: see router_find6(). */
__noinline int router_answer6(struct pcn_ctx *ctx, bool group)
{
    struct ethhdr *eth = pcn_header(ctx, sizeof(*eth) + sizeof(struct ipv6hdr) + sizeof(struct router_icmp));
    struct ipv6hdr *ip = (void *)(eth + 1);
    struct pcn_packet *packet = pcn_packet_get();
    const struct router_port *port;
    __u8 *icmp = (void *)(ip + 1);

    if (!packet)
        return PCN_DROP;
    port = router_port_at(packet->port);
    if (eth && bpf_ntohs(ip->payload_len) >= sizeof(struct router_icmp) && router_is_nd(ip, icmp))
        return router_nd(ctx, packet, ip, icmp, port);
    if (group)
        return router_host_or_drop(packet, ROUTER_DROP_MULTICAST);
    if (pcn_identity.shadow)
        return PCN_HOST;
    if (eth && ip->nexthdr == IPPROTO_ICMPV6 && bpf_ntohs(ip->payload_len) >= sizeof(struct router_icmp) &&
        icmp[0] == ROUTER_ECHO6_REQUEST && !icmp[1])
        return router_echo6(packet, eth, (void *)icmp, port);
    return pcn_slow_path(packet, ROUTER_SLOW_LOCAL, 0, 0, 0);
}

PCN_INLINE enum pcn_verdict router_local6(struct pcn_ctx *ctx, bool group)
{
    return router_verdict(router_answer6(ctx, group));
}

PCN_INLINE void router_way6(struct pcn_ctx *ctx, const struct ipv6hdr *ip, const union pcn_address *destination,
                            struct router_hop *hop, struct router_way *way)
{
    if (pcn_unlikely(hop->kind == ROUTER_HOP_ECMP)) {
        const __u64 *source = (const void *)&ip->saddr, *target = (const void *)&ip->daddr;
        __u64 hash = (source[0] ^ target[1]) * 0x9e3779b97f4a7c15ull + (source[1] ^ target[0]);

        if (router_has_ports(ip->nexthdr)) {
            const __u32 *ports = pcn_parse_at(ctx, sizeof(struct ethhdr) + sizeof(*ip), 4);

            if (ports)
                hash = (hash ^ *ports) * 0x9e3779b97f4a7c15ull + ip->nexthdr;
        }
        *hop = router_choose(*hop, hash, &way->number);
    }
    way->port = hop->port;
    if (hop->kind == ROUTER_HOP_GATEWAY)
        way->neighbour = hop->index;
    else if (hop->kind == ROUTER_HOP_CONNECTED)
        way->neighbour = router_neighbour_find(destination, hop->port, 6);
}

PCN_INLINE enum pcn_verdict router_forward6(struct pcn_ctx *ctx, struct pcn_packet *packet, struct ethhdr *eth,
                                            struct router_way *way)
{
    struct ipv6hdr *ip = (void *)(eth + 1);
    const struct router_port *out = router_port_at(way->port);

    if (pcn_unlikely(ip->hop_limit <= 1))
        return pcn_slow_path(packet, ROUTER_SLOW_TTL, 0, 0, 0);
    if (pcn_unlikely(way->length > PCN_READ_ONCE(out->mtu)) &&
        (!pcn_segment_size(ctx) || router_segment_length(ctx, sizeof(*ip), ip->nexthdr) > PCN_READ_ONCE(out->mtu)))
        return pcn_slow_path(packet, ROUTER_SLOW_TOO_BIG, PCN_READ_ONCE(out->mtu), way->port, 0);
    if (pcn_unlikely(!router_macs(packet, eth, out, way)))
        return router_unresolved(packet, way);
    ip->hop_limit--;
    packet->ttl = ip->hop_limit;
    return pcn_redirect(packet, way->port);
}

PCN_INLINE enum pcn_verdict router_ipv6(struct pcn_ctx *ctx, struct pcn_packet *packet, bool group,
                                        const struct router_port *port)
{
    struct ethhdr *eth = pcn_header(ctx, sizeof(*eth) + sizeof(struct ipv6hdr));
    struct ipv6hdr *ip = (void *)(eth + 1);
    struct router_way way = {.version = 6};
    union pcn_address source, destination;
    struct router_hop hop;
    __u32 frame;

    if (!eth)
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    frame = pcn_length(ctx) - sizeof(*eth);
    way.length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
    /* A GSO packet over 64 KB says 0. */
    if (pcn_unlikely(!ip->payload_len) && pcn_segment_size(ctx))
        way.length = frame;
    if (pcn_unlikely(ip->version != 6 || way.length > frame))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    __builtin_memcpy(&source, &ip->saddr, 16);
    __builtin_memcpy(&destination, &ip->daddr, 16);
    if (pcn_unlikely(group || (__u8)destination.v6[0] == 0xff))
        return router_local6(ctx, true);
    if (pcn_unlikely(router_is_martian6(&source)))
        return router_host_or_drop(packet, ROUTER_DROP_BAD_SOURCE);
    if (pcn_unlikely(router_is_martian6(&destination)))
        return pcn_drop(packet, ROUTER_DROP_BAD_DESTINATION);
    if (pcn_unlikely(router_is_link_local(&destination))) {
        if (router_same_address(&destination, port->link_local))
            return router_local6(ctx, false);
        return pcn_drop(packet, ROUTER_DROP_BAD_DESTINATION);
    }
    way.number = router_find6(&destination);
    hop = router_hop_at(way.number);
    router_way6(ctx, ip, &destination, &hop, &way);
    if (pcn_likely(hop.kind == ROUTER_HOP_GATEWAY || hop.kind == ROUTER_HOP_CONNECTED)) {
        if (pcn_unlikely(router_is_link_local(&source)))
            return pcn_drop(packet, ROUTER_DROP_BAD_SOURCE);
        return router_forward6(ctx, packet, eth, &way);
    }
    if (hop.kind == ROUTER_HOP_LOCAL)
        return router_local6(ctx, false);
    return router_not_forwarded(packet, hop.kind);
}

/* ---- the handler ---- */

PCN_INLINE enum pcn_verdict router_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    struct ethhdr *eth = pcn_header(ctx, sizeof(*eth) + sizeof(struct iphdr));
    const struct router_port *port = router_port_at(packet->port);
    __u16 ethertype;
    bool group;
    __u64 mac;

    if (!eth)
        return pcn_drop(packet, PCN_DROP_MALFORMED);
#ifndef PCN_XDP
    if (pcn_unlikely(ctx->vlan_present))
        return pcn_drop(packet, ROUTER_DROP_TAGGED);
#endif
    /* The header is declared packed: by the field's name it would be read byte by byte. */
    ethertype = *(const __u16 *)((const void *)eth + offsetof(struct ethhdr, h_proto));
    group = eth->h_dest[0] & 1;
    mac = PCN_READ_ONCE(port->mac);
    if (pcn_unlikely(!mac || (router_mac_read_last(eth->h_dest) != mac && !group)))
        return pcn_drop(packet, ROUTER_DROP_OTHER_HOST);
    if (pcn_likely(ethertype == bpf_htons(ETH_P_IP))) {
        if (pcn_unlikely(group))
            return router_host_or_drop(packet, ROUTER_DROP_MULTICAST);
        return router_ipv4(ctx, packet, eth, port);
    }
    if (ethertype == bpf_htons(ETH_P_IPV6))
        return router_ipv6(ctx, packet, group, port);
    if (ethertype == bpf_htons(ETH_P_ARP))
        return router_verdict(router_arp(ctx));
    return pcn_drop(packet, pcn_is_tag(ethertype) ? ROUTER_DROP_TAGGED : ROUTER_DROP_NOT_IP);
}

PCN_STANDARD_CUBE(router_ingress, pcn_pass);
