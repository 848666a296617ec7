/* SPDX-License-Identifier: Apache-2.0 */
/* The table of flows in user space. */
#include "private.h"

static __u64 *table_place(const struct pcn_flows *flows, uint32_t slot)
{
    return &flows->buckets[slot / PCN_CT_WAYS].words[slot % PCN_CT_WAYS];
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

bool pcn_flows_get(const struct pcn_flows *flows, uint32_t slot, uint64_t now, struct pcn_flow *ret_flow)
{
    const __u64 *place = table_place(flows, slot);
    struct pcn_flow flow = {.slot = slot, .word = __atomic_load_n(place, __ATOMIC_ACQUIRE)};

    if (!word_is_live(flow.word, now))
        return false;
    flow.key = flows->entries[slot].key;
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

int pcn_flows_find(const struct pcn_flows *flows, const struct pcn_ct_key *key, uint64_t now, struct pcn_flow *ret_flow)
{
    uint64_t hash = pcn_ct_hash(key, flows->settings->seed);
    struct pcn_flow flow;

    for (uint32_t i = 0; i < 2 * PCN_CT_WAYS; i++) {
        uint32_t bucket = pcn_ct_bucket_of(hash, i / PCN_CT_WAYS, flows->n_slots / PCN_CT_WAYS - 1);

        if (!pcn_flows_get(flows, bucket * PCN_CT_WAYS + i % PCN_CT_WAYS, now, &flow) || !key_is(&flow.key, key))
            continue;
        *ret_flow = flow;
        return 0;
    }
    return -ENOENT;
}

static void flow_gone(struct pcn_flows *flows, const struct pcn_flow *flow)
{
    /* Under whichever key it is found: it is told of under that which is shown. */
    if (flows->places < 2 || flow->key.words[4] >> PCN_CT_ZONE_SHIFT == flows->settings->zone)
        flow_note(flows, flow, true);
    if (flows->removed)
        flows->removed(flows, flow);
}

bool pcn_flows_remove(struct pcn_flows *flows, const struct pcn_flow *flow)
{
    __u64 *place = table_place(flows, flow->slot), word = flow->word;

    while (word_is_same_flow(word, flow->word))
        if (__atomic_compare_exchange_n(place, &word, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            flow_gone(flows, flow);
            return true;
        }
    return false;
}

/* The key is read while it cannot be another one's: until the place is free. */
static bool place_free(struct pcn_flows *flows, uint32_t slot, __u64 word)
{
    const struct pcn_flow flow = {.slot = slot, .word = word, .key = flows->entries[slot].key};

    if (!__atomic_compare_exchange_n(table_place(flows, slot), &word, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return false;
    flow_gone(flows, &flow);
    return true;
}

uint32_t pcn_flows_sweep(struct pcn_flows *flows, uint32_t first, uint32_t n, uint64_t now)
{
    uint32_t n_live = 0;

    for (uint32_t i = 0; i < n; i++) {
        __u64 *place = table_place(flows, (first + i) & (flows->n_slots - 1));
        __u64 word = __atomic_load_n(place, __ATOMIC_RELAXED);

        if (!word || word & PCN_CT_BUSY)
            continue;
        /* A packet that is faster has brought it back to life: then it stays. */
        if (word_is_live(word, now) || !place_free(flows, (first + i) & (flows->n_slots - 1), word))
            n_live++;
    }
    return n_live;
}

struct pcn_ct_statistics pcn_flows_statistics(const struct pcn_flows *flows)
{
    struct pcn_ct_statistics sum = {};

    for (unsigned int cpu = 0; cpu < PCN_CPUS_MAX; cpu++) {
        const struct pcn_ct_statistics *part = &flows->statistics[cpu];

        sum.created += part->created;
        sum.reused += part->reused;
        sum.early_dropped += part->early_dropped;
        sum.full += part->full;
        sum.invalid += part->invalid;
    }
    return sum;
}
