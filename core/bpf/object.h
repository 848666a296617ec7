/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF object between open and load, and what libbpf said of it when it failed.
 */
#pragma once
#include <bpf/libbpf.h>
#include <pcn/cube.h>

struct pcn_object {
    struct bpf_object *bpf;
    char *elf;                        /* what bpf was read from */
    size_t n_insns;                   /* of all programs */
    bool twin;                        /* it is to have no map of its own */
    int only;                         /* enum pcn_direction + 1 of the program that is loaded from it; 0: all are */
    bool light;                       /* that is the light one */
    const struct bpf_map *renewed[8]; /* see pcn_object_renew() */
    size_t n_renewed;
    struct bpf_map *trimmed[16]; /* see pcn_object_trim() */
    size_t n_trimmed;
};

/* colour: of the instance, see PCN_COLOURS. -EINVAL: not a BPF object. */
int pcn_object_open(struct pcn_object *object, const char *name, const void *elf, size_t size, uint32_t colour);
/* Before load: a map that is there already takes the place of that of the name, if the object has one. */
int pcn_object_share(struct pcn_object *object, const char *name, int fd);
/* See PCN_LINE_DATA. */
bool pcn_object_is_line_data(const char *section);
/* Loads it; on failure the lines of the verifier's log that matter are in error. */
int pcn_object_load(struct pcn_object *object, struct pcn_error *error);
void pcn_object_done(struct pcn_object *object);
bool pcn_object_renews(const struct pcn_object *object, const struct bpf_map *map);
/* -1: the object has no such map. */
int pcn_object_map_fd(const struct pcn_object *object, const char *map);
/* Routes libbpf's messages here; once a process. */
void pcn_object_init(void);
