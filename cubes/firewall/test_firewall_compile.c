/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_compile.h"
#include "firewall_probe.h"
#include "test_firewall_oracle.h"
#include <arpa/inet.h>
#include <harness/netns.h>
#include <harness/suite.h>
#include <harness/testrun.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

#define PAGES 16384 /* 64 MB */
#define COUNTERS 16400
#define N_PACKETS 100
#define PROGRESS 500 /* rulesets */

static const struct firewall_rule accept_all = {.action = FIREWALL_ACCEPT, .id = 7};

/* ---- the loaded classifier ---- */

struct probe {
    struct pcn_fast fast;
    struct firewall_memory memory;
    struct firewall_counter *counters;
    struct probe_data *data;
    struct pcn_packet *packets;
};

#define MUTATED 200
#define MUTATIONS 300

static uint32_t opening_used;

static size_t counters_size(void)
{
    return (size_t)libbpf_num_possible_cpus() * COUNTERS * sizeof(struct firewall_counter);
}

static void probe_configure(struct bpf_object *object)
{
    const struct firewall_sizes sizes = {
        .pages = PAGES, .counters = COUNTERS, .cpus = (uint32_t)libbpf_num_possible_cpus()};
    struct firewall_settings settings = firewall_settings_for(opening_used, &sizes, 1000);

    pcn_run_set(object, "firewall_settings", &settings, sizeof(settings));
    pcn_run_trim(object, FIREWALL_ARENA, (size_t)PAGES * LBVS_PAGE);
    pcn_run_trim(object, FIREWALL_COUNTERS, counters_size());
}

static size_t whole_pages(size_t size)
{
    return (size + 4095) & ~(size_t)4095;
}

static int probe_open(bool xdp, uint32_t used, struct probe *ret_probe)
{
    const struct pcn_fast_spec spec = {
        .object = xdp ? PCN_BUILD_DIR "/cubes/firewall/firewall_probe_xdp.o"
                      : PCN_BUILD_DIR "/cubes/firewall/firewall_probe_tc.o",
        .xdp = xdp,
        .transparent = true,
        .configure = probe_configure,
    };
    int r;

    opening_used = used;
    r = pcn_fast_open(&spec, &ret_probe->fast);
    if (r < 0)
        return r;
    ret_probe->memory = (struct firewall_memory){.n_pages = PAGES, .used = {used, used}, .counters = COUNTERS};
    ret_probe->memory.pages = pcn_fast_memory(&ret_probe->fast, FIREWALL_ARENA, NULL);
    ret_probe->memory.data = pcn_fast_memory(&ret_probe->fast, FIREWALL_DATA, NULL);
    ret_probe->counters = pcn_fast_memory(&ret_probe->fast, FIREWALL_COUNTERS, NULL);
    ret_probe->data = pcn_fast_memory(&ret_probe->fast, PROBE_DATA, NULL);
    ret_probe->packets = pcn_fast_memory(&ret_probe->fast, "probe_packets", NULL);
    return ret_probe->memory.pages && ret_probe->memory.data && ret_probe->counters && ret_probe->data &&
                   ret_probe->packets
               ? 0
               : -ENOMEM;
}

static void probe_close(struct probe *probe)
{
    if (probe->memory.pages)
        (void)munmap(probe->memory.pages, (size_t)PAGES * LBVS_PAGE);
    if (probe->memory.data)
        (void)munmap(probe->memory.data, whole_pages(sizeof(struct firewall_data)));
    if (probe->counters)
        (void)munmap(probe->counters, whole_pages(counters_size()));
    if (probe->data)
        (void)munmap(probe->data, whole_pages(sizeof(struct probe_data)));
    if (probe->packets)
        (void)munmap(probe->packets, whole_pages(PROBE_PACKETS * sizeof(struct pcn_packet)));
    pcn_fast_close(&probe->fast);
}

/* Tells the plan the numbers of all classes. */
static int plan_interfaces(struct firewall_plan *plan)
{
    uint32_t ifindexes[FIREWALL_INTERFACES_MAX];

    for (uint32_t i = 0; i < FIREWALL_INTERFACES_MAX; i++)
        ifindexes[i] = oracle_ifindex(i);
    return firewall_plan_interfaces(plan, ifindexes, FIREWALL_INTERFACES_MAX);
}

static int probe_write(struct probe *probe, enum firewall_direction chain, const struct firewall_rule *rules, size_t n)
{
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
    int r;

    r = firewall_plan_new(rules, n, &accept_all, &plan);
    if (r >= 0)
        r = plan_interfaces(plan);
    return r < 0 ? r : firewall_plan_write(plan, chain, &probe->memory);
}

/* The rule that the program finds. */
static uint32_t probe_find(struct probe *probe, enum firewall_direction chain, uint32_t from,
                           const struct oracle_packet *packet, uint32_t *ret_id)
{
    const struct pcn_packet context = {.ct_state = packet->state, .words = {12345}};
    const struct __sk_buff skb = {.ingress_ifindex = packet->ifindex};
    static struct pcn_frame frame;
    static struct pcn_fast_run run;

    oracle_frame(packet, &frame);
    probe->data->from = from;
    if (pcn_fast_run_with(&probe->fast, chain == FIREWALL_INGRESS ? PCN_INGRESS : PCN_EGRESS, &context, &skb, &frame,
                          &run) < 0)
        return 12345;
    if (ret_id)
        *ret_id = run.packet.words[1];
    return run.packet.words[0];
}

/* Random packets, against the oracle. Differences, each printed. */
static unsigned int compare(struct probe *probe, enum firewall_direction chain, const struct oracle_rules *rules,
                            unsigned int n, uint64_t seed)
{
    unsigned int differences = 0;
    uint64_t random = seed;

    for (unsigned int i = 0; i < n; i++) {
        struct oracle_packet packet = oracle_packet_random(&random);
        uint32_t from = i % 8 ? 0 : oracle_random(&random, (uint32_t)rules->n + 1);
        uint32_t right = oracle_find(rules->rules, rules->n, from, &packet), id = 0;
        uint32_t found = probe_find(probe, chain, from, &packet, &id);

        if (found == right && id == (right == FIREWALL_NONE ? accept_all.id : rules->rules[right].id))
            continue;
        printf("    seed %llu, packet %u, from %u: rule %d (id %u), not %d\n", (unsigned long long)seed, i, from,
               (int)found, id, (int)right);
        oracle_print(&packet);
        differences++;
    }
    return differences;
}

/* ---- tests ---- */

/* A number that scripts/differential.sh may set in the environment. */
static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void progress(bool xdp, unsigned int done, uint64_t last, unsigned int differences)
{
    printf("    %s: %u rulesets, %u packets, seeds to %llu: %u differences\n", xdp ? "XDP" : "TC", done,
           done * N_PACKETS, (unsigned long long)last, differences);
}

static void differential(bool xdp, uint32_t used, uint64_t n_rulesets, uint64_t seed)
{
    static const uint32_t sizes[] = {0, 1, 3, 10, 30, 100, 300};
    _cleanup_(probe_close) struct probe probe = {};
    unsigned int differences = 0;

    PCN_REQUIRE_OK(probe_open(xdp, used, &probe));
    for (unsigned int i = 0; i < n_rulesets; i++) {
        _cleanup_(oracle_rules_done) struct oracle_rules rules = {};
        /* By the seed alone: one that shows a difference shows it again. */
        uint64_t own = seed + i;
        size_t n = own % 50 == 49 ? 2500 : sizes[own % PCN_ARRAY_SIZE(sizes)];
        enum firewall_direction chain = own & 1 ? FIREWALL_EGRESS : FIREWALL_INGRESS;

        PCN_REQUIRE_OK(oracle_rules_random(own, n, used, &rules));
        PCN_REQUIRE_OK(probe_write(&probe, chain, rules.rules, rules.n));
        differences += compare(&probe, chain, &rules, N_PACKETS, own);
        if (getenv("PCN_RULESETS") && ((i + 1) % PROGRESS == 0 || i + 1 == n_rulesets))
            progress(xdp, i + 1, own, differences);
    }
    PCN_CHECK_EQ(differences, 0);
}

static void test_differential_xdp(void)
{
    differential(true, FIREWALL_USES_ALL, number_from("PCN_RULESETS", 300), number_from("PCN_SEED", 1000));
}

static void test_differential_tc(void)
{
    differential(false, FIREWALL_USES_ALL, number_from("PCN_RULESETS", 20), number_from("PCN_SEED", 5000));
}

static void rule_take_interfaces(struct firewall_rule *rule, const struct firewall_rule *other)
{
    rule->given = (rule->given & ~FIREWALL_GIVEN_INTERFACE) | (other->given & FIREWALL_GIVEN_INTERFACE);
    memcpy(rule->interfaces, other->interfaces, sizeof(rule->interfaces));
}

/* One field of a rule, or all of it but its number, as another one has it. */
static void rule_mutate(struct firewall_rule *rule, const struct firewall_rule *other, uint32_t what)
{
    uint32_t id = rule->id, counter = rule->counter;

    if (what == 0)
        rule->source = other->source;
    else if (what == 1)
        rule->destination_ports = other->destination_ports;
    else if (what == 2)
        rule->destination = other->destination;
    else if (what == 3)
        rule->action = other->action;
    else if (what == 4)
        rule_take_interfaces(rule, other);
    else
        *rule = *other;
    rule->id = id;
    rule->counter = counter;
}

/* Plans that are made of earlier ones: of as many rules or not, again and again. Which rules are the same is told, or not. */
static void made_of_another(bool told)
{
    _cleanup_(firewall_plan_freep) struct firewall_plan *even = NULL, *odd = NULL;
    _cleanup_(oracle_rules_done) struct oracle_rules rules = {}, others = {};
    _cleanup_(probe_close) struct probe probe = {};
    uint64_t random = 77, stamp = 0;
    unsigned int differences = 0;
    size_t n = MUTATED;

    PCN_REQUIRE_OK(probe_open(true, FIREWALL_USES_ALL, &probe));
    PCN_REQUIRE_OK(oracle_rules_random(7, MUTATED, FIREWALL_USES_ALL, &rules));
    PCN_REQUIRE_OK(oracle_rules_random(8, MUTATED, FIREWALL_USES_ALL, &others));
    for (unsigned int i = 0; i < MUTATED && told; i++)
        rules.rules[i].stamp = ++stamp;
    for (unsigned int i = 0; i < MUTATIONS; i++) {
        struct firewall_plan **plan = i % 2 ? &odd : &even;
        uint32_t at = oracle_random(&random, MUTATED);

        if (i % 16 == 15)
            n = MUTATED - oracle_random(&random, 3);
        rules.n = n;
        rule_mutate(&rules.rules[at], &others.rules[oracle_random(&random, MUTATED)], oracle_random(&random, 6));
        rules.rules[at].stamp = told ? ++stamp : 0;
        PCN_REQUIRE_OK(firewall_plan_new(rules.rules, n, &accept_all, plan));
        if (i % 32 == 31)
            firewall_plan_forget(*plan);
        PCN_REQUIRE_OK(plan_interfaces(*plan));
        PCN_REQUIRE_OK(firewall_plan_write(*plan, FIREWALL_INGRESS, &probe.memory));
        differences += compare(&probe, FIREWALL_INGRESS, &rules, N_PACKETS / 2, i);
    }
    PCN_CHECK_EQ(differences, 0);
}

static void test_made_of_another(void)
{
    made_of_another(false);
}

static void test_followed(void)
{
    made_of_another(true);
}

/* Each field alone, and each left out: what the verifier removed must not be missed. */
static void test_fields(void)
{
    for (uint32_t bit = 1; bit < FIREWALL_USES_PREFIX6; bit <<= 1) {
        /* Ports, flags and ICMP want the protocol, addresses the tries of IPv6, too. */
        uint32_t alone = bit | FIREWALL_USES_RULES;

        if (bit &
            (FIREWALL_USES_SOURCE_PORT | FIREWALL_USES_DESTINATION_PORT | FIREWALL_USES_TCP_FLAGS | FIREWALL_USES_ICMP))
            alone |= FIREWALL_USES_PROTOCOL;
        if (bit & (FIREWALL_USES_SOURCE | FIREWALL_USES_DESTINATION))
            alone |= FIREWALL_USES_PREFIX6;
        differential(true, alone, 7, 100 * bit);
        if (bit != FIREWALL_USES_PROTOCOL)
            differential(true, FIREWALL_USES_ALL & ~bit, 7, 100 * bit + 50);
    }
    differential(true, FIREWALL_USES_RULES, 7, 100 * FIREWALL_USES_RULES);
}

/* ---- edges ---- */

static struct firewall_prefix prefix4(const char *address, uint8_t length)
{
    struct firewall_prefix prefix = {.version = 4, .length = length};

    inet_pton(AF_INET, address, &prefix.address);
    return prefix;
}

static const struct oracle_packet udp_packet = {
    .version = 4, .protocol = IPPROTO_UDP, .source_port = 1000, .destination_port = 53};

/* A plan made of another one has to find this rule for a packet to this port. */
static void finds(struct probe *probe, const struct firewall_rule *rules, size_t n, struct firewall_plan **plan,
                  uint16_t port, uint32_t rule)
{
    struct oracle_packet packet = udp_packet;

    packet.destination_port = port;
    PCN_REQUIRE_OK(firewall_plan_new(rules, n, &accept_all, plan));
    PCN_REQUIRE_OK(firewall_plan_write(*plan, FIREWALL_INGRESS, &probe->memory));
    PCN_CHECK_EQ(probe_find(probe, FIREWALL_INGRESS, 0, &packet, NULL), rule);
}

/* What other items stand where those of a rule that has gone stood: the same place in memory is not the same list. */
static void test_followed_lists(void)
{
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
    _cleanup_(probe_close) struct probe probe = {};
    struct firewall_range items[] = {{53, 53}, {153, 153}}, set[] = {{53, 53}, {253, 253}};
    struct firewall_rule rules[] = {
        {.destination_ports = {.items = items, .n = 2, .given = true}, .id = 0, .stamp = 1},
        {.destination_ports = {.items = set, .n = 2, .given = true, .serial = 1}, .id = 1, .stamp = 2},
        {.id = 2, .stamp = 3},
    };

    PCN_REQUIRE_OK(probe_open(true, FIREWALL_USES_ALL, &probe));
    finds(&probe, rules, 3, &plan, 53, 0);
    items[0] = items[1] = (struct firewall_range){80, 80};
    rules[0].stamp = 4;
    finds(&probe, rules, 3, &plan, 53, 1);
    finds(&probe, rules, 3, &plan, 80, 0);
    finds(&probe, rules, 3, &plan, 153, 2);
    /* A set's items are others once their serial number is; the rule that has them is the same one. */
    set[0] = (struct firewall_range){153, 153};
    rules[1].destination_ports.serial = 2;
    rules[1].stamp = 5;
    finds(&probe, rules, 3, &plan, 53, 2);
    finds(&probe, rules, 3, &plan, 153, 1);
    finds(&probe, rules, 3, &plan, 253, 1);
    /* The last one goes, and comes back. */
    finds(&probe, rules, 2, &plan, 53, FIREWALL_NONE);
    finds(&probe, rules, 3, &plan, 53, 2);
    /* More sets than there is room for: all rules are read again. */
    for (uint64_t stamp = 6; stamp < 206; stamp++) {
        rules[0].stamp = stamp;
        items[0].low = items[0].high = (uint16_t)(1000 + stamp);
        finds(&probe, rules, 3, &plan, (uint16_t)(1000 + stamp), 0);
        finds(&probe, rules, 3, &plan, (uint16_t)(999 + stamp), 2);
    }
}

static void test_limits(void)
{
    _cleanup_free_ struct firewall_rule *rules = calloc(FIREWALL_RULES_MAX + 1, sizeof(*rules));
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
    const struct firewall_range backwards = {2, 1};
    const struct firewall_prefix too_long = prefix4("10.0.0.0", 33);
    struct firewall_rule bad = {};

    PCN_REQUIRE(rules != NULL);
    PCN_CHECK_EQ(firewall_plan_new(rules, FIREWALL_RULES_MAX + 1, &accept_all, &plan), -E2BIG);
    bad.source_ports = (struct firewall_ranges){.items = &backwards, .n = 1, .given = true};
    PCN_CHECK_EQ(firewall_plan_new(&bad, 1, &accept_all, &plan), -EINVAL);
    bad = (struct firewall_rule){.source = {.items = &too_long, .n = 1, .given = true}};
    PCN_CHECK_EQ(firewall_plan_new(&bad, 1, &accept_all, &plan), -EINVAL);
    PCN_CHECK(plan == NULL);
    PCN_CHECK_OK(firewall_plan_new(rules, FIREWALL_RULES_MAX, &accept_all, &plan));
}

/* What does not fit is refused, and what was in force stays so. */
static void test_no_room(void)
{
    const struct firewall_range port = {53, 53};
    const struct firewall_rule drop = {.action = FIREWALL_DROP, .id = 1, .counter = 1};
    const struct firewall_rule ports = {.destination_ports = {.items = &port, .n = 1, .given = true}};
    const struct firewall_rule counter = {.counter = COUNTERS};
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
    _cleanup_(probe_close) struct probe probe = {};
    struct firewall_memory small;
    uint32_t id = 0;

    PCN_REQUIRE_OK(probe_open(true, FIREWALL_USES_RULES, &probe));
    PCN_REQUIRE_OK(probe_write(&probe, FIREWALL_INGRESS, &drop, 1));
    PCN_CHECK_EQ(probe_write(&probe, FIREWALL_INGRESS, &ports, 1), -EOPNOTSUPP);
    PCN_CHECK_EQ(probe_write(&probe, FIREWALL_INGRESS, &counter, 1), -ENOSPC);
    PCN_REQUIRE_OK(firewall_plan_new(&ports, 1, &accept_all, &plan));
    PCN_CHECK_EQ(firewall_plan_sizes(plan).used,
                 FIREWALL_USES_DESTINATION_PORT | FIREWALL_USES_PROTOCOL | FIREWALL_USES_RULES);
    small = probe.memory;
    small.used[FIREWALL_INGRESS] = FIREWALL_USES_ALL;
    small.n_pages = firewall_plan_sizes(plan).pages - 1;
    PCN_CHECK_EQ(firewall_plan_write(plan, FIREWALL_INGRESS, &small), -ENOSPC);
    PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &udp_packet, &id), 0);
    PCN_CHECK_EQ(id, 1);
}

/* With the room that is asked for, plans of these sizes replace each other for ever. */
static void test_room(void)
{
    _cleanup_(oracle_rules_done) struct oracle_rules large = {}, little = {};
    _cleanup_(firewall_plan_freep) struct firewall_plan *big = NULL, *small = NULL;
    const struct oracle_rules *in_force[FIREWALL_CHAIN_MAX] = {};
    _cleanup_(probe_close) struct probe probe = {};
    uint64_t random = 1;

    PCN_REQUIRE_OK(probe_open(true, FIREWALL_USES_ALL, &probe));
    PCN_REQUIRE_OK(oracle_rules_random(1, 200, FIREWALL_USES_ALL, &large));
    PCN_REQUIRE_OK(oracle_rules_random(2, 3, FIREWALL_USES_ALL, &little));
    PCN_REQUIRE_OK(firewall_plan_new(large.rules, large.n, &accept_all, &big));
    PCN_REQUIRE_OK(firewall_plan_new(little.rules, little.n, &accept_all, &small));
    PCN_REQUIRE_OK(plan_interfaces(big));
    PCN_REQUIRE_OK(plan_interfaces(small));
    probe.memory.n_pages = firewall_plan_room(firewall_plan_sizes(big).pages, firewall_plan_sizes(big).pages);
    for (int i = 0; i < 200; i++) {
        bool is_big = oracle_random(&random, 2);
        enum firewall_direction chain = oracle_random(&random, 2) ? FIREWALL_EGRESS : FIREWALL_INGRESS;

        PCN_REQUIRE_OK(firewall_plan_write(is_big ? big : small, chain, &probe.memory));
        in_force[chain] = is_big ? &large : &little;
        /* The other one's pages must not have been taken. */
        for (int j = 0; j < FIREWALL_CHAIN_MAX; j++) {
            if (in_force[j])
                PCN_CHECK_EQ(compare(&probe, (enum firewall_direction)j, in_force[j], 5, (uint64_t)i), 0);
        }
    }
}

/* Counters of the rule, and of the default, in their slots; others stay 0. */
static void test_counters(void)
{
    const struct firewall_range port = {53, 53};
    const struct firewall_rule rules[] = {
        {.destination_ports = {.items = &port, .n = 1, .given = true, .negate = true}, .counter = 5},
        {.counter = 9, .id = 3},
    };
    struct firewall_counter sum[COUNTERS > 16 ? 16 : COUNTERS] = {};
    _cleanup_(probe_close) struct probe probe = {};
    struct pcn_frame frame;

    PCN_REQUIRE_OK(probe_open(true, FIREWALL_USES_ALL, &probe));
    PCN_REQUIRE_OK(probe_write(&probe, FIREWALL_INGRESS, rules, 2));
    for (int i = 0; i < 3; i++)
        PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &udp_packet, NULL), 1);
    PCN_CHECK_EQ(probe_find(&probe, FIREWALL_EGRESS, 0, &udp_packet, NULL), FIREWALL_NONE);
    oracle_frame(&udp_packet, &frame);
    for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(sum); i++) {
            sum[i].packets += probe.counters[(size_t)cpu * COUNTERS + i].packets;
            sum[i].bytes += probe.counters[(size_t)cpu * COUNTERS + i].bytes;
        }
    }
    PCN_CHECK_EQ(sum[9].packets, 3);
    PCN_CHECK_EQ(sum[9].bytes, 3 * frame.length);
    PCN_CHECK_EQ(sum[0].packets, 1); /* the other chain has no plan: its default has slot 0 */
    PCN_CHECK_EQ(sum[5].packets, 0);
}

/*
 * One vector after the other says "maybe", and no rule matches: the search looks at every group, in
 * several calls, and from any rule on.
 */
static void test_long_search(void)
{
    static const struct firewall_range even = {1000, 1000}, odd = {53, 53};
    _cleanup_free_ struct firewall_rule *rules = calloc(FIREWALL_RULES_MAX, sizeof(*rules));
    _cleanup_(probe_close) struct probe probe = {};
    const uint32_t last = FIREWALL_RULES_MAX - 1;

    PCN_REQUIRE(rules != NULL);
    for (uint32_t i = 0; i < FIREWALL_RULES_MAX; i++) {
        if (i & 1)
            rules[i].destination_ports =
                (struct firewall_ranges){.items = &odd, .n = 1, .given = true, .negate = i != last};
        else
            rules[i].destination_ports = (struct firewall_ranges){.items = &odd, .n = 1, .given = true};
        rules[i].source_ports =
            (struct firewall_ranges){.items = &even, .n = 1, .given = true, .negate = !(i & 1) && i != 5000};
        rules[i].id = i;
    }
    PCN_REQUIRE_OK(probe_open(true, FIREWALL_USES_ALL, &probe));
    PCN_REQUIRE_OK(probe_write(&probe, FIREWALL_INGRESS, rules, FIREWALL_RULES_MAX));
    PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &udp_packet, NULL), 5000);
    PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 5000, &udp_packet, NULL), 5000);
    PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 5001, &udp_packet, NULL), last);
    PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, last + 1, &udp_packet, NULL), FIREWALL_NONE);
}

/* ---- time ---- */

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ns a run, the least of some. */
static double bench_run(const struct probe *probe, const char *program)
{
    static const uint8_t frame[64];
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 200000);
    double least = 1e9;

    for (int i = 0; i < 7; i++) {
        if (bpf_prog_test_run_opts(pcn_run_program(probe->fast.object, program), &options) < 0)
            return -1;
        least = PCN_MIN(least, (double)options.duration);
    }
    return least;
}

/* Packets of random rules; mixed: fields of three of them, so that mostly none matches. */
static double bench_packets(struct probe *probe, const struct oracle_rules *rules, bool mixed)
{
    uint64_t random = 42;

    for (unsigned int i = 0; i < PROBE_PACKETS; i++) {
        struct oracle_packet packets[3];

        for (int j = 0; j < 3; j++)
            packets[j] = oracle_packet_for(&rules->rules[oracle_random(&random, (uint32_t)rules->n)], &random);
        if (mixed) {
            packets[0].destination = packets[1].destination;
            packets[0].destination_port = packets[2].destination_port;
        }
        oracle_context(&packets[0], &probe->packets[i]);
    }
    return bench_run(probe, "probe_bench") - bench_run(probe, "probe_base");
}

static void bench(const char *name, int (*make)(uint64_t, size_t, uint8_t, struct oracle_rules *), size_t n,
                  uint8_t version, double compile_limit_ms)
{
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
    _cleanup_(oracle_rules_done) struct oracle_rules rules = {};
    _cleanup_(probe_close) struct probe probe = {};
    struct firewall_plan_sizes sizes;
    double start, compiled, written, opened, some, none;

    PCN_REQUIRE_OK(make(1, n, version, &rules));
    start = now_ms();
    PCN_REQUIRE_OK(firewall_plan_new(rules.rules, rules.n, &accept_all, &plan));
    compiled = now_ms() - start;
    sizes = firewall_plan_sizes(plan);
    start = now_ms();
    PCN_REQUIRE_OK(probe_open(true, sizes.used, &probe));
    opened = now_ms() - start;
    start = now_ms();
    PCN_REQUIRE_OK(firewall_plan_write(plan, FIREWALL_INGRESS, &probe.memory));
    written = now_ms() - start;
    some = bench_packets(&probe, &rules, false);
    none = bench_packets(&probe, &rules, true);
    printf("    %s%u %5zu: compile %.1f ms, write %.2f, load %.0f; %u pages, %u vectors, %u chunks, %u lines; "
           "%.0f ns a packet (rules), %.0f (mixed)\n",
           name, version, n, compiled, written, opened, sizes.pages, sizes.vectors, sizes.chunks, sizes.nodes, some,
           none);
#ifdef __SANITIZE_ADDRESS__
    compile_limit_ms *= 10;
#endif
    PCN_CHECK(compiled <= compile_limit_ms);
}

static void test_time(void)
{
    for (uint8_t version = 4; version <= 6; version += 2) {
        bench("acl", oracle_rules_acl, 100, version, 150);
        bench("acl", oracle_rules_acl, 1000, version, 150);
        bench("acl", oracle_rules_acl, 10000, version, 150);
        bench("exact", oracle_rules_exact, 1000, version, 150);
        bench("exact", oracle_rules_exact, 10000, version, 150);
    }
}

#define NETWORKS 60
#define NESTED 8 /* of these, each in the one before */
#define PAIRED 1600

static struct firewall_prefix pairs_network(uint8_t version, uint32_t number)
{
    uint32_t address = htonl(number < NESTED ? 0x0a000000 : 0xc0000000 + (number << 20));
    struct firewall_prefix network = {.version = version, .length = (uint8_t)(number < NESTED ? 8 + 2 * number : 24)};

    if (version == 4)
        network.address.v4 = address;
    else
        network.address.v6[0] = address;
    return network;
}

/* A rule that says less than random ones: many groups have one for each of its values, and none for all of them. */
static void pairs_plain_rule(struct firewall_rule *rule, unsigned int protocol, const struct firewall_range *port)
{
    *rule = (struct firewall_rule){.given = FIREWALL_GIVEN_PROTOCOL, .id = rule->id, .counter = rule->counter};
    firewall_bit_set(rule->protocol, protocol);
    if (port)
        rule->destination_ports = (struct firewall_ranges){.items = port, .n = 1, .given = true};
}

/* Networks that lie in one another, and others: some pairs leave hundreds of rules, most leave none. */
static void pairs_rules(uint8_t version, struct oracle_rules *rules, struct firewall_prefix *networks)
{
    static const struct firewall_range ports[] = {{53, 53}, {80, 80}};
    uint64_t random = 5;

    for (uint32_t i = 0; i < 2 * NETWORKS; i++)
        networks[i] = pairs_network(version, i % NETWORKS);
    for (uint32_t i = 0; i < rules->n; i++) {
        struct firewall_rule *rule = &rules->rules[i];
        bool nested = i % 4 == 0, second = i / 4 % 2;
        uint32_t among = nested ? NESTED : NETWORKS;

        if (nested)
            pairs_plain_rule(rule, second ? IPPROTO_TCP : IPPROTO_UDP, &ports[second]);
        if (i == PAIRED / 2)
            pairs_plain_rule(rule, IPPROTO_UDP, NULL);
        rule->source = rule->destination = (struct firewall_prefixes){};
        if (i % 100 == 0)
            continue;
        rule->source =
            (struct firewall_prefixes){.items = &networks[oracle_random(&random, among)], .n = 1, .given = true};
        rule->destination = (struct firewall_prefixes){
            .items = &networks[NETWORKS + oracle_random(&random, among)], .n = 1, .given = true};
    }
}

/* Packets to and from these networks; all that a pair can leave: nothing, a group, a list, a vector. */
static unsigned int pairs_compare(struct probe *probe, const struct oracle_rules *rules,
                                  const struct firewall_prefix *networks, uint64_t seed)
{
    unsigned int differences = 0;
    uint64_t random = seed;

    for (uint32_t i = 0; i < 4 * PAIRED; i++) {
        struct oracle_packet packet = oracle_packet_random(&random);
        uint32_t from = i % 8 ? 0 : oracle_random(&random, (uint32_t)rules->n), right;

        packet.version = networks[0].version;
        packet.source = networks[oracle_random(&random, i % 2 ? NESTED : NETWORKS)].address;
        packet.destination = networks[NETWORKS + oracle_random(&random, i % 2 ? NESTED : NETWORKS)].address;
        if (i % 4 == 1) {
            packet.protocol = IPPROTO_UDP;
            packet.fragment = PCN_FRAGMENT_NONE;
            packet.destination_port = 80;
        }
        right = oracle_find(rules->rules, rules->n, from, &packet);
        differences += probe_find(probe, FIREWALL_INGRESS, from, &packet, NULL) != right;
    }
    return differences;
}

static void test_pairs(void)
{
    for (uint8_t version = 4; version <= 6; version += 2) {
        _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
        _cleanup_(oracle_rules_done) struct oracle_rules rules = {};
        _cleanup_(probe_close) struct probe probe = {};
        struct firewall_prefix networks[2 * NETWORKS];

        PCN_REQUIRE_OK(oracle_rules_random(9, PAIRED, FIREWALL_USES_ALL & ~FIREWALL_USES_LEAD, &rules));
        pairs_rules(version, &rules, networks);
        PCN_REQUIRE_OK(probe_open(version == 4, FIREWALL_USES_ALL, &probe));
        PCN_REQUIRE_OK(firewall_plan_new(rules.rules, rules.n, &accept_all, &plan));
        PCN_CHECK(firewall_plan_sizes(plan).pairs >= NETWORKS * NETWORKS);
        PCN_REQUIRE_OK(plan_interfaces(plan));
        PCN_REQUIRE_OK(firewall_plan_write(plan, FIREWALL_INGRESS, &probe.memory));
        PCN_CHECK_EQ(pairs_compare(&probe, &rules, networks, version), 0);
        /* Another rule of each group, in the same pages. */
        for (uint32_t i = 0; i < PAIRED; i += 16)
            rules.rules[i].source = rules.rules[(i + 300) % PAIRED].source;
        PCN_REQUIRE_OK(firewall_plan_new(rules.rules, rules.n, &accept_all, &plan));
        PCN_REQUIRE_OK(plan_interfaces(plan));
        PCN_REQUIRE_OK(firewall_plan_write(plan, FIREWALL_INGRESS, &probe.memory));
        PCN_CHECK_EQ(pairs_compare(&probe, &rules, networks, 100 + version), 0);
    }
}

#define LEAD 400
#define BEHIND 50

/* Rules that name one value each, the last one what the first does; and others behind them. */
static void lead_compare(bool xdp, uint8_t version)
{
    _cleanup_(oracle_rules_done) struct oracle_rules exact = {}, others = {};
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
    _cleanup_(probe_close) struct probe probe = {};
    struct firewall_rule rules[LEAD + BEHIND];
    unsigned int hits = 0;
    uint64_t random = version;

    PCN_REQUIRE_OK(oracle_rules_exact(7, LEAD, version, &exact));
    PCN_REQUIRE_OK(oracle_rules_random(8, BEHIND, FIREWALL_USES_ALL, &others));
    memcpy(rules, exact.rules, LEAD * sizeof(*rules));
    memcpy(rules + LEAD, others.rules, BEHIND * sizeof(*rules));
    rules[LEAD - 1] = rules[0];
    for (uint32_t i = 0; i < LEAD + BEHIND; i++)
        rules[i].id = i;
    PCN_REQUIRE_OK(firewall_plan_new(rules, LEAD + BEHIND, &accept_all, &plan));
    PCN_CHECK_EQ(firewall_plan_sizes(plan).lead, LEAD);
    PCN_REQUIRE_OK(plan_interfaces(plan));
    PCN_REQUIRE_OK(probe_open(xdp, FIREWALL_USES_ALL, &probe));
    PCN_REQUIRE_OK(firewall_plan_write(plan, FIREWALL_EGRESS, &probe.memory));
    for (uint32_t i = 0; i < 4 * LEAD; i++) {
        struct oracle_packet packet = oracle_packet_for(&rules[i % LEAD], &random);
        uint32_t found, right, id;

        if (i / LEAD == 1)
            packet.destination_port ^= 1;
        else if (i / LEAD == 2)
            packet.fragment = PCN_FRAGMENT_LATER;
        else if (i / LEAD == 3)
            packet = oracle_packet_random(&random);
        right = oracle_find(rules, LEAD + BEHIND, 0, &packet);
        found = probe_find(&probe, FIREWALL_EGRESS, 0, &packet, &id);
        hits += found < LEAD;
        if (!PCN_CHECK_EQ(found, right))
            oracle_print(&packet);
        PCN_CHECK_EQ(probe_find(&probe, FIREWALL_EGRESS, LEAD + 10, &packet, NULL),
                     oracle_find(rules, LEAD + BEHIND, LEAD + 10, &packet));
    }
    PCN_CHECK(hits >= LEAD);
}

static void test_lead(void)
{
    for (int xdp = 0; xdp < 2; xdp++)
        for (uint8_t version = 4; version <= 6; version += 2)
            lead_compare(xdp, version);
}

/* ---- interfaces ---- */

/* Each of as many devices as can be named, whatever their numbers: there is a table for them. */
static void test_interface_table(void)
{
    const struct firewall_rule rule = {
        .given = FIREWALL_GIVEN_INTERFACE, .interfaces = {1ull << 1 | 1ull << 7}, .id = 1, .counter = 1};
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
    uint32_t ifindexes[FIREWALL_INTERFACES_MAX];
    uint64_t random = 3;

    PCN_REQUIRE_OK(firewall_plan_new(&rule, 1, &accept_all, &plan));
    PCN_CHECK_EQ(firewall_plan_sizes(plan).used, FIREWALL_USES_INTERFACE | FIREWALL_USES_RULES);
    for (uint32_t step = 1; step != 0; step <<= 1) {
        for (uint32_t i = 0; i < FIREWALL_INTERFACES_MAX; i++)
            ifindexes[i] = 1 + i * step;
        PCN_CHECK_OK(firewall_plan_interfaces(plan, ifindexes, FIREWALL_INTERFACES_MAX));
    }
    for (int round = 0; round < 1000; round++) {
        for (uint32_t i = 0; i < FIREWALL_INTERFACES_MAX; i++)
            ifindexes[i] = 1 + oracle_random(&random, INT32_MAX);
        PCN_CHECK_OK(firewall_plan_interfaces(plan, ifindexes, FIREWALL_INTERFACES_MAX));
    }
}

/* Another number for a class changes what matches, and no rule. */
static void test_interface_moves(void)
{
    const struct firewall_rule rules[] = {
        {.given = FIREWALL_GIVEN_INTERFACE, .interfaces = {1ull << 2}, .id = 1, .counter = 1},
        {.given = FIREWALL_GIVEN_INTERFACE, .interfaces = {~(1ull << 1), ~0ull}, .id = 2, .counter = 2},
    };
    for (int xdp = 0; xdp < 2; xdp++) {
        _cleanup_(firewall_plan_freep) struct firewall_plan *plan = NULL;
        _cleanup_(probe_close) struct probe probe = {};
        struct oracle_packet packet = udp_packet;
        uint32_t ifindexes[2] = {oracle_ifindex(0), oracle_ifindex(1)};

        PCN_REQUIRE_OK(probe_open(xdp, FIREWALL_USES_ALL, &probe));
        PCN_REQUIRE_OK(firewall_plan_new(rules, 2, &accept_all, &plan));
        /* No device exists: the first matches nothing, the second everything. */
        PCN_REQUIRE_OK(firewall_plan_write(plan, FIREWALL_INGRESS, &probe.memory));
        packet.ifindex = ifindexes[1];
        PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &packet, NULL), 1);
        PCN_REQUIRE_OK(firewall_plan_interfaces(plan, ifindexes, 2));
        PCN_REQUIRE_OK(firewall_plan_write(plan, FIREWALL_INGRESS, &probe.memory));
        PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &packet, NULL), 0);
        packet.ifindex = ifindexes[0];
        PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &packet, NULL), FIREWALL_NONE);
        packet.ifindex = 0;
        PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &packet, NULL), 1);
        packet.ifindex = ifindexes[0];
        ifindexes[0] = oracle_ifindex(5);
        PCN_REQUIRE_OK(firewall_plan_interfaces(plan, ifindexes, 2));
        PCN_REQUIRE_OK(firewall_plan_write(plan, FIREWALL_INGRESS, &probe.memory));
        PCN_CHECK_EQ(probe_find(&probe, FIREWALL_INGRESS, 0, &packet, NULL), 1);
    }
}

/* At XDP a test run takes numbers of devices that there are: made in a namespace that ends with the test. */
static int devices_make(void)
{
    _cleanup_free_ char *batch = NULL;
    size_t size;
    FILE *stream;

    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    stream = open_memstream(&batch, &size);
    if (!stream)
        return -errno;
    for (uint32_t i = 0; i < ORACLE_DEVICES; i += 2)
        (void)fprintf(stream, "link add fw%u index %u type veth peer name fw%u index %u\n", i, oracle_ifindex(i), i + 1,
                      oracle_ifindex(i + 1));
    (void)fclose(stream);
    return pcn_netns_must(NULL, "ip -batch - <<'end'\n%send\n", batch);
}

static const struct pcn_test tests[] = {
    {"random rulesets, 100 packets each, both chains: as a plain scan says (XDP)", test_differential_xdp},
    {"random rulesets: so it is at TC", test_differential_tc},
    {"so it is with one field alone, and with one left out", test_fields},
    {"too many rules, ranges and prefixes that are none: refused", test_limits},
    {"a plan that does not fit is refused, the one in force stays", test_no_room},
    {"with the room asked for, plans replace each other without end", test_room},
    {"a plan made of another one is as if it was made anew", test_made_of_another},
    {"so it is where only the rules that changed are read", test_followed},
    {"items that stand where others stood are read", test_followed_lists},
    {"source and destination as one field: whatever pairs leave", test_pairs},
    {"packets and bytes are counted in the rule's slot", test_counters},
    {"there is a table for any 64 devices", test_interface_table},
    {"rules match what has a device's number now, or by negation what has not", test_interface_moves},
    {"rules at the head that name one value each are found by hash", test_lead},
    {"a search through all groups of 16,384 rules ends, and can begin anywhere", test_long_search},
    {"10,000 rules compile within 150 ms", test_time},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("firewall_compile", tests, .setup = devices_make, .skip = pcn_skip_unless_root);
}
