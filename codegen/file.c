/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear whole or not at all. */
#include "codegen.h"

int pcn_gen_file_open(const char *directory, const char *name, struct pcn_gen_file *ret_file)
{
    _cleanup_(pcn_gen_file_discardp) struct pcn_gen_file file = {};

    if (asprintf(&file.path, "%s%s%s", directory ? directory : "", directory ? "/" : "", name) < 0 ||
        asprintf(&file.temporary, "%s~", file.path) < 0)
        return -ENOMEM;
    file.out = fopen(file.temporary, "we");
    if (!file.out) {
        fprintf(stderr, "%s: %m\n", file.temporary);
        return -errno;
    }
    *ret_file = file;
    file = (struct pcn_gen_file){};
    return 0;
}

int pcn_gen_file_commit(struct pcn_gen_file *file)
{
    FILE *out = TAKE_PTR(file->out);
    bool failed = ferror(out);

    if (fclose(out) || failed || rename(file->temporary, file->path) < 0) {
        fprintf(stderr, "%s: %m\n", file->path);
        return -EIO;
    }
    free(TAKE_PTR(file->temporary));
    free(TAKE_PTR(file->path));
    return 0;
}

void pcn_gen_file_discardp(struct pcn_gen_file *file)
{
    if (file->out)
        fclose(file->out);
    if (file->temporary)
        (void)unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct pcn_gen_file){};
}
