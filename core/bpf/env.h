/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's part of BPF: the bpffs directory, the maps that all instances
 * share, re-injection. Everything is pinned below <bpffs>/polycube/<instance>/.
 */
#pragma once
#include <pcn/abi.h>
#include <pcn/base.h>
#include <pcn/cube.h>

struct bpf_object;

struct pcn_bpf {
    char root[256]; /* <bpffs>/polycube/<instance> */
    uint32_t cookie;
    bool tcx;        /* attach TC programs by TCX, not by clsact filters */
    int packets;     /* per-CPU context */
    int netdevs;     /* devmap of all netdevs in use by XDP cubes */
    int ring;        /* packets to user space */
    int logs;        /* log records */
    int shared;      /* struct pcn_shared, frozen */
    int reinject_tc; /* programs, by cube and direction */
    int reinject_xdp;
    int floods;        /* struct pcn_flood_ports, by cube */
    int prepend;       /* program of a flood devmap's re-injection entry */
    int outer_ifindex; /* of the re-injection pair: frames are sent out of it, clones come in by it */
    int inner_ifindex;
    char outer_name[16];
    char inner_name[16];
    struct bpf_object *reinject;
    struct bpf_object *dropper[2]; /* by flavour: fills slots out of use */
};

/*
 * Creates the directory and the shared maps. bpffs must be mounted.
 * -ENOENT, -EPERM: bpffs or capabilities are missing. -EBUSY: pins of another daemon's are in use.
 */
int pcn_bpf_open(struct pcn_bpf *bpf, const char *bpffs, const char *instance, bool tcx, struct pcn_error *error);
/* Loads re-injection and attaches it to the pair, which exists and is up. */
int pcn_bpf_reinject(struct pcn_bpf *bpf, struct pcn_error *error);
/* Descriptor of the program that fills slots out of use. Stays the module's. */
int pcn_bpf_dropper(const struct pcn_bpf *bpf, int flavour);
/* Removes every pin of the instance. */
void pcn_bpf_close(struct pcn_bpf *bpf);

/* Removes a directory of pins and what is in it. */
void pcn_bpf_unpin(const char *directory);

/* Attaches a TC program to a device, in place of one of ours that is there. egress: the other hook. */
int pcn_tc_attach(const struct pcn_bpf *bpf, int ifindex, bool egress, int program, const char *pin);
void pcn_tc_detach(const struct pcn_bpf *bpf, int ifindex, bool egress, const char *pin);
/* -EBUSY with the other program's id in error: the device has an XDP program that is not ours. */
int pcn_xdp_attach(int ifindex, const char *name, bool generic, int program, const char *pin, struct pcn_error *error);
void pcn_xdp_detach(const char *pin);
/* The device is free when it returns, where the other leaves that to the kernel; waits for a grace period. */
void pcn_xdp_detach_now(const char *pin);
