/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP: one raw socket a family for all targets. An answer is known by the slot of its target and a number that nobody
 * else knows, which are sent along; and by where it comes from.
 */
#include "private.h"
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#define ICMP_FILTER 1 /* <linux/icmp.h> defines it, but does not go together with the C library's header */
#define REPLIES 256
#define SLOTS_FIRST 64u
#define SLOTS_MAX (1u << 20)

/* As on the wire, but for the order of bytes of what only we read. */
struct echo_packet {
    uint8_t type, code;
    uint16_t checksum;
    uint16_t id, sequence;
    uint64_t nonce;
    uint32_t slot;
    uint8_t data[44]; /* as long as ping's */
} __attribute__((packed));

struct echo {
    struct source sources[2]; /* IPv4, IPv6 */
    bool raw;                 /* IPv4: the header is received too */
    uint16_t id;
    struct pcn_health **slots; /* whose check runs */
    uint32_t n_slots, next;
};

static int socket_new(int family, bool *ret_raw)
{
    int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    const uint32_t others = ~(1u << ICMP_ECHOREPLY);
    struct icmp6_filter filter6;
    int fd;

    fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    *ret_raw = fd >= 0;
    /* Without CAP_NET_RAW: where net.ipv4.ping_group_range has our group. */
    if (fd < 0)
        return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    ICMP6_FILTER_SETBLOCKALL(&filter6);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
    if (family == AF_INET)
        (void)setsockopt(fd, SOL_RAW, ICMP_FILTER, &others, sizeof(others));
    else
        (void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, sizeof(filter6));
    return fd;
}

static int echo_open(struct engine *engine, struct source *source, int family)
{
    bool raw;
    int r;

    if (source->fd >= 0)
        return 0;
    *source = (struct source){SOURCE_ECHO, socket_new(family, &raw)};
    if (source->fd < 0)
        return -errno;
    if (family == AF_INET)
        engine->echo->raw = raw;
    r = engine_watch(engine, source, EPOLLIN);
    if (r < 0)
        pcn_closep(&source->fd);
    return r;
}

static int echo_new(struct engine *engine)
{
    struct echo *echo = calloc(1, sizeof(*echo));

    if (!echo)
        return -ENOMEM;
    echo->sources[0].fd = echo->sources[1].fd = -1;
    (void)!getrandom(&echo->id, sizeof(echo->id), 0);
    engine->echo = echo;
    return 0;
}

static int slot_take(struct echo *echo, struct pcn_health *health)
{
    uint32_t n = echo->n_slots ? 2 * echo->n_slots : SLOTS_FIRST;
    struct pcn_health **slots;

    for (uint32_t i = 0; i < echo->n_slots; i++) {
        uint32_t slot = echo->next++ % echo->n_slots;

        if (echo->slots[slot])
            continue;
        health->slot = slot;
        echo->slots[slot] = health;
        return 0;
    }
    slots = n <= SLOTS_MAX ? realloc(echo->slots, n * sizeof(struct pcn_health *)) : NULL;
    if (!slots)
        return -ENOMEM;
    memset(slots + echo->n_slots, 0, (n - echo->n_slots) * sizeof(struct pcn_health *));
    echo->slots = slots;
    echo->next = echo->n_slots;
    echo->n_slots = n;
    return slot_take(echo, health);
}

static uint16_t checksum(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i += 2) {
        uint16_t word;

        memcpy(&word, bytes + i, sizeof(word));
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

/* Out of the check's device, if it has one. */
static int packet_send(int fd, const struct pcn_health *health, const struct echo_packet *packet)
{
    struct sockaddr_storage address;
    struct iovec part = {.iov_base = (void *)packet, .iov_len = sizeof(*packet)};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control = {};
    struct msghdr message = {.msg_name = &address, .msg_iov = &part, .msg_iovlen = 1};
    unsigned int ifindex;

    message.msg_namelen = target_sockaddr(health, &address);
    if (health->version == 4)
        ((struct sockaddr_in *)&address)->sin_port = 0;
    else
        ((struct sockaddr_in6 *)&address)->sin6_port = 0;
    if (health->check->device[0]) {
        ifindex = if_nametoindex(health->check->device);
        if (!ifindex)
            return -ENODEV;
        message.msg_control = &control;
        if (health->version == 4) {
            const struct in_pktinfo info = {.ipi_ifindex = (int)ifindex};

            control.header = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO};
            memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
            message.msg_controllen = CMSG_SPACE(sizeof(info));
        } else {
            const struct in6_pktinfo info = {.ipi6_ifindex = ifindex};

            control.header = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
            memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
            message.msg_controllen = CMSG_SPACE(sizeof(info));
        }
    }
    return sendmsg(fd, &message, 0) < 0 ? -errno : 0;
}

static int request_send(struct engine *engine, struct pcn_health *health)
{
    struct source *source;
    struct echo_packet packet;
    int r;

    r = engine->echo ? 0 : echo_new(engine);
    if (r < 0)
        return r;
    source = &engine->echo->sources[health->version == 6];
    r = echo_open(engine, source, health->version == 4 ? AF_INET : AF_INET6);
    if (r >= 0)
        r = slot_take(engine->echo, health);
    if (r < 0)
        return r;
    (void)!getrandom(&health->nonce, sizeof(health->nonce), 0);
    packet = (struct echo_packet){
        .type = health->version == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
        .id = engine->echo->id,
        .sequence = htons((uint16_t)health->slot),
        .nonce = health->nonce,
        .slot = health->slot,
    };
    /* That of ICMPv6 is the kernel's. */
    if (health->version == 4)
        packet.checksum = checksum(&packet, sizeof(packet));
    return packet_send(source->fd, health, &packet);
}

static void echo_begin(struct engine *engine, struct pcn_health *health)
{
    int r = request_send(engine, health);

    if (r < 0)
        errno_done(engine, health, -r, errno_is_local_at_once(-r));
}

static void echo_stop(struct engine *engine, struct pcn_health *health)
{
    struct echo *echo = engine->echo;

    if (echo && health->slot < echo->n_slots && echo->slots[health->slot] == health)
        echo->slots[health->slot] = NULL;
}

static void echo_expired(struct engine *engine, struct pcn_health *health)
{
    engine_done(engine, health, OUTCOME_FAILURE, "no answer within %u ms", health->check->timeout);
}

static bool is_from(const struct pcn_health *health, const struct sockaddr_storage *from)
{
    if (health->version == 4)
        return from->ss_family == AF_INET && ((const struct sockaddr_in *)from)->sin_addr.s_addr == health->address.v4;
    return from->ss_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)from)->sin6_addr, health->address.v6, sizeof(struct in6_addr)) == 0;
}

static void reply_take(struct engine *engine, const struct echo_packet *packet, const struct sockaddr_storage *from)
{
    struct echo *echo = engine->echo;
    struct pcn_health *health = packet->slot < echo->n_slots ? echo->slots[packet->slot] : NULL;

    if (!health || packet->nonce != health->nonce || !is_from(health, from) ||
        packet->type != (health->version == 4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
        return;
    engine_done(engine, health, OUTCOME_SUCCESS, "answered");
}

void echo_ready(struct engine *engine, struct source *source)
{
    bool has_header = source == &engine->echo->sources[0] && engine->echo->raw;
    uint8_t buffer[512];

    /* What else comes does so in the next round: a flood of answers is not all there is. */
    for (int i = 0; i < REPLIES; i++) {
        struct sockaddr_storage from = {};
        socklen_t length = sizeof(from);
        struct echo_packet packet;
        size_t start = 0;
        ssize_t n = recvfrom(source->fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

        if (n < 0)
            return;
        if (has_header && n > 0)
            start = (size_t)(buffer[0] & 15) * 4;
        if ((size_t)n < start + sizeof(packet))
            continue;
        memcpy(&packet, buffer + start, sizeof(packet));
        reply_take(engine, &packet, &from);
    }
}

void echo_free(struct engine *engine)
{
    if (!engine->echo)
        return;
    for (int i = 0; i < 2; i++)
        engine_unwatch(engine, &engine->echo->sources[i]);
    free(engine->echo->slots);
    free(engine->echo);
    engine->echo = NULL;
}

const struct kind kind_icmp = {.begin = echo_begin, .expired = echo_expired, .stop = echo_stop};
