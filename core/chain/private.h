/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this layer share. */
#pragma once
#include <chain/chain.h>

struct pcn_chain {
    struct pcn_chain_config config;
    struct pcn_cube *cubes; /* by name */
    struct pcn_cube *by_id[PCN_CUBES_MAX + 1];
    struct pcn_netdev *netdevs; /* by name, those in use */
    struct pcn_netdev *devmap[PCN_NETDEVS_MAX];
    struct pcn_patch *retiring; /* nodes with slots to clear */
    uint64_t epoch;             /* given to slots that are retired now */
    uint64_t epoch_done;        /* a grace period is over since that one */
    bool epoch_running;
    bool rewire;     /* something is dirty */
    uint64_t change; /* counts pcn_chain_peers_begin() */
};

/* wire.c */
int patch_reserve(struct pcn_patch *patch, size_t hop);
void patch_done(struct pcn_chain *chain, struct pcn_patch *patch);
/* target's programs were loaded again: sets the slots that hold them. */
void patch_set_again(struct pcn_patch *patch, const struct pcn_patch *target);
void patch_set_none(struct pcn_chain *chain, struct pcn_patch *patch, size_t hop);
void chain_rewire_port(struct pcn_chain *chain, struct pcn_port *port);
void chain_rewire_netdev(struct pcn_chain *chain, struct pcn_netdev *netdev);
void chain_mark_port(struct pcn_port *port);
void chain_mark_netdev(struct pcn_chain *chain, struct pcn_netdev *netdev);

/* netdev.c */
/* Finds or makes the entry of a device for cubes of type. */
int chain_netdev_use(struct pcn_chain *chain, const char *name, enum pcn_cube_type type, struct pcn_netdev **ret_netdev,
                     struct pcn_error *error);
void chain_netdev_free(struct pcn_chain *chain, struct pcn_netdev *netdev);
/* Attaches or detaches the egress entry as it is needed. */
void chain_netdev_egress(struct pcn_chain *chain, struct pcn_netdev *netdev, bool needed);
void chain_netdev_idle(struct pcn_netdev *netdev);

/* port.c */
void chain_port_disconnect(struct pcn_port *port);
void chain_notify(struct pcn_port *port);

static inline bool type_is_xdp(enum pcn_cube_type type)
{
    return type != PCN_TYPE_TC;
}

extern const char *const chain_type_names[PCN_TYPE_MAX];
