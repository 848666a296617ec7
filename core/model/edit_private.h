/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of an edit share:
 *
 *     edit.c        its life, and what a request names
 *     edit_merge.c  what a body makes of the units, lists and leaves that are there
 *     edit_shift.c  entries by number, one of which comes or goes
 *     edit_log.c    what was done, noted: for the handlers, and to take it back
 */
#pragma once
#include "private.h"

enum undo_kind {
    UNDO_INSERTED,
    UNDO_REMOVED,
    UNDO_CHANGED,
    UNDO_SHIFTED,
};

struct undo {
    enum undo_kind kind;
    struct lyd_node *node;   /* SHIFTED: the entry that came or went */
    struct lyd_node *parent; /* REMOVED, SHIFTED: where it was */
    struct lyd_node *next;   /* REMOVED: the entry of the same list that came after it, or NULL */
    char *value;             /* CHANGED: what it was */
    uint32_t flags;
    int64_t from; /* SHIFTED: those from this number on had `by` less */
    int by;
};

struct item {
    struct pcn_change change;
    const struct pcn_handler *handler;
    struct lyd_node *copy; /* change.before, where it is a copy */
    const char *keys[ALL_KEYS_MAX];
};

struct items {
    struct item *items;
    size_t n, capacity;
};

struct pcn_edit {
    struct pcn_tree *tree;
    struct pcn_cube *cube; /* whose entries are shown beside the tree, or NULL */
    bool create;
    struct items deletes; /* children before parents */
    struct items others;  /* parents before children; in the end all of them, deletes first */
    struct undo *undos;
    size_t n_undos, undos_capacity;
};

/* ---- edit_log.c ---- */

int edit_undo_add(struct pcn_edit *edit, struct undo undo);
int edit_add_creates(struct pcn_edit *edit, struct lyd_node *unit);
int edit_add_deletes(struct pcn_edit *edit, struct lyd_node *unit);
/* Entries of the list of unit, from its number on, have `by` more. */
int edit_add_shift(struct pcn_edit *edit, struct lyd_node *unit, int by);
/* Notes that unit is about to be modified. Its leaves are all changed before anything below it is. */
int edit_touch(struct pcn_edit *edit, struct lyd_node *unit);
int edit_node_remove(struct pcn_edit *edit, struct lyd_node *node);
/* The tree becomes what it was. */
void edit_take_back(struct pcn_edit *edit);

/* ---- edit_merge.c ---- */

int edit_leaf_new(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const char *text,
                  const char *path, struct pcn_error *error);
int edit_leaf_set(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const json_t *value,
                  const char *path, struct pcn_error *error);
int edit_leaf_list_clear(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema);
/* REPLACE: exactly these. CREATE, UPDATE: these too. */
int edit_leaf_list_set(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                       enum pcn_edit_verb verb, const json_t *body, const char *path, struct pcn_error *error);
int edit_entry_add(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list,
                   const char *const *keys, const json_t *body, const char *path, struct lyd_node **ret_entry,
                   struct pcn_error *error);
int edit_unit_remove(struct pcn_edit *edit, struct lyd_node *unit);
/* A container whose presence says something goes away; another one cannot, and is emptied. */
int edit_unit_clear(struct pcn_edit *edit, struct lyd_node *unit, const char *path, struct pcn_error *error);
/* All entries of a list; spared: but those that carry this mark, which is taken off. */
int edit_list_clear(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list, const void *spared);
/* must_exist: the request names these entries, it does not describe what is to be. */
int edit_merge_list(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list,
                    enum pcn_edit_verb verb, bool must_exist, const json_t *body, const char *path,
                    struct pcn_error *error);
/* A container or list of unit: from value, or, replacing without one, emptied. */
int edit_merge_unit(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                    enum pcn_edit_verb verb, const json_t *value, const char *path, struct pcn_error *error);
int edit_merge_members(struct pcn_edit *edit, struct lyd_node *unit, enum pcn_edit_verb verb, const json_t *body,
                       const char *path, struct pcn_error *error);

/* ---- edit_shift.c ---- */

/* INSERT, REMOVE. */
int edit_numbered(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb, const json_t *body,
                  struct pcn_error *error);
/* Entries of a list whose number is not below from get `by` more. -ENOMEM: none does. */
int edit_shift_numbers(struct lyd_node *parent, const struct lysc_node *list, int64_t from, int by);
