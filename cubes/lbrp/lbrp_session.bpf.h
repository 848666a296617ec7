/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Sessions, see lbrp_maps.h. The client's key is the first one. */
#pragma once
#include "lbrp_tables.bpf.h"
#include <pcn/conntrack_pair.bpf.h>

/* A session that is being made: one at a time on a CPU. Too large for the stack. */
struct lbrp_new {
    struct pcn_ct_key own; /* of the packet: of the client */
    struct pcn_ct_key other;
    __u64 hash; /* of own */
    __u64 other_hash;
    __u32 number; /* of the session: taken */
    __u32 place;  /* of own: taken */
    __u32 flow;   /* enum pcn_ct_flow */
    __u32 state;  /* of struct lbrp_session */
    __u16 frontend;
    __u8 mac[6];
};

struct lbrp_new lbrp_news[PCN_CPUS_MAX] SEC(".data.lbrpnew") = {};

PCN_INLINE struct lbrp_session *lbrp_session_at(__u64 slot)
{
    return (struct lbrp_session *)pcn_ct_own_at(slot);
}

/* Backend of a session, by its state: see struct lbrp_session. NULL: it is gone, and its number another one's. */
PCN_INLINE const struct lbrp_target *lbrp_backend_of(__u32 state)
{
    const struct lbrp_target *backend = lbrp_backend_at(state & 0xffff);

    return backend && backend->epoch == (__u8)(state >> LBRP_EPOCH_SHIFT) ? backend : NULL;
}

/* Its backend has one session less: 1, it is over; LBRP_ONE_MORE, there never was one. */
PCN_INLINE void lbrp_release(__u32 state, __u64 less)
{
    struct lbrp_load *load = lbrp_load_at(state & 0xffff);

    if (load && lbrp_backend_of(state))
        __sync_fetch_and_add(&load->sessions, -less);
}

/* A session is over. Once, whoever finds out first. */
PCN_INLINE void lbrp_forget(__u32 slot)
{
    __u32 *state = &lbrp_session_at(slot)->state, was = PCN_READ_ONCE(*state);

    if (!(was & LBRP_LIVE))
        return;
    was = __sync_fetch_and_and(state, ~(__u32)LBRP_LIVE);
    if (was & LBRP_LIVE)
        lbrp_release(was, 1);
}

/* A session to be written, for a key: its number, or PCN_CT_NO_SLOT. */
__noinline __u32 lbrp_take_session(__u64 hash)
{
    bool turned_out;
    __u32 number = pcn_ct_number_take(hash, &turned_out);

    if (turned_out)
        lbrp_forget(number);
    return number;
}

/*
 * Ends a session that was found with this word. 0: its state has changed since, or goes on changing; 1: it is over, whoever
 * ended it.
 */
__noinline __u32 lbrp_over(__u32 slot, __u64 word)
{
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 2; attempt++) {
        __u64 seen = PCN_READ_ONCE(*pcn_ct_word_at(slot));

        if (!pcn_ct_is_same_flow(seen, word))
            return 1;
        if (pcn_ct_flow_of(seen) != pcn_ct_flow_of(word))
            return 0;
        seen = pcn_ct_session_seize(slot, seen);
        if (seen) {
            lbrp_forget(slot);
            pcn_ct_finish(pcn_ct_first_of(slot), seen);
            return 1;
        }
    }
    return 0;
}

/* Packets that are found by one key get what the other has: the client's a destination, the backend's a source. */
PCN_INLINE __u64 lbrp_side(const struct lbrp_new *new, bool client)
{
    return pcn_ct_side(client ? &new->other : &new->own, true, new->state &LBRP_WHOLE ? 0 : new->state);
}

/* All of a session, whose places were taken: from now on it is found. */
PCN_INLINE void lbrp_write(const struct lbrp_new *new, __u32 place_other)
{
    __u64 epoch = (__u64)(new->state >> LBRP_EPOCH_SHIFT & 0xff) << PCN_CT_OWN_SHIFT;
    __u32 expires = pcn_ct_expires(new->flow, pcn_now());
    struct lbrp_session *session = lbrp_session_at(new->number);
    struct pcn_ct_wanted wanted = pcn_ct_wanted_of(&new->own);

    session->state = new->state;
    session->frontend = new->frontend;
    __builtin_memcpy(session->mac, new->mac, sizeof(session->mac));
    pcn_ct_fill(new->number, &wanted, lbrp_side(new, true));
    wanted = pcn_ct_wanted_of(&new->other);
    pcn_ct_fill(pcn_ct_second_of(new->number), &wanted, lbrp_side(new, false));
    pcn_ct_session_publish(new->number, new->place, pcn_ct_word(new->hash, new->flow, expires) | epoch, place_other,
                           pcn_ct_word(new->other_hash, new->flow, expires) | epoch);
}

/* The word of a slot was written: the other one follows. */
__noinline __u32 lbrp_follow(__u32 slot, __u64 word)
{
    __u32 flow = pcn_ct_flow_of(word);

    pcn_ct_session_follow(slot, word);
    if (flow == PCN_CT_TCP_TIME_WAIT || flow == PCN_CT_TCP_CLOSED)
        lbrp_forget(slot);
    return 0;
}
