/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interactive shell: commands of polycubectl without its name, one a line. On a terminal with editing,
 * completion (Tab) and history; from a pipe or a file it reads lines silently, so that it can be scripted.
 */
#pragma once
#include "run.h"

/*
 * Reads commands from in until its end, `exit` or `quit`. Returns, of a terminal, PCN_CLI_EXIT_DONE; else the exit
 * status of the last command that failed, PCN_CLI_EXIT_DONE where none did. A failed command does not end it.
 */
int pcn_cli_shell(struct pcn_cli_session *session, FILE *in);
