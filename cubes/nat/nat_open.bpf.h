/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The first packet of a session. */
#pragma once
#include "nat_rules.bpf.h"

/* In place of a slot: no rule names it, it passes; or the reason why it is dropped. */
#define NAT_PASS 0xffff0000u
#define NAT_REFUSE(reason_) (0xfffe0000u | (reason_))
#define NAT_SLOTS 0x80000000u /* what is below is a slot */

/* Whether ports can be chosen: SCTP's are under a checksum (CRC32c) that cannot be mended. */
PCN_INLINE bool nat_has_ports(const struct nat_new *new)
{
    __u32 protocol = new->own.words[4] >> PCN_CT_PROTOCOL_SHIFT & 0xff;

    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP;
}

/* A tuple outside that is free: its slot, or NAT_REFUSE(). */
__noinline __u32 nat_choose(struct nat_new *new, __u32 number, __u32 address)
{
    const struct nat_rule *rule = nat_rule_at(number);
    __u32 attempts, slot;

    if (!new || !rule)
        return NAT_REFUSE(NAT_DROP_INVALID);
    attempts = nat_has_ports(new) ? 2 * NAT_ATTEMPTS + 1 : 1;
#pragma clang loop unroll(disable)
    for (__u32 attempt = 0; attempt < 2 * NAT_ATTEMPTS + 1 && attempt < attempts; attempt++) {
        __u32 port = bpf_ntohs((__u16) new->own.words[4]);

        if (nat_has_ports(new))
            port = nat_candidate(rule, new, attempt);
        if (port > 0xffff)
            continue;
        nat_set_source(new, address, bpf_htons(port));
        slot = nat_take(new);
        if (slot == PCN_CT_NO_SLOT)
            return NAT_REFUSE(NAT_DROP_TABLE_FULL);
        if (slot != NAT_TAKEN)
            return slot;
    }
    return NAT_REFUSE(NAT_DROP_NO_PORT);
}

/* The host inside: there is no choice. */
__noinline __u32 nat_lead(struct nat_new *new, __u32 number)
{
    const struct nat_rule *rule = nat_rule_at(number);
    __u32 slot, address;
    __u16 port;

    if (!new || !rule)
        return NAT_REFUSE(NAT_DROP_INVALID);
    address = rule->address;
    if (rule->kind == NAT_NETMAP)
        address += bpf_ntohl(new->own.words[2]) - rule->base;
    port = new->own.words[4] >> PCN_CT_DESTINATION_PORT_SHIFT;
    if (rule->kind == NAT_PORT_FORWARDING)
        port = bpf_htons(bpf_ntohs(port) - rule->first + rule->internal);
    nat_set_destination(new, bpf_htonl(address), port);
    slot = nat_take(new);
    if (slot == PCN_CT_NO_SLOT)
        return NAT_REFUSE(NAT_DROP_TABLE_FULL);
    return slot == NAT_TAKEN ? NAT_REFUSE(NAT_DROP_NO_PORT) : slot;
}

/* Both places of a session: the slot of the packet's own, or NAT_REFUSE(). */
__noinline __u32 nat_establish(struct nat_new *new, __u32 number, __u32 address)
{
    __u32 partner;

    if (!new)
        return NAT_REFUSE(NAT_DROP_INVALID);
    new->slot = nat_claim(new->hash);
    if (new->slot == PCN_CT_NO_SLOT)
        return NAT_REFUSE(NAT_DROP_TABLE_FULL);
    partner = address ? nat_choose(new, number, address) : nat_lead(new, number);
    if (partner >= NAT_SLOTS) {
        nat_release(new->slot);
        return partner;
    }
    nat_publish(new->slot, partner, new, true, new->hash);
    PCN_CT_COUNT(created);
    return new->slot;
}

PCN_INLINE bool nat_is_multicast(__u32 address)
{
    return (__u8)address >= 224;
}

/*
 * What no session has: the slot of a new one, NAT_PASS or NAT_REFUSE(). flow: 0, it opens none. Then what goes out would
 * show an address that is to be hidden: it is dropped, unless it has the address outside already (the router's own).
 */
__noinline __u32 nat_open(const struct pcn_packet *packet, __u64 hash, __u32 flow, bool out)
{
    struct nat_new *new = &nat_news[bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1)];
    __u32 ports = 0, number, address = 0, slot;
    const struct nat_rule *rule;

    if (!packet || (out && nat_is_multicast(packet->destination.v4)))
        return NAT_PASS;
    if (out && nat_find(NAT_EXEMPTIONS, bpf_ntohl(packet->destination.v4)))
        return NAT_PASS;
    pcn_ct_event_of(packet, &ports);
    if (out)
        number = nat_find(NAT_SOURCES, bpf_ntohl(packet->source.v4));
    else
        number = nat_find(NAT_DESTINATIONS, nat_destination_key(bpf_ntohl(packet->destination.v4), packet->l4_protocol,
                                                                bpf_ntohs(ports >> 16)));
    rule = number ? nat_rule_at(number) : NULL;
    if (!rule || (!out && !flow))
        return NAT_PASS;
    if (out) {
        address = nat_external(rule, packet->source.v4);
        if (!flow && address == packet->source.v4)
            return NAT_PASS;
        if (!flow)
            return NAT_REFUSE(packet->fragment == PCN_FRAGMENT_LATER ? NAT_DROP_FRAGMENT : NAT_DROP_INVALID);
        if (!address)
            return NAT_REFUSE(NAT_DROP_NO_ADDRESS);
    }
    new->hash = hash;
    new->flow = flow;
    new->rule = rule->id;
    new->kind = rule->kind;
    new->out = out;
    pcn_ct_key_of(packet, ports, &new->own);
    new->other = new->own;
    new->other.words[4] ^= (__u64)(NAT_INSIDE ^ NAT_OUTSIDE) << PCN_CT_ZONE_SHIFT;
    slot = nat_establish(new, number, address);
    if (slot == NAT_REFUSE(NAT_DROP_TABLE_FULL) && !PCN_READ_ONCE(pcn_ct_settings.drop_when_full))
        return NAT_PASS;
    return slot;
}
