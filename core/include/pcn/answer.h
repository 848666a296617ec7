/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to packets that a cube was sent up, as frames that go back where those came from: TCP RST (RFC 9293), ICMP and
 * ICMPv6 port unreachable (RFC 792, 4443), neighbour advertisements (RFC 4861).
 */
#pragma once
#include <net/ethernet.h>
#include <pcn/base.h>

#define PCN_ANSWER_MAX (ETH_HLEN + 8 + 1280)

/*
 * frame: its first size bytes, with up to two VLAN tags, which the answer has, too. header: bytes of the IP headers, up to
 * that of the transport protocol. The answer's size, or 0: the packet gets none (an error, a RST, a group, cut short).
 */
PCN_EXPORT size_t pcn_answer_reject(const uint8_t *frame, size_t size, size_t header, uint8_t protocol,
                                    uint8_t ret_frame[PCN_ANSWER_MAX]);
/* RFC 1071, in network order. sum: of words that stand elsewhere, in host order, such as a pseudo header's; size: 65,535 at most. */
PCN_EXPORT uint16_t pcn_answer_checksum(const void *bytes, size_t size, uint32_t sum);
/* frame: a neighbour solicitation. The advertisement that says mac; 0: it is none, or gets none. */
PCN_EXPORT size_t pcn_answer_solicitation(const uint8_t *frame, size_t size, const uint8_t mac[ETH_ALEN],
                                          uint8_t ret_frame[PCN_ANSWER_MAX]);
