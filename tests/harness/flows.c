/* SPDX-License-Identifier: Apache-2.0 */
#include <harness/suite.h>
#include <harness/testrun.h>
#include <pcn/flows.h>

int pcn_fast_flows(const struct pcn_fast *fast, uint32_t n_buckets, uint32_t keys, struct pcn_flows *ret_flows)
{
    uint32_t n_places = n_buckets * PCN_CT_WAYS;
    struct pcn_flows flows = {.n_places = n_places, .n_slots = n_places / 2, .n_numbers = n_places / 2 / keys};

    flows.buckets = pcn_fast_memory(fast, PCN_CT_BUCKETS, NULL);
    flows.entries = pcn_fast_memory(fast, PCN_CT_ENTRIES, NULL);
    flows.wides = pcn_fast_memory(fast, PCN_CT_WIDES, NULL);
    flows.places = pcn_fast_memory(fast, PCN_CT_PLACES, NULL);
    flows.numbers = pcn_fast_memory(fast, PCN_CT_NUMBERS, NULL);
    flows.owns = keys > 1 ? pcn_fast_memory(fast, PCN_CT_OWNS, NULL) : NULL;
    flows.windows = pcn_fast_memory(fast, PCN_CT_WINDOWS, NULL);
    flows.traffic = pcn_fast_memory(fast, PCN_CT_TRAFFIC, NULL);
    flows.settings = pcn_fast_memory(fast, PCN_CT_SETTINGS, NULL);
    flows.statistics = pcn_fast_memory(fast, PCN_CT_STATISTICS, NULL);
    if (!flows.buckets || !flows.entries || !flows.places || !flows.numbers || !flows.windows || !flows.traffic ||
        !flows.settings || !flows.statistics)
        return -ENOMEM;
    flows.ring = (__u32 *)(flows.numbers + 1);
    pcn_flows_number(&flows);
    flows.settings->seed = 0x123456789abcdef;
    flows.settings->refresh = pcn_clock_hz();
    flows.settings->drop_when_full = 1;
    flows.settings->fragment_timeout = 30 * pcn_clock_hz();
    for (int i = 0; i < PCN_CT_FLOW_MAX; i++)
        flows.settings->timeouts[i] = 100 * pcn_clock_hz();
    *ret_flows = flows;
    return 0;
}

void pcn_flows_clear(struct pcn_flows *flows)
{
    for (uint32_t slot = 0; slot < flows->n_slots; slot++) {
        struct pcn_flow flow;

        if (pcn_flows_get(flows, slot, pcn_clock_jiffies(), &flow))
            (void)pcn_flows_remove(flows, &flow);
    }
}

uint32_t pcn_flows_places(struct pcn_flows *flows)
{
    uint32_t n = 0;

    (void)pcn_flows_sweep(flows, 0, flows->n_slots, pcn_clock_jiffies());
    for (uint32_t place = 0; place < flows->n_places; place++)
        n += *pcn_flows_tag(flows, place) != 0;
    return n;
}

uint32_t pcn_flows_free(const struct pcn_flows *flows)
{
    _cleanup_free_ bool *seen = calloc(flows->n_numbers, sizeof(*seen));
    uint32_t n = 0;

    if (!PCN_CHECK(seen != NULL))
        return 0;
    for (uint64_t at = flows->numbers->head; at < flows->numbers->tail; at++, n++) {
        uint32_t number = flows->ring[at & (flows->n_numbers - 1)];

        PCN_CHECK(number < flows->n_numbers && !seen[number]);
        seen[number & (flows->n_numbers - 1)] = true;
    }
    for (uint32_t cpu = 0; cpu < PCN_CPUS_MAX; cpu++) {
        for (uint32_t i = 0; i < flows->numbers->stocks[cpu].n; i++, n++) {
            uint32_t number = flows->numbers->stocks[cpu].numbers[i];

            PCN_CHECK(number < flows->n_numbers && !seen[number]);
            seen[number & (flows->n_numbers - 1)] = true;
        }
    }
    return n;
}
