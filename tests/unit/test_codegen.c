/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcn-codegen as its users run it: what it prints is read back, what it writes
 * is compiled by the compilers that the build uses.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <harness/suite.h>
#include <jansson.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CODEGEN PCN_BUILD_DIR "/bin/pcn-codegen"
#define TEXT_MAX 8192

static char directory[] = "/tmp/pcn-test-codegen.XXXXXX";

static const char *const kinds[] = {"helloworld", "router", "simplebridge", "simpleforwarder", "transparenthelloworld"};

/* ---- commands and files ---- */

static void run_shell(int out, const char *words)
{
    if (chdir(directory) == 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
        execl("/bin/sh", "sh", "-c", words, NULL);
    _exit(127);
}

/* By sh, in the test's directory. Exit code, or -1; the first TEXT_MAX - 1 bytes that it said. */
static int command(char ret_text[TEXT_MAX], const char *format, ...) PCN_PRINTF(2, 3);
static int command(char ret_text[TEXT_MAX], const char *format, ...)
{
    _cleanup_close_ int in = -1, out = -1;
    int ends[2], status = -1;
    char words[4096];
    size_t length = 0;
    va_list arguments;
    ssize_t n;
    pid_t pid;

    ret_text[0] = 0;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    in = ends[0];
    out = ends[1];
    pid = fork();
    if (pid == 0)
        run_shell(out, words);
    pcn_closep(&out);
    while ((n = read(in, ret_text + length, TEXT_MAX - 1 - length)) > 0)
        length += (size_t)n;
    ret_text[length] = 0;
    pcn_closep(&in);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void file_write(const char *name, const char *text)
{
    char path[256];
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    out = fopen(path, "we");
    if (!PCN_CHECK(out != NULL))
        return;
    fputs(text, out);
    fclose(out);
}

/* A module on the standard or the transparent base, with a body of its own, in <name>.yang. */
static void module_write(const char *name, const char *base, const char *body)
{
    char text[TEXT_MAX], file[128];

    (void)snprintf(text, sizeof(text),
                   "module %s {\n yang-version 1.1;\n namespace \"urn:%s\";\n prefix \"%s\";\n"
                   " import polycube-base { prefix \"polycube-base\"; }\n"
                   " import polycube-%s-base { prefix \"base\"; }\n"
                   " polycube-base:service-description \"A \\\"module\\\" of the\n   tests.\";\n"
                   " uses \"base:%s-base-yang-module\";\n %s\n}\n",
                   name, name, name, base, base, body);
    (void)snprintf(file, sizeof(file), "%s.yang", name);
    file_write(file, text);
}

/* Number of entries of a directory, hidden ones included. */
static unsigned int entries(const char *name)
{
    char path[256];
    unsigned int n = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += !pcn_streq(entry->d_name, ".") && !pcn_streq(entry->d_name, "..");
    closedir(dir);
    return n;
}

/* ---- OpenAPI ---- */

static void fault(const char *where, const char *what)
{
    printf("    %s: %s\n", where, what);
    PCN_CHECK(!"the document is right");
}

/* "#/a/b": the object there, or NULL. */
static json_t *resolve(json_t *document, const char *reference)
{
    char copy[512], *rest = copy;

    if (strncmp(reference, "#/", 2) != 0)
        return NULL;
    (void)snprintf(copy, sizeof(copy), "%s", reference + 2);
    for (char *name; document && (name = strsep(&rest, "/"));)
        document = json_object_get(document, name);
    return document;
}

static json_t *follow(json_t *document, json_t *node)
{
    const char *reference = json_string_value(json_object_get(node, "$ref"));

    return reference ? resolve(document, reference) : node;
}

/* Every $ref, wherever it is. Returns how many there are. */
static size_t check_references(json_t *document, json_t *node)
{
    const char *key;
    json_t *value;
    size_t i, n = 0;

    if (json_is_object(node)) {
        json_object_foreach (node, key, value) {
            if (pcn_streq(key, "$ref") && json_is_string(value)) {
                n++;
                if (!resolve(document, json_string_value(value)))
                    fault(json_string_value(value), "leads nowhere");
            }
            n += check_references(document, value);
        }
    }
    json_array_foreach (node, i, value)
        n += check_references(document, value);
    return n;
}

static void check_schema(const char *where, json_t *document, json_t *schema)
{
    static const char *const types[] = {"object", "array", "string", "integer", "number", "boolean", "null"};
    const char *type = json_string_value(json_object_get(schema, "type"));
    json_t *required = json_object_get(schema, "required"), *properties = json_object_get(schema, "properties");
    json_t *name, *property;
    const char *key;
    bool known = !type;
    size_t i;

    if (!json_is_object(schema)) {
        fault(where, "a schema that is no object");
        return;
    }
    for (i = 0; type && i < PCN_ARRAY_SIZE(types); i++)
        known = known || pcn_streq(type, types[i]);
    if (!known)
        fault(where, "a type that JSON schema does not have");
    if (type && pcn_streq(type, "array") && !json_object_get(schema, "items"))
        fault(where, "an array without items");
    json_array_foreach (required, i, name)
        if (!json_object_get(properties, json_string_value(name)))
            fault(where, "requires what it does not describe");
    if (required && json_array_size(required) == 0)
        fault(where, "an empty list of what is required");
    json_object_foreach (properties, key, property)
        check_schema(key, document, property);
    if (json_object_get(schema, "items"))
        check_schema(where, document, json_object_get(schema, "items"));
}

static void check_content(const char *where, json_t *document, json_t *content)
{
    const char *type;
    json_t *media;

    json_object_foreach (content, type, media) {
        if (!strchr(type, '/'))
            fault(where, "a content type without a slash");
        check_schema(where, document, json_object_get(media, "schema"));
    }
}

static void check_parameters(const char *where, json_t *document, json_t *parameters)
{
    static const char *const places[] = {"path", "query", "header"};
    json_t *parameter;
    size_t i;

    json_array_foreach (parameters, i, parameter) {
        json_t *full = follow(document, parameter);
        const char *in = json_string_value(json_object_get(full, "in"));
        bool known = false;

        for (size_t k = 0; in && k < PCN_ARRAY_SIZE(places); k++)
            known = known || pcn_streq(in, places[k]);
        if (!known || !json_string_value(json_object_get(full, "name")))
            fault(where, "a parameter without a name or a place");
        if (in && pcn_streq(in, "path") && !json_is_true(json_object_get(full, "required")))
            fault(where, "a parameter of the path that is not required");
        check_schema(where, document, json_object_get(full, "schema"));
    }
}

/* The names in braces are the parameters of the path, neither more nor fewer. */
static void check_template(const char *path, json_t *document, json_t *parameters)
{
    size_t in_template = 0, declared = 0, i;
    json_t *parameter;

    if (path[0] != '/')
        fault(path, "a path that does not begin with a slash");
    for (const char *open = path; (open = strchr(open, '{')); open++) {
        size_t length = strcspn(open + 1, "}");
        bool found = false;

        in_template++;
        json_array_foreach (parameters, i, parameter) {
            const char *name = json_string_value(json_object_get(follow(document, parameter), "name"));

            found = found || (name && strlen(name) == length && strncmp(name, open + 1, length) == 0);
        }
        if (!found)
            fault(path, "a name in braces that is no parameter");
    }
    json_array_foreach (parameters, i, parameter)
        declared += pcn_streq(json_string_value(json_object_get(follow(document, parameter), "in")) ?: "", "path");
    if (declared != in_template)
        fault(path, "other parameters than names in braces");
}

static void check_operation(const char *path, json_t *document, json_t *operation, json_t *ids)
{
    const char *id = json_string_value(json_object_get(operation, "operationId")), *code;
    json_t *responses = json_object_get(operation, "responses"), *response;
    json_t *body = json_object_get(operation, "requestBody");

    if (!id || json_object_get(ids, id))
        fault(path, "an operation without an id of its own");
    else
        json_object_set_new(ids, id, json_true());
    if (json_object_size(responses) == 0)
        fault(path, "an operation without responses");
    json_object_foreach (responses, code, response) {
        json_t *full = follow(document, response);

        if (strlen(code) != 3 || !isdigit((unsigned char)code[0]))
            fault(path, "a response whose key is no status");
        if (!json_string_value(json_object_get(full, "description")))
            fault(path, "a response without a description");
        check_content(path, document, json_object_get(full, "content"));
    }
    check_parameters(path, document, json_object_get(operation, "parameters"));
    if (body && json_object_size(json_object_get(body, "content")) == 0)
        fault(path, "a body without content");
    check_content(path, document, json_object_get(body, "content"));
}

static void check_tags(const char *path, json_t *document, json_t *operation)
{
    json_t *declared = json_object_get(document, "tags"), *tag, *other;
    size_t i, k;

    json_array_foreach (json_object_get(operation, "tags"), i, tag) {
        bool found = false;

        json_array_foreach (declared, k, other)
            found = found || json_equal(tag, json_object_get(other, "name"));
        if (!found)
            fault(path, "a tag that is not declared");
    }
}

static size_t check_document(json_t *document)
{
    static const char *const verbs[] = {"get", "put", "post", "delete", "options", "head", "patch", "trace"};
    json_t *info = json_object_get(document, "info"), *ids = json_object(), *item, *schema;
    const char *path, *name;
    size_t n = 0;

    PCN_CHECK_STR(json_string_value(json_object_get(document, "openapi")), "3.1.0");
    PCN_CHECK(json_is_string(json_object_get(info, "title")) && json_is_string(json_object_get(info, "version")));
    PCN_CHECK(json_array_size(json_object_get(document, "servers")) > 0);
    json_object_foreach (json_object_get(document, "paths"), path, item) {
        check_parameters(path, document, json_object_get(item, "parameters"));
        check_template(path, document, json_object_get(item, "parameters"));
        for (size_t i = 0; i < PCN_ARRAY_SIZE(verbs); i++) {
            json_t *operation = json_object_get(item, verbs[i]);

            if (!operation)
                continue;
            n++;
            check_operation(path, document, operation, ids);
            check_tags(path, document, operation);
        }
    }
    json_object_foreach (json_object_get(json_object_get(document, "components"), "schemas"), name, schema) {
        if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(name))
            fault(name, "a component's name has letters, digits, dots, dashes and underscores alone");
        check_schema(name, document, schema);
    }
    json_decref(ids);
    return n;
}

static json_t *document_of(const char *yang)
{
    char text[TEXT_MAX], path[256];
    json_error_t error;
    json_t *document;

    PCN_CHECK_EQ(command(text, "%s openapi %s document.json", CODEGEN, yang), 0);
    PCN_CHECK_STR(text, "");
    (void)snprintf(path, sizeof(path), "%s/document.json", directory);
    document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!document)
        printf("    %s:%d: %s\n", yang, error.line, error.text);
    return document;
}

static void test_openapi_kinds(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(kinds); i++) {
        char yang[256];
        json_t *document;

        (void)snprintf(yang, sizeof(yang), "%s/cubes/%s/%s.yang", PCN_SOURCE_DIR, kinds[i], kinds[i]);
        document = document_of(yang);
        PCN_REQUIRE(document != NULL);
        PCN_CHECK_STR(json_string_value(json_object_get(json_object_get(document, "info"), "title")), kinds[i]);
        PCN_CHECK(check_document(document) > 20);
        PCN_CHECK(check_references(document, document) > 50);
        json_decref(document);
    }
}

/* The body that `verb` takes at `path`: its schema, references followed. Borrowed. */
static json_t *body_of(json_t *document, const char *path, const char *verb)
{
    json_t *item = json_object_get(json_object_get(document, "paths"), path);
    json_t *content = json_object_get(json_object_get(json_object_get(item, verb), "requestBody"), "content");

    return follow(document, json_object_get(json_object_get(content, "application/json"), "schema"));
}

static bool has_verb(json_t *document, const char *path, const char *verb)
{
    return json_object_get(json_object_get(json_object_get(document, "paths"), path), verb) != NULL;
}

static void test_openapi_odd(void)
{
    json_t *document, *create, *update, *limit;

    module_write(
        "odd", "standard",
        "leaf limit { type uint16 { range 1..9; } default 3; }\n"
        "leaf once { type string { length 1..8; } mandatory true; polycube-base:init-only-config; }\n"
        "leaf seen { type uint64; config false; }\n"
        "list pair { key \"a b\"; leaf a { type uint8; } leaf b { type boolean; } leaf c { type string; } }\n"
        "container learned { config false; list entry { leaf x { type int8; } } }\n"
        "action reset { input { leaf hard { type boolean; mandatory true; } } output { leaf n { type int8; } } }");
    document = document_of("odd.yang");
    PCN_REQUIRE(document != NULL);
    check_document(document);
    check_references(document, document);

    create = json_object_get(body_of(document, "/odd/{cube}", "post"), "properties");
    update = json_object_get(body_of(document, "/odd/{cube}", "patch"), "properties");
    PCN_CHECK(json_object_get(create, "once") && !json_object_get(update, "once"));
    PCN_CHECK(!json_object_get(create, "seen") && !json_object_get(update, "seen"));
    limit = json_object_get(create, "limit");
    PCN_CHECK_EQ(json_integer_value(json_object_get(limit, "minimum")), 1);
    PCN_CHECK_EQ(json_integer_value(json_object_get(limit, "maximum")), 9);
    PCN_CHECK_EQ(json_integer_value(json_object_get(limit, "default")), 3);

    PCN_CHECK(has_verb(document, "/odd/{cube}/limit", "patch"));
    PCN_CHECK(has_verb(document, "/odd/{cube}/seen", "get") && !has_verb(document, "/odd/{cube}/seen", "patch"));
    PCN_CHECK(has_verb(document, "/odd/{cube}/once", "get") && !has_verb(document, "/odd/{cube}/once", "patch"));
    PCN_CHECK(has_verb(document, "/odd/{cube}/pair/{pair-a}/{pair-b}/c", "get"));
    PCN_CHECK(has_verb(document, "/odd/{cube}/learned/entry", "get"));
    PCN_CHECK(!has_verb(document, "/odd/{cube}/learned/entry", "post"));
    PCN_CHECK(has_verb(document, "/odd/{cube}/reset", "post"));
    PCN_CHECK(json_object_get(json_object_get(body_of(document, "/odd/{cube}/reset", "post"), "properties"), "hard"));
    json_decref(document);
}

/* ---- types ---- */

/* Words of C, dashes and dots, names that only C takes for one another, values at the ends of their types. */
static const char names_body[] =
    "leaf int { type int64; default -9223372036854775808; }\n"
    "leaf default { type boolean; default true; }\n"
    "leaf packets-per.second { type uint64; default 18446744073709551615; }\n"
    "leaf mode { type enumeration { enum drop-all; enum \"drop_all\" { value 7; } enum MAX; enum \"10/half\";\n"
    "            enum low { value -3; } } default \"drop_all\"; }\n"
    "leaf maybe { type int8; }\n"
    "leaf text { type string; description \"ends */ a comment\"; }\n"
    "list struct { key \"for while\"; leaf for { type string; } leaf while { type uint32; }\n"
    "  container static { leaf union { type uint16; mandatory true; } }\n"
    "  action enum { input { leaf switch { type enumeration { enum if; enum else; } mandatory true; } } } }\n"
    "container register { config false; leaf auto { type uint32; } }\n"
    "leaf-list void { type string; }";

/* Says 0 where what the agreed names stand for is right. Nodes have no values, so readers give defaults. */
static const char names_check[] =
    "#include \"names_model.h\"\n"
    "const char *pcn_node_string(const struct pcn_node *n, const char *leaf) { (void)n; (void)leaf; return NULL; }\n"
    "uint64_t pcn_node_uint(const struct pcn_node *n, const char *leaf, uint64_t f) { (void)n; (void)leaf; return f; }\n"
    "int64_t pcn_node_int(const struct pcn_node *n, const char *leaf, int64_t f) { (void)n; (void)leaf; return f; }\n"
    "bool pcn_node_bool(const struct pcn_node *n, const char *leaf, bool f) { (void)n; (void)leaf; return f; }\n"
    "_Static_assert(NAMES_ROOT_MODE_DROP_ALL_0 == 0 && NAMES_ROOT_MODE_DROP_ALL_7 == 7, \"told apart by value\");\n"
    "_Static_assert(NAMES_ROOT_MODE_MAX_8 == 8 && NAMES_ROOT_MODE_10_HALF == 9 && NAMES_ROOT_MODE_LOW == -3, \"\");\n"
    "_Static_assert(NAMES_ROOT_MODE_MAX == 10, \"behind the highest\");\n"
    "_Static_assert(NAMES_STRUCT_ENUM_INPUT_SWITCH_ELSE == 1, \"\");\n"
    "int names_struct_apply(struct pcn_cube *cube, struct pcn_change *change) { (void)cube; return change != NULL; }\n"
    "int names_struct_enum_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,\n"
    "    const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)\n"
    "{ (void)cube; (void)keys; (void)n_keys; (void)input; (void)output; (void)error; return 0; }\n"
    "static const struct pcn_handler *find(const char *path)\n"
    "{\n"
    "    for (size_t i = 0; i < names_n_handlers; i++)\n"
    "        if (pcn_streq(names_handlers[i].path, path))\n"
    "            return &names_handlers[i];\n"
    "    return NULL;\n"
    "}\n"
    "int main(void)\n"
    "{\n"
    "    struct names_root root;\n"
    "    struct names_struct_static inner = {.union_ = 1};\n"
    "    struct names_struct_enum_input input = {.switch_ = NAMES_STRUCT_ENUM_INPUT_SWITCH_IF};\n"
    "    const struct pcn_handler *list = find(\"struct\"), *action = find(\"struct/enum\"), *other = find(\"\");\n"
    "    names_root_read(NULL, &root);\n"
    "    if (root.int_ != INT64_MIN || !root.default_ || root.packets_per_second != UINT64_MAX) return 1;\n"
    "    if (root.mode != NAMES_ROOT_MODE_DROP_ALL_7 || root.has_maybe || root.text) return 2;\n"
    "    if (!pcn_streq(names_root_mode_name(NAMES_ROOT_MODE_10_HALF), \"10/half\")) return 3;\n"
    "    if (names_root_mode_name((enum names_root_mode)77)) return 4;\n"
    "    if (!list || list->apply != names_struct_apply || list->validate || list->entries) return 5;\n"
    "    if (!action || action->action != names_struct_enum_action || !other || other->apply) return 6;\n"
    "    if (inner.union_ != 1 || input.switch_ || find(\"nowhere\") || !find(\"struct/static\")) return 7;\n"
    "    if (!find(\"register\") || find(\"struct/enum/input\") || PCN_ARRAY_SIZE(names_handlers) != names_n_handlers) return 8;\n"
    "    return 0;\n"
    "}\n";

static void test_types_names(void)
{
    char text[TEXT_MAX];

    module_write("names", "transparent", names_body);
    file_write("names_check.c", names_check);
    PCN_REQUIRE(command(text, "%s types names.yang .", CODEGEN) == 0);
    PCN_CHECK_STR(text, "");
    PCN_CHECK_EQ(command(text,
                         "%s -std=gnu17 -Wall -Wextra -Werror -D_GNU_SOURCE -I%s/core/include -I. names_model.c"
                         " names_check.c -o names_check",
                         PCN_CC, PCN_SOURCE_DIR),
                 0);
    PCN_CHECK_STR(text, "");
    PCN_CHECK_EQ(command(text, "./names_check"), 0);
}

static void test_types_meeting(void)
{
    static const struct {
        const char *body;
        const char *name;
    } cases[] = {
        {"container a-b { leaf x { type int8; } } container a { container b { leaf x { type int8; } } }", "clash_a_b"},
        {"leaf a-b { type int8; } leaf a_b { type int8; }", "clash_root.a_b"},
        {"leaf a { type int8; } leaf has-a { type int8; default 1; }", "clash_root.has_a"},
    };
    char text[TEXT_MAX];

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        module_write("clash", "standard", cases[i].body);
        PCN_CHECK(command(text, "mkdir -p clash && %s types clash.yang clash", CODEGEN) != 0);
        PCN_CHECK_HAS(text, cases[i].name);
        PCN_CHECK_EQ(entries("clash"), 0);
    }
}

/* ---- new ---- */

/* The C and BPF sources of a new folder, as pcn_add_cube() compiles them, but without making objects. */
static void check_compiles(const char *kind)
{
    char text[TEXT_MAX], embed[512], name[128];

    (void)snprintf(embed, sizeof(embed),
                   "extern const unsigned char %s_tc[], %s_tc_end[], %s_xdp[], %s_xdp_end[];\n"
                   "extern const char %s_yang[];\n",
                   kind, kind, kind, kind, kind);
    (void)snprintf(name, sizeof(name), "cubes/%s/%s_embed.h", kind, kind);
    file_write(name, embed);
    PCN_CHECK_EQ(command(text, "%s types cubes/%s/%s.yang cubes/%s", CODEGEN, kind, kind, kind), 0);
    PCN_CHECK_EQ(command(text,
                         "cd cubes/%s && %s -std=gnu17 -fsyntax-only -Wall -Wextra -Wno-unused-parameter -Werror"
                         " -Wno-missing-field-initializers -D_GNU_SOURCE -DPCN_BUILD_DIR=0 -I%s/core/include"
                         " -I%s/tests %s_model.c %s.c test_%s.c",
                         kind, PCN_CC, PCN_SOURCE_DIR, PCN_SOURCE_DIR, kind, kind, kind),
                 0);
    PCN_CHECK_STR(text, "");
    for (const char *const *flag = (const char *const[]){"", "-DPCN_XDP", NULL}; *flag; flag++) {
        PCN_CHECK_EQ(command(text,
                             "%s -target bpf -mcpu=v3 -O2 -g -fsyntax-only -Wall -Wextra -Wno-unused-parameter"
                             " -Wno-unused-function -Wno-address-of-packed-member -Werror %s -I%s/core/include"
                             " -I%s/bpf-templates -I/usr/include/%s cubes/%s/%s.bpf.c",
                             PCN_CLANG, *flag, PCN_SOURCE_DIR, PCN_SOURCE_DIR, PCN_MULTIARCH, kind, kind),
                     0);
        PCN_CHECK_STR(text, "");
    }
}

static void test_new_compiles(void)
{
    static const struct {
        const char *kind;
        const char *base;
        const char *body;
        unsigned int files; /* a transparent cube without settings has no maps */
    } cases[] = {
        {"standard", "standard", "", 7},
        {"transparent", "transparent", "", 6},
        {"settings", "transparent", "leaf pad { type uint8; } leaf n-ports { type boolean; default true; }", 7},
        {"names", "transparent", names_body, 7},
        {"tables", "standard", "container a { list b { key c; leaf c { type string; } leaf d { type int64; } } }", 7},
    };
    char text[TEXT_MAX], folder[64];

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        module_write(cases[i].kind, cases[i].base, cases[i].body);
        PCN_CHECK_EQ(command(text, "mkdir -p cubes && %s new %s %s.yang", CODEGEN, cases[i].kind, cases[i].kind), 0);
        (void)snprintf(folder, sizeof(folder), "cubes/%s", cases[i].kind);
        PCN_CHECK_EQ(entries(folder), cases[i].files);
        PCN_CHECK_EQ(command(text, "cmp %s.yang cubes/%s/%s.yang", cases[i].kind, cases[i].kind, cases[i].kind), 0);
        check_compiles(cases[i].kind);
    }
    PCN_CHECK_EQ(entries("cubes"), PCN_ARRAY_SIZE(cases));
}

static void test_new_refused(void)
{
    static const struct {
        const char *arguments;
        const char *why;
    } cases[] = {
        {"fine fine.yang --directory nowhere", "nowhere: No such file"},
        {"other fine.yang --directory refused", "it has to be module other"},
        {"Fine fine.yang --directory refused", "lower-case"},
        {"../fine fine.yang --directory refused", "lower-case"},
        {"a123456789012345678901234567890123456789 fine.yang --directory refused", "1 to 32"},
        {"'' fine.yang --directory refused", "1 to 32"},
        {"cubes fine.yang --directory refused", "something else"},
        {"pcn_x fine.yang --directory refused", "pcn"},
        {"broken broken.yang --directory refused", "uint33"},
        {"cut cut.yang --directory refused", "does not end"},
        {"fine missing.yang --directory refused", "No such file"},
        {"fine . --directory refused", "."},
        {"baseless baseless.yang --directory refused", "polycube-standard-base or polycube-transparent-base"},
        {"importer importer.yang --directory refused", "can import"},
        {"named named.yang --directory refused", "service-name"},
        {"clash clash.yang --directory refused", "clash_root.a_b"},
        {"fine --directory refused", "pcn-codegen new"},
        {"fine fine.yang extra --directory refused", "pcn-codegen new"},
        {"fine fine.yang --directory", "pcn-codegen new"},
        {"taken taken.yang --directory refused", "there is one already"},
    };
    char text[TEXT_MAX];

    module_write("fine", "standard", "");
    module_write("taken", "standard", "");
    module_write("broken", "standard", "leaf a { type uint33; }");
    module_write("clash", "standard", "leaf a-b { type int8; } leaf a_b { type int8; }");
    module_write("named", "standard", "polycube-base:service-name \"other\";");
    file_write("cut.yang", "module cut { yang-version 1.1; leaf a { type string;");
    file_write("baseless.yang", "module baseless { yang-version 1.1; namespace \"urn:b\"; prefix b;"
                                " leaf name { type string; } leaf a { type string; } }");
    file_write("extra.yang",
               "module extra { yang-version 1.1; namespace \"urn:e\"; prefix e; typedef t { type int8; } }");
    module_write("importer", "standard", "import extra { prefix e; } leaf a { type e:t; }");
    PCN_REQUIRE(command(text, "mkdir -p refused && %s new taken taken.yang --directory refused", CODEGEN) == 0);
    PCN_CHECK_STR(text, "refused/taken\n");
    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        if (!PCN_CHECK_EQ(command(text, "%s new %s", CODEGEN, cases[i].arguments), 1) ||
            !PCN_CHECK_HAS(text, cases[i].why))
            printf("    new %s\n", cases[i].arguments);
        PCN_CHECK_EQ(entries("refused"), 1);
    }
    PCN_CHECK_EQ(entries("refused/taken"), 7);
}

/* ---- cli ---- */

static void test_cli(void)
{
    char text[TEXT_MAX];

    module_write("words", "standard",
                 "leaf speed { type uint32 { range 1..10; } default 5; description \"How | fast\"; }\n"
                 "list rule { key id; leaf id { type uint8; } leaf to { type string; mandatory true; } }\n"
                 "action reset { input { leaf hard { type boolean; mandatory true; } } }");
    PCN_CHECK_EQ(command(text, "%s cli words.yang", CODEGEN), 0);
    PCN_CHECK_HAS(text, "polycubectl words add <cube>");
    PCN_CHECK_HAS(text, "| `speed` | uint32 1..10 | `5` | any time | How \\| fast |");
    PCN_CHECK_HAS(text, "polycubectl <cube> rule add <id> to=<to>");
    PCN_CHECK_HAS(text, "polycubectl <cube> reset hard=<hard>");
}

static int set_up(void)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void)
{
    char text[TEXT_MAX];

    return command(text, "rm -r %s", directory);
}

static const struct pcn_test tests[] = {
    {"openapi: the documents of all kinds have what 3.1 requires, and all references resolve", test_openapi_kinds},
    {"openapi: what can be set when follows from the model", test_openapi_odd},
    {"types: odd names and limits compile without a warning, and mean what was agreed", test_types_names},
    {"types: names that C cannot tell apart are refused, and nothing is written", test_types_meeting},
    {"new: folders of all shapes compile without a warning, at TC and XDP", test_new_compiles},
    {"new: what is wrong is refused with the reason, and leaves nothing behind", test_new_refused},
    {"cli: commands and tables follow from the model", test_cli},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("codegen", tests, .setup = set_up, .teardown = tear_down);
}
