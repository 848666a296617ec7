/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to rejected packets: TCP RST (RFC 9293), ICMP and ICMPv6 port unreachable (RFC 792, 4443). */
#pragma once
#include <net/ethernet.h>
#include <pcn/base.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIREWALL_REJECT_MAX (ETH_HLEN + 8 + 1280)

/*
 * frame: its first size bytes, with up to two VLAN tags, which the answer has, too. header: bytes of the IP headers, up to
 * that of the transport protocol. The answer's size, or 0: the packet gets none (an error, a RST, a group, cut short).
 */
size_t firewall_reject(const uint8_t *frame, size_t size, size_t header, uint8_t protocol,
                       uint8_t ret_frame[FIREWALL_REJECT_MAX]);
