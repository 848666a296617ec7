/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a module, and the questions that all generators ask of it. */
#include "codegen.h"
#include <libgen.h>
#include <model/model.h>
#include <sys/stat.h>

static int load_source(const char *path, char **ret_source)
{
    _cleanup_free_ char *source = NULL;
    size_t size;
    FILE *in = fopen(path, "re");

    if (!in) {
        fprintf(stderr, "%s: %m\n", path);
        return -errno;
    }
    source = malloc(PCN_GEN_SOURCE_MAX + 1);
    size = source ? fread(source, 1, PCN_GEN_SOURCE_MAX + 1, in) : 0;
    fclose(in);
    if (!source)
        return -ENOMEM;
    if (size == 0 || size > PCN_GEN_SOURCE_MAX || memchr(source, 0, size)) {
        fprintf(stderr, "%s: not a text of 1 to %d bytes\n", path, PCN_GEN_SOURCE_MAX);
        return -EINVAL;
    }
    source[size] = 0;
    *ret_source = TAKE_PTR(source);
    return 0;
}

static char *load_identifier(const char *name)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    pcn_gen_print_id(out, name);
    fclose(out);
    return text;
}

/* The file's name decides the names of what is generated, as the build knows no other. */
static char *load_file_name(const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    char *name;

    if (!copy)
        return NULL;
    name = basename(copy);
    name[strcspn(name, "@.")] = 0;
    return strdup(name);
}

static void load_complain(const struct pcn_gen *gen, const char *path)
{
    const struct ly_err_item *item = ly_err_first(gen->ctx);

    for (; item; item = item->next)
        if (item->level == LY_LLERR)
            fprintf(stderr, "%s: %s%s%s\n", path, item->msg, item->path ? " at " : "", item->path ? item->path : "");
}

static int load_compile(struct pcn_gen *gen, const char *path)
{
    _cleanup_free_ char *wrapped = NULL, *directory = strdup(path);
    struct pcn_error error = {};
    struct lys_module *module;
    int r;

    if (!directory)
        return -ENOMEM;
    r = pcn_wrap_module(gen->source, &wrapped, &error);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", path, error.message);
        return r;
    }
    r = pcn_model_context(dirname(directory), &gen->ctx);
    if (r < 0)
        return r;
    ly_log_options(LY_LOSTORE);
    if (lys_parse_mem(gen->ctx, wrapped, LYS_IN_YANG, &module) != LY_SUCCESS) {
        load_complain(gen, path);
        return -EINVAL;
    }
    gen->module = module;
    return 0;
}

static int load_look(struct pcn_gen *gen, const char *path)
{
    const struct lysp_module *parsed = gen->module->parsed;
    bool standard = false;

    gen->cube = lys_getnext(NULL, NULL, gen->module->compiled, 0);
    if (!gen->cube || gen->cube->nodetype != LYS_LIST) {
        fprintf(stderr, "%s: no data definitions\n", path);
        return -EINVAL;
    }
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(parsed->imports); i++) {
        standard = standard || pcn_streq(parsed->imports[i].name, "polycube-standard-base");
        gen->transparent = gen->transparent || pcn_streq(parsed->imports[i].name, "polycube-transparent-base");
    }
    if (standard == gen->transparent) {
        fprintf(stderr, "%s: a cube imports polycube-standard-base or polycube-transparent-base\n", path);
        return -EINVAL;
    }
    gen->kind = load_identifier(gen->module->name);
    gen->file = load_file_name(path);
    return gen->kind && gen->file ? 0 : -ENOMEM;
}

int pcn_gen_open(const char *path, struct pcn_gen *ret_gen)
{
    _cleanup_(pcn_gen_done) struct pcn_gen gen = {};
    int r;

    r = load_source(path, &gen.source);
    if (r < 0)
        return r;
    r = load_compile(&gen, path);
    if (r < 0)
        return r;
    r = load_look(&gen, path);
    if (r < 0)
        return r;
    *ret_gen = gen;
    gen = (struct pcn_gen){};
    return 0;
}

void pcn_gen_done(struct pcn_gen *gen)
{
    free(gen->source);
    free(gen->file);
    free(gen->kind);
    if (gen->ctx)
        ly_ctx_destroy(gen->ctx);
    *gen = (struct pcn_gen){};
}

static const char *extension_of(const struct lysc_ext_instance *extensions, const char *name)
{
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(extensions); i++)
        if (pcn_streq(extensions[i].def->name, name))
            return extensions[i].argument ? extensions[i].argument : "";
    return NULL;
}

const char *pcn_gen_about(const struct pcn_gen *gen, const char *extension)
{
    return extension_of(gen->module->compiled->exts, extension);
}

const char *pcn_gen_extension(const struct lysc_node *node, const char *extension)
{
    return extension_of(node->exts, extension);
}

const struct lysc_node *pcn_gen_next(const struct lysc_node *parent, const struct lysc_node *node)
{
    do
        node = lys_getnext(node, parent, NULL, 0);
    while (node && node->nodetype & LYS_NOTIF);
    return node;
}

bool pcn_gen_is_unit(const struct lysc_node *node)
{
    return node->nodetype & (LYS_CONTAINER | LYS_LIST);
}

bool pcn_gen_is_state(const struct lysc_node *node)
{
    return node->flags & LYS_CONFIG_R;
}

bool pcn_gen_is_key(const struct lysc_node *node)
{
    return node->nodetype == LYS_LEAF && node->flags & LYS_KEY;
}

bool pcn_gen_is_mandatory(const struct lysc_node *node)
{
    return pcn_gen_is_key(node) || node->flags & LYS_MAND_TRUE;
}

const struct lysc_type *pcn_gen_type(const struct lysc_node *node)
{
    const struct lysc_type *type = node->nodetype == LYS_LEAF ? ((const struct lysc_node_leaf *)node)->type
                                                              : ((const struct lysc_node_leaflist *)node)->type;

    if (type->basetype == LY_TYPE_LEAFREF)
        return ((const struct lysc_type_leafref *)type)->realtype;
    return type;
}

const char *pcn_gen_default(const struct lysc_node *node)
{
    const struct lysc_node_leaf *leaf = (const struct lysc_node_leaf *)node;

    if (node->nodetype != LYS_LEAF || !leaf->dflt)
        return NULL;
    return lyd_value_get_canonical(node->module->ctx, leaf->dflt);
}

void pcn_gen_print_path(FILE *out, const struct pcn_gen *gen, const struct lysc_node *node, const char *separator)
{
    if (!node || node == gen->cube)
        return;
    pcn_gen_print_path(out, gen, node->parent, separator);
    /* Not part of a data path. */
    if (node->nodetype & (LYS_CHOICE | LYS_CASE | LYS_INPUT | LYS_OUTPUT))
        return;
    if (node->parent != gen->cube)
        fputs(separator, out);
    fputs(node->name, out);
}
