/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, as users see them, and what they take away. */
#include "nat.h"
#include "nat_model.h"
#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>

/* A session, by its key inside. */
struct session {
    struct pcn_flow flow;
    struct nat_session session;
    union pcn_address inside;
    union pcn_address outside;
    union pcn_address external; /* of the one inside */
    uint16_t inside_port;       /* network order, all three */
    uint16_t outside_port;
    uint16_t external_port;
    uint8_t protocol;
    uint8_t version;
};

static union pcn_address key_address(const struct pcn_ct_key *key, size_t side)
{
    union pcn_address address;

    memcpy(&address, &key->words[2 * side], sizeof(address));
    return address;
}

static uint16_t key_port(const struct pcn_ct_key *key, size_t side)
{
    return (uint16_t)(key->words[4] >> (side ? PCN_CT_DESTINATION_PORT_SHIFT : 0));
}

/* The session of a slot inside. One in hairpin has two there: the first packet's own is meant. */
static bool session_get(const struct nat *nat, uint32_t slot, uint64_t now, struct session *ret)
{
    const struct pcn_ct_key *key = &ret->flow.key;
    struct pcn_ct_key other;
    size_t side;

    if (!pcn_flows_get(&nat->flows, slot, now, &ret->flow) || key->words[4] >> PCN_CT_ZONE_SHIFT != NAT_INSIDE)
        return false;
    ret->session = *nat_session_of(&nat->flows, slot);
    if (ret->session.wide & NAT_HAIRPIN && slot & nat->flows.n_numbers)
        return false;
    pcn_flows_key(&nat->flows, pcn_flows_other(&nat->flows, slot), &other);
    side = !ret->session.out;
    ret->inside = key_address(key, side);
    ret->outside = key_address(key, !side);
    ret->inside_port = key_port(key, side);
    ret->outside_port = key_port(key, !side);
    ret->external = key_address(&other, side);
    ret->external_port = key_port(&other, side);
    ret->protocol = (uint8_t)(key->words[4] >> PCN_CT_PROTOCOL_SHIFT);
    ret->version = (uint8_t)(key->words[4] >> PCN_CT_VERSION_SHIFT);
    return true;
}

/* ---- natting-table ---- */

static const char *address_text(const struct session *session, const union pcn_address *address,
                                char text[INET6_ADDRSTRLEN])
{
    return inet_ntop(session->version == 6 ? AF_INET6 : AF_INET, address, text, INET6_ADDRSTRLEN) ?: "";
}

static void emit_address(struct pcn_emitter *emitter, const char *leaf, const struct session *session,
                         const union pcn_address *address)
{
    char text[INET6_ADDRSTRLEN];

    pcn_emit_string(emitter, leaf, address_text(session, address, text));
}

static void protocol_text(uint8_t protocol, char text[8])
{
    static const struct {
        const char *name;
        uint8_t number;
    } names[] = {{"TCP", IPPROTO_TCP},
                 {"UDP", IPPROTO_UDP},
                 {"ICMP", IPPROTO_ICMP},
                 {"ICMPV6", IPPROTO_ICMPV6},
                 {"SCTP", IPPROTO_SCTP}};

    (void)snprintf(text, 8, "%u", protocol);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(names); i++)
        if (names[i].number == protocol)
            (void)snprintf(text, 8, "%s", names[i].name);
}

static void session_emit(struct pcn_emitter *emitter, const struct session *session)
{
    static const char *const kinds[NAT_KIND_MAX] = {"snat",   "dnat",   "masquerade", "portforwarding",
                                                    "netmap", "exempt", "nptv6"};
    char protocol[8];

    protocol_text(session->protocol, protocol);
    pcn_emit_entry(emitter);
    emit_address(emitter, "internal-src", session, &session->inside);
    emit_address(emitter, "internal-dst", session, &session->outside);
    pcn_emit_uint(emitter, "internal-sport", ntohs(session->inside_port));
    pcn_emit_uint(emitter, "internal-dport", ntohs(session->outside_port));
    pcn_emit_string(emitter, "proto", protocol);
    pcn_emit_string(emitter, "originating-rule", kinds[session->session.kind % NAT_KIND_MAX]);
    pcn_emit_uint(emitter, "rule-id", session->session.rule);
    emit_address(emitter, "external-ip", session, &session->external);
    pcn_emit_uint(emitter, "external-port", ntohs(session->external_port));
    pcn_emit_end(emitter);
}

static bool session_has_keys(const struct session *session, const char *const *keys)
{
    char inside[INET6_ADDRSTRLEN], outside[INET6_ADDRSTRLEN], protocol[8];

    protocol_text(session->protocol, protocol);
    return pcn_streq(keys[0], address_text(session, &session->inside, inside)) &&
           pcn_streq(keys[1], address_text(session, &session->outside, outside)) &&
           strtoul(keys[2], NULL, 10) == ntohs(session->inside_port) &&
           strtoul(keys[3], NULL, 10) == ntohs(session->outside_port) && pcn_streq(keys[4], protocol);
}

int nat_natting_table_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                              struct pcn_emitter *emitter)
{
    const struct nat *nat = pcn_cube_state(cube);
    uint64_t now = pcn_clock_jiffies();
    struct session session;

    for (uint32_t slot = 0; slot < nat->flows.n_slots; slot++) {
        if (!session_get(nat, slot, now, &session) || (n_keys && !session_has_keys(&session, keys)))
            continue;
        session_emit(emitter, &session);
        if (n_keys)
            return 0;
    }
    return n_keys ? -ENOENT : 0;
}

int nat_natting_table_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    struct nat *nat = pcn_cube_state(cube);
    bool all = n_keys == 0 || !keys[0], found = false;
    uint64_t now = pcn_clock_jiffies();
    struct session session;

    for (uint32_t slot = 0; slot < nat->flows.n_slots; slot++)
        if (session_get(nat, slot, now, &session) && (all || session_has_keys(&session, keys)))
            found |= pcn_flows_remove(&nat->flows, &session.flow);
    return all || found ? 0 : -ENOENT;
}

/* ---- sessions of rules that are no more ---- */

static bool forwarding_makes(const struct nat_rule *rule, const struct session *session)
{
    uint16_t port = ntohs(session->external_port);

    return port >= rule->first && port <= rule->last &&
           ntohs(session->inside_port) == rule->internal + (port - rule->first);
}

static struct nat_wide wide_of(const union pcn_address *address)
{
    uint64_t words[2];

    memcpy(words, address, sizeof(words));
    return (struct nat_wide){be64toh(words[0]), be64toh(words[1])};
}

/* IPv4 as a number of IPv6: then one rule says all. */
static struct nat_wide number_of(const struct session *session, const union pcn_address *address)
{
    return session->version == 6 ? wide_of(address) : (struct nat_wide){0, ntohl(address->v4)};
}

static struct nat_wide line_number(const struct nat_line *line, uint32_t v4, struct nat_wide wide)
{
    return line->rule.version == 6 ? wide : (struct nat_wide){0, v4};
}

static bool is_same(struct nat_wide a, struct nat_wide b)
{
    return a.high == b.high && a.low == b.low;
}

/* What is left of an address without its network. */
static struct nat_wide host_part(const struct nat_line *line, struct nat_wide address)
{
    struct nat_wide hosts = nat_wide_hosts((uint8_t)(line->length + (line->rule.version == 6 ? 0 : 96)));

    return (struct nat_wide){address.high & hosts.high, address.low & hosts.low};
}

static bool is_in_net(const struct nat_line *line, struct nat_wide net, struct nat_wide address)
{
    struct nat_wide host = host_part(line, address);

    return address.high - host.high == net.high && address.low - host.low == net.low;
}

static bool snat_makes(const struct nat_line *line, const struct session *session, struct nat_wide external)
{
    struct nat_wide first = line_number(line, line->rule.address, line->rule.wide);
    uint16_t port = ntohs(session->external_port);
    uint64_t low = external.low - first.low;

    return external.high - first.high == (external.low < first.low) && low < line->rule.n_addresses &&
           (!line->rule.last || (port >= line->rule.first && port <= line->rule.last));
}

/* Whether a rule as it is would make the session. */
static bool line_makes(const struct nat *nat, const struct nat_line *line, const struct session *session)
{
    struct nat_wide external = number_of(session, &session->external), inside = number_of(session, &session->inside);
    struct nat_wide key = line_number(line, line->key, line->wide);
    struct nat_wide to = line_number(line, line->rule.address, line->rule.wide);

    switch (line->rule.kind) {
    case NAT_MASQUERADE:
        return is_same(external, line_number(line, nat->settings->address, nat->settings->address6));
    case NAT_SNAT:
        return is_in_net(line, key, inside) && snat_makes(line, session, external);
    case NAT_NETMAP:
        return is_in_net(line, key, inside) && is_in_net(line, to, external) &&
               is_same(host_part(line, inside), host_part(line, external));
    case NAT_DNAT:
        return is_same(external, key) && is_same(inside, to);
    default:
        return is_same(external, key) && is_same(inside, to) && forwarding_makes(&line->rule, session) &&
               (session->protocol == IPPROTO_TCP ? line->tcp : line->udp);
    }
}

static const struct nat_line *line_of(const struct nat *nat, const struct session *session)
{
    for (size_t i = 0; i < nat->now.n; i++) {
        const struct nat_rule *rule = &nat->now.lines[i].rule;

        if (rule->kind == session->session.kind && rule->id == session->session.rule &&
            rule->version == session->version)
            return &nat->now.lines[i];
    }
    return NULL;
}

int nat_flush_stale_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                           struct pcn_emitter *output, struct pcn_error *error)
{
    struct nat *nat = pcn_cube_state(cube);
    uint64_t now = pcn_clock_jiffies();
    struct session session;
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < nat->flows.n_slots; slot++) {
        const struct nat_line *line;

        if (!session_get(nat, slot, now, &session))
            continue;
        line = line_of(nat, &session);
        if (!line || !line_makes(nat, line, &session))
            n += pcn_flows_remove(&nat->flows, &session.flow);
    }
    pcn_emit_uint(output, "flushed", n);
    return 0;
}

void nat_flush_masquerade(struct nat *nat, uint8_t version)
{
    const struct nat_line line = {.rule = {.kind = NAT_MASQUERADE, .version = version}};
    uint64_t now = pcn_clock_jiffies();
    struct session session;

    for (uint32_t slot = 0; slot < nat->flows.n_slots; slot++)
        if (session_get(nat, slot, now, &session) && session.session.kind == NAT_MASQUERADE &&
            session.version == version && !line_makes(nat, &line, &session))
            (void)pcn_flows_remove(&nat->flows, &session.flow);
}
