/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * NPTv6 (RFC 6296): a prefix for a prefix, both ways, without sessions. What the prefix adds to the sum of an address
 * one of its other words takes away, so that no checksum changes: neither the packet's, nor one that is quoted.
 */
#pragma once
#include "nat_rules.bpf.h"
#include "nat_wide.bpf.h"

#define NAT_NPT_UNNAMED 0x20000u

/* RFC 6296, 3.1: ones' complement, where 0xffff is written as 0. */
PCN_INLINE __u64 nat_npt_word(__u64 word, __u16 adjust)
{
    word += adjust;
    word = (word & 0xffff) + (word >> 16);
    return word == 0xffff ? 0 : word;
}

/* Up to /48 it is the subnet that makes up for the prefix (3.4), then the first word of the host that can (3.5). */
PCN_INLINE bool nat_npt_map(const struct nat_rule *rule, const union pcn_address *from, union pcn_address *ret)
{
    struct nat_wide wide = nat_moved(rule, from);
    __u64 word;

    if (rule->length <= 48) {
        word = wide.high & 0xffff;
        if (word == 0xffff)
            return false;
        wide.high = (wide.high & ~0xffffull) | nat_npt_word(word, rule->adjust);
        nat_wide_put(&wide, ret);
        return true;
    }
    if (!wide.low)
        return false;
#pragma unroll
    for (int shift = 48; shift >= 0; shift -= 16) {
        word = wide.low >> shift & 0xffff;
        if (word == 0xffff)
            continue;
        wide.low = (wide.low & ~(0xffffull << shift)) | nat_npt_word(word, rule->adjust) << shift;
        nat_wide_put(&wide, ret);
        return true;
    }
    return false;
}

/* An address in the packet, if a rule names it: 0, NAT_NPT_UNNAMED, or the reason to drop it. */
__noinline __u32 nat_npt_address(struct pcn_ctx *ctx, __u32 offset, __u32 table)
{
    void *at = pcn_header_at(ctx, offset, sizeof(union pcn_address));
    const struct nat_rule *rule;
    union pcn_address address;
    struct nat_wide wide;
    struct nat_key6 key;
    __u32 number;

    if (!at)
        return PCN_DROP_MALFORMED;
    __builtin_memcpy(&address, at, sizeof(address));
    wide = nat_wide_of(&address);
    key = (struct nat_key6){{wide.high, wide.low, 0}};
    number = nat_find6(table, &key);
    rule = number ? nat_rule_at(number) : NULL;
    if (!rule)
        return NAT_NPT_UNNAMED;
    if (!nat_npt_map(rule, &address, &address))
        return NAT_DROP_NPT;
    at = (void *)pcn_parse_at(ctx, offset, sizeof(address));
    if (!at)
        return PCN_DROP_MALFORMED;
    __builtin_memcpy(at, &address, sizeof(address));
    return 0;
}

#define NAT_IPV6_SOURCE 8 /* offset in the header */
#define NAT_IPV6_DESTINATION 24

/* One side of a packet, and of what an error quotes the other one: as nat_npt_address(). */
PCN_INLINE __u32 nat_npt_side(struct pcn_ctx *ctx, struct pcn_packet *packet, bool source)
{
    __u32 table = source ? NAT_NPT_OUT : NAT_NPT_IN, side = source ? NAT_IPV6_SOURCE : NAT_IPV6_DESTINATION;
    __u32 bad = nat_npt_address(ctx, packet->l3_offset + side, table);
    const void *at;

    if (bad)
        return bad;
    at = pcn_parse_at(ctx, packet->l3_offset + side, sizeof(union pcn_address));
    if (!at)
        return PCN_DROP_MALFORMED;
    __builtin_memcpy(source ? &packet->source : &packet->destination, at, sizeof(union pcn_address));
    packet->hash = 0;
    if (packet->l4_offset && pcn_ct_is_error(packet->l4_protocol, packet->icmp_type)) {
        side = source ? NAT_IPV6_DESTINATION : NAT_IPV6_SOURCE;
        /* What is cut short, or about somebody else, stays. */
        nat_npt_address(ctx, packet->l4_offset + 8 + side, table);
    }
    return 0;
}

/* 0: it is translated; NAT_TURNED: and goes back, to a host inside by its address outside; or as nat_npt_address(). */
__noinline __u32 nat_npt(struct pcn_ctx *ctx, bool out)
{
    struct pcn_packet *packet = pcn_packet_get();
    __u32 bad = nat_npt_side(ctx, packet, out);

    if (bad || !out || !PCN_READ_ONCE(nat_settings.hairpin))
        return bad;
    bad = nat_npt_side(ctx, packet, false);
    if (bad == NAT_NPT_UNNAMED)
        return 0;
    if (bad)
        return bad;
    return nat_turn_frame(ctx) ? NAT_TURNED : PCN_DROP_MALFORMED;
}
