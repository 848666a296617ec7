/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a firewall holds to, besides its rules:
 *  - What is not IP passes: ARP, bridging protocols.
 *  - What contradicts itself or is cut short is dropped as malformed.
 *  - A later fragment has no ports: rules with ports do not match it, those without do.
 *  - VLAN tags, up to two, are looked behind.
 */
#include "firewall_classify.bpf.h"
#include <pcn/conntrack.h>

PCN_INLINE enum pcn_verdict firewall_reject(struct pcn_packet *packet)
{
    /* Nobody could be told which packet it was. */
    if (!packet->l4_offset && packet->fragment == PCN_FRAGMENT_LATER)
        return pcn_drop(packet, PCN_DROP_POLICY);
    return pcn_slow_path(packet, FIREWALL_SLOW_REJECT, packet->l4_offset - packet->l3_offset, packet->l4_protocol, 0);
}

PCN_INLINE enum pcn_verdict firewall_handle(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                            enum firewall_direction chain)
{
    struct firewall_match match;
    __u16 bad = pcn_packet_parse(ctx, packet);

    if (pcn_unlikely(bad))
        return pcn_drop(packet, bad);
    if (!packet->ip_version)
        return PCN_PASS;
    if ((packet->ct_state == PCN_CT_ESTABLISHED || packet->ct_state == PCN_CT_RELATED) &&
        PCN_READ_ONCE(firewall_data.accept_established))
        return PCN_PASS;
    (void)firewall_classify(ctx, packet, chain, 0, &match);
    firewall_count(ctx, &match);
    if (match.verdict.action == FIREWALL_ACCEPT)
        return PCN_PASS;
    if (match.verdict.action == FIREWALL_REJECT)
        return firewall_reject(packet);
    return pcn_drop(packet, PCN_DROP_POLICY);
}

PCN_INLINE enum pcn_verdict firewall_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return firewall_handle(ctx, packet, FIREWALL_INGRESS);
}

PCN_INLINE enum pcn_verdict firewall_egress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return firewall_handle(ctx, packet, FIREWALL_EGRESS);
}

PCN_TRANSPARENT_CUBE(firewall_ingress, firewall_egress);
