/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#define LINE_LENGTH ((size_t)1 << 20)

struct splitter {
    const char *at;
    char *end; /* of what was written so far */
    bool partial;
    struct pcn_cli_message *message;
};

/* Copies one word from at to end, NUL-terminated. */
static int splitter_word(struct splitter *splitter)
{
    char quote = '\0';

    for (; *splitter->at; splitter->at++) {
        char c = *splitter->at;

        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? '\0' : c;
            continue;
        }
        if (!quote && strchr(" \t\r\n", c))
            break;
        if (!quote && strchr("|>&;", c))
            return pcn_cli_fail(splitter->message, -EINVAL, "%c has no meaning here: quote it", c);
        if (c == '\\' && quote != '\'') {
            if (!splitter->at[1])
                break;
            if (!quote || strchr("\"\\", splitter->at[1]))
                c = *++splitter->at;
        }
        *splitter->end++ = c;
    }
    if (*splitter->at == '\\')
        splitter->at++;
    if (quote && !splitter->partial)
        return pcn_cli_fail(splitter->message, -EINVAL, "%c is not closed", quote);
    *splitter->end++ = '\0';
    return 0;
}

/* Takes `<` or `<<<` and the word after it. Returns where that word is kept. */
static int splitter_redirect(struct splitter *splitter, struct pcn_cli_line *line, const char **ret_word)
{
    bool here = strncmp(splitter->at, "<<<", 3) == 0;
    const char **target = here ? &line->here : &line->file;

    splitter->at += here ? 3 : 1;
    splitter->at += strspn(splitter->at, " \t");
    if (!*splitter->at || strchr("<\r\n", *splitter->at))
        return pcn_cli_fail(splitter->message, -EINVAL, "a word is missing after <");
    if (line->file || line->here)
        return pcn_cli_fail(splitter->message, -EINVAL, "two redirections of the input");
    *target = splitter->end;
    *ret_word = splitter->end;
    return splitter_word(splitter);
}

int pcn_cli_line_split(const char *text, bool partial, struct pcn_cli_line *ret_line, struct pcn_cli_message *message)
{
    _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {};
    struct splitter splitter = {.at = text, .partial = partial, .message = message};
    size_t length = strlen(text);
    const char *redirected;
    int r;

    if (length > LINE_LENGTH)
        return pcn_cli_fail(message, -EINVAL, "a line has at most %zu bytes", LINE_LENGTH);
    /* Each word takes its text and a NUL, and there is a separator or an end for each. */
    line.text = malloc(length + 2);
    line.words = calloc(PCN_CLI_WORDS_MAX, sizeof(*line.words));
    if (!line.text || !line.words)
        return pcn_cli_fail(message, -ENOMEM, "out of memory");
    splitter.end = line.text;
    for (;;) {
        splitter.at += strspn(splitter.at, " \t\r\n");
        if (!*splitter.at || *splitter.at == '#')
            break;
        if (*splitter.at == '<') {
            r = splitter_redirect(&splitter, &line, &redirected);
        } else if (line.n_words == PCN_CLI_WORDS_MAX) {
            r = pcn_cli_fail(message, -EINVAL, "a command has at most %d words", PCN_CLI_WORDS_MAX);
        } else {
            line.words[line.n_words++] = splitter.end;
            r = splitter_word(&splitter);
        }
        if (r < 0)
            return r;
        line.in_word = !*splitter.at;
    }
    *ret_line = line;
    line = (struct pcn_cli_line){};
    return 0;
}

void pcn_cli_line_done(struct pcn_cli_line *line)
{
    free(line->text);
    free(line->words);
    *line = (struct pcn_cli_line){};
}
