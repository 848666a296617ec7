/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that are down leave their service's table, and come back. The table is computed on the worker thread, one
 * service at a time, so that many backends that go at once do not hold up the management thread; it is thrown away if
 * the service was configured anew meanwhile, which looks at the backends' health itself.
 */
#include "lbrp.h"
#include "lbrp_model.h"
#include <arpa/inet.h>
#include <stdio.h>

struct lbrp_job {
    struct lbrp *lbrp;
    struct lbrp_group service; /* a copy, its ends too */
    uint32_t size;
    int r;
};

/* ---- who is out ---- */

static struct pcn_health_ends ends_of(const struct lbrp_group *service)
{
    return PCN_HEALTH_ENDS(service->ends, service->n_ends, health);
}

static bool is_stale(const struct lbrp_group *service)
{
    return pcn_health_ends_differ(service->check, ends_of(service));
}

int lbrp_health_prepare(struct lbrp_group *service, const char *path, struct pcn_error *error)
{
    uint16_t port = service->key.port;

    pcn_health_ends_mark(service->check, ends_of(service));
    if (service->gone)
        return 0;
    /* It is enough that each backend has one. */
    for (size_t i = 0; i < service->n_ends && !service->key.port; i++) {
        port = service->ends[i].port;
        if (!port)
            break;
    }
    return pcn_health_check_validate(service->check, port, path, error);
}

/* ---- tables ---- */

static void job_freep(struct lbrp_job **ptr)
{
    struct lbrp_job *job = TAKE_PTR(*ptr);

    if (!job)
        return;
    free(job->service.ends);
    free(job->service.table);
    free(job);
}

static int job_new(struct lbrp *lbrp, const struct lbrp_group *service, struct lbrp_job **ret_job)
{
    _cleanup_(job_freep) struct lbrp_job *job = calloc(1, sizeof(*job));

    if (!job)
        return -ENOMEM;
    *job = (struct lbrp_job){.lbrp = lbrp, .service = *service, .size = lbrp->tables.sizes.size};
    job->service.table = NULL;
    job->service.ends = malloc(service->n_ends * sizeof(*service->ends));
    if (!job->service.ends)
        return -ENOMEM;
    memcpy(job->service.ends, service->ends, service->n_ends * sizeof(*service->ends));
    pcn_health_ends_mark(service->check, ends_of(&job->service));
    *ret_job = TAKE_PTR(job);
    return 0;
}

static void job_work(void *data)
{
    struct lbrp_job *job = data;

    job->r = lbrp_spread(&job->service, job->size);
}

/* Backends of the service that have just gone out, by number; false: there are none. */
static bool leaving_mark(const struct lbrp_group *service, uint64_t *numbers)
{
    bool any = false;

    for (size_t i = 0; i < service->n_ends; i++) {
        const struct lbrp_end *end = &service->ends[i];

        if (!end->health.leaves || !end->number)
            continue;
        numbers[end->number / 64] |= 1ull << end->number % 64;
        any = true;
    }
    return any;
}

/*
 * Nothing tells a client of UDP that its server is gone, and each packet that it sends keeps its session alive: so that is
 * over, and the next packet begins one with another backend. Of TCP it stays, for a backend that comes back.
 */
static void sessions_leave(struct lbrp *lbrp, const struct lbrp_group *service)
{
    struct pcn_flows *flows = &lbrp->flows;
    uint64_t numbers[(UINT16_MAX + 1) / 64] = {};
    uint64_t now = pcn_clock_jiffies();
    struct pcn_flow flow;
    uint32_t n = 0;

    if ((service->key.kind != IPPROTO_UDP && service->key.kind != LBRP_ALL) || !leaving_mark(service, numbers))
        return;
    for (uint32_t slot = 0; slot < flows->n_numbers; slot++) {
        uint32_t number = ((const struct lbrp_session *)pcn_flows_own(flows, slot))->state & 0xffff;

        if (numbers[number / 64] >> number % 64 & 1 && pcn_flows_get(flows, slot, now, &flow) &&
            (flow.key.words[4] >> PCN_CT_PROTOCOL_SHIFT & 0xff) == IPPROTO_UDP)
            n += pcn_flows_remove(flows, &flow);
    }
    if (n)
        pcn_cube_log(lbrp->cube, PCN_LOG_INFO, "%u sessions of UDP with backends that went down are over", n);
}

static void tables_follow(struct lbrp *lbrp);

static void job_done(void *data)
{
    _cleanup_(job_freep) struct lbrp_job *job = data;
    struct lbrp *lbrp = job->lbrp;
    struct lbrp_group *service = (struct lbrp_group *)lbrp_service_find(&lbrp->services, &job->service.key);

    lbrp->job = NULL;
    if (job->r < 0)
        pcn_cube_log(lbrp->cube, PCN_LOG_ERR, "places are not given away anew: %s", strerror(-job->r));
    else if (service && service->generation == job->service.generation) {
        free(service->ends);
        service->ends = TAKE_PTR(job->service.ends);
        service->table = TAKE_PTR(job->service.table);
        service->n_table = job->service.n_table;
        lbrp_tables_publish(&lbrp->tables, service, service, &lbrp->settings);
        pcn_freep(&service->table);
        sessions_leave(lbrp, service);
        /* Somebody may have changed meanwhile. */
        service->stale = is_stale(service);
    }
    tables_follow(lbrp);
}

static void stale_find(struct lbrp_group *service, void *data)
{
    struct lbrp_group **found = data;

    if (service->stale && !*found)
        *found = service;
}

/* The next service whose places are not what they should be. */
static void tables_follow(struct lbrp *lbrp)
{
    struct lbrp_group *service = NULL;
    int r;

    if (lbrp->job)
        return;
    lbrp_config_visit(lbrp, stale_find, &service);
    if (!service)
        return;
    service->stale = false;
    r = job_new(lbrp, service, &lbrp->job);
    if (r >= 0)
        r = pcn_health_set_work(lbrp->health, job_work, job_done, lbrp->job);
    if (r < 0) {
        job_freep(&lbrp->job);
        pcn_cube_log(lbrp->cube, PCN_LOG_ERR, "places are not given away anew: %s", strerror(-r));
    }
}

static void stale_mark(struct lbrp_group *service, void *data)
{
    service->stale = service->stale || is_stale(service);
}

static void changed(void *data)
{
    struct lbrp *lbrp = data;

    lbrp_config_visit(lbrp, stale_mark, NULL);
    tables_follow(lbrp);
}

int lbrp_health_open(struct lbrp *lbrp)
{
    const struct pcn_health_calls calls = {.changed = changed, .data = lbrp};

    return pcn_health_set_new(lbrp->cube, &calls, &lbrp->health);
}

void lbrp_health_close(struct lbrp *lbrp)
{
    pcn_health_set_freep(&lbrp->health);
    job_freep(&lbrp->job);
}

/* ---- what is checked ---- */

static void describe(const void *data, size_t i, struct pcn_health_target *ret_target)
{
    const struct lbrp_group *service = data;
    const struct lbrp_end *end = &service->ends[i];
    int family = service->key.version == 4 ? AF_INET : AF_INET6;
    const char *kind = service->key.kind == IPPROTO_TCP   ? "TCP"
                       : service->key.kind == IPPROTO_UDP ? "UDP"
                       : service->key.kind == LBRP_ALL    ? "ALL"
                                                          : "ICMP";
    char vip[INET6_ADDRSTRLEN] = "";

    ret_target->version = service->key.version;
    ret_target->address = end->address;
    ret_target->port = end->port ? end->port : service->key.port;
    (void)inet_ntop(family, &service->key.address, vip, sizeof(vip));
    (void)inet_ntop(family, &end->address, ret_target->backend, sizeof(ret_target->backend));
    (void)snprintf(ret_target->service, sizeof(ret_target->service), "%s %u %s", vip, service->key.port, kind);
}

void lbrp_health_follow(struct lbrp *lbrp, struct lbrp_group *service, struct lbrp_group *before)
{
    const struct pcn_health_ends none = {};
    int r = pcn_health_ends_follow(lbrp->health, service->check, ends_of(service), before ? ends_of(before) : none,
                                   describe, service);

    if (r < 0)
        pcn_cube_log(lbrp->cube, PCN_LOG_ERR, "not all backends are checked as they should be: %s", strerror(-r));
    /* What the worker is at may be about what it was before. */
    service->stale = is_stale(service);
}

void lbrp_health_forget(struct lbrp_group *service, void *data)
{
    pcn_health_ends_forget(ends_of(service));
}

/* ---- handlers ---- */

static int check_prepare(struct pcn_cube *cube, const struct pcn_change *change, const char *unit)
{
    struct lbrp_group *service = lbrp_config_edit(pcn_cube_state(cube), change->keys);

    if (!service)
        return -ENOMEM;
    return pcn_health_check_read(&service->check, unit, change->after);
}

int lbrp_service_health_check_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "health-check");
}

int lbrp_service_health_check_http_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "http");
}

int lbrp_service_health_check_udp_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "udp");
}

int lbrp_service_health_check_script_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return check_prepare(cube, change, "script");
}

int lbrp_service_backend_health_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                      struct pcn_emitter *emitter)
{
    const struct lbrp *lbrp = pcn_cube_state(cube);
    const struct lbrp_key key = lbrp_key_of(keys);
    const struct lbrp_group *service = lbrp_service_find(&lbrp->services, &key);
    const struct lbrp_end *end;
    union pcn_address address;

    (void)lbrp_address_parse(keys[3], &address);
    end = service ? lbrp_end_find(service, &address) : NULL;
    if (end)
        pcn_health_emit(end->health.target, emitter);
    return 0;
}

int lbrp_health_events_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                               struct pcn_emitter *emitter)
{
    const struct lbrp *lbrp = pcn_cube_state(cube);

    return pcn_health_emit_events(lbrp->health, keys, n_keys, emitter);
}
