/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Rules at the head of a chain that name the same fields, each with one value (one
 * host, one protocol, one port), are found by hash: one or two cache lines of the arena, where the
 * search over bit vectors takes five lookups. See firewall_compile_lead.c.
 */
#pragma once
#include "firewall_maps.h"
#include <pcn/address.bpf.h>

PCN_INLINE union firewall_lead_line *firewall_lead_line(union lbvs_page *arena, __u32 n_pages,
                                                        const struct firewall_bank *bank, __u32 line)
{
    union lbvs_page *page;

    line = bank->lead.line + (line & bank->lead.mask);
    page = lbvs_page(arena, n_pages, bank->first + line / LBVS_PAGE_LINES);
    return page ? (union firewall_lead_line *)&page->skips[line % LBVS_PAGE_LINES] : NULL;
}

PCN_INLINE __u32 firewall_lead4(union lbvs_page *arena, __u32 n_pages, const struct firewall_bank *bank,
                                const struct firewall_lead6_entry *key)
{
    __u32 source = key->source[0], destination = key->destination[0];
    __u64 at = firewall_lead_hash(key);

#pragma clang loop unroll(disable)
    for (int i = 0; i < FIREWALL_LEAD_PROBES; i++) {
        union firewall_lead_line *line = firewall_lead_line(arena, n_pages, bank, at + i);

        if (!line)
            break;
#pragma unroll
        for (int j = 0; j < FIREWALL_LEAD4_ENTRIES; j++) {
            const struct firewall_lead4_entry *entry = &line->entries4[j];

            if (!((entry->source ^ source) | (entry->destination ^ destination) | (entry->ports ^ key->ports) |
                  ((entry->rule ^ key->rule) & FIREWALL_LEAD_COMPARED)))
                return entry->rule & FIREWALL_LEAD_RULE;
        }
        /* It is filled from the first entry on: what would be further on would be here. */
        if (!line->entries4[FIREWALL_LEAD4_ENTRIES - 1].rule)
            break;
    }
    return FIREWALL_NONE;
}

PCN_INLINE __u32 firewall_lead6(union lbvs_page *arena, __u32 n_pages, const struct firewall_bank *bank,
                                const struct firewall_lead6_entry *key)
{
    __u64 at = firewall_lead_hash(key);

#pragma clang loop unroll(disable)
    for (int i = 0; i < FIREWALL_LEAD_PROBES; i++) {
        union firewall_lead_line *line = firewall_lead_line(arena, n_pages, bank, at + i);
        const struct firewall_lead6_entry *entry;

        if (!line || !line->entry6.rule)
            break;
        entry = &line->entry6;
        if (!((entry->source[0] ^ key->source[0]) | (entry->source[1] ^ key->source[1]) |
              (entry->destination[0] ^ key->destination[0]) | (entry->destination[1] ^ key->destination[1]) |
              (entry->ports ^ key->ports) | ((entry->rule ^ key->rule) & FIREWALL_LEAD_COMPARED)))
            return entry->rule & FIREWALL_LEAD_RULE;
    }
    return FIREWALL_NONE;
}

/* The rule of the head that the packet matches, or FIREWALL_NONE. */
PCN_INLINE __u32 firewall_lead(union lbvs_page *arena, __u32 n_pages, const struct firewall_bank *bank,
                               const struct pcn_packet *packet)
{
    const struct firewall_lead *lead = &bank->lead;
    struct firewall_lead6_entry key = {};

    if (lead->version != packet->ip_version || (lead->ports && packet->fragment == PCN_FRAGMENT_LATER))
        return FIREWALL_NONE;
    key.source[0] = pcn_address_word(&packet->source, 0) & lead->source;
    key.destination[0] = pcn_address_word(&packet->destination, 0) & lead->destination;
    key.ports = (packet->source_port | (__u32)packet->destination_port << 16) & lead->ports;
    key.rule = (FIREWALL_LEAD_USED | (__u32)packet->l4_protocol << FIREWALL_LEAD_PROTOCOL_SHIFT) & lead->rule;
    if (packet->ip_version == 4)
        return firewall_lead4(arena, n_pages, bank, &key);
    key.source[1] = pcn_address_word(&packet->source, 1) & lead->source;
    key.destination[1] = pcn_address_word(&packet->destination, 1) & lead->destination;
    return firewall_lead6(arena, n_pages, bank, &key);
}
