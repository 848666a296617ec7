/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services, from the model. A transaction edits copies of those that it names; when it is whole, they are checked and
 * their tables computed, which may refuse it; then they take the place of what was.
 */
#include "lbdsr.h"
#include "lbdsr_model.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- the list ---- */

static void service_freep(struct lbdsr_group **ptr)
{
    struct lbdsr_group *service = TAKE_PTR(*ptr);

    if (!service)
        return;
    pcn_health_check_unrefp(&service->check);
    free(service->ends);
    free(service->allows);
    free(service->table);
    free(service);
}

static void list_free(struct lbdsr_group **list)
{
    while (*list) {
        struct lbdsr_group *service = *list;

        *list = service->next;
        service_freep(&service);
    }
}

static bool is_same(const struct lbdsr_group *a, const struct lbdsr_group *b)
{
    if (a->pool || b->pool)
        return a->pool == b->pool;
    return memcmp(&a->key, &b->key, offsetof(struct lbdsr_key, vlan)) == 0 && pcn_streq(a->zone, b->zone);
}

static struct lbdsr_group **service_find(struct lbdsr_group **list, const struct lbdsr_group *like)
{
    while (*list && !is_same(*list, like))
        list = &(*list)->next;
    return list;
}

static struct lbdsr_group service_like(const char *const *keys)
{
    size_t length = strcspn(keys[0], "%");
    char vip[INET6_ADDRSTRLEN];
    struct lbdsr_group like = {};

    (void)snprintf(vip, sizeof(vip), "%.*s", (int)length, keys[0]);
    if (keys[0][length])
        (void)snprintf(like.zone, sizeof(like.zone), "%s", keys[0] + length + 1);
    like.key.version = lbdsr_address_parse(vip, &like.key.address);
    like.key.port = (uint16_t)strtoul(keys[1], NULL, 10);
    if (!pcn_streq(keys[2], "ALL"))
        like.key.protocol = pcn_streq(keys[2], "TCP") ? IPPROTO_TCP : IPPROTO_UDP;
    return like;
}

static const struct lbdsr_group pool_like = {.pool = true};

/* The transaction's copy of a service, which may be new. NULL: no memory. */
static struct lbdsr_group *service_edit(struct lbdsr *lbdsr, const struct lbdsr_group *like)
{
    struct lbdsr_group *service = *service_find(&lbdsr->pending, like);
    const struct lbdsr_group *now = *service_find(&lbdsr->services, like);

    lbdsr->changing = true;
    if (service)
        return service;
    service = calloc(1, sizeof(*service));
    if (!service)
        return NULL;
    *service = now ? *now : *like;
    if (!now)
        service->table_size = lbdsr->tables.pieces.usual;
    service->check = pcn_health_check_ref(service->check);
    service->table = NULL;
    service->ends = NULL;
    if (lbdsr_rules_copy(now, service) < 0) {
        service_freep(&service);
        return NULL;
    }
    if (now && now->n_ends) {
        service->ends = malloc(now->n_ends * sizeof(*now->ends));
        if (!service->ends) {
            service_freep(&service);
            return NULL;
        }
        memcpy(service->ends, now->ends, now->n_ends * sizeof(*now->ends));
    }
    service->next = lbdsr->pending;
    lbdsr->pending = service;
    return service;
}

struct lbdsr_group *lbdsr_config_edit(struct lbdsr *lbdsr, const char *const *keys)
{
    const struct lbdsr_group like = service_like(keys);

    return service_edit(lbdsr, &like);
}

struct lbdsr_group *lbdsr_config_find(struct lbdsr *lbdsr, const struct lbdsr_key *key)
{
    struct lbdsr_group *service = lbdsr->services;

    while (service && (service->pool || memcmp(&service->key, key, sizeof(*key)) != 0))
        service = service->next;
    return service;
}

struct lbdsr_group *lbdsr_config_at(struct lbdsr *lbdsr, const char *const *keys)
{
    const struct lbdsr_group like = service_like(keys);

    return *service_find(&lbdsr->services, &like);
}

void lbdsr_config_abandoned(struct pcn_cube *cube)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);

    list_free(&lbdsr->pending);
    lbdsr->next_settings = lbdsr->settings;
    lbdsr_pieces_done(&lbdsr->next_pieces);
    lbdsr->changing = false;
}

/* ---- backends of a service ---- */

static bool end_is(const struct lbdsr_end *a, const struct lbdsr_end *b)
{
    if (!a->version)
        return a->id == b->id;
    return a->version == b->version && memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

static struct lbdsr_end *end_find(const struct lbdsr_group *service, const struct lbdsr_end *like)
{
    for (size_t i = 0; i < service->n_ends; i++)
        if (end_is(&service->ends[i], like))
            return &service->ends[i];
    return NULL;
}

/* after NULL: it goes. */
static int end_change(struct lbdsr *lbdsr, const struct lbdsr_group *like, struct lbdsr_end *end,
                      const struct pcn_node *after)
{
    struct lbdsr_group *service = service_edit(lbdsr, like);
    struct lbdsr_end *found, *ends;
    const char *mac, *inner_mac;
    uint64_t server;

    if (!service)
        return -ENOMEM;
    found = end_find(service, end);
    if (!after) {
        if (found)
            *found = service->ends[--service->n_ends];
        return 0;
    }
    if (found) {
        end->number = found->number;
        end->health = found->health;
    }
    mac = pcn_node_string(after, "mac");
    end->has_mac = mac;
    if (mac)
        lbdsr_mac_parse(mac, end->mac);
    inner_mac = pcn_node_string(after, "inner-mac");
    end->has_inner_mac = inner_mac;
    if (inner_mac)
        lbdsr_mac_parse(inner_mac, end->inner_mac);
    end->vlan = (uint16_t)pcn_node_uint(after, "vlan", 0);
    server = pcn_node_uint(after, "server-id", UINT64_MAX);
    end->has_server = server != UINT64_MAX;
    end->server = end->has_server ? (uint16_t)server : 0;
    end->weight = (uint32_t)pcn_node_uint(after, "weight", 1);
    end->health.takes = end->weight != 0;
    if (found) {
        *found = *end;
        return 0;
    }
    ends = realloc(service->ends, (service->n_ends + 1) * sizeof(*ends));
    if (!ends)
        return -ENOMEM;
    service->ends = ends;
    ends[service->n_ends++] = *end;
    return 0;
}

static int check_mac(const struct pcn_node *node, const char *leaf, const char *path, struct pcn_error *error)
{
    static const uint8_t zero[ETH_ALEN];
    const char *text = node ? pcn_node_string(node, leaf) : NULL;
    uint8_t mac[ETH_ALEN];

    if (!text)
        return 0;
    lbdsr_mac_parse(text, mac);
    if (!(mac[0] & 1) && memcmp(mac, zero, sizeof(mac)) != 0)
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                         "%s is not the address of a station: the first byte has to be even, and not all may be zero",
                         text);
}

int lbdsr_service_backend_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    union pcn_address address;
    uint8_t version = lbdsr_address_parse(change->keys[3], &address);
    char path[256];
    int r;

    if (!change->after)
        return 0;
    (void)snprintf(path, sizeof(path), "service/%s/%s/%s/backend/%s", change->keys[0], change->keys[1], change->keys[2],
                   change->keys[3]);
    if (!lbdsr_address_is_host(&address, version))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s is not the address of a host", change->keys[3]);
    r = check_mac(change->after, "mac", path, error);
    return r < 0 ? r : check_mac(change->after, "inner-mac", path, error);
}

int lbdsr_service_backend_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbdsr_group like = service_like(change->keys);
    struct lbdsr_end end = {};

    end.version = lbdsr_address_parse(change->keys[3], &end.address);
    return end_change(pcn_cube_state(cube), &like, &end, change->after);
}

int lbdsr_backend_pool_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "backend/pool/%s", change->keys[0]);
    return check_mac(change->after, "mac", path, error);
}

int lbdsr_backend_pool_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbdsr_end end = {.id = (uint32_t)strtoul(change->keys[0], NULL, 10)};

    return end_change(pcn_cube_state(cube), &pool_like, &end, change->after);
}

/* ---- services ---- */

int lbdsr_service_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbdsr_group like = service_like(change->keys);
    uint64_t table_size;
    char path[192];

    if (!change->after)
        return 0;
    (void)snprintf(path, sizeof(path), "service/%s/%s/%s", change->keys[0], change->keys[1], change->keys[2]);
    if (!lbdsr_address_is_host(&like.key.address, like.key.version))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "vip %s is not the address of a host",
                             change->keys[0]);
    if (strlen(strchrnul(change->keys[0], '%')) > 1 + LBDSR_ZONE_MAX)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "vip has more than %u letters and digits behind the %%", LBDSR_ZONE_MAX);
    if (!like.key.protocol && like.key.port)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "proto ALL goes with port 0: a port is of TCP or of UDP");
    table_size = pcn_node_uint(change->after, "table-size", 0);
    return table_size ? lbdsr_table_size_check(table_size, path, error) : 0;
}

int lbdsr_service_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbdsr_group like = service_like(change->keys);
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    struct lbdsr_group *service = service_edit(lbdsr, &like);

    if (!service)
        return -ENOMEM;
    service->gone = !change->after;
    if (!change->before || !change->after)
        service->n_ends = service->n_allows = 0;
    if (!change->after)
        return 0;
    lbdsr_service_leaves(service, change->after);
    service->table_size = (uint32_t)pcn_node_uint(change->after, "table-size", lbdsr->tables.pieces.usual);
    return 0;
}

/* ---- sources that it allows ---- */

int lbdsr_service_allow_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbdsr_group like = service_like(change->keys);
    struct lbdsr_group *service = service_edit(pcn_cube_state(cube), &like);
    struct lbdsr_prefix prefix = lbdsr_prefix_parse(change->keys[3]), *allows;

    if (!service)
        return -ENOMEM;
    for (size_t i = 0; i < service->n_allows; i++) {
        if (memcmp(&service->allows[i], &prefix, sizeof(prefix)) == 0) {
            service->allows[i] = service->allows[--service->n_allows];
            break;
        }
    }
    if (!change->after)
        return 0;
    allows = realloc(service->allows, (service->n_allows + 1) * sizeof(*allows));
    if (!allows)
        return -ENOMEM;
    service->allows = allows;
    allows[service->n_allows++] = prefix;
    return 0;
}

/* ---- frontend ---- */

int lbdsr_frontend_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    static const char *const leaves[] = {"vip", "tunnel-address", "tunnel-address6"};
    union pcn_address address;
    char path[64];

    for (size_t i = 0; i < PCN_ARRAY_SIZE(leaves); i++) {
        const char *text = change->after ? pcn_node_string(change->after, leaves[i]) : NULL;

        if (!text || lbdsr_address_is_host(&address, lbdsr_address_parse(text, &address)))
            continue;
        (void)snprintf(path, sizeof(path), "frontend/%s", leaves[i]);
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s %s is not the address of a host", leaves[i],
                             text);
    }
    return check_mac(change->after, "mac", "frontend/mac", error);
}

int lbdsr_frontend_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    struct lbdsr_group *service = service_edit(lbdsr, &pool_like);
    const char *vip = change->after ? pcn_node_string(change->after, "vip") : NULL;

    if (!service)
        return -ENOMEM;
    memset(&service->key, 0, sizeof(service->key));
    if (vip)
        service->key.version = lbdsr_address_parse(vip, &service->key.address);
    lbdsr_settings_tunnels(change->after, &lbdsr->next_settings);
    return 0;
}

/* ---- leaves of the cube ---- */

int lbdsr_root_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);

    if (!change->after)
        return 0;
    lbdsr->changing = true;
    return lbdsr_settings_parse(change->after, &lbdsr->next_settings, error);
}

/* ---- the transaction as a whole ---- */

static bool is_published(const struct lbdsr_group *service)
{
    return service && service->key.version && !service->gone;
}

/* What a service will be, once the transaction is through. */
static struct lbdsr_group *service_next(struct lbdsr *lbdsr, struct lbdsr_group *now)
{
    struct lbdsr_group *pending = *service_find(&lbdsr->pending, now);

    return pending ? pending : now;
}

/* What there will be, and takes room. */
struct room {
    const struct lbdsr_group **services;
    size_t n_services;
    size_t n_backends;
    size_t n_allows;
};

static void room_done(struct room *room)
{
    free(room->services);
}

static int room_begin(const struct lbdsr *lbdsr, struct room *ret_room)
{
    size_t n = 1;

    for (const struct lbdsr_group *service = lbdsr->services; service; service = service->next)
        n++;
    for (const struct lbdsr_group *service = lbdsr->pending; service; service = service->next)
        n++;
    *ret_room = (struct room){.services = calloc(n, sizeof(*ret_room->services))};
    return ret_room->services ? 0 : -ENOMEM;
}

/* Its vip, its tenant or the size of its table is another one: it is withdrawn, and comes back. */
static bool moves(const struct lbdsr_group *now, const struct lbdsr_group *next)
{
    return memcmp(&now->key, &next->key, sizeof(now->key)) != 0 || now->table_size != next->table_size;
}

/* Whether it is withdrawn, for what it is to be. */
static bool leaves(const struct lbdsr_group *now, const struct lbdsr_group *next)
{
    return is_published(now) && (!is_published(next) || moves(now, next));
}

/* now: what it is, or NULL. Of backends, those that come have their numbers before those that go give theirs back. */
static void room_add(struct room *room, const struct lbdsr_group *service, const struct lbdsr_group *now)
{
    bool stays = is_published(now) && !moves(now, service);

    room->services[room->n_services++] = service;
    room->n_backends += stays ? now->n_ends : 0;
    for (size_t i = 0; i < service->n_ends; i++)
        room->n_backends += !stays || !service->ends[i].number;
    room->n_allows += service->n_allows;
}

static int check_all(struct lbdsr *lbdsr, struct room *room, struct pcn_error *error)
{
    int r = 0;

    for (struct lbdsr_group *list = lbdsr->services; list && r >= 0; list = list->next) {
        struct lbdsr_group *service = lbdsr->pending ? service_next(lbdsr, list) : list;

        if (!is_published(service))
            continue;
        room_add(room, service, list);
        r = service == list ? lbdsr_service_check(service, &lbdsr->next_settings, error) : 0;
    }
    for (struct lbdsr_group *list = lbdsr->pending; list && r >= 0; list = list->next) {
        if (!is_published(list))
            continue;
        r = lbdsr_service_check(list, &lbdsr->next_settings, error);
        if (!*service_find(&lbdsr->services, list))
            room_add(room, list, NULL);
    }
    return r;
}

static int check_room(const struct lbdsr *lbdsr, const struct room *room, struct pcn_error *error)
{
    uint32_t n_services = lbdsr_services_of(&lbdsr->tables.sizes), n_backends = lbdsr->tables.sizes.n_backends - 1;

    if (room->n_services > n_services)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "service",
                             "there is room for %u services: create the cube with more max-services", n_services);
    if (room->n_backends > n_backends)
        return pcn_error_set(
            error, PCN_ERROR_RESOURCE_DENIED, "service",
            "there is room for %u backends, those that go included until the others have come: create the "
            "cube with more max-backends",
            n_backends);
    if (room->n_allows > LBDSR_ALLOWED_MAX)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "service/allow",
                             "there is room for %u prefixes, of all services together", LBDSR_ALLOWED_MAX);
    return 0;
}

static void give_places(struct lbdsr *lbdsr, struct lbdsr_pieces *pieces)
{
    for (struct lbdsr_group *next = lbdsr->pending; next; next = next->next) {
        const struct lbdsr_group *now = *service_find(&lbdsr->services, next);

        if (now && leaves(now, next))
            lbdsr_pieces_give(pieces, now->places);
    }
}

/* Returns a service for which there are none; NULL: all have theirs. */
static const struct lbdsr_group *take_places(struct lbdsr *lbdsr, struct lbdsr_pieces *pieces)
{
    for (struct lbdsr_group *next = lbdsr->pending; next; next = next->next) {
        const struct lbdsr_group *now = *service_find(&lbdsr->services, next);

        if (!is_published(next) || (is_published(now) && !leaves(now, next)))
            continue;
        next->places = lbdsr_pieces_take(pieces, next->table_size);
        if (!next->places)
            return next;
    }
    return NULL;
}

/*
 * Places of services that come. Those of services that go in the same moment are taken only if there are no others: a
 * packet that is on its way may look there still.
 */
static int prepare_places(struct lbdsr *lbdsr, struct pcn_error *error)
{
    struct lbdsr_pieces *pieces = &lbdsr->next_pieces;
    const struct lbdsr_group *none = NULL;
    int r;

    for (int reuse = 0; reuse < 2; reuse++) {
        lbdsr_pieces_done(pieces);
        r = lbdsr_pieces_copy(&lbdsr->tables.pieces, pieces);
        if (r < 0)
            return r;
        if (reuse)
            give_places(lbdsr, pieces);
        none = take_places(lbdsr, pieces);
        if (none)
            continue;
        if (!reuse)
            give_places(lbdsr, pieces);
        return 0;
    }
    return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "service",
                         "there is no room for the tables of all services, of which one has %u places: create the cube "
                         "with more max-services, or with a larger table-size",
                         none->table_size);
}

static int twins_compare(const void *a, const void *b)
{
    const struct lbdsr_group *const *left = a, *const *right = b;

    return memcmp(&(*left)->key, &(*right)->key, sizeof((*left)->key));
}

/* Two services, or a service and frontend/vip, which packets would not tell apart: the one that changes is at fault. */
static int check_twins(struct lbdsr *lbdsr, const struct room *room, struct pcn_error *error)
{
    const struct lbdsr_group **services = room->services;
    char path[LBDSR_PATH_MAX], other[LBDSR_PATH_MAX];
    bool changes;

    qsort(services, room->n_services, sizeof(*services), twins_compare);
    for (size_t i = 1; i < room->n_services; i++) {
        if (twins_compare(&services[i - 1], &services[i]) != 0)
            continue;
        changes = *service_find(&lbdsr->pending, services[i]);
        lbdsr_service_path(services[changes ? i : i - 1], path);
        lbdsr_service_path(services[changes ? i - 1 : i], other);
        return pcn_error_set(
            error, PCN_ERROR_DATA_EXISTS, path,
            "%s takes the same packets, with this vip, port and proto, of the same tenant: one of them "
            "has to go, or needs another vlan or segment-id",
            other);
    }
    return 0;
}

int lbdsr_config_prepared(struct pcn_cube *cube, struct pcn_error *error)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    _cleanup_(room_done) struct room room = {};
    int r;

    if (!lbdsr->changing)
        return 0;
    r = room_begin(lbdsr, &room);
    if (r >= 0)
        r = check_all(lbdsr, &room, error);
    if (r >= 0)
        r = check_twins(lbdsr, &room, error);
    if (r >= 0)
        r = check_room(lbdsr, &room, error);
    if (r >= 0)
        r = prepare_places(lbdsr, error);
    if (r < 0)
        return r;
    for (struct lbdsr_group *service = lbdsr->pending; service && r >= 0; service = service->next) {
        free(service->table);
        service->table = NULL;
        r = lbdsr_health_prepare(service, error);
        if (r >= 0 && is_published(service))
            r = lbdsr_maglev(service->ends, service->n_ends, service->table_size, &service->table);
    }
    return r;
}

/* What packets find of it, and its backends' numbers. */
static void service_withdraw(struct lbdsr *lbdsr, struct lbdsr_group *now)
{
    if (!is_published(now))
        return;
    lbdsr_rules_withdraw(lbdsr->cube, now);
    lbdsr_tables_withdraw(&lbdsr->tables, now);
    now->vip = 0;
    for (size_t i = 0; i < now->n_ends; i++)
        now->ends[i].number = 0;
}

/* What goes leaves first: it makes room. So does what moves, whose backends' health stays what it is. */
static void withdraw_all(struct lbdsr *lbdsr)
{
    for (struct lbdsr_group *next = lbdsr->pending; next; next = next->next) {
        struct lbdsr_group **place = service_find(&lbdsr->services, next), *now = *place;

        if (!now || (is_published(next) && !moves(now, next)))
            continue;
        service_withdraw(lbdsr, now);
        next->spent = now->spent;
        next->vip = 0;
        for (size_t i = 0; i < next->n_ends; i++)
            next->ends[i].number = 0;
        if (is_published(next))
            continue;
        *place = now->next;
        lbdsr_health_forget(now);
        service_freep(&now);
    }
}

void lbdsr_config_applied(struct pcn_cube *cube)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);

    if (!lbdsr->changing)
        return;
    lbdsr->settings = lbdsr->next_settings;
    lbdsr_pieces_done(&lbdsr->tables.pieces);
    lbdsr->tables.pieces = lbdsr->next_pieces;
    lbdsr->next_pieces = (struct lbdsr_pieces){};
    lbdsr_tables_tunnels(&lbdsr->tables, &lbdsr->settings);
    withdraw_all(lbdsr);
    for (struct lbdsr_group *service = lbdsr->services; service; service = service->next)
        lbdsr_tables_refresh(&lbdsr->tables, service, &lbdsr->settings);
    while (lbdsr->pending) {
        struct lbdsr_group *next = lbdsr->pending, **place = service_find(&lbdsr->services, next), *now = *place;
        struct lbdsr_group *before = now && now->vip ? now : NULL;

        lbdsr->pending = next->next;
        if (next->gone) {
            service_freep(&next);
            continue;
        }
        if (is_published(next))
            lbdsr_tables_publish(&lbdsr->tables, next, before, &lbdsr->settings);
        if (is_published(next))
            lbdsr_rules_publish(lbdsr->cube, next, before);
        free(next->table);
        next->table = NULL;
        next->generation = ++lbdsr->generation;
        lbdsr_health_follow(lbdsr, next, now);
        next->next = now ? now->next : NULL;
        *place = next;
        service_freep(&now);
    }
    lbdsr->changing = false;
}

void lbdsr_config_done(struct lbdsr *lbdsr)
{
    for (struct lbdsr_group *service = lbdsr->services; service; service = service->next)
        lbdsr_health_forget(service);
    list_free(&lbdsr->services);
    list_free(&lbdsr->pending);
    lbdsr_pieces_done(&lbdsr->next_pieces);
}

/* ---- what is shown ---- */

static struct lbdsr_count count_of(const struct lbdsr *lbdsr, const struct lbdsr_group *service)
{
    struct lbdsr_count sum = service->spent;

    for (size_t i = 0; i < service->n_ends; i++) {
        struct lbdsr_count count = lbdsr_tables_count(&lbdsr->tables, service->ends[i].number);

        sum.packets += count.packets;
        sum.bytes += count.bytes;
    }
    return sum;
}

int lbdsr_service_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    const struct lbdsr_group like = service_like(keys), *service = *service_find(&lbdsr->services, &like);
    struct lbdsr_count count;
    char hash[17];

    if (!service)
        return 0;
    count = count_of(lbdsr, service);
    pcn_emit_uint(emitter, "packets", count.packets);
    pcn_emit_uint(emitter, "bytes", count.bytes);
    pcn_emit_uint(emitter, "places-moved", service->moved);
    (void)snprintf(hash, sizeof(hash), "%016" PRIx64, service->hash);
    pcn_emit_string(emitter, "table-hash", hash);
    return 0;
}

int lbdsr_service_backend_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                struct pcn_emitter *emitter)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    const struct lbdsr_group like = service_like(keys), *service = *service_find(&lbdsr->services, &like);
    struct lbdsr_end end = {};
    const struct lbdsr_end *found;
    struct lbdsr_count count;

    end.version = lbdsr_address_parse(keys[3], &end.address);
    found = service ? end_find(service, &end) : NULL;
    if (!found)
        return 0;
    count = lbdsr_tables_count(&lbdsr->tables, found->number);
    pcn_emit_uint(emitter, "packets", count.packets);
    pcn_emit_uint(emitter, "bytes", count.bytes);
    pcn_emit_uint(emitter, "places", found->places);
    return 0;
}

int lbdsr_statistics_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    const struct lbdsr *lbdsr = pcn_cube_state(cube);
    struct lbdsr_tally statistics = lbdsr_tables_statistics(&lbdsr->tables);

    pcn_emit_uint(emitter, "hits", statistics.hits);
    pcn_emit_uint(emitter, "misses", statistics.misses);
    pcn_emit_uint(emitter, "created", statistics.created);
    pcn_emit_uint(emitter, "replaced", statistics.replaced);
    pcn_emit_uint(emitter, "full", statistics.full);
    return 0;
}
