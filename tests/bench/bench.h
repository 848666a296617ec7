/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the benchmark share: statistics, rows of the table.
 *
 * A row is printed as a line of JSON on standard output; scripts/bench.sh makes
 * the table of them. Everything else goes to standard error.
 */
#pragma once
#include <harness/daemon.h>
#include <harness/suite.h>

struct bench_figure {
    double median;
    double low; /* quartiles: the spread */
    double high;
};

/* n > 0; sorts samples. */
struct bench_figure bench_figure(double *samples, size_t n);
struct bench_figure bench_constant(double value);
/* Of pairs measured side by side: sample by sample. The medians of both go to ret_a and ret_b, if not NULL. */
struct bench_figure bench_difference(const double *a, const double *b, size_t n, double scale);
struct bench_figure bench_ratio(const double *a, const double *b, size_t n);

enum bench_target {
    BENCH_NO_TARGET,
    BENCH_AT_MOST,
    BENCH_AT_LEAST,
};

struct bench_row {
    const char *what;
    const char *unit;         /* of ours and peer */
    struct bench_figure ours; /* median 0: there is none */
    const char *peer_name;    /* NULL: no peer */
    struct bench_figure peer;
    const char *measure; /* what value is: "ns more", "x", "ms"... */
    struct bench_figure value;
    enum bench_target target;
    double limit;
    unsigned int pairs; /* samples of each */
    const char *how;    /* of measuring */
};

void bench_print(const struct bench_row *row);
void bench_skip(const char *what, const char *reason);

double bench_now_ms(void);

/* One request, in ms; negative: it failed, which is told. */
double bench_request(struct pcn_testd *daemon, const char *method, const char *path, const char *body);
/* A row of such times, which are sorted. limit 0: there is none. */
void bench_print_ms(const char *what, double *samples, size_t n, double limit);

/* A row, without a target, that says what the tables measured next to it had of the machine's memory. -ENOMEM. */
int bench_memory(void);

/* ---- groups of rows: 0, or a negative errno when their set-up fails ---- */

int bench_forward(void);
int bench_chain(void);
int bench_router(void);
int bench_routes(void);
int bench_kernel(void);
int bench_firewall(void);
int bench_conntrack(void);
int bench_lbrp(void);
int bench_nat(void);
int bench_lbdsr(void);
int bench_rules(void);
int bench_control(void);
int bench_rest(void);
