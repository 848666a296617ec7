/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all rules want of each field, kept from one plan to the next: of most changes all rules but one are what they were,
 * and reading all of them again would take longer than anything else.
 */
#include "firewall_compile_private.h"

/* So many rules may be others than before: taking one out of a set goes through that. */
#define FOLLOWED_MAX 16
/* Room beyond what was there when all rules were read: for rules, and for sets, of which those that nobody is in stay. */
#define ROOM 64
/* As many intervals again may come, and so many more: those of sets that nobody is in stay. */
#define INTERVALS_MORE 4096

/* ---- sets ---- */

static bool set_is(const struct firewall_values *set, const uint64_t *key)
{
    return memcmp(set->key, key, sizeof(set->key)) == 0;
}

/* The set of this key, which is often that of the rule before; a new one has no intervals yet. */
static struct firewall_values *field_set(struct firewall_field *field, const uint64_t *key, bool *ret_new)
{
    uint32_t i;

    *ret_new = false;
    if (field->n_sets && set_is(&field->sets[field->last], key))
        return &field->sets[field->last];
    i = (uint32_t)firewall_hash(key, FIREWALL_KEY_WORDS) & field->index.mask;
    for (; field->index.slots[i]; i = (i + 1) & field->index.mask) {
        field->last = field->index.slots[i] - 1;
        if (set_is(&field->sets[field->last], key))
            return &field->sets[field->last];
    }
    field->sets[field->n_sets] = (struct firewall_values){.rule = FIREWALL_END, .first = field->n_intervals};
    memcpy(field->sets[field->n_sets].key, key, sizeof(field->sets->key));
    field->last = field->n_sets++;
    field->index.slots[i] = field->n_sets;
    *ret_new = true;
    return &field->sets[field->last];
}

static int field_add(struct firewall_field *field, enum firewall_field_kind kind, const struct firewall_rule *rule,
                     uint32_t number)
{
    uint64_t key[FIREWALL_KEY_WORDS] = {};
    struct firewall_values *set;
    bool fresh;
    int r;

    if (!firewall_field_key(kind, rule, key))
        return 0;
    field->any[number / 64] &= ~(1ull << number % 64);
    field->n_given++;
    set = field_set(field, key, &fresh);
    field->next[number] = set->rule;
    set->rule = number;
    field->set_of[number] = field->last + 1;
    if (!fresh)
        return 0;
    r = firewall_field_want(field, kind, rule, key);
    set->n = field->n_intervals - set->first;
    return r;
}

/* The rule wants nothing of it any more. Of a set that nobody is in the intervals stay, and no key finds it. */
static void field_drop(struct firewall_field *field, uint32_t number)
{
    struct firewall_values *set = &field->sets[field->set_of[number] - 1];
    uint32_t *link = &set->rule;

    while (*link != number)
        link = &field->next[*link];
    *link = field->next[number];
    field->set_of[number] = 0;
    field->any[number / 64] |= 1ull << number % 64;
    field->n_given--;
    if (set->rule != FIREWALL_END)
        return;
    set->n = 0;
    memset(set->key, 0xff, sizeof(set->key));
}

/* ---- all rules, read for the first time ---- */

/* No rule says anything of it, yet: all match all its values. */
static void field_open(struct firewall_field *field, enum firewall_field_kind kind, uint32_t n_rules)
{
    *field = (struct firewall_field){.max = firewall_field_max(kind), .n_rules = n_rules, .index.mask = 1};
    memset(field->any, 0xff, n_rules / 64 * sizeof(*field->any));
    if (n_rules % 64)
        field->any[n_rules / 64] = (1ull << n_rules % 64) - 1;
}

static void field_close(struct firewall_field *field)
{
    free(field->next);
    free(field->set_of);
    free(field->sets);
    free(field->index.slots);
    free(field->intervals);
}

/* Room for what rules want of it. */
static int field_name(struct firewall_field *field, uint32_t room)
{
    while (field->index.mask < 2 * room)
        field->index.mask = field->index.mask * 2 + 1;
    field->next = calloc(room, sizeof(*field->next));
    field->set_of = calloc(room, sizeof(*field->set_of));
    field->sets = calloc(room, sizeof(*field->sets));
    field->index.slots = calloc((size_t)field->index.mask + 1, sizeof(*field->index.slots));
    return field->next && field->set_of && field->sets && field->index.slots ? 0 : -ENOMEM;
}

/* A rule that is in no set yet. Fields of which it is the first to say something get room for that. */
static int fields_add(struct firewall_fields *fields, const struct firewall_rule *rule, uint32_t number)
{
    uint32_t kinds = firewall_rule_fields(rule), unnamed = kinds & ~fields->named;
    int r = 0;

    for (; unnamed && r >= 0; unnamed &= unnamed - 1)
        r = field_name(&fields->items[__builtin_ctz(unnamed)], fields->room);
    fields->named |= kinds;
    fields->stamps[number] = rule->stamp;
    for (; kinds && r >= 0; kinds &= kinds - 1) {
        enum firewall_field_kind kind = (enum firewall_field_kind)__builtin_ctz(kinds);

        if (!fields->items[kind].set_of[number])
            r = field_add(&fields->items[kind], kind, rule, number);
    }
    return r;
}

void firewall_fields_done(struct firewall_fields *fields)
{
    for (int kind = 0; kind < FIREWALL_FIELD_MAX; kind++)
        field_close(&fields->items[kind]);
    free(fields->stamps);
    *fields = (struct firewall_fields){};
}

static int fields_read(struct firewall_fields *fields, const struct firewall_rule *rules, uint32_t n)
{
    int r = 0;

    firewall_fields_done(fields);
    fields->n = n;
    fields->room = n + ROOM;
    fields->stamps = calloc(fields->room, sizeof(*fields->stamps));
    if (!fields->stamps)
        return -ENOMEM;
    for (int kind = 0; kind < FIREWALL_FIELD_MAX; kind++)
        field_open(&fields->items[kind], (enum firewall_field_kind)kind, n);
    /* Rule by rule: they come from memory once. */
    for (uint32_t i = 0; i < n && r >= 0; i++)
        r = fields_add(fields, &rules[i], i);
    for (int kind = 0; kind < FIREWALL_FIELD_MAX; kind++)
        fields->items[kind].n_intervals_read = fields->items[kind].n_intervals;
    return r;
}

/* ---- some of them, read again ---- */

/* Numbers of the rules that are not what they were, or that were not there: how many. More than FOLLOWED_MAX: too many. */
static uint32_t fields_others(const struct firewall_fields *fields, const struct firewall_rule *rules, uint32_t n,
                              uint32_t numbers[FOLLOWED_MAX])
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (i < fields->n && rules[i].stamp && rules[i].stamp == fields->stamps[i])
            continue;
        if (found == FOLLOWED_MAX)
            return FOLLOWED_MAX + 1;
        numbers[found++] = i;
    }
    return found;
}

static bool fields_have_room(const struct firewall_fields *fields, uint32_t n, uint32_t n_others)
{
    if (!fields->stamps || n > fields->room || n_others > FOLLOWED_MAX || n + FOLLOWED_MAX < fields->n)
        return false;
    for (uint32_t kinds = fields->named; kinds; kinds &= kinds - 1) {
        const struct firewall_field *field = &fields->items[__builtin_ctz(kinds)];

        if (field->n_sets + n_others > fields->room ||
            field->n_intervals > 2 * field->n_intervals_read + INTERVALS_MORE)
            return false;
    }
    return true;
}

/*
 * Takes a rule out of the sets that it is not to stay in: NULL, out of all. Items that are known by where they stand in
 * memory may have made room for others there: whatever may be such a key, a few bitmaps too, is read again.
 */
static uint32_t fields_drop(struct firewall_fields *fields, const struct firewall_rule *rule, uint32_t number)
{
    uint32_t changed = 0;

    for (uint32_t kinds = fields->named; kinds; kinds &= kinds - 1) {
        enum firewall_field_kind kind = (enum firewall_field_kind)__builtin_ctz(kinds);
        struct firewall_field *field = &fields->items[kind];
        uint64_t key[FIREWALL_KEY_WORDS] = {};
        bool given = rule && firewall_field_key(kind, rule, key);

        if (!field->set_of[number]) {
            changed |= (uint32_t)given << kind;
            continue;
        }
        if (given && key[3] != FIREWALL_KEY_OF_LIST && set_is(&field->sets[field->set_of[number] - 1], key))
            continue;
        field_drop(field, number);
        changed |= 1u << kind;
    }
    return changed;
}

/* As many rules as that. All vectors become others. */
static void fields_resize(struct firewall_fields *fields, uint32_t n)
{
    for (uint32_t i = n; i < fields->n; i++)
        (void)fields_drop(fields, NULL, i);
    for (int kind = 0; kind < FIREWALL_FIELD_MAX; kind++) {
        struct firewall_field *field = &fields->items[kind];

        for (uint32_t i = n; i < fields->n; i++)
            field->any[i / 64] &= ~(1ull << i % 64);
        for (uint32_t i = fields->n; i < n; i++)
            field->any[i / 64] |= 1ull << i % 64;
        field->n_rules = n;
    }
    fields->n = n;
}

int firewall_fields_follow(struct firewall_fields *fields, const struct firewall_rule *rules, uint32_t n,
                           uint32_t *ret_changed)
{
    uint32_t numbers[FOLLOWED_MAX], n_others = fields_others(fields, rules, n, numbers), changed = 0;
    int r = 0;

    *ret_changed = FIREWALL_FIELDS_ANEW;
    if (!fields_have_room(fields, n, n_others))
        return fields_read(fields, rules, n);
    if (n != fields->n) {
        fields_resize(fields, n);
        changed = FIREWALL_FIELDS_ALL;
    }
    for (uint32_t i = 0; i < n_others; i++)
        changed |= fields_drop(fields, &rules[numbers[i]], numbers[i]) |
                   (firewall_rule_fields(&rules[numbers[i]]) & ~fields->named);
    for (uint32_t i = 0; i < n_others && r >= 0; i++)
        r = fields_add(fields, &rules[numbers[i]], numbers[i]);
    *ret_changed = changed;
    return r;
}

uint64_t firewall_field_signature(const struct firewall_field *field)
{
    uint64_t hash = firewall_hash(field->any, (field->n_rules + 63) / 64) ^ field->n_rules;

    for (uint32_t i = 0; i < field->n_sets; i++) {
        const struct firewall_values *set = &field->sets[i];

        hash = (hash ^ set->n) * 0x9e3779b97f4a7c15ull;
        if (set->n)
            hash ^= firewall_hash((const uint64_t *)(const void *)&field->intervals[set->first],
                                  set->n * sizeof(*field->intervals) / sizeof(uint64_t));
        for (uint32_t rule = set->rule; rule != FIREWALL_END; rule = field->next[rule])
            hash = (hash ^ hash >> 29 ^ rule) * 0xd6e8feb86659fd93ull;
    }
    return hash | 1;
}
