/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the firewall's test that are like an access list's, as text. */
#pragma once
#include <stdio.h>
#include <test_firewall_oracle.h>

struct acl_text {
    char source[64];
    char destination[64];
    const char *protocol;
    unsigned int source_port; /* 0: any */
    unsigned int destination_port;
};

struct acl_text acl_text(const struct firewall_rule *rule);
/* A list of the model's rules, which accept. */
void acl_json(const struct oracle_rules *rules, FILE *stream);
/* For iptables-restore, and for nft -f. */
void acl_iptables(const struct oracle_rules *rules, FILE *file);
void acl_nft(const struct oracle_rules *rules, FILE *file);
#define ACL_NFT_CHAIN "chain forward {\ntype filter hook forward priority 0; policy drop;\n"
