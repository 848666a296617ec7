/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a chain: rules that name the same fields, one value each (HORUS of
 * Miano et al., "Securing Linux with a faster and scalable iptables", CCR 2019). They
 * go to a hash table; the first of equal ones stays. Below LEAD_MIN they are not worth a lookup of their own.
 */
#include "firewall_compile_private.h"
#include <arpa/inet.h>

#define LEAD_MIN 16
#define LEAD_GROWTH 16 /* how often its first size the table may have, until each rule is found soon enough */

/* ---- which rules ---- */

static bool prefix_is_host(const struct firewall_prefixes *prefixes, struct firewall_lead *lead, __u64 *mask)
{
    uint8_t version;

    if (!prefixes->given)
        return true;
    if (prefixes->negate || prefixes->n != 1)
        return false;
    version = prefixes->items[0].version;
    if (prefixes->items[0].length != (version == 4 ? 32 : 128) || (lead->version && lead->version != version))
        return false;
    lead->version = version;
    *mask = version == 4 ? UINT32_MAX : UINT64_MAX;
    return true;
}

static bool range_is_port(const struct firewall_ranges *ranges, uint32_t mask, struct firewall_lead *lead)
{
    if (!ranges->given)
        return true;
    lead->ports |= mask;
    return !ranges->negate && ranges->n == 1 && ranges->items[0].low == ranges->items[0].high;
}

/* Number of the only bit; -1: there are more, or none. */
static int only_protocol(const struct firewall_rule *rule)
{
    int found = -1;

    for (unsigned int i = 0; i < 256; i++) {
        if (!firewall_bit(rule->protocol, i))
            continue;
        if (found >= 0)
            return -1;
        found = (int)i;
    }
    return found;
}

/* What a rule of the head names; false: it is none. */
static bool rule_leads(const struct firewall_rule *rule, struct firewall_lead *ret_lead)
{
    struct firewall_lead lead = {.rule = FIREWALL_LEAD_USED};
    int protocol;

    if (rule->given & ~FIREWALL_GIVEN_PROTOCOL || rule->icmp.given || rule->icmpv6.given || rule->rate ||
        rule->action == FIREWALL_LOG)
        return false;
    if (!prefix_is_host(&rule->source, &lead, &lead.source) ||
        !prefix_is_host(&rule->destination, &lead, &lead.destination) ||
        !range_is_port(&rule->source_ports, 0xffff, &lead) ||
        !range_is_port(&rule->destination_ports, 0xffff0000, &lead))
        return false;
    if (rule->given & FIREWALL_GIVEN_PROTOCOL) {
        protocol = only_protocol(rule);
        if (protocol < 0)
            return false;
        lead.rule |= 0xffu << FIREWALL_LEAD_PROTOCOL_SHIFT;
        if (lead.ports && !firewall_protocol_has_ports(protocol))
            return false;
    } else if (lead.ports) {
        return false;
    }
    *ret_lead = lead;
    return lead.version != 0;
}

static bool lead_is_same(const struct firewall_lead *a, const struct firewall_lead *b)
{
    return a->version == b->version && a->source == b->source && a->destination == b->destination &&
           a->ports == b->ports && a->rule == b->rule;
}

/* ---- the table ---- */

static struct firewall_lead6_entry entry_of(const struct firewall_rule *rule, uint32_t number)
{
    struct firewall_lead6_entry entry = {.rule = FIREWALL_LEAD_USED | number};
    size_t size = 0;

    if (rule->source.given) {
        size = rule->source.items[0].version == 4 ? 4 : 16;
        memcpy(entry.source, &rule->source.items[0].address, size);
    }
    if (rule->destination.given) {
        size = rule->destination.items[0].version == 4 ? 4 : 16;
        memcpy(entry.destination, &rule->destination.items[0].address, size);
    }
    if (rule->source_ports.given)
        entry.ports |= htons(rule->source_ports.items[0].low);
    if (rule->destination_ports.given)
        entry.ports |= (uint32_t)htons(rule->destination_ports.items[0].low) << 16;
    if (rule->given & FIREWALL_GIVEN_PROTOCOL)
        entry.rule |= (uint32_t)only_protocol(rule) << FIREWALL_LEAD_PROTOCOL_SHIFT;
    return entry;
}

static bool line_put4(union firewall_lead_line *line, const struct firewall_lead6_entry *entry)
{
    for (int i = 0; i < FIREWALL_LEAD4_ENTRIES; i++) {
        struct firewall_lead4_entry *place = &line->entries4[i];
        const struct firewall_lead4_entry mine = {(uint32_t)entry->source[0], (uint32_t)entry->destination[0],
                                                  entry->ports, entry->rule};

        if (!place->rule) {
            *place = mine;
            return true;
        }
        if (place->source == mine.source && place->destination == mine.destination && place->ports == mine.ports &&
            !((place->rule ^ mine.rule) & FIREWALL_LEAD_COMPARED))
            return true;
    }
    return false;
}

static bool line_put6(union firewall_lead_line *line, const struct firewall_lead6_entry *entry)
{
    struct firewall_lead6_entry *place = &line->entry6;

    if (!place->rule) {
        *place = *entry;
        return true;
    }
    return memcmp(place->source, entry->source, sizeof(entry->source)) == 0 &&
           memcmp(place->destination, entry->destination, sizeof(entry->destination)) == 0 &&
           place->ports == entry->ports && !((place->rule ^ entry->rule) & FIREWALL_LEAD_COMPARED);
}

/* false: the table is too small. */
static bool lines_fill(union firewall_lead_line *lines, const struct firewall_lead *lead,
                       const struct firewall_rule *rules)
{
    for (uint32_t i = 0; i < lead->n; i++) {
        const struct firewall_lead6_entry entry = entry_of(&rules[i], i);
        uint64_t at = firewall_lead_hash(&entry);
        bool put = false;

        for (int probe = 0; probe < FIREWALL_LEAD_PROBES && !put; probe++) {
            union firewall_lead_line *line = &lines[(at + (uint64_t)probe) & lead->mask];

            put = lead->version == 4 ? line_put4(line, &entry) : line_put6(line, &entry);
        }
        if (!put)
            return false;
    }
    return true;
}

struct firewall_lead firewall_lead_find(const struct firewall_rule *rules, uint32_t n)
{
    struct firewall_lead lead = {}, next;

    if (n < LEAD_MIN || !rule_leads(&rules[0], &lead))
        return (struct firewall_lead){};
    for (lead.n = 1; lead.n < n && rule_leads(&rules[lead.n], &next) && lead_is_same(&next, &lead);)
        lead.n++;
    return lead.n < LEAD_MIN ? (struct firewall_lead){} : lead;
}

int firewall_lead_build(struct firewall_store *store, const struct firewall_rule *rules, struct firewall_lead *lead)
{
    _cleanup_free_ union firewall_lead_line *lines = NULL;
    uint32_t n_lines = LBVS_PAGE_LINES, most, page;
    int r;

    /* Half full at most, at first. */
    while (n_lines * (lead->version == 4 ? FIREWALL_LEAD4_ENTRIES : 1) < 2 * lead->n)
        n_lines *= 2;
    most = n_lines * LEAD_GROWTH;
    do {
        if (n_lines > most)
            return -EAGAIN;
        free(lines);
        lines = calloc(n_lines, sizeof(*lines));
        if (!lines)
            return -ENOMEM;
        lead->mask = n_lines - 1;
        n_lines *= 2;
    } while (!lines_fill(lines, lead, rules));
    n_lines = lead->mask + 1;
    r = firewall_store_pages(store, n_lines / LBVS_PAGE_LINES, &page);
    if (r < 0)
        return r;
    lead->line = page * LBVS_PAGE_LINES;
    memcpy(store->pages[page].bytes, lines, n_lines * sizeof(*lines));
    return 0;
}
