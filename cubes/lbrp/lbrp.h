/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control path of lbrp. lbrp_config.c takes services from the model, lbrp_ports.c ports, lbrp_spread.c gives places to
 * backends, lbrp_table.c writes what the fast path looks up, lbrp_show.c shows counters and sessions.
 */
#pragma once
#include "lbrp_maps.h"
#include <pcn/flows.h>
#include <pcn/health.h>

/* A backend of one service. */
struct lbrp_end {
    union pcn_address address;
    uint16_t port; /* host order */
    uint16_t weight;
    uint8_t mac[ETH_ALEN];
    bool has_mac;
    struct pcn_health_end health;
    uint32_t number; /* of struct lbrp_target; 0: none yet */
    uint32_t places;
};

struct lbrp_key {
    union pcn_address address;
    uint16_t port; /* host order */
    uint8_t kind;  /* protocol, or enum lbrp_kind */
    uint8_t version;
};

/* Sums of what backends have. */
struct lbrp_tally {
    struct lbrp_count count;
    uint64_t sessions;
    uint32_t active;
};

struct lbrp_group {
    struct lbrp_group *next; /* of the same bucket */
    struct lbrp_key key;
    uint8_t algorithm;
    bool snat;
    uint32_t affinity; /* seconds */
    bool gone;         /* of a transaction that runs: it is to go */
    bool ours;         /* who asks for the address gets our MAC */
    bool icmp;         /* ALL: it has the address' ICMP */
    struct lbrp_end *ends;
    size_t n_ends;
    uint32_t number; /* 0: none yet */
    uint32_t half;
    uint32_t moved;
    uint16_t *table; /* of a transaction: for each place the index of the end + 1 */
    uint32_t n_table;
    struct lbrp_tally spent; /* of backends that are gone */
    /* See lbrp_health.c. */
    struct pcn_health_check *check;
    bool stale;          /* its backends' health is not what its places were given away for */
    uint64_t generation; /* another one for each change of its configuration */
};

#define LBRP_LISTS 1024u
/* Services by their key. */
struct lbrp_list {
    struct lbrp_group *buckets[LBRP_LISTS];
};

/* What the fast path looks up, and who has which part of it. */
struct lbrp_tables {
    struct lbrp_sizes sizes;
    struct lbrp_bucket *keys;
    struct lbrp_name *names;
    struct lbrp_vip *services;
    uint16_t *places;
    struct lbrp_target *backends;
    struct lbrp_load *loads;
    struct lbrp_count *counts;
    struct lbrp_data *data;
    bool *used_names;
    bool *used_services;
    bool *used_backends;
    struct lbrp_users {
        uint32_t all;
        uint32_t ours;
    } * users; /* of a name of LBRP_ADDRESS: its services */
    /* Where looking for a free one begins: a number rests before it is used again. */
    uint32_t next_name, next_service, next_backend;
};

struct lbrp_settings {
    bool has_gateway;
    uint8_t gateway[ETH_ALEN];
    bool ranged;
    uint32_t range, range_mask, new_range, new_mask; /* network order */
    uint16_t port_first, port_last;
    union pcn_address pool[2][LBRP_POOL_MAX]; /* IPv4, IPv6 */
    uint32_t n_pool[2];
};

struct lbrp_port {
    uint16_t id;
    bool back;
    uint8_t version; /* 0: it has no .address */
    union pcn_address address;
};

struct lbrp_sides {
    bool multi;
    size_t n;
    struct lbrp_port *ports;
};

struct lbrp {
    struct pcn_flows flows; /* the first: the groupings' handlers take it */
    struct pcn_cube *cube;
    struct lbrp_tables tables;
    struct lbrp_settings settings;
    struct lbrp_settings next_settings;
    struct lbrp_list services;
    struct lbrp_list pending; /* copies, of the transaction that runs */
    uint32_t n_services;
    uint32_t n_backends;
    bool changing;
    struct lbrp_sides ports;
    struct lbrp_sides next_ports;
    bool ports_changing;
    /* See lbrp_health.c. */
    uint64_t generation;
    struct pcn_health_set *health;
    struct lbrp_job *job; /* places that are being given away */
};

/* ---- lbrp_spread.c ---- */

/*
 * Gives places to the backends that take new sessions, by the service's algorithm: .table and .n_table, at most size; 0:
 * there is none. Writes .places of each. -ENOMEM; -ENOSPC: more backends than places.
 */
int lbrp_spread(struct lbrp_group *service, uint32_t size);
static inline bool lbrp_end_takes(const struct lbrp_end *end)
{
    return end->weight && !end->health.out;
}

/* ---- lbrp_table.c ---- */

struct lbrp_sizes lbrp_sizes_for(uint32_t services, uint32_t backends, uint32_t size, uint32_t cpus);
/* tables: its memory and sizes are set. -ENOMEM. */
int lbrp_tables_open(struct lbrp_tables *tables);
void lbrp_tables_close(struct lbrp_tables *tables);
/* Brings a service into force; before: what it was, or NULL. There is room: the caller has looked. */
void lbrp_tables_publish(struct lbrp_tables *tables, struct lbrp_group *service, struct lbrp_group *before,
                         const struct lbrp_settings *settings);
/* The settings have changed, the service has not. */
void lbrp_tables_refresh(struct lbrp_tables *tables, struct lbrp_group *service, const struct lbrp_settings *settings);
void lbrp_tables_withdraw(struct lbrp_tables *tables, struct lbrp_group *service);
/* Of ALL: takes the ICMP of its address, if nobody has it. */
void lbrp_tables_take_icmp(struct lbrp_tables *tables, struct lbrp_group *service);
/* A name without a port. number 0: it goes. */
void lbrp_tables_set(struct lbrp_tables *tables, const union pcn_address *address, uint8_t version, uint8_t kind,
                     uint32_t number);
struct lbrp_tally lbrp_tables_tally(const struct lbrp_tables *tables, const struct lbrp_end *end);
struct lbrp_tally lbrp_tables_sum(const struct lbrp_tables *tables, const struct lbrp_group *service);
/* A session is over: its backend has one less. Once. state: of struct lbrp_session. */
void lbrp_tables_forget(struct lbrp_tables *tables, uint32_t *state);

/* ---- lbrp_config.c ---- */

int lbrp_config_prepared(struct pcn_cube *cube, struct pcn_error *error);
void lbrp_config_applied(struct pcn_cube *cube);
void lbrp_config_done(struct lbrp *lbrp);
/* The transaction's copy of a service, by its keys in the model. NULL: no memory. */
struct lbrp_group *lbrp_config_edit(struct lbrp *lbrp, const char *const *keys);
/* The transaction is off. */
void lbrp_config_abandoned(struct pcn_cube *cube);
/* fn(service, data) of each service in force. */
void lbrp_config_visit(struct lbrp *lbrp, void (*fn)(struct lbrp_group *service, void *data), void *data);

/* keys of the model: vip, vport, proto. */
struct lbrp_key lbrp_key_of(const char *const *keys);
/* Its version. */
uint8_t lbrp_address_parse(const char *text, union pcn_address *ret_address);
const struct lbrp_group *lbrp_service_find(const struct lbrp_list *list, const struct lbrp_key *key);
const struct lbrp_end *lbrp_end_find(const struct lbrp_group *service, const union pcn_address *address);
/* A MAC as the model writes it, which let no other text through. */
void lbrp_mac_parse(const char *text, uint8_t ret_mac[ETH_ALEN]);

/* ---- lbrp_health.c ---- */

int lbrp_health_open(struct lbrp *lbrp);
void lbrp_health_close(struct lbrp *lbrp);
/* Whether it can be checked as it is to be; and who of its backends is out, by what is known now. */
int lbrp_health_prepare(struct lbrp_group *service, const char *path, struct pcn_error *error);
/* A service has taken the place of before, which may be NULL: what is to be checked follows. */
void lbrp_health_follow(struct lbrp *lbrp, struct lbrp_group *service, struct lbrp_group *before);
/* A service goes. */
void lbrp_health_forget(struct lbrp_group *service, void *data);

/* ---- lbrp_ports.c ---- */

int lbrp_sides_prepared(struct lbrp *lbrp, struct pcn_error *error);
void lbrp_sides_applied(struct lbrp *lbrp);
void lbrp_sides_removed(struct lbrp *lbrp, uint16_t id);
void lbrp_sides_done(struct lbrp *lbrp);

/* ---- lbrp_show.c ---- */

/* See struct pcn_flows. */
void lbrp_flow_removed(struct pcn_flows *flows, const struct pcn_flow *flow);
void lbrp_flow_emit(struct pcn_flows *flows, const struct pcn_flow *flow, struct pcn_emitter *emitter);
