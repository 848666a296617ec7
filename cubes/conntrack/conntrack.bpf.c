/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#include "conntrack_maps.h"
#include <pcn/conntrack.bpf.h>
#include <pcn/cube.bpf.h>

/* Both directions alike: who sent first is the flow's business, not the interface's. */
PCN_INLINE enum pcn_verdict conntrack_track(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    __u16 bad = pcn_packet_parse(ctx, packet);
    struct pcn_ct ct = {};

    if (pcn_unlikely(bad))
        return pcn_drop(packet, bad);
    packet->zone = PCN_READ_ONCE(pcn_ct_settings.zone);
    pcn_ct_lookup(ctx, packet, &ct);
    if (pcn_unlikely(pcn_ct_commit(ctx, packet, &ct)))
        return pcn_drop(packet, CONNTRACK_TABLE_FULL);
    return PCN_PASS;
}

PCN_TRANSPARENT_CUBE(conntrack_track, conntrack_track);
