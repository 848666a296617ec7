/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: sessions that are found by two keys, each in a place of its own (PCN_CT_KEYS 2). The first
 * 32 bits of .own of both entries are the slot of the other place; both words have the same state and expiry.
 */
#pragma once
#include <pcn/conntrack.bpf.h>
#include <pcn/rewrite.bpf.h>

PCN_INLINE __u32 *pcn_ct_partner_at(__u64 slot)
{
    return (__u32 *)pcn_ct_entry_at(slot)->own;
}

/* Ends what is left of a session in the place that it lost. */
PCN_INLINE void pcn_ct_pair_end(__u32 slot)
{
    __u64 *place = pcn_ct_word_at(slot), word = PCN_READ_ONCE(*place);

    if (!(word & PCN_CT_BUSY))
        (void)__sync_val_compare_and_swap(place, word, 0);
}

/* Whether the other place of a session is still its. */
PCN_INLINE bool pcn_ct_pair_is(__u32 slot)
{
    __u32 partner = PCN_READ_ONCE(*pcn_ct_partner_at(slot));

    return PCN_READ_ONCE(*pcn_ct_partner_at(partner)) == slot;
}

/* Ends what is left of a session in its other place. The slot of that; PCN_CT_NO_SLOT: it was lost before. */
PCN_INLINE __u32 pcn_ct_pair_end_partner(__u32 slot)
{
    __u32 partner = PCN_READ_ONCE(*pcn_ct_partner_at(slot));

    if (PCN_READ_ONCE(*pcn_ct_partner_at(partner)) != slot)
        return PCN_CT_NO_SLOT;
    pcn_ct_pair_end(partner);
    return partner;
}

/*
 * A place for a key: busy, and not filled in. Its slot, or PCN_CT_NO_SLOT. Where ret_how is not PCN_CT_HOW_FREE, it is
 * that of a session that has expired or is turned out, which may not stay in its other place.
 */
PCN_INLINE __u32 pcn_ct_pair_claim(__u64 hash, enum pcn_ct_how *ret_how)
{
    __u32 now = pcn_now(), slot = PCN_CT_AGAIN;

    *ret_how = PCN_CT_HOW_FULL;
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 2 && slot == PCN_CT_AGAIN; attempt++)
        slot = pcn_ct_claim(hash, now, ret_how);
    if (slot == PCN_CT_AGAIN || slot == PCN_CT_NO_SLOT) {
        PCN_CT_COUNT(full);
        return PCN_CT_NO_SLOT;
    }
    if (*ret_how == PCN_CT_HOW_EXPIRED)
        PCN_CT_COUNT(reused);
    else if (*ret_how == PCN_CT_HOW_EARLY)
        PCN_CT_COUNT(early_dropped);
    return slot;
}

/* Frees a place that was claimed, or published just now. */
PCN_INLINE void pcn_ct_pair_release(__u32 slot)
{
    (void)__sync_lock_test_and_set(pcn_ct_word_at(slot), 0);
}

/* What a side of a packet is to be: a side of a key, which is best that of the other place. */
PCN_INLINE void pcn_ct_key_side(const struct pcn_ct_key *key, bool destination, struct pcn_change *ret_change)
{
    __u64 words[2] = {key->words[destination ? 2 : 0], key->words[destination ? 3 : 1]};

    __builtin_memcpy(&ret_change->to, words, sizeof(words));
    ret_change->to_port = destination ? key->words[4] >> PCN_CT_DESTINATION_PORT_SHIFT : key->words[4];
}

/* Whether a place other than `except` has the key, in either direction, in one of its buckets. */
PCN_INLINE bool pcn_ct_taken_in(__u32 index, const struct pcn_ct_key *key, __u64 hash, __u32 except)
{
    const struct pcn_ct_bucket *bucket = pcn_ct_bucket_at(index);
    __u64 tag = pcn_ct_tag(hash) << (PCN_CT_TAG_SHIFT - PCN_CT_BUSY_SHIFT), reverse = pcn_ct_reverse(key->words[4]);
    __u32 now = pcn_now();

#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u64 word = PCN_READ_ONCE(bucket->words[way]);
        __u32 slot = index * PCN_CT_WAYS + way;
        const struct pcn_ct_entry *entry;

        if (pcn_likely(word >> PCN_CT_BUSY_SHIFT != tag) || pcn_ct_left(word, now) <= 0)
            continue;
        /* A table of one bucket: the verifier would learn from each place which `except` is not. */
        PCN_FORGET(slot, hash);
        if (slot == except)
            continue;
        entry = pcn_ct_entry_at(slot);
        if (!(pcn_ct_differs(entry, key) && pcn_ct_differs_reversed(entry, key, reverse)))
            return true;
    }
    return false;
}

PCN_INLINE bool pcn_ct_taken(const struct pcn_ct_key *key, __u64 hash, __u32 except)
{
    __u32 mask = pcn_ct_masks.bucket;

    return pcn_ct_taken_in(pcn_ct_bucket_of(hash, 0, mask), key, hash, except) ||
           pcn_ct_taken_in(pcn_ct_bucket_of(hash, 1, mask), key, hash, except);
}

/* A session's place gets the state and expiry of its other one, whose word was written. False: it is lost. */
PCN_INLINE bool pcn_ct_pair_follow(__u32 slot, __u64 word)
{
    __u64 *place = pcn_ct_word_at(PCN_READ_ONCE(*pcn_ct_partner_at(slot))), seen = PCN_READ_ONCE(*place), next;

    /* The first packet's CPU may not be done yet. */
    if (seen & PCN_CT_BUSY)
        return true;
    if (!seen || !pcn_ct_pair_is(slot)) {
        (void)__sync_val_compare_and_swap(pcn_ct_word_at(slot), word, 0);
        return false;
    }
    next = (seen >> PCN_CT_TAG_SHIFT << PCN_CT_TAG_SHIFT) | (word & (PCN_CT_BUSY - 1));
    (void)__sync_val_compare_and_swap(place, seen, next);
    return true;
}
