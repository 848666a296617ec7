/* SPDX-License-Identifier: Apache-2.0 */
/* The cube's fast path on frames: what it lets through, drops, counts, sends up, and enters as a flow. */
#include "firewall_compile.h"
#include <harness/suite.h>
#include <harness/testrun.h>
#include <pcn/flows.h>
#include <sys/mman.h>

#define A "10.0.0.1"
#define B "10.0.0.2"
#define A6 "fd00::1"
#define B6 "fd00::2"
#define PAGES 2048
#define BUCKETS 1024u
#define COUNTERS 16

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

struct wall {
    struct pcn_fast fast;
    struct firewall_memory memory;
    struct firewall_counter *counters;
    struct pcn_flows flows;
    struct pcn_fast_run run;
};

static uint32_t opening_used;

static size_t counters_size(void)
{
    return ((size_t)libbpf_num_possible_cpus() * COUNTERS * sizeof(struct firewall_counter) + 4095) & ~4095ul;
}

static void configure(struct bpf_object *object)
{
    const struct firewall_sizes sizes = {
        .pages = PAGES, .counters = COUNTERS, .cpus = (uint32_t)libbpf_num_possible_cpus()};
    struct firewall_settings settings = firewall_settings_for(opening_used, &sizes, 1000);

    pcn_run_set(object, "firewall_settings", &settings, sizeof(settings));
    pcn_run_trim(object, FIREWALL_ARENA, (size_t)PAGES * LBVS_PAGE);
    pcn_run_trim(object, FIREWALL_COUNTERS, counters_size());
    pcn_run_flows(object, BUCKETS, 1, false);
}

static int wall_open(bool xdp, uint32_t used, struct pcn_cube_identity identity, struct wall *wall)
{
    const struct pcn_fast_spec spec = {
        .kind = "firewall", .xdp = xdp, .transparent = true, .identity = identity, .configure = configure};
    int r;

    opening_used = used;
    r = pcn_fast_open(&spec, &wall->fast);
    if (r < 0)
        return r;
    wall->memory = (struct firewall_memory){.n_pages = PAGES, .used = {used, used}, .counters = COUNTERS};
    wall->memory.pages = pcn_fast_memory(&wall->fast, FIREWALL_ARENA, NULL);
    wall->memory.data = pcn_fast_memory(&wall->fast, FIREWALL_DATA, NULL);
    wall->counters = pcn_fast_memory(&wall->fast, FIREWALL_COUNTERS, NULL);
    if (!wall->memory.pages || !wall->memory.data || !wall->counters)
        return -ENOMEM;
    return pcn_fast_flows(&wall->fast, BUCKETS, 1, &wall->flows);
}

static void wall_freep(struct wall **ptr)
{
    struct wall *wall = TAKE_PTR(*ptr);

    if (!wall)
        return;
    if (wall->memory.pages)
        (void)munmap(wall->memory.pages, (size_t)PAGES * LBVS_PAGE);
    if (wall->memory.data)
        (void)munmap(wall->memory.data, (sizeof(struct firewall_data) + 4095) & ~4095ul);
    if (wall->counters)
        (void)munmap(wall->counters, counters_size());
    pcn_fast_close(&wall->fast);
    free(wall);
}

static struct wall *wall_new_as(bool xdp, uint32_t used, struct pcn_cube_identity identity)
{
    struct wall *wall = calloc(1, sizeof(*wall));

    if (!PCN_CHECK(wall != NULL) || !PCN_CHECK_OK(wall_open(xdp, used, identity, wall)))
        wall_freep(&wall);
    return wall;
}

/* For TC, then XDP: `wall`, with all fields and `more_`. */
#define FOR_BOTH(more_)                                                                                                \
    for (int xdp_ = 0; xdp_ < 2; xdp_++)                                                                               \
        for (_cleanup_(wall_freep) struct wall *wall =                                                                 \
                 wall_new_as(xdp_, FIREWALL_USES_ALL | (more_), (struct pcn_cube_identity){});                         \
             wall; wall_freep(&wall))

/* ---- rules ---- */

static const struct firewall_range port_80 = {80, 80};
static const struct firewall_rule fallback_accept = {.action = FIREWALL_ACCEPT, .counter = 0, .id = FIREWALL_NONE};
static const struct firewall_rule fallback_drop = {.action = FIREWALL_DROP, .counter = 0, .id = FIREWALL_NONE};

static struct firewall_rule to_80(enum firewall_action action, uint32_t counter)
{
    struct firewall_rule rule = {.action = (uint8_t)action, .counter = counter, .id = counter - 1};

    rule.destination_ports = (struct firewall_ranges){.items = &port_80, .n = 1, .given = true};
    return rule;
}

static void rules_set(struct wall *wall, const struct firewall_rule *rules, size_t n,
                      const struct firewall_rule *fallback)
{
    for (int chain = 0; chain < FIREWALL_CHAIN_MAX; chain++) {
        _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;

        PCN_REQUIRE_OK(firewall_plan_new(rules, n, fallback, &plan));
        PCN_REQUIRE_OK(firewall_plan_write(plan, (enum firewall_direction)chain, &wall->memory));
    }
}

/* Of class 1 is the device with this number; that of class 2 does not exist. */
static void interfaces_set(struct wall *wall, const struct firewall_rule *rules, size_t n, uint32_t ifindex)
{
    const uint32_t ifindexes[] = {ifindex, 0};

    for (int chain = 0; chain < FIREWALL_CHAIN_MAX; chain++) {
        _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;

        PCN_REQUIRE_OK(firewall_plan_new(rules, n, &fallback_accept, &plan));
        PCN_REQUIRE_OK(firewall_plan_interfaces(plan, ifindexes, PCN_ARRAY_SIZE(ifindexes)));
        PCN_REQUIRE_OK(firewall_plan_write(plan, (enum firewall_direction)chain, &wall->memory));
    }
}

static uint64_t counted(const struct wall *wall, uint32_t counter, uint64_t *ret_bytes)
{
    uint64_t packets = 0;

    *ret_bytes = 0;
    for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
        packets += wall->counters[cpu * COUNTERS + (int)counter].packets;
        *ret_bytes += wall->counters[cpu * COUNTERS + (int)counter].bytes;
    }
    return packets;
}

/* ---- packets ---- */

enum outcome { PASSED, DROPPED, SENT_UP };

static enum outcome give(struct wall *wall, enum pcn_direction direction, const struct pcn_frame *frame)
{
    if (!PCN_CHECK_OK(pcn_fast_run(&wall->fast, direction, 0, frame, &wall->run)))
        return DROPPED;
    if (wall->run.verdict == PCN_SINK) {
        PCN_CHECK_FRAME(&wall->run.frame, frame);
        return PASSED;
    }
    return pcn_fast_records(&wall->fast) ? SENT_UP : DROPPED;
}

static enum outcome give_spec(struct wall *wall, const struct pcn_frame_spec *spec)
{
    const struct pcn_frame frame = pcn_frame_make(spec);

    return give(wall, PCN_INGRESS, &frame);
}

static struct pcn_frame_spec tcp_spec(uint16_t port)
{
    return (struct pcn_frame_spec){.source = A,
                                   .destination = B,
                                   .protocol = IPPROTO_TCP,
                                   .source_port = 1000,
                                   .destination_port = port,
                                   .tcp_flags = SYN};
}

/* ---- tests ---- */

static void test_verdicts(void)
{
    const struct firewall_rule rules[] = {to_80(FIREWALL_DROP, 1)};

    FOR_BOTH(0)
    {
        const struct pcn_frame web = pcn_frame_tcp(A, B, 1000, 80, SYN), other = pcn_frame_tcp(A, B, 1000, 81, SYN);
        uint64_t bytes;

        rules_set(wall, rules, 1, &fallback_accept);
        for (int direction = PCN_INGRESS; direction <= PCN_EGRESS; direction++) {
            PCN_CHECK_EQ(give(wall, (enum pcn_direction)direction, &web), DROPPED);
            PCN_CHECK_EQ(give(wall, (enum pcn_direction)direction, &other), PASSED);
        }
        PCN_CHECK_EQ(pcn_fast_drops(&wall->fast, PCN_DROP_POLICY), 2);
        PCN_CHECK_EQ(counted(wall, 1, &bytes), 2);
        PCN_CHECK_EQ(bytes, 2 * web.length);
        PCN_CHECK_EQ(counted(wall, 0, &bytes), 2);
        PCN_CHECK_EQ(bytes, 2 * other.length);
        rules_set(wall, rules, 1, &fallback_drop);
        PCN_CHECK_EQ(give(wall, PCN_INGRESS, &other), DROPPED);
    }
}

/* Malformed is dropped before any rule; what is not IP goes by all of them. */
static void test_malformed(void)
{
    static const uint32_t faults[] = {PCN_FAULT_IP_VERSION,   PCN_FAULT_IHL_SHORT,   PCN_FAULT_IHL_LONG,
                                      PCN_FAULT_LENGTH_SHORT, PCN_FAULT_LENGTH_LONG, PCN_FAULT_TCP_OFFSET};

    FOR_BOTH(0)
    {
        const struct pcn_frame arp = pcn_frame_arp_request("02:00:00:00:00:01", A, B);
        uint64_t bytes, n = 0;

        rules_set(wall, NULL, 0, &fallback_accept);
        for (size_t i = 0; i < PCN_ARRAY_SIZE(faults); i++, n++) {
            struct pcn_frame_spec spec = tcp_spec(80);

            spec.faults = faults[i];
            PCN_CHECK_EQ(give_spec(wall, &spec), DROPPED);
        }
        /* Below its IP header the kernel takes none at TC. */
        for (size_t cut = wall->fast.xdp ? 15 : 34; cut < 14 + 20 + 20; cut++, n++) {
            struct pcn_frame_spec spec = tcp_spec(80);

            spec.cut_to = cut;
            PCN_CHECK_EQ(give_spec(wall, &spec), DROPPED);
        }
        PCN_CHECK_EQ(pcn_fast_drops(&wall->fast, PCN_DROP_MALFORMED), n);
        PCN_CHECK_EQ(counted(wall, 0, &bytes), 0);
        rules_set(wall, NULL, 0, &fallback_drop);
        PCN_CHECK_EQ(give(wall, PCN_INGRESS, &arp), PASSED);
        PCN_CHECK_EQ(counted(wall, 0, &bytes), 0);
    }
}

static void test_vlans(void)
{
    const struct firewall_rule rules[] = {to_80(FIREWALL_DROP, 1)};

    FOR_BOTH(0)
    {
        rules_set(wall, rules, 1, &fallback_accept);
        for (unsigned int n = 1; n <= 2; n++) {
            struct pcn_frame_spec spec = tcp_spec(80);

            spec.n_vlans = n;
            spec.vlans[0].tci = 100;
            spec.vlans[1].tci = 200;
            PCN_CHECK_EQ(give_spec(wall, &spec), DROPPED);
            spec.destination_port = 81;
            PCN_CHECK_EQ(give_spec(wall, &spec), PASSED);
        }
    }
}

static void test_extensions(void)
{
    const struct firewall_rule rules[] = {to_80(FIREWALL_DROP, 1)};

    FOR_BOTH(0)
    {
        rules_set(wall, rules, 1, &fallback_accept);
        for (unsigned int n = 0; n <= 6; n++) {
            struct pcn_frame_spec spec = tcp_spec(80);

            spec.source = A6;
            spec.destination = B6;
            spec.n_extensions = n;
            for (unsigned int i = 0; i < n; i++)
                spec.extensions[i] = (struct pcn_frame_extension){.type = IPPROTO_DSTOPTS, .size = 16};
            PCN_CHECK_EQ(give_spec(wall, &spec), DROPPED);
            spec.destination_port = 81;
            PCN_CHECK_EQ(give_spec(wall, &spec), PASSED);
        }
    }
}

/* The first fragment has ports, a later one has none; one that is cut within its transport header is malformed (RFC 1858). */
static void test_fragments(void)
{
    const struct firewall_rule rules[] = {to_80(FIREWALL_DROP, 1)};

    FOR_BOTH(0)
    {
        for (int v6 = 0; v6 < 2; v6++) {
            struct pcn_frame_spec spec = tcp_spec(80);

            rules_set(wall, rules, 1, &fallback_accept);
            if (v6) {
                spec.source = A6;
                spec.destination = B6;
            }
            spec.more_fragments = true;
            spec.payload_length = 64;
            PCN_CHECK_EQ(give_spec(wall, &spec), DROPPED);
            spec.more_fragments = false;
            spec.fragment_offset = 64;
            PCN_CHECK_EQ(give_spec(wall, &spec), PASSED);
        }
    }
}

static void test_reject(void)
{
    const struct firewall_rule rules[] = {to_80(FIREWALL_REJECT, 1)};

    FOR_BOTH(0)
    {
        struct pcn_frame_spec spec = tcp_spec(80);

        rules_set(wall, rules, 1, &fallback_accept);
        PCN_CHECK_EQ(give_spec(wall, &spec), SENT_UP);
        PCN_REQUIRE(wall->fast.records != NULL);
        PCN_CHECK_EQ(wall->fast.records->record.reason, FIREWALL_SLOW_REJECT);
        PCN_CHECK_EQ(wall->fast.records->record.words[0], 20);
        PCN_CHECK_EQ(wall->fast.records->record.words[1], IPPROTO_TCP);
    }
}

/* LOG goes on behind the rule, and sends a copy; so does a rule whose rate is spent, without one. */
static void test_goes_on(void)
{
    struct firewall_rule rules[] = {to_80(FIREWALL_LOG, 1), to_80(FIREWALL_ACCEPT, 2), to_80(FIREWALL_DROP, 3)};

    rules[0].rate = 1;
    rules[0].burst = 1;
    rules[1].rate = 1;
    rules[1].burst = 3;
    FOR_BOTH(FIREWALL_USES_CONTINUE)
    {
        struct pcn_frame_spec spec = tcp_spec(80);
        uint64_t bytes;

        rules_set(wall, rules, PCN_ARRAY_SIZE(rules), &fallback_accept);
        PCN_CHECK_EQ(give_spec(wall, &spec), PASSED);
        PCN_CHECK_EQ(pcn_fast_records(&wall->fast), 1);
        PCN_REQUIRE(wall->fast.records != NULL);
        PCN_CHECK_EQ(wall->fast.records->record.reason, FIREWALL_SLOW_LOG);
        PCN_CHECK_EQ(wall->fast.records->record.words[0], 0);
        PCN_CHECK_EQ(give_spec(wall, &spec), PASSED);
        PCN_CHECK_EQ(pcn_fast_records(&wall->fast), 0);
        PCN_CHECK_EQ(give_spec(wall, &spec), PASSED);
        PCN_CHECK_EQ(give_spec(wall, &spec), DROPPED);
        PCN_CHECK_EQ(counted(wall, 1, &bytes), 1);
        PCN_CHECK_EQ(counted(wall, 2, &bytes), 3);
        PCN_CHECK_EQ(counted(wall, 3, &bytes), 1);
    }
}

/* A rule that names nothing, and LOG: behind the last rule is the default. */
static void test_goes_on_to_default(void)
{
    const struct firewall_rule rule = {.action = FIREWALL_LOG, .counter = 1, .rate = 1, .burst = 1};

    FOR_BOTH(FIREWALL_USES_CONTINUE)
    {
        struct pcn_frame_spec spec = tcp_spec(80);
        uint64_t bytes;

        rules_set(wall, &rule, 1, &fallback_drop);
        PCN_CHECK(give_spec(wall, &spec) != PASSED);
        PCN_CHECK_EQ(pcn_fast_drops(&wall->fast, PCN_DROP_POLICY), 1);
        PCN_CHECK_EQ(counted(wall, 0, &bytes), 1);
        PCN_CHECK_EQ(counted(wall, 1, &bytes), 1);
    }
}

static void test_too_many(void)
{
    struct firewall_rule rules[400];

    for (size_t i = 0; i < PCN_ARRAY_SIZE(rules); i++)
        rules[i] = to_80(FIREWALL_LOG, 1);
    FOR_BOTH(FIREWALL_USES_CONTINUE)
    {
        struct pcn_frame_spec spec = tcp_spec(80);

        rules_set(wall, rules, FIREWALL_CONTINUES_MAX, &fallback_accept);
        PCN_CHECK_EQ(give_spec(wall, &spec), PASSED);
        rules_set(wall, rules, PCN_ARRAY_SIZE(rules), &fallback_accept);
        (void)give_spec(wall, &spec);
        PCN_CHECK_EQ(pcn_fast_drops(&wall->fast, FIREWALL_TOO_MANY), 1);
    }
}

/* What is let through opens a flow, and its answer passes a default of DROP; what is dropped opens none. */
static void test_tracking(void)
{
    const struct firewall_rule rules[] = {to_80(FIREWALL_ACCEPT, 1)};

    FOR_BOTH(FIREWALL_USES_TRACKING)
    {
        const struct pcn_frame syn = pcn_frame_tcp(A, B, 1000, 80, SYN),
                               answer = pcn_frame_tcp(B, A, 80, 1000, SYN | ACK);
        const struct pcn_frame other = pcn_frame_tcp(A, B, 1000, 81, SYN),
                               stray = pcn_frame_tcp(B, A, 81, 1000, SYN | ACK);
        const struct pcn_frame error = pcn_frame_make(&(struct pcn_frame_spec){.source = "10.0.9.9",
                                                                               .destination = A,
                                                                               .protocol = IPPROTO_ICMP,
                                                                               .icmp_type = 3,
                                                                               .icmp_code = 1,
                                                                               .payload = syn.bytes + 14,
                                                                               .payload_length = syn.length - 14});

        rules_set(wall, rules, 1, &fallback_drop);
        PCN_CHECK_EQ(give(wall, PCN_EGRESS, &answer), DROPPED);
        PCN_CHECK_EQ(wall->run.packet.ct_state, PCN_CT_INVALID);
        PCN_CHECK_EQ(give(wall, PCN_INGRESS, &syn), PASSED);
        PCN_CHECK_EQ(wall->run.packet.ct_state, PCN_CT_NEW);
        /* Without accept-established the rules have to let it through. */
        PCN_CHECK_EQ(give(wall, PCN_EGRESS, &answer), DROPPED);
        PCN_CHECK_EQ(wall->run.packet.ct_state, PCN_CT_ESTABLISHED);
        wall->memory.data->accept_established = 1;
        PCN_CHECK_EQ(give(wall, PCN_EGRESS, &error), PASSED);
        PCN_CHECK_EQ(wall->run.packet.ct_state, PCN_CT_RELATED);
        PCN_CHECK_EQ(give(wall, PCN_EGRESS, &answer), PASSED);
        PCN_CHECK_EQ(give(wall, PCN_INGRESS, &other), DROPPED);
        PCN_CHECK_EQ(give(wall, PCN_EGRESS, &stray), DROPPED);
        PCN_CHECK_EQ(wall->run.packet.ct_state, PCN_CT_INVALID);
    }
}

/* A dry run says the rule, and leaves nothing. */
static void test_dry_run(void)
{
    struct firewall_rule rules[] = {to_80(FIREWALL_LOG, 1), to_80(FIREWALL_ACCEPT, 2)};

    rules[1].rate = 1;
    rules[1].burst = 1;
    for (int xdp = 0; xdp < 2; xdp++) {
        _cleanup_(wall_freep) struct wall *wall = NULL;
        const struct pcn_frame web = pcn_frame_tcp(A, B, 1000, 80, SYN);
        uint64_t bytes;

        wall = wall_new_as(xdp, FIREWALL_USES_ALL | FIREWALL_USES_CONTINUE | FIREWALL_USES_TRACKING,
                           (struct pcn_cube_identity){.dry_run = 1});
        PCN_REQUIRE(wall != NULL);
        rules_set(wall, rules, 2, &fallback_drop);
        for (int i = 0; i < 4; i++) {
            PCN_REQUIRE_OK(pcn_fast_run(&wall->fast, PCN_INGRESS, 0, &web, &wall->run));
            PCN_CHECK_EQ(wall->run.verdict, PCN_PASS);
            PCN_CHECK_EQ(wall->memory.data->explained.rule, 1);
            PCN_CHECK_EQ(wall->memory.data->explained.ct_state, PCN_CT_NEW);
            PCN_CHECK_EQ(pcn_fast_records(&wall->fast), 0);
        }
        for (uint32_t counter = 0; counter < 3; counter++) {
            PCN_CHECK_EQ(counted(wall, counter, &bytes), 0);
            PCN_CHECK_EQ(wall->counters[counter].due, 0);
        }
        PCN_CHECK_EQ(pcn_fast_counters(&wall->fast, PCN_INGRESS).packets, 0);
        /* It comes by the device that it is said to come by. */
        rules[1].given = FIREWALL_GIVEN_INTERFACE;
        rules[1].interfaces[0] = 1 << 1;
        interfaces_set(wall, rules, 2, 4711);
        for (uint32_t ifindex = 4710; ifindex <= 4711; ifindex++) {
            wall->memory.data->explain_ifindex = ifindex;
            PCN_REQUIRE_OK(pcn_fast_run(&wall->fast, PCN_INGRESS, 0, &web, &wall->run));
            PCN_CHECK_EQ(wall->memory.data->explained.rule, ifindex == 4711 ? 1 : FIREWALL_NONE);
        }
        rules[1].given = 0;
    }
}

/* By the device that a packet came by, where it came by one; a packet that the daemon gave back did not. Others go on to the next rule. */
static void test_interfaces(void)
{
    struct firewall_rule rules[] = {to_80(FIREWALL_DROP, 1), to_80(FIREWALL_REJECT, 2)};
    const uint32_t loopback = 1;

    rules[0].given = rules[1].given = FIREWALL_GIVEN_INTERFACE;
    rules[0].interfaces[0] = 1 << 1;
    rules[1].interfaces[0] = ~(1ull << 1 | 1ull << 2);
    FOR_BOTH(FIREWALL_USES_CONTINUE | FIREWALL_USES_TRACKING)
    {
        const struct pcn_frame web = pcn_frame_tcp(A, B, 1000, 80, SYN), other = pcn_frame_tcp(A, B, 1000, 81, SYN);
        const struct __sk_buff skb = {.ingress_ifindex = loopback};
        const struct pcn_packet reinjected = {.flags = PCN_PACKET_REINJECTED};
        uint64_t bytes;

        for (int direction = PCN_INGRESS; direction <= PCN_EGRESS; direction++) {
            interfaces_set(wall, rules, 2, loopback);
            PCN_CHECK_OK(pcn_fast_run_with(&wall->fast, (enum pcn_direction)direction, NULL, &skb, &web, &wall->run));
            PCN_CHECK_EQ(wall->run.verdict, pcn_fast_dropped(&wall->fast));
            PCN_CHECK_EQ(pcn_fast_records(&wall->fast), 0);
            PCN_CHECK_OK(pcn_fast_run_with(&wall->fast, (enum pcn_direction)direction, NULL, &skb, &other, &wall->run));
            PCN_CHECK_EQ(wall->run.verdict, PCN_SINK);
            PCN_CHECK_OK(
                pcn_fast_run_with(&wall->fast, (enum pcn_direction)direction, &reinjected, &skb, &web, &wall->run));
            PCN_CHECK_EQ(pcn_fast_records(&wall->fast), 1);
            /* The device has another number: this one is any other. */
            interfaces_set(wall, rules, 2, 77);
            PCN_CHECK_OK(pcn_fast_run_with(&wall->fast, (enum pcn_direction)direction, NULL, &skb, &web, &wall->run));
            PCN_CHECK_EQ(pcn_fast_records(&wall->fast), 1);
        }
        PCN_CHECK_EQ(counted(wall, 1, &bytes), 2);
        PCN_CHECK_EQ(counted(wall, 2, &bytes), 4);
    }
}

static const struct pcn_test tests[] = {
    {"rules and default decide, and count packets and bytes", test_verdicts},
    {"malformed is dropped before the rules, what is not IP passes", test_malformed},
    {"the rules see what is behind one or two tags", test_vlans},
    {"and behind IPv6 extension headers", test_extensions},
    {"a first fragment has ports, a later one has none", test_fragments},
    {"REJECT is sent up with where its headers are", test_reject},
    {"LOG and a spent rate let the search go on", test_goes_on},
    {"to the default behind the last rule", test_goes_on_to_default},
    {"32 times, but not for ever", test_too_many},
    {"what is let through opens a flow, what is dropped does not", test_tracking},
    {"rules match the device by which a packet came", test_interfaces},
    {"a dry run says the rule and leaves nothing", test_dry_run},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("firewall", tests, .skip = pcn_skip_unless_root);
}
