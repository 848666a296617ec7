/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: sessions that are found by two keys, each in a place of its own (PCN_CT_KEYS 2). The first
 * 32 bits of what is the cube's own in both places are the slot of the other one; both words have the same state and expiry.
 */
#pragma once
#include <pcn/conntrack.bpf.h>
#include <pcn/rewrite.bpf.h>

PCN_INLINE __u32 *pcn_ct_partner_at(__u64 slot)
{
    return (__u32 *)pcn_ct_own_at(slot);
}

/* Whether the other place of a session is still its. */
PCN_INLINE bool pcn_ct_pair_is(__u32 slot)
{
    __u32 partner = PCN_READ_ONCE(*pcn_ct_partner_at(slot));

    return PCN_READ_ONCE(*pcn_ct_partner_at(partner)) == slot;
}

/*
 * Ends what is left of a session in its other place. The slot of that; PCN_CT_NO_SLOT: it was lost before. The word is read
 * first: whoever else may have the place by then has another one.
 */
PCN_INLINE __u32 pcn_ct_pair_end_partner(__u32 slot)
{
    __u32 partner = PCN_READ_ONCE(*pcn_ct_partner_at(slot));

    /* Again, where a packet has just moved its expiry. */
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 2; attempt++) {
        __u64 word = PCN_READ_ONCE(pcn_ct_entry_at(partner)->word);

        asm volatile("" ::: "memory");
        if (PCN_READ_ONCE(*pcn_ct_partner_at(partner)) != slot)
            break;
        if (pcn_ct_end(partner, word))
            return partner;
    }
    return PCN_CT_NO_SLOT;
}

/*
 * A place for a key, whose entry is to be written. Its slot, or PCN_CT_NO_SLOT. Where ret_how is not PCN_CT_HOW_FREE, it is
 * that of a session that has expired or is turned out, which may not stay in its other place.
 */
PCN_INLINE __u32 pcn_ct_pair_claim(__u64 hash, enum pcn_ct_how *ret_how)
{
    __u32 now = pcn_now(), slot = PCN_CT_AGAIN;

    *ret_how = PCN_CT_HOW_FULL;
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 4 && slot == PCN_CT_AGAIN; attempt++)
        slot = pcn_ct_claim(hash, now, ret_how);
    if (slot == PCN_CT_AGAIN || slot == PCN_CT_NO_SLOT) {
        PCN_CT_COUNT(full);
        return PCN_CT_NO_SLOT;
    }
    if (pcn_likely(*ret_how == PCN_CT_HOW_FREE))
        return slot;
    if (*ret_how == PCN_CT_HOW_EXPIRED)
        PCN_CT_COUNT(reused);
    else
        PCN_CT_COUNT(early_dropped);
    /* A store of its own has set the tag: others see it before pcn_ct_is_taken() looks at theirs. */
    (void)__sync_fetch_and_add(pcn_ct_tags_at(slot / PCN_CT_WAYS), 0);
    return slot;
}

/*
 * Whether a place is still that of the flow which was found in it. What was read of its entry before is that flow's: another
 * one may have the place at any time.
 */
PCN_INLINE bool pcn_ct_is_still(const struct pcn_ct *ct)
{
    asm volatile("" ::: "memory");
    return pcn_ct_is_same_flow(PCN_READ_ONCE(pcn_ct_entry_at(ct->slot)->word), ct->word);
}

/* An address of a place's key: its source, or its destination. */
PCN_INLINE void pcn_ct_address_at(__u64 slot, bool destination, union pcn_address *ret_address)
{
    const struct pcn_ct_entry *entry = pcn_ct_entry_at(slot);
    const struct pcn_ct_wide *wide = pcn_ct_wide_at(slot);
    /* Whole words: what is written by halves cannot be read whole at once. */
    __u64 words[2] = {destination ? entry->pair >> 32 : (__u32)entry->pair, 0};

    if (pcn_ct_is_wide(entry->tuple)) {
        words[0] |= destination ? entry->middle >> 32 << 32 : entry->middle << 32;
        words[1] = destination ? wide->low[1] : wide->low[0];
    }
    __builtin_memcpy(ret_address, words, sizeof(words));
}

/*
 * IPv4, at .middle of an entry: what the side that changes becomes, in network order, so that a packet need not look further.
 * Address | port << PCN_CT_SIDE_PORT_SHIFT | what the cube says besides << PCN_CT_SIDE_MORE_SHIFT.
 */
#define PCN_CT_SIDE_PORT_SHIFT 32
#define PCN_CT_SIDE_MORE_SHIFT 48

PCN_INLINE __u64 pcn_ct_side_get(__u64 slot)
{
    return PCN_READ_ONCE(pcn_ct_entry_at(slot)->middle);
}

/* Of the key of the other place: its destination, or its source. */
PCN_INLINE __u64 pcn_ct_side(const struct pcn_ct_key *to, bool destination, __u16 more)
{
    __u64 ports = to->words[4], address = destination ? to->words[2] : to->words[0];
    __u16 port = destination ? ports >> PCN_CT_DESTINATION_PORT_SHIFT : ports;

    return (__u32)address | (__u64)port << PCN_CT_SIDE_PORT_SHIFT | (__u64)more << PCN_CT_SIDE_MORE_SHIFT;
}

/* What a side of a packet is to be: a side of a place's key, which is best the other place. */
PCN_INLINE void pcn_ct_side_at(__u64 slot, bool destination, struct pcn_change *ret_change)
{
    __u64 tuple = pcn_ct_entry_at(slot)->tuple;

    pcn_ct_address_at(slot, destination, &ret_change->to);
    ret_change->to_port = destination ? tuple >> PCN_CT_DESTINATION_PORT_SHIFT : tuple;
}

PCN_INLINE bool pcn_ct_same_address(const union pcn_address *a, const union pcn_address *b)
{
    return !((a->v6[0] ^ b->v6[0]) | (a->v6[1] ^ b->v6[1]) | (a->v6[2] ^ b->v6[2]) | (a->v6[3] ^ b->v6[3]));
}

/*
 * Whether a place other than these two, of which the first was claimed for it, has the key, in either direction; written:
 * or is being written and may have it. So of two CPUs that claim places for one key at the same time at least one is told.
 */
PCN_INLINE bool pcn_ct_is_taken(const struct pcn_ct_key *key, __u64 hash, __u32 claimed, __u32 other, bool written)
{
    struct pcn_ct_wanted wanted = pcn_ct_wanted_of(key);
    __u32 now = pcn_now();

#pragma clang loop unroll(disable)
    for (__u32 choice = 0; choice < 2; choice++) {
        __u64 bucket = pcn_ct_bucket(hash, choice), found = pcn_ct_tagged(bucket, hash);

#pragma clang loop unroll(disable)
        for (__u32 i = 0; i < PCN_CT_WAYS && found; i++) {
            __u64 slot = pcn_ct_slot_in(bucket, found), word, direction;

            found &= found - 1;
            PCN_FORGET(found, hash);
            PCN_FORGET(slot, hash);
            if (slot == claimed || slot == other || PCN_READ_ONCE(*pcn_ct_tag_at(slot)) != pcn_ct_tag(hash))
                continue;
            if (pcn_ct_compare(slot, &wanted, now, hash, &word, &direction) || (written && !word))
                return true;
        }
    }
    return false;
}

/* A session's place gets the state and expiry of its other one, whose word was written. False: it is lost. */
PCN_INLINE bool pcn_ct_pair_follow(__u32 slot, __u64 word)
{
    __u32 partner = PCN_READ_ONCE(*pcn_ct_partner_at(slot));
    __u64 *place = &pcn_ct_entry_at(partner)->word, seen = PCN_READ_ONCE(*place), next;

    /* The first packet's CPU may not be done yet. */
    if (!seen && PCN_READ_ONCE(*pcn_ct_tag_at(partner)))
        return true;
    if (!seen || !pcn_ct_pair_is(slot)) {
        pcn_ct_end(slot, word);
        return false;
    }
    next = (seen >> PCN_CT_HASH_SHIFT << PCN_CT_HASH_SHIFT) | (word << 16 >> 16);
    (void)__sync_val_compare_and_swap(place, seen, next);
    return true;
}
