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

/* Ports that are tried: the packet's own, then so many of its parity, then as many of the other. A power of two. */
#define NAT_ATTEMPTS 128u

/* The rule's index in nat_rules + 1; 0: none. */
__noinline __u32 nat_find(__u32 table, __u64 key)
{
    __u32 generation = PCN_READ_ONCE(nat_settings.generation) & 1;
    __u64 position = 0, step = 1u << ((table == NAT_DESTINATIONS ? NAT_DESTINATIONS_SHIFT : NAT_OUT_SHIFT) - 1);
    __u32 base = generation * NAT_RANGES_MAX + nat_ranges_of(table), index, n;
    const struct nat_range *range;

    if (table >= NAT_TABLE_MAX)
        return 0;
    n = PCN_READ_ONCE(nat_settings.n_ranges[generation][table]);
    if (!n)
        return 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < NAT_DESTINATIONS_SHIFT; i++, step >>= 1) {
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

PCN_INLINE const struct nat_rule *nat_rule_at(__u32 number)
{
    number--;
    return bpf_map_lookup_elem(&nat_rules, &number);
}

/* The address outside, in network order; 0: there is none. A host inside always gets the same one of a pool. */
PCN_INLINE __u32 nat_external(const struct nat_rule *rule, __u32 source)
{
    __u64 hash;

    if (rule->kind == NAT_MASQUERADE)
        return bpf_htonl(PCN_READ_ONCE(nat_settings.address));
    if (rule->kind == NAT_NETMAP)
        return bpf_htonl(rule->address + (bpf_ntohl(source) - rule->base));
    if (rule->n_addresses <= 1)
        return bpf_htonl(rule->address);
    hash = pcn_ct_hash_end(source, 0, 0, pcn_ct_settings.seed);
    return bpf_htonl(rule->address + (__u32)(hash >> 32) % rule->n_addresses);
}

/* Ports that a rule may choose from for one, RFC 4787 REQ-3: those below 1024 stay there. Host order. */
PCN_INLINE void nat_ports_of(const struct nat_rule *rule, __u32 protocol, __u32 port, __u32 *ret_first, __u32 *ret_last)
{
    *ret_first = rule->first;
    *ret_last = rule->last;
    if (*ret_last)
        return;
    *ret_last = 0xffff;
    if (protocol == IPPROTO_ICMP)
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
PCN_INLINE void nat_set_source(struct nat_new *new, __u32 address, __u16 port)
{
    new->other.words[0] = address;
    new->other.words[4] = (new->other.words[4] & ~0xffffull) | port;
}

PCN_INLINE void nat_set_destination(struct nat_new *new, __u32 address, __u16 port)
{
    new->other.words[2] = address;
    new->other.words[4] = (new->other.words[4] & ~0xffff0000ull) | (__u64)port << PCN_CT_DESTINATION_PORT_SHIFT;
}
