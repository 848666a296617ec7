/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_set.h"
#include "firewall.h"
#include "firewall_text.h"
#include <stdio.h>

const char *const firewall_set_kinds[FIREWALL_SET_KIND_MAX] = {"prefixes", "ports", "tuples"};

/* ---- what compiling takes ---- */

static void set_forget(struct firewall_set *set)
{
    free(set->prefixes);
    free(set->ranges);
    free(set->groups);
    set->prefixes = NULL;
    set->ranges = NULL;
    set->groups = NULL;
    set->n = 0;
    set->n_groups = 0;
}

struct firewall_set *firewall_set_find(struct firewall_set *sets, const char *name)
{
    struct firewall_set *set;

    HASH_FIND_STR(sets, name, set);
    return set && !set->removed ? set : NULL;
}

static int group_compare(const void *a, const void *b)
{
    const struct firewall_set_entry *first = *(struct firewall_set_entry *const *)a;
    const struct firewall_set_entry *second = *(struct firewall_set_entry *const *)b;

    if (first->protocol != second->protocol)
        return first->protocol - second->protocol;
    if (first->any_port != second->any_port)
        return first->any_port - second->any_port;
    if (first->ports.low != second->ports.low)
        return first->ports.low - second->ports.low;
    return first->ports.high - second->ports.high;
}

/* Tuples of one protocol and port range become one group: its prefixes stand together. */
static int set_group(struct firewall_set *set, struct firewall_set_entry **entries)
{
    set->groups = calloc(set->n + 1, sizeof(*set->groups));
    if (!set->groups)
        return -ENOMEM;
    qsort(entries, set->n, sizeof(struct firewall_set_entry *), group_compare);
    for (uint32_t i = 0; i < set->n; i++) {
        struct firewall_set_group *group;

        set->prefixes[i] = entries[i]->prefix;
        if (i == 0 || group_compare(&entries[i - 1], &entries[i]) != 0) {
            group = &set->groups[set->n_groups++];
            group->protocol = entries[i]->protocol;
            group->any_port = entries[i]->any_port;
            group->ports = entries[i]->ports;
            group->prefixes =
                (struct firewall_prefixes){.items = &set->prefixes[i], .given = true, .serial = firewall_text_serial()};
        }
        set->groups[set->n_groups - 1].prefixes.n++;
    }
    return 0;
}

int firewall_set_fill(struct firewall_set *set)
{
    _cleanup_free_ struct firewall_set_entry **entries = NULL;
    uint32_t size = HASH_COUNT(set->entries) + 1;
    struct firewall_set_entry *entry;

    if (set->prefixes)
        return 0;
    set->prefixes = calloc(size, sizeof(*set->prefixes));
    set->ranges = calloc(size, sizeof(*set->ranges));
    entries = calloc(size, sizeof(struct firewall_set_entry *));
    if (!set->prefixes || !set->ranges || !entries) {
        set_forget(set);
        return -ENOMEM;
    }
    set->serial = firewall_text_serial();
    for (entry = set->entries; entry; entry = entry->hh.next) {
        if (entry->removed)
            continue;
        set->prefixes[set->n] = entry->prefix;
        set->ranges[set->n] = entry->ports;
        entries[set->n++] = entry;
    }
    if (set->kind == FIREWALL_SET_TUPLES && set_group(set, entries) < 0) {
        set_forget(set);
        return -ENOMEM;
    }
    return 0;
}

int firewall_sets_check(const struct firewall_set *sets, struct pcn_error *error)
{
    for (const struct firewall_set *set = sets; set; set = set->hh.next)
        if (!set->removed && set->n_soon > FIREWALL_SET_ENTRIES_MAX)
            return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "sets/entry",
                                 "the set %s would hold %u entries: at most %d are accepted", set->name, set->n_soon,
                                 FIREWALL_SET_ENTRIES_MAX);
    return 0;
}

/* ---- life ---- */

static void entries_settle(struct firewall_set *set, bool applied, bool all)
{
    struct firewall_set_entry *entry, *next;

    HASH_ITER(hh, set->entries, entry, next)
    {
        if (all || (applied ? entry->removed : entry->added)) {
            HASH_DEL(set->entries, entry);
            free(entry);
            continue;
        }
        entry->added = false;
        entry->removed = false;
    }
}

void firewall_sets_settle(struct firewall_set **sets, bool applied)
{
    struct firewall_set *set, *next;

    HASH_ITER(hh, *sets, set, next)
    {
        bool gone = applied ? set->removed : set->added;

        entries_settle(set, applied, gone);
        /* What was made of it is as it is to be now: those that change are forgotten when they do. */
        if (gone || !applied)
            set_forget(set);
        set->n_soon = HASH_COUNT(set->entries);
        set->added = false;
        set->removed = false;
        if (gone) {
            HASH_DEL(*sets, set);
            free(set);
        }
    }
}

void firewall_sets_done(struct firewall_set **sets)
{
    struct firewall_set *set;

    for (set = *sets; set; set = set->hh.next)
        set->removed = true;
    firewall_sets_settle(sets, true);
}

/* ---- configuration ---- */

static int parse_prefix(struct firewall_set_entry *entry, const char *text, const char *path, struct pcn_error *error)
{
    struct firewall_prefixes prefixes = {};
    int r;

    r = firewall_text_prefixes(text, path, &prefixes, error);
    if (r >= 0 && (prefixes.n > 1 || prefixes.negate))
        r = pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "\"%s\" is not accepted: give one, without !", text);
    if (r >= 0)
        entry->prefix = prefixes.items[0];
    free((void *)prefixes.items);
    return r;
}

static int parse_ports(struct firewall_set_entry *entry, const char *text, const char *path, struct pcn_error *error)
{
    struct firewall_ranges ranges = {};
    int r;

    r = firewall_text_ports(text, path, &ranges, error);
    if (r >= 0 && (ranges.n > 1 || ranges.negate))
        r = pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "\"%s\" is not accepted: give one, without !", text);
    if (r >= 0)
        entry->ports = ranges.items[0];
    free((void *)ranges.items);
    return r;
}

static int parse_protocol(struct firewall_set_entry *entry, const char *text, const char *path, struct pcn_error *error)
{
    uint64_t bits[4] = {};
    int r;

    r = firewall_text_protocols(text, path, bits, error);
    for (unsigned int i = 0; r >= 0 && i < 256; i++)
        if (firewall_bit(bits, i))
            entry->protocol = (uint8_t)i;
    return r;
}

/* "prefix,protocol,port", or without the port: all packets of the protocol. */
static int parse_tuple(struct firewall_set_entry *entry, const char *path, struct pcn_error *error)
{
    _cleanup_free_ char *text = strdup(entry->text);
    char *rest = text;
    const char *prefix = strsep(&rest, ","), *protocol = strsep(&rest, ","), *port = strsep(&rest, ",");
    int r;

    if (!text)
        return -ENOMEM;
    if (!protocol || rest || strchr(entry->text, '!'))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "\"%s\" is not accepted: give prefix,protocol,port, such as 10.0.0.0/8,TCP,80, or "
                             "prefix,protocol",
                             entry->text);
    r = parse_prefix(entry, prefix, path, error);
    if (r >= 0)
        r = parse_protocol(entry, protocol, path, error);
    entry->any_port = !port;
    if (r < 0 || entry->any_port)
        return r;
    if (!firewall_protocol_has_ports(entry->protocol))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "\"%s\" is not accepted: TCP, UDP and SCTP have ports, %s has none: give prefix,protocol",
                             entry->text, protocol);
    return parse_ports(entry, port, path, error);
}

static int entry_parse(enum firewall_set_kind kind, struct firewall_set_entry *entry, const char *path,
                       struct pcn_error *error)
{
    switch (kind) {
    case FIREWALL_SET_TUPLES:
        return parse_tuple(entry, path, error);
    case FIREWALL_SET_PORTS:
        return parse_ports(entry, entry->text, path, error);
    default:
        return parse_prefix(entry, entry->text, path, error);
    }
}

static int entry_add(struct firewall_set *set, const char *text, const char *path, struct pcn_error *error)
{
    struct firewall_set_entry *entry;
    size_t size = strlen(text) + 1;
    int r;

    HASH_FIND_STR(set->entries, text, entry);
    if (entry) {
        set->n_soon += entry->removed;
        entry->removed = false;
        return 0;
    }
    entry = calloc(1, sizeof(*entry) + size);
    if (!entry)
        return -ENOMEM;
    memcpy(entry->text, text, size);
    entry->added = true;
    r = entry_parse(set->kind, entry, path, error);
    if (r < 0) {
        free(entry);
        return r;
    }
    HASH_ADD_STR(set->entries, text, entry);
    set->n_soon++;
    return 0;
}

/* The rules are compiled anew, all of them: any may refer to the set. */
static int sets_change(struct firewall *firewall)
{
    int r = 0;

    firewall->sets_changing = true;
    for (int i = 0; i < FIREWALL_CHAIN_MAX && r >= 0; i++)
        r = firewall_chain_change(&firewall->chains[i]);
    return r;
}

int firewall_sets_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct firewall *firewall = pcn_cube_state(cube);
    struct firewall_set *set;
    const char *kind;
    int r;

    r = sets_change(firewall);
    if (r < 0)
        return r;
    HASH_FIND_STR(firewall->sets, change->keys[0], set);
    if (!change->after) {
        if (set)
            set->removed = true;
        return 0;
    }
    if (!set) {
        set = calloc(1, sizeof(*set));
        if (!set)
            return -ENOMEM;
        (void)snprintf(set->name, sizeof(set->name), "%s", change->keys[0]);
        set->added = true;
        HASH_ADD_STR(firewall->sets, name, set);
    }
    set_forget(set);
    set->removed = false;
    kind = pcn_node_string(change->after, "kind");
    for (int i = 0; i < FIREWALL_SET_KIND_MAX; i++)
        if (pcn_streq(kind, firewall_set_kinds[i]))
            set->kind = (enum firewall_set_kind)i;
    return 0;
}

int firewall_sets_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct firewall *firewall = pcn_cube_state(cube);
    struct firewall_set_entry *entry;
    struct firewall_set *set;
    char path[64];
    int r;

    r = sets_change(firewall);
    if (r < 0)
        return r;
    HASH_FIND_STR(firewall->sets, change->keys[0], set);
    if (!set)
        return change->after ? -ENOENT : 0;
    /* Marks that compiling has seen before are gone with what it made of them. */
    set_forget(set);
    if (change->after) {
        (void)snprintf(path, sizeof(path), "sets/%s/entry", set->name);
        return entry_add(set, change->keys[1], path, error);
    }
    HASH_FIND_STR(set->entries, change->keys[1], entry);
    if (entry) {
        set->n_soon -= !entry->removed;
        entry->removed = true;
    }
    return 0;
}
