/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routing information base: all routes known, those in use and those that
 * would take over. It knows networks, next hops and costs; what a next hop can
 * be reached by, and what the fast path is told, are its owner's (see ops).
 *
 * A route comes to be in two steps, prepare and add: add cannot fail. Routes to one
 * network are few (ROUTER_ROUTES_PER_NETWORK); all else is found by hash, so that
 * a change costs the same in a small table and in a large one.
 */
#pragma once
#include <net/if.h>
#include <pcn/abi.h>
#include <pcn/base.h>
#include <uthash.h>

#define ROUTER_ROUTES_PER_NETWORK 64 /* given costs and next hops to one network; looked through one by one */
#define ROUTER_ECMP_MAX 16           /* next hops that share the traffic to one network */
#define ROUTER_NAME_MAX 64           /* of a port, as the model has it */

struct router_network {
    union pcn_address address; /* bits of the host are 0 */
    uint16_t family;           /* AF_INET, AF_INET6 */
    uint16_t length;
};
_Static_assert(sizeof(struct router_network) == 20, "a key without padding");

/* In the order of preference at the same cost. */
enum router_nexthop_kind {
    ROUTER_OWN,       /* the router's own address */
    ROUTER_BROADCAST, /* of a network on the interface */
    ROUTER_LOCAL,     /* hosts of the network are neighbours on the interface */
    ROUTER_GATEWAY,   /* .gateway is a neighbour */
    ROUTER_BLACKHOLE, /* drop */
};

struct router_nexthop_key {
    union pcn_address gateway;
    uint16_t family; /* of the gateway; 0: it has none */
    uint16_t kind;
    /* Name of a port, zeros behind it; "": the one whose network holds the gateway. */
    char interface[ROUTER_NAME_MAX + 4];
};

/* A route may be there twice: of a port's address, and in the model. */
enum router_origin {
    ROUTER_CONNECTED = 1,  /* of a port's address: itself, and its network */
    ROUTER_CONFIGURED = 2, /* in the model */
    ROUTER_SHADOWED = 4,   /* of the shadow namespace */
    ROUTER_ANY = ROUTER_CONNECTED | ROUTER_CONFIGURED | ROUTER_SHADOWED,
};

struct router_rib_route {
    struct router_prefix *prefix;
    struct router_nexthop *nexthop;
    struct router_rib_route *next;                        /* to the same network */
    struct router_rib_route *nexthop_next, *nexthop_prev; /* by the same next hop */
    uint32_t pathcost;
    uint8_t origin;
    bool added;
    bool active; /* packets use it */
};

/* How a next hop is reached; all but the port are the owner's. */
struct router_way {
    int port; /* its id; -1: the next hop is not reached */
    uint32_t hop;
    uint32_t neighbour;
};

/* Where routes lead. Shared by all of them that lead there. */
struct router_nexthop {
    struct router_nexthop_key key;
    struct router_way way;
    uint32_t refs;
    struct router_rib_route *routes;
    UT_hash_handle hh;
};

struct router_prefix {
    struct router_network network;
    uint16_t n_routes;
    uint16_t n_pending; /* prepared and not yet added */
    bool installed;
    struct router_rib_route *routes;
    uint32_t hop; /* the owner's */
    UT_hash_handle hh;
};

struct router_rib_ops {
    /* Id of the port that a next hop is reached by; -1: none. Of a blackhole: any other. */
    int (*locate)(void *data, const struct router_nexthop_key *key);
    /* Takes what the way by way->port needs. A negative errno: it cannot be had. */
    int (*acquire)(void *data, const struct router_nexthop_key *key, struct router_way *way);
    /* Gives it back: no prefix uses it any more. */
    void (*release)(void *data, const struct router_way *way);
    /*
     * The fast path is to use these next hops for prefix: one, or several that are gateways. n 0: the
     * prefix is not routed any more.
     */
    void (*install)(void *data, struct router_prefix *prefix, struct router_nexthop *const *nexthops, unsigned int n);
};

struct router_rib {
    struct router_prefix *prefixes;
    struct router_nexthop *nexthops;
    const struct router_rib_ops *ops;
    void *data;
    uint32_t n_routes;  /* prepared ones included */
    uint32_t n_pending; /* prepared */
    uint32_t n_leaving; /* the owner's: to be removed before what is prepared is added */
    uint32_t capacity;
};

/* Bits of the host set to 0. */
void router_network_mask(struct router_network *network);
bool router_network_contains(const struct router_network *network, uint16_t family, const union pcn_address *address);

/* NULL: no route to exactly this network. */
struct router_prefix *router_rib_prefix(const struct router_rib *rib, const struct router_network *network);
/* The first of these origins. */
struct router_rib_route *router_rib_find(const struct router_rib *rib, const struct router_network *network,
                                         const struct router_nexthop_key *key, unsigned int origins);
/* -ENOSPC: the table is full; -E2BIG: too many routes to this network; -ENOMEM; or what acquire says. */
int router_rib_prepare(struct router_rib *rib, const struct router_network *network,
                       const struct router_nexthop_key *key, uint32_t pathcost, enum router_origin origin,
                       struct router_rib_route **ret_route);
/* Undoes prepare; the route may be NULL. */
void router_rib_discard(struct router_rib *rib, struct router_rib_route *route);
void router_rib_add(struct router_rib *rib, struct router_rib_route *route);
/* Frees the route. */
void router_rib_remove(struct router_rib *rib, struct router_rib_route *route);
void router_rib_set_pathcost(struct router_rib *rib, struct router_rib_route *route, uint32_t pathcost);
/* What next hops are reached by may have changed. */
void router_rib_resolve(struct router_rib *rib);
/* Frees all, installs nothing. */
void router_rib_clear(struct router_rib *rib);
