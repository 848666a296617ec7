/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/kernel.h>
#include <bpf/object.h>
#include <elf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* libbpf prints the verifier's log through its print hook: the end of it is kept. */
#define OBJECT_LOG_MAX 16384
/* Lines of the log shown to the user: the rejected instruction and the reason stand last. */
#define OBJECT_LOG_LINES 4

static _Thread_local struct {
    char text[OBJECT_LOG_MAX];
    size_t length;
} captured;

static PCN_PRINTF(2, 0) int object_print(enum libbpf_print_level level, const char *format, va_list args)
{
    char *text = NULL;
    int length;

    if (level == LIBBPF_DEBUG)
        return 0;
    length = vasprintf(&text, format, args);
    if (length < 0)
        return 0;
    if ((size_t)length >= OBJECT_LOG_MAX) {
        memmove(text, text + (size_t)length - OBJECT_LOG_MAX + 1, OBJECT_LOG_MAX);
        length = OBJECT_LOG_MAX - 1;
    }
    if (captured.length + (size_t)length >= OBJECT_LOG_MAX) {
        size_t keep = OBJECT_LOG_MAX - 1 - (size_t)length;

        keep = PCN_MIN(keep, captured.length);
        memmove(captured.text, captured.text + captured.length - keep, keep);
        captured.length = keep;
    }
    memcpy(captured.text + captured.length, text, (size_t)length);
    captured.length += (size_t)length;
    captured.text[captured.length] = '\0';
    free(text);
    return 0;
}

void pcn_object_init(void)
{
    libbpf_set_print(object_print);
}

bool pcn_object_is_line_data(const char *section)
{
    return strncmp(section, PCN_LINE_DATA, strlen(PCN_LINE_DATA)) == 0 ||
           strncmp(section, PCN_LINE_BSS, strlen(PCN_LINE_BSS)) == 0;
}

static bool elf_is_line_data(const char *elf, const Elf64_Ehdr *header, const Elf64_Sym *symbol)
{
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(elf + header->e_shoff);
    const char *names = elf + sections[header->e_shstrndx].sh_offset;

    return symbol->st_shndx < header->e_shnum && pcn_object_is_line_data(names + sections[symbol->st_shndx].sh_name);
}

/*
 * Moves every reference to line data by the colour's lines: libbpf adds the
 * number in the instruction to the place of the symbol. The ELF is one of ours, from clang.
 */
static void elf_colour(char *elf, uint32_t colour)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)elf;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(elf + header->e_shoff);

    for (uint16_t i = 0; i < header->e_shnum; i++) {
        const Elf64_Rel *rels = (const Elf64_Rel *)(elf + sections[i].sh_offset);

        if (sections[i].sh_type != SHT_REL || !(sections[sections[i].sh_info].sh_flags & SHF_EXECINSTR))
            continue;
        for (size_t j = 0; j < sections[i].sh_size / sizeof(*rels); j++) {
            const Elf64_Sym *symbols = (const Elf64_Sym *)(elf + sections[sections[i].sh_link].sh_offset);
            struct bpf_insn *insn =
                (struct bpf_insn *)(elf + sections[sections[i].sh_info].sh_offset + rels[j].r_offset);

            if (elf_is_line_data(elf, header, symbols + ELF64_R_SYM(rels[j].r_info)))
                insn->imm += (int32_t)(colour * PCN_COLOUR_BYTES);
        }
    }
}

int pcn_object_open(struct pcn_object *object, const char *name, const void *elf, size_t size, uint32_t colour)
{
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name);
    struct bpf_object *bpf;
    char *copy;

    captured.length = 0;
    copy = malloc(size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, elf, size);
    elf_colour(copy, colour);
    object->n_insns = pcn_kernel_complete_elf(copy);
    bpf = bpf_object__open_mem(copy, size, &options);
    if (!bpf) {
        free(copy);
        return pcn_log_error(-errno, "cannot open object %s: %s", name, captured.text);
    }
    object->bpf = bpf;
    object->elf = copy;
    return 0;
}

void pcn_object_done(struct pcn_object *object)
{
    bpf_object__close(object->bpf);
    free(object->elf);
    *object = (struct pcn_object){};
}

/* The last lines before the verifier's summary. */
static void object_explain(struct pcn_error *error, const char *name, int r)
{
    char *end = strstr(captured.text, "\nprocessed "), *start;
    int lines = 0;

    if (!end)
        end = captured.text + captured.length;
    *end = '\0';
    for (start = end; start > captured.text; start--) {
        if (*start == '\n' && ++lines > OBJECT_LOG_LINES) {
            start++;
            break;
        }
    }
    pcn_error_set(error, PCN_ERROR_FAILED, "", "the kernel refused program %s: %s: %.350s", name, strerror(-r), start);
}

int pcn_object_share(struct pcn_object *object, const char *name, int fd)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, name);

    return map ? bpf_map__reuse_fd(map, fd) : 0;
}

/* Before 1.3 libbpf keeps what it reserved, and frees as much as the map then has. */
static int section_shrink(struct bpf_map *map, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), declared, kept = (size + page - 1) / page * page;
    char *memory = (char *)bpf_map__initial_value(map, &declared);
    int r;

    if (!memory || size > declared)
        return -EINVAL;
    declared = (declared + page - 1) / page * page;
    r = bpf_map__set_value_size(map, (uint32_t)size);
    if (r == 0 && libbpf_major_version() == 1 && libbpf_minor_version() < 3 && kept < declared)
        (void)munmap(memory + kept, declared - kept);
    return r;
}

int pcn_object_trim(struct pcn_object *object, const char *section, size_t size)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, section);

    if (!map)
        return -ENOENT;
    if (object->n_trimmed == PCN_ARRAY_SIZE(object->trimmed))
        return -E2BIG;
    object->trimmed[object->n_trimmed++] = map;
    return section_shrink(map, size + PCN_LINE_SLACK);
}

/* libbpf would copy zeros into them; they take over the name that the kernel has. */
static int object_make_trimmed(struct pcn_object *object)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);

    for (size_t i = 0; i < object->n_trimmed; i++) {
        struct bpf_map *map = object->trimmed[i];
        _cleanup_close_ int fd = -1;
        int r;

        if (bpf_map__fd(map) >= 0)
            continue;
        fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, bpf_map__name(map), sizeof(uint32_t), bpf_map__value_size(map), 1,
                            &options);
        if (fd < 0)
            return -errno;
        r = bpf_map__reuse_fd(map, fd);
        if (r < 0)
            return r;
    }
    return 0;
}

int pcn_object_load(struct pcn_object *object, struct pcn_error *error)
{
    int r;

    r = object_make_trimmed(object);
    if (r < 0)
        return r;
    captured.length = 0;
    captured.text[0] = '\0';
    r = bpf_object__load(object->bpf);
    /* Loading ends with closing the file. */
    pcn_freep(&object->elf);
    if (r < 0) {
        pcn_log_debug("%s", captured.text);
        object_explain(error, bpf_object__name(object->bpf), r);
        return r;
    }
    return 0;
}

int pcn_object_map_fd(const struct pcn_object *object, const char *map)
{
    return bpf_object__find_map_fd_by_name(object->bpf, map);
}

/* Offset of a variable in .rodata, by BTF: libbpf has no call for it. */
static int object_variable(const struct bpf_object *bpf, const char *name, uint32_t *ret_offset, uint32_t *ret_size)
{
    const struct btf *btf = bpf_object__btf(bpf);
    const struct btf_var_secinfo *info;
    const struct btf_type *section;
    int id;

    id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
    if (id < 0)
        return -ENOENT;
    section = btf__type_by_id(btf, (uint32_t)id);
    info = btf_var_secinfos(section);
    for (int i = 0; i < btf_vlen(section); i++) {
        const struct btf_type *variable = btf__type_by_id(btf, info[i].type);

        if (!pcn_streq(btf__name_by_offset(btf, variable->name_off), name))
            continue;
        *ret_offset = info[i].offset;
        *ret_size = info[i].size;
        return 0;
    }
    return -ENOENT;
}

int pcn_object_set(struct pcn_object *object, const char *variable, const void *value, size_t size)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, ".rodata");
    uint32_t offset, length;
    size_t map_size;
    char *memory;
    int r;

    if (!map)
        return -ENOENT;
    r = object_variable(object->bpf, variable, &offset, &length);
    if (r < 0)
        return r;
    if (length != size)
        return -EINVAL;
    memory = (char *)bpf_map__initial_value(map, &map_size);
    if (!memory || offset + size > map_size)
        return -EINVAL;
    memcpy(memory + offset, value, size);
    return 0;
}

int pcn_object_resize(struct pcn_object *object, const char *map_name, uint32_t entries)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, map_name);

    if (!map)
        return -ENOENT;
    return bpf_map__set_max_entries(map, entries);
}

enum pcn_direction pcn_object_direction(const struct pcn_object *object)
{
    return object->only ? (enum pcn_direction)(object->only - 1) : PCN_DIRECTION_MAX;
}

void pcn_object_lighten(struct pcn_object *object)
{
    object->light = true;
}

int pcn_object_renew(struct pcn_object *object, const char *map_name)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, map_name);

    if (!map)
        return -ENOENT;
    if (object->n_renewed == PCN_ARRAY_SIZE(object->renewed))
        return -E2BIG;
    object->renewed[object->n_renewed++] = map;
    return 0;
}

bool pcn_object_renews(const struct pcn_object *object, const struct bpf_map *map)
{
    for (size_t i = 0; i < object->n_renewed && !object->twin; i++) {
        if (object->renewed[i] == map)
            return true;
    }
    return false;
}
