/* SPDX-License-Identifier: Apache-2.0 */
/* Destination NAT of UDP flows: those that are known, and new ones, beside the kernel's. */
#include "flows.h"
#include <stdio.h>

#define TABLE 65536u
#define NEW_FLOWS 40960u /* a round: far less than the table takes */

static const struct flows_scene scenes[] = {
    {"1,024 flows", "10.200.0.1", 1024, FILTER_RUN, 35},
    {"65,536 flows", "10.200.0.1", 65536, 10 * 65536, 90},
    {"each packet a new flow", "10.200.0.1", 0, NEW_FLOWS, 200},
    {"IPv6, 1,024 flows", "fd10:200::1", 1024, FILTER_RUN, 0},
    {"IPv6, each packet a new flow", "fd10:200::1", 0, NEW_FLOWS, 0},
};

static const struct flows_peer peers[] = {
    {},
    {"iptables DNAT", "iptables-legacy -t nat -A PREROUTING -d 10.200.0.1 -j DNAT --to-destination 10.200.0.2 && "
                      "ip6tables-legacy -t nat -A PREROUTING -d fd10:200::1 -j DNAT --to-destination "
                      "fd10:200::2" FLOWS_NO_CHECKSUMS},
    {"nft dnat", "nft 'table ip nat { chain prerouting { type nat hook prerouting priority dstnat; "
                 "ip daddr 10.200.0.1 dnat to 10.200.0.2; }; }; table ip6 nat { chain prerouting { type nat hook "
                 "prerouting priority dstnat; ip6 daddr fd10:200::1 dnat to fd10:200::2; }; }'" FLOWS_NO_CHECKSUMS},
};

static int cube_open(struct flows_bench *bench, enum bench_way way, struct filter_device *ret_device)
{
    char name[16], body[512];

    (void)snprintf(name, sizeof(name), "bench%d", (int)way);
    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"table-size\": %u, \"rule\": {\"dnat\": {\"entry\": "
                   "[{\"id\": 0, \"external-ip\": \"10.200.0.1\", \"internal-ip\": \"10.200.0.2\"}, "
                   "{\"id\": 1, \"external-ip\": \"fd10:200::1\", \"internal-ip\": \"fd10:200::2\"}]}}}",
                   flows_way(way), TABLE);
    if (pcn_testd_post(bench->daemon, body, "nat/%s", name) != 201)
        return -EIO;
    return filter_attach(bench->daemon, &bench->lab, way, name, ret_device);
}

int bench_nat(void)
{
    static const struct flows_group group = {.kind = "nat",
                                             .what = "nat, DNAT",
                                             .scenes = scenes,
                                             .n_scenes = PCN_ARRAY_SIZE(scenes),
                                             .peers = peers,
                                             .n_peers = PCN_ARRAY_SIZE(peers),
                                             .cube_open = cube_open};

    return flows_group_run(&group);
}
