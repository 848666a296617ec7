/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: what a packet does to its flow. A table of states, by
 * the state before, the direction and the event; TCP as in RFC 9293, 3.3.2, seen from
 * the middle.
 */
#pragma once
#include <pcn/conntrack.h>
#include <pcn/parse.bpf.h>

enum pcn_ct_event {
    PCN_CT_EVENT_BAD, /* flags that no segment has */
    PCN_CT_EVENT_SYN,
    PCN_CT_EVENT_SYN_ACK,
    PCN_CT_EVENT_ACK,
    PCN_CT_EVENT_FIN,
    PCN_CT_EVENT_RST,
    PCN_CT_EVENT_UDP,
    PCN_CT_EVENT_ECHO,
    PCN_CT_EVENT_ECHO_REPLY,
    PCN_CT_EVENT_OTHER,
    PCN_CT_EVENT_UNTRACKED,
};
#define PCN_CT_EVENTS 16

#define PCN_CT_TCP_FLAGS 0x17 /* FIN, SYN, RST, ACK: the others do not matter */
const __u8 pcn_ct_tcp_events[32] = {
    [0x02] = PCN_CT_EVENT_SYN, [0x12] = PCN_CT_EVENT_SYN_ACK, [0x10] = PCN_CT_EVENT_ACK,
    [0x11] = PCN_CT_EVENT_FIN, [0x04] = PCN_CT_EVENT_RST,     [0x14] = PCN_CT_EVENT_RST,
};

/* clang-format off */
#define PCN_CT_ON(flow_, direction_, event_) \
    [(PCN_CT_##flow_ * 2 + (direction_)) * PCN_CT_EVENTS + PCN_CT_EVENT_##event_]
#define PCN_CT_TCP(flow_, direction_, syn_, syn_ack_, ack_, fin_, rst_) \
    PCN_CT_ON(flow_, direction_, SYN) = (syn_), \
    PCN_CT_ON(flow_, direction_, SYN_ACK) = (syn_ack_), \
    PCN_CT_ON(flow_, direction_, ACK) = (ack_), \
    PCN_CT_ON(flow_, direction_, FIN) = (fin_), \
    PCN_CT_ON(flow_, direction_, RST) = (rst_)

#define no 0
#define S1 PCN_CT_TCP_SYN_SENT
#define S2 PCN_CT_TCP_SYN_SENT2
#define SR PCN_CT_TCP_SYN_RECV
#define ES PCN_CT_TCP_ESTABLISHED
#define FW PCN_CT_TCP_FIN_WAIT
#define CW PCN_CT_TCP_CLOSE_WAIT
#define LA PCN_CT_TCP_LAST_ACK
#define TW PCN_CT_TCP_TIME_WAIT
#define CL PCN_CT_TCP_CLOSED
#define RE PCN_CT_REOPEN

/* By flow, direction and event: the next state; 0: INVALID. A SYN in a flow that is alive is answered by its peer (RFC 5961, 4). */
const __u8 pcn_ct_next[PCN_CT_FLOWS * 2 * PCN_CT_EVENTS] = {
    /*                             SYN S/A ACK FIN RST */
    PCN_CT_TCP(FREE, 0,             S1, no, no, no, no),
    PCN_CT_TCP(TCP_SYN_SENT, 0,     S1, no, no, no, CL),
    PCN_CT_TCP(TCP_SYN_SENT, 1,     S2, SR, no, no, CL),
    PCN_CT_TCP(TCP_SYN_SENT2, 0,    S2, SR, no, no, CL),
    PCN_CT_TCP(TCP_SYN_SENT2, 1,    S2, SR, no, no, CL),
    PCN_CT_TCP(TCP_SYN_RECV, 0,     SR, SR, ES, FW, CL),
    PCN_CT_TCP(TCP_SYN_RECV, 1,     SR, SR, SR, CW, CL),
    PCN_CT_TCP(TCP_ESTABLISHED, 0,  ES, ES, ES, FW, CL),
    PCN_CT_TCP(TCP_ESTABLISHED, 1,  ES, ES, ES, CW, CL),
    PCN_CT_TCP(TCP_FIN_WAIT, 0,     no, no, FW, FW, CL),
    PCN_CT_TCP(TCP_FIN_WAIT, 1,     no, no, FW, LA, CL),
    PCN_CT_TCP(TCP_CLOSE_WAIT, 0,   no, no, CW, LA, CL),
    PCN_CT_TCP(TCP_CLOSE_WAIT, 1,   no, no, CW, CW, CL),
    PCN_CT_TCP(TCP_LAST_ACK, 0,     no, no, TW, LA, CL),
    PCN_CT_TCP(TCP_LAST_ACK, 1,     no, no, TW, LA, CL),
    PCN_CT_TCP(TCP_TIME_WAIT, 0,    RE, no, TW, TW, CL),
    PCN_CT_TCP(TCP_TIME_WAIT, 1,    RE, no, TW, TW, CL),
    PCN_CT_TCP(TCP_CLOSED, 0,       RE, no, no, no, CL),
    PCN_CT_TCP(TCP_CLOSED, 1,       RE, no, no, no, CL),

    PCN_CT_ON(FREE, 0, UDP) = PCN_CT_UDP_NEW,
    PCN_CT_ON(UDP_NEW, 0, UDP) = PCN_CT_UDP_NEW,
    PCN_CT_ON(UDP_NEW, 1, UDP) = PCN_CT_UDP_REPLIED,
    PCN_CT_ON(UDP_REPLIED, 0, UDP) = PCN_CT_UDP_ASSURED,
    PCN_CT_ON(UDP_REPLIED, 1, UDP) = PCN_CT_UDP_REPLIED,
    PCN_CT_ON(UDP_ASSURED, 0, UDP) = PCN_CT_UDP_ASSURED,
    PCN_CT_ON(UDP_ASSURED, 1, UDP) = PCN_CT_UDP_ASSURED,

    PCN_CT_ON(FREE, 0, ECHO) = PCN_CT_ICMP_NEW,
    PCN_CT_ON(ICMP_NEW, 0, ECHO) = PCN_CT_ICMP_NEW,
    PCN_CT_ON(ICMP_NEW, 1, ECHO_REPLY) = PCN_CT_ICMP_REPLIED,
    PCN_CT_ON(ICMP_REPLIED, 0, ECHO) = PCN_CT_ICMP_REPLIED,
    PCN_CT_ON(ICMP_REPLIED, 1, ECHO_REPLY) = PCN_CT_ICMP_REPLIED,

    PCN_CT_ON(FREE, 0, OTHER) = PCN_CT_OTHER_NEW,
    PCN_CT_ON(OTHER_NEW, 0, OTHER) = PCN_CT_OTHER_NEW,
    PCN_CT_ON(OTHER_NEW, 1, OTHER) = PCN_CT_OTHER_REPLIED,
    PCN_CT_ON(OTHER_REPLIED, 0, OTHER) = PCN_CT_OTHER_REPLIED,
    PCN_CT_ON(OTHER_REPLIED, 1, OTHER) = PCN_CT_OTHER_REPLIED,
};
#undef no
#undef S1
#undef S2
#undef SR
#undef ES
#undef FW
#undef CW
#undef LA
#undef TW
#undef CL
#undef RE
/* clang-format on */

PCN_INLINE __u32 pcn_ct_step(__u32 flow, __u32 direction, __u32 event)
{
    __u32 index = (flow * 2 + direction) * PCN_CT_EVENTS + event;

    PCN_OPAQUE(index);
    return pcn_ct_next[index & (sizeof(pcn_ct_next) - 1)];
}
