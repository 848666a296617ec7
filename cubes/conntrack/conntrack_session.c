/* SPDX-License-Identifier: Apache-2.0 */
/* The session table as users see it, and what they take away from it. */
#include "conntrack.h"
#include "conntrack_model.h"
#include <arpa/inet.h>
#include <stdio.h>

static const char *const flow_names[PCN_CT_FLOW_MAX] = {
    [PCN_CT_TCP_SYN_SENT] = "SYN_SENT", [PCN_CT_TCP_SYN_SENT2] = "SYN_SENT2",
    [PCN_CT_TCP_SYN_RECV] = "SYN_RECV", [PCN_CT_TCP_ESTABLISHED] = "ESTABLISHED",
    [PCN_CT_TCP_FIN_WAIT] = "FIN_WAIT", [PCN_CT_TCP_CLOSE_WAIT] = "CLOSE_WAIT",
    [PCN_CT_TCP_LAST_ACK] = "LAST_ACK", [PCN_CT_TCP_TIME_WAIT] = "TIME_WAIT",
    [PCN_CT_TCP_CLOSED] = "CLOSED",     [PCN_CT_UDP_NEW] = "NEW",
    [PCN_CT_UDP_REPLIED] = "REPLIED",   [PCN_CT_UDP_ASSURED] = "ASSURED",
    [PCN_CT_ICMP_NEW] = "NEW",          [PCN_CT_ICMP_REPLIED] = "REPLIED",
    [PCN_CT_OTHER_NEW] = "NEW",         [PCN_CT_OTHER_REPLIED] = "REPLIED",
};

static const struct {
    const char *name;
    uint8_t number;
} protocols[] = {
    {"TCP", IPPROTO_TCP},   {"UDP", IPPROTO_UDP},       {"SCTP", IPPROTO_SCTP},
    {"ICMP", IPPROTO_ICMP}, {"ICMPV6", IPPROTO_ICMPV6},
};

/* ---- keys as text ---- */

static int protocol_parse(const char *text)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(protocols); i++)
        if (pcn_streq(text, protocols[i].name))
            return protocols[i].number;
    return (int)strtol(text, NULL, 10);
}

/* -EINVAL: of another family than an address before it, whose version is *version; 0: there was none. */
static int filter_address(const char *text, size_t word, int *version, struct conntrack_filter *filter)
{
    int found = strchr(text, ':') ? 6 : 4;

    if (*version && *version != found)
        return -EINVAL;
    *version = found;
    if (inet_pton(found == 6 ? AF_INET6 : AF_INET, text, &filter->key.words[word]) != 1)
        return -EINVAL;
    filter->mask.words[word] = filter->mask.words[word + 1] = UINT64_MAX;
    return 0;
}

int conntrack_filter_make(const char *src, const char *dst, const char *l4proto, int sport, int dport,
                          struct conntrack_filter *ret_filter)
{
    struct conntrack_filter filter = {};
    int version = 0, protocol = l4proto ? protocol_parse(l4proto) : 0, r = 0;

    if (src)
        r = filter_address(src, 0, &version, &filter);
    if (r == 0 && dst)
        r = filter_address(dst, 2, &version, &filter);
    if (r < 0 || protocol > UINT8_MAX)
        return -EINVAL;
    filter.mask.words[4] = pcn_ct_tuple((sport >= 0 ? 0xffffu : 0) | (dport >= 0 ? 0xffff0000u : 0), l4proto ? 0xff : 0,
                                        version ? 0xff : 0, 0);
    filter.key.words[4] = pcn_ct_tuple((sport >= 0 ? htons((uint16_t)sport) : 0u) |
                                           (dport >= 0 ? (uint32_t)htons((uint16_t)dport) << 16 : 0),
                                       (uint32_t)protocol, (uint32_t)version, 0);
    *ret_filter = filter;
    return 0;
}

bool conntrack_filter_matches(const struct conntrack_filter *filter, const struct pcn_ct_key *key)
{
    for (size_t i = 0; i < PCN_CT_KEY_WORDS; i++)
        if ((key->words[i] ^ filter->key.words[i]) & filter->mask.words[i])
            return false;
    return true;
}

/* Those of a list entry, in the model's order, which are all given. */
static int filter_of_keys(const char *const *keys, struct conntrack_filter *ret_filter)
{
    return conntrack_filter_make(keys[0], keys[1], keys[2], (int)strtol(keys[3], NULL, 10),
                                 (int)strtol(keys[4], NULL, 10), ret_filter);
}

/* ---- session-table ---- */

static void emit_address(struct pcn_emitter *emitter, const char *leaf, unsigned int version, const __u64 *words)
{
    char text[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(version == 6 ? AF_INET6 : AF_INET, words, text, sizeof(text));
    pcn_emit_string(emitter, leaf, text);
}

static void emit_protocol(struct pcn_emitter *emitter, uint8_t number)
{
    char text[4];

    for (size_t i = 0; i < PCN_ARRAY_SIZE(protocols); i++) {
        if (protocols[i].number == number) {
            pcn_emit_string(emitter, "l4proto", protocols[i].name);
            return;
        }
    }
    (void)snprintf(text, sizeof(text), "%u", number);
    pcn_emit_string(emitter, "l4proto", text);
}

static void emit_flow(struct pcn_emitter *emitter, const struct conntrack_table *table,
                      const struct conntrack_flow *flow, uint64_t now)
{
    uint64_t tuple = flow->key.words[4];
    unsigned int version = tuple >> PCN_CT_VERSION_SHIFT & 0xff;
    uint32_t state = pcn_ct_flow_of(flow->word);
    const char *name = state < PCN_CT_FLOW_MAX ? flow_names[state] : NULL;

    pcn_emit_entry(emitter);
    emit_address(emitter, "src", version, &flow->key.words[0]);
    emit_address(emitter, "dst", version, &flow->key.words[2]);
    emit_protocol(emitter, (uint8_t)(tuple >> PCN_CT_PROTOCOL_SHIFT));
    pcn_emit_uint(emitter, "sport", ntohs((uint16_t)tuple));
    pcn_emit_uint(emitter, "dport", ntohs((uint16_t)(tuple >> PCN_CT_DESTINATION_PORT_SHIFT)));
    pcn_emit_string(emitter, "state", name ?: "");
    pcn_emit_uint(emitter, "eta", (uint32_t)pcn_ct_left(flow->word, (uint32_t)now) / pcn_clock_hz());
    if (table->traffic) {
        const struct pcn_ct_traffic *traffic = &table->traffic[flow->slot];

        pcn_emit_uint(emitter, "packets", traffic->packets[0]);
        pcn_emit_uint(emitter, "bytes", traffic->bytes[0]);
        pcn_emit_uint(emitter, "reply-packets", traffic->packets[1]);
        pcn_emit_uint(emitter, "reply-bytes", traffic->bytes[1]);
    }
    pcn_emit_end(emitter);
}

static bool is_of_zone(const struct conntrack_table *table, const struct pcn_ct_key *key)
{
    return key->words[4] >> PCN_CT_ZONE_SHIFT == table->settings->zone;
}

/* The flow of a whole key, of the cube's zone; as it was entered, not the other way round. -ENOENT. */
static int flow_by_keys(const struct conntrack_table *table, const char *const *keys, uint64_t now,
                        struct conntrack_flow *ret_flow)
{
    struct conntrack_filter filter;

    if (filter_of_keys(keys, &filter) < 0)
        return -ENOENT;
    filter.key.words[4] |= (uint64_t)table->settings->zone << PCN_CT_ZONE_SHIFT;
    if (conntrack_table_find(table, &filter.key, now, ret_flow) < 0)
        return -ENOENT;
    return conntrack_filter_matches(&filter, &ret_flow->key) ? 0 : -ENOENT;
}

int conntrack_session_table_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                                    struct pcn_emitter *emitter)
{
    const struct conntrack *conntrack = pcn_cube_state(cube);
    const struct conntrack_table *table = &conntrack->table;
    uint64_t now = pcn_clock_jiffies();
    struct conntrack_flow flow;

    if (n_keys > 0) {
        if (flow_by_keys(table, keys, now, &flow) < 0)
            return -ENOENT;
        emit_flow(emitter, table, &flow, now);
        return 0;
    }
    for (uint32_t slot = 0; slot < table->n_slots; slot++)
        if (conntrack_table_get(table, slot, now, &flow) && is_of_zone(table, &flow.key))
            emit_flow(emitter, table, &flow, now);
    return 0;
}

static uint32_t flush(struct conntrack_table *table, const struct conntrack_filter *filter)
{
    uint64_t now = pcn_clock_jiffies();
    struct conntrack_flow flow;
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < table->n_slots; slot++)
        if (conntrack_table_get(table, slot, now, &flow) && conntrack_filter_matches(filter, &flow.key))
            n += conntrack_table_remove(table, &flow);
    return n;
}

int conntrack_session_table_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    const struct conntrack_filter all = {};
    struct conntrack *conntrack = pcn_cube_state(cube);
    struct conntrack_flow flow;

    if (n_keys == 0 || !keys[0]) {
        (void)flush(&conntrack->table, &all);
        return 0;
    }
    if (flow_by_keys(&conntrack->table, keys, pcn_clock_jiffies(), &flow) < 0)
        return -ENOENT;
    return conntrack_table_remove(&conntrack->table, &flow) ? 0 : -ENOENT;
}

/* ---- actions ---- */

int conntrack_flush_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                           struct pcn_emitter *output, struct pcn_error *error)
{
    struct conntrack *conntrack = pcn_cube_state(cube);
    struct conntrack_flush_input filter_input = {};
    struct conntrack_filter filter;

    if (input)
        conntrack_flush_input_read(input, &filter_input);
    if (conntrack_filter_make(filter_input.src, filter_input.dst, filter_input.l4proto,
                              filter_input.has_sport ? filter_input.sport : -1,
                              filter_input.has_dport ? filter_input.dport : -1, &filter) < 0)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "flush",
                             "no flow can be meant: the addresses are of two families, or the protocol is above 255");
    pcn_emit_uint(output, "flushed", flush(&conntrack->table, &filter));
    return 0;
}

int conntrack_delete_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                            struct pcn_emitter *output, struct pcn_error *error)
{
    struct conntrack *conntrack = pcn_cube_state(cube);
    struct conntrack_table *table = &conntrack->table;
    struct conntrack_delete_input key;
    struct conntrack_filter filter;
    struct conntrack_flow flow;

    conntrack_delete_input_read(input, &key);
    if (conntrack_filter_make(key.src, key.dst, key.l4proto, key.sport, key.dport, &filter) < 0)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "delete",
                             "no flow can be meant: the addresses are of two families, or the protocol is above 255");
    filter.key.words[4] |= (uint64_t)table->settings->zone << PCN_CT_ZONE_SHIFT;
    pcn_emit_bool(output, "deleted",
                  conntrack_table_find(table, &filter.key, pcn_clock_jiffies(), &flow) == 0 &&
                      conntrack_table_remove(table, &flow));
    return 0;
}
