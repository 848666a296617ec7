/* SPDX-License-Identifier: Apache-2.0 */
/* Resources of cubes: /<service>/..., and the short form /<cube>/.... */
#include <daemon/daemon.h>
#include <daemon/help.h>
#include <stdio.h>

struct target {
    struct pcn_service *service;
    struct pcn_member *member;
    const char *const *path; /* below the cube */
    size_t n;
};

/* ---- state ---- */

static void hook_cube(void *data, struct pcn_emitter *emitter)
{
    const struct pcn_member *member = data;
    const struct pcn_cube *cube = member->cube;
    char parent[2 * PCN_NAME_MAX + 2];

    pcn_emit_string(emitter, "uuid", cube->uuid);
    pcn_emit_string(emitter, "service-name", cube->kind->name);
    if (cube->kind->shape == PCN_TRANSPARENT) {
        pcn_cube_parent(cube, parent, sizeof(parent));
        pcn_emit_string(emitter, "parent", parent);
    }
}

static void hook_port(void *data, const char *name, struct pcn_emitter *emitter)
{
    const struct pcn_member *member = data;
    const struct pcn_port *port = pcn_port_by_name(member->cube, name);

    if (!port)
        return;
    pcn_emit_string(emitter, "uuid", port->uuid);
    pcn_emit_string(emitter, "status", pcn_port_status(port) ? "UP" : "DOWN");
    if (!port->stack.n)
        return;
    pcn_emit_list(emitter, "tcubes");
    for (size_t i = 0; i < port->stack.n; i++)
        pcn_emit_string(emitter, NULL, port->stack.cubes[i]->name);
    pcn_emit_end(emitter);
}

static void emit_ports(struct pcn_cube *cube, struct pcn_emitter *emitter)
{
    static const char *const directions[PCN_DIRECTION_MAX] = {"ingress", "egress"};
    struct pcn_port_counters counters;

    pcn_emit_list(emitter, "received");
    for (int direction = 0; cube->kind->shape == PCN_TRANSPARENT && direction < PCN_DIRECTION_MAX; direction++) {
        if (pcn_cube_counters(cube, (uint32_t)direction, &counters) < 0)
            continue;
        pcn_emit_entry(emitter);
        pcn_emit_string(emitter, "port", directions[direction]);
        pcn_emit_uint(emitter, "packets", counters.packets);
        pcn_emit_uint(emitter, "bytes", counters.bytes);
        pcn_emit_end(emitter);
    }
    for (struct pcn_port *port = cube->ports; port; port = port->hh.next) {
        if (pcn_cube_counters(cube, port->id, &counters) < 0)
            continue;
        pcn_emit_entry(emitter);
        pcn_emit_string(emitter, "port", port->name);
        pcn_emit_uint(emitter, "packets", counters.packets);
        pcn_emit_uint(emitter, "bytes", counters.bytes);
        pcn_emit_end(emitter);
    }
    pcn_emit_end(emitter);
}

static void emit_drops(struct pcn_cube *cube, struct pcn_emitter *emitter)
{
    uint64_t drops[PCN_DROP_REASONS_MAX];

    if (pcn_cube_drops(cube, drops) < 0)
        return;
    pcn_emit_list(emitter, "dropped");
    for (uint32_t reason = 0; reason < PCN_DROP_REASONS_MAX; reason++) {
        if (!drops[reason])
            continue;
        pcn_emit_entry(emitter);
        pcn_emit_string(emitter, "reason", pcn_cube_reason_label(cube, reason));
        pcn_emit_uint(emitter, "packets", drops[reason]);
        pcn_emit_end(emitter);
    }
    pcn_emit_end(emitter);
}

static struct pcn_daemon *the_daemon;

/* The container "counters" of the base models. */
static void hook_counters(void *data, struct pcn_emitter *emitter)
{
    struct pcn_cube *cube = ((struct pcn_member *)data)->cube;
    struct pcn_slowpath_counters slow;

    emit_ports(cube, emitter);
    emit_drops(cube, emitter);
    pcn_slowpath_counters(the_daemon->slowpath, cube->id, &slow);
    pcn_emit_container(emitter, "slow-path");
    pcn_emit_uint(emitter, "packets-in", slow.packets_in);
    pcn_emit_uint(emitter, "packets-out", slow.packets_out);
    pcn_emit_uint(emitter, "shed", slow.shed);
    pcn_emit_uint(emitter, "failed-out", slow.failed_out);
    pcn_emit_end(emitter);
}

struct pcn_state_hooks pcn_member_hooks(const struct pcn_member *member, const char *base_url, char links[256])
{
    if (base_url)
        (void)snprintf(links, 256, "%s%s/%s/", base_url, member->cube->kind->name, member->cube->name);
    return (struct pcn_state_hooks){
        .cube = hook_cube,
        .port = hook_port,
        .counters = hook_counters,
        .data = (void *)member,
        .cube_instance = member->cube,
        .links_base = base_url ? links : NULL,
    };
}

int pcn_member_show(struct pcn_daemon *daemon, const struct pcn_member *member, const char *base_url,
                    const char *const *segments, size_t n_segments, const struct pcn_page *page, char **ret_text,
                    size_t *ret_length, bool *ret_cacheable, struct pcn_error *error)
{
    struct pcn_state_hooks hooks;
    char links[256];

    the_daemon = daemon;
    hooks = pcn_member_hooks(member, base_url, links);
    if (page)
        hooks.page = *page;
    return pcn_tree_get(member->tree, segments, n_segments, &hooks, ret_text, ret_length, ret_cacheable, error);
}

/* ---- collection of a service's cubes ---- */

static void show_service(struct pcn_daemon *daemon, const struct pcn_service *service,
                         const struct pcn_request *request, struct pcn_answer *answer)
{
    json_t *cubes = json_array();

    for (struct pcn_cube *cube = pcn_chain_cube_next(daemon->chain, NULL); cube;
         cube = pcn_chain_cube_next(daemon->chain, cube)) {
        _cleanup_free_ char *text = NULL;
        bool cacheable;
        size_t length;

        if (cube->kind != service->kind)
            continue;
        if (pcn_member_show(daemon, pcn_member_of(cube), request->base_url, NULL, 0, NULL, &text, &length, &cacheable,
                            NULL) == 0)
            json_array_append_new(cubes, json_loadb(text, length, 0, NULL));
    }
    pcn_answer_json(answer, 200, cubes);
}

static void set_etag(struct pcn_answer *answer, const struct pcn_daemon *daemon, const struct pcn_member *member)
{
    (void)snprintf(answer->etag, sizeof(answer->etag), "\"%llx-%llx\"", (unsigned long long)daemon->boot,
                   (unsigned long long)member->generation);
}

/* A list of tags, or "*". Those the daemon gives are strong: one that is said to be weak is another. */
static bool etag_listed(const char *list, const char *etag)
{
    size_t length = strlen(etag);

    while (*list) {
        list += strspn(list, ", \t");
        if (*list == '*' || (strncmp(list, etag, length) == 0 && strchr(", \t", list[length])))
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

static bool precondition_failed(struct pcn_answer *answer, const char *why)
{
    struct pcn_error error = {};

    pcn_error_set(&error, PCN_ERROR_PRECONDITION, "", "%s", why);
    pcn_answer_error(answer, &error);
    return false;
}

static bool target_exists(struct pcn_daemon *daemon, const struct target *target)
{
    const struct pcn_page first = {.limit = 1};
    _cleanup_free_ char *text = NULL;
    struct pcn_error error = {};
    bool cacheable;
    size_t length;

    return target->member && pcn_member_show(daemon, target->member, NULL, target->path, target->n, &first, &text,
                                             &length, &cacheable, &error) == 0;
}

/* The ETag is that of the cube, "*" stands for the target itself. */
static bool precondition(struct pcn_daemon *daemon, const struct pcn_request *request, const struct target *target,
                         struct pcn_answer *answer)
{
    const char *match = request->if_match, *none_match = request->if_none_match;
    struct pcn_answer current = {};

    if (target->member)
        set_etag(&current, daemon, target->member);
    if (match && !(target->member && etag_listed(match, current.etag)))
        return precondition_failed(answer, "If-Match: the cube has changed since that ETag was given");
    if (!none_match)
        return true;
    if (pcn_streq(none_match, "*"))
        return !target_exists(daemon, target) ||
               precondition_failed(answer, "If-None-Match: there is something at this path already");
    return !target->member || !etag_listed(none_match, current.etag) ||
           precondition_failed(answer, "If-None-Match: the cube is still what that ETag was given for");
}

static int create_one(struct pcn_daemon *daemon, struct pcn_transaction *transaction, struct pcn_service *service,
                      const char *name, json_t *body, struct pcn_error *error)
{
    if (body && !json_is_object(body))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "a cube is an object: {\"name\": \"%s1\", ...}",
                             service->kind->name);
    if (!name)
        name = json_string_value(json_object_get(body, "name"));
    if (!name)
        return pcn_error_set(error, PCN_ERROR_MISSING_ATTRIBUTE, "name", "a cube needs a name");
    return pcn_transaction_create(transaction, service, name, body, error);
}

static void create(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_service *service,
                   const char *name, struct pcn_answer *answer)
{
    _cleanup_(pcn_transaction_freep) struct pcn_transaction *transaction = NULL;
    struct pcn_error error = {};
    int r;

    if (request->verb == PCN_VERB_PUT)
        pcn_schema_strip(service->schema, request->body);
    r = pcn_transaction_new(daemon, &transaction);
    if (r >= 0 && json_is_array(request->body) && !name) {
        for (size_t i = 0; i < json_array_size(request->body) && r >= 0; i++)
            r = create_one(daemon, transaction, service, NULL, json_array_get(request->body, i), &error);
    } else if (r >= 0) {
        r = create_one(daemon, transaction, service, name, request->body, &error);
    }
    if (r >= 0)
        r = pcn_transaction_commit(transaction, &error);
    if (r < 0)
        pcn_answer_error(answer, &error);
    else
        answer->status = 201;
}

static void service_route(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_service *service,
                          struct pcn_answer *answer)
{
    struct pcn_error error = {};
    char *text = NULL;

    switch (request->verb) {
    case PCN_VERB_GET:
        show_service(daemon, service, request, answer);
        return;
    case PCN_VERB_POST:
        create(daemon, request, service, NULL, answer);
        return;
    case PCN_VERB_OPTIONS:
        if (pcn_help_service(daemon, service, request, &text, &error) < 0)
            pcn_answer_error(answer, &error);
        else
            pcn_answer_take(answer, 200, text, strlen(text));
        answer->allow = strdup("GET, POST, OPTIONS");
        return;
    default:
        pcn_answer_not_allowed(answer, "GET, POST, OPTIONS");
    }
}

/* ---- below a cube ---- */

static void get(struct pcn_daemon *daemon, const struct pcn_request *request, const struct target *target,
                struct pcn_answer *answer)
{
    struct pcn_error error = {};
    bool cacheable = false;
    char *text = NULL;
    size_t length = 0;

    if (pcn_member_show(daemon, target->member, request->base_url, target->path, target->n, &request->page, &text,
                        &length, &cacheable, &error) < 0) {
        pcn_answer_error(answer, &error);
        return;
    }
    pcn_answer_take(answer, 200, text, length);
    answer->cacheable = cacheable;
    set_etag(answer, daemon, target->member);
}

static void action(const struct pcn_request *request, const struct target *target, struct pcn_answer *answer)
{
    struct pcn_error error = {};
    char *text = NULL;

    if (pcn_tree_action(target->member->tree, target->member->cube, target->path, target->n, request->body, &text,
                        &error) < 0) {
        pcn_answer_error(answer, &error);
        return;
    }
    pcn_generation_next(target->member);
    pcn_answer_take(answer, 200, text, text ? strlen(text) : 0);
}

/* An entry that an action deletes. Returns false: it is none. */
static bool delete_by_action(const struct pcn_daemon *daemon, const struct target *target, struct pcn_answer *answer)
{
    struct pcn_error error = {};
    int r = pcn_tree_delete(target->member->tree, target->member->cube, target->path, target->n, &error);

    if (r < 0) {
        pcn_answer_error(answer, &error);
    } else if (r > 0) {
        pcn_generation_next(target->member);
        answer->status = 204;
        set_etag(answer, daemon, target->member);
    }
    return r != 0;
}

static void edit(struct pcn_daemon *daemon, const struct pcn_request *request, const struct target *target,
                 enum pcn_target_kind kind, struct pcn_answer *answer)
{
    static const enum pcn_edit_verb verbs[PCN_VERB_MAX] = {[PCN_VERB_POST] = PCN_EDIT_CREATE,
                                                           [PCN_VERB_PUT] = PCN_EDIT_REPLACE,
                                                           [PCN_VERB_PATCH] = PCN_EDIT_UPDATE,
                                                           [PCN_VERB_DELETE] = PCN_EDIT_DELETE};
    _cleanup_(pcn_transaction_freep) struct pcn_transaction *transaction = NULL;
    struct pcn_error error = {};
    int r;

    r = pcn_transaction_new(daemon, &transaction);
    if (r >= 0)
        r = pcn_transaction_edit(transaction, target->member, verbs[request->verb], target->path, target->n,
                                 request->body, &error);
    /* What is shown but is not configuration, a learned entry say, can be deleted too. */
    if (r == -ENOENT && error.tag == PCN_ERROR_DATA_MISSING && request->verb == PCN_VERB_DELETE &&
        pcn_tree_forget(target->member->tree, target->member->cube, target->path, target->n, NULL) == 0) {
        answer->status = 204;
        return;
    }
    if (r >= 0)
        r = pcn_transaction_commit(transaction, &error);
    if (r < 0) {
        pcn_answer_error(answer, &error);
        return;
    }
    /* A list is emptied of what it learned, too. */
    if (request->verb == PCN_VERB_DELETE && kind == PCN_TARGET_LIST)
        (void)pcn_tree_forget(target->member->tree, target->member->cube, target->path, target->n, NULL);
    if (request->verb == PCN_VERB_DELETE)
        answer->status = 204;
    else if (request->verb == PCN_VERB_PATCH && kind == PCN_TARGET_LEAF)
        answer->status = 200;
    else
        answer->status = 201;
    set_etag(answer, daemon, target->member);
}

static bool allows(const char *allow, enum pcn_verb verb)
{
    static const char *const names[PCN_VERB_MAX] = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    size_t length = strlen(names[verb]);

    for (const char *p = strstr(allow, names[verb]); p; p = strstr(p + 1, names[verb])) {
        if ((p == allow || p[-1] == ' ') && (p[length] == ',' || !p[length]))
            return true;
    }
    return false;
}

static void options(const struct pcn_request *request, const struct target *target, struct pcn_answer *answer)
{
    struct pcn_state_hooks hooks = {};
    struct pcn_error error = {};
    char links[256], *text = NULL;

    if (target->member)
        hooks = pcn_member_hooks(target->member, NULL, links);
    if (pcn_schema_help(target->service->schema, target->member ? target->member->tree : NULL, &hooks, target->path,
                        target->n, request->help, request->completion, &text, &error) < 0)
        pcn_answer_error(answer, &error);
    else
        pcn_answer_take(answer, 200, text, strlen(text));
}

static void member_route(struct pcn_daemon *daemon, const struct pcn_request *request, const struct target *target,
                         struct pcn_answer *answer)
{
    _cleanup_free_ char *allow = NULL;
    struct pcn_error error = {};
    enum pcn_target_kind kind;

    if (pcn_schema_target(target->service->schema, target->path, target->n, &kind, &error) < 0) {
        pcn_answer_error(answer, &error);
        return;
    }
    allow = pcn_schema_allow(target->service->schema, target->path, target->n);
    if (kind == PCN_TARGET_PARTIAL && request->verb != PCN_VERB_OPTIONS) {
        pcn_error_set(
            &error, PCN_ERROR_NOT_SUPPORTED, "",
            "an element is named by all keys of its list, and not all are given: OPTIONS, or ? in polycubectl, "
            "tells what comes next");
        pcn_answer_error(answer, &error);
        answer->allow = TAKE_PTR(allow);
        return;
    }
    if (!allow || !allows(allow, request->verb)) {
        pcn_answer_not_allowed(answer, allow ? allow : "OPTIONS");
        return;
    }
    if (request->verb == PCN_VERB_OPTIONS) {
        options(request, target, answer);
        answer->allow = TAKE_PTR(allow);
    } else if (request->verb == PCN_VERB_GET) {
        get(daemon, request, target, answer);
    } else if (!precondition(daemon, request, target, answer)) {
        return;
    } else if (kind == PCN_TARGET_ACTION) {
        action(request, target, answer);
    } else if (kind == PCN_TARGET_CUBE && request->verb == PCN_VERB_DELETE) {
        pcn_member_delete(daemon, target->member);
        answer->status = 204;
    } else if (request->verb != PCN_VERB_DELETE || !delete_by_action(daemon, target, answer)) {
        edit(daemon, request, target, kind, answer);
    }
}

/* POST and PUT of a cube that does not exist create it; the rest has nothing to act on. */
static void missing_route(struct pcn_daemon *daemon, const struct pcn_request *request, struct target *target,
                          const char *name, struct pcn_answer *answer)
{
    struct pcn_error error = {};

    if (request->verb == PCN_VERB_OPTIONS) {
        options(request, target, answer);
        return;
    }
    if (target->n == 0 && (request->verb == PCN_VERB_POST || request->verb == PCN_VERB_PUT)) {
        if (precondition(daemon, request, target, answer))
            create(daemon, request, target->service, name, answer);
        return;
    }
    pcn_error_set(&error, request->verb == PCN_VERB_GET ? PCN_ERROR_NOT_FOUND : PCN_ERROR_DATA_MISSING, "",
                  "Cube %s does not exist", name);
    pcn_answer_error(answer, &error);
}

static void write_encoded(FILE *stream, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("-_.~:", *p))
            (void)fputc(*p, stream);
        else
            (void)fprintf(stream, "%%%02X", *p);
    }
}

/* The query, from what was understood of it. */
static void redirect_query(FILE *stream, const struct pcn_request *request)
{
    static const char *const helps[PCN_HELP_NO_HELP] = {[PCN_HELP_NONE] = "NONE",
                                                        [PCN_HELP_SHOW] = "SHOW",
                                                        [PCN_HELP_ADD] = "ADD",
                                                        [PCN_HELP_SET] = "SET",
                                                        [PCN_HELP_DEL] = "DEL"};
    char separator = '?';

    if (request->help != PCN_HELP_NO_HELP) {
        (void)fprintf(stream, "%chelp=%s", separator, helps[request->help]);
        separator = '&';
    }
    if (request->completion) {
        (void)fprintf(stream, "%ccompletion", separator);
        separator = '&';
    }
    if (request->page.offset) {
        (void)fprintf(stream, "%coffset=%u", separator, request->page.offset);
        separator = '&';
    }
    if (request->page.limit) {
        (void)fprintf(stream, "%climit=%u", separator, request->page.limit);
        separator = '&';
    }
    if (request->page.filter) {
        (void)fprintf(stream, "%cfilter=", separator);
        write_encoded(stream, request->page.filter);
    }
}

static void redirect(const struct pcn_request *request, const struct pcn_cube *cube, struct pcn_answer *answer)
{
    char *location = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&location, &length);

    if (!stream) {
        answer->status = 500;
        return;
    }
    (void)fprintf(stream, "/polycube/v1/%s/", cube->kind->name);
    for (size_t i = 0; i < request->n_segments; i++) {
        write_encoded(stream, request->segments[i]);
        (void)fputc('/', stream);
    }
    redirect_query(stream, request);
    (void)fclose(stream);
    answer->status = 308;
    answer->location = location;
}

void pcn_route_cube(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    struct target target = {.service = pcn_service_find(daemon, request->segments[0])};
    const struct pcn_cube *cube;

    if (!target.service) {
        cube = pcn_chain_cube(daemon->chain, request->segments[0]);
        if (cube)
            redirect(request, cube, answer);
        else
            pcn_answer_text(answer, 404, "No cube found named %s", request->segments[0]);
        return;
    }
    if (request->n_segments == 1) {
        service_route(daemon, request, target.service, answer);
        return;
    }
    target.path = (const char *const *)request->segments + 2;
    target.n = request->n_segments - 2;
    cube = pcn_chain_cube(daemon->chain, request->segments[1]);
    if (!cube || cube->kind != target.service->kind) {
        missing_route(daemon, request, &target, request->segments[1], answer);
        return;
    }
    target.member = pcn_member_of(cube);
    member_route(daemon, request, &target, answer);
}
