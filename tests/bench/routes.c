/* SPDX-License-Identifier: Apache-2.0 */
#include "routes.h"
#include "lab.h"
#include <stdio.h>

/* ---- the table ---- */

/* splitmix64 of the index: the same table everywhere, without a seed to hand around. */
static uint64_t routes_mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static struct bench_route routes_random(uint64_t index)
{
    uint64_t z = routes_mix(index);
    unsigned int share = (unsigned int)(z >> 40) % 100;
    uint8_t length = 24;

    if (share >= 60)
        length = share < 90 ? (uint8_t)(16 + z % 8) : (uint8_t)(25 + z % 4);
    return (struct bench_route){.network = (uint32_t)(routes_mix(z) & (~UINT32_C(0) << (32 - length))),
                                .length = length};
}

static bool routes_usable(const struct bench_route *route)
{
    uint32_t top = route->network >> 24;

    return top >= 1 && top < 224 && top != 10 && top != 127;
}

struct bench_route *bench_routes_new(size_t n)
{
    size_t buckets = 4, made = 0;
    struct bench_route *routes = calloc(n, sizeof(*routes));
    _cleanup_free_ uint32_t *seen = NULL; /* index + 1, open addressing */

    while (buckets < 2 * n)
        buckets *= 2;
    seen = calloc(buckets, sizeof(*seen));
    if (!routes || !seen) {
        free(routes);
        return NULL;
    }
    for (uint64_t i = 0; made < n; i++) {
        struct bench_route route = routes_random(i);
        size_t slot = routes_mix((uint64_t)route.network << 8 | route.length) & (buckets - 1);

        if (!routes_usable(&route))
            continue;
        while (seen[slot] &&
               (routes[seen[slot] - 1].network != route.network || routes[seen[slot] - 1].length != route.length))
            slot = (slot + 1) & (buckets - 1);
        if (seen[slot])
            continue;
        routes[made] = route;
        seen[slot] = (uint32_t)++made;
    }
    return routes;
}

void bench_route_text(const struct bench_route *route, char text[32])
{
    (void)snprintf(text, 32, "%u.%u.%u.%u/%u", route->network >> 24, route->network >> 16 & 255,
                   route->network >> 8 & 255, route->network & 255, route->length);
}

char *bench_routes_body(const struct bench_route *routes, size_t first, size_t n, unsigned int net)
{
    char *body = NULL, text[32];
    size_t size;
    FILE *stream = open_memstream(&body, &size);

    if (!stream)
        return NULL;
    for (size_t i = first; i < first + n; i++) {
        bench_route_text(&routes[i], text);
        (void)fprintf(stream, "%s{\"network\": \"%s\", \"nexthop\": \"10.2.%u.%zu\"}", i == first ? "[" : ", ", text,
                      net, 2 + i % BENCH_NEXTHOPS);
    }
    (void)fputc(']', stream);
    (void)fclose(stream);
    return body;
}

uint32_t bench_route_address(const struct bench_route *route, uint32_t salt)
{
    return route->network | (uint32_t)(routes_mix(salt) & ~(~UINT32_C(0) << (32 - route->length)));
}

/* ---- what posting them costs ---- */

#define ROUNDS 15
#define ARRAY_ROUTES 10000
#define ARRAY_LIMIT_MS 300
#define ONE_LIMIT_MS 2

static void routes_print(const char *what, double *samples, double limit)
{
    struct bench_row row = {.what = what,
                            .unit = "ms",
                            .measure = "ms",
                            .value = bench_figure(samples, ROUNDS),
                            .target = BENCH_AT_MOST,
                            .limit = limit,
                            .pairs = ROUNDS,
                            .how = "request to answer, unix socket, kept connection"};

    bench_print(&row);
}

static int routes_round(struct pcn_testd *daemon, const struct bench_route *routes, double *ret_array, double *ret_one)
{
    _cleanup_free_ char *array = bench_routes_body(routes, 0, ARRAY_ROUTES, 0);
    _cleanup_free_ char *one = bench_routes_body(routes, ARRAY_ROUTES, 1, 0);
    double start;

    if (!array || !one)
        return -ENOMEM;
    if (pcn_testd_post(
            daemon,
            "{\"type\": \"TC\", \"fib-size\": 131072, \"ports\": [{\"name\": \"out\", \"ip\": \"10.2.0.1/24\"}]}",
            "router/table") != 201)
        return -EIO;
    start = bench_now_ms();
    if (pcn_testd_request(daemon, "POST", "router/table/route/", array, NULL) / 100 != 2)
        return -EIO;
    *ret_array = bench_now_ms() - start;
    start = bench_now_ms();
    if (pcn_testd_post(daemon, one, "router/table/route/") / 100 != 2)
        return -EIO;
    *ret_one = bench_now_ms() - start;
    return pcn_testd_delete(daemon, "router/table") / 100 == 2 ? 0 : -EIO;
}

int bench_routes(void)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    _cleanup_free_ struct bench_route *routes = bench_routes_new(ARRAY_ROUTES + 1);
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    double array[ROUNDS], one[ROUNDS], ignored;
    int r;

    if (!routes)
        return -ENOMEM;
    r = pcn_testd_start(&spec, &daemon);
    if (r == 0)
        r = routes_round(daemon, routes, &ignored, &ignored);
    for (size_t i = 0; i < ROUNDS && r == 0; i++)
        r = routes_round(daemon, routes, &array[i], &one[i]);
    if (r < 0)
        return r;
    routes_print("10,000 routes posted as one array", array, ARRAY_LIMIT_MS);
    routes_print("one more route, beside 10,000", one, ONE_LIMIT_MS);
    return 0;
}
