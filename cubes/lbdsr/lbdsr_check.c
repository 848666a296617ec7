/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of the model, and what of them goes together. */
#include "lbdsr.h"
#include <arpa/inet.h>
#include <pcn/maglev.h>
#include <stdio.h>

static const char *const mode_names[LBDSR_MODES] = {"L2DSR", "L3DSR", "IPIP", "GUE", "VXLAN", "GENEVE"};

void lbdsr_mac_parse(const char *text, uint8_t ret_mac[ETH_ALEN])
{
    for (int i = 0; i < ETH_ALEN; i++, text += 3)
        ret_mac[i] = (uint8_t)strtoul(text, NULL, 16);
}

uint8_t lbdsr_address_parse(const char *text, union pcn_address *ret_address)
{
    union pcn_address address = {.v6 = {}};

    if (inet_pton(AF_INET, text, &address) == 1) {
        *ret_address = address;
        return 4;
    }
    (void)inet_pton(AF_INET6, text, &address);
    *ret_address = address;
    return 6;
}

bool lbdsr_address_is_host(const union pcn_address *address, uint8_t version)
{
    uint32_t first = ntohl(address->v6[0]);

    if (version == 6)
        return first >> 24 != 0xff && (first || address->v6[1] || address->v6[2] || ntohl(address->v6[3]) > 1);
    return first >> 24 != 0 && first >> 24 != 127 && first >> 28 < 0xe;
}

/* ---- leaves ---- */

static bool leaf_uint(const struct pcn_node *node, const char *leaf, uint64_t *ret_value)
{
    uint64_t value = pcn_node_uint(node, leaf, UINT64_MAX);

    *ret_value = value == UINT64_MAX ? 0 : value;
    return value != UINT64_MAX;
}

static void segment_leaves(struct lbdsr_group *service, const struct pcn_node *node)
{
    const char *type = pcn_node_string(node, "segment-type");
    uint64_t id;

    service->has_segment_type = type;
    service->has_segment_id = leaf_uint(node, "segment-id", &id);
    service->key.segment = 0;
    if (type && service->has_segment_id)
        service->key.segment =
            lbdsr_segment_tenant(pcn_streq(type, "VXLAN") ? LBDSR_VXLAN : LBDSR_GENEVE, (uint32_t)id);
}

void lbdsr_service_leaves(struct lbdsr_group *service, const struct pcn_node *node)
{
    const char *name = pcn_node_string(node, "mode");
    uint64_t value;

    service->mode = LBDSR_L2DSR;
    for (int mode = 0; mode < LBDSR_MODES; mode++)
        if (pcn_streq(name, mode_names[mode]))
            service->mode = (uint8_t)mode;
    service->affinity = pcn_node_bool(node, "source-affinity", false);
    service->has_dscp = leaf_uint(node, "outer-dscp", &value);
    service->dscp = (uint8_t)value;
    service->has_vni = leaf_uint(node, "vni", &value);
    service->vni = (uint32_t)value;
    service->key.vlan = (uint16_t)pcn_node_uint(node, "vlan", 0);
    segment_leaves(service, node);
    service->udp_port = (uint16_t)pcn_node_uint(node, "udp-port", 0);
    service->has_quic = leaf_uint(node, "quic-config", &value);
    service->quic_config = (uint8_t)value;
}

struct lbdsr_prefix lbdsr_prefix_parse(const char *text)
{
    struct lbdsr_prefix prefix = {.length = (uint8_t)strtoul(strchr(text, '/') + 1, NULL, 10)};
    char address[INET6_ADDRSTRLEN];

    (void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "/"), text);
    prefix.version = lbdsr_address_parse(address, &prefix.address);
    return prefix;
}

static int outer4_parse(const char *outer, struct lbdsr_settings *settings, struct pcn_error *error)
{
    const struct lbdsr_prefix prefix = lbdsr_prefix_parse(outer);

    if (!lbdsr_address_is_host(&prefix.address, 4) || prefix.length < 8)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "outer-source",
                             "%s is not a prefix of hosts, of 8 to 32 bits", outer);
    settings->has_outer = true;
    settings->outer_hosts = htonl((uint32_t)(0xffffffffull >> prefix.length));
    settings->outer_source = prefix.address.v4 & ~settings->outer_hosts;
    return 0;
}

static int outer6_parse(const char *outer, struct lbdsr_settings *settings, struct pcn_error *error)
{
    const struct lbdsr_prefix prefix = lbdsr_prefix_parse(outer);

    if (!lbdsr_address_is_host(&prefix.address, 6) || prefix.length < 64)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "outer-source6",
                             "%s is not a prefix of hosts, of 64 to 128 bits", outer);
    settings->has_outer6 = true;
    settings->outer_hosts6 = prefix.length > 96 ? htonl((uint32_t)(0xffffffffull >> (prefix.length - 96))) : UINT32_MAX;
    settings->outer_source6 = prefix.address;
    settings->outer_source6.v6[3] &= ~settings->outer_hosts6;
    return 0;
}

int lbdsr_settings_parse(const struct pcn_node *node, struct lbdsr_settings *ret_settings, struct pcn_error *error)
{
    const char *outer = pcn_node_string(node, "outer-source"), *outer6 = pcn_node_string(node, "outer-source6");
    const char *gateway = pcn_node_string(node, "gateway-mac");
    struct lbdsr_settings settings = {
        .has_gateway = gateway, .tunnel = ret_settings->tunnel, .tunnel6 = ret_settings->tunnel6};
    int r = 0;

    if (outer)
        r = outer4_parse(outer, &settings, error);
    if (outer6 && r == 0)
        r = outer6_parse(outer6, &settings, error);
    if (r < 0)
        return r;
    if (gateway)
        lbdsr_mac_parse(gateway, settings.gateway);
    *ret_settings = settings;
    return 0;
}

void lbdsr_settings_tunnels(const struct pcn_node *node, struct lbdsr_settings *settings)
{
    const char *tunnel = node ? pcn_node_string(node, "tunnel-address") : NULL;
    const char *tunnel6 = node ? pcn_node_string(node, "tunnel-address6") : NULL;

    settings->tunnel = settings->tunnel6 = (union pcn_address){.v6 = {}};
    if (tunnel)
        (void)lbdsr_address_parse(tunnel, &settings->tunnel);
    if (tunnel6)
        (void)lbdsr_address_parse(tunnel6, &settings->tunnel6);
}

int lbdsr_table_size_check(uint64_t size, const char *path, struct pcn_error *error)
{
    if (pcn_maglev_is_prime((uint32_t)size))
        return 0;
    return pcn_error_set(
        error, PCN_ERROR_INVALID_VALUE, path,
        "table-size %u is not a prime: of a table of another size, backends could not reach all places",
        (uint32_t)size);
}

/* ---- what goes together ---- */

static bool has_segment(const struct lbdsr_group *service)
{
    return service->mode == LBDSR_VXLAN || service->mode == LBDSR_GENEVE;
}

void lbdsr_service_name(const struct lbdsr_group *service, char between, char ret_name[LBDSR_NAME_MAX])
{
    const char *protocol = service->key.protocol == IPPROTO_TCP ? "TCP" : service->key.protocol ? "UDP" : "ALL";
    char vip[INET6_ADDRSTRLEN];

    (void)inet_ntop(service->key.version == 4 ? AF_INET : AF_INET6, &service->key.address, vip, sizeof(vip));
    (void)snprintf(ret_name, LBDSR_NAME_MAX, "%s%s%s%c%u%c%s", vip, *service->zone ? "%" : "", service->zone, between,
                   service->key.port, between, protocol);
}

void lbdsr_service_path(const struct lbdsr_group *service, char ret_path[LBDSR_PATH_MAX])
{
    char name[LBDSR_NAME_MAX];

    if (service->pool) {
        (void)snprintf(ret_path, LBDSR_PATH_MAX, "frontend/vip");
        return;
    }
    lbdsr_service_name(service, '/', name);
    (void)snprintf(ret_path, LBDSR_PATH_MAX, "service/%s", name);
}

static int end_check(const struct lbdsr_group *service, const struct lbdsr_end *end,
                     const struct lbdsr_settings *settings, struct pcn_error *error)
{
    const char *mode = mode_names[service->mode];
    char path[LBDSR_PATH_MAX], name[INET6_ADDRSTRLEN] = "";

    if (!end->version)
        return 0;
    lbdsr_service_path(service, path);
    (void)inet_ntop(end->version == 4 ? AF_INET : AF_INET6, &end->address, name, sizeof(name));
    /* In a segment an address may be that of somebody else outside. */
    if (service->mode != LBDSR_L2DSR && !service->key.segment && end->version == service->key.version &&
        memcmp(&end->address, &service->key.address, sizeof(end->address)) == 0)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "backend %s is the vip itself: mode %s would send packets back here", name, mode);
    if (service->mode == LBDSR_L2DSR && !end->has_mac)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                             "backend %s has no mac: mode L2DSR sends frames to it", name);
    if (service->mode == LBDSR_L3DSR && end->version != service->key.version)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "backend %s is not IPv%u: mode L3DSR puts its address in the place of the vip", name,
                             service->key.version);
    if (!end->has_mac && !settings->has_gateway)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                             "backend %s has no mac, and the cube no gateway-mac: mode %s needs one of them", name,
                             mode);
    if (has_segment(service) && !end->has_mac && !end->has_inner_mac)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                             "backend %s has neither inner-mac nor mac: mode %s sends frames to it", name, mode);
    if (service->mode >= LBDSR_IPIP && !(end->version == 6 ? settings->has_outer6 : settings->has_outer))
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                             "mode %s with backend %s needs %s of the cube: where encapsulated packets come from", mode,
                             name, end->version == 6 ? "outer-source6" : "outer-source");
    return 0;
}

static int tenant_check(const struct lbdsr_group *service, const struct lbdsr_settings *settings, const char *path,
                        struct pcn_error *error)
{
    if (service->has_segment_id && !service->has_segment_type)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path, "segment-id needs segment-type: VXLAN or GENEVE");
    if (service->has_segment_type && !service->has_segment_id)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                             "segment-type needs segment-id: the VNI, 0 to 16777215");
    if (service->key.segment && service->key.vlan)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                             "vlan and segment-type exclude each other: a tenant is a VLAN or a segment");
    if (service->key.segment && !settings->tunnel.v4 && !settings->tunnel6.v6[0])
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                             "segment-type needs tunnel-address of the frontend, or tunnel-address6: where packets in "
                             "segments are sent to");
    return 0;
}

int lbdsr_service_check(const struct lbdsr_group *service, const struct lbdsr_settings *settings,
                        struct pcn_error *error)
{
    const char *mode = mode_names[service->mode];
    char path[LBDSR_PATH_MAX];
    int r = 0;

    lbdsr_service_path(service, path);
    r = tenant_check(service, settings, path, error);
    if (r < 0)
        return r;
    if (service->mode >= LBDSR_IPIP && !settings->has_outer && !settings->has_outer6)
        return pcn_error_set(
            error, PCN_ERROR_MISSING_ELEMENT, path,
            "mode %s needs outer-source of the cube, or outer-source6: where encapsulated packets come from", mode);
    if (has_segment(service) && !service->has_vni)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path, "mode %s needs vni: the id of the segment", mode);
    if (service->mode == LBDSR_L3DSR && !service->has_dscp)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                             "mode L3DSR needs outer-dscp: by it backends tell which vip a packet was for");
    r = lbdsr_rules_check(service, path, error);
    for (size_t i = 0; i < service->n_ends && r >= 0; i++)
        r = end_check(service, &service->ends[i], settings, error);
    return r;
}
