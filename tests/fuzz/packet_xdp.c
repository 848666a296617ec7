/* SPDX-License-Identifier: Apache-2.0 */
/* The parser as it is compiled for XDP. */
#define PCN_XDP
#include "packet.h"
#include <pcn/parse.bpf.h>

__u16 fuzz_parse_xdp(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return pcn_packet_parse(ctx, packet);
}
