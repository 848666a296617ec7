/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The classifier alone: tells in words[0] which rule was found, in words[1] its id. */
#include "firewall_probe.h"
#include "firewall_classify.bpf.h"

struct probe_data probe_data SEC(PROBE_DATA) = {};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, PROBE_PACKETS);
    __type(key, __u32);
    __type(value, struct pcn_packet);
} probe_packets SEC(".maps");

PCN_INLINE enum pcn_verdict probe_handle(struct pcn_ctx *ctx, struct pcn_packet *packet, enum firewall_direction chain)
{
    struct firewall_match match;
    __u8 state = packet->ct_state;
    __u16 bad = pcn_packet_parse(ctx, packet);

    if (bad)
        return pcn_drop(packet, bad);
    if (!packet->ip_version)
        return PCN_PASS;
    /* What the test says that conntrack has found. */
    packet->ct_state = state;
    packet->words[0] = firewall_classify(ctx, packet, chain, probe_data.from, true, &match);
    packet->words[1] = match.verdict.id;
    firewall_count(ctx, &match);
    return match.verdict.action == FIREWALL_ACCEPT ? PCN_PASS : pcn_drop(packet, PCN_DROP_POLICY);
}

PCN_INLINE enum pcn_verdict probe_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return probe_handle(ctx, packet, FIREWALL_INGRESS);
}

PCN_INLINE enum pcn_verdict probe_egress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return probe_handle(ctx, packet, FIREWALL_EGRESS);
}

PCN_INLINE const struct pcn_packet *probe_packet(void)
{
    __u32 index = probe_data.next++ % PROBE_PACKETS;

    return bpf_map_lookup_elem(&probe_packets, &index);
}

/* One parsed packet after the other: the difference of the two is what the classifier costs. */
PCN_SEC int probe_bench(struct pcn_ctx *ctx)
{
    const struct pcn_packet *packet = probe_packet();
    struct firewall_match match;

    if (packet)
        probe_data.sum += firewall_classify(ctx, packet, FIREWALL_INGRESS, 0, true, &match);
    return PCN_ACT_DROP;
}

PCN_SEC int probe_base(struct pcn_ctx *ctx)
{
    const struct pcn_packet *packet = probe_packet();

    if (packet)
        probe_data.sum += packet->source.v4 ^ packet->destination_port;
    return PCN_ACT_DROP;
}

PCN_TRANSPARENT_CUBE(probe_ingress, probe_egress);
