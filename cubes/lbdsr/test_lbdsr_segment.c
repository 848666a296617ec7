/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants that are segments: what is taken out of an outer header, and all that is not. */
#include "test_lbdsr_rig.h"
#include <arpa/inet.h>

#define VIP6 "2001:db8::1"
#define CLIENT6 "2001:db8:1::2"
#define INNER_MAC "02:00:00:00:33:01"
#define VNI 0xabc

static const struct pcn_frame_spec plain;

/* Backend number serves this service in a segment; 0: in none. */
static size_t serve(struct rig *rig, const char *vip, uint8_t protocol, uint8_t mode, uint32_t vni, uint32_t number)
{
    struct lbdsr_end end;

    ends_make(&end, number, 1);
    rig->leaves.key.segment = mode ? lbdsr_segment_tenant(mode, vni) : 0;
    return service_set(rig, vip, protocol == IPPROTO_TCP ? 80 : 0, protocol, LBDSR_L2DSR, &end, 1);
}

static struct pcn_frame inner_tcp(bool v6, uint16_t port, uint8_t flags)
{
    struct pcn_frame frame = pcn_frame_tcp(v6 ? CLIENT6 : CLIENT, v6 ? VIP6 : VIP, port, 80, flags);

    pcn_frame_set_macs(&frame, OUR_MAC, INNER_MAC);
    return frame;
}

/* It passes, as it is. */
static void check_untouched(struct rig *rig, const struct pcn_frame *frame)
{
    PCN_CHECK_EQ(give(rig, frame), 0);
    PCN_CHECK_EQ(rig->run.port, BACK);
    PCN_CHECK_FRAME(&rig->run.frame, frame);
}

void test_segment(void)
{
    FOR_BOTH(1024)
    {
        for (int i = 0; i < 16; i++) {
            bool inner6 = i & 1, outer6 = i & 2;
            uint8_t mode = i & 4 ? LBDSR_GENEVE : LBDSR_VXLAN;
            struct pcn_frame_spec outer = {.source = outer6 ? "2001:db8:55::1" : "198.51.100.200",
                                           .destination = outer6 ? TUNNEL6 : TUNNEL,
                                           .faults = i & 8 ? PCN_FAULT_NO_UDP_CHECKSUM : 0};
            const uint8_t mac[] = {2, 0, 0, 0, 0, 1};
            struct lbdsr_count count;
            size_t bytes = 0;

            /* At TC the kernel has taken the tag off before we see it: no test run shows one. */
            outer.n_vlans = rig->fast.xdp && i & 8 ? 1 : 0;
            outer.vlans[0].tci = 0x6007;
            serve(rig, inner6 ? VIP6 : VIP, IPPROTO_TCP, mode, VNI + (uint32_t)i, 1);
            for (int round = 0; round < 4; round++) {
                struct pcn_frame inner = inner_tcp(inner6, (uint16_t)(1000 + i), round ? ACK : SYN), expected = inner;
                const struct pcn_frame frame = in_segment(&inner, mode, VNI + (uint32_t)i, &outer);

                memcpy(expected.bytes, mac, sizeof(mac));
                bytes += inner.length;
                rig->fast.summed = !rig->fast.xdp && round == 3;
                PCN_CHECK_EQ(give(rig, &frame), 0);
                PCN_CHECK_EQ(rig->run.port, BACK);
                PCN_CHECK_FRAME(&rig->run.frame, &expected);
            }
            rig->fast.summed = false;
            count = lbdsr_tables_count(&rig->tables, rig->groups[0]->ends[0].number);
            PCN_CHECK_EQ(count.packets, 4);
            PCN_CHECK_EQ(count.bytes, bytes);
            service_withdraw(rig, 0);
            rig->n_groups = 0;
        }
        PCN_CHECK_EQ(tally(rig).misses, 16);
        PCN_CHECK_EQ(tally(rig).hits, 48);
        PCN_CHECK_EQ(rig->tables.data->shapes, 0);
    }
}

/* One flow, in each of these segments, beside all of them, and in a VLAN: each has its own backend. */
void test_segment_apart(void)
{
    FOR_BOTH(1024)
    {
        static const struct {
            uint8_t mode;
            uint32_t vni;
        } segments[] = {{LBDSR_VXLAN, 0},        {LBDSR_GENEVE, 0},        {LBDSR_VXLAN, 0x010005},
                        {LBDSR_VXLAN, 0x020005}, {LBDSR_GENEVE, 0xffffff}, {LBDSR_VXLAN, 10}};
        uint32_t n = PCN_ARRAY_SIZE(segments);

        for (uint32_t i = 0; i < n; i++)
            serve(rig, VIP, IPPROTO_TCP, segments[i].mode, segments[i].vni, 1 + i);
        serve(rig, VIP, IPPROTO_TCP, 0, 0, 1 + n);
        rig->leaves.key.vlan = 10;
        serve(rig, VIP, IPPROTO_TCP, 0, 0, 2 + n);
        PCN_CHECK_EQ(rig->tables.data->shapes, LBDSR_HAS_PORT | LBDSR_HAS_VLAN | LBDSR_HAS_SEGMENT);
        for (int round = 0; round < 3; round++) {
            struct pcn_frame inner = inner_tcp(false, 1000, round ? ACK : SYN), frame;

            for (uint32_t i = 0; i < n; i++) {
                frame = in_segment(&inner, segments[i].mode, segments[i].vni, &plain);
                PCN_CHECK_EQ(goes_to(rig, &frame), 1 + i);
            }
            PCN_CHECK_EQ(goes_to(rig, &inner), 1 + n);
            frame = inner;
            pcn_frame_push_vlan(&frame, 10, 0x8100);
            PCN_CHECK_EQ(goes_to(rig, &frame), 2 + n);
        }
        PCN_CHECK_EQ(tally(rig).created, n + 2);
        service_withdraw(rig, n + 1);
        PCN_CHECK_EQ(rig->tables.data->shapes, LBDSR_HAS_PORT | LBDSR_HAS_SEGMENT);
    }
}

/* Frames in a segment that has a service, and beside it, of which none is for that. */
static void check_others(struct rig *rig)
{
    const struct pcn_frame ours = inner_tcp(false, 1000, SYN);
    const struct pcn_frame inner[] = {
        pcn_frame_tcp(CLIENT, VIP, 1000, 81, SYN),        pcn_frame_udp(CLIENT, VIP, 1000, 80, 9),
        pcn_frame_tcp(CLIENT, "203.0.113.2", 1, 80, SYN), pcn_frame_tcp(CLIENT6, VIP6, 1, 80, SYN),
        pcn_frame_arp_request(INNER_MAC, CLIENT, TUNNEL), pcn_frame_echo(CLIENT, TUNNEL, 7, 1),
        pcn_frame_nd_solicit(INNER_MAC, CLIENT6, VIP6),   pcn_frame_tcp(CLIENT, TUNNEL, 1000, 80, SYN),
        pcn_frame_udp(CLIENT, TUNNEL, 1000, 4789, 100),
    };
    const struct pcn_frame_spec outer[] = {
        {.source = CLIENT, .destination = VIP},
        {.source = CLIENT6, .destination = "2001:db8:10::11"},
        {.destination_port = 4790},
        {.destination_port = 6081},
        {.more_fragments = true},
    };
    struct pcn_frame frame;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(inner); i++) {
        frame = in_segment(&inner[i], LBDSR_VXLAN, VNI, &plain);
        check_untouched(rig, &frame);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(outer); i++) {
        frame = in_segment(&ours, LBDSR_VXLAN, VNI, &outer[i]);
        check_untouched(rig, &frame);
    }
    frame = pcn_frame_make(&(struct pcn_frame_spec){.source = CLIENT,
                                                    .destination = "203.0.113.2",
                                                    .protocol = IPPROTO_TCP,
                                                    .fragment_offset = 64,
                                                    .payload_length = 64});
    frame = in_segment(&frame, LBDSR_VXLAN, VNI, &plain);
    check_untouched(rig, &frame);
    frame = in_segment(&ours, LBDSR_VXLAN, VNI + 1, &plain);
    check_untouched(rig, &frame);
    frame = in_segment(&ours, LBDSR_GENEVE, VNI, &plain);
    check_untouched(rig, &frame);
    /* Tagged inside; a later fragment outside. */
    frame = ours;
    pcn_frame_push_vlan(&frame, 10, 0x8100);
    frame = in_segment(&frame, LBDSR_VXLAN, VNI, &plain);
    check_untouched(rig, &frame);
    frame = in_segment(&ours, LBDSR_VXLAN, VNI, &(struct pcn_frame_spec){.fragment_offset = 64});
    check_untouched(rig, &frame);
}

/* User space gets it as it is. */
static void check_asked(struct rig *rig, const struct pcn_frame *frame)
{
    PCN_CHECK_OK(pcn_fast_run(&rig->fast, PCN_INGRESS, FRONT, frame, &rig->run));
    PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
    PCN_CHECK_EQ(rig->fast.records->record.reason, LBDSR_SLOW_SEGMENT);
    PCN_CHECK_FRAME(&rig->fast.records->frame, frame);
}

void test_segment_asked(void)
{
    FOR_BOTH(1024)
    {
        const struct pcn_frame arp = pcn_frame_arp_request(INNER_MAC, CLIENT, VIP);
        const struct pcn_frame solicit = pcn_frame_make(&(struct pcn_frame_spec){.source = CLIENT6,
                                                                                 .destination = VIP6,
                                                                                 .protocol = IPPROTO_ICMPV6,
                                                                                 .ttl = 255,
                                                                                 .icmp_type = 135,
                                                                                 .nd_target = VIP6,
                                                                                 .nd_mac = INNER_MAC});
        struct pcn_frame other = arp, frame;

        /* For all protocols, or for one, and in one segment each. */
        serve(rig, VIP, IPPROTO_TCP, LBDSR_VXLAN, VNI, 1);
        serve(rig, VIP6, LBDSR_ALL, LBDSR_VXLAN, VNI, 2);
        serve(rig, VIP, LBDSR_ALL, LBDSR_GENEVE, VNI, 3);
        serve(rig, VIP6, IPPROTO_TCP, LBDSR_GENEVE, VNI, 4);
        /* An echo, where no service takes it. */
        frame = pcn_frame_echo(CLIENT, VIP, 7, 1);
        frame = in_segment(&frame, LBDSR_VXLAN, VNI, &plain);
        check_asked(rig, &frame);
        frame = pcn_frame_echo(CLIENT6, VIP6, 7, 1);
        frame = in_segment(&frame, LBDSR_VXLAN, VNI, &plain);
        PCN_CHECK_EQ(goes_to(rig, &frame), 2);
        for (int i = 0; i < 8; i++) {
            const struct pcn_frame_spec outer6 = {.source = "2001:db8:55::1", .destination = TUNNEL6};
            const struct pcn_frame *asks = i & 1 ? &solicit : &arp;
            const struct pcn_frame_spec *outer = i & 2 ? &outer6 : &plain;
            uint8_t mode = i & 4 ? LBDSR_GENEVE : LBDSR_VXLAN;

            frame = in_segment(asks, mode, VNI, outer);
            check_asked(rig, &frame);
            frame = in_segment(asks, mode, VNI + 1, outer);
            check_untouched(rig, &frame);
        }
        /* An answer of somebody; what is cut short. */
        other.bytes[14 + 7] = 2;
        frame = in_segment(&other, LBDSR_VXLAN, VNI, &plain);
        check_untouched(rig, &frame);
        other = arp;
        other.length = 14 + 27;
        frame = in_segment(&other, LBDSR_VXLAN, VNI, &plain);
        check_untouched(rig, &frame);
        other = solicit;
        other.length -= 16;
        frame = in_segment(&other, LBDSR_VXLAN, VNI, &plain);
        check_untouched(rig, &frame);
    }
}

void test_segment_untouched(void)
{
    FOR_BOTH(1024)
    {
        /* Bytes of the segment's header: of Geneve version, control packet, critical options, another protocol. */
        static const struct {
            uint8_t mode, offset, value;
        } bits[] = {{LBDSR_VXLAN, 0, 0x00},  {LBDSR_GENEVE, 0, 0x40}, {LBDSR_GENEVE, 1, 0x80},
                    {LBDSR_GENEVE, 1, 0x40}, {LBDSR_GENEVE, 2, 0x08}, {LBDSR_GENEVE, 0, 0x3f}};
        const struct pcn_frame ours = inner_tcp(false, 1000, SYN);
        struct pcn_frame frame;

        serve(rig, VIP, IPPROTO_TCP, LBDSR_VXLAN, VNI, 1);
        serve(rig, VIP, IPPROTO_TCP, LBDSR_GENEVE, VNI + 4, 2);
        /* Services without a segment take nothing of it. */
        serve(rig, "203.0.113.2", IPPROTO_TCP, 0, 0, 3);
        serve(rig, VIP6, LBDSR_ALL, 0, 0, 4);
        check_others(rig);
        for (size_t i = 0; i < PCN_ARRAY_SIZE(bits); i++) {
            frame = in_segment(&ours, bits[i].mode, bits[i].mode == LBDSR_VXLAN ? VNI : VNI + 4,
                               &(struct pcn_frame_spec){.faults = PCN_FAULT_NO_UDP_CHECKSUM});
            frame.bytes[14 + 28 + bits[i].offset] = bits[i].value;
            check_untouched(rig, &frame);
        }
        /* One of all protocols gets echoes. */
        serve(rig, VIP6, LBDSR_ALL, LBDSR_VXLAN, VNI + 1, 5);
        frame = pcn_frame_echo(CLIENT6, VIP6, 7, 1);
        frame = in_segment(&frame, LBDSR_VXLAN, VNI + 1, &plain);
        PCN_CHECK_EQ(goes_to(rig, &frame), 5);
        frame = in_segment(&ours, LBDSR_GENEVE, VNI + 4, &plain);
        PCN_CHECK_EQ(goes_to(rig, &frame), 2);
        PCN_CHECK_EQ(tally(rig).misses, 2);
    }
}

/* Outer headers are right, and what is behind them ends too soon. */
void test_segment_cut(void)
{
    FOR_BOTH(1024)
    {
        serve(rig, VIP, IPPROTO_TCP, LBDSR_VXLAN, VNI, 1);
        serve(rig, VIP6, IPPROTO_TCP, LBDSR_GENEVE, VNI, 2);
        for (int v6 = 0; v6 < 2; v6++) {
            const struct pcn_frame inner = inner_tcp(v6, 1000, SYN);
            uint8_t mode = v6 ? LBDSR_GENEVE : LBDSR_VXLAN;
            struct pcn_frame_spec outer = {.faults = PCN_FAULT_NO_UDP_CHECKSUM};
            size_t whole = 8 + inner.length + (v6 ? VNI % 64 * 4 : 0);

            for (size_t length = 1; length < whole; length++) {
                struct pcn_frame frame;

                outer.payload_length = length;
                frame = in_segment(&inner, mode, VNI, &outer);
                check_untouched(rig, &frame);
                /* Bytes behind the outer packet are none of its. */
                outer.pad_to = whole + 100;
                frame = in_segment(&inner, mode, VNI, &outer);
                memcpy(frame.bytes + 42 + length, (const uint8_t[]){0xff, 0xff, 0xff, 0xff}, 4);
                check_untouched(rig, &frame);
                outer.pad_to = 0;
            }
            outer.payload_length = whole;
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){in_segment(&inner, mode, VNI, &outer)}[0]), v6 ? 2 : 1);
        }
        PCN_CHECK_EQ(tally(rig).misses, 2);
    }
}

static struct pcn_frame error_about(const struct pcn_frame *sent)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source = "192.0.2.9",
                                                   .destination = VIP,
                                                   .protocol = IPPROTO_ICMP,
                                                   .icmp_type = 3,
                                                   .icmp_code = 4,
                                                   .icmp_word = 1400,
                                                   .payload = sent->bytes + 14,
                                                   .payload_length = 28});
}

void test_segment_rare(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[10];
        struct pcn_frame frame, inner;

        ends_make(ends, 1, 10);
        rig->leaves.key.segment = lbdsr_segment_tenant(LBDSR_VXLAN, VNI);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        service_set(rig, VIP, 53, IPPROTO_UDP, LBDSR_L2DSR, ends, 10);
        rig->leaves.key.segment = 0;
        service_set(rig, VIP, 81, IPPROTO_TCP, LBDSR_L2DSR, ends, 10);
        for (uint16_t i = 0; i < 20; i++) {
            struct pcn_frame_spec piece = {.source = CLIENT,
                                           .destination = VIP,
                                           .protocol = IPPROTO_UDP,
                                           .id = i,
                                           .source_port = i,
                                           .destination_port = 53,
                                           .payload_length = 64,
                                           .more_fragments = true};
            uint32_t to;

            frame = in_segment(&(struct pcn_frame[]){inner_tcp(false, (uint16_t)(1000 + i), SYN)}[0], LBDSR_VXLAN, VNI,
                               &plain);
            to = goes_to(rig, &frame);
            inner = pcn_frame_tcp(VIP, CLIENT, 80, (uint16_t)(1000 + i), ACK);
            inner = error_about(&inner);
            frame = in_segment(&inner, LBDSR_VXLAN, VNI, &plain);
            PCN_CHECK_EQ(goes_to(rig, &frame), to);
            PCN_CHECK_EQ(rig->run.frame.length, inner.length);
            /* About a packet of a service without a segment: it stays where it is. */
            inner = pcn_frame_tcp(VIP, CLIENT, 81, 1, ACK);
            inner = error_about(&inner);
            frame = in_segment(&inner, LBDSR_VXLAN, VNI, &plain);
            check_untouched(rig, &frame);

            inner = pcn_frame_make(&piece);
            frame = in_segment(&inner, LBDSR_VXLAN, VNI, &plain);
            to = goes_to(rig, &frame);
            piece.more_fragments = false;
            piece.fragment_offset = 72;
            inner = pcn_frame_make(&piece);
            frame = in_segment(&inner, LBDSR_VXLAN, VNI, &plain);
            PCN_CHECK_EQ(goes_to(rig, &frame), to);
            piece.id = 0x100;
            inner = pcn_frame_make(&piece);
            frame = in_segment(&inner, LBDSR_VXLAN, VNI, &plain);
            PCN_CHECK_EQ(give(rig, &frame), LBDSR_DROP_FRAGMENT);
        }
    }
}

void test_segment_too_big(void)
{
    FOR_BOTH(1024)
    {
        struct pcn_frame_spec spec = {.source = CLIENT,
                                      .destination = VIP,
                                      .protocol = IPPROTO_TCP,
                                      .source_port = 1000,
                                      .destination_port = 80,
                                      .dont_fragment = true,
                                      .payload_length = MTU - 60};
        struct lbdsr_end end;
        struct pcn_frame inner = pcn_frame_make(&spec), frame;

        ends_make(&end, 1, 1);
        rig->leaves.key.segment = lbdsr_segment_tenant(LBDSR_VXLAN, VNI);
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_IPIP, &end, 1);
        frame = in_segment(&inner, LBDSR_VXLAN, VNI, &plain);
        PCN_CHECK_EQ(give(rig, &frame), 0);
        PCN_CHECK_EQ(rig->run.frame.length, 14 + MTU);
        spec.payload_length++;
        inner = pcn_frame_make(&spec);
        frame = in_segment(&inner, LBDSR_VXLAN, VNI, &plain);
        PCN_CHECK_EQ(give(rig, &frame), LBDSR_DROP_TOO_BIG);
        PCN_CHECK_EQ(pcn_fast_records(&rig->fast), 0);
    }
}

void test_segment_gso(void)
{
    FOR_BOTH(1024)
    {
        const struct __sk_buff skb = {.gso_segs = 2, .gso_size = 20};
        const struct pcn_frame inner = inner_tcp(false, 1000, ACK), ours = in_segment(&inner, LBDSR_VXLAN, VNI, &plain),
                               other = in_segment(&inner, LBDSR_VXLAN, VNI + 1, &plain);

        if (rig->fast.xdp)
            continue;
        serve(rig, VIP, IPPROTO_TCP, LBDSR_VXLAN, VNI, 1);
        PCN_CHECK_OK(pcn_fast_run_with(&rig->fast, PCN_INGRESS, NULL, &skb, &ours, &rig->run));
        PCN_CHECK_EQ(rig->run.verdict, pcn_fast_dropped(&rig->fast));
        PCN_CHECK_EQ(pcn_fast_drops(&rig->fast, LBDSR_DROP_ENCAPSULATION), 1);
        PCN_CHECK_OK(pcn_fast_run_with(&rig->fast, PCN_INGRESS, NULL, &skb, &other, &rig->run));
        PCN_CHECK_EQ(rig->run.verdict, PCN_SINK);
        PCN_CHECK_FRAME(&rig->run.frame, &other);
    }
}

void test_segment_tunnel(void)
{
    FOR_BOTH(1024)
    {
        const struct pcn_frame arp = pcn_frame_arp_request("02:00:00:00:00:01", CLIENT, TUNNEL),
                               answer = pcn_frame_arp_reply(OUR_MAC, TUNNEL, "02:00:00:00:00:01", CLIENT),
                               echo = pcn_frame_echo(CLIENT, TUNNEL, 7, 1),
                               solicit = pcn_frame_nd_solicit("02:00:00:00:00:01", CLIENT6, TUNNEL6);
        const struct pcn_frame inner = inner_tcp(false, 1000, SYN), ours = in_segment(&inner, LBDSR_VXLAN, VNI, &plain),
                               other = in_segment(&inner, LBDSR_VXLAN, VNI + 1, &plain);

        serve(rig, VIP, IPPROTO_TCP, LBDSR_VXLAN, VNI, 1);
        PCN_CHECK_EQ(give(rig, &arp), 0);
        PCN_CHECK_EQ(rig->run.port, FRONT);
        PCN_CHECK_BYTES(rig->run.frame.bytes, 42, answer.bytes, 42);
        PCN_CHECK_EQ(give(rig, &echo), 0);
        PCN_CHECK_EQ(rig->run.port, FRONT);
        PCN_CHECK_OK(pcn_fast_run(&rig->fast, PCN_INGRESS, FRONT, &solicit, &rig->run));
        PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
        PCN_CHECK_EQ(rig->fast.records->record.reason, LBDSR_SLOW_SOLICITED);
        /* Segments that are nobody's may be balanced as they are. */
        serve(rig, TUNNEL, LBDSR_ALL, 0, 0, 2);
        for (int round = 0; round < 3; round++) {
            PCN_CHECK_EQ(goes_to(rig, &ours), 1);
            PCN_CHECK_EQ(rig->run.frame.length, inner.length);
            PCN_CHECK_EQ(goes_to(rig, &other), 2);
            PCN_CHECK_EQ(rig->run.frame.length, other.length);
        }
    }
}
