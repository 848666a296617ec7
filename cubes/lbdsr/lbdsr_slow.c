/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that the fast path sent up: those that are too big are answered (RFC 1191). */
#include "lbdsr.h"
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#define ERRORS_PER_SECOND 1000u /* each costs a sender's packet, so that this bounds nobody's harm */
#define ERRORS_BURST 200u
#define QUOTE 520 /* RFC 1812 section 4.3.2.3: 576 in all, with 20 of IP and 8 of ICMP, rounded down */

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

/* Bytes of the Ethernet header and its tags; 0: what follows is no IPv4. */
static size_t l2_length(const uint8_t *frame, size_t length)
{
    size_t offset = ETH_HLEN - 2;

    for (int tags = 0; tags <= 2 && offset + 2 + sizeof(struct iphdr) <= length; tags++, offset += 4) {
        uint16_t type = (uint16_t)(frame[offset] << 8 | frame[offset + 1]);

        if (type == ETHERTYPE_IP)
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
    size_t l2 = l2_length(frame, length), quote, at = l2;

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

void lbdsr_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    if (packet->record.reason == LBDSR_SLOW_TOO_BIG)
        too_big(pcn_cube_state(cube), packet->frame, packet->record.captured, packet->record.port,
                packet->record.words[0]);
}
