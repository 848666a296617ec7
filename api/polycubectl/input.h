/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input as the body of a request.
 *
 * A pipe that nobody writes to must not stop a command: it is only read when something is there. A file that
 * somebody reads already (the loop in `while read ...; do polycubectl ...; done < file`) is left alone.
 */
#pragma once
#include "args.h"

#define PCN_CLI_INPUT_LENGTH (64u << 20) /* bytes */
#define PCN_CLI_OFFERED_MS 100
#define PCN_CLI_EXPECTED_MS 5000

/*
 * Text of fd, NUL-terminated, or NULL where nothing is there to be read. Caller frees.
 * -E2BIG: over PCN_CLI_INPUT_LENGTH. -EINVAL: input is required and there is none, or it has a NUL byte.
 */
int pcn_cli_input_read(int fd, enum pcn_cli_input input, char **ret_text, size_t *ret_length,
                       struct pcn_cli_message *message);
