/* SPDX-License-Identifier: Apache-2.0 */
/* GET of every shape, state, pages, links; actions; forgetting. */
#include "model_fixture.h"

static const char body[] = "{'ports':[{'name':'p1'},{'name':'p2','ip':'10.0.0.1'}],"
                           "'rule':[{'id':1,'action':'pass'},{'id':2,'action':'drop','match':"
                           "[{'field':'src','value':'10.0.0.0/8'},{'field':'dst','value':'x'}]},"
                           "{'id':3,'action':'drop'}],'learned':[{'mac':'configured'}]}";

#define SHOWS_STATE(path, expected) probe_shows(&probe, path, &probe_state, expected, __LINE__, __FILE__)

/* first: what of the path does not exist, from its beginning on. */
static void not_found(struct probe *probe, const char *path, const struct pcn_state_hooks *hooks, const char *first)
{
    _cleanup_free_ char *text = probe_get(probe, path, hooks);

    PCN_CHECK(text == NULL);
    PCN_CHECK_EQ(pcn_error_status(probe->error.tag), 404);
    PCN_CHECK_STR(probe->error.path, first);
}

static void configuration_is_shown_in_every_shape(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    SHOWS("ports", "[{'name':'p1','vlan':1},{'name':'p2','ip':'10.0.0.1','vlan':1}]");
    SHOWS("ports/p2", "{'name':'p2','ip':'10.0.0.1','vlan':1}");
    SHOWS("ports/p2/ip", "'10.0.0.1'");
    SHOWS("ports/p2/name", "'p2'");
    SHOWS("rule/2/match", "[{'field':'src','value':'10.0.0.0/8','negate':false},"
                          "{'field':'dst','value':'x','negate':false}]");
    SHOWS("rule/2/match/DST/x", "{'field':'dst','value':'x','negate':false}");
    SHOWS("rule/2/match/dst/x/negate", "false");
    SHOWS("limits/deep", "{'depth':1}");
    SHOWS("rule/1/via", "[]");
    SHOWS("learned", "[{'mac':'configured'}]");
    not_found(&probe, "ports/p3", &probe_config, "ports/p3");
    not_found(&probe, "ports/p1/ip", &probe_config, "ports/p1/ip");
    not_found(&probe, "ports/p3/vlan", &probe_config, "ports/p3");
    not_found(&probe, "rule/9/match", &probe_config, "rule/9");
    not_found(&probe, "rule/2/match/src/x", &probe_config, "rule/2/match/src/x");
    not_found(&probe, "tls", &probe_config, "tls");
    not_found(&probe, "tag/x", &probe_config, "tag/x");
    not_found(&probe, "stats", &probe_config, "stats");
    probe_close(&probe);
}

static void state_is_shown_with_the_configuration(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    SHOWS_STATE("ports/p2", "{'name':'p2','uuid':'p2','status':'UP','ip':'10.0.0.1','vlan':1,"
                            "'sent':9223372036854775807}");
    PCN_CHECK_STR(probe_calls, "state of ports p2\n");
    SHOWS_STATE("rule/3", "{'id':3,'action':'drop','weight':5,'hits':30,'when-hit':{'log':false}}");
    SHOWS_STATE("rule/3/hits", "30");
    SHOWS_STATE("uptime", "42");
    SHOWS_STATE("uuid", "'0-1'");
    SHOWS_STATE("ports/p1/status", "'UP'");
    SHOWS_STATE("stats", "{'total':3,'per':[{'id':1,'packets':1},{'id':2,'packets':2}]}");
    SHOWS_STATE("stats/per", "[{'id':1,'packets':1},{'id':2,'packets':2}]");
    SHOWS_STATE("stats/per/2", "{'id':2,'packets':2}");
    SHOWS_STATE("stats/per/2/packets", "2");
    SHOWS_STATE("stats/total", "3");
    SHOWS_STATE("counters", "{'slow-path':{'shed':1}}");
    SHOWS_STATE("counters/slow-path/shed", "1");
    not_found(&probe, "stats/per/3", &probe_state, "stats/per/3");
    not_found(&probe, "rule/9/hits", &probe_state, "rule/9");
    not_found(&probe, "ports/p9", &probe_state, "ports/p9");
    not_found(&probe, "ports/p9/status", &probe_state, "ports/p9");
    probe_close(&probe);
}

static void the_cube_is_shown_whole_and_in_order(void)
{
    static const char *const members[] = {"\"name\"",   "\"uuid\"",   "\"type\"", "\"service-name\"", "\"ports\"",
                                          "\"shadow\"", "\"uptime\"", "\"rule\"", "\"learned\"",      "\"stats\""};
    _cleanup_free_ char *text = NULL;
    struct probe probe;
    const char *at;
    json_t *parsed;

    PCN_REQUIRE(probe_open(&probe, body));
    text = probe_get(&probe, "", &probe_state);
    PCN_REQUIRE(text != NULL);
    parsed = json_loads(text, 0, NULL);
    PCN_CHECK(json_is_object(parsed));
    PCN_CHECK_EQ(json_array_size(json_object_get(parsed, "learned")), 5);
    PCN_CHECK_EQ(json_integer_value(json_object_get(json_array_get(json_object_get(parsed, "rule"), 1), "hits")), 20);
    PCN_CHECK(json_object_get(parsed, "tls") == NULL);
    PCN_CHECK(json_object_get(parsed, "reset") == NULL);
    json_decref(parsed);
    at = text;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(members) && at; i++) {
        at = strstr(at, members[i]);
        PCN_CHECK(at != NULL);
    }
    probe_close(&probe);
}

static void a_list_with_entries_of_its_own_asks_the_cube(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    SHOWS_STATE("learned/m3", "{'mac':'m3','port':'p\\'1\\'','age':3}");
    PCN_CHECK_STR(probe_calls, "entries of learned m3\n");
    SHOWS_STATE("learned/m3/age", "3");
    not_found(&probe, "learned/m9", &probe_state, "learned/m9");
    not_found(&probe, "learned/configured", &probe_state, "learned/configured");
    not_found(&probe, "learned/m9/age", &probe_state, "learned/m9/age");
    probe_close(&probe);
}

static void pages_of(struct probe *probe, const char *path, struct pcn_page page, const char *expected,
                     unsigned int line)
{
    struct pcn_state_hooks hooks = probe_state;
    _cleanup_free_ char *text = NULL, *names = NULL;
    json_t *array, *entry;
    size_t i, size;
    FILE *out = open_memstream(&names, &size);

    hooks.page = page;
    text = probe_get(probe, path, &hooks);
    array = text ? json_loads(text, 0, NULL) : NULL;
    pcn_check(json_is_array(array), line, __FILE__, text ? text : "refused");
    json_array_foreach (array, i, entry) {
        json_t *key = json_object_get(entry, "mac");

        if (key)
            fputs(json_string_value(key), out);
        else
            fprintf(out, "%lld", (long long)json_integer_value(json_object_get(entry, "id")));
    }
    fclose(out);
    json_decref(array);
    pcn_check_string(names, expected, line, __FILE__, path);
}

static void pages(struct probe *probe, const char *path, uint32_t offset, uint32_t limit, const char *expected,
                  unsigned int line)
{
    pages_of(probe, path, (struct pcn_page){.offset = offset, .limit = limit}, expected, line);
}

static void lists_are_filtered(void)
{
    struct pcn_state_hooks hooks = probe_state;
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    pages_of(&probe, "rule", (struct pcn_page){.filter = "id=2"}, "2", __LINE__);
    pages_of(&probe, "rule", (struct pcn_page){.filter = "action=drop,id=2"}, "2", __LINE__);
    pages_of(&probe, "rule", (struct pcn_page){.filter = "action=drop,id=9"}, "", __LINE__);
    pages_of(&probe, "rule", (struct pcn_page){.filter = "action=", .limit = 1}, "", __LINE__);
    pages_of(&probe, "learned", (struct pcn_page){.filter = "mac=m3"}, "m3", __LINE__);
    pages_of(&probe, "learned", (struct pcn_page){.filter = "age=3,mac=m3", .limit = 1}, "m3", __LINE__);
    pages_of(&probe, "learned", (struct pcn_page){.filter = "mac=m3", .offset = 1}, "", __LINE__);
    for (size_t i = 0; i < 3; i++) {
        static const char *const bad[] = {"color=red", "id", "match=1"};
        _cleanup_free_ char *text = NULL;
        struct pcn_error error = {};
        struct probe_path at;
        bool cacheable;
        size_t length;

        probe_path(&at, "rule");
        hooks.page.filter = bad[i];
        PCN_CHECK_EQ(pcn_tree_get(probe.tree, at.segments, at.n, &hooks, &text, &length, &cacheable, &error), -EINVAL);
        PCN_CHECK_HAS(error.message, "give leaf=value, with a leaf of rule");
    }
    probe_close(&probe);
}

static void lists_are_shown_in_pages(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    pages(&probe, "rule", 0, 0, "123", __LINE__);
    pages(&probe, "rule", 0, 2, "12", __LINE__);
    pages(&probe, "rule", 1, 1, "2", __LINE__);
    pages(&probe, "rule", 2, 5, "3", __LINE__);
    pages(&probe, "rule", 3, 5, "", __LINE__);
    pages(&probe, "rule", UINT32_MAX, UINT32_MAX, "", __LINE__);
    pages(&probe, "learned", 0, 0, "m0m1m2m3m4", __LINE__);
    pages(&probe, "learned", 1, 3, "m1m2m3", __LINE__);
    pages(&probe, "learned", 4, 3, "m4", __LINE__);
    pages(&probe, "learned", 5, 0, "", __LINE__);
    pages(&probe, "stats/per", 1, 0, "2", __LINE__);
    probe_calls[0] = '\0';
    pages(&probe, "rule", 1, 1, "2", __LINE__);
    /* Entries of other pages are not asked for their state. */
    PCN_CHECK_STR(probe_calls, "state of rule 2\n");
    probe_close(&probe);
}

static void links_lead_to_members(void)
{
    struct pcn_state_hooks hooks = {.links_base = "//h:1/polycube/v1/probe/t1/"};
    _cleanup_free_ char *entry = NULL, *cube = NULL, *list = NULL;
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    entry = probe_get(&probe, "rule/2/match/src/10.0.0.0%2F8", &hooks);
    PCN_CHECK(entry == NULL);
    {
        const char *segments[] = {"rule", "2", "match", "src", "10.0.0.0/8"};
        struct pcn_error error = {};
        bool cacheable;
        size_t length;

        PCN_REQUIRE_OK(pcn_tree_get(probe.tree, segments, 5, &hooks, &entry, &length, &cacheable, &error));
        PCN_CHECK(cacheable);
        PCN_CHECK_EQ(length, strlen(entry));
    }
    PCN_CHECK_STR(entry, "{\"_links\":[{\"rel\":\"self\",\"href\":\"//h:1/polycube/v1/probe/t1/rule/2/match/src/"
                         "10.0.0.0%2F8/\"},{\"rel\":\"negate\",\"href\":\"//h:1/polycube/v1/probe/t1/rule/2/match/src/"
                         "10.0.0.0%2F8/negate/\"}],\"field\":\"src\",\"value\":\"10.0.0.0/8\",\"negate\":false}");
    cube = probe_get(&probe, "", &hooks);
    PCN_CHECK_HAS(cube, "{\"_links\":[{\"rel\":\"self\",\"href\":\"//h:1/polycube/v1/probe/t1/\"}");
    PCN_CHECK_HAS(cube, "{\"rel\":\"rule\",\"href\":\"//h:1/polycube/v1/probe/t1/rule/\"}");
    PCN_CHECK(!strstr(cube, "\"rel\":\"reset\""));
    list = probe_get(&probe, "rule", &hooks);
    PCN_CHECK(list && !strstr(list, "_links"));
    probe_close(&probe);
}

static void only_answers_without_state_may_be_kept(void)
{
    static const struct {
        const char *path;
        bool cacheable;
    } paths[] = {
        {"limits", true},        {"rule/1/action", true}, {"rule/2/match", true}, {"rule", false}, {"ports/p1", false},
        {"ports/p1/vlan", true}, {"learned", false},      {"learned/m1", false},  {"", false},     {"uptime", false},
    };
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(paths); i++) {
        _cleanup_free_ char *text = NULL;
        struct probe_path at;
        bool cacheable;
        size_t length;

        probe_path(&at, paths[i].path);
        PCN_REQUIRE_OK(pcn_tree_get(probe.tree, at.segments, at.n, &probe_state, &text, &length, &cacheable, NULL));
        if (!PCN_CHECK_EQ(cacheable, paths[i].cacheable))
            printf("    of %s\n", paths[i].path);
    }
    probe_close(&probe);
}

static void keys_reach_handlers_in_canonical_form(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    SHOWS_STATE("rule/002", "{'id':2,'action':'drop','weight':5,'hits':20,'when-hit':{'log':false},'match':["
                            "{'field':'src','value':'10.0.0.0/8','negate':false},"
                            "{'field':'dst','value':'x','negate':false}]}");
    PCN_CHECK_STR(probe_calls, "state of rule 2\n");
    probe_close(&probe);
}

/* ---- actions ---- */

static int act(struct probe *probe, const char *path, const char *input, char **ret_text)
{
    json_t *json = probe_json(input);
    struct probe_path at;
    int r;

    probe->error = (struct pcn_error){};
    probe_calls[0] = '\0';
    probe_path(&at, path);
    r = pcn_tree_action(probe->tree, probe_cube, at.segments, at.n, json, ret_text, &probe->error);
    json_decref(json);
    return r;
}

static void actions_get_their_input_and_give_their_output(void)
{
    struct probe probe;
    char *text = NULL;

    PCN_REQUIRE(probe_open(&probe, body));
    PCN_REQUIRE_OK(
        act(&probe, "reset", "{'count':'3','scope':'SOME','item':[{'name':'a'},{'name':'b','times':7}]}", &text));
    PCN_CHECK_STR(probe_calls, "reset\nscope some count 3\nitem a 2\nitem b 7\n");
    PCN_CHECK_STR(text, "{\"done\":true,\"text\":\"a\\u000a\\\"b\\\\\"}");
    pcn_freep(&text);
    PCN_REQUIRE_OK(act(&probe, "reset", "{'count':1}", &text));
    PCN_CHECK_STR(probe_calls, "reset\nscope all count 1\n");
    pcn_freep(&text);
    PCN_REQUIRE_OK(act(&probe, "ports/p2/clear", NULL, &text));
    PCN_CHECK_STR(probe_calls, "clear p2\n");
    PCN_CHECK_STR(text, "{\"cleared\":true}");
    pcn_freep(&text);
    PCN_REQUIRE_OK(act(&probe, "quiet", NULL, &text));
    PCN_CHECK(text == NULL);
    probe_close(&probe);
}

static void action_refused(struct probe *probe, const char *path, const char *input, enum pcn_error_tag tag,
                           const char *error_path, const char *part, unsigned int line)
{
    char *text = NULL;

    pcn_check(act(probe, path, input, &text) < 0 && !text, line, __FILE__, "refused");
    pcn_check_string(pcn_error_tag_name(probe->error.tag), pcn_error_tag_name(tag), line, __FILE__, "tag");
    pcn_check_string(probe->error.path, error_path, line, __FILE__, "path");
    pcn_check_contains(probe->error.message, part, line, __FILE__, "message");
}

static void actions_with_input_that_cannot_be_are_not_run(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    action_refused(&probe, "reset", NULL, PCN_ERROR_MISSING_ATTRIBUTE, "reset/count", "reset needs count", __LINE__);
    action_refused(&probe, "reset", "{'count':10}", PCN_ERROR_INVALID_VALUE, "reset/count", "from 1 to 9", __LINE__);
    action_refused(&probe, "reset", "{'count':1,'x':1}", PCN_ERROR_UNKNOWN_ELEMENT, "reset/x", "x", __LINE__);
    action_refused(&probe, "reset", "[]", PCN_ERROR_INVALID_VALUE, "reset", "is an object", __LINE__);
    action_refused(&probe, "reset", "{'count':1,'item':[{'times':1}]}", PCN_ERROR_MISSING_ATTRIBUTE, "reset/item",
                   "needs name", __LINE__);
    action_refused(&probe, "ports/p9/clear", NULL, PCN_ERROR_DATA_MISSING, "ports/p9", "ports/p9 does not exist",
                   __LINE__);
    action_refused(&probe, "limits", NULL, PCN_ERROR_NOT_SUPPORTED, "limits", "not an action", __LINE__);
    PCN_CHECK_STR(probe_calls, "");
    action_refused(&probe, "reset", "{'count':9}", PCN_ERROR_IN_USE, "", "nine is taken", __LINE__);
    action_refused(&probe, "reset", "{'count':8}", PCN_ERROR_FAILED, "reset", "reset failed: Input/output", __LINE__);
    probe_close(&probe);
}

static void sent_back(struct probe *probe, const char *path, const char *text, size_t n_changes)
{
    json_t *json = probe_json(text);
    struct pcn_edit *edit = NULL;
    struct probe_path at;

    probe_path(&at, path);
    PCN_REQUIRE_OK(
        pcn_edit_new(probe->tree, probe_cube, PCN_EDIT_REPLACE, at.segments, at.n, json, &edit, &probe->error));
    PCN_CHECK_EQ(pcn_edit_n_changes(edit), n_changes);
    pcn_edit_discardp(&edit);
    json_decref(json);
}

static void learned_entries_sent_back_as_they_are_shown_stay_learned(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'learned':[{'mac':'own'}]}"));
    sent_back(&probe, "learned",
              "[{'mac':'m1','port':'p\\u00221\\u0022','age':1},{'mac':'own'},{'mac':'m3','port':'p\\u00221\\u0022'}]",
              0);
    sent_back(&probe, "learned", "[{'mac':'own'}]", 0);
    /* Another port; no port; never learned. */
    sent_back(&probe, "learned", "[{'mac':'m1','port':'p2'},{'mac':'own'},{'mac':'m3'},{'mac':'m9'}]", 3);
    sent_back(&probe, "learned", "[{'mac':'m1','port':'p\\u00221\\u0022','age':1}]", 1);
    sent_back(&probe, "learned/m1", "{'port':'p\\u00221\\u0022'}", 1);
    probe_close(&probe);
}

static int forget(struct probe *probe, const char *path)
{
    struct probe_path at;

    probe_calls[0] = '\0';
    probe_path(&at, path);
    return pcn_tree_forget(probe->tree, probe_cube, at.segments, at.n, &probe->error);
}

static void learned_entries_are_forgotten_one_or_all(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, body));
    PCN_CHECK_OK(forget(&probe, "learned/m1"));
    PCN_CHECK_STR(probe_calls, "forget learned m1\n");
    PCN_CHECK_EQ(forget(&probe, "learned/m9"), -ENOENT);
    PCN_CHECK_OK(forget(&probe, "learned"));
    PCN_CHECK_STR(probe_calls, "forget learned (all)\n");
    PCN_CHECK_EQ(forget(&probe, "rule/1"), -ENOENT);
    PCN_CHECK_EQ(forget(&probe, "learned/m1/age"), -ENOENT);
    probe_close(&probe);
}

static const struct pcn_test tests[] = {
    {.name = "configuration is shown in every shape", .run = configuration_is_shown_in_every_shape},
    {.name = "state is shown with the configuration", .run = state_is_shown_with_the_configuration},
    {.name = "the cube is shown whole and in order", .run = the_cube_is_shown_whole_and_in_order},
    {.name = "a list with entries of its own asks the cube", .run = a_list_with_entries_of_its_own_asks_the_cube},
    {.name = "lists are filtered by the text of their leaves", .run = lists_are_filtered},
    {.name = "lists are shown in pages", .run = lists_are_shown_in_pages},
    {.name = "links lead to members", .run = links_lead_to_members},
    {.name = "only answers without state may be kept", .run = only_answers_without_state_may_be_kept},
    {.name = "keys reach handlers in canonical form", .run = keys_reach_handlers_in_canonical_form},
    {.name = "actions get their input and give their output", .run = actions_get_their_input_and_give_their_output},
    {.name = "actions with input that cannot be are not run", .run = actions_with_input_that_cannot_be_are_not_run},
    {.name = "learned entries sent back as they are shown stay learned",
     .run = learned_entries_sent_back_as_they_are_shown_stay_learned},
    {.name = "learned entries are forgotten one or all", .run = learned_entries_are_forgotten_one_or_all},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("model: show", tests);
}
