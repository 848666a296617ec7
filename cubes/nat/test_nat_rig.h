/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A nat's fast path with rules, and packets for it. A is inside, 10.0.0.1; B outside, 198.51.100.2; between them the
 * address E, 203.0.113.1.
 */
#pragma once
#include "nat.h"
#include <harness/ends.h>
#include <harness/suite.h>
#include <harness/testrun.h>

#define A "10.0.0.1"
#define A2 "10.0.0.2"
#define B "198.51.100.2"
#define R "192.0.2.9" /* a router on the way */
#define E "203.0.113.1"
#define F "203.0.113.2"

/* Blind: at TC, as on a kernel that does not say whether a checksum is whole. */
enum rig_way {
    RIG_TC,
    RIG_XDP,
    RIG_BLIND,
    RIG_WAYS,
};

struct rig {
    struct pcn_fast fast;
    struct nat nat;
    struct nat_line lines[8];
    size_t n_lines;
    struct pcn_fast_run run;
};

#define OUT PCN_EGRESS
#define IN PCN_INGRESS

void rig_freep(struct rig **ptr);
/* NULL: the check has failed. */
struct rig *rig_new(enum rig_way way, uint32_t n_buckets);
uint32_t host(const char *text);
void add_line(struct rig *rig, struct nat_line line);
/* n: addresses of the pool; first and last: ports that it may use, 0: any. */
void add_snat(struct rig *rig, const char *net, uint8_t length, const char *external, uint32_t n, uint16_t first,
              uint16_t last);
/* address: of the parent; NULL: it has none. */
void add_masquerade(struct rig *rig, const char *address);
void add_dnat(struct rig *rig, const char *external, const char *internal);
/* TCP ports. */
void add_forwarding(struct rig *rig, const char *external, uint16_t first, uint16_t last, const char *internal,
                    uint16_t port);
struct nat_wide wide(const char *text);
/* A rule of IPv6: key is a network, or the address outside; length: of the prefix, where there is one. */
void add_wide(struct rig *rig, uint8_t kind, const char *key, uint8_t length, const char *address);
/* The reason why it is dropped; 0: it is not. */
uint32_t give(struct rig *rig, enum pcn_direction direction, const struct pcn_frame *frame);
/* frame goes in, and comes out as `expected`. */
void becomes(struct rig *rig, enum pcn_direction direction, struct pcn_frame frame, struct pcn_frame expected);
/* frame goes out, and comes back in as `expected`, to the MAC that sent it. */
void turns(struct rig *rig, struct pcn_frame frame, struct pcn_frame expected);
/* The word of a place. */
uint64_t *word_of(struct rig *rig, uint32_t slot);
/* Each place leads to a session that has it, and each session has two. */
void check_pairs(struct rig *rig);
/* Places in use: two a session. */
uint32_t n_places(struct rig *rig);
uint64_t n_created(struct rig *rig);

#define FOR_BOTH(n_buckets_)                                                                                           \
    for (enum rig_way way_ = 0; way_ < RIG_WAYS; way_++)                                                               \
        for (_cleanup_(rig_freep) struct rig *rig = rig_new(way_, n_buckets_); rig; rig_freep(&rig))
