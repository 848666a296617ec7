/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and sessions, as users see them; and sessions that are taken away. */
#include "lbrp.h"
#include "lbrp_model.h"
#include <arpa/inet.h>

/* ---- services and backends ---- */

static void emit_tally(struct pcn_emitter *emitter, const struct lbrp_tally *tally)
{
    pcn_emit_uint(emitter, "packets", tally->count.packets[0]);
    pcn_emit_uint(emitter, "bytes", tally->count.bytes[0]);
    pcn_emit_uint(emitter, "reply-packets", tally->count.packets[1]);
    pcn_emit_uint(emitter, "reply-bytes", tally->count.bytes[1]);
    pcn_emit_uint(emitter, "sessions", tally->sessions);
    pcn_emit_uint(emitter, "active-sessions", tally->active);
}

int lbrp_service_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    const struct lbrp *lbrp = pcn_cube_state(cube);
    const struct lbrp_key key = lbrp_key_of(keys);
    const struct lbrp_group *service = lbrp_service_find(&lbrp->services, &key);
    struct lbrp_tally tally;

    if (!service)
        return 0;
    tally = lbrp_tables_sum(&lbrp->tables, service);
    emit_tally(emitter, &tally);
    pcn_emit_uint(emitter, "places-moved", service->moved);
    return 0;
}

int lbrp_service_backend_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                               struct pcn_emitter *emitter)
{
    const struct lbrp *lbrp = pcn_cube_state(cube);
    const struct lbrp_key key = lbrp_key_of(keys);
    const struct lbrp_group *service = lbrp_service_find(&lbrp->services, &key);
    const struct lbrp_end *end;
    union pcn_address address;
    struct lbrp_tally tally;

    (void)lbrp_address_parse(keys[3], &address);
    end = service ? lbrp_end_find(service, &address) : NULL;
    if (!end)
        return 0;
    tally = lbrp_tables_tally(&lbrp->tables, end);
    pcn_emit_bool(emitter, "up", !end->health.out);
    emit_tally(emitter, &tally);
    pcn_emit_uint(emitter, "places", end->places);
    return 0;
}

/* ---- sessions ---- */

static struct lbrp_session *session_of(const struct pcn_flows *flows, uint32_t slot)
{
    return (struct lbrp_session *)(void *)pcn_flows_own(flows, slot);
}

void lbrp_flow_removed(struct pcn_flows *flows, const struct pcn_flow *flow)
{
    struct lbrp *lbrp = PCN_CONTAINER_OF(flows, struct lbrp, flows);

    lbrp_tables_forget(&lbrp->tables, &session_of(flows, flow->slot)->state);
}

static void emit_address(struct pcn_emitter *emitter, const char *leaf, unsigned int version, const __u64 *words)
{
    char text[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(version == 6 ? AF_INET6 : AF_INET, words, text, sizeof(text));
    pcn_emit_string(emitter, leaf, text);
}

/* What the other key is. */
void lbrp_flow_emit(struct pcn_flows *flows, const struct pcn_flow *flow, struct pcn_emitter *emitter)
{
    struct pcn_flow other;
    unsigned int version;

    if (!pcn_flows_get(flows, pcn_flows_other(flows, flow->slot), pcn_clock_jiffies(), &other))
        return;
    version = other.key.words[4] >> PCN_CT_VERSION_SHIFT & 0xff;
    emit_address(emitter, "backend", version, &other.key.words[2]);
    pcn_emit_uint(emitter, "backend-port", ntohs((uint16_t)(other.key.words[4] >> PCN_CT_DESTINATION_PORT_SHIFT)));
    emit_address(emitter, "source", version, &other.key.words[0]);
    pcn_emit_uint(emitter, "source-port", ntohs((uint16_t)other.key.words[4]));
}

/* ---- the groupings: see pcn/flows.h ---- */

int lbrp_timeouts_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    if (change->after)
        pcn_flows_apply_timeouts(pcn_cube_state(cube), change->after);
    return 0;
}

int lbrp_statistics_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    return pcn_flows_emit_statistics(pcn_cube_state(cube), emitter);
}

int lbrp_session_table_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys,
                               struct pcn_emitter *emitter)
{
    return pcn_flows_emit_sessions(pcn_cube_state(cube), keys, n_keys, emitter);
}

int lbrp_flow_events_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    return pcn_flows_emit_events(pcn_cube_state(cube), keys, n_keys, emitter);
}

int lbrp_session_table_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    return pcn_flows_forget(pcn_cube_state(cube), keys, n_keys);
}

int lbrp_flush_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                      struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_flush(pcn_cube_state(cube), input, output, error);
}

int lbrp_delete_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                       struct pcn_emitter *output, struct pcn_error *error)
{
    return pcn_flows_delete(pcn_cube_state(cube), input, output, error);
}
