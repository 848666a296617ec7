/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As many cubes and ports as there may be, and none of them left: 4,096
 * forwarders at once, one of 1,024 ports, 1,000 cubes created, wired and
 * deleted one after another. usage: scale [-c CUBES] [-l LOOPS], 0: none
 *
 * What is counted belongs to this daemon, whatever else runs here: programs
 * that use its packet context, the maps that these use, pins, and the
 * daemon's descriptors and mappings, without which nothing else could live.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <getopt.h>
#include <harness/daemon.h>
#include <harness/suite.h>
#include <pcn/abi.h>
#include <stdio.h>

#define CUBES 4096
#define LOOPS 1000
#define WARM_UP 20
#define SETTLE_MS 60000
#define MAPS_OF_PROGRAM_MAX 64

/* ---- counting ---- */

struct count {
    unsigned int programs;
    unsigned int maps;
    unsigned int pins;
    unsigned int descriptors;
    unsigned int mappings;
};

static uint32_t count_context_id(const struct pcn_testd *daemon)
{
    struct bpf_map_info info = {};
    uint32_t size = sizeof(info);
    _cleanup_close_ int map = -1;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/polycube/%s/shared/pcn_packets", pcn_testd_bpffs(daemon),
                   pcn_testd_instance(daemon));
    map = bpf_obj_get(path);
    return map >= 0 && bpf_obj_get_info_by_fd(map, &info, &size) == 0 ? info.id : 0;
}

static bool count_has(const uint32_t *ids, unsigned int n, uint32_t id)
{
    for (unsigned int i = 0; i < n; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

/* Maps are seen once for each program that uses them: seen[] is a set of ids, a bit each. */
static void count_program(uint32_t id, uint32_t context, uint8_t *seen, size_t n_seen, struct count *count)
{
    uint32_t maps[MAPS_OF_PROGRAM_MAX], size;
    struct bpf_prog_info info = {.nr_map_ids = MAPS_OF_PROGRAM_MAX, .map_ids = (uintptr_t)maps};
    _cleanup_close_ int program = bpf_prog_get_fd_by_id(id);

    size = sizeof(info);
    if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size) < 0)
        return;
    info.nr_map_ids = PCN_MIN(info.nr_map_ids, (uint32_t)MAPS_OF_PROGRAM_MAX);
    if (!count_has(maps, info.nr_map_ids, context))
        return;
    count->programs++;
    for (uint32_t i = 0; i < info.nr_map_ids; i++) {
        if (maps[i] / 8 >= n_seen || seen[maps[i] / 8] & 1u << maps[i] % 8)
            continue;
        seen[maps[i] / 8] |= (uint8_t)(1u << maps[i] % 8);
        count->maps++;
    }
}

static unsigned int count_mappings(pid_t pid)
{
    char path[64], line[512];
    unsigned int n = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        n += strstr(line, "bpf-map") != NULL;
    if (file)
        (void)fclose(file);
    return n;
}

static struct count count_take(const struct pcn_testd *daemon)
{
    _cleanup_free_ uint8_t *seen = NULL;
    uint32_t context = count_context_id(daemon), id = 0, last = 0;
    struct count count = {};
    char pins[256];

    while (bpf_map_get_next_id(last, &id) == 0)
        last = id;
    seen = calloc(last / 8 + 1, 1);
    for (id = 0; seen && bpf_prog_get_next_id(id, &id) == 0;)
        count_program(id, context, seen, last / 8 + 1, &count);
    (void)snprintf(pins, sizeof(pins), "%s/polycube/%s", pcn_testd_bpffs(daemon), pcn_testd_instance(daemon));
    count.pins = pcn_count_files(pins, false);
    count.descriptors = pcn_open_descriptors(pcn_testd_pid(daemon));
    count.mappings = count_mappings(pcn_testd_pid(daemon));
    return count;
}

static void count_print(const char *when, const struct count *count)
{
    printf("   %s: %u programs, %u maps, %u pins, %u descriptors, %u mappings\n", when, count->programs, count->maps,
           count->pins, count->descriptors, count->mappings);
}

/* The kernel frees programs after a grace period. */
static int count_back(const struct pcn_testd *daemon, const struct count *before)
{
    struct count now = {};
    bool back = PCN_WAIT(SETTLE_MS, (now = count_take(daemon), memcmp(&now, before, sizeof(now)) == 0));

    count_print("before", before);
    count_print("after", &now);
    if (!back)
        printf("   FAIL: they differ\n");
    return back ? 0 : -ENOTEMPTY;
}

/* ---- many at once ---- */

static double scale_now_s(void)
{
    return (double)pcn_test_now_ms() / 1e3;
}

static int scale_cubes(struct pcn_testd *daemon, unsigned int n)
{
    struct count before = count_take(daemon);
    double start = scale_now_s();
    json_t *cubes;
    size_t there;

    printf("== %u forwarders at once\n", n);
    for (unsigned int i = 0; i < n; i++) {
        if (pcn_testd_post(daemon, "{\"ports\": [{\"name\": \"a\"}, {\"name\": \"b\"}]}", "simpleforwarder/f%u", i) !=
            201)
            return -EIO;
    }
    printf("   created in %.1f s\n", scale_now_s() - start);
    cubes = pcn_testd_get(daemon, "simpleforwarder");
    there = json_array_size(cubes);
    json_decref(cubes);
    if (there != n) {
        printf("   FAIL: %zu of them are there\n", there);
        return -ENOENT;
    }
    if (n == PCN_CUBES_MAX &&
        pcn_testd_request(daemon, "POST", "simpleforwarder/one-too-many", "{}", NULL) / 100 != 4) {
        printf("   FAIL: one more was not refused\n");
        return -EINVAL;
    }
    for (unsigned int i = 0; i + 1 < n; i++) {
        char body[96];

        (void)snprintf(body, sizeof(body), "{\"peer1\": \"f%u:b\", \"peer2\": \"f%u:a\"}", i, i + 1);
        if (pcn_testd_post(daemon, body, "connect") / 100 != 2)
            return -EIO;
    }
    start = scale_now_s();
    for (unsigned int i = 0; i < n; i++) {
        if (pcn_testd_delete(daemon, "simpleforwarder/f%u", i) / 100 != 2)
            return -EIO;
    }
    printf("   connected to a chain, and deleted in %.1f s\n", scale_now_s() - start);
    return count_back(daemon, &before);
}

/* Two of them, port by port connected. */
static int scale_ports(struct pcn_testd *daemon)
{
    struct count before = count_take(daemon);
    double start = scale_now_s();
    json_t *ports;
    size_t there;

    printf("== %d ports\n", PCN_PORTS_MAX);
    for (int cube = 0; cube < 2; cube++) {
        _cleanup_free_ char *body = NULL;
        size_t size;
        FILE *stream = open_memstream(&body, &size);

        if (!stream)
            return -ENOMEM;
        for (int i = 0; i < PCN_PORTS_MAX; i++)
            (void)fprintf(stream, "%s{\"name\": \"p%d\"}", i ? ", " : "{\"ports\": [", i);
        (void)fputs("]}", stream);
        (void)fclose(stream);
        if (pcn_testd_post(daemon, body, "simpleforwarder/wide%d", cube) != 201)
            return -EIO;
    }
    for (int i = 0; i < PCN_PORTS_MAX; i++) {
        char body[96];

        (void)snprintf(body, sizeof(body), "{\"peer1\": \"wide0:p%d\", \"peer2\": \"wide1:p%d\"}", i, i);
        if (pcn_testd_post(daemon, body, "connect") / 100 != 2)
            return -EIO;
    }
    ports = pcn_testd_get(daemon, "simpleforwarder/wide0/ports");
    there = json_array_size(ports);
    json_decref(ports);
    printf("   two cubes of %zu ports, connected in %.1f s\n", there, scale_now_s() - start);
    if (there != PCN_PORTS_MAX ||
        pcn_testd_request(daemon, "POST", "simpleforwarder/wide0/ports/one-too-many", "{}", NULL) / 100 != 4) {
        printf("   FAIL: %zu ports, or one more was not refused\n", there);
        return -EINVAL;
    }
    if (pcn_testd_delete(daemon, "simpleforwarder/wide0") / 100 != 2 ||
        pcn_testd_delete(daemon, "simpleforwarder/wide1") / 100 != 2)
        return -EIO;
    return count_back(daemon, &before);
}

/* ---- one after another ---- */

static const char *const types[] = {"TC", "XDP_SKB", "XDP_DRV"};

/* A port to the hub, a port to a device; then the way back in pieces, or at once. */
static int scale_standard(struct pcn_testd *daemon, const char *kind, unsigned int i)
{
    const char *type = types[i / 5 % PCN_ARRAY_SIZE(types)];
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"type\": \"%s\", \"ports\": [{\"name\": \"a\"}, {\"name\": \"b\", \"peer\": \"%s\"}]}", type,
                   i % 2 ? "loop0" : "loop1");
    if (pcn_testd_post(daemon, body, "%s/x", kind) != 201)
        return -EIO;
    (void)snprintf(body, sizeof(body), "{\"peer1\": \"hub-%s:p\", \"peer2\": \"x:a\"}", type);
    if (pcn_testd_post(daemon, body, "connect") / 100 != 2)
        return -EIO;
    if (i % 4 == 0 && pcn_testd_delete(daemon, "%s/x/ports/a", kind) / 100 != 2)
        return -EIO;
    if (pcn_testd_delete(daemon, "%s/x", kind) / 100 != 2)
        return -EIO;
    /* The hub's port goes on waiting for x:a. */
    return pcn_testd_patch(daemon, "{\"peer\": \"\"}", "simpleforwarder/hub-%s/ports/p", type) / 100 == 2 ? 0 : -EIO;
}

static int scale_transparent(struct pcn_testd *daemon, unsigned int i)
{
    static const char attach[] = "{\"cube\": \"x\", \"port\": \"hub-TC:p\"}";

    if (pcn_testd_post(daemon, "{\"type\": \"TC\"}", "transparenthelloworld/x") != 201 ||
        pcn_testd_post(daemon, attach, "attach") / 100 != 2)
        return -EIO;
    if (i % 2 && pcn_testd_post(daemon, attach, "detach") / 100 != 2)
        return -EIO;
    return pcn_testd_delete(daemon, "transparenthelloworld/x") / 100 == 2 ? 0 : -EIO;
}

static int scale_once(struct pcn_testd *daemon, unsigned int i)
{
    static const char *const kinds[] = {"simpleforwarder", "simplebridge", "router", "helloworld"};

    return i % 5 == 4 ? scale_transparent(daemon, i) : scale_standard(daemon, kinds[i % 5], i);
}

static int scale_loop(struct pcn_testd *daemon, unsigned int loops)
{
    struct count before = {};
    double start = 0;
    int r;

    printf("== %u cubes created, wired and deleted\n", loops);
    r = pcn_netns_must(pcn_testd_netns(daemon),
                       "ip link add loop0 type veth peer name pool0 && "
                       "ip link add loop1 type veth peer name pool1 && "
                       "for device in loop0 loop1 pool0 pool1; do ip link set $device up; done");
    if (r < 0)
        return r;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        char body[64];

        (void)snprintf(body, sizeof(body), "{\"type\": \"%s\", \"ports\": [{\"name\": \"p\"}]}", types[i]);
        if (pcn_testd_post(daemon, body, "simpleforwarder/hub-%s", types[i]) != 201)
            return -EIO;
    }
    for (unsigned int i = 0; i < WARM_UP + loops && r == 0; i++) {
        if (i == WARM_UP) {
            struct count none;

            /* What stays for a while, as a device's programs do, is no leak: until two counts are the same. */
            (void)PCN_WAIT(SETTLE_MS, ({
                               none = before;
                               before = count_take(daemon);
                               pcn_test_nap(3000);
                               memcmp(&none, &before, sizeof(none)) == 0;
                           }));
            start = scale_now_s();
        }
        r = scale_once(daemon, i);
    }
    if (r < 0)
        return r;
    printf("   in %.1f s\n", scale_now_s() - start);
    r = count_back(daemon, &before);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(types); i++) {
        if (pcn_testd_delete(daemon, "simpleforwarder/hub-%s", types[i]) / 100 != 2)
            r = -EIO;
    }
    return r;
}

int main(int argc, char **argv)
{
    const struct pcn_testd_spec spec = {.loglevel = "warning"};
    _cleanup_(pcn_testd_freep) struct pcn_testd *daemon = NULL;
    unsigned int cubes = CUBES, loops = LOOPS;
    int option, r, stopped;

    while ((option = getopt(argc, argv, "c:l:")) != -1) {
        if (option == 'c')
            cubes = (unsigned int)strtoul(optarg, NULL, 10);
        else if (option == 'l')
            loops = (unsigned int)strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    r = pcn_testd_start(&spec, &daemon);
    if (r < 0)
        return EXIT_FAILURE;
    r = scale_ports(daemon);
    if (r == 0 && loops)
        r = scale_loop(daemon, loops);
    if (r == 0 && cubes)
        r = scale_cubes(daemon, cubes);
    /* A build with sanitizers reports leaks here, and does not end with 0. */
    stopped = pcn_testd_stop(&daemon);
    printf("== %s\n", r == 0 && stopped == 0 ? "PASS" : "FAIL");
    return r == 0 && stopped == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
