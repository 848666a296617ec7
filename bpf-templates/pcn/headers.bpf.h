/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Most packets are TCP or UDP over IPv4 without options or tags, of a flow that goes on as it is. A cube may look at them at a
 * glance, and rewrite them where they lie, without filling in the packet's context:
 *
 *     struct pcn_headers headers;
 *
 *     if (packet->flags & PCN_PACKET_PARSED || !pcn_headers_find(ctx, &headers))
 *         it takes the long way, as all that is unusual
 *
 * What was parsed before has a label, maybe, which is to stay.
 */
#pragma once
#include <pcn/conntrack.bpf.h>
#include <pcn/rewrite.bpf.h>

/* Headers without anything between them. */
struct pcn_headers {
    struct iphdr *ip;
    __u8 *l4;     /* 20 bytes */
    __u32 length; /* of the IP packet */
};

/* False: they are not like that, or at TC not linear. */
PCN_INLINE bool pcn_headers_find(struct pcn_ctx *ctx, struct pcn_headers *ret)
{
    struct ethhdr *ethernet = pcn_data(ctx);

    ret->ip = (struct iphdr *)(ethernet + 1);
    ret->l4 = (__u8 *)(ret->ip + 1);
    /* Of a packed header the compiler would read the bytes one by one. */
    if ((void *)(ret->l4 + 20) > pcn_data_end(ctx) ||
        *(const __u16 *)((const __u8 *)ethernet + 12) != bpf_htons(ETH_P_IP) || *(const __u8 *)ret->ip != 0x45 ||
        ret->ip->frag_off & bpf_htons(0x3fff))
        return false;
    ret->length = bpf_ntohs(ret->ip->tot_len);
    return sizeof(*ethernet) + ret->length <= pcn_length(ctx);
}

/* What it does to its flow; PCN_CT_EVENT_UNTRACKED: it is neither TCP nor UDP, or is cut short. */
PCN_INLINE enum pcn_ct_event pcn_headers_event(const struct pcn_headers *headers)
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
PCN_INLINE __u16 pcn_headers_mend(__u16 check, __u32 change)
{
    __u32 sum = (__u16)~check + change;

    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

#ifndef PCN_XDP
/* Whether it looks as if a device still had to fill in the transport's checksum, or as if the frame was to be cut. */
PCN_INLINE bool pcn_headers_looks_partial(struct pcn_ctx *ctx, const struct pcn_headers *headers, __u16 check)
{
    const struct iphdr *ip = headers->ip;
    __u64 sum = (__u64)ip->saddr + ip->daddr + bpf_htonl(headers->length - sizeof(*ip)) + bpf_htonl(ip->protocol);

    return ctx->gso_size || check == pcn_csum_fold(sum);
}
#endif

/*
 * A new address and port (network order) for one side, with the checksums. False: nothing was done, it is left to
 * pcn/rewrite.bpf.h, which see.
 */
PCN_INLINE bool pcn_headers_rewrite(struct pcn_ctx *ctx, const struct pcn_headers *headers, __u32 to, __u16 to_port,
                                    bool source)
{
    struct iphdr *ip = headers->ip;
    bool udp = ip->protocol == IPPROTO_UDP;
    __u16 *port = (__u16 *)(headers->l4 + (source ? 0 : 2));
    __be32 *address = source ? &ip->saddr : &ip->daddr;
    __u64 sum = (__u64)(__u32) ~*address + to;
    __u32 change = pcn_csum_fold(sum), ports = (__u16) ~*port + to_port;
    __u16 *check;

#ifndef PCN_XDP
    if (pcn_may_be_partial(ctx) &&
        pcn_headers_looks_partial(ctx, headers, *(const __u16 *)(headers->l4 + (udp ? 6 : 16))))
        return false;
#endif
    ip->check = pcn_headers_mend(ip->check, change);
    *address = to;
    *port = to_port;
    if (udp) {
        check = (__u16 *)(headers->l4 + 6);
        *check = pcn_csum_udp(*check, pcn_headers_mend(*check, change + ports));
    } else {
        check = (__u16 *)(headers->l4 + 16);
        *check = pcn_headers_mend(*check, change + ports);
    }
#ifndef PCN_XDP
    /*
     * In all, the addresses were taken off once: the checksum of the IP header has made up for them. Of UDP without a checksum
     * the port alone is new.
     */
    pcn_summed_update(ctx, !udp || *(const __u16 *)(headers->l4 + 6) ? ~pcn_change_fold(sum) : ports);
#endif
    return true;
}

/*
 * Its flow, if it goes on as it is: in its state, and its expiry need not be moved. ct: zeros. False, with a hash and no word:
 * it was looked for, and nobody has it.
 */
PCN_INLINE bool pcn_headers_flow(const struct pcn_packet *packet, const struct pcn_headers *headers, __u16 zone,
                                 struct pcn_ct *ct)
{
    struct pcn_ct_wanted wanted = {.source = (const __u64 *)&packet->source,
                                   .destination = (const __u64 *)&packet->destination};
    enum pcn_ct_event event = pcn_headers_event(headers);
    __u32 flow;

    if (pcn_unlikely(event == PCN_CT_EVENT_UNTRACKED))
        return false;
    wanted.tuple = pcn_ct_tuple(*(const __u32 *)headers->l4, headers->ip->protocol, 4, zone);
    wanted.pair = pcn_ct_pair(headers->ip->saddr, headers->ip->daddr);
    ct->hash = pcn_ct_hash_wanted(&wanted, pcn_ct_settings.seed);
    pcn_ct_find(&wanted, ct);
    flow = pcn_ct_flow_of(ct->word);
    return ct->word && pcn_ct_step(flow, ct->direction, event) == flow && pcn_ct_is_fresh(ct->word, flow);
}
