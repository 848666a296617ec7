/* SPDX-License-Identifier: Apache-2.0 */
/* First: the kernel headers below then leave out what <net/if.h> has. */
#include <net/net.h>

#include <base/log.h>
#include <base/loop.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

#include <linux/rtnetlink.h>

#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct pcn_net {
    struct pcn_loop *loop;
    struct nl_cache_mngr *manager;
    struct nl_cache *links;
    struct nl_sock *sock; /* for requests */
    void (*changed)(void *data, enum pcn_net_change change, const struct pcn_net_device *device);
    void *data;
};

static void device_fill(struct rtnl_link *link, struct pcn_net_device *ret)
{
    struct nl_addr *address = rtnl_link_get_addr(link);
    const char *type = rtnl_link_get_type(link);

    *ret = (struct pcn_net_device){
        .ifindex = rtnl_link_get_ifindex(link),
        .mtu = rtnl_link_get_mtu(link),
        .up = rtnl_link_get_flags(link) & IFF_UP,
        .loopback = rtnl_link_get_flags(link) & IFF_LOOPBACK,
        .veth = type && pcn_streq(type, "veth"),
    };
    (void)snprintf(ret->name, sizeof(ret->name), "%s", rtnl_link_get_name(link) ? rtnl_link_get_name(link) : "");
    if (address && nl_addr_get_len(address) == ETH_ALEN)
        memcpy(ret->mac, nl_addr_get_binary_addr(address), ETH_ALEN);
}

static void net_changed(struct nl_cache *cache, struct nl_object *object, int action, void *data)
{
    static const enum pcn_net_change changes[] = {
        [NL_ACT_NEW] = PCN_NET_ADDED, [NL_ACT_CHANGE] = PCN_NET_CHANGED, [NL_ACT_DEL] = PCN_NET_REMOVED};
    struct pcn_net_device device;
    struct pcn_net *net = data;

    if (action != NL_ACT_NEW && action != NL_ACT_CHANGE && action != NL_ACT_DEL)
        return;
    device_fill((struct rtnl_link *)object, &device);
    net->changed(net->data, changes[action], &device);
}

static void net_readable(void *data)
{
    struct pcn_net *net = data;

    (void)nl_cache_mngr_data_ready(net->manager);
}

int pcn_net_new(struct pcn_loop *loop,
                void (*changed)(void *data, enum pcn_net_change change, const struct pcn_net_device *device),
                void *data, struct pcn_net **ret_net)
{
    _cleanup_(pcn_net_freep) struct pcn_net *net = NULL;
    int r;

    net = calloc(1, sizeof(*net));
    if (!net)
        return -ENOMEM;
    net->changed = changed;
    net->data = data;
    net->sock = nl_socket_alloc();
    if (!net->sock)
        return -ENOMEM;
    r = nl_connect(net->sock, NETLINK_ROUTE);
    if (r < 0)
        return pcn_log_error(-EIO, "cannot connect to rtnetlink: %s", nl_geterror(r));
    r = nl_cache_mngr_alloc(NULL, NETLINK_ROUTE, NL_AUTO_PROVIDE, &net->manager);
    if (r < 0)
        return pcn_log_error(-EIO, "cannot watch rtnetlink: %s", nl_geterror(r));
    r = nl_cache_mngr_add(net->manager, "route/link", net_changed, net, &net->links);
    if (r < 0)
        return pcn_log_error(-EIO, "cannot watch devices: %s", nl_geterror(r));
    r = pcn_loop_add(loop, nl_cache_mngr_get_fd(net->manager), net_readable, net);
    if (r < 0)
        return r;
    net->loop = loop;
    *ret_net = TAKE_PTR(net);
    return 0;
}

void pcn_net_freep(struct pcn_net **ptr)
{
    struct pcn_net *net = TAKE_PTR(*ptr);

    if (!net)
        return;
    if (net->loop)
        pcn_loop_remove(net->loop, nl_cache_mngr_get_fd(net->manager));
    if (net->manager)
        nl_cache_mngr_free(net->manager);
    nl_socket_free(net->sock);
    free(net);
}

int pcn_net_by_name(const struct pcn_net *net, const char *name, struct pcn_net_device *ret_device)
{
    struct rtnl_link *link = NULL;

    /* The kernel is asked: the watch lags behind a device that was made a moment ago. */
    if (rtnl_link_get_kernel(net->sock, 0, name, &link) < 0)
        return -ENODEV;
    device_fill(link, ret_device);
    rtnl_link_put(link);
    return 0;
}

int pcn_net_by_ifindex(const struct pcn_net *net, int ifindex, struct pcn_net_device *ret_device)
{
    struct rtnl_link *link = rtnl_link_get(net->links, ifindex);

    if (!link)
        return -ENODEV;
    device_fill(link, ret_device);
    rtnl_link_put(link);
    return 0;
}

void pcn_net_each(const struct pcn_net *net, void (*each)(void *data, const struct pcn_net_device *device), void *data)
{
    struct pcn_net_device device;
    struct nl_cache *links = NULL;

    if (rtnl_link_alloc_cache(net->sock, AF_UNSPEC, &links) < 0)
        return;
    for (struct nl_object *object = nl_cache_get_first(links); object; object = nl_cache_get_next(object)) {
        device_fill((struct rtnl_link *)object, &device);
        each(data, &device);
    }
    nl_cache_free(links);
}

void pcn_net_addresses(const struct pcn_net *net, int ifindex, void (*each)(void *data, const char *address),
                       void *data)
{
    struct nl_cache *cache = NULL;
    char text[128];

    if (rtnl_addr_alloc_cache(net->sock, &cache) < 0)
        return;
    for (struct nl_object *object = nl_cache_get_first(cache); object; object = nl_cache_get_next(object)) {
        struct rtnl_addr *address = (struct rtnl_addr *)object;

        if (rtnl_addr_get_ifindex(address) == ifindex && rtnl_addr_get_local(address))
            each(data, nl_addr2str(rtnl_addr_get_local(address), text, sizeof(text)));
    }
    nl_cache_free(cache);
}

/* ---- offloads ---- */

static int ethtool_value(const char *name, uint32_t command, uint32_t *value)
{
    struct ethtool_value request = {.cmd = command, .data = *value};
    struct ifreq ifr = {.ifr_data = (void *)&request};
    _cleanup_close_ int fd = -1;

    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
        return -errno;
    *value = request.data;
    return 0;
}

/* ---- devices of our own ---- */

static int device_write(const char *name, const char *file, const char *value)
{
    char path[256];
    FILE *stream;
    int r;

    (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, file);
    stream = fopen(path, "we");
    if (!stream)
        return -errno;
    r = fputs(value, stream) < 0 ? -EIO : 0;
    if (fclose(stream) != 0)
        r = -EIO;
    return r;
}

static int device_up(struct pcn_net *net, int ifindex, uint32_t mtu)
{
    struct rtnl_link *old = NULL, *change = rtnl_link_alloc();
    int r;

    if (!change)
        return -ENOMEM;
    r = rtnl_link_get_kernel(net->sock, ifindex, NULL, &old);
    if (r >= 0) {
        rtnl_link_set_flags(change, IFF_UP);
        if (mtu)
            rtnl_link_set_mtu(change, mtu);
        r = rtnl_link_change(net->sock, old, change, 0);
    }
    rtnl_link_put(old);
    rtnl_link_put(change);
    return r < 0 ? pcn_log_error(-EIO, "cannot bring device %d up: %s", ifindex, nl_geterror(r)) : 0;
}

int pcn_net_make_pair(struct pcn_net *net, const char *outer, const char *inner, uint32_t mtu, int *ret_outer,
                      int *ret_inner)
{
    int outer_ifindex, inner_ifindex, r;
    uint32_t on;

    pcn_net_remove(net, outer);
    r = rtnl_link_veth_add(net->sock, outer, inner, getpid());
    if (r < 0)
        return pcn_log_error(r == -NLE_PERM ? -EPERM : -EIO, "cannot make veth pair %s: %s", outer, nl_geterror(r));
    outer_ifindex = (int)if_nametoindex(outer);
    inner_ifindex = (int)if_nametoindex(inner);
    if (!outer_ifindex || !inner_ifindex)
        return -ENODEV;
    (void)device_write(outer, "disable_ipv6", "1");
    (void)device_write(inner, "disable_ipv6", "1");
    /* XDP redirects into a veth only if its other end polls: GRO makes it do so. */
    on = 1;
    r = ethtool_value(inner, ETHTOOL_SGRO, &on);
    if (r < 0)
        return pcn_log_error(r, "cannot turn on GRO of %s: %s", inner, strerror(-r));
    r = device_up(net, outer_ifindex, mtu);
    if (r >= 0)
        r = device_up(net, inner_ifindex, mtu);
    if (r < 0)
        return r;
    *ret_outer = outer_ifindex;
    *ret_inner = inner_ifindex;
    return 0;
}

int pcn_net_make_remote(struct pcn_net *net, const char *name, const char *peer, int namespace)
{
    struct rtnl_link *link = rtnl_link_veth_alloc(), *other;
    int r;

    if (!link)
        return -ENOMEM;
    pcn_net_remove(net, name);
    rtnl_link_set_name(link, name);
    other = rtnl_link_veth_get_peer(link);
    rtnl_link_set_name(other, peer);
    rtnl_link_set_ns_fd(other, namespace);
    r = rtnl_link_add(net->sock, link, NLM_F_CREATE | NLM_F_EXCL);
    rtnl_link_put(other);
    rtnl_link_put(link);
    if (r < 0)
        return pcn_log_error(r == -NLE_EXIST ? -EEXIST : -EIO, "cannot make veth pair %s: %s", name, nl_geterror(r));
    (void)device_write(name, "disable_ipv6", "1");
    return device_up(net, (int)if_nametoindex(name), 0);
}

int pcn_net_add_name(struct nl_sock *sock, int ifindex, const char *name)
{
    const struct ifinfomsg info = {.ifi_index = ifindex};
    struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND);
    struct nlattr *list;
    int r = -NLE_NOMEM;

    if (!message)
        return -ENOMEM;
    if (nlmsg_append(message, (void *)&info, sizeof(info), NLMSG_ALIGNTO) == 0 &&
        (list = nla_nest_start(message, IFLA_PROP_LIST)) && nla_put_string(message, IFLA_ALT_IFNAME, name) == 0) {
        (void)nla_nest_end(message, list);
        r = nl_send_sync(sock, message);
    } else {
        nlmsg_free(message);
    }
    return r < 0 ? pcn_log_error(-EIO, "cannot name device %d %s: %s", ifindex, name, nl_geterror(r)) : 0;
}

void pcn_net_remove(struct pcn_net *net, const char *name)
{
    struct rtnl_link *link;

    if (!if_nametoindex(name))
        return;
    link = rtnl_link_alloc();
    if (!link)
        return;
    rtnl_link_set_name(link, name);
    (void)rtnl_link_delete(net->sock, link);
    rtnl_link_put(link);
}

int pcn_net_plain_checksums(const char *name)
{
    uint32_t off = 0;
    int r;

    r = ethtool_value(name, ETHTOOL_STSO, &off);
    if (r < 0 && r != -EOPNOTSUPP)
        return r;
    off = 0;
    return ethtool_value(name, ETHTOOL_STXCSUM, &off);
}

bool pcn_net_has_tx_checksum(const char *name)
{
    uint32_t on = 0;

    return ethtool_value(name, ETHTOOL_GTXCSUM, &on) == 0 && on;
}

void pcn_net_short_name(const char *name, char ret_short[IFNAMSIZ])
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    if (strlen(name) < IFNAMSIZ) {
        (void)snprintf(ret_short, IFNAMSIZ, "%s", name);
        return;
    }
    for (const char *p = name; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    (void)snprintf(ret_short, IFNAMSIZ, "%.6s-%08x", name, hash);
}
