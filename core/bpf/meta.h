/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an instance's pins are of, kept beside them as map `meta` with one
 * entry: a later daemon adopts what it knows, and can tell that it does.
 */
#pragma once
#include <bpf/libbpf.h>
#include <pcn/base.h>

struct pcn_meta {
    uint32_t abi_major;
    uint32_t abi_minor;
    char kind[64];        /* empty: entry programs of a netdev */
    char uuid[40];        /* of the cube */
    uint64_t object_hash; /* of the ELF, before it is coloured and configured */
    uint64_t layout_hash; /* of its maps' names, types and sizes: equal layouts can be taken over full */
};

/* FNV-1a. hash: that of what came before, or 0. */
uint64_t pcn_meta_hash(uint64_t hash, const void *data, size_t size);
uint64_t pcn_meta_layout(const struct bpf_object *object);
/* Creates and pins `<directory>/meta`. -errno of the kernel. */
int pcn_meta_pin(const char *directory, const struct pcn_meta *meta);
