/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets up to user space and back down.
 *
 * Up: a thread of its own drains the ring into a queue per cube; the loop hands
 * them to the cubes in turns, a few at a time, so that a cube with many
 * neither starves the others nor delays requests. Down: by the re-injection
 * device, each frame with its target in front.
 */
#pragma once
#include <chain/chain.h>

struct pcn_loop;
struct pcn_slowpath;

/* Packets of one cube that wait; what comes on top is shed and counted. */
#define PCN_QUEUE_MAX 1024

struct pcn_slowpath_counters {
    uint64_t packets_in; /* handed to the cube */
    uint64_t shed;       /* its queue was full */
    uint64_t packets_out;
    uint64_t failed_out; /* the device had no room, or the frame no valid length */
};

/* Makes the re-injection pair, loads its programs, starts the thread. */
int pcn_slowpath_new(struct pcn_loop *loop, struct pcn_chain *chain, struct pcn_bpf *bpf, struct pcn_net *net,
                     const char *instance, struct pcn_slowpath **ret_slowpath, struct pcn_error *error);
void pcn_slowpath_freep(struct pcn_slowpath **slowpath);

/* The cube is going: its packets are dropped. */
void pcn_slowpath_forget(struct pcn_slowpath *slowpath, uint16_t cube);
void pcn_slowpath_counters(const struct pcn_slowpath *slowpath, uint16_t cube,
                           struct pcn_slowpath_counters *ret_counters);
/* True for the devices of the re-injection pair. */
bool pcn_slowpath_owns(const struct pcn_bpf *bpf, const char *device);
