/* SPDX-License-Identifier: Apache-2.0 */
#include "shell.h"
#include "complete.h"
#include "words.h"
#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <wchar.h>

#define HISTORY_LINES 1000
#define LISTED_MAX 200 /* candidates that Tab lists */

static volatile sig_atomic_t shell_interrupted, shell_resized;

struct shell {
    struct pcn_cli_session *session;
    FILE *in;
    EditLine *edit;
    History *history;
    char *history_file; /* NULL: not kept */
    bool leave;
    sigset_t unblocked; /* while waiting for a key */
};

static void shell_signal(int signal)
{
    if (signal == SIGINT)
        shell_interrupted = 1;
    else
        shell_resized = 1;
}

/* A descriptor from which the text of `<<< text` can be read as from a file. */
static int shell_here(const char *text)
{
    _cleanup_close_ int fd = memfd_create("here", MFD_CLOEXEC);
    size_t length = strlen(text);

    if (fd < 0 || write(fd, text, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int shell_run(struct shell *shell, const struct pcn_cli_line *line)
{
    _cleanup_close_ int input = -1;
    int result;

    if (line->file || line->here) {
        input = line->file ? open(line->file, O_RDONLY | O_CLOEXEC) : shell_here(line->here);
        if (input < 0) {
            (void)fprintf(shell->session->err, "Error: cannot read %s: %m\n", line->file ? line->file : "the text");
            return PCN_CLI_EXIT_NO_ANSWER;
        }
    }
    result = pcn_cli_run_words(shell->session, line->n_words, line->words, input);
    pcn_cli_log(shell->session->config, line->n_words, line->words, result);
    return result;
}

/* Runs one line. Comments and empty lines are done well. */
static int shell_line(struct shell *shell, const char *text)
{
    _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {};
    struct pcn_cli_message message = {};
    int first = 0;

    if (pcn_cli_line_split(text, false, &line, &message) < 0) {
        (void)fprintf(shell->session->err, "Syntax error: %s\n", message.text);
        return PCN_CLI_EXIT_SYNTAX;
    }
    if (line.n_words && pcn_streq(line.words[0], "polycubectl"))
        first = 1;
    if (line.n_words == first)
        return PCN_CLI_EXIT_DONE;
    if (line.n_words == first + 1) {
        const char *word = line.words[first];

        if (pcn_streq(word, "exit") || pcn_streq(word, "quit")) {
            shell->leave = true;
            return PCN_CLI_EXIT_DONE;
        }
        if (pcn_streq(word, "help")) {
            pcn_cli_usage(shell->session->out);
            return PCN_CLI_EXIT_DONE;
        }
    }
    line.n_words -= first;
    memmove(line.words, line.words + first, (size_t)line.n_words * sizeof(*line.words));
    return shell_run(shell, &line);
}

/* ---- on a terminal ---- */

static char *shell_prompt(EditLine *edit)
{
    static char prompt[] = "polycube> ";

    return prompt;
}

/*
 * The next character. Signals are let in only while it is waited for: one that comes between the look at its flag and
 * a read() would else not be seen before the next key. -1 with EINTR: Ctrl-C.
 */
static int shell_key(EditLine *edit, wchar_t *ret_key)
{
    mbstate_t state = {};
    struct shell *shell = NULL;

    if (el_get(edit, EL_CLIENTDATA, &shell) < 0 || !shell)
        return -1;
    for (;;) {
        struct pollfd poller = {.fd = fileno(shell->in), .events = POLLIN};
        size_t length;
        char byte;

        if (ppoll(&poller, 1, NULL, &shell->unblocked) < 0) {
            if (errno != EINTR || shell_interrupted)
                return -1;
            if (shell_resized)
                el_resize(edit);
            shell_resized = 0;
            continue;
        }
        if (read(poller.fd, &byte, 1) != 1)
            return 0;
        length = mbrtowc(ret_key, &byte, 1, &state);
        if (length <= 1)
            return 1;
        if (length == (size_t)-1)
            state = (mbstate_t){};
    }
}

static void shell_list(struct shell *shell, const json_t *candidates)
{
    size_t width = 0, column = 0, i;
    json_t *candidate;

    json_array_foreach ((json_t *)candidates, i, candidate)
        width = PCN_MAX(width, json_string_length(candidate) + 2);
    (void)fputc('\n', shell->session->out);
    json_array_foreach ((json_t *)candidates, i, candidate) {
        if (i == LISTED_MAX) {
            (void)fprintf(shell->session->out, "%sand %zu more", column ? "\n" : "",
                          json_array_size(candidates) - LISTED_MAX);
            break;
        }
        if (column && column + width > 80) {
            (void)fputc('\n', shell->session->out);
            column = 0;
        }
        (void)fprintf(shell->session->out, "%-*s", (int)width, json_string_value(candidate));
        column += width;
    }
    (void)fputc('\n', shell->session->out);
    (void)fflush(shell->session->out);
}

/* Inserts what all candidates have beyond what is typed; lists them where that is nothing. */
static unsigned char shell_offer(struct shell *shell, const json_t *candidates, const char *typed)
{
    const char *first = json_string_value(json_array_get(candidates, 0));
    size_t common = pcn_cli_complete_common(candidates), length = strlen(typed);
    _cleanup_free_ char *insert = NULL;
    bool only = json_array_size(candidates) == 1;

    if (!first)
        return CC_ERROR;
    if (common <= length && !only) {
        shell_list(shell, candidates);
        return CC_REDISPLAY;
    }
    if (asprintf(&insert, "%.*s%s", (int)(common - length), first + length,
                 only && first[common - 1] != '=' ? " " : "") < 0)
        return CC_ERROR;
    if (*insert && el_insertstr(shell->edit, insert) < 0)
        return CC_ERROR;
    return CC_REFRESH;
}

static unsigned char shell_tab(EditLine *edit, int key)
{
    _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {};
    _cleanup_free_ char *text = NULL;
    struct pcn_cli_message message;
    const LineInfo *info = el_line(edit);
    struct shell *shell = NULL;
    json_t *candidates = NULL;
    unsigned char result;

    if (el_get(edit, EL_CLIENTDATA, &shell) < 0 || !shell)
        return CC_ERROR;
    text = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    if (!text || pcn_cli_line_split(text, true, &line, &message) < 0 || line.file || line.here)
        return CC_ERROR;
    if (!line.in_word && line.n_words < PCN_CLI_WORDS_MAX)
        line.words[line.n_words++] = "";
    if (pcn_cli_complete(shell->session, line.n_words, line.words, &candidates) < 0)
        return CC_ERROR;
    result = shell_offer(shell, candidates, line.words[line.n_words - 1]);
    json_decref(candidates);
    return result;
}

static char *history_path(void)
{
    const char *directory = getenv("XDG_STATE_HOME"), *middle = "";
    char *path = NULL;

    if (!directory || *directory != '/') {
        directory = getenv("HOME");
        middle = "/.local/state";
    }
    if (!directory || *directory != '/')
        return NULL;
    return asprintf(&path, "%s%s/polycubectl_history", directory, middle) < 0 ? NULL : path;
}

static void history_make_directory(const char *path)
{
    _cleanup_free_ char *directory = strdup(path);

    if (!directory)
        return;
    for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(directory, 0700);
        *slash = '/';
    }
}

static int terminal_open(struct shell *shell)
{
    struct sigaction action = {.sa_handler = shell_signal};
    HistEvent event;

    shell->edit = el_init("polycubectl", shell->in, shell->session->out, shell->session->err);
    shell->history = history_init();
    if (!shell->edit || !shell->history)
        return -ENOMEM;
    (void)history(shell->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(shell->history, &event, H_SETUNIQUE, 1);
    shell->history_file = history_path();
    if (shell->history_file)
        (void)history(shell->history, &event, H_LOAD, shell->history_file);
    (void)el_set(shell->edit, EL_CLIENTDATA, shell);
    (void)el_set(shell->edit, EL_PROMPT, shell_prompt);
    (void)el_set(shell->edit, EL_EDITOR, "emacs");
    (void)el_set(shell->edit, EL_HIST, history, shell->history);
    /* The narrow form copies the names and never frees them. */
    (void)el_wset(shell->edit, EL_ADDFN, L"pcn-complete", L"Complete the word", shell_tab);
    (void)el_set(shell->edit, EL_BIND, "^I", "pcn-complete", NULL);
    (void)el_set(shell->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(shell->edit, NULL);
    (void)el_wset(shell->edit, EL_GETCFN, shell_key);
    /* Ctrl-C drops the line, or the request that runs, not the shell. */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGWINCH, &action, NULL);
    (void)sigprocmask(SIG_SETMASK, NULL, &shell->unblocked);
    shell->session->interrupted = &shell_interrupted;
    return 0;
}

static void terminal_close(struct shell *shell)
{
    HistEvent event;

    if (shell->history && shell->history_file) {
        history_make_directory(shell->history_file);
        (void)history(shell->history, &event, H_SAVE, shell->history_file);
    }
    if (shell->history)
        history_end(shell->history);
    if (shell->edit)
        el_end(shell->edit);
    free(shell->history_file);
    shell->session->interrupted = NULL;
}

static void terminal_loop(struct shell *shell)
{
    sigset_t blocked = shell->unblocked;

    (void)sigaddset(&blocked, SIGINT);
    (void)sigaddset(&blocked, SIGWINCH);
    while (!shell->leave) {
        HistEvent event;
        const char *text;
        int length = 0;

        (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
        shell_interrupted = 0;
        text = el_gets(shell->edit, &length);
        (void)sigprocmask(SIG_SETMASK, &shell->unblocked, NULL);
        if (!text || length <= 0) {
            (void)fputc('\n', shell->session->out);
            if (!shell_interrupted)
                return;
            el_reset(shell->edit);
            continue;
        }
        if (text[strspn(text, " \t\r\n")])
            (void)history(shell->history, &event, H_ENTER, text);
        shell_interrupted = 0;
        (void)shell_line(shell, text);
        (void)fflush(shell->session->out);
    }
}

/* ---- from a pipe or a file ---- */

static int pipe_loop(struct shell *shell)
{
    _cleanup_free_ char *text = NULL;
    int result = PCN_CLI_EXIT_DONE;
    size_t room = 0, number = 0;

    while (!shell->leave && getline(&text, &room, shell->in) >= 0) {
        int line_result = shell_line(shell, text);

        number++;
        (void)fflush(shell->session->out);
        if (line_result == PCN_CLI_EXIT_DONE)
            continue;
        text[strcspn(text, "\r\n")] = '\0';
        (void)fprintf(shell->session->err, "polycubectl: line %zu failed: %s\n", number, text);
        result = line_result;
    }
    return result;
}

int pcn_cli_shell(struct pcn_cli_session *session, FILE *in)
{
    struct shell shell = {.session = session, .in = in};
    int result = PCN_CLI_EXIT_DONE;

    if (!isatty(fileno(in)) || !session->terminal)
        return pipe_loop(&shell);
    if (terminal_open(&shell) < 0) {
        (void)fprintf(session->err, "Error: cannot set up the terminal\n");
        result = PCN_CLI_EXIT_NO_ANSWER;
    } else {
        terminal_loop(&shell);
    }
    terminal_close(&shell);
    return result;
}
