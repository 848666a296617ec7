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
    struct pcn_headers_flow flow;

    if (pcn_unlikely(packet->flags & PCN_PACKET_PARSED || PCN_READ_ONCE(pcn_ct_settings.counting) ||
                     !pcn_headers_find(ctx, &headers)))
        return NAT_CLOSER;
    if (pcn_unlikely(!pcn_headers_flow_find(packet, &headers, out ? NAT_INSIDE : NAT_OUTSIDE, &flow))) {
        *ret_hash = flow.hash;
        return NAT_CLOSER;
    }
    if (pcn_unlikely(flow.side >> PCN_CT_SIDE_MORE_SHIFT))
        return NAT_CLOSER;
    return pcn_headers_rewrite(ctx, &headers, flow.side, flow.side >> PCN_CT_SIDE_PORT_SHIFT, out) ? PCN_PASS
                                                                                                   : NAT_CLOSER;
}
