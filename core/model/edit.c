/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits are made in the tree itself, whatever its size, and noted in a log that
 * takes them back. Handlers see the tree as it will be; what was there before
 * is kept beside it: removed nodes as they were, changed units as a copy of their leaves.
 */
#include "private.h"
#include <stdio.h>

enum undo_kind {
    UNDO_INSERTED,
    UNDO_REMOVED,
    UNDO_CHANGED,
};

struct undo {
    enum undo_kind kind;
    struct lyd_node *node;
    struct lyd_node *parent; /* REMOVED: where it was */
    struct lyd_node *next;   /* REMOVED: the entry of the same list that came after it, or NULL */
    char *value;             /* CHANGED: what it was */
    uint32_t flags;
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
    bool create;
    struct items deletes; /* children before parents */
    struct items others;  /* parents before children; in the end all of them, deletes first */
    struct undo *undos;
    size_t n_undos, undos_capacity;
};

/* ---- the lists of an edit ---- */

static void *grow(void *array, size_t size, size_t n, size_t *capacity)
{
    size_t wanted = *capacity ? *capacity * 2 : 8;
    void *grown;

    if (n < *capacity)
        return array;
    grown = reallocarray(array, wanted, size);
    if (grown)
        *capacity = wanted;
    return grown;
}

static int item_add(struct items *items, enum pcn_change_op op, struct lyd_node *unit, struct item **ret_item)
{
    struct item *grown = grow(items->items, sizeof(*grown), items->n, &items->capacity), *item;

    if (!grown)
        return -ENOMEM;
    items->items = grown;
    item = &grown[items->n++];
    *item =
        (struct item){.change = {.op = op, .path = info(unit->schema)->path}, .handler = info(unit->schema)->handler};
    item->change.n_keys = data_keys(unit, item->keys);
    if (ret_item)
        *ret_item = item;
    return 0;
}

static int undo_add(struct pcn_edit *edit, struct undo undo)
{
    struct undo *grown = grow(edit->undos, sizeof(*grown), edit->n_undos, &edit->undos_capacity);

    if (!grown)
        return -ENOMEM;
    edit->undos = grown;
    grown[edit->n_undos++] = undo;
    return 0;
}

static bool is_unit_node(const struct lyd_node *node)
{
    return node->schema->nodetype & (LYS_CONTAINER | LYS_LIST);
}

static int add_creates(struct pcn_edit *edit, struct lyd_node *unit)
{
    struct item *item;
    int r;

    r = item_add(&edit->others, PCN_CHANGE_CREATE, unit, &item);
    if (r < 0)
        return r;
    item->change.after = (const struct pcn_node *)unit;
    for (struct lyd_node *child = lyd_child(unit); child && r >= 0; child = child->next)
        r = is_unit_node(child) ? add_creates(edit, child) : 0;
    return r;
}

static int add_deletes(struct pcn_edit *edit, struct lyd_node *unit)
{
    struct item *item;
    int r = 0;

    for (struct lyd_node *child = lyd_child(unit); child && r >= 0; child = child->next)
        r = is_unit_node(child) ? add_deletes(edit, child) : 0;
    if (r >= 0)
        r = item_add(&edit->deletes, PCN_CHANGE_DELETE, unit, &item);
    if (r >= 0)
        item->change.before = (const struct pcn_node *)unit;
    return r;
}

/* The unit with its leaves, and nothing below. */
static struct lyd_node *unit_copy(const struct lyd_node *unit)
{
    const struct lyd_node *below = lyd_child(unit);
    const struct lysc_node *schema = NULL;
    struct lyd_node *copy = NULL;

    while (below && below->schema->nodetype & LYD_NODE_TERM)
        below = below->next;
    if (lyd_dup_single(unit, NULL, LYD_DUP_WITH_FLAGS | (below ? 0 : LYD_DUP_RECURSIVE), &copy) != LY_SUCCESS)
        return NULL;
    if (!below)
        return copy;
    while ((schema = schema_next(unit->schema, schema))) {
        const struct lyd_node *child;

        if (!(schema->nodetype & LYD_NODE_TERM) || is_key(schema))
            continue;
        for (child = data_child(unit, schema); child && child->schema == schema; child = child->next) {
            if (lyd_dup_single(child, (struct lyd_node_inner *)copy, LYD_DUP_WITH_FLAGS, NULL) != LY_SUCCESS) {
                lyd_free_tree(copy);
                return NULL;
            }
        }
    }
    return copy;
}

/* Notes that unit is about to be modified. Its leaves are all changed before anything below it is. */
static int touch(struct pcn_edit *edit, struct lyd_node *unit)
{
    struct item *item;
    int r;

    if (edit->others.n && edit->others.items[edit->others.n - 1].change.after == (const struct pcn_node *)unit)
        return 0;
    r = item_add(&edit->others, PCN_CHANGE_MODIFY, unit, &item);
    if (r < 0)
        return r;
    item->change.after = (const struct pcn_node *)unit;
    item->copy = unit_copy(unit);
    item->change.before = (const struct pcn_node *)item->copy;
    return item->copy ? 0 : -ENOMEM;
}

/* ---- nodes ---- */

static int node_remove(struct pcn_edit *edit, struct lyd_node *node)
{
    struct lyd_node *next = node->next && node->next->schema == node->schema ? node->next : NULL;
    int r = undo_add(edit, (struct undo){.kind = UNDO_REMOVED, .node = node, .parent = lyd_parent(node), .next = next});

    if (r >= 0)
        lyd_unlink_tree(node);
    return r;
}

static int init_only_refused(const struct lysc_node *leaf, const char *path, struct pcn_error *error)
{
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                         "%s is set when it is created and cannot be changed: delete and add it again", leaf->name);
}

static int leaf_change(struct pcn_edit *edit, struct lyd_node *node, const char *text, const char *path,
                       struct pcn_error *error)
{
    struct undo undo = {.kind = UNDO_CHANGED, .node = node, .flags = node->flags};
    int r;

    r = touch(edit, lyd_parent(node));
    if (r < 0)
        return r;
    undo.value = strdup(lyd_get_value(node));
    if (!undo.value)
        return -ENOMEM;
    r = undo_add(edit, undo);
    if (r < 0) {
        free(undo.value);
        return r;
    }
    if (lyd_change_term(node, text) != LY_SUCCESS)
        return input_refused(node->schema, text, path, error);
    return 0;
}

static int leaf_new(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const char *text,
                    const char *path, struct pcn_error *error)
{
    struct lyd_node *node;
    int r;

    r = touch(edit, unit);
    if (r < 0)
        return r;
    if (lyd_new_term(unit, leaf->module, leaf->name, text, 0, &node) != LY_SUCCESS)
        return input_refused(leaf, text, path, error);
    return undo_add(edit, (struct undo){.kind = UNDO_INSERTED, .node = node});
}

static int leaf_set_text(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const char *text,
                         const char *path, struct pcn_error *error)
{
    struct lyd_node *node = data_child(unit, leaf);

    if (node && lyd_value_compare((const struct lyd_node_term *)node, text, strlen(text)) == LY_SUCCESS)
        return 0;
    if (is_key(leaf))
        return pcn_error_set(error, PCN_ERROR_BAD_ATTRIBUTE, path, "%s is a key: \"%.64s\" contradicts the path",
                             leaf->name, text);
    if (info(leaf)->init_only) {
        LY_ERR result = lyd_value_validate(leaf->module->ctx, leaf, text, strlen(text), NULL, NULL, NULL);

        /* Incomplete: it depends on other leaves. */
        if (result == LY_SUCCESS || result == LY_EINCOMPLETE)
            return init_only_refused(leaf, path, error);
        return input_refused(leaf, text, path, error);
    }
    return node ? leaf_change(edit, node, text, path, error) : leaf_new(edit, unit, leaf, text, path, error);
}

static int leaf_set(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const json_t *value,
                    const char *path, struct pcn_error *error)
{
    char buffer[VALUE_TEXT];
    const char *text;
    int r;

    r = input_text(leaf, value, path, buffer, &text, error);
    return r < 0 ? r : leaf_set_text(edit, unit, leaf, text, path, error);
}

/* Back to the default, or away. What is set for good stays. */
static int leaf_unset(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf,
                      struct pcn_error *error)
{
    struct lyd_node *node = data_child(unit, leaf);
    int r;

    if (!node || is_key(leaf) || info(leaf)->init_only)
        return 0;
    if (schema_default(leaf))
        return leaf_set_text(edit, unit, leaf, schema_default(leaf), leaf->name, error);
    r = touch(edit, unit);
    return r < 0 ? r : node_remove(edit, node);
}

static int leaf_list_clear(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema)
{
    struct lyd_node *node = data_child(unit, schema), *next;
    int r = 0;

    for (; node && node->schema == schema && r >= 0; node = next) {
        next = node->next;
        r = touch(edit, unit);
        if (r >= 0)
            r = node_remove(edit, node);
    }
    return r;
}

/* Whether these are the values that are there. */
static bool leaf_list_is(const struct lyd_node *unit, const struct lysc_node *schema, const json_t *body)
{
    const struct lyd_node *node = data_child(unit, schema);
    struct pcn_error ignored = {};
    char buffer[VALUE_TEXT];
    const char *text;

    for (size_t i = 0; i < json_array_size(body); i++) {
        if (!node || node->schema != schema ||
            input_text(schema, json_array_get(body, i), "", buffer, &text, &ignored) < 0 ||
            lyd_value_compare((const struct lyd_node_term *)node, text, strlen(text)) != LY_SUCCESS)
            return false;
        node = node->next;
    }
    return !node || node->schema != schema;
}

/* REPLACE: exactly these. CREATE, UPDATE: these too. */
static int leaf_list_set(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                         enum pcn_edit_verb verb, const json_t *body, const char *path, struct pcn_error *error)
{
    int r;

    r = build_expect(body, schema, path, error);
    if (r >= 0 && verb == PCN_EDIT_REPLACE) {
        if (leaf_list_is(unit, schema, body))
            return 0;
        r = leaf_list_clear(edit, unit, schema);
    }
    for (size_t i = 0; i < json_array_size(body) && r >= 0; i++) {
        char buffer[VALUE_TEXT];
        const char *text;

        r = input_text(schema, json_array_get(body, i), path, buffer, &text, error);
        if (r >= 0 && !data_value(unit, schema, text))
            r = leaf_new(edit, unit, schema, text, path, error);
        else if (r >= 0 && verb != PCN_EDIT_UPDATE)
            r = pcn_error_set(error, PCN_ERROR_DATA_EXISTS, path, "%s holds %.64s already", schema->name, text);
    }
    return r;
}

/* ---- entries ---- */

static int node_created(struct pcn_edit *edit, struct lyd_node *node, const char *path, struct pcn_error *error)
{
    int r;

    r = build_finish(node, path, error);
    if (r >= 0)
        r = undo_add(edit, (struct undo){.kind = UNDO_INSERTED, .node = node});
    if (r < 0) {
        lyd_free_tree(node);
        return r;
    }
    return add_creates(edit, node);
}

static int entry_add(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list,
                     const char *const *keys, const json_t *body, const char *path, struct lyd_node **ret_entry,
                     struct pcn_error *error)
{
    int r;

    r = build_entry(parent, list, keys, body, path, ret_entry, error);
    return r < 0 ? r : node_created(edit, *ret_entry, path, error);
}

static int unit_remove(struct pcn_edit *edit, struct lyd_node *unit)
{
    int r = add_deletes(edit, unit);

    return r < 0 ? r : node_remove(edit, unit);
}

/* All entries of a list; spared: but those that carry this mark, which is taken off. */
static int list_clear(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list, const void *spared)
{
    struct lyd_node *entry = data_child(parent, list), *next;
    int r = 0;

    for (; entry && entry->schema == list; entry = next) {
        next = entry->next;
        if (spared && entry->priv == spared)
            entry->priv = NULL;
        else if (r >= 0)
            r = unit_remove(edit, entry);
    }
    return r;
}

static void list_unmark(struct lyd_node *parent, const struct lysc_node *list)
{
    for (struct lyd_node *entry = data_child(parent, list); entry && entry->schema == list; entry = entry->next)
        entry->priv = NULL;
}

/* ---- members of a unit that exists ---- */

static int merge_members(struct pcn_edit *edit, struct lyd_node *unit, enum pcn_edit_verb verb, const json_t *body,
                         const char *path, struct pcn_error *error);

/* Whether it is the entry with these keys, which may be written in another way: then it is not. */
static bool entry_is(const struct lyd_node *entry, const struct lysc_node *list, const char *const *keys)
{
    const struct lyd_node *key = entry && entry->schema == list ? lyd_child(entry) : NULL;

    for (size_t i = 0; i < info(list)->n_keys; i++, key = key->next)
        if (!key || !pcn_streq(lyd_get_value(key), keys[i]))
            return false;
    return info(list)->n_keys > 0;
}

/* must_exist: the request names these entries, it does not describe what is to be. */
static int merge_list(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list,
                      enum pcn_edit_verb verb, bool must_exist, const json_t *body, const char *path,
                      struct pcn_error *error)
{
    char buffers[KEYS_MAX][VALUE_TEXT], entry_path[PATH_TEXT_MAX];
    struct lyd_node *next = data_child(parent, list), *entry;
    const char *keys[KEYS_MAX];
    int r;

    r = build_expect(body, list, path, error);
    for (size_t i = 0; i < json_array_size(body) && r >= 0; i++, next = entry->next) {
        const json_t *value = json_array_get(body, i);

        r = build_keys(list, value, path, buffers, keys, error);
        if (r < 0)
            break;
        path_join(entry_path, path, keys[0]);
        /* Most requests have the order that is there. */
        entry = NULL;
        if (verb != PCN_EDIT_CREATE)
            entry = entry_is(next, list, keys) ? next : data_entry(parent, list, keys);
        if (entry && entry->priv == edit)
            r = pcn_error_set(error, PCN_ERROR_DATA_EXISTS, entry_path, "%s %s is given twice", list->name, keys[0]);
        else if (entry)
            r = merge_members(edit, entry, verb, value, entry_path, error);
        else if (must_exist)
            r = pcn_error_set(error, PCN_ERROR_DATA_MISSING, entry_path, "%s %s does not exist", list->name, keys[0]);
        else
            r = entry_add(edit, parent, list, keys, value, entry_path, &entry, error);
        if (r < 0)
            break;
        if (verb == PCN_EDIT_REPLACE)
            entry->priv = edit;
    }
    if (verb != PCN_EDIT_REPLACE)
        return r;
    if (r >= 0)
        return list_clear(edit, parent, list, edit);
    list_unmark(parent, list);
    return r;
}

static int unit_clear(struct pcn_edit *edit, struct lyd_node *unit, const char *path, struct pcn_error *error);

/* A container or list of unit: from value, or, replacing without one, emptied. */
static int merge_unit(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                      enum pcn_edit_verb verb, const json_t *value, const char *path, struct pcn_error *error)
{
    struct lyd_node *child;
    int r;

    if (schema->nodetype == LYS_LIST)
        return value ? merge_list(edit, unit, schema, verb, false, value, path, error)
                     : list_clear(edit, unit, schema, NULL);
    child = data_child(unit, schema);
    if (!value)
        return child ? unit_clear(edit, child, path, error) : 0;
    if (child)
        return merge_members(edit, child, verb, value, path, error);
    if (lyd_new_inner(unit, schema->module, schema->name, 0, &child) != LY_SUCCESS)
        return -ENOMEM;
    r = build_members(child, value, path, error);
    if (r < 0) {
        lyd_free_tree(child);
        return r;
    }
    return node_created(edit, child, path, error);
}

static int merge_term(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                      enum pcn_edit_verb verb, const json_t *value, const char *path, struct pcn_error *error)
{
    if (schema->nodetype == LYS_LEAF)
        return value ? leaf_set(edit, unit, schema, value, path, error) : leaf_unset(edit, unit, schema, error);
    return value ? leaf_list_set(edit, unit, schema, verb, value, path, error) : leaf_list_clear(edit, unit, schema);
}

static int check_members(const struct lyd_node *unit, const json_t *body, const char *path, struct pcn_error *error)
{
    char member[PATH_TEXT_MAX];
    const char *name;
    json_t *value;

    if (!json_is_object(body))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s is an object: give {...}", unit->schema->name);
    json_object_foreach ((json_t *)body, name, value) {
        const struct lysc_node *schema;
        int r;

        path_join(member, path, name);
        r = build_member(unit->schema, name, member, &schema, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Leaves first, as touch() wants it, then what is below. */
static int merge_members(struct pcn_edit *edit, struct lyd_node *unit, enum pcn_edit_verb verb, const json_t *body,
                         const char *path, struct pcn_error *error)
{
    char member[PATH_TEXT_MAX];
    int r;

    r = check_members(unit, body, path, error);
    for (int units = 0; units < 2 && r >= 0; units++) {
        const struct lysc_node *schema = NULL;

        while (r >= 0 && (schema = schema_next(unit->schema, schema))) {
            const json_t *value = json_object_get(body, schema->name);

            if (schema->nodetype == LYS_ACTION || !is_config(schema) || (!value && verb != PCN_EDIT_REPLACE) ||
                (schema->nodetype & LYD_NODE_TERM ? 0 : 1) != units)
                continue;
            if (value || units)
                path_join(member, path, schema->name);
            r = units ? merge_unit(edit, unit, schema, verb, value, member, error)
                      : merge_term(edit, unit, schema, verb, value, member, error);
        }
        if (r >= 0 && !units && verb == PCN_EDIT_REPLACE)
            r = build_check(unit, path, error);
    }
    return r;
}

/* A container whose presence says something goes away; another one cannot, and is emptied. */
static int unit_clear(struct pcn_edit *edit, struct lyd_node *unit, const char *path, struct pcn_error *error)
{
    json_t *nothing;
    int r;

    if (unit->schema->flags & LYS_PRESENCE)
        return unit_remove(edit, unit);
    nothing = json_object();
    r = nothing ? merge_members(edit, unit, PCN_EDIT_REPLACE, nothing, path, error) : -ENOMEM;
    json_decref(nothing);
    return r;
}

/* ---- what a request names ---- */

static int edit_entry(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb, const json_t *body,
                      struct pcn_error *error)
{
    const char *const *keys = &target->keys[target->n_keys - target->n_own];
    struct lyd_node *entry;

    if (!target->node && (verb == PCN_EDIT_UPDATE || verb == PCN_EDIT_DELETE))
        return target_missing(target, PCN_ERROR_DATA_MISSING, error);
    if (!target->node)
        return entry_add(edit, target->parent, target->schema, keys, body, target->path, &entry, error);
    if (verb == PCN_EDIT_CREATE)
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, target->path, "%s exists already", target->path);
    if (verb == PCN_EDIT_DELETE)
        return unit_remove(edit, target->node);
    return merge_members(edit, target->node, verb, body, target->path, error);
}

static int edit_container(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb,
                          const json_t *body, struct pcn_error *error)
{
    if (!target->node && (verb == PCN_EDIT_UPDATE || verb == PCN_EDIT_DELETE))
        return target_missing(target, PCN_ERROR_DATA_MISSING, error);
    if (target->node && verb == PCN_EDIT_CREATE && target->schema->flags & LYS_PRESENCE)
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, target->path, "%s exists already", target->path);
    if (verb == PCN_EDIT_DELETE)
        return unit_clear(edit, target->node, target->path, error);
    return merge_unit(edit, target->parent, target->schema, verb, body, target->path, error);
}

static int edit_leaf_list_entry(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb,
                                struct pcn_error *error)
{
    const char *value = target->keys[target->n_keys - 1];
    int r;

    if (verb == PCN_EDIT_DELETE) {
        if (!target->node)
            return target_missing(target, PCN_ERROR_DATA_MISSING, error);
        r = touch(edit, target->parent);
        return r < 0 ? r : node_remove(edit, target->node);
    }
    if (target->node)
        return verb == PCN_EDIT_CREATE
                   ? pcn_error_set(error, PCN_ERROR_DATA_EXISTS, target->path, "%s exists already", target->path)
                   : 0;
    return leaf_new(edit, target->parent, target->schema, value, target->path, error);
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
    switch (target->kind) {
    case PCN_TARGET_CUBE:
        if (verb == PCN_EDIT_CREATE)
            return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "name", "Cube %s exists already",
                                 pcn_tree_name(edit->tree));
        return merge_members(edit, target->node, verb, body, "", error);
    case PCN_TARGET_CONTAINER:
        return edit_container(edit, target, verb, body, error);
    case PCN_TARGET_LIST:
        if (verb == PCN_EDIT_DELETE)
            return list_clear(edit, target->parent, schema, NULL);
        return merge_list(edit, target->parent, schema, verb, verb == PCN_EDIT_UPDATE, body, target->path, error);
    case PCN_TARGET_ENTRY:
        return edit_entry(edit, target, verb, body, error);
    case PCN_TARGET_LEAF:
        return leaf_set(edit, target->parent, schema, body, target->path, error);
    case PCN_TARGET_LEAF_LIST:
        if (verb == PCN_EDIT_DELETE)
            return leaf_list_clear(edit, target->parent, schema);
        return leaf_list_set(edit, target->parent, schema, verb, body, target->path, error);
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

int pcn_edit_new(struct pcn_tree *tree, enum pcn_edit_verb verb, const char *const *segments, size_t n_segments,
                 json_t *body, struct pcn_edit **ret_edit, struct pcn_error *error)
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
    given = body                                                                    ? json_incref(body)
            : target.kind == PCN_TARGET_LEAF                                        ? json_null()
            : target.kind == PCN_TARGET_LIST || target.kind == PCN_TARGET_LEAF_LIST ? json_array()
                                                                                    : json_object();
    if (!given)
        return -ENOMEM;
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
        r = add_creates(edit, tree->root);
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
    for (size_t i = edit->n_undos; i-- > 0;) {
        const struct undo *undo = &edit->undos[i];

        if (undo->kind == UNDO_INSERTED) {
            lyd_free_tree(undo->node);
        } else if (undo->kind == UNDO_REMOVED) {
            undo->node->priv = NULL;
            (void)(undo->next ? lyd_insert_before(undo->next, undo->node) : lyd_insert_child(undo->parent, undo->node));
        } else {
            (void)lyd_change_term(undo->node, undo->value);
            undo->node->flags = undo->flags;
        }
    }
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
