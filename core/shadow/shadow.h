/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shadow namespaces: a cube's ports as devices of a network namespace of its
 * own, so that daemons and tools of the host (routing daemons, ping, tcpdump) can be used on a cube.
 *
 *   port p1 of cube r1 ── pcn-<id>-<port id> ══ veth ══ p1, in namespace pcn-r1
 *
 * and with an instance other than "default": pcn-<instance>-<id>-<port id>, pcn-<instance>-r1.
 *
 * What the cube gives to its host (PCN_HOST) goes in; what the namespace sends
 * leaves by the port, as if the cube had sent it. Addresses, routes and MACs are mirrored
 * both ways: the cube's by pcn_shadow_*(), the namespace's as events. What the daemon wrote itself
 * comes back as an event too: the kind leaves what it knows already alone.
 */
#pragma once
#include <chain/chain.h>

struct pcn_shadow;

/*
 * Removes what a daemon that was killed left; which namespaces are ours says a directory in rundir, with
 * a file for each: a name alone does not tell instance "a", cube "b-c" from instance "a-b", cube "c".
 * helper: of pcn_helper_start(), which stays the caller's.
 */
int pcn_shadow_new(int helper, const char *instance, const char *rundir, struct pcn_loop *loop, struct pcn_net *net,
                   struct pcn_chain *chain, struct pcn_shadow **ret_shadow);
/* Once a second. */
void pcn_shadow_tick(struct pcn_shadow *shadow);
void pcn_shadow_freep(struct pcn_shadow **shadow);

/* A cube that has a shadow: its namespace. RESOURCE_DENIED: it cannot be made. */
int pcn_shadow_cube_add(struct pcn_shadow *shadow, struct pcn_cube *cube, struct pcn_error *error);
/* The namespace, and all its devices. Before the cube is freed; does nothing for a cube without. */
void pcn_shadow_cube_remove(struct pcn_shadow *shadow, struct pcn_cube *cube);
/* A port of such a cube: its device. */
int pcn_shadow_port_add(struct pcn_shadow *shadow, struct pcn_port *port, struct pcn_error *error);
void pcn_shadow_port_remove(struct pcn_shadow *shadow, struct pcn_port *port);
