/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "value.h"
#include <stdio.h>

struct parser {
    const char *const *words;
    int n_words;
    int at; /* index of the word being looked at */
    struct pcn_cli_command *command;
    struct pcn_cli_message *message;
    bool literal; /* after "--" */
    bool single;  /* `set` of one name=value is of the leaf itself */
    bool formatted, help;
    unsigned int n_body, n_values; /* name=value words, and those of them with a value */
    char *name;                    /* owned; of the last of them */
};

static const char *const verb_names[PCN_CLI_VERB_MAX] = {"", "add", "del", "show", "set"};
static const char *const verb_methods[PCN_CLI_VERB_MAX] = {"POST", "POST", "DELETE", "GET", "PATCH"};
static const char *const verb_helps[PCN_CLI_VERB_MAX] = {"NONE", "ADD", "DEL", "SHOW", "SET"};

const char *pcn_cli_verb_name(enum pcn_cli_verb verb)
{
    return verb_names[verb];
}

enum pcn_cli_verb pcn_cli_verb_find(const char *word)
{
    for (enum pcn_cli_verb verb = PCN_CLI_ADD; verb < PCN_CLI_VERB_MAX; verb++)
        if (pcn_streq(word, verb_names[verb]))
            return verb;
    return PCN_CLI_ACTION;
}

static int parser_path(struct parser *p, const char *word)
{
    struct pcn_cli_command *command = p->command;

    if (!*word)
        return pcn_cli_fail(p->message, -EINVAL, "an empty word cannot be part of a path");
    if (command->n_path >= PCN_CLI_PATH_MAX)
        return pcn_cli_fail(p->message, -EINVAL, "a path has at most %d words", PCN_CLI_PATH_MAX);
    command->path[command->n_path] = strdup(word);
    if (!command->path[command->n_path])
        return -ENOMEM;
    command->n_path++;
    return 0;
}

static int parser_body(struct parser *p, const char *word)
{
    const char *equals = strchr(word, '=');
    json_t *value;
    int r;

    if (equals == word || strchr(equals + 1, '='))
        return pcn_cli_fail(p->message, -EINVAL, "%.100s is not a valid format, expected name=value", word);
    free(p->name);
    p->name = strndup(word, (size_t)(equals - word));
    if (!p->name)
        return -ENOMEM;
    if (!p->command->body)
        p->command->body = json_object();
    value = pcn_cli_value(equals + 1);
    if (!value || !p->command->body) {
        json_decref(value);
        return pcn_cli_fail(p->message, -EINVAL, "%.100s is not UTF-8 text", word);
    }
    r = pcn_cli_object_set(p->command->body, p->name, value);
    if (r == -EEXIST)
        return pcn_cli_fail(p->message, -EINVAL, "%.100s is given twice", p->name);
    if (r == -E2BIG)
        return pcn_cli_fail(p->message, -EINVAL, "%.100s has more than %d parts", p->name, PCN_CLI_DOTS_MAX);
    if (r < 0)
        return pcn_cli_fail(p->message, -EINVAL, "%.100s is not a valid format, expected name=value", word);
    p->n_body++;
    p->n_values += equals[1] != '\0';
    return 0;
}

/* Value of `--name VALUE` or `--name=VALUE`. Returns 1 where word is that option. */
static int parser_valued(struct parser *p, const char *word, const char *name, char **value)
{
    size_t length = strlen(name);
    const char *text;

    if (strncmp(word, name, length) != 0 || (word[length] && word[length] != '='))
        return 0;
    if (word[length])
        text = word + length + 1;
    else if (p->at + 1 < p->n_words)
        text = p->words[++p->at];
    else
        text = "";
    if (!*text)
        return pcn_cli_fail(p->message, -EINVAL, "%s needs a value", name);
    if (*value)
        return pcn_cli_fail(p->message, -EINVAL, "%s is given twice", name);
    *value = strdup(text);
    return *value ? 1 : -ENOMEM;
}

/* Without the dash: what the daemon's query calls them. */
static const char *const page_options[PCN_CLI_PAGE_OPTIONS] = {"-offset", "-limit", "-filter"};

static int parser_flag(struct parser *p, const char *word)
{
    static const char *const formats[] = {"-normal", "-brief", "-verbose", "-json", "-yaml"};
    struct pcn_cli_command *command = p->command;
    int r;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(formats); i++) {
        if (!pcn_streq(word, formats[i]))
            continue;
        if (p->formatted)
            return pcn_cli_fail(p->message, -EINVAL,
                                "only one of -normal, -brief, -verbose, -json, -yaml can be given");
        p->formatted = true;
        command->format = (enum pcn_cli_format)i;
        return 0;
    }
    r = parser_valued(p, word, "-hide", &command->hide);
    for (size_t i = 0; i < PCN_CLI_PAGE_OPTIONS && r == 0; i++)
        r = parser_valued(p, word, page_options[i], &command->page[i]);
    if (r == 0)
        r = parser_valued(p, word, "--url", &command->url);
    if (r == 0)
        r = parser_valued(p, word, "--instance", &command->instance);
    if (r != 0)
        return PCN_MIN(r, 0);
    if (pcn_streq(word, "-h") || pcn_streq(word, "--help")) {
        p->help = true;
        return 0;
    }
    return pcn_cli_fail(p->message, -EINVAL, "unknown option %.100s", word);
}

static int parser_word(struct parser *p, const char *word)
{
    struct pcn_cli_command *command = p->command;
    enum pcn_cli_verb verb;

    if (strlen(word) > PCN_CLI_WORD_LENGTH)
        return pcn_cli_fail(p->message, -EINVAL, "a word has at most %u bytes", PCN_CLI_WORD_LENGTH);
    if (p->literal)
        return parser_path(p, word);
    if (pcn_streq(word, "--")) {
        p->literal = true;
        return 0;
    }
    if (pcn_streq(word, "-")) {
        command->input = PCN_CLI_INPUT_REQUIRED;
        return 0;
    }
    if (*word == '-')
        return parser_flag(p, word);
    if (pcn_streq(word, "?")) {
        if (p->at + 1 < p->n_words)
            return pcn_cli_fail(p->message, -EINVAL, "? must be the last word");
        p->help = true;
        return 0;
    }
    if (strchr(word, '='))
        return parser_body(p, word);
    if (p->n_body)
        return pcn_cli_fail(p->message, -EINVAL, "%.100s is not a valid format, expected name=value", word);
    verb = pcn_cli_verb_find(word);
    if (verb == PCN_CLI_ACTION)
        return parser_path(p, word);
    if (command->verb != PCN_CLI_ACTION)
        return pcn_cli_fail(p->message, -EINVAL, "two verbs, %s and %s: put -- in front of a name that is a verb",
                            verb_names[command->verb], word);
    command->verb = verb;
    return 0;
}

/* Path words from `first` on become members of the body, called names[]. */
static int parser_name_path(struct parser *p, const char *const *names, size_t n_names)
{
    struct pcn_cli_command *command = p->command;

    if (!command->body)
        command->body = json_object();
    for (size_t i = 0; i < n_names; i++) {
        if (json_object_set_new(command->body, names[i], json_string(command->path[i + 1])) < 0)
            return pcn_cli_fail(p->message, -EINVAL, "%.100s is not UTF-8 text", command->path[i + 1]);
        free(TAKE_PTR(command->path[i + 1]));
    }
    command->n_path = 1;
    command->input = PCN_CLI_INPUT_NONE;
    return 1;
}

/* connect A B, disconnect A B, attach CUBE PORT, detach CUBE PORT. Returns 1 where it was one of them. */
static int parser_wiring(struct parser *p)
{
    static const struct {
        const char *word, *usage;
        const char *names[2];
        bool positioned;
    } wirings[] = {
        {"connect", "connect PORT PORT", {"peer1", "peer2"}, false},
        {"disconnect", "disconnect PORT PORT", {"peer1", "peer2"}, false},
        {"attach", "attach CUBE PORT [position=auto|first|last | before=CUBE | after=CUBE]", {"cube", "port"}, true},
        {"detach", "detach CUBE PORT", {"cube", "port"}, false},
    };
    struct pcn_cli_command *command = p->command;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(wirings); i++) {
        if (!command->n_path || !pcn_streq(command->path[0], wirings[i].word))
            continue;
        if (command->verb != PCN_CLI_ACTION || command->n_path != 3 || command->input == PCN_CLI_INPUT_REQUIRED ||
            p->n_body > (wirings[i].positioned ? 1 : 0))
            return pcn_cli_fail(p->message, -EINVAL, "expected %s", wirings[i].usage);
        if (p->n_body && !pcn_streq(p->name, "position") && !pcn_streq(p->name, "before") &&
            !pcn_streq(p->name, "after"))
            return pcn_cli_fail(p->message, -EINVAL, "%.100s is not known here, expected %s", p->name,
                                wirings[i].usage);
        return parser_name_path(p, wirings[i].names, 2);
    }
    return 0;
}

/* Words that ask when no verb is there: they have no actions. */
static void parser_imply_show(struct parser *p)
{
    static const char *const shown[] = {"cubes", "netdevs", "topology", "services", "version", "metrics"};
    struct pcn_cli_command *command = p->command;

    if (command->verb != PCN_CLI_ACTION || !command->n_path || p->n_body || command->input == PCN_CLI_INPUT_REQUIRED)
        return;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(shown); i++) {
        if (!pcn_streq(command->path[0], shown[i]))
            continue;
        command->verb = PCN_CLI_SHOW;
        if (pcn_streq(shown[i], "topology") && command->n_path == 1 && !p->formatted && !command->hide) {
            command->format = PCN_CLI_VERBOSE;
            command->hide = strdup("uuid");
        }
    }
}

/* The one name=value of a `set`: the leaf becomes the end of the path, its value the body. */
static int parser_single_parameter(struct parser *p)
{
    struct pcn_cli_command *command = p->command;
    json_t *value = command->body;
    char *save = NULL;

    for (char *part = strtok_r(p->name, ".", &save); part; part = strtok_r(NULL, ".", &save)) {
        int r = parser_path(p, part);

        if (r < 0)
            return r;
        value = json_object_get(value, part);
    }
    json_incref(value);
    json_decref(command->body);
    command->body = value;
    return 0;
}

static int parser_input(struct parser *p)
{
    struct pcn_cli_command *command = p->command;

    if (command->verb == PCN_CLI_SHOW || command->verb == PCN_CLI_DEL) {
        if (p->n_body || command->input == PCN_CLI_INPUT_REQUIRED)
            return pcn_cli_fail(p->message, -EINVAL, "%s takes no %s", verb_names[command->verb],
                                p->n_body ? "name=value" : "input");
        return 0;
    }
    if (command->input == PCN_CLI_INPUT_REQUIRED) {
        if (p->n_values)
            return pcn_cli_fail(p->message, -EINVAL, "values come from the command line or from -, not from both");
    } else if (!p->n_body) {
        command->input = PCN_CLI_INPUT_OFFERED;
    } else if (!p->n_values && command->verb == PCN_CLI_ACTION) {
        command->input = PCN_CLI_INPUT_EXPECTED;
    }
    if (command->input != PCN_CLI_INPUT_NONE && p->n_body == 1 && !strchr(p->name, '.'))
        command->input_member = TAKE_PTR(p->name);
    return 0;
}

static int parser_finish_help(struct parser *p)
{
    struct pcn_cli_command *command = p->command;

    command->kind = PCN_CLI_HELP;
    command->method = "OPTIONS";
    if (command->n_path || command->verb != PCN_CLI_ACTION || p->n_body || p->formatted)
        return 0;
    if (!pcn_streq(p->words[p->n_words - 1], "?"))
        command->kind = PCN_CLI_USAGE;
    return 0;
}

static int parser_finish(struct parser *p)
{
    struct pcn_cli_command *command = p->command;
    int r;

    if (command->kind == PCN_CLI_COMPLETE)
        return 0;
    if (p->help)
        return parser_finish_help(p);
    if (!command->n_path && command->verb == PCN_CLI_ACTION) {
        if (p->n_body || p->formatted || command->hide || command->input == PCN_CLI_INPUT_REQUIRED)
            return pcn_cli_fail(p->message, -EINVAL, "what to act on is missing");
        command->kind = PCN_CLI_BARE;
        command->method = "OPTIONS";
        return 0;
    }
    if (command->n_path == 1 && command->verb == PCN_CLI_ACTION && !p->n_body && pcn_streq(command->path[0], "shell")) {
        command->kind = PCN_CLI_SHELL;
        return 0;
    }
    parser_imply_show(p);
    if (command->n_path == 1 && command->verb == PCN_CLI_SHOW && pcn_streq(command->path[0], "version"))
        command->kind = PCN_CLI_VERSION;
    command->method = verb_methods[command->verb];
    if ((p->formatted || command->hide) && command->verb != PCN_CLI_SHOW && command->verb != PCN_CLI_ACTION)
        return pcn_cli_fail(p->message, -EINVAL, "%s has no output to format", verb_names[command->verb]);
    for (size_t i = 0; i < PCN_CLI_PAGE_OPTIONS; i++)
        if (command->page[i] && command->verb != PCN_CLI_SHOW)
            return pcn_cli_fail(p->message, -EINVAL, "%s goes with show", page_options[i]);
    if (command->hide && (command->format == PCN_CLI_JSON || command->format == PCN_CLI_YAML))
        return pcn_cli_fail(p->message, -EINVAL, "-hide cannot be given with -json or -yaml");
    r = parser_wiring(p);
    if (r != 0)
        return PCN_MIN(r, 0);
    r = parser_input(p);
    if (r < 0)
        return r;
    if (command->verb == PCN_CLI_SET && p->n_body == 1 && command->input == PCN_CLI_INPUT_NONE)
        return p->single ? parser_single_parameter(p) : 0;
    return 0;
}

int pcn_cli_parse(int n_words, const char *const *words, bool single_parameter, struct pcn_cli_command *ret_command,
                  struct pcn_cli_message *message)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    struct parser p = {
        .words = words, .n_words = n_words, .command = &command, .message = message, .single = single_parameter};
    int r = 0;

    *message = (struct pcn_cli_message){};
    if (n_words > PCN_CLI_WORDS_MAX)
        return pcn_cli_fail(message, -EINVAL, "a command has at most %d words", PCN_CLI_WORDS_MAX);
    for (p.at = 0; p.at < n_words && r >= 0; p.at++) {
        if (!p.literal && !command.n_path && pcn_streq(words[p.at], "--complete")) {
            command.kind = PCN_CLI_COMPLETE;
            command.rest = p.at + 1;
            break;
        }
        r = parser_word(&p, words[p.at]);
    }
    if (r >= 0)
        r = parser_finish(&p);
    free(p.name);
    if (r < 0) {
        if (!*message->text)
            (void)pcn_cli_fail(message, r, "out of memory");
        return r;
    }
    *ret_command = command;
    command = (struct pcn_cli_command){};
    return 0;
}

void pcn_cli_command_done(struct pcn_cli_command *command)
{
    for (size_t i = 0; i < command->n_path; i++)
        free(command->path[i]);
    json_decref(command->body);
    free(command->input_member);
    free(command->hide);
    for (size_t i = 0; i < PCN_CLI_PAGE_OPTIONS; i++)
        free(command->page[i]);
    free(command->url);
    free(command->instance);
    *command = (struct pcn_cli_command){};
}

/* Each word escaped, between two texts; -ENOMEM. */
static int url_put(FILE *out, const char *before, const char *word, const char *after)
{
    _cleanup_free_ char *escaped = pcn_cli_escape(word);

    if (!escaped)
        return -ENOMEM;
    (void)fprintf(out, "%s%s%s", before, escaped, after);
    return 0;
}

static int url_put_page(FILE *out, const struct pcn_cli_command *command)
{
    char before[16];
    bool more = false;
    int r = 0;

    for (size_t i = 0; i < PCN_CLI_PAGE_OPTIONS && r >= 0; i++) {
        if (!command->page[i])
            continue;
        (void)snprintf(before, sizeof(before), "%c%s=", more ? '&' : '?', page_options[i] + 1);
        r = url_put(out, before, command->page[i], "");
        more = true;
    }
    return r;
}

char *pcn_cli_command_url(const struct pcn_cli_command *command, bool completion)
{
    _cleanup_free_ char *url = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&url, &length);
    int r = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < command->n_path && r >= 0; i++)
        r = url_put(out, "", command->path[i], "/");
    if (pcn_streq(command->method, "OPTIONS"))
        (void)fprintf(out, "?help=%s%s", verb_helps[command->verb], completion ? "&completion" : "");
    else if (r >= 0)
        r = url_put_page(out, command);
    if (fclose(out) != 0 || r < 0)
        return NULL;
    return TAKE_PTR(url);
}
