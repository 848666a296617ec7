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

struct router_prefix *router_rib_prefix(const struct router_rib *rib, const struct router_network *network)
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
    struct router_prefix *prefix = router_rib_prefix(rib, network);

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

static int way_find(struct router_rib *rib, const struct router_nexthop_key *key, int port, struct router_way *ret_way)
{
    struct router_way way = {.port = port};
    int r;

    if (port < 0) {
        *ret_way = way;
        return 0;
    }
    r = rib->ops->acquire(rib->data, key, &way);
    if (r >= 0)
        *ret_way = way;
    return r;
}

static int nexthop_get(struct router_rib *rib, const struct router_nexthop_key *key,
                       struct router_nexthop **ret_nexthop)
{
    struct router_nexthop *nexthop = nexthop_find(rib, key);
    int r;

    if (!nexthop) {
        nexthop = calloc(1, sizeof(*nexthop));
        if (!nexthop)
            return -ENOMEM;
        nexthop->key = *key;
        r = way_find(rib, key, rib->ops->locate(rib->data, key), &nexthop->way);
        if (r < 0) {
            free(nexthop);
            return r;
        }
        HASH_ADD(hh, rib->nexthops, key, sizeof(nexthop->key), nexthop);
    }
    nexthop->refs++;
    *ret_nexthop = nexthop;
    return 0;
}

static void nexthop_put(struct router_rib *rib, struct router_nexthop *nexthop)
{
    if (--nexthop->refs > 0)
        return;
    if (nexthop->way.port >= 0)
        rib->ops->release(rib->data, &nexthop->way);
    HASH_DEL(rib->nexthops, nexthop);
    free(nexthop);
}

/* ---- which routes are used ---- */

#define RANK_SHIFT 8

/* Lower is better: the cost, then the kind. */
static uint64_t route_rank(const struct router_rib_route *route)
{
    const struct router_nexthop *nexthop = route->nexthop;

    return nexthop->way.port >= 0 ? (uint64_t)route->pathcost << RANK_SHIFT | nexthop->key.kind : UINT64_MAX;
}

static void prefix_select(struct router_rib *rib, struct router_prefix *prefix)
{
    struct router_nexthop *nexthops[ROUTER_ECMP_MAX];
    uint64_t best = UINT64_MAX;
    unsigned int n = 0, most;

    for (const struct router_rib_route *route = prefix->routes; route; route = route->next)
        best = PCN_MIN(best, route_rank(route));
    most = (best & ((1u << RANK_SHIFT) - 1)) == ROUTER_GATEWAY ? ROUTER_ECMP_MAX : 1;
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
                                         const struct router_nexthop_key *key, unsigned int origins)
{
    struct router_prefix *prefix = router_rib_prefix(rib, network);

    for (struct router_rib_route *route = prefix ? prefix->routes : NULL; route; route = route->next) {
        if (route->origin & origins && memcmp(&route->nexthop->key, key, sizeof(*key)) == 0)
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
    int r;

    if (rib->n_routes - rib->n_leaving >= rib->capacity)
        return -ENOSPC;
    prefix = prefix_get(rib, network);
    if (!prefix)
        return -ENOMEM;
    route = calloc(1, sizeof(*route));
    if (prefix->n_routes + prefix->n_pending >= ROUTER_ROUTES_PER_NETWORK)
        r = -E2BIG;
    else
        r = route ? nexthop_get(rib, key, &route->nexthop) : -ENOMEM;
    if (r < 0) {
        free(route);
        prefix_put(rib, prefix);
        return r;
    }
    route->prefix = prefix;
    route->pathcost = pathcost;
    route->origin = (uint8_t)origin;
    prefix->n_pending++;
    rib->n_pending++;
    rib->n_routes++;
    *ret_route = route;
    return 0;
}

void router_rib_discard(struct router_rib *rib, struct router_rib_route *route)
{
    if (!route)
        return;
    route->prefix->n_pending--;
    rib->n_pending--;
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
    route->added = true;
    rib->n_pending--;
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
        struct router_way old = nexthop->way;
        int port = rib->ops->locate(rib->data, &nexthop->key);

        if (port == old.port)
            continue;
        if (way_find(rib, &nexthop->key, port, &nexthop->way) < 0)
            nexthop->way = (struct router_way){.port = -1};
        for (const struct router_rib_route *route = nexthop->routes; route; route = route->nexthop_next)
            prefix_select(rib, route->prefix);
        if (old.port >= 0)
            rib->ops->release(rib->data, &old);
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
