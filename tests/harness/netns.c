/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <harness/netns.h>
#include <harness/private.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void netns_write(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
}

static int netns_loopback_up(void)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return -errno;
    return 0;
}

/* In the new namespace: what it starts with. */
static int netns_settle(void)
{
    static const char *const zeros[] = {
        "/proc/sys/net/ipv6/conf/default/accept_dad", "/proc/sys/net/ipv6/conf/all/accept_dad",
        "/proc/sys/net/ipv6/conf/default/router_solicitations", "/proc/sys/net/ipv6/conf/default/accept_ra"};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(zeros); i++)
        netns_write(zeros[i], "0");
    return netns_loopback_up();
}

static int netns_make(struct pcn_netns *netns)
{
    char path[128], self[64];
    _cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd, r;

    if (home < 0)
        return -errno;
    snprintf(path, sizeof(path), "/run/netns/%s", netns->name);
    fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return -errno;
    close(fd);
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    snprintf(self, sizeof(self), "/proc/thread-self/ns/net");
    r = mount(self, path, NULL, MS_BIND, NULL) < 0 ? -errno : netns_settle();
    if (r == 0) {
        netns->fd = open(path, O_RDONLY | O_CLOEXEC);
        r = netns->fd < 0 ? -errno : 0;
    }
    if (setns(home, CLONE_NEWNET) < 0 && r == 0)
        r = -errno;
    return r;
}

int pcn_netns_new(const char *label, struct pcn_netns **ret_netns)
{
    _cleanup_(pcn_netns_freep) struct pcn_netns *netns = NULL;
    static unsigned int serial;
    int r;

    r = pcn_sandbox_enter();
    if (r < 0)
        return r;
    netns = calloc(1, sizeof(*netns));
    if (!netns)
        return -ENOMEM;
    netns->fd = -1;
    snprintf(netns->name, sizeof(netns->name), "test%d.%u-%.30s", (int)getpid(), serial++, label);
    r = netns_make(netns);
    if (r < 0) {
        fprintf(stderr, "cannot make namespace %s: %s\n", netns->name, strerror(-r));
        return r;
    }
    *ret_netns = TAKE_PTR(netns);
    return 0;
}

void pcn_netns_freep(struct pcn_netns **netns)
{
    char path[128];

    if (!*netns)
        return;
    snprintf(path, sizeof(path), "/run/netns/%s", (*netns)->name);
    (void)umount2(path, MNT_DETACH);
    (void)unlink(path);
    pcn_closep(&(*netns)->fd);
    pcn_freep(netns);
}

const char *pcn_netns_name(const struct pcn_netns *netns)
{
    return netns->name;
}

int pcn_netns_fd(const struct pcn_netns *netns)
{
    return netns->fd;
}

int pcn_netns_enter(const struct pcn_netns *netns, int *ret_back)
{
    _cleanup_close_ int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    if (back < 0)
        return -errno;
    if (netns && setns(netns->fd, CLONE_NEWNET) < 0)
        return -errno;
    *ret_back = TAKE_FD(back);
    return 0;
}

void pcn_netns_leave(int *back)
{
    if (*back >= 0 && setns(*back, CLONE_NEWNET) < 0) {
        fprintf(stderr, "cannot go back to the namespace: %s\n", strerror(errno));
        exit(EXIT_FAILURE);
    }
    pcn_closep(back);
}

/* ---- devices ---- */

static int netns_compare(const void *a, const void *b)
{
    return strcmp((*(const struct if_nameindex *)a).if_name, (*(const struct if_nameindex *)b).if_name);
}

char *pcn_netns_devices(const struct pcn_netns *netns)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    struct if_nameindex *devices;
    char *text = NULL;
    size_t size, n = 0;
    FILE *file;

    if (pcn_netns_enter(netns, &back) < 0)
        return NULL;
    devices = if_nameindex();
    if (!devices)
        return NULL;
    while (devices[n].if_index)
        n++;
    qsort(devices, n, sizeof(*devices), netns_compare);
    file = open_memstream(&text, &size);
    for (size_t i = 0, shown = 0; file && i < n; i++) {
        if (!pcn_streq(devices[i].if_name, "lo"))
            fprintf(file, "%s%s", shown++ ? " " : "", devices[i].if_name);
    }
    if (file)
        fclose(file);
    if_freenameindex(devices);
    return text;
}

unsigned int pcn_netns_ifindex(const struct pcn_netns *netns, const char *device)
{
    _cleanup_(pcn_netns_leave) int back = -1;

    return pcn_netns_enter(netns, &back) < 0 ? 0 : if_nametoindex(device);
}

int pcn_netns_mac(const struct pcn_netns *netns, const char *device, uint8_t ret_mac[ETH_ALEN])
{
    _cleanup_(pcn_netns_leave) int back = -1;
    _cleanup_close_ int fd = -1;
    struct ifreq request = {};
    int r;

    r = pcn_netns_enter(netns, &back);
    if (r < 0)
        return r;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return -errno;
    memcpy(ret_mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
    return 0;
}

int pcn_veth_new(struct pcn_netns *a, const char *a_device, struct pcn_netns *b, const char *b_device)
{
    return pcn_netns_must(a,
                          "ip link add %s type veth peer name %s netns %s && ip link set %s up && "
                          "ip -n %s link set %s up",
                          a_device, b_device, b->name, a_device, b->name, b_device);
}

int pcn_address_add(struct pcn_netns *netns, const char *device, const char *address)
{
    return pcn_netns_must(netns, "ip address add %s dev %s %s", address, device, strchr(address, ':') ? "nodad" : "");
}

/* As `ethtool -K` would: by the old requests, which veth has. */
static int netns_offload(int fd, const char *device, uint32_t command, uint32_t value)
{
    struct ethtool_value request = {.cmd = command, .data = value};
    struct ifreq ifreq = {.ifr_data = (void *)&request};

    snprintf(ifreq.ifr_name, sizeof(ifreq.ifr_name), "%s", device);
    return ioctl(fd, SIOCETHTOOL, &ifreq) < 0 ? -errno : 0;
}

int pcn_veth_for_xdp(struct pcn_netns *netns, const char *device)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    _cleanup_close_ int fd = -1;
    int r;

    r = pcn_netns_enter(netns, &back);
    if (r < 0)
        return r;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    r = netns_offload(fd, device, ETHTOOL_STXCSUM, 0);
    if (r == 0)
        r = netns_offload(fd, device, ETHTOOL_STSO, 0);
    if (r == 0)
        r = netns_offload(fd, device, ETHTOOL_SGRO, 1);
    return r;
}

static int host_addresses(const struct pcn_host_spec *spec, struct pcn_netns *host)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < PCN_ARRAY_SIZE(spec->addresses) && spec->addresses[i]; i++)
        r = pcn_address_add(host, "eth0", spec->addresses[i]);
    if (r == 0 && spec->gateway4)
        r = pcn_netns_must(host, "ip route add default via %s", spec->gateway4);
    if (r == 0 && spec->gateway6)
        r = pcn_netns_must(host, "ip -6 route add default via %s", spec->gateway6);
    return r;
}

int pcn_host_new(const struct pcn_host_spec *spec, struct pcn_netns **ret_netns)
{
    _cleanup_(pcn_netns_freep) struct pcn_netns *host = NULL;
    int r;

    r = pcn_netns_new(spec->label, &host);
    if (r < 0)
        return r;
    r = pcn_veth_new(host, "eth0", spec->inside, spec->port);
    if (r == 0 && spec->xdp)
        r = pcn_veth_for_xdp(host, "eth0");
    if (r == 0)
        r = host_addresses(spec, host);
    if (r < 0)
        return r;
    *ret_netns = TAKE_PTR(host);
    return 0;
}
