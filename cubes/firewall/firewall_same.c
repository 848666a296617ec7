/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two rules say the same, however they are written. */
#include "firewall.h"

typedef bool same_item(const void *a, const void *b);

static bool same_prefix(const void *a, const void *b)
{
    const struct firewall_prefix *x = a, *y = b;

    return x->version == y->version && x->length == y->length &&
           memcmp(&x->address, &y->address, sizeof(x->address)) == 0;
}

static bool same_range(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct firewall_range)) == 0;
}

static bool same_name(const void *a, const void *b)
{
    return pcn_streq(a, b);
}

/* Each of a is in b, where it is likely to stand at the same place. */
static bool list_is_in(const char *a, const char *b, uint32_t n, size_t size, same_item *same)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = 0;

        if (same(a + i * size, b + i * size))
            continue;
        while (j < n && !same(a + i * size, b + j * size))
            j++;
        if (j == n)
            return false;
    }
    return true;
}

/* In whatever order. */
static bool lists_same(const void *a, uint32_t n_a, const void *b, uint32_t n_b, size_t size, same_item *same)
{
    return n_a == n_b && list_is_in(a, b, n_a, size, same) && list_is_in(b, a, n_a, size, same);
}

static bool prefixes_same(const struct firewall_prefixes *a, const struct firewall_prefixes *b)
{
    return a->given == b->given && a->negate == b->negate &&
           lists_same(a->items, a->n, b->items, b->n, sizeof(*a->items), same_prefix);
}

static bool ranges_same(const struct firewall_ranges *a, const struct firewall_ranges *b)
{
    return a->given == b->given && a->negate == b->negate &&
           lists_same(a->items, a->n, b->items, b->n, sizeof(*a->items), same_range);
}

static bool names_same(const struct firewall_names *a, const struct firewall_names *b)
{
    return a->negate == b->negate && lists_same(a->items, a->n, b->items, b->n, sizeof(*a->items), same_name);
}

static bool texts_same(const char *a, const char *b)
{
    return a && b ? pcn_streq(a, b) : a == b;
}

static bool rules_same(const struct firewall_rule *a, const struct firewall_rule *b)
{
    return a->given == b->given && a->state == b->state && a->fragment == b->fragment && a->action == b->action &&
           a->rate == b->rate && a->burst == b->burst && a->dscp == b->dscp &&
           memcmp(a->protocol, b->protocol, sizeof(a->protocol)) == 0 &&
           memcmp(a->tcp_flags, b->tcp_flags, sizeof(a->tcp_flags)) == 0 && prefixes_same(&a->source, &b->source) &&
           prefixes_same(&a->destination, &b->destination) && ranges_same(&a->source_ports, &b->source_ports) &&
           ranges_same(&a->destination_ports, &b->destination_ports) && ranges_same(&a->icmp, &b->icmp) &&
           ranges_same(&a->icmpv6, &b->icmpv6);
}

bool firewall_entry_acts_as(const struct firewall_entry *a, const struct firewall_entry *b)
{
    for (int i = 0; i < FIREWALL_BY_MAX; i++)
        if (!texts_same(a->sets[i], b->sets[i]))
            return false;
    return rules_same(&a->rule, &b->rule) && names_same(&a->in, &b->in) && names_same(&a->out, &b->out);
}

bool firewall_entry_same(const struct firewall_entry *a, const struct firewall_entry *b)
{
    return firewall_entry_acts_as(a, b) && texts_same(a->description, b->description);
}
