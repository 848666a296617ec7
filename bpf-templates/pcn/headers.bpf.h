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
    void *end = pcn_data_end(ctx);

    ret->ip = (struct iphdr *)(ethernet + 1);
    ret->l4 = (__u8 *)(ret->ip + 1);
    /* Of a packed header the compiler would read the bytes one by one. */
    if ((void *)(ret->l4 + 20) > end || *(const __u16 *)((const __u8 *)ethernet + 12) != bpf_htons(ETH_P_IP) ||
        *(const __u8 *)ret->ip != 0x45 || ret->ip->frag_off & bpf_htons(0x3fff))
        return false;
    ret->length = bpf_ntohs(ret->ip->tot_len);
    return sizeof(*ethernet) + ret->length <= pcn_length_between(ctx, ethernet, end);
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

/* A checksum, after a change: a sum of words of 16 bits, and few of them, so that two folds do. */
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
    /* Of 18 bits: pcn_headers_mend() folds it. */
    __u32 change = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32), ports = (__u16) ~*port + to_port;
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

/* A flow that goes on as it is: in its state, and its expiry need not be moved. */
struct pcn_headers_flow {
    __u64 hash; /* not 0: it was looked for, and nobody has it; see pcn_ct_lookup() */
    __u64 word;
    __u64 slot;
    __u64 direction;
    __u64 side; /* see pcn_ct_side() */
};

/* As pcn_ct_compare(), of IPv4 alone; whether it has expired is not looked at. */
PCN_INLINE bool pcn_headers_flow_is(const struct pcn_ct_wanted *wanted, const struct pcn_ct_entry *entry,
                                    struct pcn_headers_flow *ret)
{
    __u64 same, other;

    ret->word = PCN_READ_ONCE(entry->word);
    asm volatile("" ::: "memory");
    same = (entry->tuple ^ wanted->tuple) | (entry->pair ^ wanted->pair);
    ret->direction = 0;
    if (!same)
        return ret->word;
    other = (entry->tuple ^ pcn_ct_reverse(wanted->tuple)) | (entry->pair ^ pcn_ct_turn(wanted->pair));
    ret->direction = 1;
    return !other && ret->word;
}

/* What is not where most flows are. others: places of the first bucket that have its tag, too. */
PCN_INLINE bool pcn_headers_flow_else(const struct pcn_ct_wanted *wanted, __u64 hash, __u64 others,
                                      struct pcn_headers_flow *ret)
{
    struct pcn_ct ct = {.hash = hash};

    if (others || pcn_ct_tagged_second(hash))
        pcn_ct_find_else(wanted, &ct);
    if (!ct.word)
        ret->hash = hash;
    ret->word = ct.word;
    ret->slot = ct.slot;
    ret->direction = ct.direction;
    return ct.word;
}

/*
 * False: it is not there, or does not go on as it is. One that does has not expired, since its expiry is moved often enough.
 */
PCN_INLINE bool pcn_headers_flow_find(const struct pcn_packet *packet, const struct pcn_headers *headers, __u16 zone,
                                      struct pcn_headers_flow *ret)
{
    struct pcn_ct_wanted wanted = {.source = (const __u64 *)&packet->source,
                                   .destination = (const __u64 *)&packet->destination};
    enum pcn_ct_event event = pcn_headers_event(headers);
    const struct pcn_ct_bucket *bucket;
    const struct pcn_ct_entry *entry;
    __u64 hash, found;
    __u32 state;

    ret->hash = 0;
    if (pcn_unlikely(event == PCN_CT_EVENT_UNTRACKED))
        return false;
    wanted.tuple = pcn_ct_tuple(*(const __u32 *)headers->l4, headers->ip->protocol, 4, zone);
    wanted.pair = pcn_ct_pair(headers->ip->saddr, headers->ip->daddr);
    hash = pcn_ct_hash_wanted(&wanted, pcn_ct_settings.seed);
    bucket = pcn_ct_bucket_at(pcn_ct_bucket(hash, 0));
    found = pcn_ct_tagged_in(PCN_READ_ONCE(bucket->tags), hash);
    ret->slot = pcn_ct_first_led_to(bucket, found) - 1u;
    entry = pcn_ct_entry_at(ret->slot);
    if (pcn_unlikely(!found || !pcn_headers_flow_is(&wanted, entry, ret))) {
        if (!pcn_headers_flow_else(&wanted, hash, found & (found - 1), ret))
            return false;
        entry = pcn_ct_entry_at(ret->slot);
    }
    state = pcn_ct_flow_of(ret->word);
    if (pcn_unlikely(pcn_ct_step(state, ret->direction, event) != state || !pcn_ct_is_fresh(ret->word, state)))
        return false;
    ret->side = PCN_READ_ONCE(entry->middle);
    asm volatile("" ::: "memory");
    return PCN_READ_ONCE(entry->word) == ret->word;
}
