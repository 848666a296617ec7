/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans to maps. One that fits the loaded programs is written into the half of
 * the arena that no packet reads. One that does not makes the cube load its programs anew, with room to grow: beside
 * those that run, and each packet runs the one or the other.
 */
#include "firewall.h"
#include <stdio.h>

#define COUNTERS_MIN 256u
#define SPARE_RULES_MIN 1000u         /* of fewer, a plan is made anew each time */
#define FIRST_SLOT FIREWALL_CHAIN_MAX /* below are those of the defaults */

/* ---- sizes ---- */

/* To what its program is to do (or all, of both directions), and to tables of that size. */
static int object_fit(struct pcn_object *object, uint32_t used, uint32_t n_pages, uint32_t n_counters)
{
    bool has_rules = used & (FIREWALL_USES_RULES | FIREWALL_USES_LEAD);
    const struct firewall_sizes sizes = {.pages = n_pages, .counters = n_counters, .cpus = pcn_cpus()};
    struct firewall_settings settings = firewall_settings_for(used, &sizes, pcn_clock_hz());
    int r;

    if (!has_rules && pcn_object_direction(object) < PCN_DIRECTION_MAX)
        pcn_object_lighten(object);
    r = pcn_object_set(object, "firewall_settings", &settings, sizeof(settings));
    if (r >= 0)
        r = pcn_object_trim(object, FIREWALL_ARENA, (size_t)n_pages * LBVS_PAGE);
    return r < 0 ? r
                 : pcn_object_trim(object, FIREWALL_COUNTERS,
                                   (size_t)pcn_cpus() * n_counters * sizeof(struct firewall_counter));
}

struct firewall_options firewall_options_of(const struct pcn_node *config)
{
    return (struct firewall_options){
        .accept_established = pcn_streq(pcn_node_string(config, "accept-established"), "ON"),
        .conntrack = pcn_streq(pcn_node_string(config, "conntrack"), "ON"),
        .table_size = (uint32_t)pcn_node_uint(config, "table-size", PCN_CT_SIZE_DEFAULT),
        .counting = pcn_node_bool(config, "counting", false),
        .windows = pcn_node_bool(config, "window-check", false),
    };
}

int firewall_configure(struct pcn_object *object, const struct pcn_node *config, struct pcn_error *error)
{
    int r;

    r = object_fit(object, 0, FIREWALL_ARENA_EMPTY, COUNTERS_MIN);
    return r < 0 ? r : pcn_flows_configure(object, &(struct pcn_flows_size){});
}

int firewall_reconfigure(struct pcn_cube *cube, struct pcn_object *object, struct pcn_error *error)
{
    const struct firewall *firewall = pcn_cube_state(cube);
    const struct firewall_options *options = &firewall->options;
    bool tracks = firewall->used[0] & FIREWALL_USES_TRACKING;
    enum pcn_direction direction = pcn_object_direction(object);
    uint32_t used = direction < PCN_DIRECTION_MAX ? firewall->used[direction]
                                                  : firewall->used[FIREWALL_INGRESS] | firewall->used[FIREWALL_EGRESS];
    int r;

    r = object_fit(object, used, firewall->n_pages, firewall->n_counters);
    if (r >= 0)
        r = pcn_flows_configure(object, &(struct pcn_flows_size){.flows = tracks ? options->table_size : 0,
                                                                 .counting = tracks && options->counting,
                                                                 .windows = used & FIREWALL_USES_WINDOWS});
    if (r < 0 || !firewall->renewing)
        return r;
    /* They are too small: the old programs go on reading them. */
    r = pcn_object_renew(object, FIREWALL_ARENA);
    return r < 0 ? r : pcn_object_renew(object, FIREWALL_DATA);
}

static int memory_map(struct firewall *firewall, struct firewall_memory *ret_memory,
                      struct firewall_counter **ret_counters)
{
    struct firewall_memory memory = {.n_pages = firewall->n_pages, .counters = firewall->n_counters};
    void *pages, *data, *counters;
    size_t size;
    int r;

    r = pcn_cube_next_memory(firewall->cube, FIREWALL_ARENA, &pages, &size);
    if (r >= 0)
        r = pcn_cube_next_memory(firewall->cube, FIREWALL_DATA, &data, &size);
    if (r >= 0)
        r = pcn_cube_next_memory(firewall->cube, FIREWALL_COUNTERS, &counters, &size);
    if (r < 0)
        return r;
    memcpy(memory.used, firewall->used, sizeof(memory.used));
    memory.pages = pages;
    memory.data = data;
    memory.data->accept_established = firewall->options.accept_established;
    *ret_memory = memory;
    *ret_counters = counters;
    return 0;
}

/* ---- counters ---- */

void firewall_counter_read(const struct firewall *firewall, uint32_t counter, struct firewall_counter *ret_sum)
{
    struct firewall_counter sum = {};

    for (unsigned int cpu = 0; cpu < pcn_cpus(); cpu++) {
        const volatile struct firewall_counter *slot = firewall->counters + cpu * firewall->memory.counters + counter;

        sum.packets += slot->packets;
        sum.bytes += slot->bytes;
        sum.last = PCN_MAX(sum.last, slot->last);
    }
    *ret_sum = sum;
}

void firewall_counter_reset(struct firewall *firewall, uint32_t counter)
{
    for (unsigned int cpu = 0; cpu < pcn_cpus(); cpu++)
        firewall->counters[cpu * firewall->memory.counters + counter] = (struct firewall_counter){};
}

static int slot_get(struct firewall *firewall, uint32_t *ret_slot)
{
    uint32_t words = firewall->n_slots / 64;
    uint64_t *slots;

    for (uint32_t i = 0; i < words; i++) {
        if (~firewall->slots[i]) {
            *ret_slot = i * 64 + (uint32_t)__builtin_ctzll(~firewall->slots[i]);
            firewall->slots[i] |= 1ull << *ret_slot % 64;
            return 0;
        }
    }
    slots = realloc(firewall->slots, (words + 16) * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    memset(slots + words, 0, 16 * sizeof(*slots));
    firewall->slots = slots;
    firewall->n_slots += 16 * 64;
    /* Those of the defaults are never free. */
    if (!words)
        slots[0] = (1ull << FIRST_SLOT) - 1;
    return slot_get(firewall, ret_slot);
}

static void slots_put(struct firewall *firewall, const struct firewall_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct firewall_entry *entry = rules->entries[i];

        /* Nobody else has it: its counters go with it. */
        if (entry && entry->references == 1 && !entry->kept && entry->rule.counter)
            firewall->slots[entry->rule.counter / 64] &= ~(1ull << entry->rule.counter % 64);
    }
}

static int slots_give(struct firewall *firewall, const struct firewall_rules *rules)
{
    int r = 0;

    for (size_t i = 0; i < rules->n && r >= 0; i++) {
        struct firewall_entry *entry = rules->entries[i];

        if (entry->rule.counter)
            continue;
        r = slot_get(firewall, &entry->rule.counter);
        if (r >= 0 && entry->rule.counter < firewall->memory.counters)
            firewall_counter_reset(firewall, entry->rule.counter);
    }
    return r;
}

/* ---- plans ---- */

static struct firewall_rule rules_fallback(const struct firewall_rules *rules, enum firewall_direction number)
{
    return (struct firewall_rule){.action = (uint8_t)rules->fallback, .counter = number, .id = FIREWALL_NONE};
}

static int rules_compile(struct firewall *firewall, struct firewall_rules *rules, enum firewall_direction number,
                         struct pcn_error *error)
{
    const struct firewall_rule fallback = rules_fallback(rules, number);
    struct firewall_array *array = &firewall->chains[number].array;
    int r;

    firewall_interfaces_init(&rules->interfaces, firewall->cube);
    r = firewall_array_fill(firewall, rules, array, error);
    /* Limits do not depend on the devices: a chain that was accepted can be compiled whatever these are. */
    if (r >= 0 && array->n + array->left_out > FIREWALL_RULES_MAX)
        r = -E2BIG;
    if (r >= 0)
        r = firewall_plan_new(array->rules, array->n, &fallback, &rules->plan);
    if (r >= 0 && rules->n < SPARE_RULES_MIN)
        firewall_plan_forget(rules->plan);
    if (r >= 0 && firewall_interfaces_resolve(&rules->interfaces, firewall->cube))
        r = firewall_plan_interfaces(rules->plan, rules->interfaces.ifindexes, rules->interfaces.n);
    if (r == -E2BIG)
        return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "chain/rule",
                             "chain %s has more than %d rules, those by tuples counted once a protocol and port",
                             firewall_chain_names[number], FIREWALL_RULES_MAX);
    return r;
}

static const struct firewall_rules *chain_soon(const struct firewall_chain_state *chain)
{
    return chain->changing ? &chain->next : &chain->now;
}

static const struct firewall_options *options_soon(const struct firewall *firewall)
{
    return firewall->options_changing ? &firewall->next_options : &firewall->options;
}

/* Whether what becomes of a packet depends on its connection. */
static bool firewall_tracks(const struct firewall *firewall)
{
    const struct firewall_options *options = options_soon(firewall);
    bool decides = false;

    for (int i = 0; i < FIREWALL_CHAIN_MAX; i++) {
        const struct firewall_rules *rules = chain_soon(&firewall->chains[i]);

        decides = decides || firewall_plan_sizes(rules->plan).used & FIREWALL_USES_STATE ||
                  (options->accept_established && (rules->n || rules->fallback != FIREWALL_ACCEPT));
    }
    return options->conntrack && decides;
}

/* The directions whose programs do not take the plans, as bits, and what the new ones are to be like. */
static unsigned int firewall_unfit(struct firewall *firewall)
{
    const struct firewall_memory *memory = &firewall->memory;
    struct firewall_plan_sizes sizes[FIREWALL_CHAIN_MAX];
    uint32_t tracking = firewall_tracks(firewall) ? FIREWALL_USES_TRACKING : 0, counters = 0, room;
    uint32_t windows = tracking && options_soon(firewall)->windows ? FIREWALL_USES_WINDOWS : 0;
    /* Connections that another cube tracks are not to be tracked here, too. */
    uint32_t unwanted = options_soon(firewall)->conntrack ? 0 : FIREWALL_USES_TRACKING | FIREWALL_USES_WINDOWS;
    unsigned int unfit = 0;

    for (int i = 0; i < FIREWALL_CHAIN_MAX; i++) {
        sizes[i] = firewall_plan_sizes(chain_soon(&firewall->chains[i])->plan);
        counters = PCN_MAX(counters, sizes[i].counters);
        firewall->used[i] = (memory->used[i] | sizes[i].used | tracking | windows) & ~unwanted;
        unfit |= (unsigned int)(firewall->used[i] != memory->used[i]) << i;
    }
    room = firewall_plan_room(sizes[FIREWALL_INGRESS].pages, sizes[FIREWALL_EGRESS].pages);
    firewall->n_pages = PCN_MAX(memory->n_pages, room > memory->n_pages ? room * 2 : 0);
    if (unfit)
        firewall->n_pages = PCN_MAX(firewall->n_pages, FIREWALL_ARENA_MIN);
    firewall->n_counters = PCN_MAX(memory->counters, counters > memory->counters ? counters * 2 : 0);
    firewall->renewing = firewall->n_pages > memory->n_pages || firewall->n_counters > memory->counters;
    return firewall->renewing ? PCN_DIRECTIONS_ALL : unfit;
}

static int plans_write(const struct firewall *firewall, const struct firewall_memory *memory, bool all)
{
    int r = 0;

    for (int i = 0; i < FIREWALL_CHAIN_MAX && r >= 0; i++) {
        const struct firewall_chain_state *chain = &firewall->chains[i];

        if (all || chain->changing)
            r = firewall_plan_write(chain_soon(chain)->plan, (enum firewall_direction)i, memory);
    }
    return r;
}

int firewall_load_new(struct firewall *firewall)
{
    int r = 0;

    firewall->n_pages = FIREWALL_ARENA_EMPTY;
    firewall->n_counters = COUNTERS_MIN;
    for (int i = 0; i < FIREWALL_CHAIN_MAX && r >= 0; i++)
        r = rules_compile(firewall, &firewall->chains[i].now, (enum firewall_direction)i, NULL);
    if (r >= 0)
        r = memory_map(firewall, &firewall->memory, &firewall->counters);
    if (r >= 0)
        r = pcn_flows_open(firewall->cube, &firewall->flows);
    return r < 0 ? r : plans_write(firewall, &firewall->memory, true);
}

/* New memory is filled before anybody reads it. Where it stays, the new programs begin with the rules that are there. */
static int firewall_reload(struct firewall *firewall, unsigned int directions, struct pcn_error *error)
{
    struct firewall_counter *counters;
    struct firewall_memory memory;
    int r;

    r = pcn_cube_reload(firewall->cube, directions, error);
    if (r < 0)
        return r;
    firewall->reloaded = true;
    if (!firewall->renewing)
        return 0;
    r = memory_map(firewall, &memory, &counters);
    return r < 0 ? r : plans_write(firewall, &memory, true);
}

int firewall_prepared(struct pcn_cube *cube, struct pcn_error *error)
{
    struct firewall *firewall = pcn_cube_state(cube);
    bool changing = firewall->options_changing;
    unsigned int unfit;
    int r = 0;

    if (firewall->sets_changing)
        r = firewall_sets_check(firewall->sets, error);
    for (int i = 0; i < FIREWALL_CHAIN_MAX && r >= 0; i++) {
        struct firewall_chain_state *chain = &firewall->chains[i];

        if (!chain->changing)
            continue;
        changing = true;
        r = firewall_chain_settle(chain, (enum firewall_direction)i, error);
        if (r >= 0)
            r = slots_give(firewall, &chain->next);
        chain->next.plan = TAKE_PTR(chain->spare);
        if (r >= 0)
            r = rules_compile(firewall, &chain->next, (enum firewall_direction)i, error);
    }
    unfit = r >= 0 && changing ? firewall_unfit(firewall) : 0;
    if (unfit)
        r = firewall_reload(firewall, unfit, error);
    if (r < 0)
        firewall_abandoned(cube);
    return r;
}

/* Keeps the plan for the chain's next one, if it is large. */
static void plan_spare(struct firewall_chain_state *chain, struct firewall_rules *rules)
{
    if (rules->n >= SPARE_RULES_MIN && rules->plan && !chain->spare)
        chain->spare = TAKE_PTR(rules->plan);
}

/* A transaction is under way. */
static bool firewall_is_changing(const struct firewall *firewall)
{
    bool changing = firewall->options_changing || firewall->sets_changing || firewall->reloaded;

    for (int i = 0; i < FIREWALL_CHAIN_MAX; i++)
        changing = changing || firewall->chains[i].changing;
    return changing;
}

void firewall_spares_make(struct firewall *firewall)
{
    for (int i = 0; i < FIREWALL_CHAIN_MAX; i++) {
        struct firewall_chain_state *chain = &firewall->chains[i];
        const struct firewall_rule fallback = rules_fallback(&chain->now, (enum firewall_direction)i);
        struct pcn_error error = {};

        if (!chain->spare && chain->now.n >= SPARE_RULES_MIN && !firewall_is_changing(firewall) &&
            firewall_array_fill(firewall, &chain->now, &chain->array, &error) >= 0)
            (void)firewall_plan_new(chain->array.rules, chain->array.n, &fallback, &chain->spare);
    }
}

/* The rows of the CPUs lie further apart. */
static void counters_move(const struct firewall *firewall, struct firewall_counter *to, uint32_t stride)
{
    if (to == firewall->counters)
        return;
    for (unsigned int cpu = 0; cpu < pcn_cpus(); cpu++)
        memcpy(to + cpu * stride, firewall->counters + cpu * firewall->memory.counters,
               firewall->memory.counters * sizeof(*to));
}

static void firewall_switch(struct firewall *firewall)
{
    struct firewall_counter *counters;
    struct firewall_memory memory;

    if (memory_map(firewall, &memory, &counters) >= 0 && pcn_flows_open(firewall->cube, &firewall->flows) >= 0) {
        counters_move(firewall, counters, memory.counters);
        firewall->memory = memory;
        firewall->counters = counters;
    }
    pcn_cube_switch(firewall->cube);
    firewall->reloaded = false;
}

void firewall_applied(struct pcn_cube *cube)
{
    struct firewall *firewall = pcn_cube_state(cube);
    int r = 0;

    if (firewall->options_changing)
        firewall->options = firewall->next_options;
    firewall->options_changing = false;
    if (firewall->sets_changing)
        firewall_sets_settle(&firewall->sets, true);
    firewall->sets_changing = false;
    __atomic_store_n(&firewall->memory.data->accept_established, firewall->options.accept_established,
                     __ATOMIC_RELAXED);
    if (firewall->reloaded)
        firewall_switch(firewall);
    if (!firewall->renewing)
        r = plans_write(firewall, &firewall->memory, false);
    firewall->renewing = false;
    if (r < 0)
        pcn_cube_log(cube, PCN_LOG_ERR, "the rules could not be written: %s", strerror(-r));
    for (int i = 0; i < FIREWALL_CHAIN_MAX; i++) {
        struct firewall_chain_state *chain = &firewall->chains[i];

        if (!chain->changing)
            continue;
        HASH_CLEAR(hh, chain->gone);
        slots_put(firewall, &chain->now);
        plan_spare(chain, &chain->now);
        firewall_rules_done(&chain->now);
        chain->now = chain->next;
        chain->next = (struct firewall_rules){};
        chain->changing = false;
        for (size_t j = 0; j < chain->now.n; j++)
            chain->now.entries[j]->kept = false;
    }
}

void firewall_abandoned(struct pcn_cube *cube)
{
    struct firewall *firewall = pcn_cube_state(cube);

    if (firewall->reloaded)
        pcn_cube_discard(firewall->cube);
    firewall->reloaded = false;
    firewall->renewing = false;
    firewall->options_changing = false;
    if (firewall->sets_changing)
        firewall_sets_settle(&firewall->sets, false);
    firewall->sets_changing = false;
    for (int i = 0; i < FIREWALL_CHAIN_MAX; i++) {
        struct firewall_chain_state *chain = &firewall->chains[i];

        if (!chain->changing)
            continue;
        HASH_CLEAR(hh, chain->gone);
        firewall_array_done(&chain->array);
        slots_put(firewall, &chain->next);
        plan_spare(chain, &chain->next);
        firewall_rules_done(&chain->next);
        chain->changing = false;
    }
}

/* ---- devices ---- */

/* Compiles the chain again, as a transaction would. */
static void chain_again(struct firewall *firewall, struct firewall_chain_state *chain)
{
    struct pcn_error error = {};
    int r;

    r = firewall_chain_change(chain);
    if (r >= 0)
        r = firewall_prepared(firewall->cube, &error);
    if (r < 0)
        pcn_cube_log(firewall->cube, PCN_LOG_ERR, "the rules do not follow the devices: %s",
                     error.message[0] ? error.message : strerror(-r));
    else
        firewall_applied(firewall->cube);
}

static void chain_follow(struct firewall *firewall, enum firewall_direction number, const struct pcn_event *event)
{
    struct firewall_chain_state *chain = &firewall->chains[number];
    struct firewall_interfaces *interfaces = &chain->now.interfaces;
    char out[IFNAMSIZ] = "";
    int r;

    (void)pcn_cube_parent_netdev(firewall->cube, out);
    if (interfaces->uses_out && !pcn_streq(out, interfaces->out)) {
        chain_again(firewall, chain);
        return;
    }
    if (event && !firewall_interfaces_have(interfaces, event->device, event->ifindex))
        return;
    if (!firewall_interfaces_resolve(interfaces, firewall->cube))
        return;
    r = firewall_plan_interfaces(chain->now.plan, interfaces->ifindexes, interfaces->n);
    if (r >= 0)
        r = firewall_plan_write(chain->now.plan, number, &firewall->memory);
    if (r < 0)
        pcn_cube_log(firewall->cube, PCN_LOG_ERR, "the rules do not follow the devices: %s", strerror(-r));
}

void firewall_devices_follow(struct firewall *firewall, const struct pcn_event *event)
{
    bool changing = firewall_is_changing(firewall);

    /* A transaction has the next array: the tick is soon enough. */
    for (int i = 0; i < FIREWALL_CHAIN_MAX && !changing; i++)
        chain_follow(firewall, (enum firewall_direction)i, event);
}

int firewall_dry_run(struct firewall *firewall, enum firewall_direction chain, const uint8_t *frame, size_t size,
                     struct firewall_explained *ret_explained, struct pcn_error *error)
{
    struct firewall_data *data = firewall->memory.data;
    int r;

    memcpy(firewall->used, firewall->memory.used, sizeof(firewall->used));
    firewall->n_pages = firewall->memory.n_pages;
    firewall->n_counters = firewall->memory.counters;
    data->explained = (struct firewall_explained){};
    r = pcn_cube_dry_run(firewall->cube, chain == FIREWALL_EGRESS ? PCN_EGRESS : PCN_INGRESS, frame, size, error);
    if (r >= 0)
        *ret_explained = data->explained;
    return r;
}
