/* SPDX-License-Identifier: Apache-2.0 */
/* What the groups firewall and those of flows.h share: a cube on a device, and the kernel's filters as peers. */
#pragma once
#include "lab.h"

#define FILTER_ROUNDS 9
#define FILTER_PACKETS BENCH_PACKETS_MAX
#define FILTER_RUN 307200u /* packets of a test run */

/* Of the samples of all rounds, which stay as they are. */
struct bench_figure filter_figure(const double *samples);

/* ---- packets ---- */

void filter_packet(const struct pcn_frame *frame, struct bench_packet *ret_packet);
/* The lab's list becomes these FILTER_PACKETS, from number `next` on. flows NULL: the packets as they are. */
void filter_packets(struct bench_lab *lab, const struct bench_packet *packets, const struct bench_flows *flows,
                    uint64_t next);

/* ---- ours ---- */

/* A device whose program is held. */
struct filter_device {
    enum bench_way way;
    int line;
    int program;
};

/* The device's program alone: its packets go to the stack. */
int filter_idle(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way, struct filter_device *ret_device);
/* Takes the cube, of any service, to a device of its own. */
int filter_attach(struct pcn_testd *daemon, struct bench_lab *lab, enum bench_way way, const char *cube,
                  struct filter_device *ret_device);
/* Holds the program of the line's device, before the daemon takes it away: it does with that of a device without a port. */
int filter_hold(struct pcn_testd *daemon, enum bench_way way, int line, struct filter_device *ret_device);
void filter_device_done(struct filter_device *device);

/* ---- the kernel ---- */

/* A namespace that forwards from a generator to a sink, 10.100.0.0/16 and 10.200.0.0/16. */
struct filter_peer {
    struct pcn_netns *netns;
    struct bench_lab lab;
    int line;
    unsigned int n_frames;
};

/* command: that loads the rules; NULL: none. */
int filter_peer_open(const char *command, struct filter_peer *ret_peer);
void filter_peer_close(struct filter_peer *peer);
/* Nanoseconds a frame; the lab's list is what is sent. The first run finds out how many frames are worth a round. */
int filter_peer_run(struct filter_peer *peer, double *ret_ns);
