/* SPDX-License-Identifier: Apache-2.0 */
#include "router.h"
#include "router_embed.h"
#include "router_model.h"

#define AGING_DEFAULT 300 /* of the model */

static const struct pcn_reason reasons[] = {
#define X(name, label, help) {label, help},
    ROUTER_DROPS(X)
#undef X
};

/* ---- the cube's own leaves ---- */

int router_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct router *router = pcn_cube_state(cube);
    struct router_root config;

    /* The first change of all is the cube's own creation: what follows it has passed prepare. */
    router->established = true;
    if (!change->after)
        return 0;
    router_root_read(change->after, &config);
    router->aging = config.arp_aging_time;
    return 0;
}

/* ---- the instance ---- */

static void router_freep(struct router **ptr)
{
    struct router *router = TAKE_PTR(*ptr);

    if (!router)
        return;
    router_rib_clear(&router->rib);
    router_statics_clear(router);
    if (router->neighbours)
        router_neigh_clear(router);
    router_fib_freep(&router->fib);
    free(router);
}

static int router_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_(router_freep) struct router *router = calloc(1, sizeof(*router));
    struct router_root root;
    int r;

    if (!router)
        return -ENOMEM;
    router_root_read(config, &root);
    router->cube = cube;
    router->aging = root.arp_aging_time;
    router->rib = (struct router_rib){.ops = &router_fast_ops, .data = router, .capacity = root.fib_size};
    r = router_fast_new(router);
    if (r < 0)
        return r;
    router->neighbours = calloc(router->n_neighbours, sizeof(struct router_neigh *));
    if (!router->neighbours)
        return -ENOMEM;
    pcn_cube_set_state(cube, TAKE_PTR(router));
    return 0;
}

static void router_destroy(struct pcn_cube *cube)
{
    struct router *router = pcn_cube_state(cube);

    router_freep(&router);
}

static void router_event(struct pcn_cube *cube, const struct pcn_event *event)
{
    struct router *router = pcn_cube_state(cube);
    struct router_interface *interface = event->port ? pcn_port_state(event->port) : NULL;

    if (event->kind != PCN_EVENT_PEER) {
        router_shadow_event(router, event);
        return;
    }
    if (!interface)
        return;
    router_fast_interface(router, interface);
    interface->wired = !event->removed;
    router_announce(router, interface);
}

static void router_tick(struct pcn_cube *cube)
{
    router_neigh_tick(pcn_cube_state(cube));
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "router",
    .version = "1.0.0",
    .description = "A router for IPv4 and IPv6: static and connected routes, ECMP, ARP and neighbour discovery",
    .shape = PCN_STANDARD,
    .yang = router_yang,
    .tc_object = router_tc,
    .tc_object_end = router_tc_end,
    .xdp_object = router_xdp,
    .xdp_object_end = router_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = router_handlers,
    .n_handlers = PCN_ARRAY_SIZE(router_handlers),
    .has_shadow = true,
    .configure = router_fast_configure,
    .create = router_create,
    .destroy = router_destroy,
    .port_added = router_port_added,
    .port_removed = router_port_removed,
    .packet_in = router_packet_in,
    .event = router_event,
    .tick = router_tick,
};
