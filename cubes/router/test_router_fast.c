/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path alone, at TC and at XDP: what becomes of a packet, its bytes,
 * what is counted and what user space is told.
 *
 * Port p is 10.0.p.1/24 and fd00:p::1/64 and fe80::p:1, MAC 02:00:00:00:01:0p; behind it is
 * a host, .2 of both, MAC 02:00:00:00:02:0p. Packets come in by port 0.
 */
#include "router_fib.h"
#include <arpa/inet.h>
#include <harness/netns.h>
#include <harness/suite.h>
#include <harness/testrun.h>
#include <stdio.h>
#include <sys/mman.h>

#define PORTS 4
#define HOST_REDIRECT(router) ((router)->fast.xdp ? 4u : 7u) /* XDP_REDIRECT, TC_ACT_REDIRECT */

static const char *const port_macs[PORTS] = {"02:00:00:00:01:00", "02:00:00:00:01:01", "02:00:00:00:01:02",
                                             "02:00:00:00:01:03"};
static const char *const host_macs[PORTS] = {"02:00:00:00:02:00", "02:00:00:00:02:01", "02:00:00:00:02:02",
                                             "02:00:00:00:02:03"};

struct router {
    struct pcn_fast fast;
    struct router_fib *fib;
    struct router_fib_memory memory;
    struct router_port *ports;
    uint32_t neighbours4[PORTS], neighbours6[PORTS];
    struct pcn_fast_run run;
};

/* ---- set-up ---- */

static union pcn_address address_of(const char *text, uint8_t *ret_version)
{
    union pcn_address address = {};

    *ret_version = strchr(text, ':') ? 6 : 4;
    if (inet_pton(*ret_version == 6 ? AF_INET6 : AF_INET, text, &address) != 1) {
        fprintf(stderr, "no address: %s\n", text);
        exit(EXIT_FAILURE);
    }
    return address;
}

static uint64_t mac_of(const char *text)
{
    uint64_t mac = 0;

    pcn_parse_mac(text, (uint8_t *)&mac);
    return mac;
}

static uint64_t link_of(const char *mac, enum router_neighbour_state state)
{
    return mac_of(mac) | (uint64_t)state << ROUTER_LINK_STATE_SHIFT;
}

#define NODES 65536u
#define HOPS 8192u
#define NEIGHBOURS 4096u
#define BUCKETS 1024u

static void configure(struct bpf_object *object)
{
    const struct router_settings settings = {.root4_bits = ROUTER_ROOT4_BITS,
                                             .n_nodes = NODES,
                                             .n_hops = HOPS,
                                             .n_neighbours = NEIGHBOURS,
                                             .bucket_mask = BUCKETS - 1};

    pcn_run_set(object, "router_settings", &settings, sizeof(settings));
    pcn_run_trim(object, ROUTER_ROOT4, sizeof(uint32_t) << ROUTER_ROOT4_BITS);
    pcn_run_trim(object, ROUTER_ROOT6, sizeof(uint32_t) << ROUTER_ROOT6_BITS);
    pcn_run_trim(object, ROUTER_NODES, NODES * sizeof(union router_node));
    pcn_run_trim(object, ROUTER_HOPS, HOPS * sizeof(struct router_hop));
    pcn_run_trim(object, ROUTER_NEIGHBOURS, NEIGHBOURS * sizeof(struct router_neighbour));
    pcn_run_trim(object, ROUTER_BUCKETS, BUCKETS * sizeof(struct router_bucket));
}

static void *map_memory(const struct pcn_fast *fast, const char *name)
{
    struct bpf_map_info info = {};
    uint32_t size = sizeof(info);
    int map = pcn_fast_map(fast, name);
    void *memory;

    if (bpf_obj_get_info_by_fd(map, &info, &size) < 0)
        return NULL;
    memory = mmap(NULL, (info.value_size + 4095) & ~4095ul, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int router_map(struct router *router)
{
    struct router_fib_memory *memory = &router->memory;

    *memory = (struct router_fib_memory){.n_routes = 1000,
                                         .root4_bits = ROUTER_ROOT4_BITS,
                                         .n_nodes = NODES,
                                         .n_hops = HOPS,
                                         .n_neighbours = NEIGHBOURS,
                                         .n_buckets = BUCKETS,
                                         .clock_ms = pcn_test_now_ms};
    memory->root4 = map_memory(&router->fast, ROUTER_ROOT4);
    memory->root6 = map_memory(&router->fast, ROUTER_ROOT6);
    memory->nodes = map_memory(&router->fast, ROUTER_NODES);
    memory->hops = map_memory(&router->fast, ROUTER_HOPS);
    memory->neighbours = map_memory(&router->fast, ROUTER_NEIGHBOURS);
    memory->buckets = map_memory(&router->fast, ROUTER_BUCKETS);
    memory->data = map_memory(&router->fast, ROUTER_DATA);
    router->ports = map_memory(&router->fast, ROUTER_PORTS);
    if (!memory->root4 || !memory->root6 || !memory->nodes || !memory->hops || !memory->neighbours ||
        !memory->buckets || !memory->data || !router->ports)
        return -ENOMEM;
    memory->data->seed = 0x1234567;
    memory->data->refresh = 1;
    return router_fib_new(memory, &router->fib);
}

static int route_hops(struct router *router, const char *address, uint8_t length, const struct router_hop *hops,
                      unsigned int n)
{
    uint8_t version;
    union pcn_address network = address_of(address, &version);
    uint32_t hop;
    int r;

    r = router_fib_hops_get(router->fib, hops, n, &hop);
    return r < 0 ? r : router_fib_set(router->fib, version, &network, length, hop);
}

static int route(struct router *router, const char *address, uint8_t length, enum router_hop_kind kind, uint16_t port,
                 uint32_t index)
{
    const struct router_hop hop = {.kind = (uint8_t)kind, .port = port, .index = index};

    return route_hops(router, address, length, &hop, 1);
}

static int router_port_set_up(struct router *router, uint16_t port)
{
    char v4[INET_ADDRSTRLEN], v6[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
    union pcn_address address;
    uint8_t version;
    int r;

    snprintf(v4, sizeof(v4), "10.0.%u.1", port);
    snprintf(v6, sizeof(v6), "fd00:%u::1", port);
    snprintf(local, sizeof(local), "fe80::%u:1", port);
    router->ports[port] = (struct router_port){.mac = mac_of(port_macs[port]), .mtu = 1500};
    address = address_of(local, &version);
    memcpy(router->ports[port].link_local, &address, sizeof(address));
    r = route(router, v4, 24, ROUTER_HOP_CONNECTED, port, 0);
    r = r < 0 ? r : route(router, v4, 32, ROUTER_HOP_LOCAL, port, 0);
    r = r < 0 ? r : route(router, v6, 64, ROUTER_HOP_CONNECTED, port, 0);
    r = r < 0 ? r : route(router, v6, 128, ROUTER_HOP_LOCAL, port, 0);
    v4[strlen(v4) - 1] = '2';
    v6[strlen(v6) - 1] = '2';
    address = address_of(v4, &version);
    r = r < 0 ? r
              : router_fib_neighbour_set(router->fib, 4, &address, port,
                                         link_of(host_macs[port], ROUTER_NEIGHBOUR_REACHABLE),
                                         &router->neighbours4[port]);
    address = address_of(v6, &version);
    return r < 0 ? r
                 : router_fib_neighbour_set(router->fib, 6, &address, port,
                                            link_of(host_macs[port], ROUTER_NEIGHBOUR_REACHABLE),
                                            &router->neighbours6[port]);
}

static int router_new(bool xdp, struct pcn_cube_identity identity, struct router *router)
{
    const struct pcn_fast_spec spec = {
        .kind = "router", .xdp = xdp, .n_ports = PORTS, .identity = identity, .configure = configure};
    int r;

    r = pcn_fast_open(&spec, &router->fast);
    if (r >= 0)
        r = router_map(router);
    for (uint16_t port = 0; r >= 0 && port < PORTS; port++)
        r = router_port_set_up(router, port);
    if (r >= 0)
        r = route(router, "10.0.1.255", 32, ROUTER_HOP_BROADCAST, 1, 0);
    if (r >= 0)
        r = route(router, "192.168.0.0", 16, ROUTER_HOP_GATEWAY, 2, router->neighbours4[2]);
    if (r >= 0)
        r = route(router, "2001:db8::", 32, ROUTER_HOP_GATEWAY, 2, router->neighbours6[2]);
    return r;
}

static void router_done(struct router *router)
{
    router_fib_freep(&router->fib);
    /* The maps' memory goes with the process: there are a dozen mappings in all. */
    if (router->fast.object)
        pcn_fast_close(&router->fast);
}

/* A test that runs on a new router of either type. */
#define ROUTER_TEST_AS(name_, ...)                                                                                     \
    static void name_##_on(struct router *router);                                                                     \
    static void name_(void)                                                                                            \
    {                                                                                                                  \
        for (int xdp = 0; xdp < 2; xdp++) {                                                                            \
            _cleanup_(router_done) struct router router = {};                                                          \
                                                                                                                       \
            PCN_REQUIRE_OK(router_new(xdp, (struct pcn_cube_identity){__VA_ARGS__}, &router));                         \
            name_##_on(&router);                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static void name_##_on(struct router *router)
#define ROUTER_TEST(name_) ROUTER_TEST_AS(name_, .cube = 1)

/* ---- what is expected ---- */

static struct pcn_frame from_host(struct pcn_frame frame)
{
    pcn_frame_set_macs(&frame, port_macs[0], host_macs[0]);
    return frame;
}

/* As it leaves by a port, to a MAC. */
static struct pcn_frame forwarded(struct pcn_frame frame, uint16_t port, const char *mac)
{
    pcn_frame_set_macs(&frame, mac, port_macs[port]);
    pcn_frame_decrement_ttl(&frame);
    return frame;
}

#define CHECK_OUT(router, frame, port, expected) check_out(router, frame, port, expected, __LINE__)
static void check_out(struct router *router, const struct pcn_frame *frame, uint16_t port,
                      const struct pcn_frame *expected, unsigned int line)
{
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);

    pcn_check_ok(r, line, __FILE__, "run");
    pcn_check_int(router->run.verdict, PCN_SINK, line, __FILE__, "verdict");
    pcn_check_int(router->run.port, port, line, __FILE__, "port");
    pcn_check_bytes(router->run.frame.bytes, router->run.frame.length, expected->bytes, expected->length, line,
                    __FILE__);
}

/* Dropped for the reason, and for no other. */
#define CHECK_DROP(router, frame, reason) check_drop(router, frame, reason, __LINE__)
static void check_drop(struct router *router, const struct pcn_frame *frame, uint32_t reason, unsigned int line)
{
    uint64_t before = pcn_fast_drops(&router->fast, reason);
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);

    pcn_check_ok(r, line, __FILE__, "run");
    pcn_check_int(router->run.verdict, pcn_fast_dropped(&router->fast), line, __FILE__, "verdict");
    pcn_check_int((long long)(pcn_fast_drops(&router->fast, reason) - before), 1, line, __FILE__, "drops");
    pcn_check_int((long long)pcn_fast_records(&router->fast), 0, line, __FILE__, "records");
}

/* Sent up, unchanged. */
#define CHECK_SLOW(router, frame, reason, a, b, c) check_slow(router, frame, reason, a, b, c, __LINE__)
static void check_slow(struct router *router, const struct pcn_frame *frame, uint16_t reason, uint32_t a, uint32_t b,
                       uint32_t c, unsigned int line)
{
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);
    const struct pcn_packet_record *record = router->fast.records;

    pcn_check_ok(r, line, __FILE__, "run");
    if (!pcn_check_int((long long)pcn_fast_records(&router->fast), 1, line, __FILE__, "records"))
        return;
    pcn_check_int(record->record.reason, reason, line, __FILE__, "reason");
    pcn_check_int(record->record.port, 0, line, __FILE__, "port");
    pcn_check_int(record->record.words[0], a, line, __FILE__, "words[0]");
    pcn_check_int(record->record.words[1], b, line, __FILE__, "words[1]");
    pcn_check_int(record->record.words[2], c, line, __FILE__, "words[2]");
    pcn_check_bytes(record->frame.bytes, record->frame.length, frame->bytes, frame->length, line, __FILE__);
}

#define CHECK_HOST(router, frame) check_host(router, frame, __LINE__)
static void check_host(struct router *router, const struct pcn_frame *frame, unsigned int line)
{
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);

    pcn_check_ok(r, line, __FILE__, "run");
    pcn_check_int(router->run.verdict, HOST_REDIRECT(router), line, __FILE__, "verdict");
    pcn_check_bytes(router->run.frame.bytes, router->run.frame.length, frame->bytes, frame->length, line, __FILE__);
}

static uint32_t hop_of(const struct router *router, const char *address)
{
    uint8_t version;
    union pcn_address destination = address_of(address, &version);

    return router_fib_lookup(router->fib, version, &destination);
}

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
