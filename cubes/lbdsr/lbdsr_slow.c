/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that the fast path sent up: what is too big (RFC 1191, RFC 8201) is answered, and who asks for a VIP. */
#include "lbdsr.h"
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <pcn/answer.h>

#define ANSWERS_PER_SECOND 1000u /* each costs a sender's packet, so that this bounds nobody's harm */
#define ANSWERS_BURST 200u
#define MESSAGE6_MAX 1280u /* RFC 4443 section 2.4: what any path takes */
#define QUOTE 520          /* RFC 1812 section 4.3.2.3: 576 in all, with 20 of IP and 8 of ICMP, rounded down */

bool lbdsr_answers_take(struct lbdsr *lbdsr)
{
    uint64_t now = pcn_clock_ms(), earned = (now - lbdsr->answers_at) * ANSWERS_PER_SECOND / 1000;

    if (earned) {
        lbdsr->answers = (uint32_t)PCN_MIN(lbdsr->answers + earned, ANSWERS_BURST);
        lbdsr->answers_at = now;
    }
    if (!lbdsr->answers)
        return false;
    lbdsr->answers--;
    return true;
}

uint16_t lbdsr_checksum6(const void *packet, size_t length, uint8_t protocol)
{
    const size_t addresses = offsetof(struct ip6_hdr, ip6_src), rest = length - sizeof(struct ip6_hdr);

    return pcn_answer_checksum((const uint8_t *)packet + addresses, length - addresses, (uint32_t)rest + protocol);
}

size_t lbdsr_l2_length(const uint8_t *frame, size_t length, uint16_t wanted)
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
    size_t l2 = lbdsr_l2_length(frame, length, ETHERTYPE_IP), quote, at = l2;

    if (!l2 || frame[ETH_ALEN] & 1 || !lbdsr_answers_take(lbdsr))
        return;
    memcpy(&sent, frame + l2, sizeof(sent));
    quote = PCN_MIN(length - l2, (size_t)QUOTE);
    ip.saddr = sent.daddr;
    ip.daddr = sent.saddr;
    ip.tot_len = htons((uint16_t)(sizeof(ip) + sizeof(icmp) + quote));
    ip.check = pcn_answer_checksum(&ip, sizeof(ip), 0);
    memcpy(answer, frame, l2);
    memcpy(answer, frame + ETH_ALEN, ETH_ALEN);
    memcpy(answer + ETH_ALEN, lbdsr->tables.data->mac, ETH_ALEN);
    memcpy(answer + at, &ip, sizeof(ip));
    at += sizeof(ip);
    memcpy(answer + at, &icmp, sizeof(icmp));
    memcpy(answer + at + sizeof(icmp), frame + l2, quote);
    icmp.checksum = pcn_answer_checksum(answer + at, sizeof(icmp) + quote, 0);
    memcpy(answer + at, &icmp, sizeof(icmp));
    (void)pcn_cube_send(lbdsr->cube, port, PCN_EGRESS, answer, at + sizeof(icmp) + quote);
}

static void too_big6(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port, uint32_t mtu)
{
    uint8_t answer[ETH_HLEN + 8 + MESSAGE6_MAX];
    struct icmp6_hdr icmp = {.icmp6_type = ICMP6_PACKET_TOO_BIG, .icmp6_dataun.icmp6_un_data32 = {htonl(mtu)}};
    size_t l2 = lbdsr_l2_length(frame, length, ETHERTYPE_IPV6), quote, size;
    struct ip6_hdr ip = {}, sent;

    if (!l2 || l2 + sizeof(sent) > length || frame[ETH_ALEN] & 1 || !lbdsr_answers_take(lbdsr))
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
    icmp.icmp6_cksum = lbdsr_checksum6(answer + l2, size, IPPROTO_ICMPV6);
    memcpy(answer + l2 + sizeof(ip), &icmp, sizeof(icmp));
    (void)pcn_cube_send(lbdsr->cube, port, PCN_EGRESS, answer, l2 + size);
}

void lbdsr_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    const struct pcn_record *record = &packet->record;
    struct lbdsr *lbdsr = pcn_cube_state(cube);

    if (record->reason == LBDSR_SLOW_SOLICITED)
        lbdsr_solicited(lbdsr, packet->frame, record->captured, record->port);
    else if (record->reason == LBDSR_SLOW_SEGMENT)
        lbdsr_solicited_in_segment(lbdsr, packet->frame, record->captured, record->port);
    else if (record->reason == LBDSR_SLOW_TOO_BIG && record->words[1] == 6)
        too_big6(lbdsr, packet->frame, record->captured, record->port, record->words[0]);
    else if (record->reason == LBDSR_SLOW_TOO_BIG)
        too_big(lbdsr, packet->frame, record->captured, record->port, record->words[0]);
}
