/* SPDX-License-Identifier: Apache-2.0 */
#include "nat.h"
#include "nat_embed.h"
#include "nat_model.h"
#include <arpa/inet.h>
#include <endian.h>

static const struct pcn_reason reasons[] = {
    {"table-full", "it opens a session, and there is no room: see when-full"},
    {"no-port", "it opens a session, and every port that was tried is in use for this destination"},
    {"no-address", "masquerade has no address: what nat is attached to has none"},
    {"invalid", "it is of no session and opens none, and would show an address that a rule hides"},
    {"fragment", "its first fragment was not seen, and it would show an address that a rule hides"},
    {"nptv6", "its address has no other: a subnet of ffff, or a host of 0 or of ones alone (RFC 6296)"},
    {"race", "it opens a session that another CPU is just opening, by another packet"},
};

/* ---- the model: see pcn/flows.h ---- */

int nat_root_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    if (change->after && pcn_node_bool(change->after, "window-check", false))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "window-check",
                             "nat does not check windows: a conntrack cube or a firewall in front of it does");
    return 0;
}

int nat_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct nat *nat = pcn_cube_state(cube);
    const char *filtering;
    enum nat_filtering filter = NAT_FILTER_PORT;
    bool mapping;

    if (!change->after)
        return 0;
    pcn_flows_apply(&nat->flows, change->after, NAT_INSIDE);
    mapping = pcn_streq(pcn_node_string(change->after, "mapping"), "endpoint-independent");
    filtering = pcn_node_string(change->after, "filtering");
    if (mapping && pcn_streq(filtering, "endpoint-independent"))
        filter = NAT_FILTER_NONE;
    else if (mapping && pcn_streq(filtering, "address-dependent"))
        filter = NAT_FILTER_ADDRESS;
    __atomic_store_n(&nat->settings->mapping, mapping, __ATOMIC_RELAXED);
    __atomic_store_n(&nat->settings->filtering, filter, __ATOMIC_RELAXED);
    __atomic_store_n(&nat->settings->hairpin, pcn_node_bool(change->after, "hairpin", true), __ATOMIC_RELAXED);
    return 0;
}

int nat_root_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    const struct nat *nat = pcn_cube_state(cube);
    struct in_addr address = {htonl(nat->settings->address)};
    const struct nat_wide wide = nat->settings->address6;
    const uint64_t words[2] = {htobe64(wide.high), htobe64(wide.low)};
    char text[INET6_ADDRSTRLEN];

    if (address.s_addr)
        pcn_emit_string(emitter, "masquerade-ip", inet_ntop(AF_INET, &address, text, sizeof(text)));
    if (wide.high | wide.low)
        pcn_emit_string(emitter, "masquerade-ipv6", inet_ntop(AF_INET6, words, text, sizeof(text)));
    return 0;
}

int nat_timeouts_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    if (change->after)
        pcn_flows_apply_timeouts(pcn_cube_state(cube), change->after);
    return 0;
}

int nat_statistics_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    return pcn_flows_emit_statistics(pcn_cube_state(cube), emitter);
}

int nat_session_table_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                              struct pcn_emitter *emitter)
{
    return pcn_flows_emit_sessions(pcn_cube_state(cube), keys, n_keys, emitter);
}

int nat_flow_events_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    return pcn_flows_emit_events(pcn_cube_state(cube), keys, n_keys, emitter);
}

int nat_session_table_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    return pcn_flows_forget(pcn_cube_state(cube), keys, n_keys);
}

int nat_flush_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                     struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_flush(pcn_cube_state(cube), input, output, error);
}

int nat_delete_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                      struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_delete(pcn_cube_state(cube), input, output, error);
}

/* ---- masquerade's address ---- */

static bool has_masquerade(const struct nat *nat, uint8_t version)
{
    for (size_t i = 0; i < nat->now.n; i++)
        if (nat->now.lines[i].rule.kind == NAT_MASQUERADE && nat->now.lines[i].rule.version == version)
            return true;
    return false;
}

/* A packet that is being looked at may get half of each: the next one has the whole. */
static void address6_follow(struct pcn_cube *cube)
{
    struct nat *nat = pcn_cube_state(cube);
    union pcn_address address = {};
    struct nat_wide *now = &nat->settings->address6, wide;
    uint64_t words[2];

    if (!has_masquerade(nat, 6) || pcn_cube_parent_address(cube, AF_INET6, &address) < 0)
        address = (union pcn_address){};
    memcpy(words, &address, sizeof(words));
    wide = (struct nat_wide){be64toh(words[0]), be64toh(words[1])};
    if (wide.high == now->high && wide.low == now->low)
        return;
    __atomic_store_n(&now->high, wide.high, __ATOMIC_RELAXED);
    __atomic_store_n(&now->low, wide.low, __ATOMIC_RELAXED);
    if (wide.high | wide.low)
        nat_flush_masquerade(nat, 6);
}

static void address_follow(struct pcn_cube *cube)
{
    struct nat *nat = pcn_cube_state(cube);
    union pcn_address address = {};

    address6_follow(cube);
    if (!has_masquerade(nat, 4) || pcn_cube_parent_address(cube, AF_INET, &address) < 0)
        address = (union pcn_address){};
    if (ntohl(address.v4) == nat->settings->address)
        return;
    __atomic_store_n(&nat->settings->address, ntohl(address.v4), __ATOMIC_RELAXED);
    /* What has the old address outside gets no answers any more; where masquerade was turned off, it still does. */
    if (address.v4)
        nat_flush_masquerade(nat, 4);
}

/* ---- the instance ---- */

static void nat_applied(struct pcn_cube *cube)
{
    nat_rules_applied(cube);
    address_follow(cube);
}

static void nat_event(struct pcn_cube *cube, const struct pcn_event *event)
{
    if (event->kind == PCN_EVENT_PARENT)
        address_follow(cube);
}

static void nat_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    (void)pcn_flows_packet_in(pcn_cube_state(cube), packet);
}

static void nat_tick(struct pcn_cube *cube)
{
    pcn_flows_tick(pcn_cube_state(cube));
    address_follow(cube);
}

static int nat_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    uint32_t sessions = (uint32_t)pcn_node_uint(config, "table-size", PCN_CT_SIZE_DEFAULT);

    return pcn_flows_configure(object, &(struct pcn_flows_size){.flows = sessions,
                                                                .keys = PCN_CT_KEYS,
                                                                .counting = pcn_node_bool(config, "counting", false)});
}

static int nat_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_free_ struct nat *nat = NULL;
    size_t size;
    int r;

    nat = calloc(1, sizeof(*nat));
    if (!nat)
        return -ENOMEM;
    r = pcn_flows_open(cube, &nat->flows);
    if (r >= 0)
        r = pcn_map_memory(cube, NAT_SETTINGS, (void **)&nat->settings, &size);
    if (r >= 0)
        r = pcn_map_memory(cube, NAT_RULES, (void **)&nat->rules, &size);
    if (r >= 0)
        r = pcn_map_memory(cube, NAT_RANGES, (void **)&nat->ranges, &size);
    if (r >= 0)
        r = pcn_map_memory(cube, NAT_RANGES6, (void **)&nat->ranges6, &size);
    if (r < 0)
        return r;
    pcn_cube_set_state(cube, TAKE_PTR(nat));
    return 0;
}

static void nat_destroy(struct pcn_cube *cube)
{
    struct nat *nat = pcn_cube_state(cube);

    if (!nat)
        return;
    pcn_flows_close(&nat->flows);
    nat_rules_done(nat);
    free(nat);
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "nat",
    .version = "1.0.0",
    .description = "Translates addresses and ports: SNAT, masquerade, DNAT, port forwarding, NPTv6",
    .shape = PCN_TRANSPARENT,
    .yang = nat_yang,
    .tc_object = nat_tc,
    .tc_object_end = nat_tc_end,
    .xdp_object = nat_xdp,
    .xdp_object_end = nat_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = nat_handlers,
    .n_handlers = PCN_ARRAY_SIZE(nat_handlers),
    .configure = nat_configure,
    .create = nat_create,
    .destroy = nat_destroy,
    .packet_in = nat_packet_in,
    .event = nat_event,
    .tick = nat_tick,
    .prepared = nat_rules_prepared,
    .applied = nat_applied,
    .abandoned = nat_rules_abandoned,
};
