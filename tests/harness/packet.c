/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <harness/packet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>

#define DEFAULT_SOURCE_MAC "02:00:00:00:00:01"
#define DEFAULT_DESTINATION_MAC "02:00:00:00:00:02"

static _Noreturn void packet_die(const char *what, const char *value)
{
    fprintf(stderr, "packet description: %s: %s\n", what, value);
    exit(EXIT_FAILURE);
}

/* Room for size bytes at the end, zeroed. */
static void *packet_add(struct pcn_frame *frame, size_t size)
{
    void *bytes = frame->bytes + frame->length;

    if (size > sizeof(frame->bytes) - frame->length)
        packet_die("frame is longer than", "PCN_FRAME_MAX");
    memset(bytes, 0, size);
    frame->length += size;
    return bytes;
}

static void packet_add16(struct pcn_frame *frame, uint16_t value)
{
    value = htons(value);
    memcpy(packet_add(frame, sizeof(value)), &value, sizeof(value));
}

static void packet_put16(struct pcn_frame *frame, size_t offset, uint16_t value)
{
    value = htons(value);
    memcpy(frame->bytes + offset, &value, sizeof(value));
}

static uint16_t packet_get16(const struct pcn_frame *frame, size_t offset)
{
    uint16_t value;

    memcpy(&value, frame->bytes + offset, sizeof(value));
    return ntohs(value);
}

void pcn_parse_mac(const char *text, uint8_t ret_mac[ETH_ALEN])
{
    unsigned int byte[ETH_ALEN];
    char end;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4], &byte[5], &end) !=
        ETH_ALEN)
        packet_die("not a MAC address", text);
    for (int i = 0; i < ETH_ALEN; i++)
        ret_mac[i] = (uint8_t)byte[i];
}

static int packet_family(const char *address)
{
    return strchr(address, ':') ? AF_INET6 : AF_INET;
}

static void packet_address(const char *text, void *ret_address)
{
    if (inet_pton(packet_family(text), text, ret_address) != 1)
        packet_die("not an IP address", text);
}

uint16_t pcn_checksum(const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)byte[i] << 8 | byte[i + 1];
    if (length & 1)
        sum += (uint32_t)byte[length - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* ---- layers, outermost first ---- */

static void packet_ethernet(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    uint16_t ethertype = spec->ethertype;

    if (!ethertype && spec->arp_operation)
        ethertype = ETHERTYPE_ARP;
    else if (!ethertype && spec->source)
        ethertype = packet_family(spec->source) == AF_INET6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP;
    pcn_parse_mac(spec->destination_mac ?: DEFAULT_DESTINATION_MAC, packet_add(frame, ETH_ALEN));
    pcn_parse_mac(spec->source_mac ?: DEFAULT_SOURCE_MAC, packet_add(frame, ETH_ALEN));
    for (unsigned int i = 0; i < spec->n_vlans; i++) {
        uint16_t protocol = spec->vlans[i].protocol;

        if (!protocol)
            protocol = spec->n_vlans == 2 && i == 0 ? 0x88a8 : ETHERTYPE_VLAN;
        packet_add16(frame, protocol);
        packet_add16(frame, spec->vlans[i].tci);
    }
    packet_add16(frame, ethertype);
}

static void packet_arp(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    static const uint8_t prologue[] = {0, 1, 8, 0, 6, 4};

    memcpy(packet_add(frame, sizeof(prologue)), prologue, sizeof(prologue));
    packet_add16(frame, spec->arp_operation);
    pcn_parse_mac(spec->arp_sender_mac ?: spec->source_mac ?: DEFAULT_SOURCE_MAC, packet_add(frame, ETH_ALEN));
    packet_address(spec->source, packet_add(frame, 4));
    pcn_parse_mac(spec->arp_target_mac ?: "00:00:00:00:00:00", packet_add(frame, ETH_ALEN));
    packet_address(spec->destination, packet_add(frame, 4));
}

static void packet_ipv4(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    struct iphdr *ip = packet_add(frame, sizeof(*ip));
    size_t options = (spec->options_length + 3u) & ~3u;

    ip->version = 4;
    ip->ihl = (sizeof(*ip) + options) / 4;
    ip->tos = spec->tos;
    ip->id = htons(spec->id);
    ip->frag_off = htons(
        (uint16_t)((spec->dont_fragment ? IP_DF : 0) | (spec->more_fragments ? IP_MF : 0) | spec->fragment_offset / 8));
    ip->ttl = spec->ttl ?: 64;
    ip->protocol = spec->protocol;
    packet_address(spec->source, &ip->saddr);
    packet_address(spec->destination, &ip->daddr);
    if (options)
        memcpy(packet_add(frame, options), spec->options, spec->options_length);
}

static void packet_extensions(struct pcn_frame *frame, const struct pcn_frame_spec *spec, uint8_t *next)
{
    for (unsigned int i = 0; i < spec->n_extensions && i < PCN_EXTENSIONS_MAX; i++) {
        uint8_t type = spec->extensions[i].type, size = spec->extensions[i].size ?: 8;
        uint8_t *header = packet_add(frame, size);

        *next = type;
        /* AH counts words of 4 bytes less 2, the others of 8 less 1. */
        header[1] = (uint8_t)(type == IPPROTO_AH ? size / 4 - 2 : size / 8 - 1);
        if (type == IPPROTO_HOPOPTS || type == IPPROTO_DSTOPTS) {
            header[2] = 1; /* PadN over the rest */
            header[3] = (uint8_t)(size - 4);
        }
        next = header;
    }
    if (spec->fragment || spec->more_fragments || spec->fragment_offset) {
        struct ip6_frag *fragment = packet_add(frame, sizeof(*fragment));

        *next = IPPROTO_FRAGMENT;
        fragment->ip6f_offlg = htons((uint16_t)(spec->fragment_offset | (spec->more_fragments ? 1 : 0)));
        fragment->ip6f_ident = htonl(spec->id);
        next = &fragment->ip6f_nxt;
    }
    *next = spec->protocol ?: IPPROTO_NONE;
}

static void packet_ipv6(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    struct ip6_hdr *ip = packet_add(frame, sizeof(*ip));

    ip->ip6_flow = htonl(6u << 28 | (uint32_t)spec->tos << 20 | (spec->flow_label & 0xfffff));
    ip->ip6_hlim = spec->ttl ?: 64;
    packet_address(spec->source, &ip->ip6_src);
    packet_address(spec->destination, &ip->ip6_dst);
    packet_extensions(frame, spec, &ip->ip6_nxt);
}

static void packet_tcp(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    struct tcphdr *tcp = packet_add(frame, sizeof(*tcp));
    size_t options = (spec->tcp_options_length + 3u) & ~3u;

    tcp->source = htons(spec->source_port);
    tcp->dest = htons(spec->destination_port);
    tcp->seq = htonl(spec->sequence);
    tcp->ack_seq = htonl(spec->acknowledgement);
    tcp->doff = (sizeof(*tcp) + options) / 4;
    ((uint8_t *)tcp)[13] = spec->tcp_flags ?: TH_ACK;
    tcp->window = htons(spec->window ?: 65535);
    if (options)
        memcpy(packet_add(frame, options), spec->tcp_options, spec->tcp_options_length);
}

static void packet_udp(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    struct udphdr *udp = packet_add(frame, sizeof(*udp));

    udp->source = htons(spec->source_port);
    udp->dest = htons(spec->destination_port);
}

static void packet_icmp(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    uint8_t *icmp = packet_add(frame, 8);
    bool advertisement = spec->icmp_type == ND_NEIGHBOR_ADVERT;
    uint32_t word = htonl(spec->icmp_word ?: (uint32_t)spec->icmp_id << 16 | spec->icmp_sequence);

    icmp[0] = spec->icmp_type;
    icmp[1] = spec->icmp_code;
    memcpy(icmp + 4, &word, sizeof(word));
    if (spec->nd_target)
        packet_address(spec->nd_target, packet_add(frame, 16));
    if (spec->nd_mac) {
        uint8_t *option = packet_add(frame, 8);

        option[0] = advertisement ? ND_OPT_TARGET_LINKADDR : ND_OPT_SOURCE_LINKADDR;
        option[1] = 1;
        pcn_parse_mac(spec->nd_mac, option + 2);
    }
}

static void packet_transport(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    if (spec->fragment_offset)
        return;
    if (spec->protocol == IPPROTO_TCP)
        packet_tcp(frame, spec);
    else if (spec->protocol == IPPROTO_UDP)
        packet_udp(frame, spec);
    else if (spec->protocol == IPPROTO_ICMP || spec->protocol == IPPROTO_ICMPV6)
        packet_icmp(frame, spec);
}

static void packet_payload(struct pcn_frame *frame, const struct pcn_frame_spec *spec)
{
    uint8_t *bytes = packet_add(frame, spec->payload_length);

    for (size_t i = 0; i < spec->payload_length; i++)
        bytes[i] = spec->payload ? ((const uint8_t *)spec->payload)[i] : (uint8_t)i;
}

/* ---- lengths and checksums ---- */

size_t pcn_frame_l3(const struct pcn_frame *frame)
{
    size_t offset = 2 * ETH_ALEN;

    for (int i = 0; i < 2 && offset + 4 <= frame->length; i++) {
        uint16_t type = packet_get16(frame, offset);

        if (type != ETHERTYPE_VLAN && type != 0x88a8)
            break;
        offset += 4;
    }
    return offset + 2;
}

static size_t packet_l4_ipv6(const struct pcn_frame *frame, size_t offset, uint8_t *ret_protocol)
{
    uint8_t next = frame->bytes[offset + 6];

    offset += sizeof(struct ip6_hdr);
    while (offset + 8 <= frame->length) {
        const uint8_t *header = frame->bytes + offset;

        if (next == IPPROTO_FRAGMENT) {
            if (packet_get16(frame, offset + 2) & 0xfff8)
                return 0;
            offset += 8;
        } else if (next == IPPROTO_AH) {
            offset += (header[1] + 2u) * 4;
        } else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
            offset += (header[1] + 1u) * 8;
        } else {
            break;
        }
        next = header[0];
    }
    if (next == IPPROTO_NONE || offset >= frame->length)
        return 0;
    *ret_protocol = next;
    return offset;
}

size_t pcn_frame_l4(const struct pcn_frame *frame, uint8_t *ret_protocol)
{
    size_t offset = pcn_frame_l3(frame);
    uint16_t ethertype = packet_get16(frame, offset - 2);

    if (ethertype == ETHERTYPE_IPV6 && offset + sizeof(struct ip6_hdr) <= frame->length)
        return packet_l4_ipv6(frame, offset, ret_protocol);
    if (ethertype != ETHERTYPE_IP || offset + sizeof(struct iphdr) > frame->length)
        return 0;
    if (packet_get16(frame, offset + 6) & IP_OFFMASK)
        return 0;
    *ret_protocol = frame->bytes[offset + 9];
    offset += (frame->bytes[offset] & 15u) * 4;
    return offset < frame->length ? offset : 0;
}

static int packet_checksum_offset(uint8_t protocol)
{
    switch (protocol) {
    case IPPROTO_TCP:
        return 16;
    case IPPROTO_UDP:
        return 6;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return 2;
    default:
        return -1;
    }
}

/* Bytes of the IP packet as its header says, cut at the frame's end. */
static size_t packet_ip_end(const struct pcn_frame *frame, size_t l3)
{
    size_t length = packet_get16(frame, l3 - 2) == ETHERTYPE_IPV6 ? packet_get16(frame, l3 + 4) + sizeof(struct ip6_hdr)
                                                                  : packet_get16(frame, l3 + 2);

    return PCN_MIN(l3 + length, frame->length);
}

/* The transport checksum, over the pseudo header too; the field itself counts as it stands. */
static uint16_t packet_l4_checksum(const struct pcn_frame *frame, size_t l3, size_t l4, uint8_t protocol)
{
    struct pcn_frame pseudo = {};
    size_t length = packet_ip_end(frame, l3) - l4;
    bool ipv6 = packet_get16(frame, l3 - 2) == ETHERTYPE_IPV6;

    if (protocol != IPPROTO_ICMP) {
        size_t addresses = ipv6 ? 32 : 8;

        memcpy(packet_add(&pseudo, addresses), frame->bytes + l3 + (ipv6 ? 8 : 12), addresses);
        packet_add16(&pseudo, (uint16_t)(length >> 16));
        packet_add16(&pseudo, (uint16_t)length);
        packet_add16(&pseudo, 0);
        packet_add16(&pseudo, protocol);
    }
    memcpy(packet_add(&pseudo, length), frame->bytes + l4, length);
    return pcn_checksum(pseudo.bytes, pseudo.length);
}

static void packet_fix_l3(struct pcn_frame *frame, size_t l3)
{
    uint16_t sum;

    if (packet_get16(frame, l3 - 2) != ETHERTYPE_IP || l3 + sizeof(struct iphdr) > frame->length)
        return;
    packet_put16(frame, l3 + 10, 0);
    sum = pcn_checksum(frame->bytes + l3, PCN_MIN((frame->bytes[l3] & 15u) * 4, frame->length - l3));
    memcpy(frame->bytes + l3 + 10, &sum, sizeof(sum));
}

void pcn_frame_fix_checksums(struct pcn_frame *frame)
{
    uint8_t protocol = 0;
    size_t l3 = pcn_frame_l3(frame), l4;
    uint16_t sum;
    int offset;

    packet_fix_l3(frame, l3);
    l4 = pcn_frame_l4(frame, &protocol);
    offset = l4 ? packet_checksum_offset(protocol) : -1;
    if (offset < 0 || l4 + (size_t)offset + 2 > packet_ip_end(frame, l3))
        return;
    packet_put16(frame, l4 + (size_t)offset, 0);
    sum = packet_l4_checksum(frame, l3, l4, protocol);
    if (protocol == IPPROTO_UDP && !sum)
        sum = 0xffff; /* 0 would say that there is none */
    memcpy(frame->bytes + l4 + offset, &sum, sizeof(sum));
}

bool pcn_frame_checksums_ok(const struct pcn_frame *frame)
{
    uint8_t protocol = 0;
    size_t l3 = pcn_frame_l3(frame), l4 = pcn_frame_l4(frame, &protocol);
    int offset = l4 ? packet_checksum_offset(protocol) : -1;

    if (packet_get16(frame, l3 - 2) == ETHERTYPE_IP && pcn_checksum(frame->bytes + l3, (frame->bytes[l3] & 15u) * 4))
        return false;
    if (offset < 0)
        return true;
    if (protocol == IPPROTO_UDP && !packet_get16(frame, l4 + (size_t)offset))
        return packet_get16(frame, l3 - 2) == ETHERTYPE_IP;
    return packet_l4_checksum(frame, l3, l4, protocol) == 0;
}

static void packet_lengths(struct pcn_frame *frame, const struct pcn_frame_spec *spec, size_t l3, size_t l4)
{
    bool ipv6 = packet_family(spec->source) == AF_INET6;
    size_t length = frame->length - l3 - (ipv6 ? sizeof(struct ip6_hdr) : 0);

    packet_put16(frame, l3 + (ipv6 ? 4 : 2), (uint16_t)length);
    if (spec->protocol == IPPROTO_UDP && !spec->fragment_offset)
        packet_put16(frame, l4 + 4, (uint16_t)(frame->length - l4));
}

static void packet_faults(struct pcn_frame *frame, const struct pcn_frame_spec *spec, size_t l3, size_t l4)
{
    bool ipv6 = packet_family(spec->source) == AF_INET6;
    size_t length_at = l3 + (ipv6 ? 4 : 2);
    uint32_t faults = spec->faults;
    int sum = packet_checksum_offset(spec->protocol);

    if (faults & PCN_FAULT_UDP_LENGTH)
        packet_put16(frame, l4 + 4, (uint16_t)(frame->length - l4 + 100));
    if (faults & PCN_FAULT_TCP_OFFSET)
        frame->bytes[l4 + 12] = (uint8_t)(4 << 4 | (frame->bytes[l4 + 12] & 15));
    if (sum >= 0 && faults & PCN_FAULT_L4_CHECKSUM)
        frame->bytes[l4 + (size_t)sum] ^= 0x55;
    if (sum >= 0 && faults & PCN_FAULT_NO_UDP_CHECKSUM)
        packet_put16(frame, l4 + (size_t)sum, 0);
    if (faults & PCN_FAULT_IP_VERSION)
        frame->bytes[l3] = (uint8_t)(7 << 4 | (frame->bytes[l3] & 15));
    if (!ipv6 && faults & PCN_FAULT_IHL_SHORT)
        frame->bytes[l3] = (uint8_t)((frame->bytes[l3] & 0xf0) | 4);
    if (!ipv6 && faults & PCN_FAULT_IHL_LONG)
        frame->bytes[l3] = (uint8_t)((frame->bytes[l3] & 0xf0) | 15);
    if (faults & PCN_FAULT_LENGTH_SHORT)
        packet_put16(frame, length_at, ipv6 ? 2 : 10);
    if (faults & PCN_FAULT_LENGTH_LONG)
        packet_put16(frame, length_at, (uint16_t)(frame->length + 100));
    if (!ipv6 && faults & (PCN_FAULT_LENGTH_SHORT | PCN_FAULT_LENGTH_LONG))
        packet_fix_l3(frame, l3);
    if (!ipv6 && faults & PCN_FAULT_IP_CHECKSUM)
        frame->bytes[l3 + 10] ^= 0x55;
}

struct pcn_frame pcn_frame_make(const struct pcn_frame_spec *spec)
{
    struct pcn_frame frame = {};
    size_t l3, l4;

    packet_ethernet(&frame, spec);
    l3 = frame.length;
    if (spec->arp_operation) {
        packet_arp(&frame, spec);
    } else if (spec->source) {
        if (packet_family(spec->source) == AF_INET6)
            packet_ipv6(&frame, spec);
        else
            packet_ipv4(&frame, spec);
        l4 = frame.length;
        packet_transport(&frame, spec);
        packet_payload(&frame, spec);
        packet_lengths(&frame, spec, l3, l4);
        pcn_frame_fix_checksums(&frame);
        packet_faults(&frame, spec, l3, l4);
    } else {
        packet_payload(&frame, spec);
    }
    if (spec->pad_to > frame.length)
        packet_add(&frame, spec->pad_to - frame.length);
    if (spec->cut_to && spec->cut_to < frame.length)
        frame.length = spec->cut_to;
    return frame;
}

/* ---- the ones that are needed most ---- */

struct pcn_frame pcn_frame_udp(const char *source, const char *destination, uint16_t source_port,
                               uint16_t destination_port, size_t payload_length)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source = source,
                                                   .destination = destination,
                                                   .protocol = IPPROTO_UDP,
                                                   .source_port = source_port,
                                                   .destination_port = destination_port,
                                                   .payload_length = payload_length});
}

struct pcn_frame pcn_frame_tcp(const char *source, const char *destination, uint16_t source_port,
                               uint16_t destination_port, uint8_t flags)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source = source,
                                                   .destination = destination,
                                                   .protocol = IPPROTO_TCP,
                                                   .source_port = source_port,
                                                   .destination_port = destination_port,
                                                   .tcp_flags = flags});
}

struct pcn_frame pcn_frame_echo(const char *source, const char *destination, uint16_t id, uint16_t sequence)
{
    bool ipv6 = packet_family(source) == AF_INET6;

    return pcn_frame_make(&(struct pcn_frame_spec){.source = source,
                                                   .destination = destination,
                                                   .protocol = ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                                                   .icmp_type = ipv6 ? ICMP6_ECHO_REQUEST : 8,
                                                   .icmp_id = id,
                                                   .icmp_sequence = sequence,
                                                   .payload_length = 32});
}

struct pcn_frame pcn_frame_arp_request(const char *source_mac, const char *source, const char *target)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source_mac = source_mac,
                                                   .destination_mac = "ff:ff:ff:ff:ff:ff",
                                                   .source = source,
                                                   .destination = target,
                                                   .arp_operation = 1});
}

struct pcn_frame pcn_frame_arp_reply(const char *source_mac, const char *source, const char *target_mac,
                                     const char *target)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source_mac = source_mac,
                                                   .destination_mac = target_mac,
                                                   .arp_target_mac = target_mac,
                                                   .source = source,
                                                   .destination = target,
                                                   .arp_operation = 2});
}

struct pcn_frame pcn_frame_nd_solicit(const char *source_mac, const char *source, const char *target)
{
    char mac[18], group[INET6_ADDRSTRLEN];
    uint8_t address[16];

    packet_address(target, address);
    snprintf(mac, sizeof(mac), "33:33:ff:%02x:%02x:%02x", address[13], address[14], address[15]);
    snprintf(group, sizeof(group), "ff02::1:ff%02x:%02x%02x", address[13], address[14], address[15]);
    return pcn_frame_make(&(struct pcn_frame_spec){.source_mac = source_mac,
                                                   .destination_mac = mac,
                                                   .source = source,
                                                   .destination = group,
                                                   .protocol = IPPROTO_ICMPV6,
                                                   .ttl = 255,
                                                   .icmp_type = ND_NEIGHBOR_SOLICIT,
                                                   .nd_target = target,
                                                   .nd_mac = source_mac});
}

struct pcn_frame pcn_frame_nd_advertise(const char *source_mac, const char *source, const char *destination_mac,
                                        const char *destination)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source_mac = source_mac,
                                                   .destination_mac = destination_mac,
                                                   .source = source,
                                                   .destination = destination,
                                                   .protocol = IPPROTO_ICMPV6,
                                                   .ttl = 255,
                                                   .icmp_type = ND_NEIGHBOR_ADVERT,
                                                   .icmp_word = 0x60000000, /* solicited, override */
                                                   .nd_target = source,
                                                   .nd_mac = source_mac});
}

/* ---- changes ---- */

void pcn_frame_set_macs(struct pcn_frame *frame, const char *destination_mac, const char *source_mac)
{
    pcn_parse_mac(destination_mac, frame->bytes);
    pcn_parse_mac(source_mac, frame->bytes + ETH_ALEN);
}

void pcn_frame_decrement_ttl(struct pcn_frame *frame)
{
    size_t l3 = pcn_frame_l3(frame);

    if (packet_get16(frame, l3 - 2) == ETHERTYPE_IPV6) {
        frame->bytes[l3 + 7]--;
        return;
    }
    frame->bytes[l3 + 8]--;
    packet_fix_l3(frame, l3);
}

void pcn_frame_push_vlan(struct pcn_frame *frame, uint16_t tci, uint16_t protocol)
{
    size_t at = 2 * ETH_ALEN, rest = frame->length - at;

    packet_add(frame, 4);
    memmove(frame->bytes + at + 4, frame->bytes + at, rest);
    packet_put16(frame, at, protocol);
    packet_put16(frame, at + 2, tci);
}

void pcn_frame_pop_vlan(struct pcn_frame *frame)
{
    size_t at = 2 * ETH_ALEN;

    memmove(frame->bytes + at, frame->bytes + at + 4, frame->length - at - 4);
    frame->length -= 4;
}

uint16_t pcn_frame_source_port(const struct pcn_frame *frame)
{
    uint8_t protocol;
    const uint8_t *ports = frame->bytes + pcn_frame_l4(frame, &protocol);

    return (uint16_t)(ports[0] << 8 | ports[1]);
}
