/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs loaded again while the old ones run: with other settings, or larger
 * maps. All that has not changed is shared, hop arrays and hops included, so that only who leads here has to be told.
 */
#include "instance_private.h"
#include <base/log.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <unistd.h>

static void reload_move(const struct pcn_instance *instance, const char *prefix, const char *name, bool keep)
{
    char from[512], to[512];

    instance_pin_path(instance, prefix, name, INSTANCE_NEXT, from);
    instance_pin_path(instance, prefix, name, "", to);
    if (!keep)
        (void)unlink(from);
    else if (rename(from, to) < 0)
        pcn_log_err("cannot rename %s: %s", from, strerror(errno));
}

static void reload_end(struct pcn_instance *instance, bool keep)
{
    char next[64], name[32];

    for (int flavour = 0; flavour < PCN_FLAVOUR_MAX; flavour++) {
        for (int direction = 0; direction < PCN_DIRECTION_MAX; direction++) {
            instance_program_name((enum pcn_flavour)flavour, (enum pcn_direction)direction, name);
            if (instance->next[flavour][direction])
                reload_move(instance, "prog", name, keep);
            instance->next[flavour][direction] = false;
        }
    }
    for (size_t i = 0; i < instance->n_fresh; i++) {
        reload_move(instance, "map", instance->fresh[i], keep);
        (void)snprintf(next, sizeof(next), "%s" INSTANCE_NEXT, instance->fresh[i]);
        instance_map_forget(instance, keep ? instance->fresh[i] : next);
        if (keep)
            instance_map_rename(instance, next, instance->fresh[i]);
    }
    instance->n_fresh = 0;
}

int pcn_instance_reload(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                        struct pcn_error *error)
{
    _cleanup_(pcn_object_done) struct pcn_object first = {};
    int r;

    r = instance_load_all(bpf, instance, spec, INSTANCE_NEXT, &first, error);
    if (r < 0)
        reload_end(instance, false);
    return r;
}

void pcn_instance_switch(struct pcn_instance *instance)
{
    reload_end(instance, true);
}

void pcn_instance_discard(struct pcn_instance *instance)
{
    reload_end(instance, false);
}

int pcn_instance_next_memory(struct pcn_instance *instance, const char *name, void **ret_memory, size_t *ret_size)
{
    char next[64];

    for (size_t i = 0; i < instance->n_fresh; i++) {
        if (pcn_streq(instance->fresh[i], name)) {
            (void)snprintf(next, sizeof(next), "%s" INSTANCE_NEXT, name);
            return pcn_instance_memory(instance, next, ret_memory, ret_size);
        }
    }
    return pcn_instance_memory(instance, name, ret_memory, ret_size);
}

int pcn_instance_dry_run(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                         enum pcn_direction direction, const uint8_t *frame, size_t size, struct pcn_error *error)
{
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = (uint32_t)size, .repeat = 1);
    enum pcn_flavour flavour = spec->type != PCN_TYPE_TC ? PCN_FLAVOUR_XDP : PCN_FLAVOUR_TC;
    _cleanup_(pcn_object_done) struct pcn_object object = {.twin = true};
    const struct bpf_program *program;
    int r;

    r = instance_load_flavour(bpf, instance, spec, flavour, &object, NULL, error);
    /* It is to have no map of its own. */
    if (r >= 0 && instance->n_fresh)
        r = pcn_log_error(-EINVAL, "a twin of %s would have another %s", instance->directory, instance->fresh[0]);
    instance->n_fresh = 0;
    if (r < 0)
        return r;
    program = bpf_object__find_program_by_name(object.bpf, direction == PCN_EGRESS ? "pcn_egress" : "pcn_ingress");
    if (!program)
        return -ENOENT;
    r = bpf_prog_test_run_opts(bpf_program__fd(program), &run);
    return r < 0 ? r : (int)run.retval;
}
