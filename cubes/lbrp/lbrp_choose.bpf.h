/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which backend a new session gets: by the service's algorithm, or because the client has one. */
#pragma once
#include "lbrp_session.bpf.h"

/* By a hash without a seed, so that nodes with the same services agree; of the client alone where it is to stay. */
PCN_INLINE __u32 lbrp_by_maglev(const struct lbrp_vip *service, const struct pcn_ct_key *key, __u32 first, __u32 n)
{
    __u64 hash;

    if (service->affinity)
        hash = lbrp_mix(key->words[0], key->words[1], 3);
    else
        hash = pcn_ct_hash(key, 3);
    return lbrp_place_at((__u64)first + lbrp_place(hash, n));
}

/* Backends being compared; best: the least of those that were. */
struct lbrp_least {
    __u32 first, n; /* places */
    __u32 at;       /* the next one, from first on */
    __u32 best;     /* 0: none takes sessions */
    __u64 active, weight;
};

/*
 * At most so many, and few at once: the verifier looks at each of these, and once. Without branches, of which it would
 * follow all ways: active / weight < best_active / best_weight; what takes no sessions has no weight, and is worse than all.
 */
__noinline __u32 lbrp_compare(struct lbrp_least *least, __u32 n)
{
    __u64 best, best_active, best_weight, at;

    if (!least)
        return 0;
    best = least->best;
    best_active = least->active;
    best_weight = least->weight;
    at = least->at;
#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < LBRP_COMPARED_AT_ONCE && i < n; i++) {
        __u64 number = lbrp_place_at(least->first + at), active, weight, better;

        PCN_FORGET(number, at);
        if (number >= lbrp_sizes.n_backends)
            break;
        PCN_OPAQUE(number);
        active = PCN_READ_ONCE(lbrp_loads[number].sessions) & LBRP_ACTIVE;
        weight = PCN_READ_ONCE(lbrp_backends[number].weight);
        better = PCN_NEGATIVE(active * best_weight - best_active * weight);
        best += better * (number - best);
        best_active += better * (active - best_active);
        best_weight += better * (weight - best_weight);
        at = (at + 1) * PCN_NEGATIVE(at + 1 - least->n);
    }
    least->best = best;
    least->active = best_active;
    least->weight = best_weight;
    least->at = at;
    return 0;
}

/* The least, for its weight; of equal ones the first, from another one on each time. */
PCN_INLINE __u32 lbrp_by_load(__u32 first, __u32 n, __u32 turn)
{
    struct lbrp_least least = {.first = first, .n = n, .at = turn % n, .active = 1};

#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < LBRP_COMPARED && i < n; i += LBRP_COMPARED_AT_ONCE)
        lbrp_compare(&least, n - i);
    return least.best;
}

/* ---- affinity ---- */

/* Of clients, a half is in either half of the places. */
PCN_INLINE void lbrp_affinity_key(const struct pcn_ct_key *own, __u32 number, struct pcn_ct_key *ret_key)
{
    __u32 version = own->words[4] >> PCN_CT_VERSION_SHIFT & 0xff;
    __u32 zone = LBRP_AFFINITY + (lbrp_mix(own->words[0], own->words[1], 4) & 1);

    *ret_key = (struct pcn_ct_key){{own->words[0], own->words[1], number, 0, pcn_ct_tuple(0, 0, version, zone)}};
}

/* The backend that a client has; 0: none that takes sessions. What is kept lives on. */
__noinline __u32 lbrp_affine(const struct lbrp_new *new, __u32 number, __u32 timeout)
{
    const struct lbrp_target *backend;
    struct pcn_ct_key key;
    __u32 slot, state;
    __u64 word;

    if (!new)
        return 0;
    lbrp_affinity_key(&new->own, number, &key);
    slot = pcn_ct_slot_of(&key);
    if (slot == PCN_CT_NO_SLOT)
        return 0;
    word = PCN_READ_ONCE(*pcn_ct_word_at(slot));
    state = PCN_READ_ONCE(lbrp_session_at(slot)->state);
    asm volatile("" ::: "memory");
    /* Read behind the key: another one may have taken the slot, whose hash is another one. */
    if (PCN_READ_ONCE(*pcn_ct_word_at(slot)) != word ||
        !pcn_ct_is_same_flow(word, pcn_ct_hash(&key, pcn_ct_settings.seed)))
        return 0;
    backend = lbrp_backend_of(state);
    if (!backend || backend->service != number || !(backend->flags & LBRP_TAKES)) {
        word = pcn_ct_session_seize(slot, word);
        if (word)
            pcn_ct_finish(slot, word);
        return 0;
    }
    pcn_ct_session_extend(slot, (__u32)pcn_now() + timeout);
    return state & 0xffff;
}

/* Without a free number it is not kept. It does not make room for sessions: its state is none that is turned out. */
__noinline __u32 lbrp_affinity_keep(const struct lbrp_new *new, __u32 number, __u32 timeout)
{
    struct pcn_ct_wanted wanted;
    struct pcn_ct_key key;
    __u32 kept, place;
    __u64 hash;

    if (!new)
        return 0;
    lbrp_affinity_key(&new->own, number, &key);
    hash = pcn_ct_hash(&key, pcn_ct_settings.seed);
    kept = pcn_ct_number_unused();
    if (kept == PCN_CT_NO_SLOT)
        return 0;
    place = pcn_ct_place_take_new(&key, hash, PCN_CT_NO_SLOT);
    if (pcn_unlikely(place == PCN_CT_NO_SLOT || place == PCN_CT_TAKEN)) {
        pcn_ct_number_give(kept);
        return 0;
    }
    wanted = pcn_ct_wanted_of(&key);
    pcn_ct_fill(kept, &wanted, 0);
    lbrp_session_at(kept)->state = new->state & ~(__u32)LBRP_LIVE;
    pcn_ct_session_publish(kept, place, pcn_ct_word(hash, PCN_CT_UDP_REPLIED, (__u32)pcn_now() + timeout),
                           PCN_CT_NO_SLOT, 0);
    return 0;
}

/* ---- all of it ---- */

PCN_INLINE __u32 lbrp_choose(struct lbrp_vip *service, const struct lbrp_new *new)
{
    __u64 places = PCN_READ_ONCE(service->places);
    __u32 first = places, n = places >> 32;

    if (pcn_unlikely(!n))
        return 0;
    if (pcn_likely(service->algorithm == LBRP_MAGLEV))
        return lbrp_by_maglev(service, &new->own, first, n);
    if (service->algorithm == LBRP_ROUND_ROBIN)
        return lbrp_place_at((__u64)first + __sync_fetch_and_add(&service->turn, 1) % n);
    return lbrp_by_load(first, n, __sync_fetch_and_add(&service->turn, 1));
}
