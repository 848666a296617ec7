/* SPDX-License-Identifier: Apache-2.0 */
/* Where routes lead: hops and neighbours; and the FIB's own beginning and end. */
#include "router_fib_private.h"
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static int pool_init(struct pool *pool, uint32_t n)
{
    pool->items = calloc(n, sizeof(*pool->items));
    pool->n = n;
    pool->fresh = 1;
    return pool->items ? 0 : -ENOMEM;
}

static void pool_append(struct pool *pool, uint32_t number, uint32_t size, uint64_t due)
{
    pool->items[number] = (struct pool_item){.due = due};
    if (pool->first[size])
        pool->items[pool->last[size]].next = number;
    else
        pool->first[size] = number;
    pool->last[size] = number;
}

void router_pool_put(struct pool *pool, uint32_t number, uint32_t size, uint64_t now)
{
    pool->used -= size;
    pool_append(pool, number, size, now + ROUTER_RETIRE_MS);
}

static uint32_t pool_pop(struct pool *pool, uint32_t size, uint64_t now)
{
    uint32_t number = pool->first[size];

    if (!number || pool->items[number].due > now)
        return 0;
    pool->first[size] = pool->items[number].next;
    return number;
}

uint32_t router_pool_take(struct pool *pool, uint32_t size, uint64_t now)
{
    uint32_t number = pool_pop(pool, size, now);

    if (!number && size <= pool->n - pool->fresh) {
        number = pool->fresh;
        pool->fresh += size;
    }
    for (uint32_t larger = size + 1; !number && larger <= FIB_POOL_SIZES; larger++) {
        number = pool_pop(pool, larger, now);
        if (number)
            pool_append(pool, number + size, larger - size, now);
    }
    if (number)
        pool->used += size;
    return number;
}

/* ---- hops ---- */

static uint32_t hops_hash(const struct router_hop *hops, unsigned int n)
{
    uint64_t hash = n;

    for (unsigned int i = 0; i < n; i++)
        hash =
            (hash ^ (uint64_t)hops[i].index << 32 ^ (uint64_t)hops[i].port << 8 ^ hops[i].kind) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(hash >> 32) % FIB_CHAINS;
}

/* The hops of a group: itself, or those behind its head. */
static const struct router_hop *hops_of(const struct router_fib *fib, uint32_t number, unsigned int *ret_n)
{
    const struct router_hop *hop = &fib->memory.hops[number];

    *ret_n = hop->kind == ROUTER_HOP_ECMP ? hop->count : 1;
    return hop->kind == ROUTER_HOP_ECMP ? hop + 1 : hop;
}

static void hop_store(struct router_hop *slot, struct router_hop hop)
{
    uint64_t word;

    memcpy(&word, &hop, sizeof(word));
    __atomic_store_n((uint64_t *)slot, word, __ATOMIC_RELEASE);
}

int router_fib_hops_get(struct router_fib *fib, const struct router_hop *hops, unsigned int n, uint32_t *ret_hop)
{
    uint32_t *chain, number, size = n == 1 ? 1 : n + 1;
    struct router_hop *slot;

    if (!n || n > ROUTER_HOP_COUNT_MAX)
        return -EINVAL;
    chain = &fib->chains[hops_hash(hops, n)];
    for (number = *chain; number; number = fib->groups[number].chain) {
        unsigned int count;
        const struct router_hop *other = hops_of(fib, number, &count);

        if (count == n && !memcmp(other, hops, n * sizeof(*hops))) {
            fib->groups[number].refs++;
            *ret_hop = number;
            return 0;
        }
    }
    number = router_pool_take(&fib->hops, size, fib_now(fib));
    if (!number)
        return -ENOSPC;
    slot = &fib->memory.hops[number];
    for (unsigned int i = 0; i < n; i++)
        hop_store(n == 1 ? slot : slot + 1 + i, hops[i]);
    if (n > 1)
        hop_store(slot, (struct router_hop){.kind = ROUTER_HOP_ECMP, .count = (uint8_t)n, .index = number + 1});
    fib->groups[number] = (struct hop_group){.refs = 1, .chain = *chain, .size = size};
    *chain = number;
    *ret_hop = number;
    return 0;
}

void router_fib_hops_put(struct router_fib *fib, uint32_t hop)
{
    const struct router_hop *hops;
    unsigned int n;
    uint32_t *link;

    if (!hop || --fib->groups[hop].refs)
        return;
    hops = hops_of(fib, hop, &n);
    link = &fib->chains[hops_hash(hops, n)];
    while (*link != hop)
        link = &fib->groups[*link].chain;
    *link = fib->groups[hop].chain;
    router_pool_put(&fib->hops, hop, fib->groups[hop].size, fib_now(fib));
}

/* ---- neighbours ---- */

static __u64 *bucket_words(const struct router_fib *fib, uint64_t hash, uint32_t choice)
{
    return fib->memory.buckets[router_bucket_of(hash, choice, fib->memory.n_buckets - 1)].words;
}

static __u64 *neighbour_word(const struct router_fib *fib, uint8_t version, const union pcn_address *address,
                             uint16_t port)
{
    uint64_t hash = router_hash(address, port, version, fib->memory.data->seed);

    for (uint32_t choice = 0; choice < 2; choice++) {
        __u64 *words = bucket_words(fib, hash, choice);

        for (unsigned int way = 0; way < ROUTER_BUCKET_WAYS; way++) {
            const struct router_neighbour *neighbour = &fib->memory.neighbours[(uint32_t)words[way]];

            if (words[way] && !((words[way] ^ hash) >> 32) && neighbour->port == port &&
                neighbour->version == version && !memcmp(&neighbour->address, address, sizeof(*address)))
                return &words[way];
        }
    }
    return NULL;
}

/* In the bucket that has more room. */
static __u64 *neighbour_room(const struct router_fib *fib, uint64_t hash)
{
    __u64 *room = NULL;
    unsigned int most = 0;

    for (uint32_t choice = 0; choice < 2; choice++) {
        __u64 *words = bucket_words(fib, hash, choice), *last = NULL;
        unsigned int n_free = 0;

        for (unsigned int way = ROUTER_BUCKET_WAYS; way-- > 0;) {
            if (!words[way]) {
                n_free++;
                last = &words[way];
            }
        }
        if (n_free > most) {
            most = n_free;
            room = last;
        }
    }
    return room;
}

int router_fib_neighbour_set(struct router_fib *fib, uint8_t version, const union pcn_address *address, uint16_t port,
                             uint64_t link, uint32_t *ret_neighbour)
{
    uint64_t hash = router_hash(address, port, version, fib->memory.data->seed);
    __u64 *word = neighbour_word(fib, version, address, port);
    uint32_t number;

    if (word) {
        number = (uint32_t)*word;
        __atomic_store_n(&fib->memory.neighbours[number].link, link, __ATOMIC_RELAXED);
        *ret_neighbour = number;
        return 0;
    }
    word = neighbour_room(fib, hash);
    number = word ? router_pool_take(&fib->neighbours, 1, fib_now(fib)) : 0;
    if (!number)
        return -ENOSPC;
    fib->memory.neighbours[number] =
        (struct router_neighbour){.link = link, .address = *address, .port = port, .version = version};
    __atomic_store_n(word, router_bucket_word(hash, number), __ATOMIC_RELEASE);
    *ret_neighbour = number;
    return 0;
}

uint32_t router_fib_neighbour_find(const struct router_fib *fib, uint8_t version, const union pcn_address *address,
                                   uint16_t port)
{
    const __u64 *word = neighbour_word(fib, version, address, port);

    return word ? (uint32_t)*word : 0;
}

void router_fib_neighbour_delete(struct router_fib *fib, uint32_t neighbour)
{
    struct router_neighbour *slot = &fib->memory.neighbours[neighbour];
    __u64 *word = neighbour_word(fib, slot->version, &slot->address, slot->port);

    if (word)
        __atomic_store_n(word, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->link, 0, __ATOMIC_RELAXED);
    router_pool_put(&fib->neighbours, neighbour, 1, fib_now(fib));
}

/* ---- new, free ---- */

static bool fib_is_power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

static void fib_clear(const struct router_fib *fib)
{
    const struct router_fib_memory *memory = &fib->memory;

    memset(memory->root4, 0, sizeof(uint32_t) << memory->root4_bits);
    memset(memory->root6, 0, sizeof(uint32_t) << ROUTER_ROOT6_BITS);
    memset(memory->buckets, 0, sizeof(*memory->buckets) * memory->n_buckets);
    memory->data->default4 = 0;
    memory->data->default6 = 0;
    hop_store(&memory->hops[0], (struct router_hop){.kind = ROUTER_HOP_NONE});
}

int router_fib_new(const struct router_fib_memory *memory, struct router_fib **ret_fib)
{
    _cleanup_(router_fib_freep) struct router_fib *fib = NULL;
    uint32_t capacity = 16;

    if ((memory->root4_bits != 16 && memory->root4_bits != 20 && memory->root4_bits != 24) || memory->n_nodes < 2 ||
        memory->n_nodes > ROUTER_WORD_NUMBER || memory->n_hops < 2 || memory->n_hops > ROUTER_WORD_HOP ||
        memory->n_neighbours < 2 || !fib_is_power_of_two(memory->n_buckets) || memory->n_routes > 1u << 24)
        return -EINVAL;
    fib = calloc(1, sizeof(*fib));
    if (!fib)
        return -ENOMEM;
    fib->memory = *memory;
    while (capacity < 2 * memory->n_routes)
        capacity *= 2;
    fib->routes = calloc(capacity, sizeof(*fib->routes));
    fib->groups = calloc(memory->n_hops, sizeof(*fib->groups));
    fib->route_mask = capacity - 1;
    if (!fib->routes || !fib->groups || pool_init(&fib->nodes, memory->n_nodes) < 0 ||
        pool_init(&fib->hops, memory->n_hops) < 0 || pool_init(&fib->neighbours, memory->n_neighbours) < 0)
        return -ENOMEM;
    fib_clear(fib);
    *ret_fib = TAKE_PTR(fib);
    return 0;
}

void router_fib_freep(struct router_fib **fib)
{
    if (!*fib)
        return;
    free((*fib)->routes);
    free((*fib)->groups);
    free((*fib)->nodes.items);
    free((*fib)->hops.items);
    free((*fib)->neighbours.items);
    free(*fib);
    *fib = NULL;
}
