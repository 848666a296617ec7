/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What fast path and user space say to each other: verdicts, the packet
 * context, hops, drop reasons, slow-path records. Included by both sides, so
 * it needs <linux/types.h> alone. Integers are in host byte order unless a
 * comment says "network order".
 *
 * The ABI has a number: a kind built for another major is refused. Within a
 * major, enums grow at their end and spare bytes are taken from the end.
 */
#pragma once
#include <linux/types.h>

#define PCN_ABI_MAJOR 1
#define PCN_ABI_MINOR 0

#define PCN_CPUS_MAX 256         /* possible CPUs of the machine; a power of two */
#define PCN_CUBES_MAX 4096       /* instances of a daemon; ids are 1..PCN_CUBES_MAX */
#define PCN_PORTS_MAX 1024       /* ports of a cube; a power of two */
#define PCN_SLOTS_MAX 2048       /* entries of a hop array: ports, and as many being retired */
#define PCN_STATIC_SLOTS 16      /* slots reached by a static tail call */
#define PCN_NETDEVS_MAX 8192     /* entries of the daemon's devmap */
#define PCN_REINJECT_MAX 16      /* times a packet is re-injected; between two, the kernel allows 33 tail calls */
#define PCN_DROP_REASONS_MAX 320 /* 0-255 the core's, 256-319 the kind's */
#define PCN_DROP_KIND_FIRST 256

/* What a handler says is to become of a packet; arguments are in the context. */
enum pcn_verdict {
    PCN_PASS,      /* standard ingress: host stack; egress and transparent: next hop */
    PCN_DROP,      /* packet->reason says why */
    PCN_REDIRECT,  /* out of packet->out_port */
    PCN_FLOOD,     /* out of every port but packet->port */
    PCN_REPLY,     /* back out of the port it came in by */
    PCN_HOST,      /* to the shadow namespace, device of packet->port */
    PCN_SLOW_PATH, /* to user space: packet->reason, packet->words */
    PCN_VERDICT_MAX,
};

enum pcn_direction {
    PCN_INGRESS,
    PCN_EGRESS,
    PCN_DIRECTION_MAX,
};
#define PCN_DIRECTIONS_ALL ((1u << PCN_DIRECTION_MAX) - 1)

/* name, label of the metric, help */
#define PCN_DROP_REASONS(X)                                                                                            \
    X(UNSPECIFIED, "unspecified", "a handler dropped it and gave no reason")                                           \
    X(NO_PEER, "no-peer", "the port it was sent to is not connected")                                                  \
    X(HOP_LIMIT, "hop-limit", "the path runs too many programs, or is a loop")                                         \
    X(BAD_PORT, "bad-port", "a handler named a port that does not exist")                                              \
    X(MALFORMED, "malformed", "a header is cut short or contradicts itself")                                           \
    X(NO_HOST, "no-host", "the cube has no shadow namespace for this port")                                            \
    X(SLOW_PATH_FULL, "slow-path-full", "the ring to user space had no room")                                          \
    X(FLOOD, "flood", "the copies for a flood could not be made")                                                      \
    X(REINJECT, "reinject", "a re-injected frame without a valid header")                                              \
    X(NO_CUBE, "no-cube", "a re-injected frame for a cube that is gone")                                               \
    X(BAD_VERDICT, "bad-verdict", "a verdict that makes no sense at this place")                                       \
    X(POLICY, "policy", "the configuration says drop")                                                                 \
    X(NO_CONTEXT, "no-context", "the per-CPU packet context could not be reached")

enum pcn_drop_reason {
#define X(name, label, help) PCN_DROP_##name,
    PCN_DROP_REASONS(X)
#undef X
        PCN_DROP_REASON_MAX,
};

/*
 * Where a packet goes when it leaves a cube. One word, replaced by one store:
 * a packet sees the old hop or the new one, never a mixture. The program of a
 * PROGRAM hop stands in the hop array before the word that names its slot.
 */
enum pcn_hop_kind {
    PCN_HOP_NONE,    /* not connected: drop */
    PCN_HOP_PROGRAM, /* tail call into slot .index; .port is the receiver's port */
    PCN_HOP_NETDEV,  /* out of a device; .index is its ifindex (TC), its devmap entry (XDP); .port PCN_NETDEV_* */
    PCN_HOP_STACK,   /* to the host's stack; .index is the ifindex of the device it came by */
    PCN_HOP_MAX,
};

struct pcn_hop {
    __u16 port;
    __u16 kind;
    __u32 index;
} __attribute__((aligned(8)));

#define PCN_NETDEV_PEER 1 /* TC: by bpf_redirect_peer, into the namespace of the veth's other end */

/* Indices into .hops of a transparent cube and of a netdev's entry program. */
#define PCN_NEXT_INGRESS 0
#define PCN_NEXT_EGRESS 1

/*
 * Maps begin on a page, so what all cubes of a chain touch at the same place
 * of theirs falls into one set of the L1 cache: with more cubes than it has
 * ways each hop misses (measured: 5 ns a hop in a chain of 3, 25 in one of 12).
 * So each cube has a colour, and what is in a section whose name begins with
 * PCN_LINE_DATA begins that many lines later: the daemon moves every reference
 * of the programs before load, and what pcn_map_memory() returns. The last
 * PCN_LINE_SLACK bytes of such a section are to be left alone.
 */
#define PCN_LINE_DATA ".data.line."
#define PCN_LINE_BSS                                                                                                   \
    ".bss." /* such of zeros, for which the object's file has no bytes; names of at most 14 characters */
#define PCN_COLOURS 64
#define PCN_COLOUR_BYTES 64
#define PCN_LINE_SLACK (PCN_COLOURS * PCN_COLOUR_BYTES)

/* Counters of packets and bytes: PCN_PORTS_MAX entries a CPU. The daemon makes it as large as the machine's CPUs need. */
#define PCN_COUNTERS_DATA PCN_LINE_BSS "counters"
#define PCN_COUNTERS_SIZE(cpus_) ((cpus_)*PCN_PORTS_MAX * sizeof(struct pcn_port_counters))

/* The part of a cube that changes while it runs: a section, mapped by user space. */
#define PCN_CUBE_DATA PCN_LINE_DATA "pcn"

struct pcn_cube_data {
    __u8 loglevel; /* enum pcn_log_level: what is at or below it is logged */
    __u8 span;     /* copy every packet to the shadow namespace */
    __u16 n_ports; /* highest port id in use + 1 */
    __u32 pad;
    struct pcn_hop hops[PCN_PORTS_MAX];
    __u32 hosts[PCN_PORTS_MAX]; /* ifindex of a port's device to the shadow namespace, or 0 */
    __u8 slack[PCN_LINE_SLACK];
};

/* The part that is frozen before load: section .rodata. */
struct pcn_cube_identity {
    __u16 cube;      /* id */
    __u8 shadow;     /* has a shadow namespace */
    __u8 has_egress; /* its egress handler does something: copies of a flood must run it */
    __u8 dry_run;    /* a twin for explain: it returns the verdict and acts on none */
    __u8 pad[3];
    __u32 reinject_ifindex; /* device whose TC ingress takes clones back in; 0: none */
};

/*
 * Of a program's name: a second one for its direction, which can do less and is loaded in a fraction of the time, where that is
 * all that is needed.
 */
#define PCN_LIGHT "_light"

/* What is the same for all programs of the daemon, frozen too: one line of cache, where each .rodata has its own. */
#define PCN_SHARED_DATA ".rodata.shared"

struct pcn_shared {
    __u32 cookie;      /* of this boot of the daemon */
    __u32 n_counters;  /* entries of PCN_COUNTERS_DATA, of all CPUs */
    __u8 sees_summed;  /* see pcn/summed.bpf.h */
    __u8 summed_shift; /* of ip_summed, in its byte */
    __u8 pad[6];
};

/* In a load, the place of ip_summed that is to be written before load: no structure is as large. */
#define PCN_SUMMED_OFFSET 0x7ffe

enum pcn_log_level {
    PCN_LOG_OFF,
    PCN_LOG_CRITICAL,
    PCN_LOG_ERR,
    PCN_LOG_WARN,
    PCN_LOG_INFO,
    PCN_LOG_DEBUG,
    PCN_LOG_TRACE,
    PCN_LOG_LEVEL_MAX,
};

/* flags of struct pcn_packet */
#define PCN_PACKET_PARSED (1u << 0)      /* the fields after .flags up to .segment_size are valid */
#define PCN_PACKET_HOST_EGRESS (1u << 1) /* came from the host's stack, on its way out of a device */
#define PCN_PACKET_FORWARD (1u << 2)     /* transparent cube: skip the handler, take the hop */
#define PCN_PACKET_REINJECTED (1u << 3)  /* comes from the re-injection device, not from a netdev */

enum pcn_fragment {
    PCN_FRAGMENT_NONE,
    PCN_FRAGMENT_FIRST, /* has the transport header */
    PCN_FRAGMENT_LATER, /* has not: ports are 0 */
};

union pcn_address {
    __u32 v4;    /* network order; the other words are 0 */
    __u32 v6[4]; /* network order */
};

/*
 * What is known of a packet, carried along its way. One per CPU, for the whole
 * daemon: section .data.packets. The first 8 bytes are written at each hop, the next
 * where the packet enters; those after the mark by pcn_packet_parse() alone.
 */
struct pcn_packet {
    __u16 port;     /* of the cube that is running: the packet came in by it, or leaves by it */
    __u8 direction; /* enum pcn_direction, of the program that asked for the slow path */
    __u8 hops;      /* times it was re-injected */
    __u32 flags;    /* PCN_PACKET_* */

    __u16 out_port; /* argument of REDIRECT */
    __u16 reason;   /* argument of DROP and SLOW_PATH */
    __u32 words[3]; /* arguments of SLOW_PATH */
    __u32 mark;     /* traffic class: skb->mark at TC, carried at XDP */
    __u16 zone;     /* conntrack zone */
    __u8 ct_state;  /* conntrack state, 0 unknown */
    __u8 pad0;
    __u32 ct_slot; /* conntrack slot */

    /* byte offsets from the start of the frame; TC: the hardware-accelerated tag is not in the frame */
    __u16 l3_offset;
    __u16 l4_offset;      /* 0: no transport header was reached */
    __u16 payload_offset; /* 0: unknown */
    __u16 ethertype;      /* network order, of what follows the tags */
    __u16 vlan_tci;       /* host order, of the outer tag; valid if n_vlans > 0 */
    __u16 inner_vlan_tci; /* of the second tag; valid if n_vlans > 1 */
    __u8 n_vlans;         /* tags found: 0-2 */
    __u8 ip_version;      /* 4, 6, or 0: not IP */
    __u8 l4_protocol;     /* IPPROTO_*, after IPv6 extension headers */
    __u8 fragment;        /* enum pcn_fragment */
    __u8 ttl;             /* or hop limit */
    __u8 dscp;
    __u8 tcp_flags; /* byte 13 of the TCP header */
    __u8 pad1;
    union {
        struct {
            __u16 source_port; /* network order; 0 where there is none */
            __u16 destination_port;
        };
        struct {
            __u8 icmp_type;
            __u8 icmp_code;
            __u16 icmp_id; /* network order, of echo messages */
        };
    };
    __u32 hash; /* of the 5-tuple; 0: not computed */
    union pcn_address source;
    union pcn_address destination;
    __u16 segment_size; /* bytes of payload of one segment of a GSO packet; 0: not GSO */
    __u16 spare[15];
};
_Static_assert(sizeof(struct pcn_packet) == 128, "the context is two cache lines");
_Static_assert(sizeof(struct pcn_hop) == 8, "a hop is replaced by one store");

struct pcn_port_counters {
    __u64 packets;
    __u64 bytes;
};

/*
 * Records from the fast path: ring pcn_ring carries packets, ring pcn_logs log lines.
 * A packet record is followed by captured bytes of the frame, its VLAN tag put back.
 */
struct pcn_record {
    __u16 cube;
    __u16 port;
    __u8 direction;
    __u8 hops;
    __u16 reason;
    __u32 words[3];
    __u32 mark;
    __u16 segment_size; /* GSO, or 0 */
    __u16 vlan_tci;     /* of a hardware-accelerated tag that is not in the bytes */
    __u16 vlan_proto;   /* network order; 0: no such tag */
    __u16 flags;        /* PCN_RECORD_* */
    __u32 length;       /* of the frame */
    __u32 captured;     /* bytes that follow, at most PCN_CAPTURE_MAX */
};
#define PCN_RECORD_XDP 1u         /* taken at XDP */
#define PCN_RECORD_HOST_EGRESS 2u /* packet of the host stack */
#define PCN_CAPTURE_MAX 16384u

#define PCN_LOG_FORMAT_MAX 96
struct pcn_log_record {
    __u16 cube;
    __u8 level; /* enum pcn_log_level */
    __u8 n_args;
    __u32 pad;
    __u64 args[4];
    char format[PCN_LOG_FORMAT_MAX]; /* printf-like; %I IPv4 and %M MAC (both network order), %P network-order port */
};

/* In front of every frame given to the re-injection device. */
struct pcn_reinject {
    __u32 cookie;
    __u16 cube;
    __u16 port;
    __u8 direction; /* INGRESS: as if received by port; EGRESS: out of port */
    __u8 hops;
    __u8 flags; /* PCN_REINJECT_* */
    __u8 pad;
    __u32 mark;
};
#define PCN_REINJECT_XDP 1u       /* the cube is of an XDP type */
#define PCN_REINJECT_FLOOD 2u     /* out of every port behind a program, but .port */
#define PCN_REINJECT_FLOOD_ALL 4u /* with FLOOD: behind netdevs too */
#define PCN_REINJECT_FORWARD 8u   /* transparent cube: after it, not into it */
#define PCN_REINJECT_STACK 16u    /* to the host's stack, as received by device .mark */

/* skb->cb[] of a frame that our programs hand to each other across devices: */
#define PCN_CB_TARGET 0 /* clone: cube << 16 | port */
#define PCN_CB_PATH 1   /* clone: hops << 8 | direction */
#define PCN_CB_COOKIE 4 /* the cookie: sent by us, let it out; its complement: let it in */

/* Ports a flood reaches by re-injection, a bit each: map pcn_floods, indexed by cube id. */
struct pcn_flood_ports {
    __u64 program[PCN_PORTS_MAX / 64]; /* those behind a program */
    __u64 all[PCN_PORTS_MAX / 64];     /* every connected one */
};
_Static_assert(sizeof(struct pcn_reinject) == 16, "the header keeps IP aligned");
