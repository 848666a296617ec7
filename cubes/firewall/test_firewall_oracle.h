/* SPDX-License-Identifier: Apache-2.0 */
/* Random rules and packets, and what is right: the rules read one by one. */
#pragma once
#include "firewall_rule.h"
#include <harness/packet.h>
#include <stdio.h>

struct oracle_packet {
    uint8_t version;
    uint8_t protocol;
    uint8_t fragment; /* enum pcn_fragment */
    uint8_t tcp_flags;
    uint8_t dscp;
    uint8_t state;
    uint8_t icmp_type;
    uint8_t icmp_code;
    uint32_t ifindex;     /* of the device that it came by; 0: none */
    uint16_t source_port; /* host order */
    uint16_t destination_port;
    union pcn_address source;
    union pcn_address destination;
};

/* Devices that packets come by; those of classes 1.. first, then some that no rule names. */
#define ORACLE_DEVICES (FIREWALL_INTERFACES_MAX + 6)
uint32_t oracle_ifindex(uint32_t number);
bool oracle_matches(const struct firewall_rule *rule, const struct oracle_packet *packet);
/* First rule from number `from` on, or FIREWALL_NONE. */
uint32_t oracle_find(const struct firewall_rule *rules, size_t n, uint32_t from, const struct oracle_packet *packet);
void oracle_frame(const struct oracle_packet *packet, struct pcn_frame *ret_frame);
/* As pcn_packet_parse() would leave it. */
void oracle_context(const struct oracle_packet *packet, struct pcn_packet *ret_context);
void oracle_print(const struct oracle_packet *packet);

/* Rules of one seed, with the memory of their lists. */
struct oracle_rules {
    struct firewall_rule *rules;
    size_t n;
    void **lists;
    size_t n_lists;
    uint64_t random;
};

uint32_t oracle_random(uint64_t *state, uint32_t below);
/* used: FIREWALL_USES_* that may occur. */
int oracle_rules_random(uint64_t seed, size_t n, uint32_t used, struct oracle_rules *ret_rules);
/* Rules like those of a router's access list: prefixes, protocol, destination port. version 4 or 6. */
int oracle_rules_acl(uint64_t seed, size_t n, uint8_t version, struct oracle_rules *ret_rules);
/* Five exact fields. */
int oracle_rules_exact(uint64_t seed, size_t n, uint8_t version, struct oracle_rules *ret_rules);
void oracle_rules_done(struct oracle_rules *rules);
struct oracle_packet oracle_packet_random(uint64_t *random);
/* One that `rule`, of the access list or the exact ones, matches. */
struct oracle_packet oracle_packet_for(const struct firewall_rule *rule, uint64_t *random);
