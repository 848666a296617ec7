/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Packets of a session that goes on as it is, see pcn/headers.bpf.h. */
#pragma once
#include "nat_session.bpf.h"
#include <pcn/headers.bpf.h>

#define NAT_CLOSER PCN_VERDICT_MAX

/* NAT_CLOSER: nothing was done; hash: of a flow that is not known, see pcn_ct_lookup(). */
PCN_INLINE enum pcn_verdict nat_glance(struct pcn_ctx *ctx, struct pcn_packet *packet, __u64 *ret_hash, bool out)
{
    struct pcn_headers headers;
    struct pcn_ct ct = {};
    __u64 side;

    if (pcn_unlikely(packet->flags & PCN_PACKET_PARSED || !pcn_headers_find(ctx, &headers)))
        return NAT_CLOSER;
    if (pcn_unlikely(!pcn_headers_flow(packet, &headers, out ? NAT_INSIDE : NAT_OUTSIDE, &ct))) {
        *ret_hash = ct.word ? 0 : ct.hash;
        return NAT_CLOSER;
    }
    if (pcn_unlikely(!pcn_ct_side_of(&ct, &side) || side >> PCN_CT_SIDE_MORE_SHIFT ||
                     PCN_READ_ONCE(pcn_ct_settings.counting)))
        return NAT_CLOSER;
    return pcn_headers_rewrite(ctx, &headers, side, side >> PCN_CT_SIDE_PORT_SHIFT, out) ? PCN_PASS : NAT_CLOSER;
}
