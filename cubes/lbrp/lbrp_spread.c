/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service's places. maglev: its table. round-robin: a cycle, in which each backend has as many turns as it has weight,
 * evenly apart. least-connections: each backend once.
 */
#include "lbrp.h"
#include <pcn/maglev.h>

/* The k-th turn of n is at (2k + 1) / 2n of the cycle. */
struct turn {
    uint64_t at;
    uint32_t end; /* index */
};

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

static int turn_compare(const void *a, const void *b)
{
    const struct turn *left = a, *right = b;

    if (left->at != right->at)
        return left->at < right->at ? -1 : 1;
    return left->end < right->end ? -1 : left->end > right->end;
}

static int spread_maglev(struct lbrp_group *service, uint32_t size)
{
    _cleanup_free_ struct pcn_maglev_end *ends = calloc(service->n_ends + 1, sizeof(*ends));
    int r;

    if (!ends)
        return -ENOMEM;
    for (size_t i = 0; i < service->n_ends; i++) {
        memcpy(ends[i].name, &service->ends[i].address, sizeof(ends[i].name));
        ends[i].kind = service->key.version;
        ends[i].weight = lbrp_end_takes(&service->ends[i]) ? service->ends[i].weight : 0;
    }
    r = pcn_maglev_make(ends, service->n_ends, size, &service->table);
    if (r < 0)
        return r;
    service->n_table = size;
    for (size_t i = 0; i < service->n_ends; i++)
        service->ends[i].places = ends[i].places;
    return 0;
}

/* Turns of each backend, in .places: its weight, or, where there is no room for that, its share. Returns their sum. */
static uint32_t turns_count(struct lbrp_group *service, uint32_t n_takers, uint32_t size)
{
    uint32_t divisor = 0, sum = 0;
    uint64_t total = 0;

    for (size_t i = 0; i < service->n_ends; i++)
        if (lbrp_end_takes(&service->ends[i]))
            divisor = gcd(service->ends[i].weight, divisor);
    for (size_t i = 0; i < service->n_ends; i++)
        if (lbrp_end_takes(&service->ends[i]))
            total += service->ends[i].weight / divisor;
    for (size_t i = 0; i < service->n_ends; i++) {
        struct lbrp_end *end = &service->ends[i];
        uint64_t turns = end->weight / divisor;

        if (!lbrp_end_takes(end))
            continue;
        if (service->algorithm == LBRP_LEAST_CONNECTIONS)
            turns = 1;
        else if (total > size)
            turns = PCN_MAX(turns * (size - n_takers) / total, UINT64_C(1));
        end->places = (uint32_t)turns;
        sum += end->places;
    }
    return sum;
}

static int spread_turns(struct lbrp_group *service, uint32_t n_takers, uint32_t size)
{
    uint32_t n = turns_count(service, n_takers, size), at = 0;
    _cleanup_free_ struct turn *turns = calloc(n, sizeof(*turns));

    service->table = calloc(n, sizeof(*service->table));
    if (!turns || !service->table)
        return -ENOMEM;
    for (uint32_t i = 0; i < service->n_ends; i++)
        for (uint32_t k = 0; k < service->ends[i].places; k++)
            turns[at++] = (struct turn){(2 * k + UINT64_C(1)) * UINT32_MAX / (2 * service->ends[i].places), i};
    qsort(turns, n, sizeof(*turns), turn_compare);
    for (uint32_t i = 0; i < n; i++)
        service->table[i] = (uint16_t)(turns[i].end + 1);
    service->n_table = n;
    return 0;
}

int lbrp_spread(struct lbrp_group *service, uint32_t size)
{
    uint32_t n_takers = 0;

    pcn_freep(&service->table);
    service->n_table = 0;
    for (size_t i = 0; i < service->n_ends; i++) {
        service->ends[i].places = 0;
        n_takers += lbrp_end_takes(&service->ends[i]);
    }
    if (!n_takers)
        return 0;
    if (n_takers > size)
        return -ENOSPC;
    if (service->algorithm == LBRP_MAGLEV)
        return spread_maglev(service, size);
    return spread_turns(service, n_takers, size);
}
