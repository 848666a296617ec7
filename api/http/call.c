/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of one request: target and headers looked at, body collected, handed over with its
 * connection suspended, answered.
 *
 * libmicrohttpd calls http_call_handle() once with the headers, once for each piece of the body and once at the
 * end. A response that is queued in the first of these calls closes the connection; what must not be followed by another
 * request (a body that is not read, framing that proxies may see otherwise) is answered there.
 */
#include "private.h"
#include <stdio.h>
#include <strings.h>

#define CALL_ALLOW "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

void *http_call_new(void *data, const char *uri, struct MHD_Connection *connection)
{
    struct pcn_http *http = data;
    const char *base_url = http->base_url, *prefix = "";
    size_t prefix_length, target_length = uri ? strlen(uri) : 0;
    struct http_call *call;

    if (http->any_address) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        const struct http_connection *context = info ? info->socket_context : NULL;

        if (context && context->base_url[0])
            base_url = prefix = context->base_url;
    }
    prefix_length = strlen(prefix);
    call = calloc(1, sizeof(*call) + prefix_length + target_length + 1);
    if (!call)
        return NULL;
    call->http = http;
    call->connection = connection;
    call->references = 1;
    call->target_length = target_length;
    memcpy(call->key, prefix, prefix_length);
    call->target = call->key + prefix_length;
    memcpy(call->target, uri ? uri : "", target_length + 1);
    snprintf(call->public.request.base_url, sizeof(call->public.request.base_url), "%s", base_url);
    return call;
}

static void call_body_free(struct http_call *call)
{
    atomic_fetch_sub(&call->http->body_bytes, call->body_capacity);
    free(call->body);
    call->body = NULL;
    call->body_size = call->body_capacity = 0;
}

static void call_unref(struct http_call *call)
{
    if (atomic_fetch_sub_explicit(&call->references, 1, memory_order_acq_rel) != 1)
        return;
    pcn_request_done(&call->public.request);
    pcn_answer_done(&call->answer);
    free(call->if_none_match);
    free(call);
}

void http_call_completed(void *data, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_call *call = *context;
    struct pcn_http *http = data;

    if (!call)
        return;
    *context = NULL;
    call_body_free(call);
    if (call->in_flight) {
        pthread_mutex_lock(&http->lock);
        if (--http->in_flight == 0)
            pthread_cond_broadcast(&http->idle);
        pthread_mutex_unlock(&http->lock);
    }
    call_unref(call);
}

/* ---- headers ---- */

struct headers {
    const char *content_length, *transfer_encoding, *if_match, *if_none_match;
    unsigned int content_lengths, transfer_encodings, hosts;
};

static enum MHD_Result headers_add(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct headers *headers = data;

    switch (name[0] | 0x20) {
    case 'c':
        if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
            headers->content_length = value ? value : "";
            headers->content_lengths++;
        }
        break;
    case 't':
        if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
            headers->transfer_encoding = value ? value : "";
            headers->transfer_encodings++;
        }
        break;
    case 'h':
        headers->hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
        break;
    case 'i':
        if (strcasecmp(name, MHD_HTTP_HEADER_IF_MATCH) == 0)
            headers->if_match = value;
        else if (strcasecmp(name, MHD_HTTP_HEADER_IF_NONE_MATCH) == 0)
            headers->if_none_match = value;
        break;
    default:
        break;
    }
    return MHD_YES;
}

/* What is wrong with the framing of the request, so that two readers could disagree on where it ends. */
static const char *headers_ambiguous(const struct headers *headers, const char *version)
{
    if (headers->content_lengths > 1)
        return "more than one Content-Length";
    if (headers->hosts > 1)
        return "more than one Host";
    if (!headers->transfer_encodings)
        return NULL;
    if (headers->content_lengths)
        return "Content-Length along with Transfer-Encoding";
    if (headers->transfer_encodings > 1 || strcasecmp(headers->transfer_encoding, "chunked") != 0)
        return "Transfer-Encoding must be chunked";
    if (pcn_streq(version, MHD_HTTP_VERSION_1_0))
        return "Transfer-Encoding in HTTP/1.0";
    return NULL;
}

/*
 * A NUL within the target cuts it short. libmicrohttpd 0.9 leaves "<target>\0<version>" in its buffer, so a
 * version that starts further on tells.
 */
static bool target_complete(const struct http_call *call, const char *url, const char *version)
{
    return !call->http->version_09 || version < url || version > url + HTTP_MEMORY_LIMIT ||
           version == url + call->target_length + 1;
}

/* false: the method is unknown. */
static bool method_parse(const char *method, struct http_call *call)
{
    static const struct {
        const char *name;
        enum pcn_verb verb;
    } methods[] = {
        {MHD_HTTP_METHOD_GET, PCN_VERB_GET},         {MHD_HTTP_METHOD_HEAD, PCN_VERB_GET},
        {MHD_HTTP_METHOD_POST, PCN_VERB_POST},       {MHD_HTTP_METHOD_PUT, PCN_VERB_PUT},
        {MHD_HTTP_METHOD_PATCH, PCN_VERB_PATCH},     {MHD_HTTP_METHOD_DELETE, PCN_VERB_DELETE},
        {MHD_HTTP_METHOD_OPTIONS, PCN_VERB_OPTIONS},
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(methods); i++) {
        if (pcn_streq(method, methods[i].name)) {
            call->public.request.verb = methods[i].verb;
            call->cacheable = methods[i].verb == PCN_VERB_GET;
            return true;
        }
    }
    return false;
}

static int conditions_keep(struct http_call *call, const struct headers *headers)
{
    struct pcn_request *request = &call->public.request;

    if (headers->if_match && !(request->if_match = strdup(headers->if_match)))
        return -ENOMEM;
    /* Of a GET it is about what is sent, which is known here; else it is a condition on the edit. */
    if (headers->if_none_match &&
        !(*(call->cacheable ? &call->if_none_match : &request->if_none_match) = strdup(headers->if_none_match)))
        return -ENOMEM;
    return 0;
}

/* The first call: sees to it that call->answer is set (state REFUSED) where the headers alone are at fault. */
static enum MHD_Result call_start(struct http_call *call, const char *url, const char *method, const char *version)
{
    struct headers headers = {};
    const char *ambiguous;
    uint64_t length = 0;

    call->state = HTTP_CALL_READING;
    MHD_get_connection_values(call->connection, MHD_HEADER_KIND, headers_add, &headers);
    ambiguous = headers_ambiguous(&headers, version);
    if (!ambiguous && !target_complete(call, url, version))
        ambiguous = "NUL in the URL";
    if (ambiguous) {
        char message[128];

        snprintf(message, sizeof(message), "request: %s", ambiguous);
        http_answer_error(&call->answer, PCN_ERROR_MALFORMED, message);
        return http_answer_send(call);
    }
    /* libmicrohttpd has refused what is not a number. */
    if (headers.content_length)
        length = strtoull(headers.content_length, NULL, 10);
    if (!method_parse(method, call)) {
        http_answer_error(&call->answer, PCN_ERROR_NOT_SUPPORTED, "unknown method; there are " CALL_ALLOW);
        call->answer.allow = strdup(CALL_ALLOW);
    } else if (length > call->http->body_max) {
        char message[96];

        snprintf(message, sizeof(message), "body: more than %zu bytes", call->http->body_max);
        http_answer_error(&call->answer, PCN_ERROR_TOO_BIG, message);
    } else {
        return conditions_keep(call, &headers) < 0 ? MHD_NO : MHD_YES;
    }
    if (length || headers.transfer_encodings)
        return http_answer_send(call);
    call->state = HTTP_CALL_REFUSED;
    return MHD_YES;
}

/* ---- body ---- */

static void call_refuse_body(struct http_call *call, size_t size, enum pcn_error_tag tag)
{
    call_body_free(call);
    call->body_refused = size;
    call->state = HTTP_CALL_REFUSED;
    if (tag == PCN_ERROR_TOO_BIG) {
        char message[96];

        snprintf(message, sizeof(message), "body: more than %zu bytes", call->http->body_max);
        http_answer_error(&call->answer, tag, message);
    } else {
        http_answer_text(&call->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "Too much is being uploaded. Try again later.");
    }
}

static bool call_body_reserve(struct http_call *call, size_t size)
{
    size_t capacity = PCN_MAX(call->body_capacity, (size_t)4096);
    char *body;

    if (size <= call->body_capacity)
        return true;
    while (capacity < size)
        capacity *= 2;
    if (atomic_fetch_add(&call->http->body_bytes, capacity - call->body_capacity) + capacity - call->body_capacity >
        HTTP_BODIES_FACTOR * call->http->body_max + 4096) {
        atomic_fetch_sub(&call->http->body_bytes, capacity - call->body_capacity);
        return false;
    }
    body = realloc(call->body, capacity);
    if (!body) {
        atomic_fetch_sub(&call->http->body_bytes, capacity - call->body_capacity);
        return false;
    }
    call->body = body;
    call->body_capacity = capacity;
    return true;
}

static enum MHD_Result call_receive(struct http_call *call, const char *data, size_t size)
{
    /* Only the end of the request can be answered, so a refused body is read on; but not for ever. */
    if (call->state == HTTP_CALL_REFUSED) {
        call->body_refused += size;
        return call->body_refused > 2 * call->http->body_max + (1u << 20) ? MHD_NO : MHD_YES;
    }
    if (size > call->http->body_max - call->body_size) {
        call_refuse_body(call, call->body_size + size, PCN_ERROR_TOO_BIG);
        return MHD_YES;
    }
    if (!call_body_reserve(call, call->body_size + size)) {
        call_refuse_body(call, call->body_size + size, PCN_ERROR_RESOURCE_DENIED);
        return MHD_YES;
    }
    memcpy(call->body + call->body_size, data, size);
    call->body_size += size;
    return MHD_YES;
}

/* ---- hand-over ---- */

static void call_list(struct http_call *call)
{
    struct pcn_http *http = call->http;

    call->previous = NULL;
    call->next = http->out;
    if (http->out)
        http->out->previous = call;
    http->out = call;
    call->listed = true;
}

static void call_unlist(struct http_call *call)
{
    *(call->previous ? &call->previous->next : &call->http->out) = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call->listed = false;
}

static enum MHD_Result call_submit(struct http_call *call)
{
    struct pcn_http *http = call->http;

    call->generation = pcn_generation();
    call->state = HTTP_CALL_OUT;
    /* Before it can be resumed. */
    MHD_suspend_connection(call->connection);
    pthread_mutex_lock(&http->lock);
    if (http->stopping) {
        pthread_mutex_unlock(&http->lock);
        http_answer_text(&call->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "The daemon is stopping.");
        MHD_resume_connection(call->connection);
        return MHD_YES;
    }
    call_list(call);
    call->in_flight = true;
    http->in_flight++;
    http->references++;
    atomic_fetch_add(&call->references, 1);
    pthread_mutex_unlock(&http->lock);
    http->submit(http->data, &call->public);
    return MHD_YES;
}

void pcn_http_finish(struct pcn_http_call *public, struct pcn_answer *answer)
{
    struct http_call *call = PCN_CONTAINER_OF(public, struct http_call, public);
    struct pcn_http *http = call->http;

    pthread_mutex_lock(&http->lock);
    if (call->listed) {
        call_unlist(call);
        call->answer = *answer;
        *answer = (struct pcn_answer){};
        MHD_resume_connection(call->connection);
    }
    pthread_mutex_unlock(&http->lock);
    pcn_answer_done(answer);
    call_unref(call);
    http_unref(http);
}

void http_call_abandon_all(struct pcn_http *http)
{
    pthread_mutex_lock(&http->lock);
    while (http->out) {
        struct http_call *call = http->out;

        call_unlist(call);
        http_answer_text(&call->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "The daemon is stopping.");
        MHD_resume_connection(call->connection);
    }
    pthread_mutex_unlock(&http->lock);
}

static enum MHD_Result call_refuse(struct http_call *call, int r, const struct pcn_error *error)
{
    if (r == -ENOMEM)
        http_answer_text(&call->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "Out of memory.");
    else if (r == -ENOENT)
        http_answer_text(&call->answer, MHD_HTTP_NOT_FOUND, "Cannot find a matching route.");
    else
        pcn_answer_error(&call->answer, error);
    return http_answer_send(call);
}

/* The request is complete. */
static enum MHD_Result call_run(struct http_call *call)
{
    struct pcn_request *request = &call->public.request;
    bool edit = request->verb == PCN_VERB_POST || request->verb == PCN_VERB_PUT || request->verb == PCN_VERB_PATCH;
    struct pcn_error error = {};
    int r;

    if (call->cacheable) {
        struct pcn_http_entry *entry = pcn_http_cache_get(call->http->cache, call->key, pcn_generation());

        if (entry)
            return http_answer_send_cached(call, entry);
    }
    r = pcn_http_parse_url(call->target, request, &error);
    /* Of the other verbs a body has no meaning (RFC 9110 9.3): it is read and left. */
    if (r == 0 && edit)
        r = pcn_http_parse_body(call->body, call->body_size, &request->body, &error);
    call_body_free(call);
    return r < 0 ? call_refuse(call, r, &error) : call_submit(call);
}

enum MHD_Result http_call_handle(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *upload, size_t *upload_size, void **context)
{
    struct http_call *call = *context;
    size_t size = *upload_size;

    if (!call)
        return MHD_NO;
    if (call->state == HTTP_CALL_NEW)
        return call_start(call, url, method, version);
    if (size) {
        *upload_size = 0;
        return call_receive(call, upload, size);
    }
    return call->state == HTTP_CALL_READING ? call_run(call) : http_answer_send(call);
}
