/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/btf.h>
#include <bpf/kernel.h>
#include <harness/testrun.h>
#include <pcn/conntrack.h>
#include <stdio.h>
#include <sys/stat.h>

static _Noreturn void run_die(const char *what, const char *name)
{
    fprintf(stderr, "test run: %s: %s\n", what, name);
    exit(EXIT_FAILURE);
}

static int run_as(int program, const struct pcn_frame *frame, const struct __sk_buff *skb, uint32_t flags,
                  struct pcn_run *ret_run)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes, .data_size_in = (uint32_t)frame->length,
                .data_out = ret_run->frame.bytes, .data_size_out = sizeof(ret_run->frame.bytes), .repeat = 1);
    struct bpf_prog_info info = {};
    struct xdp_md md = {.data_end = (uint32_t)frame->length};
    uint32_t info_size = sizeof(info);
    int r;

    r = bpf_obj_get_info_by_fd(program, &info, &info_size);
    if (r < 0)
        return r;
    if (info.type == BPF_PROG_TYPE_SCHED_CLS) {
        options.flags = flags;
        options.ctx_in = skb;
        options.ctx_size_in = skb ? sizeof(*skb) : 0;
        options.ctx_out = &ret_run->skb;
        options.ctx_size_out = sizeof(ret_run->skb);
    } else if (skb && skb->ingress_ifindex) {
        md.ingress_ifindex = skb->ingress_ifindex;
        options.ctx_in = &md;
        options.ctx_size_in = sizeof(md);
    }
    r = bpf_prog_test_run_opts(program, &options);
    if (r < 0)
        return r;
    ret_run->verdict = options.retval;
    ret_run->duration_ns = options.duration;
    ret_run->frame.length = options.data_size_out;
    return 0;
}

int pcn_run(int program, const struct pcn_frame *frame, const struct __sk_buff *skb, struct pcn_run *ret_run)
{
    return run_as(program, frame, skb, 0, ret_run);
}

int pcn_run_summed(int program, const struct pcn_frame *frame, const struct __sk_buff *skb, struct pcn_run *ret_run)
{
    int r = run_as(program, frame, skb, BPF_F_TEST_SKB_CHECKSUM_COMPLETE, ret_run);

    /* Kernels before 6.15 do not know it. */
    return r == -EINVAL ? run_as(program, frame, skb, 0, ret_run) : r;
}

/* ---- objects ---- */

static int run_load(struct bpf_object *object, void (*configure)(struct bpf_object *object),
                    struct bpf_object **ret_object)
{
    int r;

    if (configure)
        configure(object);
    r = bpf_object__load(object);
    if (r < 0) {
        bpf_object__close(object);
        return r;
    }
    *ret_object = object;
    return 0;
}

/* NULL: it cannot be read. */
static char *run_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    struct stat info;

    if (file && fstat(fileno(file), &info) == 0)
        bytes = malloc((size_t)info.st_size);
    if (bytes && fread(bytes, 1, (size_t)info.st_size, file) != (size_t)info.st_size)
        pcn_freep(&bytes);
    if (file)
        (void)fclose(file);
    *ret_size = bytes ? (size_t)info.st_size : 0;
    return bytes;
}

const struct pcn_shared *pcn_run_kernel(void)
{
    static struct pcn_shared shared;
    static bool known;

    if (!known)
        pcn_kernel_read(&shared);
    known = true;
    return &shared;
}

int pcn_run_open(const char *path, void (*configure)(struct bpf_object *object), struct bpf_object **ret_object)
{
    size_t size;
    _cleanup_free_ char *elf = run_read(path, &size);

    if (!elf)
        return -ENOENT;
    (void)pcn_run_kernel();
    (void)pcn_kernel_complete_elf(elf);
    return pcn_run_open_memory("test", elf, size, configure, ret_object);
}

int pcn_run_open_memory(const char *name, const void *elf, size_t size, void (*configure)(struct bpf_object *object),
                        struct bpf_object **ret_object)
{
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name);
    struct bpf_object *object = bpf_object__open_mem(elf, size, &options);

    return object ? run_load(object, configure, ret_object) : -errno;
}

void pcn_run_closep(struct bpf_object **object)
{
    bpf_object__close(*object);
    *object = NULL;
}

static struct bpf_map *run_section_map(struct bpf_object *object, const char *section)
{
    struct bpf_map *map;

    /* Data maps are called <object>.rodata; the section's name is at the end. */
    bpf_object__for_each_map(map, object)
    {
        const char *name = bpf_map__name(map), *dot = strchr(name, '.');

        if (pcn_streq(name, section) || (dot && pcn_streq(dot, section)))
            return map;
    }
    return NULL;
}

static bool run_set_in(struct bpf_object *object, const struct btf *btf, const struct btf_type *section,
                       const char *variable, const void *value, size_t size)
{
    const struct btf_var_secinfo *info = btf_var_secinfos(section);

    for (int i = 0; i < btf_vlen(section); i++) {
        const struct btf_type *type = btf__type_by_id(btf, info[i].type);
        struct bpf_map *map;
        uint8_t *memory;
        size_t map_size;

        if (!pcn_streq(btf__name_by_offset(btf, type->name_off), variable))
            continue;
        if (info[i].size != size)
            run_die("variable has another size", variable);
        map = run_section_map(object, btf__name_by_offset(btf, section->name_off));
        memory = map ? (uint8_t *)bpf_map__initial_value(map, &map_size) : NULL;
        if (!memory || info[i].offset + size > map_size)
            run_die("section has no memory", variable);
        memcpy(memory + info[i].offset, value, size);
        return true;
    }
    return false;
}

/* What libbpf has reserved beyond is lost, for as long as the test runs. */
void pcn_run_trim(struct bpf_object *object, const char *section, size_t size)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    _cleanup_close_ int fd =
        bpf_map_create(BPF_MAP_TYPE_ARRAY, "trimmed", sizeof(uint32_t), (uint32_t)(size + PCN_LINE_SLACK), 1, &options);

    (void)bpf_map__reuse_fd(bpf_object__find_map_by_name(object, section), fd);
}

void pcn_run_flows(struct bpf_object *object, uint32_t n_buckets, uint32_t keys, bool counting)
{
    uint32_t n_places = n_buckets * PCN_CT_WAYS, n_slots = n_places / 2, n_numbers = n_slots / keys;
    uint32_t n_traffic = counting ? n_slots : 1;
    const struct pcn_ct_masks masks = {
        .bucket = n_buckets - 1,
        .half = keys > 1 ? n_buckets / 2 : 0,
        .slot = n_slots - 1,
        .number = n_numbers - 1,
        .stock = pcn_ct_stock_of(n_numbers, (uint32_t)libbpf_num_possible_cpus()),
        .traffic = n_traffic - 1,
        .windows = n_slots - 1,
    };

    pcn_run_set(object, "pcn_ct_masks", &masks, sizeof(masks));
    pcn_run_trim(object, PCN_CT_ENTRIES, n_slots * sizeof(struct pcn_ct_entry));
    pcn_run_trim(object, PCN_CT_WIDES, n_slots * sizeof(struct pcn_ct_wide));
    pcn_run_trim(object, PCN_CT_WINDOWS, n_slots * sizeof(struct pcn_ct_window));
    pcn_run_trim(object, PCN_CT_TRAFFIC, n_traffic * sizeof(struct pcn_ct_traffic));
    pcn_run_trim(object, PCN_CT_BUCKETS, n_buckets * sizeof(struct pcn_ct_bucket));
    pcn_run_trim(object, PCN_CT_PLACES, n_slots * sizeof(__u32));
    pcn_run_trim(object, PCN_CT_NUMBERS, sizeof(struct pcn_ct_numbers) + n_numbers * sizeof(__u32));
    if (keys > 1)
        pcn_run_trim(object, PCN_CT_OWNS, n_numbers * sizeof(struct pcn_ct_own));
}

void pcn_run_set(struct bpf_object *object, const char *variable, const void *value, size_t size)
{
    const struct btf *btf = bpf_object__btf(object);

    for (uint32_t id = 1; btf && id < btf__type_cnt(btf); id++) {
        const struct btf_type *type = btf__type_by_id(btf, id);

        if (btf_is_datasec(type) && run_set_in(object, btf, type, variable, value, size))
            return;
    }
    run_die("no such variable", variable);
}

int pcn_run_program(const struct bpf_object *object, const char *name)
{
    struct bpf_program *program = bpf_object__find_program_by_name(object, name);

    if (!program)
        run_die("no such program", name);
    return bpf_program__fd(program);
}

int pcn_run_map(const struct bpf_object *object, const char *name)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, name);

    if (!map)
        run_die("no such map", name);
    return bpf_map__fd(map);
}

/* ---- per-CPU maps ---- */

uint64_t pcn_map_sum(int map, uint32_t key)
{
    int cpus = libbpf_num_possible_cpus();
    uint64_t values[cpus], sum = 0;

    if (bpf_map_lookup_elem(map, &key, values) < 0)
        return 0;
    for (int i = 0; i < cpus; i++)
        sum += values[i];
    return sum;
}

struct pcn_port_counters pcn_map_counters(int map, uint32_t key)
{
    uint32_t cpus = (uint32_t)libbpf_num_possible_cpus(), zero = 0;
    _cleanup_free_ struct pcn_port_counters *counters = calloc(1, PCN_COUNTERS_SIZE(cpus) + PCN_LINE_SLACK);
    struct pcn_port_counters sum = {};

    if (!counters || bpf_map_lookup_elem(map, &zero, counters) < 0)
        return sum;
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        sum.packets += counters[cpu * PCN_PORTS_MAX + key].packets;
        sum.bytes += counters[cpu * PCN_PORTS_MAX + key].bytes;
    }
    return sum;
}
