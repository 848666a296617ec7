/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A routing table to measure with: unicast IPv4 networks spread over the whole
 * space, lengths as on the Internet (most are /24), the same in each run; and
 * destinations inside of its first ones.
 */
#pragma once
#include <pcn/base.h>

#define BENCH_NEXTHOPS 8 /* .2 and up of the network behind port "out" */

struct bench_route {
    uint32_t network; /* host order */
    uint8_t length;
};

/* n routes, no two alike; none in 10.0.0.0/8 and 127.0.0.0/8. Caller frees. */
struct bench_route *bench_routes_new(size_t n);
/* "1.2.3.0/24" */
void bench_route_text(const struct bench_route *route, char text[32]);
/* JSON for POST .../route/: routes first .. first + n - 1 by way of 10.2.<net>.x. Caller frees. */
char *bench_routes_body(const struct bench_route *routes, size_t first, size_t n, unsigned int net);
/* An address in it, of host bits that depend on `salt`. */
uint32_t bench_route_address(const struct bench_route *route, uint32_t salt);
