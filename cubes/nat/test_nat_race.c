/* SPDX-License-Identifier: Apache-2.0 */
/* Two CPUs that open sessions at the same time, for hosts that all want the same ports outside. */
#include "test_nat_rig.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define N_CPUS 2
#define N_PORTS 64
#define N_ROUNDS 80

/* What a CPU sends: from a host of its own, or, same: from the same one as the others do. */
struct sender {
    pthread_t thread;
    pthread_barrier_t *start;
    struct rig *rig;
    struct pcn_packet *packet; /* the CPU's context */
    int cpu;
    bool same;
    uint32_t failed;
};

static void *send_all(void *data)
{
    struct sender *sender = data;
    char source[24];
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(sender->cpu, &set);
    sender->failed = sched_setaffinity(0, sizeof(set), &set) != 0;
    (void)snprintf(source, sizeof(source), "10.0.0.%d", sender->same ? 1 : 1 + sender->cpu);
    for (uint16_t port = 0; port < N_PORTS; port++) {
        const struct pcn_frame frame = udp(source, (uint16_t)(2000 + port), B, 53);
        struct pcn_run run;

        *sender->packet = (struct pcn_packet){};
        pthread_barrier_wait(sender->start);
        sender->failed += pcn_run(sender->rig->fast.egress, &frame, NULL, &run) < 0 || run.verdict != PCN_SINK;
    }
    return NULL;
}

static void send_at_once(struct rig *rig, bool same)
{
    struct pcn_packet *packets = pcn_fast_memory(&rig->fast, ".data.packets", NULL);
    struct sender senders[N_CPUS];
    pthread_barrier_t start;

    PCN_REQUIRE(packets != NULL);

    pthread_barrier_init(&start, NULL, N_CPUS);
    for (int cpu = 0; cpu < N_CPUS; cpu++) {
        senders[cpu] = (struct sender){.start = &start, .rig = rig, .packet = &packets[cpu], .cpu = cpu, .same = same};
        PCN_CHECK_EQ(pthread_create(&senders[cpu].thread, NULL, send_all, &senders[cpu]), 0);
    }
    for (int cpu = 0; cpu < N_CPUS; cpu++) {
        pthread_join(senders[cpu].thread, NULL);
        PCN_CHECK_EQ(senders[cpu].failed, 0);
    }
    pthread_barrier_destroy(&start);
}

/* Of two places in use, whether they have one key. */
static bool is_twice(struct rig *rig, uint32_t a, uint32_t b)
{
    struct pcn_ct_key keys[2];

    pcn_flows_key(&rig->nat.flows, a, &keys[0]);
    pcn_flows_key(&rig->nat.flows, b, &keys[1]);
    return *word_of(rig, a) && *word_of(rig, b) && memcmp(&keys[0], &keys[1], sizeof(keys[0])) == 0;
}

static uint32_t n_twice(struct rig *rig, uint64_t zone)
{
    uint32_t n = 0;

    for (uint32_t a = 0; a < rig->nat.flows.n_slots; a++) {
        if (!*word_of(rig, a) || rig->nat.flows.entries[a].tuple >> PCN_CT_ZONE_SHIFT != zone)
            continue;
        for (uint32_t b = a + 1; b < rig->nat.flows.n_slots; b++)
            n += is_twice(rig, a, b);
    }
    return n;
}

static const char *skip_unless_cpus(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) < N_CPUS ? "there is one CPU" : NULL;
}

static void test_ports(void)
{
    FOR_BOTH(128)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (int round = 0; round < N_ROUNDS; round++) {
            send_at_once(rig, false);
            PCN_CHECK_EQ(n_twice(rig, NAT_OUTSIDE), 0);
            PCN_CHECK_EQ(n_twice(rig, NAT_INSIDE), 0);
            PCN_CHECK_EQ(n_places(rig), 2 * N_CPUS * N_PORTS);
            check_pairs(rig);
            pcn_flows_clear(&rig->nat.flows);
        }
    }
}

static void test_one_session(void)
{
    FOR_BOTH(128)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (int round = 0; round < N_ROUNDS; round++) {
            send_at_once(rig, true);
            PCN_CHECK_EQ(n_twice(rig, NAT_OUTSIDE), 0);
            check_pairs(rig);
            pcn_flows_clear(&rig->nat.flows);
        }
    }
}

static const struct pcn_test tests[] = {
    {"two hosts that want one port outside at once get two", test_ports, skip_unless_cpus},
    {"one session that two CPUs open at once has no tuple outside that another one has", test_one_session,
     skip_unless_cpus},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("nat, two CPUs", tests, .skip = pcn_skip_unless_root);
}
