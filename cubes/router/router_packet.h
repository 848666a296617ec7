/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that a router writes, and those it reads in user space. No state, no maps.
 * Builders write a whole untagged Ethernet frame and return its length; frames have room for
 * ROUTER_FRAME_MAX bytes. Addresses are in network order.
 */
#pragma once
#include <net/ethernet.h>
#include <pcn/abi.h>
#include <pcn/base.h>

#define ROUTER_FRAME_MAX 1536 /* of built ones: an ICMP error is at most 1,280 bytes of IP (RFC 4443 section 2.4 c) */
#define ROUTER_HOP_LIMIT 64   /* of packets of the router's own */

/* An IP packet inside a frame, its headers checked against the bytes there are. */
struct router_ip {
    uint8_t version; /* 4, 6 */
    uint8_t protocol;
    uint8_t ttl;           /* or hop limit */
    bool later_fragment;   /* has no transport header */
    bool dont_fragment;    /* IPv4 */
    bool authentic_length; /* all of it was captured */
    size_t header_length;  /* of IPv6 with extension headers that were passed */
    size_t length;         /* from the IP header on, no more than was captured */
    union pcn_address source;
    union pcn_address destination;
    const uint8_t *header;
    const uint8_t *payload; /* header + header_length */
};

/* ARP for IPv4, or a neighbour solicitation or advertisement. */
struct router_neighbour_message {
    bool request;             /* ARP request, solicitation */
    bool solicited, override; /* advertisement; an ARP reply has both */
    bool is_router;
    bool has_mac; /* an advertisement or solicitation may come without */
    uint8_t mac[ETH_ALEN];
    union pcn_address sender; /* its address; all 0: it has none yet. Of an advertisement: the target */
    union pcn_address target; /* whose MAC address is asked for */
};

enum router_error {
    ROUTER_TIME_EXCEEDED,
    ROUTER_NET_UNREACHABLE,
    ROUTER_HOST_UNREACHABLE,
    ROUTER_PORT_UNREACHABLE,
    ROUTER_PROTOCOL_UNREACHABLE,
    ROUTER_PACKET_TOO_BIG,
    ROUTER_ERROR_MAX,
};

/* From whom and to whom a frame is. */
struct router_ends {
    uint8_t source_mac[ETH_ALEN];
    uint8_t destination_mac[ETH_ALEN];
    union pcn_address source;
    union pcn_address destination;
};

/* -EBADMSG: not an untagged IPv4 or IPv6 frame, or one that contradicts itself. */
int router_ip_parse(const uint8_t *frame, size_t length, struct router_ip *ret_ip);
/* -EBADMSG: not a message, or not a valid one (RFC 826, RFC 4861 section 7.1). */
int router_arp_parse(const uint8_t *frame, size_t length, struct router_neighbour_message *ret_message);
int router_nd_parse(const struct router_ip *ip, struct router_neighbour_message *ret_message);

/* The Internet checksum: sum bytes, as many times as needed, then fold. Of a sum that is right: 0. */
uint64_t router_sum_bytes(const uint8_t *bytes, size_t length, uint64_t sum);
uint16_t router_sum_fold(uint64_t sum);
/* Of an ICMPv6 message, with its pseudo-header; host order. */
uint16_t router_icmp6_sum(const union pcn_address *source, const union pcn_address *destination, const uint8_t *message,
                          size_t length);
/* Writes an Ethernet header, returns its length. */
size_t router_ether_put(uint8_t *frame, const uint8_t destination[ETH_ALEN], const uint8_t source[ETH_ALEN],
                        uint16_t type);

bool router_address_is_zero(const union pcn_address *address);
bool router_address_is_link_local(const union pcn_address *address);             /* IPv6 */
bool router_address_is_group(uint16_t family, const union pcn_address *address); /* multicast, 255.255.255.255 */
/* fe80::/64 with the EUI-64 of mac (RFC 4291 appendix A). */
void router_link_local(const uint8_t mac[ETH_ALEN], union pcn_address *ret_address);

/* Asks for ends->destination; all zero ends->destination_mac: by broadcast, or to the solicited-node group. */
size_t router_request_build(uint16_t family, const struct router_ends *ends, uint8_t *ret_frame);
/* Tells ends->destination that target is at ends->source_mac; unsolicited: to everybody. */
size_t router_answer_build(uint16_t family, const struct router_ends *ends, const union pcn_address *target,
                           bool solicited, uint8_t *ret_frame);
/* The answer to an echo request, as long as that; -EBADMSG: it is none. ret_frame has room for frame's length. */
int router_echo_build(const struct router_ip *ip, const struct router_ends *ends, uint8_t *ret_frame);

/* Whether an error may be sent about a packet (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e). */
bool router_error_is_allowed(enum router_error error, const struct router_ip *ip);
/* An ICMP error about ip; mtu: of PACKET_TOO_BIG. */
size_t router_error_build(enum router_error error, const struct router_ip *ip, const struct router_ends *ends,
                          uint32_t mtu, uint8_t *ret_frame);

/*
 * IPv4: the fragment of ip that begins offset bytes into its payload, with as much as fits mtu; frame
 * addresses as given. ret_frame has room for mtu + 14. Returns bytes of payload it carries; 0: mtu is too small.
 */
size_t router_fragment_build(const struct router_ip *ip, const struct router_ends *ends, size_t offset, uint32_t mtu,
                             uint8_t *ret_frame, size_t *ret_length);

/* A transport checksum that the sender left to its hardware, completed; packet is ip's, to be written to. */
void router_checksum_complete(const struct router_ip *ip, uint8_t *packet);
void router_ttl_decrement(const struct router_ip *ip, uint8_t *packet);
