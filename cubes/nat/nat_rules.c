/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: from the model to a list, and when the transaction is whole, from what was compiled of it to the fast path. */
#include "nat.h"
#include "nat_model.h"
#include <arpa/inet.h>
#include <stdio.h>

#define POOL_MAX 65536u

/* The model let no other text through. Host order. */
static uint32_t address_parse(const char *text)
{
    char address[INET_ADDRSTRLEN];
    struct in_addr parsed = {};

    (void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "/"), text);
    (void)inet_pton(AF_INET, address, &parsed);
    return ntohl(parsed.s_addr);
}

/* An address that a host can have. */
static int host_parse(const struct pcn_node *node, const char *leaf, const char *path, uint32_t *ret_address,
                      struct pcn_error *error)
{
    const char *text = pcn_node_string(node, leaf);
    uint32_t address = address_parse(text);

    if (address >> 24 == 0 || address >> 24 == 127 || address >> 24 >= 224)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s %s is not the address of a host", leaf, text);
    *ret_address = address;
    return 0;
}

/* ---- a rule from the model ---- */

static int snat_pool(const struct pcn_node *node, const char *path, struct nat_rule *rule, struct pcn_error *error)
{
    uint32_t last = rule->address;
    int r = 0;

    if (pcn_node_string(node, "external-ip-last"))
        r = host_parse(node, "external-ip-last", path, &last, error);
    if (r < 0)
        return r;
    if (last < rule->address || last - rule->address >= POOL_MAX)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "external-ip-last must not be below external-ip, nor a pool of more than %u addresses",
                             POOL_MAX);
    rule->n_addresses = last - rule->address + 1;
    rule->first = (uint16_t)pcn_node_uint(node, "port-first", 0);
    rule->last = (uint16_t)pcn_node_uint(node, "port-last", 0);
    if (!rule->first != !rule->last || rule->last < rule->first)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "port-first and port-last are given together, the smaller one first");
    return 0;
}

static uint32_t net_parse(const struct pcn_node *node, const char *leaf, uint8_t *ret_length)
{
    const char *net = pcn_node_string(node, leaf);
    uint8_t length = (uint8_t)strtoul(net + strcspn(net, "/") + 1, NULL, 10);

    *ret_length = length;
    return length ? address_parse(net) & ~(uint32_t)(0xffffffffull >> length) : 0;
}

static int line_netmap(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    uint8_t length;

    line->key = net_parse(node, "internal-net", &line->length);
    line->rule.address = net_parse(node, "external-net", &length);
    if (length == line->length)
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                         "internal-net and external-net are of the same size: /%u and /%u are not", line->length,
                         length);
}

static int line_exempt(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    line->key = net_parse(node, "external-net", &line->length);
    return 0;
}

static int line_snat(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    int r;

    line->key = net_parse(node, "internal-net", &line->length);
    r = host_parse(node, "external-ip", path, &line->rule.address, error);
    return r < 0 ? r : snat_pool(node, path, &line->rule, error);
}

static int line_dnat(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    int r = host_parse(node, "external-ip", path, &line->key, error);

    line->rule.n_addresses = 1;
    return r < 0 ? r : host_parse(node, "internal-ip", path, &line->rule.address, error);
}

static int line_forwarding(const struct pcn_node *node, const char *path, struct nat_line *line,
                           struct pcn_error *error)
{
    const char *protocol = pcn_node_string(node, "proto");
    struct nat_rule *rule = &line->rule;
    int r = line_dnat(node, path, line, error);

    if (r < 0)
        return r;
    rule->first = (uint16_t)pcn_node_uint(node, "external-port", 0);
    rule->last = (uint16_t)pcn_node_uint(node, "external-port-last", rule->first);
    rule->internal = (uint16_t)pcn_node_uint(node, "internal-port", 0);
    line->tcp = !protocol || protocol[0] == 'T' || protocol[0] == 't';
    line->udp = !protocol || !line->tcp;
    if (rule->last < rule->first || rule->internal + (rule->last - rule->first) > UINT16_MAX)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "external-port-last must not be below external-port, and as many ports inside must not "
                             "end above 65535");
    return 0;
}

/* ---- the list ---- */

static int nat_change(struct nat *nat)
{
    if (nat->changing)
        return 0;
    nat->next.lines = calloc(nat->now.n + 1, sizeof(*nat->next.lines));
    if (!nat->next.lines)
        return -ENOMEM;
    nat->next.n = nat->now.n;
    if (nat->now.n)
        memcpy(nat->next.lines, nat->now.lines, nat->now.n * sizeof(*nat->now.lines));
    nat->changing = true;
    return 0;
}

static void config_remove(struct nat_config *config, uint8_t kind, uint32_t id)
{
    for (size_t i = 0; i < config->n; i++) {
        if (config->lines[i].rule.kind != kind || config->lines[i].rule.id != id)
            continue;
        config->lines[i] = config->lines[--config->n];
        return;
    }
}

static int config_add(struct nat_config *config, const struct nat_line *line)
{
    struct nat_line *lines = realloc(config->lines, (config->n + 1) * sizeof(*lines));

    if (!lines)
        return -ENOMEM;
    config->lines = lines;
    lines[config->n++] = *line;
    return 0;
}

static void nat_abandon(struct pcn_cube *cube)
{
    struct nat *nat = pcn_cube_state(cube);

    free(nat->next.lines);
    nat->next = (struct nat_config){};
    nat_tables_done(&nat->tables);
    nat->changing = false;
}

static int rule_prepare(struct pcn_cube *cube, struct pcn_change *change, uint8_t kind, struct pcn_error *error)
{
    static int (*const readers[NAT_KIND_MAX])(const struct pcn_node *node, const char *path, struct nat_line *line,
                                              struct pcn_error *error) = {
        [NAT_SNAT] = line_snat,     [NAT_DNAT] = line_dnat,     [NAT_PORT_FORWARDING] = line_forwarding,
        [NAT_NETMAP] = line_netmap, [NAT_EXEMPT] = line_exempt,
    };
    struct nat *nat = pcn_cube_state(cube);
    struct nat_line line = {.rule = {.kind = kind}};
    char path[64];
    int r;

    line.rule.id = (uint32_t)strtoul(change->keys[0], NULL, 10);
    r = nat_change(nat);
    if (r < 0)
        return r;
    if (change->before)
        config_remove(&nat->next, kind, line.rule.id);
    if (!change->after)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/%s", change->path, change->keys[0]);
    r = readers[kind](change->after, path, &line, error);
    return r < 0 ? r : config_add(&nat->next, &line);
}

int nat_rule_snat_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_SNAT, error);
}

void nat_rule_snat_entry_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    nat_abandon(cube);
}

int nat_rule_dnat_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_DNAT, error);
}

void nat_rule_dnat_entry_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    nat_abandon(cube);
}

int nat_rule_port_forwarding_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_PORT_FORWARDING, error);
}

void nat_rule_port_forwarding_entry_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    nat_abandon(cube);
}

int nat_rule_netmap_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_NETMAP, error);
}

void nat_rule_netmap_entry_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    nat_abandon(cube);
}

int nat_rule_exempt_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_EXEMPT, error);
}

void nat_rule_exempt_entry_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    nat_abandon(cube);
}

int nat_rule_masquerade_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    const struct nat_line line = {.rule = {.kind = NAT_MASQUERADE}};
    struct nat *nat = pcn_cube_state(cube);
    int r = nat_change(nat);

    if (r < 0)
        return r;
    config_remove(&nat->next, NAT_MASQUERADE, 0);
    return pcn_node_bool(change->after, "enabled", false) ? config_add(&nat->next, &line) : 0;
}

void nat_rule_masquerade_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    nat_abandon(cube);
}

/* ---- into force ---- */

int nat_rules_prepared(struct pcn_cube *cube, struct pcn_error *error)
{
    struct nat *nat = pcn_cube_state(cube);

    if (!nat->changing)
        return 0;
    nat_tables_done(&nat->tables);
    return nat_compile(&nat->next, &nat->tables, error);
}

void nat_rules_applied(struct pcn_cube *cube)
{
    struct nat *nat = pcn_cube_state(cube);
    uint32_t generation = !nat->settings->generation;

    if (!nat->changing)
        return;
    memcpy(nat->rules + (size_t)generation * NAT_RULES_MAX, nat->tables.rules,
           nat->tables.n_rules * sizeof(*nat->rules));
    for (int table = 0; table < NAT_TABLE_MAX; table++) {
        memcpy(nat->ranges + (size_t)generation * NAT_RANGES_MAX + nat_ranges_of((uint32_t)table),
               nat->tables.ranges[table], nat->tables.n_ranges[table] * sizeof(*nat->ranges));
        nat->settings->n_ranges[generation][table] = (uint32_t)nat->tables.n_ranges[table];
    }
    __atomic_store_n(&nat->settings->generation, generation, __ATOMIC_RELEASE);
    free(nat->now.lines);
    nat->now = nat->next;
    nat->next = (struct nat_config){};
    nat_tables_done(&nat->tables);
    nat->changing = false;
}

void nat_rules_done(struct nat *nat)
{
    free(nat->now.lines);
    free(nat->next.lines);
    nat_tables_done(&nat->tables);
}
