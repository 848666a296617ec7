/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with what the user wrote, in one line without a newline.
 */
#pragma once
#include <pcn/base.h>

struct pcn_cli_message {
    char text[512];
};

/* Fills in message, cut to its size, and returns r, so that callers write `return pcn_cli_fail(...)`. */
int pcn_cli_fail(struct pcn_cli_message *message, int r, const char *format, ...) PCN_PRINTF(3, 4);
