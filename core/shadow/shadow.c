/* SPDX-License-Identifier: Apache-2.0 */
#include <net/net.h>

#include "private.h"
#include <base/log.h>
#include <base/loop.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdio.h>

struct pcn_shadow {
    int helper;
    char instance[64];
    struct pcn_loop *loop;
    struct pcn_net *net;
    struct pcn_chain *chain;
};

int pcn_shadow_new(int helper, const char *instance, struct pcn_loop *loop, struct pcn_net *net,
                   struct pcn_chain *chain, struct pcn_shadow **ret_shadow)
{
    struct pcn_shadow *shadow = calloc(1, sizeof(*shadow));

    if (!shadow)
        return -ENOMEM;
    shadow->helper = helper;
    (void)snprintf(shadow->instance, sizeof(shadow->instance), "%s", instance);
    shadow->loop = loop;
    shadow->net = net;
    shadow->chain = chain;
    *ret_shadow = shadow;
    return 0;
}

void pcn_shadow_freep(struct pcn_shadow **shadow)
{
    free(TAKE_PTR(*shadow));
}

/* ---- namespaces ---- */

static void space_free(struct space *space)
{
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
    space->route = nl_socket_alloc();
    if (!space->route)
        return -ENOMEM;
    if (nl_socket_set_fd(space->route, NETLINK_ROUTE, space->fds.route) < 0) {
        nl_socket_free(TAKE_PTR(space->route));
        return -EIO;
    }
    return pcn_loop_add(shadow->loop, space->fds.monitor, space_monitor, space);
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
    if (pcn_streq(shadow->instance, "default"))
        (void)snprintf(space->name, sizeof(space->name), "pcn-%s", cube->name);
    else
        (void)snprintf(space->name, sizeof(space->name), "pcn-%s-%s", shadow->instance, cube->name);
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
    (void)pcn_helper_delete(shadow->helper, space->name);
    space_free(space);
}

/* ---- ports ---- */

static void outside_name(const struct pcn_port *port, char name[IFNAMSIZ])
{
    (void)snprintf(name, IFNAMSIZ, "pcn-%u-%u", port->cube->id, port->id);
}

int pcn_shadow_port_add(struct pcn_shadow *shadow, struct pcn_port *port, struct pcn_error *error)
{
    struct space *space = port->cube->shadow_space;
    char outside[IFNAMSIZ], inside[IFNAMSIZ];
    int r;

    if (!space)
        return 0;
    outside_name(port, outside);
    pcn_net_short_name(port->name, inside);
    r = pcn_net_make_remote(shadow->net, outside, inside, space->fds.namespace);
    if (r >= 0)
        r = pcn_helper_device_up(shadow->helper, space->name, inside);
    if (r >= 0) {
        space->inside[port->id] = r;
        r = pcn_chain_shadow_set(port, outside, error);
    }
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
    pcn_chain_shadow_clear(port);
    outside_name(port, outside);
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
