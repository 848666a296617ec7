/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Fast path of lbrp: what clients send to a service gets a backend, what backends answer comes from the service. */
#include "lbrp_open.bpf.h"
#include "lbrp_rare.bpf.h"
#include <pcn/headers.bpf.h>

/* ---- where it goes ---- */

/* To the other side, as nothing is known of it. */
PCN_INLINE enum pcn_verdict lbrp_pass(struct pcn_packet *packet, bool reply)
{
    if (!reply)
        return pcn_redirect(packet, PCN_READ_ONCE(lbrp_data.back) & (PCN_PORTS_MAX - 1));
    /* Of many ports the clients are behind: out of all. */
    if (PCN_READ_ONCE(lbrp_data.multi))
        return pcn_flood(packet);
    return pcn_redirect(packet, PCN_READ_ONCE(lbrp_data.front) & (PCN_PORTS_MAX - 1));
}

PCN_INLINE void lbrp_put_mac(__u8 *to, const __u8 *from)
{
    *(__u16 *)to = *(const __u16 *)from;
    *(__u16 *)(to + 2) = *(const __u16 *)(from + 2);
    *(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

/* A packet of a session leaves: to its backend, or to the client. whole: both its sides have changed. */
PCN_INLINE enum pcn_verdict lbrp_leave(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 slot,
                                       const struct lbrp_target *backend, bool reply, bool whole)
{
    struct ethhdr *ethernet;
    __u32 front;

    if (!reply) {
        if (pcn_unlikely(backend->flags & LBRP_HAS_MAC)) {
            ethernet = pcn_header(ctx, sizeof(*ethernet));
            if (!ethernet)
                return pcn_drop(packet, PCN_DROP_MALFORMED);
            lbrp_put_mac(ethernet->h_dest, backend->mac);
        }
        return pcn_redirect(packet, PCN_READ_ONCE(lbrp_data.back) & (PCN_PORTS_MAX - 1));
    }
    if (pcn_unlikely(backend->flags & LBRP_HAS_MAC || whole) && lbrp_to_us(ctx)) {
        ethernet = pcn_header(ctx, sizeof(*ethernet));
        if (!ethernet)
            return pcn_drop(packet, PCN_DROP_MALFORMED);
        lbrp_put_mac(ethernet->h_dest, lbrp_session_at(slot)->mac);
    }
    front = PCN_READ_ONCE(lbrp_data.front);
    if (pcn_unlikely(front == LBRP_NO_PORT))
        front = lbrp_session_at(slot)->frontend;
    return pcn_redirect(packet, front & (PCN_PORTS_MAX - 1));
}

/* ---- packets of a session ---- */

/* Both sides of a packet get what the other key has. 0, or the reason to drop it. */
__noinline __u32 lbrp_rewrite_whole(struct pcn_ctx *ctx, __u32 slot, __u32 ports, bool reply)
{
    struct pcn_packet *packet = pcn_packet_get();
    struct pcn_change source = {.from_port = ports}, destination = {.from_port = ports >> 16};

    pcn_ct_side_at(pcn_ct_other_of(slot), reply, &source);
    pcn_ct_side_at(pcn_ct_other_of(slot), !reply, &destination);
    source.from = packet->source;
    destination.from = packet->destination;
    if (packet->fragment == PCN_FRAGMENT_LATER)
        source.to_port = destination.to_port = 0;
    if (packet->ip_version == 6)
        return pcn_rewrite(ctx, packet, &source, &destination, 6) ? 0 : PCN_DROP_MALFORMED;
    return pcn_rewrite(ctx, packet, &source, &destination, 4) ? 0 : PCN_DROP_MALFORMED;
}

PCN_INLINE __u32 lbrp_rewrite(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 slot, __u64 side, __u32 ports,
                              bool reply)
{
    struct pcn_change change;

    if (pcn_unlikely(packet->ip_version == 6 || !(side >> PCN_CT_SIDE_MORE_SHIFT)))
        return lbrp_rewrite_whole(ctx, slot, ports, reply);
    change = (struct pcn_change){
        .from.v4 = reply ? packet->source.v4 : packet->destination.v4,
        .to.v4 = side,
        .from_port = reply ? ports : ports >> 16,
        .to_port = side >> PCN_CT_SIDE_PORT_SHIFT,
    };
    if (packet->fragment == PCN_FRAGMENT_LATER)
        change.to_port = change.from_port;
    return pcn_rewrite(ctx, packet, reply ? &change : NULL, reply ? NULL : &change, 4) ? 0 : PCN_DROP_MALFORMED;
}

/* Of a session, by now: counted, changed, and sent on. state, side: what it says; see struct lbrp_session, pcn_ct_side(). */
PCN_INLINE enum pcn_verdict lbrp_send(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 slot, __u32 state,
                                      __u64 side, const struct lbrp_target *backend, bool reply)
{
    __u32 cpu = bpf_get_smp_processor_id(), ports = 0, bad;

    if (pcn_likely(packet->fragment != PCN_FRAGMENT_LATER))
        pcn_ct_event_of(packet, &ports);
    lbrp_count(ctx, cpu, state & 0xffff, reply);
    if (pcn_unlikely(PCN_READ_ONCE(pcn_ct_settings.counting))) {
        /* By the client's key, by which it is shown. */
        const struct pcn_ct ct = {.slot = pcn_ct_first_of(slot), .direction = reply};

        pcn_ct_count_traffic(ctx, &ct);
    }
    if (pcn_unlikely(packet->fragment == PCN_FRAGMENT_FIRST)) {
        packet->ct_state = PCN_CT_ESTABLISHED;
        pcn_ct_fragment_keep(ctx, packet);
    }
    bad = lbrp_rewrite(ctx, packet, slot, side, ports, reply);
    if (pcn_unlikely(bad))
        return pcn_drop(packet, bad);
    return lbrp_leave(ctx, packet, slot, backend, reply, state & LBRP_WHOLE);
}

/* PCN_VERDICT_MAX: the session is over, and the packet of none. */
PCN_INLINE enum pcn_verdict lbrp_known(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct, bool reply)
{
    __u32 state = PCN_READ_ONCE(lbrp_session_at(ct->slot)->state);
    const struct lbrp_target *backend = lbrp_backend_of(state);
    __u64 side, word;

    if (pcn_unlikely(!pcn_ct_side_of(ct, &side) || ct->direction != reply))
        return pcn_drop(packet, LBRP_DROP_INVALID);
    /* Its backend is gone, or it is over and the client begins anew. */
    if (pcn_unlikely(!backend || ct->next == PCN_CT_REOPEN))
        return lbrp_over(ct->slot, ct->word) ? PCN_VERDICT_MAX : pcn_drop(packet, LBRP_DROP_INVALID);
    if (pcn_likely(ct->next)) {
        word = pcn_ct_update(packet, ct);
        if (pcn_unlikely(word))
            lbrp_follow(ct->slot, word);
    }
    return lbrp_send(ctx, packet, ct->slot, state, side, backend, reply);
}

/* The first packet of a session, from a client: as lbrp_send(). */
__noinline __u32 lbrp_first(struct pcn_ctx *ctx, __u32 slot, __u32 state, __u64 side)
{
    struct pcn_packet *packet = pcn_packet_get();
    const struct lbrp_target *backend = lbrp_backend_at(state & 0xffff);

    if (!backend)
        return pcn_drop(packet, LBRP_DROP_INVALID);
    return lbrp_send(ctx, packet, slot, state, side, backend, false);
}

/*
 * A fragment behind the first one of the session of packet->ct_slot. reply: a bit of a number, since the verifier does not
 * know how large a bool is.
 */
__noinline __u32 lbrp_later(struct pcn_ctx *ctx, __u32 reply)
{
    struct pcn_packet *packet = pcn_packet_get();
    __u32 slot = packet->ct_slot, state = lbrp_session_at(slot)->state;
    const struct lbrp_target *backend = lbrp_backend_of(state);

    if (!backend || !pcn_ct_is_between(slot, packet))
        return pcn_drop(packet, LBRP_DROP_NO_SESSION);
    return lbrp_send(ctx, packet, slot, state, pcn_ct_side_get(slot), backend, reply & 1);
}

/* An ICMP error about it. */
__noinline __u32 lbrp_related(struct pcn_ctx *ctx, __u32 reply)
{
    struct pcn_packet *packet = pcn_packet_get();
    __u32 slot = packet->ct_slot, state = lbrp_session_at(slot)->state, bad;
    const struct lbrp_target *backend = lbrp_backend_of(state);

    if (!backend)
        return pcn_drop(packet, LBRP_DROP_NO_SESSION);
    lbrp_count(ctx, bpf_get_smp_processor_id(), state & 0xffff, reply & 1);
    bad = lbrp_error(ctx, slot, reply);
    if (bad)
        return pcn_drop(packet, bad);
    return lbrp_leave(ctx, packet, slot, backend, reply, state & LBRP_WHOLE);
}

/* ---- others ---- */

/* By what was said in lbrp_rare.bpf.h. */
PCN_INLINE enum pcn_verdict lbrp_do(struct pcn_packet *packet, __u32 said, bool reply)
{
    if (said == LBRP_ANSWERED) {
        pcn_packet_invalidate(packet);
        return PCN_REPLY;
    }
    if (said == LBRP_SOLICITED)
        return pcn_slow_path(packet, LBRP_SLOW_SOLICITED, 0, 0, 0);
    if (said >= LBRP_TO_PORT)
        return pcn_redirect(packet, said & (PCN_PORTS_MAX - 1));
    return lbrp_pass(packet, reply);
}

/* Dropped, and the client is told so, where it can be. */
PCN_INLINE enum pcn_verdict lbrp_refuse(struct pcn_ctx *ctx, struct pcn_packet *packet, __u32 reason)
{
    if (reason == LBRP_DROP_NO_BACKEND || reason == LBRP_DROP_NO_SESSION) {
        packet->direction = PCN_INGRESS;
        (void)pcn_slow_path(packet, LBRP_SLOW_REJECT, packet->l4_offset - packet->l3_offset, packet->l4_protocol, 0);
        (void)pcn_copy_to_user(ctx);
    }
    return pcn_drop(packet, reason);
}

PCN_INLINE void lbrp_prepare(struct pcn_ctx *ctx, const struct pcn_packet *packet, const struct pcn_ct *ct,
                             struct lbrp_new *new)
{
    const struct ethhdr *ethernet = pcn_header(ctx, sizeof(*ethernet));

    new->hash = ct->hash;
    new->flow = ct->next;
    new->frontend = packet->port;
    if (ethernet)
        lbrp_put_mac(new->mac, ethernet->h_source);
}

/* What was not found by its tuple. */
PCN_INLINE enum pcn_verdict lbrp_unknown(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct, bool reply)
{
    struct lbrp_new *new = &lbrp_news[bpf_get_smp_processor_id() & (PCN_CPUS_MAX - 1)];
    __u32 slot;

    if (packet->ct_state == PCN_CT_RELATED)
        return lbrp_related(ctx, reply);
    if (packet->fragment == PCN_FRAGMENT_LATER && packet->ct_slot != PCN_CT_NO_SLOT)
        return lbrp_later(ctx, reply);
    if (packet->fragment == PCN_FRAGMENT_LATER && !reply &&
        lbrp_find_address(&packet->destination, LBRP_ADDRESS, packet->ip_version))
        return pcn_drop(packet, LBRP_DROP_FRAGMENT);
    /* Neither echo nor error, or of no session; or the backends' own. */
    if (reply || packet->fragment == PCN_FRAGMENT_LATER || (lbrp_is_icmp(packet) && !ct->next))
        return lbrp_do(packet, lbrp_other(ctx, reply), reply);
    lbrp_prepare(ctx, packet, ct, new);
    slot = lbrp_open(packet, new);
    if (slot == LBRP_PASS)
        return lbrp_do(packet, lbrp_is_icmp(packet) ? lbrp_other(ctx, false) : LBRP_NOT_OURS, false);
    if (pcn_unlikely(slot >= LBRP_SLOTS))
        return lbrp_refuse(ctx, packet, slot & 0xffff);
    if (PCN_READ_ONCE(pcn_ct_settings.events))
        (void)pcn_ct_tell(ctx, slot);
    packet->ct_slot = slot;
    /* What was just written is not read again: it would wait for these lines. */
    return lbrp_first(ctx, slot, new->state, lbrp_side(new, true));
}

PCN_INLINE enum pcn_verdict lbrp_balance(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct, bool reply)
{
    enum pcn_verdict verdict;
    __u32 ports;

    if (pcn_likely(ct->word)) {
        verdict = lbrp_known(ctx, packet, ct, reply);
        if (pcn_likely(verdict != PCN_VERDICT_MAX))
            return verdict;
        packet->ct_slot = PCN_CT_NO_SLOT;
        ct->next = pcn_ct_step(PCN_CT_FREE, 0, pcn_ct_event_of(packet, &ports));
    }
    return lbrp_unknown(ctx, packet, ct, reply);
}

/* reply: 1, it is the backends'; else 0. */
PCN_INLINE enum pcn_verdict lbrp_handle(struct pcn_ctx *ctx, struct pcn_packet *packet, struct pcn_ct *ct, __u64 reply)
{
    __u16 zone = packet->zone;
    __u8 state = packet->ct_state;
    __u32 slot = packet->ct_slot;
    enum pcn_verdict verdict;

    _Static_assert(LBRP_SERVER == LBRP_CLIENT + 1, "the zone is a number");
    packet->zone = LBRP_CLIENT + reply;
    pcn_ct_lookup(ctx, packet, ct);
    /* From here on, each direction has its own code: the way of most packets has no branches on it. */
    verdict = reply ? lbrp_balance(ctx, packet, ct, true) : lbrp_balance(ctx, packet, ct, false);
    /* A label that another cube gave is not ours to change. */
    packet->zone = zone;
    packet->ct_state = state;
    packet->ct_slot = slot;
    return verdict;
}

/* ---- at a glance ---- */

/* See pcn/headers.bpf.h. Of both, PCN_VERDICT_MAX: nothing was done; hash: see pcn_ct_lookup(). */

PCN_INLINE enum pcn_verdict lbrp_glance_send(struct pcn_ctx *ctx, struct pcn_packet *packet,
                                             const struct pcn_headers *headers, const struct pcn_headers_flow *flow,
                                             bool reply)
{
    __u64 side = flow->side, number = side >> PCN_CT_SIDE_MORE_SHIFT;
    const struct lbrp_target *backend = lbrp_backend_at(number);

    if (pcn_unlikely(!backend || backend->epoch != (__u8)(flow->word >> PCN_CT_OWN_SHIFT)))
        return PCN_VERDICT_MAX;
    if (!pcn_headers_rewrite(ctx, headers, side, side >> PCN_CT_SIDE_PORT_SHIFT, reply))
        return PCN_VERDICT_MAX;
    lbrp_count(ctx, bpf_get_smp_processor_id(), number, reply);
    return lbrp_leave(ctx, packet, flow->slot, backend, reply, false);
}

PCN_INLINE enum pcn_verdict lbrp_glance(struct pcn_ctx *ctx, struct pcn_packet *packet, __u64 *ret_hash, __u64 reply)
{
    struct pcn_headers headers;
    struct pcn_headers_flow flow;

    if (pcn_unlikely(packet->flags & PCN_PACKET_PARSED || PCN_READ_ONCE(pcn_ct_settings.counting) ||
                     !pcn_headers_find(ctx, &headers)))
        return PCN_VERDICT_MAX;
    if (pcn_unlikely(!pcn_headers_flow_find(packet, &headers, LBRP_CLIENT + reply, &flow))) {
        *ret_hash = flow.hash;
        return PCN_VERDICT_MAX;
    }
    if (pcn_unlikely(flow.direction != reply))
        return PCN_VERDICT_MAX;
    return reply ? lbrp_glance_send(ctx, packet, &headers, &flow, true)
                 : lbrp_glance_send(ctx, packet, &headers, &flow, false);
}

PCN_INLINE enum pcn_verdict lbrp_ingress(struct pcn_ctx *ctx, struct pcn_packet *packet)
{
    __u64 reply = PCN_NEGATIVE((__u64)(packet->port ^ PCN_READ_ONCE(lbrp_data.back)) - 1);
    enum pcn_verdict verdict;
    struct pcn_ct ct = {};
    __u16 bad;

    if (pcn_unlikely(!PCN_READ_ONCE(lbrp_data.ready)))
        return pcn_drop(packet, LBRP_DROP_NO_OTHER_PORT);
    verdict = lbrp_glance(ctx, packet, &ct.hash, reply);
    if (pcn_likely(verdict != PCN_VERDICT_MAX))
        return verdict;
    bad = pcn_packet_parse(ctx, packet);
    if (pcn_unlikely(bad))
        return pcn_drop(packet, bad);
    if (pcn_unlikely(!packet->ip_version))
        return lbrp_do(packet, packet->ethertype == bpf_htons(ETH_P_ARP) ? lbrp_arp(ctx, reply) : LBRP_NOT_OURS, reply);
    return lbrp_handle(ctx, packet, &ct, reply);
}

PCN_STANDARD_CUBE(lbrp_ingress, pcn_pass);
