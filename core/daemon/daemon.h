/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as a whole: everything below is put together here. All of it is
 * the management thread's.
 */
#pragma once
#include <chain/chain.h>
#include <daemon/options.h>
#include <daemon/request.h>
#include <jansson.h>
#include <model/model.h>
#include <shadow/shadow.h>
#include <slowpath/slowpath.h>

struct pcn_loop;

/* A loaded kind. */
struct pcn_service {
    const struct pcn_cube_kind *kind;
    struct pcn_schema *schema;
    void *library; /* of dlopen() */
    char *path;
    unsigned int cubes; /* instances */
    UT_hash_handle hh;  /* by kind->name */
};

/* A cube with its configuration: struct pcn_cube's owner. */
struct pcn_member {
    struct pcn_cube *cube;
    struct pcn_service *service;
    struct pcn_tree *tree;
    uint64_t generation; /* of its last change: its ETag */
};

struct pcn_daemon {
    struct pcn_options options;
    struct pcn_loop *loop;
    struct pcn_bpf bpf;
    struct pcn_net *net;
    struct pcn_chain *chain;
    struct pcn_slowpath *slowpath;
    struct pcn_shadow *shadow;
    struct pcn_service *services; /* by name */
    uint64_t boot;                /* in ETags: generations start anew with the daemon */
};

/* ---- services.c ---- */

/* Loads libpcn-<name>.so: path with a slash, or a name below the cubes' directory. */
int pcn_service_load(struct pcn_daemon *daemon, const char *path, const char *name, struct pcn_error *error);
/* Every libpcn-*.so of the directory; what does not load is logged. */
void pcn_service_load_all(struct pcn_daemon *daemon);
/* IN_USE: it has cubes. */
int pcn_service_unload(struct pcn_daemon *daemon, const char *name, struct pcn_error *error);
void pcn_service_unload_all(struct pcn_daemon *daemon);
struct pcn_service *pcn_service_find(const struct pcn_daemon *daemon, const char *name);

/* ---- transaction.c ---- */

/*
 * One or more edits, made together or not at all. Add, then commit; either
 * empties the transaction.
 */
struct pcn_transaction;

int pcn_transaction_new(struct pcn_daemon *daemon, struct pcn_transaction **ret_transaction);
void pcn_transaction_freep(struct pcn_transaction **transaction);
/* body: taken over by reference, as everywhere in the model. */
int pcn_transaction_create(struct pcn_transaction *transaction, struct pcn_service *service, const char *name,
                           json_t *body, struct pcn_error *error);
int pcn_transaction_edit(struct pcn_transaction *transaction, struct pcn_member *member, enum pcn_edit_verb verb,
                         const char *const *segments, size_t n_segments, json_t *body, struct pcn_error *error);
int pcn_transaction_commit(struct pcn_transaction *transaction, struct pcn_error *error);

void pcn_member_delete(struct pcn_daemon *daemon, struct pcn_member *member);
/* See pcn_cube_edit(). */
int pcn_member_edit(struct pcn_daemon *daemon, struct pcn_member *member, enum pcn_cube_edit edit,
                    const char *const *segments, size_t n_segments, const char *json, struct pcn_error *error);
/* The chain changed a peer by itself (its device went, or was renamed): the tree follows. */
void pcn_member_peer_changed(struct pcn_daemon *daemon, struct pcn_port *port);
void pcn_generation_next(struct pcn_member *member);

/* ---- routes.c, cube_routes.c ---- */

/* Framework routes; false: the first segment is none of theirs. */
bool pcn_route_framework(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer);
void pcn_route_cube(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer);
/* The JSON object of a cube, as GET shows it. links_base NULL: without _links. Caller frees. */
int pcn_member_show(struct pcn_daemon *daemon, const struct pcn_member *member, const char *base_url,
                    const char *const *segments, size_t n_segments, const struct pcn_page *page, char **ret_text,
                    size_t *ret_length, bool *ret_cacheable, struct pcn_error *error);
/* The state hooks of a member; links: buffer of at least 256 bytes for the links' base. */
struct pcn_state_hooks pcn_member_hooks(const struct pcn_member *member, const char *base_url, char links[256]);

/* ---- answer.c ---- */

void pcn_answer_json(struct pcn_answer *answer, unsigned int status, json_t *body); /* takes body over */
void pcn_answer_text(struct pcn_answer *answer, unsigned int status, const char *format, ...) PCN_PRINTF(3, 4);
void pcn_answer_take(struct pcn_answer *answer, unsigned int status, char *body, size_t length);
void pcn_answer_not_allowed(struct pcn_answer *answer, const char *allow);

static inline struct pcn_member *pcn_member_of(const struct pcn_cube *cube)
{
    return cube ? cube->owner : NULL;
}
