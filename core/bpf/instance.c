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

void instance_program_name(enum pcn_flavour flavour, enum pcn_direction direction, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "%s_%s", flavour_names[flavour], direction_names[direction]);
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
