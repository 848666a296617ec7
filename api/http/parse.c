/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"
#include <stdio.h>
#include <strings.h>

bool pcn_http_utf8_valid(const char *text, size_t size)
{
    const unsigned char *byte = (const unsigned char *)text;

    for (size_t i = 0; i < size;) {
        uint32_t code = byte[i];
        size_t more = code < 0x80 ? 0 : code < 0xc2 ? 4 : code < 0xe0 ? 1 : code < 0xf0 ? 2 : code < 0xf5 ? 3 : 4;

        if (more == 4 || more > size - i - 1)
            return false;
        if (more)
            code &= 0x3f >> more;
        for (size_t j = 1; j <= more; j++) {
            if ((byte[i + j] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (byte[i + j] & 0x3f);
        }
        /* Overlong forms, surrogates, beyond Unicode. */
        if ((more == 2 && code < 0x800) || (code >= 0xd800 && code < 0xe000) || (more == 3 && code < 0x10000) ||
            code > 0x10ffff)
            return false;
        i += more + 1;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is one part of the target, decoded; never with a control character, hence never with a NUL. */
static int target_decode(const char *text, size_t size, char **ret_text, struct pcn_error *error)
{
    _cleanup_free_ char *decoded = malloc(size + 1);
    size_t length = 0;

    if (!decoded)
        return -ENOMEM;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '%') {
            int high = size - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = size - i > 2 ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return pcn_error_set(error, PCN_ERROR_MALFORMED, "",
                                     "URL: '%%' is not followed by two hexadecimal digits; write '%%25' for itself");
            c = (unsigned char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        } else if (c == '#') {
            return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "URL: '#' is not allowed; write '%%23'");
        }
        if (c < 0x20 || c == 0x7f)
            return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "URL: control character %%%02X is not allowed", c);
        decoded[length++] = (char)c;
    }
    decoded[length] = '\0';
    if (!pcn_http_utf8_valid(decoded, length))
        return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "URL: not valid UTF-8 after percent-decoding");
    *ret_text = TAKE_PTR(decoded);
    return 0;
}

static int path_parse(const char *path, size_t size, struct pcn_request *request, struct pcn_error *error)
{
    if (size > 1 && path[size - 1] == '/')
        size--;
    while (size) {
        const char *slash = memchr(path, '/', size);
        size_t length = slash ? (size_t)(slash - path) : size;
        char *segment;
        int r;

        /* An empty one at the very end too: only one slash may trail. */
        if (length == 0 || length + 1 == size)
            return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "URL: '//' is not allowed");
        if (request->n_segments == PCN_REQUEST_SEGMENTS_MAX)
            return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "URL: more than %d segments",
                                 PCN_REQUEST_SEGMENTS_MAX);
        r = target_decode(path, length, &segment, error);
        if (r < 0)
            return r;
        request->segments[request->n_segments++] = segment;
        if (pcn_streq(segment, "..") || pcn_streq(segment, "."))
            return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "URL: segment '%s' is not allowed", segment);
        path += length + (slash ? 1 : 0);
        size -= length + (slash ? 1 : 0);
    }
    return 0;
}

static int number_parse(const char *name, const char *value, uint32_t min, uint32_t *ret_number,
                        struct pcn_error *error)
{
    uint64_t number = 0;
    size_t length = strlen(value);

    for (size_t i = 0; i < length && length <= 10; i++) {
        if (value[i] < '0' || value[i] > '9') {
            length = 0;
            break;
        }
        number = number * 10 + (uint64_t)(value[i] - '0');
    }
    if (length == 0 || length > 10 || number < min || number > UINT32_MAX)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, name,
                             "query: %s is '%.64s'; it must be a number from %u to %u", name, value, min, UINT32_MAX);
    *ret_number = (uint32_t)number;
    return 0;
}

static int help_parse(const char *value, enum pcn_help *ret_help, struct pcn_error *error)
{
    static const char *const names[] = {
        [PCN_HELP_NONE] = "NONE", [PCN_HELP_SHOW] = "SHOW", [PCN_HELP_ADD] = "ADD",
        [PCN_HELP_SET] = "SET",   [PCN_HELP_DEL] = "DEL",   [PCN_HELP_NO_HELP] = "NO_HELP",
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(names); i++) {
        if (strcasecmp(value, names[i]) == 0) {
            *ret_help = (enum pcn_help)i;
            return 0;
        }
    }
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "help",
                         "query: help is '%.64s'; it must be SHOW, ADD, SET, DEL, NONE or NO_HELP", value);
}

enum parameter {
    PARAMETER_HELP,
    PARAMETER_COMPLETION,
    PARAMETER_OFFSET,
    PARAMETER_LIMIT,
    PARAMETER_FILTER,
    PARAMETER_MAX
};

static const char *const parameters[PARAMETER_MAX] = {"help", "completion", "offset", "limit", "filter"};

static int parameter_parse(enum parameter parameter, const char *value, struct pcn_request *request,
                           struct pcn_error *error)
{
    switch (parameter) {
    case PARAMETER_HELP:
        return help_parse(value, &request->help, error);
    case PARAMETER_COMPLETION:
        request->completion = strcasecmp(value, "false") != 0;
        if (value[0] && request->completion && strcasecmp(value, "true") != 0)
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "completion",
                                 "query: completion is '%.64s'; it takes no value, or true or false", value);
        return 0;
    case PARAMETER_OFFSET:
        return number_parse("offset", value, 0, &request->page.offset, error);
    case PARAMETER_FILTER:
        request->page.filter = strdup(value);
        return request->page.filter ? 0 : -ENOMEM;
    case PARAMETER_LIMIT:
    default:
        return number_parse("limit", value, 1, &request->page.limit, error);
    }
}

static int query_parse(const char *query, struct pcn_request *request, struct pcn_error *error)
{
    unsigned int seen = 0;

    while (*query) {
        _cleanup_free_ char *pair = NULL;
        size_t length = strcspn(query, "&");
        enum parameter parameter = 0;
        char *value;
        int r;

        r = target_decode(query, length, &pair, error);
        if (r < 0)
            return r;
        query += length + (query[length] == '&');
        if (length == 0)
            continue;
        value = pair + strcspn(pair, "=");
        if (*value)
            *value++ = '\0';
        while (parameter < PARAMETER_MAX && !pcn_streq(pair, parameters[parameter]))
            parameter++;
        if (parameter == PARAMETER_MAX)
            return pcn_error_set(error, PCN_ERROR_BAD_ATTRIBUTE, "",
                                 "query: '%.64s' is unknown; there are help, completion, offset, limit and filter",
                                 pair);
        if (seen & 1U << parameter)
            return pcn_error_set(error, PCN_ERROR_BAD_ATTRIBUTE, "", "query: %s is given twice", pair);
        seen |= 1U << parameter;
        r = parameter_parse(parameter, value, request, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The path of a target in absolute form, "http://host/path", which RFC 9112 3.2.2 asks servers to take. */
static const char *target_path(const char *target)
{
    size_t skip = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;

    return skip ? target + skip + strcspn(target + skip, "/?") : target;
}

int pcn_http_parse_url(const char *target, struct pcn_request *request, struct pcn_error *error)
{
    const char *path = target_path(target);
    const size_t base = sizeof(PCN_HTTP_BASE_PATH) - 1;
    size_t size = strcspn(path, "?");
    int r;

    request->help = PCN_HELP_NO_HELP;
    if (size < base || memcmp(path, PCN_HTTP_BASE_PATH, base) != 0 || (size > base && path[base] != '/'))
        return -ENOENT;
    if (size > base) {
        /* The slash after the base path; all others belong to the segments. */
        r = path_parse(path + base + 1, size - base - 1, request, error);
        if (r < 0)
            return r;
    }
    return path[size] == '?' ? query_parse(path + size + 1, request, error) : 0;
}

/* jansson recurses and allocates as the text tells it to, so look at the text before. */
static int body_measure(const char *text, size_t size, struct pcn_error *error)
{
    size_t depth = 0, containers = 0, values = 1;
    bool string = false;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                string = false;
        } else if (c == '"') {
            string = true;
        } else if (c == '[' || c == '{') {
            containers++;
            values++;
            if (++depth > PCN_HTTP_BODY_DEPTH_MAX)
                return pcn_error_set(error, PCN_ERROR_TOO_BIG, "", "body: nested deeper than %d levels",
                                     PCN_HTTP_BODY_DEPTH_MAX);
        } else if (c == ']' || c == '}') {
            depth -= depth > 0;
        } else if (c == ',') {
            values++;
        }
    }
    if (containers > PCN_HTTP_BODY_CONTAINERS_MAX || values > PCN_HTTP_BODY_VALUES_MAX)
        return pcn_error_set(error, PCN_ERROR_TOO_BIG, "",
                             "body: more than %u objects and arrays, or %u values; send it in parts",
                             PCN_HTTP_BODY_CONTAINERS_MAX, PCN_HTTP_BODY_VALUES_MAX);
    return 0;
}

int pcn_http_parse_body(const char *text, size_t size, json_t **ret_body, struct pcn_error *error)
{
    json_error_t json_error;
    json_t *body;
    int r;

    if (size == 0) {
        *ret_body = NULL;
        return 0;
    }
    r = body_measure(text, size, error);
    if (r < 0)
        return r;
    body = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
    if (!body) {
        if (json_error_code(&json_error) == json_error_out_of_memory)
            return -ENOMEM;
        /* jansson quotes the text near the error, cut at any byte. */
        if (!pcn_http_utf8_valid(json_error.text, strlen(json_error.text)))
            for (char *c = json_error.text; *c; c++)
                if (*c & 0x80)
                    *c = '?';
        return pcn_error_set(error, PCN_ERROR_MALFORMED, "", "body: not valid JSON at line %d, column %d: %s",
                             json_error.line, json_error.column, json_error.text);
    }
    *ret_body = body;
    return 0;
}

bool pcn_http_etag_matches(const char *header, const char *etag)
{
    size_t length = strlen(etag);

    while (*header) {
        header += strspn(header, ", \t");
        if (*header == '*')
            return true;
        if (strncmp(header, "W/", 2) == 0)
            header += 2;
        if (length && strncmp(header, etag, length) == 0 && strchr(", \t", header[length]))
            return true;
        header += strcspn(header, ",");
    }
    return false;
}
