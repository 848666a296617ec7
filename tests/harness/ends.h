/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets by their ends, each an address, of either family, and a port, for tests of what tells flows apart. The names are
 * short: they stand many times in a line.
 */
#pragma once
#include <harness/packet.h>
#include <string.h>

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static inline struct pcn_frame tcp(const char *source, uint16_t source_port, const char *destination,
                                   uint16_t destination_port, uint8_t flags)
{
    return pcn_frame_tcp(source, destination, source_port, destination_port, flags);
}

static inline struct pcn_frame udp(const char *source, uint16_t source_port, const char *destination,
                                   uint16_t destination_port)
{
    return pcn_frame_udp(source, destination, source_port, destination_port, 20);
}

/* UDP whose sender computed no checksum. */
static inline struct pcn_frame unsummed(const char *source, uint16_t source_port, const char *destination,
                                        uint16_t destination_port)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source = source,
                                                   .destination = destination,
                                                   .protocol = IPPROTO_UDP,
                                                   .source_port = source_port,
                                                   .destination_port = destination_port,
                                                   .payload_length = 20,
                                                   .faults = PCN_FAULT_NO_UDP_CHECKSUM});
}

/* Of a UDP packet: at offset 0 the first one, with the ports. */
static inline struct pcn_frame fragment(const char *source, uint16_t source_port, const char *destination,
                                        uint16_t destination_port, uint16_t id, uint16_t offset)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source = source,
                                                   .destination = destination,
                                                   .protocol = IPPROTO_UDP,
                                                   .source_port = source_port,
                                                   .destination_port = destination_port,
                                                   .id = id,
                                                   .fragment = true,
                                                   .more_fragments = offset == 0,
                                                   .fragment_offset = offset,
                                                   .payload_length = 64});
}

static inline struct pcn_frame echo(const char *source, const char *destination, bool reply, uint16_t id)
{
    bool v4 = !strchr(source, ':');

    return pcn_frame_make(&(struct pcn_frame_spec){.source = source,
                                                   .destination = destination,
                                                   .protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
                                                   .icmp_type = reply ? (v4 ? 0 : 129) : (v4 ? 8 : 128),
                                                   .icmp_id = id,
                                                   .payload_length = 16});
}

/* An ICMP error that quotes the first bytes of a packet; 0: all of it. */
static inline struct pcn_frame error_about(const char *source, const char *destination, struct pcn_frame quoted,
                                           size_t bytes)
{
    bool v4 = !strchr(source, ':');

    return pcn_frame_make(&(struct pcn_frame_spec){.source = source,
                                                   .destination = destination,
                                                   .protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
                                                   .icmp_type = v4 ? 3 : 1,
                                                   .icmp_code = 1,
                                                   .payload = quoted.bytes + ETH_HLEN,
                                                   .payload_length = bytes ?: quoted.length - ETH_HLEN});
}
