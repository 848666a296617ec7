/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patch panel: cubes, their ports, what these are connected to, what is
 * stacked on them; and the hops that follow from it.
 *
 * Changes are staged: *_new and *_prepare may fail and only reserve; *_set,
 * attach and detach record; pcn_chain_rewire() then moves the hops of all links that were touched,
 * downstream first. It writes arrays and slots only and waits for nothing.
 *
 * Order in a stack (list of transparent cubes): on a port, index 0 is nearest
 * the cube; on a netdev, nearest the wire. Ingress on a netdev runs 0..N-1,
 * ingress on a port N-1..0; egress the other way round.
 */
#pragma once
#include <bpf/env.h>
#include <bpf/instance.h>
#include <net/net.h>
#include <pcn/cube.h>
#include <uthash.h>

#define PCN_NAME_MAX 64
#define PCN_UUID_SIZE 37
/* Cubes on one point. A path may run 30 programs: two stacks, two cubes, two entries. */
#define PCN_STACK_MAX 12

struct pcn_chain;
struct pcn_loop;

struct pcn_stack {
    struct pcn_cube *cubes[PCN_STACK_MAX];
    size_t n;
};

/* The slots of an instance's hop arrays, and what its hops are now. */
struct pcn_slot {
    uint64_t target; /* serial of the instance whose program stands in it; 0: free */
    enum pcn_direction direction;
    uint32_t references;
    uint64_t epoch; /* reusable once this grace period is over */
};

struct pcn_patch {
    struct pcn_instance *instance;
    struct pcn_slot *slots;
    size_t n_slots;
    uint16_t *slot_of; /* by hop: slot + 1 it refers to, 0: none */
    size_t n_hops;     /* entries of slot_of: grows with the highest hop */
    bool retiring;     /* in the chain's list of nodes with slots to clear */
    struct pcn_patch *next_retiring;
};

struct pcn_netdev {
    struct pcn_net_device device;
    struct pcn_patch patch; /* the entry programs; .instance NULL: not attached */
    enum pcn_cube_type type;
    struct pcn_port *port;           /* whose peer it is, or NULL */
    const struct pcn_port *claimant; /* whose peer it becomes in the change `claimed`; compared, not followed */
    uint64_t claimed;
    struct pcn_port *shadow; /* it leads to the shadow namespace of this port's cube, or NULL */
    struct pcn_stack stack;
    uint32_t devmap_entry; /* XDP */
    bool egress_attached;
    bool dirty;
    uint64_t idle_since; /* ms; 0: in use */
    UT_hash_handle hh;   /* by name */
};

struct pcn_port {
    struct pcn_cube *cube;
    uint16_t id;
    char name[PCN_NAME_MAX + 1];
    char uuid[PCN_UUID_SIZE];
    char peer[2 * PCN_NAME_MAX + 2]; /* as configured; "": none */
    struct pcn_netdev *netdev;       /* connected to it */
    struct pcn_port *link;           /* connected to it: both name each other */
    struct pcn_netdev *shadow;       /* device to the shadow namespace */
    struct pcn_stack stack;
    bool dirty;
    bool was_up;
    void *state;
    UT_hash_handle hh; /* by name */
};

struct pcn_cube {
    struct pcn_chain *chain;
    const struct pcn_cube_kind *kind;
    char name[PCN_NAME_MAX + 1];
    char uuid[PCN_UUID_SIZE];
    uint16_t id;
    enum pcn_cube_type type;
    enum pcn_log_level loglevel;
    bool shadow;
    bool span;
    bool degraded; /* a write that may not fail did */
    bool live;     /* create ran: callbacks may be called */
    struct pcn_patch patch;
    struct pcn_port *ports;       /* by name */
    struct pcn_port **port_by_id; /* n_ids of them, NULL where an id is free */
    uint16_t n_ids;
    struct pcn_port *parent_port; /* transparent: what it sits on */
    struct pcn_netdev *parent_netdev;
    void *state;        /* the kind's */
    void *owner;        /* the daemon's */
    void *queue;        /* the slow path's */
    void *shadow_space; /* the shadow layer's */
    UT_hash_handle hh;  /* by name */
};

struct pcn_chain_config {
    struct pcn_bpf *bpf;
    struct pcn_net *net;
    struct pcn_loop *loop;
    bool has_net_admin;
    /* Told after the fact: a netdev that was connected is gone, and took the peer of port with it. */
    void (*peer_lost)(void *data, struct pcn_port *port);
    /* See pcn_cube_edit(). */
    int (*edit)(void *data, struct pcn_cube *cube, enum pcn_cube_edit edit, const char *const *segments,
                size_t n_segments, const char *json, struct pcn_error *error);
    /*
     * Addresses that the configuration gives a port, a prefix may follow: leaf ip, then those of list secondaryip. NULL:
     * there is no configuration.
     */
    void (*port_addresses)(void *data, const struct pcn_port *port, void (*each)(void *user, const char *text),
                           void *user);
    void *data;
};

int pcn_chain_new(const struct pcn_chain_config *config, struct pcn_chain **ret_chain);
/* Detaches and frees all that is left. */
void pcn_chain_freep(struct pcn_chain **chain);
struct pcn_bpf *pcn_chain_bpf(const struct pcn_chain *chain);

/* ---- cubes ---- */

struct pcn_cube_spec {
    const struct pcn_cube_kind *kind;
    const char *name;
    const char *uuid; /* NULL: a new one */
    enum pcn_cube_type type;
    enum pcn_log_level loglevel;
    bool shadow;
    const struct pcn_node *config;
};

/* Loads programs and maps, calls the kind's create. DATA_EXISTS: the name is taken; RESOURCE_DENIED: a limit. */
int pcn_chain_cube_new(struct pcn_chain *chain, const struct pcn_cube_spec *spec, struct pcn_cube **ret_cube,
                       struct pcn_error *error);
/* Disconnects, detaches, destroys. */
void pcn_chain_cube_free(struct pcn_cube *cube);
struct pcn_cube *pcn_chain_cube(const struct pcn_chain *chain, const char *name);
struct pcn_cube *pcn_chain_cube_by_id(const struct pcn_chain *chain, uint16_t id);
struct pcn_cube *pcn_chain_cube_next(const struct pcn_chain *chain, const struct pcn_cube *cube); /* by creation */
void pcn_chain_set_loglevel(struct pcn_cube *cube, enum pcn_log_level level);
int pcn_chain_set_span(struct pcn_cube *cube, bool on);

/* ---- ports ---- */

int pcn_chain_port_new(struct pcn_cube *cube, const char *name, const char *uuid, struct pcn_port **ret_port,
                       struct pcn_error *error);
void pcn_chain_port_free(struct pcn_port *port);
/* Before the peers of a change are prepared: two ports of one change cannot have the same device. */
void pcn_chain_peers_begin(struct pcn_chain *chain);
/*
 * Whether port may be connected to peer ("", "eth0", "br1:p1"), and the entry of a netdev attached.
 * Needs every cube and port of the transaction to exist.
 */
int pcn_chain_peer_prepare(struct pcn_port *port, const char *peer, struct pcn_error *error);
void pcn_chain_peer_set(struct pcn_port *port, const char *peer);

/* The device that leads to the port's device in the shadow namespace: what comes from there leaves by the port. */
int pcn_chain_shadow_set(struct pcn_port *port, const char *device, struct pcn_error *error);
void pcn_chain_shadow_clear(struct pcn_port *port);

/* ---- transparent cubes ---- */

enum pcn_position {
    PCN_POSITION_AUTO, /* last */
    PCN_POSITION_FIRST,
    PCN_POSITION_LAST,
    PCN_POSITION_BEFORE,
    PCN_POSITION_AFTER,
};

/* target: "br1:p1" or "eth0"; other: the cube of BEFORE and AFTER. Takes effect at once. */
int pcn_chain_attach(struct pcn_cube *cube, const char *target, enum pcn_position position, const char *other,
                     struct pcn_error *error);
int pcn_chain_detach(struct pcn_cube *cube, const char *target, struct pcn_error *error);

/* ---- effect ---- */

void pcn_chain_rewire(struct pcn_chain *chain);
/* Once a second: lets go of netdevs that nobody uses any more. */
void pcn_chain_tick(struct pcn_chain *chain);
void pcn_chain_device_changed(struct pcn_chain *chain, enum pcn_net_change change, const struct pcn_net_device *device);

/* ---- looking ---- */

bool pcn_port_status(const struct pcn_port *port);                                    /* UP */
struct pcn_netdev *pcn_chain_netdev(const struct pcn_chain *chain, const char *name); /* in use, or NULL */
/* "br1:p1", "eth0" or "" */
void pcn_cube_parent(const struct pcn_cube *cube, char *ret_text, size_t size);
/* index: of a port; transparent: enum pcn_direction. */
int pcn_cube_counters(struct pcn_cube *cube, uint32_t index, struct pcn_port_counters *ret_counters);
/* Sum over the CPUs of a drop reason. */
int pcn_cube_drops(struct pcn_cube *cube, uint64_t ret_drops[PCN_DROP_REASONS_MAX]);
const char *pcn_cube_reason_label(const struct pcn_cube *cube, uint32_t reason);
