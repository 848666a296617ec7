/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of chains and rules: what a transaction does to the next array. */
#include "firewall.h"
#include <stdio.h>

const char *const firewall_chain_names[FIREWALL_CHAIN_MAX] = {"INGRESS", "EGRESS"};

enum firewall_direction firewall_chain_of(const char *name)
{
    return pcn_streq(name, "EGRESS") ? FIREWALL_EGRESS : FIREWALL_INGRESS;
}

static struct firewall_chain_state *chain_of(struct pcn_cube *cube, const char *name)
{
    struct firewall *firewall = pcn_cube_state(cube);

    return &firewall->chains[firewall_chain_of(name)];
}

void firewall_rules_done(struct firewall_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        firewall_entry_unrefp(&rules->entries[i]);
    free(rules->entries);
    firewall_plan_freep(&rules->plan);
    *rules = (struct firewall_rules){};
}

int firewall_chain_change(struct firewall_chain_state *chain)
{
    struct firewall_rules next = {.n = chain->now.n, .fallback = chain->now.fallback};

    if (chain->changing)
        return 0;
    next.entries = calloc(next.n + 1, sizeof(*next.entries));
    if (!next.entries)
        return -ENOMEM;
    for (size_t i = 0; i < next.n; i++) {
        struct firewall_entry *entry = chain->now.entries[i];

        next.entries[i] = entry;
        entry->references++;
        entry->kept = true;
    }
    chain->next = next;
    chain->changing = true;
    return 0;
}

/* Puts entry, which may be NULL, at id: the reference is the array's. */
static int rules_set(struct firewall_rules *rules, size_t id, struct firewall_entry *entry)
{
    struct firewall_entry **entries;

    if (id >= rules->n) {
        entries = realloc(rules->entries, (id + 1) * sizeof(*entries));
        if (!entries)
            return -ENOMEM;
        memset(entries + rules->n, 0, (id + 1 - rules->n) * sizeof(*entries));
        rules->entries = entries;
        rules->n = id + 1;
    }
    if (rules->entries[id])
        rules->entries[id]->kept = false;
    firewall_entry_unrefp(&rules->entries[id]);
    rules->entries[id] = entry;
    return 0;
}

/* Those from `id` on make room for a rule there, or where `by` is -1, close up behind one that has gone from there. */
static int rules_shift(struct firewall_rules *rules, size_t id, int by)
{
    struct firewall_entry **from;
    int r;

    if (by > 0) {
        r = rules_set(rules, rules->n, NULL);
        if (r < 0)
            return r;
        from = rules->entries + id;
        memmove(from + 1, from, (rules->n - id - 1) * sizeof(*from));
        *from = NULL;
        return 0;
    }
    from = rules->entries + id;
    memmove(from, from + 1, (--rules->n - id) * sizeof(*from));
    return 0;
}

/* The rules that have gone from where they were, by what they say. */
static void gone_collect(struct firewall_chain_state *chain)
{
    for (size_t i = 0; i < chain->now.n; i++) {
        struct firewall_entry *entry = chain->now.entries[i], *same;

        if (entry->kept)
            continue;
        HASH_FIND_STR(chain->gone, entry->fields, same);
        if (!same)
            HASH_ADD_KEYPTR(hh, chain->gone, entry->fields, strlen(entry->fields), entry);
    }
}

/* A rule that has only moved is the one it was, with its counters. */
static void entry_find_old(const struct firewall_chain_state *chain, struct firewall_entry **entry)
{
    struct firewall_entry *same;

    HASH_FIND_STR(chain->gone, (*entry)->fields, same);
    if (!same || same->kept)
        return;
    firewall_entry_unrefp(entry);
    same->references++;
    same->kept = true;
    *entry = same;
}

/* The one at a place that says the same to packets, and is described in another way, has gone: its counters go on. */
static void entry_go_on(const struct firewall_chain_state *chain, size_t id)
{
    struct firewall_entry *entry = chain->next.entries[id], *old = id < chain->now.n ? chain->now.entries[id] : NULL;

    if (!old || old->kept || !firewall_entry_acts_as(old, entry))
        return;
    entry->rule.counter = old->rule.counter;
    entry->kept = true;
    old->kept = true;
}

int firewall_chain_settle(struct firewall_chain_state *chain, enum firewall_direction number, struct pcn_error *error)
{
    struct firewall_rules *next = &chain->next;

    while (next->n && !next->entries[next->n - 1])
        next->n--;
    gone_collect(chain);
    for (size_t i = 0; i < next->n; i++) {
        if (!next->entries[i])
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "chain/rule/id",
                                 "ids of rules have no gaps: chain %s would have rule %zu and no rule %zu",
                                 firewall_chain_names[number], next->n - 1, i);
        if (!next->entries[i]->rule.counter)
            entry_find_old(chain, &next->entries[i]);
    }
    /* Whoever says exactly the same comes first. */
    for (size_t i = 0; i < next->n; i++)
        if (!next->entries[i]->rule.counter)
            entry_go_on(chain, i);
    return 0;
}

static int entry_check(const struct firewall_entry *entry, const char *path, enum firewall_direction chain,
                       struct pcn_error *error)
{
    char leaf[96];

    if (!entry->out.n || chain == FIREWALL_EGRESS)
        return 0;
    (void)snprintf(leaf, sizeof(leaf), "%s/out-interface", path);
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, leaf,
                         "out-interface: chain %s cannot know by which device a packet will leave: give it in chain %s",
                         firewall_chain_names[chain], firewall_chain_names[FIREWALL_EGRESS]);
}

/* The rule of a change, or NULL: it goes. */
static int entry_of(const struct pcn_change *change, struct firewall_entry **ret_entry, struct pcn_error *error)
{
    char path[64];
    int r;

    *ret_entry = NULL;
    if (!change->after)
        return 0;
    (void)snprintf(path, sizeof(path), "chain/%s/rule/%s", change->keys[0], change->keys[1]);
    r = firewall_entry_new(change->after, path, ret_entry, error);
    return r < 0 ? r : entry_check(*ret_entry, path, firewall_chain_of(change->keys[0]), error);
}

int firewall_chain_rule_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct firewall_chain_state *chain = chain_of(cube, change->keys[0]);
    _cleanup_(firewall_entry_unrefp) struct firewall_entry *entry = NULL;
    size_t id = strtoul(change->keys[1], NULL, 10);
    int r;

    r = firewall_chain_change(chain);
    if (r < 0)
        return r;
    if (change->op == PCN_CHANGE_SHIFT)
        return rules_shift(&chain->next, id, change->shift);
    r = entry_of(change, &entry, error);
    if (r >= 0)
        r = rules_set(&chain->next, id, entry);
    if (r >= 0)
        TAKE_PTR(entry);
    return r;
}

int firewall_chain_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    if (change->after)
        return 0;
    return pcn_error_set(
        error, PCN_ERROR_INVALID_VALUE, "chain",
        "chain %s cannot be deleted: a firewall always has INGRESS and EGRESS; delete its rules instead",
        change->keys[0]);
}

int firewall_chain_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct firewall_chain_state *chain = chain_of(cube, change->keys[0]);
    int r;

    if (!change->after)
        return 0;
    r = firewall_chain_change(chain);
    if (r < 0)
        return r;
    chain->next.fallback =
        pcn_streq(pcn_node_string(change->after, "default"), "DROP") ? FIREWALL_DROP : FIREWALL_ACCEPT;
    return 0;
}

/* ---- the firewall itself ---- */

int firewall_root_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct firewall *firewall = pcn_cube_state(cube);

    if (!change->after)
        return 0;
    firewall->next_options = firewall_options_of(change->after);
    firewall->options_changing = true;
    return 0;
}

int firewall_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct firewall *firewall = pcn_cube_state(cube);

    if (change->after)
        pcn_flows_apply(&firewall->flows, change->after, 0);
    return 0;
}

int firewall_timeouts_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct firewall *firewall = pcn_cube_state(cube);

    if (change->after)
        pcn_flows_apply_timeouts(&firewall->flows, change->after);
    return 0;
}
