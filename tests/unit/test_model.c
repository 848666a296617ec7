/* SPDX-License-Identifier: Apache-2.0 */
/* Edits: what changes they give, in which order, and that a discarded one leaves nothing behind. */
#include "model_fixture.h"
#include <time.h>

static void a_new_cube_has_its_defaults(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    SHOWS("", "{'name':'t1','type':'TC','loglevel':'INFO','shadow':false,'span':false,'mode':'OPEN','active':true,"
              "'size':16,'limits':{'burst':10,'deep':{'depth':1}},'window':{'low':0,'high':100}}");
    PCN_CHECK_STR(pcn_tree_name(probe.tree), "t1");
    PCN_CHECK_STR(pcn_node_string(pcn_tree_root(probe.tree), "mode"), "OPEN");
    PCN_CHECK_EQ(pcn_node_uint(pcn_tree_root(probe.tree), "size", 0), 16);
    probe_close(&probe);
}

static void a_new_cube_is_changes_parents_first(void)
{
    struct probe probe;
    struct pcn_edit *edit;
    struct pcn_error error = {};
    json_t *body = probe_json("{'mode':'strict','ports':[{'name':'p1'}],"
                              "'rule':[{'id':2,'action':'drop','match':[{'field':'src','value':'x'}]}]}");

    PCN_REQUIRE(probe_open(&probe, NULL));
    PCN_REQUIRE_OK(pcn_tree_create(probe.schema, "t2", body, &edit, &error));
    json_decref(body);
    {
        _cleanup_free_ char *changes = probe_changes(edit);

        PCN_CHECK_HAS(changes, "create [] - -> ");
        PCN_CHECK_HAS(changes, "mode=Strict");
        PCN_CHECK_HAS(changes, "create ports[p1] - -> vlan=1\n");
        PCN_CHECK_HAS(changes, "create rule[2] - -> action=drop weight=5\n"
                               "create rule/when-hit[2] - -> log=false\n"
                               "create rule/match[2,src,x] - -> negate=false\n");
        PCN_CHECK_HAS(changes, "create limits[] - -> burst=10\ncreate limits/deep[] - -> depth=1\n");
        PCN_CHECK(strncmp(changes, "create [] ", 10) == 0);
    }
    PCN_CHECK_STR(pcn_node_string(pcn_edit_root(edit), "name"), "t2");
    pcn_edit_discardp(&edit);
    PCN_CHECK(edit == NULL);
    probe_close(&probe);
}

static void entries_are_created_replaced_updated_and_deleted(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    GIVES(CREATE, "rule/7", "{'action':'drop'}",
          "create rule[7] - -> action=drop weight=5\ncreate rule/when-hit[7] - -> log=false\n");
    REFUSES(CREATE, "rule/7", "{'action':'drop'}", DATA_EXISTS, "rule/7", "rule/7 exists already");
    GIVES(UPDATE, "rule/7", "{'action':'pass','note':'n'}",
          "modify rule[7] action=drop weight=5 -> action=pass note=n weight=5\n");
    GIVES(UPDATE, "rule/7", "{'action':'pass'}", "");
    GIVES(UPDATE, "rule/7", "{'when-hit':{'log':true}}", "modify rule/when-hit[7] log=false -> log=true\n");
    GIVES(REPLACE, "rule/7", "{'action':'pass','weight':6}",
          "modify rule[7] action=pass note=n weight=5 -> action=pass weight=6\n"
          "modify rule/when-hit[7] log=true -> log=false\n");
    SHOWS("rule/7", "{'id':7,'action':'pass','weight':6,'when-hit':{'log':false}}");
    GIVES(REPLACE, "rule/8", "{'id':8,'action':'DROP'}",
          "create rule[8] - -> action=drop weight=5\ncreate rule/when-hit[8] - -> log=false\n");
    REFUSES(UPDATE, "rule/9", "{'action':'drop'}", DATA_MISSING, "rule/9", "rule/9 does not exist");
    REFUSES(DELETE, "rule/9", NULL, DATA_MISSING, "rule/9", "rule/9 does not exist");
    GIVES(DELETE, "rule/7", NULL, "delete rule/when-hit[7] log=false -> -\ndelete rule[7] action=pass weight=6 -> -\n");
    SHOWS("rule", "[{'id':8,'action':'drop','weight':5,'when-hit':{'log':false}}]");
    probe_close(&probe);
}

static void all_entries_of_a_list_at_once(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'ports':[{'name':'a'},{'name':'b'},{'name':'c'},{'name':'d'},{'name':'e'}]}"));
    GIVES(CREATE, "ports", "[{'name':'f'},{'name':'g','vlan':7}]",
          "create ports[f] - -> vlan=1\ncreate ports[g] - -> vlan=7\n");
    REFUSES(CREATE, "ports", "[{'name':'h'},{'name':'b'}]", DATA_EXISTS, "ports/b", "b exists already");
    GIVES(UPDATE, "ports", "[{'name':'b','vlan':2},{'name':'e','vlan':1}]", "modify ports[b] vlan=1 -> vlan=2\n");
    REFUSES(UPDATE, "ports", "[{'name':'b','vlan':3},{'name':'h'}]", DATA_MISSING, "ports/h", "h does not exist");
    GIVES(REPLACE, "ports", "[{'name':'x'},{'name':'c'},{'name':'a','vlan':9},{'name':'b','vlan':2}]",
          "delete ports[d] vlan=1 -> -\ndelete ports[e] vlan=1 -> -\ndelete ports[f] vlan=1 -> -\n"
          "delete ports[g] vlan=7 -> -\ncreate ports[x] - -> vlan=1\nmodify ports[a] vlan=1 -> vlan=9\n");
    REFUSES(REPLACE, "ports", "[{'name':'a'},{'name':'z'},{'name':'z'}]", DATA_EXISTS, "ports/z", "z is given twice");
    GIVES(REPLACE, "ports", "[{'name':'a','vlan':9},{'name':'x'},{'name':'c'},{'name':'b','vlan':2}]", "");
    SHOWS("ports", "[{'name':'a','vlan':9},{'name':'b','vlan':2},{'name':'c','vlan':1},{'name':'x','vlan':1}]");
    GIVES(DELETE, "ports", NULL,
          "delete ports[a] vlan=9 -> -\ndelete ports[b] vlan=2 -> -\ndelete ports[c] vlan=1 -> -\n"
          "delete ports[x] vlan=1 -> -\n");
    SHOWS("ports", "[]");
    GIVES(DELETE, "ports", NULL, "");
    probe_close(&probe);
}

static void entries_behind_one_that_comes_or_goes_are_numbered_anew(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':2,'action':'pass','note':'c','match':[{'field':'src','value':'y'}]},"
                                   "{'id':0,'action':'pass','note':'a'},{'id':1,'action':'drop','note':'b'}]}"));
    GIVES(INSERT, "rule/1", "{'action':'drop','note':'n'}",
          "shift rule[1] +1\ncreate rule[1] - -> action=drop note=n weight=5\n"
          "create rule/when-hit[1] - -> log=false\n");
    SHOWS("rule/3/note", "'c'");
    SHOWS("rule/2/note", "'b'");
    SHOWS("rule/1/note", "'n'");
    SHOWS("rule/0/note", "'a'");
    SHOWS("rule/3/match", "[{'field':'src','value':'y','negate':false}]");
    GIVES(UPDATE, "rule/2", "{'weight':9}",
          "modify rule[2] action=drop note=b weight=5 -> action=drop note=b weight=9\n");
    GIVES(
        REMOVE, "rule/0", NULL,
        "delete rule/when-hit[0] log=false -> -\ndelete rule[0] action=pass note=a weight=5 -> -\nshift rule[0] -1\n");
    /* Where they stand in the list says nothing. */
    SHOWS("rule", "[{'id':2,'action':'pass','note':'c','weight':5,'when-hit':{'log':false},"
                  "'match':[{'field':'src','value':'y','negate':false}]},"
                  "{'id':0,'action':'drop','note':'n','weight':5,'when-hit':{'log':false}},"
                  "{'id':1,'action':'drop','note':'b','weight':9,'when-hit':{'log':false}}]");
    /* Behind the last one none has to make room. */
    GIVES(INSERT, "rule/3", "{'action':'pass'}",
          "create rule[3] - -> action=pass weight=5\ncreate rule/when-hit[3] - -> log=false\n");
    GIVES(REMOVE, "rule/3", NULL,
          "delete rule/when-hit[3] log=false -> -\ndelete rule[3] action=pass weight=5 -> -\nshift rule[3] -1\n");
    REFUSES(REMOVE, "rule/3", NULL, DATA_MISSING, "rule/3", "rule/3 does not exist");
    REFUSES(INSERT, "rule/1", "{'note':'n'}", MISSING_ATTRIBUTE, "rule/1/action", "action");
    REFUSES(INSERT, "rule/1", "{'id':2,'action':'drop'}", BAD_ATTRIBUTE, "rule/1/id", "contradicts the path");
    REFUSES(INSERT, "rule/1/match/src/z", NULL, NOT_SUPPORTED, "rule/1/match/src/z", "has no number");
    REFUSES(INSERT, "rule", "[]", NOT_SUPPORTED, "rule", "has no number");
    GIVES(CREATE, "rule/4294967295", "{'action':'pass'}",
          "create rule[4294967295] - -> action=pass weight=5\n"
          "create rule/when-hit[4294967295] - -> log=false\n");
    REFUSES(INSERT, "rule/0", "{'action':'pass'}", RESOURCE_DENIED, "rule/0", "rule is full|4294967295");
    probe_close(&probe);
}

static void a_kind_that_looks_at_what_is_to_be_alone_gets_no_copies(void)
{
    struct pcn_cube_kind kind = probe_kind;
    struct probe probe;

    kind.after_alone = true;
    PCN_REQUIRE(probe_open_kind(&probe, &kind, "{'rule':[{'id':1,'action':'pass'},{'id':2,'action':'drop'}]}"));
    GIVES(REPLACE, "rule", "[{'id':1,'action':'drop'}]",
          "delete rule/when-hit[2] log=false -> -\ndelete rule[2] action=drop weight=5 -> -\n"
          "modify rule[1] - -> action=drop weight=5\n");
    probe_close(&probe);
}

static void lists_in_lists_carry_all_their_keys(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':1,'action':'pass'},{'id':2,'action':'pass'}]}"));
    GIVES(CREATE, "rule/1/match/src/10.0.0.1", NULL, "create rule/match[1,src,10.0.0.1] - -> negate=false\n");
    GIVES(CREATE, "rule/1/match/DST/10.0.0.1", "{'negate':'true'}",
          "create rule/match[1,dst,10.0.0.1] - -> negate=true\n");
    GIVES(UPDATE, "rule/1/match/Dst/10.0.0.1", "{'field':'DST','negate':false}",
          "modify rule/match[1,dst,10.0.0.1] negate=true -> negate=false\n");
    GIVES(REPLACE, "rule/1", "{'action':'pass','match':[{'field':'src','value':'y'}]}",
          "delete rule/match[1,src,10.0.0.1] negate=false -> -\ndelete rule/match[1,dst,10.0.0.1] negate=false -> -\n"
          "create rule/match[1,src,y] - -> negate=false\n");
    GIVES(DELETE, "rule", NULL,
          "delete rule/when-hit[1] log=false -> -\ndelete rule/match[1,src,y] negate=false -> -\n"
          "delete rule[1] action=pass weight=5 -> -\n"
          "delete rule/when-hit[2] log=false -> -\ndelete rule[2] action=pass weight=5 -> -\n");
    probe_close(&probe);
}

static void what_does_not_exist_first_is_named(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    REFUSES(CREATE, "rule/1/match/src/z", NULL, DATA_MISSING, "rule/1", "rule/1 does not exist");
    REFUSES(UPDATE, "rule/1/match/src/z", "{'negate':true}", DATA_MISSING, "rule/1", "rule/1 does not exist");
    REFUSES(DELETE, "rule/1/match/src/z", NULL, DATA_MISSING, "rule/1", "rule/1 does not exist");
    REFUSES(REPLACE, "rule/1/match", "[]", DATA_MISSING, "rule/1", "rule/1 does not exist");
    REFUSES(UPDATE, "rule/1/when-hit/log", "true", DATA_MISSING, "rule/1", "rule/1 does not exist");
    REFUSES(CREATE, "rule/1/via/b", NULL, DATA_MISSING, "rule/1", "rule/1 does not exist");
    REFUSES(UPDATE, "tls/level", "'high'", DATA_MISSING, "tls", "tls does not exist");
    GIVES(CREATE, "rule/1", "{'action':'pass'}",
          "create rule[1] - -> action=pass weight=5\ncreate rule/when-hit[1] - -> log=false\n");
    REFUSES(DELETE, "rule/1/match/src/z", NULL, DATA_MISSING, "rule/1/match/src/z",
            "rule/1/match/src/z does not exist");
    probe_close(&probe);
}

static void deletes_come_before_what_takes_their_place(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':1,'action':'pass','match':[{'field':'src','value':'a'}]}],"
                                   "'ports':[{'name':'p'}]}"));
    GIVES(REPLACE, "", "{'label':'l','ports':[{'name':'q'}],'rule':[{'id':2,'action':'drop'}],'limits':{'burst':11}}",
          "delete ports[p] vlan=1 -> -\n"
          "delete rule/when-hit[1] log=false -> -\ndelete rule/match[1,src,a] negate=false -> -\n"
          "delete rule[1] action=pass weight=5 -> -\n"
          "modify [] type=TC loglevel=INFO shadow=false span=false mode=OPEN active=true size=16 -> "
          "type=TC loglevel=INFO shadow=false span=false mode=OPEN label=l active=true size=16\n"
          "create ports[q] - -> vlan=1\n"
          "modify limits[] burst=10 -> burst=11\n"
          "create rule[2] - -> action=drop weight=5\ncreate rule/when-hit[2] - -> log=false\n");
    probe_close(&probe);
}

static void containers_are_filled_and_reset(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    GIVES(UPDATE, "limits", "{'rate':5,'deep':{'note':'n'}}",
          "modify limits[] burst=10 -> burst=10 rate=5\nmodify limits/deep[] depth=1 -> depth=1 note=n\n");
    GIVES(CREATE, "limits", "{'burst':3}", "modify limits[] burst=10 rate=5 -> burst=3 rate=5\n");
    GIVES(REPLACE, "limits", "{'rate':6}",
          "modify limits[] burst=3 rate=5 -> burst=10 rate=6\nmodify limits/deep[] depth=1 note=n -> depth=1\n");
    GIVES(UPDATE, "limits/deep", "{'depth':4}", "modify limits/deep[] depth=1 -> depth=4\n");
    GIVES(DELETE, "limits", NULL,
          "modify limits[] burst=10 rate=6 -> burst=10\nmodify limits/deep[] depth=4 -> depth=1\n");
    GIVES(DELETE, "limits", NULL, "");
    SHOWS("limits", "{'burst':10,'deep':{'depth':1}}");
    probe_close(&probe);
}

static void presence_containers_come_and_go(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    REFUSES(UPDATE, "tls", "{'certificate':'c'}", DATA_MISSING, "tls", "tls does not exist");
    REFUSES(DELETE, "tls", NULL, DATA_MISSING, "tls", "tls does not exist");
    REFUSES(CREATE, "tls", NULL, MISSING_ATTRIBUTE, "tls/certificate", "tls needs certificate");
    GIVES(CREATE, "tls", "{'certificate':'c'}", "create tls[] - -> certificate=c level=low\n");
    REFUSES(CREATE, "tls", "{'certificate':'d'}", DATA_EXISTS, "tls", "tls exists already");
    GIVES(UPDATE, "tls", "{'level':'HIGH'}", "modify tls[] certificate=c level=low -> certificate=c level=high\n");
    REFUSES(REPLACE, "tls", "{'level':'high'}", MISSING_ATTRIBUTE, "tls/certificate", "tls needs certificate");
    GIVES(REPLACE, "tls", "{'certificate':'e'}", "modify tls[] certificate=c level=high -> certificate=e level=low\n");
    GIVES(DELETE, "tls", NULL, "delete tls[] certificate=e level=low -> -\n");
    GIVES(UPDATE, "", "{'tls':{'certificate':'f'}}", "create tls[] - -> certificate=f level=low\n");
    GIVES(REPLACE, "", NULL, "delete tls[] certificate=f level=low -> -\n");
    GIVES(REPLACE, "tls", "{'certificate':'g'}", "create tls[] - -> certificate=g level=low\n");
    probe_close(&probe);
}

static void leaves_are_set(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'ports':[{'name':'p'}]}"));
    GIVES(UPDATE, "ports/p/vlan", "12", "modify ports[p] vlan=1 -> vlan=12\n");
    GIVES(UPDATE, "ports/p/vlan", "12", "");
    GIVES(UPDATE, "ports/p/ip", "'10.0.0.1'", "modify ports[p] vlan=12 -> ip=10.0.0.1 vlan=12\n");
    GIVES(UPDATE, "ports/p/vlan", "1", "modify ports[p] ip=10.0.0.1 vlan=12 -> ip=10.0.0.1 vlan=1\n");
    GIVES(UPDATE, "limits/deep/depth", "'9'", "modify limits/deep[] depth=1 -> depth=9\n");
    SHOWS("limits/deep/depth", "9");
    SHOWS("ports/p/ip", "'10.0.0.1'");
    REFUSES(UPDATE, "ports/p/name", "'q'", BAD_ATTRIBUTE, "ports/p/name", "name is a key|q");
    GIVES(UPDATE, "ports/p/name", "'p'", "");
    REFUSES(UPDATE, "ports/q/vlan", "3", DATA_MISSING, "ports/q", "ports/q does not exist");
    probe_close(&probe);
}

static void leaf_lists_are_sets(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':1,'action':'pass','via':['a','b']}]}"));
    GIVES(CREATE, "rule/1/via/c", NULL,
          "modify rule[1] action=pass weight=5 via=a via=b -> action=pass weight=5 via=a via=b via=c\n");
    REFUSES(CREATE, "rule/1/via/c", NULL, DATA_EXISTS, "rule/1/via/c", "exists already");
    GIVES(REPLACE, "rule/1/via/c", NULL, "");
    GIVES(DELETE, "rule/1/via/b", NULL,
          "modify rule[1] action=pass weight=5 via=a via=b via=c -> action=pass weight=5 via=a via=c\n");
    REFUSES(DELETE, "rule/1/via/b", NULL, DATA_MISSING, "rule/1/via/b", "does not exist");
    GIVES(UPDATE, "rule/1/via", "['c','d']",
          "modify rule[1] action=pass weight=5 via=a via=c -> action=pass weight=5 via=a via=c via=d\n");
    REFUSES(CREATE, "rule/1/via", "['x','d']", DATA_EXISTS, "rule/1/via", "via holds d already");
    GIVES(REPLACE, "rule/1/via", "['a','c','d']", "");
    GIVES(REPLACE, "rule/1/via", "['d','z']",
          "modify rule[1] action=pass weight=5 via=a via=c via=d -> action=pass weight=5 via=d via=z\n");
    SHOWS("rule/1/via", "['d','z']");
    SHOWS("rule/1/via/z", "'z'");
    GIVES(UPDATE, "", "{'number':[1,'2']}",
          "modify [] type=TC loglevel=INFO shadow=false span=false mode=OPEN active=true size=16 -> "
          "type=TC loglevel=INFO shadow=false span=false mode=OPEN active=true size=16 number=1 number=2\n");
    REFUSES(UPDATE, "number", "[300]", INVALID_VALUE, "number", "number|300|from 0 to 255");
    REFUSES(REPLACE, "number", "[4,4]", DATA_EXISTS, "number", "number holds 4 already");
    GIVES(DELETE, "rule/1/via", NULL, "modify rule[1] action=pass weight=5 via=d via=z -> action=pass weight=5\n");
    SHOWS("rule/1/via", "[]");
    probe_close(&probe);
}

static void init_only_leaves_stay(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'size':32,'rule':[{'id':1,'action':'pass','origin':'o'}]}"));
    REFUSES(UPDATE, "size", "64", INVALID_VALUE, "size", "size|cannot be changed");
    REFUSES(UPDATE, "", "{'label':'l','size':64}", INVALID_VALUE, "size", "size");
    REFUSES(UPDATE, "", "{'type':'XDP_SKB'}", INVALID_VALUE, "type", "type");
    GIVES(UPDATE, "size", "32", "");
    REFUSES(REPLACE, "rule/1", "{'action':'pass','origin':'p'}", INVALID_VALUE, "rule/1/origin", "origin");
    /* What is not given stays as it was made. */
    GIVES(REPLACE, "rule/1", "{'action':'pass'}", "");
    GIVES(REPLACE, "", NULL,
          "delete rule/when-hit[1] log=false -> -\ndelete rule[1] action=pass weight=5 origin=o -> -\n");
    SHOWS("size", "32");
    probe_close(&probe);
}

static void edits_are_discarded_in_reverse(void)
{
    static const struct {
        enum pcn_edit_verb verb;
        const char *path, *body;
    } edits[] = {
        {PCN_EDIT_DELETE, "rule/2", NULL},
        {PCN_EDIT_UPDATE, "rule/1", "{'action':'drop','via':['x'],'match':[{'field':'src','value':'b'}]}"},
        {PCN_EDIT_CREATE, "rule/2", "{'action':'drop'}"},
        {PCN_EDIT_REPLACE, "rule", "[{'id':3,'action':'drop'},{'id':9,'action':'pass'}]"},
        {PCN_EDIT_UPDATE, "", "{'tls':{'certificate':'c'},'label':'l','limits':{'burst':5},'number':[1]}"},
        {PCN_EDIT_DELETE, "rule", NULL},
        {PCN_EDIT_UPDATE, "limits/burst", "6"},
        {PCN_EDIT_REPLACE, "", "{'rule':[{'id':1,'action':'drop'}]}"},
    };
    char *texts[PCN_ARRAY_SIZE(edits)];
    struct pcn_edit *open[PCN_ARRAY_SIZE(edits)];
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':1,'action':'pass','via':['v','w']},{'id':2,'action':'pass','match':"
                                   "[{'field':'src','value':'a'},{'field':'dst','value':'a'}]},"
                                   "{'id':3,'action':'pass'}],'tag':['t','u']}"));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(edits); i++) {
        texts[i] = probe_get(&probe, "", &probe_config);
        PCN_REQUIRE_OK(probe_edit(&probe, edits[i].verb, edits[i].path, edits[i].body, &open[i]));
    }
    for (size_t i = PCN_ARRAY_SIZE(edits); i-- > 0;) {
        _cleanup_free_ char *text = NULL;

        pcn_edit_discardp(&open[i]);
        text = probe_get(&probe, "", &probe_config);
        PCN_CHECK_STR(text, texts[i]);
        free(texts[i]);
    }
    probe_close(&probe);
}

static void what_was_shown_can_be_sent_back(void)
{
    _cleanup_free_ char *shown = NULL;
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':1,'action':'pass','via':['v'],'match':[{'field':'src','value':'a'}]}"
                                   "],'ports':[{'name':'p','ip':'1.2.3.4'}],'tls':{'certificate':'c'},'ratio':1.5,"
                                   "'flag':null,'number':[3],'target':'any','balance':-3,'label':'a b'}"));
    shown = probe_get(&probe, "", &probe_config);
    PCN_CHECK_HAS(shown, "\"flag\":[null]");
    PCN_CHECK_HAS(shown, "\"ratio\":1.5");
    GIVES(UPDATE, "", shown, "");
    GIVES(REPLACE, "", shown, "");
    /* With what is shown and cannot be set, as long as all is described, and not what is to change. */
    GIVES(REPLACE, "rule", "[{'id':1,'action':'pass','via':['v'],'hits':7,'match':[{'field':'src','value':'a'}]}]", "");
    GIVES(REPLACE, "rule/1", "{'action':'drop','hits':7}",
          "delete rule/match[1,src,a] negate=false -> -\n"
          "modify rule[1] action=pass weight=5 via=v -> action=drop weight=5\n");
    REFUSES(UPDATE, "rule/1", "{'hits':7}", INVALID_VALUE, "rule/1/hits",
            "hits is shown by the cube and cannot be set");
    REFUSES(CREATE, "rule/2", "{'action':'pass','hits':7}", INVALID_VALUE, "rule/2/hits", "cannot be set");
    REFUSES(REPLACE, "rule/1", "{'action':'drop','hitz':7}", UNKNOWN_ELEMENT, "rule/1/hitz", "hitz");
    probe_close(&probe);
}

/* ---- values ---- */

static void values_are_taken_in_the_forms_old_clients_send(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    static const struct {
        const char *leaf, *given, *shown;
    } values[] = {
        {"mode", "'strict'", "'Strict'"},
        {"mode", "'OFF'", "'off'"},
        {"mode", "'open'", "'OPEN'"},
        {"target", "80", "80"},
        {"target", "'81'", "81"},
        {"target", "'any'", "'any'"},
        {"target", "'ANY'", "'any'"},
        {"label", "10", "'10'"},
        {"label", "true", "'true'"},
        {"label", "1.5", "'1.5'"},
        {"label", "''", "''"},
        {"label", "'\\u00e9\\n\\\\'", "'\xc3\xa9\\u000a\\\\'"},
        {"active", "'false'", "false"},
        {"active", "true", "true"},
        {"balance", "'-10'", "-10"},
        {"balance", "100", "100"},
        {"balance", "1e1", "10"},
        {"ratio", "2", "2.0"},
        {"ratio", "'2.50'", "2.5"},
        {"flag", "null", "[null]"},
        {"flag", "[null]", "[null]"},
        {"limits/rate", "'18446744073709551615'", "18446744073709551615"},
        {"limits/rate", "0", "0"},
    };
    for (size_t i = 0; i < PCN_ARRAY_SIZE(values); i++) {
        struct pcn_edit *edit = NULL;

        if (!PCN_CHECK_OK(probe_edit(&probe, PCN_EDIT_UPDATE, values[i].leaf, values[i].given, &edit))) {
            printf("    %s: %s\n", values[i].leaf, probe.error.message);
            continue;
        }
        pcn_edit_commit(edit, NULL);
        SHOWS(values[i].leaf, values[i].shown);
    }
    probe_close(&probe);
}

static void values_that_cannot_be_are_refused_with_the_form_that_can(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'ports':[{'name':'p'}]}"));
    REFUSES(UPDATE, "mode", "'shut'", INVALID_VALUE, "mode", "mode|\"shut\"|one of OPEN, Strict, off");
    REFUSES(UPDATE, "target", "0", INVALID_VALUE, "target", "target|\"0\"|an integer from 1 to 65535|one of any");
    REFUSES(UPDATE, "code", "'abcde'", INVALID_VALUE, "code", "code|abcde|length from 2 to 4|[a-z]+|for example abc");
    REFUSES(UPDATE, "code", "'AB'", INVALID_VALUE, "code", "AB|like [a-z]+");
    REFUSES(UPDATE, "active", "'yes'", INVALID_VALUE, "active", "active|\"yes\"|true or false");
    REFUSES(UPDATE, "active", "1", INVALID_VALUE, "active", "active|\"1\"|true or false");
    REFUSES(UPDATE, "balance", "11", INVALID_VALUE, "balance", "balance|11|from -10 to 10 or from 100 to 100");
    REFUSES(UPDATE, "balance", "1.5", INVALID_VALUE, "balance", "balance|1.5|an integer");
    REFUSES(UPDATE, "balance", "null", INVALID_VALUE, "balance", "balance|null|an integer");
    REFUSES(UPDATE, "balance", "[1]", INVALID_VALUE, "balance", "balance|[...]|an integer");
    REFUSES(UPDATE, "balance", "{'a':1}", INVALID_VALUE, "balance", "balance|{...}|an integer");
    REFUSES(UPDATE, "label", "'a\\u0000b'", INVALID_VALUE, "label", "label|text");
    REFUSES(UPDATE, "flag", "1", INVALID_VALUE, "flag", "flag|\"1\"|null");
    REFUSES(UPDATE, "limits/rate", "-1", INVALID_VALUE, "limits/rate", "-1|from 0 to 18446744073709551615");
    REFUSES(UPDATE, "limits", "{'deep':{'depth':256}}", INVALID_VALUE, "limits/deep/depth", "256|from 0 to 255");
    REFUSES(UPDATE, "ports/p", "{'ip':'x'}", INVALID_VALUE, "ports/p/ip", "ip|\"x\"|for example 10.0.0.1");
    REFUSES(CREATE, "ports", "[{'name':'q','vlan':4095}]", INVALID_VALUE, "ports/q/vlan", "4095|from 1 to 4094");
    REFUSES(CREATE, "ports/a b", NULL, INVALID_VALUE, "ports/a b/name",
            "name|a b|give 1 to 64 letters, digits, _, . and -, for example port1");
    REFUSES(UPDATE, "ports/p/vlan", NULL, INVALID_VALUE, "ports/p/vlan", "vlan|null|an integer");
    probe_close(&probe);
}

static void members_that_cannot_be_given_are_refused(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'ports':[{'name':'p'}]}"));
    REFUSES(UPDATE, "", "{'nonsense':1}", UNKNOWN_ELEMENT, "nonsense", "nonsense");
    REFUSES(UPDATE, "", "{'reset':{}}", UNKNOWN_ELEMENT, "reset", "reset");
    REFUSES(UPDATE, "ports/p", "{'port':1}", UNKNOWN_ELEMENT, "ports/p/port", "ports has no member port");
    REFUSES(UPDATE, "", "{'uptime':1}", INVALID_VALUE, "uptime", "uptime|cannot be set");
    REFUSES(UPDATE, "uptime", "1", NOT_SUPPORTED, "uptime", "uptime|cannot be set");
    REFUSES(DELETE, "stats/per/1", NULL, DATA_MISSING, "stats/per/1", "does not exist");
    REFUSES(UPDATE, "ports", "{'name':'p'}", INVALID_VALUE, "ports", "ports is a list: give an array");
    REFUSES(UPDATE, "ports/p", "[]", INVALID_VALUE, "ports/p", "ports is an object: give {...}");
    REFUSES(UPDATE, "limits", "3", INVALID_VALUE, "limits", "limits is an object");
    REFUSES(UPDATE, "", "{'limits':[]}", INVALID_VALUE, "limits", "limits is an object");
    REFUSES(UPDATE, "tag", "'a'", INVALID_VALUE, "tag", "tag is a list");
    REFUSES(CREATE, "ports", "['p']", INVALID_VALUE, "ports", "an entry of ports is an object");
    REFUSES(CREATE, "ports", "[{'vlan':1}]", MISSING_ATTRIBUTE, "ports", "an entry of ports needs name");
    REFUSES(CREATE, "rule/1", NULL, MISSING_ATTRIBUTE, "rule/1/action", "rule needs action");
    REFUSES(CREATE, "rule/1", "{'id':2,'action':'pass'}", BAD_ATTRIBUTE, "rule/1/id", "id is a key|2");
    REFUSES(CREATE, "", NULL, DATA_EXISTS, "name", "Cube t1 exists already");
    REFUSES(UPDATE, "nothing/here", "1", NOT_FOUND, "nothing", "no nothing below the cube");
    REFUSES(UPDATE, "ports/p/nothing", "1", NOT_FOUND, "ports/p/nothing", "nothing");
    REFUSES(CREATE, "reset", NULL, NOT_SUPPORTED, "reset", "cannot be edited");
    REFUSES(CREATE, "rule/x", "{'action':'pass'}", INVALID_VALUE, "rule/x/id", "id|\"x\"|an integer");
    GIVES(UPDATE, "", "{'uuid':'1','_links':[],'service-name':'probe','counters':{}}", "");
    GIVES(UPDATE, "ports/p", "{'uuid':'1','status':'UP','tcubes':[]}", "");
    probe_close(&probe);
}

static void a_key_that_no_path_could_name_is_refused(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    GIVES(CREATE, "learned", "[{'mac':'it\\u0027s'}]", "create learned[it's] - -> {}\n");
    REFUSES(CREATE, "learned", "[{'mac':'it\\u0027s'}]", DATA_EXISTS, "learned/it's", "exists already");
    GIVES(CREATE, "learned", "[{'mac':'a\\u0022b'}]", "create learned[a\"b] - -> {}\n");
    REFUSES(CREATE, "learned", "[{'mac':'\\u0027\\u0022'}]", INVALID_VALUE, "learned/'\"", "quotes");
    probe_close(&probe);
}

static void keys_are_compared_by_what_they_mean(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, "{'rule':[{'id':7,'action':'pass'}]}"));
    REFUSES(CREATE, "rule/007", "{'action':'drop'}", DATA_EXISTS, "rule/007", "exists already");
    GIVES(UPDATE, "rule/007", "{'id':7,'action':'drop'}",
          "modify rule[7] action=pass weight=5 -> action=drop weight=5\n");
    probe_close(&probe);
}

/* ---- constraints ---- */

static void constraints_hold_over_the_whole_tree(void)
{
    struct probe probe;

    PCN_REQUIRE(probe_open(&probe, NULL));
    GIVES(UPDATE, "window", "{'low':50,'high':60}", "modify window[] low=0 high=100 -> low=50 high=60\n");
    REFUSES(UPDATE, "window/high", "40", INVALID_VALUE, "window", "low is above high");
    REFUSES(UPDATE, "window/low", "61", INVALID_VALUE, "window", "low is above high");
    GIVES(UPDATE, "", "{'file':'f','format':'x'}",
          "modify [] type=TC loglevel=INFO shadow=false span=false mode=OPEN active=true size=16 -> "
          "type=TC loglevel=INFO shadow=false span=false mode=OPEN active=true size=16 file=f format=x\n");
    REFUSES(UPDATE, "", "{'url':'u'}", INVALID_VALUE, "", "file|net");
    GIVES(REPLACE, "", "{'url':'u','window':{'low':50,'high':60}}",
          "modify [] type=TC loglevel=INFO shadow=false span=false mode=OPEN active=true size=16 file=f format=x -> "
          "type=TC loglevel=INFO shadow=false span=false mode=OPEN active=true size=16 url=u\n");
    probe_close(&probe);
}

/* ---- size ---- */

static const struct pcn_cube_kind plain_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "plain",
    .yang = PROBE_MODULE("plain", "uses \"polycube-standard-base:standard-base-yang-module\";"
                                  "list route { key \"network nexthop\"; leaf network { type string; }"
                                  "leaf nexthop { type string; } leaf cost { type uint32; default 1; } }"),
};

static json_t *routes(size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array,
                              json_pack("{s:o,s:s,s:i}", "network", json_sprintf("10.%zu.%zu.0/24", i / 256, i % 256),
                                        "nexthop", "10.0.0.2", "cost", 2));
    return array;
}

/* The instrumented build and a busy machine take longer: the best of some rounds is held to the limit. */
#ifdef __SANITIZE_ADDRESS__
#define SLOWER 10
#else
#define SLOWER 1
#endif

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void ten_thousand_entries_in_150_ms_and_one_more_in_1_ms(void)
{
    const char *list[] = {"route"}, *one[] = {"route", "11.0.0.0/24", "10.0.0.2"};
    uint64_t many = UINT64_MAX, more = UINT64_MAX, undo = UINT64_MAX, all = UINT64_MAX, started;
    json_t *body = routes(10000);
    struct pcn_edit *edit = NULL, *second = NULL;
    struct probe probe;

    PCN_REQUIRE(probe_open_kind(&probe, &plain_kind, NULL));
    for (int round = 0; round < 5; round++) {
        started = now_us();
        PCN_REQUIRE_OK(pcn_edit_new(probe.tree, NULL, PCN_EDIT_CREATE, list, 1, body, &edit, &probe.error));
        many = PCN_MIN(many, now_us() - started);
        PCN_CHECK_EQ(pcn_edit_n_changes(edit), 10000);
        started = now_us();
        PCN_REQUIRE_OK(pcn_edit_new(probe.tree, NULL, PCN_EDIT_CREATE, one, 3, NULL, &second, &probe.error));
        more = PCN_MIN(more, now_us() - started);
        PCN_CHECK_EQ(pcn_edit_n_changes(second), 1);
        pcn_edit_discardp(&second);
        started = now_us();
        PCN_REQUIRE_OK(pcn_edit_new(probe.tree, NULL, PCN_EDIT_DELETE, list, 1, NULL, &second, &probe.error));
        pcn_edit_discardp(&second);
        all = PCN_MIN(all, now_us() - started);
        started = now_us();
        pcn_edit_discardp(&edit);
        undo = PCN_MIN(undo, now_us() - started);
    }
    printf("10000: %lu us, one more: %lu us, all deleted and put back: %lu us, undone: %lu us ", many, more, all, undo);
    PCN_CHECK(many < 150000 * SLOWER);
    PCN_CHECK(more < 1000 * SLOWER);
    PCN_CHECK(all < 150000 * SLOWER);
    PCN_CHECK(undo < 150000 * SLOWER);
    json_decref(body);
    probe_close(&probe);
}

static const struct pcn_test tests[] = {
    {.name = "a new cube has its defaults", .run = a_new_cube_has_its_defaults},
    {.name = "a new cube is changes parents first", .run = a_new_cube_is_changes_parents_first},
    {.name = "entries are created replaced updated and deleted",
     .run = entries_are_created_replaced_updated_and_deleted},
    {.name = "all entries of a list at once", .run = all_entries_of_a_list_at_once},
    {.name = "entries behind one that comes or goes are numbered anew",
     .run = entries_behind_one_that_comes_or_goes_are_numbered_anew},
    {.name = "a kind that looks at what is to be alone gets no copies",
     .run = a_kind_that_looks_at_what_is_to_be_alone_gets_no_copies},
    {.name = "lists in lists carry all their keys", .run = lists_in_lists_carry_all_their_keys},
    {.name = "what does not exist first is named", .run = what_does_not_exist_first_is_named},
    {.name = "deletes come before what takes their place", .run = deletes_come_before_what_takes_their_place},
    {.name = "containers are filled and reset", .run = containers_are_filled_and_reset},
    {.name = "presence containers come and go", .run = presence_containers_come_and_go},
    {.name = "leaves are set", .run = leaves_are_set},
    {.name = "leaf lists are sets", .run = leaf_lists_are_sets},
    {.name = "init only leaves stay", .run = init_only_leaves_stay},
    {.name = "edits are discarded in reverse", .run = edits_are_discarded_in_reverse},
    {.name = "what was shown can be sent back", .run = what_was_shown_can_be_sent_back},
    {.name = "values are taken in the forms old clients send", .run = values_are_taken_in_the_forms_old_clients_send},
    {.name = "values that cannot be are refused with the form that can",
     .run = values_that_cannot_be_are_refused_with_the_form_that_can},
    {.name = "members that cannot be given are refused", .run = members_that_cannot_be_given_are_refused},
    {.name = "a key that no path could name is refused", .run = a_key_that_no_path_could_name_is_refused},
    {.name = "keys are compared by what they mean", .run = keys_are_compared_by_what_they_mean},
    {.name = "constraints hold over the whole tree", .run = constraints_hold_over_the_whole_tree},
    {.name = "ten thousand entries in 150 ms and one more in 1 ms",
     .run = ten_thousand_entries_in_150_ms_and_one_more_in_1_ms},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("model", tests);
}
