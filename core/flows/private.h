/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pcn/flows.h>
#include <time.h>

struct pcn_flow_event {
    struct timespec time;
    bool ended;
    struct pcn_flow flow;
};

/* Whether a key is of the zone that is shown. */
bool flow_is_of_zone(const struct pcn_flows *flows, const struct pcn_ct_key *key);
/* Whether the session table has it by this slot: a session of which both keys are of the zone is in it by the first one. */
bool flow_is_listed(const struct pcn_flows *flows, const struct pcn_flow *flow);
/* A flow, by the key that is shown. False: none of its keys is. */
bool flow_shown(const struct pcn_flows *flows, const struct pcn_flow *flow, struct pcn_flow *ret_shown);
/* Notes an event, if they are wanted. */
void flow_note(struct pcn_flows *flows, const struct pcn_flow *flow, bool ended);
/* Leaves src to state of a flow. */
void flow_emit(struct pcn_emitter *emitter, const struct pcn_flow *flow);
