/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <harness/netns.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>

/* A tmpfs over /run hides nothing but what other daemons of the machine keep there, and needs no name of its own. */
#define SANDBOX_RUN "/run"
#define SANDBOX_DIRECTORY "/run/sandbox"
#define SANDBOX_BPFFS "/run/sandbox/bpf"

static bool entered;

static int sandbox_directory(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

static int sandbox_mounts(void)
{
    int r;

    if (unshare(CLONE_NEWNS) < 0)
        return -errno;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    if (mount("sandbox", SANDBOX_RUN, "tmpfs", 0, "mode=0755") < 0)
        return -errno;
    r = sandbox_directory("/run/netns");
    if (r == 0)
        r = sandbox_directory(SANDBOX_DIRECTORY);
    if (r == 0)
        r = sandbox_directory(SANDBOX_BPFFS);
    if (r < 0)
        return r;
    /* ip-netns wants it shared within itself; a mount of its own makes that possible. */
    if (mount("/run/netns", "/run/netns", NULL, MS_BIND, NULL) < 0)
        return -errno;
    if (mount("bpf", SANDBOX_BPFFS, "bpf", 0, "mode=0700") < 0)
        return -errno;
    return 0;
}

int pcn_sandbox_enter(void)
{
    int r;

    if (entered)
        return 0;
    r = sandbox_mounts();
    if (r < 0) {
        fprintf(stderr, "cannot make a sandbox: %s\n", strerror(-r));
        return r;
    }
    entered = true;
    return 0;
}

const char *pcn_sandbox_bpffs(void)
{
    return pcn_sandbox_enter() < 0 ? NULL : SANDBOX_BPFFS;
}

const char *pcn_sandbox_directory(void)
{
    return pcn_sandbox_enter() < 0 ? NULL : SANDBOX_DIRECTORY;
}
