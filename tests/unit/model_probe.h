/* SPDX-License-Identifier: Apache-2.0 */
/* A module with one of everything, and a kind of it with handlers that record: what tests and fuzzers edit. */
#pragma once
#include <model/model.h>

#define PROBE_MODULE(name, body)                                                                                       \
    "module " name " {\n"                                                                                              \
    "  yang-version 1.1;\n"                                                                                            \
    "  namespace \"http://polycube.network/" name "\";\n"                                                              \
    "  prefix \"" name "\";\n"                                                                                         \
    "  import polycube-base { prefix \"polycube-base\"; }\n"                                                           \
    "  import polycube-standard-base { prefix \"polycube-standard-base\"; }\n"                                         \
    "  polycube-base:service-description \"A module of tests\";\n"                                                     \
    "  polycube-base:service-name \"" name "\";\n" body "\n}\n"

extern const struct pcn_cube_kind probe_kind;
extern struct pcn_cube *const probe_cube; /* only ever compared */
extern char probe_calls[4096];            /* what the handlers were called for */
extern const struct pcn_state_hooks probe_config, probe_state;

struct probe_path {
    char text[4096];
    const char *segments[32];
    size_t n;
};
void probe_path(struct probe_path *ret_path, const char *text);
