/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs run on frames by BPF_PROG_TEST_RUN: the verdict, the bytes that come
 * out, the maps. Two ways: any BPF object (pcn_run), and the fast path of a
 * cube with its ports led to a sink (pcn_fast), so that a redirect shows by
 * which port the packet left.
 */
#pragma once
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <harness/packet.h>
#include <linux/bpf.h>
#include <pcn/abi.h>
#include <pcn/base.h>
#include <pcn/cube.h>

/* ---- one program ---- */

struct pcn_run {
    uint32_t verdict;
    uint32_t duration_ns;
    struct pcn_frame frame; /* as it left */
    struct __sk_buff skb;   /* TC: as it left */
};

/* skb may be NULL; XDP takes its ingress_ifindex alone, which must be that of a device. Only fields that the kernel lets be given: mark, priority, ifindex, cb, gso_size... */
int pcn_run(int program, const struct pcn_frame *frame, const struct __sk_buff *skb, struct pcn_run *ret_run);
/* The same at TC as if the device had summed up the packet (CHECKSUM_COMPLETE). -EBADMSG: its sum is another one now. */
int pcn_run_summed(int program, const struct pcn_frame *frame, const struct __sk_buff *skb, struct pcn_run *ret_run);

/* What programs are told of the kernel, see pcn/summed.bpf.h: read once, it takes a while. */
const struct pcn_shared *pcn_run_kernel(void);
/* path, whose programs are completed as the daemon does it, or bytes. configure may be NULL: called between open and load. */
int pcn_run_open(const char *path, void (*configure)(struct bpf_object *object), struct bpf_object **ret_object);
int pcn_run_open_memory(const char *name, const void *elf, size_t size, void (*configure)(struct bpf_object *object),
                        struct bpf_object **ret_object);
void pcn_run_closep(struct bpf_object **object);
/* Before load: a variable of .rodata, .data or .bss. Ends the test program if there is no such variable. */
void pcn_run_set(struct bpf_object *object, const char *variable, const void *value, size_t size);
/* Before load: see pcn_object_trim(). */
void pcn_run_trim(struct bpf_object *object, const char *section, size_t size);
/* A table of flows: see pcn/conntrack.h; keys: PCN_CT_KEYS of the object. */
void pcn_run_flows(struct bpf_object *object, uint32_t n_buckets, uint32_t keys, bool counting);
/* Descriptors by name: -1 is never returned, a wrong name ends the test program. */
int pcn_run_program(const struct bpf_object *object, const char *name);
int pcn_run_map(const struct bpf_object *object, const char *name);

/* Sum over the CPUs of a value of a per-CPU array of u64; of a port's entries in PCN_COUNTERS_DATA, of a cube of colour 0. */
uint64_t pcn_map_sum(int map, uint32_t key);
struct pcn_port_counters pcn_map_counters(int map, uint32_t key);

/* ---- a cube's fast path ---- */

/* Out of every port there is a hop to the sink: this is its verdict. */
#define PCN_SINK 200

struct pcn_fast {
    struct bpf_object *object;
    struct bpf_object *sink_object;
    bool xdp;
    bool summed;                /* runs are pcn_run_summed() */
    struct pcn_cube_data *data; /* live: hops, loglevel */
    int ingress;                /* programs */
    int egress;
    int drops; /* maps */
    int ports;
    int packets;
    struct ring_buffer *rings;
    struct pcn_packet_record *records;          /* what the last run sent to user space */
    uint64_t known_drops[PCN_DROP_REASONS_MAX]; /* by pcn_fast_give() */
};

struct pcn_packet_record {
    struct pcn_packet_record *next;
    struct pcn_record record;
    struct pcn_frame frame;
};

#define PCN_FAST_COOKIE 0x50434e31 /* of struct pcn_shared */

struct pcn_fast_spec {
    const char *kind;   /* the objects of build/cubes/<kind>/<kind>_{tc,xdp}.o */
    const char *object; /* or: path of one */
    bool xdp;
    uint16_t n_ports; /* ports 0..n-1 are connected to the sink; transparent: leave 0, both directions are */
    bool transparent;
    struct pcn_cube_identity identity; /* .cube defaults to 1 */
    enum pcn_log_level loglevel;
    void (*configure)(struct bpf_object *object);
    bool blind; /* as if the kernel did not say what pcn/summed.bpf.h asks for */
};

struct pcn_fast_run {
    uint32_t verdict;         /* PCN_SINK: it left by .port */
    uint16_t port;            /* as the receiver sees it: of port p it is p */
    struct pcn_packet packet; /* the context as it is after the run */
    struct pcn_frame frame;
    struct __sk_buff skb;
};

int pcn_fast_open(const struct pcn_fast_spec *spec, struct pcn_fast *ret_fast);
void pcn_fast_close(struct pcn_fast *fast);
/* The packet comes in by port (ingress), or is to leave by it (egress). Pins the thread to a CPU. */
int pcn_fast_run(struct pcn_fast *fast, enum pcn_direction direction, uint16_t port, const struct pcn_frame *frame,
                 struct pcn_fast_run *ret_run);
/* The same with fields of the skb, and of the context, given; either may be NULL. */
int pcn_fast_run_with(struct pcn_fast *fast, enum pcn_direction direction, const struct pcn_packet *context,
                      const struct __sk_buff *skb, const struct pcn_frame *frame, struct pcn_fast_run *ret_run);
/* As pcn_fast_run(). The reason why it is dropped; 0: it left by a port; ~0: neither, or it was not run. */
uint32_t pcn_fast_give(struct pcn_fast *fast, enum pcn_direction direction, uint16_t port,
                       const struct pcn_frame *frame, struct pcn_fast_run *ret_run);

#define PCN_RACE_CPUS 2

/* What each CPU gives to a program: the i-th ones of all at the same time. */
struct pcn_race {
    struct pcn_frame (*frame)(int cpu, uint16_t i);
    uint16_t n;
    struct {
        enum pcn_direction direction;
        uint16_t port;
    } from[PCN_RACE_CPUS];
};

/* How many left by a port, of all CPUs. -EBADMSG: one did not, and was not dropped. */
int pcn_fast_race(struct pcn_fast *fast, const struct pcn_race *race);
const char *pcn_skip_unless_race(void);

uint64_t pcn_fast_drops(const struct pcn_fast *fast, uint32_t reason);
struct pcn_port_counters pcn_fast_counters(const struct pcn_fast *fast, uint32_t port);
/* Where port leads: a program slot (PCN_HOP_PROGRAM, the sink, port), PCN_HOP_NONE... */
void pcn_fast_set_hop(struct pcn_fast *fast, uint32_t index, struct pcn_hop hop);
int pcn_fast_map(const struct pcn_fast *fast, const char *name);
/* Of a map that can be mapped, or a section: all its entries. ret_entries may be NULL. NULL: it cannot. */
void *pcn_fast_memory(const struct pcn_fast *fast, const char *name, uint32_t *ret_entries);
/* The table of flows, for so many buckets as pcn_run_flows() was told: timeouts of 100 s, full it drops. -ENOMEM. */
struct pcn_flows;
int pcn_fast_flows(const struct pcn_fast *fast, uint32_t n_buckets, uint32_t keys, struct pcn_flows *ret_flows);
/* All of them end. */
void pcn_flows_clear(struct pcn_flows *flows);
/* How many places are somebody's, of flows that have not expired. */
uint32_t pcn_flows_places(struct pcn_flows *flows);
/* Numbers of flows that are free, in the ring and in the stocks of CPUs. Fails the check if one is there twice. */
uint32_t pcn_flows_free(const struct pcn_flows *flows);
/* Records that the last run sent up; log records are printed. */
size_t pcn_fast_records(const struct pcn_fast *fast);

/* Verdicts by name: PASS to the stack, DROP. */
static inline uint32_t pcn_fast_stack(const struct pcn_fast *fast)
{
    return fast->xdp ? 2 /* XDP_PASS */ : (uint32_t)-1 /* TC_ACT_UNSPEC */;
}

static inline uint32_t pcn_fast_dropped(const struct pcn_fast *fast)
{
    return fast->xdp ? 1 /* XDP_DROP */ : 2 /* TC_ACT_SHOT */;
}
