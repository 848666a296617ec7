/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that the fast path sent up: ARP and neighbour discovery, errors, and what is for the router itself. */
#include "router.h"
#include <netinet/in.h>
#include <sys/socket.h>

#define ERRORS_PER_SECOND 1000u /* ICMP errors; each costs a sender's packet, so that this bounds nobody's harm */
#define ERRORS_BURST 200u

static uint16_t family_of(const struct router_ip *ip)
{
    return ip->version == 4 ? AF_INET : AF_INET6;
}

static void send_out(struct router *router, uint16_t port, const uint8_t *frame, size_t length)
{
    (void)pcn_cube_send(router->cube, port, PCN_EGRESS, frame, length);
}

static struct router_interface *interface_of(const struct router *router, uint16_t id)
{
    return id < PCN_PORTS_MAX ? router->interfaces[id] : NULL;
}

/* ---- errors ---- */

static bool errors_take(struct router *router)
{
    uint64_t now = pcn_clock_ms(), earned = (now - router->errors_at) * ERRORS_PER_SECOND / 1000;

    if (earned) {
        router->errors = (uint32_t)PCN_MIN(router->errors + earned, ERRORS_BURST);
        router->errors_at = now;
    }
    if (!router->errors)
        return false;
    router->errors--;
    return true;
}

/* Where an error comes from: the interface that the packet came in by, or, if it has no address, any. */
static const struct router_address *error_source(const struct router *router, const struct router_interface *interface,
                                                 const struct router_ip *ip)
{
    const struct router_address *source = router_source(interface, family_of(ip), &ip->source);

    for (const struct pcn_port *port = pcn_port_next(router->cube, NULL); port && !source;
         port = pcn_port_next(router->cube, port)) {
        if (interface_of(router, pcn_port_id(port)))
            source = router_source(interface_of(router, pcn_port_id(port)), family_of(ip), NULL);
    }
    return source;
}

void router_refuse(struct router *router, uint16_t in, const uint8_t *frame, size_t length, enum router_error error,
                   uint32_t mtu)
{
    const struct router_interface *interface = interface_of(router, in);
    const struct router_address *source;
    uint8_t answer[ROUTER_FRAME_MAX];
    struct router_ends ends = {};
    struct router_ip ip;

    if (!interface || router_ip_parse(frame, length, &ip) < 0 || !router_error_is_allowed(error, &ip) ||
        router_address_find(router, family_of(&ip), &ip.source, NULL))
        return;
    source = error_source(router, interface, &ip);
    /* The sender's side is not asked for: the packet tells it. */
    if (!source || frame[ETH_ALEN] & 1 || !errors_take(router))
        return;
    memcpy(ends.source_mac, interface->mac, ETH_ALEN);
    memcpy(ends.destination_mac, frame + ETH_ALEN, ETH_ALEN);
    ends.source = source->address;
    ends.destination = ip.source;
    send_out(router, in, answer, router_error_build(error, &ip, &ends, mtu, answer));
}

/* ---- packets in transit ---- */

static void forward_fragments(struct router *router, const struct router_interface *out, const struct router_ip *ip,
                              const struct router_ends *ends, uint32_t mtu)
{
    _cleanup_free_ uint8_t *fragment = malloc(ETH_HLEN + mtu);
    size_t whole = ip->length - ip->header_length, length;

    for (size_t offset = 0; fragment && offset < whole;) {
        size_t carried = router_fragment_build(ip, ends, offset, mtu, fragment, &length);

        if (!carried)
            return;
        send_out(router, out->id, fragment, length);
        offset += carried;
    }
}

void router_forward(struct router *router, const struct router_neigh *neigh, uint16_t in, const uint8_t *frame,
                    size_t length)
{
    const struct router_interface *out = interface_of(router, neigh->port);
    _cleanup_free_ uint8_t *copy = NULL;
    struct router_ends ends = {};
    struct router_ip ip;
    uint32_t mtu;

    if (!out || router_ip_parse(frame, length, &ip) < 0 || !ip.authentic_length)
        return;
    mtu = PCN_MIN(pcn_port_mtu(out->port), (uint32_t)PCN_CAPTURE_MAX - ETH_HLEN);
    if (ip.ttl <= 1) {
        router_refuse(router, in, frame, length, ROUTER_TIME_EXCEEDED, 0);
        return;
    }
    if (ip.length > mtu && ip.dont_fragment) {
        router_refuse(router, in, frame, length, ROUTER_PACKET_TOO_BIG, mtu);
        return;
    }
    copy = malloc(length);
    if (!copy)
        return;
    memcpy(copy, frame, length);
    memcpy(ends.source_mac, out->mac, ETH_ALEN);
    memcpy(ends.destination_mac, neigh->mac, ETH_ALEN);
    memcpy(copy, ends.destination_mac, ETH_ALEN);
    memcpy(copy + ETH_ALEN, ends.source_mac, ETH_ALEN);
    router_checksum_complete(&ip, copy + ETH_HLEN);
    router_ttl_decrement(&ip, copy + ETH_HLEN);
    if (ip.length <= mtu)
        send_out(router, out->id, copy, ETH_HLEN + ip.length);
    else if (router_ip_parse(copy, length, &ip) == 0)
        forward_fragments(router, out, &ip, &ends, mtu);
}

/* words: the port it leaves by, the neighbour or 0. */
static void transit_in(struct router *router, const struct pcn_packet_in *packet, uint32_t port, uint32_t number)
{
    const struct pcn_record *record = &packet->record;
    struct router_neigh *neigh = NULL;
    struct router_ip ip;

    if (port >= PCN_PORTS_MAX || !router->interfaces[port] || router_ip_parse(packet->frame, record->captured, &ip) < 0)
        return;
    if (number && number < router->n_neighbours)
        neigh = router->neighbours[number];
    if (!neigh || neigh->port != port)
        neigh = number ? NULL : router_neigh_for_packet(router, family_of(&ip), &ip.destination, (uint16_t)port);
    if (!neigh)
        return;
    /* What is cut off, or several segments in one, is not kept: its sender sends it again. */
    if (record->captured < record->length || record->segment_size)
        router_neigh_ask(router, neigh);
    else
        router_neigh_send(router, neigh, record->port, packet->frame, record->captured);
}

/* ---- ARP and neighbour discovery ---- */

/* Whether a host that says so can be on the interface: it was asked for, or is routed there. */
static bool is_attached(const struct router *router, const struct router_interface *interface, uint16_t family,
                        const union pcn_address *host)
{
    if ((family == AF_INET6 && router_address_is_link_local(host)) ||
        router_neigh_find(router, family, host, interface->id) ||
        router_fast_is_connected(router, interface, family, host))
        return true;
    for (const struct router_address *entry = interface->addresses; entry; entry = entry->next) {
        if (!entry->pending && router_network_contains(&entry->network, family, host))
            return true;
    }
    return false;
}

static void neighbour_answer(struct router *router, const struct router_interface *interface, uint16_t family,
                             const struct router_neighbour_message *message, const uint8_t *frame)
{
    static const uint8_t all_nodes[ETH_ALEN] = {0x33, 0x33, 0, 0, 0, 1};
    struct router_ends ends = {.source = message->target, .destination = message->sender};
    bool anonymous = router_address_is_zero(&message->sender) && family == AF_INET6;
    uint8_t answer[ROUTER_FRAME_MAX];

    memcpy(ends.source_mac, interface->mac, ETH_ALEN);
    memcpy(ends.destination_mac, anonymous ? all_nodes : frame + ETH_ALEN, ETH_ALEN);
    if (anonymous) {
        uint8_t group[16] = {0xff, 2, [15] = 1};

        memcpy(&ends.destination, group, sizeof(group));
    }
    send_out(router, interface->id, answer, router_answer_build(family, &ends, &message->target, !anonymous, answer));
}

static void neighbour_request(struct router *router, struct router_interface *interface, uint16_t family,
                              const struct router_neighbour_message *message, const uint8_t *frame)
{
    struct router_neigh *neigh;

    if (!router_address_find(router, family, &message->target, interface))
        return;
    if (message->has_mac && !router_address_is_zero(&message->sender)) {
        neigh = router_neigh_for_packet(router, family, &message->sender, interface->id);
        if (neigh)
            router_neigh_heard(router, neigh, message->mac, family == AF_INET);
    }
    neighbour_answer(router, interface, family, message, frame);
}

static void neighbour_statement(struct router *router, struct router_interface *interface, uint16_t family,
                                const struct router_neighbour_message *message)
{
    struct router_neigh *neigh = router_neigh_find(router, family, &message->sender, interface->id);
    bool known = neigh && neigh->state != ROUTER_NEIGHBOUR_INCOMPLETE;

    if (!neigh || (!known && !message->has_mac))
        return;
    if (!message->has_mac) {
        router_neigh_heard(router, neigh, neigh->mac, message->solicited);
        return;
    }
    /* RFC 4861 section 7.2.5: what does not override does not change an address that is known. */
    if (known && !message->override && memcmp(neigh->mac, message->mac, ETH_ALEN) != 0)
        return;
    router_neigh_heard(router, neigh, message->mac, message->solicited);
}

static void neighbour_in(struct router *router, struct router_interface *interface, uint16_t family,
                         const struct router_neighbour_message *message, const uint8_t *frame)
{
    char text[ROUTER_ADDRESS_TEXT], mac[ROUTER_MAC_TEXT];
    bool anonymous = router_address_is_zero(&message->sender);

    if (!anonymous && router_address_find(router, family, &message->sender, interface)) {
        pcn_cube_log(router->cube, PCN_LOG_WARN, "%s, an address of port %s, is used by %s too",
                     router_address_format(family, &message->sender, text), pcn_port_name(interface->port),
                     router_mac_format(frame + ETH_ALEN, mac));
        return;
    }
    if (!anonymous && !is_attached(router, interface, family, &message->sender))
        return;
    /* ARP that asks for its own sender is a statement. */
    if (message->request && memcmp(&message->sender, &message->target, sizeof(message->target)) != 0)
        neighbour_request(router, interface, family, message, frame);
    else if (!anonymous)
        neighbour_statement(router, interface, family, message);
}

/* ---- for the router itself ---- */

static void local_in(struct router *router, const struct router_interface *interface, const uint8_t *frame,
                     size_t length)
{
    _cleanup_free_ uint8_t *answer = NULL;
    struct router_ends ends = {};
    struct router_ip ip;
    int r;

    if (router_ip_parse(frame, length, &ip) < 0 || !router_address_find(router, family_of(&ip), &ip.destination, NULL))
        return;
    if (ip.protocol != IPPROTO_ICMP && ip.protocol != IPPROTO_ICMPV6) {
        bool ports = ip.protocol == IPPROTO_UDP || ip.protocol == IPPROTO_TCP;

        router_refuse(router, interface->id, frame, length,
                      ports ? ROUTER_PORT_UNREACHABLE : ROUTER_PROTOCOL_UNREACHABLE, 0);
        return;
    }
    answer = malloc(PCN_MAX(length, (size_t)ROUTER_FRAME_MAX));
    if (!answer)
        return;
    memcpy(ends.source_mac, interface->mac, ETH_ALEN);
    memcpy(ends.destination_mac, frame + ETH_ALEN, ETH_ALEN);
    ends.source = ip.destination;
    ends.destination = ip.source;
    r = router_echo_build(&ip, &ends, answer);
    if (r > 0)
        send_out(router, interface->id, answer, (size_t)r);
}

void router_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    struct router *router = pcn_cube_state(cube);
    const struct pcn_record *record = &packet->record;
    struct router_interface *interface = interface_of(router, record->port);
    struct router_neighbour_message message;
    const uint8_t *frame = packet->frame;
    struct router_ip ip;

    if (!interface)
        return;
    switch (record->reason) {
    case ROUTER_SLOW_ARP:
        if (router_arp_parse(frame, record->captured, &message) == 0)
            neighbour_in(router, interface, AF_INET, &message, frame);
        break;
    case ROUTER_SLOW_ND:
        if (router_ip_parse(frame, record->captured, &ip) == 0 && router_nd_parse(&ip, &message) == 0)
            neighbour_in(router, interface, AF_INET6, &message, frame);
        break;
    case ROUTER_SLOW_NEIGHBOUR:
        transit_in(router, packet, record->words[0], record->words[1]);
        break;
    case ROUTER_SLOW_FRAGMENT:
        transit_in(router, packet, record->words[1], record->words[2]);
        break;
    case ROUTER_SLOW_TTL:
        router_refuse(router, record->port, frame, record->captured, ROUTER_TIME_EXCEEDED, 0);
        break;
    case ROUTER_SLOW_NO_ROUTE:
        router_refuse(router, record->port, frame, record->captured, ROUTER_NET_UNREACHABLE, 0);
        break;
    case ROUTER_SLOW_TOO_BIG:
        router_refuse(router, record->port, frame, record->captured, ROUTER_PACKET_TOO_BIG, record->words[0]);
        break;
    case ROUTER_SLOW_LOCAL:
        local_in(router, interface, frame, record->captured);
        break;
    default:
        break;
    }
}

/* ---- announcements ---- */

static void announce_one(struct router *router, const struct router_interface *interface,
                         const struct router_address *address)
{
    static const uint8_t all_nodes[ETH_ALEN] = {0x33, 0x33, 0, 0, 0, 1};
    struct router_ends ends = {.source = address->address, .destination = address->address};
    uint8_t frame[ROUTER_FRAME_MAX], group[16] = {0xff, 2, [15] = 1};

    memcpy(ends.source_mac, interface->mac, ETH_ALEN);
    if (address->network.family == AF_INET) {
        send_out(router, interface->id, frame, router_request_build(AF_INET, &ends, frame));
        return;
    }
    memcpy(&ends.destination, group, sizeof(group));
    memcpy(ends.destination_mac, all_nodes, ETH_ALEN);
    send_out(router, interface->id, frame, router_answer_build(AF_INET6, &ends, &address->address, false, frame));
}

void router_announce(struct router *router, const struct router_interface *interface)
{
    if (!interface->wired)
        return;
    for (const struct router_address *entry = interface->addresses; entry; entry = entry->next) {
        if (!entry->pending && !entry->leaving && router_interface_speaks(interface, entry->network.family))
            announce_one(router, interface, entry);
    }
}
