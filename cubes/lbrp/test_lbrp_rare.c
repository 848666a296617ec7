/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that are none of a session by their own headers, and addresses of ours. */
#include "test_lbrp_rig.h"
#include <arpa/inet.h>

/* ---- errors and fragments ---- */

void test_errors(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame out = udp(C, 1000, VIP, 53), in = udp(C, 1000, B1, 8080);
        const struct pcn_frame answer = udp(B1, 8080, C, 1000), seen = udp(VIP, 53, C, 1000);
        const struct pcn_frame out6 = udp(C6, 1000, VIP6, 53), in6 = udp(C6, 1000, "fd00::1", 8080);
        const struct pcn_frame answer6 = udp("fd00::1", 8080, C6, 1000), seen6 = udp(VIP6, 53, C6, 1000);

        one(rig, VIP, 53, IPPROTO_UDP);
        one(rig, VIP6, 53, IPPROTO_UDP);
        becomes(rig, FRONT, out, BACK, in);
        becomes(rig, BACK, error_about(B1, C, in, 0), FRONT, error_about(VIP, C, out, 0));
        becomes(rig, BACK, error_about(R, C, in, 0), FRONT, error_about(VIP, C, out, 0));
        becomes(rig, FRONT, error_about(C, VIP, seen, 0), BACK, error_about(C, B1, answer, 0));
        becomes(rig, FRONT, error_about(R, VIP, seen, 0), BACK, error_about(R, B1, answer, 0));
        becomes(rig, FRONT, out6, BACK, in6);
        becomes(rig, BACK, error_about("fd00::1", C6, in6, 0), FRONT, error_about(VIP6, C6, out6, 0));
        becomes(rig, FRONT, error_about(C6, VIP6, seen6, 0), BACK, error_about(C6, "fd00::1", answer6, 0));
    }
}

static struct pcn_frame with_extensions(const char *source, const char *destination, uint16_t port)
{
    return pcn_frame_make(
        &(struct pcn_frame_spec){.source = source,
                                 .destination = destination,
                                 .protocol = IPPROTO_UDP,
                                 .source_port = 1000,
                                 .destination_port = port,
                                 .extensions = {{.type = IPPROTO_HOPOPTS}, {.type = IPPROTO_DSTOPTS, .size = 24}},
                                 .n_extensions = 2});
}

/* An error that quotes 8 bytes of a TCP header, and what the link has put behind it. */
static struct pcn_frame padded(const char *from, const char *to, struct pcn_frame quoted)
{
    struct pcn_frame frame;

    quoted.length = pcn_frame_l4(&quoted, &(uint8_t){0}) + 8;
    frame = error_about(from, to, quoted, 0);
    for (int i = 0; i < 14; i++)
        frame.bytes[frame.length++] = (uint8_t)(0x50 + i);
    return frame;
}

void test_errors_odd(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame out = with_extensions(C6, VIP6, 53), in = with_extensions(C6, "fd00::1", 8080);
        const struct pcn_frame out4 = tcp(C, 1000, VIP, 80, SYN), in4 = tcp(C, 1000, B1, 8080, SYN);
        const struct pcn_frame out6 = tcp(C6, 1000, VIP6, 80, SYN), in6 = tcp(C6, 1000, "fd00::1", 8080, SYN);

        one(rig, VIP, 80, IPPROTO_TCP);
        one(rig, VIP6, 53, IPPROTO_UDP);
        one(rig, VIP6, 80, IPPROTO_TCP);
        becomes(rig, FRONT, out, BACK, in);
        becomes(rig, BACK, error_about("fd00::1", C6, in, 0), FRONT, error_about(VIP6, C6, out, 0));
        becomes(rig, FRONT, out4, BACK, in4);
        becomes(rig, BACK, padded(B1, C, in4), FRONT, padded(VIP, C, out4));
        becomes(rig, FRONT, out6, BACK, in6);
        becomes(rig, BACK, padded("fd00::1", C6, in6), FRONT, padded(VIP6, C6, out6));
    }
}

void test_errors_pool(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame out = udp(C, 1500, VIP, 53), in = udp(POOL, 1500, B1, 8080);
        const struct pcn_frame answer = udp(B1, 8080, POOL, 1500), seen = udp(VIP, 53, C, 1500);
        const struct pcn_frame ping = echo(C, VIP, false, 2000), pinged = echo(POOL, B1, false, 2000);
        struct lbrp_group like = service_like(VIP, 53, IPPROTO_UDP, LBRP_MAGLEV);
        struct lbrp_group icmp = service_like(VIP, 0, IPPROTO_ICMP, LBRP_MAGLEV);
        struct lbrp_end end;

        ends_make(&end, 4, 1, 1);
        like.snat = icmp.snat = true;
        service_set(rig, like, &end, 1);
        service_set(rig, icmp, &end, 1);
        pool_add(rig, POOL);
        becomes(rig, FRONT, out, BACK, in);
        becomes(rig, BACK, error_about(B1, POOL, in, 0), FRONT, error_about(VIP, C, out, 0));
        becomes(rig, FRONT, error_about(R, VIP, seen, 0), BACK, error_about(POOL, B1, answer, 0));
        becomes(rig, FRONT, ping, BACK, pinged);
        becomes(rig, BACK, error_about(R, POOL, pinged, 0), FRONT, error_about(VIP, C, ping, 0));
    }
}

void test_fragments(void)
{
    FOR_BOTH(64)
    {
        struct pcn_frame first = fragment(C, 1000, VIP, 53, 77, 0), later = fragment(C, 1000, VIP, 53, 77, 72);

        one(rig, VIP, 53, IPPROTO_UDP);
        PCN_CHECK_EQ(give(rig, FRONT, &later), LBRP_DROP_FRAGMENT);
        PCN_CHECK_EQ(give(rig, FRONT, &first), 0);
        PCN_CHECK_EQ(rig->run.packet.destination.v4, inet_addr(B1));
        becomes(rig, FRONT, later, BACK, fragment(C, 1000, B1, 8080, 77, 72));
        /* Of no VIP: on. */
        becomes(rig, FRONT, fragment(C, 1000, B2, 53, 77, 72), BACK, fragment(C, 1000, B2, 53, 77, 72));
    }
}

/* ---- addresses of ours ---- */

void test_macs(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_group like = service_like(VIP, 80, IPPROTO_TCP, LBRP_MAGLEV);
        struct pcn_frame expected, request = pcn_frame_arp_request(CLIENT_MAC, C, VIP);
        struct lbrp_end end;

        /* Answers leave the machine: nobody asks what a device has summed up. */
        rig->fast.summed = false;
        ends_make(&end, 4, 1, 1);
        service_set(rig, like, &end, 1);
        becomes(rig, FRONT, request, BACK, request);
        end.has_mac = true;
        pcn_parse_mac("02:00:00:00:00:b1", end.mac);
        service_set(rig, like, &end, 1);
        becomes(rig, FRONT, request, FRONT, pcn_frame_arp_reply(OUR_MAC, VIP, CLIENT_MAC, C));
        /* Somebody else's. */
        becomes(rig, FRONT, pcn_frame_arp_request(CLIENT_MAC, C, B2), BACK, pcn_frame_arp_request(CLIENT_MAC, C, B2));
        expected = tcp(C, 1000, B1, 8080, SYN);
        pcn_frame_set_macs(&expected, "02:00:00:00:00:b1", CLIENT_MAC);
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, SYN), BACK, expected);
        /* What comes back to our MAC goes to the client's. */
        expected = tcp(B1, 8080, C, 1000, SYN | ACK);
        pcn_frame_set_macs(&expected, OUR_MAC, "02:00:00:00:00:b1");
        PCN_CHECK_EQ(give(rig, BACK, &expected), 0);
        PCN_CHECK_EQ(memcmp(rig->run.frame.bytes, "\x02\0\0\0\0\x01", 6), 0);
        /* An echo to our MAC, for which there is no service. */
        expected = echo(C, VIP, false, 3);
        pcn_frame_set_macs(&expected, OUR_MAC, CLIENT_MAC);
        request = echo(VIP, C, true, 3);
        pcn_frame_set_macs(&request, CLIENT_MAC, OUR_MAC);
        becomes(rig, FRONT, expected, FRONT, request);
        /* Nothing of it, once the service is gone. */
        service_withdraw(rig, rig->groups[0]);
        request = pcn_frame_arp_request(CLIENT_MAC, C, VIP);
        becomes(rig, FRONT, request, BACK, request);
    }
}

void test_solicited(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_group like = service_like(VIP6, 80, IPPROTO_TCP, LBRP_MAGLEV);
        const struct pcn_frame solicit = pcn_frame_nd_solicit(CLIENT_MAC, C6, VIP6);
        const struct pcn_frame other = pcn_frame_nd_solicit(CLIENT_MAC, C6, "fd00::100");
        struct lbrp_end end;

        ends_make(&end, 6, 1, 1);
        end.has_mac = true;
        service_set(rig, like, &end, 1);
        pool_add(rig, "fd00::100");
        PCN_CHECK_EQ(give(rig, FRONT, &solicit), ~0u);
        PCN_REQUIRE(pcn_fast_records(&rig->fast) == 1);
        PCN_CHECK_EQ(rig->fast.records->record.reason, LBRP_SLOW_SOLICITED);
        becomes(rig, BACK, solicit, FRONT, solicit);
        becomes(rig, FRONT, other, BACK, other);
        PCN_CHECK_EQ(give(rig, BACK, &other), ~0u);
        PCN_CHECK_EQ(pcn_fast_records(&rig->fast), 1);
    }
}

void test_multi(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_data *data = rig->lbrp.tables.data;
        const struct pcn_frame request = pcn_frame_arp_request("02:00:00:00:00:b1", B1, C2);
        union pcn_address address = {.v6 = {}};

        one(rig, VIP, 80, IPPROTO_TCP);
        data->multi = 1;
        data->front = LBRP_NO_PORT;
        address.v4 = inet_addr(C);
        lbrp_tables_set(&rig->lbrp.tables, &address, 4, LBRP_PORT, FRONT + 1);
        address.v4 = inet_addr(C2);
        lbrp_tables_set(&rig->lbrp.tables, &address, 4, LBRP_PORT, FRONT2 + 1);
        becomes(rig, FRONT2, tcp(C2, 1000, VIP, 80, SYN), BACK, tcp(C2, 1000, B1, 8080, SYN));
        becomes(rig, BACK, tcp(B1, 8080, C2, 1000, ACK), FRONT2, tcp(VIP, 80, C2, 1000, ACK));
        becomes(rig, BACK, udp(B1, 9, C2, 9), FRONT2, udp(B1, 9, C2, 9));
        becomes(rig, BACK, udp(B1, 9, C, 9), FRONT, udp(B1, 9, C, 9));
        becomes(rig, BACK, request, FRONT2, request);
    }
}

void test_bad(void)
{
    FOR_BOTH(64)
    {
        const struct pcn_frame cut = pcn_frame_make(&(struct pcn_frame_spec){.source = C,
                                                                             .destination = VIP,
                                                                             .protocol = IPPROTO_TCP,
                                                                             .destination_port = 80,
                                                                             .faults = PCN_FAULT_TCP_OFFSET});
        const struct pcn_frame back = tcp(VIP, 80, C, 1000, ACK);

        one(rig, VIP, 80, IPPROTO_TCP);
        PCN_CHECK_EQ(give(rig, FRONT, &cut), PCN_DROP_MALFORMED);
        /* From the wrong side of its session. */
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, SYN), BACK, tcp(C, 1000, B1, 8080, SYN));
        PCN_CHECK_EQ(give(rig, FRONT, &back), LBRP_DROP_INVALID);
        rig->lbrp.tables.data->ready = false;
        PCN_CHECK_EQ(give(rig, FRONT, &cut), LBRP_DROP_NO_OTHER_PORT);
    }
}

/* One client that begins anew many times: what is over leaves its places at once, and its number when it is swept away. */
void test_anew(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_group *service = one(rig, VIP, 80, IPPROTO_TCP);

        for (int i = 0; i < 40; i++) {
            PCN_CHECK_EQ(goes_to(rig, tcp(C, 1000, VIP, 80, SYN)), 1);
            PCN_CHECK_EQ(goes_to(rig, tcp(C, 1000, VIP, 80, RST)), 1);
        }
        PCN_CHECK_EQ(goes_to(rig, tcp(C, 1000, VIP, 80, SYN)), 1);
        PCN_CHECK_EQ(tally(rig, service, 0).active, 1);
        PCN_CHECK_EQ(tally(rig, service, 0).sessions, 41);
        PCN_CHECK_EQ(n_places(rig), 2);
        check_numbers(rig, 1);
    }
}

#define RACE_PORTS 64
#define RACE_ROUNDS 40

static uint16_t race_first;

static struct pcn_frame race_frame(int cpu, uint16_t i)
{
    return udp(C, (uint16_t)(race_first + i), VIP, 53);
}

/* Two CPUs open the same sessions: none is there twice, with two backends. */
void test_race(void)
{
    static const struct pcn_race race = {.frame = race_frame, .n = RACE_PORTS};
    struct lbrp_end ends[2];
    uint32_t active;
    int left;

    ends_make(ends, 4, 1, 2);
    FOR_BOTH(2048)
    {
        struct lbrp_group *service =
            service_set(rig, service_like(VIP, 53, IPPROTO_UDP, LBRP_ROUND_ROBIN), ends, PCN_ARRAY_SIZE(ends));
        int refused = 0;

        race_first = 2000;
        for (uint32_t round = 1; round <= RACE_ROUNDS; round++) {
            left = pcn_fast_race(&rig->fast, &race);
            PCN_CHECK_EQ(left + (int)pcn_fast_drops(&rig->fast, LBRP_DROP_RACE) - refused, PCN_RACE_CPUS * RACE_PORTS);
            refused = (int)pcn_fast_drops(&rig->fast, LBRP_DROP_RACE);
            /* Of what is not known by now, the next packets open it. */
            for (uint16_t i = 0; i < RACE_PORTS; i++)
                PCN_CHECK(goes_to(rig, race_frame(0, i)) != 0);
            PCN_CHECK_EQ(n_places(rig), 2 * round * RACE_PORTS);
            active = tally(rig, service, 0).active + tally(rig, service, 1).active;
            PCN_CHECK_EQ(active, round * RACE_PORTS);
            race_first += RACE_PORTS;
        }
        check_numbers(rig, RACE_ROUNDS * RACE_PORTS);
    }
}

/* On one CPU the client's, on the other one the backend's. */
static struct pcn_frame race_last(int cpu, uint16_t i)
{
    uint16_t port = (uint16_t)(race_first + i);

    return cpu == 0 ? tcp(C, port, VIP, 80, FIN | ACK) : tcp(B1, 8080, C, port, FIN | ACK);
}

/* Both sides end the same sessions: they are over with the next packet. */
void test_race_last(void)
{
    static const struct pcn_race race = {
        .frame = race_last, .n = RACE_PORTS, .from = {{PCN_INGRESS, FRONT}, {PCN_INGRESS, BACK}}};

    FOR_BOTH(2048)
    {
        struct lbrp_group *service = one(rig, VIP, 80, IPPROTO_TCP);

        race_first = 2000;
        for (uint32_t round = 1; round <= RACE_ROUNDS; round++) {
            for (uint16_t port = race_first; port < race_first + RACE_PORTS; port++) {
                PCN_CHECK_EQ(goes_to(rig, tcp(C, port, VIP, 80, SYN)), 1);
                PCN_CHECK_EQ(give(rig, BACK, &(struct pcn_frame[]){tcp(B1, 8080, C, port, SYN | ACK)}[0]), 0);
                PCN_CHECK_EQ(goes_to(rig, tcp(C, port, VIP, 80, ACK)), 1);
            }
            PCN_CHECK_EQ(pcn_fast_race(&rig->fast, &race), PCN_RACE_CPUS * RACE_PORTS);
            for (uint16_t port = race_first; port < race_first + RACE_PORTS; port++)
                PCN_CHECK_EQ(goes_to(rig, tcp(C, port, VIP, 80, ACK)), 1);
            PCN_CHECK_EQ(tally(rig, service, 0).active, 0);
            race_first += RACE_PORTS;
        }
    }
}
