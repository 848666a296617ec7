/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Connection tracking, part: new flows of one key. Those of two keys: pcn/conntrack_pair.bpf.h. */
#pragma once
#include <pcn/conntrack_number.bpf.h>

/* Writes a flow that has its place, and makes it found. */
PCN_INLINE void pcn_ct_publish(const struct pcn_packet *packet, __u64 hash, __u32 slot, __u32 flow)
{
    struct pcn_ct_wanted key;
    __u32 ports = 0;

    pcn_ct_event_of(packet, &ports);
    key = pcn_ct_wanted_by(packet, ports);
    pcn_ct_fill(slot, &key, 0);
    if (pcn_ct_masks.windows && PCN_READ_ONCE(pcn_ct_settings.window_check))
        *pcn_ct_window_at(slot) = (struct pcn_ct_window){};
    PCN_STORE_RELEASE(pcn_ct_word_at(slot), pcn_ct_word(hash, flow, pcn_ct_expires(flow, pcn_now())));
}

/* Its slot, or PCN_CT_NO_SLOT. Global, so that the verifier looks at it once. */
__noinline __u32 pcn_ct_create(const struct pcn_packet *packet, __u64 hash, __u32 flow)
{
    bool turned_out;
    __u32 slot, place;

    if (!packet)
        return PCN_CT_NO_SLOT;
    slot = pcn_ct_number_take(hash, &turned_out);
    if (slot == PCN_CT_NO_SLOT)
        return slot;
    place = pcn_ct_place_take(hash);
    if (pcn_unlikely(place == PCN_CT_NO_SLOT)) {
        pcn_ct_number_give(slot);
        return place;
    }
    *pcn_ct_place_of(slot) = place;
    pcn_ct_lead(place, slot + 1);
    pcn_ct_publish(packet, hash, slot, flow);
    PCN_CT_COUNT(created);
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
    pcn_ct_publish(packet, hash, slot, PCN_CT_TCP_SYN_SENT);
    PCN_CT_COUNT(created);
    return 0;
}
