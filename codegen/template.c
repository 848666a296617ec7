/* SPDX-License-Identifier: Apache-2.0 */
#include "template.h"

static const char *value_of(const char *name, size_t length, const struct pcn_gen_value *values, size_t n_values)
{
    for (size_t i = 0; i < n_values; i++)
        if (strlen(values[i].name) == length && memcmp(values[i].name, name, length) == 0)
            return values[i].text;
    fprintf(stderr, "template: there is no value %.*s\n", (int)length, name);
    return NULL;
}

/* Is the line "@<word> name@", or with an empty word "@name@"? Names are letters and underscores. */
static bool is_line(const char *line, size_t length, const char *word, const char **ret_name, size_t *ret_length)
{
    size_t prefix = strlen(word), n;

    if (length < prefix + 3 || line[0] != '@' || strncmp(line + 1, word, prefix) != 0)
        return false;
    n = strspn(line + 1 + prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    if (n == 0 || prefix + n + 2 != length || line[length - 1] != '@')
        return false;
    *ret_name = line + 1 + prefix;
    *ret_length = n;
    return true;
}

static int write_line(FILE *out, const char *line, size_t length, const struct pcn_gen_value *values, size_t n_values)
{
    const char *end = line + length;

    while (line < end) {
        const char *open = memchr(line, '@', (size_t)(end - line));
        const char *close = open ? memchr(open + 1, '@', (size_t)(end - open - 1)) : NULL;
        const char *value;

        if (!close) {
            fwrite(line, 1, (size_t)(end - line), out);
            break;
        }
        fwrite(line, 1, (size_t)(open - line), out);
        value = value_of(open + 1, (size_t)(close - open - 1), values, n_values);
        if (!value)
            return -EINVAL;
        fputs(value, out);
        line = close + 1;
    }
    fputc('\n', out);
    return 0;
}

int pcn_gen_template_write(FILE *out, const char *text, const struct pcn_gen_value *values, size_t n_values)
{
    bool hidden = false;
    int r;

    for (const char *line = text, *next; *line; line = next) {
        size_t length = strcspn(line, "\n"), n;
        const char *name, *value;

        next = line + length + (line[length] == '\n');
        if (length == strlen("@end@") && strncmp(line, "@end@", length) == 0) {
            hidden = false;
        } else if (is_line(line, length, "if ", &name, &n)) {
            value = value_of(name, n, values, n_values);
            if (!value)
                return -EINVAL;
            hidden = !*value;
        } else if (!hidden && is_line(line, length, "", &name, &n)) {
            value = value_of(name, n, values, n_values);
            if (!value)
                return -EINVAL;
            fputs(value, out);
        } else if (!hidden) {
            r = write_line(out, line, length, values, n_values);
            if (r < 0)
                return r;
        }
    }
    return 0;
}
