/* SPDX-License-Identifier: Apache-2.0 */
/* What the fast path looks up: written so that a packet sees a service before a change, or after it. */
#include "lbrp.h"
#include <arpa/inet.h>
#include <pcn/buckets.h>

/* ---- sizes ---- */

static uint32_t power_of_two(uint32_t n)
{
    uint32_t power = 1;

    while (power < n)
        power *= 2;
    return power;
}

struct lbrp_sizes lbrp_sizes_for(uint32_t services, uint32_t backends, uint32_t size, uint32_t cpus)
{
    return (struct lbrp_sizes){
        /* A third of the words at most, so that one of two buckets always has room. */
        .key_mask = PCN_MIN(power_of_two(PCN_MAX(2 * services, 1024u)), LBRP_BUCKETS_MAX) - 1,
        .n_names = 3 * services + LBRP_NAMES_EXTRA + 1,
        .n_services = services + 1,
        .n_places = 2 * services * size,
        .n_backends = backends + 1,
        .n_counts = cpus * (backends + 1),
        .size = size,
        .n_cpus = cpus,
    };
}

int lbrp_tables_open(struct lbrp_tables *tables)
{
    tables->used_names = calloc(tables->sizes.n_names, sizeof(bool));
    tables->used_services = calloc(tables->sizes.n_services, sizeof(bool));
    tables->used_backends = calloc(tables->sizes.n_backends, sizeof(bool));
    tables->users = calloc(tables->sizes.n_names, sizeof(*tables->users));
    if (!tables->used_names || !tables->used_services || !tables->used_backends || !tables->users)
        return -ENOMEM;
    tables->used_names[0] = tables->used_services[0] = tables->used_backends[0] = true;
    return 0;
}

void lbrp_tables_close(struct lbrp_tables *tables)
{
    free(tables->used_names);
    free(tables->used_services);
    free(tables->used_backends);
    free(tables->users);
}

/* The next one that is free; there is one. */
static uint32_t take(bool *used, uint32_t n, uint32_t *next)
{
    while (used[*next % n])
        ++*next;
    used[*next % n] = true;
    return (*next)++ % n;
}

/* ---- names ---- */

static uint64_t name_hash(const struct lbrp_name *name)
{
    uint64_t words[2];

    memcpy(words, &name->address, sizeof(words));
    return lbrp_name_hash(words[0], words[1], name->port, name->kind, name->version);
}

static bool name_is(const struct lbrp_name *a, const struct lbrp_name *b)
{
    return memcmp(&a->address, &b->address, sizeof(a->address)) == 0 && a->port == b->port && a->kind == b->kind &&
           a->version == b->version;
}

/* The word that leads to it; NULL: there is none. */
static __u64 *name_find(const struct lbrp_tables *tables, const struct lbrp_name *like)
{
    uint64_t hash = name_hash(like);

    for (uint32_t choice = 0; choice < 2; choice++) {
        struct lbrp_bucket *bucket = &tables->keys[lbrp_name_bucket(hash, choice, tables->sizes.key_mask)];

        for (int way = 0; way < LBRP_KEY_WAYS; way++) {
            __u64 word = bucket->words[way];

            if (word && name_is(&tables->names[(uint32_t)word], like))
                return &bucket->words[way];
        }
    }
    return NULL;
}

static __u64 *name_room(const struct lbrp_tables *tables, uint64_t hash)
{
    uint32_t mask = tables->sizes.key_mask;

    return pcn_buckets_room(tables->keys[lbrp_name_bucket(hash, 0, mask)].words,
                            tables->keys[lbrp_name_bucket(hash, 1, mask)].words, LBRP_KEY_WAYS);
}

/* Its index; 0: there was no room. */
static uint32_t name_publish(struct lbrp_tables *tables, const struct lbrp_name *name)
{
    uint64_t hash = name_hash(name);
    __u64 *word = name_find(tables, name);
    uint32_t index;

    if (word) {
        __atomic_store_n(&tables->names[(uint32_t)*word].number, name->number, __ATOMIC_RELEASE);
        return (uint32_t)*word;
    }
    word = name_room(tables, hash);
    if (!word)
        return 0;
    index = take(tables->used_names, tables->sizes.n_names, &tables->next_name);
    tables->names[index] = *name;
    tables->users[index] = (struct lbrp_users){};
    __atomic_store_n(word, (hash & ~0xffffffffull) | index, __ATOMIC_RELEASE);
    return index;
}

static void name_withdraw(struct lbrp_tables *tables, const struct lbrp_name *name)
{
    __u64 *word = name_find(tables, name);

    if (!word)
        return;
    tables->used_names[(uint32_t)*word] = false;
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

static struct lbrp_name name_of(const struct lbrp_group *service, uint8_t kind)
{
    return (struct lbrp_name){.address = service->key.address,
                              .port = kind == service->key.kind ? htons(service->key.port) : 0,
                              .kind = kind,
                              .version = service->key.version,
                              .number = service->number};
}

void lbrp_tables_set(struct lbrp_tables *tables, const union pcn_address *address, uint8_t version, uint8_t kind,
                     uint32_t number)
{
    const struct lbrp_name name = {.address = *address, .kind = kind, .version = version, .number = number};

    if (number)
        (void)name_publish(tables, &name);
    else
        name_withdraw(tables, &name);
}

void lbrp_tables_take_icmp(struct lbrp_tables *tables, struct lbrp_group *service)
{
    const struct lbrp_name name = name_of(service, LBRP_ALL_ICMP);

    if (service->key.kind == LBRP_ALL && !name_find(tables, &name))
        service->icmp = name_publish(tables, &name) != 0;
}

/* A service comes to an address (1), or leaves it (-1). */
static void address_count(struct lbrp_tables *tables, const struct lbrp_group *service, int all, int ours)
{
    struct lbrp_name name = name_of(service, LBRP_ADDRESS);
    __u64 *word = name_find(tables, &name);
    struct lbrp_users *users;
    uint32_t index;

    name.number = LBRP_IS_VIP;
    index = word ? (uint32_t)*word : name_publish(tables, &name);
    if (!index)
        return;
    users = &tables->users[index];
    users->all += (uint32_t)all;
    users->ours += (uint32_t)ours;
    if (!users->all) {
        name_withdraw(tables, &name);
        return;
    }
    __atomic_store_n(&tables->names[index].number, users->ours ? LBRP_IS_OURS : LBRP_IS_VIP, __ATOMIC_RELEASE);
}

/* ---- backends ---- */

static void backend_write(struct lbrp_tables *tables, const struct lbrp_group *service, const struct lbrp_end *end,
                          const struct lbrp_settings *settings)
{
    struct lbrp_target *backend = &tables->backends[end->number];
    bool has_mac = end->has_mac || settings->has_gateway;

    memcpy(backend->mac, end->has_mac ? end->mac : settings->gateway, ETH_ALEN);
    backend->address = end->address;
    backend->port = htons(end->port);
    backend->service = service->number;
    __atomic_store_n(&backend->weight, end->weight, __ATOMIC_RELAXED);
    __atomic_store_n(&backend->flags, (lbrp_end_takes(end) ? LBRP_TAKES : 0) | (has_mac ? LBRP_HAS_MAC : 0),
                     __ATOMIC_RELEASE);
}

static void backend_begin(struct lbrp_tables *tables, struct lbrp_end *end)
{
    end->number = take(tables->used_backends, tables->sizes.n_backends, &tables->next_backend);
    tables->loads[end->number] = (struct lbrp_load){};
    for (uint32_t cpu = 0; cpu < tables->sizes.n_cpus; cpu++)
        tables->counts[cpu * tables->sizes.n_backends + end->number] = (struct lbrp_count){};
}

static void tally_add(struct lbrp_tally *sum, const struct lbrp_tally *part)
{
    for (int i = 0; i < 2; i++) {
        sum->count.packets[i] += part->count.packets[i];
        sum->count.bytes[i] += part->count.bytes[i];
    }
    sum->sessions += part->sessions;
    sum->active += part->active;
}

/* Its sessions are over. */
static void backend_end(struct lbrp_tables *tables, struct lbrp_tally *spent, const struct lbrp_end *end)
{
    struct lbrp_tally tally = lbrp_tables_tally(tables, end);

    tally.active = 0;
    tally_add(spent, &tally);
    __atomic_fetch_add(&tables->backends[end->number].epoch, 1, __ATOMIC_RELEASE);
    tables->used_backends[end->number] = false;
}

/* Those of before that are not in it any more; NULL: all. */
static void backends_leave(struct lbrp_tables *tables, struct lbrp_group *before, struct lbrp_group *service)
{
    for (size_t i = 0; service && i < service->n_ends; i++)
        tables->used_backends[service->ends[i].number] = false;
    for (size_t i = 0; i < before->n_ends; i++)
        if (!service || tables->used_backends[before->ends[i].number])
            backend_end(tables, service ? &service->spent : &before->spent, &before->ends[i]);
    for (size_t i = 0; service && i < service->n_ends; i++)
        tables->used_backends[service->ends[i].number] = true;
}

/* ---- services ---- */

/* Writes the half that no packet reads, and says that it is the one. */
static void places_write(struct lbrp_tables *tables, struct lbrp_group *service, bool had)
{
    uint32_t size = tables->sizes.size, start = (service->number - 1) * 2 * size;
    const uint16_t *old = tables->places + start + service->half * size;
    struct lbrp_vip *entry = &tables->services[service->number];
    uint32_t n_old = had ? (uint32_t)(entry->places >> 32) : 0;
    uint16_t *new;

    service->moved = 0;
    service->half = !service->half;
    new = tables->places + start + service->half *size;
    for (uint32_t i = 0; i < service->n_table; i++) {
        new[i] = (uint16_t)service->ends[service->table[i] - 1].number;
        if (n_old == service->n_table && service->algorithm == LBRP_MAGLEV && new[i] != old[i])
            service->moved++;
    }
    __atomic_store_n(&entry->places, (uint64_t)service->n_table << 32 | (start + service->half * size),
                     __ATOMIC_RELEASE);
}

/* Before a service goes, shapes may say more than there is: it costs a lookup. */
static void shape_add(struct lbrp_tables *tables, const struct lbrp_key *key)
{
    uint8_t shape = key->kind == LBRP_ALL ? LBRP_HAS_ALL : 0;

    if (!key->port && key->kind != IPPROTO_ICMP)
        shape |= key->kind == LBRP_ALL ? LBRP_HAS_ANY_ALL : LBRP_HAS_ANY_PORT;
    __atomic_store_n(&tables->data->shapes, tables->data->shapes | shape, __ATOMIC_RELEASE);
}

static bool is_ours(const struct lbrp_group *service, const struct lbrp_settings *settings)
{
    for (size_t i = 0; i < service->n_ends; i++)
        if (service->ends[i].has_mac)
            return true;
    return settings->has_gateway;
}

static void ours_set(struct lbrp_tables *tables, struct lbrp_group *service, const struct lbrp_settings *settings)
{
    bool ours = is_ours(service, settings);

    address_count(tables, service, 0, (int)ours - (int)service->ours);
    service->ours = ours;
}

void lbrp_tables_publish(struct lbrp_tables *tables, struct lbrp_group *service, struct lbrp_group *before,
                         const struct lbrp_settings *settings)
{
    struct lbrp_vip *entry;
    struct lbrp_name name;

    if (!before) {
        service->number = take(tables->used_services, tables->sizes.n_services, &tables->next_service);
        tables->services[service->number] = (struct lbrp_vip){};
        service->ours = service->icmp = false;
        address_count(tables, service, 1, 0);
    }
    entry = &tables->services[service->number];
    for (size_t i = 0; i < service->n_ends; i++) {
        if (!service->ends[i].number)
            backend_begin(tables, &service->ends[i]);
        backend_write(tables, service, &service->ends[i], settings);
    }
    ours_set(tables, service, settings);
    entry->affinity = service->affinity * pcn_clock_hz();
    entry->snat = service->snat;
    /* Places of one algorithm do for another, for a moment. */
    __atomic_store_n(&entry->algorithm, service->algorithm, __ATOMIC_RELAXED);
    places_write(tables, service, before != NULL);
    shape_add(tables, &service->key);
    if (before) {
        backends_leave(tables, before, service);
        return;
    }
    name = name_of(service, service->key.kind);
    (void)name_publish(tables, &name);
    lbrp_tables_take_icmp(tables, service);
}

void lbrp_tables_refresh(struct lbrp_tables *tables, struct lbrp_group *service, const struct lbrp_settings *settings)
{
    for (size_t i = 0; i < service->n_ends; i++)
        if (service->ends[i].number)
            backend_write(tables, service, &service->ends[i], settings);
    ours_set(tables, service, settings);
}

void lbrp_tables_withdraw(struct lbrp_tables *tables, struct lbrp_group *service)
{
    const struct lbrp_name name = name_of(service, service->key.kind), icmp = name_of(service, LBRP_ALL_ICMP);

    name_withdraw(tables, &name);
    if (service->icmp)
        name_withdraw(tables, &icmp);
    address_count(tables, service, -1, -(int)service->ours);
    backends_leave(tables, service, NULL);
    __atomic_store_n(&tables->services[service->number].places, 0, __ATOMIC_RELEASE);
    tables->used_services[service->number] = false;
}

/* ---- counters ---- */

struct lbrp_tally lbrp_tables_tally(const struct lbrp_tables *tables, const struct lbrp_end *end)
{
    struct lbrp_tally sum = {};
    uint64_t load;

    if (!end->number)
        return sum;
    for (uint32_t cpu = 0; cpu < tables->sizes.n_cpus; cpu++) {
        const struct lbrp_tally part = {.count = tables->counts[cpu * tables->sizes.n_backends + end->number]};

        tally_add(&sum, &part);
    }
    load = __atomic_load_n(&tables->loads[end->number].sessions, __ATOMIC_RELAXED);
    sum.sessions = load >> LBRP_OPENED_SHIFT;
    sum.active = load & LBRP_ACTIVE;
    return sum;
}

struct lbrp_tally lbrp_tables_sum(const struct lbrp_tables *tables, const struct lbrp_group *service)
{
    struct lbrp_tally sum = service->spent;

    for (size_t i = 0; i < service->n_ends; i++) {
        const struct lbrp_tally part = lbrp_tables_tally(tables, &service->ends[i]);

        tally_add(&sum, &part);
    }
    return sum;
}

void lbrp_tables_forget(struct lbrp_tables *tables, uint32_t *state)
{
    uint32_t was = __atomic_fetch_and(state, ~(uint32_t)LBRP_LIVE, __ATOMIC_RELAXED), number = was & 0xffff;

    if (was & LBRP_LIVE && number < tables->sizes.n_backends &&
        tables->backends[number].epoch == (uint8_t)(was >> LBRP_EPOCH_SHIFT))
        __atomic_fetch_sub(&tables->loads[number].sessions, 1, __ATOMIC_RELAXED);
}
