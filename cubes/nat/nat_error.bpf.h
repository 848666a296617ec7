/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ICMP errors (RFC 5508, section 4.2): what they quote is a packet of a session as the other side saw it, so it is
 * translated back, with its checksums; the error itself as any packet of the session. Nothing of it is left to a
 * device: the sum of the bytes stays the same, and so does what a device has summed up.
 */
#pragma once
#include "nat_session.bpf.h"
#include <pcn/rewrite.bpf.h>

/* A 16-bit word that is replaced, and with it the checksum that covers it. */
PCN_INLINE void nat_put(__u16 *word, __u16 value, __u16 *check)
{
    *check = pcn_csum_replace16(*check, *word, value);
    *word = value;
}

/* The quoted transport header, at offset; end: of the error. destination: of its two sides. */
PCN_INLINE void nat_error_l4(struct pcn_ctx *ctx, __u32 offset, __u32 end, __u8 protocol, bool destination,
                             const struct pcn_change *change, __u16 *sum)
{
    __u16 *header = (__u16 *)pcn_parse_at(ctx, offset, 8), *check = NULL, *port = NULL;
    __u16 before;

    if (!header)
        return;
    if (protocol == IPPROTO_ICMP) {
        /* The id of a request is the source's, of a reply the destination's. */
        if ((__u8)*header == (destination ? 0 : 8)) {
            port = header + 2;
            check = header + 1;
        }
    } else if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
        port = destination ? header + 1 : header;
        if (protocol == IPPROTO_UDP)
            check = header + 3;
        else if (offset + 18 <= end)
            check = (__u16 *)pcn_parse_at(ctx, offset + 16, 2);
    }
    before = port ? *port : 0;
    if (port)
        nat_put(port, change->to_port, sum);
    /* Of UDP, 0 says that there is none. */
    if (!check || (protocol == IPPROTO_UDP && !*check))
        return;
    if (protocol != IPPROTO_ICMP)
        nat_put(check, pcn_csum_replace32(*check, change->from.v4, change->to.v4), sum);
    nat_put(check, pcn_csum_replace16(*check, before, change->to_port), sum);
    if (protocol == IPPROTO_UDP && !*check)
        nat_put(check, 0xffff, sum);
}

/* What is quoted, behind the ICMP header. */
PCN_INLINE bool nat_error_quoted(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 end, bool out,
                                 struct pcn_change *change)
{
    __u32 offset = packet->l4_offset + 8;
    struct iphdr *ip = (void *)pcn_parse_at(ctx, offset, sizeof(*ip));
    __u16 *icmp = (__u16 *)pcn_parse_at(ctx, packet->l4_offset, 8), sum, *address;

    if (!ip || !icmp)
        return false;
    sum = icmp[1];
    change->from.v4 = out ? ip->daddr : ip->saddr;
    address = out ? (__u16 *)&ip->daddr : (__u16 *)&ip->saddr;
    nat_put(&ip->check, pcn_csum_replace32(ip->check, change->from.v4, change->to.v4), &sum);
    nat_put(address, change->to.v4, &sum);
    nat_put(address + 1, change->to.v4 >> 16, &sum);
    nat_error_l4(ctx, offset + ip->ihl * 4, end, ip->protocol, out, change, &sum);
    icmp = (__u16 *)pcn_parse_at(ctx, packet->l4_offset, 8);
    if (!icmp)
        return false;
    icmp[1] = sum;
    return true;
}

/* An error about the session of a place: 0, or the reason to drop it. */
__noinline __u32 nat_error(struct pcn_ctx *ctx, __u32 slot, bool out)
{
    const struct nat_session *session = nat_session_at(slot);
    struct pcn_packet *packet = pcn_packet_get();
    struct pcn_change change = {};
    const struct iphdr *ip;
    __u32 end;

    ip = pcn_parse_at(ctx, packet->l3_offset, sizeof(*ip));
    if (!ip)
        return NAT_DROP_INVALID;
    end = packet->l3_offset + bpf_ntohs(ip->tot_len);
    change.to.v4 = session->to;
    change.to_port = session->port;
    if (!nat_error_quoted(ctx, packet, end, out, &change))
        return PCN_DROP_MALFORMED;
    change = (struct pcn_change){.from.v4 = out ? packet->source.v4 : packet->destination.v4, .to = change.to};
    if (!pcn_rewrite_ip(ctx, packet, out ? &change : NULL, out ? NULL : &change, 4))
        return PCN_DROP_MALFORMED;
    pcn_rewrite_renew(packet, out ? &change : NULL, out ? NULL : &change, 4);
    return 0;
}
