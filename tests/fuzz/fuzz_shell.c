/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text doors of polycubectl: a line of the shell through splitting and grammar to URL and body; after the first
 * newline, the text of standard input through the YAML reader, both printers, and back.
 */
#include <polycubectl/args.h>
#include <polycubectl/print.h>
#include <polycubectl/words.h>
#include <polycubectl/yaml.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_line(const char *text, bool partial)
{
    _cleanup_(pcn_cli_command_done) struct pcn_cli_command command = {};
    _cleanup_(pcn_cli_line_done) struct pcn_cli_line line = {};
    struct pcn_cli_message message = {};
    _cleanup_free_ char *url = NULL, *body = NULL;

    if (pcn_cli_line_split(text, partial, &line, &message) < 0) {
        if (!*message.text)
            abort();
        return;
    }
    if (pcn_cli_parse(line.n_words, line.words, !partial, &command, &message) < 0) {
        if (!*message.text)
            abort();
        return;
    }
    if (!command.method)
        return;
    url = pcn_cli_command_url(&command, partial);
    if (!url || strpbrk(url, " \t\r\n\"<>#"))
        abort();
    if (command.body) {
        body = json_dumps(command.body, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!body)
            abort();
    }
}

/* Only JSON has reals: they come back as text. */
static bool has_real(const json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;

    json_object_foreach ((json_t *)value, name, member)
        if (has_real(member))
            return true;
    json_array_foreach ((json_t *)value, i, member)
        if (has_real(member))
            return true;
    return json_is_real(value);
}

/* What the YAML printer writes is read back as the same value. */
static void fuzz_yaml(const char *text, size_t length)
{
    struct pcn_cli_message message = {};
    json_t *value, *again = NULL;
    char *printed = NULL;
    size_t n_printed = 0;
    FILE *out;

    if (pcn_cli_yaml_parse(text, length, &value, &message) < 0) {
        if (!*message.text)
            abort();
        return;
    }
    out = open_memstream(&printed, &n_printed);
    if (!out || pcn_cli_print(out, value, PCN_CLI_YAML, NULL, 0) < 0)
        abort();
    (void)fclose(out);
    if (pcn_cli_yaml_parse(printed, n_printed, &again, &message) < 0 || (!json_equal(value, again) && !has_real(value)))
        abort();
    json_decref(again);
    free(printed);
    out = fopen("/dev/null", "w");
    if (!out || pcn_cli_print(out, value, PCN_CLI_VERBOSE, "a.b,c", 12) < 0)
        abort();
    (void)fclose(out);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    char *newline;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    newline = memchr(text, '\n', size);
    if (newline) {
        *newline = '\0';
        fuzz_yaml(newline + 1, (size_t)(text + size - newline - 1));
    }
    fuzz_line(text, false);
    fuzz_line(text, true);
    return 0;
}
