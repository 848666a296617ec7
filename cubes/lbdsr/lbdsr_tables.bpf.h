/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Services, backends and connections, read: see lbdsr_maps.h. */
#pragma once
#include "lbdsr_maps.h"
#include <pcn/cube.bpf.h>

struct lbdsr_bucket lbdsr_keys[PCN_TRIMMED(LBDSR_BUCKETS_MAX, struct lbdsr_bucket)] SEC(LBDSR_KEYS);
struct lbdsr_vip lbdsr_vips[PCN_TRIMMED(LBDSR_VIPS_MAX, struct lbdsr_vip)] SEC(LBDSR_VIPS);
__u16 lbdsr_places[PCN_TRIMMED(LBDSR_PLACES_MAX, __u16)] SEC(LBDSR_PLACES);
struct lbdsr_target lbdsr_backends[PCN_TRIMMED(LBDSR_BACKENDS_MAX + 1, struct lbdsr_target)] SEC(LBDSR_BACKENDS);
struct lbdsr_count lbdsr_counts[PCN_TRIMMED(LBDSR_COUNTS_MAX, struct lbdsr_count)] SEC(LBDSR_COUNTS);
struct lbdsr_flows lbdsr_flows[PCN_TRIMMED(LBDSR_FLOW_BUCKETS_MAX, struct lbdsr_flows)] SEC(LBDSR_FLOWS);

const volatile struct lbdsr_sizes lbdsr_sizes = {};
struct lbdsr_data lbdsr_data SEC(LBDSR_DATA) = {};

/* ---- services ---- */

PCN_INLINE const struct lbdsr_vip *lbdsr_vip_at(__u64 number)
{
    if (!number || number >= lbdsr_sizes.n_vips)
        return NULL;
    /* Computed behind the check, or the verifier does not see it; here and below. */
    PCN_OPAQUE(number);
    return &lbdsr_vips[number];
}

/* Number of the vip with exactly this; 0: there is none. port: network order. */
PCN_INLINE __u32 lbdsr_vip_find(const union pcn_address *address, __u16 port, __u32 protocol, __u32 domain)
{
    __u64 hash = lbdsr_key_hash(address, port, protocol, domain);

#pragma unroll
    for (__u32 choice = 0; choice < 2; choice++) {
        __u64 index = lbdsr_key_bucket(hash, choice, lbdsr_sizes.key_mask);
        const struct lbdsr_bucket *bucket;

        PCN_OPAQUE(index);
        bucket = &lbdsr_keys[index];
#pragma unroll
        for (int way = 0; way < LBDSR_KEY_WAYS; way++) {
            __u64 word = PCN_READ_ONCE(bucket->words[way]);
            const struct lbdsr_vip *vip;

            if (pcn_likely((word ^ hash) >> 32))
                continue;
            vip = lbdsr_vip_at((__u32)word);
            if (vip && vip->address.v6[0] == address->v6[0] && vip->port == port && vip->protocol == protocol &&
                vip->domain == domain && vip->address.v6[1] == address->v6[1] && vip->address.v6[2] == address->v6[2] &&
                vip->address.v6[3] == address->v6[3])
                return (__u32)word;
        }
    }
    return 0;
}

/* What is not found by its port. */
__noinline __u32 lbdsr_vip_wildcard(const union pcn_address *address, __u8 protocol, __u32 domain)
{
    __u8 shapes = PCN_READ_ONCE(lbdsr_data.shapes);
    __u32 vip = 0;

    if (!address)
        return 0;
    if (shapes & LBDSR_HAS_PROTOCOL)
        vip = lbdsr_vip_find(address, 0, protocol, domain);
    if (!vip && shapes & LBDSR_HAS_ALL)
        vip = lbdsr_vip_find(address, 0, LBDSR_ALL, domain);
    return vip;
}

/* What it was taken out of, see lbdsr_segment.bpf.h; 0: it was in none. */
PCN_INLINE __u32 *lbdsr_segment_now(void)
{
    return &lbdsr_data.statistics[bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1)].segment;
}

/* Where there are segments. Global, so that the verifier has one way through it. */
__noinline __u32 lbdsr_tenant_any(void)
{
    const struct pcn_packet *packet = pcn_packet_get();
    __u32 segment = *lbdsr_segment_now();

    if (segment || !(PCN_READ_ONCE(lbdsr_data.shapes) & LBDSR_HAS_VLAN) || !packet->n_vlans)
        return segment;
    return packet->vlan_tci & 0xfff;
}

/* The tenant that a packet is of; 0 where there are none. */
PCN_INLINE __u32 lbdsr_tenant(const struct pcn_packet *packet)
{
    __u32 shapes = PCN_READ_ONCE(lbdsr_data.shapes);

    if (pcn_likely(!(shapes & LBDSR_HAS_TENANT)))
        return 0;
    if (shapes & LBDSR_HAS_SEGMENT)
        return lbdsr_tenant_any();
    return packet->n_vlans ? packet->vlan_tci & 0xfff : 0;
}

/* Flows of two tenants are not the same, whatever addresses they have. */
PCN_INLINE __u64 lbdsr_seed(__u32 tenant)
{
    __u64 seed = PCN_READ_ONCE(lbdsr_data.hash_seed);

    return pcn_unlikely(tenant) ? seed ^ tenant * 0x9e3779b97f4a7c15ull : seed;
}

/* The closest service in a domain; ports: the VIP's in the upper half. */
PCN_INLINE __u32 lbdsr_vip_in(const union pcn_address *address, __u32 ports, __u32 protocol, __u32 domain)
{
    __u32 vip = 0;

    if (pcn_likely(ports && PCN_READ_ONCE(lbdsr_data.shapes) & LBDSR_HAS_PORT))
        vip = lbdsr_vip_find(address, ports >> 16, protocol, domain);
    return vip ? vip : lbdsr_vip_wildcard(address, protocol, domain);
}

static __noinline __u32 lbdsr_vip_of_tenant(const union pcn_address *address, __u32 ports, __u32 protocol, __u32 domain)
{
    return lbdsr_vip_in(address, ports, protocol, domain);
}

/* The tenant's, or, if that is a VLAN, one of all. */
PCN_INLINE __u32 lbdsr_vip_closest(const union pcn_address *address, __u32 ports, __u32 protocol, __u32 version,
                                   __u32 tenant)
{
    __u32 vip = 0;

    if (pcn_unlikely(tenant)) {
        vip = lbdsr_vip_of_tenant(address, ports, protocol, lbdsr_domain(version, tenant));
        if (tenant >= LBDSR_SEGMENTS)
            return vip;
    }
    return vip ? vip : lbdsr_vip_in(address, ports, protocol, lbdsr_domain(version, 0));
}

/* Whether segments arrive at this address. */
static __noinline __u32 lbdsr_is_tunnel(const union pcn_address *address, __u32 version)
{
    const __u32 *ours = lbdsr_data.tunnel6;

    if (version == 4)
        return address->v4 && address->v4 == PCN_READ_ONCE(lbdsr_data.tunnel);
    return address->v6[0] && address->v6[3] == PCN_READ_ONCE(ours[3]) && address->v6[0] == PCN_READ_ONCE(ours[0]) &&
           address->v6[1] == PCN_READ_ONCE(ours[1]) && address->v6[2] == PCN_READ_ONCE(ours[2]);
}

/* Whether somebody asks for one of our addresses. */
__noinline __u32 lbdsr_is_vip(const union pcn_address *address, __u8 version)
{
    __u32 tenant = lbdsr_tenant(pcn_packet_get()), vip = 0;

    if (!address)
        return 0;
    if (tenant)
        vip = lbdsr_vip_find(address, 0, LBDSR_ADDRESS, lbdsr_domain(version, tenant));
    if (vip || tenant >= LBDSR_SEGMENTS)
        return vip;
    return lbdsr_is_tunnel(address, version) || lbdsr_vip_find(address, 0, LBDSR_ADDRESS, lbdsr_domain(version, 0));
}

/* ---- backends ---- */

PCN_INLINE const struct lbdsr_target *lbdsr_backend_at(__u64 number)
{
    if (!number || number >= lbdsr_sizes.n_backends)
        return NULL;
    PCN_OPAQUE(number);
    return &lbdsr_backends[number];
}

PCN_INLINE void lbdsr_count(struct pcn_ctx *ctx, __u32 cpu, __u32 backend)
{
    __u64 index = (__u64)cpu * lbdsr_sizes.n_backends + backend;
    struct lbdsr_count *count;

    if (pcn_unlikely(index >= lbdsr_sizes.n_counts))
        return;
    PCN_OPAQUE(index);
    count = &lbdsr_counts[index];
    count->packets++;
    count->bytes += pcn_length(ctx);
}

PCN_INLINE union lbdsr_table lbdsr_table_of(const struct lbdsr_vip *vip)
{
    return (union lbdsr_table){.word = PCN_READ_ONCE(vip->table.word)};
}

/* By the vip's Maglev table: number of a backend; 0: there is none. */
PCN_INLINE __u32 lbdsr_choose(const struct lbdsr_vip *vip, union lbdsr_table table, const union pcn_address *client,
                              __u64 hash)
{
    __u64 index;

    if (table.affinity)
        hash = lbdsr_mix(
            lbdsr_address_hash(client, lbdsr_domain_version(vip->domain), PCN_READ_ONCE(lbdsr_data.hash_seed)), 0,
            PCN_READ_ONCE(lbdsr_data.hash_seed));
    index = table.first + lbdsr_place(hash, table.size);
    if (!table.first || index >= lbdsr_sizes.n_places)
        return 0;
    PCN_OPAQUE(index);
    return PCN_READ_ONCE(lbdsr_places[index]);
}

/* ---- connections ---- */

PCN_INLINE struct lbdsr_flows *lbdsr_flows_at(__u32 cpu, __u64 hash, __u32 choice)
{
    __u64 index = (__u64)cpu * (lbdsr_sizes.flow_mask + 1) + lbdsr_flow_bucket(hash, choice, lbdsr_sizes.flow_mask);

    if (index >= lbdsr_sizes.n_flow_buckets)
        return NULL;
    PCN_OPAQUE(index);
    return &lbdsr_flows[index];
}

/* NULL: it is not remembered. */
PCN_INLINE struct lbdsr_flow *lbdsr_flow_find(__u32 cpu, __u64 hash)
{
#pragma unroll
    for (__u32 choice = 0; choice < 2; choice++) {
        struct lbdsr_flows *bucket = lbdsr_flows_at(cpu, hash, choice);

        if (!bucket)
            return NULL;
#pragma unroll
        for (int way = 0; way < LBDSR_FLOW_WAYS; way++)
            if (bucket->flows[way].hash == hash && bucket->flows[way].word)
                return &bucket->flows[way];
        /* Places are taken in this order, and no place becomes free again: what comes behind is taken by nobody. */
        if (!bucket->flows[LBDSR_FLOW_WAYS - 1].word)
            return NULL;
    }
    return NULL;
}

/* Whether this backend is the one that a flow's word names; not: it has the number of one that is gone. */
PCN_INLINE bool lbdsr_is_flow_of(__u32 word, const struct lbdsr_target *backend)
{
    return !((word >> LBDSR_EPOCH_SHIFT ^ PCN_READ_ONCE(backend->epoch)) & LBDSR_EPOCH_BITS);
}

/* Its backend; 0: it is gone, and its number another one's. */
PCN_INLINE __u32 lbdsr_flow_backend(__u32 word)
{
    __u32 number = word & LBDSR_BACKEND_BITS;
    const struct lbdsr_target *backend = lbdsr_backend_at(number);

    return backend && lbdsr_is_flow_of(word, backend) ? number : 0;
}

/* How many places of a bucket are taken. Without branches: the processor would guess each of them wrong as often as not. */
PCN_INLINE __u64 lbdsr_flows_taken(const struct lbdsr_flows *bucket)
{
    __u64 taken = 0;

#pragma unroll
    for (int way = 0; way < LBDSR_FLOW_WAYS; way++)
        taken += PCN_NEGATIVE(-(__u64)bucket->flows[way].word);
    return taken;
}

/*
 * The place of a flow, where both buckets are full: an established one, unless it was silent for long, is never pushed
 * out: of the others the one that was silent longest makes room. NULL: there is none.
 */
PCN_INLINE struct lbdsr_flow *lbdsr_flow_oldest(__u32 cpu, __u64 hash)
{
    __u32 now = pcn_now(), timeout = PCN_READ_ONCE(lbdsr_data.timeout), best_age = 0;
    struct lbdsr_flow *best = NULL;

#pragma unroll
    for (__u32 way = 0; way < 2 * LBDSR_FLOW_WAYS; way++) {
        struct lbdsr_flows *bucket = lbdsr_flows_at(cpu, hash, way / LBDSR_FLOW_WAYS);
        struct lbdsr_flow *flow;
        __u32 age;

        if (!bucket)
            return NULL;
        flow = &bucket->flows[way % LBDSR_FLOW_WAYS];
        age = now - flow->seen;
        if (flow->word >> LBDSR_STATE_SHIFT == LBDSR_ESTABLISHED && age <= timeout && lbdsr_flow_backend(flow->word))
            continue;
        if (!best || age > best_age) {
            best = flow;
            best_age = age;
        }
    }
    return best;
}

/* Where the first bucket, which is full before the second one is begun, has no free place. */
__noinline __u32 lbdsr_flow_put_else(__u32 cpu, __u64 hash, __u32 word)
{
    struct lbdsr_tally *statistics = &lbdsr_data.statistics[cpu & (PCN_CPUS_MAX - 1)];
    struct lbdsr_flows *bucket = lbdsr_flows_at(cpu, hash, 1);
    struct lbdsr_flow *flow;
    __u64 taken;

    if (!bucket)
        return 0;
    taken = lbdsr_flows_taken(bucket);
    flow = taken < LBDSR_FLOW_WAYS ? &bucket->flows[taken] : lbdsr_flow_oldest(cpu, hash);
    if (!flow) {
        statistics->full++;
        return 0;
    }
    statistics->created++;
    if (flow->word)
        statistics->replaced++;
    *flow = (struct lbdsr_flow){.hash = hash, .seen = pcn_now(), .word = word};
    return 1;
}

/* Remembers a flow that is in no place yet, if there is one. */
PCN_INLINE void lbdsr_flow_put(__u32 cpu, __u64 hash, __u32 word)
{
    struct lbdsr_flows *bucket = lbdsr_flows_at(cpu, hash, 0);
    __u64 taken;

    if (!bucket)
        return;
    taken = lbdsr_flows_taken(bucket);
    if (pcn_unlikely(taken >= LBDSR_FLOW_WAYS)) {
        lbdsr_flow_put_else(cpu, hash, word);
        return;
    }
    PCN_OPAQUE(taken);
    taken &= LBDSR_FLOW_WAYS - 1;
    lbdsr_data.statistics[cpu & (PCN_CPUS_MAX - 1)].created++;
    bucket->flows[taken] = (struct lbdsr_flow){.hash = hash, .seen = pcn_now(), .word = word};
}

__noinline __u32 lbdsr_flow_new(__u32 cpu, __u64 hash, __u32 word)
{
    lbdsr_flow_put(cpu, hash, word);
    return 0;
}

/* What a CPU has of it, any one: for what does not come by the queue of its flow. 0: none has. */
__noinline __u32 lbdsr_flow_anywhere(__u64 hash)
{
#pragma clang loop unroll(disable)
    for (__u32 cpu = 0; cpu < PCN_CPUS_MAX && cpu < lbdsr_sizes.n_cpus; cpu++) {
        struct lbdsr_flow *flow = lbdsr_flow_find(cpu, hash);
        __u32 backend = flow ? lbdsr_flow_backend(flow->word) : 0;

        if (backend)
            return backend;
    }
    return 0;
}
