/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles the rules of a chain to a plan, in plain memory, and puts plans into
 * the maps of firewall_maps.h. Between the two the sizes are known: one that does
 * not fit is refused, nothing is changed, and the cube is to be loaded anew with
 * larger maps or more fields.
 *
 * A plan can be written any number of times, to any cube.
 */
#pragma once
#include "firewall_rule.h"

struct firewall_plan;

struct firewall_plan_sizes {
    uint32_t pages; /* of the arena */
    uint32_t used;  /* FIREWALL_USES_* */
    uint32_t rules;
    uint32_t lead;    /* of these, found by hash */
    uint32_t vectors; /* different ones */
    uint32_t pairs;   /* of source and destination, that have a place in a table */
    uint32_t chunks;
    uint32_t nodes;    /* lines of the tries */
    uint32_t counters; /* highest slot + 1 */
};

/* What is mapped of a cube. */
struct firewall_memory {
    union lbvs_page *pages;
    uint32_t n_pages;
    uint32_t used[FIREWALL_CHAIN_MAX]; /* what its programs' firewall_settings say: FIREWALL_USES_* */
    uint32_t counters;                 /* slots of a CPU */
    struct firewall_data *data;
};

/*
 * *ret_plan is NULL, or a plan that is to become this one: tables of fields of which the rules say the same as before are
 * not made again. It is freed on failure.
 *
 * Of fallback counter, action and id are taken: the chain's default. Rules are not needed afterwards,
 * nor are lists, but for those without a serial of rules that keep their stamp.
 * -E2BIG: more than FIREWALL_RULES_MAX rules; -ENOSPC: more than FIREWALL_PAGES_MAX pages; -EINVAL: a prefix
 * that is too long, or a range that ends before it begins; -ENOMEM.
 */
int firewall_plan_new(const struct firewall_rule *rules, size_t n, const struct firewall_rule *fallback,
                      struct firewall_plan **ret_plan);
/*
 * Which devices the classes 1..n of firewall_rule.interfaces are, by ifindex; 0: the device does not exist. A new plan knows
 * none. The plan is to be written again.
 */
int firewall_plan_interfaces(struct firewall_plan *plan, const uint32_t *ifindexes, uint32_t n);
/* It will not become another one, or need not become one soon: what that takes is given up. */
void firewall_plan_forget(struct firewall_plan *plan);
void firewall_plan_freep(struct firewall_plan **plan);
struct firewall_plan_sizes firewall_plan_sizes(const struct firewall_plan *plan);

/*
 * Makes the plan the chain's. Packets see the old one or the new one.
 * -ENOSPC: the arena has no room for it, see firewall_plan_room(), or there are too few counters.
 * -EOPNOTSUPP: it uses fields that the loaded program does not look at.
 */
int firewall_plan_write(const struct firewall_plan *plan, enum firewall_direction chain,
                        const struct firewall_memory *memory);
/* Pages an arena must have, at least, to take these plans one after the other, and then replace each by one of its size. */
uint32_t firewall_plan_room(uint32_t ingress_pages, uint32_t egress_pages);

struct firewall_sizes {
    uint32_t pages;    /* of the arena */
    uint32_t counters; /* slots of a CPU */
    uint32_t cpus;
};
/* The variable of .rodata for these fields. hz: jiffies in a second. */
struct firewall_settings firewall_settings_for(uint32_t used, const struct firewall_sizes *sizes, uint32_t hz);
