/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path at TC and at XDP, and the table that it shares with user space. A is
 * 10.0.0.1 and fd00::1, and sends first; B is .2 of both.
 */
#include "conntrack_maps.h"
#include <arpa/inet.h>
#include <harness/suite.h>
#include <harness/testrun.h>
#include <pcn/flows.h>
#include <stdio.h>
#include <sys/mman.h>

#define A4 "10.0.0.1"
#define B4 "10.0.0.2"
#define R4 "10.0.9.9" /* a router between them */
#define A6 "fd00::1"
#define B6 "fd00::2"
#define R6 "fd00:9::9"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

struct tracker {
    struct pcn_fast fast;
    struct pcn_flows table;
    struct pcn_fast_run run;
    bool dry_run; /* the program returns the verdict itself */
};

/* ---- set-up ---- */

static uint32_t opening_buckets;
static bool opening_counting;

static void configure(struct bpf_object *object)
{
    pcn_run_flows(object, opening_buckets, 1, opening_counting);
}

static int tracker_open(bool xdp, uint32_t n_buckets, struct pcn_cube_identity identity, struct tracker *tracker)
{
    const struct pcn_fast_spec spec = {
        .kind = "conntrack", .xdp = xdp, .transparent = true, .identity = identity, .configure = configure};
    int r;

    opening_buckets = n_buckets;
    r = pcn_fast_open(&spec, &tracker->fast);
    if (r < 0)
        return r;
    return pcn_fast_flows(&tracker->fast, n_buckets, 1, &tracker->table);
}

static void tracker_freep(struct tracker **ptr)
{
    struct tracker *tracker = TAKE_PTR(*ptr);

    if (!tracker)
        return;
    pcn_fast_close(&tracker->fast);
    free(tracker);
}

/* NULL: the check has failed. */
static struct tracker *tracker_new_as(bool xdp, uint32_t n_buckets, struct pcn_cube_identity identity)
{
    _cleanup_(tracker_freep) struct tracker *tracker = calloc(1, sizeof(*tracker));

    if (!PCN_CHECK(tracker != NULL) || !PCN_CHECK_OK(tracker_open(xdp, n_buckets, identity, tracker)))
        return NULL;
    return TAKE_PTR(tracker);
}

static struct tracker *tracker_new(bool xdp, uint32_t n_buckets)
{
    return tracker_new_as(xdp, n_buckets, (struct pcn_cube_identity){});
}

#define FOR_BOTH(n_buckets_)                                                                                           \
    for (int xdp_ = 0; xdp_ < 2; xdp_++)                                                                               \
        for (_cleanup_(tracker_freep) struct tracker *tracker = tracker_new(xdp_, n_buckets_); tracker;                \
             tracker_freep(&tracker))

/* ---- packets ---- */

/* State that the packet gets; -1: it was dropped. */
static int give(struct tracker *tracker, const struct pcn_frame *frame)
{
    if (!PCN_CHECK_OK(pcn_fast_run(&tracker->fast, PCN_INGRESS, 0, frame, &tracker->run)))
        return -2;
    if (tracker->run.verdict == pcn_fast_dropped(&tracker->fast))
        return -1;
    PCN_CHECK_EQ(tracker->run.verdict, tracker->dry_run ? PCN_PASS : PCN_SINK);
    PCN_CHECK_FRAME(&tracker->run.frame, frame);
    return tracker->run.packet.ct_state;
}

static int tcp(struct tracker *tracker, bool reply, bool v6, uint8_t flags)
{
    const char *a = v6 ? A6 : A4, *b = v6 ? B6 : B4;
    struct pcn_frame frame = reply ? pcn_frame_tcp(b, a, 80, 1000, flags) : pcn_frame_tcp(a, b, 1000, 80, flags);

    return give(tracker, &frame);
}

static int udp(struct tracker *tracker, bool reply, bool v6)
{
    const char *a = v6 ? A6 : A4, *b = v6 ? B6 : B4;
    struct pcn_frame frame = reply ? pcn_frame_udp(b, a, 53, 2000, 20) : pcn_frame_udp(a, b, 2000, 53, 20);

    return give(tracker, &frame);
}

static int echo(struct tracker *tracker, bool from_b, bool v6, bool answer, uint16_t id)
{
    const char *a = v6 ? A6 : A4, *b = v6 ? B6 : B4;
    struct pcn_frame frame =
        pcn_frame_make(&(struct pcn_frame_spec){.source = from_b ? b : a,
                                                .destination = from_b ? a : b,
                                                .protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                                                .icmp_type = (uint8_t)(v6 ? (answer ? 129 : 128) : (answer ? 0 : 8)),
                                                .icmp_id = id,
                                                .payload_length = 16});

    return give(tracker, &frame);
}

/* A SYN of a flow of its own for each n. */
static int syn_of(struct tracker *tracker, unsigned int n)
{
    struct pcn_frame frame = pcn_frame_tcp(A4, B4, (uint16_t)(1000 + n), 80, SYN);

    return give(tracker, &frame);
}

static void handshake(struct tracker *tracker, bool v6)
{
    PCN_CHECK_EQ(tcp(tracker, false, v6, SYN), PCN_CT_NEW);
    PCN_CHECK_EQ(tcp(tracker, true, v6, SYN | ACK), PCN_CT_ESTABLISHED);
    PCN_CHECK_EQ(tcp(tracker, false, v6, ACK), PCN_CT_ESTABLISHED);
}

/* ---- the table ---- */

static uint64_t *word_of(struct tracker *tracker)
{
    uint32_t slot = tracker->run.packet.ct_slot;

    return slot < tracker->table.n_slots ? (uint64_t *)&tracker->table.entries[slot].word : NULL;
}

/* Of the flow of the last packet. */
static int flow_state(struct tracker *tracker)
{
    uint64_t *word = word_of(tracker);

    return word ? (int)pcn_ct_flow_of(*word) : -1;
}

/* User space computes jiffies from its own clock here: some tenths of a second apart from the kernel's. */
static void expire(struct tracker *tracker)
{
    uint64_t *word = word_of(tracker);

    if (PCN_CHECK(word != NULL))
        *word = (*word & ~0xffffffffull) | (uint32_t)(pcn_clock_jiffies() - 10 * pcn_clock_hz());
}

static uint32_t n_flows(struct tracker *tracker)
{
    return pcn_flows_sweep(&tracker->table, 0, tracker->table.n_slots, pcn_clock_jiffies());
}

static struct pcn_ct_statistics statistics(struct tracker *tracker)
{
    return pcn_flows_statistics(&tracker->table);
}

/* ---- TCP ---- */

static void test_tcp_open_close(void)
{
    FOR_BOTH(64)
    {
        for (int v6 = 0; v6 < 2; v6++) {
            PCN_CHECK_EQ(tcp(tracker, false, v6, SYN), PCN_CT_NEW);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_SYN_SENT);
            PCN_CHECK_EQ(tcp(tracker, false, v6, SYN), PCN_CT_NEW);
            PCN_CHECK_EQ(tcp(tracker, true, v6, SYN | ACK), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_SYN_RECV);
            PCN_CHECK_EQ(tcp(tracker, false, v6, ACK), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_ESTABLISHED);
            PCN_CHECK_EQ(tcp(tracker, true, v6, ACK), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(tcp(tracker, false, v6, FIN | ACK), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_FIN_WAIT);
            PCN_CHECK_EQ(tcp(tracker, true, v6, ACK), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(tcp(tracker, false, v6, SYN), PCN_CT_INVALID);
            PCN_CHECK_EQ(tcp(tracker, true, v6, FIN | ACK), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_LAST_ACK);
            PCN_CHECK_EQ(tcp(tracker, false, v6, ACK), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_TIME_WAIT);
        }
        PCN_CHECK_EQ(n_flows(tracker), 2);
        PCN_CHECK_EQ(statistics(tracker).created, 2);
        PCN_CHECK_EQ(statistics(tracker).invalid, 2);
    }
}

static void test_tcp_close_by_other(void)
{
    FOR_BOTH(64)
    {
        handshake(tracker, false);
        PCN_CHECK_EQ(tcp(tracker, true, false, FIN | ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_CLOSE_WAIT);
        PCN_CHECK_EQ(tcp(tracker, false, false, FIN | ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_LAST_ACK);
    }
}

static void test_tcp_simultaneous(void)
{
    FOR_BOTH(64)
    {
        PCN_CHECK_EQ(tcp(tracker, false, false, SYN), PCN_CT_NEW);
        PCN_CHECK_EQ(tcp(tracker, true, false, SYN), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_SYN_SENT2);
        PCN_CHECK_EQ(tcp(tracker, false, false, SYN | ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(tcp(tracker, true, false, SYN | ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_ESTABLISHED);
    }
}

static void test_tcp_reset(void)
{
    FOR_BOTH(64)
    {
        handshake(tracker, false);
        PCN_CHECK_EQ(tcp(tracker, true, false, RST), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_CLOSED);
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_INVALID);
        /* The same ports again, from the other side: B is now who sent first. */
        PCN_CHECK_EQ(tcp(tracker, true, false, SYN), PCN_CT_NEW);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_SYN_SENT);
        PCN_CHECK_EQ(tcp(tracker, true, false, SYN), PCN_CT_NEW);
        PCN_CHECK_EQ(tcp(tracker, false, false, SYN | ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(n_flows(tracker), 1);
        /* Refused. */
        PCN_CHECK_EQ(syn_of(tracker, 7), PCN_CT_NEW);
        struct pcn_frame refuse = pcn_frame_tcp(B4, A4, 80, 1007, RST | ACK);
        PCN_CHECK_EQ(give(tracker, &refuse), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_CLOSED);
    }
}

static void test_tcp_out_of_state(void)
{
    static const uint8_t flags[] = {SYN | ACK, ACK, FIN | ACK, RST, RST | ACK, SYN | FIN, SYN | RST, FIN, 0};

    FOR_BOTH(64)
    {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(flags); i++) {
            struct pcn_frame frame = pcn_frame_tcp(A4, B4, 1000, 80, flags[i] ?: 0x20);

            PCN_CHECK_EQ(give(tracker, &frame), PCN_CT_INVALID);
            PCN_CHECK_EQ(tracker->run.packet.ct_slot, PCN_CT_NO_SLOT);
        }
        PCN_CHECK_EQ(n_flows(tracker), 0);
        PCN_CHECK_EQ(statistics(tracker).invalid, PCN_ARRAY_SIZE(flags));
        PCN_CHECK_EQ(tcp(tracker, false, false, SYN), PCN_CT_NEW);
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_INVALID);
        PCN_CHECK_EQ(tcp(tracker, true, false, ACK), PCN_CT_INVALID);
    }
}

static int segment(struct tracker *tracker, bool reply, uint8_t flags, uint32_t sequence, uint32_t acknowledgement,
                   size_t length)
{
    static const uint8_t scale[] = {1, 3, 3, 2};
    struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){.source = reply ? B4 : A4,
                                                                     .destination = reply ? A4 : B4,
                                                                     .protocol = IPPROTO_TCP,
                                                                     .source_port = reply ? 80 : 1000,
                                                                     .destination_port = reply ? 1000 : 80,
                                                                     .tcp_flags = flags,
                                                                     .sequence = sequence,
                                                                     .acknowledgement = acknowledgement,
                                                                     .window = 1000,
                                                                     .tcp_options = scale,
                                                                     .tcp_options_length = flags & SYN ? 4 : 0,
                                                                     .payload_length = length});

    return give(tracker, &frame);
}

static void test_tcp_window(void)
{
    const uint32_t a = 0xfffffff0, b = 5000; /* A's wraps */

    FOR_BOTH(64)
    {
        tracker->table.settings->window_check = 1;
        PCN_CHECK_EQ(segment(tracker, false, SYN, a, 0, 0), PCN_CT_NEW);
        PCN_CHECK_EQ(segment(tracker, true, SYN | ACK, b, a + 1, 0), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(segment(tracker, false, ACK, a + 1, b + 1, 0), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(segment(tracker, true, ACK, b + 1, a + 1, 100), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(segment(tracker, false, ACK, a + 1, b + 101, 100), PCN_CT_ESTABLISHED);
        /* Again; what was never sent; beyond the window of 4,000; long before it. */
        PCN_CHECK_EQ(segment(tracker, false, ACK, a + 1, b + 101, 100), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(segment(tracker, false, ACK, a + 101, b + 102, 0), PCN_CT_INVALID);
        PCN_CHECK_EQ(segment(tracker, false, ACK, a + 1 + 4001, b + 101, 1), PCN_CT_INVALID);
        PCN_CHECK_EQ(segment(tracker, false, ACK, a + 1 + 4000, b + 101, 1), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(segment(tracker, false, ACK, a - 9000, b + 101, 1), PCN_CT_INVALID);
        /* A blind reset does nothing, one that fits does. */
        PCN_CHECK_EQ(segment(tracker, true, RST, b + 70000, 0, 0), PCN_CT_INVALID);
        PCN_CHECK_EQ(segment(tracker, true, RST, b + 101, 0, 0), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_TCP_CLOSED);
        PCN_CHECK_EQ(statistics(tracker).invalid, 4);
    }
}

/* ---- others ---- */

static void test_udp(void)
{
    FOR_BOTH(64)
    {
        for (int v6 = 0; v6 < 2; v6++) {
            PCN_CHECK_EQ(udp(tracker, false, v6), PCN_CT_NEW);
            PCN_CHECK_EQ(udp(tracker, false, v6), PCN_CT_NEW);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_UDP_NEW);
            PCN_CHECK_EQ(udp(tracker, true, v6), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_UDP_REPLIED);
            PCN_CHECK_EQ(udp(tracker, false, v6), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(flow_state(tracker), PCN_CT_UDP_ASSURED);
            PCN_CHECK_EQ(udp(tracker, true, v6), PCN_CT_ESTABLISHED);
        }
        PCN_CHECK_EQ(n_flows(tracker), 2);
    }
}

static void test_echo(void)
{
    FOR_BOTH(64)
    {
        for (int v6 = 0; v6 < 2; v6++) {
            PCN_CHECK_EQ(echo(tracker, true, v6, true, 5), PCN_CT_INVALID);
            PCN_CHECK_EQ(echo(tracker, false, v6, false, 5), PCN_CT_NEW);
            PCN_CHECK_EQ(echo(tracker, true, v6, true, 6), PCN_CT_INVALID);
            PCN_CHECK_EQ(echo(tracker, false, v6, true, 5), PCN_CT_INVALID);
            PCN_CHECK_EQ(echo(tracker, true, v6, true, 5), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(echo(tracker, false, v6, false, 5), PCN_CT_ESTABLISHED);
            /* The same id the other way round is another flow. */
            PCN_CHECK_EQ(echo(tracker, true, v6, false, 5), PCN_CT_NEW);
        }
        PCN_CHECK_EQ(n_flows(tracker), 4);
    }
}

static void test_other(void)
{
    FOR_BOTH(64)
    {
        struct pcn_frame there = pcn_frame_make(
            &(struct pcn_frame_spec){.source = A4, .destination = B4, .protocol = 47, .payload_length = 20});
        struct pcn_frame back = pcn_frame_make(
            &(struct pcn_frame_spec){.source = B4, .destination = A4, .protocol = 47, .payload_length = 20});
        struct pcn_frame arp = pcn_frame_arp_request("02:00:00:00:00:01", A4, B4);
        struct pcn_frame nd = pcn_frame_nd_solicit("02:00:00:00:00:01", A6, B6);

        PCN_CHECK_EQ(give(tracker, &there), PCN_CT_NEW);
        PCN_CHECK_EQ(give(tracker, &back), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(flow_state(tracker), PCN_CT_OTHER_REPLIED);
        PCN_CHECK_EQ(give(tracker, &arp), PCN_CT_NONE);
        PCN_CHECK_EQ(give(tracker, &nd), PCN_CT_NONE);
        PCN_CHECK_EQ(tracker->run.packet.ct_slot, PCN_CT_NO_SLOT);
        PCN_CHECK_EQ(n_flows(tracker), 1);
    }
}

/* An ICMP error from the router that quotes what `quoted` has behind its Ethernet header. */
static int error_about(struct tracker *tracker, const struct pcn_frame *quoted, bool v6, const char *to)
{
    struct pcn_frame frame =
        pcn_frame_make(&(struct pcn_frame_spec){.source = v6 ? R6 : R4,
                                                .destination = to,
                                                .protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                                                .icmp_type = v6 ? 1 : 3,
                                                .icmp_code = 1,
                                                .payload = quoted->bytes + ETH_HLEN,
                                                .payload_length = PCN_MIN(quoted->length - ETH_HLEN, (size_t)48)});

    return give(tracker, &frame);
}

static void test_related(void)
{
    FOR_BOTH(64)
    {
        for (int v6 = 0; v6 < 2; v6++) {
            const char *a = v6 ? A6 : A4, *b = v6 ? B6 : B4;
            struct pcn_frame sent = pcn_frame_udp(a, b, 2000, 53, 20), other = pcn_frame_udp(a, b, 2001, 53, 20);
            struct pcn_frame answer = pcn_frame_udp(b, a, 53, 2000, 20), ping = pcn_frame_echo(a, b, 9, 1);
            uint32_t slot;

            PCN_CHECK_EQ(error_about(tracker, &sent, v6, a), PCN_CT_INVALID);
            PCN_CHECK_EQ(give(tracker, &sent), PCN_CT_NEW);
            slot = tracker->run.packet.ct_slot;
            PCN_CHECK_EQ(error_about(tracker, &sent, v6, a), PCN_CT_RELATED);
            PCN_CHECK_EQ(tracker->run.packet.ct_slot, slot);
            PCN_CHECK_EQ(error_about(tracker, &answer, v6, b), PCN_CT_RELATED);
            PCN_CHECK_EQ(error_about(tracker, &other, v6, a), PCN_CT_INVALID);
            /* Not to who sent what it quotes. */
            PCN_CHECK_EQ(error_about(tracker, &sent, v6, b), PCN_CT_INVALID);
            PCN_CHECK_EQ(give(tracker, &ping), PCN_CT_NEW);
            PCN_CHECK_EQ(error_about(tracker, &ping, v6, a), PCN_CT_RELATED);
        }
        PCN_CHECK_EQ(n_flows(tracker), 4);
    }
}

static int fragment(struct tracker *tracker, bool v6, uint16_t id, uint16_t offset)
{
    struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){.source = v6 ? A6 : A4,
                                                                     .destination = v6 ? B6 : B4,
                                                                     .protocol = IPPROTO_UDP,
                                                                     .source_port = 2000,
                                                                     .destination_port = 53,
                                                                     .id = id,
                                                                     .fragment = true,
                                                                     .more_fragments = offset == 0,
                                                                     .fragment_offset = offset,
                                                                     .payload_length = 64});

    return give(tracker, &frame);
}

static void test_fragments(void)
{
    FOR_BOTH(64)
    {
        for (int v6 = 0; v6 < 2; v6++) {
            uint32_t slot;

            PCN_CHECK_EQ(fragment(tracker, v6, 5, 72), PCN_CT_INVALID);
            PCN_CHECK_EQ(fragment(tracker, v6, 5, 0), PCN_CT_NEW);
            slot = tracker->run.packet.ct_slot;
            PCN_CHECK_EQ(fragment(tracker, v6, 5, 72), PCN_CT_NEW);
            PCN_CHECK_EQ(tracker->run.packet.ct_slot, slot);
            PCN_CHECK_EQ(fragment(tracker, v6, 6, 72), PCN_CT_INVALID);
            PCN_CHECK_EQ(udp(tracker, true, v6), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(fragment(tracker, v6, 6, 0), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(fragment(tracker, v6, 6, 72), PCN_CT_ESTABLISHED);
        }
        PCN_CHECK_EQ(n_flows(tracker), 2);
        tracker->table.settings->fragment_timeout = 0;
        PCN_CHECK_EQ(fragment(tracker, false, 7, 0), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(fragment(tracker, false, 7, 72), PCN_CT_INVALID);
    }
}

/* ---- time, zones, room ---- */

static void test_timeouts(void)
{
    FOR_BOTH(64)
    {
        uint64_t before, deadline;

        handshake(tracker, false);
        before = *word_of(tracker);
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_ESTABLISHED);
        /* Not written again within a second. */
        PCN_CHECK_EQ(*word_of(tracker), before);
        expire(tracker);
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_INVALID);
        PCN_CHECK_EQ(tcp(tracker, false, false, SYN), PCN_CT_NEW);
        PCN_CHECK_EQ(n_flows(tracker), 1);

        /* A shorter timeout counts from the flow's next packet. */
        PCN_CHECK_EQ(udp(tracker, false, false), PCN_CT_NEW);
        PCN_CHECK_EQ(udp(tracker, true, false), PCN_CT_ESTABLISHED);
        tracker->table.settings->timeouts[PCN_CT_UDP_ASSURED] = 10;
        PCN_CHECK_EQ(udp(tracker, false, false), PCN_CT_ESTABLISHED);
        deadline = pcn_clock_jiffies() + 12;
        PCN_CHECK(PCN_WAIT(5000, pcn_clock_jiffies() > deadline));
        PCN_CHECK_EQ(udp(tracker, false, false), PCN_CT_NEW);
    }
}

static void test_zones(void)
{
    FOR_BOTH(64)
    {
        handshake(tracker, false);
        tracker->table.settings->zone = 7;
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_INVALID);
        PCN_CHECK_EQ(tcp(tracker, false, false, SYN), PCN_CT_NEW);
        PCN_CHECK_EQ(tracker->run.packet.zone, 7);
        PCN_CHECK_EQ(n_flows(tracker), 2);
        tracker->table.settings->zone = 0;
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_ESTABLISHED);
    }
}

/* Room for eight. */
static void test_full(void)
{
    for (int xdp = 0; xdp < 2; xdp++) {
        _cleanup_(tracker_freep) struct tracker *tracker = NULL;

        tracker = tracker_new_as(xdp, 2, (struct pcn_cube_identity){});
        PCN_REQUIRE(tracker != NULL);
        for (unsigned int n = 0; n < 8; n++) {
            struct pcn_frame answer = pcn_frame_tcp(B4, A4, 80, (uint16_t)(1000 + n), SYN | ACK);
            struct pcn_frame ack = pcn_frame_tcp(A4, B4, (uint16_t)(1000 + n), 80, ACK);

            PCN_CHECK_EQ(syn_of(tracker, n), PCN_CT_NEW);
            PCN_CHECK_EQ(give(tracker, &answer), PCN_CT_ESTABLISHED);
            PCN_CHECK_EQ(give(tracker, &ack), PCN_CT_ESTABLISHED);
        }
        PCN_CHECK_EQ(syn_of(tracker, 8), -1);
        PCN_CHECK_EQ(pcn_fast_drops(&tracker->fast, CONNTRACK_TABLE_FULL), 1);
        tracker->table.settings->drop_when_full = 0;
        PCN_CHECK_EQ(syn_of(tracker, 8), PCN_CT_NEW);
        PCN_CHECK_EQ(tracker->run.packet.ct_slot, PCN_CT_NO_SLOT);
        PCN_CHECK_EQ(statistics(tracker).full, 2);
        PCN_CHECK_EQ(statistics(tracker).early_dropped, 0);
        PCN_CHECK_EQ(n_flows(tracker), 8);
        /* It was in vain; one that is over makes room all the same. */
        PCN_CHECK_EQ(tcp(tracker, true, false, ACK), PCN_CT_ESTABLISHED);
        expire(tracker);
        PCN_CHECK_EQ(syn_of(tracker, 8), PCN_CT_NEW);
        PCN_CHECK_EQ(statistics(tracker).reused, 1);
        PCN_CHECK_EQ(statistics(tracker).full, 2);
    }
}

static void test_numbers(void)
{
    FOR_BOTH(16)
    {
        uint32_t n = tracker->table.n_numbers;

        for (unsigned int round = 0; round < 3; round++) {
            for (unsigned int i = 0; i < n + n / 2; i++)
                PCN_CHECK_EQ(syn_of(tracker, 1000 * round + i), PCN_CT_NEW);
            PCN_CHECK_EQ(n_flows(tracker), n);
            PCN_CHECK_EQ(pcn_flows_places(&tracker->table), n);
            PCN_CHECK_EQ(pcn_flows_free(&tracker->table), 0);
            pcn_flows_clear(&tracker->table);
            PCN_CHECK_EQ(pcn_flows_places(&tracker->table), 0);
            PCN_CHECK_EQ(pcn_flows_free(&tracker->table), n);
        }
    }
}

static void test_early_drop(void)
{
    for (int xdp = 0; xdp < 2; xdp++) {
        _cleanup_(tracker_freep) struct tracker *tracker = NULL;
        uint32_t expired;

        tracker = tracker_new_as(xdp, 2, (struct pcn_cube_identity){});
        PCN_REQUIRE(tracker != NULL);
        handshake(tracker, false);
        for (unsigned int n = 1; n < 8; n++)
            PCN_CHECK_EQ(syn_of(tracker, n), PCN_CT_NEW);
        /* An expired one goes first. */
        expired = tracker->run.packet.ct_slot;
        expire(tracker);
        PCN_CHECK_EQ(syn_of(tracker, 8), PCN_CT_NEW);
        PCN_CHECK_EQ(tracker->run.packet.ct_slot, expired);
        PCN_CHECK_EQ(statistics(tracker).reused, 1);
        for (unsigned int n = 9; n < 500; n++)
            PCN_CHECK_EQ(syn_of(tracker, n), PCN_CT_NEW);
        PCN_CHECK_EQ(statistics(tracker).early_dropped, 491);
        PCN_CHECK_EQ(statistics(tracker).reused, 1);
        PCN_CHECK_EQ(statistics(tracker).full, 0);
        PCN_CHECK_EQ(tcp(tracker, true, false, ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(n_flows(tracker), 8);
    }
}

/* As many flows as the table is made for find room. */
static void test_room(void)
{
    _cleanup_(tracker_freep) struct tracker *tracker = NULL;
    const uint32_t size = 16384;

    tracker = tracker_new_as(true, pcn_ct_buckets_for(size), (struct pcn_cube_identity){});
    PCN_REQUIRE(tracker != NULL);
    for (uint32_t n = 0; n < size; n++) {
        struct pcn_frame frame = pcn_frame_udp(A4, B4, (uint16_t)(n + 1), (uint16_t)(n >> 12), 20);

        if (give(tracker, &frame) != PCN_CT_NEW)
            PCN_CHECK(false);
    }
    PCN_CHECK_EQ(n_flows(tracker), size);
    PCN_CHECK_EQ(statistics(tracker).early_dropped, 0);
}

/* Hash of the flow of a source port to port 80. */
static uint64_t hash_of(const struct tracker *tracker, bool v6, uint16_t port)
{
    struct pcn_ct_key key = {};

    (void)inet_pton(v6 ? AF_INET6 : AF_INET, v6 ? A6 : A4, &key.words[0]);
    (void)inet_pton(v6 ? AF_INET6 : AF_INET, v6 ? B6 : B4, &key.words[2]);
    key.words[4] = pcn_ct_tuple(htons(port) | (uint32_t)htons(80) << 16, IPPROTO_TCP, v6 ? 6 : 4, 0);
    return pcn_ct_hash(&key, tracker->table.settings->seed);
}

/* Ports whose flows have their first place in one bucket; of one tag, if there is one. Returns how many were found. */
static size_t ports_of(const struct tracker *tracker, bool v6, uint64_t tag, uint16_t *ports, size_t n)
{
    uint32_t mask = tracker->table.n_places / PCN_CT_WAYS - 1;
    size_t found = 0;

    for (uint16_t port = 1; port < UINT16_MAX && found < n; port++) {
        uint64_t hash = hash_of(tracker, v6, port);

        if (pcn_ct_bucket_of(hash, 0, mask, 0) == 7 && (!tag || pcn_ct_tag(hash) == tag))
            ports[found++] = port;
    }
    return found;
}

/* Opens flows, one after the other, and then has a packet of each, from either side. Returns how many are not in bucket 7. */
static unsigned int open_and_find(struct tracker *tracker, bool v6, const uint16_t *ports, size_t n)
{
    static const struct {
        bool reply;
        uint8_t flags;
        int state;
    } steps[] = {{false, SYN, PCN_CT_NEW}, {true, SYN | ACK, PCN_CT_ESTABLISHED}, {false, ACK, PCN_CT_ESTABLISHED}};
    const char *a = v6 ? A6 : A4, *b = v6 ? B6 : B4;
    unsigned int elsewhere = 0;

    for (size_t step = 0; step < PCN_ARRAY_SIZE(steps); step++) {
        for (size_t i = 0; i < n; i++) {
            struct pcn_frame frame = steps[step].reply ? pcn_frame_tcp(b, a, 80, ports[i], steps[step].flags)
                                                       : pcn_frame_tcp(a, b, ports[i], 80, steps[step].flags);

            PCN_CHECK_EQ(give(tracker, &frame), steps[step].state);
            elsewhere += step == 0 && tracker->table.places[tracker->run.packet.ct_slot] / PCN_CT_WAYS != 7;
        }
    }
    PCN_CHECK_EQ(n_flows(tracker), n);
    return elsewhere;
}

static void test_same_tag(void)
{
    for (int v6 = 0; v6 < 2; v6++) {
        FOR_BOTH(64)
        {
            uint16_t ports[4];
            uint64_t tag = 1;

            while (tag < 255 && ports_of(tracker, v6, tag, ports, 4) < 4)
                tag++;
            if (PCN_CHECK(tag < 255))
                PCN_CHECK_EQ(open_and_find(tracker, v6, ports, 4), 0);
        }
    }
}

static void test_second_bucket(void)
{
    for (int v6 = 0; v6 < 2; v6++) {
        FOR_BOTH(64)
        {
            uint16_t ports[20];

            if (PCN_CHECK_EQ(ports_of(tracker, v6, 0, ports, 20), 20))
                PCN_CHECK(open_and_find(tracker, v6, ports, 20) >= 12);
        }
    }
}

static void test_dry_run(void)
{
    for (int xdp = 0; xdp < 2; xdp++) {
        _cleanup_(tracker_freep) struct tracker *tracker = NULL;

        tracker = tracker_new_as(xdp, 64, (struct pcn_cube_identity){.dry_run = 1});
        PCN_REQUIRE(tracker != NULL);
        tracker->dry_run = true;
        PCN_CHECK_EQ(tcp(tracker, false, false, SYN), PCN_CT_NEW);
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_INVALID);
        PCN_CHECK_EQ(n_flows(tracker), 0);
        PCN_CHECK_EQ(statistics(tracker).created + statistics(tracker).invalid, 0);
    }
}

static void test_counting(void)
{
    for (int xdp = 0; xdp < 2; xdp++) {
        _cleanup_(tracker_freep) struct tracker *tracker = NULL;
        const struct pcn_ct_traffic *traffic;

        opening_counting = true;
        tracker = tracker_new(xdp, 64);
        PCN_REQUIRE(tracker != NULL);
        opening_counting = false;
        tracker->table.settings->counting = 1;
        PCN_CHECK_EQ(udp(tracker, false, false), PCN_CT_NEW);
        PCN_CHECK_EQ(udp(tracker, true, false), PCN_CT_ESTABLISHED);
        PCN_CHECK_EQ(udp(tracker, true, false), PCN_CT_ESTABLISHED);
        PCN_REQUIRE(tracker->run.packet.ct_slot < tracker->table.n_slots);
        traffic = &tracker->table.traffic[tracker->run.packet.ct_slot];
        PCN_CHECK_EQ(traffic->packets[0], 1);
        PCN_CHECK_EQ(traffic->bytes[0], 62);
        PCN_CHECK_EQ(traffic->packets[1], 2);
        PCN_CHECK_EQ(traffic->bytes[1], 124);
    }
}

static void test_table(void)
{
    FOR_BOTH(64)
    {
        struct pcn_flows *table = &tracker->table;
        struct pcn_ct_key key = {
            {0, 0, 0, 0, pcn_ct_tuple(htons(80) | (uint32_t)htons(1000) << 16, IPPROTO_TCP, 4, 0)}};
        struct pcn_flow flow, again;

        handshake(tracker, false);
        inet_pton(AF_INET, B4, &key.words[0]);
        inet_pton(AF_INET, A4, &key.words[2]);
        PCN_REQUIRE_OK(pcn_flows_find(table, &key, pcn_clock_jiffies(), &flow));
        PCN_CHECK_EQ(flow.slot, tracker->run.packet.ct_slot);
        PCN_CHECK(pcn_flows_get(table, flow.slot, pcn_clock_jiffies(), &again));
        PCN_CHECK_EQ(again.key.words[2], key.words[0]);
        /* Its state has moved on meanwhile. */
        PCN_CHECK_EQ(tcp(tracker, false, false, FIN | ACK), PCN_CT_ESTABLISHED);
        PCN_CHECK(pcn_flows_remove(table, &flow));
        PCN_CHECK(!pcn_flows_remove(table, &flow));
        PCN_CHECK_EQ(pcn_flows_find(table, &key, pcn_clock_jiffies(), &flow), -ENOENT);
        PCN_CHECK_EQ(tcp(tracker, false, false, ACK), PCN_CT_INVALID);
    }
}

static const struct pcn_test tests[] = {
    {"TCP opens, and closes from the side that opened it", test_tcp_open_close},
    {"TCP closes from the other side", test_tcp_close_by_other},
    {"TCP opens from both sides at once", test_tcp_simultaneous},
    {"a reset ends a flow, and a SYN begins a new one in its place, from either side", test_tcp_reset},
    {"segments out of state, and flags that no segment has, are INVALID", test_tcp_out_of_state},
    {"where windows are checked, a segment outside is INVALID", test_tcp_window},
    {"UDP is new, replied, assured", test_udp},
    {"an echo reply belongs to its request, by id", test_echo},
    {"other protocols go by addresses; what is not tracked is NONE", test_other},
    {"an ICMP error is RELATED to the flow it quotes, and goes to who sent that", test_related},
    {"later fragments have the state of the first one, and without it are INVALID", test_fragments},
    {"a flow that has expired does not count, and expiry is not written for each packet", test_timeouts},
    {"zones keep equal flows apart", test_zones},
    {"established flows are never pushed out: the table is full", test_full},
    {"expired flows make room, then unanswered ones", test_early_drop},
    {"free numbers, places and flows are all of them, whatever came and went", test_numbers},
    {"a table has room for as many flows as it was made for", test_room},
    {"flows of one bucket and tag are told apart", test_same_tag},
    {"flows that have no place in their first bucket are found in the second", test_second_bucket},
    {"a dry run writes nothing", test_dry_run},
    {"with counting, packets and bytes are counted by direction", test_counting},
    {"user space finds a flow by either direction, and removes it once", test_table},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("conntrack", tests, .skip = pcn_skip_unless_root);
}
