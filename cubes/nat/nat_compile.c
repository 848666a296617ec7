/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to ranges of keys. Each rule is of an interval; intervals are nested or apart, so a walk from left to
 * right with a stack of those that are open finds the innermost one everywhere: the longest prefix, the single port.
 */
#include "nat.h"
#include <arpa/inet.h>

struct interval {
    uint64_t first;
    uint64_t last;
    const struct nat_line *line;
    uint32_t rule; /* index + 1 */
};

struct intervals {
    struct interval *all;
    size_t n;
};

/* Of two rules for the same interval the one with the higher rank is inside. */
static int line_rank(const struct nat_line *line)
{
    if (line->rule.kind == NAT_MASQUERADE)
        return 0;
    return line->rule.kind == NAT_NETMAP ? 1 : 2;
}

/* Outer ones first. */
static int interval_compare(const void *a, const void *b)
{
    const struct interval *left = a, *right = b;

    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    if (left->last != right->last)
        return left->last > right->last ? -1 : 1;
    return line_rank(left->line) - line_rank(right->line);
}

static void interval_add(struct intervals *intervals, uint64_t first, uint64_t last, const struct nat_line *line,
                         uint32_t rule)
{
    intervals->all[intervals->n++] = (struct interval){first, last, line, rule};
}

static void add_forwarding(struct intervals *intervals, const struct nat_line *line, uint32_t rule)
{
    if (line->tcp)
        interval_add(intervals, nat_destination_key(line->key, IPPROTO_TCP, line->rule.first),
                     nat_destination_key(line->key, IPPROTO_TCP, line->rule.last), line, rule);
    if (line->udp)
        interval_add(intervals, nat_destination_key(line->key, IPPROTO_UDP, line->rule.first),
                     nat_destination_key(line->key, IPPROTO_UDP, line->rule.last), line, rule);
}

static uint32_t hosts_of(const struct nat_line *line)
{
    return line->length ? (uint32_t)(0xffffffffull >> line->length) : UINT32_MAX;
}

/* All that comes in for addresses from first on. */
static void add_addresses(struct intervals *intervals, uint32_t first, const struct nat_line *line, uint32_t rule)
{
    uint32_t hosts = line->rule.kind == NAT_NETMAP ? hosts_of(line) : 0;

    interval_add(intervals, nat_destination_key(first, 0, 0), nat_destination_key(first + hosts, 0xff, 0xffff), line,
                 rule);
}

/* A network for another: out one way, in the other way. */
static void add_netmap(struct nat_tables *tables, struct intervals *intervals, const struct nat_line *line)
{
    struct nat_rule *rule = &tables->rules[tables->n_rules];

    rule[1] = rule[0] = line->rule;
    rule[0].base = line->key;
    rule[1].address = line->key;
    rule[1].base = line->rule.address;
    interval_add(&intervals[NAT_SOURCES], line->key, line->key + hosts_of(line), line, (uint32_t)tables->n_rules + 1);
    add_addresses(&intervals[NAT_DESTINATIONS], line->rule.address, line, (uint32_t)tables->n_rules + 2);
    tables->n_rules += 2;
}

static void add_line(struct nat_tables *tables, struct intervals *intervals, const struct nat_line *line)
{
    enum nat_table table = line->rule.kind == NAT_EXEMPT ? NAT_EXEMPTIONS : NAT_SOURCES;
    uint32_t rule;

    if (line->rule.kind == NAT_NETMAP) {
        add_netmap(tables, intervals, line);
        return;
    }
    tables->rules[tables->n_rules] = line->rule;
    rule = (uint32_t)++tables->n_rules;
    if (line->rule.kind == NAT_PORT_FORWARDING)
        add_forwarding(&intervals[NAT_DESTINATIONS], line, rule);
    else if (line->rule.kind == NAT_DNAT)
        add_addresses(&intervals[NAT_DESTINATIONS], line->key, line, rule);
    else
        interval_add(&intervals[table], line->key, line->key + hosts_of(line), line, rule);
}

static int contradiction(const struct nat_line *a, const struct nat_line *b, struct pcn_error *error)
{
    static const char *const paths[NAT_KIND_MAX] = {"rule/snat/entry",   "rule/dnat/entry",
                                                    "rule/masquerade",   "rule/port-forwarding/entry",
                                                    "rule/netmap/entry", "rule/exempt/entry"};
    static const char *const what[NAT_KIND_MAX] = {
        "the same internal-net", "the same external-ip", "everything",
        "a port in common",      "the same network",     "the same external-net"};
    char address[INET_ADDRSTRLEN];
    struct in_addr key = {htonl(b->key)};

    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, paths[b->rule.kind],
                         "rules %u and %u have %s (%s): change or delete one of them", a->rule.id, b->rule.id,
                         what[b->rule.kind], inet_ntop(AF_INET, &key, address, sizeof(address)));
}

/* Whether b, which is inside of a, may be. */
static bool may_nest(const struct interval *a, const struct interval *b)
{
    if (a->line->rule.kind == NAT_PORT_FORWARDING)
        return false;
    return a->first != b->first || a->last != b->last || a->line->rule.kind != b->line->rule.kind;
}

static void range_add(struct nat_range *ranges, size_t *n, uint64_t start, uint32_t rule)
{
    if (*n && ranges[*n - 1].start == start)
        (*n)--;
    ranges[(*n)++] = (struct nat_range){.start = start, .rule = rule};
}

/* Open intervals: at most two of each prefix length, masquerade, and one of forwarding. */
#define DEPTH_MAX 80

static int ranges_make(struct intervals *intervals, struct nat_range **ret_ranges, size_t *ret_n,
                       struct pcn_error *error)
{
    const struct interval *open[DEPTH_MAX];
    _cleanup_free_ struct nat_range *ranges = calloc(2 * intervals->n + 1, sizeof(*ranges));
    size_t depth = 0, n = 0;

    if (!ranges)
        return -ENOMEM;
    if (intervals->n)
        range_add(ranges, &n, 0, 0);
    qsort(intervals->all, intervals->n, sizeof(*intervals->all), interval_compare);
    for (size_t i = 0; i < intervals->n; i++) {
        const struct interval *interval = &intervals->all[i];

        for (; depth && open[depth - 1]->last < interval->first; depth--)
            range_add(ranges, &n, open[depth - 1]->last + 1, depth > 1 ? open[depth - 2]->rule : 0);
        if (depth && !may_nest(open[depth - 1], interval))
            return contradiction(open[depth - 1]->line, interval->line, error);
        if (depth == DEPTH_MAX)
            return -E2BIG;
        open[depth++] = interval;
        range_add(ranges, &n, interval->first, interval->rule);
    }
    for (; depth; depth--)
        range_add(ranges, &n, open[depth - 1]->last + 1, depth > 1 ? open[depth - 2]->rule : 0);
    *ret_ranges = TAKE_PTR(ranges);
    *ret_n = n;
    return 0;
}

static int limits_check(const struct nat_config *config, struct pcn_error *error)
{
    static const size_t limits[NAT_KIND_MAX] = {NAT_SNAT_MAX,       NAT_DNAT_MAX,   1,
                                                NAT_FORWARDING_MAX, NAT_NETMAP_MAX, NAT_EXEMPT_MAX};
    static const char *const names[NAT_KIND_MAX] = {"snat",   "dnat",  "masquerade", "port-forwarding",
                                                    "netmap", "exempt"};
    size_t n[NAT_KIND_MAX] = {};

    for (size_t i = 0; i < config->n; i++) {
        uint8_t kind = config->lines[i].rule.kind;

        if (++n[kind] > limits[kind])
            return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "rule", "there can be at most %zu rules of %s",
                                 limits[kind], names[kind]);
    }
    return 0;
}

void nat_tables_done(struct nat_tables *tables)
{
    free(tables->rules);
    for (int table = 0; table < NAT_TABLE_MAX; table++)
        free(tables->ranges[table]);
    *tables = (struct nat_tables){};
}

int nat_compile(const struct nat_config *config, struct nat_tables *ret_tables, struct pcn_error *error)
{
    struct intervals intervals[NAT_TABLE_MAX] = {};
    struct nat_tables tables = {};
    int r;

    r = limits_check(config, error);
    if (r < 0)
        return r;
    tables.rules = calloc(2 * config->n + 1, sizeof(*tables.rules));
    r = tables.rules ? 0 : -ENOMEM;
    for (int table = 0; table < NAT_TABLE_MAX; table++) {
        intervals[table].all = calloc(2 * config->n + 1, sizeof(struct interval));
        if (!intervals[table].all)
            r = -ENOMEM;
    }
    for (size_t i = 0; i < config->n && r >= 0; i++)
        add_line(&tables, intervals, &config->lines[i]);
    for (int table = 0; table < NAT_TABLE_MAX; table++) {
        if (r >= 0)
            r = ranges_make(&intervals[table], &tables.ranges[table], &tables.n_ranges[table], error);
        free(intervals[table].all);
    }
    if (r < 0)
        nat_tables_done(&tables);
    else
        *ret_tables = tables;
    return r;
}
