/* SPDX-License-Identifier: Apache-2.0 */
/* The fast path at TC and at XDP. What is expected is a frame of its own, with checksums computed anew. */
#include "test_nat_rig.h"
#include <arpa/inet.h>
#include <stdio.h>

/* ---- sources ---- */

static void test_tcp(void)
{
    FOR_BOTH(64)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, tcp(A, 1000, B, 80, SYN), tcp(E, 1000, B, 80, SYN));
        becomes(rig, IN, tcp(B, 80, E, 1000, SYN | ACK), tcp(B, 80, A, 1000, SYN | ACK));
        becomes(rig, OUT, tcp(A, 1000, B, 80, ACK), tcp(E, 1000, B, 80, ACK));
        becomes(rig, OUT, tcp(A, 1000, B, 80, FIN | ACK), tcp(E, 1000, B, 80, FIN | ACK));
        becomes(rig, IN, tcp(B, 80, E, 1000, FIN | ACK), tcp(B, 80, A, 1000, FIN | ACK));
        becomes(rig, OUT, tcp(A, 1000, B, 80, ACK), tcp(E, 1000, B, 80, ACK));
        PCN_CHECK_EQ(n_created(rig), 1);
        PCN_CHECK_EQ(n_places(rig), 2);
        PCN_CHECK_EQ(pcn_fast_counters(&rig->fast, PCN_EGRESS).packets, 4);
        PCN_CHECK_EQ(pcn_fast_counters(&rig->fast, PCN_INGRESS).packets, 2);
        /* The same ports again, while it is in TIME_WAIT: the session opens again. */
        becomes(rig, OUT, tcp(A, 1000, B, 80, SYN), tcp(E, 1000, B, 80, SYN));
        becomes(rig, IN, tcp(B, 80, E, 1000, SYN | ACK), tcp(B, 80, A, 1000, SYN | ACK));
        PCN_CHECK_EQ(n_places(rig), 2);
    }
}

static void test_udp(void)
{
    FOR_BOTH(64)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, udp(A, 5000, B, 53), udp(E, 5000, B, 53));
        becomes(rig, IN, udp(B, 53, E, 5000), udp(B, 53, A, 5000));
        becomes(rig, OUT, unsummed(A, 5000, B, 54), unsummed(E, 5000, B, 54));
        /* Somebody else's answer is nobody's. */
        becomes(rig, IN, udp(R, 53, E, 5000), udp(R, 53, E, 5000));
    }
}

static void test_echo(void)
{
    FOR_BOTH(64)
    {
        uint16_t id;

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, echo(A, B, false, 7), echo(E, B, false, 7));
        becomes(rig, IN, echo(B, E, true, 7), echo(B, A, true, 7));
        /* Another host with the same id gets another one. */
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){echo(A2, B, false, 7)}[0]), 0);
        id = ntohs(rig->run.packet.icmp_id);
        PCN_CHECK(id != 7);
        PCN_CHECK_EQ(id & 1, 1);
        PCN_CHECK_FRAME(&rig->run.frame, &(struct pcn_frame[]){echo(E, B, false, id)}[0]);
        becomes(rig, IN, echo(B, E, true, id), echo(B, A2, true, 7));
        becomes(rig, IN, echo(B, E, true, 7), echo(B, A, true, 7));
    }
}

static void test_collision(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame second = tcp(A2, 5001, B, 80, SYN), low = tcp(A2, 500, B, 80, SYN);
        uint16_t port;

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, tcp(A, 5001, B, 80, SYN), tcp(E, 5001, B, 80, SYN));
        PCN_CHECK_EQ(give(rig, OUT, &second), 0);
        port = pcn_frame_source_port(&rig->run.frame);
        PCN_CHECK(port != 5001);
        PCN_CHECK(port >= 1024);
        PCN_CHECK_EQ(port & 1, 1);
        PCN_CHECK_FRAME(&rig->run.frame, &(struct pcn_frame[]){tcp(E, port, B, 80, SYN)}[0]);
        becomes(rig, IN, tcp(B, 80, E, port, SYN | ACK), tcp(B, 80, A2, 5001, SYN | ACK));
        becomes(rig, IN, tcp(B, 80, E, 5001, SYN | ACK), tcp(B, 80, A, 5001, SYN | ACK));
        /* For another host outside the port is free, and of another protocol. */
        becomes(rig, OUT, tcp(A2, 5001, R, 80, SYN), tcp(E, 5001, R, 80, SYN));
        becomes(rig, OUT, udp(A2, 5001, B, 80), udp(E, 5001, B, 80));
        becomes(rig, OUT, tcp(A, 500, B, 80, SYN), tcp(E, 500, B, 80, SYN));
        PCN_CHECK_EQ(give(rig, OUT, &low), 0);
        PCN_CHECK(pcn_frame_source_port(&rig->run.frame) < 1024 && pcn_frame_source_port(&rig->run.frame) != 500 &&
                  pcn_frame_source_port(&rig->run.frame) % 2 == 0);
    }
}

static void test_exhaustion(void)
{
    FOR_BOTH(64)
    {
        bool seen[10] = {};

        add_snat(rig, "10.0.0.0", 24, E, 1, 20000, 20009);
        for (uint16_t i = 0; i < 10; i++) {
            const struct pcn_frame frame = tcp(A, (uint16_t)(3000 + 2 * i), B, 80, SYN);

            PCN_CHECK_EQ(give(rig, OUT, &frame), 0);
            PCN_REQUIRE(pcn_frame_source_port(&rig->run.frame) >= 20000 &&
                        pcn_frame_source_port(&rig->run.frame) <= 20009);
            PCN_CHECK(!seen[pcn_frame_source_port(&rig->run.frame) - 20000]);
            seen[pcn_frame_source_port(&rig->run.frame) - 20000] = true;
        }
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp(A, 4000, B, 80, SYN)}[0]), NAT_DROP_NO_PORT);
        PCN_CHECK_EQ(n_places(rig), 20);
        PCN_CHECK_EQ(n_created(rig), 10);
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp(A, 4000, R, 80, SYN)}[0]), 0);
    }
}

static void test_pool(void)
{
    FOR_BOTH(64)
    {
        unsigned int n_first = 0;

        add_snat(rig, "10.0.0.0", 24, E, 2, 0, 0);
        for (unsigned int i = 1; i <= 32; i++) {
            char source[16];
            uint32_t first;

            (void)snprintf(source, sizeof(source), "10.0.0.%u", i);
            PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(source, 1000, B, 53)}[0]), 0);
            first = rig->run.packet.source.v4;
            PCN_CHECK(first == inet_addr(E) || first == inet_addr(F));
            n_first += first == inet_addr(E);
            PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(source, 1001, R, 53)}[0]), 0);
            PCN_CHECK_EQ(rig->run.packet.source.v4, first);
        }
        PCN_CHECK(n_first > 4 && n_first < 28);
    }
}

static void test_longest(void)
{
    FOR_BOTH(64)
    {
        add_masquerade(rig, "203.0.113.9");
        add_snat(rig, "10.0.0.0", 8, "203.0.113.8", 1, 0, 0);
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        add_snat(rig, "10.0.0.2", 32, F, 1, 0, 0);
        becomes(rig, OUT, udp(A, 1, B, 53), udp(E, 1, B, 53));
        becomes(rig, OUT, udp(A2, 1, B, 53), udp(F, 1, B, 53));
        becomes(rig, OUT, udp("10.0.0.3", 2, B, 53), udp(E, 2, B, 53));
        becomes(rig, OUT, udp("10.0.1.0", 1, B, 53), udp("203.0.113.8", 1, B, 53));
        becomes(rig, OUT, udp("10.255.255.255", 2, B, 53), udp("203.0.113.8", 2, B, 53));
        becomes(rig, OUT, udp("11.0.0.0", 1, B, 53), udp("203.0.113.9", 1, B, 53));
        becomes(rig, OUT, udp("9.255.255.255", 2, B, 53), udp("203.0.113.9", 2, B, 53));
    }
}

static void test_masquerade(void)
{
    FOR_BOTH(64)
    {
        add_masquerade(rig, NULL);
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(A, 1000, B, 53)}[0]), NAT_DROP_NO_ADDRESS);
        rig->nat.settings->address = host(E);
        becomes(rig, OUT, udp(A, 1000, B, 53), udp(E, 1000, B, 53));
        /* What comes from the address itself has its place, so that nobody else gets it. */
        becomes(rig, OUT, udp(E, 2000, B, 53), udp(E, 2000, B, 53));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(A, 2000, B, 53)}[0]), 0);
        PCN_CHECK(pcn_frame_source_port(&rig->run.frame) != 2000);
        /* Answers to what is not translated go as they are. */
        becomes(rig, OUT, tcp(E, 22, B, 999, SYN | ACK), tcp(E, 22, B, 999, SYN | ACK));
        becomes(rig, OUT, echo(E, B, true, 1), echo(E, B, true, 1));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp(A, 22, B, 999, SYN | ACK)}[0]), NAT_DROP_INVALID);
    }
}

/* ---- destinations ---- */

static void test_dnat(void)
{
    FOR_BOTH(64)
    {
        add_dnat(rig, E, A);
        becomes(rig, IN, tcp(B, 999, E, 22, SYN), tcp(B, 999, A, 22, SYN));
        becomes(rig, OUT, tcp(A, 22, B, 999, SYN | ACK), tcp(E, 22, B, 999, SYN | ACK));
        becomes(rig, IN, tcp(B, 999, E, 22, ACK), tcp(B, 999, A, 22, ACK));
        becomes(rig, IN, echo(B, E, false, 9), echo(B, A, false, 9));
        becomes(rig, OUT, echo(A, B, true, 9), echo(E, B, true, 9));
        becomes(rig, IN, udp(B, 1, F, 1), udp(B, 1, F, 1));
        /* What A opens itself is not the rule's. */
        becomes(rig, OUT, udp(A, 1, B, 53), udp(A, 1, B, 53));
        PCN_CHECK_EQ(n_places(rig), 4);
    }
}

static void test_forwarding(void)
{
    FOR_BOTH(64)
    {
        add_dnat(rig, E, A2);
        add_forwarding(rig, E, 8080, 8080, A, 80);
        add_forwarding(rig, E, 9000, 9009, A, 100);
        becomes(rig, IN, tcp(B, 999, E, 8080, SYN), tcp(B, 999, A, 80, SYN));
        becomes(rig, OUT, tcp(A, 80, B, 999, SYN | ACK), tcp(E, 8080, B, 999, SYN | ACK));
        becomes(rig, IN, tcp(B, 999, E, 8080, ACK), tcp(B, 999, A, 80, ACK));
        becomes(rig, IN, tcp(B, 999, E, 9000, SYN), tcp(B, 999, A, 100, SYN));
        becomes(rig, IN, tcp(B, 999, E, 9009, SYN), tcp(B, 999, A, 109, SYN));
        becomes(rig, OUT, tcp(A, 109, B, 999, SYN | ACK), tcp(E, 9009, B, 999, SYN | ACK));
        /* Beside the ports, and of UDP: the rule for the whole address. */
        becomes(rig, IN, tcp(B, 999, E, 9010, SYN), tcp(B, 999, A2, 9010, SYN));
        becomes(rig, IN, tcp(B, 999, E, 8999, SYN), tcp(B, 999, A2, 8999, SYN));
        becomes(rig, IN, udp(B, 999, E, 8080), udp(B, 999, A2, 8080));
        /* A host inside cannot tell two such sessions apart. */
        add_forwarding(rig, F, 8080, 8080, A, 80);
        PCN_CHECK_EQ(give(rig, IN, &(struct pcn_frame[]){tcp(B, 999, F, 8080, SYN)}[0]), NAT_DROP_NO_PORT);
        becomes(rig, IN, tcp(B, 998, F, 8080, SYN), tcp(B, 998, A, 80, SYN));
    }
}

static void test_netmap(void)
{
    FOR_BOTH(64)
    {
        add_masquerade(rig, "203.0.113.200");
        add_line(rig, (struct nat_line){.key = host("10.0.0.0"),
                                        .length = 24,
                                        .rule = {.kind = NAT_NETMAP, .address = host("192.0.2.0")}});
        becomes(rig, OUT, tcp("10.0.0.77", 1, B, 80, SYN), tcp("192.0.2.77", 1, B, 80, SYN));
        becomes(rig, IN, tcp(B, 80, "192.0.2.77", 1, SYN | ACK), tcp(B, 80, "10.0.0.77", 1, SYN | ACK));
        becomes(rig, IN, udp(B, 1, "192.0.2.255", 9), udp(B, 1, "10.0.0.255", 9));
        becomes(rig, OUT, udp("10.0.0.255", 9, B, 1), udp("192.0.2.255", 9, B, 1));
        becomes(rig, IN, udp(B, 1, "192.0.3.0", 9), udp(B, 1, "192.0.3.0", 9));
        becomes(rig, OUT, udp("10.0.1.0", 9, B, 1), udp("203.0.113.200", 9, B, 1));
        /* A rule for a host of it goes before it. */
        add_dnat(rig, "192.0.2.5", A);
        becomes(rig, IN, udp(B, 1, "192.0.2.5", 9), udp(B, 1, A, 9));
        becomes(rig, IN, udp(B, 1, "192.0.2.6", 9), udp(B, 1, "10.0.0.6", 9));
    }
}

static void test_exempt(void)
{
    FOR_BOTH(64)
    {
        add_masquerade(rig, E);
        add_line(rig, (struct nat_line){.key = host("198.51.100.0"), .length = 24, .rule = {.kind = NAT_EXEMPT}});
        becomes(rig, OUT, udp(A, 1, B, 53), udp(A, 1, B, 53));
        becomes(rig, OUT, tcp(A, 1, B, 80, ACK), tcp(A, 1, B, 80, ACK));
        becomes(rig, OUT, udp(A, 1, R, 53), udp(E, 1, R, 53));
        PCN_CHECK_EQ(n_places(rig), 2);
    }
}

static void test_independent(void)
{
    FOR_BOTH(64)
    {
        uint16_t port;

        rig->nat.settings->mapping = 1;
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, udp(A, 5000, B, 53), udp(E, 5000, B, 53));
        PCN_CHECK_EQ(n_places(rig), 4);
        /* The port is A's, for all remotes. */
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(A2, 5000, R, 53)}[0]), 0);
        port = pcn_frame_source_port(&rig->run.frame);
        PCN_CHECK(port != 5000);
        becomes(rig, OUT, udp(A2, 5000, B, 53), udp(E, port, B, 53));
        becomes(rig, OUT, udp(A, 5000, R, 99), udp(E, 5000, R, 99));
        becomes(rig, OUT, tcp(A2, 5000, B, 53, SYN), tcp(E, 5000, B, 53, SYN));
        becomes(rig, IN, udp(B, 53, E, port), udp(B, 53, A2, 5000));
        /* Others may send to it, if they are let. */
        becomes(rig, IN, udp(R, 1, E, 5000), udp(R, 1, E, 5000));
        rig->nat.settings->filtering = NAT_FILTER_NONE;
        becomes(rig, IN, udp(R, 1, E, 5000), udp(R, 1, A, 5000));
        becomes(rig, OUT, udp(A, 5000, R, 1), udp(E, 5000, R, 1));
        becomes(rig, IN, udp(R, 1, E, 5002), udp(R, 1, E, 5002));
    }
}

static void test_mapping_lives(void)
{
    FOR_BOTH(64)
    {
        uint32_t hz = pcn_clock_hz(), now;
        int n_long = 0;

        rig->nat.settings->mapping = 1;
        rig->nat.flows.settings->timeouts[PCN_CT_UDP_REPLIED] = 2 * hz;
        rig->nat.flows.settings->timeouts[PCN_CT_TCP_SYN_SENT] = 50 * hz;
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, tcp(A, 5000, B, 80, SYN), tcp(E, 5000, B, 80, SYN));
        becomes(rig, IN, tcp(B, 80, E, 5000, SYN | ACK), tcp(B, 80, A, 5000, SYN | ACK));
        now = (uint32_t)pcn_clock_jiffies();
        for (uint32_t slot = 0; slot < rig->nat.flows.n_slots; slot++) {
            uint64_t word = *word_of(rig, slot);

            n_long += word && pcn_ct_left(word, now) > (int)(90 * hz);
        }
        /* The answer has moved the session to 100 s, in both entries, and its mapping. */
        PCN_CHECK_EQ(n_long, 4);
    }
}

/* ---- ICMP errors ---- */

static void test_error_in(void)
{
    FOR_BOTH(64)
    {
        struct pcn_frame_spec plain = {.source = A,
                                       .destination = B,
                                       .protocol = IPPROTO_UDP,
                                       .source_port = 5000,
                                       .destination_port = 53,
                                       .payload_length = 20,
                                       .faults = PCN_FAULT_NO_UDP_CHECKSUM};
        struct pcn_frame_spec translated = plain;
        uint16_t port;

        translated.source = E;
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, udp(A, 5000, B, 53), udp(E, 5000, B, 53));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){udp(A2, 5000, B, 53)}[0]), 0);
        port = pcn_frame_source_port(&rig->run.frame);
        becomes(rig, OUT, tcp(A, 5000, B, 80, SYN), tcp(E, 5000, B, 80, SYN));
        becomes(rig, OUT, echo(A, B, false, 7), echo(E, B, false, 7));
        for (size_t bytes = 28; bytes <= 48; bytes += 20) {
            becomes(rig, IN, error_about(R, E, udp(E, 5000, B, 53), bytes),
                    error_about(R, A, udp(A, 5000, B, 53), bytes));
            becomes(rig, IN, error_about(R, E, udp(E, port, B, 53), bytes),
                    error_about(R, A2, udp(A2, 5000, B, 53), bytes));
        }
        becomes(rig, IN, error_about(R, E, pcn_frame_make(&translated), 40),
                error_about(R, A, pcn_frame_make(&plain), 40));
        /* The checksum of TCP is quoted, or it is not. */
        becomes(rig, IN, error_about(R, E, tcp(E, 5000, B, 80, SYN), 28),
                error_about(R, A, tcp(A, 5000, B, 80, SYN), 28));
        becomes(rig, IN, error_about(R, E, tcp(E, 5000, B, 80, SYN), 40),
                error_about(R, A, tcp(A, 5000, B, 80, SYN), 40));
        becomes(rig, IN, error_about(R, E, echo(E, B, false, 7), 44), error_about(R, A, echo(A, B, false, 7), 44));
        /* About nothing that is known, or to another one than who sent it. */
        becomes(rig, IN, error_about(R, E, udp(E, 1, B, 53), 28), error_about(R, E, udp(E, 1, B, 53), 28));
        becomes(rig, IN, error_about(R, F, udp(E, 5000, B, 53), 28), error_about(R, F, udp(E, 5000, B, 53), 28));
        PCN_CHECK_EQ(n_places(rig), 8);
    }
}

static void test_error_out(void)
{
    FOR_BOTH(64)
    {
        add_masquerade(rig, E);
        add_forwarding(rig, E, 8080, 8080, A, 80);
        add_dnat(rig, F, A2);
        becomes(rig, IN, tcp(B, 999, E, 8080, SYN), tcp(B, 999, A, 80, SYN));
        becomes(rig, IN, udp(B, 999, F, 9), udp(B, 999, A2, 9));
        becomes(rig, OUT, error_about(A, B, tcp(B, 999, A, 80, SYN), 40),
                error_about(E, B, tcp(B, 999, E, 8080, SYN), 40));
        becomes(rig, OUT, error_about(A2, B, udp(B, 999, A2, 9), 48), error_about(F, B, udp(B, 999, F, 9), 48));
        /* Of a router inside: it is not seen outside either. */
        becomes(rig, OUT, error_about("10.0.0.254", B, udp(B, 999, A2, 9), 28),
                error_about(F, B, udp(B, 999, F, 9), 28));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){error_about(A, B, udp(B, 1, A, 1), 28)}[0]),
                     NAT_DROP_INVALID);
        becomes(rig, OUT, error_about(E, B, udp(B, 1, E, 1), 28), error_about(E, B, udp(B, 1, E, 1), 28));
    }
}

/* ---- fragments, other protocols, other headers ---- */

static void test_fragments(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame lost = fragment(A, 5000, B, 53, 6, 72);

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, fragment(A, 5000, B, 53, 5, 0), fragment(E, 5000, B, 53, 5, 0));
        becomes(rig, OUT, fragment(A, 5000, B, 53, 5, 72), fragment(E, 5000, B, 53, 5, 72));
        PCN_CHECK_EQ(give(rig, OUT, &lost), NAT_DROP_FRAGMENT);
        becomes(rig, OUT, fragment("172.16.0.1", 1, B, 53, 6, 72), fragment("172.16.0.1", 1, B, 53, 6, 72));
        becomes(rig, IN, fragment(R, 1, B, 53, 6, 72), fragment(R, 1, B, 53, 6, 72));
    }
}

static struct pcn_frame raw(const char *source, const char *destination, uint8_t protocol)
{
    return pcn_frame_make(&(struct pcn_frame_spec){
        .source = source, .destination = destination, .protocol = protocol, .payload_length = 40});
}

static void test_other(void)
{
    FOR_BOTH(64)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, raw(A, B, 47), raw(E, B, 47));
        becomes(rig, IN, raw(B, E, 47), raw(B, A, 47));
        /* There is no port that could tell two hosts apart. */
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){raw(A2, B, 47)}[0]), NAT_DROP_NO_PORT);
        becomes(rig, OUT, raw(A2, R, 47), raw(E, R, 47));
        becomes(rig, OUT, raw(A, B, IPPROTO_SCTP), raw(E, B, IPPROTO_SCTP));
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){raw(A2, B, IPPROTO_SCTP)}[0]), NAT_DROP_NO_PORT);
    }
}

static void test_headers(void)
{
    FOR_BOTH(64)
    {
        static const uint8_t options[] = {0x94, 4, 0, 0, 1, 1, 1, 1};
        struct pcn_frame_spec spec = {.source = A,
                                      .destination = B,
                                      .protocol = IPPROTO_TCP,
                                      .source_port = 1000,
                                      .destination_port = 80,
                                      .tcp_flags = SYN,
                                      .vlans = {{.tci = 5}, {.tci = 6}},
                                      .n_vlans = 2,
                                      .options = options,
                                      .options_length = sizeof(options)};
        struct pcn_frame_spec after = spec;

        after.source = E;
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, pcn_frame_make(&spec), pcn_frame_make(&after));
    }
}

/* ---- the table ---- */

/* The place of a session that A has opened, inside. */
static uint32_t slot_inside(struct rig *rig, uint16_t port)
{
    struct pcn_ct_key key = {{inet_addr(A), 0, inet_addr(B), 0,
                              pcn_ct_tuple(htons(port) | (uint32_t)htons(80) << 16, IPPROTO_TCP, 4, NAT_INSIDE)}};
    struct pcn_flow flow = {.slot = 0};

    PCN_CHECK_OK(pcn_flows_find(&rig->nat.flows, &key, pcn_clock_jiffies(), &flow));
    return flow.slot;
}

static void handshake(struct rig *rig, uint16_t port)
{
    becomes(rig, OUT, tcp(A, port, B, 80, SYN), tcp(E, port, B, 80, SYN));
    becomes(rig, IN, tcp(B, 80, E, port, SYN | ACK), tcp(B, 80, A, port, SYN | ACK));
    becomes(rig, OUT, tcp(A, port, B, 80, ACK), tcp(E, port, B, 80, ACK));
}

static void test_states(void)
{
    FOR_BOTH(64)
    {
        const uint64_t state = (UINT64_C(1) << PCN_CT_HASH_SHIFT) - 1;
        uint32_t inside, outside;

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        handshake(rig, 1000);
        inside = slot_inside(rig, 1000);
        outside = pcn_flows_other(&rig->nat.flows, inside);
        PCN_CHECK_EQ(pcn_ct_flow_of(*word_of(rig, inside)), PCN_CT_TCP_ESTABLISHED);
        PCN_CHECK_EQ(*word_of(rig, inside) & state, *word_of(rig, outside) & state);
        /* What only comes in keeps both alive. */
        *word_of(rig, inside) -= 50 * pcn_clock_hz();
        *word_of(rig, outside) -= 50 * pcn_clock_hz();
        becomes(rig, IN, tcp(B, 80, E, 1000, ACK), tcp(B, 80, A, 1000, ACK));
        PCN_CHECK(pcn_ct_left(*word_of(rig, inside), (uint32_t)pcn_clock_jiffies()) > (int)(90 * pcn_clock_hz()));
        PCN_CHECK_EQ(*word_of(rig, inside) & state, *word_of(rig, outside) & state);
    }
}

static void test_full(void)
{
    FOR_BOTH(2)
    {
        const struct pcn_frame more = tcp(A, 2000, B, 80, SYN);

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (uint16_t port = 1000; port < 1004; port++)
            handshake(rig, port);
        PCN_CHECK_EQ(n_places(rig), 8);
        PCN_CHECK_EQ(give(rig, OUT, &more), NAT_DROP_TABLE_FULL);
        PCN_CHECK_EQ(n_places(rig), 8);
        check_pairs(rig);
        rig->nat.flows.settings->drop_when_full = 0;
        becomes(rig, OUT, more, more);
    }
}

static void test_early_drop(void)
{
    FOR_BOTH(2)
    {
        uint32_t last;

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        handshake(rig, 1000);
        for (uint16_t port = 2000; port < 2020; port++)
            becomes(rig, OUT, udp(A, port, B, 53), udp(E, port, B, 53));
        check_pairs(rig);
        PCN_CHECK_EQ(n_places(rig), 8);
        /* One entry of a session is the next to go: the other goes with it. */
        for (last = 7; pcn_ct_flow_of(*word_of(rig, last)) != PCN_CT_UDP_NEW; last--)
            ;
        *word_of(rig, last) -= 50 * pcn_clock_hz();
        becomes(rig, OUT, udp(A, 3000, B, 53), udp(E, 3000, B, 53));
        check_pairs(rig);
        becomes(rig, IN, tcp(B, 80, E, 1000, ACK), tcp(B, 80, A, 1000, ACK));
    }
}

static void test_counting(void)
{
    FOR_BOTH(64)
    {
        struct pcn_ct_traffic traffic;

        rig->nat.flows.settings->counting = 1;
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        handshake(rig, 1000);
        traffic = rig->nat.flows.traffic[slot_inside(rig, 1000)];
        PCN_CHECK_EQ(traffic.packets[0], 2);
        PCN_CHECK_EQ(traffic.packets[1], 1);
        PCN_CHECK_EQ(traffic.bytes[0], 108);
    }
}

/* ---- rules that contradict each other ---- */

static int compiles(const struct nat_line *lines, size_t n)
{
    const struct nat_config config = {(struct nat_line *)lines, n};
    struct nat_tables tables = {};
    struct pcn_error error = {};
    int r = nat_compile(&config, &tables, &error);

    nat_tables_done(&tables);
    return r;
}

static void test_contradictions(void)
{
    struct nat_line lines[] = {
        {.key = 0xcb007101, .tcp = true, .rule = {.kind = NAT_PORT_FORWARDING, .first = 80, .last = 89}},
        {.key = 0xcb007101, .tcp = true, .rule = {.kind = NAT_PORT_FORWARDING, .first = 90, .last = 99}},
    };

    PCN_CHECK_EQ(compiles(lines, 2), 0);
    lines[1].rule.first = 89;
    PCN_CHECK(compiles(lines, 2) < 0);
    lines[1].tcp = false;
    lines[1].udp = true;
    PCN_CHECK_EQ(compiles(lines, 2), 0);
    for (size_t i = 0; i < 2; i++)
        lines[i] = (struct nat_line){.key = 0x0a000000, .length = 8, .rule = {.kind = NAT_SNAT, .n_addresses = 1}};
    PCN_CHECK(compiles(lines, 2) < 0);
    lines[1].length = 9;
    PCN_CHECK_EQ(compiles(lines, 2), 0);
}

/* ---- what is not of a session ---- */

static void test_untouched(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame frames[] = {
            udp("fd00::1", 1, "fd00::2", 2),
            pcn_frame_arp_request("02:00:00:00:00:01", A, B),
            udp("172.16.0.1", 1, B, 53),
            udp("172.16.0.1", 1, "10.0.0.9", 53),
            pcn_frame_make(&(struct pcn_frame_spec){.ethertype = 0x88cc, .payload_length = 50}),
        };

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        add_dnat(rig, F, A);
        for (size_t i = 0; i < PCN_ARRAY_SIZE(frames); i++) {
            becomes(rig, OUT, frames[i], frames[i]);
            becomes(rig, IN, frames[i], frames[i]);
        }
        becomes(rig, OUT, udp(A, 5353, "224.0.0.251", 5353), udp(A, 5353, "224.0.0.251", 5353));
        becomes(rig, IN, tcp(B, 1, F, 22, ACK), tcp(B, 1, F, 22, ACK));
        PCN_CHECK_EQ(n_places(rig), 0);
    }
}

static void test_bad(void)
{
    FOR_BOTH(64)
    {
        const uint32_t faults[] = {PCN_FAULT_IHL_SHORT, PCN_FAULT_LENGTH_SHORT, PCN_FAULT_LENGTH_LONG,
                                   PCN_FAULT_UDP_LENGTH};
        const struct pcn_frame late = tcp(A, 1, B, 80, ACK);

        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        for (size_t i = 0; i < PCN_ARRAY_SIZE(faults); i++) {
            const struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){.source = A,
                                                                                   .destination = B,
                                                                                   .protocol = IPPROTO_UDP,
                                                                                   .source_port = 1,
                                                                                   .destination_port = 2,
                                                                                   .payload_length = 20,
                                                                                   .faults = faults[i]});

            PCN_CHECK_EQ(give(rig, OUT, &frame), PCN_DROP_MALFORMED);
        }
        PCN_CHECK_EQ(give(rig, OUT, &late), NAT_DROP_INVALID);
        PCN_CHECK_EQ(n_places(rig), 0);
    }
}

static const struct pcn_test tests[] = {
    {"TCP gets a source and keeps its port, answers come back, and ports are used again", test_tcp},
    {"UDP, with a checksum and without; answers only from who was asked", test_udp},
    {"ICMP echo, where the id is the port", test_echo},
    {"a port that is taken is replaced by one of its parity and range", test_collision},
    {"ports of a rule: all are used, then it is no-port", test_exhaustion},
    {"a host inside keeps its address of a pool", test_pool},
    {"the longest prefix, then masquerade", test_longest},
    {"masquerade needs an address, and leaves alone who has it", test_masquerade},
    {"a host gets an address outside", test_dnat},
    {"ports are forwarded, before the whole address is", test_forwarding},
    {"a network is mapped to a network, both ways", test_netmap},
    {"what goes to an exempt network keeps its source", test_exempt},
    {"with endpoint-independent mapping a port is one host's, and with filtering, open", test_independent},
    {"a mapping lives as long as its sessions", test_mapping_lives},
    {"an ICMP error about what went out comes in translated, and what it quotes", test_error_in},
    {"an ICMP error about what came in goes out translated", test_error_out},
    {"later fragments follow the first one", test_fragments},
    {"other protocols, and SCTP, go by address", test_other},
    {"VLAN tags and IP options are no obstacle", test_headers},
    {"both entries of a session have one state and one expiry", test_states},
    {"established sessions are never pushed out: the table is full", test_full},
    {"a session that makes room leaves both its places", test_early_drop},
    {"with counting, a session is counted where it is shown", test_counting},
    {"rules that contradict each other are refused", test_contradictions},
    {"what no rule names passes as it is", test_untouched},
    {"what contradicts itself or is late is dropped", test_bad},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("nat", tests, .skip = pcn_skip_unless_root);
}
