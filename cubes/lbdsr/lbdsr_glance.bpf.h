/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Most packets are TCP or UDP over IPv4 without options or tags. Of those whose flow is remembered the connection table
 * alone is asked, and no packet's context is filled in. Whatever is unusual is left to those who look closer.
 */
#pragma once
#include "lbdsr_send.bpf.h"

enum { LBDSR_TCP_FIN = 1, LBDSR_TCP_SYN = 2, LBDSR_TCP_RST = 4, LBDSR_TCP_ACK = 16 };

#define LBDSR_CLOSER PCN_VERDICT_MAX

struct lbdsr_glance {
    struct lbdsr_inner inner;
    __u32 ports;
    __u32 vip;
    __u8 protocol;
    bool first; /* of its flow */
};

/* Hash of its flow; 0: it is for those who look closer. */
PCN_INLINE __u64 lbdsr_glance_hash(struct pcn_ctx *ctx, struct lbdsr_glance *seen)
{
    struct lbdsr_inner *inner = &seen->inner;
    const void *data = pcn_data(ctx), *end = pcn_data_end(ctx);
    const struct iphdr *ip = data + sizeof(struct ethhdr);
    const __u8 *l4 = (const __u8 *)(ip + 1);

    /* Of a packed header the compiler would read the bytes one by one. */
    if ((const void *)(l4 + 8) > end || *(const __u16 *)(data + 12) != bpf_htons(ETH_P_IP) ||
        *(const __u8 *)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff))
        return 0;
    inner->length = bpf_ntohs(ip->tot_len);
    if (sizeof(struct ethhdr) + inner->length > pcn_length_between(ctx, data, end))
        return 0;
    if (ip->protocol == IPPROTO_TCP) {
        if ((const void *)(l4 + 20) > end || l4[12] < 0x50 || sizeof(*ip) + (l4[12] >> 4) * 4 > inner->length ||
            l4[13] & (LBDSR_TCP_FIN | LBDSR_TCP_RST))
            return 0;
        seen->first = l4[13] & LBDSR_TCP_SYN;
    } else if (ip->protocol == IPPROTO_UDP) {
        __u32 length = bpf_ntohs(*(const __u16 *)(l4 + 4));

        if (length < 8 || sizeof(*ip) + length > inner->length)
            return 0;
    } else {
        return 0;
    }
    seen->ports = *(const __u32 *)l4;
    seen->vip = ip->daddr;
    seen->protocol = ip->protocol;
    inner->tos = ip->tos;
    inner->id_df = *(const __u32 *)&ip->id & (0xffff | LBDSR_DF);
    return lbdsr_flow_hash(ip->saddr, ip->daddr, *(const __u32 *)l4, ip->protocol, PCN_READ_ONCE(lbdsr_data.hash_seed));
}

/* Number that a flow's backend has or had, if nothing but its packet is new; 0: look closer. */
PCN_INLINE __u32 lbdsr_glance_known(const struct lbdsr_flow *flow, bool first)
{
    __u32 word = flow->word;

    if (pcn_unlikely(first || word >> LBDSR_STATE_SHIFT != LBDSR_ESTABLISHED ||
                     (__u32)pcn_now() - flow->seen >= PCN_READ_ONCE(lbdsr_data.refresh)))
        return 0;
    return word & LBDSR_BACKEND_BITS;
}

/* Of one that is not remembered, and that no other CPU can know. */
PCN_INLINE __u32 lbdsr_glance_new(const struct lbdsr_glance *seen, __u64 hash)
{
    const union pcn_address vip_address = {.v6 = {seen->vip}};
    const struct lbdsr_vip *vip;
    union lbdsr_table table;

    if (!(PCN_READ_ONCE(lbdsr_data.shapes) & LBDSR_HAS_PORT))
        return 0;
    vip = lbdsr_vip_at(lbdsr_vip_find(&vip_address, seen->ports >> 16, seen->protocol, lbdsr_domain(4, 0)));
    if (!vip)
        return 0;
    table = lbdsr_table_of(vip);
    if (table.changed || table.affinity || table.rules)
        return 0;
    return lbdsr_choose(vip, table, &vip_address, hash);
}

/* Whether all there is to do for it is done here. */
PCN_INLINE bool lbdsr_is_plain(const struct lbdsr_target *backend, const struct lbdsr_inner *inner)
{
    __u32 flags = backend->flags, mtu = PCN_READ_ONCE(lbdsr_data.mtu);

    if (flags & (LBDSR_CAREFUL | LBDSR_REWRITE | LBDSR_VLAN) || PCN_READ_ONCE(backend->size) == LBDSR_UNFINISHED)
        return false;
    return !(flags & LBDSR_OUTER) || !mtu || inner->length + lbdsr_overhead(backend) <= mtu;
}

/* Whether it may be a tenant's. */
PCN_INLINE bool lbdsr_glance_tenant(const struct lbdsr_glance *seen)
{
    __u32 port = seen->ports >> 16;

    return PCN_READ_ONCE(lbdsr_data.shapes) & LBDSR_HAS_VLAN ||
           (seen->protocol == IPPROTO_UDP &&
            (port == bpf_htons(LBDSR_VXLAN_PORT) || port == bpf_htons(LBDSR_GENEVE_PORT)));
}

/* LBDSR_CLOSER: nothing was done. */
PCN_INLINE enum pcn_verdict lbdsr_glance(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 cpu, __u16 port)
{
    struct lbdsr_tally *statistics = &lbdsr_data.statistics[cpu & (PCN_CPUS_MAX - 1)];
    struct lbdsr_glance seen = {.inner = {.offset = sizeof(struct ethhdr), .fits = true}};
    __u64 hash = lbdsr_glance_hash(ctx, &seen);
    const struct lbdsr_target *backend;
    const struct lbdsr_flow *flow;
    struct ethhdr *ethernet;
    __u32 number = 0, opening;

    if (pcn_unlikely(!hash || PCN_READ_ONCE(lbdsr_data.shapes) & LBDSR_HAS_TENANT) &&
        (!hash || lbdsr_glance_tenant(&seen)))
        return LBDSR_CLOSER;
    /* Where new flows come, one behind the other: their places of both tables come from memory at the same time. */
    opening = statistics->opening;
    if (pcn_unlikely(opening))
        number = lbdsr_glance_new(&seen, hash);
    flow = lbdsr_flow_find(cpu, hash);
    if (pcn_likely(flow))
        number = lbdsr_glance_known(flow, seen.first);
    else if (!opening)
        number = lbdsr_glance_new(&seen, hash);
    statistics->opening = !flow;
    backend = lbdsr_backend_at(number);
    if (pcn_unlikely(!backend || (flow && !lbdsr_is_flow_of(flow->word, backend)) ||
                     !lbdsr_is_plain(backend, &seen.inner)))
        return LBDSR_CLOSER;
    if (pcn_likely(flow)) {
        statistics->hits++;
    } else {
        statistics->misses++;
        lbdsr_flow_put(cpu, hash, lbdsr_flow_word(number, backend->epoch, LBDSR_NEW));
    }
    lbdsr_count(ctx, cpu, number);
    if (!(backend->flags & LBDSR_OUTER)) {
        ethernet = pcn_header(ctx, sizeof(*ethernet));
        if (ethernet)
            lbdsr_put_mac(ethernet->h_dest, backend->mac);
        return pcn_redirect(packet, port);
    }
    if (!lbdsr_encapsulate(ctx, backend, &seen.inner, hash))
        return pcn_drop(packet, LBDSR_DROP_ENCAPSULATION);
    pcn_packet_invalidate(packet);
    return pcn_redirect(packet, port);
}
