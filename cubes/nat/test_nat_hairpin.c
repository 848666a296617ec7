/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts inside that reach each other by their addresses outside, and who outside may send to a port in use. */
#include "test_nat_rig.h"

static void test_forwarded(void)
{
    FOR_BOTH(64)
    {
        uint16_t port;

        add_masquerade(rig, E);
        add_forwarding(rig, E, 8080, 8080, A2, 80);
        turns(rig, tcp(A, 1000, E, 8080, SYN), tcp(E, 1000, A2, 80, SYN));
        turns(rig, tcp(A2, 80, E, 1000, SYN | ACK), tcp(E, 8080, A, 1000, SYN | ACK));
        turns(rig, tcp(A, 1000, E, 8080, ACK), tcp(E, 1000, A2, 80, ACK));
        /* A third one inside, with the same port. */
        PCN_CHECK_EQ(give(rig, OUT, &(struct pcn_frame[]){tcp("10.0.0.3", 1000, E, 8080, SYN)}[0]), 0);
        port = pcn_frame_source_port(&rig->run.frame);
        PCN_CHECK(port != 1000);
        turns(rig, tcp(A2, 80, E, port, SYN | ACK), tcp(E, 8080, "10.0.0.3", 1000, SYN | ACK));
        /* The host itself. */
        turns(rig, tcp(A2, 7000, E, 8080, SYN), tcp(E, 7000, A2, 80, SYN));
        turns(rig, tcp(A2, 80, E, 7000, SYN | ACK), tcp(E, 8080, A2, 7000, SYN | ACK));
        PCN_CHECK_EQ(n_created(rig), 3);
        PCN_CHECK_EQ(n_places(rig), 6);
        check_pairs(rig);
        /* From outside it is what it was, and what is not forwarded goes out. */
        becomes(rig, IN, tcp(B, 1000, E, 8080, SYN), tcp(B, 1000, A2, 80, SYN));
        becomes(rig, OUT, tcp(A, 1000, E, 8081, SYN), tcp(E, 1000, E, 8081, SYN));
        rig->nat.settings->hairpin = 0;
        becomes(rig, OUT, tcp(A, 1001, E, 8080, SYN), tcp(E, 1001, E, 8080, SYN));
    }
}

/* Sessions inside take two places there: where these are full, one that was not answered makes room for anybody. */
static void test_crowded(void)
{
    FOR_BOTH(64)
    {
        uint32_t n = rig->nat.flows.n_numbers, refused = 0;

        add_masquerade(rig, E);
        add_forwarding(rig, E, 8080, 8080, A2, 80);
        for (uint32_t i = 0; i < 4 * n; i++) {
            const struct pcn_frame frame = tcp(A, (uint16_t)(1024 + i), E, 8080, SYN);

            refused += give(rig, OUT, &frame) != 0;
        }
        for (uint32_t i = 0; i < n; i++) {
            const struct pcn_frame frame = udp("10.0.0.3", (uint16_t)(1024 + i), B, 53);

            refused += give(rig, OUT, &frame) != 0;
        }
        PCN_CHECK_EQ(refused, 0);
        (void)n_places(rig);
        check_pairs(rig);
    }
}

static void test_address(void)
{
    FOR_BOTH(64)
    {
        add_dnat(rig, F, A2);
        /* Without a source outside there would be no way back. */
        becomes(rig, OUT, udp(A, 5000, F, 53), udp(A, 5000, F, 53));
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        turns(rig, udp(A, 5000, F, 53), udp(E, 5000, A2, 53));
        turns(rig, udp(A2, 53, E, 5000), udp(F, 53, A, 5000));
        turns(rig, echo(A, F, false, 7), echo(E, A2, false, 7));
        turns(rig, echo(A2, E, true, 7), echo(F, A, true, 7));
        rig->nat.flows.settings->counting = 1;
        turns(rig, udp(A, 5000, F, 53), udp(E, 5000, A2, 53));
        turns(rig, udp(A2, 53, E, 5000), udp(F, 53, A, 5000));
        PCN_CHECK_EQ(n_places(rig), 4);
    }
}

static void test_errors(void)
{
    FOR_BOTH(64)
    {
        add_masquerade(rig, E);
        add_forwarding(rig, E, 8080, 8080, A2, 80);
        add_dnat(rig, F, A2);
        turns(rig, tcp(A, 1000, E, 8080, SYN), tcp(E, 1000, A2, 80, SYN));
        turns(rig, udp(A, 5000, F, 53), udp(E, 5000, A2, 53));
        for (size_t bytes = 28; bytes <= 40; bytes += 12) {
            turns(rig, error_about(A2, E, tcp(E, 1000, A2, 80, SYN), bytes),
                  error_about(E, A, tcp(A, 1000, E, 8080, SYN), bytes));
            turns(rig, error_about("10.0.0.254", E, udp(E, 5000, A2, 53), bytes),
                  error_about(F, A, udp(A, 5000, F, 53), bytes));
        }
        /* About what came back. */
        turns(rig, error_about(A, F, udp(F, 53, A, 5000), 48), error_about(E, A2, udp(A2, 53, E, 5000), 48));
    }
}

static void test_fragments(void)
{
    FOR_BOTH(64)
    {
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        add_dnat(rig, F, A2);
        turns(rig, fragment(A, 5000, F, 53, 9, 0), fragment(E, 5000, A2, 53, 9, 0));
        turns(rig, fragment(A, 5000, F, 53, 9, 72), fragment(E, 5000, A2, 53, 9, 72));
    }
}

static void test_ipv6(void)
{
    FOR_BOTH(64)
    {
        const char *a = "fd00::a", *b = "fd00::b", *e = "2001:db8::1", *f = "2001:db8::2";

        add_wide(rig, NAT_SNAT, "fd00::", 64, e);
        add_wide(rig, NAT_DNAT, f, 0, b);
        turns(rig, tcp(a, 1000, f, 80, SYN), tcp(e, 1000, b, 80, SYN));
        turns(rig, tcp(b, 80, e, 1000, SYN | ACK), tcp(f, 80, a, 1000, SYN | ACK));
        turns(rig, error_about(b, e, tcp(e, 1000, b, 80, SYN), 60), error_about(f, a, tcp(a, 1000, f, 80, SYN), 60));
        check_pairs(rig);
    }
}

static void test_mapped(void)
{
    FOR_BOTH(64)
    {
        rig->nat.settings->mapping = 1;
        rig->nat.settings->filtering = NAT_FILTER_NONE;
        add_masquerade(rig, E);
        /* A2 has opened a port: A reaches it by that, and is seen with its own one. */
        becomes(rig, OUT, udp(A2, 6000, B, 53), udp(E, 6000, B, 53));
        turns(rig, udp(A, 5000, E, 6000), udp(E, 5000, A2, 6000));
        turns(rig, udp(A2, 6000, E, 5000), udp(E, 6000, A, 5000));
        becomes(rig, OUT, udp(A, 5000, B, 53), udp(E, 5000, B, 53));
    }
}

static void test_by_address(void)
{
    FOR_BOTH(64)
    {
        rig->nat.settings->mapping = 1;
        rig->nat.settings->filtering = NAT_FILTER_ADDRESS;
        add_snat(rig, "10.0.0.0", 24, E, 1, 0, 0);
        becomes(rig, OUT, udp(A, 5000, B, 53), udp(E, 5000, B, 53));
        /* The session, the mapping, the address. */
        PCN_CHECK_EQ(n_places(rig), 6);
        becomes(rig, IN, udp(B, 9999, E, 5000), udp(B, 9999, A, 5000));
        becomes(rig, OUT, udp(A, 5000, B, 9999), udp(E, 5000, B, 9999));
        becomes(rig, IN, udp(R, 53, E, 5000), udp(R, 53, E, 5000));
        becomes(rig, OUT, udp(A, 5000, R, 1), udp(E, 5000, R, 1));
        becomes(rig, IN, udp(R, 53, E, 5000), udp(R, 53, A, 5000));
        /* Of another port of A nobody has heard. */
        becomes(rig, IN, udp(B, 53, E, 5001), udp(B, 53, E, 5001));
        check_pairs(rig);
    }
}

static const struct pcn_test tests[] = {
    {"a forwarded port is reached from inside, with a source outside", test_forwarded},
    {"many, and others beside them", test_crowded},
    {"a whole address is, by UDP and echoes", test_address},
    {"ICMP errors find back, in both directions", test_errors},
    {"later fragments follow", test_fragments},
    {"the same for IPv6", test_ipv6},
    {"a port that a host inside has opened", test_mapped},
    {"with filtering by address, who was sent something may send from any port", test_by_address},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("nat, hairpin", tests, .skip = pcn_skip_unless_root);
}
