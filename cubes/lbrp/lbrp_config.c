/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services, from the model. A transaction edits copies of those that it names; when it is whole, they are checked and
 * their places given away, which may refuse it; then they take the place of what was.
 */
#include "lbrp.h"
#include "lbrp_model.h"
#include <arpa/inet.h>
#include <stdio.h>

void lbrp_mac_parse(const char *text, uint8_t ret_mac[ETH_ALEN])
{
    for (int i = 0; i < ETH_ALEN; i++, text += 3)
        ret_mac[i] = (uint8_t)strtoul(text, NULL, 16);
}

uint8_t lbrp_address_parse(const char *text, union pcn_address *ret_address)
{
    union pcn_address address = {.v6 = {}};

    if (inet_pton(AF_INET, text, &address) == 1) {
        *ret_address = address;
        return 4;
    }
    (void)inet_pton(AF_INET6, text, &address);
    *ret_address = address;
    return 6;
}

static bool address_is_host(const union pcn_address *address, uint8_t version)
{
    uint32_t first = ntohl(address->v6[0]);

    if (version == 6)
        return first >> 24 != 0xff && (first || address->v6[1] || address->v6[2] || ntohl(address->v6[3]) > 1);
    return first >> 24 != 0 && first >> 24 != 127 && first >> 28 < 0xe;
}

/* ---- lists ---- */

static void service_freep(struct lbrp_group **ptr)
{
    struct lbrp_group *service = TAKE_PTR(*ptr);

    if (!service)
        return;
    pcn_health_check_unrefp(&service->check);
    free(service->ends);
    free(service->table);
    free(service);
}

static void list_free(struct lbrp_list *list)
{
    for (size_t i = 0; i < LBRP_LISTS; i++)
        while (list->buckets[i]) {
            struct lbrp_group *service = list->buckets[i];

            list->buckets[i] = service->next;
            service_freep(&service);
        }
}

static size_t bucket_of(const struct lbrp_key *key)
{
    uint64_t words[2];

    memcpy(words, &key->address, sizeof(words));
    return lbrp_name_hash(words[0], words[1], key->port, key->kind, key->version) % LBRP_LISTS;
}

/* The one after it; NULL: the first. */
static struct lbrp_group *list_next(const struct lbrp_list *list, const struct lbrp_group *service)
{
    struct lbrp_group *next = service ? service->next : NULL;

    for (size_t i = service ? bucket_of(&service->key) + 1 : 0; !next && i < LBRP_LISTS; i++)
        next = list->buckets[i];
    return next;
}

static struct lbrp_group **service_place(struct lbrp_list *list, const struct lbrp_key *key)
{
    struct lbrp_group **place = &list->buckets[bucket_of(key)];

    while (*place && memcmp(&(*place)->key, key, sizeof(*key)) != 0)
        place = &(*place)->next;
    return place;
}

const struct lbrp_group *lbrp_service_find(const struct lbrp_list *list, const struct lbrp_key *key)
{
    return *service_place((struct lbrp_list *)list, key);
}

struct lbrp_key lbrp_key_of(const char *const *keys)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } kinds[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"ICMP", IPPROTO_ICMP}, {"ALL", LBRP_ALL}};
    struct lbrp_key key = {};

    key.version = lbrp_address_parse(keys[0], &key.address);
    key.port = (uint16_t)strtoul(keys[1], NULL, 10);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(kinds); i++)
        if (pcn_streq(keys[2], kinds[i].name))
            key.kind = kinds[i].kind;
    return key;
}

/* The transaction's copy of a service, which may be new. NULL: no memory. */
static struct lbrp_group *service_edit(struct lbrp *lbrp, const struct lbrp_key *key)
{
    struct lbrp_group **place = service_place(&lbrp->pending, key);
    const struct lbrp_group *now = lbrp_service_find(&lbrp->services, key);
    struct lbrp_group *service;

    lbrp->changing = true;
    if (*place)
        return *place;
    service = calloc(1, sizeof(*service));
    if (!service)
        return NULL;
    if (now)
        *service = *now;
    service->check = pcn_health_check_ref(service->check);
    service->key = *key;
    service->next = NULL;
    service->table = NULL;
    service->ends = NULL;
    if (now && now->n_ends) {
        service->ends = malloc(now->n_ends * sizeof(*now->ends));
        if (!service->ends) {
            service_freep(&service);
            return NULL;
        }
        memcpy(service->ends, now->ends, now->n_ends * sizeof(*now->ends));
    }
    *place = service;
    return service;
}

void lbrp_config_abandoned(struct pcn_cube *cube)
{
    struct lbrp *lbrp = pcn_cube_state(cube);

    list_free(&lbrp->pending);
    lbrp->next_settings = lbrp->settings;
    lbrp->next_ports.multi = lbrp->ports.multi;
    lbrp->changing = false;
}

struct lbrp_group *lbrp_config_edit(struct lbrp *lbrp, const char *const *keys)
{
    const struct lbrp_key key = lbrp_key_of(keys);

    return service_edit(lbrp, &key);
}

/* ---- backends of a service ---- */

const struct lbrp_end *lbrp_end_find(const struct lbrp_group *service, const union pcn_address *address)
{
    for (size_t i = 0; i < service->n_ends; i++)
        if (memcmp(&service->ends[i].address, address, sizeof(*address)) == 0)
            return &service->ends[i];
    return NULL;
}

static int check_mac(const struct pcn_node *node, const char *leaf, const char *path, struct pcn_error *error)
{
    static const uint8_t zero[ETH_ALEN];
    const char *text = node ? pcn_node_string(node, leaf) : NULL;
    uint8_t mac[ETH_ALEN];

    if (!text)
        return 0;
    lbrp_mac_parse(text, mac);
    if (!(mac[0] & 1) && memcmp(mac, zero, sizeof(mac)) != 0)
        return 0;
    return pcn_error_set(
        error, PCN_ERROR_INVALID_VALUE, path,
        "%s %s is not the address of a station: the first byte has to be even, and not all may be zero", leaf, text);
}

int lbrp_service_backend_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbrp_key key = lbrp_key_of(change->keys);
    union pcn_address address;
    uint8_t version = lbrp_address_parse(change->keys[3], &address);
    char path[256];

    if (!change->after)
        return 0;
    (void)snprintf(path, sizeof(path), "service/%s/%s/%s/backend/%s", change->keys[0], change->keys[1], change->keys[2],
                   change->keys[3]);
    if (version != key.version)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "backend %s is not IPv%u, as the vip is",
                             change->keys[3], key.version);
    if (!address_is_host(&address, version))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s is not the address of a host", change->keys[3]);
    if (memcmp(&address, &key.address, sizeof(address)) == 0)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "backend %s is the vip itself", change->keys[3]);
    return check_mac(change->after, "mac", path, error);
}

int lbrp_service_backend_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbrp_key key = lbrp_key_of(change->keys);
    struct lbrp_group *service = service_edit(pcn_cube_state(cube), &key);
    struct lbrp_end end = {}, *found, *ends;
    const char *mac;

    if (!service)
        return -ENOMEM;
    (void)lbrp_address_parse(change->keys[3], &end.address);
    found = (struct lbrp_end *)lbrp_end_find(service, &end.address);
    if (!change->after) {
        if (found)
            *found = service->ends[--service->n_ends];
        return 0;
    }
    if (!found) {
        ends = realloc(service->ends, (service->n_ends + 1) * sizeof(*ends));
        if (!ends)
            return -ENOMEM;
        service->ends = ends;
        found = &ends[service->n_ends++];
        *found = end;
    }
    mac = pcn_node_string(change->after, "mac");
    found->has_mac = mac;
    if (mac)
        lbrp_mac_parse(mac, found->mac);
    found->port = (uint16_t)pcn_node_uint(change->after, "port", 0);
    found->weight = (uint16_t)pcn_node_uint(change->after, "weight", 1);
    found->health.takes = found->weight != 0;
    return 0;
}

/* ---- services ---- */

int lbrp_service_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbrp_key key = lbrp_key_of(change->keys);
    char path[192];

    if (!change->after)
        return 0;
    (void)snprintf(path, sizeof(path), "service/%s/%s/%s", change->keys[0], change->keys[1], change->keys[2]);
    if (!address_is_host(&key.address, key.version))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "vip %s is not the address of a host",
                             change->keys[0]);
    if (key.kind == IPPROTO_ICMP && key.port)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "proto ICMP goes with vport 0: it has no ports");
    return 0;
}

static uint8_t algorithm_of(const struct pcn_node *node)
{
    const char *name = pcn_node_string(node, "algorithm");

    if (pcn_streq(name, "round-robin"))
        return LBRP_ROUND_ROBIN;
    return pcn_streq(name, "least-connections") ? LBRP_LEAST_CONNECTIONS : LBRP_MAGLEV;
}

int lbrp_service_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct lbrp_key key = lbrp_key_of(change->keys);
    struct lbrp_group *service = service_edit(pcn_cube_state(cube), &key);

    if (!service)
        return -ENOMEM;
    service->gone = !change->after;
    if (!change->before || !change->after)
        service->n_ends = 0;
    if (change->after) {
        service->algorithm = algorithm_of(change->after);
        service->affinity = (uint32_t)pcn_node_uint(change->after, "affinity-timeout", 0);
        service->snat = pcn_node_bool(change->after, "snat", false);
    }
    return 0;
}

/* ---- what services depend on ---- */

int lbrp_root_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    int r;

    if (change->after && pcn_node_bool(change->after, "window-check", false))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "window-check",
                             "lbrp does not check windows: a conntrack cube or a firewall in front of it does");
    if (change->after && pcn_streq(pcn_node_string(change->after, "when-full"), "pass"))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "when-full",
                             "when-full is drop here: what opens no session has no backend to pass to");
    r = check_mac(change->after, "mac", "mac", error);
    return r < 0 ? r : check_mac(change->after, "gateway-mac", "gateway-mac", error);
}

int lbrp_root_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    const char *gateway = change->after ? pcn_node_string(change->after, "gateway-mac") : NULL;

    if (!change->after)
        return 0;
    lbrp->changing = true;
    lbrp->next_settings.has_gateway = gateway;
    if (gateway)
        lbrp_mac_parse(gateway, lbrp->next_settings.gateway);
    lbrp->next_ports.multi = pcn_streq(pcn_node_string(change->after, "port_mode"), "MULTI");
    lbrp->ports_changing = true;
    return 0;
}

/* Network order. */
static uint32_t prefix_parse(const char *text, uint32_t *ret_mask)
{
    unsigned long length = strtoul(strchr(text, '/') + 1, NULL, 10);
    char address[INET_ADDRSTRLEN];
    struct in_addr network = {};

    (void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "/"), text);
    (void)inet_pton(AF_INET, address, &network);
    *ret_mask = htonl(length ? UINT32_MAX << (32 - length) : 0);
    return network.s_addr & *ret_mask;
}

int lbrp_src_ip_rewrite_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    struct lbrp_settings *settings = &lbrp->next_settings;
    const char *range = change->after ? pcn_node_string(change->after, "ip-range") : NULL;
    const char *new_range = change->after ? pcn_node_string(change->after, "new_ip_range") : NULL;

    lbrp->changing = true;
    settings->ranged = range && new_range;
    if (!settings->ranged)
        return 0;
    settings->range = prefix_parse(range, &settings->range_mask);
    settings->new_range = prefix_parse(new_range, &settings->new_mask);
    if (ntohl(settings->new_mask) <= ntohl(settings->range_mask))
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "src-ip-rewrite/new_ip_range",
                         "%s has fewer addresses than ip-range %s: hosts keep their number", new_range, range);
}

int lbrp_snat_pool_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    struct lbrp_settings *settings = &lbrp->next_settings;

    lbrp->changing = true;
    settings->port_first = (uint16_t)(change->after ? pcn_node_uint(change->after, "port-first", 1024) : 1024);
    settings->port_last = (uint16_t)(change->after ? pcn_node_uint(change->after, "port-last", 65535) : 65535);
    if (settings->port_first <= settings->port_last)
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "snat-pool/port-last", "port-last %u is below port-first %u",
                         settings->port_last, settings->port_first);
}

int lbrp_snat_pool_address_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    union pcn_address address;
    uint8_t version = lbrp_address_parse(change->keys[0], &address);
    union pcn_address *pool = lbrp->next_settings.pool[version == 6];
    uint32_t *n = &lbrp->next_settings.n_pool[version == 6];

    lbrp->changing = true;
    if (!address_is_host(&address, version))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "snat-pool/address", "%s is not the address of a host",
                             change->keys[0]);
    for (uint32_t i = 0; i < *n; i++) {
        if (memcmp(&pool[i], &address, sizeof(address)) != 0)
            continue;
        if (!change->after)
            pool[i] = pool[--*n];
        return 0;
    }
    /* The model lets there be no more than there is room for; while one is replaced, there may be. */
    if (change->after && *n < LBRP_POOL_MAX)
        pool[(*n)++] = address;
    return 0;
}

/* ---- the transaction as a whole ---- */

static void service_path(const struct lbrp_group *service, char *text, size_t size)
{
    const char *kind = service->key.kind == IPPROTO_TCP   ? "TCP"
                       : service->key.kind == IPPROTO_UDP ? "UDP"
                       : service->key.kind == LBRP_ALL    ? "ALL"
                                                          : "ICMP";
    char vip[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(service->key.version == 4 ? AF_INET : AF_INET6, &service->key.address, vip, sizeof(vip));
    (void)snprintf(text, size, "service/%s/%u/%s", vip, service->key.port, kind);
}

static int service_check(const struct lbrp_group *service, const struct lbrp_settings *settings,
                         struct pcn_error *error)
{
    char path[128], name[INET6_ADDRSTRLEN] = "";
    const struct lbrp_end *without = NULL;
    bool has_mac = false;

    service_path(service, path, sizeof(path));
    if (service->snat && !settings->n_pool[service->key.version == 6])
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path, "snat needs an IPv%u address in snat-pool",
                             service->key.version);
    for (size_t i = 0; i < service->n_ends; i++) {
        has_mac |= service->ends[i].has_mac;
        if (!service->ends[i].has_mac)
            without = &service->ends[i];
    }
    if (!has_mac || !without || settings->has_gateway)
        return 0;
    (void)inet_ntop(service->key.version == 4 ? AF_INET : AF_INET6, &without->address, name, sizeof(name));
    return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                         "backend %s has no mac, where another one has, and the cube no gateway-mac: one of them is "
                         "needed",
                         name);
}

/*
 * Those that stay as they are, and those that change, with what there will be of each; of backends, at the most: those that
 * come have their numbers before those that go give theirs back.
 */
static int check_all(struct lbrp *lbrp, uint32_t *ret_n_services, uint32_t *ret_n_backends, struct pcn_error *error)
{
    uint32_t n_services = lbrp->n_services, n_backends = lbrp->n_backends;
    bool all = memcmp(&lbrp->settings, &lbrp->next_settings, sizeof(lbrp->settings)) != 0;
    int r = 0;

    for (struct lbrp_group *service = list_next(&lbrp->pending, NULL); service;
         service = list_next(&lbrp->pending, service)) {
        const struct lbrp_group *now = lbrp_service_find(&lbrp->services, &service->key);

        n_services += !service->gone - !!now;
        if (service->gone) {
            n_backends -= now ? (uint32_t)now->n_ends : 0;
            continue;
        }
        for (size_t i = 0; i < service->n_ends; i++)
            n_backends += !service->ends[i].number;
        if (r >= 0)
            r = service_check(service, &lbrp->next_settings, error);
    }
    for (struct lbrp_group *service = all ? list_next(&lbrp->services, NULL) : NULL; service;
         service = list_next(&lbrp->services, service))
        if (r >= 0 && !lbrp_service_find(&lbrp->pending, &service->key))
            r = service_check(service, &lbrp->next_settings, error);
    *ret_n_services = n_services;
    *ret_n_backends = n_backends;
    return r;
}

static int spread(struct lbrp *lbrp, struct lbrp_group *service, struct pcn_error *error)
{
    char path[128];
    int r;

    service_path(service, path, sizeof(path));
    r = lbrp_health_prepare(service, path, error);
    if (r >= 0 && !service->gone)
        r = lbrp_spread(service, lbrp->tables.sizes.size);
    if (r != -ENOSPC)
        return r;
    return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, path,
                         "there is room for %u backends of a service: create the cube with more maglev-size",
                         lbrp->tables.sizes.size);
}

int lbrp_config_prepared(struct pcn_cube *cube, struct pcn_error *error)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    const struct lbrp_sizes *sizes = &lbrp->tables.sizes;
    uint32_t n_services, n_backends;
    int r = lbrp_sides_prepared(lbrp, error);

    if (r < 0 || !lbrp->changing)
        return r;
    r = check_all(lbrp, &n_services, &n_backends, error);
    if (r < 0)
        return r;
    if (n_services > sizes->n_services - 1)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "service",
                             "there is room for %u services: create the cube with more max-services",
                             sizes->n_services - 1);
    if (n_backends > sizes->n_backends - 1)
        return pcn_error_set(
            error, PCN_ERROR_RESOURCE_DENIED, "service",
            "there is room for %u backends, those that go included until the others have come: create the "
            "cube with more max-backends",
            sizes->n_backends - 1);
    for (struct lbrp_group *service = list_next(&lbrp->pending, NULL); service && r >= 0;
         service = list_next(&lbrp->pending, service))
        r = spread(lbrp, service, error);
    return r;
}

static void settings_write(struct lbrp *lbrp)
{
    const struct lbrp_settings *before = &lbrp->settings, *settings = &lbrp->next_settings;
    struct lbrp_data *data = lbrp->tables.data;

    __atomic_store_n(&data->ranged, 0, __ATOMIC_RELEASE);
    data->range = settings->range;
    data->range_mask = settings->range_mask;
    data->new_range = settings->new_range;
    data->new_mask = settings->new_mask;
    __atomic_store_n(&data->ranged, settings->ranged, __ATOMIC_RELEASE);
    data->port_first = settings->port_first;
    data->port_last = settings->port_last;
    for (int family = 0; family < 2; family++) {
        uint8_t version = family ? 6 : 4;

        for (uint32_t i = 0; i < before->n_pool[family]; i++)
            lbrp_tables_set(&lbrp->tables, &before->pool[family][i], version, LBRP_POOL, 0);
        for (uint32_t i = 0; i < settings->n_pool[family]; i++)
            lbrp_tables_set(&lbrp->tables, &settings->pool[family][i], version, LBRP_POOL, LBRP_IS_OURS);
        memcpy(data->pool[family], settings->pool[family], settings->n_pool[family] * sizeof(data->pool[family][0]));
        __atomic_store_n(&data->n_pool[family], settings->n_pool[family], __ATOMIC_RELEASE);
    }
}

/* Somebody else gets the ICMP that a service of ALL leaves. */
static void icmp_take_over(struct lbrp *lbrp, const struct lbrp_group *gone)
{
    if (!gone->icmp)
        return;
    for (struct lbrp_group *service = list_next(&lbrp->services, NULL); service;
         service = list_next(&lbrp->services, service))
        if (memcmp(&service->key.address, &gone->key.address, sizeof(gone->key.address)) == 0 &&
            service->key.version == gone->key.version)
            lbrp_tables_take_icmp(&lbrp->tables, service);
}

/* What goes leaves first: it makes room. */
static void withdraw_all(struct lbrp *lbrp)
{
    for (struct lbrp_group *change = list_next(&lbrp->pending, NULL); change;
         change = list_next(&lbrp->pending, change)) {
        struct lbrp_group **place = service_place(&lbrp->services, &change->key), *now = *place;

        if (!change->gone || !now)
            continue;
        lbrp_tables_withdraw(&lbrp->tables, now);
        lbrp->n_services--;
        lbrp->n_backends -= (uint32_t)now->n_ends;
        *place = now->next;
        icmp_take_over(lbrp, now);
        lbrp_health_forget(now, NULL);
        service_freep(&now);
    }
}

static void service_replace(struct lbrp *lbrp, struct lbrp_group *service)
{
    struct lbrp_group **place = service_place(&lbrp->services, &service->key), *now = *place;

    /* Since the copy was made, it may have come to the ICMP of its address. */
    if (now)
        service->icmp = now->icmp;
    lbrp_tables_publish(&lbrp->tables, service, now, &lbrp->settings);
    pcn_freep(&service->table);
    service->generation = ++lbrp->generation;
    lbrp_health_follow(lbrp, service, now);
    lbrp->n_services += !now;
    lbrp->n_backends += (uint32_t)service->n_ends - (now ? (uint32_t)now->n_ends : 0);
    service->next = now ? now->next : NULL;
    *place = service;
    service_freep(&now);
}

void lbrp_config_applied(struct pcn_cube *cube)
{
    struct lbrp *lbrp = pcn_cube_state(cube);

    lbrp_sides_applied(lbrp);
    if (!lbrp->changing)
        return;
    withdraw_all(lbrp);
    if (memcmp(&lbrp->settings, &lbrp->next_settings, sizeof(lbrp->settings)) != 0) {
        settings_write(lbrp);
        lbrp->settings = lbrp->next_settings;
        for (struct lbrp_group *service = list_next(&lbrp->services, NULL); service;
             service = list_next(&lbrp->services, service))
            lbrp_tables_refresh(&lbrp->tables, service, &lbrp->settings);
    }
    for (struct lbrp_group *change = list_next(&lbrp->pending, NULL), *next; change; change = next) {
        next = list_next(&lbrp->pending, change);
        if (change->gone)
            service_freep(&change);
        else
            service_replace(lbrp, change);
    }
    lbrp->pending = (struct lbrp_list){};
    lbrp->changing = false;
}

void lbrp_config_visit(struct lbrp *lbrp, void (*fn)(struct lbrp_group *service, void *data), void *data)
{
    for (struct lbrp_group *service = list_next(&lbrp->services, NULL); service;
         service = list_next(&lbrp->services, service))
        fn(service, data);
}

void lbrp_config_done(struct lbrp *lbrp)
{
    lbrp_config_visit(lbrp, lbrp_health_forget, NULL);
    list_free(&lbrp->services);
    list_free(&lbrp->pending);
}
