/* SPDX-License-Identifier: Apache-2.0 */
/* A forwarder between two devices beside the smallest program that does the same. */
#include "lab.h"
#include <stdio.h>

#define ROUNDS 21
#define FRAMES_XDP 1000000u
#define FRAMES_TC 300000u
#define XDP_LIMIT_NS 8
#define TC_LIMIT 1.05

static void forward_print(enum bench_way way, const double *samples)
{
    const double *generation = samples, *bare = samples + ROUNDS, *ours = samples + 2 * (size_t)ROUNDS;
    double net_bare[ROUNDS], net_ours[ROUNDS];
    struct bench_row row = {.what =
                                way == BENCH_XDP ? "forwarder, XDP_DRV, veth to veth" : "forwarder, TC, veth to veth",
                            .unit = "ns",
                            .peer_name = way == BENCH_XDP ? "bare devmap redirect" : "bare bpf_redirect",
                            .target = BENCH_AT_MOST,
                            .pairs = ROUNDS,
                            .how = "live frames, CPU time, generation taken off"};

    for (size_t i = 0; i < ROUNDS; i++) {
        net_bare[i] = bare[i] - generation[i];
        net_ours[i] = ours[i] - generation[i];
    }
    if (way == BENCH_XDP) {
        row.measure = "ns more";
        row.limit = XDP_LIMIT_NS;
        row.value = bench_difference(net_ours, net_bare, ROUNDS, 1);
    } else {
        row.measure = "x";
        row.limit = TC_LIMIT;
        row.value = bench_ratio(net_ours, net_bare, ROUNDS);
    }
    row.peer = bench_figure(net_bare, ROUNDS);
    row.ours = bench_figure(net_ours, ROUNDS);
    bench_print(&row);
}

static int forward_measure(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way)
{
    double samples[3 * ROUNDS];
    int bare, ours, r;
    char body[512];

    bare = bench_lab_line(lab, way);
    ours = bench_lab_line(lab, way);
    if (bare < 0 || ours < 0)
        return -EIO;
    r = bench_lab_bare(lab, way, bare);
    if (r < 0)
        return r;
    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"ports\": [{\"name\": \"in\", \"peer\": \"d%d\"}, "
                   "{\"name\": \"out\", \"peer\": \"e%d\"}], "
                   "\"actions\": [{\"inport\": \"in\", \"action\": \"FORWARD\", \"outport\": \"out\"}]}",
                   way == BENCH_XDP ? "XDP_DRV" : "TC", ours, ours);
    if (pcn_testd_post(daemon, body, "simpleforwarder/f%d", ours) != 201)
        return -EIO;
    r = bench_lab_rounds(lab, (const int[]){(int)BENCH_NO_LINE, bare, ours}, 3, ROUNDS,
                         way == BENCH_XDP ? FRAMES_XDP : FRAMES_TC, samples);
    if (r < 0)
        return r;
    forward_print(way, samples);
    return 0;
}

int bench_forward(void)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    struct bench_lab lab;
    int r;

    r = pcn_testd_start(&spec, &daemon);
    if (r < 0)
        return r;
    r = bench_lab_open(pcn_testd_netns(daemon), &lab);
    if (r < 0)
        return r;
    bench_lab_default_packet(&lab);
    r = forward_measure(daemon, &lab, BENCH_XDP);
    if (r == 0)
        r = forward_measure(daemon, &lab, BENCH_TC);
    bench_lab_close(&lab);
    return r;
}
