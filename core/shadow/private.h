/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this layer share. */
#pragma once
#include <shadow/helper.h>
#include <shadow/shadow.h>

struct nl_sock;

/* An address or route of the namespace that the cube was told of. */
struct known {
    struct pcn_event event; /* the key, all of it */
    bool seen;              /* by the dump that is under way */
    UT_hash_handle hh;
};

/* Of one namespace: what is beyond is not told. */
#define KNOWN_MAX (1u << 20)

/* A namespace, hung on its cube: pcn_cube.shadow_space. */
struct space {
    struct pcn_shadow *shadow;
    struct pcn_cube *cube;
    char name[PCN_NAMESPACE_MAX];
    struct pcn_namespace_fds fds;
    struct nl_sock *route;
    int inside[PCN_PORTS_MAX]; /* by port: ifindex of its device in the namespace; 0: none */
    struct known *known;
    uint16_t dump;    /* RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE: under way; 0: none */
    bool dump_again;  /* something was missed since it began */
    uint64_t dump_at; /* ms: when it began */
};

/* What came by the monitor, as events of the cube: data is the space. */
void space_monitor(void *data);
/* Once a second. */
void space_tick(struct space *space);
/* Forgets what is known of a port, NULL: of all. */
void space_forget(struct space *space, const struct pcn_port *port);
