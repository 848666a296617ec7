/* SPDX-License-Identifier: Apache-2.0 */
/* GETs a second of one leaf, by wrk, beside a server of the same library that does nothing. */
#include "bench.h"
#include <stdio.h>

#define ROUNDS 5
#define SECONDS 2
#define PORT 9000
#define BARE_PORT "9001"
#define START_MS 5000

static const struct {
    unsigned int connections;
    double limit;
} loads[] = {{1, 15000}, {32, 50000}};

static double rest_wrk(const struct pcn_netns *netns, unsigned int connections, const char *url)
{
    _cleanup_(pcn_output_done) struct pcn_output output = {};
    const char *found;

    if (pcn_netns_run(netns, &output, "wrk -t1 -c%u -d%ds %s", connections, SECONDS, url) != 0)
        return -1;
    found = strstr(output.text, "Requests/sec:");
    if (!found || strstr(output.text, "Non-2xx") || strstr(output.text, "Socket errors")) {
        fprintf(stderr, "bench: wrk: %s\n", output.text);
        return -1;
    }
    return strtod(found + strlen("Requests/sec:"), NULL);
}

static int rest_measure(const struct pcn_netns *netns, unsigned int connections, double limit)
{
    double ours[ROUNDS], bare[ROUNDS];
    char what[80];
    struct bench_row row = {.what = what,
                            .unit = "/s",
                            .measure = "/s",
                            .peer_name = "bare libmicrohttpd",
                            .target = BENCH_AT_LEAST,
                            .limit = limit,
                            .pairs = ROUNDS,
                            .how = "wrk -t1, kept connections, TCP on the loopback"};

    for (size_t i = 0; i < ROUNDS; i++) {
        bare[i] = rest_wrk(netns, connections, "http://127.0.0.1:" BARE_PORT "/");
        ours[i] = rest_wrk(netns, connections, "http://127.0.0.1:9000/polycube/v1/simpleforwarder/leaf/loglevel");
        if (bare[i] < 0 || ours[i] < 0)
            return -EIO;
    }
    (void)snprintf(what, sizeof(what), "GET of one leaf, %u connection%s", connections, connections > 1 ? "s" : "");
    row.peer = bench_figure(bare, ROUNDS);
    row.ours = row.value = bench_figure(ours, ROUNDS);
    bench_print(&row);
    return 0;
}

static bool rest_answers(const struct pcn_netns *netns)
{
    return pcn_netns_run(netns, NULL, "curl -s -o /dev/null http://127.0.0.1:" BARE_PORT "/") == 0;
}

int bench_rest(void)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning", .port = PORT};
    char *const bare[] = {(char *)PCN_BUILD_DIR "/bin/bare_http", (char *)BARE_PORT, NULL};
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    struct pcn_process process;
    int r;

    r = pcn_testd_start(&spec, &daemon);
    if (r < 0)
        return r;
    if (pcn_testd_post(daemon, "{}", "simpleforwarder/leaf") != 201)
        return -EIO;
    r = pcn_spawn(pcn_testd_netns(daemon), &process, bare);
    if (r < 0)
        return r;
    r = PCN_WAIT(START_MS, rest_answers(pcn_testd_netns(daemon))) ? 0 : -ETIMEDOUT;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(loads) && r == 0; i++)
        r = rest_measure(pcn_testd_netns(daemon), loads[i].connections, loads[i].limit);
    (void)pcn_process_stop(&process);
    return r;
}
