/* SPDX-License-Identifier: Apache-2.0 */
#include "simpleforwarder.h"
#include "simpleforwarder_embed.h"
#include "simpleforwarder_maps.h"
#include <stdio.h>

static const struct pcn_reason reasons[] = {
    {"no-action", "there is no action for the port it came in by"},
    {"no-out-port", "the action's outport is gone"},
};

/* ---- the table ---- */

static void entry_freep(struct simpleforwarder_entry **ptr)
{
    struct simpleforwarder_entry *entry = TAKE_PTR(*ptr);

    if (!entry)
        return;
    free(entry->inport);
    free(entry->outport);
    free(entry);
}

struct simpleforwarder_entry *simpleforwarder_find(const struct simpleforwarder *forwarder, const char *inport)
{
    struct simpleforwarder_entry *entry = forwarder->entries;

    while (entry && !pcn_streq(entry->inport, inport))
        entry = entry->next;
    return entry;
}

static uint32_t entry_word(const struct pcn_cube *cube, const struct simpleforwarder_entry *entry,
                           const struct pcn_port *going)
{
    const struct pcn_port *out = NULL;

    switch (entry->action) {
    case SIMPLEFORWARDER_ACTIONS_ACTION_SLOWPATH:
        return SIMPLEFORWARDER_WORD(SIMPLEFORWARDER_SLOWPATH, 0);
    case SIMPLEFORWARDER_ACTIONS_ACTION_FORWARD:
        if (entry->outport)
            out = pcn_port_by_name(cube, entry->outport);
        if (!out || out == going)
            return SIMPLEFORWARDER_WORD(SIMPLEFORWARDER_DANGLING, 0);
        return SIMPLEFORWARDER_WORD(SIMPLEFORWARDER_FORWARD, pcn_port_id(out));
    default:
        return SIMPLEFORWARDER_WORD(SIMPLEFORWARDER_DROP, 0);
    }
}

static void word_store(struct simpleforwarder *forwarder, const struct pcn_port *in, uint32_t word)
{
    __atomic_store_n(&forwarder->words[pcn_port_id(in)], word, __ATOMIC_RELAXED);
}

/* Writes what the fast path is to do with packets of the entry's inport; going: a port that is about to be removed. */
static void entry_write(struct pcn_cube *cube, const struct simpleforwarder_entry *entry, const struct pcn_port *going)
{
    const struct pcn_port *in = pcn_port_by_name(cube, entry->inport);

    if (in && in != going)
        word_store(pcn_cube_state(cube), in, entry_word(cube, entry, going));
}

/* ---- configuration ---- */

int simpleforwarder_actions_validate(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct simpleforwarder_actions action;
    char path[256];

    if (!change->after)
        return 0;
    simpleforwarder_actions_read(change->after, &action);
    if (action.action != SIMPLEFORWARDER_ACTIONS_ACTION_FORWARD || action.outport)
        return 0;
    (void)snprintf(path, sizeof(path), "actions/%s/outport", action.inport);
    return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, path,
                         "outport is missing: action FORWARD needs the name of the port to send packets of %s to",
                         action.inport);
}

/*
 * A port that an entry names has to exist, but for the entries a cube is created with: those of a
 * restored configuration may have outlived their ports.
 */
static int entry_check_port(struct pcn_cube *cube, const char *inport, const char *leaf, const char *port,
                            struct pcn_error *error)
{
    const struct simpleforwarder *forwarder = pcn_cube_state(cube);
    char path[256];

    if (!port || pcn_port_by_name(cube, port))
        return 0;
    if (!forwarder->established) {
        pcn_cube_log(cube, PCN_LOG_WARN, "actions/%s/%s: Port %s does not exist", inport, leaf, port);
        return 0;
    }
    (void)snprintf(path, sizeof(path), "actions/%s/%s", inport, leaf);
    return pcn_error_set(error, PCN_ERROR_DATA_MISSING, path, "Port %s does not exist: add it before its action", port);
}

int simpleforwarder_actions_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    _cleanup_(entry_freep) struct simpleforwarder_entry *entry = NULL;
    struct simpleforwarder_actions action;
    int r;

    if (!change->after)
        return 0;
    simpleforwarder_actions_read(change->after, &action);
    r = entry_check_port(cube, action.inport, "inport", action.inport, error);
    if (r < 0)
        return r;
    r = entry_check_port(cube, action.inport, "outport", action.outport, error);
    if (r < 0)
        return r;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    entry->action = action.action;
    entry->inport = strdup(action.inport);
    if (!entry->inport)
        return -ENOMEM;
    if (action.outport) {
        entry->outport = strdup(action.outport);
        if (!entry->outport)
            return -ENOMEM;
    }
    change->resource = TAKE_PTR(entry);
    return 0;
}

void simpleforwarder_actions_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    struct simpleforwarder_entry *entry = TAKE_PTR(change->resource);

    entry_freep(&entry);
}

int simpleforwarder_actions_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct simpleforwarder *forwarder = pcn_cube_state(cube);
    _cleanup_(entry_freep) struct simpleforwarder_entry *old = NULL;
    struct simpleforwarder_entry *new = TAKE_PTR(change->resource), **link = &forwarder->entries;
    const char *inport = new ? new->inport : change->keys[change->n_keys - 1];
    const struct pcn_port *in;

    while (*link && !pcn_streq((*link)->inport, inport))
        link = &(*link)->next;
    old = *link;
    if (new) {
        new->next = old ? old->next : NULL;
        *link = new;
        entry_write(cube, new, NULL);
    } else if (old) {
        *link = old->next;
        in = pcn_port_by_name(cube, inport);
        if (in)
            word_store(forwarder, in, SIMPLEFORWARDER_WORD(SIMPLEFORWARDER_NONE, 0));
    }
    return 0;
}

/* The first change of all is the cube's own creation: what follows it has passed prepare. */
int simpleforwarder_root_apply(struct pcn_cube *cube, struct pcn_change *change)
{
    struct simpleforwarder *forwarder = pcn_cube_state(cube);

    forwarder->established = true;
    return 0;
}

/* ---- ports ---- */

static void entries_of_port(struct pcn_cube *cube, const struct pcn_port *port, const struct pcn_port *going)
{
    const struct simpleforwarder *forwarder = pcn_cube_state(cube);
    const char *name = pcn_port_name(port);

    for (const struct simpleforwarder_entry *entry = forwarder->entries; entry; entry = entry->next) {
        if (pcn_streq(entry->inport, name) || (entry->outport && pcn_streq(entry->outport, name)))
            entry_write(cube, entry, going);
    }
}

static int simpleforwarder_port_added(struct pcn_cube *cube, struct pcn_port *port, struct pcn_error *error)
{
    word_store(pcn_cube_state(cube), port, SIMPLEFORWARDER_WORD(SIMPLEFORWARDER_NONE, 0));
    entries_of_port(cube, port, NULL);
    return 0;
}

static void simpleforwarder_port_removed(struct pcn_cube *cube, struct pcn_port *port)
{
    entries_of_port(cube, port, port);
    word_store(pcn_cube_state(cube), port, SIMPLEFORWARDER_WORD(SIMPLEFORWARDER_NONE, 0));
}

/* ---- the instance ---- */

static int simpleforwarder_create(struct pcn_cube *cube, const struct pcn_node *config, struct pcn_error *error)
{
    _cleanup_free_ struct simpleforwarder *forwarder = NULL;
    void *words;
    size_t size;
    int r;

    forwarder = calloc(1, sizeof(*forwarder));
    if (!forwarder)
        return -ENOMEM;
    r = pcn_map_memory(cube, SIMPLEFORWARDER_DATA, &words, &size);
    if (r < 0)
        return r;
    forwarder->words = words;
    pcn_cube_set_state(cube, TAKE_PTR(forwarder));
    return 0;
}

static void simpleforwarder_destroy(struct pcn_cube *cube)
{
    struct simpleforwarder *forwarder = pcn_cube_state(cube);

    if (!forwarder)
        return;
    while (forwarder->entries) {
        struct simpleforwarder_entry *entry = forwarder->entries;

        forwarder->entries = entry->next;
        entry_freep(&entry);
    }
    free(forwarder);
}

PCN_EXPORT const struct pcn_cube_kind pcn_cube_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .abi_minor = PCN_ABI_MINOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "simpleforwarder",
    .version = "1.0.0",
    .description = "Forwards packets by the port they came in by",
    .shape = PCN_STANDARD,
    .yang = simpleforwarder_yang,
    .tc_object = simpleforwarder_tc,
    .tc_object_end = simpleforwarder_tc_end,
    .xdp_object = simpleforwarder_xdp,
    .xdp_object_end = simpleforwarder_xdp_end,
    .reasons = reasons,
    .n_reasons = PCN_ARRAY_SIZE(reasons),
    .handlers = simpleforwarder_handlers,
    .n_handlers = PCN_ARRAY_SIZE(simpleforwarder_handlers),
    .create = simpleforwarder_create,
    .destroy = simpleforwarder_destroy,
    .port_added = simpleforwarder_port_added,
    .port_removed = simpleforwarder_port_removed,
    .packet_in = simpleforwarder_packet_in,
};
