/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_compile_private.h"

struct firewall_plan {
    struct firewall_store store;
    struct firewall_bank bank;
    struct firewall_plan_sizes sizes;
    struct firewall_fields *fields;          /* NULL: it is not known what the rules want of them */
    uint64_t signatures[FIREWALL_FIELD_MAX]; /* of what the tables were made of; 0: there is none */
    struct firewall_address addresses[FIREWALL_DESTINATION6 + 1]; /* by enum firewall_field_kind */
    uint32_t interfaces[FIREWALL_CLASSES];                        /* words, by class */
    uint32_t pages_anew; /* when all was made anew: what is more may be left over */
};

/* So many pages may be left over of plans that this one was. */
#define PLAN_LEFT_OVER(pages_) ((pages_) / 2 + 64)

/* As a signature: the table is as the field is, which was followed rule by rule. */
#define PLAN_FOLLOWED 2

static const uint32_t field_uses[FIREWALL_FIELD_MAX] = {
    [FIREWALL_SOURCE4] = FIREWALL_USES_SOURCE,
    [FIREWALL_DESTINATION4] = FIREWALL_USES_DESTINATION,
    [FIREWALL_SOURCE6] = FIREWALL_USES_SOURCE,
    [FIREWALL_DESTINATION6] = FIREWALL_USES_DESTINATION,
    [FIREWALL_SOURCE_PORT] = FIREWALL_USES_SOURCE_PORT,
    [FIREWALL_DESTINATION_PORT] = FIREWALL_USES_DESTINATION_PORT,
    [FIREWALL_ICMP] = FIREWALL_USES_ICMP,
    [FIREWALL_ICMPV6] = FIREWALL_USES_ICMP,
    [FIREWALL_PROTOCOL] = FIREWALL_USES_PROTOCOL,
    [FIREWALL_TCP_FLAGS] = FIREWALL_USES_TCP_FLAGS,
    [FIREWALL_DSCP] = FIREWALL_USES_DSCP,
    [FIREWALL_STATE] = FIREWALL_USES_STATE,
    [FIREWALL_INTERFACE] = FIREWALL_USES_INTERFACE,
};

static void segments_done(struct firewall_segments *segments)
{
    free(segments->items);
}

static int plan_table(struct firewall_plan *plan, enum firewall_field_kind kind,
                      const struct firewall_segments *segments)
{
    struct firewall_store *store = &plan->store;
    struct firewall_bank *bank = &plan->bank;

    switch (kind) {
    case FIREWALL_SOURCE4:
        return firewall_table_build(store, segments, 32, &bank->source_root);
    case FIREWALL_DESTINATION4:
        return firewall_table_build(store, segments, 32, &bank->destination_root);
    case FIREWALL_SOURCE6:
        return firewall_trie128_build(store, segments, &bank->source6);
    case FIREWALL_DESTINATION6:
        return firewall_trie128_build(store, segments, &bank->destination6);
    case FIREWALL_SOURCE_PORT:
        return firewall_table_build(store, segments, 16, &bank->source_ports);
    case FIREWALL_DESTINATION_PORT:
        return firewall_table_build(store, segments, 16, &bank->destination_ports);
    case FIREWALL_ICMP:
        return firewall_trie16_build(store, segments, &bank->icmp);
    case FIREWALL_ICMPV6:
        return firewall_trie16_build(store, segments, &bank->icmpv6);
    case FIREWALL_PROTOCOL:
        firewall_small_fill(segments, bank->protocol, FIREWALL_PROTOCOLS);
        return 0;
    case FIREWALL_TCP_FLAGS:
        firewall_small_fill(segments, bank->tcp_flags, PCN_ARRAY_SIZE(bank->tcp_flags));
        return 0;
    case FIREWALL_DSCP:
        firewall_small_fill(segments, bank->dscp, PCN_ARRAY_SIZE(bank->dscp));
        return 0;
    case FIREWALL_INTERFACE:
        firewall_small_fill(segments, plan->interfaces, FIREWALL_CLASSES);
        return 0;
    default:
        firewall_small_fill(segments, bank->state, PCN_ARRAY_SIZE(bank->state));
        return 0;
    }
}

/* What its values leave, in *ret_segments. */
static int plan_sweep(struct firewall_plan *plan, const struct firewall_field *field, enum firewall_field_kind kind,
                      struct firewall_segments *segments)
{
    int r = firewall_sweep(field, &plan->store, segments);

    if (kind <= FIREWALL_DESTINATION6)
        memcpy(plan->addresses[kind].any, field->any, sizeof(field->any));
    return r;
}

/* Whether its table is as the field is. *signature: what is to be kept once it is. */
static bool field_is_made(const struct firewall_plan *plan, enum firewall_field_kind kind, uint32_t changed,
                          uint64_t *signature)
{
    *signature = PLAN_FOLLOWED;
    if (changed != FIREWALL_FIELDS_ANEW)
        return plan->signatures[kind] && !(changed >> kind & 1);
    *signature = firewall_field_signature(&plan->fields->items[kind]);
    return *signature == plan->signatures[kind];
}

/* Of addresses: what their tables are made of. changed: see firewall_fields_follow(). *ret_made: bits by kind. */
static int plan_field(struct firewall_plan *plan, enum firewall_field_kind kind, uint32_t changed, uint32_t *ret_made)
{
    _cleanup_(segments_done) struct firewall_segments own = {};
    struct firewall_segments *segments = kind <= FIREWALL_DESTINATION6 ? &plan->addresses[kind].segments : &own;
    const struct firewall_field *field = &plan->fields->items[kind];
    uint64_t signature;
    int r;

    if (field->n_given)
        plan->sizes.used |= field_uses[kind];
    if (field_is_made(plan, kind, changed, &signature))
        return 0;
    plan->signatures[kind] = 0;
    r = plan_sweep(plan, field, kind, segments);
    if (r >= 0 && segments == &own)
        r = plan_table(plan, kind, segments);
    if (r < 0)
        return r;
    plan->signatures[kind] = signature;
    *ret_made |= 1u << kind;
    return 0;
}

/* The tables of a family, as one field or as two. */
static int plan_addresses(struct firewall_plan *plan, uint32_t n, enum firewall_field_kind source,
                          enum firewall_field_kind destination)
{
    _cleanup_(segments_done) struct firewall_segments rows = {}, columns = {};
    const struct firewall_address *addresses = plan->addresses;
    struct firewall_cross *cross = &plan->bank.cross[source == FIREWALL_SOURCE6];
    int r;

    r = firewall_cross_build(&plan->store, n, &addresses[source], &addresses[destination], cross, &rows, &columns);
    if (r < 0 && r != -E2BIG)
        return r;
    if (r == -E2BIG)
        *cross = (struct firewall_cross){};
    r = plan_table(plan, source, cross->n ? &rows : &addresses[source].segments);
    return r < 0 ? r : plan_table(plan, destination, cross->n ? &columns : &addresses[destination].segments);
}

static int plan_fields(struct firewall_plan *plan, const struct firewall_rule *rules, uint32_t n)
{
    uint32_t changed, made = 0;
    int r;

    if (!plan->fields)
        plan->fields = calloc(1, sizeof(*plan->fields));
    if (!plan->fields)
        return -ENOMEM;
    r = firewall_fields_follow(plan->fields, rules, n, &changed);
    for (int kind = 0; kind < FIREWALL_FIELD_MAX && r >= 0; kind++)
        r = plan_field(plan, (enum firewall_field_kind)kind, changed, &made);
    for (int kind = FIREWALL_SOURCE4; kind <= FIREWALL_SOURCE6 && r >= 0; kind += FIREWALL_SOURCE6 - FIREWALL_SOURCE4) {
        if (made >> kind & 3)
            r = plan_addresses(plan, n, (enum firewall_field_kind)kind, (enum firewall_field_kind)(kind + 1));
    }
    return r;
}

static struct firewall_verdict verdict_of(const struct firewall_rule *rule)
{
    return (struct firewall_verdict){
        .id = rule->id, .counter = rule->counter, .rate = rule->rate, .action = rule->action, .burst = rule->burst};
}

static int plan_verdicts(struct firewall_plan *plan, const struct firewall_rule *rules, uint32_t n,
                         const struct firewall_rule *fallback)
{
    struct firewall_verdict *verdicts;
    uint32_t page = plan->bank.verdicts / LBVS_PAGE_BLOCKS;
    int r = 0;

    if (!plan->bank.verdicts)
        r = firewall_store_pages(&plan->store, (n + LBVS_PAGE_BLOCKS - 1) / LBVS_PAGE_BLOCKS, &page);
    if (r < 0)
        return r;
    verdicts = (struct firewall_verdict *)(void *)plan->store.pages[page].bytes;
    for (uint32_t i = 0; i < n; i++) {
        verdicts[i] = verdict_of(&rules[i]);
        plan->sizes.counters = PCN_MAX(plan->sizes.counters, rules[i].counter + 1);
        if (rules[i].rate || rules[i].action == FIREWALL_LOG)
            plan->sizes.used |= FIREWALL_USES_CONTINUE;
    }
    plan->bank.verdicts = page * LBVS_PAGE_BLOCKS;
    plan->bank.fallback = verdict_of(fallback);
    plan->sizes.counters = PCN_MAX(plan->sizes.counters, fallback->counter + 1);
    return 0;
}

/* Where a packet has no ICMP message, this field leaves all rules. */
static int plan_all(struct firewall_plan *plan, uint32_t n)
{
    uint64_t bits[LBVS_RULES_MAX / 64] = {};

    for (uint32_t i = 0; i < n; i++)
        firewall_bit_set(bits, i);
    return firewall_store_bits(&plan->store, bits, &plan->bank.all);
}

/* A plan for as many rules, of which none is found by hash: what has not changed can stay as it is. */
static bool plan_goes_on(const struct firewall_plan *plan, uint32_t n, const struct firewall_lead *lead)
{
    return plan->pages_anew && plan->sizes.rules == n && !lead->n && !plan->sizes.lead &&
           plan->store.n_pages <= plan->pages_anew + PLAN_LEFT_OVER(plan->pages_anew);
}

static int plan_begin(struct firewall_plan *plan, uint32_t rest)
{
    int r;

    memset(plan->signatures, 0, sizeof(plan->signatures));
    plan->bank = (struct firewall_bank){};
    plan->pages_anew = 0;
    r = firewall_store_init(&plan->store, rest);
    return r < 0 ? r : plan_all(plan, rest);
}

static int plan_build(struct firewall_plan *plan, const struct firewall_rule *rules, uint32_t n,
                      const struct firewall_rule *fallback, struct firewall_lead lead)
{
    uint32_t rest = n - lead.n;
    bool goes_on = plan_goes_on(plan, n, &lead);
    int r;

    plan->sizes = (struct firewall_plan_sizes){.rules = n, .lead = lead.n};
    r = goes_on ? 0 : plan_begin(plan, rest);
    if (r >= 0)
        r = plan_verdicts(plan, rules, n, fallback);
    if (r >= 0 && lead.n)
        r = firewall_lead_build(&plan->store, rules, &lead);
    if (r >= 0)
        r = plan_fields(plan, rules + lead.n, rest);
    if (r < 0)
        return r;
    plan->bank.lead = lead;
    if (lead.n)
        plan->sizes.used |= FIREWALL_USES_LEAD;
    if (rest)
        plan->sizes.used |= FIREWALL_USES_RULES;
    if ((plan->bank.source6 | plan->bank.destination6) & LBVS_WORD_NODE)
        plan->sizes.used |= FIREWALL_USES_PREFIX6;
    if (!goes_on)
        plan->pages_anew = plan->store.n_pages;
    return 0;
}

int firewall_plan_new(const struct firewall_rule *rules, size_t n, const struct firewall_rule *fallback,
                      struct firewall_plan **ret_plan)
{
    _cleanup_(firewall_plan_freep) struct firewall_plan *plan = TAKE_PTR(*ret_plan);
    struct firewall_lead lead;
    int r;

    if (n > FIREWALL_RULES_MAX)
        return -E2BIG;
    if (!plan)
        plan = calloc(1, sizeof(*plan));
    if (!plan)
        return -ENOMEM;
    lead = firewall_lead_find(rules, (uint32_t)n);
    r = plan_build(plan, rules, (uint32_t)n, fallback, lead);
    if (r == -EAGAIN)
        r = plan_build(plan, rules, (uint32_t)n, fallback, (struct firewall_lead){});
    if (r >= 0)
        r = firewall_plan_interfaces(plan, NULL, 0);
    if (r < 0)
        return r;
    plan->bank.n_rules = (uint32_t)n;
    plan->bank.n_blocks = plan->store.n_blocks;
    plan->bank.n_pages = plan->sizes.pages = plan->store.n_pages;
    plan->sizes.vectors = plan->store.vectors.n;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(plan->bank.cross); i++)
        plan->sizes.pairs += plan->bank.cross[i].sources / 2 - plan->bank.cross[i].pairs;
    plan->sizes.chunks = plan->store.chunks.n;
    plan->sizes.nodes = plan->store.n_lines;
    *ret_plan = TAKE_PTR(plan);
    return 0;
}

int firewall_plan_interfaces(struct firewall_plan *plan, const uint32_t *ifindexes, uint32_t n)
{
    return firewall_interfaces_build(plan->interfaces, ifindexes, n, &plan->bank);
}

void firewall_plan_forget(struct firewall_plan *plan)
{
    if (plan->fields)
        firewall_fields_done(plan->fields);
    pcn_freep(&plan->fields);
}

void firewall_plan_freep(struct firewall_plan **plan)
{
    if (!*plan)
        return;
    firewall_store_done(&(*plan)->store);
    firewall_plan_forget(*plan);
    for (size_t i = 0; i < PCN_ARRAY_SIZE((*plan)->addresses); i++)
        segments_done(&(*plan)->addresses[i].segments);
    pcn_freep(plan);
}

struct firewall_plan_sizes firewall_plan_sizes(const struct firewall_plan *plan)
{
    return plan->sizes;
}

/* ---- into the maps ---- */

static const struct firewall_bank *bank_in_force(const struct firewall_memory *memory, uint32_t chain)
{
    return &memory->data->banks[chain][memory->data->generation[chain] & 1];
}

/* First fit between the pages of the plans in force: one a chain. */
static int arena_place(const struct firewall_memory *memory, uint32_t n, uint32_t *ret_first)
{
    const struct firewall_bank *a = bank_in_force(memory, FIREWALL_INGRESS);
    const struct firewall_bank *b = bank_in_force(memory, FIREWALL_EGRESS);
    const struct firewall_bank *lower = a->first <= b->first ? a : b, *upper = lower == a ? b : a;
    /* The upper one may be empty, and begin where the lower one does. */
    const uint32_t end = PCN_MAX(lower->first + lower->n_pages, upper->first + upper->n_pages);
    const uint32_t starts[] = {0, lower->first + lower->n_pages, end};
    const uint32_t ends[] = {lower->n_pages ? lower->first : upper->first, upper->first, memory->n_pages};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(starts); i++) {
        if (starts[i] <= ends[i] && ends[i] - starts[i] >= n) {
            *ret_first = starts[i];
            return 0;
        }
    }
    return -ENOSPC;
}

int firewall_plan_write(const struct firewall_plan *plan, enum firewall_direction chain,
                        const struct firewall_memory *memory)
{
    struct firewall_data *data = memory->data;
    uint32_t generation = data->generation[chain] + 1, first;
    struct firewall_bank *bank = &data->banks[chain][generation & 1];
    int r;

    if (plan->sizes.used & ~memory->used[chain])
        return -EOPNOTSUPP;
    if (plan->sizes.counters > memory->counters)
        return -ENOSPC;
    r = arena_place(memory, plan->store.n_pages, &first);
    if (r < 0)
        return r;
    /* Nothing is overwritten before it is said. */
    __atomic_store_n(&data->writing[chain], generation, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(&memory->pages[first], plan->store.pages, (size_t)plan->store.n_pages * LBVS_PAGE);
    *bank = plan->bank;
    bank->first = first;
    bank->used = plan->sizes.used;
    __atomic_store_n(&data->generation[chain], generation, __ATOMIC_RELEASE);
    return 0;
}

/* Two plans in force may leave three gaps. */
uint32_t firewall_plan_room(uint32_t ingress_pages, uint32_t egress_pages)
{
    return ingress_pages + egress_pages + 3 * PCN_MAX(ingress_pages, egress_pages);
}

struct firewall_settings firewall_settings_for(uint32_t used, const struct firewall_sizes *sizes, uint32_t hz)
{
    return (struct firewall_settings){
        .source = !!(used & FIREWALL_USES_SOURCE),
        .destination = !!(used & FIREWALL_USES_DESTINATION),
        .protocol = !!(used & FIREWALL_USES_PROTOCOL),
        .source_port = !!(used & FIREWALL_USES_SOURCE_PORT),
        .destination_port = !!(used & FIREWALL_USES_DESTINATION_PORT),
        .tcp_flags = !!(used & FIREWALL_USES_TCP_FLAGS),
        .icmp = !!(used & FIREWALL_USES_ICMP),
        .dscp = !!(used & FIREWALL_USES_DSCP),
        .state = !!(used & FIREWALL_USES_STATE),
        .interface = !!(used & FIREWALL_USES_INTERFACE),
        .go_on = !!(used & FIREWALL_USES_CONTINUE),
        .tracking = !!(used & FIREWALL_USES_TRACKING),
        .lead = !!(used & FIREWALL_USES_LEAD),
        .prefix6 = !!(used & FIREWALL_USES_PREFIX6),
        .rules = !!(used & FIREWALL_USES_RULES),
        .n_pages = sizes->pages,
        .n_words = sizes->pages * LBVS_PAGE_WORDS,
        .n_counters = sizes->cpus * sizes->counters,
        .counters_stride = sizes->counters,
        .hz = hz,
        .used = used,
    };
}
