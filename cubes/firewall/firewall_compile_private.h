/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of the compiler, for each field alone:
 *
 *     lists of the rules ─► sets: disjoint intervals, and the rules that have them   firewall_compile_sets.c, _fields.c
 *     ─► sweep over their ends: segments of values with the same vector              firewall_compile_sweep.c
 *     ─► table or trie                                                               firewall_compile_tables.c
 *
 * before the last of which source and destination may be made one                      firewall_compile_cross.c
 *
 * Pages, and what is stored once (vectors and chunks): firewall_compile_store.c.
 */
#pragma once
#include "firewall_compile.h"
#include <pcn/base.h>

/* A value of a field: an IPv6 address is the longest. */
__extension__ typedef unsigned __int128 firewall_value;

/* ---- store ---- */

#define FIREWALL_END 0xffffffffu

/* Things that are stored once, numbered from 1 on, found by content. Open addressing; 0: free. */
struct firewall_intern {
    uint32_t *slots;
    uint32_t mask;
    uint32_t n;
    uint64_t *keys;
    size_t key_words;
    size_t room; /* bytes of keys */
};

/* Where a chunk was stored last: it is stored once a page. */
struct firewall_place {
    uint32_t page;
    uint32_t group;
};

struct firewall_store {
    union lbvs_page *pages; /* FIREWALL_PAGES_MAX, touched as they are used */
    uint32_t n_pages;
    uint32_t n_blocks;
    /* Next free one, in a page that is begun; a multiple of the page's: none is. */
    uint32_t block;
    uint32_t line;
    uint32_t wide;
    uint32_t n_lines;
    struct firewall_intern chunks;
    struct firewall_place *places; /* by chunk - 1 */
    size_t places_room;            /* bytes */
    struct firewall_intern vectors;
    uint32_t *words; /* by vector - 1 */
    size_t words_room;
};

/* Room for n + 1 items of an array that is doubled when it is full; *room: its bytes. */
int firewall_items_grow(void *items, size_t *room, uint32_t n, size_t size);
/* Number of these words, from 1 on: that of equal ones, or the next one. */
int firewall_intern_number(struct firewall_intern *intern, const uint64_t *words, uint32_t *ret_number);
void firewall_intern_done(struct firewall_intern *intern);

/* Empty; one that was in use keeps its memory. */
int firewall_store_init(struct firewall_store *store, uint32_t n_rules);
void firewall_store_done(struct firewall_store *store);
/* The first of n pages, one after the other. -ENOSPC. */
int firewall_store_pages(struct firewall_store *store, uint32_t n, uint32_t *ret_page);
/* A line, or 16. */
int firewall_store_node(struct firewall_store *store, bool wide, uint32_t *ret_line);
uint32_t *firewall_store_words(const struct firewall_store *store, uint32_t line);
/* bits: those of a block; 16 words. Of the block it makes, .chunk is a number of the store's. */
int firewall_store_chunk(struct firewall_store *store, const uint64_t *bits, struct lbvs_block *ret_block);
/* The word of a vector that has these bits alone. */
uint32_t firewall_store_group(uint32_t group, uint16_t bits);
int firewall_store_vector(struct firewall_store *store, const struct lbvs_block *blocks, uint32_t *ret_word);
/* The same of all bits: LBVS_RULES_MAX. */
int firewall_store_bits(struct firewall_store *store, const uint64_t *bits, uint32_t *ret_word);

/* ---- head ---- */

/* Which rules they are, by .n; 0: those at the head are not alike. */
struct firewall_lead firewall_lead_find(const struct firewall_rule *rules, uint32_t n);
/* Their hash table. -EAGAIN: they do not go into one. */
int firewall_lead_build(struct firewall_store *store, const struct firewall_rule *rules, struct firewall_lead *lead);

/* ---- sets ---- */

struct firewall_interval {
    firewall_value low;
    firewall_value high; /* inclusive */
};

/* Of what a rule says of a field. Equal ones want the same. The fourth word says what it is made of, but of bitmaps. */
#define FIREWALL_KEY_WORDS 5
#define FIREWALL_KEY_OF_LIST 1 /* where the items stand: as long as the rules do */
#define FIREWALL_KEY_OF_ITEM 2
#define FIREWALL_KEY_OF_SET 3

struct firewall_values {
    uint64_t key[FIREWALL_KEY_WORDS];
    uint32_t first; /* interval */
    uint32_t n;
    uint32_t rule; /* first of a list through firewall_field.next */
};

/* One field of one family: what the rules want of it. */
struct firewall_field {
    firewall_value max;
    uint32_t n_rules;
    uint32_t n_given;
    uint64_t any[LBVS_RULES_MAX / 64]; /* rules that match every value */
    uint32_t *next;                    /* by rule */
    uint32_t *set_of;                  /* by rule: its number + 1; 0: it wants nothing of the field */
    struct firewall_values *sets;
    uint32_t n_sets;
    uint32_t last; /* of them, that was looked for */
    struct firewall_intern index;
    struct firewall_interval *intervals;
    uint32_t n_intervals;
    uint32_t n_intervals_read; /* when all rules were read */
    uint32_t intervals_size;
};

/* The fields, in the order in which they are compiled. */
enum firewall_field_kind {
    FIREWALL_SOURCE4,
    FIREWALL_DESTINATION4,
    FIREWALL_SOURCE6,
    FIREWALL_DESTINATION6,
    FIREWALL_SOURCE_PORT,
    FIREWALL_DESTINATION_PORT,
    FIREWALL_ICMP,
    FIREWALL_ICMPV6,
    FIREWALL_PROTOCOL,
    FIREWALL_TCP_FLAGS,
    FIREWALL_DSCP,
    FIREWALL_STATE,
    FIREWALL_INTERFACE,
    FIREWALL_FIELD_MAX,
};

/* Of a rule: FIREWALL_KEY_WORDS that are zero become its key. false: it says nothing of the field. */
bool firewall_field_key(enum firewall_field_kind kind, const struct firewall_rule *rule, uint64_t *key);
/* What a rule with this key wants: intervals behind those that are there. -EINVAL, -ENOMEM, -E2BIG. */
int firewall_field_want(struct firewall_field *field, enum firewall_field_kind kind, const struct firewall_rule *rule,
                        const uint64_t *key);
firewall_value firewall_field_max(enum firewall_field_kind kind);
/* Fields that the rule has something to say of: bits by enum firewall_field_kind. */
uint32_t firewall_rule_fields(const struct firewall_rule *rule);

/* ---- fields ---- */

/* All of them, and which rules they are of; zeros: of none. */
struct firewall_fields {
    struct firewall_field items[FIREWALL_FIELD_MAX];
    uint64_t *stamps; /* of the rules */
    uint32_t n;       /* rules */
    uint32_t room;    /* for rules, and for sets */
    uint32_t named;   /* bits: fields that rules say, or said, something of */
};

#define FIREWALL_FIELDS_ALL ((1u << FIREWALL_FIELD_MAX) - 1)
#define FIREWALL_FIELDS_ANEW UINT32_MAX /* all rules were read again: what has changed is not known */

/*
 * They become those of these rules. ret_changed: bits by enum firewall_field_kind, those of which rules may want
 * something else than before; or FIREWALL_FIELDS_ANEW. On failure they are only good to be done with.
 */
int firewall_fields_follow(struct firewall_fields *fields, const struct firewall_rule *rules, uint32_t n,
                           uint32_t *ret_changed);
void firewall_fields_done(struct firewall_fields *fields);
/* Of what all rules want of it: equal ones make the same table. An odd number. */
uint64_t firewall_field_signature(const struct firewall_field *field);

/* ---- sweep ---- */

/* From `start` to the next one's all values have the same vector. The first one starts at 0. */
struct firewall_segment {
    firewall_value start;
    uint32_t word;
};

struct firewall_segments {
    struct firewall_segment *items;
    uint32_t n;
    uint32_t size;
};

int firewall_sweep(const struct firewall_field *field, struct firewall_store *store,
                   struct firewall_segments *ret_segments);

/* ---- source and destination ---- */

struct firewall_address {
    struct firewall_segments segments;
    uint64_t any[LBVS_RULES_MAX / 64]; /* rules that match every address */
};

/*
 * The table of all pairs; *table: none, or one that is written anew. Segments: with the numbers of rows and of columns for
 * words, to be freed. -E2BIG: it does not pay, the fields are to be looked at one by one.
 */
int firewall_cross_build(struct firewall_store *store, uint32_t n_rules, const struct firewall_address *source,
                         const struct firewall_address *destination, struct firewall_cross *table,
                         struct firewall_segments *ret_sources, struct firewall_segments *ret_destinations);

/* ---- tables ---- */

/* A table of 65,536 words: of 2^16 values, or of the first 16 of 32 bits. One that *ret_table is already is written anew. */
int firewall_table_build(struct firewall_store *store, const struct firewall_segments *segments, unsigned int bits,
                         struct firewall_table *ret_table);
/* A trie over keys of 16 bits, or 128. */
int firewall_trie16_build(struct firewall_store *store, const struct firewall_segments *segments, uint32_t *ret_word);
int firewall_trie128_build(struct firewall_store *store, const struct firewall_segments *segments, uint32_t *ret_word);
void firewall_small_fill(const struct firewall_segments *segments, uint32_t *words, uint32_t n);
/* words: by class; ifindexes: of classes 1..n. -ENOSPC: no multiplier was found, which does not happen. */
int firewall_interfaces_build(const uint32_t words[FIREWALL_CLASSES], const uint32_t *ifindexes, uint32_t n,
                              struct firewall_bank *bank);

/* Each word has a multiplier of its own, so that none waits for another's product. */
static inline uint64_t firewall_hash(const uint64_t *words, size_t n)
{
    uint64_t hash = n, factor = 0;

    for (size_t i = 0; i < n; i++) {
        factor += 0x9e3779b97f4a7c15ull;
        hash += (words[i] ^ words[i] >> 32) * (factor | 1);
    }
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
    return hash ^ hash >> 29;
}
