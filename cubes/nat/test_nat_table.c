/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of sessions: each session has one, and gives it back, however it ends. */
#include "test_nat_rig.h"
#include <arpa/inet.h>
#include <stdio.h>

#define PORTS 60000u

static struct pcn_frame packet(uint32_t i)
{
    char source[24];

    (void)snprintf(source, sizeof(source), "10.0.0.%u", 1 + i / PORTS);
    return udp(source, (uint16_t)(1024 + i % PORTS), B, 53);
}

/* Opens sessions; the address outside has the same ports, of which there are enough for the first host. */
static void open_some(struct rig *rig, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        const struct pcn_frame frame = packet(i);

        PCN_CHECK_EQ(give(rig, OUT, &frame), 0);
    }
}

/* What B answers to the session of a slot comes back to its host. */
static void answered(struct rig *rig, uint32_t slot)
{
    char host[INET_ADDRSTRLEN] = "", external[INET_ADDRSTRLEN] = "";
    struct pcn_ct_key inside, outside;

    pcn_flows_key(&rig->nat.flows, slot, &inside);
    pcn_flows_key(&rig->nat.flows, pcn_flows_other(&rig->nat.flows, slot), &outside);
    (void)inet_ntop(AF_INET, &inside.words[0], host, sizeof(host));
    (void)inet_ntop(AF_INET, &outside.words[0], external, sizeof(external));
    becomes(rig, IN, udp(B, 53, external, ntohs((uint16_t)outside.words[4])),
            udp(B, 53, host, ntohs((uint16_t)inside.words[4])));
}

static uint32_t n_free(const struct rig *rig)
{
    return pcn_flows_free(&rig->nat.flows);
}

/* More slots than 16 bits can say; all of them are found, and by those that answer, too. */
static void test_many(void)
{
    for (_cleanup_(rig_freep) struct rig *rig = rig_new(RIG_XDP, 32768); rig; rig_freep(&rig)) {
        uint32_t n = rig->nat.flows.n_numbers;

        PCN_CHECK_EQ(n, 65536);
        add_snat(rig, "10.0.0.0", 24, E, 2, 0, 0);
        for (int round = 0; round < 2; round++) {
            PCN_CHECK_EQ(n_free(rig), n);
            open_some(rig, 0, n);
            PCN_CHECK_EQ(n_free(rig), 0);
            PCN_CHECK_EQ(n_places(rig), 2 * n);
            check_pairs(rig);
            PCN_CHECK_EQ(n_created(rig), (uint64_t)n * (uint64_t)(round + 1));
            /* Known by now. */
            open_some(rig, 0, n);
            PCN_CHECK_EQ(n_created(rig), (uint64_t)n * (uint64_t)(round + 1));
            for (uint32_t slot = 0; slot < n; slot += 97)
                answered(rig, slot);
            pcn_flows_clear(&rig->nat.flows);
            PCN_CHECK_EQ(n_places(rig), 0);
        }
    }
}

/* One makes room for another, whose number it gets; what is refused takes none. */
static void test_room(void)
{
    FOR_BOTH(64)
    {
        uint32_t n = rig->nat.flows.n_numbers;
        const struct pcn_frame refused = udp(A2, 2000, B, 53);

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        open_some(rig, 0, 10 * n);
        PCN_CHECK_EQ(n_free(rig), 0);
        PCN_CHECK_EQ(n_places(rig), 2 * n);
        PCN_CHECK_EQ(pcn_flows_statistics(&rig->nat.flows).early_dropped + n, n_created(rig));
        check_pairs(rig);
        pcn_flows_clear(&rig->nat.flows);
        PCN_CHECK_EQ(n_free(rig), n);
        rig->n_lines = 0;
        add_snat(rig, "10.0.0.0", 24, E, 1, 2000, 2000);
        becomes(rig, OUT, udp(A, 2000, B, 53), udp(E, 2000, B, 53));
        PCN_CHECK_EQ(n_free(rig), n - 1);
        PCN_CHECK_EQ(give(rig, OUT, &refused), NAT_DROP_NO_PORT);
        PCN_CHECK_EQ(n_free(rig), n - 1);
        PCN_CHECK_EQ(n_places(rig), 2);
    }
}

/* Where all but a few stay, one of those is found in the end; and where all do, none. */
static void test_few(void)
{
    FOR_BOTH(64)
    {
        uint32_t n = rig->nat.flows.n_numbers, refused = 0;

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        open_some(rig, 0, n);
        for (uint32_t slot = 0; slot < 2 * n; slot++)
            if (slot % n >= n / 4)
                *word_of(rig, slot) =
                    pcn_ct_word_next(*word_of(rig, slot), PCN_CT_UDP_REPLIED, (uint32_t)*word_of(rig, slot));
        for (uint32_t i = 0; i < 2 * n; i++) {
            const struct pcn_frame frame = packet(n + i);

            refused += give(rig, OUT, &frame) == NAT_DROP_TABLE_FULL;
        }
        /* Sixteen draws of which a quarter hits: one in 100 has none. */
        PCN_CHECK(refused < n / 8);
        PCN_CHECK_EQ(n_places(rig), 2 * n);
        check_pairs(rig);
        for (uint32_t slot = 0; slot < 2 * n; slot++)
            *word_of(rig, slot) =
                pcn_ct_word_next(*word_of(rig, slot), PCN_CT_UDP_REPLIED, (uint32_t)*word_of(rig, slot));
        for (uint32_t i = 0; i < 100; i++) {
            const struct pcn_frame frame = packet(10 * n + i);

            PCN_CHECK_EQ(give(rig, OUT, &frame), NAT_DROP_TABLE_FULL);
        }
        PCN_CHECK_EQ(n_free(rig), 0);
    }
}

/* Sessions that expire give theirs back when they are swept away, in any order. */
static void test_expired(void)
{
    FOR_BOTH(64)
    {
        uint32_t n = rig->nat.flows.n_numbers, now = (uint32_t)pcn_clock_jiffies();

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (uint32_t round = 0; round < 50; round++) {
            open_some(rig, round * 1000, n / 2);
            for (uint32_t slot = round % 3; slot < n; slot += 3)
                if (*word_of(rig, slot))
                    *word_of(rig, slot) = (*word_of(rig, slot) >> 32 << 32) | (now - 1);
            PCN_CHECK_EQ(n_places(rig) / 2 + n_free(rig), n);
            check_pairs(rig);
        }
    }
}

static const struct pcn_test tests[] = {
    {"as many sessions as the table has, all are found, and end", test_many},
    {"one that makes room, and one that is refused", test_room},
    {"most stay, and then all", test_few},
    {"those that expire", test_expired},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("nat, numbers of sessions", tests, .skip = pcn_skip_unless_root);
}
