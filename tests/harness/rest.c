/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <harness/daemon.h>
#include <harness/private.h>
#include <stdarg.h>
#include <stdio.h>

#define REQUEST_TIMEOUT_S 60L

struct buffer {
    char *text;
    size_t length;
};

void pcn_reply_done(struct pcn_reply *reply)
{
    pcn_freep(&reply->text);
    pcn_freep(&reply->headers);
    json_decref(reply->json);
    *reply = (struct pcn_reply){};
}

static size_t rest_append(char *bytes, size_t size, size_t n, void *data)
{
    struct buffer *buffer = data;
    char *grown = realloc(buffer->text, buffer->length + size * n + 1);

    if (!grown)
        return 0;
    memcpy(grown + buffer->length, bytes, size * n);
    buffer->length += size * n;
    grown[buffer->length] = '\0';
    buffer->text = grown;
    return size * n;
}

static void rest_prepare(CURL *curl, const struct pcn_testd *daemon, const char *method, const char *url,
                         const char *body, struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, pcn_testd_socket(daemon));
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, REQUEST_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, rest_append);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, rest_append);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    } else if (pcn_streq(method, "POST") || pcn_streq(method, "PUT") || pcn_streq(method, "PATCH")) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    }
}

static CURL *rest_handle(void)
{
    static CURL *curl; /* keeps the connection */

    if (!curl)
        curl = curl_easy_init();
    else
        curl_easy_reset(curl);
    return curl;
}

int pcn_testd_request_with(struct pcn_testd *daemon, const char *method, const char *path, const char *header,
                           const char *body, struct pcn_reply *ret_reply)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    struct buffer text = {}, head = {};
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = rest_handle();
    CURLcode code;
    long status = 0;
    char url[8192];

    snprintf(url, sizeof(url), "http://localhost/polycube/v1/%s", path);
    headers = curl_slist_append(headers, "Expect:");
    if (header)
        headers = curl_slist_append(headers, header);
    rest_prepare(curl, daemon, method, url, body, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    reply = (struct pcn_reply){
        .status = (unsigned int)status, .text = text.text ?: strdup(""), .length = text.length, .headers = head.text};
    if (code != CURLE_OK) {
        if (code != CURLE_COULDNT_CONNECT)
            fprintf(stderr, "%s %s: %s\n", method, path, curl_easy_strerror(code));
        return code == CURLE_COULDNT_CONNECT ? -ECONNREFUSED : -EIO;
    }
    reply.json = reply.length ? json_loadb(reply.text, reply.length, JSON_DECODE_ANY, NULL) : NULL;
    if (ret_reply) {
        *ret_reply = reply;
        reply = (struct pcn_reply){};
    }
    return (int)status;
}

int pcn_testd_request(struct pcn_testd *daemon, const char *method, const char *path, const char *body,
                      struct pcn_reply *ret_reply)
{
    return pcn_testd_request_with(daemon, method, path, NULL, body, ret_reply);
}

/* A request of set-up: anything but 2xx is printed. */
static PCN_PRINTF(4, 0) int rest_must(struct pcn_testd *daemon, const char *method, const char *body,
                                      const char *format, va_list args)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    _cleanup_free_ char *path = NULL;
    int r;

    if (vasprintf(&path, format, args) < 0)
        return -ENOMEM;
    r = pcn_testd_request(daemon, method, path, body, &reply);
    if (r / 100 != 2)
        fprintf(stderr, "%s %s %.300s: %d %s\n", method, path, body ?: "", r, reply.text ?: "");
    return r;
}

int pcn_testd_post(struct pcn_testd *daemon, const char *body, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = rest_must(daemon, "POST", body, format, args);
    va_end(args);
    return r;
}

int pcn_testd_patch(struct pcn_testd *daemon, const char *body, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = rest_must(daemon, "PATCH", body, format, args);
    va_end(args);
    return r;
}

int pcn_testd_delete(struct pcn_testd *daemon, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = rest_must(daemon, "DELETE", NULL, format, args);
    va_end(args);
    return r;
}

json_t *pcn_testd_get(struct pcn_testd *daemon, const char *format, ...)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    _cleanup_free_ char *path = NULL;
    va_list args;
    int r;

    va_start(args, format);
    r = vasprintf(&path, format, args);
    va_end(args);
    if (r < 0)
        return NULL;
    r = pcn_testd_request(daemon, "GET", path, NULL, &reply);
    return r == 200 ? TAKE_PTR(reply.json) : NULL;
}

/* ---- looking into JSON ---- */

json_t *pcn_json_at(json_t *json, const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    char *rest = NULL;

    for (char *word = strtok_r(copy, ".", &rest); word && json; word = strtok_r(NULL, ".", &rest)) {
        if (json_is_array(json))
            json = json_array_get(json, strtoul(word, NULL, 10));
        else
            json = json_object_get(json, word);
    }
    return json;
}

const char *pcn_json_text(json_t *json, const char *path)
{
    return json_string_value(pcn_json_at(json, path)) ?: "";
}

long long pcn_json_int(json_t *json, const char *path)
{
    json_t *found = pcn_json_at(json, path);

    return json_is_integer(found) ? json_integer_value(found) : -1;
}
