/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is connected to what the programs do: for each link the sequence
 * of programs a packet runs is written down, and set from its end backwards, so
 * that a hop is only pointed at a program whose own hops are in place.
 */
#include "private.h"
#include <base/log.h>
#include <base/loop.h>
#include <bpf/bpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#define STEPS_MAX (2 * PCN_STACK_MAX + 4)

struct step {
    struct pcn_patch *patch; /* PROGRAM: whose program */
    enum pcn_direction direction;
    enum pcn_hop_kind kind;
    uint16_t port;
    struct pcn_netdev *netdev;
};

struct path {
    struct step steps[STEPS_MAX];
    size_t n;
};

/* ---- slots ---- */

/* Room for hops 0..hop: asked for before a change is applied, which may not fail. */
int patch_reserve(struct pcn_patch *patch, size_t hop)
{
    size_t n = PCN_MAX(patch->n_hops * 2, hop + 2);
    uint16_t *slot_of;

    if (hop < patch->n_hops)
        return 0;
    slot_of = realloc(patch->slot_of, n * sizeof(*slot_of));
    if (!slot_of)
        return -ENOMEM;
    memset(slot_of + patch->n_hops, 0, (n - patch->n_hops) * sizeof(*slot_of));
    patch->slot_of = slot_of;
    patch->n_hops = n;
    return 0;
}

void patch_done(struct pcn_chain *chain, struct pcn_patch *patch)
{
    for (struct pcn_patch **p = &chain->retiring; *p; p = &(*p)->next_retiring) {
        if (*p == patch) {
            *p = patch->next_retiring;
            break;
        }
    }
    pcn_instance_freep(&patch->instance);
    free(TAKE_PTR(patch->slots));
    free(TAKE_PTR(patch->slot_of));
    *patch = (struct pcn_patch){};
}

static void epoch_wait(void *data)
{
    /* synchronize_rcu() for user space: programs run under RCU. */
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static void epoch_start(struct pcn_chain *chain);

static void patch_clear_slots(struct pcn_chain *chain, struct pcn_patch *patch, bool *ret_more)
{
    for (size_t i = 0; i < patch->n_slots; i++) {
        struct pcn_slot *slot = &patch->slots[i];

        if (slot->references || !slot->target)
            continue;
        if (slot->epoch > chain->epoch_done) {
            *ret_more = true;
            continue;
        }
        (void)pcn_instance_clear_slot(chain->config.bpf, patch->instance, (uint32_t)i);
        slot->target = 0;
    }
}

static void epoch_over(void *data)
{
    struct pcn_chain *chain = data;
    struct pcn_patch *patch = chain->retiring, *next;

    chain->epoch_running = false;
    chain->epoch_done = chain->epoch - 1;
    chain->retiring = NULL;
    for (; patch; patch = next) {
        bool more = false;

        next = patch->next_retiring;
        patch_clear_slots(chain, patch, &more);
        patch->retiring = more;
        if (more) {
            patch->next_retiring = chain->retiring;
            chain->retiring = patch;
        }
    }
    if (chain->retiring)
        epoch_start(chain);
}

static void epoch_start(struct pcn_chain *chain)
{
    if (chain->epoch_running)
        return;
    if (pcn_loop_work(chain->config.loop, epoch_wait, epoch_over, chain) < 0)
        return;
    chain->epoch_running = true;
    chain->epoch++;
}

static void slot_release(struct pcn_chain *chain, struct pcn_patch *patch, struct pcn_slot *slot)
{
    if (--slot->references)
        return;
    slot->epoch = chain->epoch;
    if (!patch->retiring) {
        patch->retiring = true;
        patch->next_retiring = chain->retiring;
        chain->retiring = patch;
    }
}

static int slot_find(struct pcn_patch *patch, uint64_t target, enum pcn_direction direction, size_t *ret_slot)
{
    size_t first_free = patch->n_slots, n;
    struct pcn_slot *slots;

    for (size_t i = 0; i < patch->n_slots; i++) {
        struct pcn_slot *slot = &patch->slots[i];

        if (slot->target == target && slot->direction == direction) {
            *ret_slot = i;
            return 0;
        }
        if (!slot->target && first_free == patch->n_slots)
            first_free = i;
    }
    if (first_free == patch->n_slots) {
        n = PCN_MAX(patch->n_slots * 2, (size_t)4);
        if (patch->n_slots >= PCN_SLOTS_MAX)
            return -ENOSPC;
        slots = realloc(patch->slots, n * sizeof(*slots));
        if (!slots)
            return -ENOMEM;
        memset(slots + patch->n_slots, 0, (n - patch->n_slots) * sizeof(*slots));
        patch->slots = slots;
        patch->n_slots = n;
    }
    *ret_slot = first_free;
    return 1;
}

static int slot_get(struct pcn_patch *patch, const struct pcn_patch *target, enum pcn_direction direction,
                    size_t *ret_slot)
{
    struct pcn_slot *slot;
    int r;

    r = slot_find(patch, pcn_instance_serial(target->instance), direction, ret_slot);
    if (r < 0)
        return r;
    slot = &patch->slots[*ret_slot];
    if (r > 0) {
        r = pcn_instance_set_slot(patch->instance, (uint32_t)*ret_slot, target->instance, direction);
        if (r < 0)
            return r;
        slot->target = pcn_instance_serial(target->instance);
        slot->direction = direction;
    }
    slot->references++;
    return 0;
}

void patch_set_again(struct pcn_patch *patch, const struct pcn_patch *target)
{
    for (size_t i = 0; i < patch->n_slots; i++) {
        struct pcn_slot *slot = &patch->slots[i];
        int r;

        if (slot->target != pcn_instance_serial(target->instance))
            continue;
        r = pcn_instance_set_slot(patch->instance, (uint32_t)i, target->instance, slot->direction);
        if (r < 0)
            pcn_log_err("%s keeps the old programs of %s: %s", pcn_instance_directory(patch->instance),
                        pcn_instance_directory(target->instance), strerror(-r));
    }
}

/* ---- hops ---- */

static void hop_store(struct pcn_patch *patch, size_t hop, struct pcn_hop value)
{
    uint64_t word;

    memcpy(&word, &value, sizeof(word));
    /* Release: the slot that the word names is in place before the word. */
    __atomic_store_n((uint64_t *)pcn_instance_hop(patch->instance, hop), word, __ATOMIC_RELEASE);
}

static void patch_set(struct pcn_chain *chain, struct pcn_patch *patch, size_t hop, const struct step *step, bool xdp)
{
    struct pcn_hop value = {.kind = (uint16_t)step->kind, .port = step->port};
    uint16_t old = patch->slot_of[hop];
    size_t slot = 0;
    int r;

    switch (step->kind) {
    case PCN_HOP_PROGRAM:
        r = slot_get(patch, step->patch, step->direction, &slot);
        if (r < 0) {
            pcn_log_err("cannot connect %s: %s", pcn_instance_directory(patch->instance), strerror(-r));
            value.kind = PCN_HOP_NONE;
            break;
        }
        value.index = (uint32_t)slot;
        break;
    case PCN_HOP_NETDEV:
        value.port = 0;
        value.index = xdp ? step->netdev->devmap_entry : (uint32_t)step->netdev->device.ifindex;
        break;
    case PCN_HOP_STACK:
        value.port = 0;
        value.index = (uint32_t)step->netdev->device.ifindex;
        break;
    default:
        break;
    }
    hop_store(patch, hop, value);
    patch->slot_of[hop] = value.kind == PCN_HOP_PROGRAM ? (uint16_t)(slot + 1) : 0;
    if (old)
        slot_release(chain, patch, &patch->slots[old - 1]);
}

void patch_set_none(struct pcn_chain *chain, struct pcn_patch *patch, size_t hop)
{
    const struct step none = {.kind = PCN_HOP_NONE};

    if (patch->instance)
        patch_set(chain, patch, hop, &none, false);
}

/* ---- paths ---- */

static void path_program(struct path *path, struct pcn_patch *patch, enum pcn_direction direction, uint16_t port)
{
    path->steps[path->n++] =
        (struct step){.kind = PCN_HOP_PROGRAM, .patch = patch, .direction = direction, .port = port};
}

static void path_end(struct path *path, enum pcn_hop_kind kind, struct pcn_netdev *netdev)
{
    path->steps[path->n++] = (struct step){.kind = kind, .netdev = netdev};
}

static void path_into_port(struct path *path, const struct pcn_port *port)
{
    for (size_t i = port->stack.n; i-- > 0;)
        path_program(path, &port->stack.cubes[i]->patch, PCN_INGRESS, port->id);
    path_program(path, &port->cube->patch, PCN_INGRESS, port->id);
}

static void path_out_of_netdev(struct path *path, struct pcn_netdev *netdev)
{
    for (size_t i = netdev->stack.n; i-- > 0;)
        path_program(path, &netdev->stack.cubes[i]->patch, PCN_EGRESS, 0);
    path_end(path, PCN_HOP_NETDEV, netdev);
}

static void path_out_of_port(struct path *path, const struct pcn_port *port)
{
    for (size_t i = 0; i < port->stack.n; i++)
        path_program(path, &port->stack.cubes[i]->patch, PCN_EGRESS, port->id);
    if (port->link)
        path_into_port(path, port->link);
    else if (port->netdev)
        path_out_of_netdev(path, port->netdev);
    else
        path_end(path, PCN_HOP_NONE, NULL);
}

/* first's hop leads to steps[0], the hop of steps[0] to steps[1]...: set from the end. */
static void path_set(struct pcn_chain *chain, const struct path *path, struct pcn_patch *first, size_t hop, bool xdp)
{
    for (size_t i = path->n; i-- > 0;) {
        const struct step *before = i > 0 ? &path->steps[i - 1] : NULL;

        if (!before)
            patch_set(chain, first, hop, &path->steps[i], xdp);
        else
            patch_set(chain, before->patch, before->direction == PCN_INGRESS ? PCN_NEXT_INGRESS : PCN_NEXT_EGRESS,
                      &path->steps[i], xdp);
    }
}

/* Devices and re-injection that a flood of the cube reaches by this port. */
static void port_set_flood(struct pcn_chain *chain, struct pcn_port *port)
{
    struct pcn_bpf *bpf = chain->config.bpf;
    struct pcn_cube *cube = port->cube;
    struct pcn_hop hop = *pcn_instance_hop(cube->patch.instance, port->id);
    bool plain = hop.kind == PCN_HOP_NETDEV && !cube->kind->has_egress, behind = false;
    struct bpf_devmap_val value = {.bpf_prog.fd = -1};
    struct pcn_flood_ports ports = {};
    uint32_t key = cube->id;
    int map;

    if (!type_is_xdp(cube->type) || bpf->floods < 0)
        return;
    map = pcn_instance_map(cube->patch.instance, "pcn_flood_devices");
    if (map < 0)
        return;
    (void)bpf_map_lookup_elem(bpf->floods, &key, &ports);
    ports.program[port->id / 64] &= ~(1ULL << (port->id % 64));
    ports.all[port->id / 64] &= ~(1ULL << (port->id % 64));
    if (hop.kind != PCN_HOP_NONE) {
        ports.all[port->id / 64] |= 1ULL << (port->id % 64);
        if (!plain)
            ports.program[port->id / 64] |= 1ULL << (port->id % 64);
    }
    (void)bpf_map_update_elem(bpf->floods, &key, &ports, BPF_ANY);

    key = port->id;
    if (plain) {
        value.ifindex = (uint32_t)port->netdev->device.ifindex;
        (void)bpf_map_update_elem(map, &key, &value, BPF_ANY);
    } else {
        (void)bpf_map_delete_elem(map, &key);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(ports.program); i++)
        behind = behind || ports.program[i];
    key = PCN_PORTS_MAX;
    value.ifindex = (uint32_t)bpf->outer_ifindex;
    value.bpf_prog.fd = bpf->prepend;
    /* Kept once it is there while any port is: frames that were re-injected flood through it alone. */
    if (behind || plain)
        (void)bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

void chain_rewire_port(struct pcn_chain *chain, struct pcn_port *port)
{
    struct pcn_cube *cube = port->cube;
    struct path path = {};

    path_out_of_port(&path, port);
    path_set(chain, &path, &cube->patch, port->id, type_is_xdp(cube->type));
    port_set_flood(chain, port);
}

void chain_rewire_netdev(struct pcn_chain *chain, struct pcn_netdev *netdev)
{
    struct pcn_port *port = netdev->port;
    struct path in = {}, out = {};
    bool xdp = type_is_xdp(netdev->type);

    if (!netdev->patch.instance)
        return;
    if (netdev->shadow) {
        path_program(&in, &netdev->shadow->cube->patch, PCN_EGRESS, netdev->shadow->id);
        patch_set(chain, &netdev->patch, PCN_NEXT_INGRESS, &in.steps[0], xdp);
        return;
    }
    for (size_t i = 0; i < netdev->stack.n; i++)
        path_program(&in, &netdev->stack.cubes[i]->patch, PCN_INGRESS, 0);
    if (port)
        path_into_port(&in, port);
    else
        path_end(&in, PCN_HOP_STACK, netdev);
    path_set(chain, &in, &netdev->patch, PCN_NEXT_INGRESS, xdp);

    /* Of the host's stack. A cube's own egress leads on by its hop, which the port's path has set. */
    if (port && port->cube->kind->has_egress) {
        path_program(&out, &port->cube->patch, PCN_EGRESS, port->id);
        patch_set(chain, &netdev->patch, PCN_NEXT_EGRESS, &out.steps[0], xdp);
        chain_netdev_egress(chain, netdev, true);
        return;
    }
    if (port) {
        for (size_t i = 0; i < port->stack.n; i++)
            path_program(&out, &port->stack.cubes[i]->patch, PCN_EGRESS, port->id);
    }
    path_out_of_netdev(&out, netdev);
    path_set(chain, &out, &netdev->patch, PCN_NEXT_EGRESS, xdp);
    chain_netdev_egress(chain, netdev, out.n > 1);
}

void chain_mark_port(struct pcn_port *port)
{
    port->dirty = true;
    port->cube->chain->rewire = true;
    if (port->netdev)
        port->netdev->dirty = true;
    if (port->link)
        port->link->dirty = true;
}

void chain_mark_netdev(struct pcn_chain *chain, struct pcn_netdev *netdev)
{
    netdev->dirty = true;
    chain->rewire = true;
    if (netdev->port)
        netdev->port->dirty = true;
}

/*
 * What is downstream of a netdev's entry is the ports' paths: ports first. A
 * port's status is told to its cube when all hops are in place.
 */
void pcn_chain_rewire(struct pcn_chain *chain)
{
    struct pcn_netdev *netdev, *next;
    struct pcn_cube *cube;
    struct pcn_port *port;

    if (!chain->rewire)
        return;
    chain->rewire = false;
    for (cube = chain->cubes; cube; cube = cube->hh.next) {
        for (port = cube->ports; port; port = port->hh.next) {
            if (port->dirty)
                chain_rewire_port(chain, port);
        }
    }
    HASH_ITER(hh, chain->netdevs, netdev, next)
    {
        if (netdev->dirty)
            chain_rewire_netdev(chain, netdev);
        netdev->dirty = false;
    }
    for (cube = chain->cubes; cube; cube = cube->hh.next) {
        for (port = cube->ports; port; port = port->hh.next) {
            if (port->dirty)
                chain_notify(port);
            port->dirty = false;
        }
    }
    if (chain->retiring)
        epoch_start(chain);
}
