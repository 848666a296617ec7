/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as clients write them, as the text that libyang reads. Old clients
 * send numbers where the model says string and strings where it says number,
 * and enumerations in any case: what is meant is clear, so it is taken.
 */
#include "private.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- the accepted form, in words ---- */

static void append(char *text, size_t size, const char *format, ...) PCN_PRINTF(3, 4);
static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static void form_range(char *text, size_t size, const struct lysc_range *range, bool is_signed, const char *unit)
{
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(range->parts); i++) {
        const struct lysc_range_part *part = &range->parts[i];
        const char *before = i ? " or" : "";

        if (is_signed)
            append(text, size, "%s from %" PRId64 " to %" PRId64, before, part->min_64, part->max_64);
        else
            append(text, size, "%s from %" PRIu64 " to %" PRIu64, before, part->min_u64, part->max_u64);
    }
    append(text, size, "%s", unit);
}

static void form_integer(char *text, size_t size, const struct lysc_type_num *type)
{
    static const struct {
        int64_t min;
        uint64_t max;
    } bounds[] = {
        [LY_TYPE_UINT8] = {0, UINT8_MAX},         [LY_TYPE_UINT16] = {0, UINT16_MAX},
        [LY_TYPE_UINT32] = {0, UINT32_MAX},       [LY_TYPE_UINT64] = {0, UINT64_MAX},
        [LY_TYPE_INT8] = {INT8_MIN, INT8_MAX},    [LY_TYPE_INT16] = {INT16_MIN, INT16_MAX},
        [LY_TYPE_INT32] = {INT32_MIN, INT32_MAX}, [LY_TYPE_INT64] = {INT64_MIN, INT64_MAX},
    };

    append(text, size, "an integer");
    if (type->range)
        form_range(text, size, type->range, type->basetype >= LY_TYPE_INT8, "");
    else
        append(text, size, " from %" PRId64 " to %" PRIu64, bounds[type->basetype].min, bounds[type->basetype].max);
}

static void form_names(char *text, size_t size, const struct lysc_type_enum *type)
{
    append(text, size, "one of ");
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->enums); i++)
        append(text, size, "%s%s", i ? ", " : "", type->enums[i].name);
}

/* Types of the base modules that are addresses of a kind; their patterns say nothing to a reader. */
struct address {
    const char *type, *family, *what, *example;
};

#define ZONED "address, with or without % and the name of a zone" /* RFC 6991 */

static const struct address addresses[] = {
    {"ipv4-address", "IPv4", ZONED, "10.0.0.1"},
    {"ipv6-address", "IPv6", ZONED, "2001:db8::1"},
    {"ipv4-address-no-zone", "IPv4", "address", "10.0.0.1"},
    {"ipv6-address-no-zone", "IPv6", "address", "2001:db8::1"},
    {"ipv4-prefix", "IPv4", "prefix", "10.0.0.0/24"},
    {"ipv6-prefix", "IPv6", "prefix", "2001:db8::/32"},
    {"mac-address", "MAC", "address", "aa:bb:cc:dd:ee:ff"},
};

/* Of the typedef that type was compiled from; NULL: it is none of them, or has restrictions of its own. */
static const struct address *address_of(const struct ly_ctx *ctx, const struct lysc_type *type)
{
    const struct lys_module *module;
    uint32_t index = 0;

    while ((module = ly_ctx_get_module_iter(ctx, &index))) {
        const struct lysp_tpdf *typedefs = module->parsed ? module->parsed->typedefs : NULL;

        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(typedefs); i++) {
            for (size_t k = 0; typedefs[i].type.compiled == type && k < PCN_ARRAY_SIZE(addresses); k++)
                if (pcn_streq(addresses[k].type, typedefs[i].name))
                    return &addresses[k];
        }
    }
    return NULL;
}

/* A pattern's description is the form in words. */
static bool form_described(char *text, size_t size, const struct lysc_type_str *type)
{
    const char *before = "";

    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->patterns); i++) {
        if (!type->patterns[i]->dsc)
            continue;
        append(text, size, "%s%s", before, type->patterns[i]->dsc);
        before = ", ";
    }
    return *before;
}

static void form_string(char *text, size_t size, const struct lysc_type_str *type)
{
    bool first = true;

    if (form_described(text, size, type))
        return;
    if (type->length && type->length->parts[LY_ARRAY_COUNT(type->length->parts) - 1].max_u64 == 0) {
        append(text, size, "\"\"");
        return;
    }
    append(text, size, "text");
    if (type->length) {
        append(text, size, " of a length");
        form_range(text, size, type->length, false, " bytes");
    }
    /* A long expression says nothing to its reader; the example does. */
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->patterns); i++) {
        if (strlen(type->patterns[i]->expr) > 60)
            continue;
        append(text, size, "%s like %s", first ? "" : " and", type->patterns[i]->expr);
        first = false;
    }
}

static void form(char *text, size_t size, const struct ly_ctx *ctx, const struct lysc_type *type);

/* Each form once; addresses of two families are one form. */
static void form_union(char *text, size_t size, const struct ly_ctx *ctx, const struct lysc_type_union *type)
{
    LY_ARRAY_COUNT_TYPE n = LY_ARRAY_COUNT(type->types);

    for (LY_ARRAY_COUNT_TYPE i = 0; i < n; i++) {
        const struct address *address = address_of(ctx, type->types[i]);
        const struct address *next = address && i + 1 < n ? address_of(ctx, type->types[i + 1]) : NULL;
        char one[256] = "";

        if (next && pcn_streq(address->what, next->what) && !pcn_streq(address->family, next->family)) {
            append(one, sizeof(one), "an %s or %s %s", address->family, next->family, address->what);
            i++;
        } else {
            form(one, sizeof(one), ctx, type->types[i]);
        }
        if (!strstr(text, one))
            append(text, size, "%s%s", *text ? ", or " : "", one);
    }
}

static void form(char *text, size_t size, const struct ly_ctx *ctx, const struct lysc_type *type)
{
    const struct address *address = address_of(ctx, type);

    if (address) {
        append(text, size, "%s %s %s", address->family[0] == 'M' ? "a" : "an", address->family, address->what);
        return;
    }
    switch (type->basetype) {
    case LY_TYPE_BOOL:
        append(text, size, "true or false");
        return;
    case LY_TYPE_ENUM:
        form_names(text, size, (const struct lysc_type_enum *)type);
        return;
    case LY_TYPE_UNION:
        form_union(text, size, ctx, (const struct lysc_type_union *)type);
        return;
    case LY_TYPE_STRING:
        form_string(text, size, (const struct lysc_type_str *)type);
        return;
    case LY_TYPE_EMPTY:
        append(text, size, "null");
        return;
    default:
        if (type->basetype >= LY_TYPE_INT8 || (type->basetype >= LY_TYPE_UINT8 && type->basetype <= LY_TYPE_UINT64))
            form_integer(text, size, (const struct lysc_type_num *)type);
        else
            append(text, size, "text");
    }
}

/* "10.0.0.1 or 2001:db8::1": the model's own example, and one of an address of the family that it is not of. */
static void examples(char *text, size_t size, const struct lysc_node *leaf)
{
    const struct lysc_type *type = schema_type(leaf), *const *types = &type;
    const char *own = info(leaf)->example, *last = own;
    LY_ARRAY_COUNT_TYPE n = 1;

    if (type->basetype == LY_TYPE_UNION) {
        types = (const struct lysc_type *const *)((const struct lysc_type_union *)type)->types;
        n = LY_ARRAY_COUNT(types);
    }
    if (own)
        append(text, size, ", for example %s", own);
    for (LY_ARRAY_COUNT_TYPE i = 0; i < n; i++) {
        const struct address *address = address_of(leaf->module->ctx, types[i]);

        if (!address || (last && !strchr(last, ':') == !strchr(address->example, ':')))
            continue;
        append(text, size, "%s%s", last ? " or " : ", for example ", address->example);
        if (last)
            return;
        last = address->example;
    }
}

int input_refused(const struct lysc_node *leaf, const char *value, const char *path, struct pcn_error *error)
{
    char text[384] = "";

    form(text, sizeof(text), leaf->module->ctx, schema_type(leaf));
    examples(text, sizeof(text), leaf);
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s: \"%.64s\" is not accepted: give %s", leaf->name,
                         value, text);
}

/* ---- text ---- */

/* An enumeration's name in the model's spelling; NULL: none of its names. Of a union, the first that has it. */
static const char *spelling(const struct lysc_type *type, const char *text)
{
    const struct lysc_type_enum *names = (const struct lysc_type_enum *)type;
    const struct lysc_type_union *members = (const struct lysc_type_union *)type;
    const char *found = NULL;

    if (type->basetype == LY_TYPE_UNION) {
        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(members->types) && !found; i++)
            found = spelling(members->types[i], text);
    } else if (type->basetype == LY_TYPE_ENUM) {
        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(names->enums) && !found; i++)
            found = strcasecmp(names->enums[i].name, text) == 0 ? names->enums[i].name : NULL;
    }
    return found;
}

/* True where another member of a union takes text as it is. */
static bool taken_as_it_is(const struct lysc_node *leaf, const char *text)
{
    return schema_type(leaf)->basetype == LY_TYPE_UNION &&
           lyd_value_validate(leaf->module->ctx, leaf, text, strlen(text), NULL, NULL, NULL) == LY_SUCCESS;
}

const char *input_spelling(const struct lysc_node *leaf, const char *text)
{
    const char *found = spelling(schema_type(leaf), text);

    return found && !taken_as_it_is(leaf, text) ? found : text;
}

/* YAML and shells make 1e3 of what is a number all the same. */
static void real_text(double value, char buffer[VALUE_TEXT])
{
    if (value > -9e15 && value < 9e15 && value == (double)(int64_t)value)
        (void)snprintf(buffer, VALUE_TEXT, "%.0f", value);
    else
        (void)snprintf(buffer, VALUE_TEXT, "%.17g", value);
}

int input_text(const struct lysc_node *leaf, const json_t *value, const char *path, char buffer[VALUE_TEXT],
               const char **ret_text, struct pcn_error *error)
{
    bool empty = schema_type(leaf)->basetype == LY_TYPE_EMPTY;

    switch (json_typeof(value)) {
    case JSON_STRING:
        if (memchr(json_string_value(value), '\0', json_string_length(value)))
            return input_refused(leaf, "\\u0000", path, error);
        *ret_text = input_spelling(leaf, json_string_value(value));
        return 0;
    case JSON_INTEGER:
        (void)snprintf(buffer, VALUE_TEXT, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        *ret_text = buffer;
        return 0;
    case JSON_REAL:
        real_text(json_real_value(value), buffer);
        *ret_text = buffer;
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        *ret_text = json_is_true(value) ? "true" : "false";
        return 0;
    case JSON_NULL:
    case JSON_ARRAY:
        /* RFC 7951 section 6.9: [null] */
        if (empty && (json_is_null(value) || (json_array_size(value) == 1 && json_is_null(json_array_get(value, 0))))) {
            *ret_text = "";
            return 0;
        }
        return input_refused(leaf, json_is_null(value) ? "null" : "[...]", path, error);
    default:
        return input_refused(leaf, "{...}", path, error);
    }
}
