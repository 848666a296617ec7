/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What TC and XDP call differently, under one name. A fast path is compiled
 * twice from one source, with PCN_XDP defined or not.
 */
#pragma once
/* The helpers below need its types. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <pcn/abi.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef PCN_XDP
#define pcn_ctx xdp_md
#define PCN_SEC SEC("xdp")
#define PCN_ACT_STACK XDP_PASS
#define PCN_ACT_DROP XDP_DROP
#define PCN_IS_XDP 1
#else
#define pcn_ctx __sk_buff
#define PCN_SEC SEC("tc")
#define PCN_ACT_STACK TC_ACT_UNSPEC
#define PCN_ACT_DROP TC_ACT_SHOT
#define PCN_IS_XDP 0
#endif

#define PCN_INLINE static __always_inline
#define pcn_likely(x) __builtin_expect(!!(x), 1)
#define pcn_unlikely(x) __builtin_expect(!!(x), 0)
/* A load or store the compiler may not split, repeat or leave out. */
#define PCN_READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define PCN_WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
/*
 * A store that nobody sees before those in front of it. BPF has it as an atomic exchange alone, which waits until these have left
 * the CPU: a cache miss, where they have written a new line. Where the machine keeps stores in order (x86), an ordinary one does.
 */
#ifdef PCN_STORES_IN_ORDER
#define PCN_STORE_RELEASE(place, value)                                                                                \
    do {                                                                                                               \
        asm volatile("" ::: "memory");                                                                                 \
        *(volatile typeof(*(place)) *)(place) = (value);                                                               \
    } while (0)
#else
#define PCN_STORE_RELEASE(place, value) ((void)__sync_lock_test_and_set(place, value))
#endif
/* Keeps the compiler from reasoning about x: the verifier then sees the check that was written. */
#define PCN_OPAQUE(x) asm volatile("" : "+r"(x))
/* Whether the highest of 64 bits is set, as a number: neither the compiler nor the verifier makes a branch of it. */
#define PCN_NEGATIVE(x)                                                                                                \
    ({                                                                                                                 \
        __u64 x_ = (x);                                                                                                \
                                                                                                                       \
        asm volatile("%0 >>= 63" : "+r"(x_));                                                                          \
        x_;                                                                                                            \
    })
/*
 * The verifier forgets what it knows of x (of `unknown` it knows nothing): ways to the same place become
 * one, where it would follow each to the end.
 */
#define PCN_FORGET(x, unknown) asm volatile("%0 ^= %1\n%0 ^= %1" : "+r"(x) : "r"((__u64)(unknown)))

/* Milliseconds-scale clock of the fast path: jiffies, free of charge (ktime costs 18-31 ns). */
PCN_INLINE __u64 pcn_now(void)
{
    return bpf_jiffies64();
}

/*
 * The verifier wants fields of the context to be read by one instruction, base and offset in it: the
 * compiler, left alone, keeps their addresses.
 */
#define PCN_CTX_POINTER(ctx_, field_)                                                                                  \
    ({                                                                                                                 \
        void *pointer_;                                                                                                \
                                                                                                                       \
        asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(pointer_) : "r"(ctx_), "i"(offsetof(struct pcn_ctx, field_)));    \
        pointer_;                                                                                                      \
    })

/* Items of an array in a section that pcn_object_trim() cuts to size: of n, and what the colour takes. */
#define PCN_TRIMMED(n_, type_) ((n_) + PCN_LINE_SLACK / sizeof(type_) + 1)

PCN_INLINE void *pcn_data(struct pcn_ctx *ctx)
{
    return PCN_CTX_POINTER(ctx, data);
}

PCN_INLINE void *pcn_data_end(struct pcn_ctx *ctx)
{
    return PCN_CTX_POINTER(ctx, data_end);
}

/* Bytes of the frame, all of it: linear part and fragments. data, end: as they were just read. */
PCN_INLINE __u64 pcn_length_between(struct pcn_ctx *ctx, const void *data, const void *end)
{
#ifdef PCN_XDP
    return end - data;
#else
    return ctx->len;
#endif
}

PCN_INLINE __u32 pcn_length(struct pcn_ctx *ctx)
{
    return pcn_length_between(ctx, pcn_data(ctx), pcn_data_end(ctx));
}
