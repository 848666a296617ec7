/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for by OPTIONS ?help=, and by `?` in the shell. */
#pragma once

enum pcn_help {
    PCN_HELP_NONE,
    PCN_HELP_SHOW,
    PCN_HELP_ADD,
    PCN_HELP_SET,
    PCN_HELP_DEL,
    PCN_HELP_NO_HELP, /* no ?help= was given */
};
