/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that are down leave their service's table, and come back. The table is computed on the worker thread, one
 * service at a time, so that many backends that go at once do not hold up the management thread; it is thrown away if
 * the service was configured anew meanwhile, which looks at the backends' health itself.
 */
#include "lbdsr.h"
#include "lbdsr_model.h"
#include <arpa/inet.h>
#include <stdio.h>

struct lbdsr_job {
    struct lbdsr *lbdsr;
    struct lbdsr_key key;
    uint64_t generation;
    struct lbdsr_end *ends; /* a copy */
    size_t n_ends;
    uint32_t size;
    uint16_t *table;
    int r;
};

/* ---- who is out ---- */

static struct pcn_health_ends ends_of(const struct lbdsr_group *service)
{
    return PCN_HEALTH_ENDS(service->ends, service->n_ends, health);
}

static bool is_stale(const struct lbdsr_group *service)
{
    return pcn_health_ends_differ(service->check, ends_of(service));
}

int lbdsr_health_prepare(struct lbdsr_group *service, struct pcn_error *error)
{
    char path[LBDSR_PATH_MAX];

    pcn_health_ends_mark(service->check, ends_of(service));
    if (service->gone)
        return 0;
    lbdsr_service_path(service, path);
    return pcn_health_check_validate(service->check, service->key.port, path, error);
}

/* ---- tables ---- */

static void job_freep(struct lbdsr_job **ptr)
{
    struct lbdsr_job *job = TAKE_PTR(*ptr);

    if (!job)
        return;
    free(job->ends);
    free(job->table);
    free(job);
}

static int job_new(struct lbdsr *lbdsr, const struct lbdsr_group *service, struct lbdsr_job **ret_job)
{
    _cleanup_(job_freep) struct lbdsr_job *job = calloc(1, sizeof(*job));

    if (!job)
        return -ENOMEM;
    *job = (struct lbdsr_job){.lbdsr = lbdsr,
                              .key = service->key,
                              .generation = service->generation,
                              .n_ends = service->n_ends,
                              .size = service->table_size};
    job->ends = malloc(service->n_ends * sizeof(*job->ends));
    if (!job->ends)
        return -ENOMEM;
    memcpy(job->ends, service->ends, service->n_ends * sizeof(*job->ends));
    pcn_health_ends_mark(service->check, PCN_HEALTH_ENDS(job->ends, job->n_ends, health));
    *ret_job = TAKE_PTR(job);
    return 0;
}

static void job_work(void *data)
{
    struct lbdsr_job *job = data;

    job->r = lbdsr_maglev(job->ends, job->n_ends, job->size, &job->table);
}

static void tables_follow(struct lbdsr *lbdsr);

static void job_done(void *data)
{
    _cleanup_(job_freep) struct lbdsr_job *job = data;
    struct lbdsr *lbdsr = job->lbdsr;
    struct lbdsr_group *service = lbdsr_config_find(lbdsr, &job->key);

    lbdsr->job = NULL;
    if (job->r < 0)
        pcn_cube_log(lbdsr->cube, PCN_LOG_ERR, "a table is not made anew: %s", strerror(-job->r));
    else if (service && service->generation == job->generation) {
        free(service->ends);
        service->ends = TAKE_PTR(job->ends);
        service->table = TAKE_PTR(job->table);
        lbdsr_tables_publish(&lbdsr->tables, service, service, &lbdsr->settings);
        lbdsr_rules_publish(lbdsr->cube, service, service);
        free(service->table);
        service->table = NULL;
        /* Somebody may have changed meanwhile. */
        service->stale = is_stale(service);
    }
    tables_follow(lbdsr);
}

/* The next service whose table is not what it should be. */
static void tables_follow(struct lbdsr *lbdsr)
{
    struct lbdsr_group *service = lbdsr->services;
    int r;

    if (lbdsr->job)
        return;
    while (service && !service->stale)
        service = service->next;
    if (!service)
        return;
    service->stale = false;
    r = job_new(lbdsr, service, &lbdsr->job);
    if (r >= 0)
        r = pcn_health_set_work(lbdsr->health, job_work, job_done, lbdsr->job);
    if (r < 0) {
        job_freep(&lbdsr->job);
        pcn_cube_log(lbdsr->cube, PCN_LOG_ERR, "a table is not made anew: %s", strerror(-r));
    }
}

static void changed(void *data)
{
    struct lbdsr *lbdsr = data;

    for (struct lbdsr_group *service = lbdsr->services; service; service = service->next)
        service->stale = service->stale || is_stale(service);
    tables_follow(lbdsr);
}

int lbdsr_health_open(struct lbdsr *lbdsr)
{
    const struct pcn_health_calls calls = {.changed = changed, .data = lbdsr};

    return pcn_health_set_new(lbdsr->cube, &calls, &lbdsr->health);
}

void lbdsr_health_close(struct lbdsr *lbdsr)
{
    pcn_health_set_freep(&lbdsr->health);
    job_freep(&lbdsr->job);
}

/* ---- what is checked ---- */

static void describe(const void *data, size_t i, struct pcn_health_target *ret_target)
{
    const struct lbdsr_group *service = data;
    const struct lbdsr_end *end = &service->ends[i];

    ret_target->version = end->version;
    ret_target->address = end->address;
    ret_target->port = service->key.port;
    (void)inet_ntop(end->version == 4 ? AF_INET : AF_INET6, &end->address, ret_target->backend,
                    sizeof(ret_target->backend));
    lbdsr_service_name(service, ' ', ret_target->service);
}

void lbdsr_health_follow(struct lbdsr *lbdsr, struct lbdsr_group *service, struct lbdsr_group *before)
{
    const struct pcn_health_ends none = {};
    int r = pcn_health_ends_follow(lbdsr->health, service->check, ends_of(service), before ? ends_of(before) : none,
                                   describe, service);

    if (r < 0)
        pcn_cube_log(lbdsr->cube, PCN_LOG_ERR, "not all backends are checked as they should be: %s", strerror(-r));
    /* What the worker is at may be about what it was before. */
    service->stale = is_stale(service);
}

void lbdsr_health_forget(struct lbdsr_group *service)
{
    pcn_health_ends_forget(ends_of(service));
}

/* ---- handlers ---- */

static int check_prepare(struct pcn_cube *cube, const struct pcn_change *change, const char *unit)
{
    struct lbdsr_group *service = lbdsr_config_edit(pcn_cube_state(cube), change->keys);

    if (!service)
        return -ENOMEM;
    return pcn_health_check_read(&service->check, unit, change->after);
}

int lbdsr_service_health_check_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "health-check");
}

int lbdsr_service_health_check_http_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "http");
}

int lbdsr_service_health_check_udp_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "udp");
}

int lbdsr_service_health_check_script_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "script");
}

int lbdsr_service_backend_health_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                       struct pcn_emitter *emitter)
{
    const struct lbdsr_group *service = lbdsr_config_at(pcn_cube_state(cube), keys);
    union pcn_address address = {.v6 = {}};
    int version = inet_pton(AF_INET, keys[3], &address) == 1 ? 4 : 6;

    if (version == 6)
        (void)inet_pton(AF_INET6, keys[3], &address);
    for (size_t i = 0; service && i < service->n_ends; i++)
        if (service->ends[i].version == version && memcmp(&service->ends[i].address, &address, sizeof(address)) == 0)
            pcn_health_emit(service->ends[i].health.target, emitter);
    return 0;
}

int lbdsr_health_events_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                struct pcn_emitter *emitter)
{
    const struct lbdsr *lbdsr = pcn_cube_state(cube);

    return pcn_health_emit_events(lbdsr->health, keys, n_keys, emitter);
}
