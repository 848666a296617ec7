/* SPDX-License-Identifier: Apache-2.0 */
#include "router_text.h"
#include <arpa/inet.h>
#include <stdio.h>

int router_address_parse(const char *text, uint16_t *ret_family, union pcn_address *ret_address, const char **ret_zone)
{
    const char *zone = strchr(text, '%');
    size_t length = zone ? (size_t)(zone - text) : strlen(text);
    char bare[INET6_ADDRSTRLEN];
    union pcn_address address = {};
    uint16_t family = memchr(text, ':', length) ? AF_INET6 : AF_INET;

    if (length >= sizeof(bare))
        return -EINVAL;
    memcpy(bare, text, length);
    bare[length] = '\0';
    if (inet_pton(family, bare, &address) != 1)
        return -EINVAL;
    *ret_family = family;
    *ret_address = address;
    if (ret_zone)
        *ret_zone = zone ? zone + 1 : NULL;
    return 0;
}

int router_network_parse(const char *text, struct router_network *ret_network)
{
    struct router_network network = {};
    const char *slash = strchr(text, '/');
    char bare[INET6_ADDRSTRLEN];
    unsigned long most, length;
    int r;

    if (snprintf(bare, sizeof(bare), "%.*s", slash ? (int)(slash - text) : (int)strlen(text), text) >=
        (int)sizeof(bare))
        return -EINVAL;
    r = router_address_parse(bare, &network.family, &network.address, NULL);
    if (r < 0)
        return r;
    most = network.family == AF_INET ? 32 : 128;
    length = slash ? strtoul(slash + 1, NULL, 10) : most;
    if (length > most)
        return -EINVAL;
    network.length = (uint16_t)length;
    *ret_network = network;
    return 0;
}

void router_mac_parse(const char *text, uint8_t ret_mac[ETH_ALEN])
{
    for (int i = 0; i < ETH_ALEN; i++)
        ret_mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
}

const char *router_address_format(uint16_t family, const union pcn_address *address, char ret_text[ROUTER_ADDRESS_TEXT])
{
    if (!inet_ntop(family, address, ret_text, ROUTER_ADDRESS_TEXT))
        ret_text[0] = '\0';
    return ret_text;
}

const char *router_network_format(const struct router_network *network, char ret_text[ROUTER_NETWORK_TEXT])
{
    char address[ROUTER_ADDRESS_TEXT];

    router_address_format(network->family, &network->address, address);
    (void)snprintf(ret_text, ROUTER_NETWORK_TEXT, "%.45s/%u", address, network->length);
    return ret_text;
}

const char *router_mac_format(const uint8_t mac[ETH_ALEN], char ret_text[ROUTER_MAC_TEXT])
{
    (void)snprintf(ret_text, ROUTER_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                   mac[5]);
    return ret_text;
}
