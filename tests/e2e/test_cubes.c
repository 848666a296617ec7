/* SPDX-License-Identifier: Apache-2.0 */
/* The small cubes as their users see them: configured while packets go through, at every hook. */
#include "e2e.h"
#include <stdio.h>

#define ARRIVAL_MS 2000
#define QUIET_MS 60
#define AGED_MS 6000

static struct e2e lab;

static int setup(void)
{
    return e2e_open(&lab, 3);
}

static int teardown(void)
{
    return e2e_close(&lab);
}

/* ---- what is sent, and where it arrives ---- */

/* From station to station: number n is 02:00:00:00:01:0n, 9 is everybody. */
static struct pcn_frame frame_of(unsigned int source, unsigned int destination)
{
    static uint16_t id;
    char from[18], to[18] = "ff:ff:ff:ff:ff:ff";
    struct pcn_frame_spec spec = {.source_mac = from,
                                  .destination_mac = to,
                                  .source = "10.0.0.1",
                                  .destination = "10.0.0.2",
                                  .id = ++id,
                                  .protocol = IPPROTO_UDP,
                                  .source_port = 1000,
                                  .destination_port = 2000,
                                  .payload_length = 30};

    (void)snprintf(from, sizeof(from), "02:00:00:00:01:0%u", source);
    if (destination != 9)
        (void)snprintf(to, sizeof(to), "02:00:00:00:01:0%u", destination);
    return pcn_frame_make(&spec);
}

/* arrives: by host, '+' exactly once, '-' not at all: "-+-". The sender's place does not count. */
static void check_arrives(size_t host, unsigned int source, unsigned int destination, const char *arrives,
                          unsigned int line)
{
    struct pcn_frame frame = frame_of(source, destination);

    for (size_t i = 0; i < lab.n_hosts; i++)
        pcn_wire_drain(&lab.wires[i]);
    pcn_check_ok(pcn_wire_send(&lab.wires[host], &frame), line, __FILE__, "frame is sent");
    for (size_t i = 0; i < lab.n_hosts; i++) {
        if (arrives[i] == '+')
            pcn_check_ok(pcn_wire_expect(&lab.wires[i], ARRIVAL_MS, &frame), line, __FILE__, "frame arrives");
    }
    for (size_t i = 0; i < lab.n_hosts; i++)
        pcn_check_int((long long)pcn_wire_count(&lab.wires[i], i ? 1 : QUIET_MS, &frame), 0, line, __FILE__,
                      "frames that should not arrive");
}
#define CHECK_ARRIVES(host_, source_, destination_, arrives_)                                                          \
    check_arrives(host_, source_, destination_, arrives_, __LINE__)

/* Packets dropped for a reason; 0: none yet. */
static long long drops(const char *cube, const char *reason)
{
    json_t *all = pcn_testd_get(lab.daemon, "%s/counters/dropped", cube), *entry;
    long long n = 0;
    size_t i;

    json_array_foreach (all, i, entry) {
        if (strcmp(pcn_json_text(entry, "reason"), reason) == 0)
            n = pcn_json_int(entry, "packets");
    }
    json_decref(all);
    return n;
}

static int ask(const char *method, const char *path, const char *body)
{
    return e2e_ask(&lab, method, path, body, NULL);
}

/* ---- simplebridge ---- */

static void bridge(const char *type)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"type\":\"%s\",\"ports\":[{\"name\":\"p0\",\"peer\":\"v0\"},{\"name\":\"p1\",\"peer\":\"v1\"},"
                   "{\"name\":\"p2\",\"peer\":\"v2\"}]}",
                   type);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "simplebridge/b"), 201);
}

#define ENTRIES "simplebridge/b/fdb/entry"
#define STATION(n_) ENTRIES "/02:00:00:00:01:0" #n_

static size_t count_entries(void)
{
    json_t *entries = pcn_testd_get(lab.daemon, ENTRIES);
    size_t n = json_array_size(entries);

    json_decref(entries);
    return n;
}

static void check_port(const char *path, const char *port)
{
    json_t *entry = pcn_testd_get(lab.daemon, "%s", path);

    PCN_CHECK_STR(pcn_json_text(entry, "port"), port);
    json_decref(entry);
}

static void test_bridge_ageing(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        bridge(e2e_types[i]);
        CHECK_ARRIVES(0, 1, 9, "-++");
        CHECK_ARRIVES(1, 2, 1, "+--");
        CHECK_ARRIVES(0, 1, 2, "-+-");
        PCN_CHECK_EQ(count_entries(), 2);
        check_port(STATION(1), "p0");
        check_port(STATION(2), "p1");
        PCN_CHECK_EQ(ask("PATCH", "simplebridge/b/fdb/aging-time", "1"), 200);
        PCN_CHECK(PCN_WAIT(AGED_MS, count_entries() == 0));
        PCN_CHECK(PCN_WAIT(AGED_MS, ask("GET", STATION(1), NULL) == 404));
        CHECK_ARRIVES(1, 2, 1, "+-+");
        PCN_CHECK_EQ(ask("PATCH", "simplebridge/b/fdb/aging-time", "0"), 200);
        CHECK_ARRIVES(0, 1, 9, "-++");
        CHECK_ARRIVES(1, 2, 1, "+-+");
        PCN_CHECK_EQ(count_entries(), 0);
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

static void test_bridge_flush(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        bridge(e2e_types[i]);
        CHECK_ARRIVES(0, 1, 9, "-++");
        PCN_CHECK_EQ(ask("POST", STATION(3), "{\"port\":\"p2\"}"), 201);
        PCN_CHECK_EQ(count_entries(), 2);
        PCN_CHECK_EQ(e2e_ask(&lab, "POST", "simplebridge/b/fdb/flush", NULL, "{\"flushed\":true}"), 200);
        PCN_CHECK_EQ(count_entries(), 1);
        CHECK_ARRIVES(1, 2, 1, "+-+");
        CHECK_ARRIVES(1, 2, 3, "--+");
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

static void test_bridge_entries(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        bridge(e2e_types[i]);
        PCN_CHECK_EQ(ask("POST", STATION(1), "{\"port\":\"p2\"}"), 201);
        CHECK_ARRIVES(1, 2, 1, "--+");
        /* Configured: a packet from elsewhere does not move it. */
        CHECK_ARRIVES(0, 1, 9, "-++");
        CHECK_ARRIVES(1, 2, 1, "--+");
        PCN_CHECK_EQ(ask("PATCH", STATION(1), "{\"port\":\"p0\"}"), 201);
        CHECK_ARRIVES(1, 2, 1, "+--");
        PCN_CHECK_EQ(ask("DELETE", STATION(1), NULL), 204);
        CHECK_ARRIVES(1, 2, 1, "+-+");
        /* Learned: deleted like a configured one, and learned again. */
        check_port(STATION(2), "p1");
        PCN_CHECK_EQ(ask("DELETE", STATION(2), NULL), 204);
        PCN_CHECK_EQ(ask("DELETE", STATION(2), NULL), 409);
        CHECK_ARRIVES(0, 3, 2, "-++");
        CHECK_ARRIVES(2, 2, 9, "++-");
        CHECK_ARRIVES(0, 3, 2, "--+");
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

static void test_bridge_ports(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        bridge(e2e_types[i]);
        CHECK_ARRIVES(0, 1, 9, "-++");
        CHECK_ARRIVES(1, 2, 9, "+-+");
        PCN_CHECK_EQ(ask("POST", STATION(3), "{\"port\":\"p0\"}"), 201);
        PCN_CHECK_EQ(ask("DELETE", "simplebridge/b/ports/p0", NULL), 204);
        PCN_CHECK_EQ(ask("GET", STATION(1), NULL), 404);
        check_port(STATION(2), "p1");
        check_port(STATION(3), "p0");
        CHECK_ARRIVES(2, 4, 1, "-+-");
        CHECK_ARRIVES(2, 4, 3, "-+-");
        CHECK_ARRIVES(2, 4, 2, "-+-");
        PCN_CHECK_EQ(ask("POST", "simplebridge/b/ports/p0", "{\"peer\":\"v0\"}"), 201);
        CHECK_ARRIVES(2, 4, 3, "+--");
        /* A port that loses its peer loses its stations. */
        CHECK_ARRIVES(0, 1, 9, "-++");
        PCN_CHECK_EQ(ask("PATCH", "simplebridge/b/ports/p0/peer", "\"\""), 200);
        PCN_CHECK_EQ(ask("GET", STATION(1), NULL), 404);
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

/* ---- helloworld ---- */

static void test_helloworld(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        char body[256];

        (void)snprintf(
            body, sizeof(body),
            "{\"type\":\"%s\",\"ports\":[{\"name\":\"a\",\"peer\":\"v0\"},{\"name\":\"b\",\"peer\":\"v1\"}]}",
            e2e_types[i]);
        PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "helloworld/h"), 201);
        CHECK_ARRIVES(0, 1, 2, "---");
        PCN_CHECK_EQ(drops("helloworld/h", "policy"), 1);
        PCN_CHECK_EQ(ask("PATCH", "helloworld/h/action", "\"FORWARD\""), 200);
        CHECK_ARRIVES(0, 1, 2, "-+-");
        CHECK_ARRIVES(1, 2, 1, "+--");
        PCN_CHECK_EQ(ask("PATCH", "helloworld/h/action", "\"SLOWPATH\""), 200);
        CHECK_ARRIVES(0, 1, 2, "-+-");
        CHECK_ARRIVES(1, 2, 1, "+--");
        /* A third port: there is no such thing as the other one. */
        PCN_CHECK_EQ(ask("POST", "helloworld/h/ports/c", "{\"peer\":\"v2\"}"), 201);
        CHECK_ARRIVES(0, 1, 2, "---");
        PCN_CHECK_EQ(ask("PATCH", "helloworld/h/action", "\"FORWARD\""), 200);
        CHECK_ARRIVES(0, 1, 2, "---");
        PCN_CHECK_EQ(drops("helloworld/h", "no-other-port"), 1);
        PCN_CHECK_EQ(ask("DELETE", "helloworld/h/ports/b", NULL), 204);
        CHECK_ARRIVES(0, 1, 2, "--+");
        PCN_CHECK_EQ(ask("PATCH", "helloworld/h/action", "\"DROP\""), 200);
        CHECK_ARRIVES(2, 1, 2, "---");
        PCN_CHECK_EQ(drops("helloworld/h", "policy"), 2);
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

/* ---- simpleforwarder ---- */

static void test_forwarder(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        char body[256];

        (void)snprintf(body, sizeof(body),
                       "{\"type\":\"%s\",\"ports\":[{\"name\":\"a\",\"peer\":\"v0\"},{\"name\":\"b\",\"peer\":\"v1\"},"
                       "{\"name\":\"c\",\"peer\":\"v2\"}]}",
                       e2e_types[i]);
        PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "simpleforwarder/s"), 201);
        CHECK_ARRIVES(0, 1, 2, "---");
        PCN_CHECK_EQ(drops("simpleforwarder/s", "no-action"), 1);
        PCN_CHECK_EQ(ask("POST", "simpleforwarder/s/actions/a", "{\"action\":\"FORWARD\",\"outport\":\"b\"}"), 201);
        CHECK_ARRIVES(0, 1, 2, "-+-");
        CHECK_ARRIVES(1, 2, 1, "---");
        PCN_CHECK_EQ(ask("PATCH", "simpleforwarder/s/actions/a/outport", "\"c\""), 200);
        CHECK_ARRIVES(0, 1, 2, "--+");
        /* Out of the port it came in by. */
        PCN_CHECK_EQ(ask("PATCH", "simpleforwarder/s/actions/a/outport", "\"a\""), 200);
        CHECK_ARRIVES(0, 1, 2, "+--");
        PCN_CHECK_EQ(ask("PATCH", "simpleforwarder/s/actions/a", "{\"action\":\"SLOWPATH\",\"outport\":\"b\"}"), 201);
        CHECK_ARRIVES(0, 1, 2, "-+-");
        PCN_CHECK_EQ(ask("PATCH", "simpleforwarder/s/actions/a/action", "\"DROP\""), 200);
        CHECK_ARRIVES(0, 1, 2, "---");
        PCN_CHECK_EQ(drops("simpleforwarder/s", "policy"), 1);
        PCN_CHECK_EQ(ask("PATCH", "simpleforwarder/s/actions/a/action", "\"FORWARD\""), 200);
        PCN_CHECK_EQ(ask("DELETE", "simpleforwarder/s/ports/b", NULL), 204);
        CHECK_ARRIVES(0, 1, 2, "---");
        PCN_CHECK_EQ(drops("simpleforwarder/s", "no-out-port"), 1);
        PCN_CHECK_EQ(ask("POST", "simpleforwarder/s/ports/b", "{\"peer\":\"v1\"}"), 201);
        CHECK_ARRIVES(0, 1, 2, "-+-");
        PCN_CHECK_EQ(ask("DELETE", "simpleforwarder/s/actions/a", NULL), 204);
        CHECK_ARRIVES(0, 1, 2, "---");
        PCN_CHECK_EQ(drops("simpleforwarder/s", "no-action"), 3);
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

/* ---- transparenthelloworld ---- */

/* On port b, or on the device behind it: what host 1 sends is ingress, what it gets is egress. */
static void check_transparent(const char *type, const char *target)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"type\":\"%s\",\"action\":\"FORWARD\",\"ports\":[{\"name\":\"a\",\"peer\":\"v0\"},"
                   "{\"name\":\"b\",\"peer\":\"v1\"}]}",
                   type);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "helloworld/h"), 201);
    (void)snprintf(body, sizeof(body), "{\"type\":\"%s\"}", type);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "transparenthelloworld/t"), 201);
    (void)snprintf(body, sizeof(body), "{\"cube\":\"t\",\"port\":\"%s\"}", target);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "attach"), 200);
    CHECK_ARRIVES(0, 1, 2, "-+-");
    CHECK_ARRIVES(1, 2, 1, "+--");
    PCN_CHECK_EQ(ask("PATCH", "transparenthelloworld/t/ingress-action", "\"DROP\""), 200);
    CHECK_ARRIVES(0, 1, 2, "-+-");
    CHECK_ARRIVES(1, 2, 1, "---");
    PCN_CHECK_EQ(drops("transparenthelloworld/t", "policy"), 1);
    PCN_CHECK_EQ(
        ask("PATCH", "transparenthelloworld/t", "{\"ingress-action\":\"SLOWPATH\",\"egress-action\":\"DROP\"}"), 201);
    CHECK_ARRIVES(0, 1, 2, "---");
    CHECK_ARRIVES(1, 2, 1, "+--");
    PCN_CHECK_EQ(drops("transparenthelloworld/t", "policy"), 2);
    PCN_CHECK_EQ(ask("PATCH", "transparenthelloworld/t/egress-action", "\"SLOWPATH\""), 200);
    CHECK_ARRIVES(0, 1, 2, "-+-");
    PCN_CHECK_EQ(ask("DELETE", "transparenthelloworld/t", NULL), 204);
    CHECK_ARRIVES(0, 1, 2, "-+-");
    CHECK_ARRIVES(1, 2, 1, "+--");
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_transparent(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        check_transparent(e2e_types[i], "h:b");
        check_transparent(e2e_types[i], "v1");
    }
}

/* ---- bad input ---- */

static const struct {
    const char *method, *path, *body;
    int status;
    const char *says;
    const char *command; /* the same in the shell; NULL: it cannot be said there */
} refusals[] = {
    {"PATCH", "helloworld/h/action", "\"JUMP\"", 400, "give one of DROP, SLOWPATH, FORWARD", "h set action=JUMP"},
    {"PATCH", "helloworld/h/action", "7", 400, "action", "h set action=7"},
    {"PATCH", "helloworld/h", "{\"colour\":1}", 400, "colour", "h set colour=1"},
    {"PATCH", "transparenthelloworld/t/egress-action", "\"FORWARD\"", 400, "give one of DROP, PASS, SLOWPATH",
     "t set egress-action=FORWARD"},
    {"POST", "transparenthelloworld/t/ports/p", "{}", 404, "ports", "t ports add p"},
    {"POST", "simpleforwarder/s/actions/b", "{}", 400, "needs action", "s actions add b"},
    {"POST", "simpleforwarder/s/actions/b", "{\"action\":\"FORWARD\"}", 400, "outport is missing",
     "s actions add b action=FORWARD"},
    {"POST", "simpleforwarder/s/actions/b", "{\"action\":\"FORWARD\",\"outport\":\"zz\"}", 409,
     "Port zz does not exist", "s actions add b action=FORWARD outport=zz"},
    {"POST", "simpleforwarder/s/actions/b", "{\"action\":\"SLOWPATH\",\"outport\":\"zz\"}", 409,
     "Port zz does not exist", "s actions add b action=SLOWPATH outport=zz"},
    {"POST", "simpleforwarder/s/actions/zz", "{\"action\":\"DROP\"}", 409, "Port zz does not exist",
     "s actions add zz action=DROP"},
    {"POST", "simpleforwarder/s/actions/a", "{\"action\":\"DROP\"}", 409, "exists already",
     "s actions add a action=DROP"},
    {"PATCH", "simpleforwarder/s/actions/a/outport", "\"zz\"", 409, "Port zz does not exist",
     "s actions a set outport=zz"},
    {"DELETE", "simpleforwarder/s/actions/b", NULL, 409, "does not exist", "s actions del b"},
    {"PATCH", "simplebridge/b/fdb/aging-time", "-1", 400, "aging-time", "b fdb set aging-time=-1"},
    {"PATCH", "simplebridge/b/fdb/aging-time", "4294967296", 400, "aging-time", "b fdb set aging-time=4294967296"},
    {"PATCH", "simplebridge/b/fdb/size", "8192", 400, "size", "b fdb set size=8192"},
    {"POST", "simplebridge/b/fdb/entry/02:00:00:00:00:01", "{}", 400, "needs port",
     "b fdb entry add 02:00:00:00:00:01"},
    {"POST", "simplebridge/b/fdb/entry/02:00:00:00:00:01", "{\"port\":\"zz\"}", 409, "Port zz does not exist",
     "b fdb entry add 02:00:00:00:00:01 port=zz"},
    {"POST", "simplebridge/b/fdb/entry/01:00:00:00:00:01", "{\"port\":\"a\"}", 400, "not the address of a station",
     "b fdb entry add 01:00:00:00:00:01 port=a"},
    {"POST", "simplebridge/b/fdb/entry/00:00:00:00:00:00", "{\"port\":\"a\"}", 400, "not the address of a station",
     "b fdb entry add 00:00:00:00:00:00 port=a"},
    {"POST", "simplebridge/b/fdb/entry/zz", "{\"port\":\"a\"}", 400, "aa:bb:cc:dd:ee:ff", "b fdb entry add zz port=a"},
    {"POST", "simplebridge/b/fdb/entry/02:00:00:00:00:01", "{\"port\":\"a\",\"age\":1}", 400, "age",
     "b fdb entry add 02:00:00:00:00:01 port=a age=1"},
    {"POST", "simplebridge/b/fdb/entry/02:00:00:00:00:01", "{\"port\":", 400, NULL, NULL},
    {"POST", "simplebridge/b/fdb/flush", "{\"all\":true}", 400, "all", "b fdb flush all=true"},
    {"POST", "simplebridge/c", "{\"fdb\":{\"size\":255}}", 400, "from 256 to 65536", "simplebridge add c fdb.size=255"},
};

/* All cubes as text. Caller frees. */
static char *everything(void)
{
    json_t *cubes = pcn_testd_get(lab.daemon, "cubes");
    char *text = json_dumps(cubes, JSON_SORT_KEYS);

    json_decref(cubes);
    return text;
}

static void test_refusals(void)
{
    _cleanup_free_ char *before = NULL;

    PCN_CHECK_EQ(ask("POST", "helloworld/h", "{}"), 201);
    PCN_CHECK_EQ(ask("POST", "transparenthelloworld/t", "{}"), 201);
    PCN_CHECK_EQ(ask("POST", "simpleforwarder/s",
                     "{\"ports\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
                     "\"actions\":[{\"inport\":\"a\",\"action\":\"FORWARD\",\"outport\":\"b\"}]}"),
                 201);
    PCN_CHECK_EQ(ask("POST", "simplebridge/b", "{\"ports\":[{\"name\":\"a\"}]}"), 201);
    before = everything();
    PCN_REQUIRE(before != NULL);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(refusals); i++) {
        _cleanup_(pcn_output_done) struct pcn_output output = {};
        _cleanup_free_ char *after = NULL, *after_shell = NULL;

        PCN_CHECK_EQ(e2e_ask(&lab, refusals[i].method, refusals[i].path, refusals[i].body, refusals[i].says),
                     refusals[i].status);
        after = everything();
        PCN_CHECK_STR(after, before);
        if (!refusals[i].command)
            continue;
        PCN_CHECK(pcn_testd_ctl(lab.daemon, &output, "%s", refusals[i].command) != 0);
        PCN_CHECK_HAS(output.text ?: "", refusals[i].says);
        after_shell = everything();
        PCN_CHECK_STR(after_shell, before);
    }
    PCN_CHECK_OK(e2e_clear(&lab));
}

static const struct pcn_test tests[] = {
    {"simplebridge: a silent station ages, at once with 0", test_bridge_ageing},
    {"simplebridge: flush forgets what was learned, nothing else", test_bridge_flush},
    {"simplebridge: entries are added, moved, deleted", test_bridge_entries},
    {"simplebridge: a port takes its stations along", test_bridge_ports},
    {"helloworld: drops, forwards, asks user space", test_helloworld},
    {"simpleforwarder: each action, and ports that come and go", test_forwarder},
    {"transparenthelloworld: each action, by direction", test_transparent},
    {"bad input is refused in words, and changes nothing", test_refusals},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("e2e cubes", tests, .setup = setup, .teardown = teardown, .skip = pcn_skip_unless_root);
}
