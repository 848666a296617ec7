/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sessions with eight backends: those that are known, and new ones, beside the kernel's NAT by a map. */
#include "filter.h"
#include <stdio.h>

#define WAYS 2
#define TABLE 65536u
#define NEW_FLOWS 40960u /* a round: far less than the table takes */

static const struct lbrp_scene {
    const char *name;
    uint32_t flows;     /* that are known; 0: each packet is a new one */
    uint32_t n_packets; /* a round */
    double limit;
} scenes[] = {
    {"1,024 flows", 1024, FILTER_RUN, 45},
    {"65,536 flows", 65536, 10 * 65536, 120},
    {"each packet a new flow", 0, NEW_FLOWS, 200},
};

enum lbrp_peer {
    PEER_PLAIN,
    PEER_NFT,
    PEERS,
};
static const char *const peer_names[] = {NULL, "nft jhash map"};

struct lbrp_bench {
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

/* Bytes 34 and 35, the source port, tell flows apart beyond the list: see conntrack.c. */
static void packets_make(struct lbrp_bench *bench)
{
    char client[64];

    for (unsigned int i = 0; i < FILTER_PACKETS; i++) {
        const struct pcn_frame_spec spec = {.source = client,
                                            .destination = "10.200.0.1",
                                            .protocol = IPPROTO_UDP,
                                            .source_port = (uint16_t)(1024 + i),
                                            .destination_port = 53,
                                            .payload_length = 22};
        struct pcn_frame frame;

        (void)snprintf(client, sizeof(client), "10.100.%u.%u", i >> 8, i & 255);
        frame = pcn_frame_make(&spec);
        filter_packet(&frame, &bench->packets[i]);
    }
}

static void list_set(const struct lbrp_bench *bench, struct bench_lab *lab, uint32_t flows, uint64_t next)
{
    const struct bench_flows all = {.shift = __builtin_ctz(FILTER_PACKETS),
                                    .mask = (flows ?: 65536u * FILTER_PACKETS) / FILTER_PACKETS - 1,
                                    .factor_a = UINT64_C(1) << 32};

    filter_packets(lab, bench->packets, &all, next);
}

/* ---- set-up ---- */

#define BACKENDS 8

/* Between the line's two devices. */
static int cube_open(struct lbrp_bench *bench, enum bench_way way)
{
    int line = bench_lab_line(&bench->lab, way), length;
    char body[2048];

    if (line < 0)
        return line;
    length = snprintf(body, sizeof(body),
                      "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"table-size\": %u, \"ports\": ["
                      "{\"name\": \"front\", \"type\": \"FRONTEND\", \"peer\": \"d%d\"}, "
                      "{\"name\": \"back\", \"type\": \"BACKEND\", \"peer\": \"e%d\"}], \"service\": ["
                      "{\"vip\": \"10.200.0.1\", \"vport\": 53, \"proto\": \"UDP\", \"backend\": [",
                      way == BENCH_XDP ? "XDP_DRV" : "TC", TABLE, line, line);
    for (int i = 0; i < BACKENDS; i++)
        length += snprintf(body + length, sizeof(body) - (size_t)length, "%s{\"ip\": \"10.200.0.%d\", \"port\": 5353}",
                           i ? ", " : "", i + 2);
    (void)snprintf(body + length, sizeof(body) - (size_t)length, "]}]}");
    if (pcn_testd_post(bench->daemon, body, "lbrp/lb%d", (int)way) != 201)
        return -EIO;
    return filter_hold(bench->daemon, way, line, &bench->devices[way]);
}

static int bench_open(struct lbrp_bench *bench)
{
    int r = bench_lab_open(pcn_testd_netns(bench->daemon), &bench->lab);

    packets_make(bench);
    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++) {
        r = filter_idle(bench->daemon, &bench->lab, way, &bench->idle[way]);
        if (r == 0)
            r = cube_open(bench, way);
    }
    return r;
}

static void peers_close(struct lbrp_bench *bench)
{
    for (int peer = 0; peer < PEERS; peer++) {
        filter_peer_close(&bench->peers[peer]);
        bench->peers[peer] = (struct filter_peer){};
    }
}

static void bench_close(struct lbrp_bench *bench)
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

static int peers_open(struct lbrp_bench *bench, const struct lbrp_scene *scene)
{
    static const char *const commands[] = {
        [PEER_NFT] = "nft 'table ip nat { chain prerouting { type nat hook prerouting priority dstnat; "
                     "ip daddr 10.200.0.1 udp dport 53 dnat to jhash ip saddr . udp sport mod 8 map { "
                     "0 : 10.200.0.2, 1 : 10.200.0.3, 2 : 10.200.0.4, 3 : 10.200.0.5, "
                     "4 : 10.200.0.6, 5 : 10.200.0.7, 6 : 10.200.0.8, 7 : 10.200.0.9 }; }; }'" PEER_SYSCTL,
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

static long long count(const struct lbrp_bench *bench, int way, const char *what)
{
    json_t *json = pcn_testd_get(bench->daemon, "lbrp/lb%d/statistics/", way);
    long long number = pcn_json_int(json, what);

    json_decref(json);
    return number;
}

static int flush(const struct lbrp_bench *bench, int way)
{
    return pcn_testd_post(bench->daemon, "{}", "lbrp/lb%d/flush", way) == 200 ? 0 : -EIO;
}

static int ours_open(struct lbrp_bench *bench, const struct lbrp_scene *scene, int way)
{
    int r = flush(bench, way);
    double ignored;

    list_set(bench, &bench->lab, scene->flows, 0);
    if (r < 0 || !scene->flows)
        return r;
    return bench_lab_test_run(&bench->lab, (enum bench_way)way, bench->devices[way].program, scene->flows, &ignored);
}

/* ---- measuring ---- */

static int round_ours(struct lbrp_bench *bench, const struct lbrp_scene *scene, int way, size_t index)
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
static int scene_rounds(struct lbrp_bench *bench, const struct lbrp_scene *scene)
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
            fprintf(stderr, "bench: lbrp: %lld sessions\n", count(bench, way, "flows"));
            r = -EIO;
        }
    }
    return r;
}

/* ---- rows ---- */

static void scene_print(const struct lbrp_bench *bench, const struct lbrp_scene *scene)
{
    char what[80];

    for (int way = 0; way < WAYS; way++) {
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "ns a packet",
                                .pairs = FILTER_ROUNDS,
                                .how = "BPF_PROG_TEST_RUN of a device with the cube less one without",
                                .target = BENCH_AT_MOST,
                                .limit = scene->limit};

        (void)snprintf(what, sizeof(what), "lbrp, %s, %s", scene->name, way == BENCH_XDP ? "XDP_DRV" : "TC");
        row.ours = row.value = filter_figure(bench->cost[way]);
        bench_print(&row);
    }
    for (int peer = PEER_NFT; peer < PEERS; peer++) {
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "x cheaper",
                                .peer_name = peer_names[peer],
                                .pairs = FILTER_ROUNDS,
                                .how =
                                    "ours: test runs; peer: live frames, CPU time, forwarding with NAT less without"};

        (void)snprintf(what, sizeof(what), "lbrp, %s, TC", scene->name);
        row.ours = filter_figure(bench->cost[BENCH_TC]);
        row.peer = filter_figure(bench->peer_cost[peer]);
        row.value = bench_ratio(bench->peer_cost[peer], bench->cost[BENCH_TC], FILTER_ROUNDS);
        bench_print(&row);
    }
}

int bench_lbrp(void)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    struct lbrp_bench *bench = calloc(1, sizeof(*bench));
    int r;

    if (!bench)
        return -ENOMEM;
    r = pcn_testd_start(&spec, &bench->daemon);
    if (r == 0)
        r = bench_open(bench);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(scenes) && r == 0; i++) {
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
