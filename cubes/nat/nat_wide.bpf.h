/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Sessions of IPv6, and in hairpin: there, what a packet is to be stands in the other key, for both its sides. */
#pragma once
#include "nat_session.bpf.h"
#include <pcn/rewrite.bpf.h>

/*
 * What a packet from that address is to be, by the other key than the one that it was found by. False: the session has ended.
 */
PCN_INLINE bool nat_sides_of(__u32 slot, const union pcn_address *from, struct pcn_change *source,
                             struct pcn_change *destination)
{
    const __u64 *place = pcn_ct_word_at(slot);
    __u64 word = PCN_READ_ONCE(*place);
    __u32 other = pcn_ct_other_of(slot);
    bool reply;

    pcn_ct_address_at(slot, false, &source->to);
    reply = !pcn_ct_same_address(&source->to, from);
    pcn_ct_side_at(other, reply, source);
    pcn_ct_side_at(other, !reply, destination);
    return pcn_ct_is_same_flow(PCN_READ_ONCE(*place), word);
}

/* Back to where it came from: the router that sent it gets it. */
PCN_INLINE bool nat_turn_frame(struct pcn_ctx *ctx)
{
    __u16 *mac = (__u16 *)pcn_parse_at(ctx, 0, ETH_HLEN), word;

    if (!mac)
        return false;
#pragma unroll
    for (int i = 0; i < 3; i++) {
        word = mac[i];
        mac[i] = mac[i + 3];
        mac[i + 3] = word;
    }
    return true;
}

/* Of one that is not in hairpin. 0, or the reason to drop the packet. */
PCN_INLINE __u32 nat_translate6(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 slot, __u32 ports)
{
    bool out = pcn_ct_entry_at(slot)->tuple >> PCN_CT_ZONE_SHIFT == NAT_INSIDE;
    struct pcn_change change = {
        .from = out ? packet->source : packet->destination,
        .from_port = out ? ports : ports >> 16,
    };

    pcn_ct_side_at(pcn_ct_other_of(slot), !nat_session_at(slot)->out, &change);
    if (packet->fragment == PCN_FRAGMENT_LATER)
        change.to_port = 0;
    return pcn_rewrite(ctx, packet, out ? &change : NULL, out ? NULL : &change, 6) ? 0 : PCN_DROP_MALFORMED;
}

/* A packet of a session, found by a key: 0, NAT_TURNED, or the reason to drop it. A later fragment has no ports. */
#define NAT_TURNED 0x10000u
__noinline __u32 nat_translate_wide(struct pcn_ctx *ctx, __u32 slot)
{
    struct pcn_packet *packet = pcn_packet_get();
    struct pcn_change source, destination;
    __u32 ports = 0;
    bool done;

    if (packet->fragment != PCN_FRAGMENT_LATER)
        pcn_ct_event_of(packet, &ports);
    if (!(nat_session_at(slot)->wide & NAT_HAIRPIN))
        return nat_translate6(ctx, packet, slot, ports);
    source.from = packet->source;
    destination.from = packet->destination;
    if (!nat_sides_of(slot, &packet->source, &source, &destination))
        return NAT_DROP_INVALID;
    source.from_port = ports;
    destination.from_port = ports >> 16;
    if (packet->fragment == PCN_FRAGMENT_LATER)
        source.to_port = destination.to_port = 0;
    if (packet->ip_version == 6)
        done = pcn_rewrite(ctx, packet, &source, &destination, 6);
    else
        done = pcn_rewrite(ctx, packet, &source, &destination, 4);
    if (!done)
        return PCN_DROP_MALFORMED;
    return nat_turn_frame(ctx) ? NAT_TURNED : PCN_DROP_MALFORMED;
}
