/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"
#include <inttypes.h>

/* ---- patterns ---- */

/*
 * A pattern of XML Schema as one of ECMA-262 with the flag u: anchored, "^" and "$" are plain characters there,
 * and no needless escapes are allowed here. Returns NULL for what has no counterpart (\i, \c, subtraction in classes).
 */
static char *pattern_convert(const char *xsd)
{
    static const char syntax[] = "^$\\.*+?()[]{}|/";
    bool in_class = false, bad = false;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs("^(?:", out);
    for (const char *c = xsd; *c && !bad; c++) {
        if (*c == '\\') {
            bad = !c[1] || strchr("iIcC", c[1]);
            if (bad)
                break;
            c++;
            if (strchr("dDsSwWpPnrt", *c) || strchr(syntax, *c) || (in_class && *c == '-'))
                fputc('\\', out);
        } else if (!in_class && (*c == '^' || *c == '$')) {
            fputc('\\', out);
        } else if (*c == '[') {
            bad = in_class;
            in_class = true;
        } else if (*c == ']') {
            in_class = false;
        }
        fputc(*c, out);
    }
    fputs(")$", out);
    fclose(out);
    if (bad)
        pcn_freep(&text);
    return text;
}

static void add_patterns(json_t *schema, struct lysc_pattern *const *patterns)
{
    json_t *all = json_array();

    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(patterns); i++) {
        _cleanup_free_ char *text = pattern_convert(patterns[i]->expr);

        if (!text)
            continue;
        json_array_append_new(all, patterns[i]->inverted ? json_pack("{s:{s:s}}", "not", "pattern", text)
                                                         : json_pack("{s:s}", "pattern", text));
    }
    if (json_array_size(all) == 1)
        json_object_update(schema, json_array_get(all, 0));
    else if (json_array_size(all) > 1)
        json_object_set(schema, "allOf", all);
    json_decref(all);
}

/* ---- types ---- */

/* jansson's integers are signed. */
static json_t *unsigned_number(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
}

static json_t *range_part(const struct lysc_range_part *part, const char *low, const char *high, bool is_signed)
{
    json_t *schema = json_object();

    json_object_set_new(schema, low, is_signed ? json_integer(part->min_64) : unsigned_number(part->min_u64));
    json_object_set_new(schema, high, is_signed ? json_integer(part->max_64) : unsigned_number(part->max_u64));
    return schema;
}

static void add_range(json_t *schema, const struct lysc_range *range, const char *low, const char *high, bool is_signed)
{
    json_t *any;

    if (!range)
        return;
    if (LY_ARRAY_COUNT(range->parts) == 1) {
        json_object_update_new(schema, range_part(&range->parts[0], low, high, is_signed));
        return;
    }
    any = json_array();
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(range->parts); i++)
        json_array_append_new(any, range_part(&range->parts[i], low, high, is_signed));
    json_object_set_new(schema, "anyOf", any);
}

static json_t *number_schema(const struct lysc_type *type)
{
    static const struct {
        const char *format;
        int64_t low;
        uint64_t high;
    } limits[] = {
        [LY_TYPE_UINT8] = {"uint8", 0, UINT8_MAX},         [LY_TYPE_UINT16] = {"uint16", 0, UINT16_MAX},
        [LY_TYPE_UINT32] = {"uint32", 0, UINT32_MAX},      [LY_TYPE_UINT64] = {"uint64", 0, UINT64_MAX},
        [LY_TYPE_INT8] = {"int8", INT8_MIN, INT8_MAX},     [LY_TYPE_INT16] = {"int16", INT16_MIN, INT16_MAX},
        [LY_TYPE_INT32] = {"int32", INT32_MIN, INT32_MAX}, [LY_TYPE_INT64] = {"int64", INT64_MIN, INT64_MAX},
    };
    const struct lysc_range *range = ((const struct lysc_type_num *)type)->range;
    json_t *schema = json_pack("{s:s, s:s}", "type", "integer", "format", limits[type->basetype].format);

    if (range) {
        add_range(schema, range, "minimum", "maximum", type->basetype >= LY_TYPE_INT8);
        return schema;
    }
    json_object_set_new(schema, "minimum", json_integer(limits[type->basetype].low));
    json_object_set_new(schema, "maximum", unsigned_number(limits[type->basetype].high));
    return schema;
}

static json_t *string_schema(const struct lysc_type_str *type)
{
    json_t *schema = json_pack("{s:s}", "type", "string");

    if (type->patterns)
        add_patterns(schema, type->patterns);
    if (type->length) {
        json_t *length = json_object();

        add_range(length, type->length, "minLength", "maxLength", false);
        json_object_update_new(schema, length);
    }
    return schema;
}

static json_t *names_schema(const struct lysc_type_bitenum_item *items)
{
    json_t *names = json_array();

    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(items); i++)
        json_array_append_new(names, json_string(items[i].name));
    return json_pack("{s:s, s:o}", "type", "string", "enum", names);
}

/* Names of flags, separated by blanks. */
static json_t *bits_schema(const struct lysc_type_bits *type)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    json_t *schema;

    fputs("^(?:(?:", out);
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(type->bits); i++) {
        fputs(i ? "|" : "", out);
        for (const char *c = type->bits[i].name; *c; c++)
            fprintf(out, *c == '.' ? "\\%c" : "%c", *c);
    }
    fputs(")(?: |$))*$", out);
    fclose(out);
    schema = json_pack("{s:s, s:s}", "type", "string", "pattern", text);
    free(text);
    return schema;
}

static json_t *type_schema(const struct lysc_type *type)
{
    const struct lysc_type_union *alternatives = (const struct lysc_type_union *)type;
    json_t *any;

    switch (type->basetype) {
    case LY_TYPE_UINT8:
    case LY_TYPE_UINT16:
    case LY_TYPE_UINT32:
    case LY_TYPE_UINT64:
    case LY_TYPE_INT8:
    case LY_TYPE_INT16:
    case LY_TYPE_INT32:
    case LY_TYPE_INT64:
        return number_schema(type);
    case LY_TYPE_STRING:
        return string_schema((const struct lysc_type_str *)type);
    case LY_TYPE_ENUM:
        return names_schema(((const struct lysc_type_enum *)type)->enums);
    case LY_TYPE_BITS:
        return bits_schema((const struct lysc_type_bits *)type);
    case LY_TYPE_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case LY_TYPE_DEC64:
        return json_pack("{s:[s,s]}", "type", "number", "string");
    case LY_TYPE_BINARY:
        return json_pack("{s:s, s:s}", "type", "string", "contentEncoding", "base64");
    case LY_TYPE_EMPTY:
        return json_pack("{s:s, s:{s:s}, s:i, s:i}", "type", "array", "items", "type", "null", "minItems", 1,
                         "maxItems", 1);
    case LY_TYPE_LEAFREF:
        return type_schema(((const struct lysc_type_leafref *)type)->realtype);
    case LY_TYPE_UNION:
        any = json_array();
        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(alternatives->types); i++)
            json_array_append_new(any, type_schema(alternatives->types[i]));
        return json_pack("{s:o}", "anyOf", any);
    default:
        return json_pack("{s:s}", "type", "string");
    }
}

/* Text as the JSON value that the schema wants: numbers and booleans are none in YANG's canonical form. */
static json_t *typed_value(const struct lysc_type *type, const char *text)
{
    char *end = NULL;

    switch (type->basetype) {
    case LY_TYPE_UINT8:
    case LY_TYPE_UINT16:
    case LY_TYPE_UINT32:
    case LY_TYPE_UINT64: {
        uint64_t value = strtoull(text, &end, 10);

        return end != text && !*end ? unsigned_number(value) : json_string(text);
    }
    case LY_TYPE_INT8:
    case LY_TYPE_INT16:
    case LY_TYPE_INT32:
    case LY_TYPE_INT64: {
        int64_t value = strtoll(text, &end, 10);

        return end != text && !*end ? json_integer(value) : json_string(text);
    }
    case LY_TYPE_BOOL:
        return json_boolean(pcn_streq(text, "true"));
    default:
        return json_string(text);
    }
}

json_t *pcn_gen_value_schema(const struct lysc_node *leaf)
{
    const struct lysc_type *type = pcn_gen_type(leaf);
    const char *value = pcn_gen_default(leaf), *example = pcn_gen_extension(leaf, "cli-example");
    json_t *schema = type_schema(type);

    if (leaf->dsc)
        json_object_set_new(schema, "description", json_string(leaf->dsc));
    if (value)
        json_object_set_new(schema, "default", typed_value(type, value));
    if (example && *example)
        json_object_set_new(schema, "examples", json_pack("[o]", typed_value(type, example)));
    if (pcn_gen_is_state(leaf))
        json_object_set_new(schema, "readOnly", json_true());
    if (pcn_gen_extension(leaf, "init-only-config"))
        json_object_set_new(schema, "x-polycube-init-only", json_true());
    return schema;
}

/* ---- units ---- */

bool pcn_gen_is_settable(const struct lysc_node *node, enum pcn_gen_body body)
{
    if (body == PCN_GEN_ANSWER)
        return true;
    if (pcn_gen_is_state(node))
        return false;
    return body == PCN_GEN_CREATE || pcn_gen_is_key(node) || !pcn_gen_extension(node, "init-only-config");
}

char *pcn_gen_schema_name(const struct pcn_gen *gen, const struct lysc_node *unit, enum pcn_gen_body body)
{
    static const char *const suffixes[] = {"", ".create", ".update"};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        abort();
    fputs(gen->module->name, out);
    if (unit != gen->cube) {
        fputc('.', out);
        pcn_gen_print_path(out, gen, unit, ".");
    }
    if (unit->nodetype & (LYS_INPUT | LYS_OUTPUT))
        fputs(unit->nodetype == LYS_INPUT ? ".input" : ".output", out);
    else
        fputs(suffixes[body], out);
    fclose(out);
    return text;
}

json_t *pcn_gen_unit_reference(const struct pcn_gen *gen, const struct lysc_node *unit, enum pcn_gen_body body)
{
    _cleanup_free_ char *name = pcn_gen_schema_name(gen, unit, body);

    return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", name));
}

json_t *pcn_gen_entry_reference(const struct pcn_gen *gen, const struct lysc_node *list, enum pcn_gen_body body)
{
    const struct lysc_node *child = NULL;
    json_t *keys = json_array();

    while ((child = pcn_gen_next(list, child)))
        if (pcn_gen_is_key(child))
            json_array_append_new(keys, json_string(child->name));
    if (body == PCN_GEN_ANSWER || json_array_size(keys) == 0) {
        json_decref(keys);
        return pcn_gen_unit_reference(gen, list, body);
    }
    return json_pack("{s:[o, {s:o}]}", "allOf", pcn_gen_unit_reference(gen, list, body), "required", keys);
}

static const char *array_order(const struct lysc_node *node)
{
    return lysc_is_userordered(node) ? " The order of the entries is kept." : "";
}

static json_t *array_schema(const struct lysc_node *node, json_t *items)
{
    const struct lysc_node_list *list = (const struct lysc_node_list *)node;
    const struct lysc_node_leaflist *leaves = (const struct lysc_node_leaflist *)node;
    uint32_t min = node->nodetype == LYS_LIST ? list->min : leaves->min;
    uint32_t max = node->nodetype == LYS_LIST ? list->max : leaves->max;
    json_t *schema = json_pack("{s:s, s:o}", "type", "array", "items", items);

    if (node->dsc)
        json_object_set_new(schema, "description", json_sprintf("%s%s", node->dsc, array_order(node)));
    if (min)
        json_object_set_new(schema, "minItems", json_integer(min));
    if (max && max != UINT32_MAX)
        json_object_set_new(schema, "maxItems", json_integer(max));
    if (pcn_gen_is_state(node))
        json_object_set_new(schema, "readOnly", json_true());
    return schema;
}

static json_t *property(const struct pcn_gen *gen, const struct lysc_node *node, enum pcn_gen_body body)
{
    switch (node->nodetype) {
    case LYS_CONTAINER:
        return pcn_gen_unit_reference(gen, node, body);
    case LYS_LIST:
        return array_schema(node, pcn_gen_entry_reference(gen, node, body));
    case LYS_LEAFLIST:
        return array_schema(node, pcn_gen_value_schema(node));
    default:
        return pcn_gen_value_schema(node);
    }
}

/* Members without which a body is refused. A key may stand in the URL instead. */
static bool is_required(const struct lysc_node *node, enum pcn_gen_body body)
{
    if (node->nodetype != LYS_LEAF || body == PCN_GEN_UPDATE)
        return false;
    if (body == PCN_GEN_CREATE)
        return pcn_gen_is_mandatory(node) && !pcn_gen_is_key(node);
    return pcn_gen_is_mandatory(node);
}

json_t *pcn_gen_unit_schema(const struct pcn_gen *gen, const struct lysc_node *unit, enum pcn_gen_body body)
{
    json_t *properties = json_object(), *required = json_array(), *schema;
    const struct lysc_node *child = NULL;

    while ((child = pcn_gen_next(unit, child))) {
        if (child->nodetype == LYS_ACTION || !pcn_gen_is_settable(child, body))
            continue;
        json_object_set_new(properties, child->name, property(gen, child, body));
        if (is_required(child, body))
            json_array_append_new(required, json_string(child->name));
    }
    if (body == PCN_GEN_ANSWER && pcn_gen_is_unit(unit))
        json_object_set_new(properties, "_links", json_pack("{s:s}", "$ref", "#/components/schemas/links"));
    schema = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
    if (json_array_size(required))
        json_object_set(schema, "required", required);
    json_decref(required);
    if (unit->dsc)
        json_object_set_new(schema, "description", json_string(unit->dsc));
    return schema;
}
