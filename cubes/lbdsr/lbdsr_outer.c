/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outer header of a backend's packets, as far as all of them have the same:
 *
 *     IPIP         IP                                        RFC 2003, 2473, 4213
 *     GUE          IP, UDP                                   draft-ietf-intarea-gue, variant 1: the packet follows
 *     VXLAN        IP, UDP, VXLAN, Ethernet                  RFC 7348
 *     GENEVE       IP, UDP, Geneve, Ethernet                 RFC 8926
 *
 * The version of the outer IP is that of the backend's address. UDP has no checksum, of IPv6 neither (RFC 6935, 6936: the
 * packet inside has its own).
 */
#include "lbdsr.h"
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

#define TTL 64

static const struct {
    uint16_t port;
    uint8_t segment; /* bytes of the segment's header, behind which there is one of Ethernet */
} modes[LBDSR_MODES] = {
    [LBDSR_GUE] = {6080, 0},
    [LBDSR_VXLAN] = {4789, 8},
    [LBDSR_GENEVE] = {6081, 8},
};

struct writer {
    uint8_t *bytes;
    size_t size;
};

static void put(struct writer *to, const void *bytes, size_t size)
{
    memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

static void put16(struct writer *to, uint16_t number)
{
    const uint16_t word = htons(number);

    put(to, &word, sizeof(word));
}

static void put_ipv4(struct writer *to, struct lbdsr_target *target, const struct lbdsr_end *end,
                     const struct lbdsr_settings *settings, uint8_t protocol)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = TTL, .protocol = protocol, .daddr = end->address.v4};
    uint16_t words[sizeof(ip) / 2];

    ip.saddr = settings->outer_source;
    target->hosts = settings->outer_hosts;
    if (target->flags & LBDSR_OUTER_UDP) {
        /* The port tells flows apart: the first host. */
        ip.saddr |= settings->outer_hosts & htonl(1);
        target->hosts = 0;
    }
    memcpy(words, &ip, sizeof(words));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(words); i++)
        target->sum += words[i];
    put(to, &ip, sizeof(ip));
}

static void put_ipv6(struct writer *to, struct lbdsr_target *target, const struct lbdsr_end *end,
                     const struct lbdsr_settings *settings, uint8_t protocol)
{
    struct ip6_hdr ip = {};
    union pcn_address source = settings->outer_source6;

    target->hosts = settings->outer_hosts6;
    if (target->flags & LBDSR_OUTER_UDP) {
        source.v6[3] |= settings->outer_hosts6 & htonl(1);
        target->hosts = 0;
    }
    ip.ip6_flow = htonl(6u << 28);
    ip.ip6_nxt = protocol;
    ip.ip6_hlim = TTL;
    memcpy(&ip.ip6_src, &source, sizeof(source));
    memcpy(&ip.ip6_dst, &end->address, sizeof(end->address));
    put(to, &ip, sizeof(ip));
}

/* The segment, and the Ethernet header inside of it. */
static void put_segment(struct writer *to, const struct lbdsr_group *service, const struct lbdsr_end *end,
                        const uint8_t our_mac[ETH_ALEN])
{
    const uint8_t vni[4] = {(uint8_t)(service->vni >> 16), (uint8_t)(service->vni >> 8), (uint8_t)service->vni};
    const uint8_t vxlan[4] = {0x08}; /* flag I: the VNI is valid */

    if (service->mode == LBDSR_VXLAN) {
        put(to, vxlan, sizeof(vxlan));
    } else {
        put16(to, 0); /* version, no options, no flags */
        put16(to, 0x6558);
    }
    put(to, vni, sizeof(vni));
    put(to, end->has_inner_mac ? end->inner_mac : end->mac, ETH_ALEN);
    put(to, our_mac, ETH_ALEN);
    put16(to, service->key.version == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
}

static uint64_t room_of(const struct lbdsr_target *target, bool segment)
{
    uint64_t room = target->flags & LBDSR_OUTER_V6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;

    if (target->flags & LBDSR_OUTER_UDP)
        room |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
    if (segment)
        room |= BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_ENCAP_L2((uint64_t)ETH_HLEN);
    return room;
}

static void outer_write(const struct lbdsr_group *service, const struct lbdsr_end *end,
                        const struct lbdsr_settings *settings, const uint8_t our_mac[ETH_ALEN],
                        struct lbdsr_target *target)
{
    struct writer to = {.bytes = target->outer};
    uint8_t inner = service->key.version == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
    uint16_t port = modes[service->mode].port;
    bool segment = modes[service->mode].segment;

    target->flags |= LBDSR_OUTER | (end->version == 6 ? LBDSR_OUTER_V6 : 0) | (port ? LBDSR_OUTER_UDP : 0);
    put16(&to, end->version == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
    if (end->version == 4)
        put_ipv4(&to, target, end, settings, port ? IPPROTO_UDP : inner);
    else
        put_ipv6(&to, target, end, settings, port ? IPPROTO_UDP : inner);
    if (port) {
        const struct udphdr udp = {.dest = htons(service->udp_port ? service->udp_port : port)};

        put(&to, &udp, sizeof(udp));
    }
    if (segment)
        put_segment(&to, service, end, our_mac);
    target->size = (uint8_t)to.size;
    target->room = room_of(target, segment);
}

void lbdsr_outer_make(const struct lbdsr_group *service, const struct lbdsr_end *end,
                      const struct lbdsr_settings *settings, const uint8_t our_mac[ETH_ALEN],
                      struct lbdsr_target *target)
{
    uint16_t epoch = target->epoch;

    memset(target, 0, sizeof(*target));
    target->epoch = epoch;
    target->vlan = end->vlan;
    target->flags = (end->vlan ? LBDSR_VLAN : 0) | (service->n_allows || service->has_quic ? LBDSR_CAREFUL : 0);
    memcpy(target->mac, end->has_mac ? end->mac : settings->gateway, ETH_ALEN);
    memcpy(target->our_mac, our_mac, ETH_ALEN);
    /* ECN is copied in any case (RFC 6040). */
    target->tos_mask = service->has_dscp ? 3 : 0xff;
    target->tos = service->has_dscp ? (uint8_t)(service->dscp << 2) : 0;
    if (service->mode >= LBDSR_IPIP)
        outer_write(service, end, settings, our_mac, target);
    if (service->mode == LBDSR_L3DSR) {
        target->flags |= LBDSR_REWRITE | (end->version == 6 ? LBDSR_OUTER_V6 : 0);
        target->address = end->address;
    }
}
