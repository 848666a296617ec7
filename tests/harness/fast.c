/* SPDX-License-Identifier: Apache-2.0 */
#include "private.h"
#include <harness/testrun.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

extern const unsigned char pcn_sink_tc[], pcn_sink_tc_end[], pcn_sink_xdp[], pcn_sink_xdp_end[];

/* Whole pages. */
#define FAST_DATA_SIZE ((sizeof(struct pcn_cube_data) + 4095) & ~4095ul)

/* The specification, for the configure hook of libbpf's object, which takes no argument. */
static const struct pcn_fast_spec *opening;

/* What the daemon gives all programs; and counters as large as they must be. */
static void fast_share(struct bpf_object *object)
{
    uint32_t cpus = (uint32_t)libbpf_num_possible_cpus();
    struct bpf_map *map = bpf_object__find_map_by_name(object, PCN_SHARED_DATA);
    struct pcn_shared *shared = (struct pcn_shared *)bpf_map__initial_value(map, &(size_t){0});

    *shared = opening->blind ? (struct pcn_shared){} : *pcn_run_kernel();
    shared->cookie = PCN_FAST_COOKIE;
    shared->n_counters = cpus * PCN_PORTS_MAX;
    pcn_run_trim(object, PCN_COUNTERS_DATA, PCN_COUNTERS_SIZE(cpus));
}

static void fast_configure(struct bpf_object *object)
{
    struct pcn_cube_identity identity = opening->identity;

    identity.cube = identity.cube ?: 1;
    pcn_run_set(object, "pcn_identity", &identity, sizeof(identity));
    fast_share(object);
    if (opening->configure)
        opening->configure(object);
}

/* libbpf's own mapping of a global section is a copy, once the object is loaded. */
static struct pcn_cube_data *fast_data(struct bpf_object *object)
{
    void *data = mmap(NULL, FAST_DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, pcn_run_map(object, PCN_CUBE_DATA), 0);

    return data == MAP_FAILED ? NULL : data;
}

static int fast_record(void *context, void *bytes, size_t size)
{
    struct pcn_fast *fast = context;
    struct pcn_packet_record *record = calloc(1, sizeof(*record)), **last = &fast->records;

    if (!record)
        return -ENOMEM;
    memcpy(&record->record, bytes, sizeof(record->record));
    record->frame.length = PCN_MIN((size_t)record->record.captured, size - sizeof(record->record));
    memcpy(record->frame.bytes, (uint8_t *)bytes + sizeof(record->record), record->frame.length);
    while (*last)
        last = &(*last)->next;
    *last = record;
    return 0;
}

static int fast_log(void *context, void *bytes, size_t size)
{
    const struct pcn_log_record *record = bytes;

    printf("    datapath log, level %u: %s (%llu, %llu, %llu, %llu)\n", record->level, record->format, record->args[0],
           record->args[1], record->args[2], record->args[3]);
    return 0;
}

static int fast_rings(struct pcn_fast *fast)
{
    struct bpf_map *ring = bpf_object__find_map_by_name(fast->object, "pcn_ring");
    struct bpf_map *logs = bpf_object__find_map_by_name(fast->object, "pcn_logs");

    if (ring) {
        fast->rings = ring_buffer__new(bpf_map__fd(ring), fast_record, fast, NULL);
        if (!fast->rings)
            return -errno;
    }
    if (logs && fast->rings)
        return ring_buffer__add(fast->rings, bpf_map__fd(logs), fast_log, fast);
    return 0;
}

/* Slot 0 of the hop array holds the sink, and hops lead there. */
static int fast_connect(struct pcn_fast *fast, const struct pcn_fast_spec *spec)
{
    uint16_t n_hops = spec->transparent ? 2 : spec->n_ports;
    int sink = pcn_run_program(fast->sink_object, "pcn_sink");
    uint32_t slot = 0;
    int r;

    r = bpf_map_update_elem(pcn_run_map(fast->object, "pcn_hops"), &slot, &sink, BPF_ANY);
    if (r < 0)
        return r;
    for (uint16_t i = 0; i < n_hops; i++)
        fast->data->hops[i] = (struct pcn_hop){.kind = PCN_HOP_PROGRAM, .port = i};
    fast->data->n_ports = spec->n_ports;
    fast->data->loglevel = (uint8_t)spec->loglevel;
    return 0;
}

static int fast_load(const struct pcn_fast_spec *spec, struct pcn_fast *fast)
{
    const unsigned char *sink = spec->xdp ? pcn_sink_xdp : pcn_sink_tc;
    const unsigned char *sink_end = spec->xdp ? pcn_sink_xdp_end : pcn_sink_tc_end;
    char path[PATH_MAX];
    int r;

    if (spec->object)
        snprintf(path, sizeof(path), "%s", spec->object);
    else
        snprintf(path, sizeof(path), "%s/cubes/%s/%s_%s.o", PCN_BUILD_DIR, spec->kind, spec->kind,
                 spec->xdp ? "xdp" : "tc");
    opening = spec;
    r = pcn_run_open(path, fast_configure, &fast->object);
    if (r < 0) {
        fprintf(stderr, "cannot load %s: %s\n", path, strerror(-r));
        return r;
    }
    return pcn_run_open_memory("sink", sink, (size_t)(sink_end - sink), NULL, &fast->sink_object);
}

int pcn_fast_open(const struct pcn_fast_spec *spec, struct pcn_fast *ret_fast)
{
    int r;

    *ret_fast = (struct pcn_fast){.xdp = spec->xdp};
    r = fast_load(spec, ret_fast);
    if (r < 0)
        goto fail;
    ret_fast->data = fast_data(ret_fast->object);
    if (!ret_fast->data) {
        r = -ENODATA;
        goto fail;
    }
    ret_fast->ingress = pcn_run_program(ret_fast->object, "pcn_ingress");
    ret_fast->egress = pcn_run_program(ret_fast->object, "pcn_egress");
    ret_fast->drops = pcn_run_map(ret_fast->object, "pcn_drops");
    ret_fast->ports = pcn_run_map(ret_fast->object, PCN_COUNTERS_DATA);
    ret_fast->packets = pcn_run_map(ret_fast->object, ".data.packets");
    r = fast_connect(ret_fast, spec);
    if (r == 0)
        r = fast_rings(ret_fast);
    if (r >= 0)
        return 0;
fail:
    pcn_fast_close(ret_fast);
    return r;
}

static void fast_forget_records(struct pcn_fast *fast)
{
    while (fast->records) {
        struct pcn_packet_record *record = fast->records;

        fast->records = record->next;
        free(record);
    }
}

void pcn_fast_close(struct pcn_fast *fast)
{
    fast_forget_records(fast);
    ring_buffer__free(fast->rings);
    if (fast->data)
        (void)munmap(fast->data, FAST_DATA_SIZE);
    bpf_object__close(fast->sink_object);
    bpf_object__close(fast->object);
    *fast = (struct pcn_fast){};
}

/* The context is per CPU: the run and the look at it must be on one. */
static int fast_pin(int *ret_cpu)
{
    int cpu = sched_getcpu();
    cpu_set_t set;

    if (cpu < 0)
        return -errno;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        return -errno;
    *ret_cpu = cpu;
    return 0;
}

int pcn_fast_run_with(struct pcn_fast *fast, enum pcn_direction direction, const struct pcn_packet *context,
                      const struct __sk_buff *skb, const struct pcn_frame *frame, struct pcn_fast_run *ret_run)
{
    static struct pcn_packet packets[PCN_CPUS_MAX];
    struct pcn_packet start = context ? *context : (struct pcn_packet){};
    int cpu = 0, r;
    struct pcn_run run = {};
    uint32_t zero = 0;

    start.direction = (uint8_t)direction;
    fast_forget_records(fast);
    r = fast_pin(&cpu);
    if (r < 0)
        return r;
    packets[cpu] = start;
    r = bpf_map_update_elem(fast->packets, &zero, packets, BPF_ANY);
    if (r < 0)
        return r;
    r = (fast->summed ? pcn_run_summed : pcn_run)(direction == PCN_INGRESS ? fast->ingress : fast->egress, frame, skb,
                                                  &run);
    if (r < 0)
        return r;
    r = bpf_map_lookup_elem(fast->packets, &zero, packets);
    if (r < 0)
        return r;
    if (fast->rings)
        (void)ring_buffer__consume(fast->rings);
    if (run.verdict != pcn_fast_dropped(fast))
        pcn_record(frame, &run.frame);
    *ret_run = (struct pcn_fast_run){
        .verdict = run.verdict, .port = packets[cpu].port, .packet = packets[cpu], .frame = run.frame, .skb = run.skb};
    return 0;
}

int pcn_fast_run(struct pcn_fast *fast, enum pcn_direction direction, uint16_t port, const struct pcn_frame *frame,
                 struct pcn_fast_run *ret_run)
{
    return pcn_fast_run_with(fast, direction, &(struct pcn_packet){.port = port}, NULL, frame, ret_run);
}

uint32_t pcn_fast_give(struct pcn_fast *fast, enum pcn_direction direction, uint16_t port,
                       const struct pcn_frame *frame, struct pcn_fast_run *ret_run)
{
    int r = pcn_fast_run(fast, direction, port, frame, ret_run);
    uint32_t reason = ~0u;

    if (r < 0) {
        fprintf(stderr, "cannot run: %s\n", strerror(-r));
        return ~0u;
    }
    if (ret_run->verdict == PCN_SINK)
        return 0;
    for (uint32_t i = 0; i < PCN_DROP_REASONS_MAX; i++) {
        uint64_t drops = pcn_fast_drops(fast, i);

        if (drops != fast->known_drops[i])
            reason = i;
        fast->known_drops[i] = drops;
    }
    return reason;
}

uint64_t pcn_fast_drops(const struct pcn_fast *fast, uint32_t reason)
{
    return pcn_map_sum(fast->drops, reason);
}

struct pcn_port_counters pcn_fast_counters(const struct pcn_fast *fast, uint32_t port)
{
    return pcn_map_counters(fast->ports, port);
}

void pcn_fast_set_hop(struct pcn_fast *fast, uint32_t index, struct pcn_hop hop)
{
    __atomic_store_n((uint64_t *)&fast->data->hops[index],
                     (uint64_t)hop.index << 32 | (uint32_t)hop.kind << 16 | hop.port, __ATOMIC_RELAXED);
}

int pcn_fast_map(const struct pcn_fast *fast, const char *name)
{
    return pcn_run_map(fast->object, name);
}

void *pcn_fast_memory(const struct pcn_fast *fast, const char *name, uint32_t *ret_entries)
{
    struct bpf_map_info info = {};
    uint32_t size = sizeof(info);
    int map = pcn_fast_map(fast, name);
    void *memory;

    if (bpf_obj_get_info_by_fd(map, &info, &size) < 0)
        return NULL;
    if (ret_entries)
        *ret_entries = info.max_entries;
    memory = mmap(NULL, ((size_t)info.max_entries * info.value_size + 4095) & ~4095ul, PROT_READ | PROT_WRITE,
                  MAP_SHARED, map, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

size_t pcn_fast_records(const struct pcn_fast *fast)
{
    size_t n = 0;

    for (const struct pcn_packet_record *record = fast->records; record; record = record->next)
        n++;
    return n;
}
