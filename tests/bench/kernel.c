/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own bridge and forwarding beside the cubes: small frames on one core, and TCP between two hosts. */
#include "lab.h"
#include <stdio.h>

#define ROUNDS 15
#define FRAMES 200000u
#define TCP_ROUNDS 5
#define TCP_SECONDS 1

/* ---- frames ---- */

/* The kernel's, with a static table, as ours after the first packet. */
static int kernel_bridge(const struct bench_lab *lab, int line)
{
    return pcn_netns_must(lab->inside,
                          "ip link add bench%d type bridge && ip link set d%d master bench%d && ip link set e%d master "
                          "bench%d && ip link set bench%d up && bridge fdb replace " BENCH_SINK_MAC
                          " dev e%d master static; "
                          "sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true",
                          line, line, line, line, line, line, line);
}

static int kernel_simplebridge(struct pcn_testd *daemon, enum bench_way way, int line)
{
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"ports\": [{\"name\": \"in\", \"peer\": \"d%d\"}, "
                   "{\"name\": \"out\", \"peer\": \"e%d\"}]}",
                   way == BENCH_XDP ? "XDP_DRV" : "TC", line, line);
    if (pcn_testd_post(daemon, body, "simplebridge/b%d", line) != 201)
        return -EIO;
    return pcn_testd_post(daemon, "{\"port\": \"out\"}", "simplebridge/b%d/fdb/entry/" BENCH_SINK_MAC, line) / 100 == 2
               ? 0
               : -EIO;
}

static void kernel_print_bridge(const char *what, const double *generation, const double *kernel, const double *cube)
{
    double ours[ROUNDS], peer[ROUNDS];
    struct bench_row row = {.what = what,
                            .unit = "ns",
                            .measure = "x",
                            .peer_name = "Linux bridge",
                            .pairs = ROUNDS,
                            .how = "live frames, CPU time, generation taken off"};

    for (size_t i = 0; i < ROUNDS; i++) {
        ours[i] = cube[i] - generation[i];
        peer[i] = kernel[i] - generation[i];
    }
    row.value = bench_ratio(ours, peer, ROUNDS);
    row.ours = bench_figure(ours, ROUNDS);
    row.peer = bench_figure(peer, ROUNDS);
    bench_print(&row);
}

static int kernel_bridges(struct pcn_testd *daemon)
{
    const struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){.destination_mac = BENCH_SINK_MAC,
                                                                           .source = "10.100.0.1",
                                                                           .destination = "10.100.0.2",
                                                                           .protocol = IPPROTO_UDP,
                                                                           .source_port = 1000,
                                                                           .destination_port = 2000,
                                                                           .payload_length = 22});
    double samples[4 * ROUNDS];
    struct bench_lab lab;
    int r;

    r = bench_lab_open(pcn_testd_netns(daemon), &lab);
    if (r < 0)
        return r;
    int lines[4] = {(int)BENCH_NO_LINE, bench_lab_line(&lab, BENCH_TC), bench_lab_line(&lab, BENCH_TC),
                    bench_lab_line(&lab, BENCH_XDP)};

    bench_lab_packets(&lab, &frame, 1);
    r = lines[3] < 0 ? lines[3] : kernel_bridge(&lab, lines[1]);
    if (r == 0)
        r = kernel_simplebridge(daemon, BENCH_TC, lines[2]);
    if (r == 0)
        r = kernel_simplebridge(daemon, BENCH_XDP, lines[3]);
    if (r == 0)
        r = bench_lab_rounds(&lab, lines, 4, ROUNDS, FRAMES, samples);
    if (r == 0) {
        kernel_print_bridge("simplebridge, TC, veth to veth", samples, samples + ROUNDS, samples + 2 * (size_t)ROUNDS);
        kernel_print_bridge("simplebridge, XDP_DRV, veth to veth", samples, samples + ROUNDS,
                            samples + 3 * (size_t)ROUNDS);
    }
    bench_lab_close(&lab);
    return r;
}

/* ---- TCP ---- */

/* Hosts <label>1 and <label>2, whose cables end at <label>1 and <label>2 inside. */
struct pair {
    struct pcn_netns *hosts[2];
};

static void pair_done(struct pair *pair)
{
    pcn_netns_freep(&pair->hosts[0]);
    pcn_netns_freep(&pair->hosts[1]);
}

static int pair_make(struct pcn_netns *inside, const char *label, bool routed, struct pair *pair)
{
    int r = 0;

    for (int i = 0; i < 2 && r == 0; i++) {
        char port[16], address[32], gateway[32];

        (void)snprintf(port, sizeof(port), "%s%d", label, i + 1);
        (void)snprintf(address, sizeof(address), "10.7.%d.%d/24", routed ? i : 0, i + 2);
        (void)snprintf(gateway, sizeof(gateway), "10.7.%d.1", i);
        r = pcn_host_new(&(struct pcn_host_spec){.label = port,
                                                 .inside = inside,
                                                 .port = port,
                                                 .addresses = {address},
                                                 .gateway4 = routed ? gateway : NULL},
                         &pair->hosts[i]);
    }
    return r;
}

static double pair_gbits(const struct pair *pair, const char *server)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};
    char *const argv[] = {(char *)"iperf3", (char *)"-s", (char *)"-1", NULL};
    struct pcn_process process;
    double bits = -1;
    json_t *json;

    if (pcn_spawn(pair->hosts[1], &process, argv) < 0)
        return -1;
    /* Until the server listens. */
    (void)PCN_WAIT(5000, pcn_netns_run(pair->hosts[1], NULL, "ss -Htln 'sport = 5201' | grep -q .") == 0);
    (void)pcn_netns_run(pair->hosts[0], &output, "iperf3 -c %s -t %d -J", server, TCP_SECONDS);
    (void)pcn_process_stop(&process);
    json = json_loads(output.text ?: "", 0, NULL);
    if (pcn_json_at(json, "end.sum_received.bits_per_second"))
        bits = json_number_value(pcn_json_at(json, "end.sum_received.bits_per_second"));
    else
        fprintf(stderr, "bench: iperf3: %.500s\n", output.text ?: "");
    json_decref(json);
    return bits < 0 ? -1 : bits / 1e9;
}

static int kernel_tcp(const struct pair *ours, const struct pair *peer, bool routed)
{
    const char *server = routed ? "10.7.1.3" : "10.7.0.3";
    double a[TCP_ROUNDS], b[TCP_ROUNDS];
    struct bench_row row = {.what = routed ? "router, TC, TCP" : "simplebridge, TC, TCP",
                            .unit = "Gbit/s",
                            .measure = "x",
                            .peer_name = routed ? "kernel forwarding" : "Linux bridge",
                            .pairs = TCP_ROUNDS,
                            .how = "iperf3, one stream, host to host by veths"};

    for (size_t i = 0; i < TCP_ROUNDS; i++) {
        b[i] = pair_gbits(peer, server);
        a[i] = pair_gbits(ours, server);
        if (a[i] < 0 || b[i] < 0)
            return -EIO;
    }
    row.value = bench_ratio(a, b, TCP_ROUNDS);
    row.ours = bench_figure(a, TCP_ROUNDS);
    row.peer = bench_figure(b, TCP_ROUNDS);
    bench_print(&row);
    return 0;
}

static int kernel_tcp_bridge(struct pcn_testd *daemon)
{
    struct pcn_netns *inside = pcn_testd_netns(daemon);
    _cleanup_(pair_done) struct pair ours = {}, peer = {};
    int r;

    r = pair_make(inside, "sb", false, &ours);
    if (r == 0)
        r = pair_make(inside, "lb", false, &peer);
    if (r == 0)
        r = pcn_netns_must(inside, "ip link add tcp0 type bridge && ip link set lb1 master tcp0 && "
                                   "ip link set lb2 master tcp0 && ip link set tcp0 up");
    if (r < 0)
        return r;
    if (pcn_testd_post(daemon,
                       "{\"type\": \"TC\", \"ports\": [{\"name\": \"p1\", \"peer\": \"sb1\"}, "
                       "{\"name\": \"p2\", \"peer\": \"sb2\"}]}",
                       "simplebridge/tcp1") != 201)
        return -EIO;
    return kernel_tcp(&ours, &peer, false);
}

static int kernel_tcp_router(struct pcn_testd *daemon)
{
    struct pcn_netns *inside = pcn_testd_netns(daemon);
    _cleanup_(pair_done) struct pair ours = {}, peer = {};
    int r;

    r = pair_make(inside, "ro", true, &ours);
    if (r == 0)
        r = pair_make(inside, "fw", true, &peer);
    if (r == 0)
        r = pcn_netns_must(inside, "ip address add 10.7.0.1/24 dev fw1 && ip address add 10.7.1.1/24 dev fw2 && "
                                   "sysctl -qw net.ipv4.ip_forward=1");
    if (r < 0)
        return r;
    if (pcn_testd_post(daemon,
                       "{\"type\": \"TC\", \"ports\": [{\"name\": \"p1\", \"peer\": \"ro1\", \"ip\": \"10.7.0.1/24\"}, "
                       "{\"name\": \"p2\", \"peer\": \"ro2\", \"ip\": \"10.7.1.1/24\"}]}",
                       "router/tcp2") != 201)
        return -EIO;
    return kernel_tcp(&ours, &peer, true);
}

int bench_kernel(void)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    int r;

    r = pcn_testd_start(&spec, &daemon);
    if (r == 0)
        r = kernel_bridges(daemon);
    if (r == 0)
        r = kernel_tcp_bridge(daemon);
    if (r == 0)
        r = kernel_tcp_router(daemon);
    return r;
}
