/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Fast path of lbdsr: what clients send to a VIP gets a backend; what comes from backends passes. */
#include "lbdsr_glance.bpf.h"
#include "lbdsr_rare.bpf.h"
#include "lbdsr_rules.bpf.h"
#include "lbdsr_segment.bpf.h"
#include "lbdsr_send.bpf.h"
#include "lbdsr_tables.bpf.h"

/* Begins a flow, whatever was at its ports before. */
PCN_INLINE bool lbdsr_is_first(const struct pcn_packet *packet)
{
    return packet->l4_protocol == IPPROTO_TCP && (packet->tcp_flags & (LBDSR_TCP_SYN | LBDSR_TCP_ACK)) == LBDSR_TCP_SYN;
}

PCN_INLINE bool lbdsr_is_last(const struct pcn_packet *packet)
{
    return packet->l4_protocol == IPPROTO_TCP && packet->tcp_flags & (LBDSR_TCP_FIN | LBDSR_TCP_RST);
}

/* Backend of a flow that is remembered; 0: it is to be spread anew. */
PCN_INLINE __u32 lbdsr_remembered(const struct pcn_packet *packet, struct lbdsr_flow *flow)
{
    __u32 word = flow->word, state = word >> LBDSR_STATE_SHIFT, backend = lbdsr_flow_backend(word);
    __u32 now = pcn_now(), silent = now - flow->seen;

    if (pcn_unlikely(!backend || (lbdsr_is_first(packet) && state != LBDSR_ESTABLISHED)))
        return 0;
    if (pcn_unlikely(silent >= PCN_READ_ONCE(lbdsr_data.refresh))) {
        if (packet->l4_protocol != IPPROTO_TCP && silent > PCN_READ_ONCE(lbdsr_data.timeout))
            return 0;
        flow->seen = now;
    }
    if (pcn_unlikely(lbdsr_is_last(packet)))
        flow->word = (word & ~(3u << LBDSR_STATE_SHIFT)) | (__u32)LBDSR_OVER << LBDSR_STATE_SHIFT;
    else if (pcn_unlikely(state == LBDSR_NEW))
        flow->word = (word & ~(3u << LBDSR_STATE_SHIFT)) | (__u32)LBDSR_ESTABLISHED << LBDSR_STATE_SHIFT;
    return backend;
}

/* By the table, and remembered: in the place it had, or in a new one. One that has begun may be known to another CPU. */
PCN_INLINE __u32 lbdsr_spread(const struct pcn_packet *packet, const struct lbdsr_vip *vip, struct lbdsr_flow *flow,
                              __u64 hash, __u32 cpu)
{
    const union lbdsr_table table = lbdsr_table_of(vip);
    const struct lbdsr_target *backend;
    __u32 number = 0, word;

    if (pcn_unlikely(table.changed) && !flow && !lbdsr_is_first(packet))
        number = lbdsr_flow_anywhere(hash);
    if (!number)
        number = lbdsr_choose(vip, table, &packet->source, hash);
    backend = lbdsr_backend_at(number);
    if (pcn_unlikely(!backend))
        return 0;
    word = lbdsr_flow_word(number, backend->epoch, LBDSR_NEW);
    if (flow) {
        flow->word = word;
        flow->seen = pcn_now();
    } else if (!lbdsr_is_last(packet)) {
        lbdsr_flow_new(cpu, hash, word);
    }
    return number;
}

PCN_INLINE __u32 lbdsr_backend_of(const struct pcn_packet *packet, const struct lbdsr_vip *vip, __u64 hash, __u32 cpu)
{
    struct lbdsr_tally *statistics = &lbdsr_data.statistics[cpu & (PCN_CPUS_MAX - 1)];
    struct lbdsr_flow *flow = lbdsr_flow_find(cpu, hash);
    __u32 backend = 0;

    if (pcn_likely(flow))
        backend = lbdsr_remembered(packet, flow);
    if (pcn_likely(backend)) {
        statistics->hits++;
        return backend;
    }
    statistics->misses++;
    return lbdsr_spread(packet, vip, flow, hash, cpu);
}

/* By a rule of its own: what was said in lbdsr_rare.bpf.h. */
PCN_INLINE enum pcn_verdict lbdsr_rare(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 said, __u16 port)
{
    if (said == LBDSR_NOT_OURS)
        return pcn_redirect(packet, port);
    if (said == LBDSR_ANSWERED) {
        pcn_packet_invalidate(packet);
        return PCN_REPLY;
    }
    if (said == LBDSR_SOLICITED)
        return pcn_slow_path(packet, LBDSR_SLOW_SOLICITED, 0, 0, 0);
    if (said == LBDSR_BAD)
        return pcn_drop(packet, LBDSR_DROP_FRAGMENT);
    return lbdsr_send(ctx, packet, bpf_get_smp_processor_id(), said, said, port);
}

PCN_INLINE enum pcn_verdict lbdsr_balance(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 ports, __u16 port)
{
    __u32 number, cpu = bpf_get_smp_processor_id(), tenant = lbdsr_tenant(packet), backend;
    __u64 seed = lbdsr_seed(tenant), hash;
    const struct lbdsr_vip *vip;
    union lbdsr_table table;

    number = lbdsr_vip_closest(&packet->destination, ports, packet->l4_protocol, packet->ip_version, tenant);
    vip = lbdsr_vip_at(number);
    if (!vip)
        return tenant >= LBDSR_SEGMENTS ? pcn_drop(packet, LBDSR_DROP_NO_BACKEND) : pcn_redirect(packet, port);
    hash = lbdsr_flow_hash(lbdsr_address_hash(&packet->source, packet->ip_version, seed),
                           lbdsr_address_hash(&packet->destination, packet->ip_version, seed), ports,
                           packet->l4_protocol, seed);
    backend = 0;
    table = lbdsr_table_of(vip);
    if (pcn_unlikely(table.rules)) {
        if (table.rules & LBDSR_ALLOW && !lbdsr_is_allowed(number))
            return pcn_drop(packet, LBDSR_DROP_NOT_ALLOWED);
        if (table.rules & LBDSR_QUIC)
            backend = lbdsr_quic_backend(ctx, number, table.quic_config);
    }
    if (!backend)
        backend = lbdsr_backend_of(packet, vip, hash, cpu);
    if (pcn_unlikely(packet->fragment == PCN_FRAGMENT_FIRST))
        lbdsr_fragment_first(ctx, backend);
    return lbdsr_send(ctx, packet, cpu, backend, hash, port);
}

PCN_INLINE enum pcn_verdict lbdsr_from_client(struct pcn_ctx *ctx, struct pcn_packet *packet, __u16 port)
{
    enum pcn_verdict verdict = lbdsr_glance(ctx, packet, bpf_get_smp_processor_id(), port);
    __u32 ports, said;
    __u16 bad;

    if (pcn_likely(verdict != LBDSR_CLOSER))
        return verdict;
    if (pcn_unlikely(PCN_READ_ONCE(lbdsr_data.shapes) & LBDSR_HAS_SEGMENT)) {
        said = lbdsr_segment(ctx);
        if (said == LBDSR_BAD)
            return pcn_drop(packet, LBDSR_DROP_ENCAPSULATION);
        if (said == LBDSR_SOLICITED)
            return pcn_slow_path(packet, LBDSR_SLOW_SEGMENT, 0, 0, 0);
    }
    bad = pcn_packet_parse(ctx, packet);
    ports = (__u32)packet->destination_port << 16 | packet->source_port;
    if (pcn_unlikely(bad))
        return pcn_drop(packet, bad);
    if (pcn_unlikely(packet->ip_version == 0)) {
        said = packet->ethertype == bpf_htons(ETH_P_ARP) ? lbdsr_arp(ctx) : LBDSR_NOT_OURS;
        return lbdsr_rare(ctx, packet, said, port);
    }
    if (pcn_unlikely(packet->fragment == PCN_FRAGMENT_LATER))
        return lbdsr_rare(ctx, packet, lbdsr_fragment_later(ctx), port);
    if (pcn_unlikely(packet->l4_protocol == IPPROTO_ICMP || packet->l4_protocol == IPPROTO_ICMPV6)) {
        said = lbdsr_icmp(ctx);
        if (said != LBDSR_AS_FLOW)
            return lbdsr_rare(ctx, packet, said, port);
        ports = 0;
    }
    return lbdsr_balance(ctx, packet, ports, port);
}

PCN_INLINE enum pcn_verdict lbdsr_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    __u16 front = PCN_READ_ONCE(lbdsr_data.ports[LBDSR_FRONTEND]);
    __u16 back = PCN_READ_ONCE(lbdsr_data.ports[LBDSR_BACKEND]);

    /* LBDSR_NO_PORT has all bits. */
    if (pcn_unlikely((front | back) >= PCN_PORTS_MAX))
        return pcn_drop(packet, LBDSR_DROP_NO_OTHER_PORT);
    /* The verifier loses sight of the wrapper's check. */
    front &= PCN_PORTS_MAX - 1;
    back &= PCN_PORTS_MAX - 1;
    if (packet->port == back)
        return pcn_redirect(packet, front);
    return lbdsr_from_client(ctx, packet, back);
}

PCN_STANDARD_CUBE(lbdsr_ingress, pcn_pass);
