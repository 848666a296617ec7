/* SPDX-License-Identifier: Apache-2.0 */
#include <harness/testrun.h>
#include <pcn/flows.h>

int pcn_fast_flows(const struct pcn_fast *fast, uint32_t n_buckets, uint32_t keys, struct pcn_flows *ret_flows)
{
    struct pcn_flows flows = {.n_slots = n_buckets * PCN_CT_WAYS};

    flows.entries = pcn_fast_memory(fast, PCN_CT_ENTRIES, NULL);
    flows.tags = pcn_fast_memory(fast, PCN_CT_TAGS, NULL);
    flows.wides = pcn_fast_memory(fast, PCN_CT_WIDES, NULL);
    if (keys > 1)
        flows.owns = pcn_fast_memory(fast, PCN_CT_OWNS, NULL);
    flows.windows = pcn_fast_memory(fast, PCN_CT_WINDOWS, NULL);
    flows.traffic = pcn_fast_memory(fast, PCN_CT_TRAFFIC, NULL);
    flows.settings = pcn_fast_memory(fast, PCN_CT_SETTINGS, NULL);
    flows.statistics = pcn_fast_memory(fast, PCN_CT_STATISTICS, NULL);
    if (!flows.entries || !flows.tags || !flows.windows || !flows.traffic || !flows.settings || !flows.statistics)
        return -ENOMEM;
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
    memset(flows->entries, 0, flows->n_slots * sizeof(*flows->entries));
    memset(flows->tags, 0, flows->n_slots);
}

void pcn_flows_lose(struct pcn_flows *flows, uint32_t slot)
{
    flows->entries[slot].word = 0;
    flows->tags[slot] = 0;
}
