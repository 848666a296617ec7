/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places are of all services together: which of them are whose. Tables of the usual size stand where only such could
 * stand beside them without gaps, from the first place on, all others from the last one down: once those are gone, as
 * many of the usual size fit as ever.
 */
#include "lbdsr.h"

int lbdsr_pieces_open(struct lbdsr_pieces *pieces, uint32_t n_places, uint32_t n_services, uint32_t usual)
{
    *pieces = (struct lbdsr_pieces){
        .all = calloc(n_services, sizeof(*pieces->all)), .room = n_services, .end = n_places, .usual = usual};
    return pieces->all ? 0 : -ENOMEM;
}

void lbdsr_pieces_done(struct lbdsr_pieces *pieces)
{
    free(pieces->all);
    *pieces = (struct lbdsr_pieces){};
}

int lbdsr_pieces_copy(const struct lbdsr_pieces *pieces, struct lbdsr_pieces *ret_copy)
{
    *ret_copy = *pieces;
    ret_copy->all = calloc(pieces->room, sizeof(*pieces->all));
    if (!ret_copy->all) {
        *ret_copy = (struct lbdsr_pieces){};
        return -ENOMEM;
    }
    memcpy(ret_copy->all, pieces->all, pieces->n * sizeof(*pieces->all));
    return 0;
}

/* What is free in front of a piece; index n: behind the last one. */
static struct lbdsr_piece gap_at(const struct lbdsr_pieces *pieces, size_t index)
{
    uint32_t first = index ? pieces->all[index - 1].first + pieces->all[index - 1].n : 1;
    uint32_t end = index < pieces->n ? pieces->all[index].first : pieces->end;

    return (struct lbdsr_piece){.first = first, .n = end - first};
}

static uint32_t piece_insert(struct lbdsr_pieces *pieces, size_t index, uint32_t first, uint32_t n)
{
    memmove(&pieces->all[index + 1], &pieces->all[index], (pieces->n - index) * sizeof(*pieces->all));
    pieces->all[index] = (struct lbdsr_piece){.first = first, .n = n};
    pieces->n++;
    return first;
}

/* The first place where one of the usual size stands whole, with a whole number of them in front of it; 0: none does. */
static uint32_t usual_place(const struct lbdsr_piece *gap, uint32_t n)
{
    uint32_t first = 1 + (gap->first - 1 + n - 1) / n * n;

    return first + n <= gap->first + gap->n ? first : 0;
}

uint32_t lbdsr_pieces_take(struct lbdsr_pieces *pieces, uint32_t table_size)
{
    bool usual = table_size == pieces->usual;
    uint32_t n = 2 * table_size, first;

    for (size_t i = 0; i <= pieces->n && pieces->n < pieces->room; i++) {
        size_t index = usual ? i : pieces->n - i;
        struct lbdsr_piece gap = gap_at(pieces, index);

        first = gap.n < n ? 0 : usual ? usual_place(&gap, n) : gap.first + gap.n - n;
        if (first)
            return piece_insert(pieces, index, first, n);
    }
    return 0;
}

void lbdsr_pieces_give(struct lbdsr_pieces *pieces, uint32_t first)
{
    size_t index = 0;

    while (pieces->all[index].first != first)
        index++;
    memmove(&pieces->all[index], &pieces->all[index + 1], (--pieces->n - index) * sizeof(*pieces->all));
}
