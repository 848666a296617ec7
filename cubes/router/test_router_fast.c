/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path alone, at TC and at XDP: what becomes of a packet, its bytes,
 * what is counted and what user space is told.
 */
#include "test_router_rig.h"
#include <arpa/inet.h>
#include <harness/netns.h>
#include <stdio.h>

/* ---- forwarding ---- */

ROUTER_TEST(test_forward)
{
    const struct {
        const char *source, *destination;
        uint16_t port;
    } cases[] = {
        {"10.0.0.2", "10.0.1.2", 1},     {"10.0.0.2", "10.0.0.2", 0},     {"10.0.0.2", "192.168.7.9", 2},
        {"fd00:0::2", "fd00:1::2", 1},   {"fd00:0::2", "fd00::2", 0},     {"fd00:0::2", "2001:db8:5::7", 2},
        {"198.51.100.7", "10.0.3.2", 3}, {"2001:db8::9", "fd00:3::2", 3},
    };
    uint64_t bytes = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        const struct pcn_frame frame = from_host(pcn_frame_udp(cases[i].source, cases[i].destination, 5, 6, 30 + i));
        const struct pcn_frame expected = forwarded(frame, cases[i].port, host_macs[cases[i].port]);

        CHECK_OUT(router, &frame, cases[i].port, &expected);
        PCN_CHECK(pcn_frame_checksums_ok(&router->run.frame));
        bytes += frame.length;
    }
    PCN_CHECK_EQ(pcn_fast_counters(&router->fast, 0).packets, PCN_ARRAY_SIZE(cases));
    PCN_CHECK_EQ(pcn_fast_counters(&router->fast, 0).bytes, bytes);
    PCN_CHECK_EQ(pcn_fast_counters(&router->fast, 1).packets, 0);
}

/* Whatever the other 15 bits of the word are, the checksum stays right. */
ROUTER_TEST(test_checksum)
{
    for (unsigned int ttl = 2; ttl <= 255; ttl++) {
        const struct pcn_frame frame = from_host(pcn_frame_make(&(struct pcn_frame_spec){.source = "10.0.0.2",
                                                                                         .destination = "10.0.1.2",
                                                                                         .protocol = 17,
                                                                                         .ttl = (uint8_t)ttl,
                                                                                         .id = (uint16_t)(ttl * 257)}));
        const struct pcn_frame expected = forwarded(frame, 1, host_macs[1]);

        CHECK_OUT(router, &frame, 1, &expected);
        PCN_CHECK(pcn_frame_checksums_ok(&router->run.frame));
    }
}

ROUTER_TEST(test_odd_packets)
{
    static const uint8_t options[12] = {7, 11, 4};
    const struct pcn_frame_spec specs[] = {
        {.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .options = options, .options_length = 12},
        {.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .more_fragments = true},
        {.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .fragment_offset = 1480},
        {.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 132, .payload_length = 20},
        {.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .pad_to = 90},
        {.source = "fd00::2", .destination = "fd00:1::2", .protocol = 17, .fragment_offset = 1480},
        {.source = "fd00::2", .destination = "fd00:1::2", .protocol = 17, .pad_to = 120},
        {.source = "fd00::2",
         .destination = "fd00:1::2",
         .protocol = 17,
         .extensions = {{IPPROTO_HOPOPTS, 8}, {IPPROTO_DSTOPTS, 24}},
         .n_extensions = 2},
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(specs); i++) {
        const struct pcn_frame frame = from_host(pcn_frame_make(&specs[i]));
        const struct pcn_frame expected = forwarded(frame, 1, host_macs[1]);

        CHECK_OUT(router, &frame, 1, &expected);
    }
}

ROUTER_TEST(test_longest)
{
    const struct pcn_frame inside = from_host(pcn_frame_udp("10.0.0.2", "192.168.9.129", 5, 6, 30));
    const struct pcn_frame outside = from_host(pcn_frame_udp("10.0.0.2", "8.8.8.8", 5, 6, 30));
    const struct pcn_frame six = from_host(pcn_frame_udp("fd00::2", "2600::1", 5, 6, 30));
    const struct pcn_frame by_2 = forwarded(inside, 2, host_macs[2]), by_3 = forwarded(inside, 3, host_macs[3]);
    const struct pcn_frame out_3 = forwarded(outside, 3, host_macs[3]), six_3 = forwarded(six, 3, host_macs[3]);
    uint8_t version;
    union pcn_address network = address_of("192.168.9.128", &version);

    CHECK_SLOW(router, &outside, ROUTER_SLOW_NO_ROUTE, ROUTER_HOP_NONE, 0, 0);
    CHECK_SLOW(router, &six, ROUTER_SLOW_NO_ROUTE, ROUTER_HOP_NONE, 0, 0);
    PCN_REQUIRE_OK(route(router, "0.0.0.0", 0, ROUTER_HOP_GATEWAY, 3, router->neighbours4[3]));
    PCN_REQUIRE_OK(route(router, "::", 0, ROUTER_HOP_GATEWAY, 3, router->neighbours6[3]));
    CHECK_OUT(router, &outside, 3, &out_3);
    CHECK_OUT(router, &six, 3, &six_3);
    CHECK_OUT(router, &inside, 2, &by_2);
    PCN_REQUIRE_OK(route(router, "192.168.9.128", 25, ROUTER_HOP_GATEWAY, 3, router->neighbours4[3]));
    CHECK_OUT(router, &inside, 3, &by_3);
    PCN_REQUIRE_OK(route(router, "192.168.9.129", 32, ROUTER_HOP_GATEWAY, 2, router->neighbours4[2]));
    CHECK_OUT(router, &inside, 2, &by_2);
    PCN_REQUIRE_OK(router_fib_delete(router->fib, 4, &network, 25));
    CHECK_OUT(router, &inside, 2, &by_2);
}

/* The program walks the trie as the library does, everywhere. */
ROUTER_TEST(test_walk)
{
    static const char *const networks[] = {"2001:db8:1::",        "2001:db8:1:2::",        "2001:db8:1:2:3::",
                                           "2001:db8:1:2:3:4::",  "2001:db8:1:2:3:4:5:0",  "2001:db8:1:2:3:4:5:6",
                                           "2001:db8:1:2:8000::", "2001:db8:1:2:8000:1::", "2001:db8:ffff::"};
    static const uint8_t lengths[] = {48, 64, 80, 96, 112, 128, 65, 97, 47};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(networks); i++)
        PCN_REQUIRE_OK(route(router, networks[i], lengths[i], ROUTER_HOP_UNREACHABLE, (uint16_t)(100 + i), 0));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(networks); i++) {
        for (unsigned int bit = 32; bit < 128; bit++) {
            uint8_t version;
            union pcn_address address = address_of(networks[i], &version);
            struct pcn_frame frame;
            char text[INET6_ADDRSTRLEN];
            uint8_t kind;

            ((uint8_t *)&address)[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            inet_ntop(AF_INET6, &address, text, sizeof(text));
            frame = from_host(pcn_frame_udp("fd00::2", text, 5, 6, 10));
            kind = router->memory.hops[hop_of(router, text)].kind;
            PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &frame, &router->run));
            PCN_CHECK_EQ(router->run.verdict, kind == ROUTER_HOP_GATEWAY ? PCN_SINK : pcn_fast_dropped(&router->fast));
            PCN_CHECK_EQ(pcn_fast_records(&router->fast), kind == ROUTER_HOP_UNREACHABLE);
        }
    }
}

/* ---- ECMP ---- */

static void ecmp(struct router *router, const char *source, const char *network, uint8_t length,
                 const uint32_t *neighbours)
{
    const char *destination = strchr(network, ':') ? "2a00::7" : "100.64.3.4";
    struct router_hop hops[3];
    unsigned int used[PORTS] = {};

    for (uint16_t i = 0; i < 3; i++)
        hops[i] =
            (struct router_hop){.kind = ROUTER_HOP_GATEWAY, .port = (uint16_t)(1 + i), .index = neighbours[1 + i]};
    PCN_REQUIRE_OK(route_hops(router, network, length, hops, 3));
    for (uint16_t flow = 0; flow < 300; flow++) {
        const struct pcn_frame frame = from_host(pcn_frame_udp(source, destination, (uint16_t)(1000 + flow), 53, 20));
        const struct pcn_frame more = from_host(pcn_frame_udp(source, destination, (uint16_t)(1000 + flow), 53, 900));
        uint16_t port;

        PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &frame, &router->run));
        PCN_REQUIRE(router->run.verdict == PCN_SINK && router->run.port < PORTS);
        port = router->run.port;
        used[port]++;
        PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &more, &router->run));
        PCN_CHECK_EQ(router->run.port, port);
    }
    PCN_CHECK_EQ(used[0], 0);
    for (unsigned int i = 1; i < PORTS; i++)
        PCN_CHECK(used[i] > 60 && used[i] < 140);
}

ROUTER_TEST(test_ecmp)
{
    const struct pcn_frame_spec first = {
        .source = "10.0.0.2", .destination = "100.64.3.4", .protocol = 17, .source_port = 9, .more_fragments = true};
    uint16_t port = PORTS;

    ecmp(router, "10.0.0.2", "100.64.0.0", 10, router->neighbours4);
    ecmp(router, "fd00::2", "2a00::", 16, router->neighbours6);
    /* Fragments of a datagram keep together: only the first one has ports. */
    for (uint16_t i = 0; i < 20; i++) {
        struct pcn_frame_spec spec = first;
        struct pcn_frame frame;

        spec.source_port = (uint16_t)(9 + i);
        spec.fragment_offset = i & 1 ? 800 : 0;
        frame = from_host(pcn_frame_make(&spec));
        PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &frame, &router->run));
        PCN_CHECK(port == PORTS || router->run.port == port);
        port = router->run.port;
    }
}

/* ---- what is not forwarded ---- */

ROUTER_TEST(test_ttl)
{
    for (uint8_t ttl = 1; ttl <= 2; ttl++) {
        const struct pcn_frame four = from_host(pcn_frame_make(
            &(struct pcn_frame_spec){.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .ttl = ttl}));
        const struct pcn_frame six = from_host(pcn_frame_make(
            &(struct pcn_frame_spec){.source = "fd00::2", .destination = "fd00:1::2", .protocol = 17, .ttl = ttl}));
        const struct pcn_frame four_out = forwarded(four, 1, host_macs[1]), six_out = forwarded(six, 1, host_macs[1]);

        if (ttl == 1) {
            CHECK_SLOW(router, &four, ROUTER_SLOW_TTL, 0, 0, 0);
            CHECK_SLOW(router, &six, ROUTER_SLOW_TTL, 0, 0, 0);
        } else {
            CHECK_OUT(router, &four, 1, &four_out);
            CHECK_OUT(router, &six, 1, &six_out);
        }
    }
}

ROUTER_TEST(test_mtu)
{
    struct pcn_frame_spec four = {.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17};
    struct pcn_frame_spec six = {.source = "fd00::2", .destination = "fd00:1::2", .protocol = 17};
    struct pcn_frame frame, expected;

    router->ports[1].mtu = 1280;
    for (size_t over = 0; over < 2; over++) {
        four.payload_length = 1280 - 28 + over;
        six.payload_length = 1280 - 48 + over;
        four.dont_fragment = false;
        frame = from_host(pcn_frame_make(&four));
        expected = forwarded(frame, 1, host_macs[1]);
        if (over)
            CHECK_SLOW(router, &frame, ROUTER_SLOW_FRAGMENT, 1280, 1, router->neighbours4[1]);
        else
            CHECK_OUT(router, &frame, 1, &expected);
        four.dont_fragment = true;
        frame = from_host(pcn_frame_make(&four));
        expected = forwarded(frame, 1, host_macs[1]);
        if (over)
            CHECK_SLOW(router, &frame, ROUTER_SLOW_TOO_BIG, 1280, 1, 0);
        else
            CHECK_OUT(router, &frame, 1, &expected);
        frame = from_host(pcn_frame_make(&six));
        expected = forwarded(frame, 1, host_macs[1]);
        if (over)
            CHECK_SLOW(router, &frame, ROUTER_SLOW_TOO_BIG, 1280, 1, 0);
        else
            CHECK_OUT(router, &frame, 1, &expected);
    }
}

/* A GSO packet is as long as its segments will be. */
ROUTER_TEST(test_gso)
{
    const struct pcn_packet context = {.port = 0};
    const char *const addresses[2][2] = {{"10.0.0.2", "10.0.1.2"}, {"fd00::2", "fd00:1::2"}};

    if (router->fast.xdp)
        return;
    for (int i = 0; i < 4; i++) {
        const bool udp = i & 2;
        const uint32_t headers = (i & 1 ? 40 : 20) + (udp ? 8 : 20);
        const struct pcn_frame frame =
            from_host(pcn_frame_make(&(struct pcn_frame_spec){.source = addresses[i & 1][0],
                                                              .destination = addresses[i & 1][1],
                                                              .protocol = udp ? IPPROTO_UDP : IPPROTO_TCP,
                                                              .dont_fragment = true,
                                                              .payload_length = 3200}));
        const struct pcn_frame expected = forwarded(frame, 1, host_macs[1]);

        for (uint32_t over = 0; over < 2; over++) {
            const struct __sk_buff skb = {.gso_segs = 3, .gso_size = 1500 - headers + over};

            PCN_REQUIRE_OK(pcn_fast_run_with(&router->fast, PCN_INGRESS, &context, &skb, &frame, &router->run));
            PCN_CHECK_EQ(router->run.verdict, over ? pcn_fast_dropped(&router->fast) : PCN_SINK);
            PCN_CHECK_EQ(pcn_fast_records(&router->fast), over);
            if (over)
                PCN_CHECK_EQ(router->fast.records->record.reason, ROUTER_SLOW_TOO_BIG);
            else
                PCN_CHECK_FRAME(&router->run.frame, &expected);
        }
    }
}

ROUTER_TEST(test_nowhere)
{
    const struct pcn_frame hole = from_host(pcn_frame_udp("10.0.0.2", "172.16.0.1", 5, 6, 30));
    const struct pcn_frame unreachable = from_host(pcn_frame_udp("10.0.0.2", "172.17.0.1", 5, 6, 30));
    const struct pcn_frame broadcast = from_host(pcn_frame_udp("10.0.0.2", "10.0.1.255", 5, 6, 30));
    const struct pcn_frame none = from_host(pcn_frame_udp("10.0.0.2", "172.32.0.1", 5, 6, 30));
    const struct pcn_frame six = from_host(pcn_frame_udp("fd00::2", "2002::1", 5, 6, 30));

    PCN_REQUIRE_OK(route(router, "172.16.0.0", 12, ROUTER_HOP_BLACKHOLE, 0, 0));
    PCN_REQUIRE_OK(route(router, "172.17.0.0", 16, ROUTER_HOP_UNREACHABLE, 0, 0));
    PCN_REQUIRE_OK(route(router, "2002::", 16, ROUTER_HOP_BLACKHOLE, 0, 0));
    CHECK_DROP(router, &hole, ROUTER_DROP_BLACKHOLE);
    CHECK_DROP(router, &six, ROUTER_DROP_BLACKHOLE);
    CHECK_SLOW(router, &unreachable, ROUTER_SLOW_NO_ROUTE, ROUTER_HOP_UNREACHABLE, 0, 0);
    CHECK_DROP(router, &broadcast, ROUTER_DROP_MULTICAST);
    CHECK_SLOW(router, &none, ROUTER_SLOW_NO_ROUTE, ROUTER_HOP_NONE, 0, 0);
}

ROUTER_TEST(test_martians)
{
    const char *const sources[] = {"0.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "ff02::1", "::", "::1"};
    const char *const destinations[] = {"0.0.0.1", "127.0.0.1", "239.1.2.3", "255.255.255.255",
                                        "::",      "::1",       "fe80::77"};

    PCN_REQUIRE_OK(route(router, "0.0.0.0", 0, ROUTER_HOP_GATEWAY, 3, router->neighbours4[3]));
    PCN_REQUIRE_OK(route(router, "::", 0, ROUTER_HOP_GATEWAY, 3, router->neighbours6[3]));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(sources); i++) {
        const struct pcn_frame frame =
            from_host(pcn_frame_udp(sources[i], strchr(sources[i], ':') ? "fd00:1::2" : "10.0.1.2", 1, 2, 9));

        CHECK_DROP(router, &frame, ROUTER_DROP_BAD_SOURCE);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(destinations); i++) {
        const struct pcn_frame frame =
            from_host(pcn_frame_udp(strchr(destinations[i], ':') ? "fd00::2" : "10.0.0.2", destinations[i], 1, 2, 9));

        CHECK_DROP(router, &frame, ROUTER_DROP_BAD_DESTINATION);
    }
    {
        const struct pcn_frame local = from_host(pcn_frame_udp("fe80::9", "fd00:1::2", 1, 2, 9));
        const struct pcn_frame group = from_host(pcn_frame_udp("fd00::2", "ff0e::1", 1, 2, 9));

        CHECK_DROP(router, &local, ROUTER_DROP_BAD_SOURCE);
        CHECK_DROP(router, &group, ROUTER_DROP_MULTICAST);
    }
}

ROUTER_TEST(test_malformed)
{
    static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 0};
    const uint32_t faults[] = {PCN_FAULT_IP_VERSION, PCN_FAULT_IHL_SHORT, PCN_FAULT_IHL_LONG, PCN_FAULT_LENGTH_SHORT,
                               PCN_FAULT_LENGTH_LONG};
    struct pcn_frame frame;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(faults); i++) {
        frame = from_host(pcn_frame_make(&(struct pcn_frame_spec){
            .source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .faults = faults[i]}));
        CHECK_DROP(router, &frame, PCN_DROP_MALFORMED);
    }
    frame = from_host(pcn_frame_make(&(struct pcn_frame_spec){
        .source = "fd00::2", .destination = "fd00:1::2", .protocol = 17, .faults = PCN_FAULT_IP_VERSION}));
    CHECK_DROP(router, &frame, PCN_DROP_MALFORMED);
    frame = from_host(pcn_frame_make(&(struct pcn_frame_spec){
        .source = "fd00::2", .destination = "fd00:1::2", .protocol = 17, .faults = PCN_FAULT_LENGTH_LONG}));
    CHECK_DROP(router, &frame, PCN_DROP_MALFORMED);
    frame = from_host(pcn_frame_make(&(struct pcn_frame_spec){
        .source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .faults = PCN_FAULT_IP_CHECKSUM}));
    CHECK_DROP(router, &frame, ROUTER_DROP_BAD_CHECKSUM);
    frame = from_host(pcn_frame_make(&(struct pcn_frame_spec){.source = "10.0.0.2",
                                                              .destination = "10.0.1.2",
                                                              .protocol = 17,
                                                              .options = options,
                                                              .options_length = 8,
                                                              .faults = PCN_FAULT_IP_CHECKSUM}));
    CHECK_DROP(router, &frame, ROUTER_DROP_BAD_CHECKSUM);
}

/* However short: dropped, and nothing of it goes anywhere. */
ROUTER_TEST(test_truncated)
{
    const struct {
        struct pcn_frame frame;
        size_t header; /* the kernel runs no TC program on less */
    } cases[] = {
        {from_host(pcn_frame_udp("10.0.0.2", "10.0.1.2", 1, 2, 9)), 34},
        {from_host(pcn_frame_udp("fd00::2", "fd00:1::2", 1, 2, 9)), 54},
        {from_host(pcn_frame_echo("10.0.0.2", "10.0.0.1", 1, 2)), 34},
        {from_host(pcn_frame_echo("fd00::2", "fd00::1", 1, 2)), 54},
        {pcn_frame_nd_solicit(host_macs[0], "fd00::2", "fd00::1"), 54},
        {pcn_frame_arp_request(host_macs[0], "10.0.0.2", "10.0.0.1"), 15},
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        size_t end = i == 5 ? 42 : cases[i].frame.length;

        for (size_t length = router->fast.xdp ? 15 : cases[i].header; length < end; length++) {
            struct pcn_frame frame = cases[i].frame;

            frame.length = length;
            CHECK_DROP(router, &frame, PCN_DROP_MALFORMED);
        }
    }
}

ROUTER_TEST(test_layer2)
{
    struct pcn_frame frame = pcn_frame_udp("10.0.0.2", "10.0.1.2", 1, 2, 9), six;

    CHECK_DROP(router, &frame, ROUTER_DROP_OTHER_HOST);
    pcn_frame_set_macs(&frame, "ff:ff:ff:ff:ff:ff", host_macs[0]);
    CHECK_DROP(router, &frame, ROUTER_DROP_MULTICAST);
    six = pcn_frame_udp("fd00::2", "ff02::fb", 1, 2, 9);
    pcn_frame_set_macs(&six, "33:33:00:00:00:fb", host_macs[0]);
    CHECK_DROP(router, &six, ROUTER_DROP_MULTICAST);
    frame = from_host(frame);
    pcn_frame_push_vlan(&frame, 5, 0x8100);
    CHECK_DROP(router, &frame, ROUTER_DROP_TAGGED);
    frame = from_host(pcn_frame_make(&(struct pcn_frame_spec){.ethertype = 0x88cc, .payload_length = 50}));
    CHECK_DROP(router, &frame, ROUTER_DROP_NOT_IP);
    /* A port that is not set up takes nothing, whatever MAC the frame names. */
    router->ports[0] = (struct router_port){};
    frame = pcn_frame_udp("10.0.0.2", "10.0.1.2", 1, 2, 9);
    pcn_frame_set_macs(&frame, "00:00:00:00:00:00", host_macs[0]);
    CHECK_DROP(router, &frame, ROUTER_DROP_OTHER_HOST);
}

/* ---- neighbours ---- */

ROUTER_TEST(test_unresolved)
{
    const struct pcn_frame unknown = from_host(pcn_frame_udp("10.0.0.2", "10.0.1.77", 1, 2, 9));
    const struct pcn_frame unknown6 = from_host(pcn_frame_udp("fd00::2", "fd00:1::77", 1, 2, 9));
    const struct pcn_frame gateway = from_host(pcn_frame_udp("10.0.0.2", "192.168.7.9", 1, 2, 9));
    const struct pcn_frame gateway_out = forwarded(gateway, 2, "02:00:00:00:99:99");
    const struct pcn_frame host = from_host(pcn_frame_udp("10.0.0.2", "10.0.1.2", 1, 2, 9));
    const struct pcn_frame host_out = forwarded(host, 1, host_macs[1]);
    const uint32_t connected = hop_of(router, "10.0.1.77");

    CHECK_SLOW(router, &unknown, ROUTER_SLOW_NEIGHBOUR, 1, 0, connected);
    CHECK_SLOW(router, &unknown6, ROUTER_SLOW_NEIGHBOUR, 1, 0, hop_of(router, "fd00:1::77"));
    router->memory.neighbours[router->neighbours4[2]].link = link_of(host_macs[2], ROUTER_NEIGHBOUR_INCOMPLETE);
    CHECK_SLOW(router, &gateway, ROUTER_SLOW_NEIGHBOUR, 2, router->neighbours4[2], hop_of(router, "192.168.7.9"));
    router->memory.neighbours[router->neighbours4[2]].link = link_of("02:00:00:00:99:99", ROUTER_NEIGHBOUR_STALE);
    CHECK_OUT(router, &gateway, 2, &gateway_out);
    router->memory.neighbours[router->neighbours4[1]].link = link_of(host_macs[1], ROUTER_NEIGHBOUR_STATIC);
    CHECK_OUT(router, &host, 1, &host_out);
    router_fib_neighbour_delete(router->fib, router->neighbours4[1]);
    CHECK_SLOW(router, &host, ROUTER_SLOW_NEIGHBOUR, 1, 0, connected);
}

/* Neighbours by the hundred, so that buckets fill: each is found. */
ROUTER_TEST(test_many_neighbours)
{
    uint8_t version;
    uint32_t number;

    for (unsigned int i = 3; i < 250; i++) {
        char text[INET6_ADDRSTRLEN];

        for (int six = 0; six < 2; six++) {
            union pcn_address address;

            snprintf(text, sizeof(text), six ? "fd00:1::%x" : "10.0.1.%u", i);
            address = address_of(text, &version);
            PCN_REQUIRE_OK(router_fib_neighbour_set(
                router->fib, version, &address, 1,
                link_of("02:00:00:00:03:00", ROUTER_NEIGHBOUR_REACHABLE) | (uint64_t)i << 40, &number));
        }
    }
    for (unsigned int i = 3; i < 250; i++) {
        char text[INET6_ADDRSTRLEN], mac[18];

        for (int six = 0; six < 2; six++) {
            struct pcn_frame frame, expected;

            snprintf(text, sizeof(text), six ? "fd00:1::%x" : "10.0.1.%u", i);
            snprintf(mac, sizeof(mac), "02:00:00:00:03:%02x", i);
            frame = from_host(pcn_frame_udp(six ? "fd00::2" : "10.0.0.2", text, 1, 2, 9));
            expected = forwarded(frame, 1, mac);
            CHECK_OUT(router, &frame, 1, &expected);
        }
    }
}

ROUTER_TEST(test_used)
{
    const struct pcn_frame frame = from_host(pcn_frame_udp("10.0.0.2", "10.0.1.2", 1, 2, 9));
    struct router_neighbour *neighbour = &router->memory.neighbours[router->neighbours4[1]];
    uint64_t used;

    PCN_CHECK_EQ(neighbour->used, 0);
    PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &frame, &router->run));
    used = neighbour->used;
    PCN_CHECK(used != 0);
    /* Not again before its time. */
    router->memory.data->refresh = 1000000;
    neighbour->used = used - 1000;
    PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &frame, &router->run));
    PCN_CHECK_EQ(neighbour->used, used - 1000);
    router->memory.data->refresh = 1000;
    PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &frame, &router->run));
    PCN_CHECK(neighbour->used >= used);
}

ROUTER_TEST_AS(test_dry_run, .cube = 1, .dry_run = 1)
{
    const struct pcn_frame frame = from_host(pcn_frame_udp("10.0.0.2", "10.0.1.2", 1, 2, 9));

    PCN_REQUIRE_OK(pcn_fast_run(&router->fast, PCN_INGRESS, 0, &frame, &router->run));
    PCN_CHECK_EQ(router->memory.neighbours[router->neighbours4[1]].used, 0);
}

/* ---- live: buffers in fragments ---- */

static int attach(const struct router *router, const struct pcn_netns *netns, const char *device)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)pcn_netns_ifindex(netns, device), .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = router->fast.ingress);
    int back = -1, r;

    r = pcn_netns_enter(netns, &back);
    if (r < 0)
        return r;
    r = bpf_tc_hook_create(&hook);
    if (r == 0)
        r = bpf_tc_attach(&hook, &options);
    pcn_netns_leave(&back);
    return r;
}

/* Frames of more than a page from a packet socket: only their Ethernet header is where it is read at once. */
ROUTER_TEST(test_fragmented_buffer)
{
    static const uint8_t options[12] = {7, 11, 4};
    const struct pcn_frame_spec specs[] = {
        {.source = "10.0.0.2", .destination = "10.0.1.2", .protocol = 17, .payload_length = 6000},
        {.source = "10.0.0.2",
         .destination = "10.0.1.2",
         .protocol = 17,
         .payload_length = 6000,
         .options = options,
         .options_length = 12},
        {.source = "fd00::2", .destination = "fd00:1::2", .protocol = 17, .payload_length = 6000},
        {.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 1, .icmp_type = 8, .payload_length = 6000},
        {.source = "10.0.0.2",
         .destination = "10.0.0.1",
         .protocol = 1,
         .icmp_type = 8,
         .payload_length = 6000,
         .options = options,
         .options_length = 12},
        {.source = "fd00::2", .destination = "fd00::1", .protocol = 58, .icmp_type = 128, .payload_length = 6000},
    };
    static const struct pcn_packet clear[PCN_CPUS_MAX];
    _cleanup_(pcn_netns_freep) struct pcn_netns *netns = NULL;
    struct pcn_wire wire;
    uint32_t zero = 0;

    if (router->fast.xdp)
        return;
    router->ports[1].mtu = 9000;
    PCN_REQUIRE_OK(pcn_netns_new("router", &netns));
    PCN_REQUIRE_OK(pcn_veth_new(netns, "left", netns, "right"));
    PCN_REQUIRE_OK(pcn_netns_must(netns, "ip link set left mtu 9000 && ip link set right mtu 9000"));
    /* The kernel's own packets are not counted as answered or forwarded: they are for others. */
    PCN_REQUIRE_OK(attach(router, netns, "right"));
    PCN_REQUIRE_OK(pcn_wire_open(netns, "left", &wire));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(specs); i++) {
        const struct pcn_frame frame = from_host(pcn_frame_make(&specs[i]));
        uint64_t bytes = pcn_fast_counters(&router->fast, 0).bytes;

        PCN_CHECK_OK(bpf_map_update_elem(router->fast.packets, &zero, clear, BPF_ANY));
        PCN_CHECK_OK(pcn_wire_send(&wire, &frame));
        PCN_CHECK(PCN_WAIT(2000, pcn_fast_counters(&router->fast, 0).bytes >= bytes + frame.length));
    }
    PCN_CHECK_EQ(pcn_fast_drops(&router->fast, PCN_DROP_MALFORMED), 0);
    PCN_CHECK_EQ(pcn_fast_drops(&router->fast, ROUTER_DROP_BAD_CHECKSUM), 0);
    PCN_CHECK(router->memory.neighbours[router->neighbours4[1]].used != 0);
    PCN_CHECK(router->memory.neighbours[router->neighbours6[1]].used != 0);
    (void)ring_buffer__consume(router->fast.rings);
    PCN_CHECK_EQ(pcn_fast_records(&router->fast), 0);
    pcn_wire_close(&wire);
}

/* ---- ARP ---- */

ROUTER_TEST(test_arp)
{
    const struct pcn_frame request = pcn_frame_arp_request(host_macs[0], "10.0.0.2", "10.0.0.1");
    const struct pcn_frame answer = pcn_frame_arp_reply(port_macs[0], "10.0.0.1", host_macs[0], "10.0.0.2");
    const struct pcn_frame probe = pcn_frame_arp_request(host_macs[0], "0.0.0.0", "10.0.0.1");
    const struct pcn_frame probe_answer = pcn_frame_arp_reply(port_macs[0], "10.0.0.1", host_macs[0], "0.0.0.0");
    const struct pcn_frame stranger = pcn_frame_arp_request("02:00:00:00:77:77", "10.0.0.77", "10.0.0.1");
    const struct pcn_frame moved = pcn_frame_arp_request("02:00:00:00:77:77", "10.0.0.2", "10.0.0.1");
    const struct pcn_frame announced = pcn_frame_arp_request("02:00:00:00:77:77", "10.0.0.2", "10.0.0.2");
    const struct pcn_frame elsewhere = pcn_frame_arp_request(host_macs[0], "10.0.0.2", "10.0.0.3");
    const struct pcn_frame other_port = pcn_frame_arp_request(host_macs[0], "10.0.0.2", "10.0.1.1");
    const struct pcn_frame reply = pcn_frame_arp_reply("02:00:00:00:77:77", "10.0.0.77", port_macs[0], "10.0.0.1");
    const struct pcn_frame known = pcn_frame_arp_reply(host_macs[0], "10.0.0.2", port_macs[0], "10.0.0.1");
    struct pcn_frame bad;

    CHECK_OUT(router, &request, 0, &answer);
    CHECK_OUT(router, &probe, 0, &probe_answer);
    CHECK_SLOW(router, &stranger, ROUTER_SLOW_ARP, 0, 1, 0);
    CHECK_SLOW(router, &moved, ROUTER_SLOW_ARP, router->neighbours4[0], 1, 0);
    CHECK_SLOW(router, &announced, ROUTER_SLOW_ARP, router->neighbours4[0], 0, 0);
    CHECK_DROP(router, &elsewhere, ROUTER_DROP_NOT_ASKED);
    CHECK_DROP(router, &other_port, ROUTER_DROP_NOT_ASKED);
    CHECK_SLOW(router, &reply, ROUTER_SLOW_ARP, 0, 0, 0);
    CHECK_DROP(router, &known, ROUTER_DROP_NOT_ASKED);
    /* One that is being asked is heard. */
    router->memory.neighbours[router->neighbours4[0]].link = link_of(host_macs[0], ROUTER_NEIGHBOUR_STALE);
    CHECK_SLOW(router, &known, ROUTER_SLOW_ARP, router->neighbours4[0], 0, 0);
    /* Hardware type, lengths, operation; a sender that is a group. */
    for (size_t offset = 14; offset < 23; offset++) {
        bad = request;
        bad.bytes[offset] ^= offset == 22 ? 1 : 8;
        CHECK_DROP(router, &bad, PCN_DROP_MALFORMED);
    }
}

/* ---- neighbour discovery ---- */

static struct pcn_frame advertised(const char *target, const char *destination)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source_mac = port_macs[0],
                                                   .destination_mac = host_macs[0],
                                                   .source = target,
                                                   .destination = destination,
                                                   .protocol = IPPROTO_ICMPV6,
                                                   .ttl = 255,
                                                   .icmp_type = 136,
                                                   .icmp_word = 0xe0000000,
                                                   .nd_target = target,
                                                   .nd_mac = port_macs[0]});
}

ROUTER_TEST(test_nd)
{
    const struct pcn_frame request = pcn_frame_nd_solicit(host_macs[0], "fd00::2", "fd00::1");
    const struct pcn_frame answer = advertised("fd00::1", "fd00::2");
    const struct pcn_frame local = pcn_frame_nd_solicit(host_macs[0], "fd00::2", "fe80::1");
    const struct pcn_frame local_answer = advertised("fe80::0:1", "fd00::2");
    const struct pcn_frame stranger = pcn_frame_nd_solicit("02:00:00:00:77:77", "fd00::77", "fd00::1");
    const struct pcn_frame moved = pcn_frame_nd_solicit("02:00:00:00:77:77", "fd00::2", "fd00::1");
    const struct pcn_frame elsewhere = pcn_frame_nd_solicit(host_macs[0], "fd00::2", "fd00::1:1");
    const struct pcn_frame other_port = pcn_frame_nd_solicit(host_macs[0], "fd00::2", "fd00:1::1");
    const struct pcn_frame dad = pcn_frame_make(&(struct pcn_frame_spec){.source_mac = host_macs[0],
                                                                         .destination_mac = "33:33:ff:00:00:01",
                                                                         .source = "::",
                                                                         .destination = "ff02::1:ff00:1",
                                                                         .protocol = IPPROTO_ICMPV6,
                                                                         .ttl = 255,
                                                                         .icmp_type = 135,
                                                                         .nd_target = "fd00::1"});
    const struct pcn_frame advert = pcn_frame_nd_advertise("02:00:00:00:77:77", "fd00::77", port_macs[0], "fd00::1");
    const struct pcn_frame known = pcn_frame_nd_advertise(host_macs[0], "fd00::2", port_macs[0], "fd00::1");
    struct pcn_frame frame;

    CHECK_OUT(router, &request, 0, &answer);
    CHECK_OUT(router, &local, 0, &local_answer);
    /* Asked once more, it is asked alone. */
    frame = pcn_frame_make(&(struct pcn_frame_spec){.source_mac = host_macs[0],
                                                    .destination_mac = port_macs[0],
                                                    .source = "fd00::2",
                                                    .destination = "fd00::1",
                                                    .protocol = IPPROTO_ICMPV6,
                                                    .ttl = 255,
                                                    .icmp_type = 135,
                                                    .nd_target = "fd00::1",
                                                    .nd_mac = host_macs[0]});
    CHECK_OUT(router, &frame, 0, &answer);
    frame = from_host(request);
    CHECK_OUT(router, &frame, 0, &answer);
    CHECK_SLOW(router, &stranger, ROUTER_SLOW_ND, 0, 0, 0);
    CHECK_SLOW(router, &moved, ROUTER_SLOW_ND, router->neighbours6[0], 0, 0);
    CHECK_SLOW(router, &dad, ROUTER_SLOW_ND, 0, 0, 0);
    CHECK_DROP(router, &elsewhere, ROUTER_DROP_NOT_ASKED);
    CHECK_DROP(router, &other_port, ROUTER_DROP_NOT_ASKED);
    CHECK_SLOW(router, &advert, ROUTER_SLOW_ND, 0, 0, 0);
    CHECK_DROP(router, &known, ROUTER_DROP_NOT_ASKED);
    /* It came through a router; its checksum is wrong. */
    frame = request;
    frame.bytes[14 + 7] = 254;
    CHECK_DROP(router, &frame, PCN_DROP_MALFORMED);
    frame = request;
    frame.bytes[14 + 40 + 2] ^= 1;
    CHECK_DROP(router, &frame, ROUTER_DROP_BAD_CHECKSUM);
}

/* ---- to the router itself ---- */

static struct pcn_frame echo_answer(const struct pcn_frame_spec *request)
{
    struct pcn_frame_spec spec = *request;

    spec.source = request->destination;
    spec.destination = request->source;
    spec.source_mac = port_macs[0];
    spec.destination_mac = host_macs[0];
    spec.icmp_type = request->icmp_type == 8 ? 0 : 129;
    spec.ttl = 64;
    return pcn_frame_make(&spec);
}

ROUTER_TEST(test_echo)
{
    static const uint8_t options[40] = {7, 39, 4};
    const struct pcn_frame_spec specs[] = {
        {.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 1, .icmp_type = 8, .ttl = 1},
        {.source = "10.0.0.2", .destination = "10.0.1.1", .protocol = 1, .icmp_type = 8, .payload_length = 1400},
        {.source = "198.51.100.1", .destination = "10.0.0.1", .protocol = 1, .icmp_type = 8, .payload_length = 3200},
        {.source = "10.0.0.2",
         .destination = "10.0.0.1",
         .protocol = 1,
         .icmp_type = 8,
         .options = options,
         .options_length = 40,
         .payload_length = 57},
        {.source = "fd00::2", .destination = "fd00::1", .protocol = 58, .icmp_type = 128, .ttl = 1},
        {.source = "fd00::2", .destination = "fd00:3::1", .protocol = 58, .icmp_type = 128, .payload_length = 1400},
        {.source = "fe80::2", .destination = "fe80::1", .protocol = 58, .icmp_type = 128, .payload_length = 33},
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(specs); i++) {
        for (unsigned int id = 0; id < 3; id++) {
            struct pcn_frame_spec spec = specs[i];
            struct pcn_frame frame, answer;

            /* The last one makes a checksum that wraps. */
            spec.icmp_id = (uint16_t)(1 + id * 0x7fff);
            spec.icmp_sequence = (uint16_t)(id * 3);
            frame = from_host(pcn_frame_make(&spec));
            answer = echo_answer(&spec);
            CHECK_OUT(router, &frame, 0, &answer);
            PCN_CHECK(pcn_frame_checksums_ok(&router->run.frame));
        }
    }
}

ROUTER_TEST(test_local)
{
    const struct pcn_frame_spec specs[] = {
        {.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 17, .payload_length = 20},
        {.source = "10.0.0.2", .destination = "10.0.1.1", .protocol = 6},
        {.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 17, .payload_length = 2, .ttl = 1},
        {.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 1, .icmp_type = 0},
        {.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 1, .icmp_type = 8, .more_fragments = true},
        {.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 1, .icmp_type = 8, .fragment_offset = 8},
        {.source = "fd00::2", .destination = "fd00::1", .protocol = 17, .payload_length = 20},
        {.source = "fd00::2", .destination = "fd00::1", .protocol = 58, .icmp_type = 128, .more_fragments = true},
        {.source = "fd00::2", .destination = "fd00::1", .protocol = 58, .icmp_type = 129},
        {.source = "fe80::2", .destination = "fe80::1", .protocol = 17, .payload_length = 3},
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(specs); i++) {
        const struct pcn_frame frame = from_host(pcn_frame_make(&specs[i]));

        CHECK_SLOW(router, &frame, ROUTER_SLOW_LOCAL, 0, 0, 0);
    }
}

ROUTER_TEST_AS(test_shadow, .cube = 1, .shadow = 1)
{
    const struct pcn_frame to_host[] = {
        from_host(pcn_frame_udp("10.0.0.2", "10.0.0.1", 1, 2, 9)),
        from_host(pcn_frame_udp("fd00::2", "fd00::1", 1, 2, 9)),
        from_host(pcn_frame_udp("fe80::2", "fe80::1", 1, 2, 9)),
        from_host(pcn_frame_echo("10.0.0.2", "10.0.0.1", 1, 2)),
        from_host(pcn_frame_echo("fd00::2", "fd00::1", 1, 2)),
        from_host(pcn_frame_udp("10.0.0.2", "10.0.1.255", 1, 2, 9)),
        pcn_frame_arp_reply(host_macs[0], "10.0.0.2", port_macs[0], "10.0.0.1"),
        pcn_frame_nd_advertise(host_macs[0], "fd00::2", port_macs[0], "fd00::1"),
    };
    const struct pcn_frame arp = pcn_frame_arp_request(host_macs[0], "10.0.0.2", "10.0.0.1");
    const struct pcn_frame arp_answer = pcn_frame_arp_reply(port_macs[0], "10.0.0.1", host_macs[0], "10.0.0.2");
    const struct pcn_frame stranger = pcn_frame_arp_reply("02:00:00:00:77:77", "10.0.0.77", port_macs[0], "10.0.0.1");
    const struct pcn_frame transit = from_host(pcn_frame_udp("10.0.0.2", "10.0.1.2", 1, 2, 9));
    const struct pcn_frame transit_out = forwarded(transit, 1, host_macs[1]);
    struct pcn_frame group = pcn_frame_udp("10.0.0.2", "224.0.0.5", 1, 2, 9);

    for (unsigned int port = 0; port < PORTS; port++)
        router->fast.data->hosts[port] = 1;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(to_host); i++)
        CHECK_HOST(router, &to_host[i]);
    pcn_frame_set_macs(&group, "01:00:5e:00:00:05", host_macs[0]);
    CHECK_HOST(router, &group);
    CHECK_OUT(router, &transit, 1, &transit_out);
    CHECK_OUT(router, &arp, 0, &arp_answer);
    /* The router did not ask: the namespace did. */
    CHECK_HOST(router, &stranger);
}

static const struct pcn_test tests[] = {
    {"packets leave by the route's port, to the next hop's MAC, with a TTL less by one", test_forward},
    {"the header's checksum is right at every TTL", test_checksum},
    {"options, fragments, extension headers and padding pass", test_odd_packets},
    {"the longest prefix wins, at once", test_longest},
    {"the trie is walked as it was written, to the last bit", test_walk},
    {"ECMP spreads flows, and keeps each together", test_ecmp},
    {"a TTL that is over goes to user space", test_ttl},
    {"what is longer than the MTU goes to user space", test_mtu},
    {"a GSO packet is measured by its segments", test_gso},
    {"headers that lie in fragments of the buffer are fetched", test_fragmented_buffer},
    {"blackhole, unreachable, broadcast and no route are told apart", test_nowhere},
    {"addresses that are not routed are dropped", test_martians},
    {"contradictions and wrong checksums are dropped", test_malformed},
    {"what is cut short is dropped", test_truncated},
    {"frames for others, tagged ones and other protocols are dropped", test_layer2},
    {"what has no known neighbour goes to user space", test_unresolved},
    {"each of many neighbours is found", test_many_neighbours},
    {"a neighbour's use is noted, and not at every packet", test_used},
    {"a dry run notes nothing", test_dry_run},
    {"ARP requests of those who are known are answered; what is new goes to user space", test_arp},
    {"so are neighbour solicitations", test_nd},
    {"echo requests are answered", test_echo},
    {"all else to the router goes to user space", test_local},
    {"with a shadow namespace it goes there", test_shadow},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("router_fast", tests, .skip = pcn_skip_unless_root);
}
