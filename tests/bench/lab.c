/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"
#include "quiet.h"
#include <bpf/bpf.h>
#include <harness/testrun.h>
#include <linux/if_link.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

#define LAB_CPU 1 /* where there are two, the other is left to the rest of the machine */
#define LAB_BATCH 64
#define LAB_SLICE_FRAMES 4096u
#define LAB_SLICE_PACKETS 8192u
#define LAB_FRAME 64
#define LAB_DELIVERED 0.999

extern const unsigned char bench_object[];
extern const size_t bench_object_size;

/* ---- the programs ---- */

/* The memory of a data section, mapped. */
static void *lab_data(const struct bpf_object *object, const char *section)
{
    struct bpf_map *map;
    void *memory;

    /* Called <object>.data.state. */
    bpf_object__for_each_map(map, object)
    {
        const char *dot = strchr(bpf_map__name(map), '.');

        if (!dot || !pcn_streq(dot, section))
            continue;
        memory = mmap(NULL, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
        return memory == MAP_FAILED ? NULL : memory;
    }
    return NULL;
}

static int lab_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
    return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

/*
 * An XDP program that a device has is known to the kernel's dispatcher: a test run then neither enters it there nor
 * waits for a grace period until that is done.
 */
static int lab_hold(const struct bench_lab *lab, const char *device, const char *program)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    int r = pcn_netns_enter(lab->source, &back);

    return r < 0 ? r
                 : bpf_xdp_attach((int)if_nametoindex(device), pcn_run_program(lab->object, program),
                                  XDP_FLAGS_DRV_MODE, NULL);
}

/* Until the lab is closed: daemons of groups behind it have all CPUs again. A machine of one CPU: there it is in any case. */
static void lab_pin_thread(struct bench_lab *lab)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(LAB_CPU, &set);
    (void)sched_getaffinity(0, sizeof(lab->cpus), &lab->cpus);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

int bench_lab_open(struct pcn_netns *inside, struct bench_lab *ret_lab)
{
    struct bench_lab lab = {.inside = inside};
    int r;

    libbpf_set_print(lab_quiet);
    lab_pin_thread(&lab);
    r = pcn_run_open_memory("bench", bench_object, bench_object_size, NULL, &lab.object);
    if (r == 0)
        r = pcn_netns_new("source", &lab.source);
    if (r == 0)
        r = pcn_netns_new("sink", &lab.sink);
    if (r == 0)
        r = pcn_netns_must(lab.source, "ip link add hold0 type veth peer name hold1");
    if (r == 0)
        r = lab_hold(&lab, "hold0", "bench_generate");
    if (r == 0) {
        lab.state = lab_data(lab.object, ".data.state");
        lab.packets = lab_data(lab.object, ".data.packets");
        r = lab.state && lab.packets ? 0 : -ENOENT;
    }
    if (r < 0)
        bench_lab_close(&lab);
    else
        *ret_lab = lab;
    return r;
}

void bench_lab_close(struct bench_lab *lab)
{
    (void)sched_setaffinity(0, sizeof(lab->cpus), &lab->cpus);
    if (lab->state)
        (void)munmap(lab->state, sizeof(*lab->state));
    if (lab->packets)
        (void)munmap(lab->packets, BENCH_PACKETS_MAX * sizeof(*lab->packets));
    pcn_run_closep(&lab->object);
    pcn_netns_freep(&lab->source);
    pcn_netns_freep(&lab->sink);
}

void bench_lab_packets(struct bench_lab *lab, const struct pcn_frame *frames, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t *words = (uint64_t *)lab->packets[i].words;

        memcpy(&words[0], frames[i].bytes, 8);
        memcpy(&words[1], frames[i].bytes + 6, 8);
        memcpy(&words[2], frames[i].bytes + ETH_HLEN, BENCH_FRAME - ETH_HLEN);
    }
    lab->state->mask = (uint32_t)n - 1;
}

void bench_lab_default_packet(struct bench_lab *lab)
{
    const struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){.destination_mac = BENCH_MAC,
                                                                           .source = "10.100.0.1",
                                                                           .destination = "10.200.0.1",
                                                                           .protocol = IPPROTO_UDP,
                                                                           .source_port = 1000,
                                                                           .destination_port = 2000,
                                                                           .payload_length = 22});

    bench_lab_packets(lab, &frame, 1);
}

/* ---- lines ---- */

static int lab_attach(const struct bench_lab *lab, const struct pcn_netns *netns, const char *letter, int line,
                      const char *program)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options);
    int fd = pcn_run_program(lab->object, program), r;
    char device[16];

    (void)snprintf(device, sizeof(device), "%s%d", letter, line);
    r = pcn_netns_enter(netns, &back);
    if (r < 0)
        return r;
    hook.ifindex = (int)if_nametoindex(device);
    if (strstr(program, "_xdp"))
        return bpf_xdp_attach(hook.ifindex, fd, XDP_FLAGS_DRV_MODE, NULL);
    r = bpf_tc_hook_create(&hook);
    if (r < 0 && r != -EEXIST)
        return r;
    options.prog_fd = fd;
    return bpf_tc_attach(&hook, &options);
}

/* A devmap takes the number of a device in the namespace of whoever writes it. */
static int lab_set_device(const struct bench_lab *lab, const char *map, uint32_t index, const struct pcn_netns *netns,
                          const char *letter, int line)
{
    _cleanup_(pcn_netns_leave) int back = -1;
    uint32_t ifindex;
    char device[16];
    int r;

    (void)snprintf(device, sizeof(device), "%s%d", letter, line);
    r = pcn_netns_enter(netns, &back);
    if (r < 0)
        return r;
    ifindex = if_nametoindex(device);
    return bpf_map_update_elem(pcn_run_map(lab->object, map), &index, &ifindex, BPF_ANY);
}

int bench_lab_line(struct bench_lab *lab, enum bench_way way)
{
    int line = (int)lab->n_lines, r;

    if (line >= BENCH_LINES_MAX)
        return -ENOSPC;
    r = pcn_netns_must(lab->inside,
                       "ip link add d%d address " BENCH_MAC " type veth peer name g%d netns %s && "
                       "ip link add e%d type veth peer name s%d address " BENCH_SINK_MAC " netns %s && "
                       "for device in d%d e%d; do"
                       "  echo 1 >/proc/sys/net/ipv6/conf/$device/disable_ipv6; ip link set $device up;"
                       "done",
                       line, line, pcn_netns_name(lab->source), line, line, pcn_netns_name(lab->sink), line, line);
    if (r == 0)
        r = pcn_netns_must(lab->source, "echo 1 >/proc/sys/net/ipv6/conf/g%d/disable_ipv6; ip link set g%d up", line,
                           line);
    if (r == 0)
        r = pcn_netns_must(lab->sink, "echo 1 >/proc/sys/net/ipv6/conf/s%d/disable_ipv6; ip link set s%d up", line,
                           line);
    if (r == 0)
        r = lab_set_device(lab, "bench_devices", (uint32_t)line, lab->source, "g", line);
    if (r == 0)
        r = lab_attach(lab, lab->sink, "s", line, way == BENCH_XDP ? "bench_sink_xdp" : "bench_sink_tc");
    if (r == 0 && way == BENCH_TC)
        r = lab_attach(lab, lab->inside, "d", line, "bench_pass_xdp");
    if (r < 0)
        return r;
    lab->n_lines++;
    return line;
}

int bench_lab_bare(struct bench_lab *lab, enum bench_way way, int line)
{
    char device[16];

    if (way == BENCH_XDP)
        return lab_set_device(lab, "bench_out", 0, lab->inside, "e", line)
                   ?: lab_attach(lab, lab->inside, "d", line, "bench_bare_xdp");
    (void)snprintf(device, sizeof(device), "e%d", line);
    lab->state->out = pcn_netns_ifindex(lab->inside, device);
    return lab_attach(lab, lab->inside, "d", line, "bench_bare_tc");
}

/* ---- live frames ---- */

int bench_lab_run(struct bench_lab *lab, unsigned int line, unsigned int n_frames, double *ret_ns)
{
    uint8_t frame[LAB_FRAME] = {};
    struct xdp_md context = {.data_end = sizeof(frame)};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &context,
                .ctx_size_in = sizeof(context), .batch_size = LAB_BATCH, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
    int received = pcn_run_map(lab->object, "bench_received");
    uint64_t before = pcn_map_sum(received, 0), arrived;
    int r;

    lab->state->line = line;
    r = bench_quiet_run(pcn_run_program(lab->object, "bench_generate"), &options, n_frames, LAB_SLICE_FRAMES, ret_ns);
    if (r < 0)
        return r;
    arrived = pcn_map_sum(received, 0) - before;
    if (line != BENCH_NO_LINE && (double)arrived < LAB_DELIVERED * n_frames) {
        fprintf(stderr, "bench: line %u: %llu of %u frames arrived\n", line, (unsigned long long)arrived, n_frames);
        return -EIO;
    }
    return 0;
}

int bench_lab_rounds(struct bench_lab *lab, const int *lines, size_t n_lines, size_t rounds, unsigned int n_frames,
                     double *samples)
{
    double ns;
    int r;

    for (size_t round = 0; round <= rounds; round++) {
        for (size_t i = 0; i < n_lines; i++) {
            r = bench_lab_run(lab, (unsigned int)lines[i], n_frames, &ns);
            if (r < 0)
                return r;
            if (round > 0)
                samples[i * rounds + round - 1] = ns;
        }
    }
    return 0;
}

/* ---- test runs ---- */

const char *bench_lab_entry(const struct pcn_testd *daemon, enum bench_way way, const char *device, char *pin)
{
    (void)snprintf(pin, 256, "%s/polycube/%s/netdev_%u/prog_%s_ingress", pcn_testd_bpffs(daemon),
                   pcn_testd_instance(daemon), pcn_netns_ifindex(pcn_testd_netns(daemon), device),
                   way == BENCH_XDP ? "xdp" : "tc");
    return pin;
}

int bench_lab_test_run(struct bench_lab *lab, enum bench_way way, int program, unsigned int n_packets, double *ret_ns)
{
    bool xdp = way == BENCH_XDP;
    uint8_t frame[BENCH_FRAME] = {[12] = 0x08}; /* IPv4, or there is no room for an outer header at TC */
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame));
    uint32_t zero = 0;
    int r = 0;

    if (xdp && !lab->rotor_held)
        r = lab_hold(lab, "hold1", "bench_rotor_xdp");
    if (r < 0)
        return r;
    lab->rotor_held |= xdp;
    r = bpf_map_update_elem(pcn_run_map(lab->object, xdp ? "bench_subject_xdp" : "bench_subject_tc"), &zero, &program,
                            BPF_ANY);
    if (r < 0)
        return r;
    return bench_quiet_run(pcn_run_program(lab->object, xdp ? "bench_rotor_xdp" : "bench_rotor_tc"), &options,
                           n_packets, LAB_SLICE_PACKETS, ret_ns);
}

static int lab_test_rounds(struct bench_lab *lab, enum bench_way way, const int *programs, size_t n, size_t rounds,
                           unsigned int n_packets, double *samples)
{
    int empty = pcn_run_program(lab->object, way == BENCH_XDP ? "bench_empty_xdp" : "bench_empty_tc");
    double base, ns;
    int r;

    for (size_t round = 0; round <= rounds; round++) {
        r = bench_lab_test_run(lab, way, empty, n_packets, &base);
        for (size_t i = 0; r == 0 && i < n; i++) {
            r = bench_lab_test_run(lab, way, programs[i], n_packets, &ns);
            if (round > 0)
                samples[i * rounds + round - 1] = ns - base;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int bench_lab_test_runs(struct bench_lab *lab, enum bench_way way, const char *const *pins, size_t n_pins,
                        size_t rounds, unsigned int n_packets, double *samples)
{
    int programs[n_pins], r = 0;
    size_t n = 0;

    /* All of them first: the daemon takes the program of a device without a port away after a while. */
    for (; n < n_pins && r == 0; n++) {
        programs[n] = bpf_obj_get(pins[n]);
        if (programs[n] < 0)
            r = programs[n];
    }
    if (r == 0)
        r = lab_test_rounds(lab, way, programs, n_pins, rounds, n_packets, samples);
    while (n-- > 0)
        pcn_closep(&programs[n]);
    return r;
}
