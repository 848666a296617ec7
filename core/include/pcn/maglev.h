/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consistent hashing for balancers: Maglev (Eisenbud et al., NSDI 2016, section 3.4), with weights. The table depends on
 * the ends' names, weights and ids alone: equal nodes agree.
 */
#pragma once
#include <pcn/base.h>

#define PCN_MAGLEV_ENDS_MAX 65534u /* a place names an end in 16 bits */

/* What takes places: a backend. */
struct pcn_maglev_end {
    uint64_t name[2]; /* bytes, as they stand: an address */
    uint32_t kind;    /* of name: the same bytes of another kind are another name */
    uint32_t id;      /* tells those of one name apart */
    uint32_t weight;
    uint32_t places; /* that it has; written */
};

PCN_EXPORT bool pcn_maglev_is_prime(uint32_t n);
/*
 * For each of size places (a prime) the index of an end + 1. The order of ends does not matter. Ends of weight 0 get
 * none; ret_table is NULL if there is no other. The caller frees the table. -ENOMEM.
 */
PCN_EXPORT int pcn_maglev_make(struct pcn_maglev_end *ends, size_t n, uint32_t size, uint16_t **ret_table);
