/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET: configuration from the tree, state from the kind's handlers and the
 * core's hooks, both in the order of the model. Long lists are streamed.
 */
#include "private.h"
#include <stdio.h>

struct show {
    const struct pcn_schema *schema;
    const struct pcn_state_hooks *hooks;
    struct pcn_emitter *emitter;
    bool cacheable;
};

/* ---- values ---- */

static void show_value(struct pcn_emitter *emitter, const struct lyd_node *node)
{
    const struct lyd_value *value = &((const struct lyd_node_term *)node)->value;
    const char *text = lyd_get_value(node);

    while (value->realtype->basetype == LY_TYPE_UNION)
        value = &value->subvalue->value;
    switch (value->realtype->basetype) {
    case LY_TYPE_BOOL:
    case LY_TYPE_INT8:
    case LY_TYPE_INT16:
    case LY_TYPE_INT32:
    case LY_TYPE_INT64:
    case LY_TYPE_UINT8:
    case LY_TYPE_UINT16:
    case LY_TYPE_UINT32:
    case LY_TYPE_UINT64:
    case LY_TYPE_DEC64:
        emit_raw(emitter, text, strlen(text));
        break;
    case LY_TYPE_EMPTY:
        emit_raw(emitter, "[null]", 6);
        break;
    default:
        emit_quoted(emitter, text);
    }
}

static void show_json(struct pcn_emitter *emitter, const json_t *value)
{
    _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text)
        emit_raw(emitter, text, strlen(text));
    else
        emitter->failed = true;
}

/* ---- state ---- */

static bool is_ports(const struct lysc_node *schema)
{
    return pcn_streq(info(schema)->path, "ports");
}

static bool has_state(const struct show *show, const struct lysc_node *unit)
{
    if (!show->hooks->cube_instance)
        return false;
    return unit == show->schema->cube || is_ports(unit) || pcn_streq(info(unit)->path, "counters") ||
           (info(unit)->handler && info(unit)->handler->state);
}

/* Closes what was emitted and reads it again. NULL: it cannot be. */
static json_t *emitted(struct pcn_emitter *emitter)
{
    json_t *value;

    emit_close(emitter);
    value = emitter->failed ? NULL : json_loadb(emitter->text, emitter->length, 0, NULL);
    emitter_done(emitter);
    return value;
}

json_t *show_handled_state(struct pcn_cube *cube, const struct lysc_node *unit, const char *const *keys, size_t n_keys)
{
    struct pcn_emitter emitter = {.parsed = true};

    emit_open(&emitter, '{');
    (void)info(unit)->handler->state(cube, keys, n_keys, &emitter);
    return emitted(&emitter);
}

/* Members that a unit has beside its configuration; NULL: none. The caller drops the reference. */
static json_t *unit_state(struct show *show, const struct lysc_node *unit, const char *const *keys, size_t n_keys)
{
    const struct pcn_state_hooks *hooks = show->hooks;
    const struct pcn_handler *handler = info(unit)->handler;
    struct pcn_emitter emitter = {.parsed = true};

    if (!has_state(show, unit))
        return NULL;
    show->cacheable = false;
    emit_open(&emitter, '{');
    if (unit == show->schema->cube && hooks->cube)
        hooks->cube(hooks->data, &emitter);
    else if (is_ports(unit) && hooks->port && n_keys)
        hooks->port(hooks->data, keys[0], &emitter);
    else if (pcn_streq(info(unit)->path, "counters") && hooks->counters)
        hooks->counters(hooks->data, &emitter);
    if (handler && handler->state)
        (void)handler->state(hooks->cube_instance, keys, n_keys, &emitter);
    return emitted(&emitter);
}

static bool has_entries(const struct show *show, const struct lysc_node *list)
{
    return show->hooks->cube_instance && info(list)->handler && info(list)->handler->entries;
}

/* ---- units ---- */

static void show_unit(struct show *show, const struct lyd_node *node, const struct lysc_node *unit,
                      const char *const *keys, size_t n_keys);

/* Entries of a list, into the array that is open. */
static int show_entries(struct show *show, const struct lyd_node *parent, const struct lysc_node *list,
                        const char *const *keys, size_t n_keys)
{
    const char *entry_keys[ALL_KEYS_MAX];
    const struct lyd_node *entry;

    if (has_entries(show, list)) {
        show->cacheable = false;
        return info(list)->handler->entries(show->hooks->cube_instance, keys, n_keys, show->emitter);
    }
    for (entry = parent ? data_child(parent, list) : NULL; entry && entry->schema == list; entry = entry->next) {
        pcn_emit_entry(show->emitter);
        if (!show->emitter->skipping)
            show_unit(show, entry, list, entry_keys, data_keys(entry, entry_keys));
        pcn_emit_end(show->emitter);
    }
    return 0;
}

static void show_term(struct show *show, const struct lyd_node *node, const struct lysc_node *schema)
{
    const struct lyd_node *child = data_child(node, schema);

    if (!child)
        return;
    emit_name(show->emitter, schema->name);
    if (schema->nodetype == LYS_LEAF) {
        show_value(show->emitter, child);
        return;
    }
    emit_open(show->emitter, '[');
    for (; child && child->schema == schema; child = child->next) {
        emit_name(show->emitter, NULL);
        show_value(show->emitter, child);
    }
    emit_close(show->emitter);
}

/* A container or list as a member; without its name where it turns out empty. */
static void show_below(struct show *show, const struct lyd_node *node, const struct lysc_node *schema,
                       const char *const *keys, size_t n_keys)
{
    struct pcn_emitter *emitter = show->emitter;
    size_t before = emitter->length, opened;
    bool comma = emitter->comma;

    emit_name(emitter, schema->name);
    emit_open(emitter, schema->nodetype == LYS_LIST ? '[' : '{');
    opened = emitter->length;
    if (schema->nodetype == LYS_LIST)
        (void)show_entries(show, node, schema, keys, n_keys);
    else
        show_unit(show, node ? data_child(node, schema) : NULL, schema, keys, n_keys);
    if (emitter->length != opened || emitter->skipping) {
        emit_close(emitter);
        return;
    }
    emitter->length = before;
    emitter->depth--;
    emitter->comma = comma;
}

static void show_member(struct show *show, const struct lyd_node *node, const struct lysc_node *schema,
                        const json_t *state, const char *const *keys, size_t n_keys)
{
    const json_t *value = json_object_get(state, schema->name);

    if (schema->nodetype == LYS_ACTION)
        return;
    if (value) {
        emit_name(show->emitter, schema->name);
        show_json(show->emitter, value);
    } else if (!(schema->nodetype & LYD_NODE_TERM)) {
        show_below(show, node, schema, keys, n_keys);
    } else if (node && is_config(schema)) {
        show_term(show, node, schema);
    }
}

/* Members of a unit, into the object that is open. node NULL: it is all state. */
static void show_unit(struct show *show, const struct lyd_node *node, const struct lysc_node *unit,
                      const char *const *keys, size_t n_keys)
{
    const struct lysc_node *schema = NULL;
    json_t *state = unit_state(show, unit, keys, n_keys);

    while ((schema = schema_next(unit, schema)))
        show_member(show, node, schema, state, keys, n_keys);
    json_decref(state);
}

/* ---- links ---- */

static void link_add(struct pcn_emitter *emitter, const char *rel, const char *base, const char *name)
{
    emit_name(emitter, NULL);
    emit_open(emitter, '{');
    pcn_emit_string(emitter, "rel", rel);
    emit_name(emitter, "href");
    emit_raw(emitter, "\"", 1);
    emit_raw(emitter, base, strlen(base));
    if (name) {
        emit_raw(emitter, name, strlen(name));
        emit_raw(emitter, "/", 1);
    }
    emit_raw(emitter, "\"", 1);
    emit_close(emitter);
}

/* Segments percent-encoded, each with a slash behind it. */
static char *links_url(const char *base, const char *const *segments, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        return NULL;
    (void)fputs(base, stream);
    for (size_t i = 0; i < n; i++) {
        for (const unsigned char *c = (const unsigned char *)segments[i]; *c; c++) {
            bool plain =
                (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || strchr("-_.~:", *c);

            (void)fprintf(stream, plain ? "%c" : "%%%02X", *c);
        }
        (void)fputc('/', stream);
    }
    if (fclose(stream) != 0)
        pcn_freep(&text);
    return text;
}

/* As Polycube gives them, whose clients compare them: "counters" is not among them. */
static void show_links(struct show *show, const struct lysc_node *unit, const char *const *segments, size_t n)
{
    _cleanup_free_ char *url = show->hooks->links_base ? links_url(show->hooks->links_base, segments, n) : NULL;
    const struct lysc_node *child = NULL;

    if (!url)
        return;
    pcn_emit_list(show->emitter, "_links");
    link_add(show->emitter, "self", url, NULL);
    while ((child = schema_next(unit, child))) {
        if (!is_key(child) && child->nodetype != LYS_ACTION && !pcn_streq(info(child)->path, "counters"))
            link_add(show->emitter, child->name, url, child->name);
    }
    pcn_emit_end(show->emitter);
}

/* ---- what a path leads to ---- */

static int not_there(const struct target *target, struct pcn_error *error)
{
    return pcn_error_set(error, PCN_ERROR_NOT_FOUND, target->path, "%s does not exist", target->path);
}

json_t *show_handled(struct pcn_cube *cube, const struct lysc_node *list, const char *const *keys, size_t n_keys)
{
    struct pcn_emitter emitter = {.parsed = true};
    json_t *array, *entry;

    emit_open(&emitter, '[');
    (void)info(list)->handler->entries(cube, keys, n_keys, &emitter);
    array = emitted(&emitter);
    entry = json_incref(json_array_get(array, 0));
    json_decref(array);
    return entry;
}

static json_t *handled_entry(struct show *show, const struct lysc_node *list, const struct target *target)
{
    show->cacheable = false;
    return show_handled(show->hooks->cube_instance, list, target->keys, target->n_keys);
}

static int show_state(struct show *show, const struct target *target, struct pcn_error *error);

static int show_entry(struct show *show, const struct target *target, const char *const *segments, size_t n,
                      struct pcn_error *error)
{
    const struct lysc_node *schema = NULL;
    bool handled = has_entries(show, target->schema);
    json_t *entry = handled ? handled_entry(show, target->schema, target) : NULL;

    if (!handled && !is_config(target->schema))
        return show_state(show, target, error);
    if (handled ? !entry : !target->node)
        return not_there(target, error);
    emit_open(show->emitter, '{');
    show_links(show, target->schema, segments, n);
    while (handled && (schema = schema_next(target->schema, schema)))
        show_member(show, target->node, schema, entry, target->keys, target->n_keys);
    if (!handled)
        show_unit(show, target->node, target->schema, target->keys, target->n_keys);
    emit_close(show->emitter);
    json_decref(entry);
    return 0;
}

static int show_object(struct show *show, const struct target *target, const char *const *segments, size_t n,
                       struct pcn_error *error)
{
    if (!target->node && is_config(target->schema))
        return not_there(target, error);
    if (!target->node && !has_state(show, target->schema))
        return show_state(show, target, error);
    emit_open(show->emitter, '{');
    show_links(show, target->schema, segments, n);
    show_unit(show, target->node, target->schema, target->keys, target->n_keys);
    emit_close(show->emitter);
    return 0;
}

/* ---- state that a handler above gives as a whole ---- */

static const struct lysc_node *data_parent(const struct lysc_node *node)
{
    for (node = node->parent; node && node->nodetype & (LYS_CHOICE | LYS_CASE);)
        node = node->parent;
    return node;
}

static bool key_is(const json_t *value, const char *key)
{
    char text[VALUE_TEXT];

    if (json_is_string(value))
        return pcn_streq(json_string_value(value), key);
    if (!json_is_integer(value))
        return false;
    (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return pcn_streq(text, key);
}

static const json_t *entry_by_keys(const json_t *array, const struct lysc_node *list, const char *const *keys)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (array, i, entry) {
        const struct lysc_node *key = NULL;
        size_t same = 0;

        for (size_t k = 0; k < info(list)->n_keys; k++) {
            key = schema_next(list, key);
            same += key_is(json_object_get(entry, key->name), keys[k]);
        }
        if (same == info(list)->n_keys)
            return entry;
    }
    return NULL;
}

/*
 * From the state of the nearest unit above that has any, down to node. keys: in, how many belong to the path to
 * node; the reference that holds the value goes to ret_state, which the caller drops.
 */
static const json_t *state_below(struct show *show, const struct lysc_node *node, const char *const *keys,
                                 size_t n_keys, json_t **ret_state)
{
    const struct lysc_node *above = data_parent(node);
    const json_t *members;

    if (!above)
        return NULL;
    if (has_state(show, above)) {
        *ret_state = unit_state(show, above, keys, n_keys);
        return json_object_get(*ret_state, node->name);
    }
    if (is_config(above))
        return NULL;
    if (above->nodetype != LYS_LIST) {
        members = state_below(show, above, keys, n_keys, ret_state);
    } else {
        if (n_keys < info(above)->n_keys)
            return NULL;
        n_keys -= info(above)->n_keys;
        members = entry_by_keys(state_below(show, above, keys, n_keys, ret_state), above, keys + n_keys);
    }
    return json_object_get(members, node->name);
}

static void show_page(struct show *show, const json_t *array)
{
    const json_t *entry;
    const char *name;
    json_t *value;
    size_t i;

    emit_open(show->emitter, '[');
    json_array_foreach (array, i, entry) {
        pcn_emit_entry(show->emitter);
        json_object_foreach ((json_t *)entry, name, value) {
            emit_name(show->emitter, name);
            show_json(show->emitter, value);
        }
        pcn_emit_end(show->emitter);
    }
    emit_close(show->emitter);
}

/* What is not in the tree: state of the unit above, or of a unit further up. */
static int show_state(struct show *show, const struct target *target, struct pcn_error *error)
{
    json_t *state = NULL;
    const json_t *value = state_below(show, target->schema, target->keys, target->n_keys - target->n_own, &state);
    int r = 0;

    if (target->kind == PCN_TARGET_ENTRY)
        value = entry_by_keys(value, target->schema, target->keys + target->n_keys - target->n_own);
    if (target->kind == PCN_TARGET_LIST)
        show_page(show, value);
    else if (value)
        show_json(show->emitter, value);
    else
        r = not_there(target, error);
    json_decref(state);
    return r;
}

static int show_all(struct show *show, const struct target *target, struct pcn_error *error)
{
    int r;

    emit_open(show->emitter, '[');
    r = show_entries(show, target->parent, target->schema, target->keys, target->n_keys);
    emit_close(show->emitter);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, target->path, "%s cannot be read: %s", target->path,
                             strerror(-r));
    return 0;
}

/* Text by leaf, or NULL where there is no filter. Each leaf must be one of the list's. */
static int filter_parse(const char *text, const struct lysc_node *list, json_t **ret_filter, struct pcn_error *error)
{
    _cleanup_free_ char *copy = text ? strdup(text) : NULL;
    json_t *filter = text ? json_object() : NULL;
    char *next = copy, *pair;

    *ret_filter = NULL;
    if (text && (!copy || !filter)) {
        json_decref(filter);
        return -ENOMEM;
    }
    while ((pair = strsep(&next, ","))) {
        char *value = strchr(pair, '=');
        const struct lysc_node *leaf;

        if (value)
            *value++ = '\0';
        leaf = schema_child(list, pair);
        if (!value || !leaf || leaf->nodetype != LYS_LEAF || json_object_set_new(filter, pair, json_string(value))) {
            json_decref(filter);
            return pcn_error_set(
                error, PCN_ERROR_INVALID_VALUE, "filter",
                "filter: '%.64s' is not accepted: give leaf=value, with a leaf of %s; more of them behind commas", pair,
                list->name);
        }
    }
    *ret_filter = filter;
    return 0;
}

static int show_list(struct show *show, const struct target *target, struct pcn_error *error)
{
    json_t *filter;
    int r;

    if (!target->parent && is_config(target->schema) && !has_entries(show, target->schema))
        return not_there(target, error);
    show->emitter->paged = true;
    show->emitter->page_depth = 1;
    show->emitter->offset = show->hooks->page.offset;
    show->emitter->limit = show->hooks->page.limit;
    r = filter_parse(show->hooks->page.filter, target->schema, &filter, error);
    if (r < 0)
        return r;
    show->emitter->filter = filter;
    if (!is_config(target->schema) && !has_entries(show, target->schema))
        r = show_state(show, target, error);
    else
        r = show_all(show, target, error);
    json_decref(filter);
    return r;
}

/* A leaf that is not in the tree: state, or of an entry that a handler shows. */
static int show_state_leaf(struct show *show, const struct target *target, struct pcn_error *error)
{
    const struct lysc_node *unit = data_parent(target->schema);
    json_t *entry;
    const json_t *value;

    if (unit->nodetype != LYS_LIST || unit == show->schema->cube || !has_entries(show, unit))
        return show_state(show, target, error);
    entry = handled_entry(show, unit, target);
    value = json_object_get(entry, target->schema->name);
    if (value)
        show_json(show->emitter, value);
    json_decref(entry);
    return value ? 0 : not_there(target, error);
}

static int show_target(struct show *show, const struct target *target, const char *const *segments, size_t n,
                       struct pcn_error *error)
{
    switch (target->kind) {
    case PCN_TARGET_CUBE:
    case PCN_TARGET_CONTAINER:
        return show_object(show, target, segments, n, error);
    case PCN_TARGET_ENTRY:
        return show_entry(show, target, segments, n, error);
    case PCN_TARGET_LIST:
        return show_list(show, target, error);
    case PCN_TARGET_LEAF:
        if (!target->node)
            return show_state_leaf(show, target, error);
        show_value(show->emitter, target->node);
        return 0;
    case PCN_TARGET_LEAF_LIST:
        if (!is_config(target->schema))
            return show_state_leaf(show, target, error);
        if (!target->parent)
            return not_there(target, error);
        emit_open(show->emitter, '[');
        for (const struct lyd_node *node = data_child(target->parent, target->schema);
             node && node->schema == target->schema; node = node->next) {
            emit_name(show->emitter, NULL);
            show_value(show->emitter, node);
        }
        emit_close(show->emitter);
        return 0;
    case PCN_TARGET_LEAF_LIST_ENTRY:
        if (!target->node)
            return not_there(target, error);
        show_value(show->emitter, target->node);
        return 0;
    default:
        return pcn_error_set(error, PCN_ERROR_NOT_SUPPORTED, target->path, "%s cannot be shown", target->path);
    }
}

/* Something above the target is in no tree, and no handler shows it either. */
static bool is_lost(const struct show *show, const struct target *target)
{
    for (const struct lysc_node *node = target->lost; node; node = data_parent(node)) {
        if (node->nodetype == LYS_LIST && has_entries(show, node))
            return false;
    }
    return target->lost;
}

int pcn_tree_get(const struct pcn_tree *tree, const char *const *segments, size_t n_segments,
                 const struct pcn_state_hooks *hooks, char **ret_text, size_t *ret_length, bool *ret_cacheable,
                 struct pcn_error *error)
{
    struct pcn_emitter emitter = {};
    struct show show = {.schema = tree->schema, .hooks = hooks, .emitter = &emitter, .cacheable = true};
    struct target target;
    int r;

    r = target_find(tree->schema, tree, segments, n_segments, &target, error);
    if (r >= 0)
        r = is_lost(&show, &target) ? target_missing(&target, PCN_ERROR_NOT_FOUND, error)
                                    : show_target(&show, &target, segments, n_segments, error);
    if (r >= 0 && emitter.failed)
        r = pcn_error_set(error, PCN_ERROR_FAILED, target.path, "the answer did not fit into memory");
    if (r < 0) {
        emitter_done(&emitter);
        return r;
    }
    *ret_text = emitter.text;
    *ret_length = emitter.length;
    *ret_cacheable = show.cacheable;
    return 0;
}
