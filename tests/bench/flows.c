/* SPDX-License-Identifier: Apache-2.0 */
#include "flows.h"
#include <stdio.h>

#define PEER_FRAMES_KNOWN 65536u
#define PEER_FRAMES_NEW 20480u
/* Tables in which flows stand in the order in which they came would have it easy. */
#define SCATTER 2654435769u

int flows_open(struct flows_bench *bench)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    int r = bench_memory();

    if (r == 0)
        r = pcn_testd_start(&spec, &bench->daemon);
    if (r == 0)
        r = bench_lab_open(pcn_testd_netns(bench->daemon), &bench->lab);
    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++)
        r = filter_idle(bench->daemon, &bench->lab, way, &bench->idle[way]);
    return r;
}

void flows_close(struct flows_bench *bench)
{
    flows_peers_close(bench);
    for (int way = 0; way < FLOWS_WAYS; way++)
        filter_device_done(&bench->idle[way]);
    if (bench->lab.object)
        bench_lab_close(&bench->lab);
    pcn_testd_freep(&bench->daemon);
}

const char *flows_way(int way)
{
    return way == BENCH_XDP ? "XDP_DRV" : "TC";
}

long long flows_count(const struct flows_bench *bench, const char *cube, const char *what)
{
    json_t *json = pcn_testd_get(bench->daemon, "%s/statistics/", cube);
    long long number = pcn_json_int(json, what);

    json_decref(json);
    return number;
}

int flows_flush(const struct flows_bench *bench, const char *cube)
{
    return pcn_testd_post(bench->daemon, "{}", "%s/flush", cube) == 200 ? 0 : -EIO;
}

/* ---- packets ---- */

void flows_packet(unsigned int number, const char *destination, struct bench_packet *ret_packet)
{
    bool ipv6 = strchr(destination, ':');
    char client[64];
    const struct pcn_frame_spec spec = {.source = client,
                                        .destination = destination,
                                        .protocol = IPPROTO_UDP,
                                        .source_port = (uint16_t)(1024 + number),
                                        .destination_port = 53,
                                        .payload_length = ipv6 ? 0 : 22};
    struct pcn_frame frame;

    (void)snprintf(client, sizeof(client), ipv6 ? "fd10:100::%x:%x" : "10.100.%u.%u", number >> 8, number & 255);
    frame = pcn_frame_make(&spec);
    filter_packet(&frame, ret_packet);
}

struct flows_list flows_list(const struct bench_packet *packets, uint32_t n_flows, uint64_t next)
{
    return (struct flows_list){.packets = packets,
                               .flows = {.shift = __builtin_ctz(FILTER_PACKETS),
                                         .mask = (n_flows ?: 65536u * FILTER_PACKETS) / FILTER_PACKETS - 1,
                                         .factor_a = UINT64_C(1) << 32,
                                         .scatter = n_flows ? SCATTER : 0},
                               .next = next};
}

static void list_set(struct bench_lab *lab, const struct flows_list *list)
{
    filter_packets(lab, list->packets, &list->flows, list->next);
}

/* As they are made known. */
static struct flows_list in_order(const struct flows_list *list)
{
    struct flows_list ordered = *list;

    ordered.flows.scatter = 0;
    return ordered;
}

/* ---- measuring ---- */

static int test_run(struct flows_bench *bench, int way, int program, const struct flows_list *list, uint32_t n_packets,
                    double *ret_ns)
{
    list_set(&bench->lab, list);
    return bench_lab_test_run(&bench->lab, (enum bench_way)way, program, n_packets, ret_ns);
}

int flows_send(struct flows_bench *bench, int way, int program, const struct flows_list *list, uint32_t n_packets)
{
    const struct flows_list ordered = in_order(list);
    double ignored;

    return test_run(bench, way, program, &ordered, n_packets, &ignored);
}

int flows_cost(struct flows_bench *bench, int way, int program, const struct flows_list *list, uint32_t n_packets,
               double *ret_ns)
{
    double idle, whole;
    int r = test_run(bench, way, bench->idle[way].program, list, n_packets, &idle);

    if (r == 0)
        r = test_run(bench, way, program, list, n_packets, &whole);
    if (r == 0)
        *ret_ns = whole - idle;
    return r;
}

int flows_peer_open(struct flows_bench *bench, const char *command)
{
    int r = filter_peer_open(command, &bench->peers[bench->n_peers]);

    if (r == 0)
        bench->n_peers++;
    return r;
}

void flows_peers_close(struct flows_bench *bench)
{
    while (bench->n_peers > 0) {
        struct filter_peer *peer = &bench->peers[--bench->n_peers];

        filter_peer_close(peer);
        *peer = (struct filter_peer){};
    }
}

int flows_peer_send(struct flows_bench *bench, int peer, const struct flows_list *list, uint32_t n_packets)
{
    struct filter_peer *it = &bench->peers[peer];
    const struct flows_list ordered = in_order(list);
    double ignored;

    list_set(&it->lab, &ordered);
    return bench_lab_run(&it->lab, (unsigned int)it->line, n_packets, &ignored);
}

void flows_peer_list(struct flows_bench *bench, int peer, const struct flows_list *list, bool known)
{
    list_set(&bench->peers[peer].lab, list);
    bench->peers[peer].n_frames = known ? PEER_FRAMES_KNOWN : PEER_FRAMES_NEW;
}

int flows_peer_ready(struct flows_bench *bench, int peer, const struct flows_list *list, uint32_t n_flows)
{
    int r = n_flows ? flows_peer_send(bench, peer, list, n_flows) : 0;

    if (r == 0)
        flows_peer_list(bench, peer, list, n_flows);
    return r;
}

static int peer_round(struct flows_bench *bench, int peer, double *ret_ns)
{
    double plain, whole;
    int r = filter_peer_run(&bench->peers[FLOWS_PLAIN], &plain);

    if (r == 0)
        r = filter_peer_run(&bench->peers[peer], &whole);
    if (r == 0)
        *ret_ns = whole - plain;
    return r;
}

int flows_peer_rounds(struct flows_bench *bench, int peer)
{
    int r = 0;

    for (size_t round = 0; round <= FILTER_ROUNDS && r == 0 && peer != FLOWS_PLAIN; round++)
        r = peer_round(bench, peer, &bench->peer_cost[peer][round ? round - 1 : 0]);
    return r;
}

/* ---- rows ---- */

void flows_print(const char *what, const double *ours, double limit)
{
    struct bench_row row = {.what = what,
                            .unit = "ns",
                            .measure = "ns a packet",
                            .pairs = FILTER_ROUNDS,
                            .how = FLOWS_HOW,
                            .target = limit > 0 ? BENCH_AT_MOST : BENCH_NO_TARGET,
                            .limit = limit};

    row.ours = row.value = filter_figure(ours);
    bench_print(&row);
}

void flows_print_peer(const struct flows_bench *bench, const char *what, const double *ours, int peer, const char *name,
                      const char *doing)
{
    char how[128];
    struct bench_row row = {
        .what = what, .unit = "ns", .measure = "x cheaper", .peer_name = name, .pairs = FILTER_ROUNDS, .how = how};

    (void)snprintf(how, sizeof(how), "ours: test runs; peer: live frames, CPU time, forwarding with %s less without",
                   doing);
    row.ours = filter_figure(ours);
    row.peer = filter_figure(bench->peer_cost[peer]);
    row.value = bench_ratio(bench->peer_cost[peer], ours, FILTER_ROUNDS);
    bench_print(&row);
}

/* ---- whole groups ---- */

struct group_bench {
    struct flows_bench flows;
    const struct flows_group *group;
    char cubes[FLOWS_WAYS][64];
    struct filter_device devices[FLOWS_WAYS];
    struct bench_packet packets[FILTER_PACKETS];
    double cost[FLOWS_WAYS][FILTER_ROUNDS];
};

static int group_open(struct group_bench *bench)
{
    int r = flows_open(&bench->flows);

    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++) {
        (void)snprintf(bench->cubes[way], sizeof(bench->cubes[way]), "%s/bench%d", bench->group->kind, (int)way);
        r = bench->group->cube_open(&bench->flows, way, &bench->devices[way]);
    }
    return r;
}

static int round_ours(struct group_bench *bench, const struct flows_scene *scene, int way, size_t index)
{
    const struct flows_list list = flows_list(bench->packets, scene->flows, 0);
    int r = scene->flows ? 0 : flows_flush(&bench->flows, bench->cubes[way]);

    return r < 0 ? r
                 : flows_cost(&bench->flows, way, bench->devices[way].program, &list, scene->n_packets,
                              &bench->cost[way][index]);
}

static int scene_ours(struct group_bench *bench, const struct flows_scene *scene, int way)
{
    const struct flows_list list = flows_list(bench->packets, scene->flows, 0);
    int r = flows_flush(&bench->flows, bench->cubes[way]);
    long long n_flows;

    if (r == 0 && scene->flows)
        r = flows_send(&bench->flows, way, bench->devices[way].program, &list, scene->flows);
    for (size_t round = 0; round <= FILTER_ROUNDS && r == 0; round++)
        r = round_ours(bench, scene, way, round ? round - 1 : 0);
    if (r < 0)
        return r;
    /* Each flow has a session, and no packet made another one. */
    n_flows = flows_count(&bench->flows, bench->cubes[way], "flows");
    if (n_flows == (long long)(scene->flows ?: scene->n_packets))
        return 0;
    fprintf(stderr, "bench: %s: %lld sessions\n", bench->group->kind, n_flows);
    return -EIO;
}

static int scene_peer(struct group_bench *bench, const struct flows_scene *scene, int peer)
{
    const struct flows_list list = flows_list(bench->packets, scene->flows, 0);
    int r = flows_peer_open(&bench->flows, bench->group->peers[peer].command);

    if (r == 0)
        r = flows_peer_ready(&bench->flows, peer, &list, scene->flows);
    return r < 0 ? r : flows_peer_rounds(&bench->flows, peer);
}

static int scene_run(struct group_bench *bench, const struct flows_scene *scene)
{
    int r = 0;

    for (unsigned int i = 0; i < FILTER_PACKETS; i++)
        flows_packet(i, scene->destination, &bench->packets[i]);
    for (int way = 0; way < FLOWS_WAYS && r == 0; way++)
        r = scene_ours(bench, scene, way);
    for (int peer = 0; peer < bench->group->n_peers && r == 0; peer++)
        r = scene_peer(bench, scene, peer);
    flows_peers_close(&bench->flows);
    return r;
}

static void scene_print(const struct group_bench *bench, const struct flows_scene *scene)
{
    char what[80];

    for (int way = 0; way < FLOWS_WAYS; way++) {
        (void)snprintf(what, sizeof(what), "%s, %s, %s", bench->group->what, scene->name, flows_way(way));
        flows_print(what, bench->cost[way], scene->limit);
    }
    /* The last one is TC, which is what peers are compared with. */
    for (int peer = FLOWS_PLAIN + 1; peer < bench->group->n_peers; peer++)
        flows_print_peer(&bench->flows, what, bench->cost[BENCH_TC], peer, bench->group->peers[peer].name, "NAT");
}

static void group_close(struct group_bench *bench)
{
    for (int way = 0; way < FLOWS_WAYS; way++)
        filter_device_done(&bench->devices[way]);
    flows_close(&bench->flows);
    free(bench);
}

int flows_group_run(const struct flows_group *group)
{
    struct group_bench *bench = calloc(1, sizeof(*bench));
    int r;

    if (!bench)
        return -ENOMEM;
    bench->group = group;
    r = group_open(bench);
    for (size_t i = 0; i < group->n_scenes && r == 0; i++) {
        r = scene_run(bench, &group->scenes[i]);
        if (r == 0)
            scene_print(bench, &group->scenes[i]);
    }
    group_close(bench);
    return r;
}
