/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: what a kind's YANG module says, one data tree a cube, and the
 * edits that change it. Knows nothing of BPF, HTTP or the chain.
 *
 * A kind's module is wrapped into one list keyed by name (pcn_wrap_module())
 * and compiled in a libyang context of its own. A tree holds exactly one entry
 * of that list. Paths are segments as in the URL below the cube: child names,
 * list keys in YANG order, each its own segment.
 *
 * An edit applies the verb in the tree itself, with a log to take it back by,
 * validates, and lists the changes in the order in which handlers are to run:
 * deletes first, children before parents; then creates and modifications,
 * parents before children. pcn_edit_commit() cannot fail. Of several edits that are
 * not yet committed the last one is discarded first.
 *
 * All functions: management thread only. Errors: negative errno with error filled in.
 */
#pragma once
#include <jansson.h>
#include <model/help.h>
#include <pcn/base.h>
#include <pcn/cube.h>
#include <pcn/error.h>
#include <pcn/node.h>

struct ly_ctx;
struct pcn_schema; /* a kind's compiled module, with the kind's handlers bound to its nodes */
struct pcn_tree;   /* a cube's configuration */
struct pcn_edit;   /* a change to a tree, not yet committed */

enum pcn_edit_verb {
    PCN_EDIT_CREATE,  /* POST: must not exist */
    PCN_EDIT_REPLACE, /* PUT: create or replace */
    PCN_EDIT_UPDATE,  /* PATCH: must exist */
    PCN_EDIT_DELETE,  /* must exist */
    PCN_EDIT_INSERT, /* an entry by number: those from it on are numbered one higher; one change says so of all of them */
    PCN_EDIT_REMOVE, /* the other way round: must exist; those behind it are numbered one lower */
};

/* What a path leads to. */
enum pcn_target_kind {
    PCN_TARGET_CUBE,
    PCN_TARGET_CONTAINER,
    PCN_TARGET_LIST,    /* all its entries */
    PCN_TARGET_PARTIAL, /* a list with some of its keys: only OPTIONS */
    PCN_TARGET_ENTRY,
    PCN_TARGET_LEAF,
    PCN_TARGET_LEAF_LIST,
    PCN_TARGET_LEAF_LIST_ENTRY,
    PCN_TARGET_ACTION,
};

/* ---- schema ---- */

/*
 * Text of module `yang` with its data definitions moved into
 * `list <module> { key name; ... }`, base groupings included. Shared with pcn-codegen.
 * -EINVAL: not a module, or one that cannot be wrapped.
 */
int pcn_wrap_module(const char *yang, char **ret_wrapped, struct pcn_error *error);

/* A libyang context with the base modules built in; directory (may be NULL) is searched for others. -ENOMEM. */
int pcn_model_context(const char *directory, struct ly_ctx **ret_ctx);

/*
 * Compiles a kind's module and binds its handlers. The base modules are built in;
 * directory (may be NULL) is searched for others. -EINVAL: does not compile, a handler names a
 * path that the module does not have, or a list has more keys than we take.
 */
int pcn_schema_new(const struct pcn_cube_kind *kind, const char *directory, struct pcn_schema **ret_schema,
                   struct pcn_error *error);
void pcn_schema_freep(struct pcn_schema **schema);
const struct pcn_cube_kind *pcn_schema_kind(const struct pcn_schema *schema);

/*
 * Takes out of the body of a cube, or of an array of them, what is shown and cannot be set: what was shown can be sent back
 * as it is. NULL: nothing is done.
 */
void pcn_schema_strip(const struct pcn_schema *schema, json_t *body);

/* ---- trees ---- */

/*
 * A new cube's tree. body: the members of the cube (name may be left out), or NULL; defaults are
 * filled in. The edit's changes are those of a create. Commit gives the tree.
 */
int pcn_tree_create(const struct pcn_schema *schema, const char *name, json_t *body, struct pcn_edit **ret_edit,
                    struct pcn_error *error);
void pcn_tree_freep(struct pcn_tree **tree);
const char *pcn_tree_name(const struct pcn_tree *tree);
/* The cube as a node, for pcn_node_*(). */
const struct pcn_node *pcn_tree_root(const struct pcn_tree *tree);

/* ---- edits ---- */

/*
 * body: an object for a cube, container or entry; an array for a list or leaf-list; a scalar for a leaf.
 * A REPLACE of a list or of the cube is compared with what is there by a key walk; what is equal gives no change.
 * Init-only leaves are refused on UPDATE. REPLACE takes what is shown and cannot be set out of the body; entries of a list
 * and leaves beside the tree that the cube shows just so stay what they are. cube NULL: it shows none.
 */
int pcn_edit_new(struct pcn_tree *tree, struct pcn_cube *cube, enum pcn_edit_verb verb, const char *const *segments,
                 size_t n_segments, json_t *body, struct pcn_edit **ret_edit, struct pcn_error *error);
/* The changes, and the handler bound to each (NULL: none). Changes may be given resources by handlers. */
size_t pcn_edit_n_changes(const struct pcn_edit *edit);
struct pcn_change *pcn_edit_change(struct pcn_edit *edit, size_t i);
const struct pcn_handler *pcn_edit_handler(const struct pcn_edit *edit, size_t i);
/* The tree as it will be, for callbacks that look beyond their unit: valid until commit or discard. */
const struct pcn_node *pcn_edit_root(const struct pcn_edit *edit);
/* Makes it so, frees the edit. ret_tree: of a pcn_tree_create() edit, else NULL. Cannot fail. */
void pcn_edit_commit(struct pcn_edit *edit, struct pcn_tree **ret_tree);
void pcn_edit_discardp(struct pcn_edit **edit);

/* ---- looking ---- */

/* -ENOENT with tag NOT_FOUND: the model has no such path. Does not look whether entries exist. */
int pcn_schema_target(const struct pcn_schema *schema, const char *const *segments, size_t n_segments,
                      enum pcn_target_kind *ret_kind, struct pcn_error *error);
/* "GET, PATCH, OPTIONS": verbs that a target takes, for 405 and OPTIONS. Caller frees. */
char *pcn_schema_allow(const struct pcn_schema *schema, const char *const *segments, size_t n_segments);

/* Entries of a list that are shown: those that pass the filter, from number offset on, at most limit; 0: all. */
struct pcn_page {
    uint32_t offset;
    uint32_t limit;
    const char *filter; /* "leaf=value,leaf=value": entries with these leaves; NULL: all */
};

/*
 * The core's own state, by hooks of the caller: base leaves of the cube (uuid, service-name, parent…)
 * and of its ports (uuid, status, tcubes) are asked for here; the kind's by its handlers.
 */
struct pcn_state_hooks {
    void (*cube)(void *data, struct pcn_emitter *emitter);
    void (*port)(void *data, const char *port, struct pcn_emitter *emitter);
    void (*counters)(void *data, struct pcn_emitter *emitter); /* members of container "counters" of the base modules */
    void *data;
    struct pcn_cube *cube_instance; /* given to handlers; NULL: no state is shown */
    const char *links_base;         /* URL of the cube, "//127.0.0.1:9000/polycube/v1/router/r1/", or NULL: no _links */
    struct pcn_page page;
};

/* The JSON text of what a path leads to, Polycube style. -ENOENT with NOT_FOUND: no such node or entry. Caller frees. */
int pcn_tree_get(const struct pcn_tree *tree, const char *const *segments, size_t n_segments,
                 const struct pcn_state_hooks *hooks, char **ret_text, size_t *ret_length, bool *ret_cacheable,
                 struct pcn_error *error);

/* Runs an action: its input is checked against the model first. ret_text: the output object, Caller frees. */
int pcn_tree_action(const struct pcn_tree *tree, struct pcn_cube *cube, const char *const *segments, size_t n_segments,
                    json_t *input, char **ret_text, struct pcn_error *error);

/* Deletes an entry of a list that has a delete-action: 1. 0: it is none, and nothing was done. */
int pcn_tree_delete(const struct pcn_tree *tree, struct pcn_cube *cube, const char *const *segments, size_t n_segments,
                    struct pcn_error *error);

/* Entry that is not configuration (a learned one): calls the handler's forget. -ENOENT: there is none. */
int pcn_tree_forget(const struct pcn_tree *tree, struct pcn_cube *cube, const char *const *segments, size_t n_segments,
                    struct pcn_error *error);

/*
 * Body of OPTIONS (reference section 2.4): help of enum pcn_help's names, or the array of completions.
 * tree NULL: help for adding a cube (segments: its name, or none). Caller frees.
 */
int pcn_schema_help(const struct pcn_schema *schema, const struct pcn_tree *tree, const struct pcn_state_hooks *hooks,
                    const char *const *segments, size_t n_segments, enum pcn_help help, bool completion,
                    char **ret_text, struct pcn_error *error);
