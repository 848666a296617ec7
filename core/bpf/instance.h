/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs and maps of one instance: a cube, or a netdev's entry. They live
 * in the kernel, held by pins below <root>/<id>/; user space opens a map when
 * it needs it, and keeps few descriptors: 4,096 instances must fit 20,000.
 */
#pragma once
#include <bpf/bpf.h>
#include <pcn/abi.h>
#include <pcn/cube.h>

struct pcn_bpf;
struct pcn_instance;

/* A flavour has a hop array of its own; all other maps are shared. */
enum pcn_flavour {
    PCN_FLAVOUR_TC,
    PCN_FLAVOUR_XDP,
    PCN_FLAVOUR_MAX,
};

struct pcn_instance_spec {
    char slot[32]; /* name of the directory of pins: "17", "n-eth0" */
    enum pcn_cube_type type;
    struct pcn_cube_identity identity;
    const char *kind; /* and uuid: for the pinned description, see meta.h; NULL: a netdev's */
    const char *uuid;
    enum pcn_log_level loglevel;
    const void *tc_object;
    size_t tc_object_size;
    const void *xdp_object;
    size_t xdp_object_size;
    int (*configure)(struct pcn_object *object, const void *data, struct pcn_error *error); /* NULL: nothing to do */
    const void *data;
    unsigned int directions; /* of the programs that are to be loaded again, see pcn_cube_reload() */
};

/*
 * Loads what the type needs. TC: ingress and egress. XDP: both at XDP, and the TC twin of egress for the
 * packets of the host's stack. On failure the verifier's last words are in error.
 */
int pcn_instance_load(struct pcn_bpf *bpf, const struct pcn_instance_spec *spec, struct pcn_instance **ret_instance,
                      struct pcn_error *error);
/* Removes the pins: the kernel frees programs and maps when the last packet has left them. */
void pcn_instance_freep(struct pcn_instance **instance);

/*
 * Loads the programs again, beside those that run. A map that spec makes as large as it is is shared; one of
 * another size is new and empty. Then either switch, after which whoever has a program of the instance in a slot
 * must set it again, or discard. Program and map names stay.
 */
int pcn_instance_reload(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                        struct pcn_error *error);
void pcn_instance_switch(struct pcn_instance *instance);
void pcn_instance_discard(struct pcn_instance *instance);
/* Between reload and switch: memory of the map that the new programs have. */
int pcn_instance_next_memory(struct pcn_instance *instance, const char *name, void **ret_memory, size_t *ret_size);
/* See pcn_cube_dry_run(). */
int pcn_instance_dry_run(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                         enum pcn_direction direction, const uint8_t *frame, size_t size, struct pcn_error *error);

/* Live data, mapped. */
struct pcn_cube_data *pcn_instance_data(const struct pcn_instance *instance);
/* Where a hop's word is, and the sum of a counter over the CPUs. */
struct pcn_hop *pcn_instance_hop(const struct pcn_instance *instance, size_t hop);
int pcn_instance_counters(struct pcn_instance *instance, uint32_t index, struct pcn_port_counters *ret_counters);
uint32_t pcn_instance_colour(uint16_t cube);
enum pcn_cube_type pcn_instance_type(const struct pcn_instance *instance);
/* Never given twice, unlike an address. */
uint64_t pcn_instance_serial(const struct pcn_instance *instance);
const char *pcn_instance_directory(const struct pcn_instance *instance);
bool pcn_instance_has_program(const struct pcn_instance *instance, enum pcn_flavour flavour,
                              enum pcn_direction direction);
/* A descriptor of the program: the caller closes it. -ENOENT: it has no such twin. */
int pcn_instance_program(const struct pcn_instance *instance, enum pcn_flavour flavour, enum pcn_direction direction);
/* Descriptor of a map, kept open for a while: valid until the next call of this module. -ENOENT. */
int pcn_instance_map(struct pcn_instance *instance, const char *name);
/* See pcn_map_memory(). */
int pcn_instance_memory(struct pcn_instance *instance, const char *name, void **ret_memory, size_t *ret_size);

/* Puts a program into a slot of the hop arrays of the instance, in those flavours that both have. */
int pcn_instance_set_slot(struct pcn_instance *instance, uint32_t slot, const struct pcn_instance *target,
                          enum pcn_direction direction);

/* Fills a slot with the dropper, so that the program that stood there can go. */
int pcn_instance_clear_slot(const struct pcn_bpf *bpf, struct pcn_instance *instance, uint32_t slot);
