/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control path of a cube that tracks connections: pcn/conntrack.bpf.h is its
 * fast path, pcn/conntrack.h the table between them, polycube-flows-base.yang
 * the part of its model.
 *
 * configure calls pcn_flows_configure(), create pcn_flows_open(), tick
 * pcn_flows_tick(); the handlers of the groupings call the function of the same name.
 */
#pragma once
#include <pcn/conntrack.h>
#include <pcn/cube.h>
#include <pcn/node.h>

struct pcn_flow;

/* The fast path's memory: flows are taken away by compare-and-swap of their words. */
struct pcn_flows {
    struct pcn_ct_bucket *buckets;
    struct pcn_ct_entry *entries;
    const struct pcn_ct_wide *wides;
    __u32 *places;
    struct pcn_ct_numbers *numbers;
    __u32 *ring;                          /* of free ones */
    struct pcn_ct_own *owns;              /* NULL: flows have one key, and are no sessions */
    struct pcn_ct_window *windows;        /* NULL: they are not checked */
    const struct pcn_ct_traffic *traffic; /* NULL: nothing is counted */
    struct pcn_ct_settings *settings;
    const struct pcn_ct_statistics *statistics; /* PCN_CPUS_MAX */
    uint32_t n_places;
    uint32_t n_slots; /* of sessions, two a number */
    uint32_t n_numbers;
    uint32_t cursor;               /* of the sweep */
    struct pcn_flow_event *events; /* PCN_FLOW_EVENTS; NULL: none was noted yet */
    uint64_t n_events;
    /* A flow was taken away here; its memory is not another one's yet. NULL: nobody is told. */
    void (*removed)(struct pcn_flows *flows, const struct pcn_flow *flow);
    /* Appends what a kind's model adds to an entry of session-table; NULL: nothing. */
    void (*emit)(struct pcn_flows *flows, const struct pcn_flow *flow, struct pcn_emitter *emitter);
};
#define PCN_FLOW_EVENTS 1024

/* A flow, copied. */
struct pcn_flow {
    uint32_t slot;
    uint64_t word;
    struct pcn_ct_key key;
};

/* ---- the table ---- */

struct pcn_flows_size {
    uint32_t flows; /* 0: the smallest table, where nothing is tracked */
    uint32_t keys;  /* PCN_CT_KEYS of the fast path; 0: one */
    bool counting;
    bool windows; /* the programs are able to check those of TCP, see window-check */
};

/* Sizes the maps. */
PCN_EXPORT int pcn_flows_configure(struct pcn_object *object, const struct pcn_flows_size *size);
/*
 * The maps of a loaded cube, or between reload and switch those of the next programs; a new table gets its seed.
 * flows: zeros, or what it was before the reload.
 */
PCN_EXPORT int pcn_flows_open(struct pcn_cube *cube, struct pcn_flows *flows);
PCN_EXPORT void pcn_flows_close(struct pcn_flows *flows);
/* packet_in calls this first: true, the record was about a flow, and is dealt with. */
PCN_EXPORT bool pcn_flows_packet_in(struct pcn_flows *flows, const struct pcn_packet_in *packet);
/* The next part of the table: what has expired is taken away. */
PCN_EXPORT void pcn_flows_tick(struct pcn_flows *flows);
/* A new table: all numbers are free. */
PCN_EXPORT void pcn_flows_number(struct pcn_flows *flows);
/* The key of a slot, whether there is a flow or not. */
PCN_EXPORT void pcn_flows_key(const struct pcn_flows *flows, uint32_t slot, struct pcn_ct_key *ret_key);
/* The tag of a place. */
PCN_EXPORT uint8_t *pcn_flows_tag(const struct pcn_flows *flows, uint32_t place);
/* Where a place leads; above all slots: nowhere. */
PCN_EXPORT uint32_t pcn_flows_slot(const struct pcn_flows *flows, uint32_t place);
/* The session of a slot, and the slot of its other key. Where flows have one key there are none. */
PCN_EXPORT struct pcn_ct_own *pcn_flows_own(const struct pcn_flows *flows, uint32_t slot);
PCN_EXPORT uint32_t pcn_flows_other(const struct pcn_flows *flows, uint32_t slot);
/* The flow of a slot: false where there is none, or it has expired. now: jiffies. */
PCN_EXPORT bool pcn_flows_get(const struct pcn_flows *flows, uint32_t slot, uint64_t now, struct pcn_flow *ret_flow);
/* The flow of a packet, of either direction. -ENOENT. */
PCN_EXPORT int pcn_flows_find(const struct pcn_flows *flows, const struct pcn_ct_key *key, uint64_t now,
                              struct pcn_flow *ret_flow);
/* Whatever its state has become meanwhile; false: it was gone already. */
PCN_EXPORT bool pcn_flows_remove(struct pcn_flows *flows, const struct pcn_flow *flow);
/* Takes away what has expired, of slots [first, first + n). Returns how many other flows there are. */
PCN_EXPORT uint32_t pcn_flows_sweep(struct pcn_flows *flows, uint32_t first, uint32_t n, uint64_t now);
/* Sum over the CPUs. */
PCN_EXPORT struct pcn_ct_statistics pcn_flows_statistics(const struct pcn_flows *flows);

/* ---- the groupings of the model ---- */

/* table: leaves of the cube itself. zone: of all its flows. */
PCN_EXPORT void pcn_flows_apply(struct pcn_flows *flows, const struct pcn_node *config, uint16_t zone);
PCN_EXPORT void pcn_flows_apply_timeouts(struct pcn_flows *flows, const struct pcn_node *timeouts);
PCN_EXPORT int pcn_flows_emit_statistics(struct pcn_flows *flows, struct pcn_emitter *emitter);
/* session-table. -ENOENT. */
PCN_EXPORT int pcn_flows_emit_sessions(struct pcn_flows *flows, const char *const *keys, size_t n_keys,
                                       struct pcn_emitter *emitter);
/* flow-events. -ENOENT. */
PCN_EXPORT int pcn_flows_emit_events(struct pcn_flows *flows, const char *const *keys, size_t n_keys,
                                     struct pcn_emitter *emitter);
PCN_EXPORT int pcn_flows_forget(struct pcn_flows *flows, const char *const *keys, size_t n_keys);
/* The actions. -EINVAL, with the error set. */
PCN_EXPORT int pcn_flows_flush(struct pcn_flows *flows, const struct pcn_node *input, struct pcn_emitter *output,
                               struct pcn_error *error);
PCN_EXPORT int pcn_flows_delete(struct pcn_flows *flows, const struct pcn_node *input, struct pcn_emitter *output,
                                struct pcn_error *error);
