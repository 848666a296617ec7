/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What fast path and user space share, besides the table of flows (pcn/conntrack.h).
 *
 * A session has two keys there: its tuple inside, and its tuple outside, told apart by the zone. The first is that of the
 * first packet.
 *
 * Where mapping is endpoint-independent, each port inside that is in use also has a mapping: a session whose remote
 * address and port are 0, which no packet has, so that its tuple outside is the port for all remotes. It lives as long as
 * what was made by it. Where filtering is address-dependent, there is one more for each remote address, with port 0.
 *
 * A session in hairpin, between two hosts inside, has both keys in the zone inside: what is found by one of them gets both
 * its sides from the other.
 */
#pragma once
#include <pcn/conntrack.h>

#define NAT_RULES "nat_rules"     /* struct nat_rule; NAT_RULES_MAX a generation */
#define NAT_RANGES "nat_ranges"   /* struct nat_range; NAT_RANGES_MAX a generation */
#define NAT_RANGES6 "nat_ranges6" /* struct nat_range6; NAT_RANGES6_MAX a generation */
#define NAT_SETTINGS ".data.nat"  /* struct nat_settings */

#define PCN_CT_KEYS 2 /* a session's in the table of flows */

/* Zones of the table of flows. */
enum nat_zone {
    NAT_INSIDE,
    NAT_OUTSIDE,
};

enum nat_kind {
    NAT_SNAT,
    NAT_DNAT,
    NAT_MASQUERADE,
    NAT_PORT_FORWARDING,
    NAT_NETMAP,
    NAT_EXEMPT, /* makes no session */
    NAT_NPT,    /* neither: RFC 6296 */
    NAT_KIND_MAX,
};

#define NAT_WIDE 1u    /* addresses of 16 bytes */
#define NAT_HAIRPIN 2u /* both sides change: to what is in the other key */

/*
 * What a session has besides the table of flows. A packet found by its tuple inside gets a new source, one found by its tuple
 * outside a new destination: that of the other key, which IPv4 has at .middle too (see pcn/conntrack_pair.bpf.h), with .wide
 * beside it.
 */
struct nat_session {
    __u32 rule; /* id */
    __u8 kind;  /* enum nat_kind */
    __u8 out;   /* the first packet went out */
    __u8 wide;  /* NAT_WIDE, NAT_HAIRPIN */
    __u8 pad[9];
};
_Static_assert(sizeof(struct nat_session) == sizeof(struct pcn_ct_own), "it fits");

/* ---- rules ---- */

#define NAT_SNAT_MAX 1024u
#define NAT_DNAT_MAX 1024u
#define NAT_FORWARDING_MAX 4096u
#define NAT_NETMAP_MAX 256u
#define NAT_EXEMPT_MAX 1024u
#define NAT_NPT_MAX 255u
#define NAT_RULES_MAX 8192u /* all of the above, netmap and nptv6 twice, and masquerade for both families */

/* An IPv6 address in host order. */
struct nat_wide {
    __u64 high;
    __u64 low;
};

struct nat_rule {
    __u32 id;
    __u32 address; /* IPv4, host order: the first one of a pool; 0: that of the parent */
    __u32 n_addresses;
    __u32 base;  /* NETMAP: the address that becomes the first one, host order */
    __u16 first; /* SNAT: ports it may choose; PORT_FORWARDING: the first one outside */
    __u16 last;
    __u16 internal; /* PORT_FORWARDING: the first one inside */
    __u8 kind;      /* enum nat_kind */
    __u8 length;    /* of the prefix, of an IPv6 NETMAP or NPT */
    __u16 adjust;   /* NPT: what the changed prefix takes from the sum, in host order */
    __u8 version;
    __u8 pad[5];
    struct nat_wide wide;   /* IPv6: as address */
    struct nat_wide prefix; /* as base */
};
_Static_assert(sizeof(struct nat_rule) == 64, "the same on both sides");

/*
 * Keys from start up to the next entry's are of a rule. Sorted; the first one starts at 0. Keys of what goes out are
 * addresses; for what comes in, see nat_destination_key().
 */
struct nat_range {
    __u64 start;
    __u32 rule; /* index + 1; 0: none */
    __u32 pad;
};

/* The same for IPv6: address, and as the last word what is behind it in nat_destination_key(). */
struct nat_range6 {
    __u64 start[3];
    __u32 rule;
    __u32 pad;
};

enum nat_table {
    NAT_SOURCES,
    NAT_DESTINATIONS,
    NAT_EXEMPTIONS,
    NAT_SOURCES6,
    NAT_DESTINATIONS6,
    NAT_EXEMPTIONS6,
    NAT_NPT_OUT,
    NAT_NPT_IN,
    NAT_TABLE_MAX,
};

/* Powers of two: n intervals that are nested or apart make at most 2n + 1 ranges; forwarding may be for TCP and UDP. */
#define NAT_OUT_SHIFT 12
#define NAT_DESTINATIONS_SHIFT 15
#define NAT_NPT_SHIFT 10
#define NAT_RANGES_MAX ((2u << NAT_OUT_SHIFT) + (1u << NAT_DESTINATIONS_SHIFT))
#define NAT_RANGES6_MAX (NAT_RANGES_MAX + (2u << NAT_NPT_SHIFT))
_Static_assert(2 * (NAT_SNAT_MAX + NAT_NETMAP_MAX + 1) + 1 <= 1u << NAT_OUT_SHIFT, "they fit");
_Static_assert(2 * NAT_EXEMPT_MAX + 1 <= 1u << NAT_OUT_SHIFT, "they fit");
_Static_assert(2 * (NAT_DNAT_MAX + NAT_NETMAP_MAX + 2 * NAT_FORWARDING_MAX) + 1 <= 1u << NAT_DESTINATIONS_SHIFT,
               "they fit");
_Static_assert(2 * NAT_NPT_MAX + 1 <= 1u << NAT_NPT_SHIFT, "they fit");
_Static_assert(NAT_SNAT_MAX + NAT_DNAT_MAX + NAT_FORWARDING_MAX + 2 * NAT_NETMAP_MAX + NAT_EXEMPT_MAX +
                       2 * NAT_NPT_MAX + 2 <=
                   NAT_RULES_MAX,
               "they fit");

/* Where the ranges of a table begin, in their generation. */
static inline __attribute__((always_inline)) __u32 nat_ranges_of(__u32 table)
{
    if (table >= NAT_NPT_OUT)
        return NAT_RANGES_MAX + ((table - NAT_NPT_OUT) << NAT_NPT_SHIFT);
    if (table >= NAT_SOURCES6)
        table -= NAT_SOURCES6;
    if (table == NAT_DESTINATIONS)
        return 2u << NAT_OUT_SHIFT;
    return table == NAT_EXEMPTIONS ? 1u << NAT_OUT_SHIFT : 0;
}

/* address and port in host order. */
static inline __attribute__((always_inline)) __u64 nat_destination_key(__u32 address, __u32 protocol, __u32 port)
{
    return (__u64)address << 24 | protocol << 16 | port;
}

/* Who outside may send to a port that is in use: REQ-8. */
enum nat_filtering {
    NAT_FILTER_PORT,
    NAT_FILTER_NONE,
    NAT_FILTER_ADDRESS,
};

/* Of a table. */
struct nat_size {
    __u32 n_ranges;
    __u32 step; /* the largest power of two below: where a search begins */
};

/* Rules are written to the generation that is not in use, which is then switched to. */
struct nat_settings {
    __u32 generation; /* 0, 1 */
    __u32 address;    /* of the parent, host order; 0: it has none */
    struct nat_size sizes[2][NAT_TABLE_MAX];
    __u8 mapping;   /* endpoint-independent, RFC 4787 REQ-1 */
    __u8 filtering; /* enum nat_filtering */
    __u8 hairpin;   /* REQ-9 */
    __u8 ipv6;      /* there are rules for it, or there were: sessions may be left */
    __u8 npt;       /* there are rules of NPT */
    __u8 pad[3];
    struct nat_wide address6; /* of the parent, where masquerade is for IPv6 too; 0: there is none */
};
_Static_assert(sizeof(struct nat_settings) == 160, "the same on both sides");

/* Drop reasons. */
enum nat_reason {
    NAT_DROP_TABLE_FULL = PCN_DROP_KIND_FIRST,
    NAT_DROP_NO_PORT,
    NAT_DROP_NO_ADDRESS,
    NAT_DROP_INVALID,
    NAT_DROP_FRAGMENT,
    NAT_DROP_NPT,
    NAT_DROP_RACE,
};
