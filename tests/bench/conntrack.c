/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection tracking, by the cube of that name and in a firewall: flows that are established, new ones, and a flood of
 * them, beside the kernel's.
 */
#include "flows.h"
#include <stdio.h>

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

/* The ports change, the checksums of TCP do not follow. */
#define PEER_SYSCTL FLOWS_NO_CHECKSUMS " net.netfilter.nf_conntrack_tcp_be_liberal=1"

static const struct flows_peer peers[] = {
    {},
    {"iptables --state", "iptables-legacy -P FORWARD DROP && "
                         "iptables-legacy -A FORWARD -m state --state ESTABLISHED -j ACCEPT && "
                         "iptables-legacy -A FORWARD -m state --state NEW -j ACCEPT" PEER_SYSCTL},
    {"nft ct state", "nft 'table ip filter { chain forward { type filter hook forward priority 0; policy drop; "
                     "ct state established accept; ct state new accept; }; }'" PEER_SYSCTL},
};
#define PEERS ((int)PCN_ARRAY_SIZE(peers))

struct conntrack_bench {
    const struct conntrack_service *service;
    struct flows_bench flows;
    struct filter_device devices[FLOWS_WAYS][FAMILIES];
    struct bench_packet packets[FAMILIES][PACKETS][FILTER_PACKETS];
    double cost[FLOWS_WAYS][FAMILIES][FILTER_ROUNDS];
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

/* Of the answer, what tells flows apart beyond the list is where its field is: port or address of the destination. */
static struct flows_list list_of(const struct conntrack_bench *bench, int family, int packet, uint32_t n_flows,
                                 uint64_t next)
{
    struct flows_list list = flows_list(bench->packets[family][packet], n_flows, next);

    if (packet == PACKET_SYN_ACK) {
        list.flows.factor_a = family == FAMILY_V4 ? UINT64_C(1) << 48 : 0;
        list.flows.factor_b = family == FAMILY_V4 ? 0 : UINT64_C(1) << 32;
    }
    return list;
}

/* ---- set-up ---- */

static void cube_name(const struct conntrack_bench *bench, int way, int family, char name[32])
{
    (void)snprintf(name, 32, "%s/ct%d%d", bench->service->kind, way, family);
}

static int cube_open(struct conntrack_bench *bench, enum bench_way way, int family)
{
    char name[32], body[512];

    cube_name(bench, way, family, name);
    (void)snprintf(body, sizeof(body), "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"table-size\": %u%s}",
                   flows_way(way), TABLE, bench->service->settings);
    if (pcn_testd_post(bench->flows.daemon, body, "%s", name) != 201)
        return -EIO;
    return filter_attach(bench->flows.daemon, &bench->flows.lab, way, strchr(name, '/') + 1,
                         &bench->devices[way][family]);
}

static int bench_open(struct conntrack_bench *bench)
{
    int r = flows_open(&bench->flows);

    packets_make(bench);
    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC; way++)
        for (int family = 0; family < FAMILIES && r == 0; family++)
            r = cube_open(bench, way, family);
    return r;
}

static void bench_close(struct conntrack_bench *bench)
{
    for (int i = 0; i < FLOWS_WAYS * FAMILIES; i++)
        filter_device_done(&bench->devices[i / FAMILIES][i % FAMILIES]);
    flows_close(&bench->flows);
    free(bench);
}

/* Handshakes, all of them in step. */
static int scene_peer(struct conntrack_bench *bench, const struct conntrack_scene *scene, int peer)
{
    int r = flows_peer_open(&bench->flows, peers[peer].command);
    struct flows_list list;

    for (int packet = 0; packet < PACKETS && r == 0 && scene->established; packet++) {
        list = list_of(bench, FAMILY_V4, packet, scene->established, 0);
        r = flows_peer_send(&bench->flows, peer, &list, scene->established);
    }
    list = list_of(bench, FAMILY_V4, scene->packet, scene->established, 0);
    flows_peer_list(&bench->flows, peer, &list, scene->established);
    return r < 0 ? r : flows_peer_rounds(&bench->flows, peer);
}

static int scene_flush(const struct conntrack_bench *bench, int way, int family)
{
    char name[32];

    cube_name(bench, way, family, name);
    return flows_flush(&bench->flows, name);
}

static long long scene_count(const struct conntrack_bench *bench, int way, int family, const char *what)
{
    char name[32];

    cube_name(bench, way, family, name);
    return flows_count(&bench->flows, name, what);
}

static int scene_ours(struct conntrack_bench *bench, const struct conntrack_scene *scene, int way, int family)
{
    int program = bench->devices[way][family].program;
    int r = scene_flush(bench, way, family);
    struct flows_list list;

    for (int packet = 0; packet < PACKETS && r == 0 && scene->established; packet++) {
        list = list_of(bench, family, packet, scene->established, 0);
        r = flows_send(&bench->flows, way, program, &list, scene->established);
    }
    if (r == 0 && scene->flood) {
        list = list_of(bench, family, PACKET_SYN, 0, FULL);
        r = flows_send(&bench->flows, way, program, &list, FULL);
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
                      size_t round)
{
    const struct flows_list list = list_of(bench, family, scene->packet, scene->flood ? 0 : scene->established,
                                           scene->flood ? 2 * (uint64_t)FULL + round * FLOOD : 0);
    int r = scene->fresh ? scene_flush(bench, way, family) : 0;

    return r < 0 ? r
                 : flows_cost(&bench->flows, way, bench->devices[way][family].program, &list, scene->n_packets,
                              &bench->cost[way][family][round ? round - 1 : 0]);
}

/* Families are compared, so that they take turns. */
static int scene_way(struct conntrack_bench *bench, const struct conntrack_scene *scene, int way)
{
    int r = 0;

    for (int family = 0; family < FAMILIES && r == 0; family++)
        r = scene_ours(bench, scene, way, family);
    for (size_t i = 0; i < (size_t)(FILTER_ROUNDS + 1) * FAMILIES && r == 0; i++)
        r = round_ours(bench, scene, way, (int)(i % FAMILIES), i / FAMILIES);
    for (int family = 0; family < FAMILIES && r == 0; family++) {
        /* What is established must have been found; what is new must have been entered. */
        if (!scene->flood &&
            (scene_count(bench, way, family, "invalid") != 0 ||
             scene_count(bench, way, family, "flows") != (long long)(scene->established ?: scene->n_packets)))
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
                            .measure = "x",
                            .peer_name = "IPv4",
                            .pairs = FILTER_ROUNDS,
                            .how = FLOWS_HOW,
                            .target = scene->limit > 0 ? BENCH_AT_MOST : BENCH_NO_TARGET,
                            .limit = LIMIT_IPV6};

    (void)snprintf(what, sizeof(what), "%s, %s, %s", bench->service->what, scene->name, flows_way(way));
    flows_print(what, four, scene->limit);
    (void)snprintf(what, sizeof(what), "%s, %s, %s, IPv6", bench->service->what, scene->name, flows_way(way));
    row.ours = filter_figure(six);
    row.peer = filter_figure(four);
    row.value = bench_ratio(six, four, FILTER_ROUNDS);
    bench_print(&row);
}

static void print_peers(const struct conntrack_bench *bench, const struct conntrack_scene *scene)
{
    char what[80];

    (void)snprintf(what, sizeof(what), "%s, %s, TC", bench->service->what, scene->name);
    for (int peer = FLOWS_PLAIN + 1; peer < PEERS; peer++)
        flows_print_peer(&bench->flows, what, bench->cost[BENCH_TC][FAMILY_V4], peer, peers[peer].name,
                         "the state matched");
}

static int scene_run(struct conntrack_bench *bench, const struct conntrack_scene *scene)
{
    int r = 0;

    for (int way = 0; way < FLOWS_WAYS && r == 0; way++)
        r = scene_way(bench, scene, way);
    for (int peer = 0; peer < PEERS && r == 0 && scene->peers; peer++)
        r = scene_peer(bench, scene, peer);
    flows_peers_close(&bench->flows);
    if (r < 0)
        return r;
    for (int way = 0; way < FLOWS_WAYS; way++)
        print_costs(bench, scene, way);
    if (scene->peers)
        print_peers(bench, scene);
    return 0;
}

static int conntrack_service(const struct conntrack_service *service)
{
    struct conntrack_bench *bench = calloc(1, sizeof(*bench));
    int r;

    if (!bench)
        return -ENOMEM;
    bench->service = service;
    r = bench_open(bench);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(scenes) && r == 0; i++)
        r = scene_run(bench, &scenes[i]);
    bench_close(bench);
    return r;
}

int bench_conntrack(void)
{
    int r = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(services) && r == 0; i++)
        r = conntrack_service(&services[i]);
    return r;
}
