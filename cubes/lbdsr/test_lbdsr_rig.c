/* SPDX-License-Identifier: Apache-2.0 */
#include "test_lbdsr_rig.h"
#include <arpa/inet.h>
#include <sys/mman.h>

/* ---- set-up ---- */

static struct lbdsr_sizes opening;

static void configure(struct bpf_object *object)
{
    pcn_run_set(object, "lbdsr_sizes", &opening, sizeof(opening));
    pcn_run_trim(object, LBDSR_KEYS, (opening.key_mask + 1) * sizeof(struct lbdsr_bucket));
    pcn_run_trim(object, LBDSR_VIPS, opening.n_vips * sizeof(struct lbdsr_vip));
    pcn_run_trim(object, LBDSR_PLACES, opening.n_places * sizeof(uint16_t));
    pcn_run_trim(object, LBDSR_BACKENDS, opening.n_backends * sizeof(struct lbdsr_target));
    pcn_run_trim(object, LBDSR_COUNTS, opening.n_counts * sizeof(struct lbdsr_count));
    pcn_run_trim(object, LBDSR_FLOWS, opening.n_flow_buckets * sizeof(struct lbdsr_flows));
}

static int rig_open(bool xdp, uint32_t connections, struct rig *rig)
{
    const struct pcn_fast_spec spec = {.kind = "lbdsr", .xdp = xdp, .n_ports = 2, .configure = configure};
    struct lbdsr_tables *tables = &rig->tables;
    struct lbdsr_data *data;
    int r;

    opening = lbdsr_sizes_for(8, 1024, TABLE_SIZE, connections, pcn_cpus());
    tables->sizes = opening;
    r = pcn_fast_open(&spec, &rig->fast);
    if (r < 0)
        return r;
    tables->keys = pcn_fast_memory(&rig->fast, LBDSR_KEYS, NULL);
    tables->vips = pcn_fast_memory(&rig->fast, LBDSR_VIPS, NULL);
    tables->places = pcn_fast_memory(&rig->fast, LBDSR_PLACES, NULL);
    tables->backends = pcn_fast_memory(&rig->fast, LBDSR_BACKENDS, NULL);
    tables->counts = pcn_fast_memory(&rig->fast, LBDSR_COUNTS, NULL);
    tables->flows = pcn_fast_memory(&rig->fast, LBDSR_FLOWS, NULL);
    tables->data = data = pcn_fast_memory(&rig->fast, LBDSR_DATA, NULL);
    if (!tables->keys || !tables->vips || !tables->places || !tables->backends || !tables->counts || !tables->flows ||
        !data)
        return -ENOMEM;
    data->ports[LBDSR_FRONTEND] = FRONT;
    data->ports[LBDSR_BACKEND] = BACK;
    data->timeout = 300 * pcn_clock_hz();
    data->refresh = pcn_clock_hz();
    data->mtu = MTU;
    rig->settings.has_outer = true;
    rig->settings.outer_source = inet_addr("10.200.0.0");
    rig->settings.outer_hosts = inet_addr("0.0.255.255");
    rig->settings.has_outer6 = true;
    (void)inet_pton(AF_INET6, "2001:db8:200::", &rig->settings.outer_source6);
    rig->settings.outer_hosts6 = UINT32_MAX;
    pcn_parse_mac(OUR_MAC, data->mac);
    rig->settings.tunnel.v4 = inet_addr(TUNNEL);
    (void)inet_pton(AF_INET6, TUNNEL6, &rig->settings.tunnel6);
    lbdsr_tables_tunnels(tables, &rig->settings);
    return lbdsr_tables_open(tables, TABLE_SIZE);
}

void rig_freep(struct rig **ptr)
{
    struct rig *rig = TAKE_PTR(*ptr);

    if (!rig)
        return;
    for (size_t i = 0; i < rig->n_groups; i++) {
        if (rig->groups[i])
            free(rig->groups[i]->ends);
        free(rig->groups[i]);
    }
    lbdsr_tables_close(&rig->tables);
    pcn_fast_close(&rig->fast);
    free(rig);
}

struct rig *rig_new(bool xdp, uint32_t connections)
{
    _cleanup_(rig_freep) struct rig *rig = calloc(1, sizeof(*rig));

    if (!PCN_CHECK(rig != NULL) || !PCN_CHECK_OK(rig_open(xdp, connections, rig)))
        return NULL;
    return TAKE_PTR(rig);
}

/* ---- services ---- */

void ends_make(struct lbdsr_end *ends, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = first + i;

        ends[i] = (struct lbdsr_end){
            .address.v4 = htonl(0x0a000000 | number),
            .version = 4,
            .mac = {2, 0, 0, 0, (uint8_t)(number >> 8), (uint8_t)number},
            .has_mac = true,
            .weight = 1,
        };
    }
}

static struct lbdsr_key key_of(const char *vip, uint16_t port, uint8_t protocol)
{
    struct lbdsr_key key = {.port = port, .protocol = protocol, .version = strchr(vip, ':') ? 6 : 4};

    (void)inet_pton(key.version == 6 ? AF_INET6 : AF_INET, vip, &key.address);
    return key;
}

static size_t service_find(const struct rig *rig, const struct lbdsr_key *key)
{
    for (size_t i = 0; i < rig->n_groups; i++)
        if (rig->groups[i] && memcmp(&rig->groups[i]->key, key, sizeof(*key)) == 0)
            return i;
    return rig->n_groups;
}

size_t service_set(struct rig *rig, const char *vip, uint16_t port, uint8_t protocol, uint8_t mode,
                   const struct lbdsr_end *ends, size_t n)
{
    struct lbdsr_key key = key_of(vip, port, protocol);
    struct lbdsr_group *group = calloc(1, sizeof(*group)), *before;
    size_t index;

    key.vlan = rig->leaves.key.vlan;
    key.segment = rig->leaves.key.segment;
    index = service_find(rig, &key);
    before = index < rig->n_groups ? rig->groups[index] : NULL;
    *group = before ? *before : rig->leaves;
    if (!before) {
        group->table_size = rig->leaves.table_size ?: TABLE_SIZE;
        group->places = lbdsr_pieces_take(&rig->tables.pieces, group->table_size);
        PCN_CHECK(group->places != 0);
    }
    group->key = key;
    group->mode = mode;
    group->n_ends = n;
    group->ends = calloc(n + 1, sizeof(*ends));
    memcpy(group->ends, ends, n * sizeof(*ends));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; before && j < before->n_ends; j++)
            if (memcmp(&before->ends[j].address, &ends[i].address, sizeof(ends->address)) == 0)
                group->ends[i].number = before->ends[j].number;
    PCN_CHECK_OK(lbdsr_maglev(group->ends, n, group->table_size, &group->table));
    lbdsr_tables_publish(&rig->tables, group, before, &rig->settings);
    free(group->table);
    group->table = NULL;
    if (before)
        free(before->ends);
    free(before);
    rig->groups[index] = group;
    rig->n_groups = PCN_MAX(rig->n_groups, index + 1);
    return index;
}

void service_withdraw(struct rig *rig, size_t index)
{
    lbdsr_tables_withdraw(&rig->tables, rig->groups[index]);
    lbdsr_pieces_give(&rig->tables.pieces, rig->groups[index]->places);
    free(rig->groups[index]->ends);
    free(rig->groups[index]);
    rig->groups[index] = NULL;
}

struct lbdsr_tally tally(const struct rig *rig)
{
    return lbdsr_tables_statistics(&rig->tables);
}

/* ---- packets ---- */

uint32_t give(struct rig *rig, const struct pcn_frame *frame)
{
    return pcn_fast_give(&rig->fast, PCN_INGRESS, FRONT, frame, &rig->run);
}

uint32_t goes_to(struct rig *rig, const struct pcn_frame *frame)
{
    const uint8_t *mac = rig->run.frame.bytes;

    if (!PCN_CHECK_EQ(give(rig, frame), 0) || !PCN_CHECK_EQ(rig->run.port, BACK))
        return 0;
    return (uint32_t)mac[4] << 8 | mac[5];
}

void check_fragments(struct rig *rig, struct pcn_frame_spec spec)
{
    unsigned int n_extensions = spec.n_extensions;
    struct lbdsr_end ends[10];

    ends_make(ends, 1, 10);
    service_set(rig, spec.destination, spec.destination_port, spec.protocol, LBDSR_L2DSR, ends, 10);
    for (uint16_t i = 0; i < 20; i++) {
        struct pcn_frame_spec later, whole;
        struct pcn_frame first, second;
        uint32_t to;

        spec.id = i;
        spec.n_extensions = i & n_extensions;
        spec.source_port = (uint16_t)(1000 + i);
        spec.fragment = spec.more_fragments = true;
        later = whole = spec;
        later.fragment_offset = 72;
        later.more_fragments = whole.fragment = whole.more_fragments = false;
        first = pcn_frame_make(&spec);
        second = pcn_frame_make(&later);
        PCN_CHECK_EQ(give(rig, &second), LBDSR_DROP_FRAGMENT);
        to = goes_to(rig, &first);
        PCN_CHECK(to >= 1 && to <= 10);
        first = pcn_frame_make(&whole);
        PCN_CHECK_EQ(goes_to(rig, &first), to);
        PCN_CHECK_EQ(goes_to(rig, &second), to);
    }
}

struct pcn_frame in_segment(const struct pcn_frame *inner, uint8_t mode, uint32_t vni,
                            const struct pcn_frame_spec *more)
{
    uint8_t payload[PCN_FRAME_MAX] = {0x08, 0, 0, 0}, options = mode == LBDSR_GENEVE ? (uint8_t)(vni % 64) : 0;
    struct pcn_frame_spec spec = *more;

    if (mode == LBDSR_GENEVE) {
        payload[0] = options;
        payload[2] = 0x65;
        payload[3] = 0x58;
    }
    payload[4] = (uint8_t)(vni >> 16);
    payload[5] = (uint8_t)(vni >> 8);
    payload[6] = (uint8_t)vni;
    memcpy(payload + 8 + 4 * (size_t)options, inner->bytes, inner->length);
    if (!spec.source) {
        spec.source = "198.51.100.200";
        spec.destination = TUNNEL;
    }
    if (!spec.destination_port)
        spec.destination_port = mode == LBDSR_VXLAN ? 4789 : 6081;
    spec.source_mac = "02:00:00:00:55:01";
    spec.destination_mac = OUR_MAC;
    spec.protocol = IPPROTO_UDP;
    spec.source_port = 50000;
    spec.payload = payload;
    if (!spec.payload_length)
        spec.payload_length = 8 + 4 * (size_t)options + inner->length;
    return pcn_frame_make(&spec);
}

struct pcn_frame tcp(const char *client, uint16_t port, uint8_t flags)
{
    return pcn_frame_tcp(client, VIP, port, 80, flags);
}

struct pcn_frame udp(const char *client, uint16_t port)
{
    return pcn_frame_udp(client, VIP, port, 53, 20);
}
