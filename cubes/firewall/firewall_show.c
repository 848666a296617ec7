/* SPDX-License-Identifier: Apache-2.0 */
/* State: counters, plans, flows. */
#include "firewall.h"
#include <stdio.h>

/* ---- chains ---- */

static void emit_counter(const struct firewall *firewall, uint32_t counter, struct pcn_emitter *emitter)
{
    struct firewall_counter sum;

    firewall_counter_read(firewall, counter, &sum);
    pcn_emit_uint(emitter, "pkts", sum.packets);
    pcn_emit_uint(emitter, "bytes", sum.bytes);
    if (sum.last)
        pcn_emit_uint(emitter, "last-hit", (pcn_clock_jiffies() - sum.last) / pcn_clock_hz());
}

int firewall_chain_stats_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                 struct pcn_emitter *emitter)
{
    const struct firewall *firewall = pcn_cube_state(cube);
    enum firewall_direction number = firewall_chain_of(keys[0]);
    const struct firewall_rules *rules = &firewall->chains[number].now;
    size_t first = 0, end = rules->n + 1;

    if (n_keys > 1) {
        first = strtoul(keys[1], NULL, 10);
        if (first >= end)
            return -ENOENT;
        end = first + 1;
    }
    for (size_t i = first; i < end; i++) {
        const struct firewall_entry *entry = i < rules->n ? rules->entries[i] : NULL;

        pcn_emit_entry(emitter);
        pcn_emit_uint(emitter, "id", i);
        emit_counter(firewall, entry ? entry->rule.counter : (uint32_t)number, emitter);
        if (entry) {
            firewall_entry_emit(entry, emitter);
        } else {
            pcn_emit_string(emitter, "description", "Default Policy");
            pcn_emit_string(emitter, "action", firewall_action_names[rules->fallback]);
        }
        pcn_emit_end(emitter);
    }
    return 0;
}

int firewall_chain_plan_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                              struct pcn_emitter *emitter)
{
    static const char *const names[] = {"source",    "destination", "protocol", "source port", "destination port",
                                        "TCP flags", "ICMP type",   "DSCP",     "state",       "interface"};
    const struct firewall *firewall = pcn_cube_state(cube);
    const struct firewall_plan_sizes sizes = firewall_plan_sizes(firewall->chains[firewall_chain_of(keys[0])].now.plan);
    _cleanup_free_ char *fields = NULL;
    size_t size, n = 0;
    FILE *file = open_memstream(&fields, &size);

    if (!file)
        return -errno;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(names); i++)
        if (sizes.used & 1u << i)
            (void)fprintf(file, "%s%s", n++ ? ", " : "", names[i]);
    if (fclose(file))
        return -ENOMEM;
    pcn_emit_uint(emitter, "rules", sizes.rules);
    if (!sizes.lead)
        pcn_emit_string(emitter, "method", sizes.rules ? "lbvs" : "default");
    else
        pcn_emit_string(emitter, "method", sizes.lead < sizes.rules ? "hash, lbvs" : "hash");
    pcn_emit_uint(emitter, "hashed", sizes.lead);
    pcn_emit_string(emitter, "fields", fields);
    pcn_emit_uint(emitter, "bytes", (uint64_t)sizes.pages * LBVS_PAGE);
    pcn_emit_uint(emitter, "vectors", sizes.vectors);
    pcn_emit_uint(emitter, "pairs", sizes.pairs);
    return 0;
}

/* ---- flows: see pcn/flows.h ---- */

static struct pcn_flows *flows_of(struct pcn_cube *cube)
{
    struct firewall *firewall = pcn_cube_state(cube);

    return &firewall->flows;
}

int firewall_statistics_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                              struct pcn_emitter *emitter)
{
    return pcn_flows_emit_statistics(flows_of(cube), emitter);
}

int firewall_session_table_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                   struct pcn_emitter *emitter)
{
    return pcn_flows_emit_sessions(flows_of(cube), keys, n_keys, emitter);
}

int firewall_flow_events_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                 struct pcn_emitter *emitter)
{
    return pcn_flows_emit_events(flows_of(cube), keys, n_keys, emitter);
}

int firewall_session_table_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    return pcn_flows_forget(flows_of(cube), keys, n_keys);
}

int firewall_flush_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                          struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_flush(flows_of(cube), input, output, error);
}

int firewall_delete_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                           struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_delete(flows_of(cube), input, output, error);
}
