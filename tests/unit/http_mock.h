/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A REST server whose submitter is a mock: a thread of its own answers what it is asked. The first segment
 * says what the answer is:
 *     echo          200, the request as JSON
 *     leaf          200 "DEBUG", cacheable, ETag "<generation>"
 *     fresh         200, not cacheable, ETag "fresh"
 *     big/<n>       200, n bytes, cacheable
 *     bump          204, and the generation moves
 *     race          as leaf, but the generation moves before the answer is made
 *     status/<n>    n, with Location, Allow and a text
 *     inline        200 text, answered within submit()
 */
#pragma once
#include <harness/suite.h>
#include <http/http.h>
#include <pthread.h>

struct http_mock {
    struct pcn_http *http;
    uint16_t port;
    char unix_path[64];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct pcn_http_call *first, **last;
    bool hold; /* answer nothing for now */
    bool stop;
    size_t submitted;
    size_t log_lines;
    char log_last[512];
};

/* config: submit, log, data are set here; address "" is replaced by 127.0.0.1 and unix_path "" by one of this test. */
int http_mock_start(struct http_mock *mock, const struct pcn_http_config *config, struct pcn_error *error);
void http_mock_stop(struct http_mock *mock);
void http_mock_hold(struct http_mock *mock, bool hold);
size_t http_mock_submitted(struct http_mock *mock);
size_t http_mock_log_lines(struct http_mock *mock);

/* What a request by libcurl got. */
struct http_reply {
    long status; /* 0: none, see error */
    char *body;
    size_t length;
    char *headers; /* as received, all of them */
    char error[256];
};

/* method NULL: GET. headers: NULL-terminated, may be NULL. unix: over the socket. */
struct http_reply http_mock_ask(struct http_mock *mock, bool unix_socket, const char *method, const char *path,
                                const char *body, const char *const *headers);
void http_reply_done(struct http_reply *reply);

/* A connection by hand; -1 if it cannot be made. */
int http_mock_connect(struct http_mock *mock);
bool http_raw_send(int fd, const void *data, size_t size);
/*
 * Reads responses until there are `responses` whole ones, the end of the connection, or the deadline. ret_closed: whether
 * the end came. The caller frees.
 */
char *http_raw_read(int fd, size_t responses, unsigned int timeout_ms, bool *ret_closed);
/* Connects, sends text, reads to the end of the connection, which must come: NULL else. */
char *http_mock_raw(struct http_mock *mock, const char *text, size_t size);
size_t http_count(const char *text, const char *part);
