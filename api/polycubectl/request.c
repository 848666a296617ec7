/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"
#include "print.h"
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>

#define CONNECT_TIMEOUT 5L
#define REDIRECTS_MAX 5L

struct pcn_cli_client {
    CURL *curl;
    struct curl_slist *headers;
    char *base;
    char *socket;
};

struct receiver {
    char *body;
    size_t length, room;
    bool too_long;
};

static size_t receiver_write(char *data, size_t size, size_t n, void *user)
{
    struct receiver *receiver = user;

    n *= size;
    if (receiver->length + n > PCN_CLI_ANSWER_LENGTH) {
        receiver->too_long = true;
        return 0;
    }
    if (receiver->length + n + 1 > receiver->room) {
        size_t room = PCN_MAX(receiver->room * 2, receiver->length + n + 1);
        char *grown = realloc(receiver->body, room);

        if (!grown)
            return 0;
        receiver->body = grown;
        receiver->room = room;
    }
    memcpy(receiver->body + receiver->length, data, n);
    receiver->length += n;
    receiver->body[receiver->length] = '\0';
    return n;
}

static int client_progress(void *user, curl_off_t total_down, curl_off_t down, curl_off_t total_up, curl_off_t up)
{
    const volatile sig_atomic_t *interrupted = user;

    return interrupted && *interrupted;
}

void pcn_cli_client_freep(struct pcn_cli_client **client)
{
    struct pcn_cli_client *c = TAKE_PTR(*client);

    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->headers);
    free(c->base);
    free(c->socket);
    free(c);
}

/* A proxy of the environment is not for this machine's own addresses. */
static CURLcode client_setup_proxy(struct pcn_cli_client *client)
{
    const char *others = getenv("no_proxy");
    _cleanup_free_ char *hosts = NULL;

    if (client->socket)
        return curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
    if (!others)
        others = getenv("NO_PROXY");
    if (others && pcn_streq(others, "*"))
        return curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
    if (asprintf(&hosts, "localhost,127.0.0.1,::1%s%s", others ? "," : "", others ? others : "") < 0)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(client->curl, CURLOPT_NOPROXY, hosts);
}

/* Options that are the same for all requests. */
static bool client_setup(struct pcn_cli_client *client, const struct pcn_cli_config *config)
{
    CURL *curl = client->curl;
    CURLcode r = CURLE_OK;

    /* The words of a path may be "." and "..". */
    r |= curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    r |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    r |= curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    r |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    r |= curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    r |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    r |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT);
    r |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    r |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "polycubectl/" PCN_VERSION);
    r |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receiver_write);
    r |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    r |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, client_progress);
    r |= curl_easy_setopt(curl, CURLOPT_VERBOSE, config->debug ? 1L : 0L);
    if (client->socket)
        r |= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
    r |= client_setup_proxy(client);
    if (config->cert)
        r |= curl_easy_setopt(curl, CURLOPT_SSLCERT, config->cert);
    if (config->key)
        r |= curl_easy_setopt(curl, CURLOPT_SSLKEY, config->key);
    if (config->cacert)
        r |= curl_easy_setopt(curl, CURLOPT_CAINFO, config->cacert);
    return r == CURLE_OK;
}

int pcn_cli_client_new(const struct pcn_cli_config *config, struct pcn_cli_client **ret_client,
                       struct pcn_cli_message *message)
{
    static const char *const headers[] = {"Content-Type: application/json", "Accept: */*", "Expect:"};
    _cleanup_(pcn_cli_client_freep) struct pcn_cli_client *client = NULL;
    int r;

    client = calloc(1, sizeof(*client));
    if (!client)
        return pcn_cli_fail(message, -ENOMEM, "out of memory");
    r = pcn_cli_config_base(config->url, &client->base, &client->socket, message);
    if (r < 0)
        return r;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(headers); i++) {
        struct curl_slist *grown = curl_slist_append(client->headers, headers[i]);

        if (!grown)
            return pcn_cli_fail(message, -ENOMEM, "out of memory");
        client->headers = grown;
    }
    client->curl = curl_easy_init();
    if (!client->curl || !client_setup(client, config))
        return pcn_cli_fail(message, -EIO, "cannot set up the connection to %.200s", config->url);
    *ret_client = TAKE_PTR(client);
    return 0;
}

const char *pcn_cli_client_base(const struct pcn_cli_client *client)
{
    return client->base;
}

/* Says why there was no answer. */
static int client_fail(const struct pcn_cli_client *client, CURLcode code, const char *detail,
                       const struct receiver *receiver, struct pcn_cli_message *message)
{
    const char *where = client->socket ? client->socket : client->base;
    long number = 0;

    if (code == CURLE_ABORTED_BY_CALLBACK)
        return pcn_cli_fail(message, -EINTR, "interrupted");
    if (receiver->too_long)
        return pcn_cli_fail(message, -EIO, "the answer is longer than %zu MiB", PCN_CLI_ANSWER_LENGTH >> 20);
    /* curl would tell of a host and a port. */
    if (code == CURLE_COULDNT_CONNECT && client->socket &&
        curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number)
        return pcn_cli_fail(message, -EIO, "cannot reach polycubed at %.200s: %s", where, strerror((int)number));
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        return pcn_cli_fail(message, -EIO, "cannot reach polycubed at %.200s: %s", where,
                            *detail ? detail : curl_easy_strerror(code));
    return pcn_cli_fail(message, -EIO, "no answer from %.200s: %s", where, *detail ? detail : curl_easy_strerror(code));
}

int pcn_cli_client_request(struct pcn_cli_client *client, const char *method, const char *url, const char *body,
                           unsigned int timeout, const volatile sig_atomic_t *interrupted,
                           struct pcn_cli_answer *ret_answer, struct pcn_cli_message *message)
{
    _cleanup_free_ char *whole = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    struct receiver receiver = {};
    CURL *curl = client->curl;
    CURLcode code = CURLE_OK;
    long status = 0;

    if (asprintf(&whole, "%s%s", client->base, url) < 0)
        return pcn_cli_fail(message, -ENOMEM, "out of memory");
    /* With POSTFIELDS curl keeps the body on 307 and 308; CUSTOMREQUEST keeps the method. */
    if (body) {
        code |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        code |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    } else {
        code |= curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    code |= curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    code |= curl_easy_setopt(curl, CURLOPT_URL, whole);
    code |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiver);
    code |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)interrupted);
    code |= curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout);
    code |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (code != CURLE_OK) {
        free(receiver.body);
        return client_fail(client, code, detail, &receiver, message);
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (!receiver.body)
        receiver.body = calloc(1, 1);
    if (!receiver.body)
        return pcn_cli_fail(message, -ENOMEM, "out of memory");
    *ret_answer = (struct pcn_cli_answer){.status = status, .body = receiver.body, .length = receiver.length};
    return 0;
}

void pcn_cli_answer_done(struct pcn_cli_answer *answer)
{
    free(answer->body);
    *answer = (struct pcn_cli_answer){};
}

/* Whether a message names its path by itself. */
static bool message_has_path(const char *message, const char *path)
{
    size_t length = strlen(path);

    return message && strncmp(message, path, length) == 0 && (message[length] == ' ' || message[length] == ':');
}

/* One line of one element of an errors body. Polycube's daemon gives a tag and the leaf's name only. */
static void answer_error(FILE *out, const json_t *error)
{
    const char *message = json_string_value(json_object_get(error, "error-message"));
    const char *path = json_string_value(json_object_get(error, "error-path"));
    const char *info = json_string_value(json_object_get(error, "error-info"));
    const char *tag = json_string_value(json_object_get(error, "error-tag"));

    if (!path || !*path)
        path = message ? NULL : info;
    (void)fputs("Error: ", out);
    if (path && *path && !message_has_path(message, path)) {
        pcn_cli_print_text(out, path, false);
        (void)fputs(": ", out);
    }
    pcn_cli_print_text(out, message ? message : tag ? tag : "refused", true);
    (void)fputc('\n', out);
}

char *pcn_cli_answer_errors(const struct pcn_cli_answer *answer)
{
    _cleanup_free_ char *text = NULL;
    size_t length = 0, i;
    json_t *body = json_loadb(answer->body, answer->length, 0, NULL), *errors, *error;
    FILE *out = open_memstream(&text, &length);

    if (!out) {
        json_decref(body);
        return NULL;
    }
    errors = json_object_get(json_object_get(body, "ietf-restconf:errors"), "error");
    json_array_foreach (errors, i, error)
        answer_error(out, error);
    if (!json_array_size(errors) && answer->length) {
        (void)fputs("Error: ", out);
        pcn_cli_print_text(out, answer->body, true);
        (void)fputs(answer->body[answer->length - 1] == '\n' ? "" : "\n", out);
    } else if (!json_array_size(errors)) {
        (void)fprintf(out, "Error: the daemon answered with status %ld\n", answer->status);
    }
    json_decref(body);
    if (fclose(out) != 0)
        return NULL;
    return TAKE_PTR(text);
}
