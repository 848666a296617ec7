/* SPDX-License-Identifier: Apache-2.0 */
/* What instance.c, maps.c and reload.c share. */
#pragma once
#include <bpf/instance.h>
#include <bpf/libbpf.h>
#include <bpf/object.h>
#include <sys/queue.h>

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
    bool next[PCN_FLAVOUR_MAX][PCN_DIRECTION_MAX]; /* those that wait for pcn_instance_switch() */
    struct pcn_cube_data *data;
    uint32_t colour;
    bool loaded;        /* it has maps */
    char fresh[32][32]; /* maps of a load that runs, or waits for pcn_instance_switch(), not had from elsewhere */
    size_t n_fresh;
    LIST_HEAD(, handle) handles;
    LIST_HEAD(, memory) memories;
};

/* What a pin that is to take another's place ends with until then. */
#define INSTANCE_NEXT "-next"

extern const char *const instance_hop_arrays[PCN_FLAVOUR_MAX];

/* instance.c */
void instance_pin_path(const struct pcn_instance *instance, const char *prefix, const char *name, const char *suffix,
                       char ret_path[512]);
void instance_program_name(enum pcn_flavour flavour, enum pcn_direction direction, char ret_name[32]);
int instance_load_flavour(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                          enum pcn_flavour flavour, struct pcn_object *object, const struct pcn_object *first,
                          struct pcn_error *error);
int instance_load_all(struct pcn_bpf *bpf, struct pcn_instance *instance, const struct pcn_instance_spec *spec,
                      const char *suffix, struct pcn_object *ret_first, struct pcn_error *error);

/* maps.c */
void instance_maps_done(struct pcn_instance *instance);
/* Closes what is open of the map; its memory is unmapped. */
void instance_map_forget(struct pcn_instance *instance, const char *name);
/* What is open of the map of that name is from now on of that one. */
void instance_map_rename(struct pcn_instance *instance, const char *from, const char *to);
