/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Sessions, see nat_maps.h. The tuple by which a first packet was not found is its own; the other one must not be anybody's
 * yet.
 */
#pragma once
#include "nat_maps.h"
#include <pcn/conntrack_pair.bpf.h>

struct nat_settings nat_settings SEC(NAT_SETTINGS) = {};

/* A session that is being made: one at a time on a CPU, and its mapping. Too large for the stack. */
struct nat_new {
    struct pcn_ct_key own; /* of the packet */
    struct pcn_ct_key other;
    __u64 hash; /* of own */
    __u64 other_hash;
    union pcn_address to; /* of the host inside, outside; or the host inside that it is led to */
    __u32 number;         /* of the session: taken */
    __u32 place;          /* of own: taken */
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

/* Packets that are found by one key get what the other one has: the source, if the first one goes out, or the destination. */
PCN_INLINE __u64 nat_side(const struct nat_new *new, bool own)
{
    return pcn_ct_side(own ? &new->other : &new->own, !new->out, new->wide);
}

/* All of a session, whose places were taken: from now on it is found. */
PCN_INLINE void nat_write(const struct nat_new *new, __u32 place_other)
{
    __u32 expires = pcn_ct_expires(new->flow, pcn_now());
    struct nat_session *session = nat_session_at(new->number);
    struct pcn_ct_wanted wanted = pcn_ct_wanted_of(&new->own);

    /* Field by field: a whole one would be put together on the stack, of which there is not much. */
    session->rule = new->rule;
    session->kind = new->kind;
    session->out = new->out;
    session->wide = new->wide;
    pcn_ct_fill(new->number, &wanted, nat_side(new, true));
    wanted = pcn_ct_wanted_of(&new->other);
    pcn_ct_fill(pcn_ct_second_of(new->number), &wanted, nat_side(new, false));
    pcn_ct_session_publish(new->number, new->place, pcn_ct_word(new->hash, new->flow, expires), place_other,
                           pcn_ct_word(new->other_hash, new->flow, expires));
}

/* A place for new->other: PCN_CT_TAKEN, or PCN_CT_NO_SLOT. */
PCN_INLINE __u32 nat_take(struct nat_new *new)
{
    new->other_hash = pcn_ct_hash(&new->other, pcn_ct_settings.seed);
    return pcn_ct_place_take_new(&new->other, new->other_hash, new->place);
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

/* The mapping of the session of a slot inside, if it has one; with address: that of its remote address. */
__noinline __u32 nat_keep_mapping(__u32 slot, __u32 expires, bool address)
{
    struct pcn_ct_key key;

    pcn_ct_key_at(slot, &key);
    nat_mapping_key(&key, address);
    slot = pcn_ct_slot_of(&key);
    if (slot != PCN_CT_NO_SLOT)
        pcn_ct_session_extend(slot, expires);
    return 0;
}

/* ---- a session that goes on ---- */

/* The word of a slot was written: the other one, and what it was made by, live as long. */
__noinline __u32 nat_follow(__u32 slot, __u64 word)
{
    const struct nat_session *session = nat_session_at(slot);

    pcn_ct_session_follow(slot, word);
    if (!session->out || !PCN_READ_ONCE(nat_settings.mapping))
        return 0;
    slot = pcn_ct_first_of(slot); /* inside */
    nat_keep_mapping(slot, word, false);
    if (PCN_READ_ONCE(nat_settings.filtering) == NAT_FILTER_ADDRESS)
        nat_keep_mapping(slot, word, true);
    return 0;
}
