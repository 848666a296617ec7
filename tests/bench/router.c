/* SPDX-License-Identifier: Apache-2.0 */
/* The router with large tables, beside the kernel's forwarding with the same routes. */
#include "lab.h"
#include "routes.h"
#include <arpa/inet.h>
#include <stdio.h>

#define ROUNDS 15
#define PACKETS 1000000u
#define FRAMES 200000u
#define DESTINATIONS BENCH_PACKETS_MAX
#define POSTED_AT_ONCE 10000
#define LIMIT_NS 30

static const size_t tables[] = {10000, 100000};

#define TABLES PCN_ARRAY_SIZE(tables)

static int router_packets(struct bench_lab *lab, const struct bench_route *routes, size_t n)
{
    _cleanup_free_ struct pcn_frame *frames = calloc(DESTINATIONS, sizeof(*frames));

    if (!frames)
        return -ENOMEM;
    for (uint32_t i = 0; i < DESTINATIONS; i++) {
        struct in_addr address = {.s_addr = htonl(bench_route_address(&routes[(i * 7919u) % n], i))};

        frames[i] = pcn_frame_make(&(struct pcn_frame_spec){.destination_mac = BENCH_MAC,
                                                            .source = "10.100.0.1",
                                                            .destination = inet_ntoa(address),
                                                            .protocol = IPPROTO_UDP,
                                                            .source_port = (uint16_t)(1024 + i),
                                                            .destination_port = 2000,
                                                            .payload_length = 22});
    }
    bench_lab_packets(lab, frames, DESTINATIONS);
    return 0;
}

/* Router r<line>, "in" at d<line>, "out" at e<line> with next hops 10.2.<line>.2 and up, all at the sink. */
static int router_build(struct pcn_testd *daemon, enum bench_way way, int line, const struct bench_route *routes,
                        size_t n)
{
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"fib-size\": 131072, \"ports\": ["
                   "{\"name\": \"in\", \"ip\": \"10.1.%d.1/24\", \"mac\": \"" BENCH_MAC "\", \"peer\": \"d%d\"}, "
                   "{\"name\": \"out\", \"ip\": \"10.2.%d.1/24\", \"peer\": \"e%d\"}]}",
                   way == BENCH_XDP ? "XDP_DRV" : "TC", line, line, line, line);
    if (pcn_testd_post(daemon, body, "router/r%d", line) != 201)
        return -EIO;
    for (int i = 0; i < BENCH_NEXTHOPS; i++) {
        (void)snprintf(body, sizeof(body), "{\"mac\": \"" BENCH_SINK_MAC "\", \"interface\": \"out\"}");
        if (pcn_testd_post(daemon, body, "router/r%d/arp-table/10.2.%d.%d", line, line, 2 + i) / 100 != 2)
            return -EIO;
    }
    for (size_t first = 0; first < n; first += POSTED_AT_ONCE) {
        _cleanup_free_ char *array =
            bench_routes_body(routes, first, PCN_MIN(n - first, (size_t)POSTED_AT_ONCE), (unsigned int)line);

        if (!array || pcn_testd_post(daemon, array, "router/r%d/route/", line) / 100 != 2)
            return -EIO;
    }
    return 0;
}

/* The same by the kernel: the line's devices have addresses, and the routes are in the main table. */
static int router_kernel(struct bench_lab *lab, int line, const struct bench_route *routes, size_t n)
{
    char path[256], text[32];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/routes", pcn_sandbox_directory());
    file = fopen(path, "we");
    if (!file)
        return -errno;
    for (int i = 0; i < BENCH_NEXTHOPS; i++)
        (void)fprintf(file, "neigh replace 10.2.%d.%d lladdr " BENCH_SINK_MAC " dev e%d nud permanent\n", line, 2 + i,
                      line);
    for (size_t i = 0; i < n; i++) {
        bench_route_text(&routes[i], text);
        (void)fprintf(file, "route add %s via 10.2.%d.%zu dev e%d\n", text, line, 2 + i % BENCH_NEXTHOPS, line);
    }
    (void)fclose(file);
    return pcn_netns_must(
        lab->inside,
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.d%d.rp_filter=0 "
        "&& ip address add 10.1.%d.1/24 dev d%d && ip address add 10.2.%d.1/24 dev e%d && "
        "ip -batch %s",
        line, line, line, line, line, path);
}

/* samples: the routers', then the program of a device that leads to the stack. */
static void router_print_test_run(enum bench_way way, const double *samples)
{
    char what[80];

    for (size_t i = 0; i < TABLES; i++) {
        double whole[ROUNDS], entry[ROUNDS];
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "ns the router",
                                .peer_name = "the device's program alone",
                                .target = BENCH_AT_MOST,
                                .limit = LIMIT_NS,
                                .pairs = ROUNDS,
                                .how =
                                    "BPF_PROG_TEST_RUN of device and router, and of a device that leads to the stack"};

        memcpy(whole, samples + i * ROUNDS, sizeof(whole));
        memcpy(entry, samples + TABLES * ROUNDS, sizeof(entry));
        (void)snprintf(what, sizeof(what), "router, %zu routes, %d destinations, %s", tables[i], DESTINATIONS,
                       way == BENCH_XDP ? "XDP_DRV" : "TC");
        row.value = bench_difference(whole, entry, ROUNDS, 1);
        row.ours = bench_figure(whole, ROUNDS);
        row.peer = bench_figure(entry, ROUNDS);
        bench_print(&row);
    }
}

/* Lines: generation, the kernel, routers at XDP, routers at TC. */
static void router_print_live(double *samples)
{
    double *generation = samples, *kernel = samples + ROUNDS;
    char what[80];

    for (size_t i = 1; i < 2 + 2 * TABLES; i++) {
        for (size_t round = 0; round < ROUNDS; round++)
            samples[i * ROUNDS + round] -= generation[round];
    }
    for (size_t i = 0; i < 2 * TABLES; i++) {
        double ours[ROUNDS], peer[ROUNDS];
        struct bench_row row = {.what = what,
                                .unit = "ns",
                                .measure = "x",
                                .peer_name = "kernel forwarding, 10,000 routes",
                                .pairs = ROUNDS,
                                .how = "live frames, CPU time, generation taken off"};

        memcpy(ours, samples + (2 + i) * ROUNDS, sizeof(ours));
        memcpy(peer, kernel, sizeof(peer));
        (void)snprintf(what, sizeof(what), "router, %zu routes, %s, veth to veth", tables[i % TABLES],
                       i < TABLES ? "XDP_DRV" : "TC");
        row.value = bench_ratio(ours, peer, ROUNDS);
        row.ours = bench_figure(ours, ROUNDS);
        row.peer = bench_figure(peer, ROUNDS);
        bench_print(&row);
    }
}

static int router_test_runs(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way, const int *lines)
{
    double samples[(TABLES + 1) * ROUNDS];
    char pins[TABLES + 1][256], device[16];
    const char *paths[TABLES + 1];
    int r;

    for (size_t i = 0; i <= TABLES; i++) {
        (void)snprintf(device, sizeof(device), "d%d", lines[i]);
        paths[i] = bench_lab_entry(daemon, way, device, pins[i]);
    }
    r = bench_lab_test_runs(lab, way, paths, TABLES + 1, ROUNDS, PACKETS, samples);
    if (r == 0)
        router_print_test_run(way, samples);
    return r;
}

/* A device whose program is attached, and whose port has gone: packets go to the stack. */
static int router_idle_device(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way)
{
    char body[128];
    int line = bench_lab_line(lab, way);

    (void)snprintf(body, sizeof(body), "{\"type\": \"%s\", \"ports\": [{\"name\": \"in\", \"peer\": \"d%d\"}]}",
                   way == BENCH_XDP ? "XDP_DRV" : "TC", line);
    if (line < 0 || pcn_testd_post(daemon, body, "simpleforwarder/idle%d", line) != 201 ||
        pcn_testd_patch(daemon, "{\"peer\": \"\"}", "simpleforwarder/idle%d/ports/in", line) / 100 != 2)
        return -EIO;
    return line;
}

static int router_measure(struct pcn_testd *daemon, struct bench_lab *lab, const struct bench_route *routes)
{
    double samples[(2 + 2 * TABLES) * ROUNDS];
    int lines[2 + 2 * TABLES] = {(int)BENCH_NO_LINE, bench_lab_line(lab, BENCH_TC)}, idle;
    int r = lines[1] < 0 ? lines[1] : router_kernel(lab, lines[1], routes, tables[0]);

    for (size_t i = 0; i < 2 * TABLES && r == 0; i++) {
        enum bench_way way = i < TABLES ? BENCH_XDP : BENCH_TC;

        lines[2 + i] = bench_lab_line(lab, way);
        r = lines[2 + i] < 0 ? lines[2 + i] : router_build(daemon, way, lines[2 + i], routes, tables[i % TABLES]);
    }
    if (r == 0)
        r = router_packets(lab, routes, tables[0]);
    /* Live frames first: they show that every packet is forwarded. */
    if (r == 0)
        r = bench_lab_rounds(lab, lines, PCN_ARRAY_SIZE(lines), ROUNDS, FRAMES, samples);
    if (r < 0)
        return r;
    router_print_live(samples);
    for (enum bench_way way = BENCH_XDP; way <= BENCH_TC && r == 0; way++) {
        idle = router_idle_device(daemon, lab, way);
        if (idle < 0)
            return idle;
        r = router_test_runs(daemon, lab, way, (const int[]){lines[2 + way * TABLES], lines[3 + way * TABLES], idle});
    }
    return r;
}

int bench_router(void)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    _cleanup_free_ struct bench_route *routes = bench_routes_new(tables[TABLES - 1]);
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    struct bench_lab lab;
    int r;

    if (!routes)
        return -ENOMEM;
    r = pcn_testd_start(&spec, &daemon);
    if (r < 0)
        return r;
    r = bench_lab_open(pcn_testd_netns(daemon), &lab);
    if (r < 0)
        return r;
    r = router_measure(daemon, &lab, routes);
    bench_lab_close(&lab);
    return r;
}
