/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML 1.2 to JSON values, and back. JSON is read too, in its relaxed form of YAML's flow style: single quotes,
 * trailing commas.
 *
 * Plain scalars: true, false, null, integers in canonical form; all else is text, "1e5" and 007 included.
 * Anchors, aliases, tags other than !!str and more than one document are refused.
 */
#pragma once
#include "message.h"
#include <jansson.h>
#include <stdio.h>

#define PCN_CLI_YAML_DEPTH_MAX 64

/* -EINVAL: not YAML, with line and column in the message. Text of comments only is null. */
int pcn_cli_yaml_parse(const char *text, size_t length, json_t **ret_value, struct pcn_cli_message *message);

/* Block style; text that would be read as something else is quoted. -ENOMEM, -EIO. */
int pcn_cli_yaml_print(FILE *out, const json_t *value);
