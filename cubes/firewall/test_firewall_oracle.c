/* SPDX-License-Identifier: Apache-2.0 */
#include "test_firewall_oracle.h"
#include <arpa/inet.h>

/* ---- what is right ---- */

static bool prefix_has(const struct firewall_prefix *prefix, const union pcn_address *address)
{
    for (unsigned int bit = 0; bit < prefix->length; bit++) {
        uint32_t differ = ntohl(prefix->address.v6[bit / 32] ^ address->v6[bit / 32]);

        if (differ >> (31 - bit % 32) & 1)
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
        if (prefixes->items[i].version != version)
            continue;
        named = true;
        found |= prefix_has(&prefixes->items[i], address);
    }
    return named && found != prefixes->negate;
}

static bool ranges_match(const struct firewall_ranges *ranges, uint16_t value)
{
    bool found = false;

    for (uint32_t i = 0; i < ranges->n; i++)
        found |= value >= ranges->items[i].low && value <= ranges->items[i].high;
    return found != ranges->negate;
}

static bool ports_match(const struct firewall_ranges *ranges, const struct oracle_packet *packet, uint16_t port)
{
    bool has = packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP || packet->protocol == IPPROTO_SCTP;

    return !ranges->given || (has && packet->fragment != PCN_FRAGMENT_LATER && ranges_match(ranges, port));
}

static bool icmp_matches(const struct firewall_rule *rule, const struct oracle_packet *packet)
{
    uint16_t type = (uint16_t)(packet->icmp_type << 8 | packet->icmp_code);

    if (!rule->icmp.given && !rule->icmpv6.given)
        return true;
    if (packet->fragment == PCN_FRAGMENT_LATER)
        return false;
    if (packet->version == 4)
        return rule->icmp.given && packet->protocol == IPPROTO_ICMP && ranges_match(&rule->icmp, type);
    return rule->icmpv6.given && packet->protocol == IPPROTO_ICMPV6 && ranges_match(&rule->icmpv6, type);
}

/* Some one after the other, as they are made; some far apart, as they are after a while. */
uint32_t oracle_ifindex(uint32_t number)
{
    return number % 2 ? 100 + number : 1000000 + 7919 * number;
}

static bool interface_matches(const struct firewall_rule *rule, uint32_t ifindex)
{
    unsigned int class = 0;

    for (uint32_t i = 0; i < FIREWALL_INTERFACES_MAX; i++)
        if (oracle_ifindex(i) == ifindex)
            class = i + 1;
    return !(rule->given & FIREWALL_GIVEN_INTERFACE) || firewall_bit(rule->interfaces, class);
}

bool oracle_matches(const struct firewall_rule *rule, const struct oracle_packet *packet)
{
    if (!prefixes_match(&rule->source, packet->version, &packet->source) ||
        !prefixes_match(&rule->destination, packet->version, &packet->destination))
        return false;
    if (!ports_match(&rule->source_ports, packet, packet->source_port) ||
        !ports_match(&rule->destination_ports, packet, packet->destination_port) || !icmp_matches(rule, packet))
        return false;
    if (rule->given & FIREWALL_GIVEN_PROTOCOL && !firewall_bit(rule->protocol, packet->protocol))
        return false;
    if (rule->given & FIREWALL_GIVEN_TCP_FLAGS &&
        (packet->protocol != IPPROTO_TCP || packet->fragment == PCN_FRAGMENT_LATER ||
         !firewall_bit(rule->tcp_flags, packet->tcp_flags)))
        return false;
    if (rule->given & FIREWALL_GIVEN_DSCP && !(rule->dscp >> packet->dscp & 1))
        return false;
    if (rule->given & FIREWALL_GIVEN_STATE && !(rule->state >> packet->state & 1))
        return false;
    if (!interface_matches(rule, packet->ifindex))
        return false;
    return !(rule->given & FIREWALL_GIVEN_FRAGMENT) || rule->fragment >> packet->fragment & 1;
}

uint32_t oracle_find(const struct firewall_rule *rules, size_t n, uint32_t from, const struct oracle_packet *packet)
{
    for (size_t i = from; i < n; i++) {
        if (oracle_matches(&rules[i], packet))
            return (uint32_t)i;
    }
    return FIREWALL_NONE;
}

/* ---- packets ---- */

static size_t frame_l4(const struct oracle_packet *packet, uint8_t *l4)
{
    memset(l4, 0, 20);
    if (packet->fragment == PCN_FRAGMENT_LATER) {
        memset(l4, 0xa5, 20);
        return 20;
    }
    if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6) {
        l4[0] = packet->icmp_type;
        l4[1] = packet->icmp_code;
        return 20;
    }
    l4[0] = (uint8_t)(packet->source_port >> 8);
    l4[1] = (uint8_t)packet->source_port;
    l4[2] = (uint8_t)(packet->destination_port >> 8);
    l4[3] = (uint8_t)packet->destination_port;
    if (packet->protocol == IPPROTO_UDP) {
        l4[5] = 20;
    } else if (packet->protocol == IPPROTO_TCP) {
        l4[12] = 5 << 4;
        l4[13] = packet->tcp_flags;
    }
    return 20;
}

static size_t frame_ipv4(const struct oracle_packet *packet, uint8_t *ip)
{
    static const uint16_t offsets[] = {[PCN_FRAGMENT_FIRST] = 0x2000, [PCN_FRAGMENT_LATER] = 0x2010};
    size_t length = 20 + frame_l4(packet, ip + 20);
    uint16_t fragment = offsets[packet->fragment];

    memset(ip, 0, 20);
    ip[0] = 0x45;
    ip[1] = (uint8_t)(packet->dscp << 2);
    ip[3] = (uint8_t)length;
    ip[6] = (uint8_t)(fragment >> 8);
    ip[7] = (uint8_t)fragment;
    ip[8] = 64;
    ip[9] = packet->protocol;
    memcpy(ip + 12, &packet->source, 4);
    memcpy(ip + 16, &packet->destination, 4);
    return length;
}

static size_t frame_ipv6(const struct oracle_packet *packet, uint8_t *ip)
{
    size_t header = 40;

    memset(ip, 0, 48);
    ip[0] = (uint8_t)(0x60 | packet->dscp >> 2);
    ip[1] = (uint8_t)(packet->dscp << 6);
    ip[6] = packet->protocol;
    ip[7] = 64;
    memcpy(ip + 8, &packet->source, 16);
    memcpy(ip + 24, &packet->destination, 16);
    if (packet->fragment != PCN_FRAGMENT_NONE) {
        ip[6] = IPPROTO_FRAGMENT;
        ip[40] = packet->protocol;
        ip[43] = packet->fragment == PCN_FRAGMENT_FIRST ? 1 : 0x81;
        header = 48;
    }
    header += frame_l4(packet, ip + header);
    ip[5] = (uint8_t)(header - 40);
    return header;
}

void oracle_frame(const struct oracle_packet *packet, struct pcn_frame *ret_frame)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    uint8_t *bytes = ret_frame->bytes;

    memcpy(bytes, macs, sizeof(macs));
    bytes[12] = packet->version == 4 ? 0x08 : 0x86;
    bytes[13] = packet->version == 4 ? 0x00 : 0xdd;
    ret_frame->length = 14 + (packet->version == 4 ? frame_ipv4(packet, bytes + 14) : frame_ipv6(packet, bytes + 14));
}

void oracle_context(const struct oracle_packet *packet, struct pcn_packet *ret_context)
{
    *ret_context = (struct pcn_packet){
        .flags = PCN_PACKET_PARSED,
        .ct_state = packet->state,
        .l3_offset = 14,
        .l4_offset = packet->version == 4 ? 34 : 54,
        .ip_version = packet->version,
        .l4_protocol = packet->protocol,
        .fragment = packet->fragment,
        .dscp = packet->dscp,
        .tcp_flags = packet->tcp_flags,
        .source_port = htons(packet->source_port),
        .destination_port = htons(packet->destination_port),
        .source = packet->source,
        .destination = packet->destination,
    };
}

void oracle_print(const struct oracle_packet *packet)
{
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
    int family = packet->version == 4 ? AF_INET : AF_INET6;

    inet_ntop(family, &packet->source, source, sizeof(source));
    inet_ntop(family, &packet->destination, destination, sizeof(destination));
    printf("    %s:%u > %s:%u interface %u protocol %u fragment %u flags %#x dscp %u state %u icmp %u/%u\n", source,
           packet->source_port, destination, packet->destination_port, packet->ifindex, packet->protocol,
           packet->fragment, packet->tcp_flags, packet->dscp, packet->state, packet->icmp_type, packet->icmp_code);
}

/* ---- random ones: from few values, so that they meet ---- */

uint32_t oracle_random(uint64_t *state, uint32_t below)
{
    *state += 0x9e3779b97f4a7c15ull;
    uint64_t z = *state;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ z >> 31) >> 32) % below;
}

static bool one_in(uint64_t *random, uint32_t n)
{
    return oracle_random(random, n) == 0;
}

static union pcn_address random_address(uint64_t *random, uint8_t version)
{
    static const uint32_t words[] = {0, 0x0a000000, 0x0a000100, 0x0a0001f0, 0x0a010000, 0xffffffff, 0x80000000};
    static const uint32_t sixes[] = {0, 0x20010db8, 0x20010db9, 0xfd000000, 0xffffffff};
    union pcn_address address = {};

    if (version == 4) {
        address.v4 = htonl(words[oracle_random(random, PCN_ARRAY_SIZE(words))] ^ oracle_random(random, 16));
        return address;
    }
    address.v6[0] = htonl(sixes[oracle_random(random, PCN_ARRAY_SIZE(sixes))]);
    for (int i = 1; i < 4; i++) {
        if (one_in(random, 2))
            address.v6[i] = htonl(words[oracle_random(random, PCN_ARRAY_SIZE(words))] ^ oracle_random(random, 4));
    }
    return address;
}

static uint16_t random_port(uint64_t *random)
{
    static const uint16_t ends[] = {0, 1, 65535, 65534, 1024};

    return one_in(random, 4) ? ends[oracle_random(random, PCN_ARRAY_SIZE(ends))]
                             : (uint16_t)(80 + oracle_random(random, 24));
}

static uint8_t random_protocol(uint64_t *random)
{
    static const uint8_t protocols[] = {IPPROTO_TCP,  IPPROTO_TCP,    IPPROTO_UDP,  IPPROTO_UDP,
                                        IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_GRE};

    return protocols[oracle_random(random, PCN_ARRAY_SIZE(protocols))];
}

static void *rules_list(struct oracle_rules *rules, size_t size)
{
    void *list = calloc(1, size);
    void **lists = realloc(rules->lists, (rules->n_lists + 1) * sizeof(*lists));

    if (!list || !lists)
        abort();
    rules->lists = lists;
    rules->lists[rules->n_lists++] = list;
    return list;
}

static struct firewall_prefixes random_prefixes(struct oracle_rules *rules)
{
    uint64_t *random = &rules->random;
    uint32_t n = oracle_random(random, 8) ? 1 + oracle_random(random, 3) : oracle_random(random, 12);
    struct firewall_prefix *items = rules_list(rules, (n + 1) * sizeof(*items));
    uint8_t family = oracle_random(random, 3); /* IPv4, IPv6, mixed */

    for (uint32_t i = 0; i < n; i++) {
        items[i].version = family == 2 ? (one_in(random, 2) ? 4 : 6) : (family ? 6 : 4);
        items[i].address = random_address(random, items[i].version);
        items[i].length = (uint8_t)oracle_random(random, items[i].version == 4 ? 33 : 129);
        if (one_in(random, 3))
            items[i].length = items[i].version == 4 ? 32 : 128;
    }
    return (struct firewall_prefixes){.items = items, .n = n, .given = true, .negate = one_in(random, 4)};
}

static struct firewall_ranges random_ranges(struct oracle_rules *rules, bool icmp)
{
    uint64_t *random = &rules->random;
    uint32_t n = oracle_random(random, 10) ? 1 + oracle_random(random, 4) : 0;
    struct firewall_range *items = rules_list(rules, (n + 1) * sizeof(*items));

    for (uint32_t i = 0; i < n; i++) {
        uint16_t a = random_port(random), b = one_in(random, 2) ? a : random_port(random);

        if (icmp) {
            a = (uint16_t)(oracle_random(random, 4) << 8 | oracle_random(random, 3));
            b = one_in(random, 2) ? a | 0xff : a;
        }
        items[i] = (struct firewall_range){PCN_MIN(a, b), PCN_MAX(a, b)};
    }
    return (struct firewall_ranges){.items = items, .n = n, .given = true, .negate = one_in(random, 4)};
}

static void random_bitmap(uint64_t *random, uint64_t *bitmap, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bitmap[i] = (uint64_t)oracle_random(random, UINT32_MAX) << 32 | oracle_random(random, UINT32_MAX);
}

/* Mostly of the first few. */
static void random_interfaces(uint64_t *random, struct firewall_rule *rule)
{
    uint32_t n = 1 + oracle_random(random, 3);
    bool negate = one_in(random, 3);

    rule->given |= FIREWALL_GIVEN_INTERFACE;
    for (uint32_t i = 0; i < n; i++)
        firewall_bit_set(rule->interfaces, 1 + oracle_random(random, one_in(random, 3) ? FIREWALL_INTERFACES_MAX : 4));
    for (int i = 0; i < 2 && negate; i++)
        rule->interfaces[i] = ~rule->interfaces[i];
}

static uint32_t random_ifindex(uint64_t *random)
{
    return one_in(random, 8) ? 0 : oracle_ifindex(oracle_random(random, one_in(random, 2) ? ORACLE_DEVICES : 4));
}

static void random_bits(struct oracle_rules *rules, uint32_t used, struct firewall_rule *rule)
{
    uint64_t *random = &rules->random;

    if (used & FIREWALL_USES_PROTOCOL && one_in(random, 3)) {
        rule->given |= FIREWALL_GIVEN_PROTOCOL;
        random_bitmap(random, rule->protocol, one_in(random, 8) ? 4 : 0);
        for (int i = 0; i < 2; i++)
            firewall_bit_set(rule->protocol, random_protocol(random));
    }
    if (used & FIREWALL_USES_TCP_FLAGS && one_in(random, 6)) {
        rule->given |= FIREWALL_GIVEN_TCP_FLAGS;
        random_bitmap(random, rule->tcp_flags, 4);
    }
    if (used & FIREWALL_USES_DSCP && one_in(random, 8)) {
        rule->given |= FIREWALL_GIVEN_DSCP;
        random_bitmap(random, &rule->dscp, 1);
    }
    if (used & FIREWALL_USES_STATE && one_in(random, 5)) {
        rule->given |= FIREWALL_GIVEN_STATE;
        rule->state = (uint8_t)oracle_random(random, 32);
    }
    if (used & FIREWALL_USES_STATE && one_in(random, 8)) {
        rule->given |= FIREWALL_GIVEN_FRAGMENT;
        rule->fragment = (uint8_t)oracle_random(random, 8);
    }
    if (used & FIREWALL_USES_INTERFACE && one_in(random, 5))
        random_interfaces(random, rule);
}

static int rules_alloc(uint64_t seed, size_t n, struct oracle_rules *ret_rules)
{
    *ret_rules = (struct oracle_rules){.n = n, .random = seed, .rules = calloc(n + 1, sizeof(*ret_rules->rules))};
    if (!ret_rules->rules)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        ret_rules->rules[i].id = (uint32_t)i + 1000;
        ret_rules->rules[i].counter = (uint32_t)i + 1;
    }
    return 0;
}

int oracle_rules_random(uint64_t seed, size_t n, uint32_t used, struct oracle_rules *ret_rules)
{
    uint64_t *random = &ret_rules->random;
    int r = rules_alloc(seed, n, ret_rules);

    for (size_t i = 0; i < n && r >= 0; i++) {
        struct firewall_rule *rule = &ret_rules->rules[i];

        rule->action = (uint8_t)oracle_random(random, 2);
        if (used & FIREWALL_USES_SOURCE && one_in(random, 2))
            rule->source = random_prefixes(ret_rules);
        if (used & FIREWALL_USES_DESTINATION && one_in(random, 2))
            rule->destination = random_prefixes(ret_rules);
        if (used & FIREWALL_USES_SOURCE_PORT && one_in(random, 6))
            rule->source_ports = random_ranges(ret_rules, false);
        if (used & FIREWALL_USES_DESTINATION_PORT && one_in(random, 3))
            rule->destination_ports = random_ranges(ret_rules, false);
        if (used & FIREWALL_USES_ICMP && one_in(random, 8))
            rule->icmp = random_ranges(ret_rules, true);
        if (used & FIREWALL_USES_ICMP && one_in(random, 8))
            rule->icmpv6 = random_ranges(ret_rules, true);
        random_bits(ret_rules, used, rule);
        /* Some share their lists, as named sets do. */
        if (i && one_in(random, 6)) {
            rule->source = ret_rules->rules[i - 1].source;
            rule->destination_ports = ret_rules->rules[i - 1].destination_ports;
        }
    }
    return r;
}

struct oracle_packet oracle_packet_random(uint64_t *random)
{
    struct oracle_packet packet = {
        .version = one_in(random, 2) ? 4 : 6,
        .protocol = random_protocol(random),
        .dscp = one_in(random, 2) ? (uint8_t)oracle_random(random, 64) : 0,
        .state = (uint8_t)oracle_random(random, 5),
        .fragment = one_in(random, 6) ? (uint8_t)oracle_random(random, 3) : PCN_FRAGMENT_NONE,
    };

    packet.ifindex = random_ifindex(random);
    packet.source = random_address(random, packet.version);
    packet.destination = random_address(random, packet.version);
    if (packet.protocol == IPPROTO_ICMP || packet.protocol == IPPROTO_ICMPV6) {
        packet.icmp_type = (uint8_t)oracle_random(random, 4);
        packet.icmp_code = (uint8_t)oracle_random(random, 3);
        return packet;
    }
    packet.source_port = random_port(random);
    packet.destination_port = random_port(random);
    if (packet.protocol == IPPROTO_TCP)
        packet.tcp_flags = (uint8_t)oracle_random(random, 256);
    return packet;
}

void oracle_rules_done(struct oracle_rules *rules)
{
    for (size_t i = 0; i < rules->n_lists; i++)
        free(rules->lists[i]);
    free(rules->lists);
    free(rules->rules);
    *rules = (struct oracle_rules){};
}

/* ---- like those of limits.md ---- */

static struct firewall_prefixes one_prefix(struct oracle_rules *rules, uint8_t version, uint32_t address,
                                           uint8_t length)
{
    struct firewall_prefix *item = rules_list(rules, sizeof(*item));

    item->version = version;
    item->length = length;
    if (version == 4) {
        item->address.v4 = htonl(address);
    } else {
        /* The same 32 bits, behind 2001:db8:: and spread over subnet and host. */
        item->address.v6[0] = htonl(0x20010db8);
        item->address.v6[1] = htonl(address >> 16);
        item->address.v6[3] = htonl(address & 0xffff);
        item->length = length <= 16 ? (uint8_t)(48 + length) : (uint8_t)(112 + length - 16);
    }
    return (struct firewall_prefixes){.items = item, .n = 1, .given = true};
}

static struct firewall_ranges one_port(struct oracle_rules *rules, uint16_t port)
{
    struct firewall_range *item = rules_list(rules, sizeof(*item));

    *item = (struct firewall_range){port, port};
    return (struct firewall_ranges){.items = item, .n = 1, .given = true};
}

static void five(struct oracle_rules *rules, size_t i, uint32_t protocol)
{
    struct firewall_rule *rule = &rules->rules[i];

    rule->given = FIREWALL_GIVEN_PROTOCOL;
    firewall_bit_set(rule->protocol, protocol);
    rule->action = i & 1;
}

int oracle_rules_acl(uint64_t seed, size_t n, uint8_t version, struct oracle_rules *ret_rules)
{
    uint32_t sources[256], destinations[256], n_prefixes = 16;
    uint64_t *random = &ret_rules->random;
    int r = rules_alloc(seed, n, ret_rules);

    if (r < 0)
        return r;
    while (n_prefixes * n_prefixes < 4 * n && n_prefixes < 200)
        n_prefixes++;
    for (uint32_t i = 0; i < n_prefixes; i++) {
        static const uint8_t lengths[] = {20, 24, 28};

        sources[i] = 0x0a640000 | oracle_random(random, 65536);
        sources[i] = (sources[i] & ~0u << (32 - lengths[i % 3])) | (i % 3);
        destinations[i] = 0x0ac80000 | (i < 60 ? i << 8 : i << 8 | oracle_random(random, 256));
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t source = oracle_random(random, n_prefixes), destination = oracle_random(random, n_prefixes);

        five(ret_rules, i, one_in(random, 2) ? IPPROTO_TCP : IPPROTO_UDP);
        ret_rules->rules[i].source =
            one_prefix(ret_rules, version, sources[source] & ~3u, (uint8_t)(20 + 4 * (source % 3)));
        ret_rules->rules[i].destination =
            one_prefix(ret_rules, version, destinations[destination], destination < 60 ? 24 : 32);
        ret_rules->rules[i].destination_ports = one_port(ret_rules, (uint16_t)(1 + 97 * oracle_random(random, 100)));
    }
    return 0;
}

int oracle_rules_exact(uint64_t seed, size_t n, uint8_t version, struct oracle_rules *ret_rules)
{
    uint64_t *random = &ret_rules->random;
    int r = rules_alloc(seed, n, ret_rules);

    for (size_t i = 0; i < n && r >= 0; i++) {
        struct firewall_rule *rule = &ret_rules->rules[i];

        five(ret_rules, i, one_in(random, 2) ? IPPROTO_TCP : IPPROTO_UDP);
        rule->source = one_prefix(ret_rules, version, 0x0a640000 + oracle_random(random, 65536), 32);
        rule->destination = one_prefix(ret_rules, version, 0x0ac80000 + oracle_random(random, 65536), 32);
        rule->source_ports = one_port(ret_rules, (uint16_t)(1024 + oracle_random(random, 59000)));
        rule->destination_ports = one_port(ret_rules, (uint16_t)(1 + oracle_random(random, 1023)));
    }
    return r;
}

static union pcn_address inside(const struct firewall_prefix *prefix, uint64_t *random)
{
    union pcn_address address = prefix->address;
    unsigned int words = prefix->version == 4 ? 1 : 4;

    for (unsigned int i = 0; i < words; i++) {
        unsigned int length = prefix->length > 32 * i ? prefix->length - 32 * i : 0;
        uint32_t rest = length >= 32 ? 0 : length ? ~0u >> length : ~0u;

        address.v6[i] = (address.v6[i] & htonl(~rest)) | htonl(oracle_random(random, UINT32_MAX) & rest);
    }
    return address;
}

struct oracle_packet oracle_packet_for(const struct firewall_rule *rule, uint64_t *random)
{
    return (struct oracle_packet){
        .version = rule->source.items[0].version,
        .protocol = firewall_bit(rule->protocol, IPPROTO_TCP) ? IPPROTO_TCP : IPPROTO_UDP,
        .source = inside(&rule->source.items[0], random),
        .destination = inside(&rule->destination.items[0], random),
        .source_port = rule->source_ports.given ? rule->source_ports.items[0].low
                                                : (uint16_t)(1024 + oracle_random(random, 59000)),
        .destination_port = rule->destination_ports.items[0].low,
    };
}
