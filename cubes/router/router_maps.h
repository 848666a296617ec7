/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The router's tables, written by user space alone, read by the fast path
 * (which writes one word, router_neighbour.used). Every change that a packet
 * could see half done is one store of a word:
 *
 *     destination ─► root4, root6 ─► nodes... ─► hops ─► neighbours ─► MAC
 *
 * FIB: a trie of 4 bits a step over addresses aligned to the left, the first
 * step by a root of 2^root4_bits (IPv4) or 2^16 words (IPv6). A word is a leaf
 * (hop, and length of the prefix it is of; 0: no route) or leads to a node: one
 * that branches by 4 bits, or one that compares more of them and saves steps. So a
 * route takes ROUTER_NODES_PER_ROUTE nodes at most, usually one, a cache line each.
 * The route of length 0 stands in router_data: it is what a word of 0 means.
 *
 * Neighbours: slots found by hash, through buckets of eight words (slot and a
 * part of the hash); or, for gateways, by number from the hop. A slot or hop
 * or node that is taken out of use is reused no sooner than after
 * ROUTER_RETIRE_MS: a packet that found the way to it is done by then.
 */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

/* Names of the sections, mapped by user space. Those in .bss. are trimmed; settings say where they end. */
#define ROUTER_ROOT4 ".bss.root4"       /* __u32, 2^root4_bits of them */
#define ROUTER_ROOT6 ".bss.root6"       /* __u32, 2^ROUTER_ROOT6_BITS */
#define ROUTER_NODES ".bss.nodes"       /* union router_node; number 0 is not used */
#define ROUTER_HOPS ".bss.hops"         /* struct router_hop; number 0 is "no route" */
#define ROUTER_NEIGHBOURS ".bss.neighb" /* struct router_neighbour; number 0 is not used */
#define ROUTER_BUCKETS ".bss.buckets"   /* struct router_bucket; a power of two */
#define ROUTER_PORTS ".data.ports"      /* struct router_port; PCN_PORTS_MAX, by id of the port */
#define ROUTER_DATA ".data.router"      /* struct router_data */

#define ROUTER_RETIRE_MS 20

/* Variable of .rodata, set before load. */
struct router_settings {
    __u32 root4_bits; /* 16 or 20 */
    __u32 n_nodes;
    __u32 n_hops;
    __u32 n_neighbours;
    __u32 bucket_mask; /* buckets - 1 */
};

/* ---- FIB ---- */

#define ROUTER_ROOT4_BITS 20 /* default: 4 MB; 16 takes 256 KB, and a step (5 ns) and some nodes more */
#define ROUTER_ROOT6_BITS 16
#define ROUTER_NODES_PER_ROUTE 4
/* For as many routes and neighbours as the model lets there be. */
#define ROUTER_NODES_MAX 2650000
#define ROUTER_HOPS_MAX (1 << 17)

/* A word that leads to a node: NODE | SKIP? | step | number. */
#define ROUTER_WORD_NODE (1u << 31)
#define ROUTER_WORD_SKIP (1u << 30) /* the node compares; or else it branches */
/* The 4 bits that a node branches by: of the second 8 bytes of the address?, and by how much to shift these right. */
#define ROUTER_WORD_SECOND (1u << 29)
#define ROUTER_WORD_SHIFT(word) ((word) >> 23 & 0x3c) /* 0, 4... 60, from bits 25 to 28 */
#define ROUTER_WORD_NUMBER ((1u << 25) - 1)
/* A leaf: length << 23 | hop. */
#define ROUTER_WORD_LENGTH_SHIFT 23
#define ROUTER_WORD_HOP ((1u << 23) - 1)

/* Steps of a lookup behind the root at most: 4 bits each. */
#define ROUTER_STEPS4_MAX 4
#define ROUTER_STEPS6_MAX 28

union router_node {
    __u32 words[16]; /* branch */
    struct {
        __u64 key[2];  /* host order, first 8 bytes of the address first; IPv4: in the upper half of the first */
        __u64 mask[2]; /* the bits that are compared: all in front of the next step's */
        __u32 hit;     /* word */
        __u32 miss;    /* word: always a leaf */
    } skip;
};
_Static_assert(sizeof(union router_node) == 64, "a node is a cache line");

enum router_hop_kind {
    ROUTER_HOP_NONE,        /* no route: ICMP error */
    ROUTER_HOP_CONNECTED,   /* the destination is a neighbour on .port */
    ROUTER_HOP_GATEWAY,     /* .index is the neighbour, on .port */
    ROUTER_HOP_LOCAL,       /* an address of the router's, of .port */
    ROUTER_HOP_BROADCAST,   /* the broadcast address of a network on .port (or its first address) */
    ROUTER_HOP_BLACKHOLE,   /* drop, say nothing */
    ROUTER_HOP_UNREACHABLE, /* ICMP error */
    ROUTER_HOP_ECMP,        /* one of .count hops (CONNECTED, GATEWAY), of which .index is the first */
    ROUTER_HOP_MAX,
};

#define ROUTER_HOP_COUNT_MAX 16

/* Replaced by one store. */
struct router_hop {
    __u8 kind;
    __u8 count;
    __u16 port;
    __u32 index;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct router_hop) == 8, "a hop is a word");

/* ---- neighbours ---- */

#define ROUTER_NEIGHBOURS_MAX (65536 + 1)
#define ROUTER_BUCKET_WAYS 8
#define ROUTER_BUCKETS_MAX 16384 /* twice as many words as neighbours, so that there always is room */

enum router_neighbour_state {
    ROUTER_NEIGHBOUR_NONE,
    ROUTER_NEIGHBOUR_INCOMPLETE, /* asked for: packets go to user space, which keeps some */
    ROUTER_NEIGHBOUR_REACHABLE,  /* from here on packets go to its MAC */
    ROUTER_NEIGHBOUR_STALE,      /* not heard for long, or being asked */
    ROUTER_NEIGHBOUR_STATIC,
    ROUTER_NEIGHBOUR_STATE_MAX,
};

#define ROUTER_MAC ((1ull << 48) - 1)
#define ROUTER_LINK_STATE_SHIFT 48

struct router_neighbour {
    __u64 link; /* MAC, first byte lowest, and state << ROUTER_LINK_STATE_SHIFT: one store */
    __u64 used; /* jiffies of a packet that went there; stored by the fast path if router_data.refresh newer */
    union pcn_address address;
    __u16 port;
    __u8 version; /* 4 or 6 */
    __u8 pad0;
    __u32 pad1[7];
};
_Static_assert(sizeof(struct router_neighbour) == 64, "a neighbour is a cache line");

/* 0: free. Number of the neighbour, and the upper half of its hash << 32. A word may stand in either of its two buckets. */
struct router_bucket {
    __u64 words[ROUTER_BUCKET_WAYS];
};
_Static_assert(sizeof(struct router_bucket) == 64, "a bucket is a cache line");

/* ---- ports and the rest ---- */

/* All 0: the port has no configuration, and all that comes by it is dropped. */
struct router_port {
    __u64 mac;      /* first byte lowest; 0: none */
    __u32 mtu;      /* bytes of an IP packet */
    __u32 address4; /* network order; source of ICMP errors; 0: none */
    __u32 address6[4];
    __u32 link_local[4]; /* the port's fe80::; 0: none */
    __u32 pad[4];
};
_Static_assert(sizeof(struct router_port) == 64, "a port is a cache line");

struct router_data {
    __u32 default4; /* leaves: the routes of length 0 */
    __u32 default6;
    __u64 seed;    /* of the hash of neighbours and flows: random */
    __u64 refresh; /* jiffies: router_neighbour.used is not written more often */
    __u32 pad[10];
};
_Static_assert(sizeof(struct router_data) == 64, "the same on both sides");

/* name, label of the metric, help */
#define ROUTER_DROPS(X)                                                                                                \
    X(OTHER_HOST, "other-host", "the frame was sent to another MAC address")                                           \
    X(TAGGED, "tagged", "a frame with a VLAN tag: ports of a router are untagged")                                     \
    X(NOT_IP, "not-ip", "neither IPv4 nor IPv6 nor ARP")                                                               \
    X(BAD_CHECKSUM, "bad-checksum", "wrong checksum of the IPv4 header, or of a neighbour solicitation")               \
    X(BAD_SOURCE, "bad-source", "a source address that no packet may have")                                            \
    X(BAD_DESTINATION, "bad-destination", "a destination that is not routed: loopback, unspecified, link-local")       \
    X(MULTICAST, "multicast", "sent to a group, or by broadcast")                                                      \
    X(BLACKHOLE, "blackhole", "the route says drop")                                                                   \
    X(NOT_ASKED, "not-asked", "an ARP request or a neighbour solicitation for an address of someone else")             \
    X(NO_ROUTE, "no-route", "no route leads to the destination")                                                       \
    X(NO_NEIGHBOUR, "no-neighbour", "the next hop does not answer")                                                    \
    X(TTL, "ttl", "its time to live was over")                                                                         \
    X(TOO_BIG, "too-big", "longer than the MTU, and not to be fragmented")                                             \
    X(NOT_SERVED, "not-served", "sent to the router itself, which offers no such service")                             \
    X(RATE, "rate", "more than user space takes in a second")

enum router_drop {
    ROUTER_DROP_FIRST_ = PCN_DROP_KIND_FIRST - 1,
#define X(name, label, help) ROUTER_DROP_##name,
    ROUTER_DROPS(X)
#undef X
        ROUTER_DROP_END,
};

/* Why a packet is sent up: reason of the record, and its words. */
enum router_slow {
    ROUTER_SLOW_ARP,       /* a reply, or a request for an address of ours by someone who is not known (so) */
    ROUTER_SLOW_ND,        /* likewise a neighbour advertisement or solicitation; hop limit and lengths are right */
    ROUTER_SLOW_NEIGHBOUR, /* to be sent, TTL not yet decremented: words are port, neighbour or 0: unknown, hop */
    ROUTER_SLOW_TTL,       /* transit, TTL is 1 or 0 */
    ROUTER_SLOW_NO_ROUTE,  /* hop NONE or UNREACHABLE: words[0] is its kind */
    ROUTER_SLOW_TOO_BIG,   /* words are MTU and port: IPv6, or IPv4 with DF */
    ROUTER_SLOW_FRAGMENT,  /* IPv4 without DF, TTL not yet decremented: words are MTU, port, neighbour or 0, if known */
    ROUTER_SLOW_LOCAL,     /* to an address of ours, and not answered by the fast path; a fragment maybe */
    ROUTER_SLOW_MAX,
};

/* ---- what both sides compute ---- */

#define ROUTER_SHARED static inline __attribute__((always_inline))

/* The low half gives the first bucket, the high half the second, and goes into the word. */
ROUTER_SHARED __u64 router_hash(const union pcn_address *address, __u32 port, __u32 version, __u64 seed)
{
    __u64 first = (__u64)address->v6[0] << 32 | address->v6[1];
    __u64 second = (__u64)address->v6[2] << 32 | address->v6[3];
    __u64 hash = (first ^ seed) * 0x9e3779b97f4a7c15ull;

    hash = (hash ^ hash >> 29 ^ second) * 0xd6e8feb86659fd93ull;
    hash = (hash ^ hash >> 32 ^ (port << 4 | version)) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

ROUTER_SHARED __u32 router_bucket_of(__u64 hash, __u32 choice, __u32 mask)
{
    return (__u32)(choice ? hash >> 40 : hash) & mask;
}

ROUTER_SHARED __u64 router_bucket_word(__u64 hash, __u32 neighbour)
{
    return hash >> 32 << 32 | neighbour;
}
