/* SPDX-License-Identifier: Apache-2.0 */
/* The session table as users see it, and what they take away from it. */
#include "private.h"
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

/* What a flow must have to be meant. */
struct filter {
    struct pcn_ct_key key;
    struct pcn_ct_key mask;
};

static int protocol_parse(const char *text)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(protocols); i++)
        if (pcn_streq(text, protocols[i].name))
            return protocols[i].number;
    return (int)strtol(text, NULL, 10);
}

/* An address, or a prefix. -EINVAL: of another family than one before it, whose version is *version; 0: there was none. */
static int filter_address(const char *text, size_t word, int *version, struct filter *filter)
{
    uint8_t *mask = (uint8_t *)&filter->mask.words[word];
    int found = strchr(text, ':') ? 6 : 4;
    char address[INET6_ADDRSTRLEN];
    size_t digits = strcspn(text, "/");
    long bits = text[digits] ? strtol(text + digits + 1, NULL, 10) : found == 6 ? 128 : 32;

    if ((*version && *version != found) || digits >= sizeof(address))
        return -EINVAL;
    *version = found;
    (void)snprintf(address, sizeof(address), "%.*s", (int)digits, text);
    if (inet_pton(found == 6 ? AF_INET6 : AF_INET, address, &filter->key.words[word]) != 1)
        return -EINVAL;
    for (size_t i = 0; bits > 0; bits -= 8, i++)
        mask[i] = bits >= 8 ? UINT8_MAX : (uint8_t)(UINT8_MAX << (8 - bits));
    return 0;
}

/* A field that is NULL, or a port below 0, does not matter. -EINVAL: none can match (addresses of two families). */
static int filter_make(const char *src, const char *dst, const char *l4proto, int sport, int dport,
                       struct filter *ret_filter)
{
    struct filter filter = {};
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

static bool filter_matches(const struct filter *filter, const struct pcn_ct_key *key)
{
    for (size_t i = 0; i < PCN_CT_KEY_WORDS; i++)
        if ((key->words[i] ^ filter->key.words[i]) & filter->mask.words[i])
            return false;
    return true;
}

/* Those of a list entry, in the model's order, which are all given. */
static int filter_of_keys(const char *const *keys, struct filter *ret_filter)
{
    return filter_make(keys[0], keys[1], keys[2], (int)strtol(keys[3], NULL, 10), (int)strtol(keys[4], NULL, 10),
                       ret_filter);
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

void flow_emit(struct pcn_emitter *emitter, const struct pcn_flow *flow)
{
    uint64_t tuple = flow->key.words[4];
    unsigned int version = tuple >> PCN_CT_VERSION_SHIFT & 0xff;
    uint32_t state = pcn_ct_flow_of(flow->word);
    const char *name = state < PCN_CT_FLOW_MAX ? flow_names[state] : NULL;

    emit_address(emitter, "src", version, &flow->key.words[0]);
    emit_address(emitter, "dst", version, &flow->key.words[2]);
    emit_protocol(emitter, (uint8_t)(tuple >> PCN_CT_PROTOCOL_SHIFT));
    pcn_emit_uint(emitter, "sport", ntohs((uint16_t)tuple));
    pcn_emit_uint(emitter, "dport", ntohs((uint16_t)(tuple >> PCN_CT_DESTINATION_PORT_SHIFT)));
    pcn_emit_string(emitter, "state", name ?: "");
}

static void emit_session(struct pcn_emitter *emitter, struct pcn_flows *flows, const struct pcn_flow *flow,
                         uint64_t now)
{
    pcn_emit_entry(emitter);
    flow_emit(emitter, flow);
    pcn_emit_uint(emitter, "eta", (uint32_t)pcn_ct_left(flow->word, (uint32_t)now) / pcn_clock_hz());
    if (flows->traffic) {
        const struct pcn_ct_traffic *traffic = &flows->traffic[flow->slot];

        pcn_emit_uint(emitter, "packets", traffic->packets[0]);
        pcn_emit_uint(emitter, "bytes", traffic->bytes[0]);
        pcn_emit_uint(emitter, "reply-packets", traffic->packets[1]);
        pcn_emit_uint(emitter, "reply-bytes", traffic->bytes[1]);
    }
    if (flows->emit)
        flows->emit(flows, flow, emitter);
    pcn_emit_end(emitter);
}

/* The flow of a whole key, of the cube's zone; as it was entered, not the other way round. -ENOENT. */
static int flow_by_keys(const struct pcn_flows *flows, const char *const *keys, uint64_t now, struct pcn_flow *ret_flow)
{
    struct filter filter;

    if (filter_of_keys(keys, &filter) < 0)
        return -ENOENT;
    filter.key.words[4] |= (uint64_t)flows->settings->zone << PCN_CT_ZONE_SHIFT;
    if (pcn_flows_find(flows, &filter.key, now, ret_flow) < 0)
        return -ENOENT;
    return filter_matches(&filter, &ret_flow->key) ? 0 : -ENOENT;
}

int pcn_flows_emit_sessions(struct pcn_flows *flows, const char *const *keys, size_t n_keys,
                            struct pcn_emitter *emitter)
{
    uint64_t now = pcn_clock_jiffies();
    struct pcn_flow flow;

    if (n_keys > 0) {
        if (flow_by_keys(flows, keys, now, &flow) < 0)
            return -ENOENT;
        emit_session(emitter, flows, &flow, now);
        return 0;
    }
    for (uint32_t slot = 0; slot < flows->n_slots; slot++)
        if (pcn_flows_get(flows, slot, now, &flow) && flow_is_listed(flows, &flow))
            emit_session(emitter, flows, &flow, now);
    return 0;
}

static uint32_t flush(struct pcn_flows *flows, const struct filter *filter)
{
    uint64_t now = pcn_clock_jiffies();
    struct pcn_flow flow;
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < flows->n_slots; slot++)
        if (pcn_flows_get(flows, slot, now, &flow) && filter_matches(filter, &flow.key))
            n += pcn_flows_remove(flows, &flow);
    return n;
}

int pcn_flows_forget(struct pcn_flows *flows, const char *const *keys, size_t n_keys)
{
    const struct filter all = {};
    struct pcn_flow flow;

    if (n_keys == 0 || !keys[0]) {
        (void)flush(flows, &all);
        return 0;
    }
    if (flow_by_keys(flows, keys, pcn_clock_jiffies(), &flow) < 0)
        return -ENOENT;
    return pcn_flows_remove(flows, &flow) ? 0 : -ENOENT;
}

/* ---- actions ---- */

static int filter_of_input(const struct pcn_node *input, struct filter *ret_filter, struct pcn_error *error)
{
    int r;

    if (!input) {
        *ret_filter = (struct filter){};
        return 0;
    }
    r = filter_make(pcn_node_string(input, "src"), pcn_node_string(input, "dst"), pcn_node_string(input, "l4proto"),
                    (int)pcn_node_int(input, "sport", -1), (int)pcn_node_int(input, "dport", -1), ret_filter);
    if (r < 0)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "",
                             "no flow can be meant: the addresses are of two families, or the protocol is above 255");
    return 0;
}

int pcn_flows_flush(struct pcn_flows *flows, const struct pcn_node *input, struct pcn_emitter *output,
                    struct pcn_error *error)
{
    struct filter filter;
    int r = filter_of_input(input, &filter, error);

    if (r >= 0)
        pcn_emit_uint(output, "flushed", flush(flows, &filter));
    return r;
}

int pcn_flows_delete(struct pcn_flows *flows, const struct pcn_node *input, struct pcn_emitter *output,
                     struct pcn_error *error)
{
    struct filter filter;
    struct pcn_flow flow;
    int r = filter_of_input(input, &filter, error);

    if (r < 0)
        return r;
    filter.key.words[4] |= (uint64_t)flows->settings->zone << PCN_CT_ZONE_SHIFT;
    pcn_emit_bool(output, "deleted",
                  pcn_flows_find(flows, &filter.key, pcn_clock_jiffies(), &flow) == 0 &&
                      pcn_flows_remove(flows, &flow));
    return 0;
}
