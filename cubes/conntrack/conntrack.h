/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "conntrack_maps.h"
#include <pcn/cube.h>

/* ---- the table of flows: the fast path's memory, words taken away by compare-and-swap ---- */

struct conntrack_table {
    struct pcn_ct_bucket *buckets;
    struct pcn_ct_entry *entries;
    const struct pcn_ct_traffic *traffic; /* NULL: nothing is counted */
    struct pcn_ct_settings *settings;
    const struct pcn_ct_statistics *statistics; /* PCN_CPUS_MAX */
    uint32_t n_slots;
};

/* A flow, copied. */
struct conntrack_flow {
    uint32_t slot;
    uint64_t word;
    struct pcn_ct_key key;
};

/* The flow in a place: false where there is none, or it has expired. now: jiffies. */
bool conntrack_table_get(const struct conntrack_table *table, uint32_t slot, uint64_t now,
                         struct conntrack_flow *ret_flow);
/* The flow of a packet, of either direction. -ENOENT. */
int conntrack_table_find(const struct conntrack_table *table, const struct pcn_ct_key *key, uint64_t now,
                         struct conntrack_flow *ret_flow);
/* Whatever its state has become meanwhile; false: it was gone already. */
bool conntrack_table_remove(struct conntrack_table *table, const struct conntrack_flow *flow);
/* Takes away what has expired, of slots [first, first + n). Returns how many other flows there are. */
uint32_t conntrack_table_sweep(struct conntrack_table *table, uint32_t first, uint32_t n, uint64_t now);
/* Sum over the CPUs. */
struct pcn_ct_statistics conntrack_table_statistics(const struct conntrack_table *table);

/* ---- keys as text ---- */

/* What a flow must have to be meant. */
struct conntrack_filter {
    struct pcn_ct_key key;
    struct pcn_ct_key mask;
};

/* A field that is NULL, or a port below 0, does not matter. -EINVAL: none can match (addresses of two families). */
int conntrack_filter_make(const char *src, const char *dst, const char *l4proto, int sport, int dport,
                          struct conntrack_filter *ret_filter);
bool conntrack_filter_matches(const struct conntrack_filter *filter, const struct pcn_ct_key *key);

/* ---- the instance ---- */

struct conntrack {
    struct conntrack_table table;
    uint32_t cursor; /* of the sweep */
};
