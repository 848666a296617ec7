/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A firewall's control path. A chain is an array of entries, by id. A
 * transaction makes the next array beside it: prepare of each rule changes that
 * one, prepared() compiles it, applied() puts it in force; abort drops it.
 */
#pragma once
#include "firewall_compile.h"
#include "firewall_interface.h"
#include "firewall_model.h"
#include "firewall_set.h"
#include <pcn/cube.h>
#include <pcn/flows.h>
#include <time.h>
#include <uthash.h>

/* Fields that may refer to a set. */
enum firewall_set_field {
    FIREWALL_BY_SOURCE,
    FIREWALL_BY_DESTINATION,
    FIREWALL_BY_SOURCE_PORT,
    FIREWALL_BY_DESTINATION_PORT,
    FIREWALL_BY_TUPLE,
    FIREWALL_BY_MAX,
};

/* A configured rule. Its lists are its own. Shared by the array in force and the next one. */
struct firewall_entry {
    struct firewall_rule rule;
    char *fields; /* members of its JSON object but the id, as configured */
    char *description;
    char *sets[FIREWALL_BY_MAX]; /* names; NULL: the field is in the rule */
    struct firewall_names in, out;
    unsigned int references;
    bool kept; /* it is in the next array, too, or its counters are */
    UT_hash_handle hh;
};

/* fields: a rule as configured, or the input of an action. -EINVAL, with the error set: below path. */
int firewall_entry_new(const struct pcn_node *fields, const char *path, struct firewall_entry **ret_entry,
                       struct pcn_error *error);
/* The JSON members alone. The caller frees. */
int firewall_entry_fields(const struct pcn_node *fields, char **ret_fields);
#define FIREWALL_TEXT_MAX 4096 /* of a leaf: as in the model */
/* A leaf but the description, as it was configured; false: it was not. */
bool firewall_entry_text(const struct firewall_entry *entry, const char *leaf, char *ret_text, size_t size);
/* All leaves but the id. */
void firewall_entry_emit(const struct firewall_entry *entry, struct pcn_emitter *emitter);
void firewall_entry_unrefp(struct firewall_entry **entry);
/* See firewall_same.c: whether packets cannot tell them apart; and whether nobody can. However it is written: 10.0.0.1 is 10.0.0.1/32. */
bool firewall_entry_acts_as(const struct firewall_entry *a, const struct firewall_entry *b);
bool firewall_entry_same(const struct firewall_entry *a, const struct firewall_entry *b);

struct firewall_rules {
    struct firewall_entry **entries; /* by id; NULL: none, while the array is being changed */
    size_t n;
    enum firewall_action fallback;
    struct firewall_plan *plan;
    struct firewall_interfaces interfaces; /* as the plan has them */
};

/* See firewall_array.c. */
struct firewall_array {
    struct firewall_rule *rules;
    struct firewall_entry **from; /* of which each was made, by itself; NULL: it is made anew each time */
    size_t n, size;
    size_t left_out; /* by out-interface */
    uint64_t stamp;  /* that was given last */
};

struct firewall_chain_state {
    struct firewall_rules now;
    struct firewall_rules next;
    struct firewall_array array; /* of what was compiled last: most of it is the same the next time */
    struct firewall_plan *spare; /* that before now's: the next one is made of it; NULL: of few rules none is kept */
    bool changing;               /* next is valid */
    struct firewall_entry *gone; /* of now, while changing: one that only moves keeps its counters */
};

/* Leaves of the firewall itself. */
struct firewall_options {
    bool accept_established;
    bool conntrack;
    uint32_t table_size;
    bool counting;
    bool windows; /* of TCP are checked */
};

#define FIREWALL_LOG_SIZE 256 /* lines; a power of two */

struct firewall_log_line {
    struct timespec time;
    enum firewall_direction chain;
    uint32_t rule;
    char packet[112];
};

struct firewall {
    struct pcn_cube *cube;
    struct firewall_options options, next_options;
    bool options_changing; /* next_options is valid */
    struct firewall_set *sets;
    bool sets_changing; /* some are marked */
    struct pcn_flows flows;
    struct firewall_log_line *log; /* FIREWALL_LOG_SIZE; NULL: nothing was noted */
    uint64_t n_logged;
    struct firewall_chain_state chains[FIREWALL_CHAIN_MAX];
    struct firewall_memory memory;
    struct firewall_counter *counters;
    uint32_t used[FIREWALL_CHAIN_MAX], n_pages, n_counters; /* of the programs that reconfigure is to load */
    bool renewing;                                          /* they are to have an arena and data of their own */
    bool reloaded;                                          /* they wait to be switched to */
    uint64_t *slots;                                        /* bitmap of the counters in use */
    uint32_t n_slots;
};

#define FIREWALL_IDS_MAX 10000 /* rules of a chain: as in the model */

extern const char *const firewall_chain_names[FIREWALL_CHAIN_MAX];
extern const char *const firewall_action_names[FIREWALL_ACTION_MAX];

/* By a key of the model. */
enum firewall_direction firewall_chain_of(const char *name);

/* ---- firewall_array.c: rules for the compiler ---- */

/* The rules that an entry stands for, with its sets in force; the lists are theirs. The caller frees the array. */
int firewall_entry_rules(struct firewall *firewall, const struct firewall_entry *entry,
                         struct firewall_rule **ret_rules, size_t *ret_n);
/* All of a chain. Errors of the model; -ENOMEM. */
int firewall_array_fill(struct firewall *firewall, struct firewall_rules *rules, struct firewall_array *array,
                        struct pcn_error *error);
void firewall_array_done(struct firewall_array *array);

/* ---- firewall_load.c: plans to maps ---- */

struct firewall_options firewall_options_of(const struct pcn_node *config);
int firewall_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error);
int firewall_reconfigure(struct pcn_cube *cube, struct pcn_object *object, struct pcn_error *error);
int firewall_load_new(struct firewall *firewall);
int firewall_prepared(struct pcn_cube *cube, struct pcn_error *error);
void firewall_applied(struct pcn_cube *cube);
void firewall_abandoned(struct pcn_cube *cube);
/* Plans for chains of many rules that have none yet to make the next one of: now there is time. */
void firewall_spares_make(struct firewall *firewall);
/* Devices may have changed: what was compiled follows. event: the only one that has; NULL: any. */
void firewall_devices_follow(struct firewall *firewall, const struct pcn_event *event);
/* What the loaded program would do with a frame: the verdict. */
int firewall_dry_run(struct firewall *firewall, enum firewall_direction chain, const uint8_t *frame, size_t size,
                     struct firewall_explained *ret_explained, struct pcn_error *error);
/* Over the CPUs. */
void firewall_counter_read(const struct firewall *firewall, uint32_t counter, struct firewall_counter *ret_sum);
void firewall_counter_reset(struct firewall *firewall, uint32_t counter);

/* ---- firewall_log.c: what rules with LOG have matched ---- */

void firewall_log_note(struct firewall *firewall, const struct pcn_packet_in *packet);

/* ---- firewall_chain.c: configuration ---- */

/* Begins to change a chain: next is a copy of now. */
int firewall_chain_change(struct firewall_chain_state *chain);
/* All changes are in next: -EINVAL, ids have gaps. Rules that were there before become what they were. */
int firewall_chain_settle(struct firewall_chain_state *chain, enum firewall_direction number, struct pcn_error *error);
void firewall_rules_done(struct firewall_rules *rules);
