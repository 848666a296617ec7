/* SPDX-License-Identifier: Apache-2.0 */
/* What <pcn/node.h> offers: a node is libyang's, under another name. */
#include "private.h"

static const struct lyd_node *node_child(const struct pcn_node *node, const char *name)
{
    return data_child_named((const struct lyd_node *)node, name);
}

static const struct lyd_value *node_leaf(const struct pcn_node *node, const char *leaf)
{
    const struct lyd_node *child = node_child(node, leaf);
    const struct lyd_value *value;

    if (!child || !(child->schema->nodetype & LYD_NODE_TERM))
        return NULL;
    value = &((const struct lyd_node_term *)child)->value;
    if (value->realtype->basetype == LY_TYPE_UNION)
        value = &value->subvalue->value;
    return value;
}

const char *pcn_node_string(const struct pcn_node *node, const char *leaf)
{
    const struct lyd_node *child = node_child(node, leaf);

    return child && child->schema->nodetype & LYD_NODE_TERM ? lyd_get_value(child) : NULL;
}

int64_t pcn_node_int(const struct pcn_node *node, const char *leaf, int64_t fallback)
{
    const struct lyd_value *value = node_leaf(node, leaf);

    if (!value)
        return fallback;
    switch (value->realtype->basetype) {
    case LY_TYPE_INT8:
        return value->int8;
    case LY_TYPE_INT16:
        return value->int16;
    case LY_TYPE_INT32:
        return value->int32;
    case LY_TYPE_INT64:
        return value->int64;
    case LY_TYPE_UINT8:
        return value->uint8;
    case LY_TYPE_UINT16:
        return value->uint16;
    case LY_TYPE_UINT32:
        return value->uint32;
    case LY_TYPE_UINT64:
        return (int64_t)value->uint64;
    case LY_TYPE_BOOL:
        return value->boolean;
    case LY_TYPE_ENUM:
        return value->enum_item->value;
    default:
        return fallback;
    }
}

uint64_t pcn_node_uint(const struct pcn_node *node, const char *leaf, uint64_t fallback)
{
    return (uint64_t)pcn_node_int(node, leaf, (int64_t)fallback);
}

bool pcn_node_bool(const struct pcn_node *node, const char *leaf, bool fallback)
{
    return pcn_node_int(node, leaf, fallback) != 0;
}

const struct pcn_node *pcn_node_container(const struct pcn_node *node, const char *name)
{
    const struct lyd_node *child = node_child(node, name);

    return child && child->schema->nodetype == LYS_CONTAINER ? (const struct pcn_node *)child : NULL;
}

const struct pcn_node *pcn_node_first(const struct pcn_node *node, const char *name)
{
    const struct lyd_node *child = node_child(node, name);

    return child && child->schema->nodetype & (LYS_LIST | LYS_LEAFLIST) ? (const struct pcn_node *)child : NULL;
}

const struct pcn_node *pcn_node_next(const struct pcn_node *node)
{
    const struct lyd_node *entry = (const struct lyd_node *)node;

    return entry->next && entry->next->schema == entry->schema ? (const struct pcn_node *)entry->next : NULL;
}

const char *pcn_node_value(const struct pcn_node *node)
{
    return lyd_get_value((const struct lyd_node *)node);
}
