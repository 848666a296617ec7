/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: wrapping, compiling and refusing; what paths lead to; help and completion. */
#include "model_fixture.h"

static void refused_module(const char *yang, const struct pcn_handler *handlers, size_t n_handlers, const char *part,
                           unsigned int line)
{
    struct pcn_cube_kind kind = {.name = "k", .yang = yang, .handlers = handlers, .n_handlers = n_handlers};
    struct pcn_schema *schema = NULL;
    struct pcn_error error = {};

    pcn_check_int(pcn_schema_new(&kind, NULL, &schema, &error), -EINVAL, line, __FILE__, "refused");
    pcn_check(schema == NULL, line, __FILE__, "nothing is returned");
    pcn_check_contains(error.message, part, line, __FILE__, "message");
}

#define BASE "uses \"polycube-standard-base:standard-base-yang-module\";\n"

static void modules_that_do_not_compile_are_refused_with_the_reason(void)
{
    static const struct pcn_handler stray[] = {{.path = "ports"}, {.path = "ports/nothing"}};

    refused_module("", NULL, 0, "not a YANG module", __LINE__);
    refused_module("submodule k { }", NULL, 0, "not a YANG module", __LINE__);
    refused_module("module k { leaf a { type string; }", NULL, 0, "does not end", __LINE__);
    refused_module("module k { /* never closed", NULL, 0, "does not end", __LINE__);
    refused_module("module k { description \"never closed; }", NULL, 0, "does not end", __LINE__);
    refused_module(PROBE_MODULE("k", BASE "leaf a { type nonsense; }"), NULL, 0, "the model of k does not compile",
                   __LINE__);
    refused_module(PROBE_MODULE("k", BASE "leaf name { type string; }"), NULL, 0, "the model of k does not compile",
                   __LINE__);
    refused_module(PROBE_MODULE("k", "leaf other { type string; }"), NULL, 0, "the model of k does not compile",
                   __LINE__);
    refused_module(PROBE_MODULE("other", BASE), NULL, 0, "the model of k is of a module called other", __LINE__);
    refused_module(PROBE_MODULE("k", BASE), stray, 2, "has a handler for ports/nothing", __LINE__);
    refused_module(PROBE_MODULE("k", BASE "list l { key \"a b c d e f g h i\";"
                                          "leaf a{type string;}leaf b{type string;}leaf c{type string;}"
                                          "leaf d{type string;}leaf e{type string;}leaf f{type string;}"
                                          "leaf g{type string;}leaf h{type string;}leaf i{type string;}}"),
                   NULL, 0, "at most 8 keys", __LINE__);
    refused_module("module k { yang-version 1.1; namespace \"urn:k\"; prefix k; import nowhere { prefix n; } " BASE "}",
                   NULL, 0, "nowhere", __LINE__);
}

static void wrapping_moves_data_and_leaves_the_rest(void)
{
    _cleanup_free_ char *wrapped = NULL;
    struct pcn_error error = {};

    PCN_REQUIRE_OK(
        pcn_wrap_module("// first\nmodule \"m\" {\n prefix m; /* } */ leaf a { type string { pattern '}{;'; } }\n"
                        " grouping g { leaf b { type string; } } m:ext \"x;\" + 'y';\n uses g; container c;}",
                        &wrapped, &error));
    PCN_CHECK_STR(wrapped,
                  "module m {\nprefix m;\ngrouping g { leaf b { type string; } }\nm:ext \"x;\" + 'y';\n"
                  "list m {\nkey name;\nleaf a { type string { pattern '}{;'; } }\nuses g;\ncontainer c;\n}\n}\n");
}

static void a_choice_alone_is_watched(void)
{
    static const struct pcn_cube_kind kind = {
        .name = "k", .yang = PROBE_MODULE("k", BASE "choice c { leaf a { type string; } leaf b { type string; } }")};
    struct probe probe;

    PCN_REQUIRE(probe_open_kind(&probe, &kind, "{'a':'1'}"));
    REFUSES(UPDATE, "b", "'2'", INVALID_VALUE, "", "both cases");
    probe_close(&probe);
}

static void bounds_and_references_are_watched(void)
{
    static const struct pcn_cube_kind kind = {
        .name = "k",
        .yang =
            PROBE_MODULE("k", BASE "list l { key a; max-elements 2; unique b; leaf a { type string; }"
                                   "leaf b { type string; } leaf at { type leafref { path \"../../ports/name\"; } } }"
                                   "leaf c { when \"../shadow = 'true'\"; type string; }")};
    struct probe probe;

    PCN_REQUIRE(probe_open_kind(&probe, &kind, "{'ports':[{'name':'p'}],'l':[{'a':'1','b':'x','at':'p'}]}"));
    REFUSES(CREATE, "l/2", "{'b':'x'}", INVALID_VALUE, "l/2", "nique");
    GIVES(CREATE, "l/2", "{'b':'y'}", "create l[2] - -> b=y\n");
    REFUSES(CREATE, "l/3", NULL, INVALID_VALUE, "l/3", "Too many");
    REFUSES(UPDATE, "l/2/at", "'q'", INVALID_VALUE, "l/2/at", "q");
    REFUSES(DELETE, "ports/p", NULL, INVALID_VALUE, "l/1/at", "p");
    REFUSES(UPDATE, "c", "'x'", INVALID_VALUE, "c", "hen");
    probe_close(&probe);
}

static void a_name_in_another_case_is_text_where_text_is_taken(void)
{
    static const struct pcn_cube_kind kind = {
        .name = "k",
        .yang = PROBE_MODULE("k", BASE "leaf u { type union { type enumeration { enum any; } type string; } }")};
    struct probe probe;

    PCN_REQUIRE(probe_open_kind(&probe, &kind, "{'u':'ANY'}"));
    SHOWS("u", "'ANY'");
    probe_close(&probe);
}

static void forms_are_said_in_words(void)
{
    static const struct pcn_cube_kind kind = {
        .name = "k",
        .yang = PROBE_MODULE(
            "k", "import ietf-inet-types { prefix inet; } import ietf-yang-types { prefix yang; }" BASE
                 "typedef host { type inet:ip-address-no-zone; }"
                 "leaf any { type inet:ip-prefix; polycube-base:cli-example \"10.1.0.0/16\"; }"
                 "leaf six { type inet:ipv6-prefix; }"
                 "leaf four { type inet:ipv4-address; polycube-base:cli-example \"10.0.0.2\"; }"
                 "leaf host { type host; }"
                 "leaf ether { type yang:mac-address; }"
                 "leaf next { type union { type inet:ip-address-no-zone; type inet:ip-prefix; type enumeration {"
                 "  enum none; } } polycube-base:cli-example \"2001:db8::9\"; }"
                 "leaf label { type union { type string { length 2..8; pattern '[a-z]+' { description \"2 to 8 small"
                 " letters\"; } } type string { length 0; } } }")};
    struct probe probe;

    PCN_REQUIRE(probe_open_kind(&probe, &kind, NULL));
    REFUSES(
        UPDATE, "any", "'10.0.0.0/33'", INVALID_VALUE, "any",
        "any: \"10.0.0.0/33\" is not accepted: give an IPv4 or IPv6 prefix, for example 10.1.0.0/16 or 2001:db8::/32");
    REFUSES(UPDATE, "six", "'10.0.0.0/8'", INVALID_VALUE, "six", "give an IPv6 prefix, for example 2001:db8::/32");
    REFUSES(UPDATE, "four", "'::1'", INVALID_VALUE, "four",
            "give an IPv4 address, with or without % and the name of a zone, for example 10.0.0.2");
    REFUSES(UPDATE, "host", "'h'", INVALID_VALUE, "host",
            "give an IPv4 or IPv6 address, for example 10.0.0.1 or 2001:db8::1");
    REFUSES(UPDATE, "ether", "'02:00'", INVALID_VALUE, "ether", "give a MAC address, for example aa:bb:cc:dd:ee:ff");
    REFUSES(UPDATE, "next", "'a'", INVALID_VALUE, "next",
            "give an IPv4 or IPv6 address, or an IPv4 or IPv6 prefix, or one of none, "
            "for example 2001:db8::9 or 10.0.0.1");
    REFUSES(UPDATE, "label", "'A'", INVALID_VALUE, "label", "give 2 to 8 small letters, or \"\"");
    probe_close(&probe);
}

static void paths_lead_to_what_the_model_has(void)
{
    static const struct {
        const char *path;
        enum pcn_target_kind kind;
        const char *allow;
    } paths[] = {
        {"", PCN_TARGET_CUBE, "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"limits", PCN_TARGET_CONTAINER, "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"limits/burst", PCN_TARGET_LEAF, "GET, PATCH, OPTIONS"},
        {"ports", PCN_TARGET_LIST, "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"ports/x", PCN_TARGET_ENTRY, "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"ports/x/name", PCN_TARGET_LEAF, "GET, OPTIONS"},
        {"ports/x/sent", PCN_TARGET_LEAF, "GET, OPTIONS"},
        {"ports/x/clear", PCN_TARGET_ACTION, "POST, OPTIONS"},
        {"rule/1/match/src", PCN_TARGET_PARTIAL, "OPTIONS"},
        {"rule/1/match/src/x", PCN_TARGET_ENTRY, "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"tag", PCN_TARGET_LEAF_LIST, "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"tag/x", PCN_TARGET_LEAF_LIST_ENTRY, "GET, POST, PUT, DELETE, OPTIONS"},
        {"ports/x/tcubes", PCN_TARGET_LEAF_LIST, "GET, OPTIONS"},
        {"stats/per", PCN_TARGET_LIST, "GET, OPTIONS"},
        {"file", PCN_TARGET_LEAF, "GET, PATCH, OPTIONS"},
    };
    static const char *const nowhere[] = {"x",      "limits/x",      "limits/burst/x", "ports/x/y",
                                          "source", "reset/scope",   "tag/x/y",        "rule/1/match/src/x/y",
                                          "probe",  "ports/x/name/x"};
    struct probe probe;
    struct probe_path at;

    PCN_REQUIRE(probe_open(&probe, NULL));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(paths); i++) {
        _cleanup_free_ char *allow = NULL;
        enum pcn_target_kind kind;

        probe_path(&at, paths[i].path);
        PCN_REQUIRE_OK(pcn_schema_target(probe.schema, at.segments, at.n, &kind, NULL));
        allow = pcn_schema_allow(probe.schema, at.segments, at.n);
        if (!PCN_CHECK_EQ(kind, paths[i].kind) || !PCN_CHECK_STR(allow, paths[i].allow))
            printf("    of %s\n", paths[i].path);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(nowhere); i++) {
        struct pcn_error error = {};
        enum pcn_target_kind kind;

        probe_path(&at, nowhere[i]);
        PCN_CHECK_EQ(pcn_schema_target(probe.schema, at.segments, at.n, &kind, &error), -ENOENT);
        PCN_CHECK_EQ(error.tag, PCN_ERROR_NOT_FOUND);
        PCN_CHECK(pcn_schema_allow(probe.schema, at.segments, at.n) == NULL);
    }
    probe_close(&probe);
}

/* ---- help ---- */

static char *help(struct probe *probe, const char *path, enum pcn_help verb, bool completion, bool cube)
{
    struct probe_path at;
    char *text = NULL;

    probe_path(&at, path);
    PCN_CHECK_OK(pcn_schema_help(probe->schema, cube ? probe->tree : NULL, &probe_state, at.segments, at.n, verb,
                                 completion, &text, &probe->error));
    return text;
}

static void completes(struct probe *probe, const char *path, enum pcn_help verb, const char *expected,
                      unsigned int line)
{
    _cleanup_free_ char *text = help(probe, path, verb, true, true), *json = strdup(expected);

    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    pcn_check_string(text, json, line, __FILE__, path);
}

static void words_complete_what_can_come_next(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':7,'action':'pass','match':[{'field':'src','value':'a'},"
                                   "{'field':'dst','value':'b'}]}],'ports':[{'name':'p1'},{'name':'p2'}]}"));
    completes(&probe, "ports", PCN_HELP_NONE, "['add','del','show','p1','p2']", __LINE__);
    completes(&probe, "ports", PCN_HELP_SHOW, "['p1','p2']", __LINE__);
    completes(&probe, "ports", PCN_HELP_ADD, "['<name>']", __LINE__);
    completes(&probe, "rule", PCN_HELP_DEL, "['7']", __LINE__);
    completes(&probe, "rule/7/match/src", PCN_HELP_SHOW, "['a']", __LINE__);
    completes(&probe, "rule/7/match/dst", PCN_HELP_SHOW, "['b']", __LINE__);
    completes(&probe, "learned", PCN_HELP_SHOW, "['m0','m1','m2','m3','m4']", __LINE__);
    completes(&probe, "mode", PCN_HELP_SET, "['OPEN','Strict','off']", __LINE__);
    completes(&probe, "active", PCN_HELP_SET, "['true','false']", __LINE__);
    completes(&probe, "limits", PCN_HELP_SET, "['burst=','rate=','deep']", __LINE__);
    completes(&probe, "reset", PCN_HELP_NONE, "['scope=','count=','item']", __LINE__);
    probe_close(&probe);
}

static void help_says_what_can_be_given(void)
{
    struct probe probe;
    json_t *object;

    PCN_REQUIRE(probe_open(&probe, "{'ports':[{'name':'p1'}]}"));
    {
        _cleanup_free_ char *text = help(&probe, "ports/p1", PCN_HELP_SET, false, true);

        object = json_loads(text, 0, NULL);
        PCN_CHECK_STR(
            json_string_value(json_object_get(json_object_get(json_object_get(object, "params"), "ip"), "example")),
            "10.0.0.1");
        PCN_CHECK(json_object_get(json_object_get(object, "params"), "sent") == NULL);
        PCN_CHECK_EQ(json_array_size(json_object_get(object, "commands")), 0);
        json_decref(object);
    }
    {
        _cleanup_free_ char *text = help(&probe, "mode", PCN_HELP_NONE, false, true);

        PCN_CHECK_STR(text,
                      "{\"commands\":[\"set\",\"show\"],\"params\":{\"mode\":{\"name\":\"mode\",\"type\":\"leaf\","
                      "\"description\":\"What is let through\",\"simpletype\":\"enum\",\"default\":\"OPEN\","
                      "\"values\":[\"OPEN\",\"Strict\",\"off\"]}},\"elements\":[]}");
    }
    {
        _cleanup_free_ char *text = help(&probe, "rule", PCN_HELP_ADD, false, true);

        object = json_loads(text, 0, NULL);
        PCN_CHECK(json_object_get(json_object_get(object, "params"), "id") != NULL);
        PCN_CHECK(json_object_get(json_object_get(object, "params"), "action") != NULL);
        PCN_CHECK(json_object_get(json_object_get(object, "optional-params"), "weight") != NULL);
        PCN_CHECK(json_object_get(json_object_get(object, "params"), "weight") == NULL);
        json_decref(object);
    }
    {
        _cleanup_free_ char *text = help(&probe, "ports", PCN_HELP_NONE, false, true);

        object = json_loads(text, 0, NULL);
        PCN_CHECK_EQ(json_array_size(json_object_get(object, "elements")), 1);
        PCN_CHECK_EQ(json_array_size(json_object_get(object, "commands")), 3);
        json_decref(object);
    }
    {
        _cleanup_free_ char *text = help(&probe, "", PCN_HELP_ADD, false, false);

        object = json_loads(text, 0, NULL);
        PCN_CHECK(json_object_get(json_object_get(object, "params"), "name") != NULL);
        PCN_CHECK(json_object_get(json_object_get(object, "optional-params"), "size") != NULL);
        PCN_CHECK(json_object_get(json_object_get(object, "optional-params"), "uptime") == NULL);
        json_decref(object);
    }
    probe_close(&probe);
}

static void a_name_that_a_cube_cannot_have_is_refused(void)
{
    struct pcn_edit *edit = NULL;
    struct pcn_error error = {};
    struct probe probe;
    json_t *other = probe_json("{'name':'other'}");

    PCN_REQUIRE(probe_open(&probe, NULL));
    PCN_CHECK_EQ(pcn_tree_create(probe.schema, "a/b", NULL, &edit, &error), -EINVAL);
    PCN_CHECK_STR(error.path, "name");
    PCN_CHECK_HAS(error.message, "a/b");
    error = (struct pcn_error){};
    PCN_CHECK_EQ(pcn_tree_create(probe.schema, "one", other, &edit, &error), -EINVAL);
    PCN_CHECK_EQ(error.tag, PCN_ERROR_BAD_ATTRIBUTE);
    PCN_CHECK(edit == NULL);
    json_decref(other);
    probe_close(&probe);
}

static const struct pcn_test tests[] = {
    {.name = "modules that do not compile are refused with the reason",
     .run = modules_that_do_not_compile_are_refused_with_the_reason},
    {.name = "wrapping moves data and leaves the rest", .run = wrapping_moves_data_and_leaves_the_rest},
    {.name = "a choice alone is watched", .run = a_choice_alone_is_watched},
    {.name = "bounds and references are watched", .run = bounds_and_references_are_watched},
    {.name = "a name in another case is text where text is taken",
     .run = a_name_in_another_case_is_text_where_text_is_taken},
    {.name = "forms are said in words", .run = forms_are_said_in_words},
    {.name = "paths lead to what the model has", .run = paths_lead_to_what_the_model_has},
    {.name = "words complete what can come next", .run = words_complete_what_can_come_next},
    {.name = "help says what can be given", .run = help_says_what_can_be_given},
    {.name = "a name that a cube cannot have is refused", .run = a_name_that_a_cube_cannot_have_is_refused},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("model: schema", tests);
}
