/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"
#include "table.h"
#include "yaml.h"

#define PRINT_PATH_LENGTH 512

struct printer {
    FILE *out;
    unsigned int depth; /* lists up to this level are shown, others counted */
    const char *hide;
    size_t width;         /* of the reader's lines; 0: there is no limit */
    unsigned int records; /* that what is printed is in */
};

static bool path_hidden(const struct printer *printer, const char *path)
{
    size_t length = strlen(path);

    for (const char *at = printer->hide; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strcspn(at, ",") == length && strncmp(at, path, length) == 0)
            return true;
    return false;
}

/* Path of a member of what is at `path`. False: the member is not shown. */
static bool path_member(const struct printer *printer, const char *path, const char *name,
                        char ret_path[static PRINT_PATH_LENGTH])
{
    if (pcn_streq(name, "_links"))
        return false;
    (void)snprintf(ret_path, PRINT_PATH_LENGTH, "%s%s%s", path, *path ? "." : "", name);
    return !path_hidden(printer, ret_path);
}

void pcn_cli_print_text(FILE *out, const char *text, bool lines)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '\n' && !lines)
            (void)fputs("\\n", out);
        else if ((c < ' ' && c != '\t' && c != '\n') || c == 0x7f)
            (void)fprintf(out, "\\u%04x", c);
        else
            (void)fputc(c, out);
    }
}

static void print_scalar(FILE *out, const json_t *value, bool lines)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        pcn_cli_print_text(out, json_string_value(value), lines);
        break;
    case JSON_INTEGER:
        (void)fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        (void)fprintf(out, "%f", json_real_value(value));
        break;
    case JSON_TRUE:
        (void)fputs("true", out);
        break;
    case JSON_FALSE:
        (void)fputs("false", out);
        break;
    default:
        break;
    }
}

static bool is_scalar(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static bool is_table(const json_t *array)
{
    json_t *element;
    size_t i;

    json_array_foreach ((json_t *)array, i, element)
        if (!json_is_object(element))
            return false;
    return true;
}

static bool is_list(const json_t *array)
{
    json_t *element;
    size_t i;

    json_array_foreach ((json_t *)array, i, element)
        if (!is_scalar(element))
            return false;
    return true;
}

/* A value within a line: "a, b", "{vlan: 1, state: forwarding}"; objects of one member are that member's value. */
static void print_inline(struct printer *printer, const json_t *value, const char *path)
{
    char member_path[PRINT_PATH_LENGTH];
    const char *name, *separator = "";
    bool braces = json_object_size(value) > 1;
    json_t *member;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach ((json_t *)value, i, member) {
            (void)fputs(i ? ", " : "", printer->out);
            print_inline(printer, member, path);
        }
        return;
    }
    if (!json_is_object(value)) {
        print_scalar(printer->out, value, false);
        return;
    }
    (void)fputs(braces ? "{" : "", printer->out);
    json_object_foreach ((json_t *)value, name, member) {
        if (!path_member(printer, path, name, member_path))
            continue;
        (void)fputs(separator, printer->out);
        if (braces)
            pcn_cli_print_text(printer->out, name, false);
        (void)fputs(braces ? ": " : "", printer->out);
        print_inline(printer, member, member_path);
        separator = ", ";
    }
    (void)fputs(braces ? "}" : "", printer->out);
}

/* The cell of a value that is not an object, as text that the caller frees. */
static char *cell_text(const struct printer *printer, const json_t *value, unsigned int level, const char *path)
{
    _cleanup_free_ char *text = NULL;
    size_t length = 0;
    struct printer inner = *printer;

    inner.out = open_memstream(&text, &length);
    if (!inner.out)
        return NULL;
    if (json_is_array(value) && level > printer->depth && !is_list(value))
        (void)fprintf(inner.out, "[%zu items]", json_array_size(value));
    else
        print_inline(&inner, value, path);
    if (fclose(inner.out) != 0)
        return NULL;
    return TAKE_PTR(text);
}

/* level: of the table. column: what is in front of the columns' names, "access." or "". */
static int table_add(struct printer *printer, struct pcn_cli_table *table, const json_t *object, unsigned int level,
                     const char *path, const char *column)
{
    char member_path[PRINT_PATH_LENGTH], member_column[PRINT_PATH_LENGTH];
    const char *name;
    json_t *member;
    int r = 0;

    json_object_foreach ((json_t *)object, name, member) {
        _cleanup_free_ char *text = NULL;
        const char *end = json_is_object(member) ? "." : json_is_array(member) ? " (list)" : "";

        if (!path_member(printer, path, name, member_path))
            continue;
        (void)snprintf(member_column, sizeof(member_column), "%s%s%s", column, name, end);
        if (json_is_object(member)) {
            r = table_add(printer, table, member, level, member_path, member_column);
        } else {
            text = cell_text(printer, member, level + 1, member_path);
            r = text ? pcn_cli_table_cell(table, member_column, text) : -ENOMEM;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int print_object(struct printer *printer, const json_t *object, unsigned int indent, unsigned int level,
                        const char *path);

/* What would be too wide as a table. */
static int print_records(struct printer *printer, const json_t *array, unsigned int indent, unsigned int level,
                         const char *path)
{
    json_t *element;
    int r = 0;
    size_t i;

    printer->records++;
    json_array_foreach ((json_t *)array, i, element) {
        if (i)
            (void)fprintf(printer->out, "%*s---\n", (int)indent, "");
        r = print_object(printer, element, indent, level, path);
        if (r < 0)
            return r;
    }
    printer->records--;
    return 0;
}

/* level: of the list. */
static int print_array(struct printer *printer, const json_t *array, unsigned int indent, unsigned int level,
                       const char *path)
{
    _cleanup_(pcn_cli_table_freep) struct pcn_cli_table *table = NULL;
    json_t *element;
    size_t i;
    int r;

    if (!is_table(array)) {
        json_array_foreach ((json_t *)array, i, element) {
            (void)fprintf(printer->out, "%*s", (int)indent, "");
            print_inline(printer, element, path);
            (void)fputc('\n', printer->out);
        }
        return 0;
    }
    table = pcn_cli_table_new();
    if (!table)
        return -ENOMEM;
    json_array_foreach ((json_t *)array, i, element) {
        r = pcn_cli_table_row(table);
        if (r == 0)
            r = table_add(printer, table, element, level, path, "");
        if (r < 0)
            return r;
    }
    if (printer->width && indent + pcn_cli_table_width(table) > printer->width)
        return print_records(printer, array, indent, level, path);
    pcn_cli_table_print(table, printer->out, indent);
    return 0;
}

static void print_key(const struct printer *printer, unsigned int indent, const char *name)
{
    (void)fprintf(printer->out, "%*s", (int)indent, "");
    pcn_cli_print_text(printer->out, name, false);
    (void)fputc(':', printer->out);
}

static int print_object_array(struct printer *printer, const char *name, const json_t *array, unsigned int indent,
                              unsigned int level, const char *path)
{
    /* As in a table, a record's list of values is shown at any depth. */
    if (level > printer->depth && !(printer->records && is_list(array))) {
        print_key(printer, indent, name);
        (void)fprintf(printer->out, " [%zu items]\n", json_array_size(array));
        return 0;
    }
    if (!json_array_size(array))
        return 0;
    (void)fputc('\n', printer->out);
    print_key(printer, indent, name);
    (void)fputc('\n', printer->out);
    return print_array(printer, array, indent + 1, level, path);
}

/* Members of an object: scalars, then objects, then arrays. level: of the list that it is in, or would be in. */
static int print_object(struct printer *printer, const json_t *object, unsigned int indent, unsigned int level,
                        const char *path)
{
    char member_path[PRINT_PATH_LENGTH];
    const char *name;
    json_t *member;
    int r = 0;

    json_object_foreach ((json_t *)object, name, member) {
        if (!is_scalar(member) || !path_member(printer, path, name, member_path))
            continue;
        print_key(printer, indent, name);
        (void)fputc(' ', printer->out);
        print_scalar(printer->out, member, pcn_streq(name, "datamodel"));
        (void)fputc('\n', printer->out);
    }
    json_object_foreach ((json_t *)object, name, member) {
        if (!json_object_size(member) || !path_member(printer, path, name, member_path))
            continue;
        print_key(printer, indent, name);
        (void)fputc('\n', printer->out);
        r = print_object(printer, member, indent + 1, level, member_path);
        if (r < 0)
            return r;
    }
    json_object_foreach ((json_t *)object, name, member) {
        if (!json_is_array(member) || !path_member(printer, path, name, member_path))
            continue;
        r = print_object_array(printer, name, member, indent, level + 1, member_path);
        if (r < 0)
            return r;
    }
    return 0;
}

static int print_pretty(struct printer *printer, const json_t *value)
{
    /* A service with its data model: pages of text, which no table can hold. */
    if (json_array_size(value) == 1 && json_object_get(json_array_get(value, 0), "datamodel"))
        value = json_array_get(value, 0);
    if (json_is_object(value))
        return print_object(printer, value, 0, 1, "");
    if (json_is_array(value))
        return print_array(printer, value, 0, 1, "");
    print_scalar(printer->out, value, true);
    (void)fputc('\n', printer->out);
    return 0;
}

int pcn_cli_print(FILE *out, const json_t *value, enum pcn_cli_format format, const char *hide, size_t width)
{
    static const unsigned int depths[] = {[PCN_CLI_NORMAL] = 2, [PCN_CLI_BRIEF] = 1, [PCN_CLI_VERBOSE] = 3};
    struct printer printer = {.out = out, .hide = hide, .width = width};

    if (format == PCN_CLI_YAML)
        return pcn_cli_yaml_print(out, value);
    if (format == PCN_CLI_JSON) {
        if (json_dumpf(value, out, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0)
            return -ENOMEM;
        (void)fputc('\n', out);
        return 0;
    }
    printer.depth = depths[format];
    return print_pretty(&printer, value);
}
