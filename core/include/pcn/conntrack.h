/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The table of flows, shared by the fast path (pcn/conntrack.bpf.h) and user space.
 *
 * A flow has a number, and a place, in either of two buckets of eight by its hash, which leads to its entry. A bucket is
 * eight tags of a byte (0: the place is nobody's) and the eight slots that places lead to: half a line of cache. Buckets are
 * few enough to stay in the caches, and entries stand close together: it is the entry of its flow alone that a packet
 * waits for. That begins with a word which has all that changes, so that it is replaced whole, by compare-and-swap, by
 * whoever writes:
 *
 *     63     48  47   37 36   32 31                  0
 *     [  hash  ][  own  ][state][ expires, in jiffies ]
 *
 * A place is taken by its tag, from 0. Who took it writes the flow's entry, the word last: nobody finds a flow whose word
 * is 0. Who ends a flow is who changes its word to 0; then its place is left, then its number is free. A flow counts until it
 * expires, whether somebody has ended it or not. Two CPUs that see a flow's first packet at the same time may both enter it:
 * one is found by all, the other expires. Of a session one of them does, or neither.
 *
 * An entry is the key as far as IPv4 needs it: two of them are a line of cache. What IPv6 has more stands apart
 * (PCN_CT_WIDES). A slot is the number of an entry.
 *
 * Numbers are given out in the order in which they became free: new flows are written one behind the other, not where their
 * hashes happen to be, which is what most of their time would go into. Free ones are in a ring: user space puts in those of
 * flows that have ended, each CPU takes some at a time. Where a flow has to make room the fast path ends it, and uses its
 * number again. One that it ends otherwise leaves its places, too, but gets a word that has expired and is no flow's: user
 * space finds that, and takes the number.
 *
 * Where a flow has one key, its number is its slot. Where it has two, which a translator changes into each other, it is a
 * session: an entry for each key, which have the same number in either half of the entries, the first packet's own key in
 * the first. Buckets of even zones and of odd ones are a half each, too, so that packets one way do not drag along what
 * those the other way need. Who takes the word of a session's first entry from it to 0 has the session. What the cube says
 * of a session is in PCN_CT_OWNS.
 *
 *     place ─► buckets ─ slot ─► entries   [first keys, by number | other keys]
 *       ▲                  │└─ number ─► owns
 *       └── PCN_CT_PLACES ◄┘
 *
 * Expiry is the lower half of the jiffies: timeouts are below PCN_CT_TIMEOUT_MAX,
 * and user space takes away what is expired long before half the range has passed.
 */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

/* Names of the maps. */
#define PCN_CT_BUCKETS ".bss.ctbucket"      /* struct pcn_ct_bucket; trimmed, a power of two */
#define PCN_CT_ENTRIES ".bss.ctentry"       /* struct pcn_ct_entry, a slot's; trimmed, a power of two */
#define PCN_CT_WIDES ".bss.ctwide"          /* struct pcn_ct_wide; as many */
#define PCN_CT_WINDOWS ".bss.ctwindow"      /* struct pcn_ct_window; one, or as many: they are checked */
#define PCN_CT_TRAFFIC ".bss.cttraf"        /* struct pcn_ct_traffic; one, or as many: counting */
#define PCN_CT_PLACES ".bss.ctplace"        /* __u32, a slot's: which leads to it, or PCN_CT_NO_SLOT; as many */
#define PCN_CT_NUMBERS ".bss.ctnumber"      /* struct pcn_ct_numbers, and __u32, the ring; trimmed, a power of two */
#define PCN_CT_OWNS ".bss.ctown"            /* of sessions: struct pcn_ct_own; as many as there are numbers */
#define PCN_CT_FRAGMENTS "pcn_ct_fragments" /* struct pcn_ct_fragment; PCN_CT_FRAGMENTS_MAX */
#define PCN_CT_SETTINGS ".data.ct"          /* struct pcn_ct_settings */
#define PCN_CT_STATISTICS ".data.ctstat"    /* struct pcn_ct_statistics; PCN_CPUS_MAX */

#define PCN_CT_WAYS 8
#define PCN_CT_SIZE_DEFAULT 65536u
#define PCN_CT_SIZE_MIN 64u
#define PCN_CT_SIZE_MAX 1048576u
#define PCN_CT_BUCKETS_MAX (2 * PCN_CT_SIZE_MAX / PCN_CT_WAYS)
#define PCN_CT_FRAGMENTS_MAX 4096  /* a power of two */
#define PCN_CT_TIMEOUT_MAX 1000000 /* seconds: below 2^31 jiffies where there are 1,000 a second */
#define PCN_CT_NO_SLOT 0xffffffffu /* packet.ct_slot: no flow was found, or it is not tracked */

/* packet.ct_state */
enum pcn_ct_state {
    PCN_CT_NONE, /* not tracked: not IP, neighbour discovery, group membership, ICMP that is neither echo nor error */
    PCN_CT_NEW,  /* opens a flow, or the flow was not answered yet */
    PCN_CT_ESTABLISHED, /* of a flow that was answered, or the answer */
    PCN_CT_RELATED,     /* an ICMP error about a flow */
    PCN_CT_INVALID,     /* cannot be: no flow has it, and it opens none */
    PCN_CT_STATE_MAX,
};

/* State of a flow. "First" is who sent its first packet. */
enum pcn_ct_flow {
    PCN_CT_FREE,
    PCN_CT_TCP_SYN_SENT,
    PCN_CT_TCP_SYN_SENT2, /* both have sent a SYN: simultaneous open */
    PCN_CT_TCP_SYN_RECV,
    PCN_CT_TCP_ESTABLISHED,
    PCN_CT_TCP_FIN_WAIT,   /* the first has sent its FIN */
    PCN_CT_TCP_CLOSE_WAIT, /* the other one has */
    PCN_CT_TCP_LAST_ACK,   /* both have */
    PCN_CT_TCP_TIME_WAIT,
    PCN_CT_TCP_CLOSED, /* by RST */
    PCN_CT_UDP_NEW,
    PCN_CT_UDP_REPLIED,
    PCN_CT_UDP_ASSURED, /* and the first has sent again */
    PCN_CT_ICMP_NEW,
    PCN_CT_ICMP_REPLIED,
    PCN_CT_OTHER_NEW,
    PCN_CT_OTHER_REPLIED,
    PCN_CT_FLOW_MAX,
    PCN_CT_REOPEN = 31, /* what the state machine says where a SYN begins a new flow in an old one's place */
};
#define PCN_CT_FLOWS 32 /* size of tables by state */

#define PCN_CT_BIT(name_) (1u << PCN_CT_##name_)
/* What the first sends is NEW. */
#define PCN_CT_UNANSWERED                                                                                              \
    (PCN_CT_BIT(FREE) | PCN_CT_BIT(TCP_SYN_SENT) | PCN_CT_BIT(UDP_NEW) | PCN_CT_BIT(ICMP_NEW) | PCN_CT_BIT(OTHER_NEW))
/* Makes room for a new flow, where there is none: not answered, a handshake not complete, or over. */
#define PCN_CT_DROPPABLE                                                                                               \
    (PCN_CT_UNANSWERED | PCN_CT_BIT(TCP_SYN_SENT2) | PCN_CT_BIT(TCP_SYN_RECV) | PCN_CT_BIT(TCP_TIME_WAIT) |            \
     PCN_CT_BIT(TCP_CLOSED))

#define PCN_CT_HASH_SHIFT 48
#define PCN_CT_HASH_ODD_SHIFT 47 /* of a hash: whether its zone is odd; no choice of a bucket reaches so high */
#define PCN_CT_FLOW_SHIFT 32
#define PCN_CT_OWN_SHIFT 37 /* of a cube that enters sessions, in both words: they stay */
#define PCN_CT_OWN_BITS 0x7ffull

#define PCN_CT_KEY_WORDS 5
/* As the first packet had it. words[4]: ports (network order), protocol, IP version and zone, lowest first. */
struct pcn_ct_key {
    __u64 words[PCN_CT_KEY_WORDS]; /* source, destination */
};
#define PCN_CT_DESTINATION_PORT_SHIFT 16
#define PCN_CT_PROTOCOL_SHIFT 32
#define PCN_CT_VERSION_SHIFT 40
#define PCN_CT_ZONE_SHIFT 48

/* IPv6: the last 64 bits of the source; of the destination. */
struct pcn_ct_wide {
    __u64 low[2];
};
_Static_assert(sizeof(struct pcn_ct_wide) == 16, "four to a cache line");

struct pcn_ct_entry {
    __u64 word;
    __u64 tuple;  /* words[4] of the key */
    __u64 pair;   /* the first 32 bits of the source; of the destination */
    __u64 middle; /* IPv6: the next 32 bits, in the same order; else own */
};
_Static_assert(sizeof(struct pcn_ct_entry) == 32, "two to a cache line");

/* Where its places lead. slots: slot + 1, in host order, 24 bits of it; 0: it is not written yet. */
struct pcn_ct_bucket {
    __u8 slots[PCN_CT_WAYS][3];
    __u64 tags;
};
_Static_assert(sizeof(struct pcn_ct_bucket) == 32, "two to a cache line");
_Static_assert(2 * PCN_CT_SIZE_MAX < 1 << 24, "slots fit");

/* What a cube says of a session. */
struct pcn_ct_own {
    __u64 words[2];
};
_Static_assert(sizeof(struct pcn_ct_own) == 16, "four to a cache line");

#define PCN_CT_STOCK 14
/* A CPU's free numbers, to be given out from the last one on. */
struct pcn_ct_stock {
    __u32 n;
    __u32 futile; /* when one had to make room, none did: next time fewer are looked at */
    __u32 numbers[PCN_CT_STOCK];
};
_Static_assert(sizeof(struct pcn_ct_stock) == 64, "a cache line each");

/* In front of the ring, where free numbers are at head to tail - 1, modulo how many there are. */
struct pcn_ct_numbers {
    __u64 head; /* of the fast path */
    __u64 pad[7];
    __u64 tail; /* of user space */
    __u64 pad1[7];
    struct pcn_ct_stock stocks[PCN_CPUS_MAX];
};

/* TCP, where windows are checked: what one side has sent and may send. */
struct pcn_ct_side {
    __u32 end;   /* highest sequence number it has sent, and one */
    __u32 limit; /* highest that the other side lets it send */
};

struct pcn_ct_window {
    struct pcn_ct_side sides[2]; /* of the first; of the other */
    __u16 windows[2];            /* largest one offered by it, before scaling */
    __u8 scales[2];              /* PCN_CT_SCALE_*, shift */
    __u8 seen[2];                /* its .side holds something */
    __u64 pad;
};
_Static_assert(sizeof(struct pcn_ct_window) == 32, "two to a cache line");
#define PCN_CT_SCALE_OFFERED 0x80 /* it counts once both have offered */
#define PCN_CT_SCALE_SHIFT 0x0f

/* By direction: of the first; of the other. */
struct pcn_ct_traffic {
    __u64 packets[2];
    __u64 bytes[2];
};

/* What the first fragment was, for those that follow. Direct mapped: the last one stays. */
struct pcn_ct_fragment {
    __u64 key; /* hash of addresses, protocol, zone and identification; 0: free */
    __u32 expires;
    __u32 slot; /* and its ct_state << PCN_CT_FRAGMENT_STATE_SHIFT */
};
#define PCN_CT_FRAGMENT_SLOT 0x0fffffffu /* as a slot: none */
#define PCN_CT_FRAGMENT_STATE_SHIFT 28
_Static_assert(sizeof(struct pcn_ct_fragment) == 16, "the same on both sides");

#define PCN_CT_RECORD_NEW 0xff00 /* reason of the record that tells of a new flow; words: its slot */

/* Variable of .rodata, set before load: of the arrays' indices. */
struct pcn_ct_masks {
    __u32 bucket;
    __u32 half; /* buckets of each half of the places, one for even zones, one for odd ones; 0: they have none */
    __u32 slot;
    __u32 number;  /* of sessions, slots of other keys have one bit more */
    __u32 stock;   /* free numbers that a CPU takes at a time, at most */
    __u32 traffic; /* 0: one entry, nothing is counted */
    __u32 windows; /* 0: one entry, they are not checked, whatever the settings say */
};

struct pcn_ct_settings {
    __u64 seed;    /* of the hash: random, so that nobody can aim at a bucket */
    __u32 refresh; /* jiffies: expiry is not moved for less, or for less than 1/16 of the timeout */
    __u16 zone;    /* of the cube */
    __u8 window_check;
    __u8 drop_when_full;
    __u8 counting;
    __u8 events; /* user space is told of each new flow */
    __u8 pad[2];
    __u32 fragment_timeout; /* jiffies */
    __u32 pad1;
    __u32 timeouts[PCN_CT_FLOWS]; /* jiffies, by state */
    __u32 pad2[25];
};
_Static_assert(sizeof(struct pcn_ct_settings) == 256, "whole cache lines");

/* Of a CPU. */
struct pcn_ct_statistics {
    __u64 created;
    __u64 reused;        /* of these, in the place of an expired one */
    __u64 early_dropped; /* of these, in the place of one that had not expired */
    __u64 full;          /* not created */
    __u64 invalid;       /* packets */
    __u64 pad[3];
};
_Static_assert(sizeof(struct pcn_ct_statistics) == 64, "a cache line each");

/* ---- what both sides compute ---- */

#define PCN_CT_SHARED static inline __attribute__((always_inline))

/* The power of two that is not below n. */
PCN_CT_SHARED __u32 pcn_ct_power_of(__u32 n)
{
    __u32 power = 1;

    while (power < n)
        power *= 2;
    return power;
}

/* So that what waits at CPUs is an eighth of all at most, however many CPUs there are. */
PCN_CT_SHARED __u32 pcn_ct_stock_of(__u32 n_numbers, __u32 n_cpus)
{
    __u32 n = n_numbers / (8 * n_cpus) + 1;

    return n < PCN_CT_STOCK ? n : PCN_CT_STOCK;
}

/* Buckets for so many keys, at most half full: then none is without a place. */
PCN_CT_SHARED __u32 pcn_ct_buckets_for(__u32 n_keys)
{
    __u32 n_places = pcn_ct_power_of(2 * n_keys);

    return n_places > PCN_CT_WAYS ? n_places / PCN_CT_WAYS : 1;
}

PCN_CT_SHARED __u64 pcn_ct_tuple(__u32 ports, __u32 protocol, __u32 version, __u32 zone)
{
    return ports | (__u64)protocol << PCN_CT_PROTOCOL_SHIFT | (__u64)version << PCN_CT_VERSION_SHIFT |
           (__u64)zone << PCN_CT_ZONE_SHIFT;
}

/* words[4] of the other direction. */
PCN_CT_SHARED __u64 pcn_ct_reverse(__u64 tuple)
{
    return (tuple & ~0xffffffffull) | (tuple & 0xffff) << 16 | (tuple >> 16 & 0xffff);
}

/* Of a tuple, words[4] of a key: whether it has more addresses than an entry. */
PCN_CT_SHARED int pcn_ct_is_wide(__u64 tuple)
{
    return tuple >> PCN_CT_VERSION_SHIFT & 2;
}

PCN_CT_SHARED __u64 pcn_ct_pair(__u32 low, __u64 high)
{
    return low | high << 32;
}

PCN_CT_SHARED __u64 pcn_ct_turn(__u64 pair)
{
    return pair << 32 | pair >> 32;
}

/* A key, as it is looked for: it, or that of the answers, may be in an entry. */
struct pcn_ct_wanted {
    const __u64 *source; /* 16 bytes */
    const __u64 *destination;
    __u64 tuple;
    __u64 pair;
};

PCN_CT_SHARED struct pcn_ct_wanted pcn_ct_wanted_of(const struct pcn_ct_key *key)
{
    return (struct pcn_ct_wanted){.source = &key->words[0],
                                  .destination = &key->words[2],
                                  .tuple = key->words[4],
                                  .pair = pcn_ct_pair(key->words[0], key->words[2])};
}

/* All bits of what an end, or two, have left. */
PCN_CT_SHARED __u64 pcn_ct_hash_mix(__u64 hash)
{
    hash *= 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

/*
 * The multiplier is what nobody knows: who chooses low bits of the prefix, the rest of the address and the port cannot make
 * them cancel out.
 */
PCN_CT_SHARED __u64 pcn_ct_hash_end(__u64 high, __u64 low, __u64 port, __u64 seed)
{
    __u64 hash = __builtin_bswap64(high) * (seed | 1);

    hash = ((hash ^ hash >> 32) + low + port * (seed | 1)) * 0xd6e8feb86659fd93ull;
    return hash ^ hash >> 32;
}

/* IPv4: address and port are a word. */
PCN_CT_SHARED __u64 pcn_ct_hash_short(__u32 address, __u64 port, __u64 seed)
{
    __u64 hash = pcn_ct_pair(address, port) * (seed | 1);

    return hash ^ hash >> 32;
}

/* The same for both directions. */
PCN_CT_SHARED __u64 pcn_ct_hash_wanted(const struct pcn_ct_wanted *wanted, __u64 seed)
{
    __u64 tuple = wanted->tuple, from = tuple & 0xffff, to = tuple >> 16 & 0xffff, hash, other;
    __u64 odd = tuple >> PCN_CT_ZONE_SHIFT & 1;

    if (pcn_ct_is_wide(tuple)) {
        hash = pcn_ct_hash_end(wanted->source[0], wanted->source[1], from, seed);
        other = pcn_ct_hash_end(wanted->destination[0], wanted->destination[1], to, seed);
    } else {
        hash = pcn_ct_hash_short(wanted->pair, from, seed);
        other = pcn_ct_hash_short(wanted->pair >> 32, to, seed);
    }
    /* A product: of ends that complement each other the sum would be the same for all. */
    hash = (hash | 1) * (other | 1);
    hash = pcn_ct_hash_mix(hash ^ hash >> 32 ^ tuple >> 32);
    return (hash & ~(1ull << PCN_CT_HASH_ODD_SHIFT)) | odd << PCN_CT_HASH_ODD_SHIFT;
}

PCN_CT_SHARED __u64 pcn_ct_hash(const struct pcn_ct_key *key, __u64 seed)
{
    const struct pcn_ct_wanted wanted = pcn_ct_wanted_of(key);

    return pcn_ct_hash_wanted(&wanted, seed);
}

/* mask: of all buckets; half: as struct pcn_ct_masks has it. */
PCN_CT_SHARED __u32 pcn_ct_bucket_of(__u64 hash, __u32 choice, __u32 mask, __u32 half)
{
    __u32 odd = hash >> PCN_CT_HASH_ODD_SHIFT & 1;

    return ((__u32)(choice ? hash >> 24 : hash) & (mask - half)) + odd * half;
}

/* 1 to 255. */
PCN_CT_SHARED __u64 pcn_ct_tag(__u64 hash)
{
    return ((hash >> PCN_CT_HASH_SHIFT) * 255 >> 16) + 1;
}

/* Never 0: no flow's state is. */
PCN_CT_SHARED __u64 pcn_ct_word(__u64 hash, __u32 flow, __u32 expires)
{
    return hash >> PCN_CT_HASH_SHIFT << PCN_CT_HASH_SHIFT | (__u64)flow << PCN_CT_FLOW_SHIFT | expires;
}

/* A flow's next word: in another state, or with another expiry. */
PCN_CT_SHARED __u64 pcn_ct_word_next(__u64 word, __u32 flow, __u32 expires)
{
    return word >> PCN_CT_OWN_SHIFT << PCN_CT_OWN_SHIFT | (__u64)flow << PCN_CT_FLOW_SHIFT | expires;
}

/* That of a session which has ended: it has expired, and is no word of the same flow. */
PCN_CT_SHARED __u64 pcn_ct_word_ended(__u64 word, __u32 now)
{
    return pcn_ct_word(~word, PCN_CT_TCP_CLOSED, now - 1);
}

/* Two words of an entry: hash and entry stay the same as long as a flow lives. */
PCN_CT_SHARED int pcn_ct_is_same_flow(__u64 a, __u64 b)
{
    return a && b && !((a ^ b) >> PCN_CT_HASH_SHIFT);
}

/* The key of an entry; wide is looked at for IPv6 alone. */
PCN_CT_SHARED void pcn_ct_key_get(const struct pcn_ct_entry *entry, const struct pcn_ct_wide *wide,
                                  struct pcn_ct_key *ret_key)
{
    ret_key->words[0] = (__u32)entry->pair;
    ret_key->words[1] = 0;
    ret_key->words[2] = entry->pair >> 32;
    ret_key->words[3] = 0;
    ret_key->words[4] = entry->tuple;
    if (!pcn_ct_is_wide(entry->tuple))
        return;
    ret_key->words[0] |= entry->middle << 32;
    ret_key->words[1] = wide->low[0];
    ret_key->words[2] |= entry->middle >> 32 << 32;
    ret_key->words[3] = wide->low[1];
}

PCN_CT_SHARED __u32 pcn_ct_flow_of(__u64 word)
{
    return word >> PCN_CT_FLOW_SHIFT & (PCN_CT_FLOWS - 1);
}

/* Jiffies until it expires; 0 and below: it has. */
PCN_CT_SHARED __s32 pcn_ct_left(__u64 word, __u32 now)
{
    return (__s32)((__u32)word - now);
}
