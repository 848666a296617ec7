/* SPDX-License-Identifier: Apache-2.0 */
#include "helloworld_maps.h"
#include <harness/suite.h>
#include <harness/testrun.h>

static const char *const types[] = {"tc", "xdp"};

/* The fast path of one type, with two ports, 0 and 1, told to do action. */
static int fast_new(bool xdp, enum helloworld_action action, struct pcn_fast *ret_fast)
{
    const struct pcn_fast_spec spec = {.kind = "helloworld", .xdp = xdp, .n_ports = 2, .identity = {.has_egress = 1}};
    const struct helloworld_data data = {.action = (uint16_t)action, .ports = {0, 1}};
    uint32_t zero = 0;
    int r;

    r = pcn_fast_open(&spec, ret_fast);
    if (r < 0)
        return r;
    return bpf_map_update_elem(pcn_fast_map(ret_fast, HELLOWORLD_DATA), &zero, &data, BPF_ANY);
}

static void test_drop(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, HELLOWORLD_DROP, &fast));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, PCN_DROP_POLICY), 1);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 0).packets, 1);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 0).bytes, frame.length);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 1).packets, 0);
    }
}

static void test_default(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        const struct pcn_fast_spec spec = {.kind = "helloworld", .xdp = i == 1, .n_ports = 2};
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(pcn_fast_open(&spec, &fast));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
    }
}

static void test_forward(void)
{
    const struct pcn_frame frames[] = {
        pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20),
        pcn_frame_echo("fd00::1", "fd00::2", 1, 1),
        pcn_frame_arp_request("02:00:00:00:00:01", "10.0.0.1", "10.0.0.2"),
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, HELLOWORLD_FORWARD, &fast));
        for (size_t n = 0; n < PCN_ARRAY_SIZE(frames); n++) {
            for (uint16_t port = 0; port < 2; port++) {
                PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, port, &frames[n], &run));
                PCN_CHECK_EQ(run.verdict, PCN_SINK);
                PCN_CHECK_EQ(run.port, 1 - port);
                PCN_CHECK_FRAME(&run.frame, &frames[n]);
            }
        }
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 0).packets, 3);
        PCN_CHECK_EQ(pcn_fast_counters(&fast, 1).packets, 3);
    }
}

static void test_forward_alone(void)
{
    const struct helloworld_data data = {.action = HELLOWORLD_FORWARD,
                                         .ports = {HELLOWORLD_NO_PORT, HELLOWORLD_NO_PORT}};
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);
    uint32_t zero = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, HELLOWORLD_FORWARD, &fast));
        PCN_REQUIRE_OK(bpf_map_update_elem(pcn_fast_map(&fast, HELLOWORLD_DATA), &zero, &data, BPF_ANY));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, HELLOWORLD_NO_OTHER_PORT), 1);
    }
}

static void test_slow_path(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, HELLOWORLD_SLOWPATH, &fast));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 1, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_REQUIRE(pcn_fast_records(&fast) == 1);
        PCN_CHECK_EQ(fast.records->record.port, 1);
        PCN_CHECK_EQ(fast.records->record.direction, PCN_INGRESS);
        PCN_CHECK_FRAME(&fast.records->frame, &frame);
        PCN_CHECK_EQ(pcn_fast_drops(&fast, PCN_DROP_POLICY), 0);
    }
}

static void test_egress(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, HELLOWORLD_DROP, &fast));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_EGRESS, 1, &frame, &run));
        PCN_CHECK_EQ(run.verdict, PCN_SINK);
        PCN_CHECK_EQ(run.port, 1);
        PCN_CHECK_FRAME(&run.frame, &frame);
    }
}

static const struct pcn_test tests[] = {
    {"a new one drops", test_default},
    {"DROP drops by policy, and counts the port", test_drop},
    {"FORWARD sends out of the other port, bytes unchanged", test_forward},
    {"FORWARD drops where there is no other port", test_forward_alone},
    {"SLOWPATH sends the whole frame up, with its port", test_slow_path},
    {"egress lets pass whatever the action", test_egress},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("helloworld", tests, .skip = pcn_skip_unless_root);
}
