/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that keeps CAP_SYS_ADMIN when the daemon has dropped it. It takes
 * four requests, all about network namespaces called pcn-*, and knows no others.
 */
#pragma once
#include <net/if.h>
#include <pcn/base.h>

#define PCN_NAMESPACE_MAX 160

/* Descriptors of a namespace that was made. */
struct pcn_namespace_fds {
    int namespace;
    int route;   /* netlink, for requests */
    int monitor; /* netlink, subscribed to links, addresses and routes; does not block */
};

/* Forks it. Before any thread is made. Returns the descriptor to talk to it by; it ends when that is closed. */
int pcn_helper_start(void);

/* Answers wait for the helper: some ms. -errno of what it did; -EPIPE: it is gone. */
/* -EEXIST: there is one of that name. */
int pcn_helper_create(int helper, const char *name, struct pcn_namespace_fds *ret_fds);
int pcn_helper_delete(int helper, const char *name);
/* Makes a veth's end in the namespace ready: it polls, fills in its checksums, is up. Returns its ifindex. */
int pcn_helper_device_up(int helper, const char *name, const char *device);
