/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks of backends, for cubes that balance.
 *
 * A cube has a set, to which it adds a target for each backend of each service that is checked. All checks of the
 * daemon run on one thread, which begins with the first target and ends with the last one; nothing here waits for it.
 * What it finds comes back on the management thread, together with all that is found within some ms.
 *
 * polycube-health-base.yang is the part of the model; its handlers call pcn_health_check_read() and pcn_health_emit_*().
 */
#pragma once
#include <pcn/abi.h>
#include <pcn/cube.h>
#include <pcn/error.h>
#include <pcn/node.h>

struct pcn_health_set; /* of a cube */
struct pcn_health;     /* a target: a backend of a service that has a check */

enum pcn_health_state {
    PCN_HEALTH_UNKNOWN, /* no result yet */
    PCN_HEALTH_UP,
    PCN_HEALTH_DOWN,
};

enum pcn_health_type {
    PCN_HEALTH_NONE,
    PCN_HEALTH_TCP,
    PCN_HEALTH_UDP,
    PCN_HEALTH_ICMP,
    PCN_HEALTH_HTTP,
    PCN_HEALTH_HTTPS,
    PCN_HEALTH_SCRIPT,
};

#define PCN_HEALTH_EVENTS 1024 /* the last of a cube, which are kept */
#define PCN_HEALTH_SCRIPTS 16  /* that run at once */

/* ---- how a service is checked ---- */

/* Shared, counted, and not written to once another one has it. Texts are owned, and NULL where the model has none. */
struct pcn_health_check {
    uint32_t references;
    enum pcn_health_type type;
    uint16_t port;              /* 0: the service's */
    uint32_t interval, timeout; /* ms */
    uint8_t rise, fall;
    bool drop_when_all_down;
    char device[16];
    struct {
        bool head, tls_verify;
        char *path, *host, *status;
    } http;
    struct {
        uint8_t *payload, *expect;
        size_t payload_size, expect_size;
        bool answer_required;
    } udp;
    char *script;
};

/*
 * The handlers' part: *check, which may be NULL, becomes a copy that has what a container of the model says; unit is
 * "health-check", "http", "udp" or "script", node NULL where the container went. -ENOMEM.
 */
PCN_EXPORT int pcn_health_check_read(struct pcn_health_check **check, const char *unit, const struct pcn_node *node);
/* Whether it can be done to a backend whose port is, but for the check's own, port. path: of the service. -EINVAL. */
PCN_EXPORT int pcn_health_check_validate(const struct pcn_health_check *check, uint16_t port, const char *path,
                                         struct pcn_error *error);
PCN_EXPORT struct pcn_health_check *pcn_health_check_ref(struct pcn_health_check *check); /* NULL: NULL */
PCN_EXPORT void pcn_health_check_unrefp(struct pcn_health_check **check);
/* NULL, or of type NONE. */
PCN_EXPORT bool pcn_health_check_is_none(const struct pcn_health_check *check);
PCN_EXPORT bool pcn_health_check_is_same(const struct pcn_health_check *a, const struct pcn_health_check *b);

/* ---- the targets of a cube ---- */

struct pcn_health_calls {
    /* One target became UP or DOWN; it is noted and logged already. May be NULL. */
    void (*state)(void *data, struct pcn_health *health, enum pcn_health_state state, const char *reason);
    /* Some did, and that is all for now: at most 64 at a time. May be NULL. */
    void (*changed)(void *data);
    void *data;
};

/* cube NULL: nothing is logged. */
PCN_EXPORT int pcn_health_set_new(struct pcn_cube *cube, const struct pcn_health_calls *calls,
                                  struct pcn_health_set **ret_set);
/* Its targets have been removed. Nothing is called any more; waits for the work(), if that runs just now. */
PCN_EXPORT void pcn_health_set_freep(struct pcn_health_set **set);

struct pcn_health_target {
    uint8_t version; /* of the address: 4 or 6 */
    union pcn_address address;
    uint16_t port;                  /* host order; the check's own goes before it */
    struct pcn_health_check *check; /* a reference is taken; its type is not NONE */
    char service[96], backend[48];  /* their names, for events */
};

/* UNKNOWN until the first result. -ENOMEM, -EAGAIN: no thread can be made. */
PCN_EXPORT int pcn_health_add(struct pcn_health_set *set, const struct pcn_health_target *target,
                              struct pcn_health **ret_health);
/* Unless it is so already, it is checked in this way now; keeps its state until results say something else. -ENOMEM. */
PCN_EXPORT int pcn_health_change(struct pcn_health *health, uint16_t port, struct pcn_health_check *check);
/* Nothing is heard of it any more. *health is NULL then; it may have been. */
PCN_EXPORT void pcn_health_removep(struct pcn_health **health);
PCN_EXPORT enum pcn_health_state pcn_health_state(const struct pcn_health *health); /* NULL: UP */

/*
 * Work that a change makes necessary and that takes long: work(data) on the daemon's worker thread, then done(data) on
 * the management thread; one at a time for each set. Neither is called once the set is freed. -EBUSY, -ENOMEM.
 */
PCN_EXPORT int pcn_health_set_work(struct pcn_health_set *set, void (*work)(void *data), void (*done)(void *data),
                                   void *data);

/* ---- the backends of a service, together ---- */

/* Of a backend: a member of what the cube has of it, and copied with it. */
struct pcn_health_end {
    struct pcn_health *target; /* that of the service in force; NULL: it is not checked */
    bool takes;                /* the cube writes: it would get new flows (it has a weight) */
    bool out;                  /* it is to get nothing, for it is down */
    bool leaves;               /* it is out, and was not before */
};

/* All of a service, wherever the members are. */
struct pcn_health_ends {
    void *first;
    size_t n, stride;
};
#define PCN_HEALTH_ENDS(ends_, n_, member_)                                                                            \
    ((struct pcn_health_ends){.first = (n_) ? &(ends_)->member_ : NULL, .n = (n_), .stride = sizeof(*(ends_))})

/* Whether others would be out than are, by what is known now. check: that of the service. */
PCN_EXPORT bool pcn_health_ends_differ(const struct pcn_health_check *check, struct pcn_health_ends ends);
/* Writes .out and .leaves: who is down is out, unless nobody would be left and that is not wanted. */
PCN_EXPORT void pcn_health_ends_mark(const struct pcn_health_check *check, struct pcn_health_ends ends);
/*
 * A service has taken the place of another one, whose ends those of before are: targets are added, changed and removed.
 * describe tells of an end what a target has, but for its check. -ENOMEM, -EAGAIN: one was not, of those that had to.
 */
PCN_EXPORT int pcn_health_ends_follow(struct pcn_health_set *set, struct pcn_health_check *check,
                                      struct pcn_health_ends ends, struct pcn_health_ends before,
                                      void (*describe)(const void *data, size_t i,
                                                       struct pcn_health_target *ret_target),
                                      const void *data);
/* The service goes. */
PCN_EXPORT void pcn_health_ends_forget(struct pcn_health_ends ends);

/* ---- the groupings of the model ---- */

/* Leaves of container health of a backend; NULL: it is not checked, and there are none. */
PCN_EXPORT void pcn_health_emit(const struct pcn_health *health, struct pcn_emitter *emitter);
/* List health-events. -ENOENT. */
PCN_EXPORT int pcn_health_emit_events(const struct pcn_health_set *set, const char *const *keys, size_t n_keys,
                                      struct pcn_emitter *emitter);
