/* SPDX-License-Identifier: Apache-2.0 */
#include "conntrack_embed.h"
#include "conntrack_maps.h"
#include "conntrack_model.h"
#include <pcn/flows.h>

static const struct pcn_reason reasons[] = {
    {"table-full", "it opens a flow, and there is no room: see when-full"},
};

/* ---- the model: see pcn/flows.h ---- */

int conntrack_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    if (change->after)
        pcn_flows_apply(pcn_cube_state(cube), change->after, (uint16_t)pcn_node_uint(change->after, "zone", 0));
    return 0;
}

int conntrack_timeouts_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    if (change->after)
        pcn_flows_apply_timeouts(pcn_cube_state(cube), change->after);
    return 0;
}

int conntrack_statistics_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                               struct pcn_emitter *emitter)
{
    return pcn_flows_emit_statistics(pcn_cube_state(cube), emitter);
}

int conntrack_session_table_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                    struct pcn_emitter *emitter)
{
    return pcn_flows_emit_sessions(pcn_cube_state(cube), keys, n_keys, emitter);
}

int conntrack_flow_events_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                  struct pcn_emitter *emitter)
{
    return pcn_flows_emit_events(pcn_cube_state(cube), keys, n_keys, emitter);
}

int conntrack_session_table_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    return pcn_flows_forget(pcn_cube_state(cube), keys, n_keys);
}

int conntrack_flush_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                           struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_flush(pcn_cube_state(cube), input, output, error);
}

int conntrack_delete_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                            struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_delete(pcn_cube_state(cube), input, output, error);
}

/* ---- the instance ---- */

static void conntrack_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    (void)pcn_flows_packet_in(pcn_cube_state(cube), packet);
}

static void conntrack_tick(struct pcn_cube *cube)
{
    pcn_flows_tick(pcn_cube_state(cube));
}

static int conntrack_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    return pcn_flows_configure(
        object, &(struct pcn_flows_size){.flows = (uint32_t)pcn_node_uint(config, "table-size", PCN_CT_SIZE_DEFAULT),
                                         .counting = pcn_node_bool(config, "counting", false),
                                         .windows = true});
}

static int conntrack_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_free_ struct pcn_flows *flows = NULL;
    int r;

    flows = calloc(1, sizeof(*flows));
    if (!flows)
        return -ENOMEM;
    r = pcn_flows_open(cube, flows);
    if (r < 0)
        return r;
    pcn_cube_set_state(cube, TAKE_PTR(flows));
    return 0;
}

static void conntrack_destroy(struct pcn_cube *cube)
{
    struct pcn_flows *flows = pcn_cube_state(cube);

    if (flows)
        pcn_flows_close(flows);
    free(flows);
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
    .packet_in = conntrack_packet_in,
    .tick = conntrack_tick,
};
