/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <bpf/bpf.h>
#include <bpf/env.h>
#include <bpf/kernel.h>
#include <bpf/libbpf.h>
#include <bpf/object.h>
#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define RING_BYTES (2u * 1024 * 1024)
#define LOGS_BYTES (512u * 1024)

extern const unsigned char pcn_reinject_object[];
extern const size_t pcn_reinject_object_size;

extern const unsigned char pcn_drop_tc[], pcn_drop_xdp[];
extern const size_t pcn_drop_tc_size, pcn_drop_xdp_size;

void pcn_bpf_unpin(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    char path[1024];

    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (entry->d_type == DT_DIR)
            pcn_bpf_unpin(path);
        else
            (void)unlink(path);
    }
    (void)closedir(dir);
    (void)rmdir(directory);
}

static int map_create(enum bpf_map_type type, const char *name, uint32_t key, uint32_t value, uint32_t entries,
                      int *ret_fd)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = type == BPF_MAP_TYPE_ARRAY ? BPF_F_MMAPABLE : 0);
    int fd = bpf_map_create(type, name, key, value, entries, &options);

    if (fd < 0)
        return pcn_log_error(-errno, "cannot create map %s", name);
    *ret_fd = fd;
    return 0;
}

/* Frozen, so that the verifier knows the values. */
static int bpf_open_shared(struct pcn_bpf *bpf)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_RDONLY_PROG);
    struct pcn_shared shared = {.cookie = bpf->cookie, .n_counters = pcn_cpus() * PCN_PORTS_MAX};
    uint32_t zero = 0;

    pcn_kernel_read(&shared);
    bpf->shared = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pcn_shared", sizeof(zero), sizeof(shared), 1, &options);
    if (bpf->shared < 0 || bpf_map_update_elem(bpf->shared, &zero, &shared, BPF_ANY) < 0 ||
        bpf_map_freeze(bpf->shared) < 0)
        return pcn_log_error(-errno, "cannot create map pcn_shared");
    return 0;
}

static int bpf_open_maps(struct pcn_bpf *bpf)
{
    int r;

    r = map_create(BPF_MAP_TYPE_ARRAY, "pcn_packets", 4, PCN_CPUS_MAX * sizeof(struct pcn_packet), 1, &bpf->packets);
    if (r < 0)
        return r;
    r = map_create(BPF_MAP_TYPE_DEVMAP, "pcn_netdevs", 4, 4, PCN_NETDEVS_MAX, &bpf->netdevs);
    if (r < 0)
        return r;
    r = map_create(BPF_MAP_TYPE_RINGBUF, "pcn_ring", 0, 0, RING_BYTES, &bpf->ring);
    if (r < 0)
        return r;
    r = map_create(BPF_MAP_TYPE_RINGBUF, "pcn_logs", 0, 0, LOGS_BYTES, &bpf->logs);
    return r < 0 ? r : bpf_open_shared(bpf);
}

/* Descriptors of the shared maps are held; the pins are for tools, and for a successor. */
static int bpf_pin_maps(const struct pcn_bpf *bpf)
{
    const struct {
        const char *name;
        int fd;
    } maps[] = {
        {"pcn_packets", bpf->packets}, {"pcn_netdevs", bpf->netdevs}, {"pcn_ring", bpf->ring}, {"pcn_logs", bpf->logs}};
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/shared", bpf->root);
    if (mkdir(path, 0700) < 0)
        return pcn_log_error(-errno, "cannot create %s", path);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(maps); i++) {
        (void)snprintf(path, sizeof(path), "%s/shared/%s", bpf->root, maps[i].name);
        if (bpf_obj_pin(maps[i].fd, path) < 0)
            return pcn_log_error(-errno, "cannot pin %s", path);
    }
    return 0;
}

static int bpf_load_droppers(struct pcn_bpf *bpf, struct pcn_error *error)
{
    const struct {
        const void *elf;
        size_t size;
    } objects[] = {{pcn_drop_tc, pcn_drop_tc_size}, {pcn_drop_xdp, pcn_drop_xdp_size}};
    int r;

    for (size_t i = 0; i < PCN_ARRAY_SIZE(objects); i++) {
        struct pcn_object object = {};

        r = pcn_object_open(&object, "pcn_drop", objects[i].elf, objects[i].size, 0);
        if (r < 0)
            return r;
        bpf->dropper[i] = object.bpf;
        r = pcn_object_load(&object, error);
        if (r < 0)
            return r;
    }
    return 0;
}

int pcn_bpf_dropper(const struct pcn_bpf *bpf, int flavour)
{
    return bpf_program__fd(bpf_object__next_program(bpf->dropper[flavour], NULL));
}

/* Filters of a daemon that was killed, or handed over: their devices are named by the pins. */
static void bpf_detach_leftovers(const struct pcn_bpf *bpf)
{
    DIR *dir = opendir(bpf->root);
    struct dirent *entry;
    int ifindex;

    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (sscanf(entry->d_name, "netdev_%9d", &ifindex) != 1)
            continue;
        pcn_tc_detach(bpf, ifindex, false, "");
        pcn_tc_detach(bpf, ifindex, true, "");
    }
    (void)closedir(dir);
}

int pcn_bpf_open(struct pcn_bpf *bpf, const char *bpffs, const char *instance, bool tcx, struct pcn_error *error)
{
    struct statfs fs;
    char parent[200];
    int r;

    *bpf = (struct pcn_bpf){.tcx = tcx,
                            .packets = -1,
                            .netdevs = -1,
                            .ring = -1,
                            .logs = -1,
                            .shared = -1,
                            .reinject_tc = -1,
                            .reinject_xdp = -1,
                            .floods = -1,
                            .prepend = -1};
    pcn_object_init();
    if (statfs(bpffs, &fs) < 0 || (unsigned long)fs.f_type != BPF_FS_MAGIC)
        return pcn_error_set(error, PCN_ERROR_FAILED, "bpffs",
                             "%s is not a bpf file system: mount one with `mount -t bpf bpf %s`", bpffs, bpffs);
    if (pcn_cpus() > PCN_CPUS_MAX)
        return pcn_error_set(error, PCN_ERROR_FAILED, "", "this machine has %u possible CPUs, at most %d are supported",
                             pcn_cpus(), PCN_CPUS_MAX);
    (void)snprintf(parent, sizeof(parent), "%s/polycube", bpffs);
    (void)snprintf(bpf->root, sizeof(bpf->root), "%s/%s", parent, instance);
    if (mkdir(parent, 0700) < 0 && errno != EEXIST)
        return pcn_error_set(error, PCN_ERROR_FAILED, "bpffs", "cannot create %s: %s", parent, strerror(errno));
    /* The pid file's lock says that nobody else uses them: what is left is of a daemon that was killed. */
    bpf_detach_leftovers(bpf);
    pcn_bpf_unpin(bpf->root);
    if (mkdir(bpf->root, 0700) < 0)
        return pcn_error_set(error, PCN_ERROR_FAILED, "bpffs", "cannot create %s: %s", bpf->root, strerror(errno));
    do {
        if (getrandom(&bpf->cookie, sizeof(bpf->cookie), 0) != sizeof(bpf->cookie))
            return -errno;
    } while (bpf->cookie == 0 || ~bpf->cookie == 0);
    r = bpf_open_maps(bpf);
    if (r >= 0)
        r = bpf_pin_maps(bpf);
    if (r >= 0)
        r = bpf_load_droppers(bpf, error);
    if (r < 0) {
        pcn_error_set(error, PCN_ERROR_FAILED, "bpf", "cannot set up the shared maps: %s (CAP_BPF is needed)",
                      strerror(-r));
        pcn_bpf_close(bpf);
    }
    return r;
}

/* A PROG_ARRAY is emptied when nobody holds it: the pins do when the daemon has gone. */
static int reinject_pin(const struct pcn_bpf *bpf)
{
    static const char *const names[] = {"pcn_reinject_tc", "pcn_reinject_xdp", "pcn_floods"};
    char path[512];

    for (size_t i = 0; i < PCN_ARRAY_SIZE(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/shared/%s", bpf->root, names[i]);
        if (bpf_obj_pin(bpf_object__find_map_fd_by_name(bpf->reinject, names[i]), path) < 0)
            return pcn_log_error(-errno, "cannot pin %s", path);
    }
    return 0;
}

static int reinject_attach(struct pcn_bpf *bpf, struct pcn_error *error)
{
    struct bpf_object *object = bpf->reinject;
    char pin[512];
    int r;

    (void)snprintf(pin, sizeof(pin), "%s/shared/link_reinject", bpf->root);
    r = pcn_xdp_attach(bpf->inner_ifindex, bpf->inner_name, true,
                       bpf_program__fd(bpf_object__find_program_by_name(object, "reinject_frame")), pin, error);
    if (r < 0)
        return r;
    (void)snprintf(pin, sizeof(pin), "%s/shared/link_reinject_skb", bpf->root);
    r = pcn_tc_attach(bpf, bpf->inner_ifindex, false,
                      bpf_program__fd(bpf_object__find_program_by_name(object, "reinject_skb")), pin);
    if (r < 0)
        return r;
    (void)snprintf(pin, sizeof(pin), "%s/shared/link_reinject_clone", bpf->root);
    return pcn_tc_attach(bpf, bpf->outer_ifindex, false,
                         bpf_program__fd(bpf_object__find_program_by_name(object, "reinject_clone")), pin);
}

int pcn_bpf_reinject(struct pcn_bpf *bpf, struct pcn_error *error)
{
    struct pcn_object object = {};
    int r;

    r = pcn_object_open(&object, "pcn_reinject", pcn_reinject_object, pcn_reinject_object_size, 0);
    if (r < 0)
        return r;
    bpf->reinject = object.bpf;
    r = pcn_object_share(&object, ".data.packets", bpf->packets);
    if (r >= 0)
        r = pcn_object_share(&object, PCN_SHARED_DATA, bpf->shared);
    if (r >= 0)
        r = pcn_object_load(&object, error);
    if (r < 0)
        return r;
    r = reinject_pin(bpf);
    if (r < 0)
        return r;
    bpf->reinject_tc = pcn_object_map_fd(&object, "pcn_reinject_tc");
    bpf->reinject_xdp = pcn_object_map_fd(&object, "pcn_reinject_xdp");
    bpf->floods = pcn_object_map_fd(&object, "pcn_floods");
    bpf->prepend = bpf_program__fd(bpf_object__find_program_by_name(object.bpf, "reinject_prepend"));
    return reinject_attach(bpf, error);
}

void pcn_bpf_close(struct pcn_bpf *bpf)
{
    bpf_object__close(TAKE_PTR(bpf->reinject));
    bpf_object__close(TAKE_PTR(bpf->dropper[0]));
    bpf_object__close(TAKE_PTR(bpf->dropper[1]));
    bpf->reinject_tc = bpf->reinject_xdp = bpf->floods = bpf->prepend = -1;
    pcn_closep(&bpf->packets);
    pcn_closep(&bpf->netdevs);
    pcn_closep(&bpf->ring);
    pcn_closep(&bpf->logs);
    pcn_closep(&bpf->shared);
    if (bpf->root[0]) {
        char *slash;

        pcn_bpf_unpin(bpf->root);
        slash = strrchr(bpf->root, '/');
        *slash = '\0';
        (void)rmdir(bpf->root); /* polycube/, if no other instance is in it */
        bpf->root[0] = '\0';
    }
}
