/* SPDX-License-Identifier: Apache-2.0 */
/* What programs at TC are told of this kernel's own structures: see pcn/summed.bpf.h. */
#pragma once
#include <linux/bpf.h>
#include <pcn/abi.h>
#include <stddef.h>

/* Reads the kernel's BTF: once, before programs are opened. Without what is wanted there, programs do without. */
void pcn_kernel_read(struct pcn_shared *shared);
/* Of a program that was not loaded yet. */
void pcn_kernel_complete(struct bpf_insn *insns, size_t n);
/* Of all that are in an ELF of clang's. Returns how many instructions these have. */
size_t pcn_kernel_complete_elf(void *elf);
