/* SPDX-License-Identifier: Apache-2.0 */
#include "router_rib.h"
#include <arpa/inet.h>

/* ---- networks ---- */

void router_network_mask(struct router_network *network)
{
    for (unsigned int i = 0; i < 4; i++) {
        unsigned int first = 32 * i;
        uint32_t mask = network->length >= first + 32 ? UINT32_MAX
                        : network->length > first     ? ~(UINT32_MAX >> (network->length - first))
                                                      : 0;

        network->address.v6[i] &= htonl(mask);
    }
}

bool router_network_contains(const struct router_network *network, uint16_t family, const union pcn_address *address)
{
    struct router_network other = {.address = *address, .family = family, .length = network->length};

    router_network_mask(&other);
    return memcmp(&other, network, sizeof(other)) == 0;
}

/* ---- what routes share ---- */

static struct router_prefix *prefix_find(const struct router_rib *rib, const struct router_network *network)
{
    struct router_prefix *prefix;

    HASH_FIND(hh, rib->prefixes, network, sizeof(*network), prefix);
    return prefix;
}

static struct router_nexthop *nexthop_find(const struct router_rib *rib, const struct router_nexthop_key *key)
{
    struct router_nexthop *nexthop;

    HASH_FIND(hh, rib->nexthops, key, sizeof(*key), nexthop);
    return nexthop;
}

static struct router_prefix *prefix_get(struct router_rib *rib, const struct router_network *network)
{
    struct router_prefix *prefix = prefix_find(rib, network);

    if (prefix)
        return prefix;
    prefix = calloc(1, sizeof(*prefix));
    if (!prefix)
        return NULL;
    prefix->network = *network;
    HASH_ADD(hh, rib->prefixes, network, sizeof(prefix->network), prefix);
    return prefix;
}

static void prefix_put(struct router_rib *rib, struct router_prefix *prefix)
{
    if (prefix->n_routes || prefix->n_pending)
        return;
    HASH_DEL(rib->prefixes, prefix);
    free(prefix);
}

static struct router_nexthop *nexthop_get(struct router_rib *rib, const struct router_nexthop_key *key)
{
    struct router_nexthop *nexthop = nexthop_find(rib, key);

    if (!nexthop) {
        nexthop = calloc(1, sizeof(*nexthop));
        if (!nexthop)
            return NULL;
        nexthop->key = *key;
        nexthop->port = rib->ops->resolve(rib->data, key);
        HASH_ADD(hh, rib->nexthops, key, sizeof(nexthop->key), nexthop);
    }
    nexthop->refs++;
    return nexthop;
}

static void nexthop_put(struct router_rib *rib, struct router_nexthop *nexthop)
{
    if (--nexthop->refs > 0)
        return;
    HASH_DEL(rib->nexthops, nexthop);
    free(nexthop);
}

/* ---- which routes are used ---- */

static bool nexthop_is_usable(const struct router_nexthop *nexthop)
{
    return nexthop->key.kind == ROUTER_BLACKHOLE || nexthop->port >= 0;
}

/* Lower is better: the cost, then the kind. */
static uint64_t route_rank(const struct router_rib_route *route)
{
    return nexthop_is_usable(route->nexthop) ? (uint64_t)route->pathcost << 2 | route->nexthop->key.kind : UINT64_MAX;
}

static void prefix_select(struct router_rib *rib, struct router_prefix *prefix)
{
    struct router_nexthop *nexthops[ROUTER_ECMP_MAX];
    uint64_t best = UINT64_MAX;
    unsigned int n = 0, most;

    for (const struct router_rib_route *route = prefix->routes; route; route = route->next)
        best = PCN_MIN(best, route_rank(route));
    most = (best & 3) == ROUTER_GATEWAY ? ROUTER_ECMP_MAX : 1;
    for (struct router_rib_route *route = prefix->routes; route; route = route->next) {
        route->active = best != UINT64_MAX && route_rank(route) == best && n < most;
        if (route->active)
            nexthops[n++] = route->nexthop;
    }
    if (!n && !prefix->installed)
        return;
    rib->ops->install(rib->data, prefix, nexthops, n);
    prefix->installed = n > 0;
}

/* ---- routes ---- */

struct router_rib_route *router_rib_find(const struct router_rib *rib, const struct router_network *network,
                                         const struct router_nexthop_key *key)
{
    struct router_prefix *prefix = prefix_find(rib, network);

    for (struct router_rib_route *route = prefix ? prefix->routes : NULL; route; route = route->next) {
        if (memcmp(&route->nexthop->key, key, sizeof(*key)) == 0)
            return route;
    }
    return NULL;
}

int router_rib_prepare(struct router_rib *rib, const struct router_network *network,
                       const struct router_nexthop_key *key, uint32_t pathcost, enum router_origin origin,
                       struct router_rib_route **ret_route)
{
    struct router_rib_route *route;
    struct router_prefix *prefix;
    int r = -ENOMEM;

    if (rib->n_routes >= rib->capacity)
        return -ENOSPC;
    prefix = prefix_get(rib, network);
    if (!prefix)
        return -ENOMEM;
    route = calloc(1, sizeof(*route));
    if (prefix->n_routes + prefix->n_pending >= ROUTER_ROUTES_PER_NETWORK)
        r = -E2BIG;
    else if (route)
        route->nexthop = nexthop_get(rib, key);
    if (!route || !route->nexthop) {
        free(route);
        prefix_put(rib, prefix);
        return r;
    }
    route->prefix = prefix;
    route->pathcost = pathcost;
    route->origin = (uint8_t)origin;
    prefix->n_pending++;
    rib->n_routes++;
    *ret_route = route;
    return 0;
}

void router_rib_discard(struct router_rib *rib, struct router_rib_route *route)
{
    if (!route)
        return;
    route->prefix->n_pending--;
    rib->n_routes--;
    nexthop_put(rib, route->nexthop);
    prefix_put(rib, route->prefix);
    free(route);
}

void router_rib_add(struct router_rib *rib, struct router_rib_route *route)
{
    struct router_prefix *prefix = route->prefix;
    struct router_nexthop *nexthop = route->nexthop;
    struct router_rib_route **last = &prefix->routes;

    while (*last)
        last = &(*last)->next;
    *last = route;
    prefix->n_pending--;
    prefix->n_routes++;
    route->nexthop_next = nexthop->routes;
    if (nexthop->routes)
        nexthop->routes->nexthop_prev = route;
    nexthop->routes = route;
    prefix_select(rib, prefix);
}

void router_rib_remove(struct router_rib *rib, struct router_rib_route *route)
{
    struct router_prefix *prefix = route->prefix;
    struct router_nexthop *nexthop = route->nexthop;
    struct router_rib_route **link = &prefix->routes;

    while (*link != route)
        link = &(*link)->next;
    *link = route->next;
    prefix->n_routes--;
    rib->n_routes--;
    if (route->nexthop_prev)
        route->nexthop_prev->nexthop_next = route->nexthop_next;
    else
        nexthop->routes = route->nexthop_next;
    if (route->nexthop_next)
        route->nexthop_next->nexthop_prev = route->nexthop_prev;
    if (route->active)
        prefix_select(rib, prefix);
    free(route);
    nexthop_put(rib, nexthop);
    prefix_put(rib, prefix);
}

void router_rib_set_pathcost(struct router_rib *rib, struct router_rib_route *route, uint32_t pathcost)
{
    if (route->pathcost == pathcost)
        return;
    route->pathcost = pathcost;
    prefix_select(rib, route->prefix);
}

void router_rib_resolve(struct router_rib *rib)
{
    struct router_nexthop *nexthop, *next;

    HASH_ITER(hh, rib->nexthops, nexthop, next)
    {
        int port = rib->ops->resolve(rib->data, &nexthop->key);

        if (port == nexthop->port)
            continue;
        nexthop->port = port;
        for (const struct router_rib_route *route = nexthop->routes; route; route = route->nexthop_next)
            prefix_select(rib, route->prefix);
    }
}

void router_rib_clear(struct router_rib *rib)
{
    struct router_prefix *prefix, *next_prefix;
    struct router_nexthop *nexthop, *next;

    HASH_ITER(hh, rib->prefixes, prefix, next_prefix)
    {
        while (prefix->routes) {
            struct router_rib_route *route = prefix->routes;

            prefix->routes = route->next;
            free(route);
        }
        HASH_DEL(rib->prefixes, prefix);
        free(prefix);
    }
    HASH_ITER(hh, rib->nexthops, nexthop, next)
    {
        HASH_DEL(rib->nexthops, nexthop);
        free(nexthop);
    }
    rib->n_routes = 0;
}
