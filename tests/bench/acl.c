/* SPDX-License-Identifier: Apache-2.0 */
#include "acl.h"
#include <arpa/inet.h>

static void prefix_text(const struct firewall_prefix *prefix, char text[64])
{
    char address[INET6_ADDRSTRLEN];

    (void)snprintf(text, 64, "%s/%u",
                   inet_ntop(prefix->version == 4 ? AF_INET : AF_INET6, &prefix->address, address, sizeof(address)),
                   prefix->length);
}

struct acl_text acl_text(const struct firewall_rule *rule)
{
    struct acl_text text = {.protocol = firewall_bit(rule->protocol, IPPROTO_TCP) ? "tcp" : "udp",
                            .source_port = rule->source_ports.given ? rule->source_ports.items[0].low : 0,
                            .destination_port = rule->destination_ports.items[0].low};

    prefix_text(rule->source.items, text.source);
    prefix_text(rule->destination.items, text.destination);
    return text;
}

void acl_json(const struct oracle_rules *rules, FILE *stream)
{
    (void)fputs("[", stream);
    for (size_t i = 0; i < rules->n; i++) {
        struct acl_text text = acl_text(&rules->rules[i]);

        (void)fprintf(stream, "%s{\"id\": %zu, \"src\": \"%s\", \"dst\": \"%s\", \"l4proto\": \"%s\", ", i ? ", " : "",
                      i, text.source, text.destination, *text.protocol == 't' ? "TCP" : "UDP");
        if (text.source_port)
            (void)fprintf(stream, "\"sport\": %u, ", text.source_port);
        (void)fprintf(stream, "\"dport\": %u, \"action\": \"ACCEPT\"}", text.destination_port);
    }
    (void)fputs("]", stream);
}

void acl_iptables(const struct oracle_rules *rules, FILE *file)
{
    (void)fputs("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n", file);
    for (size_t i = 0; i < rules->n; i++) {
        struct acl_text text = acl_text(&rules->rules[i]);

        (void)fprintf(file, "-A FORWARD -s %s -d %s -p %s -m %s ", text.source, text.destination, text.protocol,
                      text.protocol);
        if (text.source_port)
            (void)fprintf(file, "--sport %u ", text.source_port);
        (void)fprintf(file, "--dport %u -j ACCEPT\n", text.destination_port);
    }
    (void)fputs("COMMIT\n", file);
}

void acl_nft(const struct oracle_rules *rules, FILE *file)
{
    (void)fputs("table ip filter {\n" ACL_NFT_CHAIN, file);
    for (size_t i = 0; i < rules->n; i++) {
        struct acl_text text = acl_text(&rules->rules[i]);

        (void)fprintf(file, "ip saddr %s ip daddr %s ", text.source, text.destination);
        if (text.source_port)
            (void)fprintf(file, "%s sport %u ", text.protocol, text.source_port);
        (void)fprintf(file, "%s dport %u accept\n", text.protocol, text.destination_port);
    }
    (void)fputs("}\n}\n", file);
}
