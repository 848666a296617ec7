/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this layer share. */
#pragma once
#include <libyang/libyang.h>
#include <model/model.h>

#define PATH_TEXT_MAX 256
#define KEYS_MAX 8      /* of one list */
#define ALL_KEYS_MAX 16 /* of all lists on a path */
#define VALUE_TEXT 64   /* room for a number or a boolean made into text */

/* What the schema knows of a node beyond libyang: lysc_node->priv. */
struct node_info {
    const struct pcn_handler *handler; /* NULL: none */
    const char *example;               /* of extension cli-example, or NULL */
    const char *delete_action;         /* of extension delete-action, or NULL */
    bool init_only;
    bool base_state; /* the core's own state: tolerated in a body, so that what was shown can be sent back */
    bool leaf_lists; /* has a leaf-list that is configuration */
    size_t n_keys;   /* of a list */
    char path[];     /* below the cube, as in handler tables: "ports/secondaryip" */
};

struct pcn_schema {
    const struct pcn_cube_kind *kind;
    struct ly_ctx *ctx;
    const struct lys_module *module;
    const struct lysc_node *cube; /* the list that wraps everything */
    bool constraints;             /* must, when, leafref, unique, choice…: libyang looks at the whole tree */
};

struct pcn_tree {
    const struct pcn_schema *schema;
    struct lyd_node *root; /* the one entry of the list */
};

/* ---- schema.c ---- */

static inline const struct node_info *info(const struct lysc_node *node)
{
    return node->priv;
}

static inline bool is_config(const struct lysc_node *node)
{
    return node->flags & LYS_CONFIG_W || !(node->flags & LYS_CONFIG_MASK);
}

/* Not configuration; but its entries can be deleted. */
static inline bool is_forgettable(const struct lysc_node *node)
{
    return !is_config(node) && node->nodetype == LYS_LIST && info(node)->handler && info(node)->handler->forget;
}

static inline bool is_key(const struct lysc_node *node)
{
    return lysc_is_key(node);
}

/* Children that hold data, and actions; of an action: its input. last NULL: the first. Key leaves come first. */
const struct lysc_node *schema_next(const struct lysc_node *parent, const struct lysc_node *last);
const struct lysc_node *schema_child(const struct lysc_node *parent, const char *name);
/* Type behind leafrefs. */
const struct lysc_type *schema_type(const struct lysc_node *leaf);
const char *schema_type_name(const struct lysc_node *leaf);
/* Default of a leaf, or NULL. */
const char *schema_default(const struct lysc_node *leaf);

/* ---- input.c ---- */

/* Text of a JSON scalar for a leaf, enumerations in the model's spelling. buffer holds what has to be made. */
int input_text(const struct lysc_node *leaf, const json_t *value, const char *path, char buffer[VALUE_TEXT],
               const char **ret_text, struct pcn_error *error);
/* The model's spelling of an enumeration's value given in any case; other types: text itself. */
const char *input_spelling(const struct lysc_node *leaf, const char *text);
/* INVALID_VALUE: says the value and the accepted form. */
int input_refused(const struct lysc_node *leaf, const char *value, const char *path, struct pcn_error *error);

/* ---- data.c ---- */

/* The instance of a leaf or container, or the first one of a list or leaf-list; NULL: none. */
struct lyd_node *data_child(const struct lyd_node *parent, const struct lysc_node *schema);
struct lyd_node *data_child_named(const struct lyd_node *parent, const char *name);
#define PREDICATE_TEXT_MAX 1024
/* What an entry is looked up by. False: none can be made, a key holds both kinds of quotes or they are too long. */
bool data_predicate(const struct lysc_node *list, const char *const *keys, char *text, size_t size);
/* Entry of a list by its keys; NULL: none, or keys that cannot be. */
struct lyd_node *data_entry(const struct lyd_node *parent, const struct lysc_node *list, const char *const *keys);
struct lyd_node *data_value(const struct lyd_node *parent, const struct lysc_node *leaf_list, const char *value);
/* Appends an entry. NULL: one of the keys is not valid. */
struct lyd_node *data_entry_new(struct lyd_node *parent, const struct lysc_node *list, const char *const *keys);
/* Values of all keys above and of node, outermost first, the cube's own left out. Returns their number. */
size_t data_keys(const struct lyd_node *node, const char *keys[ALL_KEYS_MAX]);

/* ---- target.c ---- */

/* Where a path leads: the last schema node, and how much of it exists. */
struct target {
    enum pcn_target_kind kind;
    const struct lysc_node *schema;
    struct lyd_node *parent;        /* data node that schema's instance belongs into; NULL: it does not exist */
    struct lyd_node *node;          /* the instance; a list's or leaf-list's is its parent; NULL: it does not exist */
    const char *keys[ALL_KEYS_MAX]; /* canonical, of all lists on the path, the target's own included */
    size_t n_keys;
    size_t n_own;                 /* of them, the target's own: keys of an entry, the value in a leaf-list */
    const struct lysc_node *lost; /* the first configuration above the target that does not exist; NULL: none */
    size_t lost_length;           /* of its path, within path */
    char path[PATH_TEXT_MAX];     /* "ports/p1/ip", for errors */
    char key_text[512];           /* of keys that were not given as they stand in the tree */
    size_t key_text_used;
};

/* tree NULL: the schema alone. -ENOENT: no such path in the model. ret_target points into itself: it is not copied. */
int target_find(const struct pcn_schema *schema, const struct pcn_tree *tree, const char *const *segments, size_t n,
                struct target *ret_target, struct pcn_error *error);

/* tag: says which part of the path does not exist, the first of them. */
int target_missing(const struct target *target, enum pcn_error_tag tag, struct pcn_error *error);

/* ---- build.c ---- */

/* Error path of a member: parent + "/" + name. */
void path_join(char path[PATH_TEXT_MAX], const char *parent, const char *name);
/* Members of body become children of node, which was made for it. No defaults, no check of what is missing. */
int build_members(struct lyd_node *node, const json_t *body, const char *path, struct pcn_error *error);
/* Adds an entry of list from body; keys given here need not be in it. -EEXIST: there is one with these keys. */
int build_entry(struct lyd_node *parent, const struct lysc_node *list, const char *const *keys, const json_t *body,
                const char *path, struct lyd_node **ret_entry, struct pcn_error *error);
/* Keys of an entry from its body, canonical spelling of enumerations; buffers as in input_text(). */
int build_keys(const struct lysc_node *list, const json_t *body, const char *path, char buffers[KEYS_MAX][VALUE_TEXT],
               const char *keys[KEYS_MAX], struct pcn_error *error);
/* Defaults, then whether anything mandatory is missing, in the subtree of node. */
int build_finish(struct lyd_node *node, const char *path, struct pcn_error *error);
/* Mandatory leaves of one unit. */
int build_check(const struct lyd_node *unit, const char *path, struct pcn_error *error);
/* The schema node of a member, or why it cannot be given. ret NULL with 0: to be ignored. */
int build_member(const struct lysc_node *parent, const char *name, const char *path, const struct lysc_node **ret_node,
                 struct pcn_error *error);
/* See pcn_schema_strip(); of what schema is. */
void build_strip(const struct lysc_node *schema, json_t *body);
int build_expect(const json_t *body, const struct lysc_node *schema, const char *path, struct pcn_error *error);

/* ---- show.c ---- */

/* An entry that a handler shows, by all keys on the path to it. NULL: there is none. The caller drops the reference. */
json_t *show_handled(struct pcn_cube *cube, const struct lysc_node *list, const char *const *keys, size_t n_keys);

/* What the handler of a unit shows of it beside its configuration, by all keys on the path to it. The caller drops the reference. */
json_t *show_handled_state(struct pcn_cube *cube, const struct lysc_node *unit, const char *const *keys, size_t n_keys);

/* ---- emit.c ---- */

#define EMIT_DEPTH_MAX 16

struct pcn_emitter {
    char *text;
    size_t length;
    size_t capacity;
    bool failed;
    bool comma;  /* the next member needs one */
    bool parsed; /* the text is read again, by a reader that knows no integer above INT64_MAX: there they end */
    unsigned int depth;
    char closing[EMIT_DEPTH_MAX];
    /* Paging: entries at depth page_depth, counted from 0; limit 0: no limit. */
    bool paged;
    bool skipping;
    unsigned int page_depth;
    uint32_t offset, limit, seen;
    /* Members that an entry of the page must have, as text; NULL: none. It is written first, and taken back if it has not. */
    const json_t *filter;
    size_t entry;
    bool entry_comma;
};

void emit_raw(struct pcn_emitter *emitter, const char *text, size_t length);
void emit_name(struct pcn_emitter *emitter, const char *name);
void emit_quoted(struct pcn_emitter *emitter, const char *value);
void emit_open(struct pcn_emitter *emitter, char bracket);
void emit_close(struct pcn_emitter *emitter);
void emitter_done(struct pcn_emitter *emitter);
