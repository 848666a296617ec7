/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#include "transparenthelloworld_maps.h"
#include <pcn/cube.bpf.h>

struct transparenthelloworld_data transparenthelloworld_data SEC(TRANSPARENTHELLOWORLD_DATA) = {
    .actions = {TRANSPARENTHELLOWORLD_PASS, TRANSPARENTHELLOWORLD_PASS},
};

/* A log format is a constant, so each direction has its own text. */
#define TRANSPARENTHELLOWORLD_HANDLER(name_, direction_, text_)                                                        \
    PCN_INLINE enum pcn_verdict name_(struct pcn_ctx *ctx, struct pcn_packet *packet)                                  \
    {                                                                                                                  \
        switch (PCN_READ_ONCE(transparenthelloworld_data.actions[direction_])) {                                       \
        case TRANSPARENTHELLOWORLD_PASS:                                                                               \
            pcn_log(PCN_LOG_DEBUG, text_ " passing packet");                                                           \
            return PCN_PASS;                                                                                           \
        case TRANSPARENTHELLOWORLD_SLOWPATH:                                                                           \
            pcn_log(PCN_LOG_DEBUG, text_ " sending packet to slow path");                                              \
            return pcn_slow_path(packet, 0, 0, 0, 0);                                                                  \
        default:                                                                                                       \
            pcn_log(PCN_LOG_DEBUG, text_ " dropping packet");                                                          \
            return pcn_drop(packet, PCN_DROP_POLICY);                                                                  \
        }                                                                                                              \
    }

TRANSPARENTHELLOWORLD_HANDLER(transparenthelloworld_ingress, PCN_INGRESS, "[INGRESS]")
TRANSPARENTHELLOWORLD_HANDLER(transparenthelloworld_egress, PCN_EGRESS, "[EGRESS]")

PCN_TRANSPARENT_CUBE(transparenthelloworld_ingress, transparenthelloworld_egress);
