/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shadow namespace: what is configured goes there, what is done there comes here. What came from
 * there is shown beside the configuration and goes when it goes there; the configuration itself is only changed by
 * its users. Our own changes come back as events too: what is known already is left alone.
 */
#include "router.h"
#include <stdio.h>
#include <sys/socket.h>

void router_shadow_address(struct router *router, const struct router_address *address, bool add)
{
    if (pcn_cube_has_shadow(router->cube) && address->role != ROUTER_ADDRESS_LINK_LOCAL)
        pcn_shadow_address(address->interface->port, address->network.family, &address->address,
                           (uint8_t)address->network.length, add);
}

void router_shadow_mac(struct router *router, const struct router_interface *interface)
{
    if (pcn_cube_has_shadow(router->cube))
        pcn_shadow_mac(interface->port, interface->mac);
}

void router_shadow_route(struct router *router, const struct router_rib_route *route, bool add)
{
    const struct router_network *network = &route->prefix->network;
    const struct router_nexthop *nexthop = route->nexthop;
    struct pcn_port *port = NULL;

    if (!pcn_cube_has_shadow(router->cube) || nexthop->key.kind == ROUTER_BLACKHOLE)
        return;
    /* Its kernel makes those of addresses itself. */
    if (route->origin == ROUTER_CONFIGURED && router_rib_find(&router->rib, network, &nexthop->key, ROUTER_CONNECTED))
        return;
    if (nexthop->way.port >= 0 && router->interfaces[nexthop->way.port])
        port = router->interfaces[nexthop->way.port]->port;
    pcn_shadow_route(router->cube, network->family, &network->address, (uint8_t)network->length, &nexthop->key.gateway,
                     port, route->pathcost, add);
}

/* ---- what is done there ---- */

static bool is_group_or_link_local(const struct router_network *network)
{
    return router_address_is_group(network->family, &network->address) ||
           (network->family == AF_INET6 && router_address_is_link_local(&network->address));
}

static void address_event(struct router *router, struct router_interface *interface, const struct pcn_event *event)
{
    struct router_network network = {
        .address = event->address, .family = (uint16_t)event->family, .length = event->prefix_length};
    struct router_address *address = router_address_find(router, network.family, &network.address, interface);
    char text[ROUTER_NETWORK_TEXT];
    int r;

    if (is_group_or_link_local(&network))
        return;
    if (event->removed) {
        if (address && address->role == ROUTER_ADDRESS_SHADOW)
            router_address_leave(router, address);
        router_fast_interface(router, interface);
        return;
    }
    if (address)
        return;
    r = router_address_prepare(router, interface, &network, ROUTER_ADDRESS_SHADOW,
                               router_network_format(&network, text), &address);
    if (r < 0) {
        pcn_cube_log(router->cube, PCN_LOG_WARN, "%s of the shadow namespace is not taken over: %s", text,
                     r == -EEXIST ? "another port has it" : strerror(-r));
        return;
    }
    router_address_enter(router, address);
    router_fast_interface(router, interface);
    router_announce(router, interface);
}

static void route_event(struct router *router, const struct router_interface *interface, const struct pcn_event *event)
{
    struct router_network network = {
        .address = event->address, .family = (uint16_t)event->family, .length = event->prefix_length};
    struct router_nexthop_key key = {.kind = ROUTER_LOCAL};
    struct router_rib_route *route, *other;
    char text[ROUTER_NETWORK_TEXT];
    int r;

    router_network_mask(&network);
    if (is_group_or_link_local(&network))
        return;
    if (!router_address_is_zero(&event->gateway)) {
        key.kind = ROUTER_GATEWAY;
        key.family = network.family;
        key.gateway = event->gateway;
    }
    other = router_rib_find(&router->rib, &network, &key, ROUTER_ANY);
    if (interface)
        (void)snprintf(key.interface, sizeof(key.interface), "%s", pcn_port_name(interface->port));
    if (event->removed) {
        route = router_rib_find(&router->rib, &network, &key, ROUTER_SHADOWED);
        if (route)
            router_rib_remove(&router->rib, route);
        return;
    }
    if (other || router_rib_find(&router->rib, &network, &key, ROUTER_ANY) || (key.kind == ROUTER_LOCAL && !interface))
        return;
    r = router_fast_has_room(router)
            ? router_rib_prepare(&router->rib, &network, &key, event->metric, ROUTER_SHADOWED, &route)
            : -ENOSPC;
    if (r < 0)
        pcn_cube_log(router->cube, PCN_LOG_WARN, "the route to %s of the shadow namespace is not taken over: %s",
                     router_network_format(&network, text), strerror(-r));
    else
        router_rib_add(&router->rib, route);
}

static void link_event(struct router *router, struct router_interface *interface, const struct pcn_event *event)
{
    struct router_address *link_local;

    if (memcmp(interface->mac, event->mac, ETH_ALEN) == 0)
        return;
    if (router_link_local_prepare(router, interface, event->mac, &link_local) < 0)
        pcn_cube_log(router->cube, PCN_LOG_ERR, "port %s cannot take the MAC address of the shadow namespace over",
                     pcn_port_name(interface->port));
    else
        router_interface_set_mac(router, interface, event->mac, link_local);
}

void router_shadow_event(struct router *router, const struct pcn_event *event)
{
    struct router_interface *interface = event->port ? pcn_port_state(event->port) : NULL;

    if (event->kind == PCN_EVENT_SHADOW_ROUTE)
        route_event(router, interface, event);
    else if (interface && event->kind == PCN_EVENT_SHADOW_ADDRESS)
        address_event(router, interface, event);
    else if (interface && event->kind == PCN_EVENT_SHADOW_LINK)
        link_event(router, interface, event);
}

int router_shadow_forget_routes(struct router *router)
{
    struct router_prefix *prefix, *next;

    HASH_ITER(hh, router->rib.prefixes, prefix, next)
    {
        struct router_rib_route *route = prefix->routes, *after;

        for (; route; route = after) {
            after = route->next;
            if (route->origin != ROUTER_SHADOWED)
                continue;
            router_shadow_route(router, route, false);
            router_rib_remove(&router->rib, route);
        }
    }
    return 0;
}
