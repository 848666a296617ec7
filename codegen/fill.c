/* SPDX-License-Identifier: Apache-2.0 */
#include "fill.h"

#define LOGGED_MAX 8 /* leaves that a handler logs; its author will want others anyway */

/* ---- what is the module's own ---- */

static const struct lysc_node *child_by_name(const struct lysc_node *parent, const char *name)
{
    const struct lysc_node *child = NULL;

    while (parent && (child = pcn_gen_next(parent, child)))
        if (pcn_streq(child->name, name))
            return child;
    return NULL;
}

/* Configuration, and not in the base module's node of the same place. */
static bool is_own_leaf(const struct lysc_node *leaf, const struct lysc_node *base)
{
    return leaf->nodetype == LYS_LEAF && !pcn_gen_is_state(leaf) && !child_by_name(base, leaf->name);
}

static const struct lysc_node *next_own_leaf(const struct lysc_node *unit, const struct lysc_node *base,
                                             const struct lysc_node *leaf)
{
    while ((leaf = pcn_gen_next(unit, leaf)))
        if (is_own_leaf(leaf, base))
            return leaf;
    return NULL;
}

/* ---- struct fast_path ---- */

static const struct lysc_node *next_member(const struct pcn_gen_fill *fill, const struct lysc_node *leaf)
{
    while ((leaf = next_own_leaf(fill->gen->cube, fill->base, leaf)))
        if (!pcn_gen_is_text(pcn_gen_type(leaf)))
            return leaf;
    return NULL;
}

static bool is_enum(const struct lysc_node *leaf)
{
    return pcn_gen_type(leaf)->basetype == LY_TYPE_ENUM;
}

static unsigned int member_size(const struct lysc_node *leaf)
{
    switch (pcn_gen_type(leaf)->basetype) {
    case LY_TYPE_UINT64:
    case LY_TYPE_INT64:
        return 8;
    case LY_TYPE_ENUM:
    case LY_TYPE_UINT32:
    case LY_TYPE_INT32:
        return 4;
    case LY_TYPE_UINT16:
    case LY_TYPE_INT16:
        return 2;
    default:
        return 1;
    }
}

static bool is_signed(const struct lysc_node *leaf)
{
    return pcn_gen_type(leaf)->basetype >= LY_TYPE_INT8;
}

/* Some names are taken by members that every fast path has. */
static void print_member(FILE *out, const char *name)
{
    pcn_gen_print_member(out, name);
    if (pcn_streq(name, "pad") || pcn_streq(name, "n_ports") || pcn_streq(name, "n-ports"))
        fputc('_', out);
}

static void write_member(FILE *out, const struct lysc_node *leaf)
{
    fprintf(out, "    __%c%u ", is_signed(leaf) ? 's' : 'u', member_size(leaf) * 8);
    print_member(out, leaf->name);
    fputc(';', out);
    if (is_enum(leaf)) {
        fputs(" /* enum fast_path_", out);
        pcn_gen_print_id(out, leaf->name);
        fputs(" */", out);
    }
    fputc('\n', out);
}

bool pcn_gen_fill_has_struct(const struct pcn_gen_fill *fill)
{
    return !fill->gen->transparent || next_member(fill, NULL);
}

static unsigned int write_members(FILE *out, const struct pcn_gen_fill *fill, unsigned int width)
{
    const struct lysc_node *leaf = NULL;
    unsigned int size = 0;

    while ((leaf = next_member(fill, leaf))) {
        if (member_size(leaf) != width)
            continue;
        write_member(out, leaf);
        size += width;
    }
    if (width != 2 || fill->gen->transparent)
        return size;
    fputs("    __u16 n_ports;\n    __u16 ports[2]; /* ids of the first two; FAST_PATH_NO_PORT: there is none */\n",
          out);
    return size + 3 * width;
}

static unsigned int write_has(FILE *out, const struct pcn_gen_fill *fill)
{
    unsigned int size = 0;

    for (const struct lysc_node *leaf = NULL; (leaf = next_member(fill, leaf));) {
        if (!pcn_gen_needs_has(leaf))
            continue;
        fputs("    __u8 has_", out);
        pcn_gen_print_id(out, leaf->name);
        fputs(";\n", out);
        size++;
    }
    return size;
}

void pcn_gen_fill_struct(FILE *out, const struct pcn_gen_fill *fill)
{
    unsigned int size = 0;

    fputs("struct fast_path {\n", out);
    for (unsigned int width = 8; width > 0; width /= 2)
        size += write_members(out, fill, width);
    size += write_has(out, fill);
    if (size % 8) {
        fprintf(out, "    __u8 pad[%u];\n", 8 - size % 8);
        size += 8 - size % 8;
    }
    fprintf(out, "};\n_Static_assert(sizeof(struct fast_path) == %u, \"the same on both sides\");\n", size);
}

static void print_enum_constant(FILE *out, const struct lysc_node *leaf, LY_ARRAY_COUNT_TYPE i)
{
    fputs("FAST_PATH_", out);
    pcn_gen_print_upper(out, leaf->name);
    fputc('_', out);
    pcn_gen_print_enum_item(out, leaf, i);
}

void pcn_gen_fill_enums(FILE *out, const struct pcn_gen_fill *fill)
{
    const struct lysc_node *leaf = NULL;

    while ((leaf = next_member(fill, leaf))) {
        const struct lysc_type_enum *type = (const struct lysc_type_enum *)pcn_gen_type(leaf);

        if (!is_enum(leaf))
            continue;
        fputs("/* The values are the model's. */\nenum fast_path_", out);
        pcn_gen_print_id(out, leaf->name);
        fputs(" {\n", out);
        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->enums); i++) {
            fputs("    ", out);
            print_enum_constant(out, leaf, i);
            fprintf(out, " = %d,\n", type->enums[i].value);
        }
        fputs("};\n\n", out);
    }
}

void pcn_gen_fill_asserts(FILE *out, const struct pcn_gen_fill *fill)
{
    const struct lysc_node *leaf = NULL;

    while ((leaf = next_member(fill, leaf))) {
        const struct lysc_type_enum *type = (const struct lysc_type_enum *)pcn_gen_type(leaf);

        if (!is_enum(leaf))
            continue;
        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->enums); i++) {
            fputs("_Static_assert((int)", out);
            print_enum_constant(out, leaf, i);
            fputs(" == (int)", out);
            pcn_gen_print_enum_prefix(out, fill->gen, fill->gen->cube, leaf);
            pcn_gen_print_enum_item(out, leaf, i);
            fputs(",\n               \"the fast path and the model number it alike\");\n", out);
        }
        fputc('\n', out);
    }
}

/* ---- handlers ---- */

static void write_store(FILE *out, const struct lysc_node *leaf)
{
    fputs("    __atomic_store_n(&fast_path->", out);
    print_member(out, leaf->name);
    fprintf(out, ", %sroot.", is_enum(leaf) ? "(uint32_t)" : "");
    pcn_gen_print_member(out, leaf->name);
    fputs(", __ATOMIC_RELAXED);\n", out);
    if (!pcn_gen_needs_has(leaf))
        return;
    fputs("    __atomic_store_n(&fast_path->has_", out);
    pcn_gen_print_id(out, leaf->name);
    fputs(", root.has_", out);
    pcn_gen_print_id(out, leaf->name);
    fputs(", __ATOMIC_RELAXED);\n", out);
}

/* "unit.leaf" as an argument of the format that write_log() gave it. */
static void print_argument(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit,
                           const struct lysc_node *leaf, const char *variable)
{
    const struct lysc_type *type = pcn_gen_type(leaf);

    if (type->basetype == LY_TYPE_ENUM) {
        pcn_gen_print_struct(out, gen, unit);
        fputc('_', out);
        pcn_gen_print_id(out, leaf->name);
        fputs("_name(", out);
    }
    fprintf(out, "%s.", variable);
    pcn_gen_print_member(out, leaf->name);
    if (type->basetype == LY_TYPE_ENUM) {
        fputc(')', out);
    } else if (type->basetype == LY_TYPE_BOOL) {
        fputs(" ? \"true\" : \"false\"", out);
    } else if (pcn_gen_is_text(type) && !pcn_gen_is_mandatory(leaf) && !pcn_gen_default(leaf)) {
        fprintf(out, " ? %s.", variable);
        pcn_gen_print_member(out, leaf->name);
        fputs(" : \"(none)\"", out);
    }
}

static const char *log_format(const struct lysc_node *leaf)
{
    if (pcn_gen_is_text(pcn_gen_type(leaf)) || pcn_gen_type(leaf)->basetype == LY_TYPE_BOOL || is_enum(leaf))
        return "%s";
    if (member_size(leaf) == 8)
        return is_signed(leaf) ? "%ld" : "%lu";
    return is_signed(leaf) ? "%d" : "%u";
}

static void write_log(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit, const struct lysc_node *leaf,
                      const char *variable)
{
    const char *indent = "    ";

    if (pcn_gen_needs_has(leaf)) {
        fprintf(out, "    if (%s.has_", variable);
        pcn_gen_print_id(out, leaf->name);
        fputs(")\n", out);
        indent = "        ";
    }
    fprintf(out, "%spcn_cube_log(cube, PCN_LOG_DEBUG, \"", indent);
    pcn_gen_print_path(out, gen, leaf, "/");
    fprintf(out, " is %s\", ", log_format(leaf));
    print_argument(out, gen, unit, leaf, variable);
    fputs(");\n", out);
}

static void write_root(FILE *out, const struct pcn_gen_fill *fill)
{
    const struct lysc_node *cube = fill->gen->cube, *leaf = NULL;
    bool data = next_member(fill, NULL) != NULL;

    if (!next_own_leaf(cube, fill->base, NULL))
        return;
    fprintf(out,
            "/* The cube's own leaves: when it is created, and whenever one of them changes. */\n"
            "int %s_root_apply(struct pcn_cube *cube, struct pcn_change *change)\n{\n%s    struct %s_root root;\n\n"
            "    if (!change->after)\n        return 0;\n    %s_root_read(change->after, &root);\n",
            fill->gen->kind, data ? "    struct fast_path *fast_path = pcn_cube_state(cube);\n" : "", fill->gen->kind,
            fill->gen->kind);
    while ((leaf = next_own_leaf(cube, fill->base, leaf))) {
        if (pcn_gen_is_text(pcn_gen_type(leaf)))
            write_log(out, fill->gen, cube, leaf, "root");
        else
            write_store(out, leaf);
    }
    fputs("    return 0;\n}\n\n", out);
}

static void write_apply(FILE *out, const struct pcn_gen_fill *fill, const struct lysc_node *unit,
                        const struct lysc_node *base)
{
    const struct lysc_node *leaf = NULL;
    unsigned int n = 0;

    fprintf(out, "/* %s ", unit->nodetype == LYS_LIST ? "An entry of" : "The container");
    pcn_gen_print_path(out, fill->gen, unit, "/");
    fputs(": what follows from it is to be written to the maps here. */\nint ", out);
    pcn_gen_print_struct(out, fill->gen, unit);
    fputs("_apply(struct pcn_cube *cube, struct pcn_change *change)\n{\n    struct ", out);
    pcn_gen_print_struct(out, fill->gen, unit);
    fprintf(out, " %s;\n\n    if (!change->after) {\n        pcn_cube_log(cube, PCN_LOG_DEBUG, \"",
            unit->nodetype == LYS_LIST ? "entry" : "values");
    pcn_gen_print_path(out, fill->gen, unit, "/");
    if (unit->nodetype == LYS_LIST)
        fputs(" %s: deleted\", change->keys[change->n_keys - 1]);\n", out);
    else
        fputs(": deleted\");\n", out);
    fputs("        return 0;\n    }\n    ", out);
    pcn_gen_print_struct(out, fill->gen, unit);
    fprintf(out, "_read(change->after, &%s);\n", unit->nodetype == LYS_LIST ? "entry" : "values");
    while (n++ < LOGGED_MAX && (leaf = next_own_leaf(unit, base, leaf)))
        write_log(out, fill->gen, unit, leaf, unit->nodetype == LYS_LIST ? "entry" : "values");
    fputs("    return 0;\n}\n\n", out);
}

static void write_units(FILE *out, const struct pcn_gen_fill *fill, const struct lysc_node *above,
                        const struct lysc_node *base)
{
    const struct lysc_node *unit = NULL;

    while ((unit = pcn_gen_next(above, unit))) {
        const struct lysc_node *unit_base = child_by_name(base, unit->name);

        if (!pcn_gen_is_unit(unit) || pcn_gen_is_state(unit))
            continue;
        if (next_own_leaf(unit, unit_base, NULL))
            write_apply(out, fill, unit, unit_base);
        write_units(out, fill, unit, unit_base);
    }
}

void pcn_gen_fill_units(FILE *out, const struct pcn_gen_fill *fill)
{
    write_root(out, fill);
    write_units(out, fill, fill->gen->cube, fill->base);
}
