/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of OPTIONS (polycube's help and completion): what can be done here,
 * with which parameters, to what there is.
 */
#include "private.h"
#include <model/help.h>
#include <stdio.h>

#define ELEMENTS_MAX 1000 /* names shown of a list */

struct help {
    const struct target *target;
    const struct pcn_state_hooks *hooks;
    enum pcn_help verb;
};

/* ---- what there is ---- */

static json_t *keys_object(const struct lysc_node *list, const json_t *entry)
{
    const struct lysc_node *key = NULL;
    json_t *keys = json_object();

    while ((key = schema_next(list, key)) && is_key(key))
        json_object_set(keys, key->name, json_object_get(entry, key->name));
    return keys;
}

static json_t *tree_entries(const struct lyd_node *parent, const struct lysc_node *list)
{
    json_t *entries = json_array();
    const struct lyd_node *entry = parent ? data_child(parent, list) : NULL;

    for (; entry && entry->schema == list && json_array_size(entries) < ELEMENTS_MAX; entry = entry->next) {
        json_t *keys = json_object();

        for (const struct lyd_node *key = lyd_child(entry); key && is_key(key->schema); key = key->next)
            json_object_set_new(keys, key->schema->name, json_string(lyd_get_value(key)));
        json_array_append_new(entries, keys);
    }
    return entries;
}

/* Those that a handler shows: a page of them. */
static json_t *handled_entries(const struct help *help, const struct lysc_node *list)
{
    struct pcn_emitter emitter = {.parsed = true, .paged = true, .page_depth = 1, .limit = ELEMENTS_MAX};
    json_t *all = NULL, *entries = json_array(), *entry;
    size_t i;

    emit_open(&emitter, '[');
    (void)info(list)->handler->entries(help->hooks->cube_instance, help->target->keys,
                                       help->target->n_keys - help->target->n_own, &emitter);
    emit_close(&emitter);
    if (!emitter.failed)
        all = json_loadb(emitter.text, emitter.length, 0, NULL);
    emitter_done(&emitter);
    json_array_foreach (all, i, entry)
        json_array_append_new(entries, keys_object(list, entry));
    json_decref(all);
    return entries;
}

static json_t *entries_of(const struct help *help)
{
    const struct lysc_node *list = help->target->schema;

    if (help->hooks && help->hooks->cube_instance && info(list)->handler && info(list)->handler->entries)
        return handled_entries(help, list);
    return tree_entries(help->target->parent, list);
}

/* Entries whose first keys are those already given. */
static bool entry_matches(const struct help *help, const json_t *entry)
{
    const struct target *target = help->target;
    const struct lysc_node *key = NULL;

    for (size_t i = 0; i < target->n_own; i++) {
        const json_t *value;

        key = schema_next(target->schema, key);
        value = json_object_get(entry, key->name);
        if (json_is_string(value) &&
            !pcn_streq(json_string_value(value), target->keys[target->n_keys - target->n_own + i]))
            return false;
    }
    return true;
}

/* ---- parameters ---- */

static const char *param_type(const struct lysc_node *node)
{
    switch (node->nodetype) {
    case LYS_LIST:
        return "list";
    case LYS_CONTAINER:
        return "complex";
    case LYS_ACTION:
        return "action";
    case LYS_LEAFLIST:
        return "leaflist";
    default:
        return is_key(node) ? "key" : "leaf";
    }
}

static void param_add(json_t *params, const struct lysc_node *node)
{
    json_t *param = json_pack("{s:s, s:s}", "name", node->name, "type", param_type(node));
    const struct lysc_type_enum *type;
    json_t *values;

    json_object_set_new(param, "description", json_string(node->dsc ? node->dsc : ""));
    if (node->nodetype & LYD_NODE_TERM) {
        json_object_set_new(param, "simpletype", json_string(schema_type_name(node)));
        if (info(node)->example)
            json_object_set_new(param, "example", json_string(info(node)->example));
        if (schema_default(node))
            json_object_set_new(param, "default", json_string(schema_default(node)));
        type = (const struct lysc_type_enum *)schema_type(node);
        if (type->basetype == LY_TYPE_ENUM) {
            values = json_array();
            for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->enums); i++)
                json_array_append_new(values, json_string(type->enums[i].name));
            json_object_set_new(param, "values", values);
        }
    }
    json_object_set_new(params, node->name, param);
}

static bool is_settable(const struct lysc_node *node)
{
    return node->nodetype & LYD_NODE_TERM && is_config(node) && !is_key(node);
}

static bool is_wanted(const struct help *help, const struct lysc_node *node)
{
    switch (help->verb) {
    case PCN_HELP_ADD:
        return is_settable(node) || (help->target->node && node->nodetype == LYS_LIST && is_config(node));
    case PCN_HELP_SET:
        return (is_settable(node) && !info(node)->init_only) ||
               (node->nodetype & (LYS_CONTAINER | LYS_LIST) && is_config(node));
    case PCN_HELP_DEL:
        return (node->nodetype & (LYS_CONTAINER | LYS_LIST) && is_config(node)) || is_forgettable(node);
    case PCN_HELP_SHOW:
        return node->nodetype != LYS_ACTION;
    default:
        return !is_key(node);
    }
}

static void unit_params(const struct help *help, json_t *params, json_t *optional)
{
    const struct lysc_node *node = NULL;
    bool adding = help->verb == PCN_HELP_ADD || help->target->kind == PCN_TARGET_ACTION;

    while ((node = schema_next(help->target->schema, node))) {
        if (!is_wanted(help, node) ||
            (adding && help->target->kind == PCN_TARGET_CUBE && !help->target->node && node->nodetype == LYS_LIST))
            continue;
        param_add(adding && !(node->flags & LYS_MAND_TRUE) ? optional : params, node);
    }
}

/* Keys that are still to be given. */
static void key_params(const struct help *help, json_t *params)
{
    const struct lysc_node *key = NULL;
    size_t i = 0;

    while ((key = schema_next(help->target->schema, key)) && is_key(key)) {
        if (i++ >= help->target->n_own)
            param_add(params, key);
    }
}

static bool is_list_target(const struct target *target)
{
    return target->kind == PCN_TARGET_LIST || target->kind == PCN_TARGET_PARTIAL;
}

static json_t *commands(const struct help *help)
{
    const struct target *target = help->target;

    if (help->verb != PCN_HELP_NONE && help->verb != PCN_HELP_NO_HELP)
        return json_array();
    if (target->kind == PCN_TARGET_ACTION)
        return json_array();
    if (!is_config(target->schema) || is_key(target->schema))
        return json_pack("[s]", "show");
    if (is_list_target(target))
        return json_pack("[sss]", "add", "del", "show");
    if (target->kind == PCN_TARGET_LEAF)
        return info(target->schema)->init_only ? json_pack("[s]", "show") : json_pack("[ss]", "set", "show");
    return json_pack("[ssss]", "add", "del", "set", "show");
}

static json_t *help_object(const struct help *help)
{
    json_t *params = json_object(), *optional = json_object(), *elements = json_array(), *entries, *entry, *object;
    const struct target *target = help->target;
    size_t i;

    if (target->kind == PCN_TARGET_LEAF || target->kind == PCN_TARGET_LEAF_LIST) {
        param_add(params, target->schema);
    } else if (is_list_target(target)) {
        key_params(help, params);
        if (help->verb == PCN_HELP_ADD)
            unit_params(help, params, optional);
        entries = entries_of(help);
        json_array_foreach (entries, i, entry) {
            if (entry_matches(help, entry))
                json_array_append(elements, entry);
        }
        json_decref(entries);
    } else {
        if (help->verb == PCN_HELP_ADD && target->kind == PCN_TARGET_CUBE && !target->node)
            key_params(help, params);
        unit_params(help, params, optional);
    }
    object = json_pack("{s:o, s:o, s:o}", "commands", commands(help), "params", params, "elements", elements);
    if (json_object_size(optional))
        json_object_set(object, "optional-params", optional);
    json_decref(optional);
    return object;
}

/* ---- completion ---- */

static void words_value(json_t *words, const struct lysc_node *leaf)
{
    const struct lysc_type_enum *type = (const struct lysc_type_enum *)schema_type(leaf);

    if (type->basetype == LY_TYPE_BOOL) {
        json_array_append_new(words, json_string("true"));
        json_array_append_new(words, json_string("false"));
    }
    for (LY_ARRAY_COUNT_TYPE i = 0; type->basetype == LY_TYPE_ENUM && i < LY_ARRAY_COUNT(type->enums); i++)
        json_array_append_new(words, json_string(type->enums[i].name));
}

static void words_list(const struct help *help, json_t *words)
{
    const struct target *target = help->target;
    const struct lysc_node *key = NULL;
    json_t *entries, *entry;
    size_t i;

    for (size_t skip = 0; skip <= target->n_own; skip++)
        key = schema_next(target->schema, key);
    if (!key || !is_key(key))
        return;
    if (help->verb == PCN_HELP_ADD) {
        json_array_append_new(words, json_sprintf("<%s>", key->name));
        return;
    }
    entries = entries_of(help);
    json_array_foreach (entries, i, entry) {
        const json_t *value = json_object_get(entry, key->name);

        if (!entry_matches(help, entry))
            continue;
        if (json_is_string(value))
            json_array_append(words, (json_t *)value);
        else if (json_is_integer(value))
            json_array_append_new(words, json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value)));
    }
    json_decref(entries);
}

static void words_unit(const struct help *help, json_t *words)
{
    const struct lysc_node *node = NULL;
    bool values = help->verb == PCN_HELP_ADD || help->verb == PCN_HELP_SET || help->target->kind == PCN_TARGET_ACTION;

    while ((node = schema_next(help->target->schema, node))) {
        if (!is_wanted(help, node))
            continue;
        if (help->verb == PCN_HELP_NONE && help->target->kind != PCN_TARGET_ACTION && is_settable(node))
            continue;
        json_array_append_new(words,
                              json_sprintf("%s%s", node->name, values && node->nodetype & LYD_NODE_TERM ? "=" : ""));
    }
}

static json_t *completion_words(const struct help *help)
{
    json_t *words = commands(help);

    if (help->target->kind == PCN_TARGET_LEAF) {
        if (help->verb == PCN_HELP_SET)
            words_value(words, help->target->schema);
    } else if (is_list_target(help->target)) {
        words_list(help, words);
    } else {
        words_unit(help, words);
    }
    return words;
}

int pcn_schema_help(const struct pcn_schema *schema, const struct pcn_tree *tree, const struct pcn_state_hooks *hooks,
                    const char *const *segments, size_t n_segments, enum pcn_help help, bool completion,
                    char **ret_text, struct pcn_error *error)
{
    struct target target;
    struct help ask = {.target = &target, .hooks = hooks, .verb = help};
    json_t *answer;
    int r;

    r = target_find(schema, tree, segments, n_segments, &target, error);
    if (r < 0)
        return r;
    answer = completion ? completion_words(&ask) : help_object(&ask);
    *ret_text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    return *ret_text ? 0 : -ENOMEM;
}
