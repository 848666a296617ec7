/* SPDX-License-Identifier: Apache-2.0 */
/* Destination and source NAT of UDP flows: those that are known, and new ones, beside the kernel's. */
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

/* ---- many behind one address ---- */

/* Of more flows of ours some come from ports below 1024, for which the kernel finds too few others. */
static const struct flows_scene source_scenes[] = {
    {"1,024 flows", "10.200.0.1", 1024, FILTER_RUN, 0},
};

static const struct flows_peer source_peers[] = {
    {},
    {"iptables MASQUERADE", "iptables-legacy -t nat -A POSTROUTING -s 10.100.0.0/16 -j MASQUERADE" FLOWS_NO_CHECKSUMS},
    {"nft masquerade", "nft 'table ip nat { chain postrouting { type nat hook postrouting priority srcnat; "
                       "ip saddr 10.100.0.0/16 masquerade; }; }'" FLOWS_NO_CHECKSUMS},
};

/* Where packets leave by a port, nat is in front of it: the cube that sends them there is measured, too. */
static int source_cube_open(struct flows_bench *bench, enum bench_way way, struct filter_device *ret_device)
{
    int line = bench_lab_line(&bench->lab, way);
    char name[16], body[512];

    if (line < 0)
        return line;
    (void)snprintf(name, sizeof(name), "hop%d", (int)way);
    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"action\": \"FORWARD\", \"ports\": ["
                   "{\"name\": \"in\", \"peer\": \"d%d\"}, {\"name\": \"out\", \"peer\": \"e%d\"}]}",
                   flows_way(way), line, line);
    if (pcn_testd_post(bench->daemon, body, "helloworld/%s", name) != 201)
        return -EIO;
    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"table-size\": %u, \"rule\": {\"snat\": {\"entry\": "
                   "[{\"id\": 0, \"internal-net\": \"10.100.0.0/16\", \"external-ip\": \"10.201.0.1\"}]}}}",
                   flows_way(way), TABLE);
    if (pcn_testd_post(bench->daemon, body, "nat/bench%d", (int)way) != 201)
        return -EIO;
    (void)snprintf(body, sizeof(body), "{\"cube\": \"bench%d\", \"port\": \"%s:out\"}", (int)way, name);
    if (pcn_testd_post(bench->daemon, body, "attach") / 100 != 2)
        return -EIO;
    return filter_hold(bench->daemon, way, line, ret_device);
}

int bench_nat(void)
{
    static const struct flows_group groups[] = {
        {.kind = "nat",
         .what = "nat, DNAT",
         .scenes = scenes,
         .n_scenes = PCN_ARRAY_SIZE(scenes),
         .peers = peers,
         .n_peers = PCN_ARRAY_SIZE(peers),
         .cube_open = cube_open},
        {.kind = "nat",
         .what = "nat, SNAT behind a hop",
         .scenes = source_scenes,
         .n_scenes = PCN_ARRAY_SIZE(source_scenes),
         .peers = source_peers,
         .n_peers = PCN_ARRAY_SIZE(source_peers),
         .cube_open = source_cube_open},
    };
    int r = 0;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(groups) && r == 0; i++)
        r = flows_group_run(&groups[i]);
    return r;
}
