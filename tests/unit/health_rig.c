/* SPDX-License-Identifier: Apache-2.0 */
#include "health_rig.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <health/health.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>

static struct {
    struct pcn_netns *netns, *beyond;
    int back;
    struct pcn_loop *loop;
    pthread_t thread;
    struct pcn_health_set *set;
    uint32_t n_changed, n_states;
} rig = {.back = -1};

/* ---- the management thread ---- */

struct call {
    void (*fn)(void *data);
    void *data;
    sem_t done;
};

static void call_run(void *data)
{
    struct call *call = data;

    call->fn(call->data);
    (void)sem_post(&call->done);
}

void rig_call(void (*fn)(void *data), void *data)
{
    struct call call = {.fn = fn, .data = data};

    (void)sem_init(&call.done, 0, 0);
    if (pcn_loop_post(rig.loop, call_run, &call, false) == 0)
        while (sem_wait(&call.done) < 0)
            ;
    (void)sem_destroy(&call.done);
}

static void on_state(void *data, struct pcn_health *health, enum pcn_health_state state, const char *reason)
{
    __atomic_add_fetch(&rig.n_states, 1, __ATOMIC_RELAXED);
}

static void on_changed(void *data)
{
    __atomic_add_fetch(&rig.n_changed, 1, __ATOMIC_RELAXED);
}

uint32_t rig_n_changed(void)
{
    return __atomic_load_n(&rig.n_changed, __ATOMIC_RELAXED);
}

uint32_t rig_n_states(void)
{
    return __atomic_load_n(&rig.n_states, __ATOMIC_RELAXED);
}

static void *loop_run(void *data)
{
    (void)pcn_loop_run(rig.loop);
    return NULL;
}

static int loop_open(void)
{
    const struct pcn_health_calls calls = {.state = on_state, .changed = on_changed};
    int r = pcn_loop_new(&rig.loop);

    if (r < 0)
        return r;
    pcn_health_open(rig.loop);
    r = pcn_health_set_new(NULL, &calls, &rig.set);
    return r < 0 ? r : -pthread_create(&rig.thread, NULL, loop_run, NULL);
}

int rig_open(void)
{
    int r;

    r = pcn_netns_new("health", &rig.netns);
    if (r >= 0)
        r = pcn_netns_new("beyond", &rig.beyond);
    if (r >= 0)
        r = pcn_veth_new(rig.netns, "out", rig.beyond, "in");
    if (r >= 0)
        r = pcn_netns_must(rig.netns, "ip address add 10.9.0.1/24 dev out && ip address add fd09::1/64 dev out && "
                                      "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:77 dev out && "
                                      "ip neigh add fd09::2 lladdr 02:00:00:00:00:77 dev out");
    if (r >= 0)
        r = pcn_netns_enter(rig.netns, &rig.back);
    return r < 0 ? r : loop_open();
}

static void close_run(void *data)
{
    pcn_health_close();
    pcn_loop_stop(rig.loop);
}

int rig_close(void)
{
    rig_call(close_run, NULL);
    (void)pthread_join(rig.thread, NULL);
    pcn_health_set_freep(&rig.set);
    pcn_loop_freep(&rig.loop);
    if (rig.back >= 0)
        pcn_netns_leave(&rig.back);
    pcn_netns_freep(&rig.netns);
    pcn_netns_freep(&rig.beyond);
    return 0;
}

struct pcn_netns *rig_beyond(void)
{
    return rig.beyond;
}

/* ---- targets ---- */

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static uint8_t *copy_bytes(const uint8_t *bytes, size_t size)
{
    uint8_t *new = size ? malloc(size) : NULL;

    if (new)
        memcpy(new, bytes, size);
    return new;
}

struct pcn_health_check *rig_check(const struct pcn_health_check *like)
{
    struct pcn_health_check *check = malloc(sizeof(*check));

    if (!check)
        return NULL;
    *check = *like;
    check->references = 1;
    check->interval = like->interval ? like->interval : 200;
    check->timeout = like->timeout ? like->timeout : 100;
    check->rise = like->rise ? like->rise : 2;
    check->fall = like->fall ? like->fall : 3;
    check->http.path = copy(like->http.path);
    check->http.host = copy(like->http.host);
    check->http.status = copy(like->http.status);
    check->script = copy(like->script);
    check->udp.payload = copy_bytes(like->udp.payload, like->udp.payload_size);
    check->udp.expect = copy_bytes(like->udp.expect, like->udp.expect_size);
    return check;
}

struct addition {
    struct pcn_health_target target;
    struct pcn_health *health;
};

static void add_run(void *data)
{
    struct addition *addition = data;

    (void)pcn_health_add(rig.set, &addition->target, &addition->health);
}

struct pcn_health *rig_add(const char *address, uint16_t port, const struct pcn_health_check *like)
{
    struct addition addition = {.target = {.port = port, .service = "service"}};

    (void)snprintf(addition.target.backend, sizeof(addition.target.backend), "%s", address);
    addition.target.check = rig_check(like);
    addition.target.version = strchr(address, ':') ? 6 : 4;
    (void)inet_pton(addition.target.version == 6 ? AF_INET6 : AF_INET, address, &addition.target.address);
    rig_call(add_run, &addition);
    pcn_health_check_unrefp(&addition.target.check);
    return addition.health;
}

static void remove_run(void *data)
{
    pcn_health_removep(data);
}

void rig_remove(struct pcn_health **health)
{
    rig_call(remove_run, health);
}

struct look {
    const struct pcn_health *health;
    struct rig_view view;
};

static void look_run(void *data)
{
    struct look *look = data;

    look->view.state = pcn_health_state(look->health);
    memcpy(look->view.reason, look->health->reason, REASON_MAX);
    look->view.checks = __atomic_load_n(&look->health->checks, __ATOMIC_RELAXED);
    look->view.failures = __atomic_load_n(&look->health->failures, __ATOMIC_RELAXED);
}

struct rig_view rig_look(struct pcn_health *health)
{
    struct look look = {.health = health};

    rig_call(look_run, &look);
    return look.view;
}

bool rig_becomes(struct pcn_health *health, enum pcn_health_state state, unsigned int timeout_ms)
{
    return PCN_WAIT(timeout_ms, rig_look(health).state == state);
}

/* ---- the health thread, from outside ---- */

static bool thread_find(char path[300])
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    bool found = false;

    while (tasks && !found && (entry = readdir(tasks))) {
        char name[16] = "";
        FILE *file;

        (void)snprintf(path, 300, "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "re");
        found = file && fgets(name, sizeof(name), file) && pcn_streq(name, "health\n");
        if (file)
            (void)fclose(file);
    }
    if (tasks)
        (void)closedir(tasks);
    return found;
}

bool rig_has_thread(void)
{
    char path[300];

    return thread_find(path);
}

static void nothing(void *data)
{
}

/* What the thread has told the management thread before it ended has been dealt with. */
bool rig_is_quiet(void)
{
    bool quiet = PCN_WAIT(5000, !rig_has_thread());

    rig_call(nothing, NULL);
    return quiet;
}

uint32_t rig_server_n(const struct rig_server *server)
{
    return __atomic_load_n(&server->n, __ATOMIC_ACQUIRE);
}

uint64_t rig_thread_cpu_us(void)
{
    char path[300], text[64] = "0";
    FILE *file;

    if (!thread_find(path))
        return 0;
    (void)snprintf(strrchr(path, '/'), 16, "/schedstat");
    file = fopen(path, "re");
    if (file) {
        (void)!fgets(text, sizeof(text), file);
        (void)fclose(file);
    }
    return strtoull(text, NULL, 10) / 1000;
}

/* ---- servers ---- */

static void *server_run(void *data)
{
    struct rig_server *server = data;
    char request[2048];
    int fd;

    while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        uint32_t n = server->n;

        server->times[n % RIG_TIMES] = pcn_test_now_ms();
        __atomic_store_n(&server->n, n + 1, __ATOMIC_RELEASE);
        if (server->answer && read(fd, request, sizeof(request)) > 0)
            (void)!send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
        (void)close(fd);
    }
    return NULL;
}

static int listener(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
        int r = -errno;

        (void)close(fd);
        return r;
    }
    *ret_port = ntohs(address.sin6_port);
    return fd;
}

int rig_server_open(struct rig_server *server, uint16_t port, const char *answer)
{
    *server = (struct rig_server){.answer = answer};
    server->fd = listener(port, &server->port);
    if (server->fd < 0)
        return server->fd;
    return -pthread_create(&server->thread, NULL, server_run, server);
}

void rig_server_close(struct rig_server *server)
{
    (void)shutdown(server->fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    pcn_closep(&server->fd);
}

uint16_t rig_free_port(void)
{
    uint16_t port = 0;
    int fd = listener(0, &port);

    pcn_closep(&fd);
    return port;
}
