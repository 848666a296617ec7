/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What an ICMPv6 error quotes: where the transport header is, behind extension headers. */
#pragma once
#include <pcn/context.bpf.h>
#include <pcn/parse.bpf.h>

/*
 * Offset of the quoted transport header | its protocol << 16. 0: it is not there, or of a later fragment. At TC pointers
 * into the packet are lost. A function of its own, so that the verifier comes to it once.
 */
__noinline __u32 pcn_quote_transport6(struct pcn_ctx *ctx)
{
    const struct pcn_packet *packet = pcn_packet_get();
    __u64 at = packet->l4_offset + 8, unknown = packet->ct_slot;
    const struct ipv6hdr *ip = pcn_header_at(ctx, at, sizeof(*ip));
    __u8 protocol;

    if (!ip || ip->version != 6)
        return 0;
    protocol = ip->nexthdr;
    at += sizeof(*ip);
#pragma clang loop unroll(disable)
    for (int i = 0; i < PCN_EXTENSIONS_MAX; i++) {
        const __u8 *header;

        if (!pcn_is_extension(protocol) || protocol == IPPROTO_AH)
            break;
        header = pcn_header_at(ctx, at, 8);
        if (!header)
            return 0;
        if (protocol == IPPROTO_FRAGMENT && *(const __u16 *)(header + 2) & bpf_htons(0xfff8))
            return 0;
        at += protocol == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
        PCN_FORGET(at, unknown);
        protocol = header[0];
    }
    return at <= PCN_OFFSET_MAX ? at | (__u32)protocol << 16 : 0;
}
