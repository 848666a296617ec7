/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What few services ask for: see lbdsr_rules.c. */
#pragma once
#include "lbdsr_tables.bpf.h"
#include <pcn/parse.bpf.h>

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, LBDSR_ALLOWED_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct lbdsr_allowed_key);
    __type(value, __u8);
} lbdsr_allowed SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LBDSR_SERVERS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct lbdsr_server_key);
    __type(value, __u32);
} lbdsr_servers SEC(".maps");

/* Whether the packet's source is in a prefix of the vip. */
static __noinline __u32 lbdsr_is_allowed(__u32 vip)
{
    const struct pcn_packet *packet = pcn_packet_get();
    struct lbdsr_allowed_key key = {.bits = sizeof(key) * 8 - 32, .vip = vip, .address = packet->source};

    return bpf_map_lookup_elem(&lbdsr_allowed, &key) != NULL;
}

/*
 * The backend that a connection id names; 0: none does. A packet with a short header: a bit that is 0, one that is 1;
 * behind its first byte the id, which begins with the config id's three bits, and has the server's in its next two bytes.
 */
static __noinline __u32 lbdsr_quic_backend(struct pcn_ctx *ctx, __u32 vip, __u32 config)
{
    const struct pcn_packet *packet = pcn_packet_get();
    struct lbdsr_server_key key = {.vip = vip};
    const __u8 *payload;
    const __u32 *number;

    if (packet->l4_protocol != IPPROTO_UDP || !packet->payload_offset)
        return 0;
    payload = pcn_header_at(ctx, packet->payload_offset, 4);
    if (!payload || (payload[0] & 0xc0) != 0x40 || payload[1] >> 5 != config)
        return 0;
    key.server = (__u32)payload[2] << 8 | payload[3];
    number = bpf_map_lookup_elem(&lbdsr_servers, &key);
    return number ? *number : 0;
}
