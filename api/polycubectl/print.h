/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer as its reader will see it. The layout is Polycube's:
 *
 *   scalars `key: value`; then objects, `key:` and their members one blank deeper; then arrays: an empty line, `key:`
 *   and a table one blank deeper, its columns two blanks apart, in the order of their first appearance.
 *
 * Lists within a row are columns called `name (list)`; objects within a row are columns called `object.name`.
 * How deep lists are shown: the list asked for is level 1, the lists of an object are level 2, lists within rows
 * one more than the table. brief shows level 1, normal 2, verbose 3; deeper ones are counted: `[3 items]`.
 * A table that is wider than lines may be is none: its rows follow each other as objects, between lines of
 * three dashes. Members called _links are left out. Control characters are shown as escapes.
 */
#pragma once
#include "args.h"
#include <stdio.h>

/*
 * hide: dotted paths, comma separated, not to be shown; or NULL. width: characters that a line of a table may have, 0: any.
 * -ENOMEM.
 */
int pcn_cli_print(FILE *out, const json_t *value, enum pcn_cli_format format, const char *hide, size_t width);
/* Text whose control characters are escaped; tabs are kept, newlines too where lines is set. */
void pcn_cli_print_text(FILE *out, const char *text, bool lines);
