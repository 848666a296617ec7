/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Linear bit-vector search (Lakshman and Stiliadis, SIGCOMM 1998): each field of
 * a packet selects a vector with a bit for each rule, set if the rule matches
 * the field. The first bit of the AND of all vectors is the first rule that
 * matches the packet.
 *
 *     word ─► vector: a block for 1,024 rules      ─► chunk: their bits
 *             { summary: bit = group of 16 rules,      { 64 groups of 16 bits }
 *               chunk }
 *
 * The summaries are ANDed first; only groups that are left are looked at. It all
 * lies in pages of one array, the arena, beside the tables that lead from a
 * field's value to its vector. A vector lies in one page with its chunks: one lookup
 * finds both. Equal vectors are stored once, equal chunks once a page; where there
 * is no bit, there is no chunk. Numbers count from the first page of the ruleset,
 * `first` below.
 *
 * The first part is the layout, for both sides.
 */
#pragma once
#include <linux/types.h>

#define LBVS_RULES_MAX 16384
#define LBVS_BLOCK_RULES 1024
#define LBVS_BLOCKS_MAX (LBVS_RULES_MAX / LBVS_BLOCK_RULES)
#define LBVS_GROUP_RULES 16
#define LBVS_BLOCK_GROUPS (LBVS_BLOCK_RULES / LBVS_GROUP_RULES)
#define LBVS_PAGE 4096
#define LBVS_LINE_WORDS 16

struct lbvs_block {
    __u64 summary;
    __u32 chunk; /* number of its first group, in its page */
    __u32 pad;
};

/* Nodes of the tries are lines of 16 words. One that branches is one line, a wide one 16; one that compares is one. */
struct lbvs_skip {
    __u64 key[2];  /* host order, first 8 bytes of the address first */
    __u64 mask[2]; /* the bits that are compared */
    __u32 hit;     /* words */
    __u32 miss;
    __u32 pad[6];
};

union lbvs_page {
    __u32 words[LBVS_PAGE / 4];
    __u64 pairs[LBVS_PAGE / 8];
    __u16 groups[LBVS_PAGE / 2];
    struct lbvs_block blocks[LBVS_PAGE / 16];
    struct lbvs_skip skips[LBVS_PAGE / 64];
    __u8 bytes[LBVS_PAGE];
};
_Static_assert(sizeof(struct lbvs_block) == 16 && sizeof(struct lbvs_skip) == 64, "the same on both sides");
_Static_assert(sizeof(union lbvs_page) == LBVS_PAGE, "the same on both sides");

#define LBVS_PAGE_WORDS (LBVS_PAGE / 4)
#define LBVS_PAGE_GROUPS (LBVS_PAGE / 2)
#define LBVS_PAGE_BLOCKS (LBVS_PAGE / 16)
#define LBVS_PAGE_LINES (LBVS_PAGE / 64)
/* A vector begins no later in its page: it lies in one. */
#define LBVS_VECTOR_LAST (LBVS_PAGE_BLOCKS - LBVS_BLOCKS_MAX)

/*
 * A word of a table: the vector's first block, 0: the vector without a bit. A vector whose bits are all in one group is
 * not stored: its word is GROUP | number of the group | the bits. One of a few groups can be LIST | line: such words, the
 * first group first, and 0 where they end before the line does. Or the word leads to a node: NODE | SKIP or WIDE? | by
 * how much to shift the key, in nibbles | line.
 */
#define LBVS_WORD_NODE (1u << 31)
#define LBVS_WORD_GROUP (1u << 30) /* and not NODE */
#define LBVS_WORD_LIST (1u << 29)  /* and neither */
#define LBVS_WORD_BITS 0xffffu
#define LBVS_WORD_GROUP_AT 16
#define LBVS_WORD_SKIP (1u << 30)
#define LBVS_WORD_WIDE (1u << 29)   /* branches by 8 bits, not 4 */
#define LBVS_WORD_SECOND (1u << 28) /* keys of 128 bits: the second half is shifted */
#define LBVS_WORD_SHIFT(word) ((word) >> 22 & 0x3c)
#define LBVS_WORD_SHIFT_AT 24
#define LBVS_WORD_LINE ((1u << 24) - 1)
/* All 16 or 8 bits of a key of 32 or 16: steps at most behind the root. */
#define LBVS_STEPS_MAX 4
#define LBVS_STEPS6_MAX 32

#ifdef __bpf__
#include <pcn/common.bpf.h>

/* The arena is global data: see pcn_object_trim(). It has n_pages pages, or n_words words; behind them is nothing: NULL, 0. */
PCN_INLINE union lbvs_page *lbvs_page(union lbvs_page *arena, __u32 n_pages, __u64 number)
{
    if (number >= n_pages)
        return NULL;
    /* The address is computed behind the check, or the verifier does not see it; here and below. */
    PCN_OPAQUE(number);
    return &arena[number];
}

/* Word number `index` behind page `first`. */
PCN_INLINE __u32 lbvs_word(union lbvs_page *arena, __u32 n_words, __u32 first, __u32 index)
{
    __u64 at = index + first * LBVS_PAGE_WORDS;

    if (at >= n_words)
        return 0;
    PCN_OPAQUE(at);
    return *(&arena->words[0] + at);
}

/* Two words, number 2 * index and the one behind it, which is the upper half. */
PCN_INLINE __u64 lbvs_word_pair(union lbvs_page *arena, __u32 n_words, __u32 first, __u32 index)
{
    __u64 at = index + first * (LBVS_PAGE_WORDS / 2);

    if (at >= n_words / 2)
        return 0;
    PCN_OPAQUE(at);
    return *(&arena->pairs[0] + at);
}

/* Follows a trie whose nodes branch: keys of up to 32 bits. */
PCN_INLINE __u32 lbvs_walk(union lbvs_page *arena, __u32 n_words, __u32 first, __u64 word, __u32 key)
{
#pragma clang loop unroll(disable)
    for (int i = 0; i < LBVS_STEPS_MAX && word & LBVS_WORD_NODE; i++) {
        __u32 mask = 15 | (0xf0 & -(word >> 29 & 1));

        word = lbvs_word(arena, n_words, first,
                         (word & LBVS_WORD_LINE) * LBVS_LINE_WORDS + (key >> LBVS_WORD_SHIFT(word) & mask));
    }
    PCN_FORGET(word, key);
    return word;
}

/* Follows a trie over 128 bits, host order: its nodes branch by 4, or compare. */
PCN_INLINE __u32 lbvs_walk6(union lbvs_page *arena, __u32 n_pages, __u32 first, __u64 word, __u64 high, __u64 low)
{
#pragma clang loop unroll(disable)
    for (int i = 0; i < LBVS_STEPS6_MAX && word & LBVS_WORD_NODE; i++) {
        __u32 line = word & LBVS_WORD_LINE;
        union lbvs_page *page = lbvs_page(arena, n_pages, first + line / LBVS_PAGE_LINES);

        if (!page)
            return 0;
        line %= LBVS_PAGE_LINES;
        if (word & LBVS_WORD_SKIP) {
            const struct lbvs_skip *skip = &page->skips[line];
            __u64 differ = ((high ^ skip->key[0]) & skip->mask[0]) | ((low ^ skip->key[1]) & skip->mask[1]);

            word = differ ? skip->miss : skip->hit;
        } else {
            __u64 bits = word & LBVS_WORD_SECOND ? low : high;

            PCN_FORGET(word, high);
            word = page->words[line * LBVS_LINE_WORDS + (bits >> LBVS_WORD_SHIFT(word) & 15)];
        }
        PCN_FORGET(word, high);
    }
    return word;
}

struct lbvs_vector {
    const union lbvs_page *page;
    const struct lbvs_block *blocks;
};

/* The vector that a word leads to. .blocks NULL: no rule matches this field. */
PCN_INLINE struct lbvs_vector lbvs_vector(union lbvs_page *arena, __u32 n_pages, __u32 first, __u32 word)
{
    __u32 at = word % LBVS_PAGE_BLOCKS;
    struct lbvs_vector vector = {};
    const union lbvs_page *page;

    if (!word)
        return vector;
    page = lbvs_page(arena, n_pages, first + word / LBVS_PAGE_BLOCKS);
    PCN_OPAQUE(at);
    if (!page || at > LBVS_VECTOR_LAST)
        return vector;
    /* Again: the pointer is computed behind the check, or the verifier does not see it. */
    PCN_OPAQUE(at);
    vector.page = page;
    vector.blocks = &page->blocks[at];
    return vector;
}

/* Bits that the vector of a word has in a group; which: as in the word that is all in it. */
PCN_INLINE __u64 lbvs_group(union lbvs_page *arena, __u32 n_pages, __u32 first, __u32 word, __u32 which)
{
    __u32 group = which >> LBVS_WORD_GROUP_AT & (LBVS_RULES_MAX / LBVS_GROUP_RULES - 1);
    const struct lbvs_block *block;
    struct lbvs_vector vector;

    if (word & LBVS_WORD_GROUP)
        return (word ^ which) >> LBVS_WORD_GROUP_AT ? 0 : word & LBVS_WORD_BITS;
    vector = lbvs_vector(arena, n_pages, first, word);
    if (!vector.blocks)
        return 0;
    block = &vector.blocks[group / LBVS_BLOCK_GROUPS];
    group %= LBVS_BLOCK_GROUPS;
    if (!(block->summary >> group & 1))
        return 0;
    return vector.page->groups[(block->chunk + group) % LBVS_PAGE_GROUPS];
}

/* Number of the lowest bit, by a de Bruijn sequence: BPF has no instruction for it. */
static const __u8 lbvs_bits[64] = {0,  1,  48, 2,  57, 49, 28, 3,  61, 58, 50, 42, 38, 29, 17, 4,
                                   62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
                                   63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
                                   46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,  13, 8,  7,  6};

PCN_INLINE __u32 lbvs_lowest(__u64 bits)
{
    return lbvs_bits[(bits & -bits) * 0x03f79d71b4cb0a89ull >> 58];
}
#endif
