/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What fast path and user space share.
 *
 *     packet ─ address, port, protocol ─► lbdsr_keys ─► vip ─ hash of the flow ─► its Maglev table ─► backend
 *                                                        └─ hash of the flow ─► connections of this CPU ──┘
 *
 * A vip is published by a word in lbdsr_keys, after all it has is written. Its places have two halves: one is
 * written while packets read the other one, then vip.table is stored. Numbers of vips and of backends begin at 1.
 */
#pragma once
#include <pcn/abi.h>

#define LBDSR_KEYS ".bss.lbkeys"     /* struct lbdsr_bucket; trimmed, as the next ones are */
#define LBDSR_VIPS ".bss.lbvips"     /* struct lbdsr_vip */
#define LBDSR_PLACES ".bss.lbplaces" /* __u16: number of a backend; two halves a service */
#define LBDSR_BACKENDS ".bss.lbends" /* struct lbdsr_target */
#define LBDSR_COUNTS ".bss.lbcounts" /* struct lbdsr_count; for each CPU as many as there are backends */
#define LBDSR_FLOWS ".bss.lbflows"   /* struct lbdsr_flows; for each CPU as many */
#define LBDSR_DATA ".data.lbdsr"     /* struct lbdsr_data */

#define LBDSR_SERVICES_MAX 4096u
#define LBDSR_BACKENDS_MAX 65000u
#define LBDSR_VIPS_MAX (2 * LBDSR_SERVICES_MAX + 2)
#define LBDSR_BUCKETS_MAX 16384u
/* The verifier lets no index reach further than 512 MB. */
#define LBDSR_PLACES_MAX (1u << 27)
#define LBDSR_COUNTS_MAX (1u << 24)
#define LBDSR_FLOW_BUCKETS_MAX (1u << 22)

enum lbdsr_mode {
    LBDSR_L2DSR,
    LBDSR_L3DSR,
    LBDSR_IPIP, /* from here on with an outer header */
    LBDSR_GUE,
    LBDSR_VXLAN,
    LBDSR_GENEVE,
    LBDSR_MODES,
};

/* Of a vip that stands for an address alone: who asks for its MAC, or for an echo, is answered. */
#define LBDSR_ADDRESS 255
/* Of one that takes all protocols. */
#define LBDSR_ALL 0

/* How a vip's flows are spread: a word, so that a packet sees all of it as it was, or all as it is. */
union lbdsr_table {
    struct {
        __u64 first : 28;   /* of its places; 0: there is no backend that takes flows */
        __u64 size : 20;    /* so many: a prime */
        __u64 affinity : 1; /* the client's address alone decides */
        __u64 changed : 1;  /* it is not the first one: flows may have another backend than it says */
        __u64 rules : 2;    /* LBDSR_ALLOW... */
        __u64 quic_config : 3;
        __u64 pad : 9;
    };
    __u64 word;
};

struct lbdsr_vip {
    union pcn_address address;
    __u16 port; /* network order; 0: all */
    __u8 protocol;
    __u8 pad;
    __u32 domain; /* see lbdsr_domain() */
    union lbdsr_table table;
};
_Static_assert(sizeof(struct lbdsr_vip) == 32, "two to a cache line");

/* What a service asks for beside its table. */
#define LBDSR_ALLOW 1u /* sources in map lbdsr_allowed */
#define LBDSR_QUIC 2u  /* connection ids in map lbdsr_servers */

#define LBDSR_ALLOWED_MAX 65536u
#define LBDSR_SERVERS_MAX 65536u

/* Key of map lbdsr_allowed, of longest prefixes; its value is a byte that means nothing. */
struct lbdsr_allowed_key {
    __u32 bits; /* those of vip, and the prefix' */
    __u32 vip;
    union pcn_address address;
};
_Static_assert(sizeof(struct lbdsr_allowed_key) == 24, "the same on both sides");

/* Key of map lbdsr_servers; its value is the number of a backend. */
struct lbdsr_server_key {
    __u32 vip;
    __u32 server; /* id */
};

#define LBDSR_KEY_WAYS 4
/* Upper half: that of the key's hash; lower half: number of the vip. 0: free. */
struct lbdsr_bucket {
    __u64 words[LBDSR_KEY_WAYS];
};

/* What the fast path does for a backend. None: the frame's destination MAC is all that changes. */
#define LBDSR_OUTER 1u     /* what stands in .outer goes in front of the packet */
#define LBDSR_OUTER_V6 2u  /* its IP header is of IPv6 */
#define LBDSR_OUTER_UDP 4u /* behind that there is one of UDP */
#define LBDSR_CAREFUL 8u   /* its service has more to ask than whether the flow is known */
#define LBDSR_REWRITE 16u  /* the packet's own destination becomes .address, its DSCP .tos */
#define LBDSR_VLAN 32u     /* the frame leaves with VLAN id .vlan */

/* .size of one that is being written. */
#define LBDSR_UNFINISHED 255u
#define LBDSR_OUTER_IPV4 22u /* .size of IPv4 alone */
#define LBDSR_OUTER_MAX 72u  /* IPv6, UDP, Geneve, Ethernet, and the type in front of them */

/*
 * A backend: what all its packets get, made by the control path; the fast path copies it, and fills in what is the
 * packet's own: lengths, DSCP and ECN, id and DF, a source port or address by the hash of the flow, and the checksum.
 */
struct lbdsr_target {
    __u16 epoch; /* another one for each that has the number: flows of those before are none of its */
    __u8 flags;  /* LBDSR_OUTER ... */
    __u8 size;   /* of .outer */
    __u16 vlan;
    __u8 tos_mask; /* what is taken of the inner packet's */
    __u8 tos;
    __u32 sum;   /* of the outer IPv4 header's words */
    __u32 hosts; /* network order: bits of the outer source that follow the hash */
    __u64 room;  /* TC: flags of bpf_skb_adjust_room() */
    /* Addresses and type of the frame, and the outer header: what is in front of a packet without a tag. */
    __u8 mac[6];
    __u8 our_mac[6];
    union {
        __u8 outer[LBDSR_OUTER_MAX + 4]; /* from the Ethernet header's type on */
        union pcn_address address;
    };
    __u8 pad[16];
};
_Static_assert(__builtin_offsetof(struct lbdsr_target, outer) == __builtin_offsetof(struct lbdsr_target, mac) + 12,
               "copied as one");
_Static_assert(sizeof(struct lbdsr_target) == 128, "two cache lines; IPv4 in IPv4 needs the first alone");

struct lbdsr_count {
    __u64 packets;
    __u64 bytes;
};

/* ---- connections ---- */

enum lbdsr_state {
    LBDSR_FREE,
    LBDSR_NEW, /* one packet was seen */
    LBDSR_ESTABLISHED,
    LBDSR_OVER, /* FIN or RST */
};

#define LBDSR_BACKEND_BITS 0xffffu
#define LBDSR_EPOCH_SHIFT 16
#define LBDSR_EPOCH_BITS 0xfffu
#define LBDSR_STATE_SHIFT 28

/*
 * Known by its hash, all 64 bits of it. Flows that share it share their place in the Maglev table too, so that
 * who makes them share it gains nothing.
 */
struct lbdsr_flow {
    __u64 hash;
    __u32 seen; /* jiffies */
    __u32 word; /* number of the backend, its epoch, state */
};

#define LBDSR_FLOW_WAYS 4
struct lbdsr_flows {
    struct lbdsr_flow flows[LBDSR_FLOW_WAYS];
};
_Static_assert(sizeof(struct lbdsr_flows) == 64, "a cache line");

/* Of a CPU. */
struct lbdsr_tally {
    __u64 hits;
    __u64 misses;
    __u64 created;
    __u64 replaced;
    __u64 full;
    __u32 segment; /* tenant of the packet that is at work, if it came in a segment */
    __u32 opening; /* the packet before was of a new flow: the next one may be, too */
    __u64 pad1[2];
};
_Static_assert(sizeof(struct lbdsr_tally) == 64, "a cache line each");

/* ---- settings ---- */

/* Variable of .rodata: where arrays end. */
struct lbdsr_sizes {
    __u32 key_mask; /* buckets - 1 */
    __u32 n_vips;
    __u32 n_places;
    __u32 n_backends;
    __u32 n_counts;
    __u32 n_flow_buckets; /* of all CPUs */
    __u32 flow_mask;      /* of one: buckets - 1 */
    __u32 n_cpus;
};

enum lbdsr_side {
    LBDSR_FRONTEND,
    LBDSR_BACKEND,
    LBDSR_SIDES,
};
#define LBDSR_NO_PORT 0xffffu

/* Services there are: what none has need not be looked for. */
#define LBDSR_HAS_PORT 1u
#define LBDSR_HAS_PROTOCOL 2u
#define LBDSR_HAS_ALL 4u
#define LBDSR_HAS_VLAN 8u
#define LBDSR_HAS_SEGMENT 16u
#define LBDSR_HAS_TENANT (LBDSR_HAS_VLAN | LBDSR_HAS_SEGMENT)
#define LBDSR_SHAPES 5

#define LBDSR_VXLAN_PORT 4789  /* RFC 7348 */
#define LBDSR_GENEVE_PORT 6081 /* RFC 8926 */

struct lbdsr_data {
    __u16 ports[LBDSR_SIDES];
    __u8 shapes; /* LBDSR_HAS_* */
    __u8 pad[3];
    __u32 hash_seed;
    __u32 timeout; /* jiffies */
    __u32 refresh; /* jiffies: .seen is not moved for less */
    __u32 mtu;     /* of the backends' side; 0: any */
    __u8 mac[6];   /* of the frontend */
    __u16 pad1;
    /* Where packets in segments arrive, network order; 0: nowhere. */
    __u32 tunnel;
    __u32 tunnel6[4];
    __u8 pad2[12];
    struct lbdsr_tally statistics[PCN_CPUS_MAX];
};
_Static_assert(sizeof(struct lbdsr_data) == 64 + PCN_CPUS_MAX * 64, "the same on both sides");

/* Drop reasons. */
enum lbdsr_reason {
    LBDSR_DROP_NO_OTHER_PORT = PCN_DROP_KIND_FIRST,
    LBDSR_DROP_NO_BACKEND,
    LBDSR_DROP_FRAGMENT,
    LBDSR_DROP_TOO_BIG,
    LBDSR_DROP_ENCAPSULATION,
    LBDSR_DROP_NOT_ALLOWED,
    LBDSR_DROP_REASONS,
};

/* Reasons of the slow path. */
enum lbdsr_slow_reason {
    LBDSR_SLOW_TOO_BIG,   /* words: the MTU, the IP version */
    LBDSR_SLOW_SOLICITED, /* who has an IPv6 VIP? */
    LBDSR_SLOW_SEGMENT,   /* who has a VIP? Asked in a segment */
};

/* ---- what both sides compute ---- */

#define LBDSR_SHARED static inline __attribute__((always_inline))

LBDSR_SHARED __u64 lbdsr_mix(__u64 first, __u64 second, __u64 seed)
{
    __u64 hash = (first ^ seed) * 0x9e3779b97f4a7c15ull;

    hash = (hash ^ hash >> 32 ^ second) * 0xd6e8feb86659fd93ull;
    hash = (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

/* Of an address; IPv4: it has one word. */
LBDSR_SHARED __u64 lbdsr_address_hash(const union pcn_address *address, __u32 version, __u64 seed)
{
    if (version == 4)
        return address->v4;
    return lbdsr_mix((__u64)address->v6[0] << 32 | address->v6[1], (__u64)address->v6[2] << 32 | address->v6[3], seed);
}

/* A tenant is a VLAN id, 0: any; or from LBDSR_SEGMENTS on a segment. mode: LBDSR_VXLAN or LBDSR_GENEVE. */
#define LBDSR_SEGMENTS (1u << 24)
LBDSR_SHARED __u32 lbdsr_segment_tenant(__u32 mode, __u32 vni)
{
    return (mode == LBDSR_VXLAN ? LBDSR_SEGMENTS : 2 * LBDSR_SEGMENTS) | vni;
}

/* Where addresses have their meaning: version, and tenant. */
LBDSR_SHARED __u32 lbdsr_domain(__u32 version, __u32 tenant)
{
    return version | tenant << 4;
}

LBDSR_SHARED __u32 lbdsr_domain_version(__u32 domain)
{
    return domain & 15;
}

/* port: network order. */
LBDSR_SHARED __u64 lbdsr_key_hash(const union pcn_address *address, __u16 port, __u32 protocol, __u32 domain)
{
    return lbdsr_mix(lbdsr_address_hash(address, lbdsr_domain_version(domain), 1),
                     ((__u64)port << 32 | protocol << 24) ^ domain, 2);
}

/* ports: the client's in the lower half. The same on every node with the same seed. */
LBDSR_SHARED __u64 lbdsr_flow_hash(__u64 client, __u64 vip, __u32 ports, __u32 protocol, __u64 seed)
{
    __u64 hash = (client << 32 ^ client >> 32 ^ vip ^ seed) * 0x9e3779b97f4a7c15ull;

    hash = (hash ^ hash >> 32 ^ (__u64)protocol << 32 ^ ports) * 0xd6e8feb86659fd93ull;
    return hash ^ hash >> 32;
}

LBDSR_SHARED __u32 lbdsr_key_bucket(__u64 hash, __u32 choice, __u32 mask)
{
    return (__u32)(choice ? hash >> 16 : hash) & mask;
}

/* Both are in one page, so that the second one costs no second miss of the TLB. */
LBDSR_SHARED __u32 lbdsr_flow_bucket(__u64 hash, __u32 choice, __u32 mask)
{
    __u32 first = (__u32)hash & mask;

    return choice ? (first & ~63u) | ((hash >> 24) & 63) : first;
}

/* Place in a table of size places. */
LBDSR_SHARED __u32 lbdsr_place(__u64 hash, __u32 size)
{
    return (__u32)((hash >> 32) * size >> 32);
}

LBDSR_SHARED __u32 lbdsr_flow_word(__u32 backend, __u32 epoch, __u32 state)
{
    return backend | (epoch & LBDSR_EPOCH_BITS) << LBDSR_EPOCH_SHIFT | state << LBDSR_STATE_SHIFT;
}
