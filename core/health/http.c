/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP and HTTPS, by libcurl's multi interface on the health thread's epoll set.
 *
 * libcurl and what it brings are loaded by the first check of that kind: a daemon without one does without 5 MB.
 */
#include "private.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/epoll.h>

/* ---- the library ---- */

static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    void (*easy_cleanup)(CURL *easy);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t fd, int events, int *running);
    CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t fd, void *data);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *left);
    CURLMcode (*multi_cleanup)(CURLM *multi);
} lib;

static bool lib_loaded;

static void lib_load(void)
{
    const struct {
        const char *name;
        void *function;
    } functions[] = {
        {"curl_global_init", &lib.global_init},
        {"curl_easy_init", &lib.easy_init},
        {"curl_easy_setopt", &lib.easy_setopt},
        {"curl_easy_getinfo", &lib.easy_getinfo},
        {"curl_easy_cleanup", &lib.easy_cleanup},
        {"curl_easy_strerror", &lib.easy_strerror},
        {"curl_slist_append", &lib.slist_append},
        {"curl_slist_free_all", &lib.slist_free_all},
        {"curl_multi_init", &lib.multi_init},
        {"curl_multi_setopt", &lib.multi_setopt},
        {"curl_multi_add_handle", &lib.multi_add_handle},
        {"curl_multi_remove_handle", &lib.multi_remove_handle},
        {"curl_multi_socket_action", &lib.multi_socket_action},
        {"curl_multi_assign", &lib.multi_assign},
        {"curl_multi_info_read", &lib.multi_info_read},
        {"curl_multi_cleanup", &lib.multi_cleanup},
    };
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    library = library ? library : dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(functions); i++) {
        void *function = dlsym(library, functions[i].name);

        if (!function) {
            (void)dlclose(library);
            return;
        }
        memcpy(functions[i].function, &function, sizeof(function));
    }
    lib_loaded = lib.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* ---- what runs ---- */

struct http {
    CURLM *multi;
    uint64_t due;
    LIST_HEAD(, http_source) gone; /* freed once no event of this round can name them */
};

struct http_source {
    struct source source;
    LIST_ENTRY(http_source) next;
};

struct transfer {
    CURL *easy;
    struct curl_slist *connect_to;
    long status;
    bool whole; /* all headers are here */
    bool connected;
    char error[CURL_ERROR_SIZE];
};

/* The descriptor is libcurl's to close. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
    struct engine *engine = data;
    struct http_source *source = socket_data;
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

    if (what == CURL_POLL_REMOVE) {
        if (!source)
            return 0;
        (void)epoll_ctl(engine->epoll, EPOLL_CTL_DEL, fd, NULL);
        source->source.fd = -1;
        LIST_INSERT_HEAD(&engine->http->gone, source, next);
        (void)lib.multi_assign(engine->http->multi, fd, NULL);
        return 0;
    }
    if (!source) {
        source = calloc(1, sizeof(*source));
        /* -1 would end all transfers; so this one's time runs out. */
        if (!source)
            return 0;
        source->source = (struct source){SOURCE_HTTP, fd};
        (void)lib.multi_assign(engine->http->multi, fd, source);
    }
    (void)engine_watch(engine, &source->source, events);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *data)
{
    struct engine *engine = data;

    engine->http->due = timeout_ms < 0 ? NEVER : engine->now + (uint64_t)timeout_ms;
    return 0;
}

static int http_new(struct engine *engine)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http *http;

    (void)pthread_once(&once, lib_load);
    if (!lib_loaded)
        return -ELIBACC;
    http = calloc(1, sizeof(*http));
    if (!http)
        return -ENOMEM;
    http->due = NEVER;
    http->multi = lib.multi_init();
    if (!http->multi) {
        free(http);
        return -ENOMEM;
    }
    engine->http = http;
    (void)lib.multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)lib.multi_setopt(http->multi, CURLMOPT_SOCKETDATA, engine);
    (void)lib.multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)lib.multi_setopt(http->multi, CURLMOPT_TIMERDATA, engine);
    return 0;
}

/* ---- one check ---- */

static curl_socket_t on_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct pcn_health *health = data;
    const char *device = health->check->device;
    int fd = socket(address->family, address->socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address->protocol);

    if (address->family == AF_INET6 && device[0]) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->addr;

        if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
            v6->sin6_scope_id = if_nametoindex(device);
    }
    if (fd >= 0 && device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
        pcn_closep(&fd);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* Line by line: the empty one is the last. There it ends, the body is not waited for. */
static size_t on_header(char *line, size_t size, size_t n, void *data)
{
    struct transfer *transfer = data;

    if (n > 9 && memcmp(line, "HTTP/", 5) == 0)
        transfer->status = strtol(memchr(line, ' ', n) ? (char *)memchr(line, ' ', n) : "", NULL, 10);
    if (n > 2 || transfer->status < 200)
        return size * n;
    transfer->whole = true;
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
    return size * n;
}

static void url_make(const struct pcn_health *health, char url[320], char connect_to[96])
{
    const struct pcn_health_check *check = health->check;
    char address[INET6_ADDRSTRLEN] = "", name[INET6_ADDRSTRLEN + 2];
    uint16_t port = target_port(health);

    (void)inet_ntop(health->version == 4 ? AF_INET : AF_INET6, &health->address, address, sizeof(address));
    (void)snprintf(name, sizeof(name), health->version == 4 ? "%s" : "[%s]", address);
    (void)snprintf(url, 320, "%s://%s:%u/", check->type == PCN_HEALTH_HTTPS ? "https" : "http",
                   check->http.host ? check->http.host : name, port);
    (void)snprintf(connect_to, 96, "::%s:%u", name, port);
}

static void options_set(struct pcn_health *health, CURL *easy, const char *url)
{
    const struct pcn_health_check *check = health->check;
    struct transfer *transfer = health->transfer;

    (void)lib.easy_setopt(easy, CURLOPT_URL, url);
    (void)lib.easy_setopt(easy, CURLOPT_CONNECT_TO, transfer->connect_to);
    (void)lib.easy_setopt(easy, CURLOPT_REQUEST_TARGET, check->http.path ? check->http.path : "/");
    (void)lib.easy_setopt(easy, CURLOPT_NOBODY, (long)check->http.head);
    (void)lib.easy_setopt(easy, CURLOPT_USERAGENT, "polycube-health/" PCN_VERSION);
    (void)lib.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)lib.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, (long)check->http.tls_verify);
    (void)lib.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, check->http.tls_verify ? 2L : 0L);
    (void)lib.easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    (void)lib.easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    (void)lib.easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    (void)lib.easy_setopt(easy, CURLOPT_BUFFERSIZE, 1024L);
    (void)lib.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Not what the daemon's environment says. */
    (void)lib.easy_setopt(easy, CURLOPT_PROXY, "");
    (void)lib.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)lib.easy_setopt(easy, CURLOPT_OPENSOCKETDATA, health);
    (void)lib.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)lib.easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    (void)lib.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)lib.easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    (void)lib.easy_setopt(easy, CURLOPT_PRIVATE, health);
}

static int request_start(struct engine *engine, struct pcn_health *health)
{
    char url[320], connect_to[96];
    struct transfer *transfer;
    int r;

    r = engine->http ? 0 : http_new(engine);
    if (r < 0)
        return r;
    transfer = health->transfer = calloc(1, sizeof(*transfer));
    if (!transfer)
        return -ENOMEM;
    url_make(health, url, connect_to);
    transfer->easy = lib.easy_init();
    transfer->connect_to = lib.slist_append(NULL, connect_to);
    if (!transfer->easy || !transfer->connect_to)
        return -ENOMEM;
    options_set(health, transfer->easy, url);
    if (lib.multi_add_handle(engine->http->multi, transfer->easy) != CURLM_OK)
        return -ENOMEM;
    return 0;
}

static void http_begin(struct engine *engine, struct pcn_health *health)
{
    int r = request_start(engine, health);

    if (r < 0)
        engine_done(engine, health, OUTCOME_NONE, "not checked: %s",
                    r == -ELIBACC ? "libcurl.so.4 cannot be loaded" : strerror(-r));
}

static void http_stop(struct engine *engine, struct pcn_health *health)
{
    struct transfer *transfer = TAKE_PTR(health->transfer);

    if (!transfer)
        return;
    if (transfer->easy) {
        (void)lib.multi_remove_handle(engine->http->multi, transfer->easy);
        lib.easy_cleanup(transfer->easy);
    }
    lib.slist_free_all(transfer->connect_to);
    free(transfer);
}

static void http_expired(struct engine *engine, struct pcn_health *health)
{
    curl_off_t connected = 0;

    (void)lib.easy_getinfo(health->transfer->easy, CURLINFO_CONNECT_TIME_T, &connected);
    engine_done(engine, health, OUTCOME_FAILURE, "no %s within %u ms", connected ? "answer" : "connection",
                health->check->timeout);
}

bool http_status_expected(const char *statuses, long status)
{
    for (const char *text = statuses ? statuses : "200-399"; *text;) {
        char *end;
        long first = strtol(text, &end, 10), last = first;

        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        if (status >= first && status <= last)
            return true;
        text = *end == ',' ? end + 1 : "";
    }
    return false;
}

static void judge_status(struct engine *engine, struct pcn_health *health, long status)
{
    const char *expected = health->check->http.status;

    if (http_status_expected(expected, status))
        engine_done(engine, health, OUTCOME_SUCCESS, "status %ld", status);
    else
        engine_done(engine, health, OUTCOME_FAILURE, "status %ld, expected is %s", status,
                    expected ? expected : "200-399");
}

static void transfer_over(struct engine *engine, struct pcn_health *health, CURLcode code)
{
    const struct transfer *transfer = health->transfer;
    long error = 0;

    if (transfer->whole) {
        judge_status(engine, health, transfer->status);
        return;
    }
    (void)lib.easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        engine_done(engine, health, errno_is_local((int)error) ? OUTCOME_NONE : OUTCOME_FAILURE, "%s%s",
                    errno_is_local((int)error) ? "not checked: " : "",
                    error ? strerror((int)error) : "no connection can be made");
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        engine_done(engine, health, OUTCOME_FAILURE, "TLS: %s",
                    transfer->error[0] ? transfer->error : lib.easy_strerror(code));
        break;
    default:
        engine_done(engine, health, OUTCOME_FAILURE, "no HTTP answer: %s", lib.easy_strerror(code));
    }
}

static void transfers_over(struct engine *engine)
{
    CURLMsg *message;
    int left;

    while ((message = lib.multi_info_read(engine->http->multi, &left))) {
        CURLcode code = message->data.result;
        struct pcn_health *health = NULL;

        (void)lib.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&health);
        if (message->msg == CURLMSG_DONE && health)
            transfer_over(engine, health, code);
    }
}

void http_ready(struct engine *engine, struct source *source, uint32_t events)
{
    int running, what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                        (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

    if (source->fd < 0)
        return;
    (void)lib.multi_socket_action(engine->http->multi, source->fd, what, &running);
    transfers_over(engine);
}

uint64_t http_due(const struct engine *engine)
{
    return engine->http ? engine->http->due : NEVER;
}

static void sources_free(struct http *http)
{
    struct http_source *source;

    while ((source = LIST_FIRST(&http->gone))) {
        LIST_REMOVE(source, next);
        free(source);
    }
}

void http_timeout(struct engine *engine)
{
    int running;

    if (!engine->http)
        return;
    if (engine->http->due <= engine->now) {
        engine->http->due = NEVER;
        (void)lib.multi_socket_action(engine->http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        transfers_over(engine);
    }
    sources_free(engine->http);
}

/* No transfer runs any more. */
void http_free(struct engine *engine)
{
    if (!engine->http)
        return;
    (void)lib.multi_cleanup(engine->http->multi);
    sources_free(engine->http);
    free(engine->http);
    engine->http = NULL;
}

const struct kind kind_http = {.begin = http_begin, .expired = http_expired, .stop = http_stop};
