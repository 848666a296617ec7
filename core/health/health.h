/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon calls; cubes have <pcn/health.h>. */
#pragma once
#include <base/loop.h>

/* Where results go. No thread is made yet. */
void pcn_health_open(struct pcn_loop *loop);
/* Before the loop goes: ends what runs, and waits for it. Targets that are still there are checked no more. */
void pcn_health_close(void);
