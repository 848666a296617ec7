/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of the daemon's network namespace: what there is, watched by
 * netlink; the few that the daemon makes itself; their offloads.
 */
#pragma once
#include <net/ethernet.h>
#include <net/if.h>
#include <pcn/base.h>

struct pcn_loop;
struct pcn_net;
struct nl_sock;

struct pcn_net_device {
    int ifindex;
    char name[IFNAMSIZ];
    uint8_t mac[ETH_ALEN];
    uint32_t mtu;
    bool up; /* administratively */
    bool loopback;
    bool veth;
};

enum pcn_net_change {
    PCN_NET_ADDED,
    PCN_NET_CHANGED, /* name, address, MTU or state */
    PCN_NET_REMOVED,
};

/* changed is called on the loop's thread; the device is a copy, of its last state. */
int pcn_net_new(struct pcn_loop *loop,
                void (*changed)(void *data, enum pcn_net_change change, const struct pcn_net_device *device),
                void *data, struct pcn_net **ret_net);
void pcn_net_freep(struct pcn_net **net);

/* -ENODEV: no such device. */
int pcn_net_by_name(const struct pcn_net *net, const char *name, struct pcn_net_device *ret_device);
int pcn_net_by_ifindex(const struct pcn_net *net, int ifindex, struct pcn_net_device *ret_device);
/* Calls each(data, device) for every device, in order of ifindex. */
void pcn_net_each(const struct pcn_net *net, void (*each)(void *data, const struct pcn_net_device *device), void *data);
/* Calls each(data, text) with "10.0.0.1/24" for every address of a device. */
void pcn_net_addresses(const struct pcn_net *net, int ifindex, void (*each)(void *data, const char *address),
                       void *data);

/*
 * A veth pair of the daemon's own, up, without IPv6, the inner end polling, named for the instance so that
 * another daemon's in this namespace is another. An old one of that name is replaced.
 */
int pcn_net_make_pair(struct pcn_net *net, const char *outer, const char *inner, uint32_t mtu, int *ret_outer,
                      int *ret_inner);
/* A veth whose other end, peer, is in another namespace; this end is up. An old one of that name is replaced.
 * -EEXIST: the other namespace has a device called peer. */
int pcn_net_make_remote(struct pcn_net *net, const char *name, const char *peer, int namespace);
/* A further name (altname): longer ones than the kernel takes for the first are fine. */
int pcn_net_add_name(struct nl_sock *sock, int ifindex, const char *name);
void pcn_net_remove(struct pcn_net *net, const char *name);

/* Turns TX checksumming and TSO of a device off; -errno of the ioctl. */
int pcn_net_plain_checksums(const char *name);
/* Whether TX checksumming is on. */
bool pcn_net_has_tx_checksum(const char *name);
/* A name that the kernel takes, for one that may be too long: "br1-very-long…" -> "br1-v-1a2b3c4d". */
void pcn_net_short_name(const char *name, char ret_short[IFNAMSIZ]);
