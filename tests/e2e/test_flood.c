/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bridge floods every kind of port there is, once each, in the kernel:
 *
 *     h0 ── plain0 ┐
 *     h1 ── plain1 ┤          ┌ behind0 ── fw0 ── h2
 *                  bridge ────┤
 *     h4 ── watched┘          └ behind1 ── fw1 ── h3
 *
 * A transparent cube is attached to the port `watched`.
 */
#include <harness/daemon.h>
#include <harness/netns.h>
#include <harness/suite.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define ENDS 5
#define FRAMES 64
#define ARRIVAL_MS 5000
#define QUIET_MS 200 /* for a copy too many */
#define ETHERTYPE_FLOOD 0x88b5
#define FRAME_MIN 60
#define FRAME_STEP 23 /* the last one is close to the MTU */

static const char *const macs[ENDS] = {"02:00:00:00:01:00", "02:00:00:00:01:01", "02:00:00:00:01:02",
                                       "02:00:00:00:01:03", "02:00:00:00:01:04"};

struct lab {
    struct pcn_testd *daemon;
    struct pcn_netns *hosts[ENDS];
    struct pcn_wire wires[ENDS];
};

static void lab_done(struct lab *lab)
{
    for (size_t i = 0; i < ENDS; i++) {
        pcn_wire_close(&lab->wires[i]);
        pcn_netns_freep(&lab->hosts[i]);
    }
    pcn_testd_freep(&lab->daemon);
}

static int lab_hosts(struct lab *lab, bool xdp)
{
    char label[8], port[8];
    int r = 0;

    for (size_t i = 0; r == 0 && i < ENDS; i++) {
        (void)snprintf(label, sizeof(label), "h%zu", i);
        (void)snprintf(port, sizeof(port), "to%zu", i);
        r = pcn_host_new(
            &(struct pcn_host_spec){.label = label, .inside = pcn_testd_netns(lab->daemon), .port = port, .xdp = xdp},
            &lab->hosts[i]);
        if (r == 0)
            r = pcn_wire_open(lab->hosts[i], "eth0", &lab->wires[i]);
    }
    return r;
}

static bool lab_cubes(struct lab *lab, const char *type)
{
    char body[640];

    for (int i = 0; i < 2; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"type\": \"%s\", \"ports\": [{\"name\": \"in\"}, {\"name\": \"out\", \"peer\": \"to%d\"}], "
                       "\"actions\": [{\"inport\": \"in\", \"action\": \"FORWARD\", \"outport\": \"out\"}, "
                       "{\"inport\": \"out\", \"action\": \"FORWARD\", \"outport\": \"in\"}]}",
                       type, 2 + i);
        if (pcn_testd_post(lab->daemon, body, "simpleforwarder/fw%d", i) != 201)
            return false;
    }
    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"ports\": [{\"name\": \"plain0\", \"peer\": \"to0\"}, "
                   "{\"name\": \"behind0\"}, {\"name\": \"plain1\", \"peer\": \"to1\"}, "
                   "{\"name\": \"watched\", \"peer\": \"to4\"}, {\"name\": \"behind1\"}]}",
                   type);
    if (pcn_testd_post(lab->daemon, body, "simplebridge/bridge") != 201)
        return false;
    (void)snprintf(body, sizeof(body), "{\"type\": \"%s\"}", type);
    return pcn_testd_post(lab->daemon, body, "transparenthelloworld/watch") == 201 &&
           pcn_testd_post(lab->daemon, "{\"cube\": \"watch\", \"port\": \"bridge:watched\"}", "attach") / 100 == 2 &&
           pcn_testd_post(lab->daemon, "{\"peer1\": \"bridge:behind0\", \"peer2\": \"fw0:in\"}", "connect") / 100 ==
               2 &&
           pcn_testd_post(lab->daemon, "{\"peer1\": \"bridge:behind1\", \"peer2\": \"fw1:in\"}", "connect") / 100 == 2;
}

/* Half of them are broadcast, half go to a station that nobody has heard of. */
static struct pcn_frame flood_frame(size_t sender, unsigned int id)
{
    uint8_t payload[FRAME_MIN + FRAMES * FRAME_STEP];

    memset(payload, (int)id, sizeof(payload));
    payload[0] = (uint8_t)sender;
    payload[1] = (uint8_t)id;
    return pcn_frame_make(&(struct pcn_frame_spec){
        .source_mac = macs[sender],
        .destination_mac = id % 2 ? "ff:ff:ff:ff:ff:ff" : "02:00:00:00:02:00",
        .ethertype = ETHERTYPE_FLOOD,
        .payload = payload,
        .payload_length = FRAME_MIN - ETH_HLEN + (size_t)id * FRAME_STEP,
    });
}

struct tally {
    unsigned int copies[ENDS][FRAMES];
    unsigned int altered; /* not byte by byte what was sent */
};

static void tally_take(const struct lab *lab, size_t sender, struct tally *tally)
{
    static struct pcn_frame seen;

    for (size_t end = 0; end < ENDS; end++) {
        while (pcn_wire_receive(&lab->wires[end], 0, &seen) == 0) {
            const uint8_t *payload = seen.bytes + ETH_HLEN;
            struct pcn_frame sent;

            if (seen.length < FRAME_MIN || seen.bytes[12] != ETHERTYPE_FLOOD >> 8 ||
                seen.bytes[13] != (ETHERTYPE_FLOOD & 0xff))
                continue;
            if (payload[0] != sender || payload[1] >= FRAMES) {
                tally->altered++;
                continue;
            }
            sent = flood_frame(sender, payload[1]);
            if (seen.length != sent.length || memcmp(seen.bytes, sent.bytes, sent.length) != 0)
                tally->altered++;
            tally->copies[end][payload[1]]++;
        }
    }
}

static bool tally_complete(const struct lab *lab, size_t sender, struct tally *tally)
{
    bool complete = true;

    tally_take(lab, sender, tally);
    for (size_t end = 0; end < ENDS; end++) {
        for (unsigned int id = 0; end != sender && id < FRAMES; id++)
            complete = complete && tally->copies[end][id] > 0;
    }
    return complete;
}

static void flood_round(const struct lab *lab, size_t sender)
{
    struct tally tally = {};
    struct pcn_frame frame;

    for (unsigned int id = 0; id < FRAMES; id++) {
        frame = flood_frame(sender, id);
        PCN_REQUIRE_OK(pcn_wire_send(&lab->wires[sender], &frame));
    }
    (void)PCN_WAIT(ARRIVAL_MS, tally_complete(lab, sender, &tally));
    pcn_test_nap(QUIET_MS);
    tally_take(lab, sender, &tally);
    PCN_CHECK_EQ(tally.altered, 0);
    for (size_t end = 0; end < ENDS; end++) {
        unsigned int missing = 0, surplus = 0;

        for (unsigned int id = 0; id < FRAMES; id++) {
            missing += tally.copies[end][id] == 0;
            surplus += tally.copies[end][id] > 1 ? tally.copies[end][id] - 1 : 0;
        }
        if (end == sender ? missing != FRAMES : missing || surplus)
            printf("    h%zu to h%zu: %u frames, %u missing, %u copies too many\n", sender, end, FRAMES, missing,
                   surplus);
        PCN_CHECK_EQ(missing, end == sender ? FRAMES : 0);
        PCN_CHECK_EQ(surplus, 0);
    }
}

static void daemon_stop(const struct lab *lab)
{
    siginfo_t info = {};

    (void)kill(pcn_testd_pid(lab->daemon), SIGSTOP);
    (void)waitid(P_PID, (id_t)pcn_testd_pid(lab->daemon), &info, WSTOPPED);
    PCN_CHECK_EQ(info.si_code, CLD_STOPPED);
}

static void daemon_continue(const struct lab *lab)
{
    (void)kill(pcn_testd_pid(lab->daemon), SIGCONT);
    PCN_CHECK_EQ(pcn_testd_request(lab->daemon, "GET", "cubes", NULL, NULL), 200);
}

static void flood_at(const char *type)
{
    const struct pcn_testd_spec spec = {.loglevel = "info"};
    _cleanup_(lab_done) struct lab lab = {.wires = {{.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}}};

    PCN_REQUIRE_OK(pcn_testd_start(&spec, &lab.daemon));
    PCN_REQUIRE_OK(lab_hosts(&lab, !pcn_streq(type, "TC")));
    PCN_REQUIRE(lab_cubes(&lab, type));
    for (size_t sender = 0; sender < ENDS; sender++)
        flood_round(&lab, sender);
    daemon_stop(&lab);
    for (size_t sender = 0; sender < ENDS; sender++)
        flood_round(&lab, sender);
    daemon_continue(&lab);
    PCN_CHECK_OK(pcn_testd_stop(&lab.daemon));
}

static void test_tc(void)
{
    flood_at("TC");
}

static void test_xdp_skb(void)
{
    flood_at("XDP_SKB");
}

static void test_xdp_drv(void)
{
    flood_at("XDP_DRV");
}

static const struct pcn_test tests[] = {
    {"a flood reaches every other end once, at TC", test_tc},
    {"a flood reaches every other end once, at XDP_SKB", test_xdp_skb},
    {"a flood reaches every other end once, at XDP_DRV", test_xdp_drv},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("flood", tests, .skip = pcn_skip_unless_root);
}
