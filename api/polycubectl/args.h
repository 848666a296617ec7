/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of the command line, as a pure function of its words.
 *
 *   polycubectl [path...] [verb] [path...] [name=value...] [flags] [-]
 *
 * verb: add, del, show or set, at most one, anywhere in front of the first name=value. None: an action.
 * "--" makes path words of all words after it, whatever they look like.
 */
#pragma once
#include "message.h"
#include <jansson.h>
#include <pcn/base.h>

#define PCN_CLI_WORDS_MAX 512      /* of a command line */
#define PCN_CLI_WORD_LENGTH 65536u /* bytes of a word */
#define PCN_CLI_PATH_MAX 32        /* path words: as many segments as the daemon takes */
#define PCN_CLI_PAGE_OPTIONS 3     /* which entries of a list are shown */

enum pcn_cli_verb {
    PCN_CLI_ACTION,
    PCN_CLI_ADD,
    PCN_CLI_DEL,
    PCN_CLI_SHOW,
    PCN_CLI_SET,
    PCN_CLI_VERB_MAX,
};

enum pcn_cli_kind {
    PCN_CLI_REQUEST,
    PCN_CLI_BARE,     /* no words: the shell on a terminal, else help of the root */
    PCN_CLI_HELP,     /* ? : help for what may come next */
    PCN_CLI_USAGE,    /* --help alone */
    PCN_CLI_SHELL,    /* shell */
    PCN_CLI_VERSION,  /* version: ours, then the daemon's */
    PCN_CLI_COMPLETE, /* --complete: candidates for the last word */
};

enum pcn_cli_format {
    PCN_CLI_NORMAL,
    PCN_CLI_BRIEF,
    PCN_CLI_VERBOSE,
    PCN_CLI_JSON,
    PCN_CLI_YAML,
};

/* What standard input is to be read for. */
enum pcn_cli_input {
    PCN_CLI_INPUT_NONE,
    PCN_CLI_INPUT_OFFERED,  /* read it if something is there: a file, a pipe with data */
    PCN_CLI_INPUT_EXPECTED, /* the last word is `name=` of an action: wait a while for a pipe's first byte */
    PCN_CLI_INPUT_REQUIRED, /* "-": wait for it */
};

struct pcn_cli_command {
    enum pcn_cli_kind kind;
    enum pcn_cli_verb verb;
    const char *method;           /* "GET"; static */
    char *path[PCN_CLI_PATH_MAX]; /* owned; decoded words */
    size_t n_path;
    json_t *body;       /* owned; NULL: none on the command line */
    char *input_member; /* owned; the one `name=` that standard input may fill; or NULL */
    enum pcn_cli_input input;
    enum pcn_cli_format format;
    char *hide;                       /* owned; "ports.uuid,route" or NULL */
    char *page[PCN_CLI_PAGE_OPTIONS]; /* owned; -offset, -limit, -filter, or NULL */
    char *url;                        /* owned; --url, or NULL */
    char *instance;                   /* owned; --instance, or NULL */
    int rest;                         /* COMPLETE: index of the first word to complete after */
};

/*
 * words are those after the program's name. single_parameter: `set` of one name=value is a PATCH of the leaf
 * itself. -EINVAL, with a message: not of the grammar. -ENOMEM.
 */
int pcn_cli_parse(int n_words, const char *const *words, bool single_parameter, struct pcn_cli_command *ret_command,
                  struct pcn_cli_message *message);
void pcn_cli_command_done(struct pcn_cli_command *command); /* for _cleanup_ */

/* What follows the base URL: "router/r1/ports/p1/" and "?help=ADD" for HELP. completion: "&completion". Caller frees. */
char *pcn_cli_command_url(const struct pcn_cli_command *command, bool completion);

/* Name of a verb, "add"; "" for an action. */
const char *pcn_cli_verb_name(enum pcn_cli_verb verb);
/* The verb that a word is; PCN_CLI_ACTION: none. */
enum pcn_cli_verb pcn_cli_verb_find(const char *word);
