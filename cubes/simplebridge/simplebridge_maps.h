/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The filtering database, shared by the fast path and user space.
 *
 * A hash in an array map: buckets of four slots, one cache line each; a station
 * may stand in either of its two buckets (so that 4,096 stations fit 8,192 slots
 * without one being pushed out). A slot is two words:
 *
 *     station   MAC address, port and flags: replaced whole, by compare-and-swap,
 *               by whoever writes, fast path or user space
 *     seen      jiffies of its last packet, stored after the station
 *
 * A reader that catches a new station with the old time takes it for expired,
 * and floods. Both sides look through the slots in one order and take the first
 * that matches; a second one, left by two CPUs that learned a station at the same
 * time, is never refreshed, and goes when user space sweeps.
 */
#pragma once
#include <linux/types.h>
#include <pcn/abi.h>

#define SIMPLEBRIDGE_FDB "simplebridge_fdb"
#define SIMPLEBRIDGE_DATA ".data.bridge"

#define SIMPLEBRIDGE_WAYS 4
#define SIMPLEBRIDGE_BUCKETS 2048 /* of the default size; a power of two in any */

#define SIMPLEBRIDGE_MAC ((1ull << 48) - 1) /* of a station: its address, first byte lowest */
#define SIMPLEBRIDGE_PORT_SHIFT 48
#define SIMPLEBRIDGE_VALID (1ull << 62) /* it is looked up */
#define SIMPLEBRIDGE_STATIC                                                                                            \
    (1ull << 63) /* configured: not aged, not moved, not replaced; not VALID: its port is gone */

struct simplebridge_bucket {
    __u64 stations[SIMPLEBRIDGE_WAYS]; /* 0: free */
    __u64 seen[SIMPLEBRIDGE_WAYS];
};
_Static_assert(sizeof(struct simplebridge_bucket) == 64, "a bucket is a cache line");

struct simplebridge_data {
    __u64 seed;    /* of the hash: random, so that nobody can aim at a bucket */
    __u64 aging;   /* jiffies */
    __u64 refresh; /* jiffies: `seen` is not written more often, to leave the cache line alone */
    __u32 mask;    /* buckets - 1 */
    __u32 pad;
};
_Static_assert(sizeof(struct simplebridge_data) == 32, "the same on both sides");

enum simplebridge_reason {
    SIMPLEBRIDGE_BAD_SOURCE = PCN_DROP_KIND_FIRST,
    SIMPLEBRIDGE_RESERVED,
    SIMPLEBRIDGE_SAME_PORT,
};

static inline __attribute__((always_inline)) __u64 simplebridge_station(__u64 mac, __u32 port, __u64 flags)
{
    return mac | (__u64)port << SIMPLEBRIDGE_PORT_SHIFT | flags;
}

static inline __attribute__((always_inline)) __u32 simplebridge_port(__u64 station)
{
    return (station >> SIMPLEBRIDGE_PORT_SHIFT) & (PCN_PORTS_MAX - 1);
}

/* Whether a station is VALID and has this address, whatever its port. */
static inline __attribute__((always_inline)) int simplebridge_is(__u64 station, __u64 mac)
{
    return (station & (SIMPLEBRIDGE_MAC | SIMPLEBRIDGE_VALID)) == (mac | SIMPLEBRIDGE_VALID);
}

/* The low half gives the first bucket, the high half the second. */
static inline __attribute__((always_inline)) __u64 simplebridge_hash(__u64 mac, __u64 seed)
{
    __u64 hash = (mac ^ seed) * 0x9e3779b97f4a7c15ull;

    hash ^= hash >> 32;
    return hash * 0xd6e8feb86659fd93ull;
}

static inline __attribute__((always_inline)) __u32 simplebridge_bucket_of(__u64 hash, __u32 choice, __u32 mask)
{
    return (__u32)(choice ? hash >> 40 : hash >> 16) & mask;
}
