/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of a tree of the tests' module. The input is requests, one behind the other:
 *
 *     <letter> <path>\n<body>\0
 *
 * C create, R replace, U update, D delete, A action, G get, H help. Edits stay open; in the end they are discarded in
 * reverse, and each must leave what was there before it. Then they are made again, and committed: what is shown then,
 * sent back, changes nothing.
 */
#include "../unit/model_probe.h"
#include <http/parse.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EDITS_MAX 8

static const char start[] =
    "{\"ports\":[{\"name\":\"p1\"},{\"name\":\"p2\",\"ip\":\"10.0.0.1\"},{\"name\":\"p3\"}],\"tag\":[\"a\",\"b\",\"c\"],"
    "\"rule\":[{\"id\":1,\"action\":\"pass\",\"via\":[\"x\",\"y\"],\"match\":[{\"field\":\"src\",\"value\":\"v\"},"
    "{\"field\":\"dst\",\"value\":\"v\"}]},{\"id\":2,\"action\":\"drop\"},{\"id\":3,\"action\":\"drop\"}],"
    "\"tls\":{\"certificate\":\"c\"},\"learned\":[{\"mac\":\"m\"}],\"file\":\"f\"}";

struct open_edit {
    enum pcn_edit_verb verb;
    struct probe_path path;
    json_t *body;
    struct pcn_edit *edit;
    char *before;
};

static struct pcn_schema *schema;

static struct pcn_tree *tree_new(void)
{
    struct pcn_edit *edit = NULL;
    struct pcn_tree *tree;
    json_t *body = json_loads(start, 0, NULL);

    if (!schema && pcn_schema_new(&probe_kind, NULL, &schema, NULL) < 0)
        abort();
    if (!body || pcn_tree_create(schema, "t", body, &edit, NULL) < 0)
        abort();
    json_decref(body);
    pcn_edit_commit(edit, &tree);
    return tree;
}

static char *show(const struct pcn_tree *tree)
{
    bool cacheable;
    size_t length;
    char *text;

    if (pcn_tree_get(tree, NULL, 0, &probe_config, &text, &length, &cacheable, NULL) < 0)
        abort();
    return text;
}

static void check_error(int r, const struct pcn_error *error)
{
    if (error->tag == PCN_ERROR_NONE || error->tag == PCN_ERROR_FAILED || r >= 0)
        abort();
    if (!*error->message)
        abort();
}

static void ask(const struct pcn_tree *tree, char letter, const struct probe_path *path, json_t *body)
{
    struct pcn_error error = {};
    char *text = NULL;
    bool cacheable;
    size_t length;
    int r;

    if (letter == 'A') {
        r = pcn_tree_action(tree, probe_cube, path->segments, path->n, body, &text, &error);
        if (r < 0 && error.tag == PCN_ERROR_NONE)
            abort();
    } else if (letter == 'H') {
        for (enum pcn_help help = PCN_HELP_NONE; help <= PCN_HELP_NO_HELP; help++) {
            (void)pcn_schema_help(schema, tree, &probe_state, path->segments, path->n, help, body != NULL, &text, NULL);
            pcn_freep(&text);
        }
    } else if (pcn_tree_get(tree, path->segments, path->n, &probe_state, &text, &length, &cacheable, &error) >= 0) {
        json_t *value = json_loadb(text, length, JSON_DECODE_ANY, NULL);

        /* jansson has no integer above INT64_MAX. */
        if (!value && !strpbrk(text, "9123456789"))
            abort();
        json_decref(value);
    } else {
        check_error(-1, &error);
    }
    free(text);
    probe_calls[0] = '\0';
}

/* Reads changes as a handler does. */
static void check_changes(struct pcn_edit *edit)
{
    bool others = false;

    for (size_t i = 0; i < pcn_edit_n_changes(edit); i++) {
        const struct pcn_change *change = pcn_edit_change(edit, i);

        bool shift = change->op == PCN_CHANGE_SHIFT;

        if ((change->op == PCN_CHANGE_CREATE || shift) != !change->before ||
            (change->op == PCN_CHANGE_DELETE || shift) != !change->after || shift != (change->shift != 0))
            abort();
        /* Deletes come first. */
        if (change->op == PCN_CHANGE_DELETE && others)
            abort();
        others = others || change->op != PCN_CHANGE_DELETE;
        for (size_t k = 0; k < change->n_keys; k++) {
            if (!change->keys[k])
                abort();
        }
        if (change->before)
            (void)pcn_node_string(change->before, "name");
        if (change->after)
            (void)pcn_node_string(change->after, "name");
    }
}

/* Splits off one request: false at the end. */
static bool next_request(const uint8_t **data, size_t *size, char *ret_letter, struct probe_path *ret_path,
                         json_t **ret_body)
{
    const char *text = (const char *)*data;
    size_t length = strnlen(text, *size);
    char path[256];
    const char *body;
    size_t used;

    if (*size < 3)
        return false;
    body = memchr(text, '\n', length);
    used = body ? (size_t)(body - text) : length;
    *ret_letter = text[0];
    (void)snprintf(path, sizeof(path), "%.*s", used > 2 ? (int)PCN_MIN(used - 2, sizeof(path) - 1) : 0, text + 2);
    if (!pcn_http_utf8_valid(path, strlen(path)))
        path[0] = '\0';
    probe_path(ret_path, path);
    *ret_body = NULL;
    if (body)
        (void)pcn_http_parse_body(body + 1, length - used - 1, ret_body, NULL);
    length += length < *size;
    *data += length;
    *size -= length;
    return true;
}

static size_t edits_open(struct pcn_tree *tree, const uint8_t *data, size_t size, struct open_edit edits[EDITS_MAX])
{
    static const char letters[] = "CRUDIM";
    size_t n = 0;
    json_t *body;
    char letter;

    while (n < EDITS_MAX && next_request(&data, &size, &letter, &edits[n].path, &body)) {
        struct open_edit *open = &edits[n];
        const char *verb = letter ? strchr(letters, letter) : NULL;
        struct pcn_error error = {};
        char *after;
        int r;

        if (!verb) {
            ask(tree, letter, &open->path, body);
            json_decref(body);
            continue;
        }
        open->verb = (enum pcn_edit_verb)(verb - letters);
        open->before = show(tree);
        r = pcn_edit_new(tree, NULL, open->verb, open->path.segments, open->path.n, body, &open->edit, &error);
        if (r >= 0) {
            check_changes(open->edit);
            open->body = body;
            n++;
            continue;
        }
        check_error(r, &error);
        after = show(tree);
        if (!pcn_streq(after, open->before))
            abort();
        free(after);
        free(open->before);
        json_decref(body);
    }
    return n;
}

static void discard_all(struct pcn_tree *tree, struct open_edit edits[EDITS_MAX], size_t n)
{
    while (n-- > 0) {
        char *text;

        pcn_edit_discardp(&edits[n].edit);
        text = show(tree);
        if (!pcn_streq(text, edits[n].before))
            abort();
        free(text);
        free(edits[n].before);
    }
}

/* Reals lose digits on their way through JSON, and jansson has no integer above INT64_MAX: such trees are left out. */
static void send_back(struct pcn_tree *tree)
{
    _cleanup_free_ char *text = show(tree);
    json_t *shown = strstr(text, "\"ratio\"") ? NULL : json_loads(text, 0, NULL);
    struct pcn_edit *edit = NULL;

    if (!shown)
        return;
    if (pcn_edit_new(tree, NULL, PCN_EDIT_REPLACE, NULL, 0, shown, &edit, NULL) < 0 || pcn_edit_n_changes(edit))
        abort();
    pcn_edit_discardp(&edit);
    json_decref(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct open_edit edits[EDITS_MAX];
    struct pcn_tree *tree = tree_new();
    size_t n = edits_open(tree, data, size, edits);

    discard_all(tree, edits, n);
    for (size_t i = 0; i < n; i++) {
        struct open_edit *open = &edits[i];

        if (pcn_edit_new(tree, NULL, open->verb, open->path.segments, open->path.n, open->body, &open->edit, NULL) < 0)
            abort();
        pcn_edit_commit(open->edit, NULL);
        json_decref(open->body);
    }
    send_back(tree);
    pcn_tree_freep(&tree);
    return 0;
}
