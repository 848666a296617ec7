/* SPDX-License-Identifier: Apache-2.0 */
/* Outer headers: what is expected is made of the packet inside, by the builder of all tests. */
#include "test_lbdsr_rig.h"
#include <arpa/inet.h>
#include <stdio.h>

#define VIP6 "2001:db8::1"
#define CLIENT6 "2001:db8:1::2"
#define BACKEND_MAC "02:00:00:00:00:01"
#define INNER_MAC "02:00:00:00:77:01"
#define VNI 0xabcdefu

static const struct {
    uint8_t mode;
    uint16_t port;
    size_t more; /* bytes between outer IP and packet */
} modes[] = {{LBDSR_IPIP, 0, 0}, {LBDSR_GUE, 6080, 8}, {LBDSR_VXLAN, 4789, 30}, {LBDSR_GENEVE, 6081, 30}};

static bool vip_is6(int versions)
{
    return versions & 1;
}

static bool backend_is6(int versions)
{
    return versions & 2;
}

static void service_open(struct rig *rig, uint8_t mode, int versions)
{
    struct lbdsr_end end;

    ends_make(&end, 1, 1);
    if (backend_is6(versions)) {
        end.version = 6;
        (void)inet_pton(AF_INET6, "2001:db8:b::1", &end.address);
    }
    end.has_inner_mac = true;
    pcn_parse_mac(INNER_MAC, end.inner_mac);
    rig->leaves.has_vni = true;
    rig->leaves.vni = VNI;
    service_set(rig, vip_is6(versions) ? VIP6 : VIP, 80, IPPROTO_TCP, mode, &end, 1);
}

static void service_close(struct rig *rig)
{
    service_withdraw(rig, 0);
    rig->n_groups = 0;
}

static struct pcn_frame_spec inner_spec(int versions)
{
    return (struct pcn_frame_spec){.source = vip_is6(versions) ? CLIENT6 : CLIENT,
                                   .destination = vip_is6(versions) ? VIP6 : VIP,
                                   .protocol = IPPROTO_TCP,
                                   .source_port = 1000,
                                   .destination_port = 80,
                                   .tos = 0xb9,
                                   .id = vip_is6(versions) ? 0 : 0x1234,
                                   .dont_fragment = !vip_is6(versions),
                                   .payload_length = 33};
}

static uint16_t word_at(const struct pcn_frame *frame, size_t offset)
{
    return (uint16_t)(frame->bytes[offset] << 8 | frame->bytes[offset + 1]);
}

/* Behind outer IP and UDP. */
static size_t payload_make(const struct pcn_frame *inner, uint8_t mode, int versions, uint8_t *payload)
{
    const uint8_t vxlan[8] = {0x08, 0, 0, 0, VNI >> 16, VNI >> 8 & 255, VNI & 255},
                  geneve[8] = {0, 0, 0x65, 0x58, VNI >> 16, VNI >> 8 & 255, VNI & 255};
    size_t l3 = pcn_frame_l3(inner), size = 0;

    if (mode == LBDSR_VXLAN || mode == LBDSR_GENEVE) {
        memcpy(payload, mode == LBDSR_VXLAN ? vxlan : geneve, 8);
        pcn_parse_mac(INNER_MAC, payload + 8);
        pcn_parse_mac(OUR_MAC, payload + 14);
        payload[20] = vip_is6(versions) ? 0x86 : 0x08;
        payload[21] = vip_is6(versions) ? 0xdd : 0;
        size = 22;
    }
    memcpy(payload + size, inner->bytes + l3, inner->length - l3);
    return size + inner->length - l3;
}

/*
 * What inner becomes on its way to the backend. What spreads flows, a source address or port and a label, is taken from
 * the frame that was seen, if it is of those that it may be.
 */
static struct pcn_frame outer_expected(const struct pcn_frame *seen, const struct pcn_frame *inner, size_t index,
                                       int versions, const struct pcn_frame_spec *more)
{
    bool v6 = backend_is6(versions), udp = modes[index].port;
    size_t l3 = pcn_frame_l3(seen);
    uint8_t payload[2048];
    char source[INET6_ADDRSTRLEN];
    struct pcn_frame_spec spec = *more;

    spec.source_mac = OUR_MAC;
    spec.destination_mac = BACKEND_MAC;
    spec.destination = v6 ? "2001:db8:b::1" : "10.0.0.1";
    (void)inet_ntop(v6 ? AF_INET6 : AF_INET, seen->bytes + l3 + (v6 ? 8 : 12), source, sizeof(source));
    if (udp)
        (void)snprintf(source, sizeof(source), v6 ? "2001:db8:200::1" : "10.200.0.1");
    else
        PCN_CHECK(memcmp(source, v6 ? "2001:db8:200::" : "10.200.", v6 ? 14 : 7) == 0);
    spec.source = source;
    spec.protocol = udp ? IPPROTO_UDP : vip_is6(versions) ? IPPROTO_IPV6 : IPPROTO_IPIP;
    spec.payload = payload;
    spec.payload_length = payload_make(inner, modes[index].mode, versions, payload);
    if (udp) {
        spec.source_port = word_at(seen, l3 + (v6 ? 40 : 20));
        spec.destination_port = modes[index].port;
        spec.faults = PCN_FAULT_NO_UDP_CHECKSUM;
        PCN_CHECK(spec.source_port >= 0xc000);
    }
    if (v6)
        spec.flow_label = (uint32_t)(seen->bytes[l3 + 1] & 15) << 16 | word_at(seen, l3 + 2);
    return pcn_frame_make(&spec);
}

void test_outer(void)
{
    FOR_BOTH(1024)
    {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(modes) * 4; i++) {
            int versions = (int)(i % 4);
            struct pcn_frame_spec spec = inner_spec(versions);
            const struct pcn_frame_spec outer = {
                .tos = 0xb9, .id = backend_is6(versions) ? 0 : spec.id, .dont_fragment = !backend_is6(versions)};
            struct pcn_frame frame, expected, first;

            spec.source_port = (uint16_t)(1000 + 2 * i);
            service_open(rig, modes[i / 4].mode, versions);
            /* A new flow, one that becomes established, one that is; the same at other sizes. */
            for (int round = 0; round < 5; round++) {
                spec.tcp_flags = round ? ACK : SYN;
                spec.payload_length = 33 + 7 * (size_t)round;
                frame = pcn_frame_make(&spec);
                PCN_CHECK_EQ(give(rig, &frame), 0);
                PCN_CHECK_EQ(rig->run.port, BACK);
                expected = outer_expected(&rig->run.frame, &frame, i / 4, versions, &outer);
                PCN_CHECK_FRAME(&rig->run.frame, &expected);
                first = rig->run.frame;
            }
            spec.source_port++;
            frame = pcn_frame_make(&spec);
            PCN_CHECK_EQ(give(rig, &frame), 0);
            /* Another flow: it differs in what the backend's queues are told by. */
            PCN_CHECK(memcmp(first.bytes + 14, rig->run.frame.bytes + 14, 56) != 0);
            PCN_CHECK_EQ(lbdsr_tables_count(&rig->tables, rig->groups[0]->ends[0].number).packets, 6);
            service_close(rig);
        }
    }
}

/* What came in a segment gets the outer header that it would get if it had come without one. */
void test_outer_segment(void)
{
    FOR_BOTH(1024)
    {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(modes) * 4; i++) {
            int versions = (int)(i % 4);
            struct pcn_frame_spec spec = inner_spec(versions);
            const struct pcn_frame_spec outer = {
                .tos = 0xb9, .id = backend_is6(versions) ? 0 : spec.id, .dont_fragment = !backend_is6(versions)};
            const struct pcn_frame inner = pcn_frame_make(&spec),
                                   frame = in_segment(&inner, LBDSR_GENEVE, 5, &(struct pcn_frame_spec){});
            struct pcn_frame expected;

            rig->leaves.key.segment = lbdsr_segment_tenant(LBDSR_GENEVE, 5);
            service_open(rig, modes[i / 4].mode, versions);
            for (int round = 0; round < 3; round++) {
                PCN_CHECK_EQ(give(rig, &frame), 0);
                PCN_CHECK_EQ(rig->run.port, BACK);
                expected = outer_expected(&rig->run.frame, &inner, i / 4, versions, &outer);
                PCN_CHECK_FRAME(&rig->run.frame, &expected);
            }
            service_close(rig);
        }
    }
}

void test_outer_tagged(void)
{
    FOR_BOTH(1024)
    {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(modes) * 4; i++) {
            int versions = (int)(i % 4);
            struct pcn_frame_spec spec = inner_spec(versions);
            struct pcn_frame_spec outer = {.tos = 0xb9,
                                           .id = backend_is6(versions) ? 0 : spec.id,
                                           .dont_fragment = !backend_is6(versions),
                                           .n_vlans = 1};
            struct pcn_frame frame, expected;
            uint32_t number;

            /* At TC the kernel has taken the tag off the frame before we see it, and puts it on behind us. */
            if (!rig->fast.xdp)
                continue;
            service_open(rig, modes[i / 4].mode, versions);
            number = rig->groups[0]->ends[0].number;
            for (int round = 0; round < 4; round++) {
                bool tagged = round < 2, rewritten = round & 1;

                rig->tables.backends[number].flags &= (uint8_t)~LBDSR_VLAN;
                rig->tables.backends[number].flags |= rewritten ? LBDSR_VLAN : 0;
                rig->tables.backends[number].vlan = 9;
                spec.n_vlans = tagged;
                spec.vlans[0].tci = 0x6007;
                outer.n_vlans = tagged || rewritten;
                outer.vlans[0].tci = (tagged ? 0x6000 : 0) | (rewritten ? 9 : 7);
                frame = pcn_frame_make(&spec);
                PCN_CHECK_EQ(give(rig, &frame), 0);
                expected = outer_expected(&rig->run.frame, &frame, i / 4, versions, &outer);
                PCN_CHECK_FRAME(&rig->run.frame, &expected);
            }
            service_close(rig);
        }
    }
}

void test_outer_dscp(void)
{
    FOR_BOTH(1024)
    {
        for (int versions = 0; versions < 4; versions++) {
            struct pcn_frame_spec spec = inner_spec(versions);
            const struct pcn_frame_spec outer = {.tos = 10 << 2 | (spec.tos & 3),
                                                 .id = backend_is6(versions) ? 0 : spec.id,
                                                 .dont_fragment = !backend_is6(versions)};
            const struct pcn_frame frame = pcn_frame_make(&spec);
            struct pcn_frame expected;

            rig->leaves.has_dscp = true;
            rig->leaves.dscp = 10;
            service_open(rig, LBDSR_VXLAN, versions);
            PCN_CHECK_EQ(give(rig, &frame), 0);
            expected = outer_expected(&rig->run.frame, &frame, 2, versions, &outer);
            PCN_CHECK_FRAME(&rig->run.frame, &expected);
            service_close(rig);
        }
    }
}

void test_outer_too_big(void)
{
    FOR_BOTH(1024)
    {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(modes) * 4; i++) {
            int versions = (int)(i % 4);
            size_t overhead = (backend_is6(versions) ? 40 : 20) + modes[i / 4].more;
            struct pcn_frame_spec spec = inner_spec(versions);
            struct pcn_frame frame;

            spec.payload_length = MTU - overhead - (vip_is6(versions) ? 60 : 40);
            service_open(rig, modes[i / 4].mode, versions);
            frame = pcn_frame_make(&spec);
            PCN_CHECK_EQ(give(rig, &frame), 0);
            PCN_CHECK_EQ(rig->run.frame.length, 14 + MTU);
            spec.payload_length++;
            frame = pcn_frame_make(&spec);
            for (int round = 0; round < 2; round++) {
                PCN_CHECK_OK(pcn_fast_run(&rig->fast, PCN_INGRESS, FRONT, &frame, &rig->run));
                PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
                PCN_CHECK_EQ(rig->fast.records->record.reason, LBDSR_SLOW_TOO_BIG);
                PCN_CHECK_EQ(rig->fast.records->record.words[0], MTU - overhead);
                PCN_CHECK_EQ(rig->fast.records->record.words[1], vip_is6(versions) ? 6 : 4);
                PCN_CHECK_FRAME(&rig->fast.records->frame, &frame);
            }
            service_close(rig);
        }
    }
}

void test_vlan(void)
{
    FOR_BOTH(1024)
    {
        struct pcn_frame frame = tcp(CLIENT, 1000, SYN), expected = frame;
        struct lbdsr_end end;

        ends_make(&end, 1, 1);
        end.vlan = 20;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, &end, 1);
        memcpy(expected.bytes, end.mac, ETH_ALEN);
        PCN_CHECK_EQ(give(rig, &frame), 0);
        /* At TC it is beside the frame, where a test run does not show it: tests/e2e/lbdsr.sh sees it. */
        if (rig->fast.xdp)
            pcn_frame_push_vlan(&expected, 20, 0x8100);
        PCN_CHECK_FRAME(&rig->run.frame, &expected);
        if (!rig->fast.xdp)
            continue;
        pcn_frame_push_vlan(&frame, 0x6007, 0x8100);
        pcn_frame_pop_vlan(&expected);
        pcn_frame_push_vlan(&expected, 0x6014, 0x8100);
        PCN_CHECK_EQ(give(rig, &frame), 0);
        PCN_CHECK_FRAME(&rig->run.frame, &expected);
    }
}

/* ---- without an outer header ---- */

void test_rewrite(void)
{
    FOR_BOTH(1024)
    {
        for (int i = 0; i < 4; i++) {
            int versions = i & 1 ? 3 : 0;
            struct pcn_frame_spec spec = inner_spec(versions), wanted;
            struct pcn_frame frame, expected;

            rig->leaves.has_dscp = true;
            rig->leaves.dscp = 12;
            service_open(rig, LBDSR_L3DSR, versions);
            spec.source_port = (uint16_t)(1000 + i);
            for (int round = 0; round < 3; round++) {
                frame = pcn_frame_make(&spec);
                wanted = spec;
                wanted.destination = versions ? "2001:db8:b::1" : "10.0.0.1";
                wanted.destination_mac = BACKEND_MAC;
                wanted.tos = 12 << 2 | (spec.tos & 3);
                expected = pcn_frame_make(&wanted);
                PCN_CHECK_EQ(give(rig, &frame), 0);
                PCN_CHECK_FRAME(&rig->run.frame, &expected);
            }
            service_close(rig);
        }
    }
}

void test_echo6(void)
{
    FOR_BOTH(1024)
    {
        const struct pcn_frame echo = pcn_frame_echo(CLIENT6, VIP6, 7, 1);
        struct pcn_frame_spec spec = {.source = VIP6,
                                      .destination = CLIENT6,
                                      .protocol = IPPROTO_ICMPV6,
                                      .icmp_type = 129,
                                      .icmp_id = 7,
                                      .icmp_sequence = 1,
                                      .payload_length = 32};
        struct pcn_frame expected = pcn_frame_make(&spec);

        service_open(rig, LBDSR_L2DSR, 1);
        pcn_frame_set_macs(&expected, "02:00:00:00:00:01", "02:00:00:00:00:02");
        PCN_CHECK_EQ(give(rig, &echo), 0);
        PCN_CHECK_EQ(rig->run.port, FRONT);
        PCN_CHECK_FRAME(&rig->run.frame, &expected);
        PCN_CHECK(pcn_frame_checksums_ok(&rig->run.frame));
    }
}

void test_fragments6(void)
{
    FOR_BOTH(1024)
    {
        check_fragments(rig, (struct pcn_frame_spec){.source = CLIENT6,
                                                     .destination = VIP6,
                                                     .protocol = IPPROTO_UDP,
                                                     .destination_port = 53,
                                                     .extensions = {{.type = IPPROTO_DSTOPTS}},
                                                     .n_extensions = 1,
                                                     .payload_length = 64});
    }
}
