/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pcn/flows.h>
#include <time.h>

struct pcn_flow_event {
    struct timespec time;
    bool ended;
    struct pcn_flow flow;
};

/* Notes an event, if they are wanted. */
void flow_note(struct pcn_flows *flows, const struct pcn_flow *flow, bool ended);
/* Leaves src to state of a flow. */
void flow_emit(struct pcn_emitter *emitter, const struct pcn_flow *flow);
