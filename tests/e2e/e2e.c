/* SPDX-License-Identifier: Apache-2.0 */
#include "e2e.h"
#include <stdio.h>

/* What the kernel sends by itself would be counted too. */
#define QUIET "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"

const char *const e2e_types[3] = {"TC", "XDP_SKB", "XDP_DRV"};

static int e2e_host(struct e2e *e2e, size_t n)
{
    char port[IFNAMSIZ], label[16];
    struct pcn_host_spec spec = {
        .label = label, .inside = pcn_testd_netns(e2e->daemon), .port = port, .xdp = true, .addresses = {NULL}};
    int r;

    snprintf(port, sizeof(port), "v%zu", n);
    snprintf(label, sizeof(label), "host%zu", n);
    r = pcn_host_new(&spec, &e2e->hosts[n]);
    if (r == 0)
        r = pcn_netns_must(e2e->hosts[n], QUIET);
    if (r == 0)
        r = pcn_wire_open(e2e->hosts[n], "eth0", &e2e->wires[n]);
    return r;
}

int e2e_open(struct e2e *e2e, size_t n_hosts)
{
    int r = 0;

    for (size_t i = 0; i < E2E_HOSTS; i++)
        e2e->wires[i].fd = -1;
    r = pcn_testd_start(NULL, &e2e->daemon);
    if (r == 0)
        r = pcn_netns_must(pcn_testd_netns(e2e->daemon), QUIET);
    e2e->n_hosts = n_hosts;
    for (size_t i = 0; i < n_hosts && r == 0; i++)
        r = e2e_host(e2e, i);
    if (r < 0)
        fprintf(stderr, "cannot set up: %s\n", strerror(-r));
    return r;
}

int e2e_close(struct e2e *e2e)
{
    int r = pcn_testd_stop(&e2e->daemon);

    if (r < 0)
        printf("    the daemon left something behind: %s\n", strerror(-r));
    for (size_t i = 0; i < e2e->n_hosts; i++) {
        pcn_wire_close(&e2e->wires[i]);
        pcn_netns_freep(&e2e->hosts[i]);
    }
    return r;
}

int e2e_ask(struct e2e *e2e, const char *method, const char *path, const char *body, const char *part)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    int r = pcn_testd_request(e2e->daemon, method, path, body, &reply);

    if (part)
        PCN_CHECK_HAS(reply.text ?: "", part);
    return r;
}

int e2e_clear(struct e2e *e2e)
{
    json_t *all = pcn_testd_get(e2e->daemon, "cubes"), *list, *cube;
    const char *service;
    size_t i;
    int r = all ? 0 : -EIO;

    json_object_foreach (all, service, list) {
        json_array_foreach (list, i, cube) {
            if (pcn_testd_delete(e2e->daemon, "%s/%s", service, pcn_json_text(cube, "name")) != 204)
                r = -EIO;
        }
    }
    json_decref(all);
    for (i = 0; i < e2e->n_hosts; i++)
        pcn_wire_drain(&e2e->wires[i]);
    return r;
}

struct pcn_frame e2e_broadcast(uint32_t number)
{
    struct pcn_frame_spec spec = {.source = "10.0.0.1",
                                  .destination = "10.0.0.255",
                                  .destination_mac = "ff:ff:ff:ff:ff:ff",
                                  .protocol = IPPROTO_UDP,
                                  .source_port = 1000,
                                  .destination_port = 2000,
                                  .payload = &number,
                                  .payload_length = sizeof(number),
                                  .pad_to = 64};

    return pcn_frame_make(&spec);
}
