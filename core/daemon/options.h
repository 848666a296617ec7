/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command line and configuration file. The file has `name: value` lines, `#`
 * comments; names are those of the long options; the command line wins.
 */
#pragma once
#include <pcn/abi.h>
#include <pcn/base.h>

struct pcn_options {
    uint16_t port; /* 0: no TCP */
    char *address;
    enum pcn_log_level loglevel;
    bool daemonize;
    char *cert;
    char *key;
    char *cacert;
    char *cert_whitelist;
    char *cert_blacklist;
    char *logfile;
    char *pidfile; /* NULL: <rundir>/<instance>/pid */
    char *configfile;
    char *instance;
    char *bpffs;
    char *rundir;
    char *cubesdir;
    bool tcx;
    bool handover; /* not a daemon: the word to one that runs */
};

enum pcn_options_result {
    PCN_OPTIONS_RUN,
    PCN_OPTIONS_EXIT,  /* --help, --version: said */
    PCN_OPTIONS_ERROR, /* said on standard error */
};

enum pcn_options_result pcn_options_parse(struct pcn_options *options, int argc, char **argv);
void pcn_options_done(struct pcn_options *options);
/* One line of the file into name and value, in place. 0: a setting; 1: blank or a comment; -EINVAL. */
int pcn_options_line(char *line, char **ret_name, char **ret_value);
