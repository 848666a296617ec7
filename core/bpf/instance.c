/* SPDX-License-Identifier: Apache-2.0 */
#include "instance_private.h"
#include <base/log.h>
#include <bpf/bpf.h>
#include <bpf/env.h>
#include <bpf/meta.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *const flavour_names[PCN_FLAVOUR_MAX] = {"tc", "xdp"};
static const char *const direction_names[PCN_DIRECTION_MAX] = {"ingress", "egress"};
const char *const instance_hop_arrays[PCN_FLAVOUR_MAX] = {"hops_tc", "hops_xdp"};

static uint64_t last_serial;

/* ---- pins ---- */

/* bpffs keeps names with dots for itself. */
void instance_pin_path(const struct pcn_instance *instance, const char *prefix, const char *name, const char *suffix,
                       char ret_path[512])
{
    int n = snprintf(ret_path, 512, "%s/%s_", instance->directory, prefix);

    (void)snprintf(ret_path + n, 512 - (size_t)n, "%s%s", name, suffix);
    for (char *p = ret_path + n; *p; p++) {
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

static enum pcn_direction program_direction(const struct bpf_program *program)
{
    return pcn_streq(bpf_program__name(program), "pcn_egress") ? PCN_EGRESS : PCN_INGRESS;
}

void instance_program_name(enum pcn_flavour flavour, enum pcn_direction direction, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "%s_%s", flavour_names[flavour], direction_names[direction]);
}

/* What it is pinned by, or NULL: it is the daemon's, or goes with the program. */
static const char *map_own_name(const struct bpf_map *map, enum pcn_flavour flavour)
{
    const char *name = map_name(map);

    if (map_is_shared(name) || map_is_frozen(name))
        return NULL;
    return pcn_streq(name, "pcn_hops") ? instance_hop_arrays[flavour] : name;
}

static bool instance_is_fresh(const struct pcn_instance *instance, const char *name)
{
    for (size_t i = 0; i < instance->n_fresh; i++) {
        if (pcn_streq(instance->fresh[i], name))
            return true;
    }
    return false;
}

/* Its programs, and the maps it has not from elsewhere. */
static int instance_pin(const struct pcn_instance *instance, const struct pcn_object *object, enum pcn_flavour flavour,
                        const char *suffix)
{
    struct bpf_program *program;
    struct bpf_map *map;
    char path[512], name[32];

    bpf_object__for_each_program(program, object->bpf)
    {
        if (!bpf_program__autoload(program))
            continue;
        instance_program_name(flavour, program_direction(program), name);
        instance_pin_path(instance, "prog", name, suffix, path);
        if (bpf_obj_pin(bpf_program__fd(program), path) < 0)
            return pcn_log_error(-errno, "cannot pin %s", path);
    }
    bpf_object__for_each_map(map, object->bpf)
    {
        const char *own = map_own_name(map, flavour);

        if (!own || !instance_is_fresh(instance, own))
            continue;
        instance_pin_path(instance, "map", own, suffix, path);
        /* The second flavour has it from the first. */
        if (bpf_obj_pin(bpf_map__fd(map), path) < 0 && errno != EEXIST)
            return pcn_log_error(-errno, "cannot pin %s", path);
    }
    return 0;
}

/* ---- load ---- */

uint32_t pcn_instance_colour(uint16_t cube)
{
    return cube % PCN_COLOURS;
}

static int object_prepare(struct pcn_bpf *bpf, const struct pcn_instance_spec *spec, struct pcn_object *object,
                          struct pcn_error *error)
{
    int r;

    r = pcn_object_share(object, ".data.packets", bpf->packets);
    if (r < 0)
        return r;
    r = pcn_object_share(object, "pcn_netdevs", bpf->netdevs);
    if (r < 0)
        return r;
    r = pcn_object_share(object, "pcn_ring", bpf->ring);
    if (r < 0)
        return r;
    r = pcn_object_share(object, "pcn_logs", bpf->logs);
    if (r < 0)
        return r;
    r = pcn_object_share(object, PCN_SHARED_DATA, bpf->shared);
    if (r < 0)
        return r;
    r = pcn_object_set(object, "pcn_identity", &spec->identity, sizeof(spec->identity));
    if (r < 0)
        return pcn_log_error(r, "the object has no pcn_identity of %zu bytes", sizeof(spec->identity));
    r = pcn_object_trim(object, PCN_COUNTERS_DATA, PCN_COUNTERS_SIZE(pcn_cpus()));
    if (r < 0 && r != -ENOENT)
        return r;
    return spec->configure ? spec->configure(object, spec->data, error) : 0;
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

/* The maps that the instance has already and that are to be as they are. The others are fresh. */
static int object_adopt(struct pcn_instance *instance, const struct pcn_object *object, enum pcn_flavour flavour)
{
    struct bpf_map *map;
    int r;

    bpf_object__for_each_map(map, object->bpf)
    {
        const char *name = map_own_name(map, flavour);
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);
        int fd;

        if (!name || instance_is_fresh(instance, name))
            continue;
        fd = instance->loaded ? pcn_instance_map(instance, name) : -ENOENT;
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
            return -errno;
        if (fd >= 0 && !pcn_object_renews(object, map) && info.max_entries == bpf_map__max_entries(map) &&
            info.value_size == pcn_object_value_size(object, map)) {
            r = bpf_map__reuse_fd(map, fd);
            if (r < 0)
                return r;
            continue;
        }
        if (instance->n_fresh == PCN_ARRAY_SIZE(instance->fresh))
            return -E2BIG;
        (void)snprintf(instance->fresh[instance->n_fresh++], sizeof(instance->fresh[0]), "%s", name);
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

int instance_load_flavour(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                          enum pcn_flavour flavour, struct pcn_object *object, const struct pcn_object *first,
                          struct pcn_error *error)
{
    const void *elf = flavour == PCN_FLAVOUR_XDP ? spec->xdp_object : spec->tc_object;
    size_t size = flavour == PCN_FLAVOUR_XDP ? spec->xdp_object_size : spec->tc_object_size;
    int r;

    r = pcn_object_open(object, "pcn", elf, size, pcn_instance_colour(spec->identity.cube));
    if (r < 0)
        return r;
    object_select(instance, object, flavour);
    r = object_prepare(bpf, spec, object, error);
    if (r >= 0)
        r = object_adopt(instance, object, flavour);
    if (r >= 0 && first)
        r = object_reuse(object, first);
    return r < 0 ? r : pcn_object_load(object, error);
}

/* All flavours that the type needs, pinned with the suffix. */
int instance_load_all(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                      const char *suffix, struct pcn_object *ret_first, struct pcn_error *error)
{
    enum pcn_flavour flavour = spec->type != PCN_TYPE_TC ? PCN_FLAVOUR_XDP : PCN_FLAVOUR_TC;
    _cleanup_(pcn_object_done) struct pcn_object second = {};
    int r;

    r = instance_load_flavour(bpf, instance, spec, flavour, ret_first, NULL, error);
    if (r >= 0)
        r = instance_pin(instance, ret_first, flavour, suffix);
    if (r < 0 || flavour == PCN_FLAVOUR_TC)
        return r;
    r = instance_load_flavour(bpf, instance, spec, PCN_FLAVOUR_TC, &second, ret_first, error);
    return r < 0 ? r : instance_pin(instance, &second, PCN_FLAVOUR_TC, suffix);
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
    _cleanup_(pcn_object_done) struct pcn_object first = {};
    _cleanup_(pcn_instance_freep) struct pcn_instance *instance = NULL;
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

    r = instance_load_all(bpf, instance, spec, "", &first, error);
    if (r < 0)
        return r;
    instance->n_fresh = 0;
    instance->loaded = true;
    r = instance_describe(instance, spec, &first);
    if (r < 0)
        return r;
    r = pcn_instance_memory(instance, PCN_CUBE_DATA, &data, &size);
    if (r < 0)
        return r;
    instance->data = data;
    instance->data->loglevel = (uint8_t)spec->loglevel;
    *ret_instance = TAKE_PTR(instance);
    return 0;
}

void pcn_instance_freep(struct pcn_instance **ptr)
{
    struct pcn_instance *instance = TAKE_PTR(*ptr);

    if (!instance)
        return;
    instance_maps_done(instance);
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

    r = pcn_instance_memory(instance, PCN_COUNTERS_DATA, &memory, &size);
    if (r < 0)
        return r;
    for (unsigned int cpu = 0; cpu < pcn_cpus(); cpu++) {
        const volatile struct pcn_port_counters *counters =
            (struct pcn_port_counters *)memory + cpu * PCN_PORTS_MAX + index;

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
    instance_program_name(flavour, direction, name);
    instance_pin_path(instance, "prog", name, "", path);
    fd = bpf_obj_get(path);
    return fd < 0 ? -errno : fd;
}

int pcn_instance_clear_slot(const struct pcn_bpf *bpf, struct pcn_instance *instance, uint32_t slot)
{
    for (int flavour = 0; flavour < PCN_FLAVOUR_MAX; flavour++) {
        int program = pcn_bpf_dropper(bpf, flavour), map = pcn_instance_map(instance, instance_hop_arrays[flavour]);

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
        map = pcn_instance_map(instance, instance_hop_arrays[flavour]);
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
