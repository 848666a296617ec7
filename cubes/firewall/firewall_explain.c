/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would become of a packet: the loaded program says which rule decides, and
 * the rules before it are gone through here for what they want otherwise.
 */
#include "firewall.h"
#include "firewall_text.h"
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdio.h>

#define EARLIER_MAX 100

struct packet {
    uint8_t version;
    uint8_t protocol;
    uint8_t tcp_flags;
    uint8_t dscp;
    uint8_t state;    /* once the program has said it */
    uint8_t fragment; /* enum pcn_fragment: NONE, FIRST or LATER */
    uint16_t source_port;
    uint16_t destination_port;
    uint16_t icmp;      /* type << 8 | code */
    char in[IFNAMSIZ];  /* device by which it came; "": none */
    char out[IFNAMSIZ]; /* by which it will leave */
    union pcn_address source;
    union pcn_address destination;
};

/* ---- the packet ---- */

static uint8_t lowest_bit(const uint64_t bitmap[4])
{
    for (unsigned int i = 0; i < 256; i++)
        if (firewall_bit(bitmap, i))
            return (uint8_t)i;
    return 0;
}

static int read_addresses(const struct pcn_node *input, struct packet *packet, struct pcn_error *error)
{
    const char *source = pcn_node_string(input, "src"), *destination = pcn_node_string(input, "dst");
    int family = strchr(source, ':') ? AF_INET6 : AF_INET;

    packet->version = family == AF_INET6 ? 6 : 4;
    if (inet_pton(family, source, &packet->source) != 1 || inet_pton(family, destination, &packet->destination) != 1)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "dst",
                             "src %s and dst %s are not of one family: give two addresses of IPv4, or two of IPv6",
                             source, destination);
    return 0;
}

static int read_icmp(const char *text, struct packet *packet, struct pcn_error *error)
{
    struct firewall_ranges ranges = {};
    int r;

    packet->icmp = packet->protocol == IPPROTO_ICMPV6 ? 128 << 8 : 8 << 8;
    if (!text)
        return 0;
    r = firewall_text_icmp(text, "icmp-type", &ranges, error);
    if (r >= 0 && ranges.n)
        packet->icmp = ranges.items[0].low;
    free((void *)ranges.items);
    return r;
}

static int read_interface(const char *text, struct packet *packet, struct pcn_error *error)
{
    if (!text)
        return 0;
    if (strlen(text) >= sizeof(packet->in))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "in-interface",
                             "in-interface: \"%s\" is not accepted: give the name of one device", text);
    (void)snprintf(packet->in, sizeof(packet->in), "%s", text);
    return 0;
}

static uint8_t read_fragment(const char *text)
{
    if (pcn_streq(text, "FIRST"))
        return PCN_FRAGMENT_FIRST;
    return pcn_streq(text, "LATER") ? PCN_FRAGMENT_LATER : PCN_FRAGMENT_NONE;
}

static int packet_read(const struct pcn_node *input, struct packet *packet, struct pcn_error *error)
{
    uint64_t bits[4] = {};
    int r;

    packet->source_port = (uint16_t)pcn_node_uint(input, "sport", 1024);
    packet->destination_port = (uint16_t)pcn_node_uint(input, "dport", 0);
    packet->dscp = (uint8_t)pcn_node_uint(input, "dscp", 0);
    packet->fragment = read_fragment(pcn_node_string(input, "fragment") ?: "NONE");
    r = read_addresses(input, packet, error);
    if (r >= 0)
        r = firewall_text_protocols(pcn_node_string(input, "l4proto") ?: "TCP", "l4proto", bits, error);
    if (r < 0)
        return r;
    packet->protocol = lowest_bit(bits);
    memset(bits, 0, sizeof(bits));
    r = firewall_text_tcp_flags(pcn_node_string(input, "tcpflags") ?: "SYN", "tcpflags", bits, error);
    if (r < 0)
        return r;
    packet->tcp_flags = lowest_bit(bits);
    r = read_interface(pcn_node_string(input, "in-interface"), packet, error);
    return r < 0 ? r : read_icmp(pcn_node_string(input, "icmp-type"), packet, error);
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

#define L4_LENGTH 24 /* a multiple of 8, as all fragments but the last one have */
#define FRAGMENT_LENGTH 8
#define FRAME_MAX (ETH_HLEN + 40 + FRAGMENT_LENGTH + L4_LENGTH)

static void frame_l4(const struct packet *packet, uint8_t *l4)
{
    if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6) {
        put16(l4, packet->icmp);
        put16(l4 + 4, packet->source_port);
        return;
    }
    put16(l4, packet->source_port);
    put16(l4 + 2, packet->destination_port);
    if (packet->protocol == IPPROTO_TCP) {
        l4[12] = 5 << 4;
        l4[13] = packet->tcp_flags;
    } else {
        put16(l4 + 4, L4_LENGTH);
    }
}

static size_t frame_ipv4(const struct packet *packet, uint8_t *ip)
{
    ip[0] = 0x45;
    ip[1] = (uint8_t)(packet->dscp << 2);
    put16(ip + 2, 20 + L4_LENGTH);
    if (packet->fragment != PCN_FRAGMENT_NONE)
        put16(ip + 6, packet->fragment == PCN_FRAGMENT_FIRST ? IP_MF : L4_LENGTH / 8);
    ip[8] = 64;
    ip[9] = packet->protocol;
    memcpy(ip + 12, &packet->source, 4);
    memcpy(ip + 16, &packet->destination, 4);
    frame_l4(packet, ip + 20);
    return 20 + L4_LENGTH;
}

static size_t frame_ipv6(const struct packet *packet, uint8_t *ip)
{
    size_t length = packet->fragment == PCN_FRAGMENT_NONE ? 0 : FRAGMENT_LENGTH;
    uint8_t *fragment = ip + 40;

    put16(ip, (uint16_t)(6 << 12 | packet->dscp << 6));
    put16(ip + 4, (uint16_t)(length + L4_LENGTH));
    ip[6] = length ? IPPROTO_FRAGMENT : packet->protocol;
    ip[7] = 64;
    memcpy(ip + 8, &packet->source, 16);
    memcpy(ip + 24, &packet->destination, 16);
    if (length) {
        fragment[0] = packet->protocol;
        /* The offset is in units of 8 bytes, above three bits of flags. */
        put16(fragment + 2, packet->fragment == PCN_FRAGMENT_FIRST ? 1 : L4_LENGTH);
    }
    frame_l4(packet, ip + 40 + length);
    return 40 + length + L4_LENGTH;
}

/* Bytes written. */
static size_t frame_make(const struct packet *packet, uint8_t frame[FRAME_MAX])
{
    memset(frame, 0, FRAME_MAX);
    put16(frame + 12, packet->version == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
    return ETH_HLEN +
           (packet->version == 4 ? frame_ipv4(packet, frame + ETH_HLEN) : frame_ipv6(packet, frame + ETH_HLEN));
}

/* ---- why a rule does not match ---- */

static bool prefix_has(const struct firewall_prefix *prefix, const union pcn_address *address)
{
    for (unsigned int word = 0; word * 32 < prefix->length; word++) {
        unsigned int bits = prefix->length - word * 32;
        uint32_t mask = bits < 32 ? ~(UINT32_MAX >> bits) : UINT32_MAX;

        if (ntohl(prefix->address.v6[word] ^ address->v6[word]) & mask)
            return false;
    }
    return true;
}

static bool prefixes_match(const struct firewall_prefixes *prefixes, uint8_t version, const union pcn_address *address)
{
    bool named = prefixes->n == 0, found = false;

    if (!prefixes->given)
        return true;
    for (uint32_t i = 0; i < prefixes->n; i++) {
        const struct firewall_prefix *prefix = &prefixes->items[i];

        if (prefix->version != version)
            continue;
        named = true;
        found = found || prefix_has(prefix, address);
    }
    return named && found != prefixes->negate;
}

static bool ranges_match(const struct firewall_ranges *ranges, bool has, uint16_t value)
{
    bool found = false;

    if (!ranges->given)
        return true;
    for (uint32_t i = 0; i < ranges->n; i++)
        found = found || (value >= ranges->items[i].low && value <= ranges->items[i].high);
    return has && found != ranges->negate;
}

static bool icmp_matches(const struct firewall_rule *rule, const struct packet *packet, bool has_l4)
{
    if (packet->version == 4)
        return rule->icmp.given ? ranges_match(&rule->icmp, has_l4 && packet->protocol == IPPROTO_ICMP, packet->icmp)
                                : !rule->icmpv6.given;
    return rule->icmpv6.given ? ranges_match(&rule->icmpv6, has_l4 && packet->protocol == IPPROTO_ICMPV6, packet->icmp)
                              : !rule->icmp.given;
}

/* Name of the leaf; NULL: the rule matches. */
static const char *rule_differs(const struct firewall_rule *rule, const struct packet *packet)
{
    bool has_l4 = packet->fragment != PCN_FRAGMENT_LATER;
    bool has_ports = has_l4 && firewall_protocol_has_ports(packet->protocol);

    if (!prefixes_match(&rule->source, packet->version, &packet->source))
        return "src";
    if (!prefixes_match(&rule->destination, packet->version, &packet->destination))
        return "dst";
    if (rule->given & FIREWALL_GIVEN_PROTOCOL && !firewall_bit(rule->protocol, packet->protocol))
        return "l4proto";
    if (!ranges_match(&rule->source_ports, has_ports, packet->source_port))
        return "sport";
    if (!ranges_match(&rule->destination_ports, has_ports, packet->destination_port))
        return "dport";
    if (rule->given & FIREWALL_GIVEN_TCP_FLAGS &&
        (packet->protocol != IPPROTO_TCP || !has_l4 || !firewall_bit(rule->tcp_flags, packet->tcp_flags)))
        return "tcpflags";
    if (!icmp_matches(rule, packet, has_l4))
        return rule->icmp.given && packet->version == 4 ? "icmp-type" : "icmpv6-type";
    if (rule->given & FIREWALL_GIVEN_STATE && !(rule->state >> packet->state & 1))
        return "conntrack";
    if (rule->given & FIREWALL_GIVEN_DSCP && !(rule->dscp >> packet->dscp & 1))
        return "dscp";
    if (rule->given & FIREWALL_GIVEN_FRAGMENT && !(rule->fragment >> packet->fragment & 1))
        return "fragment";
    return NULL;
}

/* The same for all rules that an entry stands for: those by tuples differ there. */
static const char *entry_differs(struct firewall *firewall, const struct firewall_entry *entry,
                                 const struct packet *packet)
{
    _cleanup_free_ struct firewall_rule *rules = NULL;
    const char *differs = "dst-tuple";
    size_t n;

    if (firewall_entry_rules(firewall, entry, &rules, &n) < 0)
        return "src";
    if (!firewall_names_match(&entry->in, packet->in))
        return "in-interface";
    if (!firewall_names_match(&entry->out, packet->out))
        return "out-interface";
    for (size_t i = 0; i < n && differs; i++)
        differs = rule_differs(&rules[i], packet);
    if (differs && entry->sets[FIREWALL_BY_TUPLE] &&
        (pcn_streq(differs, "dst") || pcn_streq(differs, "l4proto") || pcn_streq(differs, "dport")))
        return "dst-tuple";
    return differs;
}

static void emit_earlier(struct firewall *firewall, const struct firewall_rules *rules, size_t end,
                         const struct packet *packet, struct pcn_emitter *output)
{
    pcn_emit_list(output, "earlier");
    for (size_t i = end > EARLIER_MAX ? end - EARLIER_MAX : 0; i < end; i++) {
        const struct firewall_entry *entry = rules->entries[i];
        const char *differs = entry_differs(firewall, entry, packet);
        char text[128] = "";

        if (differs)
            firewall_entry_text(entry, differs, text, sizeof(text));
        pcn_emit_entry(output);
        pcn_emit_uint(output, "id", i);
        pcn_emit_string(output, "differs", differs ?: entry->rule.action == FIREWALL_LOG ? "LOG" : "rate");
        pcn_emit_string(output, "wanted", text);
        pcn_emit_end(output);
    }
    pcn_emit_end(output);
}

/* ---- the action ---- */

static void emit_answer(struct firewall *firewall, const struct firewall_rules *rules, enum pcn_verdict verdict,
                        const struct firewall_explained *explained, struct packet *packet, struct pcn_emitter *output)
{
    static const char *const states[PCN_CT_STATE_MAX] = {"NONE", "NEW", "ESTABLISHED", "RELATED", "INVALID"};
    bool decided = explained->rule < rules->n;

    packet->state = explained->ct_state;
    if (!explained->parsed)
        pcn_emit_string(output, "verdict", verdict == PCN_PASS ? "PASS" : "DROP");
    else if (explained->established)
        pcn_emit_string(output, "verdict", "ACCEPT");
    else
        pcn_emit_string(output, "verdict", firewall_action_names[explained->action % FIREWALL_ACTION_MAX]);
    if (decided)
        pcn_emit_uint(output, "rule", explained->rule);
    if (!explained->parsed)
        pcn_emit_string(output, "reason", "it is malformed");
    else if (explained->established)
        pcn_emit_string(output, "reason", "accept-established: it is of a connection that was accepted");
    else if (decided)
        pcn_emit_string(output, "reason", rules->entries[explained->rule]->description ?: "the rule");
    else
        pcn_emit_string(output, "reason", "the default: no rule matches");
    pcn_emit_string(output, "state", states[explained->ct_state % PCN_CT_STATE_MAX]);
    if (explained->parsed && !explained->established)
        emit_earlier(firewall, rules, decided ? explained->rule : rules->n, packet, output);
}

/* What the loaded program says, and its verdict. */
static int ask(struct firewall *firewall, enum firewall_direction chain, const struct packet *packet,
               struct firewall_explained *ret_explained, struct pcn_error *error)
{
    uint8_t frame[FRAME_MAX];

    return firewall_dry_run(firewall, chain, frame, frame_make(packet, frame), ret_explained, error);
}

/* A later fragment is of the state that its first one had, if that was let through. */
static int ask_first(struct firewall *firewall, enum firewall_direction chain, const struct packet *packet,
                     struct pcn_error *error)
{
    struct firewall_explained explained;
    struct packet first = *packet;
    int r;

    first.fragment = PCN_FRAGMENT_FIRST;
    r = ask(firewall, chain, &first, &explained, error);
    if (r >= 0)
        firewall->memory.data->explain_state = r == PCN_PASS ? explained.ct_state : PCN_CT_INVALID;
    return r;
}

int firewall_explain_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                            struct pcn_emitter *output, struct pcn_error *error)
{
    struct firewall *firewall = pcn_cube_state(cube);
    enum firewall_direction chain = firewall_chain_of(pcn_node_string(input, "chain") ?: "INGRESS");
    struct firewall_explained explained;
    struct packet packet = {};
    uint32_t ifindex;
    int r;

    r = packet_read(input, &packet, error);
    if (r < 0)
        return r;
    ifindex = packet.in[0] ? pcn_netdev_ifindex(cube, packet.in) : 0;
    if (packet.in[0] && !ifindex)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "in-interface",
                             "in-interface: there is no device %s: give one that is there", packet.in);
    (void)pcn_cube_parent_netdev(cube, packet.out);
    firewall->memory.data->explain_ifindex = ifindex;
    if (packet.fragment == PCN_FRAGMENT_LATER)
        r = ask_first(firewall, chain, &packet, error);
    if (r >= 0)
        r = ask(firewall, chain, &packet, &explained, error);
    if (r < 0)
        return r;
    emit_answer(firewall, &firewall->chains[chain].now, (enum pcn_verdict)r, &explained, &packet, output);
    return 0;
}
