/* SPDX-License-Identifier: Apache-2.0 */
#include "helloworld.h"

struct pcn_port *helloworld_other_port(const struct pcn_cube *cube, uint16_t port)
{
    struct pcn_port *other = NULL;
    unsigned int n = 0;

    for (struct pcn_port *p = pcn_port_next(cube, NULL); p; p = pcn_port_next(cube, p), n++) {
        if (pcn_port_id(p) != port)
            other = p;
    }
    return n == 2 ? other : NULL;
}

void helloworld_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    const struct pcn_port *in = pcn_port_by_id(cube, packet->record.port);
    const struct pcn_port *out = helloworld_other_port(cube, packet->record.port);
    int r;

    pcn_cube_log(cube, PCN_LOG_DEBUG, "Receiving packet of %u bytes from port %s in the slow path",
                 packet->record.length, in ? pcn_port_name(in) : "?");
    if (!out) {
        pcn_cube_log(cube, PCN_LOG_DEBUG, "Dropping packet: there is no other port");
        return;
    }
    if (packet->record.captured < packet->record.length) {
        pcn_cube_log(cube, PCN_LOG_DEBUG, "Dropping packet: it came up cut to %u bytes", packet->record.captured);
        return;
    }
    r = pcn_cube_send(cube, pcn_port_id(out), PCN_EGRESS, packet->frame, packet->record.captured);
    if (r < 0)
        pcn_cube_log(cube, PCN_LOG_WARN, "cannot send a packet out of port %s: %s", pcn_port_name(out), strerror(-r));
}
