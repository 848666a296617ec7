/* SPDX-License-Identifier: Apache-2.0 */
/* The table of flows in user space. */
#include "private.h"
#include <pthread.h>

void pcn_flows_number(struct pcn_flows *flows)
{
    for (uint32_t i = 0; i < flows->n_numbers; i++)
        flows->ring[i] = i;
    flows->numbers->head = 0;
    __atomic_store_n(&flows->numbers->tail, flows->n_numbers, __ATOMIC_RELEASE);
}

uint8_t *pcn_flows_tag(const struct pcn_flows *flows, uint32_t place)
{
    return (uint8_t *)&flows->buckets[place / PCN_CT_WAYS].tags + place % PCN_CT_WAYS;
}

uint32_t pcn_flows_slot(const struct pcn_flows *flows, uint32_t place)
{
    const uint8_t *bytes = flows->buckets[place / PCN_CT_WAYS].slots[place % PCN_CT_WAYS];

    return (bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16) - 1;
}

struct pcn_ct_own *pcn_flows_own(const struct pcn_flows *flows, uint32_t slot)
{
    return &flows->owns[slot & (flows->n_numbers - 1)];
}

uint32_t pcn_flows_other(const struct pcn_flows *flows, uint32_t slot)
{
    return slot ^ flows->n_numbers;
}

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
    uint32_t n_buckets = flows->n_places / PCN_CT_WAYS;
    struct pcn_flow flow;

    for (uint32_t i = 0; i < 2 * PCN_CT_WAYS; i++) {
        uint32_t bucket = pcn_ct_bucket_of(hash, i / PCN_CT_WAYS, n_buckets - 1, flows->owns ? n_buckets / 2 : 0);
        uint32_t place = bucket * PCN_CT_WAYS + i % PCN_CT_WAYS;
        uint32_t slot = pcn_flows_slot(flows, place);

        if (*pcn_flows_tag(flows, place) != pcn_ct_tag(hash) || slot >= flows->n_slots ||
            !pcn_flows_get(flows, slot, now, &flow) || !key_is(&flow.key, key))
            continue;
        *ret_flow = flow;
        return 0;
    }
    return -ENOENT;
}

/* A place is nobody's, from now on. */
static void place_leave(struct pcn_flows *flows, uint32_t place)
{
    if (place >= flows->n_places)
        return;
    memset(flows->buckets[place / PCN_CT_WAYS].slots[place % PCN_CT_WAYS], 0, 3);
    __atomic_store_n(pcn_flows_tag(flows, place), 0, __ATOMIC_RELEASE);
}

/* A flow's number is free, from now on. Readers end flows too, so there may be more than one who does this. */
static void number_give(struct pcn_flows *flows, uint32_t number)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    uint64_t tail;

    (void)pthread_mutex_lock(&lock);
    tail = flows->numbers->tail;
    flows->ring[tail & (flows->n_numbers - 1)] = number;
    __atomic_store_n(&flows->numbers->tail, tail + 1, __ATOMIC_RELEASE);
    (void)pthread_mutex_unlock(&lock);
}

/* What a flow has besides the word by which it was taken. */
static void flow_leave(struct pcn_flows *flows, uint32_t number)
{
    for (uint32_t slot = number; slot < flows->n_slots; slot += flows->n_numbers) {
        __atomic_store_n(&flows->entries[slot].word, 0, __ATOMIC_RELEASE);
        place_leave(flows, flows->places[slot]);
    }
    number_give(flows, number);
}

bool flow_is_of_zone(const struct pcn_flows *flows, const struct pcn_ct_key *key)
{
    return key->words[4] >> PCN_CT_ZONE_SHIFT == flows->settings->zone;
}

bool flow_is_listed(const struct pcn_flows *flows, const struct pcn_flow *flow)
{
    struct pcn_ct_key first;

    if (!flow_is_of_zone(flows, &flow->key))
        return false;
    if (flow->slot < flows->n_numbers)
        return true;
    pcn_flows_key(flows, pcn_flows_other(flows, flow->slot), &first);
    return !flow_is_of_zone(flows, &first);
}

bool flow_shown(const struct pcn_flows *flows, const struct pcn_flow *flow, struct pcn_flow *ret_shown)
{
    uint32_t other;

    *ret_shown = *flow;
    if (!flows->owns || flow_is_of_zone(flows, &flow->key))
        return true;
    other = pcn_flows_other(flows, flow->slot);
    if (flows->places[other] == PCN_CT_NO_SLOT)
        return false;
    pcn_flows_key(flows, other, &ret_shown->key);
    return flow_is_of_zone(flows, &ret_shown->key);
}

/*
 * A flow, or a session by its first entry. word: as it was seen; where that has changed (false), as it is now. Who makes it 0
 * has all of it.
 */
static bool flow_end(struct pcn_flows *flows, const struct pcn_flow *flow, __u64 *word)
{
    struct pcn_flow shown;
    bool is_shown;

    if (!__atomic_compare_exchange_n(&flows->entries[flow->slot].word, word, 0, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false;
    if (flows->removed)
        flows->removed(flows, flow);
    is_shown = flow_shown(flows, flow, &shown);
    flow_leave(flows, flow->slot);
    if (is_shown)
        flow_note(flows, &shown, true);
    return true;
}

bool pcn_flows_remove(struct pcn_flows *flows, const struct pcn_flow *flow)
{
    struct pcn_flow first = *flow;
    __u64 word;

    /* A session ends by its first entry; if it is still that which was found by the other one. */
    if (flow->slot & flows->n_numbers) {
        first.slot = pcn_flows_other(flows, flow->slot);
        first.word = __atomic_load_n(&flows->entries[first.slot].word, __ATOMIC_ACQUIRE);
        pcn_flows_key(flows, first.slot, &first.key);
        if (!pcn_ct_is_same_flow(__atomic_load_n(&flows->entries[flow->slot].word, __ATOMIC_ACQUIRE), flow->word))
            return false;
    }
    word = first.word;
    while (pcn_ct_is_same_flow(word, first.word))
        if (flow_end(flows, &first, &word))
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

        /* A session ends by its first entry. */
        if (flow.slot & flows->n_numbers)
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
