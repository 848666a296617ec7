/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wired to what, and in which order packets go through it:
 *
 *     host0 - v0 - [f:in  f:out] - T0 - T1 - (device v1) B - A - host1
 */
#include "e2e.h"
#include <bpf/libbpf.h>
#include <harness/testrun.h>
#include <linux/if_link.h>

#define ARRIVAL_MS 2000
#define QUIET_MS 60

extern const unsigned char pcn_sink_xdp[], pcn_sink_xdp_end[];

static struct e2e lab;

static int setup(void)
{
    return e2e_open(&lab, 3);
}

static int teardown(void)
{
    return e2e_close(&lab);
}

static void forwarder(const char *name, const char *type, const char *in, const char *out)
{
    char body[1024];

    snprintf(body, sizeof(body),
             "{\"type\":\"%s\",\"ports\":[{\"name\":\"in\",\"peer\":\"%s\"},{\"name\":\"out\",\"peer\":\"%s\"}],"
             "\"actions\":[{\"inport\":\"in\",\"action\":\"FORWARD\",\"outport\":\"out\"},"
             "{\"inport\":\"out\",\"action\":\"FORWARD\",\"outport\":\"in\"}]}",
             type, in, out);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "simpleforwarder/%s", name), 201);
}

static int attach(const char *cube, const char *target, const char *member, const char *value)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"cube\":\"%s\",\"port\":\"%s\",\"%s\":\"%s\"}", cube, target, member, value);
    return e2e_ask(&lab, "POST", "attach", body, NULL);
}

static void transparent(const char *name, const char *type)
{
    char body[64];

    snprintf(body, sizeof(body), "{\"type\":\"%s\"}", type);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "transparenthelloworld/%s", name), 201);
}

static void check_text(const char *path, const char *member, const char *expected)
{
    json_t *json = pcn_testd_get(lab.daemon, "%s", path);

    PCN_CHECK_STR(pcn_json_text(json, member), expected);
    json_decref(json);
}

static bool text_is(const char *path, const char *member, const char *expected)
{
    json_t *json = pcn_testd_get(lab.daemon, "%s", path);
    bool is = pcn_streq(pcn_json_text(json, member), expected);

    json_decref(json);
    return is;
}

static long long passed(const char *cube, bool egress)
{
    json_t *json = pcn_testd_get(lab.daemon, "transparenthelloworld/%s/counters", cube);
    long long n = pcn_json_int(json, egress ? "received.1.packets" : "received.0.packets");

    json_decref(json);
    return n;
}

/* Dropped at each cube in turn: those before it have seen the frame, those behind it have not. */
static void check_order(const char *const order[4], bool egress)
{
    struct pcn_frame frame = e2e_broadcast(egress);
    const char *leaf = egress ? "egress-action" : "ingress-action";

    for (size_t dropper = 0; dropper < 4; dropper++) {
        long long before[4];

        PCN_CHECK_EQ(pcn_testd_patch(lab.daemon, "\"DROP\"", "transparenthelloworld/%s/%s", order[dropper], leaf), 200);
        for (size_t i = 0; i < 4; i++)
            before[i] = passed(order[i], egress);
        PCN_CHECK_OK(pcn_wire_send(&lab.wires[!egress], &frame));
        PCN_CHECK(PCN_WAIT(ARRIVAL_MS, passed(order[dropper], egress) == before[dropper] + 1));
        PCN_CHECK_EQ(pcn_wire_count(&lab.wires[egress], QUIET_MS, &frame), 0);
        for (size_t i = 0; i < 4; i++)
            PCN_CHECK_EQ(passed(order[i], egress) - before[i], i <= dropper);
        PCN_CHECK_EQ(pcn_testd_patch(lab.daemon, "\"PASS\"", "transparenthelloworld/%s/%s", order[dropper], leaf), 200);
    }
    PCN_CHECK_OK(pcn_wire_send(&lab.wires[!egress], &frame));
    PCN_CHECK_OK(pcn_wire_expect(&lab.wires[egress], ARRIVAL_MS, &frame));
}

static void test_order(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        forwarder("f", e2e_types[i], "v0", "v1");
        for (size_t n = 0; n < 4; n++) {
            static const char *const names[] = {"A", "B", "T0", "T1"};

            transparent(names[n], e2e_types[i]);
            PCN_CHECK_EQ(attach(names[n], n < 2 ? "v1" : "f:out", "position", "last"), 200);
        }
        check_order((const char *const[]){"A", "B", "T1", "T0"}, false);
        check_order((const char *const[]){"T0", "T1", "B", "A"}, true);
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

static void check_stack(const char *target)
{
    char path[64];

    PCN_CHECK_EQ(attach("t1", target, "position", "auto"), 200);
    PCN_CHECK_EQ(attach("t2", target, "position", "auto"), 200);
    PCN_CHECK_EQ(attach("t3", target, "position", "first"), 200);
    PCN_CHECK_EQ(attach("t4", target, "before", "t2"), 200);
    PCN_CHECK_EQ(attach("t5", target, "after", "t3"), 200);
    PCN_CHECK_EQ(attach("t6", target, "before", "f"), 400);
    PCN_CHECK_EQ(attach("t6", target, "after", "t6"), 400);
    PCN_CHECK_EQ(attach("t6", target, "position", "middle"), 400);
    PCN_CHECK_EQ(attach("t1", "v0", "position", "auto"), 409);
    if (strchr(target, ':')) {
        static const char *const order[] = {"t3", "t5", "t1", "t4", "t2"};

        for (size_t i = 0; i < PCN_ARRAY_SIZE(order); i++) {
            snprintf(path, sizeof(path), "tcubes.%zu", i);
            check_text("simpleforwarder/f/ports/out", path, order[i]);
        }
    } else {
        check_text("topology/v1", "ingress service chain", "t3 ---> t5 ---> t1 ---> t4 ---> t2 ---> f:out ---> stack");
        check_text("topology/v1", "egress service chain", "f:out ---> t2 ---> t4 ---> t1 ---> t5 ---> t3 ---> stack");
    }
    check_text("transparenthelloworld/t4", "parent", target);
    for (unsigned int i = 1; i <= 5; i++) {
        char body[64];

        snprintf(body, sizeof(body), "{\"cube\":\"t%u\",\"port\":\"%s\"}", i, target);
        PCN_CHECK_EQ(e2e_ask(&lab, "POST", "detach", body, NULL), 200);
        PCN_CHECK_EQ(e2e_ask(&lab, "POST", "detach", body, "not attached"), 400);
    }
    check_text("transparenthelloworld/t4", "parent", "");
}

static void test_positions(void)
{
    forwarder("f", "TC", "v0", "v1");
    for (unsigned int i = 1; i <= 6; i++) {
        char name[8];

        snprintf(name, sizeof(name), "t%u", i);
        transparent(name, "TC");
    }
    check_stack("v1");
    check_stack("f:out");
    PCN_CHECK_EQ(attach("f", "v1", "position", "auto"), 400);
    PCN_CHECK_EQ(attach("t1", "f:none", "position", "auto"), 400);
    PCN_CHECK_EQ(attach("t1", "none:p", "position", "auto"), 400);
    PCN_CHECK_EQ(attach("t1", "nodev", "position", "auto"), 400);
    PCN_CHECK_EQ(attach("none", "v1", "position", "auto"), 400);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static int connect_ends(const char *verb, const char *first, const char *second, const char *says)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"peer1\":\"%s\",\"peer2\":\"%s\"}", first, second);
    return e2e_ask(&lab, "POST", verb, body, says);
}

static void test_links(void)
{
    struct pcn_frame frame = e2e_broadcast(1);

    forwarder("a", "TC", "v0", "");
    forwarder("b", "TC", "", "v1");
    forwarder("x", "XDP_SKB", "", "");
    PCN_CHECK_EQ(connect_ends("connect", "a:out", "x:in", "incompatible"), 400);
    PCN_CHECK_EQ(connect_ends("connect", "x:in", "v0", "v0"), 409);
    PCN_CHECK_EQ(connect_ends("connect", "a:out", "none:p", "none:p"), 400);
    PCN_CHECK_EQ(connect_ends("connect", "a:out", "nodev", "nodev"), 400);
    PCN_CHECK_EQ(connect_ends("connect", "a:out", "v1", "v1"), 409);
    PCN_CHECK_EQ(connect_ends("connect", "v0", "v1", "port"), 400);
    check_text("simpleforwarder/a/ports/out", "peer", "");

    PCN_CHECK_EQ(connect_ends("connect", "a:out", "b:in", NULL), 200);
    PCN_CHECK_EQ(connect_ends("connect", "a:out", "b:in", "already has a peer"), 400);
    check_text("simpleforwarder/b/ports/in", "peer", "a:out");
    PCN_CHECK_OK(pcn_wire_send(&lab.wires[0], &frame));
    PCN_CHECK_OK(pcn_wire_expect(&lab.wires[1], ARRIVAL_MS, &frame));
    PCN_CHECK_EQ(connect_ends("disconnect", "a:out", "x:in", "not connected"), 400);
    PCN_CHECK_EQ(connect_ends("disconnect", "b:in", "a:out", NULL), 200);
    check_text("simpleforwarder/a/ports/out", "status", "DOWN");
    PCN_CHECK_OK(pcn_wire_send(&lab.wires[0], &frame));
    PCN_CHECK_EQ(pcn_wire_count(&lab.wires[1], QUIET_MS, &frame), 0);

    /* One end alone makes no link; peer "" ends it. */
    PCN_CHECK_EQ(pcn_testd_patch(lab.daemon, "\"b:in\"", "simpleforwarder/a/ports/out/peer"), 200);
    check_text("simpleforwarder/a/ports/out", "status", "DOWN");
    PCN_CHECK_EQ(pcn_testd_patch(lab.daemon, "\"a:out\"", "simpleforwarder/b/ports/in/peer"), 200);
    check_text("simpleforwarder/a/ports/out", "status", "UP");
    PCN_CHECK_EQ(pcn_testd_patch(lab.daemon, "\"\"", "simpleforwarder/a/ports/out/peer"), 200);
    check_text("simpleforwarder/b/ports/in", "status", "DOWN");
    PCN_CHECK_EQ(pcn_testd_patch(lab.daemon, "\"b:in\"", "simpleforwarder/a/ports/out/peer"), 200);
    check_text("simpleforwarder/b/ports/in", "status", "UP");
    PCN_CHECK_EQ(pcn_testd_delete(lab.daemon, "simpleforwarder/b"), 204);
    check_text("simpleforwarder/a/ports/out", "status", "DOWN");
    PCN_CHECK_OK(pcn_wire_send(&lab.wires[0], &frame));
    PCN_CHECK_EQ(pcn_wire_count(&lab.wires[1], QUIET_MS, &frame), 0);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_devices(void)
{
    struct pcn_netns *inside = pcn_testd_netns(lab.daemon);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        PCN_CHECK_OK(pcn_veth_new(inside, "d0", inside, "d1"));
        PCN_CHECK(PCN_WAIT(ARRIVAL_MS, e2e_ask(&lab, "GET", "netdevs/d0", NULL, NULL) == 200));
        forwarder("f", e2e_types[i], "d0", "v1");
        transparent("t", e2e_types[i]);
        PCN_CHECK_EQ(attach("t", "d0", "position", "auto"), 200);
        PCN_CHECK_OK(pcn_netns_must(inside, "ip link set d0 down && ip link set d0 name e0 && ip link set e0 up"));
        PCN_CHECK(PCN_WAIT(ARRIVAL_MS, text_is("simpleforwarder/f/ports/in", "peer", "e0")));
        check_text("simpleforwarder/f/ports/in", "status", "UP");
        check_text("transparenthelloworld/t", "parent", "e0");
        PCN_CHECK_OK(pcn_netns_must(inside, "ip link del e0"));
        PCN_CHECK(PCN_WAIT(ARRIVAL_MS, text_is("simpleforwarder/f/ports/in", "status", "DOWN")));
        check_text("simpleforwarder/f/ports/in", "peer", "");
        check_text("transparenthelloworld/t", "parent", "");
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

static bool pings(void)
{
    return pcn_netns_run(pcn_testd_netns(lab.daemon), NULL, "ping -q -c 1 -W 1 10.7.0.2") == 0;
}

/* The host's stack and the far end speak through the cube on the device. */
static void test_host_stack(void)
{
    PCN_CHECK_OK(pcn_address_add(pcn_testd_netns(lab.daemon), "v2", "10.7.0.1/24"));
    PCN_CHECK_OK(pcn_address_add(lab.hosts[2], "eth0", "10.7.0.2/24"));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        transparent("t", e2e_types[i]);
        PCN_CHECK_EQ(attach("t", "v2", "position", "auto"), 200);
        PCN_CHECK(PCN_WAIT(ARRIVAL_MS, pings()));
        PCN_CHECK(passed("t", false) > 0);
        PCN_CHECK(passed("t", true) > 0);
        PCN_CHECK_EQ(pcn_testd_patch(lab.daemon, "\"DROP\"", "transparenthelloworld/t/egress-action"), 200);
        PCN_CHECK(!pings());
        PCN_CHECK_OK(e2e_clear(&lab));
        PCN_CHECK(PCN_WAIT(ARRIVAL_MS, pings()));
    }
}

static uint32_t xdp_program(int ifindex)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    uint32_t id = 0;

    if (pcn_netns_enter(pcn_testd_netns(lab.daemon), &back) < 0 || bpf_xdp_query_id(ifindex, 0, &id) < 0)
        return 0;
    return id;
}

static int xdp_put(int ifindex, int program)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    int r = pcn_netns_enter(pcn_testd_netns(lab.daemon), &back);

    return r < 0 ? r : bpf_xdp_attach(ifindex, program, XDP_FLAGS_SKB_MODE, NULL);
}

static void test_foreign(void)
{
    _cleanup_(pcn_run_closep) struct bpf_object *object = NULL;
    int ifindex = (int)pcn_netns_ifindex(pcn_testd_netns(lab.daemon), "v1");
    size_t size = (size_t)(pcn_sink_xdp_end - pcn_sink_xdp);
    char number[16];
    uint32_t id;

    /* The daemon keeps its own on a device for a while after its use. */
    PCN_REQUIRE(PCN_WAIT(15000, xdp_program(ifindex) == 0));
    PCN_REQUIRE_OK(pcn_run_open_memory("foreign", pcn_sink_xdp, size, NULL, &object));
    PCN_REQUIRE_OK(xdp_put(ifindex, pcn_run_program(object, "pcn_sink")));
    id = xdp_program(ifindex);
    snprintf(number, sizeof(number), "%u", id);
    for (size_t i = 1; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        char body[128];

        snprintf(body, sizeof(body), "{\"type\":\"%s\",\"ports\":[{\"name\":\"p\",\"peer\":\"v1\"}]}", e2e_types[i]);
        PCN_CHECK_EQ(e2e_ask(&lab, "POST", "helloworld/h", body, number), 409);
        PCN_CHECK_EQ(e2e_ask(&lab, "GET", "helloworld/h", NULL, NULL), 404);
        PCN_CHECK_EQ(xdp_program(ifindex), id);
    }
    PCN_CHECK_OK(xdp_put(ifindex, -1));
}

static const struct pcn_test tests[] = {
    {"cubes on a device and on a port are passed in the stated order", test_order},
    {"a cube is attached first, last, before and behind another", test_positions},
    {"links are made by both ends, and refused with a reason", test_links},
    {"a device that is renamed keeps its cubes, one that is deleted frees them", test_devices},
    {"packets of the host's stack pass the cube on a device", test_host_stack},
    {"another's XDP program is left alone", test_foreign},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("e2e wiring", tests, .setup = setup, .teardown = teardown, .skip = pcn_skip_unless_root);
}
