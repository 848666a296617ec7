/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST server: turns HTTP into `struct pcn_request`, hands it to whoever runs
 * requests, and sends the answer. It holds no state of cubes. One thread serves TCP and
 * a second one the unix socket, so that clients that use up the first cannot lock out the
 * local administrator. While a request is with the submitter its connection is suspended
 * and the thread serves the others.
 *
 * Answered here, without submit(): targets outside /polycube/v1 (404), malformed requests
 * (400, 405, 413), and GETs whose answer was `cacheable` while pcn_generation() is still the
 * one they were made at. If-None-Match of such a GET is settled here too (304), so it is not in
 * the request; If-Match is the submitter's.
 */
#pragma once
#include "daemon/request.h"
#include <sys/types.h>

struct pcn_http;

/* One request on its way. The request is read-only and lives until pcn_http_finish(). */
struct pcn_http_call {
    struct pcn_request request;
    struct pcn_http_call *next; /* for the queue of the one who holds the call */
};

struct pcn_http_tls {
    const char *cert; /* PEM files; cert NULL: plain HTTP */
    const char *key;
    const char *cacert;    /* signs client certificates; NULL: they are asked for only with a whitelist */
    const char *whitelist; /* directory of PEM files: these clients only. Not along with cacert */
    const char *blacklist; /* directory of PEM files: not these clients. Needs cacert */
};

struct pcn_http_config {
    const char *address;      /* "localhost", a host name, IPv4 or IPv6; NULL: no TCP */
    uint16_t port;            /* 0: any, see pcn_http_port() */
    const char *unix_path;    /* NULL: no unix socket. A stale socket is replaced, a live one is -EADDRINUSE */
    mode_t unix_mode;         /* 0: 0660 */
    size_t body_max;          /* 0: 64 MiB; a request above is answered 413 */
    unsigned connections_max; /* TCP; 0: 512. The unix socket has 64 of its own */
    unsigned per_address_max; /* of these from one address; 0: all */
    unsigned timeout;         /* seconds without a byte before a connection is closed; 0: 30 */
    struct pcn_http_tls tls;  /* of TCP; the unix socket is always plain */
    /*
     * Called on an HTTP thread, never blocks. Ends in pcn_http_finish(call) on any thread; in
     * submit() itself is fine too.
     */
    void (*submit)(void *data, struct pcn_http_call *call);
    /* What libmicrohttpd has to say, at most ten lines in ten seconds; any HTTP thread. NULL: nothing. */
    void (*log)(void *data, const char *message);
    void *data;
};

/*
 * The strings of config are not used after return. Fails with errno of socket(), bind() or open(),
 * -EINVAL for settings that contradict each other; error says which.
 */
int pcn_http_start(const struct pcn_http_config *config, struct pcn_error *error, struct pcn_http **ret_http);

/* The TCP port that is bound, 0 without TCP. */
uint16_t pcn_http_port(const struct pcn_http *http);

/* The base url of this server's links, "//127.0.0.1:9000/polycube/v1/". */
const char *pcn_http_base_url(const struct pcn_http *http);

/*
 * Answers a call; takes over the members of answer, which is left empty. Any thread. Calls that are
 * still out when the server stops stay valid: finish them, the answer then goes nowhere.
 */
void pcn_http_finish(struct pcn_http_call *call, struct pcn_answer *answer);

/*
 * Accepts nothing more, answers what is still out with 503, waits up to a second for answers to
 * leave, closes everything. NULL is fine.
 */
void pcn_http_stop(struct pcn_http *http);
