/* SPDX-License-Identifier: Apache-2.0 */
/* The fast path's tables: their sizes, and what the RIB and the interfaces write into them. */
#include "router.h"
#include "router_model.h"
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

_Static_assert(ROUTER_ECMP_MAX <= ROUTER_HOP_COUNT_MAX, "a group is one hop");

#define SIZE_ARP 4096 /* defaults of the model */
#define SIZE_FIB 16384
#define HOPS_SPARE 8192 /* beside one a neighbour: of interfaces, and of groups of ECMP */
#define NODES_SPARE 4096ull

/* A word of the neighbours' buckets is a slot; twice as many as neighbours, so that there always is a free one. */
static uint32_t buckets_for(uint32_t neighbours)
{
    uint32_t n = 1;

    while (n * ROUTER_BUCKET_WAYS < 2 * neighbours)
        n *= 2;
    return n;
}

/*
 * A route takes ROUTER_NODES_PER_ROUTE nodes at most; where there are many, two and a half, if they are
 * as far from each other as they can be (random prefixes of IPv6; 1.3 in tables as they are found).
 */
static uint32_t nodes_for(uint64_t routes)
{
    return (uint32_t)(routes * 5 / 2 + PCN_MIN(routes * 3 / 2, NODES_SPARE));
}

/* A large root saves a step of 5 ns, and takes 4 MB: small routers, of which there may be many, do without. */
static uint8_t root4_bits_for(uint32_t routes)
{
    return routes > SIZE_FIB ? ROUTER_ROOT4_BITS : 16;
}

static int router_fast_size(struct pcn_object *object, const struct router_settings *settings)
{
    const struct {
        const char *section;
        size_t size;
    } arrays[] = {
        {ROUTER_ROOT4, sizeof(uint32_t) << settings->root4_bits},
        {ROUTER_ROOT6, sizeof(uint32_t) << ROUTER_ROOT6_BITS},
        {ROUTER_NODES, settings->n_nodes * sizeof(union router_node)},
        {ROUTER_HOPS, settings->n_hops * sizeof(struct router_hop)},
        {ROUTER_NEIGHBOURS, settings->n_neighbours * sizeof(struct router_neighbour)},
        {ROUTER_BUCKETS, (settings->bucket_mask + 1) * sizeof(struct router_bucket)},
    };
    int r = pcn_object_set(object, "router_settings", settings, sizeof(*settings));

    for (size_t i = 0; i < PCN_ARRAY_SIZE(arrays) && r >= 0; i++)
        r = pcn_object_trim(object, arrays[i].section, arrays[i].size);
    return r;
}

int router_fast_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    uint32_t neighbours = (uint32_t)pcn_node_uint(config, "arp-table-size", SIZE_ARP);
    uint32_t routes = (uint32_t)pcn_node_uint(config, "fib-size", SIZE_FIB);
    const struct router_settings settings = {.root4_bits = root4_bits_for(routes),
                                             .n_nodes = nodes_for(routes) + 1,
                                             .n_hops = neighbours + HOPS_SPARE,
                                             .n_neighbours = neighbours + 1,
                                             .bucket_mask = buckets_for(neighbours) - 1};

    return router_fast_size(object, &settings);
}

static int memory_of(struct router *router, const char *map, size_t entry, void **ret_memory, uint32_t *ret_n)
{
    size_t size;
    int r;

    r = pcn_map_memory(router->cube, map, ret_memory, &size);
    if (r >= 0 && ret_n)
        *ret_n = (uint32_t)(size / entry);
    return r;
}

static int tables_of(struct router *router, struct router_fib_memory *memory)
{
    int r;

    r = memory_of(router, ROUTER_ROOT4, sizeof(*memory->root4), (void **)&memory->root4, NULL);
    if (r >= 0)
        r = memory_of(router, ROUTER_ROOT6, sizeof(*memory->root6), (void **)&memory->root6, NULL);
    if (r >= 0)
        r = memory_of(router, ROUTER_NODES, sizeof(*memory->nodes), (void **)&memory->nodes, &memory->n_nodes);
    if (r >= 0)
        r = memory_of(router, ROUTER_HOPS, sizeof(*memory->hops), (void **)&memory->hops, &memory->n_hops);
    if (r >= 0)
        r = memory_of(router, ROUTER_NEIGHBOURS, sizeof(*memory->neighbours), (void **)&memory->neighbours,
                      &memory->n_neighbours);
    if (r >= 0)
        r = memory_of(router, ROUTER_BUCKETS, sizeof(*memory->buckets), (void **)&memory->buckets, &memory->n_buckets);
    if (r >= 0)
        r = memory_of(router, ROUTER_PORTS, sizeof(*router->ports), (void **)&router->ports, NULL);
    if (r >= 0)
        r = memory_of(router, ROUTER_DATA, sizeof(*router->data), (void **)&router->data, NULL);
    memory->root4_bits = root4_bits_for(memory->n_routes);
    return r;
}

int router_fast_new(struct router *router)
{
    struct router_fib_memory memory = {.n_routes = router->rib.capacity, .clock_ms = pcn_clock_ms};
    int r;

    r = tables_of(router, &memory);
    if (r < 0)
        return r;
    memory.data = router->data;
    router->slots = memory.neighbours;
    router->hops = memory.hops;
    if (getrandom(&router->data->seed, sizeof(router->data->seed), GRND_NONBLOCK) < 0)
        return -errno;
    router->data->refresh = pcn_clock_hz();
    router->n_nodes = memory.n_nodes;
    router->n_neighbours = memory.n_neighbours;
    return router_fib_new(&memory, &router->fib);
}

/* ---- interfaces ---- */

void router_fast_interface(struct router *router, const struct router_interface *interface)
{
    struct router_port port = {.mtu = pcn_port_mtu(interface->port)};

    memcpy(&port.mac, interface->mac, ETH_ALEN);
    if (router_interface_speaks(interface, AF_INET6))
        router_link_local(interface->mac, (union pcn_address *)port.link_local);
    for (const struct router_address *entry = interface->addresses; entry; entry = entry->next) {
        bool six = entry->network.family == AF_INET6;

        if (entry->pending || entry->leaving)
            continue;
        if (!six && !port.address4)
            port.address4 = entry->address.v4;
        if (six && !port.address6[0] && !router_address_is_link_local(&entry->address))
            memcpy(port.address6, entry->address.v6, sizeof(port.address6));
    }
    router->ports[interface->id] = port;
}

/* ---- what the RIB calls ---- */

static uint8_t version_of(uint16_t family)
{
    return family == AF_INET ? 4 : 6;
}

static int fast_locate(void *data, const struct router_nexthop_key *key)
{
    struct router *router = data;
    const struct router_interface *interface;

    if (key->kind == ROUTER_BLACKHOLE)
        return 0;
    if (key->interface[0]) {
        interface = router_interface_by_name(router, key->interface);
        return interface && !interface->leaving ? interface->id : -1;
    }
    interface = router_attached_find(router, key->family, &key->gateway, true);
    return interface ? interface->id : -1;
}

static struct router_hop hop_of(const struct router_nexthop_key *key, const struct router_way *way)
{
    static const uint8_t kinds[] = {
        [ROUTER_OWN] = ROUTER_HOP_LOCAL,           [ROUTER_BROADCAST] = ROUTER_HOP_BROADCAST,
        [ROUTER_LOCAL] = ROUTER_HOP_CONNECTED,     [ROUTER_GATEWAY] = ROUTER_HOP_GATEWAY,
        [ROUTER_BLACKHOLE] = ROUTER_HOP_BLACKHOLE,
    };

    return (struct router_hop){.kind = kinds[key->kind], .port = (uint16_t)way->port, .index = way->neighbour};
}

static int fast_acquire(void *data, const struct router_nexthop_key *key, struct router_way *way)
{
    struct router *router = data;
    struct router_neigh *neigh = NULL;
    struct router_hop hop;
    int r;

    if (key->kind == ROUTER_GATEWAY) {
        r = router_neigh_hold(router, key->family, &key->gateway, (uint16_t)way->port, &neigh);
        if (r < 0)
            return r;
        way->neighbour = neigh->number;
    }
    hop = hop_of(key, way);
    r = router_fib_hops_get(router->fib, &hop, 1, &way->hop);
    if (r < 0 && neigh)
        router_neigh_release(router, neigh);
    return r < 0 ? -ENOBUFS : 0;
}

static void fast_release(void *data, const struct router_way *way)
{
    struct router *router = data;

    router_fib_hops_put(router->fib, way->hop);
    if (way->neighbour)
        router_neigh_release(router, router->neighbours[way->neighbour]);
}

static int compare_hops(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct router_hop));
}

/* The hop of a prefix, with a reference. Sorted, so that groups of the same next hops are one. */
static int prefix_hop(struct router *router, const struct router_prefix *prefix, struct router_nexthop *const *nexthops,
                      unsigned int n, uint32_t *ret_hop)
{
    struct router_hop hops[ROUTER_ECMP_MAX];
    char text[ROUTER_NETWORK_TEXT];

    for (unsigned int i = 0; i < n; i++)
        hops[i] = hop_of(&nexthops[i]->key, &nexthops[i]->way);
    qsort(hops, n, sizeof(*hops), compare_hops);
    if (n > 1 && router_fib_hops_get(router->fib, hops, n, ret_hop) == 0)
        return 0;
    if (n > 1)
        pcn_cube_log(router->cube, PCN_LOG_WARN, "%s: no room for another group of next hops, one of %u is used",
                     router_network_format(&prefix->network, text), n);
    return router_fib_hops_get(router->fib, hops, 1, ret_hop);
}

/* Nodes that were just taken out of use come back when no packet can be in them any more: that is waited for. */
static int fast_set(struct router *router, const struct router_network *network, uint32_t hop)
{
    const struct timespec nap = {.tv_nsec = (ROUTER_RETIRE_MS + 1) * 1000000L};
    uint8_t version = version_of(network->family), length = (uint8_t)network->length;
    int r;

    r = router_fib_set(router->fib, version, &network->address, length, hop);
    if (r != -ENOSPC || router_fib_n_nodes(router->fib) + ROUTER_NODES_PER_ROUTE >= router->n_nodes)
        return r;
    (void)nanosleep(&nap, NULL);
    return router_fib_set(router->fib, version, &network->address, length, hop);
}

static void fast_install(void *data, struct router_prefix *prefix, struct router_nexthop *const *nexthops,
                         unsigned int n)
{
    const struct router_network *network = &prefix->network;
    struct router *router = data;
    char text[ROUTER_NETWORK_TEXT];
    uint32_t hop = 0, old = prefix->hop;
    int r = 0;

    if (n > 0)
        r = prefix_hop(router, prefix, nexthops, n, &hop);
    if (n > 0 && r >= 0)
        r = fast_set(router, network, hop);
    else if (old)
        (void)router_fib_delete(router->fib, version_of(network->family), &network->address, (uint8_t)network->length);
    if (r < 0) {
        pcn_cube_log(router->cube, PCN_LOG_ERR, "%s cannot be routed: the fast path's tables are full",
                     router_network_format(network, text));
        if (hop)
            router_fib_hops_put(router->fib, hop);
        hop = 0;
    }
    if (old)
        router_fib_hops_put(router->fib, old);
    prefix->hop = hop;
}

const struct router_rib_ops router_fast_ops = {
    .locate = fast_locate,
    .acquire = fast_acquire,
    .release = fast_release,
    .install = fast_install,
};

bool router_fast_is_connected(const struct router *router, const struct router_interface *interface, uint16_t family,
                              const union pcn_address *address)
{
    const struct router_hop *hop = &router->hops[router_fib_lookup(router->fib, version_of(family), address)];

    return hop->kind == ROUTER_HOP_CONNECTED && hop->port == interface->id;
}

/* ---- room ---- */

bool router_fast_has_room(const struct router *router)
{
    uint64_t nodes = router_fib_n_nodes(router->fib), routes = router_fib_n_routes(router->fib);

    /* What leaves takes its part of the nodes along. */
    if (router->rib.n_leaving && routes)
        nodes -= nodes * PCN_MIN(router->rib.n_leaving, routes) / routes;
    return nodes + nodes_for(router->rib.n_pending + 1ull) < router->n_nodes;
}

int router_refuse_full(const struct router *router, const char *path, struct pcn_error *error)
{
    return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, path,
                         "there is no room for another route: the router has %u of at most %u; create it with a larger "
                         "fib-size",
                         router->rib.n_routes - router->rib.n_leaving, router->rib.capacity);
}
