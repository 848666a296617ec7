/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "simpleforwarder_model.h"
#include <pcn/cube.h>

/*
 * An entry of the list actions. It is kept with names, since it outlives its
 * ports: it comes back to life with a port of that name.
 */
struct simpleforwarder_entry {
    struct simpleforwarder_entry *next;
    enum simpleforwarder_actions_action action;
    char *inport;
    char *outport; /* NULL: none */
};

struct simpleforwarder {
    uint32_t *words;  /* the fast path's table, written to in place */
    bool established; /* the cube's creation is over */
    struct simpleforwarder_entry *entries;
};

/* NULL: there is no entry for inport. */
struct simpleforwarder_entry *simpleforwarder_find(const struct simpleforwarder *forwarder, const char *inport);
/* Slow path: logs the packet, and sends it out of its entry's outport. */
void simpleforwarder_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet);
