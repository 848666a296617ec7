/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces: how they come and go with ports, their MAC and link-local addresses. */
#include "router.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

struct router_interface *router_interface_by_name(const struct router *router, const char *name)
{
    struct pcn_port *port = pcn_port_by_name(router->cube, name);

    return port ? pcn_port_state(port) : NULL;
}

struct router_address *router_address_of_role(const struct router_interface *interface, enum router_address_role role,
                                              const char *text)
{
    for (struct router_address *entry = interface->addresses; entry; entry = entry->next) {
        if (!entry->pending && entry->role == role && (!text || pcn_streq(entry->text, text)))
            return entry;
    }
    return NULL;
}

bool router_interface_speaks(const struct router_interface *interface, uint16_t family)
{
    for (const struct router_address *entry = interface->addresses; entry; entry = entry->next) {
        if (!entry->pending && entry->network.family == family && entry->role != ROUTER_ADDRESS_LINK_LOCAL)
            return true;
    }
    return false;
}

/* ---- MAC and link-local addresses ---- */

void router_mac_default(const struct pcn_cube *cube, const char *port, uint8_t ret_mac[ETH_ALEN])
{
    char seed[33 + 2 * ROUTER_NAME_MAX + 2] = "";
    _cleanup_close_ int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    uint64_t hash = 0xcbf29ce484222325ull;
    ssize_t n = fd >= 0 ? read(fd, seed, 32) : 0;

    n = PCN_MAX(n, 0);
    (void)snprintf(seed + n, sizeof(seed) - (size_t)n, "/%.64s/%.64s", pcn_cube_name(cube), port);
    for (const char *c = seed; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
    hash ^= hash >> 29;
    memcpy(ret_mac, &hash, ETH_ALEN);
    /* Locally administered, of a station. */
    ret_mac[0] = (uint8_t)((ret_mac[0] & 0xfc) | 2);
}

int router_link_local_prepare(struct router *router, struct router_interface *interface, const uint8_t mac[ETH_ALEN],
                              struct router_address **ret_address)
{
    struct router_network network = {.family = AF_INET6, .length = 64};
    char text[ROUTER_NETWORK_TEXT];

    router_link_local(mac, &network.address);
    return router_address_prepare(router, interface, &network, ROUTER_ADDRESS_LINK_LOCAL,
                                  router_network_format(&network, text), ret_address);
}

void router_interface_set_mac(struct router *router, struct router_interface *interface, const uint8_t mac[ETH_ALEN],
                              struct router_address *link_local)
{
    struct router_address *old = router_address_of_role(interface, ROUTER_ADDRESS_LINK_LOCAL, NULL);

    memcpy(interface->mac, mac, ETH_ALEN);
    router_address_enter(router, link_local);
    if (old)
        router_address_leave(router, old);
    router_fast_interface(router, interface);
    router_announce(router, interface);
}

/* ---- coming and going ---- */

static void interface_free(struct router *router, struct router_interface *interface)
{
    while (interface->addresses) {
        if (interface->addresses->pending)
            router_address_discard(router, interface->addresses);
        else
            router_address_leave(router, interface->addresses);
    }
    router->interfaces[interface->id] = NULL;
    pcn_port_set_state(interface->port, NULL);
    free(interface);
}

int router_port_added(struct pcn_cube *cube, struct pcn_port *port, struct pcn_error *error)
{
    struct router *router = pcn_cube_state(cube);
    struct router_interface *interface = calloc(1, sizeof(*interface));
    struct router_address *link_local;
    int r;

    if (!interface)
        return -ENOMEM;
    interface->port = port;
    interface->id = pcn_port_id(port);
    router_mac_default(cube, pcn_port_name(port), interface->mac);
    pcn_port_set_state(port, interface);
    router->interfaces[interface->id] = interface;
    r = router_link_local_prepare(router, interface, interface->mac, &link_local);
    if (r < 0) {
        interface_free(router, interface);
        return r == -ENOSPC ? router_refuse_full(router, "ports", error) : r;
    }
    router_address_enter(router, link_local);
    router_fast_interface(router, interface);
    /* Next hops and hosts that a port of this name had, or was to have. */
    router_rib_resolve(&router->rib);
    router_statics_bind(router, interface);
    return 0;
}

void router_port_removed(struct pcn_cube *cube, struct pcn_port *port)
{
    static const struct router_port none;
    struct router *router = pcn_cube_state(cube);
    struct router_interface *interface = pcn_port_state(port);
    uint16_t id = pcn_port_id(port);

    if (!interface)
        return;
    interface->leaving = true;
    router->ports[id] = none;
    router_statics_unbind(router, interface);
    interface_free(router, interface);
    router_rib_resolve(&router->rib);
    router_neigh_drop_port(router, id);
}
