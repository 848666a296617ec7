/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: packets of a flow whose headers do not have its key.
 * ICMP errors quote it; later fragments follow a first one that has it.
 */
#pragma once
#include <pcn/conntrack_table.bpf.h>
#include <pcn/quote.bpf.h>

/* ---- ICMP errors ---- */

/* The transport header that an error quotes, 8 bytes at offset: the flow's key, but for the addresses. */
PCN_INLINE bool pcn_ct_quoted(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 offset, __u8 protocol,
                              struct pcn_ct_key *key)
{
    const __u8 *header = pcn_header_at(ctx, offset, 8);
    __u32 ports = 0;

    if (!header)
        return false;
    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
        if (pcn_ct_echo(protocol, header[0], *(const __u16 *)(header + 4), &ports) == PCN_CT_EVENT_UNTRACKED)
            return false;
    } else if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP) {
        ports = *(const __u16 *)header | (__u32) * (const __u16 *)(header + 2) << 16;
    }
    key->words[4] = pcn_ct_tuple(ports, protocol, packet->ip_version, packet->zone);
    return true;
}

PCN_INLINE bool pcn_ct_quoted4(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 offset,
                               struct pcn_ct_key *key)
{
    const struct iphdr *ip = pcn_header_at(ctx, offset, sizeof(*ip));
    union pcn_address address;
    __u32 size;

    if (!ip || ip->version != 4 || ip->ihl < 5 || ip->frag_off & bpf_htons(0x1fff))
        return false;
    size = ip->ihl * 4;
    address = (union pcn_address){.v6 = {ip->saddr}};
    __builtin_memcpy(&key->words[0], &address, 16);
    address = (union pcn_address){.v6 = {ip->daddr}};
    __builtin_memcpy(&key->words[2], &address, 16);
    return pcn_ct_quoted(ctx, packet, offset + size, ip->protocol, key);
}

PCN_INLINE bool pcn_ct_quoted6(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 offset,
                               struct pcn_ct_key *key)
{
    __u32 transport = pcn_quote_transport6(ctx);
    const struct ipv6hdr *ip = pcn_header_at(ctx, offset, sizeof(*ip));

    if (!transport || !ip)
        return false;
    __builtin_memcpy(&key->words[0], &ip->saddr, 16);
    __builtin_memcpy(&key->words[2], &ip->daddr, 16);
    return pcn_ct_quoted(ctx, packet, transport & 0xffff, transport >> 16, key);
}

/*
 * Slot of the flow that an ICMP error is about, or PCN_CT_NO_SLOT. It goes to who sent what it quotes; an error that
 * goes elsewhere is about nothing.
 */
__noinline __u32 pcn_ct_related(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    struct pcn_ct_key key;
    __u32 size = pcn_length(ctx);
    bool known;

    /* What it quotes need not be linear yet. */
    if (!packet || !pcn_header(ctx, size < PCN_HEADERS_MAX ? size : PCN_HEADERS_MAX))
        return PCN_CT_NO_SLOT;
    if (packet->ip_version == 4)
        known = pcn_ct_quoted4(ctx, packet, packet->l4_offset + 8, &key);
    else
        known = pcn_ct_quoted6(ctx, packet, packet->l4_offset + 8, &key);
    if (!known || key.words[0] != pcn_address_word(&packet->destination, 0) ||
        key.words[1] != pcn_address_word(&packet->destination, 1))
        return PCN_CT_NO_SLOT;
    return pcn_ct_slot_of(&key);
}

/* ---- fragments ---- */

/* Identification of a fragment, IPv6: from its header. */
PCN_INLINE __u64 pcn_ct_fragment_id6(struct pcn_ctx *ctx, __u32 offset)
{
    const __u8 *header = pcn_header_at(ctx, offset, sizeof(struct ipv6hdr));
    __u8 protocol;

    if (!header)
        return 0;
    protocol = header[6];
    offset += sizeof(struct ipv6hdr);
#pragma clang loop unroll(disable)
    for (int i = 0; i < PCN_EXTENSIONS_MAX; i++) {
        header = pcn_header_at(ctx, offset, 8);
        if (!header)
            return 0;
        if (protocol == IPPROTO_FRAGMENT)
            return *(const __u32 *)(header + 4);
        protocol = header[0];
        offset += (header[1] + 1) * 8;
    }
    return 0;
}

PCN_INLINE __u64 pcn_ct_fragment_key(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    struct pcn_ct_key key;
    __u64 seed = pcn_ct_settings.seed, hash, id;

    pcn_ct_key_of(packet, 0, &key);
    if (packet->ip_version == 4) {
        const struct iphdr *ip = pcn_header_at(ctx, packet->l3_offset, sizeof(*ip));

        id = ip ? ip->id | (__u32)ip->protocol << 16 : 0;
    } else {
        id = pcn_ct_fragment_id6(ctx, packet->l3_offset);
    }
    hash = pcn_ct_hash_end(key.words[0], key.words[1], packet->ip_version, seed);
    hash = pcn_ct_hash_end(key.words[2] ^ hash, key.words[3], packet->zone, seed);
    hash = pcn_ct_hash_end(id ^ hash, 0, 0, seed);
    return hash | 1;
}

PCN_INLINE struct pcn_ct_fragment *pcn_ct_fragment_at(__u64 key)
{
    __u32 index = key >> 40 & (PCN_CT_FRAGMENTS_MAX - 1);

    return bpf_map_lookup_elem(&pcn_ct_fragments, &index);
}

/* The first one: remembers what it was. */
__noinline __u32 pcn_ct_fragment_keep(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    struct pcn_ct_fragment *fragment;
    __u64 key;

    if (!packet)
        return 0;
    key = pcn_ct_fragment_key(ctx, packet);
    fragment = pcn_ct_fragment_at(key);
    if (!fragment)
        return 0;
    __sync_lock_test_and_set(&fragment->key, 0);
    PCN_WRITE_ONCE(fragment->expires, (__u32)pcn_now() + PCN_READ_ONCE(pcn_ct_settings.fragment_timeout));
    PCN_WRITE_ONCE(fragment->slot,
                   (packet->ct_slot & PCN_CT_FRAGMENT_SLOT) | (__u32)packet->ct_state << PCN_CT_FRAGMENT_STATE_SHIFT);
    __sync_lock_test_and_set(&fragment->key, key);
    return 0;
}

/* A later one: .slot of the first one's record, or PCN_CT_INVALID as the state. */
__noinline __u32 pcn_ct_fragment_find(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    const __u32 none = PCN_CT_FRAGMENT_SLOT | (__u32)PCN_CT_INVALID << PCN_CT_FRAGMENT_STATE_SHIFT;
    const struct pcn_ct_fragment *fragment;
    __u32 expires, slot;
    __u64 key;

    if (!packet)
        return none;
    key = pcn_ct_fragment_key(ctx, packet);
    fragment = pcn_ct_fragment_at(key);
    if (!fragment || PCN_READ_ONCE(fragment->key) != key)
        return none;
    expires = PCN_READ_ONCE(fragment->expires);
    slot = PCN_READ_ONCE(fragment->slot);
    return pcn_ct_left(expires, pcn_now()) > 0 ? slot : none;
}
