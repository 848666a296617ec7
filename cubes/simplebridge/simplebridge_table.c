/* SPDX-License-Identifier: Apache-2.0 */
#include "simplebridge.h"
#include <stdio.h>

uint64_t simplebridge_mac_parse(const char *text)
{
    uint64_t mac = 0;

    for (int i = 0; i < ETH_ALEN; i++)
        mac |= (uint64_t)strtoul(text + 3 * i, NULL, 16) << (8 * i);
    return mac;
}

void simplebridge_mac_format(uint64_t mac, char ret_text[18])
{
    const uint8_t *b = (const uint8_t *)&mac;

    (void)snprintf(ret_text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
}

static uint64_t slot_load(const __u64 *slot)
{
    return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

static bool slot_swap(__u64 *slot, __u64 expected, __u64 station)
{
    return __atomic_compare_exchange_n(slot, &expected, station, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static __u64 *table_slot(const struct simplebridge_table *table, uint64_t hash, unsigned int i)
{
    uint32_t bucket = simplebridge_bucket_of(hash, i / SIMPLEBRIDGE_WAYS, table->data->mask);

    return &table->buckets[bucket].stations[i % SIMPLEBRIDGE_WAYS];
}

__u64 *simplebridge_table_find(const struct simplebridge_table *table, uint64_t mac, __u64 *ret_station)
{
    uint64_t hash = simplebridge_hash(mac, table->data->seed);

    for (unsigned int i = 0; i < 2 * SIMPLEBRIDGE_WAYS; i++) {
        __u64 *slot = table_slot(table, hash, i), station = slot_load(slot);

        if (!simplebridge_is(station, mac))
            continue;
        if (ret_station)
            *ret_station = station;
        return slot;
    }
    return NULL;
}

__u64 *simplebridge_table_reserve(struct simplebridge_table *table, uint64_t mac)
{
    uint64_t hash = simplebridge_hash(mac, table->data->seed), now = pcn_clock_jiffies();

    for (;;) {
        __u64 *victim = NULL, expected = 0, oldest = 0;

        for (unsigned int i = 0; i < 2 * SIMPLEBRIDGE_WAYS; i++) {
            __u64 *slot = table_slot(table, hash, i), station = slot_load(slot);
            int64_t silent = (int64_t)(now - slot_load(slot + SIMPLEBRIDGE_WAYS));
            uint64_t rank = !station ? UINT64_MAX : (uint64_t)PCN_MAX(silent, 0) + 1;

            /* A pinned table that was taken over has it already. */
            if (station & SIMPLEBRIDGE_STATIC && (station & SIMPLEBRIDGE_MAC) == mac)
                return slot;
            if (!(station & SIMPLEBRIDGE_STATIC) && rank > oldest) {
                oldest = rank;
                expected = station;
                victim = slot;
            }
        }
        if (!victim)
            return NULL;
        if (slot_swap(victim, expected, mac | SIMPLEBRIDGE_STATIC))
            return victim;
    }
}

void simplebridge_table_publish(struct simplebridge_table *table, __u64 *slot, uint64_t mac, int port)
{
    uint64_t hash = simplebridge_hash(mac, table->data->seed);

    if (port < 0) {
        __atomic_store_n(slot, mac | SIMPLEBRIDGE_STATIC, __ATOMIC_RELAXED);
        return;
    }
    __atomic_store_n(slot, simplebridge_station(mac, (uint32_t)port, SIMPLEBRIDGE_VALID | SIMPLEBRIDGE_STATIC),
                     __ATOMIC_RELAXED);
    for (unsigned int i = 0; i < 2 * SIMPLEBRIDGE_WAYS; i++) {
        __u64 *other = table_slot(table, hash, i), station = slot_load(other);

        if (simplebridge_is(station, mac) && !(station & SIMPLEBRIDGE_STATIC))
            (void)slot_swap(other, station, 0);
    }
}

void simplebridge_table_release(__u64 *slot)
{
    __atomic_store_n(slot, 0, __ATOMIC_RELAXED);
}

bool simplebridge_table_is_fresh(const struct simplebridge_table *table, uint64_t station, const __u64 *slot,
                                 uint64_t now, uint32_t *ret_age)
{
    int64_t silent = (int64_t)(now - slot_load(slot + SIMPLEBRIDGE_WAYS));

    silent = PCN_MAX(silent, 0);
    if (!(station & SIMPLEBRIDGE_VALID) || station & SIMPLEBRIDGE_STATIC || silent >= (int64_t)table->data->aging)
        return false;
    if (ret_age)
        *ret_age = (uint32_t)((uint64_t)silent / pcn_clock_hz());
    return true;
}

/* Whether a learned station stands elsewhere too, where it is found first or configured. */
static bool slot_is_copy(const struct simplebridge_table *table, uint64_t station, const __u64 *slot)
{
    uint64_t mac = station & SIMPLEBRIDGE_MAC, hash = simplebridge_hash(mac, table->data->seed);
    bool before = true;

    for (unsigned int i = 0; i < 2 * SIMPLEBRIDGE_WAYS; i++) {
        const __u64 *other = table_slot(table, hash, i);
        uint64_t word = slot_load(other);

        if (other == slot)
            before = false;
        else if (simplebridge_is(word, mac) && (before || word & SIMPLEBRIDGE_STATIC))
            return true;
    }
    return false;
}

void simplebridge_table_sweep(struct simplebridge_table *table, uint32_t first, uint32_t n,
                              const struct simplebridge_sweep *sweep)
{
    for (uint32_t i = 0; i < n; i++) {
        struct simplebridge_bucket *bucket = &table->buckets[(first + i) & table->data->mask];

        for (unsigned int way = 0; way < SIMPLEBRIDGE_WAYS; way++) {
            __u64 *slot = &bucket->stations[way], station = slot_load(slot);

            if (!station || station & SIMPLEBRIDGE_STATIC)
                continue;
            if (sweep->keep && sweep->keep((uint16_t)simplebridge_port(station), sweep->data) &&
                simplebridge_table_is_fresh(table, station, slot, sweep->now, NULL) &&
                !slot_is_copy(table, station, slot))
                continue;
            /* If it was seen again in between, it is learned anew with its next packet. */
            (void)slot_swap(slot, station, 0);
        }
    }
}

int simplebridge_table_forget(struct simplebridge_table *table, uint64_t mac)
{
    int r = -ENOENT;

    for (;;) {
        __u64 station, *slot = simplebridge_table_find(table, mac, &station);

        if (!slot || station & SIMPLEBRIDGE_STATIC)
            return r;
        (void)slot_swap(slot, station, 0);
        r = 0;
    }
}
