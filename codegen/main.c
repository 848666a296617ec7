/* SPDX-License-Identifier: Apache-2.0 */
/* pcn-codegen: the command line. */
#include "codegen.h"

static const char usage[] =
    "pcn-codegen: what follows from a kind's YANG module\n"
    "\n"
    "  pcn-codegen types <kind.yang> <directory>           <kind>_model.h and <kind>_model.c: structs and handler table\n"
    "  pcn-codegen openapi <kind.yang> [<file>]            the kind's REST resources as OpenAPI 3.1\n"
    "  pcn-codegen cli <kind.yang>                         reference of the shell's commands, in Markdown\n"
    "  pcn-codegen new <kind> <kind.yang> [<directory>]    the folder of a new cube, by default cubes/<kind>\n";

static int complain(void)
{
    fputs(usage, stderr);
    return -EINVAL;
}

static int run(int n, char **words)
{
    _cleanup_(pcn_gen_done) struct pcn_gen gen = {};
    const char *command = n > 0 ? words[0] : "";
    bool is_new = pcn_streq(command, "new");
    int r;

    if (n == 1 && (pcn_streq(command, "help") || pcn_streq(command, "-h") || pcn_streq(command, "--help"))) {
        fputs(usage, stdout);
        return 0;
    }
    if (n < (is_new ? 3 : 2))
        return complain();
    r = pcn_gen_open(words[is_new ? 2 : 1], &gen);
    if (r < 0)
        return r;
    if (pcn_streq(command, "types") && n == 3)
        return pcn_gen_types(&gen, words[2]);
    if (pcn_streq(command, "openapi") && n <= 3)
        return pcn_gen_openapi(&gen, n == 3 ? words[2] : NULL);
    if (pcn_streq(command, "cli") && n == 2)
        return pcn_gen_cli(&gen, stdout);
    return complain();
}

int main(int argc, char **argv)
{
    return run(argc - 1, argv + 1) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
