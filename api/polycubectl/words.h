/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the interactive shell as words, as a POSIX shell would split it: blanks separate, '...' is literal,
 * "..." knows \" and \\, \ takes the next character as it is, # starts a comment. `< file` and `<<< text` give
 * standard input. Nothing is expanded; what a shell would do with | > & ; is refused unless it is quoted.
 */
#pragma once
#include "args.h"

struct pcn_cli_line {
    char *text;         /* owned; the words point into it */
    const char **words; /* owned */
    int n_words;
    const char *file; /* of `< file`, or NULL */
    const char *here; /* of `<<< text`, or NULL */
    bool in_word;     /* the line ends within a word: what is being typed is its last word */
};

/* partial: a quote need not be closed (completion). -EINVAL, with a message; -ENOMEM. */
int pcn_cli_line_split(const char *text, bool partial, struct pcn_cli_line *ret_line, struct pcn_cli_message *message);
void pcn_cli_line_done(struct pcn_cli_line *line); /* for _cleanup_ */
