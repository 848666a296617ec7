/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet builder of all tests: a frame is described, lengths and checksums
 * follow from the description, and what is to be wrong in it is said.
 *
 *     struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){
 *         .source = "10.0.0.1", .destination = "10.0.0.2", .protocol = IPPROTO_UDP,
 *         .source_port = 1000, .destination_port = 53, .payload_length = 20});
 *
 * A field left at 0 has its default, which is stated. A description that makes
 * no sense (an address that is none, a frame that is too long) ends the test
 * program with a message: it is the test that is wrong.
 */
#pragma once
#include <net/ethernet.h>
#include <netinet/in.h>
#include <pcn/base.h>

#define PCN_FRAME_MAX 16384

/* What follows the Ethernet header is aligned, as in the kernel. */
struct pcn_frame {
    size_t length;
    uint16_t align;
    uint8_t bytes[PCN_FRAME_MAX];
};

struct pcn_frame_vlan {
    uint16_t tci;      /* priority and id */
    uint16_t protocol; /* host order; default 0x8100; of the outer of two: 0x88a8 */
};

#define PCN_EXTENSIONS_MAX 6
/* An IPv6 extension header: length follows from size. Fragment headers come from the fragment fields. */
struct pcn_frame_extension {
    uint8_t type; /* IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_AH */
    uint8_t size; /* bytes, 8 to 248; default 8 */
};

enum pcn_frame_fault {
    PCN_FAULT_IP_CHECKSUM = 1 << 0,
    PCN_FAULT_L4_CHECKSUM = 1 << 1,
    PCN_FAULT_NO_UDP_CHECKSUM = 1 << 2, /* 0: none was computed */
    PCN_FAULT_IP_VERSION = 1 << 3,      /* 7 */
    PCN_FAULT_IHL_SHORT = 1 << 4,       /* 4 words */
    PCN_FAULT_IHL_LONG = 1 << 5,        /* 15 words, options past the end */
    PCN_FAULT_LENGTH_SHORT = 1 << 6,    /* the IP length is below the header's */
    PCN_FAULT_LENGTH_LONG = 1 << 7,     /* the IP length is beyond the frame */
    PCN_FAULT_UDP_LENGTH = 1 << 8,      /* beyond the datagram */
    PCN_FAULT_TCP_OFFSET = 1 << 9,      /* data offset of 4 words */
};

struct pcn_frame_spec {
    const char *source_mac;      /* default 02:00:00:00:00:01 */
    const char *destination_mac; /* default 02:00:00:00:00:02 */
    struct pcn_frame_vlan vlans[2];
    unsigned int n_vlans;
    uint16_t ethertype; /* host order; default: as the addresses say */

    /* IP: both addresses are IPv4, or both IPv6 */
    const char *source;
    const char *destination;
    uint8_t protocol; /* IPPROTO_*; default: none, the payload follows */
    uint8_t ttl;      /* default 64 */
    uint8_t tos;      /* traffic class */
    uint16_t id;
    uint32_t flow_label;
    bool dont_fragment;
    bool fragment; /* IPv6: with a fragment header, even if it is the only one */
    bool more_fragments;
    uint16_t fragment_offset; /* bytes, a multiple of 8; not 0: no transport header is written */
    const uint8_t *options;   /* IPv4 options; padded with 0 to 4 bytes */
    uint8_t options_length;
    struct pcn_frame_extension extensions[PCN_EXTENSIONS_MAX];
    unsigned int n_extensions;

    /* TCP, UDP */
    uint16_t source_port;
    uint16_t destination_port;
    uint8_t tcp_flags; /* default ACK */
    uint32_t sequence;
    uint32_t acknowledgement;
    uint16_t window; /* default 65535 */
    const uint8_t *tcp_options;
    uint8_t tcp_options_length;

    /* ICMP, ICMPv6 */
    uint8_t icmp_type;
    uint8_t icmp_code;
    uint16_t icmp_id;       /* echo */
    uint16_t icmp_sequence; /* echo */
    uint32_t icmp_word;     /* host order, in place of both: MTU, pointer, flags of an advertisement */
    const char *nd_target;  /* ND: the address in the message */
    const char *nd_mac;     /* ND: in the link-layer address option; type 1 in solicitations, 2 in advertisements */

    /* ARP: with source and destination as sender and target address */
    uint16_t arp_operation;     /* 1 request, 2 reply; not 0: the frame is ARP */
    const char *arp_sender_mac; /* default: source_mac */
    const char *arp_target_mac; /* default: zeros */

    const void *payload; /* default: a pattern, byte i is i */
    size_t payload_length;
    size_t pad_to; /* trailing zeros up to this length of the frame */
    size_t cut_to; /* the frame ends here, whatever its headers say */
    uint32_t faults;
};

struct pcn_frame pcn_frame_make(const struct pcn_frame_spec *spec);

/* The ones that are needed most. Addresses of either family. */
struct pcn_frame pcn_frame_udp(const char *source, const char *destination, uint16_t source_port,
                               uint16_t destination_port, size_t payload_length);
struct pcn_frame pcn_frame_tcp(const char *source, const char *destination, uint16_t source_port,
                               uint16_t destination_port, uint8_t flags);
struct pcn_frame pcn_frame_echo(const char *source, const char *destination, uint16_t id, uint16_t sequence);
struct pcn_frame pcn_frame_arp_request(const char *source_mac, const char *source, const char *target);
struct pcn_frame pcn_frame_arp_reply(const char *source_mac, const char *source, const char *target_mac,
                                     const char *target);
/* To the solicited-node group of target, by its multicast MAC. */
struct pcn_frame pcn_frame_nd_solicit(const char *source_mac, const char *source, const char *target);
struct pcn_frame pcn_frame_nd_advertise(const char *source_mac, const char *source, const char *destination_mac,
                                        const char *destination);

/* For what is expected: the same frame with other MACs, the TTL less by one, or another tag. */
void pcn_frame_set_macs(struct pcn_frame *frame, const char *destination_mac, const char *source_mac);
void pcn_frame_decrement_ttl(struct pcn_frame *frame);
void pcn_frame_push_vlan(struct pcn_frame *frame, uint16_t tci, uint16_t protocol);
void pcn_frame_pop_vlan(struct pcn_frame *frame);
/* Computes the IP, TCP, UDP, ICMP checksums anew after the bytes were changed. */
void pcn_frame_fix_checksums(struct pcn_frame *frame);
/* Whether those are right. */
bool pcn_frame_checksums_ok(const struct pcn_frame *frame);

/* Offset of the network header, behind the tags; of the transport header: 0 where there is none. */
size_t pcn_frame_l3(const struct pcn_frame *frame);
size_t pcn_frame_l4(const struct pcn_frame *frame, uint8_t *ret_protocol);
/* TCP, UDP. */
uint16_t pcn_frame_source_port(const struct pcn_frame *frame);

uint16_t pcn_checksum(const void *bytes, size_t length); /* RFC 1071, network order */
void pcn_parse_mac(const char *text, uint8_t ret_mac[ETH_ALEN]);

/* Compares bytes; on a difference both are printed as hex, the bytes that differ marked. */
#define PCN_CHECK_FRAME(actual, expected)                                                                              \
    pcn_check_bytes((actual)->bytes, (actual)->length, (expected)->bytes, (expected)->length, __LINE__, __FILE__)
#define PCN_CHECK_BYTES(actual, actual_length, expected, expected_length)                                              \
    pcn_check_bytes((actual), (actual_length), (expected), (expected_length), __LINE__, __FILE__)
bool pcn_check_bytes(const void *actual, size_t actual_length, const void *expected, size_t expected_length,
                     unsigned int line, const char *file);
void pcn_hexdump(const char *title, const void *bytes, size_t length, const void *other, size_t other_length);
