/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the benchmark sends, receives and compares with: a generator of frames,
 * sinks that count, bare programs that forward and do nothing else, and a
 * wrapper that gives the program under test a fresh packet at each repetition.
 */
#include "bench.bpf.h"
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <linux/pkt_cls.h>

#define BENCH_ARRAY(name_, type_, entries_)                                                                            \
    struct {                                                                                                           \
        __uint(type, type_);                                                                                           \
        __uint(max_entries, entries_);                                                                                 \
        __type(key, __u32);                                                                                            \
        __type(value, __u32);                                                                                          \
    } name_ SEC(".maps")

BENCH_ARRAY(bench_devices, BPF_MAP_TYPE_DEVMAP, BENCH_LINES_MAX); /* the generator's ends of the lines */
BENCH_ARRAY(bench_out, BPF_MAP_TYPE_DEVMAP, 1);                   /* where the bare XDP program sends to */
BENCH_ARRAY(bench_subject_xdp, BPF_MAP_TYPE_PROG_ARRAY, 1);
BENCH_ARRAY(bench_subject_tc, BPF_MAP_TYPE_PROG_ARRAY, 1);

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} bench_received SEC(".maps");

struct bench_state bench_state SEC(".data.state") = {};
struct bench_packet bench_packets[BENCH_PACKETS_MAX] SEC(".data.packets") = {};

#define BENCH_STORE(data_, offset_, value_) (*(volatile __u64 *)((data_) + (offset_)) = (value_))

/* The next packet of the list, written over the frame. 0: the frame is too short. */
static __always_inline int bench_write(void *data, void *end)
{
    const struct bench_flows *flows = &bench_state.flows;
    struct bench_packet *packet;
    __u64 next, flow;

    if (data + BENCH_FRAME_SHORT > end)
        return 0;
    next = bench_state.next++ * (flows->scatter | 1);
    packet = &bench_packets[next & bench_state.mask & (BENCH_PACKETS_MAX - 1)];
    flow = (next >> (flows->shift & 31)) & flows->mask;
    /*
     * No store crosses the end of the Ethernet header: a load that spans two recent stores would wait for
     * both, which never happens to what a network card has written.
     */
    BENCH_STORE(data, 0, packet->words[0]);
    BENCH_STORE(data, 6, packet->words[1]);
    BENCH_STORE(data, 14, packet->words[2]);
    BENCH_STORE(data, 22, packet->words[3]);
    BENCH_STORE(data, 30, packet->words[BENCH_FLOW_WORD_A] ^ flow * flows->factor_a);
    BENCH_STORE(data, 38, packet->words[5]);
    BENCH_STORE(data, 46, packet->words[BENCH_FLOW_WORD_B] ^ flow * flows->factor_b);
    BENCH_STORE(data, 54, packet->words[7]);
    if (data + BENCH_FRAME <= end) {
        BENCH_STORE(data, 62, packet->words[8]);
        BENCH_STORE(data, 70, packet->words[9]);
    }
    return 1;
}

static __always_inline void bench_count(void)
{
    __u32 zero = 0;
    __u64 *count = bpf_map_lookup_elem(&bench_received, &zero);

    if (count)
        (*count)++;
}

/* ---- on live frames ---- */

SEC("xdp") int bench_generate(struct xdp_md *ctx)
{
    if (!bench_write((void *)(long)ctx->data, (void *)(long)ctx->data_end))
        return XDP_ABORTED;
    if (bench_state.line == BENCH_NO_LINE)
        return XDP_DROP;
    return bpf_redirect_map(&bench_devices, bench_state.line, 0);
}

SEC("xdp") int bench_sink_xdp(struct xdp_md *ctx)
{
    bench_count();
    return XDP_DROP;
}

SEC("tc") int bench_sink_tc(struct __sk_buff *ctx)
{
    bench_count();
    return TC_ACT_SHOT;
}

/* Before TC programs: a veth makes packets of live frames where an XDP program lets them pass. */
SEC("xdp") int bench_pass_xdp(struct xdp_md *ctx)
{
    return XDP_PASS;
}

SEC("xdp") int bench_bare_xdp(struct xdp_md *ctx)
{
    return bpf_redirect_map(&bench_out, 0, 0);
}

SEC("tc") int bench_bare_tc(struct __sk_buff *ctx)
{
    return bpf_redirect(bench_state.out, 0);
}

/* ---- in test runs ---- */

/* The frame of a test run is never made anew. */
SEC("xdp") int bench_rotor_xdp(struct xdp_md *ctx)
{
    if (bench_state.trim &&
        bpf_xdp_adjust_head(ctx, (int)((void *)(long)ctx->data_end - (void *)(long)ctx->data) - BENCH_FRAME))
        return XDP_ABORTED;
    if (!bench_write((void *)(long)ctx->data, (void *)(long)ctx->data_end))
        return XDP_ABORTED;
    bpf_tail_call_static(ctx, &bench_subject_xdp, 0);
    return XDP_ABORTED;
}

SEC("xdp") int bench_empty_xdp(struct xdp_md *ctx)
{
    return XDP_DROP;
}

SEC("tc") int bench_rotor_tc(struct __sk_buff *ctx)
{
    if (bench_state.trim && bpf_skb_adjust_room(ctx, BENCH_FRAME - (int)ctx->len, BPF_ADJ_ROOM_MAC, 0))
        return TC_ACT_SHOT;
    if (!bench_write((void *)(long)ctx->data, (void *)(long)ctx->data_end))
        return TC_ACT_SHOT;
    bpf_tail_call_static(ctx, &bench_subject_tc, 0);
    return TC_ACT_SHOT;
}

SEC("tc") int bench_empty_tc(struct __sk_buff *ctx)
{
    return TC_ACT_SHOT;
}

char bench_license[] SEC("license") = "GPL";
