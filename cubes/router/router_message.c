/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP and ICMPv6: errors, echo replies; and fragments, whose headers are made alike. */
#include "router_packet.h"
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#define QUOTE_MAX_4 (576 - sizeof(struct iphdr) - 8)    /* RFC 1812 section 4.3.2.3 */
#define QUOTE_MAX_6 (1280 - sizeof(struct ip6_hdr) - 8) /* RFC 4443 section 2.4 c */

struct type_code {
    uint8_t type;
    uint8_t code;
};

static const struct type_code errors_4[ROUTER_ERROR_MAX] = {
    [ROUTER_TIME_EXCEEDED] = {ICMP_TIME_EXCEEDED, ICMP_EXC_TTL},
    [ROUTER_NET_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_NET_UNREACH},
    [ROUTER_HOST_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_HOST_UNREACH},
    [ROUTER_PORT_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH},
    [ROUTER_PROTOCOL_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_PROT_UNREACH},
    [ROUTER_PACKET_TOO_BIG] = {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED},
};

static const struct type_code errors_6[ROUTER_ERROR_MAX] = {
    [ROUTER_TIME_EXCEEDED] = {ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT},
    [ROUTER_NET_UNREACHABLE] = {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE},
    [ROUTER_HOST_UNREACHABLE] = {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR},
    [ROUTER_PORT_UNREACHABLE] = {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT},
    [ROUTER_PROTOCOL_UNREACHABLE] = {ICMP6_PARAM_PROB, ICMP6_PARAMPROB_NEXTHEADER},
    [ROUTER_PACKET_TOO_BIG] = {ICMP6_PACKET_TOO_BIG, 0},
};

/* ---- IP headers ---- */

static void ip4_finish(struct iphdr *ip)
{
    ip->check = 0;
    ip->check = htons(router_sum_fold(router_sum_bytes((const uint8_t *)ip, ip->ihl * 4u, 0)));
}

/* Ethernet and IP headers of a packet of the router's own; returns the offset of what it carries. */
static size_t headers_put(uint8_t version, const struct router_ends *ends, size_t length, uint8_t *frame)
{
    struct iphdr ip4 = {
        .version = 4,
        .ihl = 5,
        .tos = 0xc0, /* errors are sent as internetwork control (RFC 1812 section 4.3.2.5) */
        .tot_len = htons((uint16_t)(sizeof(ip4) + length)),
        .ttl = ROUTER_HOP_LIMIT,
        .protocol = IPPROTO_ICMP,
        .saddr = ends->source.v4,
        .daddr = ends->destination.v4,
    };
    struct ip6_hdr ip6 = {
        .ip6_plen = htons((uint16_t)length),
        .ip6_nxt = IPPROTO_ICMPV6,
        .ip6_hlim = ROUTER_HOP_LIMIT,
    };
    size_t offset =
        router_ether_put(frame, ends->destination_mac, ends->source_mac, version == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);

    if (version == 4) {
        ip4_finish(&ip4);
        memcpy(frame + offset, &ip4, sizeof(ip4));
        return offset + sizeof(ip4);
    }
    ip6.ip6_vfc = 0x60;
    memcpy(&ip6.ip6_src, &ends->source, sizeof(ip6.ip6_src));
    memcpy(&ip6.ip6_dst, &ends->destination, sizeof(ip6.ip6_dst));
    memcpy(frame + offset, &ip6, sizeof(ip6));
    return offset + sizeof(ip6);
}

static void icmp_finish(uint8_t version, const struct router_ends *ends, uint8_t *icmp, size_t length)
{
    uint16_t sum;

    memset(icmp + 2, 0, sizeof(sum));
    sum = version == 4 ? router_sum_fold(router_sum_bytes(icmp, length, 0))
                       : router_icmp6_sum(&ends->source, &ends->destination, icmp, length);
    sum = htons(sum);
    memcpy(icmp + 2, &sum, sizeof(sum));
}

/* ---- errors ---- */

static bool is_error_message(const struct router_ip *ip)
{
    uint8_t type;

    if (ip->version == 6)
        /* Bit 7 marks information; an error that is cut off before its type is one. */
        return ip->protocol == IPPROTO_ICMPV6 &&
               (ip->length <= ip->header_length || !(ip->payload[0] & 0x80) || ip->payload[0] == ND_REDIRECT);
    if (ip->protocol != IPPROTO_ICMP)
        return false;
    if (ip->length <= ip->header_length)
        return true;
    type = ip->payload[0];
    return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
           type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

bool router_error_is_allowed(enum router_error error, const struct router_ip *ip)
{
    uint16_t family = ip->version == 4 ? AF_INET : AF_INET6;
    const uint8_t *ether = ip->header - ETH_HLEN;

    if (router_address_is_zero(&ip->source) || router_address_is_group(family, &ip->source))
        return false;
    if (family == AF_INET && (ntohl(ip->source.v4) >> 24 == 127 || ntohl(ip->source.v4) >> 28 == 15))
        return false;
    if (ip->later_fragment || is_error_message(ip))
        return false;
    if (router_address_is_group(family, &ip->destination) || ether[0] & 1)
        return ip->version == 6 && error == ROUTER_PACKET_TOO_BIG;
    return true;
}

size_t router_error_build(enum router_error error, const struct router_ip *ip, const struct router_ends *ends,
                          uint32_t mtu, uint8_t *ret_frame)
{
    bool four = ip->version == 4;
    const struct type_code *type_code = four ? &errors_4[error] : &errors_6[error];
    size_t quote = PCN_MIN(ip->length, four ? QUOTE_MAX_4 : QUOTE_MAX_6), offset;
    uint8_t *icmp;

    offset = headers_put(ip->version, ends, 8 + quote, ret_frame);
    icmp = ret_frame + offset;
    memset(icmp, 0, 8);
    icmp[0] = type_code->type;
    icmp[1] = type_code->code;
    if (error == ROUTER_PACKET_TOO_BIG && four) {
        uint16_t word = htons((uint16_t)PCN_MIN(mtu, UINT16_MAX));

        memcpy(icmp + 6, &word, sizeof(word));
    } else if (error == ROUTER_PACKET_TOO_BIG || (error == ROUTER_PROTOCOL_UNREACHABLE && !four)) {
        /* The pointer of a parameter problem: the header's own field, as no extension header is there. */
        uint32_t word = htonl(error == ROUTER_PACKET_TOO_BIG ? mtu : 6);

        memcpy(icmp + 4, &word, sizeof(word));
    }
    memcpy(icmp + 8, ip->header, quote);
    icmp_finish(ip->version, ends, icmp, 8 + quote);
    return offset + 8 + quote;
}

/* ---- echo ---- */

int router_echo_build(const struct router_ip *ip, const struct router_ends *ends, uint8_t *ret_frame)
{
    size_t length = ip->length - ip->header_length, offset;
    bool four = ip->version == 4;
    uint8_t *icmp;

    if (!ip->authentic_length || ip->later_fragment || length < 8 || ip->payload[1] ||
        ip->protocol != (four ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
        ip->payload[0] != (four ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
        return -EBADMSG;
    if (four ? router_sum_fold(router_sum_bytes(ip->payload, length, 0))
             : router_icmp6_sum(&ip->source, &ip->destination, ip->payload, length))
        return -EBADMSG;
    offset = headers_put(ip->version, ends, length, ret_frame);
    if (four) {
        struct iphdr header;

        /* A reply has the request's type of service, and its identification. */
        memcpy(&header, ret_frame + ETH_HLEN, sizeof(header));
        header.tos = ip->header[1];
        memcpy(&header.id, ip->header + 4, sizeof(header.id));
        ip4_finish(&header);
        memcpy(ret_frame + ETH_HLEN, &header, sizeof(header));
    }
    icmp = ret_frame + offset;
    memcpy(icmp, ip->payload, length);
    icmp[0] = four ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    icmp_finish(ip->version, ends, icmp, length);
    return (int)(offset + length);
}

/* ---- fragments ---- */

/* Options of the first header that later fragments carry too: those with the copied bit; the others become NOPs. */
static void options_keep_copied(uint8_t *options, size_t length)
{
    for (size_t i = 0; i < length && options[i] != IPOPT_EOL;) {
        size_t size = options[i] == IPOPT_NOP || i + 1 == length ? 1 : PCN_MAX(options[i + 1], 1);

        size = PCN_MIN(size, length - i);
        if (!IPOPT_COPIED(options[i]))
            memset(options + i, IPOPT_NOP, size);
        i += size;
    }
}

size_t router_fragment_build(const struct router_ip *ip, const struct router_ends *ends, size_t offset, uint32_t mtu,
                             uint8_t *ret_frame, size_t *ret_length)
{
    size_t left = ip->length - ip->header_length - offset, carried = left, at;
    struct iphdr header;
    uint16_t first;

    memcpy(&header, ip->header, sizeof(header));
    first = ntohs(header.frag_off);
    if (mtu < ip->header_length + 8)
        return 0;
    if (carried > mtu - ip->header_length)
        carried = (mtu - ip->header_length) & ~7u;
    at = router_ether_put(ret_frame, ends->destination_mac, ends->source_mac, ETHERTYPE_IP);
    memcpy(ret_frame + at, ip->header, ip->header_length);
    if (offset > 0)
        options_keep_copied(ret_frame + at + sizeof(header), ip->header_length - sizeof(header));
    header.tot_len = htons((uint16_t)(ip->header_length + carried));
    header.frag_off =
        htons((uint16_t)(((first & IP_OFFMASK) + offset / 8) | (first & IP_MF) | (carried < left ? IP_MF : 0)));
    header.check = 0;
    memcpy(ret_frame + at, &header, sizeof(header));
    header.check = htons(router_sum_fold(router_sum_bytes(ret_frame + at, ip->header_length, 0)));
    memcpy(ret_frame + at, &header, sizeof(header));
    memcpy(ret_frame + at + ip->header_length, ip->payload + offset, carried);
    *ret_length = at + ip->header_length + carried;
    return carried;
}

/* ---- packets on their way ---- */

/* Where the transport's checksum stands in its header; 0: it has none that we know. */
static size_t checksum_offset(const struct router_ip *ip)
{
    if (ip->protocol == IPPROTO_TCP)
        return 16;
    return ip->protocol == IPPROTO_UDP ? 6 : 0;
}

void router_checksum_complete(const struct router_ip *ip, uint8_t *packet)
{
    size_t offset = checksum_offset(ip), length = ip->length - ip->header_length;
    const uint8_t *source = packet + (ip->version == 4 ? 12 : 8);
    uint8_t *payload = packet + ip->header_length;
    uint64_t sum = length + ip->protocol;
    uint16_t stored, whole;

    if (!offset || !ip->authentic_length || ip->later_fragment || length < offset + 2)
        return;
    if (ip->version == 4 && (packet[6] & 0x20))
        return;
    /* Both addresses, one behind the other. */
    sum = router_sum_bytes(source, ip->version == 4 ? 8 : 32, sum);
    memcpy(&stored, payload + offset, sizeof(stored));
    /* Left to hardware: the field holds the sum of the pseudo-header alone. */
    if ((ntohs(stored) ^ router_sum_fold(sum)) != UINT16_MAX)
        return;
    memset(payload + offset, 0, sizeof(stored));
    whole = router_sum_fold(router_sum_bytes(payload, length, sum));
    whole = htons(whole || ip->protocol == IPPROTO_TCP ? whole : UINT16_MAX);
    memcpy(payload + offset, &whole, sizeof(whole));
}

void router_ttl_decrement(const struct router_ip *ip, uint8_t *packet)
{
    uint16_t sum;

    if (ip->version == 6) {
        packet[7]--;
        return;
    }
    packet[8]--;
    memset(packet + 10, 0, sizeof(sum));
    sum = htons(router_sum_fold(router_sum_bytes(packet, (packet[0] & 15) * 4u, 0)));
    memcpy(packet + 10, &sum, sizeof(sum));
}
