/* SPDX-License-Identifier: Apache-2.0 */
/* usage: bench [GROUP...]: prints rows, see bench.h. Needs root. */
#include "bench.h"
#include <math.h>
#include <stdio.h>
#include <time.h>

static int figure_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double figure_quantile(const double *sorted, size_t n, double q)
{
    double place = q * (double)(n - 1);
    size_t below = (size_t)place;

    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct bench_figure bench_figure(double *samples, size_t n)
{
    qsort(samples, n, sizeof(*samples), figure_compare);
    return (struct bench_figure){.median = figure_quantile(samples, n, 0.5),
                                 .low = figure_quantile(samples, n, 0.25),
                                 .high = figure_quantile(samples, n, 0.75)};
}

struct bench_figure bench_constant(double value)
{
    return (struct bench_figure){value, value, value};
}

struct bench_figure bench_difference(const double *a, const double *b, size_t n, double scale)
{
    double differences[n];

    for (size_t i = 0; i < n; i++)
        differences[i] = (a[i] - b[i]) * scale;
    return bench_figure(differences, n);
}

struct bench_figure bench_ratio(const double *a, const double *b, size_t n)
{
    double ratios[n];

    for (size_t i = 0; i < n; i++)
        ratios[i] = a[i] / b[i];
    return bench_figure(ratios, n);
}

double bench_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- rows ---- */

static json_t *row_figure(const struct bench_figure *figure)
{
    return json_pack("{s:f, s:f, s:f}", "median", figure->median, "low", figure->low, "high", figure->high);
}

static void row_dump(json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)fputc('\n', stdout);
    (void)fflush(stdout);
    json_decref(json);
}

void bench_print(const struct bench_row *row)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:o}", "what", row->what, "unit", row->unit, "measure", row->measure,
                  "how", row->how ?: "", "samples", (int)row->pairs, "value", row_figure(&row->value));
    bool pass = row->target == BENCH_AT_LEAST ? row->value.median >= row->limit : row->value.median <= row->limit;

    if (row->ours.median > 0)
        json_object_set_new(json, "ours", row_figure(&row->ours));
    if (row->peer_name) {
        json_object_set_new(json, "peer_name", json_string(row->peer_name));
        json_object_set_new(json, "peer", row_figure(&row->peer));
    }
    if (row->target != BENCH_NO_TARGET) {
        json_object_set_new(
            json, "target",
            json_pack("{s:s, s:f}", "is", row->target == BENCH_AT_LEAST ? ">=" : "<=", "limit", row->limit));
        json_object_set_new(json, "pass", json_boolean(pass));
    }
    row_dump(json);
}

void bench_skip(const char *what, const char *reason)
{
    row_dump(json_pack("{s:s, s:s}", "what", what, "skipped", reason));
}

/* ---- requests ---- */

double bench_request(struct pcn_testd *daemon, const char *method, const char *path, const char *body)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    double start = bench_now_ms();
    int status = pcn_testd_request(daemon, method, path, body, &reply);
    double spent = bench_now_ms() - start;

    if (status / 100 == 2)
        return spent;
    fprintf(stderr, "bench: %s %s %.200s: %d %s\n", method, path, body ?: "", status, reply.text ?: "");
    return -1;
}

void bench_print_ms(const char *what, double *samples, size_t n, double limit)
{
    struct bench_row row = {.what = what,
                            .unit = "ms",
                            .measure = "ms",
                            .value = bench_figure(samples, n),
                            .target = limit > 0 ? BENCH_AT_MOST : BENCH_NO_TARGET,
                            .limit = limit,
                            .pairs = (unsigned int)n,
                            .how = "request to answer, unix socket, kept connection"};

    bench_print(&row);
}

/* ---- groups ---- */

static const struct {
    const char *name;
    int (*run)(void);
} groups[] = {
    {"forward", bench_forward},   {"chain", bench_chain},         {"router", bench_router},   {"kernel", bench_kernel},
    {"firewall", bench_firewall}, {"conntrack", bench_conntrack}, {"nat", bench_nat},         {"lbdsr", bench_lbdsr},
    {"lbrp", bench_lbrp},         {"rules", bench_rules},         {"control", bench_control}, {"routes", bench_routes},
    {"rest", bench_rest},
};

static bool group_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (pcn_streq(argv[i], name))
            return true;
    }
    return argc <= 1;
}

int main(int argc, char **argv)
{
    int status = EXIT_SUCCESS, r;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(groups); i++) {
        if (!group_wanted(groups[i].name, argc, argv))
            continue;
        r = groups[i].run();
        if (r < 0) {
            fprintf(stderr, "bench: %s: %s\n", groups[i].name, strerror(-r));
            status = EXIT_FAILURE;
        }
    }
    return status;
}
