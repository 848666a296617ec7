/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of docs/verdicts.md, row by row: what becomes of a packet, by verdict,
 * shape of the cube, direction and hook. Ports 0 and 1 lead to the sink, 2 nowhere;
 * packets come in by port 0, or leave by it.
 */
#include "verdict_probe.h"
#include <harness/suite.h>
#include <harness/testrun.h>

#define NO_PORT 2

enum outcome {
    LEAVES,   /* by .port */
    STACK,    /* the host's */
    DROPPED,  /* for .reason */
    TO_USER,  /* a record, and nothing else */
    SENT,     /* redirected by the kernel */
    BROADCAST /* TC: by .port, after the clones; XDP: redirected, with the header in front */
};

struct row {
    enum pcn_verdict verdict;
    enum outcome outcome;
    uint16_t port;
    uint32_t reason;
    uint32_t egress_runs; /* of the egress handler */
};

static const struct row standard_ingress[] = {
    {PCN_PASS, STACK},
    {PCN_DROP, DROPPED, .reason = VERDICT_PROBE_REASON},
    {PCN_REDIRECT, LEAVES, .port = 1, .egress_runs = 1},
    {PCN_FLOOD, BROADCAST, .port = 1, .egress_runs = 1},
    {PCN_REPLY, LEAVES, .port = 0, .egress_runs = 1},
    {PCN_HOST, SENT},
    {PCN_SLOW_PATH, TO_USER},
    {PCN_VERDICT_MAX, DROPPED, .reason = PCN_DROP_BAD_VERDICT},
};

static const struct row standard_egress[] = {
    {PCN_PASS, LEAVES, .port = 0, .egress_runs = 1},
    {PCN_DROP, DROPPED, .reason = VERDICT_PROBE_REASON, .egress_runs = 1},
    {PCN_REDIRECT, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
    {PCN_FLOOD, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
    {PCN_REPLY, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
    {PCN_HOST, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
    {PCN_SLOW_PATH, TO_USER, .egress_runs = 1},
    {PCN_VERDICT_MAX, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
};

/* Port 0 is NEXT_INGRESS, 1 NEXT_EGRESS. */
static const struct row transparent_ingress[] = {
    {PCN_PASS, LEAVES, .port = PCN_NEXT_INGRESS},
    {PCN_DROP, DROPPED, .reason = VERDICT_PROBE_REASON},
    {PCN_REDIRECT, DROPPED, .reason = PCN_DROP_BAD_VERDICT},
    {PCN_FLOOD, DROPPED, .reason = PCN_DROP_BAD_VERDICT},
    {PCN_REPLY, LEAVES, .port = PCN_NEXT_EGRESS},
    {PCN_HOST, DROPPED, .reason = PCN_DROP_BAD_VERDICT},
    {PCN_SLOW_PATH, TO_USER},
    {PCN_VERDICT_MAX, DROPPED, .reason = PCN_DROP_BAD_VERDICT},
};

static const struct row transparent_egress[] = {
    {PCN_PASS, LEAVES, .port = PCN_NEXT_EGRESS, .egress_runs = 1},
    {PCN_DROP, DROPPED, .reason = VERDICT_PROBE_REASON, .egress_runs = 1},
    {PCN_REDIRECT, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
    {PCN_FLOOD, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
    {PCN_REPLY, LEAVES, .port = PCN_NEXT_INGRESS, .egress_runs = 1},
    {PCN_HOST, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
    {PCN_SLOW_PATH, TO_USER, .egress_runs = 1},
    {PCN_VERDICT_MAX, DROPPED, .reason = PCN_DROP_BAD_VERDICT, .egress_runs = 1},
};

/* ---- the probe ---- */

struct probe {
    struct pcn_fast fast;
    struct pcn_fast_run run;
    struct pcn_frame frame;
};

static int probe_open(bool transparent, bool xdp, struct probe *probe)
{
    char path[512];
    const struct pcn_fast_spec spec = {.object = path,
                                       .xdp = xdp,
                                       .n_ports = transparent ? 0 : 2,
                                       .transparent = transparent,
                                       .identity = {.has_egress = 1}};

    (void)snprintf(path, sizeof(path), "%s/tests/unit/verdict_%s_%s.o", PCN_BUILD_DIR,
                   transparent ? "transparent" : "standard", xdp ? "xdp" : "tc");
    *probe = (struct probe){.frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20)};
    return pcn_fast_open(&spec, &probe->fast);
}

static void probe_close(struct probe *probe)
{
    pcn_fast_close(&probe->fast);
}

static int probe_told(const struct probe *probe, const struct verdict_probe *told)
{
    uint32_t zero = 0;

    return bpf_map_update_elem(pcn_fast_map(&probe->fast, VERDICT_PROBE_DATA), &zero, told, BPF_ANY);
}

static struct verdict_probe probe_answer(const struct probe *probe)
{
    struct verdict_probe answer = {};
    uint32_t zero = 0;

    PCN_CHECK_OK(bpf_map_lookup_elem(pcn_fast_map(&probe->fast, VERDICT_PROBE_DATA), &zero, &answer));
    return answer;
}

static uint64_t probe_all_drops(const struct probe *probe)
{
    uint64_t n = 0;

    for (uint32_t reason = 0; reason < PCN_DROP_REASONS_MAX; reason++)
        n += pcn_fast_drops(&probe->fast, reason);
    return n;
}

#define EACH_HOOK(probe_, transparent_)                                                                                \
    for (int xdp_ = 0; xdp_ < 2; xdp_++)                                                                               \
        for (_cleanup_(probe_close) struct probe probe_ = {.run = {.port = 1}}; probe_.run.port; probe_.run.port = 0)  \
            if (PCN_CHECK_OK(probe_open(transparent_, xdp_, &probe_)))

/* ---- the table ---- */

static void check_broadcast(const struct probe *probe)
{
    struct pcn_reinject header;

    PCN_CHECK_EQ(probe->run.verdict, 4 /* XDP_REDIRECT */);
    PCN_REQUIRE(probe->run.frame.length == sizeof(header) + probe->frame.length);
    memcpy(&header, probe->run.frame.bytes, sizeof(header));
    PCN_CHECK_EQ(header.flags, PCN_REINJECT_XDP | PCN_REINJECT_FLOOD);
    PCN_CHECK_EQ(header.port, 0);
    PCN_CHECK_EQ(header.direction, PCN_EGRESS);
}

static void check_record(const struct probe *probe, enum pcn_direction direction)
{
    const struct pcn_packet_record *record = probe->fast.records;

    PCN_CHECK_EQ(probe->run.verdict, pcn_fast_dropped(&probe->fast));
    PCN_REQUIRE(pcn_fast_records(&probe->fast) == 1);
    PCN_CHECK_EQ(record->record.direction, direction);
    PCN_CHECK_EQ(record->record.reason, VERDICT_PROBE_REASON);
    PCN_CHECK_EQ(record->record.words[0], 11);
    PCN_CHECK_EQ(record->record.words[2], 33);
    PCN_CHECK_FRAME(&record->frame, &probe->frame);
}

static void check_outcome(const struct probe *probe, const struct row *row, enum pcn_direction direction)
{
    bool xdp = probe->fast.xdp;

    switch (row->outcome) {
    case STACK:
        PCN_CHECK_EQ(probe->run.verdict, pcn_fast_stack(&probe->fast));
        break;
    case DROPPED:
        PCN_CHECK_EQ(probe->run.verdict, pcn_fast_dropped(&probe->fast));
        PCN_CHECK_EQ(pcn_fast_drops(&probe->fast, row->reason), 1);
        break;
    case TO_USER:
        check_record(probe, direction);
        return;
    case SENT:
        PCN_CHECK_EQ(probe->run.verdict, xdp ? 4u /* XDP_REDIRECT */ : 7u /* TC_ACT_REDIRECT */);
        break;
    case BROADCAST:
        if (xdp) {
            check_broadcast(probe);
            return;
        }
        /* fall through */
    case LEAVES:
        PCN_CHECK_EQ(probe->run.verdict, PCN_SINK);
        PCN_CHECK_EQ(probe->run.port, row->port);
        break;
    }
    PCN_CHECK_EQ(pcn_fast_records(&probe->fast), 0);
    PCN_CHECK_FRAME(&probe->run.frame, &probe->frame);
}

static void check_row(bool transparent, enum pcn_direction direction, const struct row *row)
{
    struct verdict_probe told = {.verdicts = {PCN_PASS, PCN_PASS}, .out_port = 1, .reason = VERDICT_PROBE_REASON};

    told.verdicts[direction] = row->verdict;
    EACH_HOOK(probe, transparent)
    {
        bool broadcast = row->outcome == BROADCAST && probe.fast.xdp;
        struct verdict_probe answer;

        probe.fast.data->hosts[0] = 1;
        PCN_REQUIRE_OK(probe_told(&probe, &told));
        PCN_REQUIRE_OK(pcn_fast_run(&probe.fast, direction, 0, &probe.frame, &probe.run));
        check_outcome(&probe, row, direction);
        answer = probe_answer(&probe);
        PCN_CHECK_EQ(answer.runs[PCN_INGRESS], direction == PCN_INGRESS);
        PCN_CHECK_EQ(answer.runs[PCN_EGRESS], broadcast ? 0 : row->egress_runs);
        PCN_CHECK_EQ(probe_all_drops(&probe), row->outcome == DROPPED);
    }
}

static void check_rows(bool transparent, enum pcn_direction direction, const struct row *rows, size_t n)
{
    PCN_CHECK_EQ(n, PCN_VERDICT_MAX + 1);
    for (size_t i = 0; i < n; i++) {
        PCN_CHECK_EQ(rows[i].verdict, i);
        check_row(transparent, direction, &rows[i]);
    }
}

static void test_standard_ingress(void)
{
    check_rows(false, PCN_INGRESS, standard_ingress, PCN_ARRAY_SIZE(standard_ingress));
}

static void test_standard_egress(void)
{
    check_rows(false, PCN_EGRESS, standard_egress, PCN_ARRAY_SIZE(standard_egress));
}

static void test_transparent_ingress(void)
{
    check_rows(true, PCN_INGRESS, transparent_ingress, PCN_ARRAY_SIZE(transparent_ingress));
}

static void test_transparent_egress(void)
{
    check_rows(true, PCN_EGRESS, transparent_egress, PCN_ARRAY_SIZE(transparent_egress));
}

/* ---- beside the table ---- */

/* The egress handler has a word on what the ingress handler sends. */
static void test_egress_decides(void)
{
    static const enum pcn_verdict ways[] = {PCN_REDIRECT, PCN_REPLY};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(ways); i++) {
        const struct verdict_probe told = {
            .verdicts = {ways[i], PCN_DROP}, .out_port = 1, .reason = VERDICT_PROBE_REASON};

        EACH_HOOK(probe, false)
        {
            PCN_REQUIRE_OK(probe_told(&probe, &told));
            PCN_REQUIRE_OK(pcn_fast_run(&probe.fast, PCN_INGRESS, 0, &probe.frame, &probe.run));
            PCN_CHECK_EQ(probe.run.verdict, pcn_fast_dropped(&probe.fast));
            PCN_CHECK_EQ(pcn_fast_drops(&probe.fast, VERDICT_PROBE_REASON), 1);
        }
    }
}

static void check_redirect(struct probe *probe, uint16_t port, uint32_t reason)
{
    const struct verdict_probe told = {.verdicts = {PCN_REDIRECT, PCN_PASS}, .out_port = port};

    PCN_REQUIRE_OK(probe_told(probe, &told));
    PCN_REQUIRE_OK(pcn_fast_run(&probe->fast, PCN_INGRESS, 0, &probe->frame, &probe->run));
    PCN_CHECK_EQ(probe->run.verdict, pcn_fast_dropped(&probe->fast));
    PCN_CHECK_EQ(pcn_fast_drops(&probe->fast, reason), 1);
    PCN_CHECK_EQ(probe_all_drops(probe), 1);
}

static void test_no_peer(void)
{
    EACH_HOOK(probe, false)
    check_redirect(&probe, NO_PORT, PCN_DROP_NO_PEER);
}

static void test_bad_port(void)
{
    EACH_HOOK(probe, false)
    check_redirect(&probe, PCN_PORTS_MAX, PCN_DROP_BAD_PORT);
}

static void test_no_host(void)
{
    const struct verdict_probe told = {.verdicts = {PCN_HOST, PCN_PASS}};

    EACH_HOOK(probe, false)
    {
        PCN_REQUIRE_OK(probe_told(&probe, &told));
        PCN_REQUIRE_OK(pcn_fast_run(&probe.fast, PCN_INGRESS, 0, &probe.frame, &probe.run));
        PCN_CHECK_EQ(probe.run.verdict, pcn_fast_dropped(&probe.fast));
        PCN_CHECK_EQ(pcn_fast_drops(&probe.fast, PCN_DROP_NO_HOST), 1);
    }
}

/* A standard cube's PASS does not know by which device a re-injected packet came. */
static void test_reinjected_pass(void)
{
    const struct verdict_probe told = {.verdicts = {PCN_PASS, PCN_PASS}};
    const struct pcn_packet context = {.flags = PCN_PACKET_REINJECTED};

    EACH_HOOK(probe, false)
    {
        PCN_REQUIRE_OK(probe_told(&probe, &told));
        PCN_REQUIRE_OK(pcn_fast_run_with(&probe.fast, PCN_INGRESS, &context, NULL, &probe.frame, &probe.run));
        PCN_CHECK_EQ(probe.run.verdict, pcn_fast_dropped(&probe.fast));
        PCN_CHECK_EQ(pcn_fast_drops(&probe.fast, PCN_DROP_NO_HOST), 1);
    }
}

/* At a chain's end: a netdev's own packets go on to the stack, re-injected ones are put on the device. */
static void test_stack_hop(void)
{
    const struct verdict_probe told = {.verdicts = {PCN_PASS, PCN_PASS}};
    const struct pcn_packet reinjected = {.flags = PCN_PACKET_REINJECTED};

    EACH_HOOK(probe, true)
    {
        pcn_fast_set_hop(&probe.fast, PCN_NEXT_INGRESS, (struct pcn_hop){.kind = PCN_HOP_STACK, .index = 1});
        PCN_REQUIRE_OK(probe_told(&probe, &told));
        PCN_REQUIRE_OK(pcn_fast_run(&probe.fast, PCN_INGRESS, 0, &probe.frame, &probe.run));
        PCN_CHECK_EQ(probe.run.verdict, pcn_fast_stack(&probe.fast));
        PCN_REQUIRE_OK(pcn_fast_run_with(&probe.fast, PCN_INGRESS, &reinjected, NULL, &probe.frame, &probe.run));
        if (probe.fast.xdp) {
            const struct pcn_reinject *header = (const struct pcn_reinject *)probe.run.frame.bytes;

            PCN_CHECK_EQ(probe.run.verdict, 2 /* XDP_PASS */);
            PCN_CHECK_EQ(header->flags, PCN_REINJECT_STACK);
            PCN_CHECK_EQ(header->mark, 1);
        } else {
            PCN_CHECK_EQ(probe.run.verdict, 7 /* TC_ACT_REDIRECT */);
        }
        PCN_CHECK_EQ(probe_all_drops(&probe), 0);
    }
}

/* What user space lets go on does not come back to the handler, and is not counted twice. */
static void test_forward(void)
{
    const struct verdict_probe told = {.verdicts = {PCN_DROP, PCN_DROP}};
    const struct pcn_packet context = {.flags = PCN_PACKET_REINJECTED | PCN_PACKET_FORWARD};

    EACH_HOOK(probe, true)
    {
        for (int direction = 0; direction < PCN_DIRECTION_MAX; direction++) {
            PCN_REQUIRE_OK(probe_told(&probe, &told));
            PCN_REQUIRE_OK(pcn_fast_run_with(&probe.fast, (enum pcn_direction)direction, &context, NULL, &probe.frame,
                                             &probe.run));
            PCN_CHECK_EQ(probe.run.verdict, PCN_SINK);
            PCN_CHECK_EQ(probe.run.port, direction == PCN_INGRESS ? PCN_NEXT_INGRESS : PCN_NEXT_EGRESS);
            PCN_CHECK_EQ(probe_answer(&probe).runs[direction], 0);
            PCN_CHECK_EQ(probe.run.packet.flags, PCN_PACKET_REINJECTED);
            PCN_CHECK_EQ(pcn_fast_counters(&probe.fast, (uint32_t)direction).packets, 0);
        }
    }
}

/* The stack's own frame, turned round: it has to be put on the device as if it had come by it. */
static void test_host_turned(void)
{
    const struct verdict_probe told = {.verdicts = {PCN_PASS, PCN_REPLY}};
    const struct pcn_packet context = {.flags = PCN_PACKET_HOST_EGRESS};

    EACH_HOOK(probe, true)
    {
        PCN_REQUIRE_OK(probe_told(&probe, &told));
        PCN_REQUIRE_OK(pcn_fast_run_with(&probe.fast, PCN_EGRESS, &context, NULL, &probe.frame, &probe.run));
        PCN_CHECK_EQ(probe.run.verdict, PCN_SINK);
        PCN_CHECK_EQ(probe.run.port, PCN_NEXT_INGRESS);
        PCN_CHECK_EQ(probe.run.packet.flags, probe.fast.xdp ? PCN_PACKET_HOST_EGRESS : PCN_PACKET_REINJECTED);
    }
}

static const struct pcn_test tests[] = {
    {"standard, ingress: each verdict, as in the table", test_standard_ingress},
    {"standard, egress: each verdict, as in the table", test_standard_egress},
    {"transparent, ingress: each verdict, as in the table", test_transparent_ingress},
    {"transparent, egress: each verdict, as in the table", test_transparent_egress},
    {"the egress handler can drop what is sent or replied", test_egress_decides},
    {"a port without a peer drops", test_no_peer},
    {"a port that cannot be drops", test_bad_port},
    {"HOST without a shadow device drops", test_no_host},
    {"PASS of a re-injected packet drops in a standard cube", test_reinjected_pass},
    {"at a chain's end a packet goes to the stack", test_stack_hop},
    {"transparent: what user space forwards skips the handler", test_forward},
    {"transparent: the stack's own frame can be turned round", test_host_turned},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("verdicts", tests, .skip = pcn_skip_unless_root);
}
