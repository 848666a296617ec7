/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking, part: the table of flows, as pcn/conntrack.h lays it out: a
 * packet's key, its flow, a place for a new one.
 */
#pragma once
#include <pcn/conntrack_state.bpf.h>
#include <pcn/context.bpf.h>

/* Keys under which a flow is entered: who includes this may say two, then flows are sessions. */
#ifndef PCN_CT_KEYS
#define PCN_CT_KEYS 1
#endif
#define PCN_CT_SLOTS_MAX (PCN_CT_KEYS * PCN_CT_SIZE_MAX)

struct pcn_ct_entry pcn_ct_entries[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_entry)] SEC(PCN_CT_ENTRIES);
struct pcn_ct_wide pcn_ct_wides[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_wide)] SEC(PCN_CT_WIDES);
struct pcn_ct_window pcn_ct_windows[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_window)] SEC(PCN_CT_WINDOWS);
struct pcn_ct_traffic pcn_ct_traffic[PCN_TRIMMED(PCN_CT_SLOTS_MAX, struct pcn_ct_traffic)] SEC(PCN_CT_TRAFFIC);

struct pcn_ct_bucket
    pcn_ct_buckets[PCN_TRIMMED(PCN_CT_KEYS * PCN_CT_BUCKETS_MAX, struct pcn_ct_bucket)] SEC(PCN_CT_BUCKETS);
__u32 pcn_ct_places[PCN_TRIMMED(PCN_CT_SLOTS_MAX, __u32)] SEC(PCN_CT_PLACES);
struct {
    struct pcn_ct_numbers free;
    __u32 ring[PCN_TRIMMED(PCN_CT_SIZE_MAX, __u32)];
} pcn_ct_numbers SEC(PCN_CT_NUMBERS);
#if PCN_CT_KEYS > 1
struct pcn_ct_own pcn_ct_owns[PCN_TRIMMED(PCN_CT_SIZE_MAX, struct pcn_ct_own)] SEC(PCN_CT_OWNS);
#endif

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
    ret_key->words[0] = pcn_address_word(&packet->source, 0);
    ret_key->words[1] = pcn_address_word(&packet->source, 1);
    ret_key->words[2] = pcn_address_word(&packet->destination, 0);
    ret_key->words[3] = pcn_address_word(&packet->destination, 1);
    ret_key->words[4] = pcn_ct_tuple_of(packet, ports);
}

/* ---- the table ---- */

PCN_INLINE struct pcn_ct_bucket *pcn_ct_bucket_at(__u64 bucket)
{
    bucket &= pcn_ct_masks.bucket;
    PCN_OPAQUE(bucket);
    return &pcn_ct_buckets[bucket];
}

PCN_INLINE __u64 *pcn_ct_tags_at(__u64 bucket)
{
    return &pcn_ct_bucket_at(bucket)->tags;
}

/* Three bytes, with one more, which is a tag at the end: the compiler would read them one by one. */
PCN_INLINE __u32 pcn_ct_three_bytes(const __u8 *bytes)
{
    __u64 four;

    asm volatile("%0 = *(u32 *)(%1 + 0)" : "=r"(four) : "r"(bytes));
    return four & 0xffffff;
}

/* Slot + 1; 0: it is just being written. */
PCN_INLINE __u32 pcn_ct_led_to(__u64 bucket, __u64 way)
{
    way &= PCN_CT_WAYS - 1;
    PCN_OPAQUE(way);
    return pcn_ct_three_bytes(pcn_ct_bucket_at(bucket)->slots[way]);
}

/* The same of the lowest place of pcn_ct_tagged(); of none, that of any. The multiplier's bytes say where slots begin. */
PCN_INLINE __u32 pcn_ct_first_led_to(const struct pcn_ct_bucket *bucket, __u64 found)
{
    __u64 offset = ((found & -found) >> 7) * 0x000306090c0f1215ull >> 56;

    offset &= sizeof(*bucket) - 1;
    PCN_OPAQUE(offset);
    return pcn_ct_three_bytes(&bucket->slots[0][0] + offset);
}

PCN_INLINE void pcn_ct_lead(__u64 place, __u32 slot)
{
    __u64 way = place & (PCN_CT_WAYS - 1);
    __u8 *bytes;

    PCN_OPAQUE(way);
    bytes = pcn_ct_bucket_at(place / PCN_CT_WAYS)->slots[way];
    /* Who reads a part of it is led to another entry, whose key it will not find. */
    PCN_WRITE_ONCE(bytes[0], slot);
    PCN_WRITE_ONCE(bytes[1], slot >> 8);
    PCN_WRITE_ONCE(bytes[2], slot >> 16);
}

/* The entry that a place leads to; of none, any. */
PCN_INLINE __u64 pcn_ct_slot_at(__u64 bucket, __u64 way)
{
    return pcn_ct_led_to(bucket, way) - 1u;
}

PCN_INLINE __u8 *pcn_ct_tag_at(__u64 place)
{
    __u64 way = place & (PCN_CT_WAYS - 1);

    PCN_OPAQUE(way);
    return (__u8 *)pcn_ct_tags_at(place / PCN_CT_WAYS) + way;
}

PCN_INLINE struct pcn_ct_entry *pcn_ct_entry_at(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return &pcn_ct_entries[slot];
}

/* What of a flow changes. */
PCN_INLINE __u64 *pcn_ct_word_at(__u64 slot)
{
    return &pcn_ct_entry_at(slot)->word;
}

PCN_INLINE struct pcn_ct_wide *pcn_ct_wide_at(__u64 slot)
{
    slot &= pcn_ct_masks.slot;
    PCN_OPAQUE(slot);
    return &pcn_ct_wides[slot];
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
PCN_INLINE __u64 pcn_ct_tagged_in(__u64 tags, __u64 hash)
{
    __u64 unlike = tags ^ pcn_ct_tag(hash) * 0x0101010101010101ull;

    return (unlike - 0x0101010101010101ull) & ~unlike & ~PCN_CT_LOW_BITS;
}

PCN_INLINE __u64 pcn_ct_tagged(__u64 bucket, __u64 hash)
{
    return pcn_ct_tagged_in(PCN_READ_ONCE(*pcn_ct_tags_at(bucket)), hash);
}

PCN_INLINE __u64 pcn_ct_slot_in(__u64 bucket, __u64 found)
{
    return pcn_ct_first_led_to(pcn_ct_bucket_at(bucket), found) - 1u;
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
    __u32 found, slot;
    __u64 word;

    if (pcn_ct_is_wide(wanted->tuple)) {
        __builtin_memcpy(&key.words[0], wanted->source, 16);
        __builtin_memcpy(&key.words[2], wanted->destination, 16);
    }
    found = pcn_ct_search(&key, ct->hash);
    if (found == PCN_CT_NO_SLOT)
        return;
    slot = found & ~PCN_CT_OTHER_WAY;
    word = PCN_READ_ONCE(*pcn_ct_word_at(slot));
    /* Read behind the key: another one may have taken the slot, whose hash is another one. */
    if (!pcn_ct_is_same_flow(word, ct->hash))
        return;
    ct->word = word;
    ct->slot = slot;
    ct->direction = found >> 31;
}

/* Whether the second bucket has the tag. Global: a call costs less than the registers that it takes where it is looked for. */
__noinline bool pcn_ct_tagged_second(__u64 hash)
{
    return pcn_ct_tagged(pcn_ct_bucket(hash, 1), hash);
}

/*
 * ct->hash is that of what is wanted. Sets the others but .next. Here is what most packets need: the first place of
 * the first bucket that has the tag, or that no place has it.
 */
PCN_INLINE void pcn_ct_find(const struct pcn_ct_wanted *wanted, struct pcn_ct *ct)
{
    __u64 bucket = pcn_ct_bucket(ct->hash, 0), found = pcn_ct_tagged(bucket, ct->hash), word, direction, slot;

    ct->word = 0;
    ct->slot = PCN_CT_NO_SLOT;
    ct->direction = 0;
    slot = pcn_ct_slot_in(bucket, found);
    if (pcn_likely(found) && pcn_likely(pcn_ct_compare(slot, wanted, pcn_now(), ct->hash, &word, &direction))) {
        ct->word = word;
        ct->slot = slot;
        ct->direction = direction;
    } else if (pcn_unlikely(found & (found - 1) || pcn_ct_tagged_second(ct->hash))) {
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
#define PCN_CT_RANK_NONE ((__u64)PCN_CT_HOW_FULL << PCN_CT_RANK_HOW_SHIFT)
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

/* The best of eight slots. */
__noinline __u64 pcn_ct_best(__u32 first, __u32 now, __u64 best)
{
#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < PCN_CT_WAYS; i++) {
        __u32 slot = first + i;
        __u64 better = pcn_ct_rank(PCN_READ_ONCE(*pcn_ct_word_at(slot)), slot, now) - best;

        best += better * PCN_NEGATIVE(better);
    }
    return best;
}

/*
 * A free place in the first bucket while that is not three quarters full, then in the emptier one: nearly all are found at
 * first sight, and the processor guesses so. The first free one: flows stand close together. PCN_CT_NO_SLOT: there is none.
 * Both are read at once: who asks whether another has the key needs the second one too, which then comes from memory with
 * the first.
 */
PCN_INLINE __u32 pcn_ct_free_place(__u64 hash)
{
    __u32 first = pcn_ct_bucket(hash, 0), second = pcn_ct_bucket(hash, 1);
    __u64 tags = PCN_READ_ONCE(*pcn_ct_tags_at(first)), tags_second = PCN_READ_ONCE(*pcn_ct_tags_at(second));
    __u64 taken = pcn_ct_bytes_set(tags), taken_second;

    if (pcn_ct_count_bytes(taken) >= 3 * PCN_CT_WAYS / 4) {
        taken_second = pcn_ct_bytes_set(tags_second);
        if (pcn_unlikely((taken & taken_second) == ~PCN_CT_LOW_BITS))
            return PCN_CT_NO_SLOT;
        if (pcn_ct_count_bytes(taken_second) < pcn_ct_count_bytes(taken)) {
            first = second;
            taken = taken_second;
        }
    }
    return first * PCN_CT_WAYS + pcn_ct_first_byte(~taken & ~PCN_CT_LOW_BITS);
}

#define PCN_CT_AGAIN 0xfffffffeu /* as a slot: another CPU was faster */

/* Takes a place that is nobody's. ret_tags: what was in its bucket beside it, at that moment. */
PCN_INLINE bool pcn_ct_take_free(__u32 place, __u64 tag, __u64 *ret_tags)
{
    __u64 *bucket = pcn_ct_tags_at(place / PCN_CT_WAYS), tags = PCN_READ_ONCE(*bucket);
    __u32 shift = place % PCN_CT_WAYS * 8;

    *ret_tags = tags;
    return !(tags >> shift & 0xff) && __sync_val_compare_and_swap(bucket, tags, tags | tag << shift) == tags;
}

/* Gives a place back that was claimed. */
PCN_INLINE void pcn_ct_unclaim(__u32 place)
{
    PCN_WRITE_ONCE(*pcn_ct_tag_at(place), 0);
}

/* Takes its word from a flow that has to make room. That word; 0: it has changed since the flow was chosen. */
PCN_INLINE __u64 pcn_ct_turn_out(__u32 slot, enum pcn_ct_how how, __u32 now)
{
    __u64 *place = pcn_ct_word_at(slot), word = PCN_READ_ONCE(*place);

    if (!word ||
        !(how == PCN_CT_HOW_EXPIRED ? pcn_ct_left(word, now) <= 0 : PCN_CT_DROPPABLE >> pcn_ct_flow_of(word) & 1))
        return 0;
    return __sync_val_compare_and_swap(place, word, 0) == word ? word : 0;
}

PCN_INLINE void pcn_ct_count_turned_out(enum pcn_ct_how how)
{
    if (how == PCN_CT_HOW_EXPIRED)
        PCN_CT_COUNT(reused);
    else if (how == PCN_CT_HOW_EARLY)
        PCN_CT_COUNT(early_dropped);
}

/* The key of a slot, which has no traffic yet. own: what IPv4 has at .middle. */
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

/* When a flow of a state expires that is seen now. */
PCN_INLINE __u32 pcn_ct_expires(__u32 flow, __u32 now)
{
    return now + PCN_READ_ONCE(pcn_ct_settings.timeouts[flow & (PCN_CT_FLOWS - 1)]);
}
