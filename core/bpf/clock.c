/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include <base/clock.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <pcn/base.h>

int pcn_bpf_set_clock(void)
{
    /* return bpf_jiffies64(); */
    const struct bpf_insn code[] = {
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64},
        {.code = BPF_JMP | BPF_EXIT},
    };
    const uint8_t frame[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1);
    _cleanup_close_ int program = -1;
    int r;

    program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pcn_clock", "GPL", code, PCN_ARRAY_SIZE(code), NULL);
    if (program < 0)
        return -errno;
    r = bpf_prog_test_run_opts(program, &run);
    if (r < 0)
        return r;
    pcn_clock_set_jiffies(run.retval);
    return 0;
}
