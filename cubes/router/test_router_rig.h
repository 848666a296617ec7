/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A router's fast path, its tables written by the test, and what is expected of it.
 *
 * Port p is 10.0.p.1/24 and fd00:p::1/64 and fe80::p:1, MAC 02:00:00:00:01:0p; behind it is
 * a host, .2 of both, MAC 02:00:00:00:02:0p. Packets come in by port 0.
 */
#pragma once
#include "router_fib.h"
#include <harness/suite.h>
#include <harness/testrun.h>

#define PORTS 4
#define HOST_REDIRECT(router) ((router)->fast.xdp ? 4u : 7u) /* XDP_REDIRECT, TC_ACT_REDIRECT */

extern const char *const port_macs[PORTS], *const host_macs[PORTS];

struct router {
    struct pcn_fast fast;
    struct router_fib *fib;
    struct router_fib_memory memory;
    struct router_port *ports;
    uint32_t neighbours4[PORTS], neighbours6[PORTS];
    struct pcn_fast_run run;
};

/* An address that is none ends the program. */
union pcn_address address_of(const char *text, uint8_t *ret_version);
uint64_t mac_of(const char *text);
uint64_t link_of(const char *mac, enum router_neighbour_state state);
int route_hops(struct router *router, const char *address, uint8_t length, const struct router_hop *hops,
               unsigned int n);
int route(struct router *router, const char *address, uint8_t length, enum router_hop_kind kind, uint16_t port,
          uint32_t index);
int router_new(bool xdp, struct pcn_cube_identity identity, struct router *router);
void router_done(struct router *router);
/* Number of the hop that an address has. */
uint32_t hop_of(const struct router *router, const char *address);

/* A test that runs on a new router of either type. */
#define ROUTER_TEST_AS(name_, ...)                                                                                     \
    static void name_##_on(struct router *router);                                                                     \
    static void name_(void)                                                                                            \
    {                                                                                                                  \
        for (int xdp = 0; xdp < 2; xdp++) {                                                                            \
            _cleanup_(router_done) struct router router = {};                                                          \
                                                                                                                       \
            PCN_REQUIRE_OK(router_new(xdp, (struct pcn_cube_identity){__VA_ARGS__}, &router));                         \
            name_##_on(&router);                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static void name_##_on(struct router *router)
#define ROUTER_TEST(name_) ROUTER_TEST_AS(name_, .cube = 1)

/* ---- what is expected ---- */

struct pcn_frame from_host(struct pcn_frame frame);
/* As it leaves by a port, to a MAC. */
struct pcn_frame forwarded(struct pcn_frame frame, uint16_t port, const char *mac);

#define CHECK_OUT(router, frame, port, expected) check_out(router, frame, port, expected, __FILE__, __LINE__)
void check_out(struct router *router, const struct pcn_frame *frame, uint16_t port, const struct pcn_frame *expected,
               const char *file, unsigned int line);
/* Dropped for the reason, and for no other. */
#define CHECK_DROP(router, frame, reason) check_drop(router, frame, reason, __FILE__, __LINE__)
void check_drop(struct router *router, const struct pcn_frame *frame, uint32_t reason, const char *file,
                unsigned int line);
/* Sent up, unchanged. */
#define CHECK_SLOW(router, frame, reason, a, b, c) check_slow(router, frame, reason, a, b, c, __FILE__, __LINE__)
void check_slow(struct router *router, const struct pcn_frame *frame, uint16_t reason, uint32_t a, uint32_t b,
                uint32_t c, const char *file, unsigned int line);
/* To the device of the port in the shadow namespace. */
#define CHECK_HOST(router, frame) check_host(router, frame, __FILE__, __LINE__)
void check_host(struct router *router, const struct pcn_frame *frame, const char *file, unsigned int line);
