/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on lines of veths, generator and device under test on one core:
 *
 *     source g<n> --- d<n> [inside] e<n> --- s<n> sink
 *
 * The generator is a test run on live frames, redirected to g<n>; the whole way
 * of a batch is run in the calling thread, nothing is dropped, and the thread's
 * CPU time a frame is the price of making it and of its way. CPU time counts no
 * other process, so it holds on a busy machine.
 */
#pragma once
#include "bench.bpf.h"
#include "bench.h"
#include <bpf/libbpf.h>
#include <sched.h>

struct bench_lab {
    struct bpf_object *object;
    struct pcn_netns *source;
    struct pcn_netns *inside; /* borrowed */
    struct pcn_netns *sink;
    struct bench_state *state; /* live */
    struct bench_packet *packets;
    unsigned int n_lines;
    bool rotor_held;
    cpu_set_t cpus; /* that the thread had before */
};

/* Pins the thread to a CPU, until the lab is closed. */
int bench_lab_open(struct pcn_netns *inside, struct bench_lab *ret_lab);
void bench_lab_close(struct bench_lab *lab);

/* n: a power of two, at most BENCH_PACKETS_MAX. */
void bench_lab_packets(struct bench_lab *lab, const struct pcn_frame *frames, size_t n);
/* One UDP packet of 64 bytes. */
void bench_lab_default_packet(struct bench_lab *lab);

enum bench_way {
    BENCH_XDP,
    BENCH_TC, /* frames become packets at d<n> */
};
#define BENCH_MAC "02:00:00:00:00:d0" /* of every d<n> */
#define BENCH_SINK_MAC "02:00:00:00:00:50"

/* Returns the line's number, n in the names of its devices. */
int bench_lab_line(struct bench_lab *lab, enum bench_way way);
/* The bare program from d to e; one line of each way. */
int bench_lab_bare(struct bench_lab *lab, enum bench_way way, int line);
/* Nanoseconds a frame, in ret_ns; -EIO: less than 99.9 % arrived at the sink. line BENCH_NO_LINE: generation alone. */
int bench_lab_run(struct bench_lab *lab, unsigned int line, unsigned int n_frames, double *ret_ns);
/* Rounds over all lines, one warm-up first: samples[i * rounds + round] of lines[i]. */
int bench_lab_rounds(struct bench_lab *lab, const int *lines, size_t n_lines, size_t rounds, unsigned int n_frames,
                     double *samples);

/* ---- test runs ---- */

/* Where the daemon has pinned the program of a device's ingress; pin: 256 bytes, returned. */
const char *bench_lab_entry(const struct pcn_testd *daemon, enum bench_way way, const char *device, char *pin);
/* Nanoseconds a packet of a program, those of the wrapper included. It must not fail; nothing is sent. */
int bench_lab_test_run(struct bench_lab *lab, enum bench_way way, int program, unsigned int n_packets, double *ret_ns);
/*
 * Of pinned programs, of one way: nanoseconds a packet, an empty program's taken off. samples as above.
 */
int bench_lab_test_runs(struct bench_lab *lab, enum bench_way way, const char *const *pins, size_t n_pins,
                        size_t rounds, unsigned int n_packets, double *samples);
