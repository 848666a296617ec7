/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a chain as the compiler takes them, one behind the other: with the sets and devices that they name. */
#include "firewall.h"

static int array_grow(struct firewall_array *array)
{
    size_t size = PCN_MAX(array->size * 2, (size_t)64);
    struct firewall_rule *rules;
    struct firewall_entry **from;

    rules = realloc(array->rules, size * sizeof(*rules));
    if (rules)
        array->rules = rules;
    from = realloc(array->from, size * sizeof(*from));
    if (from)
        array->from = from;
    if (!rules || !from)
        return -ENOMEM;
    memset(from + array->size, 0, (size - array->size) * sizeof(*from));
    array->size = size;
    return 0;
}

static int array_add(struct firewall_array *array, const struct firewall_rule *rule)
{
    int r = array->n < array->size ? 0 : array_grow(array);

    if (r < 0)
        return r;
    firewall_entry_unrefp(&array->from[array->n]);
    array->rules[array->n] = *rule;
    array->rules[array->n++].stamp = ++array->stamp;
    return 0;
}

void firewall_array_done(struct firewall_array *array)
{
    for (size_t i = 0; i < array->size; i++)
        firewall_entry_unrefp(&array->from[i]);
    free(array->rules);
    free(array->from);
    /* Plans remember the stamps that were given. */
    *array = (struct firewall_array){.stamp = array->stamp};
}

/* Whether the rule of an entry is that of its fields alone. */
static bool entry_is_plain(const struct firewall_entry *entry)
{
    for (int i = 0; i < FIREWALL_BY_MAX; i++)
        if (entry->sets[i])
            return false;
    return !entry->in.n && !entry->out.n;
}

static int set_of(struct firewall *firewall, const struct firewall_entry *entry, enum firewall_set_field field,
                  struct firewall_set **ret_set, struct pcn_error *error)
{
    static const struct {
        const char *leaf;
        enum firewall_set_kind kind;
    } fields[FIREWALL_BY_MAX] = {{"src", FIREWALL_SET_PREFIXES},
                                 {"dst", FIREWALL_SET_PREFIXES},
                                 {"sport", FIREWALL_SET_PORTS},
                                 {"dport", FIREWALL_SET_PORTS},
                                 {"dst-tuple", FIREWALL_SET_TUPLES}};
    struct firewall_set *set = firewall_set_find(firewall->sets, entry->sets[field]);

    if (!set)
        return pcn_error_set(
            error, PCN_ERROR_DATA_MISSING, fields[field].leaf,
            "%s: the rule refers to set %s, which does not exist, or would not any more: add it to sets, "
            "or change the rule first",
            fields[field].leaf, entry->sets[field]);
    if (set->kind != fields[field].kind)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, fields[field].leaf,
                             "%s: the set %s holds %s: a set of %s is accepted", fields[field].leaf, set->name,
                             firewall_set_kinds[set->kind], firewall_set_kinds[fields[field].kind]);
    *ret_set = set;
    return firewall_set_fill(set);
}

/* A rule by tuples is one for each protocol and port range that occur, with the same id and counter. */
static int array_add_tuples(struct firewall_array *array, const struct firewall_rule *rule,
                            const struct firewall_set *set)
{
    int r = 0;

    for (uint32_t i = 0; i < set->n_groups && r >= 0; i++) {
        const struct firewall_set_group *group = &set->groups[i];
        struct firewall_rule part = *rule;

        part.destination = group->prefixes;
        if (!group->any_port)
            part.destination_ports = (struct firewall_ranges){.items = &group->ports, .n = 1, .given = true};
        part.given |= FIREWALL_GIVEN_PROTOCOL;
        memset(part.protocol, 0, sizeof(part.protocol));
        firewall_bit_set(part.protocol, group->protocol);
        r = array_add(array, &part);
    }
    return r;
}

static void rule_take_set(struct firewall_rule *rule, enum firewall_set_field field, const struct firewall_set *set)
{
    struct firewall_prefixes *prefixes = field == FIREWALL_BY_SOURCE ? &rule->source : &rule->destination;
    struct firewall_ranges *ranges = field == FIREWALL_BY_SOURCE_PORT ? &rule->source_ports : &rule->destination_ports;

    if (set->kind == FIREWALL_SET_PORTS) {
        *ranges = (struct firewall_ranges){
            .items = set->ranges, .n = set->n, .given = true, .negate = ranges->negate, .serial = set->serial};
        return;
    }
    *prefixes = (struct firewall_prefixes){
        .items = set->prefixes, .n = set->n, .given = true, .negate = prefixes->negate, .serial = set->serial};
}

/* The rule with the sets that it refers to; but for that of its tuples: *ret_tuples, NULL where there is none. */
static int rule_resolve(struct firewall *firewall, const struct firewall_entry *entry, struct firewall_rule *ret_rule,
                        const struct firewall_set **ret_tuples, struct pcn_error *error)
{
    struct firewall_rule rule = entry->rule;
    struct firewall_set *set = NULL;
    int r;

    *ret_tuples = NULL;
    for (int i = 0; i < FIREWALL_BY_TUPLE; i++) {
        if (!entry->sets[i])
            continue;
        r = set_of(firewall, entry, (enum firewall_set_field)i, &set, error);
        if (r < 0)
            return r;
        rule_take_set(&rule, (enum firewall_set_field)i, set);
    }
    *ret_rule = rule;
    if (!entry->sets[FIREWALL_BY_TUPLE])
        return 0;
    if (rule.destination.given || rule.destination_ports.given || rule.given & FIREWALL_GIVEN_PROTOCOL)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "dst-tuple",
                             "dst-tuple is instead of dst, l4proto and dport: give the one or the others");
    r = set_of(firewall, entry, FIREWALL_BY_TUPLE, &set, error);
    *ret_tuples = set;
    return r;
}

/* The rule, or where it is one by tuples, those that it stands for. */
static int array_add_entry(struct firewall *firewall, struct firewall_array *array, const struct firewall_entry *entry,
                           struct pcn_error *error)
{
    const struct firewall_set *tuples;
    struct firewall_rule rule;
    int r;

    if (entry_is_plain(entry))
        return array_add(array, &entry->rule);
    r = rule_resolve(firewall, entry, &rule, &tuples, error);
    if (r < 0)
        return r;
    return tuples ? array_add_tuples(array, &rule, tuples) : array_add(array, &rule);
}

int firewall_entry_rules(struct firewall *firewall, const struct firewall_entry *entry,
                         struct firewall_rule **ret_rules, size_t *ret_n)
{
    struct firewall_array array = {};
    int r;

    r = array_add_entry(firewall, &array, entry, NULL);
    *ret_rules = array.rules;
    *ret_n = array.n;
    free(array.from);
    return r;
}

/* The rules of entry `id`; none, where it names devices and not the one behind the firewall. */
static int array_add_rules(struct firewall *firewall, struct firewall_rules *rules, size_t id,
                           struct firewall_array *array, struct pcn_error *error)
{
    const struct firewall_entry *entry = rules->entries[id];
    struct pcn_error cause = {};
    uint64_t classes[2] = {};
    size_t first = array->n;
    int r;

    r = array_add_entry(firewall, array, entry, &cause);
    if (r < 0)
        return cause.message[0] ? pcn_error_set(error, cause.tag, cause.path, "rule %zu: %s", id, cause.message) : r;
    if (entry->in.n && firewall_interfaces_add(&rules->interfaces, &entry->in, classes) < 0)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "chain/rule/in-interface",
                             "in-interface: the rules of a chain name at most %d devices", FIREWALL_INTERFACES_MAX);
    rules->interfaces.uses_out |= entry->out.n > 0;
    if (!firewall_names_match(&entry->out, rules->interfaces.out)) {
        array->left_out += array->n - first;
        array->n = first;
        return 0;
    }
    for (size_t i = first; i < array->n; i++) {
        struct firewall_rule *rule = &array->rules[i];

        rule->id = (uint32_t)id;
        if (!entry->in.n)
            continue;
        rule->given |= FIREWALL_GIVEN_INTERFACE;
        memcpy(rule->interfaces, classes, sizeof(classes));
    }
    return 0;
}

int firewall_array_fill(struct firewall *firewall, struct firewall_rules *rules, struct firewall_array *array,
                        struct pcn_error *error)
{
    int r = 0;

    if (rules->n < array->size / 4)
        firewall_array_done(array);
    array->n = array->left_out = 0;
    for (size_t id = 0; id < rules->n && r >= 0; id++) {
        struct firewall_entry *entry = rules->entries[id];

        /* It is there already. */
        if (array->n == id && id < array->size && array->from[id] == entry) {
            array->n++;
            continue;
        }
        r = array_add_rules(firewall, rules, id, array, error);
        if (r >= 0 && array->n == id + 1 && entry_is_plain(entry)) {
            array->from[id] = entry;
            entry->references++;
        }
    }
    /* Who gives the counters back looks whether anybody else has the entry. */
    for (size_t i = array->n; i < array->size; i++)
        firewall_entry_unrefp(&array->from[i]);
    return r;
}
