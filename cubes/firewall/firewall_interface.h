/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that rules name. Names are kept; numbers are looked up when a chain is
 * compiled, and again when devices change. For in-interface each name of a chain has a class, which the
 * compiled rules go by, so that another number changes a table and no rule. out-interface is the
 * same for all packets of a firewall: rules that do not have it are left out of what is compiled.
 */
#pragma once
#include "firewall_rule.h"
#include <net/if.h>
#include <pcn/cube.h>

/* One of them, or with negate none. n 0: the field is not given. */
struct firewall_names {
    char (*items)[IFNAMSIZ];
    uint32_t n;
    bool negate;
};

/* Those of a chain. */
struct firewall_interfaces {
    char names[FIREWALL_INTERFACES_MAX][IFNAMSIZ]; /* by class - 1, and below */
    uint32_t ifindexes[FIREWALL_INTERFACES_MAX];   /* 0: there is no such device */
    uint32_t n;
    uint8_t slots[2 * FIREWALL_INTERFACES_MAX]; /* classes, by hash of the name; 0: free */
    char out[IFNAMSIZ];                         /* the device behind the firewall; "": none is known */
    bool uses_out;                              /* a rule names that */
};

/* Whether a packet that came or leaves by this device has it. "": by none. */
bool firewall_names_match(const struct firewall_names *names, const char *device);
/* For none, but for what is behind the firewall. */
void firewall_interfaces_init(struct firewall_interfaces *interfaces, const struct pcn_cube *cube);
/* Adds names, gives their classes as a bitmap. -ENOSPC: there would be more than FIREWALL_INTERFACES_MAX. */
int firewall_interfaces_add(struct firewall_interfaces *interfaces, const struct firewall_names *names,
                            uint64_t ret_classes[2]);
/* Whether this device is one of them, or was. */
bool firewall_interfaces_have(const struct firewall_interfaces *interfaces, const char *device, uint32_t ifindex);
/* Looks the numbers up; true: one is another now. */
bool firewall_interfaces_resolve(struct firewall_interfaces *interfaces, const struct pcn_cube *cube);
