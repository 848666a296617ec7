/* SPDX-License-Identifier: Apache-2.0 */
/* What a body makes of the units, lists and leaves that are there. */
#include "edit_private.h"

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

    r = edit_touch(edit, lyd_parent(node));
    if (r < 0)
        return r;
    undo.value = strdup(lyd_get_value(node));
    if (!undo.value)
        return -ENOMEM;
    r = edit_undo_add(edit, undo);
    if (r < 0) {
        free(undo.value);
        return r;
    }
    if (lyd_change_term(node, text) != LY_SUCCESS)
        return input_refused(node->schema, text, path, error);
    return 0;
}

int edit_leaf_new(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const char *text,
                  const char *path, struct pcn_error *error)
{
    struct lyd_node *node;
    int r;

    r = edit_touch(edit, unit);
    if (r < 0)
        return r;
    if (lyd_new_term(unit, leaf->module, leaf->name, text, 0, &node) != LY_SUCCESS)
        return input_refused(leaf, text, path, error);
    return edit_undo_add(edit, (struct undo){.kind = UNDO_INSERTED, .node = node});
}

/* Mostly it is written as it was. */
static bool value_is(const struct lyd_node *node, const char *text)
{
    return pcn_streq(lyd_get_value(node), text) ||
           lyd_value_compare((const struct lyd_node_term *)node, text, strlen(text)) == LY_SUCCESS;
}

static int leaf_set_text(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const char *text,
                         const char *path, struct pcn_error *error)
{
    struct lyd_node *node = data_child(unit, leaf);

    if (node && value_is(node, text))
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
    return node ? leaf_change(edit, node, text, path, error) : edit_leaf_new(edit, unit, leaf, text, path, error);
}

int edit_leaf_set(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *leaf, const json_t *value,
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
    r = edit_touch(edit, unit);
    return r < 0 ? r : edit_node_remove(edit, node);
}

int edit_leaf_list_clear(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema)
{
    struct lyd_node *node = data_child(unit, schema), *next;
    int r = 0;

    for (; node && node->schema == schema && r >= 0; node = next) {
        next = node->next;
        r = edit_touch(edit, unit);
        if (r >= 0)
            r = edit_node_remove(edit, node);
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
            input_text(schema, json_array_get(body, i), "", buffer, &text, &ignored) < 0 || !value_is(node, text))
            return false;
        node = node->next;
    }
    return !node || node->schema != schema;
}

int edit_leaf_list_set(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                       enum pcn_edit_verb verb, const json_t *body, const char *path, struct pcn_error *error)
{
    int r;

    r = build_expect(body, schema, path, error);
    if (r >= 0 && verb == PCN_EDIT_REPLACE) {
        if (leaf_list_is(unit, schema, body))
            return 0;
        r = edit_leaf_list_clear(edit, unit, schema);
    }
    for (size_t i = 0; i < json_array_size(body) && r >= 0; i++) {
        char buffer[VALUE_TEXT];
        const char *text;

        r = input_text(schema, json_array_get(body, i), path, buffer, &text, error);
        if (r >= 0 && !data_value(unit, schema, text))
            r = edit_leaf_new(edit, unit, schema, text, path, error);
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
        r = edit_undo_add(edit, (struct undo){.kind = UNDO_INSERTED, .node = node});
    if (r < 0) {
        lyd_free_tree(node);
        return r;
    }
    return edit_add_creates(edit, node);
}

int edit_entry_add(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list,
                   const char *const *keys, const json_t *body, const char *path, struct lyd_node **ret_entry,
                   struct pcn_error *error)
{
    int r;

    r = build_entry(parent, list, keys, body, path, ret_entry, error);
    return r < 0 ? r : node_created(edit, *ret_entry, path, error);
}

int edit_unit_remove(struct pcn_edit *edit, struct lyd_node *unit)
{
    int r = edit_add_deletes(edit, unit);

    return r < 0 ? r : edit_node_remove(edit, unit);
}

int edit_list_clear(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list, const void *spared)
{
    struct lyd_node *entry = data_child(parent, list), *next;
    int r = 0;

    for (; entry && entry->schema == list; entry = next) {
        next = entry->next;
        if (spared && entry->priv == spared)
            entry->priv = NULL;
        else if (r >= 0)
            r = edit_unit_remove(edit, entry);
    }
    return r;
}

static void list_unmark(struct lyd_node *parent, const struct lysc_node *list)
{
    for (struct lyd_node *entry = data_child(parent, list); entry && entry->schema == list; entry = entry->next)
        entry->priv = NULL;
}

/* ---- members of a unit that exists ---- */

/* Whether it is the entry with these keys, which may be written in another way: then it is not. */
static bool entry_is(const struct lyd_node *entry, const struct lysc_node *list, const char *const *keys)
{
    const struct lyd_node *key = entry && entry->schema == list ? lyd_child(entry) : NULL;

    for (size_t i = 0; i < info(list)->n_keys; i++, key = key->next)
        if (!key || !pcn_streq(lyd_get_value(key), keys[i]))
            return false;
    return info(list)->n_keys > 0;
}

/* Whether body is what the cube shows of an entry, in the tree or learned, but for what cannot be set. */
static bool entry_is_as_shown(const struct pcn_edit *edit, const struct lyd_node *parent, const struct lysc_node *list,
                              const char *const *keys, const json_t *body)
{
    const char *all[ALL_KEYS_MAX];
    size_t n = data_keys(parent, all);
    json_t *shown;
    bool as_shown;

    if (!edit->cube || !info(list)->handler || !info(list)->handler->entries)
        return false;
    for (size_t i = 0; i < info(list)->n_keys && n < ALL_KEYS_MAX; i++)
        all[n++] = keys[i];
    shown = show_handled(edit->cube, list, all, n);
    build_strip(list, shown);
    as_shown = json_equal(shown, body);
    json_decref(shown);
    return as_shown;
}

int edit_merge_list(struct pcn_edit *edit, struct lyd_node *parent, const struct lysc_node *list,
                    enum pcn_edit_verb verb, bool must_exist, const json_t *body, const char *path,
                    struct pcn_error *error)
{
    char buffers[KEYS_MAX][VALUE_TEXT], entry_path[PATH_TEXT_MAX];
    struct lyd_node *next = data_child(parent, list), *entry;
    const char *keys[KEYS_MAX];
    bool as_shown;
    int r;

    r = build_expect(body, list, path, error);
    for (size_t i = 0; i < json_array_size(body) && r >= 0; i++) {
        const json_t *value = json_array_get(body, i);

        r = build_keys(list, value, path, buffers, keys, error);
        if (r < 0)
            break;
        path_join(entry_path, path, keys[0]);
        /* Most requests have the order that is there. */
        entry = NULL;
        if (verb != PCN_EDIT_CREATE)
            entry = entry_is(next, list, keys) ? next : data_entry(parent, list, keys);
        as_shown = verb == PCN_EDIT_REPLACE && entry_is_as_shown(edit, parent, list, keys, value);
        if (!entry && as_shown)
            continue;
        if (entry && entry->priv == edit)
            r = pcn_error_set(error, PCN_ERROR_DATA_EXISTS, entry_path, "%s %s is given twice", list->name, keys[0]);
        else if (entry)
            r = as_shown ? 0 : edit_merge_members(edit, entry, verb, value, entry_path, error);
        else if (must_exist)
            r = pcn_error_set(error, PCN_ERROR_DATA_MISSING, entry_path, "%s %s does not exist", list->name, keys[0]);
        else
            r = edit_entry_add(edit, parent, list, keys, value, entry_path, &entry, error);
        if (r < 0)
            break;
        if (verb == PCN_EDIT_REPLACE)
            entry->priv = edit;
        next = entry->next;
    }
    if (verb != PCN_EDIT_REPLACE)
        return r;
    if (r >= 0)
        return edit_list_clear(edit, parent, list, edit);
    list_unmark(parent, list);
    return r;
}

int edit_merge_unit(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                    enum pcn_edit_verb verb, const json_t *value, const char *path, struct pcn_error *error)
{
    struct lyd_node *child;
    int r;

    if (schema->nodetype == LYS_LIST)
        return value ? edit_merge_list(edit, unit, schema, verb, false, value, path, error)
                     : edit_list_clear(edit, unit, schema, NULL);
    child = data_child(unit, schema);
    if (!value)
        return child ? edit_unit_clear(edit, child, path, error) : 0;
    if (child)
        return edit_merge_members(edit, child, verb, value, path, error);
    if (lyd_new_inner(unit, schema->module, schema->name, 0, &child) != LY_SUCCESS)
        return -ENOMEM;
    r = build_members(child, value, path, error);
    if (r < 0) {
        lyd_free_tree(child);
        return r;
    }
    return node_created(edit, child, path, error);
}

/* Whether value, which may be NULL, is what the cube shows of a leaf that is not in the tree. */
static bool leaf_is_as_shown(const struct pcn_edit *edit, const struct lyd_node *unit, const struct lysc_node *leaf,
                             const json_t *value)
{
    const struct pcn_handler *handler = info(unit->schema)->handler;
    const char *keys[ALL_KEYS_MAX];
    json_t *state;
    bool as_shown;

    if (!edit->cube || !value || !handler || !handler->state || data_child(unit, leaf))
        return false;
    state = show_handled_state(edit->cube, unit->schema, keys, data_keys(unit, keys));
    as_shown = json_equal(json_object_get(state, leaf->name), value);
    json_decref(state);
    return as_shown;
}

static int merge_term(struct pcn_edit *edit, struct lyd_node *unit, const struct lysc_node *schema,
                      enum pcn_edit_verb verb, const json_t *value, const char *path, struct pcn_error *error)
{
    if (schema->nodetype == LYS_LEAF && verb == PCN_EDIT_REPLACE && leaf_is_as_shown(edit, unit, schema, value))
        return 0;
    if (schema->nodetype == LYS_LEAF)
        return value ? edit_leaf_set(edit, unit, schema, value, path, error) : leaf_unset(edit, unit, schema, error);
    return value ? edit_leaf_list_set(edit, unit, schema, verb, value, path, error)
                 : edit_leaf_list_clear(edit, unit, schema);
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

/* Leaves first, as edit_touch() wants it, then what is below. */
int edit_merge_members(struct pcn_edit *edit, struct lyd_node *unit, enum pcn_edit_verb verb, const json_t *body,
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
            r = units ? edit_merge_unit(edit, unit, schema, verb, value, member, error)
                      : merge_term(edit, unit, schema, verb, value, member, error);
        }
        if (r >= 0 && !units && verb == PCN_EDIT_REPLACE)
            r = build_check(unit, path, error);
    }
    return r;
}

int edit_unit_clear(struct pcn_edit *edit, struct lyd_node *unit, const char *path, struct pcn_error *error)
{
    json_t *nothing;
    int r;

    if (unit->schema->flags & LYS_PRESENCE)
        return edit_unit_remove(edit, unit);
    nothing = json_object();
    r = nothing ? edit_merge_members(edit, unit, PCN_EDIT_REPLACE, nothing, path, error) : -ENOMEM;
    json_decref(nothing);
    return r;
}
