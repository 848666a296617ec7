/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_compile_private.h"
#include <sys/mman.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "four groups are a word");

#define STORE_BYTES ((size_t)FIREWALL_PAGES_MAX * LBVS_PAGE)
#define CHUNK_WORDS (LBVS_BLOCK_RULES / 64)
/* A chunk takes as much as 8 blocks. */
#define CHUNK_BLOCKS (CHUNK_WORDS * sizeof(uint64_t) / sizeof(struct lbvs_block))
#define BLOCK_GROUPS (sizeof(struct lbvs_block) / sizeof(uint16_t))

static void intern_init(struct firewall_intern *intern, size_t key_words)
{
    if (intern->slots)
        memset(intern->slots, 0, ((size_t)intern->mask + 1) * sizeof(*intern->slots));
    intern->n = 0;
    intern->key_words = key_words;
}

void firewall_intern_done(struct firewall_intern *intern)
{
    free(intern->slots);
    free(intern->keys);
}

int firewall_store_init(struct firewall_store *store, uint32_t n_rules)
{
    uint32_t page;

    store->n_blocks = (n_rules + LBVS_BLOCK_RULES - 1) / LBVS_BLOCK_RULES;
    intern_init(&store->chunks, CHUNK_WORDS);
    intern_init(&store->vectors, store->n_blocks * sizeof(struct lbvs_block) / sizeof(uint64_t));
    if (store->pages)
        memset(store->pages, 0, (size_t)store->n_pages * LBVS_PAGE);
    store->n_pages = store->line = store->wide = store->n_lines = 0;
    /* Block 0 is the vector without a bit: no other begins there. */
    store->block = 1;
    if (store->pages)
        return firewall_store_pages(store, 1, &page);
    store->pages = mmap(NULL, STORE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (store->pages == MAP_FAILED) {
        store->pages = NULL;
        return -ENOMEM;
    }
    return firewall_store_pages(store, 1, &page);
}

void firewall_store_done(struct firewall_store *store)
{
    if (store->pages)
        (void)munmap(store->pages, STORE_BYTES);
    firewall_intern_done(&store->vectors);
    firewall_intern_done(&store->chunks);
    free(store->places);
    free(store->words);
    *store = (struct firewall_store){};
}

int firewall_store_pages(struct firewall_store *store, uint32_t n, uint32_t *ret_page)
{
    if (n > FIREWALL_PAGES_MAX - store->n_pages)
        return -ENOSPC;
    *ret_page = store->n_pages;
    store->n_pages += n;
    return 0;
}

int firewall_store_node(struct firewall_store *store, bool wide, uint32_t *ret_line)
{
    uint32_t *cursor = wide ? &store->wide : &store->line, n = wide ? 16 : 1, page;
    int r;

    if (*cursor % LBVS_PAGE_LINES == 0) {
        r = firewall_store_pages(store, 1, &page);
        if (r < 0)
            return r;
        *cursor = page * LBVS_PAGE_LINES;
    }
    *ret_line = *cursor;
    *cursor += n;
    store->n_lines += n;
    return 0;
}

uint32_t *firewall_store_words(const struct firewall_store *store, uint32_t line)
{
    return &store->pages[line / LBVS_PAGE_LINES].words[line % LBVS_PAGE_LINES * LBVS_LINE_WORDS];
}

/* ---- what is stored once ---- */

int firewall_items_grow(void *items, size_t *room, uint32_t n, size_t size)
{
    void **array = items, *grown;
    size_t wanted = ((size_t)n + 1) * size;

    if (wanted <= *room)
        return 0;
    wanted = PCN_MAX(wanted, *room * 2);
    grown = realloc(*array, wanted);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *room = wanted;
    return 0;
}

static const uint64_t *intern_words(const struct firewall_intern *intern, uint32_t number)
{
    return (const uint64_t *)(const void *)(intern->keys + (number - 1) * intern->key_words);
}

/* The slot that holds these words, or the free one where their number would stand. */
static uint32_t *intern_slot(const struct firewall_intern *intern, const uint64_t *words)
{
    uint32_t i = (uint32_t)firewall_hash(words, intern->key_words) & intern->mask;

    while (intern->slots[i] && memcmp(words, intern_words(intern, intern->slots[i]), intern->key_words * 8) != 0)
        i = (i + 1) & intern->mask;
    return &intern->slots[i];
}

static int intern_rehash(struct firewall_intern *intern)
{
    uint32_t mask = intern->slots ? intern->mask * 2 + 1 : 1023;
    uint32_t *slots = calloc((size_t)mask + 1, sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    free(intern->slots);
    intern->slots = slots;
    intern->mask = mask;
    for (uint32_t number = 1; number <= intern->n; number++)
        *intern_slot(intern, intern_words(intern, number)) = number;
    return 0;
}

int firewall_intern_number(struct firewall_intern *intern, const uint64_t *words, uint32_t *ret_number)
{
    uint32_t *slot;
    int r;

    if (!intern->slots || intern->n >= intern->mask / 2) {
        r = intern_rehash(intern);
        if (r < 0)
            return r;
    }
    slot = intern_slot(intern, words);
    if (!*slot) {
        r = firewall_items_grow(&intern->keys, &intern->room, intern->n, intern->key_words * sizeof(uint64_t));
        if (r < 0)
            return r;
        memcpy(intern->keys + intern->n * intern->key_words, words, intern->key_words * sizeof(uint64_t));
        *slot = ++intern->n;
    }
    *ret_number = *slot;
    return 0;
}

int firewall_store_chunk(struct firewall_store *store, const uint64_t *bits, struct lbvs_block *ret_block)
{
    struct lbvs_block block = {};
    uint32_t n = store->chunks.n;
    int r;

    for (unsigned int i = 0; i < CHUNK_WORDS; i++) {
        uint64_t word = bits[i];

        for (unsigned int group = i * 4; word; group++, word >>= LBVS_GROUP_RULES) {
            if (word & 0xffff)
                block.summary |= 1ull << group;
        }
    }
    if (block.summary) {
        r = firewall_intern_number(&store->chunks, bits, &block.chunk);
        if (r >= 0 && store->chunks.n > n) {
            r = firewall_items_grow(&store->places, &store->places_room, n, sizeof(*store->places));
            if (r >= 0)
                store->places[n] = (struct firewall_place){.page = FIREWALL_END};
        }
        if (r < 0)
            return r;
    }
    *ret_block = block;
    return 0;
}

/* Blocks of the page that is being filled, which the vector takes. What it has in common with others there, is there. */
static uint32_t vector_size(const struct firewall_store *store, const struct lbvs_block *blocks, uint32_t page)
{
    uint32_t size = store->n_blocks;

    for (uint32_t i = 0; i < store->n_blocks; i++) {
        if (blocks[i].chunk && store->places[blocks[i].chunk - 1].page != page)
            size += CHUNK_BLOCKS;
    }
    return size;
}

static int vector_place(struct firewall_store *store, const struct lbvs_block *blocks, uint32_t *ret_word)
{
    uint32_t page = store->block / LBVS_PAGE_BLOCKS, at = store->block % LBVS_PAGE_BLOCKS;
    struct lbvs_block *to;
    int r;

    if (at == 0 || at > LBVS_VECTOR_LAST || at + vector_size(store, blocks, page) > LBVS_PAGE_BLOCKS) {
        r = firewall_store_pages(store, 1, &page);
        if (r < 0)
            return r;
        at = 0;
    }
    *ret_word = page * LBVS_PAGE_BLOCKS + at;
    to = &store->pages[page].blocks[at];
    at += store->n_blocks;
    for (uint32_t i = 0; i < store->n_blocks; i++) {
        struct firewall_place *place = blocks[i].chunk ? &store->places[blocks[i].chunk - 1] : NULL;

        to[i] = (struct lbvs_block){.summary = blocks[i].summary};
        if (!place)
            continue;
        if (place->page != page) {
            *place = (struct firewall_place){.page = page, .group = at * BLOCK_GROUPS};
            memcpy(&store->pages[page].blocks[at], intern_words(&store->chunks, blocks[i].chunk),
                   CHUNK_WORDS * sizeof(uint64_t));
            at += CHUNK_BLOCKS;
        }
        to[i].chunk = place->group;
    }
    store->block = page * LBVS_PAGE_BLOCKS + at;
    return 0;
}

uint32_t firewall_store_group(uint32_t group, uint16_t bits)
{
    return LBVS_WORD_GROUP | group << LBVS_WORD_GROUP_AT | bits;
}

/* Where a vector has bits in one group at most, that is its word. */
static bool vector_is_group(const struct firewall_store *store, const struct lbvs_block *blocks, uint32_t *ret_word)
{
    uint32_t found = FIREWALL_END, group;
    const uint64_t *chunk;

    *ret_word = 0;
    for (uint32_t i = 0; i < store->n_blocks; i++) {
        if (!blocks[i].summary)
            continue;
        if (found != FIREWALL_END || blocks[i].summary & (blocks[i].summary - 1))
            return false;
        found = i;
    }
    if (found == FIREWALL_END)
        return true;
    group = (uint32_t)__builtin_ctzll(blocks[found].summary);
    chunk = intern_words(&store->chunks, blocks[found].chunk);
    *ret_word = firewall_store_group(found * LBVS_BLOCK_GROUPS + group, (uint16_t)(chunk[group / 4] >> group % 4 * 16));
    return true;
}

int firewall_store_vector(struct firewall_store *store, const struct lbvs_block *blocks, uint32_t *ret_word)
{
    uint32_t n = store->vectors.n, number;
    int r;

    if (vector_is_group(store, blocks, ret_word))
        return 0;
    r = firewall_intern_number(&store->vectors, (const uint64_t *)(const void *)blocks, &number);
    if (r >= 0 && store->vectors.n > n) {
        r = firewall_items_grow(&store->words, &store->words_room, n, sizeof(*store->words));
        if (r >= 0)
            r = vector_place(store, blocks, &store->words[n]);
    }
    if (r < 0)
        return r;
    *ret_word = store->words[number - 1];
    return 0;
}

int firewall_store_bits(struct firewall_store *store, const uint64_t *bits, uint32_t *ret_word)
{
    struct lbvs_block blocks[LBVS_BLOCKS_MAX];
    int r;

    for (uint32_t i = 0; i < store->n_blocks; i++) {
        r = firewall_store_chunk(store, &bits[i * LBVS_BLOCK_RULES / 64], &blocks[i]);
        if (r < 0)
            return r;
    }
    return firewall_store_vector(store, blocks, ret_word);
}
