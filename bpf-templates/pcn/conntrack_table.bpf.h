/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: the table of flows, as pcn/conntrack.h lays it out: a
 * packet's key, its flow, a place for a new one.
 */
#pragma once
#include <pcn/conntrack_state.bpf.h>
#include <pcn/context.bpf.h>

/* Keys under which a flow is entered: who includes this may say more. */
#ifndef PCN_CT_KEYS
#define PCN_CT_KEYS 1
#endif
#define PCN_CT_SLOTS_MAX (PCN_CT_KEYS * PCN_CT_BUCKETS_MAX * PCN_CT_WAYS)

struct pcn_ct_bucket
    pcn_ct_buckets[PCN_TRIMMED(PCN_CT_SLOTS_MAX / PCN_CT_WAYS, struct pcn_ct_bucket)] SEC(PCN_CT_BUCKETS);
struct pcn_ct_entry pcn_ct_entries[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_entry)] SEC(PCN_CT_ENTRIES);
struct pcn_ct_traffic pcn_ct_traffic[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_traffic)] SEC(PCN_CT_TRAFFIC);

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, PCN_CT_FRAGMENTS_MAX);
    __type(key, __u32);
    __type(value, struct pcn_ct_fragment);
} pcn_ct_fragments SEC(".maps");

/* What is in .rodata the verifier knows: an index with such a mask is within its array. */
const volatile struct pcn_ct_masks pcn_ct_masks = {};
struct pcn_ct_settings pcn_ct_settings SEC(PCN_CT_SETTINGS) = {};
struct pcn_ct_statistics pcn_ct_statistics[PCN_CPUS_MAX] SEC(PCN_CT_STATISTICS) = {};

/* Between lookup and commit. */
struct pcn_ct {
    __u64 hash;
    __u64 word;      /* as it was found; 0: no flow */
    __u64 slot;      /* PCN_CT_NO_SLOT: none */
    __u64 direction; /* 0: as the flow's first packet; 1: the other one */
    __u64 next;      /* enum pcn_ct_flow: what the packet makes of the flow; 0: nothing is to be done */
};

#define PCN_CT_COUNT(field_) pcn_ct_statistics[bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1)].field_++

/* ---- the key of a packet ---- */

PCN_INLINE bool pcn_ct_is_error(__u8 protocol, __u8 type)
{
    if (protocol == IPPROTO_ICMPV6)
        return type >= 1 && type <= 4;
    return protocol == IPPROTO_ICMP && (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

/* Of an echo the first port is the id, the second 0; of a reply it is the other way round. */
PCN_INLINE enum pcn_ct_event pcn_ct_echo(__u8 protocol, __u8 type, __u16 id, __u32 *ret_ports)
{
    bool v4 = protocol == IPPROTO_ICMP;

    if (type == (v4 ? 8 : 128)) {
        *ret_ports = id;
        return PCN_CT_EVENT_ECHO;
    }
    if (type == (v4 ? 0 : 129)) {
        *ret_ports = (__u32)id << 16;
        return PCN_CT_EVENT_ECHO_REPLY;
    }
    return PCN_CT_EVENT_UNTRACKED;
}

/* ports: those of the packet, source in the lower half; in network order each, as words[4] has them. */
PCN_INLINE enum pcn_ct_event pcn_ct_event_of(const struct pcn_packet *packet, __u32 *ret_ports)
{
    __u32 ports = packet->source_port | (__u32)packet->destination_port << 16;

    if (pcn_likely(packet->l4_protocol == IPPROTO_TCP)) {
        *ret_ports = ports;
        return pcn_ct_tcp_events[packet->tcp_flags & PCN_CT_TCP_FLAGS];
    }
    if (packet->l4_protocol == IPPROTO_UDP) {
        *ret_ports = ports;
        return PCN_CT_EVENT_UDP;
    }
    if (packet->l4_protocol == IPPROTO_ICMP || packet->l4_protocol == IPPROTO_ICMPV6)
        return pcn_ct_echo(packet->l4_protocol, packet->icmp_type, packet->icmp_id, ret_ports);
    /* SCTP has ports; of others they are 0. */
    *ret_ports = ports;
    return PCN_CT_EVENT_OTHER;
}

PCN_INLINE void pcn_ct_key_of(const struct pcn_packet *packet, __u32 ports, struct pcn_ct_key *ret_key)
{
    ret_key->words[0] = *(const __u64 *)&packet->source.v6[0];
    ret_key->words[1] = *(const __u64 *)&packet->source.v6[2];
    ret_key->words[2] = *(const __u64 *)&packet->destination.v6[0];
    ret_key->words[3] = *(const __u64 *)&packet->destination.v6[2];
    ret_key->words[4] = pcn_ct_tuple(ports, packet->l4_protocol, packet->ip_version, packet->zone);
}

/* ---- the table ---- */

PCN_INLINE struct pcn_ct_bucket *pcn_ct_bucket_at(__u64 index)
{
    index &= pcn_ct_masks.bucket;
    PCN_OPAQUE(index);
    return &pcn_ct_buckets[index];
}

PCN_INLINE struct pcn_ct_entry *pcn_ct_entry_at(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return &pcn_ct_entries[slot];
}

PCN_INLINE struct pcn_ct_traffic *pcn_ct_traffic_at(__u64 slot)
{
    slot &= pcn_ct_masks.traffic;
    PCN_OPAQUE(slot);
    return &pcn_ct_traffic[slot];
}

/* The words lie one behind the other. */
PCN_INLINE __u64 *pcn_ct_word_at(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return &pcn_ct_buckets[0].words[0] + slot;
}

/* 0: the entry has the key as the flow's first packet has it. */
PCN_INLINE __u64 pcn_ct_differs(const struct pcn_ct_entry *entry, const struct pcn_ct_key *key)
{
    return (entry->key.words[0] ^ key->words[0]) | (entry->key.words[1] ^ key->words[1]) |
           (entry->key.words[2] ^ key->words[2]) | (entry->key.words[3] ^ key->words[3]) |
           (entry->key.words[4] ^ key->words[4]);
}

/* 0: as packets of the other direction have it. reverse: words[4] the other way round. */
PCN_INLINE __u64 pcn_ct_differs_reversed(const struct pcn_ct_entry *entry, const struct pcn_ct_key *key, __u64 reverse)
{
    return (entry->key.words[0] ^ key->words[2]) | (entry->key.words[1] ^ key->words[3]) |
           (entry->key.words[2] ^ key->words[0]) | (entry->key.words[3] ^ key->words[1]) |
           (entry->key.words[4] ^ reverse);
}

PCN_INLINE bool pcn_ct_find_in(__u32 index, const struct pcn_ct_key *key, __u32 now, struct pcn_ct *ct)
{
    const struct pcn_ct_bucket *bucket = pcn_ct_bucket_at(index);
    __u64 tag = pcn_ct_tag(ct->hash) << (PCN_CT_TAG_SHIFT - PCN_CT_BUSY_SHIFT), reverse = pcn_ct_reverse(key->words[4]);

#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u64 word = PCN_READ_ONCE(bucket->words[way]), same, other;
        __u32 slot = index * PCN_CT_WAYS + way;
        __u64 unlike = word >> PCN_CT_BUSY_SHIFT ^ tag; /* so that the verifier learns nothing of the tag */
        const struct pcn_ct_entry *entry;

        PCN_OPAQUE(unlike);
        if (unlike || pcn_ct_left(word, now) <= 0)
            continue;
        entry = pcn_ct_entry_at(slot);
        same = pcn_ct_differs(entry, key);
        other = pcn_ct_differs_reversed(entry, key, reverse);
        if (same && other)
            continue;
        ct->word = word;
        ct->slot = slot;
        ct->direction = (same | -same) >> 63;
        /* Here as well as behind: where the ways of a bucket meet, the verifier is to find them equal. */
        PCN_FORGET(ct->word, ct->hash);
        PCN_FORGET(ct->slot, ct->hash);
        PCN_FORGET(ct->direction, ct->hash);
        return true;
    }
    return false;
}

/* Sets all but .next. */
PCN_INLINE void pcn_ct_find(struct pcn_ct_key *key, struct pcn_ct *ct)
{
    __u32 mask = pcn_ct_masks.bucket, now = pcn_now();

    PCN_FORGET(key->words[1], now);
    PCN_FORGET(key->words[3], now);
    PCN_FORGET(key->words[4], now);
    ct->hash = pcn_ct_hash(key, pcn_ct_settings.seed);
    ct->word = 0;
    ct->slot = PCN_CT_NO_SLOT;
    ct->direction = 0;
    if (!pcn_ct_find_in(pcn_ct_bucket_of(ct->hash, 0, mask), key, now, ct))
        pcn_ct_find_in(pcn_ct_bucket_of(ct->hash, 1, mask), key, now, ct);
    PCN_FORGET(ct->word, ct->hash);
    PCN_FORGET(ct->slot, ct->hash);
    PCN_FORGET(ct->direction, ct->hash);
}

/* ---- a new flow ---- */

enum pcn_ct_how {
    PCN_CT_HOW_FREE,
    PCN_CT_HOW_EXPIRED,
    PCN_CT_HOW_EARLY,
    PCN_CT_HOW_FULL,
};

/* How good a place is, less being better: enum pcn_ct_how, what is left of its flow's time, its slot. */
#define PCN_CT_RANK_HOW_SHIFT 61
#define PCN_CT_RANK_LEFT_SHIFT 30
#define PCN_CT_RANK_LEFT 0x7fffffffull
#define PCN_CT_RANK_SLOT 0x3fffffffu
#define PCN_CT_RANK_HOW(rank_) ((enum pcn_ct_how)((rank_) >> PCN_CT_RANK_HOW_SHIFT))

/* What a place is by, two bits each: whether it is taken << 3 | busy << 2 | its flow may be dropped << 1 | has expired. */
#define PCN_CT_HOWS                                                                                                    \
    (PCN_CT_HOW_FULL << 16 | PCN_CT_HOW_EXPIRED << 18 | PCN_CT_HOW_EARLY << 20 | PCN_CT_HOW_EXPIRED << 22 |            \
     0xffu << 24 /* busy: full */)

/* Without branches: the verifier would follow each way that each place can be, and the processor guess it. */
PCN_INLINE __u64 pcn_ct_rank(__u64 word, __u32 slot, __u32 now)
{
    __s64 left = pcn_ct_left(word, now);
    __u64 how = PCN_NEGATIVE(-word | word) << 3 | (word & PCN_CT_BUSY) >> (PCN_CT_BUSY_SHIFT - 2) |
                (PCN_CT_DROPPABLE >> pcn_ct_flow_of(word) & 1) << 1 | PCN_NEGATIVE(left - 1);

    how = (PCN_CT_HOWS >> (how << 1)) & 3;
    return how << PCN_CT_RANK_HOW_SHIFT | ((__u64)left & PCN_CT_RANK_LEFT) << PCN_CT_RANK_LEFT_SHIFT | slot;
}

/* Which ways of a bucket are taken, as bits. */
PCN_INLINE __u64 pcn_ct_ways_taken(__u32 index, __u32 *ret_n)
{
    const struct pcn_ct_bucket *bucket = pcn_ct_bucket_at(index);
    __u64 taken = 0;
    __u32 n = 0;

#pragma clang loop unroll(full)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u64 word = PCN_READ_ONCE(bucket->words[way]), bit = PCN_NEGATIVE(-word | word);

        n += bit;
        taken |= bit << way;
    }
    *ret_n = n;
    return taken;
}

/* The first of eight bits that is not set; one is not. By a de Bruijn sequence. */
PCN_INLINE __u32 pcn_ct_first_free(__u64 taken)
{
    __u32 bit = ~taken & (taken + 1);

    return 0x56374210u >> ((bit * 0x17 & 0xff) >> 5 << 2) & 7;
}

/* The best place of a bucket. */
PCN_INLINE __u64 pcn_ct_best(__u32 index, __u32 now, __u64 best)
{
    const struct pcn_ct_bucket *bucket = pcn_ct_bucket_at(index);

#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u64 better = pcn_ct_rank(PCN_READ_ONCE(bucket->words[way]), index * PCN_CT_WAYS + way, now) - best;

        best += better * PCN_NEGATIVE(better);
    }
    return best;
}

/*
 * A free place in the first bucket while that is not half full, then in the emptier one: most are found at first sight.
 * Where none is free, the best one.
 */
PCN_INLINE __u64 pcn_ct_room(__u64 hash, __u32 now)
{
    __u32 first = pcn_ct_bucket_of(hash, 0, pcn_ct_masks.bucket), n_first, second, n_second;
    __u64 taken = pcn_ct_ways_taken(first, &n_first), taken_second;

    if (n_first >= PCN_CT_WAYS / 2) {
        second = pcn_ct_bucket_of(hash, 1, pcn_ct_masks.bucket);
        taken_second = pcn_ct_ways_taken(second, &n_second);
        if (pcn_unlikely(n_first + n_second == 2 * PCN_CT_WAYS))
            return pcn_ct_best(second, now, pcn_ct_best(first, now, (__u64)PCN_CT_HOW_FULL << PCN_CT_RANK_HOW_SHIFT));
        if (n_second < n_first) {
            first = second;
            taken = taken_second;
        }
    }
    return first * PCN_CT_WAYS + pcn_ct_first_free(taken);
}

/* Whether what is in the way still may be taken: it may have changed since it was chosen. */
PCN_INLINE bool pcn_ct_may_take(__u64 word, enum pcn_ct_how how, __u32 now)
{
    if (how == PCN_CT_HOW_FREE)
        return !word;
    if (!word || word & PCN_CT_BUSY)
        return false;
    if (how == PCN_CT_HOW_EXPIRED)
        return pcn_ct_left(word, now) <= 0;
    return PCN_CT_DROPPABLE >> pcn_ct_flow_of(word) & 1;
}

#define PCN_CT_AGAIN 0xfffffffeu /* as a slot: another CPU was faster */

/* Takes a place: says busy in its word. Its slot; PCN_CT_NO_SLOT: there is none; PCN_CT_AGAIN. */
PCN_INLINE __u32 pcn_ct_claim(__u64 hash, __u32 now, enum pcn_ct_how *ret_how)
{
    __u64 rank = pcn_ct_room(hash, now), *place, word;
    __u32 slot = rank & PCN_CT_RANK_SLOT;

    *ret_how = PCN_CT_RANK_HOW(rank);
    if (*ret_how == PCN_CT_HOW_FULL)
        return PCN_CT_NO_SLOT;
    place = pcn_ct_word_at(slot);
    word = PCN_READ_ONCE(*place);
    if (!pcn_ct_may_take(word, *ret_how, now) ||
        __sync_val_compare_and_swap(place, word, pcn_ct_tag(hash) << PCN_CT_TAG_SHIFT | PCN_CT_BUSY) != word)
        return PCN_CT_AGAIN;
    return slot;
}

/* Fills in a place that is busy, and makes it found. */
PCN_INLINE void pcn_ct_publish(const struct pcn_packet *packet, __u64 hash, __u32 slot, __u32 flow, __u32 now)
{
    __u64 *place = pcn_ct_word_at(slot);
    struct pcn_ct_key key;
    __u32 ports = 0;

    pcn_ct_event_of(packet, &ports);
    pcn_ct_key_of(packet, ports, &key);
    *pcn_ct_entry_at(slot) = (struct pcn_ct_entry){.key = key};
    if (pcn_ct_masks.traffic)
        *pcn_ct_traffic_at(slot) = (struct pcn_ct_traffic){};
    PCN_STORE_RELEASE(
        place, pcn_ct_word(hash, flow, now + PCN_READ_ONCE(pcn_ct_settings.timeouts[flow & (PCN_CT_FLOWS - 1)])));
}

/* Its slot, PCN_CT_NO_SLOT, or PCN_CT_AGAIN. Global, so that the verifier looks at it once. */
__noinline __u32 pcn_ct_try_create(const struct pcn_packet *packet, __u64 hash, __u32 flow)
{
    __u32 now = pcn_now(), slot;
    enum pcn_ct_how how;

    if (!packet)
        return PCN_CT_NO_SLOT;
    slot = pcn_ct_claim(hash, now, &how);
    if (slot == PCN_CT_AGAIN)
        return slot;
    if (slot == PCN_CT_NO_SLOT) {
        PCN_CT_COUNT(full);
        return slot;
    }
    pcn_ct_publish(packet, hash, slot, flow, now);
    PCN_CT_COUNT(created);
    if (how == PCN_CT_HOW_EXPIRED)
        PCN_CT_COUNT(reused);
    else if (how == PCN_CT_HOW_EARLY)
        PCN_CT_COUNT(early_dropped);
    return slot;
}

/* Its slot, or PCN_CT_NO_SLOT. */
PCN_INLINE __u32 pcn_ct_create(const struct pcn_packet *packet, __u64 hash, __u32 flow)
{
    __u32 slot = PCN_CT_AGAIN;

#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 4 && slot == PCN_CT_AGAIN; attempt++)
        slot = pcn_ct_try_create(packet, hash, flow);
    if (pcn_unlikely(slot == PCN_CT_AGAIN)) {
        PCN_CT_COUNT(full);
        return PCN_CT_NO_SLOT;
    }
    return slot;
}

/* A SYN in the place of the flow that its ports had before. */
__noinline __u32 pcn_ct_reopen(const struct pcn_packet *packet, __u64 hash, __u64 word, __u32 slot)
{
    __u64 *place = pcn_ct_word_at(slot);

    if (!packet)
        return 0;
    /* Another CPU was faster: it saw a SYN too. */
    if (__sync_val_compare_and_swap(place, word, pcn_ct_tag(hash) << PCN_CT_TAG_SHIFT | PCN_CT_BUSY) != word)
        return 0;
    pcn_ct_publish(packet, hash, slot, PCN_CT_TCP_SYN_SENT, pcn_now());
    PCN_CT_COUNT(created);
    return 0;
}
