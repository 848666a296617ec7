/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Services and backends, read: see lbrp_maps.h. */
#pragma once
#include "lbrp_maps.h"
#include <pcn/cube.bpf.h>

struct lbrp_bucket lbrp_keys[PCN_TRIMMED(LBRP_BUCKETS_MAX, struct lbrp_bucket)] SEC(LBRP_KEYS);
struct lbrp_name lbrp_names[PCN_TRIMMED(LBRP_NAMES_MAX, struct lbrp_name)] SEC(LBRP_NAMES);
struct lbrp_vip lbrp_services[PCN_TRIMMED(LBRP_SERVICES_MAX + 1, struct lbrp_vip)] SEC(LBRP_SERVICES);
__u16 lbrp_places[PCN_TRIMMED(LBRP_PLACES_MAX, __u16)] SEC(LBRP_PLACES);
struct lbrp_target lbrp_backends[PCN_TRIMMED(LBRP_BACKENDS_MAX + 1, struct lbrp_target)] SEC(LBRP_BACKENDS);
struct lbrp_load lbrp_loads[PCN_TRIMMED(LBRP_BACKENDS_MAX + 1, struct lbrp_load)] SEC(LBRP_LOADS);
struct lbrp_count lbrp_counts[PCN_TRIMMED(LBRP_COUNTS_MAX, struct lbrp_count)] SEC(LBRP_COUNTS);

const volatile struct lbrp_sizes lbrp_sizes = {};
struct lbrp_data lbrp_data SEC(LBRP_DATA) = {};

/* ---- what is found by address, port and protocol ---- */

PCN_INLINE const struct lbrp_name *lbrp_name_at(__u64 index)
{
    if (index >= lbrp_sizes.n_names)
        return NULL;
    /* Computed behind the check, or the verifier does not see it; here and below. */
    PCN_OPAQUE(index);
    return &lbrp_names[index];
}

PCN_INLINE bool lbrp_name_is(const struct lbrp_name *name, __u64 high, __u64 low, __u16 port, __u32 kind, __u32 version)
{
    __u64 unlike = (pcn_address_word(&name->address, 0) ^ high) | (pcn_address_word(&name->address, 1) ^ low) |
                   (name->port ^ port) | (name->kind ^ kind) | (name->version ^ version);

    /* So that the verifier learns nothing of what they are. */
    PCN_OPAQUE(unlike);
    return !unlike;
}

/* .number of the name that has exactly this; 0: there is none. port: network order. Global: it is verified once. */
__noinline __u32 lbrp_find(__u64 high, __u64 low, __u16 port, __u32 kind, __u32 version)
{
    __u64 hash = lbrp_name_hash(high, low, port, kind, version);

#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < 2 * LBRP_KEY_WAYS; i++) {
        __u64 index = lbrp_name_bucket(hash, i / LBRP_KEY_WAYS, lbrp_sizes.key_mask), word;
        const struct lbrp_name *name;

        PCN_OPAQUE(index);
        word = PCN_READ_ONCE(*(&lbrp_keys[index].words[0] + i % LBRP_KEY_WAYS));
        if (pcn_likely((word ^ hash) >> 32))
            continue;
        name = lbrp_name_at((__u32)word);
        if (name && lbrp_name_is(name, high, low, port, kind, version))
            return PCN_READ_ONCE(name->number);
    }
    return 0;
}

/* An address that is none of a service. */
__noinline __u32 lbrp_find_address(const union pcn_address *address, __u8 kind, __u8 version)
{
    if (!address)
        return 0;
    return lbrp_find(pcn_address_word(address, 0), pcn_address_word(address, 1), 0, kind, version);
}

/* Number of the service of a packet's key; 0: there is none. Its own port and protocol come first. */
PCN_INLINE __u32 lbrp_service_of(const struct pcn_ct_key *key)
{
    __u8 shapes = PCN_READ_ONCE(lbrp_data.shapes), protocol, version;
    __u32 number = 0;
    __u16 port;
    bool icmp;

    if (!key)
        return 0;
    protocol = key->words[4] >> PCN_CT_PROTOCOL_SHIFT;
    version = key->words[4] >> PCN_CT_VERSION_SHIFT;
    port = key->words[4] >> PCN_CT_DESTINATION_PORT_SHIFT;
    icmp = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
    if (icmp) {
        protocol = IPPROTO_ICMP;
        port = 0;
    } else if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
        return 0;
    }
#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < 4 && !number; i++) {
        __u8 kind = i & 1 ? (icmp ? LBRP_ALL_ICMP : LBRP_ALL) : protocol;
        __u8 needed = i == 1 ? LBRP_HAS_ALL : i == 2 ? LBRP_HAS_ANY_PORT : LBRP_HAS_ANY_ALL;

        if (i && (!(shapes & needed) || (icmp && i > 1)))
            continue;
        number = lbrp_find(key->words[2], key->words[3], i & 2 ? 0 : port, kind, version);
        PCN_FORGET(number, key->words[0]);
    }
    return number;
}

PCN_INLINE struct lbrp_vip *lbrp_service_at(__u64 number)
{
    if (!number || number >= lbrp_sizes.n_services)
        return NULL;
    PCN_OPAQUE(number);
    return &lbrp_services[number];
}

/* ---- backends ---- */

PCN_INLINE const struct lbrp_target *lbrp_backend_at(__u64 number)
{
    if (!number || number >= lbrp_sizes.n_backends)
        return NULL;
    PCN_OPAQUE(number);
    return &lbrp_backends[number];
}

PCN_INLINE struct lbrp_load *lbrp_load_at(__u64 number)
{
    if (number >= lbrp_sizes.n_backends)
        return NULL;
    PCN_OPAQUE(number);
    return &lbrp_loads[number];
}

PCN_INLINE void lbrp_count(struct pcn_ctx *ctx, __u32 cpu, __u32 backend, bool reply)
{
    __u64 index = (__u64)cpu * lbrp_sizes.n_backends + backend;
    struct lbrp_count *count;

    if (pcn_unlikely(index >= lbrp_sizes.n_counts))
        return;
    PCN_OPAQUE(index);
    count = &lbrp_counts[index];
    count->packets[reply]++;
    count->bytes[reply] += pcn_length(ctx);
}

PCN_INLINE __u32 lbrp_place_at(__u64 index)
{
    if (index >= lbrp_sizes.n_places)
        return 0;
    PCN_OPAQUE(index);
    return PCN_READ_ONCE(lbrp_places[index]);
}
