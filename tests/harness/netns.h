/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces, devices, commands and frames for tests.
 *
 * A test lives in a sandbox: a mount namespace of its own with its own
 * /run/netns, bpffs and working directory. Whatever happens to the test, the
 * kernel takes all of it away with the last process; so nothing is left behind,
 * and tests run side by side. `ip netns` works inside. The sandbox is entered
 * by the first call that needs it. Devices are made in namespaces only.
 *
 * Do not use `ip netns exec` around what needs the bpffs: it mounts /sys anew.
 * pcn_netns_run() and pcn_spawn() switch the network namespace alone.
 */
#pragma once
#include <harness/packet.h>
#include <net/if.h>
#include <pcn/base.h>
#include <sys/types.h>

/* ---- the sandbox ---- */

/* Idempotent. -EPERM: not root. */
int pcn_sandbox_enter(void);
const char *pcn_sandbox_bpffs(void);     /* a bpf file system, empty at first */
const char *pcn_sandbox_directory(void); /* for files; gone with the sandbox */

/* ---- namespaces ---- */

struct pcn_netns;

/* IPv6 is on, without duplicate address detection and router solicitations; lo is up. */
int pcn_netns_new(const char *label, struct pcn_netns **ret_netns);
void pcn_netns_freep(struct pcn_netns **netns);
const char *pcn_netns_name(const struct pcn_netns *netns); /* in /run/netns */
int pcn_netns_fd(const struct pcn_netns *netns);
/* Moves the calling thread there; ret_back: where it was, for pcn_netns_leave(). */
int pcn_netns_enter(const struct pcn_netns *netns, int *ret_back);
void pcn_netns_leave(int *back);
/* Names of its devices, lo excluded, sorted, separated by blanks. Caller frees. */
char *pcn_netns_devices(const struct pcn_netns *netns);
unsigned int pcn_netns_ifindex(const struct pcn_netns *netns, const char *device); /* 0: none */
int pcn_netns_mac(const struct pcn_netns *netns, const char *device, uint8_t ret_mac[ETH_ALEN]);

/* Both ends are up. The MACs follow from label and name order: 02:... */
int pcn_veth_new(struct pcn_netns *a, const char *a_device, struct pcn_netns *b, const char *b_device);
/* "10.0.0.1/24", "fd00::1/64" */
int pcn_address_add(struct pcn_netns *netns, const char *device, const char *address);
/* Full offload at TC is the default; this is for veths under XDP: no TX checksum offload and TSO, GRO on. */
int pcn_veth_for_xdp(struct pcn_netns *netns, const char *device);

/*
 * A host at the end of a cable: a namespace with one device "eth0", whose other end is in `inside` as `port`.
 * addresses: up to 4, NULL-terminated by the array. gateways of either family may be NULL.
 */
struct pcn_host_spec {
    const char *label;
    struct pcn_netns *inside;
    const char *port;
    const char *addresses[4];
    const char *gateway4;
    const char *gateway6;
    bool xdp; /* the other end is to carry an XDP cube */
};
int pcn_host_new(const struct pcn_host_spec *spec, struct pcn_netns **ret_netns);

/* ---- commands ---- */

struct pcn_output {
    int status; /* exit code; 128 + signal; -ETIMEDOUT: it was killed at the deadline */
    size_t length;
    char *text; /* standard output and error, NUL-terminated; owned */
};

void pcn_output_done(struct pcn_output *output);
/* By sh -c, in the network namespace (NULL: the present one). Returns output->status; default deadline 30 s. */
int pcn_netns_run(const struct pcn_netns *netns, struct pcn_output *ret_output, const char *format, ...)
    PCN_PRINTF(3, 4);
/* Same, for set-up: 0, or -EIO after printing the command and what it said. */
int pcn_netns_must(const struct pcn_netns *netns, const char *format, ...) PCN_PRINTF(2, 3);

/* A command in the background. Killed when the test ends; its output goes to a file in the sandbox. */
struct pcn_process {
    pid_t pid;
    char log[256];
};
int pcn_spawn(const struct pcn_netns *netns, struct pcn_process *ret_process, char *const argv[]);
/* -ETIMEDOUT: it still runs. Otherwise its exit code, 128 + signal. */
int pcn_process_wait(struct pcn_process *process, unsigned int timeout_ms);
/* SIGTERM, then SIGKILL after 2 s; its exit code. */
int pcn_process_stop(struct pcn_process *process);
char *pcn_process_output(const struct pcn_process *process); /* caller frees */

/* ---- frames ---- */

/* A socket on a device: sends and receives whole frames, tags included. */
struct pcn_wire {
    int fd;
    unsigned int ifindex;
    bool noise; /* deliver MLD, router solicitations and DAD too, which the kernel sends by itself */
};

int pcn_wire_open(const struct pcn_netns *netns, const char *device, struct pcn_wire *ret_wire);
void pcn_wire_close(struct pcn_wire *wire);
int pcn_wire_send(const struct pcn_wire *wire, const struct pcn_frame *frame);
/* What arrives at the device (not what it sends). -ETIMEDOUT. */
int pcn_wire_receive(const struct pcn_wire *wire, unsigned int timeout_ms, struct pcn_frame *ret_frame);
/* Frames until one equals, others are skipped. -ETIMEDOUT. */
int pcn_wire_expect(const struct pcn_wire *wire, unsigned int timeout_ms, const struct pcn_frame *frame);
/* Counts those equal to frame (NULL: all) until nothing came for quiet_ms. */
size_t pcn_wire_count(const struct pcn_wire *wire, unsigned int quiet_ms, const struct pcn_frame *frame);
/* Throws away what is waiting. */
void pcn_wire_drain(const struct pcn_wire *wire);

/* ---- leaks ---- */

/* BPF objects of the whole machine: tests that compare them run alone (RUN_SERIAL). */
struct pcn_census {
    unsigned int programs;
    unsigned int maps;
    unsigned int links;
};
struct pcn_census pcn_census_take(void);
/* Whether it is back at what it was, waiting for the kernel to free. Prints what is not. */
bool pcn_census_back(const struct pcn_census *before, unsigned int timeout_ms);
unsigned int pcn_open_descriptors(pid_t pid);
/* Entries below a directory, directories not counted; prints them if print. */
unsigned int pcn_count_files(const char *directory, bool print);
