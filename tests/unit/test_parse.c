/* SPDX-License-Identifier: Apache-2.0 */
/* What the fast path's parser makes of a frame, at TC and at XDP. */
#include <arpa/inet.h>
#include <harness/netns.h>
#include <harness/suite.h>
#include <harness/testrun.h>
#include <stdio.h>

static struct pcn_fast probes[2];

static int probes_open(void)
{
    const char *const objects[2] = {PCN_BUILD_DIR "/tests/unit/parse_probe_tc.o",
                                    PCN_BUILD_DIR "/tests/unit/parse_probe_xdp.o"};
    int r = 0;

    for (int xdp = 0; r == 0 && xdp < 2; xdp++) {
        const struct pcn_fast_spec spec = {.object = objects[xdp], .xdp = xdp, .n_ports = 2};

        r = pcn_fast_open(&spec, &probes[xdp]);
    }
    return r;
}

static int probes_close(void)
{
    for (int xdp = 0; xdp < 2; xdp++)
        pcn_fast_close(&probes[xdp]);
    return 0;
}

/* Whether it was parsed, and to what; both programs must say the same. */
static bool parse(const struct pcn_frame *frame, struct pcn_packet *ret_packet)
{
    struct pcn_fast_run runs[2] = {};

    for (int xdp = 0; xdp < 2; xdp++) {
        /* Fields of the packet before must not show. */
        struct pcn_packet context;

        memset(&context, 0xee, sizeof(context));
        context.port = 0;
        context.flags = 0;
        PCN_CHECK_OK(pcn_fast_run_with(&probes[xdp], PCN_INGRESS, &context, NULL, frame, &runs[xdp]));
        PCN_CHECK(runs[xdp].verdict == PCN_SINK || runs[xdp].verdict == pcn_fast_dropped(&probes[xdp]));
    }
    PCN_CHECK_EQ(runs[0].verdict == PCN_SINK, runs[1].verdict == PCN_SINK);
    *ret_packet = runs[0].packet;
    if (runs[0].verdict != PCN_SINK)
        return false;
    PCN_CHECK_BYTES(&runs[0].packet, sizeof(struct pcn_packet), &runs[1].packet, sizeof(struct pcn_packet));
    PCN_CHECK_EQ(ret_packet->flags, PCN_PACKET_PARSED);
    return true;
}

static bool parse_spec(const struct pcn_frame_spec *spec, struct pcn_packet *ret_packet)
{
    const struct pcn_frame frame = pcn_frame_make(spec);

    return parse(&frame, ret_packet);
}

static void check_address(const union pcn_address *address, const char *text)
{
    union pcn_address expected = {};

    PCN_REQUIRE(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, &expected) == 1);
    PCN_CHECK_BYTES(address, sizeof(*address), &expected, sizeof(expected));
}

/* Both families, every transport: offsets and what lies there. */
static void test_transports(void)
{
    const struct {
        uint8_t protocol, header;
    } transports[] = {{IPPROTO_TCP, 20}, {IPPROTO_UDP, 8}};
    struct pcn_packet packet;

    for (int six = 0; six < 2; six++) {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(transports); i++) {
            PCN_REQUIRE(parse_spec(&(struct pcn_frame_spec){.source = six ? "fd00::1" : "10.0.0.1",
                                                            .destination = six ? "fd00::2" : "10.0.0.2",
                                                            .protocol = transports[i].protocol,
                                                            .source_port = 1234,
                                                            .destination_port = 80,
                                                            .tcp_flags = 0x12,
                                                            .tos = 46 << 2,
                                                            .ttl = 9,
                                                            .payload_length = 33},
                                   &packet));
            PCN_CHECK_EQ(packet.ip_version, six ? 6 : 4);
            PCN_CHECK_EQ(packet.l3_offset, 14);
            PCN_CHECK_EQ(packet.l4_offset, six ? 54 : 34);
            PCN_CHECK_EQ(packet.payload_offset, packet.l4_offset + transports[i].header);
            PCN_CHECK_EQ(packet.ethertype, htons(six ? ETHERTYPE_IPV6 : ETHERTYPE_IP));
            PCN_CHECK_EQ(packet.n_vlans, 0);
            PCN_CHECK_EQ(packet.l4_protocol, transports[i].protocol);
            PCN_CHECK_EQ(packet.fragment, PCN_FRAGMENT_NONE);
            PCN_CHECK_EQ(packet.ttl, 9);
            PCN_CHECK_EQ(packet.dscp, 46);
            PCN_CHECK_EQ(packet.tcp_flags, i == 0 ? 0x12 : 0);
            PCN_CHECK_EQ(packet.source_port, htons(1234));
            PCN_CHECK_EQ(packet.destination_port, htons(80));
            PCN_CHECK_EQ(packet.hash, 0);
            PCN_CHECK_EQ(packet.segment_size, 0);
            check_address(&packet.source, six ? "fd00::1" : "10.0.0.1");
            check_address(&packet.destination, six ? "fd00::2" : "10.0.0.2");
        }
    }
}

static void test_icmp(void)
{
    struct pcn_packet packet;

    for (int six = 0; six < 2; six++) {
        struct pcn_frame_spec spec = {.source = six ? "fd00::1" : "10.0.0.1",
                                      .destination = six ? "fd00::2" : "10.0.0.2",
                                      .protocol = six ? 58 : 1,
                                      .icmp_type = six ? 128 : 8,
                                      .icmp_id = 0x4321};

        PCN_REQUIRE(parse_spec(&spec, &packet));
        PCN_CHECK_EQ(packet.icmp_type, six ? 128 : 8);
        PCN_CHECK_EQ(packet.icmp_code, 0);
        PCN_CHECK_EQ(packet.icmp_id, htons(0x4321));
        PCN_CHECK_EQ(packet.l4_offset, six ? 54 : 34);
        PCN_CHECK_EQ(packet.payload_offset, packet.l4_offset + 8);
        /* Errors have no id: what stands there is something else. */
        spec.icmp_type = six ? 1 : 3;
        spec.icmp_code = 4;
        PCN_REQUIRE(parse_spec(&spec, &packet));
        PCN_CHECK_EQ(packet.icmp_code, 4);
        PCN_CHECK_EQ(packet.icmp_id, 0);
    }
}

static void test_tags(void)
{
    struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 20);
    struct pcn_packet packet;

    pcn_frame_push_vlan(&frame, 0x2005, 0x8100);
    PCN_REQUIRE(parse(&frame, &packet));
    PCN_CHECK_EQ(packet.n_vlans, 1);
    PCN_CHECK_EQ(packet.vlan_tci, 0x2005);
    PCN_CHECK_EQ(packet.l3_offset, 18);
    PCN_CHECK_EQ(packet.l4_offset, 38);
    PCN_CHECK_EQ(packet.ip_version, 4);
    pcn_frame_push_vlan(&frame, 7, 0x88a8);
    PCN_REQUIRE(parse(&frame, &packet));
    PCN_CHECK_EQ(packet.n_vlans, 2);
    PCN_CHECK_EQ(packet.vlan_tci, 7);
    PCN_CHECK_EQ(packet.inner_vlan_tci, 0x2005);
    PCN_CHECK_EQ(packet.l3_offset, 22);
    PCN_CHECK_EQ(packet.destination_port, htons(2));
    /* A third one is another protocol. */
    pcn_frame_push_vlan(&frame, 8, 0x88a8);
    PCN_REQUIRE(parse(&frame, &packet));
    PCN_CHECK_EQ(packet.n_vlans, 2);
    PCN_CHECK_EQ(packet.ip_version, 0);
    PCN_CHECK_EQ(packet.ethertype, htons(0x8100));
    PCN_CHECK_EQ(packet.l4_offset, 0);
    frame.length = 17;
    PCN_CHECK(!parse(&frame, &packet));
}

static void test_options(void)
{
    static const uint8_t options[40] = {1, 1, 1};
    struct pcn_packet packet;

    for (uint8_t length = 4; length <= 40; length += 4) {
        PCN_REQUIRE(parse_spec(&(struct pcn_frame_spec){.source = "10.0.0.1",
                                                        .destination = "10.0.0.2",
                                                        .protocol = IPPROTO_TCP,
                                                        .options = options,
                                                        .options_length = length,
                                                        .tcp_options = options,
                                                        .tcp_options_length = length,
                                                        .destination_port = 80},
                               &packet));
        PCN_CHECK_EQ(packet.l4_offset, 34 + length);
        PCN_CHECK_EQ(packet.payload_offset, 54 + 2 * length);
        PCN_CHECK_EQ(packet.destination_port, htons(80));
    }
}

static void test_extensions(void)
{
    struct pcn_frame_spec spec = {.source = "fd00::1",
                                  .destination = "fd00::2",
                                  .protocol = IPPROTO_UDP,
                                  .destination_port = 53,
                                  .extensions = {{IPPROTO_HOPOPTS, 8},
                                                 {IPPROTO_DSTOPTS, 248},
                                                 {IPPROTO_ROUTING, 24},
                                                 {IPPROTO_AH, 24},
                                                 {IPPROTO_DSTOPTS, 16},
                                                 {IPPROTO_DSTOPTS, 8}}};
    const unsigned int sizes[] = {0, 8, 256, 280, 304, 320, 328};
    struct pcn_packet packet;

    for (unsigned int n = 0; n <= 6; n++) {
        spec.n_extensions = n;
        PCN_REQUIRE(parse_spec(&spec, &packet));
        PCN_CHECK_EQ(packet.l4_protocol, IPPROTO_UDP);
        PCN_CHECK_EQ(packet.l4_offset, 54 + sizes[n]);
        PCN_CHECK_EQ(packet.destination_port, htons(53));
    }
    /* The seventh: what is behind is not looked for. */
    spec.fragment = true;
    PCN_REQUIRE(parse_spec(&spec, &packet));
    PCN_CHECK_EQ(packet.l4_offset, 0);
    PCN_CHECK_EQ(packet.destination_port, 0);
}

static void test_fragments(void)
{
    const char *const addresses[2][2] = {{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}};
    struct pcn_packet packet;

    for (int six = 0; six < 2; six++) {
        struct pcn_frame_spec spec = {.source = addresses[six][0],
                                      .destination = addresses[six][1],
                                      .protocol = IPPROTO_UDP,
                                      .destination_port = 53,
                                      .payload_length = 64,
                                      .more_fragments = true};

        PCN_REQUIRE(parse_spec(&spec, &packet));
        PCN_CHECK_EQ(packet.fragment, PCN_FRAGMENT_FIRST);
        PCN_CHECK_EQ(packet.destination_port, htons(53));
        PCN_CHECK_EQ(packet.l4_offset, six ? 62 : 34);
        for (int last = 0; last < 2; last++) {
            spec.fragment_offset = 1480;
            spec.more_fragments = !last;
            PCN_REQUIRE(parse_spec(&spec, &packet));
            PCN_CHECK_EQ(packet.fragment, PCN_FRAGMENT_LATER);
            PCN_CHECK_EQ(packet.l4_protocol, IPPROTO_UDP);
            PCN_CHECK_EQ(packet.destination_port, 0);
            PCN_CHECK_EQ(packet.l4_offset, 0);
        }
    }
    /* A fragment header around a whole datagram. */
    PCN_REQUIRE(parse_spec(&(struct pcn_frame_spec){.source = "fd00::1",
                                                    .destination = "fd00::2",
                                                    .protocol = IPPROTO_UDP,
                                                    .destination_port = 53,
                                                    .fragment = true},
                           &packet));
    PCN_CHECK_EQ(packet.fragment, PCN_FRAGMENT_NONE);
    PCN_CHECK_EQ(packet.destination_port, htons(53));
}

static void test_others(void)
{
    const struct pcn_frame arp = pcn_frame_arp_request("02:00:00:00:00:01", "10.0.0.1", "10.0.0.2");
    struct pcn_packet packet;

    PCN_REQUIRE(parse(&arp, &packet));
    PCN_CHECK_EQ(packet.ip_version, 0);
    PCN_CHECK_EQ(packet.ethertype, htons(ETHERTYPE_ARP));
    PCN_CHECK_EQ(packet.l3_offset, 14);
    PCN_REQUIRE(parse_spec(
        &(struct pcn_frame_spec){.source = "10.0.0.1", .destination = "10.0.0.2", .protocol = 47, .payload_length = 3},
        &packet));
    PCN_CHECK_EQ(packet.l4_protocol, 47);
    PCN_CHECK_EQ(packet.l4_offset, 0);
    PCN_CHECK_EQ(packet.source_port, 0);
}

static void test_malformed(void)
{
    const struct {
        const char *source, *destination;
        uint8_t protocol;
        uint32_t fault;
    } cases[] = {
        {"10.0.0.1", "10.0.0.2", 17, PCN_FAULT_IP_VERSION},  {"10.0.0.1", "10.0.0.2", 17, PCN_FAULT_IHL_SHORT},
        {"10.0.0.1", "10.0.0.2", 17, PCN_FAULT_IHL_LONG},    {"10.0.0.1", "10.0.0.2", 17, PCN_FAULT_LENGTH_SHORT},
        {"10.0.0.1", "10.0.0.2", 17, PCN_FAULT_LENGTH_LONG}, {"10.0.0.1", "10.0.0.2", 17, PCN_FAULT_UDP_LENGTH},
        {"10.0.0.1", "10.0.0.2", 6, PCN_FAULT_TCP_OFFSET},   {"fd00::1", "fd00::2", 17, PCN_FAULT_IP_VERSION},
        {"fd00::1", "fd00::2", 17, PCN_FAULT_LENGTH_LONG},   {"fd00::1", "fd00::2", 17, PCN_FAULT_UDP_LENGTH},
        {"fd00::1", "fd00::2", 6, PCN_FAULT_TCP_OFFSET},
    };
    struct pcn_packet packet;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        struct pcn_frame_spec spec = {
            .source = cases[i].source, .destination = cases[i].destination, .protocol = cases[i].protocol};

        PCN_CHECK(parse_spec(&spec, &packet));
        spec.faults = cases[i].fault;
        PCN_CHECK(!parse_spec(&spec, &packet));
        PCN_CHECK_EQ(packet.flags & PCN_PACKET_PARSED, 0);
    }
    PCN_CHECK(pcn_fast_drops(&probes[0], PCN_DROP_MALFORMED) >= PCN_ARRAY_SIZE(cases));
}

/* Bytes changed at random: both programs say the same, and never point past the frame. */
static void test_noise(void)
{
    const struct pcn_frame seeds[] = {
        pcn_frame_tcp("10.0.0.1", "10.0.0.2", 1, 2, 2),
        pcn_frame_udp("fd00::1", "fd00::2", 1, 2, 40),
        pcn_frame_make(&(struct pcn_frame_spec){.source = "fd00::1",
                                                .destination = "fd00::2",
                                                .protocol = IPPROTO_TCP,
                                                .extensions = {{IPPROTO_HOPOPTS, 8}, {IPPROTO_ROUTING, 24}},
                                                .n_extensions = 2,
                                                .fragment = true}),
    };
    unsigned int state = 1, parsed = 0;

    for (int round = 0; round < 6000; round++) {
        struct pcn_frame frame = seeds[round % PCN_ARRAY_SIZE(seeds)];
        struct pcn_packet packet;

        for (int n = rand_r(&state) % 3 + 1; n > 0; n--)
            frame.bytes[12 + (size_t)rand_r(&state) % (frame.length - 12)] = (uint8_t)(rand_r(&state) % 70);
        /* The kernel runs no TC program on less than the IP header. */
        frame.length -= (size_t)rand_r(&state) % (frame.length - 54 + 1);
        if (!parse(&frame, &packet))
            continue;
        parsed++;
        if (!PCN_CHECK(packet.l3_offset <= frame.length && packet.l4_offset <= frame.length &&
                       packet.payload_offset <= frame.length))
            return;
    }
    PCN_CHECK(parsed > 500);
}

/* ---- live: what a test run does not make ---- */

/* Runs the TC probe on what device receives. */
static int probe_attach(const struct pcn_netns *netns, const char *device)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)pcn_netns_ifindex(netns, device), .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = probes[0].ingress);
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

/* The context of the CPU that parsed a packet for this port. */
static bool probe_context(uint16_t port, struct pcn_packet *ret_packet)
{
    static struct pcn_packet seen[PCN_CPUS_MAX];
    uint32_t zero = 0;

    if (bpf_map_lookup_elem(probes[0].packets, &zero, seen) < 0)
        return false;
    for (int cpu = 0; cpu < PCN_CPUS_MAX; cpu++) {
        if (seen[cpu].destination_port == htons(port)) {
            *ret_packet = seen[cpu];
            return true;
        }
    }
    return false;
}

/* A frame of more than a page from a packet socket lies in fragments but for its Ethernet header. */
static void test_fragmented_buffer(void)
{
    const char *const addresses[2][2] = {{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}};
    _cleanup_(pcn_netns_freep) struct pcn_netns *netns = NULL;
    static const struct pcn_packet clear[PCN_CPUS_MAX];
    uint64_t malformed = pcn_fast_drops(&probes[0], PCN_DROP_MALFORMED);
    uint32_t zero = 0;
    struct pcn_wire wire;

    PCN_REQUIRE_OK(pcn_netns_new("parse", &netns));
    PCN_REQUIRE_OK(pcn_veth_new(netns, "left", netns, "right"));
    PCN_REQUIRE_OK(pcn_netns_must(netns, "ip link set left mtu 9000 && ip link set right mtu 9000"));
    PCN_REQUIRE_OK(probe_attach(netns, "right"));
    PCN_REQUIRE_OK(pcn_wire_open(netns, "left", &wire));
    for (int six = 0; six < 2; six++) {
        const uint16_t port = (uint16_t)(4000 + six);
        const struct pcn_frame frame = pcn_frame_udp(addresses[six][0], addresses[six][1], 1, port, 6000);
        struct pcn_packet packet = {};

        PCN_CHECK_OK(bpf_map_update_elem(probes[0].packets, &zero, clear, BPF_ANY));
        PCN_CHECK_OK(pcn_wire_send(&wire, &frame));
        PCN_CHECK(PCN_WAIT(2000, probe_context(port, &packet)));
        PCN_CHECK_EQ(packet.ip_version, six ? 6 : 4);
        PCN_CHECK_EQ(packet.l4_offset, six ? 54 : 34);
        check_address(&packet.source, addresses[six][0]);
    }
    PCN_CHECK_EQ(pcn_fast_drops(&probes[0], PCN_DROP_MALFORMED), malformed);
    pcn_wire_close(&wire);
}

static const struct pcn_test tests[] = {
    {"TCP and UDP over both families", test_transports},
    {"ICMP, with an id where there is one", test_icmp},
    {"up to two tags are taken", test_tags},
    {"options move what is behind them", test_options},
    {"six extension headers are passed, and no more", test_extensions},
    {"later fragments have no ports", test_fragments},
    {"what is not known is no error", test_others},
    {"what contradicts itself is dropped", test_malformed},
    {"headers that lie in fragments of the buffer are fetched", test_fragmented_buffer},
    {"noise is read alike by both, and within the frame", test_noise},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("parse", tests, .setup = probes_open, .teardown = probes_close, .skip = pcn_skip_unless_root);
}
