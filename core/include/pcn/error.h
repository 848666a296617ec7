/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error as its user will read it: what was wrong, where, what would be right.
 * The tags are those of RFC 8040 section 7; they decide the HTTP status.
 */
#pragma once
#include <pcn/base.h>

enum pcn_error_tag {
    PCN_ERROR_NONE,
    PCN_ERROR_INVALID_VALUE,     /* 400 */
    PCN_ERROR_MISSING_ATTRIBUTE, /* 400: a key or a mandatory leaf */
    PCN_ERROR_MISSING_ELEMENT,   /* 400 */
    PCN_ERROR_BAD_ATTRIBUTE,     /* 400 */
    PCN_ERROR_BAD_ELEMENT,       /* 400 */
    PCN_ERROR_UNKNOWN_ELEMENT,   /* 400: a member the model does not have */
    PCN_ERROR_MALFORMED,         /* 400: malformed-message */
    PCN_ERROR_TOO_BIG,           /* 413 */
    PCN_ERROR_NOT_FOUND,         /* 404: invalid-value, a path that does not exist */
    PCN_ERROR_DATA_EXISTS,       /* 409 */
    PCN_ERROR_DATA_MISSING,      /* 409 */
    PCN_ERROR_IN_USE,            /* 409 */
    PCN_ERROR_RESOURCE_DENIED,   /* 409: a limit, or the kernel, refused */
    PCN_ERROR_NOT_SUPPORTED,     /* 405: operation-not-supported */
    PCN_ERROR_PRECONDITION,      /* 412: operation-failed, If-Match */
    PCN_ERROR_FAILED,            /* 500: operation-failed */
    PCN_ERROR_TAG_MAX,
};

struct pcn_error {
    enum pcn_error_tag tag;
    char path[256];    /* of the node at fault below the cube, "ports/p1/ip"; may be empty */
    char message[512]; /* a sentence: the value, and the accepted form */
};

/*
 * Fills in error, which may be NULL, unless it already holds an error: the
 * first one said is the one that is nearest to the cause.
 * Returns a negative errno that fits tag, so that callers write
 * `return pcn_error_set(...)`: EINVAL, EEXIST, ENOENT, EBUSY, EOPNOTSUPP, E2BIG, EIO.
 */
PCN_EXPORT int pcn_error_set(struct pcn_error *error, enum pcn_error_tag tag, const char *path, const char *format, ...)
    PCN_PRINTF(4, 5);

/* RFC 8040 name of a tag, "invalid-value", and its HTTP status. */
PCN_EXPORT const char *pcn_error_tag_name(enum pcn_error_tag tag);
PCN_EXPORT unsigned int pcn_error_status(enum pcn_error_tag tag);
