/* SPDX-License-Identifier: Apache-2.0 */
#include "polycubectl_mock.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define RUN_DEADLINE_MS 20000u
#define URL_ANSWERS_MAX 4

struct mock {
    struct MHD_Daemon *daemon;
    char *path; /* of the socket */
    char url[160];
    unsigned int status;
    const char *body;
    const char *moved, *target;
    struct {
        const char *url, *body;
    } answers[URL_ANSWERS_MAX];
    size_t n_answers;
    char last[131072];
    unsigned int count;
};

struct exchange {
    char *uri; /* raw */
    char body[65536];
    size_t length;
};

static void *mock_uri(void *user, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange)
        exchange->uri = strdup(uri);
    return exchange;
}

static void mock_done(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;

    if (!exchange)
        return;
    free(exchange->uri);
    free(exchange);
    *state = NULL;
}

static enum MHD_Result mock_send(struct MHD_Connection *connection, unsigned int status, const char *body,
                                 const char *location)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), (void *)body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result r;

    if (location)
        (void)MHD_add_response_header(response, "Location", location);
    r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

static enum MHD_Result mock_handle(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *data, size_t *n_data, void **state)
{
    struct exchange *exchange = *state;
    struct mock *mock = user;
    char location[1024];

    if (!exchange || !exchange->uri)
        return MHD_NO;
    if (exchange->length == 0 && *n_data == 0 && exchange->body[sizeof(exchange->body) - 1] == 0) {
        exchange->body[sizeof(exchange->body) - 1] = 1;
        return MHD_YES;
    }
    if (*n_data) {
        if (exchange->length + *n_data >= sizeof(exchange->body) - 1)
            return MHD_NO;
        memcpy(exchange->body + exchange->length, data, *n_data);
        exchange->length += *n_data;
        *n_data = 0;
        return MHD_YES;
    }
    exchange->body[exchange->length] = '\0';
    (void)snprintf(mock->last, sizeof(mock->last), "%s %s%s%s", method, exchange->uri, exchange->length ? " " : "",
                   exchange->body);
    mock->count++;
    if (mock->moved && strncmp(exchange->uri, mock->moved, strlen(mock->moved)) == 0) {
        (void)snprintf(location, sizeof(location), "%s%s", mock->target, exchange->uri + strlen(mock->moved));
        return mock_send(connection, 308, "", location);
    }
    for (size_t i = 0; i < mock->n_answers; i++)
        if (pcn_streq(mock->answers[i].url, exchange->uri))
            return mock_send(connection, 200, mock->answers[i].body, NULL);
    return mock_send(connection, mock->status, mock->body, NULL);
}

static int mock_listen(const char *path)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return -1;
    strcpy(address.sun_path, path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
        return -1;
    return TAKE_FD(fd);
}

/* where: the listening address or socket. tls: certificate and key, or NULL. */
static bool mock_start(struct mock *mock, struct MHD_OptionItem where, const char *const *tls)
{
    struct MHD_OptionItem options[] = {
        where,
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)mock_uri, NULL},
        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, (void *)(tls ? tls[0] : NULL)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(tls ? tls[1] : NULL)},
        {MHD_OPTION_END, 0, NULL}};
    unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | (tls ? MHD_USE_TLS : 0);

    mock->daemon = MHD_start_daemon(flags, 0, NULL, NULL, mock_handle, mock, MHD_OPTION_NOTIFY_COMPLETED, mock_done,
                                    NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    mock_answer(mock, 200, "");
    return mock->daemon;
}

static struct mock *mock_new_tcp(const char *scheme, const char *const *tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct mock *mock = calloc(1, sizeof(*mock));

    if (!mock || !mock_start(mock, (struct MHD_OptionItem){MHD_OPTION_SOCK_ADDR, 0, &address}, tls)) {
        free(mock);
        return NULL;
    }
    (void)snprintf(mock->url, sizeof(mock->url), "%s://127.0.0.1:%u/polycube/v1/", scheme,
                   MHD_get_daemon_info(mock->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    return mock;
}

struct mock *mock_new_tls(const char *cert, const char *key)
{
    return mock_new_tcp("https", (const char *const[]){cert, key});
}

struct mock *mock_new(const char *path)
{
    struct mock *mock;
    int fd;

    if (!path)
        return mock_new_tcp("http", NULL);
    fd = mock_listen(path);
    mock = calloc(1, sizeof(*mock));
    if (!mock || fd < 0 || !mock_start(mock, (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL}, NULL)) {
        free(mock);
        return NULL;
    }
    mock->path = strdup(path);
    (void)snprintf(mock->url, sizeof(mock->url), "unix://%s", path);
    return mock;
}

void mock_free(struct mock *mock)
{
    MHD_stop_daemon(mock->daemon);
    if (mock->path)
        (void)unlink(mock->path);
    free(mock->path);
    free(mock);
}

const char *mock_url(const struct mock *mock)
{
    return mock->url;
}

void mock_answer(struct mock *mock, unsigned int status, const char *body)
{
    mock->status = status;
    mock->body = body;
    mock->moved = NULL;
    mock->n_answers = 0;
    mock->count = 0;
    mock->last[0] = '\0';
}

void mock_move(struct mock *mock, const char *moved, const char *target)
{
    mock->moved = moved;
    mock->target = target;
}

void mock_answer_url(struct mock *mock, const char *url, const char *body)
{
    if (mock->n_answers == URL_ANSWERS_MAX)
        abort();
    mock->answers[mock->n_answers].url = url;
    mock->answers[mock->n_answers++].body = body;
}

const char *mock_last(const struct mock *mock)
{
    return mock->last;
}

unsigned int mock_count(const struct mock *mock)
{
    return mock->count;
}

/* ---- running polycubectl ---- */

static unsigned int now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned int)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* Standard input for the child in ret_ends[0], and what has to stay open beside it in ret_ends[1]. */
static void run_open_input(const struct run *run, int ret_ends[2])
{
    size_t length = run->text ? strlen(run->text) : 0;

    ret_ends[0] = ret_ends[1] = -1;
    switch (run->input) {
    case RUN_NULL:
        ret_ends[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        break;
    case RUN_CLOSED:
        break;
    case RUN_FILE:
    case RUN_FILE_HALF:
        ret_ends[0] = memfd_create("input", MFD_CLOEXEC);
        if (write(ret_ends[0], run->text, length) != (ssize_t)length)
            abort();
        (void)lseek(ret_ends[0], run->input == RUN_FILE ? 0 : (off_t)strcspn(run->text, "\n") + 1, SEEK_SET);
        break;
    case RUN_SOCKET:
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_ends) < 0)
            abort();
        break;
    default:
        if (pipe2(ret_ends, O_CLOEXEC) < 0)
            abort();
    }
    if (run->input == RUN_PIPE) {
        if (write(ret_ends[1], run->text, length) != (ssize_t)length)
            abort();
        pcn_closep(&ret_ends[1]);
    }
}

static void run_child(const struct run *run, const char *const *words, int input, int out, int err)
{
    const char *line[64] = {run->program ? run->program : PCN_BUILD_DIR "/bin/polycubectl"};
    char path[1024];

    for (size_t i = 0; words[i] && i < PCN_ARRAY_SIZE(line) - 2; i++)
        line[i + 1] = words[i];
    if (input >= 0)
        (void)dup2(input, STDIN_FILENO);
    else
        (void)close(STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    if (run->url)
        (void)setenv("POLYCUBECTL_URL", run->url, 1);
    else
        (void)unsetenv("POLYCUBECTL_URL");
    if (run->cacert)
        (void)setenv("POLYCUBECTL_CACERT", run->cacert, 1);
    /* One that does not work: the loopback is spoken to without. */
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("https_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("no_proxy", "example.com", 1);
    (void)setenv("HOME", run->home ? run->home : "/dev/null/nobody", 1);
    (void)unsetenv("XDG_CONFIG_HOME");
    (void)snprintf(path, sizeof(path), "%s/bin:%s", PCN_BUILD_DIR, getenv("PATH"));
    (void)setenv("PATH", path, 1);
    (void)execv(line[0], (char **)line);
    _exit(127);
}

/* Reads both pipes to their ends, and writes the text that is late. False: the deadline passed. */
static bool run_collect(struct run *run, int out, int err, int *writer, unsigned int start)
{
    struct pollfd pollers[] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
    char *texts[] = {run->out, run->err};
    size_t lengths[] = {0, 0};

    while (pollers[0].fd >= 0 || pollers[1].fd >= 0) {
        unsigned int passed = now_ms() - start;

        if (passed > RUN_DEADLINE_MS)
            return false;
        if (run->input == RUN_LATE && *writer >= 0 && passed >= 300) {
            if (write(*writer, run->text, strlen(run->text)) < 0)
                perror("the child has left its input");
            pcn_closep(writer);
        }
        if (poll(pollers, 2, 20) < 0)
            return false;
        for (size_t i = 0; i < 2; i++) {
            ssize_t n;

            if (!pollers[i].revents)
                continue;
            n = read(pollers[i].fd, texts[i] + lengths[i], sizeof(run->out) - 1 - lengths[i]);
            if (n <= 0)
                pollers[i].fd = -1;
            else
                lengths[i] += (size_t)n;
        }
    }
    run->out[lengths[0]] = '\0';
    run->err[lengths[1]] = '\0';
    return true;
}

void run(struct run *run, const char *const *words)
{
    unsigned int start = now_ms();
    int input[2], out[2], err[2], status = 0;
    pid_t child;

    (void)signal(SIGPIPE, SIG_IGN);
    run_open_input(run, input);
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        abort();
    child = fork();
    if (child == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        run_child(run, words, input[0], out[1], err[1]);
    }
    pcn_closep(&out[1]);
    pcn_closep(&err[1]);
    pcn_closep(&input[0]);
    if (!run_collect(run, out[0], err[0], &input[1], start))
        (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    run->milliseconds = now_ms() - start;
    pcn_closep(&out[0]);
    pcn_closep(&err[0]);
    pcn_closep(&input[1]);
}
