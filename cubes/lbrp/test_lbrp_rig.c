/* SPDX-License-Identifier: Apache-2.0 */
#include "test_lbrp_rig.h"
#include <arpa/inet.h>

/* ---- set-up ---- */

static struct lbrp_sizes opening;
static uint32_t opening_buckets;

static void configure(struct bpf_object *object)
{
    pcn_run_flows(object, opening_buckets, PCN_CT_KEYS, true);
    pcn_run_set(object, "lbrp_sizes", &opening, sizeof(opening));
    pcn_run_trim(object, LBRP_KEYS, (opening.key_mask + 1) * sizeof(struct lbrp_bucket));
    pcn_run_trim(object, LBRP_NAMES, opening.n_names * sizeof(struct lbrp_name));
    pcn_run_trim(object, LBRP_SERVICES, opening.n_services * sizeof(struct lbrp_vip));
    pcn_run_trim(object, LBRP_PLACES, opening.n_places * sizeof(uint16_t));
    pcn_run_trim(object, LBRP_BACKENDS, opening.n_backends * sizeof(struct lbrp_target));
    pcn_run_trim(object, LBRP_LOADS, opening.n_backends * sizeof(struct lbrp_load));
    pcn_run_trim(object, LBRP_COUNTS, opening.n_counts * sizeof(struct lbrp_count));
}

static int rig_open(bool xdp, uint32_t n_buckets, struct rig *rig)
{
    const struct pcn_fast_spec spec = {.kind = "lbrp", .xdp = xdp, .n_ports = 3, .configure = configure};
    struct lbrp_tables *tables = &rig->lbrp.tables;
    int r;

    opening_buckets = n_buckets;
    opening = lbrp_sizes_for(8, 1024, SIZE, pcn_cpus());
    tables->sizes = opening;
    r = pcn_fast_open(&spec, &rig->fast);
    if (r < 0)
        return r;
    rig->fast.summed = !xdp;
    r = pcn_fast_flows(&rig->fast, n_buckets, PCN_CT_KEYS, &rig->lbrp.flows);
    if (r < 0)
        return r;
    tables->keys = pcn_fast_memory(&rig->fast, LBRP_KEYS, NULL);
    tables->names = pcn_fast_memory(&rig->fast, LBRP_NAMES, NULL);
    tables->services = pcn_fast_memory(&rig->fast, LBRP_SERVICES, NULL);
    tables->places = pcn_fast_memory(&rig->fast, LBRP_PLACES, NULL);
    tables->backends = pcn_fast_memory(&rig->fast, LBRP_BACKENDS, NULL);
    tables->loads = pcn_fast_memory(&rig->fast, LBRP_LOADS, NULL);
    tables->counts = pcn_fast_memory(&rig->fast, LBRP_COUNTS, NULL);
    tables->data = pcn_fast_memory(&rig->fast, LBRP_DATA, NULL);
    tables->data->front = FRONT;
    tables->data->back = BACK;
    tables->data->ready = true;
    tables->data->port_first = 1024;
    tables->data->port_last = 65535;
    pcn_parse_mac(OUR_MAC, tables->data->mac);
    return lbrp_tables_open(tables);
}

static void group_free(struct lbrp_group *group)
{
    if (group)
        free(group->ends);
    free(group);
}

void rig_freep(struct rig **ptr)
{
    struct rig *rig = TAKE_PTR(*ptr);

    if (!rig)
        return;
    for (size_t i = 0; i < rig->n_groups; i++)
        group_free(rig->groups[i]);
    lbrp_tables_close(&rig->lbrp.tables);
    pcn_fast_close(&rig->fast);
    free(rig);
}

struct rig *rig_new(bool xdp, uint32_t n_buckets)
{
    _cleanup_(rig_freep) struct rig *rig = calloc(1, sizeof(*rig));

    if (!PCN_CHECK(rig != NULL) || !PCN_CHECK_OK(rig_open(xdp, n_buckets, rig)))
        return NULL;
    return TAKE_PTR(rig);
}

/* ---- services ---- */

void ends_make(struct lbrp_end *ends, uint8_t version, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        ends[i] = (struct lbrp_end){.port = 8080, .weight = 1};
        if (version == 4) {
            ends[i].address.v4 = htonl(0x0a000000 | (first + i));
        } else {
            ends[i].address.v6[0] = htonl(0xfd000000);
            ends[i].address.v6[3] = htonl(first + i);
        }
    }
}

struct lbrp_group service_like(const char *vip, uint16_t port, uint8_t kind, uint8_t algorithm)
{
    struct lbrp_group group = {.key = {.port = port, .kind = kind, .version = strchr(vip, ':') ? 6 : 4},
                               .algorithm = algorithm};

    (void)inet_pton(group.key.version == 6 ? AF_INET6 : AF_INET, vip, &group.key.address);
    return group;
}

struct lbrp_group *service_set(struct rig *rig, struct lbrp_group like, const struct lbrp_end *ends, size_t n)
{
    struct lbrp_group *group = calloc(1, sizeof(*group)), *before = NULL;
    size_t index = 0;

    while (index < rig->n_groups &&
           !(rig->groups[index] && memcmp(&rig->groups[index]->key, &like.key, sizeof(like.key)) == 0))
        index++;
    if (index < rig->n_groups)
        before = rig->groups[index];
    *group = before ? *before : like;
    group->algorithm = like.algorithm;
    group->affinity = like.affinity;
    group->snat = like.snat;
    group->n_ends = n;
    group->ends = calloc(n + 1, sizeof(*ends));
    memcpy(group->ends, ends, n * sizeof(*ends));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; before && j < before->n_ends; j++)
            if (memcmp(&before->ends[j].address, &ends[i].address, sizeof(ends->address)) == 0)
                group->ends[i].number = before->ends[j].number;
    PCN_CHECK_OK(lbrp_spread(group, SIZE));
    lbrp_tables_publish(&rig->lbrp.tables, group, before, &rig->lbrp.settings);
    pcn_freep(&group->table);
    group_free(before);
    rig->groups[index] = group;
    rig->n_groups = PCN_MAX(rig->n_groups, index + 1);
    return group;
}

struct lbrp_group *one(struct rig *rig, const char *vip, uint16_t port, uint8_t kind)
{
    struct lbrp_end end;

    ends_make(&end, strchr(vip, ':') ? 6 : 4, 1, 1);
    return service_set(rig, service_like(vip, port, kind, LBRP_MAGLEV), &end, 1);
}

void service_withdraw(struct rig *rig, struct lbrp_group *service)
{
    lbrp_tables_withdraw(&rig->lbrp.tables, service);
    for (size_t i = 0; i < rig->n_groups; i++)
        if (rig->groups[i] == service)
            rig->groups[i] = NULL;
    group_free(service);
}

void pool_add(struct rig *rig, const char *address)
{
    struct lbrp_data *data = rig->lbrp.tables.data;
    int family = strchr(address, ':') != NULL;
    union pcn_address *entry = &data->pool[family][data->n_pool[family]++];

    (void)inet_pton(family ? AF_INET6 : AF_INET, address, entry);
    lbrp_tables_set(&rig->lbrp.tables, entry, family ? 6 : 4, LBRP_POOL, LBRP_IS_OURS);
}

struct lbrp_tally tally(const struct rig *rig, const struct lbrp_group *service, size_t end)
{
    return lbrp_tables_tally(&rig->lbrp.tables, &service->ends[end]);
}

uint32_t n_places(struct rig *rig)
{
    return pcn_flows_places(&rig->lbrp.flows);
}

void check_numbers(struct rig *rig, uint32_t n_sessions)
{
    PCN_CHECK_EQ(pcn_flows_sweep(&rig->lbrp.flows, 0, rig->lbrp.flows.n_slots, pcn_clock_jiffies()), n_sessions);
    PCN_CHECK_EQ(pcn_flows_free(&rig->lbrp.flows), rig->lbrp.flows.n_numbers - n_sessions);
}

void age(struct rig *rig, uint32_t seconds)
{
    for (uint32_t slot = 0; slot < rig->lbrp.flows.n_slots; slot++) {
        __u64 *word = &rig->lbrp.flows.entries[slot].word;

        if (*word)
            *word = (*word >> 32 << 32) | (uint32_t)((uint32_t)*word - seconds * pcn_clock_hz());
    }
}

/* ---- packets ---- */

uint32_t give(struct rig *rig, uint16_t port, const struct pcn_frame *frame)
{
    return pcn_fast_give(&rig->fast, PCN_INGRESS, port, frame, &rig->run);
}

void becomes(struct rig *rig, uint16_t port, struct pcn_frame frame, uint16_t out, struct pcn_frame expected)
{
    PCN_CHECK_EQ(give(rig, port, &frame), 0);
    PCN_CHECK_EQ(rig->run.port, out);
    PCN_CHECK_FRAME(&rig->run.frame, &expected);
}

uint32_t goes_to(struct rig *rig, struct pcn_frame frame)
{
    const uint8_t *ip = rig->run.frame.bytes + ETH_HLEN;
    uint32_t to;

    if (!PCN_CHECK_EQ(give(rig, FRONT, &frame), 0) || !PCN_CHECK_EQ(rig->run.port, BACK))
        return 0;
    PCN_CHECK(pcn_frame_checksums_ok(&rig->run.frame));
    /* The last words of both: 16 bytes from the header's start, or 36. */
    memcpy(&to, ip + (ip[0] >> 4 == 6 ? 36 : 16), sizeof(to));
    return ntohl(to) & 0xffff;
}
