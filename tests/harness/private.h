/* SPDX-License-Identifier: Apache-2.0 */
/* What the harness's own files share. */
#pragma once
#include <harness/netns.h>
#include <harness/packet.h>

struct pcn_netns {
    char name[64];
    int fd;
};

/* Forks a child that dies with this process, and stands in the namespace. As fork(): 0 in the child. */
pid_t pcn_netns_fork(const struct pcn_netns *netns);

/* A frame that was given to a program, and what left it: to files of the test program in $PCN_FRAMES, if that is set. */
void pcn_record(const struct pcn_frame *in, const struct pcn_frame *out);
