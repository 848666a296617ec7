/* SPDX-License-Identifier: Apache-2.0 */
#include <harness/netns.h>
#include <harness/private.h>
#include <harness/suite.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define WIRE_BUFFER (4 << 20)

int pcn_wire_open(const struct pcn_netns *netns, const char *device, struct pcn_wire *ret_wire)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    _cleanup_close_ int fd = -1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct packet_mreq promiscuous = {.mr_type = PACKET_MR_PROMISC};
    int one = 1, size = WIRE_BUFFER, r;

    r = pcn_netns_enter(netns, &back);
    if (r < 0)
        return r;
    address.sll_ifindex = (int)if_nametoindex(device);
    if (!address.sll_ifindex)
        return -ENODEV;
    promiscuous.mr_ifindex = address.sll_ifindex;
    fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *ret_wire = (struct pcn_wire){.fd = TAKE_FD(fd), .ifindex = (unsigned int)address.sll_ifindex};
    return 0;
}

void pcn_wire_close(struct pcn_wire *wire)
{
    pcn_closep(&wire->fd);
}

int pcn_wire_send(const struct pcn_wire *wire, const struct pcn_frame *frame)
{
    struct pollfd poll_fd = {.fd = wire->fd, .events = POLLOUT};
    ssize_t n;

    do {
        n = send(wire->fd, frame->bytes, frame->length, 0);
    } while (n < 0 && (errno == EAGAIN || errno == ENOBUFS) && poll(&poll_fd, 1, 1000) > 0);
    return n < 0 ? -errno : 0;
}

/* The kernel takes the outer tag out of the frame: auxiliary data tell it. */
static void wire_put_tag_back(struct msghdr *message, struct pcn_frame *frame)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        struct tpacket_auxdata data;

        if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA)
            continue;
        memcpy(&data, CMSG_DATA(header), sizeof(data));
        if (data.tp_status & TP_STATUS_VLAN_VALID)
            pcn_frame_push_vlan(frame, data.tp_vlan_tci,
                                data.tp_status & TP_STATUS_VLAN_TPID_VALID ? data.tp_vlan_tpid : ETHERTYPE_VLAN);
    }
}

/* MLD reports, router solicitations, and solicitations from :: are the kernel's own. */
static bool wire_is_noise(const struct pcn_frame *frame)
{
    static const uint8_t zeros[16];
    uint8_t protocol = 0;
    size_t l3 = pcn_frame_l3(frame), l4 = pcn_frame_l4(frame, &protocol);

    if (!l4 || protocol != IPPROTO_ICMPV6 || l3 + 40 > frame->length)
        return false;
    switch (frame->bytes[l4]) {
    case 143: /* MLDv2 report */
    case MLD_LISTENER_REPORT:
    case MLD_LISTENER_REDUCTION:
    case ND_ROUTER_SOLICIT:
        return true;
    case ND_NEIGHBOR_SOLICIT:
        return memcmp(frame->bytes + l3 + 8, zeros, sizeof(zeros)) == 0;
    default:
        return false;
    }
}

static int wire_take(const struct pcn_wire *wire, struct pcn_frame *frame)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
    struct iovec vector = {.iov_base = frame->bytes, .iov_len = sizeof(frame->bytes) - 4};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(wire->fd, &message, 0);

    if (n < 0)
        return -errno;
    frame->length = (size_t)n;
    wire_put_tag_back(&message, frame);
    return 0;
}

int pcn_wire_receive(const struct pcn_wire *wire, unsigned int timeout_ms, struct pcn_frame *ret_frame)
{
    uint64_t deadline = pcn_test_now_ms() + timeout_ms, now;
    int r;

    for (;;) {
        struct pollfd poll_fd = {.fd = wire->fd, .events = POLLIN};

        r = wire_take(wire, ret_frame);
        if (r == 0 && (wire->noise || !wire_is_noise(ret_frame)))
            return 0;
        if (r < 0 && r != -EAGAIN && r != -EINTR && r != -ENETDOWN)
            return r;
        now = pcn_test_now_ms();
        if (now >= deadline)
            return -ETIMEDOUT;
        if (r < 0)
            (void)poll(&poll_fd, 1, (int)(deadline - now));
    }
}

static bool wire_equal(const struct pcn_frame *a, const struct pcn_frame *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

int pcn_wire_expect(const struct pcn_wire *wire, unsigned int timeout_ms, const struct pcn_frame *frame)
{
    uint64_t deadline = pcn_test_now_ms() + timeout_ms, now;
    struct pcn_frame seen;
    int r;

    while ((now = pcn_test_now_ms()) <= deadline) {
        r = pcn_wire_receive(wire, (unsigned int)(deadline - now), &seen);
        if (r < 0)
            return r;
        if (wire_equal(&seen, frame))
            return 0;
    }
    return -ETIMEDOUT;
}

size_t pcn_wire_count(const struct pcn_wire *wire, unsigned int quiet_ms, const struct pcn_frame *frame)
{
    struct pcn_frame seen;
    size_t n = 0;

    while (pcn_wire_receive(wire, quiet_ms, &seen) == 0)
        n += !frame || wire_equal(&seen, frame);
    return n;
}

void pcn_wire_drain(const struct pcn_wire *wire)
{
    struct pcn_frame seen;

    while (wire_take(wire, &seen) == 0)
        ;
}
