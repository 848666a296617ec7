/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one command: request, answer, output, exit status.
 */
#pragma once
#include "args.h"
#include "request.h"
#include <stdio.h>

enum pcn_cli_exit {
    PCN_CLI_EXIT_DONE = 0,
    PCN_CLI_EXIT_NO_ANSWER = 1, /* the daemon cannot be reached, or a local failure */
    PCN_CLI_EXIT_REFUSED = 2,   /* the daemon answered with an error */
    PCN_CLI_EXIT_SYNTAX = 3,    /* the command line, or the text on standard input, is not understood */
};

struct pcn_cli_session {
    const struct pcn_cli_config *config;
    struct pcn_cli_client *client;
    FILE *out, *err;
    bool terminal;                            /* out is one: errors are not repeated there as they came */
    const volatile sig_atomic_t *interrupted; /* or NULL */
};

/* The daemon's answer has this long to come; longer than any single request takes. Seconds. */
#define PCN_CLI_TIMEOUT 300u

/*
 * Parses the words after the program's name and runs them. input: descriptor of what is standard input to the
 * command, -1: none. Not for kinds SHELL and COMPLETE, which are refused as a syntax error. Returns enum pcn_cli_exit.
 */
int pcn_cli_run_words(struct pcn_cli_session *session, int n_words, const char *const *words, int input);
/* The same for a command already parsed. */
int pcn_cli_run(struct pcn_cli_session *session, const struct pcn_cli_command *command, int input);

/* Appends a command line and its result to the log, where there is one. */
void pcn_cli_log(const struct pcn_cli_config *config, int n_words, const char *const *words, int result);

void pcn_cli_usage(FILE *out);
