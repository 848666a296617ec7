/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading configuration, and writing state, without knowing the library that
 * holds the data tree.
 *
 * A node is a container, a list entry, or the cube itself. It is valid during
 * the callback it was given to. Leaves are named as in the YANG module.
 */
#pragma once
#include <pcn/base.h>
#include <time.h>

struct pcn_node;    /* a node of a data tree, validated against the model */
struct pcn_emitter; /* where state goes */

/* Canonical text of a leaf ("10", "true", "10.0.0.0/8"), or NULL where it is not set and has no default. */
PCN_EXPORT const char *pcn_node_string(const struct pcn_node *node, const char *leaf);
/* Value of an integer, boolean (0, 1) or enumeration (its YANG value) leaf; fallback where it is not set. */
PCN_EXPORT uint64_t pcn_node_uint(const struct pcn_node *node, const char *leaf, uint64_t fallback);
PCN_EXPORT int64_t pcn_node_int(const struct pcn_node *node, const char *leaf, int64_t fallback);
PCN_EXPORT bool pcn_node_bool(const struct pcn_node *node, const char *leaf, bool fallback);
/* The container called name, or NULL. */
PCN_EXPORT const struct pcn_node *pcn_node_container(const struct pcn_node *node, const char *name);
/* First entry of a list or leaf-list called name, and the next one of the same list; NULL at the end. */
PCN_EXPORT const struct pcn_node *pcn_node_first(const struct pcn_node *node, const char *name);
PCN_EXPORT const struct pcn_node *pcn_node_next(const struct pcn_node *node);
/* Value of a leaf-list entry. */
PCN_EXPORT const char *pcn_node_value(const struct pcn_node *node);

/*
 * State is streamed: each call appends one member to the object that is open.
 * An array member is open between pcn_emit_list() and pcn_emit_end(), an entry
 * of it between pcn_emit_entry() and pcn_emit_end(). In a leaf-list's array, leaf is NULL. Errors (ENOMEM) stick to
 * the emitter; the caller of the callback looks at them once.
 */
PCN_EXPORT void pcn_emit_string(struct pcn_emitter *emitter, const char *leaf, const char *value);
PCN_EXPORT void pcn_emit_uint(struct pcn_emitter *emitter, const char *leaf, uint64_t value);
PCN_EXPORT void pcn_emit_int(struct pcn_emitter *emitter, const char *leaf, int64_t value);
PCN_EXPORT void pcn_emit_bool(struct pcn_emitter *emitter, const char *leaf, bool value);
/* UTC with milliseconds (RFC 3339): "2026-11-21T16:00:00.123Z". */
PCN_EXPORT void pcn_emit_time(struct pcn_emitter *emitter, const char *leaf, const struct timespec *time);
/*
 * A list that is a ring: of n things it holds the last `room`, and the key of the first of all was 1. The entries to show
 * are those from *ret_first on, before *ret_end, counted from 0. key: of the one that is asked for; NULL: all. False: it
 * is not there.
 */
PCN_EXPORT bool pcn_ring_entries(uint64_t n, uint32_t room, const char *key, uint64_t *ret_first, uint64_t *ret_end);
PCN_EXPORT void pcn_emit_container(struct pcn_emitter *emitter, const char *name);
PCN_EXPORT void pcn_emit_list(struct pcn_emitter *emitter, const char *name);
PCN_EXPORT void pcn_emit_entry(struct pcn_emitter *emitter);
PCN_EXPORT void pcn_emit_end(struct pcn_emitter *emitter);
