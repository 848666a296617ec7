/* SPDX-License-Identifier: Apache-2.0 */
#include "transparenthelloworld_maps.h"
#include <harness/suite.h>
#include <harness/testrun.h>

static const char *const types[] = {"tc", "xdp"};

static int fast_new(bool xdp, struct pcn_fast *ret_fast)
{
    const struct pcn_fast_spec spec = {.kind = "transparenthelloworld", .xdp = xdp, .transparent = true};

    return pcn_fast_open(&spec, ret_fast);
}

static int fast_set(const struct pcn_fast *fast, enum transparenthelloworld_action ingress,
                    enum transparenthelloworld_action egress)
{
    const struct transparenthelloworld_data data = {.actions = {ingress, egress}};
    uint32_t zero = 0;

    return bpf_map_update_elem(pcn_fast_map(fast, TRANSPARENTHELLOWORLD_DATA), &zero, &data, BPF_ANY);
}

static void test_default(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, &fast));
        for (int direction = 0; direction < PCN_DIRECTION_MAX; direction++) {
            /* Another direction leads nowhere: the packet must take its own. */
            pcn_fast_set_hop(&fast, !direction, (struct pcn_hop){});
            pcn_fast_set_hop(&fast, (uint32_t)direction, (struct pcn_hop){.kind = PCN_HOP_PROGRAM, .port = 7});
            PCN_REQUIRE_OK(pcn_fast_run(&fast, (enum pcn_direction)direction, 3, &frame, &run));
            PCN_CHECK_EQ(run.verdict, PCN_SINK);
            PCN_CHECK_EQ(run.port, 7);
            PCN_CHECK_FRAME(&run.frame, &frame);
            PCN_CHECK_EQ(pcn_fast_counters(&fast, (uint32_t)direction).packets, 1);
            PCN_CHECK_EQ(pcn_fast_counters(&fast, (uint32_t)direction).bytes, frame.length);
        }
    }
}

static void test_drop(void)
{
    const struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, &fast));
        PCN_REQUIRE_OK(fast_set(&fast, TRANSPARENTHELLOWORLD_DROP, TRANSPARENTHELLOWORLD_PASS));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, PCN_DROP_POLICY), 1);
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_EGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, PCN_SINK);

        PCN_REQUIRE_OK(fast_set(&fast, TRANSPARENTHELLOWORLD_PASS, TRANSPARENTHELLOWORLD_DROP));
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_INGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, PCN_SINK);
        PCN_REQUIRE_OK(pcn_fast_run(&fast, PCN_EGRESS, 0, &frame, &run));
        PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
        PCN_CHECK_EQ(pcn_fast_drops(&fast, PCN_DROP_POLICY), 2);
    }
}

static void test_slow_path(void)
{
    const struct pcn_frame frame = pcn_frame_echo("fd00::1", "fd00::2", 1, 1);

    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        _cleanup_(pcn_fast_close) struct pcn_fast fast = {};
        struct pcn_fast_run run;

        PCN_REQUIRE_OK(fast_new(i == 1, &fast));
        PCN_REQUIRE_OK(fast_set(&fast, TRANSPARENTHELLOWORLD_SLOWPATH, TRANSPARENTHELLOWORLD_SLOWPATH));
        for (int direction = 0; direction < PCN_DIRECTION_MAX; direction++) {
            PCN_REQUIRE_OK(pcn_fast_run(&fast, (enum pcn_direction)direction, 0, &frame, &run));
            PCN_CHECK_EQ(run.verdict, pcn_fast_dropped(&fast));
            PCN_REQUIRE(pcn_fast_records(&fast) == 1);
            PCN_CHECK_EQ(fast.records->record.direction, direction);
            PCN_CHECK_FRAME(&fast.records->frame, &frame);
        }
        PCN_CHECK_EQ(pcn_fast_drops(&fast, PCN_DROP_POLICY), 0);
    }
}

static const struct pcn_test tests[] = {
    {"a new one passes both ways, each by its own hop", test_default},
    {"DROP drops in its direction only, by policy", test_drop},
    {"SLOWPATH sends the whole frame up, with its direction", test_slow_path},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("transparenthelloworld", tests, .skip = pcn_skip_unless_root);
}
