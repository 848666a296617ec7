/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"
#include <bpf/bpf.h>
#include <harness/testrun.h>
#include <stdio.h>

#define PEER_WARM_UP 2048u
#define PEER_FRAMES_MAX 40960u
#define PEER_ROUND_NS 100e6

struct bench_figure filter_figure(const double *samples)
{
    double sorted[FILTER_ROUNDS];

    memcpy(sorted, samples, sizeof(sorted));
    return bench_figure(sorted, FILTER_ROUNDS);
}

/* ---- packets ---- */

void filter_packet(const struct pcn_frame *frame, struct bench_packet *ret_packet)
{
    uint8_t bytes[BENCH_FRAME] = {};

    memcpy(bytes, frame->bytes, PCN_MIN(frame->length, sizeof(bytes)));
    pcn_parse_mac(BENCH_MAC, bytes);
    memcpy(&ret_packet->words[0], bytes, 8);
    memcpy(&ret_packet->words[1], bytes + 6, 8);
    memcpy(&ret_packet->words[2], bytes + ETH_HLEN, sizeof(bytes) - ETH_HLEN);
}

void filter_packets(struct bench_lab *lab, const struct bench_packet *packets, const struct bench_flows *flows,
                    uint64_t next)
{
    memcpy(lab->packets, packets, FILTER_PACKETS * sizeof(*packets));
    lab->state->mask = FILTER_PACKETS - 1;
    lab->state->next = next;
    lab->state->flows = flows ? *flows : (struct bench_flows){};
}

/* ---- ours ---- */

int filter_hold(struct pcn_testd *daemon, enum bench_way way, int line, struct filter_device *ret_device)
{
    char device[16], pin[256];
    int program;

    (void)snprintf(device, sizeof(device), "d%d", line);
    program = bpf_obj_get(bench_lab_entry(daemon, way, device, pin));
    if (program < 0)
        return program;
    *ret_device = (struct filter_device){.way = way, .line = line, .program = program};
    return 0;
}

int filter_idle(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way, struct filter_device *ret_device)
{
    char body[128];
    int line = bench_lab_line(lab, way);

    (void)snprintf(body, sizeof(body), "{\"type\": \"%s\", \"ports\": [{\"name\": \"in\", \"peer\": \"d%d\"}]}",
                   way == BENCH_XDP ? "XDP_DRV" : "TC", line);
    if (line < 0 || pcn_testd_post(daemon, body, "simpleforwarder/idle%d", line) != 201 ||
        pcn_testd_patch(daemon, "{\"peer\": \"\"}", "simpleforwarder/idle%d/ports/in", line) / 100 != 2)
        return -EIO;
    return filter_hold(daemon, way, line, ret_device);
}

int filter_attach(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way, const char *cube,
                  struct filter_device *ret_device)
{
    char body[128];
    int line = bench_lab_line(lab, way);

    (void)snprintf(body, sizeof(body), "{\"cube\": \"%s\", \"port\": \"d%d\"}", cube, line);
    if (line < 0 || pcn_testd_post(daemon, body, "attach") / 100 != 2)
        return -EIO;
    return filter_hold(daemon, way, line, ret_device);
}

void filter_device_done(struct filter_device *device)
{
    if (device->program > 0)
        pcn_closep(&device->program);
}

/* ---- the kernel ---- */

static int peer_prepare(struct filter_peer *peer, const char *command)
{
    int r;

    r = pcn_netns_new("peer", &peer->netns);
    if (r == 0)
        r = bench_lab_open(peer->netns, &peer->lab);
    if (r < 0)
        return r;
    peer->line = bench_lab_line(&peer->lab, BENCH_TC);
    if (peer->line < 0)
        return peer->line;
    r = pcn_netns_must(
        peer->netns,
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.d%d.rp_filter=0 "
        "&& ip address add 10.1.0.1/24 dev d%d && ip address add 10.2.0.1/24 dev e%d && "
        "ip neigh replace 10.2.0.2 lladdr " BENCH_SINK_MAC " dev e%d nud permanent && "
        "ip route add 10.100.0.0/16 via 10.2.0.2 && ip route add 10.200.0.0/16 via 10.2.0.2 && "
        "sysctl -qw net.ipv6.conf.all.forwarding=1 "
        "net.ipv6.conf.d%d.disable_ipv6=0 net.ipv6.conf.e%d.disable_ipv6=0 && ip address add fd10:1::1/64 dev d%d nodad && "
        "ip address add fd10:2::1/64 dev e%d nodad && "
        "ip neigh replace fd10:2::2 lladdr " BENCH_SINK_MAC " dev e%d nud permanent && "
        "ip route add fd10:100::/32 via fd10:2::2 && ip route add fd10:200::/32 via fd10:2::2",
        peer->line, peer->line, peer->line, peer->line, peer->line, peer->line, peer->line, peer->line, peer->line);
    return r < 0 || !command ? r : pcn_netns_must(peer->netns, "%s", command);
}

int filter_peer_open(const char *command, struct filter_peer *ret_peer)
{
    struct filter_peer peer = {};
    int r = peer_prepare(&peer, command);

    if (r < 0)
        filter_peer_close(&peer);
    else
        *ret_peer = peer;
    return r;
}

void filter_peer_close(struct filter_peer *peer)
{
    if (peer->lab.object)
        bench_lab_close(&peer->lab);
    pcn_netns_freep(&peer->netns);
}

int filter_peer_run(struct filter_peer *peer, double *ret_ns)
{
    unsigned int n = peer->n_frames ?: PEER_WARM_UP;
    int r = bench_lab_run(&peer->lab, (unsigned int)peer->line, n, ret_ns);

    if (r == 0 && !peer->n_frames) {
        double worth = PCN_MIN(PEER_ROUND_NS / *ret_ns, (double)PEER_FRAMES_MAX);

        /* All packets of the list equally often. */
        peer->n_frames = FILTER_PACKETS * PCN_MAX(1u, (unsigned int)(worth / FILTER_PACKETS));
    }
    return r;
}
