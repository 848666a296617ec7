/* SPDX-License-Identifier: Apache-2.0 */
#include <harness/daemon.h>
#include <harness/netns.h>
#include <harness/packet.h>
#include <harness/suite.h>
#include <harness/testrun.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- packets ---- */

static void test_udp_bytes(void)
{
    /* Written out by hand, from RFC 791 and 768. */
    static const uint8_t expected[] = {
        0x02, 0,    0,    0,    0,  2, 0x02, 0, 0,  0, 0, 1, 0x08, 0x00, 0x45, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x00, 0x00,
        0x40, 0x11, 0x66, 0xcd, 10, 0, 0,    1, 10, 0, 0, 2, 0x03, 0xe8, 0x00, 0x35, 0x00, 0x0a, 0xe7, 0xb9, 0,    1};
    struct pcn_frame frame = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1000, 53, 2);

    PCN_CHECK_BYTES(frame.bytes, frame.length, expected, sizeof(expected));
}

static const struct pcn_frame_spec specs[] = {
    {.source = "10.0.0.1", .destination = "10.0.0.2", .protocol = IPPROTO_TCP, .payload_length = 7},
    {.source = "10.0.0.1", .destination = "10.0.0.2", .protocol = IPPROTO_UDP, .payload_length = 1},
    {.source = "10.0.0.1", .destination = "10.0.0.2", .protocol = IPPROTO_ICMP, .icmp_type = 8, .payload_length = 9},
    {.source = "10.0.0.1",
     .destination = "10.0.0.2",
     .protocol = IPPROTO_TCP,
     .options = (const uint8_t *)"\x94\x04",
     .options_length = 2},
    {.source = "fd00::1", .destination = "fd00::2", .protocol = IPPROTO_TCP, .payload_length = 3},
    {.source = "fd00::1", .destination = "fd00::2", .protocol = IPPROTO_UDP, .payload_length = 4, .n_vlans = 2},
    {.source = "fd00::1",
     .destination = "fd00::2",
     .protocol = IPPROTO_ICMPV6,
     .icmp_type = 128,
     .extensions = {{IPPROTO_HOPOPTS, 8}, {IPPROTO_ROUTING, 24}, {IPPROTO_AH, 16}, {IPPROTO_DSTOPTS, 16}},
     .n_extensions = 4},
    {.source = "fd00::1", .destination = "fd00::2", .protocol = IPPROTO_UDP, .fragment = true, .payload_length = 30},
};

static void test_checksums(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(specs); i++) {
        struct pcn_frame frame = pcn_frame_make(&specs[i]);
        uint8_t protocol = 0;
        size_t l4 = pcn_frame_l4(&frame, &protocol);

        PCN_CHECK(l4 > 0);
        PCN_CHECK_EQ(protocol, specs[i].protocol);
        PCN_CHECK(pcn_frame_checksums_ok(&frame));
        frame.bytes[frame.length - 1] ^= 1;
        PCN_CHECK(!pcn_frame_checksums_ok(&frame));
        pcn_frame_fix_checksums(&frame);
        PCN_CHECK(pcn_frame_checksums_ok(&frame));
    }
}

static void test_changes(void)
{
    struct pcn_frame plain = pcn_frame_udp("10.0.0.1", "10.0.0.2", 1, 2, 10);
    struct pcn_frame frame = plain;

    pcn_frame_push_vlan(&frame, 7, ETHERTYPE_VLAN);
    PCN_CHECK_EQ(frame.length, plain.length + 4);
    PCN_CHECK_EQ(pcn_frame_l3(&frame), 18);
    PCN_CHECK(pcn_frame_checksums_ok(&frame));
    pcn_frame_pop_vlan(&frame);
    PCN_CHECK_FRAME(&frame, &plain);
    pcn_frame_decrement_ttl(&frame);
    PCN_CHECK_EQ(frame.bytes[14 + 8], 63);
    PCN_CHECK(pcn_frame_checksums_ok(&frame));
}

static void test_fragments(void)
{
    struct pcn_frame later = pcn_frame_make(&(struct pcn_frame_spec){.source = "10.0.0.1",
                                                                     .destination = "10.0.0.2",
                                                                     .protocol = IPPROTO_UDP,
                                                                     .fragment_offset = 1480,
                                                                     .payload_length = 16});
    uint8_t protocol;

    PCN_CHECK_EQ(later.length, 14 + 20 + 16);
    PCN_CHECK_EQ(later.bytes[20] << 8 | later.bytes[21], 1480 / 8);
    PCN_CHECK_EQ(pcn_frame_l4(&later, &protocol), 0);
}

static void test_faults(void)
{
    struct pcn_frame_spec spec = specs[1];
    struct pcn_frame frame;

    spec.faults = PCN_FAULT_L4_CHECKSUM;
    frame = pcn_frame_make(&spec);
    PCN_CHECK(!pcn_frame_checksums_ok(&frame));
    spec.faults = PCN_FAULT_IHL_SHORT;
    frame = pcn_frame_make(&spec);
    PCN_CHECK_EQ(frame.bytes[14], 0x44);
    spec.faults = PCN_FAULT_LENGTH_LONG;
    frame = pcn_frame_make(&spec);
    PCN_CHECK((size_t)(frame.bytes[16] << 8 | frame.bytes[17]) > frame.length);
    spec.faults = 0;
    spec.cut_to = 20;
    frame = pcn_frame_make(&spec);
    PCN_CHECK_EQ(frame.length, 20);
}

/* ---- namespaces ---- */

static void test_frames_travel(void)
{
    _cleanup_(pcn_netns_freep) struct pcn_netns *a = NULL, *b = NULL;
    _cleanup_(pcn_wire_close) struct pcn_wire sender = {.fd = -1}, receiver = {.fd = -1};
    struct pcn_frame plain = pcn_frame_udp("10.9.0.1", "10.9.0.2", 1, 2, 10), tagged = plain;

    PCN_REQUIRE_OK(pcn_netns_new("a", &a));
    PCN_REQUIRE_OK(pcn_netns_new("b", &b));
    PCN_REQUIRE_OK(pcn_veth_new(a, "left", b, "right"));
    PCN_REQUIRE_OK(pcn_wire_open(a, "left", &sender));
    PCN_REQUIRE_OK(pcn_wire_open(b, "right", &receiver));
    PCN_CHECK_OK(pcn_wire_send(&sender, &plain));
    PCN_CHECK_OK(pcn_wire_expect(&receiver, 1000, &plain));
    pcn_frame_push_vlan(&tagged, 0x2005, ETHERTYPE_VLAN);
    PCN_CHECK_OK(pcn_wire_send(&sender, &tagged));
    PCN_CHECK_OK(pcn_wire_expect(&receiver, 1000, &tagged));
    PCN_CHECK_EQ(pcn_wire_expect(&receiver, 20, &plain), -ETIMEDOUT);
}

static void test_commands(void)
{
    _cleanup_(pcn_netns_freep) struct pcn_netns *netns = NULL;
    _cleanup_(pcn_output_done) struct pcn_output output = {};
    _cleanup_free_ char *devices = NULL;

    PCN_REQUIRE_OK(pcn_netns_new("commands", &netns));
    PCN_CHECK_EQ(pcn_netns_run(netns, &output, "echo hello; exit %d", 3), 3);
    PCN_CHECK_STR(output.text, "hello\n");
    PCN_CHECK_OK(pcn_netns_must(netns, "ip link add v0 type veth peer name v1 && ip netns exec %s ip link set v0 up",
                                pcn_netns_name(netns)));
    devices = pcn_netns_devices(netns);
    PCN_CHECK_STR(devices, "v0 v1");
}

static void test_processes(void)
{
    struct pcn_process process = {};
    _cleanup_free_ char *text = NULL;

    PCN_REQUIRE_OK(pcn_spawn(NULL, &process, (char *[]){"sh", "-c", "echo up; exec sleep 100", NULL}));
    PCN_CHECK_EQ(pcn_process_wait(&process, 10), -ETIMEDOUT);
    PCN_CHECK(PCN_WAIT(2000, (free(text), text = pcn_process_output(&process), strcmp(text, "up\n") == 0)));
    PCN_CHECK_EQ(pcn_process_stop(&process), 128 + SIGTERM);
}

static const char *sandbox_is_seen(void)
{
    return access("/run/sandbox", F_OK) == 0 ? "seen" : "unseen";
}

/* The sandbox is this process's: its parent sees nothing of it. */
static void test_sandbox_is_private(void)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};

    PCN_REQUIRE_OK(pcn_sandbox_enter());
    PCN_CHECK_STR(sandbox_is_seen(), "seen");
    PCN_CHECK_EQ(pcn_netns_run(NULL, &output, "nsenter --mount=/proc/%d/ns/mnt ls /run/sandbox", (int)getppid()), 2);
}

/* ---- programs ---- */

extern const unsigned char pcn_sink_tc[], pcn_sink_tc_end[], pcn_sink_xdp[], pcn_sink_xdp_end[];

static void test_run(void)
{
    struct pcn_frame frame = pcn_frame_udp("10.9.0.1", "10.9.0.2", 1, 2, 10);
    _cleanup_(pcn_run_closep) struct bpf_object *tc = NULL, *xdp = NULL;
    struct __sk_buff skb = {.mark = 5};
    static struct pcn_run run;

    PCN_REQUIRE_OK(pcn_run_open_memory("sink", pcn_sink_tc, (size_t)(pcn_sink_tc_end - pcn_sink_tc), NULL, &tc));
    PCN_REQUIRE_OK(pcn_run_open_memory("sink", pcn_sink_xdp, (size_t)(pcn_sink_xdp_end - pcn_sink_xdp), NULL, &xdp));
    PCN_REQUIRE_OK(pcn_run(pcn_run_program(tc, "pcn_sink"), &frame, &skb, &run));
    PCN_CHECK_EQ(run.verdict, PCN_SINK);
    PCN_CHECK_EQ(run.skb.mark, 5);
    PCN_CHECK_FRAME(&run.frame, &frame);
    PCN_REQUIRE_OK(pcn_run(pcn_run_program(xdp, "pcn_sink"), &frame, NULL, &run));
    PCN_CHECK_EQ(run.verdict, PCN_SINK);
    PCN_CHECK_FRAME(&run.frame, &frame);
}

static const struct pcn_test tests[] = {
    {"a UDP frame has the bytes of the RFCs", test_udp_bytes},
    {"checksums of all kinds are right, and found wrong", test_checksums},
    {"a frame can be tagged, untagged and aged", test_changes},
    {"a later fragment has no transport header", test_fragments},
    {"faults are made as described", test_faults},
    {"frames travel along a veth, tags included", test_frames_travel, .skip = pcn_skip_unless_root},
    {"commands run in a namespace", test_commands, .skip = pcn_skip_unless_root},
    {"a process in the background is stopped", test_processes, .skip = pcn_skip_unless_root},
    {"the sandbox is private", test_sandbox_is_private, .skip = pcn_skip_unless_root},
    {"a program is run on a frame at TC and XDP", test_run, .skip = pcn_skip_unless_root},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("harness", tests);
}
