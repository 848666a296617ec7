/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this layer share. */
#pragma once
#include <shadow/helper.h>
#include <shadow/shadow.h>

struct nl_sock;

/* A namespace, hung on its cube: pcn_cube.shadow_space. */
struct space {
    struct pcn_shadow *shadow;
    struct pcn_cube *cube;
    char name[PCN_NAMESPACE_MAX];
    struct pcn_namespace_fds fds;
    struct nl_sock *route;
    int inside[PCN_PORTS_MAX]; /* by port: ifindex of its device in the namespace; 0: none */
};

/* What came by the monitor, as events of the cube: data is the space. */
void space_monitor(void *data);
