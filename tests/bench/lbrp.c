/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sessions with eight backends: those that are known, and new ones, beside the kernel's NAT by a map. */
#include "flows.h"
#include <stdio.h>

#define TABLE 65536u
#define NEW_FLOWS 40960u /* a round: far less than the table takes */
#define BACKENDS 8

static const struct flows_scene scenes[] = {
    {"1,024 flows", "10.200.0.1", 1024, FILTER_RUN, 45},
    {"65,536 flows", "10.200.0.1", 65536, 10 * 65536, 120},
    {"each packet a new flow", "10.200.0.1", 0, NEW_FLOWS, 200},
};

#define EIGHT                                                                                                          \
    "map { 0 : 10.200.0.2, 1 : 10.200.0.3, 2 : 10.200.0.4, 3 : 10.200.0.5, 4 : 10.200.0.6, 5 : 10.200.0.7, "           \
    "6 : 10.200.0.8, 7 : 10.200.0.9 }; }; }'" FLOWS_NO_CHECKSUMS

static const struct flows_peer peers[] = {
    {},
    {"iptables DNAT, range", "iptables-legacy -t nat -A PREROUTING -d 10.200.0.1 -p udp --dport 53 -j DNAT "
                             "--to-destination 10.200.0.2-10.200.0.9 --random" FLOWS_NO_CHECKSUMS},
    {"nft numgen map", "nft 'table ip nat { chain prerouting { type nat hook prerouting priority dstnat; "
                       "ip daddr 10.200.0.1 udp dport 53 dnat to numgen inc mod 8 " EIGHT},
    {"nft jhash map", "nft 'table ip nat { chain prerouting { type nat hook prerouting priority dstnat; "
                      "ip daddr 10.200.0.1 udp dport 53 dnat to jhash ip saddr . udp sport mod 8 " EIGHT},
};

/* Between the line's two devices. */
static int cube_open(struct flows_bench *bench, enum bench_way way, struct filter_device *ret_device)
{
    int line = bench_lab_line(&bench->lab, way), length;
    char body[2048];

    if (line < 0)
        return line;
    length = snprintf(body, sizeof(body),
                      "{\"type\": \"%s\", \"loglevel\": \"OFF\", \"table-size\": %u, \"ports\": ["
                      "{\"name\": \"front\", \"type\": \"FRONTEND\", \"peer\": \"d%d\"}, "
                      "{\"name\": \"back\", \"type\": \"BACKEND\", \"peer\": \"e%d\"}], \"service\": ["
                      "{\"vip\": \"10.200.0.1\", \"vport\": 53, \"proto\": \"UDP\", \"backend\": [",
                      flows_way(way), TABLE, line, line);
    for (int i = 0; i < BACKENDS; i++)
        length += snprintf(body + length, sizeof(body) - (size_t)length, "%s{\"ip\": \"10.200.0.%d\", \"port\": 5353}",
                           i ? ", " : "", i + 2);
    (void)snprintf(body + length, sizeof(body) - (size_t)length, "]}]}");
    if (pcn_testd_post(bench->daemon, body, "lbrp/bench%d", (int)way) != 201)
        return -EIO;
    return filter_hold(bench->daemon, way, line, ret_device);
}

int bench_lbrp(void)
{
    static const struct flows_group group = {.kind = "lbrp",
                                             .what = "lbrp",
                                             .scenes = scenes,
                                             .n_scenes = PCN_ARRAY_SIZE(scenes),
                                             .peers = peers,
                                             .n_peers = PCN_ARRAY_SIZE(peers),
                                             .cube_open = cube_open};

    return flows_group_run(&group);
}
