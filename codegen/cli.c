/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cli`: the commands that polycubectl takes for a kind, as Markdown. A section
 * for each unit: its commands, the table of its leaves, its actions.
 */
#include "codegen.h"

#define EXAMPLE_MAX 6 /* parameters in an example; more do not make it clearer */

static bool is_settable(const struct lysc_node *node)
{
    return node->nodetype & (LYS_LEAF | LYS_LEAFLIST) && !pcn_gen_is_state(node) && !pcn_gen_is_key(node);
}

static bool is_init_only(const struct lysc_node *node)
{
    return pcn_gen_extension(node, "init-only-config") != NULL;
}

/* ---- words of a command ---- */

/* "<address>", or where an example is wanted and given: "aa:bb:cc:dd:ee:ff". */
static void print_value(FILE *out, const struct lysc_node *leaf, bool example)
{
    const char *text = pcn_gen_extension(leaf, "cli-example");
    const struct lysc_type_enum *type = (const struct lysc_type_enum *)pcn_gen_type(leaf);

    if (example && text && *text)
        fputs(text, out);
    else if (example && type->basetype == LY_TYPE_ENUM)
        fputs(type->enums[0].name, out);
    else if (example && pcn_gen_default(leaf) && *pcn_gen_default(leaf))
        fputs(pcn_gen_default(leaf), out);
    else
        fprintf(out, "<%s>", leaf->name);
}

static void print_keys(FILE *out, const struct lysc_node *list, bool example)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(list, child))) {
        if (!pcn_gen_is_key(child))
            continue;
        fputc(' ', out);
        print_value(out, child, example);
    }
}

/* Words from the cube's name down to node, keys of the lists above it included, its own not. */
static void print_words(FILE *out, const struct pcn_gen *gen, const struct lysc_node *node, bool example)
{
    if (node == gen->cube) {
        fputs(example ? gen->module->name : "<cube>", out);
        if (example)
            fputc('1', out);
        return;
    }
    if (node->nodetype & (LYS_CHOICE | LYS_CASE | LYS_INPUT | LYS_OUTPUT)) {
        print_words(out, gen, node->parent, example);
        return;
    }
    print_words(out, gen, node->parent, example);
    for (const struct lysc_node *above = node->parent; above && above != gen->cube; above = above->parent) {
        if (above->nodetype & (LYS_CHOICE | LYS_CASE))
            continue;
        if (above->nodetype == LYS_LIST)
            print_keys(out, above, example);
        break;
    }
    fprintf(out, " %s", node->name);
}

/* " a=<a> [b=<b>]": the mandatory ones first. on_set: those that can be changed later, all of them optional. */
static void print_parameters(FILE *out, const struct lysc_node *unit, bool example, bool on_set)
{
    unsigned int n = 0;

    for (int mandatory = 1; mandatory >= 0; mandatory--) {
        const struct lysc_node *child = NULL;

        while ((child = pcn_gen_next(unit, child))) {
            bool needed = pcn_gen_is_mandatory(child) && !on_set;

            if (child->nodetype != LYS_LEAF || !is_settable(child) || needed != !!mandatory ||
                (on_set && is_init_only(child)) || (example && n++ >= EXAMPLE_MAX))
                continue;
            fprintf(out, needed || example ? " %s=" : " [%s=", child->name);
            print_value(out, child, example);
            fputs(needed || example ? "" : "]", out);
        }
    }
}

static bool has_settable(const struct lysc_node *unit, bool on_set)
{
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(unit, child)))
        if (child->nodetype == LYS_LEAF && is_settable(child) && !(on_set && is_init_only(child)))
            return true;
    return false;
}

/* ---- sections ---- */

/* A cell of a table: one line, no bar. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputs("\\|", out);
        else
            fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out);
    }
}

static void write_leaf(FILE *out, const struct lysc_node *leaf)
{
    const char *value = pcn_gen_default(leaf);
    _cleanup_free_ char *type = NULL;
    size_t size;
    FILE *memory = open_memstream(&type, &size);

    if (!memory)
        abort();
    pcn_gen_print_type(memory, leaf);
    fclose(memory);
    fprintf(out, "| `%s` | ", leaf->name);
    print_cell(out, leaf->nodetype == LYS_LEAFLIST ? "values: " : "");
    print_cell(out, type);
    fprintf(out, " | %s%s%s | ", value ? "`" : "", value ? value : "", value ? "`" : "");
    if (pcn_gen_is_key(leaf))
        fputs("key", out);
    else if (pcn_gen_is_state(leaf))
        fputs("shown only", out);
    else if (pcn_gen_is_mandatory(leaf))
        fputs(is_init_only(leaf) ? "on add, needed" : "needed", out);
    else
        fputs(is_init_only(leaf) ? "on add" : "any time", out);
    fputs(" | ", out);
    print_cell(out, leaf->dsc ? leaf->dsc : "");
    fputs(" |\n", out);
}

static void write_leaves(FILE *out, const struct lysc_node *unit)
{
    const struct lysc_node *child = NULL;
    bool any = false;

    while ((child = pcn_gen_next(unit, child))) {
        if (!(child->nodetype & (LYS_LEAF | LYS_LEAFLIST)))
            continue;
        if (!any)
            fputs("\n| name | value | default | set | |\n|---|---|---|---|---|\n", out);
        any = true;
        write_leaf(out, child);
    }
}

static void write_action(FILE *out, const struct pcn_gen *gen, const struct lysc_node *node)
{
    const struct lysc_node_action *action = (const struct lysc_node_action *)node;
    const struct lysc_node *output = &action->output.node, *input = &action->input.node;

    fprintf(out, "\n### Action `%s`\n\n", node->name);
    if (node->dsc)
        fprintf(out, "%s.\n\n", node->dsc);
    fputs("```\npolycubectl ", out);
    print_words(out, gen, node, false);
    print_parameters(out, input, false, false);
    fputs("\n```\n", out);
    if (pcn_gen_next(input, NULL)) {
        fputs("\nIt takes:\n", out);
        write_leaves(out, input);
    }
    if (pcn_gen_next(output, NULL)) {
        fputs("\nIt gives:\n", out);
        write_leaves(out, output);
    }
}

static void write_commands(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit, bool example)
{
    bool list = unit->nodetype == LYS_LIST, state = pcn_gen_is_state(unit);

    if (list && !state) {
        fputs("polycubectl ", out);
        print_words(out, gen, unit, example);
        fputs(" add", out);
        print_keys(out, unit, example);
        print_parameters(out, unit, example, false);
        fputc('\n', out);
    }
    if (!state && has_settable(unit, true)) {
        fputs("polycubectl ", out);
        print_words(out, gen, unit, example);
        if (list)
            print_keys(out, unit, example);
        fputs(" set", out);
        print_parameters(out, unit, example, true);
        fputc('\n', out);
    }
    fputs("polycubectl ", out);
    print_words(out, gen, unit, example);
    fputs(" show\n", out);
    if (list && !(unit->flags & LYS_KEYLESS)) {
        fputs("polycubectl ", out);
        print_words(out, gen, unit, example);
        print_keys(out, unit, example);
        fputs(" show\n", out);
    }
    if (list && !state) {
        fputs("polycubectl ", out);
        print_words(out, gen, unit, example);
        fputs(" del", out);
        print_keys(out, unit, example);
        fputc('\n', out);
    }
}

static void write_unit(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit)
{
    const struct lysc_node *child = NULL;

    if (unit != gen->cube) {
        fputs("\n## `", out);
        pcn_gen_print_path(out, gen, unit, " ");
        fputs("`\n\n", out);
        if (unit->dsc)
            fprintf(out, "%s.\n\n", unit->dsc);
        fputs("```\n", out);
        write_commands(out, gen, unit, false);
        fputs("```\n", out);
        write_leaves(out, unit);
        if (unit->nodetype == LYS_LIST && !pcn_gen_is_state(unit)) {
            fputs("\nFor example:\n\n```\n", out);
            write_commands(out, gen, unit, true);
            fputs("```\n", out);
        }
    }
    while ((child = pcn_gen_next(unit, child)))
        if (child->nodetype == LYS_ACTION)
            write_action(out, gen, child);
    while ((child = pcn_gen_next(unit, child)))
        if (pcn_gen_is_unit(child))
            write_unit(out, gen, child);
}

static void write_cube(FILE *out, const struct pcn_gen *gen)
{
    const char *name = gen->module->name, *description = pcn_gen_about(gen, "service-description");

    fprintf(out, "# Commands of `%s`\n\n", name);
    if (description)
        fprintf(out, "%s.\n\n", description);
    fprintf(
        out,
        "Made by `pcn-codegen cli` from `%s.yang`. A word in `<>` stands for a value, what is in `[]` may be left\n"
        "out. A verb may stand anywhere among the words of the path; `?` in place of a word gives help. `show` takes\n"
        "`-json`, `-yaml`, `-brief`, `-verbose` and `-hide=<names>`.\n\n"
        "## The cube\n\n```\npolycubectl %s add <cube>",
        gen->file, name);
    print_parameters(out, gen->cube, false, false);
    fputs("\npolycubectl <cube> set", out);
    print_parameters(out, gen->cube, false, true);
    fprintf(out, "\npolycubectl <cube> show\npolycubectl %s show\npolycubectl del <cube>\n", name);
    if (gen->transparent)
        fputs("polycubectl attach <cube> <port or device> [position=auto|first|last] [before=<cube>] [after=<cube>]\n"
              "polycubectl detach <cube> <port or device>\n",
              out);
    else
        fputs("polycubectl connect <cube>:<port> <cube>:<port> or <device>\n"
              "polycubectl disconnect <cube>:<port> <cube>:<port> or <device>\n",
              out);
    fputs("```\n", out);
    write_leaves(out, gen->cube);
    write_unit(out, gen, gen->cube);
}

int pcn_gen_cli(const struct pcn_gen *gen, FILE *out)
{
    write_cube(out, gen);
    return ferror(out) || fflush(out) ? -EIO : 0;
}
