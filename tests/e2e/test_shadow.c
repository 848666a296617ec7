/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shadow namespaces: whose they are, what is left of them, and what the kernel does there without saying so.
 * How packets and addresses go between a cube and its namespace is in shadow.sh.
 */
#include <fcntl.h>
#include <harness/daemon.h>
#include <harness/netns.h>
#include <harness/suite.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATIENCE_MS 5000
#define CAP_SYS_ADMIN_BIT 21

static struct pcn_testd *the_daemon;
static struct pcn_netns *host;

static PCN_PRINTF(2, 3) bool ctl_shows(const char *part, const char *format, ...)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};
    char command[256];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    return pcn_testd_ctl(the_daemon, &output, "%s", command) == 0 && strstr(output.text, part);
}

static bool namespace_exists(const char *instance, const char *cube)
{
    char path[256];

    snprintf(path, sizeof(path), "/run/netns/pcn-%s-%s", instance, cube);
    return access(path, F_OK) == 0;
}

/* `ip` in the namespace of a cube of the daemon. */
static PCN_PRINTF(2, 3) int ip_in(const char *cube, const char *format, ...)
{
    char command[256];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    return pcn_netns_run(NULL, NULL, "ip -n pcn-%s-%s %s", pcn_testd_instance(the_daemon), cube, command);
}

static int start(void)
{
    const struct pcn_host_spec spec = {.label = "a", .port = "to.a", .addresses = {"10.0.1.2/24"}};
    struct pcn_host_spec placed = spec;
    int r = pcn_testd_start(NULL, &the_daemon);

    if (r < 0)
        return r;
    placed.inside = pcn_testd_netns(the_daemon);
    return pcn_host_new(&placed, &host);
}

static int stop(void)
{
    pcn_netns_freep(&host);
    pcn_testd_freep(&the_daemon);
    return 0;
}

/* ---- names ---- */

static void test_long_name(void)
{
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "router add long shadow=true"));
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "long ports add a-port-whose-name-is-long ip=10.0.9.1/24"));
    PCN_CHECK_EQ(ip_in("long", "link show dev a-port-whose-name-is-long"), 0);
    PCN_CHECK_EQ(ip_in("long", "addr show dev a-port-whose-name-is-long to 10.0.9.1/32 | grep -q inet"), 0);
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "router del long"));
    PCN_CHECK(!namespace_exists(pcn_testd_instance(the_daemon), "long"));
}

static void test_impossible_name(void)
{
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "router add lo shadow=true"));
    PCN_CHECK(pcn_testd_ctl(the_daemon, NULL, "lo ports add lo") != 0);
    PCN_CHECK(!ctl_shows("UP", "lo ports show"));
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "lo ports add p1"));
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "router del lo"));
}

static void test_foreign_namespace(void)
{
    const char *instance = pcn_testd_instance(the_daemon);

    PCN_REQUIRE_OK(pcn_netns_must(NULL, "ip netns add pcn-%s-foreign", instance));
    PCN_CHECK(pcn_testd_ctl(the_daemon, NULL, "router add foreign shadow=true") != 0);
    PCN_CHECK(pcn_testd_ctl(the_daemon, NULL, "foreign show") != 0);
    PCN_CHECK_EQ(ip_in("foreign", "link show lo"), 0);
    PCN_CHECK_OK(pcn_netns_must(NULL, "ip netns del pcn-%s-foreign", instance));
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "router add foreign shadow=true"));
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "router del foreign"));
}

static void test_two_daemons(void)
{
    _cleanup_(pcn_testd_freep) struct pcn_testd *other = NULL;
    const struct pcn_testd_spec spec = {.netns = pcn_testd_netns(the_daemon)};

    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "router add r1 shadow=true"));
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "r1 ports add p1 peer=to.a ip=10.0.1.1/24"));
    PCN_REQUIRE_OK(pcn_testd_start(&spec, &other));
    PCN_CHECK_OK(pcn_testd_ctl_must(other, "router add r1 shadow=true"));
    PCN_CHECK_OK(pcn_testd_ctl_must(other, "r1 ports add p1 ip=10.0.1.1/24"));
    PCN_CHECK_EQ(pcn_netns_run(host, NULL, "ping -q -c 2 -i 0.2 -W 2 10.0.1.1"), 0);
    PCN_CHECK_OK(pcn_testd_ctl_must(other, "router del r1"));
    PCN_CHECK_EQ(pcn_netns_run(host, NULL, "ping -q -c 2 -i 0.2 -W 2 10.0.1.1"), 0);
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "router del r1"));
}

/* ---- what goes on there ---- */

static void test_ways(void)
{
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "router add r2 shadow=true"));
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "r2 ports add p1 peer=to.a ip=10.0.1.1/24"));
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "r2 ports add p2 ip=10.0.2.1/24"));
    PCN_CHECK_EQ(ip_in("r2", "route add 10.7.0.0/16 nexthop via 10.0.1.2 nexthop via 10.0.2.2"), 0);
    PCN_CHECK(PCN_WAIT(PATIENCE_MS, ctl_shows("10.0.1.2", "r2 route show") && ctl_shows("10.0.2.2", "r2 route show")));
    /* Of the way that is replaced the kernel says nothing. */
    PCN_CHECK_EQ(ip_in("r2", "route replace 10.7.0.0/16 via 10.0.2.3"), 0);
    PCN_CHECK(PCN_WAIT(PATIENCE_MS, ctl_shows("10.0.2.3", "r2 route show") && !ctl_shows("10.0.2.2", "r2 route show")));
    /* Nor of those whose device is shut. */
    PCN_CHECK_EQ(ip_in("r2", "link set p2 down"), 0);
    PCN_CHECK(PCN_WAIT(PATIENCE_MS, !ctl_shows("10.0.2.3", "r2 route show")));
    /* What is configured stays. */
    PCN_CHECK(ctl_shows("10.0.2.0/24", "r2 route show"));
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "router del r2"));
}

static void test_span_once(void)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};

    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "router add r3 shadow=true span=true"));
    PCN_REQUIRE_OK(pcn_testd_ctl_must(the_daemon, "r3 ports add p1 peer=to.a ip=10.0.1.1/24"));
    PCN_CHECK_EQ(pcn_netns_run(host, &output, "ping -c 5 -i 0.2 -W 2 10.0.1.1"), 0);
    PCN_CHECK_HAS(output.text, " 5 received");
    PCN_CHECK(!strstr(output.text, "duplicates"));
    PCN_CHECK_OK(pcn_testd_ctl_must(the_daemon, "router del r3"));
}

/* ---- the process that makes them ---- */

static unsigned long long capabilities(pid_t pid)
{
    unsigned long long value = 0;
    char line[256];
    FILE *status;

    snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
    status = fopen(line, "re");
    while (status && fgets(line, sizeof(line), status)) {
        if (sscanf(line, "CapPrm: %llx", &value) == 1)
            break;
    }
    if (status)
        fclose(status);
    return value;
}

static void test_privileges(void)
{
    PCN_CHECK(PCN_WAIT(PATIENCE_MS, !(capabilities(pcn_testd_pid(the_daemon)) >> CAP_SYS_ADMIN_BIT & 1)));
    PCN_CHECK(capabilities(pcn_testd_pid(the_daemon)) != 0);
}

static unsigned int outside_devices(const struct pcn_netns *netns, const char *instance)
{
    _cleanup_free_ char *devices = pcn_netns_devices(netns);
    char name[64];
    unsigned int n = 0;

    snprintf(name, sizeof(name), "pcn-%s-1-", instance);
    for (const char *p = devices; p && (p = strstr(p, name)); p++)
        n++;
    return n;
}

static void test_killed(void)
{
    _cleanup_(pcn_netns_freep) struct pcn_netns *netns = NULL;
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    struct pcn_process inside = {};
    char instance[16], name[80];
    struct pcn_testd_spec spec = {.instance = instance};

    /* Short: so that the names of devices are not shortened. */
    snprintf(instance, sizeof(instance), "%x", (unsigned int)getpid() & 0xffff);
    snprintf(name, sizeof(name), "pcn-%s-r1", instance);
    PCN_REQUIRE_OK(pcn_netns_new("killed", &netns));
    spec.netns = netns;
    PCN_REQUIRE_OK(pcn_testd_start(&spec, &daemon));
    PCN_REQUIRE_OK(pcn_testd_ctl_must(daemon, "router add r1 shadow=true"));
    PCN_REQUIRE_OK(pcn_testd_ctl_must(daemon, "r1 ports add p1"));
    PCN_CHECK_EQ(outside_devices(netns, instance), 1);
    /* A routing daemon, say: the namespace lives on with it. */
    PCN_REQUIRE_OK(pcn_spawn(NULL, &inside, (char *[]){"ip", "netns", "exec", name, "sleep", "60", NULL}));
    PCN_CHECK(PCN_WAIT(PATIENCE_MS, pcn_netns_run(NULL, NULL, "test -n \"$(ip netns pids %s)\"", name) == 0));
    pcn_testd_freep(&daemon);
    PCN_CHECK(namespace_exists(instance, "r1"));

    PCN_REQUIRE_OK(pcn_testd_start(&spec, &daemon));
    PCN_CHECK(!namespace_exists(instance, "r1"));
    PCN_CHECK_EQ(outside_devices(netns, instance), 0);
    PCN_CHECK_OK(pcn_testd_ctl_must(daemon, "router add r1 shadow=true"));
    PCN_CHECK_OK(pcn_testd_ctl_must(daemon, "r1 ports add p1"));
    PCN_CHECK_OK(pcn_testd_stop(&daemon));
    (void)pcn_process_stop(&inside);
}

static const struct pcn_test tests[] = {
    {"a port with a long name has a device that goes by it", test_long_name},
    {"a port that cannot have a device is refused, and leaves nothing", test_impossible_name},
    {"a namespace of somebody else is left alone", test_foreign_namespace},
    {"two daemons side by side have devices of their own", test_two_daemons},
    {"ways and routes that go without a word are followed", test_ways},
    {"with span on, the namespace answers once", test_span_once},
    {"the daemon itself cannot enter namespaces", test_privileges},
    {"what a killed daemon left is removed, though it is in use", test_killed},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("shadow", tests, .setup = start, .teardown = stop, .skip = pcn_skip_unless_root);
}
