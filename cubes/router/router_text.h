/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text, in the forms that the model has checked. */
#pragma once
#include "router_rib.h"
#include <net/ethernet.h>

#define ROUTER_ADDRESS_TEXT 112 /* an IPv6 address, %, and a port */
#define ROUTER_NETWORK_TEXT 52
#define ROUTER_MAC_TEXT 18

/* "10.0.0.1", "fe80::1", "fe80::1%port": ret_zone points behind the %, or is NULL. -EINVAL. */
int router_address_parse(const char *text, uint16_t *ret_family, union pcn_address *ret_address, const char **ret_zone);
/* "10.0.0.1/24": the bits of the host are kept; without a length: the full one. -EINVAL. */
int router_network_parse(const char *text, struct router_network *ret_network);
void router_mac_parse(const char *text, uint8_t ret_mac[ETH_ALEN]);

const char *router_address_format(uint16_t family, const union pcn_address *address,
                                  char ret_text[ROUTER_ADDRESS_TEXT]);
const char *router_network_format(const struct router_network *network, char ret_text[ROUTER_NETWORK_TEXT]);
const char *router_mac_format(const uint8_t mac[ETH_ALEN], char ret_text[ROUTER_MAC_TEXT]);
