/* SPDX-License-Identifier: Apache-2.0 */
/* From the object of a kind to the programs and maps of an instance, pinned. */
#include "instance_private.h"
#include <base/log.h>
#include <bpf/bpf.h>
#include <bpf/env.h>
#include <pthread.h>

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
    return strncmp(bpf_program__name(program), "pcn_egress", strlen("pcn_egress")) == 0 ? PCN_EGRESS : PCN_INGRESS;
}

static bool program_is_light(const struct bpf_program *program)
{
    return strstr(bpf_program__name(program), PCN_LIGHT);
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
static int instance_pin(struct pcn_instance *instance, const struct pcn_object *object, enum pcn_flavour flavour,
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
        instance->next[flavour][program_direction(program)] = instance->loaded;
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

/* ---- an object ---- */

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

/* The second flavour uses the maps of the first, but for its hops and what is frozen; hops: those, too. */
static int object_reuse(struct pcn_object *object, const struct pcn_object *first, bool hops)
{
    struct bpf_map *map;
    int r;

    bpf_object__for_each_map(map, object->bpf)
    {
        const char *name = map_name(map);
        struct bpf_map *other;

        if (map_is_shared(name) || map_is_frozen(name) || (!hops && pcn_streq(name, "pcn_hops")))
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
            info.value_size == bpf_map__value_size(map)) {
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

static bool program_is_wanted(const struct pcn_instance *instance, const struct bpf_program *program,
                              enum pcn_flavour flavour)
{
    return flavour == PCN_FLAVOUR_XDP || instance->type == PCN_TYPE_TC || program_direction(program) == PCN_EGRESS;
}

static void object_select(const struct pcn_instance *instance, const struct pcn_object *object,
                          enum pcn_flavour flavour)
{
    struct bpf_program *program;

    bpf_object__for_each_program(program, object->bpf)
        bpf_program__set_autoload(program, program_is_wanted(instance, program, flavour) && !program_is_light(program));
}

static int object_open(struct pcn_bpf *bpf, const struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                       enum pcn_flavour flavour, struct pcn_object *object, struct pcn_error *error)
{
    const void *elf = flavour == PCN_FLAVOUR_XDP ? spec->xdp_object : spec->tc_object;
    size_t size = flavour == PCN_FLAVOUR_XDP ? spec->xdp_object_size : spec->tc_object_size;
    int r;

    r = pcn_object_open(object, "pcn", elf, size, pcn_instance_colour(spec->identity.cube));
    if (r < 0)
        return r;
    object_select(instance, object, flavour);
    return object_prepare(bpf, spec, object, error);
}

int instance_load_flavour(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                          enum pcn_flavour flavour, struct pcn_object *object, const struct pcn_object *first,
                          struct pcn_error *error)
{
    int r;

    r = object_open(bpf, instance, spec, flavour, object, error);
    if (r >= 0)
        r = object_adopt(instance, object, flavour);
    if (r >= 0 && first)
        r = object_reuse(object, first, false);
    return r < 0 ? r : pcn_object_load(object, error);
}

/* ---- all of them ---- */

/*
 * The verifier takes most of the time: programs of some size have it look at them side by side. The maps are made
 * first; then each program is loaded from an object of its own.
 */
#define SPLIT_INSNS 4000u
#define LOADS_MAX (PCN_FLAVOUR_MAX * PCN_DIRECTION_MAX)

struct loads;

struct load {
    enum pcn_flavour flavour;
    struct pcn_object object;
    size_t n_insns;
    struct pcn_error error;
    int r;
};

typedef int (*load_step_t)(const struct loads *loads, struct load *load);

struct loads {
    struct pcn_bpf *bpf;
    const struct pcn_instance *instance;
    const struct pcn_instance_spec *spec;
    struct pcn_object maps[PCN_FLAVOUR_MAX];
    struct load items[LOADS_MAX];
    size_t n;
    load_step_t step;
    size_t taken;
};

static void loads_done(struct loads *loads)
{
    for (size_t i = 0; i < loads->n; i++)
        pcn_object_done(&loads->items[i].object);
    for (int i = 0; i < PCN_FLAVOUR_MAX; i++)
        pcn_object_done(&loads->maps[i]);
}

/* That of the object's direction, or none. Returns how many instructions it has. */
static size_t programs_autoload(const struct pcn_object *object)
{
    struct bpf_program *program;
    size_t n = 0;

    bpf_object__for_each_program(program, object->bpf)
    {
        bool wanted =
            program_direction(program) == pcn_object_direction(object) && program_is_light(program) == object->light;

        bpf_program__set_autoload(program, wanted);
        if (wanted)
            n += bpf_program__insn_cnt(program);
    }
    return n;
}

/* The flavour, if it is small; or else its maps, and what is still to be loaded: where a map is new, all programs. */
static int loads_add(struct loads *loads, struct pcn_instance *instance, enum pcn_flavour flavour,
                     const struct pcn_object *first, struct pcn_error *error)
{
    struct pcn_object *maps = &loads->maps[flavour];
    struct bpf_program *program;
    int r;

    r = object_open(loads->bpf, instance, loads->spec, flavour, maps, error);
    if (r >= 0)
        r = object_adopt(instance, maps, flavour);
    if (r >= 0 && first)
        r = object_reuse(maps, first, false);
    if (r < 0)
        return r;
    bpf_object__for_each_program(program, maps->bpf)
    {
        if (program_is_wanted(instance, program, flavour))
            instance->programs[flavour][program_direction(program)] = true;
    }
    if (maps->n_insns < SPLIT_INSNS)
        return pcn_object_load(maps, error);
    (void)programs_autoload(maps);
    for (int i = 0; i < PCN_DIRECTION_MAX; i++) {
        if (instance->programs[flavour][i] && (instance->n_fresh || loads->spec->directions >> i & 1))
            loads->items[loads->n++] = (struct load){.flavour = flavour, .object.only = i + 1};
    }
    return pcn_object_load(maps, error);
}

/* An object for one program, with the maps that are there. */
static int load_open(const struct loads *loads, struct load *load)
{
    int r;

    r = object_open(loads->bpf, loads->instance, loads->spec, load->flavour, &load->object, &load->error);
    if (r < 0)
        return r;
    load->n_insns = programs_autoload(&load->object);
    return object_reuse(&load->object, &loads->maps[load->flavour], true);
}

static int load_load(const struct loads *loads, struct load *load)
{
    return pcn_object_load(&load->object, &load->error);
}

/* The longest first. */
static int load_compare(const void *a, const void *b)
{
    const struct load *first = a, *second = b;

    return (first->n_insns < second->n_insns) - (first->n_insns > second->n_insns);
}

/* Takes one after the other, as long as there are some. */
static void *loads_work(void *data)
{
    struct loads *loads = data;
    size_t i;

    while ((i = __atomic_fetch_add(&loads->taken, 1, __ATOMIC_RELAXED)) < loads->n)
        loads->items[i].r = loads->step(loads, &loads->items[i]);
    return NULL;
}

/* No more at a time than there are CPUs: the first one is to have one for itself. Says what the first said that failed. */
static int loads_each(struct loads *loads, load_step_t step, struct pcn_error *error)
{
    size_t n_threads = PCN_MIN(loads->n, (size_t)pcn_cpus()), n = 0;
    pthread_t threads[LOADS_MAX];

    loads->step = step;
    loads->taken = 0;
    while (n + 1 < n_threads && pthread_create(&threads[n], NULL, loads_work, loads) == 0)
        n++;
    (void)loads_work(loads);
    while (n > 0)
        (void)pthread_join(threads[--n], NULL);
    for (size_t i = 0; i < loads->n; i++) {
        const struct load *load = &loads->items[i];

        if (load->r >= 0)
            continue;
        pcn_error_set(error, load->error.tag, load->error.path, "%s", load->error.message);
        return load->r;
    }
    return 0;
}

/* All flavours that the type needs, pinned with the suffix. */
int instance_load_all(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                      const char *suffix, struct pcn_object *ret_first, struct pcn_error *error)
{
    enum pcn_flavour flavour = spec->type != PCN_TYPE_TC ? PCN_FLAVOUR_XDP : PCN_FLAVOUR_TC;
    _cleanup_(loads_done) struct loads loads = {.bpf = bpf, .instance = instance, .spec = spec};
    int r;

    r = loads_add(&loads, instance, flavour, NULL, error);
    if (r >= 0 && flavour != PCN_FLAVOUR_TC)
        r = loads_add(&loads, instance, PCN_FLAVOUR_TC, &loads.maps[flavour], error);
    if (r >= 0)
        r = loads_each(&loads, load_open, error);
    if (r >= 0) {
        qsort(loads.items, loads.n, sizeof(*loads.items), load_compare);
        r = loads_each(&loads, load_load, error);
    }
    for (int i = 0; i < PCN_FLAVOUR_MAX && r >= 0; i++) {
        if (loads.maps[i].bpf)
            r = instance_pin(instance, &loads.maps[i], (enum pcn_flavour)i, suffix);
    }
    for (size_t i = 0; i < loads.n && r >= 0; i++)
        r = instance_pin(instance, &loads.items[i].object, loads.items[i].flavour, suffix);
    if (r < 0)
        return r;
    *ret_first = loads.maps[flavour];
    loads.maps[flavour] = (struct pcn_object){};
    return 0;
}
