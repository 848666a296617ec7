/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * After start the daemon keeps CAP_BPF, CAP_PERFMON (without it the kernel masks array
 * accesses, which costs the fast path time), CAP_NET_ADMIN and CAP_NET_RAW. -EPERM: it has not got them.
 */
int pcn_privileges_drop(void);
