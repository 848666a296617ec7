/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a command line as JSON values and as parts of a URL.
 *
 * Only what cannot be meant otherwise becomes a number or a boolean: an integer in its canonical form,
 * "true" and "false". All else stays text (a MAC, "1e5", "0x10", "007", "T"): the daemon knows the
 * leaf's type and converts, in both directions.
 */
#pragma once
#include <jansson.h>
#include <pcn/base.h>

/* Whether text is "0" or an optional '-' and digits without leading zeros, that fits 64 bits with sign. */
bool pcn_cli_integer(const char *text, json_int_t *ret_value);

/* NULL: out of memory, or text is not UTF-8. */
json_t *pcn_cli_value(const char *text);

/*
 * Sets the member that a dotted name ("fdb.aging-time") means, making the objects on the way. Takes value over, also
 * on failure. -EINVAL: an empty part; -EEXIST: given already; -E2BIG: more than PCN_CLI_DOTS_MAX parts.
 */
#define PCN_CLI_DOTS_MAX 16
int pcn_cli_object_set(json_t *object, const char *name, json_t *value);

/* Text as one segment of a path, percent-encoded. '+' too: some servers take it for a blank. Caller frees. */
char *pcn_cli_escape(const char *text);
