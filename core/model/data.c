/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and adding nodes of a data tree, by the hash tables that libyang keeps below each parent. */
#include "private.h"
#include <stdio.h>

/* Most nodes have few children: they are looked through in less time than libyang takes to compute a hash. */
#define SCAN_MAX 16

struct lyd_node *data_child(const struct lyd_node *parent, const struct lysc_node *schema)
{
    struct lyd_node *child = lyd_child(parent), *match = NULL;

    for (size_t i = 0; child && (i < SCAN_MAX || schema->nodetype == LYS_LEAFLIST); i++, child = child->next)
        if (child->schema == schema)
            return child;
    if (!child || lyd_find_sibling_val(lyd_child(parent), schema, NULL, 0, &match) != LY_SUCCESS)
        return NULL;
    return match;
}

struct lyd_node *data_child_named(const struct lyd_node *parent, const char *name)
{
    struct lyd_node *child = lyd_child(parent);
    const struct lysc_node *schema;

    for (size_t i = 0; child && i < SCAN_MAX; i++, child = child->next)
        if (pcn_streq(child->schema->name, name))
            return child;
    schema = child ? schema_child(parent->schema, name) : NULL;
    return schema ? data_child(parent, schema) : NULL;
}

/* "[a='x'][b='y']" */
bool data_predicate(const struct lysc_node *list, const char *const *keys, char *text, size_t size)
{
    const struct lysc_node *key = NULL;
    size_t used = 0;

    for (size_t i = 0; i < info(list)->n_keys; i++) {
        char quote = strchr(keys[i], '\'') ? '"' : '\'';
        int n;

        if (quote == '"' && strchr(keys[i], '"'))
            return false;
        key = schema_next(list, key);
        n = snprintf(text + used, size - used, "[%s=%c%s%c]", key->name, quote, keys[i], quote);
        if (n < 0 || (size_t)n >= size - used)
            return false;
        used += (size_t)n;
    }
    return true;
}

struct lyd_node *data_entry(const struct lyd_node *parent, const struct lysc_node *list, const char *const *keys)
{
    struct lyd_node *match = NULL;
    char text[PREDICATE_TEXT_MAX];

    if (!lyd_child(parent) || !data_predicate(list, keys, text, sizeof(text)) ||
        lyd_find_sibling_val(lyd_child(parent), list, text, strlen(text), &match) != LY_SUCCESS)
        return NULL;
    return match;
}

struct lyd_node *data_value(const struct lyd_node *parent, const struct lysc_node *leaf_list, const char *value)
{
    struct lyd_node *match = NULL;

    if (!lyd_child(parent) ||
        lyd_find_sibling_val(lyd_child(parent), leaf_list, value, strlen(value), &match) != LY_SUCCESS)
        return NULL;
    return match;
}

struct lyd_node *data_entry_new(struct lyd_node *parent, const struct lysc_node *list, const char *const *keys)
{
    const char *k[KEYS_MAX] = {};
    struct lyd_node *entry = NULL;

    for (size_t i = 0; i < info(list)->n_keys; i++)
        k[i] = keys[i];
    if (lyd_new_list(parent, list->module, list->name, 0, &entry, k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7]) !=
        LY_SUCCESS)
        return NULL;
    return entry;
}

size_t data_keys(const struct lyd_node *node, const char *keys[ALL_KEYS_MAX])
{
    const struct lyd_node *lists[ALL_KEYS_MAX];
    size_t n_lists = 0, n = 0;

    for (; lyd_parent(node); node = lyd_parent(node)) {
        if (node->schema->nodetype == LYS_LIST && n_lists < ALL_KEYS_MAX)
            lists[n_lists++] = node;
    }
    while (n_lists-- > 0) {
        for (const struct lyd_node *key = lyd_child(lists[n_lists]); key && is_key(key->schema) && n < ALL_KEYS_MAX;
             key = key->next)
            keys[n++] = lyd_get_value(key);
    }
    return n;
}
