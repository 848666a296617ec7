/* SPDX-License-Identifier: Apache-2.0 */
/* Static routes: their configuration; and all routes, as they are shown. */
#include "router.h"
#include "router_model.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

/* ---- what is valid ---- */

static int refuse(const struct router_route *config, struct pcn_error *error, const char *leaf, const char *why)
{
    const char *value = config->nexthop;
    char path[ROUTER_PATH_TEXT];

    if (pcn_streq(leaf, "network"))
        value = config->network;
    else if (pcn_streq(leaf, "interface"))
        value = config->interface;
    (void)snprintf(path, sizeof(path), "route/%s/%s/%s", config->network, config->nexthop, leaf);
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s %s", value, why);
}

static int check_network(const struct router_route *config, struct router_network *ret_network, struct pcn_error *error)
{
    struct router_network network;

    if (router_network_parse(config->network, &network) < 0)
        return refuse(config, error, "network", "is not a network: give one like 10.1.0.0/16 or 2001:db8::/32");
    router_network_mask(&network);
    if (network.length >= 4 && router_address_is_group(network.family, &network.address))
        return refuse(config, error, "network", "is of groups: multicast is not routed");
    if (network.family == AF_INET && network.length >= 8 && ntohl(network.address.v4) >> 24 == 127)
        return refuse(config, error, "network", "is the loopback network, which is not routed");
    if (network.family == AF_INET6 && network.length >= 10 && router_address_is_link_local(&network.address))
        return refuse(config, error, "network", "is link-local, and not routed");
    *ret_network = network;
    return 0;
}

static int check_gateway(const struct router_route *config, const struct router_network *network,
                         struct router_nexthop_key *key, struct pcn_error *error)
{
    bool zero, link_local;

    key->kind = ROUTER_GATEWAY;
    if (router_address_parse(config->nexthop, &key->family, &key->gateway, NULL) < 0)
        return refuse(config, error, "nexthop", "is neither an address nor local nor blackhole");
    zero = router_address_is_zero(&key->gateway);
    link_local = key->family == AF_INET6 && router_address_is_link_local(&key->gateway);
    if (key->family != network->family)
        return refuse(config, error, "nexthop", "is not of the network's family: IPv4 goes by IPv4, IPv6 by IPv6");
    if (zero || router_address_is_group(key->family, &key->gateway))
        return refuse(config, error, "nexthop", "is not the address of a router");
    if (link_local && !config->interface)
        return refuse(config, error, "nexthop", "is link-local: give the interface that it is on");
    return 0;
}

/* The network and next hop that a route's configuration says. */
static int route_read(const struct router_route *config, struct router_network *ret_network,
                      struct router_nexthop_key *ret_key, struct pcn_error *error)
{
    struct router_nexthop_key key = {};
    int r;

    r = check_network(config, ret_network, error);
    if (r < 0)
        return r;
    if (config->interface)
        (void)snprintf(key.interface, sizeof(key.interface), "%s", config->interface);
    if (pcn_streq(config->nexthop, "blackhole")) {
        if (config->interface)
            return refuse(config, error, "interface", "has no meaning for a blackhole");
        key.kind = ROUTER_BLACKHOLE;
    } else if (pcn_streq(config->nexthop, "local")) {
        if (!config->interface)
            return refuse(config, error, "nexthop", "needs the interface that the network is attached to");
        key.kind = ROUTER_LOCAL;
    } else {
        r = check_gateway(config, ret_network, &key, error);
        if (r < 0)
            return r;
    }
    *ret_key = key;
    return 0;
}

int router_route_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct router_network network;
    struct router_nexthop_key key;
    struct router_route config;

    if (!change->after)
        return 0;
    router_route_read(change->after, &config);
    return route_read(&config, &network, &key, error);
}

/* ---- changes ---- */

/* A route of a configuration that is restored may have outlived its port: it waits until it comes back. */
static int check_reachable(struct router *router, const struct router_route *config,
                           const struct router_nexthop_key *key, struct pcn_error *error)
{
    const struct router_interface *interface;

    if (key->kind == ROUTER_GATEWAY && router_address_will(router, key->family, &key->gateway))
        return refuse(config, error, "nexthop", "is an address of the router itself");
    if (key->kind == ROUTER_BLACKHOLE)
        return 0;
    interface = config->interface ? router_interface_by_name(router, config->interface)
                                  : router_attached_find(router, key->family, &key->gateway, true);
    if (interface && !interface->leaving)
        return 0;
    if (!router->established) {
        pcn_cube_log(router->cube, PCN_LOG_WARN, "route to %s: %s cannot be reached by any port", config->network,
                     config->nexthop);
        return 0;
    }
    if (config->interface)
        return refuse(config, error, "interface", "is not a port of the router");
    return refuse(config, error, "nexthop",
                  "is in no network that is attached to a port: give a port an address of its network, or name the "
                  "interface");
}

static int refuse_route(const struct router *router, const struct router_route *config, int r, struct pcn_error *error)
{
    char path[ROUTER_PATH_TEXT];

    (void)snprintf(path, sizeof(path), "route/%s/%s", config->network, config->nexthop);
    switch (r) {
    case -ENOSPC:
        return router_refuse_full(router, path, error);
    case -E2BIG:
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, path, "there are %d routes to %s, the most there can be",
                             ROUTER_ROUTES_PER_NETWORK, config->network);
    case -ENOBUFS:
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, path,
                             "there is no room for another neighbour, %s: create the router with a larger "
                             "arp-table-size",
                             config->nexthop);
    case -EEXIST:
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, path,
                             "%s is attached to a port already: its address says so", config->network);
    default:
        return r;
    }
}

int router_route_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct router *router = pcn_cube_state(cube);
    struct router_rib_route *route = NULL;
    struct router_network network;
    struct router_nexthop_key key;
    struct router_route config;
    int r;

    /* Deletes come first: those that are created may take their place. */
    router->rib.n_leaving += change->op == PCN_CHANGE_DELETE;
    if (change->op != PCN_CHANGE_CREATE)
        return 0;
    router_route_read(change->after, &config);
    r = route_read(&config, &network, &key, error);
    if (r >= 0)
        r = check_reachable(router, &config, &key, error);
    if (r < 0)
        return r;
    if (router_rib_find(&router->rib, &network, &key, ROUTER_CONNECTED))
        return refuse_route(router, &config, -EEXIST, error);
    r = router_fast_has_room(router) ? 0 : -ENOSPC;
    if (r >= 0)
        r = router_rib_prepare(&router->rib, &network, &key, config.pathcost, ROUTER_CONFIGURED, &route);
    if (r < 0)
        return refuse_route(router, &config, r, error);
    change->resource = route;
    return 0;
}

void router_route_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router *router = pcn_cube_state(cube);

    router->rib.n_leaving -= change->op == PCN_CHANGE_DELETE;
    router_rib_discard(&router->rib, TAKE_PTR(change->resource));
}

static struct router_rib_route *route_of(const struct router *router, const struct pcn_node *node)
{
    struct router_network network;
    struct router_nexthop_key key;
    struct router_route config;

    router_route_read(node, &config);
    if (route_read(&config, &network, &key, NULL) < 0)
        return NULL;
    return router_rib_find(&router->rib, &network, &key, ROUTER_CONFIGURED);
}

int router_route_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router *router = pcn_cube_state(cube);
    struct router_rib_route *route = TAKE_PTR(change->resource), *old;
    struct router_route config;

    if (change->op == PCN_CHANGE_CREATE) {
        /* What the shadow namespace said is now configuration. */
        old = router_rib_find(&router->rib, &route->prefix->network, &route->nexthop->key, ROUTER_SHADOWED);
        router_rib_add(&router->rib, route);
        if (old)
            router_rib_remove(&router->rib, old);
        router_shadow_route(router, route, true);
        return 0;
    }
    router->rib.n_leaving -= change->op == PCN_CHANGE_DELETE;
    route = route_of(router, change->before);
    if (!route)
        return -ENOENT;
    router_shadow_route(router, route, false);
    if (change->op == PCN_CHANGE_DELETE) {
        router_rib_remove(&router->rib, route);
        return 0;
    }
    router_route_read(change->after, &config);
    router_rib_set_pathcost(&router->rib, route, config.pathcost);
    router_shadow_route(router, route, true);
    return 0;
}

/* ---- what is shown ---- */

static const char *nexthop_format(const struct router_nexthop_key *key, char ret_text[ROUTER_ADDRESS_TEXT])
{
    if (key->kind == ROUTER_LOCAL)
        return "local";
    return key->kind == ROUTER_BLACKHOLE ? "blackhole" : router_address_format(key->family, &key->gateway, ret_text);
}

/* Two ports in one network, and the model, give it several routes of one name: one is shown, that in use if there is one. */
static bool is_shown(const struct router_rib_route *route)
{
    const struct router_rib_route *shown = NULL;

    if (route->nexthop->key.kind == ROUTER_OWN || route->nexthop->key.kind == ROUTER_BROADCAST)
        return false;
    if (route->nexthop->key.kind != ROUTER_LOCAL)
        return true;
    for (const struct router_rib_route *other = route->prefix->routes; other; other = other->next) {
        if (other->nexthop->key.kind == ROUTER_LOCAL && (!shown || other->active))
            shown = other;
    }
    return route == shown;
}

static void route_emit(const struct router *router, const struct router_rib_route *route, struct pcn_emitter *emitter)
{
    const struct router_nexthop *nexthop = route->nexthop;
    char network[ROUTER_NETWORK_TEXT], gateway[ROUTER_ADDRESS_TEXT];
    const struct router_interface *interface = NULL;

    if (nexthop->key.kind != ROUTER_BLACKHOLE && nexthop->way.port >= 0)
        interface = router->interfaces[nexthop->way.port];
    pcn_emit_entry(emitter);
    pcn_emit_string(emitter, "network", router_network_format(&route->prefix->network, network));
    pcn_emit_string(emitter, "nexthop", nexthop_format(&nexthop->key, gateway));
    if (interface || nexthop->key.interface[0])
        pcn_emit_string(emitter, "interface", interface ? pcn_port_name(interface->port) : nexthop->key.interface);
    pcn_emit_uint(emitter, "pathcost", route->pathcost);
    pcn_emit_bool(emitter, "active", route->active);
    pcn_emit_end(emitter);
}

/* The route that is shown under these keys, or NULL. */
static struct router_rib_route *route_by_keys(const struct router *router, const char *const *keys)
{
    char text[ROUTER_ADDRESS_TEXT];
    struct router_network network;
    struct router_prefix *prefix;

    if (router_network_parse(keys[0], &network) < 0)
        return NULL;
    router_network_mask(&network);
    prefix = router_rib_prefix(&router->rib, &network);
    for (struct router_rib_route *route = prefix ? prefix->routes : NULL; route; route = route->next) {
        if (is_shown(route) && pcn_streq(nexthop_format(&route->nexthop->key, text), keys[1]))
            return route;
    }
    return NULL;
}

int router_route_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    const struct router *router = pcn_cube_state(cube);
    const struct router_rib_route *route;

    if (n_keys > 0) {
        route = route_by_keys(router, keys);
        if (!route)
            return -ENOENT;
        route_emit(router, route, emitter);
        return 0;
    }
    for (const struct router_prefix *prefix = router->rib.prefixes; prefix; prefix = prefix->hh.next) {
        for (route = prefix->routes; route; route = route->next) {
            if (is_shown(route))
                route_emit(router, route, emitter);
        }
    }
    return 0;
}

int router_route_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    struct router *router = pcn_cube_state(cube);
    struct router_rib_route *route;

    if (!keys[0] || !keys[1])
        return router_shadow_forget_routes(router);
    route = route_by_keys(router, keys);
    if (!route || route->origin != ROUTER_SHADOWED)
        return -ENOENT;
    router_shadow_route(router, route, false);
    router_rib_remove(&router->rib, route);
    return 0;
}
