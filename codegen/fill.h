/* SPDX-License-Identifier: Apache-2.0 */
/* `new`: the parts of a new cube's files that follow from its model. */
#pragma once
#include "codegen.h"

/*
 * What the module has beyond the base modules: nodes that are not in `base`, which is the cube of a
 * module that has the base alone.
 */
struct pcn_gen_fill {
    const struct pcn_gen *gen;
    const struct lysc_node *base;
};

/*
 * struct fast_path: the cube's own leaves but texts, by size, so that only its end is padded; in a standard cube
 * the ports, too. A transparent cube without such leaves has none.
 */
bool pcn_gen_fill_has_struct(const struct pcn_gen_fill *fill);
void pcn_gen_fill_struct(FILE *out, const struct pcn_gen_fill *fill);
void pcn_gen_fill_enums(FILE *out, const struct pcn_gen_fill *fill);
/* That the enums of the fast path number as the model does. */
void pcn_gen_fill_asserts(FILE *out, const struct pcn_gen_fill *fill);
/* A handler for each unit that has configuration of its own. */
void pcn_gen_fill_units(FILE *out, const struct pcn_gen_fill *fill);
