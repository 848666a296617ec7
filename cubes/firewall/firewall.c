/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall.h"
#include "firewall_embed.h"
#include <pcn/answer.h>

static const struct pcn_reason reasons[] = {
    {"table-full", "it opens a flow, and there is no room: see when-full"},
    {"too-many-continue", "more than 32 rules for it only log, or their rates are spent"},
};

static int firewall_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    struct firewall *firewall = calloc(1, sizeof(*firewall));

    if (!firewall)
        return -ENOMEM;
    firewall->cube = cube;
    firewall->options = firewall_options_of(config);
    pcn_cube_set_state(cube, firewall);
    return firewall_load_new(firewall);
}

static void firewall_packet_in(struct pcn_cube *cube, const struct pcn_packet_in *packet)
{
    struct firewall *firewall = pcn_cube_state(cube);
    enum pcn_direction back = packet->record.direction == PCN_INGRESS ? PCN_EGRESS : PCN_INGRESS;
    uint8_t answer[PCN_ANSWER_MAX];
    size_t size;

    if (pcn_flows_packet_in(&firewall->flows, packet))
        return;
    if (packet->record.reason == FIREWALL_SLOW_LOG) {
        firewall_log_note(firewall, packet);
        return;
    }
    size = pcn_answer_reject(packet->frame, packet->record.captured, packet->record.words[0],
                             (uint8_t)packet->record.words[1], answer);
    if (size)
        (void)pcn_cube_send(cube, 0, back, answer, size);
}

static void firewall_destroy(struct pcn_cube *cube)
{
    struct firewall *firewall = pcn_cube_state(cube);

    if (!firewall)
        return;
    firewall_abandoned(cube);
    for (int i = 0; i < FIREWALL_CHAIN_MAX; i++) {
        firewall_rules_done(&firewall->chains[i].now);
        firewall_plan_freep(&firewall->chains[i].spare);
        firewall_array_done(&firewall->chains[i].array);
    }
    firewall_sets_done(&firewall->sets);
    free(firewall->slots);
    free(firewall->log);
    pcn_flows_close(&firewall->flows);
    free(firewall);
    pcn_cube_set_state(cube, NULL);
}

static void firewall_tick(struct pcn_cube *cube)
{
    struct firewall *firewall = pcn_cube_state(cube);

    pcn_flows_tick(&firewall->flows);
    firewall_devices_follow(firewall, NULL);
    firewall_spares_make(firewall);
}

static void firewall_event(struct pcn_cube *cube, const struct pcn_event *event)
{
    if (event->kind == PCN_EVENT_DEVICE || event->kind == PCN_EVENT_PARENT)
        firewall_devices_follow(pcn_cube_state(cube), event->ifindex ? event : NULL);
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "firewall",
    .version = "1.0.0",
    .description = "A firewall for IPv4 and IPv6",
    .shape = PCN_TRANSPARENT,
    .yang = firewall_yang,
    .tc_object = firewall_tc,
    .tc_object_end = firewall_tc_end,
    .xdp_object = firewall_xdp,
    .xdp_object_end = firewall_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = firewall_handlers,
    .n_handlers = PCN_ARRAY_SIZE(firewall_handlers),
    .initial = "{\"chain\": [{\"name\": \"INGRESS\"}, {\"name\": \"EGRESS\"}]}",
    .configure = firewall_configure,
    .reconfigure = firewall_reconfigure,
    .create = firewall_create,
    .destroy = firewall_destroy,
    .packet_in = firewall_packet_in,
    .event = firewall_event,
    .tick = firewall_tick,
    .prepared = firewall_prepared,
    .applied = firewall_applied,
    .abandoned = firewall_abandoned,
    .after_alone = true,
};
