/* SPDX-License-Identifier: Apache-2.0 */
/* What an edit does, noted: for the handlers, and to take it back. */
#include "edit_private.h"

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

int edit_undo_add(struct pcn_edit *edit, struct undo undo)
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

int edit_add_creates(struct pcn_edit *edit, struct lyd_node *unit)
{
    struct item *item;
    int r;

    r = item_add(&edit->others, PCN_CHANGE_CREATE, unit, &item);
    if (r < 0)
        return r;
    item->change.after = (const struct pcn_node *)unit;
    for (struct lyd_node *child = lyd_child(unit); child && r >= 0; child = child->next)
        r = is_unit_node(child) ? edit_add_creates(edit, child) : 0;
    return r;
}

int edit_add_deletes(struct pcn_edit *edit, struct lyd_node *unit)
{
    struct item *item;
    int r = 0;

    for (struct lyd_node *child = lyd_child(unit); child && r >= 0; child = child->next)
        r = is_unit_node(child) ? edit_add_deletes(edit, child) : 0;
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

int edit_add_shift(struct pcn_edit *edit, struct lyd_node *unit, int by)
{
    struct item *item;
    int r;

    r = item_add(&edit->others, PCN_CHANGE_SHIFT, unit, &item);
    if (r >= 0)
        item->change.shift = by;
    return r;
}

int edit_touch(struct pcn_edit *edit, struct lyd_node *unit)
{
    struct item *item;
    int r;

    if (edit->others.n && edit->others.items[edit->others.n - 1].change.after == (const struct pcn_node *)unit)
        return 0;
    r = item_add(&edit->others, PCN_CHANGE_MODIFY, unit, &item);
    if (r < 0)
        return r;
    item->change.after = (const struct pcn_node *)unit;
    /* What a port was connected to the daemon looks at itself. */
    if (edit->tree->schema->kind->after_alone && !pcn_streq(item->change.path, "ports"))
        return 0;
    item->copy = unit_copy(unit);
    item->change.before = (const struct pcn_node *)item->copy;
    return item->copy ? 0 : -ENOMEM;
}

/* ---- nodes ---- */

int edit_node_remove(struct pcn_edit *edit, struct lyd_node *node)
{
    struct lyd_node *next = node->next && node->next->schema == node->schema ? node->next : NULL;
    int r = edit_undo_add(edit,
                          (struct undo){.kind = UNDO_REMOVED, .node = node, .parent = lyd_parent(node), .next = next});

    if (r >= 0)
        lyd_unlink_tree(node);
    return r;
}

static void undo_apply(const struct undo *undo)
{
    switch (undo->kind) {
    case UNDO_INSERTED:
        lyd_free_tree(undo->node);
        break;
    case UNDO_REMOVED:
        undo->node->priv = NULL;
        (void)(undo->next ? lyd_insert_before(undo->next, undo->node) : lyd_insert_child(undo->parent, undo->node));
        break;
    case UNDO_CHANGED:
        (void)lyd_change_term(undo->node, undo->value);
        undo->node->flags = undo->flags;
        break;
    case UNDO_SHIFTED:
        (void)edit_shift_numbers(undo->parent, undo->node->schema, undo->from, -undo->by);
        break;
    }
}

void edit_take_back(struct pcn_edit *edit)
{
    for (size_t i = edit->n_undos; i-- > 0;)
        undo_apply(&edit->undos[i]);
}
