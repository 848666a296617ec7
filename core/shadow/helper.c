/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <shadow/helper.h>
#include <signal.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define NETNS_DIRECTORY "/run/netns"
#define N_FDS 3

enum operation {
    OPERATION_CREATE,
    OPERATION_DELETE,
    OPERATION_DEVICE_UP,
};

struct request {
    enum operation operation;
    char name[PCN_NAMESPACE_MAX];
    char device[IFNAMSIZ];
};

struct reply {
    int result;
};

/* ---- in the helper ---- */

static void namespace_path(const char *name, char path[256])
{
    (void)snprintf(path, 256, NETNS_DIRECTORY "/%s", name);
}

/* Where `ip netns` looks: a mount point that passes mounts on. */
static int directory_ready(void)
{
    if (mkdir(NETNS_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return -errno;
    if (mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC, NULL) == 0)
        return 0;
    if (errno != EINVAL || mount(NETNS_DIRECTORY, NETNS_DIRECTORY, "none", MS_BIND | MS_REC, NULL) < 0 ||
        mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC, NULL) < 0)
        return -errno;
    return 0;
}

static int netlink_open(uint32_t groups)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0), NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        pcn_closep(&fd);
    return fd;
}

static int ethtool_set(int fd, const char *device, uint32_t command, uint32_t value)
{
    struct ethtool_value request = {.cmd = command, .data = value};
    struct ifreq ifr = {.ifr_data = (void *)&request};

    (void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
    return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static int link_up(int fd, const char *device)
{
    struct ifreq ifr = {};

    (void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
    if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
        return -errno;
    ifr.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* IPv4 settings are the host's at first: but the cube forwards, not the namespace, which may see copies of all (span). */
static void forward_nothing(void)
{
    int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, "0", 1);
    (void)close(fd);
}

/* In the new namespace: it is named, and its descriptors opened. */
static int namespace_fill(const char *path, int fds[N_FDS])
{
    int fd, r;

    fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    if (mount("/proc/self/ns/net", path, "none", MS_BIND, NULL) < 0) {
        r = -errno;
        (void)unlink(path);
        return r;
    }
    forward_nothing();
    fds[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    fds[1] = netlink_open(0);
    fds[2] =
        netlink_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
    if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
        return -errno;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    r = link_up(fd, "lo");
    (void)close(fd);
    return r;
}

static void namespace_remove(const char *path)
{
    (void)umount2(path, MNT_DETACH);
    (void)unlink(path);
}

static int do_create(int home, const struct request *request, int fds[N_FDS])
{
    char path[256];
    int r;

    namespace_path(request->name, path);
    r = directory_ready();
    if (r < 0)
        return r;
    /* One that is there already is somebody else's. */
    if (access(path, F_OK) == 0)
        return -EEXIST;
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    r = namespace_fill(path, fds);
    if (setns(home, CLONE_NEWNET) < 0)
        _exit(EXIT_FAILURE);
    if (r < 0)
        namespace_remove(path);
    return r;
}

/* XDP redirects into a veth only if its other end polls; and nobody fills in checksums on the way. */
static int do_device_up(int home, const struct request *request)
{
    _cleanup_close_ int namespace = -1, fd = -1;
    char path[256];
    int r = 0;

    namespace_path(request->name, path);
    namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
        return -errno;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        r = -errno;
    if (r >= 0)
        r = ethtool_set(fd, request->device, ETHTOOL_STXCSUM, 0);
    if (r >= 0)
        r = link_up(fd, request->device);
    /* Once it is up: only then does the other end become a target of redirects. */
    if (r >= 0)
        r = ethtool_set(fd, request->device, ETHTOOL_SGRO, 1);
    if (r >= 0)
        r = (int)if_nametoindex(request->device);
    if (setns(home, CLONE_NEWNET) < 0)
        _exit(EXIT_FAILURE);
    return r;
}

static int do_request(int home, const struct request *request, int fds[N_FDS])
{
    char path[256];

    /* Nothing but what is named like a shadow namespace, and nowhere else. */
    if (strncmp(request->name, "pcn-", 4) != 0 || strchr(request->name, '/'))
        return -EPERM;
    switch (request->operation) {
    case OPERATION_CREATE:
        return do_create(home, request, fds);
    case OPERATION_DELETE:
        namespace_path(request->name, path);
        namespace_remove(path);
        return 0;
    case OPERATION_DEVICE_UP:
        return do_device_up(home, request);
    default:
        return -EINVAL;
    }
}

static void reply_send(int channel, int result, const int fds[N_FDS])
{
    struct reply reply = {.result = result};
    struct iovec part = {.iov_base = &reply, .iov_len = sizeof(reply)};
    char control[CMSG_SPACE(N_FDS * sizeof(int))] = {};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *header;

    if (result >= 0 && fds[0] >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(N_FDS * sizeof(int));
        memcpy(CMSG_DATA(header), fds, N_FDS * sizeof(int));
    }
    (void)sendmsg(channel, &message, MSG_NOSIGNAL);
}

/* CAP_SYS_ADMIN: mounts, setns; CAP_NET_ADMIN: devices. */
static int privileges_drop(void)
{
    static const cap_value_t kept[] = {CAP_SYS_ADMIN, CAP_NET_ADMIN};
    cap_t wanted = cap_init();
    int r = -EPERM;

    if (wanted && cap_set_flag(wanted, CAP_PERMITTED, PCN_ARRAY_SIZE(kept), kept, CAP_SET) == 0 &&
        cap_set_flag(wanted, CAP_EFFECTIVE, PCN_ARRAY_SIZE(kept), kept, CAP_SET) == 0 && cap_set_proc(wanted) == 0)
        r = 0;
    (void)cap_free(wanted);
    return r;
}

static void helper_run(int channel)
{
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct request request;

    (void)prctl(PR_SET_NAME, "polycubed-ns");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    if (privileges_drop() < 0)
        _exit(EXIT_FAILURE);
    while (home >= 0 && recv(channel, &request, sizeof(request), 0) == sizeof(request)) {
        int fds[N_FDS] = {-1, -1, -1}, result;

        request.name[sizeof(request.name) - 1] = '\0';
        request.device[sizeof(request.device) - 1] = '\0';
        result = do_request(home, &request, fds);
        reply_send(channel, result, fds);
        for (size_t i = 0; i < N_FDS; i++)
            pcn_closep(&fds[i]);
    }
    _exit(EXIT_SUCCESS);
}

/* ---- in the daemon ---- */

int pcn_helper_start(void)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid = fork();
    if (pid < 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return -errno;
    }
    if (pid == 0) {
        /* Nothing of the daemon's stays open here, its lock least of all. */
        if (dup2(pair[1], 3) < 0 || close_range(4, ~0U, 0) < 0)
            _exit(EXIT_FAILURE);
        helper_run(3);
    }
    (void)close(pair[1]);
    return pair[0];
}

static int helper_ask(int helper, const struct request *request, int fds[N_FDS])
{
    struct reply reply;
    struct iovec part = {.iov_base = &reply, .iov_len = sizeof(reply)};
    char control[CMSG_SPACE(N_FDS * sizeof(int))];
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header;

    if (send(helper, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request))
        return -EPIPE;
    if (recvmsg(helper, &message, MSG_CMSG_CLOEXEC) != sizeof(reply))
        return -EPIPE;
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(N_FDS * sizeof(int)))
        memcpy(fds, CMSG_DATA(header), N_FDS * sizeof(int));
    return reply.result;
}

static struct request request_make(enum operation operation, const char *name)
{
    struct request request = {.operation = operation};

    (void)snprintf(request.name, sizeof(request.name), "%s", name);
    return request;
}

int pcn_helper_create(int helper, const char *name, struct pcn_namespace_fds *ret_fds)
{
    const struct request request = request_make(OPERATION_CREATE, name);
    int fds[N_FDS] = {-1, -1, -1}, r;

    r = helper_ask(helper, &request, fds);
    if (r < 0)
        return r;
    *ret_fds = (struct pcn_namespace_fds){.namespace = fds[0], .route = fds[1], .monitor = fds[2]};
    return 0;
}

int pcn_helper_delete(int helper, const char *name)
{
    const struct request request = request_make(OPERATION_DELETE, name);
    int fds[N_FDS];

    return helper_ask(helper, &request, fds);
}

int pcn_helper_device_up(int helper, const char *name, const char *device)
{
    struct request request = request_make(OPERATION_DEVICE_UP, name);
    int fds[N_FDS];

    (void)snprintf(request.device, sizeof(request.device), "%s", device);
    return helper_ask(helper, &request, fds);
}
