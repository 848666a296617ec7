/* SPDX-License-Identifier: Apache-2.0 */
#include "private.h"
#include <base/log.h>
#include <stdio.h>
#include <uuid/uuid.h>

static int port_free_id(struct pcn_cube *cube, uint16_t *ret_id)
{
    struct pcn_port **ports;
    uint16_t n;

    for (uint16_t id = 0; id < cube->n_ids; id++) {
        if (!cube->port_by_id[id]) {
            *ret_id = id;
            return 0;
        }
    }
    if (cube->n_ids == PCN_PORTS_MAX)
        return -ENOSPC;
    n = (uint16_t)PCN_MIN(PCN_MAX(cube->n_ids * 2, 4), PCN_PORTS_MAX);
    ports = realloc(cube->port_by_id, n * sizeof(struct pcn_port *));
    if (!ports)
        return -ENOMEM;
    memset(ports + cube->n_ids, 0, (size_t)(n - cube->n_ids) * sizeof(struct pcn_port *));
    *ret_id = cube->n_ids;
    cube->port_by_id = ports;
    cube->n_ids = n;
    return 0;
}

static void cube_set_n_ports(struct pcn_cube *cube)
{
    uint16_t n = cube->n_ids;

    while (n > 0 && !cube->port_by_id[n - 1])
        n--;
    __atomic_store_n(&pcn_instance_data(cube->patch.instance)->n_ports, n, __ATOMIC_RELEASE);
}

int pcn_chain_port_new(struct pcn_cube *cube, const char *name, const char *uuid, struct pcn_port **ret_port,
                       struct pcn_error *error)
{
    struct pcn_port *port;
    uuid_t generated;
    uint16_t id = 0;
    int r;

    if (cube->kind->shape != PCN_STANDARD)
        return pcn_error_set(error, PCN_ERROR_NOT_SUPPORTED, "ports", "Cube %s is transparent: it has no ports",
                             cube->name);
    if (pcn_port_by_name(cube, name))
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "ports", "Port %s exists already", name);
    r = port_free_id(cube, &id);
    if (r == -ENOSPC)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "ports", "cube %s has %d ports, the most it can have",
                             cube->name, PCN_PORTS_MAX);
    if (r < 0)
        return r;
    r = patch_reserve(&cube->patch, id);
    if (r < 0)
        return r;
    port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->cube = cube;
    port->id = id;
    (void)snprintf(port->name, sizeof(port->name), "%s", name);
    if (uuid) {
        (void)snprintf(port->uuid, sizeof(port->uuid), "%s", uuid);
    } else {
        uuid_generate(generated);
        uuid_unparse_lower(generated, port->uuid);
    }
    cube->port_by_id[id] = port;
    HASH_ADD_STR(cube->ports, name, port);
    cube_set_n_ports(cube);
    r = cube->kind->port_added ? cube->kind->port_added(cube, port, error) : 0;
    if (r < 0) {
        HASH_DEL(cube->ports, port);
        cube->port_by_id[id] = NULL;
        cube_set_n_ports(cube);
        free(port);
        return r;
    }
    *ret_port = port;
    return 0;
}

void pcn_chain_port_free(struct pcn_port *port)
{
    struct pcn_cube *cube = port->cube;

    chain_port_disconnect(port);
    pcn_chain_shadow_clear(port);
    while (port->stack.n) {
        char target[sizeof(port->peer)];

        (void)snprintf(target, sizeof(target), "%s:%s", cube->name, port->name);
        (void)pcn_chain_detach(port->stack.cubes[0], target, NULL);
    }
    port->dirty = true;
    cube->chain->rewire = true;
    pcn_chain_rewire(cube->chain);
    if (cube->live && cube->kind->port_removed)
        cube->kind->port_removed(cube, port);
    cube->port_by_id[port->id] = NULL;
    HASH_DEL(cube->ports, port);
    cube_set_n_ports(cube);
    free(port);
}

/* ---- peers ---- */

/* "cube:port" into its parts; false: no colon, so a device. */
static bool peer_split(const char *peer, char ret_cube[PCN_NAME_MAX + 1], const char **ret_port)
{
    const char *colon = strchr(peer, ':');

    if (!colon)
        return false;
    (void)snprintf(ret_cube, PCN_NAME_MAX + 1, "%.*s", (int)(colon - peer), peer);
    *ret_port = colon + 1;
    return true;
}

static struct pcn_port *peer_port(const struct pcn_chain *chain, const char *peer)
{
    char name[PCN_NAME_MAX + 1];
    struct pcn_cube *cube;
    const char *port;

    if (!peer_split(peer, name, &port))
        return NULL;
    cube = pcn_chain_cube(chain, name);
    return cube ? pcn_port_by_name(cube, port) : NULL;
}

static bool port_is_named(const struct pcn_port *port, const char *text)
{
    size_t length = strlen(port->cube->name);

    return strncmp(text, port->cube->name, length) == 0 && text[length] == ':' &&
           pcn_streq(text + length + 1, port->name);
}

static int peer_check_port(const struct pcn_port *port, const char *peer, struct pcn_error *error)
{
    const struct pcn_chain *chain = port->cube->chain;
    char name[PCN_NAME_MAX + 1];
    const struct pcn_port *other;
    const char *port_name;
    struct pcn_cube *cube;

    (void)peer_split(peer, name, &port_name);
    cube = pcn_chain_cube(chain, name);
    if (!cube)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "peer", "Cube %s does not exist", name);
    other = pcn_port_by_name(cube, port_name);
    if (!other)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "peer", "Port %s does not exist in cube %s", port_name,
                             name);
    if (other == port)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "peer", "port %s cannot be its own peer", peer);
    if (type_is_xdp(cube->type) != type_is_xdp(port->cube->type))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "peer",
                             "%s and %s have incompatible types: %s and %s; a packet cannot go between TC and XDP",
                             port->cube->name, cube->name, chain_type_names[port->cube->type],
                             chain_type_names[cube->type]);
    return 0;
}

void pcn_chain_peers_begin(struct pcn_chain *chain)
{
    chain->change++;
}

int pcn_chain_peer_prepare(struct pcn_port *port, const char *peer, struct pcn_error *error)
{
    struct pcn_chain *chain = port->cube->chain;
    struct pcn_netdev *netdev;
    int r;

    if (!peer[0])
        return 0;
    if (strlen(peer) >= sizeof(port->peer))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "peer", "the name of a peer is too long");
    if (strchr(peer, ':'))
        return peer_check_port(port, peer, error);
    netdev = pcn_chain_netdev(chain, peer);
    if (netdev && netdev->claimed == chain->change && netdev->claimant != port)
        return pcn_error_set(error, PCN_ERROR_IN_USE, "peer", "%s is given to two ports", peer);
    r = chain_netdev_use(chain, peer, port->cube->type, &netdev, error);
    if (r < 0)
        return r;
    if (netdev->port && netdev->port != port) {
        chain_netdev_idle(netdev);
        return pcn_error_set(error, PCN_ERROR_IN_USE, "peer", "Iface already in use: %s is the peer of %s:%s", peer,
                             netdev->port->cube->name, netdev->port->name);
    }
    netdev->claimant = port;
    netdev->claimed = chain->change;
    return 0;
}

void chain_port_disconnect(struct pcn_port *port)
{
    struct pcn_chain *chain = port->cube->chain;

    chain_mark_port(port);
    if (port->netdev) {
        chain_mark_netdev(chain, port->netdev);
        port->netdev->port = NULL;
        chain_netdev_idle(port->netdev);
        port->netdev = NULL;
    }
    if (port->link) {
        port->link->link = NULL;
        port->link = NULL;
    }
}

void pcn_chain_peer_set(struct pcn_port *port, const char *peer)
{
    struct pcn_chain *chain = port->cube->chain;
    struct pcn_netdev *netdev;
    struct pcn_port *other;

    chain_port_disconnect(port);
    (void)snprintf(port->peer, sizeof(port->peer), "%s", peer);
    if (!peer[0])
        return;
    if (strchr(peer, ':')) {
        other = peer_port(chain, peer);
        if (!other || !port_is_named(port, other->peer))
            return;
        port->link = other;
        other->link = port;
        chain_mark_port(port);
        return;
    }
    HASH_FIND_STR(chain->netdevs, peer, netdev);
    if (!netdev || !netdev->patch.instance)
        return;
    port->netdev = netdev;
    netdev->port = port;
    netdev->idle_since = 0;
    chain_mark_netdev(chain, netdev);
}

bool pcn_port_status(const struct pcn_port *port)
{
    return port->link || port->netdev;
}

void chain_notify(struct pcn_port *port)
{
    const struct pcn_event event = {.kind = PCN_EVENT_PEER, .port = port, .removed = !pcn_port_status(port)};
    const struct pcn_event behind = {.kind = PCN_EVENT_DEVICE, .removed = !port->netdev};

    port->was_up = pcn_port_status(port);
    if (port->cube->live && port->cube->kind->event)
        port->cube->kind->event(port->cube, &event);
    for (size_t i = 0; i < port->stack.n; i++) {
        struct pcn_cube *cube = port->stack.cubes[i];

        if (cube->live && cube->kind->event)
            cube->kind->event(cube, &behind);
    }
}
