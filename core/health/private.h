/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     management thread                       health thread
 *     target.c ── commands, under a lock ──► engine.c ── begins, ends ──► socket.c, echo.c, http.c, script.c
 *        ▲                                      │ rise, fall
 *        └──── reports, posted to the loop ─────┘
 *
 * A target (struct pcn_health) has a part for each thread. The health thread lets go of it by a report that says so,
 * after which the management thread frees it.
 */
#pragma once
#include <base/loop.h>
#include <netinet/in.h>
#include <pcn/health.h>
#include <pthread.h>
#include <sys/queue.h>
#include <time.h>

#define REASON_MAX 128
#define NEVER UINT64_MAX

struct engine;
struct command;
struct transfer; /* of http.c */
struct process;  /* of script.c */
struct http;
struct echo;

/* What a descriptor in the epoll set is of. */
enum source_kind {
    SOURCE_WAKE,
    SOURCE_TARGET, /* a member of struct pcn_health */
    SOURCE_ECHO,
    SOURCE_HTTP,
    SOURCE_PROCESS,
};

struct source {
    enum source_kind kind;
    int fd;
};

/* How a check ended. */
enum outcome {
    OUTCOME_SUCCESS,
    OUTCOME_FAILURE,
    OUTCOME_NONE, /* it could not be made, for a reason of this host's: says nothing about the backend */
};

struct label {
    char *service, *backend;
};

struct pcn_health {
    /* ---- the management thread's ---- */
    struct pcn_health_set *set;
    struct engine *engine; /* NULL: none any more */
    struct label label;
    enum pcn_health_state shown;
    struct timespec changed;
    char reason[REASON_MAX];
    struct command *removal;         /* made before it is needed */
    struct pcn_health_check *agreed; /* what the other one's .check is, or will be */
    uint16_t agreed_port;
    bool stays;
    bool removed;

    /* ---- of both ---- */
    uint64_t checks, failures; /* the health thread writes */
    uint8_t version;
    union pcn_address address;

    /* ---- the health thread's ---- */
    struct pcn_health_check *check;
    uint16_t port;
    enum pcn_health_state state;
    unsigned int streak; /* results in a row that speak against the state */
    char last[REASON_MAX];
    uint64_t start; /* of the check that runs, or is next; ms */
    uint64_t due;   /* when something is to be done about it: NEVER, or its place in the heap goes by it */
    size_t place;   /* in the heap, from 1 on; 0: in none */
    bool running;
    struct source source; /* TCP, UDP: the socket */
    int silent;       /* UDP: that of the check before, which nobody has answered: a refusal may still come; -1: none */
    uint64_t refused; /* UDP: when it was refused last, ms; 0: it was not */
    uint32_t slot;    /* ICMP: of the echo */
    uint64_t nonce;
    struct transfer *transfer;
    struct process *process;
    bool queued; /* SCRIPT: waits until another one ends */
    TAILQ_ENTRY(pcn_health) waiting;
    LIST_ENTRY(pcn_health) next;
};

enum command_kind {
    COMMAND_ADD,
    COMMAND_CHANGE,
    COMMAND_REMOVE,
};

struct command {
    STAILQ_ENTRY(command) next;
    enum command_kind kind;
    struct pcn_health *health;
    uint16_t port;
    struct pcn_health_check *check; /* owned */
};
STAILQ_HEAD(command_queue, command);

struct report {
    STAILQ_ENTRY(report) next;
    struct pcn_health *health;
    bool released; /* the health thread knows it no more */
    enum pcn_health_state state;
    struct timespec time;
    char reason[REASON_MAX];
};
STAILQ_HEAD(report_queue, report);

TAILQ_HEAD(waiting, pcn_health);

struct engine {
    LIST_ENTRY(engine) next;
    struct pcn_loop *loop;
    pthread_t thread;
    size_t n_targets; /* the management thread's count */
    bool joined;

    pthread_mutex_t lock; /* of the next two */
    struct command_queue commands;
    bool quit;

    /* ---- the health thread's ---- */
    int epoll;
    struct source wake;
    uint64_t now;             /* ms of the monotonic clock, as of this round */
    struct pcn_health **heap; /* by .due; [0] is not used */
    size_t n_heap, heap_room;
    LIST_HEAD(, pcn_health) targets;
    size_t n_all; /* of these */
    uint64_t n_phases;
    struct report_queue reports;
    size_t n_reports;
    uint64_t reports_due;
    struct echo *echo;
    struct http *http;
    struct waiting waiting; /* scripts */
    bool confined;
    LIST_HEAD(, process) processes;
    unsigned int n_processes;
};

/* ---- engine.c ---- */

/* A thread. -ENOMEM, -EAGAIN, -errno. */
int engine_new(struct pcn_loop *loop, struct engine **ret_engine);
/* To be called once no target is left, or to drop those that are: the thread ends, and tells the loop. */
void engine_quit(struct engine *engine);
void engine_join(struct engine *engine);
void engine_free(struct engine *engine);
void engine_command(struct engine *engine, struct command *command);
int engine_watch(struct engine *engine, struct source *source, uint32_t events);
void engine_unwatch(struct engine *engine, struct source *source);
/* A check has ended. What ran it has been told before, or is here. */
void engine_done(struct engine *engine, struct pcn_health *health, enum outcome outcome, const char *format, ...)
    PCN_PRINTF(4, 5);
void engine_schedule(struct engine *engine, struct pcn_health *health, uint64_t due);
uint64_t engine_clock(void);

/* ---- kinds: begin may end the check at once; stop takes away what begin made, and may be called twice ---- */

struct kind {
    void (*begin)(struct engine *engine, struct pcn_health *health);
    void (*ready)(struct engine *engine, struct pcn_health *health); /* the target's own descriptor is */
    void (*expired)(struct engine *engine, struct pcn_health *health);
    void (*stop)(struct engine *engine, struct pcn_health *health);
};
extern const struct kind kind_tcp, kind_udp, kind_icmp, kind_http, kind_script;

/* ---- socket.c ---- */

/* The address of what is checked, and its length. */
socklen_t target_sockaddr(const struct pcn_health *health, struct sockaddr_storage *ret_address);
uint16_t target_port(const struct pcn_health *health);
/* A reason of this host's why something cannot be made, not of the backend's. */
bool errno_is_local(int error);
/* The same of a call that sends: there is no route from here. Of one that tells what came of it, a router has said so. */
bool errno_is_local_at_once(int error);
/* The check ended by an error, which says nothing about the backend if it is local. */
void errno_done(struct engine *engine, struct pcn_health *health, int error, bool local);

/* ---- echo.c ---- */

void echo_ready(struct engine *engine, struct source *source);
void echo_free(struct engine *engine);

/* ---- http.c ---- */

void http_ready(struct engine *engine, struct source *source, uint32_t events);
void http_free(struct engine *engine);
/* When libcurl wants to be called; NEVER. */
uint64_t http_due(const struct engine *engine);
void http_timeout(struct engine *engine);
/* Whether a status is among those of a leaf http/status. */
bool http_status_expected(const char *statuses, long status);

/* ---- script.c ---- */

void script_ready(struct engine *engine, struct source *source);
void script_free(struct engine *engine);
/* Whether a program may be run: see the leaf script/path. What is wrong with it is in text. -EACCES, -errno. */
int script_check(const char *path, char text[REASON_MAX]);
/* Takes capabilities from the health thread, and so from what it starts. False: it has them still. */
bool script_confine(void);

/* ---- target.c ---- */

/* On the management thread. Frees the reports. */
void reports_deliver(struct report_queue *reports);
