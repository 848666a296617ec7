/* SPDX-License-Identifier: Apache-2.0 */
#include "simplebridge.h"
#include "simplebridge_embed.h"
#include "simplebridge_model.h"
#include <stdio.h>
#include <sys/random.h>

#define SIMPLEBRIDGE_SIZE 4096 /* default of fdb/size */
/* Buckets looked at in a tick: the whole table within a quarter of the ageing time, within reason. */
#define SWEEP_MIN 64u
#define SWEEP_MAX 8192u

static const struct pcn_reason reasons[] = {
    {"bad-source", "the source address is zero, or that of a group"},
    {"reserved-address", "sent to 01:80:c2:00:00:00-0f, which a bridge does not forward"},
    {"same-port", "the station is behind the port the packet came in by"},
};

/* ---- fdb: its settings ---- */

int simplebridge_fdb_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct simplebridge *bridge = pcn_cube_state(cube);
    struct simplebridge_data *data = bridge->table.data;
    struct simplebridge_fdb config;
    uint64_t aging, refresh;

    if (!change->after)
        return 0;
    simplebridge_fdb_read(change->after, &config);
    bridge->aging = config.aging_time;
    aging = (uint64_t)config.aging_time * pcn_clock_hz();
    refresh = PCN_MIN(aging / 8, (uint64_t)pcn_clock_hz());
    __atomic_store_n(&data->refresh, refresh, __ATOMIC_RELAXED);
    __atomic_store_n(&data->aging, aging, __ATOMIC_RELAXED);
    return 0;
}

int simplebridge_fdb_flush_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                  const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    struct simplebridge *bridge = pcn_cube_state(cube);
    const struct simplebridge_sweep all = {.now = pcn_clock_jiffies()};

    simplebridge_table_sweep(&bridge->table, 0, bridge->table.n_buckets, &all);
    pcn_emit_bool(output, "flushed", true);
    return 0;
}

/* ---- fdb/entry: configured stations ---- */

static void static_freep(struct simplebridge_static **ptr)
{
    struct simplebridge_static *entry = TAKE_PTR(*ptr);

    if (!entry)
        return;
    free(entry->port);
    free(entry);
}

static struct simplebridge_static *static_find(const struct simplebridge *bridge, uint64_t mac)
{
    struct simplebridge_static *entry;

    HASH_FIND(hh, bridge->statics, &mac, sizeof(mac), entry);
    return entry;
}

static void static_publish(struct pcn_cube *cube, const struct simplebridge_static *entry, const struct pcn_port *port)
{
    struct simplebridge *bridge = pcn_cube_state(cube);

    simplebridge_table_publish(&bridge->table, entry->slot, entry->mac, port ? pcn_port_id(port) : -1);
}

int simplebridge_fdb_entry_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct simplebridge_fdb_entry entry;
    char path[64];
    uint64_t mac;

    if (!change->after)
        return 0;
    simplebridge_fdb_entry_read(change->after, &entry);
    mac = simplebridge_mac_parse(entry.address);
    if (mac && !(mac & 1))
        return 0;
    (void)snprintf(path, sizeof(path), "fdb/entry/%s/address", entry.address);
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                         "%s is not the address of a station: the first byte has to be even, and not all may be zero",
                         entry.address);
}

/*
 * Its port has to exist, but for the entries a cube is created with: those of a restored
 * configuration may have outlived their ports.
 */
static int entry_check_port(struct pcn_cube *cube, const struct simplebridge_fdb_entry *entry, struct pcn_error *error)
{
    const struct simplebridge *bridge = pcn_cube_state(cube);
    char path[64];

    if (pcn_port_by_name(cube, entry->port))
        return 0;
    (void)snprintf(path, sizeof(path), "fdb/entry/%s/port", entry->address);
    if (!bridge->established) {
        pcn_cube_log(cube, PCN_LOG_WARN, "%s: Port %s does not exist", path, entry->port);
        return 0;
    }
    return pcn_error_set(error, PCN_ERROR_DATA_MISSING, path, "Port %s does not exist: add it before its stations",
                         entry->port);
}

int simplebridge_fdb_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    _cleanup_(static_freep) struct simplebridge_static *new = NULL;
    struct simplebridge *bridge = pcn_cube_state(cube);
    struct simplebridge_fdb_entry entry;
    const struct simplebridge_static *old;
    int r;

    if (!change->after)
        return 0;
    simplebridge_fdb_entry_read(change->after, &entry);
    r = entry_check_port(cube, &entry, error);
    if (r < 0)
        return r;
    new = calloc(1, sizeof(*new));
    if (!new)
        return -ENOMEM;
    new->mac = simplebridge_mac_parse(entry.address);
    new->port = strdup(entry.port);
    if (!new->port)
        return -ENOMEM;
    old = static_find(bridge, new->mac);
    new->slot = old ? old->slot : simplebridge_table_reserve(&bridge->table, new->mac);
    if (!new->slot)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "fdb/entry",
                             "there is no room for %s: the places it can take in the table hold other configured "
                             "entries; create the bridge with a larger fdb/size",
                             entry.address);
    change->resource = TAKE_PTR(new);
    return 0;
}

void simplebridge_fdb_entry_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    struct simplebridge_static *new = TAKE_PTR(change->resource);

    if (new && !static_find(pcn_cube_state(cube), new->mac))
        simplebridge_table_release(new->slot);
    static_freep(&new);
}

int simplebridge_fdb_entry_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct simplebridge *bridge = pcn_cube_state(cube);
    struct simplebridge_static *new = TAKE_PTR(change->resource), *old;
    uint64_t mac = new ? new->mac : simplebridge_mac_parse(change->keys[change->n_keys - 1]);

    old = static_find(bridge, mac);
    if (old)
        HASH_DEL(bridge->statics, old);
    if (new) {
        HASH_ADD(hh, bridge->statics, mac, sizeof(new->mac), new);
        static_publish(cube, new, pcn_port_by_name(cube, new->port));
    } else if (old) {
        simplebridge_table_release(old->slot);
    }
    static_freep(&old);
    return 0;
}

/* ---- fdb/entry: what is shown ---- */

static void emit_entry(struct pcn_emitter *emitter, uint64_t mac, const char *port, const uint32_t *age)
{
    char text[18];

    simplebridge_mac_format(mac, text);
    pcn_emit_entry(emitter);
    pcn_emit_string(emitter, "address", text);
    pcn_emit_string(emitter, "port", port);
    if (age)
        pcn_emit_uint(emitter, "age", *age);
    pcn_emit_end(emitter);
}

/* A learned station, unless it is none, expired, or of a port that is gone. */
static int emit_learned(struct pcn_cube *cube, struct pcn_emitter *emitter, uint64_t station, const __u64 *slot,
                        uint64_t now)
{
    const struct simplebridge *bridge = pcn_cube_state(cube);
    uint64_t mac = station & SIMPLEBRIDGE_MAC;
    const struct pcn_port *port;
    uint32_t age;

    /* Of two copies, packets find the first. */
    if (!simplebridge_table_is_fresh(&bridge->table, station, slot, now, &age) || static_find(bridge, mac) ||
        simplebridge_table_find(&bridge->table, mac, NULL) != slot)
        return -ENOENT;
    port = pcn_port_by_id(cube, (uint16_t)simplebridge_port(station));
    if (!port)
        return -ENOENT;
    emit_entry(emitter, mac, pcn_port_name(port), &age);
    return 0;
}

int simplebridge_fdb_entry_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                   struct pcn_emitter *emitter)
{
    const struct simplebridge *bridge = pcn_cube_state(cube);
    const struct simplebridge_static *entry;
    uint64_t now = pcn_clock_jiffies();
    __u64 station;
    const __u64 *slot;

    if (n_keys > 0) {
        uint64_t mac = simplebridge_mac_parse(keys[0]);

        entry = static_find(bridge, mac);
        if (entry) {
            emit_entry(emitter, mac, entry->port, NULL);
            return 0;
        }
        slot = simplebridge_table_find(&bridge->table, mac, &station);
        return slot ? emit_learned(cube, emitter, station, slot, now) : -ENOENT;
    }
    for (entry = bridge->statics; entry; entry = entry->hh.next)
        emit_entry(emitter, entry->mac, entry->port, NULL);
    for (uint32_t i = 0; i < bridge->table.n_buckets; i++) {
        for (unsigned int way = 0; way < SIMPLEBRIDGE_WAYS; way++) {
            slot = &bridge->table.buckets[i].stations[way];
            station = __atomic_load_n(slot, __ATOMIC_RELAXED);
            (void)emit_learned(cube, emitter, station, slot, now);
        }
    }
    return 0;
}

int simplebridge_fdb_entry_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    struct simplebridge *bridge = pcn_cube_state(cube);
    const struct simplebridge_sweep all = {.now = pcn_clock_jiffies()};

    if (n_keys > 0 && keys[n_keys - 1])
        return simplebridge_table_forget(&bridge->table, simplebridge_mac_parse(keys[n_keys - 1]));
    simplebridge_table_sweep(&bridge->table, 0, bridge->table.n_buckets, &all);
    return 0;
}

/* ---- ports ---- */

struct ports {
    const struct pcn_cube *cube;
    const struct pcn_port *going;
};

static bool ports_keep(uint16_t id, void *data)
{
    const struct ports *ports = data;
    const struct pcn_port *port = pcn_port_by_id(ports->cube, id);

    return port && port != ports->going;
}

static void bridge_sweep(struct pcn_cube *cube, uint32_t first, uint32_t n, const struct pcn_port *going)
{
    struct simplebridge *bridge = pcn_cube_state(cube);
    struct ports ports = {.cube = cube, .going = going};
    const struct simplebridge_sweep sweep = {.now = pcn_clock_jiffies(), .keep = ports_keep, .data = &ports};

    simplebridge_table_sweep(&bridge->table, first, n, &sweep);
}

static void bridge_publish_port(struct pcn_cube *cube, const struct pcn_port *port, bool there)
{
    const struct simplebridge *bridge = pcn_cube_state(cube);
    const char *name = pcn_port_name(port);

    for (const struct simplebridge_static *entry = bridge->statics; entry; entry = entry->hh.next) {
        if (pcn_streq(entry->port, name))
            static_publish(cube, entry, there ? port : NULL);
    }
}

static int simplebridge_port_added(struct pcn_cube *cube, struct pcn_port *port, struct pcn_error *error)
{
    bridge_publish_port(cube, port, true);
    return 0;
}

static void simplebridge_port_removed(struct pcn_cube *cube, struct pcn_port *port)
{
    struct simplebridge *bridge = pcn_cube_state(cube);

    bridge_publish_port(cube, port, false);
    bridge_sweep(cube, 0, bridge->table.n_buckets, port);
    bridge->purge = true;
}

/* Whoever was behind a port that lost its peer is not there any more. */
static void simplebridge_event(struct pcn_cube *cube, const struct pcn_event *event)
{
    const struct simplebridge *bridge = pcn_cube_state(cube);

    if (event->kind == PCN_EVENT_PEER && event->removed)
        bridge_sweep(cube, 0, bridge->table.n_buckets, event->port);
}

static void simplebridge_tick(struct pcn_cube *cube)
{
    struct simplebridge *bridge = pcn_cube_state(cube);
    uint32_t n = bridge->table.n_buckets / PCN_MAX(bridge->aging / 4, 1u);

    n = PCN_MIN(PCN_MAX(n, SWEEP_MIN), SWEEP_MAX);
    if (bridge->purge || n > bridge->table.n_buckets)
        n = bridge->table.n_buckets;
    bridge->purge = false;
    bridge_sweep(cube, bridge->cursor, n, NULL);
    bridge->cursor = (bridge->cursor + n) & bridge->table.data->mask;
}

/* ---- the instance ---- */

/* Two slots for each station asked for: a hash that is half full pushes nobody out. */
static int simplebridge_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    const struct pcn_node *fdb = pcn_node_container(config, "fdb");
    uint64_t size = fdb ? pcn_node_uint(fdb, "size", SIMPLEBRIDGE_SIZE) : SIMPLEBRIDGE_SIZE;
    uint32_t n_buckets = 1;

    while (n_buckets * SIMPLEBRIDGE_WAYS < 2 * size)
        n_buckets *= 2;
    return pcn_object_resize(object, SIMPLEBRIDGE_FDB, n_buckets);
}

static int simplebridge_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_free_ struct simplebridge *bridge = NULL;
    void *memory;
    size_t size;
    int r;

    bridge = calloc(1, sizeof(*bridge));
    if (!bridge)
        return -ENOMEM;
    r = pcn_map_memory(cube, SIMPLEBRIDGE_DATA, &memory, &size);
    if (r < 0)
        return r;
    bridge->table.data = memory;
    r = pcn_map_memory(cube, SIMPLEBRIDGE_FDB, &memory, &size);
    if (r < 0)
        return r;
    bridge->table.buckets = memory;
    bridge->table.n_buckets = (uint32_t)(size / sizeof(struct simplebridge_bucket));
    bridge->table.data->mask = bridge->table.n_buckets - 1;
    /* A table that was taken over keeps its seed. */
    if (!bridge->table.data->seed &&
        getrandom(&bridge->table.data->seed, sizeof(bridge->table.data->seed), GRND_NONBLOCK) < 0)
        return -errno;
    pcn_cube_set_state(cube, TAKE_PTR(bridge));
    return 0;
}

static void simplebridge_destroy(struct pcn_cube *cube)
{
    struct simplebridge *bridge = pcn_cube_state(cube);
    struct simplebridge_static *entry, *next;

    HASH_ITER(hh, bridge->statics, entry, next)
    {
        HASH_DEL(bridge->statics, entry);
        static_freep(&entry);
    }
    free(bridge);
}

/* The first change of all is the cube's own creation: what follows it has passed prepare. */
int simplebridge_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct simplebridge *bridge = pcn_cube_state(cube);

    bridge->established = true;
    return 0;
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "simplebridge",
    .version = "1.0.0",
    .description = "A learning bridge",
    .shape = PCN_STANDARD,
    .yang = simplebridge_yang,
    .tc_object = simplebridge_tc,
    .tc_object_end = simplebridge_tc_end,
    .xdp_object = simplebridge_xdp,
    .xdp_object_end = simplebridge_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = simplebridge_handlers,
    .n_handlers = PCN_ARRAY_SIZE(simplebridge_handlers),
    .configure = simplebridge_configure,
    .create = simplebridge_create,
    .destroy = simplebridge_destroy,
    .port_added = simplebridge_port_added,
    .port_removed = simplebridge_port_removed,
    .event = simplebridge_event,
    .tick = simplebridge_tick,
};
