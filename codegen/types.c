/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `types`: enums, structs with a reader each, and the table of handlers.
 *
 * A struct holds the leaves that can be configured: state is not in the tree.
 * The table names handlers by weak symbols, so those that a cube's author does
 * not write are NULL; the prototypes are strong, so what is written is checked.
 */
#include "codegen.h"
#include <inttypes.h>
#include <limits.h>

#define UNITS_MAX 512

struct units {
    const struct lysc_node *nodes[UNITS_MAX]; /* the cube, containers, lists, inputs of actions; parents first */
    size_t n_nodes;
    const struct lysc_node *actions[UNITS_MAX];
    size_t n_actions;
};

static int units_collect(struct units *units, const struct lysc_node *node)
{
    const struct lysc_node *child = NULL;
    int r;

    if (units->n_nodes == UNITS_MAX || units->n_actions == UNITS_MAX) {
        fprintf(stderr, "more than %d containers, lists and actions\n", UNITS_MAX);
        return -E2BIG;
    }
    units->nodes[units->n_nodes++] = node;
    while ((child = pcn_gen_next(node, child))) {
        r = 0;
        if (pcn_gen_is_unit(child)) {
            r = units_collect(units, child);
        } else if (child->nodetype == LYS_ACTION) {
            units->actions[units->n_actions++] = child;
            r = units_collect(units, &((const struct lysc_node_action *)child)->input.node);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_member(const struct lysc_node *node)
{
    return node->nodetype == LYS_LEAF && !pcn_gen_is_state(node);
}

static bool has_members(const struct lysc_node *unit)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(unit, child)))
        if (is_member(child))
            return true;
    return false;
}

/* Below the input or output of an action nothing is handled: the action is. */
static bool is_handled(const struct lysc_node *unit)
{
    for (; unit; unit = unit->parent)
        if (unit->nodetype & (LYS_INPUT | LYS_OUTPUT))
            return false;
    return true;
}

static bool is_number(const struct lysc_type *type)
{
    return type->basetype >= LY_TYPE_INT8 || (type->basetype >= LY_TYPE_UINT8 && type->basetype <= LY_TYPE_UINT64);
}

bool pcn_gen_is_text(const struct lysc_type *type)
{
    return !is_number(type) && type->basetype != LY_TYPE_BOOL && type->basetype != LY_TYPE_ENUM;
}

bool pcn_gen_needs_has(const struct lysc_node *leaf)
{
    return !pcn_gen_is_text(pcn_gen_type(leaf)) && !pcn_gen_default(leaf) && !pcn_gen_is_mandatory(leaf);
}

static const char *number_name(const struct lysc_type *type)
{
    switch (type->basetype) {
    case LY_TYPE_UINT8:
        return "uint8_t";
    case LY_TYPE_UINT16:
        return "uint16_t";
    case LY_TYPE_UINT32:
        return "uint32_t";
    case LY_TYPE_UINT64:
        return "uint64_t";
    case LY_TYPE_INT8:
        return "int8_t";
    case LY_TYPE_INT16:
        return "int16_t";
    case LY_TYPE_INT32:
        return "int32_t";
    default:
        return "int64_t";
    }
}

void pcn_gen_print_struct(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    fprintf(out, "%s_", gen->kind);
    pcn_gen_print_unit(out, gen, unit, false);
    if (unit->nodetype == LYS_INPUT)
        fputs("_input", out);
}

/* "<kind>_<unit>_<leaf>" */
static void print_enum(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit, const struct lysc_node *leaf)
{
    pcn_gen_print_struct(out, gen, unit);
    fputc('_', out);
    pcn_gen_print_id(out, leaf->name);
}

void pcn_gen_print_enum_prefix(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit,
                               const struct lysc_node *leaf)
{
    pcn_gen_print_upper(out, gen->kind);
    fputc('_', out);
    pcn_gen_print_unit(out, gen, unit, true);
    fputs(unit->nodetype == LYS_INPUT ? "_INPUT_" : "_", out);
    pcn_gen_print_upper(out, leaf->name);
    fputc('_', out);
}

static char *upper(const char *name)
{
    size_t size;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        abort();
    pcn_gen_print_upper(out, name);
    fclose(out);
    return text;
}

/* Two names may differ only in what C cannot write ("ip+port", "ip-port"): then the value tells them apart. */
void pcn_gen_print_enum_item(FILE *out, const struct lysc_node *leaf, LY_ARRAY_COUNT_TYPE i)
{
    const struct lysc_type_enum *type = (const struct lysc_type_enum *)pcn_gen_type(leaf);
    _cleanup_free_ char *name = upper(type->enums[i].name);
    bool alone = !pcn_streq(name, "MAX");

    for (LY_ARRAY_COUNT_TYPE k = 0; alone && k < LY_ARRAY_COUNT(type->enums); k++) {
        _cleanup_free_ char *other = upper(type->enums[k].name);

        alone = k == i || !pcn_streq(name, other);
    }
    fputs(name, out);
    if (!alone)
        fprintf(out, "_%s%u", type->enums[i].value < 0 ? "M" : "", (unsigned int)abs(type->enums[i].value));
}

static void write_enum(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit, const struct lysc_node *leaf)
{
    const struct lysc_type_enum *type = (const struct lysc_type_enum *)pcn_gen_type(leaf);
    int32_t highest = INT32_MIN;

    if (leaf->dsc)
        pcn_gen_print_comment(out, 0, leaf->dsc);
    fputs("enum ", out);
    print_enum(out, gen, unit, leaf);
    fputs(" {\n", out);
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->enums); i++) {
        if (type->enums[i].dsc)
            pcn_gen_print_comment(out, 4, type->enums[i].dsc);
        fputs("    ", out);
        pcn_gen_print_enum_prefix(out, gen, unit, leaf);
        pcn_gen_print_enum_item(out, leaf, i);
        fprintf(out, " = %" PRId32 ",\n", type->enums[i].value);
        highest = PCN_MAX(highest, type->enums[i].value);
    }
    if (highest < INT32_MAX) {
        fputs("    ", out);
        pcn_gen_print_enum_prefix(out, gen, unit, leaf);
        fprintf(out, "MAX = %" PRId32 ",\n", highest + 1);
    }
    fputs("};\nconst char *", out);
    print_enum(out, gen, unit, leaf);
    fputs("_name(enum ", out);
    print_enum(out, gen, unit, leaf);
    fputs(" value);\n\n", out);
}

static void write_member(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit,
                         const struct lysc_node *leaf)
{
    const struct lysc_type *type = pcn_gen_type(leaf);

    if (leaf->dsc)
        pcn_gen_print_comment(out, 4, leaf->dsc);
    fputs("    ", out);
    if (type->basetype == LY_TYPE_ENUM) {
        fputs("enum ", out);
        print_enum(out, gen, unit, leaf);
        fputc(' ', out);
    } else if (type->basetype == LY_TYPE_BOOL) {
        fputs("bool ", out);
    } else if (is_number(type)) {
        fprintf(out, "%s ", number_name(type));
    } else {
        fputs("const char *", out);
    }
    pcn_gen_print_member(out, leaf->name);
    fputs(";\n", out);
    if (pcn_gen_needs_has(leaf)) {
        fputs("    bool has_", out);
        pcn_gen_print_id(out, leaf->name);
        fputs(";\n", out);
    }
}

static void write_struct(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(unit, child)))
        if (child->nodetype == LYS_LEAF && pcn_gen_type(child)->basetype == LY_TYPE_ENUM)
            write_enum(out, gen, unit, child);
    if (!has_members(unit))
        return;
    if (unit->dsc)
        pcn_gen_print_comment(out, 0, unit->dsc);
    fputs("struct ", out);
    pcn_gen_print_struct(out, gen, unit);
    fputs(" {\n", out);
    for (child = NULL; (child = pcn_gen_next(unit, child));)
        if (is_member(child))
            write_member(out, gen, unit, child);
    fputs("};\nvoid ", out);
    pcn_gen_print_struct(out, gen, unit);
    fputs("_read(const struct pcn_node *node, struct ", out);
    pcn_gen_print_struct(out, gen, unit);
    fputs(" *ret);\n\n", out);
}

/* ---- handlers ---- */

#define ON_CONFIG 1u
#define ON_LIST 2u

static const struct {
    const char *name;
    const char *result;
    const char *arguments;
    unsigned int on;
} phases[] = {
    {"validate", "int", "struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error", ON_CONFIG},
    {"prepare", "int", "struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error", ON_CONFIG},
    {"abort", "void", "struct pcn_cube *cube, struct pcn_change *change", ON_CONFIG},
    {"apply", "int", "struct pcn_cube *cube, struct pcn_change *change", ON_CONFIG},
    {"state", "int", "struct pcn_cube *cube, const char *const *keys, size_t n_keys,\n    struct pcn_emitter *emitter",
     0},
    {"entries", "int",
     "struct pcn_cube *cube, const char *const *keys, size_t n_keys,\n    struct pcn_emitter *emitter", ON_LIST},
    {"forget", "int", "struct pcn_cube *cube, const char *const *keys, size_t n_keys", ON_LIST},
};

static bool phase_fits(const struct pcn_gen *gen, const struct lysc_node *unit, unsigned int on)
{
    if (on & ON_CONFIG && pcn_gen_is_state(unit))
        return false;
    return !(on & ON_LIST) || (unit->nodetype == LYS_LIST && unit != gen->cube);
}

static void write_prototypes(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(phases); i++) {
        if (!phase_fits(gen, unit, phases[i].on))
            continue;
        fprintf(out, "%s ", phases[i].result);
        pcn_gen_print_struct(out, gen, unit);
        fprintf(out, "_%s(%s);\n", phases[i].name, phases[i].arguments);
    }
    fputc('\n', out);
}

static void write_header(FILE *out, const struct pcn_gen *gen, const struct units *units)
{
    size_t n_handlers = units->n_actions;

    fprintf(out, "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by pcn-codegen from %s.yang. */\n", gen->file);
    fputs(
        "#pragma once\n#include <pcn/cube.h>\n\n"
        "/*\n * Units: the cube (root), its containers, its lists. <unit>_read() fills in a unit's configuration; strings\n"
        " * live as long as the node. <enum>_name() is the name that YANG gives to a value, or NULL.\n */\n\n",
        out);
    for (size_t i = 0; i < units->n_nodes; i++)
        write_struct(out, gen, units->nodes[i]);
    fputs("/* Handlers: those that the cube does not define are NULL in the table. */\n", out);
    for (size_t i = 0; i < units->n_nodes; i++)
        n_handlers += is_handled(units->nodes[i]);
    /* The size is in the declaration, so that PCN_ARRAY_SIZE() of it is a constant: the kind's table needs one. */
    fprintf(out, "extern const struct pcn_handler %s_handlers[%zu];\nextern const size_t %s_n_handlers;\n\n", gen->kind,
            n_handlers, gen->kind);
    fputs("#pragma GCC visibility push(hidden)\n", out);
    for (size_t i = 0; i < units->n_nodes; i++)
        if (is_handled(units->nodes[i]))
            write_prototypes(out, gen, units->nodes[i]);
    for (size_t i = 0; i < units->n_actions; i++) {
        if (units->actions[i]->dsc)
            pcn_gen_print_comment(out, 0, units->actions[i]->dsc);
        fputs("int ", out);
        pcn_gen_print_struct(out, gen, units->actions[i]);
        fputs("_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,\n"
              "    const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error);\n",
              out);
    }
    fputs("#pragma GCC visibility pop\n", out);
}

/* ---- the source ---- */

static void write_name(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit, const struct lysc_node *leaf)
{
    const struct lysc_type_enum *type = (const struct lysc_type_enum *)pcn_gen_type(leaf);

    fputs("const char *", out);
    print_enum(out, gen, unit, leaf);
    fputs("_name(enum ", out);
    print_enum(out, gen, unit, leaf);
    fputs(" value)\n{\n    switch ((int)value) {\n", out);
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->enums); i++) {
        fputs("    case ", out);
        pcn_gen_print_enum_prefix(out, gen, unit, leaf);
        pcn_gen_print_enum_item(out, leaf, i);
        fputs(":\n        return \"", out);
        for (const char *c = type->enums[i].name; *c; c++)
            fprintf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        fputs("\";\n", out);
    }
    fputs("    default:\n        return NULL;\n    }\n}\n\n", out);
}

static void write_enum_default(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit,
                               const struct lysc_node *leaf, const char *value)
{
    const struct lysc_type_enum *type = (const struct lysc_type_enum *)pcn_gen_type(leaf);

    for (LY_ARRAY_COUNT_TYPE i = 0; value && i < LY_ARRAY_COUNT(type->enums); i++) {
        if (!pcn_streq(type->enums[i].name, value))
            continue;
        pcn_gen_print_enum_prefix(out, gen, unit, leaf);
        pcn_gen_print_enum_item(out, leaf, i);
        return;
    }
    fputc('0', out);
}

/* The lowest int64 cannot be written as a minus and a number. */
static void write_number(FILE *out, const struct lysc_type *type, const char *value)
{
    if (!value)
        fputc('0', out);
    else if (type->basetype == LY_TYPE_UINT64)
        fprintf(out, "UINT64_C(%s)", value);
    else if (type->basetype == LY_TYPE_INT64 && strtoll(value, NULL, 10) == INT64_MIN)
        fputs("INT64_MIN", out);
    else if (type->basetype == LY_TYPE_INT64)
        fprintf(out, "INT64_C(%s)", value);
    else
        fputs(value, out);
}

static void write_reader(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit,
                         const struct lysc_node *leaf)
{
    const struct lysc_type *type = pcn_gen_type(leaf);
    const char *value = pcn_gen_default(leaf);

    fputs("    ret->", out);
    pcn_gen_print_member(out, leaf->name);
    if (type->basetype == LY_TYPE_ENUM) {
        fputs(" = (enum ", out);
        print_enum(out, gen, unit, leaf);
        fprintf(out, ")pcn_node_int(node, \"%s\", ", leaf->name);
        write_enum_default(out, gen, unit, leaf, value);
        fputs(");\n", out);
    } else if (type->basetype == LY_TYPE_BOOL) {
        fprintf(out, " = pcn_node_bool(node, \"%s\", %s);\n", leaf->name, value ? value : "false");
    } else if (is_number(type)) {
        fprintf(out, " = (%s)pcn_node_%s(node, \"%s\", ", number_name(type),
                type->basetype >= LY_TYPE_INT8 ? "int" : "uint", leaf->name);
        write_number(out, type, value);
        fputs(");\n", out);
    } else {
        fprintf(out, " = pcn_node_string(node, \"%s\");\n", leaf->name);
    }
    if (pcn_gen_needs_has(leaf)) {
        fputs("    ret->has_", out);
        pcn_gen_print_id(out, leaf->name);
        fprintf(out, " = pcn_node_string(node, \"%s\") != NULL;\n", leaf->name);
    }
}

static void write_readers(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(unit, child)))
        if (child->nodetype == LYS_LEAF && pcn_gen_type(child)->basetype == LY_TYPE_ENUM)
            write_name(out, gen, unit, child);
    if (!has_members(unit))
        return;
    fputs("void ", out);
    pcn_gen_print_struct(out, gen, unit);
    fputs("_read(const struct pcn_node *node, struct ", out);
    pcn_gen_print_struct(out, gen, unit);
    fputs(" *ret)\n{\n", out);
    for (child = NULL; (child = pcn_gen_next(unit, child));)
        if (is_member(child))
            write_reader(out, gen, unit, child);
    fputs("}\n\n", out);
}

static void write_weak(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(phases); i++) {
        if (!phase_fits(gen, unit, phases[i].on))
            continue;
        fputs("#pragma weak ", out);
        pcn_gen_print_struct(out, gen, unit);
        fprintf(out, "_%s\n", phases[i].name);
    }
}

static void write_entry(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    fputs("    {\n        .path = \"", out);
    pcn_gen_print_path(out, gen, unit, "/");
    fputs("\",\n", out);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(phases); i++) {
        if (!phase_fits(gen, unit, phases[i].on))
            continue;
        fprintf(out, "        .%s = ", phases[i].name);
        pcn_gen_print_struct(out, gen, unit);
        fprintf(out, "_%s,\n", phases[i].name);
    }
    fputs("    },\n", out);
}

static void write_table(FILE *out, const struct pcn_gen *gen, const struct units *units)
{
    for (size_t i = 0; i < units->n_nodes; i++)
        if (is_handled(units->nodes[i]))
            write_weak(out, gen, units->nodes[i]);
    for (size_t i = 0; i < units->n_actions; i++) {
        fputs("#pragma weak ", out);
        pcn_gen_print_struct(out, gen, units->actions[i]);
        fputs("_action\n", out);
    }
    fprintf(out, "\nconst struct pcn_handler %s_handlers[] = {\n", gen->kind);
    for (size_t i = 0; i < units->n_nodes; i++)
        if (is_handled(units->nodes[i]))
            write_entry(out, gen, units->nodes[i]);
    for (size_t i = 0; i < units->n_actions; i++) {
        fputs("    {\n        .path = \"", out);
        pcn_gen_print_path(out, gen, units->actions[i], "/");
        fputs("\",\n        .action = ", out);
        pcn_gen_print_struct(out, gen, units->actions[i]);
        fputs("_action,\n    },\n", out);
    }
    fprintf(out, "};\nconst size_t %s_n_handlers = PCN_ARRAY_SIZE(%s_handlers);\n", gen->kind, gen->kind);
}

static void write_source(FILE *out, const struct pcn_gen *gen, const struct units *units)
{
    fprintf(out, "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by pcn-codegen from %s.yang. */\n", gen->file);
    fprintf(out, "#include \"%s_model.h\"\n\n", gen->file);
    for (size_t i = 0; i < units->n_nodes; i++)
        write_readers(out, gen, units->nodes[i]);
    write_table(out, gen, units);
}

/* ---- names that meet ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t split_lines(char *text, char **ret_lines, size_t max)
{
    size_t n = 0;

    for (char *line = strtok(text, "\n"); line && n < max; line = strtok(NULL, "\n"))
        ret_lines[n++] = line;
    return n;
}

static void print_members(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(unit, child))) {
        if (!is_member(child))
            continue;
        pcn_gen_print_struct(out, gen, unit);
        fputc('.', out);
        pcn_gen_print_member(out, child->name);
        fputc('\n', out);
        if (!pcn_gen_needs_has(child))
            continue;
        pcn_gen_print_struct(out, gen, unit);
        fputs(".has_", out);
        pcn_gen_print_id(out, child->name);
        fputc('\n', out);
    }
}

/* "a-b" and container "a" with "b" are one name in C: such a model is refused, with the name. */
static int check_names(const struct pcn_gen *gen, const struct units *units)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_free_ char **lines = calloc(UNITS_MAX * 32, sizeof(*lines));
    size_t size, n;
    FILE *out = open_memstream(&text, &size);

    if (!out || !lines)
        return -ENOMEM;
    for (size_t i = 0; i < units->n_nodes; i++) {
        const struct lysc_node *child = NULL;

        pcn_gen_print_struct(out, gen, units->nodes[i]);
        fputc('\n', out);
        while ((child = pcn_gen_next(units->nodes[i], child))) {
            if (child->nodetype != LYS_LEAF || pcn_gen_type(child)->basetype != LY_TYPE_ENUM)
                continue;
            print_enum(out, gen, units->nodes[i], child);
            fputc('\n', out);
        }
        print_members(out, gen, units->nodes[i]);
    }
    fclose(out);
    n = split_lines(text, lines, UNITS_MAX * 32);
    qsort(lines, n, sizeof(*lines), compare_names);
    for (size_t i = 1; i < n; i++)
        if (pcn_streq(lines[i - 1], lines[i])) {
            fprintf(stderr, "%s.yang: two nodes would both be called %s in C: rename one\n", gen->file, lines[i]);
            return -EINVAL;
        }
    return 0;
}

static int write_file(const struct pcn_gen *gen, const struct units *units, const char *directory, const char *suffix,
                      void (*write)(FILE *, const struct pcn_gen *, const struct units *))
{
    _cleanup_(pcn_gen_file_discardp) struct pcn_gen_file file = {};
    _cleanup_free_ char *name = NULL;
    int r;

    if (asprintf(&name, "%s_model.%s", gen->file, suffix) < 0)
        return -ENOMEM;
    r = pcn_gen_file_open(directory, name, &file);
    if (r < 0)
        return r;
    write(file.out, gen, units);
    return pcn_gen_file_commit(&file);
}

static int units_new(const struct pcn_gen *gen, struct units **ret_units)
{
    _cleanup_free_ struct units *units = calloc(1, sizeof(*units));
    int r;

    if (!units)
        return -ENOMEM;
    r = units_collect(units, gen->cube);
    if (r < 0)
        return r;
    r = check_names(gen, units);
    if (r < 0)
        return r;
    *ret_units = TAKE_PTR(units);
    return 0;
}

int pcn_gen_types_check(const struct pcn_gen *gen)
{
    _cleanup_free_ struct units *units = NULL;

    return units_new(gen, &units);
}

int pcn_gen_types(const struct pcn_gen *gen, const char *directory)
{
    _cleanup_free_ struct units *units = NULL;
    int r;

    r = units_new(gen, &units);
    if (r < 0)
        return r;
    r = write_file(gen, units, directory, "h", write_header);
    return r < 0 ? r : write_file(gen, units, directory, "c", write_source);
}
