/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source and destination as one field: a table with a word for each pair of their vectors, that of the rules
 * which both have (the first step of recursive flow classification, Gupta and McKeown, SIGCOMM 1999). Most pairs
 * leave few rules: a group, or a list of some. Rules that name neither address are kept out, every pair has them. Where
 * many pairs leave more even so, the table would be larger than what it saves, and is not made.
 */
#include "firewall_compile_private.h"

#define CROSS_WORDS_MAX (128u * 1024)
#define CROSS_LISTS_MAX (32u * 1024)
/* Pairs that leave more groups than a list holds: so many, and this part of all. */
#define CROSS_VECTORS_MAX 1024u
#define CROSS_VECTORS_PART 16u
/* Groups that are looked at: some milliseconds. */
#define CROSS_STEPS_MAX (2u * 1024 * 1024)

#define CROSS_VECTOR FIREWALL_END /* as a word: is to be stored */

struct list {
    uint32_t words[LBVS_LINE_WORDS];
};

/* The different vectors of a field, and its segments with their numbers for words. */
struct classes {
    struct firewall_intern index;
    struct firewall_segments segments;
};

struct cross {
    struct firewall_store *store;
    uint64_t rest[LBVS_RULES_MAX / 64]; /* rules that name neither address */
    struct classes sources;
    struct classes destinations;
    uint32_t *words; /* of the pairs; LBVS_WORD_LIST with the number of the list */
    struct list *lists;
    size_t lists_room; /* bytes */
    uint32_t n_lists;
    uint32_t n_vectors;
    uint32_t n_steps;
};

static void cross_done(struct cross *cross)
{
    firewall_intern_done(&cross->sources.index);
    firewall_intern_done(&cross->destinations.index);
    free(cross->sources.segments.items);
    free(cross->destinations.segments.items);
    free(cross->words);
    free(cross->lists);
}

static int classes_init(struct classes *classes, const struct firewall_segments *segments)
{
    struct firewall_segment *items = malloc(segments->n * sizeof(*items));
    int r = items ? 0 : -ENOMEM;

    classes->index.key_words = 1;
    classes->segments = (struct firewall_segments){.items = items, .n = segments->n, .size = segments->n};
    for (uint32_t i = 0; i < segments->n && r >= 0; i++) {
        const uint64_t word = segments->items[i].word;

        items[i] = segments->items[i];
        r = firewall_intern_number(&classes->index, &word, &items[i].word);
        /* Numbers of things that are interned begin with 1. */
        items[i].word--;
    }
    return r;
}

static uint32_t class_word(const struct classes *classes, uint32_t number)
{
    return (uint32_t)classes->index.keys[number];
}

/* ---- pairs ---- */

/* Groups of a block that the vector of a word has bits in. */
static uint64_t word_groups(const struct firewall_store *store, uint32_t word, uint32_t block)
{
    uint32_t group = (word & ~LBVS_WORD_GROUP) >> LBVS_WORD_GROUP_AT;

    if (word & LBVS_WORD_GROUP)
        return group / LBVS_BLOCK_GROUPS == block ? 1ull << group % LBVS_BLOCK_GROUPS : 0;
    return word ? store->pages[word / LBVS_PAGE_BLOCKS].blocks[word % LBVS_PAGE_BLOCKS + block].summary : 0;
}

/* Its bits in a group where it has some. */
static uint16_t word_bits(const struct firewall_store *store, uint32_t word, uint32_t block, uint32_t group)
{
    const union lbvs_page *page = &store->pages[word / LBVS_PAGE_BLOCKS];

    return word & LBVS_WORD_GROUP ? (uint16_t)word
                                  : page->groups[page->blocks[word % LBVS_PAGE_BLOCKS + block].chunk + group];
}

static uint16_t common_bits(const struct cross *cross, uint32_t a, uint32_t b, uint32_t block, uint32_t group)
{
    uint32_t number = block * LBVS_BLOCK_GROUPS + group;

    return word_bits(cross->store, a, block, group) & word_bits(cross->store, b, block, group) &
           (uint16_t)~(cross->rest[number / 4] >> number % 4 * LBVS_GROUP_RULES);
}

/* What two vectors have in common, as a list. How many groups it is; if more than a list holds, not all are there. */
static uint32_t common_list(struct cross *cross, uint32_t a, uint32_t b, struct list *list)
{
    uint32_t n = 0;

    for (uint32_t block = 0; block < cross->store->n_blocks; block++) {
        uint64_t groups = word_groups(cross->store, a, block) & word_groups(cross->store, b, block);

        for (; groups; groups &= groups - 1) {
            uint32_t group = (uint32_t)__builtin_ctzll(groups);
            uint16_t bits = common_bits(cross, a, b, block, group);

            cross->n_steps++;
            if (!bits)
                continue;
            if (n == LBVS_LINE_WORDS)
                return n + 1;
            list->words[n++] = firewall_store_group(block * LBVS_BLOCK_GROUPS + group, bits);
        }
    }
    if (n < LBVS_LINE_WORDS)
        list->words[n] = 0;
    return n;
}

static int common_word(struct cross *cross, uint32_t a, uint32_t b, uint32_t *ret_word)
{
    struct list *list;
    uint32_t n;
    int r;

    r = firewall_items_grow(&cross->lists, &cross->lists_room, cross->n_lists, sizeof(*cross->lists));
    if (r < 0)
        return r;
    list = &cross->lists[cross->n_lists];
    n = common_list(cross, a, b, list);
    if (n <= 1) {
        *ret_word = n ? list->words[0] : 0;
    } else if (n <= LBVS_LINE_WORDS) {
        *ret_word = LBVS_WORD_LIST | cross->n_lists++;
    } else {
        *ret_word = CROSS_VECTOR;
        cross->n_vectors++;
    }
    return 0;
}

static int common_store(struct cross *cross, uint32_t a, uint32_t b, uint32_t *ret_word)
{
    struct lbvs_block blocks[LBVS_BLOCKS_MAX] = {};

    for (uint32_t block = 0; block < cross->store->n_blocks; block++) {
        uint64_t groups = word_groups(cross->store, a, block) & word_groups(cross->store, b, block);
        uint64_t bits[LBVS_BLOCK_RULES / 64] = {};
        int r;

        for (; groups; groups &= groups - 1) {
            uint32_t group = (uint32_t)__builtin_ctzll(groups);

            bits[group / 4] |= (uint64_t)common_bits(cross, a, b, block, group) << group % 4 * LBVS_GROUP_RULES;
        }
        r = firewall_store_chunk(cross->store, bits, &blocks[block]);
        if (r < 0)
            return r;
    }
    return firewall_store_vector(cross->store, blocks, ret_word);
}

/* ---- the table ---- */

/* -E2BIG: it does not pay. */
static int cross_fill(struct cross *cross)
{
    uint32_t rows = cross->sources.index.n, columns = cross->destinations.index.n;
    uint32_t limit = PCN_MIN(CROSS_VECTORS_MAX, rows * columns / CROSS_VECTORS_PART);
    int r;

    for (uint32_t i = 0; i < rows; i++) {
        uint32_t *row = &cross->words[i * columns], word = class_word(&cross->sources, i);

        for (uint32_t j = 0; j < columns; j++) {
            r = common_word(cross, word, class_word(&cross->destinations, j), &row[j]);
            if (r < 0)
                return r;
        }
        if (cross->n_vectors > limit || cross->n_lists > CROSS_LISTS_MAX || cross->n_steps > CROSS_STEPS_MAX)
            return -E2BIG;
    }
    return 0;
}

static int cross_vectors(struct cross *cross)
{
    uint32_t rows = cross->sources.index.n, columns = cross->destinations.index.n;
    int r = 0;

    for (uint32_t i = 0; cross->n_vectors && i < rows * columns && r >= 0; i++) {
        if (cross->words[i] == CROSS_VECTOR)
            r = common_store(cross, class_word(&cross->sources, i / columns),
                             class_word(&cross->destinations, i % columns), &cross->words[i]);
    }
    return r;
}

static int rest_word(struct cross *cross, uint32_t *ret_word)
{
    struct lbvs_block blocks[LBVS_BLOCKS_MAX] = {};
    int r = 0;

    for (uint32_t i = 0; i < cross->store->n_blocks && r >= 0; i++)
        r = firewall_store_chunk(cross->store, &cross->rest[i * LBVS_BLOCK_RULES / 64], &blocks[i]);
    return r < 0 ? r : firewall_store_vector(cross->store, blocks, ret_word);
}

/* Pages for n words: those that the table has, or others, with room to grow. */
static int cross_pages(struct cross *cross, uint32_t n, struct firewall_cross *table)
{
    uint32_t n_pages = (n + n / 8 + LBVS_PAGE_WORDS - 1) / LBVS_PAGE_WORDS, page;
    int r;

    if (n <= table->n)
        return 0;
    r = firewall_store_pages(cross->store, n_pages, &page);
    if (r < 0)
        return r;
    table->n = n_pages * LBVS_PAGE_WORDS;
    table->lists = page * LBVS_PAGE_WORDS;
    return 0;
}

/* Lists, pairs, the vectors of both fields. */
static int cross_write(struct cross *cross, struct firewall_cross *table)
{
    uint32_t rows = cross->sources.index.n, columns = cross->destinations.index.n, n = rows * columns, *words;
    uint32_t n_listed = cross->n_lists * LBVS_LINE_WORDS;
    int r;

    r = cross_pages(cross, n_listed + n + rows + columns, table);
    if (r < 0)
        return r;
    table->columns = columns;
    table->pairs = table->lists + n_listed;
    table->sources = table->pairs + n;
    table->destinations = table->sources + rows;
    words = cross->store->pages[table->lists / LBVS_PAGE_WORDS].words;
    memcpy(words, cross->lists, cross->n_lists * sizeof(*cross->lists));
    words += n_listed;
    for (uint32_t i = 0; i < n; i++) {
        bool listed = (cross->words[i] & (LBVS_WORD_GROUP | LBVS_WORD_LIST)) == LBVS_WORD_LIST;

        *words++ = cross->words[i] + (listed ? table->lists / LBVS_LINE_WORDS : 0);
    }
    for (uint32_t i = 0; i < rows; i++)
        *words++ = class_word(&cross->sources, i);
    for (uint32_t i = 0; i < columns; i++)
        *words++ = class_word(&cross->destinations, i);
    return rest_word(cross, &table->rest);
}

static int cross_make(struct cross *cross, struct firewall_cross *table)
{
    size_t n;
    int r;

    n = (size_t)cross->sources.index.n * cross->destinations.index.n;
    if (n > CROSS_WORDS_MAX)
        return -E2BIG;
    cross->words = malloc(n * sizeof(*cross->words));
    if (!cross->words)
        return -ENOMEM;
    r = cross_fill(cross);
    if (r >= 0)
        r = cross_vectors(cross);
    return r < 0 ? r : cross_write(cross, table);
}

/* Where only one of the fields is named, it does alone. */
static bool cross_is_wanted(const struct firewall_address *source, const struct firewall_address *destination)
{
    return source->segments.n > 1 && destination->segments.n > 1;
}

int firewall_cross_build(struct firewall_store *store, const struct firewall_address *source,
                         const struct firewall_address *destination, struct firewall_cross *table,
                         struct firewall_segments *ret_sources, struct firewall_segments *ret_destinations)
{
    _cleanup_(cross_done) struct cross cross = {.store = store};
    int r;

    if (!cross_is_wanted(source, destination))
        return -E2BIG;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(cross.rest); i++)
        cross.rest[i] = source->any[i] & destination->any[i];
    r = classes_init(&cross.sources, &source->segments);
    if (r >= 0)
        r = classes_init(&cross.destinations, &destination->segments);
    if (r >= 0)
        r = cross_make(&cross, table);
    if (r < 0)
        return r;
    *ret_sources = cross.sources.segments;
    *ret_destinations = cross.destinations.segments;
    cross.sources.segments = cross.destinations.segments = (struct firewall_segments){};
    return 0;
}
