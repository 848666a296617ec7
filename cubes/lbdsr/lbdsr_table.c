/* SPDX-License-Identifier: Apache-2.0 */
/* What the fast path looks up: written so that a packet sees a service before a change, or after it. */
#include "lbdsr.h"
#include <arpa/inet.h>
#include <pcn/buckets.h>

/* ---- sizes ---- */

static uint32_t power_of_two(uint64_t n)
{
    uint32_t power = 1;

    while (power < n)
        power *= 2;
    return power;
}

struct lbdsr_sizes lbdsr_sizes_for(uint32_t services, uint32_t backends, uint32_t table_size, uint32_t connections,
                                   uint32_t cpus)
{
    uint32_t flow_buckets = power_of_two(connections) / LBDSR_FLOW_WAYS;

    while ((uint64_t)flow_buckets * cpus > LBDSR_FLOW_BUCKETS_MAX)
        flow_buckets /= 2;
    return (struct lbdsr_sizes){
        /* Of a service and of its address: an eighth of the words at most, so that one of two buckets always has room. */
        .key_mask = power_of_two(4 * services) - 1,
        .n_vips = 2 * services + 1,
        /* Place 0 is nobody's. */
        .n_places = 1 + 2 * services * table_size,
        .n_backends = backends + 1,
        .n_counts = cpus * (backends + 1),
        .n_flow_buckets = cpus * flow_buckets,
        .flow_mask = flow_buckets - 1,
        .n_cpus = cpus,
    };
}

uint32_t lbdsr_services_of(const struct lbdsr_sizes *sizes)
{
    return (sizes->n_vips - 1) / 2;
}

int lbdsr_tables_open(struct lbdsr_tables *tables, uint32_t table_size)
{
    tables->used_vips = calloc(tables->sizes.n_vips, sizeof(bool));
    tables->used_backends = calloc(tables->sizes.n_backends, sizeof(bool));
    tables->users = calloc(tables->sizes.n_vips, sizeof(uint32_t));
    if (!tables->used_vips || !tables->used_backends || !tables->users)
        return -ENOMEM;
    tables->used_vips[0] = tables->used_backends[0] = true;
    return lbdsr_pieces_open(&tables->pieces, tables->sizes.n_places, lbdsr_services_of(&tables->sizes), table_size);
}

void lbdsr_tables_close(struct lbdsr_tables *tables)
{
    free(tables->used_vips);
    free(tables->used_backends);
    free(tables->users);
    lbdsr_pieces_done(&tables->pieces);
}

/* The next one that is free; there is one. */
static uint32_t take(bool *used, uint32_t n, uint32_t *next)
{
    while (used[*next % n])
        ++*next;
    used[*next % n] = true;
    return (*next)++ % n;
}

/* ---- keys ---- */

static bool vip_has_key(const struct lbdsr_vip *vip, const struct lbdsr_vip *key)
{
    return memcmp(&vip->address, &key->address, sizeof(vip->address)) == 0 && vip->port == key->port &&
           vip->protocol == key->protocol && vip->domain == key->domain;
}

/* The word that leads to it; NULL: there is none. */
static __u64 *key_find(struct lbdsr_tables *tables, const struct lbdsr_vip *key, uint64_t hash)
{
    for (uint32_t choice = 0; choice < 2; choice++) {
        struct lbdsr_bucket *bucket = &tables->keys[lbdsr_key_bucket(hash, choice, tables->sizes.key_mask)];

        for (int way = 0; way < LBDSR_KEY_WAYS; way++) {
            __u64 word = bucket->words[way];

            if (word && vip_has_key(&tables->vips[(uint32_t)word], key))
                return &bucket->words[way];
        }
    }
    return NULL;
}

static __u64 *key_free(struct lbdsr_tables *tables, uint64_t hash)
{
    uint32_t mask = tables->sizes.key_mask;

    return pcn_buckets_room(tables->keys[lbdsr_key_bucket(hash, 0, mask)].words,
                            tables->keys[lbdsr_key_bucket(hash, 1, mask)].words, LBDSR_KEY_WAYS);
}

/* Number of a vip with this key, whose .table is written before packets find it; 0: both buckets are full. */
static uint32_t vip_publish(struct lbdsr_tables *tables, const struct lbdsr_vip *key)
{
    uint64_t hash = lbdsr_key_hash(&key->address, key->port, key->protocol, key->domain);
    __u64 *word = key_find(tables, key, hash);
    union lbdsr_table table = key->table;
    uint32_t number;

    if (word) {
        number = (uint32_t)*word;
        table.changed = 1;
        __atomic_store_n(&tables->vips[number].table.word, table.word, __ATOMIC_RELEASE);
        return number;
    }
    word = key_free(tables, hash);
    if (!word)
        return 0;
    number = take(tables->used_vips, tables->sizes.n_vips, &tables->next_vip);
    tables->vips[number] = *key;
    __atomic_store_n(word, (hash & ~0xffffffffull) | number, __ATOMIC_RELEASE);
    return number;
}

static void vip_withdraw(struct lbdsr_tables *tables, uint32_t number)
{
    const struct lbdsr_vip *vip = &tables->vips[number];
    __u64 *word = key_find(tables, vip, lbdsr_key_hash(&vip->address, vip->port, vip->protocol, vip->domain));

    if (word)
        __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    tables->used_vips[number] = false;
}

static uint32_t domain_of(const struct lbdsr_key *key)
{
    return lbdsr_domain(key->version, key->segment ? key->segment : key->vlan);
}

static struct lbdsr_vip address_of(const struct lbdsr_group *service)
{
    return (struct lbdsr_vip){
        .address = service->key.address, .protocol = LBDSR_ADDRESS, .domain = domain_of(&service->key)};
}

/* ---- backends ---- */

static void backend_write(struct lbdsr_tables *tables, const struct lbdsr_group *service, const struct lbdsr_end *end,
                          const struct lbdsr_settings *settings)
{
    struct lbdsr_target *backend = &tables->backends[end->number], next = *backend;
    uint8_t size;

    lbdsr_outer_make(service, end, settings, tables->data->mac, &next);
    if (memcmp(backend, &next, sizeof(next)) == 0)
        return;
    /* Until all of it is there, packets are not sent with half of it. */
    __atomic_store_n(&backend->size, LBDSR_UNFINISHED, __ATOMIC_SEQ_CST);
    size = next.size;
    next.size = LBDSR_UNFINISHED;
    next.epoch = backend->epoch;
    *backend = next;
    __atomic_store_n(&backend->size, size, __ATOMIC_RELEASE);
}

static void backend_begin(struct lbdsr_tables *tables, struct lbdsr_end *end)
{
    end->number = take(tables->used_backends, tables->sizes.n_backends, &tables->next_backend);
    for (uint32_t cpu = 0; cpu < tables->sizes.n_cpus; cpu++)
        tables->counts[cpu * tables->sizes.n_backends + end->number] = (struct lbdsr_count){};
}

/* Its flows are nobody's any more. */
static void backend_end(struct lbdsr_tables *tables, struct lbdsr_count *spent, const struct lbdsr_end *end)
{
    struct lbdsr_count count = lbdsr_tables_count(tables, end->number);

    spent->packets += count.packets;
    spent->bytes += count.bytes;
    __atomic_fetch_add(&tables->backends[end->number].epoch, 1, __ATOMIC_RELEASE);
    tables->used_backends[end->number] = false;
}

/* Those of before that are not in it any more; NULL: all. */
static void backends_leave(struct lbdsr_tables *tables, struct lbdsr_group *before, struct lbdsr_group *service)
{
    for (size_t i = 0; service && i < service->n_ends; i++)
        if (service->ends[i].number)
            tables->used_backends[service->ends[i].number] = false;
    for (size_t i = 0; i < before->n_ends; i++)
        if (!service || tables->used_backends[before->ends[i].number])
            backend_end(tables, service ? &service->spent : &before->spent, &before->ends[i]);
    for (size_t i = 0; service && i < service->n_ends; i++)
        if (service->ends[i].number)
            tables->used_backends[service->ends[i].number] = true;
}

/* Packets go by the new table already: flows of those that are down now are spread anew. */
static void backends_down(struct lbdsr_tables *tables, struct lbdsr_group *service)
{
    for (size_t i = 0; i < service->n_ends; i++) {
        if (service->ends[i].health.leaves)
            __atomic_fetch_add(&tables->backends[service->ends[i].number].epoch, 1, __ATOMIC_RELEASE);
        service->ends[i].health.leaves = false;
    }
}

/* ---- services ---- */

/* A backend by its name, as Maglev knows it: the same on every node. */
static uint64_t end_hash(const struct lbdsr_end *end)
{
    uint64_t mac = 0;

    if (end->version)
        return lbdsr_address_hash(&end->address, end->version, end->version);
    memcpy(&mac, end->mac, sizeof(end->mac));
    return lbdsr_mix(mac, 0, 0);
}

/* Writes the half that no packet reads. Returns where it begins; 0: nobody takes flows. */
static uint32_t places_write(struct lbdsr_tables *tables, struct lbdsr_group *service, const struct lbdsr_group *before)
{
    uint32_t size = service->table_size, old_half = service->half;
    const uint16_t *old = tables->places + service->places + old_half * size;
    bool had = before && tables->vips[service->vip].table.first;
    uint16_t *new;

    service->moved = 0;
    service->hash = 0;
    if (!service->table)
        return 0;
    service->half = !service->half;
    new = tables->places + service->places + service->half *size;
    for (uint32_t i = 0; i < size; i++) {
        const struct lbdsr_end *end = &service->ends[service->table[i] - 1];

        new[i] = (uint16_t)end->number;
        service->hash = lbdsr_mix(service->hash, end_hash(end), i);
        if (had && new[i] != old[i])
            service->moved++;
    }
    return service->places + service->half * size;
}

static uint8_t shape_of(const struct lbdsr_key *key)
{
    uint8_t shape = key->port ? LBDSR_HAS_PORT : key->protocol ? LBDSR_HAS_PROTOCOL : LBDSR_HAS_ALL;

    return shape | (key->vlan ? LBDSR_HAS_VLAN : 0) | (key->segment ? LBDSR_HAS_SEGMENT : 0);
}

/* by: 1 or -1 services of its shape more. */
static void shape_count(struct lbdsr_tables *tables, const struct lbdsr_key *key, int by)
{
    uint8_t shapes = 0, shape = shape_of(key);

    for (int bit = 0; bit < LBDSR_SHAPES; bit++) {
        tables->shapes[bit] += (uint32_t)(shape >> bit & 1 ? by : 0);
        shapes |= (uint8_t)((tables->shapes[bit] != 0) << bit);
    }
    /* What the last packet in a segment left: none of those that are to come is in it. */
    for (uint32_t cpu = 0; cpu < tables->sizes.n_cpus && ~tables->data->shapes & shapes & LBDSR_HAS_SEGMENT; cpu++)
        __atomic_store_n(&tables->data->statistics[cpu].segment, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&tables->data->shapes, shapes, __ATOMIC_RELEASE);
}

void lbdsr_tables_publish(struct lbdsr_tables *tables, struct lbdsr_group *service, struct lbdsr_group *before,
                          const struct lbdsr_settings *settings)
{
    struct lbdsr_vip key = {.address = service->key.address,
                            .port = htons(service->key.port),
                            .protocol = service->key.protocol,
                            .domain = domain_of(&service->key),
                            .table.size = service->table_size,
                            .table.affinity = service->affinity,
                            .table.rules = (service->n_allows ? LBDSR_ALLOW : 0) | (service->has_quic ? LBDSR_QUIC : 0),
                            .table.quic_config = service->quic_config};
    const struct lbdsr_vip address = address_of(service);
    uint32_t number;

    for (size_t i = 0; i < service->n_ends; i++) {
        if (!service->ends[i].number)
            backend_begin(tables, &service->ends[i]);
        backend_write(tables, service, &service->ends[i], settings);
    }
    key.table.first = places_write(tables, service, before);
    service->vip = vip_publish(tables, &key);
    backends_down(tables, service);
    if (before) {
        backends_leave(tables, before, service);
        return;
    }
    shape_count(tables, &service->key, 1);
    number = vip_publish(tables, &address);
    tables->users[number]++;
}

void lbdsr_tables_tunnels(struct lbdsr_tables *tables, const struct lbdsr_settings *settings)
{
    __atomic_store_n(&tables->data->tunnel, settings->tunnel.v4, __ATOMIC_RELAXED);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(settings->tunnel6.v6); i++)
        __atomic_store_n(&tables->data->tunnel6[i], settings->tunnel6.v6[i], __ATOMIC_RELAXED);
}

void lbdsr_tables_refresh(struct lbdsr_tables *tables, const struct lbdsr_group *service,
                          const struct lbdsr_settings *settings)
{
    for (size_t i = 0; i < service->n_ends; i++)
        if (service->ends[i].number)
            backend_write(tables, service, &service->ends[i], settings);
}

void lbdsr_tables_withdraw(struct lbdsr_tables *tables, struct lbdsr_group *service)
{
    const struct lbdsr_vip key = address_of(service);
    __u64 *word = key_find(tables, &key, lbdsr_key_hash(&key.address, 0, LBDSR_ADDRESS, key.domain));

    if (service->vip)
        vip_withdraw(tables, service->vip);
    if (word && --tables->users[(uint32_t)*word] == 0)
        vip_withdraw(tables, (uint32_t)*word);
    backends_leave(tables, service, NULL);
    shape_count(tables, &service->key, -1);
}

/* ---- counters ---- */

struct lbdsr_count lbdsr_tables_count(const struct lbdsr_tables *tables, uint32_t backend)
{
    struct lbdsr_count sum = {};

    for (uint32_t cpu = 0; cpu < tables->sizes.n_cpus; cpu++) {
        const struct lbdsr_count *count = &tables->counts[cpu * tables->sizes.n_backends + backend];

        sum.packets += count->packets;
        sum.bytes += count->bytes;
    }
    return sum;
}

struct lbdsr_tally lbdsr_tables_statistics(const struct lbdsr_tables *tables)
{
    struct lbdsr_tally sum = {};

    for (uint32_t cpu = 0; cpu < tables->sizes.n_cpus; cpu++) {
        const struct lbdsr_tally *part = &tables->data->statistics[cpu];

        sum.hits += part->hits;
        sum.misses += part->misses;
        sum.created += part->created;
        sum.replaced += part->replaced;
        sum.full += part->full;
    }
    return sum;
}
