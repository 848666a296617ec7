/* SPDX-License-Identifier: Apache-2.0 */
/* The FIB against a list of its routes, looked through from end to end. */
#include "router_fib.h"
#include <endian.h>
#include <harness/suite.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct table {
    struct router_fib_memory memory;
    struct router_fib *fib;
};

static void table_done(struct table *table)
{
    router_fib_freep(&table->fib);
    free(table->memory.root4);
    free(table->memory.root6);
    free(table->memory.nodes);
    free(table->memory.hops);
    free(table->memory.neighbours);
    free(table->memory.buckets);
    free(table->memory.data);
}

static int table_new(struct table *table, uint8_t root4_bits, uint32_t n_routes, uint32_t n_nodes)
{
    table->memory = (struct router_fib_memory){
        .root4 = calloc(1ul << root4_bits, sizeof(uint32_t)),
        .root6 = calloc(1ul << ROUTER_ROOT6_BITS, sizeof(uint32_t)),
        .nodes = aligned_alloc(64, (size_t)n_nodes * sizeof(union router_node)),
        .hops = calloc(1024, sizeof(struct router_hop)),
        .neighbours = calloc(257, sizeof(struct router_neighbour)),
        .buckets = calloc(64, sizeof(struct router_bucket)),
        .data = calloc(1, sizeof(struct router_data)),
        .n_nodes = n_nodes,
        .n_hops = 1024,
        .n_neighbours = 257,
        .n_buckets = 64,
        .n_routes = n_routes,
        .root4_bits = root4_bits,
        .clock_ms = pcn_test_now_ms,
    };
    return router_fib_new(&table->memory, &table->fib);
}

/* ---- the list ---- */

struct reference {
    union pcn_address address;
    uint32_t hop;
    uint8_t version;
    uint8_t length;
};

static bool reference_covers(const struct reference *route, uint8_t version, const union pcn_address *address)
{
    unsigned int length = route->length;

    if (route->version != version)
        return false;
    for (unsigned int word = 0; length > 0; word++) {
        unsigned int bits = PCN_MIN(length, 32u);
        uint32_t mask = ~0u << (32 - bits);

        if ((be32toh(route->address.v6[word]) ^ be32toh(address->v6[word])) & mask)
            return false;
        length -= bits;
    }
    return true;
}

static uint32_t reference_lookup(const struct reference *routes, size_t n, uint8_t version,
                                 const union pcn_address *address)
{
    const struct reference *best = NULL;

    for (size_t i = 0; i < n; i++) {
        if (routes[i].hop && reference_covers(&routes[i], version, address) &&
            (!best || routes[i].length > best->length))
            best = &routes[i];
    }
    return best ? best->hop : 0;
}

/* A splitmix: the same numbers in every run. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* Few values a byte, so that prefixes lie in one another. */
static union pcn_address random_address(uint64_t *state, uint8_t version)
{
    union pcn_address address = {};
    uint8_t *bytes = (uint8_t *)&address;

    for (int i = 0; i < (version == 4 ? 4 : 16); i++)
        bytes[i] = (uint8_t)(next(state) % 8 ? next(state) % 3 * 0x11 : next(state));
    return address;
}

static void check_all(const struct table *table, const struct reference *routes, size_t n, uint64_t *state, int tries)
{
    for (int i = 0; i < tries; i++) {
        uint8_t version = next(state) & 1 ? 4 : 6;
        union pcn_address address = random_address(state, version);
        const struct reference *near = &routes[next(state) % n];

        /* Every other address is inside a route, or one bit beside it. */
        if (i & 1 && near->hop) {
            version = near->version;
            address = near->address;
            if (i & 2)
                ((uint8_t *)&address)[next(state) % (version == 4 ? 4 : 16)] ^= (uint8_t)(1u << next(state) % 8);
        }
        if (!PCN_CHECK(router_fib_lookup(table->fib, version, &address) ==
                       reference_lookup(routes, n, version, &address)))
            return;
    }
}

/* Adds, replaces and deletes at random; nothing may be left at the end. */
static void churn(uint8_t root4_bits, uint64_t seed, size_t n_routes, int rounds)
{
    _cleanup_(table_done) struct table table = {};
    _cleanup_free_ struct reference *routes = calloc(n_routes, sizeof(*routes));
    uint64_t state = seed;

    PCN_REQUIRE(routes);
    PCN_REQUIRE_OK(table_new(&table, root4_bits, (uint32_t)n_routes, (uint32_t)n_routes * ROUTER_NODES_PER_ROUTE + 2));
    for (int round = 0; round < rounds; round++) {
        struct reference *route = &routes[next(&state) % n_routes];
        struct reference fresh = {.hop = 1 + (uint32_t)(next(&state) % 6), .version = next(&state) & 1 ? 4 : 6};
        uint32_t hop;

        if (route->hop) {
            PCN_CHECK_OK(router_fib_delete(table.fib, route->version, &route->address, route->length));
            route->hop = 0;
        } else {
            fresh.address = random_address(&state, fresh.version);
            fresh.length = (uint8_t)(next(&state) % (fresh.version == 4 ? 33 : 129));
            for (size_t i = 0; i < n_routes && route; i++) {
                /* The same prefix stands once in the list. */
                if (routes[i].hop && routes[i].length == fresh.length &&
                    reference_covers(&routes[i], fresh.version, &fresh.address))
                    route = &routes[i];
            }
            *route = fresh;
            PCN_REQUIRE_OK(router_fib_set(table.fib, fresh.version, &fresh.address, fresh.length, fresh.hop));
            PCN_CHECK_OK(router_fib_get(table.fib, fresh.version, &fresh.address, fresh.length, &hop));
            PCN_CHECK_EQ(hop, fresh.hop);
        }
        check_all(&table, routes, n_routes, &state, 20);
        PCN_REQUIRE(router_fib_n_nodes(table.fib) <= ROUTER_NODES_PER_ROUTE * router_fib_n_routes(table.fib));
    }
    for (size_t i = 0; i < n_routes; i++) {
        if (routes[i].hop)
            PCN_CHECK_OK(router_fib_delete(table.fib, routes[i].version, &routes[i].address, routes[i].length));
    }
    PCN_CHECK_EQ(router_fib_n_routes(table.fib), 0);
    PCN_CHECK_EQ(router_fib_n_nodes(table.fib), 0);
}

static void test_churn(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        churn(16, seed, 60, 1500);
    churn(20, 100, 300, 3000);
    churn(24, 101, 60, 60);
}

static void test_limits(void)
{
    _cleanup_(table_done) struct table table = {};
    const union pcn_address a = {.v4 = htobe32(0x0a000001)}, b = {.v4 = htobe32(0x0b000001)};
    uint32_t hop;

    PCN_REQUIRE_OK(table_new(&table, 16, 1, 100));
    PCN_CHECK_EQ(router_fib_set(table.fib, 4, &a, 33, 1), -EINVAL);
    PCN_CHECK_EQ(router_fib_set(table.fib, 5, &a, 24, 1), -EINVAL);
    PCN_CHECK_EQ(router_fib_set(table.fib, 4, &a, 24, 0), -EINVAL);
    PCN_CHECK_EQ(router_fib_set(table.fib, 4, &a, 24, 1024), -EINVAL);
    PCN_CHECK_EQ(router_fib_delete(table.fib, 4, &a, 24), -ENOENT);
    PCN_CHECK_EQ(router_fib_get(table.fib, 4, &a, 24, &hop), -ENOENT);
    PCN_REQUIRE_OK(router_fib_set(table.fib, 4, &a, 24, 5));
    PCN_CHECK_EQ(router_fib_set(table.fib, 4, &b, 24, 5), -ENOSPC);
    PCN_CHECK_OK(router_fib_set(table.fib, 4, &a, 24, 6));
    PCN_CHECK_EQ(router_fib_lookup(table.fib, 4, &a), 6);
    PCN_CHECK_EQ(router_fib_lookup(table.fib, 4, &b), 0);
}

/* With too few nodes a route is refused, and the others stay. */
static void test_no_nodes(void)
{
    _cleanup_(table_done) struct table table = {};
    uint64_t state = 7;
    struct reference routes[200] = {};
    unsigned int refused = 0;

    PCN_REQUIRE_OK(table_new(&table, 16, 1000, 60));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(routes); i++) {
        struct reference route = {.hop = 1 + (uint32_t)i, .version = i & 1 ? 4 : 6};

        route.address = random_address(&state, route.version);
        route.length = route.version == 4 ? 32 : 128;
        if (router_fib_set(table.fib, route.version, &route.address, route.length, route.hop) == 0)
            routes[i] = route;
        else
            refused++;
    }
    PCN_CHECK(refused > 0 && refused < PCN_ARRAY_SIZE(routes));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(routes); i++) {
        for (size_t j = i + 1; j < PCN_ARRAY_SIZE(routes); j++) {
            if (routes[j].hop && reference_covers(&routes[j], routes[i].version, &routes[i].address))
                routes[i].hop = 0;
        }
    }
    check_all(&table, routes, PCN_ARRAY_SIZE(routes), &state, 2000);
}

static void test_many(void)
{
    const struct {
        uint8_t root4_bits;
        uint8_t length;
    } cases[] = {{16, 24}, {16, 32}, {20, 24}, {20, 32}};
    enum { N = 100000 };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        _cleanup_(table_done) struct table table = {};
        uint64_t state = 5, start, end;

        PCN_REQUIRE_OK(table_new(&table, cases[i].root4_bits, N, N * ROUTER_NODES_PER_ROUTE));
        start = pcn_test_now_ms();
        for (uint32_t n = 0; n < N; n++) {
            const union pcn_address address = {.v4 = (uint32_t)next(&state)};

            if (router_fib_set(table.fib, 4, &address, cases[i].length, 1 + n % 1000) < 0)
                break;
        }
        end = pcn_test_now_ms();
        printf("    %u routes /%u, root of %u bits: %llu ms, %u nodes\n", router_fib_n_routes(table.fib),
               cases[i].length, cases[i].root4_bits, (unsigned long long)(end - start), router_fib_n_nodes(table.fib));
        PCN_CHECK(router_fib_n_routes(table.fib) > N - 1000);
        state = 5;
        for (uint32_t n = 0; n < N; n++) {
            const union pcn_address address = {.v4 = (uint32_t)next(&state)};

            (void)router_fib_delete(table.fib, 4, &address, cases[i].length);
        }
        PCN_CHECK_EQ(router_fib_n_nodes(table.fib), 0);
    }
}

/* ---- while it is read ---- */

struct reader {
    const struct table *table;
    const union pcn_address *addresses;
    size_t n;
    bool stop;
    size_t wrong, lookups;
};

/* Under all that changes lies a route that stays: nobody ever finds nothing, or another network's hop. */
static void *reader_run(void *data)
{
    struct reader *reader = data;

    while (!__atomic_load_n(&reader->stop, __ATOMIC_RELAXED)) {
        for (size_t i = 0; i < reader->n; i++) {
            uint32_t hop = router_fib_lookup(reader->table->fib, 6, &reader->addresses[i]);

            if (hop != 1 && hop != 2 + i)
                reader->wrong++;
            reader->lookups++;
        }
    }
    return NULL;
}

static void test_readers(void)
{
    enum { N = 64 };
    _cleanup_(table_done) struct table table = {};
    union pcn_address addresses[N], base = {.v6 = {htobe32(0x20010db8)}};
    struct reader reader = {.table = &table, .addresses = addresses, .n = N};
    uint64_t state = 11, until = pcn_test_now_ms() + 300;
    pthread_t thread;

    /* Few nodes, so that they are used again soon. */
    PCN_REQUIRE_OK(table_new(&table, 16, N + 1, 4 * N));
    PCN_REQUIRE_OK(router_fib_set(table.fib, 6, &base, 32, 1));
    for (size_t i = 0; i < N; i++) {
        addresses[i] = base;
        addresses[i].v6[1] = (uint32_t)next(&state) & htobe32(0x11111111);
        addresses[i].v6[3] = htobe32((uint32_t)i);
    }
    PCN_REQUIRE(pthread_create(&thread, NULL, reader_run, &reader) == 0);
    while (pcn_test_now_ms() < until) {
        size_t i = next(&state) % N;

        if (router_fib_delete(table.fib, 6, &addresses[i], 128) < 0)
            PCN_CHECK_OK(router_fib_set(table.fib, 6, &addresses[i], 128, (uint32_t)(2 + i)));
    }
    __atomic_store_n(&reader.stop, true, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    PCN_CHECK_EQ(reader.wrong, 0);
    PCN_CHECK(reader.lookups > 1000);
}

/* ---- hops, neighbours ---- */

static void test_hops(void)
{
    _cleanup_(table_done) struct table table = {};
    struct router_hop hops[ROUTER_HOP_COUNT_MAX + 1];
    uint32_t one, same, group, again, n = 0;

    for (uint32_t i = 0; i < PCN_ARRAY_SIZE(hops); i++)
        hops[i] = (struct router_hop){.kind = ROUTER_HOP_GATEWAY, .port = 1, .index = i};
    PCN_REQUIRE_OK(table_new(&table, 16, 1, 100));
    PCN_CHECK_EQ(router_fib_hops_get(table.fib, hops, 0, &one), -EINVAL);
    PCN_CHECK_EQ(router_fib_hops_get(table.fib, hops, ROUTER_HOP_COUNT_MAX + 1, &one), -EINVAL);
    PCN_REQUIRE_OK(router_fib_hops_get(table.fib, hops, 1, &one));
    PCN_REQUIRE_OK(router_fib_hops_get(table.fib, hops, 1, &same));
    PCN_CHECK_EQ(one, same);
    PCN_CHECK(!memcmp(&table.memory.hops[one], hops, sizeof(*hops)));
    PCN_REQUIRE_OK(router_fib_hops_get(table.fib, hops, 3, &group));
    PCN_CHECK_EQ(table.memory.hops[group].kind, ROUTER_HOP_ECMP);
    PCN_CHECK_EQ(table.memory.hops[group].count, 3);
    PCN_CHECK(!memcmp(&table.memory.hops[table.memory.hops[group].index], hops, 3 * sizeof(*hops)));
    router_fib_hops_put(table.fib, one);
    PCN_CHECK_EQ(table.memory.hops[one].index, 0);
    router_fib_hops_put(table.fib, same);
    /* Gone: the next is another one, as that number rests. */
    PCN_REQUIRE_OK(router_fib_hops_get(table.fib, hops, 1, &again));
    PCN_CHECK(again != one);
    router_fib_hops_put(table.fib, again);
    router_fib_hops_put(table.fib, group);
    /* All of them, singly, in the end from what groups left. */
    for (int i = 0; i < 50; i++) {
        hops[0].index = 1000 + (uint32_t)i;
        PCN_CHECK_OK(router_fib_hops_get(table.fib, hops, 16, &group));
        router_fib_hops_put(table.fib, group);
    }
    pcn_test_nap(2 * ROUTER_RETIRE_MS);
    for (uint32_t i = 0; i < 2000; i++) {
        hops[0].index = 10000 + i;
        if (router_fib_hops_get(table.fib, hops, 1, &one) == 0)
            n++;
    }
    PCN_CHECK_EQ(n, 1023);
}

static void test_neighbours(void)
{
    _cleanup_(table_done) struct table table = {};
    union pcn_address address = {.v4 = htobe32(0x0a000001)};
    uint32_t number, again, n = 0;

    PCN_REQUIRE_OK(table_new(&table, 16, 1, 100));
    PCN_CHECK_EQ(router_fib_neighbour_find(table.fib, 4, &address, 1), 0);
    PCN_REQUIRE_OK(router_fib_neighbour_set(table.fib, 4, &address, 1, 77, &number));
    PCN_CHECK_EQ(router_fib_neighbour_find(table.fib, 4, &address, 1), number);
    /* Another port, another version: someone else. */
    PCN_CHECK_EQ(router_fib_neighbour_find(table.fib, 4, &address, 2), 0);
    PCN_CHECK_EQ(router_fib_neighbour_find(table.fib, 6, &address, 1), 0);
    PCN_REQUIRE_OK(router_fib_neighbour_set(table.fib, 4, &address, 1, 78, &again));
    PCN_CHECK_EQ(again, number);
    PCN_CHECK_EQ(table.memory.neighbours[number].link, 78);
    router_fib_neighbour_delete(table.fib, number);
    PCN_CHECK_EQ(router_fib_neighbour_find(table.fib, 4, &address, 1), 0);
    PCN_CHECK_EQ(table.memory.neighbours[number].link, 0);
    pcn_test_nap(2 * ROUTER_RETIRE_MS);
    /* Half full buckets have room for all. */
    for (uint32_t i = 0; i < 256; i++) {
        address.v4 = htobe32(0x0a000000 + i);
        if (router_fib_neighbour_set(table.fib, 4, &address, 1, i, &number) == 0)
            n++;
    }
    PCN_CHECK_EQ(n, 256);
    for (uint32_t i = 0; i < 256; i++) {
        address.v4 = htobe32(0x0a000000 + i);
        number = router_fib_neighbour_find(table.fib, 4, &address, 1);
        PCN_CHECK(number && table.memory.neighbours[number].link == i);
    }
}

static const struct pcn_test tests[] = {
    {"the trie says what a list of the routes says, whatever comes and goes", test_churn},
    {"a wrong prefix, an unknown one and one too many are refused", test_limits},
    {"without a node a route is refused and nothing changes", test_no_nodes},
    {"100,000 routes come and go, and leave no node", test_many},
    {"who reads meanwhile finds the old or the new", test_readers},
    {"equal hops are one, and freed ones rest", test_hops},
    {"neighbours are found by address, version and port", test_neighbours},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("router_fib", tests);
}
