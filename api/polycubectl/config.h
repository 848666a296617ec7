/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the daemon is and how to speak to it. What wins: --url and --instance, then POLYCUBECTL_* of the environment,
 * then ~/.config/polycube/polycubectl_config.yaml, then the defaults.
 *
 * A file that cannot be read or made never stops a command: what is wrong with it is said on standard error.
 */
#pragma once
#include "message.h"

#define PCN_CLI_URL "http://localhost:9000/polycube/v1/"

struct pcn_cli_config {
    char *url; /* as given: http://, https:// or unix:// */
    char *cert;
    char *key;
    char *cacert;
    char *log;             /* file that command lines and their results are appended to; NULL: none */
    bool debug;            /* print the HTTP exchange */
    bool expert;           /* help shows the verbs that load and unload services */
    bool single_parameter; /* `set` of one name=value is a PATCH of the leaf */
};

/* Everything but the command line. -ENOMEM. */
int pcn_cli_config_load(struct pcn_cli_config *ret_config);
/* Text of a configuration file. -EINVAL: not YAML, not an object, a value of the wrong type; config is untouched. */
int pcn_cli_config_parse(struct pcn_cli_config *config, const char *text, size_t length,
                         struct pcn_cli_message *message);
/* The options of a command line on top. -EINVAL: both are given, or instance is not a name. */
int pcn_cli_config_override(struct pcn_cli_config *config, const char *url, const char *instance,
                            struct pcn_cli_message *message);
void pcn_cli_config_done(struct pcn_cli_config *config); /* for _cleanup_ */

/*
 * url as what curl wants: the base of all requests, ending in '/', and the socket's path (NULL: TCP).
 * "unix:///run/x.sock" has the base "http://localhost/polycube/v1/"; a URL without a path gets "/polycube/v1/".
 * Caller frees both. -EINVAL.
 */
int pcn_cli_config_base(const char *url, char **ret_base, char **ret_socket, struct pcn_cli_message *message);
