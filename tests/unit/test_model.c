/* SPDX-License-Identifier: Apache-2.0 */
/* Edits: what changes they give, in which order, and that a discarded one leaves nothing behind. */
#include "model_fixture.h"

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

static const struct pcn_test tests[] = {
    {.name = "a new cube has its defaults", .run = a_new_cube_has_its_defaults},
    {.name = "a new cube is a list of changes, parents first", .run = a_new_cube_is_changes_parents_first},
    {.name = "entries are created, replaced, updated and deleted",
     .run = entries_are_created_replaced_updated_and_deleted},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("model", tests);
}
