/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a cube that is not configuration: actions, and forgetting what it learned. */
#include "private.h"

static void tree_freep(struct lyd_node **node)
{
    lyd_free_all(*node);
}

/* The input, checked against the model, below a copy of the nodes that the action is in. */
static int action_input(const struct target *target, const json_t *input, struct lyd_node **ret_copy,
                        struct lyd_node **ret_action, struct pcn_error *error)
{
    _cleanup_(tree_freep) struct lyd_node *copy = NULL;
    struct lyd_node *action;
    int r;

    if (lyd_dup_single(target->parent, NULL, LYD_DUP_WITH_PARENTS, &copy) != LY_SUCCESS ||
        lyd_new_inner(copy, target->schema->module, target->schema->name, 0, &action) != LY_SUCCESS)
        return pcn_error_set(error, PCN_ERROR_FAILED, target->path, "out of memory");
    r = input ? build_members(action, input, target->path, error) : 0;
    if (r >= 0)
        r = build_finish(action, target->path, error);
    if (r < 0)
        return r;
    *ret_action = action;
    *ret_copy = TAKE_PTR(copy);
    return 0;
}

int pcn_tree_action(const struct pcn_tree *tree, struct pcn_cube *cube, const char *const *segments, size_t n_segments,
                    json_t *input, char **ret_text, struct pcn_error *error)
{
    _cleanup_(tree_freep) struct lyd_node *copy = NULL;
    const struct pcn_handler *handler;
    struct lyd_node *action = NULL;
    struct pcn_emitter output = {};
    struct target target;
    int r;

    r = target_find(tree->schema, tree, segments, n_segments, &target, error);
    if (r < 0)
        return r;
    handler = info(target.schema)->handler;
    if (target.kind != PCN_TARGET_ACTION || !handler || !handler->action)
        return pcn_error_set(error, PCN_ERROR_NOT_SUPPORTED, target.path, "%s is not an action", target.path);
    if (!target.parent)
        return target_missing(&target, PCN_ERROR_DATA_MISSING, error);
    r = action_input(&target, input, &copy, &action, error);
    if (r < 0)
        return r;
    emit_open(&output, '{');
    r = handler->action(cube, target.keys, target.n_keys, (const struct pcn_node *)action, &output, error);
    emit_close(&output);
    if (r < 0 || output.failed) {
        emitter_done(&output);
        return pcn_error_set(error, PCN_ERROR_FAILED, target.path, "%s failed: %s", target.schema->name,
                             strerror(r < 0 ? -r : ENOMEM));
    }
    if (output.length == 2)
        emitter_done(&output);
    *ret_text = output.text;
    return 0;
}

/* The keys of an entry, by their names. NULL: no memory. */
static json_t *entry_keys(const struct target *target)
{
    const char *const *keys = &target->keys[target->n_keys - target->n_own];
    const struct lysc_node *key = NULL;
    json_t *object = json_object();

    for (size_t i = 0; i < target->n_own && object; i++) {
        key = schema_next(target->schema, key);
        if (json_object_set_new(object, key->name, json_string(keys[i])) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

int pcn_tree_delete(const struct pcn_tree *tree, struct pcn_cube *cube, const char *const *segments, size_t n_segments,
                    struct pcn_error *error)
{
    const char *path[n_segments];
    _cleanup_free_ char *text = NULL;
    struct target target;
    json_t *keys;
    size_t n;
    int r;

    r = target_find(tree->schema, tree, segments, n_segments, &target, error);
    if (r < 0)
        return r;
    if (target.kind != PCN_TARGET_ENTRY || !info(target.schema)->delete_action)
        return 0;
    if (!target.node)
        return target_missing(&target, PCN_ERROR_DATA_MISSING, error);
    /* The action stands beside the list. */
    n = n_segments - target.n_own;
    memcpy(path, segments, (n - 1) * sizeof(*path));
    path[n - 1] = info(target.schema)->delete_action;
    keys = entry_keys(&target);
    if (!keys)
        return pcn_error_set(error, PCN_ERROR_FAILED, target.path, "out of memory");
    r = pcn_tree_action(tree, cube, path, n, keys, &text, error);
    json_decref(keys);
    return r < 0 ? r : 1;
}

int pcn_tree_forget(const struct pcn_tree *tree, struct pcn_cube *cube, const char *const *segments, size_t n_segments,
                    struct pcn_error *error)
{
    const struct pcn_handler *handler;
    struct target target;
    int r;

    r = target_find(tree->schema, tree, segments, n_segments, &target, error);
    if (r < 0)
        return r;
    handler = info(target.schema)->handler;
    if ((target.kind != PCN_TARGET_ENTRY && target.kind != PCN_TARGET_LIST) || !handler || !handler->forget)
        return -ENOENT;
    /* All entries: a NULL in the place of each of their keys. */
    for (size_t i = 0; target.kind == PCN_TARGET_LIST && i < info(target.schema)->n_keys; i++)
        target.keys[target.n_keys++] = NULL;
    return handler->forget(cube, target.keys, target.n_keys);
}
