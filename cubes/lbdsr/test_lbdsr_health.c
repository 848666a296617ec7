/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of packets and flows when a backend is down, and when it is back. */
#include "test_lbdsr_rig.h"

#define N 10
#define FLOWS 400

static void send_all(struct rig *rig, uint16_t first, uint8_t flags, uint32_t to[FLOWS])
{
    for (uint16_t i = 0; i < FLOWS; i++) {
        const struct pcn_frame frame = tcp(CLIENT, (uint16_t)(first + i), flags);

        to[i] = goes_to(rig, &frame);
    }
}

static void test_down(void)
{
    FOR_BOTH(4096)
    {
        struct lbdsr_end ends[N];
        uint32_t before[FLOWS], after[FLOWS], moved = 0;

        ends_make(ends, 1, N);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, N);
        send_all(rig, 1000, SYN, before);
        send_all(rig, 1000, ACK, before);
        ends[2].health.out = ends[2].health.leaves = true;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, N);
        PCN_CHECK_EQ(rig->groups[0]->ends[2].places, 0);
        PCN_CHECK(!rig->groups[0]->ends[2].health.leaves);
        /* Its share is a tenth; of the other places, few have moved. */
        PCN_CHECK(rig->groups[0]->moved < TABLE_SIZE / 8);
        send_all(rig, 1000, ACK, after);
        for (size_t i = 0; i < FLOWS; i++) {
            if (before[i] == 3)
                moved++;
            PCN_CHECK(before[i] == 3 ? after[i] && after[i] != 3 : after[i] == before[i]);
        }
        PCN_CHECK(moved > 0);
        send_all(rig, 5000, SYN, after);
        for (size_t i = 0; i < FLOWS; i++)
            PCN_CHECK(after[i] && after[i] != 3);
    }
}

static void test_back(void)
{
    FOR_BOTH(4096)
    {
        struct lbdsr_end ends[N];
        uint32_t before[FLOWS], after[FLOWS], its = 0;

        ends_make(ends, 1, N);
        ends[2].health.out = true;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, N);
        send_all(rig, 1000, SYN, before);
        send_all(rig, 1000, ACK, before);
        ends[2].health.out = false;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, N);
        send_all(rig, 1000, ACK, after);
        PCN_CHECK(memcmp(before, after, sizeof(before)) == 0);
        send_all(rig, 5000, SYN, after);
        for (size_t i = 0; i < FLOWS; i++)
            its += after[i] == 3;
        PCN_CHECK(its > FLOWS / N / 2 && its < FLOWS / N * 2);
    }
}

/* The table is the one that it was: every node has the same. */
static void test_same_table(void)
{
    struct lbdsr_end ends[N], fewer[N - 1];
    _cleanup_free_ uint16_t *first = NULL, *down = NULL, *without = NULL, *back = NULL;
    uint32_t differ = 0;

    ends_make(ends, 1, N);
    ends_make(fewer, 2, N - 1);
    PCN_REQUIRE_OK(lbdsr_maglev(ends, N, TABLE_SIZE, &first));
    ends[0].health.out = true;
    PCN_REQUIRE_OK(lbdsr_maglev(ends, N, TABLE_SIZE, &down));
    PCN_REQUIRE_OK(lbdsr_maglev(fewer, N - 1, TABLE_SIZE, &without));
    for (uint32_t i = 0; i < TABLE_SIZE; i++)
        differ += ends[down[i] - 1].address.v4 != fewer[without[i] - 1].address.v4;
    PCN_CHECK_EQ(differ, 0);
    ends[0].health.out = false;
    PCN_REQUIRE_OK(lbdsr_maglev(ends, N, TABLE_SIZE, &back));
    PCN_CHECK(memcmp(first, back, TABLE_SIZE * sizeof(*first)) == 0);
}

static void test_all_down(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[2];
        const struct pcn_frame syn = tcp(CLIENT, 1000, SYN), ack = tcp(CLIENT, 1000, ACK);

        ends_make(ends, 1, 2);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 2);
        PCN_CHECK(goes_to(rig, &syn) && goes_to(rig, &ack));
        for (int i = 0; i < 2; i++)
            ends[i].health.out = ends[i].health.leaves = true;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 2);
        PCN_CHECK_EQ(give(rig, &ack), LBDSR_DROP_NO_BACKEND);
        PCN_CHECK_EQ(give(rig, &syn), LBDSR_DROP_NO_BACKEND);
    }
}

static const struct pcn_test tests[] = {
    {"a backend that is down gets nothing: its flows go elsewhere, others stay", test_down},
    {"one that is back gets its share of new flows, and takes none away", test_back},
    {"the table without it is that of its deletion; with it, that of before", test_same_table},
    {"where all are out, packets are dropped, those of remembered flows too", test_all_down},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("lbdsr health", tests, .skip = pcn_skip_unless_root);
}
