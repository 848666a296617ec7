/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"
#include "table.h"

struct helper {
    const struct pcn_cli_command *command;
    bool expert;
    bool input; /* values can be given: of add, set and actions */
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static int row_add(struct pcn_cli_table *table, const char *keyword, const char *type, const char *description,
                   const char *example)
{
    int r = pcn_cli_table_row(table);

    if (r == 0)
        r = pcn_cli_table_cell(table, "Keyword", keyword);
    if (r == 0)
        r = pcn_cli_table_cell(table, "Type", type);
    if (r == 0)
        r = pcn_cli_table_cell(table, "Description", description);
    if (r == 0 && *example)
        r = pcn_cli_table_cell(table, "Example", example);
    return r;
}

static const char *command_description(const char *name)
{
    static const struct {
        const char *name, *description;
    } commands[] = {
        {"add", "Create an element"},
        {"del", "Delete an element"},
        {"show", "Show an element"},
        {"set", "Change values of an element"},
        {"services", "Services that cubes are made from"},
        {"cubes", "Cubes that exist"},
        {"netdevs", "Network devices that ports can have as peers"},
        {"topology", "Cubes and how they are wired"},
        {"connect", "Connect two ports, or a port and a network device"},
        {"disconnect", "Undo connect"},
        {"attach", "Put a transparent cube on a port or on a network device"},
        {"detach", "Undo attach"},
        {"version", "Versions of polycubectl and polycubed"},
        {"shell", "Interactive shell"},
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(commands); i++)
        if (pcn_streq(name, commands[i].name))
            return commands[i].description;
    return "";
}

static int help_commands(const struct helper *helper, struct pcn_cli_table *table, const json_t *commands)
{
    json_t *element;
    size_t i;

    json_array_foreach ((json_t *)commands, i, element) {
        const char *name = json_is_object(element) ? text_of(element, "name") : json_string_value(element);
        const char *description;
        int r;

        if (!name)
            continue;
        if (!helper->expert && helper->command->n_path && pcn_streq(helper->command->path[0], "services") &&
            (pcn_streq(name, "add") || pcn_streq(name, "del")))
            continue;
        description = text_of(element, "description");
        r = row_add(table, name, "command", *description ? description : command_description(name), "");
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether even what the daemon calls keys is written name=value: they are not of the path. */
static bool takes_names(const struct pcn_cli_command *command)
{
    return command->n_path == 1 && pcn_streq(command->path[0], "services");
}

static bool has_value(const json_t *param)
{
    return pcn_streq(text_of(param, "type"), "leaf") || pcn_streq(text_of(param, "type"), "key");
}

/* How a parameter is written: <key>, leaf=value where it can be set, or the name alone. */
static char *param_keyword(const struct helper *helper, const char *name, const json_t *param)
{
    const char *type = text_of(param, "type");
    bool leaf = pcn_streq(type, "leaf") || takes_names(helper->command);
    char *keyword = NULL;
    int r;

    if (leaf && helper->input)
        r = asprintf(&keyword, "%s=value", name);
    else if (pcn_streq(type, "key"))
        r = asprintf(&keyword, "<%s>", name);
    else
        r = asprintf(&keyword, "%s", name);
    return r < 0 ? NULL : keyword;
}

static int help_params(const struct helper *helper, struct pcn_cli_table *table, const json_t *params)
{
    const char *name;
    json_t *param;

    json_object_foreach ((json_t *)params, name, param) {
        _cleanup_free_ char *keyword = param_keyword(helper, name, param);
        const char *type = has_value(param) ? text_of(param, "simpletype") : "";
        int r;

        if (!keyword)
            return -ENOMEM;
        r = row_add(table, keyword, *type ? type : text_of(param, "type"), text_of(param, "description"),
                    text_of(param, "example"));
        if (r < 0)
            return r;
    }
    return 0;
}

/* Existing entries: a service, a cube, or the keys of a list's entry. */
static int help_elements(const struct helper *helper, struct pcn_cli_table *table, const json_t *elements)
{
    json_t *element, *member;
    const char *name;
    size_t i;

    json_array_foreach ((json_t *)elements, i, element) {
        _cleanup_free_ char *keyword = NULL;
        const char *type = text_of(element, "type"), *separator = "";
        size_t length = 0;
        FILE *out = open_memstream(&keyword, &length);
        int r;

        if (!out)
            return -ENOMEM;
        json_object_foreach (element, name, member) {
            if (pcn_streq(name, "type") || pcn_streq(name, "description") || pcn_streq(name, "service-name"))
                continue;
            if (json_is_integer(member))
                (void)fprintf(out, "%s%" JSON_INTEGER_FORMAT, separator, json_integer_value(member));
            else if (json_is_string(member))
                (void)fprintf(out, "%s%s", separator, json_string_value(member));
            separator = " ";
        }
        if (json_is_string(element))
            (void)fputs(json_string_value(element), out);
        if (fclose(out) != 0)
            return -ENOMEM;
        if (!*type)
            type = text_of(element, "service-name");
        if (!*type)
            type = helper->command->n_path ? "element" : "cube";
        r = row_add(table, keyword, type, text_of(element, "description"), "");
        if (r < 0)
            return r;
    }
    return 0;
}

/* Words for the parameters of a group that have an example, `most` of them at most. */
static void help_example_words(FILE *out, const struct helper *helper, const json_t *params, unsigned int most)
{
    const char *name;
    json_t *param;

    json_object_foreach ((json_t *)params, name, param) {
        const char *example = text_of(param, "example");
        bool key = pcn_streq(text_of(param, "type"), "key") && !takes_names(helper->command);

        if (!*example || !has_value(param) || most == 0)
            continue;
        (void)fprintf(out, key ? " %s%s" : " %s=%s", key ? "" : name, example);
        most--;
    }
}

/* The command written out with the examples that the model has for its parameters. */
static void help_example(FILE *out, const struct helper *helper, const json_t *help)
{
    const struct pcn_cli_command *command = helper->command;
    _cleanup_free_ char *words = NULL;
    size_t length = 0;
    FILE *text = helper->input ? open_memstream(&words, &length) : NULL;

    if (!text)
        return;
    help_example_words(text, helper, json_object_get(help, "params"), command->verb == PCN_CLI_SET ? 1 : UINT32_MAX);
    help_example_words(text, helper, json_object_get(help, "optional-params"),
                       ftell(text) && command->verb == PCN_CLI_SET ? 0 : 1);
    if (fclose(text) != 0 || !length)
        return;
    (void)fputs("\nExample:\n polycubectl", out);
    for (size_t i = 0; i < command->n_path; i++)
        (void)fprintf(out, " %s", command->path[i]);
    (void)fprintf(out, "%s%s%s\n", command->verb == PCN_CLI_ACTION ? "" : " ", pcn_cli_verb_name(command->verb), words);
}

int pcn_cli_help_print(FILE *out, const json_t *help, const struct pcn_cli_command *command, bool expert)
{
    _cleanup_(pcn_cli_table_freep) struct pcn_cli_table *table = pcn_cli_table_new(), *others = pcn_cli_table_new();
    bool action = command->verb == PCN_CLI_ACTION && !json_array_size(json_object_get(help, "commands"));
    struct helper helper = {.command = command, .expert = expert};
    int r;

    if (!json_is_object(help))
        return -EINVAL;
    if (!table || !others)
        return -ENOMEM;
    /* At the root there are no values to give, commands or not. */
    helper.input = command->verb == PCN_CLI_ADD || command->verb == PCN_CLI_SET || (action && command->n_path);
    r = help_elements(&helper, table, json_object_get(help, "services"));
    if (r == 0)
        r = help_commands(&helper, table, json_object_get(help, "commands"));
    if (r == 0)
        r = help_params(&helper, table, json_object_get(help, "params"));
    if (r == 0)
        r = help_elements(&helper, table, json_object_get(help, "elements"));
    if (r == 0)
        r = help_params(&helper, others, json_object_get(help, "optional-params"));
    if (r < 0)
        return r;
    pcn_cli_table_print(table, out, 0);
    if (json_object_size(json_object_get(help, "optional-params"))) {
        (void)fputs("\nOther parameters:\n", out);
        pcn_cli_table_print(others, out, 1);
    }
    help_example(out, &helper, help);
    return 0;
}
