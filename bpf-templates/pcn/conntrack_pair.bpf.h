/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: sessions that are found by two keys, each in a place of its own (PCN_CT_KEYS 2). The first
 * 32 bits of .own of both entries are the slot of the other place; both words have the same state and expiry.
 */
#pragma once
#include <pcn/conntrack.bpf.h>

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

/* Frees a place that was claimed, or published just now. */
PCN_INLINE void pcn_ct_pair_release(__u32 slot)
{
    (void)__sync_lock_test_and_set(pcn_ct_word_at(slot), 0);
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
        __u64 same, other;

        if (pcn_likely(word >> PCN_CT_BUSY_SHIFT != tag) || pcn_ct_left(word, now) <= 0 || slot == except)
            continue;
        entry = pcn_ct_entry_at(slot);
        same = (entry->key.words[0] ^ key->words[0]) | (entry->key.words[1] ^ key->words[1]) |
               (entry->key.words[2] ^ key->words[2]) | (entry->key.words[3] ^ key->words[3]) |
               (entry->key.words[4] ^ key->words[4]);
        other = (entry->key.words[0] ^ key->words[2]) | (entry->key.words[1] ^ key->words[3]) |
                (entry->key.words[2] ^ key->words[0]) | (entry->key.words[3] ^ key->words[1]) |
                (entry->key.words[4] ^ reverse);
        if (!same || !other)
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
