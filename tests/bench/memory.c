/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast tables can be that do not fit into the caches of a core alone: what they have of the cache of all cores, and of
 * the memory behind it, is as much as others leave them.
 */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_LINE 64
#define MEMORY_LINES (1u << 17) /* 8 MB */
#define MEMORY_SAMPLES 9

union line {
    union line *next;
    char bytes[MEMORY_LINE];
};

/* One cycle through all lines (Sattolo, 1986): where the next one is, is known to nobody before it is read. */
static void link_at_random(union line *lines)
{
    uint64_t state = 1;

    for (uint32_t i = 0; i < MEMORY_LINES; i++)
        lines[i].next = &lines[i];
    for (uint32_t i = MEMORY_LINES - 1; i > 0; i--) {
        union line *other, *next = lines[i].next;

        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        other = &lines[(state >> 33) % i];
        lines[i].next = other->next;
        other->next = next;
    }
}

static double read_ns(union line **at)
{
    double start = bench_now_ms();

    for (uint32_t i = 0; i < MEMORY_LINES; i++)
        *at = *(union line *volatile *)&(*at)->next;
    return (bench_now_ms() - start) * 1e6 / MEMORY_LINES;
}

int bench_memory(void)
{
    struct bench_row row = {.what = "memory, 8 MB read at random",
                            .unit = "ns",
                            .measure = "ns a read",
                            .pairs = MEMORY_SAMPLES,
                            .how = "each read says where the next one is"};
    union line *lines = aligned_alloc(MEMORY_LINE, sizeof(*lines) * MEMORY_LINES), *at = lines;
    double samples[MEMORY_SAMPLES];

    if (!lines)
        return -ENOMEM;
    link_at_random(lines);
    (void)read_ns(&at);
    for (unsigned int i = 0; i < MEMORY_SAMPLES; i++)
        samples[i] = read_ns(&at);
    free(lines);
    row.ours = row.value = bench_figure(samples, MEMORY_SAMPLES);
    bench_print(&row);
    return 0;
}
