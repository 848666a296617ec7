/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pcn/cube.h>

/* The port that is not `port`, where there are exactly two; else NULL. */
struct pcn_port *helloworld_other_port(const struct pcn_cube *cube, uint16_t port);
/* Slow path: logs the packet and sends it out of the other port. */
void helloworld_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet);
