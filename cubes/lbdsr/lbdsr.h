/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control path of lbdsr. lbdsr_config.c takes services from the model, lbdsr_pieces.c gives them places,
 * lbdsr_maglev.c spreads these over backends, lbdsr_outer.c makes what goes in front of packets, lbdsr_table.c writes
 * what the fast path looks up, lbdsr_slow.c answers packets.
 */
#pragma once
#include "lbdsr_maps.h"
#include <pcn/cube.h>
#include <pcn/health.h>

/* A backend of one service. */
struct lbdsr_end {
    union pcn_address address;
    uint8_t version; /* 0: it is known by its MAC alone */
    uint8_t mac[ETH_ALEN];
    bool has_mac;
    bool has_inner_mac;
    uint8_t inner_mac[ETH_ALEN];
    uint16_t vlan; /* 0: frames keep what they have */
    bool has_server;
    uint16_t server; /* id in connection ids */
    uint32_t id;     /* in backend/pool */
    uint32_t weight;
    uint32_t number; /* of struct lbdsr_target; 0: none yet */
    uint32_t places; /* of the service's table */
    struct pcn_health_end health;
};

struct lbdsr_prefix {
    union pcn_address address;
    uint8_t version;
    uint8_t length;
};

/* What packets are found by: no two services have the same. */
struct lbdsr_key {
    union pcn_address address;
    uint16_t port; /* host order */
    uint8_t protocol;
    uint8_t version;
    /* Its tenant: not what tells services of the model apart, see .zone of the service. */
    uint16_t vlan; /* 0: none */
    uint16_t pad;
    uint32_t segment; /* as lbdsr_segment_tenant() has it, 0: none */
};

#define LBDSR_ZONE_MAX 31 /* letters and digits behind the % of a VIP (RFC 6991, ip-address) */

struct lbdsr_group {
    struct lbdsr_group *next;
    struct lbdsr_key key;
    char zone[LBDSR_ZONE_MAX + 1]; /* "": its vip has none */
    uint8_t mode;
    bool affinity;
    bool has_dscp;
    uint8_t dscp; /* of the outer header; of L3DSR, of the packet */
    bool has_quic;
    uint8_t quic_config;
    bool has_segment_type; /* both of them, or the service is refused */
    bool has_segment_id;
    struct lbdsr_prefix *allows;
    size_t n_allows;
    bool has_vni;
    uint32_t vni;
    uint16_t udp_port; /* 0: that of the mode */
    bool gone;         /* of a transaction that runs: it is to go */
    bool pool;         /* that of frontend/vip; key.version 0: there is no such address */
    struct lbdsr_end *ends;
    size_t n_ends;
    uint32_t vip;        /* number; 0: none yet */
    uint32_t table_size; /* a prime */
    uint32_t places;     /* the first of its: two halves; 0: none yet */
    uint32_t half;
    uint32_t moved;
    uint64_t hash;            /* of its places, by the names of backends; 0: nobody takes flows */
    uint16_t *table;          /* of a transaction: index of the end + 1 for each place; NULL: nobody takes flows */
    struct lbdsr_count spent; /* of backends that are gone */
    /* See lbdsr_health.c. */
    struct pcn_health_check *check;
    bool stale;          /* its backends' health is not what its table was made for */
    uint64_t generation; /* another one for each change of its configuration */
};

/* Who has which places: pieces, in their order. */
struct lbdsr_piece {
    uint32_t first;
    uint32_t n;
};

struct lbdsr_pieces {
    struct lbdsr_piece *all;
    size_t n;
    size_t room;
    uint32_t end;   /* of the places */
    uint32_t usual; /* size of most tables */
};

/* What the fast path looks up, and who has which part of it. */
struct lbdsr_tables {
    struct lbdsr_sizes sizes;
    struct lbdsr_bucket *keys;
    struct lbdsr_vip *vips;
    uint16_t *places;
    struct lbdsr_target *backends;
    struct lbdsr_count *counts;
    struct lbdsr_flows *flows;
    struct lbdsr_data *data;
    bool *used_vips;
    bool *used_backends;
    uint32_t *users;                 /* of a vip that is an address: its services */
    uint32_t shapes[LBDSR_SHAPES];   /* services of each */
    uint32_t next_vip, next_backend; /* where looking for a free one begins: a number rests before it is used again */
    struct lbdsr_pieces pieces;
};

/* Leaves of the cube that services depend on. */
struct lbdsr_settings {
    bool has_outer;
    uint32_t outer_source; /* network order */
    uint32_t outer_hosts;
    bool has_outer6;
    union pcn_address outer_source6;
    uint32_t outer_hosts6; /* of its last word */
    bool has_gateway;
    uint8_t gateway[ETH_ALEN];
    /* Of the frontend: where segments arrive; zeros: nowhere. */
    union pcn_address tunnel;
    union pcn_address tunnel6;
};

struct lbdsr {
    struct pcn_cube *cube;
    struct lbdsr_tables tables;
    struct lbdsr_settings settings;
    struct lbdsr_settings next_settings;
    struct lbdsr_pieces next_pieces; /* of the transaction that runs */
    struct lbdsr_group *services;
    struct lbdsr_group *pending; /* copies, of the transaction that runs */
    bool changing;
    uint16_t sides[LBDSR_SIDES]; /* port, or LBDSR_NO_PORT */
    /* That may be sent now, and as of when. */
    uint32_t answers;
    uint64_t answers_at;
    /* See lbdsr_health.c. */
    uint64_t generation;
    struct pcn_health_set *health;
    struct lbdsr_job *job; /* a table that is being computed */
};

/* ---- lbdsr_maglev.c ---- */

/*
 * For each of size places (a prime) the index of a backend + 1. The order of ends does not matter. Ends of weight 0 get
 * none, nor do those that are out; ret_table is NULL if there is no other. Writes .places of each. The caller frees the
 * table. -ENOMEM.
 */
int lbdsr_maglev(struct lbdsr_end *ends, size_t n, uint32_t size, uint16_t **ret_table);

/* ---- lbdsr_outer.c ---- */

/* What a backend's packets get. our_mac: where frames of ours come from. .epoch is left as it is. */
void lbdsr_outer_make(const struct lbdsr_group *service, const struct lbdsr_end *end,
                      const struct lbdsr_settings *settings, const uint8_t our_mac[ETH_ALEN],
                      struct lbdsr_target *target);

/* ---- lbdsr_table.c ---- */

/* Sizes for what the model says. */
struct lbdsr_sizes lbdsr_sizes_for(uint32_t services, uint32_t backends, uint32_t table_size, uint32_t connections,
                                   uint32_t cpus);
/* Services there is room for. */
uint32_t lbdsr_services_of(const struct lbdsr_sizes *sizes);
/* tables: its memory and sizes are set. table_size: see lbdsr_pieces_open(). -ENOMEM. */
int lbdsr_tables_open(struct lbdsr_tables *tables, uint32_t table_size);
void lbdsr_tables_close(struct lbdsr_tables *tables);
/* Brings a service into force; before: what it was, or NULL. It has places, and there is room: the caller has looked. */
void lbdsr_tables_publish(struct lbdsr_tables *tables, struct lbdsr_group *service, struct lbdsr_group *before,
                          const struct lbdsr_settings *settings);
/* Whose frames in segments are to be opened. */
void lbdsr_tables_tunnels(struct lbdsr_tables *tables, const struct lbdsr_settings *settings);
/* The settings have changed, the service has not. */
void lbdsr_tables_refresh(struct lbdsr_tables *tables, const struct lbdsr_group *service,
                          const struct lbdsr_settings *settings);
void lbdsr_tables_withdraw(struct lbdsr_tables *tables, struct lbdsr_group *service);
/* Sum over the CPUs. */
struct lbdsr_count lbdsr_tables_count(const struct lbdsr_tables *tables, uint32_t backend);
struct lbdsr_tally lbdsr_tables_statistics(const struct lbdsr_tables *tables);

/* ---- lbdsr_pieces.c ---- */

/* Place 0 is nobody's. usual: the size of most tables. -ENOMEM. */
int lbdsr_pieces_open(struct lbdsr_pieces *pieces, uint32_t n_places, uint32_t n_services, uint32_t usual);
void lbdsr_pieces_done(struct lbdsr_pieces *pieces);
int lbdsr_pieces_copy(const struct lbdsr_pieces *pieces, struct lbdsr_pieces *ret_copy);
/* The first of both halves of a table; 0: there are not so many side by side. */
uint32_t lbdsr_pieces_take(struct lbdsr_pieces *pieces, uint32_t table_size);
void lbdsr_pieces_give(struct lbdsr_pieces *pieces, uint32_t first);

/* ---- lbdsr_config.c ---- */

int lbdsr_config_prepared(struct pcn_cube *cube, struct pcn_error *error);
void lbdsr_config_applied(struct pcn_cube *cube);
void lbdsr_config_done(struct lbdsr *lbdsr);

/* ---- lbdsr_check.c ---- */

/* A MAC as the model writes it, which let no other text through. */
void lbdsr_mac_parse(const char *text, uint8_t ret_mac[ETH_ALEN]);
/* The address' version. */
uint8_t lbdsr_address_parse(const char *text, union pcn_address *ret_address);
bool lbdsr_address_is_host(const union pcn_address *address, uint8_t version);
/* Of any address. */
struct lbdsr_prefix lbdsr_prefix_parse(const char *text);
/* Its name in the model: vip, port and proto, with this between them. */
#define LBDSR_NAME_MAX sizeof(((struct pcn_health_target *)NULL)->service)
void lbdsr_service_name(const struct lbdsr_group *service, char between, char ret_name[LBDSR_NAME_MAX]);
/* "service/" and its name, or "frontend/vip". */
#define LBDSR_PATH_MAX 128
void lbdsr_service_path(const struct lbdsr_group *service, char ret_path[LBDSR_PATH_MAX]);
void lbdsr_service_leaves(struct lbdsr_group *service, const struct pcn_node *node);
/* Those of the frontend stay as they are in ret_settings. */
int lbdsr_settings_parse(const struct pcn_node *node, struct lbdsr_settings *ret_settings, struct pcn_error *error);
/* Those of the frontend, whose node may be NULL. */
void lbdsr_settings_tunnels(const struct pcn_node *node, struct lbdsr_settings *settings);
/* Whether it is a prime. path: of the leaf, or of what has it. */
int lbdsr_table_size_check(uint64_t size, const char *path, struct pcn_error *error);
/* Whether its mode and its tenant have what they need. */
int lbdsr_service_check(const struct lbdsr_group *service, const struct lbdsr_settings *settings,
                        struct pcn_error *error);

/* The transaction's copy of a service, by its keys in the model. NULL: no memory. */
struct lbdsr_group *lbdsr_config_edit(struct lbdsr *lbdsr, const char *const *keys);
/* The transaction is off. */
void lbdsr_config_abandoned(struct pcn_cube *cube);
/* In force, by what packets are found by, or by its keys in the model. NULL: there is none. */
struct lbdsr_group *lbdsr_config_find(struct lbdsr *lbdsr, const struct lbdsr_key *key);
struct lbdsr_group *lbdsr_config_at(struct lbdsr *lbdsr, const char *const *keys);

/* ---- lbdsr_health.c ---- */

int lbdsr_health_open(struct lbdsr *lbdsr);
void lbdsr_health_close(struct lbdsr *lbdsr);
/* Whether it can be checked as it is to be; and who of its backends is out, by what is known now. */
int lbdsr_health_prepare(struct lbdsr_group *service, struct pcn_error *error);
/* A service has taken the place of before, which may be NULL: what is to be checked follows. */
void lbdsr_health_follow(struct lbdsr *lbdsr, struct lbdsr_group *service, struct lbdsr_group *before);
/* A service goes. */
void lbdsr_health_forget(struct lbdsr_group *service);

/* ---- lbdsr_rules.c ---- */

/* Copies of before's go to next. -ENOMEM. */
int lbdsr_rules_copy(const struct lbdsr_group *before, struct lbdsr_group *next);
int lbdsr_rules_check(const struct lbdsr_group *service, const char *path, struct pcn_error *error);
/* The service is published; before: what it was, or NULL. */
void lbdsr_rules_publish(struct pcn_cube *cube, const struct lbdsr_group *service, const struct lbdsr_group *before);
/* The service is about to be withdrawn. */
void lbdsr_rules_withdraw(struct pcn_cube *cube, const struct lbdsr_group *service);

/* ---- lbdsr_slow.c ---- */

void lbdsr_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet);
/* Whether one more may be sent now. */
bool lbdsr_answers_take(struct lbdsr *lbdsr);
/* Bytes of the Ethernet header and its tags; 0: what follows is of another type (host order), or is short of an IPv4 header. */
size_t lbdsr_l2_length(const uint8_t *frame, size_t length, uint16_t wanted);
/* Network order. Of a message over IPv6, whose header is in front of it; length: of both, 65,535 at most. */
uint16_t lbdsr_checksum6(const void *packet, size_t length, uint8_t protocol);

/* ---- lbdsr_neighbour.c: who has a VIP? ---- */

/* A neighbour solicitation; a frame in a segment that asks, by ARP, ND or an echo. They are answered where they came from. */
void lbdsr_solicited(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port);
void lbdsr_solicited_in_segment(struct lbdsr *lbdsr, const uint8_t *frame, size_t length, uint16_t port);
