/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that go through user space come out as they went in, are counted, and do not push out those of others. */
#include "e2e.h"
#include <signal.h>
#include <sys/wait.h>

#define ARRIVAL_MS 3000
#define FRAMES 20
#define FLOOD_MS 20000

static struct e2e lab;

static int setup(void)
{
    return e2e_open(&lab, 4);
}

static int teardown(void)
{
    return e2e_close(&lab);
}

static long long counter(const char *cube, const char *path)
{
    json_t *json = pcn_testd_get(lab.daemon, "%s/counters", cube);
    long long n = pcn_json_int(json, path);

    json_decref(json);
    return n;
}

/* Plain, tagged, doubly tagged frames, short and as long as the device takes. */
static struct pcn_frame frame_of(uint32_t number)
{
    struct pcn_frame_spec spec = {.source = number % 2 ? "10.0.0.1" : "fd00::1",
                                  .destination = number % 2 ? "10.0.0.2" : "fd00::2",
                                  .protocol = IPPROTO_UDP,
                                  .source_port = (uint16_t)(1000 + number),
                                  .destination_port = 9,
                                  .payload_length = number % 5 == 4 ? 1400 : 20 + number,
                                  .vlans = {{.tci = (uint16_t)(0x6000 | (100 + number))}, {.tci = 7}},
                                  .n_vlans = number % 3};

    return pcn_frame_make(&spec);
}

static void check_way(const char *cube, size_t from, size_t to)
{
    long long in = counter(cube, "slow-path.packets-in"), out = counter(cube, "slow-path.packets-out");

    for (uint32_t i = 0; i < FRAMES; i++) {
        struct pcn_frame frame = frame_of(i);

        PCN_CHECK_OK(pcn_wire_send(&lab.wires[from], &frame));
        PCN_CHECK_OK(pcn_wire_expect(&lab.wires[to], ARRIVAL_MS, &frame));
    }
    PCN_CHECK(counter(cube, "slow-path.packets-in") - in >= FRAMES);
    PCN_CHECK_EQ(counter(cube, "slow-path.packets-in") - in, counter(cube, "slow-path.packets-out") - out);
    PCN_CHECK_EQ(counter(cube, "slow-path.shed"), 0);
    PCN_CHECK_EQ(counter(cube, "slow-path.failed-out"), 0);
}

static void hello(const char *name, const char *type, const char *action, size_t first)
{
    char body[256];

    snprintf(body, sizeof(body),
             "{\"type\":\"%s\",\"action\":\"%s\",\"ports\":[{\"name\":\"a\",\"peer\":\"v%zu\"},"
             "{\"name\":\"b\",\"peer\":\"v%zu\"}]}",
             type, action, first, first + 1);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "helloworld/%s", name), 201);
}

static void test_helloworld(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        hello("h", e2e_types[i], "SLOWPATH", 0);
        check_way("helloworld/h", 0, 1);
        check_way("helloworld/h", 1, 0);
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

static void check_transparent(const char *type, const char *target)
{
    char body[128];

    hello("h", type, "FORWARD", 0);
    snprintf(body, sizeof(body), "{\"type\":\"%s\",\"ingress-action\":\"SLOWPATH\",\"egress-action\":\"SLOWPATH\"}",
             type);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "transparenthelloworld/t"), 201);
    snprintf(body, sizeof(body), "{\"cube\":\"t\",\"port\":\"%s\"}", target);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "attach"), 200);
    check_way("transparenthelloworld/t", 0, 1);
    check_way("transparenthelloworld/t", 1, 0);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_transparent(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        check_transparent(e2e_types[i], "h:b");
        check_transparent(e2e_types[i], "v1");
    }
}

static void test_forwarder(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(e2e_types); i++) {
        char body[512];

        snprintf(body, sizeof(body),
                 "{\"type\":\"%s\",\"ports\":[{\"name\":\"a\",\"peer\":\"v0\"},{\"name\":\"b\",\"peer\":\"v1\"}],"
                 "\"actions\":[{\"inport\":\"a\",\"action\":\"SLOWPATH\",\"outport\":\"b\"}]}",
                 e2e_types[i]);
        PCN_CHECK_EQ(pcn_testd_post(lab.daemon, body, "simpleforwarder/s"), 201);
        check_way("simpleforwarder/s", 0, 1);
        PCN_CHECK_OK(e2e_clear(&lab));
    }
}

/* A child that sends as fast as it can, until it is killed. */
static pid_t flood(size_t host)
{
    pid_t parent = getpid(), child = fork();

    if (child)
        return child;
    struct pcn_frame frame = frame_of(1);

    alarm(FLOOD_MS / 1000);
    while (getppid() == parent)
        (void)pcn_wire_send(&lab.wires[host], &frame);
    _exit(0);
}

static void test_fairness(void)
{
    unsigned int lost = 0;
    pid_t child;

    hello("loud", "TC", "SLOWPATH", 0);
    hello("calm", "TC", "SLOWPATH", 2);
    child = flood(0);
    PCN_REQUIRE(child > 0);
    PCN_CHECK(PCN_WAIT(FLOOD_MS / 2, counter("helloworld/loud", "slow-path.shed") > 0));
    for (uint32_t i = 0; i < FRAMES; i++) {
        struct pcn_frame frame = frame_of(i);

        PCN_CHECK_OK(pcn_wire_send(&lab.wires[2], &frame));
        lost += pcn_wire_expect(&lab.wires[3], ARRIVAL_MS / 3, &frame) < 0;
    }
    PCN_CHECK_EQ(lost, 0);
    PCN_CHECK_EQ(counter("helloworld/calm", "slow-path.shed"), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static const struct pcn_test tests[] = {
    {"helloworld: whole frames, tags included, both ways", test_helloworld},
    {"transparenthelloworld: a packet goes on where it was taken out", test_transparent},
    {"simpleforwarder: out of the port that the action names", test_forwarder},
    {"a flooding cube sheds its own packets, not those of another", test_fairness},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("e2e slow path", tests, .setup = setup, .teardown = teardown, .skip = pcn_skip_unless_root);
}
