/* SPDX-License-Identifier: Apache-2.0 */
/* What one more cube costs in a chain of forwarders: a hop and one counter update. */
#include "lab.h"
#include <bpf/bpf.h>
#include <stdio.h>

/* What a hop costs depends on where the kernel puts the programs, at random: chains are built anew, and a median of places taken. */
#define PLACES 9
#define ROUNDS_A_PLACE 3
#define ROUNDS (PLACES * ROUNDS_A_PLACE)
#define PACKETS 1000000u
#define FRAMES_XDP 500000u
#define FRAMES_TC 200000u

static const struct {
    int length;
    double limit_ns;
} chains[] = {{1, 0}, {8, 6}, {30, 14}};

#define CHAINS PCN_ARRAY_SIZE(chains)

/* Cubes c<line>-0 .. c<line>-<length - 1> between d<line> and e<line>. */
static int chain_build(struct pcn_testd *daemon, enum bench_way way, int line, int length)
{
    char body[512];

    for (int i = 0; i < length; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"ports\": [{\"name\": \"in\"}, "
                       "{\"name\": \"out\"}], "
                       "\"actions\": [{\"inport\": \"in\", \"action\": \"FORWARD\", \"outport\": \"out\"}]}",
                       way == BENCH_XDP ? "XDP_DRV" : "TC");
        if (pcn_testd_post(daemon, body, "simpleforwarder/c%d-%d", line, i) != 201)
            return -EIO;
        (void)snprintf(body, sizeof(body), "{\"peer1\": \"c%d-%d:out\", \"peer2\": \"c%d-%d:in\"}", line, i - 1, line,
                       i);
        if (i > 0 && pcn_testd_post(daemon, body, "connect") / 100 != 2)
            return -EIO;
    }
    (void)snprintf(body, sizeof(body), "{\"peer\": \"d%d\"}", line);
    if (pcn_testd_patch(daemon, body, "simpleforwarder/c%d-0/ports/in", line) / 100 != 2)
        return -EIO;
    (void)snprintf(body, sizeof(body), "{\"peer\": \"e%d\"}", line);
    if (pcn_testd_patch(daemon, body, "simpleforwarder/c%d-%d/ports/out", line, length - 1) / 100 != 2)
        return -EIO;
    return 0;
}

static void chain_print(enum bench_way way, bool live, const double *samples)
{
    char what[80];

    for (size_t i = 1; i < CHAINS; i++) {
        double longer[ROUNDS], shorter[ROUNDS];
        struct bench_row row = {
            .what = what,
            .unit = "ns",
            .measure = "ns a hop",
            .pairs = ROUNDS,
            .how = live ? "live frames, CPU time; chain of n less chain of 1, by n - 1"
                        : "BPF_PROG_TEST_RUN of the device's program; chain of n less chain of 1, by n - 1"};

        memcpy(longer, samples + i * ROUNDS, sizeof(longer));
        memcpy(shorter, samples, sizeof(shorter));
        (void)snprintf(what, sizeof(what), "a hop in a chain of %d, %s, %s", chains[i].length,
                       way == BENCH_XDP ? "XDP_DRV" : "TC", live ? "live frames" : "test run");
        row.value = bench_difference(longer, shorter, ROUNDS, 1.0 / (chains[i].length - 1));
        row.ours = bench_figure(longer, ROUNDS);
        row.peer_name = "chain of 1";
        row.peer = bench_figure(shorter, ROUNDS);
        /* The targets come from test runs of the shortest hop there can be. */
        row.target = live ? BENCH_NO_TARGET : BENCH_AT_MOST;
        row.limit = chains[i].limit_ns;
        bench_print(&row);
    }
}

static int chain_delete(struct pcn_testd *daemon, int line, int length)
{
    for (int i = 0; i < length; i++) {
        if (pcn_testd_delete(daemon, "simpleforwarder/c%d-%d", line, i) / 100 != 2)
            return -EIO;
    }
    return 0;
}

/* The test runs of one place, into samples[i * ROUNDS + round]. */
static int chain_place(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way, const int *lines, int place,
                       double *samples)
{
    double here[CHAINS * ROUNDS_A_PLACE];
    char pins[CHAINS][256], device[16];
    const char *paths[CHAINS];
    int r;

    for (size_t i = 0; i < CHAINS; i++) {
        r = place == 0 ? 0 : chain_delete(daemon, lines[i], chains[i].length);
        if (r == 0)
            r = chain_build(daemon, way, lines[i], chains[i].length);
        if (r < 0)
            return r;
        (void)snprintf(device, sizeof(device), "d%d", lines[i]);
        paths[i] = bench_lab_entry(daemon, way, device, pins[i]);
    }
    r = bench_lab_test_runs(lab, way, paths, CHAINS, ROUNDS_A_PLACE, PACKETS, here);
    for (size_t i = 0; i < CHAINS && r == 0; i++)
        memcpy(samples + i * ROUNDS + (size_t)place * ROUNDS_A_PLACE, here + i * ROUNDS_A_PLACE,
               ROUNDS_A_PLACE * sizeof(*here));
    return r;
}

static int chain_measure(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way)
{
    double samples[CHAINS * ROUNDS];
    int lines[CHAINS], r;

    for (size_t i = 0; i < CHAINS; i++) {
        lines[i] = bench_lab_line(lab, way);
        if (lines[i] < 0)
            return lines[i];
    }
    for (int place = 0; place < PLACES; place++) {
        r = chain_place(daemon, lab, way, lines, place, samples);
        if (r < 0)
            return r;
    }
    chain_print(way, false, samples);
    r = bench_lab_rounds(lab, lines, CHAINS, ROUNDS, way == BENCH_XDP ? FRAMES_XDP : FRAMES_TC, samples);
    if (r < 0)
        return r;
    chain_print(way, true, samples);
    return 0;
}

int bench_chain(void)
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
    r = chain_measure(daemon, &lab, BENCH_XDP);
    if (r == 0)
        r = chain_measure(daemon, &lab, BENCH_TC);
    bench_lab_close(&lab);
    return r;
}
