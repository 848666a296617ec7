/* SPDX-License-Identifier: Apache-2.0 */
/* Transparent cubes on their points: a port or a netdev. */
#include "private.h"
#include <base/log.h>
#include <stdio.h>

struct point {
    struct pcn_port *port; /* one of the two */
    struct pcn_netdev *netdev;
    struct pcn_stack *stack;
};

static int point_find(struct pcn_chain *chain, const char *target, struct point *ret_point, struct pcn_error *error)
{
    const char *colon = strchr(target, ':');
    char name[PCN_NAME_MAX + 1];
    struct pcn_cube *cube;

    if (!colon) {
        ret_point->netdev = pcn_chain_netdev(chain, target);
        if (!ret_point->netdev)
            return -ENODEV;
        ret_point->stack = &ret_point->netdev->stack;
        return 0;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)(colon - target), target);
    cube = pcn_chain_cube(chain, name);
    if (!cube)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "port", "Cube %s does not exist", name);
    ret_point->port = pcn_port_by_name(cube, colon + 1);
    if (!ret_point->port)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "port", "Port %s does not exist in cube %s", colon + 1,
                             name);
    ret_point->stack = &ret_point->port->stack;
    return 0;
}

static int stack_index(const struct pcn_stack *stack, enum pcn_position position, const char *other, size_t *ret_index,
                       struct pcn_error *error)
{
    switch (position) {
    case PCN_POSITION_FIRST:
        *ret_index = 0;
        return 0;
    case PCN_POSITION_BEFORE:
    case PCN_POSITION_AFTER:
        for (size_t i = 0; i < stack->n; i++) {
            if (!pcn_streq(stack->cubes[i]->name, other))
                continue;
            *ret_index = i + (position == PCN_POSITION_AFTER);
            return 0;
        }
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, position == PCN_POSITION_AFTER ? "after" : "before",
                             "Cube %s is not attached there", other);
    default:
        *ret_index = stack->n;
        return 0;
    }
}

static void point_mark(struct pcn_chain *chain, const struct point *point)
{
    if (point->port) {
        chain_mark_port(point->port);
    } else {
        chain_mark_netdev(chain, point->netdev);
        if (point->netdev->port)
            chain_mark_port(point->netdev->port);
    }
}

static void parent_notify(struct pcn_cube *cube)
{
    const struct pcn_event event = {.kind = PCN_EVENT_PARENT, .removed = !cube->parent_port && !cube->parent_netdev};

    if (cube->live && cube->kind->event)
        cube->kind->event(cube, &event);
}

static int attach_check(const struct pcn_cube *cube, const struct point *point, struct pcn_error *error)
{
    char parent[2 * PCN_NAME_MAX + 2];

    if (point->port && type_is_xdp(point->port->cube->type) != type_is_xdp(cube->type))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "cube",
                             "%s and %s have incompatible types: %s and %s; a packet cannot go between TC and XDP",
                             cube->name, point->port->cube->name, chain_type_names[cube->type],
                             chain_type_names[point->port->cube->type]);
    if (point->stack->n == PCN_STACK_MAX)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "cube",
                             "%d cubes are attached there already, the most there can be", PCN_STACK_MAX);
    pcn_cube_parent(cube, parent, sizeof(parent));
    if (parent[0])
        return pcn_error_set(error, PCN_ERROR_IN_USE, "cube", "Cube %s is already attached to %s", cube->name, parent);
    return 0;
}

int pcn_chain_attach(struct pcn_cube *cube, const char *target, enum pcn_position position, const char *other,
                     struct pcn_error *error)
{
    struct pcn_chain *chain = cube->chain;
    struct point point = {};
    size_t index = 0;
    int r;

    if (cube->kind->shape != PCN_TRANSPARENT)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "cube", "Cube %s is not transparent", cube->name);
    r = attach_check(cube, &(struct point){.stack = &(struct pcn_stack){}}, error);
    if (r < 0)
        return r;
    if (!strchr(target, ':')) {
        struct pcn_netdev *netdev;

        r = chain_netdev_use(chain, target, cube->type, &netdev, error);
        if (r < 0)
            return r;
    }
    r = point_find(chain, target, &point, error);
    if (r < 0)
        return r;
    r = attach_check(cube, &point, error);
    if (r >= 0)
        r = stack_index(point.stack, position, other, &index, error);
    if (r < 0) {
        if (point.netdev)
            chain_netdev_idle(point.netdev);
        return r;
    }
    memmove(&point.stack->cubes[index + 1], &point.stack->cubes[index],
            (point.stack->n - index) * sizeof(point.stack->cubes[0]));
    point.stack->cubes[index] = cube;
    point.stack->n++;
    cube->parent_port = point.port;
    cube->parent_netdev = point.netdev;
    if (point.netdev)
        point.netdev->idle_since = 0;
    point_mark(chain, &point);
    pcn_chain_rewire(chain);
    parent_notify(cube);
    return 0;
}

int pcn_chain_detach(struct pcn_cube *cube, const char *target, struct pcn_error *error)
{
    struct pcn_chain *chain = cube->chain;
    struct point point = {};
    size_t i;
    int r;

    if (cube->kind->shape != PCN_TRANSPARENT)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "cube", "Cube %s is not transparent", cube->name);
    r = point_find(chain, target, &point, error);
    if (r == -ENODEV)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "port", "Cube %s is not attached to %s", cube->name,
                             target);
    if (r < 0)
        return r;
    for (i = 0; i < point.stack->n && point.stack->cubes[i] != cube; i++)
        ;
    if (i == point.stack->n)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "port", "Cube %s is not attached to %s", cube->name,
                             target);
    memmove(&point.stack->cubes[i], &point.stack->cubes[i + 1],
            (point.stack->n - i - 1) * sizeof(point.stack->cubes[0]));
    point.stack->n--;
    cube->parent_port = NULL;
    cube->parent_netdev = NULL;
    point_mark(chain, &point);
    pcn_chain_rewire(chain);
    if (point.netdev)
        chain_netdev_idle(point.netdev);
    /* Packets inside still have their way out: pcn_chain_tick() closes it. */
    parent_notify(cube);
    return 0;
}
