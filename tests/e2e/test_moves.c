/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No frame is lost, and none comes twice, while a port moves from one live peer
 * to another:
 *
 *                                  ┌ g0:p  g0:o ── end 0
 *     source ── f:in  f:out ── ? ──┤
 *                                  └ g1:p  g1:o ── end 1
 *
 * or straight to the devices of the ends. The source has but so many frames
 * under way as the queue of a veth holds: what is missing was lost by the cubes.
 */
#include <harness/daemon.h>
#include <harness/netns.h>
#include <harness/suite.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#define MOVES 1000
#define ENDS 2
#define RATE_PPS 40000
#define WINDOW 96     /* a veth's ring has 256 */
#define STALL_MS 3000 /* nothing arrives, the window is full: frames were lost */
#define QUIET_MS 200  /* for a copy too many */
#define IDLE_MS 2500  /* the daemon lets go of a device that has no port for 2 s */
#define SLOW_MOVES 2
#define FRAMES_A_MOVE 4
#define FRAMES_MAX 4000000 /* 100 s */
#define BUFFER (32 << 20)
#define ETHERTYPE_MOVES 0x88b6
#define FRAME 60

struct path {
    const char *type;
    const char *peers[ENDS]; /* of f:out, in turn */
};

struct lab {
    struct pcn_testd *daemon;
    struct pcn_netns *source;
    struct pcn_netns *ends[ENDS];
    struct pcn_wire wire; /* of the source */
    int sockets[ENDS];    /* at the ends, for the frames alone */
};

struct traffic {
    const struct lab *lab;
    pthread_t sender;
    pthread_t receiver;
    atomic_bool stop_sender;
    atomic_bool stop_receiver;
    _Atomic uint32_t sent;
    _Atomic uint32_t distinct;
    _Atomic int error;
    uint32_t surplus;
    uint32_t at[ENDS];
    uint8_t *seen;
    double seconds;
};

/* ---- the lab ---- */

static void lab_done(struct lab *lab)
{
    pcn_wire_close(&lab->wire);
    pcn_netns_freep(&lab->source);
    for (size_t i = 0; i < ENDS; i++) {
        pcn_closep(&lab->sockets[i]);
        pcn_netns_freep(&lab->ends[i]);
    }
    pcn_testd_freep(&lab->daemon);
}

static int lab_socket(const struct pcn_netns *netns)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    _cleanup_close_ int fd = -1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_MOVES)};
    int size = BUFFER, r;

    r = pcn_netns_enter(netns, &back);
    if (r < 0)
        return r;
    address.sll_ifindex = (int)if_nametoindex("eth0");
    fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int lab_hosts(struct lab *lab, bool xdp)
{
    struct pcn_netns *inside = pcn_testd_netns(lab->daemon);
    char label[8], port[8];
    int r;

    r = pcn_host_new(&(struct pcn_host_spec){.label = "source", .inside = inside, .port = "from", .xdp = xdp},
                     &lab->source);
    if (r == 0)
        r = pcn_wire_open(lab->source, "eth0", &lab->wire);
    for (size_t i = 0; r == 0 && i < ENDS; i++) {
        (void)snprintf(label, sizeof(label), "end%zu", i);
        (void)snprintf(port, sizeof(port), "to%zu", i);
        r = pcn_host_new(&(struct pcn_host_spec){.label = label, .inside = inside, .port = port, .xdp = xdp},
                         &lab->ends[i]);
        if (r == 0) {
            lab->sockets[i] = lab_socket(lab->ends[i]);
            r = PCN_MIN(lab->sockets[i], 0);
        }
    }
    return r;
}

static bool lab_cubes(struct lab *lab, const struct path *path)
{
    char body[512];

    for (size_t i = 0; i < ENDS; i++) {
        /* A device has one port: with it as peer of f:out the cube is not needed. */
        if (!strchr(path->peers[i], ':'))
            continue;
        (void)snprintf(body, sizeof(body),
                       "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"ports\": [{\"name\": \"p\", \"peer\": \"f:out\"}, "
                       "{\"name\": \"o\", \"peer\": \"to%zu\"}], "
                       "\"actions\": [{\"inport\": \"p\", \"action\": \"FORWARD\", \"outport\": \"o\"}]}",
                       path->type, i);
        if (pcn_testd_post(lab->daemon, body, "simpleforwarder/g%zu", i) != 201)
            return false;
    }
    return true;
}

static bool lab_first(struct lab *lab, const struct path *path)
{
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"ports\": [{\"name\": \"in\", \"peer\": \"from\"}, "
                   "{\"name\": \"out\"}], "
                   "\"actions\": [{\"inport\": \"in\", \"action\": \"FORWARD\", \"outport\": \"out\"}]}",
                   path->type);
    return pcn_testd_post(lab->daemon, body, "simpleforwarder/f") == 201;
}

static bool lab_move(struct lab *lab, const struct path *path, size_t to)
{
    char body[64];

    (void)snprintf(body, sizeof(body), "{\"peer\": \"%s\"}", path->peers[to]);
    return pcn_testd_patch(lab->daemon, body, "simpleforwarder/f/ports/out/") / 100 == 2;
}

/* ---- traffic ---- */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void nap_ns(long ns)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* Whether there is room for one more: false after STALL_MS without. */
static bool sender_room(struct traffic *traffic)
{
    uint64_t deadline = 0;

    while (traffic->sent - traffic->distinct >= WINDOW) {
        if (!deadline)
            deadline = pcn_test_now_ms() + STALL_MS;
        else if (pcn_test_now_ms() > deadline || traffic->stop_sender)
            return false;
        nap_ns(20000);
    }
    return true;
}

static void *sender_run(void *data)
{
    struct traffic *traffic = data;
    struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){
        .destination_mac = "ff:ff:ff:ff:ff:ff", .ethertype = ETHERTYPE_MOVES, .payload_length = FRAME - ETH_HLEN});
    uint64_t start = now_ns();
    uint32_t sequence = 0;
    int r = 0;

    while (r == 0 && !traffic->stop_sender && sequence < FRAMES_MAX && sender_room(traffic)) {
        /* Late: it sends as fast as it can. */
        if ((uint64_t)sequence * (1000000000 / RATE_PPS) > now_ns() - start) {
            nap_ns(50000);
            continue;
        }
        memcpy(frame.bytes + ETH_HLEN, &sequence, sizeof(sequence));
        r = pcn_wire_send(&traffic->lab->wire, &frame);
        if (r == 0)
            traffic->sent = ++sequence;
    }
    traffic->error = r;
    traffic->seconds = (double)(now_ns() - start) / 1e9;
    return NULL;
}

static void receiver_take(struct traffic *traffic, size_t end)
{
    uint8_t frame[128];
    uint32_t sequence;
    ssize_t n;

    while ((n = recv(traffic->lab->sockets[end], frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
        memcpy(&sequence, frame + ETH_HLEN, sizeof(sequence));
        if (n != FRAME || sequence >= FRAMES_MAX || traffic->seen[sequence]) {
            traffic->surplus++;
            continue;
        }
        traffic->seen[sequence] = 1;
        traffic->at[end]++;
        traffic->distinct++;
    }
}

static void *receiver_run(void *data)
{
    struct traffic *traffic = data;
    struct pollfd polls[ENDS];

    for (size_t i = 0; i < ENDS; i++)
        polls[i] = (struct pollfd){.fd = traffic->lab->sockets[i], .events = POLLIN};
    while (!traffic->stop_receiver) {
        (void)poll(polls, ENDS, 10);
        for (size_t i = 0; i < ENDS; i++)
            receiver_take(traffic, i);
    }
    return NULL;
}

static int traffic_start(const struct lab *lab, struct traffic *traffic)
{
    int r;

    traffic->lab = lab;
    traffic->seen = calloc(FRAMES_MAX, 1);
    if (!traffic->seen)
        return -ENOMEM;
    r = pthread_create(&traffic->receiver, NULL, receiver_run, traffic);
    if (r)
        return -r;
    r = pthread_create(&traffic->sender, NULL, sender_run, traffic);
    if (!r)
        return 0;
    traffic->stop_receiver = true;
    (void)pthread_join(traffic->receiver, NULL);
    return -r;
}

static void traffic_stop(struct traffic *traffic)
{
    traffic->stop_sender = true;
    (void)pthread_join(traffic->sender, NULL);
    (void)PCN_WAIT(STALL_MS, traffic->distinct >= traffic->sent);
    pcn_test_nap(QUIET_MS);
    traffic->stop_receiver = true;
    (void)pthread_join(traffic->receiver, NULL);
}

/* What the socket of a test itself had no room for is no loss of the cubes. */
static unsigned int socket_drops(int fd)
{
    struct tpacket_stats stats = {};
    socklen_t size = sizeof(stats);

    (void)getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    return stats.tp_drops;
}

static void traffic_check(const struct traffic *traffic)
{
    uint32_t shown = 0;

    for (size_t i = 0; i < ENDS; i++) {
        PCN_CHECK_EQ(socket_drops(traffic->lab->sockets[i]), 0);
        PCN_CHECK(traffic->at[i] > 0);
    }
    for (uint32_t sequence = 0; sequence < traffic->sent && shown < 10; sequence++) {
        if (!traffic->seen[sequence])
            printf("    lost: %u%s\n", sequence, ++shown == 10 ? " and others" : "");
    }
    PCN_CHECK_EQ(traffic->error, 0);
    PCN_CHECK_EQ(traffic->distinct, traffic->sent);
    PCN_CHECK_EQ(traffic->surplus, 0);
}

/* ---- the moves ---- */

static int compare_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Back to a device that was let go of: it is taken anew, in the middle of the traffic. */
static void slow_moves(struct lab *lab, const struct path *path)
{
    if (strchr(path->peers[0], ':') || strchr(path->peers[1], ':'))
        return;
    for (size_t i = 0; i < SLOW_MOVES; i++) {
        pcn_test_nap(IDLE_MS);
        PCN_CHECK(lab_move(lab, path, (MOVES + i + 1) % ENDS));
    }
}

/* However busy the machine is, there are frames between two moves. */
static bool traffic_goes_on(const struct traffic *traffic)
{
    uint64_t deadline = pcn_test_now_ms() + STALL_MS;
    uint32_t sent = traffic->sent;

    while (traffic->sent - sent < FRAMES_A_MOVE) {
        if (pcn_test_now_ms() > deadline)
            return false;
        nap_ns(10000);
    }
    return true;
}

static void move(struct lab *lab, const struct path *path, struct traffic *traffic)
{
    uint64_t times[MOVES], total = 0;
    size_t done = 0;

    while (done < MOVES && traffic_goes_on(traffic)) {
        uint64_t before = now_ns();

        if (!lab_move(lab, path, (done + 1) % ENDS))
            break;
        times[done] = now_ns() - before;
        total += times[done++];
    }
    slow_moves(lab, path);
    traffic_stop(traffic);
    PCN_CHECK_EQ(done, MOVES);
    if (!done)
        return;
    qsort(times, done, sizeof(times[0]), compare_ns);
    printf("\n    %s, %s and %s: %.0f moves/s, median %.0f us, the longest %.0f us, under %.0f frames/s; "
           "%u sent, %u + %u arrived\n",
           path->type, path->peers[0], path->peers[1], (double)done * 1e9 / (double)total,
           (double)times[done / 2] / 1e3, (double)times[done - 1] / 1e3, traffic->sent / traffic->seconds,
           traffic->sent, traffic->at[0], traffic->at[1]);
}

static void moves_on(const struct path *path)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    _cleanup_(lab_done) struct lab lab = {.wire = {.fd = -1}, .sockets = {-1, -1}};
    struct traffic traffic = {};

    PCN_REQUIRE_OK(pcn_testd_start(&spec, &lab.daemon));
    PCN_REQUIRE_OK(lab_hosts(&lab, !pcn_streq(path->type, "TC")));
    PCN_REQUIRE(lab_first(&lab, path) && lab_cubes(&lab, path) && lab_move(&lab, path, 0));
    PCN_REQUIRE_OK(traffic_start(&lab, &traffic));
    PCN_CHECK(PCN_WAIT(STALL_MS, traffic.distinct > 0));
    move(&lab, path, &traffic);
    traffic_check(&traffic);
    pcn_freep(&traffic.seen);
    PCN_CHECK_OK(pcn_testd_stop(&lab.daemon));
}

static void test_tc_cubes(void)
{
    moves_on(&(struct path){"TC", {"g0:p", "g1:p"}});
}

static void test_tc_devices(void)
{
    moves_on(&(struct path){"TC", {"to0", "to1"}});
}

static void test_tc_both(void)
{
    moves_on(&(struct path){"TC", {"to0", "g1:p"}});
}

static void test_skb_cubes(void)
{
    moves_on(&(struct path){"XDP_SKB", {"g0:p", "g1:p"}});
}

static void test_drv_cubes(void)
{
    moves_on(&(struct path){"XDP_DRV", {"g0:p", "g1:p"}});
}

static void test_drv_devices(void)
{
    moves_on(&(struct path){"XDP_DRV", {"to0", "to1"}});
}

static void test_drv_both(void)
{
    moves_on(&(struct path){"XDP_DRV", {"to0", "g1:p"}});
}

static const struct pcn_test tests[] = {
    {"moves between cubes lose nothing, at TC", test_tc_cubes},
    {"moves between devices lose nothing, at TC", test_tc_devices},
    {"moves between a device and a cube lose nothing, at TC", test_tc_both},
    {"moves between cubes lose nothing, at XDP_SKB", test_skb_cubes},
    {"moves between cubes lose nothing, at XDP_DRV", test_drv_cubes},
    {"moves between devices lose nothing, at XDP_DRV", test_drv_devices},
    {"moves between a device and a cube lose nothing, at XDP_DRV", test_drv_both},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("moves", tests, .skip = pcn_skip_unless_root);
}
