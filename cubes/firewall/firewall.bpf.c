/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a firewall holds to, besides its rules:
 *  - What is not IP passes: ARP, bridging protocols.
 *  - What contradicts itself or is cut short is dropped as malformed.
 *  - A later fragment has no ports: rules with ports do not match it, those without do.
 *  - VLAN tags, up to two, are looked behind.
 *  - A flow is entered by the packet that is let through, not by one that is dropped.
 */
#include "firewall_classify.bpf.h"
#include <pcn/conntrack.bpf.h>

PCN_INLINE enum pcn_verdict firewall_reject(struct pcn_packet *packet)
{
    /* Nobody could be told which packet it was. */
    if (!packet->l4_offset && packet->fragment == PCN_FRAGMENT_LATER)
        return pcn_drop(packet, PCN_DROP_POLICY);
    return pcn_slow_path(packet, FIREWALL_SLOW_REJECT, packet->l4_offset - packet->l3_offset, packet->l4_protocol, 0);
}

/* What a twin is asked for. */
PCN_INLINE void firewall_explain(const struct pcn_packet *packet, const struct firewall_match *match, bool established)
{
    if (pcn_identity.dry_run)
        firewall_data.explained = (struct firewall_explained){.rule = established ? FIREWALL_NONE : match->verdict.id,
                                                              .action = match->verdict.action,
                                                              .ct_state = packet->ct_state,
                                                              .established = established,
                                                              .parsed = 1};
}

/* What accept-established, the rules and the default say of it. */
PCN_INLINE enum pcn_verdict firewall_judge(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                           enum firewall_direction chain, bool has_rules)
{
    struct firewall_match match = {.rule = FIREWALL_NONE};

    if ((packet->ct_state == PCN_CT_ESTABLISHED || packet->ct_state == PCN_CT_RELATED) &&
        PCN_READ_ONCE(firewall_data.accept_established)) {
        firewall_explain(packet, &match, true);
        return PCN_PASS;
    }
    (void)firewall_classify(ctx, packet, chain, 0, has_rules, &match);
    firewall_explain(packet, &match, false);
    firewall_count(ctx, &match);
    if (match.verdict.action == FIREWALL_ACCEPT)
        return PCN_PASS;
    if (match.verdict.action == FIREWALL_REJECT)
        return firewall_reject(packet);
    return pcn_drop(packet, match.verdict.action == FIREWALL_LOG ? FIREWALL_TOO_MANY : PCN_DROP_POLICY);
}

PCN_INLINE enum pcn_verdict firewall_handle(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                            enum firewall_direction chain, bool has_rules)
{
    __u16 bad = pcn_packet_parse(ctx, packet);
    enum pcn_verdict verdict;
    struct pcn_ct ct = {};

    if (pcn_unlikely(bad))
        return pcn_drop(packet, bad);
    if (!packet->ip_version)
        return PCN_PASS;
    if (firewall_settings.tracking) {
        packet->zone = 0;
        pcn_ct_lookup(ctx, packet, &ct);
        /* Its first fragment was let through, or not, by a dry run that left no trace. */
        if (pcn_identity.dry_run && packet->fragment == PCN_FRAGMENT_LATER)
            packet->ct_state = PCN_READ_ONCE(firewall_data.explain_state);
    }
    verdict = firewall_judge(ctx, packet, chain, has_rules);
    if (firewall_settings.tracking && verdict == PCN_PASS && pcn_unlikely(pcn_ct_commit(ctx, packet, &ct)))
        return pcn_drop(packet, FIREWALL_TABLE_FULL);
    return verdict;
}

PCN_INLINE enum pcn_verdict firewall_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return firewall_handle(ctx, packet, FIREWALL_INGRESS, true);
}

PCN_INLINE enum pcn_verdict firewall_egress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return firewall_handle(ctx, packet, FIREWALL_EGRESS, true);
}

/* Of chains without rules: tracking, and the default. */

PCN_INLINE enum pcn_verdict firewall_ingress_light(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return firewall_handle(ctx, packet, FIREWALL_INGRESS, false);
}

PCN_INLINE enum pcn_verdict firewall_egress_light(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return firewall_handle(ctx, packet, FIREWALL_EGRESS, false);
}

PCN_TRANSPARENT_LIGHT(firewall_ingress_light, firewall_egress_light);
PCN_TRANSPARENT_CUBE(firewall_ingress, firewall_egress);
