/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCRIPT: a program is started, in a process group of its own, and killed with its whole group when its time is over,
 * or it has ended and left something behind.
 *
 * The daemon is root's and stays so, with few capabilities. Who starts a program as root gives it all capabilities
 * again, unless no_new_privs is set: the health thread sets it, and keeps CAP_NET_RAW alone, so that what it starts has
 * no more than that. What it does have is root's files. Therefore a program must be one that nobody but root can have
 * put there or can change.
 */
#include "private.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* How long is waited, at the end, for what has been killed. */
#define GRACE_MS 200

struct process {
    struct source source; /* a pidfd */
    LIST_ENTRY(process) next;
    pid_t pid;
    struct pcn_health *health; /* NULL: it was killed, and nobody asks what became of it */
};

bool script_confine(void)
{
    const cap_value_t raw = CAP_NET_RAW;
    cap_t now = cap_get_proc(), wanted = cap_init();
    cap_flag_value_t has = CAP_CLEAR;
    bool confined = false;

    if (now)
        (void)cap_get_flag(now, raw, CAP_PERMITTED, &has);
    /* Of this thread alone: libcap asks the kernel, not the C library. */
    if (wanted && cap_set_flag(wanted, CAP_PERMITTED, 1, &raw, has) == 0 &&
        cap_set_flag(wanted, CAP_EFFECTIVE, 1, &raw, has) == 0)
        confined = cap_set_proc(wanted) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    (void)cap_free(now);
    (void)cap_free(wanted);
    return confined;
}

/* ---- who may have written it ---- */

static int refuse(char text[REASON_MAX], const char *path, const char *what)
{
    (void)snprintf(text, REASON_MAX, "%.80s %s", path, what);
    return -EACCES;
}

static int part_check(const char *path, bool last, char text[REASON_MAX])
{
    struct stat status;
    int r;

    if (lstat(path, &status) < 0) {
        r = -errno;
        (void)refuse(text, path, errno == ENOENT ? "does not exist" : strerror(errno));
        return r;
    }
    if (S_ISLNK(status.st_mode))
        return refuse(text, path, "is a symbolic link");
    if (last ? !S_ISREG(status.st_mode) : !S_ISDIR(status.st_mode))
        return refuse(text, path, last ? "is not a file" : "is not a folder");
    if (status.st_uid != 0)
        return refuse(text, path, "is not root's");
    /* A folder with the sticky bit (/tmp): what is root's there, only root can replace. */
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) && (last || !(status.st_mode & S_ISVTX)))
        return refuse(text, path, "can be written by others than root");
    if (last && !(status.st_mode & S_IXUSR))
        return refuse(text, path, "is not executable");
    return 0;
}

int script_check(const char *path, char text[REASON_MAX])
{
    char part[256];
    size_t length = strlen(path);
    int r = 0;

    if (path[0] != '/' || length >= sizeof(part))
        return refuse(text, path, "is not an absolute path");
    for (size_t i = 1; i <= length && r >= 0; i++) {
        if (path[i] != '/' && path[i])
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        r = part_check(part, !path[i], text);
    }
    return r;
}

/* ---- processes ---- */

static int child_spawn(const struct pcn_health *health, pid_t *ret_pid)
{
    char address[INET6_ADDRSTRLEN] = "", port[8];
    char *const arguments[] = {health->check->script, address, port, NULL};
    char *const environment[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int r;

    (void)inet_ntop(health->version == 4 ? AF_INET : AF_INET6, &health->address, address, sizeof(address));
    (void)snprintf(port, sizeof(port), "%u", target_port(health));
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attributes);
    r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    r = r ? r : posix_spawnattr_setsigmask(&attributes, &none);
    r = r ? r : posix_spawnattr_setsigdefault(&attributes, &all);
    for (int fd = 0; fd < 3 && !r; fd++)
        r = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    r = r ? r : posix_spawn_file_actions_addclosefrom_np(&files, 3);
    r = r ? r : posix_spawn(ret_pid, health->check->script, &files, &attributes, arguments, environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return -r;
}

static void group_kill(const struct process *process)
{
    (void)kill(-process->pid, SIGKILL);
}

static void process_free(struct engine *engine, struct process *process)
{
    engine_unwatch(engine, &process->source);
    LIST_REMOVE(process, next);
    engine->n_processes--;
    free(process);
}

static int process_start(struct engine *engine, struct pcn_health *health)
{
    _cleanup_free_ struct process *process = calloc(1, sizeof(*process));
    int r;

    if (!process)
        return -ENOMEM;
    r = child_spawn(health, &process->pid);
    if (r < 0)
        return r;
    process->source = (struct source){SOURCE_PROCESS, (int)syscall(SYS_pidfd_open, process->pid, 0)};
    r = process->source.fd < 0 ? -errno : engine_watch(engine, &process->source, EPOLLIN);
    if (r < 0) {
        group_kill(process);
        (void)waitpid(process->pid, NULL, 0);
        pcn_closep(&process->source.fd);
        return r;
    }
    LIST_INSERT_HEAD(&engine->processes, process, next);
    engine->n_processes++;
    process->health = health;
    health->process = TAKE_PTR(process);
    return 0;
}

static void script_start(struct engine *engine, struct pcn_health *health)
{
    char text[REASON_MAX];
    int r;

    if (!engine->confined) {
        engine_done(engine, health, OUTCOME_NONE, "not checked: capabilities cannot be dropped");
        return;
    }
    /* It may be another one than when it was configured. */
    r = script_check(health->check->script, text);
    if (r < 0) {
        engine_done(engine, health, OUTCOME_NONE, "not checked: %s", text);
        return;
    }
    r = process_start(engine, health);
    if (r < 0)
        engine_done(engine, health, OUTCOME_NONE, "not checked: the script cannot be started: %s", strerror(-r));
}

static void script_begin(struct engine *engine, struct pcn_health *health)
{
    if (engine->n_processes < PCN_HEALTH_SCRIPTS) {
        script_start(engine, health);
        return;
    }
    health->queued = true;
    TAILQ_INSERT_TAIL(&engine->waiting, health, waiting);
    engine_schedule(engine, health, NEVER);
}

/* Waiting is not counted to the check's time. */
static void waiting_start(struct engine *engine)
{
    struct pcn_health *health;

    while (engine->n_processes < PCN_HEALTH_SCRIPTS && (health = TAILQ_FIRST(&engine->waiting))) {
        TAILQ_REMOVE(&engine->waiting, health, waiting);
        health->queued = false;
        engine_schedule(engine, health, engine->now + health->check->timeout);
        script_start(engine, health);
    }
}

static void script_stop(struct engine *engine, struct pcn_health *health)
{
    struct process *process = TAKE_PTR(health->process);

    if (health->queued)
        TAILQ_REMOVE(&engine->waiting, health, waiting);
    health->queued = false;
    if (!process)
        return;
    process->health = NULL;
    group_kill(process);
}

static void script_expired(struct engine *engine, struct pcn_health *health)
{
    engine_done(engine, health, OUTCOME_FAILURE, "did not end within %u ms", health->check->timeout);
}

static void exit_judge(struct engine *engine, struct pcn_health *health, const siginfo_t *info)
{
    if (info->si_code != CLD_EXITED)
        engine_done(engine, health, OUTCOME_FAILURE, "ended by signal %d", info->si_status);
    else if (info->si_status)
        engine_done(engine, health, OUTCOME_FAILURE, "exit status %d", info->si_status);
    else
        engine_done(engine, health, OUTCOME_SUCCESS, "exit status 0");
}

/* It has ended. Until it is waited for, its group is nobody else's. */
void script_ready(struct engine *engine, struct source *source)
{
    struct process *process = PCN_CONTAINER_OF(source, struct process, source);
    struct pcn_health *health = process->health;
    siginfo_t info = {};

    group_kill(process);
    (void)waitid(P_PID, (id_t)process->pid, &info, WEXITED);
    process_free(engine, process);
    if (health) {
        health->process = NULL;
        exit_judge(engine, health, &info);
    }
    waiting_start(engine);
}

void script_free(struct engine *engine)
{
    struct process *process;

    while ((process = LIST_FIRST(&engine->processes))) {
        struct pollfd ended = {.fd = process->source.fd, .events = POLLIN};

        group_kill(process);
        if (poll(&ended, 1, GRACE_MS) == 1)
            (void)waitpid(process->pid, NULL, 0);
        process_free(engine, process);
    }
}

const struct kind kind_script = {.begin = script_begin, .expired = script_expired, .stop = script_stop};
