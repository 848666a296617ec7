/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the model share: short ways to edit, look and compare.
 * Paths are text, "rule/7/action"; bodies are JSON with ' for ".
 */
#pragma once
#include "model_probe.h"
#include <harness/suite.h>

struct probe {
    struct pcn_schema *schema;
    struct pcn_tree *tree;
    struct pcn_error error;
};

/* A schema of the kind and a tree called t1. False: said why. */
bool probe_open(struct probe *probe, const char *body);
bool probe_open_kind(struct probe *probe, const struct pcn_cube_kind *kind, const char *body);
void probe_close(struct probe *probe);

json_t *probe_json(const char *text); /* NULL for NULL */

/* The edit is left open. Its error is in probe->error. */
int probe_edit(struct probe *probe, enum pcn_edit_verb verb, const char *path, const char *body,
               struct pcn_edit **ret_edit);
/* The changes of an edit, a line each: "modify rule[7] action=drop -> action=pass handler". Caller frees. */
char *probe_changes(struct pcn_edit *edit);
/* Caller frees; NULL: refused, probe->error says why. */
char *probe_get(struct probe *probe, const char *path, const struct pcn_state_hooks *hooks);

/* The edit gives these changes; it is discarded, everything is as before; then it is made again and committed. */
void probe_gives(struct probe *probe, enum pcn_edit_verb verb, const char *path, const char *body, const char *expected,
                 unsigned int line, const char *file);
/* The edit is refused, with this path, and parts of the message separated by |; everything is as before. */
void probe_refuses(struct probe *probe, enum pcn_edit_verb verb, const char *path, const char *body,
                   enum pcn_error_tag tag, const char *error_path, const char *parts, unsigned int line,
                   const char *file);
void probe_shows(struct probe *probe, const char *path, const struct pcn_state_hooks *hooks, const char *expected,
                 unsigned int line, const char *file);

#define GIVES(verb, path, body, expected) probe_gives(&probe, PCN_EDIT_##verb, path, body, expected, __LINE__, __FILE__)
#define REFUSES(verb, path, body, tag, error_path, parts)                                                              \
    probe_refuses(&probe, PCN_EDIT_##verb, path, body, PCN_ERROR_##tag, error_path, parts, __LINE__, __FILE__)
#define SHOWS(path, expected) probe_shows(&probe, path, &probe_config, expected, __LINE__, __FILE__)
