/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#include "helloworld_maps.h"
#include <pcn/cube.bpf.h>

struct helloworld_data helloworld_data SEC(HELLOWORLD_DATA) = {
    .action = HELLOWORLD_DROP,
    .ports = {HELLOWORLD_NO_PORT, HELLOWORLD_NO_PORT},
};

PCN_INLINE enum pcn_verdict helloworld_forward(struct pcn_packet *packet)
{
    __u16 first = PCN_READ_ONCE(helloworld_data.ports[0]);
    __u16 second = PCN_READ_ONCE(helloworld_data.ports[1]);

    pcn_log(PCN_LOG_DEBUG, "Forwarding packet");
    if (first == HELLOWORLD_NO_PORT || second == HELLOWORLD_NO_PORT)
        return pcn_drop(packet, HELLOWORLD_NO_OTHER_PORT);
    return pcn_redirect(packet, packet->port == first ? second : first);
}

PCN_INLINE enum pcn_verdict helloworld_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    pcn_log(PCN_LOG_DEBUG, "[INGRESS] Receiving packet from port %d", packet->port);
    switch (PCN_READ_ONCE(helloworld_data.action)) {
    case HELLOWORLD_FORWARD:
        return helloworld_forward(packet);
    case HELLOWORLD_SLOWPATH:
        pcn_log(PCN_LOG_DEBUG, "Sending packet to slow path");
        return pcn_slow_path(packet, 0, 0, 0, 0);
    default:
        pcn_log(PCN_LOG_DEBUG, "Dropping packet");
        return pcn_drop(packet, PCN_DROP_POLICY);
    }
}

PCN_INLINE enum pcn_verdict helloworld_egress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    pcn_log(PCN_LOG_DEBUG, "[EGRESS] Packet ongoing on port %d", packet->port);
    return PCN_PASS;
}

PCN_STANDARD_CUBE(helloworld_ingress, helloworld_egress);
