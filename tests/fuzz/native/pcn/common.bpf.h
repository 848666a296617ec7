/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Stands in for bpf-templates' header of this name where the parser is compiled for the machine that fuzzes it. The
 * context is memory of exactly the linear part, so that the sanitizer sees what the verifier would refuse.
 */
#pragma once
#include <endian.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <pcn/abi.h>
#include <stdbool.h>
#include <stddef.h>

/* Headers lie where they lie: BPF reads them so, and so do the machines it runs on. */
#define PCN_INLINE static inline __attribute__((no_sanitize("alignment")))
#define __noinline static __attribute__((noinline, no_sanitize("alignment"))) /* in each of two programs */
#define pcn_likely(x) __builtin_expect(!!(x), 1)
#define pcn_unlikely(x) __builtin_expect(!!(x), 0)
#define PCN_OPAQUE(x) asm volatile("" : "+r"(x))
#define PCN_FORGET(x, unknown) PCN_OPAQUE(x)
#define bpf_htons htobe16
#define bpf_ntohs be16toh

struct pcn_ctx {
    const __u8 *frame; /* all of it */
    __u8 *linear;      /* a copy of its first bytes, in memory of its own */
    __u32 linear_size;
    __u32 len;
    __u32 gso_size;
    __u32 vlan_present;
    __u32 vlan_tci;
};

/* What was linear before is gone, with all pointers to it. */
long bpf_skb_pull_data(struct pcn_ctx *ctx, __u32 size);

PCN_INLINE void *pcn_data(struct pcn_ctx *ctx)
{
    return ctx->linear;
}

PCN_INLINE void *pcn_data_end(struct pcn_ctx *ctx)
{
    return ctx->linear + ctx->linear_size;
}

PCN_INLINE __u32 pcn_length(struct pcn_ctx *ctx)
{
    return ctx->len;
}
