/* SPDX-License-Identifier: Apache-2.0 */
#include "test_nat_rig.h"
#include <arpa/inet.h>
#include <endian.h>
#include <sys/mman.h>

/* ---- set-up ---- */

static uint32_t opening_buckets;

static void configure(struct bpf_object *object)
{
    pcn_run_flows(object, opening_buckets, PCN_CT_KEYS, true);
}

static int rig_open(enum rig_way way, uint32_t n_buckets, struct rig *rig)
{
    const struct pcn_fast_spec spec = {
        .kind = "nat", .xdp = way == RIG_XDP, .blind = way == RIG_BLIND, .transparent = true, .configure = configure};
    int r;

    opening_buckets = n_buckets;
    r = pcn_fast_open(&spec, &rig->fast);
    if (r < 0)
        return r;
    rig->fast.summed = true;
    r = pcn_fast_flows(&rig->fast, n_buckets, PCN_CT_KEYS, &rig->nat.flows);
    if (r < 0)
        return r;
    rig->nat.settings = pcn_fast_memory(&rig->fast, NAT_SETTINGS, NULL);
    rig->nat.rules = pcn_fast_memory(&rig->fast, NAT_RULES, NULL);
    rig->nat.ranges = pcn_fast_memory(&rig->fast, NAT_RANGES, NULL);
    rig->nat.ranges6 = pcn_fast_memory(&rig->fast, NAT_RANGES6, NULL);
    rig->nat.settings->hairpin = 1;
    return 0;
}

void rig_freep(struct rig **ptr)
{
    struct rig *rig = TAKE_PTR(*ptr);

    if (!rig)
        return;
    pcn_fast_close(&rig->fast);
    free(rig);
}

struct rig *rig_new(enum rig_way way, uint32_t n_buckets)
{
    _cleanup_(rig_freep) struct rig *rig = calloc(1, sizeof(*rig));

    if (!PCN_CHECK(rig != NULL) || !PCN_CHECK_OK(rig_open(way, n_buckets, rig)))
        return NULL;
    return TAKE_PTR(rig);
}

/* ---- rules ---- */

uint32_t host(const char *text)
{
    return ntohl(inet_addr(text));
}

static void rules_load(struct rig *rig)
{
    const struct nat_config config = {rig->lines, rig->n_lines};
    struct nat_tables tables = {};
    struct pcn_error error = {};

    if (!PCN_CHECK_OK(nat_compile(&config, &tables, &error)))
        return;
    nat_tables_install(&rig->nat, &tables);
    nat_tables_done(&tables);
}

void add_line(struct rig *rig, struct nat_line line)
{
    line.rule.id = (uint32_t)rig->n_lines + 1;
    rig->lines[rig->n_lines++] = line;
    rules_load(rig);
}

void add_snat(struct rig *rig, const char *net, uint8_t length, const char *external, uint32_t n, uint16_t first,
              uint16_t last)
{
    add_line(rig,
             (struct nat_line){
                 .key = host(net),
                 .length = length,
                 .rule = {.kind = NAT_SNAT, .address = host(external), .n_addresses = n, .first = first, .last = last},
             });
}

void add_masquerade(struct rig *rig, const char *address)
{
    rig->nat.settings->address = address ? host(address) : 0;
    add_line(rig, (struct nat_line){.rule = {.kind = NAT_MASQUERADE}});
}

void add_dnat(struct rig *rig, const char *external, const char *internal)
{
    add_line(rig, (struct nat_line){.key = host(external),
                                    .rule = {.kind = NAT_DNAT, .address = host(internal), .n_addresses = 1}});
}

void add_forwarding(struct rig *rig, const char *external, uint16_t first, uint16_t last, const char *internal,
                    uint16_t port)
{
    add_line(rig, (struct nat_line){.key = host(external),
                                    .tcp = true,
                                    .rule = {.kind = NAT_PORT_FORWARDING,
                                             .address = host(internal),
                                             .n_addresses = 1,
                                             .first = first,
                                             .last = last,
                                             .internal = port}});
}

struct nat_wide wide(const char *text)
{
    uint64_t words[2] = {};

    PCN_CHECK_EQ(inet_pton(AF_INET6, text, words), 1);
    return (struct nat_wide){be64toh(words[0]), be64toh(words[1])};
}

void add_wide(struct rig *rig, uint8_t kind, const char *key, uint8_t length, const char *address)
{
    add_line(rig, (struct nat_line){
                      .wide = wide(key),
                      .length = length,
                      .rule = {.kind = kind, .version = 6, .wide = wide(address), .n_addresses = 1, .length = length}});
}

/* ---- packets ---- */

uint32_t give(struct rig *rig, enum pcn_direction direction, const struct pcn_frame *frame)
{
    uint32_t reason = pcn_fast_give(&rig->fast, direction, 0, frame, &rig->run);

    if (rig->run.verdict != PCN_SINK)
        PCN_CHECK_EQ(rig->run.verdict, pcn_fast_dropped(&rig->fast));
    return reason;
}

void becomes(struct rig *rig, enum pcn_direction direction, struct pcn_frame frame, struct pcn_frame expected)
{
    PCN_CHECK_EQ(give(rig, direction, &frame), 0);
    PCN_CHECK_EQ(rig->run.packet.port, direction == OUT ? PCN_NEXT_EGRESS : PCN_NEXT_INGRESS);
    PCN_CHECK_FRAME(&rig->run.frame, &expected);
}

void turns(struct rig *rig, struct pcn_frame frame, struct pcn_frame expected)
{
    PCN_CHECK_EQ(give(rig, OUT, &frame), 0);
    PCN_CHECK_EQ(rig->run.packet.port, PCN_NEXT_INGRESS);
    pcn_frame_set_macs(&expected, "02:00:00:00:00:01", "02:00:00:00:00:02");
    PCN_CHECK_FRAME(&rig->run.frame, &expected);
}

uint32_t n_places(struct rig *rig)
{
    return pcn_flows_places(&rig->nat.flows);
}

uint64_t n_created(struct rig *rig)
{
    return pcn_flows_statistics(&rig->nat.flows).created;
}

uint64_t *word_of(struct rig *rig, uint32_t slot)
{
    return (uint64_t *)&rig->nat.flows.entries[slot].word;
}

void check_pairs(struct rig *rig)
{
    const struct pcn_flows *flows = &rig->nat.flows;
    uint32_t n_led = 0;

    for (uint32_t place = 0; place < flows->n_places; place++) {
        uint32_t slot = pcn_flows_slot(flows, place);

        if (!*pcn_flows_tag(flows, place))
            continue;
        PCN_REQUIRE(slot < flows->n_slots);
        PCN_CHECK(*word_of(rig, slot) != 0);
        PCN_CHECK_EQ(flows->places[slot], place);
        n_led++;
    }
    for (uint32_t slot = 0; slot < flows->n_slots; slot++)
        n_led -= *word_of(rig, slot) != 0;
    PCN_CHECK_EQ(n_led, 0);
}
