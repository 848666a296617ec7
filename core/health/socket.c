/* SPDX-License-Identifier: Apache-2.0 */
/* TCP: a connection is accepted. UDP: a datagram is answered, or at least not refused, now or of late. */
#include "private.h"
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

socklen_t target_sockaddr(const struct pcn_health *health, struct sockaddr_storage *ret_address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;

    *ret_address = (struct sockaddr_storage){};
    if (health->version == 4) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(target_port(health));
        v4->sin_addr.s_addr = health->address.v4;
        return sizeof(*v4);
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(target_port(health));
    memcpy(&v6->sin6_addr, health->address.v6, sizeof(v6->sin6_addr));
    if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) && health->check->device[0])
        v6->sin6_scope_id = if_nametoindex(health->check->device);
    return sizeof(*v6);
}

uint16_t target_port(const struct pcn_health *health)
{
    return health->check->port ? health->check->port : health->port;
}

bool errno_is_local(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EAGAIN:
    case EADDRNOTAVAIL:
    case EPERM:
    case EACCES:
        return true;
    default:
        return false;
    }
}

bool errno_is_local_at_once(int error)
{
    return errno_is_local(error) || error == ENETUNREACH;
}

void errno_done(struct engine *engine, struct pcn_health *health, int error, bool local)
{
    engine_done(engine, health, local ? OUTCOME_NONE : OUTCOME_FAILURE, "%s%s", local ? "not checked: " : "",
                strerror(error));
}

static void fail(struct engine *engine, struct pcn_health *health, int error)
{
    errno_done(engine, health, error, errno_is_local(error));
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

/* Connected, or on its way to be. -errno. */
static int socket_open(struct engine *engine, struct pcn_health *health, int type, uint32_t events)
{
    const char *device = health->check->device;
    struct sockaddr_storage address;
    socklen_t length = target_sockaddr(health, &address);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fd = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    health->source = (struct source){SOURCE_TARGET, fd};
    /* No connection is left in TIME_WAIT, of which there would be as many as checks in a minute. */
    if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
        return -errno;
    if (device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS)
        return -errno;
    return engine_watch(engine, &health->source, events);
}

static void socket_stop(struct engine *engine, struct pcn_health *health)
{
    engine_unwatch(engine, &health->source);
}

static void tcp_begin(struct engine *engine, struct pcn_health *health)
{
    int r = socket_open(engine, health, SOCK_STREAM, EPOLLOUT);

    if (r < 0)
        errno_done(engine, health, -r, errno_is_local_at_once(-r));
}

static void tcp_ready(struct engine *engine, struct pcn_health *health)
{
    int error = socket_error(health->source.fd);

    if (error)
        fail(engine, health, error);
    else
        engine_done(engine, health, OUTCOME_SUCCESS, "connected");
}

static void tcp_expired(struct engine *engine, struct pcn_health *health)
{
    engine_done(engine, health, OUTCOME_FAILURE, "no connection within %u ms", health->check->timeout);
}

/*
 * A host sends few ICMP errors, often one a second for all its ports; and that a neighbour does not exist is known after
 * three. So long after a refusal silence is none but that.
 */
#define REFUSED_MS 10000

/* What has come since the check before was over. */
static void udp_look_back(struct engine *engine, struct pcn_health *health)
{
    int error = health->silent >= 0 ? socket_error(health->silent) : 0;

    if (error && !errno_is_local(error))
        health->refused = engine->now;
    pcn_closep(&health->silent);
}

static void udp_begin(struct engine *engine, struct pcn_health *health)
{
    const struct pcn_health_check *check = health->check;
    const int on = 1;
    int r;

    udp_look_back(engine, health);
    r = socket_open(engine, health, SOCK_DGRAM, EPOLLIN);
    /* Of hosts that cannot be reached, too, not of ports alone. */
    if (r >= 0 && (health->version == 4 ? setsockopt(health->source.fd, SOL_IP, IP_RECVERR, &on, sizeof(on))
                                        : setsockopt(health->source.fd, SOL_IPV6, IPV6_RECVERR, &on, sizeof(on))) < 0)
        r = -errno;
    if (r >= 0 && send(health->source.fd, check->udp.payload, check->udp.payload_size, 0) < 0)
        r = -errno;
    if (r < 0)
        errno_done(engine, health, -r, errno_is_local_at_once(-r));
}

static void udp_ready(struct engine *engine, struct pcn_health *health)
{
    const struct pcn_health_check *check = health->check;
    uint8_t answer[512];
    ssize_t n = recv(health->source.fd, answer, sizeof(answer), 0);

    if (n < 0) {
        if (errno == EAGAIN)
            return;
        health->refused = errno_is_local(errno) ? health->refused : engine->now;
        fail(engine, health, errno);
        return;
    }
    health->refused = 0;
    if (check->udp.expect_size > (size_t)n ||
        (check->udp.expect_size && memcmp(answer, check->udp.expect, check->udp.expect_size) != 0))
        engine_done(engine, health, OUTCOME_FAILURE, "the answer is not what is expected");
    else
        engine_done(engine, health, OUTCOME_SUCCESS, "answered");
}

static void udp_expired(struct engine *engine, struct pcn_health *health)
{
    if (health->check->udp.expect_size || health->check->udp.answer_required) {
        engine_done(engine, health, OUTCOME_FAILURE, "no answer within %u ms", health->check->timeout);
        return;
    }
    (void)epoll_ctl(engine->epoll, EPOLL_CTL_DEL, health->source.fd, NULL);
    health->silent = health->source.fd;
    health->source.fd = -1;
    if (health->refused && engine->now - health->refused < REFUSED_MS)
        engine_done(engine, health, OUTCOME_FAILURE, "refused within the last %u s", REFUSED_MS / 1000);
    else
        engine_done(engine, health, OUTCOME_SUCCESS, "not refused");
}

const struct kind kind_tcp = {.begin = tcp_begin, .ready = tcp_ready, .expired = tcp_expired, .stop = socket_stop};
const struct kind kind_udp = {.begin = udp_begin, .ready = udp_ready, .expired = udp_expired, .stop = socket_stop};
