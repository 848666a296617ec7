/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices in use: their entry programs, attached once. What nobody uses any
 * more is let go of after a while, so that moving a port does not attach anew.
 */
#include "private.h"
#include <base/log.h>
#include <bpf/bpf.h>
#include <stdio.h>

#define NETDEV_IDLE_MS 2000

extern const unsigned char pcn_netdev_tc[], pcn_netdev_xdp[];
extern const size_t pcn_netdev_tc_size, pcn_netdev_xdp_size;

static void netdev_pin(const struct pcn_netdev *netdev, const char *what, char ret_path[400])
{
    (void)snprintf(ret_path, 400, "%s/link_%s", pcn_instance_directory(netdev->patch.instance), what);
}

static int netdev_attach(struct pcn_chain *chain, struct pcn_netdev *netdev, struct pcn_error *error)
{
    _cleanup_close_ int program = -1;
    char pin[400];
    int r;

    netdev_pin(netdev, "ingress", pin);
    program = pcn_instance_program(netdev->patch.instance, type_is_xdp(netdev->type) ? PCN_FLAVOUR_XDP : PCN_FLAVOUR_TC,
                                   PCN_INGRESS);
    if (program < 0)
        return program;
    if (type_is_xdp(netdev->type))
        return pcn_xdp_attach(netdev->device.ifindex, netdev->device.name, netdev->type == PCN_TYPE_XDP_SKB, program,
                              pin, error);
    r = pcn_tc_attach(chain->config.bpf, netdev->device.ifindex, false, program, pin);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "peer", "cannot attach to device %s: %s",
                             netdev->device.name, strerror(-r));
    return 0;
}

static void netdev_detach(struct pcn_chain *chain, struct pcn_netdev *netdev)
{
    char pin[400];

    chain_netdev_egress(chain, netdev, false);
    netdev_pin(netdev, "ingress", pin);
    if (type_is_xdp(netdev->type))
        pcn_xdp_detach(pin);
    else
        pcn_tc_detach(chain->config.bpf, netdev->device.ifindex, false, pin);
}

void chain_netdev_egress(struct pcn_chain *chain, struct pcn_netdev *netdev, bool needed)
{
    _cleanup_close_ int program = -1;
    char pin[400];
    int r;

    if (needed == netdev->egress_attached)
        return;
    netdev_pin(netdev, "egress", pin);
    if (!needed) {
        pcn_tc_detach(chain->config.bpf, netdev->device.ifindex, true, pin);
        netdev->egress_attached = false;
        return;
    }
    program = pcn_instance_program(netdev->patch.instance, PCN_FLAVOUR_TC, PCN_EGRESS);
    r = program < 0 ? program : pcn_tc_attach(chain->config.bpf, netdev->device.ifindex, true, program, pin);
    if (r < 0)
        pcn_log_err("cannot attach to the egress of device %s: %s", netdev->device.name, strerror(-r));
    else
        netdev->egress_attached = true;
}

static int netdev_devmap(struct pcn_chain *chain, struct pcn_netdev *netdev)
{
    uint32_t ifindex = (uint32_t)netdev->device.ifindex;

    for (uint32_t entry = 0; entry < PCN_NETDEVS_MAX; entry++) {
        if (chain->devmap[entry])
            continue;
        if (bpf_map_update_elem(chain->config.bpf->netdevs, &entry, &ifindex, BPF_ANY) < 0)
            return -errno;
        chain->devmap[entry] = netdev;
        netdev->devmap_entry = entry;
        return 0;
    }
    return -ENOSPC;
}

/*
 * At XDP nobody fills in checksums that the stack left to the device: a veth's
 * far end must not leave them. Its near end, which is ours to use, is set; the
 * far end may be in a namespace out of reach, so its owner is told what to do.
 */
static void netdev_checksums(const struct pcn_netdev *netdev)
{
    if (!netdev->device.veth)
        return;
    if (pcn_net_has_tx_checksum(netdev->device.name) && pcn_net_plain_checksums(netdev->device.name) < 0)
        pcn_log_warn("cannot turn TX checksums of %s off: run `ethtool -K %s tx off tso off`", netdev->device.name,
                     netdev->device.name);
    pcn_log_info("%s is a veth in an XDP chain: TCP needs `ethtool -K <dev> tx off tso off` at its other end, and "
                 "`ethtool -K <dev> gro on` there if no XDP program runs on it",
                 netdev->device.name);
}

static int netdev_load(struct pcn_chain *chain, struct pcn_netdev *netdev, struct pcn_error *error)
{
    struct pcn_instance_spec spec = {
        .type = netdev->type,
        .tc_object = pcn_netdev_tc,
        .tc_object_size = pcn_netdev_tc_size,
        .xdp_object = pcn_netdev_xdp,
        .xdp_object_size = pcn_netdev_xdp_size,
    };
    const struct pcn_hop stack = {.kind = PCN_HOP_STACK, .index = (uint32_t)netdev->device.ifindex};
    int r;

    (void)snprintf(spec.slot, sizeof(spec.slot), "netdev_%d", netdev->device.ifindex);
    r = pcn_instance_load(chain->config.bpf, &spec, &netdev->patch.instance, error);
    if (r < 0)
        return r;
    r = patch_reserve(&netdev->patch, PCN_NEXT_EGRESS);
    if (r < 0)
        return r;
    /* Inert: until it is wired, everything goes on as if it were not there. */
    *pcn_instance_hop(netdev->patch.instance, PCN_NEXT_INGRESS) = stack;
    *pcn_instance_hop(netdev->patch.instance, PCN_NEXT_EGRESS) = stack;
    if (type_is_xdp(netdev->type)) {
        r = netdev_devmap(chain, netdev);
        if (r < 0)
            return r;
        netdev_checksums(netdev);
    }
    return netdev_attach(chain, netdev, error);
}

static int netdev_fits(const struct pcn_netdev *netdev, enum pcn_cube_type type, struct pcn_error *error)
{
    if (netdev->type == type)
        return 0;
    return pcn_error_set(error, PCN_ERROR_IN_USE, "peer",
                         "device %s is used by cubes of type %s: a cube of type %s cannot share it",
                         netdev->device.name, chain_type_names[netdev->type], chain_type_names[type]);
}

int chain_netdev_use(struct pcn_chain *chain, const char *name, enum pcn_cube_type type, struct pcn_netdev **ret_netdev,
                     struct pcn_error *error)
{
    struct pcn_net_device device;
    struct pcn_netdev *netdev;
    int r;

    r = pcn_net_by_name(chain->config.net, name, &device);
    if (r < 0 || !device.up || device.loopback)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "peer", "Interface %s does not exist or is down", name);
    HASH_FIND_STR(chain->netdevs, name, netdev);
    if (netdev && netdev->type != type && !netdev->port && !netdev->shadow && !netdev->stack.n) {
        if (type_is_xdp(netdev->type) && netdev->patch.instance) {
            char pin[400];

            /* Another mode is refused as long as this one is there. */
            netdev_pin(netdev, "ingress", pin);
            pcn_xdp_detach_now(pin);
        }
        chain_netdev_free(chain, netdev);
        netdev = NULL;
    }
    if (netdev) {
        *ret_netdev = netdev;
        return netdev_fits(netdev, type, error);
    }
    netdev = calloc(1, sizeof(*netdev));
    if (!netdev)
        return -ENOMEM;
    netdev->device = device;
    netdev->type = type;
    HASH_ADD_STR(chain->netdevs, device.name, netdev);
    r = netdev_load(chain, netdev, error);
    if (r < 0) {
        chain_netdev_free(chain, netdev);
        return pcn_error_set(error, PCN_ERROR_FAILED, "peer", "cannot use device %s: %s", name, strerror(-r));
    }
    chain_netdev_idle(netdev);
    *ret_netdev = netdev;
    return 0;
}

void chain_netdev_free(struct pcn_chain *chain, struct pcn_netdev *netdev)
{
    uint32_t entry = netdev->devmap_entry;

    if (netdev->patch.instance) {
        netdev_detach(chain, netdev);
        if (type_is_xdp(netdev->type) && chain->devmap[entry] == netdev) {
            (void)bpf_map_delete_elem(chain->config.bpf->netdevs, &entry);
            chain->devmap[entry] = NULL;
        }
    }
    patch_done(chain, &netdev->patch);
    HASH_DEL(chain->netdevs, netdev);
    free(netdev);
}

void chain_netdev_idle(struct pcn_netdev *netdev)
{
    if (!netdev->port && !netdev->shadow && !netdev->stack.n)
        netdev->idle_since = pcn_clock_ms();
}

/* ---- shadow ---- */

int pcn_chain_shadow_set(struct pcn_port *port, const char *device, struct pcn_error *error)
{
    struct pcn_cube *cube = port->cube;
    struct pcn_netdev *netdev;
    int r;

    r = chain_netdev_use(cube->chain, device, type_is_xdp(cube->type) ? PCN_TYPE_XDP_SKB : PCN_TYPE_TC, &netdev, error);
    if (r < 0)
        return r;
    netdev->shadow = port;
    netdev->idle_since = 0;
    port->shadow = netdev;
    __atomic_store_n(&pcn_instance_data(cube->patch.instance)->hosts[port->id], (uint32_t)netdev->device.ifindex,
                     __ATOMIC_RELEASE);
    chain_mark_netdev(cube->chain, netdev);
    return 0;
}

void pcn_chain_shadow_clear(struct pcn_port *port)
{
    struct pcn_netdev *netdev = TAKE_PTR(port->shadow);

    if (!netdev)
        return;
    __atomic_store_n(&pcn_instance_data(port->cube->patch.instance)->hosts[port->id], 0, __ATOMIC_RELEASE);
    netdev->shadow = NULL;
    chain_netdev_free(port->cube->chain, netdev);
}

struct pcn_netdev *pcn_chain_netdev(const struct pcn_chain *chain, const char *name)
{
    struct pcn_netdev *netdev;

    HASH_FIND_STR(chain->netdevs, name, netdev);
    return netdev;
}

void pcn_chain_tick(struct pcn_chain *chain)
{
    uint64_t now = pcn_clock_ms();
    struct pcn_netdev *netdev, *next;
    struct pcn_cube *cube, *next_cube;

    HASH_ITER(hh, chain->netdevs, netdev, next)
    {
        if (!netdev->port && !netdev->shadow && !netdev->stack.n && netdev->idle_since &&
            now - netdev->idle_since >= NETDEV_IDLE_MS)
            chain_netdev_free(chain, netdev);
    }
    HASH_ITER(hh, chain->cubes, cube, next_cube)
    {
        if (cube->kind->shape == PCN_TRANSPARENT && !cube->parent_port && !cube->parent_netdev) {
            patch_set_none(chain, &cube->patch, PCN_NEXT_INGRESS);
            patch_set_none(chain, &cube->patch, PCN_NEXT_EGRESS);
        }
        if (cube->live && cube->kind->tick)
            cube->kind->tick(cube);
    }
}

static struct pcn_netdev *netdev_by_ifindex(const struct pcn_chain *chain, int ifindex)
{
    for (struct pcn_netdev *netdev = chain->netdevs; netdev; netdev = netdev->hh.next) {
        if (netdev->device.ifindex == ifindex)
            return netdev;
    }
    return NULL;
}

static void netdev_removed(struct pcn_chain *chain, struct pcn_netdev *netdev)
{
    struct pcn_port *port = netdev->port;

    if (netdev->shadow) {
        pcn_chain_shadow_clear(netdev->shadow);
        return;
    }
    while (netdev->stack.n)
        (void)pcn_chain_detach(netdev->stack.cubes[0], netdev->device.name, NULL);
    if (port) {
        pcn_chain_peer_set(port, "");
        pcn_chain_rewire(chain);
    }
    chain_netdev_free(chain, netdev);
    if (port && chain->config.peer_lost)
        chain->config.peer_lost(chain->config.data, port);
}

static void netdev_renamed(struct pcn_chain *chain, struct pcn_netdev *netdev, const struct pcn_net_device *device)
{
    HASH_DEL(chain->netdevs, netdev);
    netdev->device = *device;
    HASH_ADD_STR(chain->netdevs, device.name, netdev);
    if (!netdev->port)
        return;
    (void)snprintf(netdev->port->peer, sizeof(netdev->port->peer), "%s", device->name);
    if (chain->config.peer_lost)
        chain->config.peer_lost(chain->config.data, netdev->port);
}

static void netdev_changed(struct pcn_chain *chain, struct pcn_netdev *netdev, const struct pcn_net_device *device)
{
    if (!pcn_streq(netdev->device.name, device->name))
        netdev_renamed(chain, netdev, device);
    netdev->device = *device;
    if (netdev->port)
        chain_notify(netdev->port);
}

void pcn_chain_device_changed(struct pcn_chain *chain, enum pcn_net_change change, const struct pcn_net_device *device)
{
    struct pcn_event event = {
        .kind = PCN_EVENT_DEVICE, .removed = change == PCN_NET_REMOVED, .ifindex = (uint32_t)device->ifindex};
    struct pcn_netdev *netdev = netdev_by_ifindex(chain, device->ifindex);
    struct pcn_cube *cube, *next;

    if (netdev && change == PCN_NET_REMOVED)
        netdev_removed(chain, netdev);
    else if (netdev)
        netdev_changed(chain, netdev, device);
    (void)snprintf(event.device, sizeof(event.device), "%s", device->name);
    HASH_ITER(hh, chain->cubes, cube, next)
    {
        if (cube->live && cube->kind->event)
            cube->kind->event(cube, &event);
    }
}
