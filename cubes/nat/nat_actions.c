/* SPDX-License-Identifier: Apache-2.0 */
/* Actions on rules: each writes the configuration that it leads to, as a request would. */
#include "nat.h"
#include "nat_model.h"
#include <stdio.h>

static uint32_t next_id(const struct nat *nat, uint8_t kind)
{
    uint32_t id = 1;

    for (size_t i = 0; i < nat->now.n; i++)
        if (nat->now.lines[i].rule.kind == kind && nat->now.lines[i].rule.id >= id)
            id = nat->now.lines[i].rule.id + 1;
    return id;
}

/* A leaf of a rule. */
struct leaf {
    const char *name;
    bool number; /* in JSON without quotes */
};

static int rule_text(const struct pcn_node *input, uint32_t id, const struct leaf *leaves, size_t n, char **ret_text)
{
    size_t size;
    FILE *file = open_memstream(ret_text, &size);

    if (!file)
        return -errno;
    (void)fprintf(file, "[{\"id\": %u", id);
    for (size_t i = 0; i < n; i++) {
        const char *value = pcn_node_string(input, leaves[i].name), *quote = leaves[i].number ? "" : "\"";

        if (value)
            (void)fprintf(file, ", \"%s\": %s%s%s", leaves[i].name, quote, value, quote);
    }
    (void)fputs("}]", file);
    return fclose(file) ? -ENOMEM : 0;
}

static int rule_append(struct pcn_cube *cube, uint8_t kind, const char *list, const struct pcn_node *input,
                       const struct leaf *leaves, size_t n, struct pcn_emitter *output, struct pcn_error *error)
{
    const char *const path[] = {"rule", list, "entry"};
    uint32_t id = next_id(pcn_cube_state(cube), kind);
    _cleanup_free_ char *text = NULL;
    int r;

    if (!id)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, path[0], "there is no id above those in use");
    r = rule_text(input, id, leaves, n, &text);
    if (r >= 0)
        r = pcn_cube_edit(cube, PCN_CUBE_CREATE, path, PCN_ARRAY_SIZE(path), text, error);
    if (r >= 0)
        pcn_emit_uint(output, "id", id);
    return r;
}

int nat_rule_snat_append_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    static const struct leaf leaves[] = {{"internal-net", false},
                                         {"external-ip", false},
                                         {"external-ip-last", false},
                                         {"port-first", true},
                                         {"port-last", true}};

    return rule_append(cube, NAT_SNAT, "snat", input, leaves, PCN_ARRAY_SIZE(leaves), output, error);
}

int nat_rule_dnat_append_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    static const struct leaf leaves[] = {{"external-ip", false}, {"internal-ip", false}};

    return rule_append(cube, NAT_DNAT, "dnat", input, leaves, PCN_ARRAY_SIZE(leaves), output, error);
}

int nat_rule_port_forwarding_append_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                           const struct pcn_node *input, struct pcn_emitter *output,
                                           struct pcn_error *error)
{
    static const struct leaf leaves[] = {{"external-ip", false}, {"external-port", true}, {"external-port-last", true},
                                         {"proto", false},       {"internal-ip", false},  {"internal-port", true}};

    return rule_append(cube, NAT_PORT_FORWARDING, "port-forwarding", input, leaves, PCN_ARRAY_SIZE(leaves), output,
                       error);
}

int nat_rule_netmap_append_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                  const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    static const struct leaf leaves[] = {{"internal-net", false}, {"external-net", false}};

    return rule_append(cube, NAT_NETMAP, "netmap", input, leaves, PCN_ARRAY_SIZE(leaves), output, error);
}

int nat_rule_exempt_append_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                  const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    static const struct leaf leaves[] = {{"external-net", false}};

    return rule_append(cube, NAT_EXEMPT, "exempt", input, leaves, PCN_ARRAY_SIZE(leaves), output, error);
}

int nat_rule_nptv6_append_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                 const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    static const struct leaf leaves[] = {{"internal-net", false}, {"external-net", false}};

    return rule_append(cube, NAT_NPT, "nptv6", input, leaves, PCN_ARRAY_SIZE(leaves), output, error);
}

static int masquerade_set(struct pcn_cube *cube, bool enabled, struct pcn_emitter *output, struct pcn_error *error)
{
    const char *const path[] = {"rule", "masquerade", "enabled"};
    int r = pcn_cube_edit(cube, PCN_CUBE_UPDATE, path, PCN_ARRAY_SIZE(path), enabled ? "true" : "false", error);

    if (r >= 0)
        pcn_emit_bool(output, "result", true);
    return r;
}

int nat_rule_masquerade_enable_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                      const struct pcn_node *input, struct pcn_emitter *output, struct pcn_error *error)
{
    return masquerade_set(cube, true, output, error);
}

int nat_rule_masquerade_disable_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                       const struct pcn_node *input, struct pcn_emitter *output,
                                       struct pcn_error *error)
{
    return masquerade_set(cube, false, output, error);
}
