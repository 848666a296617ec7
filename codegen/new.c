/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `new`: the folder of a new cube. It is written beside its place and moved
 * there as a whole, so that nothing is left of one that was refused.
 */
#include "fill.h"
#include "template.h"
#include <dirent.h>
#include <fcntl.h>
#include <model/model.h>
#include <sys/stat.h>

#define KIND_MAX 32

extern const char template_CMakeLists_txt[], template_README_md[], template_maps_h[], template_standard_bpf_c[],
    template_standard_c[], template_test_standard_c[], template_transparent_bpf_c[], template_transparent_c[],
    template_test_transparent_c[];

/* ---- what is refused ---- */

/* Words of the API, where a kind's name stands too, and names of the build's libraries, which are pcn-<name>. */
static const char *const reserved[] = {
    "attach",  "connect", "cubes",       "detach", "disconnect", "netdevs", "services", "topology",
    "version", "base",    "bpf",         "chain",  "codegen",    "daemon",  "e2e",      "flags",
    "harness", "http",    "polycubectl", "model",  "net",        "shadow",  "slowpath",
};

static int check_kind(const char *kind)
{
    size_t length = strlen(kind);

    if (length == 0 || length > KIND_MAX || strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_") != length ||
        kind[0] < 'a' || kind[0] > 'z') {
        fprintf(stderr, "%s: the name of a kind is 1 to %d lower-case letters, digits and _, a letter first\n", kind,
                KIND_MAX);
        return -EINVAL;
    }
    if (strncmp(kind, "pcn", 3) == 0) {
        fprintf(stderr, "%s: names of the project's own functions begin with pcn\n", kind);
        return -EINVAL;
    }
    for (size_t i = 0; i < PCN_ARRAY_SIZE(reserved); i++)
        if (pcn_streq(kind, reserved[i])) {
            fprintf(stderr, "%s: this word means something else\n", kind);
            return -EINVAL;
        }
    return 0;
}

static int check_module(const struct pcn_gen *gen, const char *kind, const char *path)
{
    const char *service = pcn_gen_about(gen, "service-name");

    if (!pcn_streq(gen->module->name, kind)) {
        fprintf(stderr, "%s: it is module %s: to be the model of %s it has to be module %s\n", path, gen->module->name,
                kind, kind);
        return -EINVAL;
    }
    if (service && !pcn_streq(service, kind)) {
        fprintf(stderr, "%s: its service-name is %s, not %s\n", path, service, kind);
        return -EINVAL;
    }
    return pcn_gen_types_check(gen);
}

/* ---- the base ---- */

/* The cube of a module that has nothing but the base. */
static int base_open(const struct pcn_gen *gen, struct ly_ctx **ret_ctx, const struct lysc_node **ret_base)
{
    const char *shape = gen->transparent ? "transparent" : "standard";
    _cleanup_free_ char *text = NULL, *wrapped = NULL;
    struct lys_module *module;
    struct ly_ctx *ctx;
    int r;

    if (asprintf(&text,
                 "module base-alone { yang-version 1.1; namespace \"urn:base-alone\"; prefix ba;"
                 "import polycube-%s-base { prefix b; } uses b:%s-base-yang-module; }",
                 shape, shape) < 0)
        return -ENOMEM;
    r = pcn_wrap_module(text, &wrapped, NULL);
    if (r < 0)
        return r;
    r = pcn_model_context(NULL, &ctx);
    if (r < 0)
        return r;
    if (lys_parse_mem(ctx, wrapped, LYS_IN_YANG, &module) != LY_SUCCESS) {
        ly_ctx_destroy(ctx);
        return -EINVAL;
    }
    *ret_ctx = ctx;
    *ret_base = lys_getnext(NULL, NULL, module->compiled, 0);
    return 0;
}

/* ---- what is filled in ---- */

/* A description in one line, without the full stop; as_c: as it stands in a C string. */
static void print_line(FILE *out, const char *text, bool as_c)
{
    size_t length = strlen(text);

    while (length && strchr(". \t\r\n", text[length - 1]))
        length--;
    for (size_t i = 0; i < length; i++) {
        if (strchr(" \t\r\n", text[i])) {
            fputs(i > 0 && strchr(" \t\r\n", text[i - 1]) ? "" : " ", out);
            continue;
        }
        if (as_c && strchr("\"\\", text[i]))
            fputc('\\', out);
        fputc(text[i], out);
    }
}

static void print_kind(FILE *out, const struct pcn_gen_fill *fill)
{
    fputs(fill->gen->kind, out);
}

static void print_standard(FILE *out, const struct pcn_gen_fill *fill)
{
    fputs(fill->gen->transparent ? "" : "yes", out);
}

static void print_transparent(FILE *out, const struct pcn_gen_fill *fill)
{
    fputs(fill->gen->transparent ? "yes" : "", out);
}

static void print_data(FILE *out, const struct pcn_gen_fill *fill)
{
    fputs(pcn_gen_fill_has_struct(fill) ? "yes" : "", out);
}

static const char *about(const struct pcn_gen_fill *fill, const char *extension, const char *otherwise)
{
    const char *text = pcn_gen_about(fill->gen, extension);

    return text && *text ? text : otherwise;
}

static void print_about(FILE *out, const struct pcn_gen_fill *fill)
{
    print_line(out, about(fill, "service-description", fill->gen->kind), false);
}

static void print_description(FILE *out, const struct pcn_gen_fill *fill)
{
    print_line(out, about(fill, "service-description", fill->gen->kind), true);
}

static void print_version(FILE *out, const struct pcn_gen_fill *fill)
{
    print_line(out, about(fill, "service-version", "1.0.0"), true);
}

static const struct {
    const char *name;
    void (*print)(FILE *out, const struct pcn_gen_fill *fill);
} parts[] = {
    {"kind", print_kind},
    {"standard", print_standard},
    {"transparent", print_transparent},
    {"data", print_data},
    {"about", print_about},
    {"description", print_description},
    {"version", print_version},
    {"enums", pcn_gen_fill_enums},
    {"struct", pcn_gen_fill_struct},
    {"asserts", pcn_gen_fill_asserts},
    {"units", pcn_gen_fill_units},
};

struct values {
    struct pcn_gen_value list[PCN_ARRAY_SIZE(parts)];
    char *texts[PCN_ARRAY_SIZE(parts)];
};

static void values_done(struct values *values)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(parts); i++)
        free(values->texts[i]);
}

static int values_fill(struct values *values, const struct pcn_gen_fill *fill)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(parts); i++) {
        size_t length;
        FILE *out = open_memstream(&values->texts[i], &length);

        if (!out)
            return -ENOMEM;
        parts[i].print(out, fill);
        if (fclose(out))
            return -ENOMEM;
        values->list[i] = (struct pcn_gen_value){parts[i].name, values->texts[i]};
    }
    return 0;
}

/* ---- the folder ---- */

/* directory/.kind.XXXXXX, on its way to become directory/kind. */
struct folder {
    char *path;
    char *target;
};

static void folder_discard(struct folder *folder)
{
    DIR *dir = folder->path ? opendir(folder->path) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (folder->path)
        (void)rmdir(folder->path);
    free(folder->path);
    free(folder->target);
}

static int folder_open(struct folder *folder, const char *directory, const char *kind)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&folder->target, "%s/%s", directory, kind) < 0 ||
        asprintf(&path, "%s/.%s.XXXXXX", directory, kind) < 0)
        return -ENOMEM;
    if (access(folder->target, F_OK) == 0) {
        fprintf(stderr, "%s: there is one already\n", folder->target);
        return -EEXIST;
    }
    if (!mkdtemp(path)) {
        fprintf(stderr, "%s: %m\n", directory);
        return -errno;
    }
    folder->path = TAKE_PTR(path);
    /* mkdtemp() lets nobody else in. */
    return chmod(folder->path, 0755) < 0 ? -errno : 0;
}

static int folder_commit(struct folder *folder)
{
    if (renameat2(AT_FDCWD, folder->path, AT_FDCWD, folder->target, RENAME_NOREPLACE) < 0) {
        fprintf(stderr, "%s: %m\n", folder->target);
        return -errno;
    }
    free(TAKE_PTR(folder->path));
    return 0;
}

/* "*" in the pattern of the file's name is the kind. values NULL: text is no template. */
static int folder_add(const struct folder *folder, const char *pattern, const char *kind, const char *text,
                      const struct values *values)
{
    _cleanup_(pcn_gen_file_discardp) struct pcn_gen_file file = {};
    _cleanup_free_ char *name = NULL;
    const char *star = strchr(pattern, '*');
    int r;

    if (asprintf(&name, "%.*s%s%s", star ? (int)(star - pattern) : 0, pattern, star ? kind : "",
                 star ? star + 1 : pattern) < 0)
        return -ENOMEM;
    r = pcn_gen_file_open(folder->path, name, &file);
    if (r < 0)
        return r;
    if (values)
        r = pcn_gen_template_write(file.out, text, values->list, PCN_ARRAY_SIZE(parts));
    else
        fputs(text, file.out);
    return r < 0 ? r : pcn_gen_file_commit(&file);
}

static int folder_fill(const struct folder *folder, const struct pcn_gen_fill *fill, const struct values *values)
{
    const struct pcn_gen *gen = fill->gen;
    const struct {
        const char *name;
        const char *text;
        bool wanted;
    } files[] = {
        {"CMakeLists.txt", template_CMakeLists_txt, true},
        {"README.md", template_README_md, true},
        {"*_maps.h", template_maps_h, pcn_gen_fill_has_struct(fill)},
        {"*.bpf.c", gen->transparent ? template_transparent_bpf_c : template_standard_bpf_c, true},
        {"*.c", gen->transparent ? template_transparent_c : template_standard_c, true},
        {"test_*.c", gen->transparent ? template_test_transparent_c : template_test_standard_c, true},
    };
    int r;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(files); i++) {
        if (!files[i].wanted)
            continue;
        r = folder_add(folder, files[i].name, gen->kind, files[i].text, values);
        if (r < 0)
            return r;
    }
    return folder_add(folder, "*.yang", gen->kind, gen->source, NULL);
}

/* The model is alone in its folder: what it imported from where it came from is not there. */
static int folder_check(const struct folder *folder, const char *kind, const char *path)
{
    _cleanup_(pcn_gen_done) struct pcn_gen alone = {};
    _cleanup_free_ char *copy = NULL;
    int r;

    if (asprintf(&copy, "%s/%s.yang", folder->path, kind) < 0)
        return -ENOMEM;
    r = pcn_gen_open(copy, &alone);
    if (r < 0)
        fprintf(stderr,
                "%s: a cube's model is one file; it can import polycube-*, ietf-inet-types and ietf-yang-types\n",
                path);
    return r;
}

static int write_folder(const struct pcn_gen_fill *fill, const char *path, const char *directory)
{
    _cleanup_(folder_discard) struct folder folder = {};
    _cleanup_(values_done) struct values values = {};
    const char *kind = fill->gen->kind;
    int r;

    r = values_fill(&values, fill);
    if (r < 0)
        return r;
    r = folder_open(&folder, directory, kind);
    if (r < 0)
        return r;
    r = folder_fill(&folder, fill, &values);
    if (r < 0)
        return r;
    r = folder_check(&folder, kind, path);
    if (r < 0)
        return r;
    r = folder_commit(&folder);
    if (r < 0)
        return r;
    printf("%s\n", folder.target);
    return 0;
}

int pcn_gen_new(const char *kind, const char *path, const char *directory)
{
    _cleanup_(pcn_gen_done) struct pcn_gen gen = {};
    struct pcn_gen_fill fill = {.gen = &gen};
    struct ly_ctx *base_ctx = NULL;
    int r;

    r = check_kind(kind);
    if (r < 0)
        return r;
    r = pcn_gen_open(path, &gen);
    if (r < 0)
        return r;
    r = check_module(&gen, kind, path);
    if (r < 0)
        return r;
    r = base_open(&gen, &base_ctx, &fill.base);
    if (r < 0)
        return r;
    r = write_folder(&fill, path, directory ? directory : "cubes");
    ly_ctx_destroy(base_ctx);
    return r;
}
