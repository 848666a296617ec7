/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maglev (Eisenbud et al., NSDI 2016, section 3.4): each backend has a permutation of the places, made of its name
 * alone; in turns they take the next one that is free. With weights, a backend of the largest weight has a turn in each
 * round, the others as often as their weight is to that one. Where each begins in its count follows from its name too:
 * else all light ones would have their first turn at once, and late.
 */
#include <pcn/maglev.h>

struct turn {
    uint32_t end; /* index */
    uint32_t weight;
    uint32_t credit;
    uint32_t place; /* the next one of its permutation */
    uint32_t skip;
};

bool pcn_maglev_is_prime(uint32_t n)
{
    if (n < 2 || (n % 2 == 0 && n != 2))
        return false;
    for (uint32_t i = 3; (uint64_t)i * i <= n; i += 2)
        if (n % i == 0)
            return false;
    return true;
}

/* A fixed mix: what it gives must be the same on every node, now and later. */
static uint64_t end_mix(const struct pcn_maglev_end *end, uint64_t seed)
{
    uint64_t hash = (end->name[0] ^ seed) * 0x9e3779b97f4a7c15ull;

    hash = (hash ^ hash >> 32 ^ end->name[1] ^ end->kind) * 0xd6e8feb86659fd93ull;
    hash = (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

static int end_compare(const struct pcn_maglev_end *a, const struct pcn_maglev_end *b)
{
    int differ;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    differ = memcmp(a->name, b->name, sizeof(a->name));
    if (differ)
        return differ;
    return a->id == b->id ? 0 : a->id < b->id ? -1 : 1;
}

static int turn_compare(const void *a, const void *b, void *data)
{
    const struct pcn_maglev_end *ends = data;
    const struct turn *left = a, *right = b;

    return end_compare(&ends[left->end], &ends[right->end]);
}

static size_t turns_make(struct pcn_maglev_end *ends, size_t n, uint32_t size, struct turn *turns,
                         uint32_t *ret_heaviest)
{
    size_t n_turns = 0;

    *ret_heaviest = 0;
    for (size_t i = 0; i < n; i++) {
        ends[i].places = 0;
        if (!ends[i].weight)
            continue;
        *ret_heaviest = PCN_MAX(*ret_heaviest, ends[i].weight);
        turns[n_turns++] = (struct turn){
            .end = (uint32_t)i,
            .weight = ends[i].weight,
            .place = (uint32_t)(end_mix(&ends[i], 0x6d61676c) % size),
            .skip = (uint32_t)(end_mix(&ends[i], 0x6576) % (size - 1)) + 1,
        };
    }
    for (size_t i = 0; i < n_turns; i++)
        turns[i].credit = (uint32_t)(end_mix(&ends[turns[i].end], 0x63726564) % *ret_heaviest);
    qsort_r(turns, n_turns, sizeof(*turns), turn_compare, ends);
    return n_turns;
}

static void turn_take(struct turn *turn, uint16_t *table, uint32_t size)
{
    while (table[turn->place]) {
        turn->place += turn->skip;
        if (turn->place >= size)
            turn->place -= size;
    }
    table[turn->place] = (uint16_t)(turn->end + 1);
}

int pcn_maglev_make(struct pcn_maglev_end *ends, size_t n, uint32_t size, uint16_t **ret_table)
{
    _cleanup_free_ struct turn *turns = calloc(n + 1, sizeof(*turns));
    _cleanup_free_ uint16_t *table = calloc(size, sizeof(*table));
    uint32_t heaviest, left = size;
    size_t n_turns;

    if (!turns || !table)
        return -ENOMEM;
    n_turns = turns_make(ends, n, size, turns, &heaviest);
    if (!n_turns) {
        *ret_table = NULL;
        return 0;
    }
    while (left) {
        for (size_t i = 0; i < n_turns && left; i++) {
            turns[i].credit += turns[i].weight;
            if (turns[i].credit < heaviest)
                continue;
            turns[i].credit -= heaviest;
            turn_take(&turns[i], table, size);
            ends[turns[i].end].places++;
            left--;
        }
    }
    *ret_table = TAKE_PTR(table);
    return 0;
}
