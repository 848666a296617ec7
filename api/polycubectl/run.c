/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"
#include "help.h"
#include "input.h"
#include "print.h"
#include "yaml.h"
#include <sys/ioctl.h>
#include <time.h>

void pcn_cli_usage(FILE *out)
{
    (void)fputs("polycubectl [path...] [verb] [path...] [name=value...] [options] [< file]\n"
                "\n"
                "  verb       add, del, show or set, anywhere in front of the first name=value; none runs an action\n"
                "  name=value a member of what is sent; a dotted name nests\n"
                "  ?          as the last word: what may come next\n"
                "  -          read the request's body, YAML or JSON, from standard input and wait for it\n"
                "  --         all words after it are of the path\n"
                "\n"
                "  -normal -brief -verbose -json -yaml   form of the output of show and of actions\n"
                "  -hide=a,b.c                           members that are not shown\n"
                "  -offset=N -limit=N -filter=a=x,b=y    entries of a list that are shown\n"
                "  --url URL        http://, https:// or unix:// URL of the daemon\n"
                "  --instance NAME  the daemon of that name on this machine, by its socket\n"
                "  -h, --help       this text\n"
                "\n"
                "  polycubectl shell       interactive shell, also without words on a terminal\n"
                "  polycubectl version     versions of this program and of the daemon\n"
                "\n"
                "  polycubectl router add r1 loglevel=DEBUG\n"
                "  polycubectl r1 ports add p1 ip=10.0.0.1/24 peer=veth1\n"
                "  polycubectl connect br1:p1 r1:p2\n"
                "  polycubectl r1 show -yaml\n"
                "\n"
                "Exit status: 0 done, 1 no answer from the daemon, 2 the daemon refused, 3 syntax error.\n",
                out);
}

void pcn_cli_log(const struct pcn_cli_config *config, int n_words, const char *const *words, int result)
{
    time_t now = time(NULL);
    char stamp[32] = "";
    struct tm tm;
    FILE *log;

    if (!config->log)
        return;
    log = fopen(config->log, "ae");
    if (!log)
        return;
    if (localtime_r(&now, &tm))
        (void)strftime(stamp, sizeof(stamp), "%F %T", &tm);
    (void)fprintf(log, "[%s] polycubectl", stamp);
    for (int i = 0; i < n_words; i++)
        (void)fprintf(log, " %s", words[i]);
    (void)fprintf(log, " -> %d\n", result);
    (void)fclose(log);
}

/* What the daemon says against it: sentences for people, and for scripts the answer as it came. */
static int run_refused(struct pcn_cli_session *session, const struct pcn_cli_answer *answer)
{
    _cleanup_free_ char *errors = pcn_cli_answer_errors(answer);

    if (!session->terminal) {
        if (answer->length)
            (void)fwrite(answer->body, 1, answer->length, session->out);
        else
            (void)fprintf(session->out, "%ld", answer->status);
        (void)fputc('\n', session->out);
        (void)fflush(session->out);
    }
    (void)fputs(errors ? errors : "Error: out of memory\n", session->err);
    return PCN_CLI_EXIT_REFUSED;
}

/* NULL: not JSON. */
static json_t *run_decode(const struct pcn_cli_answer *answer)
{
    struct pcn_cli_message message;
    json_t *value = json_loadb(answer->body, answer->length, JSON_DECODE_ANY, NULL);

    /* Integers over 63 bits: as text. */
    if (!value && answer->length && strchr("{[", *answer->body))
        (void)pcn_cli_yaml_parse(answer->body, answer->length, &value, &message);
    return value;
}

/*
 * Characters that a line may have: two lines of the terminal, as a short entry that is broken once reads better than one
 * with a line a value. 0: it is no terminal, or does not say.
 */
static size_t run_width(const struct pcn_cli_session *session)
{
    struct winsize size = {};

    return session->terminal && ioctl(fileno(session->out), TIOCGWINSZ, &size) == 0 ? 2 * size.ws_col : 0;
}

static int run_print(struct pcn_cli_session *session, const struct pcn_cli_command *command,
                     const struct pcn_cli_answer *answer)
{
    json_t *value = run_decode(answer);
    int r = 0;

    if (value && !(json_is_null(value) && command->verb == PCN_CLI_ACTION)) {
        r = pcn_cli_print(session->out, value, command->format, command->hide, run_width(session));
    } else if (!value && answer->length) {
        (void)fwrite(answer->body, 1, answer->length, session->out);
        if (answer->body[answer->length - 1] != '\n')
            (void)fputc('\n', session->out);
    }
    json_decref(value);
    if (r == 0 && fflush(session->out) == 0)
        return PCN_CLI_EXIT_DONE;
    (void)fprintf(session->err, "Error: cannot print the answer\n");
    return PCN_CLI_EXIT_NO_ANSWER;
}

/* The text of standard input as the body. An array may stand for the one list that was named: `rules= < file`. */
static int run_input_body(const struct pcn_cli_command *command, int input, json_t **ret_body,
                          struct pcn_cli_message *message)
{
    _cleanup_free_ char *text = NULL;
    size_t length = 0;
    json_t *body;
    int r;

    if (input < 0) {
        if (command->input == PCN_CLI_INPUT_REQUIRED)
            return pcn_cli_fail(message, -EINVAL, "there is no standard input here, use < file");
        return 0;
    }
    r = pcn_cli_input_read(input, command->input, &text, &length, message);
    if (r < 0 || !text)
        return r;
    r = pcn_cli_yaml_parse(text, length, &body, message);
    if (r < 0)
        return r;
    if (json_is_array(body) && command->input_member) {
        json_t *object = json_pack("{so}", command->input_member, body);

        if (!object)
            return pcn_cli_fail(message, -EINVAL, "%.100s is not UTF-8 text", command->input_member);
        body = object;
    }
    if (!json_is_object(body) && !json_is_array(body)) {
        json_decref(body);
        return pcn_cli_fail(message, -EINVAL, "expected names and values, or a list (< /dev/null: read no input)");
    }
    *ret_body = body;
    return 0;
}

/* JSON text to send; NULL: no body. */
static int run_body(struct pcn_cli_session *session, const struct pcn_cli_command *command, int input, char **ret_text)
{
    struct pcn_cli_message message = {};
    json_t *body = NULL;
    char *text;
    int r = 0;

    if (command->verb == PCN_CLI_SHOW || command->verb == PCN_CLI_DEL)
        return 0;
    if (command->input != PCN_CLI_INPUT_NONE)
        r = run_input_body(command, input, &body, &message);
    if (r == 0 && !body && !command->body && command->verb == PCN_CLI_SET)
        r = pcn_cli_fail(&message, -EINVAL, "set needs name=value, or YAML or JSON on standard input");
    if (r < 0) {
        (void)fprintf(session->err, "Syntax error: %s\n", message.text);
        return r;
    }
    if (!body)
        body = command->body ? json_incref(command->body) : json_object();
    text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(body);
    if (!text)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

static int run_exchange(struct pcn_cli_session *session, const struct pcn_cli_command *command, const char *body,
                        struct pcn_cli_answer *ret_answer)
{
    _cleanup_free_ char *url = pcn_cli_command_url(command, false);
    struct pcn_cli_message message = {};
    int r;

    if (!url)
        return -ENOMEM;
    r = pcn_cli_client_request(session->client, command->method, url, body, PCN_CLI_TIMEOUT, session->interrupted,
                               ret_answer, &message);
    if (r < 0)
        (void)fprintf(session->err, "Error: %s\n", message.text);
    return r;
}

static int run_version(struct pcn_cli_session *session, const struct pcn_cli_command *command)
{
    _cleanup_(pcn_cli_answer_done) struct pcn_cli_answer answer = {};
    json_t *versions = json_pack("{s{ss}}", "polycubectl", "version", PCN_VERSION), *daemon;
    int r, result = PCN_CLI_EXIT_DONE;

    r = run_exchange(session, command, NULL, &answer);
    if (r < 0)
        result = PCN_CLI_EXIT_NO_ANSWER;
    else if (answer.status / 100 != 2)
        result = PCN_CLI_EXIT_REFUSED;
    daemon = result == PCN_CLI_EXIT_DONE ? run_decode(&answer) : NULL;
    (void)json_object_update(versions, daemon);
    json_decref(daemon);
    if (versions && pcn_cli_print(session->out, versions, command->format, command->hide, run_width(session)) < 0)
        result = PCN_CLI_EXIT_NO_ANSWER;
    json_decref(versions);
    return result == PCN_CLI_EXIT_REFUSED ? run_refused(session, &answer) : result;
}

static int run_help(struct pcn_cli_session *session, const struct pcn_cli_command *command,
                    const struct pcn_cli_answer *answer)
{
    json_t *help = run_decode(answer);
    int r;

    r = pcn_cli_help_print(session->out, help, command, session->config->expert);
    json_decref(help);
    if (r == 0)
        return PCN_CLI_EXIT_DONE;
    (void)fprintf(session->err, "Error: the daemon's help is not understood\n");
    return PCN_CLI_EXIT_NO_ANSWER;
}

static int run_request(struct pcn_cli_session *session, const struct pcn_cli_command *command, int input)
{
    _cleanup_(pcn_cli_answer_done) struct pcn_cli_answer answer = {};
    _cleanup_free_ char *body = NULL;
    int r;

    if (command->kind == PCN_CLI_REQUEST) {
        r = run_body(session, command, input, &body);
        if (r < 0)
            return PCN_CLI_EXIT_SYNTAX;
    }
    r = run_exchange(session, command, body, &answer);
    if (r < 0)
        return PCN_CLI_EXIT_NO_ANSWER;
    if (answer.status / 100 != 2)
        return run_refused(session, &answer);
    if (command->kind != PCN_CLI_REQUEST)
        return run_help(session, command, &answer);
    if (command->verb == PCN_CLI_SHOW || command->verb == PCN_CLI_ACTION)
        return run_print(session, command, &answer);
    return PCN_CLI_EXIT_DONE;
}

int pcn_cli_run(struct pcn_cli_session *session, const struct pcn_cli_command *command, int input)
{
    switch (command->kind) {
    case PCN_CLI_USAGE:
        pcn_cli_usage(session->out);
        return PCN_CLI_EXIT_DONE;
    case PCN_CLI_VERSION:
        return run_version(session, command);
    case PCN_CLI_REQUEST:
    case PCN_CLI_BARE:
    case PCN_CLI_HELP:
        return run_request(session, command, input);
    default:
        (void)fprintf(session->err, "Syntax error: this cannot be run here\n");
        return PCN_CLI_EXIT_SYNTAX;
    }
}

int pcn_cli_run_words(struct pcn_cli_session *session, int n_words, const char *const *words, int input)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    struct pcn_cli_message message = {};
    int r;

    r = pcn_cli_parse(n_words, words, session->config->single_parameter, &command, &message);
    if (r == 0 && (command.url || command.instance))
        r = pcn_cli_fail(&message, -EINVAL, "--url and --instance are for the start of polycubectl");
    if (r < 0) {
        (void)fprintf(session->err, "Syntax error: %s\n", message.text);
        return PCN_CLI_EXIT_SYNTAX;
    }
    return pcn_cli_run(session, &command, input);
}
