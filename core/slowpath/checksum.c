/* SPDX-License-Identifier: Apache-2.0 */
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <slowpath/checksum.h>
#include <string.h>

#define TAGS_MAX 2

/* RFC 1071, over 16-bit words in network order; an odd byte is the upper half of a word. */
static uint32_t sum_add(uint32_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)data[i] << 8 | data[i + 1];
    return size & 1 ? sum + ((uint32_t)data[size - 1] << 8) : sum;
}

static uint16_t sum_fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* segment: the transport header and what follows; addresses: both, one after the other. */
static void segment_complete(uint8_t *segment, size_t size, uint8_t protocol, const uint8_t *addresses,
                             size_t addresses_size)
{
    size_t offset = protocol == IPPROTO_TCP ? 16 : 6, least = protocol == IPPROTO_TCP ? 20 : 8;
    uint16_t pseudo, sum;

    if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || size < least || size > UINT16_MAX)
        return;
    pseudo = sum_fold(sum_add((uint32_t)size + protocol, addresses, addresses_size));
    if (((uint16_t)segment[offset] << 8 | segment[offset + 1]) != pseudo)
        return;
    sum = (uint16_t)~sum_fold(sum_add(0, segment, size));
    /* 0 in UDP says that there is no checksum. */
    if (!sum && protocol == IPPROTO_UDP)
        sum = 0xffff;
    segment[offset] = (uint8_t)(sum >> 8);
    segment[offset + 1] = (uint8_t)sum;
}

static void ipv4_complete(uint8_t *packet, size_t size)
{
    struct ip header;
    size_t length, total;

    if (size < sizeof(header))
        return;
    memcpy(&header, packet, sizeof(header));
    length = header.ip_hl * 4U;
    total = ntohs(header.ip_len);
    if (length < sizeof(header) || total < length || total > size || header.ip_off & htons(IP_MF | IP_OFFMASK))
        return;
    segment_complete(packet + length, total - length, header.ip_p, packet + offsetof(struct ip, ip_src), 8);
}

static void ipv6_complete(uint8_t *packet, size_t size)
{
    struct ip6_hdr header;
    size_t length;

    if (size < sizeof(header))
        return;
    memcpy(&header, packet, sizeof(header));
    length = ntohs(header.ip6_plen);
    if (length <= size - sizeof(header))
        segment_complete(packet + sizeof(header), length, header.ip6_nxt, packet + offsetof(struct ip6_hdr, ip6_src),
                         32);
}

void pcn_checksum_complete(uint8_t *frame, size_t size)
{
    size_t offset = sizeof(struct ether_header);
    uint16_t type;

    if (size < offset)
        return;
    for (int tags = 0;; tags++) {
        memcpy(&type, frame + offset - 2, sizeof(type));
        if ((type != htons(ETHERTYPE_VLAN) && type != htons(0x88a8)) || tags == TAGS_MAX || offset + 4 > size)
            break;
        offset += 4;
    }
    if (type == htons(ETHERTYPE_IP))
        ipv4_complete(frame + offset, size - offset);
    else if (type == htons(ETHERTYPE_IPV6))
        ipv6_complete(frame + offset, size - offset);
}
