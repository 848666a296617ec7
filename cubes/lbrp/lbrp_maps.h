/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What fast path and user space share, besides the table of flows (pcn/conntrack.h).
 *
 *     first packet ─ address, port, protocol ─► lbrp_keys ─► service ─ algorithm ─► its places ─► backend
 *     later ones   ─ tuple ─► session: what is to be changed, and to what
 *
 * A session has two keys in the table of flows: its tuple as the client has it, and its tuple as the backend has it, told
 * apart by the zone. A third zone has which backend a client has, where a service has affinity: sessions of one key.
 *
 * Numbers of services and backends begin at 1. A service's places have two halves: one is written while packets read the
 * other, then service.places is stored.
 */
#pragma once
#include <pcn/conntrack.h>

#define LBRP_KEYS ".bss.rpkeys"     /* struct lbrp_bucket; trimmed, as the next ones are */
#define LBRP_NAMES ".bss.rpnames"   /* struct lbrp_name */
#define LBRP_SERVICES ".bss.rpserv" /* struct lbrp_vip */
#define LBRP_PLACES ".bss.rpplaces" /* __u16: number of a backend; two halves a service */
#define LBRP_BACKENDS ".bss.rpends" /* struct lbrp_target */
#define LBRP_LOADS ".bss.rploads"   /* struct lbrp_load: of a backend, for all CPUs */
#define LBRP_COUNTS ".bss.rpcounts" /* struct lbrp_count; for each CPU as many as there are backends */
#define LBRP_DATA ".data.lbrp"      /* struct lbrp_data */

#define PCN_CT_KEYS 2 /* a session's in the table of flows */

#define LBRP_SERVICES_MAX 16384u
#define LBRP_BACKENDS_MAX 65000u
#define LBRP_NAMES_MAX (3 * LBRP_SERVICES_MAX + LBRP_NAMES_EXTRA + 1)
#define LBRP_NAMES_EXTRA (PCN_PORTS_MAX + LBRP_POOL_MAX)
#define LBRP_BUCKETS_MAX 65536u
/* The verifier lets no index reach further than 512 MB. */
#define LBRP_PLACES_MAX (1u << 27)
#define LBRP_COUNTS_MAX (1u << 24)
#define LBRP_POOL_MAX 64u
/* Backends that are compared for the least connections; of more, so many in turns. */
#define LBRP_COMPARED 128u
#define LBRP_COMPARED_AT_ONCE 8u

/* Zones of the table of flows. */
enum lbrp_zone {
    LBRP_CLIENT,
    LBRP_SERVER,
    LBRP_AFFINITY, /* source: the client; destination: the service's number. Or the next one: both halves of the places */
};

enum lbrp_algorithm {
    LBRP_MAGLEV,
    LBRP_ROUND_ROBIN,
    LBRP_LEAST_CONNECTIONS,
};

/* ---- what is found by address, port and protocol ---- */

/* In place of a protocol. ICMPv6 is ICMP here. */
enum lbrp_kind {
    LBRP_ALL = 0,        /* a service: TCP and UDP */
    LBRP_ALL_ICMP = 250, /* port 0: the ICMP of a service of ALL */
    LBRP_ADDRESS = 251,  /* of services, on the clients' side; .number: LBRP_IS_VIP, LBRP_IS_OURS */
    LBRP_POOL = 252,     /* of the snat-pool, on the backends' side */
    LBRP_PORT = 253,     /* the client behind a port; .number: the port's id + 1 */
};
#define LBRP_IS_VIP 1u
#define LBRP_IS_OURS 2u /* and who asks for its MAC gets ours */

struct lbrp_name {
    union pcn_address address;
    __u16 port; /* network order; 0: all */
    __u8 kind;  /* protocol, or enum lbrp_kind */
    __u8 version;
    __u32 number; /* of the service */
};
_Static_assert(sizeof(struct lbrp_name) == 24, "the same on both sides");

#define LBRP_KEY_WAYS 4
/* Upper half: that of the key's hash; lower half: index of the name. 0: free. */
struct lbrp_bucket {
    __u64 words[LBRP_KEY_WAYS];
};

/* Services there are: what none has need not be looked for. */
enum lbrp_shape {
    LBRP_HAS_ALL = 1,      /* of ALL */
    LBRP_HAS_ANY_PORT = 2, /* port 0, of TCP or UDP */
    LBRP_HAS_ANY_ALL = 4,  /* port 0, of ALL */
};

struct lbrp_vip {
    __u64 places;   /* first place | how many << 32; how many 0: no backend takes sessions */
    __u32 affinity; /* jiffies; 0: none */
    __u32 turn;     /* of ROUND_ROBIN, and where LEAST_CONNECTIONS begins */
    __u8 algorithm; /* enum lbrp_algorithm */
    __u8 snat;      /* sessions get a source of the pool */
    __u8 pad[14];
};
_Static_assert(sizeof(struct lbrp_vip) == 32, "two to a cache line");

enum lbrp_target_flag {
    LBRP_TAKES = 1,   /* new sessions */
    LBRP_HAS_MAC = 2, /* frames are sent to .mac */
};

struct lbrp_target {
    union pcn_address address;
    __u32 service;
    __u16 port; /* network order; 0: the packet's */
    __u8 mac[6];
    __u16 weight;
    __u8 epoch; /* another one for each that has the number: sessions of those before are over */
    __u8 flags;
};
_Static_assert(sizeof(struct lbrp_target) == 32, "two to a cache line");

/* In one word, so that a session is one addition. */
struct lbrp_load {
    __u64 sessions; /* that are active | that were opened << LBRP_OPENED_SHIFT */
};
#define LBRP_OPENED_SHIFT 24
#define LBRP_ACTIVE ((1ull << LBRP_OPENED_SHIFT) - 1)
#define LBRP_ONE_MORE ((1ull << LBRP_OPENED_SHIFT) + 1)
_Static_assert(PCN_CT_SIZE_MAX <= LBRP_ACTIVE, "they fit");

struct lbrp_count {
    __u64 packets[2]; /* to it; from it */
    __u64 bytes[2];
};

/* ---- sessions ---- */

enum lbrp_flag {
    LBRP_LIVE = 1 << 24,  /* it is among the active ones of its backend */
    LBRP_WHOLE = 1 << 25, /* both sides change: the tuple is the other key */
};
#define LBRP_EPOCH_SHIFT 16

/*
 * What a session has besides the table of flows. IPv4 has at .middle too what one side becomes (see pcn/conntrack_pair.bpf.h),
 * with the number of the backend, or 0 where both sides change; and the backend's epoch in the word.
 */
struct lbrp_session {
    __u32 state;    /* number of the backend | its epoch << 16 | enum lbrp_flag */
    __u16 frontend; /* MULTI: port the client is behind */
    __u8 mac[6];    /* of who sent the first packet */
    __u8 pad[4];
};
_Static_assert(sizeof(struct lbrp_session) == sizeof(struct pcn_ct_own), "it fits");

/* ---- settings ---- */

/* Variable of .rodata: where arrays end. */
struct lbrp_sizes {
    __u32 key_mask; /* buckets - 1 */
    __u32 n_names;
    __u32 n_services;
    __u32 n_places;
    __u32 n_backends;
    __u32 n_counts;
    __u32 size; /* places of a service, a half of them */
    __u32 n_cpus;
};

#define LBRP_NO_PORT 0xffffu

struct lbrp_data {
    __u16 front; /* SINGLE: the port; MULTI: LBRP_NO_PORT */
    __u16 back;
    __u8 multi;
    __u8 shapes; /* enum lbrp_shape */
    __u8 mac[6];
    /* src-ip-rewrite; network order; .range_mask 0 and .ranged 0: none */
    __u8 ranged;
    __u8 ready; /* there is a port on either side */
    __u8 pad[2];
    __u32 range;
    __u32 range_mask;
    __u32 new_range;
    __u32 new_mask;
    __u32 n_pool[2];  /* IPv4, IPv6 */
    __u16 port_first; /* host order */
    __u16 port_last;
    __u32 pad1[5];
    union pcn_address pool[2][LBRP_POOL_MAX];
};
_Static_assert(sizeof(struct lbrp_data) == 64 + 2 * LBRP_POOL_MAX * 16, "the same on both sides");

/* Drop reasons. */
enum lbrp_reason {
    LBRP_DROP_NO_OTHER_PORT = PCN_DROP_KIND_FIRST,
    LBRP_DROP_NO_BACKEND,
    LBRP_DROP_NO_SESSION,
    LBRP_DROP_TABLE_FULL,
    LBRP_DROP_NO_SOURCE,
    LBRP_DROP_INVALID,
    LBRP_DROP_FRAGMENT,
    LBRP_DROP_RACE,
    LBRP_DROP_REASONS,
};

/* Reasons of the slow path. */
enum lbrp_slow_reason {
    LBRP_SLOW_REJECT,    /* words: bytes of the IP headers, protocol */
    LBRP_SLOW_SOLICITED, /* who has an address of ours? */
};

/* ---- what both sides compute ---- */

#define LBRP_SHARED static inline __attribute__((always_inline))

LBRP_SHARED __u64 lbrp_mix(__u64 first, __u64 second, __u64 seed)
{
    __u64 hash = (first ^ seed) * 0x9e3779b97f4a7c15ull;

    hash = (hash ^ hash >> 32 ^ second) * 0xd6e8feb86659fd93ull;
    hash = (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

/* high, low: halves of the address as they stand; port: network order. */
LBRP_SHARED __u64 lbrp_name_hash(__u64 high, __u64 low, __u16 port, __u32 kind, __u32 version)
{
    return lbrp_mix(high ^ low * 0xd6e8feb86659fd93ull, (__u64)port << 16 | kind << 8 | version, 2);
}

LBRP_SHARED __u32 lbrp_name_bucket(__u64 hash, __u32 choice, __u32 mask)
{
    return (__u32)(choice ? hash >> 16 : hash) & mask;
}

/* Of n places. The hash has no seed: nodes with the same services agree. */
LBRP_SHARED __u32 lbrp_place(__u64 hash, __u32 n)
{
    return (__u32)((hash >> 32) * n >> 32);
}
