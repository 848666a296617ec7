/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <base/loop.h>
#include <bpf/clock.h>
#include <daemon/daemon.h>
#include <daemon/privileges.h>
#include <fcntl.h>
#include <health/health.h>
#include <http/http.h>
#include <libgen.h>
#include <shadow/helper.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

struct process {
    struct pcn_daemon daemon;
    struct pcn_http *http;
    int signals;
    int pidfile;
    int helper;    /* see shadow/helper.h */
    bool handover; /* leave everything in the kernel as it is */
    char rundir[512];
    char pidpath[600];
};

/* ---- requests ---- */

static struct pcn_daemon *the_daemon;

static void request_run(void *data)
{
    struct pcn_http_call *call = data;
    struct pcn_answer answer;

    pcn_request_handle(the_daemon, &call->request, &answer);
    pcn_http_finish(call, &answer);
}

static void request_submit(void *data, struct pcn_http_call *call)
{
    struct process *process = data;
    struct pcn_answer answer = {.status = 503};

    if (pcn_loop_post(process->daemon.loop, request_run, call, true) < 0)
        pcn_http_finish(call, &answer);
}

static void http_log(void *data, const char *message)
{
    pcn_log_debug("http: %s", message);
}

static int http_start(struct process *process, struct pcn_error *error)
{
    const struct pcn_options *options = &process->daemon.options;
    char socket[600];
    const struct pcn_http_config config = {
        .address = options->port ? options->address : NULL,
        .port = options->port,
        .unix_path = socket,
        .tls = {.cert = options->cert,
                .key = options->key,
                .cacert = options->cacert,
                .whitelist = options->cert_whitelist,
                .blacklist = options->cert_blacklist},
        .submit = request_submit,
        .log = http_log,
        .data = process,
    };

    (void)snprintf(socket, sizeof(socket), "%s/api.sock", process->rundir);
    return pcn_http_start(&config, error, &process->http);
}

/* ---- what cubes call ---- */

int pcn_work(void (*work)(void *data), void (*done)(void *data), void *data)
{
    return pcn_loop_work(the_daemon->loop, work, done, data);
}

/* ---- events ---- */

static void device_changed(void *data, enum pcn_net_change change, const struct pcn_net_device *device)
{
    struct process *process = data;

    if (process->daemon.chain)
        pcn_chain_device_changed(process->daemon.chain, change, device);
}

static void peer_lost(void *data, struct pcn_port *port)
{
    struct process *process = data;

    pcn_member_peer_changed(&process->daemon, port);
}

static int cube_edit(void *data, struct pcn_cube *cube, enum pcn_cube_edit edit, const char *const *segments,
                     size_t n_segments, const char *json, struct pcn_error *error)
{
    struct process *process = data;

    return pcn_member_edit(&process->daemon, pcn_member_of(cube), edit, segments, n_segments, json, error);
}

static void port_addresses(void *data, const struct pcn_port *port, void (*each)(void *user, const char *text),
                           void *user)
{
    const struct pcn_member *member = pcn_member_of(port->cube);
    const struct pcn_node *node = member && member->tree ? pcn_tree_root(member->tree) : NULL;

    node = node ? pcn_node_first(node, "ports") : NULL;
    while (node && !pcn_streq(pcn_node_string(node, "name"), port->name))
        node = pcn_node_next(node);
    if (!node)
        return;
    if (pcn_node_string(node, "ip"))
        each(user, pcn_node_string(node, "ip"));
    for (node = pcn_node_first(node, "secondaryip"); node; node = pcn_node_next(node))
        each(user, pcn_node_string(node, "ip"));
}

static void every_second(void *data)
{
    struct process *process = data;

    pcn_chain_tick(process->daemon.chain);
    pcn_shadow_tick(process->daemon.shadow);
}

static void on_signal(void *data)
{
    struct process *process = data;
    struct signalfd_siginfo info;

    if (read(process->signals, &info, sizeof(info)) != sizeof(info))
        return;
    process->handover = info.ssi_signo == SIGUSR2;
    pcn_log_info("signal %u: %s", info.ssi_signo,
                 process->handover ? "leaving, and leaving the cubes running" : "shutting down");
    pcn_loop_stop(process->daemon.loop);
}

/* ---- start ---- */

static int make_directories(const char *path, mode_t mode)
{
    char copy[512];

    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    return mkdir(copy, mode) < 0 && errno != EEXIST ? -errno : 0;
}

/* One daemon an instance: the lock is held as long as the process lives. */
static int pidfile_lock(struct process *process)
{
    const struct pcn_options *options = &process->daemon.options;
    char text[32];
    int n, r;

    (void)snprintf(process->rundir, sizeof(process->rundir), "%s/%s", options->rundir, options->instance);
    r = make_directories(process->rundir, 0755);
    if (r < 0) {
        (void)fprintf(stderr, "polycubed: cannot create %s: %s\n", process->rundir, strerror(-r));
        return r;
    }
    if (options->pidfile)
        (void)snprintf(process->pidpath, sizeof(process->pidpath), "%s", options->pidfile);
    else
        (void)snprintf(process->pidpath, sizeof(process->pidpath), "%s/pid", process->rundir);
    process->pidfile = open(process->pidpath, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (process->pidfile < 0) {
        r = -errno;
        (void)fprintf(stderr, "polycubed: cannot open %s: %s\n", process->pidpath, strerror(-r));
        return r;
    }
    if (flock(process->pidfile, LOCK_EX | LOCK_NB) < 0) {
        (void)fprintf(stderr, "polycubed: instance %s runs already (%s is locked)\n", options->instance,
                      process->pidpath);
        return -EBUSY;
    }
    n = snprintf(text, sizeof(text), "%d\n", getpid());
    if (ftruncate(process->pidfile, 0) < 0 || write(process->pidfile, text, (size_t)n) != n)
        return -EIO;
    return 0;
}

static int log_start(const struct pcn_options *options)
{
    char *copy = strdup(options->logfile);
    int r;

    if (copy)
        (void)make_directories(dirname(copy), 0755);
    free(copy);
    pcn_log_set_console(!options->daemonize);
    r = pcn_log_open(options->logfile, options->loglevel);
    if (r < 0)
        pcn_log_warn("cannot write log file %s: %s", options->logfile, strerror(-r));
    return 0;
}

/* Before any thread is made, so that all inherit it. */
static int signals_block(struct process *process)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGUSR2);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    (void)signal(SIGPIPE, SIG_IGN);
    process->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return process->signals < 0 ? -errno : 0;
}

static void limits_raise(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static int daemon_start(struct process *process, struct pcn_error *error)
{
    struct pcn_daemon *daemon = &process->daemon;
    const struct pcn_options *options = &daemon->options;
    int r;

    if (getrandom(&daemon->boot, sizeof(daemon->boot), 0) != sizeof(daemon->boot))
        return -errno;
    r = pcn_bpf_open(&daemon->bpf, options->bpffs, options->instance, options->tcx, error);
    if (r < 0)
        return r;
    r = pcn_bpf_set_clock();
    if (r < 0)
        pcn_log_warn("ages are some tenths of a second wrong, the kernel's clock cannot be read: %s", strerror(-r));
    r = pcn_net_new(daemon->loop, device_changed, process, &daemon->net);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot watch devices: %s", strerror(-r));
    r = pcn_chain_new(&(struct pcn_chain_config){.bpf = &daemon->bpf,
                                                 .net = daemon->net,
                                                 .loop = daemon->loop,
                                                 .peer_lost = peer_lost,
                                                 .edit = cube_edit,
                                                 .port_addresses = port_addresses,
                                                 .data = process},
                      &daemon->chain);
    if (r < 0)
        return r;
    r = pcn_slowpath_new(daemon->loop, daemon->chain, &daemon->bpf, daemon->net, options->instance, &daemon->slowpath,
                         error);
    if (r < 0)
        return r;
    r = pcn_shadow_new(process->helper, options->instance, process->rundir, daemon->loop, daemon->net, daemon->chain,
                       &daemon->shadow);
    if (r < 0)
        return r;
    pcn_health_open(daemon->loop);
    pcn_service_load_all(daemon);
    r = pcn_loop_every(daemon->loop, 1000, every_second, process);
    if (r < 0)
        return r;
    return http_start(process, error);
}

static void daemon_stop(struct process *process)
{
    struct pcn_daemon *daemon = &process->daemon;
    struct pcn_cube *cube;

    if (process->http)
        pcn_http_stop(process->http);
    pcn_health_close();
    /* Pins hold programs and maps, devices hold their filters: the packets do not notice. */
    if (process->handover)
        return;
    while (daemon->chain && (cube = pcn_chain_cube_next(daemon->chain, NULL)))
        pcn_member_delete(daemon, pcn_member_of(cube));
    pcn_slowpath_freep(&daemon->slowpath);
    pcn_shadow_freep(&daemon->shadow);
    /* It is in the loop. The chain is not, but what the loop still has to run is the chain's. */
    pcn_net_freep(&daemon->net);
    pcn_loop_freep(&daemon->loop);
    pcn_chain_freep(&daemon->chain);
    pcn_service_unload_all(daemon);
    pcn_bpf_close(&daemon->bpf);
}

static int process_run(struct process *process)
{
    struct pcn_error error = {};
    int r;

    process->helper = pcn_helper_start();
    r = process->helper < 0 ? process->helper : signals_block(process);
    if (r >= 0)
        r = pcn_loop_new(&process->daemon.loop);
    if (r >= 0)
        r = pcn_loop_add(process->daemon.loop, process->signals, on_signal, process);
    if (r >= 0)
        r = daemon_start(process, &error);
    if (r >= 0)
        r = pcn_privileges_drop();
    if (r >= 0) {
        pcn_log_info("polycubed %s ready, instance %s", PCN_VERSION, process->daemon.options.instance);
        r = pcn_loop_run(process->daemon.loop);
    } else {
        pcn_log_critical("cannot start: %s", error.message[0] ? error.message : strerror(-r));
    }
    daemon_stop(process);
    return r;
}

/* `polycubed --handover`: returns when the daemon has gone. */
static int handover(const struct pcn_options *options)
{
    _cleanup_close_ int fd = -1;
    char path[512], text[32] = "";
    pid_t pid;

    if (options->pidfile)
        (void)snprintf(path, sizeof(path), "%s", options->pidfile);
    else
        (void)snprintf(path, sizeof(path), "%s/%s/pid", options->rundir, options->instance);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || flock(fd, LOCK_SH | LOCK_NB) == 0) {
        (void)fprintf(stderr, "polycubed: no daemon of instance %s runs (%s)\n", options->instance, path);
        return -ESRCH;
    }
    pid = (pid_t)strtol(text, NULL, 10);
    if (pid <= 1 || kill(pid, SIGUSR2) < 0) {
        (void)fprintf(stderr, "polycubed: cannot signal process %d: %s\n", (int)pid, strerror(errno));
        return -errno;
    }
    return flock(fd, LOCK_SH) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
    struct process process = {.signals = -1, .pidfile = -1, .helper = -1, .daemon.bpf = {.packets = -1}};
    struct pcn_options *options = &process.daemon.options;
    int r = 0;

    the_daemon = &process.daemon;
    switch (pcn_options_parse(options, argc, argv)) {
    case PCN_OPTIONS_EXIT:
        pcn_options_done(options);
        return EXIT_SUCCESS;
    case PCN_OPTIONS_ERROR:
        pcn_options_done(options);
        return EXIT_FAILURE;
    default:
        break;
    }
    if (options->handover) {
        r = handover(options);
        pcn_options_done(options);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (options->daemonize && daemon(0, 0) < 0)
        return EXIT_FAILURE;
    limits_raise();
    r = pidfile_lock(&process);
    if (r >= 0) {
        (void)log_start(options);
        r = process_run(&process);
        (void)unlink(process.pidpath);
        (void)rmdir(process.rundir);
    }
    pcn_closep(&process.signals);
    pcn_closep(&process.helper);
    pcn_closep(&process.pidfile);
    pcn_log_close();
    pcn_options_done(options);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
