/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The router's tables, read: see router_maps.h. */
#pragma once
#include "router_maps.h"
#include <pcn/cube.bpf.h>

/* Global data: found by fewer instructions than entries of maps. */
__u32 router_root4[PCN_TRIMMED(1 << ROUTER_ROOT4_BITS, __u32)] SEC(ROUTER_ROOT4);
__u32 router_root6[PCN_TRIMMED(1 << ROUTER_ROOT6_BITS, __u32)] SEC(ROUTER_ROOT6);
union router_node router_nodes[PCN_TRIMMED(ROUTER_NODES_MAX, union router_node)] SEC(ROUTER_NODES);
__u64 router_hops[PCN_TRIMMED(ROUTER_HOPS_MAX, __u64)] SEC(ROUTER_HOPS);
struct router_neighbour
    router_neighbours[PCN_TRIMMED(ROUTER_NEIGHBOURS_MAX, struct router_neighbour)] SEC(ROUTER_NEIGHBOURS);
struct router_bucket router_buckets[PCN_TRIMMED(ROUTER_BUCKETS_MAX, struct router_bucket)] SEC(ROUTER_BUCKETS);

const volatile struct router_settings router_settings = {};
struct router_port router_ports[PCN_PORTS_MAX] SEC(ROUTER_PORTS) = {};
struct router_data router_data SEC(ROUTER_DATA) = {};

PCN_INLINE const struct router_port *router_port_at(__u32 id)
{
    return &router_ports[id & (PCN_PORTS_MAX - 1)];
}

/* ---- FIB ---- */

/* From a word that leads to a node to the next word. */
PCN_INLINE __u32 router_step(__u32 word, __u64 first, __u64 second, bool v6)
{
    __u64 number = word & ROUTER_WORD_NUMBER, bits = first;
    const union router_node *node;

    if (number >= router_settings.n_nodes)
        return 0;
    /* The address is computed behind the check, or the verifier does not see it; here and below. */
    PCN_OPAQUE(number);
    node = &router_nodes[number];
    if (word & ROUTER_WORD_SKIP) {
        __u64 differ = (first ^ node->skip.key[0]) & node->skip.mask[0];

        if (v6)
            differ |= (second ^ node->skip.key[1]) & node->skip.mask[1];
        return differ ? PCN_READ_ONCE(node->skip.miss) : PCN_READ_ONCE(node->skip.hit);
    }
    if (v6 && word & ROUTER_WORD_SECOND)
        bits = second;
    return PCN_READ_ONCE(node->words[bits >> ROUTER_WORD_SHIFT(word) & 15]);
}

PCN_INLINE struct router_hop router_hop_at(__u64 number)
{
    union {
        __u64 word;
        struct router_hop hop;
    } copy = {};

    if (number < router_settings.n_hops) {
        PCN_OPAQUE(number);
        copy.word = PCN_READ_ONCE(router_hops[number]);
    }
    return copy.hop;
}

/* address: network order. Number of the hop. */
PCN_INLINE __u32 router_find4(__u32 address)
{
    __u64 host = bpf_ntohl(address), index = host >> (32 - router_settings.root4_bits);
    __u32 word;

    PCN_OPAQUE(index);
    word = PCN_READ_ONCE(router_root4[index]);

    for (int i = 0; i < ROUTER_STEPS4_MAX && word & ROUTER_WORD_NODE; i++)
        word = router_step(word, host << 32, 0, false);
    if (!word)
        word = PCN_READ_ONCE(router_data.default4);
    return word & ROUTER_WORD_HOP;
}

/*
 * Global functions: the verifier looks at each once, and not on every path that leads to them. With all of
 * them inlined it walks 70,000 instructions, and a router takes 90 ms to create.
 */
__noinline __u32 router_find6(const union pcn_address *address)
{
    __u64 first, second, index;
    __u32 word;

    if (!address)
        return 0;
    first = bpf_be64_to_cpu(pcn_address_word(address, 0));
    second = bpf_be64_to_cpu(pcn_address_word(address, 1));
    index = first >> (64 - ROUTER_ROOT6_BITS);
    PCN_OPAQUE(index);
    word = PCN_READ_ONCE(router_root6[index]);

#pragma clang loop unroll(disable)
    for (int i = 0; i < ROUTER_STEPS6_MAX && word & ROUTER_WORD_NODE; i++)
        word = router_step(word, first, second, true);
    if (!word)
        word = PCN_READ_ONCE(router_data.default6);
    return word & ROUTER_WORD_HOP;
}

/* ---- neighbours ---- */

/* NULL: number is 0. */
PCN_INLINE struct router_neighbour *router_neighbour_at(__u64 number)
{
    if (!number || number >= router_settings.n_neighbours)
        return NULL;
    PCN_OPAQUE(number);
    return &router_neighbours[number];
}

/* Its number, or 0. */
__noinline __u32 router_neighbour_find(const union pcn_address *address, __u16 port, __u8 version)
{
    __u64 hash;

    if (!address)
        return 0;
    hash = router_hash(address, port, version, router_data.seed);

#pragma unroll
    for (__u32 choice = 0; choice < 2; choice++) {
        __u64 index = router_bucket_of(hash, choice, router_settings.bucket_mask);
        const struct router_bucket *bucket;

        PCN_OPAQUE(index);
        bucket = &router_buckets[index];
#pragma clang loop unroll(disable)
        for (int way = 0; way < ROUTER_BUCKET_WAYS; way++) {
            __u64 word = PCN_READ_ONCE(bucket->words[way]);
            struct router_neighbour *neighbour;

            if ((word ^ hash) >> 32 || !word)
                continue;
            neighbour = router_neighbour_at((__u32)word);
            if (neighbour && neighbour->address.v6[0] == address->v6[0] && neighbour->address.v6[1] == address->v6[1] &&
                neighbour->address.v6[2] == address->v6[2] && neighbour->address.v6[3] == address->v6[3] &&
                neighbour->port == port && neighbour->version == version)
                return (__u32)word;
        }
    }
    return 0;
}

PCN_INLINE __u32 router_link_state(__u64 link)
{
    return link >> ROUTER_LINK_STATE_SHIFT & 0xff;
}

/* Whether it is known by this MAC, and there is nothing to learn from it. */
PCN_INLINE bool router_is_known(__u32 number, __u64 mac)
{
    struct router_neighbour *neighbour = router_neighbour_at(number);
    __u64 link;

    if (!neighbour)
        return false;
    link = PCN_READ_ONCE(neighbour->link);
    if (router_link_state(link) == ROUTER_NEIGHBOUR_STATIC)
        return true;
    return router_link_state(link) == ROUTER_NEIGHBOUR_REACHABLE && (link & ROUTER_MAC) == mac;
}
