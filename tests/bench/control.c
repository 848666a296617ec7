/* SPDX-License-Identifier: Apache-2.0 */
/* What changes cost, from the request on a kept connection to the answer; what the daemon weighs. */
#include "bench.h"
#include <stdio.h>

#define SAMPLES 25
#define STARTS 7
#define WAKE_MS 100

static const struct pcn_testd_spec quiet = {.loglevel = "warning"};

/* ---- creating ---- */

#define CREATE_LIMIT_MS 20

static int control_create_kind(struct pcn_testd *daemon, const char *kind, const char *type)
{
    double samples[SAMPLES];
    char path[96], body[64], what[96];

    (void)snprintf(body, sizeof(body), "{\"type\": \"%s\"}", type);
    for (int i = -1; i < SAMPLES; i++) {
        double spent;

        (void)snprintf(path, sizeof(path), "%s/new%d", kind, i + 1);
        spent = bench_request(daemon, "POST", path, body);
        if (spent < 0)
            return -EIO;
        if (i >= 0)
            samples[i] = spent;
    }
    for (int i = -1; i < SAMPLES; i++) {
        (void)snprintf(path, sizeof(path), "%s/new%d", kind, i + 1);
        if (bench_request(daemon, "DELETE", path, NULL) < 0)
            return -EIO;
    }
    (void)snprintf(what, sizeof(what), "create a cube, %s, %s", kind, type);
    bench_print_ms(what, samples, SAMPLES, CREATE_LIMIT_MS);
    return 0;
}

static int control_create(struct pcn_testd *daemon)
{
    static const char *const kinds[] = {"simpleforwarder", "transparenthelloworld", "simplebridge", "router"};
    int r = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(kinds) && r == 0; i++)
        r = control_create_kind(daemon, kinds[i], "XDP_DRV") ?: control_create_kind(daemon, kinds[i], "TC");
    return r;
}

/* ---- wiring ---- */

#define WIRE_LIMIT_MS 2
#define ATTACH_LIMIT_MS 40

static int control_wire_cubes(struct pcn_testd *daemon, const char *type)
{
    char what[96];
    static const char ends[] = "{\"peer1\": \"w1:a\", \"peer2\": \"w2:a\"}";
    double connected[SAMPLES], disconnected[SAMPLES];

    for (size_t i = 0; i < SAMPLES; i++) {
        connected[i] = bench_request(daemon, "POST", "connect", ends);
        disconnected[i] = bench_request(daemon, "POST", "disconnect", ends);
        if (connected[i] < 0 || disconnected[i] < 0)
            return -EIO;
    }
    (void)snprintf(what, sizeof(what), "connect two cubes, %s", type);
    bench_print_ms(what, connected, SAMPLES, WIRE_LIMIT_MS);
    (void)snprintf(what, sizeof(what), "disconnect two cubes, %s", type);
    bench_print_ms(what, disconnected, SAMPLES, WIRE_LIMIT_MS);
    return 0;
}

/* A port moves from one attached device to another, there and back. */
static int control_move(struct pcn_testd *daemon, const char *type)
{
    double samples[SAMPLES];
    char what[96];

    for (size_t i = 0; i < SAMPLES; i++) {
        samples[i] = bench_request(daemon, "PATCH", "simpleforwarder/w1/ports/b",
                                   i % 2 ? "{\"peer\": \"w0\"}" : "{\"peer\": \"w1\"}");
        if (samples[i] < 0)
            return -EIO;
    }
    (void)snprintf(what, sizeof(what), "move a port to another attached netdev, %s", type);
    bench_print_ms(what, samples, SAMPLES, WIRE_LIMIT_MS);
    return 0;
}

/* Each device goes to a port of its own. */
static int control_attach(struct pcn_testd *daemon, const char *type)
{
    double samples[SAMPLES];
    char body[64], path[64], what[96];

    for (int i = 0; i < SAMPLES; i++) {
        if (pcn_netns_must(pcn_testd_netns(daemon), "ip link add w%d type veth peer name x%d && ip link set w%d up", i,
                           i, i) < 0)
            return -EIO;
        (void)snprintf(path, sizeof(path), "simpleforwarder/w1/ports/w%d", i);
        if (bench_request(daemon, "POST", path, "{}") < 0)
            return -EIO;
        (void)snprintf(body, sizeof(body), "{\"peer\": \"w%d\"}", i);
        samples[i] = bench_request(daemon, "PATCH", path, body);
        if (samples[i] < 0)
            return -EIO;
    }
    (void)snprintf(what, sizeof(what), "first attach of a netdev, %s", type);
    bench_print_ms(what, samples, SAMPLES, ATTACH_LIMIT_MS);
    return 0;
}

static int control_wiring(struct pcn_testd *daemon, const char *type)
{
    char body[128];

    (void)snprintf(body, sizeof(body), "{\"type\": \"%s\", \"ports\": [{\"name\": \"a\"}, {\"name\": \"b\"}]}", type);
    if (bench_request(daemon, "POST", "simpleforwarder/w1", body) < 0 ||
        bench_request(daemon, "POST", "simpleforwarder/w2", body) < 0)
        return -EIO;
    if (control_wire_cubes(daemon, type) < 0 || control_attach(daemon, type) < 0)
        return -EIO;
    if (bench_request(daemon, "PATCH", "simpleforwarder/w1/ports/w0", "{\"peer\": \"\"}") < 0 ||
        bench_request(daemon, "PATCH", "simpleforwarder/w1/ports/w1", "{\"peer\": \"\"}") < 0 ||
        bench_request(daemon, "PATCH", "simpleforwarder/w1/ports/b", "{\"peer\": \"w0\"}") < 0 ||
        control_move(daemon, type) < 0)
        return -EIO;
    if (bench_request(daemon, "DELETE", "simpleforwarder/w1", NULL) < 0 ||
        bench_request(daemon, "DELETE", "simpleforwarder/w2", NULL) < 0)
        return -EIO;
    return pcn_netns_must(pcn_testd_netns(daemon), "for i in $(seq 0 %d); do ip link del w$i; done", SAMPLES - 1);
}

/* ---- weight ---- */

#define RSS_LIMIT_MB 30
#define START_LIMIT_MS 300

static double control_rss_mb(pid_t pid)
{
    char path[64], line[128];
    double kb = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        (void)sscanf(line, "VmRSS: %lf", &kb);
    if (file)
        (void)fclose(file);
    return kb / 1024;
}

/* Two of each kind. */
static int control_memory(void)
{
    static const char *const kinds[] = {"helloworld", "simpleforwarder", "simplebridge", "router",
                                        "transparenthelloworld"};
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    struct bench_row row = {.what = "RSS of the daemon, 10 idle cubes",
                            .unit = "MB",
                            .measure = "MB",
                            .target = BENCH_AT_MOST,
                            .limit = RSS_LIMIT_MB,
                            .pairs = 1,
                            .how = "VmRSS, two cubes of each kind"};
    char path[64];
    int r;

    r = pcn_testd_start(&quiet, &daemon);
    if (r < 0)
        return r;
    for (size_t i = 0; i < 2 * PCN_ARRAY_SIZE(kinds); i++) {
        (void)snprintf(path, sizeof(path), "%s/idle%zu", kinds[i / 2], i);
        if (bench_request(daemon, "POST", path, "{}") < 0)
            return -EIO;
    }
    pcn_test_nap(WAKE_MS); /* what the requests left to be done is done */
    row.value = bench_constant(control_rss_mb(pcn_testd_pid(daemon)));
    bench_print(&row);
    return 0;
}

static int control_start(void)
{
    struct bench_row row = {.what = "start of the daemon to its first answer",
                            .unit = "ms",
                            .measure = "ms",
                            .target = BENCH_AT_MOST,
                            .limit = START_LIMIT_MS,
                            .pairs = STARTS,
                            .how = "fork to the answer of GET version, asked every 2 ms"};
    double samples[STARTS];

    for (size_t i = 0; i < STARTS; i++) {
        _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
        _cleanup_(pcn_netns_freep) struct pcn_netns *netns = NULL;
        struct pcn_testd_spec spec = quiet;
        double start;
        int r;

        r = pcn_netns_new("start", &netns);
        spec.netns = netns;
        start = bench_now_ms();
        if (r == 0)
            r = pcn_testd_start(&spec, &daemon);
        samples[i] = bench_now_ms() - start;
        if (r == 0)
            r = pcn_testd_stop(&daemon);
        if (r < 0)
            return r;
    }
    row.value = bench_figure(samples, STARTS);
    bench_print(&row);
    return 0;
}

int bench_control(void)
{
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    int r;

    r = pcn_testd_start(&quiet, &daemon);
    if (r == 0)
        r = control_create(daemon);
    if (r == 0)
        r = control_wiring(daemon, "XDP_DRV");
    if (r == 0)
        r = control_wiring(daemon, "TC");
    if (r == 0)
        r = control_memory();
    if (r == 0)
        r = control_start();
    return r;
}
