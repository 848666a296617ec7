/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Fast path of nat: what goes out gets a source, what comes in a destination. */
#include "nat_error.bpf.h"
#include "nat_glance.bpf.h"
#include "nat_maps.h"
#include "nat_npt.bpf.h"
#include "nat_open.bpf.h"
#include <pcn/conntrack.bpf.h>
#include <pcn/cube.bpf.h>
#include <pcn/rewrite.bpf.h>

/* New address and port for a packet of IPv4, see pcn_ct_side(); its ports are those of its key. */
PCN_INLINE enum pcn_verdict nat_translate(struct pcn_ctx *ctx, struct pcn_packet *packet, __u64 side, __u32 ports,
                                          bool out)
{
    struct pcn_change change = {
        .from.v4 = out ? packet->source.v4 : packet->destination.v4,
        .to.v4 = side,
        .from_port = out ? ports : ports >> 16,
        .to_port = side >> PCN_CT_SIDE_PORT_SHIFT,
    };

    if (!pcn_rewrite(ctx, packet, out ? &change : NULL, out ? NULL : &change, 4))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    return PCN_PASS;
}

PCN_INLINE enum pcn_verdict nat_verdict(struct pcn_packet *packet, __u32 bad)
{
    if (bad == NAT_TURNED)
        return PCN_REPLY;
    return bad ? pcn_drop(packet, bad) : PCN_PASS;
}

/* Counted by the key inside, where it is shown; in hairpin, both are, by the first packet's own. */
PCN_INLINE void nat_count(struct pcn_ctx *ctx, const struct pcn_ct *ct)
{
    const struct nat_session *session = nat_session_at(ct->slot);
    struct pcn_ct inside = *ct;

    if (pcn_likely(!PCN_READ_ONCE(pcn_ct_settings.counting)))
        return;
    inside.slot = session->out ? pcn_ct_first_of(ct->slot) : pcn_ct_second_of(ct->slot);
    pcn_ct_count_traffic(ctx, &inside);
}

/* A packet of a session, which it keeps alive. One that cannot be in this state is translated too: it is its receiver's. */
PCN_INLINE enum pcn_verdict nat_known(struct pcn_packet *packet, struct pcn_ct *ct, __u64 *ret_side, bool out)
{
    __u64 word;

    if (pcn_unlikely(!pcn_ct_side_of(ct, ret_side)))
        return pcn_drop(packet, NAT_DROP_INVALID);
    /* Only who was first opens a session again. */
    if (pcn_unlikely(ct->next == PCN_CT_REOPEN))
        ct->next = ct->direction ? PCN_CT_FREE : PCN_CT_TCP_SYN_SENT;
    if (pcn_likely(ct->next)) {
        word = pcn_ct_update(packet, ct);
        if (pcn_unlikely(word))
            nat_follow(ct->slot, word);
    }
    return PCN_VERDICT_MAX;
}

/* Of a session, by now. side: as pcn_ct_side() has it, if the packet is of IPv4. */
PCN_INLINE enum pcn_verdict nat_send(struct pcn_ctx *ctx, struct pcn_packet *packet, const struct pcn_ct *ct,
                                     __u64 side, bool out)
{
    __u32 ports = 0;

    nat_count(ctx, ct);
    if (pcn_unlikely(packet->fragment == PCN_FRAGMENT_FIRST)) {
        packet->ct_state = PCN_CT_ESTABLISHED;
        pcn_ct_fragment_keep(ctx, packet);
    }
    if (pcn_unlikely(packet->ip_version == 6 || side >> PCN_CT_SIDE_MORE_SHIFT))
        return nat_verdict(packet, nat_translate_wide(ctx, ct->slot));
    pcn_ct_event_of(packet, &ports);
    return nat_translate(ctx, packet, side, ports, out);
}

/* A fragment behind the first one of a session: it has no ports. */
PCN_INLINE enum pcn_verdict nat_later(struct pcn_ctx *ctx, struct pcn_packet *packet, bool out)
{
    const struct nat_session *session = nat_session_at(packet->ct_slot);
    struct pcn_change change = {
        .from.v4 = out ? packet->source.v4 : packet->destination.v4,
        .to.v4 = pcn_ct_side_get(packet->ct_slot),
    };

    /* Its session may be over, and its slot another one's. */
    if (!pcn_ct_is_between(packet->ct_slot, packet))
        return pcn_drop(packet, NAT_DROP_FRAGMENT);
    if (session->wide)
        return nat_verdict(packet, nat_translate_wide(ctx, packet->ct_slot));
    if (!pcn_rewrite(ctx, packet, out ? &change : NULL, out ? NULL : &change, 4))
        return pcn_drop(packet, PCN_DROP_MALFORMED);
    return PCN_PASS;
}

/*
 * What was not found by its tuple. PCN_VERDICT_MAX: now it is of a session. That is not read again: it would wait for the
 * lines that were just written.
 */
PCN_INLINE enum pcn_verdict nat_unknown(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct,
                                        __u64 *ret_side, bool out)
{
    struct nat_new *new = nat_new_get();
    __u32 slot;

    if (packet->ct_state == PCN_CT_RELATED) {
        if (packet->ip_version == 4)
            return nat_verdict(packet, nat_error4(ctx, packet->ct_slot, out));
        return nat_verdict(packet, nat_error6(ctx, packet->ct_slot, out));
    }
    if (packet->fragment == PCN_FRAGMENT_LATER && packet->ct_slot != PCN_CT_NO_SLOT)
        return nat_later(ctx, packet, out);
    slot = nat_open(packet, new, ct->hash, ct->next, out);
    if (slot == NAT_PASS)
        return PCN_PASS;
    if (slot >= NAT_SLOTS)
        return pcn_drop(packet, slot & 0xffff);
    if (PCN_READ_ONCE(pcn_ct_settings.events))
        (void)pcn_ct_tell(ctx, slot);
    packet->ct_slot = ct->slot = slot;
    *ret_side = nat_side(new, true);
    return PCN_VERDICT_MAX;
}

/* What of other families than IPv4 is done with. PCN_VERDICT_MAX: it may be of a session. */
PCN_INLINE enum pcn_verdict nat_other_family(struct pcn_ctx *ctx, struct pcn_packet *packet, bool out)
{
    __u32 bad = NAT_NPT_UNNAMED;

    if (packet->ip_version != 6 || !PCN_READ_ONCE(nat_settings.ipv6) || nat_is_local(packet) ||
        nat_is_untracked(packet))
        return PCN_PASS;
    if (PCN_READ_ONCE(nat_settings.npt))
        bad = nat_npt(ctx, out);
    return bad == NAT_NPT_UNNAMED ? PCN_VERDICT_MAX : nat_verdict(packet, bad);
}

PCN_INLINE enum pcn_verdict nat_look(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct, bool out)
{
    __u16 bad = pcn_packet_parse(ctx, packet), zone = packet->zone;
    __u8 state = packet->ct_state;
    __u32 slot = packet->ct_slot;
    enum pcn_verdict verdict;
    __u64 side;

    if (pcn_unlikely(bad))
        return pcn_drop(packet, bad);
    if (pcn_unlikely(packet->ip_version != 4)) {
        verdict = nat_other_family(ctx, packet, out);
        if (verdict != PCN_VERDICT_MAX)
            return verdict;
    }
    packet->zone = out ? NAT_INSIDE : NAT_OUTSIDE;
    pcn_ct_lookup(ctx, packet, ct);
    if (pcn_unlikely(!ct->word))
        verdict = nat_unknown(ctx, packet, ct, &side, out);
    else
        verdict = nat_known(packet, ct, &side, out);
    if (pcn_likely(verdict == PCN_VERDICT_MAX))
        verdict = nat_send(ctx, packet, ct, side, out);
    /* A label that another cube gave is not ours to change. */
    packet->zone = zone;
    packet->ct_state = state;
    packet->ct_slot = slot;
    return verdict;
}

PCN_INLINE enum pcn_verdict nat_handle(struct pcn_ctx *ctx, struct pcn_packet *packet, bool out)
{
    struct pcn_ct ct = {};
    enum pcn_verdict verdict = nat_glance(ctx, packet, &ct.hash, out);

    return pcn_likely(verdict != NAT_CLOSER) ? verdict : nat_look(ctx, packet, &ct, out);
}

PCN_INLINE enum pcn_verdict nat_in(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return nat_handle(ctx, packet, false);
}

PCN_INLINE enum pcn_verdict nat_out(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return nat_handle(ctx, packet, true);
}

PCN_TRANSPARENT_CUBE(nat_in, nat_out);
