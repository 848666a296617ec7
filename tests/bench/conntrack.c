/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection tracking, by the cube of that name and in a firewall: flows that are established, new ones, and a flood of
 * them, beside the kernel's.
 */
#include "filter.h"
#include <stdio.h>

#define WAYS 2
#define TABLE 65536u
#define NEW_FLOWS 40960u /* a round: far less than the table takes */
#define FLOOD 200000u
#define FULL (8 * TABLE) /* so many flows have been tried when it is full */
#define LIMIT_IPV6 1.5

enum conntrack_family {
    FAMILY_V4,
    FAMILY_V6,
    FAMILIES,
};

enum conntrack_packet {
    PACKET_SYN,
    PACKET_SYN_ACK,
    PACKET_ACK,
    PACKETS,
};

/* Who tracks. Whoever it is has the table, its actions and statistics. */
static const struct conntrack_service {
    const char *kind;
    const char *what;
    const char *settings; /* further ones */
} services[] = {
    {"conntrack", "conntrack", ""},
    {"firewall", "tracking firewall",
     ", \"conntrack\": \"ON\", \"accept-established\": \"ON\", \"chain\": [{\"name\": \"INGRESS\", \"default\": \"DROP\", "
     "\"rule\": [{\"id\": 0, \"l4proto\": \"TCP\", \"dport\": 80, \"action\": \"ACCEPT\"}]}]"},
};

static const struct conntrack_scene {
    const char *name;
    uint32_t established; /* flows at the beginning */
    uint32_t n_packets;   /* a round */
    enum conntrack_packet packet;
    bool fresh; /* each round begins with an empty table */
    bool flood;
    bool peers;
    double limit;
} scenes[] = {
    {.name = "1,024 flows", .established = 1024, .n_packets = FILTER_RUN, PACKET_ACK, .peers = true, .limit = 70},
    {.name = "65,536 flows", .established = 65536, .n_packets = 10 * 65536, PACKET_ACK, .peers = true, .limit = 150},
    {.name = "each packet a new flow", .n_packets = NEW_FLOWS, PACKET_SYN, .fresh = true, .peers = true, .limit = 200},
    {.name = "SYN flood, table full of SYNs", .n_packets = FLOOD, PACKET_SYN, .flood = true},
    {.name = "SYN flood, table full of established flows",
     .established = FULL,
     .n_packets = FLOOD,
     PACKET_SYN,
     .flood = true},
};

enum conntrack_peer {
    PEER_PLAIN,
    PEER_IPTABLES,
    PEER_NFT,
    PEERS,
};
static const char *const peer_names[] = {NULL, "iptables --state", "nft ct state"};

struct conntrack_bench {
    const struct conntrack_service *service;
    struct pcn_testd *daemon;
    struct bench_lab lab;
    struct filter_device idle[WAYS];
    struct filter_device devices[WAYS][FAMILIES];
    struct filter_peer peers[PEERS];
    struct bench_packet packets[FAMILIES][PACKETS][FILTER_PACKETS];
    double cost[WAYS][FAMILIES][FILTER_ROUNDS];
    double peer_cost[PEERS][FILTER_ROUNDS];
};

/* ---- packets ---- */

static void packets_make(struct conntrack_bench *bench)
{
    char client[64], server[64];

    for (unsigned int i = 0; i < (unsigned int)FAMILIES * FILTER_PACKETS; i++) {
        enum conntrack_family family = (enum conntrack_family)(i / FILTER_PACKETS);
        unsigned int number = i % FILTER_PACKETS;
        struct pcn_frame_spec spec = {.source = client,
                                      .destination = server,
                                      .protocol = IPPROTO_TCP,
                                      .source_port = (uint16_t)(1024 + number),
                                      .destination_port = 80,
                                      .tcp_flags = 0x02,
                                      .sequence = 1000};
        struct pcn_frame frame;

        (void)snprintf(client, sizeof(client), family == FAMILY_V4 ? "10.100.%u.%u" : "fd00::%x:%x", number >> 8,
                       number & 255);
        (void)snprintf(server, sizeof(server), family == FAMILY_V4 ? "10.200.0.1" : "fd01::1");
        frame = pcn_frame_make(&spec);
        filter_packet(&frame, &bench->packets[family][PACKET_SYN][number]);
        spec.tcp_flags = 0x10;
        spec.sequence = 1001;
        spec.acknowledgement = 5001;
        frame = pcn_frame_make(&spec);
        filter_packet(&frame, &bench->packets[family][PACKET_ACK][number]);
        frame = pcn_frame_make(&(struct pcn_frame_spec){.source = server,
                                                        .destination = client,
                                                        .protocol = IPPROTO_TCP,
                                                        .source_port = 80,
                                                        .destination_port = (uint16_t)(1024 + number),
                                                        .tcp_flags = 0x12,
                                                        .sequence = 5000,
                                                        .acknowledgement = 1001});
        filter_packet(&frame, &bench->packets[family][PACKET_SYN_ACK][number]);
    }
}

/*
 * What tells flows apart beyond the list is in bytes 34 and 35 (of the answer, where the same field is): the source
 * port of IPv4, the fourth last bytes of the source address of IPv6. No IP checksum is over them.
 */
static struct bench_flows flows_of(enum conntrack_family family, enum conntrack_packet packet, uint32_t n_flows)
{
    struct bench_flows flows = {.shift = __builtin_ctz(FILTER_PACKETS), .mask = n_flows / FILTER_PACKETS - 1};

    if (packet != PACKET_SYN_ACK)
        flows.factor_a = UINT64_C(1) << 32;
    else if (family == FAMILY_V4)
        flows.factor_a = UINT64_C(1) << 48;
    else
        flows.factor_b = UINT64_C(1) << 32;
    return flows;
}

/* New flows come without end: 67 million are different. */
static void list_set(struct conntrack_bench *bench, struct bench_lab *lab, enum conntrack_family family,
                     enum conntrack_packet packet, uint32_t n_flows, uint64_t next)
{
    struct bench_flows flows = flows_of(family, packet, n_flows ?: 65536u * FILTER_PACKETS);

    filter_packets(lab, bench->packets[family][packet], &flows, next);
}

/* ---- set-up ---- */

static int bench_open(struct conntrack_bench *bench)
{
    int r = bench_lab_open(pcn_testd_netns(bench->daemon), &bench->lab);

    packets_make(bench);
    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++) {
        r = filter_idle(bench->daemon, &bench->lab, way, &bench->idle[way]);
        for (int family = 0; family < FAMILIES && r == 0; family++) {
            char name[16], body[512];

            (void)snprintf(name, sizeof(name), "ct%d%d", way, family);
            (void)snprintf(body, sizeof(body), "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"table-size\": %u%s}",
                           way == BENCH_XDP ? "XDP_DRV" : "TC", TABLE, bench->service->settings);
            if (pcn_testd_post(bench->daemon, body, "%s/%s", bench->service->kind, name) != 201)
                return -EIO;
            r = filter_attach(bench->daemon, &bench->lab, way, name, &bench->devices[way][family]);
        }
    }
    return r;
}

static void peers_close(struct conntrack_bench *bench)
{
    for (int peer = 0; peer < PEERS; peer++) {
        filter_peer_close(&bench->peers[peer]);
        bench->peers[peer] = (struct filter_peer){};
    }
}

static void bench_close(struct conntrack_bench *bench)
{
    peers_close(bench);
    for (int way = 0; way < WAYS; way++) {
        filter_device_done(&bench->idle[way]);
        for (int family = 0; family < FAMILIES; family++)
            filter_device_done(&bench->devices[way][family]);
    }
    if (bench->lab.object)
        bench_lab_close(&bench->lab);
    pcn_testd_freep(&bench->daemon);
}

/* The ports change, the checksums of TCP do not follow. */
#define PEER_SYSCTL " && sysctl -qw net.netfilter.nf_conntrack_checksum=0 net.netfilter.nf_conntrack_tcp_be_liberal=1"

static int peers_open(struct conntrack_bench *bench)
{
    static const char *const commands[] = {
        [PEER_IPTABLES] = "iptables-legacy -P FORWARD DROP && "
                          "iptables-legacy -A FORWARD -m state --state ESTABLISHED -j ACCEPT && "
                          "iptables-legacy -A FORWARD -m state --state NEW -j ACCEPT" PEER_SYSCTL,
        [PEER_NFT] = "nft 'table ip filter { chain forward { type filter hook forward priority 0; policy drop; "
                     "ct state established accept; ct state new accept; }; }'" PEER_SYSCTL,
    };
    int r = 0;

    for (int peer = 0; peer < PEERS && r == 0; peer++)
        r = filter_peer_open(commands[peer], &bench->peers[peer]);
    return r;
}

/* Handshakes, all of them in step. */
static int scene_peers(struct conntrack_bench *bench, const struct conntrack_scene *scene)
{
    int r = peers_open(bench);
    double ignored;

    for (int peer = 0; peer < PEERS && r == 0; peer++) {
        struct filter_peer *it = &bench->peers[peer];

        for (int packet = 0; packet < PACKETS && r == 0 && scene->established; packet++) {
            list_set(bench, &it->lab, FAMILY_V4, (enum conntrack_packet)packet, scene->established, 0);
            r = bench_lab_run(&it->lab, (unsigned int)it->line, scene->established, &ignored);
        }
        list_set(bench, &it->lab, FAMILY_V4, scene->packet, scene->established, 0);
        it->n_frames = scene->established ? 65536 : 20480;
    }
    return r;
}

static int scene_flush(struct conntrack_bench *bench, int way, int family)
{
    return pcn_testd_post(bench->daemon, "{}", "%s/ct%d%d/flush", bench->service->kind, way, family) == 200 ? 0 : -EIO;
}

static long long scene_count(struct conntrack_bench *bench, int way, int family, const char *what)
{
    json_t *json = pcn_testd_get(bench->daemon, "%s/ct%d%d/statistics/", bench->service->kind, way, family);
    long long count = pcn_json_int(json, what);

    json_decref(json);
    return count;
}

static int scene_ours(struct conntrack_bench *bench, const struct conntrack_scene *scene, int way, int family)
{
    const struct filter_device *device = &bench->devices[way][family];
    int r = scene_flush(bench, way, family);
    double ignored;

    for (int packet = 0; packet < PACKETS && r == 0 && scene->established; packet++) {
        list_set(bench, &bench->lab, (enum conntrack_family)family, (enum conntrack_packet)packet, scene->established,
                 0);
        r = bench_lab_test_run(&bench->lab, (enum bench_way)way, device->program, scene->established, &ignored);
    }
    if (r == 0 && scene->flood) {
        list_set(bench, &bench->lab, (enum conntrack_family)family, PACKET_SYN, 0, FULL);
        r = bench_lab_test_run(&bench->lab, (enum bench_way)way, device->program, FULL, &ignored);
    }
    if (r == 0 && scene->established && !scene->flood &&
        scene_count(bench, way, family, "flows") != (long long)scene->established) {
        fprintf(stderr, "bench: %lld flows of %u\n", scene_count(bench, way, family, "flows"), scene->established);
        return -EIO;
    }
    return r;
}

/* ---- measuring ---- */

static int round_ours(struct conntrack_bench *bench, const struct conntrack_scene *scene, int way, int family,
                      size_t round, size_t index)
{
    uint64_t next = scene->flood ? 2 * (uint64_t)FULL + round * FLOOD : 0;
    uint32_t n_flows = scene->flood ? 0 : scene->established;
    double idle, whole;
    int r = scene->fresh ? scene_flush(bench, way, family) : 0;

    list_set(bench, &bench->lab, (enum conntrack_family)family, scene->packet, n_flows, next);
    if (r == 0)
        r = bench_lab_test_run(&bench->lab, (enum bench_way)way, bench->idle[way].program, scene->n_packets, &idle);
    list_set(bench, &bench->lab, (enum conntrack_family)family, scene->packet, n_flows, next);
    if (r == 0)
        r = bench_lab_test_run(&bench->lab, (enum bench_way)way, bench->devices[way][family].program, scene->n_packets,
                               &whole);
    if (r == 0)
        bench->cost[way][family][index] = whole - idle;
    return r;
}

static int round_peers(struct conntrack_bench *bench, size_t index)
{
    double ns[PEERS] = {};
    int r = 0;

    for (int peer = 0; peer < PEERS && r == 0; peer++) {
        r = filter_peer_run(&bench->peers[peer], &ns[peer]);
        bench->peer_cost[peer][index] = ns[peer] - ns[PEER_PLAIN];
    }
    return r;
}

/* Round 0 warms up. */
static int scene_rounds(struct conntrack_bench *bench, const struct conntrack_scene *scene)
{
    int r = 0;

    for (size_t round = 0; round <= FILTER_ROUNDS && r == 0; round++) {
        size_t index = round ? round - 1 : 0;

        for (int i = 0; i < WAYS * FAMILIES && r == 0; i++)
            r = round_ours(bench, scene, i / FAMILIES, i % FAMILIES, round, index);
        if (r == 0 && scene->peers)
            r = round_peers(bench, index);
    }
    for (int i = 0; i < WAYS * FAMILIES && r == 0; i++) {
        /* What is established must have been found; what is new must have been entered. */
        if (!scene->flood && (scene_count(bench, i / FAMILIES, i % FAMILIES, "invalid") != 0 ||
                              scene_count(bench, i / FAMILIES, i % FAMILIES, "flows") !=
                                  (long long)(scene->established ?: scene->n_packets)))
            r = -EIO;
    }
    return r;
}

/* ---- rows ---- */

static void print_costs(const struct conntrack_bench *bench, const struct conntrack_scene *scene, int way)
{
    const double *four = bench->cost[way][FAMILY_V4], *six = bench->cost[way][FAMILY_V6];
    char what[80];
    struct bench_row row = {.what = what,
                            .unit = "ns",
                            .measure = "ns a packet",
                            .pairs = FILTER_ROUNDS,
                            .how = "BPF_PROG_TEST_RUN of a device with the cube less one without",
                            .target = scene->limit > 0 ? BENCH_AT_MOST : BENCH_NO_TARGET,
                            .limit = scene->limit};

    (void)snprintf(what, sizeof(what), "%s, %s, %s", bench->service->what, scene->name,
                   way == BENCH_XDP ? "XDP_DRV" : "TC");
    row.ours = row.value = filter_figure(four);
    bench_print(&row);
    (void)snprintf(what, sizeof(what), "%s, %s, %s, IPv6", bench->service->what, scene->name,
                   way == BENCH_XDP ? "XDP_DRV" : "TC");
    row.ours = filter_figure(six);
    row.peer_name = "IPv4";
    row.peer = filter_figure(four);
    row.measure = "x";
    row.value = bench_ratio(six, four, FILTER_ROUNDS);
    row.limit = LIMIT_IPV6;
    bench_print(&row);
}

static void print_peers(const struct conntrack_bench *bench, const struct conntrack_scene *scene)
{
    const double *ours = bench->cost[BENCH_TC][FAMILY_V4];
    char what[80];

    for (int peer = PEER_IPTABLES; peer < PEERS; peer++) {
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "x cheaper",
                                .peer_name = peer_names[peer],
                                .pairs = FILTER_ROUNDS,
                                .how = "ours: test runs; peer: live frames, CPU time, forwarding with the state "
                                       "matched less without"};

        (void)snprintf(what, sizeof(what), "%s, %s, TC", bench->service->what, scene->name);
        row.ours = filter_figure(ours);
        row.peer = filter_figure(bench->peer_cost[peer]);
        row.value = bench_ratio(bench->peer_cost[peer], ours, FILTER_ROUNDS);
        bench_print(&row);
    }
}

static int scene_run(struct conntrack_bench *bench, const struct conntrack_scene *scene)
{
    int r = scene->peers ? scene_peers(bench, scene) : 0;

    for (int i = 0; i < WAYS * FAMILIES && r == 0; i++)
        r = scene_ours(bench, scene, i / FAMILIES, i % FAMILIES);
    if (r == 0)
        r = scene_rounds(bench, scene);
    if (r < 0)
        return r;
    for (int way = 0; way < WAYS; way++)
        print_costs(bench, scene, way);
    if (scene->peers)
        print_peers(bench, scene);
    peers_close(bench);
    return 0;
}

static int conntrack_service(const struct conntrack_service *service)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    struct conntrack_bench *bench = calloc(1, sizeof(*bench));
    int r;

    if (!bench)
        return -ENOMEM;
    bench->service = service;
    r = pcn_testd_start(&spec, &bench->daemon);
    if (r == 0)
        r = bench_open(bench);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(scenes) && r == 0; i++)
        r = scene_run(bench, &scenes[i]);
    bench_close(bench);
    free(bench);
    return r;
}

int bench_conntrack(void)
{
    int r = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(services) && r == 0; i++)
        r = conntrack_service(&services[i]);
    return r;
}
