/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon, and hosts on cables around it: host n is a namespace whose "eth0"
 * is a raw wire of the test; the cable's other end is device "v<n>" of the daemon.
 */
#pragma once
#include <harness/daemon.h>
#include <harness/suite.h>

#define E2E_HOSTS 10

struct e2e {
    struct pcn_testd *daemon;
    struct pcn_netns *hosts[E2E_HOSTS];
    struct pcn_wire wires[E2E_HOSTS];
    size_t n_hosts;
};

/* The cube types that every test runs through. */
extern const char *const e2e_types[3];

/* For the setup of a suite: starts the daemon. */
int e2e_open(struct e2e *e2e, size_t n_hosts);
/* Stops the daemon; -ENOTEMPTY if a pin, filter, namespace or process is left. */
int e2e_close(struct e2e *e2e);

/* Deletes all cubes. The devices are free of programs when it returns. */
int e2e_clear(struct e2e *e2e);

/* Status of a request; 0 if there was no answer. The text of an error must contain part, if not NULL. */
int e2e_ask(struct e2e *e2e, const char *method, const char *path, const char *body, const char *part);

/* A broadcast frame that tells itself apart by number. */
struct pcn_frame e2e_broadcast(uint32_t number);
