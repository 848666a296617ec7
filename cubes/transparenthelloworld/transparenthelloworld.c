/* SPDX-License-Identifier: Apache-2.0 */
#include "transparenthelloworld_embed.h"
#include "transparenthelloworld_maps.h"
#include "transparenthelloworld_model.h"
#include <pcn/cube.h>

_Static_assert((int)TRANSPARENTHELLOWORLD_DROP == TRANSPARENTHELLOWORLD_ROOT_INGRESS_ACTION_DROP &&
                   (int)TRANSPARENTHELLOWORLD_PASS == TRANSPARENTHELLOWORLD_ROOT_INGRESS_ACTION_PASS &&
                   (int)TRANSPARENTHELLOWORLD_SLOWPATH == TRANSPARENTHELLOWORLD_ROOT_INGRESS_ACTION_SLOWPATH,
               "the fast path and the model number the actions alike");

int transparenthelloworld_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct transparenthelloworld_data *data = pcn_cube_state(cube);
    struct transparenthelloworld_root root;

    if (!change->after)
        return 0;
    transparenthelloworld_root_read(change->after, &root);
    __atomic_store_n(&data->actions[PCN_INGRESS], (uint32_t)root.ingress_action, __ATOMIC_RELAXED);
    __atomic_store_n(&data->actions[PCN_EGRESS], (uint32_t)root.egress_action, __ATOMIC_RELAXED);
    return 0;
}

/* Slow path: lets the packet go on where it was taken out. */
static void transparenthelloworld_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    const char *direction = packet->record.direction == PCN_INGRESS ? "INGRESS" : "EGRESS";
    int r;

    pcn_cube_log(cube, PCN_LOG_DEBUG, "[%s] packet of %u bytes in the slow path", direction, packet->record.length);
    if (packet->record.captured < packet->record.length) {
        pcn_cube_log(cube, PCN_LOG_DEBUG, "[%s] dropping packet: it came up cut to %u bytes", direction,
                     packet->record.captured);
        return;
    }
    r = pcn_cube_send(cube, packet->record.port, (enum pcn_direction)packet->record.direction, packet->frame,
                      packet->record.captured);
    if (r < 0)
        pcn_cube_log(cube, PCN_LOG_WARN, "[%s] cannot let a packet go on: %s", direction, strerror(-r));
}

static int transparenthelloworld_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    void *data;
    size_t size;
    int r;

    r = pcn_map_memory(cube, TRANSPARENTHELLOWORLD_DATA, &data, &size);
    if (r < 0)
        return r;
    pcn_cube_set_state(cube, data);
    return 0;
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "transparenthelloworld",
    .version = "1.0.0",
    .description = "Passes packets, drops them, or sends them to user space, by direction",
    .shape = PCN_TRANSPARENT,
    .yang = transparenthelloworld_yang,
    .tc_object = transparenthelloworld_tc,
    .tc_object_end = transparenthelloworld_tc_end,
    .xdp_object = transparenthelloworld_xdp,
    .xdp_object_end = transparenthelloworld_xdp_end,
    .handlers = transparenthelloworld_handlers,
    .n_handlers = PCN_ARRAY_SIZE(transparenthelloworld_handlers),
    .create = transparenthelloworld_create,
    .packet_in = transparenthelloworld_packet_in,
};
