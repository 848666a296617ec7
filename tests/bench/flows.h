/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the groups of tables of flows share: conntrack, nat, lbrp, lbdsr. A cube's test run less an empty device's, beside
 * kernels that forward and do the same less one that forwards alone. Each is told its flows and has all its rounds, the first
 * of which warms up, before the next one begins: between them nobody else's tables take theirs out of the caches.
 */
#pragma once
#include "filter.h"

#define FLOWS_WAYS 2
#define FLOWS_PEERS_MAX 4
#define FLOWS_PLAIN 0 /* the peer that forwards alone */

/* Behind a peer's command: ports change, the checksums do not follow. */
#define FLOWS_NO_CHECKSUMS " && sysctl -qw net.netfilter.nf_conntrack_checksum=0"

struct flows_peer {
    const char *name;
    const char *command; /* that loads the rules; NULL: none */
};

struct flows_bench {
    struct pcn_testd *daemon;
    struct bench_lab lab;
    struct filter_device idle[FLOWS_WAYS];
    struct filter_peer peers[FLOWS_PEERS_MAX];
    double peer_cost[FLOWS_PEERS_MAX][FILTER_ROUNDS];
    int n_peers; /* that are open */
};

/* A daemon, its lab, an empty device of each way. Closed even if it failed. */
int flows_open(struct flows_bench *bench);
void flows_close(struct flows_bench *bench);

const char *flows_way(int way);
/* Of a cube's statistics; cube: its kind and name, "nat/n1". */
long long flows_count(const struct flows_bench *bench, const char *cube, const char *what);
int flows_flush(const struct flows_bench *bench, const char *cube);

/* ---- packets ---- */

/* FILTER_PACKETS packets, and how flows are told apart beyond them. */
struct flows_list {
    const struct bench_packet *packets;
    struct bench_flows flows;
    uint64_t next; /* the number of the first that is sent */
};

/* To UDP port 53 of an address of either family, of client `number`. */
void flows_packet(unsigned int number, const char *destination, struct bench_packet *ret_packet);
/*
 * n_flows of those packets, measured in another order than made known; 0: without end, 67 million are different. Told apart
 * by bytes 34 and 35, over which there is no IP checksum: the source port of IPv4, the fourth last bytes of the source
 * address of IPv6.
 */
struct flows_list flows_list(const struct bench_packet *packets, uint32_t n_flows, uint64_t next);

/* ---- measuring ---- */

/* Packets through a device, whatever that takes: they make flows known. */
int flows_send(struct flows_bench *bench, int way, int program, const struct flows_list *list, uint32_t n_packets);
/* Nanoseconds a packet, an empty device's taken off. */
int flows_cost(struct flows_bench *bench, int way, int program, const struct flows_list *list, uint32_t n_packets,
               double *ret_ns);

/* One more peer, the first one FLOWS_PLAIN. */
int flows_peer_open(struct flows_bench *bench, const char *command);
void flows_peers_close(struct flows_bench *bench);
int flows_peer_send(struct flows_bench *bench, int peer, const struct flows_list *list, uint32_t n_packets);
/* What its rounds send; known: whether it knows those flows. */
void flows_peer_list(struct flows_bench *bench, int peer, const struct flows_list *list, bool known);
/* Both, where a packet of each of its n_flows makes a flow known; 0: each packet is a new one. */
int flows_peer_ready(struct flows_bench *bench, int peer, const struct flows_list *list, uint32_t n_flows);
/* Its rounds, each beside one of FLOWS_PLAIN, which itself has none; into peer_cost. */
int flows_peer_rounds(struct flows_bench *bench, int peer);

/* ---- rows ---- */

#define FLOWS_HOW "BPF_PROG_TEST_RUN of a device with the cube less one without"

/* limit 0: none */
void flows_print(const char *what, const double *ours, double limit);
/* doing: what the kernel does when it forwards */
void flows_print_peer(const struct flows_bench *bench, const char *what, const double *ours, int peer, const char *name,
                      const char *doing);

/* ---- whole groups ---- */

struct flows_scene {
    const char *name;
    const char *destination;
    uint32_t flows;     /* that are known; 0: each packet is a new one, and each round begins with an empty table */
    uint32_t n_packets; /* a round */
    double limit;       /* 0: none */
};

/* UDP flows through a cube with a table of sessions. */
struct flows_group {
    const char *kind; /* of the cube, which is called KIND/bench<way> */
    const char *what; /* rows begin with it */
    const struct flows_scene *scenes;
    size_t n_scenes;
    const struct flows_peer *peers;
    int n_peers;
    /* Makes the cube, on a device of its own. */
    int (*cube_open)(struct flows_bench *bench, enum bench_way way, struct filter_device *ret_device);
};

int flows_group_run(const struct flows_group *group);
