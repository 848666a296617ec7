/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `openapi`: the REST resources of a kind, as the daemon serves them, in an
 * OpenAPI 3.1 document. Each node of the model is a path, below that of the
 * node it is in; a list is two: its collection and an entry.
 */
#include "schema.h"

struct document {
    const struct pcn_gen *gen;
    json_t *paths;
    json_t *schemas;
    json_t *tags;
};

/* Where a node is: its URL, the parameters in it, its name in operation ids, its tag. */
struct place {
    char *url;
    json_t *parameters;
    char *id;
    const char *tag;
};

static void place_done(struct place *place)
{
    free(place->url);
    free(place->id);
    json_decref(place->parameters);
    *place = (struct place){};
}

static struct place place_below(const struct place *above, const char *name, const char *tag)
{
    struct place place = {.parameters = json_copy(above->parameters), .tag = tag};

    if (asprintf(&place.url, "%s/%s", above->url, name) < 0 || asprintf(&place.id, "%s_%s", above->id, name) < 0 ||
        !place.parameters)
        abort();
    return place;
}

/* A key's segment. Parameters of one path have different names: the list's path is in them. */
static void place_add_key(struct place *place, const char *name, json_t *schema, const char *description)
{
    char *url;

    if (asprintf(&url, "%s/{%s}", place->url, name) < 0)
        abort();
    free(place->url);
    place->url = url;
    json_array_append_new(place->parameters, json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", name, "in", "path",
                                                       "required", 1, "description", description, "schema", schema));
}

/* ---- operations ---- */

static json_t *reference(const char *section, const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/components/%s/%s", section, name));
}

static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

static json_t *answer(const char *description, json_t *schema)
{
    json_t *response = json_pack("{s:s}", "description", description);

    if (schema)
        json_object_set_new(response, "content", content("application/yang.data+json", schema));
    return response;
}

static json_t *operation(const struct place *place, const char *verb, const char *summary, const char *code,
                         json_t *response)
{
    json_t *responses = json_object();

    json_object_set_new(responses, code, response);
    for (const char *const *c = (const char *const[]){"400", "404", "405", "409", "412", "500", NULL}; *c; c++)
        json_object_set_new(responses, *c, reference("responses", "error"));
    return json_pack("{s:o, s:s, s:[s], s:o}", "operationId", json_sprintf("%s_%s", place->id, verb), "summary",
                     summary, "tags", place->tag, "responses", responses);
}

static void add_body(json_t *operation, json_t *schema, bool required)
{
    json_object_set_new(operation, "requestBody",
                        json_pack("{s:b, s:o}", "required", required, "content", content("application/json", schema)));
}

static void add_parameter(json_t *operation, const char *name)
{
    json_t *parameters = json_object_get(operation, "parameters");

    if (!parameters) {
        parameters = json_array();
        json_object_set_new(operation, "parameters", parameters);
    }
    json_array_append_new(parameters, reference("parameters", name));
}

static json_t *read_operation(const struct place *place, const char *verb, json_t *schema)
{
    json_t *get = operation(place, verb, "Show it", "200", answer("What it is now", schema));

    json_object_set_new(json_object_get(json_object_get(get, "responses"), "200"), "headers",
                        json_pack("{s:o}", "ETag", reference("headers", "etag")));
    return get;
}

static json_t *write_operation(const struct place *place, const char *verb, const char *summary, const char *code,
                               json_t *body)
{
    json_t *write = operation(place, verb, summary, code, answer("Done", NULL));

    add_parameter(write, "if-match");
    if (body)
        add_body(write, body, true);
    return write;
}

/* help: "help", and for a collection "helpAll", so that ids differ. */
static json_t *path_add(struct document *document, const struct place *place, const char *help_id,
                        const char *description)
{
    json_t *item = json_object(), *help;

    if (description)
        json_object_set_new(item, "description", json_string(description));
    if (json_array_size(place->parameters))
        json_object_set_new(item, "parameters", json_copy(place->parameters));
    help = operation(place, help_id, "Help for a shell, or words that complete a command", "200",
                     answer("Help; with `completion`, an array of words", reference("schemas", "help")));
    add_parameter(help, "help");
    add_parameter(help, "completion");
    json_object_set_new(item, "options", help);
    json_object_set_new(document->paths, place->url, item);
    return item;
}

/* ---- nodes ---- */

static void walk(struct document *document, const struct lysc_node *unit, const struct place *place);

static void add_schemas(struct document *document, const struct lysc_node *unit)
{
    for (enum pcn_gen_body body = PCN_GEN_ANSWER; body < PCN_GEN_BODY_MAX; body++) {
        _cleanup_free_ char *name = NULL;

        if (body != PCN_GEN_ANSWER && pcn_gen_is_state(unit))
            continue;
        name = pcn_gen_schema_name(document->gen, unit, body);
        json_object_set_new(document->schemas, name, pcn_gen_unit_schema(document->gen, unit, body));
    }
}

/* An object that can be created, replaced, updated, deleted: the cube, a container, an entry. */
static void add_object(struct document *document, const struct lysc_node *unit, const struct place *place)
{
    const struct pcn_gen *gen = document->gen;
    json_t *item = path_add(document, place, "help", unit->dsc);

    json_object_set_new(item, "get", read_operation(place, "read", pcn_gen_unit_reference(gen, unit, PCN_GEN_ANSWER)));
    if (pcn_gen_is_state(unit))
        return;
    json_object_set_new(item, "post",
                        write_operation(place, "create", "Create it; it must not exist", "201",
                                        pcn_gen_unit_reference(gen, unit, PCN_GEN_CREATE)));
    json_object_set_new(item, "put",
                        write_operation(place, "replace", "Create it, or put this in place of what there is", "201",
                                        pcn_gen_unit_reference(gen, unit, PCN_GEN_CREATE)));
    json_object_set_new(item, "patch",
                        write_operation(place, "update", "Change the members that are given", "201",
                                        pcn_gen_unit_reference(gen, unit, PCN_GEN_UPDATE)));
    json_object_set_new(item, "delete", write_operation(place, "delete", "Delete it", "204", NULL));
}

static json_t *array_of(json_t *items)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", items);
}

static void add_collection(struct document *document, const struct lysc_node *list, const struct place *place)
{
    const struct pcn_gen *gen = document->gen;
    json_t *item = path_add(document, place, "helpAll", list->dsc);
    json_t *get = read_operation(place, "readAll", array_of(pcn_gen_entry_reference(gen, list, PCN_GEN_ANSWER)));

    add_parameter(get, "offset");
    add_parameter(get, "limit");
    json_object_set_new(item, "get", get);
    if (pcn_gen_is_state(list))
        return;
    json_object_set_new(item, "post",
                        write_operation(place, "createAll", "Create these entries; none of them may exist", "201",
                                        array_of(pcn_gen_entry_reference(gen, list, PCN_GEN_CREATE))));
    json_object_set_new(item, "put",
                        write_operation(place, "replaceAll", "Put these entries in place of all there are", "201",
                                        array_of(pcn_gen_entry_reference(gen, list, PCN_GEN_CREATE))));
    json_object_set_new(item, "patch",
                        write_operation(place, "updateAll", "Change these entries; each of them must exist", "201",
                                        array_of(pcn_gen_entry_reference(gen, list, PCN_GEN_UPDATE))));
    json_object_set_new(item, "delete", write_operation(place, "deleteAll", "Delete all entries", "204", NULL));
}

static void add_keys(struct document *document, const struct lysc_node *list, struct place *place)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(list, child))) {
        _cleanup_free_ char *name = NULL;
        size_t size;
        json_t *schema;
        FILE *out;

        if (!pcn_gen_is_key(child))
            continue;
        out = open_memstream(&name, &size);
        if (!out)
            abort();
        pcn_gen_print_path(out, document->gen, child, "-");
        fclose(out);
        schema = pcn_gen_value_schema(child);
        place_add_key(place, name, schema, child->dsc ? child->dsc : "key of the entry");
    }
}

static void add_list(struct document *document, const struct lysc_node *list, const struct place *above,
                     const char *tag)
{
    _cleanup_(place_done) struct place place = place_below(above, list->name, tag);

    add_schemas(document, list);
    add_collection(document, list, &place);
    /* Without keys there is no way to name an entry. */
    if (list->flags & LYS_KEYLESS)
        return;
    add_keys(document, list, &place);
    add_object(document, list, &place);
    walk(document, list, &place);
}

static void add_container(struct document *document, const struct lysc_node *container, const struct place *above,
                          const char *tag)
{
    _cleanup_(place_done) struct place place = place_below(above, container->name, tag);

    add_schemas(document, container);
    add_object(document, container, &place);
    walk(document, container, &place);
}

static void add_leaf(struct document *document, const struct lysc_node *leaf, const struct place *above,
                     const char *tag)
{
    _cleanup_(place_done) struct place place = place_below(above, leaf->name, tag);
    json_t *item = path_add(document, &place, "help", leaf->dsc);

    json_object_set_new(item, "get", read_operation(&place, "read", pcn_gen_value_schema(leaf)));
    if (pcn_gen_is_settable(leaf, PCN_GEN_UPDATE) && !pcn_gen_is_key(leaf))
        json_object_set_new(item, "patch",
                            write_operation(&place, "update", "Set it", "200", pcn_gen_value_schema(leaf)));
}

static void add_leaf_list(struct document *document, const struct lysc_node *leaves, const struct place *above,
                          const char *tag)
{
    _cleanup_(place_done) struct place place = place_below(above, leaves->name, tag);
    json_t *item = path_add(document, &place, "help", leaves->dsc);

    json_object_set_new(item, "get", read_operation(&place, "readAll", array_of(pcn_gen_value_schema(leaves))));
    if (!pcn_gen_is_settable(leaves, PCN_GEN_UPDATE))
        return;
    json_object_set_new(item, "post",
                        write_operation(&place, "createAll", "Add these values; none of them may be there", "201",
                                        array_of(pcn_gen_value_schema(leaves))));
    json_object_set_new(item, "put",
                        write_operation(&place, "replaceAll", "Put these values in place of all there are", "201",
                                        array_of(pcn_gen_value_schema(leaves))));
    json_object_set_new(item, "patch",
                        write_operation(&place, "updateAll", "Add those of these values that are not there", "201",
                                        array_of(pcn_gen_value_schema(leaves))));
    json_object_set_new(item, "delete", write_operation(&place, "deleteAll", "Delete all values", "204", NULL));
}

/* Adds the schema of an action's input or output; NULL if it has no members. */
static json_t *action_body(struct document *document, const struct lysc_node *body, enum pcn_gen_body kind)
{
    _cleanup_free_ char *name = NULL;

    if (!pcn_gen_next(body, NULL))
        return NULL;
    name = pcn_gen_schema_name(document->gen, body, kind);
    json_object_set_new(document->schemas, name, pcn_gen_unit_schema(document->gen, body, kind));
    return pcn_gen_unit_reference(document->gen, body, kind);
}

/* Lists and containers in what an action takes or gives have schemas, and no paths. */
static void add_nested_schemas(struct document *document, const struct lysc_node *body, enum pcn_gen_body kind)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(body, child))) {
        _cleanup_free_ char *name = NULL;

        if (!pcn_gen_is_unit(child))
            continue;
        name = pcn_gen_schema_name(document->gen, child, kind);
        json_object_set_new(document->schemas, name, pcn_gen_unit_schema(document->gen, child, kind));
        add_nested_schemas(document, child, kind);
    }
}

static void add_action(struct document *document, const struct lysc_node *node, const struct place *above,
                       const char *tag)
{
    _cleanup_(place_done) struct place place = place_below(above, node->name, tag);
    const struct lysc_node_action *action = (const struct lysc_node_action *)node;
    json_t *item = path_add(document, &place, "help", node->dsc), *input, *output, *run;
    const struct lysc_node *child = NULL;
    bool required = false;

    input = action_body(document, &action->input.node, PCN_GEN_CREATE);
    output = action_body(document, &action->output.node, PCN_GEN_ANSWER);
    add_nested_schemas(document, &action->input.node, PCN_GEN_CREATE);
    add_nested_schemas(document, &action->output.node, PCN_GEN_ANSWER);
    while ((child = pcn_gen_next(&action->input.node, child)))
        required = required || pcn_gen_is_mandatory(child);
    run = operation(&place, "run", "Run it", "200", answer("What it gave", output ? output : json_pack("{}")));
    if (input)
        add_body(run, input, required);
    json_object_set_new(item, "post", run);
}

static void walk(struct document *document, const struct lysc_node *unit, const struct place *place)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(unit, child))) {
        bool top = unit == document->gen->cube && !(child->nodetype & (LYS_LEAF | LYS_LEAFLIST));
        const char *tag = top ? child->name : place->tag;

        if (top)
            json_array_append_new(document->tags, json_pack("{s:s, s:s}", "name", tag, "description",
                                                            child->dsc ? child->dsc : child->name));
        if (child->nodetype == LYS_LIST)
            add_list(document, child, place, tag);
        else if (child->nodetype == LYS_CONTAINER)
            add_container(document, child, place, tag);
        else if (child->nodetype == LYS_LEAFLIST)
            add_leaf_list(document, child, place, tag);
        else if (child->nodetype == LYS_ACTION)
            add_action(document, child, place, tag);
        else if (child->nodetype == LYS_LEAF)
            add_leaf(document, child, place, tag);
    }
}

/* ---- the document ---- */

static void add_cubes(struct document *document, const struct place *place)
{
    const struct pcn_gen *gen = document->gen;
    json_t *item = path_add(document, place, "helpAll", "All cubes of this kind");
    json_t *one = pcn_gen_entry_reference(gen, gen->cube, PCN_GEN_CREATE);
    json_t *body = json_pack("{s:[o, o]}", "oneOf", one, array_of(json_deep_copy(one)));

    json_object_set_new(
        item, "get",
        operation(place, "readAll", "Show all cubes of this kind", "200",
                  answer("The cubes", array_of(pcn_gen_entry_reference(gen, gen->cube, PCN_GEN_ANSWER)))));
    json_object_set_new(item, "post",
                        write_operation(place, "createAll", "Create a cube, or an array of cubes", "201", body));
}

static void add_cube(struct document *document)
{
    const struct pcn_gen *gen = document->gen;
    _cleanup_(place_done) struct place top = {.parameters = json_array(), .tag = "cube"};

    if (asprintf(&top.url, "/%s", gen->module->name) < 0 || !(top.id = strdup(gen->module->name)))
        abort();
    json_array_append_new(document->tags,
                          json_pack("{s:s, s:s}", "name", "cube", "description", "The cube itself, and its leaves"));
    add_schemas(document, gen->cube);
    add_cubes(document, &top);
    place_add_key(&top, "cube", pcn_gen_value_schema(pcn_gen_next(gen->cube, NULL)), "name of the cube");
    add_object(document, gen->cube, &top);
    walk(document, gen->cube, &top);
}

static const char fixed_components[] =
    "{"
    "\"schemas\": {"
    "\"links\": {\"type\": \"array\", \"description\": \"What is one level below\", \"readOnly\": true, \"items\": {"
    "\"type\": \"object\", \"required\": [\"rel\", \"href\"], \"properties\": {"
    "\"rel\": {\"type\": \"string\"}, \"href\": {\"type\": \"string\"}}}},"
    "\"errors\": {\"type\": \"object\", \"required\": [\"ietf-restconf:errors\"], \"properties\": {"
    "\"ietf-restconf:errors\": {\"type\": \"object\", \"required\": [\"error\"], \"properties\": {"
    "\"error\": {\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"object\","
    "\"required\": [\"error-type\", \"error-tag\"], \"properties\": {"
    "\"error-type\": {\"type\": \"string\", \"enum\": [\"transport\", \"rpc\", \"protocol\", \"application\"]},"
    "\"error-tag\": {\"type\": \"string\", \"description\": \"One of RFC 8040, section 7\"},"
    "\"error-path\": {\"type\": \"string\", \"description\": \"Where, below the cube\"},"
    "\"error-message\": {\"type\": \"string\", \"description\": \"What was wrong, and what would be right\"},"
    "\"error-info\": {\"type\": \"string\", \"description\": \"The field at fault\"}}}}}}}},"
    "\"help\": {\"description\": \"What the shell shows for `?`, or completes with\", \"oneOf\": ["
    "{\"type\": \"object\"}, {\"type\": \"array\", \"items\": {\"type\": \"string\"}}]}},"
    "\"headers\": {\"etag\": {\"description\": \"Changes with each change of the cube\","
    "\"schema\": {\"type\": \"string\"}}},"
    "\"parameters\": {"
    "\"if-match\": {\"name\": \"If-Match\", \"in\": \"header\", \"schema\": {\"type\": \"string\"},"
    "\"description\": \"Do it only if this is still the cube's ETag\"},"
    "\"offset\": {\"name\": \"offset\", \"in\": \"query\", \"description\": \"Entries to leave out at the beginning\","
    "\"schema\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4294967295, \"default\": 0}},"
    "\"limit\": {\"name\": \"limit\", \"in\": \"query\", \"description\": \"Entries to show at most; 0: all\","
    "\"schema\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4294967295, \"default\": 0}},"
    "\"help\": {\"name\": \"help\", \"in\": \"query\", \"description\": \"The verb of the command that help is for\","
    "\"schema\": {\"type\": \"string\", \"enum\": [\"NONE\", \"SHOW\", \"ADD\", \"SET\", \"DEL\", \"NO_HELP\"]}},"
    "\"completion\": {\"name\": \"completion\", \"in\": \"query\", \"allowEmptyValue\": true,"
    "\"description\": \"Words that complete the command, in place of help\", \"schema\": {\"type\": \"string\"}}},"
    "\"responses\": {\"error\": {\"description\": \"Refused: what was wrong, where, and what would be right\","
    "\"content\": {\"application/yang.data+json\": {\"schema\": {\"$ref\": \"#/components/schemas/errors\"}}}}}}";

static json_t *make_document(const struct pcn_gen *gen)
{
    const char *description = pcn_gen_about(gen, "service-description");
    const char *version = pcn_gen_about(gen, "service-version");
    json_t *components = json_loads(fixed_components, 0, NULL);
    struct document document = {.gen = gen, .paths = json_object(), .tags = json_array()};

    if (!components)
        abort();
    document.schemas = json_object_get(components, "schemas");
    add_cube(&document);
    return json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:s, s:s}}, s:[{s:s, s:s}], s:[], s:o, s:o, s:o}", "openapi", "3.1.0",
                     "info", "title", gen->module->name, "version", version ? version : "1.0.0", "description",
                     description ? description : gen->module->name, "license", "name", "Apache-2.0", "identifier",
                     "Apache-2.0", "servers", "url", "http://localhost:9000/polycube/v1", "description",
                     "polycubed's default; a slash at the end of a path is optional", "security", "tags", document.tags,
                     "paths", document.paths, "components", components);
}

static int write_document(const json_t *document, const char *path)
{
    _cleanup_(pcn_gen_file_discardp) struct pcn_gen_file file = {};
    int r;

    if (!path)
        return json_dumpf(document, stdout, JSON_INDENT(1)) < 0 || putchar('\n') < 0 ? -EIO : 0;
    r = pcn_gen_file_open(NULL, path, &file);
    if (r < 0)
        return r;
    if (json_dumpf(document, file.out, JSON_INDENT(1)) < 0)
        return -EIO;
    fputc('\n', file.out);
    return pcn_gen_file_commit(&file);
}

int pcn_gen_openapi(const struct pcn_gen *gen, const char *path)
{
    json_t *document = make_document(gen);
    int r;

    if (!document)
        return -ENOMEM;
    r = write_document(document, path);
    json_decref(document);
    return r;
}
