/* SPDX-License-Identifier: Apache-2.0 */
/* The fast path at TC and at XDP. What is expected is a frame of its own, with checksums computed anew. */
#include "test_lbrp_rig.h"
#include <arpa/inet.h>
#include <stdio.h>

/* ---- sessions ---- */

static void test_tcp(void)
{
    FOR_BOTH(64)
    {
        struct lbrp_end end;
        struct lbrp_group *service;

        ends_make(&end, 4, 1, 1);
        service = service_set(rig, service_like(VIP, 80, IPPROTO_TCP, LBRP_MAGLEV), &end, 1);
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, SYN), BACK, tcp(C, 1000, B1, 8080, SYN));
        becomes(rig, BACK, tcp(B1, 8080, C, 1000, SYN | ACK), FRONT, tcp(VIP, 80, C, 1000, SYN | ACK));
        becomes(rig, FRONT, tcp(C, 1000, VIP, 80, ACK), BACK, tcp(C, 1000, B1, 8080, ACK));
        PCN_CHECK_EQ(tally(rig, service, 0).active, 1);
    }
}

static const struct pcn_test tests[] = {
    {"TCP: both directions", test_tcp},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("lbrp", tests, .skip = pcn_skip_unless_root);
}
