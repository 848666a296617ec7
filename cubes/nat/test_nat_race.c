/* SPDX-License-Identifier: Apache-2.0 */
/* Two CPUs that open sessions at the same time, for hosts that all want the same ports outside; or that end them. */
#include "test_nat_rig.h"
#include <arpa/inet.h>
#include <stdio.h>

#define N_PORTS 64
#define N_ROUNDS 80

/* Of a host of the CPU's own. */
static struct pcn_frame frame_own(int cpu, uint16_t i)
{
    char source[24];

    (void)snprintf(source, sizeof(source), "10.0.0.%d", 1 + cpu);
    return udp(source, (uint16_t)(2000 + i), B, 53);
}

/* The same as the other CPU's. */
static struct pcn_frame frame_same(int cpu, uint16_t i)
{
    return udp(A, (uint16_t)(2000 + i), B, 53);
}

static const struct pcn_race own = {frame_own, N_PORTS, {{OUT, 0}, {OUT, 0}}},
                             same = {frame_same, N_PORTS, {{OUT, 0}, {OUT, 0}}};

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

static void test_ports(void)
{
    FOR_BOTH(128)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (int round = 0; round < N_ROUNDS; round++) {
            PCN_CHECK_EQ(pcn_fast_race(&rig->fast, &own), PCN_RACE_CPUS * N_PORTS);
            PCN_CHECK_EQ(n_twice(rig, NAT_OUTSIDE), 0);
            PCN_CHECK_EQ(n_twice(rig, NAT_INSIDE), 0);
            PCN_CHECK_EQ(n_places(rig), 2 * PCN_RACE_CPUS * N_PORTS);
            check_pairs(rig);
            pcn_flows_clear(&rig->nat.flows);
        }
    }
}

static void test_one_session(void)
{
    FOR_BOTH(128)
    {
        uint64_t refused = 0;
        int left;

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (int round = 0; round < N_ROUNDS; round++) {
            left = pcn_fast_race(&rig->fast, &same);
            refused = pcn_fast_drops(&rig->fast, NAT_DROP_RACE) - refused;
            PCN_CHECK_EQ(left + (int)refused, PCN_RACE_CPUS * N_PORTS);
            refused = pcn_fast_drops(&rig->fast, NAT_DROP_RACE);
            PCN_CHECK_EQ(n_twice(rig, NAT_INSIDE), 0);
            PCN_CHECK_EQ(n_twice(rig, NAT_OUTSIDE), 0);
            check_pairs(rig);
            /* Of what is not known by now, the next packets open it. */
            for (uint16_t i = 0; i < N_PORTS; i++)
                PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){frame_same(0, i)}[0]), 0);
            PCN_CHECK_EQ(n_places(rig), 2 * N_PORTS);
            pcn_flows_clear(&rig->nat.flows);
        }
    }
}

/* On one CPU that from inside, on the other one that from outside. */
static struct pcn_frame frame_last(int cpu, uint16_t i)
{
    uint16_t port = (uint16_t)(2000 + i);

    return cpu == 0 ? tcp(A, port, B, 80, FIN | ACK) : tcp(B, 80, E, port, FIN | ACK);
}

static void test_last(void)
{
    static const struct pcn_race race = {frame_last, N_PORTS, {{OUT, 0}, {IN, 0}}};

    FOR_BOTH(128)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (int round = 0; round < N_ROUNDS; round++) {
            for (uint16_t port = 2000; port < 2000 + N_PORTS; port++) {
                PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp(A, port, B, 80, SYN)}[0]), 0);
                PCN_CHECK_EQ(give(rig, IN, &(struct pcn_frame[]){tcp(B, 80, E, port, SYN | ACK)}[0]), 0);
                PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp(A, port, B, 80, ACK)}[0]), 0);
            }
            PCN_CHECK_EQ(pcn_fast_race(&rig->fast, &race), PCN_RACE_CPUS * N_PORTS);
            PCN_CHECK_EQ(n_places(rig), 2 * N_PORTS);
            /* By both keys. */
            for (uint32_t slot = 0; slot < rig->nat.flows.n_slots; slot++)
                if (*word_of(rig, slot))
                    PCN_CHECK_EQ(pcn_ct_flow_of(*word_of(rig, slot)), PCN_CT_TCP_LAST_ACK);
            check_pairs(rig);
            pcn_flows_clear(&rig->nat.flows);
        }
    }
}

static const struct pcn_test tests[] = {
    {"two hosts that want one port outside at once get two", test_ports, pcn_skip_unless_race},
    {"two CPUs that open one session at once make one", test_one_session, pcn_skip_unless_race},
    {"both sides of a session may end it at once", test_last, pcn_skip_unless_race},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("nat, two CPUs", tests, .skip = pcn_skip_unless_root);
}
