/* SPDX-License-Identifier: Apache-2.0 */
#include "quiet.h"
#include <bpf/bpf.h>
#include <time.h>

#define QUIET_LOOPS 20000u /* some 20 us */
#define QUIET_TRIALS 500u  /* of which the best is what the processor can do */
#define QUIET_MARGIN 1.04
#define QUIET_PATIENCE_S 20.0 /* and as long as was measured already: then what is disturbed counts, too */

static double quiet_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double quiet_wall_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* As many instructions a cycle as processors of today begin: who shares the core takes some of them. */
static double quiet_loop(void)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;
    double start = quiet_cpu_ns();

    for (unsigned int i = 0; i < QUIET_LOOPS; i++) {
#if defined(__x86_64__)
        asm volatile(".rept 3\n add $1, %0\n add $1, %1\n add $1, %2\n add $1, %3\n nop\n nop\n .endr"
                     : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
#else
        asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
#endif
    }
    return quiet_cpu_ns() - start;
}

/* The processor now does what it does at its best. */
static bool quiet_is(void)
{
    static double best;
    double now;

    for (unsigned int i = 0; best == 0 || (i > 0 && i < QUIET_TRIALS); i++) {
        now = quiet_loop();
        best = best == 0 ? now : PCN_MIN(best, now);
    }
    now = quiet_loop();
    best = PCN_MIN(best, now);
    return now <= best * QUIET_MARGIN;
}

/* Waits until it does, as long as there is patience left. */
static bool quiet_wait(double *patience_s)
{
    double start = quiet_wall_s();
    bool is = quiet_is();

    while (!is && quiet_wall_s() - start < *patience_s)
        is = quiet_is();
    *patience_s -= quiet_wall_s() - start;
    return is;
}

int bench_quiet_run(int program, struct bpf_test_run_opts *options, unsigned int n, unsigned int slice, double *ret_ns)
{
    static double patience_s = QUIET_PATIENCE_S;
    double all = 0, quiet = 0, start, ns;
    unsigned int n_quiet = 0;
    bool before;
    int r;

    for (unsigned int done = 0; done < n; done += (unsigned int)options->repeat) {
        options->repeat = (int)PCN_MIN(slice, n - done);
        before = quiet_wait(&patience_s);
        start = quiet_cpu_ns();
        r = bpf_prog_test_run_opts(program, options);
        if (r < 0)
            return r;
        ns = quiet_cpu_ns() - start;
        all += ns;
        patience_s += ns * 1e-9;
        if (before && quiet_is()) {
            quiet += ns;
            n_quiet += (unsigned int)options->repeat;
        }
    }
    *ret_ns = n_quiet ? quiet / n_quiet : all / n;
    return 0;
}
