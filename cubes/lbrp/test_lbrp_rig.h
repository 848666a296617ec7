/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An lbrp's fast path with services, and packets for it. Clients come in by port 0, backends are behind port 1. Backend
 * n is 10.0.n/256.n%256, or fd00::n.
 */
#pragma once
#include "lbrp.h"
#include <harness/ends.h>
#include <harness/suite.h>
#include <harness/testrun.h>

#define VIP "203.0.113.1"
#define VIP6 "2001:db8::1"
#define C "198.51.100.2"
#define C2 "198.51.100.3"
#define C6 "2001:db8:c::2"
#define B1 "10.0.0.1"
#define B2 "10.0.0.2"
#define POOL "192.0.2.100"
#define R "192.0.2.9" /* a router on the way */
#define OUR_MAC "02:00:00:00:99:99"
#define CLIENT_MAC "02:00:00:00:00:01"
#define SIZE 1021u

enum { FRONT, BACK, FRONT2 };

struct rig {
    struct pcn_fast fast;
    struct lbrp lbrp;
    struct lbrp_group *groups[8];
    size_t n_groups;
    struct pcn_fast_run run;
};

void rig_freep(struct rig **ptr);
/* NULL: the check has failed. */
struct rig *rig_new(bool xdp, uint32_t n_buckets);
/* Backends of a service: numbers first.., weight 1, port 8080. version: 4, 6. */
void ends_make(struct lbrp_end *ends, uint8_t version, uint32_t first, uint32_t n);
/* A service as it is to be, without backends: for service_set(). */
struct lbrp_group service_like(const char *vip, uint16_t port, uint8_t kind, uint8_t algorithm);
/* Brings it into force, or what it is now. The ends are copied. */
struct lbrp_group *service_set(struct rig *rig, struct lbrp_group like, const struct lbrp_end *ends, size_t n);
/* A service with backend 1 alone. */
struct lbrp_group *one(struct rig *rig, const char *vip, uint16_t port, uint8_t kind);
void service_withdraw(struct rig *rig, struct lbrp_group *service);
void pool_add(struct rig *rig, const char *address);
/* The reason why it is dropped; 0: it is not. */
uint32_t give(struct rig *rig, uint16_t port, const struct pcn_frame *frame);
/* frame comes in by port, and leaves by `out` as `expected`. */
void becomes(struct rig *rig, uint16_t port, struct pcn_frame frame, uint16_t out, struct pcn_frame expected);
/* Number of the backend that a client's frame was sent to; 0: to none. */
uint32_t goes_to(struct rig *rig, struct pcn_frame frame);
struct lbrp_tally tally(const struct rig *rig, const struct lbrp_group *service, size_t end);
uint32_t n_places(struct rig *rig);
/* So many sessions there are, affinities included, and all other numbers are free. */
void check_numbers(struct rig *rig, uint32_t n_sessions);
/* Time passes: what is in the table gets so much older. */
void age(struct rig *rig, uint32_t seconds);

#define FOR_BOTH(n_buckets_)                                                                                           \
    for (int xdp_ = 0; xdp_ < 2; xdp_++)                                                                               \
        for (_cleanup_(rig_freep) struct rig *rig = rig_new(xdp_, n_buckets_); rig; rig_freep(&rig))

/* ---- test_lbrp_rare.c ---- */

void test_errors(void);
void test_errors_odd(void);
void test_errors_pool(void);
void test_fragments(void);
void test_macs(void);
void test_solicited(void);
void test_multi(void);
void test_anew(void);
void test_bad(void);
void test_race(void);
void test_race_last(void);
