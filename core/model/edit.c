/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits are made in the tree itself, whatever its size, and noted in a log that
 * takes them back. Handlers see the tree as it will be; what was there before
 * is kept beside it: removed nodes as they were, changed units as a copy of their leaves.
 */
#include "edit_private.h"
#include <stdio.h>

/* ---- what a request names ---- */

static int edit_entry(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb, const json_t *body,
                      struct pcn_error *error)
{
    const char *const *keys = &target->keys[target->n_keys - target->n_own];
    struct lyd_node *entry;

    if (!target->node && (verb == PCN_EDIT_UPDATE || verb == PCN_EDIT_DELETE))
        return target_missing(target, PCN_ERROR_DATA_MISSING, error);
    if (!target->node)
        return edit_entry_add(edit, target->parent, target->schema, keys, body, target->path, &entry, error);
    if (verb == PCN_EDIT_CREATE)
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, target->path, "%s exists already", target->path);
    if (verb == PCN_EDIT_DELETE)
        return edit_unit_remove(edit, target->node);
    return edit_merge_members(edit, target->node, verb, body, target->path, error);
}

static int edit_container(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb,
                          const json_t *body, struct pcn_error *error)
{
    if (!target->node && (verb == PCN_EDIT_UPDATE || verb == PCN_EDIT_DELETE))
        return target_missing(target, PCN_ERROR_DATA_MISSING, error);
    if (target->node && verb == PCN_EDIT_CREATE && target->schema->flags & LYS_PRESENCE)
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, target->path, "%s exists already", target->path);
    if (verb == PCN_EDIT_DELETE)
        return edit_unit_clear(edit, target->node, target->path, error);
    return edit_merge_unit(edit, target->parent, target->schema, verb, body, target->path, error);
}

static int edit_leaf_list_entry(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb,
                                struct pcn_error *error)
{
    const char *value = target->keys[target->n_keys - 1];
    int r;

    if (verb == PCN_EDIT_DELETE) {
        if (!target->node)
            return target_missing(target, PCN_ERROR_DATA_MISSING, error);
        r = edit_touch(edit, target->parent);
        return r < 0 ? r : edit_node_remove(edit, target->node);
    }
    if (target->node)
        return verb == PCN_EDIT_CREATE
                   ? pcn_error_set(error, PCN_ERROR_DATA_EXISTS, target->path, "%s exists already", target->path)
                   : 0;
    return edit_leaf_new(edit, target->parent, target->schema, value, target->path, error);
}

static int edit_target(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb, const json_t *body,
                       struct pcn_error *error)
{
    const struct lysc_node *schema = target->schema;

    if (target->kind != PCN_TARGET_CUBE && !target->parent)
        return target_missing(target, PCN_ERROR_DATA_MISSING, error);
    if (!is_config(schema))
        return pcn_error_set(error, verb == PCN_EDIT_DELETE ? PCN_ERROR_DATA_MISSING : PCN_ERROR_NOT_SUPPORTED,
                             target->path, "%s is shown by the cube and cannot be set", schema->name);
    if (verb == PCN_EDIT_INSERT || verb == PCN_EDIT_REMOVE)
        return edit_numbered(edit, target, verb, body, error);
    switch (target->kind) {
    case PCN_TARGET_CUBE:
        if (verb == PCN_EDIT_CREATE)
            return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "name", "Cube %s exists already",
                                 pcn_tree_name(edit->tree));
        return edit_merge_members(edit, target->node, verb, body, "", error);
    case PCN_TARGET_CONTAINER:
        return edit_container(edit, target, verb, body, error);
    case PCN_TARGET_LIST:
        if (verb == PCN_EDIT_DELETE)
            return edit_list_clear(edit, target->parent, schema, NULL);
        return edit_merge_list(edit, target->parent, schema, verb, verb == PCN_EDIT_UPDATE, body, target->path, error);
    case PCN_TARGET_ENTRY:
        return edit_entry(edit, target, verb, body, error);
    case PCN_TARGET_LEAF:
        return edit_leaf_set(edit, target->parent, schema, body, target->path, error);
    case PCN_TARGET_LEAF_LIST:
        if (verb == PCN_EDIT_DELETE)
            return edit_leaf_list_clear(edit, target->parent, schema);
        return edit_leaf_list_set(edit, target->parent, schema, verb, body, target->path, error);
    case PCN_TARGET_LEAF_LIST_ENTRY:
        return edit_leaf_list_entry(edit, target, verb, error);
    default:
        return pcn_error_set(error, PCN_ERROR_NOT_SUPPORTED, target->path, "%s cannot be edited", target->path);
    }
}

/* ---- must, when, leafref, unique ---- */

/* Where libyang found fault, `Data location "/m:cube[name='c']/m:list[key='k']/leaf".`, as "list/k/leaf". */
static void constraint_path(const char *where, char path[PATH_TEXT_MAX])
{
    const char *c = where ? strcasestr(where, "data location") : NULL;
    size_t used = 0;

    path[0] = '\0';
    /* The cube's own segment is left out. */
    c = c ? strchr(c, ']') : NULL;
    c = c && c[1] == '/' ? c + 2 : "";
    while (*c && *c != '"' && used < PATH_TEXT_MAX - 2) {
        size_t length = strcspn(c, "[]\""), n;

        n = PCN_MIN(length, PATH_TEXT_MAX - 2 - used);
        memcpy(path + used, c, n);
        used += n;
        c += length;
        if (*c == '[') {
            const char *value = c + strcspn(c, "'\"");
            const char *end = *value ? strchr(value + 1, *value) : NULL;

            if (!end)
                break;
            path[used++] = '/';
            n = PCN_MIN((size_t)(end - value - 1), PATH_TEXT_MAX - 1 - used);
            memcpy(path + used, value + 1, n);
            used += n;
            c = end + 1;
        }
        c += *c == ']';
    }
    path[used] = '\0';
}

/* On a copy: libyang removes what a false `when` forbids. */
static int check_constraints(const struct pcn_tree *tree, struct pcn_error *error)
{
    struct ly_ctx *ctx = tree->schema->ctx;
    struct lyd_node *copy = NULL;
    char path[PATH_TEXT_MAX];
    LY_ERR result;

    if (!tree->schema->constraints)
        return 0;
    if (lyd_dup_single(tree->root, NULL, LYD_DUP_RECURSIVE | LYD_DUP_WITH_FLAGS, &copy) != LY_SUCCESS)
        return -ENOMEM;
    result = lyd_validate_all(&copy, NULL, LYD_VALIDATE_PRESENT | LYD_VALIDATE_NO_STATE, NULL);
    lyd_free_all(copy);
    if (result == LY_SUCCESS)
        return 0;
    constraint_path(ly_errpath(ctx), path);
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s%s%s", path, *path ? ": " : "", ly_errmsg(ctx));
}

/* ---- an edit's life ---- */

/* Deletes first; keys stand where they will stay. */
static int edit_finish(struct pcn_edit *edit)
{
    struct items *all = &edit->deletes;
    size_t n = edit->deletes.n + edit->others.n;
    struct item *items;

    if (edit->others.n && all->n) {
        items = reallocarray(all->items, n, sizeof(*items));
        if (!items)
            return -ENOMEM;
        memcpy(items + all->n, edit->others.items, edit->others.n * sizeof(*items));
        free(edit->others.items);
        *all = (struct items){};
        edit->others = (struct items){.items = items, .n = n, .capacity = n};
    } else if (all->n) {
        free(edit->others.items);
        edit->others = *all;
        *all = (struct items){};
    }
    for (size_t i = 0; i < edit->others.n; i++)
        edit->others.items[i].change.keys = edit->others.items[i].keys;
    return 0;
}

int pcn_edit_new(struct pcn_tree *tree, struct pcn_cube *cube, enum pcn_edit_verb verb, const char *const *segments,
                 size_t n_segments, json_t *body, struct pcn_edit **ret_edit, struct pcn_error *error)
{
    _cleanup_(pcn_edit_discardp) struct pcn_edit *edit = NULL;
    struct target target;
    json_t *given;
    int r;

    r = target_find(tree->schema, tree, segments, n_segments, &target, error);
    if (r < 0)
        return r;
    edit = calloc(1, sizeof(*edit));
    if (!edit)
        return -ENOMEM;
    edit->tree = tree;
    edit->cube = cube;
    given = body                                                                    ? json_incref(body)
            : target.kind == PCN_TARGET_LEAF                                        ? json_null()
            : target.kind == PCN_TARGET_LIST || target.kind == PCN_TARGET_LEAF_LIST ? json_array()
                                                                                    : json_object();
    if (!given)
        return -ENOMEM;
    if (verb == PCN_EDIT_REPLACE)
        build_strip(target.schema, given);
    r = edit_target(edit, &target, verb, given, error);
    json_decref(given);
    if (r >= 0)
        r = check_constraints(tree, error);
    if (r >= 0)
        r = edit_finish(edit);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, target.path, "the change failed: %s", strerror(-r));
    *ret_edit = TAKE_PTR(edit);
    return 0;
}

int pcn_tree_create(const struct pcn_schema *schema, const char *name, json_t *body, struct pcn_edit **ret_edit,
                    struct pcn_error *error)
{
    _cleanup_(pcn_edit_discardp) struct pcn_edit *edit = NULL;
    const struct lysc_node *key = schema_next(schema->cube, NULL);
    struct pcn_tree *tree;
    int r;

    edit = calloc(1, sizeof(*edit));
    tree = calloc(1, sizeof(*tree));
    if (!edit || !tree) {
        free(tree);
        return -ENOMEM;
    }
    edit->create = true;
    edit->tree = tree;
    tree->schema = schema;
    if (lyd_new_list(NULL, schema->module, schema->cube->name, 0, &tree->root, name) != LY_SUCCESS)
        return input_refused(key, name, "name", error);
    r = body ? build_members(tree->root, body, "", error) : 0;
    if (r >= 0)
        r = build_finish(tree->root, "", error);
    if (r >= 0)
        r = check_constraints(tree, error);
    if (r >= 0)
        r = edit_add_creates(edit, tree->root);
    if (r >= 0)
        r = edit_finish(edit);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "the cube could not be made: %s", strerror(-r));
    *ret_edit = TAKE_PTR(edit);
    return 0;
}

static void edit_free(struct pcn_edit *edit)
{
    for (size_t i = 0; i < edit->others.n; i++)
        lyd_free_tree(edit->others.items[i].copy);
    for (size_t i = 0; i < edit->n_undos; i++)
        free(edit->undos[i].value);
    free(edit->deletes.items);
    free(edit->others.items);
    free(edit->undos);
    free(edit);
}

void pcn_edit_commit(struct pcn_edit *edit, struct pcn_tree **ret_tree)
{
    for (size_t i = 0; i < edit->n_undos; i++)
        if (edit->undos[i].kind == UNDO_REMOVED)
            lyd_free_tree(edit->undos[i].node);
    if (ret_tree)
        *ret_tree = edit->create ? edit->tree : NULL;
    edit_free(edit);
}

void pcn_edit_discardp(struct pcn_edit **ptr)
{
    struct pcn_edit *edit = TAKE_PTR(*ptr);

    if (!edit)
        return;
    edit_take_back(edit);
    if (edit->create)
        pcn_tree_freep(&edit->tree);
    edit_free(edit);
}

size_t pcn_edit_n_changes(const struct pcn_edit *edit)
{
    return edit->others.n;
}

struct pcn_change *pcn_edit_change(struct pcn_edit *edit, size_t i)
{
    return &edit->others.items[i].change;
}

const struct pcn_handler *pcn_edit_handler(const struct pcn_edit *edit, size_t i)
{
    return edit->others.items[i].handler;
}

const struct pcn_node *pcn_edit_root(const struct pcn_edit *edit)
{
    return (const struct pcn_node *)edit->tree->root;
}

/* ---- trees ---- */

void pcn_tree_freep(struct pcn_tree **ptr)
{
    struct pcn_tree *tree = TAKE_PTR(*ptr);

    if (!tree)
        return;
    lyd_free_all(tree->root);
    free(tree);
}

const char *pcn_tree_name(const struct pcn_tree *tree)
{
    return lyd_get_value(lyd_child(tree->root));
}

const struct pcn_node *pcn_tree_root(const struct pcn_tree *tree)
{
    return (const struct pcn_node *)tree->root;
}
