/* SPDX-License-Identifier: Apache-2.0 */
#include "helloworld.h"
#include "helloworld_embed.h"
#include "helloworld_maps.h"
#include "helloworld_model.h"

_Static_assert((int)HELLOWORLD_DROP == HELLOWORLD_ROOT_ACTION_DROP &&
                   (int)HELLOWORLD_SLOWPATH == HELLOWORLD_ROOT_ACTION_SLOWPATH &&
                   (int)HELLOWORLD_FORWARD == HELLOWORLD_ROOT_ACTION_FORWARD,
               "the fast path and the model number the actions alike");

static const struct pcn_reason reasons[] = {
    {"no-other-port", "FORWARD in a cube that has not exactly two ports"},
};

/* The fast path's data: written to in place. */
static struct helloworld_data *helloworld_data(struct pcn_cube *cube)
{
    return pcn_cube_state(cube);
}

int helloworld_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct helloworld_root root;

    if (!change->after)
        return 0;
    helloworld_root_read(change->after, &root);
    __atomic_store_n(&helloworld_data(cube)->action, (uint16_t)root.action, __ATOMIC_RELAXED);
    return 0;
}

/* The ids of the two ports; going is one that is about to be removed. */
static void helloworld_set_ports(struct pcn_cube *cube, const struct pcn_port *going)
{
    struct helloworld_data *data = helloworld_data(cube);
    uint16_t ids[2] = {HELLOWORLD_NO_PORT, HELLOWORLD_NO_PORT};
    unsigned int n = 0;

    for (struct pcn_port *port = pcn_port_next(cube, NULL); port; port = pcn_port_next(cube, port)) {
        if (port == going)
            continue;
        if (n < 2)
            ids[n] = pcn_port_id(port);
        n++;
    }
    for (unsigned int i = 0; i < 2; i++)
        __atomic_store_n(&data->ports[i], n == 2 ? ids[i] : HELLOWORLD_NO_PORT, __ATOMIC_RELAXED);
}

static int helloworld_port_added(struct pcn_cube *cube, struct pcn_port *port, struct pcn_error *error)
{
    helloworld_set_ports(cube, NULL);
    return 0;
}

static void helloworld_port_removed(struct pcn_cube *cube, struct pcn_port *port)
{
    helloworld_set_ports(cube, port);
}

static int helloworld_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    void *data;
    size_t size;
    int r;

    r = pcn_map_memory(cube, HELLOWORLD_DATA, &data, &size);
    if (r < 0)
        return r;
    pcn_cube_set_state(cube, data);
    return 0;
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "helloworld",
    .version = "1.0.0",
    .description = "Drops packets, forwards them between two ports, or sends them to user space",
    .shape = PCN_STANDARD,
    .yang = helloworld_yang,
    .tc_object = helloworld_tc,
    .tc_object_end = helloworld_tc_end,
    .xdp_object = helloworld_xdp,
    .xdp_object_end = helloworld_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = helloworld_handlers,
    .n_handlers = PCN_ARRAY_SIZE(helloworld_handlers),
    .has_egress = true,
    .create = helloworld_create,
    .port_added = helloworld_port_added,
    .port_removed = helloworld_port_removed,
    .packet_in = helloworld_packet_in,
};
