/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: whether a TCP segment lies in what its receiver
 * accepts. RFC 5961, and G. van Rooij, "Real stateful TCP packet filtering in IP
 * Filter" (2001), section 3.
 */
#pragma once
#include <pcn/conntrack_table.bpf.h>

#define PCN_CT_ACK_WINDOW 66000 /* an acknowledgement may be older by this, or by the largest window if that is more */

struct pcn_ct_segment {
    __u32 sequence;
    __u32 end; /* behind its last byte; SYN and FIN count as one each */
    __u32 acknowledgement;
    __u32 window;
};

/* Shift of the window scale option (RFC 7323) of a SYN, with PCN_CT_SCALE_OFFERED; 0: there is none. */
PCN_INLINE __u8 pcn_ct_scale(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    __u64 offset = packet->l4_offset + 20, end = packet->payload_offset;

    /* The options, unlike the header itself, need not be linear yet. */
    if (!pcn_header_at(ctx, end - 1, 1))
        return 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 20 && offset + 3 <= end; i++) {
        const __u8 *option = pcn_parse_at(ctx, offset, 3);
        __u64 step;

        if (!option || option[0] == 0)
            break;
        if (option[0] == 3)
            return PCN_CT_SCALE_OFFERED | (option[2] > 14 ? 14 : option[2]);
        step = option[0] == 1 ? 1 : option[1];
        if (!step)
            break;
        offset += step;
        PCN_FORGET(offset, pcn_ct_settings.seed);
    }
    return 0;
}

PCN_INLINE bool pcn_ct_segment_of(struct pcn_ctx *ctx, const struct pcn_packet *packet, struct pcn_ct_segment *ret)
{
    const __u8 *ip = pcn_header_at(ctx, packet->l3_offset, 20), *tcp;
    __u32 length;

    if (!ip)
        return false;
    length = bpf_ntohs(*(const __u16 *)(ip + (packet->ip_version == 4 ? 2 : 4)));
    if (packet->ip_version == 6)
        length += sizeof(struct ipv6hdr);
    if (packet->segment_size && length <= sizeof(struct ipv6hdr))
        length = pcn_length(ctx) - packet->l3_offset;
    tcp = pcn_header_at(ctx, packet->l4_offset, 20);
    if (!tcp)
        return false;
    ret->sequence = bpf_ntohl(*(const __u32 *)(tcp + 4));
    ret->acknowledgement = bpf_ntohl(*(const __u32 *)(tcp + 8));
    ret->window = bpf_ntohs(*(const __u16 *)(tcp + 14));
    ret->end = ret->sequence + packet->l3_offset + length - packet->payload_offset + !!(packet->tcp_flags & 2) +
               (packet->tcp_flags & 1);
    return true;
}

PCN_INLINE __u32 pcn_ct_shift(const struct pcn_ct_window *windows, __u32 side)
{
    if (!(windows->scales[0] & windows->scales[1] & PCN_CT_SCALE_OFFERED))
        return 0;
    return windows->scales[side] & PCN_CT_SCALE_SHIFT;
}

/* Whether it fits. */
PCN_INLINE bool pcn_ct_in_window(const struct pcn_packet *packet, const struct pcn_ct_window *windows, __u32 side,
                                 const struct pcn_ct_segment *segment)
{
    const struct pcn_ct_side *sender = &windows->sides[side], *receiver = &windows->sides[side ^ 1];
    __u32 window = (__u32)windows->windows[side ^ 1] << pcn_ct_shift(windows, side ^ 1), back;

    /* What opens the flow, or was not seen from its start, gives the window. */
    if (packet->tcp_flags & 2 || !windows->seen[side] || !windows->seen[side ^ 1])
        return true;
    if ((__s32)(segment->sequence - sender->limit) > 0 || (__s32)(segment->end - (sender->end - window)) < 0)
        return false;
    if (!(packet->tcp_flags & 0x10))
        return true;
    back = (__u32)windows->windows[side] << pcn_ct_shift(windows, side);
    if (back < PCN_CT_ACK_WINDOW)
        back = PCN_CT_ACK_WINDOW;
    return (__s32)(segment->acknowledgement - receiver->end) <= 0 &&
           (__s32)(segment->acknowledgement - (receiver->end - back)) >= 0;
}

PCN_INLINE void pcn_ct_window_note(struct pcn_ctx *ctx, const struct pcn_packet *packet, struct pcn_ct_window *windows,
                                   __u32 side, const struct pcn_ct_segment *segment)
{
    struct pcn_ct_side *sender = &windows->sides[side], *receiver = &windows->sides[side ^ 1];
    bool syn = packet->tcp_flags & 2;
    __u32 limit, window;

    if (syn || !windows->seen[side]) {
        sender->end = segment->end;
        sender->limit = segment->end + windows->windows[side ^ 1];
        windows->scales[side] = syn ? pcn_ct_scale(ctx, packet) : 0;
        windows->seen[side] = 1;
    }
    if ((__s32)(segment->end - sender->end) > 0)
        sender->end = segment->end;
    if (segment->window > windows->windows[side])
        windows->windows[side] = segment->window;
    if (!(packet->tcp_flags & 0x10))
        return;
    window = syn ? segment->window : segment->window << pcn_ct_shift(windows, side);
    limit = segment->acknowledgement + (window ? window : 1);
    if (!windows->seen[side ^ 1]) {
        receiver->end = segment->acknowledgement;
        receiver->limit = limit;
        windows->seen[side ^ 1] = 1;
    }
    if ((__s32)(limit - receiver->limit) > 0)
        receiver->limit = limit;
}

/* note false: whether the segment fits the window; true: moves the window by it. */
__noinline __u32 pcn_ct_window(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 slot, __u32 side, bool note)
{
    struct pcn_ct_window *windows = pcn_ct_window_at(slot);
    struct pcn_ct_segment segment;

    side &= 1;
    if (!packet || packet->fragment != PCN_FRAGMENT_NONE || !pcn_ct_segment_of(ctx, packet, &segment))
        return 1;
    if (!note)
        return pcn_ct_in_window(packet, windows, side, &segment);
    pcn_ct_window_note(ctx, packet, windows, side, &segment);
    return 1;
}
