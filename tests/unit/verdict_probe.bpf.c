/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A cube that says what the test told it to say; with PROBE_TRANSPARENT a transparent one. */
#include "verdict_probe.h"
#include <pcn/cube.bpf.h>

struct verdict_probe verdict_probe SEC(VERDICT_PROBE_DATA) = {
    .verdicts = {PCN_DROP, PCN_PASS},
};

PCN_INLINE enum pcn_verdict probe_say(struct pcn_packet *packet, __u32 direction)
{
    verdict_probe.runs[direction]++;
    packet->out_port = PCN_READ_ONCE(verdict_probe.out_port);
    packet->reason = PCN_READ_ONCE(verdict_probe.reason);
    packet->words[0] = 11;
    packet->words[1] = 22;
    packet->words[2] = 33;
    return PCN_READ_ONCE(verdict_probe.verdicts[direction]);
}

PCN_INLINE enum pcn_verdict probe_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return probe_say(packet, PCN_INGRESS);
}

PCN_INLINE enum pcn_verdict probe_egress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    return probe_say(packet, PCN_EGRESS);
}

#ifdef PROBE_TRANSPARENT
PCN_TRANSPARENT_CUBE(probe_ingress, probe_egress);
#else
PCN_STANDARD_CUBE(probe_ingress, probe_egress);
#endif
