/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens in a shadow namespace, told to its cube.
 *
 * The kernel does not say all: IPv4 routes go without a word when their device is shut or their address is
 * taken away, a route that is replaced just vanishes, and a socket that is full loses messages. Then everything is asked
 * for anew, on the same socket: what is new is told, and what is known and was not in the answer has gone.
 */
#include "private.h"
#include <base/log.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

/* Datagrams read at a time: others wait for the management thread, too. */
#define MONITOR_BUDGET 16
#define DUMP_PERIOD_MS 900

static struct pcn_port *space_port(const struct space *space, int ifindex)
{
    for (uint16_t id = 0; id < space->cube->n_ids; id++) {
        if (ifindex && space->inside[id] == ifindex)
            return pcn_port_by_id(space->cube, id);
    }
    return NULL;
}

static void tell(const struct space *space, const struct pcn_event *event)
{
    if (space->cube->live && space->cube->kind->event)
        space->cube->kind->event(space->cube, event);
}

/* ---- what is known ---- */

static void known_remove(struct space *space, struct known *known)
{
    HASH_DEL(space->known, known);
    free(known);
}

void space_forget(struct space *space, const struct pcn_port *port)
{
    struct known *known, *next;

    HASH_ITER(hh, space->known, known, next)
    {
        if (!port || known->event.port == port)
            known_remove(space, known);
    }
}

/* event: every byte of it set, and .removed false. */
static void change(struct space *space, const struct pcn_event *event, bool removed)
{
    struct pcn_event gone = *event;
    struct known *known;

    HASH_FIND(hh, space->known, event, sizeof(*event), known);
    if (removed) {
        if (known)
            known_remove(space, known);
        gone.removed = true;
        tell(space, &gone);
        return;
    }
    if (known) {
        known->seen = true;
        return;
    }
    known = HASH_COUNT(space->known) < KNOWN_MAX ? calloc(1, sizeof(*known)) : NULL;
    if (!known) {
        pcn_log_err("cube %s: its shadow namespace has more than can be mirrored", space->cube->name);
        return;
    }
    memcpy(&known->event, event, sizeof(*event));
    known->seen = true;
    HASH_ADD(hh, space->known, event, sizeof(*event), known);
    tell(space, event);
}

/* ---- asking for everything ---- */

static void dump_start(struct space *space, uint16_t what)
{
    const struct {
        struct nlmsghdr header;
        struct rtgenmsg message;
    } request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
                            .nlmsg_type = what,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};

    space->dump = what;
    if (send(space->fds.monitor, &request, request.header.nlmsg_len, 0) >= 0)
        return;
    space->dump = 0;
    pcn_log_err("cube %s: cannot look into its shadow namespace: %s", space->cube->name, strerror(errno));
}

static void dump_all(struct space *space)
{
    uint64_t now = pcn_clock_ms();
    struct known *known;

    /* A routing daemon that replaces many routes must not have the table read for each. */
    space->dump_again = space->dump || now - space->dump_at < DUMP_PERIOD_MS;
    if (space->dump_again)
        return;
    space->dump_at = now;
    for (known = space->known; known; known = known->hh.next)
        known->seen = false;
    dump_start(space, RTM_GETLINK);
}

static void dump_done(struct space *space)
{
    struct known *known, *next;

    if (space->dump == RTM_GETLINK || space->dump == RTM_GETADDR) {
        dump_start(space, space->dump == RTM_GETLINK ? RTM_GETADDR : RTM_GETROUTE);
        return;
    }
    if (!space->dump)
        return;
    space->dump = 0;
    /* What was missed in between is found by the next one. */
    if (space->dump_again)
        return;
    HASH_ITER(hh, space->known, known, next)
    {
        if (!known->seen)
            change(space, &known->event, true);
    }
}

void space_tick(struct space *space)
{
    if (space->dump_again && !space->dump)
        dump_all(space);
}

/* ---- messages ---- */

static void link_changed(struct space *space, struct nlmsghdr *message)
{
    struct ifinfomsg *info = NLMSG_DATA(message);
    struct pcn_event event = {.kind = PCN_EVENT_SHADOW_LINK, .port = space_port(space, info->ifi_index)};
    int left = (int)IFLA_PAYLOAD(message);

    if (!event.port || message->nlmsg_type != RTM_NEWLINK)
        return;
    if (!(info->ifi_flags & IFF_UP) && !(message->nlmsg_flags & NLM_F_MULTI))
        dump_all(space);
    for (struct rtattr *attribute = IFLA_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type != IFLA_ADDRESS || RTA_PAYLOAD(attribute) != ETH_ALEN)
            continue;
        memcpy(event.mac, RTA_DATA(attribute), ETH_ALEN);
        tell(space, &event);
    }
}

static void address_copy(union pcn_address *to, const struct rtattr *attribute)
{
    *to = (union pcn_address){};
    memcpy(to, RTA_DATA(attribute), PCN_MIN(RTA_PAYLOAD(attribute), sizeof(*to)));
}

static void address_changed(struct space *space, struct nlmsghdr *message)
{
    struct ifaddrmsg *info = NLMSG_DATA(message);
    int left = (int)IFA_PAYLOAD(message);
    struct pcn_event event;
    bool local = false;

    memset(&event, 0, sizeof(event));
    event.kind = PCN_EVENT_SHADOW_ADDRESS;
    event.port = space_port(space, (int)info->ifa_index);
    event.family = info->ifa_family;
    event.prefix_length = info->ifa_prefixlen;
    for (struct rtattr *attribute = IFA_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        /* IFA_ADDRESS is the other end's, where there is an IFA_LOCAL. */
        if (attribute->rta_type == IFA_LOCAL || (attribute->rta_type == IFA_ADDRESS && !local))
            address_copy(&event.address, attribute);
        local = local || attribute->rta_type == IFA_LOCAL;
    }
    if (!event.port)
        return;
    change(space, &event, message->nlmsg_type == RTM_DELADDR);
    if (message->nlmsg_type == RTM_DELADDR && info->ifa_family == AF_INET)
        dump_all(space);
}

/* One way of a route: each is told as a route of its own. */
static void way_changed(struct space *space, struct pcn_event *event, int ifindex, bool removed)
{
    event->port = space_port(space, ifindex);
    if (event->port)
        change(space, event, removed);
}

static void ways_changed(struct space *space, struct pcn_event *event, const struct rtattr *list, bool removed)
{
    const struct rtnexthop *way = RTA_DATA(list);
    int left = (int)RTA_PAYLOAD(list);

    for (; left >= (int)sizeof(*way) && RTNH_OK(way, left); left -= NLMSG_ALIGN(way->rtnh_len), way = RTNH_NEXT(way)) {
        int length = (int)way->rtnh_len - (int)sizeof(*way);

        event->gateway = (union pcn_address){};
        for (struct rtattr *attribute = RTNH_DATA(way); RTA_OK(attribute, length);
             attribute = RTA_NEXT(attribute, length)) {
            if (attribute->rta_type == RTA_GATEWAY)
                address_copy(&event->gateway, attribute);
        }
        way_changed(space, event, way->rtnh_ifindex, removed);
    }
}

/* Those of the main table that somebody set: the kernel's own follow from addresses. */
static void route_changed(struct space *space, struct nlmsghdr *message)
{
    struct rtmsg *info = NLMSG_DATA(message);
    bool removed = message->nlmsg_type == RTM_DELROUTE;
    int left = (int)RTM_PAYLOAD(message), ifindex = 0;
    const struct rtattr *ways = NULL;
    struct pcn_event event;

    if (info->rtm_table != RT_TABLE_MAIN || info->rtm_type != RTN_UNICAST || info->rtm_protocol == RTPROT_KERNEL ||
        info->rtm_protocol == RTPROT_RA || info->rtm_flags & RTM_F_CLONED)
        return;
    memset(&event, 0, sizeof(event));
    event.kind = PCN_EVENT_SHADOW_ROUTE;
    event.family = info->rtm_family;
    event.prefix_length = info->rtm_dst_len;
    for (struct rtattr *attribute = RTM_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type == RTA_DST)
            address_copy(&event.address, attribute);
        else if (attribute->rta_type == RTA_GATEWAY)
            address_copy(&event.gateway, attribute);
        else if (attribute->rta_type == RTA_OIF)
            memcpy(&ifindex, RTA_DATA(attribute), sizeof(ifindex));
        else if (attribute->rta_type == RTA_PRIORITY)
            memcpy(&event.metric, RTA_DATA(attribute), sizeof(event.metric));
        else if (attribute->rta_type == RTA_MULTIPATH)
            ways = attribute;
    }
    if (ways)
        ways_changed(space, &event, ways, removed);
    else
        way_changed(space, &event, ifindex, removed);
    if (!removed && message->nlmsg_flags & NLM_F_REPLACE)
        dump_all(space);
}

static void message_read(struct space *space, struct nlmsghdr *message)
{
    if (message->nlmsg_flags & NLM_F_DUMP_INTR)
        space->dump_again = true;
    switch (message->nlmsg_type) {
    case NLMSG_DONE:
        dump_done(space);
        break;
    case NLMSG_ERROR:
        pcn_log_err("cube %s: its shadow namespace does not say what is in it", space->cube->name);
        space->dump = 0;
        break;
    case RTM_NEWLINK:
    case RTM_DELLINK:
        link_changed(space, message);
        break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        address_changed(space, message);
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        route_changed(space, message);
        break;
    default:
        break;
    }
}

void space_monitor(void *data)
{
    _Alignas(struct nlmsghdr) char buffer[32768];
    struct space *space = data;

    for (int i = 0; i < MONITOR_BUDGET; i++) {
        ssize_t n = recv(space->fds.monitor, buffer, sizeof(buffer), 0);
        int left = (int)n;

        if (n < 0 && errno == ENOBUFS) {
            dump_all(space);
            continue;
        }
        if (n <= 0)
            return;
        for (struct nlmsghdr *message = (struct nlmsghdr *)buffer; NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left))
            message_read(space, message);
    }
}
