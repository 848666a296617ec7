/* SPDX-License-Identifier: Apache-2.0 */
/* Framework resources: services, cubes, netdevs, topology, wiring, version; and who takes a request. */
#include <base/log.h>
#include <daemon/daemon.h>
#include <daemon/help.h>
#include <stdio.h>

typedef void route_fn(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer);

static void answer_set(struct pcn_answer *answer, enum pcn_error_tag tag, const char *path, const char *message)
{
    struct pcn_error error = {};

    pcn_error_set(&error, tag, path, "%s", message);
    pcn_answer_error(answer, &error);
}

/* A member of the body that must be text. Says so in answer and returns NULL if it is not. */
static const char *body_string(const struct pcn_request *request, const char *name, struct pcn_answer *answer)
{
    const char *value = json_string_value(json_object_get(request->body, name));
    struct pcn_error error = {};

    if (value)
        return value;
    pcn_error_set(&error, PCN_ERROR_MISSING_ATTRIBUTE, name, "the body is an object with member \"%s\", a string",
                  name);
    pcn_answer_error(answer, &error);
    return NULL;
}

/* ---- root and version ---- */

static void show_root(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    static const char *const names[] = {"services", "cubes",      "netdevs", "topology", "version",
                                        "connect",  "disconnect", "attach",  "detach"};
    json_t *links = json_array();

    for (size_t i = 0; i < PCN_ARRAY_SIZE(names); i++)
        json_array_append_new(links, json_pack("{s:s, s:o}", "rel", names[i], "href",
                                               json_sprintf("%s%s/", request->base_url, names[i])));
    pcn_answer_json(answer, 200, links);
}

static void show_version(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    pcn_answer_json(answer, 200, json_pack("{s:{s:s}}", "polycubed", "version", "v" PCN_VERSION));
    answer->cacheable = true;
}

/* ---- services ---- */

static json_t *service_object(const struct pcn_service *service)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "name", service->kind->name, "servicecontroller", service->path,
                     "description", service->kind->description ? service->kind->description : "", "version",
                     service->kind->version ? service->kind->version : "");
}

static void show_services(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    json_t *services;

    if (request->n_segments > 1) {
        const struct pcn_service *service = pcn_service_find(daemon, request->segments[1]);

        if (!service) {
            answer_set(answer, PCN_ERROR_NOT_FOUND, "name", "there is no service of that name");
            return;
        }
        services = json_pack("[{s:s, s:s, s:s}]", "name", service->kind->name, "servicecontroller", service->path,
                             "datamodel", service->kind->yang);
        pcn_answer_json(answer, 200, services);
        return;
    }
    services = json_array();
    for (const struct pcn_service *service = daemon->services; service; service = service->hh.next)
        json_array_append_new(services, service_object(service));
    pcn_answer_json(answer, 200, services);
}

static void add_service(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    const char *type = body_string(request, "type", answer), *uri, *name;
    struct pcn_error error = {};

    uri = type ? body_string(request, "uri", answer) : NULL;
    name = uri ? body_string(request, "name", answer) : NULL;
    if (!name)
        return;
    if (!pcn_streq(type, "lib")) {
        answer_set(answer, PCN_ERROR_INVALID_VALUE, "type", "the type of a service is \"lib\": a shared object");
        return;
    }
    if (pcn_service_load(daemon, uri, name, &error) < 0)
        pcn_answer_error(answer, &error);
    else
        answer->status = 200;
}

static void remove_service(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    struct pcn_error error = {};

    if (request->n_segments < 2)
        pcn_answer_not_allowed(answer, "GET, POST, OPTIONS");
    else if (pcn_service_unload(daemon, request->segments[1], &error) < 0)
        pcn_answer_error(answer, &error);
    else
        answer->status = 204;
}

/* ---- cubes ---- */

static json_t *cube_object(struct pcn_daemon *daemon, const struct pcn_cube *cube, const char *base_url)
{
    _cleanup_free_ char *text = NULL;
    bool cacheable;
    size_t length;

    if (pcn_member_show(daemon, pcn_member_of(cube), base_url, NULL, 0, NULL, &text, &length, &cacheable, NULL) < 0)
        return NULL;
    return json_loadb(text, length, 0, NULL);
}

static void show_cubes(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    const struct pcn_cube *cube;
    json_t *all;

    if (request->n_segments > 1) {
        cube = pcn_chain_cube(daemon->chain, request->segments[1]);
        if (cube)
            pcn_answer_json(answer, 200, cube_object(daemon, cube, request->base_url));
        else
            pcn_answer_text(answer, 404, "Cube %s does not exist", request->segments[1]);
        return;
    }
    all = json_object();
    for (cube = pcn_chain_cube_next(daemon->chain, NULL); cube; cube = pcn_chain_cube_next(daemon->chain, cube)) {
        json_t *list = json_object_get(all, cube->kind->name);

        if (!list) {
            list = json_array();
            json_object_set_new(all, cube->kind->name, list);
        }
        json_array_append_new(list, cube_object(daemon, cube, request->base_url));
    }
    pcn_answer_json(answer, 200, all);
}

static int cube_add(struct pcn_daemon *daemon, struct pcn_transaction *transaction, json_t *body,
                    struct pcn_error *error)
{
    const char *service_name = json_string_value(json_object_get(body, "service-name"));
    const char *name = json_string_value(json_object_get(body, "name"));
    struct pcn_service *service;

    if (!service_name)
        return pcn_error_set(error, PCN_ERROR_MISSING_ATTRIBUTE, "service-name",
                             "each cube of the array names its service in \"service-name\"");
    if (!name)
        return pcn_error_set(error, PCN_ERROR_MISSING_ATTRIBUTE, "name", "a cube needs a name");
    service = pcn_service_find(daemon, service_name);
    if (!service)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "service-name", "there is no service %s", service_name);
    /* Of another daemon, or of this one before: as GET shows them. */
    pcn_schema_strip(service->schema, body);
    return pcn_transaction_create(transaction, service, name, body, error);
}

static void add_cubes(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    _cleanup_(pcn_transaction_freep) struct pcn_transaction *transaction = NULL;
    struct pcn_error error = {};
    int r;

    if (!json_is_array(request->body)) {
        answer_set(answer, PCN_ERROR_INVALID_VALUE, "",
                   "the body is an array of cubes: [{\"name\": \"r1\", \"service-name\": \"router\"}]");
        return;
    }
    r = pcn_transaction_new(daemon, &transaction);
    for (size_t i = 0; i < json_array_size(request->body) && r >= 0; i++)
        r = cube_add(daemon, transaction, json_array_get(request->body, i), &error);
    if (r >= 0)
        r = pcn_transaction_commit(transaction, &error);
    if (r < 0)
        pcn_answer_error(answer, &error);
    else
        answer->status = 201;
}

/* ---- netdevs ---- */

struct netdevs {
    struct pcn_daemon *daemon;
    const char *only; /* NULL: all */
    json_t *list;
};

static void netdev_address(void *data, const char *address)
{
    json_array_append_new(data, json_string(address));
}

static void netdev_add(void *data, const struct pcn_net_device *device)
{
    struct netdevs *netdevs = data;
    json_t *entry, *addresses;

    if (!device->up || device->loopback || pcn_slowpath_owns(&netdevs->daemon->bpf, device->name) ||
        (netdevs->only && !pcn_streq(netdevs->only, device->name)))
        return;
    addresses = json_array();
    pcn_net_addresses(netdevs->daemon->net, device->ifindex, netdev_address, addresses);
    entry = json_pack("{s:s}", "name", device->name);
    if (json_array_size(addresses))
        json_object_set(entry, "addresses", addresses);
    json_decref(addresses);
    json_array_append_new(netdevs->list, entry);
}

static void show_netdevs(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    struct netdevs netdevs = {.daemon = daemon, .list = json_array()};
    json_t *one;

    if (request->n_segments > 1)
        netdevs.only = request->segments[1];
    pcn_net_each(daemon->net, netdev_add, &netdevs);
    if (!netdevs.only) {
        pcn_answer_json(answer, 200, netdevs.list);
        return;
    }
    one = json_array_get(netdevs.list, 0);
    if (one)
        pcn_answer_json(answer, 200, json_incref(one));
    else
        pcn_answer_text(answer, 404, "Interface %s does not exist or is down", netdevs.only);
    json_decref(netdevs.list);
}

/* ---- topology ---- */

/* "th1 ---> r1:p1 ---> stack"; backwards for egress. */
static json_t *chain_text(const struct pcn_netdev *netdev, bool egress)
{
    const char *names[2 * PCN_STACK_MAX + 2];
    size_t n = 0, length = 0;
    char text[4096] = "";
    char peer[2 * PCN_NAME_MAX + 2];

    for (size_t i = 0; netdev && i < netdev->stack.n; i++)
        names[n++] = netdev->stack.cubes[i]->name;
    for (size_t i = netdev && netdev->port ? netdev->port->stack.n : 0; i-- > 0;)
        names[n++] = netdev->port->stack.cubes[i]->name;
    if (netdev && netdev->port) {
        (void)snprintf(peer, sizeof(peer), "%s:%s", netdev->port->cube->name, netdev->port->name);
        names[n++] = peer;
    }
    for (size_t i = 0; i < n; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s ---> ", names[egress ? n - 1 - i : i]);
    /* Polycube ends both with the stack. */
    (void)snprintf(text + length, sizeof(text) - length, "stack");
    return json_string(text);
}

static void show_device_topology(struct pcn_daemon *daemon, const char *name, struct pcn_answer *answer)
{
    const struct pcn_netdev *netdev = pcn_chain_netdev(daemon->chain, name);
    struct pcn_net_device device;
    json_t *cubes;

    if (pcn_net_by_name(daemon->net, name, &device) < 0) {
        pcn_answer_text(answer, 404, "Interface %s does not exist or is down", name);
        return;
    }
    cubes = json_array();
    for (size_t i = 0; netdev && i < netdev->stack.n; i++) {
        const struct pcn_cube *cube = netdev->stack.cubes[i];

        json_array_append_new(cubes, json_sprintf("%s,\t%u,\t%u", cube->name, cube->id * 2u, cube->id * 2u + 1));
    }
    pcn_answer_json(answer, 200,
                    json_pack("{s:s, s:o, s:o, s:o}", "name", name, "cubes, ingress_index, egress_index", cubes,
                              "ingress service chain", chain_text(netdev, false), "egress service chain",
                              chain_text(netdev, true)));
}

static void show_topology(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    json_t *all;

    if (request->n_segments > 1) {
        show_device_topology(daemon, request->segments[1], answer);
        return;
    }
    all = json_array();
    for (const struct pcn_cube *cube = pcn_chain_cube_next(daemon->chain, NULL); cube;
         cube = pcn_chain_cube_next(daemon->chain, cube))
        json_array_append_new(all, cube_object(daemon, cube, request->base_url));
    pcn_answer_json(answer, 200, all);
}

/* ---- wiring ---- */

static struct pcn_port *port_find(const struct pcn_daemon *daemon, const char *text)
{
    const char *colon = strchr(text, ':');
    char name[PCN_NAME_MAX + 1];
    struct pcn_cube *cube;

    if (!colon)
        return NULL;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
    cube = pcn_chain_cube(daemon->chain, name);
    return cube ? pcn_port_by_name(cube, colon + 1) : NULL;
}

static int peer_edit(struct pcn_transaction *transaction, struct pcn_port *port, const char *peer,
                     struct pcn_error *error)
{
    const char *const path[] = {"ports", port->name, "peer"};
    json_t *value = json_string(peer);
    int r;

    if (!value)
        return -ENOMEM;
    r = pcn_transaction_edit(transaction, pcn_member_of(port->cube), PCN_EDIT_UPDATE, path, PCN_ARRAY_SIZE(path), value,
                             error);
    json_decref(value);
    return r;
}

/* Both ends in one transaction; one of them may be a device. */
static int connect_ends(struct pcn_daemon *daemon, const char *first, const char *second, bool connect,
                        struct pcn_error *error)
{
    _cleanup_(pcn_transaction_freep) struct pcn_transaction *transaction = NULL;
    const char *ends[2] = {first, second};
    struct pcn_port *ports[2];
    int r;

    for (int i = 0; i < 2; i++) {
        ports[i] = port_find(daemon, ends[i]);
        if (!ports[i] && strchr(ends[i], ':'))
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, i ? "peer2" : "peer1",
                                 "Port %s does not exist (a peer is cube:port or the name of a device)", ends[i]);
    }
    if (!ports[0] && !ports[1])
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "peer1", "one of the two must be a port, cube:port");
    r = pcn_transaction_new(daemon, &transaction);
    for (int i = 0; i < 2 && r >= 0; i++) {
        if (!ports[i])
            continue;
        if (connect && ports[i]->peer[0])
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, i ? "peer2" : "peer1", "%s already has a peer %s",
                                 ends[i], ports[i]->peer);
        if (!connect && !pcn_streq(ports[i]->peer, ends[!i]))
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, i ? "peer2" : "peer1", "%s is not connected to %s",
                                 ends[i], ends[!i]);
        r = peer_edit(transaction, ports[i], connect ? ends[!i] : "", error);
    }
    return r < 0 ? r : pcn_transaction_commit(transaction, error);
}

static void wire(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer, bool connect)
{
    const char *first = body_string(request, "peer1", answer);
    const char *second = first ? body_string(request, "peer2", answer) : NULL;
    struct pcn_error error = {};

    if (!second)
        return;
    if (connect_ends(daemon, first, second, connect, &error) < 0)
        pcn_answer_error(answer, &error);
    else
        answer->status = 200;
}

static void do_connect(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    wire(daemon, request, answer, true);
}

static void do_disconnect(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    wire(daemon, request, answer, false);
}

static int position_parse(const json_t *body, enum pcn_position *ret_position, const char **ret_other,
                          struct pcn_error *error)
{
    const char *position = json_string_value(json_object_get(body, "position"));
    const char *before = json_string_value(json_object_get(body, "before"));
    const char *after = json_string_value(json_object_get(body, "after"));

    if (!!position + !!before + !!after > 1)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "position", "give only one of position, before and after");
    *ret_position = before ? PCN_POSITION_BEFORE : after ? PCN_POSITION_AFTER : PCN_POSITION_AUTO;
    *ret_other = before ? before : after;
    if (!position || pcn_streq(position, "auto"))
        return 0;
    *ret_position = PCN_POSITION_FIRST;
    if (pcn_streq(position, "first"))
        return 0;
    *ret_position = PCN_POSITION_LAST;
    if (pcn_streq(position, "last"))
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "position", "\"%s\" is none of auto, first and last",
                         position);
}

static void stack(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer, bool attach)
{
    const char *name = body_string(request, "cube", answer), *other = NULL;
    const char *target = name ? body_string(request, "port", answer) : NULL;
    enum pcn_position position = PCN_POSITION_AUTO;
    struct pcn_error error = {};
    struct pcn_cube *cube;
    int r;

    if (!target)
        return;
    cube = pcn_chain_cube(daemon->chain, name);
    r = cube ? 0 : pcn_error_set(&error, PCN_ERROR_INVALID_VALUE, "cube", "Cube %s does not exist", name);
    if (r >= 0 && attach)
        r = position_parse(request->body, &position, &other, &error);
    if (r >= 0 && attach)
        r = pcn_chain_attach(cube, target, position, other, &error);
    else if (r >= 0)
        r = pcn_chain_detach(cube, target, &error);
    if (r < 0) {
        pcn_answer_error(answer, &error);
        return;
    }
    pcn_generation_next(pcn_member_of(cube));
    answer->status = 200;
}

static void do_attach(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    stack(daemon, request, answer, true);
}

static void do_detach(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    stack(daemon, request, answer, false);
}

/* ---- dispatch ---- */

static const struct {
    const char *name; /* first segment */
    size_t segments;  /* at most */
    const char *allow;
    route_fn *verbs[PCN_VERB_MAX];
} routes[] = {
    {"version", 1, "GET, OPTIONS", {[PCN_VERB_GET] = show_version}},
    {"services",
     2,
     "GET, POST, DELETE, OPTIONS",
     {[PCN_VERB_GET] = show_services, [PCN_VERB_POST] = add_service, [PCN_VERB_DELETE] = remove_service}},
    {"cubes", 2, "GET, POST, OPTIONS", {[PCN_VERB_GET] = show_cubes, [PCN_VERB_POST] = add_cubes}},
    {"netdevs", 2, "GET, OPTIONS", {[PCN_VERB_GET] = show_netdevs}},
    {"topology", 2, "GET, OPTIONS", {[PCN_VERB_GET] = show_topology}},
    {"connect", 1, "POST, OPTIONS", {[PCN_VERB_POST] = do_connect}},
    {"disconnect", 1, "POST, OPTIONS", {[PCN_VERB_POST] = do_disconnect}},
    {"attach", 1, "POST, OPTIONS", {[PCN_VERB_POST] = do_attach}},
    {"detach", 1, "POST, OPTIONS", {[PCN_VERB_POST] = do_detach}},
};

bool pcn_route_framework(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    if (!request->n_segments) {
        if (request->verb == PCN_VERB_GET)
            show_root(daemon, request, answer);
        else if (request->verb == PCN_VERB_OPTIONS)
            pcn_help_framework(daemon, request, answer);
        else
            pcn_answer_not_allowed(answer, "GET, OPTIONS");
        return true;
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(routes); i++) {
        if (!pcn_streq(routes[i].name, request->segments[0]))
            continue;
        if (request->n_segments > routes[i].segments)
            pcn_answer_text(answer, 404, "Cannot find a matching route.");
        else if (request->verb == PCN_VERB_OPTIONS) {
            pcn_help_framework(daemon, request, answer);
            if (!answer->allow)
                answer->allow = strdup(routes[i].allow);
        } else if (routes[i].verbs[request->verb])
            routes[i].verbs[request->verb](daemon, request, answer);
        else
            pcn_answer_not_allowed(answer, routes[i].allow);
        return true;
    }
    return false;
}

/* What chooses entries to be shown must not seem to choose those that are deleted. */
static bool is_of_get(const struct pcn_request *request, struct pcn_answer *answer)
{
    struct pcn_error error = {};

    if (request->verb == PCN_VERB_GET || request->verb == PCN_VERB_OPTIONS ||
        !(request->page.offset || request->page.limit || request->page.filter))
        return true;
    pcn_error_set(&error, PCN_ERROR_BAD_ATTRIBUTE, "",
                  "query: offset, limit and filter are of GET: they choose what is shown, not what is changed");
    pcn_answer_error(answer, &error);
    return false;
}

void pcn_request_handle(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *ret_answer)
{
    *ret_answer = (struct pcn_answer){};
    if (!is_of_get(request, ret_answer))
        return;
    if (!pcn_route_framework(daemon, request, ret_answer))
        pcn_route_cube(daemon, request, ret_answer);
}
