/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces: the configuration of ports, their MAC and IP addresses. */
#include "router.h"
#include "router_model.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

/* What a change of a port has reserved. */
struct port_change {
    struct router_address *ip, *old_ip;
    struct router_address *link_local, *old_link_local;
    uint8_t mac[ETH_ALEN];
    bool mac_given;
};

/* ---- what is valid ---- */

static int refuse_address(const char *text, const char *why, const char *path, struct pcn_error *error)
{
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                         "%s is not the address of an interface: %s; give a host's address and the length of its "
                         "network's prefix, as 10.0.0.1/24 or 2001:db8::1/64",
                         text, why);
}

static int check_address_4(const struct router_network *network, const char *text, const char *path,
                           struct pcn_error *error)
{
    uint32_t address = ntohl(network->address.v4);
    uint32_t hosts = network->length < 31 ? UINT32_MAX >> network->length : 0;

    if (address >> 24 == 0 || address >> 24 == 127)
        return refuse_address(text, "the network is reserved", path, error);
    if (address >> 28 >= 14)
        return refuse_address(text, "it is a group's, or reserved", path, error);
    if (hosts && !(address & hosts))
        return refuse_address(text, "it is that of the network itself", path, error);
    if (hosts && (address & hosts) == hosts)
        return refuse_address(text, "it is the network's broadcast address", path, error);
    return network->length ? 0 : refuse_address(text, "a prefix of length 0 is the whole Internet", path, error);
}

static int check_address_6(const struct router_network *network, const char *text, const char *path,
                           struct pcn_error *error)
{
    const union pcn_address *address = &network->address;

    if (router_address_is_group(AF_INET6, address))
        return refuse_address(text, "it is a group's", path, error);
    if (router_address_is_link_local(address))
        return refuse_address(text, "the port makes its own link-local address", path, error);
    if (!(address->v6[0] | address->v6[1] | address->v6[2]) && ntohl(address->v6[3]) <= 1)
        return refuse_address(text, "it is reserved", path, error);
    if (!(address->v6[0] | address->v6[1]) && address->v6[2] == htonl(0xffff))
        return refuse_address(text, "it is an IPv4 address in IPv6 form", path, error);
    return network->length ? 0 : refuse_address(text, "a prefix of length 0 is the whole Internet", path, error);
}

static int check_address(const char *text, const char *path, struct pcn_error *error)
{
    struct router_network network;

    if (router_network_parse(text, &network) < 0)
        return refuse_address(text, "it cannot be read", path, error);
    return network.family == AF_INET ? check_address_4(&network, text, path, error)
                                     : check_address_6(&network, text, path, error);
}

static int check_mac(const char *text, const char *path, struct pcn_error *error)
{
    static const uint8_t zero[ETH_ALEN];
    uint8_t mac[ETH_ALEN];

    router_mac_parse(text, mac);
    if (!(mac[0] & 1) && memcmp(mac, zero, sizeof(mac)) != 0)
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                         "%s is not the address of a station: the first byte has to be even, and not all may be zero",
                         text);
}

/* "" is the same as none. */
static void ports_read(const struct pcn_node *node, struct router_ports *ret)
{
    router_ports_read(node, ret);
    if (ret->ip && !ret->ip[0])
        ret->ip = NULL;
}

int router_ports_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct router_ports config;
    char path[ROUTER_PATH_TEXT];
    int r = 0;

    if (!change->after)
        return 0;
    ports_read(change->after, &config);
    if (config.ip) {
        (void)snprintf(path, sizeof(path), "ports/%s/ip", config.name);
        r = check_address(config.ip, path, error);
    }
    if (r < 0 || !config.mac)
        return r;
    (void)snprintf(path, sizeof(path), "ports/%s/mac", config.name);
    return check_mac(config.mac, path, error);
}

int router_ports_secondaryip_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    char path[ROUTER_PATH_TEXT];

    if (!change->after)
        return 0;
    (void)snprintf(path, sizeof(path), "ports/%s/secondaryip/%s", change->keys[0], change->keys[1]);
    return check_address(change->keys[1], path, error);
}

/* ---- addresses ---- */

static int address_reserve(struct router *router, struct router_interface *interface, const char *text,
                           enum router_address_role role, const char *path, struct router_address **ret_address,
                           struct pcn_error *error)
{
    struct router_network network;
    int r;

    r = router_network_parse(text, &network);
    if (r >= 0)
        r = router_address_prepare(router, interface, &network, role, text, ret_address);
    switch (r) {
    case -EEXIST:
        return pcn_error_set(error, PCN_ERROR_IN_USE, path, "the router has the address of %s already", text);
    case -E2BIG:
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, path,
                             "there is no room for %s: a port has at most %d addresses, a network at most %d routes",
                             text, ROUTER_ADDRESSES_MAX, ROUTER_ROUTES_PER_NETWORK);
    case -ENOSPC:
        return router_refuse_full(router, path, error);
    default:
        return r;
    }
}

/* ---- ports ---- */

static void port_change_free(struct router *router, struct port_change *change)
{
    if (change->ip)
        router_address_discard(router, change->ip);
    if (change->link_local)
        router_address_discard(router, change->link_local);
    if (change->old_ip)
        change->old_ip->leaving = false;
    if (change->old_link_local)
        change->old_link_local->leaving = false;
    free(change);
}

static int port_change_ip(struct router *router, struct router_interface *interface, const struct router_ports *config,
                          struct port_change *change, struct pcn_error *error)
{
    struct router_address *old = router_address_of_role(interface, ROUTER_ADDRESS_PRIMARY, NULL);
    const char *text = config ? config->ip : NULL;
    char path[ROUTER_PATH_TEXT];

    if (old && text && pcn_streq(old->text, text))
        return 0;
    if (old) {
        change->old_ip = old;
        old->leaving = true;
    }
    if (!text)
        return 0;
    (void)snprintf(path, sizeof(path), "ports/%s/ip", config->name);
    return address_reserve(router, interface, text, ROUTER_ADDRESS_PRIMARY, path, &change->ip, error);
}

static int port_change_mac(struct router *router, struct router_interface *interface, const struct router_ports *config,
                           struct port_change *change)
{
    int r;

    change->mac_given = config->mac;
    if (config->mac)
        router_mac_parse(config->mac, change->mac);
    else
        router_mac_default(router->cube, config->name, change->mac);
    if (memcmp(change->mac, interface->mac, ETH_ALEN) == 0)
        return 0;
    r = router_link_local_prepare(router, interface, change->mac, &change->link_local);
    if (r < 0)
        return r;
    change->old_link_local = router_address_of_role(interface, ROUTER_ADDRESS_LINK_LOCAL, NULL);
    if (change->old_link_local)
        change->old_link_local->leaving = true;
    return 0;
}

int router_ports_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct router *router = pcn_cube_state(cube);
    struct router_interface *interface = router_interface_by_name(router, change->keys[0]);
    struct port_change *new;
    struct router_ports config;
    int r;

    new = calloc(1, sizeof(*new));
    if (!new)
        return -ENOMEM;
    if (change->after)
        ports_read(change->after, &config);
    interface->leaving = change->op == PCN_CHANGE_DELETE;
    r = port_change_ip(router, interface, change->after ? &config : NULL, new, error);
    if (r >= 0 && change->after)
        r = port_change_mac(router, interface, &config, new);
    if (r < 0) {
        port_change_free(router, new);
        return r;
    }
    change->resource = new;
    return 0;
}

void router_ports_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    struct port_change *new = TAKE_PTR(change->resource);
    struct router *router = pcn_cube_state(cube);

    router_interface_by_name(router, change->keys[0])->leaving = false;
    if (new)
        port_change_free(router, new);
}

static void address_enter(struct router *router, struct router_address *address)
{
    router_address_enter(router, address);
    router_fast_interface(router, address->interface);
    router_shadow_address(router, address, true);
    router_announce(router, address->interface);
}

static void address_leave(struct router *router, struct router_address *address)
{
    struct router_interface *interface = address->interface;

    router_shadow_address(router, address, false);
    router_address_leave(router, address);
    router_fast_interface(router, interface);
}

int router_ports_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router *router = pcn_cube_state(cube);
    struct router_interface *interface = router_interface_by_name(router, change->keys[0]);
    _cleanup_free_ struct port_change *new = TAKE_PTR(change->resource);

    if (!new)
        return 0;
    if (change->after)
        interface->mac_given = new->mac_given;
    if (new->link_local) {
        router_interface_set_mac(router, interface, new->mac, new->link_local);
        router_shadow_mac(router, interface);
    }
    if (new->ip)
        address_enter(router, new->ip);
    if (new->old_ip)
        address_leave(router, new->old_ip);
    return 0;
}

int router_ports_secondaryip_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct router *router = pcn_cube_state(cube);
    struct router_interface *interface = router_interface_by_name(router, change->keys[0]);
    struct router_address *address;
    char path[ROUTER_PATH_TEXT];
    int r;

    if (!change->after) {
        address = router_address_of_role(interface, ROUTER_ADDRESS_SECONDARY, change->keys[1]);
        if (address)
            address->leaving = true;
        change->resource = address;
        return 0;
    }
    if (change->op != PCN_CHANGE_CREATE)
        return 0;
    (void)snprintf(path, sizeof(path), "ports/%s/secondaryip/%s", change->keys[0], change->keys[1]);
    r = address_reserve(router, interface, change->keys[1], ROUTER_ADDRESS_SECONDARY, path, &address, error);
    if (r >= 0)
        change->resource = address;
    return r;
}

void router_ports_secondaryip_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router_address *address = TAKE_PTR(change->resource);

    if (address && change->op == PCN_CHANGE_DELETE)
        address->leaving = false;
    else if (address)
        router_address_discard(pcn_cube_state(cube), address);
}

int router_ports_secondaryip_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router_address *address = TAKE_PTR(change->resource);

    if (address && change->op == PCN_CHANGE_DELETE)
        address_leave(pcn_cube_state(cube), address);
    else if (address)
        address_enter(pcn_cube_state(cube), address);
    return 0;
}

/* ---- what is shown ---- */

/* The address of the shadow namespace that stands in for leaf ip where none is configured. */
static const struct router_address *shadow_primary(const struct router_interface *interface)
{
    if (router_address_of_role(interface, ROUTER_ADDRESS_PRIMARY, NULL))
        return NULL;
    return router_address_of_role(interface, ROUTER_ADDRESS_SHADOW, NULL);
}

int router_ports_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    const struct router_interface *interface = router_interface_by_name(pcn_cube_state(cube), keys[0]);
    char mac[ROUTER_MAC_TEXT], link_local[ROUTER_ADDRESS_TEXT];
    const struct router_address *address;

    if (!interface)
        return -ENOENT;
    address = shadow_primary(interface);
    if (address)
        pcn_emit_string(emitter, "ip", address->text);
    pcn_emit_string(emitter, "mac", router_mac_format(interface->mac, mac));
    address = router_address_of_role(interface, ROUTER_ADDRESS_LINK_LOCAL, NULL);
    if (address && router_interface_speaks(interface, AF_INET6))
        pcn_emit_string(emitter, "link-local", router_address_format(AF_INET6, &address->address, link_local));
    return 0;
}

int router_ports_secondaryip_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                     struct pcn_emitter *emitter)
{
    const struct router_interface *interface = router_interface_by_name(pcn_cube_state(cube), keys[0]);
    const struct router_address *primary = interface ? shadow_primary(interface) : NULL;
    int r = n_keys > 1 ? -ENOENT : 0;

    for (const struct router_address *entry = interface ? interface->addresses : NULL; entry; entry = entry->next) {
        if (entry->pending || entry == primary ||
            (entry->role != ROUTER_ADDRESS_SECONDARY && entry->role != ROUTER_ADDRESS_SHADOW) ||
            (n_keys > 1 && !pcn_streq(entry->text, keys[1])))
            continue;
        pcn_emit_entry(emitter);
        pcn_emit_string(emitter, "ip", entry->text);
        pcn_emit_end(emitter);
        r = 0;
    }
    return r;
}

/* An address of the shadow namespace goes there, and then here, by the event. */
int router_ports_secondaryip_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    struct router *router = pcn_cube_state(cube);
    const struct router_interface *interface = router_interface_by_name(router, keys[0]);
    int r = -ENOENT;

    for (const struct router_address *entry = interface ? interface->addresses : NULL; entry; entry = entry->next) {
        if (entry->role != ROUTER_ADDRESS_SHADOW || (keys[1] && !pcn_streq(entry->text, keys[1])))
            continue;
        router_shadow_address(router, entry, false);
        r = 0;
    }
    return r;
}
