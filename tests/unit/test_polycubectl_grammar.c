/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of polycubectl: words become a request, or an error. No daemon.
 */
#include <CUnit/Basic.h>
#include <polycubectl/args.h>
#include <polycubectl/complete.h>
#include <polycubectl/value.h>
#include <polycubectl/words.h>

/* What a command line says: "METHOD url body" with the body in compact JSON; "ERROR text" where it is refused. */
static char *spoken(const char *text)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {};
    _cleanup_free_ char *url = NULL, *body = NULL;
    struct pcn_cli_message message = {};
    char *said = NULL;

    if (pcn_cli_line_split(text, false, &line, &message) < 0 ||
        pcn_cli_parse(line.n_words, line.words, true, &command, &message) < 0)
        return asprintf(&said, "ERROR %s", message.text) < 0 ? NULL : said;
    if (!command.method)
        return strdup("-");
    url = pcn_cli_command_url(&command, false);
    if (command.body)
        body = json_dumps(command.body, JSON_COMPACT | JSON_ENCODE_ANY);
    if (asprintf(&said, "%s %s%s%s", command.method, url, body ? " " : "", body ? body : "") < 0)
        return NULL;
    return said;
}

struct example {
    const char *line, *said;
};

static void examples_hold(const struct example *examples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *said = spoken(examples[i].line);

        CU_ASSERT_STRING_EQUAL(said, examples[i].said);
        if (!pcn_streq(said, examples[i].said))
            (void)fprintf(stderr, "%s\n  said     %s\n  expected %s\n", examples[i].line, said, examples[i].said);
    }
}

#define EXAMPLES_HOLD(...)                                                                                             \
    do {                                                                                                               \
        static const struct example examples[] = {__VA_ARGS__};                                                        \
        examples_hold(examples, PCN_ARRAY_SIZE(examples));                                                             \
    } while (0)

static void verb_may_stand_anywhere(void)
{
    EXAMPLES_HOLD({"firewall del fw", "DELETE firewall/fw/"}, {"del firewall fw", "DELETE firewall/fw/"},
                  {"firewall fw del", "DELETE firewall/fw/"}, {"del r1", "DELETE r1/"}, {"r1 del", "DELETE r1/"},
                  {"fw chain EGRESS del rule 3", "DELETE fw/chain/EGRESS/rule/3/"},
                  {"fw chain EGRESS rule del 3", "DELETE fw/chain/EGRESS/rule/3/"},
                  {"fw chain EGRESS rule 3 add action=DROP", "POST fw/chain/EGRESS/rule/3/ {\"action\":\"DROP\"}"},
                  {"fw chain EGRESS rule add 3 action=DROP", "POST fw/chain/EGRESS/rule/3/ {\"action\":\"DROP\"}"},
                  {"fw chain INGRESS show rule 3", "GET fw/chain/INGRESS/rule/3/"}, {"show", "GET "},
                  {"d1 show blacklist-src", "GET d1/blacklist-src/"}, {"r1 del ports p1", "DELETE r1/ports/p1/"});
}

static void commands_of_scripts_are_understood(void)
{
    EXAMPLES_HOLD(
        {"router add r1 type=XDP_SKB loglevel=TRACE shadow=true",
         "POST router/r1/ {\"type\":\"XDP_SKB\",\"loglevel\":\"TRACE\",\"shadow\":true}"},
        {"br1 ports add p1 peer=veth1", "POST br1/ports/p1/ {\"peer\":\"veth1\"}"},
        {"r1 route add 10.0.3.0/24 10.0.2.1 pathcost=2", "POST r1/route/10.0.3.0%2F24/10.0.2.1/ {\"pathcost\":2}"},
        {"r1 arp-table add 10.0.0.9 mac=aa:bb:cc:dd:ee:ff interface=p1",
         "POST r1/arp-table/10.0.0.9/ {\"mac\":\"aa:bb:cc:dd:ee:ff\",\"interface\":\"p1\"}"},
        {"fw chain INGRESS append src=10.0.0.1 l4proto=TCP dport=80 action=DROP",
         "POST fw/chain/INGRESS/append/ {\"src\":\"10.0.0.1\",\"l4proto\":\"TCP\",\"dport\":80,\"action\":\"DROP\"}"},
        {"fw chain INGRESS reset-counters", "POST fw/chain/INGRESS/reset-counters/"},
        {"nat1 rule masquerade enable", "POST nat1/rule/masquerade/enable/"},
        {"lb0 service 10.0.0.1 80 TCP backend add 10.0.0.2 port=80 weight=20",
         "POST lb0/service/10.0.0.1/80/TCP/backend/10.0.0.2/ {\"port\":80,\"weight\":20}"},
        {"br1 ports p1 trunk allowed add 10", "POST br1/ports/p1/trunk/allowed/10/"},
        {"br1 ports p1 stp 1 show state", "GET br1/ports/p1/stp/1/state/"},
        {"r1 ports p1 secondaryip add 10.0.9.1/24", "POST r1/ports/p1/secondaryip/10.0.9.1%2F24/"},
        {"services add type=lib uri=libpcn-x.so name=x",
         "POST services/ {\"type\":\"lib\",\"uri\":\"libpcn-x.so\",\"name\":\"x\"}"},
        {"services del x", "DELETE services/x/"}, {"services show bridge", "GET services/bridge/"},
        {"dm metrics ingress-metrics M value show", "GET dm/metrics/ingress-metrics/M/value/"},
        {"br1 fdb flush", "POST br1/fdb/flush/"}, {"cubes add", "POST cubes/"}, {"cubes show r1", "GET cubes/r1/"},
        {"fw stats show -yaml", "GET fw/stats/"});
}

static void words_that_ask_need_no_verb(void)
{
    EXAMPLES_HOLD({"cubes", "GET cubes/"}, {"netdevs", "GET netdevs/"}, {"netdevs eth0", "GET netdevs/eth0/"},
                  {"topology", "GET topology/"}, {"topology show eth0", "GET topology/eth0/"},
                  {"services", "GET services/"}, {"metrics", "GET metrics/"}, {"version", "GET version/"});
}

static void topology_alone_is_verbose_without_uuid(void)
{
    const char *words[] = {"topology"};
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    struct pcn_cli_message message;

    CU_ASSERT_EQUAL_FATAL(pcn_cli_parse(1, words, true, &command, &message), 0);
    CU_ASSERT_EQUAL(command.format, PCN_CLI_VERBOSE);
    CU_ASSERT_STRING_EQUAL_FATAL(command.hide, "uuid");
}

static void set_of_one_value_is_of_the_leaf(void)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    const char *words[] = {"r1", "set", "loglevel=TRACE"};
    struct pcn_cli_message message;

    EXAMPLES_HOLD({"br1 ports p1 set peer=veth2", "PATCH br1/ports/p1/peer/ \"veth2\""},
                  {"br1 ports p1 set peer=\"\"", "PATCH br1/ports/p1/peer/ \"\""},
                  {"br1 stp 1 set priority=28672", "PATCH br1/stp/1/priority/ 28672"},
                  {"r1 set span=true", "PATCH r1/span/ true"},
                  {"br1 set fdb.aging-time=10", "PATCH br1/fdb/aging-time/ 10"},
                  {"fw set conntrack=ON accept-established=ON",
                   "PATCH fw/ {\"conntrack\":\"ON\",\"accept-established\":\"ON\"}"});
    CU_ASSERT_EQUAL_FATAL(pcn_cli_parse(3, words, false, &command, &message), 0);
    CU_ASSERT_EQUAL(command.n_path, 1);
    CU_ASSERT(json_is_object(command.body));
}

static void only_what_cannot_be_text_becomes_a_number(void)
{
    EXAMPLES_HOLD(
        {"x add a=0 b=-5 c=12 d=9223372036854775807", "POST x/ {\"a\":0,\"b\":-5,\"c\":12,\"d\":9223372036854775807}"},
        {"x add a=00 b=-0 c=+1 d=9223372036854775808 e=1.5",
         "POST x/ {\"a\":\"00\",\"b\":\"-0\",\"c\":\"+1\",\"d\":\"9223372036854775808\",\"e\":\"1.5\"}"},
        {"x add a=1e5 b=nan c=inf d=0x10 e=1_0 f=-",
         "POST x/ {\"a\":\"1e5\",\"b\":\"nan\",\"c\":\"inf\",\"d\":\"0x10\",\"e\":\"1_0\",\"f\":\"-\"}"},
        {"x add a=t b=T c=True d=true e=false f=FALSE",
         "POST x/ {\"a\":\"t\",\"b\":\"T\",\"c\":\"True\",\"d\":true,\"e\":false,\"f\":\"FALSE\"}"},
        {"x add mac=00:11:22:33:44:55 ip=10.0.0.1/24 peer=",
         "POST x/ {\"mac\":\"00:11:22:33:44:55\",\"ip\":\"10.0.0.1/24\",\"peer\":\"\"}"});
}

static void dotted_names_nest(void)
{
    EXAMPLES_HOLD({"br1 add fdb.aging-time=100 fdb.x.y=z loglevel=INFO",
                   "POST br1/ {\"fdb\":{\"aging-time\":100,\"x\":{\"y\":\"z\"}},\"loglevel\":\"INFO\"}"},
                  {"x add a.b=1 a.b=2", "ERROR a.b is given twice"}, {"x add a=1 a.b=2", "ERROR a.b is given twice"},
                  {"x add a.b=1 a=2", "ERROR a is given twice"},
                  {"x add .a=1", "ERROR .a=1 is not a valid format, expected name=value"},
                  {"x add a.=1", "ERROR a.=1 is not a valid format, expected name=value"},
                  {"x add a..b=1", "ERROR a..b=1 is not a valid format, expected name=value"},
                  {"x add a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1",
                   "ERROR a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q has more than 16 parts"});
}

static void path_words_are_escaped(void)
{
    EXAMPLES_HOLD({"r1 show 'a b/c%+?#'", "GET r1/a%20b%2Fc%25%2B%3F%23/"},
                  {"r1 show fe80::1/64 aa:bb", "GET r1/fe80::1%2F64/aa:bb/"}, {"r1 show ..", "GET r1/../"},
                  {"r1 show é", "GET r1/%C3%A9/"});
}

static void what_is_not_of_the_grammar_is_an_error(void)
{
    EXAMPLES_HOLD(
        {"r1 add show", "ERROR two verbs, add and show: put -- in front of a name that is a verb"},
        {"r1 set a=b=c", "ERROR a=b=c is not a valid format, expected name=value"},
        {"r1 set =c", "ERROR =c is not a valid format, expected name=value"},
        {"r1 add a=1 word", "ERROR word is not a valid format, expected name=value"},
        {"r1 a=1 set", "ERROR set is not a valid format, expected name=value"},
        {"r1 add a=1 a=1", "ERROR a is given twice"}, {"rule show -1", "ERROR unknown option -1"},
        {"r1 show -json -yaml", "ERROR only one of -normal, -brief, -verbose, -json, -yaml can be given"},
        {"r1 show -json -hide=a", "ERROR -hide cannot be given with -json or -yaml"},
        {"r1 add -json", "ERROR add has no output to format"}, {"r1 del a=1", "ERROR del takes no name=value"},
        {"r1 show a=1", "ERROR show takes no name=value"}, {"r1 show -", "ERROR show takes no input"},
        {"? r1", "ERROR ? must be the last word"}, {"a=1", "ERROR what to act on is missing"},
        {"-json", "ERROR what to act on is missing"}, {"r1 show ''", "ERROR an empty word cannot be part of a path"},
        {"fw append -limit=3", "ERROR -limit goes with show"}, {"r1 show -offset=", "ERROR -offset needs a value"},
        {"r1 show -filter=a=1 -filter=b=2", "ERROR -filter is given twice"},
        {"r1 show --url", "ERROR --url needs a value"}, {"r1 show -hide=", "ERROR -hide needs a value"},
        {"r1 add a=1 -", "ERROR values come from the command line or from -, not from both"},
        {"--url a --url b r1 show", "ERROR --url is given twice"});
}

static void options_choose_entries_of_a_list(void)
{
    EXAMPLES_HOLD({"ct session-table show -limit=10", "GET ct/session-table/?limit=10"},
                  {"ct -filter=l4proto=TCP,dport=80 show session-table -limit 10 -offset=20",
                   "GET ct/session-table/?offset=20&limit=10&filter=l4proto=TCP%2Cdport=80"},
                  {"ct session-table show '-limit=1&x'", "GET ct/session-table/?limit=1%26x"});
}

static void too_long_a_path_is_an_error(void)
{
    EXAMPLES_HOLD({"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33",
                   "ERROR a path has at most 32 words"});
}

static void double_dash_makes_path_words(void)
{
    EXAMPLES_HOLD({"rule show -- -1", "GET rule/-1/"}, {"show -- r1 add", "GET r1/add/"},
                  {"del r1 -- a=b ?", "DELETE r1/a=b/%3F/"});
}

static void question_mark_asks_for_help(void)
{
    EXAMPLES_HOLD({"?", "OPTIONS ?help=NONE"}, {"", "OPTIONS ?help=NONE"}, {"router ?", "OPTIONS router/?help=NONE"},
                  {"router add ?", "OPTIONS router/?help=ADD"}, {"r1 ports p1 set ?", "OPTIONS r1/ports/p1/?help=SET"},
                  {"r1 show ?", "OPTIONS r1/?help=SHOW"}, {"r1 del ports ?", "OPTIONS r1/ports/?help=DEL"},
                  {"router add r1 loglevel=INFO ?", "OPTIONS router/r1/?help=ADD {\"loglevel\":\"INFO\"}"},
                  {"router --help", "OPTIONS router/?help=NONE"});
}

static void wiring_takes_ports_by_position(void)
{
    EXAMPLES_HOLD(
        {"connect br1:p1 r1:p2", "POST connect/ {\"peer1\":\"br1:p1\",\"peer2\":\"r1:p2\"}"},
        {"disconnect br1:p1 veth1", "POST disconnect/ {\"peer1\":\"br1:p1\",\"peer2\":\"veth1\"}"},
        {"attach fw r1:p2", "POST attach/ {\"cube\":\"fw\",\"port\":\"r1:p2\"}"},
        {"attach fw r1:p2 position=first", "POST attach/ {\"position\":\"first\",\"cube\":\"fw\",\"port\":\"r1:p2\"}"},
        {"attach fw eth0 before=nat1", "POST attach/ {\"before\":\"nat1\",\"cube\":\"fw\",\"port\":\"eth0\"}"},
        {"detach fw r1:p2", "POST detach/ {\"cube\":\"fw\",\"port\":\"r1:p2\"}"},
        {"connect br1:p1", "ERROR expected connect PORT PORT"}, {"connect a b c", "ERROR expected connect PORT PORT"},
        {"add connect a b", "ERROR expected connect PORT PORT"},
        {"connect a b c=d", "ERROR expected connect PORT PORT"}, {"detach fw", "ERROR expected detach CUBE PORT"},
        {"attach fw p color=red", "ERROR color is not known here, expected attach CUBE PORT "
                                  "[position=auto|first|last | before=CUBE | after=CUBE]"},
        {"attach fw p before=a after=b", "ERROR expected attach CUBE PORT "
                                         "[position=auto|first|last | before=CUBE | after=CUBE]"});
}

static void input_is_of(const char *text, enum pcn_cli_input input, const char *member)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {};
    struct pcn_cli_message message = {};

    CU_ASSERT_EQUAL_FATAL(pcn_cli_line_split(text, false, &line, &message), 0);
    CU_ASSERT_EQUAL_FATAL(pcn_cli_parse(line.n_words, line.words, true, &command, &message), 0);
    CU_ASSERT_EQUAL(command.input, input);
    CU_ASSERT_STRING_EQUAL(command.input_member ? command.input_member : "", member);
}

static void standard_input_is_read_only_where_it_can_be_meant(void)
{
    input_is_of("simplebridge add br1", PCN_CLI_INPUT_OFFERED, "");
    input_is_of("cubes add", PCN_CLI_INPUT_OFFERED, "");
    input_is_of("r1 set", PCN_CLI_INPUT_OFFERED, "");
    input_is_of("fw chain INGRESS batch", PCN_CLI_INPUT_OFFERED, "");
    input_is_of("fw chain INGRESS batch rules=", PCN_CLI_INPUT_EXPECTED, "rules");
    input_is_of("simplebridge add br1 -", PCN_CLI_INPUT_REQUIRED, "");
    input_is_of("simplebridge add br1 loglevel=INFO", PCN_CLI_INPUT_NONE, "");
    input_is_of("br1 ports add p1 peer=", PCN_CLI_INPUT_NONE, "");
    input_is_of("br1 ports p1 set peer=", PCN_CLI_INPUT_NONE, "");
    input_is_of("fw append src=1 dst=", PCN_CLI_INPUT_NONE, "");
    input_is_of("r1 show", PCN_CLI_INPUT_NONE, "");
    input_is_of("r1 del", PCN_CLI_INPUT_NONE, "");
    input_is_of("connect a b", PCN_CLI_INPUT_NONE, "");
    input_is_of("topology", PCN_CLI_INPUT_NONE, "");
}

static void lines_are_split_as_by_a_shell(void)
{
    _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {}, partial = {};
    struct pcn_cli_message message;

    CU_ASSERT_EQUAL_FATAL(
        pcn_cli_line_split("a 'b c'd \"e \\\"f\" g\\ h '' < 'my file' # rest 'x", false, &line, &message), 0);
    CU_ASSERT_EQUAL_FATAL(line.n_words, 5);
    CU_ASSERT_STRING_EQUAL(line.words[0], "a");
    CU_ASSERT_STRING_EQUAL(line.words[1], "b cd");
    CU_ASSERT_STRING_EQUAL(line.words[2], "e \"f");
    CU_ASSERT_STRING_EQUAL(line.words[3], "g h");
    CU_ASSERT_STRING_EQUAL(line.words[4], "");
    CU_ASSERT_STRING_EQUAL_FATAL(line.file, "my file");
    CU_ASSERT_PTR_NULL(line.here);
    CU_ASSERT_FALSE(line.in_word);
    CU_ASSERT_EQUAL_FATAL(pcn_cli_line_split("r1 'po", true, &partial, &message), 0);
    CU_ASSERT_TRUE(partial.in_word);
    CU_ASSERT_STRING_EQUAL(partial.words[1], "po");
}

static void lines_that_mean_nothing_are_refused(void)
{
    static const char *const lines[] = {"a 'b", "a \"b", "a | b",       "a; b",   "a > b",
                                        "a &",  "a <",   "a < b <<< c", "a < < b"};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(lines); i++) {
        _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {};
        struct pcn_cli_message message;

        CU_ASSERT_EQUAL(pcn_cli_line_split(lines[i], false, &line, &message), -EINVAL);
        CU_ASSERT(*message.text);
    }
}

static void common_beginning_is_of_all_candidates(void)
{
    json_t *candidates = json_pack("[sss]", "ports", "port-status", "posture");

    CU_ASSERT_EQUAL(pcn_cli_complete_common(candidates), 2);
    json_decref(candidates);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a verb may stand anywhere", verb_may_stand_anywhere},
        {"commands of existing scripts are understood", commands_of_scripts_are_understood},
        {"words that ask need no verb", words_that_ask_need_no_verb},
        {"topology alone is verbose without uuid", topology_alone_is_verbose_without_uuid},
        {"set of one value is a PATCH of the leaf", set_of_one_value_is_of_the_leaf},
        {"only what cannot be text becomes a number or a boolean", only_what_cannot_be_text_becomes_a_number},
        {"dotted names nest", dotted_names_nest},
        {"path words are escaped", path_words_are_escaped},
        {"what is not of the grammar is an error", what_is_not_of_the_grammar_is_an_error},
        {"options choose entries of a list", options_choose_entries_of_a_list},
        {"too long a path is an error", too_long_a_path_is_an_error},
        {"-- makes path words of what follows", double_dash_makes_path_words},
        {"? asks for help with the verb at hand", question_mark_asks_for_help},
        {"wiring takes ports by position", wiring_takes_ports_by_position},
        {"standard input is read only where it can be meant", standard_input_is_read_only_where_it_can_be_meant},
        {"lines are split as by a shell", lines_are_split_as_by_a_shell},
        {"lines that mean nothing are refused", lines_that_mean_nothing_are_refused},
        {"the common beginning is of all candidates", common_beginning_is_of_all_candidates},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"polycubectl grammar", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    unsigned int failures;

    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 1;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
