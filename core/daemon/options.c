/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <ctype.h>
#include <daemon/options.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#ifndef PCN_CUBES_DIRECTORY
#define PCN_CUBES_DIRECTORY "/usr/local/lib/polycube"
#endif

#define CONFIG_LINE_MAX 4096

enum {
    OPTION_CERT = 256,
    OPTION_KEY,
    OPTION_CACERT,
    OPTION_WHITELIST,
    OPTION_BLACKLIST,
    OPTION_LOGFILE,
    OPTION_PIDFILE,
    OPTION_CONFIGFILE,
    OPTION_INSTANCE,
    OPTION_BPFFS,
    OPTION_RUNDIR,
    OPTION_CUBESDIR,
    OPTION_TC_HOOK,
    OPTION_HANDOVER
};

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"addr", required_argument, NULL, 'a'},
    {"loglevel", required_argument, NULL, 'l'},
    {"daemon", optional_argument, NULL, 'd'},
    {"version", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"cert", required_argument, NULL, 'c'},
    {"key", required_argument, NULL, 'k'},
    {"cacert", required_argument, NULL, OPTION_CACERT},
    {"cert-whitelist", required_argument, NULL, OPTION_WHITELIST},
    {"cert-white-list", required_argument, NULL, OPTION_WHITELIST},
    {"cert-blacklist", required_argument, NULL, OPTION_BLACKLIST},
    {"cert-black-list", required_argument, NULL, OPTION_BLACKLIST},
    {"logfile", required_argument, NULL, OPTION_LOGFILE},
    {"pidfile", required_argument, NULL, OPTION_PIDFILE},
    {"configfile", required_argument, NULL, OPTION_CONFIGFILE},
    {"instance", required_argument, NULL, OPTION_INSTANCE},
    {"bpffs", required_argument, NULL, OPTION_BPFFS},
    {"rundir", required_argument, NULL, OPTION_RUNDIR},
    {"cubesdir", required_argument, NULL, OPTION_CUBESDIR},
    {"tc-hook", required_argument, NULL, OPTION_TC_HOOK},
    {"handover", no_argument, NULL, OPTION_HANDOVER},
    {},
};

static void options_help(void)
{
    puts("polycubed: in-kernel network functions as parts that snap together\n"
         "\n"
         "  -p, --port PORT           TCP port of the REST server, 0: none (default: 9000)\n"
         "  -a, --addr ADDRESS        address it listens on (default: localhost)\n"
         "  -l, --loglevel LEVEL      trace, debug, info, warn, err, critical or off (default: info)\n"
         "  -d, --daemon[=BOOL]       run in the background\n"
         "  -c, --cert FILE           certificate of the server: serves https (with --key)\n"
         "  -k, --key FILE            its private key\n"
         "      --cacert FILE         only clients whose certificate this authority signed\n"
         "      --cert-whitelist DIR  only clients whose certificate is in this directory\n"
         "      --cert-blacklist DIR  not clients whose certificate is in this directory (with --cacert)\n"
         "      --logfile FILE        (default: /var/log/polycube/polycubed.log)\n"
         "      --pidfile FILE        (default: RUNDIR/INSTANCE/pid)\n"
         "      --configfile FILE     settings, one `name: value` a line (default: /etc/polycube/polycubed.conf)\n"
         "      --instance NAME       this daemon's name, for pins, sockets and namespaces (default: default)\n"
         "      --bpffs DIR           where a bpf file system is mounted (default: /sys/fs/bpf)\n"
         "      --rundir DIR          the unix socket is RUNDIR/INSTANCE/api.sock (default: /run/polycube)\n"
         "      --cubesdir DIR        the kinds of cubes, libpcn-*.so (default: " PCN_CUBES_DIRECTORY ")\n"
         "      --tc-hook HOOK        clsact or tcx (default: clsact)\n"
         "      --handover            tells the running daemon of that instance to exit and leave its cubes running\n"
         "  -v, --version\n"
         "  -h, --help");
}

static int option_string(char **field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int option_bool(const char *value, bool *ret)
{
    if (!value || strcasecmp(value, "true") == 0)
        *ret = true;
    else if (strcasecmp(value, "false") == 0)
        *ret = false;
    else
        return -EINVAL;
    return 0;
}

static int option_port(const char *value, uint16_t *ret)
{
    char *end;
    unsigned long port = strtoul(value, &end, 10);

    if (!isdigit((unsigned char)*value) || *end || port > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)port;
    return 0;
}

static int option_name(char **field, const char *value)
{
    size_t length = strlen(value);

    if (!length || length > 32 ||
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != length)
        return -EINVAL;
    return option_string(field, value);
}

static int option_hook(const char *value, bool *ret_tcx)
{
    if (!pcn_streq(value, "tcx") && !pcn_streq(value, "clsact"))
        return -EINVAL;
    *ret_tcx = pcn_streq(value, "tcx");
    return 0;
}

/* One setting, from either source. -EINVAL: the value is not of the accepted form. */
static int option_set(struct pcn_options *options, int option, const char *value)
{
    switch (option) {
    case 'p':
        return option_port(value, &options->port);
    case 'a':
        return option_string(&options->address, value);
    case 'l':
        return pcn_log_level_parse(value, &options->loglevel);
    case 'd':
        return option_bool(value, &options->daemonize);
    case 'c':
        return option_string(&options->cert, value);
    case 'k':
        return option_string(&options->key, value);
    case OPTION_CACERT:
        return option_string(&options->cacert, value);
    case OPTION_WHITELIST:
        return option_string(&options->cert_whitelist, value);
    case OPTION_BLACKLIST:
        return option_string(&options->cert_blacklist, value);
    case OPTION_LOGFILE:
        return option_string(&options->logfile, value);
    case OPTION_PIDFILE:
        return option_string(&options->pidfile, value);
    case OPTION_CONFIGFILE:
        return option_string(&options->configfile, value);
    case OPTION_INSTANCE:
        return option_name(&options->instance, value);
    case OPTION_BPFFS:
        return option_string(&options->bpffs, value);
    case OPTION_RUNDIR:
        return option_string(&options->rundir, value);
    case OPTION_CUBESDIR:
        return option_string(&options->cubesdir, value);
    case OPTION_TC_HOOK:
        return option_hook(value, &options->tcx);
    case OPTION_HANDOVER:
        return option_bool(value, &options->handover);
    default:
        return -ENOENT;
    }
}

static const char *option_form(int option)
{
    switch (option) {
    case 'p':
        return "a number from 0 to 65535";
    case 'l':
        return "trace, debug, info, warn, err, critical or off";
    case 'd':
        return "true or false";
    case OPTION_INSTANCE:
        return "1 to 32 letters, digits, - and _";
    case OPTION_TC_HOOK:
        return "clsact or tcx";
    default:
        return "text";
    }
}

int pcn_options_line(char *line, char **ret_name, char **ret_value)
{
    char *name = line, *end, *value;

    name += strspn(name, " \t");
    name[strcspn(name, "\r\n")] = '\0';
    if (!*name || *name == '#')
        return 1;
    value = strchr(name, ':');
    if (!value)
        return -EINVAL;
    *value++ = '\0';
    for (end = name + strlen(name); end > name && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    value += strspn(value, " \t");
    /* A comment needs a blank before it: a # may be part of a path. */
    for (char *p = value; *p; p++) {
        if (*p == '#' && (p == value || isspace((unsigned char)p[-1]))) {
            *p = '\0';
            break;
        }
    }
    for (end = value + strlen(value); end > value && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    if (!*name)
        return -EINVAL;
    *ret_name = name;
    *ret_value = value;
    return 0;
}

static int config_setting(struct pcn_options *options, const char *path, int number, char *line)
{
    char *name, *value;
    int r;

    r = pcn_options_line(line, &name, &value);
    if (r > 0)
        return 0;
    if (r < 0) {
        (void)fprintf(stderr, "polycubed: %s:%d: not of the form `name: value`\n", path, number);
        return r;
    }
    for (const struct option *option = long_options; option->name; option++) {
        if (!pcn_streq(option->name, name) || option->val == 'v' || option->val == 'h' ||
            option->val == OPTION_CONFIGFILE || option->val == OPTION_HANDOVER)
            continue;
        r = option_set(options, option->val, value);
        if (r < 0)
            (void)fprintf(stderr, "polycubed: %s:%d: %s: \"%s\" is not %s\n", path, number, name, value,
                          option_form(option->val));
        return r;
    }
    (void)fprintf(stderr, "polycubed: %s:%d: there is no setting \"%s\"\n", path, number, name);
    return -EINVAL;
}

static int config_read(struct pcn_options *options, const char *path, bool required)
{
    char line[CONFIG_LINE_MAX];
    FILE *file;
    int number = 0, r = 0;

    file = fopen(path, "re");
    if (!file) {
        if (!required)
            return 0;
        r = -errno;
        (void)fprintf(stderr, "polycubed: cannot read %s: %s\n", path, strerror(-r));
        return r;
    }
    while (r >= 0 && fgets(line, sizeof(line), file))
        r = config_setting(options, path, ++number, line);
    (void)fclose(file);
    return r;
}

static int options_check(const struct pcn_options *options)
{
    const char *wrong = NULL;

    if (!options->cert != !options->key)
        wrong = "--cert and --key go together";
    else if (options->cacert && options->cert_whitelist)
        wrong = "--cacert and --cert-whitelist exclude each other";
    else if ((options->cacert || options->cert_whitelist) && !options->cert)
        wrong = "--cacert and --cert-whitelist need --cert";
    else if (options->cert_blacklist && !options->cacert)
        wrong = "--cert-blacklist needs --cacert";
    if (!wrong)
        return 0;
    (void)fprintf(stderr, "polycubed: %s\n", wrong);
    return -EINVAL;
}

static int options_default(struct pcn_options *options)
{
    const struct {
        char **field;
        const char *value;
    } defaults[] = {
        {&options->address, "localhost"},    {&options->logfile, "/var/log/polycube/polycubed.log"},
        {&options->instance, "default"},     {&options->bpffs, "/sys/fs/bpf"},
        {&options->rundir, "/run/polycube"}, {&options->cubesdir, PCN_CUBES_DIRECTORY},
    };

    *options = (struct pcn_options){.port = 9000, .loglevel = PCN_LOG_INFO};
    for (size_t i = 0; i < PCN_ARRAY_SIZE(defaults); i++) {
        int r = option_string(defaults[i].field, defaults[i].value);

        if (r < 0)
            return r;
    }
    return 0;
}

static enum pcn_options_result options_words(struct pcn_options *options, int argc, char **argv, bool only_file)
{
    int option, index;

    optind = 1;
    for (;;) {
        index = -1;
        option = getopt_long(argc, argv, "p:a:l:dvhc:k:", long_options, &index);
        if (option == -1)
            break;
        if (option == '?')
            return PCN_OPTIONS_ERROR;
        if (option == 'h' || option == 'v') {
            if (option == 'h')
                options_help();
            else
                puts("polycubed " PCN_VERSION);
            return PCN_OPTIONS_EXIT;
        }
        if (only_file != (option == OPTION_CONFIGFILE))
            continue;
        if (option_set(options, option, optarg) < 0) {
            (void)fprintf(stderr, "polycubed: \"%s\" is not %s\n", optarg ? optarg : "", option_form(option));
            return PCN_OPTIONS_ERROR;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "polycubed: unexpected argument \"%s\"\n", argv[optind]);
        return PCN_OPTIONS_ERROR;
    }
    return PCN_OPTIONS_RUN;
}

enum pcn_options_result pcn_options_parse(struct pcn_options *options, int argc, char **argv)
{
    enum pcn_options_result result;
    bool named;

    if (options_default(options) < 0)
        return PCN_OPTIONS_ERROR;
    /* The file's name first, then the file, then the words: these win. */
    result = options_words(options, argc, argv, true);
    if (result != PCN_OPTIONS_RUN)
        return result;
    named = options->configfile != NULL;
    if (config_read(options, named ? options->configfile : "/etc/polycube/polycubed.conf", named) < 0)
        return PCN_OPTIONS_ERROR;
    result = options_words(options, argc, argv, false);
    if (result != PCN_OPTIONS_RUN)
        return result;
    return options_check(options) < 0 ? PCN_OPTIONS_ERROR : PCN_OPTIONS_RUN;
}

void pcn_options_done(struct pcn_options *options)
{
    char **fields[] = {&options->address,        &options->cert,    &options->key,      &options->cacert,
                       &options->cert_whitelist, &options->logfile, &options->pidfile,  &options->configfile,
                       &options->cert_blacklist, &options->bpffs,   &options->instance, &options->rundir,
                       &options->cubesdir};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(fields); i++)
        free(TAKE_PTR(*fields[i]));
}
