/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What polycubectl reads and writes: YAML and JSON in, tables, JSON and YAML out. No daemon.
 */
#include <CUnit/Basic.h>
#include <polycubectl/help.h>
#include <polycubectl/print.h>
#include <polycubectl/request.h>
#include <polycubectl/yaml.h>

/* Text read as YAML, as compact JSON; "ERROR text" where it is refused. */
static char *parsed(const char *text)
{
    struct pcn_cli_message message = {};
    json_t *value;
    char *said;

    if (pcn_cli_yaml_parse(text, strlen(text), &value, &message) < 0)
        return asprintf(&said, "ERROR %s", message.text) < 0 ? NULL : said;
    said = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    return said;
}

static void parses_to(const char *text, const char *expected)
{
    _cleanup_free_ char *said = parsed(text);

    CU_ASSERT_STRING_EQUAL(said, expected);
    if (!pcn_streq(said, expected))
        (void)fprintf(stderr, "%s\n  read as  %s\n  expected %s\n", text, said, expected);
}

static void yaml_and_json_are_read(void)
{
    parses_to("loglevel: TRACE\nports:\n  - name: p1\n    ip: 10.0.0.1/24\n  - name: p2\n",
              "{\"loglevel\":\"TRACE\",\"ports\":[{\"name\":\"p1\",\"ip\":\"10.0.0.1/24\"},{\"name\":\"p2\"}]}");
    parses_to("{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":true}", "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":true}");
    parses_to("{'rules':[{'operation':'append','src':'10.0.0.1/32','action':'DROP'},]}",
              "{\"rules\":[{\"operation\":\"append\",\"src\":\"10.0.0.1/32\",\"action\":\"DROP\"}]}");
    parses_to("{\n\t\"a\": 1,\n\t\"b\": [\n\t\t2\n\t]\n}", "{\"a\":1,\"b\":[2]}");
    parses_to("{\"text\":\"tab\\t quote\\\" slash\\/ \\u00e9\"}", "{\"text\":\"tab\\t quote\\\" slash/ é\"}");
    parses_to("{\"text\":\"\\ud83d\\ude00\"}", "{\"text\":\"😀\"}");
    parses_to("# a comment\n---\n- x\n...\n", "[\"x\"]");
    parses_to("code: |\n  int a;\n  int b;\n", "{\"code\":\"int a;\\nint b;\\n\"}");
    parses_to("# nothing\n", "null");
}

static void plain_scalars_are_typed_like_words(void)
{
    parses_to("[1, -7, 0, 1e5, 007, 0x10, 1.5, +3, 1_000, 9223372036854775808]",
              "[1,-7,0,\"1e5\",\"007\",\"0x10\",\"1.5\",\"+3\",\"1_000\",\"9223372036854775808\"]");
    parses_to("[true, false, True, yes, no, on, t, ~, null, '', '1', \"true\"]",
              "[true,false,true,\"yes\",\"no\",\"on\",\"t\",null,null,\"\",\"1\",\"true\"]");
    parses_to("mac: 00:11:22:33:44:55\nother: 12:34:56:12:34:56\nip6: fe80::1\nwhen: 2020-01-01\nx: !!str 5\n",
              "{\"mac\":\"00:11:22:33:44:55\",\"other\":\"12:34:56:12:34:56\",\"ip6\":\"fe80::1\","
              "\"when\":\"2020-01-01\",\"x\":\"5\"}");
}

static void bad_yaml_is_refused_with_its_place(void)
{
    static const char *const texts[] = {
        "a: [1, 2",         "a: b: c",    "{\"a\":1,\"a\":2}", "a: &x 1\nb: *x", "--- 1\n--- 2\n",
        "a: !!binary aGk=", "? [a]\n: 1", "\"a\\0b\"",         "a: \"\xff\"",    "@"};
    _cleanup_free_ char *deep = malloc(202);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(texts); i++) {
        _cleanup_free_ char *said = parsed(texts[i]);

        CU_ASSERT_EQUAL(strncmp(said, "ERROR ", 6), 0);
        CU_ASSERT(strstr(said, "line ") || strstr(said, "byte "));
        if (strncmp(said, "ERROR ", 6) != 0)
            (void)fprintf(stderr, "%s was read as %s\n", texts[i], said);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(deep);
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = '\0';
    parses_to("x: 1\n  y: 2\n", "ERROR line 2, column 4: mapping values are not allowed in this context");
    /* 100 deep is JSON, and JSON's own reader takes it: what counts is that neither runs out of stack. */
    free(parsed(deep));
}

/* JSON text as polycubectl prints it. */
static char *printed(const char *json, enum pcn_cli_format format, const char *hide, size_t width)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    CU_ASSERT_PTR_NOT_NULL_FATAL(value);
    CU_ASSERT_EQUAL(pcn_cli_print(out, value, format, hide, width), 0);
    (void)fclose(out);
    json_decref(value);
    return text;
}

static void prints_within(const char *json, enum pcn_cli_format format, const char *hide, size_t width,
                          const char *expected)
{
    _cleanup_free_ char *text = printed(json, format, hide, width);

    CU_ASSERT_STRING_EQUAL(text, expected);
    if (!pcn_streq(text, expected))
        (void)fprintf(stderr, "printed\n%s\nexpected\n%s\n", text, expected);
}

static void prints_as(const char *json, enum pcn_cli_format format, const char *hide, const char *expected)
{
    prints_within(json, format, hide, 0, expected);
}

static const char bridge[] =
    "{\"_links\":[{\"rel\":\"self\",\"href\":\"//127.0.0.1:9000/polycube/v1/simplebridge/br1/\"}],\"name\":\"br1\","
    "\"uuid\":\"ed3e477a-4138-4638-9fe0-7cbd31f1d1fb\",\"service-name\":\"simplebridge\",\"type\":\"TC\","
    "\"loglevel\":\"INFO\",\"ports\":[{\"name\":\"toveth2\",\"uuid\":\"a13d533f-6aeb-49d0-a05c-a048dca31473\","
    "\"status\":\"UP\",\"peer\":\"veth2\"}],\"shadow\":false,\"span\":false,\"fdb\":{\"aging-time\":300,"
    "\"entry\":[{\"address\":\"46:2b:1f:a3:d1:81\",\"port\":\"toveth2\",\"age\":4}]}}";

static void cube_is_printed_as_polycube_does(void)
{
    prints_as(bridge, PCN_CLI_NORMAL, NULL,
              "name: br1\n"
              "uuid: ed3e477a-4138-4638-9fe0-7cbd31f1d1fb\n"
              "service-name: simplebridge\n"
              "type: TC\n"
              "loglevel: INFO\n"
              "shadow: false\n"
              "span: false\n"
              "fdb:\n"
              " aging-time: 300\n"
              "\n"
              " entry:\n"
              "  address            port     age\n"
              "  46:2b:1f:a3:d1:81  toveth2  4\n"
              "\n"
              "ports:\n"
              " name     uuid                                  status  peer\n"
              " toveth2  a13d533f-6aeb-49d0-a05c-a048dca31473  UP      veth2\n");
}

static void brief_counts_lists(void)
{
    prints_as(bridge, PCN_CLI_BRIEF, "uuid",
              "name: br1\nservice-name: simplebridge\ntype: TC\nloglevel: INFO\nshadow: false\nspan: false\n"
              "fdb:\n aging-time: 300\n entry: [1 items]\nports: [1 items]\n");
}

static void hidden_members_are_exact_paths(void)
{
    prints_as(bridge, PCN_CLI_NORMAL, "uuid,ports.uuid,fdb,name.x,type,loglevel,shadow,span",
              "name: br1\nservice-name: simplebridge\n\nports:\n name     status  peer\n toveth2  UP      veth2\n");
}

static const char router[] = "{\"ports\":[{\"name\":\"p1\",\"secondaryip\":[{\"ip\":\"10.0.1.1/24\"},{\"ip\":"
                             "\"10.0.2.1/24\"}],\"tcubes\":[\"fw\",\"nat\"]},{\"name\":\"port2\",\"peer\":\"v\","
                             "\"stp\":[{\"vlan\":1,\"state\":\"up\"}],\"access\":{\"vlanid\":3}}]}";

static void lists_within_rows_show_when_verbose(void)
{
    prints_as(router, PCN_CLI_NORMAL, NULL,
              "\nports:\n"
              " name   secondaryip (list)  tcubes (list)  peer  stp (list)  access.vlanid\n"
              " p1     [2 items]           fw, nat\n"
              " port2                                     v     [1 items]   3\n");
    prints_as(router, PCN_CLI_VERBOSE, "ports.tcubes",
              "\nports:\n"
              " name   secondaryip (list)        peer  stp (list)            access.vlanid\n"
              " p1     10.0.1.1/24, 10.0.2.1/24\n"
              " port2                            v     {vlan: 1, state: up}  3\n");
}

static void a_table_that_is_too_wide_is_printed_entry_by_entry(void)
{
    static const char ports[] =
        "[{\"a\":\"1\",\"b\":{\"c\":2,\"d\":[3,4]},\"e\":[{\"f\":5,\"g\":6},{\"f\":7}],\"h\":[]},"
        "{\"a\":\"8\"}]";

    prints_within(ports, PCN_CLI_NORMAL, NULL, 45,
                  "a  b.c  b.d (list)  e (list)         h (list)\n"
                  "1  2    3, 4        {f: 5, g: 6}, 7\n"
                  "8\n");
    prints_within(ports, PCN_CLI_NORMAL, NULL, 44,
                  "a: 1\nb:\n c: 2\n\n d:\n  3\n  4\n\ne:\n f  g\n 5  6\n 7\n---\na: 8\n");
    prints_within(ports, PCN_CLI_BRIEF, "b.c", 20, "a: 1\nb:\n\n d:\n  3\n  4\ne: [2 items]\n---\na: 8\n");
    /* Lists within lists are counted as in a table, or are tables or entries themselves. */
    prints_within(router, PCN_CLI_NORMAL, NULL, 30,
                  "\nports:\n name: p1\n secondaryip: [2 items]\n\n tcubes:\n  fw\n  nat\n ---\n"
                  " name: port2\n peer: v\n access:\n  vlanid: 3\n stp: [1 items]\n");
    prints_within(router, PCN_CLI_VERBOSE, "ports.tcubes,ports.secondaryip", 12,
                  "\nports:\n name: p1\n ---\n name: port2\n peer: v\n access:\n  vlanid: 3\n\n stp:\n"
                  "  vlan: 1\n  state: up\n");
    prints_within("[1,2]", PCN_CLI_NORMAL, NULL, 1, "1\n2\n");
}

static void scalars_and_lists_of_them_are_printed_bare(void)
{
    prints_as("\"forwarding\"", PCN_CLI_NORMAL, NULL, "forwarding\n");
    prints_as("12", PCN_CLI_NORMAL, NULL, "12\n");
    prints_as("true", PCN_CLI_NORMAL, NULL, "true\n");
    prints_as("1.5", PCN_CLI_NORMAL, NULL, "1.500000\n");
    prints_as("\"\"", PCN_CLI_NORMAL, NULL, "\n");
    prints_as("[1,2]", PCN_CLI_NORMAL, NULL, "1\n2\n");
    prints_as("[]", PCN_CLI_NORMAL, NULL, "");
    prints_as("{\"n\":[1,2],\"s\":[\"a\"]}", PCN_CLI_NORMAL, NULL, "\nn:\n 1\n 2\n\ns:\n a\n");
    prints_as("\"line\\nline\"", PCN_CLI_NORMAL, NULL, "line\nline\n");
}

static void columns_count_characters(void)
{
    prints_as("[{\"a\":\"é\",\"b\":\"x\"},{\"a\":\"ee\",\"b\":\"y\"}]", PCN_CLI_NORMAL, NULL, "a   b\né   x\nee  y\n");
}

static void control_characters_do_not_reach_the_terminal(void)
{
    prints_as("{\"a\":\"x\\u001b[2Jy\\nz\\t\"}", PCN_CLI_NORMAL, NULL, "a: x\\u001b[2Jy\\nz\t\n");
}

static void data_model_keeps_its_lines(void)
{
    prints_as("[{\"name\":\"x\",\"datamodel\":\"module x {\\n}\"}]", PCN_CLI_NORMAL, NULL,
              "name: x\ndatamodel: module x {\n}\n");
}

static void json_and_yaml_keep_everything(void)
{
    prints_as("{\"_links\":[],\"a\":1}", PCN_CLI_JSON, NULL, "{\n  \"_links\": [],\n  \"a\": 1\n}\n");
    prints_as("{\"_links\":[],\"a\":{\"b\":[1,\"x\",{\"c\":true,\"d\":null}]}}", PCN_CLI_YAML, NULL,
              "_links: []\na:\n  b:\n  - 1\n  - x\n  - c: true\n    d: null\n");
}

static void yaml_quotes_text_that_looks_like_something_else(void)
{
    static const char json[] = "[\"1\",\"true\",\"1e5\",\"yes\",\"null\",\"\",\"12:34:56\",\"0x10\",\"-\",\"a: b\","
                               "\"10.0.0.1/24\",\"two\\nlines\\n\",\" x\",\"#c\",\"é\",\"2020-01-01\",\"No\"]";
    _cleanup_free_ char *text = printed(json, PCN_CLI_YAML, NULL, 0), *back = parsed(text);
    json_t *value = json_loads(json, 0, NULL);
    _cleanup_free_ char *expected = json_dumps(value, JSON_COMPACT);

    json_decref(value);
    CU_ASSERT_STRING_EQUAL(back, expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "- '1e5'\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "- '12:34:56'\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "- 'yes'\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "- 10.0.0.1/24\n"));
}

static void help_is_a_table_of_what_may_come_next(void)
{
    static const char json[] =
        "{\"commands\":[\"add\",\"show\"],\"params\":{\"name\":{\"name\":\"name\",\"type\":\"key\",\"simpletype\":"
        "\"string\",\"description\":\"Port Name\",\"example\":\"p1\"}},\"optional-params\":{\"peer\":{\"type\":\"leaf\","
        "\"simpletype\":\"string\",\"description\":\"Peer\",\"example\":\"veth1\"}},\"elements\":[{\"name\":\"p7\"}]}";
    struct pcn_cli_command command = {.verb = PCN_CLI_ADD, .path = {(char[]){"r1"}, (char[]){"ports"}}, .n_path = 2};
    json_t *help = json_loads(json, 0, NULL);
    _cleanup_free_ char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    CU_ASSERT_EQUAL(pcn_cli_help_print(out, help, &command, true), 0);
    (void)fclose(out);
    json_decref(help);
    CU_ASSERT_STRING_EQUAL(text, "Keyword  Type     Description        Example\n"
                                 "add      command  Create an element\n"
                                 "show     command  Show an element\n"
                                 "<name>   string   Port Name          p1\n"
                                 "p7       element\n"
                                 "\n"
                                 "Other parameters:\n"
                                 " Keyword     Type    Description  Example\n"
                                 " peer=value  string  Peer         veth1\n"
                                 "\n"
                                 "Example:\n"
                                 " polycubectl r1 ports add p1 peer=veth1\n");
}

static void errors_read_as(long status, char *body, const char *expected)
{
    struct pcn_cli_answer answer = {.status = status, .body = body, .length = strlen(body)};
    _cleanup_free_ char *text = pcn_cli_answer_errors(&answer);

    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void errors_are_one_line_each(void)
{
    errors_read_as(400,
                   (char[]){"{\"ietf-restconf:errors\":{\"error\":[{\"error-type\":\"application\",\"error-tag\":"
                            "\"invalid-value\",\"error-path\":\"ports/p1/ip\",\"error-message\":\"no prefix\"},"
                            "{\"error-tag\":\"missing-attribute\",\"error-info\":\"mac\"}]}}"},
                   "Error: ports/p1/ip: no prefix\nError: mac: missing-attribute\n");
    errors_read_as(404,
                   (char[]){"{\"ietf-restconf:errors\":{\"error\":[{\"error-tag\":\"data-missing\",\"error-path\":"
                            "\"ports/p1\",\"error-message\":\"ports/p1 does not exist\"},"
                            "{\"error-tag\":\"data-missing\",\"error-path\":\"ports/p1\",\"error-message\":"
                            "\"ports/p10 is near\"}]}}"},
                   "Error: ports/p1 does not exist\nError: ports/p1: ports/p10 is near\n");
    errors_read_as(404, (char[]){"No cube found named r9"}, "Error: No cube found named r9\n");
    errors_read_as(405, (char[]){""}, "Error: the daemon answered with status 405\n");
}

static void base_is(const char *url, const char *base, const char *socket)
{
    _cleanup_free_ char *is_base = NULL, *is_socket = NULL;
    struct pcn_cli_message message;

    CU_ASSERT_EQUAL(pcn_cli_config_base(url, &is_base, &is_socket, &message), base ? 0 : -EINVAL);
    CU_ASSERT_STRING_EQUAL(is_base ? is_base : "", base ? base : "");
    CU_ASSERT_STRING_EQUAL(is_socket ? is_socket : "", socket ? socket : "");
}

static void urls_may_be_http_https_or_unix(void)
{
    base_is("http://localhost:9000/polycube/v1/", "http://localhost:9000/polycube/v1/", NULL);
    base_is("https://host/polycube/v1", "https://host/polycube/v1/", NULL);
    base_is("http://[::1]:9000", "http://[::1]:9000/polycube/v1/", NULL);
    base_is("unix:///run/polycube/default/api.sock", "http://localhost/polycube/v1/", "/run/polycube/default/api.sock");
    base_is("unix://relative", NULL, NULL);
    base_is("ftp://host/", NULL, NULL);
    base_is("localhost:9000", NULL, NULL);
}

static void configuration_is_all_or_nothing(void)
{
    struct pcn_cli_config config = {};
    struct pcn_cli_message message = {};
    const char good[] = "url: http://h:1/\ndebug: true\ncert: \"\"\nunknown: 5\n", bad[] = "debug: maybe\n";

    CU_ASSERT_EQUAL(pcn_cli_config_parse(&config, good, sizeof(good) - 1, &message), 0);
    CU_ASSERT_STRING_EQUAL(config.url, "http://h:1/");
    CU_ASSERT_TRUE(config.debug);
    CU_ASSERT_PTR_NULL(config.cert);
    CU_ASSERT_EQUAL(pcn_cli_config_parse(&config, bad, sizeof(bad) - 1, &message), -EINVAL);
    CU_ASSERT_STRING_EQUAL(message.text, "debug has to be true or false");
    CU_ASSERT_EQUAL(pcn_cli_config_override(&config, NULL, "lab-1", &message), 0);
    CU_ASSERT_STRING_EQUAL(config.url, "unix:///run/polycube/lab-1/api.sock");
    CU_ASSERT_EQUAL(pcn_cli_config_override(&config, NULL, "../x", &message), -EINVAL);
    CU_ASSERT_EQUAL(pcn_cli_config_override(&config, "http://x/", "y", &message), -EINVAL);
    pcn_cli_config_done(&config);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"YAML and JSON are read, relaxed JSON too", yaml_and_json_are_read},
        {"plain scalars are typed like words", plain_scalars_are_typed_like_words},
        {"bad YAML is refused with its place", bad_yaml_is_refused_with_its_place},
        {"a cube is printed as Polycube does", cube_is_printed_as_polycube_does},
        {"-brief counts lists", brief_counts_lists},
        {"-hide takes exact paths", hidden_members_are_exact_paths},
        {"lists within rows show when verbose", lists_within_rows_show_when_verbose},
        {"a table that is too wide is printed entry by entry", a_table_that_is_too_wide_is_printed_entry_by_entry},
        {"scalars and lists of them are printed bare", scalars_and_lists_of_them_are_printed_bare},
        {"columns count characters, not bytes", columns_count_characters},
        {"control characters do not reach the terminal", control_characters_do_not_reach_the_terminal},
        {"a data model keeps its lines", data_model_keeps_its_lines},
        {"-json and -yaml keep everything", json_and_yaml_keep_everything},
        {"YAML quotes text that looks like something else", yaml_quotes_text_that_looks_like_something_else},
        {"help is a table of what may come next", help_is_a_table_of_what_may_come_next},
        {"errors are one line each", errors_are_one_line_each},
        {"URLs may be http, https or unix", urls_may_be_http_https_or_unix},
        {"a setting of the wrong type is refused, options win", configuration_is_all_or_nothing},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"polycubectl text", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    unsigned int failures;

    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 1;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
