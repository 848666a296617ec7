/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <daemon/daemon.h>
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>

static int kind_check(const struct pcn_cube_kind *kind, const char *path, struct pcn_error *error)
{
    if (kind->abi_major != PCN_ABI_MAJOR)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "uri", "%s is built for ABI %u, this daemon has ABI %u",
                             path, kind->abi_major, PCN_ABI_MAJOR);
    if (kind->size < sizeof(*kind) || !kind->name || !kind->yang || !kind->tc_object || !kind->xdp_object)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "uri",
                             "%s: its pcn_cube_kind lacks a name, a model or an object", path);
    if (kind->n_reasons > PCN_DROP_REASONS_MAX - PCN_DROP_KIND_FIRST)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "uri", "%s has %zu drop reasons, at most %d are allowed",
                             path, kind->n_reasons, PCN_DROP_REASONS_MAX - PCN_DROP_KIND_FIRST);
    return 0;
}

static void service_free(struct pcn_service *service)
{
    pcn_schema_freep(&service->schema);
    if (service->library)
        (void)dlclose(service->library);
    free(service->path);
    free(service);
}

static int service_open(struct pcn_service *service, const char *path, struct pcn_error *error)
{
    const char *slash;
    char directory[PATH_MAX];
    int r;

    service->path = strdup(path);
    if (!service->path)
        return -ENOMEM;
    service->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!service->library)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "uri", "cannot load %s: %s", path, dlerror());
    service->kind = dlsym(service->library, "pcn_cube_kind");
    if (!service->kind)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "uri", "%s exports no pcn_cube_kind", path);
    r = kind_check(service->kind, path, error);
    if (r < 0)
        return r;
    slash = strrchr(path, '/');
    (void)snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return pcn_schema_new(service->kind, directory, &service->schema, error);
}

int pcn_service_load(struct pcn_daemon *daemon, const char *uri, const char *name, struct pcn_error *error)
{
    struct pcn_service *service;
    char path[PATH_MAX];
    int r;

    if (strchr(uri, '/'))
        (void)snprintf(path, sizeof(path), "%s", uri);
    else
        (void)snprintf(path, sizeof(path), "%s/%s", daemon->options.cubesdir, uri);
    service = calloc(1, sizeof(*service));
    if (!service)
        return -ENOMEM;
    r = service_open(service, path, error);
    if (r >= 0 && name && !pcn_streq(name, service->kind->name))
        r = pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "name", "%s is service %s, not %s", path, service->kind->name,
                          name);
    if (r >= 0 && (pcn_service_find(daemon, service->kind->name) || pcn_chain_cube(daemon->chain, service->kind->name)))
        r = pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "name", "the name %s is in use by a service or a cube",
                          service->kind->name);
    if (r < 0) {
        service_free(service);
        return r;
    }
    HASH_ADD_KEYPTR(hh, daemon->services, service->kind->name, strlen(service->kind->name), service);
    pcn_generation_next(NULL);
    return 0;
}

static int service_compare(const struct pcn_service *a, const struct pcn_service *b)
{
    return strcmp(a->kind->name, b->kind->name);
}

void pcn_service_load_all(struct pcn_daemon *daemon)
{
    DIR *dir = opendir(daemon->options.cubesdir);
    struct dirent *entry;

    if (!dir) {
        pcn_log_err("cannot read the cubes' directory %s: %s", daemon->options.cubesdir, strerror(errno));
        return;
    }
    while ((entry = readdir(dir))) {
        size_t length = strlen(entry->d_name);
        struct pcn_error error = {};

        if (strncmp(entry->d_name, "libpcn-", 7) != 0 || length < 10 || !pcn_streq(entry->d_name + length - 3, ".so"))
            continue;
        if (pcn_service_load(daemon, entry->d_name, NULL, &error) < 0)
            pcn_log_err("service not loaded: %s", error.message);
    }
    (void)closedir(dir);
    HASH_SORT(daemon->services, service_compare);
    pcn_log_info("%u services loaded from %s", HASH_COUNT(daemon->services), daemon->options.cubesdir);
}

int pcn_service_unload(struct pcn_daemon *daemon, const char *name, struct pcn_error *error)
{
    struct pcn_service *service = pcn_service_find(daemon, name);

    if (!service)
        return pcn_error_set(error, PCN_ERROR_DATA_MISSING, "name", "there is no service %s", name);
    if (service->cubes)
        return pcn_error_set(error, PCN_ERROR_IN_USE, "name", "service %s has %u cubes: delete them first", name,
                             service->cubes);
    HASH_DEL(daemon->services, service);
    service_free(service);
    pcn_generation_next(NULL);
    return 0;
}

void pcn_service_unload_all(struct pcn_daemon *daemon)
{
    struct pcn_service *service, *next;

    HASH_ITER(hh, daemon->services, service, next)
    {
        HASH_DEL(daemon->services, service);
        service_free(service);
    }
}

struct pcn_service *pcn_service_find(const struct pcn_daemon *daemon, const char *name)
{
    struct pcn_service *service;

    HASH_FIND_STR(daemon->services, name, service);
    return service;
}
