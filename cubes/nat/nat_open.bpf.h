/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The first packet of a session. */
#pragma once
#include "nat_rules.bpf.h"

/* In place of a slot, or a place: no rule names it, it passes; or the reason why it is dropped. */
#define NAT_PASS 0xffff0000u
#define NAT_REFUSE(reason_) (0xfffe0000u | (reason_))
#define NAT_SLOTS 0x80000000u /* what is below is one */

/* Whether ports can be chosen: SCTP's are under a checksum (CRC32c) that cannot be mended. */
PCN_INLINE bool nat_has_ports(const struct nat_new *new)
{
    __u32 protocol = new->own.words[4] >> PCN_CT_PROTOCOL_SHIFT & 0xff;

    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* The tuple outside that an attempt is for: 0, PCN_CT_TAKEN or NAT_REFUSE(). */
PCN_INLINE __u32 nat_source(struct nat_new *new, __u32 number, __u32 attempt)
{
    const struct nat_rule *rule = nat_rule_at(number);
    __u32 port = bpf_ntohs((__u16) new->own.words[4]);

    if (!rule)
        return NAT_REFUSE(NAT_DROP_INVALID);
    if (nat_has_ports(new))
        port = nat_candidate(rule, new, attempt);
    else if (attempt)
        return NAT_REFUSE(NAT_DROP_NO_PORT);
    if (port > 0xffff)
        return PCN_CT_TAKEN;
    nat_set_source(new, bpf_htons(port));
    return 0;
}

/* Its place, PCN_CT_TAKEN or NAT_REFUSE(). Global, so that the verifier does not walk it once an attempt. */
__noinline __u32 nat_try(struct nat_new *new, __u32 number, __u32 attempt)
{
    __u32 place;

    if (!new)
        return NAT_REFUSE(NAT_DROP_INVALID);
    place = nat_source(new, number, attempt);
    if (!place)
        place = nat_take(new);
    return place == PCN_CT_NO_SLOT ? NAT_REFUSE(NAT_DROP_TABLE_FULL) : place;
}

/* All but the first one. */
__noinline __u32 nat_try_others(struct nat_new *new, __u32 number)
{
    __u32 place = PCN_CT_TAKEN;

#pragma clang loop unroll(disable)
    for (__u32 attempt = 1; attempt <= 2 * NAT_ATTEMPTS && place == PCN_CT_TAKEN; attempt++)
        place = nat_try(new, number, attempt);
    return place;
}

/* The other tuple, one that is free: its place, or NAT_REFUSE(). Of the host inside there is no choice. */
PCN_INLINE __u32 nat_choose(struct nat_new *new, __u32 number)
{
    __u32 place = 0;

    if (new->out)
        place = nat_source(new, number, 0);
    else
        nat_set_destination(new, bpf_htons(new->port));
    if (!place)
        place = nat_take(new);
    if (pcn_unlikely(place == PCN_CT_TAKEN && new->out))
        place = nat_try_others(new, number);
    if (place == PCN_CT_NO_SLOT)
        return NAT_REFUSE(NAT_DROP_TABLE_FULL);
    return place == PCN_CT_TAKEN ? NAT_REFUSE(NAT_DROP_NO_PORT) : place;
}

/* Places for both keys, and the session in them: 0, or NAT_REFUSE(). number: as nat_establish(). */
PCN_INLINE __u32 nat_enter(struct nat_new *new, __u32 number)
{
    __u32 other;

    new->place = pcn_ct_place_take_new(&new->own, new->hash, PCN_CT_NO_SLOT);
    if (pcn_unlikely(new->place >= NAT_SLOTS))
        return NAT_REFUSE(new->place == PCN_CT_TAKEN ? NAT_DROP_RACE : NAT_DROP_TABLE_FULL);
    other = nat_choose(new, number);
    if (other >= NAT_SLOTS) {
        pcn_ct_unclaim(new->place);
        return other;
    }
    nat_write(new, other);
    return 0;
}

/* A session: the slot of the packet's own key, or NAT_REFUSE(). number: of the rule that has the ports for it. */
__noinline __u32 nat_establish(struct nat_new *new, __u32 number)
{
    bool turned_out;
    __u32 bad;

    if (!new)
        return NAT_REFUSE(NAT_DROP_INVALID);
    new->number = pcn_ct_number_take(new->hash, &turned_out);
    if (new->number == PCN_CT_NO_SLOT)
        return NAT_REFUSE(NAT_DROP_TABLE_FULL);
    bad = nat_enter(new, number);
    if (pcn_unlikely(bad)) {
        pcn_ct_number_give(new->number);
        return bad;
    }
    PCN_CT_COUNT(created);
    return new->number;
}

/* To a group, or of a link alone: nothing of it is anybody else's business. */
PCN_INLINE bool nat_is_local(const struct pcn_packet *packet)
{
    if (pcn_likely(packet->ip_version == 4))
        return (__u8)packet->destination.v4 >= 224;
    return (__u8)packet->destination.v6[0] == 0xff ||
           (packet->destination.v6[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000) ||
           (packet->source.v6[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* Neighbour discovery, group membership: of a link too. */
PCN_INLINE bool nat_is_untracked(const struct pcn_packet *packet)
{
    __u8 type = packet->icmp_type;

    if (packet->l4_protocol != IPPROTO_ICMPV6 || packet->fragment == PCN_FRAGMENT_LATER)
        return false;
    return (type >= 130 && type <= 137) || (type >= 141 && type <= 153);
}

PCN_INLINE void nat_swap_zone(struct nat_new *new)
{
    new->other.words[4] ^= (__u64)(NAT_INSIDE ^ NAT_OUTSIDE) << PCN_CT_ZONE_SHIFT;
}

/* The keys of a session: own that of the packet, the other one to be changed. */
PCN_INLINE void nat_keys(struct nat_new *new, const struct pcn_packet *packet, __u32 ports)
{
    pcn_ct_key_of(packet, ports, &new->own);
    new->other = new->own;
    new->wide = packet->ip_version == 6 ? NAT_WIDE : 0;
    nat_swap_zone(new);
}

/* ---- mappings ---- */

/* The slot inside of new's mapping, or PCN_CT_NO_SLOT: then what it takes to establish it is in mapping. */
__noinline __u32 nat_mapping_find(const struct nat_new *new, struct nat_new *mapping, bool address)
{
    if (!new || !mapping)
        return PCN_CT_NO_SLOT;
    *mapping = *new;
    nat_mapping_key(&mapping->own, address);
    mapping->other = mapping->own;
    nat_swap_zone(mapping);
    mapping->wide &= NAT_WIDE;
    mapping->hash = pcn_ct_hash(&mapping->own, pcn_ct_settings.seed);
    /* Not one of those that make room for others. */
    mapping->flow = PCN_CT_UDP_REPLIED;
    return pcn_ct_slot_of(&mapping->own);
}

/* The port of a mapping is new's first choice. */
__noinline __u32 nat_mapping_use(struct nat_new *new, __u32 slot)
{
    struct pcn_change outside;

    if (!new)
        return 0;
    pcn_ct_side_at(pcn_ct_other_of(slot), false, &outside);
    /* A rule that was changed has another address: then the mapping is of no use. */
    if (pcn_ct_same_address(&outside.to, &new->to))
        new->port = bpf_ntohs(outside.to_port);
    pcn_ct_session_extend(slot, pcn_ct_expires(new->flow, pcn_now()));
    return 0;
}

/* New's mapping, and where filtering is by address, that of its remote: 0, or NAT_REFUSE(). */
PCN_INLINE __u32 nat_map(struct nat_new *new, struct nat_new *mapping, __u32 number)
{
#pragma clang loop unroll(disable)
    for (int address = 0; address < 2; address++) {
        __u32 slot;

        if (address && PCN_READ_ONCE(nat_settings.filtering) != NAT_FILTER_ADDRESS)
            break;
        slot = nat_mapping_find(new, mapping, address);
        if (slot == PCN_CT_NO_SLOT)
            slot = nat_establish(mapping, number);
        if (slot >= NAT_SLOTS)
            return slot;
        nat_mapping_use(new, slot);
    }
    return 0;
}

/*
 * The slot outside of the mapping that a packet's destination is: to be sent to by whomever, or by this source.
 * PCN_CT_NO_SLOT: there is none.
 */
__noinline __u32 nat_mapped(const struct pcn_packet *packet, __u32 ports, bool hairpin)
{
    __u32 filtering = PCN_READ_ONCE(nat_settings.filtering);
    struct pcn_ct_key key = {};

    if (!packet || filtering == NAT_FILTER_PORT || !(ports >> 16))
        return PCN_CT_NO_SLOT;
    key.words[0] = pcn_address_word(&packet->destination, 0);
    key.words[1] = pcn_address_word(&packet->destination, 1);
    key.words[4] = pcn_ct_tuple(ports >> 16, packet->l4_protocol, packet->ip_version, NAT_OUTSIDE);
    /* Of those inside, nobody is kept out: their address outside is the one that was sent to, if it was at all. */
    if (filtering == NAT_FILTER_ADDRESS && !hairpin) {
        key.words[2] = pcn_address_word(&packet->source, 0);
        key.words[3] = pcn_address_word(&packet->source, 1);
    }
    return pcn_ct_slot_of(&key);
}

/* What a mapping says of the host inside. */
PCN_INLINE void nat_mapped_use(struct nat_new *new, __u32 slot)
{
    const struct nat_session *session = nat_session_at(slot);
    struct pcn_change inside;

    pcn_ct_side_at(pcn_ct_other_of(slot), false, &inside);
    new->rule = session->rule;
    new->kind = session->kind;
    new->to = inside.to;
    new->port = bpf_ntohs(inside.to_port);
}

/* ---- in, out, and back in ---- */

/* Where a packet to an address outside is led: to, port, rule and kind of new. False: nowhere. */
PCN_INLINE bool nat_destination(const struct pcn_packet *packet, struct nat_new *new, __u32 ports, bool hairpin)
{
    const struct nat_rule *rule;
    __u32 number, slot;

    if (!packet || !new)
        return false;
    number = nat_find_destination(packet, ports >> 16);
    rule = number ? nat_rule_at(number) : NULL;
    if (!rule) {
        slot = nat_mapped(packet, ports, hairpin);
        if (slot == PCN_CT_NO_SLOT)
            return false;
        nat_mapped_use(new, slot);
        return true;
    }
    new->rule = rule->id;
    new->kind = rule->kind;
    new->port = bpf_ntohs(ports >> 16);
    if (rule->kind == NAT_PORT_FORWARDING)
        new->port += rule->internal - rule->first;
    nat_internal(rule, packet, &new->to);
    return true;
}

/* What comes in: the slot of a new session, NAT_PASS or NAT_REFUSE(). */
__noinline __u32 nat_open_in(const struct pcn_packet *packet, struct nat_new *new)
{
    __u32 ports = 0;

    if (!packet || !new)
        return NAT_PASS;
    pcn_ct_event_of(packet, &ports);
    if (!nat_destination(packet, new, ports, false))
        return NAT_PASS;
    nat_keys(new, packet, ports);
    return nat_establish(new, 0);
}

/* A host inside by its address outside (RFC 4787, REQ-9): the other key is inside too, and has it as its destination. */
PCN_INLINE void nat_turn_round(struct nat_new *new, const struct pcn_packet *packet, __u32 ports)
{
    __u32 generation = PCN_READ_ONCE(nat_settings.generation) & 1;
    __u32 table = packet->ip_version == 4 ? NAT_DESTINATIONS : NAT_DESTINATIONS6;

    if (!PCN_READ_ONCE(nat_settings.hairpin) ||
        (!PCN_READ_ONCE(nat_settings.sizes[generation][table].n_ranges) && !PCN_READ_ONCE(nat_settings.filtering)))
        return;
    if (!nat_destination(packet, new, ports, true))
        return;
    nat_set_destination(new, bpf_htons(new->port));
    nat_swap_zone(new);
    new->wide |= NAT_HAIRPIN;
}

/*
 * What goes out: as nat_open_in(). Where it opens no session it would show an address that is to be hidden: it is dropped,
 * unless it has the address outside already (the router's own).
 */
__noinline __u32 nat_open_out(const struct pcn_packet *packet, struct nat_new *new, struct nat_new *mapping)
{
    const struct nat_rule *rule;
    __u32 ports = 0, number, bad;
    bool known;

    if (!packet || !new || nat_is_local(packet) ||
        nat_find_address(NAT_EXEMPTIONS, &packet->destination, packet->ip_version))
        return NAT_PASS;
    number = nat_find_address(NAT_SOURCES, &packet->source, packet->ip_version);
    rule = number ? nat_rule_at(number) : NULL;
    if (!rule)
        return NAT_PASS;
    known = nat_external(rule, number, packet, &new->to);
    if (!new->flow && known &&pcn_ct_same_address(&new->to, &packet->source))
        return NAT_PASS;
    if (!new->flow)
        return NAT_REFUSE(packet->fragment == PCN_FRAGMENT_LATER ? NAT_DROP_FRAGMENT : NAT_DROP_INVALID);
    if (!known)
        return NAT_REFUSE(NAT_DROP_NO_ADDRESS);
    pcn_ct_event_of(packet, &ports);
    nat_keys(new, packet, ports);
    nat_turn_round(new, packet, ports);
    if (new->wide & NAT_HAIRPIN)
        nat_external(rule, number, packet, &new->to);
    new->rule = rule->id;
    new->kind = rule->kind;
    new->port = bpf_ntohs((__u16)ports);
    if (PCN_READ_ONCE(nat_settings.mapping) && nat_has_ports(new)) {
        bad = nat_map(new, mapping, number);
        if (bad)
            return bad;
    }
    return nat_establish(new, number);
}

/* What no session has: the slot of a new one, NAT_PASS or NAT_REFUSE(). flow: 0, it opens none. */
PCN_INLINE __u32 nat_open(const struct pcn_packet *packet, struct nat_new *new, __u64 hash, __u32 flow, bool out)
{
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
