/* SPDX-License-Identifier: Apache-2.0 */
/* Start and stop: two libmicrohttpd daemons, each with one epoll thread. */
#include "private.h"
#include <gnutls/gnutls.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* Targets are decoded segment by segment, by pcn_http_parse_url(). */
static size_t target_keep(void *data, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static PCN_PRINTF(2, 0) void log_line(void *data, const char *format, va_list args)
{
    struct pcn_http *http = data;
    struct timespec now;
    unsigned int dropped = 0;
    char line[512];
    bool say;

    if (!http->log)
        return;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    pthread_mutex_lock(&http->lock);
    if (now.tv_sec - http->log_state.window >= HTTP_LOG_SECONDS) {
        dropped = http->log_state.dropped;
        http->log_state = (struct http_log){.window = now.tv_sec};
    }
    say = http->log_state.lines < HTTP_LOG_BURST;
    http->log_state.lines += say;
    http->log_state.dropped += !say;
    pthread_mutex_unlock(&http->lock);
    if (dropped) {
        snprintf(line, sizeof(line), "%u messages were not shown", dropped);
        http->log(http->data, line);
    }
    if (!say)
        return;
    vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\r\n")] = '\0';
    http->log(http->data, line);
}

static int session_verify(gnutls_session_t session)
{
    struct MHD_Connection *connection = gnutls_session_get_ptr(session);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_connection *context = info ? info->socket_context : NULL;

    return context && pcn_http_tls_peer_allowed(context->http->tls, session) ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

static void connection_started(struct pcn_http *http, struct MHD_Connection *connection, void **socket_context)
{
    const union MHD_ConnectionInfo *info;
    struct http_connection *context = calloc(1, sizeof(*context));
    uint16_t port;
    bool any;

    *socket_context = context;
    if (http->tls && pcn_http_tls_mutual(http->tls)) {
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_function(info->tls_session, session_verify);
    }
    if (!context)
        return;
    context->http = http;
    if (http->any_address) {
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        http_listen_base_url(info->connect_fd, context->base_url, sizeof(context->base_url), &any, &port);
    }
}

static void connection_notify(void *data, struct MHD_Connection *connection, void **socket_context,
                              enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_started(data, connection, socket_context);
    } else {
        free(*socket_context);
        *socket_context = NULL;
    }
}

struct options {
    struct MHD_OptionItem items[24];
    size_t n;
};

static void option_add(struct options *options, enum MHD_OPTION option, intptr_t value, void *pointer)
{
    options->items[options->n++] = (struct MHD_OptionItem){option, value, pointer};
}

static void options_common(struct options *options, struct pcn_http *http, int fd, unsigned int connections,
                           unsigned int timeout)
{
    /* First, as it is to hear about the others. */
    option_add(options, MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_line, http);
    option_add(options, MHD_OPTION_LISTEN_SOCKET, fd, NULL);
    option_add(options, MHD_OPTION_CONNECTION_LIMIT, connections, NULL);
    option_add(options, MHD_OPTION_CONNECTION_TIMEOUT, timeout, NULL);
    option_add(options, MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_MEMORY_LIMIT, NULL);
    option_add(options, MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
    option_add(options, MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)target_keep, NULL);
    option_add(options, MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)http_call_new, http);
    option_add(options, MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_call_completed, http);
}

static struct MHD_Daemon *daemon_start(struct pcn_http *http, unsigned int flags, struct options *options)
{
    struct MHD_Daemon *daemon;
    sigset_t all, old;

    option_add(options, MHD_OPTION_END, 0, NULL);
    /* Signals are for the one who started us; threads inherit the mask. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    daemon = MHD_start_daemon(flags | MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                                  MHD_USE_TURBO,
                              0, NULL, NULL, http_call_handle, http, MHD_OPTION_ARRAY, options->items, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return daemon;
}

static int tcp_start(struct pcn_http *http, const struct pcn_http_config *config, struct pcn_error *error)
{
    _cleanup_close_ int fd = -1;
    struct options options = {};
    unsigned int flags = 0;
    int r;

    if (config->tls.cert || config->tls.key || config->tls.cacert || config->tls.whitelist || config->tls.blacklist) {
        r = pcn_http_tls_open(&config->tls, error, &http->tls);
        if (r < 0)
            return r;
    }
    r = http_listen_tcp(config->address, config->port, http, error, &fd);
    if (r < 0)
        return r;
    options_common(&options, http, fd, config->connections_max ? config->connections_max : HTTP_CONNECTIONS_MAX,
                   config->timeout ? config->timeout : HTTP_TIMEOUT);
    if (config->per_address_max)
        option_add(&options, MHD_OPTION_PER_IP_CONNECTION_LIMIT, config->per_address_max, NULL);
    if (http->any_address || http->tls)
        option_add(&options, MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connection_notify, http);
    if (http->tls) {
        flags |= MHD_USE_TLS;
        option_add(&options, MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)pcn_http_tls_key(http->tls));
        option_add(&options, MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)pcn_http_tls_cert(http->tls));
        if (pcn_http_tls_trust(http->tls))
            option_add(&options, MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)pcn_http_tls_trust(http->tls));
        option_add(&options, MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES);
    }
    http->tcp_daemon = daemon_start(http, flags, &options);
    if (!http->tcp_daemon)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "the HTTP server does not start on %.128s port %u",
                             config->address, config->port);
    (void)TAKE_FD(fd); /* MHD_stop_daemon() closes it */
    return 0;
}

static int unix_start(struct pcn_http *http, const struct pcn_http_config *config, struct pcn_error *error)
{
    _cleanup_close_ int fd = -1;
    struct options options = {};
    int r;

    r = http_listen_unix(config->unix_path, config->unix_mode ? config->unix_mode : 0660, http, error, &fd);
    if (r < 0)
        return r;
    options_common(&options, http, fd, HTTP_CONNECTIONS_UNIX, config->timeout ? config->timeout : HTTP_TIMEOUT);
    http->unix_daemon = daemon_start(http, 0, &options);
    if (!http->unix_daemon)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "the HTTP server does not start on socket %s",
                             config->unix_path);
    (void)TAKE_FD(fd);
    return 0;
}

void http_unref(struct pcn_http *http)
{
    bool last;

    pthread_mutex_lock(&http->lock);
    last = --http->references == 0;
    pthread_mutex_unlock(&http->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&http->lock);
    pthread_cond_destroy(&http->idle);
    free(http);
}

static void http_stopp(struct pcn_http **http)
{
    pcn_http_stop(*http);
}

int pcn_http_start(const struct pcn_http_config *config, struct pcn_error *error, struct pcn_http **ret_http)
{
    _cleanup_(http_stopp) struct pcn_http *http = NULL;
    pthread_condattr_t attribute;
    int r;

    if (!config->submit || (!config->address && !config->unix_path))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "HTTP: neither an address nor a socket to listen on");
    http = calloc(1, sizeof(*http));
    if (!http)
        return -ENOMEM;
    pthread_mutex_init(&http->lock, NULL);
    pthread_condattr_init(&attribute);
    pthread_condattr_setclock(&attribute, CLOCK_MONOTONIC);
    pthread_cond_init(&http->idle, &attribute);
    pthread_condattr_destroy(&attribute);
    http->references = 1;
    http->submit = config->submit;
    http->log = config->log;
    http->data = config->data;
    http->body_max = config->body_max ? config->body_max : HTTP_BODY_MAX;
    http->log_state.window = -HTTP_LOG_SECONDS;
    http->version_09 = strncmp(MHD_get_version(), "0.9.", 4) == 0;
    snprintf(http->base_url, sizeof(http->base_url), "//localhost" PCN_HTTP_BASE_PATH "/");
    r = pcn_http_cache_new(&http->cache);
    if (r == 0 && config->address)
        r = tcp_start(http, config, error);
    if (r == 0 && config->unix_path)
        r = unix_start(http, config, error);
    if (r < 0)
        return r;
    *ret_http = TAKE_PTR(http);
    return 0;
}

uint16_t pcn_http_port(const struct pcn_http *http)
{
    return http->port;
}

const char *pcn_http_base_url(const struct pcn_http *http)
{
    return http->base_url;
}

/* Stops accepting; what is under way goes on. */
static void daemon_quiesce(struct MHD_Daemon *daemon)
{
    int fd = daemon ? MHD_quiesce_daemon(daemon) : -1;

    pcn_closep(&fd);
}

static void unix_unlink(struct pcn_http *http)
{
    struct stat status;

    /* Only our own: another daemon may have replaced it. */
    if (http->unix_path && lstat(http->unix_path, &status) == 0 && status.st_dev == http->unix_device &&
        status.st_ino == http->unix_inode)
        (void)unlink(http->unix_path);
    free(http->unix_path);
    http->unix_path = NULL;
}

void pcn_http_stop(struct pcn_http *http)
{
    struct timespec deadline;

    if (!http)
        return;
    unix_unlink(http);
    daemon_quiesce(http->tcp_daemon);
    daemon_quiesce(http->unix_daemon);
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    pthread_mutex_unlock(&http->lock);
    /* libmicrohttpd aborts the process when it stops with a suspended connection. */
    http_call_abandon_all(http);
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += HTTP_STOP_SECONDS;
    pthread_mutex_lock(&http->lock);
    while (http->in_flight && pthread_cond_timedwait(&http->idle, &http->lock, &deadline) == 0)
        ;
    pthread_mutex_unlock(&http->lock);
    if (http->tcp_daemon)
        MHD_stop_daemon(http->tcp_daemon);
    if (http->unix_daemon)
        MHD_stop_daemon(http->unix_daemon);
    pcn_http_cache_free(http->cache);
    pcn_http_tls_close(http->tls);
    http_unref(http);
}
