/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path's parser, compiled for this machine as for TC and as for XDP. The input: how much of the frame is
 * linear (two bytes, 0: all), flags (one byte: GSO, an accelerated tag), the frame.
 *
 * Both must say the same; what is in fragments is found too, unless it lies too deep; offsets lie in the frame.
 */
#include "packet.h"
#include <pcn/parse.bpf.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

#define FRAME_MAX 4096

static void ctx_linear(struct pcn_ctx *ctx, __u32 size)
{
    free(ctx->linear);
    ctx->linear = malloc(size ? size : 1);
    if (!ctx->linear)
        abort();
    memcpy(ctx->linear, ctx->frame, size);
    ctx->linear_size = size;
}

long bpf_skb_pull_data(struct pcn_ctx *ctx, __u32 size)
{
    if (size > ctx->len)
        return -1;
    ctx_linear(ctx, size > ctx->linear_size ? size : ctx->linear_size);
    return 0;
}

static void check_offsets(const struct pcn_packet *packet, __u32 length)
{
    if (!(packet->flags & PCN_PACKET_PARSED) || packet->n_vlans > 2 || packet->l3_offset < ETH_HLEN ||
        packet->l3_offset > ETH_HLEN + 8 || packet->l3_offset > length)
        abort();
    if (packet->ip_version != 0 && packet->ip_version != 4 && packet->ip_version != 6)
        abort();
    if (packet->l4_offset && (!packet->ip_version || packet->l4_offset < packet->l3_offset + 20 ||
                              packet->l4_offset + 8u > length || packet->fragment == PCN_FRAGMENT_LATER))
        abort();
    if (packet->payload_offset && (packet->payload_offset < packet->l4_offset + 8 || packet->payload_offset > length))
        abort();
}

static __u16 parse(bool xdp, const struct pcn_ctx *template, __u32 linear, struct pcn_packet *ret_packet)
{
    struct pcn_ctx ctx = *template;
    __u16 bad;

    /* Fields of the packet before must not show. */
    memset(ret_packet, 0xee, sizeof(*ret_packet));
    ret_packet->flags = 0;
    ctx_linear(&ctx, linear);
    bad = xdp ? fuzz_parse_xdp(&ctx, ret_packet) : pcn_packet_parse(&ctx, ret_packet);
    free(ctx.linear);
    if (bad && bad != PCN_DROP_MALFORMED)
        abort();
    if (!bad)
        check_offsets(ret_packet, ctx.len);
    return bad;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
    struct pcn_packet xdp, tc, fragments;
    struct pcn_ctx ctx = {};
    __u32 linear;
    __u8 flags;
    __u16 bad;

    if (size < 3 || size > FRAME_MAX)
        return 0;
    linear = (__u32)(data[0] << 8 | data[1]);
    flags = data[2];
    ctx.frame = data + 3;
    ctx.len = (__u32)size - 3;
    if (!linear || linear > ctx.len)
        linear = ctx.len;
    bad = parse(true, &ctx, ctx.len, &xdp);
    if (parse(false, &ctx, ctx.len, &tc) != bad || memcmp(&tc, &xdp, bad ? 0 : sizeof(tc)) != 0)
        abort();
    /* In fragments: the same, or headers that end beyond what is made linear. */
    if (parse(false, &ctx, linear, &fragments)) {
        if (!bad && ctx.len <= PCN_HEADERS_MAX)
            abort();
    } else if (bad || memcmp(&fragments, &xdp, sizeof(xdp)) != 0) {
        abort();
    }
    ctx.gso_size = flags & 1 ? 1448 : 0;
    ctx.vlan_present = flags >> 1 & 1;
    ctx.vlan_tci = flags;
    (void)parse(false, &ctx, linear, &tc);
    return 0;
}
