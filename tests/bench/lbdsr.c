/* SPDX-License-Identifier: Apache-2.0 */
/* Load balancing of UDP flows: those that are known, and new ones, beside the kernel's DNAT to one of many backends. */
#include "flows.h"
#include <stdio.h>

#define CONNECTIONS 131072
#define NEW_FLOWS 4096u /* a round; of all rounds they leave room to spare: few are replaced */

/* What is balanced. */
static const struct lbdsr_layout {
    const char *name;
    unsigned int n_vips;
    unsigned int n_backends; /* of all VIPs together */
    int table_size;          /* of each VIP */
} layouts[] = {
    {"128 VIPs, 4,000 backends", 128, 4000, 65537},
    {"1 VIP, 255 backends", 1, 255, 65537},
    /* 130 places a backend. */
    {"128 VIPs, 4,000 backends, tables of 4,099", 128, 4000, 4099},
};
enum { LAYOUT_MANY, LAYOUT_ONE, LAYOUT_SMALL, LAYOUTS };

static const struct lbdsr_scene {
    const char *mode;
    const char *name;
    int layout;
    uint32_t flows;     /* that are known; 0: each packet is a new one */
    uint32_t n_packets; /* a round */
    double limit;       /* 0: none */
    bool peers;
    int with; /* the scene that it may cost no more than; -1: none */
} scenes[] = {
    {"IPIP", "1,024 flows", LAYOUT_MANY, 1024, FILTER_RUN, 40, true, -1},
    {"IPIP", "1,024 flows", LAYOUT_ONE, 1024, FILTER_RUN, 40, false, 0},
    {"IPIP", "65,536 flows", LAYOUT_MANY, 65536, 10 * 65536, 120, true, -1},
    {"IPIP", "each packet a new flow", LAYOUT_MANY, 0, NEW_FLOWS, 200, true, -1},
    {"L2DSR", "1,024 flows", LAYOUT_MANY, 1024, FILTER_RUN, 40, false, -1},
    {"L2DSR", "1,024 flows", LAYOUT_ONE, 1024, FILTER_RUN, 40, false, 4},
    {"L2DSR", "65,536 flows", LAYOUT_MANY, 65536, 10 * 65536, 120, false, -1},
    {"L2DSR", "each packet a new flow", LAYOUT_MANY, 0, NEW_FLOWS, 200, false, -1},
    {"IPIP", "each packet a new flow", LAYOUT_SMALL, 0, NEW_FLOWS, 200, false, -1},
    {"L2DSR", "each packet a new flow", LAYOUT_SMALL, 0, NEW_FLOWS, 200, false, -1},
    {"GUE", "1,024 flows", LAYOUT_MANY, 1024, FILTER_RUN, 0, false, -1},
    {"VXLAN", "1,024 flows", LAYOUT_MANY, 1024, FILTER_RUN, 0, false, -1},
};
#define SCENES PCN_ARRAY_SIZE(scenes)
#define APART_NS 5.0 /* that layouts may be apart, if it is more than this share */
#define APART 0.1

enum lbdsr_peer {
    PEER_PLAIN = FLOWS_PLAIN,
    PEER_IPTABLES,
    PEER_NUMGEN,
    PEER_JHASH,
    PEERS,
};
static const char *const peer_names[] = {NULL, "iptables DNAT, range", "nft dnat, numgen map", "nft dnat, jhash map"};

struct lbdsr_bench {
    struct flows_bench flows;
    struct filter_device devices[SCENES][FLOWS_WAYS];
    struct bench_packet packets[LAYOUTS][FILTER_PACKETS];
    double cost[SCENES][FLOWS_WAYS][FILTER_ROUNDS];
};

/* ---- packets ---- */

static void vip_text(const struct lbdsr_layout *layout, unsigned int n, char text[32])
{
    (void)snprintf(text, 32, "10.200.0.%u", 1 + n % layout->n_vips);
}

static void packets_make(struct lbdsr_bench *bench, int layout)
{
    char vip[32];

    for (unsigned int i = 0; i < FILTER_PACKETS; i++) {
        vip_text(&layouts[layout], i, vip);
        flows_packet(i, vip, &bench->packets[layout][i]);
    }
}

static struct flows_list list_of(const struct lbdsr_bench *bench, const struct lbdsr_scene *scene, uint64_t next)
{
    return flows_list(bench->packets[scene->layout], scene->flows, next);
}

/* ---- ours ---- */

/* Backends of VIP n are from first to the next one's. */
static unsigned int backend_first(const struct lbdsr_layout *layout, unsigned int n)
{
    return n * layout->n_backends / layout->n_vips;
}

static json_t *service_json(const struct lbdsr_layout *layout, unsigned int n, const char *mode)
{
    json_t *backends = json_array();
    char vip[32], text[32];

    vip_text(layout, n, vip);
    for (unsigned int i = backend_first(layout, n); i < backend_first(layout, n + 1); i++) {
        (void)snprintf(text, sizeof(text), "10.201.%u.%u", i >> 8, i & 255);
        json_array_append_new(backends, json_pack("{s:s, s:s}", "ip", text, "mac", BENCH_SINK_MAC));
    }
    return json_pack("{s:s, s:i, s:s, s:s, s:i, s:i, s:o}", "vip", vip, "port", 53, "proto", "UDP", "mode", mode,
                     "table-size", layout->table_size, "vni", 1, "backend", backends);
}

static int cube_create(struct flows_bench *bench, const struct lbdsr_scene *scene, enum bench_way way, int line,
                       const char *name)
{
    const struct lbdsr_layout *layout = &layouts[scene->layout];
    json_t *services = json_array(), *json;
    char front[16], back[16];
    char *body;
    int r;

    (void)snprintf(front, sizeof(front), "d%d", line);
    (void)snprintf(back, sizeof(back), "e%d", line);
    for (unsigned int n = 0; n < layout->n_vips; n++)
        json_array_append_new(services, service_json(layout, n, scene->mode));
    json = json_pack("{s:s, s:s, s:i, s:i, s:s, s:[{s:s, s:s, s:s}, {s:s, s:s, s:s}], s:o}", "type", flows_way(way),
                     "loglevel", "OFF", "max-services", (int)layout->n_vips, "connections", CONNECTIONS, "outer-source",
                     "10.202.0.0/16", "ports", "name", "front", "type", "FRONTEND", "peer", front, "name", "back",
                     "type", "BACKEND", "peer", back, "service", services);
    body = json_dumps(json, 0);
    r = body && pcn_testd_post(bench->daemon, body, "%s", name) == 201 ? 0 : -EIO;
    free(body);
    json_decref(json);
    return r;
}

static void cube_name(size_t scene, int way, char name[32])
{
    (void)snprintf(name, 32, "lbdsr/lb%zu%d", scene, way);
}

static int scene_create(struct lbdsr_bench *bench, size_t scene, enum bench_way way)
{
    int line = bench_lab_line(&bench->flows.lab, way), r;
    char name[32];

    if (line < 0)
        return line;
    cube_name(scene, way, name);
    r = cube_create(&bench->flows, &scenes[scene], way, line, name);
    return r < 0 ? r : filter_hold(bench->flows.daemon, way, line, &bench->devices[scene][way]);
}

static int bench_open(struct lbdsr_bench *bench)
{
    int r = flows_open(&bench->flows);

    for (int layout = 0; layout < LAYOUTS; layout++)
        packets_make(bench, layout);
    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC; way++)
        for (size_t scene = 0; scene < SCENES && r == 0; scene++)
            r = scene_create(bench, scene, way);
    if (r == 0)
        bench->flows.lab.state->trim = 1;
    return r;
}

/* ---- the kernel ---- */

/* The same VIPs, and of each the same number of backends: a file, and the command that loads it. */
static int rules_write(enum lbdsr_peer peer, char *command, size_t size)
{
    const struct lbdsr_layout *layout = &layouts[LAYOUT_MANY];
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/rules%d", pcn_sandbox_directory(), peer);
    file = fopen(path, "we");
    if (!file)
        return -errno;
    (void)fprintf(file, peer == PEER_IPTABLES ? "*nat\n" : "table ip nat {\n");
    for (unsigned int n = 0; n < layout->n_vips; n++) {
        unsigned int n_ends = backend_first(layout, n + 1) - backend_first(layout, n);

        if (peer == PEER_IPTABLES) {
            (void)fprintf(file, "-A PREROUTING -d 10.200.0.%u -j DNAT --to-destination 10.200.%u.1-10.200.%u.%u\n",
                          n + 1, n + 16, n + 16, n_ends);
            continue;
        }
        (void)fprintf(file, "chain v%u { dnat to %s mod %u map {", n,
                      peer == PEER_NUMGEN ? "numgen random" : "jhash ip saddr . udp sport", n_ends);
        for (unsigned int i = 0; i < n_ends; i++)
            (void)fprintf(file, "%s %u : 10.200.%u.%u", i ? "," : "", i, n + 16, i + 1);
        (void)fprintf(file, " }; }\n");
    }
    if (peer == PEER_IPTABLES) {
        (void)fprintf(file, "COMMIT\n");
    } else {
        (void)fprintf(file, "chain prerouting { type nat hook prerouting priority dstnat; ip daddr vmap {");
        for (unsigned int n = 0; n < layout->n_vips; n++)
            (void)fprintf(file, "%s 10.200.0.%u : goto v%u", n ? "," : "", n + 1, n);
        (void)fprintf(file, " }; }\n}\n");
    }
    (void)fclose(file);
    (void)snprintf(command, size, "%s %s" FLOWS_NO_CHECKSUMS,
                   peer == PEER_IPTABLES ? "iptables-legacy-restore" : "nft -f", path);
    return 0;
}

static int scene_peer(struct lbdsr_bench *bench, const struct lbdsr_scene *scene, int peer)
{
    const struct flows_list list = list_of(bench, scene, 0);
    char command[512];
    int r = peer == FLOWS_PLAIN ? 0 : rules_write((enum lbdsr_peer)peer, command, sizeof(command));

    if (r == 0)
        r = flows_peer_open(&bench->flows, peer == FLOWS_PLAIN ? NULL : command);
    if (r == 0)
        r = flows_peer_ready(&bench->flows, peer, &list, scene->flows);
    return r < 0 ? r : flows_peer_rounds(&bench->flows, peer);
}

/* ---- measuring ---- */

static int ours_open(struct lbdsr_bench *bench, size_t scene, int way)
{
    const struct flows_list list = list_of(bench, &scenes[scene], 0);

    if (!scenes[scene].flows)
        return 0;
    return flows_send(&bench->flows, way, bench->devices[scene][way].program, &list, 2 * scenes[scene].flows);
}

static int round_ours(struct lbdsr_bench *bench, size_t index, int way, size_t round)
{
    const struct lbdsr_scene *scene = &scenes[index];
    const struct flows_list list = list_of(bench, scene, scene->flows ? 0 : round * NEW_FLOWS);

    return flows_cost(&bench->flows, way, bench->devices[index][way].program, &list, scene->n_packets,
                      &bench->cost[index][way][round ? round - 1 : 0]);
}

static int scene_ours(struct lbdsr_bench *bench, size_t index, int way)
{
    const struct lbdsr_scene *scene = &scenes[index];
    long long wanted = scene->flows ?: (FILTER_ROUNDS + 1) * NEW_FLOWS, created, held;
    int r = ours_open(bench, index, way);
    char name[32];

    for (size_t round = 0; round <= FILTER_ROUNDS && r == 0; round++)
        r = round_ours(bench, index, way, round);
    if (r < 0)
        return r;
    /* Each flow is remembered. */
    cube_name(index, way, name);
    created = flows_count(&bench->flows, name, "created");
    held = created - flows_count(&bench->flows, name, "replaced");
    /* Few find no place of theirs, and are new, in that of another, each time that they are sent. */
    if (created >= wanted && held <= wanted && held >= wanted - wanted / 200)
        return 0;
    fprintf(stderr, "bench: lbdsr: %lld flows, %lld held\n", created, held);
    return -EIO;
}

static int scene_run(struct lbdsr_bench *bench, size_t index)
{
    int r = 0;

    for (int way = 0; way < FLOWS_WAYS && r == 0; way++)
        r = scene_ours(bench, index, way);
    for (int peer = 0; peer < PEERS && r == 0 && scenes[index].peers; peer++)
        r = scene_peer(bench, &scenes[index], peer);
    flows_peers_close(&bench->flows);
    return r;
}

/* ---- rows ---- */

static void scene_what(const struct lbdsr_scene *scene, int way, char text[96])
{
    (void)snprintf(text, 96, "lbdsr, %s, %s, %s, %s", scene->mode, layouts[scene->layout].name, scene->name,
                   flows_way(way));
}

static void scene_print_with(const struct lbdsr_bench *bench, size_t index, int way)
{
    const struct lbdsr_scene *scene = &scenes[index];
    char what[96], other[96];
    struct bench_row row = {.what = what,
                            .unit = "ns",
                            .measure = "ns more",
                            .peer_name = other,
                            .pairs = FILTER_ROUNDS,
                            .how = "differences of both, round by round",
                            .target = BENCH_AT_MOST};

    scene_what(&scenes[scene->with], way, what);
    scene_what(scene, way, other);
    row.ours = filter_figure(bench->cost[scene->with][way]);
    row.peer = filter_figure(bench->cost[index][way]);
    row.value = bench_difference(bench->cost[scene->with][way], bench->cost[index][way], FILTER_ROUNDS, 1);
    row.limit = PCN_MAX(APART_NS, APART * row.peer.median);
    bench_print(&row);
}

static void scene_print(const struct lbdsr_bench *bench, size_t index)
{
    const struct lbdsr_scene *scene = &scenes[index];
    char what[96];

    for (int way = 0; way < FLOWS_WAYS; way++) {
        scene_what(scene, way, what);
        flows_print(what, bench->cost[index][way], scene->limit);
        if (scene->with >= 0)
            scene_print_with(bench, index, way);
    }
    scene_what(scene, BENCH_TC, what);
    for (int peer = FLOWS_PLAIN + 1; peer < PEERS && scene->peers; peer++)
        flows_print_peer(&bench->flows, what, bench->cost[index][BENCH_TC], peer, peer_names[peer], "NAT");
}

static void bench_close(struct lbdsr_bench *bench)
{
    for (int way = 0; way < FLOWS_WAYS; way++)
        for (size_t scene = 0; scene < SCENES; scene++)
            filter_device_done(&bench->devices[scene][way]);
    flows_close(&bench->flows);
    free(bench);
}

int bench_lbdsr(void)
{
    struct lbdsr_bench *bench = calloc(1, sizeof(*bench));
    int r;

    if (!bench)
        return -ENOMEM;
    r = bench_open(bench);
    for (size_t i = 0; i < SCENES && r == 0; i++) {
        r = scene_run(bench, i);
        if (r == 0)
            scene_print(bench, i);
    }
    bench_close(bench);
    return r;
}
