/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, as users see them, and what they take away. */
#include "nat.h"
#include "nat_model.h"
#include <arpa/inet.h>
#include <stdio.h>

/* A session, from its place inside. */
struct session {
    struct pcn_flow flow;
    struct nat_session session;
    uint32_t inside; /* network order */
    uint32_t outside;
    uint16_t inside_port;
    uint16_t outside_port;
    uint8_t protocol;
};

/* The session of a place inside. */
static bool session_get(const struct nat *nat, uint32_t slot, uint64_t now, struct session *ret)
{
    const __u64 *words = ret->flow.key.words;
    bool source;

    if (!pcn_flows_get(&nat->flows, slot, now, &ret->flow) || words[4] >> PCN_CT_ZONE_SHIFT != NAT_INSIDE)
        return false;
    ret->session = *nat_session_of(&nat->flows, slot);
    source = ret->session.out;
    ret->inside = (uint32_t)words[source ? 0 : 2];
    ret->outside = (uint32_t)words[source ? 2 : 0];
    ret->inside_port = (uint16_t)(source ? words[4] : words[4] >> PCN_CT_DESTINATION_PORT_SHIFT);
    ret->outside_port = (uint16_t)(source ? words[4] >> PCN_CT_DESTINATION_PORT_SHIFT : words[4]);
    ret->protocol = (uint8_t)(words[4] >> PCN_CT_PROTOCOL_SHIFT);
    return true;
}

void nat_flow_removed(struct pcn_flows *flows, const struct pcn_flow *flow)
{
    uint32_t partner = nat_session_of(flows, flow->slot)->partner;
    struct pcn_flow other;

    if (partner >= flows->n_slots || nat_session_of(flows, partner)->partner != flow->slot)
        return;
    if (pcn_flows_get(flows, partner, pcn_clock_jiffies(), &other))
        (void)pcn_flows_remove(flows, &other);
}

/* ---- natting-table ---- */

static void emit_address(struct pcn_emitter *emitter, const char *leaf, uint32_t address)
{
    char text[INET_ADDRSTRLEN] = "";

    (void)inet_ntop(AF_INET, &address, text, sizeof(text));
    pcn_emit_string(emitter, leaf, text);
}

static void protocol_text(uint8_t protocol, char text[8])
{
    if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
        (void)snprintf(text, 8, protocol == IPPROTO_TCP ? "TCP" : "UDP");
    else if (protocol == IPPROTO_ICMP || protocol == IPPROTO_SCTP)
        (void)snprintf(text, 8, protocol == IPPROTO_ICMP ? "ICMP" : "SCTP");
    else
        (void)snprintf(text, 8, "%u", protocol);
}

static void session_emit(struct pcn_emitter *emitter, const struct session *session)
{
    static const char *const kinds[NAT_KIND_MAX] = {"snat", "dnat", "masquerade", "portforwarding", "netmap", "exempt"};
    char protocol[8];

    protocol_text(session->protocol, protocol);
    pcn_emit_entry(emitter);
    emit_address(emitter, "internal-src", session->inside);
    emit_address(emitter, "internal-dst", session->outside);
    pcn_emit_uint(emitter, "internal-sport", ntohs(session->inside_port));
    pcn_emit_uint(emitter, "internal-dport", ntohs(session->outside_port));
    pcn_emit_string(emitter, "proto", protocol);
    pcn_emit_string(emitter, "originating-rule", kinds[session->session.kind % NAT_KIND_MAX]);
    pcn_emit_uint(emitter, "rule-id", session->session.rule);
    emit_address(emitter, "external-ip", session->session.to);
    pcn_emit_uint(emitter, "external-port", ntohs(session->session.port));
    pcn_emit_end(emitter);
}

static bool session_has_keys(const struct session *session, const char *const *keys)
{
    char inside[INET_ADDRSTRLEN] = "", outside[INET_ADDRSTRLEN] = "", protocol[8];

    protocol_text(session->protocol, protocol);
    (void)inet_ntop(AF_INET, &session->inside, inside, sizeof(inside));
    (void)inet_ntop(AF_INET, &session->outside, outside, sizeof(outside));
    return pcn_streq(keys[0], inside) && pcn_streq(keys[1], outside) &&
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

int nat_natting_table_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    return pcn_error_set(error, PCN_ERROR_NOT_SUPPORTED, "natting-table",
                         "sessions are made by packets: add a rule instead");
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
    uint16_t port = ntohs(session->session.port);

    return port >= rule->first && port <= rule->last &&
           ntohs(session->inside_port) == rule->internal + (port - rule->first);
}

/* Whether a rule as it is would make the session. */
static bool line_makes(const struct nat *nat, const struct nat_line *line, const struct session *session)
{
    uint32_t external = ntohl(session->session.to), inside = ntohl(session->inside);
    uint32_t hosts = line->length ? (uint32_t)(0xffffffffull >> line->length) : UINT32_MAX;
    uint16_t port = ntohs(session->session.port);

    switch (line->rule.kind) {
    case NAT_MASQUERADE:
        return external == nat->settings->address;
    case NAT_SNAT:
        return (inside & ~hosts) == line->key && external >= line->rule.address &&
               external - line->rule.address < line->rule.n_addresses &&
               (!line->rule.last || (port >= line->rule.first && port <= line->rule.last));
    case NAT_NETMAP:
        return (inside & ~hosts) == line->key && external - line->rule.address == inside - line->key;
    case NAT_DNAT:
        return external == line->key && inside == line->rule.address;
    default:
        return external == line->key && inside == line->rule.address && forwarding_makes(&line->rule, session) &&
               (session->protocol == IPPROTO_TCP ? line->tcp : line->udp);
    }
}

static const struct nat_line *line_of(const struct nat *nat, const struct nat_session *session)
{
    for (size_t i = 0; i < nat->now.n; i++)
        if (nat->now.lines[i].rule.kind == session->kind && nat->now.lines[i].rule.id == session->rule)
            return &nat->now.lines[i];
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
        line = line_of(nat, &session.session);
        if (!line || !line_makes(nat, line, &session))
            n += pcn_flows_remove(&nat->flows, &session.flow);
    }
    pcn_emit_uint(output, "flushed", n);
    return 0;
}

void nat_flush_masquerade(struct nat *nat)
{
    uint64_t now = pcn_clock_jiffies();
    struct session session;

    for (uint32_t slot = 0; slot < nat->flows.n_slots; slot++)
        if (session_get(nat, slot, now, &session) && session.session.kind == NAT_MASQUERADE &&
            ntohl(session.session.to) != nat->settings->address)
            (void)pcn_flows_remove(&nat->flows, &session.flow);
}
