/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User space's view of the clock that the fast path reads as jiffies. The
 * kernel exports neither HZ nor jiffies as such: HZ is taken from the
 * granularity of the coarse clock, the offset between jiffies and the boot
 * clock from the kernel's own boot value, and from a program that reads them.
 */
#include "clock.h"
#include <pcn/cube.h>
#include <time.h>

uint64_t pcn_clock_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t pcn_clock_hz(void)
{
    static uint32_t hz;
    struct timespec step;

    if (!hz) {
        (void)clock_getres(CLOCK_MONOTONIC_COARSE, &step);
        hz = (uint32_t)((1000000000L + step.tv_nsec / 2) / step.tv_nsec);
    }
    return hz;
}

/* jiffies that the kernel is ahead of, or behind, what the clock says: it starts the two at different moments. */
static int64_t offset;

/*
 * jiffies start at INITIAL_JIFFIES, five minutes before a 32-bit wrap
 * (include/linux/jiffies.h), with the monotonic clock at zero, or some tenths of a second away from it.
 */
static uint64_t clock_jiffies(void)
{
    uint64_t initial = (uint32_t)(-300 * (int32_t)pcn_clock_hz());
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return initial + (uint64_t)now.tv_sec * pcn_clock_hz() + (uint64_t)now.tv_nsec * pcn_clock_hz() / 1000000000ULL;
}

void pcn_clock_set_jiffies(uint32_t jiffies)
{
    __atomic_store_n(&offset, (int32_t)(jiffies - (uint32_t)clock_jiffies()), __ATOMIC_RELAXED);
}

uint64_t pcn_clock_jiffies(void)
{
    return clock_jiffies() + (uint64_t)__atomic_load_n(&offset, __ATOMIC_RELAXED);
}
