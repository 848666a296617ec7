/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"
#include <jansson.h>

struct cell {
    size_t column;
    char *text;
};

struct row {
    struct cell *cells;
    size_t n_cells;
};

struct column {
    char *name;
    size_t width;
};

struct pcn_cli_table {
    struct row *rows;
    size_t n_rows;
    struct column *columns;
    size_t n_columns;
    json_t *index; /* name -> number of the column */
};

/* Characters, not bytes, of UTF-8 text. */
static size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* One more element at the end of *array, zeroed. Grows by doubling: counts are powers of two when it is full. */
static int array_grow(void **array, size_t count, size_t size)
{
    if ((count & (count - 1)) == 0) {
        void *grown = reallocarray(*array, count ? count * 2 : 1, size);

        if (!grown)
            return -ENOMEM;
        *array = grown;
    }
    memset((char *)*array + count * size, 0, size);
    return 0;
}

struct pcn_cli_table *pcn_cli_table_new(void)
{
    struct pcn_cli_table *table = calloc(1, sizeof(*table));

    if (!table)
        return NULL;
    table->index = json_object();
    if (!table->index) {
        free(table);
        return NULL;
    }
    return table;
}

void pcn_cli_table_freep(struct pcn_cli_table **table)
{
    struct pcn_cli_table *t = TAKE_PTR(*table);

    if (!t)
        return;
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t j = 0; j < t->rows[i].n_cells; j++)
            free(t->rows[i].cells[j].text);
        free(t->rows[i].cells);
    }
    for (size_t i = 0; i < t->n_columns; i++)
        free(t->columns[i].name);
    free(t->rows);
    free(t->columns);
    json_decref(t->index);
    free(t);
}

int pcn_cli_table_row(struct pcn_cli_table *table)
{
    if (array_grow((void **)&table->rows, table->n_rows, sizeof(*table->rows)) < 0)
        return -ENOMEM;
    table->n_rows++;
    return 0;
}

static int table_column(struct pcn_cli_table *table, const char *name, size_t *ret_column)
{
    json_t *number = json_object_get(table->index, name);
    struct column *column;

    if (number) {
        *ret_column = (size_t)json_integer_value(number);
        return 0;
    }
    if (array_grow((void **)&table->columns, table->n_columns, sizeof(*table->columns)) < 0)
        return -ENOMEM;
    column = &table->columns[table->n_columns];
    column->name = strdup(name);
    column->width = text_width(name);
    if (!column->name || json_object_set_new(table->index, name, json_integer((json_int_t)table->n_columns)) < 0) {
        free(TAKE_PTR(column->name));
        return -ENOMEM;
    }
    *ret_column = table->n_columns++;
    return 0;
}

int pcn_cli_table_cell(struct pcn_cli_table *table, const char *name, const char *text)
{
    struct row *row = &table->rows[table->n_rows - 1];
    struct cell *cell;
    size_t column;
    int r;

    r = table_column(table, name, &column);
    if (r < 0)
        return r;
    if (array_grow((void **)&row->cells, row->n_cells, sizeof(*row->cells)) < 0)
        return -ENOMEM;
    cell = &row->cells[row->n_cells];
    cell->text = strdup(text);
    if (!cell->text)
        return -ENOMEM;
    cell->column = column;
    row->n_cells++;
    table->columns[column].width = PCN_MAX(table->columns[column].width, text_width(text));
    return 0;
}

static void table_line(const struct pcn_cli_table *table, FILE *out, unsigned int indent, const char *const *texts)
{
    size_t last = 0, pad = indent;

    for (size_t i = 0; i < table->n_columns; i++)
        if (texts[i] && *texts[i])
            last = i + 1;
    for (size_t i = 0; i < last; i++) {
        const char *text = texts[i] ? texts[i] : "";

        (void)fprintf(out, "%*s%s", (int)pad, "", text);
        pad = table->columns[i].width - text_width(text) + 2;
    }
    (void)fputc('\n', out);
}

size_t pcn_cli_table_width(const struct pcn_cli_table *table)
{
    size_t width = 0;

    for (size_t i = 0; i < table->n_columns; i++)
        width += table->columns[i].width + (i ? 2 : 0);
    return width;
}

void pcn_cli_table_print(const struct pcn_cli_table *table, FILE *out, unsigned int indent)
{
    _cleanup_free_ const char **texts = NULL;

    if (!table->n_columns)
        return;
    texts = calloc(table->n_columns, sizeof(*texts));
    if (!texts)
        return;
    for (size_t i = 0; i < table->n_columns; i++)
        texts[i] = table->columns[i].name;
    table_line(table, out, indent, texts);
    for (size_t i = 0; i < table->n_rows; i++) {
        memset(texts, 0, table->n_columns * sizeof(*texts));
        for (size_t j = 0; j < table->rows[i].n_cells; j++)
            texts[table->rows[i].cells[j].column] = table->rows[i].cells[j].text;
        table_line(table, out, indent, texts);
    }
}
