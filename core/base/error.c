/* SPDX-License-Identifier: Apache-2.0 */
#include <pcn/error.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    unsigned int status;
    int errnum;
} tags[PCN_ERROR_TAG_MAX] = {
    [PCN_ERROR_NONE] = {"operation-failed", 500, EIO},
    [PCN_ERROR_INVALID_VALUE] = {"invalid-value", 400, EINVAL},
    [PCN_ERROR_MISSING_ATTRIBUTE] = {"missing-attribute", 400, EINVAL},
    [PCN_ERROR_MISSING_ELEMENT] = {"missing-element", 400, EINVAL},
    [PCN_ERROR_BAD_ATTRIBUTE] = {"bad-attribute", 400, EINVAL},
    [PCN_ERROR_BAD_ELEMENT] = {"bad-element", 400, EINVAL},
    [PCN_ERROR_UNKNOWN_ELEMENT] = {"unknown-element", 400, EINVAL},
    [PCN_ERROR_MALFORMED] = {"malformed-message", 400, EINVAL},
    [PCN_ERROR_TOO_BIG] = {"too-big", 413, E2BIG},
    [PCN_ERROR_NOT_FOUND] = {"invalid-value", 404, ENOENT},
    [PCN_ERROR_DATA_EXISTS] = {"data-exists", 409, EEXIST},
    [PCN_ERROR_DATA_MISSING] = {"data-missing", 409, ENOENT},
    [PCN_ERROR_IN_USE] = {"in-use", 409, EBUSY},
    [PCN_ERROR_RESOURCE_DENIED] = {"resource-denied", 409, ENOSPC},
    [PCN_ERROR_NOT_SUPPORTED] = {"operation-not-supported", 405, EOPNOTSUPP},
    [PCN_ERROR_PRECONDITION] = {"operation-failed", 412, EINVAL},
    [PCN_ERROR_FAILED] = {"operation-failed", 500, EIO},
};

int pcn_error_set(struct pcn_error *error, enum pcn_error_tag tag, const char *path, const char *format, ...)
{
    va_list args;

    if (!error)
        return -tags[tag].errnum;
    if (error->tag != PCN_ERROR_NONE)
        return -tags[error->tag].errnum;
    error->tag = tag;
    (void)snprintf(error->path, sizeof(error->path), "%s", path);
    va_start(args, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return -tags[tag].errnum;
}

const char *pcn_error_tag_name(enum pcn_error_tag tag)
{
    return tags[tag].name;
}

unsigned int pcn_error_status(enum pcn_error_tag tag)
{
    return tags[tag].status;
}
