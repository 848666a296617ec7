/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The router's tables, read: see router_maps.h. */
#pragma once
#include "router_maps.h"
#include <pcn/cube.bpf.h>

#define ROUTER_ARRAY(name_, entries_, value_)                                                                          \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                              \
        __uint(map_flags, BPF_F_MMAPABLE);                                                                             \
        __uint(max_entries, entries_);                                                                                 \
        __type(key, __u32);                                                                                            \
        __type(value, value_);                                                                                         \
    } name_ SEC(".maps")

struct router_line {
    __u32 words[ROUTER_LINE];
};

ROUTER_ARRAY(router_root4, (1 << ROUTER_ROOT4_BITS) / ROUTER_LINE, struct router_line);
ROUTER_ARRAY(router_root6, (1 << ROUTER_ROOT6_BITS) / ROUTER_LINE, struct router_line);
ROUTER_ARRAY(router_nodes, ROUTER_NODES_DEFAULT, union router_node);
ROUTER_ARRAY(router_hops, ROUTER_HOPS_DEFAULT, struct router_hop);
ROUTER_ARRAY(router_neighbours, ROUTER_NEIGHBOURS_DEFAULT, struct router_neighbour);
ROUTER_ARRAY(router_buckets, ROUTER_BUCKETS_DEFAULT, struct router_bucket);

const volatile struct router_settings router_settings = {.root4_bits = ROUTER_ROOT4_BITS};
/* Global data: found by fewer instructions than an entry of a map. */
struct router_port router_ports[PCN_PORTS_MAX] SEC(ROUTER_PORTS) = {};
struct router_data router_data SEC(ROUTER_DATA) = {.bucket_mask = ROUTER_BUCKETS_DEFAULT - 1};

PCN_INLINE const struct router_port *router_port_at(__u32 id)
{
    return &router_ports[id & (PCN_PORTS_MAX - 1)];
}

/* ---- FIB ---- */

/* From a word that leads to a node to the next word. */
PCN_INLINE __u32 router_step(__u32 word, __u64 first, __u64 second, bool v6)
{
    __u32 number = word & ROUTER_WORD_NUMBER;
    union router_node *node = bpf_map_lookup_elem(&router_nodes, &number);
    __u64 bits = first;

    if (!node)
        return 0;
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

PCN_INLINE struct router_hop router_hop_at(__u32 number)
{
    union {
        __u64 word;
        struct router_hop hop;
    } copy = {};
    __u64 *slot = bpf_map_lookup_elem(&router_hops, &number);

    if (slot)
        copy.word = PCN_READ_ONCE(*slot);
    return copy.hop;
}

/* Word number `index` of a root. */
#define ROUTER_ROOT(map_, index_)                                                                                      \
    ({                                                                                                                 \
        __u32 word_ = 0, number_ = (index_) / ROUTER_LINE;                                                             \
        struct router_line *line_ = bpf_map_lookup_elem(map_, &number_);                                               \
                                                                                                                       \
        if (line_)                                                                                                     \
            word_ = PCN_READ_ONCE(line_->words[(index_) % ROUTER_LINE]);                                               \
        word_;                                                                                                         \
    })

/* address: network order. Number of the hop. */
PCN_INLINE __u32 router_find4(__u32 address)
{
    __u32 host = bpf_ntohl(address), index = host >> (32 - router_settings.root4_bits);
    __u32 word = ROUTER_ROOT(&router_root4, index);

    for (int i = 0; i < ROUTER_STEPS4_MAX && word & ROUTER_WORD_NODE; i++)
        word = router_step(word, (__u64)host << 32, 0, false);
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
    __u64 first, second;
    __u32 index, word;

    if (!address)
        return 0;
    first = (__u64)bpf_ntohl(address->v6[0]) << 32 | bpf_ntohl(address->v6[1]);
    second = (__u64)bpf_ntohl(address->v6[2]) << 32 | bpf_ntohl(address->v6[3]);
    index = first >> (64 - ROUTER_ROOT6_BITS);
    word = ROUTER_ROOT(&router_root6, index);

#pragma clang loop unroll(disable)
    for (int i = 0; i < ROUTER_STEPS6_MAX && word & ROUTER_WORD_NODE; i++)
        word = router_step(word, first, second, true);
    if (!word)
        word = PCN_READ_ONCE(router_data.default6);
    return word & ROUTER_WORD_HOP;
}

/* ---- neighbours ---- */

PCN_INLINE struct router_neighbour *router_neighbour_at(__u32 number)
{
    return number ? bpf_map_lookup_elem(&router_neighbours, &number) : NULL;
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
        __u32 index = router_bucket_of(hash, choice, router_data.bucket_mask);
        struct router_bucket *bucket = bpf_map_lookup_elem(&router_buckets, &index);

        if (!bucket)
            return 0;
#pragma clang loop unroll(disable)
        for (int way = 0; way < ROUTER_BUCKET_WAYS; way++) {
            __u64 word = PCN_READ_ONCE(bucket->words[way]);
            struct router_neighbour *neighbour;

            if ((word ^ hash) >> 32 || !word)
                continue;
            neighbour = router_neighbour_at(word);
            if (neighbour && neighbour->address.v6[0] == address->v6[0] && neighbour->address.v6[1] == address->v6[1] &&
                neighbour->address.v6[2] == address->v6[2] && neighbour->address.v6[3] == address->v6[3] &&
                neighbour->port == port && neighbour->version == version)
                return word;
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
