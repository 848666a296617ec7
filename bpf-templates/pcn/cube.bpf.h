/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The wrapper around a cube's handlers: loads the context, counts, runs the
 * handler, acts on its verdict, takes the next hop.
 *
 *     PCN_INLINE enum pcn_verdict hub_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
 *     {
 *         return pcn_flood(packet);
 *     }
 *     PCN_STANDARD_CUBE(hub_ingress, pcn_pass)
 *
 * Handlers are inlined; the compiler removes the verdicts that a handler never
 * returns, and the verifier the settings that are off in .rodata.
 */
#pragma once
#include <pcn/common.bpf.h>
#include <pcn/flood.bpf.h>
#include <pcn/hop.bpf.h>
#include <pcn/log.bpf.h>
#include <pcn/slowpath.bpf.h>

/*
 * A link is counted once, where the packet is received: by port; transparent
 * cubes: by direction. Global data with a part for each CPU, whose address is a
 * constant: a third of the instructions that a map takes, and user space reads it mapped.
 */
struct pcn_port_counters
    pcn_counters[PCN_TRIMMED(PCN_CPUS_MAX * PCN_PORTS_MAX, struct pcn_port_counters)] SEC(PCN_COUNTERS_DATA);

/* ---- what a handler returns ---- */

/* Also the egress handler of a cube that has none. */
PCN_INLINE enum pcn_verdict pcn_pass(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return PCN_PASS;
}

/* reason: enum pcn_drop_reason, or the kind's own from PCN_DROP_KIND_FIRST on. */
PCN_INLINE enum pcn_verdict pcn_drop(struct pcn_packet *packet, __u16 reason)
{
    packet->reason = reason;
    return PCN_DROP;
}

PCN_INLINE enum pcn_verdict pcn_redirect(struct pcn_packet *packet, __u16 port)
{
    packet->out_port = port;
    return PCN_REDIRECT;
}

PCN_INLINE enum pcn_verdict pcn_flood(struct pcn_packet *packet)
{
    return PCN_FLOOD;
}

/* reason and the three words come back in the record that user space gets. */
PCN_INLINE enum pcn_verdict pcn_slow_path(struct pcn_packet *packet, __u16 reason, __u32 a, __u32 b, __u32 c)
{
    packet->reason = reason;
    packet->words[0] = a;
    packet->words[1] = b;
    packet->words[2] = c;
    return PCN_SLOW_PATH;
}

/* ---- the wrapper ---- */

PCN_INLINE void pcn_count(struct pcn_ctx *ctx, __u32 cpu, __u32 index)
{
    struct pcn_port_counters *counters = pcn_counters;

    index += cpu * PCN_PORTS_MAX;
    if (pcn_likely(index < pcn_shared.n_counters)) {
        counters += index;
        counters->packets++;
        counters->bytes += pcn_length(ctx);
    }
}

/* The mask stays in the program, whatever the compiler knows of the port. */
PCN_INLINE __u32 pcn_host_device(__u32 port)
{
    PCN_OPAQUE(port);
    return pcn_cube.hosts[port & (PCN_PORTS_MAX - 1)];
}

#ifndef PCN_XDP
/* What comes from the shadow namespace was seen there. */
PCN_INLINE bool pcn_is_spanned(const struct pcn_ctx *ctx, __u32 ifindex)
{
    return PCN_READ_ONCE(pcn_cube.span) && ifindex != ctx->ingress_ifindex;
}
#endif

/* A copy to the shadow namespace, to the port's device there. */
PCN_INLINE void pcn_span(struct pcn_ctx *ctx, __u32 port)
{
#ifndef PCN_XDP
    __u32 ifindex;

    if (!pcn_identity.shadow || pcn_likely(!PCN_READ_ONCE(pcn_cube.span)))
        return;
    ifindex = pcn_host_device(port);
    if (!ifindex || !pcn_is_spanned(ctx, ifindex))
        return;
    ctx->cb[PCN_CB_COOKIE] = pcn_shared.cookie;
    bpf_clone_redirect(ctx, ifindex, 0);
#endif
}

PCN_INLINE int pcn_to_host(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    __u32 ifindex = pcn_host_device(packet->port);

    if (!ifindex)
        return pcn_drop_count(PCN_DROP_NO_HOST);
#ifndef PCN_XDP
    /* It is there as a copy: a second one would be answered a second time. */
    if (pcn_unlikely(pcn_is_spanned(ctx, ifindex)))
        return PCN_ACT_DROP;
    ctx->cb[PCN_CB_COOKIE] = pcn_shared.cookie;
#endif
    return bpf_redirect(ifindex, 0);
}

/* Verdicts that mean the same everywhere. */
PCN_INLINE int pcn_act(struct pcn_ctx *ctx, struct pcn_packet *packet, enum pcn_verdict verdict, __u8 direction)
{
    if (verdict == PCN_DROP)
        return pcn_drop_count(packet->reason);
    if (verdict == PCN_SLOW_PATH) {
        packet->direction = direction;
        return pcn_to_user(ctx);
    }
    return pcn_drop_count(PCN_DROP_BAD_VERDICT);
}

typedef enum pcn_verdict pcn_handler(struct pcn_ctx *ctx, struct pcn_packet *packet);

/* Out of port: the cube's egress handler, then the hop. */
PCN_INLINE int pcn_standard_leave(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 port, pcn_handler *egress)
{
    enum pcn_verdict verdict;

    pcn_span(ctx, port);
    if (egress != pcn_pass)
        packet->port = port;
    verdict = egress(ctx, packet);
    if (pcn_likely(verdict == PCN_PASS))
        return pcn_hop_take(ctx, packet, port);
    return pcn_act(ctx, packet, verdict, PCN_EGRESS);
}

PCN_INLINE int pcn_standard_ingress(struct pcn_ctx *ctx, pcn_handler *ingress, pcn_handler *egress)
{
    __u32 cpu = bpf_get_smp_processor_id(), port;
    struct pcn_packet *packet = pcn_packet_of(cpu);
    enum pcn_verdict verdict;

    pcn_count(ctx, cpu, packet->port);
    pcn_span(ctx, packet->port);
    verdict = ingress(ctx, packet);
    switch (verdict) {
    case PCN_REDIRECT:
        port = packet->out_port;
        break;
    case PCN_REPLY:
        port = packet->port;
        break;
    case PCN_FLOOD:
#ifdef PCN_XDP
        return pcn_flood_all(ctx);
#else
        port = pcn_flood_all(ctx);
        if (!port--)
            return TC_ACT_SHOT;
        break;
#endif
    case PCN_PASS:
        return pcn_to_stack(ctx, packet, 0);
    case PCN_HOST:
        return pcn_to_host(ctx, packet);
    default:
        return pcn_act(ctx, packet, verdict, PCN_INGRESS);
    }
    if (pcn_unlikely(port >= PCN_PORTS_MAX))
        return pcn_drop_count(PCN_DROP_BAD_PORT);
    return pcn_standard_leave(ctx, packet, port, egress);
}

PCN_INLINE int pcn_standard_egress(struct pcn_ctx *ctx, pcn_handler *egress)
{
    struct pcn_packet *packet = pcn_packet_get();

    return pcn_standard_leave(ctx, packet, packet->port, egress);
}

/* A twin's packet comes from nowhere, and goes nowhere: the verdict is the answer. */
PCN_INLINE int pcn_dry_run(struct pcn_ctx *ctx, pcn_handler *handler)
{
    struct pcn_packet *packet = pcn_packet_get();

    *packet = (struct pcn_packet){};
    return handler(ctx, packet);
}

PCN_INLINE int pcn_transparent(struct pcn_ctx *ctx, pcn_handler *handler, __u8 direction)
{
    __u32 cpu = bpf_get_smp_processor_id();
    struct pcn_packet *packet = pcn_packet_of(cpu);
    __u32 next = direction == PCN_INGRESS ? PCN_NEXT_INGRESS : PCN_NEXT_EGRESS;
    enum pcn_verdict verdict;

    if (pcn_identity.dry_run)
        return pcn_dry_run(ctx, handler);
    if (pcn_unlikely(packet->flags & PCN_PACKET_FORWARD)) {
        packet->flags &= ~PCN_PACKET_FORWARD;
        return pcn_hop_take(ctx, packet, next);
    }
    pcn_count(ctx, cpu, direction);
    verdict = handler(ctx, packet);
    if (verdict == PCN_REPLY) {
        next = direction == PCN_INGRESS ? PCN_NEXT_EGRESS : PCN_NEXT_INGRESS;
#ifndef PCN_XDP
        /* Turned round, it is no longer the stack's own frame on its way out. */
        if (packet->flags & PCN_PACKET_HOST_EGRESS)
            packet->flags = (packet->flags & ~PCN_PACKET_HOST_EGRESS) | PCN_PACKET_REINJECTED;
#endif
    } else if (pcn_unlikely(verdict != PCN_PASS)) {
        return pcn_act(ctx, packet, verdict, direction);
    }
    return pcn_hop_take(ctx, packet, next);
}

#define PCN_STANDARD_CUBE(ingress_, egress_)                                                                           \
    PCN_SEC int pcn_ingress(struct pcn_ctx *ctx)                                                                       \
    {                                                                                                                  \
        return pcn_standard_ingress(ctx, ingress_, egress_);                                                           \
    }                                                                                                                  \
    PCN_SEC int pcn_egress(struct pcn_ctx *ctx)                                                                        \
    {                                                                                                                  \
        return pcn_standard_egress(ctx, egress_);                                                                      \
    }                                                                                                                  \
    char pcn_license[] SEC("license") = "GPL"

#define PCN_TRANSPARENT_CUBE(ingress_, egress_)                                                                        \
    PCN_TRANSPARENT_PROGRAMS(pcn_ingress, pcn_egress, ingress_, egress_)                                               \
    char pcn_license[] SEC("license") = "GPL"

/* Besides, what a light program does: see PCN_LIGHT. */
#define PCN_TRANSPARENT_LIGHT(ingress_, egress_)                                                                       \
    PCN_TRANSPARENT_PROGRAMS(pcn_ingress_light, pcn_egress_light, ingress_, egress_)

#define PCN_TRANSPARENT_PROGRAMS(ingress_name_, egress_name_, ingress_, egress_)                                       \
    PCN_SEC int ingress_name_(struct pcn_ctx *ctx)                                                                     \
    {                                                                                                                  \
        return pcn_transparent(ctx, ingress_, PCN_INGRESS);                                                            \
    }                                                                                                                  \
    PCN_SEC int egress_name_(struct pcn_ctx *ctx)                                                                      \
    {                                                                                                                  \
        return pcn_transparent(ctx, egress_, PCN_EGRESS);                                                              \
    }
