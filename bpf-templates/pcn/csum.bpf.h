/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Internet checksums (RFC 1071), and their change with the words they cover
 * (RFC 1624, equation 3). Checksums and words are as they stand in the packet: the
 * sum does not care for the byte order.
 */
#pragma once
#include <pcn/common.bpf.h>

/* A sum of 16- or 32-bit words, to 16 bits. */
PCN_INLINE __u16 pcn_csum_fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* The checksum, after a word that it covers was changed. */
PCN_INLINE __u16 pcn_csum_replace16(__u16 checksum, __u16 from, __u16 to)
{
    return ~pcn_csum_fold((__u64)(__u16)~checksum + (__u16)~from + to);
}

PCN_INLINE __u16 pcn_csum_replace32(__u16 checksum, __u32 from, __u32 to)
{
    return ~pcn_csum_fold((__u64)(__u16)~checksum + (__u32)~from + to);
}

/* An IPv6 address: four words. */
PCN_INLINE __u16 pcn_csum_replace128(__u16 checksum, const __u32 from[4], const __u32 to[4])
{
    __u64 sum = (__u16)~checksum;

#pragma unroll
    for (int i = 0; i < 4; i++)
        sum += (__u64)(__u32)~from[i] + to[i];
    return ~pcn_csum_fold(sum);
}

/*
 * Same for the checksum of UDP over IPv4, where 0 says that there is none: that
 * one stays, and what comes to 0 is written as its other form.
 */
PCN_INLINE __u16 pcn_csum_udp(__u16 before, __u16 after)
{
    if (!before)
        return 0;
    return after ? after : 0xffff;
}

/* Whether the checksum of a header without options is right. */
PCN_INLINE bool pcn_csum_ipv4_ok(const struct iphdr *ip)
{
    const __u32 *words = (const __u32 *)ip;
    __u64 sum = 0;

#pragma unroll
    for (int i = 0; i < 5; i++)
        sum += words[i];
    /* Five words come to 0x1ffff at most: two folds, and either form of -0. */
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff || sum == 0x1fffe;
}

/* One less, and the checksum with it: the TTL is the upper byte of its word. */
PCN_INLINE void pcn_ipv4_decrement_ttl(struct iphdr *ip)
{
    __u32 checksum = (__u32)ip->check + bpf_htons(0x0100);

    ip->ttl--;
    ip->check = checksum + (checksum >= 0xffff);
}
