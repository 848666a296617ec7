/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A polycubed of the test's own: in a network namespace, with an instance name,
 * a bpffs and a run directory that nobody else has.
 */
#pragma once
#include <harness/netns.h>
#include <jansson.h>
#include <pcn/base.h>

struct pcn_testd;

struct pcn_testd_spec {
    struct pcn_netns *netns; /* where it runs; NULL: a new one, see pcn_testd_netns() */
    const char *instance;    /* default "t<pid>" */
    const char *loglevel;    /* default "debug" */
    const char *cubesdir;    /* default: the build's */
    uint16_t port;           /* TCP, on 127.0.0.1; default 0: none */
    bool tcx;
    const char *arguments[16]; /* further ones, NULL-terminated */
};

/* Waits until it answers. On failure its log is printed. spec may be NULL. */
int pcn_testd_start(const struct pcn_testd_spec *spec, struct pcn_testd **ret_daemon);
/*
 * SIGTERM; 0 if it exited with 0 and left nothing: no pin, no device, no filter, no namespace, no socket.
 * Otherwise a negative errno, after printing what it was. *daemon is NULL then, in any case.
 */
int pcn_testd_stop(struct pcn_testd **daemon);
void pcn_testd_freep(struct pcn_testd **daemon); /* for _cleanup_: kills it if it still runs */

struct pcn_netns *pcn_testd_netns(const struct pcn_testd *daemon);
pid_t pcn_testd_pid(const struct pcn_testd *daemon);
const char *pcn_testd_socket(const struct pcn_testd *daemon);
const char *pcn_testd_instance(const struct pcn_testd *daemon);
const char *pcn_testd_bpffs(const struct pcn_testd *daemon);
/* What it printed so far. Caller frees. */
char *pcn_testd_log(const struct pcn_testd *daemon);
/* Waits for a line of the log that contains text. */
bool pcn_testd_logged(const struct pcn_testd *daemon, const char *text, unsigned int timeout_ms);

/* ---- REST ---- */

struct pcn_reply {
    unsigned int status; /* 0: no answer */
    char *text;          /* body, NUL-terminated; owned */
    size_t length;
    json_t *json; /* the body, if it is JSON; owned */
    char *headers;
};

void pcn_reply_done(struct pcn_reply *reply);
/*
 * path below /polycube/v1/: "cubes", "router/r1/ports/p1/". body NULL: none; else JSON text.
 * Returns the status, or a negative errno; ret_reply may be NULL.
 */
int pcn_testd_request(struct pcn_testd *daemon, const char *method, const char *path, const char *body,
                      struct pcn_reply *ret_reply);
/* Same, with a header of the request: "If-Match: ..."; NULL: none. */
int pcn_testd_request_with(struct pcn_testd *daemon, const char *method, const char *path, const char *header,
                           const char *body, struct pcn_reply *ret_reply);
/* Same, with the path as a format; the reply is printed unless the status is 2xx. For set-up. */
int pcn_testd_post(struct pcn_testd *daemon, const char *body, const char *format, ...) PCN_PRINTF(3, 4);
int pcn_testd_patch(struct pcn_testd *daemon, const char *body, const char *format, ...) PCN_PRINTF(3, 4);
int pcn_testd_delete(struct pcn_testd *daemon, const char *format, ...) PCN_PRINTF(2, 3);
/* GET; json NULL if the status is not 200. Caller decrefs. */
json_t *pcn_testd_get(struct pcn_testd *daemon, const char *format, ...) PCN_PRINTF(2, 3);
/* Member of an object by a dotted path, array entries by number: "ports.0.peer". Borrowed; NULL: there is none. */
json_t *pcn_json_at(json_t *json, const char *path);
const char *pcn_json_text(json_t *json, const char *path); /* "" where there is none or it is no string */
long long pcn_json_int(json_t *json, const char *path);    /* -1 where there is none */

/* ---- polycubectl ---- */

/* Arguments as a shell has them. Returns the exit code. ret_output may be NULL. */
int pcn_testd_ctl(struct pcn_testd *daemon, struct pcn_output *ret_output, const char *format, ...) PCN_PRINTF(3, 4);
/* For set-up: 0, or -EIO after printing what it said. */
int pcn_testd_ctl_must(struct pcn_testd *daemon, const char *format, ...) PCN_PRINTF(2, 3);
