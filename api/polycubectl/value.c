/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"
#include <ctype.h>

bool pcn_cli_integer(const char *text, json_int_t *ret_value)
{
    const char *digits = *text == '-' ? text + 1 : text;
    long long value;

    if (!isdigit((unsigned char)*digits))
        return false;
    if (*digits == '0' && (digits[1] || digits != text))
        return false;
    for (const char *c = digits; *c; c++)
        if (!isdigit((unsigned char)*c))
            return false;
    errno = 0;
    value = strtoll(text, NULL, 10);
    if (errno)
        return false;
    *ret_value = value;
    return true;
}

json_t *pcn_cli_value(const char *text)
{
    json_int_t integer;

    if (pcn_streq(text, "true"))
        return json_true();
    if (pcn_streq(text, "false"))
        return json_false();
    if (pcn_cli_integer(text, &integer))
        return json_integer(integer);
    return json_string(text);
}

/* The object called by the first `length` bytes of name, made where there is none. */
static int value_descend(json_t *object, const char *name, size_t length, json_t **ret_child)
{
    json_t *child = json_object_getn(object, name, length);

    if (!child) {
        child = json_object();
        if (json_object_setn_new(object, name, length, child) < 0)
            return -EINVAL;
    }
    if (!json_is_object(child))
        return -EEXIST;
    *ret_child = child;
    return 0;
}

int pcn_cli_object_set(json_t *object, const char *name, json_t *value)
{
    int r = -EINVAL;

    for (unsigned int parts = 1;; parts++) {
        size_t length = strcspn(name, ".");

        if (length == 0)
            break;
        if (parts > PCN_CLI_DOTS_MAX) {
            r = -E2BIG;
            break;
        }
        if (!name[length]) {
            if (json_object_get(object, name)) {
                r = -EEXIST;
                break;
            }
            return json_object_set_new(object, name, value) < 0 ? -EINVAL : 0;
        }
        r = value_descend(object, name, length, &object);
        if (r < 0)
            break;
        r = -EINVAL;
        name += length + 1;
    }
    json_decref(value);
    return r;
}

char *pcn_cli_escape(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *escaped = malloc(strlen(text) * 3 + 1), *end = escaped;

    if (!escaped)
        return NULL;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (isalnum(*c) || strchr("-_.~$=:@", *c)) {
            *end++ = (char)*c;
            continue;
        }
        *end++ = '%';
        *end++ = hex[*c >> 4];
        *end++ = hex[*c & 15];
    }
    *end = '\0';
    return escaped;
}
