/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking: which flow a packet is of, and what it does to it. In two
 * steps, so that a packet that is dropped leaves no trace:
 *
 *     struct pcn_ct ct = {};
 *
 *     bad = pcn_packet_parse(ctx, packet);
 *     ...
 *     pcn_ct_lookup(ctx, packet, &ct);         sets packet->ct_state and ct_slot; writes to no flow
 *     ...
 *     if (pcn_ct_commit(ctx, packet, &ct))     only if the packet is let through
 *         there was no room for a new flow, and the settings say drop
 *
 * The table is that of pcn/conntrack.h, and belongs to the cube that includes this. One whose flows have two keys
 * (PCN_CT_KEYS 2) enters them by pcn/conntrack_pair.bpf.h instead of pcn_ct_commit().
 * packet->zone is part of the key: the same addresses in two zones are two flows.
 *
 * Fragments: the first one has ports, and is judged by them; if it is let through, it
 * is remembered for the ones behind it, which have the state of its flow. One that
 * comes without, before, or too long after its first one is INVALID.
 */
#pragma once
#include <pcn/conntrack_related.bpf.h>
#include <pcn/conntrack_window.bpf.h>
#include <pcn/cube.bpf.h>
#if PCN_CT_KEYS == 1
#include <pcn/conntrack_single.bpf.h>
#endif

PCN_INLINE void pcn_ct_invalid(struct pcn_packet *packet, struct pcn_ct *ct)
{
    packet->ct_state = PCN_CT_INVALID;
    ct->next = PCN_CT_FREE;
    if (!pcn_identity.dry_run)
        PCN_CT_COUNT(invalid);
}

/* What is not looked up by its own key. */
PCN_INLINE void pcn_ct_lookup_other(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct)
{
    __u32 record;

    *ct = (struct pcn_ct){.slot = PCN_CT_NO_SLOT};
    packet->ct_slot = PCN_CT_NO_SLOT;
    packet->ct_state = PCN_CT_NONE;
    if (!packet->ip_version)
        return;
    if (packet->fragment == PCN_FRAGMENT_LATER) {
        record = pcn_ct_fragment_find(ctx, packet);
        packet->ct_state = record >> PCN_CT_FRAGMENT_STATE_SHIFT;
        if ((record & PCN_CT_FRAGMENT_SLOT) != PCN_CT_FRAGMENT_SLOT)
            packet->ct_slot = record & PCN_CT_FRAGMENT_SLOT;
    } else if (pcn_ct_is_error(packet->l4_protocol, packet->icmp_type)) {
        packet->ct_slot = pcn_ct_related(ctx, packet);
        packet->ct_state = packet->ct_slot == PCN_CT_NO_SLOT ? PCN_CT_INVALID : PCN_CT_RELATED;
    }
    if (packet->ct_state == PCN_CT_INVALID)
        pcn_ct_invalid(packet, ct);
}

/* What the packet does to its flow, which was looked for. */
PCN_INLINE void pcn_ct_judge_flow(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct, __u64 event)
{
    __u32 flow = pcn_ct_flow_of(ct->word), replied;

    packet->ct_slot = ct->slot;
    ct->next = pcn_ct_step(flow, ct->direction, event);
    if (pcn_unlikely(!ct->next)) {
        pcn_ct_invalid(packet, ct);
        return;
    }
    if (pcn_ct_masks.windows && PCN_READ_ONCE(pcn_ct_settings.window_check) && ct->word &&
        packet->l4_protocol == IPPROTO_TCP && ct->next != PCN_CT_REOPEN &&
        !pcn_ct_window(ctx, packet, ct->slot, ct->direction, false)) {
        pcn_ct_invalid(packet, ct);
        return;
    }
    /* One more than NEW, or not: as a number, so that this is one way for the verifier. */
    replied = ct->direction | ~(PCN_CT_UNANSWERED >> flow);
    packet->ct_state = PCN_CT_NEW + (replied & PCN_NEGATIVE(ct->next - PCN_CT_REOPEN));
}

PCN_INLINE void pcn_ct_judge(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct)
{
    __u64 event = PCN_CT_EVENT_UNTRACKED;
    struct pcn_ct_wanted wanted;
    __u32 ports = 0;

    if (pcn_likely(packet->ip_version && packet->fragment != PCN_FRAGMENT_LATER))
        event = pcn_ct_event_of(packet, &ports);
    if (pcn_unlikely(event == PCN_CT_EVENT_UNTRACKED)) {
        pcn_ct_lookup_other(ctx, packet, ct);
        return;
    }
    PCN_FORGET(event, pcn_ct_settings.seed);
    wanted = pcn_ct_wanted_by(packet, ports);
    PCN_FORGET(wanted.tuple, pcn_ct_settings.seed);
    ct->hash = pcn_ct_hash_wanted(&wanted, pcn_ct_settings.seed);
    pcn_ct_find(&wanted, ct);
    pcn_ct_judge_flow(ctx, packet, ct, event);
}

/*
 * The packet is parsed, and its zone set. Sets packet->ct_state, and ct_slot if it is of a flow. At TC,
 * pointers into the packet may be lost. ct: zeros; with .hash, the flow was looked for already
 * (see pcn/headers.bpf.h), and nobody has it.
 */
PCN_INLINE void pcn_ct_lookup(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct)
{
    __u64 unknown = PCN_READ_ONCE(pcn_ct_settings.seed);
    __u32 ports;

    if (pcn_likely(ct->hash)) {
        ct->slot = PCN_CT_NO_SLOT;
        pcn_ct_judge_flow(ctx, packet, ct, pcn_ct_event_of(packet, &ports));
    } else {
        pcn_ct_judge(ctx, packet, ct);
    }
    PCN_FORGET(ct->hash, unknown);
    PCN_FORGET(ct->word, unknown);
    PCN_FORGET(ct->slot, unknown);
    PCN_FORGET(ct->direction, unknown);
    PCN_FORGET(ct->next, unknown);
}

/* Whether the expiry of a flow that stays in its state can stay, too. */
PCN_INLINE bool pcn_ct_is_fresh(__u64 word, __u32 flow)
{
    __u32 timeout = PCN_READ_ONCE(pcn_ct_settings.timeouts[flow & (PCN_CT_FLOWS - 1)]);
    __u32 silent = (__u32)pcn_now() + timeout - (__u32)word;

    /* As unsigned: where the timeout was made shorter, expiry moves back. */
    return silent <= PCN_READ_ONCE(pcn_ct_settings.refresh) && silent <= timeout >> 4;
}

/*
 * Moves a flow on: its state, or its expiry. Another CPU may have done so meanwhile. Returns the flow's word as it was
 * written; 0: nothing was.
 */
PCN_INLINE __u64 pcn_ct_update(const struct pcn_packet *packet, struct pcn_ct *ct)
{
    __u32 now = pcn_now(), ports, event;
    __u64 *place, seen, word;

    if (pcn_likely(ct->next == pcn_ct_flow_of(ct->word) && pcn_ct_is_fresh(ct->word, ct->next)))
        return 0;
    place = pcn_ct_word_at(ct->slot);
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 2; attempt++) {
        word = pcn_ct_word_next(ct->word, ct->next, pcn_ct_expires(ct->next, now));
        seen = __sync_val_compare_and_swap(place, ct->word, word);
        if (pcn_likely(seen == ct->word))
            return word;
        /* What is there now is of the same flow, or of none that this packet knows. */
        if (!pcn_ct_is_same_flow(seen, ct->word))
            return 0;
        event = pcn_ct_event_of(packet, &ports);
        ct->word = seen;
        ct->next = pcn_ct_step(pcn_ct_flow_of(seen), ct->direction, event);
        if (!ct->next || ct->next == PCN_CT_REOPEN)
            return 0;
    }
    return 0;
}

PCN_INLINE void pcn_ct_count_traffic(struct pcn_ctx *ctx, const struct pcn_ct *ct)
{
    struct pcn_ct_traffic *traffic = pcn_ct_traffic_at(ct->slot);

    __sync_fetch_and_add(&traffic->packets[ct->direction & 1], 1);
    __sync_fetch_and_add(&traffic->bytes[ct->direction & 1], pcn_length(ctx));
}

/* User space is told of a new flow. */
__noinline int pcn_ct_tell(struct pcn_ctx *ctx, __u32 slot)
{
    struct pcn_packet *packet = pcn_packet_get();

    (void)pcn_slow_path(packet, PCN_CT_RECORD_NEW, slot, 0, 0);
    return pcn_copy_to_user(ctx);
}

#if PCN_CT_KEYS == 1
/*
 * The packet is let through: enters its flow, or moves it on. Not 0: there was no room for a new one, and
 * the settings say that the packet is dropped then.
 */
PCN_INLINE int pcn_ct_commit(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct)
{
    if (pcn_identity.dry_run)
        return 0;
    if (pcn_likely(ct->next)) {
        if (pcn_unlikely(!ct->word)) {
            ct->slot = pcn_ct_create(packet, ct->hash, ct->next);
            packet->ct_slot = ct->slot;
            if (ct->slot == PCN_CT_NO_SLOT)
                return PCN_READ_ONCE(pcn_ct_settings.drop_when_full);
            if (PCN_READ_ONCE(pcn_ct_settings.events))
                (void)pcn_ct_tell(ctx, ct->slot);
        } else if (pcn_unlikely(ct->next == PCN_CT_REOPEN)) {
            pcn_ct_reopen(packet, ct->hash, ct->word, ct->slot);
            ct->direction = 0;
        } else {
            pcn_ct_update(packet, ct);
        }
        if (pcn_ct_masks.windows && PCN_READ_ONCE(pcn_ct_settings.window_check) && packet->l4_protocol == IPPROTO_TCP)
            pcn_ct_window(ctx, packet, ct->slot, ct->direction, true);
        if (PCN_READ_ONCE(pcn_ct_settings.counting))
            pcn_ct_count_traffic(ctx, ct);
    }
    if (pcn_unlikely(packet->fragment == PCN_FRAGMENT_FIRST) && packet->ct_state != PCN_CT_INVALID)
        pcn_ct_fragment_keep(ctx, packet);
    return 0;
}
#endif
