/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of text in columns that are as wide as their widest cell. Columns come into being as cells name them.
 */
#pragma once
#include <pcn/base.h>
#include <stdio.h>

struct pcn_cli_table;

struct pcn_cli_table *pcn_cli_table_new(void);
void pcn_cli_table_freep(struct pcn_cli_table **table);

/* Cells from now on are of a further row. -ENOMEM. */
int pcn_cli_table_row(struct pcn_cli_table *table);
/* The last row's cell in column `name`: the last one said wins. -ENOMEM. */
int pcn_cli_table_cell(struct pcn_cli_table *table, const char *name, const char *text);
/* Characters of its longest line. */
size_t pcn_cli_table_width(const struct pcn_cli_table *table);
/* The header, where there is a column, then the rows, each line after `indent` blanks and without blanks at its end. */
void pcn_cli_table_print(const struct pcn_cli_table *table, FILE *out, unsigned int indent);
