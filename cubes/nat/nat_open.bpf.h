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

/* One tuple outside: its slot, NAT_TAKEN or NAT_REFUSE(). Global, so that the verifier does not walk it once an attempt. */
__noinline __u32 nat_try(struct nat_new *new, __u32 number, __u32 address, __u32 attempt)
{
    const struct nat_rule *rule = nat_rule_at(number);
    __u32 port, slot;

    if (!new || !rule)
        return NAT_REFUSE(NAT_DROP_INVALID);
    port = bpf_ntohs((__u16) new->own.words[4]);
    if (nat_has_ports(new))
        port = nat_candidate(rule, new, attempt);
    else if (attempt)
        return NAT_REFUSE(NAT_DROP_NO_PORT);
    if (port > 0xffff)
        return NAT_TAKEN;
    nat_set_source(new, address, bpf_htons(port));
    slot = nat_take(new);
    return slot == PCN_CT_NO_SLOT ? NAT_REFUSE(NAT_DROP_TABLE_FULL) : slot;
}

/* A tuple outside that is free: its slot, or NAT_REFUSE(). */
__noinline __u32 nat_choose(struct nat_new *new, __u32 number, __u32 address)
{
#pragma clang loop unroll(disable)
    for (__u32 attempt = 0; attempt < 2 * NAT_ATTEMPTS + 1; attempt++) {
        __u32 slot = nat_try(new, number, address, attempt);

        if (slot != NAT_TAKEN)
            return slot;
    }
    return NAT_REFUSE(NAT_DROP_NO_PORT);
}

/* The host inside: there is no choice. */
__noinline __u32 nat_lead(struct nat_new *new, __u32 address)
{
    __u32 slot;

    if (!new)
        return NAT_REFUSE(NAT_DROP_INVALID);
    nat_set_destination(new, address, bpf_htons(new->port));
    slot = nat_take(new);
    if (slot == PCN_CT_NO_SLOT)
        return NAT_REFUSE(NAT_DROP_TABLE_FULL);
    return slot == NAT_TAKEN ? NAT_REFUSE(NAT_DROP_NO_PORT) : slot;
}

/*
 * Both places of a session: the slot of the packet's own, or NAT_REFUSE(). address: that it gets, in network order;
 * number: of the rule that has the ports for it.
 */
__noinline __u32 nat_establish(struct nat_new *new, __u32 number, __u32 address)
{
    __u32 partner;

    if (!new)
        return NAT_REFUSE(NAT_DROP_INVALID);
    new->slot = nat_claim(new->hash);
    if (new->slot == PCN_CT_NO_SLOT)
        return NAT_REFUSE(NAT_DROP_TABLE_FULL);
    partner = new->out ? nat_choose(new, number, address) : nat_lead(new, address);
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

/* The keys of a session: own that of the packet, the other one to be changed. */
PCN_INLINE void nat_keys(struct nat_new *new, const struct pcn_packet *packet, __u32 ports)
{
    pcn_ct_key_of(packet, ports, &new->own);
    new->other = new->own;
    new->other.words[4] ^= (__u64)(NAT_INSIDE ^ NAT_OUTSIDE) << PCN_CT_ZONE_SHIFT;
}

/* The place inside of new's mapping, or PCN_CT_NO_SLOT: then what it takes to establish it is in mapping. */
__noinline __u32 nat_mapping_find(const struct nat_new *new, struct nat_new *mapping)
{
    if (!new || !mapping)
        return PCN_CT_NO_SLOT;
    *mapping = *new;
    nat_mapping_key(&new->own, &mapping->own);
    mapping->other = mapping->own;
    mapping->other.words[4] ^= (__u64)(NAT_INSIDE ^ NAT_OUTSIDE) << PCN_CT_ZONE_SHIFT;
    mapping->hash = pcn_ct_hash(&mapping->own, pcn_ct_settings.seed);
    /* Not one of those that make room for others. */
    mapping->flow = PCN_CT_UDP_REPLIED;
    return pcn_ct_slot_of(&mapping->own);
}

/* The port of a mapping is new's first choice. */
__noinline __u32 nat_mapping_use(struct nat_new *new, __u32 slot, __u32 address)
{
    const struct nat_session *session = nat_session_at(slot);

    if (!new)
        return 0;
    /* A rule that was changed has another address: then the mapping is of no use. */
    if (session->to == address)
        new->port = bpf_ntohs(session->port);
    nat_extend(slot, (__u32)pcn_now() + PCN_READ_ONCE(pcn_ct_settings.timeouts[new->flow &(PCN_CT_FLOWS - 1)]));
    return 0;
}

/* What comes in for a mapping, from whomever: the slot of a new session, NAT_PASS or NAT_REFUSE(). */
PCN_INLINE __u32 nat_open_mapped(struct nat_new *new, const struct pcn_packet *packet, __u32 ports)
{
    struct pcn_ct_key key = {
        {packet->destination.v4, 0, 0, 0, pcn_ct_tuple(ports >> 16, packet->l4_protocol, 4, NAT_OUTSIDE)}};
    const struct nat_session *session;
    __u32 slot;

    if (!PCN_READ_ONCE(nat_settings.filtering) || !(ports >> 16))
        return NAT_PASS;
    slot = pcn_ct_slot_of(&key);
    if (slot == PCN_CT_NO_SLOT)
        return NAT_PASS;
    session = nat_session_at(slot);
    new->rule = session->rule;
    new->kind = session->kind;
    new->port = bpf_ntohs(session->port);
    return nat_establish(new, 0, session->to);
}

/* What comes in: the slot of a new session, NAT_PASS or NAT_REFUSE(). */
__noinline __u32 nat_open_in(const struct pcn_packet *packet, struct nat_new *new)
{
    const struct nat_rule *rule;
    __u32 ports = 0, number, address;

    if (!packet || !new)
        return NAT_PASS;
    pcn_ct_event_of(packet, &ports);
    number = nat_find(NAT_DESTINATIONS, nat_destination_key(bpf_ntohl(packet->destination.v4), packet->l4_protocol,
                                                            bpf_ntohs(ports >> 16)));
    nat_keys(new, packet, ports);
    rule = number ? nat_rule_at(number) : NULL;
    if (!rule)
        return nat_open_mapped(new, packet, ports);
    new->rule = rule->id;
    new->kind = rule->kind;
    new->port = bpf_ntohs(ports >> 16);
    if (rule->kind == NAT_PORT_FORWARDING)
        new->port += rule->internal - rule->first;
    address = rule->address;
    if (rule->kind == NAT_NETMAP)
        address += bpf_ntohl(packet->destination.v4) - rule->base;
    return nat_establish(new, number, bpf_htonl(address));
}

/*
 * What goes out: as nat_open_in(). Where it opens no session it would show an address that is to be hidden: it is dropped,
 * unless it has the address outside already (the router's own).
 */
__noinline __u32 nat_open_out(const struct pcn_packet *packet, struct nat_new *new, struct nat_new *mapping)
{
    const struct nat_rule *rule;
    __u32 ports = 0, number, address, slot;

    if (!packet || !new || nat_is_multicast(packet->destination.v4) ||
        nat_find(NAT_EXEMPTIONS, bpf_ntohl(packet->destination.v4)))
        return NAT_PASS;
    number = nat_find(NAT_SOURCES, bpf_ntohl(packet->source.v4));
    rule = number ? nat_rule_at(number) : NULL;
    if (!rule)
        return NAT_PASS;
    address = nat_external(rule, packet->source.v4);
    if (!new->flow && address == packet->source.v4)
        return NAT_PASS;
    if (!new->flow)
        return NAT_REFUSE(packet->fragment == PCN_FRAGMENT_LATER ? NAT_DROP_FRAGMENT : NAT_DROP_INVALID);
    if (!address)
        return NAT_REFUSE(NAT_DROP_NO_ADDRESS);
    pcn_ct_event_of(packet, &ports);
    nat_keys(new, packet, ports);
    new->rule = rule->id;
    new->kind = rule->kind;
    new->port = bpf_ntohs((__u16)ports);
    if (PCN_READ_ONCE(nat_settings.mapping) && nat_has_ports(new)) {
        slot = nat_mapping_find(new, mapping);
        if (slot == PCN_CT_NO_SLOT)
            slot = nat_establish(mapping, number, address);
        if (slot >= NAT_SLOTS)
            return slot;
        nat_mapping_use(new, slot, address);
    }
    return nat_establish(new, number, address);
}

/* What no session has: the slot of a new one, NAT_PASS or NAT_REFUSE(). flow: 0, it opens none. */
PCN_INLINE __u32 nat_open(const struct pcn_packet *packet, __u64 hash, __u32 flow, bool out)
{
    struct nat_new *new = &nat_news[2 * (bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1))];
    __u32 slot;

    if (!out && !flow)
        return NAT_PASS;
    new->hash = hash;
    new->flow = flow;
    new->out = out;
    slot = out ? nat_open_out(packet, new, new + 1) : nat_open_in(packet, new);
    if (slot == NAT_REFUSE(NAT_DROP_TABLE_FULL) && !PCN_READ_ONCE(pcn_ct_settings.drop_when_full))
        return NAT_PASS;
    return slot;
}
