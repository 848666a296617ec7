/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the daemon, over one connection that is kept between them.
 */
#pragma once
#include "config.h"
#include <signal.h>

#define PCN_CLI_ANSWER_LENGTH ((size_t)256 << 20) /* bytes */

struct pcn_cli_client;

struct pcn_cli_answer {
    long status; /* of HTTP */
    char *body;  /* owned, NUL-terminated; may be empty */
    size_t length;
};

/* Of config, whose strings have to outlive it. -EINVAL: the URL is not one. */
int pcn_cli_client_new(const struct pcn_cli_config *config, struct pcn_cli_client **ret_client,
                       struct pcn_cli_message *message);
void pcn_cli_client_freep(struct pcn_cli_client **client);
const char *pcn_cli_client_base(const struct pcn_cli_client *client);

/*
 * url: below the base. body: JSON text or NULL. A redirect (308) is followed with the same method and body.
 * timeout: in seconds. interrupted: gives up, with -EINTR, when it becomes set; may be NULL.
 * -EIO, with a message: there was no answer. An answer of any status is a success.
 */
int pcn_cli_client_request(struct pcn_cli_client *client, const char *method, const char *url, const char *body,
                           unsigned int timeout, const volatile sig_atomic_t *interrupted,
                           struct pcn_cli_answer *ret_answer, struct pcn_cli_message *message);
void pcn_cli_answer_done(struct pcn_cli_answer *answer); /* for _cleanup_ */

/*
 * Sentences of an errors body, each as a line after "Error: "; of a body of another kind, the text; of none, the
 * status. Caller frees.
 */
char *pcn_cli_answer_errors(const struct pcn_cli_answer *answer);
