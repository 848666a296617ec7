/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of JSON text. What is written between two entries of a page that is not asked for is thrown away at once. */
#include "private.h"
#include <inttypes.h>
#include <stdio.h>

void emit_raw(struct pcn_emitter *emitter, const char *text, size_t length)
{
    if (emitter->failed || emitter->skipping)
        return;
    if (emitter->length + length + 1 > emitter->capacity) {
        size_t capacity = PCN_MAX(emitter->capacity * 2, emitter->length + length + 256);
        char *grown = realloc(emitter->text, capacity);

        if (!grown) {
            emitter->failed = true;
            return;
        }
        emitter->text = grown;
        emitter->capacity = capacity;
    }
    memcpy(emitter->text + emitter->length, text, length);
    emitter->length += length;
    emitter->text[emitter->length] = '\0';
}

void emit_quoted(struct pcn_emitter *emitter, const char *value)
{
    const char *run = value;

    emit_raw(emitter, "\"", 1);
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        char escape[8];
        int n;

        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        emit_raw(emitter, run, (size_t)(value - run));
        run = value + 1;
        n = c < ' ' ? snprintf(escape, sizeof(escape), "\\u%04x", c) : snprintf(escape, sizeof(escape), "\\%c", c);
        emit_raw(emitter, escape, (size_t)n);
    }
    emit_raw(emitter, run, (size_t)(value - run));
    emit_raw(emitter, "\"", 1);
}

void emit_name(struct pcn_emitter *emitter, const char *name)
{
    if (emitter->comma)
        emit_raw(emitter, ",", 1);
    emitter->comma = true;
    if (!name)
        return;
    emit_quoted(emitter, name);
    emit_raw(emitter, ":", 1);
}

void emit_open(struct pcn_emitter *emitter, char bracket)
{
    if (emitter->depth == EMIT_DEPTH_MAX) {
        emitter->failed = true;
        return;
    }
    emit_raw(emitter, &bracket, 1);
    emitter->closing[emitter->depth++] = bracket == '{' ? '}' : ']';
    emitter->comma = false;
}

void emit_close(struct pcn_emitter *emitter)
{
    if (!emitter->depth) {
        emitter->failed = true;
        return;
    }
    emit_raw(emitter, &emitter->closing[--emitter->depth], 1);
    emitter->comma = true;
}

void emitter_done(struct pcn_emitter *emitter)
{
    pcn_freep(&emitter->text);
}

/* ---- what cubes call ---- */

void pcn_emit_string(struct pcn_emitter *emitter, const char *leaf, const char *value)
{
    if (!value)
        return;
    emit_name(emitter, leaf);
    emit_quoted(emitter, value);
}

void pcn_emit_uint(struct pcn_emitter *emitter, const char *leaf, uint64_t value)
{
    char text[24];

    if (emitter->parsed)
        value = PCN_MIN(value, (uint64_t)INT64_MAX);
    emit_name(emitter, leaf);
    emit_raw(emitter, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, value));
}

void pcn_emit_int(struct pcn_emitter *emitter, const char *leaf, int64_t value)
{
    char text[24];

    emit_name(emitter, leaf);
    emit_raw(emitter, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, value));
}

void pcn_emit_bool(struct pcn_emitter *emitter, const char *leaf, bool value)
{
    emit_name(emitter, leaf);
    emit_raw(emitter, value ? "true" : "false", value ? 4 : 5);
}

void pcn_emit_time(struct pcn_emitter *emitter, const char *leaf, const struct timespec *time)
{
    char seconds[32], text[48];
    struct tm tm;

    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", gmtime_r(&time->tv_sec, &tm));
    (void)snprintf(text, sizeof(text), "%s.%03ldZ", seconds, time->tv_nsec / 1000000);
    pcn_emit_string(emitter, leaf, text);
}

bool pcn_ring_entries(uint64_t n, uint32_t room, const char *key, uint64_t *ret_first, uint64_t *ret_end)
{
    uint64_t number = key ? strtoull(key, NULL, 10) : 0;

    *ret_first = n > room ? n - room : 0;
    *ret_end = n;
    if (!key)
        return true;
    if (number <= *ret_first || number > n)
        return false;
    *ret_first = number - 1;
    *ret_end = number;
    return true;
}

void pcn_emit_container(struct pcn_emitter *emitter, const char *name)
{
    emit_name(emitter, name);
    emit_open(emitter, '{');
}

void pcn_emit_list(struct pcn_emitter *emitter, const char *name)
{
    emit_name(emitter, name);
    emit_open(emitter, '[');
}

/* Counts an entry; whether it is of the page. */
static bool page_has_next(struct pcn_emitter *emitter)
{
    uint32_t index = emitter->seen++;

    return index >= emitter->offset && (!emitter->limit || index - emitter->offset < emitter->limit);
}

/* Whether text stands in JSON as it is. */
static bool is_plain(const char *text)
{
    while ((unsigned char)*text >= ' ' && *text != '"' && *text != '\\')
        text++;
    return !*text;
}

/* Most entries need not be parsed to see that they have not all values. */
static bool entry_may_pass(const struct pcn_emitter *emitter, const char *start)
{
    const char *name, *text;
    json_t *wanted;

    json_object_foreach ((json_t *)emitter->filter, name, wanted) {
        text = json_string_value(wanted);
        if (is_plain(text) && !strstr(start, text))
            return false;
    }
    return true;
}

/* Whether the entry that was written last has all members of the filter. */
static bool entry_passes(const struct pcn_emitter *emitter)
{
    const char *start = emitter->text + emitter->entry + (emitter->entry_comma ? 1 : 0), *name;
    json_t *entry, *wanted;
    bool passes;

    if (!entry_may_pass(emitter, start))
        return false;
    entry = json_loadb(start, (size_t)(emitter->text + emitter->length - start), 0, NULL);
    passes = entry != NULL;
    json_object_foreach ((json_t *)emitter->filter, name, wanted) {
        const json_t *value = json_object_get(entry, name);
        char text[32];

        if (json_is_integer(value))
            (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else
            (void)snprintf(text, sizeof(text), "%s", json_is_true(value) ? "true" : "false");
        passes = passes && value && pcn_streq(json_string_value(value) ?: text, json_string_value(wanted));
    }
    json_decref(entry);
    return passes;
}

void pcn_emit_entry(struct pcn_emitter *emitter)
{
    if (emitter->paged && emitter->depth == emitter->page_depth) {
        emitter->entry = emitter->length;
        emitter->entry_comma = emitter->comma;
        emitter->skipping = !emitter->filter && !page_has_next(emitter);
    }
    emit_name(emitter, NULL);
    emit_open(emitter, '{');
}

void pcn_emit_end(struct pcn_emitter *emitter)
{
    emit_close(emitter);
    if (!emitter->paged || emitter->depth != emitter->page_depth || emitter->failed)
        return;
    if (emitter->filter && (!entry_passes(emitter) || !page_has_next(emitter))) {
        emitter->length = emitter->entry;
        emitter->text[emitter->length] = '\0';
        emitter->comma = emitter->entry_comma;
    }
    if (!emitter->skipping)
        return;
    /* The entry left no text; whether the next one needs a comma is seen in what is there. */
    emitter->skipping = false;
    emitter->comma = emitter->length && emitter->text[emitter->length - 1] != '[';
}
