/* SPDX-License-Identifier: Apache-2.0 */
#include "complete.h"
#include "shell.h"
#include <curl/curl.h>
#include <locale.h>

static int main_complete(struct pcn_cli_session *session, int n_words, const char *const *words)
{
    json_t *candidates = NULL, *candidate;
    size_t i;

    if (pcn_cli_complete(session, n_words, words, &candidates) < 0)
        return PCN_CLI_EXIT_NO_ANSWER;
    json_array_foreach (candidates, i, candidate)
        (void)fprintf(session->out, "%s\n", json_string_value(candidate));
    json_decref(candidates);
    return PCN_CLI_EXIT_DONE;
}

static int main_run(struct pcn_cli_session *session, const struct pcn_cli_command *command, int n_words,
                    const char *const *words)
{
    if (command->kind == PCN_CLI_COMPLETE)
        return main_complete(session, n_words - command->rest, words + command->rest);
    if (command->kind == PCN_CLI_SHELL || (command->kind == PCN_CLI_BARE && isatty(STDIN_FILENO) && session->terminal))
        return pcn_cli_shell(session, stdin);
    return pcn_cli_run(session, command, STDIN_FILENO);
}

static int main_connected(struct pcn_cli_config *config, const struct pcn_cli_command *command, int n_words,
                          const char *const *words)
{
    _cleanup_(pcn_cli_client_freep) struct pcn_cli_client *client = NULL;
    struct pcn_cli_session session = {
        .config = config, .out = stdout, .err = stderr, .terminal = isatty(STDOUT_FILENO)};
    struct pcn_cli_message message = {};
    int r;

    r = pcn_cli_config_override(config, command->url, command->instance, &message);
    if (r == 0)
        r = pcn_cli_client_new(config, &client, &message);
    if (r < 0) {
        (void)fprintf(stderr, "polycubectl: %s\n", message.text);
        return r == -EINVAL ? PCN_CLI_EXIT_SYNTAX : PCN_CLI_EXIT_NO_ANSWER;
    }
    session.client = client;
    return main_run(&session, command, n_words, words);
}

int main(int argc, char **argv)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    _cleanup_(pcn_cli_config_done) struct pcn_cli_config config = {};
    const char *const *words = (const char *const *)argv + 1;
    int n_words = PCN_MAX(argc - 1, 0), r, result;
    struct pcn_cli_message message = {};

    (void)setlocale(LC_CTYPE, "");
    r = pcn_cli_config_load(&config);
    if (r < 0) {
        (void)fprintf(stderr, "polycubectl: %s\n", strerror(-r));
        return PCN_CLI_EXIT_NO_ANSWER;
    }
    r = pcn_cli_parse(n_words, words, config.single_parameter, &command, &message);
    if (r < 0) {
        (void)fprintf(stderr, "Syntax error: %s\n", message.text);
        result = PCN_CLI_EXIT_SYNTAX;
    } else if (command.kind == PCN_CLI_USAGE) {
        pcn_cli_usage(stdout);
        result = PCN_CLI_EXIT_DONE;
    } else {
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        result = main_connected(&config, &command, n_words, words);
        curl_global_cleanup();
    }
    if (r < 0 || (command.kind != PCN_CLI_COMPLETE && command.kind != PCN_CLI_SHELL))
        pcn_cli_log(&config, n_words, words, result);
    if (fflush(stdout) != 0 && result == PCN_CLI_EXIT_DONE)
        result = PCN_CLI_EXIT_NO_ANSWER;
    return result;
}
