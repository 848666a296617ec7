/* SPDX-License-Identifier: Apache-2.0 */
#include <daemon/help.h>
#include <stdio.h>

/* ---- pieces ---- */

static json_t *param(const char *name, const char *type, const char *description, const char *example)
{
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "type", type, "simpletype", "string", "description",
                              description);

    if (example)
        json_object_set_new(entry, "example", json_string(example));
    return entry;
}

static void params_add(json_t *params, const char *name, const char *type, const char *description, const char *example)
{
    json_object_set_new(params, name, param(name, type, description, example));
}

static json_t *cube_elements(const struct pcn_daemon *daemon, const struct pcn_cube_kind *kind)
{
    json_t *elements = json_array();

    for (const struct pcn_cube *cube = pcn_chain_cube_next(daemon->chain, NULL); cube;
         cube = pcn_chain_cube_next(daemon->chain, cube)) {
        if (!kind || cube->kind == kind)
            json_array_append_new(elements, json_pack("{s:s}", "name", cube->name));
    }
    return elements;
}

static void complete_cubes(json_t *words, const struct pcn_daemon *daemon, const struct pcn_cube_kind *kind)
{
    for (const struct pcn_cube *cube = pcn_chain_cube_next(daemon->chain, NULL); cube;
         cube = pcn_chain_cube_next(daemon->chain, cube)) {
        if (!kind || cube->kind == kind)
            json_array_append_new(words, json_string(cube->name));
    }
}

static void complete_ports(json_t *words, const struct pcn_daemon *daemon, const char *prefix)
{
    for (const struct pcn_cube *cube = pcn_chain_cube_next(daemon->chain, NULL); cube;
         cube = pcn_chain_cube_next(daemon->chain, cube)) {
        for (const struct pcn_port *port = cube->ports; port; port = port->hh.next)
            json_array_append_new(words, json_sprintf("%s%s:%s", prefix, cube->name, port->name));
    }
}

struct device_words {
    json_t *words;
    const struct pcn_daemon *daemon;
    const char *prefix;
};

static void complete_device(void *data, const struct pcn_net_device *device)
{
    const struct device_words *words = data;

    if (device->up && !device->loopback && !pcn_slowpath_owns(&words->daemon->bpf, device->name))
        json_array_append_new(words->words, json_sprintf("%s%s", words->prefix, device->name));
}

static void complete_devices(json_t *words, const struct pcn_daemon *daemon, const char *prefix)
{
    struct device_words data = {.words = words, .daemon = daemon, .prefix = prefix};

    pcn_net_each(daemon->net, complete_device, &data);
}

/* ---- root ---- */

static const struct {
    const char *name;
    const char *description;
} commands[] = {
    {"connect", "Connect two ports, or a port and a device"},
    {"disconnect", "Undo a connection"},
    {"attach", "Attach a transparent cube to a port or a device"},
    {"detach", "Detach a transparent cube"},
    {"services", "Show, load and unload the kinds of cubes"},
    {"cubes", "Show all cubes, or add several at once"},
    {"topology", "Show the topology of the running cubes"},
    {"netdevs", "Show the devices that ports can be connected to"},
    {"version", "Show the version of the daemon"},
};

static void help_root(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    json_t *words, *params;

    if (request->completion) {
        words = json_array();
        for (const struct pcn_service *service = daemon->services; service; service = service->hh.next)
            json_array_append_new(words, json_string(service->kind->name));
        for (size_t i = 0; i < PCN_ARRAY_SIZE(commands); i++)
            json_array_append_new(words, json_string(commands[i].name));
        complete_cubes(words, daemon, NULL);
        pcn_answer_json(answer, 200, words);
        return;
    }
    params = json_object();
    for (const struct pcn_service *service = daemon->services; service; service = service->hh.next)
        params_add(params, service->kind->name, "service", service->kind->description ? service->kind->description : "",
                   NULL);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(commands); i++)
        params_add(params, commands[i].name, "command", commands[i].description, NULL);
    pcn_answer_json(
        answer, 200,
        json_pack("{s:[], s:o, s:o}", "commands", "params", params, "elements", cube_elements(daemon, NULL)));
}

/* ---- commands ---- */

static json_t *wire_params(const char *first, const char *second)
{
    json_t *params = json_object();

    params_add(params, first, "key", "A port, cube:port, or a device", "br1:p1");
    params_add(params, second, "key", "A port, cube:port, or a device", "eth0");
    return params;
}

static json_t *stack_params(void)
{
    json_t *params = json_object();

    params_add(params, "cube", "key", "The transparent cube", "fw1");
    params_add(params, "port", "key", "A port, cube:port, or a device", "r1:p1");
    return params;
}

static json_t *position_params(void)
{
    json_t *params = json_object();

    params_add(params, "position", "leaf", "auto, first or last", "first");
    params_add(params, "before", "leaf", "Before this cube", "nat1");
    params_add(params, "after", "leaf", "After this cube", "nat1");
    return params;
}

static void help_wiring(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    const char *name = request->segments[0];
    bool stack = pcn_streq(name, "attach") || pcn_streq(name, "detach");
    json_t *words, *help;

    if (request->completion) {
        words = json_array();
        for (const struct pcn_cube *cube = stack ? pcn_chain_cube_next(daemon->chain, NULL) : NULL; cube;
             cube = pcn_chain_cube_next(daemon->chain, cube)) {
            if (cube->kind->shape == PCN_TRANSPARENT)
                json_array_append_new(words, json_string(cube->name));
        }
        complete_ports(words, daemon, "");
        complete_devices(words, daemon, "");
        pcn_answer_json(answer, 200, words);
        return;
    }
    help = json_pack("{s:[], s:o}", "commands", "params", stack ? stack_params() : wire_params("peer1", "peer2"));
    if (pcn_streq(name, "attach"))
        json_object_set_new(help, "optional-params", position_params());
    pcn_answer_json(answer, 200, help);
}

static json_t *service_params(void)
{
    json_t *params = json_object();

    params_add(params, "type", "key", "lib", "lib");
    params_add(params, "uri", "key", "The shared object, a path or a name in the cubes' directory", "libpcn-x.so");
    params_add(params, "name", "key", "The name of the service", "x");
    return params;
}

static void complete_framework(struct pcn_daemon *daemon, const struct pcn_request *request, json_t *words)
{
    const char *name = request->segments[0];

    if (pcn_streq(name, "services")) {
        for (const struct pcn_service *service = daemon->services; service; service = service->hh.next)
            json_array_append_new(words, json_string(service->kind->name));
    } else if (pcn_streq(name, "cubes")) {
        complete_cubes(words, daemon, NULL);
    } else if (!pcn_streq(name, "version")) {
        complete_devices(words, daemon, "");
    }
}

static void help_collection(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    bool services = pcn_streq(request->segments[0], "services"), cubes = pcn_streq(request->segments[0], "cubes");
    json_t *words = json_array(), *help, *verbs;

    if (request->n_segments == 1)
        complete_framework(daemon, request, words);
    verbs = services ? json_pack("[sss]", "add", "del", "show")
            : cubes  ? json_pack("[ss]", "add", "show")
                     : json_pack("[s]", "show");
    if (request->completion) {
        if (request->n_segments == 1 && request->help == PCN_HELP_NONE)
            json_array_extend(words, verbs);
        json_decref(verbs);
        pcn_answer_json(answer, 200, words);
        return;
    }
    help = json_pack("{s:o, s:o}", "commands", verbs, "params",
                     services && request->help == PCN_HELP_ADD ? service_params() : json_object());
    json_object_set_new(help, "elements", json_array());
    for (size_t i = 0; i < json_array_size(words); i++)
        json_array_append_new(json_object_get(help, "elements"), json_pack("{s:O}", "name", json_array_get(words, i)));
    json_decref(words);
    pcn_answer_json(answer, 200, help);
}

void pcn_help_framework(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer)
{
    static const char *const wiring[] = {"connect", "disconnect", "attach", "detach"};

    if (!request->n_segments) {
        help_root(daemon, request, answer);
        return;
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(wiring); i++) {
        if (pcn_streq(wiring[i], request->segments[0])) {
            help_wiring(daemon, request, answer);
            return;
        }
    }
    help_collection(daemon, request, answer);
}

/* ---- a service ---- */

int pcn_help_service(struct pcn_daemon *daemon, const struct pcn_service *service, const struct pcn_request *request,
                     char **ret_text, struct pcn_error *error)
{
    struct pcn_state_hooks hooks = {};
    json_t *answer, *params;

    if (request->help == PCN_HELP_ADD && request->completion) {
        *ret_text = strdup("[\"<name>\"]");
        return *ret_text ? 0 : -ENOMEM;
    }
    if (request->help == PCN_HELP_ADD)
        return pcn_schema_help(service->schema, NULL, &hooks, NULL, 0, request->help, request->completion, ret_text,
                               error);
    if (request->completion) {
        answer = json_array();
        if (request->help == PCN_HELP_NONE || request->help == PCN_HELP_NO_HELP) {
            json_array_append_new(answer, json_string("add"));
            json_array_append_new(answer, json_string("del"));
            json_array_append_new(answer, json_string("show"));
        }
        complete_cubes(answer, daemon, service->kind);
    } else {
        params = json_object();
        params_add(params, "name", "key", "Name of the cube", NULL);
        answer = json_pack("{s:[sss], s:o, s:o}", "commands", "add", "del", "show", "params", params, "elements",
                           cube_elements(daemon, service->kind));
    }
    *ret_text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    return *ret_text ? 0 : -ENOMEM;
}
