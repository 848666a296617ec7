/* SPDX-License-Identifier: Apache-2.0 */
/* New flows, of which the fast path tells, and ended ones, which are taken away here: the last of them are kept. */
#include "private.h"

void flow_note(struct pcn_flows *flows, const struct pcn_flow *flow, bool ended)
{
    struct pcn_flow_event *event;

    if (!__atomic_load_n(&flows->settings->events, __ATOMIC_RELAXED))
        return;
    if (!flows->events)
        flows->events = calloc(PCN_FLOW_EVENTS, sizeof(*flows->events));
    if (!flows->events)
        return;
    event = &flows->events[flows->n_events++ % PCN_FLOW_EVENTS];
    event->flow = *flow;
    event->ended = ended;
    (void)clock_gettime(CLOCK_REALTIME, &event->time);
}

bool pcn_flows_packet_in(struct pcn_flows *flows, const struct pcn_packet_in *packet)
{
    uint32_t slot = packet->record.words[0];
    struct pcn_flow flow, shown;

    if (packet->record.reason != PCN_CT_RECORD_NEW)
        return false;
    if (slot < flows->n_slots && pcn_flows_get(flows, slot, pcn_clock_jiffies(), &flow) &&
        flow_shown(flows, &flow, &shown))
        flow_note(flows, &shown, false);
    return true;
}

int pcn_flows_emit_events(struct pcn_flows *flows, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    uint64_t first, end;

    if (!pcn_ring_entries(flows->n_events, PCN_FLOW_EVENTS, n_keys ? keys[0] : NULL, &first, &end))
        return -ENOENT;
    for (uint64_t i = first; i < end; i++) {
        const struct pcn_flow_event *event = &flows->events[i % PCN_FLOW_EVENTS];

        pcn_emit_entry(emitter);
        pcn_emit_uint(emitter, "number", i + 1);
        pcn_emit_time(emitter, "time", &event->time);
        pcn_emit_string(emitter, "event", event->ended ? "ENDED" : "NEW");
        flow_emit(emitter, &event->flow);
        pcn_emit_end(emitter);
    }
    return 0;
}
