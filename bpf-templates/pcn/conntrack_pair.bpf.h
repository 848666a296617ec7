/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: sessions, which are found by two keys (PCN_CT_KEYS 2), see pcn/conntrack.h. To enter one:
 *
 *     number = pcn_ct_number_take(hash, &turned_out)      a session to be written
 *     place = pcn_ct_place_take_new(own, hash, none)      for the packet's own key, unless another CPU was faster
 *     other = pcn_ct_place_take_new(key, hash, place)     for the one that it gets, unless another session has that
 *     pcn_ct_fill(slot, ...)                              for each key; and what is the cube's own
 *     pcn_ct_session_publish(number, ...)                 from now on it is found
 *
 * The slot of its first key is its number.
 */
#pragma once
#include <pcn/conntrack.bpf.h>
#include <pcn/conntrack_number.bpf.h>
#include <pcn/rewrite.bpf.h>

/* Of a session: what its cube says of it. By either slot. */
PCN_INLINE struct pcn_ct_own *pcn_ct_own_at(__u64 slot)
{
    slot &= pcn_ct_masks.number;
    PCN_OPAQUE(slot);
    return &pcn_ct_owns[slot];
}

/* Whether a place that is somebody's is that of a key's flow; or is being written, and may be. */
PCN_INLINE bool pcn_ct_is_in(__u64 place, const struct pcn_ct_key *key)
{
    __u64 slot = pcn_ct_slot_at(place / PCN_CT_WAYS, place % PCN_CT_WAYS);

    /* While a place is being written, a part of it may lead elsewhere. */
    if ((__u32)slot == PCN_CT_NO_SLOT || !PCN_READ_ONCE(*pcn_ct_word_at(slot)) ||
        PCN_READ_ONCE(*pcn_ct_place_of(slot)) != place)
        return true;
    return pcn_ct_has(slot, key);
}

/*
 * Whether a place other than these two, of which the first was taken for it, has the key, in either direction, or may just
 * be getting it.
 */
PCN_INLINE bool pcn_ct_is_taken(const struct pcn_ct_key *key, __u64 hash, __u32 taken, __u32 other)
{
#pragma clang loop unroll(disable)
    for (__u32 choice = 0; choice < 2; choice++) {
        __u64 bucket = pcn_ct_bucket(hash, choice), found = pcn_ct_tagged(bucket, hash);

#pragma clang loop unroll(disable)
        for (__u32 i = 0; i < PCN_CT_WAYS && found; i++) {
            __u64 place = bucket * PCN_CT_WAYS + pcn_ct_first_byte(found);

            found &= found - 1;
            PCN_FORGET(found, hash);
            PCN_FORGET(place, hash);
            if (place != taken && place != other && PCN_READ_ONCE(*pcn_ct_tag_at(place)) == pcn_ct_tag(hash) &&
                pcn_ct_is_in(place, key))
                return true;
        }
    }
    return false;
}

#define PCN_CT_TAKEN 0xfffffffdu /* as a place: somebody has the key */

/*
 * A place for a key that no other session has: PCN_CT_TAKEN, one has, or PCN_CT_NO_SLOT, there is no place. beside: that
 * of the session's other key; PCN_CT_NO_SLOT: it has none yet. Of two CPUs that take one for the same key at the same time one
 * gets it, or none. Global: it is verified once.
 */
__noinline __u32 pcn_ct_place_take_new(const struct pcn_ct_key *key, __u64 hash, __u32 beside)
{
    __u32 place;

    if (!key)
        return PCN_CT_NO_SLOT;
    place = pcn_ct_place_claim(hash);
    if (pcn_likely(!(place & PCN_CT_ALIKE)) || place == PCN_CT_NO_SLOT)
        return place;
    place &= ~PCN_CT_ALIKE;
    if (!pcn_ct_is_taken(key, hash, place, beside))
        return place;
    pcn_ct_unclaim(place);
    return PCN_CT_TAKEN;
}

/* ---- sessions ---- */

/*
 * What is written is found from now on: by its first key, and by the other one unless its place is PCN_CT_NO_SLOT. Each entry
 * has a word, which differ in their hashes.
 */
PCN_INLINE void pcn_ct_session_publish(__u32 number, __u32 place, __u64 word, __u32 place_other, __u64 word_other)
{
    *pcn_ct_place_of(number) = place;
    *pcn_ct_place_of(pcn_ct_second_of(number)) = place_other;
    pcn_ct_lead(place, number + 1);
    if (pcn_likely(place_other != PCN_CT_NO_SLOT)) {
        pcn_ct_lead(place_other, pcn_ct_second_of(number) + 1);
        PCN_STORE_RELEASE(pcn_ct_word_at(pcn_ct_second_of(number)), word_other);
    }
    PCN_STORE_RELEASE(pcn_ct_word_at(number), word);
}

/*
 * Takes a session that still has this word at a slot, with its places: what is its cube's is to be given up, then
 * pcn_ct_finish(). The word of its first entry; 0: it has changed.
 */
PCN_INLINE __u64 pcn_ct_session_seize(__u32 slot, __u64 word)
{
    __u32 number = pcn_ct_first_of(slot);
    __u64 first = PCN_READ_ONCE(*pcn_ct_word_at(number));

    asm volatile("" ::: "memory");
    if (!first || PCN_READ_ONCE(*pcn_ct_word_at(slot)) != word ||
        __sync_val_compare_and_swap(pcn_ct_word_at(number), first, 0) != first)
        return 0;
    pcn_ct_strip(number);
    return first;
}

/*
 * Of two states that packets of both directions gave a session at the same time, each to the entry it was found by: the one
 * that it is in now. States follow each other in the order of their numbers, but for who sends its FIN first.
 */
PCN_INLINE __u32 pcn_ct_flow_join(__u32 a, __u32 b)
{
    __u32 both = 1u << a | 1u << b;

    if (pcn_unlikely(both == (PCN_CT_BIT(TCP_FIN_WAIT) | PCN_CT_BIT(TCP_CLOSE_WAIT))))
        return PCN_CT_TCP_LAST_ACK;
    return a > b ? a : b;
}

/*
 * The other entry gets the state and the expiry that a slot's word has, which was just written. If that has changed, too, on
 * another CPU, both get what both make: of two CPUs, each of which writes one entry first, one sees what the other wrote.
 */
PCN_INLINE void pcn_ct_session_follow(__u32 slot, __u64 word)
{
    __u64 *own = pcn_ct_word_at(slot), *other = pcn_ct_word_at(pcn_ct_other_of(slot)), seen;
    __u32 flow = 0, expires = 0;

#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 2; attempt++) {
        seen = PCN_READ_ONCE(*other);
        asm volatile("" ::: "memory");
        /* Not there yet; or the session has ended, and another one may have its number. */
        if (!seen || !pcn_ct_is_same_flow(PCN_READ_ONCE(*own), word))
            return;
        flow = pcn_ct_flow_join(pcn_ct_flow_of(seen), pcn_ct_flow_of(word));
        expires = pcn_likely(flow == pcn_ct_flow_of(word)) ? word : pcn_ct_expires(flow, pcn_now());
        if (pcn_likely(__sync_val_compare_and_swap(other, seen, pcn_ct_word_next(seen, flow, expires)) == seen))
            break;
    }
    if (pcn_unlikely(flow != pcn_ct_flow_of(word)))
        (void)__sync_val_compare_and_swap(own, word, pcn_ct_word_next(word, flow, expires));
}

PCN_INLINE void pcn_ct_word_extend(__u32 slot, __u32 expires)
{
    __u64 *place = pcn_ct_word_at(slot), word = PCN_READ_ONCE(*place);

    /* Of what has ended it stays as it is. */
    if (word && pcn_ct_left(word, pcn_now()) > 0 && (__s32)(expires - (__u32)word) > 0)
        (void)__sync_val_compare_and_swap(place, word, (word >> 32 << 32) | expires);
}

/* It expires no earlier than that. */
PCN_INLINE void pcn_ct_session_extend(__u32 slot, __u32 expires)
{
    pcn_ct_word_extend(slot, expires);
    pcn_ct_word_extend(pcn_ct_other_of(slot), expires);
}

/* Whether a packet without ports can be of the session of a slot that was kept for it; of IPv6, by what an entry has. */
PCN_INLINE bool pcn_ct_is_between(__u64 slot, const struct pcn_packet *packet)
{
    __u64 there = pcn_ct_entry_at(slot)->pair, pair = pcn_ct_pair(packet->source.v4, packet->destination.v4);

    return there == pair || there == pcn_ct_turn(pair);
}

/* An address of a slot's key: its source, or its destination. */
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

/* That of a flow which was found. False: it is not there any more, another one may have the slot at any time. */
PCN_INLINE bool pcn_ct_side_of(const struct pcn_ct *ct, __u64 *ret_side)
{
    const struct pcn_ct_entry *entry = pcn_ct_entry_at(ct->slot);

    *ret_side = PCN_READ_ONCE(entry->middle);
    asm volatile("" ::: "memory");
    return pcn_ct_is_same_flow(PCN_READ_ONCE(entry->word), ct->word);
}

/* Of the other key: its destination, or its source. */
PCN_INLINE __u64 pcn_ct_side(const struct pcn_ct_key *to, bool destination, __u16 more)
{
    __u64 ports = to->words[4], address = destination ? to->words[2] : to->words[0];
    __u16 port = destination ? ports >> PCN_CT_DESTINATION_PORT_SHIFT : ports;

    return (__u32)address | (__u64)port << PCN_CT_SIDE_PORT_SHIFT | (__u64)more << PCN_CT_SIDE_MORE_SHIFT;
}

/* What a side of a packet is to be: a side of a slot's key, which is best the other one's. */
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
