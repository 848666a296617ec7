/* SPDX-License-Identifier: Apache-2.0 */
/* Destination NAT of UDP flows: those that are known, and new ones, beside the kernel's. */
#include "filter.h"
#include <stdio.h>

#define WAYS 2
#define TABLE 65536u
#define NEW_FLOWS 40960u /* a round: far less than the table takes */

static const struct nat_scene {
    const char *name;
    uint32_t flows;     /* that are known; 0: each packet is a new one */
    uint32_t n_packets; /* a round */
    double limit;       /* 0: none */
    bool ipv6;
} scenes[] = {
    {"1,024 flows", 1024, FILTER_RUN, 35},
    {"65,536 flows", 65536, 10 * 65536, 90},
    {"each packet a new flow", 0, NEW_FLOWS, 200},
    {"IPv6, 1,024 flows", 1024, FILTER_RUN, 0, true},
    {"IPv6, each packet a new flow", 0, NEW_FLOWS, 0, true},
};

enum nat_peer {
    PEER_PLAIN,
    PEER_IPTABLES,
    PEER_NFT,
    PEERS,
};
static const char *const peer_names[] = {NULL, "iptables DNAT", "nft dnat"};

struct nat_bench {
    struct pcn_testd *daemon;
    struct bench_lab lab;
    struct filter_device idle[WAYS];
    struct filter_device devices[WAYS];
    struct filter_peer peers[PEERS];
    struct bench_packet packets[FILTER_PACKETS];
    double cost[WAYS][FILTER_ROUNDS];
    double peer_cost[PEERS][FILTER_ROUNDS];
};

/* ---- packets ---- */

/*
 * Bytes 34 and 35, the source port, tell flows apart beyond the list: see conntrack.c. Of IPv6 they are of the source
 * address.
 */
static void packets_make(struct nat_bench *bench, bool ipv6)
{
    char client[64];

    for (unsigned int i = 0; i < FILTER_PACKETS; i++) {
        const struct pcn_frame_spec spec = {.source = client,
                                            .destination = ipv6 ? "fd10:200::1" : "10.200.0.1",
                                            .protocol = IPPROTO_UDP,
                                            .source_port = (uint16_t)(1024 + i),
                                            .destination_port = 53,
                                            .payload_length = ipv6 ? 0 : 22};
        struct pcn_frame frame;

        (void)snprintf(client, sizeof(client), ipv6 ? "fd10:100::%x:%x" : "10.100.%u.%u", i >> 8, i & 255);
        frame = pcn_frame_make(&spec);
        filter_packet(&frame, &bench->packets[i]);
    }
}

static void list_set(const struct nat_bench *bench, struct bench_lab *lab, uint32_t flows, uint64_t next)
{
    const struct bench_flows all = {.shift = __builtin_ctz(FILTER_PACKETS),
                                    .mask = (flows ?: 65536u * FILTER_PACKETS) / FILTER_PACKETS - 1,
                                    .factor_a = UINT64_C(1) << 32};

    filter_packets(lab, bench->packets, &all, next);
}

/* ---- set-up ---- */

static int bench_open(struct nat_bench *bench)
{
    int r = bench_lab_open(pcn_testd_netns(bench->daemon), &bench->lab);

    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++) {
        char name[16], body[512];

        r = filter_idle(bench->daemon, &bench->lab, way, &bench->idle[way]);
        if (r < 0)
            return r;
        (void)snprintf(name, sizeof(name), "nat%d", way);
        (void)snprintf(body, sizeof(body),
                       "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"table-size\": %u, \"rule\": {\"dnat\": {\"entry\": "
                       "[{\"id\": 0, \"external-ip\": \"10.200.0.1\", \"internal-ip\": \"10.200.0.2\"}, "
                       "{\"id\": 1, \"external-ip\": \"fd10:200::1\", \"internal-ip\": \"fd10:200::2\"}]}}}",
                       way == BENCH_XDP ? "XDP_DRV" : "TC", TABLE);
        if (pcn_testd_post(bench->daemon, body, "nat/%s", name) != 201)
            return -EIO;
        r = filter_attach(bench->daemon, &bench->lab, way, name, &bench->devices[way]);
    }
    return r;
}

static void peers_close(struct nat_bench *bench)
{
    for (int peer = 0; peer < PEERS; peer++) {
        filter_peer_close(&bench->peers[peer]);
        bench->peers[peer] = (struct filter_peer){};
    }
}

static void bench_close(struct nat_bench *bench)
{
    peers_close(bench);
    for (int way = 0; way < WAYS; way++) {
        filter_device_done(&bench->idle[way]);
        filter_device_done(&bench->devices[way]);
    }
    if (bench->lab.object)
        bench_lab_close(&bench->lab);
    pcn_testd_freep(&bench->daemon);
}

/* The ports change, the checksums do not follow. */
#define PEER_SYSCTL " && sysctl -qw net.netfilter.nf_conntrack_checksum=0"

static int peers_open(struct nat_bench *bench, const struct nat_scene *scene)
{
    static const char *const commands[] = {
        [PEER_IPTABLES] =
            "iptables-legacy -t nat -A PREROUTING -d 10.200.0.1 -j DNAT --to-destination 10.200.0.2 && "
            "ip6tables-legacy -t nat -A PREROUTING -d fd10:200::1 -j DNAT --to-destination fd10:200::2" PEER_SYSCTL,
        [PEER_NFT] = "nft 'table ip nat { chain prerouting { type nat hook prerouting priority dstnat; "
                     "ip daddr 10.200.0.1 dnat to 10.200.0.2; }; }; table ip6 nat { chain prerouting { type nat hook "
                     "prerouting priority dstnat; ip6 daddr fd10:200::1 dnat to fd10:200::2; }; }'" PEER_SYSCTL,
    };
    double ignored;
    int r = 0;

    for (int peer = 0; peer < PEERS && r == 0; peer++) {
        struct filter_peer *it = &bench->peers[peer];

        r = filter_peer_open(commands[peer], it);
        if (r < 0)
            return r;
        list_set(bench, &it->lab, scene->flows, 0);
        if (scene->flows)
            r = bench_lab_run(&it->lab, (unsigned int)it->line, scene->flows, &ignored);
        it->n_frames = scene->flows ? 65536 : 20480;
    }
    return r;
}

static long long count(const struct nat_bench *bench, int way, const char *what)
{
    json_t *json = pcn_testd_get(bench->daemon, "nat/nat%d/statistics/", way);
    long long number = pcn_json_int(json, what);

    json_decref(json);
    return number;
}

static int flush(const struct nat_bench *bench, int way)
{
    return pcn_testd_post(bench->daemon, "{}", "nat/nat%d/flush", way) == 200 ? 0 : -EIO;
}

static int ours_open(struct nat_bench *bench, const struct nat_scene *scene, int way)
{
    int r = flush(bench, way);
    double ignored;

    list_set(bench, &bench->lab, scene->flows, 0);
    if (r < 0 || !scene->flows)
        return r;
    return bench_lab_test_run(&bench->lab, (enum bench_way)way, bench->devices[way].program, scene->flows, &ignored);
}

/* ---- measuring ---- */

static int round_ours(struct nat_bench *bench, const struct nat_scene *scene, int way, size_t index)
{
    int r = scene->flows ? 0 : flush(bench, way);
    double idle, whole;

    list_set(bench, &bench->lab, scene->flows, 0);
    if (r == 0)
        r = bench_lab_test_run(&bench->lab, (enum bench_way)way, bench->idle[way].program, scene->n_packets, &idle);
    list_set(bench, &bench->lab, scene->flows, 0);
    if (r == 0)
        r = bench_lab_test_run(&bench->lab, (enum bench_way)way, bench->devices[way].program, scene->n_packets, &whole);
    if (r == 0)
        bench->cost[way][index] = whole - idle;
    return r;
}

/* Round 0 warms up. */
static int scene_rounds(struct nat_bench *bench, const struct nat_scene *scene)
{
    int r = 0;

    for (size_t round = 0; round <= FILTER_ROUNDS && r == 0; round++) {
        size_t index = round ? round - 1 : 0;
        double ns[PEERS] = {};

        for (int way = 0; way < WAYS && r == 0; way++)
            r = round_ours(bench, scene, way, index);
        for (int peer = 0; peer < PEERS && r == 0; peer++) {
            r = filter_peer_run(&bench->peers[peer], &ns[peer]);
            bench->peer_cost[peer][index] = ns[peer] - ns[PEER_PLAIN];
        }
    }
    /* Each flow has a session, and no packet made another one. */
    for (int way = 0; way < WAYS && r == 0; way++) {
        if (count(bench, way, "flows") != (long long)(scene->flows ?: scene->n_packets)) {
            fprintf(stderr, "bench: nat: %lld sessions\n", count(bench, way, "flows"));
            r = -EIO;
        }
    }
    return r;
}

/* ---- rows ---- */

static void scene_print(const struct nat_bench *bench, const struct nat_scene *scene)
{
    char what[80];

    for (int way = 0; way < WAYS; way++) {
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "ns a packet",
                                .pairs = FILTER_ROUNDS,
                                .how = "BPF_PROG_TEST_RUN of a device with the cube less one without",
                                .target = scene->limit > 0 ? BENCH_AT_MOST : BENCH_NO_TARGET,
                                .limit = scene->limit};

        (void)snprintf(what, sizeof(what), "nat, DNAT, %s, %s", scene->name, way == BENCH_XDP ? "XDP_DRV" : "TC");
        row.ours = row.value = filter_figure(bench->cost[way]);
        bench_print(&row);
    }
    for (int peer = PEER_IPTABLES; peer < PEERS; peer++) {
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "x cheaper",
                                .peer_name = peer_names[peer],
                                .pairs = FILTER_ROUNDS,
                                .how =
                                    "ours: test runs; peer: live frames, CPU time, forwarding with NAT less without"};

        (void)snprintf(what, sizeof(what), "nat, DNAT, %s, TC", scene->name);
        row.ours = filter_figure(bench->cost[BENCH_TC]);
        row.peer = filter_figure(bench->peer_cost[peer]);
        row.value = bench_ratio(bench->peer_cost[peer], bench->cost[BENCH_TC], FILTER_ROUNDS);
        bench_print(&row);
    }
}

int bench_nat(void)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    struct nat_bench *bench = calloc(1, sizeof(*bench));
    int r;

    if (!bench)
        return -ENOMEM;
    r = pcn_testd_start(&spec, &bench->daemon);
    if (r == 0)
        r = bench_open(bench);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(scenes) && r == 0; i++) {
        packets_make(bench, scenes[i].ipv6);
        r = peers_open(bench, &scenes[i]);
        for (int way = 0; way < WAYS && r == 0; way++)
            r = ours_open(bench, &scenes[i], way);
        if (r == 0)
            r = scene_rounds(bench, &scenes[i]);
        if (r == 0)
            scene_print(bench, &scenes[i]);
        peers_close(bench);
    }
    bench_close(bench);
    free(bench);
    return r;
}
