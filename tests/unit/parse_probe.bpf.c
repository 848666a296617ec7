/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Parses, and lets the packet go: the test looks at the context. */
#include <pcn/cube.bpf.h>
#include <pcn/parse.bpf.h>

PCN_INLINE enum pcn_verdict probe_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    __u16 bad = pcn_packet_parse(ctx, packet);

    return bad ? pcn_drop(packet, bad) : pcn_redirect(packet, 1);
}

PCN_STANDARD_CUBE(probe_ingress, pcn_pass);
