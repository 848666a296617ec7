/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health thread: what is due, what has happened, and what follows from it. It never waits but in epoll_wait().
 *
 * A check begins every interval, counted from the last beginning, so that checks that were spread stay so.
 */
#include "private.h"
#include <base/log.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define EVENTS 256
/* Before something is taken for late, what has come is looked at: so often, at most. */
#define ROUNDS 8
/* Changes of so many ms go to the management thread together, in portions. */
#define BATCH_MS 10
#define PORTION 64
#define STACK (512 * 1024)

uint64_t engine_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const struct kind *kind_of(const struct pcn_health *health)
{
    switch (health->check->type) {
    case PCN_HEALTH_UDP:
        return &kind_udp;
    case PCN_HEALTH_ICMP:
        return &kind_icmp;
    case PCN_HEALTH_HTTP:
    case PCN_HEALTH_HTTPS:
        return &kind_http;
    case PCN_HEALTH_SCRIPT:
        return &kind_script;
    default:
        return &kind_tcp;
    }
}

/* ---- the heap: the target that is due first is its root ---- */

static void heap_put(struct engine *engine, size_t place, struct pcn_health *health)
{
    engine->heap[place] = health;
    health->place = place;
}

static void heap_up(struct engine *engine, struct pcn_health *health)
{
    size_t place = health->place;

    for (; place > 1 && engine->heap[place / 2]->due > health->due; place /= 2)
        heap_put(engine, place, engine->heap[place / 2]);
    heap_put(engine, place, health);
}

static void heap_down(struct engine *engine, struct pcn_health *health)
{
    size_t place = health->place;

    for (;;) {
        size_t child = 2 * place;

        if (child < engine->n_heap && engine->heap[child + 1]->due < engine->heap[child]->due)
            child++;
        if (child > engine->n_heap || engine->heap[child]->due >= health->due)
            break;
        heap_put(engine, place, engine->heap[child]);
        place = child;
    }
    heap_put(engine, place, health);
}

static void heap_remove(struct engine *engine, struct pcn_health *health)
{
    struct pcn_health *last = engine->heap[engine->n_heap--];

    if (last != health) {
        heap_put(engine, health->place, last);
        heap_up(engine, last);
        heap_down(engine, last);
    }
    health->place = 0;
}

/* For all targets, whether they are in it just now or not. */
static int heap_reserve(struct engine *engine)
{
    size_t room = engine->heap_room ? 2 * engine->heap_room : 64;
    struct pcn_health **heap;

    if (engine->n_all < engine->heap_room)
        return 0;
    heap = realloc(engine->heap, room * sizeof(struct pcn_health *));
    if (!heap)
        return -ENOMEM;
    engine->heap = heap;
    engine->heap_room = room;
    return 0;
}

void engine_schedule(struct engine *engine, struct pcn_health *health, uint64_t due)
{
    health->due = due;
    if (due == NEVER) {
        if (health->place)
            heap_remove(engine, health);
        return;
    }
    /* There is room for all targets: see heap_reserve(). */
    if (!health->place)
        heap_put(engine, ++engine->n_heap, health);
    heap_up(engine, health);
    heap_down(engine, health);
}

/* ---- descriptors ---- */

int engine_watch(struct engine *engine, struct source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(engine->epoll, EPOLL_CTL_ADD, source->fd, &event) == 0)
        return 0;
    return errno == EEXIST && epoll_ctl(engine->epoll, EPOLL_CTL_MOD, source->fd, &event) == 0 ? 0 : -errno;
}

void engine_unwatch(struct engine *engine, struct source *source)
{
    if (source->fd >= 0)
        (void)epoll_ctl(engine->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    pcn_closep(&source->fd);
}

/* ---- results ---- */

static void report(struct engine *engine, struct pcn_health *health, bool released)
{
    struct report *report = calloc(1, sizeof(*report));

    /* A state that is not reported would never be again: it is found once more. */
    if (!report) {
        health->state = PCN_HEALTH_UNKNOWN;
        return;
    }
    *report = (struct report){.health = health, .released = released, .state = health->state};
    (void)clock_gettime(CLOCK_REALTIME, &report->time);
    memcpy(report->reason, health->last, sizeof(report->reason));
    STAILQ_INSERT_TAIL(&engine->reports, report, next);
    if (!engine->n_reports++)
        engine->reports_due = engine->now + BATCH_MS;
}

/* Whether its state is another one now. */
static bool judge(struct pcn_health *health, bool success)
{
    if (health->state != PCN_HEALTH_UNKNOWN && (health->state == PCN_HEALTH_UP) == success) {
        health->streak = 0;
        return false;
    }
    if (health->state != PCN_HEALTH_UNKNOWN && ++health->streak < (success ? health->check->rise : health->check->fall))
        return false;
    health->state = success ? PCN_HEALTH_UP : PCN_HEALTH_DOWN;
    health->streak = 0;
    return true;
}

static void next_start(struct engine *engine, struct pcn_health *health)
{
    health->start += health->check->interval;
    /* So late that checks were left out: they are not made up for. */
    if (health->start + health->check->interval < engine->now)
        health->start = engine->now;
    engine_schedule(engine, health, PCN_MAX(health->start, engine->now));
}

void engine_done(struct engine *engine, struct pcn_health *health, enum outcome outcome, const char *format, ...)
{
    char text[REASON_MAX] = {};
    bool changed = false;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    kind_of(health)->stop(engine, health);
    health->running = false;
    if (outcome != OUTCOME_NONE) {
        __atomic_store_n(&health->checks, health->checks + 1, __ATOMIC_RELAXED);
        if (outcome == OUTCOME_FAILURE)
            __atomic_store_n(&health->failures, health->failures + 1, __ATOMIC_RELAXED);
        changed = judge(health, outcome == OUTCOME_SUCCESS);
    }
    if (changed || !pcn_streq(text, health->last)) {
        memcpy(health->last, text, sizeof(health->last));
        report(engine, health, false);
    }
    next_start(engine, health);
}

static void portion_deliver(void *data)
{
    struct report_queue *reports = data;

    reports_deliver(reports);
    free(reports);
}

static void reports_post(struct engine *engine)
{
    while (!STAILQ_EMPTY(&engine->reports)) {
        struct report_queue *portion = malloc(sizeof(*portion));
        struct report *report;

        if (!portion)
            break;
        STAILQ_INIT(portion);
        for (int n = 0; n < PORTION && (report = STAILQ_FIRST(&engine->reports)); n++) {
            STAILQ_REMOVE_HEAD(&engine->reports, next);
            STAILQ_INSERT_TAIL(portion, report, next);
            engine->n_reports--;
        }
        if (pcn_loop_post(engine->loop, portion_deliver, portion, false) < 0) {
            STAILQ_CONCAT(portion, &engine->reports);
            STAILQ_CONCAT(&engine->reports, portion);
            free(portion);
            break;
        }
    }
    engine->reports_due = engine->n_reports ? engine->now + BATCH_MS : NEVER;
}

/* ---- commands ---- */

/* Fractions of the golden ratio: however many there are, they are spread evenly. */
static void first_start(struct engine *engine, struct pcn_health *health)
{
    uint32_t fraction = (uint32_t)(engine->n_phases++ * 0x9e3779b9u);

    if (heap_reserve(engine) < 0) {
        (void)snprintf(health->last, sizeof(health->last), "not checked: there is no memory");
        report(engine, health, false);
        return;
    }
    health->start = engine->now + ((uint64_t)fraction * health->check->interval >> 32);
    engine_schedule(engine, health, health->start);
}

static void target_stop(struct engine *engine, struct pcn_health *health)
{
    if (health->running)
        kind_of(health)->stop(engine, health);
    health->running = false;
    pcn_closep(&health->silent);
    health->refused = 0;
    engine_schedule(engine, health, NEVER);
}

static void target_release(struct engine *engine, struct pcn_health *health)
{
    target_stop(engine, health);
    LIST_REMOVE(health, next);
    engine->n_all--;
    report(engine, health, true);
}

static void command_run(struct engine *engine, struct command *command)
{
    struct pcn_health *health = command->health;

    switch (command->kind) {
    case COMMAND_ADD:
        LIST_INSERT_HEAD(&engine->targets, health, next);
        engine->n_all++;
        first_start(engine, health);
        break;
    case COMMAND_CHANGE:
        target_stop(engine, health);
        pcn_health_check_unrefp(&health->check);
        health->check = TAKE_PTR(command->check);
        health->port = command->port;
        health->streak = 0;
        first_start(engine, health);
        break;
    case COMMAND_REMOVE:
        target_release(engine, health);
        break;
    }
}

/* False: it is time to quit. */
static bool commands_run(struct engine *engine)
{
    struct command_queue commands = STAILQ_HEAD_INITIALIZER(commands);
    struct command *command;
    bool quit;

    pthread_mutex_lock(&engine->lock);
    STAILQ_CONCAT(&commands, &engine->commands);
    quit = engine->quit;
    pthread_mutex_unlock(&engine->lock);
    while ((command = STAILQ_FIRST(&commands))) {
        STAILQ_REMOVE_HEAD(&commands, next);
        command_run(engine, command);
        pcn_health_check_unrefp(&command->check);
        free(command);
    }
    return !quit;
}

/* ---- the thread ---- */

static void source_ready(struct engine *engine, struct source *source, uint32_t events)
{
    struct pcn_health *health;
    uint64_t count;

    switch (source->kind) {
    case SOURCE_WAKE:
        (void)!read(source->fd, &count, sizeof(count));
        break;
    case SOURCE_TARGET:
        health = PCN_CONTAINER_OF(source, struct pcn_health, source);
        if (health->running && kind_of(health)->ready)
            kind_of(health)->ready(engine, health);
        break;
    case SOURCE_ECHO:
        echo_ready(engine, source);
        break;
    case SOURCE_HTTP:
        http_ready(engine, source, events);
        break;
    case SOURCE_PROCESS:
        script_ready(engine, source);
        break;
    }
}

static int wait_ms(const struct engine *engine)
{
    uint64_t due = PCN_MIN(engine->reports_due, http_due(engine)), now = engine_clock();

    if (engine->n_heap)
        due = PCN_MIN(due, engine->heap[1]->due);
    if (due == NEVER)
        return -1;
    return due <= now ? 0 : (int)PCN_MIN(due - now, (uint64_t)INT32_MAX);
}

static void wait_for_events(struct engine *engine)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(engine->epoll, events, EVENTS, wait_ms(engine));

    for (int round = 1;; round++) {
        engine->now = engine_clock();
        for (int i = 0; i < n; i++)
            source_ready(engine, events[i].data.ptr, events[i].events);
        if (n < EVENTS || round == ROUNDS)
            break;
        n = epoll_wait(engine->epoll, events, EVENTS, 0);
    }
}

static void due_run(struct engine *engine)
{
    while (engine->n_heap && engine->heap[1]->due <= engine->now) {
        struct pcn_health *health = engine->heap[1];

        if (health->running) {
            kind_of(health)->expired(engine, health);
            continue;
        }
        health->running = true;
        engine_schedule(engine, health, engine->now + health->check->timeout);
        kind_of(health)->begin(engine, health);
    }
}

static void engine_ended(void *data)
{
    struct engine *engine = data;

    engine_join(engine);
    engine_free(engine);
}

static void *engine_run(void *data)
{
    struct engine *engine = data;
    bool goes_on = true;

    (void)pthread_setname_np(pthread_self(), "health");
    engine->confined = script_confine();
    engine->now = engine_clock();
    while (goes_on) {
        wait_for_events(engine);
        due_run(engine);
        http_timeout(engine);
        goes_on = commands_run(engine);
        if (engine->now >= engine->reports_due)
            reports_post(engine);
    }
    while (!LIST_EMPTY(&engine->targets))
        target_release(engine, LIST_FIRST(&engine->targets));
    http_free(engine);
    echo_free(engine);
    script_free(engine);
    reports_post(engine);
    (void)pcn_loop_post(engine->loop, engine_ended, engine, false);
    return NULL;
}

/* ---- from the management thread ---- */

static void engine_wake(struct engine *engine)
{
    uint64_t one = 1;

    (void)!write(engine->wake.fd, &one, sizeof(one));
}

void engine_command(struct engine *engine, struct command *command)
{
    pthread_mutex_lock(&engine->lock);
    STAILQ_INSERT_TAIL(&engine->commands, command, next);
    pthread_mutex_unlock(&engine->lock);
    engine_wake(engine);
}

void engine_quit(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->quit = true;
    pthread_mutex_unlock(&engine->lock);
    engine_wake(engine);
}

void engine_join(struct engine *engine)
{
    if (!engine->joined)
        (void)pthread_join(engine->thread, NULL);
    engine->joined = true;
}

void engine_free(struct engine *engine)
{
    struct command *command;

    if (engine->joined)
        LIST_REMOVE(engine, next);
    while ((command = STAILQ_FIRST(&engine->commands))) {
        STAILQ_REMOVE_HEAD(&engine->commands, next);
        pcn_health_check_unrefp(&command->check);
        free(command);
    }
    pcn_closep(&engine->wake.fd);
    pcn_closep(&engine->epoll);
    pthread_mutex_destroy(&engine->lock);
    free(engine->heap);
    free(engine);
}

static int thread_start(struct engine *engine)
{
    pthread_attr_t attributes;
    int r;

    if (pthread_attr_init(&attributes))
        return -ENOMEM;
    (void)pthread_attr_setstacksize(&attributes, STACK);
    r = pthread_create(&engine->thread, &attributes, engine_run, engine);
    (void)pthread_attr_destroy(&attributes);
    return -r;
}

int engine_new(struct pcn_loop *loop, struct engine **ret_engine)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int r = 0;

    if (!engine)
        return -ENOMEM;
    engine->loop = loop;
    engine->reports_due = NEVER;
    STAILQ_INIT(&engine->commands);
    STAILQ_INIT(&engine->reports);
    TAILQ_INIT(&engine->waiting);
    pthread_mutex_init(&engine->lock, NULL);
    engine->epoll = epoll_create1(EPOLL_CLOEXEC);
    engine->wake = (struct source){SOURCE_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (engine->epoll < 0 || engine->wake.fd < 0)
        r = -errno;
    if (r >= 0)
        r = engine_watch(engine, &engine->wake, EPOLLIN);
    if (r >= 0)
        r = thread_start(engine);
    if (r < 0) {
        engine_free(engine);
        return r;
    }
    *ret_engine = engine;
    return 0;
}
