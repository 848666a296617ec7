/* SPDX-License-Identifier: Apache-2.0 */
/* The target of a request line: what is taken is clean, and means the same when it is written again. */
#include <ctype.h>
#include <http/parse.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request_done(struct pcn_request *request)
{
    for (size_t i = 0; i < request->n_segments; i++)
        free(request->segments[i]);
    free((char *)request->page.filter);
}

static void check_segment(const char *segment)
{
    if (!*segment || pcn_streq(segment, ".") || pcn_streq(segment, "..") ||
        !pcn_http_utf8_valid(segment, strlen(segment)))
        abort();
    for (; *segment; segment++) {
        if ((unsigned char)*segment < 0x20 || *segment == 0x7f)
            abort();
    }
}

/* Everything percent-encoded that can be. */
static char *target_of(const struct pcn_request *request)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        abort();
    (void)fputs(PCN_HTTP_BASE_PATH, out);
    for (size_t i = 0; i < request->n_segments; i++) {
        (void)fputc('/', out);
        for (const unsigned char *c = (const unsigned char *)request->segments[i]; *c; c++)
            (void)fprintf(out, isalnum(*c) ? "%c" : "%%%02x", *c);
    }
    (void)fclose(out);
    return text;
}

static void check_again(const struct pcn_request *request)
{
    _cleanup_free_ char *target = target_of(request);
    struct pcn_request again = {};

    if (pcn_http_parse_url(target, &again, NULL) < 0 || again.n_segments != request->n_segments)
        abort();
    for (size_t i = 0; i < again.n_segments; i++) {
        if (!pcn_streq(again.segments[i], request->segments[i]))
            abort();
    }
    request_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *target = strndup((const char *)data, size);
    struct pcn_request request = {};
    struct pcn_error error = {};
    int r;

    if (!target)
        return 0;
    r = pcn_http_parse_url(target, &request, &error);
    if (r == 0) {
        if (request.n_segments > PCN_REQUEST_SEGMENTS_MAX || request.help > PCN_HELP_NO_HELP)
            abort();
        for (size_t i = 0; i < request.n_segments; i++)
            check_segment(request.segments[i]);
        check_again(&request);
    } else if (r != -ENOENT && (error.tag == PCN_ERROR_NONE || !*error.message ||
                                !pcn_http_utf8_valid(error.message, strlen(error.message)))) {
        abort();
    }
    request_done(&request);
    (void)pcn_http_etag_matches(target, "\"1-2\"");
    return 0;
}
