/* SPDX-License-Identifier: Apache-2.0 */
/* Maglev tables; the fast path at TC and at XDP. What is expected is a frame of its own, with checksums computed anew. */
#include "test_lbdsr_rig.h"
#include <arpa/inet.h>
#include <pcn/maglev.h>
#include <stdio.h>

/* ---- Maglev ---- */

static void test_maglev_load(void)
{
    struct lbdsr_end ends[100];
    _cleanup_free_ uint16_t *table = NULL;
    uint32_t counted[100] = {}, sum = 0;

    ends_make(ends, 1, 100);
    for (uint32_t i = 0; i < 100; i++)
        sum += ends[i].weight = 1 + i % 10;
    PCN_REQUIRE_OK(lbdsr_maglev(ends, 100, TABLE_SIZE, &table));
    for (uint32_t i = 0; i < TABLE_SIZE; i++) {
        PCN_REQUIRE(table[i] >= 1 && table[i] <= 100);
        counted[table[i] - 1]++;
    }
    for (uint32_t i = 0; i < 100; i++) {
        double wanted = (double)TABLE_SIZE * ends[i].weight / sum;

        PCN_CHECK_EQ(counted[i], ends[i].places);
        PCN_CHECK(counted[i] > wanted * 0.95 && counted[i] < wanted * 1.05);
    }
}

static void test_maglev_far_apart(void)
{
    static struct lbdsr_end ends[3001];
    _cleanup_free_ uint16_t *table = NULL;
    double wanted = (double)TABLE_SIZE * 65535 / (65535 + 3000);

    ends_make(ends, 1, 3001);
    ends[7].weight = 65535;
    PCN_REQUIRE_OK(lbdsr_maglev(ends, 3001, TABLE_SIZE, &table));
    PCN_CHECK(ends[7].places > wanted * 0.99 && ends[7].places < wanted * 1.01);
    for (uint32_t i = 0; i < 3001; i++)
        PCN_CHECK(i == 7 || ends[i].places <= 2);
}

static void test_maglev_disruption(void)
{
    struct lbdsr_end ends[100], fewer[99];
    _cleanup_free_ uint16_t *before = NULL, *after = NULL;
    uint32_t others = 0, moved = 0;

    ends_make(ends, 1, 100);
    memcpy(fewer, ends, sizeof(fewer));
    fewer[41] = ends[99]; /* 41 is gone */
    PCN_REQUIRE_OK(lbdsr_maglev(ends, 100, TABLE_SIZE, &before));
    PCN_REQUIRE_OK(lbdsr_maglev(fewer, 99, TABLE_SIZE, &after));
    for (uint32_t i = 0; i < TABLE_SIZE; i++) {
        uint32_t was = ends[before[i] - 1].address.v4;

        if (before[i] - 1 == 41)
            continue;
        others++;
        moved += fewer[after[i] - 1].address.v4 != was;
    }
    PCN_CHECK(moved * 50 <= others);
    printf("    of %u places of other backends %u moved\n", others, moved);
}

static void test_maglev_order(void)
{
    struct lbdsr_end ends[50], turned[50];
    _cleanup_free_ uint16_t *one = NULL, *other = NULL;
    uint32_t differ = 0;

    ends_make(ends, 1, 50);
    for (uint32_t i = 0; i < 50; i++)
        ends[i].weight = i % 7;
    for (uint32_t i = 0; i < 50; i++)
        turned[i] = ends[(i * 17 + 5) % 50];
    PCN_REQUIRE_OK(lbdsr_maglev(ends, 50, TABLE_SIZE, &one));
    PCN_REQUIRE_OK(lbdsr_maglev(turned, 50, TABLE_SIZE, &other));
    for (uint32_t i = 0; i < TABLE_SIZE; i++)
        differ += ends[one[i] - 1].address.v4 != turned[other[i] - 1].address.v4;
    PCN_CHECK_EQ(differ, 0);
    for (uint32_t i = 0; i < 50; i++)
        PCN_CHECK_EQ(!ends[i].weight, !ends[i].places);
}

static void test_maglev_none(void)
{
    struct lbdsr_end end;
    _cleanup_free_ uint16_t *table = NULL;

    PCN_CHECK(pcn_maglev_is_prime(65537) && pcn_maglev_is_prime(251) && pcn_maglev_is_prime(16381) &&
              pcn_maglev_is_prime(655373));
    PCN_CHECK(!pcn_maglev_is_prime(65536) && !pcn_maglev_is_prime(1) && !pcn_maglev_is_prime(253));
    PCN_CHECK_OK(lbdsr_maglev(&end, 0, TABLE_SIZE, &table));
    PCN_CHECK(!table);
    ends_make(&end, 1, 1);
    end.weight = 0;
    PCN_CHECK_OK(lbdsr_maglev(&end, 1, TABLE_SIZE, &table));
    PCN_CHECK(!table);
}

/* ---- services ---- */

static void test_l2(void)
{
    FOR_BOTH(1024)
    {
        struct pcn_frame frame = tcp(CLIENT, 1000, SYN), expected = frame;
        struct lbdsr_end ends[3];
        struct lbdsr_count count;
        uint32_t to;

        ends_make(ends, 1, 3);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 3);
        to = goes_to(rig, &frame);
        PCN_REQUIRE(to >= 1 && to <= 3);
        memcpy(expected.bytes, ends[to - 1].mac, ETH_ALEN);
        PCN_CHECK_FRAME(&rig->run.frame, &expected);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 1000, ACK)}[0]), to);
        count = lbdsr_tables_count(&rig->tables, rig->groups[0]->ends[to - 1].number);
        PCN_CHECK_EQ(count.packets, 2);
        PCN_CHECK_EQ(count.bytes, 2 * frame.length);
        PCN_CHECK_EQ(tally(rig).misses, 1);
        PCN_CHECK_EQ(tally(rig).hits, 1);
        PCN_CHECK_EQ(tally(rig).created, 1);
    }
}

static void test_others(void)
{
    FOR_BOTH(1024)
    {
        const struct pcn_frame frames[] = {pcn_frame_tcp(CLIENT, VIP, 1, 81, SYN), pcn_frame_udp(CLIENT, VIP, 1, 80, 8),
                                           pcn_frame_tcp(CLIENT, "203.0.113.2", 1, 80, SYN),
                                           pcn_frame_arp_request("02:00:00:00:00:01", CLIENT, "203.0.113.2")};
        struct pcn_frame frame = tcp(VIP, 80, ACK);
        struct lbdsr_end ends[1];

        ends_make(ends, 1, 1);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 1);
        for (size_t i = 0; i < PCN_ARRAY_SIZE(frames); i++) {
            PCN_CHECK_EQ(give(rig, &frames[i]), 0);
            PCN_CHECK_EQ(rig->run.port, BACK);
            PCN_CHECK_FRAME(&rig->run.frame, &frames[i]);
        }
        PCN_CHECK_OK(pcn_fast_run(&rig->fast, PCN_INGRESS, BACK, &frame, &rig->run));
        PCN_CHECK_EQ(rig->run.port, FRONT);
        PCN_CHECK_FRAME(&rig->run.frame, &frame);
        rig->tables.data->ports[LBDSR_BACKEND] = LBDSR_NO_PORT;
        PCN_CHECK_EQ(give(rig, &frame), LBDSR_DROP_NO_OTHER_PORT);
    }
}

static void test_wildcards(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[3];
        size_t exact;

        ends_make(ends, 1, 3);
        exact = service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, &ends[0], 1);
        service_set(rig, VIP, 0, IPPROTO_TCP, LBDSR_L2DSR, &ends[1], 1);
        service_set(rig, VIP, 0, LBDSR_ALL, LBDSR_L2DSR, &ends[2], 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 1, SYN)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){pcn_frame_tcp(CLIENT, VIP, 1, 81, SYN)}[0]), 2);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){udp(CLIENT, 1)}[0]), 3);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){pcn_frame_echo(CLIENT, VIP, 1, 1)}[0]), 3);
        service_withdraw(rig, exact);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 1, ACK)}[0]), 2);
    }
}

/* As many services as there may be, each with an address of its own: all have their place. */
static void test_many(void)
{
    struct lbdsr_tables tables = {.sizes = lbdsr_sizes_for(LBDSR_SERVICES_MAX, LBDSR_SERVICES_MAX, 251, 1024, 1)};
    struct lbdsr_group *groups = calloc(LBDSR_SERVICES_MAX, sizeof(*groups));
    const struct lbdsr_settings settings = {};
    uint32_t n_lost = 0;

    tables.keys = calloc(tables.sizes.key_mask + 1, sizeof(*tables.keys));
    tables.vips = calloc(tables.sizes.n_vips, sizeof(*tables.vips));
    tables.places = calloc(tables.sizes.n_places, sizeof(*tables.places));
    tables.backends = calloc(tables.sizes.n_backends, sizeof(*tables.backends));
    tables.counts = calloc(tables.sizes.n_counts, sizeof(*tables.counts));
    tables.data = calloc(1, sizeof(*tables.data));
    PCN_CHECK_OK(lbdsr_tables_open(&tables, 251));
    for (uint32_t i = 0; i < LBDSR_SERVICES_MAX; i++) {
        groups[i].key =
            (struct lbdsr_key){.address.v4 = htonl(0xcb000000 + i), .port = 80, .protocol = IPPROTO_TCP, .version = 4};
        lbdsr_tables_publish(&tables, &groups[i], NULL, &settings);
        n_lost += !groups[i].vip;
    }
    PCN_CHECK_EQ(n_lost, 0);
    for (uint32_t i = 0; i < LBDSR_SERVICES_MAX; i++)
        lbdsr_tables_withdraw(&tables, &groups[i]);
    for (uint32_t i = 0; i <= tables.sizes.key_mask; i++)
        for (int way = 0; way < LBDSR_KEY_WAYS; way++)
            n_lost += tables.keys[i].words[way] != 0;
    PCN_CHECK_EQ(n_lost, 0);
    lbdsr_tables_close(&tables);
    free(tables.keys);
    free(tables.vips);
    free(tables.places);
    free(tables.backends);
    free(tables.counts);
    free(tables.data);
    free(groups);
}

/* Beside a map of all places. */
static void test_pieces(void)
{
    enum { USUAL = 101, TABLES = 64, PLACES = 1 + 2 * TABLES * USUAL };
    static const uint32_t sizes[] = {USUAL, 7, 13, 53, 211};
    struct {
        uint32_t first, size;
    } held[TABLES] = {};
    bool used[PLACES] = {true};
    struct lbdsr_pieces pieces;
    uint32_t refused = 0;

    PCN_REQUIRE_OK(lbdsr_pieces_open(&pieces, PLACES, TABLES, USUAL));
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = (uint32_t)random() % TABLES, size = sizes[random() % PCN_ARRAY_SIZE(sizes)], wrong = 0;

        if (held[i].first) {
            lbdsr_pieces_give(&pieces, held[i].first);
            memset(used + held[i].first, false, 2 * held[i].size);
            held[i].first = 0;
            continue;
        }
        held[i].first = lbdsr_pieces_take(&pieces, size);
        held[i].size = size;
        refused += !held[i].first;
        for (uint32_t place = held[i].first; held[i].first && place < held[i].first + 2 * size; place++) {
            wrong += place >= PLACES || used[place];
            used[place] = true;
        }
        if (!PCN_CHECK_EQ(wrong, 0))
            break;
    }
    PCN_CHECK(refused < 2000);
    /* Once the others are gone, those of the usual size all fit, wherever some of them are. */
    for (uint32_t i = 0; i < TABLES; i++) {
        if (!held[i].first || held[i].size == USUAL)
            continue;
        lbdsr_pieces_give(&pieces, held[i].first);
        held[i].first = 0;
    }
    for (uint32_t i = 0; i < TABLES; i++)
        if (!held[i].first)
            PCN_CHECK(lbdsr_pieces_take(&pieces, USUAL) != 0);
    PCN_CHECK_EQ(lbdsr_pieces_take(&pieces, 7), 0);
    lbdsr_pieces_done(&pieces);
}

/* Flows of two services go where the table of each says, also once both have changed. */
static void test_sizes(void)
{
    static const char *const vips[] = {VIP, "198.51.100.77"};
    static const uint32_t sizes[] = {4099, TABLE_SIZE};

    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[2][30];
        uint16_t *tables[2];

        for (uint32_t round = 0; round < 4; round++) {
            for (uint32_t i = 0; i < 2; i++) {
                ends_make(ends[i], 1 + 100 * i + round, 30);
                rig->leaves.table_size = sizes[i];
                service_set(rig, vips[i], 53, IPPROTO_UDP, LBDSR_L2DSR, ends[i], 30);
                PCN_REQUIRE_OK(lbdsr_maglev(ends[i], 30, sizes[i], &tables[i]));
            }
            for (uint16_t port = 1000; port < 1100; port++) {
                for (uint32_t i = 0; i < 2; i++) {
                    uint32_t ports = (uint32_t)htons(53) << 16 | htons((uint16_t)(port + 100 * round));
                    uint64_t hash = lbdsr_flow_hash(inet_addr(CLIENT), inet_addr(vips[i]), ports, IPPROTO_UDP, 0);
                    const struct pcn_frame frame =
                        pcn_frame_udp(CLIENT, vips[i], (uint16_t)(port + 100 * round), 53, 20);

                    PCN_CHECK_EQ(goes_to(rig, &frame), tables[i][lbdsr_place(hash, sizes[i])] + 100 * i + round);
                }
            }
            for (uint32_t i = 0; i < 2; i++)
                free(tables[i]);
        }
    }
}

static void test_address(void)
{
    FOR_BOTH(1024)
    {
        const struct pcn_frame arp = pcn_frame_arp_request("02:00:00:00:00:01", CLIENT, VIP),
                               answer = pcn_frame_arp_reply(OUR_MAC, VIP, "02:00:00:00:00:01", CLIENT);
        struct pcn_frame echo = pcn_frame_echo(CLIENT, VIP, 7, 1), reply;
        struct lbdsr_end ends[1];
        size_t service;

        ends_make(ends, 1, 1);
        service = service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 1);
        PCN_CHECK_EQ(give(rig, &arp), 0);
        PCN_CHECK_EQ(rig->run.port, FRONT);
        PCN_CHECK_BYTES(rig->run.frame.bytes, 42, answer.bytes, 42);
        reply = pcn_frame_make(&(struct pcn_frame_spec){.source = VIP,
                                                        .destination = CLIENT,
                                                        .source_mac = "02:00:00:00:00:02",
                                                        .destination_mac = "02:00:00:00:00:01",
                                                        .protocol = IPPROTO_ICMP,
                                                        .icmp_id = 7,
                                                        .icmp_sequence = 1,
                                                        .payload = echo.bytes + 42,
                                                        .payload_length = echo.length - 42});
        PCN_CHECK_EQ(give(rig, &echo), 0);
        PCN_CHECK_EQ(rig->run.port, FRONT);
        PCN_CHECK_FRAME(&rig->run.frame, &reply);
        service_withdraw(rig, service);
        PCN_CHECK_EQ(give(rig, &arp), 0);
        PCN_CHECK_EQ(rig->run.port, BACK);
    }
}

/* ---- connections ---- */

static void test_keeps(void)
{
    FOR_BOTH(4096)
    {
        struct lbdsr_end ends[20];
        uint32_t to[200];

        ends_make(ends, 1, 20);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        for (uint16_t i = 0; i < 200; i++) {
            const struct pcn_frame syn = tcp(CLIENT, (uint16_t)(1000 + i), SYN),
                                   ack = tcp(CLIENT, (uint16_t)(1000 + i), ACK);

            to[i] = goes_to(rig, &syn);
            PCN_CHECK_EQ(goes_to(rig, &ack), to[i]);
        }
        /* Twice as many, and the first ones drained. */
        for (int i = 0; i < 5; i++)
            ends[i].weight = 0;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 20);
        PCN_CHECK(rig->groups[0]->moved > TABLE_SIZE / 3);
        for (uint16_t i = 0; i < 200; i++) {
            const struct pcn_frame ack = tcp(CLIENT, (uint16_t)(1000 + i), ACK),
                                   other = tcp(CLIENT, (uint16_t)(5000 + i), SYN);

            PCN_CHECK_EQ(goes_to(rig, &ack), to[i]);
            PCN_CHECK(goes_to(rig, &other) > 5);
        }
        /* All drained: who has a backend keeps it. */
        for (int i = 0; i < 20; i++)
            ends[i].weight = 0;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 20);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 1000, ACK)}[0]), to[0]);
        PCN_CHECK_EQ(give(rig, &(struct pcn_frame[]){tcp(CLIENT, 9000, SYN)}[0]), LBDSR_DROP_NO_BACKEND);
    }
}

static void test_removed(void)
{
    FOR_BOTH(4096)
    {
        struct lbdsr_end ends[2];

        ends_make(ends, 1, 2);
        service_set(rig, VIP, 53, IPPROTO_UDP, LBDSR_L2DSR, ends, 1);
        for (uint16_t i = 0; i < 10; i++)
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){udp(CLIENT, i)}[0]), 1);
        service_set(rig, VIP, 53, IPPROTO_UDP, LBDSR_L2DSR, &ends[1], 1);
        for (uint16_t i = 0; i < 10; i++)
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){udp(CLIENT, i)}[0]), 2);
        PCN_CHECK_EQ(rig->groups[0]->spent.packets, 10);
    }
}

/* A SYN in the place of a flow that is over, or of one of which nothing but a SYN was seen, is a new flow. */
static void test_reopened(void)
{
    FOR_BOTH(4096)
    {
        struct lbdsr_end ends[2];

        ends_make(ends, 1, 2);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 1, SYN)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 2, SYN)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 2, ACK)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 3, SYN)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 3, ACK)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 3, FIN | ACK)}[0]), 1);
        ends[0].weight = 0;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 2);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 1, SYN)}[0]), 2);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 2, SYN)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 3, ACK)}[0]), 1);
        PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, 3, SYN)}[0]), 2);
    }
}

/* Moves all that is remembered to the next CPU's part. */
static void connections_move(struct rig *rig)
{
    const struct lbdsr_sizes *sizes = &rig->tables.sizes;
    size_t n = sizes->flow_mask + 1, all = sizes->n_flow_buckets;
    _cleanup_free_ struct lbdsr_flows *copy = calloc(all, sizeof(*copy));

    memcpy(copy, rig->tables.flows, all * sizeof(*copy));
    for (size_t i = 0; i < all; i++)
        rig->tables.flows[(i + n) % all] = copy[i];
}

static void test_other_cpu(void)
{
    FOR_BOTH(4096)
    {
        struct lbdsr_end ends[20];
        uint32_t to[50];

        if (rig->tables.sizes.n_cpus < 2)
            continue;
        ends_make(ends, 1, 20);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        for (uint16_t i = 0; i < 50; i++)
            to[i] = goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, (uint16_t)(1000 + i), SYN)}[0]);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, &ends[0], 20);
        connections_move(rig);
        for (uint16_t i = 0; i < 50; i++)
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, (uint16_t)(1000 + i), ACK)}[0]), to[i]);
        PCN_CHECK_EQ(tally(rig).created, 100);
    }
}

static void test_flood(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[20];
        uint32_t to[100], kept = 0;
        struct lbdsr_tally before;

        ends_make(ends, 1, 20);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        for (uint16_t i = 0; i < 100; i++) {
            const struct pcn_frame syn = tcp(CLIENT, (uint16_t)(1000 + i), SYN),
                                   ack = tcp(CLIENT, (uint16_t)(1000 + i), ACK);

            to[i] = goes_to(rig, &syn);
            PCN_CHECK_EQ(goes_to(rig, &ack), to[i]);
        }
        for (uint32_t i = 0; i < 20000; i++) {
            char client[16];
            struct pcn_frame frame;

            (void)snprintf(client, sizeof(client), "192.0.%u.%u", i >> 8 & 255, i & 255);
            frame = tcp(client, (uint16_t)i, i & 1 ? SYN : ACK);
            if (give(rig, &frame))
                break;
        }
        before = tally(rig);
        PCN_CHECK(before.replaced > 15000);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 20);
        for (uint16_t i = 0; i < 100; i++)
            kept += goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, (uint16_t)(1000 + i), ACK)}[0]) == to[i];
        PCN_CHECK_EQ(kept, 100);
        PCN_CHECK_EQ(tally(rig).hits - before.hits, 100);
    }
}

static void test_affinity(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[10];
        uint32_t seen = 0;

        ends_make(ends, 1, 10);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        rig->groups[0]->affinity = true;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        for (uint32_t host = 1; host <= 30; host++) {
            char client[16];
            uint32_t first;

            (void)snprintf(client, sizeof(client), "192.0.2.%u", host);
            first = goes_to(rig, &(struct pcn_frame[]){tcp(client, 1000, SYN)}[0]);
            seen |= 1u << first;
            for (uint16_t i = 1; i < 20; i++)
                PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){tcp(client, (uint16_t)(1000 + i), SYN)}[0]), first);
        }
        PCN_CHECK(__builtin_popcount(seen) > 5);
    }
}

/* ---- IPIP ---- */

/* What inner becomes on its way to backend 1. */
static struct pcn_frame encapsulated(const struct pcn_frame *inner, const char *source,
                                     const struct pcn_frame_spec *outer)
{
    struct pcn_frame_spec spec = *outer;

    spec.source = source;
    spec.destination = "10.0.0.1";
    spec.source_mac = OUR_MAC;
    spec.destination_mac = "02:00:00:00:00:01";
    spec.protocol = IPPROTO_IPIP;
    spec.payload = inner->bytes + pcn_frame_l3(inner);
    spec.payload_length = inner->length - pcn_frame_l3(inner);
    return pcn_frame_make(&spec);
}

static const char *outer_source(const struct rig *rig)
{
    struct in_addr address;
    static char text[16];

    memcpy(&address, rig->run.frame.bytes + pcn_frame_l3(&rig->run.frame) + 12, 4);
    PCN_CHECK_EQ(ntohl(address.s_addr) >> 16, 0x0ac8);
    (void)inet_ntop(AF_INET, &address, text, sizeof(text));
    return text;
}

static void test_ipip(void)
{
    FOR_BOTH(1024)
    {
        struct pcn_frame_spec inner = {.source = CLIENT,
                                       .destination = VIP,
                                       .protocol = IPPROTO_TCP,
                                       .source_port = 1000,
                                       .destination_port = 80,
                                       .tcp_flags = SYN,
                                       .tos = 0xb9,
                                       .id = 0x1234,
                                       .dont_fragment = true,
                                       .payload_length = 33};
        struct pcn_frame_spec outer = {.tos = 0xb9, .id = 0x1234, .dont_fragment = true};
        struct pcn_frame frame, expected;
        struct lbdsr_end ends[1];
        char first[16];

        ends_make(ends, 1, 1);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_IPIP, ends, 1);
        for (int may_fragment = 0; may_fragment < 2; may_fragment++) {
            inner.dont_fragment = outer.dont_fragment = !may_fragment;
            frame = pcn_frame_make(&inner);
            PCN_CHECK_EQ(give(rig, &frame), 0);
            PCN_CHECK_EQ(rig->run.port, BACK);
            expected = encapsulated(&frame, outer_source(rig), &outer);
            PCN_CHECK_FRAME(&rig->run.frame, &expected);
        }
        (void)snprintf(first, sizeof(first), "%s", outer_source(rig));
        inner.source_port = 1001;
        frame = pcn_frame_make(&inner);
        PCN_CHECK_EQ(give(rig, &frame), 0);
        PCN_CHECK(strcmp(outer_source(rig), first) != 0);
        PCN_CHECK_EQ(lbdsr_tables_count(&rig->tables, rig->groups[0]->ends[0].number).packets, 3);
    }
}

static void test_ipip_tagged(void)
{
    FOR_BOTH(1024)
    {
        struct pcn_frame_spec inner = {.source = CLIENT,
                                       .destination = VIP,
                                       .protocol = IPPROTO_TCP,
                                       .source_port = 1000,
                                       .destination_port = 80,
                                       .n_vlans = 1,
                                       .vlans = {{.tci = 0x6007}}};
        const struct pcn_frame frame = pcn_frame_make(&inner);
        struct pcn_frame expected;
        struct lbdsr_end ends[1];

        /* At TC the kernel has taken the tag off the frame before we see it. */
        if (!rig->fast.xdp)
            continue;
        ends_make(ends, 1, 1);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_IPIP, ends, 1);
        PCN_CHECK_EQ(give(rig, &frame), 0);
        expected =
            encapsulated(&frame, outer_source(rig), &(struct pcn_frame_spec){.n_vlans = 1, .vlans = {{.tci = 0x6007}}});
        PCN_CHECK_FRAME(&rig->run.frame, &expected);
    }
}

static void test_too_big(void)
{
    FOR_BOTH(1024)
    {
        struct pcn_frame_spec inner = {.source = CLIENT,
                                       .destination = VIP,
                                       .protocol = IPPROTO_TCP,
                                       .source_port = 1000,
                                       .destination_port = 80,
                                       .dont_fragment = true,
                                       .payload_length = MTU - 60};
        struct pcn_frame frame = pcn_frame_make(&inner);
        struct lbdsr_end ends[1];

        ends_make(ends, 1, 1);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_IPIP, ends, 1);
        PCN_CHECK_EQ(give(rig, &frame), 0);
        PCN_CHECK_EQ(rig->run.frame.length, 14 + MTU);
        inner.payload_length++;
        frame = pcn_frame_make(&inner);
        PCN_CHECK_OK(pcn_fast_run(&rig->fast, PCN_INGRESS, FRONT, &frame, &rig->run));
        PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
        PCN_CHECK_EQ(rig->fast.records->record.reason, LBDSR_SLOW_TOO_BIG);
        PCN_CHECK_EQ(rig->fast.records->record.words[0], MTU - 20);
        PCN_CHECK_FRAME(&rig->fast.records->frame, &frame);
        inner.dont_fragment = false;
        frame = pcn_frame_make(&inner);
        PCN_CHECK_EQ(give(rig, &frame), LBDSR_DROP_TOO_BIG);
    }
}

/* ---- what has no ports ---- */

static void test_icmp_error(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[20];
        uint32_t to[20];

        ends_make(ends, 1, 20);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        for (uint16_t i = 0; i < 20; i++)
            to[i] = goes_to(rig, &(struct pcn_frame[]){tcp(CLIENT, (uint16_t)(1000 + i), SYN)}[0]);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 20);
        for (uint16_t i = 0; i < 20; i++) {
            const struct pcn_frame sent = pcn_frame_tcp(VIP, CLIENT, 80, (uint16_t)(1000 + i), ACK);
            const struct pcn_frame error = pcn_frame_make(&(struct pcn_frame_spec){.source = "192.0.2.9",
                                                                                   .destination = VIP,
                                                                                   .protocol = IPPROTO_ICMP,
                                                                                   .icmp_type = 3,
                                                                                   .icmp_code = 4,
                                                                                   .icmp_word = 1400,
                                                                                   .payload = sent.bytes + 14,
                                                                                   .payload_length = 28});

            PCN_CHECK_EQ(goes_to(rig, &error), to[i]);
        }
    }
}

static void test_fragments(void)
{
    FOR_BOTH(1024)
    {
        check_fragments(rig, (struct pcn_frame_spec){.source = CLIENT,
                                                     .destination = VIP,
                                                     .protocol = IPPROTO_UDP,
                                                     .destination_port = 53,
                                                     .payload_length = 64});
    }
}

static void test_v6(void)
{
    FOR_BOTH(1024)
    {
        const char *vip = "2001:db8::1", *client = "2001:db8:1::2";
        const struct pcn_frame solicit = pcn_frame_nd_solicit("02:00:00:00:00:01", client, vip),
                               others = pcn_frame_nd_solicit("02:00:00:00:00:01", client, "2001:db8::2");
        struct lbdsr_end ends[10];
        uint32_t seen = 0;

        ends_make(ends, 1, 10);
        service_set(rig, vip, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        for (uint16_t i = 0; i < 40; i++) {
            const struct pcn_frame syn = pcn_frame_tcp(client, vip, (uint16_t)(1000 + i), 80, SYN),
                                   ack = pcn_frame_tcp(client, vip, (uint16_t)(1000 + i), 80, ACK);
            uint32_t to = goes_to(rig, &syn);

            PCN_CHECK_EQ(goes_to(rig, &ack), to);
            seen |= 1u << to;
        }
        PCN_CHECK(__builtin_popcount(seen) > 5);
        PCN_CHECK_EQ(tally(rig).hits, 40);
        PCN_CHECK_EQ(give(rig, &others), 0);
        PCN_CHECK_EQ(rig->run.port, BACK);
        PCN_CHECK_OK(pcn_fast_run(&rig->fast, PCN_INGRESS, FRONT, &solicit, &rig->run));
        PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
        PCN_CHECK_EQ(rig->fast.records->record.reason, LBDSR_SLOW_SOLICITED);
    }
}

static void test_bad(void)
{
    FOR_BOTH(1024)
    {
        const uint32_t faults[] = {PCN_FAULT_IHL_SHORT, PCN_FAULT_LENGTH_SHORT, PCN_FAULT_LENGTH_LONG,
                                   PCN_FAULT_UDP_LENGTH};
        struct lbdsr_end ends[1];

        ends_make(ends, 1, 1);
        service_set(rig, VIP, 53, IPPROTO_UDP, LBDSR_L2DSR, ends, 1);
        for (size_t i = 0; i < PCN_ARRAY_SIZE(faults); i++) {
            const struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){.source = CLIENT,
                                                                                   .destination = VIP,
                                                                                   .protocol = IPPROTO_UDP,
                                                                                   .source_port = 1,
                                                                                   .destination_port = 53,
                                                                                   .payload_length = 20,
                                                                                   .faults = faults[i]});

            PCN_CHECK_EQ(give(rig, &frame), PCN_DROP_MALFORMED);
        }
        PCN_CHECK_EQ(tally(rig).misses, 0);
    }
}

static const struct pcn_test tests[] = {
    {"Maglev: each backend has the places of its weight", test_maglev_load},
    {"Maglev: so do those of weight 1 beside one of 65,535", test_maglev_far_apart},
    {"Maglev: without one of 100 backends, 2 % of the others' places move at most", test_maglev_disruption},
    {"Maglev: the order of backends does not matter", test_maglev_order},
    {"Maglev: without weights there is no table", test_maglev_none},
    {"L2DSR: the frame gets the backend's MAC, and is counted", test_l2, .skip = pcn_skip_unless_root},
    {"what is for no service passes, and so does what comes back", test_others, .skip = pcn_skip_unless_root},
    {"the service of the port, of the protocol, of all", test_wildcards, .skip = pcn_skip_unless_root},
    {"4,096 services have their places, and leave them", test_many},
    {"places of services of any size are theirs alone", test_pieces},
    {"services have tables of their own sizes", test_sizes, .skip = pcn_skip_unless_root},
    {"ARP and echo of a VIP are answered", test_address, .skip = pcn_skip_unless_root},
    {"flows keep their backend when the table changes; drained ones get no new ones", test_keeps,
     .skip = pcn_skip_unless_root},
    {"flows of a backend that is gone are spread anew", test_removed, .skip = pcn_skip_unless_root},
    {"a SYN where a flow is over is a new flow", test_reopened, .skip = pcn_skip_unless_root},
    {"a flow that comes by another CPU keeps its backend", test_other_cpu, .skip = pcn_skip_unless_root},
    {"a flood pushes no established flow out", test_flood, .skip = pcn_skip_unless_root},
    {"with source affinity a client has one backend", test_affinity, .skip = pcn_skip_unless_root},
    {"IPIP: the outer header, byte by byte", test_ipip, .skip = pcn_skip_unless_root},
    {"IPIP: a VLAN tag stays in front", test_ipip_tagged, .skip = pcn_skip_unless_root},
    {"IPIP: what does not fit is answered, or dropped", test_too_big, .skip = pcn_skip_unless_root},
    {"outer headers of all modes and versions, byte by byte", test_outer, .skip = pcn_skip_unless_root},
    {"outer headers: a VLAN tag stays in front, or is put there", test_outer_tagged, .skip = pcn_skip_unless_root},
    {"outer headers: DSCP is copied, or set; ECN is copied", test_outer_dscp, .skip = pcn_skip_unless_root},
    {"outer headers: what does not fit is answered with the right size", test_outer_too_big,
     .skip = pcn_skip_unless_root},
    {"L2DSR: a VLAN id is rewritten, or pushed", test_vlan, .skip = pcn_skip_unless_root},
    {"L3DSR: destination and DSCP are rewritten, checksums follow", test_rewrite, .skip = pcn_skip_unless_root},
    {"an echo of an IPv6 VIP is answered", test_echo6, .skip = pcn_skip_unless_root},
    {"later fragments of IPv6 follow the first one", test_fragments6, .skip = pcn_skip_unless_root},
    {"a service takes packets of sources that it allows alone", test_allow, .skip = pcn_skip_unless_root},
    {"of IPv6 too", test_allow6, .skip = pcn_skip_unless_root},
    {"QUIC goes to the server that its connection id names", test_quic, .skip = pcn_skip_unless_root},
    {"tenants: a VLAN has services of its own, and answers in it", test_tenants, .skip = pcn_skip_unless_root},
    {"segments: a frame is taken out, and goes to a backend of its service, byte by byte", test_segment,
     .skip = pcn_skip_unless_root},
    {"segments: outer headers of all modes and versions, byte by byte", test_outer_segment,
     .skip = pcn_skip_unless_root},
    {"segments: those of two types and ids are apart", test_segment_apart, .skip = pcn_skip_unless_root},
    {"segments: what no service takes passes as it came", test_segment_untouched, .skip = pcn_skip_unless_root},
    {"segments: who asks for a VIP inside is answered by user space", test_segment_asked, .skip = pcn_skip_unless_root},
    {"segments: so does what is cut short, at any byte", test_segment_cut, .skip = pcn_skip_unless_root},
    {"segments: ICMP errors and fragments inside go to the backend of their flow", test_segment_rare,
     .skip = pcn_skip_unless_root},
    {"segments: what does not fit the backends' side is dropped", test_segment_too_big, .skip = pcn_skip_unless_root},
    {"segments: a GSO packet is dropped", test_segment_gso, .skip = pcn_skip_unless_root},
    {"segments: where they arrive answers, and may be a VIP", test_segment_tunnel, .skip = pcn_skip_unless_root},
    {"an ICMP error goes to the backend of the flow that it is about", test_icmp_error, .skip = pcn_skip_unless_root},
    {"later fragments follow the first one", test_fragments, .skip = pcn_skip_unless_root},
    {"IPv6", test_v6, .skip = pcn_skip_unless_root},
    {"what contradicts itself is dropped", test_bad, .skip = pcn_skip_unless_root},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("lbdsr", tests);
}
