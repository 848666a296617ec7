/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts with holes. `@name@` is the value of that name. A line that is nothing
 * but `@name@` is replaced by the value as it is: it brings its own line ends, and
 * an empty one leaves no line. What stands between the lines `@if name@` and
 * `@end@` is there if the value is not empty; these do not nest.
 */
#pragma once
#include <pcn/base.h>
#include <stdio.h>

struct pcn_gen_value {
    const char *name;
    const char *text;
};

/* -EINVAL: the template is wrong; said on standard error. */
int pcn_gen_template_write(FILE *out, const char *text, const struct pcn_gen_value *values, size_t n_values);
