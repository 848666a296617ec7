/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"
#include <stdarg.h>
#include <stdio.h>

int pcn_cli_fail(struct pcn_cli_message *message, int r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message->text, sizeof(message->text), format, args);
    va_end(args);
    return r;
}
