/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas (2020-12, as OpenAPI 3.1 has them) of a kind's units and leaves. */
#pragma once
#include "codegen.h"
#include <jansson.h>

/*
 * What a body must and may hold depends on the verb: an answer has all leaves, a body that creates has the
 * mandatory ones and no state, one that updates has any of those that can be changed.
 */
enum pcn_gen_body {
    PCN_GEN_ANSWER,
    PCN_GEN_CREATE,
    PCN_GEN_UPDATE,
    PCN_GEN_BODY_MAX,
};

/* Schema of a leaf, or of the values of a leaf-list. */
json_t *pcn_gen_value_schema(const struct lysc_node *leaf);
/* Schema of a unit, of an action's input or output; units in it are references. */
json_t *pcn_gen_unit_schema(const struct pcn_gen *gen, const struct lysc_node *unit, enum pcn_gen_body body);
/* {"$ref": "#/components/schemas/..."} of a unit */
json_t *pcn_gen_unit_reference(const struct pcn_gen *gen, const struct lysc_node *unit, enum pcn_gen_body body);
/* The same, of an entry in an array: its keys are in the body, not in the URL. */
json_t *pcn_gen_entry_reference(const struct pcn_gen *gen, const struct lysc_node *list, enum pcn_gen_body body);
/* "router.ports.secondaryip.create". Caller frees. */
char *pcn_gen_schema_name(const struct pcn_gen *gen, const struct lysc_node *unit, enum pcn_gen_body body);
/* What may be in a body: false for state, and for init-only leaves on update. */
bool pcn_gen_is_settable(const struct lysc_node *node, enum pcn_gen_body body);
