/* SPDX-License-Identifier: Apache-2.0 */
#include "test_router_rig.h"
#include <arpa/inet.h>
#include <stdio.h>

const char *const port_macs[PORTS] = {"02:00:00:00:01:00", "02:00:00:00:01:01", "02:00:00:00:01:02",
                                      "02:00:00:00:01:03"};
const char *const host_macs[PORTS] = {"02:00:00:00:02:00", "02:00:00:00:02:01", "02:00:00:00:02:02",
                                      "02:00:00:00:02:03"};

/* ---- set-up ---- */

union pcn_address address_of(const char *text, uint8_t *ret_version)
{
    union pcn_address address = {};

    *ret_version = strchr(text, ':') ? 6 : 4;
    if (inet_pton(*ret_version == 6 ? AF_INET6 : AF_INET, text, &address) != 1) {
        fprintf(stderr, "no address: %s\n", text);
        exit(EXIT_FAILURE);
    }
    return address;
}

uint64_t mac_of(const char *text)
{
    uint64_t mac = 0;

    pcn_parse_mac(text, (uint8_t *)&mac);
    return mac;
}

uint64_t link_of(const char *mac, enum router_neighbour_state state)
{
    return mac_of(mac) | (uint64_t)state << ROUTER_LINK_STATE_SHIFT;
}

#define NODES 65536u
#define HOPS 8192u
#define NEIGHBOURS 4096u
#define BUCKETS 1024u

static void configure(struct bpf_object *object)
{
    const struct router_settings settings = {.root4_bits = ROUTER_ROOT4_BITS,
                                             .n_nodes = NODES,
                                             .n_hops = HOPS,
                                             .n_neighbours = NEIGHBOURS,
                                             .bucket_mask = BUCKETS - 1};

    pcn_run_set(object, "router_settings", &settings, sizeof(settings));
    pcn_run_trim(object, ROUTER_ROOT4, sizeof(uint32_t) << ROUTER_ROOT4_BITS);
    pcn_run_trim(object, ROUTER_ROOT6, sizeof(uint32_t) << ROUTER_ROOT6_BITS);
    pcn_run_trim(object, ROUTER_NODES, NODES * sizeof(union router_node));
    pcn_run_trim(object, ROUTER_HOPS, HOPS * sizeof(struct router_hop));
    pcn_run_trim(object, ROUTER_NEIGHBOURS, NEIGHBOURS * sizeof(struct router_neighbour));
    pcn_run_trim(object, ROUTER_BUCKETS, BUCKETS * sizeof(struct router_bucket));
}

static int router_map(struct router *router)
{
    struct router_fib_memory *memory = &router->memory;

    *memory = (struct router_fib_memory){.n_routes = 1000,
                                         .root4_bits = ROUTER_ROOT4_BITS,
                                         .n_nodes = NODES,
                                         .n_hops = HOPS,
                                         .n_neighbours = NEIGHBOURS,
                                         .n_buckets = BUCKETS,
                                         .clock_ms = pcn_test_now_ms};
    memory->root4 = pcn_fast_memory(&router->fast, ROUTER_ROOT4, NULL);
    memory->root6 = pcn_fast_memory(&router->fast, ROUTER_ROOT6, NULL);
    memory->nodes = pcn_fast_memory(&router->fast, ROUTER_NODES, NULL);
    memory->hops = pcn_fast_memory(&router->fast, ROUTER_HOPS, NULL);
    memory->neighbours = pcn_fast_memory(&router->fast, ROUTER_NEIGHBOURS, NULL);
    memory->buckets = pcn_fast_memory(&router->fast, ROUTER_BUCKETS, NULL);
    memory->data = pcn_fast_memory(&router->fast, ROUTER_DATA, NULL);
    router->ports = pcn_fast_memory(&router->fast, ROUTER_PORTS, NULL);
    if (!memory->root4 || !memory->root6 || !memory->nodes || !memory->hops || !memory->neighbours ||
        !memory->buckets || !memory->data || !router->ports)
        return -ENOMEM;
    memory->data->seed = 0x1234567;
    memory->data->refresh = 1;
    return router_fib_new(memory, &router->fib);
}

int route_hops(struct router *router, const char *address, uint8_t length, const struct router_hop *hops,
               unsigned int n)
{
    uint8_t version;
    union pcn_address network = address_of(address, &version);
    uint32_t hop;
    int r;

    r = router_fib_hops_get(router->fib, hops, n, &hop);
    return r < 0 ? r : router_fib_set(router->fib, version, &network, length, hop);
}

int route(struct router *router, const char *address, uint8_t length, enum router_hop_kind kind, uint16_t port,
          uint32_t index)
{
    const struct router_hop hop = {.kind = (uint8_t)kind, .port = port, .index = index};

    return route_hops(router, address, length, &hop, 1);
}

static int router_port_set_up(struct router *router, uint16_t port)
{
    char v4[INET_ADDRSTRLEN], v6[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
    union pcn_address address;
    uint8_t version;
    int r;

    snprintf(v4, sizeof(v4), "10.0.%u.1", port);
    snprintf(v6, sizeof(v6), "fd00:%u::1", port);
    snprintf(local, sizeof(local), "fe80::%u:1", port);
    router->ports[port] = (struct router_port){.mac = mac_of(port_macs[port]), .mtu = 1500};
    address = address_of(local, &version);
    memcpy(router->ports[port].link_local, &address, sizeof(address));
    r = route(router, v4, 24, ROUTER_HOP_CONNECTED, port, 0);
    r = r < 0 ? r : route(router, v4, 32, ROUTER_HOP_LOCAL, port, 0);
    r = r < 0 ? r : route(router, v6, 64, ROUTER_HOP_CONNECTED, port, 0);
    r = r < 0 ? r : route(router, v6, 128, ROUTER_HOP_LOCAL, port, 0);
    v4[strlen(v4) - 1] = '2';
    v6[strlen(v6) - 1] = '2';
    address = address_of(v4, &version);
    r = r < 0 ? r
              : router_fib_neighbour_set(router->fib, 4, &address, port,
                                         link_of(host_macs[port], ROUTER_NEIGHBOUR_REACHABLE),
                                         &router->neighbours4[port]);
    address = address_of(v6, &version);
    return r < 0 ? r
                 : router_fib_neighbour_set(router->fib, 6, &address, port,
                                            link_of(host_macs[port], ROUTER_NEIGHBOUR_REACHABLE),
                                            &router->neighbours6[port]);
}

int router_new(bool xdp, struct pcn_cube_identity identity, struct router *router)
{
    const struct pcn_fast_spec spec = {
        .kind = "router", .xdp = xdp, .n_ports = PORTS, .identity = identity, .configure = configure};
    int r;

    r = pcn_fast_open(&spec, &router->fast);
    if (r >= 0)
        r = router_map(router);
    for (uint16_t port = 0; r >= 0 && port < PORTS; port++)
        r = router_port_set_up(router, port);
    if (r >= 0)
        r = route(router, "10.0.1.255", 32, ROUTER_HOP_BROADCAST, 1, 0);
    if (r >= 0)
        r = route(router, "192.168.0.0", 16, ROUTER_HOP_GATEWAY, 2, router->neighbours4[2]);
    if (r >= 0)
        r = route(router, "2001:db8::", 32, ROUTER_HOP_GATEWAY, 2, router->neighbours6[2]);
    return r;
}

void router_done(struct router *router)
{
    router_fib_freep(&router->fib);
    /* The maps' memory goes with the process: there are a dozen mappings in all. */
    if (router->fast.object)
        pcn_fast_close(&router->fast);
}

/* ---- what is expected ---- */

struct pcn_frame from_host(struct pcn_frame frame)
{
    pcn_frame_set_macs(&frame, port_macs[0], host_macs[0]);
    return frame;
}

struct pcn_frame forwarded(struct pcn_frame frame, uint16_t port, const char *mac)
{
    pcn_frame_set_macs(&frame, mac, port_macs[port]);
    pcn_frame_decrement_ttl(&frame);
    return frame;
}

void check_out(struct router *router, const struct pcn_frame *frame, uint16_t port, const struct pcn_frame *expected,
               const char *file, unsigned int line)
{
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);

    pcn_check_ok(r, line, file, "run");
    pcn_check_int(router->run.verdict, PCN_SINK, line, file, "verdict");
    pcn_check_int(router->run.port, port, line, file, "port");
    pcn_check_bytes(router->run.frame.bytes, router->run.frame.length, expected->bytes, expected->length, line, file);
}

void check_drop(struct router *router, const struct pcn_frame *frame, uint32_t reason, const char *file,
                unsigned int line)
{
    uint64_t before = pcn_fast_drops(&router->fast, reason);
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);

    pcn_check_ok(r, line, file, "run");
    pcn_check_int(router->run.verdict, pcn_fast_dropped(&router->fast), line, file, "verdict");
    pcn_check_int((long long)(pcn_fast_drops(&router->fast, reason) - before), 1, line, file, "drops");
    pcn_check_int((long long)pcn_fast_records(&router->fast), 0, line, file, "records");
}

void check_slow(struct router *router, const struct pcn_frame *frame, uint16_t reason, uint32_t a, uint32_t b,
                uint32_t c, const char *file, unsigned int line)
{
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);
    const struct pcn_packet_record *record = router->fast.records;

    pcn_check_ok(r, line, file, "run");
    if (!pcn_check_int((long long)pcn_fast_records(&router->fast), 1, line, file, "records"))
        return;
    pcn_check_int(record->record.reason, reason, line, file, "reason");
    pcn_check_int(record->record.port, 0, line, file, "port");
    pcn_check_int(record->record.words[0], a, line, file, "words[0]");
    pcn_check_int(record->record.words[1], b, line, file, "words[1]");
    pcn_check_int(record->record.words[2], c, line, file, "words[2]");
    pcn_check_bytes(record->frame.bytes, record->frame.length, frame->bytes, frame->length, line, file);
}

void check_host(struct router *router, const struct pcn_frame *frame, const char *file, unsigned int line)
{
    int r = pcn_fast_run(&router->fast, PCN_INGRESS, 0, frame, &router->run);

    pcn_check_ok(r, line, file, "run");
    pcn_check_int(router->run.verdict, HOST_REDIRECT(router), line, file, "verdict");
    pcn_check_bytes(router->run.frame.bytes, router->run.frame.length, frame->bytes, frame->length, line, file);
}

uint32_t hop_of(const struct router *router, const char *address)
{
    uint8_t version;
    union pcn_address destination = address_of(address, &version);

    return router_fib_lookup(router->fib, version, &destination);
}
