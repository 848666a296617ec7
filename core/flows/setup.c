/* SPDX-License-Identifier: Apache-2.0 */
/* From the model to the table: sizes, settings, timeouts; what it says of itself. */
#include <pcn/flows.h>
#include <sys/random.h>

/* Slots looked at in a tick: the whole default table, and one of the largest in 16 s. */
#define SWEEP_MAX 131072u

int pcn_flows_configure(struct pcn_object *object, const struct pcn_flows_size *size)
{
    bool pairs = size->keys > 1;
    uint32_t n_numbers = pcn_ct_power_of(PCN_MAX(size->flows, PCN_CT_SIZE_MIN));
    uint32_t n_slots = pairs ? 2 * n_numbers : n_numbers, n_buckets = pcn_ct_buckets_for(n_slots);
    uint32_t n_traffic = size->counting ? n_slots : 1, n_windows = size->windows ? n_slots : 1;
    const struct pcn_ct_masks masks = {
        .bucket = n_buckets - 1,
        .half = pairs ? n_buckets / 2 : 0,
        .slot = n_slots - 1,
        .number = n_numbers - 1,
        .stock = pcn_ct_stock_of(n_numbers, pcn_cpus()),
        .traffic = n_traffic - 1,
        .windows = n_windows - 1,
    };
    const struct {
        const char *section;
        size_t size;
    } sections[] = {
        {PCN_CT_BUCKETS, n_buckets * sizeof(struct pcn_ct_bucket)},
        {PCN_CT_ENTRIES, n_slots * sizeof(struct pcn_ct_entry)},
        {PCN_CT_WIDES, n_slots * sizeof(struct pcn_ct_wide)},
        {PCN_CT_WINDOWS, n_windows * sizeof(struct pcn_ct_window)},
        {PCN_CT_TRAFFIC, n_traffic * sizeof(struct pcn_ct_traffic)},
        {PCN_CT_PLACES, n_slots * sizeof(__u32)},
        {PCN_CT_NUMBERS, sizeof(struct pcn_ct_numbers) + n_numbers * sizeof(__u32)},
        {PCN_CT_OWNS, n_numbers * sizeof(struct pcn_ct_own)},
    };
    /* The last one is of sessions alone. */
    size_t n_sections = PCN_ARRAY_SIZE(sections) - !pairs;
    int r;

    r = pcn_object_set(object, "pcn_ct_masks", &masks, sizeof(masks));
    for (size_t i = 0; i < n_sections && r >= 0; i++)
        r = pcn_object_trim(object, sections[i].section, sections[i].size);
    return r;
}

enum map { BUCKETS, ENTRIES, WIDES, WINDOWS, TRAFFIC, PLACES, NUMBERS, SETTINGS, STATISTICS, MAPS };

static const char *const maps[MAPS] = {
    [BUCKETS] = PCN_CT_BUCKETS, [ENTRIES] = PCN_CT_ENTRIES,   [WIDES] = PCN_CT_WIDES,
    [WINDOWS] = PCN_CT_WINDOWS, [TRAFFIC] = PCN_CT_TRAFFIC,   [PLACES] = PCN_CT_PLACES,
    [NUMBERS] = PCN_CT_NUMBERS, [SETTINGS] = PCN_CT_SETTINGS, [STATISTICS] = PCN_CT_STATISTICS,
};

int pcn_flows_open(struct pcn_cube *cube, struct pcn_flows *ret_flows)
{
    struct pcn_flows flows = {.events = ret_flows->events,
                              .n_events = ret_flows->n_events,
                              .removed = ret_flows->removed,
                              .emit = ret_flows->emit};
    void *memory[MAPS];
    size_t sizes[MAPS], size;
    int r = 0;

    for (enum map map = 0; map < MAPS && r >= 0; map++)
        r = pcn_cube_next_memory(cube, maps[map], &memory[map], &sizes[map]);
    if (r < 0)
        return r;
    r = pcn_cube_next_memory(cube, PCN_CT_OWNS, (void **)&flows.owns, &size);
    if (r < 0 && r != -ENOENT)
        return r;
    flows.n_places = (uint32_t)(sizes[BUCKETS] / sizeof(*flows.buckets)) * PCN_CT_WAYS;
    flows.n_slots = (uint32_t)(sizes[ENTRIES] / sizeof(*flows.entries));
    flows.n_numbers = (uint32_t)((sizes[NUMBERS] - sizeof(*flows.numbers)) / sizeof(*flows.ring));
    flows.buckets = memory[BUCKETS];
    flows.entries = memory[ENTRIES];
    flows.wides = memory[WIDES];
    flows.places = memory[PLACES];
    flows.numbers = memory[NUMBERS];
    flows.ring = (__u32 *)(flows.numbers + 1);
    flows.settings = memory[SETTINGS];
    flows.statistics = memory[STATISTICS];
    flows.traffic = sizes[TRAFFIC] / sizeof(*flows.traffic) >= flows.n_slots ? memory[TRAFFIC] : NULL;
    flows.windows = sizes[WINDOWS] / sizeof(*flows.windows) >= flows.n_slots ? memory[WINDOWS] : NULL;
    flows.settings->refresh = pcn_clock_hz();
    flows.settings->counting = flows.traffic != NULL;
    if (!flows.numbers->tail)
        pcn_flows_number(&flows);
    /* A table that was taken over keeps its seed. */
    if (!flows.settings->seed && getrandom(&flows.settings->seed, sizeof(flows.settings->seed), GRND_NONBLOCK) < 0)
        return -errno;
    *ret_flows = flows;
    return 0;
}

void pcn_flows_close(struct pcn_flows *flows)
{
    pcn_freep(&flows->events);
}

void pcn_flows_tick(struct pcn_flows *flows)
{
    uint32_t n = PCN_MIN(flows->n_slots, SWEEP_MAX);

    (void)pcn_flows_sweep(flows, flows->cursor, n, pcn_clock_jiffies());
    flows->cursor = (flows->cursor + n) & (flows->n_slots - 1);
}

/* ---- the groupings ---- */

void pcn_flows_apply(struct pcn_flows *flows, const struct pcn_node *config, uint16_t zone)
{
    struct pcn_ct_settings *settings = flows->settings;
    bool drop = pcn_streq(pcn_node_string(config, "when-full"), "drop");
    bool windows = pcn_node_bool(config, "window-check", false);

    /* What is there is of flows that are over. */
    if (windows && !settings->window_check && flows->windows)
        memset(flows->windows, 0, flows->n_slots * sizeof(*flows->windows));
    __atomic_store_n(&settings->zone, zone, __ATOMIC_RELAXED);
    __atomic_store_n(&settings->window_check, windows, __ATOMIC_RELAXED);
    __atomic_store_n(&settings->drop_when_full, drop, __ATOMIC_RELAXED);
    __atomic_store_n(&settings->events, pcn_node_bool(config, "events", false), __ATOMIC_RELAXED);
}

static const struct {
    const char *leaf;
    enum pcn_ct_flow flow;
} timeouts[] = {
    {"tcp-syn-sent", PCN_CT_TCP_SYN_SENT},
    {"tcp-syn-sent", PCN_CT_TCP_SYN_SENT2},
    {"tcp-syn-recv", PCN_CT_TCP_SYN_RECV},
    {"tcp-established", PCN_CT_TCP_ESTABLISHED},
    {"tcp-fin-wait", PCN_CT_TCP_FIN_WAIT},
    {"tcp-close-wait", PCN_CT_TCP_CLOSE_WAIT},
    {"tcp-last-ack", PCN_CT_TCP_LAST_ACK},
    {"tcp-time-wait", PCN_CT_TCP_TIME_WAIT},
    {"tcp-closed", PCN_CT_TCP_CLOSED},
    {"udp-new", PCN_CT_UDP_NEW},
    {"udp-replied", PCN_CT_UDP_REPLIED},
    {"udp-assured", PCN_CT_UDP_ASSURED},
    {"icmp", PCN_CT_ICMP_NEW},
    {"icmp", PCN_CT_ICMP_REPLIED},
    {"other", PCN_CT_OTHER_NEW},
    {"other", PCN_CT_OTHER_REPLIED},
};

void pcn_flows_apply_timeouts(struct pcn_flows *flows, const struct pcn_node *node)
{
    struct pcn_ct_settings *settings = flows->settings;
    uint32_t hz = pcn_clock_hz();

    for (size_t i = 0; i < PCN_ARRAY_SIZE(timeouts); i++)
        __atomic_store_n(&settings->timeouts[timeouts[i].flow], (uint32_t)pcn_node_uint(node, timeouts[i].leaf, 0) * hz,
                         __ATOMIC_RELAXED);
    __atomic_store_n(&settings->fragment_timeout, (uint32_t)pcn_node_uint(node, "fragment", 0) * hz, __ATOMIC_RELAXED);
}

int pcn_flows_emit_statistics(struct pcn_flows *flows, struct pcn_emitter *emitter)
{
    const struct pcn_ct_statistics statistics = pcn_flows_statistics(flows);

    pcn_emit_uint(emitter, "flows", pcn_flows_sweep(flows, 0, flows->n_slots, pcn_clock_jiffies()));
    pcn_emit_uint(emitter, "places", flows->n_places);
    pcn_emit_uint(emitter, "created", statistics.created);
    pcn_emit_uint(emitter, "reused", statistics.reused);
    pcn_emit_uint(emitter, "early-dropped", statistics.early_dropped);
    pcn_emit_uint(emitter, "table-full", statistics.full);
    pcn_emit_uint(emitter, "invalid", statistics.invalid);
    return 0;
}
