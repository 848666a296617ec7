/* SPDX-License-Identifier: Apache-2.0 */
#include "model_fixture.h"
#include <libyang/libyang.h>

/* ---- bodies ---- */

json_t *probe_json(const char *text)
{
    _cleanup_free_ char *json = text ? strdup(text) : NULL;
    json_error_t error;
    json_t *value;

    if (!json)
        return NULL;
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value) {
        printf("the test's own JSON: %s in %s\n", error.text, json);
        abort();
    }
    return value;
}

/* ---- a schema and a tree ---- */

bool probe_open_kind(struct probe *probe, const struct pcn_cube_kind *kind, const char *body)
{
    struct pcn_edit *edit = NULL;
    json_t *json = probe_json(body);
    int r;

    *probe = (struct probe){};
    probe_calls[0] = '\0';
    r = pcn_schema_new(kind, NULL, &probe->schema, &probe->error);
    if (r >= 0)
        r = pcn_tree_create(probe->schema, "t1", json, &edit, &probe->error);
    json_decref(json);
    if (r >= 0)
        pcn_edit_commit(edit, &probe->tree);
    if (!PCN_CHECK_OK(r))
        printf("    %s\n", probe->error.message);
    return r >= 0;
}

bool probe_open(struct probe *probe, const char *body)
{
    return probe_open_kind(probe, &probe_kind, body);
}

void probe_close(struct probe *probe)
{
    pcn_tree_freep(&probe->tree);
    pcn_schema_freep(&probe->schema);
}

int probe_edit(struct probe *probe, enum pcn_edit_verb verb, const char *path, const char *body,
               struct pcn_edit **ret_edit)
{
    json_t *json = probe_json(body);
    struct probe_path at;
    int r;

    probe->error = (struct pcn_error){};
    probe_path(&at, path);
    r = pcn_edit_new(probe->tree, NULL, verb, at.segments, at.n, json, ret_edit, &probe->error);
    json_decref(json);
    return r;
}

static void print_unit(FILE *out, const struct pcn_node *unit)
{
    const struct lyd_node *node = unit ? lyd_child((const struct lyd_node *)unit) : NULL;
    bool some = false;

    for (; node; node = node->next) {
        if (!(node->schema->nodetype & LYD_NODE_TERM) || lysc_is_key(node->schema))
            continue;
        fprintf(out, " %s=%s", node->schema->name, lyd_get_value(node));
        some = true;
    }
    if (!some)
        fputs(unit ? " {}" : " -", out);
}

char *probe_changes(struct pcn_edit *edit)
{
    static const char *const ops[] = {"create", "modify", "delete", "shift"};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    for (size_t i = 0; i < pcn_edit_n_changes(edit); i++) {
        const struct pcn_change *change = pcn_edit_change(edit, i);

        fprintf(out, "%s %s[", ops[change->op], change->path);
        for (size_t k = 0; k < change->n_keys; k++)
            fprintf(out, "%s%s", k ? "," : "", change->keys[k]);
        fputs("]", out);
        if (change->op == PCN_CHANGE_SHIFT) {
            fprintf(out, " %+d\n", change->shift);
            continue;
        }
        print_unit(out, change->before);
        fputs(" ->", out);
        print_unit(out, change->after);
        if (pcn_edit_handler(edit, i) && !pcn_streq(pcn_edit_handler(edit, i)->path, change->path))
            fputs(" (another's handler)", out);
        fputs("\n", out);
    }
    fclose(out);
    return text;
}

char *probe_get(struct probe *probe, const char *path, const struct pcn_state_hooks *hooks)
{
    struct probe_path at;
    bool cacheable;
    size_t length;
    char *text;

    probe->error = (struct pcn_error){};
    probe_path(&at, path);
    if (pcn_tree_get(probe->tree, at.segments, at.n, hooks, &text, &length, &cacheable, &probe->error) < 0)
        return NULL;
    return text;
}

/* ---- what must hold ---- */

void probe_gives(struct probe *probe, enum pcn_edit_verb verb, const char *path, const char *body, const char *expected,
                 unsigned int line, const char *file)
{
    _cleanup_free_ char *before = probe_get(probe, "", &probe_config), *after = NULL, *first = NULL, *again = NULL;
    struct pcn_edit *edit = NULL;
    int r;

    r = probe_edit(probe, verb, path, body, &edit);
    if (!pcn_check_ok(r, line, file, path)) {
        printf("    %s: %s\n", probe->error.path, probe->error.message);
        return;
    }
    first = probe_changes(edit);
    pcn_check_string(first, expected, line, file, "changes");
    pcn_edit_discardp(&edit);
    after = probe_get(probe, "", &probe_config);
    pcn_check_string(after, before, line, file, "after discard");
    r = probe_edit(probe, verb, path, body, &edit);
    if (!pcn_check_ok(r, line, file, path))
        return;
    again = probe_changes(edit);
    pcn_check_string(again, first, line, file, "changes of the same edit again");
    pcn_edit_commit(edit, NULL);
}

void probe_refuses(struct probe *probe, enum pcn_edit_verb verb, const char *path, const char *body,
                   enum pcn_error_tag tag, const char *error_path, const char *parts, unsigned int line,
                   const char *file)
{
    _cleanup_free_ char *before = probe_get(probe, "", &probe_config), *after = NULL, *copy = strdup(parts);
    char *at = copy, *part;
    struct pcn_edit *edit = NULL;
    int r;

    r = probe_edit(probe, verb, path, body, &edit);
    if (!pcn_check(r < 0, line, file, "refused")) {
        pcn_edit_discardp(&edit);
        return;
    }
    pcn_check_string(pcn_error_tag_name(probe->error.tag), pcn_error_tag_name(tag), line, file, "tag");
    pcn_check_string(probe->error.path, error_path, line, file, "path");
    while ((part = strsep(&at, "|")))
        pcn_check_contains(probe->error.message, part, line, file, "message");
    after = probe_get(probe, "", &probe_config);
    pcn_check_string(after, before, line, file, "after a refusal");
}

void probe_shows(struct probe *probe, const char *path, const struct pcn_state_hooks *hooks, const char *expected,
                 unsigned int line, const char *file)
{
    _cleanup_free_ char *text = probe_get(probe, path, hooks), *json = strdup(expected);

    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    pcn_check_string(text, json, line, file, path);
}
