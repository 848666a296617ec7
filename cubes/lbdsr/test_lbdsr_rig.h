/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An lbdsr's fast path with services, and packets for it. Clients come in by port 0, backends are behind port 1. Backend
 * n is 10.0.n/256.n%256, MAC 02:00:00:00:n/256:n%256.
 */
#pragma once
#include "lbdsr.h"
#include <harness/suite.h>
#include <harness/testrun.h>

#define VIP "203.0.113.1"
#define CLIENT "198.51.100.2"
#define OUR_MAC "02:00:00:00:99:99"
/* Where segments arrive. */
#define TUNNEL "192.0.2.10"
#define TUNNEL6 "2001:db8:10::10"
#define TABLE_SIZE 65537u
#define MTU 1500u

enum { FRONT, BACK };
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

struct rig {
    struct pcn_fast fast;
    struct lbdsr_tables tables;
    struct lbdsr_settings settings;
    struct lbdsr_group leaves; /* of services that are made: what is not an argument */
    struct lbdsr_group *groups[8];
    size_t n_groups;
    struct pcn_fast_run run;
};

void rig_freep(struct rig **ptr);
/* NULL: the check has failed. */
struct rig *rig_new(bool xdp, uint32_t connections);
/* Backends of a service: numbers first.., weight 1. */
void ends_make(struct lbdsr_end *ends, uint32_t first, uint32_t n);
/* A service, or what it is now. The ends are copied. Its index. */
size_t service_set(struct rig *rig, const char *vip, uint16_t port, uint8_t protocol, uint8_t mode,
                   const struct lbdsr_end *ends, size_t n);
void service_withdraw(struct rig *rig, size_t index);
/* The reason why it is dropped; 0: it is not. */
uint32_t give(struct rig *rig, const struct pcn_frame *frame);
/* Number of the backend that a frame of mode L2DSR was sent to; 0: to none. */
uint32_t goes_to(struct rig *rig, const struct pcn_frame *frame);
/*
 * Of what the spec describes, to a service of ten backends: the later fragments go where the first one does, and no sooner;
 * it goes where a whole packet does. Every other one has the spec's extension header.
 */
void check_fragments(struct rig *rig, struct pcn_frame_spec spec);
/*
 * A frame in a segment, to TUNNEL; more: what is different outside. mode: LBDSR_VXLAN or LBDSR_GENEVE, of which the last
 * six bits of the VNI say how many words of options it has.
 */
struct pcn_frame in_segment(const struct pcn_frame *inner, uint8_t mode, uint32_t vni,
                            const struct pcn_frame_spec *more);
struct pcn_frame tcp(const char *client, uint16_t port, uint8_t flags);
struct pcn_frame udp(const char *client, uint16_t port);
/* Tests of test_lbdsr_outer.c, test_lbdsr_rules.c and test_lbdsr_segment.c. */
void test_outer(void);
void test_outer_tagged(void);
void test_outer_dscp(void);
void test_outer_too_big(void);
void test_vlan(void);
void test_rewrite(void);
void test_echo6(void);
void test_fragments6(void);
void test_allow(void);
void test_allow6(void);
void test_quic(void);
void test_tenants(void);
void test_outer_segment(void);
void test_segment(void);
void test_segment_apart(void);
void test_segment_asked(void);
void test_segment_untouched(void);
void test_segment_cut(void);
void test_segment_rare(void);
void test_segment_too_big(void);
void test_segment_gso(void);
void test_segment_tunnel(void);
struct lbdsr_tally tally(const struct rig *rig);

#define FOR_BOTH(connections_)                                                                                         \
    for (int xdp_ = 0; xdp_ < 2; xdp_++)                                                                               \
        for (_cleanup_(rig_freep) struct rig *rig = rig_new(xdp_, connections_); rig; rig_freep(&rig))
