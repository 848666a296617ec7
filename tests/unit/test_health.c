/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of real sockets. Times are those of rig_check(), unless they are said: interval 200, timeout 100, rise 2, fall 3. */
#include "health_rig.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#define SOON 3000
#define SLACK 150 /* ms: the machine has others to serve, too */
#define N_MANY 1000

/* ---- TCP ---- */

static void test_tcp(void)
{
    const struct pcn_health_check check = {.type = PCN_HEALTH_TCP};
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    static struct rig_server server;

    PCN_REQUIRE_OK(rig_server_open(&server, 0, NULL));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(addresses); i++) {
        struct pcn_health *accepts = rig_add(addresses[i], server.port, &check);
        struct pcn_health *refuses = rig_add(addresses[i], rig_free_port(), &check);
        struct pcn_health *silent = rig_add(i ? "fd09::2" : "10.9.0.2", 80, &check);

        PCN_REQUIRE(accepts && refuses && silent);
        PCN_CHECK(rig_becomes(accepts, PCN_HEALTH_UP, SOON));
        PCN_CHECK_STR(rig_look(accepts).reason, "connected");
        PCN_CHECK(rig_becomes(refuses, PCN_HEALTH_DOWN, SOON));
        PCN_CHECK_STR(rig_look(refuses).reason, "Connection refused");
        PCN_CHECK(rig_becomes(silent, PCN_HEALTH_DOWN, SOON));
        PCN_CHECK_STR(rig_look(silent).reason, "no connection within 100 ms");
        rig_remove(&accepts);
        rig_remove(&refuses);
        rig_remove(&silent);
    }
    rig_server_close(&server);
}

static void test_device(void)
{
    struct pcn_health_check check = {.type = PCN_HEALTH_TCP, .device = "lo"};
    static struct rig_server server;
    struct pcn_health *by_lo, *by_out, *by_none;

    PCN_REQUIRE_OK(rig_server_open(&server, 0, NULL));
    by_lo = rig_add("127.0.0.1", server.port, &check);
    (void)snprintf(check.device, sizeof(check.device), "out");
    by_out = rig_add("127.0.0.1", server.port, &check);
    (void)snprintf(check.device, sizeof(check.device), "none");
    by_none = rig_add("127.0.0.1", server.port, &check);
    PCN_REQUIRE(by_lo && by_out && by_none);
    PCN_CHECK(rig_becomes(by_lo, PCN_HEALTH_UP, SOON));
    PCN_CHECK(rig_becomes(by_out, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK(rig_becomes(by_none, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_STR(rig_look(by_none).reason, "No such device");
    rig_remove(&by_lo);
    rig_remove(&by_out);
    rig_remove(&by_none);
    rig_server_close(&server);
}

/* Down within fall x interval and a timeout, and not before it has failed so often; back likewise. */
static void test_rise_fall(void)
{
    const struct pcn_health_check check = {
        .type = PCN_HEALTH_TCP, .interval = 100, .timeout = 50, .fall = 4, .rise = 3};
    static struct rig_server server;
    struct pcn_health *health;
    uint64_t began, failures;
    uint16_t port;

    PCN_REQUIRE_OK(rig_server_open(&server, 0, NULL));
    port = server.port;
    health = rig_add("127.0.0.1", port, &check);
    PCN_REQUIRE(health != NULL);
    PCN_REQUIRE(rig_becomes(health, PCN_HEALTH_UP, SOON));
    PCN_CHECK(PCN_WAIT(SOON, rig_look(health).checks >= 3));
    PCN_CHECK_EQ(rig_look(health).failures, 0);
    rig_server_close(&server);
    began = pcn_test_now_ms();
    PCN_CHECK(rig_becomes(health, PCN_HEALTH_DOWN, SOON));
    printf("    down after %u ms of fall x interval = 400", (unsigned int)(pcn_test_now_ms() - began));
    PCN_CHECK(pcn_test_now_ms() - began <= 4 * 100 + 50 + SLACK);
    failures = rig_look(health).failures;
    PCN_CHECK(failures == 4 || failures == 5);
    PCN_REQUIRE_OK(rig_server_open(&server, port, NULL));
    began = pcn_test_now_ms();
    PCN_CHECK(rig_becomes(health, PCN_HEALTH_UP, SOON));
    printf(", up after %u ms of rise x interval = 300\n", (unsigned int)(pcn_test_now_ms() - began));
    PCN_CHECK(pcn_test_now_ms() - began <= 3 * 100 + 50 + SLACK);
    PCN_CHECK(rig_server_n(&server) >= 3);
    rig_remove(&health);
    rig_server_close(&server);
}

/* ---- UDP ---- */

/* Answers what begins with "ping" by "pong", says nothing to the rest. */
static void *pong_run(void *data)
{
    const int *fd = data;
    struct sockaddr_in6 from;
    char text[64];

    for (;;) {
        socklen_t length = sizeof(from);
        ssize_t n = recvfrom(*fd, text, sizeof(text), 0, (struct sockaddr *)&from, &length);

        if (n < 0 || (n == 4 && memcmp(text, "quit", 4) == 0))
            return NULL;
        if (n >= 4 && memcmp(text, "ping", 4) == 0)
            (void)sendto(*fd, "pong!", 5, 0, (struct sockaddr *)&from, length);
    }
}

static void udp_cases(uint16_t port)
{
    static uint8_t ping[] = "ping", pong[] = "pong", other[] = "pang";
    const struct {
        struct pcn_health_check check;
        uint16_t port;
        enum pcn_health_state state;
        const char *reason;
    } cases[] = {
        {{.udp = {.payload = ping, .payload_size = 4}}, port, PCN_HEALTH_UP, "answered"},
        {{.udp = {.payload = ping, .payload_size = 4, .expect = pong, .expect_size = 4}},
         port,
         PCN_HEALTH_UP,
         "answered"},
        {{.udp = {.payload = ping, .payload_size = 4, .expect = other, .expect_size = 4}},
         port,
         PCN_HEALTH_DOWN,
         "the answer is not what is expected"},
        {{}, port, PCN_HEALTH_UP, "not refused"},
        {{.udp = {.answer_required = true}}, port, PCN_HEALTH_DOWN, "no answer within 100 ms"},
        {{.udp = {.expect = pong, .expect_size = 4}}, port, PCN_HEALTH_DOWN, "no answer within 100 ms"},
        {{}, rig_free_port(), PCN_HEALTH_DOWN, "Connection refused"},
    };
    struct pcn_health *targets[PCN_ARRAY_SIZE(cases)];

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        struct pcn_health_check check = cases[i].check;

        check.type = PCN_HEALTH_UDP;
        targets[i] = rig_add(i % 2 ? "::1" : "127.0.0.1", cases[i].port, &check);
        PCN_REQUIRE(targets[i] != NULL);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        PCN_CHECK(rig_becomes(targets[i], cases[i].state, SOON));
        PCN_CHECK_STR(rig_look(targets[i]).reason, cases[i].reason);
        rig_remove(&targets[i]);
    }
}

static void test_udp(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    pthread_t thread;

    PCN_REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    (void)getsockname(fd, (struct sockaddr *)&address, &length);
    PCN_REQUIRE(pthread_create(&thread, NULL, pong_run, &fd) == 0);
    udp_cases(ntohs(address.sin6_port));
    address.sin6_addr = in6addr_loopback;
    (void)sendto(fd, "quit", 4, 0, (struct sockaddr *)&address, sizeof(address));
    (void)pthread_join(thread, NULL);
    (void)close(fd);
}

/* Of many refusals few are said: after one, silence is no good news for some time. */
static void test_udp_refused_of_late(void)
{
    const struct pcn_health_check check = {
        .type = PCN_HEALTH_UDP, .interval = 100, .timeout = 50, .fall = 2, .rise = 2};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rig_free_port())};
    uint64_t began = pcn_test_now_ms(), checks;
    struct pcn_health *health = rig_add("127.0.0.1", ntohs(address.sin_port), &check);
    int fd;

    PCN_REQUIRE(health != NULL);
    PCN_CHECK(rig_becomes(health, PCN_HEALTH_DOWN, SOON));
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    PCN_REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    checks = rig_look(health).checks;
    PCN_CHECK(PCN_WAIT(SOON, rig_look(health).checks >= checks + 5));
    PCN_CHECK_STR(rig_look(health).reason, "refused within the last 10 s");
    PCN_CHECK_EQ(rig_look(health).state, PCN_HEALTH_DOWN);
    PCN_CHECK(rig_becomes(health, PCN_HEALTH_UP, 10000 + SOON));
    PCN_CHECK(pcn_test_now_ms() - began >= 10000);
    rig_remove(&health);
    (void)close(fd);
}

/* ---- ICMP ---- */

static void test_icmp(void)
{
    const struct pcn_health_check check = {.type = PCN_HEALTH_ICMP}, by_lo = {.type = PCN_HEALTH_ICMP, .device = "lo"},
                                  by_out = {.type = PCN_HEALTH_ICMP, .device = "out", .timeout = 50};
    static const char *const here[] = {"127.0.0.1", "127.0.0.7", "::1", "fd09::1"}, *const gone[] = {"10.9.0.2",
                                                                                                     "fd09::2"};
    struct pcn_health *targets[8] = {};
    size_t n = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(here); i++)
        targets[n++] = rig_add(here[i], 0, &check);
    targets[n++] = rig_add("127.0.0.1", 0, &by_lo);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(gone); i++)
        targets[n++] = rig_add(gone[i], 0, &check);
    targets[n++] = rig_add("10.9.0.2", 0, &by_out);
    for (size_t i = 0; i < n; i++) {
        enum pcn_health_state state = i < 5 ? PCN_HEALTH_UP : PCN_HEALTH_DOWN;

        PCN_REQUIRE(targets[i] != NULL);
        PCN_CHECK(rig_becomes(targets[i], state, SOON));
        PCN_CHECK_STR(rig_look(targets[i]).reason, i == 7   ? "no answer within 50 ms"
                                                   : i >= 5 ? "no answer within 100 ms"
                                                            : "answered");
        rig_remove(&targets[i]);
    }
}

/* More at once than the table of those that run has places at first. */
static void test_icmp_many(void)
{
    const struct pcn_health_check check = {.type = PCN_HEALTH_ICMP, .timeout = 190, .fall = 1};
    struct pcn_health *targets[400];

    for (unsigned int i = 0; i < PCN_ARRAY_SIZE(targets); i++) {
        char here[32];

        (void)snprintf(here, sizeof(here), "127.3.0.%u", i / 2 + 1);
        targets[i] = rig_add(i % 2 ? "10.9.0.2" : here, 0, &check);
        PCN_REQUIRE(targets[i] != NULL);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++)
        PCN_CHECK(rig_becomes(targets[i], i % 2 ? PCN_HEALTH_DOWN : PCN_HEALTH_UP, SOON));
    PCN_CHECK(PCN_WAIT(SOON, rig_look(targets[0]).checks >= 5));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++) {
        PCN_CHECK(i % 2 || rig_look(targets[i]).failures == 0);
        rig_remove(&targets[i]);
    }
}

/* By the address that a link has by itself, which says nothing without its device. */
static void test_link_local(void)
{
    struct pcn_health_check check = {.device = "out", .timeout = 150};
    static const enum pcn_health_type types[] = {PCN_HEALTH_TCP, PCN_HEALTH_ICMP, PCN_HEALTH_HTTP};
    static struct rig_server server;
    struct pcn_output output = {};

    PCN_REQUIRE_OK(rig_server_open(&server, 0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    PCN_REQUIRE(
        pcn_netns_run(rig_beyond(), &output, "ip -6 -br address show in | grep -o 'fe80::[^/]*' | tr -d '\\n'") == 0);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        struct pcn_health *there;

        check.type = types[i];
        there = rig_add(output.text, server.port, &check);
        PCN_REQUIRE(there != NULL);
        /* Nobody listens there: but somebody refuses. */
        PCN_CHECK(rig_becomes(there, types[i] == PCN_HEALTH_ICMP ? PCN_HEALTH_UP : PCN_HEALTH_DOWN, SOON));
        PCN_CHECK_STR(rig_look(there).reason, types[i] == PCN_HEALTH_ICMP ? "answered" : "Connection refused");
        rig_remove(&there);
    }
    pcn_output_done(&output);
    rig_server_close(&server);
}

/* ---- changes ---- */

struct change {
    struct pcn_health *health;
    uint16_t port;
    struct pcn_health_check *check;
};

static void change_run(void *data)
{
    const struct change *change = data;

    PCN_CHECK_OK(pcn_health_change(change->health, change->port, change->check));
}

static void test_change(void)
{
    const struct pcn_health_check check = {.type = PCN_HEALTH_TCP}, icmp = {.type = PCN_HEALTH_ICMP};
    static struct rig_server server;
    struct change change = {};

    PCN_REQUIRE_OK(rig_server_open(&server, 0, NULL));
    change.health = rig_add("127.0.0.1", rig_free_port(), &check);
    PCN_REQUIRE(change.health != NULL);
    PCN_CHECK(rig_becomes(change.health, PCN_HEALTH_DOWN, SOON));
    change.port = server.port;
    change.check = rig_check(&check);
    rig_call(change_run, &change);
    PCN_CHECK_EQ(rig_look(change.health).state, PCN_HEALTH_DOWN);
    PCN_CHECK(rig_becomes(change.health, PCN_HEALTH_UP, SOON));
    PCN_CHECK(rig_server_n(&server) >= 2);
    pcn_health_check_unrefp(&change.check);
    change.check = rig_check(&icmp);
    rig_call(change_run, &change);
    pcn_health_check_unrefp(&change.check);
    PCN_CHECK(PCN_WAIT(SOON, pcn_streq(rig_look(change.health).reason, "answered")));
    rig_remove(&change.health);
    rig_server_close(&server);
}

static void test_thread(void)
{
    const struct pcn_health_check check = {.type = PCN_HEALTH_TCP};
    struct pcn_health *first, *second;
    unsigned int descriptors;

    PCN_CHECK(rig_is_quiet());
    descriptors = pcn_open_descriptors(getpid());
    for (int round = 0; round < 3; round++) {
        first = rig_add("10.9.0.2", 80, &check);
        second = rig_add("10.9.0.2", 81, &check);
        PCN_REQUIRE(first && second);
        PCN_CHECK(PCN_WAIT(SOON, rig_has_thread()));
        rig_remove(&first);
        PCN_CHECK(rig_becomes(second, PCN_HEALTH_DOWN, SOON));
        rig_remove(&second);
        if (round == 1)
            continue; /* the next thread begins while this one ends */
        PCN_CHECK(rig_is_quiet());
    }
    PCN_CHECK(PCN_WAIT(SOON, pcn_open_descriptors(getpid()) == descriptors));
}

/* ---- work ---- */

struct job {
    struct pcn_health_set *set;
    int worked, done, freed, r, again;
};

static void job_work(void *data)
{
    struct job *job = data;

    pcn_test_nap(20);
    __atomic_store_n(&job->worked, 1, __ATOMIC_RELEASE);
}

static void job_done(void *data)
{
    struct job *job = data;

    __atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
}

static void job_begin(void *data)
{
    const struct pcn_health_calls calls = {};
    struct job *job = data;

    job->r = pcn_health_set_new(NULL, &calls, &job->set);
    if (job->r < 0)
        return;
    job->r = pcn_health_set_work(job->set, job_work, job_done, job);
    job->again = pcn_health_set_work(job->set, job_work, job_done, job);
}

static void job_end(void *data)
{
    struct job *job = data;

    pcn_health_set_freep(&job->set);
    job->freed = 1;
}

static void test_work(void)
{
    struct job job = {}, cut = {};

    rig_call(job_begin, &job);
    PCN_REQUIRE_OK(job.r);
    PCN_CHECK_EQ(job.again, -EBUSY);
    PCN_CHECK(PCN_WAIT(SOON, __atomic_load_n(&job.done, __ATOMIC_ACQUIRE)));
    rig_call(job_end, &job);
    rig_call(job_begin, &cut);
    PCN_REQUIRE_OK(cut.r);
    rig_call(job_end, &cut);
    rig_call(job_begin, &job);
    PCN_CHECK(PCN_WAIT(SOON, __atomic_load_n(&job.done, __ATOMIC_ACQUIRE)));
    PCN_CHECK_EQ(cut.done, 0);
    rig_call(job_end, &job);
}

/* ---- the backends of a service ---- */

struct backend {
    uint32_t number;
    struct pcn_health_end health;
};

/* As characters: + serves, o out, ! out and was not before. */
static const char *marked(const struct pcn_health_check *check, struct backend *backends, size_t n)
{
    const struct pcn_health_ends ends = PCN_HEALTH_ENDS(backends, n, health);
    static char text[8];

    pcn_health_ends_mark(check, ends);
    PCN_CHECK(!pcn_health_ends_differ(check, ends));
    for (size_t i = 0; i < n; i++)
        text[i] = backends[i].health.leaves ? '!' : backends[i].health.out ? 'o' : '+';
    text[n] = '\0';
    return text;
}

static void test_ends(void)
{
    struct pcn_health_check check = {.type = PCN_HEALTH_TCP}, none = {};
    struct pcn_health targets[3] = {{.shown = PCN_HEALTH_UP}, {.shown = PCN_HEALTH_DOWN}, {}};
    struct backend backends[4] = {};
    const struct pcn_health_ends ends = PCN_HEALTH_ENDS(backends, 4, health);

    for (size_t i = 0; i < 4; i++)
        backends[i].health = (struct pcn_health_end){.target = i < 3 ? &targets[i] : NULL, .takes = i < 3};
    PCN_CHECK(!pcn_health_ends_differ(&none, ends));
    PCN_CHECK(pcn_health_ends_differ(&check, ends));
    PCN_CHECK_STR(marked(&check, backends, 4), "+!++");
    PCN_CHECK_STR(marked(&check, backends, 4), "+o++");
    targets[0].shown = PCN_HEALTH_DOWN;
    PCN_CHECK(pcn_health_ends_differ(&check, ends));
    PCN_CHECK_STR(marked(&check, backends, 4), "!o++");
    /* All that take new flows are down: the fourth does not. */
    targets[2].shown = PCN_HEALTH_DOWN;
    PCN_CHECK_STR(marked(&check, backends, 4), "++++");
    check.drop_when_all_down = true;
    PCN_CHECK_STR(marked(&check, backends, 4), "!!!+");
    targets[1].shown = PCN_HEALTH_UP;
    PCN_CHECK_STR(marked(&check, backends, 4), "o+o+");
    PCN_CHECK_STR(marked(NULL, backends, 4), "++++");
    PCN_CHECK_STR(marked(&check, backends, 0), "");
}

/* ---- many ---- */

/* How many came within any 50 ms. */
static uint32_t busiest(const struct rig_server *server, uint32_t from, uint32_t to)
{
    uint32_t most = 0;

    for (uint32_t first = from, last = from; last < to; last++) {
        while (server->times[last] - server->times[first] >= 50)
            first++;
        most = PCN_MAX(most, last - first + 1);
    }
    return most;
}

static bool all_are(struct pcn_health **targets, enum pcn_health_state state)
{
    for (size_t i = 0; i < N_MANY; i++)
        if (rig_look(targets[i]).state != state)
            return false;
    return true;
}

static void many(const struct pcn_health_check *check, const char *answer)
{
    static struct pcn_health *targets[N_MANY];
    static struct rig_server server;
    uint64_t began, cpu;
    uint32_t from, states, changed;
    uint16_t port;

    PCN_REQUIRE_OK(rig_server_open(&server, 0, answer));
    port = server.port;
    for (unsigned int i = 0; i < N_MANY; i++) {
        char address[32];

        (void)snprintf(address, sizeof(address), "127.1.%u.%u", i / 250, i % 250 + 1);
        targets[i] = rig_add(address, port, check);
        PCN_REQUIRE(targets[i] != NULL);
    }
    PCN_CHECK(PCN_WAIT(2 * check->interval, all_are(targets, PCN_HEALTH_UP)));
    from = rig_server_n(&server);
    cpu = rig_thread_cpu_us();
    PCN_CHECK(PCN_WAIT(SOON, rig_server_n(&server) >= from + 2 * N_MANY));
    printf("    %llu us of CPU a check, ", (unsigned long long)(rig_thread_cpu_us() - cpu) / (2 * N_MANY));
    printf("%u within 50 ms at most, of 50\n", busiest(&server, from, from + 2 * N_MANY));
    PCN_CHECK(busiest(&server, from, from + 2 * N_MANY) <= 300);
    states = rig_n_states();
    changed = rig_n_changed();
    rig_server_close(&server);
    began = pcn_test_now_ms();
    PCN_CHECK(PCN_WAIT(2 * SOON, rig_n_states() >= states + N_MANY));
    printf("    all down after %u ms of fall x interval = %u, ", (unsigned int)(pcn_test_now_ms() - began),
           check->fall * check->interval);
    PCN_CHECK(pcn_test_now_ms() - began <= check->fall * check->interval + check->timeout + SLACK);
    printf("told of in %u calls\n", rig_n_changed() - changed);
    PCN_CHECK(all_are(targets, PCN_HEALTH_DOWN));
    for (size_t i = 0; i < N_MANY; i++)
        rig_remove(&targets[i]);
    PCN_CHECK(rig_is_quiet());
}

static void test_many_tcp(void)
{
    const struct pcn_health_check check = {
        .type = PCN_HEALTH_TCP, .interval = 1000, .timeout = 500, .fall = 2, .rise = 1};

    many(&check, NULL);
}

static void test_many_http(void)
{
    const struct pcn_health_check check = {
        .type = PCN_HEALTH_HTTP, .interval = 1000, .timeout = 500, .fall = 2, .rise = 1};

    many(&check, "HTTP/1.1 204 No Content\r\n\r\n");
}

static const struct pcn_test tests[] = {
    {"TCP: what accepts is up; what refuses, or is silent, is down, and the reason says so", test_tcp},
    {"checks leave by the device that is named", test_device},
    {"a server that dies is down after fall checks, and up again after rise, in time", test_rise_fall},
    {"UDP: an answer, an expected one, silence and refusal", test_udp},
    {"UDP: silence after a refusal", test_udp_refused_of_late},
    {"ICMP: echoes of IPv4 and IPv6, by a device, and those that nobody answers", test_icmp},
    {"ICMP: 400 targets, half of them silent", test_icmp_many},
    {"link-local addresses, with the device", test_link_local},
    {"a target can be checked in another way; its state stays until results say otherwise", test_change},
    {"the thread begins with the first target and ends with the last one, and leaves nothing open", test_thread},
    {"work is done once at a time, and nothing of it is called when its set is gone", test_work},
    {"who is down is out, unless nobody would be left", test_ends},
    {"1,000 TCP targets: spread over the interval, all down in time", test_many_tcp},
    {"1,000 HTTP targets: spread over the interval, all down in time", test_many_http},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("health", tests, .setup = rig_open, .teardown = rig_close, .skip = pcn_skip_unless_root);
}
