/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a VIP? Neighbour solicitations (RFC 4861), and in a segment these, ARP requests (RFC 826) and echoes: the fast path
 * has found that they are for a VIP. In a segment the answer goes back as the question came: to the other end of the tunnel.
 */
#include "lbdsr.h"
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <pcn/answer.h>

#define L2_MAX (ETH_HLEN + 8)
#define ANSWER_MAX PCN_CAPTURE_MAX /* that of an echo */

/* What is in front of a frame in a segment. */
struct outer {
    size_t l3, l4;
    size_t inner; /* where the frame begins */
    bool v6;
};
#define SEGMENT_HEADER 8 /* VXLAN's, and Geneve's without options */
#define OUTER_MAX (L2_MAX + sizeof(struct ip6_hdr) + sizeof(struct udphdr) + SEGMENT_HEADER)

/* ---- answers ---- */

/* Addresses of the answer to a frame, and its tags. */
static void put_l2(const struct lbdsr *lbdsr, const uint8_t *frame, size_t l2, uint8_t *answer)
{
    memcpy(answer, frame, l2);
    memcpy(answer, frame + ETH_ALEN, ETH_ALEN);
    memcpy(answer + ETH_ALEN, lbdsr->tables.data->mac, ETH_ALEN);
}

/* Writes an answer, of PCN_ANSWER_MAX bytes or as many as the question has at most: how many; 0: it is not asked so. */
typedef size_t answer_to(const struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint8_t *answer);

static size_t answer_arp(const struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint8_t *answer)
{
    size_t l2 = lbdsr_l2_length(frame, length, ETHERTYPE_ARP);
    struct ether_arp asks, says;

    if (!l2 || l2 + sizeof(asks) > length)
        return 0;
    memcpy(&asks, frame + l2, sizeof(asks));
    says = asks;
    says.ea_hdr.ar_op = htons(ARPOP_REPLY);
    memcpy(says.arp_sha, lbdsr->tables.data->mac, ETH_ALEN);
    memcpy(says.arp_spa, asks.arp_tpa, sizeof(says.arp_spa));
    memcpy(says.arp_tha, asks.arp_sha, ETH_ALEN);
    memcpy(says.arp_tpa, asks.arp_spa, sizeof(says.arp_tpa));
    put_l2(lbdsr, frame, l2, answer);
    memcpy(answer + l2, &says, sizeof(says));
    return l2 + sizeof(says);
}

static size_t answer_solicitation(const struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint8_t *answer)
{
    return pcn_answer_solicitation(frame, length, lbdsr->tables.data->mac, answer);
}

/* The type becomes the answer's, and the checksum follows (RFC 1624). */
static void echo_turn(uint8_t *icmp, uint8_t type)
{
    uint32_t sum = (uint16_t) ~(icmp[2] << 8 | icmp[3]) + (uint32_t)(uint16_t) ~(icmp[0] << 8) + (uint32_t)(type << 8);

    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    icmp[0] = type;
    icmp[2] = (uint8_t)(sum >> 8);
    icmp[3] = (uint8_t)sum;
}

static size_t answer_echo(const struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint8_t *answer)
{
    size_t l3 = lbdsr_l2_length(frame, length, ETHERTYPE_IP), l4, end, address_size;
    const uint8_t *addresses;
    bool v4 = l3;

    if (v4) {
        l4 = l3 + (frame[l3] & 15u) * 4;
        if (frame[l3 + offsetof(struct iphdr, protocol)] != IPPROTO_ICMP)
            return 0;
        end = l3 + (size_t)(frame[l3 + 2] << 8 | frame[l3 + 3]);
        addresses = frame + l3 + offsetof(struct iphdr, saddr);
        address_size = sizeof(struct in_addr);
    } else {
        l3 = lbdsr_l2_length(frame, length, ETHERTYPE_IPV6);
        l4 = l3 + sizeof(struct ip6_hdr);
        if (!l3 || l4 > length || frame[l3 + offsetof(struct ip6_hdr, ip6_nxt)] != IPPROTO_ICMPV6)
            return 0;
        end = l4 + (size_t)(frame[l3 + 4] << 8 | frame[l3 + 5]);
        addresses = frame + l3 + offsetof(struct ip6_hdr, ip6_src);
        address_size = sizeof(struct in6_addr);
    }
    if (l4 + sizeof(struct icmphdr) > end || end > length || frame[l4] != (v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
        return 0;
    memcpy(answer, frame, end);
    put_l2(lbdsr, frame, l3, answer);
    memcpy(answer + (addresses - frame), addresses + address_size, address_size);
    memcpy(answer + (addresses - frame) + address_size, addresses, address_size);
    echo_turn(answer + l4, v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
    return end;
}

void lbdsr_solicited(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port)
{
    uint8_t answer[PCN_ANSWER_MAX];
    size_t size = lbdsr_answers_take(lbdsr) ? answer_solicitation(lbdsr, frame, length, answer) : 0;

    if (size)
        (void)pcn_cube_send(lbdsr->cube, port, PCN_EGRESS, answer, size);
}

/* ---- in a segment ---- */

static bool outer_find(const uint8_t *frame, size_t length, struct outer *ret_outer)
{
    struct outer outer = {.l3 = lbdsr_l2_length(frame, length, ETHERTYPE_IP)};
    uint8_t protocol;

    if (outer.l3) {
        outer.l4 = outer.l3 + (frame[outer.l3] & 15u) * 4;
        protocol = frame[outer.l3 + offsetof(struct iphdr, protocol)];
    } else {
        outer.v6 = true;
        outer.l3 = lbdsr_l2_length(frame, length, ETHERTYPE_IPV6);
        outer.l4 = outer.l3 + sizeof(struct ip6_hdr);
        if (!outer.l3 || outer.l4 > length)
            return false;
        protocol = frame[outer.l3 + offsetof(struct ip6_hdr, ip6_nxt)];
    }
    outer.inner = outer.l4 + sizeof(struct udphdr) + SEGMENT_HEADER;
    if (protocol != IPPROTO_UDP || outer.inner > length)
        return false;
    if (frame[outer.l4 + 2] == LBDSR_GENEVE_PORT >> 8 && frame[outer.l4 + 3] == (LBDSR_GENEVE_PORT & 0xff))
        outer.inner += (frame[outer.l4 + sizeof(struct udphdr)] & 0x3fu) * 4;
    *ret_outer = outer;
    return outer.inner < length;
}

/* The IP header of the way back, for so many bytes behind it: its length. */
static size_t put_l3(const uint8_t *frame, const struct outer *outer, size_t length, uint8_t *at)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP}, sent;
    struct ip6_hdr ip6 = {.ip6_flow = htonl(6u << 28)}, sent6;

    if (outer->v6) {
        memcpy(&sent6, frame + outer->l3, sizeof(sent6));
        ip6.ip6_plen = htons((uint16_t)length);
        ip6.ip6_nxt = IPPROTO_UDP;
        ip6.ip6_hlim = 64;
        ip6.ip6_src = sent6.ip6_dst;
        ip6.ip6_dst = sent6.ip6_src;
        memcpy(at, &ip6, sizeof(ip6));
        return sizeof(ip6);
    }
    memcpy(&sent, frame + outer->l3, sizeof(sent));
    ip.tot_len = htons((uint16_t)(sizeof(ip) + length));
    ip.saddr = sent.daddr;
    ip.daddr = sent.saddr;
    ip.check = pcn_answer_checksum(&ip, sizeof(ip), 0);
    memcpy(at, &ip, sizeof(ip));
    return sizeof(ip);
}

/* The length of what goes in front of an answer. */
static size_t outer_length(const struct outer *outer)
{
    return outer->l3 + (outer->v6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr)) + sizeof(struct udphdr) +
           SEGMENT_HEADER;
}

/* In front of an answer of so many bytes that stands behind it already. Over IPv6, UDP needs a checksum. */
static void put_outer(const struct lbdsr *lbdsr, const uint8_t *frame, const struct outer *outer, size_t length,
                      uint8_t *at)
{
    const size_t udp_length = sizeof(struct udphdr) + SEGMENT_HEADER + length;
    uint8_t *l3 = at + outer->l3, *l4 = l3 + put_l3(frame, outer, udp_length, l3),
            *segment = l4 + sizeof(struct udphdr);
    struct udphdr udp;

    put_l2(lbdsr, frame, outer->l3, at);
    memcpy(&udp, frame + outer->l4, sizeof(udp));
    udp.len = htons((uint16_t)udp_length);
    udp.check = 0;
    memcpy(l4, &udp, sizeof(udp));
    memcpy(segment, frame + outer->l4 + sizeof(udp), SEGMENT_HEADER);
    /* Options of Geneve do not go back. */
    if (outer->inner > outer->l4 + sizeof(udp) + SEGMENT_HEADER)
        segment[0] = 0;
    if (outer->v6) {
        udp.check = lbdsr_checksum6(l3, sizeof(struct ip6_hdr) + udp_length, IPPROTO_UDP) ?: 0xffff;
        memcpy(l4, &udp, sizeof(udp));
    }
}

void lbdsr_solicited_in_segment(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port)
{
    static answer_to *const answers[] = {answer_arp, answer_solicitation, answer_echo};
    uint8_t answer[OUTER_MAX + ANSWER_MAX];
    struct outer outer;
    size_t size = 0, at;

    if (!lbdsr_answers_take(lbdsr) || !outer_find(frame, length, &outer))
        return;
    at = outer_length(&outer);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(answers) && !size; i++)
        size = answers[i](lbdsr, frame + outer.inner, length - outer.inner, answer + at);
    if (!size)
        return;
    put_outer(lbdsr, frame, &outer, size, answer);
    (void)pcn_cube_send(lbdsr->cube, port, PCN_EGRESS, answer, at + size);
}
