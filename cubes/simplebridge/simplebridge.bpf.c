/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#include "simplebridge_maps.h"
#include <pcn/cube.bpf.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, SIMPLEBRIDGE_BUCKETS);
    __type(key, __u32);
    __type(value, struct simplebridge_bucket);
} simplebridge_fdb SEC(".maps");

struct simplebridge_data simplebridge_data SEC(SIMPLEBRIDGE_DATA) = {
    .mask = SIMPLEBRIDGE_BUCKETS - 1,
};

#define SIMPLEBRIDGE_MULTICAST 1ull /* group bit: the lowest of the first byte */
/* 01:80:c2:00:00:00 to 0f, which a bridge does not forward (IEEE 802.1D 7.12.6): STP, pause, LACP, LLDP... */
#define SIMPLEBRIDGE_RESERVED_MASK 0xf0ffffffffffull
#define SIMPLEBRIDGE_RESERVED_MAC 0x0000c28001ull

PCN_INLINE struct simplebridge_bucket *simplebridge_bucket(__u64 hash, __u32 choice)
{
    __u32 index = simplebridge_bucket_of(hash, choice, simplebridge_data.mask);

    return bpf_map_lookup_elem(&simplebridge_fdb, &index);
}

/* What the table says of an address, and where: 0 and NULL where it says nothing. */
PCN_INLINE __u64 simplebridge_find(__u64 mac, __u64 **ret_slot)
{
    __u64 hash = simplebridge_hash(mac, simplebridge_data.seed);

#pragma unroll
    for (__u32 choice = 0; choice < 2; choice++) {
        struct simplebridge_bucket *bucket = simplebridge_bucket(hash, choice);

        if (!bucket)
            break;
#pragma unroll
        for (int way = 0; way < SIMPLEBRIDGE_WAYS; way++) {
            __u64 station = PCN_READ_ONCE(bucket->stations[way]);

            if (simplebridge_is(station, mac)) {
                *ret_slot = &bucket->stations[way];
                return station;
            }
        }
    }
    *ret_slot = NULL;
    return 0;
}

/* A station that is new: takes a free slot, or that of the one that was silent for longest. */
static __noinline int simplebridge_learn_new(__u64 mac, __u32 port, __u64 now)
{
    __u64 hash = simplebridge_hash(mac, simplebridge_data.seed), oldest = 0, expected = 0;
    __u64 *victim = NULL;

#pragma unroll
    for (__u32 choice = 0; choice < 2; choice++) {
        struct simplebridge_bucket *bucket = simplebridge_bucket(hash, choice);

        if (!bucket)
            return 0;
#pragma unroll
        for (int way = 0; way < SIMPLEBRIDGE_WAYS; way++) {
            __u64 station = PCN_READ_ONCE(bucket->stations[way]);
            __s64 silent = now - PCN_READ_ONCE(bucket->seen[way]);
            __u64 rank = !station ? ~0ull : silent < 0 ? 1 : silent + 1;

            if (!(station & SIMPLEBRIDGE_STATIC) && rank > oldest) {
                oldest = rank;
                expected = station;
                victim = &bucket->stations[way];
            }
        }
    }
    if (!victim)
        return 0;
    /* Another CPU was faster: the station's next packet finds room. */
    if (__sync_val_compare_and_swap(victim, expected, simplebridge_station(mac, port, SIMPLEBRIDGE_VALID)) == expected)
        PCN_WRITE_ONCE(victim[SIMPLEBRIDGE_WAYS], now);
    return 0;
}

PCN_INLINE void simplebridge_learn(__u64 mac, __u32 port, __u64 now)
{
    __u64 *slot, station = simplebridge_find(mac, &slot);

    if (pcn_unlikely(!slot)) {
        simplebridge_learn_new(mac, port, now);
        return;
    }
    if (pcn_unlikely(simplebridge_port(station) != port) && !(station & SIMPLEBRIDGE_STATIC))
        __sync_val_compare_and_swap(slot, station, simplebridge_station(mac, port, SIMPLEBRIDGE_VALID));
    if ((__s64)(now - PCN_READ_ONCE(slot[SIMPLEBRIDGE_WAYS])) >= (__s64)PCN_READ_ONCE(simplebridge_data.refresh))
        PCN_WRITE_ONCE(slot[SIMPLEBRIDGE_WAYS], now);
}

PCN_INLINE enum pcn_verdict simplebridge_forward(struct pcn_packet *packet, __u64 mac, __u64 now)
{
    __u64 *slot, station = simplebridge_find(mac, &slot);

    if (!slot)
        return pcn_flood(packet);
    if (!(station & SIMPLEBRIDGE_STATIC) &&
        (__s64)(now - PCN_READ_ONCE(slot[SIMPLEBRIDGE_WAYS])) >= (__s64)PCN_READ_ONCE(simplebridge_data.aging))
        return pcn_flood(packet);
    if (simplebridge_port(station) == packet->port)
        return pcn_drop(packet, SIMPLEBRIDGE_SAME_PORT);
    return pcn_redirect(packet, simplebridge_port(station));
}

PCN_INLINE enum pcn_verdict simplebridge_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    const struct ethhdr *eth = pcn_data(ctx);
    __u64 source, destination, now = pcn_now();

    if ((const void *)(eth + 1) > pcn_data_end(ctx))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    /* Eight bytes each, of which two are the next field's. */
    destination = *(const __u64 *)eth->h_dest & SIMPLEBRIDGE_MAC;
    source = *(const __u64 *)eth->h_source & SIMPLEBRIDGE_MAC;
    if (pcn_unlikely(!source || source & SIMPLEBRIDGE_MULTICAST))
        return pcn_drop(packet, SIMPLEBRIDGE_BAD_SOURCE);
    if (!pcn_identity.dry_run)
        simplebridge_learn(source, packet->port, now);
    if (pcn_unlikely(destination & SIMPLEBRIDGE_MULTICAST)) {
        if ((destination & SIMPLEBRIDGE_RESERVED_MASK) == SIMPLEBRIDGE_RESERVED_MAC)
            return pcn_drop(packet, SIMPLEBRIDGE_RESERVED);
        return pcn_flood(packet);
    }
    return simplebridge_forward(packet, destination, now);
}

PCN_STANDARD_CUBE(simplebridge_ingress, pcn_pass);
