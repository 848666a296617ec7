/* SPDX-License-Identifier: Apache-2.0 */
#include "lbdsr.h"
#include "lbdsr_embed.h"
#include "lbdsr_model.h"

static const struct pcn_reason reasons[] = {
    {"no-other-port", "there is not one port of each type"},
    {"no-backend", "the service has no backend that takes new flows"},
    {"fragment", "it is a fragment for a VIP, and the first one of its packet was not seen"},
    {"too-big", "it does not fit the backends' side with an outer header, and must not be answered or is not to be"},
    {"encapsulation",
     "there was no room for an outer header, it has more tags than one, or the header it came in could not be taken off"},
    {"not-allowed", "its source is in no prefix that the service allows"},
};

#define TABLE_SIZE 65537u /* defaults of the model */
#define SERVICES 64u
#define BACKENDS 4096u
#define CONNECTIONS 65536u

/* ---- leaves of the cube ---- */

int lbdsr_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    struct lbdsr_data *data = lbdsr->tables.data;
    uint64_t timeout;

    if (!change->after)
        return 0;
    timeout = pcn_node_uint(change->after, "flow-timeout", 300) * pcn_clock_hz();
    __atomic_store_n(&data->timeout, (uint32_t)PCN_MIN(timeout, (uint64_t)INT32_MAX), __ATOMIC_RELAXED);
    __atomic_store_n(&data->hash_seed, (uint32_t)pcn_node_uint(change->after, "hash-seed", 0), __ATOMIC_RELAXED);
    return 0;
}

/* The same after a restart: of the cube's name, locally administered. */
static void mac_default(const struct pcn_cube *cube, uint8_t ret_mac[ETH_ALEN])
{
    uint64_t hash = 0x6c62647372;

    for (const char *name = pcn_cube_name(cube); *name; name++)
        hash = lbdsr_mix(hash, (uint8_t)*name, 0);
    memcpy(ret_mac, &hash, ETH_ALEN);
    ret_mac[0] = 0x02;
}

int lbdsr_frontend_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    const char *mac = change->after ? pcn_node_string(change->after, "mac") : NULL;

    if (mac)
        lbdsr_mac_parse(mac, lbdsr->tables.data->mac);
    else
        mac_default(cube, lbdsr->tables.data->mac);
    return 0;
}

/* ---- ports ---- */

static void sides_write(struct lbdsr *lbdsr)
{
    struct lbdsr_data *data = lbdsr->tables.data;
    const struct pcn_port *back = NULL;

    if (lbdsr->sides[LBDSR_BACKEND] != LBDSR_NO_PORT)
        back = pcn_port_by_id(lbdsr->cube, lbdsr->sides[LBDSR_BACKEND]);
    __atomic_store_n(&data->mtu, back ? pcn_port_mtu(back) : 0, __ATOMIC_RELAXED);
    for (int side = 0; side < LBDSR_SIDES; side++)
        __atomic_store_n(&data->ports[side], lbdsr->sides[side], __ATOMIC_RELAXED);
}

static enum lbdsr_side side_of(const struct pcn_node *node)
{
    return pcn_streq(pcn_node_string(node, "type"), "BACKEND") ? LBDSR_BACKEND : LBDSR_FRONTEND;
}

int lbdsr_ports_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    const struct pcn_port *port = pcn_port_by_name(cube, change->keys[0]);
    enum lbdsr_side side;

    if (!change->after || !port)
        return 0;
    side = side_of(change->after);
    if (lbdsr->sides[side] == pcn_port_id(port))
        return 0;
    if (lbdsr->sides[side] != LBDSR_NO_PORT)
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "ports",
                             "there is a port of type %s already: there is one of each",
                             side == LBDSR_BACKEND ? "BACKEND" : "FRONTEND");
    lbdsr->sides[side] = pcn_port_id(port);
    change->resource = &lbdsr->sides[side];
    return 0;
}

void lbdsr_ports_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    uint16_t *side = TAKE_PTR(change->resource);

    if (side)
        *side = LBDSR_NO_PORT;
}

int lbdsr_ports_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);
    uint16_t *taken = TAKE_PTR(change->resource);

    /* It was of the other type. */
    for (int side = 0; taken && side < LBDSR_SIDES; side++)
        if (&lbdsr->sides[side] != taken && lbdsr->sides[side] == *taken)
            lbdsr->sides[side] = LBDSR_NO_PORT;
    sides_write(lbdsr);
    return 0;
}

static void port_removed(struct pcn_cube *cube, struct pcn_port *port)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);

    for (int side = 0; side < LBDSR_SIDES; side++)
        if (lbdsr->sides[side] == pcn_port_id(port))
            lbdsr->sides[side] = LBDSR_NO_PORT;
    sides_write(lbdsr);
}

static void event(struct pcn_cube *cube, const struct pcn_event *event)
{
    if (event->kind == PCN_EVENT_PEER)
        sides_write(pcn_cube_state(cube));
}

/* ---- the instance ---- */

static struct lbdsr_sizes sizes_of(const struct pcn_node *config)
{
    return lbdsr_sizes_for((uint32_t)pcn_node_uint(config, "max-services", SERVICES),
                           (uint32_t)pcn_node_uint(config, "max-backends", BACKENDS),
                           (uint32_t)pcn_node_uint(config, "table-size", TABLE_SIZE),
                           (uint32_t)pcn_node_uint(config, "connections", CONNECTIONS), pcn_cpus());
}

static int configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    uint64_t services = pcn_node_uint(config, "max-services", SERVICES);
    uint64_t table_size = pcn_node_uint(config, "table-size", TABLE_SIZE);
    const struct lbdsr_sizes sizes = sizes_of(config);
    const struct {
        const char *section;
        size_t size;
    } arrays[] = {
        {LBDSR_KEYS, (sizes.key_mask + 1) * sizeof(struct lbdsr_bucket)},
        {LBDSR_VIPS, sizes.n_vips * sizeof(struct lbdsr_vip)},
        {LBDSR_PLACES, sizes.n_places * sizeof(uint16_t)},
        {LBDSR_BACKENDS, sizes.n_backends * sizeof(struct lbdsr_target)},
        {LBDSR_COUNTS, sizes.n_counts * sizeof(struct lbdsr_count)},
        {LBDSR_FLOWS, sizes.n_flow_buckets * sizeof(struct lbdsr_flows)},
    };
    int r;

    r = lbdsr_table_size_check(table_size, "table-size", error);
    if (r < 0)
        return r;
    if (1 + 2 * services * table_size > LBDSR_PLACES_MAX)
        return pcn_error_set(
            error, PCN_ERROR_RESOURCE_DENIED, "max-services",
            "max-services times table-size is at most %u: 4096 services have tables of 16381, on average",
            LBDSR_PLACES_MAX / 2);
    if (sizes.n_counts > LBDSR_COUNTS_MAX)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "max-backends", "for %u CPUs it is %u at most",
                             sizes.n_cpus, LBDSR_COUNTS_MAX / sizes.n_cpus - 1);
    r = pcn_object_set(object, "lbdsr_sizes", &sizes, sizeof(sizes));
    if (r >= 0)
        r = pcn_object_resize(object, "lbdsr_servers", sizes.n_backends);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(arrays) && r >= 0; i++)
        r = pcn_object_trim(object, arrays[i].section, arrays[i].size);
    return r;
}

static int memory_open(struct lbdsr *lbdsr, uint32_t table_size)
{
    struct lbdsr_tables *tables = &lbdsr->tables;
    const struct {
        const char *map;
        void **memory;
    } arrays[] = {
        {LBDSR_KEYS, (void **)&tables->keys},     {LBDSR_VIPS, (void **)&tables->vips},
        {LBDSR_PLACES, (void **)&tables->places}, {LBDSR_BACKENDS, (void **)&tables->backends},
        {LBDSR_COUNTS, (void **)&tables->counts}, {LBDSR_FLOWS, (void **)&tables->flows},
        {LBDSR_DATA, (void **)&tables->data},
    };
    size_t size;
    int r = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(arrays) && r >= 0; i++)
        r = pcn_map_memory(lbdsr->cube, arrays[i].map, arrays[i].memory, &size);
    return r < 0 ? r : lbdsr_tables_open(tables, table_size);
}

static void lbdsr_freep(struct lbdsr **ptr)
{
    struct lbdsr *lbdsr = TAKE_PTR(*ptr);

    if (!lbdsr)
        return;
    lbdsr_config_done(lbdsr);
    lbdsr_health_close(lbdsr);
    lbdsr_tables_close(&lbdsr->tables);
    free(lbdsr);
}

static int create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_(lbdsr_freep) struct lbdsr *lbdsr = calloc(1, sizeof(*lbdsr));
    int r;

    if (!lbdsr)
        return -ENOMEM;
    lbdsr->cube = cube;
    lbdsr->tables.sizes = sizes_of(config);
    r = memory_open(lbdsr, (uint32_t)pcn_node_uint(config, "table-size", TABLE_SIZE));
    if (r >= 0)
        r = lbdsr_health_open(lbdsr);
    if (r < 0)
        return r;
    for (int side = 0; side < LBDSR_SIDES; side++)
        lbdsr->sides[side] = LBDSR_NO_PORT;
    sides_write(lbdsr);
    mac_default(cube, lbdsr->tables.data->mac);
    lbdsr->tables.data->refresh = pcn_clock_hz();
    pcn_cube_set_state(cube, TAKE_PTR(lbdsr));
    return 0;
}

static void destroy(struct pcn_cube *cube)
{
    struct lbdsr *lbdsr = pcn_cube_state(cube);

    lbdsr_freep(&lbdsr);
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "lbdsr",
    .version = "1.0.0",
    .description = "Spreads flows over backends, which answer the client directly",
    .shape = PCN_STANDARD,
    .yang = lbdsr_yang,
    .tc_object = lbdsr_tc,
    .tc_object_end = lbdsr_tc_end,
    .xdp_object = lbdsr_xdp,
    .xdp_object_end = lbdsr_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = lbdsr_handlers,
    .n_handlers = PCN_ARRAY_SIZE(lbdsr_handlers),
    .configure = configure,
    .create = create,
    .destroy = destroy,
    .port_removed = port_removed,
    .packet_in = lbdsr_packet_in,
    .event = event,
    .prepared = lbdsr_config_prepared,
    .applied = lbdsr_config_applied,
    .abandoned = lbdsr_config_abandoned,
};
