/* SPDX-License-Identifier: Apache-2.0 */
/* Where a path leads. */
#include "private.h"
#include <stdio.h>

void path_join(char path[PATH_TEXT_MAX], const char *parent, const char *name)
{
    size_t used = strnlen(parent, PATH_TEXT_MAX - 2), size;

    memcpy(path, parent, used);
    if (used)
        path[used++] = '/';
    size = strnlen(name, PATH_TEXT_MAX - 1 - used);
    memcpy(path + used, name, size);
    path[used + size] = 0;
}

static void target_extend(struct target *target, const char *segment)
{
    size_t used = strlen(target->path);

    (void)snprintf(target->path + used, PATH_TEXT_MAX - used, "%s%s", used ? "/" : "", segment);
}

static int no_such_path(const struct target *target, const char *segment, struct pcn_error *error)
{
    char path[PATH_TEXT_MAX];

    path_join(path, target->path, segment);
    return pcn_error_set(error, PCN_ERROR_NOT_FOUND, path, "the model has no %s below %s", segment,
                         *target->path ? target->path : "the cube");
}

/* A key or value as it would stand in the tree: "7" for "007". What is not valid stays as it is. */
static const char *target_canonical(struct target *target, const struct lysc_node *leaf, const char *segment)
{
    const char *text = input_spelling(leaf, segment), *canonical = NULL;
    struct ly_ctx *ctx = leaf->module->ctx;
    size_t size;

    if (lyd_value_validate(ctx, leaf, text, strlen(text), NULL, NULL, &canonical) != LY_SUCCESS)
        return text;
    size = strlen(canonical) + 1;
    if (!pcn_streq(canonical, text) && size <= sizeof(target->key_text) - target->key_text_used) {
        text = memcpy(target->key_text + target->key_text_used, canonical, size);
        target->key_text_used += size;
    }
    lydict_remove(ctx, canonical);
    return text;
}

/* Takes the keys of a list that follow. Returns the number of segments taken. */
static size_t target_keys(struct target *target, const struct lysc_node *list, const char *const *segments, size_t n)
{
    const struct lysc_node *key = NULL;
    size_t taken = 0;

    while (taken < n && taken < info(list)->n_keys && target->n_keys < ALL_KEYS_MAX) {
        key = schema_next(list, key);
        target->keys[target->n_keys++] = target_canonical(target, key, segments[taken]);
        target_extend(target, segments[taken++]);
    }
    target->n_own = taken;
    return taken;
}

static size_t target_list(struct target *target, const struct lysc_node *list, const char *const *segments, size_t n)
{
    size_t taken = target_keys(target, list, segments, n);

    if (taken == info(list)->n_keys && taken > 0) {
        target->kind = PCN_TARGET_ENTRY;
        target->node = target->parent ? data_entry(target->parent, list, &target->keys[target->n_keys - taken]) : NULL;
    } else {
        target->kind = taken ? PCN_TARGET_PARTIAL : PCN_TARGET_LIST;
        target->node = target->parent;
    }
    return taken;
}

static size_t target_leaf_list(struct target *target, const struct lysc_node *leaf_list, const char *const *segments,
                               size_t n)
{
    target->kind = n ? PCN_TARGET_LEAF_LIST_ENTRY : PCN_TARGET_LEAF_LIST;
    target->node = target->parent;
    if (!n)
        return 0;
    target->keys[target->n_keys++] = target_canonical(target, leaf_list, segments[0]);
    target->n_own = 1;
    target_extend(target, segments[0]);
    target->node = target->parent ? data_value(target->parent, leaf_list, target->keys[target->n_keys - 1]) : NULL;
    return 1;
}

/* Into the child called segments[0]. Returns the number of segments taken. */
static size_t target_step(struct target *target, const struct lysc_node *child, const char *const *segments, size_t n)
{
    if (!target->node && !target->lost && is_config(target->schema)) {
        target->lost = target->schema;
        target->lost_length = strlen(target->path);
    }
    target_extend(target, segments[0]);
    target->parent = target->node;
    target->schema = child;
    target->n_own = 0;
    switch (child->nodetype) {
    case LYS_LIST:
        return 1 + target_list(target, child, segments + 1, n - 1);
    case LYS_LEAFLIST:
        return 1 + target_leaf_list(target, child, segments + 1, n - 1);
    case LYS_ACTION:
        target->kind = PCN_TARGET_ACTION;
        target->node = target->parent;
        return 1;
    default:
        target->kind = child->nodetype == LYS_LEAF ? PCN_TARGET_LEAF : PCN_TARGET_CONTAINER;
        target->node = target->parent ? data_child(target->parent, child) : NULL;
        return 1;
    }
}

static bool is_unit(enum pcn_target_kind kind)
{
    return kind == PCN_TARGET_CUBE || kind == PCN_TARGET_CONTAINER || kind == PCN_TARGET_ENTRY;
}

int target_find(const struct pcn_schema *schema, const struct pcn_tree *tree, const char *const *segments, size_t n,
                struct target *ret_target, struct pcn_error *error)
{
    struct target *target = ret_target;

    *target = (struct target){.kind = PCN_TARGET_CUBE, .schema = schema->cube, .node = tree ? tree->root : NULL};
    for (size_t i = 0; i < n;) {
        const struct lysc_node *child = is_unit(target->kind) ? schema_child(target->schema, segments[i]) : NULL;

        if (!child || target->n_keys + KEYS_MAX > ALL_KEYS_MAX)
            return no_such_path(target, segments[i], error);
        i += target_step(target, child, segments + i, n - i);
    }
    return 0;
}

int target_missing(const struct target *target, enum pcn_error_tag tag, struct pcn_error *error)
{
    char path[PATH_TEXT_MAX];

    (void)snprintf(path, sizeof(path), "%.*s", target->lost ? (int)target->lost_length : PATH_TEXT_MAX, target->path);
    return pcn_error_set(error, tag, path, "%s does not exist", path);
}

int pcn_schema_target(const struct pcn_schema *schema, const char *const *segments, size_t n_segments,
                      enum pcn_target_kind *ret_kind, struct pcn_error *error)
{
    struct target target;
    int r;

    r = target_find(schema, NULL, segments, n_segments, &target, error);
    if (r < 0)
        return r;
    *ret_kind = target.kind;
    return 0;
}

char *pcn_schema_allow(const struct pcn_schema *schema, const char *const *segments, size_t n_segments)
{
    struct target target;
    const char *allow;

    if (target_find(schema, NULL, segments, n_segments, &target, NULL) < 0)
        return NULL;
    switch (target.kind) {
    case PCN_TARGET_ACTION:
        allow = "POST, OPTIONS";
        break;
    case PCN_TARGET_PARTIAL:
        allow = "OPTIONS";
        break;
    case PCN_TARGET_LEAF:
        allow = is_config(target.schema) && !is_key(target.schema) ? "GET, PATCH, OPTIONS" : "GET, OPTIONS";
        break;
    case PCN_TARGET_LEAF_LIST_ENTRY:
        allow = is_config(target.schema) ? "GET, POST, PUT, DELETE, OPTIONS" : "GET, OPTIONS";
        break;
    default:
        allow = is_config(target.schema)        ? "GET, POST, PUT, PATCH, DELETE, OPTIONS"
                : is_forgettable(target.schema) ? "GET, DELETE, OPTIONS"
                                                : "GET, OPTIONS";
    }
    return strdup(allow);
}
