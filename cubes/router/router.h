/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a router, and what its files offer each other:
 *
 *     router.c           the kind, its instance, the clock
 *     router_interface.c interfaces: how they come and go, MAC and link-local addresses
 *     router_ports.c     the configuration of ports, and what is shown of them
 *     router_address.c   which addresses are ours, which networks are attached
 *     router_fast.c      the fast path's tables, written by router_fib.c
 *     router_rib.c       all routes, and which of them are in use
 *     router_routes.c    the configuration of routes, and what is shown of them
 *     router_neighbour.c neighbours: asking, waiting packets, ageing
 *     router_arp.c       the configuration of neighbours, and what is shown of them
 *     router_icmp.c      packets from the fast path, and what is answered
 *     router_shadow.c    the shadow namespace
 */
#pragma once
#include "router_fib.h"
#include "router_packet.h"
#include "router_rib.h"
#include "router_text.h"
#include <pcn/cube.h>

#define ROUTER_ADDRESSES_MAX 128 /* of a port: the configured ones, and as many of the shadow namespace's */
#define ROUTER_WAITING_MAX 3     /* packets that wait for a neighbour to answer */
#define ROUTER_ASKED_MAX 3       /* requests, one a second, until a neighbour counts as not there */
#define ROUTER_PATH_TEXT 192     /* of a node, in errors */

struct router_interface;
struct router_static;

/*
 * An address has three states: pending (prepared), present, and leaving (its removal is prepared).
 * Packets see those that are present; checks of a transaction those that will be.
 */
struct router_address {
    struct router_interface *interface;
    union pcn_address address;
    struct router_network network;         /* its network: bits of the host are 0 */
    struct router_rib_route *own;          /* to itself; NULL: it is link-local */
    struct router_rib_route *connected[3]; /* to its network; NULL: another address of the interface has it, or none */
    struct router_address *next;           /* of the interface */
    struct router_address *own_next;       /* the same address: of other interfaces, or about to replace it */
    struct router_address *network_next;   /* in the same network */
    char *text;                            /* as configured */
    uint8_t role;                          /* enum router_address_role */
    bool pending, leaving;
};

enum router_address_role {
    ROUTER_ADDRESS_PRIMARY,    /* leaf ip */
    ROUTER_ADDRESS_SECONDARY,  /* entry of secondaryip */
    ROUTER_ADDRESS_LINK_LOCAL, /* made by us; there are no others of the kind */
    ROUTER_ADDRESS_SHADOW,     /* of the shadow namespace */
};

struct router_own_key {
    union pcn_address address;
    uint32_t family;
};

/* All that have one address; all in one network. */
struct router_own {
    struct router_own_key key;
    struct router_address *addresses;
    UT_hash_handle hh;
};

struct router_attached {
    struct router_network network;
    struct router_address *addresses;
    UT_hash_handle hh;
};

struct router_interface {
    struct pcn_port *port;
    uint16_t id;
    uint8_t mac[ETH_ALEN];
    bool mac_given; /* by the configuration */
    bool leaving;   /* its removal is prepared */
    bool wired;     /* packets find its peer: it was told by an event, which comes after the changes */
    struct router_address *addresses;
    unsigned int n_addresses;
};

/* A packet that waits until a neighbour answers: a frame as it came in. */
struct router_waiting {
    uint8_t *frame;
    size_t length;
    uint16_t port; /* it came in by */
};

/*
 * A neighbour; its number is that of the fast path's slot. Those that nobody holds go when they do not
 * answer; those that are held (by next hops, by the configuration) stay, INCOMPLETE.
 */
struct router_neigh {
    union pcn_address address;
    uint16_t family;
    uint16_t port;
    uint32_t number;
    uint32_t holds;
    uint8_t mac[ETH_ALEN];
    uint8_t state; /* enum router_neighbour_state */
    uint8_t asked; /* requests sent; 0: it is not being asked */
    uint8_t n_waiting;
    uint64_t heard;    /* ms */
    uint64_t asked_at; /* ms */
    struct router_waiting waiting[ROUTER_WAITING_MAX];
    struct router_neigh *prev, *next; /* being asked */
};

struct router {
    struct pcn_cube *cube;
    struct router_rib rib;
    struct router_own *own;
    struct router_attached *attached;
    uint32_t attached_lengths[2][129]; /* networks of each length: IPv4, IPv6 */
    struct router_interface *interfaces[PCN_PORTS_MAX];

    struct router_fib *fib;
    struct router_port *ports; /* the fast path's memory */
    struct router_neighbour *slots;
    const struct router_hop *hops;
    struct router_data *data;
    uint32_t n_nodes;

    struct router_neigh **neighbours; /* by number */
    uint32_t n_neighbours;
    uint32_t n_incomplete; /* those nobody holds */
    uint32_t cursor;       /* of the sweep */
    struct router_neigh *asking, *asking_last;
    struct router_static *statics;
    uint32_t aging; /* seconds */

    uint64_t errors_at; /* ms: the bucket of ICMP errors was last filled */
    uint32_t errors;    /* tokens */
    bool established;   /* the cube's creation is over */
};

/* ---- router_fast.c: the fast path's tables ---- */

extern const struct router_rib_ops router_fast_ops;
int router_fast_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error);
int router_fast_new(struct router *router);
/* Writes the fast path's view of an interface: MAC address, MTU, addresses. */
void router_fast_interface(struct router *router, const struct router_interface *interface);
/* Whether packets to an address go to it itself, by the interface. */
bool router_fast_is_connected(const struct router *router, const struct router_interface *interface, uint16_t family,
                              const union pcn_address *address);
/* Whether the tables have room for one more route. */
bool router_fast_has_room(const struct router *router);
int router_refuse_full(const struct router *router, const char *path, struct pcn_error *error);

/* ---- router_address.c ---- */

/*
 * Reserves all that an address takes: it is pending then. address: with the bits of the host, a full
 * length makes no network. -EEXIST: the router has it; -ENOSPC, -E2BIG, -ENOMEM.
 */
int router_address_prepare(struct router *router, struct router_interface *interface,
                           const struct router_network *address, enum router_address_role role, const char *text,
                           struct router_address **ret_address);
void router_address_discard(struct router *router, struct router_address *address);
void router_address_enter(struct router *router, struct router_address *address);
/* Frees it. */
void router_address_leave(struct router *router, struct router_address *address);
/* The address, if present; on: of this interface, NULL: of any. */
struct router_address *router_address_find(const struct router *router, uint16_t family,
                                           const union pcn_address *address, const struct router_interface *on);
/* Whether the router will have the address, once what is prepared is applied. */
bool router_address_will(const struct router *router, uint16_t family, const union pcn_address *address);
/* The interface whose network holds address, by the longest; will: as it will be, else as it is. NULL: none. */
struct router_interface *router_attached_find(const struct router *router, uint16_t family,
                                              const union pcn_address *address, bool will);
/*
 * The address that packets to a host on the interface come from: one in the host's network, or
 * any; for link-local hosts the link-local one. NULL: it has none of the family.
 */
const struct router_address *router_source(const struct router_interface *interface, uint16_t family,
                                           const union pcn_address *host);

/* ---- router_interface.c ---- */

int router_port_added(struct pcn_cube *cube, struct pcn_port *port, struct pcn_error *error);
void router_port_removed(struct pcn_cube *cube, struct pcn_port *port);
struct router_interface *router_interface_by_name(const struct router *router, const char *name);
/* Whether the interface has an address of the family, besides the link-local one that it always has. */
bool router_interface_speaks(const struct router_interface *interface, uint16_t family);
/* The first present one; text NULL: whatever it is. */
struct router_address *router_address_of_role(const struct router_interface *interface, enum router_address_role role,
                                              const char *text);
/* The MAC address of a port that was given none: always the same for a cube and port of these names on this machine. */
void router_mac_default(const struct pcn_cube *cube, const char *port, uint8_t ret_mac[ETH_ALEN]);
/* As router_address_prepare(): the address that goes with a MAC address. */
int router_link_local_prepare(struct router *router, struct router_interface *interface, const uint8_t mac[ETH_ALEN],
                              struct router_address **ret_address);
/* link_local: prepared; takes the place of the one that is there. */
void router_interface_set_mac(struct router *router, struct router_interface *interface, const uint8_t mac[ETH_ALEN],
                              struct router_address *link_local);

/* ---- router_arp.c ---- */

/* Configured neighbours of a port: put to use when it comes, out of it before it goes. */
void router_statics_bind(struct router *router, const struct router_interface *interface);
void router_statics_unbind(struct router *router, const struct router_interface *interface);
void router_statics_clear(struct router *router);

/* ---- router_neighbour.c ---- */

/* The neighbour, INCOMPLETE where it is new, held once more. -ENOBUFS: the table is full; -ENOMEM. */
int router_neigh_hold(struct router *router, uint16_t family, const union pcn_address *address, uint16_t port,
                      struct router_neigh **ret_neigh);
void router_neigh_release(struct router *router, struct router_neigh *neigh);
struct router_neigh *router_neigh_find(const struct router *router, uint16_t family, const union pcn_address *address,
                                       uint16_t port);
/* Forgets what is learned: it goes, or, held, is INCOMPLETE. */
void router_neigh_forget(struct router *router, struct router_neigh *neigh);
void router_neigh_set_static(struct router *router, struct router_neigh *neigh, const uint8_t mac[ETH_ALEN]);
/* The neighbour was heard to have this MAC address. confirmed: it answered, so that there is a way to it. */
void router_neigh_heard(struct router *router, struct router_neigh *neigh, const uint8_t mac[ETH_ALEN], bool confirmed);
/* A packet for it: sent on if it is known, or else kept while it is asked. in: port it came in by. */
void router_neigh_send(struct router *router, struct router_neigh *neigh, uint16_t in, const uint8_t *frame,
                       size_t length);
/* Asks for it, unless it is being asked. */
void router_neigh_ask(struct router *router, struct router_neigh *neigh);
/* Finds or makes the neighbour of a packet. NULL: there is no room for another. */
struct router_neigh *router_neigh_for_packet(struct router *router, uint16_t family, const union pcn_address *address,
                                             uint16_t port);
void router_neigh_tick(struct router *router);
/* All of a port that is gone. */
void router_neigh_drop_port(struct router *router, uint16_t port);
void router_neigh_clear(struct router *router);

/* ---- router_icmp.c ---- */

void router_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet);
/* Sends a packet that came in by port `in` to a neighbour that is known. */
void router_forward(struct router *router, const struct router_neigh *neigh, uint16_t in, const uint8_t *frame,
                    size_t length);
/* Answers a packet that came in by port `in` with an error; mtu: of ROUTER_PACKET_TOO_BIG. */
void router_refuse(struct router *router, uint16_t in, const uint8_t *frame, size_t length, enum router_error error,
                   uint32_t mtu);
/* Tells the neighbours of an interface its addresses, if it is connected. */
void router_announce(struct router *router, const struct router_interface *interface);

/* ---- router_shadow.c: nothing happens where the cube has no shadow namespace ---- */

void router_shadow_address(struct router *router, const struct router_address *address, bool add);
void router_shadow_mac(struct router *router, const struct router_interface *interface);
void router_shadow_route(struct router *router, const struct router_rib_route *route, bool add);
void router_shadow_event(struct router *router, const struct pcn_event *event);
/* Takes all routes away that came from there, here and there. */
int router_shadow_forget_routes(struct router *router);
