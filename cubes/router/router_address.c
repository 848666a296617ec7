/* SPDX-License-Identifier: Apache-2.0 */
#include "router.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

static uint16_t full_length(uint16_t family)
{
    return family == AF_INET ? 32 : 128;
}

static struct router_nexthop_key interface_key(const struct router_interface *interface, enum router_nexthop_kind kind)
{
    struct router_nexthop_key key = {.kind = (uint16_t)kind};

    (void)snprintf(key.interface, sizeof(key.interface), "%s", pcn_port_name(interface->port));
    return key;
}

/* ---- by address ---- */

static struct router_own *own_find(const struct router *router, uint16_t family, const union pcn_address *address)
{
    const struct router_own_key key = {.address = *address, .family = family};
    struct router_own *own;

    HASH_FIND(hh, router->own, &key, sizeof(key), own);
    return own;
}

static int own_link(struct router *router, struct router_address *address)
{
    struct router_own *own = own_find(router, address->network.family, &address->address);

    if (!own) {
        own = calloc(1, sizeof(*own));
        if (!own)
            return -ENOMEM;
        own->key = (struct router_own_key){.address = address->address, .family = address->network.family};
        HASH_ADD(hh, router->own, key, sizeof(own->key), own);
    }
    address->own_next = own->addresses;
    own->addresses = address;
    return 0;
}

static void own_unlink(struct router *router, struct router_address *address)
{
    struct router_own *own = own_find(router, address->network.family, &address->address);
    struct router_address **link = &own->addresses;

    while (*link != address)
        link = &(*link)->own_next;
    *link = address->own_next;
    if (own->addresses)
        return;
    HASH_DEL(router->own, own);
    free(own);
}

struct router_address *router_address_find(const struct router *router, uint16_t family,
                                           const union pcn_address *address, const struct router_interface *on)
{
    const struct router_own *own = own_find(router, family, address);

    for (struct router_address *entry = own ? own->addresses : NULL; entry; entry = entry->own_next) {
        if (!entry->pending && (!on || entry->interface == on))
            return entry;
    }
    return NULL;
}

/* Whether the router will have the address, so that it cannot be given again. Link-local ones are each interface's own. */
static bool address_is_taken(const struct router *router, const struct router_interface *interface,
                             const struct router_network *address)
{
    const struct router_own *own = own_find(router, address->family, &address->address);
    bool link_local = address->family == AF_INET6 && router_address_is_link_local(&address->address);

    for (const struct router_address *entry = own ? own->addresses : NULL; entry; entry = entry->own_next) {
        if (!entry->leaving && (!link_local || entry->interface == interface))
            return true;
    }
    return false;
}

bool router_address_will(const struct router *router, uint16_t family, const union pcn_address *address)
{
    const struct router_own *own = own_find(router, family, address);

    for (const struct router_address *entry = own ? own->addresses : NULL; entry; entry = entry->own_next) {
        if (!entry->leaving)
            return true;
    }
    return false;
}

/* ---- by network ---- */

static uint32_t *lengths_of(struct router *router, const struct router_network *network)
{
    return &router->attached_lengths[network->family == AF_INET6][network->length];
}

static int attached_link(struct router *router, struct router_address *address)
{
    struct router_attached *attached;

    HASH_FIND(hh, router->attached, &address->network, sizeof(address->network), attached);
    if (!attached) {
        attached = calloc(1, sizeof(*attached));
        if (!attached)
            return -ENOMEM;
        attached->network = address->network;
        HASH_ADD(hh, router->attached, network, sizeof(attached->network), attached);
        (*lengths_of(router, &address->network))++;
    }
    address->network_next = attached->addresses;
    attached->addresses = address;
    return 0;
}

static void attached_unlink(struct router *router, struct router_address *address)
{
    struct router_attached *attached;
    struct router_address **link;

    HASH_FIND(hh, router->attached, &address->network, sizeof(address->network), attached);
    if (!attached)
        return;
    for (link = &attached->addresses; *link != address; link = &(*link)->network_next)
        ;
    *link = address->network_next;
    if (attached->addresses)
        return;
    (*lengths_of(router, &address->network))--;
    HASH_DEL(router->attached, attached);
    free(attached);
}

struct router_interface *router_attached_find(const struct router *router, uint16_t family,
                                              const union pcn_address *address, bool will)
{
    for (int length = full_length(family); length >= 0; length--) {
        struct router_network network = {.address = *address, .family = family, .length = (uint16_t)length};
        const struct router_attached *attached;

        if (!router->attached_lengths[family == AF_INET6][length])
            continue;
        router_network_mask(&network);
        HASH_FIND(hh, router->attached, &network, sizeof(network), attached);
        for (const struct router_address *entry = attached ? attached->addresses : NULL; entry;
             entry = entry->network_next) {
            if (will ? !entry->leaving && !entry->interface->leaving : !entry->pending)
                return entry->interface;
        }
    }
    return NULL;
}

const struct router_address *router_source(const struct router_interface *interface, uint16_t family,
                                           const union pcn_address *host)
{
    bool link_local = family == AF_INET6 && host && router_address_is_link_local(host);
    const struct router_address *any = NULL;

    for (const struct router_address *entry = interface->addresses; entry; entry = entry->next) {
        bool local = family == AF_INET6 && router_address_is_link_local(&entry->address);

        if (entry->pending || entry->network.family != family)
            continue;
        if (host && (local ? link_local : router_network_contains(&entry->network, family, host)))
            return entry;
        /* A link-local address serves only where nothing better is. */
        if (!any || (router_address_is_link_local(&any->address) && family == AF_INET6 && !local))
            any = entry;
    }
    return any;
}

/* ---- coming and going ---- */

static void interface_link(struct router_address *address)
{
    struct router_address **last = &address->interface->addresses;

    while (*last)
        last = &(*last)->next;
    *last = address;
    address->interface->n_addresses++;
}

static void interface_unlink(struct router_address *address)
{
    struct router_address **link = &address->interface->addresses;

    while (*link != address)
        link = &(*link)->next;
    *link = address->next;
    address->interface->n_addresses--;
}

/* Another address of the interface in the same network, pending or present. */
static struct router_address *network_sibling(const struct router_address *address)
{
    for (struct router_address *entry = address->interface->addresses; entry; entry = entry->next) {
        if (entry != address && memcmp(&entry->network, &address->network, sizeof(entry->network)) == 0)
            return entry;
    }
    return NULL;
}

static bool makes_network(const struct router_address *address)
{
    return address->network.length < full_length(address->network.family) && address->role != ROUTER_ADDRESS_LINK_LOCAL;
}

static int prepare_route(struct router *router, const struct router_address *address,
                         const struct router_network *network, enum router_nexthop_kind kind,
                         struct router_rib_route **ret_route)
{
    struct router_nexthop_key key = interface_key(address->interface, kind);

    return router_rib_prepare(&router->rib, network, &key, 0, ROUTER_CONNECTED, ret_route);
}

/* To the network; and, IPv4, to its first and last address, which are no hosts'. */
static int prepare_network(struct router *router, struct router_address *address)
{
    struct router_network host = {.family = address->network.family, .length = 32};
    uint32_t first = ntohl(address->network.address.v4);
    int r;

    r = prepare_route(router, address, &address->network, ROUTER_LOCAL, &address->connected[0]);
    if (r < 0 || address->network.family != AF_INET || address->network.length > 30)
        return r;
    host.address.v4 = htonl(first);
    r = prepare_route(router, address, &host, ROUTER_BROADCAST, &address->connected[1]);
    if (r < 0)
        return r;
    host.address.v4 = htonl(first | UINT32_MAX >> address->network.length);
    return prepare_route(router, address, &host, ROUTER_BROADCAST, &address->connected[2]);
}

static int prepare_routes(struct router *router, struct router_address *address)
{
    struct router_network itself = {
        .address = address->address, .family = address->network.family, .length = full_length(address->network.family)};
    int r;

    /* The fast path finds link-local addresses in the port. */
    if (address->role == ROUTER_ADDRESS_LINK_LOCAL)
        return 0;
    r = prepare_route(router, address, &itself, ROUTER_OWN, &address->own);
    if (r < 0 || !makes_network(address) || network_sibling(address))
        return r;
    return prepare_network(router, address);
}

int router_address_prepare(struct router *router, struct router_interface *interface,
                           const struct router_network *address, enum router_address_role role, const char *text,
                           struct router_address **ret_address)
{
    struct router_address *new;
    int r;

    if (address_is_taken(router, interface, address))
        return -EEXIST;
    if (interface->n_addresses >= ROUTER_ADDRESSES_MAX)
        return -E2BIG;
    new = calloc(1, sizeof(*new));
    if (!new)
        return -ENOMEM;
    *new = (struct router_address){.interface = interface,
                                   .address = address->address,
                                   .network = *address,
                                   .role = (uint8_t)role,
                                   .pending = true,
                                   .text = strdup(text)};
    router_network_mask(&new->network);
    r = new->text ? own_link(router, new) : -ENOMEM;
    if (r < 0) {
        free(new->text);
        free(new);
        return r;
    }
    interface_link(new);
    r = makes_network(new) ? attached_link(router, new) : 0;
    if (r >= 0)
        r = prepare_routes(router, new);
    if (r < 0) {
        router_address_discard(router, new);
        return r;
    }
    *ret_address = new;
    return 0;
}

static void address_free(struct router *router, struct router_address *address)
{
    own_unlink(router, address);
    if (makes_network(address))
        attached_unlink(router, address);
    interface_unlink(address);
    free(address->text);
    free(address);
}

void router_address_discard(struct router *router, struct router_address *address)
{
    for (unsigned int i = 0; i < PCN_ARRAY_SIZE(address->connected); i++)
        router_rib_discard(&router->rib, address->connected[i]);
    router_rib_discard(&router->rib, address->own);
    address_free(router, address);
}

void router_address_enter(struct router *router, struct router_address *address)
{
    address->pending = false;
    if (address->own)
        router_rib_add(&router->rib, address->own);
    for (unsigned int i = 0; i < PCN_ARRAY_SIZE(address->connected); i++) {
        /* One taken over from an address that left is there already. */
        if (address->connected[i] && !address->connected[i]->added)
            router_rib_add(&router->rib, address->connected[i]);
    }
    if (makes_network(address))
        router_rib_resolve(&router->rib);
}

void router_address_leave(struct router *router, struct router_address *address)
{
    struct router_address *sibling = network_sibling(address);
    bool network = makes_network(address);

    if (address->own)
        router_rib_remove(&router->rib, address->own);
    if (sibling && address->connected[0])
        memcpy(sibling->connected, address->connected, sizeof(address->connected));
    for (unsigned int i = 0; i < PCN_ARRAY_SIZE(address->connected) && !sibling; i++) {
        if (address->connected[i])
            router_rib_remove(&router->rib, address->connected[i]);
    }
    address_free(router, address);
    if (network)
        router_rib_resolve(&router->rib);
}
