/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Connection tracking, part: new flows of one key, whose place is their slot. Those of two keys: pcn/conntrack_pair.bpf.h. */
#pragma once
#include <pcn/conntrack_table.bpf.h>

/* A place for a flow: a free one, or the best of those that may make room. See pcn_ct_rank(). */
PCN_INLINE __u64 pcn_ct_room(__u64 hash, __u32 now)
{
    __u32 place = pcn_ct_free_place(hash);

    if (pcn_likely(place != PCN_CT_NO_SLOT))
        return place;
    return pcn_ct_best(pcn_ct_bucket(hash, 1) * PCN_CT_WAYS, now,
                       pcn_ct_best(pcn_ct_bucket(hash, 0) * PCN_CT_WAYS, now, PCN_CT_RANK_NONE));
}

/* Takes a place, for an entry to be written. Its slot; PCN_CT_NO_SLOT: there is none; PCN_CT_AGAIN. */
PCN_INLINE __u32 pcn_ct_claim(__u64 hash, __u32 now, enum pcn_ct_how *ret_how)
{
    __u64 rank = pcn_ct_room(hash, now), tag = pcn_ct_tag(hash);
    __u32 slot = rank & PCN_CT_RANK_SLOT;

    *ret_how = PCN_CT_RANK_HOW(rank);
    if (*ret_how == PCN_CT_HOW_FULL)
        return PCN_CT_NO_SLOT;
    if (pcn_likely(*ret_how == PCN_CT_HOW_FREE))
        return pcn_ct_take_free(slot, tag) ? slot : PCN_CT_AGAIN;
    if (!pcn_ct_turn_out(slot, *ret_how, now))
        return PCN_CT_AGAIN;
    PCN_WRITE_ONCE(*pcn_ct_tag_at(slot), tag);
    return slot;
}

/* Writes the entry of a place that is claimed, and makes it found. */
PCN_INLINE void pcn_ct_publish(const struct pcn_packet *packet, __u64 hash, __u32 slot, __u32 flow, __u32 now)
{
    struct pcn_ct_wanted key;
    __u32 ports = 0;

    pcn_ct_event_of(packet, &ports);
    key = pcn_ct_wanted_by(packet, ports);
    pcn_ct_fill(slot, &key, 0);
    if (pcn_ct_masks.windows && PCN_READ_ONCE(pcn_ct_settings.window_check))
        *pcn_ct_window_at(slot) = (struct pcn_ct_window){};
    PCN_STORE_RELEASE(pcn_ct_word_at(slot), pcn_ct_word(hash, flow, pcn_ct_expires(flow, now)));
}

/* Its slot, PCN_CT_NO_SLOT, or PCN_CT_AGAIN. Global, so that the verifier looks at it once. */
__noinline __u32 pcn_ct_try_create(const struct pcn_packet *packet, __u64 hash, __u32 flow)
{
    __u32 now = pcn_now(), slot;
    enum pcn_ct_how how;

    if (!packet)
        return PCN_CT_NO_SLOT;
    slot = pcn_ct_claim(hash, now, &how);
    if (slot == PCN_CT_AGAIN)
        return slot;
    if (slot == PCN_CT_NO_SLOT) {
        PCN_CT_COUNT(full);
        return slot;
    }
    pcn_ct_publish(packet, hash, slot, flow, now);
    PCN_CT_COUNT(created);
    pcn_ct_count_turned_out(how);
    return slot;
}

/* Its slot, or PCN_CT_NO_SLOT. */
PCN_INLINE __u32 pcn_ct_create(const struct pcn_packet *packet, __u64 hash, __u32 flow)
{
    __u32 slot = PCN_CT_AGAIN;

#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 4 && slot == PCN_CT_AGAIN; attempt++)
        slot = pcn_ct_try_create(packet, hash, flow);
    if (pcn_unlikely(slot == PCN_CT_AGAIN)) {
        PCN_CT_COUNT(full);
        return PCN_CT_NO_SLOT;
    }
    return slot;
}

/* A SYN in the place of the flow that its ports had before. */
__noinline __u32 pcn_ct_reopen(const struct pcn_packet *packet, __u64 hash, __u64 word, __u32 slot)
{
    if (!packet)
        return 0;
    /* Another CPU was faster: it saw a SYN too. */
    if (__sync_val_compare_and_swap(pcn_ct_word_at(slot), word, 0) != word)
        return 0;
    pcn_ct_publish(packet, hash, slot, PCN_CT_TCP_SYN_SENT, pcn_now());
    PCN_CT_COUNT(created);
    return 0;
}
