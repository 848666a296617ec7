/* SPDX-License-Identifier: Apache-2.0 */
/* What <pcn/cube.h> offers of an instance: accessors, maps, ports. */
#include "private.h"
#include <arpa/inet.h>
#include <base/log.h>
#include <bpf/bpf.h>
#include <stdarg.h>
#include <stdio.h>

const char *pcn_cube_name(const struct pcn_cube *cube)
{
    return cube->name;
}

enum pcn_cube_type pcn_cube_type(const struct pcn_cube *cube)
{
    return cube->type;
}

uint16_t pcn_cube_id(const struct pcn_cube *cube)
{
    return cube->id;
}

void *pcn_cube_state(const struct pcn_cube *cube)
{
    return cube->state;
}

void pcn_cube_set_state(struct pcn_cube *cube, void *state)
{
    cube->state = state;
}

bool pcn_cube_has_shadow(const struct pcn_cube *cube)
{
    return cube->shadow;
}

void pcn_cube_log(struct pcn_cube *cube, enum pcn_log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (level > cube->loglevel)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pcn_log_cube_line(level, cube->kind->name, cube->name, text);
}

int pcn_cube_edit(struct pcn_cube *cube, enum pcn_cube_edit edit, const char *const *segments, size_t n_segments,
                  const char *json, struct pcn_error *error)
{
    const struct pcn_chain_config *config = &cube->chain->config;

    return config->edit ? config->edit(config->data, cube, edit, segments, n_segments, json, error) : -EOPNOTSUPP;
}

/* ---- maps ---- */

int pcn_map_get(struct pcn_cube *cube, const char *map, const void *key, void *ret_value)
{
    int fd = pcn_instance_map(cube->patch.instance, map);

    if (fd < 0)
        return fd;
    return bpf_map_lookup_elem(fd, key, ret_value) < 0 ? -errno : 0;
}

int pcn_map_set(struct pcn_cube *cube, const char *map, const void *key, const void *value)
{
    int fd = pcn_instance_map(cube->patch.instance, map);

    if (fd < 0)
        return fd;
    return bpf_map_update_elem(fd, key, value, BPF_ANY) < 0 ? -errno : 0;
}

int pcn_map_delete(struct pcn_cube *cube, const char *map, const void *key)
{
    int fd = pcn_instance_map(cube->patch.instance, map);

    if (fd < 0)
        return fd;
    return bpf_map_delete_elem(fd, key) < 0 ? -errno : 0;
}

int pcn_map_next(struct pcn_cube *cube, const char *map, const void *key, void *ret_key)
{
    int fd = pcn_instance_map(cube->patch.instance, map);

    if (fd < 0)
        return fd;
    return bpf_map_get_next_key(fd, key, ret_key) < 0 ? -errno : 0;
}

int pcn_map_memory(struct pcn_cube *cube, const char *map, void **ret_memory, size_t *ret_size)
{
    return pcn_instance_memory(cube->patch.instance, map, ret_memory, ret_size);
}

/* ---- ports ---- */

struct pcn_port *pcn_port_by_name(const struct pcn_cube *cube, const char *name)
{
    struct pcn_port *port;

    HASH_FIND_STR(cube->ports, name, port);
    return port;
}

struct pcn_port *pcn_port_by_id(const struct pcn_cube *cube, uint16_t id)
{
    return id < cube->n_ids ? cube->port_by_id[id] : NULL;
}

struct pcn_port *pcn_port_next(const struct pcn_cube *cube, const struct pcn_port *port)
{
    return port ? port->hh.next : cube->ports;
}

uint16_t pcn_port_id(const struct pcn_port *port)
{
    return port->id;
}

const char *pcn_port_name(const struct pcn_port *port)
{
    return port->name;
}

bool pcn_port_is_up(const struct pcn_port *port)
{
    return pcn_port_status(port);
}

uint32_t pcn_port_mtu(const struct pcn_port *port)
{
    return port->netdev ? port->netdev->device.mtu : 1500;
}

void *pcn_port_state(const struct pcn_port *port)
{
    return port->state;
}

void pcn_port_set_state(struct pcn_port *port, void *state)
{
    port->state = state;
}

bool pcn_port_netdev_mac(const struct pcn_port *port, uint8_t ret_mac[ETH_ALEN])
{
    if (!port->netdev)
        return false;
    memcpy(ret_mac, port->netdev->device.mac, ETH_ALEN);
    return true;
}

uint32_t pcn_netdev_ifindex(const struct pcn_cube *cube, const char *name)
{
    struct pcn_net_device device;

    /* The kernel finds devices by their further names, too. */
    if (pcn_net_by_name(cube->chain->config.net, name, &device) < 0 || !pcn_streq(device.name, name))
        return 0;
    return (uint32_t)device.ifindex;
}

int pcn_cube_parent_netdev(const struct pcn_cube *cube, char ret_name[IFNAMSIZ])
{
    const struct pcn_netdev *netdev = cube->parent_port ? cube->parent_port->netdev : cube->parent_netdev;

    if (!netdev)
        return -ENOENT;
    (void)snprintf(ret_name, IFNAMSIZ, "%s", netdev->device.name);
    return 0;
}

struct wanted_address {
    int family;
    union pcn_address address;
    bool found;
};

/* text: an address, a prefix may follow. */
static void address_try(void *data, const char *text)
{
    struct wanted_address *wanted = data;
    char address[INET6_ADDRSTRLEN];

    if (wanted->found)
        return;
    (void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "/"), text);
    wanted->found = inet_pton(wanted->family, address, &wanted->address) == 1;
    /* That of the link alone is nobody's outside of it. */
    if (wanted->family == AF_INET6 && (ntohl(wanted->address.v6[0]) & 0xffc00000) == 0xfe800000)
        wanted->found = false;
}

int pcn_cube_parent_address(const struct pcn_cube *cube, int family, union pcn_address *ret_address)
{
    const struct pcn_chain_config *config = &cube->chain->config;
    struct wanted_address wanted = {.family = family};

    if (cube->parent_netdev)
        pcn_net_addresses(config->net, cube->parent_netdev->device.ifindex, address_try, &wanted);
    else if (cube->parent_port && config->port_addresses)
        config->port_addresses(config->data, cube->parent_port, address_try, &wanted);
    if (!wanted.found)
        return -ENOENT;
    *ret_address = wanted.address;
    return 0;
}
