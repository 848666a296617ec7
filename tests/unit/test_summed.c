/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that name parts of the kernel, completed by its BTF. */
#include <bpf/bpf.h>
#include <bpf/kernel.h>
#include <harness/suite.h>
#include <harness/testrun.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHECKSUM_NONE = 0, CHECKSUM_COMPLETE = 2 };

static void configure(struct bpf_object *object)
{
    pcn_run_set(object, "pcn_shared", pcn_run_kernel(), sizeof(struct pcn_shared));
}

static uint32_t run(void (*with)(struct bpf_object *object), uint32_t flags)
{
    _cleanup_(pcn_run_closep) struct bpf_object *object = NULL;
    uint8_t frame[64] = {[12] = 0x08};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame), .flags = flags);

    if (!PCN_CHECK_OK(pcn_run_open(PCN_BUILD_DIR "/tests/unit/summed_probe_tc.o", with, &object)) ||
        !PCN_CHECK_OK(bpf_prog_test_run_opts(pcn_run_program(object, "summed"), &options)))
        return UINT32_MAX;
    return options.retval;
}

static void test_read(void)
{
    if (!pcn_run_kernel()->sees_summed) {
        printf("    not here: Linux before 6.2\n");
        return;
    }
    /* What a socket sends, CHECKSUM_PARTIAL, goes through the cubes end to end. */
    PCN_CHECK_EQ(run(configure, 0), 100 + CHECKSUM_NONE);
    PCN_CHECK_EQ(run(configure, BPF_F_TEST_SKB_CHECKSUM_COMPLETE), 100 + CHECKSUM_COMPLETE);
}

static void test_unknown(void)
{
    PCN_CHECK_EQ(run(NULL, 0), 1);
}

/* In a process of its own, whose /sys/kernel/btf is empty. */
static void test_no_btf(void)
{
    struct pcn_shared shared = {};
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/sys/kernel/btf", "tmpfs", 0, NULL) < 0)
            _exit(2);
        pcn_kernel_read(&shared);
        _exit(shared.sees_summed);
    }
    PCN_CHECK_EQ(waitpid(child, &status, 0), child);
    PCN_CHECK_EQ(status, 0);
}

static void test_others_stay(void)
{
    const struct bpf_insn insns[] = {
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_csum_update},
        {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_1},
        {.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL}, /* the other half of a number */
        {.code = BPF_LDX | BPF_MEM | BPF_B, .off = 12},
        {.code = BPF_LDX | BPF_MEM | BPF_H, .off = PCN_SUMMED_OFFSET},
    };
    struct bpf_insn after[PCN_ARRAY_SIZE(insns)];

    memcpy(after, insns, sizeof(insns));
    (void)pcn_run_kernel();
    pcn_kernel_complete(after, PCN_ARRAY_SIZE(after));
    PCN_CHECK(memcmp(after, insns, sizeof(insns)) == 0);
}

static const struct pcn_test tests[] = {
    {"what the kernel knows is read", test_read},
    {"without the kernel's help, it may be partial", test_unknown},
    {"a kernel without BTF", test_no_btf},
    {"no other instruction changes", test_others_stay},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("summed", tests, .skip = pcn_skip_unless_root);
}
