/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_compile_private.h"

/*
 * Nodes of 8 bits save a step of the packet's and take 1 KB: they are taken where they
 * serve that many segments, and everywhere as long as there are few in all.
 */
#define TABLE_WIDE_SEGMENTS 8
#define TABLE_WIDE_ALWAYS 1024

struct builder {
    struct firewall_store *store;
    const struct firewall_segments *segments;
    uint32_t at; /* segment where the last value was */
    bool wide;
};

/* Moves on to the segment of a value; its end, exclusive, is told by firewall_value arithmetic that wraps at 2^128. */
static const struct firewall_segment *builder_seek(struct builder *builder, firewall_value value)
{
    const struct firewall_segments *segments = builder->segments;

    while (builder->at + 1 < segments->n && segments->items[builder->at + 1].start <= value)
        builder->at++;
    return &segments->items[builder->at];
}

/* Segments that begin in (first, last]: no more than `limit` are counted. */
static uint32_t builder_count(const struct builder *builder, firewall_value last, uint32_t limit)
{
    const struct firewall_segments *segments = builder->segments;
    uint32_t n = 0;

    while (n < limit && builder->at + n + 1 < segments->n && segments->items[builder->at + n + 1].start <= last)
        n++;
    return n;
}

/* How many times 2^bits values, from `first` on, the segment that this is in has alone. */
static uint32_t builder_run(struct builder *builder, firewall_value first, unsigned int bits, uint32_t limit)
{
    const struct firewall_segment *next = builder_seek(builder, first) + 1;
    firewall_value run;

    if (builder->at + 1 == builder->segments->n)
        return limit;
    run = (next->start - first) >> bits;
    return run < limit ? (uint32_t)run : limit;
}

static int build_branch(struct builder *builder, firewall_value first, unsigned int bits, uint32_t *ret_word);

/* The words of a node, each for 2^bits values. */
static int build_words(struct builder *builder, firewall_value first, unsigned int bits, uint32_t *words, uint32_t n)
{
    int r = 0;

    for (uint32_t i = 0, run; i < n && r >= 0; i += run ?: 1) {
        firewall_value value = first + ((firewall_value)i << bits);

        run = builder_run(builder, value, bits, n - i);
        for (uint32_t j = 0; j < run; j++)
            words[i + j] = builder->segments->items[builder->at].word;
        if (!run)
            r = build_branch(builder, value, bits, &words[i]);
    }
    return r;
}

/* The word for the 2^bits values from `first` on; bits is a multiple of 4. */
static int build_branch(struct builder *builder, firewall_value first, unsigned int bits, uint32_t *ret_word)
{
    const struct firewall_segment *segment = builder_seek(builder, first);
    uint32_t n = builder_count(builder, first + (((firewall_value)1 << bits) - 1), TABLE_WIDE_SEGMENTS + 1), line;
    bool wide = bits % 8 == 0 && (builder->wide || n > TABLE_WIDE_SEGMENTS);
    unsigned int below = bits - (wide ? 8 : 4);
    int r;

    if (!n) {
        *ret_word = segment->word;
        return 0;
    }
    r = firewall_store_node(builder->store, wide, &line);
    if (r < 0)
        return r;
    r = build_words(builder, first, below, firewall_store_words(builder->store, line), wide ? 256 : 16);
    if (r < 0)
        return r;
    *ret_word = LBVS_WORD_NODE | (wide ? LBVS_WORD_WIDE : 0) | below / 4 << LBVS_WORD_SHIFT_AT | line;
    return 0;
}

/* A table whose mask is 0: one word for all values. */
static int table_constant(struct firewall_store *store, uint32_t word, struct firewall_table *ret_table)
{
    uint32_t line;
    int r;

    r = firewall_store_node(store, false, &line);
    if (r < 0)
        return r;
    firewall_store_words(store, line)[0] = word;
    *ret_table = (struct firewall_table){.index = line * LBVS_LINE_WORDS};
    return 0;
}

int firewall_table_build(struct firewall_store *store, const struct firewall_segments *segments, unsigned int bits,
                         struct firewall_table *ret_table)
{
    struct builder builder = {.store = store, .segments = segments, .wide = segments->n <= TABLE_WIDE_ALWAYS};
    uint32_t page;
    int r;

    if (segments->n == 1)
        return table_constant(store, segments->items[0].word, ret_table);
    page = ret_table->index / LBVS_PAGE_WORDS;
    r = ret_table->mask ? 0 : firewall_store_pages(store, 65536 / LBVS_PAGE_WORDS, &page);
    if (r < 0)
        return r;
    r = build_words(&builder, 0, bits - 16, store->pages[page].words, 65536);
    if (r < 0)
        return r;
    *ret_table = (struct firewall_table){.index = page * LBVS_PAGE_WORDS, .mask = 0xffff};
    return 0;
}

int firewall_trie16_build(struct firewall_store *store, const struct firewall_segments *segments, uint32_t *ret_word)
{
    struct builder builder = {.store = store, .segments = segments, .wide = true};

    return build_branch(&builder, 0, 16, ret_word);
}

/* ---- IPv6 ---- */

static firewall_value mask128(unsigned int length)
{
    return length ? ~(firewall_value)0 << (128 - length) : 0;
}

/* Bits that two values have in common, in whole nibbles. */
static unsigned int common128(firewall_value a, firewall_value b)
{
    uint64_t high = (uint64_t)((a ^ b) >> 64), low = (uint64_t)(a ^ b);

    if (high)
        return (unsigned int)__builtin_clzll(high) & ~3u;
    return low ? 64 + ((unsigned int)__builtin_clzll(low) & ~3u) : 128;
}

static int build_skip(struct builder *builder, firewall_value first, unsigned int position, uint32_t *ret_word);

/* The values that begin with the `position` bits of `first`. */
static int build128(struct builder *builder, firewall_value first, unsigned int position, uint32_t *ret_word)
{
    const struct firewall_segment *segment = builder_seek(builder, first);
    uint32_t line, *words;
    int r;

    if (!builder_count(builder, first | ~mask128(position), 1)) {
        *ret_word = segment->word;
        return 0;
    }
    r = build_skip(builder, first, position, ret_word);
    if (r != -ENOENT)
        return r;
    r = firewall_store_node(builder->store, false, &line);
    if (r < 0)
        return r;
    words = firewall_store_words(builder->store, line);
    for (unsigned int i = 0; i < 16; i++) {
        r = build128(builder, first | (firewall_value)i << (124 - position), position + 4, &words[i]);
        if (r < 0)
            return r;
    }
    *ret_word =
        LBVS_WORD_NODE | (position < 64 ? 0 : LBVS_WORD_SECOND) | (60 - position % 64) / 4 << LBVS_WORD_SHIFT_AT | line;
    return 0;
}

/*
 * If what differs lies in one small part, and all around it is alike: a node that compares. -ENOENT: it is not so, or
 * a branch does as well.
 */
static int build_skip(struct builder *builder, firewall_value first, unsigned int position, uint32_t *ret_word)
{
    const struct firewall_segment *items = builder->segments->items;
    uint32_t from = builder->at, to = from + builder_count(builder, first | ~mask128(position), builder->segments->n),
             line, word;
    firewall_value key, mask;
    struct lbvs_skip *skip;
    unsigned int length;
    int r;

    if (items[from].word != items[to].word)
        return -ENOENT;
    length = common128(items[from + 1].start, items[to].start - 1);
    if (length < position + 8)
        return -ENOENT;
    mask = mask128(length);
    key = items[from + 1].start & mask;
    r = firewall_store_node(builder->store, false, &line);
    if (r < 0)
        return r;
    r = build128(builder, key, length, &word);
    if (r < 0)
        return r;
    skip = &builder->store->pages[line / LBVS_PAGE_LINES].skips[line % LBVS_PAGE_LINES];
    *skip = (struct lbvs_skip){.key = {(uint64_t)(key >> 64), (uint64_t)key},
                               .mask = {(uint64_t)(mask >> 64), (uint64_t)mask},
                               .hit = word,
                               .miss = items[from].word};
    *ret_word = LBVS_WORD_NODE | LBVS_WORD_SKIP | line;
    return 0;
}

int firewall_trie128_build(struct firewall_store *store, const struct firewall_segments *segments, uint32_t *ret_word)
{
    struct builder builder = {.store = store, .segments = segments};

    return build128(&builder, 0, 0, ret_word);
}

/* ---- interfaces ---- */

/* Each has a slot of its own about one time in fifty, where there are 64 of them. */
#define INTERFACE_TRIES 65536

static bool interfaces_place(const uint32_t words[FIREWALL_CLASSES], const uint32_t *ifindexes, uint32_t n,
                             struct firewall_bank *bank)
{
    for (uint32_t i = 0; i < FIREWALL_INTERFACE_SLOTS; i++)
        bank->interfaces[i] = (struct firewall_interface_slot){.word = words[0]};
    for (uint32_t i = 0; i < n; i++) {
        struct firewall_interface_slot *slot =
            &bank->interfaces[firewall_interface_hash(ifindexes[i], bank->interface_multiplier)];

        if (!ifindexes[i] || slot->ifindex == ifindexes[i])
            continue;
        if (slot->ifindex)
            return false;
        *slot = (struct firewall_interface_slot){ifindexes[i], words[i + 1]};
    }
    return true;
}

int firewall_interfaces_build(const uint32_t words[FIREWALL_CLASSES], const uint32_t *ifindexes, uint32_t n,
                              struct firewall_bank *bank)
{
    uint32_t multiplier = 0x9e3779b1;

    bank->interface_other = words[0];
    for (int i = 0; i < INTERFACE_TRIES; i++) {
        bank->interface_multiplier = multiplier;
        if (interfaces_place(words, ifindexes, n, bank))
            return 0;
        multiplier = (multiplier * 1664525 + 1013904222) | 1;
    }
    return -ENOSPC;
}

void firewall_small_fill(const struct firewall_segments *segments, uint32_t *words, uint32_t n)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        while (at + 1 < segments->n && segments->items[at + 1].start <= i)
            at++;
        words[i] = segments->items[at].word;
    }
}
