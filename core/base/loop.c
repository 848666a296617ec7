/* SPDX-License-Identifier: Apache-2.0 */
#include <base/loop.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/timerfd.h>

/* Not urgent calls run at most so many at a time, so that an urgent one waits for that long only. */
#define LOOP_BUDGET 64

struct call {
    STAILQ_ENTRY(call) next;
    void (*fn)(void *data);
    void (*done)(void *data);
    void *data;
};
STAILQ_HEAD(call_queue, call);

struct source {
    LIST_ENTRY(source) next;
    int fd;
    void (*fn)(void *data);
    void *data;
    bool timer;
    bool gone;
};

struct pcn_loop {
    int epoll;
    int wake;
    bool stop;
    LIST_HEAD(, source) sources;
    LIST_HEAD(, source) gone; /* freed once no event of this round can name them */

    pthread_mutex_t lock;
    struct call_queue urgent;
    struct call_queue posted;

    pthread_t worker;
    pthread_cond_t work_added;
    struct call_queue work;
    bool worker_stop;
};

static void loop_wake(struct pcn_loop *loop)
{
    uint64_t one = 1;

    (void)!write(loop->wake, &one, sizeof(one));
}

static void *loop_worker(void *data)
{
    struct pcn_loop *loop = data;
    struct call *call;

    pthread_mutex_lock(&loop->lock);
    for (;;) {
        while (STAILQ_EMPTY(&loop->work) && !loop->worker_stop)
            pthread_cond_wait(&loop->work_added, &loop->lock);
        call = STAILQ_FIRST(&loop->work);
        if (!call)
            break;
        STAILQ_REMOVE_HEAD(&loop->work, next);
        pthread_mutex_unlock(&loop->lock);
        call->fn(call->data);
        pthread_mutex_lock(&loop->lock);
        call->fn = call->done;
        if (call->fn) {
            STAILQ_INSERT_TAIL(&loop->posted, call, next);
            loop_wake(loop);
        } else {
            free(call);
        }
    }
    pthread_mutex_unlock(&loop->lock);
    return NULL;
}

int pcn_loop_new(struct pcn_loop **ret_loop)
{
    struct epoll_event event = {.events = EPOLLIN};
    _cleanup_(pcn_loop_freep) struct pcn_loop *loop = NULL;

    loop = calloc(1, sizeof(*loop));
    if (!loop)
        return -ENOMEM;
    STAILQ_INIT(&loop->urgent);
    STAILQ_INIT(&loop->posted);
    STAILQ_INIT(&loop->work);
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->work_added, NULL);
    loop->wake = -1;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return -errno;
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake < 0)
        return -errno;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) < 0)
        return -errno;
    if (pthread_create(&loop->worker, NULL, loop_worker, loop))
        return -EAGAIN;
    *ret_loop = TAKE_PTR(loop);
    return 0;
}

static void queue_run(struct pcn_loop *loop, struct call_queue *queue, int budget)
{
    while (budget-- > 0) {
        struct call *call;

        pthread_mutex_lock(&loop->lock);
        call = STAILQ_FIRST(queue);
        if (call)
            STAILQ_REMOVE_HEAD(queue, next);
        pthread_mutex_unlock(&loop->lock);
        if (!call)
            return;
        call->fn(call->data);
        free(call);
    }
}

void pcn_loop_freep(struct pcn_loop **ptr)
{
    struct pcn_loop *loop = TAKE_PTR(*ptr);
    struct source *source;

    if (!loop)
        return;
    if (loop->worker) {
        pthread_mutex_lock(&loop->lock);
        loop->worker_stop = true;
        pthread_cond_signal(&loop->work_added);
        pthread_mutex_unlock(&loop->lock);
        pthread_join(loop->worker, NULL);
    }
    /* What was posted owns memory that its call frees. */
    queue_run(loop, &loop->urgent, INT32_MAX);
    queue_run(loop, &loop->posted, INT32_MAX);
    while ((source = LIST_FIRST(&loop->sources))) {
        LIST_REMOVE(source, next);
        if (source->timer)
            (void)close(source->fd);
        free(source);
    }
    while ((source = LIST_FIRST(&loop->gone))) {
        LIST_REMOVE(source, next);
        free(source);
    }
    pcn_closep(&loop->wake);
    pcn_closep(&loop->epoll);
    pthread_mutex_destroy(&loop->lock);
    pthread_cond_destroy(&loop->work_added);
    free(loop);
}

static bool loop_has_calls(struct pcn_loop *loop)
{
    bool has;

    pthread_mutex_lock(&loop->lock);
    has = !STAILQ_EMPTY(&loop->urgent) || !STAILQ_EMPTY(&loop->posted);
    pthread_mutex_unlock(&loop->lock);
    return has;
}

static void source_run(struct source *source)
{
    uint64_t expirations;

    if (source->gone)
        return;
    if (source->timer && read(source->fd, &expirations, sizeof(expirations)) < 0)
        return;
    source->fn(source->data);
}

int pcn_loop_run(struct pcn_loop *loop)
{
    struct epoll_event events[64];

    while (!loop->stop) {
        struct source *source;
        uint64_t count;
        int n;

        n = epoll_wait(loop->epoll, events, PCN_ARRAY_SIZE(events), loop_has_calls(loop) ? 0 : -1);
        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr)
                (void)!read(loop->wake, &count, sizeof(count));
        }
        queue_run(loop, &loop->urgent, INT32_MAX);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                source_run(events[i].data.ptr);
        }
        queue_run(loop, &loop->posted, LOOP_BUDGET);
        while ((source = LIST_FIRST(&loop->gone))) {
            LIST_REMOVE(source, next);
            free(source);
        }
    }
    return 0;
}

void pcn_loop_stop(struct pcn_loop *loop)
{
    loop->stop = true;
    loop_wake(loop);
}

static int loop_source(struct pcn_loop *loop, int fd, void (*fn)(void *data), void *data, bool timer)
{
    struct epoll_event event = {.events = EPOLLIN};
    _cleanup_free_ struct source *source = NULL;

    source = calloc(1, sizeof(*source));
    if (!source)
        return -ENOMEM;
    *source = (struct source){.fd = fd, .fn = fn, .data = data, .timer = timer};
    event.data.ptr = source;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    LIST_INSERT_HEAD(&loop->sources, source, next);
    TAKE_PTR(source);
    return 0;
}

int pcn_loop_add(struct pcn_loop *loop, int fd, void (*fn)(void *data), void *data)
{
    return loop_source(loop, fd, fn, data, false);
}

void pcn_loop_remove(struct pcn_loop *loop, int fd)
{
    struct source *source;

    LIST_FOREACH(source, &loop->sources, next)
    {
        if (source->fd != fd)
            continue;
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
        LIST_REMOVE(source, next);
        source->gone = true;
        LIST_INSERT_HEAD(&loop->gone, source, next);
        return;
    }
}

int pcn_loop_every(struct pcn_loop *loop, unsigned int period_ms, void (*fn)(void *data), void *data)
{
    struct itimerspec period = {.it_interval = {period_ms / 1000, (long)(period_ms % 1000) * 1000000}};
    _cleanup_close_ int fd = -1;
    int r;

    period.it_value = period.it_interval;
    fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (timerfd_settime(fd, 0, &period, NULL) < 0)
        return -errno;
    r = loop_source(loop, fd, fn, data, true);
    if (r < 0)
        return r;
    TAKE_FD(fd);
    return 0;
}

int pcn_loop_post(struct pcn_loop *loop, void (*fn)(void *data), void *data, bool urgent)
{
    struct call *call = calloc(1, sizeof(*call));

    if (!call)
        return -ENOMEM;
    call->fn = fn;
    call->data = data;
    pthread_mutex_lock(&loop->lock);
    if (urgent)
        STAILQ_INSERT_TAIL(&loop->urgent, call, next);
    else
        STAILQ_INSERT_TAIL(&loop->posted, call, next);
    pthread_mutex_unlock(&loop->lock);
    loop_wake(loop);
    return 0;
}

int pcn_loop_work(struct pcn_loop *loop, void (*work)(void *data), void (*done)(void *data), void *data)
{
    struct call *call;

    if (loop->worker_stop)
        return -ECANCELED;
    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (struct call){.fn = work, .done = done, .data = data};
    pthread_mutex_lock(&loop->lock);
    STAILQ_INSERT_TAIL(&loop->work, call, next);
    pthread_cond_signal(&loop->work_added);
    pthread_mutex_unlock(&loop->lock);
    return 0;
}
