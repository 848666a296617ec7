/* SPDX-License-Identifier: Apache-2.0 */
/* What a sender is told of a packet that was rejected, and who asks for an address. */
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <pcn/answer.h>
#include <string.h>

#define QUOTE4_MAX (576 - 28)  /* RFC 1812 4.3.2.3: the error is no longer than 576 bytes */
#define QUOTE6_MAX (1280 - 48) /* RFC 4443 2.4: nor that of IPv6 than the least MTU */
#define HOP_LIMIT 64

struct quote {
    const uint8_t *l3;
    const uint8_t *l4;
    size_t length; /* from l3 on */
    uint8_t protocol;
};

static uint32_t sum_of(const void *bytes, size_t size, uint32_t sum)
{
    const uint8_t *p = bytes;

    for (; size > 1; p += 2, size -= 2)
        sum += (uint32_t)p[0] << 8 | p[1];
    return size ? sum + ((uint32_t)p[0] << 8) : sum;
}

/* Network order. */
static uint16_t sum_finish(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

uint16_t pcn_answer_checksum(const void *bytes, size_t size, uint32_t sum)
{
    return sum_finish(sum_of(bytes, size, sum));
}

/* Whether an error may be sent about the packet (RFC 1122 3.2.2, RFC 4443 2.4 e). */
static bool may_answer(const struct quote *quote)
{
    struct ip6_hdr ip6;
    struct iphdr ip4;

    if (quote->l3[0] >> 4 == 4) {
        uint32_t source, destination;

        memcpy(&ip4, quote->l3, sizeof(ip4));
        source = ntohl(ip4.saddr);
        destination = ntohl(ip4.daddr);
        if (!source || source >> 28 >= 14 || source >> 24 == 127 || destination >> 28 >= 14)
            return false;
        return quote->protocol != IPPROTO_ICMP || quote->l4[0] == ICMP_ECHO || quote->l4[0] == ICMP_TIMESTAMP;
    }
    memcpy(&ip6, quote->l3, sizeof(ip6));
    if (IN6_IS_ADDR_UNSPECIFIED(&ip6.ip6_src) || IN6_IS_ADDR_MULTICAST(&ip6.ip6_src) ||
        IN6_IS_ADDR_MULTICAST(&ip6.ip6_dst))
        return false;
    return quote->protocol != IPPROTO_ICMPV6 || quote->l4[0] & 0x80;
}

/* RFC 9293 3.10.7.1. Bytes written; 0: a RST is not answered. */
static size_t tcp_reset(const struct quote *quote, uint8_t *ret_segment)
{
    struct tcphdr tcp, reset;
    uint32_t length;
    size_t header;

    memcpy(&tcp, quote->l4, sizeof(tcp));
    if (tcp.rst)
        return 0;
    header = (size_t)(quote->l4 - quote->l3) + tcp.doff * 4u;
    length = quote->length > header ? (uint32_t)(quote->length - header) : 0;
    reset = (struct tcphdr){.source = tcp.dest, .dest = tcp.source, .doff = 5, .rst = 1};
    if (tcp.ack) {
        reset.seq = tcp.ack_seq;
    } else {
        reset.ack = 1;
        reset.ack_seq = htonl(ntohl(tcp.seq) + length + tcp.syn + tcp.fin);
    }
    memcpy(ret_segment, &reset, sizeof(reset));
    return sizeof(reset);
}

/* Port unreachable, and what fits of the packet. */
static size_t icmp_error(const struct quote *quote, size_t captured, bool six, uint8_t *ret_message)
{
    size_t quoted = PCN_MIN(captured, (size_t)(six ? QUOTE6_MAX : QUOTE4_MAX));

    memset(ret_message, 0, 8);
    ret_message[0] = six ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH;
    ret_message[1] = six ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH;
    memcpy(ret_message + 8, quote->l3, quoted);
    return 8 + quoted;
}

/* The IP header in front of size bytes at l4, and their checksum. */
static void finish4(const struct quote *quote, uint8_t *l3, size_t size, uint8_t protocol)
{
    uint8_t *l4 = l3 + sizeof(struct iphdr);
    struct iphdr from, ip;
    uint32_t pseudo;
    uint16_t sum;

    memcpy(&from, quote->l3, sizeof(from));
    ip = (struct iphdr){.version = 4,
                        .ihl = 5,
                        .tot_len = htons((uint16_t)(sizeof(ip) + size)),
                        .frag_off = htons(0x4000),
                        .ttl = HOP_LIMIT,
                        .protocol = protocol,
                        .saddr = from.daddr,
                        .daddr = from.saddr};
    ip.check = sum_finish(sum_of(&ip, sizeof(ip), 0));
    memcpy(l3, &ip, sizeof(ip));
    pseudo = protocol == IPPROTO_TCP ? sum_of(l3 + 12, 8, (uint32_t)(protocol + size)) : 0;
    sum = sum_finish(sum_of(l4, size, pseudo));
    memcpy(l4 + (protocol == IPPROTO_TCP ? 16 : 2), &sum, sizeof(sum));
}

static void finish6(const struct quote *quote, uint8_t *l3, size_t size, uint8_t protocol)
{
    uint8_t *l4 = l3 + sizeof(struct ip6_hdr);
    struct ip6_hdr from, ip;
    uint16_t sum;

    memcpy(&from, quote->l3, sizeof(from));
    ip = (struct ip6_hdr){.ip6_src = from.ip6_dst, .ip6_dst = from.ip6_src};
    ip.ip6_flow = htonl(6u << 28);
    ip.ip6_plen = htons((uint16_t)size);
    ip.ip6_nxt = protocol;
    ip.ip6_hlim = HOP_LIMIT;
    memcpy(l3, &ip, sizeof(ip));
    sum = sum_finish(sum_of(l4, size, sum_of(l3 + 8, 32, (uint32_t)(protocol + size))));
    memcpy(l4 + (protocol == IPPROTO_TCP ? 16 : 2), &sum, sizeof(sum));
}

/* Offset of the IP header, behind the tags; 0: not IP, or cut short. */
static size_t find_ip(const uint8_t *frame, size_t size)
{
    size_t offset = 2 * ETH_ALEN;

    for (int tags = 0; tags <= 2 && offset + 2 <= size; tags++) {
        unsigned int type = (unsigned int)frame[offset] << 8 | frame[offset + 1];

        if (type == ETHERTYPE_IP || type == ETHERTYPE_IPV6)
            return offset + 2;
        offset += 4;
    }
    return 0;
}

/* Bytes of the IP packet. */
static size_t ip_length(const uint8_t *l3, bool six)
{
    size_t length = six ? sizeof(struct ip6_hdr) + ((size_t)l3[4] << 8 | l3[5]) : (size_t)l3[2] << 8 | l3[3];

    return length;
}

size_t pcn_answer_reject(const uint8_t *frame, size_t size, size_t header, uint8_t protocol,
                         uint8_t ret_frame[PCN_ANSWER_MAX])
{
    size_t l3_offset = find_ip(frame, size), least, length;
    bool six, tcp = protocol == IPPROTO_TCP;
    struct quote quote;
    uint8_t *l3;

    if (!l3_offset || l3_offset + header + (tcp ? sizeof(struct tcphdr) : 8) > size)
        return 0;
    six = frame[l3_offset] >> 4 == 6;
    least = six ? sizeof(struct ip6_hdr) : sizeof(struct iphdr);
    if (header < least)
        return 0;
    quote = (struct quote){.l3 = frame + l3_offset,
                           .l4 = frame + l3_offset + header,
                           .length = ip_length(frame + l3_offset, six),
                           .protocol = protocol};
    if (!may_answer(&quote))
        return 0;
    memcpy(ret_frame, frame, l3_offset);
    memcpy(ret_frame, frame + ETH_ALEN, ETH_ALEN);
    memcpy(ret_frame + ETH_ALEN, frame, ETH_ALEN);
    l3 = ret_frame + l3_offset;
    length = tcp ? tcp_reset(&quote, l3 + least)
                 : icmp_error(&quote, PCN_MIN(size - l3_offset, quote.length), six, l3 + least);
    if (!length)
        return 0;
    if (six)
        finish6(&quote, l3, length, tcp ? IPPROTO_TCP : IPPROTO_ICMPV6);
    else
        finish4(&quote, l3, length, tcp ? IPPROTO_TCP : IPPROTO_ICMP);
    return l3_offset + least + length;
}

/* ---- neighbour discovery ---- */

struct advertisement {
    struct ip6_hdr ip;
    struct nd_neighbor_advert advert;
    struct nd_opt_hdr option;
    uint8_t mac[ETH_ALEN];
};
_Static_assert(sizeof(struct advertisement) == 72, "as on the wire");

static struct advertisement advertisement_of(const struct in6_addr *to, const struct in6_addr *target,
                                             const uint8_t mac[ETH_ALEN])
{
    const uint16_t length = sizeof(struct advertisement) - sizeof(struct ip6_hdr);
    struct advertisement answer = {.ip = {.ip6_src = *target, .ip6_dst = *to}};

    answer.ip.ip6_flow = htonl(6u << 28);
    answer.ip.ip6_plen = htons(length);
    answer.ip.ip6_nxt = IPPROTO_ICMPV6;
    answer.ip.ip6_hlim = 255;
    answer.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
    answer.advert.nd_na_flags_reserved = ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE;
    answer.advert.nd_na_target = *target;
    answer.option = (struct nd_opt_hdr){.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1};
    memcpy(answer.mac, mac, ETH_ALEN);
    answer.advert.nd_na_cksum =
        sum_finish(sum_of(&answer.advert, length, sum_of(&answer.ip.ip6_src, 32, IPPROTO_ICMPV6 + length)));
    return answer;
}

size_t pcn_answer_solicitation(const uint8_t *frame, size_t size, const uint8_t mac[ETH_ALEN],
                               uint8_t ret_frame[PCN_ANSWER_MAX])
{
    size_t l3 = find_ip(frame, size);
    struct nd_neighbor_solicit solicit;
    struct advertisement answer;
    struct ip6_hdr ip;

    if (!l3 || l3 + sizeof(ip) + sizeof(solicit) > size)
        return 0;
    memcpy(&ip, frame + l3, sizeof(ip));
    memcpy(&solicit, frame + l3 + sizeof(ip), sizeof(solicit));
    /* Asked from nowhere, it is about whether the address is taken: an answer would say so, and to all. */
    if (ip.ip6_hlim != 255 || ip.ip6_nxt != IPPROTO_ICMPV6 || solicit.nd_ns_type != ND_NEIGHBOR_SOLICIT ||
        IN6_IS_ADDR_UNSPECIFIED(&ip.ip6_src))
        return 0;
    answer = advertisement_of(&ip.ip6_src, &solicit.nd_ns_target, mac);
    memcpy(ret_frame, frame, l3);
    memcpy(ret_frame, frame + ETH_ALEN, ETH_ALEN);
    memcpy(ret_frame + ETH_ALEN, mac, ETH_ALEN);
    memcpy(ret_frame + l3, &answer, sizeof(answer));
    return l3 + sizeof(answer);
}
