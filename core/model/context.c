/* SPDX-License-Identifier: Apache-2.0 */
/* A libyang context that has the base modules built in. */
#include "private.h"

extern const char pcn_yang_base[], pcn_yang_standard_base[], pcn_yang_transparent_base[], pcn_yang_flows_base[],
    pcn_yang_health_base[];

static const struct {
    const char *name;
    const char *text;
} base_modules[] = {
    {"polycube-base", pcn_yang_base},
    {"polycube-standard-base", pcn_yang_standard_base},
    {"polycube-transparent-base", pcn_yang_transparent_base},
    {"polycube-flows-base", pcn_yang_flows_base},
    {"polycube-health-base", pcn_yang_health_base},
};

static LY_ERR context_import(const char *name, const char *revision, const char *submodule,
                             const char *submodule_revision, void *data, LYS_INFORMAT *format, const char **module_data,
                             void (**free_module_data)(void *module_data, void *user_data))
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(base_modules); i++) {
        if (!pcn_streq(base_modules[i].name, name))
            continue;
        *format = LYS_IN_YANG;
        *module_data = base_modules[i].text;
        *free_module_data = NULL;
        return LY_SUCCESS;
    }
    return LY_ENOT;
}

int pcn_model_context(const char *directory, struct ly_ctx **ret_ctx)
{
    struct ly_ctx *ctx = NULL;

    ly_log_options(LY_LOSTORE_LAST);
    if (ly_ctx_new(directory, LY_CTX_NO_YANGLIBRARY | LY_CTX_DISABLE_SEARCHDIR_CWD, &ctx) != LY_SUCCESS)
        return -ENOMEM;
    ly_ctx_set_module_imp_clb(ctx, context_import, NULL);
    *ret_ctx = ctx;
    return 0;
}
