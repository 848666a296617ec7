/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: from the model to a list, and when the transaction is whole, from what was compiled of it to the fast path. */
#include "nat.h"
#include "nat_model.h"
#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>

#define POOL_MAX 65536u

/* An address of either family, in host order. */
struct address {
    uint8_t version;
    uint32_t v4;
    struct nat_wide v6;
};

/* The model let no other text through. */
static struct address address_parse(const char *text)
{
    struct address address = {.version = strchr(text, ':') ? 6 : 4};
    char plain[INET6_ADDRSTRLEN];
    uint64_t words[2] = {};
    struct in_addr parsed = {};

    (void)snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(text, "/"), text);
    if (address.version == 6)
        (void)inet_pton(AF_INET6, plain, words);
    else
        (void)inet_pton(AF_INET, plain, &parsed);
    address.v4 = ntohl(parsed.s_addr);
    address.v6 = (struct nat_wide){be64toh(words[0]), be64toh(words[1])};
    return address;
}

static bool is_host(const struct address *address)
{
    if (address->version == 4)
        return address->v4 >> 24 != 0 && address->v4 >> 24 != 127 && address->v4 >> 24 < 224;
    /* The unspecified one, loopback, of a link, groups. */
    return (address->v6.high || address->v6.low > 1) && address->v6.high >> 54 != 0xfe80 >> 6 &&
           address->v6.high >> 56 != 0xff;
}

/* An address that a host can have, of the rule's family, if that is known. */
static int host_parse(const struct pcn_node *node, const char *leaf, const char *path, struct nat_line *line,
                      struct address *ret_address, struct pcn_error *error)
{
    const char *text = pcn_node_string(node, leaf);
    struct address address = address_parse(text);

    if (!is_host(&address))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path, "%s %s is not the address of a host", leaf, text);
    if (line->rule.version && line->rule.version != address.version)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "%s %s is of IPv%u, and the rule of IPv%u: a rule is of one family", leaf, text,
                             address.version, line->rule.version);
    line->rule.version = address.version;
    *ret_address = address;
    return 0;
}

/* ---- a rule from the model ---- */

/* Addresses from one to another, less one; POOL_MAX or more: too many, or backwards. */
static uint64_t addresses_between(const struct address *first, const struct address *last)
{
    if (first->version == 4)
        return last->v4 < first->v4 ? POOL_MAX : last->v4 - first->v4;
    if (last->v6.high - first->v6.high != (last->v6.low < first->v6.low))
        return POOL_MAX;
    return last->v6.low - first->v6.low;
}

static int snat_pool(const struct pcn_node *node, const char *path, const struct address *first, struct nat_line *line,
                     struct pcn_error *error)
{
    struct nat_rule *rule = &line->rule;
    struct address last = *first;
    uint64_t n;
    int r = 0;

    if (pcn_node_string(node, "external-ip-last"))
        r = host_parse(node, "external-ip-last", path, line, &last, error);
    if (r < 0)
        return r;
    n = addresses_between(first, &last);
    if (n >= POOL_MAX)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "external-ip-last must not be below external-ip, nor a pool of more than %u addresses",
                             POOL_MAX);
    rule->n_addresses = (uint32_t)n + 1;
    rule->first = (uint16_t)pcn_node_uint(node, "port-first", 0);
    rule->last = (uint16_t)pcn_node_uint(node, "port-last", 0);
    if (!rule->first != !rule->last || rule->last < rule->first)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "port-first and port-last are given together, the smaller one first");
    return 0;
}

/* A network, without the bits of a host. */
static struct address net_parse(const struct pcn_node *node, const char *leaf, uint8_t *ret_length)
{
    const char *net = pcn_node_string(node, leaf);
    uint8_t length = (uint8_t)strtoul(net + strcspn(net, "/") + 1, NULL, 10);
    struct address address = address_parse(net);
    struct nat_wide hosts = nat_wide_hosts(length);

    if (address.version == 4)
        address.v4 = length ? address.v4 & ~(uint32_t)(0xffffffffull >> length) : 0;
    address.v6.high &= ~hosts.high;
    address.v6.low &= ~hosts.low;
    *ret_length = length;
    return address;
}

static void key_set(struct nat_line *line, const struct address *address)
{
    line->rule.version = address->version;
    line->key = address->v4;
    line->wide = address->v6;
}

static void rule_address(struct nat_line *line, const struct address *address)
{
    line->rule.address = address->v4;
    line->rule.wide = address->v6;
}

static int line_netmap(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    struct address inside = net_parse(node, "internal-net", &line->length), outside;
    uint8_t length;

    outside = net_parse(node, "external-net", &length);
    key_set(line, &inside);
    rule_address(line, &outside);
    line->rule.length = length;
    if (inside.version != outside.version)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "internal-net and external-net are of one family, IPv4 or IPv6");
    if (length == line->length)
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                         "internal-net and external-net are of the same size: /%u and /%u are not", line->length,
                         length);
}

static int line_nptv6(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    int r = line_netmap(node, path, line, error);

    if (r < 0)
        return r;
    if (line->rule.version != 6 || line->length < 16 || line->length > 64)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "internal-net and external-net are IPv6 prefixes of /16 to /64");
    return 0;
}

static int line_exempt(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    struct address net = net_parse(node, "external-net", &line->length);

    key_set(line, &net);
    return 0;
}

static int line_snat(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    struct address net = net_parse(node, "internal-net", &line->length), first;
    int r;

    key_set(line, &net);
    r = host_parse(node, "external-ip", path, line, &first, error);
    if (r < 0)
        return r;
    rule_address(line, &first);
    return snat_pool(node, path, &first, line, error);
}

static int line_dnat(const struct pcn_node *node, const char *path, struct nat_line *line, struct pcn_error *error)
{
    struct address outside, inside;
    int r = host_parse(node, "external-ip", path, line, &outside, error);

    if (r < 0)
        return r;
    key_set(line, &outside);
    r = host_parse(node, "internal-ip", path, line, &inside, error);
    if (r < 0)
        return r;
    rule_address(line, &inside);
    line->rule.n_addresses = 1;
    return 0;
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

void nat_rules_abandoned(struct pcn_cube *cube)
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
        [NAT_NETMAP] = line_netmap, [NAT_EXEMPT] = line_exempt, [NAT_NPT] = line_nptv6,
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

int nat_rule_dnat_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_DNAT, error);
}

int nat_rule_port_forwarding_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_PORT_FORWARDING, error);
}

int nat_rule_netmap_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_NETMAP, error);
}

int nat_rule_exempt_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_EXEMPT, error);
}

int nat_rule_nptv6_entry_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return rule_prepare(cube, change, NAT_NPT, error);
}

int nat_rule_masquerade_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct nat_line line = {.rule = {.kind = NAT_MASQUERADE, .version = 4}};
    struct nat *nat = pcn_cube_state(cube);
    int r = nat_change(nat);

    if (r < 0)
        return r;
    config_remove(&nat->next, NAT_MASQUERADE, 0);
    config_remove(&nat->next, NAT_MASQUERADE, 0);
    if (!pcn_node_bool(change->after, "enabled", false))
        return 0;
    r = config_add(&nat->next, &line);
    if (r < 0 || !pcn_node_bool(change->after, "ipv6", false))
        return r;
    line.rule.version = 6;
    return config_add(&nat->next, &line);
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

    if (!nat->changing)
        return;
    nat_tables_install(nat, &nat->tables);
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
