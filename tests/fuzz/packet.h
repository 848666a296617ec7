/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pcn/common.bpf.h>

__u16 fuzz_parse_xdp(struct pcn_ctx *ctx, struct pcn_packet *packet);
