/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named sets of prefixes, ports, or (prefix, protocol, port) tuples, which rules
 * refer to as @name. A transaction marks what comes and what goes; compiling takes
 * what will be there; applied() and abandoned() settle the marks.
 */
#pragma once
#include "firewall_rule.h"
#include <pcn/error.h>
#include <uthash.h>

#define FIREWALL_SET_ENTRIES_MAX 100000
#define FIREWALL_SET_NAME_MAX 32

enum firewall_set_kind {
    FIREWALL_SET_PREFIXES,
    FIREWALL_SET_PORTS,
    FIREWALL_SET_TUPLES,
    FIREWALL_SET_KIND_MAX,
};

struct firewall_set_entry {
    struct firewall_prefix prefix;
    struct firewall_range ports;
    uint8_t protocol; /* of a tuple */
    bool any_port;    /* it names none */
    bool added;
    bool removed;
    UT_hash_handle hh;
    char text[]; /* as configured: the key */
};

/* Tuples of one protocol and port range. */
struct firewall_set_group {
    uint8_t protocol;
    bool any_port;
    struct firewall_range ports;
    struct firewall_prefixes prefixes; /* into the set's array */
};

struct firewall_set {
    char name[FIREWALL_SET_NAME_MAX + 1];
    enum firewall_set_kind kind;
    bool added;
    bool removed;
    struct firewall_set_entry *entries;
    /* What compiling takes, made when first asked for; NULL: not yet. */
    struct firewall_prefix *prefixes;
    struct firewall_range *ranges;
    struct firewall_set_group *groups;
    uint32_t n, n_groups;
    uint32_t serial; /* of what was made last */
    uint32_t n_soon; /* entries that there will be */
    UT_hash_handle hh;
};

/* NULL: there will be none of that name. */
struct firewall_set *firewall_set_find(struct firewall_set *sets, const char *name);
/* Fills in prefixes, ranges or groups, and n. -ENOMEM. */
int firewall_set_fill(struct firewall_set *set);
/* -EPERM, with the error set: one would hold more than FIREWALL_SET_ENTRIES_MAX. */
int firewall_sets_check(const struct firewall_set *sets, struct pcn_error *error);
/* The transaction is over: what came stays and what went is gone, or the other way round. */
void firewall_sets_settle(struct firewall_set **sets, bool applied);
void firewall_sets_done(struct firewall_set **sets);

extern const char *const firewall_set_kinds[FIREWALL_SET_KIND_MAX];
