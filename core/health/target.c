/* SPDX-License-Identifier: Apache-2.0 */
/* The management thread's side: sets, targets, what is known of them. */
#include "private.h"
#include <health/health.h>
#include <stdio.h>

struct event {
    struct timespec time;
    struct label label;
    enum pcn_health_state state;
    char reason[REASON_MAX];
};

/* Outlives its set while the work runs. */
struct work {
    pthread_mutex_t lock; /* held while work runs */
    bool cancelled;
    struct pcn_health_set *set;
    void (*work)(void *data);
    void (*done)(void *data);
    void *data;
};

struct pcn_health_set {
    struct pcn_cube *cube;
    struct pcn_health_calls calls;
    struct event *events; /* PCN_HEALTH_EVENTS; NULL: there was none yet */
    uint64_t n_events;
    struct work *work; /* that runs */
    bool changed;      /* in the portion that is delivered */
};

static struct pcn_loop *the_loop;
/* The first one is that which new targets go to, unless the_engine is NULL; others are about to end. */
static LIST_HEAD(, engine) engines = LIST_HEAD_INITIALIZER(engines);
static struct engine *the_engine;

void pcn_health_open(struct pcn_loop *loop)
{
    the_loop = loop;
}

void pcn_health_close(void)
{
    struct engine *engine;

    the_engine = NULL;
    the_loop = NULL;
    LIST_FOREACH(engine, &engines, next) engine_quit(engine);
    LIST_FOREACH(engine, &engines, next) engine_join(engine);
}

static int engine_get(struct engine **ret_engine)
{
    int r;

    if (!the_loop)
        return -ECANCELED;
    if (!the_engine) {
        r = engine_new(the_loop, &the_engine);
        if (r < 0)
            return r;
        LIST_INSERT_HEAD(&engines, the_engine, next);
    }
    *ret_engine = the_engine;
    return 0;
}

/* ---- sets ---- */

int pcn_health_set_new(struct pcn_cube *cube, const struct pcn_health_calls *calls, struct pcn_health_set **ret_set)
{
    struct pcn_health_set *set = calloc(1, sizeof(*set));

    if (!set)
        return -ENOMEM;
    set->cube = cube;
    set->calls = *calls;
    *ret_set = set;
    return 0;
}

static void label_done(struct label *label)
{
    free(label->service);
    free(label->backend);
}

void pcn_health_set_freep(struct pcn_health_set **ptr)
{
    struct pcn_health_set *set = TAKE_PTR(*ptr);

    if (!set)
        return;
    if (set->work) {
        pthread_mutex_lock(&set->work->lock);
        set->work->cancelled = true;
        pthread_mutex_unlock(&set->work->lock);
    }
    for (uint64_t i = 0; set->events && i < PCN_MIN(set->n_events, (uint64_t)PCN_HEALTH_EVENTS); i++)
        label_done(&set->events[i].label);
    free(set->events);
    free(set);
}

/* On the worker thread. The kind's code may be gone when the set is. */
static void work_run(void *data)
{
    struct work *work = data;

    pthread_mutex_lock(&work->lock);
    if (!work->cancelled)
        work->work(work->data);
    pthread_mutex_unlock(&work->lock);
}

static void work_done(void *data)
{
    struct work *work = data;

    if (!work->cancelled) {
        work->set->work = NULL;
        work->done(work->data);
    }
    pthread_mutex_destroy(&work->lock);
    free(work);
}

int pcn_health_set_work(struct pcn_health_set *set, void (*work)(void *data), void (*done)(void *data), void *data)
{
    struct work *new;
    int r;

    if (set->work)
        return -EBUSY;
    new = calloc(1, sizeof(*new));
    if (!new)
        return -ENOMEM;
    *new = (struct work){.set = set, .work = work, .done = done, .data = data};
    pthread_mutex_init(&new->lock, NULL);
    r = the_loop ? pcn_loop_work(the_loop, work_run, work_done, new) : -ECANCELED;
    if (r < 0) {
        pthread_mutex_destroy(&new->lock);
        free(new);
        return r;
    }
    set->work = new;
    return 0;
}

/* ---- targets ---- */

static void health_freep(struct pcn_health **ptr)
{
    struct pcn_health *health = TAKE_PTR(*ptr);

    if (!health)
        return;
    pcn_health_check_unrefp(&health->check);
    pcn_health_check_unrefp(&health->agreed);
    label_done(&health->label);
    free(health);
}

static int health_new(const struct pcn_health_target *target, struct pcn_health **ret_health)
{
    _cleanup_(health_freep) struct pcn_health *health = calloc(1, sizeof(*health));

    if (!health)
        return -ENOMEM;
    health->label = (struct label){strdup(target->service), strdup(target->backend)};
    if (!health->label.service || !health->label.backend)
        return -ENOMEM;
    health->version = target->version;
    health->address = target->address;
    health->port = target->port;
    health->check = pcn_health_check_ref(target->check);
    health->agreed = pcn_health_check_ref(target->check);
    health->agreed_port = target->port;
    health->source = (struct source){SOURCE_TARGET, -1};
    health->silent = -1;
    (void)clock_gettime(CLOCK_REALTIME, &health->changed);
    *ret_health = TAKE_PTR(health);
    return 0;
}

static struct command *command_new(enum command_kind kind, struct pcn_health *health)
{
    struct command *command = calloc(1, sizeof(*command));

    if (command) {
        command->kind = kind;
        command->health = health;
    }
    return command;
}

int pcn_health_add(struct pcn_health_set *set, const struct pcn_health_target *target, struct pcn_health **ret_health)
{
    _cleanup_(health_freep) struct pcn_health *health = NULL;
    struct command *command;
    int r;

    r = health_new(target, &health);
    if (r < 0)
        return r;
    /* It has to be possible to remove it: so that command is made now. */
    health->removal = command_new(COMMAND_REMOVE, health);
    command = command_new(COMMAND_ADD, health);
    r = health->removal && command ? engine_get(&health->engine) : -ENOMEM;
    if (r < 0) {
        free(health->removal);
        free(command);
        return r;
    }
    health->set = set;
    health->engine->n_targets++;
    engine_command(health->engine, command);
    *ret_health = TAKE_PTR(health);
    return 0;
}

int pcn_health_change(struct pcn_health *health, uint16_t port, struct pcn_health_check *check)
{
    struct command *command;

    if (!health->engine || (port == health->agreed_port && pcn_health_check_is_same(check, health->agreed)))
        return 0;
    command = command_new(COMMAND_CHANGE, health);
    if (!command)
        return -ENOMEM;
    command->port = port;
    command->check = pcn_health_check_ref(check);
    pcn_health_check_unrefp(&health->agreed);
    health->agreed = pcn_health_check_ref(check);
    health->agreed_port = port;
    engine_command(health->engine, command);
    return 0;
}

void pcn_health_removep(struct pcn_health **ptr)
{
    struct pcn_health *health = TAKE_PTR(*ptr);
    struct engine *engine = health ? health->engine : NULL;

    if (!health)
        return;
    health->removed = true;
    health->set = NULL;
    if (!engine) {
        free(health->removal);
        health_freep(&health);
        return;
    }
    engine_command(engine, TAKE_PTR(health->removal));
    if (--engine->n_targets)
        return;
    engine_quit(engine);
    if (engine == the_engine)
        the_engine = NULL;
}

enum pcn_health_state pcn_health_state(const struct pcn_health *health)
{
    return health ? health->shown : PCN_HEALTH_UP;
}

/* ---- reports ---- */

static const char *state_name(enum pcn_health_state state)
{
    return state == PCN_HEALTH_UP ? "UP" : state == PCN_HEALTH_DOWN ? "DOWN" : "UNKNOWN";
}

static void event_note(struct pcn_health_set *set, const struct pcn_health *health)
{
    struct event *event;

    if (set->cube)
        pcn_cube_log(set->cube, health->shown == PCN_HEALTH_DOWN ? PCN_LOG_WARN : PCN_LOG_INFO,
                     "backend %s of service %s is %s: %s", health->label.backend, health->label.service,
                     state_name(health->shown), health->reason);
    if (!set->events)
        set->events = calloc(PCN_HEALTH_EVENTS, sizeof(*set->events));
    if (!set->events)
        return;
    event = &set->events[set->n_events++ % PCN_HEALTH_EVENTS];
    label_done(&event->label);
    event->label = (struct label){strdup(health->label.service), strdup(health->label.backend)};
    event->time = health->changed;
    event->state = health->shown;
    memcpy(event->reason, health->reason, sizeof(event->reason));
}

static void report_take(struct report *report)
{
    struct pcn_health *health = report->health;
    struct pcn_health_set *set = health->set;

    memcpy(health->reason, report->reason, sizeof(health->reason));
    if (health->removed || report->state == health->shown || report->state == PCN_HEALTH_UNKNOWN)
        return;
    health->shown = report->state;
    health->changed = report->time;
    event_note(set, health);
    set->changed = true;
    if (set->calls.state)
        set->calls.state(set->calls.data, health, health->shown, health->reason);
}

/* What is told may remove targets, and free sets: so those that changed are looked for from the start. */
static void sets_tell(struct report_queue *reports)
{
    struct report *report;

    STAILQ_FOREACH(report, reports, next)
    {
        struct pcn_health_set *set = report->released ? NULL : report->health->set;

        if (!set || !set->changed)
            continue;
        set->changed = false;
        if (set->calls.changed)
            set->calls.changed(set->calls.data);
    }
}

static void health_release(struct pcn_health *health)
{
    health->engine = NULL;
    if (health->removed)
        health_freep(&health);
}

void reports_deliver(struct report_queue *reports)
{
    struct report *report;

    STAILQ_FOREACH(report, reports, next) if (!report->released) report_take(report);
    sets_tell(reports);
    while ((report = STAILQ_FIRST(reports))) {
        STAILQ_REMOVE_HEAD(reports, next);
        if (report->released)
            health_release(report->health);
        free(report);
    }
}

/* ---- what is shown ---- */

void pcn_health_emit(const struct pcn_health *health, struct pcn_emitter *emitter)
{
    if (!health)
        return;
    pcn_emit_string(emitter, "state", state_name(health->shown));
    if (health->reason[0])
        pcn_emit_string(emitter, "reason", health->reason);
    pcn_emit_time(emitter, "last-change", &health->changed);
    pcn_emit_uint(emitter, "checks", __atomic_load_n(&health->checks, __ATOMIC_RELAXED));
    pcn_emit_uint(emitter, "failures", __atomic_load_n(&health->failures, __ATOMIC_RELAXED));
}

int pcn_health_emit_events(const struct pcn_health_set *set, const char *const *keys, size_t n_keys,
                           struct pcn_emitter *emitter)
{
    uint64_t first, end;

    if (!pcn_ring_entries(set->n_events, PCN_HEALTH_EVENTS, n_keys ? keys[0] : NULL, &first, &end))
        return -ENOENT;
    for (uint64_t i = first; i < end; i++) {
        const struct event *event = &set->events[i % PCN_HEALTH_EVENTS];

        pcn_emit_entry(emitter);
        pcn_emit_uint(emitter, "number", i + 1);
        pcn_emit_time(emitter, "time", &event->time);
        pcn_emit_string(emitter, "service", event->label.service ? event->label.service : "");
        pcn_emit_string(emitter, "backend", event->label.backend ? event->label.backend : "");
        pcn_emit_string(emitter, "state", state_name(event->state));
        pcn_emit_string(emitter, "reason", event->reason);
        pcn_emit_end(emitter);
    }
    return 0;
}
