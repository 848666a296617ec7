/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: the number that a new flow takes, and places for its keys, see pcn/conntrack.h; and those of
 * an old one that has to make room.
 */
#pragma once
#include <pcn/conntrack_table.bpf.h>

/* ---- numbers ---- */

/* The number of the flow of a slot, which is the slot of its first key. */
PCN_INLINE __u32 pcn_ct_first_of(__u32 slot)
{
    return slot & pcn_ct_masks.number;
}

/* Of a session: the slot of its second key. */
PCN_INLINE __u32 pcn_ct_second_of(__u32 slot)
{
    return slot | (pcn_ct_masks.number + 1);
}

/* Of a session: the slot of the key that this slot's is not. */
PCN_INLINE __u32 pcn_ct_other_of(__u32 slot)
{
    return slot ^ (pcn_ct_masks.number + 1);
}

PCN_INLINE struct pcn_ct_stock *pcn_ct_stock_get(void)
{
    return &pcn_ct_numbers.free.stocks[bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1)];
}

/*
 * Copies the next n free numbers for this CPU, and then takes them from the ring: afterwards they may be written over. Whether no
 * other CPU was faster. A global function, and the numbers one loop: the verifier goes once through it.
 */
__noinline bool pcn_ct_stock_fill(__u64 head, __u64 n)
{
    struct pcn_ct_stock *stock = pcn_ct_stock_get();

#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < PCN_CT_STOCK && i < n; i++) {
        __u64 at = (head + n - 1 - i) & pcn_ct_masks.number;

        PCN_OPAQUE(at);
        stock->numbers[i] = PCN_READ_ONCE(pcn_ct_numbers.ring[at]);
    }
    if (__sync_val_compare_and_swap(&pcn_ct_numbers.free.head, head, head + n) != head)
        return false;
    stock->n = n;
    return true;
}

/* Free numbers for this CPU: a sixteenth of them at most, so that few CPUs do not have all. How many it has now. */
__noinline __u32 pcn_ct_restock(void)
{
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 4; attempt++) {
        __u64 head = PCN_READ_ONCE(pcn_ct_numbers.free.head), n = PCN_READ_ONCE(pcn_ct_numbers.free.tail) - head;

        if (!n)
            return 0;
        n = n / 16 < pcn_ct_masks.stock ? n / 16 + 1 : pcn_ct_masks.stock;
        if (pcn_ct_stock_fill(head, n))
            return n;
    }
    return 0;
}

/* Takes a number that no flow has; PCN_CT_NO_SLOT: there is none. */
PCN_INLINE __u32 pcn_ct_number_unused(void)
{
    struct pcn_ct_stock *stock = pcn_ct_stock_get();
    __u64 n = stock->n;

    if (pcn_unlikely(!n))
        n = pcn_ct_restock();
    n--;
    PCN_OPAQUE(n);
    if (pcn_unlikely(n >= PCN_CT_STOCK))
        return PCN_CT_NO_SLOT;
    stock->n = n;
    return stock->numbers[n];
}

/* One that was taken on this CPU, and not used: so there is room for it. */
PCN_INLINE void pcn_ct_number_give(__u32 number)
{
    struct pcn_ct_stock *stock = pcn_ct_stock_get();
    __u64 n = stock->n;

    PCN_OPAQUE(n);
    if (n >= PCN_CT_STOCK)
        return;
    stock->numbers[n] = number;
    stock->n = n + 1;
}

/* ---- what an old one leaves ---- */

/* Number of the place that leads to a slot. */
PCN_INLINE __u32 *pcn_ct_place_of(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return &pcn_ct_places[slot];
}

/* The place that leads to a slot, if one does, leads there no more, and is nobody's. */
PCN_INLINE void pcn_ct_place_leave(__u32 slot)
{
    __u32 *place = pcn_ct_place_of(slot);

    if (*place == PCN_CT_NO_SLOT)
        return;
    pcn_ct_lead(*place, 0);
    pcn_ct_unclaim(*place);
    *place = PCN_CT_NO_SLOT;
}

/* Of a flow whose first word was taken: its places, and its other entry. */
PCN_INLINE void pcn_ct_strip(__u32 number)
{
    pcn_ct_place_leave(number);
    if (PCN_CT_KEYS > 1) {
        (void)__sync_lock_test_and_set(pcn_ct_word_at(pcn_ct_second_of(number)), 0);
        pcn_ct_place_leave(pcn_ct_second_of(number));
    }
}

/* And the rest of it, its number too: user space takes that away. word: which it had. */
PCN_INLINE void pcn_ct_finish(__u32 number, __u64 word)
{
    PCN_STORE_RELEASE(pcn_ct_word_at(number), pcn_ct_word_ended(word, pcn_now()));
}

/* Of a flow that has to make room: the word that it had; 0: it changed, or does not. */
PCN_INLINE __u64 pcn_ct_clear(__u64 rank, __u32 now)
{
    __u32 number = pcn_ct_first_of(rank & PCN_CT_RANK_SLOT);
    enum pcn_ct_how how = PCN_CT_RANK_HOW(rank);
    __u64 word = how == PCN_CT_HOW_FULL ? 0 : pcn_ct_turn_out(number, how, now);

    if (!word)
        return 0;
    pcn_ct_strip(number);
    pcn_ct_count_turned_out(how);
    return word;
}

/*
 * One of eight flows here and eight there has to make room: its number, or PCN_CT_AGAIN. Global, as those below: they are
 * verified once.
 */
__noinline __u32 pcn_ct_evict_one(__u64 picked)
{
    __u32 now = pcn_now(), mask = pcn_ct_masks.number & ~(PCN_CT_WAYS - 1);
    __u64 rank = pcn_ct_best(picked & mask, now, pcn_ct_best(picked >> 32 & mask, now, PCN_CT_RANK_NONE));

    return pcn_ct_clear(rank, now) ? pcn_ct_first_of(rank & PCN_CT_RANK_SLOT) : PCN_CT_AGAIN;
}

#define PCN_CT_EVICTIONS 8

/*
 * Flows that stay stand side by side, as they came: where none makes room, others are looked at; but not each time, where
 * all flows stay, or packets that are refused would be the dearest ones.
 */
__noinline __u32 pcn_ct_evict(__u64 hash)
{
    struct pcn_ct_stock *stock = pcn_ct_stock_get();
    __u32 attempts = stock->futile ? 1 : PCN_CT_EVICTIONS, number = PCN_CT_AGAIN;

#pragma clang loop unroll(disable)
    for (__u32 attempt = 0; attempt < attempts && number == PCN_CT_AGAIN; attempt++) {
        number = pcn_ct_evict_one(hash);
        hash = pcn_ct_hash_mix(hash);
    }
    stock->futile = number == PCN_CT_AGAIN;
    if (number != PCN_CT_AGAIN)
        return number;
    PCN_CT_COUNT(full);
    return PCN_CT_NO_SLOT;
}

/*
 * A flow to be written: its number, or PCN_CT_NO_SLOT. ret_turned_out: it was another one's, that has made room. hash: that
 * of a key, by which those to choose from are picked.
 */
PCN_INLINE __u32 pcn_ct_number_take(__u64 hash, bool *ret_turned_out)
{
    __u32 number = pcn_ct_number_unused();

    *ret_turned_out = false;
    if (pcn_likely(number != PCN_CT_NO_SLOT))
        return number;
    number = pcn_ct_evict(hash);
    *ret_turned_out = number != PCN_CT_NO_SLOT;
    return number;
}

/* ---- places ---- */

/* The best of the flows that a bucket leads to. */
__noinline __u64 pcn_ct_best_in(__u32 bucket, __u32 now, __u64 best)
{
#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u64 led = pcn_ct_led_to(bucket, way), number = pcn_ct_first_of(led - 1), word, better;

        word = PCN_READ_ONCE(*pcn_ct_word_at(number)) * PCN_NEGATIVE(-led);
        better = pcn_ct_rank(word, number, now) - best;
        best += better * PCN_NEGATIVE(better);
    }
    return best;
}

/* All places of a key are taken: one of their flows has to make room, though there are numbers. */
__noinline __u32 pcn_ct_place_clear(__u64 hash)
{
    __u32 now = pcn_now();
    __u64 rank =
        pcn_ct_best_in(pcn_ct_bucket(hash, 1), now, pcn_ct_best_in(pcn_ct_bucket(hash, 0), now, PCN_CT_RANK_NONE));
    __u64 word = pcn_ct_clear(rank, now);

    if (word)
        pcn_ct_finish(pcn_ct_first_of(rank & PCN_CT_RANK_SLOT), word);
    return 0;
}

#define PCN_CT_ALIKE (1u << 31)

/*
 * A place for a key, which leads nowhere yet; | PCN_CT_ALIKE, if another one of its buckets has its tag, and so may have the
 * key: of two CPUs that take places for one key at the same time at least one is told. PCN_CT_NO_SLOT: there is none.
 */
PCN_INLINE __u32 pcn_ct_place_claim(__u64 hash)
{
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 4; attempt++) {
        __u32 place = pcn_ct_free_place(hash);
        __u64 tags, other;

        if (pcn_unlikely(place == PCN_CT_NO_SLOT)) {
            pcn_ct_place_clear(hash);
        } else if (pcn_likely(pcn_ct_take_free(place, pcn_ct_tag(hash), &tags))) {
            other = pcn_ct_bucket(hash, 0) ^ pcn_ct_bucket(hash, 1) ^ place / PCN_CT_WAYS;
            if (pcn_unlikely(pcn_ct_tagged_in(tags, hash) | pcn_ct_tagged(other, hash)))
                place |= PCN_CT_ALIKE;
            return place;
        }
    }
    PCN_CT_COUNT(full);
    return PCN_CT_NO_SLOT;
}

/* The same, whoever has the tag, too. */
PCN_INLINE __u32 pcn_ct_place_take(__u64 hash)
{
    __u32 place = pcn_ct_place_claim(hash);

    return pcn_unlikely(place == PCN_CT_NO_SLOT) ? place : place & ~PCN_CT_ALIKE;
}
