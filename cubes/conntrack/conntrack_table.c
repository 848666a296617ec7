/* SPDX-License-Identifier: Apache-2.0 */
#include "conntrack.h"

static __u64 *table_place(const struct conntrack_table *table, uint32_t slot)
{
    return &table->buckets[slot / PCN_CT_WAYS].words[slot % PCN_CT_WAYS];
}

static bool word_is_live(uint64_t word, uint64_t now)
{
    return word && !(word & PCN_CT_BUSY) && pcn_ct_left(word, (uint32_t)now) > 0;
}

/* Tag and place stay the same as long as a flow lives; what comes after it was busy in between. */
static bool word_is_same_flow(uint64_t a, uint64_t b)
{
    return a >> PCN_CT_BUSY_SHIFT == b >> PCN_CT_BUSY_SHIFT;
}

bool conntrack_table_get(const struct conntrack_table *table, uint32_t slot, uint64_t now,
                         struct conntrack_flow *ret_flow)
{
    const __u64 *place = table_place(table, slot);
    struct conntrack_flow flow = {.slot = slot, .word = __atomic_load_n(place, __ATOMIC_ACQUIRE)};

    if (!word_is_live(flow.word, now))
        return false;
    flow.key = table->entries[slot].key;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!word_is_same_flow(__atomic_load_n(place, __ATOMIC_RELAXED), flow.word))
        return false;
    *ret_flow = flow;
    return true;
}

static bool key_is(const struct pcn_ct_key *a, const struct pcn_ct_key *b)
{
    const struct pcn_ct_key reverse = {
        {b->words[2], b->words[3], b->words[0], b->words[1], pcn_ct_reverse(b->words[4])}};

    return memcmp(a, b, sizeof(*a)) == 0 || memcmp(a, &reverse, sizeof(*a)) == 0;
}

int conntrack_table_find(const struct conntrack_table *table, const struct pcn_ct_key *key, uint64_t now,
                         struct conntrack_flow *ret_flow)
{
    uint64_t hash = pcn_ct_hash(key, table->settings->seed);
    struct conntrack_flow flow;

    for (uint32_t i = 0; i < 2 * PCN_CT_WAYS; i++) {
        uint32_t bucket = pcn_ct_bucket_of(hash, i / PCN_CT_WAYS, table->settings->bucket_mask);

        if (!conntrack_table_get(table, bucket * PCN_CT_WAYS + i % PCN_CT_WAYS, now, &flow) || !key_is(&flow.key, key))
            continue;
        *ret_flow = flow;
        return 0;
    }
    return -ENOENT;
}

bool conntrack_table_remove(struct conntrack_table *table, const struct conntrack_flow *flow)
{
    __u64 *place = table_place(table, flow->slot), word = flow->word;

    while (word_is_same_flow(word, flow->word))
        if (__atomic_compare_exchange_n(place, &word, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    return false;
}

uint32_t conntrack_table_sweep(struct conntrack_table *table, uint32_t first, uint32_t n, uint64_t now)
{
    uint32_t n_live = 0;

    for (uint32_t i = 0; i < n; i++) {
        __u64 *place = table_place(table, (first + i) & (table->n_slots - 1));
        __u64 word = __atomic_load_n(place, __ATOMIC_RELAXED);

        if (!word || word & PCN_CT_BUSY)
            continue;
        /* A packet that is faster has brought it back to life: then it stays. */
        if (word_is_live(word, now) ||
            !__atomic_compare_exchange_n(place, &word, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            n_live++;
    }
    return n_live;
}

struct pcn_ct_statistics conntrack_table_statistics(const struct conntrack_table *table)
{
    struct pcn_ct_statistics sum = {};

    for (unsigned int cpu = 0; cpu < PCN_CPUS_MAX; cpu++) {
        const struct pcn_ct_statistics *part = &table->statistics[cpu];

        sum.created += part->created;
        sum.reused += part->reused;
        sum.early_dropped += part->early_dropped;
        sum.full += part->full;
        sum.invalid += part->invalid;
    }
    return sum;
}
