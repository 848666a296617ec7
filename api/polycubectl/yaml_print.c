/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"
#include "yaml.h"
#include <strings.h>
#include <yaml.h>

/* Whether some reader of YAML, 1.1 or 1.2, would take the plain text for other than text. */
static bool text_is_ambiguous(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", ""};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    if (strcasecmp(text, ".inf") == 0 || strcasecmp(text, ".nan") == 0 || pcn_streq(text, "<<") || pcn_streq(text, "="))
        return true;
    /* Numbers, dates, and base 60 such as 10:20:30. */
    if (!strchr("+-.0123456789", *text))
        return false;
    return text[strspn(text, "+-.:_0123456789abcdefABCDEFoxTZ ")] == '\0';
}

static yaml_scalar_style_t text_style(const char *text)
{
    if (text_is_ambiguous(text))
        return YAML_SINGLE_QUOTED_SCALAR_STYLE;
    if (strchr(text, '\n'))
        return YAML_LITERAL_SCALAR_STYLE;
    return YAML_ANY_SCALAR_STYLE;
}

static bool print_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;

    return yaml_scalar_event_initialize(&event, NULL, NULL, (const unsigned char *)text, (int)strlen(text), 1, 1,
                                        style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool print_value(yaml_emitter_t *emitter, const json_t *value);

static bool print_object(yaml_emitter_t *emitter, const json_t *object)
{
    yaml_event_t event;
    const char *name;
    json_t *member;

    if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) ||
        !yaml_emitter_emit(emitter, &event))
        return false;
    json_object_foreach ((json_t *)object, name, member)
        if (!print_scalar(emitter, name, text_style(name)) || !print_value(emitter, member))
            return false;
    return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool print_array(yaml_emitter_t *emitter, const json_t *array)
{
    yaml_event_t event;
    json_t *element;
    size_t i;

    if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE) ||
        !yaml_emitter_emit(emitter, &event))
        return false;
    json_array_foreach ((json_t *)array, i, element)
        if (!print_value(emitter, element))
            return false;
    return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool print_value(yaml_emitter_t *emitter, const json_t *value)
{
    char number[64];

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return print_object(emitter, value);
    case JSON_ARRAY:
        return print_array(emitter, value);
    case JSON_STRING:
        return print_scalar(emitter, json_string_value(value), text_style(json_string_value(value)));
    case JSON_TRUE:
        return print_scalar(emitter, "true", YAML_PLAIN_SCALAR_STYLE);
    case JSON_FALSE:
        return print_scalar(emitter, "false", YAML_PLAIN_SCALAR_STYLE);
    case JSON_INTEGER:
        (void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return print_scalar(emitter, number, YAML_PLAIN_SCALAR_STYLE);
    case JSON_REAL:
        (void)snprintf(number, sizeof(number), "%.17g", json_real_value(value));
        return print_scalar(emitter, number, YAML_PLAIN_SCALAR_STYLE);
    default:
        return print_scalar(emitter, "null", YAML_PLAIN_SCALAR_STYLE);
    }
}

static int print_write(void *data, unsigned char *buffer, size_t size)
{
    return fwrite(buffer, 1, size, data) == size;
}

int pcn_cli_yaml_print(FILE *out, const json_t *value)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    bool done;

    if (!yaml_emitter_initialize(&emitter))
        return -ENOMEM;
    yaml_emitter_set_output(&emitter, print_write, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    done = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) && yaml_emitter_emit(&emitter, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) && yaml_emitter_emit(&emitter, &event) &&
           print_value(&emitter, value) && yaml_document_end_event_initialize(&event, 1) &&
           yaml_emitter_emit(&emitter, &event) && yaml_stream_end_event_initialize(&event) &&
           yaml_emitter_emit(&emitter, &event) && yaml_emitter_flush(&emitter);
    yaml_emitter_delete(&emitter);
    return done ? 0 : -EIO;
}
