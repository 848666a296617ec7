/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firewall's rules beside the kernel's: the same rules, the same packets, each of which one rule accepts. A cost is
 * that of a device, or of the kernel's forwarding, with rules less without.
 */
#include "acl.h"
#include "filter.h"
#include <arpa/inet.h>
#include <stdio.h>

#define SEED 1
#define LIMIT_NS 70
#define LIMIT_GROWTH 1.6
#define LIMIT_IPV6 1.5

static const size_t sizes[] = {100, 1000, 10000};
#define SIZES PCN_ARRAY_SIZE(sizes)
#define WAYS 2

enum firewall_family {
    FAMILY_V4,
    FAMILY_V6,
    FAMILIES,
};

enum firewall_peer {
    PEER_IPTABLES,
    PEER_NFT,
    PEER_NFT_MAP,
    PEERS,
};
static const char *const peer_names[] = {"iptables", "nft, rule by rule", "nft verdict map"};

static const struct firewall_kind {
    const char *name;
    bool exact;
    int (*make)(uint64_t seed, size_t n, uint8_t version, struct oracle_rules *ret_rules);
} kinds[] = {{"ACL", false, oracle_rules_acl}, {"exact", true, oracle_rules_exact}};

/* One set of rules, and what it costs. */
struct firewall_case {
    struct oracle_rules rules;
    struct bench_packet packets[FILTER_PACKETS];
    char name[32]; /* of the cubes, less the way */
    struct filter_device devices[WAYS];
    struct filter_peer peers[PEERS];
    double cost[WAYS][FILTER_ROUNDS];
    double peer_cost[PEERS][FILTER_ROUNDS];
};

struct firewall_bench {
    const struct firewall_kind *kind;
    struct pcn_testd *daemon;
    struct bench_lab lab;
    struct filter_device idle[WAYS];
    struct filter_peer plain;
    struct firewall_case cases[FAMILIES][SIZES];
};

/* ---- rules ---- */

static bool prefixes_meet(const struct firewall_prefix *a, const struct firewall_prefix *b)
{
    unsigned int length = PCN_MIN(a->length, b->length);

    for (unsigned int word = 0; 32 * word < length; word++) {
        unsigned int bits = PCN_MIN(32u, length - 32 * word);

        if (ntohl(a->address.v6[word] ^ b->address.v6[word]) >> (32 - bits))
            return false;
    }
    return true;
}

static bool rules_meet(const struct firewall_rule *a, const struct firewall_rule *b)
{
    return a->destination_ports.items[0].low == b->destination_ports.items[0].low && a->protocol[0] == b->protocol[0] &&
           prefixes_meet(a->source.items, b->source.items) &&
           prefixes_meet(a->destination.items, b->destination.items) &&
           (!a->source_ports.given || a->source_ports.items[0].low == b->source_ports.items[0].low);
}

/* n rules no two of which match the same packet: a verdict map of nft takes no others. */
static int rules_make(const struct firewall_kind *kind, size_t n, uint8_t version, struct oracle_rules *ret_rules)
{
    int r = kind->make(SEED, n + n / 4 + 16, version, ret_rules);
    size_t kept = 0;

    for (size_t i = 0; r == 0 && i < ret_rules->n && kept < n; i++) {
        bool meets = false;

        for (size_t j = 0; j < kept && !meets; j++)
            meets = rules_meet(&ret_rules->rules[i], &ret_rules->rules[j]);
        if (!meets)
            ret_rules->rules[kept++] = ret_rules->rules[i];
    }
    ret_rules->n = kept;
    return r < 0 || kept == n ? r : -ENOTUNIQ;
}

static void rules_packets(const struct oracle_rules *rules, struct bench_packet *packets)
{
    uint64_t random = SEED;

    for (size_t i = 0; i < FILTER_PACKETS; i++) {
        struct oracle_packet packet =
            oracle_packet_for(&rules->rules[oracle_random(&random, (uint32_t)rules->n)], &random);
        struct pcn_frame frame;

        packet.tcp_flags = 0x10;
        oracle_frame(&packet, &frame);
        pcn_frame_fix_checksums(&frame);
        filter_packet(&frame, &packets[i]);
    }
}

/* Exact rules are a hash, prefixes an interval map. */
static void rules_nft_map(const struct oracle_rules *rules, FILE *file)
{
    bool exact = rules->rules[0].source_ports.given;

    (void)fprintf(file,
                  "table ip filter {\nmap rules {\ntype ipv4_addr . ipv4_addr . inet_proto%s . inet_service : "
                  "verdict;\n%s\nelements = {\n",
                  exact ? " . inet_service" : "", exact ? "" : "flags interval;");
    for (size_t i = 0; i < rules->n; i++) {
        struct acl_text text = acl_text(&rules->rules[i]);

        if (exact) {
            *strchr(text.source, '/') = 0;
            *strchr(text.destination, '/') = 0;
        }
        (void)fprintf(file, "%s . %s . %s . ", text.source, text.destination, text.protocol);
        if (exact)
            (void)fprintf(file, "%u . ", text.source_port);
        (void)fprintf(file, "%u : accept,\n", text.destination_port);
    }
    (void)fprintf(file, "}\n}\n" ACL_NFT_CHAIN "ip saddr . ip daddr . meta l4proto%s . th dport vmap @rules\n}\n}\n",
                  exact ? " . th sport" : "");
}

static char *rules_body(const struct oracle_rules *rules, enum bench_way way)
{
    char *body = NULL;
    size_t size;
    FILE *stream = open_memstream(&body, &size);

    if (!stream)
        return NULL;
    (void)fprintf(stream,
                  "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"accept-established\": \"OFF\", "
                  "\"conntrack\": \"OFF\", "
                  "\"chain\": [{\"name\": \"INGRESS\", \"default\": \"DROP\", \"rule\": ",
                  way == BENCH_XDP ? "XDP_DRV" : "TC");
    acl_json(rules, stream);
    (void)fputs("}]}", stream);
    (void)fclose(stream);
    return body;
}

/* ---- set-up ---- */

static int case_ours(struct firewall_bench *bench, struct firewall_case *it)
{
    char name[40];
    int r = 0;

    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++) {
        _cleanup_free_ char *body = rules_body(&it->rules, way);

        if (!body)
            return -ENOMEM;
        (void)snprintf(name, sizeof(name), "%s%c", it->name, way == BENCH_XDP ? 'x' : 't');
        if (pcn_testd_post(bench->daemon, body, "firewall/%s", name) != 201)
            return -EIO;
        r = filter_attach(bench->daemon, &bench->lab, way, name, &it->devices[way]);
    }
    return r;
}

static int case_peers(struct firewall_case *it)
{
    static void (*const write[])(const struct oracle_rules *, FILE *) = {acl_iptables, acl_nft, rules_nft_map};
    static const char *const load[] = {"iptables-legacy-restore <", "nft -f ", "nft -f "};
    int r = 0;

    for (enum firewall_peer peer = 0; peer < PEERS && r == 0; peer++) {
        char path[256], command[300];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/rules", pcn_sandbox_directory());
        file = fopen(path, "we");
        if (!file)
            return -errno;
        write[peer](&it->rules, file);
        (void)fclose(file);
        (void)snprintf(command, sizeof(command), "%s%s", load[peer], path);
        r = filter_peer_open(command, &it->peers[peer]);
        if (r == 0)
            filter_packets(&it->peers[peer].lab, it->packets, NULL, 0);
    }
    return r;
}

static int bench_open(struct firewall_bench *bench)
{
    int r = bench_lab_open(pcn_testd_netns(bench->daemon), &bench->lab);

    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++)
        r = filter_idle(bench->daemon, &bench->lab, way, &bench->idle[way]);
    if (r == 0)
        r = filter_peer_open(NULL, &bench->plain);
    for (size_t i = 0; i < (size_t)FAMILIES * SIZES && r == 0; i++) {
        enum firewall_family family = (enum firewall_family)(i / SIZES);
        struct firewall_case *it = &bench->cases[family][i % SIZES];

        r = rules_make(bench->kind, sizes[i % SIZES], family == FAMILY_V4 ? 4 : 6, &it->rules);
        if (r < 0)
            return r;
        rules_packets(&it->rules, it->packets);
        (void)snprintf(it->name, sizeof(it->name), "fw%zu", i);
        r = case_ours(bench, it);
        if (r == 0 && family == FAMILY_V4)
            r = case_peers(it);
    }
    return r;
}

static void bench_close(struct firewall_bench *bench)
{
    for (size_t i = 0; i < (size_t)FAMILIES * SIZES; i++) {
        struct firewall_case *it = &bench->cases[i / SIZES][i % SIZES];

        for (int way = 0; way < WAYS; way++)
            filter_device_done(&it->devices[way]);
        for (int peer = 0; peer < PEERS; peer++)
            filter_peer_close(&it->peers[peer]);
        oracle_rules_done(&it->rules);
    }
    for (int way = 0; way < WAYS; way++)
        filter_device_done(&bench->idle[way]);
    filter_peer_close(&bench->plain);
    if (bench->lab.object)
        bench_lab_close(&bench->lab);
    pcn_testd_freep(&bench->daemon);
}

/* ---- measuring ---- */

static int round_ours(struct firewall_bench *bench, struct firewall_case *it, size_t round)
{
    int r = 0;

    for (int way = 0; way < WAYS && r == 0; way++) {
        double idle, whole;

        filter_packets(&bench->lab, it->packets, NULL, 0);
        r = bench_lab_test_run(&bench->lab, (enum bench_way)way, bench->idle[way].program, FILTER_RUN, &idle);
        if (r == 0)
            r = bench_lab_test_run(&bench->lab, (enum bench_way)way, it->devices[way].program, FILTER_RUN, &whole);
        if (r < 0)
            return r;
        it->cost[way][round] = whole - idle;
    }
    return r;
}

static int round_peers(struct firewall_bench *bench, struct firewall_case *it, size_t round)
{
    double plain, with;
    int r;

    filter_packets(&bench->plain.lab, it->packets, NULL, 0);
    r = filter_peer_run(&bench->plain, &plain);
    for (int peer = 0; peer < PEERS && r == 0; peer++) {
        r = filter_peer_run(&it->peers[peer], &with);
        it->peer_cost[peer][round] = with - plain;
    }
    return r;
}

/* Round 0 of all warms up, and is measured anew. */
static int bench_rounds(struct firewall_bench *bench)
{
    int r = 0;

    for (size_t round = 0; round <= FILTER_ROUNDS; round++) {
        for (size_t i = 0; i < (size_t)FAMILIES * SIZES && r == 0; i++) {
            struct firewall_case *it = &bench->cases[i / SIZES][i % SIZES];

            r = round_ours(bench, it, round ? round - 1 : 0);
            if (r == 0 && i / SIZES == FAMILY_V4)
                r = round_peers(bench, it, round ? round - 1 : 0);
        }
    }
    return r;
}

/* A packet that the default dropped was not measured as one that a rule accepts. */
static int bench_accepted(struct firewall_bench *bench)
{
    for (size_t i = 0; i < (size_t)FAMILIES * SIZES; i++) {
        json_t *stats =
            pcn_testd_get(bench->daemon, "firewall/%sx/chain/INGRESS/stats/", bench->cases[i / SIZES][i % SIZES].name);
        size_t n = json_array_size(stats);
        long long missed = n ? pcn_json_int(json_array_get(stats, n - 1), "pkts") : -1;

        json_decref(stats);
        if (missed != 0) {
            fprintf(stderr, "bench: %lld packets match none of %zu rules\n", missed, sizes[i % SIZES]);
            return -EIO;
        }
    }
    return 0;
}

/* ---- rows ---- */

static const char how_ours[] = "BPF_PROG_TEST_RUN of a device with the firewall less one without; 1,024 packets";

static const char *way_name(int way)
{
    return way == BENCH_XDP ? "XDP_DRV" : "TC";
}

static void print_costs(const struct firewall_bench *bench, size_t size, int way)
{
    const struct firewall_case *four = &bench->cases[FAMILY_V4][size], *six = &bench->cases[FAMILY_V6][size];
    char what[80];
    struct bench_row row = {
        .what = what, .unit = "ns", .measure = "ns a packet", .pairs = FILTER_ROUNDS, .how = how_ours};

    (void)snprintf(what, sizeof(what), "firewall, %zu %s rules, %s", sizes[size], bench->kind->name, way_name(way));
    row.ours = row.value = filter_figure(four->cost[way]);
    if (!bench->kind->exact && sizes[size] == 10000) {
        row.target = BENCH_AT_MOST;
        row.limit = LIMIT_NS;
    }
    bench_print(&row);
    (void)snprintf(what, sizeof(what), "firewall, %zu %s rules, %s, IPv6", sizes[size], bench->kind->name,
                   way_name(way));
    row.ours = filter_figure(six->cost[way]);
    row.peer_name = "IPv4";
    row.peer = filter_figure(four->cost[way]);
    row.measure = "x";
    row.value = bench_ratio(six->cost[way], four->cost[way], FILTER_ROUNDS);
    row.target = BENCH_AT_MOST;
    row.limit = LIMIT_IPV6;
    bench_print(&row);
}

static void print_growth(const struct firewall_bench *bench, int way)
{
    const double *large = bench->cases[FAMILY_V4][2].cost[way], *small = bench->cases[FAMILY_V4][1].cost[way];
    char what[80];
    struct bench_row row = {.what = what,
                            .unit = "ns",
                            .measure = "x",
                            .peer_name = "1,000 rules",
                            .pairs = FILTER_ROUNDS,
                            .how = how_ours,
                            .target = bench->kind->exact ? BENCH_NO_TARGET : BENCH_AT_MOST,
                            .limit = LIMIT_GROWTH};

    (void)snprintf(what, sizeof(what), "firewall, from 1,000 %s rules to 10,000, %s", bench->kind->name, way_name(way));
    row.ours = filter_figure(large);
    row.peer = filter_figure(small);
    row.value = bench_ratio(large, small, FILTER_ROUNDS);
    bench_print(&row);
}

static void print_peers(const struct firewall_bench *bench, size_t size)
{
    const struct firewall_case *it = &bench->cases[FAMILY_V4][size];
    char what[80];

    for (int peer = 0; peer < PEERS; peer++) {
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "x cheaper",
                                .peer_name = peer_names[peer],
                                .pairs = FILTER_ROUNDS,
                                .how = "ours: test runs; peer: live frames, CPU time, forwarding with rules less "
                                       "without; the same packets"};

        (void)snprintf(what, sizeof(what), "firewall, %zu %s rules, TC", sizes[size], bench->kind->name);
        row.ours = filter_figure(it->cost[BENCH_TC]);
        row.peer = filter_figure(it->peer_cost[peer]);
        row.value = bench_ratio(it->peer_cost[peer], it->cost[BENCH_TC], FILTER_ROUNDS);
        bench_print(&row);
    }
}

static void bench_rows(const struct firewall_bench *bench)
{
    for (int way = 0; way < WAYS; way++) {
        for (size_t size = 0; size < SIZES; size++)
            print_costs(bench, size, way);
        print_growth(bench, way);
    }
    for (size_t size = 0; size < SIZES; size++)
        print_peers(bench, size);
}

static int firewall_kind(const struct firewall_kind *kind)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    struct firewall_bench *bench = calloc(1, sizeof(*bench));
    int r;

    if (!bench)
        return -ENOMEM;
    bench->kind = kind;
    r = pcn_testd_start(&spec, &bench->daemon);
    if (r == 0)
        r = bench_open(bench);
    if (r == 0)
        r = bench_rounds(bench);
    if (r == 0)
        r = bench_accepted(bench);
    if (r == 0)
        bench_rows(bench);
    bench_close(bench);
    free(bench);
    return r;
}

int bench_firewall(void)
{
    int r = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(kinds) && r == 0; i++)
        r = firewall_kind(&kinds[i]);
    return r;
}
