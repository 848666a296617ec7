/* SPDX-License-Identifier: Apache-2.0 */
#include "private.h"
#include <base/log.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <uuid/uuid.h>

const char *const chain_type_names[PCN_TYPE_MAX] = {"TC", "XDP_SKB", "XDP_DRV"};

int pcn_chain_new(const struct pcn_chain_config *config, struct pcn_chain **ret_chain)
{
    struct pcn_chain *chain = calloc(1, sizeof(*chain));

    if (!chain)
        return -ENOMEM;
    chain->config = *config;
    chain->epoch = 1;
    *ret_chain = chain;
    return 0;
}

void pcn_chain_freep(struct pcn_chain **ptr)
{
    struct pcn_chain *chain = TAKE_PTR(*ptr);
    struct pcn_netdev *netdev, *next_netdev;
    struct pcn_cube *cube, *next;

    if (!chain)
        return;
    HASH_ITER(hh, chain->cubes, cube, next)
    pcn_chain_cube_free(cube);
    HASH_ITER(hh, chain->netdevs, netdev, next_netdev)
    chain_netdev_free(chain, netdev);
    free(chain);
}

struct pcn_bpf *pcn_chain_bpf(const struct pcn_chain *chain)
{
    return chain->config.bpf;
}

static uint16_t chain_free_id(const struct pcn_chain *chain)
{
    for (uint16_t id = 1; id <= PCN_CUBES_MAX; id++) {
        if (!chain->by_id[id])
            return id;
    }
    return 0;
}

static void uuid_new(const char *given, char ret_uuid[PCN_UUID_SIZE])
{
    uuid_t uuid;

    if (given && uuid_parse(given, uuid) == 0) {
        (void)snprintf(ret_uuid, PCN_UUID_SIZE, "%s", given);
        return;
    }
    uuid_generate(uuid);
    uuid_unparse_lower(uuid, ret_uuid);
}

static int reinject_set(const struct pcn_bpf *bpf, const struct pcn_cube *cube, bool set)
{
    bool xdp = type_is_xdp(cube->type);
    int map = xdp ? bpf->reinject_xdp : bpf->reinject_tc;
    enum pcn_flavour flavour = xdp ? PCN_FLAVOUR_XDP : PCN_FLAVOUR_TC;

    if (map < 0)
        return 0;
    for (int direction = 0; direction < PCN_DIRECTION_MAX; direction++) {
        uint32_t key = (uint32_t)cube->id * PCN_DIRECTION_MAX + (uint32_t)direction;
        _cleanup_close_ int program = -1;
        int fd;

        program = set ? pcn_instance_program(cube->patch.instance, flavour, (enum pcn_direction)direction) : -1;
        fd = set ? program : pcn_bpf_dropper(bpf, flavour);
        if (fd < 0)
            return fd;
        if (bpf_map_update_elem(map, &key, &fd, BPF_ANY) < 0)
            return -errno;
    }
    return 0;
}

static void cube_instance_spec(const struct pcn_cube *cube, struct pcn_instance_spec *ret_spec)
{
    const struct pcn_cube_kind *kind = cube->kind;
    struct pcn_bpf *bpf = cube->chain->config.bpf;

    *ret_spec = (struct pcn_instance_spec){
        .type = cube->type,
        .identity = {.cube = cube->id,
                     .shadow = cube->shadow,
                     .has_egress = kind->has_egress,
                     .reinject_ifindex = (uint32_t)bpf->outer_ifindex},
        .kind = kind->name,
        .uuid = cube->uuid,
        .loglevel = cube->loglevel,
        .tc_object = kind->tc_object,
        .tc_object_size = (size_t)((const char *)kind->tc_object_end - (const char *)kind->tc_object),
        .xdp_object = kind->xdp_object,
        .xdp_object_size = (size_t)((const char *)kind->xdp_object_end - (const char *)kind->xdp_object),
        .directions = PCN_DIRECTIONS_ALL,
    };
    (void)snprintf(ret_spec->slot, sizeof(ret_spec->slot), "%u", cube->id);
}

static int cube_configure(struct pcn_object *object, const void *data, struct pcn_error *error)
{
    const struct pcn_cube_spec *spec = data;

    return spec->kind->configure ? spec->kind->configure(object, spec->config, error) : 0;
}

static int cube_load(struct pcn_cube *cube, const struct pcn_cube_spec *spec, struct pcn_error *error)
{
    struct pcn_bpf *bpf = cube->chain->config.bpf;
    struct pcn_instance_spec instance;
    int r;

    cube_instance_spec(cube, &instance);
    instance.configure = cube_configure;
    instance.data = spec;
    r = pcn_instance_load(bpf, &instance, &cube->patch.instance, error);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot load the programs of cube %s: %s", cube->name,
                             strerror(-r));
    r = patch_reserve(&cube->patch, PCN_NEXT_EGRESS);
    if (r < 0)
        return r;
    return reinject_set(bpf, cube, true);
}

int pcn_chain_cube_new(struct pcn_chain *chain, const struct pcn_cube_spec *spec, struct pcn_cube **ret_cube,
                       struct pcn_error *error)
{
    struct pcn_cube *cube;
    int r;

    if (pcn_chain_cube(chain, spec->name))
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "", "Cube %s exists already", spec->name);
    if (spec->shadow && !spec->kind->has_shadow)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "shadow", "a %s cannot have a shadow namespace",
                             spec->kind->name);
    cube = calloc(1, sizeof(*cube));
    if (!cube)
        return -ENOMEM;
    cube->chain = chain;
    cube->kind = spec->kind;
    cube->type = spec->type;
    cube->loglevel = spec->loglevel;
    cube->shadow = spec->shadow;
    (void)snprintf(cube->name, sizeof(cube->name), "%s", spec->name);
    uuid_new(spec->uuid, cube->uuid);
    cube->id = chain_free_id(chain);
    if (!cube->id) {
        free(cube);
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "", "there are %d cubes already, the most there can be",
                             PCN_CUBES_MAX);
    }
    chain->by_id[cube->id] = cube;
    HASH_ADD_STR(chain->cubes, name, cube);
    r = cube_load(cube, spec, error);
    if (r >= 0 && spec->kind->create)
        r = spec->kind->create(cube, spec->config, error);
    if (r < 0) {
        pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot create cube %s: %s", spec->name, strerror(-r));
        pcn_chain_cube_free(cube);
        return r;
    }
    cube->live = true;
    *ret_cube = cube;
    return 0;
}

void pcn_chain_cube_free(struct pcn_cube *cube)
{
    struct pcn_chain *chain = cube->chain;
    struct pcn_flood_ports none = {};
    struct pcn_port *port, *next;
    uint32_t id = cube->id;
    char parent[2 * PCN_NAME_MAX + 2];

    pcn_cube_parent(cube, parent, sizeof(parent));
    if (parent[0])
        (void)pcn_chain_detach(cube, parent, NULL);
    HASH_ITER(hh, cube->ports, port, next)
    chain_port_disconnect(port);
    pcn_chain_rewire(chain);
    HASH_ITER(hh, cube->ports, port, next)
    pcn_chain_port_free(port);
    if (cube->live && cube->kind->destroy)
        cube->kind->destroy(cube);
    cube->live = false;
    if (cube->patch.instance) {
        (void)reinject_set(chain->config.bpf, cube, false);
        if (chain->config.bpf->floods >= 0)
            (void)bpf_map_update_elem(chain->config.bpf->floods, &id, &none, BPF_ANY);
    }
    patch_done(chain, &cube->patch);
    chain->by_id[cube->id] = NULL;
    HASH_DEL(chain->cubes, cube);
    free(cube->port_by_id);
    free(cube);
}

struct pcn_cube *pcn_chain_cube(const struct pcn_chain *chain, const char *name)
{
    struct pcn_cube *cube;

    HASH_FIND_STR(chain->cubes, name, cube);
    return cube;
}

struct pcn_cube *pcn_chain_cube_by_id(const struct pcn_chain *chain, uint16_t id)
{
    return id <= PCN_CUBES_MAX ? chain->by_id[id] : NULL;
}

struct pcn_cube *pcn_chain_cube_next(const struct pcn_chain *chain, const struct pcn_cube *cube)
{
    return cube ? cube->hh.next : chain->cubes;
}

void pcn_chain_set_loglevel(struct pcn_cube *cube, enum pcn_log_level level)
{
    cube->loglevel = level;
    __atomic_store_n(&pcn_instance_data(cube->patch.instance)->loglevel, (uint8_t)level, __ATOMIC_RELAXED);
}

int pcn_chain_set_span(struct pcn_cube *cube, bool on)
{
    if (on && (!cube->shadow || cube->type != PCN_TYPE_TC))
        return -EOPNOTSUPP;
    cube->span = on;
    __atomic_store_n(&pcn_instance_data(cube->patch.instance)->span, on, __ATOMIC_RELAXED);
    return 0;
}

/* ---- programs anew ---- */

static int cube_reconfigure(struct pcn_object *object, const void *data, struct pcn_error *error)
{
    const struct pcn_cube *cube = data;

    return cube->kind->reconfigure ? cube->kind->reconfigure((struct pcn_cube *)cube, object, error) : 0;
}

int pcn_cube_reload(struct pcn_cube *cube, unsigned int directions, struct pcn_error *error)
{
    struct pcn_instance_spec spec;

    cube_instance_spec(cube, &spec);
    spec.configure = cube_reconfigure;
    spec.data = cube;
    spec.directions = directions;
    return pcn_instance_reload(cube->chain->config.bpf, cube->patch.instance, &spec, error);
}

int pcn_cube_next_memory(struct pcn_cube *cube, const char *map, void **ret_memory, size_t *ret_size)
{
    return pcn_instance_next_memory(cube->patch.instance, map, ret_memory, ret_size);
}

void pcn_cube_switch(struct pcn_cube *cube)
{
    struct pcn_chain *chain = cube->chain;
    struct pcn_netdev *netdev;
    struct pcn_cube *other;

    pcn_instance_switch(cube->patch.instance);
    for (other = chain->cubes; other; other = other->hh.next)
        patch_set_again(&other->patch, &cube->patch);
    for (netdev = chain->netdevs; netdev; netdev = netdev->hh.next)
        patch_set_again(&netdev->patch, &cube->patch);
    (void)reinject_set(chain->config.bpf, cube, true);
}

void pcn_cube_discard(struct pcn_cube *cube)
{
    pcn_instance_discard(cube->patch.instance);
}

int pcn_cube_dry_run(struct pcn_cube *cube, enum pcn_direction direction, const uint8_t *frame, size_t size,
                     struct pcn_error *error)
{
    struct pcn_instance_spec spec;

    cube_instance_spec(cube, &spec);
    spec.identity.dry_run = true;
    spec.configure = cube_reconfigure;
    spec.data = cube;
    return pcn_instance_dry_run(cube->chain->config.bpf, cube->patch.instance, &spec, direction, frame, size, error);
}

/* ---- looking ---- */

void pcn_cube_parent(const struct pcn_cube *cube, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (cube->parent_port)
        (void)snprintf(ret_text, size, "%s:%s", cube->parent_port->cube->name, cube->parent_port->name);
    else if (cube->parent_netdev)
        (void)snprintf(ret_text, size, "%s", cube->parent_netdev->device.name);
}

int pcn_cube_counters(struct pcn_cube *cube, uint32_t index, struct pcn_port_counters *ret_counters)
{
    return pcn_instance_counters(cube->patch.instance, index, ret_counters);
}

int pcn_cube_drops(struct pcn_cube *cube, uint64_t ret_drops[PCN_DROP_REASONS_MAX])
{
    _cleanup_free_ uint64_t *values = calloc(pcn_cpus(), sizeof(*values));
    uint32_t n = PCN_DROP_KIND_FIRST + (uint32_t)cube->kind->n_reasons;
    int r;

    if (!values)
        return -ENOMEM;
    memset(ret_drops, 0, PCN_DROP_REASONS_MAX * sizeof(*ret_drops));
    for (uint32_t reason = 0; reason < n && reason < PCN_DROP_REASONS_MAX; reason++) {
        if (reason == PCN_DROP_REASON_MAX)
            reason = PCN_DROP_KIND_FIRST;
        r = pcn_map_get(cube, "pcn_drops", &reason, values);
        if (r < 0)
            return r;
        for (unsigned int cpu = 0; cpu < pcn_cpus(); cpu++)
            ret_drops[reason] += values[cpu];
    }
    return 0;
}

const char *pcn_cube_reason_label(const struct pcn_cube *cube, uint32_t reason)
{
    static const char *const labels[] = {
#define X(name, label, help) label,
        PCN_DROP_REASONS(X)
#undef X
    };

    if (reason < PCN_ARRAY_SIZE(labels))
        return labels[reason];
    if (reason >= PCN_DROP_KIND_FIRST && reason - PCN_DROP_KIND_FIRST < cube->kind->n_reasons)
        return cube->kind->reasons[reason - PCN_DROP_KIND_FIRST].label;
    return "unknown";
}
