/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets: bound here rather than by libmicrohttpd, so that errors say which address or path. */
#include "private.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

bool http_listen_base_url(int fd, char *base_url, size_t size, bool *ret_any_address, uint16_t *ret_port)
{
    struct sockaddr_storage storage = {};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&storage;
    socklen_t length = sizeof(storage);
    char text[INET6_ADDRSTRLEN];
    bool any;

    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0)
        return false;
    if (storage.ss_family == AF_INET) {
        any = v4->sin_addr.s_addr == htonl(INADDR_ANY);
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    } else if (storage.ss_family == AF_INET6) {
        any = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof(text));
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    } else {
        return false;
    }
    snprintf(base_url, size, strchr(text, ':') ? "//[%s]:%u" PCN_HTTP_BASE_PATH "/" : "//%s:%u" PCN_HTTP_BASE_PATH "/",
             any ? "127.0.0.1" : text, ntohs(v4->sin_port));
    *ret_any_address = any;
    *ret_port = ntohs(v4->sin_port);
    return true;
}

static int tcp_resolve(const char *address, uint16_t port, struct addrinfo **ret_list, struct pcn_error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[8];
    int r;

    snprintf(service, sizeof(service), "%u", port);
    /* Links name 127.0.0.1 and clients compare them, whatever order the resolver prefers. */
    r = getaddrinfo(pcn_streq(address, "localhost") ? "127.0.0.1" : address, service, &hints, ret_list);
    if (r == 0)
        return 0;
    pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot resolve address '%.128s': %s", address, gai_strerror(r));
    return -EADDRNOTAVAIL;
}

int http_listen_tcp(const char *address, uint16_t port, struct pcn_http *http, struct pcn_error *error, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    struct addrinfo *list;
    const int on = 1;
    int r;

    r = tcp_resolve(address, port, &list, error);
    if (r < 0)
        return r;
    fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* A daemon that comes back must not wait for its old connections to time out. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, list->ai_addr, list->ai_addrlen) < 0 || listen(fd, HTTP_BACKLOG) < 0)
        r = -errno;
    freeaddrinfo(list);
    if (r < 0) {
        pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot listen on %.128s port %u: %s", address, port, strerror(-r));
        return r;
    }
    if (!http_listen_base_url(fd, http->base_url, sizeof(http->base_url), &http->any_address, &http->port))
        return -EADDRNOTAVAIL;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Removes the socket that a daemon left behind; -EADDRINUSE: somebody answers. */
static int unix_clear(const char *path, const struct sockaddr_un *address)
{
    _cleanup_close_ int fd = -1;
    struct stat status;

    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return -EADDRINUSE;
    if (errno != ECONNREFUSED)
        return -errno;
    return unlink(path) < 0 ? -errno : 0;
}

static int unix_bind(int fd, const char *path, mode_t mode, const struct sockaddr_un *address, struct stat *ret_status)
{
    /* The file gets its mode from the socket, less the umask: closed first, then opened up to what was asked for. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return -errno;
    if (chmod(path, mode) < 0 || lstat(path, ret_status) < 0 || listen(fd, HTTP_BACKLOG) < 0) {
        int r = -errno;

        (void)unlink(path);
        return r;
    }
    return 0;
}

int http_listen_unix(const char *path, mode_t mode, struct pcn_http *http, struct pcn_error *error, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    struct stat status;
    int r;

    if (strlen(path) >= sizeof(address.sun_path)) {
        pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "socket path '%.128s' is longer than %zu bytes", path,
                      sizeof(address.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    r = fd < 0 ? -errno : unix_clear(path, &address);
    if (r == 0)
        r = unix_bind(fd, path, mode, &address, &status);
    if (r < 0) {
        pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot listen on socket %s: %s", path, strerror(-r));
        return r;
    }
    http->unix_path = strdup(path);
    if (!http->unix_path) {
        (void)unlink(path);
        return -ENOMEM;
    }
    http->unix_device = status.st_dev;
    http->unix_inode = status.st_ino;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
