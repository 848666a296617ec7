/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * At TC: what there is to a packet's transport checksum, which is not in the packet (CHECKSUM_* of <linux/skbuff.h>).
 * The context of a program does not show it, the kernel's own structure does: bpf_cast_to_kern_ctx() (Linux 6.2) is no
 * call once it is loaded. The number of that and the place of ip_summed are this kernel's: the daemon writes them into
 * the two instructions (core/bpf/kernel.c), as libbpf would, but without reading the kernel's BTF (10-40 ms) for each
 * program. Where the kernel does not say, packets are taken to be what they look like.
 */
#pragma once
#include <pcn/context.bpf.h>

#ifndef PCN_XDP
enum pcn_summed {
    PCN_SUMMED_NONE,
    PCN_SUMMED_UNNECESSARY,
    PCN_SUMMED_COMPLETE, /* the device has summed up the frame: who changes what no checksum makes up for has to tell */
    PCN_SUMMED_PARTIAL,  /* it is still to be filled in, and is that of the pseudo header until then */
};

PCN_INLINE __u32 pcn_summed_read(struct pcn_ctx *ctx)
{
    register void *argument asm("r1") = ctx;
    register void *skb asm("r0");
    __u64 byte;

    /* Opcode of a call, and that it is one of the kernel's functions; its number is to be written. */
    asm volatile(".8byte 0x2085" : "=r"(skb), "+r"(argument) : : "r2", "r3", "r4", "r5", "memory");
    asm volatile("%0 = *(u8 *)(%1 + %2)" : "=r"(byte) : "r"(skb), "i"(PCN_SUMMED_OFFSET));
    return byte >> pcn_shared.summed_shift & 3;
}

/* Whether a checksum may not be whole yet: of this transport header, or of one further in. */
PCN_INLINE bool pcn_may_be_partial(struct pcn_ctx *ctx)
{
    return !pcn_shared.sees_summed || pcn_unlikely(pcn_summed_read(ctx) == PCN_SUMMED_PARTIAL);
}

/* What is in the frame has changed by that, all in all, as a sum. */
PCN_INLINE void pcn_summed_update(struct pcn_ctx *ctx, __u32 change)
{
    if (!pcn_shared.sees_summed || pcn_unlikely(pcn_summed_read(ctx) == PCN_SUMMED_COMPLETE))
        bpf_csum_update(ctx, change);
}
#endif
