/* SPDX-License-Identifier: Apache-2.0 */
/* Hash tables in which a key may be in either of two buckets of words; a free word is 0. */
#pragma once
#include <linux/types.h>
#include <stddef.h>

/* Of two buckets of n words each: the first free word of the one that has more; NULL: both are full. */
static inline __u64 *pcn_buckets_room(__u64 *first, __u64 *second, int n)
{
    __u64 *buckets[] = {first, second}, *best = NULL;
    int best_free = 0;

    for (int choice = 0; choice < 2; choice++) {
        __u64 *free = NULL;
        int n_free = 0;

        for (int way = n - 1; way >= 0; way--) {
            if (buckets[choice][way])
                continue;
            free = &buckets[choice][way];
            n_free++;
        }
        if (n_free > best_free) {
            best = free;
            best_free = n_free;
        }
    }
    return best;
}
