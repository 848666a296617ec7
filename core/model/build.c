/* SPDX-License-Identifier: Apache-2.0 */
/* New nodes from JSON: members one after the other, then defaults, then what is missing. */
#include "private.h"
#include <stdio.h>

static int no_memory(const char *path, struct pcn_error *error)
{
    return pcn_error_set(error, PCN_ERROR_FAILED, path, "out of memory");
}

/* ---- what may be given ---- */

int build_expect(const json_t *body, const struct lysc_node *schema, const char *path, struct pcn_error *error)
{
    bool list = schema->nodetype & (LYS_LIST | LYS_LEAFLIST);

    if (list ? json_is_array(body) : json_is_object(body))
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s is %s", schema->name,
                         list ? "a list: give an array, [...], or name the element by its keys"
                              : "an object: give {...}");
}

int build_member(const struct lysc_node *parent, const char *name, const char *path, const struct lysc_node **ret_node,
                 struct pcn_error *error)
{
    const struct lysc_node *node;

    *ret_node = NULL;
    if (pcn_streq(name, "_links"))
        return 0;
    node = schema_child(parent, name);
    if (!node || node->nodetype == LYS_ACTION)
        return pcn_error_set(error, PCN_ERROR_UNKNOWN_ELEMENT, path, "%s has no member %s", parent->name, name);
    if (info(node)->base_state)
        return 0;
    if (!is_config(node))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s is shown by the cube and cannot be set", name);
    *ret_node = node;
    return 0;
}

void build_strip(const struct lysc_node *schema, json_t *body)
{
    const char *name;
    json_t *value;
    void *next;
    size_t i;

    json_array_foreach (body, i, value)
        build_strip(schema, value);
    json_object_foreach_safe(body, next, name, value)
    {
        const struct lysc_node *node = schema_child(schema, name);

        if (!node || node->nodetype == LYS_ACTION)
            continue;
        if (!is_config(node))
            (void)json_object_del(body, name);
        else if (node->nodetype & (LYS_CONTAINER | LYS_LIST))
            build_strip(node, value);
    }
}

void pcn_schema_strip(const struct pcn_schema *schema, json_t *body)
{
    build_strip(schema->cube, body);
}

/* ---- lists ---- */

int build_keys(const struct lysc_node *list, const json_t *body, const char *path, char buffers[KEYS_MAX][VALUE_TEXT],
               const char *keys[KEYS_MAX], struct pcn_error *error)
{
    const struct lysc_node *key = NULL;

    if (!json_is_object(body))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "an entry of %s is an object: give {...}",
                             list->name);
    for (size_t i = 0; i < info(list)->n_keys; i++) {
        const json_t *value;
        int r;

        key = schema_next(list, key);
        value = json_object_get(body, key->name);
        if (!value)
            return pcn_error_set(error, PCN_ERROR_MISSING_ATTRIBUTE, path, "an entry of %s needs %s", list->name,
                                 key->name);
        r = input_text(key, value, path, buffers[i], &keys[i], error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A key that cannot be, said by its name. */
static int refused_key(const struct lysc_node *list, const char *const *keys, const char *path, struct pcn_error *error)
{
    const struct lysc_node *key = NULL;
    char key_path[PATH_TEXT_MAX];

    for (size_t i = 0; i < info(list)->n_keys; i++) {
        key = schema_next(list, key);
        if (lyd_value_validate(list->module->ctx, key, keys[i], strlen(keys[i]), NULL, NULL, NULL) == LY_SUCCESS)
            continue;
        path_join(key_path, path, key->name);
        return input_refused(key, keys[i], key_path, error);
    }
    return no_memory(path, error);
}

static int check_key(const struct lyd_node *entry, const struct lysc_node *key, const json_t *value, const char *path,
                     struct pcn_error *error)
{
    char buffer[VALUE_TEXT];
    const char *text;
    int r;

    r = input_text(key, value, path, buffer, &text, error);
    if (r < 0)
        return r;
    if (lyd_value_compare((const struct lyd_node_term *)data_child(entry, key), text, strlen(text)) == LY_SUCCESS)
        return 0;
    return pcn_error_set(error, PCN_ERROR_BAD_ATTRIBUTE, path, "%s is a key: \"%.64s\" contradicts the path", key->name,
                         text);
}

int build_entry(struct lyd_node *parent, const struct lysc_node *list, const char *const *keys, const json_t *body,
                const char *path, struct lyd_node **ret_entry, struct pcn_error *error)
{
    char text[PREDICATE_TEXT_MAX];
    struct lyd_node *entry;
    int r;

    if (!data_predicate(list, keys, text, sizeof(text)))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "a key of %s holds both ' and \", or is too long: give one kind of quotes at most",
                             list->name);
    if (info(list)->n_keys && data_entry(parent, list, keys))
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, path, "%s %s exists already", list->name, keys[0]);
    entry = data_entry_new(parent, list, keys);
    if (!entry)
        return refused_key(list, keys, path, error);
    r = body ? build_members(entry, body, path, error) : 0;
    if (r < 0) {
        lyd_free_tree(entry);
        return r;
    }
    *ret_entry = entry;
    return 0;
}

static int build_list(struct lyd_node *parent, const struct lysc_node *list, const json_t *body, const char *path,
                      struct pcn_error *error)
{
    char buffers[KEYS_MAX][VALUE_TEXT], entry_path[PATH_TEXT_MAX];
    const char *keys[KEYS_MAX];
    struct lyd_node *entry;
    int r;

    for (size_t i = 0; i < json_array_size(body); i++) {
        r = build_keys(list, json_array_get(body, i), path, buffers, keys, error);
        if (r < 0)
            return r;
        path_join(entry_path, path, info(list)->n_keys ? keys[0] : "");
        r = build_entry(parent, list, keys, json_array_get(body, i), entry_path, &entry, error);
        if (r < 0)
            return r;
    }
    return 0;
}

static int build_leaf(struct lyd_node *parent, const struct lysc_node *leaf, const json_t *value, const char *path,
                      struct pcn_error *error)
{
    char buffer[VALUE_TEXT];
    const char *text;
    int r;

    if (is_key(leaf))
        return check_key(parent, leaf, value, path, error);
    r = input_text(leaf, value, path, buffer, &text, error);
    if (r < 0)
        return r;
    if (lyd_new_term(parent, leaf->module, leaf->name, text, 0, NULL) != LY_SUCCESS)
        return input_refused(leaf, text, path, error);
    return 0;
}

static int build_leaf_list(struct lyd_node *parent, const struct lysc_node *leaf, const json_t *body, const char *path,
                           struct pcn_error *error)
{
    for (size_t i = 0; i < json_array_size(body); i++) {
        char buffer[VALUE_TEXT];
        const char *text;
        int r;

        r = input_text(leaf, json_array_get(body, i), path, buffer, &text, error);
        if (r < 0)
            return r;
        if (data_value(parent, leaf, text))
            return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, path, "%s holds %.64s twice", leaf->name, text);
        if (lyd_new_term(parent, leaf->module, leaf->name, text, 0, NULL) != LY_SUCCESS)
            return input_refused(leaf, text, path, error);
    }
    return 0;
}

static int build_one(struct lyd_node *parent, const struct lysc_node *schema, const json_t *value, const char *path,
                     struct pcn_error *error)
{
    struct lyd_node *child;
    int r;

    if (schema->nodetype == LYS_LEAF)
        return build_leaf(parent, schema, value, path, error);
    r = build_expect(value, schema, path, error);
    if (r < 0)
        return r;
    if (schema->nodetype == LYS_LIST)
        return build_list(parent, schema, value, path, error);
    if (schema->nodetype == LYS_LEAFLIST)
        return build_leaf_list(parent, schema, value, path, error);
    if (schema->nodetype != LYS_CONTAINER)
        return pcn_error_set(error, PCN_ERROR_BAD_ELEMENT, path, "%s cannot be given", schema->name);
    if (lyd_new_inner(parent, schema->module, schema->name, 0, &child) != LY_SUCCESS)
        return no_memory(path, error);
    return build_members(child, value, path, error);
}

int build_members(struct lyd_node *node, const json_t *body, const char *path, struct pcn_error *error)
{
    char member[PATH_TEXT_MAX];
    const char *name;
    json_t *value;
    int r;

    if (!json_is_object(body))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s is an object: give {...}", node->schema->name);
    json_object_foreach ((json_t *)body, name, value) {
        const struct lysc_node *schema;

        path_join(member, path, name);
        r = build_member(node->schema, name, member, &schema, error);
        if (r >= 0 && schema)
            r = build_one(node, schema, value, member, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- what is missing ---- */

int build_check(const struct lyd_node *unit, const char *path, struct pcn_error *error)
{
    const struct lysc_node *child = NULL;
    char member[PATH_TEXT_MAX];

    while ((child = schema_next(unit->schema, child))) {
        if (child->nodetype != LYS_LEAF || !is_config(child) || !(child->flags & LYS_MAND_TRUE) || is_key(child) ||
            data_child(unit, child))
            continue;
        path_join(member, path, child->name);
        return pcn_error_set(error, PCN_ERROR_MISSING_ATTRIBUTE, member, "%s needs %s", unit->schema->name,
                             child->name);
    }
    return 0;
}

static int check_subtree(const struct lyd_node *unit, const char *path, struct pcn_error *error)
{
    char child_path[PATH_TEXT_MAX];
    int r;

    r = build_check(unit, path, error);
    for (const struct lyd_node *child = lyd_child(unit); child && r >= 0; child = child->next) {
        if (!(child->schema->nodetype & (LYS_CONTAINER | LYS_LIST)))
            continue;
        path_join(child_path, path, child->schema->name);
        r = check_subtree(child, child_path, error);
    }
    return r;
}

int build_finish(struct lyd_node *node, const char *path, struct pcn_error *error)
{
    if (lyd_new_implicit_tree(node, LYD_IMPLICIT_NO_STATE, NULL) != LY_SUCCESS)
        return pcn_error_set(error, PCN_ERROR_FAILED, path, "the defaults could not be filled in: %s",
                             ly_errmsg(node->schema->module->ctx));
    return check_subtree(node, path, error);
}
