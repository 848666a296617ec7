/* SPDX-License-Identifier: Apache-2.0 */
/* What happens in a shadow namespace, told to its cube. */
#include "private.h"
#include <base/log.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

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

static void link_changed(const struct space *space, struct nlmsghdr *message)
{
    struct ifinfomsg *info = NLMSG_DATA(message);
    struct pcn_event event = {.kind = PCN_EVENT_SHADOW_LINK, .port = space_port(space, info->ifi_index)};
    int left = (int)IFLA_PAYLOAD(message);

    if (!event.port || message->nlmsg_type != RTM_NEWLINK)
        return;
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

static void address_changed(const struct space *space, struct nlmsghdr *message)
{
    struct ifaddrmsg *info = NLMSG_DATA(message);
    struct pcn_event event = {.kind = PCN_EVENT_SHADOW_ADDRESS,
                              .port = space_port(space, (int)info->ifa_index),
                              .removed = message->nlmsg_type == RTM_DELADDR,
                              .family = info->ifa_family,
                              .prefix_length = info->ifa_prefixlen};
    int left = (int)IFA_PAYLOAD(message);
    bool local = false;

    for (struct rtattr *attribute = IFA_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        /* IFA_ADDRESS is the other end's, where there is an IFA_LOCAL. */
        if (attribute->rta_type == IFA_LOCAL || (attribute->rta_type == IFA_ADDRESS && !local))
            address_copy(&event.address, attribute);
        local = local || attribute->rta_type == IFA_LOCAL;
    }
    if (event.port)
        tell(space, &event);
}

/* Those of the main table that somebody set: the kernel's own follow from addresses. */
static void route_changed(const struct space *space, struct nlmsghdr *message)
{
    struct rtmsg *info = NLMSG_DATA(message);
    struct pcn_event event = {.kind = PCN_EVENT_SHADOW_ROUTE,
                              .removed = message->nlmsg_type == RTM_DELROUTE,
                              .family = info->rtm_family,
                              .prefix_length = info->rtm_dst_len};
    int left = (int)RTM_PAYLOAD(message), ifindex = 0;

    if (info->rtm_table != RT_TABLE_MAIN || info->rtm_type != RTN_UNICAST || info->rtm_protocol == RTPROT_KERNEL ||
        info->rtm_protocol == RTPROT_RA || info->rtm_flags & RTM_F_CLONED)
        return;
    for (struct rtattr *attribute = RTM_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type == RTA_DST)
            address_copy(&event.address, attribute);
        else if (attribute->rta_type == RTA_GATEWAY)
            address_copy(&event.gateway, attribute);
        else if (attribute->rta_type == RTA_OIF)
            memcpy(&ifindex, RTA_DATA(attribute), sizeof(ifindex));
        else if (attribute->rta_type == RTA_PRIORITY)
            memcpy(&event.metric, RTA_DATA(attribute), sizeof(event.metric));
    }
    event.port = space_port(space, ifindex);
    if (event.port)
        tell(space, &event);
}

static void message_read(const struct space *space, struct nlmsghdr *message)
{
    switch (message->nlmsg_type) {
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
    const struct space *space = data;
    _Alignas(struct nlmsghdr) char buffer[16384];
    ssize_t n;

    while ((n = recv(space->fds.monitor, buffer, sizeof(buffer), 0)) > 0 || (n < 0 && errno == ENOBUFS)) {
        int left = (int)n;

        if (n < 0) {
            pcn_log_warn("cube %s: changes of its shadow namespace came too fast, some were missed", space->cube->name);
            continue;
        }
        for (struct nlmsghdr *message = (struct nlmsghdr *)buffer; NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left))
            message_read(space, message);
    }
}
