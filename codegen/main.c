/* SPDX-License-Identifier: Apache-2.0 */
/* pcn-codegen: the command line. */
#include "codegen.h"

static const char usage[] =
    "pcn-codegen: what follows from a kind's YANG module\n"
    "\n"
    "  pcn-codegen types <kind.yang> <directory>           <kind>_model.h and <kind>_model.c: structs and handler table\n"
    "  pcn-codegen openapi <kind.yang> [<file>]            the kind's REST resources as OpenAPI 3.1\n"
    "  pcn-codegen cli <kind.yang>                         reference of the shell's commands, in Markdown\n"
    "  pcn-codegen new <kind> <kind.yang> [--directory <directory>]\n"
    "                                                      the folder of a new cube, <directory>/<kind>; by default\n"
    "                                                      cubes/<kind>\n";

static int complain(void)
{
    fputs(usage, stderr);
    return -EINVAL;
}

static int run_new(int n, char **words)
{
    const char *arguments[2], *directory = NULL;
    int n_arguments = 0;

    for (int i = 0; i < n; i++) {
        if (pcn_streq(words[i], "--directory") && i + 1 < n)
            directory = words[++i];
        else if (words[i][0] == '-' || n_arguments == 2)
            return complain();
        else
            arguments[n_arguments++] = words[i];
    }
    return n_arguments == 2 ? pcn_gen_new(arguments[0], arguments[1], directory) : complain();
}

static int run(int n, char **words)
{
    _cleanup_(pcn_gen_done) struct pcn_gen gen = {};
    const char *command = n > 0 ? words[0] : "";
    bool types = pcn_streq(command, "types") && n == 3;
    bool openapi = pcn_streq(command, "openapi") && (n == 2 || n == 3);
    bool cli = pcn_streq(command, "cli") && n == 2;
    int r;

    if (n == 1 && (pcn_streq(command, "help") || pcn_streq(command, "-h") || pcn_streq(command, "--help"))) {
        fputs(usage, stdout);
        return 0;
    }
    if (pcn_streq(command, "new"))
        return run_new(n - 1, words + 1);
    if (!types && !openapi && !cli)
        return complain();
    r = pcn_gen_open(words[1], &gen);
    if (r < 0)
        return r;
    if (types)
        return pcn_gen_types(&gen, words[2]);
    return cli ? pcn_gen_cli(&gen, stdout) : pcn_gen_openapi(&gen, n == 3 ? words[2] : NULL);
}

int main(int argc, char **argv)
{
    return run(argc - 1, argv + 1) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
