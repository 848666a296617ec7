/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Sessions of which an entry does not say all: IPv6, and hairpin. What a packet is to be stands in the key of the other
 * place, for both its sides.
 */
#pragma once
#include "nat_session.bpf.h"
#include <pcn/rewrite.bpf.h>

struct nat_sides {
    struct pcn_change source;
    struct pcn_change destination;
};

/* Copies an address of a key. */
PCN_INLINE void nat_address(const __u64 *words, union pcn_address *ret)
{
    *(__u64 *)&ret->v6[0] = words[0];
    *(__u64 *)&ret->v6[2] = words[1];
}

/*
 * From the place that a tuple, source and destination given, was found in to the other one. ports: of the tuple. False:
 * the other place is not this session's any more.
 */
PCN_INLINE bool nat_sides_of(__u32 slot, __u32 ports, struct nat_sides *sides)
{
    const struct pcn_ct_entry *entry = pcn_ct_entry_at(slot);
    __u32 partner = PCN_READ_ONCE(nat_session_at(slot)->partner);
    const struct pcn_ct_entry *other = pcn_ct_entry_at(partner);
    __u64 from[2] = {*(const __u64 *)&sides->source.from.v6[0], *(const __u64 *)&sides->source.from.v6[2]};
    bool first = entry->key.words[0] == from[0] && entry->key.words[1] == from[1];
    __u32 to = other->key.words[4];

    nat_address(&other->key.words[first ? 0 : 2], &sides->source.to);
    nat_address(&other->key.words[first ? 2 : 0], &sides->destination.to);
    sides->source.from_port = ports;
    sides->destination.from_port = ports >> 16;
    sides->source.to_port = first ? to : to >> 16;
    sides->destination.to_port = first ? to >> 16 : to;
    return pcn_ct_pair_is(slot);
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

/* A packet of a session, found in a place: 0, NAT_TURNED, or the reason to drop it. A later fragment has no ports. */
#define NAT_TURNED 0x10000u
__noinline __u32 nat_translate_wide(struct pcn_ctx *ctx, __u32 slot)
{
    struct pcn_packet *packet = pcn_packet_get();
    struct nat_sides sides;
    __u32 ports = 0;
    bool done;

    sides.source.from = packet->source;
    sides.destination.from = packet->destination;
    if (packet->fragment != PCN_FRAGMENT_LATER)
        pcn_ct_event_of(packet, &ports);
    if (!nat_sides_of(slot, ports, &sides))
        return NAT_DROP_INVALID;
    if (packet->fragment == PCN_FRAGMENT_LATER) {
        sides.source.to_port = sides.source.from_port;
        sides.destination.to_port = sides.destination.from_port;
    }
    if (packet->ip_version == 6)
        done = pcn_rewrite(ctx, packet, &sides.source, &sides.destination, 6);
    else
        done = pcn_rewrite(ctx, packet, &sides.source, &sides.destination, 4);
    if (!done)
        return PCN_DROP_MALFORMED;
    if (!(nat_session_at(slot)->wide & NAT_HAIRPIN))
        return 0;
    return nat_turn_frame(ctx) ? NAT_TURNED : PCN_DROP_MALFORMED;
}
