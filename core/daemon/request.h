/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as every front end builds it, and the answer it gets: REST, shell,
 * restore and tests all come through pcn_request_handle(), on the management thread.
 */
#pragma once
#include <jansson.h>
#include <model/help.h>
#include <model/model.h>
#include <pcn/base.h>
#include <pcn/error.h>

enum pcn_verb {
    PCN_VERB_GET,
    PCN_VERB_POST,  /* create, or run an action */
    PCN_VERB_PUT,   /* create or replace */
    PCN_VERB_PATCH, /* update */
    PCN_VERB_DELETE,
    PCN_VERB_OPTIONS,
    PCN_VERB_MAX,
};

#define PCN_REQUEST_SEGMENTS_MAX 32

struct pcn_request {
    enum pcn_verb verb;
    char *segments[PCN_REQUEST_SEGMENTS_MAX]; /* below /polycube/v1, decoded, UTF-8; owned */
    size_t n_segments;
    json_t *body; /* owned; NULL: no body */
    enum pcn_help help;
    bool completion; /* OPTIONS ?completion */
    char *if_match;  /* ETag, quotes included; NULL: none. "*": any */
    char *if_none_match;
    struct pcn_page page; /* ?offset=, ?limit=, ?filter= on lists; .filter is owned */
    char base_url[128];   /* "//127.0.0.1:9000/polycube/v1/", in front of _links */
};

struct pcn_answer {
    unsigned int status;
    char *body; /* owned; NULL: empty */
    size_t length;
    const char *content_type; /* static; NULL: application/yang.data+json */
    char *location;           /* owned; 308, 201 */
    char *allow;              /* owned; 405, OPTIONS: "GET, PATCH" */
    char etag[64];            /* of the configuration, quotes included; empty: none */
    bool cacheable;           /* the body is the same until pcn_generation() moves */
};

struct pcn_daemon;

/*
 * Runs the request: never fails, an error is an answer too. Management thread only.
 */
void pcn_request_handle(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *ret_answer);

/* Number of accepted changes so far; any thread may read it. */
uint64_t pcn_generation(void);

void pcn_request_done(struct pcn_request *request); /* frees members, for _cleanup_ */
void pcn_answer_done(struct pcn_answer *answer);

/* Makes answer the errors body of RFC 8040 for error; the status is that of its tag. */
void pcn_answer_error(struct pcn_answer *answer, const struct pcn_error *error);
