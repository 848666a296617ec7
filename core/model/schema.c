/* SPDX-License-Identifier: Apache-2.0 */
/* A kind's module, compiled, with what we know of each node hung on it. */
#include "private.h"
#include <stdio.h>

/* ---- walking ---- */

const struct lysc_node *schema_next(const struct lysc_node *parent, const struct lysc_node *last)
{
    if (parent->nodetype == LYS_ACTION)
        parent = &((const struct lysc_node_action *)parent)->input.node;
    do {
        last = lys_getnext(last, parent, NULL, 0);
    } while (last && last->nodetype == LYS_NOTIF);
    return last;
}

const struct lysc_node *schema_child(const struct lysc_node *parent, const char *name)
{
    const struct lysc_node *child = NULL;

    if (!(parent->nodetype & (LYS_CONTAINER | LYS_LIST | LYS_ACTION)))
        return NULL;
    while ((child = schema_next(parent, child))) {
        if (pcn_streq(child->name, name))
            return child;
    }
    return NULL;
}

const struct lysc_type *schema_type(const struct lysc_node *leaf)
{
    const struct lysc_type *type = leaf->nodetype == LYS_LEAF ? ((const struct lysc_node_leaf *)leaf)->type
                                                              : ((const struct lysc_node_leaflist *)leaf)->type;

    while (type->basetype == LY_TYPE_LEAFREF)
        type = ((const struct lysc_type_leafref *)type)->realtype;
    return type;
}

const char *schema_type_name(const struct lysc_node *leaf)
{
    switch (schema_type(leaf)->basetype) {
    case LY_TYPE_BOOL:
        return "boolean";
    case LY_TYPE_ENUM:
        return "enum";
    case LY_TYPE_INT8:
    case LY_TYPE_INT16:
    case LY_TYPE_INT32:
    case LY_TYPE_INT64:
    case LY_TYPE_UINT8:
    case LY_TYPE_UINT16:
    case LY_TYPE_UINT32:
    case LY_TYPE_UINT64:
        return "integer";
    case LY_TYPE_DEC64:
        return "decimal";
    case LY_TYPE_EMPTY:
        return "empty";
    default:
        return "string";
    }
}

const char *schema_default(const struct lysc_node *leaf)
{
    const struct lysc_node_leaf *node = (const struct lysc_node_leaf *)leaf;

    if (leaf->nodetype != LYS_LEAF || !node->dflt)
        return NULL;
    return lyd_value_get_canonical(leaf->module->ctx, node->dflt);
}

/* ---- building ---- */

static const char *extension(const struct lysc_node *node, const char *name)
{
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(node->exts); i++) {
        const struct lysc_ext_instance *instance = &node->exts[i];

        if (pcn_streq(instance->def->name, name) && pcn_streq(instance->def->module->name, "polycube-base"))
            return instance->argument ? instance->argument : "";
    }
    return NULL;
}

static void node_path(const struct lysc_node *node, const struct lysc_node *cube, char path[PATH_TEXT_MAX])
{
    size_t used;

    if (node == cube) {
        path[0] = '\0';
        return;
    }
    node_path(node->parent, cube, path);
    if (node->nodetype & (LYS_CHOICE | LYS_CASE | LYS_INPUT | LYS_OUTPUT))
        return;
    used = strlen(path);
    (void)snprintf(path + used, PATH_TEXT_MAX - used, "%s%s", used ? "/" : "", node->name);
}

static bool is_base_state(const char *path)
{
    static const char *const paths[] = {"uuid",       "service-name", "parent",      "counters",
                                        "ports/uuid", "ports/status", "ports/tcubes"};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(paths); i++)
        if (pcn_streq(path, paths[i]))
            return true;
    return false;
}

static bool is_constrained(const struct lysc_node *node)
{
    if (lysc_node_musts(node) || lysc_node_when(node) || (node->parent && node->parent->nodetype == LYS_CASE))
        return true;
    switch (node->nodetype) {
    case LYS_LIST:
        return ((const struct lysc_node_list *)node)->uniques || ((const struct lysc_node_list *)node)->min ||
               ((const struct lysc_node_list *)node)->max != UINT32_MAX;
    case LYS_LEAFLIST:
        return ((const struct lysc_node_leaflist *)node)->min ||
               ((const struct lysc_node_leaflist *)node)->max != UINT32_MAX;
    case LYS_LEAF:
        return ((const struct lysc_node_leaf *)node)->type->basetype == LY_TYPE_LEAFREF;
    default:
        return false;
    }
}

static int node_bind(struct pcn_schema *schema, const struct lysc_node *node, struct pcn_error *error)
{
    const struct lysc_node *child = NULL;
    struct node_info *new;
    char path[PATH_TEXT_MAX];

    node_path(node, schema->cube, path);
    new = calloc(1, sizeof(*new) + strlen(path) + 1);
    if (!new)
        return -ENOMEM;
    ((struct lysc_node *)node)->priv = new;
    /* Entries keep their places: what an edit took out is put back where it was. libyang lets only these be placed. */
    if (node->nodetype & (LYS_LIST | LYS_LEAFLIST) && is_config(node))
        ((struct lysc_node *)node)->flags = (uint16_t)((node->flags & ~LYS_ORDBY_SYSTEM) | LYS_ORDBY_USER);
    memcpy(new->path, path, strlen(path) + 1);
    new->example = extension(node, "cli-example");
    new->delete_action = extension(node, "delete-action");
    new->init_only = extension(node, "init-only-config") != NULL;
    new->base_state = is_base_state(path);
    schema->constraints = schema->constraints || (node != schema->cube && is_constrained(node));
    for (size_t i = 0; i < schema->kind->n_handlers; i++) {
        if (pcn_streq(schema->kind->handlers[i].path, path))
            new->handler = &schema->kind->handlers[i];
    }
    if (!(node->nodetype & (LYS_CONTAINER | LYS_LIST | LYS_ACTION)))
        return 0;
    while ((child = schema_next(node, child))) {
        int r = node_bind(schema, child, error);

        if (r < 0)
            return r;
        if (node->nodetype == LYS_LIST && is_key(child))
            new->n_keys++;
        new->leaf_lists = new->leaf_lists || (child->nodetype == LYS_LEAFLIST && is_config(child));
    }
    child = new->delete_action ? schema_child(node->parent, new->delete_action) : NULL;
    if (new->delete_action && (!child || child->nodetype != LYS_ACTION))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "module %s: delete-action %s is no action beside it",
                             schema->module->name, new->delete_action);
    if (new->n_keys > KEYS_MAX)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "module %s: a list has at most %d keys",
                             schema->module->name, KEYS_MAX);
    return 0;
}

static void node_unbind(const struct lysc_node *node)
{
    const struct lysc_node *child = NULL;

    pcn_freep(&((struct lysc_node *)node)->priv);
    if (!(node->nodetype & (LYS_CONTAINER | LYS_LIST | LYS_ACTION)))
        return;
    while ((child = schema_next(node, child)))
        node_unbind(child);
}

static const struct lysc_node *by_path(const struct pcn_schema *schema, const char *path)
{
    const struct lysc_node *node = schema->cube;
    char name[PATH_TEXT_MAX];

    while (node && *path) {
        size_t length = strcspn(path, "/");

        (void)snprintf(name, sizeof(name), "%.*s", (int)length, path);
        node = schema_child(node, name);
        path += length + (path[length] == '/');
    }
    return node;
}

/* Errors are kept from the first one on, which is the cause of the others. */
static int module_parse(struct ly_ctx *ctx, const char *text, struct lys_module **ret_module)
{
    uint32_t before = ly_log_options(LY_LOSTORE);
    LY_ERR result = lys_parse_mem(ctx, text, LYS_IN_YANG, ret_module);

    (void)ly_log_options(before);
    return result == LY_SUCCESS ? 0 : -EINVAL;
}

static int schema_compile(struct pcn_schema *schema, const char *directory, struct pcn_error *error)
{
    const struct pcn_cube_kind *kind = schema->kind;
    _cleanup_free_ char *wrapped = NULL;
    struct lys_module *module;
    int r;

    r = pcn_wrap_module(kind->yang, &wrapped, error);
    if (r < 0)
        return r;
    r = pcn_model_context(directory, &schema->ctx);
    if (r < 0)
        return r;
    if (module_parse(schema->ctx, wrapped, &module) < 0) {
        const struct ly_err_item *first = ly_err_first(schema->ctx);

        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "the model of %s does not compile: %s%s%s", kind->name,
                             first ? first->msg : "", first && first->path ? " at " : "",
                             first && first->path ? first->path : "");
    }
    schema->module = module;
    schema->cube = lys_getnext(NULL, NULL, module->compiled, 0);
    if (!schema->cube || !pcn_streq(module->name, kind->name))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "the model of %s is of a module called %s", kind->name,
                             module->name);
    return 0;
}

int pcn_schema_new(const struct pcn_cube_kind *kind, const char *directory, struct pcn_schema **ret_schema,
                   struct pcn_error *error)
{
    _cleanup_(pcn_schema_freep) struct pcn_schema *schema = NULL;
    int r;

    schema = calloc(1, sizeof(*schema));
    if (!schema)
        return -ENOMEM;
    schema->kind = kind;
    r = schema_compile(schema, directory, error);
    if (r < 0)
        return r;
    r = node_bind(schema, schema->cube, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < kind->n_handlers; i++) {
        if (!by_path(schema, kind->handlers[i].path))
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, kind->handlers[i].path,
                                 "kind %s has a handler for %s, which its model does not have", kind->name,
                                 kind->handlers[i].path);
    }
    *ret_schema = TAKE_PTR(schema);
    return 0;
}

void pcn_schema_freep(struct pcn_schema **ptr)
{
    struct pcn_schema *schema = TAKE_PTR(*ptr);

    if (!schema)
        return;
    if (schema->cube)
        node_unbind(schema->cube);
    ly_ctx_destroy(schema->ctx);
    free(schema);
}

const struct pcn_cube_kind *pcn_schema_kind(const struct pcn_schema *schema)
{
    return schema->kind;
}
