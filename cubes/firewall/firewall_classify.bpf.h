/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Finds the rule that decides about a packet: see firewall_maps.h for the
 * tables, pcn/lbvs.bpf.h for the search.
 */
#pragma once
#include "firewall_lead.bpf.h"
#include <pcn/cube.bpf.h>
#include <pcn/parse.bpf.h>

union lbvs_page firewall_arena[PCN_TRIMMED(FIREWALL_PAGES_MAX, union lbvs_page)] SEC(FIREWALL_ARENA);
struct firewall_counter
    firewall_counters[PCN_TRIMMED(FIREWALL_COUNTERS_MAX, struct firewall_counter)] SEC(FIREWALL_COUNTERS);

const volatile struct firewall_settings firewall_settings = {};
struct firewall_data firewall_data SEC(FIREWALL_DATA) = {};

/* For the functions of lbvs.bpf.h: their arena, and where it ends. */
#define FIREWALL_PAGES firewall_arena, firewall_settings.n_pages
#define FIREWALL_WORDS firewall_arena, firewall_settings.n_words
#define FIREWALL_PAIRS (firewall_settings.source && firewall_settings.destination)

PCN_INLINE struct firewall_counter *firewall_counter_at(__u64 index)
{
    if (index >= firewall_settings.n_counters)
        return NULL;
    PCN_OPAQUE(index);
    return &firewall_counters[index];
}

/* The rule that matched, or FIREWALL_NONE and what the default says. */
struct firewall_match {
    __u32 rule;
    struct firewall_verdict verdict;
};

/* Words of the packet's fields, those that are used; 0: no rule matches it. And where to search. */
struct firewall_query {
    __u32 first, n_blocks, from;
    __u32 source, destination, protocol, source_port, destination_port;
    __u32 tcp_flags, icmp, dscp, state, interface;
    __u32 row, column; /* see struct firewall_cross */
};

/* The vectors that the words lead to. All NULL: a field that is not used, as the verifier can tell. */
struct firewall_vectors {
    struct lbvs_vector source, destination, protocol, source_port, destination_port;
    struct lbvs_vector tcp_flags, icmp, dscp, state, interface;
};

/* IPv6: words of source and destination. A global function: the verifier looks at its loops once. */
__noinline __u64 firewall_find6(const struct pcn_packet *packet, __u32 first, __u32 source, __u32 destination)
{
    __u64 high, low;

    if (!packet)
        return 0;
    if (source & LBVS_WORD_NODE) {
        high = bpf_be64_to_cpu(pcn_address_word(&packet->source, 0));
        low = bpf_be64_to_cpu(pcn_address_word(&packet->source, 1));
        source = lbvs_walk6(FIREWALL_PAGES, first, source, high, low);
    }
    if (destination & LBVS_WORD_NODE) {
        high = bpf_be64_to_cpu(pcn_address_word(&packet->destination, 0));
        low = bpf_be64_to_cpu(pcn_address_word(&packet->destination, 1));
        destination = lbvs_walk6(FIREWALL_PAGES, first, destination, high, low);
    }
    return (__u64)destination << 32 | source;
}

PCN_INLINE __u32 firewall_table(const struct firewall_table *table, __u32 first, __u32 value)
{
    return lbvs_word(FIREWALL_WORDS, first, table->index + (value & table->mask));
}

PCN_INLINE __u32 firewall_find4(const struct firewall_table *root, __u32 first, __u32 address)
{
    __u32 host = bpf_ntohl(address);

    return lbvs_walk(FIREWALL_WORDS, first, firewall_table(root, first, host >> 16), host);
}

/* Word of the packet's ICMP type and code. Where it has none, the protocol decides: all rules. */
PCN_INLINE __u32 firewall_icmp(const struct firewall_bank *bank, const struct pcn_packet *packet)
{
    __u32 type = packet->icmp_type << 8 | packet->icmp_code;

    if (packet->l4_protocol == IPPROTO_ICMP)
        return lbvs_walk(FIREWALL_WORDS, bank->first, bank->icmp, type);
    if (packet->l4_protocol == IPPROTO_ICMPV6)
        return lbvs_walk(FIREWALL_WORDS, bank->first, bank->icmpv6, type);
    return bank->all;
}

/* ifindex of the device by which the packet came to the host; 0: the host's own, or the daemon gave it back. */
PCN_INLINE __u32 firewall_came_by(const struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    if (pcn_identity.dry_run)
        return PCN_READ_ONCE(firewall_data.explain_ifindex);
    /* The context has the daemon's own device there. */
    if (packet->flags & PCN_PACKET_REINJECTED)
        return 0;
    return ctx->ingress_ifindex;
}

PCN_INLINE __u32 firewall_interface(const struct firewall_bank *bank, __u32 ifindex)
{
    __u32 at = firewall_interface_hash(ifindex, bank->interface_multiplier) & (FIREWALL_INTERFACE_SLOTS - 1);
    const struct firewall_interface_slot *slot = &bank->interfaces[at];

    return slot->ifindex == ifindex ? slot->word : bank->interface_other;
}

#define FIREWALL_WORD(field_, word_)                                                                                   \
    if (firewall_settings.field_)                                                                                      \
        query->field_ = word_;

PCN_INLINE void firewall_look_up(const struct pcn_ctx *ctx, const struct firewall_bank *bank,
                                 const struct pcn_packet *packet, struct firewall_query *query)
{
    __u32 first = bank->first, kind = packet->l4_protocol;

    if (packet->fragment == PCN_FRAGMENT_LATER)
        kind |= FIREWALL_PROTOCOL_LATER;
    if (packet->ip_version == 6) {
        kind |= FIREWALL_PROTOCOL_V6;
        FIREWALL_WORD(source, bank->source6)
        FIREWALL_WORD(destination, bank->destination6)
        if (firewall_settings.prefix6) {
            __u64 words = firewall_find6(packet, first, bank->source6, bank->destination6);

            query->source = words;
            query->destination = words >> 32;
        }
    } else {
        FIREWALL_WORD(source, firewall_find4(&bank->source_root, first, packet->source.v4))
        FIREWALL_WORD(destination, firewall_find4(&bank->destination_root, first, packet->destination.v4))
    }
    FIREWALL_WORD(protocol, bank->protocol[kind & (FIREWALL_PROTOCOLS - 1)])
    FIREWALL_WORD(source_port, firewall_table(&bank->source_ports, first, bpf_ntohs(packet->source_port)))
    FIREWALL_WORD(destination_port,
                  firewall_table(&bank->destination_ports, first, bpf_ntohs(packet->destination_port)))
    FIREWALL_WORD(tcp_flags, bank->tcp_flags[packet->tcp_flags])
    FIREWALL_WORD(icmp, firewall_icmp(bank, packet))
    FIREWALL_WORD(dscp, bank->dscp[packet->dscp & 63])
    FIREWALL_WORD(
        state, bank->state[(packet->ct_state << FIREWALL_STATE_SHIFT | (packet->fragment & 3)) & (FIREWALL_STATES - 1)])
    FIREWALL_WORD(interface, firewall_interface(bank, firewall_came_by(ctx, packet)))
}

/* The two words of the pair of addresses that was looked up, the first one below. */
PCN_INLINE __u64 firewall_pair(const struct firewall_cross *cross, struct firewall_query *query)
{
    query->row = query->source;
    query->column = query->destination;
    return lbvs_word_pair(FIREWALL_WORDS, query->first, cross->pairs + query->row * cross->columns + query->column);
}

/* The words of their own vectors. */
PCN_INLINE void firewall_unpair(const struct firewall_cross *cross, struct firewall_query *query)
{
    query->source = lbvs_word(FIREWALL_WORDS, query->first, cross->sources + query->row);
    query->destination = lbvs_word(FIREWALL_WORDS, query->first, cross->destinations + query->column);
}

#define FIREWALL_EACH(X)                                                                                               \
    X(source)                                                                                                          \
    X(destination)                                                                                                     \
    FIREWALL_OTHERS(X)
#define FIREWALL_OTHERS(X)                                                                                             \
    X(protocol)                                                                                                        \
    X(source_port)                                                                                                     \
    X(destination_port)                                                                                                \
    X(tcp_flags)                                                                                                       \
    X(icmp)                                                                                                            \
    X(dscp)                                                                                                            \
    X(state)                                                                                                           \
    X(interface)

#define FIREWALL_TAKE_VECTOR(field_)                                                                                   \
    if (firewall_settings.field_) {                                                                                    \
        vectors.field_ = lbvs_vector(FIREWALL_PAGES, first, query->field_);                                            \
        if (!vectors.field_.blocks)                                                                                    \
            return FIREWALL_NONE;                                                                                      \
    }
#define FIREWALL_AND_SUMMARY(field_)                                                                                   \
    if (vectors->field_.blocks)                                                                                        \
        bits &= vectors->field_.blocks[at].summary;
#define FIREWALL_AND_GROUP(field_)                                                                                     \
    if (vectors->field_.blocks)                                                                                        \
        bits &= vectors->field_.page->groups[(vectors->field_.blocks[at].chunk + group) % LBVS_PAGE_GROUPS];

/* Bits of the rules from number `from` on; `rule` is that of the first bit. */
PCN_INLINE __u64 firewall_from(__u64 bits, __u32 rule, __u32 from)
{
    if (pcn_likely(rule >= from))
        return bits;
    return from - rule < LBVS_GROUP_RULES ? bits & ~0ull << (from - rule) : 0;
}

PCN_INLINE __u64 firewall_summary(const struct firewall_vectors *vectors, __u32 at)
{
    __u64 bits = ~0ull;

    FIREWALL_EACH(FIREWALL_AND_SUMMARY)
    return bits;
}

PCN_INLINE __u64 firewall_group(const struct firewall_vectors *vectors, __u32 at, __u32 group)
{
    __u64 bits = 0xffff;

    FIREWALL_EACH(FIREWALL_AND_GROUP)
    return bits;
}

#define FIREWALL_NARROW(field_)                                                                                        \
    if (firewall_settings.field_) {                                                                                    \
        if (query->field_ & LBVS_WORD_GROUP)                                                                           \
            narrow = query->field_;                                                                                    \
        PCN_FORGET(narrow, query->first);                                                                              \
    }
#define FIREWALL_AND_WORD(field_)                                                                                      \
    if (firewall_settings.field_) {                                                                                    \
        bits &= lbvs_group(FIREWALL_PAGES, query->first, query->field_, narrow);                                       \
        if (!bits)                                                                                                     \
            return FIREWALL_NONE;                                                                                      \
        PCN_FORGET(bits, narrow);                                                                                      \
    }

/* The first of a group's rules. narrow: a word that has the group. */
PCN_INLINE __u32 firewall_first_of(const struct firewall_query *query, __u64 narrow, __u64 bits)
{
    __u32 rule = (narrow >> LBVS_WORD_GROUP_AT & (LBVS_RULES_MAX / LBVS_GROUP_RULES - 1)) * LBVS_GROUP_RULES;

    bits = firewall_from(bits, rule, query->from);
    return bits ? rule + lbvs_lowest(bits) : FIREWALL_NONE;
}

/* A field whose word has all of its bits leaves one group. */
PCN_INLINE __u32 firewall_find_in(const struct firewall_query *query, __u64 narrow)
{
    __u64 bits = LBVS_WORD_BITS;

    FIREWALL_EACH(FIREWALL_AND_WORD)
    return firewall_first_of(query, narrow, bits);
}

/* The same of a group that source and destination leave. */
PCN_INLINE __u32 firewall_find_of_pair(const struct firewall_query *query, __u64 narrow)
{
    __u64 bits = narrow & LBVS_WORD_BITS;

    FIREWALL_OTHERS(FIREWALL_AND_WORD)
    return firewall_first_of(query, narrow, bits);
}

__noinline __u32 firewall_find_group(const struct firewall_query *query, __u32 word)
{
    return query ? firewall_find_of_pair(query, word) : FIREWALL_NONE;
}

/* What a pair of addresses leaves behind its first group: another one, or a list. Global functions: seldom is there more. */
__noinline __u32 firewall_find_more(const struct firewall_query *query, __u32 more)
{
    __u32 at = (more & LBVS_WORD_LINE) * LBVS_LINE_WORDS, rule = FIREWALL_NONE;

    if (!query)
        return FIREWALL_NONE;
    if (more & LBVS_WORD_GROUP)
        return firewall_find_group(query, more);
#pragma clang loop unroll(disable)
    for (int i = 0; i < LBVS_LINE_WORDS && rule == FIREWALL_NONE; i++) {
        __u64 word = lbvs_word(FIREWALL_WORDS, query->first, at + i);

        if (!word)
            break;
        rule = firewall_find_group(query, word);
        PCN_FORGET(rule, at);
    }
    return rule;
}

#define FIREWALL_LOST (FIREWALL_NONE - 1) /* as a rule: the search went on too often */

/* Blocks and groups that one call of firewall_search() looks at; and calls, so that all can be. */
#define FIREWALL_SEARCH_STEPS 8
#define FIREWALL_SEARCH_CALLS ((LBVS_BLOCKS_MAX * (1 + LBVS_BLOCK_GROUPS)) / (FIREWALL_SEARCH_STEPS - 1) + 2)
#define FIREWALL_SEARCH_SOME 16   /* of these calls, in one of firewall_find_some() */
#define FIREWALL_MORE 0x80000000u /* | rule: no one before it */

/*
 * First rule from query->from on that all vectors have; FIREWALL_NONE; FIREWALL_MORE. A
 * global function, and one loop, not two: the verifier walks it once.
 */
__noinline __u32 firewall_search(struct firewall_query *query)
{
    struct firewall_vectors vectors = {};
    __u32 first, at, n_blocks, rule;
    __u64 groups, narrow = 0;

    if (!query)
        return FIREWALL_NONE;
    first = query->first;
    FIREWALL_EACH(FIREWALL_NARROW)
    if (narrow)
        return firewall_find_in(query, narrow);
    n_blocks = query->n_blocks;
    at = query->from / LBVS_BLOCK_RULES;
    if (at >= n_blocks)
        return FIREWALL_NONE;
    at &= LBVS_BLOCKS_MAX - 1;
    FIREWALL_EACH(FIREWALL_TAKE_VECTOR)
    groups = firewall_summary(&vectors, at);
    groups &= ~0ull << (query->from / LBVS_GROUP_RULES % LBVS_BLOCK_GROUPS);
#pragma clang loop unroll(disable)
    for (int i = 0; i < FIREWALL_SEARCH_STEPS; i++) {
        __u64 bits;
        __u32 group;

        PCN_FORGET(groups, first);
        if (!groups) {
            if (at + 1 >= n_blocks)
                return FIREWALL_NONE;
            /* The mask tells the verifier that all rounds are alike. */
            at = (at + 1) & (LBVS_BLOCKS_MAX - 1);
            groups = firewall_summary(&vectors, at);
            if (!groups)
                continue;
        }
        PCN_FORGET(groups, first);
        group = lbvs_lowest(groups);
        rule = at * LBVS_BLOCK_RULES + group * LBVS_GROUP_RULES;
        bits = firewall_from(firewall_group(&vectors, at, group), rule, query->from);
        if (bits)
            return rule + lbvs_lowest(bits);
        groups &= groups - 1;
    }
    rule = groups ? at * LBVS_BLOCK_RULES + lbvs_lowest(groups) * LBVS_GROUP_RULES : (at + 1) * LBVS_BLOCK_RULES;
    return FIREWALL_MORE | rule;
}

/* A part of it, from rule `from` on, as firewall_search() says. */
__noinline __u32 firewall_find_some(struct firewall_query *query, __u32 from)
{
    __u32 rule = from | FIREWALL_MORE;

    if (!query)
        return FIREWALL_NONE;
#pragma clang loop unroll(disable)
    for (int i = 0; i < FIREWALL_SEARCH_SOME && rule != FIREWALL_NONE && rule & FIREWALL_MORE; i++) {
        query->from = rule & ~FIREWALL_MORE;
        rule = firewall_search(query);
    }
    return rule;
}

/* All of it. Global functions: most searches end with their first call, and the verifier goes once through each. */
__noinline __u32 firewall_find_from(struct firewall_query *query, __u32 from)
{
    __u32 rule = from | FIREWALL_MORE;

    if (!query)
        return FIREWALL_NONE;
#pragma clang loop unroll(disable)
    for (int i = 0; i < FIREWALL_SEARCH_CALLS && rule != FIREWALL_NONE && rule & FIREWALL_MORE;
         i += FIREWALL_SEARCH_SOME)
        rule = firewall_find_some(query, rule & ~FIREWALL_MORE);
    return rule;
}

PCN_INLINE __u32 firewall_find(struct firewall_query *query)
{
    __u32 rule = firewall_search(query);

    if (pcn_unlikely(rule != FIREWALL_NONE && rule & FIREWALL_MORE))
        return firewall_find_from(query, rule & ~FIREWALL_MORE);
    return rule;
}

/* Few rules are one group, which is looked at in place. */
PCN_INLINE __u32 firewall_find_unpaired(struct firewall_query *query)
{
    __u64 narrow = 0;

    FIREWALL_EACH(FIREWALL_NARROW)
    return narrow ? firewall_find_in(query, narrow) : firewall_find(query);
}

/* What a pair of addresses leaves, and what names neither. Inlined is what becomes of most packets. */
PCN_INLINE __u32 firewall_find_paired(const struct firewall_cross *cross, struct firewall_query *query)
{
    __u64 pair = firewall_pair(cross, query), rule = FIREWALL_NONE;
    __u32 word = pair, more = pair >> 32, from = query->from;

    query->source = query->destination = word;
    if (pcn_likely(word & LBVS_WORD_GROUP))
        rule = firewall_find_of_pair(query, word);
    else if (word)
        rule = firewall_find(query);
    PCN_FORGET(rule, query->row);
    if (pcn_unlikely(rule == FIREWALL_NONE && more))
        rule = firewall_find_more(query, more);
    if (cross->rest) {
        __u32 other;

        query->source = query->destination = cross->rest;
        query->from = from; /* a long search leaves another one */
        other = firewall_find(query);
        rule = other < rule ? other : rule;
    }
    return rule;
}

PCN_INLINE void firewall_decide(const struct firewall_bank *bank, __u32 rule, struct firewall_match *match)
{
    __u32 index = bank->verdicts + rule, number = bank->first + index / LBVS_PAGE_BLOCKS;
    const union lbvs_page *page;

    match->rule = rule;
    match->verdict = bank->fallback;
    /* Where rules name nothing, no vector says where they end. */
    if (rule >= bank->n_rules) {
        match->rule = FIREWALL_NONE;
        if (rule == FIREWALL_LOST)
            match->verdict.action = FIREWALL_LOG;
        return;
    }
    page = lbvs_page(FIREWALL_PAGES, number);
    if (page)
        match->verdict = *(const struct firewall_verdict *)&page->blocks[index % LBVS_PAGE_BLOCKS];
}

/* Counts a packet in its rule's slot, or the default's. */
PCN_INLINE void firewall_count(struct pcn_ctx *ctx, const struct firewall_match *match)
{
    __u32 index = bpf_get_smp_processor_id() * firewall_settings.counters_stride + match->verdict.counter;
    struct firewall_counter *counter = firewall_counter_at(index);

    if (!counter || pcn_identity.dry_run)
        return;
    counter->packets++;
    counter->bytes += pcn_length(ctx);
    counter->last = pcn_now();
}

/*
 * Whether the rule's rate has room for one more packet (the generic cell rate algorithm, ITU-T I.371): each
 * takes its share of a second, and what is taken may be ahead of the clock by the burst.
 */
PCN_INLINE bool firewall_take(const struct firewall_verdict *verdict)
{
    __u64 now = pcn_now() << FIREWALL_DUE_SHIFT, share, due;
    __u32 index = verdict->counter;
    struct firewall_counter *counter = firewall_counter_at(index);

    if (!counter || !verdict->rate)
        return true;
    share = ((__u64)firewall_settings.hz << FIREWALL_DUE_SHIFT) / verdict->rate;
    due = PCN_READ_ONCE(counter->due);
    /* A dry run looks, and takes nothing. */
    if (due < now && !pcn_identity.dry_run)
        __sync_val_compare_and_swap(&counter->due, due, now);
    due = PCN_READ_ONCE(counter->due);
    if (due > now && due - now > share * verdict->burst - share)
        return false;
    if (!pcn_identity.dry_run)
        __sync_fetch_and_add(&counter->due, share);
    return true;
}

/* A copy to user space, for the log. */
__noinline int firewall_log(struct pcn_ctx *ctx, __u32 id, __u32 chain)
{
    struct pcn_packet *packet = pcn_packet_get();

    if (pcn_identity.dry_run)
        return 0;
    packet->direction = chain;
    (void)pcn_slow_path(packet, FIREWALL_SLOW_LOG, id, chain, 0);
    return pcn_copy_to_user(ctx);
}

/*
 * Whether the search goes on behind this rule: its rate is spent, or it only logs. bank: chain << 1 | its number. Global
 * functions, here and below: seldom run, and the stack of the others has no room for more.
 */
__noinline int firewall_goes_on(struct pcn_ctx *ctx, __u32 rule, __u32 bank)
{
    struct firewall_match match;

    firewall_decide(&firewall_data.banks[bank >> 1 & 1][bank & 1], rule, &match);
    if (match.rule == FIREWALL_NONE)
        return 0;
    if (!firewall_take(&match.verdict))
        return 1;
    if (match.verdict.action != FIREWALL_LOG)
        return 0;
    firewall_count(ctx, &match);
    (void)firewall_log(ctx, match.verdict.id, bank >> 1 & 1);
    return 1;
}

/*
 * From a rule that may let the search go on to the one that decides, or FIREWALL_LOST. bank: 4 for IPv6, and as above. One
 * loop for rules and calls.
 */
__noinline __u32 firewall_go_on(struct pcn_ctx *ctx, struct firewall_query *query, __u32 rule, __u32 bank)
{
    const struct firewall_bank *rules = &firewall_data.banks[bank >> 1 & 1][bank & 1];
    const struct firewall_cross *cross = &rules->cross[bank >> 2 & 1];
    __u32 lead = rules->lead.n;
    __u64 next = rule;

    if (!query)
        return FIREWALL_LOST;
    if (cross->n)
        firewall_unpair(cross, query);
#pragma clang loop unroll(disable)
    for (int i = 0; i < FIREWALL_CONTINUES_MAX + FIREWALL_SEARCH_CALLS; i++) {
        if (next == FIREWALL_NONE || !(next & FIREWALL_MORE)) {
            if (!firewall_goes_on(ctx, next, bank))
                return next;
            next += 1 - lead;
        }
        query->from = next & ~FIREWALL_MORE;
        next = firewall_search(query);
        if (!(next & FIREWALL_MORE))
            next += lead;
        PCN_FORGET(next, lead);
    }
    return FIREWALL_LOST;
}

/* By bit vectors. Only these rules may let the search go on. number: of the bank, as firewall_go_on() takes it. */
PCN_INLINE void firewall_search_all(struct pcn_ctx *ctx, const struct firewall_bank *bank,
                                    const struct pcn_packet *packet, __u32 number, struct firewall_query *query,
                                    struct firewall_match *match)
{
    const struct firewall_cross *cross = &bank->cross[packet->ip_version == 6];
    __u64 rule;

    firewall_look_up(ctx, bank, packet, query);
    if (FIREWALL_PAIRS && cross->n)
        rule = firewall_find_paired(cross, query);
    else
        rule = firewall_find_unpaired(query);
    if (firewall_settings.lead && rule < FIREWALL_LOST)
        rule += bank->lead.n;
    PCN_FORGET(rule, bank->n_rules);
    firewall_decide(bank, rule, match);
    if (firewall_settings.go_on && pcn_unlikely(match->verdict.action == FIREWALL_LOG || match->verdict.rate))
        firewall_decide(bank, firewall_go_on(ctx, query, rule, number | (packet->ip_version == 6) << 2), match);
}

/*
 * The first rule of the chain, from number `from` on, that matches the packet, which is IP and parsed; FIREWALL_NONE:
 * none, the default decides. from is 0, or behind the rules that are found by hash. A packet that meets two changes
 * of its chain, within the microsecond it takes, is dropped; so is one that meets, in the program before, rules that
 * need the next one. has_rules: false, the program is for a chain that has none.
 */
PCN_INLINE __u32 firewall_classify(struct pcn_ctx *ctx, const struct pcn_packet *packet, enum firewall_direction chain,
                                   __u32 from, bool has_rules, struct firewall_match *match)
{
    __u32 generation = PCN_READ_ONCE(firewall_data.generation[chain]);
    const struct firewall_bank *bank = &firewall_data.banks[chain][generation & 1];
    struct firewall_query query = {.first = bank->first, .n_blocks = bank->n_blocks, .from = from};
    __u64 rule = FIREWALL_NONE;

    if (has_rules && firewall_settings.lead && bank->lead.n) {
        query.from = 0;
        if (!from)
            rule = firewall_lead(FIREWALL_PAGES, bank, packet);
        else if (from > bank->lead.n)
            query.from = from - bank->lead.n;
        PCN_FORGET(rule, bank->n_rules);
    }
    if (has_rules && firewall_settings.rules && rule == FIREWALL_NONE && bank->n_blocks)
        firewall_search_all(ctx, bank, packet, chain << 1 | (generation & 1), &query, match);
    else
        firewall_decide(bank, rule, match);
    if (pcn_unlikely(PCN_READ_ONCE(firewall_data.writing[chain]) - generation > 1 ||
                     bank->used & ~firewall_settings.used)) {
        match->verdict = (struct firewall_verdict){.action = FIREWALL_DROP};
        match->rule = FIREWALL_NONE;
    }
    return match->rule;
}
