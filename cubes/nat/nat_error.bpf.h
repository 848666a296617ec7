/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ICMP errors (RFC 5508, section 4.2): what they quote is a packet of a session as the other side saw it, so it is
 * translated back, with its checksums; the error itself as any packet of the session. Nothing of it is left to a
 * device: the sum of the bytes stays the same, and so does what a device has summed up.
 */
#pragma once
#include "nat_wide.bpf.h"

/* What is quoted. */
struct nat_quoted {
    __u32 offset; /* of its IP header */
    __u32 l4;     /* of the transport header */
    __u32 end;    /* of the error */
    __u32 ports;  /* as in a key */
    __u8 protocol;
};

/* A 16-bit word that is replaced. What that adds to a sum. */
PCN_INLINE __u64 nat_put(__u16 *word, __u16 value)
{
    __u64 change = (__u64)(__u16) ~*word + value;

    *word = value;
    return change;
}

PCN_INLINE bool nat_quoted4(struct pcn_ctx *ctx, struct nat_quoted *quoted, struct nat_sides *sides)
{
    const struct iphdr *ip = pcn_parse_at(ctx, quoted->offset, sizeof(*ip));

    if (!ip)
        return false;
    quoted->protocol = ip->protocol;
    quoted->l4 = quoted->offset + ip->ihl * 4;
    sides->source.from = (union pcn_address){.v6 = {ip->saddr}};
    sides->destination.from = (union pcn_address){.v6 = {ip->daddr}};
    return true;
}

/* It was found by what it quotes, so its extension headers are such as pcn_ct_quoted6() walks. */
PCN_INLINE bool nat_quoted6(struct pcn_ctx *ctx, struct nat_quoted *quoted, struct nat_sides *sides)
{
    const struct ipv6hdr *ip = pcn_parse_at(ctx, quoted->offset, sizeof(*ip));
    __u64 at = quoted->offset + sizeof(*ip);
    __u32 protocol;

    if (!ip)
        return false;
    __builtin_memcpy(&sides->source.from, &ip->saddr, 16);
    __builtin_memcpy(&sides->destination.from, &ip->daddr, 16);
    protocol = ip->nexthdr;
#pragma clang loop unroll(disable)
    for (int i = 0; i < PCN_EXTENSIONS_MAX; i++) {
        const __u8 *header;

        if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING && protocol != IPPROTO_DSTOPTS &&
            protocol != IPPROTO_FRAGMENT)
            break;
        header = pcn_parse_at(ctx, at, 8);
        if (!header)
            return false;
        at += protocol == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
        protocol = header[0];
        PCN_FORGET(at, pcn_ct_settings.seed);
        PCN_FORGET(protocol, pcn_ct_settings.seed);
    }
    quoted->protocol = protocol;
    quoted->l4 = at;
    return true;
}

PCN_INLINE bool nat_is_icmp(__u8 protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* Its ports, as the key of its flow has them. */
PCN_INLINE void nat_quoted_ports(struct pcn_ctx *ctx, struct nat_quoted *quoted)
{
    const __u16 *header = pcn_parse_at(ctx, quoted->l4, 8);

    quoted->ports = 0;
    if (!header)
        return;
    if (nat_is_icmp(quoted->protocol))
        pcn_ct_echo(quoted->protocol, (__u8)*header, header[2], &quoted->ports);
    else if (quoted->protocol == IPPROTO_TCP || quoted->protocol == IPPROTO_UDP || quoted->protocol == IPPROTO_SCTP)
        quoted->ports = header[0] | (__u32)header[1] << 16;
}

/* The quoted transport header's ports and checksum. What that adds to a sum. */
PCN_INLINE __u64 nat_error_l4(struct pcn_ctx *ctx, const struct nat_quoted *quoted, const struct nat_sides *sides,
                              __u32 version)
{
    __u64 sum = 0, ports = pcn_change_port(&sides->source) + pcn_change_port(&sides->destination);
    __u16 *header = (__u16 *)pcn_parse_at(ctx, quoted->l4, 8), *check = NULL, value;

    if (!header || quoted->protocol == IPPROTO_SCTP)
        return 0;
    if (nat_is_icmp(quoted->protocol)) {
        if (pcn_changes_port(&sides->source))
            sum = nat_put(header + 2, sides->source.to_port);
        else if (pcn_changes_port(&sides->destination))
            sum = nat_put(header + 2, sides->destination.to_port);
        check = header + 1;
    } else if (quoted->protocol == IPPROTO_TCP || quoted->protocol == IPPROTO_UDP) {
        sum = nat_put(header, sides->source.to_port) + nat_put(header + 1, sides->destination.to_port);
        if (quoted->protocol == IPPROTO_UDP)
            check = header + 3;
        else if (quoted->l4 + 18 <= quoted->end)
            check = (__u16 *)pcn_parse_at(ctx, quoted->l4 + 16, 2);
    }
    /* Of UDP, 0 says that there is none. */
    if (!check || (quoted->protocol == IPPROTO_UDP && !*check))
        return sum;
    if (quoted->protocol != IPPROTO_ICMP)
        ports += pcn_change_address(&sides->source, version) + pcn_change_address(&sides->destination, version);
    value = ~pcn_csum_fold((__u16) ~*check + ports);
    if (quoted->protocol == IPPROTO_UDP && !value)
        value = 0xffff;
    return sum + nat_put(check, value);
}

/* The quoted addresses. What that adds to a sum; ret_bad: they cannot be reached. */
PCN_INLINE __u64 nat_error_ip(struct pcn_ctx *ctx, const struct nat_quoted *quoted, const struct nat_sides *sides,
                              __u32 version, bool *ret_bad)
{
    __u64 sum = pcn_change_address(&sides->source, version) + pcn_change_address(&sides->destination, version);

    if (version == 4) {
        struct iphdr *ip = (void *)pcn_parse_at(ctx, quoted->offset, sizeof(*ip));

        *ret_bad = !ip;
        if (!ip)
            return 0;
        ip->saddr = sides->source.to.v4;
        ip->daddr = sides->destination.to.v4;
        return sum + nat_put(&ip->check, ~pcn_csum_fold((__u16)~ip->check + sum));
    } else {
        struct ipv6hdr *ip = (void *)pcn_parse_at(ctx, quoted->offset, sizeof(*ip));

        *ret_bad = !ip;
        if (!ip)
            return 0;
        __builtin_memcpy(&ip->saddr, &sides->source.to, 16);
        __builtin_memcpy(&ip->daddr, &sides->destination.to, 16);
        return sum;
    }
}

/* The error's own addresses: it goes to who sent what it quotes, and comes from whom that went to, if that is hidden. */
PCN_INLINE bool nat_error_outer(struct pcn_ctx *ctx, struct pcn_packet *packet, const struct nat_sides *sides,
                                __u32 wide, bool out, __u32 version, __u64 sum)
{
    struct pcn_change source = {.from = packet->source, .to = packet->source};
    struct pcn_change destination = {.from = packet->destination, .to = packet->destination};
    __u16 *check;

    if (out || wide & NAT_HAIRPIN)
        source.to = sides->destination.to;
    if (!out || wide & NAT_HAIRPIN)
        destination.to = sides->source.to;
    if (!pcn_rewrite_ip(ctx, packet, &source, &destination, version))
        return false;
    if (version == 6)
        sum += pcn_change_address(&source, 6) + pcn_change_address(&destination, 6);
    check = (__u16 *)pcn_parse_at(ctx, packet->l4_offset + 2, 2);
    if (!check)
        return false;
    *check = ~pcn_csum_fold((__u16) ~*check + sum);
    pcn_rewrite_renew(packet, &source, &destination, version);
    return true;
}

/* Of a session whose entry says all, one side changes. */
PCN_INLINE void nat_error_sides(const struct nat_session *session, const struct nat_quoted *quoted, bool out,
                                struct nat_sides *sides)
{
    struct pcn_change *change = out ? &sides->destination : &sides->source;

    sides->source.to = sides->source.from;
    sides->destination.to = sides->destination.from;
    sides->source.to_port = sides->source.from_port = quoted->ports;
    sides->destination.to_port = sides->destination.from_port = quoted->ports >> 16;
    change->to.v4 = session->to;
    change->to_port = session->port;
}

/* Where the error ends: behind that the frame may be padded. */
PCN_INLINE __u32 nat_error_end(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 version)
{
    const __u8 *ip = pcn_parse_at(ctx, packet->l3_offset, 8);

    if (!ip)
        return 0;
    if (version == 4)
        return packet->l3_offset + bpf_ntohs(*(const __u16 *)(ip + 2));
    return packet->l3_offset + sizeof(struct ipv6hdr) + bpf_ntohs(*(const __u16 *)(ip + 4));
}

PCN_INLINE __u32 nat_error_as(struct pcn_ctx *ctx, __u32 slot, bool out, __u32 version)
{
    const struct nat_session *session = nat_session_at(slot);
    struct pcn_packet *packet = pcn_packet_get();
    struct nat_quoted quoted = {.offset = packet->l4_offset + 8, .end = nat_error_end(ctx, packet, version)};
    struct nat_sides sides;
    bool bad;
    __u64 sum;

    if (!(version == 4 ? nat_quoted4(ctx, &quoted, &sides) : nat_quoted6(ctx, &quoted, &sides)))
        return PCN_DROP_MALFORMED;
    nat_quoted_ports(ctx, &quoted);
    if (version == 4 && !session->wide)
        nat_error_sides(session, &quoted, out, &sides);
    else if (!nat_sides_of(slot, quoted.ports, &sides))
        return NAT_DROP_INVALID;
    sum = nat_error_l4(ctx, &quoted, &sides, version);
    sum += nat_error_ip(ctx, &quoted, &sides, version, &bad);
    if (bad || !nat_error_outer(ctx, packet, &sides, session->wide, out, version, sum))
        return PCN_DROP_MALFORMED;
    if (!(session->wide & NAT_HAIRPIN))
        return 0;
    return nat_turn_frame(ctx) ? NAT_TURNED : PCN_DROP_MALFORMED;
}

__noinline __u32 nat_error4(struct pcn_ctx *ctx, __u32 slot, bool out)
{
    return nat_error_as(ctx, slot, out, 4);
}

__noinline __u32 nat_error6(struct pcn_ctx *ctx, __u32 slot, bool out)
{
    return nat_error_as(ctx, slot, out, 6);
}
