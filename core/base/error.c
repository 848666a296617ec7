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

/* Length of the UTF-8 sequence at text; 0: it is none, or cut short. */
static size_t sequence(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    size_t length = *byte < 0x80 ? 1 : *byte < 0xc2 ? 0 : *byte < 0xe0 ? 2 : *byte < 0xf0 ? 3 : *byte < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
    }
    /* Overlong forms, surrogates, beyond Unicode. */
    if ((*byte == 0xe0 && byte[1] < 0xa0) || (*byte == 0xed && byte[1] > 0x9f) || (*byte == 0xf0 && byte[1] < 0x90) ||
        (*byte == 0xf4 && byte[1] > 0x8f))
        return 0;
    return length;
}

/* Values are quoted up to a limit in bytes, in the middle of a character: JSON would not take it. */
static void mend(char *text)
{
    while (*text) {
        size_t length = sequence(text);

        if (!length)
            *text = '?';
        text += length ? length : 1;
    }
}

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
    mend(error->path);
    mend(error->message);
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
