/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that others carry out: libcurl, and scripts. */
#include "health_rig.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define SOON 6000

/* ---- HTTP ---- */

static struct {
    struct pcn_process process;
    char certificate[300], key[300];
    char http[8], https[8];
} server;

static uint16_t port_of(const char *text)
{
    return (uint16_t)strtoul(text, NULL, 10);
}

static bool serves(const char *port)
{
    struct pcn_output output = {};
    bool does = pcn_netns_run(NULL, &output, "ss -Hltn | grep -q ':%s '", port) == 0;

    pcn_output_done(&output);
    return does;
}

static int server_start(void)
{
    char script[] = PCN_SOURCE_DIR "/tests/unit/health_server.py", python[] = "python3";
    char *const arguments[] = {python, script, server.http, server.https, server.certificate, server.key, NULL};
    int r;

    (void)snprintf(server.certificate, sizeof(server.certificate), "%s/cert.pem", pcn_sandbox_directory());
    (void)snprintf(server.key, sizeof(server.key), "%s/key.pem", pcn_sandbox_directory());
    (void)snprintf(server.http, sizeof(server.http), "%u", rig_free_port());
    (void)snprintf(server.https, sizeof(server.https), "%u", rig_free_port());
    r = pcn_netns_must(NULL,
                       "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test "
                       "-addext subjectAltName=DNS:www.example.com,IP:127.0.0.1 -keyout %s -out %s 2>&1",
                       server.key, server.certificate);
    if (r < 0)
        return r;
    r = pcn_spawn(NULL, &server.process, arguments);
    return r < 0 ? r : PCN_WAIT(SOON, serves(server.http) && serves(server.https)) ? 0 : -ETIMEDOUT;
}

struct http_case {
    const char *path, *host, *status;
    bool head, tls, verify;
    enum pcn_health_state state;
    const char *reason;
};

static void http_cases(const struct http_case *cases, size_t n)
{
    struct pcn_health *targets[32] = {};

    for (size_t i = 0; i < n; i++) {
        const struct http_case *one = &cases[i];
        const struct pcn_health_check check = {
            .type = one->tls ? PCN_HEALTH_HTTPS : PCN_HEALTH_HTTP,
            .interval = 500,
            .timeout = 400,
            .http = {.head = one->head,
                     .tls_verify = one->verify,
                     .path = (char *)one->path,
                     .host = (char *)one->host,
                     .status = (char *)one->status},
        };

        targets[i] = rig_add("127.0.0.1", port_of(one->tls ? server.https : server.http), &check);
        PCN_REQUIRE(targets[i] != NULL);
    }
    for (size_t i = 0; i < n; i++) {
        PCN_CHECK(rig_becomes(targets[i], cases[i].state, SOON));
        PCN_CHECK_STR(rig_look(targets[i]).reason, cases[i].reason);
        rig_remove(&targets[i]);
    }
}

static void test_http(void)
{
    static const struct http_case cases[] = {
        {NULL, .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/status/301", .state = PCN_HEALTH_UP, .reason = "status 301"},
        {"/status/503", .state = PCN_HEALTH_DOWN, .reason = "status 503, expected is 200-399"},
        {"/status/503", .status = "200,500-503", .state = PCN_HEALTH_UP, .reason = "status 503"},
        {"/status/200", .status = "204,301-302", .state = PCN_HEALTH_DOWN,
         .reason = "status 200, expected is 204,301-302"},
        {"/host", .host = "www.example.com", .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/host", .state = PCN_HEALTH_DOWN, .reason = "status 421, expected is 200-399"},
        {"/query?a=b#c", .status = "202", .state = PCN_HEALTH_UP, .reason = "status 202"},
        {"/head", .head = true, .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/get", .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/continue", .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/big", .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/silent", .state = PCN_HEALTH_DOWN, .reason = "no answer within 400 ms"},
    };

    http_cases(cases, PCN_ARRAY_SIZE(cases));
}

static void test_https(void)
{
    static const struct http_case cases[] = {
        {"/status/204", .tls = true, .state = PCN_HEALTH_UP, .reason = "status 204"},
        {"/status/500", .tls = true, .state = PCN_HEALTH_DOWN, .reason = "status 500, expected is 200-399"},
        {"/host", .host = "www.example.com", .tls = true, .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/big", .tls = true, .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/", .tls = true, .verify = true, .state = PCN_HEALTH_DOWN,
         .reason = "TLS: SSL certificate problem: self-signed certificate"},
    };

    http_cases(cases, PCN_ARRAY_SIZE(cases));
}

static void test_https_many(void)
{
    const struct pcn_health_check check = {
        .type = PCN_HEALTH_HTTPS, .interval = 1000, .timeout = 900, .http.path = (char *)"/status/204"};
    struct pcn_health *targets[100];
    uint64_t cpu = 0, checks = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++) {
        char address[32];

        (void)snprintf(address, sizeof(address), "127.2.0.%zu", i + 1);
        targets[i] = rig_add(address, port_of(server.https), &check);
        PCN_REQUIRE(targets[i] != NULL);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++)
        PCN_CHECK(rig_becomes(targets[i], PCN_HEALTH_UP, SOON));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++) {
        PCN_CHECK_EQ(rig_look(targets[i]).failures, 0);
        checks += rig_look(targets[i]).checks;
    }
    cpu = rig_thread_cpu_us();
    printf("    %llu us of CPU a check\n", (unsigned long long)(cpu / checks));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++)
        rig_remove(&targets[i]);
    PCN_CHECK(rig_is_quiet());
}

static void test_http_nobody(void)
{
    const struct pcn_health_check plain = {.type = PCN_HEALTH_HTTP}, tls = {.type = PCN_HEALTH_HTTPS};
    static struct rig_server other;
    struct pcn_health *refuses, *silent, *other_protocol, *no_tls, *not_plain;

    PCN_REQUIRE_OK(rig_server_open(&other, 0, "220 mail.example.com ESMTP\r\n"));
    refuses = rig_add("::1", rig_free_port(), &plain);
    silent = rig_add("10.9.0.2", 80, &plain);
    other_protocol = rig_add("::1", other.port, &plain);
    no_tls = rig_add("127.0.0.1", port_of(server.http), &tls);
    not_plain = rig_add("127.0.0.1", port_of(server.https), &plain);
    PCN_REQUIRE(refuses && silent && other_protocol && no_tls && not_plain);
    PCN_CHECK(rig_becomes(refuses, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_STR(rig_look(refuses).reason, "Connection refused");
    PCN_CHECK(rig_becomes(silent, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_STR(rig_look(silent).reason, "no connection within 100 ms");
    PCN_CHECK(rig_becomes(other_protocol, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_HAS(rig_look(other_protocol).reason, "no HTTP answer: ");
    PCN_CHECK(rig_becomes(no_tls, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK(rig_becomes(not_plain, PCN_HEALTH_DOWN, SOON));
    rig_remove(&refuses);
    rig_remove(&silent);
    rig_remove(&other_protocol);
    rig_remove(&no_tls);
    rig_remove(&not_plain);
    rig_server_close(&other);
}

/* The host's authorities are a file: here, in a mount namespace of the test's own, the server's certificate. */
static void test_verified(void)
{
    static const struct http_case cases[] = {
        {"/", .tls = true, .verify = true, .state = PCN_HEALTH_UP, .reason = "status 200"},
        {"/host", .host = "www.example.com", .tls = true, .verify = true, .state = PCN_HEALTH_UP,
         .reason = "status 200"},
    };
    static const struct http_case other[] = {
        {"/", .host = "other.example.com", .tls = true, .verify = true, .state = PCN_HEALTH_DOWN, .reason = ""},
    };
    struct pcn_health_check check = {.type = PCN_HEALTH_HTTPS, .interval = 500, .timeout = 400};
    struct pcn_health *health;

    PCN_REQUIRE_OK(pcn_netns_must(NULL, "mount --bind %s /etc/ssl/certs/ca-certificates.crt", server.certificate));
    http_cases(cases, PCN_ARRAY_SIZE(cases));
    check.http.host = (char *)other[0].host;
    check.http.tls_verify = true;
    health = rig_add("127.0.0.1", port_of(server.https), &check);
    PCN_REQUIRE(health != NULL);
    PCN_CHECK(rig_becomes(health, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_HAS(rig_look(health).reason, "other.example.com");
    rig_remove(&health);
}

static void test_statuses(void)
{
    PCN_CHECK(http_status_expected(NULL, 200));
    PCN_CHECK(http_status_expected(NULL, 399));
    PCN_CHECK(!http_status_expected(NULL, 400));
    PCN_CHECK(http_status_expected("404", 404));
    PCN_CHECK(!http_status_expected("404", 403));
    PCN_CHECK(http_status_expected("100,200-204,500", 500));
    PCN_CHECK(http_status_expected("100,200-204,500", 203));
    PCN_CHECK(!http_status_expected("100,200-204,500", 205));
}

/* ---- scripts ---- */

/* Its path, for the test's time. */
static const char *program(const char *name, const char *text)
{
    static char paths[8][300];
    static int next;
    char *path = paths[next++ % 8];
    FILE *file;

    (void)snprintf(path, 300, "%s/%s", pcn_sandbox_directory(), name);
    file = fopen(path, "we");
    if (file) {
        (void)fprintf(file, "#!/bin/sh\n%s\n", text);
        (void)fclose(file);
    }
    (void)chmod(path, 0755);
    return path;
}

static struct pcn_health *script_add(const char *address, uint16_t port, const char *path, uint32_t timeout)
{
    const struct pcn_health_check check = {
        .type = PCN_HEALTH_SCRIPT, .interval = 500, .timeout = timeout, .fall = 2, .script = (char *)path};

    return rig_add(address, port, &check);
}

static char *content(const char *name)
{
    static char text[4096];
    char path[300];
    FILE *file;
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", pcn_sandbox_directory(), name);
    file = fopen(path, "re");
    if (file) {
        n = fread(text, 1, sizeof(text) - 1, file);
        (void)fclose(file);
    }
    text[n] = '\0';
    return text;
}

static void test_script(void)
{
    char text[512];
    struct pcn_health *good, *bad, *killed, *arguments;

    (void)snprintf(text, sizeof(text),
                   "test \"$1 $2 $#\" = 'fd09::1 443 2' || exit 9\ncd %s\n"
                   "grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs|SigBlk|SigIgn' /proc/self/status >status.new\n"
                   "ls /proc/self/fd >fds.new; mv fds.new fds; mv status.new status",
                   pcn_sandbox_directory());
    arguments = script_add("fd09::1", 443, program("arguments", text), 500);
    good = script_add("127.0.0.1", 0, program("good", "exit 0"), 500);
    bad = script_add("127.0.0.1", 0, program("bad", "exit 3"), 500);
    killed = script_add("127.0.0.1", 0, program("killed", "kill -9 $$"), 500);
    PCN_REQUIRE(arguments && good && bad && killed);
    PCN_CHECK(rig_becomes(arguments, PCN_HEALTH_UP, SOON));
    PCN_CHECK_STR(rig_look(arguments).reason, "exit status 0");
    PCN_CHECK(rig_becomes(good, PCN_HEALTH_UP, SOON));
    PCN_CHECK(rig_becomes(bad, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_STR(rig_look(bad).reason, "exit status 3");
    PCN_CHECK(rig_becomes(killed, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_STR(rig_look(killed).reason, "ended by signal 9");
    PCN_CHECK_HAS(content("status"), "CapPrm:\t0000000000002000");
    PCN_CHECK_HAS(content("status"), "CapEff:\t0000000000002000");
    PCN_CHECK_HAS(content("status"), "NoNewPrivs:\t1");
    PCN_CHECK_HAS(content("status"), "SigBlk:\t0000000000000000");
    PCN_CHECK_STR(content("fds"), "0\n1\n2\n3\n"); /* 3 is the folder, of ls */
    rig_remove(&arguments);
    rig_remove(&good);
    rig_remove(&bad);
    rig_remove(&killed);
}

static unsigned int sleepers(void)
{
    struct pcn_output output = {};
    unsigned int n;

    (void)pcn_netns_run(NULL, &output, "pgrep -cf 'sleep 98765[.]%d'", getpid());
    n = (unsigned int)strtoul(output.text, NULL, 10);
    pcn_output_done(&output);
    return n;
}

/* A child of its own that waits, and one that the script leaves behind. */
static void test_script_group(void)
{
    char text[128];
    struct pcn_health *hangs, *leaves;

    (void)snprintf(text, sizeof(text), "sleep 98765.%d & sleep 98765.%d", getpid(), getpid());
    hangs = script_add("127.0.0.1", 0, program("hangs", text), 200);
    (void)snprintf(text, sizeof(text), "sleep 98765.%d & exit 0", getpid());
    leaves = script_add("127.0.0.1", 0, program("leaves", text), 200);
    PCN_REQUIRE(hangs && leaves);
    PCN_CHECK(rig_becomes(hangs, PCN_HEALTH_DOWN, SOON));
    PCN_CHECK_STR(rig_look(hangs).reason, "did not end within 200 ms");
    PCN_CHECK(rig_becomes(leaves, PCN_HEALTH_UP, SOON));
    PCN_CHECK(PCN_WAIT(SOON, rig_look(hangs).checks >= 3));
    rig_remove(&leaves);
    rig_remove(&hangs);
    PCN_CHECK(PCN_WAIT(SOON, sleepers() == 0));
    PCN_CHECK(rig_is_quiet());
}

/* 40 that take 100 ms each, of which 16 run at once. */
static void test_script_many(void)
{
    struct pcn_health *targets[40];
    char text[1024];
    const char *path;

    (void)snprintf(
        text, sizeof(text),
        "cd %s; : >run.$$; set -- run.*; test $# -le %d || : >too-many; echo $# >>counts; sleep 0.1; rm run.$$",
        pcn_sandbox_directory(), PCN_HEALTH_SCRIPTS);
    path = program("slow", text);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++) {
        targets[i] = script_add("127.0.0.1", 0, path, 450);
        PCN_REQUIRE(targets[i] != NULL);
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++)
        PCN_CHECK(rig_becomes(targets[i], PCN_HEALTH_UP, SOON));
    for (size_t i = 0; i < PCN_ARRAY_SIZE(targets); i++)
        rig_remove(&targets[i]);
    PCN_CHECK(content("counts")[0] != '\0');
    (void)snprintf(text, sizeof(text), "%s/too-many", pcn_sandbox_directory());
    PCN_CHECK(access(text, F_OK) < 0);
    PCN_CHECK(rig_is_quiet());
}

/* Who may configure is not thereby free to run anything. */
static void test_script_trust(void)
{
    char path[300], link[320], folder[300], text[REASON_MAX];
    struct pcn_health *health;

    (void)snprintf(path, sizeof(path), "%s", program("trusted", "exit 0"));
    (void)snprintf(link, sizeof(link), "%s/link", pcn_sandbox_directory());
    (void)snprintf(folder, sizeof(folder), "%s/open", pcn_sandbox_directory());
    PCN_CHECK_EQ(script_check(path, text), 0);
    PCN_CHECK_EQ(script_check("bin/true", text), -EACCES);
    PCN_CHECK_HAS(text, "is not an absolute path");
    PCN_CHECK_EQ(script_check("/nowhere/true", text), -ENOENT);
    PCN_CHECK_HAS(text, "/nowhere does not exist");
    PCN_CHECK_EQ(script_check(pcn_sandbox_directory(), text), -EACCES);
    PCN_CHECK_HAS(text, "is not a file");
    PCN_REQUIRE(symlink(path, link) == 0);
    PCN_CHECK_EQ(script_check(link, text), -EACCES);
    PCN_CHECK_HAS(text, "is a symbolic link");
    PCN_REQUIRE(mkdir(folder, 0755) == 0 && chmod(folder, 0777) == 0);
    (void)snprintf(link, sizeof(link), "%s/it", folder);
    PCN_CHECK_EQ(script_check(link, text), -EACCES);
    PCN_CHECK_HAS(text, "open can be written by others than root");
    PCN_CHECK(chmod(path, 0644) == 0);
    PCN_CHECK_EQ(script_check(path, text), -EACCES);
    PCN_CHECK_HAS(text, "is not executable");
    PCN_CHECK(chmod(path, 0775) == 0);
    PCN_CHECK_EQ(script_check(path, text), -EACCES);
    PCN_CHECK_HAS(text, "can be written by others than root");
    PCN_CHECK(chmod(path, 0755) == 0 && chown(path, 65534, 65534) == 0);
    PCN_CHECK_EQ(script_check(path, text), -EACCES);
    PCN_CHECK_HAS(text, "is not root's");
    /* It is looked at each time, not only when it is configured. */
    health = script_add("127.0.0.1", 0, path, 500);
    PCN_REQUIRE(health != NULL);
    PCN_CHECK(PCN_WAIT(SOON, strstr(rig_look(health).reason, "not checked: ") != NULL));
    PCN_CHECK_EQ(rig_look(health).state, PCN_HEALTH_UNKNOWN);
    PCN_CHECK(chown(path, 0, 0) == 0);
    PCN_CHECK(rig_becomes(health, PCN_HEALTH_UP, SOON));
    rig_remove(&health);
}

/* What runs when the daemon ends is ended with it. */
static void test_end(void)
{
    const struct pcn_health_check https = {
        .type = PCN_HEALTH_HTTPS, .interval = 5000, .timeout = 5000, .http.path = (char *)"/silent"};
    char text[128];
    struct pcn_health *target, *other;

    (void)snprintf(text, sizeof(text), "sleep 98765.%d", getpid());
    target = script_add("127.0.0.1", 0, program("long", text), 5000);
    other = rig_add("127.0.0.1", port_of(server.https), &https);
    PCN_REQUIRE(target && other);
    PCN_CHECK(PCN_WAIT(SOON, sleepers() == 1));
    rig_close();
    PCN_CHECK(PCN_WAIT(SOON, sleepers() == 0));
    PCN_CHECK(!rig_has_thread());
    /* The cube goes later than the thread. */
    pcn_health_removep(&target);
    pcn_health_removep(&other);
}

static int open_all(void)
{
    int r = rig_open();

    return r < 0 ? r : server_start();
}

static const struct pcn_test tests[] = {
    {"statuses, and ranges of them", test_statuses},
    {"HTTP: the status decides; host, path and method are as configured; no body is waited for", test_http},
    {"HTTPS: any certificate will do, unless it is to be verified", test_https},
    {"HTTPS: 100 targets, none of which fails", test_https_many},
    {"HTTP: who refuses, is silent or speaks something else is down, and the reason says so", test_http_nobody},
    {"HTTPS: a certificate of the host's authorities, for the host that is named", test_verified},
    {"a script gets address and port, no descriptors and few capabilities; its exit status decides", test_script},
    {"a script that takes too long is killed, with what it has started", test_script_group},
    {"16 scripts run at once, and all have their turn", test_script_many},
    {"a script that others than root can write is not run", test_script_trust},
    {"checks that run end with the daemon", test_end},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("health programs", tests, .setup = open_all, .skip = pcn_skip_unless_root);
}
