/* SPDX-License-Identifier: Apache-2.0 */
/* What router_fib.c (routes) and router_links.c (hops, neighbours) share. */
#pragma once
#include "router_fib.h"
#include <pcn/base.h>

#define FIB_POOL_SIZES (ROUTER_HOP_COUNT_MAX + 1) /* a group is its head and its hops */
#define FIB_CHAINS 4096                           /* of hops, by content */

struct pool_item {
    uint64_t due;
    uint32_t next;
};

/* Numbers given out, taken back, and given out again when no packet can know them any more. */
struct pool {
    struct pool_item *items;
    uint32_t n;
    uint32_t fresh; /* from here on none was ever given out */
    uint32_t used;
    /* Runs of 1, 2... numbers that were taken back, oldest first. */
    uint32_t first[FIB_POOL_SIZES + 1], last[FIB_POOL_SIZES + 1];
};

/* A run of size numbers, or 0: there is none at this time. */
uint32_t router_pool_take(struct pool *pool, uint32_t size, uint64_t now);
void router_pool_put(struct pool *pool, uint32_t number, uint32_t size, uint64_t now);

/* Addresses of both versions, aligned to the left. */
struct key {
    uint64_t bits[2];
};

/* One route: what the trie cannot tell when a longer prefix goes. */
struct route {
    struct key key;
    uint32_t hop;
    uint8_t version; /* 0: the slot is free */
    uint8_t length;
};

struct hop_group {
    uint32_t refs;
    uint32_t chain; /* next of the same hash */
    uint32_t size;  /* numbers it takes */
};

struct router_fib {
    struct router_fib_memory memory;
    struct route *routes; /* open addressing */
    uint32_t route_mask;
    uint32_t n_routes;
    uint32_t lengths[2][129]; /* routes, by version and length */
    struct pool nodes;
    struct pool hops;
    struct pool neighbours;
    struct hop_group *groups; /* by number of the first hop */
    uint32_t chains[FIB_CHAINS];
};

static inline uint64_t fib_now(const struct router_fib *fib)
{
    return fib->memory.clock_ms();
}
