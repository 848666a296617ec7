/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ICMP errors (RFC 5508, section 4.2): what they quote is a packet of a session as the other side saw it, so it is
 * translated back; the error itself as any packet of the session.
 */
#pragma once
#include "nat_wide.bpf.h"
#include <pcn/rewrite_error.bpf.h>

/* It goes to who sent what it quotes, and comes from whom that went to, if that is hidden. 0, or as nat_translate_wide(). */
PCN_INLINE __u32 nat_error_as(struct pcn_ctx *ctx, __u32 slot, bool out, __u32 version)
{
    struct pcn_packet *packet = pcn_packet_get();
    bool hairpin = nat_session_at(slot)->wide & NAT_HAIRPIN;
    struct pcn_error_change change;

    if (!nat_sides_of(slot, &packet->destination, &change.source, &change.destination))
        return NAT_DROP_INVALID;
    change.outer_source.to = out || hairpin ? change.destination.to : packet->source;
    change.outer_destination.to = !out || hairpin ? change.source.to : packet->destination;
    if (!pcn_rewrite_error(ctx, packet, &change, version))
        return PCN_DROP_MALFORMED;
    if (!hairpin)
        return 0;
    return nat_turn_frame(ctx) ? NAT_TURNED : PCN_DROP_MALFORMED;
}

__noinline __u32 nat_error4(struct pcn_ctx *ctx, __u32 slot, bool out)
{
    return nat_error_as(ctx, slot, out, 4);
}

__noinline __u32 nat_error6(struct pcn_ctx *ctx, __u32 slot, bool out)
{
    return nat_error_as(ctx, slot, out, 6);
}
