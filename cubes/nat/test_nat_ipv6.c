/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 at TC and at XDP: sessions by the same rules as IPv4's, and NPTv6, which has none. */
#include "test_nat_rig.h"
#include <stdio.h>

#define A6 "fd00:1::a"
#define A7 "fd00:1::b"
#define B6 "2001:db8:ffff::2"
#define R6 "2001:db8:eeee::9"
#define E6 "2001:db8::1"
#define F6 "2001:db8::2"

/* ---- sessions ---- */

static void test_sources(void)
{
    FOR_BOTH(64)
    {
        uint16_t port;

        add_wide(rig, NAT_SNAT, "fd00:1::", 64, E6);
        becomes(rig, OUT, tcp(A6, 1001, B6, 80, SYN), tcp(E6, 1001, B6, 80, SYN));
        becomes(rig, IN, tcp(B6, 80, E6, 1001, SYN | ACK), tcp(B6, 80, A6, 1001, SYN | ACK));
        becomes(rig, OUT, tcp(A6, 1001, B6, 80, ACK), tcp(E6, 1001, B6, 80, ACK));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp(A7, 1001, B6, 80, SYN)}[0]), 0);
        port = pcn_frame_source_port(&rig->run.frame);
        PCN_CHECK(port != 1001 && port % 2 == 1 && port < 1024);
        becomes(rig, IN, tcp(B6, 80, E6, port, SYN | ACK), tcp(B6, 80, A7, 1001, SYN | ACK));
        becomes(rig, OUT, udp(A6, 5000, B6, 53), udp(E6, 5000, B6, 53));
        becomes(rig, IN, udp(B6, 53, E6, 5000), udp(B6, 53, A6, 5000));
        becomes(rig, IN, udp(R6, 53, E6, 5000), udp(R6, 53, E6, 5000));
        becomes(rig, OUT, echo(A6, B6, false, 7), echo(E6, B6, false, 7));
        becomes(rig, IN, echo(B6, E6, true, 7), echo(B6, A6, true, 7));
        PCN_CHECK_EQ(n_places(rig), 8);
        check_pairs(rig);
        /* Beside the rule, and IPv4, nothing changes. */
        becomes(rig, OUT, udp("fd00:2::1", 1, B6, 53), udp("fd00:2::1", 1, B6, 53));
        becomes(rig, OUT, udp(A, 1, B, 53), udp(A, 1, B, 53));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp(A6, 9, B6, 80, ACK)}[0]), NAT_DROP_INVALID);
    }
}

static void test_pool(void)
{
    FOR_BOTH(64)
    {
        unsigned int n_first = 0;

        add_wide(rig, NAT_SNAT, "fd00:1::", 64, "2001:db8::ffff:ffff:ffff:ffff");
        rig->lines[0].rule.n_addresses = 2;
        add_wide(rig, NAT_EXEMPT, R6, 128, "::");
        for (unsigned int i = 1; i <= 32; i++) {
            struct pcn_frame first, second;
            char source[32];

            (void)snprintf(source, sizeof(source), "fd00:1::%x", i);
            first = udp("2001:db8::ffff:ffff:ffff:ffff", (uint16_t)(1000 + i), B6, 53);
            second = udp("2001:db8:0:1::", (uint16_t)(1000 + i), B6, 53);
            PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(source, (uint16_t)(1000 + i), B6, 53)}[0]), 0);
            n_first += memcmp(rig->run.frame.bytes, first.bytes, first.length) == 0;
            PCN_CHECK(memcmp(rig->run.frame.bytes, first.bytes, first.length) == 0 ||
                      memcmp(rig->run.frame.bytes, second.bytes, second.length) == 0);
        }
        PCN_CHECK(n_first > 4 && n_first < 28);
        becomes(rig, OUT, udp(A6, 1, R6, 53), udp(A6, 1, R6, 53));
    }
}

static void test_masquerade(void)
{
    FOR_BOTH(64)
    {
        add_line(rig, (struct nat_line){.rule = {.kind = NAT_MASQUERADE, .version = 6}});
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(A6, 1, B6, 53)}[0]), NAT_DROP_NO_ADDRESS);
        rig->nat.settings->address6 = wide(E6);
        becomes(rig, OUT, udp(A6, 1, B6, 53), udp(E6, 1, B6, 53));
        becomes(rig, OUT, tcp(E6, 22, B6, 999, SYN | ACK), tcp(E6, 22, B6, 999, SYN | ACK));
        becomes(rig, OUT, udp(A, 1, B, 53), udp(A, 1, B, 53));
        /* What is neither an echo nor an error would show who it is. */
        PCN_CHECK_EQ(give(rig, OUT,
                          &(struct pcn_frame[]){pcn_frame_make(&(struct pcn_frame_spec){
                              .source = A6, .destination = B6, .protocol = IPPROTO_ICMPV6, .icmp_type = 139})}[0]),
                     NAT_DROP_INVALID);
        /* What is of the link stays on it. */
        becomes(rig, OUT, udp(A6, 1, "ff02::1", 53), udp(A6, 1, "ff02::1", 53));
        becomes(rig, OUT, udp("fe80::1", 1, B6, 53), udp("fe80::1", 1, B6, 53));
        becomes(rig, OUT, pcn_frame_nd_solicit("02:00:00:00:00:01", A6, B6),
                pcn_frame_nd_solicit("02:00:00:00:00:01", A6, B6));
        becomes(rig, OUT, pcn_frame_nd_advertise("02:00:00:00:00:01", A6, "02:00:00:00:00:02", B6),
                pcn_frame_nd_advertise("02:00:00:00:00:01", A6, "02:00:00:00:00:02", B6));
    }
}

static void test_destinations(void)
{
    FOR_BOTH(64)
    {
        add_wide(rig, NAT_DNAT, E6, 0, A7);
        add_line(rig, (struct nat_line){.wide = wide(E6),
                                        .tcp = true,
                                        .rule = {.kind = NAT_PORT_FORWARDING,
                                                 .version = 6,
                                                 .wide = wide(A6),
                                                 .n_addresses = 1,
                                                 .first = 8000,
                                                 .last = 8009,
                                                 .internal = 80}});
        becomes(rig, IN, tcp(B6, 999, E6, 8003, SYN), tcp(B6, 999, A6, 83, SYN));
        becomes(rig, OUT, tcp(A6, 83, B6, 999, SYN | ACK), tcp(E6, 8003, B6, 999, SYN | ACK));
        becomes(rig, IN, udp(B6, 999, E6, 8003), udp(B6, 999, A7, 8003));
        becomes(rig, IN, tcp(B6, 999, E6, 8010, SYN), tcp(B6, 999, A7, 8010, SYN));
        becomes(rig, IN, echo(B6, E6, false, 3), echo(B6, A7, false, 3));
        becomes(rig, OUT, echo(A7, B6, true, 3), echo(E6, B6, true, 3));
        becomes(rig, IN, udp(B6, 999, F6, 8003), udp(B6, 999, F6, 8003));
    }
}

static void test_networks(void)
{
    FOR_BOTH(64)
    {
        add_wide(rig, NAT_NETMAP, "fd00:1::", 72, "2001:db8:0:5::");
        becomes(rig, OUT, udp("fd00:1::12:3456", 1, B6, 53), udp("2001:db8:0:5::12:3456", 1, B6, 53));
        becomes(rig, IN, udp(B6, 53, "2001:db8:0:5::12:3456", 1), udp(B6, 53, "fd00:1::12:3456", 1));
        becomes(rig, IN, udp(B6, 9, "2001:db8:0:5::7", 9), udp(B6, 9, "fd00:1::7", 9));
        becomes(rig, IN, udp(B6, 9, "2001:db8:0:5:100::7", 9), udp(B6, 9, "2001:db8:0:5:100::7", 9));
    }
}

static void test_errors(void)
{
    FOR_BOTH(64)
    {
        uint16_t port;

        add_wide(rig, NAT_SNAT, "fd00:1::", 64, E6);
        add_wide(rig, NAT_DNAT, F6, 0, A7);
        becomes(rig, OUT, udp(A6, 5000, B6, 53), udp(E6, 5000, B6, 53));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(A7, 5000, B6, 53)}[0]), 0);
        port = pcn_frame_source_port(&rig->run.frame);
        becomes(rig, OUT, tcp(A6, 5000, B6, 80, SYN), tcp(E6, 5000, B6, 80, SYN));
        becomes(rig, OUT, echo(A6, B6, false, 7), echo(E6, B6, false, 7));
        for (size_t bytes = 48; bytes <= 60; bytes += 12) {
            becomes(rig, IN, error_about(R6, E6, udp(E6, 5000, B6, 53), bytes),
                    error_about(R6, A6, udp(A6, 5000, B6, 53), bytes));
            becomes(rig, IN, error_about(R6, E6, udp(E6, port, B6, 53), bytes),
                    error_about(R6, A7, udp(A7, 5000, B6, 53), bytes));
            becomes(rig, IN, error_about(R6, E6, tcp(E6, 5000, B6, 80, SYN), bytes),
                    error_about(R6, A6, tcp(A6, 5000, B6, 80, SYN), bytes));
        }
        becomes(rig, IN, error_about(R6, E6, echo(E6, B6, false, 7), 60),
                error_about(R6, A6, echo(A6, B6, false, 7), 60));
        becomes(rig, IN, error_about(R6, F6, udp(E6, 5000, B6, 53), 48),
                error_about(R6, F6, udp(E6, 5000, B6, 53), 48));
        /* The other way. */
        becomes(rig, IN, udp(B6, 999, F6, 9), udp(B6, 999, A7, 9));
        becomes(rig, OUT, error_about(A7, B6, udp(B6, 999, A7, 9), 60), error_about(F6, B6, udp(B6, 999, F6, 9), 60));
        becomes(rig, OUT, error_about("fd00:1::fe", B6, udp(B6, 999, A7, 9), 48),
                error_about(F6, B6, udp(B6, 999, F6, 9), 48));
    }
}

static void test_headers(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame lost = fragment(A6, 5000, B6, 53, 6, 72);
        struct pcn_frame_spec spec = {.source = A6,
                                      .destination = B6,
                                      .protocol = IPPROTO_TCP,
                                      .source_port = 1,
                                      .destination_port = 80,
                                      .tcp_flags = SYN,
                                      .vlans = {{.tci = 5}},
                                      .n_vlans = 1,
                                      .extensions = {{.type = IPPROTO_HOPOPTS}, {.type = IPPROTO_DSTOPTS, .size = 24}},
                                      .n_extensions = 2};
        struct pcn_frame_spec after = spec;

        after.source = E6;
        add_wide(rig, NAT_SNAT, "fd00:1::", 64, E6);
        becomes(rig, OUT, pcn_frame_make(&spec), pcn_frame_make(&after));
        spec.n_vlans = after.n_vlans = 0;
        becomes(rig, IN, error_about(R6, E6, pcn_frame_make(&after), 92),
                error_about(R6, A6, pcn_frame_make(&spec), 92));
        becomes(rig, OUT, fragment(A6, 5000, B6, 53, 5, 0), fragment(E6, 5000, B6, 53, 5, 0));
        becomes(rig, OUT, fragment(A6, 5000, B6, 53, 5, 72), fragment(E6, 5000, B6, 53, 5, 72));
        PCN_CHECK_EQ(give(rig, OUT, &lost), NAT_DROP_FRAGMENT);
    }
}

/* No checksum makes up for the change of an address, so the sum of the whole packet changes: the rig looks at it. */
static void test_unsummed(void)
{
    FOR_BOTH(64)
    {
        struct pcn_frame_spec spec = {.source = A6,
                                      .destination = B6,
                                      .protocol = IPPROTO_UDP,
                                      .source_port = 5000,
                                      .destination_port = 53,
                                      .payload_length = 21,
                                      .faults = PCN_FAULT_NO_UDP_CHECKSUM};
        struct pcn_frame_spec after = spec;

        after.source = E6;
        add_wide(rig, NAT_SNAT, "fd00:1::", 64, E6);
        becomes(rig, OUT, pcn_frame_make(&spec), pcn_frame_make(&after));
        spec.protocol = after.protocol = 47;
        becomes(rig, OUT, pcn_frame_make(&spec), pcn_frame_make(&after));
        spec.protocol = after.protocol = IPPROTO_SCTP;
        becomes(rig, OUT, pcn_frame_make(&spec), pcn_frame_make(&after));
    }
}

static void test_independent(void)
{
    FOR_BOTH(64)
    {
        rig->nat.settings->mapping = 1;
        rig->nat.settings->filtering = NAT_FILTER_NONE;
        add_wide(rig, NAT_SNAT, "fd00:1::", 64, E6);
        becomes(rig, OUT, udp(A6, 5000, B6, 53), udp(E6, 5000, B6, 53));
        becomes(rig, OUT, udp(A6, 5000, R6, 53), udp(E6, 5000, R6, 53));
        PCN_CHECK_EQ(n_places(rig), 6);
        becomes(rig, IN, udp("2001:db8:eeee::1", 9, E6, 5000), udp("2001:db8:eeee::1", 9, A6, 5000));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(A7, 5000, "2001:db8:eeee::5", 53)}[0]), 0);
        PCN_CHECK(pcn_frame_source_port(&rig->run.frame) != 5000);
    }
}

/* ---- NPTv6 ---- */

static void test_npt(void)
{
    FOR_BOTH(64)
    {
        /* The example of RFC 6296, appendix A. */
        const char *inside = "fd01:203:405:1::1234", *outside = "2001:db8:1:d550::1234";

        add_wide(rig, NAT_NPT, "fd01:203:405::", 48, "2001:db8:1::");
        becomes(rig, OUT, udp(inside, 1, B6, 53), udp(outside, 1, B6, 53));
        becomes(rig, IN, udp(B6, 53, outside, 1), udp(B6, 53, inside, 1));
        becomes(rig, IN, tcp(B6, 1, outside, 22, ACK), tcp(B6, 1, inside, 22, ACK));
        becomes(rig, OUT, echo(inside, B6, true, 1), echo(outside, B6, true, 1));
        becomes(rig, OUT, fragment(inside, 5000, B6, 53, 6, 72), fragment(outside, 5000, B6, 53, 6, 72));
        becomes(rig, OUT, udp("fd01:203:406:1::1234", 1, B6, 53), udp("fd01:203:406:1::1234", 1, B6, 53));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp("fd01:203:405:ffff::1", 1, B6, 53)}[0]), NAT_DROP_NPT);
        /* Errors: no checksum of theirs changes either. */
        becomes(rig, IN, error_about(R6, outside, udp(outside, 1, B6, 53), 60),
                error_about(R6, inside, udp(inside, 1, B6, 53), 60));
        becomes(rig, OUT, error_about(inside, B6, udp(B6, 53, inside, 1), 60),
                error_about(outside, B6, udp(B6, 53, outside, 1), 60));
        PCN_CHECK_EQ(n_places(rig), 0);
    }
}

static void test_npt_long(void)
{
    FOR_BOTH(64)
    {
        static const uint8_t prefix[] = {0x20, 0x01, 0x0d, 0xb8, 0, 5, 0, 6};
        char inside[64];

        add_wide(rig, NAT_NPT, "fd00:1:2:3::", 64, "2001:db8:5:6::");
        for (uint32_t i = 1; i < 0x10000; i = i * 3 + 1) {
            struct pcn_frame frame, back;

            (void)snprintf(inside, sizeof(inside), "fd00:1:2:3:%s%x:1:2", i % 2 ? "" : "ffff:", i);
            if (i % 2)
                (void)snprintf(inside, sizeof(inside), "fd00:1:2:3:%x:0:1:2", i);
            frame = udp(inside, 1, B6, 53);
            back = udp(B6, 53, inside, 1);
            PCN_CHECK_EQ(give(rig, OUT, &frame), 0);
            /* The checksum is the same, and right. */
            PCN_CHECK(pcn_frame_checksums_ok(&rig->run.frame));
            PCN_CHECK_BYTES(rig->run.frame.bytes + 60, 2, frame.bytes + 60, 2);
            PCN_CHECK_BYTES(rig->run.frame.bytes + 22, sizeof(prefix), prefix, sizeof(prefix));
            memcpy(frame.bytes, back.bytes, back.length);
            memcpy(frame.bytes + 38, rig->run.frame.bytes + 22, 16);
            becomes(rig, IN, frame, back);
        }
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp("fd00:1:2:3::", 1, B6, 53)}[0]), NAT_DROP_NPT);
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp("fd00:1:2:3:ffff:ffff:ffff:ffff", 1, B6, 53)}[0]),
                     NAT_DROP_NPT);
    }
}

static void test_npt_hairpin(void)
{
    FOR_BOTH(64)
    {
        const char *a = "fd01:203:405:1::a", *a_outside = "2001:db8:1:d550::a";
        const char *b = "fd01:203:405:2::b", *b_outside = "2001:db8:1:d551::b";

        add_wide(rig, NAT_NPT, "fd01:203:405::", 48, "2001:db8:1::");
        turns(rig, udp(a, 1, b_outside, 2), udp(a_outside, 1, b, 2));
        turns(rig, udp(b, 2, a_outside, 1), udp(b_outside, 2, a, 1));
        turns(rig, error_about(b, a_outside, udp(a_outside, 1, b, 2), 60),
              error_about(b_outside, a, udp(a, 1, b_outside, 2), 60));
        rig->nat.settings->hairpin = 0;
        becomes(rig, OUT, udp(a, 1, b_outside, 2), udp(a_outside, 1, b_outside, 2));
    }
}

static const struct pcn_test tests[] = {
    {"TCP, UDP and echoes get a source; a port that is taken is replaced", test_sources},
    {"a host inside keeps its address of a pool; exempt destinations see who it is", test_pool},
    {"masquerade, where it is for IPv6; what is of the link stays as it is", test_masquerade},
    {"hosts and ports get an address outside", test_destinations},
    {"a network is mapped to a network, both ways", test_networks},
    {"ICMPv6 errors, both ways, and what they quote", test_errors},
    {"VLAN tags, extension headers and fragments are no obstacle", test_headers},
    {"what has no checksum, UDP and other protocols", test_unsummed},
    {"endpoint-independent mapping and filtering", test_independent},
    {"NPTv6: a prefix of /48, as in RFC 6296, with errors and without sessions", test_npt},
    {"NPTv6: a longer prefix, where the host makes up for it, there and back", test_npt_long},
    {"NPTv6: a host inside is reached by its address outside", test_npt_hairpin},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("nat, IPv6", tests, .skip = pcn_skip_unless_root);
}
