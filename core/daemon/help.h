/* SPDX-License-Identifier: Apache-2.0 */
/* OPTIONS of the framework's resources: help and completion for the shell. */
#pragma once
#include <daemon/daemon.h>

void pcn_help_framework(struct pcn_daemon *daemon, const struct pcn_request *request, struct pcn_answer *answer);
/* Help of a service's collection: its cubes, and what a new one takes. Caller frees. */
int pcn_help_service(struct pcn_daemon *daemon, const struct pcn_service *service, const struct pcn_request *request,
                     char **ret_text, struct pcn_error *error);
