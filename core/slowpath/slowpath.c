/* SPDX-License-Identifier: Apache-2.0 */
#include <slowpath/checksum.h>
#include <slowpath/slowpath.h>

#include <arpa/inet.h>
#include <base/log.h>
#include <base/loop.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <pthread.h>
#include <slowpath/datalog.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Frames of the pair: the largest capture, its header, and a tag put back. */
#define PAIR_MTU 20000
/* Packets that one cube is given in its turn. */
#define TURN 16

struct packet {
    STAILQ_ENTRY(packet) next;
    struct pcn_record record;
    uint8_t frame[];
};

struct queue {
    STAILQ_HEAD(, packet) packets;
    STAILQ_ENTRY(queue) next; /* in the list of those with packets */
    unsigned int length;
    bool listed;
    struct pcn_slowpath_counters counters;
};

struct pcn_slowpath {
    struct pcn_loop *loop;
    struct pcn_chain *chain;
    struct pcn_bpf *bpf;
    struct pcn_net *net;
    int socket;
    int stop;
    pthread_t thread;
    bool started;
    struct ring_buffer *ring;

    pthread_mutex_t lock; /* of what follows */
    struct queue *queues[PCN_CUBES_MAX + 1];
    STAILQ_HEAD(, queue) ready;
    bool posted;
};

static struct pcn_slowpath *the_slowpath; /* pcn_cube_send() knows its cube alone */

/* ---- up ---- */

static void slowpath_deliver(void *data);

static void queue_add(struct pcn_slowpath *slowpath, struct packet *packet)
{
    uint16_t id = packet->record.cube;
    struct queue *queue = slowpath->queues[id];

    if (!queue) {
        queue = calloc(1, sizeof(*queue));
        if (!queue) {
            free(packet);
            return;
        }
        STAILQ_INIT(&queue->packets);
        slowpath->queues[id] = queue;
    }
    if (queue->length == PCN_QUEUE_MAX) {
        queue->counters.shed++;
        free(packet);
        return;
    }
    STAILQ_INSERT_TAIL(&queue->packets, packet, next);
    queue->length++;
    if (!queue->listed) {
        queue->listed = true;
        STAILQ_INSERT_TAIL(&slowpath->ready, queue, next);
    }
    if (!slowpath->posted && pcn_loop_post(slowpath->loop, slowpath_deliver, slowpath, false) == 0)
        slowpath->posted = true;
}

/* A tag that the device took off is put back: the cube sees the frame as it was on the wire. */
static struct packet *packet_copy(const struct pcn_record *record, const uint8_t *bytes)
{
    size_t tag = record->vlan_proto && record->captured >= 2 * ETH_ALEN ? 4 : 0;
    struct packet *packet = malloc(sizeof(*packet) + record->captured + tag);
    uint16_t tci = htons(record->vlan_tci);

    if (!packet)
        return NULL;
    packet->record = *record;
    if (!tag) {
        memcpy(packet->frame, bytes, record->captured);
        return packet;
    }
    memcpy(packet->frame, bytes, 2 * ETH_ALEN);
    memcpy(packet->frame + 2 * ETH_ALEN, &record->vlan_proto, 2);
    memcpy(packet->frame + 2 * ETH_ALEN + 2, &tci, 2);
    memcpy(packet->frame + 2 * ETH_ALEN + tag, bytes + 2 * ETH_ALEN, record->captured - 2 * ETH_ALEN);
    packet->record.captured += (uint32_t)tag;
    packet->record.length += (uint32_t)tag;
    return packet;
}

static int slowpath_record(void *data, void *bytes, size_t size)
{
    struct pcn_slowpath *slowpath = data;
    const struct pcn_record *record = bytes;
    struct packet *packet;

    if (size < sizeof(*record) || record->captured > size - sizeof(*record) || record->cube > PCN_CUBES_MAX)
        return 0;
    packet = packet_copy(record, (const uint8_t *)(record + 1));
    if (!packet)
        return 0;
    if (!(record->flags & PCN_RECORD_XDP) && !record->segment_size && record->captured == record->length)
        pcn_checksum_complete(packet->frame, packet->record.captured);
    pthread_mutex_lock(&slowpath->lock);
    queue_add(slowpath, packet);
    pthread_mutex_unlock(&slowpath->lock);
    return 0;
}

static int slowpath_log(void *data, void *bytes, size_t size)
{
    struct pcn_slowpath *slowpath = data;

    if (size >= sizeof(struct pcn_log_record))
        pcn_datalog(slowpath->loop, slowpath->chain, bytes);
    return 0;
}

static void *slowpath_thread(void *data)
{
    struct pcn_slowpath *slowpath = data;
    struct pollfd fds[] = {{.fd = slowpath->stop, .events = POLLIN},
                           {.fd = ring_buffer__epoll_fd(slowpath->ring), .events = POLLIN}};

    for (;;) {
        if (poll(fds, PCN_ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            break;
        (void)ring_buffer__consume(slowpath->ring);
    }
    return NULL;
}

static void queue_drop(struct queue *queue)
{
    struct packet *packet;

    while ((packet = STAILQ_FIRST(&queue->packets))) {
        STAILQ_REMOVE_HEAD(&queue->packets, next);
        free(packet);
    }
    queue->length = 0;
}

/* The next packet of the queue whose turn it is, until it has had its share. */
static struct packet *queue_take(struct pcn_slowpath *slowpath, struct queue *queue, bool last)
{
    struct packet *packet = STAILQ_FIRST(&queue->packets);

    if (packet) {
        STAILQ_REMOVE_HEAD(&queue->packets, next);
        queue->length--;
        queue->counters.packets_in++;
    }
    if (!packet || last) {
        STAILQ_REMOVE_HEAD(&slowpath->ready, next);
        queue->listed = queue->length > 0;
        if (queue->listed)
            STAILQ_INSERT_TAIL(&slowpath->ready, queue, next);
    }
    return packet;
}

/* One cube's turn; then the loop has its own, where requests go first. */
static void slowpath_deliver(void *data)
{
    struct pcn_slowpath *slowpath = data;
    struct queue *queue;

    pthread_mutex_lock(&slowpath->lock);
    slowpath->posted = false;
    queue = STAILQ_FIRST(&slowpath->ready);
    for (int i = 0; queue && i < TURN; i++) {
        struct packet *packet = queue_take(slowpath, queue, i == TURN - 1);
        struct pcn_packet_in in;
        struct pcn_cube *cube;

        if (!packet)
            break;
        pthread_mutex_unlock(&slowpath->lock);
        cube = pcn_chain_cube_by_id(slowpath->chain, packet->record.cube);
        if (cube && cube->live && cube->kind->packet_in) {
            in = (struct pcn_packet_in){.record = packet->record, .frame = packet->frame};
            cube->kind->packet_in(cube, &in);
        }
        free(packet);
        pthread_mutex_lock(&slowpath->lock);
    }
    if (!STAILQ_EMPTY(&slowpath->ready) && !slowpath->posted &&
        pcn_loop_post(slowpath->loop, slowpath_deliver, slowpath, false) == 0)
        slowpath->posted = true;
    pthread_mutex_unlock(&slowpath->lock);
}

void pcn_slowpath_forget(struct pcn_slowpath *slowpath, uint16_t cube)
{
    struct queue *queue;

    pthread_mutex_lock(&slowpath->lock);
    queue = slowpath->queues[cube];
    if (queue) {
        if (queue->listed)
            STAILQ_REMOVE(&slowpath->ready, queue, queue, next);
        queue_drop(queue);
        free(queue);
        slowpath->queues[cube] = NULL;
    }
    pthread_mutex_unlock(&slowpath->lock);
}

void pcn_slowpath_counters(const struct pcn_slowpath *slowpath, uint16_t cube,
                           struct pcn_slowpath_counters *ret_counters)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&slowpath->lock;

    *ret_counters = (struct pcn_slowpath_counters){};
    pthread_mutex_lock(lock);
    if (slowpath->queues[cube])
        *ret_counters = slowpath->queues[cube]->counters;
    pthread_mutex_unlock(lock);
}

/* ---- down ---- */

static int slowpath_send(struct pcn_cube *cube, uint16_t port, enum pcn_direction direction, uint8_t flags,
                         const void *frame, size_t length)
{
    struct pcn_slowpath *slowpath = the_slowpath;
    struct pcn_reinject header = {.cookie = slowpath->bpf->cookie,
                                  .cube = cube->id,
                                  .port = port,
                                  .direction = (uint8_t)direction,
                                  .flags = flags};
    struct iovec parts[] = {{.iov_base = &header, .iov_len = sizeof(header)},
                            {.iov_base = (void *)frame, .iov_len = length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = PCN_ARRAY_SIZE(parts)};
    struct queue *queue;
    int r = 0;

    if (cube->type != PCN_TYPE_TC)
        header.flags |= PCN_REINJECT_XDP;
    if (length < ETH_HLEN || length > PCN_CAPTURE_MAX + 4)
        r = -EMSGSIZE;
    else if (sendmsg(slowpath->socket, &message, MSG_DONTWAIT) < 0)
        r = -errno;
    pthread_mutex_lock(&slowpath->lock);
    queue = slowpath->queues[cube->id];
    if (queue && r < 0)
        queue->counters.failed_out++;
    else if (queue)
        queue->counters.packets_out++;
    pthread_mutex_unlock(&slowpath->lock);
    return r;
}

int pcn_cube_send(struct pcn_cube *cube, uint16_t port, enum pcn_direction direction, const void *frame, size_t length)
{
    uint8_t flags = cube->kind->shape == PCN_TRANSPARENT ? PCN_REINJECT_FORWARD : 0;

    return slowpath_send(cube, port, direction, flags, frame, length);
}

int pcn_cube_send_into(struct pcn_cube *cube, enum pcn_direction direction, const void *frame, size_t length)
{
    return slowpath_send(cube, 0, direction, 0, frame, length);
}

/* ---- set-up ---- */

static int slowpath_open_socket(struct pcn_slowpath *slowpath)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_ifindex = slowpath->bpf->outer_ifindex, .sll_protocol = 0};
    int buffer = 4 * 1024 * 1024, on = 1;

    /* Protocol 0: it sends, and receives nothing. */
    slowpath->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (slowpath->socket < 0)
        return pcn_log_error(-errno, "cannot open a packet socket");
    (void)setsockopt(slowpath->socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    (void)setsockopt(slowpath->socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
    if (bind(slowpath->socket, (struct sockaddr *)&address, sizeof(address)) < 0)
        return pcn_log_error(-errno, "cannot bind to %s", slowpath->bpf->outer_name);
    return 0;
}

static int slowpath_start(struct pcn_slowpath *slowpath)
{
    slowpath->ring = ring_buffer__new(slowpath->bpf->ring, slowpath_record, slowpath, NULL);
    if (!slowpath->ring)
        return -errno;
    if (ring_buffer__add(slowpath->ring, slowpath->bpf->logs, slowpath_log, slowpath) < 0)
        return -errno;
    slowpath->stop = eventfd(0, EFD_CLOEXEC);
    if (slowpath->stop < 0)
        return -errno;
    if (pthread_create(&slowpath->thread, NULL, slowpath_thread, slowpath))
        return -EAGAIN;
    slowpath->started = true;
    return 0;
}

static void pair_names(struct pcn_bpf *bpf, const char *instance)
{
    char name[256];

    (void)snprintf(name, sizeof(name), "pcn-%s-out", instance);
    pcn_net_short_name(name, bpf->outer_name);
    (void)snprintf(name, sizeof(name), "pcn-%s-in", instance);
    pcn_net_short_name(name, bpf->inner_name);
}

int pcn_slowpath_new(struct pcn_loop *loop, struct pcn_chain *chain, struct pcn_bpf *bpf, struct pcn_net *net,
                     const char *instance, struct pcn_slowpath **ret_slowpath, struct pcn_error *error)
{
    _cleanup_(pcn_slowpath_freep) struct pcn_slowpath *slowpath = calloc(1, sizeof(*slowpath));
    int r;

    if (!slowpath)
        return -ENOMEM;
    *slowpath = (struct pcn_slowpath){.loop = loop, .chain = chain, .bpf = bpf, .net = net, .socket = -1, .stop = -1};
    pthread_mutex_init(&slowpath->lock, NULL);
    STAILQ_INIT(&slowpath->ready);
    pair_names(bpf, instance);
    r = pcn_net_make_pair(net, bpf->outer_name, bpf->inner_name, PAIR_MTU, &bpf->outer_ifindex, &bpf->inner_ifindex);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot make the re-injection devices: %s", strerror(-r));
    r = pcn_bpf_reinject(bpf, error);
    if (r >= 0)
        r = slowpath_open_socket(slowpath);
    if (r >= 0)
        r = slowpath_start(slowpath);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "cannot set up the slow path: %s", strerror(-r));
    the_slowpath = slowpath;
    *ret_slowpath = TAKE_PTR(slowpath);
    return 0;
}

void pcn_slowpath_freep(struct pcn_slowpath **ptr)
{
    struct pcn_slowpath *slowpath = TAKE_PTR(*ptr);
    uint64_t one = 1;

    if (!slowpath)
        return;
    if (slowpath->started) {
        (void)!write(slowpath->stop, &one, sizeof(one));
        pthread_join(slowpath->thread, NULL);
    }
    ring_buffer__free(slowpath->ring);
    pcn_closep(&slowpath->stop);
    pcn_closep(&slowpath->socket);
    for (uint16_t id = 0; id <= PCN_CUBES_MAX; id++)
        pcn_slowpath_forget(slowpath, id);
    if (slowpath->bpf->outer_name[0])
        pcn_net_remove(slowpath->net, slowpath->bpf->outer_name);
    pthread_mutex_destroy(&slowpath->lock);
    the_slowpath = NULL;
    free(slowpath);
}

bool pcn_slowpath_owns(const struct pcn_bpf *bpf, const char *device)
{
    return pcn_streq(device, bpf->outer_name) || pcn_streq(device, bpf->inner_name);
}
