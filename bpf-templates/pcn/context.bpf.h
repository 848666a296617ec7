/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The packet's context, one per CPU. Global data that the daemon shares among
 * all programs: its address is a constant, and finding it a load and an add,
 * where a per-CPU map takes a key on the stack and twice as many instructions.
 */
#pragma once
#include <pcn/address.bpf.h>

#define PCN_PACKETS_DATA ".data.packets"

struct pcn_packet pcn_packets[PCN_CPUS_MAX] SEC(PCN_PACKETS_DATA) = {};

const volatile struct pcn_shared pcn_shared SEC(PCN_SHARED_DATA) = {};

PCN_INLINE struct pcn_packet *pcn_packet_of(__u32 cpu)
{
    struct pcn_packet *packet = &pcn_packets[cpu & (PCN_CPUS_MAX - 1)];

    /* Kept in a register: the compiler would add it up again at each use. */
    PCN_OPAQUE(packet);
    return packet;
}

PCN_INLINE struct pcn_packet *pcn_packet_get(void)
{
    return pcn_packet_of(bpf_get_smp_processor_id());
}
