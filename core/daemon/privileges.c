/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <daemon/privileges.h>
#include <sys/capability.h>

/* libcap of Debian 12 may be older than these names. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

int pcn_privileges_drop(void)
{
    static const cap_value_t kept[] = {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW};
    cap_t wanted = cap_init();
    int r = 0;

    if (!wanted)
        return -ENOMEM;
    if (cap_set_flag(wanted, CAP_PERMITTED, PCN_ARRAY_SIZE(kept), kept, CAP_SET) < 0 ||
        cap_set_flag(wanted, CAP_EFFECTIVE, PCN_ARRAY_SIZE(kept), kept, CAP_SET) < 0 || cap_set_proc(wanted) < 0)
        r = pcn_log_error(-errno, "cannot drop capabilities");
    (void)cap_free(wanted);
    return r;
}
