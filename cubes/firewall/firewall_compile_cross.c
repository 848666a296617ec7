/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source and destination as one field: a table with a word for each pair of their vectors, that of the rules
 * which both have (the first step of recursive flow classification, Gupta and McKeown, SIGCOMM 1999). Most pairs
 * leave few rules: a group, or a list of some. Rules that name neither address are kept out, every pair has them. Where
 * many pairs leave more even so, the table would be larger than what it saves, and is not made.
 */
#include "firewall_compile_private.h"

#define CROSS_PAIRS_MAX (128u * 1024)
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

struct pair {
    uint32_t word;
    uint32_t more; /* LBVS_WORD_LIST with a number of .lists */
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
    struct pair *pairs;
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
    free(cross->pairs);
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

#define GROUPS_MAX (LBVS_RULES_MAX / LBVS_GROUP_RULES)

/* A vector with its groups one after the other; without the rest. */
struct row {
    uint64_t summary[LBVS_BLOCKS_MAX];
    uint16_t groups[GROUPS_MAX]; /* those that the summary has */
};

static uint32_t word_group(uint32_t word)
{
    return (word & ~LBVS_WORD_GROUP) >> LBVS_WORD_GROUP_AT;
}

static void row_set(const struct cross *cross, struct row *row, uint32_t group, uint16_t bits)
{
    bits &= (uint16_t) ~(cross->rest[group / 4] >> group % 4 * LBVS_GROUP_RULES);
    row->groups[group] = bits;
    if (bits)
        row->summary[group / LBVS_BLOCK_GROUPS] |= 1ull << group % LBVS_BLOCK_GROUPS;
}

static void row_read(const struct cross *cross, uint32_t word, struct row *ret_row)
{
    const union lbvs_page *page = &cross->store->pages[word / LBVS_PAGE_BLOCKS];
    const struct lbvs_block *blocks = &page->blocks[word % LBVS_PAGE_BLOCKS];

    memset(ret_row->summary, 0, sizeof(ret_row->summary));
    if (word & LBVS_WORD_GROUP) {
        row_set(cross, ret_row, word_group(word), (uint16_t)word);
        return;
    }
    for (uint32_t i = 0; word && i < cross->store->n_blocks; i++) {
        for (uint64_t groups = blocks[i].summary; groups; groups &= groups - 1) {
            uint32_t group = (uint32_t)__builtin_ctzll(groups);

            row_set(cross, ret_row, i * LBVS_BLOCK_GROUPS + group, page->groups[blocks[i].chunk + group]);
        }
    }
}

/* Groups of what a row and a vector have in common, up to n of them. How many: n + 1, if there are more. */
static uint32_t common_groups(struct cross *cross, const struct row *row, uint32_t word, uint32_t *ret_words,
                              uint32_t n)
{
    const union lbvs_page *page = &cross->store->pages[word / LBVS_PAGE_BLOCKS];
    const struct lbvs_block *blocks = &page->blocks[word % LBVS_PAGE_BLOCKS];
    uint32_t found = 0;

    for (uint32_t i = 0; i < cross->store->n_blocks; i++) {
        for (uint64_t groups = row->summary[i] & blocks[i].summary; groups; groups &= groups - 1) {
            uint32_t group = (uint32_t)__builtin_ctzll(groups), number = i * LBVS_BLOCK_GROUPS + group;
            uint16_t bits = row->groups[number] & page->groups[blocks[i].chunk + group];

            cross->n_steps++;
            if (!bits)
                continue;
            if (found == n)
                return n + 1;
            ret_words[found++] = firewall_store_group(number, bits);
        }
    }
    return found;
}

static uint32_t common_words(struct cross *cross, const struct row *row, uint32_t word, uint32_t *ret_words, uint32_t n)
{
    uint32_t group = word_group(word);
    uint16_t bits = 0;

    if (!(word & LBVS_WORD_GROUP))
        return word ? common_groups(cross, row, word, ret_words, n) : 0;
    if (row->summary[group / LBVS_BLOCK_GROUPS] >> group % LBVS_BLOCK_GROUPS & 1)
        bits = row->groups[group] & (uint16_t)word;
    ret_words[0] = firewall_store_group(group, bits);
    return bits != 0;
}

static int common_store(struct cross *cross, const struct row *row, uint32_t word, uint32_t *ret_word)
{
    uint64_t bits[LBVS_RULES_MAX / 64] = {};
    uint32_t words[GROUPS_MAX], n = common_words(cross, row, word, words, GROUPS_MAX);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t group = word_group(words[i]);

        bits[group / 4] |= (uint64_t)(words[i] & LBVS_WORD_BITS) << group % 4 * LBVS_GROUP_RULES;
    }
    return firewall_store_bits(cross->store, bits, ret_word);
}

static int common_pair(struct cross *cross, const struct row *row, uint32_t word, struct pair *ret_pair)
{
    uint32_t words[LBVS_LINE_WORDS + 1], n;
    int r;

    n = common_words(cross, row, word, words, PCN_ARRAY_SIZE(words));
    if (n > PCN_ARRAY_SIZE(words)) {
        *ret_pair = (struct pair){.word = CROSS_VECTOR};
        cross->n_vectors++;
        return 0;
    }
    *ret_pair = (struct pair){.word = n ? words[0] : 0, .more = n > 1 ? words[1] : 0};
    if (n <= 2)
        return 0;
    r = firewall_items_grow(&cross->lists, &cross->lists_room, cross->n_lists, sizeof(*cross->lists));
    if (r < 0)
        return r;
    cross->lists[cross->n_lists] = (struct list){};
    memcpy(cross->lists[cross->n_lists].words, &words[1], (n - 1) * sizeof(*words));
    ret_pair->more = LBVS_WORD_LIST | cross->n_lists++;
    return 0;
}

/* ---- the table ---- */

/* -E2BIG: it does not pay. */
static int cross_fill(struct cross *cross)
{
    uint32_t rows = cross->sources.index.n, columns = cross->destinations.index.n;
    uint32_t limit = PCN_MIN(CROSS_VECTORS_MAX, rows * columns / CROSS_VECTORS_PART);
    struct row row;
    int r;

    for (uint32_t i = 0; i < rows; i++) {
        row_read(cross, class_word(&cross->sources, i), &row);
        for (uint32_t j = 0; j < columns; j++) {
            r = common_pair(cross, &row, class_word(&cross->destinations, j), &cross->pairs[i * columns + j]);
            if (r < 0)
                return r;
        }
        if (cross->n_vectors > limit || cross->n_lists > CROSS_LISTS_MAX || cross->n_steps > CROSS_STEPS_MAX)
            return -E2BIG;
    }
    return 0;
}

/* Those that go into no list: now it is known that there are few. */
static int cross_vectors(struct cross *cross)
{
    uint32_t rows = cross->sources.index.n, columns = cross->destinations.index.n;
    struct row row;
    int r = 0;

    for (uint32_t i = 0; cross->n_vectors && i < rows && r >= 0; i++) {
        row_read(cross, class_word(&cross->sources, i), &row);
        for (uint32_t j = 0; j < columns && r >= 0; j++) {
            struct pair *pair = &cross->pairs[i * columns + j];

            if (pair->word == CROSS_VECTOR)
                r = common_store(cross, &row, class_word(&cross->destinations, j), &pair->word);
        }
    }
    return r;
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

    r = cross_pages(cross, n_listed + 2 * n + rows + columns, table);
    if (r < 0)
        return r;
    table->columns = columns;
    table->pairs = (table->lists + n_listed) / 2;
    table->sources = 2 * (table->pairs + n);
    table->destinations = table->sources + rows;
    words = cross->store->pages[table->lists / LBVS_PAGE_WORDS].words;
    memcpy(words, cross->lists, cross->n_lists * sizeof(*cross->lists));
    words += n_listed;
    for (uint32_t i = 0; i < n; i++) {
        const struct pair *pair = &cross->pairs[i];

        *words++ = pair->word;
        *words++ = pair->more + (pair->more & LBVS_WORD_LIST ? table->lists / LBVS_LINE_WORDS : 0);
    }
    for (uint32_t i = 0; i < rows; i++)
        *words++ = class_word(&cross->sources, i);
    for (uint32_t i = 0; i < columns; i++)
        *words++ = class_word(&cross->destinations, i);
    return firewall_store_bits(cross->store, cross->rest, &table->rest);
}

static int cross_make(struct cross *cross, struct firewall_cross *table)
{
    size_t n;
    int r;

    n = (size_t)cross->sources.index.n * cross->destinations.index.n;
    if (n > CROSS_PAIRS_MAX)
        return -E2BIG;
    cross->pairs = malloc(n * sizeof(*cross->pairs));
    if (!cross->pairs)
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
