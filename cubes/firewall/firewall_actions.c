/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions on a chain. Each writes the configuration that it leads to, as a
 * request would: rules stay in the tree, and their order is that of their ids.
 */
#include "firewall.h"
#include <stdio.h>

/* The rules of a chain as they are to be: JSON members of each, without the id. */
struct draft {
    char **fields;
    size_t n;
};

static void draft_done(struct draft *draft)
{
    for (size_t i = 0; i < draft->n; i++)
        free(draft->fields[i]);
    free(draft->fields);
}

static int draft_new(const struct firewall_rules *rules, struct draft *ret_draft)
{
    ret_draft->fields = calloc(rules->n + 1, sizeof(*ret_draft->fields));
    if (!ret_draft->fields)
        return -ENOMEM;
    for (; ret_draft->n < rules->n; ret_draft->n++) {
        ret_draft->fields[ret_draft->n] = strdup(rules->entries[ret_draft->n]->fields);
        if (!ret_draft->fields[ret_draft->n])
            return -ENOMEM;
    }
    return 0;
}

/* Whether a rule can come to id, where there are n. */
static int room_check(size_t n, size_t id, struct pcn_error *error)
{
    if (id > n)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "id",
                             "id %zu is not accepted: give 0 to %zu, as there are %zu rules", id, n, n);
    if (n < FIREWALL_IDS_MAX)
        return 0;
    return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "chain/rule",
                         "the chain is full: it has %d rules, the most there can be", FIREWALL_IDS_MAX);
}

static int draft_insert(struct draft *draft, size_t id, char *fields, struct pcn_error *error)
{
    char **all;
    int r;

    r = room_check(draft->n, id, error);
    if (r < 0)
        return r;
    all = reallocarray(draft->fields, draft->n + 1, sizeof(*all));
    if (!all)
        return -ENOMEM;
    draft->fields = all;
    memmove(all + id + 1, all + id, (draft->n - id) * sizeof(*all));
    all[id] = fields;
    draft->n++;
    return 0;
}

/* What is to come has to say something: a rule of nothing would drop all. And what is to go is told in one way. */
static int fields_check(const char *operation, const struct pcn_node *input, const char *fields,
                        struct pcn_error *error)
{
    if (!pcn_streq(operation, "DELETE"))
        return fields[0] ? 0
                         : pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, "",
                                         "the rule says nothing: give what it is to match, or its action");
    if (fields[0] && pcn_node_string(input, "id"))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "id",
                             "id and fields exclude each other: give the id of the rule, or exactly its fields");
    return 0;
}

/* Whether the rule that is meant is told by its id, of n: 1, 0; -ENOENT: it is, and there is none. */
static int id_given(const struct pcn_node *input, size_t n, size_t *ret_id, struct pcn_error *error)
{
    const char *text = pcn_node_string(input, "id");

    *ret_id = text ? strtoul(text, NULL, 10) : 0;
    if (!text || *ret_id < n)
        return text ? 1 : 0;
    return pcn_error_set(error, PCN_ERROR_DATA_MISSING, "id", "there is no rule %zu: the chain has %zu", *ret_id, n);
}

static int fields_unknown(struct pcn_error *error)
{
    return pcn_error_set(error, PCN_ERROR_DATA_MISSING, "", "no rule has exactly these fields");
}

/* The rule that a change means: by id, or else the first with exactly these fields. */
static int draft_find(const struct draft *draft, const struct pcn_node *input, const char *fields, size_t *ret_id,
                      struct pcn_error *error)
{
    int r = id_given(input, draft->n, ret_id, error);

    if (r)
        return r;
    for (; *ret_id < draft->n; ++*ret_id)
        if (pcn_streq(draft->fields[*ret_id], fields))
            return 0;
    return fields_unknown(error);
}

static void draft_delete(struct draft *draft, size_t id)
{
    free(draft->fields[id]);
    memmove(draft->fields + id, draft->fields + id + 1, (--draft->n - id) * sizeof(*draft->fields));
}

/* One change; fields is taken over where it is used. */
static int draft_change(struct draft *draft, const char *operation, const struct pcn_node *input, char **fields,
                        size_t *ret_id, struct pcn_error *error)
{
    int r;

    *ret_id = pcn_streq(operation, "APPEND") ? draft->n : (size_t)pcn_node_uint(input, "id", 0);
    if (pcn_streq(operation, "APPEND") || pcn_streq(operation, "INSERT")) {
        r = draft_insert(draft, *ret_id, *fields, error);
        if (r >= 0)
            *fields = NULL;
        return r;
    }
    if (pcn_streq(operation, "UPDATE") && !pcn_node_string(input, "id"))
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, "id", "id is missing: UPDATE needs that of the rule");
    r = draft_find(draft, input, *fields, ret_id, error);
    if (r < 0)
        return r;
    if (pcn_streq(operation, "DELETE")) {
        draft_delete(draft, *ret_id);
    } else {
        free(draft->fields[*ret_id]);
        draft->fields[*ret_id] = TAKE_PTR(*fields);
    }
    return 0;
}

static int draft_write(struct pcn_cube *cube, const char *chain, const struct draft *draft, struct pcn_error *error)
{
    const char *const path[] = {"chain", chain, "rule"};
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    if (!file)
        return -errno;
    (void)fputc('[', file);
    for (size_t i = 0; i < draft->n; i++)
        (void)fprintf(file, "%s{\"id\": %zu%s%s}", i ? ", " : "", i, draft->fields[i][0] ? ", " : "", draft->fields[i]);
    (void)fputc(']', file);
    if (fclose(file))
        return -ENOMEM;
    return pcn_cube_edit(cube, PCN_CUBE_REPLACE, path, PCN_ARRAY_SIZE(path), text, error);
}

/* One rule comes or goes: what the others say need not be looked at. */
static int rule_edit(struct pcn_cube *cube, enum pcn_cube_edit edit, const char *chain, size_t id, const char *fields,
                     struct pcn_error *error)
{
    char key[24];
    const char *const path[] = {"chain", chain, "rule", key};
    _cleanup_free_ char *text = NULL;

    (void)snprintf(key, sizeof(key), "%zu", id);
    if (fields && asprintf(&text, "{%s}", fields) < 0)
        return -ENOMEM;
    return pcn_cube_edit(cube, edit, path, PCN_ARRAY_SIZE(path), text, error);
}

static const struct firewall_rules *rules_of(struct pcn_cube *cube, const char *chain)
{
    const struct firewall *firewall = pcn_cube_state(cube);

    return &firewall->chains[firewall_chain_of(chain)].now;
}

static int rule_insert(struct pcn_cube *cube, const char *chain, size_t id, const struct pcn_node *input,
                       struct pcn_emitter *output, struct pcn_error *error)
{
    _cleanup_free_ char *fields = NULL;
    int r;

    r = firewall_entry_fields(input, &fields);
    if (r >= 0)
        r = fields_check("INSERT", input, fields, error);
    if (r >= 0)
        r = room_check(rules_of(cube, chain)->n, id, error);
    if (r >= 0)
        r = rule_edit(cube, PCN_CUBE_INSERT, chain, id, fields, error);
    if (r >= 0)
        pcn_emit_uint(output, "id", id);
    return r;
}

int firewall_chain_append_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                 const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    return rule_insert(cube, keys[0], rules_of(cube, keys[0])->n, input, output, error);
}

int firewall_chain_insert_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                 const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    return rule_insert(cube, keys[0], (size_t)pcn_node_uint(input, "id", 0), input, output, error);
}

int firewall_chain_delete_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                 const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    const struct firewall_rules *rules = rules_of(cube, keys[0]);
    _cleanup_free_ char *fields = NULL;
    size_t id = 0;
    int r;

    r = firewall_entry_fields(input, &fields);
    if (r >= 0)
        r = fields_check("DELETE", input, fields, error);
    if (r >= 0)
        r = id_given(input, rules->n, &id, error);
    while (!r && id < rules->n && !pcn_streq(rules->entries[id]->fields, fields))
        id++;
    if (r < 0)
        return r;
    return id < rules->n ? rule_edit(cube, PCN_CUBE_REMOVE, keys[0], id, NULL, error) : fields_unknown(error);
}

int firewall_chain_batch_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    _cleanup_(draft_done) struct draft draft = {};
    size_t number = 0;
    int r;

    if (!pcn_node_first(input, "rules"))
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, "rules", "rules is missing: give at least one change");
    r = draft_new(rules_of(cube, keys[0]), &draft);
    for (const struct pcn_node *node = pcn_node_first(input, "rules"); node && r >= 0; node = pcn_node_next(node)) {
        _cleanup_free_ char *fields = NULL;
        struct pcn_error cause = {};
        size_t id;

        r = firewall_entry_fields(node, &fields);
        if (r >= 0)
            r = fields_check(pcn_node_string(node, "operation"), node, fields, &cause);
        if (r >= 0)
            r = draft_change(&draft, pcn_node_string(node, "operation"), node, &fields, &id, &cause);
        if (r < 0 && cause.message[0])
            return pcn_error_set(error, cause.tag, "rules", "change %zu of the batch: %s", number, cause.message);
        number++;
    }
    return r < 0 ? r : draft_write(cube, keys[0], &draft, error);
}

int firewall_chain_reset_counters_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                         const struct pcn_node *input, struct pcn_emitter *output,
                                         struct pcn_error *error)
{
    struct firewall *firewall = pcn_cube_state(cube);
    enum firewall_direction number = firewall_chain_of(keys[0]);
    const struct firewall_rules *rules = &firewall->chains[number].now;

    for (size_t i = 0; i < rules->n; i++)
        firewall_counter_reset(firewall, rules->entries[i]->rule.counter);
    firewall_counter_reset(firewall, number);
    pcn_emit_bool(output, "result", true);
    return 0;
}
