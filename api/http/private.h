/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of api/http; nobody else's. */
#pragma once
#include "cache.h"
#include "http.h"
#include "parse.h"
#include "tls.h"
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define HTTP_BODY_MAX (64u << 20)
#define HTTP_BODIES_FACTOR 2 /* bodies being received: this many times body_max in all */
#define HTTP_CONNECTIONS_MAX 512
#define HTTP_CONNECTIONS_UNIX 64
#define HTTP_TIMEOUT 30
#define HTTP_BACKLOG 1024
#define HTTP_MEMORY_LIMIT (64u << 10) /* of a connection: bounds target and headers */
#define HTTP_STOP_SECONDS 1
#define HTTP_LOG_BURST 10
#define HTTP_LOG_SECONDS 10

struct http_call;

/* What MHD's logger may still say. */
struct http_log {
    time_t window; /* its start, monotonic */
    unsigned int lines, dropped;
};

struct pcn_http {
    void (*submit)(void *data, struct pcn_http_call *call);
    void (*log)(void *data, const char *message);
    void *data;
    size_t body_max;
    atomic_size_t body_bytes; /* allocated for bodies being received */
    struct pcn_http_cache *cache;
    struct pcn_http_tls_peers *tls; /* NULL: plain */

    struct MHD_Daemon *tcp_daemon, *unix_daemon;
    char base_url[128];
    uint16_t port;
    bool any_address; /* bound to 0.0.0.0 or ::, base urls are those of connections */
    bool version_09;  /* libmicrohttpd 0.9: see target_complete() */
    char *unix_path;
    dev_t unix_device;
    ino_t unix_inode;

    pthread_mutex_t lock;    /* for all below */
    pthread_cond_t idle;     /* in_flight became 0 */
    struct http_call *out;   /* submitted and not finished */
    size_t in_flight;        /* submitted, whose answer has not left */
    unsigned int references; /* the owner's, and one for each submitted call until it is finished */
    bool stopping;
    struct http_log log_state;
};

/* Context of a connection, where there is something to remember: TLS, or any_address. */
struct http_connection {
    struct pcn_http *http;
    char base_url[128];
};

enum http_call_state {
    HTTP_CALL_NEW,     /* of the headers nothing has been looked at */
    HTTP_CALL_READING, /* the body is on its way */
    HTTP_CALL_OUT,     /* with the submitter */
    HTTP_CALL_REFUSED, /* answer is set, it waits for the end of the request */
};

struct http_call {
    struct pcn_http_call public;
    struct pcn_http *http;
    struct MHD_Connection *connection;
    enum http_call_state state;
    atomic_uint references; /* the connection's, the submitter's */
    bool in_flight;         /* counted there */
    bool listed;            /* in http->out */
    bool cacheable;         /* GET or HEAD */
    uint64_t generation;    /* before submission */
    struct pcn_answer answer;
    char *if_none_match;
    char *body;
    size_t body_size, body_capacity, body_refused;
    struct http_call *previous, *next;
    size_t target_length;
    char *target; /* in key */
    char key[];   /* base url where it depends on the connection, target */
};

/* call.c: callbacks of libmicrohttpd */
void *http_call_new(void *data, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_call_handle(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *upload, size_t *upload_size, void **context);
void http_call_completed(void *data, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code);
/* Answers 503 to all calls that are out. */
void http_call_abandon_all(struct pcn_http *http);

/* answer.c */
enum MHD_Result http_answer_send(struct http_call *call);
enum MHD_Result http_answer_send_cached(struct http_call *call, struct pcn_http_entry *entry);
void http_answer_text(struct pcn_answer *answer, unsigned int status, const char *text);
void http_answer_error(struct pcn_answer *answer, enum pcn_error_tag tag, const char *message);

/* server.c */
void http_unref(struct pcn_http *http);

/* listen.c */
int http_listen_tcp(const char *address, uint16_t port, struct pcn_http *http, struct pcn_error *error, int *ret_fd);
int http_listen_unix(const char *path, mode_t mode, struct pcn_http *http, struct pcn_error *error, int *ret_fd);
/* "//<address>:<port>/polycube/v1/" of the local end of fd; false: it has none. */
bool http_listen_base_url(int fd, char *base_url, size_t size, bool *ret_any_address, uint16_t *ret_port);
