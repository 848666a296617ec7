/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cube kind: what its shared object exports, and what the daemon offers it.
 *
 * libpcn-<kind>.so exports one symbol, `const struct pcn_cube_kind pcn_cube_kind`.
 * All callbacks run on the management thread, never two of one daemon at a
 * time, and must not block over 1 ms; pcn_work() hands longer work away.
 *
 * A change of configuration reaches a cube in four phases (see pcn_handler):
 * validate and prepare may refuse; apply may not; abort undoes prepare.
 */
#pragma once
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pcn/abi.h>
#include <pcn/base.h>
#include <pcn/error.h>
#include <pcn/node.h>

struct pcn_cube;   /* an instance */
struct pcn_port;   /* of a standard cube */
struct pcn_object; /* the BPF object of an instance, opened and not yet loaded */

enum pcn_cube_shape {
    PCN_STANDARD,    /* has ports */
    PCN_TRANSPARENT, /* is stacked on a port or a netdev */
};

enum pcn_cube_type {
    PCN_TYPE_TC,
    PCN_TYPE_XDP_SKB,
    PCN_TYPE_XDP_DRV,
    PCN_TYPE_MAX,
};

enum pcn_change_op {
    PCN_CHANGE_CREATE,
    PCN_CHANGE_MODIFY,
    PCN_CHANGE_DELETE,
    PCN_CHANGE_SHIFT, /* entries by number: see pcn_change.shift. Only where the kind asks for it, by pcn_cube_edit() */
};

/*
 * One change to one unit of configuration. A unit is the cube itself (path
 * ""), a container or a list entry, with the leaves directly in it: nested
 * containers and lists are units of their own and come as changes of their
 * own, parents before children on create, children before parents on delete.
 */
struct pcn_change {
    enum pcn_change_op op;
    const char *path;        /* of the unit in the model: "ports/secondaryip" */
    const char *const *keys; /* canonical values, of all lists on the path, outermost first */
    size_t n_keys;
    const struct pcn_node *before; /* NULL on create and shift; see pcn_cube_kind.after_alone */
    const struct pcn_node *after;  /* NULL on delete and shift */
    int shift;      /* 1: entries from the one of `keys` on get the next number; -1: those behind it the one before */
    void *resource; /* prepare's, for apply and abort */
};

/*
 * What a cube does about a unit. Any member may be NULL. validate: looks, in
 * memory, whether the new state is possible. prepare: reserves what apply
 * needs. apply: writes maps. In a transaction all validates run, then all
 * prepares, then all applies, in the order of the changes.
 * Return 0, or a negative errno after pcn_error_set().
 */
struct pcn_handler {
    const char *path;
    int (*validate)(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error);
    int (*prepare)(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error);
    void (*abort)(struct pcn_cube *cube, struct pcn_change *change);
    int (*apply)(struct pcn_cube *cube, struct pcn_change *change);
    /* Appends to an entry or container that is being shown the leaves that are not configuration. */
    int (*state)(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter);
    /*
     * A list that holds more than configuration (learned entries): emits each
     * entry whole, keys included; the tree is not consulted. keys are those of
     * the enclosing lists, and then, when one entry is asked for, its own
     * (n_keys tells): emit that one, or return -ENOENT.
     */
    int (*entries)(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter);
    /* DELETE of an entry that is not in the tree (a learned one): 0, or -ENOENT. keys of the entry; NULL own key: all. */
    int (*forget)(struct pcn_cube *cube, const char *const *keys, size_t n_keys);
    /* path names an action: runs it. input holds its leaves, output takes them. */
    int (*action)(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                  struct pcn_emitter *output, struct pcn_error *error);
};

struct pcn_reason {
    const char *label; /* of the metric: "no-route" */
    const char *help;
};

/* A packet the fast path sent up. frame is the caller's, for the duration of the call. */
struct pcn_packet_in {
    struct pcn_record record;
    const uint8_t *frame; /* record.captured bytes; the VLAN tag is in it */
};

enum pcn_event_kind {
    PCN_EVENT_PEER,           /* a port was connected, disconnected, or its peer changed: status, MTU and peer MAC */
    PCN_EVENT_PARENT,         /* a transparent cube was attached or detached */
    PCN_EVENT_SHADOW_ADDRESS, /* shadow namespace: an address came or went */
    PCN_EVENT_SHADOW_ROUTE,   /* shadow namespace: a route came or went */
    PCN_EVENT_SHADOW_LINK,    /* shadow namespace: a device's MAC changed */
    PCN_EVENT_DEVICE, /* a device of the host came, went or changed; the peer of a transparent cube's port did */
};

struct pcn_event {
    enum pcn_event_kind kind;
    struct pcn_port *port; /* NULL where none is concerned */
    bool removed;          /* it went */
    uint32_t ifindex;      /* DEVICE: which, and its name now; 0: what is behind the cube's port */
    char device[IFNAMSIZ];
    uint8_t mac[ETH_ALEN]; /* SHADOW_LINK */
    int family;            /* SHADOW_ADDRESS, SHADOW_ROUTE: AF_INET, AF_INET6 */
    uint8_t prefix_length;
    union pcn_address address; /* the address, or the route's destination */
    union pcn_address gateway; /* all zero: none */
    uint32_t metric;
};

struct pcn_cube_kind {
    uint16_t abi_major; /* PCN_ABI_MAJOR */
    uint16_t abi_minor;
    uint32_t size; /* sizeof(struct pcn_cube_kind) */
    const char *name;
    const char *version;
    const char *description;
    enum pcn_cube_shape shape;
    const char *yang;      /* text of the module, NUL-terminated */
    const void *tc_object; /* ELF, compiled for TC: <kind>_tc, <kind>_tc_end */
    const void *tc_object_end;
    const void *xdp_object; /* ELF, compiled for XDP: <kind>_xdp, <kind>_xdp_end */
    const void *xdp_object_end;
    const struct pcn_reason *reasons; /* drop reasons from PCN_DROP_KIND_FIRST on */
    size_t n_reasons;
    const struct pcn_handler *handlers;
    size_t n_handlers;
    bool has_egress; /* a standard cube whose egress handler does something */
    bool has_shadow; /* a standard cube that can have a shadow namespace */

    /*
     * configure: before load; sets .rodata and map sizes (pcn_object_*) from the creating configuration.
     * It runs once an object (TC, XDP) and for every reload. create: programs and maps exist; allocates the cube's own state.
     * reconfigure: what configure did, for programs that pcn_cube_reload() loads.
     * adopt: like create, for an instance whose pinned maps are in use and full; NULL: create.
     */
    int (*configure)(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error);
    int (*create)(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error);
    int (*adopt)(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error);
    void (*destroy)(struct pcn_cube *cube);
    /* A port has its id and its maps' slots; its configuration follows as changes of unit "ports". */
    int (*port_added)(struct pcn_cube *cube, struct pcn_port *port, struct pcn_error *error);
    void (*port_removed)(struct pcn_cube *cube, struct pcn_port *port);
    void (*packet_in)(struct pcn_cube *cube, const struct pcn_packet_in *packet);
    void (*event)(struct pcn_cube *cube, const struct pcn_event *event);
    void (*tick)(struct pcn_cube *cube); /* once a second */
    /* JSON object, or NULL: what every cube has from the start. A list's entries are added where no other has their name. */
    const char *initial;
    int (*reconfigure)(struct pcn_cube *cube, struct pcn_object *object, struct pcn_error *error);
    /*
     * prepared: all changes of a transaction to the cube are, and may still be refused together; each is then aborted.
     * applied: all of them were. For what is worked out from many units at once. abandoned: the transaction was refused, at
     * whatever change, that one's prepare included; maybe before the first.
     */
    int (*prepared)(struct pcn_cube *cube, struct pcn_error *error);
    void (*applied)(struct pcn_cube *cube);
    void (*abandoned)(struct pcn_cube *cube);
    /* Its handlers do without pcn_change.before of what is modified: it is NULL. Of many entries, copies take most of the time. */
    bool after_alone;
};

/* ---- the instance ---- */
PCN_EXPORT const char *pcn_cube_name(const struct pcn_cube *cube);
PCN_EXPORT enum pcn_cube_type pcn_cube_type(const struct pcn_cube *cube);
PCN_EXPORT uint16_t pcn_cube_id(const struct pcn_cube *cube);
PCN_EXPORT void *pcn_cube_state(const struct pcn_cube *cube);
PCN_EXPORT void pcn_cube_set_state(struct pcn_cube *cube, void *state);
/* Milliseconds since boot, of the clock that pcn_now() counts in jiffies; and the jiffies themselves. */
PCN_EXPORT uint64_t pcn_clock_ms(void);
PCN_EXPORT uint64_t pcn_clock_jiffies(void);
PCN_EXPORT uint32_t pcn_clock_hz(void);
/* A line in the log as `[date time] [Kind] [cube] [level] text`, if the cube's log level lets it. */
PCN_EXPORT void pcn_cube_log(struct pcn_cube *cube, enum pcn_log_level level, const char *format, ...) PCN_PRINTF(3, 4);

/* ---- its object, before load (configure) ---- */
/* -ENOENT: no such variable in .rodata, or map; -EINVAL: another size. */
PCN_EXPORT int pcn_object_set(struct pcn_object *object, const char *variable, const void *value, size_t size);
PCN_EXPORT int pcn_object_resize(struct pcn_object *object, const char *map, uint32_t entries);
/*
 * A section of zeros, `.bss.` and at most 9 characters: an array of as many bytes, where the source declares as many as
 * there may ever be. Its address is a constant of the program, which costs a packet less than a map; where it ends, the
 * program must know by a variable of .rodata. -EINVAL: more than declared.
 */
PCN_EXPORT int pcn_object_trim(struct pcn_object *object, const char *section, size_t size);
/*
 * Programs of some size are loaded from an object each, with .rodata of its own: the direction of the one that is loaded
 * from this object. PCN_DIRECTION_MAX: more than one.
 */
PCN_EXPORT enum pcn_direction pcn_object_direction(const struct pcn_object *object);
/* Of one whose direction that says: its light program is loaded instead, see PCN_LIGHT. */
PCN_EXPORT void pcn_object_lighten(struct pcn_object *object);
/* reconfigure: the map is to be a new one, even if it is as large as before. */
PCN_EXPORT int pcn_object_renew(struct pcn_object *object, const char *map);

/* ---- its maps, once loaded ---- */
/* -ENOENT: no such map, or no such key. Values of per-CPU maps are arrays over the possible CPUs, 8-byte aligned each. */
PCN_EXPORT int pcn_map_get(struct pcn_cube *cube, const char *map, const void *key, void *ret_value);
PCN_EXPORT int pcn_map_set(struct pcn_cube *cube, const char *map, const void *key, const void *value);
PCN_EXPORT int pcn_map_delete(struct pcn_cube *cube, const char *map, const void *key);
/* key NULL: the first key. -ENOENT at the end. */
PCN_EXPORT int pcn_map_next(struct pcn_cube *cube, const char *map, const void *key, void *ret_key);
/*
 * Memory of an array map with BPF_F_MMAPABLE: written to directly, seen by the
 * fast path at once. Stays valid until destroy. Values are 8-byte aligned, one after the other.
 * -ENOENT: no such map; -EINVAL: it is not mmapable.
 */
PCN_EXPORT int pcn_map_memory(struct pcn_cube *cube, const char *map, void **ret_memory, size_t *ret_size);
PCN_EXPORT unsigned int pcn_cpus(void); /* possible CPUs */

/*
 * Loads the programs again, beside those that run, with what reconfigure now says; takes as long as creating
 * the cube did. directions: bits of enum pcn_direction; the programs of others go on, unless a map is new or all are
 * loaded at once. A map that reconfigure leaves as large as it is stays; one of another size is new and empty. Until
 * then pcn_cube_next_memory() gives what the new programs will use. Then switch, after which each packet runs the new
 * programs and the memory of the maps that were replaced is gone, or discard.
 */
PCN_EXPORT int pcn_cube_reload(struct pcn_cube *cube, unsigned int directions, struct pcn_error *error);
PCN_EXPORT int pcn_cube_next_memory(struct pcn_cube *cube, const char *map, void **ret_memory, size_t *ret_size);
PCN_EXPORT void pcn_cube_switch(struct pcn_cube *cube);
PCN_EXPORT void pcn_cube_discard(struct pcn_cube *cube);
/*
 * Gives a frame to a twin of a transparent cube's program, loaded for this with what reconfigure says: on the
 * same maps, with dry_run set in its identity, so that it writes nothing but what it is to tell. The verdict,
 * enum pcn_verdict; -EINVAL: reconfigure asks for a map of another size.
 */
PCN_EXPORT int pcn_cube_dry_run(struct pcn_cube *cube, enum pcn_direction direction, const uint8_t *frame, size_t size,
                                struct pcn_error *error);

/* ---- its configuration ---- */

enum pcn_cube_edit {
    PCN_CUBE_CREATE,  /* path must not exist */
    PCN_CUBE_REPLACE, /* create or replace */
    PCN_CUBE_UPDATE,  /* path must exist */
    PCN_CUBE_DELETE,  /* path must exist */
    PCN_CUBE_INSERT,  /* an entry by number: who has that number, and all behind, get the next one (PCN_CHANGE_SHIFT) */
    PCN_CUBE_REMOVE,  /* path must exist: all entries behind get the number before */
};

/*
 * For actions: a change of the cube's configuration as a request would make it, in a transaction of its own. segments: the
 * path, keys included ("chain", "INGRESS", "rule"); json: the body, NULL for DELETE. -EINVAL: not JSON, or refused.
 */
PCN_EXPORT int pcn_cube_edit(struct pcn_cube *cube, enum pcn_cube_edit edit, const char *const *segments,
                             size_t n_segments, const char *json, struct pcn_error *error);

/* ---- its ports ---- */
PCN_EXPORT struct pcn_port *pcn_port_by_name(const struct pcn_cube *cube, const char *name);
PCN_EXPORT struct pcn_port *pcn_port_by_id(const struct pcn_cube *cube, uint16_t id);
PCN_EXPORT struct pcn_port *pcn_port_next(const struct pcn_cube *cube, const struct pcn_port *port); /* NULL: first */
PCN_EXPORT uint16_t pcn_port_id(const struct pcn_port *port); /* index in maps, and in the packet context */
PCN_EXPORT const char *pcn_port_name(const struct pcn_port *port);
PCN_EXPORT bool pcn_port_is_up(const struct pcn_port *port);
PCN_EXPORT uint32_t pcn_port_mtu(const struct pcn_port *port); /* of the netdev peer; 1500 where there is none */
PCN_EXPORT void *pcn_port_state(const struct pcn_port *port);
PCN_EXPORT void pcn_port_set_state(struct pcn_port *port, void *state);
/* Netdev a transparent cube or a port sits on: false where it is not on a netdev, directly or by its parent port. */
PCN_EXPORT bool pcn_port_netdev_mac(const struct pcn_port *port, uint8_t ret_mac[ETH_ALEN]);
/*
 * First address of what a transparent cube is attached to: of the device, or of the port: leaf "ip", then list
 * "secondaryip". Of IPv6 none of the link alone. It may change at any time, and no event tells. -ENOENT: it is not
 * attached, or there is none of that family.
 */
PCN_EXPORT int pcn_cube_parent_address(const struct pcn_cube *cube, int family, union pcn_address *ret_address);
/* ifindex of a device of the host, by its name; 0: there is none. */
PCN_EXPORT uint32_t pcn_netdev_ifindex(const struct pcn_cube *cube, const char *name);
/*
 * Name of the device that a packet leaves by behind a transparent cube's egress: the one it is attached to, or the peer
 * of its port. -ENOENT: it is not attached, or the port has no device as its peer.
 */
PCN_EXPORT int pcn_cube_parent_netdev(const struct pcn_cube *cube, char ret_name[IFNAMSIZ]);

/* ---- packets down ---- */
/*
 * EGRESS: out of port, by the cube's egress path. INGRESS: into the cube, as if port had received it.
 * Transparent cubes: port is ignored, and the packet goes on after the cube unless into is true.
 * -EMSGSIZE: longer than PCN_CAPTURE_MAX or shorter than an Ethernet header; -ENOBUFS, -EAGAIN: shed, and counted.
 */
PCN_EXPORT int pcn_cube_send(struct pcn_cube *cube, uint16_t port, enum pcn_direction direction, const void *frame,
                             size_t length);
PCN_EXPORT int pcn_cube_send_into(struct pcn_cube *cube, enum pcn_direction direction, const void *frame,
                                  size_t length);

/* ---- shadow namespace (has_shadow, and the cube was created with shadow=true) ---- */
PCN_EXPORT bool pcn_cube_has_shadow(const struct pcn_cube *cube);
/* Asks the helper process to mirror; asynchronous, errors are logged. add false: remove. */
PCN_EXPORT void pcn_shadow_address(struct pcn_port *port, int family, const union pcn_address *address,
                                   uint8_t prefix_length, bool add);
PCN_EXPORT void pcn_shadow_route(struct pcn_cube *cube, int family, const union pcn_address *destination,
                                 uint8_t prefix_length, const union pcn_address *gateway, struct pcn_port *port,
                                 uint32_t metric, bool add);
PCN_EXPORT void pcn_shadow_mac(struct pcn_port *port, const uint8_t mac[ETH_ALEN]);

/* ---- long work ---- */
/* Runs work(data) on a worker thread, then done(data) on the management thread. -ENOMEM. */
PCN_EXPORT int pcn_work(void (*work)(void *data), void (*done)(void *data), void *data);
