/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/meta.h>
#include <stdint.h>
#include <stdio.h>

uint64_t pcn_meta_hash(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    if (!hash)
        hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

uint64_t pcn_meta_layout(const struct bpf_object *object)
{
    const struct bpf_map *map;
    uint64_t hash = 0;

    bpf_object__for_each_map(map, object)
    {
        const uint32_t shape[] = {bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map),
                                  bpf_map__max_entries(map), bpf_map__map_flags(map)};

        hash = pcn_meta_hash(hash, bpf_map__name(map), strlen(bpf_map__name(map)));
        hash = pcn_meta_hash(hash, shape, sizeof(shape));
    }
    return hash;
}

int pcn_meta_pin(const char *directory, const struct pcn_meta *meta)
{
    _cleanup_close_ int fd = -1;
    const uint32_t zero = 0;
    char path[512];

    fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "meta", sizeof(zero), sizeof(*meta), 1, NULL);
    if (fd < 0)
        return -errno;
    (void)snprintf(path, sizeof(path), "%s/meta", directory);
    if (bpf_map_update_elem(fd, &zero, meta, BPF_ANY) < 0 || bpf_obj_pin(fd, path) < 0)
        return -errno;
    return 0;
}
