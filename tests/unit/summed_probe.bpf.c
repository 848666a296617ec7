/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Says what the kernel knows of a packet's checksum. */
#include <pcn/summed.bpf.h>

SEC("tc") int summed(struct __sk_buff *ctx)
{
    return pcn_shared.sees_summed ? 100 + pcn_summed_read(ctx) : pcn_may_be_partial(ctx);
}

char pcn_license[] SEC("license") = "GPL";
