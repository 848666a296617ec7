/* SPDX-License-Identifier: Apache-2.0 */
/*
 * polycubectl as its user meets it: the program, run against a stand-in of the daemon.
 */
#include "polycubectl_mock.h"
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct mock *tcp, *local;
static char directory[64];

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_WORDS ((const char *const[]){NULL})

/* Runs a command against the TCP daemon; what it asked for is in mock_last(tcp). */
static struct run *run_words(enum run_input input, const char *text, const char *const *words)
{
    static struct run result;

    result = (struct run){.url = mock_url(tcp), .input = input, .text = text};
    run(&result, words);
    return &result;
}

static int suite_open(void)
{
    char path[96];

    (void)snprintf(directory, sizeof(directory), "/tmp/pcn-cli-%d", (int)getpid());
    (void)snprintf(path, sizeof(path), "%s/api.sock", directory);
    if (mkdir(directory, 0700) < 0)
        return 1;
    tcp = mock_new(NULL);
    local = mock_new(path);
    return !tcp || !local;
}

static void unlink_in(const char *name)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (unlink(path) < 0)
        (void)rmdir(path);
}

static int suite_close(void)
{
    static const char *const names[] = {".config/polycube/polycubectl_config.yaml",
                                        ".config/polycube",
                                        ".config",
                                        ".local/state/polycubectl_history",
                                        ".local/state",
                                        ".local",
                                        "log",
                                        "cert",
                                        "key"};

    mock_free(tcp);
    mock_free(local);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(names); i++)
        unlink_in(names[i]);
    return rmdir(directory) < 0;
}

static void request_goes_out_and_answer_is_printed(void)
{
    struct run *result;

    mock_answer(tcp, 200, "{\"name\":\"r1\",\"type\":\"TC\"}");
    result = run_words(RUN_NULL, NULL, WORDS("r1", "show"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "GET /polycube/v1/r1/");
    CU_ASSERT_STRING_EQUAL(result->out, "name: r1\ntype: TC\n");
    CU_ASSERT_STRING_EQUAL(result->err, "");
    result = run_words(RUN_NULL, NULL, WORDS("r1", "show", "-json"));
    CU_ASSERT_STRING_EQUAL(result->out, "{\n  \"name\": \"r1\",\n  \"type\": \"TC\"\n}\n");
    result = run_words(RUN_NULL, NULL, WORDS("r1", "-hide=type", "show"));
    CU_ASSERT_STRING_EQUAL(result->out, "name: r1\n");
}

static void add_set_del_print_nothing(void)
{
    struct run *result;

    mock_answer(tcp, 201, "");
    result = run_words(RUN_NULL, NULL, WORDS("r1", "route", "add", "10.1.0.0/16", "10.0.0.2"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/r1/route/10.1.0.0%2F16/10.0.0.2/ {}");
    CU_ASSERT_STRING_EQUAL(result->out, "");
    mock_answer(tcp, 200, "\"veth2\"");
    result = run_words(RUN_NULL, NULL, WORDS("br1", "ports", "p1", "set", "peer=veth2"));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "PATCH /polycube/v1/br1/ports/p1/peer/ \"veth2\"");
    CU_ASSERT_STRING_EQUAL(result->out, "");
    mock_answer(tcp, 204, "");
    result = run_words(RUN_NULL, NULL, WORDS("del", "r1"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "DELETE /polycube/v1/r1/");
}

static void action_prints_its_output(void)
{
    struct run *result;

    mock_answer(tcp, 200, "{\"id\":0}");
    result = run_words(RUN_NULL, NULL, WORDS("fw", "chain", "INGRESS", "append", "src=10.0.0.1", "action=DROP"));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp),
                           "POST /polycube/v1/fw/chain/INGRESS/append/ {\"src\":\"10.0.0.1\",\"action\":\"DROP\"}");
    CU_ASSERT_STRING_EQUAL(result->out, "id: 0\n");
}

static void redirect_keeps_method_and_body(void)
{
    static struct run result;

    for (size_t i = 0; i < 2; i++) {
        struct mock *mock = i ? local : tcp;
        static const char *const lines[][5] = {
            {"r1", "ports", "add", "p1", "peer=v"}, {"r1", "set", "loglevel=INFO"}, {"r1", "del"}};
        static const char *const lasts[] = {"POST /polycube/v1/router/r1/ports/p1/ {\"peer\":\"v\"}",
                                            "PATCH /polycube/v1/router/r1/loglevel/ \"INFO\"",
                                            "DELETE /polycube/v1/router/r1/"};

        for (size_t j = 0; j < PCN_ARRAY_SIZE(lines); j++) {
            const char *words[6] = {};

            memcpy(words, lines[j], sizeof(lines[j]));
            mock_answer(mock, 200, "");
            mock_move(mock, "/polycube/v1/r1/", "/polycube/v1/router/r1/");
            result = (struct run){.url = mock_url(mock)};
            run(&result, words);
            CU_ASSERT_EQUAL(result.status, 0);
            CU_ASSERT_EQUAL(mock_count(mock), 2);
            CU_ASSERT_STRING_EQUAL(mock_last(mock), lasts[j]);
        }
    }
}

static void exit_status_says_who_failed(void)
{
    struct run result = {.url = "http://127.0.0.1:1/polycube/v1/"};
    struct run *refused;

    run(&result, WORDS("r1", "show"));
    CU_ASSERT_EQUAL(result.status, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.err, "cannot reach polycubed"));
    result = (struct run){.url = "unix:///nowhere/api.sock"};
    run(&result, WORDS("r1", "show"));
    CU_ASSERT_EQUAL(result.status, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.err, "/nowhere/api.sock"));
    result = (struct run){.url = "gopher://x/"};
    run(&result, WORDS("r1", "show"));
    CU_ASSERT_EQUAL(result.status, 3);
    mock_answer(tcp, 409,
                "{\"ietf-restconf:errors\":{\"error\":[{\"error-tag\":\"data-exists\",\"error-message\":"
                "\"Cube r1 exists\"}]}}");
    refused = run_words(RUN_NULL, NULL, WORDS("router", "add", "r1"));
    CU_ASSERT_EQUAL(refused->status, 2);
    CU_ASSERT_STRING_EQUAL(refused->err, "Error: Cube r1 exists\n");
    CU_ASSERT_EQUAL(strncmp(refused->out, "{\"ietf-restconf:errors\"", 23), 0);
    mock_answer(tcp, 500, "");
    refused = run_words(RUN_NULL, NULL, WORDS("r1", "show"));
    CU_ASSERT_EQUAL(refused->status, 2);
    CU_ASSERT_STRING_EQUAL(refused->out, "500\n");
    refused = run_words(RUN_NULL, NULL, WORDS("r1", "set", "a=b=c"));
    CU_ASSERT_EQUAL(refused->status, 3);
    CU_ASSERT_EQUAL(mock_count(tcp), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(refused->err, "a=b=c is not a valid format"));
}

static char *read_file(const char *name)
{
    char path[160], *text = calloc(1, 16384);
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "r");
    if (!file || !text || fread(text, 1, 16383, file) == 0)
        (void)fprintf(stderr, "cannot read %s\n", path);
    if (file)
        (void)fclose(file);
    return text;
}

static void https_needs_a_known_authority(void)
{
    _cleanup_free_ char *cert = NULL, *key = NULL;
    char command[512], path[160];
    static struct run result;
    struct mock *mock;

    (void)snprintf(
        command, sizeof(command),
        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=t "
        "-addext subjectAltName=IP:127.0.0.1 -keyout key -out cert 2>/dev/null",
        directory);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    cert = read_file("cert");
    key = read_file("key");
    mock = mock_new_tls(cert, key);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mock);
    mock_answer(mock, 200, "{\"name\":\"r1\"}");
    (void)snprintf(path, sizeof(path), "%s/cert", directory);
    result = (struct run){.url = mock_url(mock), .cacert = path};
    run(&result, WORDS("r1", "show"));
    CU_ASSERT_EQUAL(result.status, 0);
    CU_ASSERT_STRING_EQUAL(result.out, "name: r1\n");
    result = (struct run){.url = mock_url(mock)};
    run(&result, WORDS("r1", "show"));
    CU_ASSERT_EQUAL(result.status, 1);
    CU_ASSERT_EQUAL(mock_count(mock), 1);
    mock_free(mock);
}

static void dots_are_words_like_others(void)
{
    mock_answer(tcp, 204, "");
    (void)run_words(RUN_NULL, NULL, WORDS("fw", "..", ".", "del", "a/../b"));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "DELETE /polycube/v1/fw/.././a%2F..%2Fb/");
}

static void file_and_pipe_become_the_body(void)
{
    static const enum run_input inputs[] = {RUN_FILE, RUN_PIPE};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(inputs); i++) {
        struct run *result;

        mock_answer(tcp, 201, "");
        result = run_words(inputs[i], "loglevel: TRACE\nports:\n- name: p1\n", WORDS("simplebridge", "add", "br1"));
        CU_ASSERT_EQUAL(result->status, 0);
        CU_ASSERT_STRING_EQUAL(
            mock_last(tcp),
            "POST /polycube/v1/simplebridge/br1/ {\"loglevel\":\"TRACE\",\"ports\":[{\"name\":\"p1\"}]}");
        result = run_words(inputs[i], "{'rules':[{'operation':'append','src':'10.0.0.1/32','action':'DROP'},]}\n",
                           WORDS("fw", "chain", "INGRESS", "batch", "rules="));
        CU_ASSERT_EQUAL(result->status, 0);
        CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/fw/chain/INGRESS/batch/ {\"rules\":[{\"operation\":"
                                               "\"append\",\"src\":\"10.0.0.1/32\",\"action\":\"DROP\"}]}");
        result = run_words(inputs[i], "[{\"name\": \"a\", \"service-name\": \"router\"}]", WORDS("cubes", "add"));
        CU_ASSERT_EQUAL(result->status, 0);
        CU_ASSERT_STRING_EQUAL(mock_last(tcp),
                               "POST /polycube/v1/cubes/ [{\"name\":\"a\",\"service-name\":\"router\"}]");
        result = run_words(inputs[i], "{type: TC, loglevel: WARN}", WORDS("r1", "set"));
        CU_ASSERT_STRING_EQUAL(mock_last(tcp), "PATCH /polycube/v1/r1/ {\"type\":\"TC\",\"loglevel\":\"WARN\"}");
        result = run_words(inputs[i], "- {operation: reset}", WORDS("fw", "batch", "rules="));
        CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/fw/batch/ {\"rules\":[{\"operation\":\"reset\"}]}");
    }
}

static void slow_writer_is_waited_for_where_input_is_named(void)
{
    struct run *result;

    mock_answer(tcp, 200, "");
    result = run_words(RUN_LATE, "{rules: [{id: 1}]}", WORDS("fw", "batch", "rules="));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/fw/batch/ {\"rules\":[{\"id\":1}]}");
    result = run_words(RUN_LATE, "{loglevel: INFO}", WORDS("simplebridge", "add", "br1", "-"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/simplebridge/br1/ {\"loglevel\":\"INFO\"}");
}

static void idle_input_does_not_hang(void)
{
    static const enum run_input inputs[] = {RUN_IDLE, RUN_SOCKET, RUN_CLOSED, RUN_NULL};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(inputs); i++) {
        struct run *result;

        mock_answer(tcp, 201, "");
        result = run_words(inputs[i], NULL, WORDS("router", "add", "r1"));
        CU_ASSERT_EQUAL(result->status, 0);
        CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/router/r1/ {}");
        CU_ASSERT(result->milliseconds < 3000);
        result = run_words(inputs[i], NULL, WORDS("br1", "ports", "add", "p1", "peer="));
        CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/br1/ports/p1/ {\"peer\":\"\"}");
        CU_ASSERT(result->milliseconds < 3000);
        mock_answer(tcp, 200, "{}");
        result = run_words(inputs[i], NULL, NO_WORDS);
        CU_ASSERT_EQUAL(result->status, 0);
        CU_ASSERT_STRING_EQUAL(mock_last(tcp), "OPTIONS /polycube/v1/?help=NONE");
    }
}

static void loop_that_reads_a_file_keeps_it(void)
{
    struct run *result;

    mock_answer(tcp, 201, "");
    result = run_words(RUN_FILE_HALF, "p1\np2: 1\np3: 2\n", WORDS("br1", "ports", "add", "p1"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/br1/ports/p1/ {}");
    result = run_words(RUN_PIPE, "p2: 1\n", WORDS("br1", "ports", "add", "p1", "peer=v1"));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/br1/ports/p1/ {\"peer\":\"v1\"}");
}

static void bad_input_is_a_syntax_error_and_nothing_is_sent(void)
{
    static const char *const texts[] = {"{a: [", "just text\nmore text\n", "a: 1\na: 2\n"};

    mock_answer(tcp, 201, "");
    for (size_t i = 0; i < PCN_ARRAY_SIZE(texts); i++) {
        struct run *result = run_words(RUN_PIPE, texts[i], WORDS("router", "add", "r1"));

        CU_ASSERT_EQUAL(result->status, 3);
        CU_ASSERT_EQUAL(strncmp(result->err, "Syntax error: ", 14), 0);
    }
    CU_ASSERT_EQUAL(run_words(RUN_NULL, NULL, WORDS("r1", "set"))->status, 3);
    CU_ASSERT_EQUAL(run_words(RUN_NULL, NULL, WORDS("r1", "add", "-"))->status, 3);
    CU_ASSERT_EQUAL(mock_count(tcp), 0);
}

static void version_is_of_both(void)
{
    struct run *result;
    struct run alone = {.url = "http://127.0.0.1:1/"};

    mock_answer(tcp, 200, "{\"polycubed\":{\"version\":\"v9\"}}");
    result = run_words(RUN_NULL, NULL, WORDS("version"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(result->out, "polycubectl:\n version: " PCN_VERSION "\npolycubed:\n version: v9\n");
    run(&alone, WORDS("version"));
    CU_ASSERT_EQUAL(alone.status, 1);
    CU_ASSERT_STRING_EQUAL(alone.out, "polycubectl:\n version: " PCN_VERSION "\n");
}

static void configuration_file_is_made_and_the_environment_wins(void)
{
    static struct run result;
    char path[160], text[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/.config/polycube/polycubectl_config.yaml", directory);
    mock_answer(local, 200, "{\"from\":\"local\"}");
    mock_answer(tcp, 200, "{\"from\":\"tcp\"}");
    result = (struct run){.url = mock_url(tcp), .home = directory};
    run(&result, WORDS("r1", "show"));
    CU_ASSERT_STRING_EQUAL(result.out, "from: tcp\n");
    CU_ASSERT_EQUAL(access(path, R_OK), 0);
    file = fopen(path, "w");
    (void)snprintf(text, sizeof(text), "url: %s\nlog: %s/log\n", mock_url(local), directory);
    (void)fputs(text, file);
    (void)fclose(file);
    result = (struct run){.home = directory};
    run(&result, WORDS("r1", "show"));
    CU_ASSERT_STRING_EQUAL(result.out, "from: local\n");
    result = (struct run){.url = mock_url(tcp), .home = directory};
    run(&result, WORDS("r1", "show"));
    CU_ASSERT_STRING_EQUAL(result.out, "from: tcp\n");
    run(&result, WORDS("r1", "--url", mock_url(local), "show"));
    CU_ASSERT_STRING_EQUAL(result.out, "from: local\n");
    (void)snprintf(path, sizeof(path), "%s/log", directory);
    CU_ASSERT_EQUAL(access(path, R_OK), 0);
}

static void shell_runs_the_lines_of_a_pipe(void)
{
    struct run *result;

    mock_answer(tcp, 200, "{\"id\":7}");
    result = run_words(RUN_PIPE,
                       "# a comment\n\nfw append src=1\npolycubectl show r1 -json\nfw batch <<< '{rules: []}'\n"
                       "bad = = line\nquit\nnever here\n",
                       WORDS("shell"));
    CU_ASSERT_EQUAL(result->status, 3);
    CU_ASSERT_STRING_EQUAL(result->out, "id: 7\n{\n  \"id\": 7\n}\nid: 7\n");
    CU_ASSERT_STRING_EQUAL(result->err, "Syntax error: = is not a valid format, expected name=value\n"
                                        "polycubectl: line 6 failed: bad = = line\n");
    CU_ASSERT_EQUAL(mock_count(tcp), 3);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "POST /polycube/v1/fw/batch/ {\"rules\":[]}");
    result = run_words(RUN_PIPE, "r1 show", WORDS("shell"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(result->out, "id: 7\n");
}

static void completion_comes_from_the_daemon(void)
{
    struct run *result;

    mock_answer(tcp, 200, "[\"add\",\"show\",\"<name>\",\"ports\",\"peer=\",\"loglevel=\",\"br1:p1\",\"br1:p2\"]");
    result = run_words(RUN_NULL, NULL, WORDS("--complete", "r1", "p"));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "OPTIONS /polycube/v1/r1/?help=NONE&completion");
    CU_ASSERT_STRING_EQUAL(result->out, "ports\npeer=\n");
    result = run_words(RUN_NULL, NULL, WORDS("--complete", "r1", "add", "peer=v1", ""));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "OPTIONS /polycube/v1/r1/?help=ADD&completion");
    CU_ASSERT_STRING_EQUAL(result->out, "ports\nloglevel=\nbr1:p1\nbr1:p2\n");
    result = run_words(RUN_NULL, NULL, WORDS("--complete", "connect", "br1:p1", "br"));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "OPTIONS /polycube/v1/connect/?help=NONE&completion");
    CU_ASSERT_STRING_EQUAL(result->out, "br1:p2\n");
    result = run_words(RUN_NULL, NULL, WORDS("--complete", "attach", "fw", "br1:p1", "position=f"));
    CU_ASSERT_STRING_EQUAL(result->out, "position=first\n");
    result = run_words(RUN_NULL, NULL, WORDS("--complete", "r1", "show", "-j"));
    CU_ASSERT_STRING_EQUAL(result->out, "-json\n");
    mock_answer(tcp, 404, "nothing");
    result = run_words(RUN_NULL, NULL, WORDS("--complete", "r1", "p"));
    CU_ASSERT_STRING_EQUAL(result->out, "");
    CU_ASSERT_EQUAL(result->status, 0);
}

/* What bash offers for a line; its words are split at ':' and '=', whose left side readline keeps. */
static void bash_offers(const char *line, const char *offered)
{
    static struct run result;
    char script[512];

    (void)snprintf(script, sizeof(script),
                   ". %s/api/polycubectl/completion/polycubectl.bash\n"
                   "compopt() { :; }\nCOMP_LINE='%s' COMP_POINT=${#COMP_LINE}\n_polycubectl\n"
                   "printf '%%s\\n' \"${COMPREPLY[@]}\"\n",
                   PCN_SOURCE_DIR, line);
    result = (struct run){.url = mock_url(tcp), .program = "/bin/bash"};
    run(&result, WORDS("-c", script));
    CU_ASSERT_EQUAL(result.status, 0);
    CU_ASSERT_STRING_EQUAL(result.out, offered);
    CU_ASSERT_STRING_EQUAL(result.err, "");
}

static void bash_completes_words_with_colons_and_equals(void)
{
    mock_answer(tcp, 200, "[\"add\",\"show\",\"ports\",\"peer=\",\"br1:p1\",\"br1:p2\"]");
    bash_offers("polycubectl r1 po", "ports\n");
    bash_offers("polycubectl r1 ", "add\nshow\nports\npeer=\nbr1:p1\nbr1:p2\n");
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "OPTIONS /polycube/v1/r1/?help=NONE&completion");
    bash_offers("polycubectl connect br1:p1 br1:", "p2\n");
    bash_offers("polycubectl r1 ports add p1 peer=br1:p", "p1\np2\n");
    bash_offers("polycubectl nothing here xyz", "\n");
}

static void help_is_asked_with_the_verb(void)
{
    struct run *result;

    mock_answer(tcp, 200, "{\"commands\":[\"show\"],\"elements\":[{\"name\":\"r1\"}]}");
    result = run_words(RUN_NULL, NULL, WORDS("router", "del", "?"));
    CU_ASSERT_EQUAL(result->status, 0);
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "OPTIONS /polycube/v1/router/?help=DEL");
    CU_ASSERT_STRING_EQUAL(result->out,
                           "Keyword  Type     Description\nshow     command  Show an element\nr1       element\n");
}

/* ---- the interactive shell, on a terminal ---- */

struct terminal {
    int fd;
    pid_t child;
    char text[65536];
    size_t length, seen;
};

static bool terminal_start(struct terminal *terminal)
{
    *terminal = (struct terminal){.fd = -1};
    terminal->child = forkpty(&terminal->fd, NULL, NULL, NULL);
    if (terminal->child < 0)
        return false;
    if (terminal->child == 0) {
        (void)setenv("POLYCUBECTL_URL", mock_url(tcp), 1);
        (void)setenv("HOME", directory, 1);
        (void)setenv("TERM", "dumb", 1);
        (void)unsetenv("XDG_CONFIG_HOME");
        (void)unsetenv("XDG_STATE_HOME");
        (void)execl(PCN_BUILD_DIR "/bin/polycubectl", "polycubectl", NULL);
        _exit(127);
    }
    return true;
}

/* Reads until `text` appears after what was expected before; 10 s. */
static bool terminal_expect(struct terminal *terminal, const char *text)
{
    for (unsigned int waits = 0; waits < 500; waits++) {
        struct pollfd poller = {.fd = terminal->fd, .events = POLLIN};
        const char *found = strstr(terminal->text + terminal->seen, text);
        ssize_t n;

        if (found) {
            terminal->seen = (size_t)(found - terminal->text) + strlen(text);
            return true;
        }
        if (poll(&poller, 1, 20) <= 0)
            continue;
        n = read(terminal->fd, terminal->text + terminal->length, sizeof(terminal->text) - 1 - terminal->length);
        if (n <= 0)
            return strstr(terminal->text + terminal->seen, text) != NULL;
        terminal->length += (size_t)n;
        terminal->text[terminal->length] = '\0';
    }
    (void)fprintf(stderr, "expected %s in\n%s\n", text, terminal->text);
    return false;
}

static bool terminal_type(struct terminal *terminal, const char *keys)
{
    return write(terminal->fd, keys, strlen(keys)) == (ssize_t)strlen(keys);
}

static void shell_edits_completes_and_survives_an_interrupt(void)
{
    static struct terminal terminal;
    char path[128];
    int status = -1;

    mock_answer(tcp, 200, "{\"name\":\"r1\"}");
    mock_answer_url(tcp, "/polycube/v1/?help=NONE&completion", "[\"router\",\"version\"]");
    mock_answer_url(tcp, "/polycube/v1/router/?help=NONE&completion", "[\"add\",\"rabbit\",\"rabbet\"]");
    CU_ASSERT_TRUE_FATAL(terminal_start(&terminal));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "polycube> "));
    CU_ASSERT_TRUE(terminal_type(&terminal, "ro\t"));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "router "));
    CU_ASSERT_TRUE(terminal_type(&terminal, "ra\t"));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "rabb"));
    CU_ASSERT_TRUE(terminal_type(&terminal, "\t"));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "rabbit  rabbet"));
    CU_ASSERT_TRUE(terminal_type(&terminal, "i\t show\r"));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "name: r1"));
    CU_ASSERT_STRING_EQUAL(mock_last(tcp), "GET /polycube/v1/router/rabbit/");
    CU_ASSERT_TRUE(terminal_expect(&terminal, "polycube> "));
    CU_ASSERT_TRUE(terminal_type(&terminal, "half a line\003"));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "polycube> "));
    CU_ASSERT_TRUE(terminal_type(&terminal, "\020\r"));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "name: r1"));
    CU_ASSERT_TRUE(terminal_expect(&terminal, "polycube> "));
    CU_ASSERT_TRUE(terminal_type(&terminal, "exit\r"));
    while (waitpid(terminal.child, &status, WNOHANG) == 0)
        (void)terminal_expect(&terminal, "\001");
    CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(terminal.fd);
    (void)snprintf(path, sizeof(path), "%s/.local/state/polycubectl_history", directory);
    CU_ASSERT_EQUAL(access(path, R_OK), 0);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a request goes out and its answer is printed", request_goes_out_and_answer_is_printed},
        {"add, set and del print nothing", add_set_del_print_nothing},
        {"an action prints its output", action_prints_its_output},
        {"a redirect keeps method and body, on TCP and on a socket", redirect_keeps_method_and_body},
        {"the exit status says who failed", exit_status_says_who_failed},
        {"https needs a known authority", https_needs_a_known_authority},
        {"dots are words like others", dots_are_words_like_others},
        {"a file and a pipe become the body", file_and_pipe_become_the_body},
        {"a slow writer is waited for where input is named", slow_writer_is_waited_for_where_input_is_named},
        {"idle input does not hang", idle_input_does_not_hang},
        {"a loop that reads a file keeps it", loop_that_reads_a_file_keeps_it},
        {"bad input is a syntax error and nothing is sent", bad_input_is_a_syntax_error_and_nothing_is_sent},
        {"version is of both programs", version_is_of_both},
        {"the configuration file is made, the environment wins", configuration_file_is_made_and_the_environment_wins},
        {"the shell runs the lines of a pipe", shell_runs_the_lines_of_a_pipe},
        {"completion comes from the daemon", completion_comes_from_the_daemon},
        {"bash completes words with colons and equals signs", bash_completes_words_with_colons_and_equals},
        {"help is asked with the verb", help_is_asked_with_the_verb},
        {"the shell edits, completes and survives an interrupt", shell_edits_completes_and_survives_an_interrupt},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"polycubectl", suite_open, suite_close, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    unsigned int failures;

    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 1;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    failures = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
