/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control path of nat. nat_rules.c takes rules from the model, nat_compile.c makes of them what the fast path looks
 * up, nat_actions.c writes rules, nat_table.c shows sessions and takes them away.
 */
#pragma once
#include "nat_maps.h"
#include <pcn/flows.h>

/* A rule as it is configured; rule.version: its family. */
struct nat_line {
    struct nat_rule rule;
    uint32_t key;         /* host order: the network (of EXEMPT: outside), or the address outside */
    struct nat_wide wide; /* the same of IPv6 */
    uint8_t length;       /* of the network's prefix */
    bool tcp;             /* PORT_FORWARDING */
    bool udp;
};

struct nat_config {
    struct nat_line *lines;
    size_t n;
};

/* What the fast path looks up: one generation. */
struct nat_tables {
    struct nat_rule *rules;
    size_t n_rules;
    struct nat_range6 *ranges[NAT_TABLE_MAX]; /* of IPv4: the last word of a start is all of it */
    size_t n_ranges[NAT_TABLE_MAX];
};

struct nat {
    struct pcn_flows flows; /* the first: see nat_table.c */
    struct nat_settings *settings;
    struct nat_rule *rules;
    struct nat_range *ranges;
    struct nat_range6 *ranges6;
    struct nat_config now;
    struct nat_config next; /* of the transaction that runs */
    bool changing;
    struct nat_tables tables; /* compiled of next */
};

/* Refuses rules that contradict each other, and more than there may be. */
int nat_compile(const struct nat_config *config, struct nat_tables *ret_tables, struct pcn_error *error);
void nat_tables_done(struct nat_tables *tables);
/* Into the generation that is not in use, which is then switched to. */
void nat_tables_install(struct nat *nat, const struct nat_tables *tables);
/* The address in another network of the same size. */
struct nat_wide nat_wide_hosts(uint8_t length);

/* The transaction's end, either way. */
int nat_rules_prepared(struct pcn_cube *cube, struct pcn_error *error);
void nat_rules_applied(struct pcn_cube *cube);
void nat_rules_abandoned(struct pcn_cube *cube);
void nat_rules_done(struct nat *nat);

/* Of a slot. */
static inline const struct nat_session *nat_session_of(const struct pcn_flows *flows, uint32_t slot)
{
    return (const struct nat_session *)(const void *)pcn_flows_own(flows, slot);
}

/* Breaks the sessions of masquerade, of a family, that have another address than the parent has now. */
void nat_flush_masquerade(struct nat *nat, uint8_t version);
