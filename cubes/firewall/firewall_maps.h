/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What fast path and control path of the firewall share. A compiled chain (a
 * plan) is a run of pages of the arena, which hold
 *
 *     address, port ─► tables ─► vector ─► chunks        rule ─► verdict
 *
 * and one struct firewall_bank that says where in them each table begins, and
 * holds the small tables itself. All numbers in a plan count from its first page.
 *
 * Each chain has two banks; the low bit of its generation says which one is in
 * force. The other one and its pages belong to the writer, who says first which generation
 * he writes there: a packet that began two before it may have seen some of that, and is dropped.
 */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>
#include <pcn/lbvs.bpf.h>

#define FIREWALL_ARENA ".bss.arena"    /* union lbvs_page; trimmed */
#define FIREWALL_COUNTERS ".bss.rules" /* struct firewall_counter; trimmed: cpus * counters_stride */
#define FIREWALL_DATA ".data.firewall" /* struct firewall_data */

#define FIREWALL_RULES_MAX LBVS_RULES_MAX
#define FIREWALL_RULES_DEFAULT 1024
#define FIREWALL_PAGES_MAX 65536 /* of the arena: 256 MB */
#define FIREWALL_ARENA_EMPTY 16  /* without rules */
#define FIREWALL_ARENA_MIN 1280  /* with rules: 5 MB, room for whatever fields the next ones use */
#define FIREWALL_COUNTERS_MAX (32768 * 256)
#define FIREWALL_NONE 0xffffffffu /* firewall_match.rule: no rule matched, the default decides */

enum firewall_direction {
    FIREWALL_INGRESS, /* = PCN_INGRESS */
    FIREWALL_EGRESS,  /* = PCN_EGRESS */
    FIREWALL_CHAIN_MAX,
};

enum firewall_action {
    FIREWALL_ACCEPT,
    FIREWALL_DROP,
    FIREWALL_REJECT,
    FIREWALL_LOG, /* and the search goes on */
    FIREWALL_ACTION_MAX,
};

/* The parts of a rule that a lookup is needed for: bits of firewall_settings.used, and what plans tell. */
#define FIREWALL_USES_SOURCE (1u << 0)
#define FIREWALL_USES_DESTINATION (1u << 1)
#define FIREWALL_USES_PROTOCOL (1u << 2) /* or anything that only some protocols have */
#define FIREWALL_USES_SOURCE_PORT (1u << 3)
#define FIREWALL_USES_DESTINATION_PORT (1u << 4)
#define FIREWALL_USES_TCP_FLAGS (1u << 5)
#define FIREWALL_USES_ICMP (1u << 6)
#define FIREWALL_USES_DSCP (1u << 7)
#define FIREWALL_USES_STATE (1u << 8) /* or fragment */
#define FIREWALL_USES_INTERFACE (1u << 9)
#define FIREWALL_USES_PREFIX6 (1u << 10) /* tries of IPv6 that branch */
#define FIREWALL_USES_LEAD (1u << 11)    /* rules at the head are found by hash */
#define FIREWALL_USES_RULES (1u << 12)   /* there are others */
#define FIREWALL_USES_ALL ((1u << 13) - 1)
/* And what else is loaded only where it is needed. */
#define FIREWALL_USES_CONTINUE (1u << 13) /* a rule may let the search go on: LOG, a rate */
#define FIREWALL_USES_TRACKING (1u << 14) /* what becomes of a packet depends on its connection */
#define FIREWALL_USES_WINDOWS (1u << 15)  /* and segments of TCP on its windows */

/*
 * Variable of .rodata, set before load: the verifier removes what is not used.
 * It may say more than the rulesets use, never less.
 */
struct firewall_settings {
    __u8 source;
    __u8 destination;
    __u8 protocol;
    __u8 source_port;
    __u8 destination_port;
    __u8 tcp_flags;
    __u8 icmp;
    __u8 dscp;
    __u8 state;
    __u8 go_on;
    __u8 tracking;
    __u8 lead;
    __u8 prefix6;
    __u8 rules;
    __u8 interface;
    __u8 pad;
    __u32 n_pages;         /* of the arena */
    __u32 n_words;         /* the same in words */
    __u32 n_counters;      /* slots, of all CPUs */
    __u32 counters_stride; /* slots of a CPU */
    __u32 hz;              /* jiffies in a second */
    __u32 used;            /* all of the above, as FIREWALL_USES_* */
};
_Static_assert(sizeof(struct firewall_settings) == 40, "the same on both sides");

/* What a rule says is to be done, and the default: an array in the arena, by number of the rule. */
struct firewall_verdict {
    __u32 id;
    __u32 counter;
    __u32 rate;  /* packets a second; 0: any */
    __u8 action; /* enum firewall_action */
    __u8 pad;
    __u16 burst; /* packets that may come at once */
};
_Static_assert(sizeof(struct firewall_verdict) == 16, "the same on both sides");

/* A slot of one CPU: index cpu * counters_stride + counter. */
struct firewall_counter {
    __u64 packets;
    __u64 bytes;
    __u64 last; /* jiffies of the last hit */
    __u64 due;  /* of CPU 0: when the rate is all there again; jiffies << FIREWALL_DUE_SHIFT */
};
#define FIREWALL_DUE_SHIFT 20

/* Indices of the small tables. */
#define FIREWALL_PROTOCOL_LATER 256u /* a later fragment */
#define FIREWALL_PROTOCOL_V6 512u
#define FIREWALL_PROTOCOLS 1024
#define FIREWALL_STATE_SHIFT 2 /* state << 2 | fragment */
#define FIREWALL_STATES 32

/*
 * Devices that rules name have a class each, from 1 on; 0 is any other one, and none. The table is a perfect hash: the
 * multiplier is chosen so that each ifindex has a slot of its own. A free slot has ifindex 0 and the word of class 0.
 */
#define FIREWALL_INTERFACES_MAX 64
#define FIREWALL_CLASSES (FIREWALL_INTERFACES_MAX + 1)
#define FIREWALL_INTERFACE_BITS 9
#define FIREWALL_INTERFACE_SLOTS (1u << FIREWALL_INTERFACE_BITS)

struct firewall_interface_slot {
    __u32 ifindex;
    __u32 word;
};

static inline __attribute__((always_inline)) __u32 firewall_interface_hash(__u32 ifindex, __u32 multiplier)
{
    return (ifindex * multiplier) >> (32 - FIREWALL_INTERFACE_BITS);
}

/* Table of 65,536 words. Where no rule uses the field, mask is 0 and the word the one for all rules. */
struct firewall_table {
    __u32 index;
    __u32 mask;
};

/* The head of a chain: n rules that are found by hash, before all others. Masks: of the fields that they name. */
struct firewall_lead {
    __u64 source; /* of both halves */
    __u64 destination;
    __u32 ports;
    __u32 rule; /* FIREWALL_LEAD_USED, and the protocol's */
    __u32 n;    /* 0: there is none */
    __u32 line; /* the table's first */
    __u32 mask; /* lines - 1 */
    __u32 version;
};

/* .rule: USED | protocol << SHIFT | number of the rule; 0: free. Network order as in a packet; source port in the lower half. */
struct firewall_lead4_entry {
    __u32 source;
    __u32 destination;
    __u32 ports;
    __u32 rule;
};
struct firewall_lead6_entry {
    __u64 source[2];
    __u64 destination[2];
    __u32 ports;
    __u32 rule;
};
#define FIREWALL_LEAD_PROTOCOL_SHIFT 24
#define FIREWALL_LEAD_USED (1u << 23)
#define FIREWALL_LEAD_RULE (FIREWALL_LEAD_USED - 1)
#define FIREWALL_LEAD_COMPARED (~FIREWALL_LEAD_RULE)
#define FIREWALL_LEAD_PROBES 4 /* lines that are looked at, at most */
#define FIREWALL_LEAD4_ENTRIES 4

union firewall_lead_line {
    struct firewall_lead4_entry entries4[FIREWALL_LEAD4_ENTRIES];
    struct firewall_lead6_entry entry6;
    __u8 bytes[64];
};
_Static_assert(sizeof(union firewall_lead_line) == 64, "a line of the arena");

static inline __attribute__((always_inline)) __u64 firewall_lead_hash(const struct firewall_lead6_entry *key)
{
    __u64 hash = (key->source[0] ^ key->destination[0] << 32 ^ key->destination[0] >> 32) * 0x9e3779b97f4a7c15ull;

    hash ^= (key->source[1] ^ key->destination[1] << 29 ^ key->destination[1] >> 35) * 0xd6e8feb86659fd93ull;
    hash = (hash ^ hash >> 32 ^ key->ports ^ (__u64)(key->rule >> FIREWALL_LEAD_PROTOCOL_SHIFT) << 32) *
           0x9e3779b97f4a7c15ull;
    return hash >> 32;
}

/*
 * Table of the pairs of the vectors that sources and destinations have. The tables of addresses then hold their numbers: row and
 * column. A pair has two words: what it leaves, or its first group, and what else it leaves, a group or a list. The words of the
 * vectors themselves are behind, for who has to search them.
 */
struct firewall_cross {
    __u32 n;     /* words there is room for; 0: there is no table */
    __u32 lists; /* first word; here and below: those that pairs lead to */
    __u32 sources;
    __u32 destinations;
    __u32 pairs; /* first one, as pairs are counted */
    __u32 columns;
    __u32 rest; /* the word of the rules that name neither address: no pair has them */
    __u32 pad;
};

struct firewall_bank {
    __u32 first; /* page */
    __u32 n_pages;
    __u32 n_blocks; /* of a vector */
    __u32 n_rules;
    __u32 verdicts; /* number of the first, in units of their size */
    __u32 all;      /* word of the vector of all rules */
    __u32 used;     /* FIREWALL_USES_*: a program that was loaded without one of these cannot read it */
    struct firewall_table source_root; /* IPv4, by the first 16 bits */
    struct firewall_table destination_root;
    struct firewall_table source_ports; /* by port, host order */
    struct firewall_table destination_ports;
    __u32 source6; /* words: IPv6 */
    __u32 destination6;
    __u32 icmp; /* words: by type << 8 | code */
    __u32 icmpv6;
    struct firewall_lead lead;
    struct firewall_verdict fallback;
    __u32 protocol[FIREWALL_PROTOCOLS]; /* words, and below */
    __u32 tcp_flags[256];
    __u32 dscp[64];
    __u32 state[FIREWALL_STATES];
    struct firewall_cross cross[2]; /* IPv4, IPv6 */
    __u32 interface_multiplier;
    __u32 interface_other; /* word of class 0 */
    struct firewall_interface_slot interfaces[FIREWALL_INTERFACE_SLOTS];
    __u32 pad;
};
_Static_assert(sizeof(struct firewall_bank) % 8 == 0, "the same on both sides");

/* What a dry run found. */
struct firewall_explained {
    __u32 rule; /* or FIREWALL_NONE */
    __u8 action;
    __u8 ct_state;
    __u8 established; /* accepted before the rules */
    __u8 parsed;      /* it is IP, and not malformed */
};

struct firewall_data {
    __u32 generation[FIREWALL_CHAIN_MAX];
    __u32 writing[FIREWALL_CHAIN_MAX]; /* the last one that was begun */
    __u32 accept_established;          /* what is of a connection passes before the rules are looked at */
    struct firewall_explained explained;
    __u32 explain_ifindex; /* by which a dry run's packet came; 0: none */
    __u32 explain_state;   /* of its connection, if it is a later fragment */
    __u32 pad[7];
    struct firewall_bank banks[FIREWALL_CHAIN_MAX][2];
};

/* Why a packet is sent up: reason of the record. */
enum firewall_slow {
    FIREWALL_SLOW_REJECT, /* words: bytes from the IP header to the transport header (negative: there is none), protocol */
    FIREWALL_SLOW_LOG,    /* words: id of the rule, chain. A copy: the packet goes on */
};

/* Drop reasons. */
enum firewall_reason {
    FIREWALL_TABLE_FULL = PCN_DROP_KIND_FIRST,
    FIREWALL_TOO_MANY, /* more than FIREWALL_CONTINUES_MAX rules let the search go on */
};
#define FIREWALL_CONTINUES_MAX 32 /* so many may, at least */
