/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the tables of router_maps.h: routes, hops, neighbours. It knows their
 * memory and nothing else. One writer; readers, the fast path, are anywhere in
 * them at any time.
 *
 * A route takes a hop's number. Hops come from router_fib_hops_get(): equal
 * ones are shared and counted. What is taken out of use is reused after
 * ROUTER_RETIRE_MS.
 */
#pragma once
#include "router_maps.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct router_fib_memory {
    uint32_t *root4;
    uint32_t *root6;
    union router_node *nodes;
    struct router_hop *hops;
    struct router_neighbour *neighbours;
    struct router_bucket *buckets;
    struct router_data *data; /* default4 and default6 are the FIB's, seed and refresh the caller's */
    uint32_t n_nodes;         /* ROUTER_NODES_PER_ROUTE * n_routes, for a promise to have room */
    uint32_t n_hops;
    uint32_t n_neighbours;
    uint32_t n_buckets;
    uint32_t n_routes; /* at most */
    uint8_t root4_bits;
    uint64_t (*clock_ms)(void);
};

struct router_fib;

/* The memory is all 0, or what another router_fib left in it: it is cleared. seed is set before. -EINVAL, -ENOMEM. */
int router_fib_new(const struct router_fib_memory *memory, struct router_fib **ret_fib);
void router_fib_freep(struct router_fib **fib);

/* ---- routes. version 4 or 6; bits of address behind length are ignored ---- */

/* Adds, or replaces the hop. -ENOSPC: n_routes, or no node is left. */
int router_fib_set(struct router_fib *fib, uint8_t version, const union pcn_address *address, uint8_t length,
                   uint32_t hop);
/* -ENOENT */
int router_fib_delete(struct router_fib *fib, uint8_t version, const union pcn_address *address, uint8_t length);
/* As the fast path does. Hop, 0: no route. */
uint32_t router_fib_lookup(const struct router_fib *fib, uint8_t version, const union pcn_address *address);
/* Hop of exactly this prefix. -ENOENT */
int router_fib_get(const struct router_fib *fib, uint8_t version, const union pcn_address *address, uint8_t length,
                   uint32_t *ret_hop);
uint32_t router_fib_n_routes(const struct router_fib *fib);
uint32_t router_fib_n_nodes(const struct router_fib *fib); /* in use, retired ones not */

/* ---- hops ---- */

/*
 * The number of a hop, n 1, or of an ECMP group of n. Takes a reference: routes
 * hold none, so release it after the last route that uses it. -ENOSPC.
 */
int router_fib_hops_get(struct router_fib *fib, const struct router_hop *hops, unsigned int n, uint32_t *ret_hop);
void router_fib_hops_put(struct router_fib *fib, uint32_t hop);

/* ---- neighbours ---- */

/* Its number stays until it is deleted. Exists: the same again, link changed. link: MAC | state << 48. -ENOSPC. */
int router_fib_neighbour_set(struct router_fib *fib, uint8_t version, const union pcn_address *address, uint16_t port,
                             uint64_t link, uint32_t *ret_neighbour);
/* 0: unknown. */
uint32_t router_fib_neighbour_find(const struct router_fib *fib, uint8_t version, const union pcn_address *address,
                                   uint16_t port);
/* Routes' hops must not name it any more. */
void router_fib_neighbour_delete(struct router_fib *fib, uint32_t neighbour);
