/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `?`: what may come next, from the daemon's answer to OPTIONS:
 * {"commands": [...], "params": {name: {...}}, "optional-params": {...}, "elements": [{...}]}.
 */
#pragma once
#include "args.h"
#include <stdio.h>

/* help: of the daemon. expert: show the verbs that load and unload services. -EINVAL: not an object. -ENOMEM. */
int pcn_cli_help_print(FILE *out, const json_t *help, const struct pcn_cli_command *command, bool expert);
