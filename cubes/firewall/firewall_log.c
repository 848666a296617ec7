/* SPDX-License-Identifier: Apache-2.0 */
/* What rules with LOG have matched: the last packets, and a line each in the daemon's log. */
#include "firewall.h"
#include <arpa/inet.h>
#include <stdio.h>

/* The headers that are told about: in front of what the record holds, IP may lie behind two tags. */
struct headers {
    const uint8_t *ip;
    size_t size; /* from ip on */
    unsigned int version;
    uint8_t protocol;
    const uint8_t *ports; /* NULL: it has none, or they are not there */
};

static bool headers_find(const uint8_t *frame, size_t size, struct headers *ret)
{
    struct headers headers = {};
    size_t at = 12, length;
    uint16_t type;

    for (int tags = 0;; tags++) {
        if (at + 2 > size)
            return false;
        type = (uint16_t)(frame[at] << 8 | frame[at + 1]);
        at += 2;
        if ((type != ETHERTYPE_VLAN && type != 0x88a8) || tags == 2)
            break;
        at += 2;
    }
    headers.version = type == ETHERTYPE_IPV6 ? 6 : 4;
    length = headers.version == 6 ? 40 : 20;
    if ((type != ETHERTYPE_IP && type != ETHERTYPE_IPV6) || at + length > size)
        return false;
    headers.ip = frame + at;
    headers.size = size - at;
    headers.protocol = headers.ip[headers.version == 6 ? 6 : 9];
    if (headers.version == 4)
        length = (size_t)(headers.ip[0] & 15) * 4;
    if (firewall_protocol_has_ports(headers.protocol) && length + 4 <= headers.size)
        headers.ports = headers.ip + length;
    *ret = headers;
    return true;
}

static void protocol_name(uint8_t protocol, char name[8])
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {{IPPROTO_TCP, "TCP"},
                 {IPPROTO_UDP, "UDP"},
                 {IPPROTO_ICMP, "ICMP"},
                 {IPPROTO_ICMPV6, "ICMPV6"},
                 {IPPROTO_SCTP, "SCTP"}};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(names); i++) {
        if (names[i].number == protocol) {
            (void)snprintf(name, 8, "%s", names[i].name);
            return;
        }
    }
    (void)snprintf(name, 8, "%u", protocol);
}

/* "TCP 10.0.0.1:1000 -> 10.0.0.2:80, 60 bytes"; IPv6 addresses in brackets where a port follows. */
static void packet_text(const struct pcn_packet_in *packet, char *text, size_t size)
{
    char from[INET6_ADDRSTRLEN] = "", to[INET6_ADDRSTRLEN] = "", protocol[8];
    struct headers headers;
    const char *open, *close;
    int family;

    if (!headers_find(packet->frame, packet->record.captured, &headers)) {
        (void)snprintf(text, size, "%u bytes", packet->record.length);
        return;
    }
    family = headers.version == 6 ? AF_INET6 : AF_INET;
    (void)inet_ntop(family, headers.ip + (headers.version == 6 ? 8 : 12), from, sizeof(from));
    (void)inet_ntop(family, headers.ip + (headers.version == 6 ? 24 : 16), to, sizeof(to));
    protocol_name(headers.protocol, protocol);
    if (!headers.ports) {
        (void)snprintf(text, size, "%s %s -> %s, %u bytes", protocol, from, to, packet->record.length);
        return;
    }
    open = headers.version == 6 ? "[" : "";
    close = headers.version == 6 ? "]" : "";
    (void)snprintf(text, size, "%s %s%s%s:%u -> %s%s%s:%u, %u bytes", protocol, open, from, close,
                   headers.ports[0] << 8 | headers.ports[1], open, to, close, headers.ports[2] << 8 | headers.ports[3],
                   packet->record.length);
}

void firewall_log_note(struct firewall *firewall, const struct pcn_packet_in *packet)
{
    struct firewall_log_line *line;

    if (!firewall->log)
        firewall->log = calloc(FIREWALL_LOG_SIZE, sizeof(*firewall->log));
    if (!firewall->log)
        return;
    line = &firewall->log[firewall->n_logged++ % FIREWALL_LOG_SIZE];
    (void)clock_gettime(CLOCK_REALTIME, &line->time);
    line->chain = packet->record.words[1] == FIREWALL_EGRESS ? FIREWALL_EGRESS : FIREWALL_INGRESS;
    line->rule = packet->record.words[0];
    packet_text(packet, line->packet, sizeof(line->packet));
    pcn_cube_log(firewall->cube, PCN_LOG_INFO, "%s rule %u: %s", firewall_chain_names[line->chain], line->rule,
                 line->packet);
}

int firewall_log_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    const struct firewall *firewall = pcn_cube_state(cube);
    uint64_t first, end;

    if (!pcn_ring_entries(firewall->n_logged, FIREWALL_LOG_SIZE, n_keys ? keys[0] : NULL, &first, &end))
        return -ENOENT;
    for (uint64_t i = first; i < end; i++) {
        const struct firewall_log_line *line = &firewall->log[i % FIREWALL_LOG_SIZE];

        pcn_emit_entry(emitter);
        pcn_emit_uint(emitter, "number", i + 1);
        pcn_emit_time(emitter, "time", &line->time);
        pcn_emit_string(emitter, "chain", firewall_chain_names[line->chain]);
        pcn_emit_uint(emitter, "rule", line->rule);
        pcn_emit_string(emitter, "packet", line->packet);
        pcn_emit_end(emitter);
    }
    return 0;
}
