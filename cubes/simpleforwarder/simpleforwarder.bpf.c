/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* One load decides: the table is global data, so its address is a constant of the program. */
#include "simpleforwarder_maps.h"
#include <pcn/cube.bpf.h>

__u32 simpleforwarder_actions[SIMPLEFORWARDER_WORDS] SEC(SIMPLEFORWARDER_DATA) = {};

PCN_INLINE enum pcn_verdict simpleforwarder_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    __u32 word = PCN_READ_ONCE(simpleforwarder_actions[packet->port & (PCN_PORTS_MAX - 1)]);
    __u32 action = SIMPLEFORWARDER_ACTION(word);

    if (pcn_likely(action == SIMPLEFORWARDER_FORWARD))
        return pcn_redirect(packet, SIMPLEFORWARDER_PORT(word));
    if (action == SIMPLEFORWARDER_SLOWPATH)
        return pcn_slow_path(packet, 0, 0, 0, 0);
    if (action == SIMPLEFORWARDER_DROP)
        return pcn_drop(packet, PCN_DROP_POLICY);
    return pcn_drop(packet,
                    action == SIMPLEFORWARDER_DANGLING ? SIMPLEFORWARDER_NO_OUT_PORT : SIMPLEFORWARDER_NO_ACTION);
}

PCN_STANDARD_CUBE(simpleforwarder_ingress, pcn_pass);
