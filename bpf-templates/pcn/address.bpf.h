/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Addresses are written in words of 64 bits, the first and the second, in network order. What is written by halves cannot be
 * read whole from where stores wait: such a read waits for all that the processor began before to be done.
 */
#pragma once
#include <pcn/common.bpf.h>

typedef __u64 __attribute__((may_alias)) pcn_address_words;

PCN_INLINE __u64 pcn_address_word(const union pcn_address *address, int index)
{
    const pcn_address_words *words = (const void *)address;

    return words[index];
}

PCN_INLINE void pcn_address_put(union pcn_address *ret, __u64 first, __u64 second)
{
    pcn_address_words *words = (void *)ret;

    words[0] = first;
    words[1] = second;
}
