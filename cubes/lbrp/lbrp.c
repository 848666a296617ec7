/* SPDX-License-Identifier: Apache-2.0 */
#include "lbrp.h"
#include "lbrp_embed.h"
#include "lbrp_model.h"
#include <pcn/answer.h>
#include <pcn/maglev.h>

static const struct pcn_reason reasons[] = {
    {"no-other-port", "there is not a port of each type"},
    {"no-backend", "the service has no backend that takes new sessions; the client is told so"},
    {"no-session", "it is for a service, of no session, and opens none; the client is told so"},
    {"table-full", "it opens a session, and there is no room"},
    {"no-source", "it opens a session, and every source that was tried is in use with this backend"},
    {"invalid", "it comes from the wrong side of its session, or that has just ended"},
    {"fragment", "it is a fragment for a VIP, and the first one of its packet was not seen"},
    {"race", "it opens a session that another CPU is just opening, by another packet"},
};
_Static_assert(PCN_ARRAY_SIZE(reasons) == LBRP_DROP_REASONS - PCN_DROP_KIND_FIRST, "all have a label");

#define SERVICES 256u /* defaults of the model */
#define BACKENDS 4096u
#define SIZE 4093u

/* The same after a restart: of the cube's name, locally administered. */
static void mac_default(const struct pcn_cube *cube, uint8_t ret_mac[ETH_ALEN])
{
    uint64_t hash = 0x6c627270;

    for (const char *name = pcn_cube_name(cube); *name; name++)
        hash = lbrp_mix(hash, (uint8_t)*name, 0);
    memcpy(ret_mac, &hash, ETH_ALEN);
    ret_mac[0] = 0x02;
}

int lbrp_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    const char *mac = change->after ? pcn_node_string(change->after, "mac") : NULL;

    if (!change->after)
        return 0;
    pcn_flows_apply(&lbrp->flows, change->after, LBRP_CLIENT);
    if (mac)
        lbrp_mac_parse(mac, lbrp->tables.data->mac);
    else
        mac_default(cube, lbrp->tables.data->mac);
    return 0;
}

/* ---- packets that the fast path sent up ---- */

static void packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    const struct pcn_record *record = &packet->record;
    uint8_t answer[PCN_ANSWER_MAX];
    size_t size;

    if (pcn_flows_packet_in(&lbrp->flows, packet))
        return;
    if (record->reason == LBRP_SLOW_SOLICITED)
        size = pcn_answer_solicitation(packet->frame, record->captured, lbrp->tables.data->mac, answer);
    else
        size = pcn_answer_reject(packet->frame, record->captured, record->words[0], (uint8_t)record->words[1], answer);
    if (size)
        (void)pcn_cube_send(cube, record->port, PCN_EGRESS, answer, size);
}

/* ---- the instance ---- */

static struct lbrp_sizes sizes_of(const struct pcn_node *config)
{
    return lbrp_sizes_for((uint32_t)pcn_node_uint(config, "max-services", SERVICES),
                          (uint32_t)pcn_node_uint(config, "max-backends", BACKENDS),
                          (uint32_t)pcn_node_uint(config, "maglev-size", SIZE), pcn_cpus());
}

static int configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    uint32_t sessions = (uint32_t)pcn_node_uint(config, "table-size", PCN_CT_SIZE_DEFAULT);
    uint64_t services = pcn_node_uint(config, "max-services", SERVICES);
    const struct lbrp_sizes sizes = sizes_of(config);
    const struct {
        const char *section;
        size_t size;
    } arrays[] = {
        {LBRP_KEYS, (sizes.key_mask + 1) * sizeof(struct lbrp_bucket)},
        {LBRP_NAMES, sizes.n_names * sizeof(struct lbrp_name)},
        {LBRP_SERVICES, sizes.n_services * sizeof(struct lbrp_vip)},
        {LBRP_PLACES, sizes.n_places * sizeof(uint16_t)},
        {LBRP_BACKENDS, sizes.n_backends * sizeof(struct lbrp_target)},
        {LBRP_LOADS, sizes.n_backends * sizeof(struct lbrp_load)},
        {LBRP_COUNTS, sizes.n_counts * sizeof(struct lbrp_count)},
    };
    int r;

    if (!pcn_maglev_is_prime(sizes.size))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "maglev-size",
                             "%u is not a prime: of a table of another size, backends could not reach all places",
                             sizes.size);
    if (2 * services * sizes.size > LBRP_PLACES_MAX)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "max-services",
                             "max-services times maglev-size is at most %u: 16384 services have 4093",
                             LBRP_PLACES_MAX / 2);
    if (sizes.n_counts > LBRP_COUNTS_MAX)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "max-backends", "for %u CPUs it is %u at most",
                             sizes.n_cpus, LBRP_COUNTS_MAX / sizes.n_cpus - 1);
    r = pcn_flows_configure(object, &(struct pcn_flows_size){.flows = sessions,
                                                             .keys = PCN_CT_KEYS,
                                                             .counting = pcn_node_bool(config, "counting", false)});
    if (r >= 0)
        r = pcn_object_set(object, "lbrp_sizes", &sizes, sizeof(sizes));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(arrays) && r >= 0; i++)
        r = pcn_object_trim(object, arrays[i].section, arrays[i].size);
    return r;
}

static int memory_open(struct lbrp *lbrp)
{
    struct lbrp_tables *tables = &lbrp->tables;
    const struct {
        const char *map;
        void **memory;
    } arrays[] = {
        {LBRP_KEYS, (void **)&tables->keys},         {LBRP_NAMES, (void **)&tables->names},
        {LBRP_SERVICES, (void **)&tables->services}, {LBRP_PLACES, (void **)&tables->places},
        {LBRP_BACKENDS, (void **)&tables->backends}, {LBRP_LOADS, (void **)&tables->loads},
        {LBRP_COUNTS, (void **)&tables->counts},     {LBRP_DATA, (void **)&tables->data},
    };
    size_t size;
    int r = pcn_flows_open(lbrp->cube, &lbrp->flows);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(arrays) && r >= 0; i++)
        r = pcn_map_memory(lbrp->cube, arrays[i].map, arrays[i].memory, &size);
    return r < 0 ? r : lbrp_tables_open(tables);
}

static void lbrp_freep(struct lbrp **ptr)
{
    struct lbrp *lbrp = TAKE_PTR(*ptr);

    if (!lbrp)
        return;
    pcn_flows_close(&lbrp->flows);
    lbrp_config_done(lbrp);
    lbrp_health_close(lbrp);
    lbrp_sides_done(lbrp);
    lbrp_tables_close(&lbrp->tables);
    free(lbrp);
}

static int create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_(lbrp_freep) struct lbrp *lbrp = calloc(1, sizeof(*lbrp));
    struct lbrp_data *data;
    int r;

    if (!lbrp)
        return -ENOMEM;
    lbrp->cube = cube;
    lbrp->flows.removed = lbrp_flow_removed;
    lbrp->flows.emit = lbrp_flow_emit;
    lbrp->tables.sizes = sizes_of(config);
    r = memory_open(lbrp);
    if (r >= 0)
        r = lbrp_health_open(lbrp);
    if (r < 0)
        return r;
    data = lbrp->tables.data;
    data->front = data->back = LBRP_NO_PORT;
    lbrp->settings.port_first = data->port_first = 1024;
    lbrp->settings.port_last = data->port_last = 65535;
    lbrp->next_settings = lbrp->settings;
    mac_default(cube, data->mac);
    pcn_cube_set_state(cube, TAKE_PTR(lbrp));
    return 0;
}

static void destroy(struct pcn_cube *cube)
{
    struct lbrp *lbrp = pcn_cube_state(cube);

    lbrp_freep(&lbrp);
}

static void port_removed(struct pcn_cube *cube, struct pcn_port *port)
{
    lbrp_sides_removed(pcn_cube_state(cube), pcn_port_id(port));
}

static void tick(struct pcn_cube *cube)
{
    pcn_flows_tick(pcn_cube_state(cube));
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "lbrp",
    .version = "1.0.0",
    .description = "Spreads sessions over backends, and answers for them",
    .shape = PCN_STANDARD,
    .yang = lbrp_yang,
    .tc_object = lbrp_tc,
    .tc_object_end = lbrp_tc_end,
    .xdp_object = lbrp_xdp,
    .xdp_object_end = lbrp_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = lbrp_handlers,
    .n_handlers = PCN_ARRAY_SIZE(lbrp_handlers),
    .configure = configure,
    .create = create,
    .destroy = destroy,
    .port_removed = port_removed,
    .packet_in = packet_in,
    .tick = tick,
    .prepared = lbrp_config_prepared,
    .applied = lbrp_config_applied,
    .abandoned = lbrp_config_abandoned,
};
