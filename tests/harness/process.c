/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <harness/netns.h>
#include <harness/private.h>
#include <harness/suite.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define COMMAND_DEADLINE_MS 30000

void pcn_output_done(struct pcn_output *output)
{
    pcn_freep(&output->text);
    *output = (struct pcn_output){};
}

pid_t pcn_netns_fork(const struct pcn_netns *netns)
{
    pid_t parent = getpid(), child;

    fflush(NULL);
    child = fork();
    if (child)
        return child;
    /* Its own group, so that what it starts can be ended with it. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    if (netns && setns(netns->fd, CLONE_NEWNET) < 0)
        _exit(126);
    return 0;
}

static int process_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reads to the end of the pipe, or to the deadline: -ETIMEDOUT. */
static int process_read(int fd, struct pcn_output *output)
{
    uint64_t deadline = pcn_test_now_ms() + COMMAND_DEADLINE_MS, now;
    char buffer[4096];
    ssize_t n;

    while ((now = pcn_test_now_ms()) < deadline) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        char *grown;

        if (poll(&poll_fd, 1, (int)(deadline - now)) <= 0)
            continue;
        n = read(fd, buffer, sizeof(buffer));
        if (n <= 0)
            return 0;
        grown = realloc(output->text, output->length + (size_t)n + 1);
        if (!grown)
            return -ENOMEM;
        memcpy(grown + output->length, buffer, (size_t)n);
        output->length += (size_t)n;
        grown[output->length] = '\0';
        output->text = grown;
    }
    return -ETIMEDOUT;
}

static int process_run(const struct pcn_netns *netns, const char *command, struct pcn_output *ret_output)
{
    struct pcn_output output = {.text = strdup("")};
    int pipes[2], status, r;
    pid_t child;

    if (!output.text || pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    child = pcn_netns_fork(netns);
    if (child == 0) {
        int null = open("/dev/null", O_RDONLY);

        dup2(null, STDIN_FILENO);
        dup2(pipes[1], STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    close(pipes[1]);
    r = child < 0 ? -errno : process_read(pipes[0], &output);
    close(pipes[0]);
    if (r < 0 && child > 0)
        kill(-child, SIGKILL);
    if (child > 0 && waitpid(child, &status, 0) == child && r == 0)
        r = process_status(status);
    output.status = r;
    if (ret_output)
        *ret_output = output;
    else
        pcn_output_done(&output);
    return r;
}

int pcn_netns_run(const struct pcn_netns *netns, struct pcn_output *ret_output, const char *format, ...)
{
    _cleanup_free_ char *command = NULL;
    va_list args;
    int r;

    va_start(args, format);
    r = vasprintf(&command, format, args);
    va_end(args);
    return r < 0 ? -ENOMEM : process_run(netns, command, ret_output);
}

int pcn_netns_must(const struct pcn_netns *netns, const char *format, ...)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};
    _cleanup_free_ char *command = NULL;
    va_list args;
    int r;

    va_start(args, format);
    r = vasprintf(&command, format, args);
    va_end(args);
    if (r < 0)
        return -ENOMEM;
    r = process_run(netns, command, &output);
    if (r == 0)
        return 0;
    fprintf(stderr, "%s: in %s: %s: %d\n%s\n", command, netns ? netns->name : "the present namespace",
            r < 0 ? strerror(-r) : "exit code", r, output.text ?: "");
    return -EIO;
}

/* ---- in the background ---- */

int pcn_spawn(const struct pcn_netns *netns, struct pcn_process *ret_process, char *const argv[])
{
    static unsigned int serial;
    struct pcn_process process = {};
    pid_t child;
    int r;

    r = pcn_sandbox_enter();
    if (r < 0)
        return r;
    snprintf(process.log, sizeof(process.log), "%s/output.%u", pcn_sandbox_directory(), serial++);
    child = pcn_netns_fork(netns);
    if (child == 0) {
        int null = open("/dev/null", O_RDONLY);
        int log = open(process.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

        dup2(null, STDIN_FILENO);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (child < 0)
        return -errno;
    process.pid = child;
    *ret_process = process;
    return 0;
}

int pcn_process_wait(struct pcn_process *process, unsigned int timeout_ms)
{
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int status;

    if (process->pid <= 0)
        return -ESRCH;
    if (fd < 0)
        return -errno;
    if (poll(&poll_fd, 1, (int)timeout_ms) <= 0)
        return -ETIMEDOUT;
    if (waitpid(process->pid, &status, 0) < 0)
        return -errno;
    process->pid = 0;
    return process_status(status);
}

int pcn_process_stop(struct pcn_process *process)
{
    int r;

    if (process->pid <= 0)
        return -ESRCH;
    kill(process->pid, SIGTERM);
    r = pcn_process_wait(process, 2000);
    if (r == -ETIMEDOUT) {
        kill(-process->pid, SIGKILL);
        r = pcn_process_wait(process, 2000);
    }
    return r;
}

char *pcn_process_output(const struct pcn_process *process)
{
    FILE *file = fopen(process->log, "re");
    char *text = NULL;
    size_t size = 0;

    if (!file)
        return strdup("");
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    return text;
}
