/* SPDX-License-Identifier: Apache-2.0 */
/* Reading frames, ARP and neighbour discovery. ICMP is in router_message.c. */
#include "router_packet.h"
#include <arpa/inet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sys/socket.h>

#define ND_HOP_LIMIT 255 /* of neighbour discovery: it was not routed (RFC 4861 section 7.1) */

/* ---- addresses ---- */

bool router_address_is_zero(const union pcn_address *address)
{
    return !(address->v6[0] | address->v6[1] | address->v6[2] | address->v6[3]);
}

bool router_address_is_link_local(const union pcn_address *address)
{
    return (ntohl(address->v6[0]) & 0xffc00000) == 0xfe800000;
}

bool router_address_is_group(uint16_t family, const union pcn_address *address)
{
    if (family == AF_INET)
        return IN_MULTICAST(ntohl(address->v4)) || address->v4 == INADDR_BROADCAST;
    return ntohl(address->v6[0]) >> 24 == 0xff;
}

void router_link_local(const uint8_t mac[ETH_ALEN], union pcn_address *ret_address)
{
    uint8_t bytes[16] = {0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};

    memcpy(ret_address, bytes, sizeof(bytes));
}

static const uint8_t *address_bytes(const union pcn_address *address)
{
    return (const uint8_t *)address->v6;
}

/* ---- reading ---- */

static int ip4_parse(const uint8_t *packet, size_t length, struct router_ip *ret)
{
    struct iphdr ip;

    if (length < sizeof(ip))
        return -EBADMSG;
    memcpy(&ip, packet, sizeof(ip));
    if (ip.version != 4 || ip.ihl < 5 || ip.ihl * 4u > length || ntohs(ip.tot_len) < ip.ihl * 4u)
        return -EBADMSG;
    *ret = (struct router_ip){
        .version = 4,
        .protocol = ip.protocol,
        .ttl = ip.ttl,
        .later_fragment = ntohs(ip.frag_off) & IP_OFFMASK,
        .dont_fragment = ntohs(ip.frag_off) & IP_DF,
        .authentic_length = ntohs(ip.tot_len) <= length,
        .header_length = ip.ihl * 4u,
        .length = PCN_MIN(length, ntohs(ip.tot_len)),
        .source = {.v4 = ip.saddr},
        .destination = {.v4 = ip.daddr},
        .header = packet,
        .payload = packet + ip.ihl * 4u,
    };
    return 0;
}

/* Passes the extension headers; stops at what it does not know, or at the end of what there is. */
static void ip6_skip_extensions(struct router_ip *ip)
{
    for (unsigned int i = 0; i < 8; i++) {
        const uint8_t *at = ip->header + ip->header_length;
        size_t left = ip->length - ip->header_length, skip;

        if (left < 8)
            return;
        if (ip->protocol == IPPROTO_FRAGMENT)
            skip = 8;
        else if (ip->protocol == IPPROTO_HOPOPTS || ip->protocol == IPPROTO_ROUTING || ip->protocol == IPPROTO_DSTOPTS)
            skip = 8u + 8u * at[1];
        else
            return;
        if (skip > left)
            return;
        if (ip->protocol == IPPROTO_FRAGMENT && (at[2] << 8 | at[3]) & 0xfff8)
            ip->later_fragment = true;
        ip->protocol = at[0];
        ip->header_length += skip;
        if (ip->later_fragment)
            return;
    }
}

static int ip6_parse(const uint8_t *packet, size_t length, struct router_ip *ret)
{
    struct ip6_hdr ip;
    size_t total;

    if (length < sizeof(ip))
        return -EBADMSG;
    memcpy(&ip, packet, sizeof(ip));
    if (packet[0] >> 4 != 6)
        return -EBADMSG;
    total = sizeof(ip) + ntohs(ip.ip6_plen);
    *ret = (struct router_ip){
        .version = 6,
        .protocol = ip.ip6_nxt,
        .ttl = ip.ip6_hlim,
        .dont_fragment = true,
        .authentic_length = total <= length,
        .header_length = sizeof(ip),
        .length = PCN_MIN(length, total),
        .header = packet,
    };
    memcpy(&ret->source, &ip.ip6_src, sizeof(ret->source));
    memcpy(&ret->destination, &ip.ip6_dst, sizeof(ret->destination));
    ip6_skip_extensions(ret);
    ret->payload = packet + ret->header_length;
    return 0;
}

int router_ip_parse(const uint8_t *frame, size_t length, struct router_ip *ret_ip)
{
    uint16_t type;

    if (length < ETH_HLEN)
        return -EBADMSG;
    memcpy(&type, frame + 2 * ETH_ALEN, sizeof(type));
    if (type == htons(ETH_P_IP))
        return ip4_parse(frame + ETH_HLEN, length - ETH_HLEN, ret_ip);
    if (type == htons(ETH_P_IPV6))
        return ip6_parse(frame + ETH_HLEN, length - ETH_HLEN, ret_ip);
    return -EBADMSG;
}

int router_arp_parse(const uint8_t *frame, size_t length, struct router_neighbour_message *ret_message)
{
    struct router_neighbour_message message = {.has_mac = true};
    struct ether_arp arp;
    uint16_t type;

    if (length < ETH_HLEN + sizeof(arp))
        return -EBADMSG;
    memcpy(&type, frame + 2 * ETH_ALEN, sizeof(type));
    memcpy(&arp, frame + ETH_HLEN, sizeof(arp));
    if (type != htons(ETH_P_ARP) || arp.ea_hdr.ar_hrd != htons(ARPHRD_ETHER) || arp.ea_hdr.ar_pro != htons(ETH_P_IP) ||
        arp.ea_hdr.ar_hln != ETH_ALEN || arp.ea_hdr.ar_pln != 4)
        return -EBADMSG;
    if (arp.ea_hdr.ar_op != htons(ARPOP_REQUEST) && arp.ea_hdr.ar_op != htons(ARPOP_REPLY))
        return -EBADMSG;
    /* A group's address as the sender's would turn unicast into multicast. */
    if (arp.arp_sha[0] & 1)
        return -EBADMSG;
    message.request = arp.ea_hdr.ar_op == htons(ARPOP_REQUEST);
    message.solicited = message.override = !message.request;
    memcpy(message.mac, arp.arp_sha, ETH_ALEN);
    memcpy(&message.sender.v4, arp.arp_spa, sizeof(message.sender.v4));
    memcpy(&message.target.v4, arp.arp_tpa, sizeof(message.target.v4));
    *ret_message = message;
    return 0;
}

uint16_t router_sum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

uint64_t router_sum_bytes(const uint8_t *bytes, size_t length, uint64_t sum)
{
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return length & 1 ? sum + ((uint32_t)bytes[length - 1] << 8) : sum;
}

uint16_t router_icmp6_sum(const union pcn_address *source, const union pcn_address *destination, const uint8_t *message,
                          size_t length)
{
    uint64_t sum = length + IPPROTO_ICMPV6;

    sum = router_sum_bytes(address_bytes(source), 16, sum);
    sum = router_sum_bytes(address_bytes(destination), 16, sum);
    return router_sum_fold(router_sum_bytes(message, length, sum));
}

/* The link-layer address among the options that follow a message. -EBADMSG: they are not options. */
static int nd_option_parse(const uint8_t *options, size_t length, uint8_t type,
                           struct router_neighbour_message *message)
{
    while (length > 0) {
        size_t size = length >= 8 ? 8u * options[1] : 0;

        if (!size || size > length)
            return -EBADMSG;
        if (options[0] == type && !(options[2] & 1)) {
            memcpy(message->mac, options + 2, ETH_ALEN);
            message->has_mac = true;
        }
        options += size;
        length -= size;
    }
    return 0;
}

int router_nd_parse(const struct router_ip *ip, struct router_neighbour_message *ret_message)
{
    struct router_neighbour_message message = {};
    size_t length = ip->length - ip->header_length;
    const uint8_t *icmp = ip->payload;
    uint8_t type;
    int r;

    if (ip->version != 6 || ip->protocol != IPPROTO_ICMPV6 || ip->ttl != ND_HOP_LIMIT || !ip->authentic_length ||
        ip->later_fragment || length < sizeof(struct nd_neighbor_solicit) || icmp[1])
        return -EBADMSG;
    type = icmp[0];
    if ((type != ND_NEIGHBOR_SOLICIT && type != ND_NEIGHBOR_ADVERT) ||
        router_icmp6_sum(&ip->source, &ip->destination, icmp, length))
        return -EBADMSG;
    memcpy(&message.target, icmp + 8, sizeof(message.target));
    if (router_address_is_group(AF_INET6, &message.target))
        return -EBADMSG;
    message.request = type == ND_NEIGHBOR_SOLICIT;
    if (message.request) {
        message.sender = ip->source;
    } else {
        message.sender = message.target;
        message.is_router = icmp[4] & 0x80;
        message.solicited = icmp[4] & 0x40;
        message.override = icmp[4] & 0x20;
    }
    r = nd_option_parse(icmp + sizeof(struct nd_neighbor_solicit), length - sizeof(struct nd_neighbor_solicit),
                        message.request ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR, &message);
    if (r < 0)
        return r;
    *ret_message = message;
    return 0;
}

/* ---- writing ---- */

size_t router_ether_put(uint8_t *frame, const uint8_t destination[ETH_ALEN], const uint8_t source[ETH_ALEN],
                        uint16_t type)
{
    type = htons(type);
    memcpy(frame, destination, ETH_ALEN);
    memcpy(frame + ETH_ALEN, source, ETH_ALEN);
    memcpy(frame + 2 * ETH_ALEN, &type, sizeof(type));
    return ETH_HLEN;
}

static bool mac_is_zero(const uint8_t mac[ETH_ALEN])
{
    static const uint8_t zero[ETH_ALEN];

    return memcmp(mac, zero, ETH_ALEN) == 0;
}

static size_t arp_build(uint16_t operation, const struct router_ends *ends, uint32_t source, uint32_t target,
                        uint8_t *frame)
{
    static const uint8_t broadcast[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct ether_arp arp = {
        .ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
                   .ar_pro = htons(ETH_P_IP),
                   .ar_hln = ETH_ALEN,
                   .ar_pln = 4,
                   .ar_op = htons(operation)},
    };
    const uint8_t *to = mac_is_zero(ends->destination_mac) ? broadcast : ends->destination_mac;
    size_t length = router_ether_put(frame, to, ends->source_mac, ETH_P_ARP);

    memcpy(arp.arp_sha, ends->source_mac, ETH_ALEN);
    memcpy(arp.arp_spa, &source, sizeof(source));
    memcpy(arp.arp_tha, ends->destination_mac, ETH_ALEN);
    memcpy(arp.arp_tpa, &target, sizeof(target));
    memcpy(frame + length, &arp, sizeof(arp));
    return length + sizeof(arp);
}

/* The group of ff02::1:ff00:0/104 that hears solicitations for an address, and its MAC address. */
static void solicited_node(const union pcn_address *target, union pcn_address *ret_group, uint8_t ret_mac[ETH_ALEN])
{
    const uint8_t *low = address_bytes(target) + 13;
    uint8_t group[16] = {0xff, 0x02, [11] = 1, 0xff, low[0], low[1], low[2]};
    uint8_t mac[ETH_ALEN] = {0x33, 0x33, 0xff, low[0], low[1], low[2]};

    memcpy(ret_group, group, sizeof(group));
    memcpy(ret_mac, mac, sizeof(mac));
}

/* One neighbour discovery message: type, flags, target, and the sender's MAC address as the option. */
static size_t nd_build(uint8_t type, uint8_t flags, const struct router_ends *ends, const union pcn_address *target,
                       bool with_option, uint8_t *frame)
{
    uint8_t icmp[32] = {type, [4] = flags};
    size_t icmp_length = with_option ? sizeof(icmp) : sizeof(struct nd_neighbor_solicit);
    struct ip6_hdr ip = {.ip6_plen = htons((uint16_t)icmp_length), .ip6_nxt = IPPROTO_ICMPV6, .ip6_hlim = ND_HOP_LIMIT};
    size_t length = router_ether_put(frame, ends->destination_mac, ends->source_mac, ETH_P_IPV6);
    uint16_t sum;

    ip.ip6_vfc = 0x60;
    memcpy(&ip.ip6_src, &ends->source, sizeof(ip.ip6_src));
    memcpy(&ip.ip6_dst, &ends->destination, sizeof(ip.ip6_dst));
    memcpy(icmp + 8, target, sizeof(*target));
    icmp[24] = type == ND_NEIGHBOR_SOLICIT ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR;
    icmp[25] = 1;
    memcpy(icmp + 26, ends->source_mac, ETH_ALEN);
    sum = htons(router_icmp6_sum(&ends->source, &ends->destination, icmp, icmp_length));
    memcpy(icmp + 2, &sum, sizeof(sum));
    memcpy(frame + length, &ip, sizeof(ip));
    memcpy(frame + length + sizeof(ip), icmp, icmp_length);
    return length + sizeof(ip) + icmp_length;
}

size_t router_request_build(uint16_t family, const struct router_ends *ends, uint8_t *ret_frame)
{
    struct router_ends group = *ends;

    if (family == AF_INET)
        return arp_build(ARPOP_REQUEST, ends, ends->source.v4, ends->destination.v4, ret_frame);
    if (mac_is_zero(ends->destination_mac))
        solicited_node(&ends->destination, &group.destination, group.destination_mac);
    return nd_build(ND_NEIGHBOR_SOLICIT, 0, &group, &ends->destination, !router_address_is_zero(&ends->source),
                    ret_frame);
}

size_t router_answer_build(uint16_t family, const struct router_ends *ends, const union pcn_address *target,
                           bool solicited, uint8_t *ret_frame)
{
    /* Router, and override: what we say about our own addresses is right. */
    uint8_t flags = solicited ? 0xe0 : 0xa0;

    if (family == AF_INET)
        return arp_build(ARPOP_REPLY, ends, target->v4, ends->destination.v4, ret_frame);
    return nd_build(ND_NEIGHBOR_ADVERT, flags, ends, target, true, ret_frame);
}
