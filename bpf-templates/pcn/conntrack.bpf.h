/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking: which flow a packet is of, and what it does to it. In two
 * steps, so that a packet that is dropped leaves no trace:
 *
 *     struct pcn_ct ct;
 *
 *     bad = pcn_packet_parse(ctx, packet);
 *     ...
 *     pcn_ct_lookup(ctx, packet, &ct);         sets packet->ct_state and ct_slot; writes to no flow
 *     ...
 *     if (pcn_ct_commit(ctx, packet, &ct))     only if the packet is let through
 *         there was no room for a new flow, and the settings say drop
 *
 * The table is that of pcn/conntrack.h, and belongs to the cube that includes this.
 * packet->zone is part of the key: the same addresses in two zones are two flows.
 *
 * Fragments: the first one has ports, and is judged by them; if it is let through, it
 * is remembered for the ones behind it, which have the state of its flow. One that
 * comes without, before, or too long after its first one is INVALID.
 */
#pragma once
#include <pcn/conntrack.h>
#include <pcn/hop.bpf.h>
#include <pcn/parse.bpf.h>

#define PCN_CT_ARRAY(name_, entries_, value_)                                                                          \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                              \
        __uint(map_flags, BPF_F_MMAPABLE);                                                                             \
        __uint(max_entries, entries_);                                                                                 \
        __type(key, __u32);                                                                                            \
        __type(value, value_);                                                                                         \
    } name_ SEC(".maps")

#define PCN_CT_BUCKETS_DEFAULT (2 * PCN_CT_SIZE_DEFAULT / PCN_CT_WAYS)

PCN_CT_ARRAY(pcn_ct_buckets, PCN_CT_BUCKETS_DEFAULT, struct pcn_ct_bucket);
PCN_CT_ARRAY(pcn_ct_entries, PCN_CT_BUCKETS_DEFAULT *PCN_CT_WAYS, struct pcn_ct_entry);
PCN_CT_ARRAY(pcn_ct_traffic, 1, struct pcn_ct_traffic);
PCN_CT_ARRAY(pcn_ct_fragments, PCN_CT_FRAGMENTS_MAX, struct pcn_ct_fragment);

struct pcn_ct_settings pcn_ct_settings SEC(PCN_CT_SETTINGS) = {.bucket_mask = PCN_CT_BUCKETS_DEFAULT - 1};
struct pcn_ct_statistics pcn_ct_statistics[PCN_CPUS_MAX] SEC(PCN_CT_STATISTICS) = {};

/* Between lookup and commit. */
struct pcn_ct {
    __u64 hash;
    __u64 word; /* as it was found; 0: no flow */
    __u64 slot;      /* PCN_CT_NO_SLOT: none */
    __u64 direction; /* 0: as the flow's first packet; 1: the other one */
    __u32 next;      /* enum pcn_ct_flow: what the packet makes of the flow; 0: nothing is to be done */
    __u32 pad;
};

#define PCN_CT_COUNT(field_) pcn_ct_statistics[bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1)].field_++

/* ---- the state machine ---- */

enum pcn_ct_event {
    PCN_CT_EVENT_BAD, /* flags that no segment has */
    PCN_CT_EVENT_SYN,
    PCN_CT_EVENT_SYN_ACK,
    PCN_CT_EVENT_ACK,
    PCN_CT_EVENT_FIN,
    PCN_CT_EVENT_RST,
    PCN_CT_EVENT_UDP,
    PCN_CT_EVENT_ECHO,
    PCN_CT_EVENT_ECHO_REPLY,
    PCN_CT_EVENT_OTHER,
    PCN_CT_EVENT_UNTRACKED,
};
#define PCN_CT_EVENTS 16

#define PCN_CT_TCP_FLAGS 0x17 /* FIN, SYN, RST, ACK: the others do not matter */
const __u8 pcn_ct_tcp_events[32] = {
    [0x02] = PCN_CT_EVENT_SYN, [0x12] = PCN_CT_EVENT_SYN_ACK, [0x10] = PCN_CT_EVENT_ACK,
    [0x11] = PCN_CT_EVENT_FIN, [0x04] = PCN_CT_EVENT_RST,     [0x14] = PCN_CT_EVENT_RST,
};

/* clang-format off */
#define PCN_CT_ON(flow_, direction_, event_) \
    [(PCN_CT_##flow_ * 2 + (direction_)) * PCN_CT_EVENTS + PCN_CT_EVENT_##event_]
#define PCN_CT_TCP(flow_, direction_, syn_, syn_ack_, ack_, fin_, rst_) \
    PCN_CT_ON(flow_, direction_, SYN) = (syn_), \
    PCN_CT_ON(flow_, direction_, SYN_ACK) = (syn_ack_), \
    PCN_CT_ON(flow_, direction_, ACK) = (ack_), \
    PCN_CT_ON(flow_, direction_, FIN) = (fin_), \
    PCN_CT_ON(flow_, direction_, RST) = (rst_)

#define no 0
#define S1 PCN_CT_TCP_SYN_SENT
#define S2 PCN_CT_TCP_SYN_SENT2
#define SR PCN_CT_TCP_SYN_RECV
#define ES PCN_CT_TCP_ESTABLISHED
#define FW PCN_CT_TCP_FIN_WAIT
#define CW PCN_CT_TCP_CLOSE_WAIT
#define LA PCN_CT_TCP_LAST_ACK
#define TW PCN_CT_TCP_TIME_WAIT
#define CL PCN_CT_TCP_CLOSED
#define RE PCN_CT_REOPEN

/* By flow, direction and event: the next state; 0: INVALID. A SYN in a flow that is alive is answered by its peer (RFC 5961, 4). */
const __u8 pcn_ct_next[PCN_CT_FLOWS * 2 * PCN_CT_EVENTS] = {
    /*                             SYN S/A ACK FIN RST */
    PCN_CT_TCP(FREE, 0,             S1, no, no, no, no),
    PCN_CT_TCP(TCP_SYN_SENT, 0,     S1, no, no, no, CL),
    PCN_CT_TCP(TCP_SYN_SENT, 1,     S2, SR, no, no, CL),
    PCN_CT_TCP(TCP_SYN_SENT2, 0,    S2, SR, no, no, CL),
    PCN_CT_TCP(TCP_SYN_SENT2, 1,    S2, SR, no, no, CL),
    PCN_CT_TCP(TCP_SYN_RECV, 0,     SR, SR, ES, FW, CL),
    PCN_CT_TCP(TCP_SYN_RECV, 1,     SR, SR, SR, CW, CL),
    PCN_CT_TCP(TCP_ESTABLISHED, 0,  ES, ES, ES, FW, CL),
    PCN_CT_TCP(TCP_ESTABLISHED, 1,  ES, ES, ES, CW, CL),
    PCN_CT_TCP(TCP_FIN_WAIT, 0,     no, no, FW, FW, CL),
    PCN_CT_TCP(TCP_FIN_WAIT, 1,     no, no, FW, LA, CL),
    PCN_CT_TCP(TCP_CLOSE_WAIT, 0,   no, no, CW, LA, CL),
    PCN_CT_TCP(TCP_CLOSE_WAIT, 1,   no, no, CW, CW, CL),
    PCN_CT_TCP(TCP_LAST_ACK, 0,     no, no, TW, LA, CL),
    PCN_CT_TCP(TCP_LAST_ACK, 1,     no, no, TW, LA, CL),
    PCN_CT_TCP(TCP_TIME_WAIT, 0,    RE, no, TW, TW, CL),
    PCN_CT_TCP(TCP_TIME_WAIT, 1,    RE, no, TW, TW, CL),
    PCN_CT_TCP(TCP_CLOSED, 0,       RE, no, no, no, CL),
    PCN_CT_TCP(TCP_CLOSED, 1,       RE, no, no, no, CL),

    PCN_CT_ON(FREE, 0, UDP) = PCN_CT_UDP_NEW,
    PCN_CT_ON(UDP_NEW, 0, UDP) = PCN_CT_UDP_NEW,
    PCN_CT_ON(UDP_NEW, 1, UDP) = PCN_CT_UDP_REPLIED,
    PCN_CT_ON(UDP_REPLIED, 0, UDP) = PCN_CT_UDP_ASSURED,
    PCN_CT_ON(UDP_REPLIED, 1, UDP) = PCN_CT_UDP_REPLIED,
    PCN_CT_ON(UDP_ASSURED, 0, UDP) = PCN_CT_UDP_ASSURED,
    PCN_CT_ON(UDP_ASSURED, 1, UDP) = PCN_CT_UDP_ASSURED,

    PCN_CT_ON(FREE, 0, ECHO) = PCN_CT_ICMP_NEW,
    PCN_CT_ON(ICMP_NEW, 0, ECHO) = PCN_CT_ICMP_NEW,
    PCN_CT_ON(ICMP_NEW, 1, ECHO_REPLY) = PCN_CT_ICMP_REPLIED,
    PCN_CT_ON(ICMP_REPLIED, 0, ECHO) = PCN_CT_ICMP_REPLIED,
    PCN_CT_ON(ICMP_REPLIED, 1, ECHO_REPLY) = PCN_CT_ICMP_REPLIED,

    PCN_CT_ON(FREE, 0, OTHER) = PCN_CT_OTHER_NEW,
    PCN_CT_ON(OTHER_NEW, 0, OTHER) = PCN_CT_OTHER_NEW,
    PCN_CT_ON(OTHER_NEW, 1, OTHER) = PCN_CT_OTHER_REPLIED,
    PCN_CT_ON(OTHER_REPLIED, 0, OTHER) = PCN_CT_OTHER_REPLIED,
    PCN_CT_ON(OTHER_REPLIED, 1, OTHER) = PCN_CT_OTHER_REPLIED,
};
#undef no
#undef S1
#undef S2
#undef SR
#undef ES
#undef FW
#undef CW
#undef LA
#undef TW
#undef CL
#undef RE
/* clang-format on */

PCN_INLINE __u32 pcn_ct_step(__u32 flow, __u32 direction, __u32 event)
{
    __u32 index = (flow * 2 + direction) * PCN_CT_EVENTS + event;

    PCN_OPAQUE(index);
    return pcn_ct_next[index & (sizeof(pcn_ct_next) - 1)];
}

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

PCN_INLINE __u64 *pcn_ct_word_at(__u32 slot)
{
    __u32 index = slot / PCN_CT_WAYS;
    struct pcn_ct_bucket *bucket = bpf_map_lookup_elem(&pcn_ct_buckets, &index);

    slot &= PCN_CT_WAYS - 1;
    PCN_OPAQUE(slot);
    return bucket ? &bucket->words[slot & (PCN_CT_WAYS - 1)] : NULL;
}

PCN_INLINE bool pcn_ct_find_in(__u32 index, const struct pcn_ct_key *key, __u32 now, struct pcn_ct *ct)
{
    struct pcn_ct_bucket *bucket = bpf_map_lookup_elem(&pcn_ct_buckets, &index);
    __u64 tag = pcn_ct_tag(ct->hash) << (PCN_CT_TAG_SHIFT - PCN_CT_BUSY_SHIFT), reverse = pcn_ct_reverse(key->words[4]);

    if (!bucket)
        return false;
#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u64 word = PCN_READ_ONCE(bucket->words[way]), same, other;
        __u32 slot = index * PCN_CT_WAYS + way;
        const struct pcn_ct_entry *entry;

        if (word >> PCN_CT_BUSY_SHIFT != tag || pcn_ct_left(word, now) <= 0)
            continue;
        entry = bpf_map_lookup_elem(&pcn_ct_entries, &slot);
        if (!entry)
            return false;
        same = (entry->key.words[0] ^ key->words[0]) | (entry->key.words[1] ^ key->words[1]) |
               (entry->key.words[2] ^ key->words[2]) | (entry->key.words[3] ^ key->words[3]) |
               (entry->key.words[4] ^ key->words[4]);
        other = (entry->key.words[0] ^ key->words[2]) | (entry->key.words[1] ^ key->words[3]) |
                (entry->key.words[2] ^ key->words[0]) | (entry->key.words[3] ^ key->words[1]) |
                (entry->key.words[4] ^ reverse);
        if (same && other)
            continue;
        ct->word = word;
        ct->slot = slot;
        ct->direction = (same | -same) >> 63;
        return true;
    }
    return false;
}

/* Sets all but .next. */
PCN_INLINE void pcn_ct_find(const struct pcn_ct_key *key, struct pcn_ct *ct)
{
    __u32 mask = pcn_ct_settings.bucket_mask, now = pcn_now();

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
#define PCN_CT_RANK(how_, left_, slot_) ((__u64)(how_) << 62 | (__u64)(left_) << 31 | (slot_))
#define PCN_CT_RANK_SLOT 0x7fffffffu
#define PCN_CT_RANK_HOW(rank_) ((enum pcn_ct_how)((rank_) >> 62))

/* The best place of a bucket. */
PCN_INLINE __u64 pcn_ct_room_in(__u64 hash, __u32 choice, __u32 now, __u64 *ret_n_free)
{
    __u32 index = pcn_ct_bucket_of(hash, choice, pcn_ct_settings.bucket_mask);
    struct pcn_ct_bucket *bucket = bpf_map_lookup_elem(&pcn_ct_buckets, &index);
    __u64 best = ~0ull;

    *ret_n_free = 0;
    PCN_FORGET(best, hash);
    if (!bucket)
        return best;
#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < PCN_CT_WAYS; way++) {
        __u64 word = PCN_READ_ONCE(bucket->words[way]), rank = ~0ull;
        __u32 slot = index * PCN_CT_WAYS + way;
        __s32 left = pcn_ct_left(word, now);

        *ret_n_free += !word;
        if (!word)
            rank = PCN_CT_RANK(PCN_CT_HOW_FREE, 0, slot);
        else if (word & PCN_CT_BUSY)
            rank = ~0ull;
        else if (left <= 0)
            rank = PCN_CT_RANK(PCN_CT_HOW_EXPIRED, 0, slot);
        else if (PCN_CT_DROPPABLE >> pcn_ct_flow_of(word) & 1)
            rank = PCN_CT_RANK(PCN_CT_HOW_EARLY, left, slot);
        PCN_FORGET(rank, hash);
        PCN_FORGET(*ret_n_free, hash);
        if (rank < best)
            best = rank;
        PCN_FORGET(best, hash);
    }
    return best;
}

/* A free place in the first bucket while that is not half full, then in the emptier one: most are found at first sight. */
PCN_INLINE __u64 pcn_ct_room(__u64 hash, __u32 now)
{
    __u64 n_first, n_second, first = pcn_ct_room_in(hash, 0, now, &n_first), second;

    if (n_first > PCN_CT_WAYS / 2)
        return first;
    second = pcn_ct_room_in(hash, 1, now, &n_second);
    if (n_first || n_second)
        return n_first >= n_second ? first : second;
    return first < second ? first : second;
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

/* Takes a place: says busy in its word. */
PCN_INLINE enum pcn_ct_how pcn_ct_claim(__u64 hash, __u32 now, __u32 *ret_slot)
{
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 4; attempt++) {
        __u64 rank = pcn_ct_room(hash, now), *place, word;

        if (PCN_CT_RANK_HOW(rank) == PCN_CT_HOW_FULL)
            break;
        *ret_slot = rank & PCN_CT_RANK_SLOT;
        place = pcn_ct_word_at(*ret_slot);
        if (!place)
            break;
        word = PCN_READ_ONCE(*place);
        if (pcn_ct_may_take(word, PCN_CT_RANK_HOW(rank), now) &&
            __sync_val_compare_and_swap(place, word, pcn_ct_tag(hash) << PCN_CT_TAG_SHIFT | PCN_CT_BUSY) == word)
            return PCN_CT_RANK_HOW(rank);
    }
    return PCN_CT_HOW_FULL;
}

/* Fills in a place that is busy, and makes it found. */
PCN_INLINE void pcn_ct_publish(const struct pcn_packet *packet, __u64 hash, __u32 slot, __u32 flow, __u32 now)
{
    struct pcn_ct_entry *entry = bpf_map_lookup_elem(&pcn_ct_entries, &slot);
    struct pcn_ct_traffic *traffic = bpf_map_lookup_elem(&pcn_ct_traffic, &slot);
    __u64 *place = pcn_ct_word_at(slot);
    struct pcn_ct_key key;
    __u32 ports = 0;

    if (!entry || !place)
        return;
    pcn_ct_event_of(packet, &ports);
    pcn_ct_key_of(packet, ports, &key);
    *entry = (struct pcn_ct_entry){.key = key};
    if (traffic)
        *traffic = (struct pcn_ct_traffic){};
    /* Orders the entry before the word. */
    __sync_lock_test_and_set(
        place, pcn_ct_word(hash, flow, now + PCN_READ_ONCE(pcn_ct_settings.timeouts[flow & (PCN_CT_FLOWS - 1)])));
}

/* Its slot, or PCN_CT_NO_SLOT. Global, so that the verifier looks at it once. */
__noinline __u32 pcn_ct_create(const struct pcn_packet *packet, __u64 hash, __u32 flow)
{
    __u32 now = pcn_now(), slot;
    enum pcn_ct_how how;

    if (!packet)
        return PCN_CT_NO_SLOT;
    how = pcn_ct_claim(hash, now, &slot);
    if (how == PCN_CT_HOW_FULL) {
        PCN_CT_COUNT(full);
        return PCN_CT_NO_SLOT;
    }
    pcn_ct_publish(packet, hash, slot, flow, now);
    PCN_CT_COUNT(created);
    if (how == PCN_CT_HOW_EXPIRED)
        PCN_CT_COUNT(reused);
    else if (how == PCN_CT_HOW_EARLY)
        PCN_CT_COUNT(early_dropped);
    return slot;
}

/* A SYN in the place of the flow that its ports had before. */
__noinline __u32 pcn_ct_reopen(const struct pcn_packet *packet, __u64 hash, __u64 word, __u32 slot)
{
    __u64 *place = pcn_ct_word_at(slot);

    if (!packet || !place)
        return 0;
    /* Another CPU was faster: it saw a SYN too. */
    if (__sync_val_compare_and_swap(place, word, pcn_ct_tag(hash) << PCN_CT_TAG_SHIFT | PCN_CT_BUSY) != word)
        return 0;
    pcn_ct_publish(packet, hash, slot, PCN_CT_TCP_SYN_SENT, pcn_now());
    PCN_CT_COUNT(created);
    return 0;
}

/* Headers end before this: more could not be checked by the verifier, whose packets have 64 KB. */
#define PCN_CT_HEADERS 0x3fff

PCN_INLINE void *pcn_ct_header(struct pcn_ctx *ctx, __u32 offset, __u32 size)
{
    return offset <= PCN_CT_HEADERS ? pcn_header_at(ctx, offset & PCN_CT_HEADERS, size) : NULL;
}

/* One that is linear already. */
PCN_INLINE const void *pcn_ct_parsed(struct pcn_ctx *ctx, __u32 offset, __u32 size)
{
    return offset <= PCN_CT_HEADERS ? pcn_parse_at(ctx, offset & PCN_CT_HEADERS, size) : NULL;
}

/* ---- ICMP errors ---- */

/* The transport header that an error quotes, 8 bytes at offset: the flow's key, but for the addresses. */
PCN_INLINE bool pcn_ct_quoted(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 offset, __u8 protocol,
                              struct pcn_ct_key *key)
{
    const __u8 *header = pcn_ct_parsed(ctx, offset, 8);
    __u32 ports = 0;

    if (!header)
        return false;
    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
        if (pcn_ct_echo(protocol, header[0], *(const __u16 *)(header + 4), &ports) == PCN_CT_EVENT_UNTRACKED)
            return false;
    } else if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP) {
        ports = *(const __u16 *)header | (__u32)*(const __u16 *)(header + 2) << 16;
    }
    key->words[4] = pcn_ct_tuple(ports, protocol, packet->ip_version, packet->zone);
    return true;
}

PCN_INLINE bool pcn_ct_quoted4(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 offset,
                               struct pcn_ct_key *key)
{
    const struct iphdr *ip = pcn_ct_parsed(ctx, offset, sizeof(*ip));
    union pcn_address address;
    __u32 size;

    if (!ip || ip->version != 4 || ip->ihl < 5 || ip->frag_off & bpf_htons(0x1fff))
        return false;
    size = ip->ihl * 4;
    address = (union pcn_address){.v6 = {ip->saddr}};
    __builtin_memcpy(&key->words[0], &address, 16);
    address = (union pcn_address){.v6 = {ip->daddr}};
    __builtin_memcpy(&key->words[2], &address, 16);
    return pcn_ct_quoted(ctx, packet, offset + size, ip->protocol, key);
}

PCN_INLINE bool pcn_ct_quoted6(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 offset,
                               struct pcn_ct_key *key)
{
    const struct ipv6hdr *ip = pcn_ct_parsed(ctx, offset, sizeof(*ip));
    __u64 at = offset + sizeof(*ip);
    __u8 protocol;

    if (!ip || ip->version != 6)
        return false;
    __builtin_memcpy(&key->words[0], &ip->saddr, 16);
    __builtin_memcpy(&key->words[2], &ip->daddr, 16);
    protocol = ip->nexthdr;
#pragma clang loop unroll(disable)
    for (int i = 0; i < PCN_EXTENSIONS_MAX; i++) {
        const __u8 *header;

        if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING && protocol != IPPROTO_DSTOPTS &&
            protocol != IPPROTO_FRAGMENT)
            break;
        header = pcn_ct_parsed(ctx, at, 8);
        if (!header)
            return false;
        if (protocol == IPPROTO_FRAGMENT && *(const __u16 *)(header + 2) & bpf_htons(0xfff8))
            return false;
        at += protocol == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
        PCN_FORGET(at, pcn_ct_settings.seed);
        protocol = header[0];
    }
    return pcn_ct_quoted(ctx, packet, at, protocol, key);
}

/*
 * Slot of the flow that an ICMP error is about, or PCN_CT_NO_SLOT. It goes to who sent what it quotes; an error that
 * goes elsewhere is about nothing.
 */
__noinline __u32 pcn_ct_related(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    struct pcn_ct_key key;
    __u32 size = pcn_length(ctx);
    struct pcn_ct ct;
    bool known;

    /* What it quotes need not be linear yet. */
    if (!packet || !pcn_header(ctx, size < PCN_HEADERS_MAX ? size : PCN_HEADERS_MAX))
        return PCN_CT_NO_SLOT;
    if (packet->ip_version == 4)
        known = pcn_ct_quoted4(ctx, packet, packet->l4_offset + 8, &key);
    else
        known = pcn_ct_quoted6(ctx, packet, packet->l4_offset + 8, &key);
    if (!known || key.words[0] != *(const __u64 *)&packet->destination.v6[0] ||
        key.words[1] != *(const __u64 *)&packet->destination.v6[2])
        return PCN_CT_NO_SLOT;
    pcn_ct_find(&key, &ct);
    return ct.slot;
}

/* ---- fragments ---- */

/* Identification of a fragment, IPv6: from its header. */
PCN_INLINE __u64 pcn_ct_fragment_id6(struct pcn_ctx *ctx, __u32 offset)
{
    const __u8 *header = pcn_ct_header(ctx, offset, sizeof(struct ipv6hdr));
    __u8 protocol;

    if (!header)
        return 0;
    protocol = header[6];
    offset += sizeof(struct ipv6hdr);
#pragma clang loop unroll(disable)
    for (int i = 0; i < PCN_EXTENSIONS_MAX; i++) {
        header = pcn_ct_header(ctx, offset, 8);
        if (!header)
            return 0;
        if (protocol == IPPROTO_FRAGMENT)
            return *(const __u32 *)(header + 4);
        protocol = header[0];
        offset += (header[1] + 1) * 8;
    }
    return 0;
}

PCN_INLINE __u64 pcn_ct_fragment_key(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    struct pcn_ct_key key;
    __u64 seed = pcn_ct_settings.seed, hash, id;

    pcn_ct_key_of(packet, 0, &key);
    if (packet->ip_version == 4) {
        const struct iphdr *ip = pcn_ct_header(ctx, packet->l3_offset, sizeof(*ip));

        id = ip ? ip->id | (__u32)ip->protocol << 16 : 0;
    } else {
        id = pcn_ct_fragment_id6(ctx, packet->l3_offset);
    }
    hash = pcn_ct_hash_end(key.words[0], key.words[1], packet->ip_version, seed);
    hash = pcn_ct_hash_end(key.words[2] ^ hash, key.words[3], packet->zone, seed);
    hash = pcn_ct_hash_end(id ^ hash, 0, 0, seed);
    return hash | 1;
}

PCN_INLINE struct pcn_ct_fragment *pcn_ct_fragment_at(__u64 key)
{
    __u32 index = key >> 40 & (PCN_CT_FRAGMENTS_MAX - 1);

    return bpf_map_lookup_elem(&pcn_ct_fragments, &index);
}

/* The first one: remembers what it was. */
__noinline __u32 pcn_ct_fragment_keep(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    struct pcn_ct_fragment *fragment;
    __u64 key;

    if (!packet)
        return 0;
    key = pcn_ct_fragment_key(ctx, packet);
    fragment = pcn_ct_fragment_at(key);
    if (!fragment)
        return 0;
    __sync_lock_test_and_set(&fragment->key, 0);
    PCN_WRITE_ONCE(fragment->expires, (__u32)pcn_now() + PCN_READ_ONCE(pcn_ct_settings.fragment_timeout));
    PCN_WRITE_ONCE(fragment->slot,
                   (packet->ct_slot & PCN_CT_FRAGMENT_SLOT) | (__u32)packet->ct_state << PCN_CT_FRAGMENT_STATE_SHIFT);
    __sync_lock_test_and_set(&fragment->key, key);
    return 0;
}

/* A later one: .slot of the first one's record, or PCN_CT_INVALID as the state. */
__noinline __u32 pcn_ct_fragment_find(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    const __u32 none = PCN_CT_FRAGMENT_SLOT | (__u32)PCN_CT_INVALID << PCN_CT_FRAGMENT_STATE_SHIFT;
    const struct pcn_ct_fragment *fragment;
    __u32 expires, slot;
    __u64 key;

    if (!packet)
        return none;
    key = pcn_ct_fragment_key(ctx, packet);
    fragment = pcn_ct_fragment_at(key);
    if (!fragment || PCN_READ_ONCE(fragment->key) != key)
        return none;
    expires = PCN_READ_ONCE(fragment->expires);
    slot = PCN_READ_ONCE(fragment->slot);
    return pcn_ct_left(expires, pcn_now()) > 0 ? slot : none;
}

/* ---- TCP windows ---- */

#define PCN_CT_ACK_WINDOW 66000 /* an acknowledgement may be older by this, or by the largest window if that is more */

struct pcn_ct_segment {
    __u32 sequence;
    __u32 end; /* behind its last byte; SYN and FIN count as one each */
    __u32 acknowledgement;
    __u32 window;
};

/* Shift of the window scale option (RFC 7323) of a SYN, with PCN_CT_SCALE_OFFERED; 0: there is none. */
PCN_INLINE __u8 pcn_ct_scale(struct pcn_ctx *ctx, const struct pcn_packet *packet)
{
    __u64 offset = packet->l4_offset + 20, end = packet->payload_offset;

    /* The options, unlike the header itself, need not be linear yet. */
    if (!pcn_ct_header(ctx, end - 1, 1))
        return 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 20 && offset + 3 <= end; i++) {
        const __u8 *option = pcn_ct_parsed(ctx, offset, 3);
        __u64 step;

        if (!option || option[0] == 0)
            break;
        if (option[0] == 3)
            return PCN_CT_SCALE_OFFERED | (option[2] > 14 ? 14 : option[2]);
        step = option[0] == 1 ? 1 : option[1];
        if (!step)
            break;
        offset += step;
        PCN_FORGET(offset, pcn_ct_settings.seed);
    }
    return 0;
}

PCN_INLINE bool pcn_ct_segment_of(struct pcn_ctx *ctx, const struct pcn_packet *packet, struct pcn_ct_segment *ret)
{
    const __u8 *ip = pcn_ct_parsed(ctx, packet->l3_offset, 20), *tcp;
    __u32 length;

    if (!ip)
        return false;
    length = bpf_ntohs(*(const __u16 *)(ip + (packet->ip_version == 4 ? 2 : 4)));
    if (packet->ip_version == 6)
        length += sizeof(struct ipv6hdr);
    if (packet->segment_size && length <= sizeof(struct ipv6hdr))
        length = pcn_length(ctx) - packet->l3_offset;
    tcp = pcn_ct_parsed(ctx, packet->l4_offset, 20);
    if (!tcp)
        return false;
    ret->sequence = bpf_ntohl(*(const __u32 *)(tcp + 4));
    ret->acknowledgement = bpf_ntohl(*(const __u32 *)(tcp + 8));
    ret->window = bpf_ntohs(*(const __u16 *)(tcp + 14));
    ret->end = ret->sequence + packet->l3_offset + length - packet->payload_offset + !!(packet->tcp_flags & 2) +
               (packet->tcp_flags & 1);
    return true;
}

PCN_INLINE __u32 pcn_ct_shift(const struct pcn_ct_entry *entry, __u32 side)
{
    if (!(entry->scales[0] & entry->scales[1] & PCN_CT_SCALE_OFFERED))
        return 0;
    return entry->scales[side] & PCN_CT_SCALE_SHIFT;
}

/* RFC 5961 and the paper of G. van Rooij, "Real stateful TCP packet filtering in IP Filter" (2001), section 3. */
PCN_INLINE bool pcn_ct_in_window(const struct pcn_packet *packet, const struct pcn_ct_entry *entry, __u32 side,
                                 const struct pcn_ct_segment *segment)
{
    const struct pcn_ct_side *sender = &entry->sides[side], *receiver = &entry->sides[side ^ 1];
    __u32 window = (__u32)entry->windows[side ^ 1] << pcn_ct_shift(entry, side ^ 1), back;

    /* What opens the flow, or was not seen from its start, gives the window. */
    if (packet->tcp_flags & 2 || !entry->seen[side] || !entry->seen[side ^ 1])
        return true;
    if ((__s32)(segment->sequence - sender->limit) > 0 || (__s32)(segment->end - (sender->end - window)) < 0)
        return false;
    if (!(packet->tcp_flags & 0x10))
        return true;
    back = (__u32)entry->windows[side] << pcn_ct_shift(entry, side);
    if (back < PCN_CT_ACK_WINDOW)
        back = PCN_CT_ACK_WINDOW;
    return (__s32)(segment->acknowledgement - receiver->end) <= 0 &&
           (__s32)(segment->acknowledgement - (receiver->end - back)) >= 0;
}

PCN_INLINE void pcn_ct_window_note(struct pcn_ctx *ctx, const struct pcn_packet *packet, struct pcn_ct_entry *entry,
                                   __u32 side, const struct pcn_ct_segment *segment)
{
    struct pcn_ct_side *sender = &entry->sides[side], *receiver = &entry->sides[side ^ 1];
    bool syn = packet->tcp_flags & 2;
    __u32 limit, window;

    if (syn || !entry->seen[side]) {
        sender->end = segment->end;
        sender->limit = segment->end + entry->windows[side ^ 1];
        entry->scales[side] = syn ? pcn_ct_scale(ctx, packet) : 0;
        entry->seen[side] = 1;
    }
    if ((__s32)(segment->end - sender->end) > 0)
        sender->end = segment->end;
    if (segment->window > entry->windows[side])
        entry->windows[side] = segment->window;
    if (!(packet->tcp_flags & 0x10))
        return;
    window = syn ? segment->window : segment->window << pcn_ct_shift(entry, side);
    limit = segment->acknowledgement + (window ? window : 1);
    if (!entry->seen[side ^ 1]) {
        receiver->end = segment->acknowledgement;
        receiver->limit = limit;
        entry->seen[side ^ 1] = 1;
    }
    if ((__s32)(limit - receiver->limit) > 0)
        receiver->limit = limit;
}

/* note false: whether the segment fits the window; true: moves the window by it. */
__noinline __u32 pcn_ct_window(struct pcn_ctx *ctx, const struct pcn_packet *packet, __u32 slot, __u32 side, bool note)
{
    struct pcn_ct_entry *entry = bpf_map_lookup_elem(&pcn_ct_entries, &slot);
    struct pcn_ct_segment segment;

    side &= 1;
    if (!packet || !entry || packet->fragment != PCN_FRAGMENT_NONE || !pcn_ct_segment_of(ctx, packet, &segment))
        return 1;
    if (!note)
        return pcn_ct_in_window(packet, entry, side, &segment);
    pcn_ct_window_note(ctx, packet, entry, side, &segment);
    return 1;
}

/* ---- what cubes call ---- */

PCN_INLINE void pcn_ct_invalid(struct pcn_packet *packet, struct pcn_ct *ct)
{
    packet->ct_state = PCN_CT_INVALID;
    ct->next = PCN_CT_FREE;
    if (!pcn_identity.dry_run)
        PCN_CT_COUNT(invalid);
}

/* What is not looked up by its own key. */
PCN_INLINE void pcn_ct_lookup_other(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct)
{
    __u32 record;

    *ct = (struct pcn_ct){.slot = PCN_CT_NO_SLOT};
    packet->ct_slot = PCN_CT_NO_SLOT;
    packet->ct_state = PCN_CT_NONE;
    if (!packet->ip_version)
        return;
    if (packet->fragment == PCN_FRAGMENT_LATER) {
        record = pcn_ct_fragment_find(ctx, packet);
        packet->ct_state = record >> PCN_CT_FRAGMENT_STATE_SHIFT;
        if ((record & PCN_CT_FRAGMENT_SLOT) != PCN_CT_FRAGMENT_SLOT)
            packet->ct_slot = record & PCN_CT_FRAGMENT_SLOT;
    } else if (pcn_ct_is_error(packet->l4_protocol, packet->icmp_type)) {
        packet->ct_slot = pcn_ct_related(ctx, packet);
        packet->ct_state = packet->ct_slot == PCN_CT_NO_SLOT ? PCN_CT_INVALID : PCN_CT_RELATED;
    }
    if (packet->ct_state == PCN_CT_INVALID)
        pcn_ct_invalid(packet, ct);
}

/*
 * The packet is parsed, and its zone set. Sets packet->ct_state, and ct_slot if it is of a flow. At TC,
 * pointers into the packet may be lost.
 */
PCN_INLINE void pcn_ct_lookup(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct)
{
    __u64 event = PCN_CT_EVENT_UNTRACKED;
    struct pcn_ct_key key;
    __u32 ports = 0, flow;

    if (pcn_likely(packet->ip_version && packet->fragment != PCN_FRAGMENT_LATER))
        event = pcn_ct_event_of(packet, &ports);
    if (pcn_unlikely(event == PCN_CT_EVENT_UNTRACKED)) {
        pcn_ct_lookup_other(ctx, packet, ct);
        return;
    }
    PCN_FORGET(event, pcn_ct_settings.seed);
    pcn_ct_key_of(packet, ports, &key);
    pcn_ct_find(&key, ct);
    packet->ct_slot = ct->slot;
    flow = pcn_ct_flow_of(ct->word);
    ct->next = pcn_ct_step(flow, ct->direction, event);
    if (pcn_unlikely(!ct->next)) {
        pcn_ct_invalid(packet, ct);
        return;
    }
    if (PCN_READ_ONCE(pcn_ct_settings.window_check) && ct->word && packet->l4_protocol == IPPROTO_TCP &&
        ct->next != PCN_CT_REOPEN && !pcn_ct_window(ctx, packet, ct->slot, ct->direction, false)) {
        pcn_ct_invalid(packet, ct);
        return;
    }
    packet->ct_state = PCN_CT_ESTABLISHED;
    if ((!ct->direction && PCN_CT_UNANSWERED >> flow & 1) || ct->next == PCN_CT_REOPEN)
        packet->ct_state = PCN_CT_NEW;
}

/* Moves a flow on: its state, or its expiry. Another CPU may have done so meanwhile. */
PCN_INLINE void pcn_ct_update(const struct pcn_packet *packet, struct pcn_ct *ct)
{
    __u32 now = pcn_now(), timeout = PCN_READ_ONCE(pcn_ct_settings.timeouts[ct->next & (PCN_CT_FLOWS - 1)]);
    __u32 flow = pcn_ct_flow_of(ct->word), least = PCN_READ_ONCE(pcn_ct_settings.refresh), ports, event;
    __u64 *place, seen;

    if (timeout >> 4 < least)
        least = timeout >> 4;
    /* As unsigned: where the timeout was made shorter, expiry moves back. */
    if (pcn_likely(ct->next == flow && now + timeout - (__u32)ct->word <= least))
        return;
    place = pcn_ct_word_at(ct->slot);
    if (!place)
        return;
#pragma clang loop unroll(disable)
    for (int attempt = 0; attempt < 4; attempt++) {
        timeout = PCN_READ_ONCE(pcn_ct_settings.timeouts[ct->next & (PCN_CT_FLOWS - 1)]);
        seen = __sync_val_compare_and_swap(place, ct->word, pcn_ct_word(ct->hash, ct->next, now + timeout));
        if (pcn_likely(seen == ct->word))
            return;
        /* What is there now is of the same flow, or of none that this packet knows. */
        if (seen >> PCN_CT_BUSY_SHIFT != pcn_ct_tag(ct->hash) << (PCN_CT_TAG_SHIFT - PCN_CT_BUSY_SHIFT))
            return;
        event = pcn_ct_event_of(packet, &ports);
        ct->word = seen;
        ct->next = pcn_ct_step(pcn_ct_flow_of(seen), ct->direction, event);
        if (!ct->next || ct->next == PCN_CT_REOPEN)
            return;
    }
}

PCN_INLINE void pcn_ct_count_traffic(struct pcn_ctx *ctx, const struct pcn_ct *ct)
{
    __u32 slot = ct->slot;
    struct pcn_ct_traffic *traffic = bpf_map_lookup_elem(&pcn_ct_traffic, &slot);

    if (!traffic)
        return;
    __sync_fetch_and_add(&traffic->packets[ct->direction & 1], 1);
    __sync_fetch_and_add(&traffic->bytes[ct->direction & 1], pcn_length(ctx));
}

/*
 * The packet is let through: enters its flow, or moves it on. Not 0: there was no room for a new one, and
 * the settings say that the packet is dropped then.
 */
PCN_INLINE int pcn_ct_commit(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct)
{
    if (pcn_identity.dry_run)
        return 0;
    if (pcn_likely(ct->next)) {
        if (pcn_unlikely(!ct->word)) {
            ct->slot = pcn_ct_create(packet, ct->hash, ct->next);
            packet->ct_slot = ct->slot;
            if (ct->slot == PCN_CT_NO_SLOT)
                return PCN_READ_ONCE(pcn_ct_settings.drop_when_full);
        } else if (pcn_unlikely(ct->next == PCN_CT_REOPEN)) {
            pcn_ct_reopen(packet, ct->hash, ct->word, ct->slot);
            ct->direction = 0;
        } else {
            pcn_ct_update(packet, ct);
        }
        if (PCN_READ_ONCE(pcn_ct_settings.window_check) && packet->l4_protocol == IPPROTO_TCP)
            pcn_ct_window(ctx, packet, ct->slot, ct->direction, true);
        if (PCN_READ_ONCE(pcn_ct_settings.counting))
            pcn_ct_count_traffic(ctx, ct);
    }
    if (pcn_unlikely(packet->fragment == PCN_FRAGMENT_FIRST) && packet->ct_state != PCN_CT_INVALID)
        pcn_ct_fragment_keep(ctx, packet);
    return 0;
}
