/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"
#include "yaml.h"
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct pcn_cli_message *message;
    unsigned int depth;
};

static int reader_fail(struct reader *reader, const yaml_mark_t *mark, const char *what)
{
    return pcn_cli_fail(reader->message, -EINVAL, "line %zu, column %zu: %s", mark->line + 1, mark->column + 1, what);
}

static int reader_next(struct reader *reader, yaml_event_t *event)
{
    yaml_parser_t *parser = &reader->parser;

    if (yaml_parser_parse(parser, event))
        return 0;
    if (parser->error == YAML_MEMORY_ERROR)
        return pcn_cli_fail(reader->message, -ENOMEM, "out of memory");
    if (parser->error == YAML_READER_ERROR)
        return pcn_cli_fail(reader->message, -EINVAL, "byte %zu: %s", parser->problem_offset, parser->problem);
    return reader_fail(reader, &parser->problem_mark, parser->problem ? parser->problem : "not YAML");
}

static json_t *reader_plain(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(nulls); i++)
        if (pcn_streq(text, nulls[i]))
            return json_null();
    if (pcn_streq(text, "True") || pcn_streq(text, "TRUE"))
        return json_true();
    if (pcn_streq(text, "False") || pcn_streq(text, "FALSE"))
        return json_false();
    return pcn_cli_value(text);
}

static int reader_scalar(struct reader *reader, const yaml_event_t *event, json_t **ret_value)
{
    const char *text = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    json_t *value;

    if (strlen(text) != event->data.scalar.length)
        return reader_fail(reader, &event->start_mark, "a NUL character cannot be sent");
    if (tag && !pcn_streq(tag, YAML_STR_TAG) && !pcn_streq(tag, "!"))
        return reader_fail(reader, &event->start_mark, "only the tag !!str is known");
    if (tag || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        value = json_string(text);
    else
        value = reader_plain(text);
    if (!value)
        return reader_fail(reader, &event->start_mark, "not UTF-8 text");
    *ret_value = value;
    return 0;
}

static int reader_value(struct reader *reader, const yaml_event_t *event, json_t **ret_value);

static int reader_sequence(struct reader *reader, json_t *array)
{
    for (;;) {
        _cleanup_(yaml_event_delete) yaml_event_t event = {};
        json_t *value;
        int r;

        r = reader_next(reader, &event);
        if (r < 0)
            return r;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        r = reader_value(reader, &event, &value);
        if (r < 0)
            return r;
        if (json_array_append_new(array, value) < 0)
            return pcn_cli_fail(reader->message, -ENOMEM, "out of memory");
    }
}

static int reader_mapping(struct reader *reader, json_t *object)
{
    for (;;) {
        _cleanup_(yaml_event_delete) yaml_event_t key = {}, event = {};
        const char *name;
        json_t *value;
        int r;

        r = reader_next(reader, &key);
        if (r < 0)
            return r;
        if (key.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (key.type != YAML_SCALAR_EVENT || strlen((char *)key.data.scalar.value) != key.data.scalar.length)
            return reader_fail(reader, &key.start_mark, "a name is expected");
        name = (const char *)key.data.scalar.value;
        if (json_object_get(object, name))
            return reader_fail(reader, &key.start_mark, "the name is there already");
        r = reader_next(reader, &event);
        if (r < 0)
            return r;
        r = reader_value(reader, &event, &value);
        if (r < 0)
            return r;
        if (json_object_set_new(object, name, value) < 0)
            return reader_fail(reader, &key.start_mark, "the name is not UTF-8 text");
    }
}

static int reader_value(struct reader *reader, const yaml_event_t *event, json_t **ret_value)
{
    json_t *value;
    int r;

    if (event->type == YAML_SCALAR_EVENT)
        return reader_scalar(reader, event, ret_value);
    if (event->type != YAML_SEQUENCE_START_EVENT && event->type != YAML_MAPPING_START_EVENT)
        return reader_fail(reader, &event->start_mark, "aliases are not taken");
    if (reader->depth >= PCN_CLI_YAML_DEPTH_MAX)
        return reader_fail(reader, &event->start_mark, "nested too deeply");
    reader->depth++;
    value = event->type == YAML_SEQUENCE_START_EVENT ? json_array() : json_object();
    r = json_is_array(value) ? reader_sequence(reader, value) : reader_mapping(reader, value);
    reader->depth--;
    if (r < 0) {
        json_decref(value);
        return r;
    }
    *ret_value = value;
    return 0;
}

/* Up to the first event of the first document's content. Returns 1 where there is none. */
static int reader_start(struct reader *reader, yaml_event_t *event)
{
    for (;;) {
        int r = reader_next(reader, event);

        if (r < 0)
            return r;
        if (event->type == YAML_STREAM_END_EVENT)
            return 1;
        if (event->type != YAML_STREAM_START_EVENT && event->type != YAML_DOCUMENT_START_EVENT)
            return 0;
        yaml_event_delete(event);
    }
}

static int reader_end(struct reader *reader)
{
    for (;;) {
        _cleanup_(yaml_event_delete) yaml_event_t event = {};
        int r = reader_next(reader, &event);

        if (r < 0)
            return r;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            return reader_fail(reader, &event.start_mark, "only one document is taken");
        if (event.type == YAML_STREAM_END_EVENT)
            return 0;
    }
}

static int yaml_parse_strict(const char *text, size_t length, json_t **ret_value, struct pcn_cli_message *message)
{
    struct reader reader = {.message = message};
    yaml_event_t event = {};
    json_t *value = NULL;
    int r;

    if (!yaml_parser_initialize(&reader.parser))
        return pcn_cli_fail(message, -ENOMEM, "out of memory");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
    r = reader_start(&reader, &event);
    if (r == 1)
        value = json_null();
    else if (r == 0)
        r = reader_value(&reader, &event, &value);
    if (r == 0)
        r = reader_end(&reader);
    yaml_event_delete(&event);
    yaml_parser_delete(&reader.parser);
    if (r < 0) {
        json_decref(value);
        return r;
    }
    *ret_value = value;
    return 0;
}

int pcn_cli_yaml_parse(const char *text, size_t length, json_t **ret_value, struct pcn_cli_message *message)
{
    json_t *value;
    int r;

    r = yaml_parse_strict(text, length, ret_value, message);
    if (r != -EINVAL)
        return r;
    /* Strict JSON is not all YAML to libyaml: surrogate pairs in escapes are not. */
    value = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (!value)
        return r;
    *ret_value = value;
    return 0;
}
