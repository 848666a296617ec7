/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Sessions: two places of the table of flows each, see lbrp_maps.h. */
#pragma once
#include "lbrp_tables.bpf.h"
#include <pcn/conntrack_pair.bpf.h>

/* A session that is being made: one at a time on a CPU. Too large for the stack. */
struct lbrp_new {
    struct pcn_ct_key own; /* of the packet: of the client */
    struct pcn_ct_key other;
    __u64 hash; /* of own */
    __u64 other_hash;
    __u32 slot;  /* of own: claimed */
    __u32 flow;  /* enum pcn_ct_flow */
    __u32 state; /* of struct lbrp_session */
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

/* Its backend has one session less. */
PCN_INLINE void lbrp_release(__u32 state)
{
    struct lbrp_load *load = lbrp_load_at(state & 0xffff);

    if (load && lbrp_backend_of(state))
        __sync_fetch_and_add(&load->active, -1);
}

/* A session is over. Once, whoever finds out first. */
PCN_INLINE void lbrp_forget(__u32 slot)
{
    __u32 *state = &lbrp_session_at(slot)->state, was = PCN_READ_ONCE(*state);

    if (!(was & LBRP_LIVE))
        return;
    was = __sync_fetch_and_and(state, ~(__u32)LBRP_LIVE);
    if (was & LBRP_LIVE)
        lbrp_release(was);
}

/* The session of a place, which goes to another or ends, is over in its other place too. */
PCN_INLINE void lbrp_forget_both(__u32 slot)
{
    __u32 partner;

    lbrp_forget(slot);
    partner = pcn_ct_pair_end_partner(slot);
    if (partner != PCN_CT_NO_SLOT)
        lbrp_forget(partner);
}

/* A place for a key, whose entry is to be written. Its slot, or PCN_CT_NO_SLOT. */
__noinline __u32 lbrp_claim(__u64 hash)
{
    enum pcn_ct_how how;
    __u32 slot = pcn_ct_pair_claim(hash, &how);

    if (slot != PCN_CT_NO_SLOT && how != PCN_CT_HOW_FREE)
        lbrp_forget_both(slot);
    return slot;
}

/*
 * Ends a session, in both its places, that was found in one of them with this word. 0: its state has changed since, or
 * goes on changing; 1: it is over, whoever ended it.
 */
__noinline __u32 lbrp_over(__u32 slot, __u64 word)
{
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 2; attempt++) {
        __u64 seen = PCN_READ_ONCE(pcn_ct_entry_at(slot)->word);

        if (!pcn_ct_is_same_flow(seen, word))
            return 1;
        if (pcn_ct_flow_of(seen) != pcn_ct_flow_of(word))
            return 0;
        if (pcn_ct_close(slot, seen)) {
            lbrp_forget_both(slot);
            pcn_ct_unclaim(slot);
            return 1;
        }
    }
    return 0;
}

/* Packets that are found in one place get what the other's key has: the client's a destination, the backend's a source. */
PCN_INLINE __u64 lbrp_side(const struct lbrp_new *new, bool client)
{
    return pcn_ct_side(client ? &new->other : &new->own, true, new->state &LBRP_WHOLE ? 0 : new->state);
}

/* Either place of a session; client: that of the client's packets. */
PCN_INLINE void lbrp_publish(__u32 slot, __u32 partner, const struct lbrp_new *new, bool client, __u64 hash)
{
    struct lbrp_session *session = lbrp_session_at(slot);
    struct pcn_ct_wanted wanted = pcn_ct_wanted_of(client ? &new->own : &new->other);
    __u64 epoch = new->state >> LBRP_EPOCH_SHIFT & 0xff;

    pcn_ct_fill(slot, &wanted, lbrp_side(new, client));
    session->partner = partner;
    session->state = client ? new->state : new->state & ~(__u32)LBRP_LIVE;
    session->frontend = new->frontend;
    __builtin_memcpy(session->mac, new->mac, sizeof(session->mac));
    PCN_STORE_RELEASE(&pcn_ct_entry_at(slot)->word,
                      pcn_ct_word_of(hash, new->flow, pcn_now()) | epoch << PCN_CT_OWN_SHIFT);
}

/* The other place gets the state and the expiry that this one has now. */
__noinline __u32 lbrp_follow(__u32 slot, __u64 word, bool reply)
{
    __u32 flow = pcn_ct_flow_of(word);

    if (!pcn_ct_pair_follow(slot, word))
        lbrp_forget(slot);
    if (flow == PCN_CT_TCP_TIME_WAIT || flow == PCN_CT_TCP_CLOSED)
        lbrp_forget(reply ? PCN_READ_ONCE(*pcn_ct_partner_at(slot)) : slot);
    return 0;
}
