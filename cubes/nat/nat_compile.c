/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to ranges of keys. Each rule is of an interval; intervals are nested or apart, so a walk from left to
 * right with a stack of those that are open finds the innermost one everywhere: the longest prefix, the single port.
 */
#include "nat.h"
#include <arpa/inet.h>
#include <endian.h>

/* A key, as struct nat_range6 has it. */
struct point {
    uint64_t words[3];
};

struct interval {
    struct point first;
    struct point last;
    const struct nat_line *line;
    uint32_t rule; /* index + 1 */
};

struct intervals {
    struct interval *all;
    size_t n;
};

static int point_compare(const struct point *a, const struct point *b)
{
    for (int i = 0; i < 3; i++)
        if (a->words[i] != b->words[i])
            return a->words[i] < b->words[i] ? -1 : 1;
    return 0;
}

/* The key behind it; false: there is none. */
static bool point_next(const struct point *point, uint64_t last_word, struct point *ret_next)
{
    *ret_next = *point;
    if (point->words[2] != last_word) {
        ret_next->words[2]++;
        return true;
    }
    ret_next->words[2] = 0;
    return ++ret_next->words[1] || ++ret_next->words[0];
}

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
    int first = point_compare(&left->first, &right->first), last = point_compare(&left->last, &right->last);

    if (first)
        return first;
    return last ? -last : line_rank(left->line) - line_rank(right->line);
}

static void interval_add(struct intervals *intervals, struct point first, struct point last,
                         const struct nat_line *line, uint32_t rule)
{
    intervals->all[intervals->n++] = (struct interval){first, last, line, rule};
}

struct nat_wide nat_wide_hosts(uint8_t length)
{
    return (struct nat_wide){
        length >= 64 ? 0 : UINT64_MAX >> length,
        length >= 128 ? 0 : UINT64_MAX >> (length > 64 ? length - 64 : 0),
    };
}

static uint32_t hosts_of(const struct nat_line *line)
{
    return line->length ? (uint32_t)(0xffffffffull >> line->length) : UINT32_MAX;
}

static bool is_ipv6(const struct nat_line *line)
{
    return line->rule.version == 6;
}

/* Sources, or exempt destinations. */
static void add_network(struct intervals *intervals, const struct nat_line *line, uint32_t rule)
{
    struct nat_wide hosts = nat_wide_hosts(line->length);

    if (is_ipv6(line))
        interval_add(intervals, (struct point){{line->wide.high, line->wide.low, 0}},
                     (struct point){{line->wide.high | hosts.high, line->wide.low | hosts.low, 0}}, line, rule);
    else
        interval_add(intervals, (struct point){{0, 0, line->key}}, (struct point){{0, 0, line->key + hosts_of(line)}},
                     line, rule);
}

/* What comes in for addresses, from the first one on as many as the network has; low and high: protocol and port. */
static void add_destinations(struct intervals *intervals, uint32_t first, struct nat_wide wide,
                             const struct nat_line *line, uint64_t low, uint64_t high, uint32_t rule)
{
    bool net = line->rule.kind == NAT_NETMAP || line->rule.kind == NAT_NPT;
    struct nat_wide hosts = net ? nat_wide_hosts(line->length) : (struct nat_wide){};

    if (is_ipv6(line))
        interval_add(intervals, (struct point){{wide.high, wide.low, low}},
                     (struct point){{wide.high | hosts.high, wide.low | hosts.low, high}}, line, rule);
    else
        interval_add(intervals, (struct point){{0, 0, nat_destination_key(first, 0, 0) | low}},
                     (struct point){{0, 0, nat_destination_key(net ? first + hosts_of(line) : first, 0, 0) | high}},
                     line, rule);
}

static void add_forwarding(struct intervals *intervals, const struct nat_line *line, uint32_t rule)
{
    if (line->tcp)
        add_destinations(intervals, line->key, line->wide, line, nat_destination_key(0, IPPROTO_TCP, line->rule.first),
                         nat_destination_key(0, IPPROTO_TCP, line->rule.last), rule);
    if (line->udp)
        add_destinations(intervals, line->key, line->wide, line, nat_destination_key(0, IPPROTO_UDP, line->rule.first),
                         nat_destination_key(0, IPPROTO_UDP, line->rule.last), rule);
}

/* All protocols and ports. */
#define NAT_ALL_PORTS nat_destination_key(0, 0xff, 0xffff)

/* The sum of a prefix's words, in ones' complement. */
static uint32_t prefix_sum(struct nat_wide wide)
{
    uint32_t sum = 0;

    for (int shift = 0; shift < 64; shift += 16)
        sum += (uint32_t)(wide.high >> shift & 0xffff);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* What a prefix for another takes away: RFC 6296, 3.1. */
static uint16_t adjustment(struct nat_wide inside, struct nat_wide outside)
{
    uint32_t sum = prefix_sum(inside) + (uint16_t)~prefix_sum(outside);

    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* A network for another: out one way, in the other way. */
static void add_both_ways(struct nat_tables *tables, struct intervals *out, struct intervals *in,
                          const struct nat_line *line)
{
    struct nat_rule *rule = &tables->rules[tables->n_rules];
    uint64_t all = line->rule.kind == NAT_NPT ? 0 : NAT_ALL_PORTS;

    rule[1] = rule[0] = line->rule;
    rule[0].base = line->key;
    rule[0].prefix = line->wide;
    rule[1].address = line->key;
    rule[1].base = line->rule.address;
    rule[1].wide = line->wide;
    rule[1].prefix = line->rule.wide;
    rule[0].adjust = adjustment(line->wide, line->rule.wide);
    rule[1].adjust = adjustment(line->rule.wide, line->wide);
    add_network(out, line, (uint32_t)tables->n_rules + 1);
    add_destinations(in, line->rule.address, line->rule.wide, line, 0, all, (uint32_t)tables->n_rules + 2);
    tables->n_rules += 2;
}

static void add_line(struct nat_tables *tables, struct intervals *intervals, const struct nat_line *line)
{
    struct intervals *family = intervals + (is_ipv6(line) ? NAT_SOURCES6 : 0);
    uint32_t rule;

    if (line->rule.kind == NAT_NPT) {
        add_both_ways(tables, &intervals[NAT_NPT_OUT], &intervals[NAT_NPT_IN], line);
        return;
    }
    if (line->rule.kind == NAT_NETMAP) {
        add_both_ways(tables, &family[NAT_SOURCES], &family[NAT_DESTINATIONS], line);
        return;
    }
    tables->rules[tables->n_rules] = line->rule;
    rule = (uint32_t)++tables->n_rules;
    if (line->rule.kind == NAT_PORT_FORWARDING)
        add_forwarding(&family[NAT_DESTINATIONS], line, rule);
    else if (line->rule.kind == NAT_DNAT)
        add_destinations(&family[NAT_DESTINATIONS], line->key, line->wide, line, 0, NAT_ALL_PORTS, rule);
    else
        add_network(&family[line->rule.kind == NAT_EXEMPT ? NAT_EXEMPTIONS : NAT_SOURCES], line, rule);
}

static void key_text(const struct nat_line *line, char text[INET6_ADDRSTRLEN])
{
    const uint64_t wide[2] = {htobe64(line->wide.high), htobe64(line->wide.low)};
    uint32_t key = htonl(line->key);

    (void)inet_ntop(is_ipv6(line) ? AF_INET6 : AF_INET, is_ipv6(line) ? (const void *)wide : &key, text,
                    INET6_ADDRSTRLEN);
}

static int contradiction(const struct nat_line *a, const struct nat_line *b, struct pcn_error *error)
{
    static const char *const paths[NAT_KIND_MAX] = {
        "rule/snat/entry",   "rule/dnat/entry",   "rule/masquerade", "rule/port-forwarding/entry",
        "rule/netmap/entry", "rule/exempt/entry", "rule/nptv6/entry"};
    static const char *const what[NAT_KIND_MAX] = {
        "the same internal-net", "the same external-ip",  "everything",         "a port in common",
        "the same network",      "the same external-net", "a network in common"};
    char address[INET6_ADDRSTRLEN];

    key_text(b, address);
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, paths[b->rule.kind],
                         "rules %u and %u have %s (%s): change or delete one of them", a->rule.id, b->rule.id,
                         what[b->rule.kind], address);
}

/* Whether b, which is inside of a, may be. */
static bool may_nest(const struct interval *a, const struct interval *b)
{
    if (a->line->rule.kind == NAT_PORT_FORWARDING)
        return false;
    return point_compare(&a->first, &b->first) != 0 || point_compare(&a->last, &b->last) != 0 ||
           a->line->rule.kind != b->line->rule.kind;
}

struct ranges {
    struct nat_range6 *all;
    size_t n;
    uint64_t last_word; /* of the keys' last word, the largest value */
};

static void range_add(struct ranges *ranges, const struct point *start, uint32_t rule)
{
    struct nat_range6 *range;

    if (ranges->n && memcmp(ranges->all[ranges->n - 1].start, start->words, sizeof(start->words)) == 0)
        ranges->n--;
    range = &ranges->all[ranges->n++];
    memcpy(range->start, start->words, sizeof(range->start));
    range->rule = rule;
}

/* What is behind the innermost of the open ones is of the next. */
static void range_close(struct ranges *ranges, const struct interval **open, size_t depth)
{
    struct point next;

    if (point_next(&open[depth - 1]->last, ranges->last_word, &next))
        range_add(ranges, &next, depth > 1 ? open[depth - 2]->rule : 0);
}

/* Open intervals: at most two of each prefix length, masquerade, and one of forwarding. */
#define DEPTH_MAX 300

static int ranges_fill(struct intervals *intervals, struct ranges *ranges, struct pcn_error *error)
{
    const struct interval *open[DEPTH_MAX];
    size_t depth = 0;

    if (intervals->n)
        range_add(ranges, &(struct point){}, 0);
    qsort(intervals->all, intervals->n, sizeof(*intervals->all), interval_compare);
    for (size_t i = 0; i < intervals->n; i++) {
        const struct interval *interval = &intervals->all[i];

        for (; depth && point_compare(&open[depth - 1]->last, &interval->first) < 0; depth--)
            range_close(ranges, open, depth);
        if (depth && !may_nest(open[depth - 1], interval))
            return contradiction(open[depth - 1]->line, interval->line, error);
        if (depth == DEPTH_MAX)
            return -E2BIG;
        open[depth++] = interval;
        range_add(ranges, &interval->first, interval->rule);
    }
    for (; depth; depth--)
        range_close(ranges, open, depth);
    return 0;
}

static int ranges_make(enum nat_table table, struct intervals *intervals, struct nat_tables *tables,
                       struct pcn_error *error)
{
    struct ranges ranges = {.last_word = UINT64_MAX};
    int r;

    if (table == NAT_DESTINATIONS6)
        ranges.last_word = NAT_ALL_PORTS;
    else if (table >= NAT_SOURCES6)
        ranges.last_word = 0;
    ranges.all = calloc(2 * intervals->n + 1, sizeof(*ranges.all));
    if (!ranges.all)
        return -ENOMEM;
    r = ranges_fill(intervals, &ranges, error);
    tables->ranges[table] = ranges.all;
    tables->n_ranges[table] = ranges.n;
    return r;
}

static int limits_check(const struct nat_config *config, struct pcn_error *error)
{
    static const size_t limits[NAT_KIND_MAX] = {NAT_SNAT_MAX,   NAT_DNAT_MAX,   2,          NAT_FORWARDING_MAX,
                                                NAT_NETMAP_MAX, NAT_EXEMPT_MAX, NAT_NPT_MAX};
    static const char *const names[NAT_KIND_MAX] = {"snat",   "dnat",   "masquerade", "port-forwarding",
                                                    "netmap", "exempt", "nptv6"};
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
            r = ranges_make((enum nat_table)table, &intervals[table], &tables, error);
        free(intervals[table].all);
    }
    if (r < 0)
        nat_tables_done(&tables);
    else
        *ret_tables = tables;
    return r;
}

static uint32_t search_step(size_t n)
{
    return n > 1 ? 1u << (31 - __builtin_clz((unsigned int)(n - 1))) : 0;
}

static void ranges_install(struct nat *nat, const struct nat_tables *tables, uint32_t generation, uint32_t table)
{
    const struct nat_range6 *from = tables->ranges[table];
    struct nat_range *to = nat->ranges + (size_t)generation * NAT_RANGES_MAX + nat_ranges_of(table);
    size_t n = tables->n_ranges[table];

    if (table >= NAT_SOURCES6 && n)
        memcpy(nat->ranges6 + (size_t)generation * NAT_RANGES6_MAX + nat_ranges_of(table), from, n * sizeof(*from));
    for (size_t i = 0; i < n && table < NAT_SOURCES6; i++)
        to[i] = (struct nat_range){.start = from[i].start[2], .rule = from[i].rule};
    nat->settings->sizes[generation][table] = (struct nat_size){.n_ranges = (uint32_t)n, .step = search_step(n)};
}

void nat_tables_install(struct nat *nat, const struct nat_tables *tables)
{
    uint32_t generation = !nat->settings->generation;

    memcpy(nat->rules + (size_t)generation * NAT_RULES_MAX, tables->rules, tables->n_rules * sizeof(*tables->rules));
    for (uint32_t table = 0; table < NAT_TABLE_MAX; table++) {
        ranges_install(nat, tables, generation, table);
        if (table >= NAT_SOURCES6 && tables->n_ranges[table])
            __atomic_store_n(&nat->settings->ipv6, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&nat->settings->npt, tables->n_ranges[NAT_NPT_OUT] > 0, __ATOMIC_RELAXED);
    __atomic_store_n(&nat->settings->generation, generation, __ATOMIC_RELEASE);
}
