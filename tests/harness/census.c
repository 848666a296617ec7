/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <harness/netns.h>
#include <harness/suite.h>
#include <limits.h>
#include <stdio.h>

static unsigned int census_count(int (*next)(uint32_t id, uint32_t *ret_next))
{
    unsigned int n = 0;
    uint32_t id = 0;

    while (next(id, &id) == 0)
        n++;
    return n;
}

struct pcn_census pcn_census_take(void)
{
    return (struct pcn_census){.programs = census_count(bpf_prog_get_next_id),
                               .maps = census_count(bpf_map_get_next_id),
                               .links = census_count(bpf_link_get_next_id)};
}

bool pcn_census_back(const struct pcn_census *before, unsigned int timeout_ms)
{
    struct pcn_census now = {};
    bool back = PCN_WAIT(timeout_ms, ({
                             now = pcn_census_take();
                             now.programs <= before->programs &&now.maps <= before->maps &&now.links <= before->links;
                         }));

    if (!back)
        printf("\n    BPF objects: programs %u, were %u; maps %u, were %u; links %u, were %u\n", now.programs,
               before->programs, now.maps, before->maps, now.links, before->links);
    return back;
}

unsigned int pcn_open_descriptors(pid_t pid)
{
    char path[64];
    unsigned int n = 0;
    struct dirent *entry;
    DIR *directory;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    while (directory && (entry = readdir(directory)))
        n += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return n;
}

unsigned int pcn_count_files(const char *path, bool print)
{
    DIR *directory = opendir(path);
    unsigned int n = 0;
    struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        char name[PATH_MAX];

        if (pcn_streq(entry->d_name, ".") || pcn_streq(entry->d_name, ".."))
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR) {
            n += pcn_count_files(name, print);
            continue;
        }
        n++;
        if (print)
            printf("    left behind: %s\n", name);
    }
    if (directory)
        closedir(directory);
    return n;
}
