/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <harness/daemon.h>
#include <harness/private.h>
#include <harness/suite.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define START_DEADLINE_MS 20000
#define STOP_DEADLINE_MS 20000

struct pcn_testd {
    struct pcn_netns *netns;
    bool owns_netns;
    struct pcn_process process;
    char instance[40];
    char rundir[128];
    char bpffs[128];
    char socket[256];
};

struct pcn_netns *pcn_testd_netns(const struct pcn_testd *daemon)
{
    return daemon->netns;
}

pid_t pcn_testd_pid(const struct pcn_testd *daemon)
{
    return daemon->process.pid;
}

const char *pcn_testd_socket(const struct pcn_testd *daemon)
{
    return daemon->socket;
}

const char *pcn_testd_instance(const struct pcn_testd *daemon)
{
    return daemon->instance;
}

const char *pcn_testd_bpffs(const struct pcn_testd *daemon)
{
    return daemon->bpffs;
}

char *pcn_testd_log(const struct pcn_testd *daemon)
{
    return pcn_process_output(&daemon->process);
}

static bool testd_log_has(const struct pcn_testd *daemon, const char *text)
{
    _cleanup_free_ char *log = pcn_testd_log(daemon);

    return log && strstr(log, text);
}

bool pcn_testd_logged(const struct pcn_testd *daemon, const char *text, unsigned int timeout_ms)
{
    return PCN_WAIT(timeout_ms, testd_log_has(daemon, text));
}

static void testd_print_log(const struct pcn_testd *daemon)
{
    _cleanup_free_ char *log = pcn_testd_log(daemon);
    size_t length = log ? strlen(log) : 0;

    fprintf(stderr, "---- log of polycubed, instance %s\n%s\n----\n", daemon->instance,
            log ? log + (length > 8000 ? length - 8000 : 0) : "");
}

/* ---- start ---- */

#define ARGUMENTS_MAX 48

static int testd_spawn(struct pcn_testd *daemon, const struct pcn_testd_spec *spec)
{
    const char *argv[ARGUMENTS_MAX] = {PCN_BUILD_DIR "/bin/polycubed"};
    char port[8], logfile[192];
    size_t n = 1;

    snprintf(port, sizeof(port), "%u", spec->port);
    snprintf(logfile, sizeof(logfile), "%s/%s.log", pcn_sandbox_directory(), daemon->instance);
    const char *const fixed[] = {"--port",       port,
                                 "--addr",       "127.0.0.1",
                                 "--loglevel",   spec->loglevel ?: "debug",
                                 "--instance",   daemon->instance,
                                 "--bpffs",      daemon->bpffs,
                                 "--rundir",     daemon->rundir,
                                 "--cubesdir",   spec->cubesdir ?: PCN_BUILD_DIR "/cubes",
                                 "--logfile",    logfile,
                                 "--configfile", "/dev/null",
                                 "--tc-hook",    spec->tcx ? "tcx" : "clsact"};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(fixed); i++)
        argv[n++] = fixed[i];
    for (size_t i = 0; i < PCN_ARRAY_SIZE(spec->arguments) && spec->arguments[i]; i++)
        argv[n++] = spec->arguments[i];
    return pcn_spawn(daemon->netns, &daemon->process, (char *const *)(void *)argv);
}

static bool testd_answers(struct pcn_testd *daemon)
{
    return access(daemon->socket, F_OK) == 0 && pcn_testd_request(daemon, "GET", "version", NULL, NULL) == 200;
}

static int testd_wait(struct pcn_testd *daemon)
{
    int status = -ETIMEDOUT;
    bool answers = false;

    (void)PCN_WAIT(START_DEADLINE_MS,
                   (answers = testd_answers(daemon)) || (status = pcn_process_wait(&daemon->process, 0)) >= 0);
    if (answers)
        return 0;
    if (status >= 0)
        fprintf(stderr, "polycubed ended with %d\n", status);
    testd_print_log(daemon);
    return status >= 0 ? -ECHILD : status;
}

int pcn_testd_start(const struct pcn_testd_spec *spec, struct pcn_testd **ret_daemon)
{
    static const struct pcn_testd_spec defaults;
    static unsigned int serial;
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    int r;

    spec = spec ?: &defaults;
    r = pcn_sandbox_enter();
    if (r < 0)
        return r;
    daemon = calloc(1, sizeof(*daemon));
    if (!daemon)
        return -ENOMEM;
    if (spec->instance)
        snprintf(daemon->instance, sizeof(daemon->instance), "%s", spec->instance);
    else
        snprintf(daemon->instance, sizeof(daemon->instance), "t%d-%u", (int)getpid(), serial++);
    snprintf(daemon->bpffs, sizeof(daemon->bpffs), "%s", pcn_sandbox_bpffs());
    snprintf(daemon->rundir, sizeof(daemon->rundir), "%s/run", pcn_sandbox_directory());
    snprintf(daemon->socket, sizeof(daemon->socket), "%s/%s/api.sock", daemon->rundir, daemon->instance);
    daemon->netns = spec->netns;
    if (!daemon->netns) {
        r = pcn_netns_new("polycubed", &daemon->netns);
        if (r < 0)
            return r;
        daemon->owns_netns = true;
    }
    r = testd_spawn(daemon, spec);
    if (r == 0)
        r = testd_wait(daemon);
    if (r < 0)
        return r;
    *ret_daemon = TAKE_PTR(daemon);
    return 0;
}

/* ---- stop ---- */

void pcn_testd_freep(struct pcn_testd **daemon)
{
    if (!*daemon)
        return;
    if ((*daemon)->process.pid > 0) {
        kill(-(*daemon)->process.pid, SIGKILL);
        (void)pcn_process_wait(&(*daemon)->process, STOP_DEADLINE_MS);
    }
    if ((*daemon)->owns_netns)
        pcn_netns_freep(&(*daemon)->netns);
    pcn_freep(daemon);
}

static unsigned int testd_count_namespaces(const struct pcn_testd *daemon)
{
    char own[80];
    unsigned int n = 0;
    struct dirent *entry;
    DIR *directory = opendir("/run/netns");

    snprintf(own, sizeof(own), "pcn-%s-", daemon->instance);
    while (directory && (entry = readdir(directory))) {
        if (strncmp(entry->d_name, own, strlen(own)) != 0)
            continue;
        printf("    left behind: namespace %s\n", entry->d_name);
        n++;
    }
    if (directory)
        closedir(directory);
    return n;
}

/* Devices of the daemon's own, its filters, and its XDP programs. */
static unsigned int testd_count_attached(const struct pcn_testd *daemon)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};

    pcn_netns_run(daemon->netns, &output,
                  "ip -o link show | grep -E ': pcn[-_]|xdp(generic|offload)? ' | sed 's/^/device: /'; "
                  "for device in $(ip -o link show | cut -d: -f2 | cut -d@ -f1); do"
                  "  for hook in ingress egress; do"
                  "    tc filter show dev $device $hook | grep -E 'pcn_|\\[pcn' | sed \"s/^/filter on $device: /\";"
                  "  done;"
                  "done");
    if (output.length)
        printf("    left behind:\n%s", output.text);
    return output.length > 0;
}

int pcn_testd_stop(struct pcn_testd **daemon)
{
    struct pcn_testd *d = *daemon;
    unsigned int left;
    int status, r = 0;
    pid_t group;

    if (!d)
        return -ESRCH;
    group = d->process.pid;
    kill(d->process.pid, SIGTERM);
    status = pcn_process_wait(&d->process, STOP_DEADLINE_MS);
    if (status) {
        fprintf(stderr, "polycubed did not end well: %d\n", status);
        testd_print_log(d);
        r = status < 0 ? status : -ECHILD;
    }
    /* Its helper, and whatever else it started, is in its process group. */
    if (!PCN_WAIT(STOP_DEADLINE_MS, kill(-group, 0) < 0 && errno == ESRCH)) {
        printf("    left behind: processes of group %d\n", (int)group);
        r = -ENOTEMPTY;
    }
    char pins[256];

    snprintf(pins, sizeof(pins), "%s/polycube/%s", d->bpffs, d->instance);
    left = pcn_count_files(pins, true) + testd_count_namespaces(d) + testd_count_attached(d);
    if (access(d->socket, F_OK) == 0) {
        printf("    left behind: %s\n", d->socket);
        left++;
    }
    if (left && r == 0)
        r = -ENOTEMPTY;
    pcn_testd_freep(daemon);
    return r;
}

/* ---- polycubectl ---- */

static PCN_PRINTF(3, 0) int testd_ctl(struct pcn_testd *daemon, struct pcn_output *ret_output, const char *format,
                                      va_list args)
{
    _cleanup_free_ char *arguments = NULL;

    if (vasprintf(&arguments, format, args) < 0)
        return -ENOMEM;
    return pcn_netns_run(daemon->netns, ret_output,
                         "HOME=%s XDG_CONFIG_HOME=%s POLYCUBECTL_URL=unix://%s " PCN_BUILD_DIR "/bin/polycubectl %s",
                         pcn_sandbox_directory(), pcn_sandbox_directory(), daemon->socket, arguments);
}

int pcn_testd_ctl(struct pcn_testd *daemon, struct pcn_output *ret_output, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = testd_ctl(daemon, ret_output, format, args);
    va_end(args);
    return r;
}

int pcn_testd_ctl_must(struct pcn_testd *daemon, const char *format, ...)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};
    va_list args;
    int r;

    va_start(args, format);
    r = testd_ctl(daemon, &output, format, args);
    va_end(args);
    if (r == 0)
        return 0;
    fprintf(stderr, "polycubectl %s: exit code %d\n%s\n", format, r, output.text ?: "");
    return -EIO;
}
