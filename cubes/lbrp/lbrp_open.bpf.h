/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The first packet of a session. */
#pragma once
#include "lbrp_choose.bpf.h"

/* In place of a slot, or a place: it is for no service; or the reason why it is dropped. */
#define LBRP_PASS 0xffff0000u
#define LBRP_REFUSE(reason_) (0xfffe0000u | (reason_))
#define LBRP_SLOTS 0x80000000u /* what is below is one */

/* Sources that are tried, after the first one. */
#define LBRP_ATTEMPTS 256u

/* new->other is what it is to be. */
PCN_INLINE void lbrp_other_ready(struct lbrp_new *new)
{
    new->other_hash = pcn_ct_hash(&new->other, pcn_ct_settings.seed);
}

/* A place for new->other, which is ready: PCN_CT_TAKEN, or PCN_CT_NO_SLOT. */
PCN_INLINE __u32 lbrp_take(const struct lbrp_new *new)
{
    return pcn_ct_place_take_new(&new->other, new->other_hash, new->place);
}

/* A source other than the client's own: of the pool, or its address with another port. */
PCN_INLINE bool lbrp_source(struct lbrp_new *new, bool pooled, __u32 attempt)
{
    __u64 seed = new->hash >> 8, version = new->other.words[4] >> PCN_CT_VERSION_SHIFT & 0xff;
    __u32 family = version == 6, n = PCN_READ_ONCE(lbrp_data.n_pool[family]), first, last, port;

    first = PCN_READ_ONCE(lbrp_data.port_first);
    last = PCN_READ_ONCE(lbrp_data.port_last);
    if (pooled) {
        __u32 index;
        const union pcn_address *address;

        if (!n || n > LBRP_POOL_MAX)
            return false;
        index = ((__u32)seed + attempt) % n & (LBRP_POOL_MAX - 1);
        PCN_OPAQUE(index);
        address = &lbrp_data.pool[family][index & (LBRP_POOL_MAX - 1)];
        new->other.words[0] = pcn_address_word(address, 0);
        new->other.words[1] = pcn_address_word(address, 1);
    } else {
        first = 1024;
        last = 0xffff;
    }
    port = bpf_ntohs((__u16) new->own.words[4]);
    /* Its own port first, at each address. */
    if (attempt >= (pooled ? n : 1) || port < first || port > last)
        port = first + (__u32)((seed >> 16 & 0xffff) + attempt * ((seed >> 32 & 0x7fff) | 1)) % (last - first + 1);
    new->other.words[4] = (new->other.words[4] & ~0xffffull) | bpf_htons(port);
    return true;
}

/* As lbrp_take(); or a refusal. A global function: the verifier does not look at it once an attempt. */
__noinline __u32 lbrp_try_source(struct lbrp_new *new, bool pooled, __u32 attempt)
{
    __u32 place;

    if (!new || !lbrp_source(new, pooled, attempt))
        return LBRP_REFUSE(LBRP_DROP_NO_SOURCE);
    lbrp_other_ready(new);
    place = lbrp_take(new);
    return place == PCN_CT_NO_SLOT ? LBRP_REFUSE(LBRP_DROP_TABLE_FULL) : place;
}

/* One after the other. */
__noinline __u32 lbrp_take_source(struct lbrp_new *new, bool pooled)
{
    __u32 place = PCN_CT_TAKEN;

    if (!new)
        return LBRP_REFUSE(LBRP_DROP_INVALID);
    new->state |= LBRP_WHOLE;
#pragma clang loop unroll(disable)
    for (__u32 attempt = 0; attempt <= LBRP_ATTEMPTS && place == PCN_CT_TAKEN; attempt++)
        place = lbrp_try_source(new, pooled, attempt);
    return place == PCN_CT_TAKEN ? LBRP_REFUSE(LBRP_DROP_NO_SOURCE) : place;
}

/* By src-ip-rewrite. */
PCN_INLINE void lbrp_source_range(struct lbrp_new *new)
{
    __u32 source = new->own.words[0];

    if ((new->own.words[4] >> PCN_CT_VERSION_SHIFT & 0xff) != 4 ||
        (source & PCN_READ_ONCE(lbrp_data.range_mask)) != PCN_READ_ONCE(lbrp_data.range))
        return;
    new->other.words[0] = PCN_READ_ONCE(lbrp_data.new_range) | (source & ~PCN_READ_ONCE(lbrp_data.new_mask));
    new->state |= LBRP_WHOLE;
}

/* A place for the tuple as the backend is to have it, or LBRP_REFUSE(). */
PCN_INLINE __u32 lbrp_server_place(struct lbrp_new *new, const struct lbrp_vip *service)
{
    __u32 place;

    if (pcn_unlikely(service->snat))
        return lbrp_take_source(new, true);
    place = lbrp_take(new);
    if (pcn_likely(place < LBRP_SLOTS))
        return place;
    if (place == PCN_CT_NO_SLOT)
        return LBRP_REFUSE(LBRP_DROP_TABLE_FULL);
    /* It has this port in another session with the same backend, by another VIP. */
    return lbrp_take_source(new, false);
}

/* Places for both tuples, and the session in them: 0, or LBRP_REFUSE(). */
PCN_INLINE __u32 lbrp_enter(struct lbrp_new *new, const struct lbrp_vip *service)
{
    __u32 other;

    new->place = pcn_ct_place_take_new(&new->own, new->hash, PCN_CT_NO_SLOT);
    if (pcn_unlikely(new->place >= LBRP_SLOTS))
        return LBRP_REFUSE(new->place == PCN_CT_TAKEN ? LBRP_DROP_RACE : LBRP_DROP_TABLE_FULL);
    other = lbrp_server_place(new, service);
    if (pcn_unlikely(other >= LBRP_SLOTS)) {
        pcn_ct_unclaim(new->place);
        return other;
    }
    lbrp_write(new, other);
    return 0;
}

/* new: own, other and state are as they are to be, but for the source. The slot of own, or LBRP_REFUSE(). */
PCN_INLINE __u32 lbrp_take_both(struct lbrp_new *new, const struct lbrp_vip *service)
{
    __u32 bad;

    if (pcn_unlikely(PCN_READ_ONCE(lbrp_data.ranged)))
        lbrp_source_range(new);
    lbrp_other_ready(new);
    new->number = lbrp_take_session(new->hash);
    if (new->number == PCN_CT_NO_SLOT)
        return LBRP_REFUSE(LBRP_DROP_TABLE_FULL);
    bad = lbrp_enter(new, service);
    if (pcn_unlikely(bad)) {
        pcn_ct_number_give(new->number);
        return bad;
    }
    PCN_CT_COUNT(created);
    return new->number;
}

/*
 * As lbrp_take_both(), and counted. Before: what is counted for all CPUs waits until all that was written before has left
 * this one, and the session is a new line.
 */
PCN_INLINE __u32 lbrp_establish(struct lbrp_new *new, const struct lbrp_vip *service)
{
    struct lbrp_load *load = lbrp_load_at(new->state & 0xffff);
    __u32 slot;

    if (!load)
        return LBRP_REFUSE(LBRP_DROP_INVALID);
    __sync_fetch_and_add(&load->sessions, LBRP_ONE_MORE);
    slot = lbrp_take_both(new, service);
    if (pcn_unlikely(slot >= LBRP_SLOTS))
        lbrp_release(new->state, LBRP_ONE_MORE);
    return slot;
}

PCN_INLINE bool lbrp_is_icmp(const struct pcn_packet *packet)
{
    return packet->l4_protocol == IPPROTO_ICMP || packet->l4_protocol == IPPROTO_ICMPV6;
}

/*
 * What no session has, from a client: the slot of a new one, LBRP_PASS or LBRP_REFUSE(). flow: 0, it opens none. Of new
 * .hash, .flow, .frontend and .mac are set.
 */
__noinline __u32 lbrp_open(const struct pcn_packet *packet, struct lbrp_new *new)
{
    const struct lbrp_target *backend;
    struct lbrp_vip *service;
    __u32 ports = 0, number, end = 0;

    if (!packet || !new)
        return LBRP_PASS;
    pcn_ct_event_of(packet, &ports);
    pcn_ct_key_of(packet, ports, &new->own);
    number = lbrp_service_of(&new->own);
    service = lbrp_service_at(number);
    if (!service)
        return LBRP_PASS;
    if (pcn_unlikely(!new->flow))
        return LBRP_REFUSE(LBRP_DROP_NO_SESSION);
    if (pcn_unlikely(service->affinity))
        end = lbrp_affine(new, number, service->affinity);
    number = end ? 0 : number;
    if (pcn_likely(!end))
        end = lbrp_choose(service, new);
    backend = lbrp_backend_at(end);
    if (pcn_unlikely(!backend))
        return LBRP_REFUSE(LBRP_DROP_NO_BACKEND);
    new->state = end | (__u32)backend->epoch << LBRP_EPOCH_SHIFT | LBRP_LIVE;
    new->other = new->own;
    new->other.words[2] = pcn_address_word(&backend->address, 0);
    new->other.words[3] = pcn_address_word(&backend->address, 1);
    new->other.words[4] ^= (__u64)(LBRP_CLIENT ^ LBRP_SERVER) << PCN_CT_ZONE_SHIFT;
    if (backend->port && !lbrp_is_icmp(packet))
        new->other.words[4] = (new->other.words[4] & ~0xffff0000ull) | (__u64)backend->port
                                                                           << PCN_CT_DESTINATION_PORT_SHIFT;
    end = lbrp_establish(new, service);
    if (pcn_unlikely(service->affinity) && number && end < LBRP_SLOTS)
        lbrp_affinity_keep(new, number, service->affinity);
    return end;
}
