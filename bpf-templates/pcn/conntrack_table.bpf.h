/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: the table of flows, as pcn/conntrack.h lays it out: a
 * packet's key, its flow, a place for a new one.
 */
#pragma once
#include <pcn/conntrack_state.bpf.h>
#include <pcn/context.bpf.h>

/* Keys under which a flow is entered: who includes this may say two. Each has a half of the table, by its zone. */
#ifndef PCN_CT_KEYS
#define PCN_CT_KEYS 1
#endif
#define PCN_CT_SLOTS_MAX (PCN_CT_KEYS * PCN_CT_BUCKETS_MAX * PCN_CT_WAYS)

__u64 pcn_ct_tags[PCN_TRIMMED(PCN_CT_SLOTS_MAX / PCN_CT_WAYS, __u64)] SEC(PCN_CT_TAGS);
struct pcn_ct_entry pcn_ct_entries[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_entry)] SEC(PCN_CT_ENTRIES);
struct pcn_ct_wide pcn_ct_wides[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_wide)] SEC(PCN_CT_WIDES);
struct pcn_ct_own pcn_ct_owns[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_own)] SEC(PCN_CT_OWNS);
struct pcn_ct_window pcn_ct_windows[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_window)] SEC(PCN_CT_WINDOWS);
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

PCN_INLINE __u64 pcn_ct_tuple_of(const struct pcn_packet *packet, __u32 ports)
{
    return pcn_ct_tuple(ports, packet->l4_protocol, packet->ip_version, packet->zone);
}

PCN_INLINE struct pcn_ct_wanted pcn_ct_wanted_by(const struct pcn_packet *packet, __u32 ports)
{
    return (struct pcn_ct_wanted){.source = (const __u64 *)&packet->source,
                                  .destination = (const __u64 *)&packet->destination,
                                  .tuple = pcn_ct_tuple_of(packet, ports),
                                  .pair = pcn_ct_pair(packet->source.v4, packet->destination.v4)};
}

PCN_INLINE void pcn_ct_key_of(const struct pcn_packet *packet, __u32 ports, struct pcn_ct_key *ret_key)
{
    __builtin_memcpy(&ret_key->words[0], &packet->source, sizeof(packet->source));
    __builtin_memcpy(&ret_key->words[2], &packet->destination, sizeof(packet->destination));
    ret_key->words[4] = pcn_ct_tuple_of(packet, ports);
}

/* ---- the table ---- */

PCN_INLINE __u64 *pcn_ct_tags_at(__u64 bucket)
{
    bucket &= pcn_ct_masks.bucket;
    PCN_OPAQUE(bucket);
    return &pcn_ct_tags[bucket];
}

PCN_INLINE __u8 *pcn_ct_tag_at(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return (__u8 *)pcn_ct_tags + slot;
}

PCN_INLINE struct pcn_ct_entry *pcn_ct_entry_at(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return &pcn_ct_entries[slot];
}

PCN_INLINE struct pcn_ct_wide *pcn_ct_wide_at(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return &pcn_ct_wides[slot];
}

PCN_INLINE struct pcn_ct_own *pcn_ct_own_at(__u64 slot)
{
    slot &= pcn_ct_masks.own;
    PCN_OPAQUE(slot);
    return &pcn_ct_owns[slot];
}

PCN_INLINE struct pcn_ct_window *pcn_ct_window_at(__u64 slot)
{
    slot &= pcn_ct_masks.windows;
    PCN_OPAQUE(slot);
    return &pcn_ct_windows[slot];
}

PCN_INLINE struct pcn_ct_traffic *pcn_ct_traffic_at(__u64 slot)
{
    slot &= pcn_ct_masks.traffic;
    PCN_OPAQUE(slot);
    return &pcn_ct_traffic[slot];
}

PCN_INLINE void pcn_ct_key_at(__u64 slot, struct pcn_ct_key *ret_key)
{
    pcn_ct_key_get(pcn_ct_entry_at(slot), pcn_ct_wide_at(slot), ret_key);
}

PCN_INLINE __u32 pcn_ct_bucket(__u64 hash, __u32 choice)
{
    return pcn_ct_bucket_of(hash, choice, pcn_ct_masks.bucket, PCN_CT_KEYS > 1 ? pcn_ct_masks.half : 0);
}

#define PCN_CT_LOW_BITS 0x7f7f7f7f7f7f7f7full

/* The highest bit of each byte that is not 0. */
PCN_INLINE __u64 pcn_ct_bytes_set(__u64 bytes)
{
    return (((bytes & PCN_CT_LOW_BITS) + PCN_CT_LOW_BITS) | bytes) & ~PCN_CT_LOW_BITS;
}

/* Of such bits, the number of the lowest one's byte; and how many there are. */
PCN_INLINE __u64 pcn_ct_first_byte(__u64 bits)
{
    return ((bits & -bits) >> 7) * 0x0001020304050607ull >> 56;
}

PCN_INLINE __u64 pcn_ct_count_bytes(__u64 bits)
{
    return (bits >> 7) * 0x0101010101010101ull >> 56;
}

/*
 * Whether a flow that is alive has it, as its first packet does (direction 0) or as the answers do (1). By branches: the
 * processor guesses them right, and what comes behind need not wait for the entry.
 */
PCN_INLINE bool pcn_ct_compare(__u64 slot, const struct pcn_ct_wanted *wanted, __u32 now, __u64 unknown,
                               __u64 *ret_word, __u64 *ret_direction)
{
    const struct pcn_ct_entry *entry = pcn_ct_entry_at(slot);
    __u64 tuple = wanted->tuple, word = PCN_READ_ONCE(entry->word), middle, same, other;
    const struct pcn_ct_wide *wide;

    asm volatile("" ::: "memory");
    same = (entry->tuple ^ tuple) | (entry->pair ^ wanted->pair);
    other = (entry->tuple ^ pcn_ct_reverse(tuple)) | (entry->pair ^ pcn_ct_turn(wanted->pair));
    /* Of a number that the verifier has forgotten: it goes both ways, and remembers neither. */
    PCN_FORGET(tuple, unknown);
    if (pcn_unlikely(pcn_ct_is_wide(tuple))) {
        wide = pcn_ct_wide_at(slot);
        middle = pcn_ct_pair(wanted->source[0] >> 32, wanted->destination[0] >> 32);
        same |= (wide->low[0] ^ wanted->source[1]) | (wide->low[1] ^ wanted->destination[1]) | (entry->middle ^ middle);
        other |= (wide->low[0] ^ wanted->destination[1]) | (wide->low[1] ^ wanted->source[1]) |
                 (entry->middle ^ pcn_ct_turn(middle));
    }
    PCN_OPAQUE(same);
    PCN_OPAQUE(other);
    *ret_word = word;
    *ret_direction = 0;
    if (same) {
        if (other)
            return false;
        *ret_direction = 1;
    }
    return word && pcn_ct_left(word, now) > 0;
}

/* Places of a bucket that have a hash's tag: the highest bits of their bytes. The lowest is right, each above it may be. */
PCN_INLINE __u64 pcn_ct_tagged(__u64 bucket, __u64 hash)
{
    __u64 unlike = PCN_READ_ONCE(*pcn_ct_tags_at(bucket)) ^ pcn_ct_tag(hash) * 0x0101010101010101ull;

    return (unlike - 0x0101010101010101ull) & ~unlike & ~PCN_CT_LOW_BITS;
}

PCN_INLINE __u64 pcn_ct_slot_in(__u64 bucket, __u64 found)
{
    return bucket * PCN_CT_WAYS + pcn_ct_first_byte(found);
}

/* As pcn_ct_compare(): 0; or 1 + direction. Global, as the next one is, so that the verifier looks at it once. */
__noinline __u32 pcn_ct_has(__u32 slot, const struct pcn_ct_key *key)
{
    __u64 unknown = pcn_ct_settings.seed, word, direction;
    struct pcn_ct_wanted wanted;

    if (!key)
        return 0;
    wanted = pcn_ct_wanted_of(key);
    return pcn_ct_compare(slot, &wanted, pcn_now(), unknown, &word, &direction) ? 1 + direction : 0;
}

#define PCN_CT_OTHER_WAY (1u << 31)

/* Slot of a key's flow, | PCN_CT_OTHER_WAY if that has it the other way round; or PCN_CT_NO_SLOT. */
__noinline __u32 pcn_ct_search(const struct pcn_ct_key *key, __u64 hash)
{
    if (!key)
        return PCN_CT_NO_SLOT;
#pragma clang loop unroll(disable)
    for (__u32 choice = 0; choice < 2; choice++) {
        __u64 bucket = pcn_ct_bucket(hash, choice), found = pcn_ct_tagged(bucket, hash);

#pragma clang loop unroll(disable)
        for (__u32 i = 0; i < PCN_CT_WAYS && found; i++, found &= found - 1) {
            __u32 slot = pcn_ct_slot_in(bucket, found), has = pcn_ct_has(slot, key);

            if (has)
                return slot | (has - 1) * PCN_CT_OTHER_WAY;
            PCN_FORGET(found, hash);
        }
    }
    return PCN_CT_NO_SLOT;
}

/* Slot of a key's flow, or PCN_CT_NO_SLOT. */
PCN_INLINE __u32 pcn_ct_slot_of(const struct pcn_ct_key *key)
{
    __u32 found = pcn_ct_search(key, pcn_ct_hash(key, pcn_ct_settings.seed));

    return found == PCN_CT_NO_SLOT ? found : found & ~PCN_CT_OTHER_WAY;
}

/* What is not where most flows are. */
PCN_INLINE void pcn_ct_find_else(const struct pcn_ct_wanted *wanted, struct pcn_ct *ct)
{
    struct pcn_ct_key key = {{(__u32)wanted->pair, 0, wanted->pair >> 32, 0, wanted->tuple}};
    __u32 found;
    __u64 word;

    if (pcn_ct_is_wide(wanted->tuple)) {
        __builtin_memcpy(&key.words[0], wanted->source, 16);
        __builtin_memcpy(&key.words[2], wanted->destination, 16);
    }
    found = pcn_ct_search(&key, ct->hash);
    if (found == PCN_CT_NO_SLOT)
        return;
    word = PCN_READ_ONCE(pcn_ct_entry_at(found & ~PCN_CT_OTHER_WAY)->word);
    /* Read behind the key: another one may have taken the place, whose hash is another one. */
    if (!pcn_ct_is_same_flow(word, ct->hash))
        return;
    ct->word = word;
    ct->slot = found & ~PCN_CT_OTHER_WAY;
    ct->direction = found >> 31;
}

/*
 * ct->hash is that of what is wanted. Sets the others but .next. Here is what most packets need: the first place of
 * the first bucket that has the tag, or that no place has it.
 */
PCN_INLINE void pcn_ct_find(const struct pcn_ct_wanted *wanted, struct pcn_ct *ct)
{
    __u64 bucket = pcn_ct_bucket(ct->hash, 0), found = pcn_ct_tagged(bucket, ct->hash), word, direction;

    ct->word = 0;
    ct->slot = PCN_CT_NO_SLOT;
    ct->direction = 0;
    if (pcn_likely(found) &&
        pcn_likely(pcn_ct_compare(pcn_ct_slot_in(bucket, found), wanted, pcn_now(), ct->hash, &word, &direction))) {
        ct->word = word;
        ct->slot = pcn_ct_slot_in(bucket, found);
        ct->direction = direction;
    } else if (pcn_unlikely(found & (found - 1) || pcn_ct_tagged(pcn_ct_bucket(ct->hash, 1), ct->hash))) {
        pcn_ct_find_else(wanted, ct);
    }
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

/* What a place is by, two bits each: whether there is a flow << 2 | it may be dropped << 1 | it has expired. */
#define PCN_CT_HOWS                                                                                                    \
    (0xffu /* none yet: full */ | PCN_CT_HOW_FULL << 8 | PCN_CT_HOW_EXPIRED << 10 | PCN_CT_HOW_EARLY << 12 |           \
     PCN_CT_HOW_EXPIRED << 14)

/* Without branches: the verifier would follow each way that each place can be, and the processor guess it. */
PCN_INLINE __u64 pcn_ct_rank(__u64 word, __u32 slot, __u32 now)
{
    __s64 left = pcn_ct_left(word, now);
    __u64 how =
        PCN_NEGATIVE(-word | word) << 2 | (PCN_CT_DROPPABLE >> pcn_ct_flow_of(word) & 1) << 1 | PCN_NEGATIVE(left - 1);

    how = (PCN_CT_HOWS >> (how << 1)) & 3;
    return how << PCN_CT_RANK_HOW_SHIFT | ((__u64)left & PCN_CT_RANK_LEFT) << PCN_CT_RANK_LEFT_SHIFT | slot;
}

/* The best place of a bucket. */
PCN_INLINE __u64 pcn_ct_best(__u32 bucket, __u32 now, __u64 best)
{
#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u32 slot = bucket * PCN_CT_WAYS + way;
        __u64 better = pcn_ct_rank(PCN_READ_ONCE(pcn_ct_entry_at(slot)->word), slot, now) - best;

        best += better * PCN_NEGATIVE(better);
    }
    return best;
}

/*
 * A free place in the first bucket while that is not three quarters full, then in the emptier one: nearly all are found at
 * first sight, and the processor guesses so.
 * The first free one: flows stand close together. Where none is free, the best one.
 */
PCN_INLINE __u64 pcn_ct_room(__u64 hash, __u32 now)
{
    __u32 first = pcn_ct_bucket(hash, 0), second = pcn_ct_bucket(hash, 1);
    __u64 taken = pcn_ct_bytes_set(PCN_READ_ONCE(*pcn_ct_tags_at(first))), taken_second;

    if (pcn_ct_count_bytes(taken) >= 3 * PCN_CT_WAYS / 4) {
        taken_second = pcn_ct_bytes_set(PCN_READ_ONCE(*pcn_ct_tags_at(second)));
        if (pcn_unlikely((taken & taken_second) == ~PCN_CT_LOW_BITS))
            return pcn_ct_best(second, now, pcn_ct_best(first, now, (__u64)PCN_CT_HOW_FULL << PCN_CT_RANK_HOW_SHIFT));
        if (pcn_ct_count_bytes(taken_second) < pcn_ct_count_bytes(taken)) {
            first = second;
            taken = taken_second;
        }
    }
    return first * PCN_CT_WAYS + pcn_ct_first_byte(~taken & ~PCN_CT_LOW_BITS);
}

#define PCN_CT_AGAIN 0xfffffffeu /* as a slot: another CPU was faster */

/* Takes a place that is nobody's. */
PCN_INLINE bool pcn_ct_take_free(__u32 slot, __u64 tag)
{
    __u64 *place = pcn_ct_tags_at(slot / PCN_CT_WAYS), tags = PCN_READ_ONCE(*place);
    __u32 shift = slot % PCN_CT_WAYS * 8;

    return !(tags >> shift & 0xff) && __sync_val_compare_and_swap(place, tags, tags | tag << shift) == tags;
}

/* Takes the place of a flow, which may have changed since it was chosen. */
PCN_INLINE bool pcn_ct_turn_out(__u32 slot, __u64 tag, enum pcn_ct_how how, __u32 now)
{
    __u64 *place = &pcn_ct_entry_at(slot)->word, word = PCN_READ_ONCE(*place);

    if (!word ||
        !(how == PCN_CT_HOW_EXPIRED ? pcn_ct_left(word, now) <= 0 : PCN_CT_DROPPABLE >> pcn_ct_flow_of(word) & 1))
        return false;
    if (__sync_val_compare_and_swap(place, word, 0) != word)
        return false;
    PCN_WRITE_ONCE(*pcn_ct_tag_at(slot), tag);
    return true;
}

/* Takes a place, for an entry to be written. Its slot; PCN_CT_NO_SLOT: there is none; PCN_CT_AGAIN. */
PCN_INLINE __u32 pcn_ct_claim(__u64 hash, __u32 now, enum pcn_ct_how *ret_how)
{
    __u64 rank = pcn_ct_room(hash, now), tag = pcn_ct_tag(hash);
    __u32 slot = rank & PCN_CT_RANK_SLOT;
    bool taken;

    *ret_how = PCN_CT_RANK_HOW(rank);
    if (*ret_how == PCN_CT_HOW_FULL)
        return PCN_CT_NO_SLOT;
    if (pcn_likely(*ret_how == PCN_CT_HOW_FREE))
        taken = pcn_ct_take_free(slot, tag);
    else
        taken = pcn_ct_turn_out(slot, tag, *ret_how, now);
    return taken ? slot : PCN_CT_AGAIN;
}

/* Gives a place back that was claimed. */
PCN_INLINE void pcn_ct_unclaim(__u32 slot)
{
    PCN_WRITE_ONCE(*pcn_ct_tag_at(slot), 0);
}

/* Takes the place of a flow from it, which still has this word: it is ended, and its entry stays as it is. */
PCN_INLINE bool pcn_ct_close(__u32 slot, __u64 word)
{
    return word && __sync_val_compare_and_swap(&pcn_ct_entry_at(slot)->word, word, 0) == word;
}

/* Ends a flow, which still has this word. */
PCN_INLINE bool pcn_ct_end(__u32 slot, __u64 word)
{
    if (!pcn_ct_close(slot, word))
        return false;
    pcn_ct_unclaim(slot);
    return true;
}

/* The key of a place that was claimed, which has no traffic yet. own: what IPv4 has at .middle. */
PCN_INLINE void pcn_ct_fill(__u32 slot, const struct pcn_ct_wanted *key, __u64 own)
{
    struct pcn_ct_entry *entry = pcn_ct_entry_at(slot);
    struct pcn_ct_wide *wide;

    entry->tuple = key->tuple;
    entry->pair = key->pair;
    entry->middle = own;
    if (pcn_unlikely(pcn_ct_is_wide(key->tuple))) {
        wide = pcn_ct_wide_at(slot);
        wide->low[0] = key->source[1];
        wide->low[1] = key->destination[1];
        entry->middle = pcn_ct_pair(key->source[0] >> 32, key->destination[0] >> 32);
    }
    if (pcn_ct_masks.traffic)
        *pcn_ct_traffic_at(slot) = (struct pcn_ct_traffic){};
}

PCN_INLINE __u64 pcn_ct_word_of(__u64 hash, __u32 flow, __u32 now)
{
    return pcn_ct_word(hash, flow, now + PCN_READ_ONCE(pcn_ct_settings.timeouts[flow & (PCN_CT_FLOWS - 1)]));
}

/* Writes the entry of a place that is claimed, and makes it found. */
PCN_INLINE void pcn_ct_publish(const struct pcn_packet *packet, __u64 hash, __u32 slot, __u32 flow, __u32 now)
{
    struct pcn_ct_wanted key;
    __u32 ports = 0;

    pcn_ct_event_of(packet, &ports);
    key = pcn_ct_wanted_by(packet, ports);
    pcn_ct_fill(slot, &key, 0);
    if (pcn_ct_masks.windows && PCN_READ_ONCE(pcn_ct_settings.window_check))
        *pcn_ct_window_at(slot) = (struct pcn_ct_window){};
    PCN_STORE_RELEASE(&pcn_ct_entry_at(slot)->word, pcn_ct_word_of(hash, flow, now));
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
    if (!packet)
        return 0;
    /* Another CPU was faster: it saw a SYN too. */
    if (__sync_val_compare_and_swap(&pcn_ct_entry_at(slot)->word, word, 0) != word)
        return 0;
    pcn_ct_publish(packet, hash, slot, PCN_CT_TCP_SYN_SENT, pcn_now());
    PCN_CT_COUNT(created);
    return 0;
}
