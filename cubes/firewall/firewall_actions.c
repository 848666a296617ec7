/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions on a chain. Each writes the configuration that it leads to, as a
 * request would: rules stay in the tree, and their order is that of their ids.
 */
#include "firewall.h"
#include <stdio.h>

/* The rules of a chain as they are to be. */
struct draft {
    struct firewall_entry **entries;
    size_t n;
};

static void draft_done(struct draft *draft)
{
    for (size_t i = 0; i < draft->n; i++)
        firewall_entry_unrefp(&draft->entries[i]);
    free(draft->entries);
    *draft = (struct draft){};
}

static int draft_new(const struct firewall_rules *rules, struct draft *ret_draft)
{
    ret_draft->entries = calloc(rules->n + 1, sizeof(*ret_draft->entries));
    if (!ret_draft->entries)
        return -ENOMEM;
    for (; ret_draft->n < rules->n; ret_draft->n++) {
        ret_draft->entries[ret_draft->n] = rules->entries[ret_draft->n];
        rules->entries[ret_draft->n]->references++;
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

/* The entry is taken over. */
static int draft_insert(struct draft *draft, size_t id, struct firewall_entry **entry, struct pcn_error *error)
{
    struct firewall_entry **all;
    int r;

    r = room_check(draft->n, id, error);
    if (r < 0)
        return r;
    all = reallocarray(draft->entries, draft->n + 1, sizeof(*all));
    if (!all)
        return -ENOMEM;
    draft->entries = all;
    memmove(all + id + 1, all + id, (draft->n - id) * sizeof(*all));
    all[id] = TAKE_PTR(*entry);
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
    if (!fields[0] && !pcn_node_string(input, "id"))
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, "id",
                             "nothing is given: give the id of the rule, or exactly its fields");
    if (fields[0] && pcn_node_string(input, "id"))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "id",
                             "id and fields exclude each other: give the id of the rule, or exactly its fields");
    return 0;
}

/* The rule that is meant, of n: by id, or else the first that says what entry does. */
static int rule_find(struct firewall_entry *const *entries, size_t n, const struct pcn_node *input,
                     const struct firewall_entry *entry, size_t *ret_id, struct pcn_error *error)
{
    const char *text = pcn_node_string(input, "id");
    size_t id = text ? strtoul(text, NULL, 10) : 0;

    if (text && id >= n)
        return pcn_error_set(error, PCN_ERROR_DATA_MISSING, "id", "there is no rule %zu: the chain has %zu", id, n);
    while (!text && id < n && !firewall_entry_same(entries[id], entry))
        id++;
    if (id == n)
        return pcn_error_set(error, PCN_ERROR_DATA_MISSING, "", "no rule has exactly these fields");
    *ret_id = id;
    return 0;
}

/* One change; the entry is taken over where it is used. */
static int draft_change(struct draft *draft, const char *operation, const struct pcn_node *input,
                        struct firewall_entry **entry, struct pcn_error *error)
{
    size_t id = pcn_streq(operation, "APPEND") ? draft->n : (size_t)pcn_node_uint(input, "id", 0);
    int r;

    if (pcn_streq(operation, "APPEND") || pcn_streq(operation, "INSERT"))
        return draft_insert(draft, id, entry, error);
    if (pcn_streq(operation, "UPDATE") && !pcn_node_string(input, "id"))
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, "id", "id is missing: UPDATE needs that of the rule");
    r = rule_find(draft->entries, draft->n, input, *entry, &id, error);
    if (r < 0)
        return r;
    firewall_entry_unrefp(&draft->entries[id]);
    if (pcn_streq(operation, "DELETE"))
        memmove(draft->entries + id, draft->entries + id + 1, (--draft->n - id) * sizeof(*draft->entries));
    else
        draft->entries[id] = TAKE_PTR(*entry);
    return 0;
}

static int draft_text(const struct draft *draft, char **ret_text)
{
    size_t size;
    FILE *file = open_memstream(ret_text, &size);

    if (!file)
        return -errno;
    (void)fputc('[', file);
    for (size_t i = 0; i < draft->n; i++) {
        const char *fields = draft->entries[i]->fields;

        (void)fprintf(file, "%s{\"id\": %zu%s%s}", i ? ", " : "", i, fields[0] ? ", " : "", fields);
    }
    (void)fputc(']', file);
    return fclose(file) ? -ENOMEM : 0;
}

/* And is done: who gives counters back looks whether anybody else has an entry. */
static int draft_write(struct pcn_cube *cube, const char *chain, struct draft *draft, struct pcn_error *error)
{
    const char *const path[] = {"chain", chain, "rule"};
    _cleanup_free_ char *text = NULL;
    int r;

    r = draft_text(draft, &text);
    draft_done(draft);
    return r < 0 ? r : pcn_cube_edit(cube, PCN_CUBE_REPLACE, path, PCN_ARRAY_SIZE(path), text, error);
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

/* What a change says, if it says that in an accepted way. */
static int entry_given(const char *operation, const struct pcn_node *input, struct firewall_entry **ret_entry,
                       struct pcn_error *error)
{
    int r;

    r = firewall_entry_new(input, "", ret_entry, error);
    return r < 0 ? r : fields_check(operation, input, (*ret_entry)->fields, error);
}

int firewall_chain_delete_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                 const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    const struct firewall_rules *rules = rules_of(cube, keys[0]);
    _cleanup_(firewall_entry_unrefp) struct firewall_entry *entry = NULL;
    size_t id;
    int r;

    r = entry_given("DELETE", input, &entry, error);
    if (r >= 0)
        r = rule_find(rules->entries, rules->n, input, entry, &id, error);
    return r < 0 ? r : rule_edit(cube, PCN_CUBE_REMOVE, keys[0], id, NULL, error);
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
        _cleanup_(firewall_entry_unrefp) struct firewall_entry *entry = NULL;
        const char *operation = pcn_node_string(node, "operation");
        struct pcn_error cause = {};

        r = entry_given(operation, node, &entry, &cause);
        if (r >= 0)
            r = draft_change(&draft, operation, node, &entry, &cause);
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
