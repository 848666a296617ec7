/* SPDX-License-Identifier: Apache-2.0 */
/* The fast path at TC and at XDP. What is expected is a frame of its own, with checksums computed anew. */
#include "test_lbrp_rig.h"
#include <arpa/inet.h>
#include <stdio.h>

/* ---- places ---- */

static void test_turns(void)
{
    struct lbrp_group group = {.algorithm = LBRP_ROUND_ROBIN};
    struct lbrp_end ends[3];
    uint32_t counted[3] = {};

    ends_make(ends, 4, 1, 3);
    ends[0].weight = 10;
    ends[1].weight = 20;
    ends[2].weight = 30;
    group.ends = ends;
    group.n_ends = 3;
    PCN_REQUIRE_OK(lbrp_spread(&group, SIZE));
    PCN_CHECK_EQ(group.n_table, 6);
    for (uint32_t i = 0; i < group.n_table; i++)
        counted[group.table[i] - 1]++;
    PCN_CHECK(counted[0] == 1 && counted[1] == 2 && counted[2] == 3);
    /* Never one after itself more often than has to be. */
    for (uint32_t i = 0; i + 2 < group.n_table; i++)
        PCN_CHECK(group.table[i] != group.table[i + 1] || group.table[i] != group.table[i + 2]);
    /* More weight than places: shares. */
    ends[0].weight = 1;
    ends[1].weight = 65534;
    ends[2].weight = 65535;
    PCN_REQUIRE_OK(lbrp_spread(&group, SIZE));
    PCN_CHECK(group.n_table <= SIZE && group.n_table > SIZE - 4);
    PCN_CHECK(ends[0].places == 1 && ends[1].places > SIZE / 2 - 4 && ends[2].places > SIZE / 2 - 4);
    ends[0].health.out = true;
    ends[1].weight = 0;
    PCN_REQUIRE_OK(lbrp_spread(&group, SIZE));
    PCN_CHECK_EQ(group.n_table, 1);
    ends[2].health.out = true;
    PCN_REQUIRE_OK(lbrp_spread(&group, SIZE));
    PCN_CHECK_EQ(group.n_table, 0);
    group.n_ends = 2;
    ends[0].health.out = false;
    ends[1].weight = 1;
    PCN_CHECK_EQ(lbrp_spread(&group, 1), -ENOSPC);
    pcn_freep(&group.table);
}

static void test_many(void)
{
    const uint32_t n = 16384;
    struct lbrp_tables tables = {.sizes = lbrp_sizes_for(n, 1, 251, 1)};
    struct lbrp_group *groups = calloc(n, sizeof(*groups));
    struct lbrp_settings settings = {};
    uint32_t found = 0;

    PCN_REQUIRE(groups != NULL);
    tables.keys = calloc(tables.sizes.key_mask + 1, sizeof(*tables.keys));
    tables.names = calloc(tables.sizes.n_names, sizeof(*tables.names));
    tables.services = calloc(tables.sizes.n_services, sizeof(*tables.services));
    tables.data = calloc(1, sizeof(*tables.data));
    tables.places = calloc(tables.sizes.n_places, sizeof(*tables.places));
    PCN_REQUIRE_OK(lbrp_tables_open(&tables));
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < n; i++) {
            groups[i] = service_like(VIP, 80, round ? LBRP_ALL : IPPROTO_TCP, LBRP_MAGLEV);
            groups[i].key.address.v4 = htonl(0xcb000000 + (i + round) * 7);
            lbrp_tables_publish(&tables, &groups[i], NULL, &settings);
        }
        found = 0;
        for (uint32_t i = 0; i <= tables.sizes.key_mask; i++)
            for (int way = 0; way < LBRP_KEY_WAYS; way++)
                found += tables.keys[i].words[way] != 0;
        PCN_CHECK_EQ(found, (round ? 3 : 2) * n);
        for (uint32_t i = 0; i < n; i++)
            lbrp_tables_withdraw(&tables, &groups[i]);
    }
    found = 0;
    for (uint32_t i = 0; i <= tables.sizes.key_mask; i++)
        for (int way = 0; way < LBRP_KEY_WAYS; way++)
            found += tables.keys[i].words[way] != 0;
    PCN_CHECK_EQ(found, 0);
    lbrp_tables_close(&tables);
    free(tables.keys);
    free(tables.names);
    free(tables.services);
    free(tables.data);
    free(tables.places);
    free(groups);
}

/* ---- sessions ---- */

static void test_tcp(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_group *service = one(rig, VIP, 80, IPPROTO_TCP);
        const struct pcn_frame syn = tcp(C, 1000, VIP, 80, SYN);

        becomes(rig, FRONT, syn, BACK, tcp(C, 1000, B1, 8080, SYN));
        becomes(rig, BACK, tcp(B1, 8080, C, 1000, SYN | ACK), FRONT, tcp(VIP, 80, C, 1000, SYN | ACK));
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, ACK), BACK, tcp(C, 1000, B1, 8080, ACK));
        PCN_CHECK_EQ(tally(rig, service, 0).active, 1);
        PCN_CHECK_EQ(n_places(rig), 2);
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, FIN | ACK), BACK, tcp(C, 1000, B1, 8080, FIN | ACK));
        becomes(rig, BACK, tcp(B1, 8080, C, 1000, FIN | ACK), FRONT, tcp(VIP, 80, C, 1000, FIN | ACK));
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, ACK), BACK, tcp(C, 1000, B1, 8080, ACK));
        PCN_CHECK_EQ(tally(rig, service, 0).active, 0);
        PCN_CHECK_EQ(tally(rig, service, 0).sessions, 1);
        PCN_CHECK_EQ(tally(rig, service, 0).count.packets[0], 4);
        PCN_CHECK_EQ(tally(rig, service, 0).count.packets[1], 2);
        PCN_CHECK_EQ(tally(rig, service, 0).count.bytes[0], 4 * syn.length);
        /* The same ports again, while it is in TIME_WAIT: a new session. */
        becomes(rig, FRONT, syn, BACK, tcp(C, 1000, B1, 8080, SYN));
        PCN_CHECK_EQ(tally(rig, service, 0).active, 1);
        PCN_CHECK_EQ(n_places(rig), 2);
        /* A RST ends it. */
        becomes(rig, BACK, tcp(B1, 8080, C, 1000, RST | ACK), FRONT, tcp(VIP, 80, C, 1000, RST | ACK));
        PCN_CHECK_EQ(tally(rig, service, 0).active, 0);
    }
}

static void test_udp(void)
{
    FOR_BOTH(64)
    {
        one(rig, VIP, 53, IPPROTO_UDP);
        becomes(rig, FRONT, udp(C, 5001, VIP, 53), BACK, udp(C, 5001, B1, 8080));
        becomes(rig, BACK, udp(B1, 8080, C, 5001), FRONT, udp(VIP, 53, C, 5001));
        becomes(rig, FRONT, unsummed(C, 5000, VIP, 53), BACK, unsummed(C, 5000, B1, 8080));
        /* Somebody else's answer is nobody's, and TCP is of no service. */
        becomes(rig, BACK, udp(B2, 8080, C, 5001), FRONT, udp(B2, 8080, C, 5001));
        becomes(rig, FRONT, tcp(C, 5001, VIP, 53, SYN), BACK, tcp(C, 5001, VIP, 53, SYN));
    }
}

static void test_echo(void)
{
    FOR_BOTH(64)
    {
        becomes(rig, FRONT, echo(C, VIP, false, 7), BACK, echo(C, VIP, false, 7));
        one(rig, VIP, 0, IPPROTO_ICMP);
        one(rig, VIP6, 0, IPPROTO_ICMP);
        becomes(rig, FRONT, echo(C, VIP, false, 7), BACK, echo(C, B1, false, 7));
        becomes(rig, BACK, echo(B1, C, true, 7), FRONT, echo(VIP, C, true, 7));
        becomes(rig, FRONT, echo(C6, VIP6, false, 9), BACK, echo(C6, "fd00::1", false, 9));
        becomes(rig, BACK, echo("fd00::1", C6, true, 9), FRONT, echo(VIP6, C6, true, 9));
    }
}

static void test_v6(void)
{
    FOR_BOTH(64)
    {
        one(rig, VIP6, 80, IPPROTO_TCP);
        one(rig, VIP6, 53, IPPROTO_UDP);
        becomes(rig, FRONT, tcp(C6, 1000, VIP6, 80, SYN), BACK, tcp(C6, 1000, "fd00::1", 8080, SYN));
        becomes(rig, BACK, tcp("fd00::1", 8080, C6, 1000, SYN | ACK), FRONT, tcp(VIP6, 80, C6, 1000, SYN | ACK));
        becomes(rig, FRONT, tcp(C6, 1000, VIP6, 80, ACK), BACK, tcp(C6, 1000, "fd00::1", 8080, ACK));
        becomes(rig, FRONT, udp(C6, 1000, VIP6, 53), BACK, udp(C6, 1000, "fd00::1", 8080));
        becomes(rig, BACK, udp("fd00::1", 8080, C6, 1000), FRONT, udp(VIP6, 53, C6, 1000));
    }
}

static void test_wildcards(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_group *all;
        struct lbrp_end ends[4];

        ends_make(ends, 4, 1, 4);
        ends[0].port = 0;
        all = service_set(rig, service_like(VIP, 0, LBRP_ALL, LBRP_MAGLEV), &ends[0], 1);
        service_set(rig, service_like(VIP, 0, IPPROTO_TCP, LBRP_MAGLEV), &ends[1], 1);
        service_set(rig, service_like(VIP, 80, LBRP_ALL, LBRP_MAGLEV), &ends[2], 1);
        service_set(rig, service_like(VIP, 80, IPPROTO_TCP, LBRP_MAGLEV), &ends[3], 1);
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1, VIP, 80, SYN)), 4);
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1, VIP, 81, SYN)), 2);
        PCN_CHECK_EQ(goes_to(rig, udp(C, 1, VIP, 80)), 3);
        /* Port 0 of the backend: the client's. */
        becomes(rig, FRONT, udp(C, 1, VIP, 81), BACK, udp(C, 1, B1, 81));
        PCN_CHECK_EQ(goes_to(rig, echo(C, VIP, false, 1)), 1);
        service_withdraw(rig, all);
        lbrp_tables_take_icmp(&rig->lbrp.tables, rig->groups[2]);
        PCN_CHECK_EQ(goes_to(rig, echo(C, VIP, false, 2)), 3);
        becomes(rig, FRONT, udp(C, 2, VIP, 81), BACK, udp(C, 2, VIP, 81));
        /* A protocol that is neither, or no IP. */
        PCN_CHECK_EQ(give(rig, FRONT,
                          &(struct pcn_frame[]){pcn_frame_make(&(struct pcn_frame_spec){
                              .source = C, .destination = VIP, .protocol = 47, .payload_length = 30})}[0]),
                     0);
        PCN_CHECK_EQ(rig->run.port, BACK);
    }
}

/* ---- who gets it ---- */

static void test_round_robin(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_end ends[3];
        uint32_t counted[4] = {};

        ends_make(ends, 4, 1, 3);
        ends[2].weight = 2;
        service_set(rig, service_like(VIP, 80, IPPROTO_TCP, LBRP_ROUND_ROBIN), ends, 3);
        for (uint16_t i = 0; i < 40; i++)
            counted[goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN)) & 3]++;
        PCN_CHECK(counted[1] == 10 && counted[2] == 10 && counted[3] == 20);
    }
}

static void test_least(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_end ends[3];
        struct lbrp_group *service;

        ends_make(ends, 4, 1, 3);
        ends[2].weight = 2;
        service = service_set(rig, service_like(VIP, 80, IPPROTO_TCP, LBRP_LEAST_CONNECTIONS), ends, 3);
        for (uint16_t i = 0; i < 40; i++)
            PCN_CHECK(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN)));
        PCN_CHECK(tally(rig, service, 0).active == 10 && tally(rig, service, 1).active == 10);
        PCN_CHECK_EQ(tally(rig, service, 2).active, 20);
        /* The sessions of one end: the next ones are its. */
        for (uint16_t i = 0; i < 40; i++)
            if (goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN)) == 2)
                PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, RST)), 2);
        PCN_CHECK_EQ(tally(rig, service, 1).active, 0);
        for (uint16_t i = 0; i < 9; i++)
            PCN_CHECK_EQ(goes_to(rig, tcp(C2, (uint16_t)(1000 + i), VIP, 80, SYN)), 2);
    }
}

/* As many as are compared at once, more of them, and all that are compared. */
static void test_least_of_many(void)
{
    static const uint32_t sizes[] = {LBRP_COMPARED_AT_ONCE, LBRP_COMPARED_AT_ONCE + 1, 21, LBRP_COMPARED};

    FOR_BOTH(256)
    {
        for (size_t s = 0; s < PCN_ARRAY_SIZE(sizes); s++) {
            uint32_t n = sizes[s], idle = 2 + n / 3;
            struct lbrp_end ends[LBRP_COMPARED];
            struct lbrp_group *service;

            ends_make(ends, 4, 1, n);
            ends[1].weight = 0;
            service =
                service_set(rig, service_like(VIP, (uint16_t)(80 + s), IPPROTO_TCP, LBRP_LEAST_CONNECTIONS), ends, n);
            for (uint32_t i = 0; i < n - 1; i++)
                PCN_CHECK(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, (uint16_t)(80 + s), SYN)));
            for (uint32_t i = 0; i < n; i++)
                PCN_CHECK_EQ(tally(rig, service, i).active, i != 1);
            /* Who has none is found wherever the search begins. */
            for (uint32_t i = 0; i < n - 1; i++)
                if (goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, (uint16_t)(80 + s), ACK)) == idle)
                    PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, (uint16_t)(80 + s), RST)), idle);
            PCN_CHECK_EQ(tally(rig, service, idle - 1).active, 0);
            PCN_CHECK_EQ(goes_to(rig, tcp(C2, 1000, VIP, (uint16_t)(80 + s), SYN)), idle);
            pcn_flows_clear(&rig->lbrp.flows);
        }
    }
}

static void test_maglev(void)
{
    FOR_BOTH(1024)
    {
        struct lbrp_end ends[10];
        uint32_t before[300], moved = 0;

        ends_make(ends, 4, 1, 10);
        service_set(rig, service_like(VIP, 80, IPPROTO_UDP, LBRP_MAGLEV), ends, 10);
        for (uint16_t i = 0; i < 300; i++)
            before[i] = goes_to(rig, udp(C, i + 1000, VIP, 80));
        /* As another node does, which has them in another order, and knows no sessions. */
        pcn_flows_clear(&rig->lbrp.flows);
        ends[0] = ends[9];
        ends_make(&ends[9], 4, 1, 1);
        service_set(rig, service_like(VIP, 80, IPPROTO_UDP, LBRP_MAGLEV), ends, 10);
        for (uint16_t i = 0; i < 300; i++)
            PCN_CHECK_EQ(goes_to(rig, udp(C, i + 1000, VIP, 80)), before[i]);
        /* Sessions stay, new ones stay mostly: backend 1 goes. */
        pcn_flows_clear(&rig->lbrp.flows);
        service_set(rig, service_like(VIP, 80, IPPROTO_UDP, LBRP_MAGLEV), ends, 9);
        for (uint16_t i = 0; i < 300; i++)
            moved += goes_to(rig, udp(C, i + 1000, VIP, 80)) != before[i] && before[i] != 1;
        PCN_CHECK(moved < 30);
    }
}

static void test_affinity(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_group like = service_like(VIP, 80, IPPROTO_TCP, LBRP_ROUND_ROBIN);
        struct lbrp_end ends[4];
        uint32_t first, other;

        ends_make(ends, 4, 1, 4);
        like.affinity = 100;
        service_set(rig, like, ends, 4);
        first = goes_to(rig, tcp(C, 1000, VIP, 80, SYN));
        other = goes_to(rig, tcp(C2, 1000, VIP, 80, SYN));
        PCN_CHECK(first != other);
        for (uint16_t i = 0; i < 10; i++) {
            PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(2000 + i), VIP, 80, SYN)), first);
            PCN_CHECK_EQ(goes_to(rig, tcp(C2, (uint16_t)(2000 + i), VIP, 80, SYN)), other);
        }
        PCN_CHECK_EQ(n_places(rig), 2 * 22 + 2);
        check_numbers(rig, 22 + 2);
        /* Drained, it gets no new sessions, and keeps those that it has. */
        ends[first - 1].weight = 0;
        service_set(rig, like, ends, 4);
        other = goes_to(rig, tcp(C, 3000, VIP, 80, SYN));
        PCN_CHECK(other != first);
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 3001, VIP, 80, SYN)), other);
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 2000, VIP, 80, SYN)), first);
    }
}

static void test_affinity_ends(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_group like = service_like(VIP, 80, IPPROTO_TCP, LBRP_ROUND_ROBIN);
        struct lbrp_end ends[2];
        uint32_t first;

        ends_make(ends, 4, 1, 2);
        like.affinity = 50;
        service_set(rig, like, ends, 2);
        first = goes_to(rig, tcp(C, 1000, VIP, 80, SYN));
        age(rig, 40);
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1001, VIP, 80, SYN)), first);
        age(rig, 40);
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1002, VIP, 80, SYN)), first);
        age(rig, 60);
        PCN_CHECK(goes_to(rig, tcp(C, 1003, VIP, 80, SYN)) != first);
    }
}

/* ---- changes ---- */

static void test_drain(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_end ends[3];
        struct lbrp_group like = service_like(VIP, 80, IPPROTO_TCP, LBRP_MAGLEV);
        uint32_t to[30];

        ends_make(ends, 4, 1, 3);
        service_set(rig, like, ends, 2);
        for (uint16_t i = 0; i < 30; i++)
            to[i] = goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN));
        /* One comes, one is drained. */
        ends[0].weight = 0;
        service_set(rig, like, ends, 3);
        for (uint16_t i = 0; i < 30; i++)
            PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN)), to[i]);
        for (uint16_t i = 0; i < 30; i++)
            PCN_CHECK(goes_to(rig, tcp(C2, (uint16_t)(1000 + i), VIP, 80, SYN)) != 1);
        /* One goes: its sessions are over, those of others are not. */
        service_set(rig, like, &ends[1], 2);
        for (uint16_t i = 0; i < 30; i++) {
            const struct pcn_frame ack = tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN);

            if (to[i] == 2)
                PCN_CHECK_EQ(goes_to(rig, ack), 2);
            else
                PCN_CHECK(goes_to(rig, ack) != 1);
        }
    }
}

/* What its health check would say. */
static void backend_takes(struct rig *rig, struct lbrp_group *service, uint32_t end, bool takes)
{
    service->ends[end].health.out = !takes;
    PCN_REQUIRE_OK(lbrp_spread(service, rig->lbrp.tables.sizes.size));
    lbrp_tables_publish(&rig->lbrp.tables, service, service, &rig->lbrp.settings);
    pcn_freep(&service->table);
}

static void test_out_of_service(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_end ends[2];
        struct lbrp_group *service;
        uint32_t first;

        ends_make(ends, 4, 1, 2);
        service = service_set(rig, service_like(VIP, 80, IPPROTO_TCP, LBRP_MAGLEV), ends, 2);
        first = goes_to(rig, tcp(C, 1000, VIP, 80, SYN));
        PCN_REQUIRE(first == 1 || first == 2);
        backend_takes(rig, service, first - 1, false);
        for (uint16_t i = 0; i < 20; i++)
            PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(2000 + i), VIP, 80, SYN)), 3 - first);
        /* Its session goes on. */
        becomes(rig, BACK, tcp(first == 1 ? B1 : B2, 8080, C, 1000, SYN | ACK), FRONT,
                tcp(VIP, 80, C, 1000, SYN | ACK));
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1000, VIP, 80, ACK)), first);
        backend_takes(rig, service, 2 - first, false);
        PCN_CHECK_EQ(give(rig, FRONT, &(struct pcn_frame[]){tcp(C, 3000, VIP, 80, SYN)}[0]), LBRP_DROP_NO_BACKEND);
        backend_takes(rig, service, first - 1, true);
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 3000, VIP, 80, SYN)), first);
    }
}

static void test_flood(void)
{
    FOR_BOTH(8)
    {
        struct lbrp_group *service = one(rig, VIP, 80, IPPROTO_TCP);

        for (uint16_t i = 0; i < 8; i++) {
            PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN)), 1);
            becomes(rig, BACK, tcp(B1, 8080, C, (uint16_t)(1000 + i), SYN | ACK), FRONT,
                    tcp(VIP, 80, C, (uint16_t)(1000 + i), SYN | ACK));
            PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, ACK)), 1);
        }
        for (uint16_t i = 0; i < 1000; i++)
            (void)give(rig, FRONT, &(struct pcn_frame[]){tcp(C2, (uint16_t)(1000 + i), VIP, 80, SYN)}[0]);
        for (uint16_t i = 0; i < 8; i++) {
            PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(1000 + i), VIP, 80, ACK)), 1);
            becomes(rig, BACK, tcp(B1, 8080, C, (uint16_t)(1000 + i), ACK), FRONT,
                    tcp(VIP, 80, C, (uint16_t)(1000 + i), ACK));
        }
        PCN_CHECK_EQ(2 * tally(rig, service, 0).active, n_places(rig));
        check_numbers(rig, (uint32_t)tally(rig, service, 0).active);
    }
}

static void test_counting(void)
{
    FOR_BOTH(8)
    {
        uint64_t packets[2] = {};

        one(rig, VIP, 80, IPPROTO_TCP);
        rig->lbrp.flows.settings->counting = 1;
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1000, VIP, 80, SYN)), 1);
        for (int i = 0; i < 3; i++)
            becomes(rig, BACK, tcp(B1, 8080, C, 1000, SYN | ACK), FRONT, tcp(VIP, 80, C, 1000, SYN | ACK));
        for (uint32_t slot = 0; slot < rig->lbrp.flows.n_slots; slot++) {
            struct pcn_flow flow;

            if (!pcn_flows_get(&rig->lbrp.flows, slot, pcn_clock_jiffies(), &flow) ||
                flow.key.words[4] >> PCN_CT_ZONE_SHIFT != LBRP_CLIENT)
                continue;
            packets[0] += rig->lbrp.flows.traffic[slot].packets[0];
            packets[1] += rig->lbrp.flows.traffic[slot].packets[1];
        }
        PCN_CHECK(packets[0] == 1 && packets[1] == 3);
    }
}

static void test_reject(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_end end;
        const struct pcn_frame syn = tcp(C, 1000, VIP, 80, SYN), ack = tcp(C, 1001, VIP, 80, ACK);
        const struct pcn_frame data = udp(C, 1000, VIP, 53);

        ends_make(&end, 4, 1, 1);
        service_set(rig, service_like(VIP, 80, IPPROTO_TCP, LBRP_MAGLEV), &end, 0);
        service_set(rig, service_like(VIP, 53, IPPROTO_UDP, LBRP_ROUND_ROBIN), &end, 0);
        PCN_CHECK_EQ(give(rig, FRONT, &syn), LBRP_DROP_NO_BACKEND);
        PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
        PCN_CHECK_EQ(rig->fast.records->record.reason, LBRP_SLOW_REJECT);
        PCN_CHECK_EQ(rig->fast.records->record.words[0], 20);
        PCN_CHECK_EQ(rig->fast.records->record.words[1], IPPROTO_TCP);
        PCN_CHECK_EQ(give(rig, FRONT, &data), LBRP_DROP_NO_BACKEND);
        PCN_CHECK_EQ(give(rig, FRONT, &ack), LBRP_DROP_NO_SESSION);
        PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
        PCN_CHECK_EQ(n_places(rig), 0);
        service_set(rig, service_like(VIP, 53, IPPROTO_UDP, LBRP_LEAST_CONNECTIONS), &end, 1);
        PCN_CHECK_EQ(goes_to(rig, data), 1);
    }
}

/* What the fast path goes by for each packet, in both words of a session: its backend's epoch, however the state changes. */
static void test_epoch(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_group *service = one(rig, VIP, 53, IPPROTO_UDP);
        struct pcn_frame first = udp(C, 5000, VIP, 53), answer = udp(B1, 8080, C, 5000);
        const struct pcn_frame *const frames[] = {&first, &answer, &first};
        struct lbrp_target *backend = &rig->lbrp.tables.backends[service->ends[0].number];

        backend->epoch = 0xa5;
        for (size_t i = 0; i < PCN_ARRAY_SIZE(frames); i++) {
            unsigned int n = 0;

            PCN_CHECK_EQ(give(rig, frames[i] == &answer ? BACK : FRONT, frames[i]), 0);
            for (uint32_t slot = 0; slot < rig->lbrp.flows.n_slots; slot++) {
                uint64_t word = rig->lbrp.flows.entries[slot].word;

                n += word && (word >> PCN_CT_OWN_SHIFT & PCN_CT_OWN_BITS) == 0xa5 &&
                     pcn_ct_flow_of(word) == PCN_CT_UDP_NEW + i;
            }
            PCN_CHECK_EQ(n, 2);
        }
    }
}

static void test_full(void)
{
    FOR_BOTH(2)
    {
        uint32_t full = 0, n = 0, refused = 0;
        struct lbrp_group *service = one(rig, VIP, 80, IPPROTO_TCP);

        /* Those that are not answered make room, and are not counted any more. */
        for (uint16_t i = 0; i < 40; i++) {
            const struct pcn_frame syn = tcp(C, (uint16_t)(1000 + i), VIP, 80, SYN);

            if (give(rig, FRONT, &syn) == LBRP_DROP_TABLE_FULL)
                full++;
        }
        PCN_CHECK(n_places(rig) <= 16);
        PCN_CHECK(tally(rig, service, 0).active <= 8);
        for (uint16_t i = 0; i < 40; i++) {
            const struct pcn_frame answer = tcp(B1, 8080, C, (uint16_t)(1000 + i), SYN | ACK);

            n += give(rig, BACK, &answer) == 0 && rig->run.packet.source.v4 == inet_addr(VIP);
        }
        PCN_CHECK_EQ(n, tally(rig, service, 0).active);
        PCN_CHECK_EQ(2 * n, n_places(rig));
        check_numbers(rig, n);
        /* Once all are established none makes room: what is refused counts nowhere. */
        for (uint16_t i = 0; i < 40; i++) {
            const struct pcn_frame ack = tcp(C, (uint16_t)(1000 + i), VIP, 80, ACK);

            (void)give(rig, FRONT, &ack);
        }
        for (uint16_t i = 0; i < 40; i++) {
            const struct pcn_frame syn = tcp(C2, (uint16_t)(1000 + i), VIP, 80, SYN);
            struct lbrp_tally before = tally(rig, service, 0), after;

            refused += give(rig, FRONT, &syn) == LBRP_DROP_TABLE_FULL;
            after = tally(rig, service, 0);
            PCN_CHECK_EQ(after.active - before.active, !rig->run.packet.reason);
            PCN_CHECK_EQ(after.sessions - before.sessions, !rig->run.packet.reason);
        }
        PCN_CHECK(refused > 0);
        age(rig, 200);
        for (uint16_t i = 0; i < 4; i++)
            PCN_CHECK_EQ(goes_to(rig, tcp(C2, (uint16_t)(1000 + i), VIP, 80, SYN)), 1);
    }
}

/* ---- sources ---- */

static void test_range(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_data *data = rig->lbrp.tables.data;

        one(rig, VIP, 80, IPPROTO_TCP);
        data->range = inet_addr("198.51.100.0");
        data->range_mask = inet_addr("255.255.255.0");
        data->new_range = inet_addr("172.16.0.0");
        data->new_mask = inet_addr("255.255.0.0");
        data->ranged = 1;
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, SYN), BACK, tcp("172.16.100.2", 1000, B1, 8080, SYN));
        becomes(rig, BACK, tcp(B1, 8080, "172.16.100.2", 1000, SYN | ACK), FRONT, tcp(VIP, 80, C, 1000, SYN | ACK));
        becomes(rig, FRONT, tcp("10.9.9.9", 1000, VIP, 80, SYN), BACK, tcp("10.9.9.9", 1000, B1, 8080, SYN));
    }
}

static void test_pool(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_group like = service_like(VIP, 80, IPPROTO_TCP, LBRP_MAGLEV);
        struct lbrp_end end;
        uint16_t port;

        ends_make(&end, 4, 1, 1);
        like.snat = true;
        service_set(rig, like, &end, 1);
        PCN_CHECK_EQ(give(rig, FRONT, &(struct pcn_frame[]){tcp(C, 5000, VIP, 80, SYN)}[0]), LBRP_DROP_NO_SOURCE);
        pool_add(rig, POOL);
        becomes(rig, FRONT, tcp(C, 5001, VIP, 80, SYN), BACK, tcp(POOL, 5001, B1, 8080, SYN));
        becomes(rig, BACK, tcp(B1, 8080, POOL, 5001, SYN | ACK), FRONT, tcp(VIP, 80, C, 5001, SYN | ACK));
        /* Another client with this port gets another one. */
        PCN_CHECK_EQ(goes_to(rig, tcp(C2, 5001, VIP, 80, SYN)), 1);
        port = pcn_frame_source_port(&rig->run.frame);
        PCN_CHECK(port != 5001 && port >= 1024);
        PCN_CHECK_FRAME(&rig->run.frame, &(struct pcn_frame[]){tcp(POOL, port, B1, 8080, SYN)}[0]);
        becomes(rig, BACK, tcp(B1, 8080, POOL, port, SYN | ACK), FRONT, tcp(VIP, 80, C2, 5001, SYN | ACK));
        becomes(rig, FRONT, tcp(C2, 5001, VIP, 80, ACK), BACK, tcp(POOL, port, B1, 8080, ACK));
        /* Ports that run out. */
        rig->lbrp.tables.data->port_first = 20000;
        rig->lbrp.tables.data->port_last = 20003;
        for (uint16_t i = 0; i < 4; i++)
            PCN_CHECK_EQ(goes_to(rig, tcp(C, (uint16_t)(6000 + i), VIP, 80, SYN)), 1);
        PCN_CHECK_EQ(give(rig, FRONT, &(struct pcn_frame[]){tcp(C, 6004, VIP, 80, SYN)}[0]), LBRP_DROP_NO_SOURCE);
        PCN_CHECK_EQ(n_places(rig), 2 * 6);
    }
}

static void test_pool_v6(void)
{
    FOR_BOTH(256)
    {
        struct lbrp_group like = service_like(VIP6, 80, IPPROTO_TCP, LBRP_MAGLEV);
        struct lbrp_group ping = service_like(VIP6, 0, IPPROTO_ICMP, LBRP_MAGLEV);
        struct lbrp_end end;

        ends_make(&end, 6, 1, 1);
        like.snat = ping.snat = true;
        service_set(rig, like, &end, 1);
        service_set(rig, ping, &end, 1);
        pool_add(rig, "fd00::100");
        becomes(rig, FRONT, tcp(C6, 5001, VIP6, 80, SYN), BACK, tcp("fd00::100", 5001, "fd00::1", 8080, SYN));
        becomes(rig, BACK, tcp("fd00::1", 8080, "fd00::100", 5001, ACK), FRONT, tcp(VIP6, 80, C6, 5001, ACK));
        becomes(rig, FRONT, echo(C6, VIP6, false, 5000), BACK, echo("fd00::100", "fd00::1", false, 5000));
        becomes(rig, BACK, echo("fd00::1", "fd00::100", true, 5000), FRONT, echo(VIP6, C6, true, 5000));
    }
}

static void test_two_vips(void)
{
    FOR_BOTH(64)
    {
        uint16_t port;

        one(rig, VIP, 80, IPPROTO_TCP);
        one(rig, "203.0.113.2", 80, IPPROTO_TCP);
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, SYN), BACK, tcp(C, 1000, B1, 8080, SYN));
        /* To the backend it would be the same: it gets another port. */
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1000, "203.0.113.2", 80, SYN)), 1);
        port = pcn_frame_source_port(&rig->run.frame);
        PCN_CHECK(port != 1000);
        becomes(rig, BACK, tcp(B1, 8080, C, port, SYN | ACK), FRONT, tcp("203.0.113.2", 80, C, 1000, SYN | ACK));
        becomes(rig, BACK, tcp(B1, 8080, C, 1000, SYN | ACK), FRONT, tcp(VIP, 80, C, 1000, SYN | ACK));
    }
}

static const struct pcn_test tests[] = {
    {"turns: each backend has those of its weight", test_turns},
    {"16,384 services have their names, and leave them", test_many},
    {"TCP: both directions, from SYN to the last ACK", test_tcp},
    {"UDP: with a checksum, and without", test_udp},
    {"ICMP and ICMPv6 echo", test_echo},
    {"IPv6", test_v6},
    {"the service of the port, of ALL, of all ports", test_wildcards},
    {"round robin: in turns, by weight", test_round_robin},
    {"least connections: who has the fewest for its weight", test_least},
    {"least connections: of many", test_least_of_many},
    {"Maglev: nodes agree, and few sessions move", test_maglev},
    {"affinity: a client has one backend, until that is drained", test_affinity},
    {"affinity ends when the client was silent for so long", test_affinity_ends},
    {"drain, add, remove: sessions of others stay", test_drain},
    {"without a backend, or a session, the client is told", test_reject},
    {"out of service: the others have its share", test_out_of_service},
    {"a session keeps its backend's epoch", test_epoch},
    {"a full table", test_full},
    {"a flood of SYNs pushes no established session out", test_flood},
    {"packets of a session are counted where it is shown", test_counting},
    {"sources of a network, host by host", test_range},
    {"sources of the pool: no port twice", test_pool},
    {"sources of the pool: IPv6, and echo", test_pool_v6},
    {"one client port, two VIPs, one backend", test_two_vips},
    {"ICMP errors, both ways, IPv4 and IPv6", test_errors},
    {"ICMP errors about packets with extension headers, and with padding behind them", test_errors_odd},
    {"ICMP errors where the client is not seen", test_errors_pool},
    {"later fragments follow the first one", test_fragments},
    {"ARP, echo and MAC addresses", test_macs},
    {"neighbour solicitations", test_solicited},
    {"MULTI: each client has its port", test_multi},
    {"a client begins anew, again and again", test_anew},
    {"what contradicts itself is dropped", test_bad},
    {"two CPUs that open one session at once make one", test_race, pcn_skip_unless_race},
    {"both sides of a session may end it at once", test_race_last, pcn_skip_unless_race},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("lbrp", tests, .skip = pcn_skip_unless_root);
}
