/* SPDX-License-Identifier: Apache-2.0 */
/* A service's places, spread over its backends by Maglev. */
#include "lbdsr.h"
#include <pcn/maglev.h>

int lbdsr_maglev(struct lbdsr_end *ends, size_t n, uint32_t size, uint16_t **ret_table)
{
    _cleanup_free_ struct pcn_maglev_end *spread = calloc(n + 1, sizeof(*spread));
    int r;

    if (!spread)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        spread[i].kind = ends[i].version;
        spread[i].id = ends[i].id;
        spread[i].weight = ends[i].health.out ? 0 : ends[i].weight;
        if (ends[i].version)
            memcpy(spread[i].name, &ends[i].address, sizeof(spread[i].name));
        else
            memcpy(spread[i].name, ends[i].mac, sizeof(ends[i].mac));
    }
    r = pcn_maglev_make(spread, n, size, ret_table);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        ends[i].places = spread[i].places;
    return 0;
}
