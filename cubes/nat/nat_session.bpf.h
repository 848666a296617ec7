/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Sessions: two places of the table of flows each, see nat_maps.h. The tuple by which a first packet was not found is
 * its own; the other one must not be anybody's yet.
 */
#pragma once
#include "nat_maps.h"
#include <pcn/conntrack_pair.bpf.h>

struct nat_settings nat_settings SEC(NAT_SETTINGS) = {};

/* A session that is being made: one at a time on a CPU, and its mapping. Too large for the stack. */
struct nat_new {
    struct pcn_ct_key own; /* of the packet */
    struct pcn_ct_key other;
    __u64 hash;           /* of own */
    union pcn_address to; /* of the host inside, outside; or the host inside that it is led to */
    __u32 slot;           /* of own: claimed */
    __u32 flow;           /* enum pcn_ct_flow */
    __u32 rule;
    __u16 port; /* host order: the first one to try outside */
    __u8 kind;
    __u8 out; /* the first packet goes out */
    __u8 wide;
};

struct nat_new nat_news[2 * PCN_CPUS_MAX] SEC(".data.natnew") = {};

/* This CPU's; the next one is its mapping. */
PCN_INLINE struct nat_new *nat_new_get(void)
{
    return &nat_news[2 * (bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1))];
}

PCN_INLINE struct nat_session *nat_session_at(__u64 slot)
{
    return (struct nat_session *)pcn_ct_own_at(slot);
}

#define NAT_TAKEN 0xfffffffdu /* as a slot: somebody has this tuple */

/* A place for a key, whose entry is to be written. Its slot, or PCN_CT_NO_SLOT. */
__noinline __u32 nat_claim(__u64 hash)
{
    enum pcn_ct_how how;
    __u32 slot = pcn_ct_pair_claim(hash, &how);

    if (slot == PCN_CT_NO_SLOT || how == PCN_CT_HOW_FREE)
        return slot;
    pcn_ct_pair_end_partner(slot);
    return slot;
}

/*
 * Packets that are found in one place get what the key of the other has: the source, if the first one goes out, or the
 * destination.
 */
PCN_INLINE __u64 nat_side(const struct nat_new *new, bool own)
{
    return pcn_ct_side(own ? &new->other : &new->own, !new->out, new->wide);
}

/* Either place of a session; own: that of the first packet's own tuple. */
PCN_INLINE void nat_fill(__u32 slot, __u32 partner, const struct nat_new *new, bool own)
{
    struct nat_session *session = nat_session_at(slot);
    struct pcn_ct_wanted wanted = pcn_ct_wanted_of(own ? &new->own : &new->other);

    /* Field by field: a whole one would be put together on the stack, of which there is not much. */
    pcn_ct_fill(slot, &wanted, nat_side(new, own));
    session->partner = partner;
    session->rule = new->rule;
    session->kind = new->kind;
    session->out = new->out;
    session->wide = own || !(new->wide &NAT_HAIRPIN) ? new->wide : new->wide | NAT_SECOND;
}

/* From now on it is found: what was written before is seen before. */
PCN_INLINE void nat_publish(__u32 slot, const struct nat_new *new, __u64 hash)
{
    PCN_STORE_RELEASE(&pcn_ct_entry_at(slot)->word, pcn_ct_word_of(hash, new->flow, pcn_now()));
}

/* Whether another has new->other, for which a place was claimed. Global: it is verified once. */
__noinline __u32 nat_is_taken(const struct nat_new *new, __u64 hash, __u32 claimed)
{
    return !new || pcn_ct_is_taken(&new->other, hash, claimed, new->slot, true);
}

/* Makes new->other the session's. Its slot, NAT_TAKEN, or PCN_CT_NO_SLOT. */
PCN_INLINE __u32 nat_take(const struct nat_new *new)
{
    __u64 hash = pcn_ct_hash(&new->other, pcn_ct_settings.seed);
    __u32 slot;

    slot = nat_claim(hash);
    if (slot == PCN_CT_NO_SLOT)
        return slot;
    if (nat_is_taken(new, hash, slot)) {
        pcn_ct_unclaim(slot);
        return NAT_TAKEN;
    }
    nat_fill(new->slot, slot, new, true);
    nat_fill(slot, new->slot, new, false);
    nat_publish(slot, new, hash);
    return slot;
}

/* ---- mappings ---- */

/*
 * A session's key inside, whose first packet went out, becomes that of the mapping of the port that it is from. With
 * address: to that address alone, whatever the port.
 */
PCN_INLINE void nat_mapping_key(struct pcn_ct_key *key, bool address)
{
    if (!address)
        key->words[2] = key->words[3] = 0;
    key->words[4] &= ~0xffff0000ull;
}

PCN_INLINE void nat_extend_place(__u32 slot, __u32 expires)
{
    __u64 *place = &pcn_ct_entry_at(slot)->word, word = PCN_READ_ONCE(*place);

    if (word && (__s32)(expires - (__u32)word) > 0)
        (void)__sync_val_compare_and_swap(place, word, (word >> 32 << 32) | expires);
}

/* A mapping lives no shorter than what was made by it. */
PCN_INLINE void nat_extend(__u32 slot, __u32 expires)
{
    if (!pcn_ct_pair_is(slot))
        return;
    nat_extend_place(slot, expires);
    nat_extend_place(PCN_READ_ONCE(*pcn_ct_partner_at(slot)), expires);
}

/* The mapping of the session of a place inside, if it has one; with address: that of its remote address. */
__noinline __u32 nat_keep_mapping(__u32 slot, __u32 expires, bool address)
{
    struct pcn_ct_key key;

    pcn_ct_key_at(slot, &key);
    nat_mapping_key(&key, address);
    slot = pcn_ct_slot_of(&key);
    if (slot != PCN_CT_NO_SLOT)
        nat_extend(slot, expires);
    return 0;
}

/* ---- a session that goes on ---- */

/* The other place gets the state and the expiry that this one has now; where it is lost, the session ends. */
__noinline __u32 nat_follow(__u32 slot, __u64 word, bool inside)
{
    const struct nat_session *session = nat_session_at(slot);

    if (!pcn_ct_pair_follow(slot, word))
        return 0;
    if (session->out && PCN_READ_ONCE(nat_settings.mapping)) {
        slot = inside && !(session->wide & NAT_SECOND) ? slot : session->partner;
        nat_keep_mapping(slot, word, false);
        if (PCN_READ_ONCE(nat_settings.filtering) == NAT_FILTER_ADDRESS)
            nat_keep_mapping(slot, word, true);
    }
    return 0;
}
