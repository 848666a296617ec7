/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon's stand-in for tests of polycubectl: it notes the last request and gives the answer it was told to. And a
 * way to run polycubectl itself with every kind of standard input.
 */
#pragma once
#include <pcn/base.h>

struct mock;

/* On a port of the loopback, or with a socket at path on that. NULL: failed. */
struct mock *mock_new(const char *path);
/* On a port of the loopback, over TLS, with these PEM texts. */
struct mock *mock_new_tls(const char *cert, const char *key);
void mock_free(struct mock *mock);
/* "http://127.0.0.1:PORT/polycube/v1/" or "unix://PATH". */
const char *mock_url(const struct mock *mock);
/* The answer to all further requests; to those whose URL begins with moved (or NULL) a 308 to target + the rest. */
void mock_answer(struct mock *mock, unsigned int status, const char *body);
void mock_move(struct mock *mock, const char *moved, const char *target);
/* Answer to requests whose raw URL is this one, before the general one. */
void mock_answer_url(struct mock *mock, const char *url, const char *body);
/* "METHOD raw-url body" of the last request, and how many there were. Valid until the next request. */
const char *mock_last(const struct mock *mock);
unsigned int mock_count(const struct mock *mock);

enum run_input {
    RUN_NULL,      /* /dev/null */
    RUN_CLOSED,    /* no descriptor 0 */
    RUN_FILE,      /* a file with text */
    RUN_FILE_HALF, /* a file with text, of which somebody has read the first line */
    RUN_PIPE,      /* a pipe with text, then its end */
    RUN_LATE,      /* a pipe whose text comes after 300 ms */
    RUN_IDLE,      /* a pipe that stays open and empty */
    RUN_SOCKET,    /* a socket that stays open and empty */
};

struct run {
    const char *url;    /* of POLYCUBECTL_URL; NULL: not set */
    const char *cacert; /* the same of POLYCUBECTL_CACERT */
    enum run_input input;
    const char *text;
    const char *program; /* NULL: polycubectl */
    const char *home;    /* NULL: one that cannot be written */
    /* results */
    int status;
    char out[65536], err[65536];
    unsigned int milliseconds;
};

/* Runs the program, which finds polycubectl by PATH, with these words, NULL-terminated; gives up, with status -1, after 20 s. */
void run(struct run *run, const char *const *words);
