/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that a service allows, and ids of its backends in connection ids of QUIC: in maps, by number of the vip. */
#include "lbdsr.h"
#include "lbdsr_model.h"
#include <stdio.h>

int lbdsr_rules_copy(const struct lbdsr_group *before, struct lbdsr_group *next)
{
    next->allows = NULL;
    next->n_allows = 0;
    if (!before || !before->n_allows)
        return 0;
    next->allows = malloc(before->n_allows * sizeof(*next->allows));
    if (!next->allows)
        return -ENOMEM;
    memcpy(next->allows, before->allows, before->n_allows * sizeof(*next->allows));
    next->n_allows = before->n_allows;
    return 0;
}

/* ---- what goes together ---- */

static int servers_compare(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;

    return *left < *right ? -1 : *left > *right;
}

static int servers_check(const struct lbdsr_group *service, const char *path, struct pcn_error *error)
{
    _cleanup_free_ uint32_t *servers = calloc(service->n_ends + 1, sizeof(*servers));
    size_t n = 0;

    if (!servers)
        return -ENOMEM;
    for (size_t i = 0; i < service->n_ends; i++)
        if (service->ends[i].has_server)
            servers[n++] = service->ends[i].server;
    qsort(servers, n, sizeof(*servers), servers_compare);
    for (size_t i = 1; i < n; i++)
        if (servers[i] == servers[i - 1])
            return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, path, "two backends have server-id %u", servers[i]);
    return 0;
}

int lbdsr_rules_check(const struct lbdsr_group *service, const char *path, struct pcn_error *error)
{
    if (service->has_quic && service->key.protocol != IPPROTO_UDP)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "quic-config is for services of UDP");
    for (size_t i = 0; i < service->n_allows; i++)
        if (service->allows[i].version != service->key.version)
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                                 "allow has a prefix that is not IPv%u, as the vip is", service->key.version);
    return service->has_quic ? servers_check(service, path, error) : 0;
}

/* ---- the maps ---- */

static struct lbdsr_allowed_key allowed_key(uint32_t vip, const struct lbdsr_prefix *prefix)
{
    return (struct lbdsr_allowed_key){.bits = 32 + prefix->length, .vip = vip, .address = prefix->address};
}

static bool allows_has(const struct lbdsr_group *service, const struct lbdsr_prefix *prefix)
{
    for (size_t i = 0; service && i < service->n_allows; i++)
        if (memcmp(&service->allows[i], prefix, sizeof(*prefix)) == 0)
            return true;
    return false;
}

/* Connections of a backend that is down are spread as if their ids were nobody's. */
static bool has_server(const struct lbdsr_end *end)
{
    return end->has_server && !end->health.out;
}

static bool servers_has(const struct lbdsr_group *service, uint16_t server)
{
    for (size_t i = 0; service && i < service->n_ends; i++)
        if (has_server(&service->ends[i]) && service->ends[i].server == server)
            return true;
    return false;
}

/* What before had, and next has not; NULL: nothing. */
static void rules_remove(struct pcn_cube *cube, const struct lbdsr_group *before, const struct lbdsr_group *next)
{
    for (size_t i = 0; i < before->n_allows; i++) {
        const struct lbdsr_allowed_key key = allowed_key(before->vip, &before->allows[i]);

        if (!allows_has(next, &before->allows[i]))
            (void)pcn_map_delete(cube, "lbdsr_allowed", &key);
    }
    for (size_t i = 0; i < before->n_ends; i++) {
        const struct lbdsr_server_key key = {.vip = before->vip, .server = before->ends[i].server};

        if (before->ends[i].has_server && !servers_has(next, before->ends[i].server))
            (void)pcn_map_delete(cube, "lbdsr_servers", &key);
    }
}

void lbdsr_rules_publish(struct pcn_cube *cube, const struct lbdsr_group *service, const struct lbdsr_group *before)
{
    uint8_t value = 1;
    int r = 0;

    for (size_t i = 0; i < service->n_allows && r >= 0; i++) {
        const struct lbdsr_allowed_key key = allowed_key(service->vip, &service->allows[i]);

        if (!allows_has(before, &service->allows[i]))
            r = pcn_map_set(cube, "lbdsr_allowed", &key, &value);
    }
    for (size_t i = 0; i < service->n_ends && r >= 0; i++) {
        const struct lbdsr_server_key key = {.vip = service->vip, .server = service->ends[i].server};

        if (has_server(&service->ends[i]))
            r = pcn_map_set(cube, "lbdsr_servers", &key, &service->ends[i].number);
    }
    if (r < 0)
        pcn_cube_log(cube, PCN_LOG_ERR, "prefixes or server ids of a service are not in force: %s", strerror(-r));
    if (before)
        rules_remove(cube, before, service);
}

void lbdsr_rules_withdraw(struct pcn_cube *cube, const struct lbdsr_group *service)
{
    rules_remove(cube, service, NULL);
}
