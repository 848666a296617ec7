/* SPDX-License-Identifier: Apache-2.0 */
#include "simpleforwarder.h"

void simpleforwarder_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    const struct pcn_port *in = pcn_port_by_id(cube, packet->record.port), *out = NULL;
    const struct simpleforwarder_entry *entry;
    int r;

    if (!in)
        return;
    entry = simpleforwarder_find(pcn_cube_state(cube), pcn_port_name(in));
    if (entry && entry->outport)
        out = pcn_port_by_name(cube, entry->outport);
    pcn_cube_log(cube, PCN_LOG_DEBUG, "packet of %u bytes from port %s in the slow path: %s%s", packet->record.length,
                 pcn_port_name(in), out ? "out of port " : "dropped", out ? pcn_port_name(out) : "");
    if (!out)
        return;
    if (packet->record.captured < packet->record.length) {
        pcn_cube_log(cube, PCN_LOG_DEBUG, "packet dropped: it came up cut to %u bytes", packet->record.captured);
        return;
    }
    r = pcn_cube_send(cube, pcn_port_id(out), PCN_EGRESS, packet->frame, packet->record.captured);
    if (r < 0)
        pcn_cube_log(cube, PCN_LOG_WARN, "cannot send a packet out of port %s: %s", pcn_port_name(out), strerror(-r));
}
