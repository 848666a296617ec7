/* SPDX-License-Identifier: Apache-2.0 */
/* The table of flows in user space. */
#include "private.h"

void pcn_flows_key(const struct pcn_flows *flows, uint32_t slot, struct pcn_ct_key *ret_key)
{
    pcn_ct_key_get(&flows->entries[slot], &flows->wides[slot], ret_key);
}

static bool word_is_live(uint64_t word, uint64_t now)
{
    return word && pcn_ct_left(word, (uint32_t)now) > 0;
}

bool pcn_flows_get(const struct pcn_flows *flows, uint32_t slot, uint64_t now, struct pcn_flow *ret_flow)
{
    const __u64 *place = &flows->entries[slot].word;
    struct pcn_flow flow = {.slot = slot, .word = __atomic_load_n(place, __ATOMIC_ACQUIRE)};

    if (!word_is_live(flow.word, now))
        return false;
    pcn_flows_key(flows, slot, &flow.key);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!pcn_ct_is_same_flow(__atomic_load_n(place, __ATOMIC_RELAXED), flow.word))
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
    uint32_t n_buckets = flows->n_slots / PCN_CT_WAYS, half = flows->owns ? n_buckets / 2 : 0;
    struct pcn_flow flow;

    for (uint32_t i = 0; i < 2 * PCN_CT_WAYS; i++) {
        uint32_t bucket = pcn_ct_bucket_of(hash, i / PCN_CT_WAYS, n_buckets - 1, half);
        uint32_t slot = bucket * PCN_CT_WAYS + i % PCN_CT_WAYS;

        if (flows->tags[slot] != pcn_ct_tag(hash) || !pcn_flows_get(flows, slot, now, &flow) || !key_is(&flow.key, key))
            continue;
        *ret_flow = flow;
        return 0;
    }
    return -ENOENT;
}

/* word: as it was seen; where that has changed (false), as it is now. Who makes it 0 has the place until its tag is 0. */
static bool flow_end(struct pcn_flows *flows, const struct pcn_flow *flow, __u64 *word)
{
    if (!__atomic_compare_exchange_n(&flows->entries[flow->slot].word, word, 0, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false;
    if (flows->removed)
        flows->removed(flows, flow);
    __atomic_store_n(&flows->tags[flow->slot], 0, __ATOMIC_RELEASE);
    /* Under whichever key it is found: it is told of under that which is shown. */
    if (!flows->owns || flow->key.words[4] >> PCN_CT_ZONE_SHIFT == flows->settings->zone)
        flow_note(flows, flow, true);
    return true;
}

bool pcn_flows_remove(struct pcn_flows *flows, const struct pcn_flow *flow)
{
    __u64 word = flow->word;

    while (pcn_ct_is_same_flow(word, flow->word))
        if (flow_end(flows, flow, &word))
            return true;
    return false;
}

/* The key is read while it cannot be another one's. */
static bool flow_expire(struct pcn_flows *flows, struct pcn_flow *flow)
{
    __u64 word = flow->word;

    pcn_flows_key(flows, flow->slot, &flow->key);
    return flow_end(flows, flow, &word);
}

uint32_t pcn_flows_sweep(struct pcn_flows *flows, uint32_t first, uint32_t n, uint64_t now)
{
    uint32_t n_live = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct pcn_flow flow = {.slot = (first + i) & (flows->n_slots - 1)};

        if (!__atomic_load_n(&flows->tags[flow.slot], __ATOMIC_RELAXED))
            continue;
        flow.word = __atomic_load_n(&flows->entries[flow.slot].word, __ATOMIC_ACQUIRE);
        if (!flow.word)
            continue;
        /* A packet that is faster has brought it back to life: then it stays. */
        n_live += word_is_live(flow.word, now) || !flow_expire(flows, &flow);
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
