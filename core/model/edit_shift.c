/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists whose one key is a number, which says where an entry stands: one comes or goes, and those behind it are numbered
 * anew as they are, without being made again.
 */
#include "edit_private.h"
#include <stdio.h>

static bool list_is_numbered(const struct lysc_node *list)
{
    static const LY_DATA_TYPE types[] = {LY_TYPE_UINT8, LY_TYPE_UINT16, LY_TYPE_UINT32};
    const struct lysc_node *key = schema_next(list, NULL);

    if (list->nodetype != LYS_LIST || info(list)->n_keys != 1)
        return false;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++)
        if (schema_type(key)->basetype == types[i])
            return true;
    return false;
}

static int64_t entry_number(const struct lyd_node *entry)
{
    return strtoll(lyd_get_value(lyd_child(entry)), NULL, 10);
}

static int entry_renumber(struct lyd_node *entry, int64_t number)
{
    char text[VALUE_TEXT];

    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    return lyd_change_term(lyd_child(entry), text) == LY_SUCCESS ? 0 : -ENOMEM;
}

/* Those before `end`; NULL: all. Where one fails, the entry that did. */
static struct lyd_node *numbers_add(struct lyd_node *parent, const struct lysc_node *list, const struct lyd_node *end,
                                    int64_t from, int by)
{
    struct lyd_node *entry = data_child(parent, list);

    for (; entry && entry != end && entry->schema == list; entry = entry->next) {
        int64_t number = entry_number(entry);

        if (number >= from && entry_renumber(entry, number + by) < 0)
            return entry;
    }
    return NULL;
}

int edit_shift_numbers(struct lyd_node *parent, const struct lysc_node *list, int64_t from, int by)
{
    struct lyd_node *failed = numbers_add(parent, list, NULL, from, by);

    if (failed)
        (void)numbers_add(parent, list, failed, from + by, -by);
    return failed ? -ENOMEM : 0;
}

static int shift(struct pcn_edit *edit, struct lyd_node *parent, struct lyd_node *entry, int64_t from, int by)
{
    const struct undo undo = {.kind = UNDO_SHIFTED, .node = entry, .parent = parent, .from = from + by, .by = by};
    int r = edit_shift_numbers(parent, entry->schema, from, by);

    if (r >= 0 && edit_undo_add(edit, undo) < 0) {
        (void)edit_shift_numbers(parent, entry->schema, from + by, -by);
        return -ENOMEM;
    }
    return r;
}

/* Whether the last one can have one more. */
static int check_room(const struct target *target, struct pcn_error *error)
{
    const struct lysc_node *list = target->schema, *key = schema_next(list, NULL);
    const struct lyd_node *entry = data_child(target->parent, list);
    char text[VALUE_TEXT];
    int64_t last = 0;

    for (; entry && entry->schema == list; entry = entry->next)
        last = PCN_MAX(last, entry_number(entry));
    (void)snprintf(text, sizeof(text), "%lld", (long long)last + 1);
    if (lyd_value_validate(key->module->ctx, key, text, strlen(text), NULL, NULL, NULL) == LY_SUCCESS)
        return 0;
    return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, target->path,
                         "%s is full: its last entry has number %lld, the highest there can be", list->name,
                         (long long)last);
}

static int entry_insert(struct pcn_edit *edit, const struct target *target, const json_t *body, struct pcn_error *error)
{
    const char *const *keys = &target->keys[target->n_keys - target->n_own];
    struct lyd_node *at = target->node, *entry;
    size_t n = edit->others.n;
    int r;

    if (!at)
        return edit_entry_add(edit, target->parent, target->schema, keys, body, target->path, &entry, error);
    r = check_room(target, error);
    if (r >= 0)
        r = edit_add_shift(edit, at, 1);
    if (r >= 0)
        r = shift(edit, target->parent, at, entry_number(at), 1);
    if (r >= 0)
        r = edit_entry_add(edit, target->parent, target->schema, keys, body, target->path, &entry, error);
    if (r < 0)
        return r;
    /* The number that the change tells is the new one's, now. */
    (void)data_keys(entry, edit->others.items[n].keys);
    return lyd_insert_before(at, entry) == LY_SUCCESS ? 0 : -ENOMEM;
}

static int entry_take_out(struct pcn_edit *edit, const struct target *target, struct pcn_error *error)
{
    struct lyd_node *entry = target->node;
    int r;

    if (!entry)
        return target_missing(target, PCN_ERROR_DATA_MISSING, error);
    r = edit_add_shift(edit, entry, -1);
    if (r >= 0)
        r = edit_unit_remove(edit, entry);
    return r < 0 ? r : shift(edit, target->parent, entry, entry_number(entry) + 1, -1);
}

int edit_numbered(struct pcn_edit *edit, const struct target *target, enum pcn_edit_verb verb, const json_t *body,
                  struct pcn_error *error)
{
    if (target->kind != PCN_TARGET_ENTRY || !list_is_numbered(target->schema))
        return pcn_error_set(error, PCN_ERROR_NOT_SUPPORTED, target->path, "%s has no number", target->path);
    return verb == PCN_EDIT_INSERT ? entry_insert(edit, target, body, error) : entry_take_out(edit, target, error);
}
