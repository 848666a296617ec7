/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which rule a first packet is of, and what it makes of it. */
#pragma once
#include "nat_session.bpf.h"

#define NAT_ARRAY(name_, entries_, value_)                                                                             \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                              \
        __uint(map_flags, BPF_F_MMAPABLE);                                                                             \
        __uint(max_entries, entries_);                                                                                 \
        __type(key, __u32);                                                                                            \
        __type(value, value_);                                                                                         \
    } name_ SEC(".maps")

NAT_ARRAY(nat_rules, 2 * NAT_RULES_MAX, struct nat_rule);
NAT_ARRAY(nat_ranges, 2 * NAT_RANGES_MAX, struct nat_range);
NAT_ARRAY(nat_ranges6, 2 * NAT_RANGES6_MAX, struct nat_range6);

/* Ports that are tried: the packet's own, then so many of its parity, then as many of the other. A power of two. */
#define NAT_ATTEMPTS 128u

/* The rule's index in nat_rules + 1; 0: none. */
__noinline __u32 nat_find(__u32 table, __u64 key)
{
    __u32 generation = PCN_READ_ONCE(nat_settings.generation) & 1;
    __u64 position = 0, step;
    __u32 base = generation * NAT_RANGES_MAX + nat_ranges_of(table), index, n;
    const struct nat_range *range;

    if (table >= NAT_TABLE_MAX)
        return 0;
    n = PCN_READ_ONCE(nat_settings.sizes[generation][table].n_ranges);
    if (!n)
        return 0;
    step = PCN_READ_ONCE(nat_settings.sizes[generation][table].step);
#pragma clang loop unroll(disable)
    for (int i = 0; i < NAT_DESTINATIONS_SHIFT && step; i++, step >>= 1) {
        __u64 next = position + step;

        PCN_FORGET(next, key);
        PCN_FORGET(step, key);
        index = base + next;
        range = next < n ? bpf_map_lookup_elem(&nat_ranges, &index) : NULL;
        if (range && range->start <= key)
            position = next;
        PCN_FORGET(position, key);
    }
    index = base + position;
    range = bpf_map_lookup_elem(&nat_ranges, &index);
    return range && range->rule ? generation * NAT_RULES_MAX + range->rule : 0;
}

/* The words of a key, as a range of IPv6 has them. */
struct nat_key6 {
    __u64 words[3];
};

/* What is to be borrowed for a - b - borrow: 1 or 0. */
PCN_INLINE __u64 nat_borrow(__u64 a, __u64 b, __u64 borrow)
{
    return PCN_NEGATIVE((~a & b) | ((~a | b) & (a - b - borrow)));
}

/* 1: the key is not below the range's start; else 0. Without branches: the verifier would follow each way of each step. */
PCN_INLINE __u64 nat_reaches6(const struct nat_range6 *range, const struct nat_key6 *key)
{
    __u64 borrow = nat_borrow(key->words[2], range->start[2], 0);

    borrow = nat_borrow(key->words[1], range->start[1], borrow);
    return 1 - nat_borrow(key->words[0], range->start[0], borrow);
}

/* nat_find() in the tables of IPv6. */
__noinline __u32 nat_find6(__u32 table, const struct nat_key6 *key)
{
    __u32 generation = PCN_READ_ONCE(nat_settings.generation) & 1;
    __u32 base = generation * NAT_RANGES6_MAX + nat_ranges_of(table), index, n;
    __u64 position = 0, step, unknown = pcn_ct_settings.seed;
    const struct nat_range6 *range;

    if (table >= NAT_TABLE_MAX || !key)
        return 0;
    n = PCN_READ_ONCE(nat_settings.sizes[generation][table].n_ranges);
    if (!n)
        return 0;
    step = PCN_READ_ONCE(nat_settings.sizes[generation][table].step);
#pragma clang loop unroll(disable)
    for (int i = 0; i < NAT_DESTINATIONS_SHIFT && step; i++, step >>= 1) {
        __u64 next = position + step;

        PCN_FORGET(next, unknown);
        PCN_FORGET(step, unknown);
        index = base + next;
        range = next < n ? bpf_map_lookup_elem(&nat_ranges6, &index) : NULL;
        if (range)
            position += (next - position) * nat_reaches6(range, key);
        PCN_FORGET(position, unknown);
    }
    index = base + position;
    range = bpf_map_lookup_elem(&nat_ranges6, &index);
    return range && range->rule ? generation * NAT_RULES_MAX + range->rule : 0;
}

PCN_INLINE const struct nat_rule *nat_rule_at(__u32 number)
{
    number--;
    return bpf_map_lookup_elem(&nat_rules, &number);
}

/* ---- addresses of IPv6 as numbers ---- */

PCN_INLINE struct nat_wide nat_wide_of(const union pcn_address *address)
{
    return (struct nat_wide){
        bpf_be64_to_cpu(pcn_address_word(address, 0)),
        bpf_be64_to_cpu(pcn_address_word(address, 1)),
    };
}

PCN_INLINE void nat_wide_put(const struct nat_wide *wide, union pcn_address *ret_address)
{
    pcn_address_put(ret_address, bpf_cpu_to_be64(wide->high), bpf_cpu_to_be64(wide->low));
}

/* The bits of a host in a network. */
PCN_INLINE struct nat_wide nat_hosts_of(__u32 length)
{
    struct nat_wide hosts = {length >= 64 ? 0 : ~0ull >> (length & 63), length <= 64 ? ~0ull : ~0ull >> (length & 63)};

    if (length >= 128)
        hosts.low = 0;
    return hosts;
}

/* An address in another network of the same size. */
PCN_INLINE struct nat_wide nat_moved(const struct nat_rule *rule, const union pcn_address *address)
{
    struct nat_wide hosts = nat_hosts_of(rule->length), wide = nat_wide_of(address);

    wide.high = rule->wide.high | (wide.high & hosts.high);
    wide.low = rule->wide.low | (wide.low & hosts.low);
    return wide;
}

/* ---- which rule ---- */

/* Of a packet's source, or destination. */
PCN_INLINE __u32 nat_find_address(__u32 table, const union pcn_address *address, __u32 version)
{
    struct nat_wide wide;
    struct nat_key6 key;

    if (pcn_likely(version == 4))
        return nat_find(table, bpf_ntohl(address->v4));
    wide = nat_wide_of(address);
    key = (struct nat_key6){{wide.high, wide.low, 0}};
    return nat_find6(table + NAT_SOURCES6, &key);
}

/* Of what comes in, or would in hairpin; port: of its destination, in network order. */
PCN_INLINE __u32 nat_find_destination(const struct pcn_packet *packet, __u16 port)
{
    struct nat_wide wide;
    struct nat_key6 key;

    if (!packet)
        return 0;
    if (pcn_likely(packet->ip_version == 4))
        return nat_find(NAT_DESTINATIONS,
                        nat_destination_key(bpf_ntohl(packet->destination.v4), packet->l4_protocol, bpf_ntohs(port)));
    wide = nat_wide_of(&packet->destination);
    key = (struct nat_key6){{wide.high, wide.low, nat_destination_key(0, packet->l4_protocol, bpf_ntohs(port))}};
    return nat_find6(NAT_DESTINATIONS6, &key);
}

/* ---- what it makes of a packet ---- */

PCN_INLINE bool nat_external4(const struct nat_rule *rule, const struct pcn_packet *packet, union pcn_address *ret)
{
    __u32 address = rule->address;
    __u64 hash;

    if (rule->kind == NAT_MASQUERADE) {
        address = PCN_READ_ONCE(nat_settings.address);
    } else if (rule->kind == NAT_NETMAP) {
        address += bpf_ntohl(packet->source.v4) - rule->base;
    } else if (rule->n_addresses > 1) {
        hash = pcn_ct_hash_mix(pcn_ct_hash_short(packet->source.v4, 0, pcn_ct_settings.seed));
        address += (__u32)(hash >> 32) % rule->n_addresses;
    }
    pcn_address_put(ret, bpf_htonl(address), 0);
    return address;
}

/* Global: it is called for few packets, and the verifier has enough to do. */
__noinline bool nat_external6(__u32 number, const struct pcn_packet *packet, union pcn_address *ret)
{
    const struct nat_rule *rule = nat_rule_at(number);
    struct nat_wide wide;
    __u64 low, hash;

    if (!rule || !packet || !ret)
        return false;
    wide = rule->wide;
    if (rule->kind == NAT_MASQUERADE) {
        wide.high = PCN_READ_ONCE(nat_settings.address6.high);
        wide.low = PCN_READ_ONCE(nat_settings.address6.low);
    } else if (rule->kind == NAT_NETMAP) {
        wide = nat_moved(rule, &packet->source);
    } else if (rule->n_addresses > 1) {
        hash = pcn_ct_hash_end(pcn_address_word(&packet->source, 0), pcn_address_word(&packet->source, 1), 0,
                               pcn_ct_settings.seed);
        low = wide.low + (__u32)(pcn_ct_hash_mix(hash) >> 32) % rule->n_addresses;
        wide.high += low < wide.low;
        wide.low = low;
    }
    nat_wide_put(&wide, ret);
    return wide.high | wide.low;
}

/* The address outside; false: there is none. A host inside always gets the same one of a pool. */
PCN_INLINE bool nat_external(const struct nat_rule *rule, __u32 number, const struct pcn_packet *packet,
                             union pcn_address *ret)
{
    if (pcn_likely(packet->ip_version == 4))
        return nat_external4(rule, packet, ret);
    return nat_external6(number, packet, ret);
}

/* The host inside. */
PCN_INLINE void nat_internal(const struct nat_rule *rule, const struct pcn_packet *packet, union pcn_address *ret)
{
    struct nat_wide wide;
    __u32 address;

    if (pcn_likely(packet->ip_version == 4)) {
        address = rule->address;
        if (rule->kind == NAT_NETMAP)
            address += bpf_ntohl(packet->destination.v4) - rule->base;
        pcn_address_put(ret, bpf_htonl(address), 0);
        return;
    }
    wide = rule->kind == NAT_NETMAP ? nat_moved(rule, &packet->destination) : rule->wide;
    nat_wide_put(&wide, ret);
}

/* Ports that a rule may choose from for one, RFC 4787 REQ-3: those below 1024 stay there. Host order. */
PCN_INLINE void nat_ports_of(const struct nat_rule *rule, __u32 protocol, __u32 port, __u32 *ret_first, __u32 *ret_last)
{
    *ret_first = rule->first;
    *ret_last = rule->last;
    if (*ret_last)
        return;
    *ret_last = 0xffff;
    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
        return;
    *ret_first = port < 1024 ? 1 : 1024;
    if (port < 1024)
        *ret_last = 1023;
}

/* The port to try, host order; above 0xffff: none this time. RFC 4787 REQ-4: the parity stays, while it can. */
PCN_INLINE __u32 nat_candidate(const struct nat_rule *rule, const struct nat_new *new, __u32 attempt)
{
    __u32 protocol = new->own.words[4] >> PCN_CT_PROTOCOL_SHIFT & 0xff, port = bpf_ntohs((__u16) new->own.words[4]);
    __u32 first, last, base, n, start, stride;

    nat_ports_of(rule, protocol, port, &first, &last);
    if (!attempt)
        return new->port >= first &&new->port <= last ? new->port : ~0u;
    attempt--;
    base = first + ((first ^ port ^ (attempt / NAT_ATTEMPTS)) & 1);
    if (base > last)
        return ~0u;
    n = (last - base) / 2 + 1;
    start = new->hash >> 8 & 0xffff;
    stride = n <= NAT_ATTEMPTS ? 1 : (new->hash >> 24 & 0xffff) | 1;
    return base + 2 * ((start + (attempt & (NAT_ATTEMPTS - 1)) * stride) % n);
}

/* The other tuple: the packet's, with another source. */
PCN_INLINE void nat_set_source(struct nat_new *new, __u16 port)
{
    new->other.words[0] = pcn_address_word(&new->to, 0);
    new->other.words[1] = pcn_address_word(&new->to, 1);
    new->other.words[4] = (new->other.words[4] & ~0xffffull) | port;
}

PCN_INLINE void nat_set_destination(struct nat_new *new, __u16 port)
{
    new->other.words[2] = pcn_address_word(&new->to, 0);
    new->other.words[3] = pcn_address_word(&new->to, 1);
    new->other.words[4] = (new->other.words[4] & ~0xffff0000ull) | (__u64)port << PCN_CT_DESTINATION_PORT_SHIFT;
}
