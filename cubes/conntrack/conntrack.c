/* SPDX-License-Identifier: Apache-2.0 */
#include "conntrack.h"
#include "conntrack_embed.h"
#include "conntrack_model.h"
#include <sys/random.h>

/* Words looked at in a tick, of 8 bytes: the whole default table, and one of the largest in 16 s. */
#define SWEEP_MAX 131072u

static const struct pcn_reason reasons[] = {
    {"table-full", "it opens a flow, and there is no room: see when-full"},
};

/* ---- settings ---- */

int conntrack_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct conntrack *conntrack = pcn_cube_state(cube);
    struct pcn_ct_settings *settings = conntrack->table.settings;
    struct conntrack_root root;

    if (!change->after)
        return 0;
    conntrack_root_read(change->after, &root);
    __atomic_store_n(&settings->zone, root.zone, __ATOMIC_RELAXED);
    __atomic_store_n(&settings->window_check, root.window_check, __ATOMIC_RELAXED);
    __atomic_store_n(&settings->drop_when_full, root.when_full == CONNTRACK_ROOT_WHEN_FULL_DROP, __ATOMIC_RELAXED);
    __atomic_store_n(&settings->counting, root.counting, __ATOMIC_RELAXED);
    return 0;
}

int conntrack_timeouts_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct conntrack *conntrack = pcn_cube_state(cube);
    struct pcn_ct_settings *settings = conntrack->table.settings;
    struct conntrack_timeouts config;

    if (!change->after)
        return 0;
    conntrack_timeouts_read(change->after, &config);

    const uint32_t seconds[PCN_CT_FLOW_MAX] = {
        [PCN_CT_TCP_SYN_SENT] = config.tcp_syn_sent,
        [PCN_CT_TCP_SYN_SENT2] = config.tcp_syn_sent,
        [PCN_CT_TCP_SYN_RECV] = config.tcp_syn_recv,
        [PCN_CT_TCP_ESTABLISHED] = config.tcp_established,
        [PCN_CT_TCP_FIN_WAIT] = config.tcp_fin_wait,
        [PCN_CT_TCP_CLOSE_WAIT] = config.tcp_close_wait,
        [PCN_CT_TCP_LAST_ACK] = config.tcp_last_ack,
        [PCN_CT_TCP_TIME_WAIT] = config.tcp_time_wait,
        [PCN_CT_TCP_CLOSED] = config.tcp_closed,
        [PCN_CT_UDP_NEW] = config.udp_new,
        [PCN_CT_UDP_REPLIED] = config.udp_replied,
        [PCN_CT_UDP_ASSURED] = config.udp_assured,
        [PCN_CT_ICMP_NEW] = config.icmp,
        [PCN_CT_ICMP_REPLIED] = config.icmp,
        [PCN_CT_OTHER_NEW] = config.other,
        [PCN_CT_OTHER_REPLIED] = config.other,
    };

    for (size_t i = 0; i < PCN_CT_FLOW_MAX; i++)
        __atomic_store_n(&settings->timeouts[i], seconds[i] * pcn_clock_hz(), __ATOMIC_RELAXED);
    __atomic_store_n(&settings->fragment_timeout, config.fragment * pcn_clock_hz(), __ATOMIC_RELAXED);
    return 0;
}

int conntrack_statistics_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                               struct pcn_emitter *emitter)
{
    struct conntrack *conntrack = pcn_cube_state(cube);
    struct conntrack_table *table = &conntrack->table;
    const struct pcn_ct_statistics statistics = conntrack_table_statistics(table);

    pcn_emit_uint(emitter, "flows", conntrack_table_sweep(table, 0, table->n_slots, pcn_clock_jiffies()));
    pcn_emit_uint(emitter, "places", table->n_slots);
    pcn_emit_uint(emitter, "created", statistics.created);
    pcn_emit_uint(emitter, "reused", statistics.reused);
    pcn_emit_uint(emitter, "early-dropped", statistics.early_dropped);
    pcn_emit_uint(emitter, "table-full", statistics.full);
    pcn_emit_uint(emitter, "invalid", statistics.invalid);
    return 0;
}

/* ---- the instance ---- */

static void conntrack_tick(struct pcn_cube *cube)
{
    struct conntrack *conntrack = pcn_cube_state(cube);
    uint32_t n = PCN_MIN(conntrack->table.n_slots, SWEEP_MAX);

    (void)conntrack_table_sweep(&conntrack->table, conntrack->cursor, n, pcn_clock_jiffies());
    conntrack->cursor = (conntrack->cursor + n) & (conntrack->table.n_slots - 1);
}

static int conntrack_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    uint32_t n_buckets = pcn_ct_buckets_for((uint32_t)pcn_node_uint(config, "table-size", PCN_CT_SIZE_DEFAULT));
    uint32_t n_slots = n_buckets * PCN_CT_WAYS;
    int r;

    r = pcn_object_resize(object, PCN_CT_BUCKETS, n_buckets);
    if (r < 0)
        return r;
    r = pcn_object_resize(object, PCN_CT_ENTRIES, n_slots);
    if (r < 0)
        return r;
    return pcn_object_resize(object, PCN_CT_TRAFFIC, pcn_node_bool(config, "counting", false) ? n_slots : 1);
}

static int table_map(struct pcn_cube *cube, struct conntrack_table *table)
{
    void *memory;
    size_t size;
    int r;

    r = pcn_map_memory(cube, PCN_CT_BUCKETS, &memory, &size);
    if (r < 0)
        return r;
    table->buckets = memory;
    table->n_slots = (uint32_t)(size / sizeof(struct pcn_ct_bucket)) * PCN_CT_WAYS;
    r = pcn_map_memory(cube, PCN_CT_ENTRIES, &memory, &size);
    if (r < 0)
        return r;
    table->entries = memory;
    r = pcn_map_memory(cube, PCN_CT_TRAFFIC, &memory, &size);
    if (r < 0)
        return r;
    table->traffic = size / sizeof(struct pcn_ct_traffic) >= table->n_slots ? memory : NULL;
    r = pcn_map_memory(cube, PCN_CT_SETTINGS, &memory, &size);
    if (r < 0)
        return r;
    table->settings = memory;
    r = pcn_map_memory(cube, PCN_CT_STATISTICS, &memory, &size);
    if (r < 0)
        return r;
    table->statistics = memory;
    return 0;
}

static int conntrack_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_free_ struct conntrack *conntrack = NULL;
    struct pcn_ct_settings *settings;
    int r;

    conntrack = calloc(1, sizeof(*conntrack));
    if (!conntrack)
        return -ENOMEM;
    r = table_map(cube, &conntrack->table);
    if (r < 0)
        return r;
    settings = conntrack->table.settings;
    settings->bucket_mask = conntrack->table.n_slots / PCN_CT_WAYS - 1;
    settings->refresh = pcn_clock_hz();
    /* A table that was taken over keeps its seed. */
    if (!settings->seed && getrandom(&settings->seed, sizeof(settings->seed), GRND_NONBLOCK) < 0)
        return -errno;
    pcn_cube_set_state(cube, TAKE_PTR(conntrack));
    return 0;
}

static void conntrack_destroy(struct pcn_cube *cube)
{
    free(pcn_cube_state(cube));
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "conntrack",
    .version = "1.0.0",
    .description = "Tracks connections, and labels packets for the cubes behind it",
    .shape = PCN_TRANSPARENT,
    .yang = conntrack_yang,
    .tc_object = conntrack_tc,
    .tc_object_end = conntrack_tc_end,
    .xdp_object = conntrack_xdp,
    .xdp_object_end = conntrack_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = conntrack_handlers,
    .n_handlers = PCN_ARRAY_SIZE(conntrack_handlers),
    .configure = conntrack_configure,
    .create = conntrack_create,
    .destroy = conntrack_destroy,
    .tick = conntrack_tick,
};
