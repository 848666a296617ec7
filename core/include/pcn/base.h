/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The idioms of this code base: ownership as syntax, errors as negative errno.
 */
#pragma once
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCN_EXPORT __attribute__((visibility("default")))
#define PCN_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Runs fn(&variable) when the variable leaves its scope. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(pcn_freep)
#define _cleanup_close_ _cleanup_(pcn_closep)

/* Hands an owned pointer, or descriptor, over; what is left behind owns nothing. */
#define TAKE_PTR(pointer)                                                                                              \
    ({                                                                                                                 \
        typeof(pointer) *taken_ = &(pointer);                                                                          \
        typeof(pointer) value_ = *taken_;                                                                              \
        *taken_ = NULL;                                                                                                \
        value_;                                                                                                        \
    })
#define TAKE_FD(fd)                                                                                                    \
    ({                                                                                                                 \
        int *taken_ = &(fd);                                                                                           \
        int value_ = *taken_;                                                                                          \
        *taken_ = -1;                                                                                                  \
        value_;                                                                                                        \
    })

#define PCN_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define PCN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define PCN_MAX(a, b) ((a) > (b) ? (a) : (b))
#define PCN_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void pcn_freep(void *pointer)
{
    free(*(void **)pointer);
    *(void **)pointer = NULL;
}

static inline void pcn_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static inline bool pcn_streq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}
