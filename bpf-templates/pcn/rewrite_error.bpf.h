/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What an ICMP or ICMPv6 error quotes, translated back (RFC 5508, section 4.2), with the checksums in it, and the error's
 * own addresses. Nothing is left to a device: the sum of the bytes stays the same, and so does what one has summed up.
 */
#pragma once
#include <pcn/quote.bpf.h>
#include <pcn/rewrite.bpf.h>

/* What replacing words has added: to the sum of addresses, of ports, and of all there is. */
struct pcn_quote {
    __u64 addresses;
    __u64 ports;
    __u64 all;
};

/* .to and .to_port of each side of the quoted packet, and .to of each side of the error; others are not looked at. */
struct pcn_error_change {
    struct pcn_change source;
    struct pcn_change destination;
    struct pcn_change outer_source;
    struct pcn_change outer_destination;
};

PCN_INLINE __u64 pcn_quote_address(__u32 *address, const union pcn_address *to, __u32 version)
{
    __u64 sum = (__u64)(__u32)~address[0] + to->v6[0];

    address[0] = to->v6[0];
    if (version == 6) {
#pragma unroll
        for (int i = 1; i < 4; i++) {
            sum += (__u64)(__u32)~address[i] + to->v6[i];
            address[i] = to->v6[i];
        }
    }
    return sum;
}

PCN_INLINE __u64 pcn_quote_word(__u16 *word, __u16 value)
{
    __u64 sum = (__u64)(__u16) ~*word + value;

    *word = value;
    return sum;
}

PCN_INLINE void pcn_quote_ports(__u16 *header, __u8 protocol, const struct pcn_error_change *change,
                                struct pcn_quote *quote)
{
    __u8 type = *(__u8 *)header;

    if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
        quote->ports = pcn_quote_word(header, change->source.to_port);
        quote->ports += pcn_quote_word(header + 1, change->destination.to_port);
    } else if (type == (protocol == IPPROTO_ICMP ? 8 : 128)) {
        /* The id of a request is the source's, of a reply the destination's. */
        quote->ports = pcn_quote_word(header + 2, change->source.to_port);
    } else if (type == (protocol == IPPROTO_ICMP ? 0 : 129)) {
        quote->ports = pcn_quote_word(header + 2, change->destination.to_port);
    }
}

/* The quoted transport header, at offset, of a protocol that has a checksum; end: of the error. */
PCN_INLINE void pcn_quote_l4(struct pcn_ctx *ctx, __u32 offset, __u32 end, __u8 protocol,
                             const struct pcn_error_change *change, struct pcn_quote *quote)
{
    __u16 *header = (__u16 *)pcn_parse_at(ctx, offset, 8), *check, after;
    __u32 at = pcn_checksum_offset(protocol);
    __u64 sum;

    if (!header || !at)
        return;
    pcn_quote_ports(header, protocol, change, quote);
    quote->all += quote->ports;
    /* Of TCP it may be cut off; of UDP, 0 says that there is none. */
    if (offset + at + 2 > end)
        return;
    check = (__u16 *)pcn_parse_at(ctx, offset + at, 2);
    if (!check || (protocol == IPPROTO_UDP && !*check))
        return;
    sum = (__u16) ~*check + quote->ports;
    if (protocol != IPPROTO_ICMP)
        sum += quote->addresses;
    after = ~pcn_csum_fold(sum);
    if (protocol == IPPROTO_UDP && !after)
        after = 0xffff;
    quote->all += pcn_quote_word(check, after);
}

PCN_INLINE bool pcn_quote_ipv4(struct pcn_ctx *ctx, __u32 offset, __u32 end, const struct pcn_error_change *change,
                               struct pcn_quote *quote)
{
    struct iphdr *ip = (void *)pcn_parse_at(ctx, offset, sizeof(*ip));

    if (!ip)
        return false;
    quote->addresses = pcn_quote_address(&ip->saddr, &change->source.to, 4);
    quote->addresses += pcn_quote_address(&ip->daddr, &change->destination.to, 4);
    quote->all = quote->addresses;
    quote->all += pcn_quote_word(&ip->check, ~pcn_csum_fold((__u16)~ip->check + quote->addresses));
    pcn_quote_l4(ctx, offset + ip->ihl * 4, end, ip->protocol, change, quote);
    return true;
}

PCN_INLINE bool pcn_quote_ipv6(struct pcn_ctx *ctx, __u32 offset, __u32 end, const struct pcn_error_change *change,
                               struct pcn_quote *quote)
{
    __u32 transport = pcn_quote_transport6(ctx);
    struct ipv6hdr *ip = (void *)pcn_parse_at(ctx, offset, sizeof(*ip));

    if (!transport || !ip)
        return false;
    quote->addresses = pcn_quote_address((__u32 *)&ip->saddr, &change->source.to, 6);
    quote->addresses += pcn_quote_address((__u32 *)&ip->daddr, &change->destination.to, 6);
    quote->all = quote->addresses;
    pcn_quote_l4(ctx, transport & 0xffff, end, transport >> 16, change, quote);
    return true;
}

/* False: the headers cannot be reached. The packet is a parsed error of the version. */
PCN_INLINE bool pcn_rewrite_error(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_error_change *change,
                                  __u32 version)
{
    /* Behind the end the frame may be padded. */
    __u32 offset = packet->l4_offset + 8, end = pcn_ip_end(ctx, packet, version);
    struct pcn_quote quote = {};
    __u16 *icmp;

    if (!(version == 6 ? pcn_quote_ipv6(ctx, offset, end, change, &quote)
                       : pcn_quote_ipv4(ctx, offset, end, change, &quote)))
        return false;
    change->outer_source.from = packet->source;
    change->outer_destination.from = packet->destination;
    change->outer_source.to_port = change->outer_destination.to_port = 0;
    icmp = (__u16 *)pcn_parse_at(ctx, packet->l4_offset, 8);
    if (!icmp)
        return false;
    if (version == 6)
        quote.all += pcn_change_address(&change->outer_source, 6) + pcn_change_address(&change->outer_destination, 6);
    icmp[1] = ~pcn_csum_fold((__u16)~icmp[1] + quote.all);
    if (!pcn_rewrite_ip(ctx, packet, &change->outer_source, &change->outer_destination, version))
        return false;
    pcn_rewrite_renew(packet, &change->outer_source, &change->outer_destination, version);
    return true;
}
