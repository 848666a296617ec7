/* SPDX-License-Identifier: Apache-2.0 */
/* The table of neighbours in the model: configured ones, and how all are shown. */
#include "router.h"
#include "router_model.h"
#include <stdio.h>
#include <sys/socket.h>

/* A configured neighbour. It outlives its port, and comes back to life with one of that name. */
struct router_static {
    char *key; /* as configured */
    uint16_t family;
    union pcn_address address;
    uint8_t mac[ETH_ALEN];
    char *interface;
    struct router_neigh *neigh; /* held; NULL: there is no such port */
    UT_hash_handle hh;          /* by key */
};

static void static_freep(struct router_static **ptr)
{
    struct router_static *entry = TAKE_PTR(*ptr);

    if (!entry)
        return;
    free(entry->key);
    free(entry->interface);
    free(entry);
}

static struct router_static *static_find(const struct router *router, const char *key)
{
    struct router_static *entry;

    HASH_FIND_STR(router->statics, key, entry);
    return entry;
}

static struct router_static *static_by_address(const struct router *router, uint16_t family,
                                               const union pcn_address *address, const char *interface)
{
    for (struct router_static *entry = router->statics; entry; entry = entry->hh.next) {
        if (entry->family == family && memcmp(&entry->address, address, sizeof(*address)) == 0 &&
            pcn_streq(entry->interface, interface))
            return entry;
    }
    return NULL;
}

/* ---- what is valid ---- */

/* "10.0.0.2", "10.0.0.2/32", "fe80::1%port". */
static int key_parse(const char *key, uint16_t *ret_family, union pcn_address *ret_address, const char **ret_zone)
{
    struct router_network network;

    if (!strchr(key, '/'))
        return router_address_parse(key, ret_family, ret_address, ret_zone);
    if (router_network_parse(key, &network) < 0 || network.length != (network.family == AF_INET ? 32 : 128))
        return -EINVAL;
    *ret_family = network.family;
    *ret_address = network.address;
    *ret_zone = NULL;
    return 0;
}

int router_arp_table_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    static const uint8_t zero[ETH_ALEN];
    struct router_arp_table config;
    union pcn_address address;
    char path[ROUTER_PATH_TEXT];
    uint8_t mac[ETH_ALEN];
    const char *zone;
    uint16_t family;

    if (!change->after)
        return 0;
    router_arp_table_read(change->after, &config);
    (void)snprintf(path, sizeof(path), "arp-table/%s", config.address);
    if (key_parse(config.address, &family, &address, &zone) < 0 || router_address_is_zero(&address) ||
        router_address_is_group(family, &address))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "%s is not the address of a host: give one like 10.0.0.2 or 2001:db8::2", config.address);
    if (zone && !pcn_streq(zone, config.interface))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s is not on interface %s", config.address,
                             config.interface);
    router_mac_parse(config.mac, mac);
    if (mac[0] & 1 || memcmp(mac, zero, sizeof(mac)) == 0)
        return pcn_error_set(
            error, PCN_ERROR_INVALID_VALUE, path,
            "%s is not the address of a station: the first byte has to be even, and not all may be zero", config.mac);
    return 0;
}

/* ---- changes ---- */

static int static_new(const struct router_arp_table *config, struct router_static **ret_entry)
{
    _cleanup_(static_freep) struct router_static *entry = calloc(1, sizeof(*entry));
    const char *zone;

    if (!entry)
        return -ENOMEM;
    entry->key = strdup(config->address);
    entry->interface = strdup(config->interface);
    if (!entry->key || !entry->interface)
        return -ENOMEM;
    (void)key_parse(config->address, &entry->family, &entry->address, &zone);
    router_mac_parse(config->mac, entry->mac);
    *ret_entry = TAKE_PTR(entry);
    return 0;
}

/* Its port has to exist, but for those that a cube is created with, as these of a restored configuration may not. */
static int static_hold(struct router *router, struct router_static *entry, struct pcn_error *error)
{
    const struct router_interface *interface = router_interface_by_name(router, entry->interface);
    char path[ROUTER_PATH_TEXT];
    int r;

    (void)snprintf(path, sizeof(path), "arp-table/%s", entry->key);
    if (!interface || interface->leaving) {
        if (router->established)
            return pcn_error_set(error, PCN_ERROR_DATA_MISSING, path, "Port %s does not exist: add it before its hosts",
                                 entry->interface);
        pcn_cube_log(router->cube, PCN_LOG_WARN, "%s: Port %s does not exist", path, entry->interface);
        return 0;
    }
    r = router_neigh_hold(router, entry->family, &entry->address, interface->id, &entry->neigh);
    if (r == -ENOBUFS)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, path,
                             "there is no room for %s: create the router with a larger arp-table-size", entry->key);
    return r;
}

int router_arp_table_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    _cleanup_(static_freep) struct router_static *new = NULL;
    struct router *router = pcn_cube_state(cube);
    const struct router_static *other;
    struct router_arp_table config;
    char path[ROUTER_PATH_TEXT];
    int r;

    if (!change->after)
        return 0;
    router_arp_table_read(change->after, &config);
    r = static_new(&config, &new);
    if (r < 0)
        return r;
    other = static_by_address(router, new->family, &new->address, new->interface);
    if (other && !pcn_streq(other->key, new->key)) {
        (void)snprintf(path, sizeof(path), "arp-table/%s", new->key);
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, path, "%s is there already, as %s", new->key, other->key);
    }
    r = static_hold(router, new, error);
    if (r >= 0)
        change->resource = TAKE_PTR(new);
    return r;
}

void router_arp_table_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router_static *new = TAKE_PTR(change->resource);

    if (new &&new->neigh)
        router_neigh_release(pcn_cube_state(cube), new->neigh);
    static_freep(&new);
}

static void static_unbind(struct router *router, struct router_static *entry)
{
    if (!entry->neigh)
        return;
    router_neigh_forget(router, entry->neigh);
    router_neigh_release(router, TAKE_PTR(entry->neigh));
}

int router_arp_table_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router *router = pcn_cube_state(cube);
    struct router_static *new = TAKE_PTR(change->resource), *old;

    old = static_find(router, change->keys[0]);
    if (old) {
        HASH_DEL(router->statics, old);
        static_unbind(router, old);
        static_freep(&old);
    }
    if (!new)
        return 0;
    HASH_ADD_KEYPTR(hh, router->statics, new->key, strlen(new->key), new);
    if (new->neigh)
        router_neigh_set_static(router, new->neigh, new->mac);
    return 0;
}

void router_statics_bind(struct router *router, const struct router_interface *interface)
{
    for (struct router_static *entry = router->statics; entry; entry = entry->hh.next) {
        if (entry->neigh || !pcn_streq(entry->interface, pcn_port_name(interface->port)))
            continue;
        if (router_neigh_hold(router, entry->family, &entry->address, interface->id, &entry->neigh) < 0)
            pcn_cube_log(router->cube, PCN_LOG_ERR, "arp-table/%s: the table is full", entry->key);
        else
            router_neigh_set_static(router, entry->neigh, entry->mac);
    }
}

void router_statics_unbind(struct router *router, const struct router_interface *interface)
{
    for (struct router_static *entry = router->statics; entry; entry = entry->hh.next) {
        if (entry->neigh && entry->neigh->port == interface->id)
            static_unbind(router, entry);
    }
}

void router_statics_clear(struct router *router)
{
    struct router_static *entry, *next;

    HASH_ITER(hh, router->statics, entry, next)
    {
        HASH_DEL(router->statics, entry);
        static_freep(&entry);
    }
}

/* ---- what is shown ---- */

static void emit(struct pcn_emitter *emitter, const char *key, const uint8_t mac[ETH_ALEN], const char *interface,
                 enum router_arp_table_state state, const uint64_t *age)
{
    char text[ROUTER_MAC_TEXT];

    pcn_emit_entry(emitter);
    pcn_emit_string(emitter, "address", key);
    pcn_emit_string(emitter, "mac", router_mac_format(mac, text));
    pcn_emit_string(emitter, "interface", interface);
    pcn_emit_string(emitter, "state", router_arp_table_state_name(state));
    if (age)
        pcn_emit_uint(emitter, "age", *age);
    pcn_emit_end(emitter);
}

static void emit_static(struct pcn_emitter *emitter, const struct router_static *entry)
{
    emit(emitter, entry->key, entry->mac, entry->interface, ROUTER_ARP_TABLE_STATE_STATIC, NULL);
}

static bool is_learned(const struct router_neigh *neigh)
{
    return neigh && (neigh->state == ROUTER_NEIGHBOUR_REACHABLE || neigh->state == ROUTER_NEIGHBOUR_STALE);
}

static void emit_learned(const struct router *router, struct pcn_emitter *emitter, const struct router_neigh *neigh)
{
    const struct router_interface *interface = router->interfaces[neigh->port];
    uint64_t age = (pcn_clock_ms() - neigh->heard) / 1000;
    char key[ROUTER_ADDRESS_TEXT];
    size_t length;

    if (!interface)
        return;
    router_address_format(neigh->family, &neigh->address, key);
    length = strlen(key);
    /* The same address may be on every link. */
    if (neigh->family == AF_INET6 && router_address_is_link_local(&neigh->address))
        (void)snprintf(key + length, sizeof(key) - length, "%%%s", pcn_port_name(interface->port));
    emit(emitter, key, neigh->mac, pcn_port_name(interface->port),
         neigh->state == ROUTER_NEIGHBOUR_STALE ? ROUTER_ARP_TABLE_STATE_PROBE : ROUTER_ARP_TABLE_STATE_REACHABLE,
         &age);
}

/* The learned neighbour that a key names, or NULL. */
static struct router_neigh *learned_find(const struct router *router, const char *key)
{
    union pcn_address address;
    const char *zone;
    uint16_t family;

    if (key_parse(key, &family, &address, &zone) < 0)
        return NULL;
    for (const struct pcn_port *port = pcn_port_next(router->cube, NULL); port;
         port = pcn_port_next(router->cube, port)) {
        struct router_neigh *neigh = router_neigh_find(router, family, &address, pcn_port_id(port));

        if (is_learned(neigh) && (!zone || pcn_streq(zone, pcn_port_name(port))))
            return neigh;
    }
    return NULL;
}

int router_arp_table_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    const struct router *router = pcn_cube_state(cube);
    const struct router_static *entry;
    const struct router_neigh *neigh;

    if (n_keys > 0) {
        entry = static_find(router, keys[0]);
        neigh = entry ? NULL : learned_find(router, keys[0]);
        if (entry)
            emit_static(emitter, entry);
        else if (neigh)
            emit_learned(router, emitter, neigh);
        return entry || neigh ? 0 : -ENOENT;
    }
    for (entry = router->statics; entry; entry = entry->hh.next)
        emit_static(emitter, entry);
    for (uint32_t i = 0; i < router->n_neighbours; i++) {
        if (is_learned(router->neighbours[i]))
            emit_learned(router, emitter, router->neighbours[i]);
    }
    return 0;
}

int router_arp_table_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    struct router *router = pcn_cube_state(cube);
    struct router_neigh *neigh;

    if (n_keys > 0 && keys[0]) {
        neigh = learned_find(router, keys[0]);
        if (neigh)
            router_neigh_forget(router, neigh);
        return neigh ? 0 : -ENOENT;
    }
    for (uint32_t i = 0; i < router->n_neighbours; i++) {
        if (is_learned(router->neighbours[i]))
            router_neigh_forget(router, router->neighbours[i]);
    }
    return 0;
}
