/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "simplebridge_maps.h"
#include <pcn/cube.h>
#include <uthash.h>

/* ---- the filtering database: the fast path's memory, written to by compare-and-swap ---- */

/* A slot is known by the address of its station word; its `seen` stands SIMPLEBRIDGE_WAYS words behind. */
struct simplebridge_table {
    struct simplebridge_bucket *buckets;
    uint32_t n_buckets;
    struct simplebridge_data *data;
};

/* What a sweep takes away, besides what is expired. */
struct simplebridge_sweep {
    uint64_t now;                          /* jiffies */
    bool (*keep)(uint16_t id, void *data); /* NULL: none is kept */
    void *data;
};

/* "aa:bb:cc:dd:ee:ff", as the model has checked it. */
uint64_t simplebridge_mac_parse(const char *text);
void simplebridge_mac_format(uint64_t mac, char ret_text[18]);

/* The slot of a station that packets find; NULL: none. ret_station may be NULL. */
__u64 *simplebridge_table_find(const struct simplebridge_table *table, uint64_t mac, __u64 *ret_station);
/*
 * Takes a slot for a configured station, where it is not found yet: a free one, or that of the learned
 * station that was silent for longest. NULL: both its buckets hold configured stations only.
 */
__u64 *simplebridge_table_reserve(struct simplebridge_table *table, uint64_t mac);
/* Makes it found, and takes away what was learned of it; port below 0: it is not found any more, but keeps the slot. */
void simplebridge_table_publish(struct simplebridge_table *table, __u64 *slot, uint64_t mac, int port);
void simplebridge_table_release(__u64 *slot);
/* Whether a learned station, which `station` and `slot` are of, still counts; ret_age: seconds, may be NULL. */
bool simplebridge_table_is_fresh(const struct simplebridge_table *table, uint64_t station, const __u64 *slot,
                                 uint64_t now, uint32_t *ret_age);
/* Takes away learned stations of buckets [first, first + n): expired ones, second copies, those of ports not kept. */
void simplebridge_table_sweep(struct simplebridge_table *table, uint32_t first, uint32_t n,
                              const struct simplebridge_sweep *sweep);
/* -ENOENT: it was not learned. */
int simplebridge_table_forget(struct simplebridge_table *table, uint64_t mac);

/* ---- the instance ---- */

/* A configured station. It outlives its port: it comes back to life with a port of that name. */
struct simplebridge_static {
    uint64_t mac;
    __u64 *slot;
    char *port;
    UT_hash_handle hh; /* by mac */
};

struct simplebridge {
    struct simplebridge_table table;
    struct simplebridge_static *statics;
    uint32_t aging; /* seconds */
    uint32_t cursor;
    bool purge;       /* sweep all at the next tick: packets under way may have been learned from a port that went */
    bool established; /* the cube's creation is over */
};
