/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcn-codegen: what follows from a kind's YANG module, written to files.
 * Everything here walks the compiled module of a struct pcn_gen, which is the
 * one the daemon compiles: wrapped into one list, base modules included.
 *
 * Units are those of struct pcn_change: the cube, each container, each list.
 */
#pragma once
#include <libyang/libyang.h>
#include <pcn/base.h>
#include <stdio.h>

#define PCN_GEN_SOURCE_MAX 262144 /* bytes of a module's text */

struct pcn_gen {
    struct ly_ctx *ctx;
    const struct lys_module *module;
    const struct lysc_node *cube; /* the list that is one entry a cube */
    char *source;                 /* text of the module as its author wrote it */
    char *file;                   /* name of the file without directory, revision and suffix */
    char *kind;                   /* name of the module as a C identifier */
    bool transparent;             /* built on the transparent base */
};

/* Says what is wrong with the module on standard error. -EINVAL: not a cube's module. */
int pcn_gen_open(const char *path, struct pcn_gen *ret_gen);
void pcn_gen_done(struct pcn_gen *gen);
/* Argument of an extension at the module's top ("service-description"), or NULL. */
const char *pcn_gen_about(const struct pcn_gen *gen, const char *extension);

/* ---- looking at a schema ---- */

/* Children in YANG order, choices and cases looked through, actions last. node NULL: the first. */
const struct lysc_node *pcn_gen_next(const struct lysc_node *parent, const struct lysc_node *node);
bool pcn_gen_is_unit(const struct lysc_node *node);  /* container or list */
bool pcn_gen_is_state(const struct lysc_node *node); /* config false */
bool pcn_gen_is_key(const struct lysc_node *node);
bool pcn_gen_is_mandatory(const struct lysc_node *node); /* keys are, too */
/* The type of a leaf or leaf-list, leafrefs followed. */
const struct lysc_type *pcn_gen_type(const struct lysc_node *node);
/* Canonical text of a leaf's default, or NULL. */
const char *pcn_gen_default(const struct lysc_node *node);
/* Argument of an extension of a node ("cli-example"; "" where it takes none), or NULL. */
const char *pcn_gen_extension(const struct lysc_node *node, const char *extension);
/* Names below the cube: "ports/secondaryip"; of the cube itself "". */
void pcn_gen_print_path(FILE *out, const struct pcn_gen *gen, const struct lysc_node *node, const char *separator);
/* A user's words for the type of a leaf or leaf-list: "uint32 1..4094", "one of DROP, PASS". */
void pcn_gen_print_type(FILE *out, const struct lysc_node *node);

/* ---- writing C ---- */

/* What is no letter, digit or underscore becomes an underscore. */
void pcn_gen_print_id(FILE *out, const char *name);
void pcn_gen_print_upper(FILE *out, const char *name);
/* A leaf's name as a member: a keyword of C gets an underscore behind it. */
void pcn_gen_print_member(FILE *out, const char *name);
/* A comment of lines up to 120 columns. */
void pcn_gen_print_comment(FILE *out, unsigned int indent, const char *text);
/* "ports_secondaryip", of the cube "root". */
void pcn_gen_print_unit(FILE *out, const struct pcn_gen *gen, const struct lysc_node *node, bool upper);

/* "hub_ports_secondaryip": the struct of a unit, what its functions' names begin with. */
void pcn_gen_print_struct(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit);
/* "HUB_ROOT_ACTION_", and behind it the name of its i-th value. */
void pcn_gen_print_enum_prefix(FILE *out, const struct pcn_gen *gen, const struct lysc_node *unit,
                               const struct lysc_node *leaf);
void pcn_gen_print_enum_item(FILE *out, const struct lysc_node *leaf, LY_ARRAY_COUNT_TYPE i);
/* A member is text where it is no number, boolean or enumeration. */
bool pcn_gen_is_text(const struct lysc_type *type);
/* Only a bool beside it tells whether it is set. */
bool pcn_gen_needs_has(const struct lysc_node *leaf);

/* ---- files ---- */

/* Opens a file beside the target; commit renames it there, so that a reader never sees half of one. */
struct pcn_gen_file {
    FILE *out;
    char *path;
    char *temporary;
};
/* directory NULL: name is a path */
int pcn_gen_file_open(const char *directory, const char *name, struct pcn_gen_file *ret_file);
int pcn_gen_file_commit(struct pcn_gen_file *file);
void pcn_gen_file_discardp(struct pcn_gen_file *file); /* removes what was not committed */

/* ---- the subcommands ---- */
int pcn_gen_types(const struct pcn_gen *gen, const char *directory);
/* Whether C has a name of its own for everything. Says on standard error what has not. */
int pcn_gen_types_check(const struct pcn_gen *gen);
/* path NULL: standard output */
int pcn_gen_openapi(const struct pcn_gen *gen, const char *path);
int pcn_gen_cli(const struct pcn_gen *gen, FILE *out);
/* Writes directory/kind; nothing is left there on failure. directory NULL: "cubes". -EEXIST: it is there. */
int pcn_gen_new(const char *kind, const char *path, const char *directory);
