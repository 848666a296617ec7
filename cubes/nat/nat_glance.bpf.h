/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Most packets are TCP or UDP over IPv4 without options or tags, of a session that goes on as it is. They are translated
 * where they lie, and no packet's context is filled in. Whatever is unusual is left to those who look closer.
 */
#pragma once
#include "nat_session.bpf.h"

#define NAT_CLOSER PCN_VERDICT_MAX

/* Headers without anything between them. */
struct nat_headers {
    struct iphdr *ip;
    __u8 *l4;     /* 20 bytes */
    __u32 length; /* of the IP packet */
};

PCN_INLINE bool nat_headers(struct pcn_ctx *ctx, struct nat_headers *ret)
{
    struct ethhdr *ethernet = pcn_data(ctx);

    ret->ip = (struct iphdr *)(ethernet + 1);
    ret->l4 = (__u8 *)(ret->ip + 1);
    if ((void *)(ret->l4 + 20) > pcn_data_end(ctx) || ethernet->h_proto != bpf_htons(ETH_P_IP) ||
        *(const __u8 *)ret->ip != 0x45 || ret->ip->frag_off & bpf_htons(0x3fff))
        return false;
    ret->length = bpf_ntohs(ret->ip->tot_len);
    return sizeof(*ethernet) + ret->length <= pcn_length(ctx);
}

/* What it does to its flow; PCN_CT_EVENT_UNTRACKED: it is neither TCP nor UDP, or is cut short. */
PCN_INLINE enum pcn_ct_event nat_event(const struct nat_headers *headers)
{
    const __u8 *l4 = headers->l4;
    __u32 length = headers->length - sizeof(*headers->ip), size;

    if (headers->length < sizeof(*headers->ip) + 8)
        return PCN_CT_EVENT_UNTRACKED;
    if (pcn_likely(headers->ip->protocol == IPPROTO_TCP)) {
        size = (l4[12] >> 4) * 4;
        return size >= 20 && size <= length ? pcn_ct_tcp_events[l4[13] & PCN_CT_TCP_FLAGS] : PCN_CT_EVENT_UNTRACKED;
    }
    size = bpf_ntohs(*(const __u16 *)(l4 + 4));
    if (headers->ip->protocol == IPPROTO_UDP && size >= 8 && size <= length)
        return PCN_CT_EVENT_UDP;
    return PCN_CT_EVENT_UNTRACKED;
}

/* A checksum, after a change: of words of 16 bits, and few of them, so that two folds do. */
PCN_INLINE __u16 nat_mend(__u16 check, __u32 change)
{
    __u32 sum = (__u16)~check + change;

    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

#ifndef PCN_XDP
/* Whether a device still has to fill in the transport's checksum, or a part of the frame is to be one yet. */
PCN_INLINE bool nat_is_partial(struct pcn_ctx *ctx, const struct nat_headers *headers, __u16 check)
{
    const struct iphdr *ip = headers->ip;
    __u64 sum = (__u64)ip->saddr + ip->daddr + bpf_htonl(headers->length - sizeof(*ip)) + bpf_htonl(ip->protocol);

    return ctx->gso_size || check == pcn_csum_fold(sum);
}
#endif

PCN_INLINE bool nat_glance_translate(struct pcn_ctx *ctx, const struct nat_headers *headers,
                                     const struct nat_session *session, bool out)
{
    struct iphdr *ip = headers->ip;
    bool udp = ip->protocol == IPPROTO_UDP;
    __u16 *port = (__u16 *)(headers->l4 + (out ? 0 : 2));
    __be32 *address = out ? &ip->saddr : &ip->daddr;
    __u64 sum = (__u64)(__u32) ~*address + session->to.v4;
    __u32 change = pcn_csum_fold(sum), ports = (__u16) ~*port + session->port;
    __u16 *check;

#ifndef PCN_XDP
    if (nat_is_partial(ctx, headers, *(const __u16 *)(headers->l4 + (udp ? 6 : 16))))
        return false;
#endif
    ip->check = nat_mend(ip->check, change);
    *address = session->to.v4;
    *port = session->port;
    if (udp) {
        check = (__u16 *)(headers->l4 + 6);
        *check = pcn_csum_udp(*check, nat_mend(*check, change + ports));
    } else {
        check = (__u16 *)(headers->l4 + 16);
        *check = nat_mend(*check, change + ports);
    }
#ifndef PCN_XDP
    /* In all, the addresses were taken off once: the checksum of the IP header has made up for them. */
    if (!udp || *(const __u16 *)(headers->l4 + 6))
        bpf_csum_update(ctx, ~pcn_change_fold(sum));
#endif
    return true;
}

/* NAT_CLOSER: nothing was done. */
PCN_INLINE enum pcn_verdict nat_glance(struct pcn_ctx *ctx, struct pcn_packet *packet, bool out)
{
    struct pcn_ct_wanted wanted = {.source = (const __u64 *)&packet->source,
                                   .destination = (const __u64 *)&packet->destination};
    const struct nat_session *session;
    struct nat_headers headers;
    enum pcn_ct_event event;
    struct pcn_ct ct;
    __u32 flow;

    /* What was parsed before has labels, maybe, which are to stay. */
    if (pcn_unlikely(packet->flags & PCN_PACKET_PARSED || !nat_headers(ctx, &headers)))
        return NAT_CLOSER;
    event = nat_event(&headers);
    if (pcn_unlikely(event == PCN_CT_EVENT_UNTRACKED))
        return NAT_CLOSER;
    wanted.tuple = pcn_ct_tuple(*(const __u32 *)headers.l4, headers.ip->protocol, 4, out ? NAT_INSIDE : NAT_OUTSIDE);
    wanted.pair = pcn_ct_pair(headers.ip->saddr, headers.ip->daddr);
    ct.hash = pcn_ct_hash_wanted(&wanted, pcn_ct_settings.seed);
    pcn_ct_find(&wanted, &ct);
    flow = pcn_ct_flow_of(ct.word);
    if (pcn_unlikely(!ct.word || pcn_ct_step(flow, ct.direction, event) != flow || !pcn_ct_is_fresh(ct.word, flow)))
        return NAT_CLOSER;
    session = nat_session_at(ct.slot);
    if (pcn_unlikely(session->wide || session->check != (__u32)ct.hash || PCN_READ_ONCE(pcn_ct_settings.counting)))
        return NAT_CLOSER;
    return nat_glance_translate(ctx, &headers, session, out) ? PCN_PASS : NAT_CLOSER;
}
