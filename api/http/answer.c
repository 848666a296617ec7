/* SPDX-License-Identifier: Apache-2.0 */
/* struct pcn_answer -> struct MHD_Response. */
#include "private.h"
#include <stdio.h>

#define ANSWER_CONTENT_TYPE "application/yang.data+json; charset=utf-8"
#define ANSWER_TEXT_TYPE "text/plain; charset=utf-8"

void http_answer_text(struct pcn_answer *answer, unsigned int status, const char *text)
{
    pcn_answer_done(answer);
    answer->status = status;
    answer->body = strdup(text);
    answer->length = answer->body ? strlen(text) : 0;
    answer->content_type = ANSWER_TEXT_TYPE;
}

void http_answer_error(struct pcn_answer *answer, enum pcn_error_tag tag, const char *message)
{
    struct pcn_error error = {};

    pcn_error_set(&error, tag, "", "%s", message);
    pcn_answer_done(answer);
    pcn_answer_error(answer, &error);
}

static bool response_add(struct MHD_Response *response, const char *header, const char *value)
{
    return !value || !value[0] || MHD_add_response_header(response, header, value) == MHD_YES;
}

/* Takes over the body of answer, on failure too. */
static struct MHD_Response *answer_response(struct pcn_answer *answer)
{
    const char *type = answer->content_type ? answer->content_type : ANSWER_CONTENT_TYPE;
    bool text = answer->body && answer->length;
    struct MHD_Response *response;

    if (text) {
        response = MHD_create_response_from_buffer(answer->length, answer->body, MHD_RESPMEM_MUST_FREE);
        if (response)
            answer->body = NULL;
    } else {
        response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    }
    if (!response)
        return NULL;
    if (response_add(response, MHD_HTTP_HEADER_CONTENT_TYPE, text ? type : NULL) &&
        response_add(response, MHD_HTTP_HEADER_ETAG, answer->etag) &&
        response_add(response, MHD_HTTP_HEADER_LOCATION, answer->location) &&
        response_add(response, MHD_HTTP_HEADER_ALLOW, answer->allow))
        return response;
    MHD_destroy_response(response);
    return NULL;
}

static enum MHD_Result response_queue(struct http_call *call, unsigned int status, struct MHD_Response *response)
{
    enum MHD_Result result = MHD_queue_response(call->connection, status, response);

    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_not_modified(struct http_call *call, const char *etag)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);

    if (!response)
        return MHD_NO;
    if (!response_add(response, MHD_HTTP_HEADER_ETAG, etag)) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return response_queue(call, MHD_HTTP_NOT_MODIFIED, response);
}

static bool call_has(const struct http_call *call, const char *etag)
{
    return call->if_none_match && etag[0] && pcn_http_etag_matches(call->if_none_match, etag);
}

enum MHD_Result http_answer_send_cached(struct http_call *call, struct pcn_http_entry *entry)
{
    enum MHD_Result result = call_has(call, entry->etag)
                                 ? answer_not_modified(call, entry->etag)
                                 : MHD_queue_response(call->connection, MHD_HTTP_OK, entry->response);

    pcn_http_entry_release(entry);
    return result;
}

enum MHD_Result http_answer_send(struct http_call *call)
{
    struct pcn_answer *answer = &call->answer;
    bool get = call->cacheable && answer->status == MHD_HTTP_OK;
    /* An ETag is of the configuration: an answer with counters in it is another one each time. */
    bool same = get && answer->cacheable && call_has(call, answer->etag);
    bool keep = get && answer->cacheable && answer->length;
    struct MHD_Response *response;
    struct pcn_http_entry *entry;

    if (same && !keep)
        return answer_not_modified(call, answer->etag);
    response = answer_response(answer);
    if (!response) {
        /* Memory, or a header that no client could read. */
        http_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, "The answer cannot be sent.");
        response = answer_response(answer);
        if (!response)
            return MHD_NO;
        return response_queue(call, answer->status, response);
    }
    if (keep && pcn_http_cache_put(call->http->cache, call->key, call->generation, answer->etag, response,
                                   answer->length, &entry))
        return http_answer_send_cached(call, entry);
    if (same) {
        MHD_destroy_response(response);
        return answer_not_modified(call, answer->etag);
    }
    return response_queue(call, answer->status ? answer->status : MHD_HTTP_INTERNAL_SERVER_ERROR, response);
}
