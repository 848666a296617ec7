/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_compile_private.h"

/* At value `at` the rules of a set begin to match, or cease to. */
struct event {
    firewall_value at;
    uint32_t set;
};

struct sweep {
    const struct firewall_field *field;
    struct firewall_store *store;
    struct firewall_segments *segments;
    uint32_t dirty; /* blocks, a bit each */
    uint64_t bits[LBVS_RULES_MAX / 64];
    struct lbvs_block blocks[LBVS_BLOCKS_MAX];
};

static int event_compare(const void *a, const void *b)
{
    const struct event *first = a, *second = b;

    return first->at < second->at ? -1 : first->at > second->at;
}

#define RADIX_BITS 11
#define RADIX (1u << RADIX_BITS)

/* By the upper half of each, where the value stands. scratch: as many. */
static void keys_sort(uint64_t *keys, uint64_t *scratch, size_t n)
{
    for (unsigned int shift = 32; shift < 64; shift += RADIX_BITS) {
        uint32_t starts[RADIX + 1] = {};
        uint64_t *swap = keys;

        for (size_t i = 0; i < n; i++)
            starts[(keys[i] >> shift & (RADIX - 1)) + 1]++;
        for (unsigned int i = 1; i < RADIX; i++)
            starts[i] += starts[i - 1];
        for (size_t i = 0; i < n; i++)
            scratch[starts[keys[i] >> shift & (RADIX - 1)]++] = keys[i];
        keys = scratch;
        scratch = swap;
    }
}

/* Values of 32 bits are sorted by their digits: most of the compiler's time went into comparing them. */
static int events_sort(const struct firewall_field *field, struct event *events, size_t n)
{
    _cleanup_free_ uint64_t *keys = NULL;

    if (field->max > UINT32_MAX) {
        qsort(events, n, sizeof(*events), event_compare);
        return 0;
    }
    keys = malloc(2 * n * sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        keys[i] = (uint64_t)events[i].at << 32 | events[i].set;
    keys_sort(keys, keys + n, n);
    /* An odd number of passes: they are in the second half. */
    for (size_t i = 0; i < n; i++)
        events[i] = (struct event){keys[n + i] >> 32, (uint32_t)keys[n + i]};
    return 0;
}
_Static_assert((32 + RADIX_BITS - 1) / RADIX_BITS % 2 == 1, "the result is in the second half");

static int sweep_events(const struct firewall_field *field, struct event **ret_events, size_t *ret_n)
{
    struct event *events = malloc((2 * (size_t)field->n_intervals + 1) * sizeof(*events));
    bool sorted = true;
    size_t n = 0;
    int r = 0;

    if (!events)
        return -ENOMEM;
    for (uint32_t i = 0; i < field->n_sets; i++) {
        const struct firewall_values *set = &field->sets[i];

        for (uint32_t j = set->first; j < set->first + set->n; j++) {
            events[n++] = (struct event){field->intervals[j].low, i};
            if (field->intervals[j].high < field->max)
                events[n++] = (struct event){field->intervals[j].high + 1, i};
        }
    }
    for (size_t i = 1; i < n && sorted; i++)
        sorted = events[i - 1].at <= events[i].at;
    if (!sorted)
        r = events_sort(field, events, n);
    if (r < 0) {
        free(events);
        return r;
    }
    *ret_events = events;
    *ret_n = n;
    return 0;
}

/* The values from `start` on have the vector as it is now. */
static int sweep_emit(struct sweep *sweep, firewall_value start)
{
    struct firewall_segments *segments = sweep->segments;
    uint32_t word;
    int r;

    for (uint32_t dirty = sweep->dirty; dirty; dirty &= dirty - 1) {
        uint32_t block = (uint32_t)__builtin_ctz(dirty);

        r = firewall_store_chunk(sweep->store, &sweep->bits[block * LBVS_BLOCK_RULES / 64], &sweep->blocks[block]);
        if (r < 0)
            return r;
    }
    sweep->dirty = 0;
    r = firewall_store_vector(sweep->store, sweep->blocks, &word);
    if (r < 0)
        return r;
    if (segments->n && segments->items[segments->n - 1].word == word)
        return 0;
    if (segments->n == segments->size) {
        uint32_t size = segments->size ? segments->size * 2 : 16;
        struct firewall_segment *items = realloc(segments->items, size * sizeof(*items));

        if (!items)
            return -ENOMEM;
        segments->items = items;
        segments->size = size;
    }
    segments->items[segments->n++] = (struct firewall_segment){start, word};
    return 0;
}

static void sweep_toggle(struct sweep *sweep, uint32_t set)
{
    const struct firewall_field *field = sweep->field;

    for (uint32_t rule = field->sets[set].rule; rule != FIREWALL_END; rule = field->next[rule]) {
        sweep->bits[rule / 64] ^= 1ull << rule % 64;
        sweep->dirty |= 1u << rule / LBVS_BLOCK_RULES;
    }
}

int firewall_sweep(const struct firewall_field *field, struct firewall_store *store,
                   struct firewall_segments *ret_segments)
{
    struct sweep sweep = {.field = field, .store = store, .segments = ret_segments};
    _cleanup_free_ struct event *events = NULL;
    firewall_value at = 0;
    size_t n;
    int r;

    r = sweep_events(field, &events, &n);
    if (r < 0)
        return r;
    ret_segments->n = 0;
    memcpy(sweep.bits, field->any, sizeof(sweep.bits));
    sweep.dirty = (1u << store->n_blocks) - 1;
    for (size_t i = 0; i < n; i++) {
        if (events[i].at != at) {
            r = sweep_emit(&sweep, at);
            if (r < 0)
                return r;
            at = events[i].at;
        }
        sweep_toggle(&sweep, events[i].set);
    }
    return sweep_emit(&sweep, at);
}
