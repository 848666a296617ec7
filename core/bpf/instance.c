/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <bpf/bpf.h>
#include <bpf/env.h>
#include <bpf/instance.h>
#include <bpf/libbpf.h>
#include <bpf/meta.h>
#include <bpf/object.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>

/* Map descriptors that all instances together keep open. */
#define HANDLES_MAX 1024

static const char *const flavour_names[PCN_FLAVOUR_MAX] = {"tc", "xdp"};
static const char *const direction_names[PCN_DIRECTION_MAX] = {"ingress", "egress"};

/* An open map, the least recently used of all is closed first. */
struct handle {
    TAILQ_ENTRY(handle) lru;
    LIST_ENTRY(handle) of_instance;
    char name[32];
    int fd;
};

struct memory {
    LIST_ENTRY(memory) of_instance;
    char name[32];
    void *address; /* of the colour's first line: see PCN_LINE_DATA */
    size_t size;
    void *start;
    size_t mapped;
};

struct pcn_instance {
    uint64_t serial;
    char directory[320];
    enum pcn_cube_type type;
    bool programs[PCN_FLAVOUR_MAX][PCN_DIRECTION_MAX];
    struct pcn_cube_data *data;
    uint32_t colour;
    LIST_HEAD(, handle) handles;
    LIST_HEAD(, memory) memories;
};

static TAILQ_HEAD(, handle) handles = TAILQ_HEAD_INITIALIZER(handles);
static unsigned int n_handles;
static uint64_t last_serial;

/* ---- pins ---- */

/* bpffs keeps names with dots for itself. */
static void pin_path(const struct pcn_instance *instance, const char *prefix, const char *name, char path[512])
{
    int n = snprintf(path, 512, "%s/%s_", instance->directory, prefix);

    (void)snprintf(path + n, 512 - (size_t)n, "%s", name);
    for (char *p = path + n; *p; p++) {
        if (*p == '.')
            *p = '_';
    }
}

static bool map_is_shared(const char *name)
{
    return pcn_streq(name, ".data.packets") || pcn_streq(name, "pcn_netdevs") || pcn_streq(name, "pcn_ring") ||
           pcn_streq(name, "pcn_logs");
}

static bool map_is_frozen(const char *name)
{
    return strncmp(name, ".rodata", 7) == 0;
}

/* Name libbpf gives a global section is cut short and prefixed: ".data.line.pcn" is what the source says. */
static const char *map_name(const struct bpf_map *map)
{
    const char *name = bpf_map__name(map), *dot = strchr(name, '.');

    return bpf_map__is_internal(map) && dot ? dot : name;
}

static int instance_pin(struct pcn_instance *instance, struct pcn_object *object, enum pcn_flavour flavour, bool first)
{
    struct bpf_program *program;
    struct bpf_map *map;
    char path[512], name[64];

    bpf_object__for_each_program(program, object->bpf)
    {
        if (!bpf_program__autoload(program))
            continue;
        (void)snprintf(name, sizeof(name), "%s_%s", flavour_names[flavour],
                       pcn_streq(bpf_program__name(program), "pcn_egress") ? "egress" : "ingress");
        pin_path(instance, "prog", name, path);
        if (bpf_obj_pin(bpf_program__fd(program), path) < 0)
            return pcn_log_error(-errno, "cannot pin %s", path);
    }
    bpf_object__for_each_map(map, object->bpf)
    {
        if (map_is_shared(map_name(map)) || map_is_frozen(map_name(map)))
            continue;
        if (pcn_streq(map_name(map), "pcn_hops"))
            (void)snprintf(name, sizeof(name), "hops_%s", flavour_names[flavour]);
        else if (first)
            (void)snprintf(name, sizeof(name), "%s", map_name(map));
        else
            continue;
        pin_path(instance, "map", name, path);
        if (bpf_obj_pin(bpf_map__fd(map), path) < 0)
            return pcn_log_error(-errno, "cannot pin %s", path);
    }
    return 0;
}

/* ---- load ---- */

static int object_share(struct pcn_object *object, const char *name, int fd)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, name);

    return map ? bpf_map__reuse_fd(map, fd) : 0;
}

uint32_t pcn_instance_colour(uint16_t cube)
{
    return cube % PCN_COLOURS;
}

static int object_prepare(struct pcn_bpf *bpf, const struct pcn_instance_spec *spec, struct pcn_object *object,
                          struct pcn_error *error)
{
    int r;

    r = object_share(object, ".data.packets", bpf->packets);
    if (r < 0)
        return r;
    r = object_share(object, "pcn_netdevs", bpf->netdevs);
    if (r < 0)
        return r;
    r = object_share(object, "pcn_ring", bpf->ring);
    if (r < 0)
        return r;
    r = object_share(object, "pcn_logs", bpf->logs);
    if (r < 0)
        return r;
    r = pcn_object_set(object, "pcn_identity", &spec->identity, sizeof(spec->identity));
    if (r < 0)
        return pcn_log_error(r, "the object has no pcn_identity of %zu bytes", sizeof(spec->identity));
    r = pcn_object_resize(object, "pcn_counters", pcn_cpus() * PCN_COUNTERS_STRIDE);
    if (r < 0 && r != -ENOENT)
        return r;
    return spec->configure ? spec->configure(object, spec->config, error) : 0;
}

/* The second flavour uses the maps of the first, but for its hops and what is frozen. */
static int object_reuse(struct pcn_object *object, const struct pcn_object *first)
{
    struct bpf_map *map;
    int r;

    bpf_object__for_each_map(map, object->bpf)
    {
        const char *name = map_name(map);
        struct bpf_map *other;

        if (map_is_shared(name) || map_is_frozen(name) || pcn_streq(name, "pcn_hops"))
            continue;
        other = bpf_object__find_map_by_name(first->bpf, name);
        if (!other)
            continue;
        r = bpf_map__reuse_fd(map, bpf_map__fd(other));
        if (r < 0)
            return r;
    }
    return 0;
}

static void object_select(struct pcn_instance *instance, struct pcn_object *object, enum pcn_flavour flavour)
{
    struct bpf_program *program;

    bpf_object__for_each_program(program, object->bpf)
    {
        bool egress = pcn_streq(bpf_program__name(program), "pcn_egress");
        bool wanted = flavour == PCN_FLAVOUR_XDP || instance->type == PCN_TYPE_TC || egress;

        bpf_program__set_autoload(program, wanted);
        if (wanted)
            instance->programs[flavour][egress ? PCN_EGRESS : PCN_INGRESS] = true;
    }
}

static int instance_load_flavour(struct pcn_bpf *bpf, struct pcn_instance *instance,
                                 const struct pcn_instance_spec *spec, enum pcn_flavour flavour,
                                 struct pcn_object *object, const struct pcn_object *first, struct pcn_error *error)
{
    const void *elf = flavour == PCN_FLAVOUR_XDP ? spec->xdp_object : spec->tc_object;
    size_t size = flavour == PCN_FLAVOUR_XDP ? spec->xdp_object_size : spec->tc_object_size;
    int r;

    r = pcn_object_open(object, "pcn", elf, size, pcn_instance_colour(spec->identity.cube));
    if (r < 0)
        return r;
    object_select(instance, object, flavour);
    r = object_prepare(bpf, spec, object, error);
    if (r < 0)
        return r;
    if (first) {
        r = object_reuse(object, first);
        if (r < 0)
            return r;
    }
    r = pcn_object_load(object, error);
    if (r < 0)
        return r;
    return instance_pin(instance, object, flavour, !first);
}

static int instance_describe(const struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                             const struct pcn_object *object)
{
    struct pcn_meta meta = {
        .abi_major = PCN_ABI_MAJOR, .abi_minor = PCN_ABI_MINOR, .layout_hash = pcn_meta_layout(object->bpf)};
    int r;

    (void)snprintf(meta.kind, sizeof(meta.kind), "%s", spec->kind ? spec->kind : "");
    (void)snprintf(meta.uuid, sizeof(meta.uuid), "%s", spec->uuid ? spec->uuid : "");
    meta.object_hash = pcn_meta_hash(0, spec->tc_object, spec->tc_object_size);
    if (spec->type != PCN_TYPE_TC)
        meta.object_hash = pcn_meta_hash(meta.object_hash, spec->xdp_object, spec->xdp_object_size);
    r = pcn_meta_pin(instance->directory, &meta);
    return r < 0 ? pcn_log_error(r, "cannot pin %s/meta: %s", instance->directory, strerror(-r)) : 0;
}

int pcn_instance_load(struct pcn_bpf *bpf, const struct pcn_instance_spec *spec, struct pcn_instance **ret_instance,
                      struct pcn_error *error)
{
    _cleanup_(pcn_object_done) struct pcn_object first = {}, second = {};
    _cleanup_(pcn_instance_freep) struct pcn_instance *instance = NULL;
    bool xdp = spec->type != PCN_TYPE_TC;
    void *data;
    size_t size;
    int r;

    instance = calloc(1, sizeof(*instance));
    if (!instance)
        return -ENOMEM;
    instance->serial = ++last_serial;
    instance->type = spec->type;
    instance->colour = pcn_instance_colour(spec->identity.cube);
    (void)snprintf(instance->directory, sizeof(instance->directory), "%s/%s", bpf->root, spec->slot);
    if (mkdir(instance->directory, 0700) < 0)
        return pcn_log_error(-errno, "cannot create %s", instance->directory);

    r = instance_load_flavour(bpf, instance, spec, xdp ? PCN_FLAVOUR_XDP : PCN_FLAVOUR_TC, &first, NULL, error);
    if (r < 0)
        return r;
    if (xdp) {
        r = instance_load_flavour(bpf, instance, spec, PCN_FLAVOUR_TC, &second, &first, error);
        if (r < 0)
            return r;
    }
    r = instance_describe(instance, spec, &first);
    if (r < 0)
        return r;
    r = pcn_instance_memory(instance, PCN_CUBE_DATA, &data, &size);
    if (r < 0)
        return r;
    instance->data = data;
    instance->data->counters_base = (uint16_t)(instance->colour * PCN_COUNTERS_PER_LINE);
    instance->data->loglevel = (uint8_t)spec->loglevel;
    *ret_instance = TAKE_PTR(instance);
    return 0;
}

static void handle_close(struct handle *handle)
{
    TAILQ_REMOVE(&handles, handle, lru);
    LIST_REMOVE(handle, of_instance);
    n_handles--;
    pcn_closep(&handle->fd);
    free(handle);
}

void pcn_instance_freep(struct pcn_instance **ptr)
{
    struct pcn_instance *instance = TAKE_PTR(*ptr);
    struct memory *memory;

    if (!instance)
        return;
    while (!LIST_EMPTY(&instance->handles))
        handle_close(LIST_FIRST(&instance->handles));
    while ((memory = LIST_FIRST(&instance->memories))) {
        LIST_REMOVE(memory, of_instance);
        (void)munmap(memory->start, memory->mapped);
        free(memory);
    }
    pcn_bpf_unpin(instance->directory);
    free(instance);
}

/* ---- use ---- */

struct pcn_cube_data *pcn_instance_data(const struct pcn_instance *instance)
{
    return instance->data;
}

struct pcn_hop *pcn_instance_hop(const struct pcn_instance *instance, size_t hop)
{
    return &instance->data->hops[hop];
}

int pcn_instance_counters(struct pcn_instance *instance, uint32_t index, struct pcn_port_counters *ret_counters)
{
    struct pcn_port_counters sum = {};
    void *memory;
    size_t size;
    int r;

    r = pcn_instance_memory(instance, "pcn_counters", &memory, &size);
    if (r < 0)
        return r;
    index += instance->data->counters_base;
    for (unsigned int cpu = 0; cpu < pcn_cpus(); cpu++) {
        const volatile struct pcn_port_counters *counters =
            (struct pcn_port_counters *)memory + cpu * PCN_COUNTERS_STRIDE + index;

        sum.packets += counters->packets;
        sum.bytes += counters->bytes;
    }
    *ret_counters = sum;
    return 0;
}

unsigned int pcn_cpus(void)
{
    static unsigned int cpus;

    if (!cpus)
        cpus = (unsigned int)libbpf_num_possible_cpus();
    return cpus;
}

enum pcn_cube_type pcn_instance_type(const struct pcn_instance *instance)
{
    return instance->type;
}

uint64_t pcn_instance_serial(const struct pcn_instance *instance)
{
    return instance->serial;
}

const char *pcn_instance_directory(const struct pcn_instance *instance)
{
    return instance->directory;
}

bool pcn_instance_has_program(const struct pcn_instance *instance, enum pcn_flavour flavour,
                              enum pcn_direction direction)
{
    return instance->programs[flavour][direction];
}

int pcn_instance_program(const struct pcn_instance *instance, enum pcn_flavour flavour, enum pcn_direction direction)
{
    char path[512], name[32];
    int fd;

    if (!instance->programs[flavour][direction])
        return -ENOENT;
    (void)snprintf(name, sizeof(name), "%s_%s", flavour_names[flavour], direction_names[direction]);
    pin_path(instance, "prog", name, path);
    fd = bpf_obj_get(path);
    return fd < 0 ? -errno : fd;
}

int pcn_instance_map(struct pcn_instance *instance, const char *name)
{
    _cleanup_free_ struct handle *handle = NULL;
    char path[512];

    LIST_FOREACH(handle, &instance->handles, of_instance)
    {
        if (pcn_streq(handle->name, name)) {
            TAILQ_REMOVE(&handles, handle, lru);
            TAILQ_INSERT_TAIL(&handles, handle, lru);
            return TAKE_PTR(handle)->fd;
        }
    }
    while (n_handles >= HANDLES_MAX)
        handle_close(TAILQ_FIRST(&handles));
    handle = calloc(1, sizeof(*handle));
    if (!handle)
        return -ENOMEM;
    if (strlen(name) >= sizeof(handle->name))
        return -ENOENT;
    (void)snprintf(handle->name, sizeof(handle->name), "%s", name);
    pin_path(instance, "map", name, path);
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

    LIST_FOREACH(memory, &instance->memories, of_instance)
    {
        if (pcn_streq(memory->name, name)) {
            *ret_memory = memory->address;
            *ret_size = memory->size;
            return 0;
        }
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
    if (strncmp(name, PCN_LINE_DATA, strlen(PCN_LINE_DATA)) == 0) {
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

static const char *const hop_arrays[PCN_FLAVOUR_MAX] = {"hops_tc", "hops_xdp"};

int pcn_instance_clear_slot(const struct pcn_bpf *bpf, struct pcn_instance *instance, uint32_t slot)
{
    for (int flavour = 0; flavour < PCN_FLAVOUR_MAX; flavour++) {
        int program = pcn_bpf_dropper(bpf, flavour), map = pcn_instance_map(instance, hop_arrays[flavour]);

        if (map == -ENOENT)
            continue;
        if (map < 0)
            return map;
        if (bpf_map_update_elem(map, &slot, &program, BPF_ANY) < 0)
            return -errno;
    }
    return 0;
}

int pcn_instance_set_slot(struct pcn_instance *instance, uint32_t slot, const struct pcn_instance *target,
                          enum pcn_direction direction)
{
    for (int flavour = 0; flavour < PCN_FLAVOUR_MAX; flavour++) {
        _cleanup_close_ int program = -1;
        int map;

        if (!target->programs[flavour][direction])
            continue;
        map = pcn_instance_map(instance, hop_arrays[flavour]);
        if (map == -ENOENT)
            continue;
        if (map < 0)
            return map;
        program = pcn_instance_program(target, (enum pcn_flavour)flavour, direction);
        if (program < 0)
            return program;
        if (bpf_map_update_elem(map, &slot, &program, BPF_ANY) < 0)
            return pcn_log_error(-errno, "cannot set slot %u of %s", slot, instance->directory);
    }
    return 0;
}
