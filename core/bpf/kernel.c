/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <bpf/btf.h>
#include <bpf/kernel.h>
#include <elf.h>

/* 0: not known. */
static struct {
    int32_t cast;   /* BTF id of bpf_cast_to_kern_ctx(), Linux 6.2 */
    int16_t summed; /* where struct sk_buff has the byte with ip_summed */
} kernel;

/* Offset in bits of a member, or of one of those that its members without a name have; -1: there is none. */
static int64_t member_offset(const struct btf *btf, const struct btf_type *type, const char *name)
{
    const struct btf_member *members = btf_members(type);

    for (uint32_t i = 0; i < btf_vlen(type); i++) {
        const char *member = btf__name_by_offset(btf, members[i].name_off);
        const struct btf_type *inner = btf__type_by_id(btf, members[i].type);
        int64_t at = btf_member_bit_offset(type, i), within;

        if (pcn_streq(member, name))
            return at;
        if (*member || !btf_is_composite(inner))
            continue;
        within = member_offset(btf, inner, name);
        if (within >= 0)
            return at + within;
    }
    return -1;
}

void pcn_kernel_read(struct pcn_shared *shared)
{
    struct btf *btf = btf__load_vmlinux_btf();
    int32_t cast = btf ? btf__find_by_name_kind(btf, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC) : 0;
    int32_t skb = btf ? btf__find_by_name_kind(btf, "sk_buff", BTF_KIND_STRUCT) : 0;
    int64_t at = skb > 0 ? member_offset(btf, btf__type_by_id(btf, (uint32_t)skb), "ip_summed") : -1;

    /* Its two bits are in one byte: where they begin is the same for all compilers of a byte order. */
    if (cast > 0 && at >= 0 && at / 8 < PCN_SUMMED_OFFSET && at % 8 <= 6) {
        kernel.cast = cast;
        kernel.summed = (int16_t)(at / 8);
        shared->sees_summed = 1;
        shared->summed_shift = (uint8_t)(at % 8);
    } else {
        pcn_log_debug("the kernel does not say where a packet's ip_summed is: checksums are what they look like");
    }
    btf__free(btf);
}

void pcn_kernel_complete(struct bpf_insn *insns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (insns[i].code == (BPF_JMP | BPF_CALL) && insns[i].src_reg == BPF_PSEUDO_KFUNC_CALL && !insns[i].imm)
            insns[i].imm = kernel.cast;
        else if (insns[i].code == (BPF_LDX | BPF_MEM | BPF_B) && insns[i].off == PCN_SUMMED_OFFSET)
            insns[i].off = kernel.summed;
        else if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW))
            i++;
    }
}

size_t pcn_kernel_complete_elf(void *elf)
{
    const Elf64_Ehdr *header = elf;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)((char *)elf + header->e_shoff);
    size_t n = 0;

    for (uint16_t i = 0; i < header->e_shnum; i++) {
        if (!(sections[i].sh_flags & SHF_EXECINSTR))
            continue;
        pcn_kernel_complete((struct bpf_insn *)((char *)elf + sections[i].sh_offset),
                            sections[i].sh_size / sizeof(struct bpf_insn));
        n += sections[i].sh_size / sizeof(struct bpf_insn);
    }
    return n;
}
