/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_interface.h"
#include <stdio.h>

bool firewall_names_match(const struct firewall_names *names, const char *device)
{
    bool found = false;

    for (uint32_t i = 0; i < names->n && !found; i++)
        found = pcn_streq(names->items[i], device);
    return names->n == 0 || found != names->negate;
}

void firewall_interfaces_init(struct firewall_interfaces *interfaces, const struct pcn_cube *cube)
{
    *interfaces = (struct firewall_interfaces){};
    (void)pcn_cube_parent_netdev(cube, interfaces->out);
}

/* -ENOSPC. */
static int class_of(struct firewall_interfaces *interfaces, const char *name)
{
    uint32_t hash = 2166136261u, i; /* FNV-1a */

    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619;
    for (i = hash; interfaces->slots[i % sizeof(interfaces->slots)]; i++) {
        uint8_t class = interfaces->slots[i % sizeof(interfaces->slots)];

        if (pcn_streq(interfaces->names[class - 1], name))
            return class;
    }
    if (interfaces->n == FIREWALL_INTERFACES_MAX)
        return -ENOSPC;
    (void)snprintf(interfaces->names[interfaces->n++], IFNAMSIZ, "%s", name);
    interfaces->slots[i % sizeof(interfaces->slots)] = (uint8_t)interfaces->n;
    return (int)interfaces->n;
}

int firewall_interfaces_add(struct firewall_interfaces *interfaces, const struct firewall_names *names,
                            uint64_t ret_classes[2])
{
    uint64_t classes[2] = {};

    for (uint32_t i = 0; i < names->n; i++) {
        int class = class_of(interfaces, names->items[i]);

        if (class < 0)
            return class;
        firewall_bit_set(classes, (unsigned int)class);
    }
    for (int i = 0; i < 2; i++)
        ret_classes[i] = names->negate ? ~classes[i] : classes[i];
    return 0;
}

bool firewall_interfaces_have(const struct firewall_interfaces *interfaces, const char *device, uint32_t ifindex)
{
    for (uint32_t i = 0; i < interfaces->n; i++)
        if (interfaces->ifindexes[i] == ifindex || pcn_streq(interfaces->names[i], device))
            return true;
    return false;
}

bool firewall_interfaces_resolve(struct firewall_interfaces *interfaces, const struct pcn_cube *cube)
{
    bool changed = false;

    for (uint32_t i = 0; i < interfaces->n; i++) {
        uint32_t ifindex = pcn_netdev_ifindex(cube, interfaces->names[i]);

        changed = changed || ifindex != interfaces->ifindexes[i];
        interfaces->ifindexes[i] = ifindex;
    }
    return changed;
}
