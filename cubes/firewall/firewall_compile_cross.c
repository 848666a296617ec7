/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source and destination as one field: a table with a word for each pair of their vectors, that of the rules
 * which both have (the first step of recursive flow classification, Gupta and McKeown, SIGCOMM 1999). Most pairs
 * leave few rules: a group, or a list of some. Rules that name neither address are kept out, every pair has them. Where
 * many pairs leave more even so, the table would be larger than what it saves, and is not made.
 */
#include "firewall_compile_private.h"

/* What a rule may cost: pairs, at 8 bytes; lists, at 64; and pairs that leave more than goes into a list, at hundreds. */
#define CROSS_PAIRS(rules_) (8 * (rules_) + 512)
#define CROSS_LISTS(rules_) ((rules_) + 64)
#define CROSS_VECTORS(rules_) ((rules_) / 8)

/* Columns of all rules together: 4 MB. */
#define CROSS_PLACES (1u << 20)

#define CROSS_VECTOR FIREWALL_END /* as a word: is to be stored */

struct list {
    uint32_t words[LBVS_LINE_WORDS];
};

struct pair {
    uint32_t word;
    uint32_t more; /* LBVS_WORD_LIST with a number of .lists */
};

#define DRAFT_WORDS (LBVS_LINE_WORDS + 1u)

/* A pair, before it is known how much there is. */
struct draft {
    uint32_t n; /* DRAFT_WORDS + 1: more than goes into a list */
    uint32_t words[DRAFT_WORDS];
};

/* Of a vector. */
union bits {
    uint64_t words[LBVS_RULES_MAX / 64];
    uint16_t groups[LBVS_RULES_MAX / LBVS_GROUP_RULES];
};

/* The different vectors of a field, and its segments with their numbers for words. */
struct classes {
    struct firewall_intern index;
    struct firewall_segments segments;
};

struct cross {
    struct firewall_store *store;
    uint32_t n_rules;
    union bits rest; /* rules that name neither address */
    struct classes sources;
    struct classes destinations;
    const uint64_t *anywhere; /* rules of any destination */
    union bits *columns;
    uint32_t *places; /* columns of a rule: from its .first to that of the next one */
    uint32_t *first;
    struct draft *drafts; /* by column */
    struct pair *pairs;
    struct list *lists;
    size_t lists_room; /* bytes */
    uint32_t n_lists;
    uint32_t n_vectors;
};

static void cross_done(struct cross *cross)
{
    firewall_intern_done(&cross->sources.index);
    firewall_intern_done(&cross->destinations.index);
    free(cross->sources.segments.items);
    free(cross->destinations.segments.items);
    free(cross->columns);
    free(cross->places);
    free(cross->first);
    free(cross->drafts);
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

/* The bits of a word's vector, one after the other. */
static void bits_of(const struct firewall_store *store, uint32_t word, union bits *ret_bits)
{
    const union lbvs_page *page = &store->pages[word / LBVS_PAGE_BLOCKS];
    const struct lbvs_block *blocks = &page->blocks[word % LBVS_PAGE_BLOCKS];

    memset(ret_bits, 0, sizeof(*ret_bits));
    if (word & LBVS_WORD_GROUP) {
        ret_bits->groups[(word & ~LBVS_WORD_GROUP) >> LBVS_WORD_GROUP_AT] = (uint16_t)word;
        return;
    }
    for (uint32_t i = 0; word && i < store->n_blocks; i++) {
        if (blocks[i].summary)
            memcpy(&ret_bits->groups[i * LBVS_BLOCK_GROUPS], &page->groups[blocks[i].chunk],
                   LBVS_BLOCK_GROUPS * sizeof(uint16_t));
    }
}

/* The next rule of a vector, from this one on; FIREWALL_END: there is none. */
static uint32_t bits_next(const union bits *bits, uint32_t rule)
{
    uint64_t word;

    for (uint32_t i = rule / 64; i < PCN_ARRAY_SIZE(bits->words); i++, rule = 64 * i) {
        word = bits->words[i] >> rule % 64;
        if (word)
            return rule + (uint32_t)__builtin_ctzll(word);
    }
    return FIREWALL_END;
}

/* Which columns the rules are in, less those that are in all of them. -E2BIG: too much for a table that pays. */
static int cross_index(struct cross *cross)
{
    uint32_t columns = cross->destinations.index.n, total = 0;

    for (uint32_t i = 0; i < columns; i++) {
        bits_of(cross->store, class_word(&cross->destinations, i), &cross->columns[i]);
        for (uint32_t rule = 0; (rule = bits_next(&cross->columns[i], rule)) != FIREWALL_END; rule++) {
            if (firewall_bit(cross->anywhere, rule))
                continue;
            cross->first[rule]++;
            if (++total > CROSS_PLACES)
                return -E2BIG;
        }
    }
    cross->places = malloc((total + 1) * sizeof(*cross->places));
    if (!cross->places)
        return -ENOMEM;
    /* Ends first; filled downwards, they become beginnings. */
    for (uint32_t rule = 1; rule <= LBVS_RULES_MAX; rule++)
        cross->first[rule] += cross->first[rule - 1];
    for (uint32_t i = columns; i-- > 0;)
        for (uint32_t rule = 0; (rule = bits_next(&cross->columns[i], rule)) != FIREWALL_END; rule++)
            if (!firewall_bit(cross->anywhere, rule))
                cross->places[--cross->first[rule]] = i;
    return 0;
}

/* One more rule of a pair. They come in order. */
static void pair_note(struct draft *draft, uint32_t rule)
{
    uint32_t word = firewall_store_group(rule / LBVS_GROUP_RULES, (uint16_t)(1u << rule % LBVS_GROUP_RULES));

    if (draft->n && draft->n <= DRAFT_WORDS && !((draft->words[draft->n - 1] ^ word) & ~LBVS_WORD_BITS))
        draft->words[draft->n - 1] |= word;
    else if (draft->n < DRAFT_WORDS)
        draft->words[draft->n++] = word;
    else
        draft->n = DRAFT_WORDS + 1;
}

/* The pair of which that was noted. One that is too much for a list has CROSS_VECTOR. */
static int pair_make(struct cross *cross, struct draft *draft, struct pair *ret_pair)
{
    const uint32_t *words = draft->words;
    uint32_t n = draft->n;
    int r;

    draft->n = 0;
    if (n > DRAFT_WORDS) {
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

static int pair_store(struct cross *cross, const union bits *row, const union bits *column, struct pair *pair)
{
    union bits bits;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(bits.words); i++)
        bits.words[i] = row->words[i] & column->words[i];
    return firewall_store_bits(cross->store, bits.words, &pair->word);
}

/* ---- the table ---- */

static void row_of(const struct cross *cross, uint32_t number, union bits *ret_row)
{
    bits_of(cross->store, class_word(&cross->sources, number), ret_row);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(ret_row->words); i++)
        ret_row->words[i] &= ~cross->rest.words[i];
}

/* By the rules of the row, each of which is in few columns: most pairs have none. */
static int cross_row(struct cross *cross, uint32_t number)
{
    uint32_t columns = cross->destinations.index.n;
    struct pair *pairs = &cross->pairs[(size_t)number * columns];
    union bits row;
    int r = 0;

    row_of(cross, number, &row);
    for (uint32_t rule = 0; (rule = bits_next(&row, rule)) != FIREWALL_END; rule++) {
        if (firewall_bit(cross->anywhere, rule)) {
            for (uint32_t i = 0; i < columns; i++)
                pair_note(&cross->drafts[i], rule);
        }
        for (uint32_t i = cross->first[rule]; i < cross->first[rule + 1]; i++)
            pair_note(&cross->drafts[cross->places[i]], rule);
    }
    for (uint32_t i = 0; i < columns && r >= 0; i++)
        r = pair_make(cross, &cross->drafts[i], &pairs[i]);
    return r;
}

/* Pairs of a row that are too much for lists. */
static int cross_row_vectors(struct cross *cross, uint32_t number)
{
    uint32_t columns = cross->destinations.index.n;
    struct pair *pairs = &cross->pairs[(size_t)number * columns];
    union bits row;
    int r = 0;

    row_of(cross, number, &row);
    for (uint32_t i = 0; i < columns && r >= 0; i++)
        if (pairs[i].word == CROSS_VECTOR)
            r = pair_store(cross, &row, &cross->columns[i], &pairs[i]);
    return r;
}

/* -E2BIG: it does not pay. */
static int cross_fill(struct cross *cross)
{
    uint32_t rows = cross->sources.index.n;
    int r = cross_index(cross);

    for (uint32_t i = 0; i < rows && r >= 0; i++) {
        r = cross_row(cross, i);
        if (cross->n_vectors > CROSS_VECTORS(cross->n_rules) || cross->n_lists > CROSS_LISTS(cross->n_rules))
            return -E2BIG;
    }
    for (uint32_t i = 0; i < rows && cross->n_vectors && r >= 0; i++)
        r = cross_row_vectors(cross, i);
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
    if (cross->n_lists)
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
    return firewall_store_bits(cross->store, cross->rest.words, &table->rest);
}

static int cross_make(struct cross *cross, struct firewall_cross *table)
{
    size_t n;
    int r;

    n = (size_t)cross->sources.index.n * cross->destinations.index.n;
    if (n > CROSS_PAIRS(cross->n_rules))
        return -E2BIG;
    cross->pairs = malloc(n * sizeof(*cross->pairs));
    cross->columns = malloc(cross->destinations.index.n * sizeof(*cross->columns));
    cross->first = calloc(LBVS_RULES_MAX + 1, sizeof(*cross->first));
    cross->drafts = calloc(cross->destinations.index.n, sizeof(*cross->drafts));
    if (!cross->pairs || !cross->columns || !cross->first || !cross->drafts)
        return -ENOMEM;
    r = cross_fill(cross);
    return r < 0 ? r : cross_write(cross, table);
}

/* Where only one of the fields is named, it does alone. */
static bool cross_is_wanted(const struct firewall_address *source, const struct firewall_address *destination)
{
    return source->segments.n > 1 && destination->segments.n > 1;
}

int firewall_cross_build(struct firewall_store *store, uint32_t n_rules, const struct firewall_address *source,
                         const struct firewall_address *destination, struct firewall_cross *table,
                         struct firewall_segments *ret_sources, struct firewall_segments *ret_destinations)
{
    _cleanup_(cross_done) struct cross cross = {.store = store, .n_rules = n_rules, .anywhere = destination->any};
    int r;

    if (!cross_is_wanted(source, destination))
        return -E2BIG;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(cross.rest.words); i++)
        cross.rest.words[i] = source->any[i] & destination->any[i];
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
