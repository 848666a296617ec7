/* SPDX-License-Identifier: Apache-2.0 */
#include "http_mock.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

static _Atomic uint64_t generation = 1;

/* ---- what the daemon provides ---- */

uint64_t pcn_generation(void)
{
    return atomic_load(&generation);
}

int pcn_error_set(struct pcn_error *error, enum pcn_error_tag tag, const char *path, const char *format, ...)
{
    va_list args;

    if (error && !error->tag) {
        error->tag = tag;
        snprintf(error->path, sizeof(error->path), "%s", path);
        va_start(args, format);
        vsnprintf(error->message, sizeof(error->message), format, args);
        va_end(args);
    }
    return tag == PCN_ERROR_TOO_BIG ? -E2BIG : -EINVAL;
}

void pcn_request_done(struct pcn_request *request)
{
    for (size_t i = 0; i < request->n_segments; i++)
        free(request->segments[i]);
    json_decref(request->body);
    free(request->if_match);
    free((char *)request->page.filter);
    free(request->if_none_match);
    *request = (struct pcn_request){};
}

void pcn_answer_done(struct pcn_answer *answer)
{
    free(answer->body);
    free(answer->location);
    free(answer->allow);
    *answer = (struct pcn_answer){};
}

static void answer_json(struct pcn_answer *answer, unsigned int status, json_t *json)
{
    answer->status = status;
    answer->body = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    answer->length = strlen(answer->body);
    json_decref(json);
}

void pcn_answer_error(struct pcn_answer *answer, const struct pcn_error *error)
{
    unsigned int status = error->tag == PCN_ERROR_TOO_BIG ? 413 : error->tag == PCN_ERROR_NOT_SUPPORTED ? 405 : 400;

    answer_json(answer, status,
                json_pack("{s:{s:[{s:s}]}}", "ietf-restconf:errors", "error", "error-message", error->message));
}

/* ---- the submitter ---- */

static json_t *request_json(const struct pcn_request *request)
{
    static const char *const verbs[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    json_t *segments = json_array(), *json;

    for (size_t i = 0; i < request->n_segments; i++)
        json_array_append_new(segments, json_string(request->segments[i]));
    json = json_pack("{s:s, s:o, s:i, s:b, s:i, s:i, s:s, s:s?, s:s?}", "verb", verbs[request->verb], "segments",
                     segments, "help", (int)request->help, "completion", request->completion, "offset",
                     (int)request->page.offset, "limit", (int)request->page.limit, "base", request->base_url,
                     "if-match", request->if_match, "if-none-match", request->if_none_match);
    if (request->body)
        json_object_set(json, "body", request->body);
    return json;
}

static void mock_answer(const struct pcn_request *request, struct pcn_answer *answer)
{
    const char *what = request->n_segments ? request->segments[0] : "echo";
    const char *argument = request->n_segments > 1 ? request->segments[1] : "0";
    int number = atoi(argument);

    if (pcn_streq(what, "leaf") || pcn_streq(what, "race")) {
        if (pcn_streq(what, "race"))
            generation++;
        answer_json(answer, 200, json_string("DEBUG"));
        answer->cacheable = true;
        snprintf(answer->etag, sizeof(answer->etag), "\"%llu\"", (unsigned long long)pcn_generation());
    } else if (pcn_streq(what, "fresh")) {
        answer_json(answer, 200, json_string("now"));
        strcpy(answer->etag, "\"fresh\"");
    } else if (pcn_streq(what, "big")) {
        answer->status = 200;
        answer->cacheable = true;
        answer->body = malloc((size_t)number);
        answer->length = (size_t)number;
        memset(answer->body, 'x', (size_t)number);
    } else if (pcn_streq(what, "bump")) {
        generation++;
        answer->status = 204;
    } else if (pcn_streq(what, "status")) {
        answer->status = (unsigned int)number;
        answer->location = strdup("/polycube/v1/router/r1/?a=1");
        answer->allow = strdup("GET, PATCH");
        answer->body = strdup("some text");
        answer->length = strlen(answer->body);
        answer->content_type = "text/plain; charset=utf-8";
    } else {
        answer_json(answer, 200, request_json(request));
    }
}

static void *mock_run(void *data)
{
    struct http_mock *mock = data;

    pthread_mutex_lock(&mock->lock);
    while (!mock->stop) {
        struct pcn_http_call *call = mock->hold ? NULL : mock->first;
        struct pcn_answer answer = {};

        if (!call) {
            pthread_cond_wait(&mock->moved, &mock->lock);
            continue;
        }
        mock->first = call->next;
        if (!mock->first)
            mock->last = &mock->first;
        pthread_mutex_unlock(&mock->lock);
        mock_answer(&call->request, &answer);
        pcn_http_finish(call, &answer);
        pthread_mutex_lock(&mock->lock);
    }
    pthread_mutex_unlock(&mock->lock);
    return NULL;
}

static void mock_submit(void *data, struct pcn_http_call *call)
{
    struct http_mock *mock = data;
    struct pcn_answer answer = {};

    pthread_mutex_lock(&mock->lock);
    mock->submitted++;
    if (!call->request.n_segments || !pcn_streq(call->request.segments[0], "inline")) {
        call->next = NULL;
        *mock->last = call;
        mock->last = &call->next;
        pthread_cond_signal(&mock->moved);
        call = NULL;
    }
    pthread_mutex_unlock(&mock->lock);
    if (call) {
        answer_json(&answer, 200, json_string("at once"));
        pcn_http_finish(call, &answer);
    }
}

static void mock_log(void *data, const char *message)
{
    struct http_mock *mock = data;

    pthread_mutex_lock(&mock->lock);
    mock->log_lines++;
    snprintf(mock->log_last, sizeof(mock->log_last), "%s", message);
    pthread_mutex_unlock(&mock->lock);
}

int http_mock_start(struct http_mock *mock, const struct pcn_http_config *config, struct pcn_error *error)
{
    struct pcn_http_config own = *config;
    int r;

    *mock = (struct http_mock){};
    mock->last = &mock->first;
    pthread_mutex_init(&mock->lock, NULL);
    pthread_cond_init(&mock->moved, NULL);
    if (own.address && !own.address[0])
        own.address = "127.0.0.1";
    snprintf(mock->unix_path, sizeof(mock->unix_path), "/tmp/pcn-test-http-%d.sock", (int)getpid());
    if (own.unix_path && !own.unix_path[0])
        own.unix_path = mock->unix_path;
    own.submit = mock_submit;
    own.log = mock_log;
    own.data = mock;
    r = pcn_http_start(&own, error, &mock->http);
    if (r < 0)
        return r;
    mock->port = pcn_http_port(mock->http);
    return -pthread_create(&mock->thread, NULL, mock_run, mock);
}

void http_mock_stop(struct http_mock *mock)
{
    struct pcn_answer answer = {};

    if (!mock->http)
        return;
    pcn_http_stop(mock->http);
    pthread_mutex_lock(&mock->lock);
    mock->stop = true;
    pthread_cond_signal(&mock->moved);
    pthread_mutex_unlock(&mock->lock);
    pthread_join(mock->thread, NULL);
    /* What was still out is finished after the server has gone, as its contract allows. */
    while (mock->first) {
        struct pcn_http_call *call = mock->first;

        mock->first = call->next;
        pcn_http_finish(call, &answer);
    }
    mock->http = NULL;
    pthread_mutex_destroy(&mock->lock);
    pthread_cond_destroy(&mock->moved);
}

void http_mock_hold(struct http_mock *mock, bool hold)
{
    pthread_mutex_lock(&mock->lock);
    mock->hold = hold;
    pthread_cond_signal(&mock->moved);
    pthread_mutex_unlock(&mock->lock);
}

size_t http_mock_submitted(struct http_mock *mock)
{
    size_t n;

    pthread_mutex_lock(&mock->lock);
    n = mock->submitted;
    pthread_mutex_unlock(&mock->lock);
    return n;
}

size_t http_mock_log_lines(struct http_mock *mock)
{
    size_t n;

    pthread_mutex_lock(&mock->lock);
    n = mock->log_lines;
    pthread_mutex_unlock(&mock->lock);
    return n;
}

/* ---- clients ---- */

struct text {
    char *bytes;
    size_t length;
};

static size_t text_append(char *data, size_t size, size_t n, void *pointer)
{
    struct text *text = pointer;

    text->bytes = realloc(text->bytes, text->length + size * n + 1);
    memcpy(text->bytes + text->length, data, size * n);
    text->length += size * n;
    text->bytes[text->length] = '\0';
    return size * n;
}

struct http_reply http_mock_ask(struct http_mock *mock, bool unix_socket, const char *method, const char *path,
                                const char *body, const char *const *headers)
{
    struct text text = {.bytes = strdup("")}, head = {.bytes = strdup("")};
    struct curl_slist *list = NULL;
    struct http_reply reply = {};
    CURL *curl = curl_easy_init();
    char url[2048];

    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", mock->port, path);
    while (headers && *headers)
        list = curl_slist_append(list, *headers++);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reply.error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, text_append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, text_append);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    if (unix_socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, mock->unix_path);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    if (method && pcn_streq(method, "HEAD"))
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(list);
    reply.body = text.bytes;
    reply.length = text.length;
    reply.headers = head.bytes;
    return reply;
}

void http_reply_done(struct http_reply *reply)
{
    free(reply->body);
    free(reply->headers);
    *reply = (struct http_reply){};
}

int http_mock_connect(struct http_mock *mock)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(mock->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        pcn_closep(&fd);
    return fd;
}

bool http_raw_send(int fd, const void *data, size_t size)
{
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

        if (n < 0)
            return false;
        data = (const char *)data + n;
        size -= (size_t)n;
    }
    return true;
}

/* How many responses text holds entirely. All of ours have a Content-Length, or no body. */
static size_t responses_whole(const char *text, size_t length)
{
    size_t n = 0;

    for (;;) {
        const char *end = memmem(text, length, "\r\n\r\n", 4);
        const char *field;
        size_t body, head;

        if (!end)
            return n;
        head = (size_t)(end - text) + 4;
        field = strcasestr(text, "\r\nContent-Length:");
        body = field && field < end ? (size_t)atol(field + 17) : 0;
        if (head + body > length)
            return n;
        text += head + body;
        length -= head + body;
        n++;
    }
}

char *http_raw_read(int fd, size_t responses, unsigned int timeout_ms, bool *ret_closed)
{
    uint64_t deadline = pcn_test_now_ms() + timeout_ms;
    struct text text = {.bytes = strdup("")};
    bool closed = false;

    while (!closed && !(responses && responses_whole(text.bytes, text.length) >= responses)) {
        uint64_t now = pcn_test_now_ms();
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        char piece[65536];
        ssize_t n;

        if (now >= deadline || poll(&waiting, 1, (int)(deadline - now)) <= 0)
            break;
        n = recv(fd, piece, sizeof(piece), 0);
        if (n > 0)
            text_append(piece, 1, (size_t)n, &text);
        closed = n <= 0;
    }
    if (ret_closed)
        *ret_closed = closed;
    return text.bytes;
}

char *http_mock_raw(struct http_mock *mock, const char *text, size_t size)
{
    _cleanup_close_ int fd = http_mock_connect(mock);
    bool closed;
    char *read;

    if (fd < 0)
        return NULL;
    (void)http_raw_send(fd, text, size);
    read = http_raw_read(fd, 0, 5000, &closed);
    if (closed)
        return read;
    printf("\n    not closed after: %s\n", read);
    free(read);
    return NULL;
}

size_t http_count(const char *text, const char *part)
{
    size_t n = 0;

    while (text && (text = strstr(text, part))) {
        text += strlen(part);
        n++;
    }
    return n;
}
