/* SPDX-License-Identifier: Apache-2.0 */
/* A rule: from the model's leaves to what the compiler takes. */
#include "firewall.h"
#include "firewall_text.h"
#include <stdio.h>

static const char *const leaves[] = {"src",       "dst",      "l4proto",      "sport",         "dport",
                                     "dst-tuple", "tcpflags", "icmp-type",    "icmpv6-type",   "conntrack",
                                     "dscp",      "fragment", "in-interface", "out-interface", "action",
                                     "rate",      "burst",    "description"};

const char *const firewall_action_names[FIREWALL_ACTION_MAX] = {"ACCEPT", "DROP", "REJECT", "LOG"};

/* ---- fields ---- */

/* Without the quotation marks around it. at: where it goes, or NULL. Returns its length. */
static size_t json_text(const char *text, char *at)
{
    char escaped[8];
    size_t size = 0, n;

    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        n = 1;
        escaped[0] = (char)*p;
        if (*p == '"' || *p == '\\')
            n = (size_t)snprintf(escaped, sizeof(escaped), "\\%c", *p);
        else if (*p < 0x20)
            n = (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", *p);
        if (at)
            memcpy(at + size, escaped, n);
        size += n;
    }
    return size;
}

/* A stream would do, but it takes 8 kB for each rule, by which free memory is tidied up each time. */
int firewall_entry_fields(const struct pcn_node *fields, char **ret_fields)
{
    const char *values[PCN_ARRAY_SIZE(leaves)];
    size_t size = 1;
    char *at;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(leaves); i++) {
        values[i] = pcn_node_string(fields, leaves[i]);
        if (values[i])
            size += strlen(leaves[i]) + json_text(values[i], NULL) + strlen(", \"\": \"\"");
    }
    *ret_fields = at = malloc(size);
    if (!at)
        return -ENOMEM;
    *at = '\0';
    for (size_t i = 0; i < PCN_ARRAY_SIZE(leaves); i++) {
        if (!values[i])
            continue;
        if (at > *ret_fields)
            at = stpcpy(at, ", ");
        at = stpcpy(stpcpy(stpcpy(at, "\""), leaves[i]), "\": \"");
        at += json_text(values[i], at);
        at = stpcpy(at, "\"");
    }
    return 0;
}

/* Numbers as numbers: ports may be the one or the other. */
static void emit_field(struct pcn_emitter *emitter, const char *leaf, const char *text)
{
    if (text[strspn(text, "0123456789")] == '\0' && text[0] && strlen(text) < 8 &&
        (pcn_streq(leaf, "sport") || pcn_streq(leaf, "dport") || pcn_streq(leaf, "rate") || pcn_streq(leaf, "burst")))
        pcn_emit_uint(emitter, leaf, strtoul(text, NULL, 10));
    else
        pcn_emit_string(emitter, leaf, text);
}

bool firewall_entry_text(const struct firewall_entry *entry, const char *leaf, char *ret_text, size_t size)
{
    char wanted[32];
    const char *at;

    (void)snprintf(wanted, sizeof(wanted), "\"%s\": \"", leaf);
    at = strstr(entry->fields, wanted);
    at = at ? at + strlen(wanted) : "";
    (void)snprintf(ret_text, size, "%.*s", (int)strcspn(at, "\""), at);
    return at[0];
}

void firewall_entry_emit(const struct firewall_entry *entry, struct pcn_emitter *emitter)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(leaves); i++) {
        char text[FIREWALL_TEXT_MAX + 1];

        /* It may hold quotation marks. */
        if (pcn_streq(leaves[i], "description"))
            pcn_emit_string(emitter, "description", entry->description);
        else if (firewall_entry_text(entry, leaves[i], text, sizeof(text)) && !pcn_streq(leaves[i], "action"))
            emit_field(emitter, leaves[i], text);
    }
    pcn_emit_string(emitter, "action", firewall_action_names[entry->rule.action]);
}

/* ---- what it matches ---- */

static enum firewall_action read_action(const char *text)
{
    if (!text)
        return FIREWALL_DROP;
    for (int i = 0; i < FIREWALL_ACTION_MAX; i++) {
        if (pcn_streq(text, firewall_action_names[i]))
            return (enum firewall_action)i;
    }
    return pcn_streq(text, "FORWARD") ? FIREWALL_ACCEPT : FIREWALL_DROP;
}

static uint8_t read_fragment(const char *text)
{
    if (pcn_streq(text, "NONE"))
        return 1 << PCN_FRAGMENT_NONE;
    if (pcn_streq(text, "FIRST"))
        return 1 << PCN_FRAGMENT_FIRST;
    if (pcn_streq(text, "LATER"))
        return 1 << PCN_FRAGMENT_LATER;
    return 1 << PCN_FRAGMENT_FIRST | 1 << PCN_FRAGMENT_LATER;
}

#define LOG_RATE 10
#define LOG_BURST 20
#define BURST_MIN 5u

static void read_rate(struct firewall_rule *rule, const struct pcn_node *node)
{
    bool log = rule->action == FIREWALL_LOG;
    uint32_t burst;

    rule->rate = (uint32_t)pcn_node_uint(node, "rate", log ? LOG_RATE : 0);
    burst = pcn_node_string(node, "rate") || !log ? PCN_MAX(rule->rate / 10, BURST_MIN) : LOG_BURST;
    rule->burst = (uint16_t)pcn_node_uint(node, "burst", PCN_MIN(burst, UINT16_MAX));
}

typedef int read_leaf(struct firewall_rule *rule, const char *text, const char *path, struct pcn_error *error);

#define LIST(name_, read_, member_)                                                                                    \
    static int name_(struct firewall_rule *rule, const char *text, const char *path, struct pcn_error *error)          \
    {                                                                                                                  \
        return read_(text, path, &rule->member_, error);                                                               \
    }
#define BITS(name_, read_, member_, given_)                                                                            \
    static int name_(struct firewall_rule *rule, const char *text, const char *path, struct pcn_error *error)          \
    {                                                                                                                  \
        rule->given |= (given_);                                                                                       \
        return read_(text, path, member_, error);                                                                      \
    }

LIST(read_source, firewall_text_prefixes, source)
LIST(read_destination, firewall_text_prefixes, destination)
LIST(read_source_ports, firewall_text_ports, source_ports)
LIST(read_destination_ports, firewall_text_ports, destination_ports)
LIST(read_icmp, firewall_text_icmp, icmp)
LIST(read_icmpv6, firewall_text_icmp, icmpv6)
BITS(read_protocols, firewall_text_protocols, rule->protocol, FIREWALL_GIVEN_PROTOCOL)
BITS(read_tcp_flags, firewall_text_tcp_flags, rule->tcp_flags, FIREWALL_GIVEN_TCP_FLAGS)
BITS(read_states, firewall_text_states, &rule->state, FIREWALL_GIVEN_STATE)
BITS(read_dscp, firewall_text_dscp, &rule->dscp, FIREWALL_GIVEN_DSCP)

/* By enum firewall_set_field. */
static const char *const set_leaves[FIREWALL_BY_MAX] = {"src", "dst", "sport", "dport", "dst-tuple"};

/* @name, !@name: to be found when the rules are compiled. 0: it is none; 1: it was taken. */
static int read_set(struct firewall_entry *entry, const char *leaf, const char *text)
{
    bool negate = text[0] == '!';

    if (text[negate] != '@')
        return 0;
    for (size_t i = 0; i < FIREWALL_BY_MAX; i++) {
        if (!pcn_streq(leaf, set_leaves[i]))
            continue;
        entry->rule.source.negate |= negate && i == FIREWALL_BY_SOURCE;
        entry->rule.destination.negate |= negate && i == FIREWALL_BY_DESTINATION;
        entry->rule.source_ports.negate |= negate && i == FIREWALL_BY_SOURCE_PORT;
        entry->rule.destination_ports.negate |= negate && i == FIREWALL_BY_DESTINATION_PORT;
        entry->sets[i] = strdup(text + negate + 1);
        return entry->sets[i] ? 1 : -ENOMEM;
    }
    return 0;
}

static const struct {
    const char *leaf;
    read_leaf *read; /* NULL: a set alone */
} fields[] = {
    {"src", read_source},
    {"dst", read_destination},
    {"l4proto", read_protocols},
    {"sport", read_source_ports},
    {"dport", read_destination_ports},
    {"tcpflags", read_tcp_flags},
    {"icmp-type", read_icmp},
    {"icmpv6-type", read_icmpv6},
    {"conntrack", read_states},
    {"dscp", read_dscp},
    {"dst-tuple", NULL},
};

static int entry_read_names(struct firewall_names *names, const struct pcn_node *node, const char *leaf,
                            const char *base, struct pcn_error *error)
{
    const char *text = pcn_node_string(node, leaf);
    char path[256];

    (void)snprintf(path, sizeof(path), "%s%s%s", base, base[0] ? "/" : "", leaf);
    return text ? firewall_text_interfaces(text, path, names, error) : 0;
}

static int entry_read(struct firewall_entry *entry, const struct pcn_node *node, const char *base,
                      struct pcn_error *error)
{
    const char *text = pcn_node_string(node, "fragment");
    int r;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(fields); i++) {
        const char *value = pcn_node_string(node, fields[i].leaf);
        char path[256];

        if (!value)
            continue;
        r = read_set(entry, fields[i].leaf, value);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s%s%s", base, base[0] ? "/" : "", fields[i].leaf);
        r = fields[i].read(&entry->rule, value, path, error);
        if (r < 0)
            return r;
    }
    r = entry_read_names(&entry->in, node, "in-interface", base, error);
    if (r >= 0)
        r = entry_read_names(&entry->out, node, "out-interface", base, error);
    if (r < 0)
        return r;
    if (text) {
        entry->rule.given |= FIREWALL_GIVEN_FRAGMENT;
        entry->rule.fragment = read_fragment(text);
    }
    entry->rule.action = (uint8_t)read_action(pcn_node_string(node, "action"));
    if (pcn_node_string(node, "burst") && !pcn_node_string(node, "rate") && entry->rule.action != FIREWALL_LOG) {
        char path[256];

        (void)snprintf(path, sizeof(path), "%s%sburst", base, base[0] ? "/" : "");
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path, "burst is of a rate: give rate, too");
    }
    read_rate(&entry->rule, node);
    text = pcn_node_string(node, "description");
    entry->description = text ? strdup(text) : NULL;
    return text && !entry->description ? -ENOMEM : firewall_entry_fields(node, &entry->fields);
}

void firewall_entry_unrefp(struct firewall_entry **ptr)
{
    struct firewall_entry *entry = TAKE_PTR(*ptr);

    if (!entry || --entry->references)
        return;
    free((void *)entry->rule.source.items);
    free((void *)entry->rule.destination.items);
    free((void *)entry->rule.source_ports.items);
    free((void *)entry->rule.destination_ports.items);
    free((void *)entry->rule.icmp.items);
    free((void *)entry->rule.icmpv6.items);
    for (size_t i = 0; i < FIREWALL_BY_MAX; i++)
        free(entry->sets[i]);
    free(entry->in.items);
    free(entry->out.items);
    free(entry->fields);
    free(entry->description);
    free(entry);
}

int firewall_entry_new(const struct pcn_node *node, const char *path, struct firewall_entry **ret_entry,
                       struct pcn_error *error)
{
    _cleanup_(firewall_entry_unrefp) struct firewall_entry *entry = calloc(1, sizeof(*entry));
    int r;

    if (!entry)
        return -ENOMEM;
    entry->references = 1;
    r = entry_read(entry, node, path, error);
    if (r < 0)
        return r;
    *ret_entry = TAKE_PTR(entry);
    return 0;
}
