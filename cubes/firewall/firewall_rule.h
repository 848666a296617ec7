/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule of the firewall as the compiler takes it. A packet matches if it
 * matches every part that is given; what is all zero is not given, so an empty
 * struct matches every IP packet. The rules of a chain are an array, first one
 * first; the first that matches decides (LOG: is noted, and the search goes on).
 *
 * What a part means, beyond its name:
 *   prefixes      of one family only: the rule matches packets of this family
 *                 only. Negated: every address of the families that are named,
 *                 but these. An empty list names both families.
 *   ports         only TCP, UDP and SCTP have ports, and not in later fragments.
 *                 Negated: the packet must have ports, other ones.
 *   tcp_flags     only TCP, not later fragments.
 *   icmp, icmpv6  ICMP in IPv4, ICMPv6 in IPv6, not later fragments. One given:
 *                 only that protocol matches. Both: either.
 *   interfaces    the device by which the packet came to the host, by its class: see firewall_plan_interfaces().
 * A rule with parts that exclude each other (ports and ICMP) matches nothing.
 */
#pragma once
#include "firewall_maps.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct firewall_prefix {
    union pcn_address address; /* network order; bits behind length are ignored */
    uint8_t version;           /* 4 or 6 */
    uint8_t length;
};

/*
 * The items are the caller's. Rules with the same items are compiled as one: those of named sets have a serial number, others
 * are known by where they stand.
 */
struct firewall_prefixes {
    const struct firewall_prefix *items;
    uint32_t n;
    bool given;
    bool negate;
    uint8_t versions;           /* a bit for each IP version that occurs; 0: it was not noted */
    struct firewall_prefix one; /* where versions are noted, and n is 1: the item */
    uint32_t serial;            /* no other items ever had it; 0: none */
};

struct firewall_range {
    uint16_t low; /* host order; ICMP: type << 8 | code */
    uint16_t high;
};

struct firewall_ranges {
    const struct firewall_range *items;
    uint32_t n;
    bool given;
    bool negate;
    uint32_t serial; /* as that of prefixes */
};

/* firewall_rule.given: the bitmaps that count. */
#define FIREWALL_GIVEN_PROTOCOL (1u << 0)
#define FIREWALL_GIVEN_TCP_FLAGS (1u << 1)
#define FIREWALL_GIVEN_DSCP (1u << 2)
#define FIREWALL_GIVEN_STATE (1u << 3)
#define FIREWALL_GIVEN_FRAGMENT (1u << 4)
#define FIREWALL_GIVEN_INTERFACE (1u << 5)

struct firewall_rule {
    struct firewall_prefixes source;
    struct firewall_prefixes destination;
    struct firewall_ranges source_ports;
    struct firewall_ranges destination_ports;
    struct firewall_ranges icmp;
    struct firewall_ranges icmpv6;
    uint32_t given;         /* FIREWALL_GIVEN_* */
    uint8_t state;          /* a bit for each value of pcn_packet.ct_state, 0..7 */
    uint8_t fragment;       /* a bit for each enum pcn_fragment */
    uint8_t action;         /* enum firewall_action */
    uint16_t burst;         /* handed through to struct firewall_verdict */
    uint64_t protocol[4];   /* a bit for each protocol number */
    uint64_t tcp_flags[4];  /* a bit for each value of byte 13 of the TCP header: mask and negation are folded in */
    uint64_t dscp;          /* a bit for each code point */
    uint64_t interfaces[2]; /* a bit for each class, 0..FIREWALL_INTERFACES_MAX */
    uint32_t id;            /* handed through */
    uint32_t counter;       /* slot of its counters: the control plane gives them out */
    uint32_t rate;          /* packets a second, beyond which it does not match; 0: any. Handed through */
    uint64_t stamp;         /* no other rule ever had it, and its lists stay where they are; 0: not known */
};

static inline void firewall_bit_set(uint64_t *bitmap, unsigned int bit)
{
    bitmap[bit / 64] |= 1ull << bit % 64;
}

static inline bool firewall_bit(const uint64_t *bitmap, unsigned int bit)
{
    return bitmap[bit / 64] >> bit % 64 & 1;
}

static inline bool firewall_protocol_has_ports(unsigned int protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}
