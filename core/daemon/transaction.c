/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one path for all change. Phases, over all edits of the transaction:
 *
 *   reserve   cubes and ports that are new come to be, connected to nothing
 *   validate  the kinds look whether the new state is possible
 *   prepare   the kinds reserve what they need; peers are checked, devices attached
 *   journal   the point of no return: here an accepted change is made durable
 *   apply     arrays and slots are written, the trees take the change over
 *
 * A failure before the journal undoes what was done, in reverse.
 */
#include <base/log.h>
#include <daemon/daemon.h>

/* Edits of one transaction: POST /cubes of a full daemon fits. */
#define EDITS_MAX PCN_CUBES_MAX

struct item {
    struct pcn_edit *edit;
    struct pcn_service *service;
    struct pcn_member *member; /* NULL until reserve where the cube is new */
    char name[PCN_NAME_MAX + 1];
    bool create;
    size_t prepared; /* changes whose prepare ran */
};

struct pcn_transaction {
    struct pcn_daemon *daemon;
    struct item *items;
    size_t n;
};

int pcn_transaction_new(struct pcn_daemon *daemon, struct pcn_transaction **ret_transaction)
{
    struct pcn_transaction *transaction = calloc(1, sizeof(*transaction));

    if (!transaction)
        return -ENOMEM;
    transaction->daemon = daemon;
    *ret_transaction = transaction;
    return 0;
}

void pcn_transaction_freep(struct pcn_transaction **ptr)
{
    struct pcn_transaction *transaction = TAKE_PTR(*ptr);

    if (!transaction)
        return;
    /* The last first: each edit was made on top of those before it. */
    for (size_t i = transaction->n; i-- > 0;)
        pcn_edit_discardp(&transaction->items[i].edit);
    free(transaction->items);
    free(transaction);
}

static int transaction_add(struct pcn_transaction *transaction, struct item **ret_item, struct pcn_error *error)
{
    struct item *items;

    if (transaction->n == EDITS_MAX)
        return pcn_error_set(error, PCN_ERROR_TOO_BIG, "", "one request changes at most %d cubes", EDITS_MAX);
    items = realloc(transaction->items, (transaction->n + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    transaction->items = items;
    *ret_item = &items[transaction->n];
    **ret_item = (struct item){};
    return 0;
}

static bool array_has_name(json_t *array, const char *name)
{
    json_t *entry;
    size_t i;

    json_array_foreach (array, i, entry) {
        if (pcn_streq(json_string_value(json_object_get(entry, "name")), name))
            return true;
    }
    return false;
}

/* body with what every cube of the kind has: see pcn_cube_kind.initial. */
static int body_complete(const struct pcn_cube_kind *kind, json_t *body, json_t **ret_body)
{
    json_t *initial = json_loads(kind->initial ?: "{}", 0, NULL), *copy, *value, *entry;
    const char *key;
    size_t i;

    if (!body && kind->initial)
        copy = json_object();
    else
        copy = json_is_object(body) ? json_copy(body) : json_incref(body);
    json_object_foreach (initial, key, value) {
        json_t *given = json_object_get(copy, key), *merged;

        if (!json_is_object(copy) || (given && !json_is_array(given)))
            continue;
        merged = given ? json_copy(given) : json_array();
        json_array_foreach (value, i, entry) {
            const char *name = json_string_value(json_object_get(entry, "name"));

            if (!array_has_name(merged, name))
                (void)json_array_append(merged, entry);
        }
        (void)json_object_set_new(copy, key, merged);
    }
    json_decref(initial);
    *ret_body = copy;
    return copy || !(body || kind->initial) ? 0 : -ENOMEM;
}

int pcn_transaction_create(struct pcn_transaction *transaction, struct pcn_service *service, const char *name,
                           json_t *body, struct pcn_error *error)
{
    struct item *item;
    int r;

    if (pcn_chain_cube(transaction->daemon->chain, name))
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "name", "Cube %s exists already", name);
    if (pcn_service_find(transaction->daemon, name))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "name", "%s is the name of a service: choose another",
                             name);
    for (size_t i = 0; i < transaction->n; i++) {
        if (pcn_streq(transaction->items[i].name, name))
            return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "name", "cube %s is given twice", name);
    }
    r = transaction_add(transaction, &item, error);
    if (r < 0)
        return r;
    r = body_complete(service->kind, body, &body);
    if (r < 0)
        return r;
    r = pcn_tree_create(service->schema, name, body, &item->edit, error);
    json_decref(body);
    if (r < 0)
        return r;
    item->service = service;
    item->create = true;
    (void)snprintf(item->name, sizeof(item->name), "%s", name);
    transaction->n++;
    return 0;
}

int pcn_transaction_edit(struct pcn_transaction *transaction, struct pcn_member *member, enum pcn_edit_verb verb,
                         const char *const *segments, size_t n_segments, json_t *body, struct pcn_error *error)
{
    struct item *item;
    int r;

    r = transaction_add(transaction, &item, error);
    if (r < 0)
        return r;
    /* Behind another edit the tree is ahead of the cube. */
    r = pcn_edit_new(member->tree, transaction->n ? NULL : member->cube, verb, segments, n_segments, body, &item->edit,
                     error);
    if (r < 0)
        return r;
    item->service = member->service;
    item->member = member;
    transaction->n++;
    return 0;
}

/* ---- reserve ---- */

static const char *text_or(const char *text, const char *fallback)
{
    return text ? text : fallback;
}

static bool change_is_port(const struct pcn_change *change)
{
    return pcn_streq(change->path, "ports");
}

static bool change_is_cube(const struct pcn_change *change)
{
    return !change->path[0];
}

static enum pcn_cube_type type_parse(const char *text)
{
    if (pcn_streq(text, "XDP_SKB"))
        return PCN_TYPE_XDP_SKB;
    return pcn_streq(text, "XDP_DRV") ? PCN_TYPE_XDP_DRV : PCN_TYPE_TC;
}

static int reserve_cube(struct pcn_transaction *transaction, struct item *item, struct pcn_error *error)
{
    const struct pcn_node *root = pcn_edit_root(item->edit);
    struct pcn_cube_spec spec = {
        .kind = item->service->kind,
        .name = item->name,
        .uuid = pcn_node_string(root, "uuid"),
        .type = type_parse(text_or(pcn_node_string(root, "type"), "TC")),
        .loglevel = PCN_LOG_INFO,
        .shadow = pcn_node_bool(root, "shadow", false),
        .config = root,
    };
    struct pcn_member *member;
    int r;

    (void)pcn_log_level_parse(text_or(pcn_node_string(root, "loglevel"), "INFO"), &spec.loglevel);
    member = calloc(1, sizeof(*member));
    if (!member)
        return -ENOMEM;
    r = pcn_chain_cube_new(transaction->daemon->chain, &spec, &member->cube, error);
    if (r < 0) {
        free(member);
        return r;
    }
    member->service = item->service;
    member->service->cubes++;
    member->cube->owner = member;
    item->member = member;
    return pcn_shadow_cube_add(transaction->daemon->shadow, member->cube, error);
}

static int reserve_item(struct pcn_transaction *transaction, struct item *item, struct pcn_error *error)
{
    int r;

    if (item->create) {
        r = reserve_cube(transaction, item, error);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < pcn_edit_n_changes(item->edit); i++) {
        struct pcn_change *change = pcn_edit_change(item->edit, i);
        struct pcn_port *port;

        if (!change_is_port(change) || change->op != PCN_CHANGE_CREATE)
            continue;
        r = pcn_chain_port_new(item->member->cube, change->keys[0], NULL, &port, error);
        if (r >= 0)
            r = pcn_shadow_port_add(transaction->daemon->shadow, port, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- validate, prepare ---- */

static int cube_validate(const struct pcn_cube *cube, const struct pcn_change *change, struct pcn_error *error)
{
    bool span = pcn_node_bool(change->after, "span", false);

    if (change->op == PCN_CHANGE_MODIFY &&
        (type_parse(text_or(pcn_node_string(change->after, "type"), "TC")) != cube->type ||
         pcn_node_bool(change->after, "shadow", false) != cube->shadow))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "type",
                             "type and shadow are set when a cube is created and cannot be changed");
    if (span && (!cube->shadow || cube->type != PCN_TYPE_TC))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "span",
                             "span needs a cube of type TC with a shadow namespace (shadow=true)");
    return 0;
}

static int validate_item(const struct item *item, struct pcn_error *error)
{
    struct pcn_cube *cube = item->member->cube;
    int r;

    for (size_t i = 0; i < pcn_edit_n_changes(item->edit); i++) {
        const struct pcn_handler *handler = pcn_edit_handler(item->edit, i);
        struct pcn_change *change = pcn_edit_change(item->edit, i);

        if (change_is_cube(change) && change->op != PCN_CHANGE_DELETE) {
            r = cube_validate(cube, change, error);
            if (r < 0)
                return r;
        }
        if (!handler || !handler->validate)
            continue;
        r = handler->validate(cube, change, error);
        if (r < 0)
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, change->path, "refused: %s", strerror(-r));
    }
    return 0;
}

static const char *port_peer(const struct pcn_node *node)
{
    return node ? text_or(pcn_node_string(node, "peer"), "") : "";
}

static int prepare_change(struct pcn_cube *cube, struct pcn_change *change, const struct pcn_handler *handler,
                          struct pcn_error *error)
{
    int r;

    if (change_is_port(change) && change->op != PCN_CHANGE_DELETE &&
        !pcn_streq(port_peer(change->before), port_peer(change->after))) {
        r = pcn_chain_peer_prepare(pcn_port_by_name(cube, change->keys[0]), port_peer(change->after), error);
        if (r < 0) {
            (void)snprintf(error->path, sizeof(error->path), "ports/%s/peer", change->keys[0]);
            return r;
        }
    }
    r = handler && handler->prepare ? handler->prepare(cube, change, error) : 0;
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, change->path, "cannot be prepared: %s", strerror(-r));
    return 0;
}

static int prepare_item(struct item *item, struct pcn_error *error)
{
    const struct pcn_cube_kind *kind = item->service->kind;

    for (size_t i = 0; i < pcn_edit_n_changes(item->edit); i++) {
        int r =
            prepare_change(item->member->cube, pcn_edit_change(item->edit, i), pcn_edit_handler(item->edit, i), error);

        if (r < 0)
            return r;
        item->prepared = i + 1;
    }
    if (kind->prepared) {
        int r = kind->prepared(item->member->cube, error);

        if (r < 0)
            return pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot be prepared: %s", strerror(-r));
    }
    return 0;
}

static void member_free(struct pcn_daemon *daemon, struct pcn_member *member)
{
    pcn_slowpath_forget(daemon->slowpath, member->cube->id);
    pcn_shadow_cube_remove(daemon->shadow, member->cube);
    member->service->cubes--;
    pcn_chain_cube_free(member->cube);
    pcn_tree_freep(&member->tree);
    free(member);
}

static void port_free(struct pcn_daemon *daemon, struct pcn_port *port)
{
    pcn_shadow_port_remove(daemon->shadow, port);
    pcn_chain_port_free(port);
}

static void abort_item(struct pcn_transaction *transaction, struct item *item)
{
    while (item->prepared > 0) {
        const struct pcn_handler *handler = pcn_edit_handler(item->edit, --item->prepared);

        if (handler && handler->abort)
            handler->abort(item->member->cube, pcn_edit_change(item->edit, item->prepared));
    }
    if (!item->member)
        return;
    if (item->service->kind->abandoned)
        item->service->kind->abandoned(item->member->cube);
    if (item->create) {
        member_free(transaction->daemon, TAKE_PTR(item->member));
        return;
    }
    for (size_t i = pcn_edit_n_changes(item->edit); i-- > 0;) {
        const struct pcn_change *change = pcn_edit_change(item->edit, i);
        struct pcn_port *port;

        if (!change_is_port(change) || change->op != PCN_CHANGE_CREATE)
            continue;
        port = pcn_port_by_name(item->member->cube, change->keys[0]);
        /* One that reserve refused because it exists has a tree entry: the model said so before. */
        if (port)
            port_free(transaction->daemon, port);
    }
}

/* ---- apply ---- */

static void apply_cube(struct pcn_cube *cube, const struct pcn_change *change)
{
    enum pcn_log_level level;

    if (!change->after)
        return;
    if (pcn_log_level_parse(text_or(pcn_node_string(change->after, "loglevel"), "INFO"), &level) == 0)
        pcn_chain_set_loglevel(cube, level);
    if (cube->shadow)
        (void)pcn_chain_set_span(cube, pcn_node_bool(change->after, "span", false));
}

static void apply_change(struct pcn_daemon *daemon, struct pcn_cube *cube, struct pcn_change *change,
                         const struct pcn_handler *handler)
{
    bool port = change_is_port(change);
    int r;

    if (change_is_cube(change))
        apply_cube(cube, change);
    if (port && change->op != PCN_CHANGE_DELETE && !pcn_streq(port_peer(change->before), port_peer(change->after)))
        pcn_chain_peer_set(pcn_port_by_name(cube, change->keys[0]), port_peer(change->after));
    r = handler && handler->apply ? handler->apply(cube, change) : 0;
    if (r < 0) {
        cube->degraded = true;
        pcn_log_err("cube %s is degraded: a change of %s could not be written: %s", cube->name,
                    change->path[0] ? change->path : "the cube", strerror(-r));
    }
    if (port && change->op == PCN_CHANGE_DELETE)
        port_free(daemon, pcn_port_by_name(cube, change->keys[0]));
}

static void apply_item(struct pcn_daemon *daemon, struct item *item)
{
    for (size_t i = 0; i < pcn_edit_n_changes(item->edit); i++)
        apply_change(daemon, item->member->cube, pcn_edit_change(item->edit, i), pcn_edit_handler(item->edit, i));
    if (item->service->kind->applied)
        item->service->kind->applied(item->member->cube);
}

int pcn_transaction_commit(struct pcn_transaction *transaction, struct pcn_error *error)
{
    size_t n = transaction->n;
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = reserve_item(transaction, &transaction->items[i], error);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = validate_item(&transaction->items[i], error);
    pcn_chain_peers_begin(transaction->daemon->chain);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = prepare_item(&transaction->items[i], error);
    if (r < 0) {
        for (size_t i = n; i-- > 0;)
            abort_item(transaction, &transaction->items[i]);
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "the change was refused: %s", strerror(-r));
    }
    /* The journal's fdatasync belongs here: what follows cannot fail. */
    for (size_t i = 0; i < n; i++)
        apply_item(transaction->daemon, &transaction->items[i]);
    pcn_chain_rewire(transaction->daemon->chain);
    for (size_t i = 0; i < n; i++) {
        struct item *item = &transaction->items[i];

        pcn_edit_commit(TAKE_PTR(item->edit), item->create ? &item->member->tree : NULL);
        pcn_generation_next(item->member);
    }
    transaction->n = 0;
    return 0;
}

void pcn_member_delete(struct pcn_daemon *daemon, struct pcn_member *member)
{
    member_free(daemon, member);
    pcn_generation_next(NULL);
}

int pcn_member_edit(struct pcn_daemon *daemon, struct pcn_member *member, enum pcn_cube_edit edit,
                    const char *const *segments, size_t n_segments, const char *json, struct pcn_error *error)
{
    static const enum pcn_edit_verb verbs[] = {PCN_EDIT_CREATE, PCN_EDIT_REPLACE, PCN_EDIT_UPDATE,
                                               PCN_EDIT_DELETE, PCN_EDIT_INSERT,  PCN_EDIT_REMOVE};
    _cleanup_(pcn_transaction_freep) struct pcn_transaction *transaction = NULL;
    json_t *body = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    int r;

    if (json && !body)
        return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "not JSON: %.100s", json);
    r = pcn_transaction_new(daemon, &transaction);
    if (r >= 0)
        r = pcn_transaction_edit(transaction, member, verbs[edit], segments, n_segments, body, error);
    if (r >= 0)
        r = pcn_transaction_commit(transaction, error);
    json_decref(body);
    return r;
}

void pcn_member_peer_changed(struct pcn_daemon *daemon, struct pcn_port *port)
{
    const char *const path[] = {"ports", port->name, "peer"};
    struct pcn_member *member = pcn_member_of(port->cube);
    json_t *peer = json_string(port->peer);
    struct pcn_edit *edit = NULL;
    struct pcn_error error = {};

    if (pcn_edit_new(member->tree, NULL, PCN_EDIT_UPDATE, path, PCN_ARRAY_SIZE(path), peer, &edit, &error) < 0)
        pcn_log_err("the configuration of %s:%s could not follow its device: %s", port->cube->name, port->name,
                    error.message);
    else
        pcn_edit_commit(edit, NULL);
    json_decref(peer);
    pcn_generation_next(member);
}
