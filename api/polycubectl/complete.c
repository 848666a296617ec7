/* SPDX-License-Identifier: Apache-2.0 */
#include "complete.h"

struct completer {
    struct pcn_cli_session *session;
    int n_words;
    const char *const *words; /* in front of the one to complete */
    const char *prefix;
    const struct pcn_cli_command *command; /* what the words in front mean */
    json_t *candidates;
};

static bool is_wiring(const struct pcn_cli_command *command)
{
    static const char *const words[] = {"connect", "disconnect", "attach", "detach"};

    for (size_t i = 0; command->n_path && i < PCN_ARRAY_SIZE(words); i++)
        if (pcn_streq(command->path[0], words[i]))
            return true;
    return false;
}

/* Whether a candidate `name=` or a port was given in front already. */
static bool is_used(const struct completer *completer, const char *word)
{
    size_t length = strlen(word);

    if (word[length - 1] != '=' && !is_wiring(completer->command))
        return false;
    for (int i = 0; i < completer->n_words; i++)
        if (strncmp(completer->words[i], word, length) == 0 &&
            (word[length - 1] == '=' || !completer->words[i][length]))
            return true;
    return false;
}

static void candidate_add(struct completer *completer, const char *lead, const char *word)
{
    _cleanup_free_ char *whole = NULL;
    json_t *other;
    size_t i;

    /* <name> says what is expected, it cannot be typed. */
    if (!*word || *word == '<' || is_used(completer, word))
        return;
    if (completer->command->verb != PCN_CLI_ACTION && pcn_cli_verb_find(word) != PCN_CLI_ACTION)
        return;
    if (asprintf(&whole, "%s%s", lead, word) < 0)
        return;
    if (strncmp(whole, completer->prefix, strlen(completer->prefix)) != 0)
        return;
    json_array_foreach (completer->candidates, i, other)
        if (pcn_streq(json_string_value(other), whole))
            return;
    (void)json_array_append_new(completer->candidates, json_string(whole));
}

/* Adds what the daemon offers at url, each with lead in front. */
static void candidates_ask(struct completer *completer, const char *url, const char *lead)
{
    _cleanup_(pcn_cli_answer_done) struct pcn_cli_answer answer = {};
    struct pcn_cli_message message = {};
    json_t *words, *word;
    size_t i;

    if (pcn_cli_client_request(completer->session->client, "OPTIONS", url, NULL, PCN_CLI_COMPLETE_TIMEOUT,
                               completer->session->interrupted, &answer, &message) < 0)
        return;
    if (answer.status / 100 != 2)
        return;
    words = json_loadb(answer.body, answer.length, 0, NULL);
    json_array_foreach (words, i, word)
        if (json_is_string(word))
            candidate_add(completer, lead, json_string_value(word));
    json_decref(words);
}

static void candidates_of(struct completer *completer, const char *const *words, size_t n_words, const char *lead)
{
    for (size_t i = 0; i < n_words; i++)
        candidate_add(completer, lead, words[i]);
}

/* Values of members that can be known without asking for the leaf's type. */
static void candidates_value(struct completer *completer)
{
    static const char *const positions[] = {"auto", "first", "last"};

    if (strncmp(completer->prefix, "peer=", 5) == 0) {
        candidates_ask(completer, "netdevs/?help=SHOW&completion", "peer=");
        candidates_ask(completer, "connect/?help=NONE&completion", "peer=");
    } else if (strncmp(completer->prefix, "position=", 9) == 0) {
        candidates_of(completer, positions, PCN_ARRAY_SIZE(positions), "position=");
    }
}

static void candidates_word(struct completer *completer, struct pcn_cli_command *command)
{
    static const char *const flags[] = {"-normal", "-brief",   "-verbose", "-json",   "-yaml",
                                        "-hide=",  "-offset=", "-limit=",  "-filter="};
    static const char *const positions[] = {"position=", "before=", "after="};
    _cleanup_free_ char *url = NULL;

    if (*completer->prefix == '-') {
        candidates_of(completer, flags, PCN_ARRAY_SIZE(flags), "");
        return;
    }
    if (is_wiring(command)) {
        if (command->n_path >= 3) {
            if (pcn_streq(command->path[0], "attach") && !command->body)
                candidates_of(completer, positions, PCN_ARRAY_SIZE(positions), "");
            return;
        }
        /* The words after it are no resources. */
        while (command->n_path > 1)
            free(command->path[--command->n_path]);
    }
    url = pcn_cli_command_url(command, true);
    if (url)
        candidates_ask(completer, url, "");
    if (!command->n_path && command->verb == PCN_CLI_ACTION)
        candidate_add(completer, "", "shell");
}

int pcn_cli_complete(struct pcn_cli_session *session, int n_words, const char *const *words, json_t **ret_candidates)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    _cleanup_free_ const char **line = NULL;
    struct pcn_cli_message message = {};
    struct completer completer = {.session = session, .words = words, .command = &command};
    int n_line = n_words > 0 ? n_words : 1;
    int r;

    completer.n_words = n_line - 1;
    completer.prefix = n_words > 0 ? words[n_words - 1] : "";
    completer.candidates = json_array();
    line = calloc((size_t)n_line, sizeof(*line));
    if (!line || !completer.candidates) {
        json_decref(completer.candidates);
        return -ENOMEM;
    }
    for (int i = 0; i < n_line - 1; i++)
        line[i] = words[i];
    line[n_line - 1] = "?";
    r = pcn_cli_parse(n_line, line, false, &command, &message);
    if (r == 0 && command.kind == PCN_CLI_HELP) {
        if (strchr(completer.prefix, '='))
            candidates_value(&completer);
        else
            candidates_word(&completer, &command);
    }
    *ret_candidates = completer.candidates;
    return 0;
}

size_t pcn_cli_complete_common(const json_t *candidates)
{
    const char *first = json_string_value(json_array_get(candidates, 0));
    size_t common = first ? strlen(first) : 0;
    json_t *candidate;
    size_t i;

    json_array_foreach ((json_t *)candidates, i, candidate) {
        const char *word = json_string_value(candidate);
        size_t length = 0;

        while (length < common && word[length] == first[length])
            length++;
        common = length;
    }
    return common;
}
