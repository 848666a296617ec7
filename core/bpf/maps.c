/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of instances, opened by their pins when they are needed: descriptors of few, memory of those that are written in place. */
#include "instance_private.h"
#include <base/log.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <sys/mman.h>

/* Map descriptors that all instances together keep open. */
#define HANDLES_MAX 1024

static TAILQ_HEAD(, handle) handles = TAILQ_HEAD_INITIALIZER(handles);
static unsigned int n_handles;

static void handle_close(struct handle *handle)
{
    TAILQ_REMOVE(&handles, handle, lru);
    LIST_REMOVE(handle, of_instance);
    n_handles--;
    pcn_closep(&handle->fd);
    free(handle);
}

static void memory_free(struct memory *memory)
{
    LIST_REMOVE(memory, of_instance);
    (void)munmap(memory->start, memory->mapped);
    free(memory);
}

void instance_maps_done(struct pcn_instance *instance)
{
    while (!LIST_EMPTY(&instance->handles))
        handle_close(LIST_FIRST(&instance->handles));
    while (!LIST_EMPTY(&instance->memories))
        memory_free(LIST_FIRST(&instance->memories));
}

static struct handle *handle_of(const struct pcn_instance *instance, const char *name)
{
    struct handle *handle;

    LIST_FOREACH(handle, &instance->handles, of_instance)
    {
        if (pcn_streq(handle->name, name))
            return handle;
    }
    return NULL;
}

static struct memory *memory_of(const struct pcn_instance *instance, const char *name)
{
    struct memory *memory;

    LIST_FOREACH(memory, &instance->memories, of_instance)
    {
        if (pcn_streq(memory->name, name))
            return memory;
    }
    return NULL;
}

void instance_map_forget(struct pcn_instance *instance, const char *name)
{
    struct handle *handle = handle_of(instance, name);
    struct memory *memory = memory_of(instance, name);

    if (handle)
        handle_close(handle);
    if (memory)
        memory_free(memory);
}

void instance_map_rename(struct pcn_instance *instance, const char *from, const char *to)
{
    struct handle *handle = handle_of(instance, from);
    struct memory *memory = memory_of(instance, from);

    if (handle)
        (void)snprintf(handle->name, sizeof(handle->name), "%s", to);
    if (memory)
        (void)snprintf(memory->name, sizeof(memory->name), "%s", to);
}

int pcn_instance_map(struct pcn_instance *instance, const char *name)
{
    _cleanup_free_ struct handle *handle = NULL;
    char path[512];

    handle = handle_of(instance, name);
    if (handle) {
        TAILQ_REMOVE(&handles, handle, lru);
        TAILQ_INSERT_TAIL(&handles, handle, lru);
        return TAKE_PTR(handle)->fd;
    }
    while (n_handles >= HANDLES_MAX)
        handle_close(TAILQ_FIRST(&handles));
    handle = calloc(1, sizeof(*handle));
    if (!handle)
        return -ENOMEM;
    if (strlen(name) >= sizeof(handle->name))
        return -ENOENT;
    (void)snprintf(handle->name, sizeof(handle->name), "%s", name);
    instance_pin_path(instance, "map", name, "", path);
    handle->fd = bpf_obj_get(path);
    if (handle->fd < 0)
        return -errno;
    TAILQ_INSERT_TAIL(&handles, handle, lru);
    LIST_INSERT_HEAD(&instance->handles, handle, of_instance);
    n_handles++;
    return TAKE_PTR(handle)->fd;
}

int pcn_instance_memory(struct pcn_instance *instance, const char *name, void **ret_memory, size_t *ret_size)
{
    struct bpf_map_info info = {};
    uint32_t info_size = sizeof(info);
    struct memory *memory;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size;
    void *address;
    int fd;

    memory = memory_of(instance, name);
    if (memory) {
        *ret_memory = memory->address;
        *ret_size = memory->size;
        return 0;
    }
    fd = pcn_instance_map(instance, name);
    if (fd < 0)
        return fd;
    if (bpf_obj_get_info_by_fd(fd, &info, &info_size) < 0)
        return -errno;
    if (info.type != BPF_MAP_TYPE_ARRAY || !(info.map_flags & BPF_F_MMAPABLE))
        return -EINVAL;
    size = (size_t)((info.value_size + 7) & ~7u) * info.max_entries;
    memory = calloc(1, sizeof(*memory));
    if (!memory)
        return -ENOMEM;
    memory->mapped = (size + page - 1) / page * page;
    address = mmap(NULL, memory->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        free(memory);
        return -errno;
    }
    (void)snprintf(memory->name, sizeof(memory->name), "%s", name);
    memory->start = address;
    if (pcn_object_is_line_data(name)) {
        address = (char *)address + instance->colour * PCN_COLOUR_BYTES;
        size -= PCN_LINE_SLACK;
    }
    memory->address = address;
    memory->size = size;
    LIST_INSERT_HEAD(&instance->memories, memory, of_instance);
    *ret_memory = address;
    *ret_size = size;
    return 0;
}
