/* SPDX-License-Identifier: Apache-2.0 */
#include "simpleforwarder_maps.h"
#include <harness/suite.h>
#include <harness/testrun.h>

static const char *const types[] = {"tc", "xdp"};

static int fast_new(bool xdp, uint16_t n_ports, struct pcn_fast *ret_fast)
{
    const struct pcn_fast_spec spec = {.kind = "simpleforwarder", .xdp = xdp, .n_ports = n_ports};

    return pcn_fast_open(&spec, ret_fast);
}

/* What is to become of packets of port. */
static int fast_set(const struct pcn_fast *fast, uint16_t port, enum simpleforwarder_action action, uint16_t out)
{
    static uint32_t words[SIMPLEFORWARDER_WORDS];
    int map = pcn_fast_map(fast, SIMPLEFORWARDER_DATA);
    uint32_t zero = 0;
    int r;

    r = bpf_map_lookup_elem(map, &zero, words);
    if (r < 0)
        return r;
    words[port] = SIMPLEFORWARDER_WORD(action, out);
    return bpf_map_update_elem(map, &zero, words, BPF_ANY);
}

static void test_no_entry(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, 2, &fast));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, SIMPLEFORWARDER_NO_ACTION), 1);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 0).packets, 1);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 0).bytes, frame.length);
    }
}

static void test_forward(void)
{
    const struct pcn_frame frames[] = {
        pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20),
        pcn_frame_tcp("fd00::1", "fd00::2", 1, 2, 2),
        pcn_frame_arp_request("02:00:00:00:00:01", "10.0.0.1", "10.0.0.2"),
    };
    struct pcn_frame tagged = frames[0];

    pcn_frame_push_vlan(&tagged, 5, 0x8100);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, 20, &fast));
        PCN_REQUIRE_OK(fast_set(&fast, 0, SIMPLEFORWARDER_FORWARD, 19));
        PCN_REQUIRE_OK(fast_set(&fast, 19, SIMPLEFORWARDER_FORWARD, 0));
        PCN_REQUIRE_OK(fast_set(&fast, 5, SIMPLEFORWARDER_FORWARD, 5));
        for (size_t n = 0; n < PCN_ARRAY_SIZE(frames); n++) {
            PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frames[n], &run));
            PCN_CHECK_EQ(run.verdict, PCN_SINK);
            PCN_CHECK_EQ(run.port, 19);
            PCN_CHECK_FRAME(&run.frame, &frames[n]);
        }
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 19, &tagged, &run));
        PCN_CHECK_EQ(run.port, 0);
        PCN_CHECK_FRAME(&run.frame, &tagged);
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 5, &frames[0], &run));
        PCN_CHECK_EQ(run.verdict, PCN_SINK);
        PCN_CHECK_EQ(run.port, 5);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 0).packets, 3);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 19).packets, 1);
    }
}

static void test_last_port(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, PCN_PORTS_MAX, &fast));
        PCN_REQUIRE_OK(fast_set(&fast, PCN_PORTS_MAX - 1, SIMPLEFORWARDER_FORWARD, PCN_PORTS_MAX - 2));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, PCN_PORTS_MAX - 1, &frame, &run));
        PCN_CHECK_EQ(run.verdict, PCN_SINK);
        PCN_CHECK_EQ(run.port, PCN_PORTS_MAX - 2);
    }
}

static void test_drop(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, 2, &fast));
        PCN_REQUIRE_OK(fast_set(&fast, 0, SIMPLEFORWARDER_DROP, 0));
        PCN_REQUIRE_OK(fast_set(&fast, 1, SIMPLEFORWARDER_DANGLING, 0));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, PCN_DROP_POLICY), 1);
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 1, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, SIMPLEFORWARDER_NO_OUT_PORT), 1);
        PCN_CHECK_EQ(pcn_fast_drops(&fast, SIMPLEFORWARDER_NO_ACTION), 0);
    }
}

static void test_no_peer(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, 2, &fast));
        PCN_REQUIRE_OK(fast_set(&fast, 0, SIMPLEFORWARDER_FORWARD, 1));
        pcn_fast_set_hop(&fast, 1, (struct pcn_hop){});
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, PCN_DROP_NO_PEER), 1);
    }
}

static void test_slow_path(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 1400);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, 2, &fast));
        PCN_REQUIRE_OK(fast_set(&fast, 1, SIMPLEFORWARDER_SLOWPATH, 0));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 1, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_REQUIRE(pcn_fast_records(&fast) == 1);
        PCN_CHECK_EQ(fast.records->record.port, 1);
        PCN_CHECK_FRAME(&fast.records->frame, &frame);
    }
}

static const struct pcn_test tests[] = {
    {"without an entry packets are dropped and counted", test_no_entry},
    {"FORWARD sends out of the entry's port, bytes unchanged", test_forward},
    {"FORWARD reaches the highest ports", test_last_port},
    {"DROP, and an outport that is gone, drop for their own reasons", test_drop},
    {"FORWARD to a port without a peer drops", test_no_peer},
    {"SLOWPATH sends the whole frame up", test_slow_path},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("simpleforwarder", tests, .skip = pcn_skip_unless_root);
}
