/* SPDX-License-Identifier: Apache-2.0 */
/* A management thread, a set of targets on it, and servers, in a network namespace of their own. */
#pragma once
#include <harness/netns.h>
#include <harness/suite.h>
#include <health/private.h>

/* 10.9.0.2 and fd09::2 are there, and say nothing, whatever they are sent. */
int rig_open(void);
int rig_close(void);
struct pcn_netns *rig_beyond(void); /* at the other end of device "out": its "in" */
/* fn(data) on the management thread; returns once it has. */
void rig_call(void (*fn)(void *data), void *data);

/* like: texts are copied; zeros of interval, timeout, rise and fall: 200, 100, 2, 3. NULL: it failed. */
struct pcn_health_check *rig_check(const struct pcn_health_check *like);
struct pcn_health *rig_add(const char *address, uint16_t port, const struct pcn_health_check *like);
void rig_remove(struct pcn_health **health);

struct rig_view {
    enum pcn_health_state state;
    char reason[REASON_MAX];
    uint64_t checks, failures;
};
struct rig_view rig_look(struct pcn_health *health);
bool rig_becomes(struct pcn_health *health, enum pcn_health_state state, unsigned int timeout_ms);
/* Calls of changed so far, and of state. */
uint32_t rig_n_changed(void);
uint32_t rig_n_states(void);

/* Whether the process has a health thread. */
bool rig_has_thread(void);
/* Waits until it has none, and all that it had is gone. */
bool rig_is_quiet(void);
uint64_t rig_thread_cpu_us(void);

/* ---- servers ---- */

#define RIG_TIMES 65536

/* Listens on all addresses. It closes what it accepts, after an HTTP answer if it has one. */
struct rig_server {
    int fd;
    uint16_t port;
    const char *answer;
    pthread_t thread;
    uint32_t n; /* accepted */
    uint64_t times[RIG_TIMES];
};
/* port 0: any. */
int rig_server_open(struct rig_server *server, uint16_t port, const char *answer);
void rig_server_close(struct rig_server *server);
uint32_t rig_server_n(const struct rig_server *server);

/* A port that nobody has. */
uint16_t rig_free_port(void);
