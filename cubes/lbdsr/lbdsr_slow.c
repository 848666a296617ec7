/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that the fast path sent up: what is too big (RFC 1191, RFC 8201), and who has an IPv6 VIP (RFC 4861), is answered. */
#include "lbdsr.h"
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

#define ERRORS_PER_SECOND 1000u /* each costs a sender's packet, so that this bounds nobody's harm */
#define ERRORS_BURST 200u
#define MESSAGE6_MAX 1280u /* RFC 4443 section 2.4: what any path takes */
#define QUOTE 520          /* RFC 1812 section 4.3.2.3: 576 in all, with 20 of IP and 8 of ICMP, rounded down */

static bool errors_take(struct lbdsr *lbdsr)
{
    uint64_t now = pcn_clock_ms(), earned = (now - lbdsr->errors_at) * ERRORS_PER_SECOND / 1000;

    if (earned) {
        lbdsr->errors = (uint32_t)PCN_MIN(lbdsr->errors + earned, ERRORS_BURST);
        lbdsr->errors_at = now;
    }
    if (!lbdsr->errors)
        return false;
    lbdsr->errors--;
    return true;
}

static uint16_t checksum(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint32_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* Bytes of the Ethernet header and its tags; 0: what follows is of another type. */
static size_t l2_length(const uint8_t *frame, size_t length, uint16_t wanted)
{
    size_t offset = ETH_HLEN - 2;

    for (int tags = 0; tags <= 2 && offset + 2 + sizeof(struct iphdr) <= length; tags++, offset += 4) {
        uint16_t type = (uint16_t)(frame[offset] << 8 | frame[offset + 1]);

        if (type == wanted)
            return offset + 2;
        if (type != ETHERTYPE_VLAN && type != 0x88a8)
            break;
    }
    return 0;
}

/* From the VIP, to whom has sent it: the same way back. */
static void too_big(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port, uint32_t mtu)
{
    uint8_t answer[ETH_HLEN + 8 + sizeof(struct iphdr) + sizeof(struct icmphdr) + QUOTE];
    struct icmphdr icmp = {.type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED, .un.frag.mtu = htons((uint16_t)mtu)};
    struct iphdr ip = {.version = 4, .ihl = 5, .tos = 0xc0, .ttl = 64, .protocol = IPPROTO_ICMP}, sent;
    size_t l2 = l2_length(frame, length, ETHERTYPE_IP), quote, at = l2;

    if (!l2 || frame[ETH_ALEN] & 1 || !errors_take(lbdsr))
        return;
    memcpy(&sent, frame + l2, sizeof(sent));
    quote = PCN_MIN(length - l2, (size_t)QUOTE);
    ip.saddr = sent.daddr;
    ip.daddr = sent.saddr;
    ip.tot_len = htons((uint16_t)(sizeof(ip) + sizeof(icmp) + quote));
    ip.check = checksum(&ip, sizeof(ip));
    memcpy(answer, frame, l2);
    memcpy(answer, frame + ETH_ALEN, ETH_ALEN);
    memcpy(answer + ETH_ALEN, lbdsr->tables.data->mac, ETH_ALEN);
    memcpy(answer + at, &ip, sizeof(ip));
    at += sizeof(ip);
    memcpy(answer + at, &icmp, sizeof(icmp));
    memcpy(answer + at + sizeof(icmp), frame + l2, quote);
    icmp.checksum = checksum(answer + at, sizeof(icmp) + quote);
    memcpy(answer + at, &icmp, sizeof(icmp));
    (void)pcn_cube_send(lbdsr->cube, port, PCN_EGRESS, answer, at + sizeof(icmp) + quote);
}

struct advertisement {
    struct ip6_hdr ip;
    struct nd_neighbor_advert advert;
    struct nd_opt_hdr option;
    uint8_t mac[ETH_ALEN];
};
_Static_assert(sizeof(struct advertisement) == 72, "as on the wire");

/* Of an ICMPv6 message, the IPv6 header in front of it; length: of both, at most that of the longest one we send. */
static uint16_t checksum6(const void *packet, size_t length)
{
    uint8_t bytes[MESSAGE6_MAX];
    const uint32_t rest[2] = {htonl((uint32_t)(length - sizeof(struct ip6_hdr))), htonl(IPPROTO_ICMPV6)};

    /* The pseudo header has the addresses where they are, and eight bytes in front of them. */
    memcpy(bytes, packet, length);
    memcpy(bytes, rest, sizeof(rest));
    return checksum(bytes, length);
}

static void too_big6(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port, uint32_t mtu)
{
    uint8_t answer[ETH_HLEN + 8 + MESSAGE6_MAX];
    struct icmp6_hdr icmp = {.icmp6_type = ICMP6_PACKET_TOO_BIG, .icmp6_dataun.icmp6_un_data32 = {htonl(mtu)}};
    size_t l2 = l2_length(frame, length, ETHERTYPE_IPV6), quote, size;
    struct ip6_hdr ip = {}, sent;

    if (!l2 || l2 + sizeof(sent) > length || frame[ETH_ALEN] & 1 || !errors_take(lbdsr))
        return;
    memcpy(&sent, frame + l2, sizeof(sent));
    quote = PCN_MIN(length - l2, MESSAGE6_MAX - sizeof(ip) - sizeof(icmp));
    size = sizeof(ip) + sizeof(icmp) + quote;
    ip.ip6_flow = htonl(6u << 28);
    ip.ip6_plen = htons((uint16_t)(sizeof(icmp) + quote));
    ip.ip6_nxt = IPPROTO_ICMPV6;
    ip.ip6_hlim = 64;
    ip.ip6_src = sent.ip6_dst;
    ip.ip6_dst = sent.ip6_src;
    memcpy(answer, frame, l2);
    memcpy(answer, frame + ETH_ALEN, ETH_ALEN);
    memcpy(answer + ETH_ALEN, lbdsr->tables.data->mac, ETH_ALEN);
    memcpy(answer + l2, &ip, sizeof(ip));
    memcpy(answer + l2 + sizeof(ip), &icmp, sizeof(icmp));
    memcpy(answer + l2 + sizeof(ip) + sizeof(icmp), frame + l2, quote);
    icmp.icmp6_cksum = checksum6(answer + l2, size);
    memcpy(answer + l2 + sizeof(ip), &icmp, sizeof(icmp));
    (void)pcn_cube_send(lbdsr->cube, port, PCN_EGRESS, answer, l2 + size);
}

/* We have it. */
static void solicited(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port)
{
    uint8_t bytes[ETH_HLEN + 8 + sizeof(struct advertisement)];
    size_t l2 = l2_length(frame, length, ETHERTYPE_IPV6);
    struct nd_neighbor_solicit solicit;
    struct advertisement answer = {};
    struct ip6_hdr ip;

    if (!l2 || l2 + sizeof(ip) + sizeof(solicit) > length || !errors_take(lbdsr))
        return;
    memcpy(&ip, frame + l2, sizeof(ip));
    memcpy(&solicit, frame + l2 + sizeof(ip), sizeof(solicit));
    /* Asked from nowhere, it is about whether the address is taken: an answer would say so, and to all. */
    if (ip.ip6_hlim != 255 || ip.ip6_nxt != IPPROTO_ICMPV6 || IN6_IS_ADDR_UNSPECIFIED(&ip.ip6_src))
        return;
    answer.ip.ip6_flow = htonl(6u << 28);
    answer.ip.ip6_plen = htons(sizeof(answer) - sizeof(answer.ip));
    answer.ip.ip6_nxt = IPPROTO_ICMPV6;
    answer.ip.ip6_hlim = 255;
    answer.ip.ip6_src = solicit.nd_ns_target;
    answer.ip.ip6_dst = ip.ip6_src;
    answer.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
    answer.advert.nd_na_flags_reserved = ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE;
    answer.advert.nd_na_target = solicit.nd_ns_target;
    answer.option = (struct nd_opt_hdr){.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1};
    memcpy(answer.mac, lbdsr->tables.data->mac, ETH_ALEN);
    answer.advert.nd_na_cksum = checksum6(&answer, sizeof(answer));
    memcpy(bytes, frame, l2);
    memcpy(bytes, frame + ETH_ALEN, ETH_ALEN);
    memcpy(bytes + ETH_ALEN, answer.mac, ETH_ALEN);
    memcpy(bytes + l2, &answer, sizeof(answer));
    (void)pcn_cube_send(lbdsr->cube, port, PCN_EGRESS, bytes, l2 + sizeof(answer));
}

void lbdsr_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    const struct pcn_record *record = &packet->record;
    struct lbdsr *lbdsr = pcn_cube_state(cube);

    if (record->reason == LBDSR_SLOW_SOLICITED)
        solicited(lbdsr, packet->frame, record->captured, record->port);
    else if (record->reason == LBDSR_SLOW_TOO_BIG && record->words[1] == 6)
        too_big6(lbdsr, packet->frame, record->captured, record->port, record->words[0]);
    else if (record->reason == LBDSR_SLOW_TOO_BIG)
        too_big(lbdsr, packet->frame, record->captured, record->port, record->words[0]);
}
