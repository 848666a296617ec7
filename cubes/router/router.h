/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a router, and what its files offer each other:
 *
 *     router.c           the kind, its instance, the clock
 *     router_ports.c     interfaces: MAC and IP addresses, the configuration of ports
 *     router_address.c   which addresses are ours, which networks are attached
 *     router_routes.c    the configuration of routes, and what is shown of them
 *     router_neighbour.c neighbours: asking, waiting packets, ageing
 *     router_arp.c       the configuration of neighbours, and what is shown of them
 *     router_icmp.c      packets from the fast path, and what is answered
 *     router_shadow.c    the shadow namespace
 */
#pragma once
#include "router_packet.h"
#include "router_rib.h"
#include "router_text.h"
#include <pcn/cube.h>

#define ROUTER_ADDRESSES_MAX 128 /* of a port: the configured ones, and as many of the shadow namespace's */

struct router_interface;

/*
 * An address has three states: pending (prepared), present, and leaving (its removal is prepared).
 * Packets see those that are present; checks of a transaction those that will be.
 */
struct router_address {
    struct router_interface *interface;
    union pcn_address address;
    struct router_network network;       /* its network: bits of the host are 0 */
    struct router_rib_route *own;        /* to itself */
    struct router_rib_route *connected;  /* to its network; NULL: another address of the interface has it, or none */
    struct router_address *next;         /* of the interface */
    struct router_address *own_next;     /* the same address: of other interfaces, or about to replace it */
    struct router_address *network_next; /* in the same network */
    char *text;                          /* as configured */
    uint8_t role;                        /* enum router_address_role */
    bool pending, leaving;
};

enum router_address_role {
    ROUTER_ADDRESS_PRIMARY,    /* leaf ip */
    ROUTER_ADDRESS_SECONDARY,  /* entry of secondaryip */
    ROUTER_ADDRESS_LINK_LOCAL, /* made by us */
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
    struct router_address *addresses;
    unsigned int n_addresses;
};

struct router {
    struct pcn_cube *cube;
    struct router_rib rib;
    struct router_own *own;
    struct router_attached *attached;
    uint32_t attached_lengths[2][129]; /* networks of each length: IPv4, IPv6 */
    struct router_interface *interfaces[PCN_PORTS_MAX];
    bool established; /* the cube's creation is over */
};

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
/* The interface whose network holds address, by the longest; will: as it will be, else as it is. NULL: none. */
struct router_interface *router_attached_find(const struct router *router, uint16_t family,
                                              const union pcn_address *address, bool will);
/*
 * The address that packets to a host on the interface come from: one in the host's network, or
 * any; for link-local hosts the link-local one. NULL: it has none of the family.
 */
const struct router_address *router_source(const struct router *router, const struct router_interface *interface,
                                           uint16_t family, const union pcn_address *host);
