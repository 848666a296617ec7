/* SPDX-License-Identifier: Apache-2.0 */
#include <net/net.h>

#include "private.h"
#include <base/log.h>
#include <base/loop.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <sys/stat.h>

struct pcn_shadow {
    int helper;
    char prefix[PCN_NAMESPACE_MAX]; /* of the names of namespaces and devices: "pcn-" or "pcn-<instance>-" */
    char records[600];              /* directory: a file for each namespace of ours */
    struct pcn_loop *loop;
    struct pcn_net *net;
    struct pcn_chain *chain;
};

/* ---- what was left by a daemon that was killed ---- */

static void record_path(const struct pcn_shadow *shadow, const char *name, char path[800])
{
    (void)snprintf(path, 800, "%s/%s", shadow->records, name);
}

static int record_add(const struct pcn_shadow *shadow, const char *name)
{
    char path[800];
    int fd;

    if (mkdir(shadow->records, 0700) < 0 && errno != EEXIST)
        return -errno;
    record_path(shadow, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    return 0;
}

static void namespace_delete(const struct pcn_shadow *shadow, const char *name)
{
    char path[800];
    int r;

    r = pcn_helper_delete(shadow->helper, name);
    if (r < 0)
        pcn_log_err("cannot delete network namespace %s: %s", name, strerror(-r));
    record_path(shadow, name, path);
    (void)unlink(path);
}

static void left_namespaces(const struct pcn_shadow *shadow)
{
    DIR *directory = opendir(shadow->records);
    struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        pcn_log_info("deleting network namespace %s: the daemon before left it", entry->d_name);
        namespace_delete(shadow, entry->d_name);
    }
    if (directory)
        (void)closedir(directory);
}

/* One that a process keeps alive keeps its devices, too. */
static void left_device(void *data, const struct pcn_net_device *device)
{
    const struct pcn_shadow *shadow = data;
    unsigned int cube, port;
    int end = 0;

    if (!device->veth || strncmp(device->name, shadow->prefix, strlen(shadow->prefix)) != 0)
        return;
    if (sscanf(device->name + strlen(shadow->prefix), "%4u-%4u%n", &cube, &port, &end) == 2 &&
        !device->name[strlen(shadow->prefix) + (size_t)end])
        pcn_net_remove(shadow->net, device->name);
}

int pcn_shadow_new(int helper, const char *instance, const char *rundir, struct pcn_loop *loop, struct pcn_net *net,
                   struct pcn_chain *chain, struct pcn_shadow **ret_shadow)
{
    struct pcn_shadow *shadow = calloc(1, sizeof(*shadow));
    bool other = !pcn_streq(instance, "default");

    if (!shadow)
        return -ENOMEM;
    shadow->helper = helper;
    (void)snprintf(shadow->prefix, sizeof(shadow->prefix), "pcn-%s%s", other ? instance : "", other ? "-" : "");
    (void)snprintf(shadow->records, sizeof(shadow->records), "%s/shadows", rundir);
    shadow->loop = loop;
    shadow->net = net;
    shadow->chain = chain;
    left_namespaces(shadow);
    pcn_net_each(net, left_device, shadow);
    *ret_shadow = shadow;
    return 0;
}

void pcn_shadow_tick(struct pcn_shadow *shadow)
{
    for (struct pcn_cube *cube = pcn_chain_cube_next(shadow->chain, NULL); cube;
         cube = pcn_chain_cube_next(shadow->chain, cube)) {
        if (cube->shadow_space)
            space_tick(cube->shadow_space);
    }
}

void pcn_shadow_freep(struct pcn_shadow **ptr)
{
    struct pcn_shadow *shadow = TAKE_PTR(*ptr);

    if (!shadow)
        return;
    (void)rmdir(shadow->records);
    free(shadow);
}

/* ---- namespaces ---- */

static void space_free(struct space *space)
{
    space_forget(space, NULL);
    if (space->fds.monitor >= 0)
        pcn_loop_remove(space->shadow->loop, space->fds.monitor);
    /* Closes its descriptor, too. */
    if (space->route)
        nl_socket_free(space->route);
    else
        pcn_closep(&space->fds.route);
    pcn_closep(&space->fds.monitor);
    pcn_closep(&space->fds.namespace);
    free(space);
}

static int space_open(struct space *space)
{
    struct pcn_shadow *shadow = space->shadow;
    int r;

    r = pcn_helper_create(shadow->helper, space->name, &space->fds);
    if (r < 0)
        return r;
    r = record_add(shadow, space->name);
    space->route = nl_socket_alloc();
    if (r >= 0 && !space->route)
        r = -ENOMEM;
    if (r >= 0 && nl_socket_set_fd(space->route, NETLINK_ROUTE, space->fds.route) < 0) {
        nl_socket_free(TAKE_PTR(space->route));
        r = -EIO;
    }
    if (r >= 0)
        r = pcn_loop_add(shadow->loop, space->fds.monitor, space_monitor, space);
    if (r < 0)
        namespace_delete(shadow, space->name);
    return r;
}

int pcn_shadow_cube_add(struct pcn_shadow *shadow, struct pcn_cube *cube, struct pcn_error *error)
{
    struct space *space;
    int r;

    if (!cube->shadow)
        return 0;
    space = calloc(1, sizeof(*space));
    if (!space)
        return -ENOMEM;
    space->shadow = shadow;
    space->cube = cube;
    space->fds = (struct pcn_namespace_fds){-1, -1, -1};
    if (snprintf(space->name, sizeof(space->name), "%s%s", shadow->prefix, cube->name) >= (int)sizeof(space->name))
        r = -ENAMETOOLONG;
    else
        r = space_open(space);
    if (r < 0) {
        r = pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "shadow", "cannot make network namespace %s: %s",
                          space->name, strerror(-r));
        space_free(space);
        return r;
    }
    cube->shadow_space = space;
    return 0;
}

void pcn_shadow_cube_remove(struct pcn_shadow *shadow, struct pcn_cube *cube)
{
    struct space *space = TAKE_PTR(cube->shadow_space);

    if (!space)
        return;
    for (struct pcn_port *port = cube->ports; port; port = port->hh.next) {
        cube->shadow_space = space;
        pcn_shadow_port_remove(shadow, port);
        cube->shadow_space = NULL;
    }
    namespace_delete(shadow, space->name);
    space_free(space);
}

/* ---- ports ---- */

static void outside_name(const struct pcn_shadow *shadow, const struct pcn_port *port, char name[IFNAMSIZ])
{
    char full[PCN_NAMESPACE_MAX + 16];

    (void)snprintf(full, sizeof(full), "%s%u-%u", shadow->prefix, port->cube->id, port->id);
    pcn_net_short_name(full, name);
}

int pcn_shadow_port_add(struct pcn_shadow *shadow, struct pcn_port *port, struct pcn_error *error)
{
    struct space *space = port->cube->shadow_space;
    char outside[IFNAMSIZ], inside[IFNAMSIZ];
    int r;

    if (!space)
        return 0;
    outside_name(shadow, port, outside);
    pcn_net_short_name(port->name, inside);
    r = pcn_net_make_remote(shadow->net, outside, inside, space->fds.namespace);
    if (r >= 0)
        r = pcn_helper_device_up(shadow->helper, space->name, inside);
    if (r >= 0) {
        space->inside[port->id] = r;
        r = pcn_streq(inside, port->name) ? 0 : pcn_net_add_name(space->route, r, port->name);
    }
    if (r >= 0)
        r = pcn_chain_shadow_set(port, outside, error);
    if (r < 0) {
        pcn_shadow_port_remove(shadow, port);
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "ports", "cannot make device %s in namespace %s: %s",
                             inside, space->name, strerror(-r));
    }
    return 0;
}

void pcn_shadow_port_remove(struct pcn_shadow *shadow, struct pcn_port *port)
{
    struct space *space = port->cube->shadow_space;
    char outside[IFNAMSIZ];

    if (!space)
        return;
    space->inside[port->id] = 0;
    space_forget(space, port);
    pcn_chain_shadow_clear(port);
    outside_name(shadow, port, outside);
    pcn_net_remove(shadow->net, outside);
}

/* ---- what cubes call ---- */

static void complain(const struct pcn_cube *cube, const char *what, int r)
{
    if (r < 0 && r != -NLE_EXIST && r != -NLE_NOADDR && r != -NLE_OBJ_NOTFOUND)
        pcn_log_warn("cube %s: %s of the shadow namespace: %s", cube->name, what, nl_geterror(r));
}

static struct nl_addr *address_build(int family, const union pcn_address *address, uint8_t prefix_length)
{
    struct nl_addr *built = nl_addr_build(family, address, family == AF_INET ? 4 : 16);

    if (built)
        nl_addr_set_prefixlen(built, prefix_length);
    return built;
}

void pcn_shadow_address(struct pcn_port *port, int family, const union pcn_address *address, uint8_t prefix_length,
                        bool add)
{
    const struct space *space = port->cube->shadow_space;
    struct rtnl_addr *entry;
    struct nl_addr *local;
    int r;

    if (!space || !space->inside[port->id])
        return;
    entry = rtnl_addr_alloc();
    local = address_build(family, address, prefix_length);
    if (entry && local) {
        rtnl_addr_set_ifindex(entry, space->inside[port->id]);
        (void)rtnl_addr_set_local(entry, local);
        if (family == AF_INET6)
            rtnl_addr_set_flags(entry, IFA_F_NODAD);
        r = add ? rtnl_addr_add(space->route, entry, NLM_F_REPLACE) : rtnl_addr_delete(space->route, entry, 0);
        complain(port->cube, "an address", r);
    }
    nl_addr_put(local);
    rtnl_addr_put(entry);
}

static int route_change(const struct space *space, struct rtnl_route *route, struct rtnl_nexthop *nexthop, bool add)
{
    rtnl_route_add_nexthop(route, nexthop);
    return add ? rtnl_route_add(space->route, route, NLM_F_REPLACE) : rtnl_route_delete(space->route, route, 0);
}

void pcn_shadow_route(struct pcn_cube *cube, int family, const union pcn_address *destination, uint8_t prefix_length,
                      const union pcn_address *gateway, struct pcn_port *port, uint32_t metric, bool add)
{
    static const union pcn_address none;
    const struct space *space = cube->shadow_space;
    struct nl_addr *target = NULL, *via = NULL;
    struct rtnl_nexthop *nexthop = NULL;
    struct rtnl_route *route = NULL;

    if (!space || !port || !space->inside[port->id])
        return;
    target = address_build(family, destination, prefix_length);
    route = rtnl_route_alloc();
    nexthop = rtnl_route_nh_alloc();
    if (target && route && nexthop) {
        rtnl_route_set_family(route, (uint8_t)family);
        (void)rtnl_route_set_dst(route, target);
        rtnl_route_set_priority(route, metric);
        rtnl_route_set_protocol(route, RTPROT_STATIC);
        rtnl_route_nh_set_ifindex(nexthop, space->inside[port->id]);
        if (gateway && memcmp(gateway, &none, sizeof(none)) != 0) {
            via = address_build(family, gateway, family == AF_INET ? 32 : 128);
            rtnl_route_nh_set_gateway(nexthop, via);
        } else {
            rtnl_route_set_scope(route, RT_SCOPE_LINK);
        }
        complain(cube, "a route", route_change(space, route, nexthop, add));
    } else if (nexthop) {
        rtnl_route_nh_free(nexthop);
    }
    nl_addr_put(via);
    nl_addr_put(target);
    rtnl_route_put(route);
}

void pcn_shadow_mac(struct pcn_port *port, const uint8_t mac[ETH_ALEN])
{
    const struct space *space = port->cube->shadow_space;
    struct rtnl_link *change, *old;
    struct nl_addr *address;

    if (!space || !space->inside[port->id])
        return;
    address = nl_addr_build(AF_LLC, mac, ETH_ALEN);
    change = rtnl_link_alloc();
    old = rtnl_link_alloc();
    if (address && change && old) {
        rtnl_link_set_ifindex(old, space->inside[port->id]);
        rtnl_link_set_addr(change, address);
        complain(port->cube, "a MAC address", rtnl_link_change(space->route, old, change, 0));
    }
    nl_addr_put(address);
    rtnl_link_put(change);
    rtnl_link_put(old);
}
